//! The library as an embedding program sees it: binding, events, commands, and every way to end, over real
//! TCP.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use async_std::channel::Receiver;
use async_std::task::{block_on, spawn};
use roomwire_async_std::{Ended, Handle, Server};
use roomwire_core::server::{CloseCause, Command, Event, Outcome};
use roomwire_runtime::{FAULTY_JOB_BYTES, FAULTY_ROOM, Hook, ListenerSettings, RunError, Settings};
use roomwire_tests::heavy;
use roomwire_tests::tcp::{
    Client, PATIENCE, assert_cut, assert_ends, meet, say_goodbye_and_more, survive,
};
use serde_json::{Value, json};
use tungstenite::Message;

/// Defaults at a free port of loopback.
fn settings() -> Settings {
    Settings {
        listeners: vec![ListenerSettings::at(([127, 0, 0, 1], 0))],
        ..Settings::default()
    }
}

fn bind() -> Server {
    Server::bind_now(&settings()).expect("a free port")
}

/// Where a server listens.
fn at(server: &Server) -> SocketAddr {
    let address = server.local_addr().socket_addr();
    address.expect("TCP")
}

/// A server that runs.
struct Running {
    address: SocketAddr,
    handle: Handle,
    thread: JoinHandle<Result<(), RunError>>,
}

impl Running {
    fn start(server: Server) -> Self {
        Self {
            address: at(&server),
            handle: server.handle(),
            thread: thread::spawn(|| server.run_blocking()),
        }
    }

    fn join(self) {
        let end = Instant::now() + PATIENCE;
        while !self.thread.is_finished() {
            assert!(Instant::now() < end, "the server does not end");
            thread::sleep(Duration::from_millis(2));
        }
        let outcome = self.thread.join().expect("no panic");
        outcome.expect("an orderly end");
    }

    fn stop(self) {
        self.handle.drain_blocking();
        self.join();
    }
}

fn next(events: &Receiver<Event>) -> Event {
    block_on(async_std::future::timeout(PATIENCE, events.recv()))
        .expect("in time")
        .expect("the server runs")
}

/// What a client still sends after its close frame does not take the answer along.
// covers A3-19
#[test]
fn who_goes_on_after_goodbye_hears_the_answer() {
    let mut settings = settings();
    settings.core.timeouts.welcome_delay_ms = 0;
    let running = Running::start(Server::bind_now(&settings).expect("a free port"));
    say_goodbye_and_more(running.address);
    running.stop();
}

/// A thread that fails takes its clients along, and begins anew; the others go on.
#[test]
fn a_thread_that_fails_begins_anew() {
    let mut settings = settings();
    settings.threads = 2;
    let mut server = Server::bind_now(&settings).expect("a free port");
    let events = server.events();
    let running = Running::start(server);
    let mut clients = meet(running.address, 24);
    let mut first = BTreeSet::new();
    for _ in &clients {
        let Event::Opened {
            connection, client, ..
        } = next(&events)
        else {
            panic!("not opened");
        };
        if connection.shard().0 == 0 {
            first.insert(client.to_string());
        }
    }
    let room = FAULTY_ROOM.to_owned();
    let message = "{}".to_owned();
    let command = Command::Publish { room, message };
    block_on(running.handle.command(command)).expect("it runs");
    let on_first = |client: &Client| first.contains(&client.id);
    let (lost, left): (Vec<_>, Vec<_>) = clients.drain(..).partition(on_first);
    assert!(
        !lost.is_empty() && !left.is_empty(),
        "{} were lost",
        lost.len()
    );
    survive(running.address, lost, left);
    running.stop();
    let events: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).collect();
    let failed = |event: &&Event| matches!(event, Event::Failed { .. });
    assert_eq!(events.iter().filter(failed).count(), 1);
    assert_eq!(events.last(), Some(&Event::Drained));
}

// covers A11-05
/// Several threads are one server, for its clients and for the program.
#[test]
fn several_threads_are_one_server() {
    let mut settings = settings();
    settings.threads = 3;
    let mut server = Server::bind_now(&settings).expect("a free port");
    let events = server.events();
    let running = Running::start(server);
    let mut clients = meet(running.address, 12);
    let mut shards = BTreeSet::new();
    for _ in &clients {
        let Event::Opened { connection, .. } = next(&events) else {
            panic!("not opened");
        };
        shards.insert(connection.shard());
        let message = r#"{"type":"news"}"#.to_owned();
        let command = Command::Send {
            connection,
            message,
        };
        block_on(running.handle.command(command)).expect("it runs");
    }
    assert!(shards.len() > 1, "all connections are on one thread");
    for client in &mut clients {
        client.expect("news");
    }
    let stats = block_on(running.handle.stats()).expect("it runs");
    assert_eq!((stats.clients, stats.opened, stats.rooms), (12, 12, 1));
    running.handle.drain_blocking();
    for client in &mut clients {
        client.expect("closing");
        assert_eq!(u16::from(client.expect_close().code), 1012);
    }
    running.join();
    let ends: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).collect();
    assert_eq!(ends.len(), 13);
    assert_eq!(ends.last(), Some(&Event::Drained), "once, at the end");
}

// covers A1-16, A2-05, A3-08
#[test]
fn a_program_answers_and_asks() {
    let mut settings = settings();
    settings.core.application_types = vec!["sum".to_owned()];
    let mut server = Server::bind_now(&settings).expect("a free port");
    let events = server.events();
    let running = Running::start(server);
    let mut ada = Client::connect(running.address);
    let Event::Opened { connection, .. } = next(&events) else {
        panic!("not opened");
    };
    ada.send(&json!({"type": "sum", "id": 1, "of": [1, 2]}));
    let Event::Application { request, .. } = next(&events) else {
        panic!("not asked");
    };
    let outcome = Outcome::Reply(r#"{"type":"summed","sum":3}"#.to_owned());
    let commands = [
        Command::Reply { request, outcome },
        Command::Send {
            connection,
            message: r#"{"type":"news"}"#.to_owned(),
        },
        Command::Close {
            connection,
            code: 4000,
            reason: "enough".to_owned(),
            reconnect_after_ms: None,
        },
    ];
    for command in commands {
        block_on(running.handle.command(command)).expect("it runs");
    }
    assert_eq!(
        ada.expect("summed"),
        json!({"type": "summed", "id": 1, "sum": 3})
    );
    ada.expect("news");
    ada.expect("closing");
    assert_eq!(u16::from(ada.expect_close().code), 4000);
    let closed = next(&events);
    let by_command = matches!(
        closed,
        Event::Closed {
            cause: CloseCause::Command,
            ..
        }
    );
    assert!(by_command, "{closed:?}");
    let stats = block_on(running.handle.stats()).expect("it runs");
    assert_eq!((stats.clients, stats.opened), (0, 1));
    running.stop();
    assert_eq!(next(&events), Event::Drained);
    assert!(block_on(events.recv()).is_err());
}

/// Each opens and closes: with the last one there is an event more than may wait.
fn fill_the_line(address: SocketAddr) {
    for _ in 0..512 {
        drop(Client::connect(address));
    }
}

/// A server that comes to wait for its program.
fn behind() -> (Running, Receiver<Event>, Client) {
    let mut settings = settings();
    settings.core.timeouts.welcome_delay_ms = 0;
    let mut server = Server::bind_now(&settings).expect("a free port");
    let events = server.events();
    let running = Running::start(server);
    let flooder = Client::connect(running.address);
    fill_the_line(running.address);
    thread::sleep(Duration::from_millis(100));
    (running, events, flooder)
}

#[test]
fn nothing_is_read_while_the_program_is_behind_with_events() {
    let (running, events, flooder) = behind();
    let mut flooder = flooder;
    let stream = flooder.socket().get_mut();
    stream.set_nonblocking(true).expect("a socket");
    let pings = [0x89, 0x80, 0, 0, 0, 0].repeat(10_000);
    let (mut taken, end) = (0, Instant::now() + Duration::from_millis(500));
    while Instant::now() < end {
        match stream.write(&pings) {
            Ok(bytes) => taken += bytes,
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
    assert!(
        taken < 16 * 1024 * 1024,
        "{taken} bytes are more than sockets hold"
    );
    drop(events);
    running.stop();
}

// covers A3-08: events are not dropped, and the server goes on once there is room
#[test]
fn a_program_that_was_behind_misses_nothing() {
    let (running, events, mut client) = behind();
    let (mut opened, mut closed) = (0, 0);
    while (opened, closed) != (513, 512) {
        match next(&events) {
            Event::Opened { .. } => opened += 1,
            Event::Closed { .. } => closed += 1,
            other => panic!("{other:?}"),
        }
    }
    client.send(&json!({"type": "ping"}));
    client.expect("pong");
    running.stop();
}

// covers A0-10, A3-14
#[test]
fn a_drain_tells_every_client() {
    let running = Running::start(bind());
    let address = running.address;
    let mut client = Client::connect(address);
    let handle = running.handle.clone();
    handle.drain_blocking();
    assert_eq!(client.expect("closing")["code"], 1012);
    assert_eq!(u16::from(client.expect_close().code), 1012);
    running.join();
    assert_ends(address);
    assert_eq!(block_on(handle.command(Command::Drain)), Err(Ended));
    assert_eq!(block_on(handle.stats()).err(), Some(Ended));
}

// covers A3-14
#[test]
fn an_abort_overtakes_a_drain_and_cuts_everyone() {
    let running = Running::start(bind());
    let mut silent = Client::connect(running.address);
    running.handle.drain_blocking();
    silent.expect("closing");
    running.handle.abort_blocking();
    let address = running.address;
    running.join();
    drop(silent);
    assert_ends(address);

    let running = Running::start(bind());
    let mut client = Client::connect(running.address);
    running.handle.abort_blocking();
    running.join();
    assert_cut(&mut client);
}

// covers A3-01: what connects before the server runs is served when it does
#[test]
fn connections_wait_for_the_server_to_run() {
    let server = bind();
    let address = at(&server);
    let early = thread::spawn(move || Client::connect(address));
    thread::sleep(Duration::from_millis(20));
    let running = Running::start(server);
    early.join().expect("welcomed");
    running.stop();
}

/// The library as a future: it ends when that is dropped, and serves until the shutdown is done.
#[test]
fn a_future_serves_until_it_is_told_or_dropped() {
    let server = bind();
    let (address, handle) = (at(&server), server.handle());
    let (stop, stopped) = async_std::channel::bounded::<()>(1);
    let running = spawn(server.run(async move {
        let _ = stopped.recv().await;
    }));
    let mut client = Client::connect(address);
    stop.try_send(()).expect("it runs");
    client.expect("closing");
    client.expect_close();
    block_on(running).expect("an orderly end");
    assert_ends(address);
    assert_eq!(block_on(handle.command(Command::Drain)), Err(Ended));

    let server = bind();
    let address = at(&server);
    let running = spawn(server.run(std::future::pending()));
    let mut client = Client::connect(address);
    assert!(block_on(running.cancel()).is_none());
    assert_cut(&mut client);
    assert_ends(address);
}

/// One thread can serve again and again: nothing of a server that has ended stays on it.
#[test]
fn a_thread_is_free_again_after_a_server() {
    let ended = thread::spawn(|| {
        for _ in 0..3 {
            let server = bind();
            let (address, handle) = (at(&server), server.handle());
            let client = thread::spawn(move || {
                let client = Client::connect(address);
                handle.abort_blocking();
                client
            });
            server.run_blocking().expect("an end that was asked for");
            assert_cut(&mut client.join().expect("welcomed"));
        }
    });
    ended.join().expect("no panic");
}

// covers A3-01: a UNIX socket serves as TCP does, and its file is gone afterwards
#[test]
fn a_unix_socket_serves() {
    let path = std::env::temp_dir().join(format!("roomwire-async-std-{}.sock", std::process::id()));
    let mut settings = settings();
    settings.listeners.push(ListenerSettings::at(path.clone()));
    let running = Running::start(Server::bind_now(&settings).expect("free"));
    let stream = UnixStream::connect(&path).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let (mut socket, _) = tungstenite::client("ws://localhost/", stream).expect("a handshake");
    let mut next = || match socket.read().expect("a message") {
        Message::Text(text) => serde_json::from_str::<Value>(&text).expect("JSON"),
        other => panic!("{other:?}"),
    };
    assert_eq!(next()["type"], "welcome");
    let mut tcp = Client::connect(running.address);
    tcp.send(&json!({"type": "broadcast", "data": 1}));
    assert_eq!(next()["type"], "broadcast");
    running.handle.drain_blocking();
    assert_eq!(next()["type"], "closing");
    drop(socket);
    drop(tcp);
    running.join();
    assert!(!path.exists());
}

/// The work of a program, and of the server, on threads of their own.
// covers A8-01
#[test]
fn what_takes_long_is_done_beside_the_loop() {
    for threads in [1, 3] {
        let mut settings = settings();
        settings.threads = threads;
        settings.core.application_types = heavy::TYPES.map(str::to_owned).to_vec();
        let mut server = Server::bind_now(&settings).expect("a free port");
        let gate = heavy::Gate::default();
        let door = gate.clone();
        server.answer(&Hook::new(move |request| {
            door.answer(&request.kind, &request.message)
        }));
        let running = Running::start(server);
        heavy::work_beside_the_loop(running.address, &gate);
        heavy::fail_beside_the_loop(running.address, FAULTY_JOB_BYTES);
        let stats = block_on(running.handle.stats()).expect("it runs");
        assert_eq!((stats.failed_jobs, stats.jobs), (2, 4));
        running.stop();
    }
}

/// A program that does not come back with its answers holds its own threads, and neither the server's nor its end.
// covers A8-01
#[test]
fn an_answer_that_never_comes_holds_nobody_else() {
    for threads in [1, 3] {
        let mut settings = settings();
        settings.core.offload.threads = threads;
        settings.core.offload.hook_threads = threads;
        settings.core.drain.timeout_ms = 100;
        settings.core.application_types = heavy::TYPES.map(str::to_owned).to_vec();
        let mut server = Server::bind_now(&settings).expect("a free port");
        let gate = heavy::Gate::default();
        let door = gate.clone();
        server.answer(&Hook::new(move |request| {
            door.answer(&request.kind, &request.message)
        }));
        let running = Running::start(server);
        let held = heavy::hold_every_hook(running.address, &gate, usize::from(threads));
        running.stop();
        drop(held);
        gate.open();
    }
}
