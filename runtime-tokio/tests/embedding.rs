//! The library as an embedding program sees it: binding, events, commands, and every way to end, over real TCP.

mod common;

use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use common::{Running, at, settings, soon};
use roomwire_core::ErrorCode;
use roomwire_core::server::{CloseCause, Command, Event, Outcome};
use roomwire_runtime::{FAULTY_JOB_BYTES, FAULTY_ROOM, Hook, ListenerSettings, RunError};
use roomwire_tests::heavy;
use roomwire_tests::tcp::{
    Client, PATIENCE, assert_cut, assert_ends, meet, say_goodbye_and_more, survive,
};
use roomwire_tokio::{Ended, Server};
use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;
use tungstenite::Message;

async fn bind() -> Server {
    Server::bind(settings()).await.expect("a free port")
}

async fn next(events: &mut Receiver<Event>) -> Event {
    soon(events.recv()).await.expect("the server runs")
}

/// What a client still sends after its close frame does not take the answer along.
// covers A3-19
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_goes_on_after_goodbye_hears_the_answer() {
    let mut settings = settings();
    settings.core.timeouts.welcome_delay_ms = 0;
    let running = Running::start(Server::bind(settings).await.expect("a free port"));
    say_goodbye_and_more(running.address);
    running.stop().await;
}

/// A thread that fails takes its clients along, and begins anew; the others go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_thread_that_fails_begins_anew() {
    let mut settings = settings();
    settings.threads = 2;
    let mut server = Server::bind(settings).await.expect("a free port");
    let mut events = server.events();
    let address = at(&server);
    let running = Running::start(server);
    let mut clients = meet(address, 24);
    let mut first = BTreeSet::new();
    for _ in &clients {
        let Event::Opened {
            connection, client, ..
        } = next(&mut events).await
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
    running.handle.command(command).await.expect("it runs");
    let on_first = |client: &Client| first.contains(&client.id);
    let (lost, left): (Vec<_>, Vec<_>) = clients.drain(..).partition(on_first);
    assert!(
        !lost.is_empty() && !left.is_empty(),
        "{} were lost",
        lost.len()
    );
    survive(address, lost, left);
    running.stop().await;
    let events: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).collect();
    let failed = |event: &&Event| matches!(event, Event::Failed { .. });
    assert_eq!(events.iter().filter(failed).count(), 1);
    assert_eq!(events.last(), Some(&Event::Drained));
}

// covers A11-05
/// Several threads are one server, for its clients and for the program.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn several_threads_are_one_server() {
    let mut settings = settings();
    settings.threads = 3;
    let mut server = Server::bind(settings).await.expect("a free port");
    let mut events = server.events();
    let address = at(&server);
    let running = Running::start(server);
    let mut clients = meet(address, 12);
    let mut shards = BTreeSet::new();
    for _ in &clients {
        let Event::Opened { connection, .. } = next(&mut events).await else {
            panic!("not opened");
        };
        shards.insert(connection.shard());
        let message = r#"{"type":"news"}"#.to_owned();
        let command = Command::Send {
            connection,
            message,
        };
        running.handle.command(command).await.expect("it runs");
    }
    assert!(shards.len() > 1, "all connections are on one thread");
    for client in &mut clients {
        client.expect("news");
    }
    let stats = running.handle.stats().await.expect("it runs");
    assert_eq!((stats.clients, stats.opened, stats.rooms), (12, 12, 1));
    running.handle.drain().await;
    for client in &mut clients {
        client.expect("closing");
        assert_eq!(u16::from(client.expect_close().code), 1012);
    }
    running.stop().await;
    let ends: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).collect();
    assert_eq!(ends.len(), 13);
    assert_eq!(ends.last(), Some(&Event::Drained), "once, at the end");
}

// ---- binding

// covers A3-01
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_listener_gets_a_free_port_and_serves() {
    let mut settings = settings();
    settings
        .listeners
        .push(ListenerSettings::at(([127, 0, 0, 1], 0)));
    let server = Server::bind(settings).await.expect("free ports");
    let addresses = server.local_addrs().iter();
    let addresses: Vec<_> = addresses.filter_map(|a| a.socket_addr()).collect();
    assert_eq!(addresses.len(), 2);
    assert_eq!(addresses[0], at(&server));
    assert!(addresses.iter().all(|address| address.port() != 0));
    assert_ne!(addresses[0], addresses[1]);
    let running = Running::start(server);
    for address in addresses {
        Client::connect(address);
    }
    running.stop().await;
}

// covers A3-01
#[tokio::test]
async fn an_address_in_use_is_an_error_that_says_so() {
    let first = bind().await;
    let mut settings = settings();
    settings.listeners = vec![ListenerSettings::at(at(&first))];
    let error = Server::bind(settings).await.expect_err("taken");
    let RunError::Bind(bind) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(bind.address, at(&first).into());
    assert_eq!(bind.source.kind(), std::io::ErrorKind::AddrInUse);
    let text = error.to_string();
    let address = at(&first).to_string();
    assert!(text.contains(&address) && text.contains("choose another port"));
}

#[tokio::test]
async fn settings_that_cannot_work_are_an_error_at_once() {
    let mut settings = settings();
    settings.core.application_types = vec!["join".to_owned()];
    let error = Server::bind(settings).await.expect_err("a protocol's type");
    let RunError::Config(config) = error else {
        panic!("{error:?}");
    };
    assert_eq!(config.key, "application_types[0]");
}

// covers A3-01: what connects before the server runs is served when it does
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn connections_wait_for_the_server_to_run() {
    let server = bind().await;
    let address = at(&server);
    let early = std::thread::spawn(move || Client::connect(address));
    let running = Running::start(server);
    early.join().expect("welcomed");
    running.stop().await;
}

// covers A3-01: a UNIX socket serves as TCP does, and its file is gone afterwards
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_unix_socket_serves() {
    let path = std::env::temp_dir().join(format!("roomwire-tokio-{}.sock", std::process::id()));
    let mut settings = settings();
    settings.listeners.push(ListenerSettings::at(path.clone()));
    let running = Running::start(Server::bind(settings).await.expect("free"));
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
    running.handle.drain().await;
    assert_eq!(next()["type"], "closing");
    drop(socket);
    drop(tcp);
    running.stop().await;
    assert!(!path.exists());
}

// ---- events and commands

// covers A1-16, A3-08
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_program_answers_its_own_message_types() {
    let mut settings = settings();
    settings.core.application_types = vec!["sum".to_owned()];
    let mut server = Server::bind(settings).await.expect("a free port");
    let mut events = server.events();
    let running = Running::start(server);
    let mut ada = Client::connect(running.address);
    let opened = next(&mut events).await;
    let Event::Opened {
        connection, client, ..
    } = opened
    else {
        panic!("{opened:?}");
    };
    assert_eq!(client.as_str(), ada.id);

    let text = r#"{"type":"sum","id":"s-1","of":[1, 2.50]}"#;
    let outcomes = [
        Outcome::Reply(r#"{"type":"summed","sum":3.50}"#.to_owned()),
        Outcome::Ack,
        Outcome::Error {
            code: ErrorCode::Forbidden,
            message: "not today".to_owned(),
        },
    ];
    for outcome in outcomes {
        ada.send_text(text);
        let asked = next(&mut events).await;
        let Event::Application {
            connection: from,
            request,
            kind,
            message,
            ..
        } = asked
        else {
            panic!("{asked:?}");
        };
        assert_eq!(
            (from, kind.as_str(), message.as_str()),
            (connection, "sum", text)
        );
        let reply = Command::Reply { request, outcome };
        soon(running.handle.command(reply)).await.expect("it runs");
    }
    assert_eq!(
        ada.expect("summed"),
        json!({"type": "summed", "id": "s-1", "sum": 3.5})
    );
    assert_eq!(ada.expect("ack")["id"], "s-1");
    let error = ada.expect("error");
    assert_eq!(
        error,
        json!({"type": "error", "id": "s-1", "code": "forbidden", "message": "not today"})
    );

    ada.socket().close(None).expect("sent");
    drop(ada);
    let closed = next(&mut events).await;
    assert!(
        matches!(closed, Event::Closed { connection: c, cause: CloseCause::Client, received: 3, .. }
            if c == connection),
        "{closed:?}"
    );
    running.stop().await;
    assert_eq!(next(&mut events).await, Event::Drained);
    assert_eq!(soon(events.recv()).await, None);
}

// covers A2-05
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_program_sends_publishes_kicks_and_closes() {
    let mut server = bind().await;
    let mut events = server.events();
    let running = Running::start(server);
    let (mut ada, mut bob) = (
        Client::connect(running.address),
        Client::connect(running.address),
    );
    let mut connections = Vec::new();
    for _ in 0..2 {
        match next(&mut events).await {
            Event::Opened { connection, .. } => connections.push(connection),
            other => panic!("{other:?}"),
        }
    }
    for client in [&mut ada, &mut bob] {
        client.send(&json!({"type": "join", "room": "tea"}));
        client.expect("joined_room");
    }
    ada.expect("member_joined");

    let (room, message) = ("tea".to_owned(), r#"{"type":"news","n":1}"#.to_owned());
    let commands = [
        Command::Publish {
            room: room.clone(),
            message: message.clone(),
        },
        Command::Send {
            connection: connections[0],
            message: message.clone(),
        },
        Command::Kick {
            connection: connections[1],
            room: room.clone(),
        },
        Command::Close {
            connection: connections[1],
            code: 4000,
            reason: "enough".to_owned(),
            reconnect_after_ms: None,
        },
    ];
    for command in commands {
        soon(running.handle.command(command))
            .await
            .expect("it runs");
    }
    ada.expect("news");
    ada.expect("news");
    let left = ada.expect("member_left");
    assert_eq!(
        (&left["clientId"], &left["reason"]),
        (&json!(bob.id), &json!("kicked"))
    );
    bob.expect("news");
    bob.expect("left_room");
    bob.expect("closing");
    assert_eq!(u16::from(bob.expect_close().code), 4000);
    drop(bob);
    let closed = next(&mut events).await;
    assert!(
        matches!(
            closed,
            Event::Closed {
                cause: CloseCause::Command,
                code: 4000,
                ..
            }
        ),
        "{closed:?}"
    );

    let stats = soon(running.handle.stats()).await.expect("it runs");
    assert_eq!((stats.clients, stats.rooms, stats.opened), (1, 1, 2));
    drop(ada);
    running.stop().await;
}

// covers A3-08: whoever unsubscribes does not hold the server up
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_program_need_not_take_events() {
    let mut server = bind().await;
    drop(server.events());
    let running = Running::start(server);
    for _ in 0..3 {
        Client::connect(running.address);
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nothing_is_read_while_the_program_is_behind_with_events() {
    let mut settings = settings();
    settings.core.timeouts.welcome_delay_ms = 0;
    let mut server = Server::bind(settings).await.expect("a free port");
    let events = server.events();
    let running = Running::start(server);
    let mut flooder = Client::connect(running.address);
    let stream = flooder.socket().get_ref().try_clone();
    let mut stream = stream.expect("a descriptor");
    for _ in 0..512 {
        // Each opens and closes: with the last one there is an event more than may wait.
        drop(Client::connect(running.address));
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    stream.set_nonblocking(true).expect("a socket");
    let pings = [0x89, 0x80, 0, 0, 0, 0].repeat(10_000);
    let (mut taken, end) = (0, Instant::now() + Duration::from_millis(500));
    while Instant::now() < end {
        match stream.write(&pings) {
            Ok(bytes) => taken += bytes,
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    assert!(
        taken < 16 * 1024 * 1024,
        "{taken} bytes are more than sockets hold"
    );
    drop(events);
    running.stop().await;
}

// ---- the end

// covers A0-10, A3-14
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_graceful_shutdown_tells_every_client() {
    let running = Running::start(bind().await);
    let address = running.address;
    let mut clients = [Client::connect(address), Client::connect(address)];
    let handle = running.handle.clone();
    let told = std::thread::spawn(move || {
        for client in &mut clients {
            let closing = client.expect("closing");
            assert_eq!(closing["code"], 1012);
            let delay = closing["reconnectAfterMs"].as_u64().expect("a delay");
            assert!((500..=5_000).contains(&delay), "{delay}");
            assert_eq!(u16::from(client.expect_close().code), 1012);
        }
    });
    running.stop().await;
    told.join().expect("everyone was told");
    assert_ends(address);
    let late = handle.command(Command::Drain).await;
    assert_eq!(late, Err(Ended));
    assert_eq!(handle.stats().await.err(), Some(Ended));
}

// covers A3-14: who does not answer the goodbye is cut when the time is up
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_graceful_shutdown_waits_no_longer_than_it_may() {
    let mut settings = settings();
    settings.core.drain.timeout_ms = 50;
    let running = Running::start(Server::bind(settings).await.expect("a free port"));
    let silent = Client::connect(running.address);
    let start = Instant::now();
    running.stop().await;
    assert!(start.elapsed() < Duration::from_secs(5));
    drop(silent);
}

// covers A3-14
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_abort_cuts_everyone() {
    let running = Running::start(bind().await);
    let mut client = Client::connect(running.address);
    running.handle.abort().await;
    let outcome = soon(running.task).await.expect("no panic");
    outcome.expect("an end that was asked for");
    assert_cut(&mut client);
    assert_ends(running.address);
}

// covers A3-14
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_abort_overtakes_a_drain() {
    let running = Running::start(bind().await);
    let mut silent = Client::connect(running.address);
    running.handle.drain().await;
    silent.expect("closing");
    let start = Instant::now();
    running.handle.abort().await;
    let outcome = soon(running.task).await.expect("no panic");
    outcome.expect("an end that was asked for");
    assert!(start.elapsed() < Duration::from_secs(5));
}

// covers A3-14
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn dropping_the_future_ends_the_server() {
    let running = Running::start(bind().await);
    let mut client = Client::connect(running.address);
    running.task.abort();
    assert!(
        soon(running.task)
            .await
            .expect_err("dropped")
            .is_cancelled()
    );
    assert_cut(&mut client);
    assert_ends(running.address);
    assert_eq!(running.handle.command(Command::Drain).await, Err(Ended));
}

// covers A3-01, A3-14
#[test]
fn a_program_needs_no_runtime_of_its_own() {
    let server = Server::bind_now(&settings()).expect("a free port");
    let (address, handle) = (at(&server), server.handle());
    let thread = std::thread::spawn(move || server.run_blocking());
    let mut client = Client::connect(address);
    handle.drain_blocking();
    client.expect("closing");
    client.expect_close();
    drop(client);
    let outcome = thread.join().expect("no panic");
    outcome.expect("an orderly end");
    assert_ends(address);
}

/// The work of a program, and of the server, on threads of their own.
// covers A8-01
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_takes_long_is_done_beside_the_loop() {
    for threads in [1, 3] {
        let mut settings = settings();
        settings.threads = threads;
        settings.core.application_types = heavy::TYPES.map(str::to_owned).to_vec();
        let mut server = Server::bind(settings).await.expect("a free port");
        let gate = heavy::Gate::default();
        let door = gate.clone();
        server.answer(&Hook::new(move |request| {
            door.answer(&request.kind, &request.message)
        }));
        let running = Running::start(server);
        let address = running.address;
        let work = move || {
            heavy::work_beside_the_loop(address, &gate);
            heavy::fail_beside_the_loop(address, FAULTY_JOB_BYTES);
        };
        soon(tokio::task::spawn_blocking(work))
            .await
            .expect("no panic");
        let stats = running.handle.stats().await.expect("it runs");
        assert_eq!((stats.failed_jobs, stats.jobs), (2, 4));
        running.stop().await;
    }
}

/// A program that does not come back with its answers holds its own threads, and neither the server's nor its end.
// covers A8-01
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_answer_that_never_comes_holds_nobody_else() {
    for threads in [1, 3] {
        let mut settings = settings();
        settings.core.offload.threads = threads;
        settings.core.offload.hook_threads = threads;
        settings.core.drain.timeout_ms = 100;
        settings.core.application_types = heavy::TYPES.map(str::to_owned).to_vec();
        let mut server = Server::bind(settings).await.expect("a free port");
        let gate = heavy::Gate::default();
        let door = gate.clone();
        server.answer(&Hook::new(move |request| {
            door.answer(&request.kind, &request.message)
        }));
        let running = Running::start(server);
        let (address, way) = (running.address, gate.clone());
        let hold = move || heavy::hold_every_hook(address, &way, usize::from(threads));
        let held = soon(tokio::task::spawn_blocking(hold))
            .await
            .expect("no panic");
        running.stop().await;
        drop(held);
        gate.open();
    }
}
