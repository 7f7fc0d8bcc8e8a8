//! The first message: when it comes, what it says, what it comes before.

use std::collections::BTreeSet;

use roomwire_core::config::{Heartbeat, Limits, Timeouts};
use roomwire_core::server::Event;
use roomwire_core::{Config, Instant};
use roomwire_tests::{Message, Opcode, Upgrade, World, masked};
use serde_json::json;

use crate::unlimited;

// covers A2-01, A0-13
#[test]
fn a_welcome_says_what_a_client_needs_to_know() {
    let mut world = World::default();
    let client = world.knock(&Upgrade::default());
    world.advance_ms(DELAY_MS);
    let welcome = world.expect(client, "welcome");
    let id = welcome["clientId"].as_str().expect("an id").to_owned();
    let expected = json!({
        "type": "welcome", "clientId": id, "timestamp": world.driver().now().unix_ms,
        "protocol": 1, "resumed": false,
        "heartbeatIntervalMs": 30_000, "heartbeatTimeoutMs": 30_000,
        "limits": {"maxMessageBytes": 1_048_576, "maxRooms": 256, "maxRoomNameBytes": 255,
            "rate": {"messages": 100, "perMs": 60_000}},
    });
    assert_eq!(welcome, expected);
}

// covers A2-01
#[test]
fn a_welcome_tells_the_configured_values() {
    let mut world = World::new(Config {
        heartbeat: Heartbeat {
            interval_ms: 5_000,
            timeout_ms: 2_000,
        },
        limits: Limits {
            max_message_bytes: 500,
            max_rooms_per_client: 3,
            ..Limits::default()
        },
        ..unlimited()
    });
    let client = world.knock(&Upgrade::default());
    world.advance_ms(DELAY_MS);
    let welcome = world.expect(client, "welcome");
    assert_eq!(welcome["heartbeatIntervalMs"], 5_000);
    assert_eq!(welcome["heartbeatTimeoutMs"], 2_000);
    let limits =
        json!({"maxMessageBytes": 500, "maxRooms": 3, "maxRoomNameBytes": 255, "rate": null});
    assert_eq!(welcome["limits"], limits);
}

// covers A2-01, A3-07
#[test]
fn a_silent_client_is_welcomed_after_the_delay_in_a_write_of_its_own() {
    let mut world = World::alone(Config::default());
    let client = world.knock(&Upgrade::default());
    let connection = world.connection(client);
    let response = world.client(client).response.clone().expect("a response");
    assert!(response.starts_with("HTTP/1.1 101 "), "{response}");
    assert!(response.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(
        world.driver().pipe(connection).writes(),
        [response.len()],
        "the response alone"
    );
    let asked = world.driver().now().mono;
    assert_eq!(
        world.driver().deadline(),
        Some(asked + core::time::Duration::from_millis(DELAY_MS))
    );
    world.advance_ms(DELAY_MS - 1);
    world.expect_nothing(client);
    assert_eq!(world.events(), []);
    world.advance_ms(1);
    world.expect(client, "welcome");
    assert_eq!(world.driver().pipe(connection).writes().len(), 2);
    assert!(matches!(world.events()[..], [Event::Opened { .. }]));
}

// covers A2-01
#[test]
fn a_client_that_speaks_is_welcomed_at_once() {
    let first_bytes = [
        masked(Opcode::Text, true, br#"{"type":"ping"}"#),
        masked(Opcode::Pong, true, b""),
        vec![0x81],
    ];
    for bytes in first_bytes {
        let mut world = World::default();
        let client = world.knock(&Upgrade::default());
        world.advance_ms(3);
        world.expect_nothing(client);
        world.send_bytes(client, &bytes);
        world.expect(client, "welcome");
    }
}

// covers A2-01, A3-07
#[test]
fn messages_sent_along_with_the_upgrade_wait_for_the_welcome() {
    for chunk in [1, 7, 100, usize::MAX] {
        let mut world = World::default();
        world.driver().set_chunk(chunk);
        let client = world.accept(&Upgrade::default());
        let mut bytes = Upgrade::default().request();
        bytes.extend(masked(
            Opcode::Text,
            true,
            br#"{"type":"join","room":"tea"}"#,
        ));
        bytes.extend(masked(Opcode::Text, true, br#"{"type":"ping"}"#));
        world.send_bytes(client, &bytes);
        let connection = world.connection(client);
        let response = world.client(client).response.clone().expect("a response");
        assert_eq!(
            world.driver().pipe(connection).writes()[0],
            response.len(),
            "the response has a write of its own"
        );
        world.expect(client, "welcome");
        world.expect(client, "joined_room");
        world.expect(client, "pong");
        world.expect_nothing(client);
    }
}

// covers A2-01
#[test]
fn the_delay_can_be_off() {
    let mut world = World::new(Config {
        timeouts: Timeouts {
            welcome_delay_ms: 0,
            ..Timeouts::default()
        },
        ..Config::default()
    });
    let client = world.knock(&Upgrade::default());
    world.expect(client, "welcome");
}

// covers A2-01, A3-07: everything else waits behind the welcome
#[test]
fn nobody_is_told_anything_before_the_welcome() {
    let mut world = World::default();
    let speaker = world.connect();
    let early = world.knock(&Upgrade::default());
    world.send(speaker, &json!({"type": "broadcast", "data": "early"}));
    world.advance_ms(DELAY_MS - 1);
    world.expect_nothing(early);
    world.advance_ms(1);
    world.expect(early, "welcome");
    world.send(speaker, &json!({"type": "broadcast", "data": "now"}));
    assert_eq!(world.expect(early, "broadcast")["data"], "now");
}

// covers A2-01: the delay counts from the moment the response has left
#[test]
fn a_response_that_leaves_late_delays_the_welcome() {
    let mut world = World::default();
    world.driver().set_capacity(50);
    let client = world.accept(&Upgrade::default());
    world.stall(client);
    world.send_bytes(client, &Upgrade::default().request());
    world.advance_ms(5_000);
    assert_eq!(world.client(client).response, None);
    world.release(client);
    assert_eq!(world.client(client).status(), 101);
    world.expect_nothing(client);
    world.advance_ms(DELAY_MS);
    world.expect(client, "welcome");
}

// covers A2-01: a response that never leaves is covered by the time for a handshake
#[test]
fn a_response_that_never_leaves_ends_the_connection() {
    let mut world = World::default();
    world.driver().set_capacity(50);
    let client = world.accept(&Upgrade::default());
    world.stall(client);
    world.send_bytes(client, &Upgrade::default().request());
    world.advance_ms(9_999);
    assert_eq!(world.ending(client), None);
    world.advance_ms(1);
    assert!(world.ending(client).is_some());
    world.assert_empty();
}

// covers A12-01
#[test]
fn the_first_message_is_the_welcome_a_thousand_times() {
    let mut world = World::default();
    for round in 0..1_000_u64 {
        // Clients open their eyes at all sorts of times.
        let late = Instant::from_micros(round * 37 % 120_000);
        let client = world.knock(&Upgrade::default());
        world.advance_ms(late.as_micros() / 1_000);
        world.send(client, &json!({"type": "ping"}));
        world.expect(client, "welcome");
        world.expect(client, "pong");
        world.close(client);
    }
    world.assert_empty();
}

// covers A3-07: a client that leaves before its welcome was never there
#[test]
fn who_leaves_before_the_welcome_was_never_there() {
    let mut world = World::default();
    let watcher = world.connect();
    world.events();
    let client = world.knock(&Upgrade::default());
    world.reset(client);
    let client = world.knock(&Upgrade::default());
    // A close frame is a first byte like any other: welcome, then the answer to it.
    world.send_frame(client, Opcode::Close, &1000_u16.to_be_bytes());
    world.expect(client, "welcome");
    assert_eq!(
        world.next_message(client),
        Some(Message::Close(1000, String::new()))
    );
    world.finish(client);
    let events = world.events();
    assert_eq!(events.len(), 2, "{events:?}");
    world.expect_nothing(watcher);
    assert_eq!(world.stats().clients, 1);
}

/// How long the welcome is held by default.
const DELAY_MS: u64 = 100;

/// An id tells others nothing of its place, nor of how many came before: its last 48 bits, which are eight of its
/// characters, look like chance.
#[test]
fn ids_have_no_order() {
    let mut world = World::default();
    let mut first = BTreeSet::new();
    for _ in 0..64 {
        let client = world.connect();
        let id = world.id(client);
        let place = &id[id.len() - 8..];
        first.insert(place.chars().next());
    }
    assert!(first.len() > 24, "{} of 64 characters", first.len());
}
