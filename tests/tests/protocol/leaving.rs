//! Closing, from either side, and the drain.

use core::time::Duration;
use std::collections::BTreeSet;

use roomwire_core::config::{Drain, ListenerConfig};
use roomwire_core::server::{CloseCause, Command, Event};
use roomwire_core::{Config, Input, Machine};
use roomwire_tests::{Ending, Message, Opcode, Upgrade, World, masked};
use serde_json::json;

// ---- one client

// covers A3-19
#[test]
fn a_close_frame_is_answered_and_the_socket_follows() {
    for (payload, code) in [
        (&[][..], 1005),
        (&[0x03, 0xE8][..], 1000),
        (&[0x0F, 0xA0, b'b', b'y', b'e'][..], 4000),
    ] {
        let mut world = World::default();
        let client = world.connect();
        world.send_frame(client, Opcode::Close, payload);
        assert_eq!(
            world.next_message(client),
            Some(Message::Close(code, String::new()))
        );
        let connection = world.connection(client);
        assert!(world.driver().pipe(connection).is_finished());
        assert_eq!(world.ending(client), None, "the client closes too");
        world.finish(client);
        assert_eq!(world.ending(client), Some(Ending::Closed));
        world.assert_empty();
    }
}

/// Whoever waits for the end of a drain that is over would keep the process for nothing.
#[test]
fn a_drain_that_is_over_is_not_waited_for() {
    let mut config = Config::default();
    config.heartbeat.interval_ms = 0;
    let mut world = World::alone(config);
    let client = world.connect();
    world.command(Command::Drain);
    world.reset(client);
    assert!(world.events().contains(&Event::Drained));
    assert_eq!(world.driver().deadline(), None);
}

/// Whether what waits for a client is said to be the last of it, and whether anything waits.
fn says_last(world: &mut World, client: roomwire_tests::Peer) -> (bool, bool) {
    let connection = world.connection(client);
    let unsent = world.driver().machine().unsent(connection);
    (unsent.is_last(), unsent.count() > 0)
}

/// Drivers let the last bytes and the end share a packet, and hold the end back until they have left.
#[test]
fn the_last_bytes_of_a_connection_are_said_to_be_the_last() {
    let mut world = World::default();
    let client = world.connect();
    let connection = world.connection(client);
    world.dam(client);
    world.command(Command::Send {
        connection,
        message: r#"{"type":"news"}"#.to_owned(),
    });
    assert_eq!(says_last(&mut world, client), (false, true));
    world.command(Command::Close {
        connection,
        code: 4000,
        reason: String::new(),
        reconnect_after_ms: None,
    });
    assert_eq!(says_last(&mut world, client), (true, true));
    world.release(client);
    assert_eq!(world.close_frame(client), Some((4000, "")));
}

// covers A0-13, A0-14
#[test]
fn a_client_is_told_before_it_is_closed() {
    let mut world = World::default();
    let client = world.connect();
    let connection = world.connection(client);
    world.command(Command::Close {
        connection,
        code: 4403,
        reason: "house rules".to_owned(),
        reconnect_after_ms: Some(1_500),
    });
    let closing = world.expect(client, "closing");
    let expected = json!({"type": "closing", "code": 4403, "reason": "house rules",
        "reconnectAfterMs": 1_500});
    assert_eq!(closing, expected);
    assert_eq!(world.close_frame(client), Some((4403, "house rules")));
    assert!(world.driver().pipe(connection).is_finished());
    assert_eq!(world.ending(client), None, "the client closes too");
    world.close(client);
    assert_eq!(world.ending(client), Some(Ending::Closed));
    world.assert_empty();
}

// covers A0-14
#[test]
fn a_code_that_cannot_be_sent_becomes_1000_and_a_long_reason_is_cut() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000] {
        let mut world = World::default();
        let client = world.connect();
        let connection = world.connection(client);
        world.command(Command::Close {
            connection,
            code,
            reason: "ö".repeat(100),
            reconnect_after_ms: None,
        });
        let closing = world.expect(client, "closing");
        assert_eq!(closing.get("reconnectAfterMs"), None);
        let (sent, reason) = world.close_frame(client).expect("a close frame");
        assert_eq!(sent, 1000, "{code}");
        assert_eq!(reason, "ö".repeat(61));
    }
}

// covers A0-13: who does not close in turn is reset after the time to linger
#[test]
fn a_client_that_does_not_close_is_reset() {
    let mut world = World::default();
    let client = world.connect();
    let connection = world.connection(client);
    world.command(Command::Close {
        connection,
        code: 1000,
        reason: String::new(),
        reconnect_after_ms: None,
    });
    // What it still says is nothing to anybody.
    world.send(client, &json!({"type": "ping"}));
    world.advance_ms(4_999);
    assert_eq!(world.ending(client), None);
    world.advance_ms(1);
    assert_eq!(world.ending(client), Some(Ending::Reset));
    world.assert_empty();
}

// ---- everyone

// covers A0-10, A0-13, A3-14, A12-04
#[test]
fn a_drain_says_goodbye_to_everyone() {
    let mut world = World::default();
    let clients = world.connect_many(100);
    for &client in &clients {
        world.join(client, "tea");
    }
    world.forget();
    world.command(Command::Drain);
    let mut delays = BTreeSet::new();
    for &client in &clients {
        let messages = world.all(client);
        let closing = messages.last().expect("a goodbye");
        assert_eq!(closing["type"], "closing");
        assert_eq!(closing["code"], 1012);
        let delay = closing["reconnectAfterMs"].as_u64().expect("a delay");
        assert!((500..=5_000).contains(&delay), "{delay}");
        delays.insert(delay);
        assert_eq!(world.close_frame(client).map(|(code, _)| code), Some(1012));
    }
    assert!(delays.len() > 80, "each has its own: {}", delays.len());
    assert!(world.try_accept(&Upgrade::default()).is_none());
    assert_eq!(world.stats().refused_connections, 1);
    for &client in &clients {
        assert!(!world.events().contains(&Event::Drained));
        world.close(client);
    }
    let events = world.events();
    assert_eq!(events.last(), Some(&Event::Drained), "{events:?}");
    world.assert_empty();
    world.advance_ms(60_000);
    assert_eq!(world.events(), []);
    assert_eq!(world.driver().deadline(), None);
}

// covers A0-10
#[test]
fn a_drain_waits_no_longer_than_it_may() {
    let mut world = World::new(Config {
        drain: Drain {
            code: 1001,
            timeout_ms: 2_000,
            reconnect_min_ms: 7,
            reconnect_max_ms: 7,
        },
        ..Config::default()
    });
    let (polite, dead) = (world.connect(), world.connect());
    world.stall(dead);
    world.events();
    world.command(Command::Drain);
    let closing = world.expect(polite, "closing");
    assert_eq!(closing["code"], 1001);
    assert_eq!(closing["reconnectAfterMs"], 7);
    world.close(polite);
    world.advance_ms(1_999);
    assert_eq!(world.ending(dead), None);
    world.advance_ms(1);
    assert_eq!(world.ending(dead), Some(Ending::Reset));
    let events = world.events();
    let closed = events.iter().filter(|event| {
        matches!(
            event,
            Event::Closed {
                cause: CloseCause::Drain,
                code: 1001,
                ..
            }
        )
    });
    assert_eq!(closed.count(), 2, "{events:?}");
    assert_eq!(events.last(), Some(&Event::Drained));
    world.assert_empty();
}

// covers A0-10
#[test]
fn an_empty_server_is_drained_at_once_and_once() {
    let mut world = World::default();
    world.command(Command::Drain);
    assert_eq!(world.events(), [Event::Drained]);
    world.command(Command::Drain);
    world.advance_ms(60_000);
    assert_eq!(world.events(), []);
}

// covers A0-10, A2-01: whoever has not been welcomed yet is, then told
#[test]
fn a_drain_catches_every_stage() {
    let mut world = World::default();
    let silent = world.accept(&Upgrade::default());
    let asking = world.accept(&Upgrade::default());
    world.send_bytes(asking, b"GET / HTTP/1.1\r\nHo");
    let held = world.knock(&Upgrade::default());
    let idle = world.accept(&Upgrade::default());
    world.send_bytes(idle, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(world.client(idle).status(), 200);
    world.command(Command::Drain);
    world.expect(held, "welcome");
    world.expect(held, "closing");
    assert_eq!(world.close_frame(held).map(|(code, _)| code), Some(1012));
    for peer in [silent, asking, idle] {
        assert_eq!(world.ending(peer), Some(Ending::Closed));
    }
    world.close(held);
    assert_eq!(world.events(), [Event::Drained]);
    world.assert_empty();
}

// covers A0-10: an answer that waits for its client is not cut off by the end of the connection
#[test]
fn a_drain_waits_for_an_answer_to_be_read() {
    let mut world = World::default();
    let client = world.accept(&Upgrade::default());
    let connection = world.connection(client);
    world.dam(client);
    world.send_bytes(client, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    world.command(Command::Drain);
    world.release(client);
    assert_eq!(world.client(client).status(), 200);
    assert!(world.driver().pipe(connection).is_finished());
    assert_eq!(world.ending(client), None, "the client closes too");
    world.finish(client);
    assert_eq!(world.ending(client), Some(Ending::Closed));
    assert_eq!(world.events(), [Event::Drained]);
}

// covers A0-10: who is far behind many that have gone is told as soon
#[test]
fn a_drain_passes_over_those_that_have_gone() {
    let mut world = crate::quiet_world();
    let clients = world.connect_many(600);
    let (last, gone) = clients.split_last().expect("some");
    for &client in gone {
        world.reset(client);
    }
    world.forget();
    world.command(Command::Drain);
    world.expect(*last, "closing");
}

// covers A0-10: an echo is sent nothing but what it says, and the close frame
#[test]
fn a_drain_closes_an_echo_without_a_word() {
    let mut world = World::new(Config {
        listeners: vec![ListenerConfig {
            echo: true,
            ..ListenerConfig::default()
        }],
        ..Config::default()
    });
    let echo = world.knock(&Upgrade {
        path: "/echo",
        ..Upgrade::default()
    });
    world.command(Command::Drain);
    world.expect_nothing(echo);
    assert_eq!(world.close_frame(echo).map(|(code, _)| code), Some(1012));
}

// covers A0-10, A11-02: a request that crosses the drain is told
#[test]
fn a_request_that_crosses_a_drain_is_refused() {
    for (request, status) in [
        (Upgrade::default().request(), 503),
        (
            b"GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            503,
        ),
        (
            b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
            200,
        ),
    ] {
        let mut world = World::default();
        let client = world.accept(&Upgrade::default());
        // The drain is asked for, and the request handed in, before the server is polled.
        world.post(client, &request);
        world.driver().input(Input::Command(Command::Drain));
        world.settle();
        assert_eq!(world.client(client).status(), status);
        world.finish(client);
        assert!(world.events().contains(&Event::Drained));
        world.assert_empty();
    }
}

// covers A0-10: more clients than one poll tells
#[test]
fn a_large_drain_ends() {
    let mut world = crate::quiet_world();
    let clients = world.connect_many(1_500);
    for &client in clients.iter().step_by(3) {
        world.stall(client);
    }
    world.command(Command::Drain);
    for &client in &clients {
        if world.close_frame(client).is_some() {
            let connection = world.connection(client);
            world.driver().finish(connection);
        }
    }
    world.settle();
    world.driver().advance(Duration::from_secs(30));
    let events = world.events();
    assert_eq!(events.last(), Some(&Event::Drained));
    world.assert_empty();
}

// covers A1-05: what was published before a client finished writing reaches it, polled or not in between
#[test]
fn who_finishes_writing_still_gets_what_was_published_before() {
    for polled in [false, true] {
        let mut world = World::alone(crate::unlimited());
        let (ada, bob) = (world.connect(), world.connect());
        world.join(ada, "tea");
        world.join(bob, "tea");
        world.forget();
        let say = json!({"type": "room_message", "room": "tea", "data": 1}).to_string();
        let mut bytes = masked(Opcode::Text, true, say.as_bytes());
        let connection = world.connection(ada);
        world.driver().input(Input::Received {
            connection,
            bytes: &mut bytes,
        });
        if polled {
            world.settle();
        }
        let connection = world.connection(bob);
        world.driver().input(Input::ReadEnd { connection });
        world.settle();
        assert_eq!(world.expect(bob, "room_message")["data"], 1, "{polled}");
        assert_eq!(world.stats().discarded, 0);
    }
}
