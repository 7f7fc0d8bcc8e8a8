//! Tests of the order and the bounds of answers, with threads.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use roomwire_core::server::RequestToken;
use roomwire_core::{Config, Input, ListenerId, Machine as _, Now, Output, PeerAddr, Server};

use super::*;
use crate::mailbox::Bell;

/// Requests of so many clients as the core tells of them, `each` of every one in turn.
fn requests(clients: usize, each: usize) -> Vec<Event> {
    let mut config = Config {
        application_types: vec!["work".to_owned()],
        ..Config::default()
    };
    config.timeouts.welcome_delay_ms = 0;
    let mut server = Server::new(config.validate().expect("valid"), [1; 32]);
    let now = Now::default();
    let mut told = Vec::new();
    let mut receive = |server: &mut Server, connection, bytes: &[u8]| {
        let bytes = &mut bytes.to_vec();
        let _ = server.handle(now, Input::Received { connection, bytes });
        loop {
            match server.poll() {
                Output::Transmit { connection } => {
                    let bytes = server.unsent(connection).map(<[u8]>::len).sum();
                    let blocked = false;
                    let _ = server.handle(
                        now,
                        Input::Sent {
                            connection,
                            bytes,
                            blocked,
                        },
                    );
                }
                Output::Event(event @ Event::Application { .. }) => told.push(event),
                Output::Idle { .. } => break,
                _ => {}
            }
        }
    };
    let connections: Vec<_> = (0..clients)
        .map(|_| {
            server
                .accept(now, PeerAddr::Local, ListenerId(0))
                .expect("room")
        })
        .collect();
    for &connection in &connections {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        receive(&mut server, connection, head);
    }
    for _ in 0..each {
        for &connection in &connections {
            let text = br#"{"type":"work"}"#;
            let mut frame = vec![0x81, 0x80 | text.len() as u8, 0, 0, 0, 0];
            frame.extend_from_slice(text);
            receive(&mut server, connection, &frame);
        }
    }
    assert_eq!(told.len(), clients * each);
    told
}

fn token_of(event: &Event) -> (ConnectionId, RequestToken) {
    match event {
        Event::Application {
            connection,
            request,
            ..
        } => (*connection, *request),
        other => panic!("{other:?}"),
    }
}

struct Scene {
    answers: Answers,
    desk: crate::desk::Desk<Command>,
}

fn scene(threads: u16, limits: &Limits, hook: &Hook) -> Scene {
    let (bell, _) = Bell::new().expect("a bell");
    let pool = (threads > 0).then(|| Arc::new(Pool::new("hook", threads)));
    let desk = crate::desk::Desk::new(pool.clone(), &Arc::new(bell), 1);
    Scene {
        answers: Answers::new(Some(hook), pool.as_ref(), desk.tray(), limits),
        desk,
    }
}

impl Scene {
    /// So many answers, in the order in which they come back.
    fn wait(&self, count: usize) -> Vec<Command> {
        let end = Instant::now() + Duration::from_secs(20);
        let mut all = Vec::new();
        while all.len() < count {
            assert!(Instant::now() < end, "{} of {count}", all.len());
            all.extend(self.desk.take_commands());
            std::thread::sleep(Duration::from_millis(1));
        }
        all
    }
}

fn is_refused(command: &Command) -> bool {
    matches!(
        command,
        Command::Reply {
            outcome: Outcome::Error {
                code: ErrorCode::RateLimited,
                ..
            },
            ..
        }
    )
}

fn answered(command: &Command) -> RequestToken {
    match command {
        Command::Reply { request, .. } | Command::Fail { request } => *request,
        other => panic!("{other:?}"),
    }
}

/// However long each takes, a client's are answered in order, and each once.
// covers A8-01
#[test]
fn each_client_is_answered_in_order() {
    for threads in [0, 1, 4] {
        let events = requests(5, 40);
        let hook = Hook::new(|request| {
            std::thread::sleep(Duration::from_micros(
                u64::from(request.connection.index() % 3) * 50,
            ));
            Outcome::Ack
        });
        let scene = scene(threads, &Limits::default(), &hook);
        for event in &events {
            assert_eq!(scene.answers.take(event.clone()), None);
        }
        let all: Vec<_> = scene.wait(events.len()).iter().map(answered).collect();
        let asked: Vec<_> = events.iter().map(token_of).collect();
        for (connection, _) in &asked[..5] {
            let own: Vec<_> = asked
                .iter()
                .filter(|(c, _)| c == connection)
                .map(|a| a.1)
                .collect();
            let told: Vec<_> = all
                .iter()
                .copied()
                .filter(|token| own.contains(token))
                .collect();
            assert_eq!(told, own, "{threads} threads");
        }
        assert_eq!(scene.answers.take(Event::Drained), Some(Event::Drained));
    }
}

// covers A8-01: bounded
#[test]
fn what_does_not_fit_is_refused_in_its_turn() {
    let events = requests(2, 10);
    let limits = Limits {
        max_queued_events: 4,
        ..Limits::default()
    };
    let gate = Arc::new(Barrier::new(2));
    let door = Arc::clone(&gate);
    let first = Mutex::new(true);
    let hook = Hook::new(move |_| {
        if std::mem::take(&mut *first.lock().unwrap_or_else(PoisonError::into_inner)) {
            door.wait();
        }
        Outcome::Ack
    });
    let scene = scene(1, &limits, &hook);
    for event in &events {
        assert_eq!(scene.answers.take(event.clone()), None);
    }
    assert_eq!(scene.desk.take_commands(), []);
    gate.wait();
    let all = scene.wait(events.len());
    let refused = all.iter().filter(|command| is_refused(command)).count();
    assert_eq!(refused, 16);
    let asked: Vec<_> = events.iter().map(token_of).collect();
    for (connection, _) in &asked[..2] {
        let own: Vec<_> = asked
            .iter()
            .filter(|(c, _)| c == connection)
            .map(|a| a.1)
            .collect();
        let told = all.iter().map(answered).filter(|token| own.contains(token));
        assert_eq!(told.collect::<Vec<_>>(), own);
    }
}

// covers A8-01: bounded, however long the program takes
#[test]
fn not_even_refusals_wait_without_end() {
    let events = requests(1, 40);
    let limits = Limits {
        max_queued_events: 1,
        ..Limits::default()
    };
    let gate = Arc::new(Barrier::new(2));
    let door = Arc::clone(&gate);
    let hook = Hook::new(move |_| {
        door.wait();
        Outcome::Ack
    });
    let scene = scene(1, &limits, &hook);
    for event in &events {
        assert_eq!(scene.answers.take(event.clone()), None);
    }
    let at_once = scene.desk.take_commands();
    assert_eq!(at_once.len(), 40 - 1 - REFUSED_PER_PLACE);
    gate.wait();
    let rest = scene.wait(1 + REFUSED_PER_PLACE);
    let refused = at_once.iter().chain(&rest).filter(|it| is_refused(it));
    assert_eq!(refused.count(), 39);
}

// covers A8-01
#[test]
fn a_panic_is_an_answer() {
    let events = requests(1, 3);
    let hook = Hook::new(|request| match request.kind.as_str() {
        "work" => panic!("as asked for"),
        _ => Outcome::Ack,
    });
    for threads in [0, 2] {
        let scene = scene(threads, &Limits::default(), &hook);
        for event in &events {
            assert_eq!(scene.answers.take(event.clone()), None);
        }
        for (command, event) in scene.wait(3).into_iter().zip(&events) {
            let (_, request) = token_of(event);
            assert_eq!(command, Command::Fail { request });
        }
    }
}

#[test]
fn without_a_hook_nothing_is_taken() {
    let (bell, _) = Bell::new().expect("a bell");
    let desk: crate::desk::Desk<Command> = crate::desk::Desk::new(None, &Arc::new(bell), 1);
    let answers = Answers::new(None, None, desk.tray(), &Limits::default());
    for event in requests(1, 1) {
        assert_eq!(answers.take(event.clone()), Some(event));
    }
}
