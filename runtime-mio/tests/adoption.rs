//! Connections that another server has upgraded, on a loop of the server's own and on the program's.

use std::os::unix::net::UnixStream;
use std::thread;

use mio::{Events as Readinesses, Poll, Token};
use roomwire_core::PeerAddr;
use roomwire_core::server::UpgradeRequest;
use roomwire_mio::{AdoptError, Adopted, Ended, Server, attach};
use roomwire_runtime::{ListenerSettings, Settings};
use roomwire_tests::tcp::PATIENCE;
use serde_json::Value;
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

/// Defaults at a free port of loopback, with room for one connection.
fn settings() -> Settings {
    let mut settings = Settings {
        listeners: vec![ListenerSettings::at(([127, 0, 0, 1], 0))],
        ..Settings::default()
    };
    settings.core.limits.max_connections = Some(1);
    settings
}

/// A connection that a program has upgraded, and its client's end.
fn upgraded() -> (Adopted, WebSocket<UnixStream>) {
    let fields = [
        ("host", "example.com"),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ];
    let fields = fields.map(|(name, value)| (name, value.as_bytes()));
    let request = UpgradeRequest::new("GET", "/chat", fields);
    let (near, far) = UnixStream::pair().expect("a pair");
    far.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    // An empty ping of the client's, which the program has read with the request.
    let behind = [0x89, 0x80, 0, 0, 0, 0];
    let adopted = Adopted::new(near, PeerAddr::Local, &request, &behind).expect("a socket");
    let client = WebSocket::from_raw_socket(far, Role::Client, None);
    (adopted, client)
}

/// The type of the next message.
fn kind(client: &mut WebSocket<UnixStream>) -> String {
    match client.read() {
        Ok(Message::Text(text)) => {
            let message: Value = serde_json::from_str(&text).expect("JSON");
            message["type"].as_str().expect("a type").to_owned()
        }
        other => panic!("{other:?}"),
    }
}

/// What an adopted client hears from its beginning to the end of the server.
fn hears_all(client: &mut WebSocket<UnixStream>, drain: impl FnOnce()) {
    assert_eq!(kind(client), "welcome");
    assert!(matches!(client.read(), Ok(Message::Pong(_))));
    drain();
    assert_eq!(kind(client), "closing");
    match client.read() {
        Ok(Message::Close(Some(frame))) => assert_eq!(u16::from(frame.code), 1012),
        other => panic!("{other:?}"),
    }
    while client.read().is_ok() {}
}

// covers A3-01, A3-16
#[test]
fn a_server_takes_over_while_it_has_room_and_runs() {
    let server = Server::bind_now(&settings()).expect("a free port");
    let handle = server.handle();
    let thread = thread::spawn(|| server.run_blocking());
    let (adopted, mut client) = upgraded();
    handle.adopt(adopted).expect("taken");

    let (adopted, mut second) = upgraded();
    let refused = handle.adopt(adopted);
    assert!(matches!(refused, Err(AdoptError::Refused)), "{refused:?}");
    assert!(second.read().is_err(), "it is closed");

    hears_all(&mut client, || handle.drain());
    drop(client);
    thread.join().expect("no panic").expect("an orderly end");
    let (adopted, mut late) = upgraded();
    let ended = handle.adopt(adopted);
    assert!(matches!(ended, Err(AdoptError::Ended(Ended))), "{ended:?}");
    assert!(late.read().is_err(), "it is closed");
}

/// A program whose loop it is hands over at once.
#[test]
fn a_guest_takes_over_on_the_programs_loop() {
    let server = Server::bind_now(&settings()).expect("a free port");
    let handle = server.handle();
    let (adopted, mut client) = upgraded();
    let (second, mut cut) = upgraded();
    let thread = thread::spawn(move || {
        let mut poll = Poll::new().expect("a loop");
        let mut server = attach(server, poll.registry(), Token(7)).expect("descriptors");
        server.adopt(adopted).expect("taken");
        let refused = server.adopt(second);
        assert!(matches!(refused, Err(AdoptError::Refused)), "{refused:?}");
        let mut readinesses = Readinesses::with_capacity(64);
        loop {
            let sleep = server.turn();
            if server.is_over() {
                return;
            }
            poll.poll(&mut readinesses, sleep).expect("a loop");
            for readiness in &readinesses {
                assert!(server.readiness(readiness));
            }
        }
    });
    assert!(cut.read().is_err(), "it is closed");
    hears_all(&mut client, || handle.drain());
    drop(client);
    thread.join().expect("no panic");
}
