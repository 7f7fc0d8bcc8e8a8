//! Pings, and who is taken for dead.

use core::time::Duration;
use std::collections::BTreeSet;

use roomwire_core::config::{Heartbeat, Limits, ListenerConfig};
use roomwire_core::server::{CloseCause, Event};
use roomwire_core::{Config, Input};
use roomwire_tests::{Message, Opcode, Peer, Poll, Upgrade, World};
use serde_json::json;

use crate::{quiet_world, unlimited};

/// Lets time pass until the server pings; returns how long that took, in milliseconds.
fn until_ping(world: &mut World, client: Peer) -> u64 {
    world.mute(client);
    let start = world.driver().now().mono;
    loop {
        assert!(world.sleep(), "no deadline");
        while let Some(message) = world.next_message(client) {
            if message == Message::Ping(Vec::new()) {
                let waited = world.driver().now().mono.saturating_since(start);
                return u64::try_from(waited.as_millis()).expect("a short time");
            }
        }
    }
}

// covers A3-09
#[test]
fn a_client_is_pinged_within_the_interval() {
    let mut world = World::default();
    let client = world.connect();
    for _ in 0..5 {
        let waited = until_ping(&mut world, client);
        assert!((27_000..=30_000).contains(&waited), "{waited}");
        world.send_frame(client, Opcode::Pong, b"");
    }
    assert_eq!(world.ending(client), None);
}

// covers A3-09
#[test]
fn pings_are_spread() {
    let mut world = quiet_world();
    let clients = world.connect_many(200);
    let mut times = BTreeSet::new();
    let mut pinged = 0;
    while pinged < 200 {
        assert!(world.sleep());
        for &client in &clients {
            while let Some(message) = world.next_message(client) {
                if matches!(message, Message::Ping(_)) {
                    pinged += 1;
                    times.insert(world.driver().now().mono);
                }
            }
        }
    }
    assert!(times.len() > 100, "{} different times", times.len());
}

// covers A3-09, A2-05
#[test]
fn a_dead_peer_is_gone_within_interval_and_timeout() {
    let mut world = World::default();
    let (ada, dead) = (world.connect(), world.connect());
    world.join(ada, "tea");
    world.join(dead, "tea");
    world.forget();
    // It takes and sends nothing any more.
    world.stall(dead);
    for _ in 0..59 {
        world.advance_ms(1_000);
        if world.stats().timeouts > 0 {
            break;
        }
    }
    world.advance_ms(1_000);
    assert_eq!(world.stats().timeouts, 1);
    assert_eq!(world.stats().clients, 1);
    let notice = world.expect(ada, "member_left");
    assert_eq!(notice["reason"], "timeout");
    // Its socket follows within the time to linger.
    world.advance_ms(5_000);
    assert!(world.ending(dead).is_some());
    let closed = world.events();
    assert!(
        closed.iter().any(|event| matches!(
            event,
            Event::Closed {
                cause: CloseCause::Timeout,
                ..
            }
        )),
        "{closed:?}"
    );
    world.expect_nothing(ada);
}

// covers A3-09, A1-01
#[test]
fn any_traffic_is_a_sign_of_life() {
    let mut config = unlimited();
    config.timeouts.message_ms = 3_600_000;
    let mut world = World::new(config);
    let ping = json!({"type": "ping"});
    type Say = fn(&mut World, Peer);
    let says: [Say; 4] = [
        |world, client| world.send(client, &json!({"type": "ping"})),
        |world, client| world.send_frame(client, Opcode::Ping, b"x"),
        |world, client| world.send_frame(client, Opcode::Pong, b""),
        // One byte of a frame that takes its time.
        |world, client| world.send_bytes(client, &[0x37]),
    ];
    let clients = world.connect_many(says.len());
    for &client in &clients {
        world.mute(client);
    }
    // The last one has begun a long frame.
    world.send_bytes(clients[3], &[0x82, 0xFE, 0x10, 0x00, 1, 2, 3, 4]);
    for _ in 0..30 {
        world.advance_ms(20_000);
        for (say, &client) in says.iter().zip(&clients) {
            say(&mut world, client);
        }
    }
    assert_eq!(world.stats().timeouts, 0);
    assert_eq!(world.stats().clients, 4);
    world.send(clients[0], &ping);
    assert_eq!(world.ending(clients[0]), None);
}

// covers A3-09: what is not read proves nothing
#[test]
fn who_is_not_read_from_is_not_dead() {
    let mut world = World::new(Config {
        limits: Limits {
            max_queued_events: 1,
            max_pending_requests: 1_000,
            ..Limits::default()
        },
        application_types: vec!["dice".to_owned()],
        ..unlimited()
    });
    let client = world.connect();
    let connection = world.connection(client);
    world.events();
    for _ in 0..200 {
        world.post_json(client, &json!({"type": "dice"}));
    }
    // A program that takes one event a second: what the client sent waits, for longer than a silent client
    // may live.
    let driver = world.driver();
    driver.feed();
    let mut events = 0;
    while events < 200 {
        let now = driver.now().mono;
        driver.set_time(now + Duration::from_secs(1));
        driver.input(Input::Tick);
        for _ in 0..1_000 {
            if driver.poll() == Poll::Idle {
                break;
            }
            let came = driver.take_events();
            events += came.len();
            for event in &came {
                assert!(matches!(event, Event::Application { .. }), "{event:?}");
            }
            if !came.is_empty() {
                break;
            }
        }
    }
    assert_eq!(driver.pipe(connection).ending(), None);
    world.mute(client);
    world.settle();
    assert_eq!(world.stats().timeouts, 0);
    // Read again, it has the whole timeout once more, and not for ever.
    world.advance_ms(29_000);
    assert_eq!(world.ending(client), None);
    world.advance_ms(40_000);
    assert!(world.ending(client).is_some());
}

// An echo sends nothing but echoes.
#[test]
fn an_echo_gets_no_pings() {
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
    world.mute(echo);
    world.advance_ms(10 * 60_000);
    world.expect_nothing(echo);
    assert_eq!(world.ending(echo), None);
}

// covers A3-09
#[test]
fn pings_can_be_off() {
    let mut world = World::new(Config {
        heartbeat: Heartbeat {
            interval_ms: 0,
            timeout_ms: 0,
        },
        ..Config::default()
    });
    let client = world.connect();
    world.advance_ms(24 * 60 * 60 * 1_000);
    assert_eq!(world.next_message(client), None);
    assert_eq!(world.ending(client), None);
    assert_eq!(world.driver().deadline(), None);
}

// covers A3-09: it stops with the server
#[test]
fn nothing_is_armed_when_nobody_is_there() {
    let mut world = World::default();
    let clients = world.connect_many(5);
    for &client in &clients {
        world.send(client, &json!({"type": "join", "room": "tea"}));
        world.send(client, &json!({"type": "typing_start", "room": "tea"}));
    }
    for &client in &clients {
        world.close(client);
    }
    world.assert_empty();
    // What the address said is remembered for a while, then nothing is.
    world.advance_ms(120_000);
    assert_eq!(world.driver().deadline(), None);
}

// covers A3-09: a client's own pings are answered with their payload
#[test]
fn a_ping_frame_is_answered_with_its_payload() {
    let mut world = World::default();
    let client = world.connect();
    for payload in [&b""[..], b"abc", &[7; 125]] {
        world.send_frame(client, Opcode::Ping, payload);
        assert_eq!(
            world.next_message(client),
            Some(Message::Pong(payload.to_vec()))
        );
    }
}

// covers A3-09: who shows no sign of life is told by the close frame alone, and of nothing that waited
#[test]
fn who_is_given_up_for_its_silence_is_told_so_and_nothing_else() {
    let mut world = World::default();
    let (silent, other) = (world.connect(), world.connect());
    world.mute(silent);
    world.dam(silent);
    world.advance_ms(10_000);
    for _ in 0..3 {
        let to = world.id(silent).to_owned();
        world.send(
            other,
            &json!({"type": "private_message", "to": to, "data": 1}),
        );
    }
    while world.stats().timeouts == 0 {
        world.advance_ms(1_000);
    }
    world.release(silent);
    world.expect_nothing(silent);
    assert_eq!(world.close_frame(silent), Some((1001, "no sign of life")));
}
