//! What a server counts of itself.

use roomwire_core::config::ListenerConfig;
use roomwire_core::server::Command;
use roomwire_core::{Config, Stats};
use roomwire_tests::{Opcode, Peer, Upgrade, World, masked};
use serde_json::{Value, json};

use crate::{quiet_world, unlimited};

/// What a step adds: messages received, published and refused, deliveries, messages for one alone.
fn added(world: &mut World, step: impl FnOnce(&mut World)) -> [u64; 5] {
    let counts = |stats: Stats| {
        let Stats {
            received,
            published,
            refused,
            deliveries,
            direct,
            ..
        } = stats;
        [received, published, refused, deliveries, direct]
    };
    let before = counts(world.stats());
    step(world);
    let after = counts(world.stats());
    core::array::from_fn(|at| after[at] - before[at])
}

/// Three clients in a room, one of them alone in another.
fn trio() -> (World, [Peer; 3]) {
    let mut world = quiet_world();
    let clients = [world.connect(), world.connect(), world.connect()];
    for client in clients {
        world.join(client, "tea");
    }
    world.join(clients[0], "den");
    world.forget();
    (world, clients)
}

#[test]
fn every_message_is_counted_where_it_goes() {
    let (mut world, [ada, bob, _]) = trio();
    let to = world.id(bob).to_owned();
    let room = |name: &str| json!({"type": "room_message", "room": name, "data": 1});
    let steps: [(Value, [u64; 5]); 7] = [
        (room("tea"), [1, 1, 0, 2, 1]),
        (room("den"), [1, 1, 0, 0, 1]),
        (room("nowhere"), [1, 0, 1, 0, 1]),
        (json!({"type": "broadcast", "data": 1}), [1, 1, 0, 2, 1]),
        (
            json!({"type": "private_message", "to": to, "data": 1}),
            [1, 0, 0, 0, 2],
        ),
        (
            json!({"type": "typing_start", "room": "tea"}),
            [1, 1, 0, 2, 1],
        ),
        (json!({"type": "leave", "room": "den"}), [1, 0, 0, 0, 1]),
    ];
    for (message, expected) in steps {
        let added = added(&mut world, |world| {
            world.request(ada, &message);
        });
        assert_eq!(added, expected, "{message}");
    }
    // The program's.
    let message = r#"{"type":"news"}"#.to_owned();
    let (room, connection) = ("tea".to_owned(), world.connection(ada));
    let publish = Command::Publish {
        room,
        message: message.clone(),
    };
    let send = Command::Send {
        connection,
        message,
    };
    assert_eq!(added(&mut world, |w| w.command(publish)), [0, 1, 0, 3, 0]);
    assert_eq!(added(&mut world, |w| w.command(send)), [0, 0, 0, 0, 1]);
    assert_eq!(world.stats().time_went_back, 0);
}

#[test]
fn bytes_are_counted_as_they_pass() {
    let (mut world, [ada, ..]) = trio();
    let ping = masked(Opcode::Text, true, br#"{"type":"ping"}"#);
    let before = world.stats();
    world.send_bytes(ada, &ping);
    world.send_bytes(ada, &ping);
    let pong = world.next_text(ada).expect("a pong");
    let after = world.stats();
    let received = after.received_bytes - before.received_bytes;
    assert_eq!(received, 2 * ping.len() as u64);
    let sent = after.sent_bytes - before.sent_bytes;
    assert_eq!(sent, 2 * (2 + pong.len() as u64));
}

#[test]
fn what_waits_and_what_is_given_up_is_counted() {
    let (mut world, [ada, bob, _]) = trio();
    world.dam(bob);
    let message =
        json!({"type": "private_message", "to": world.id(bob), "data": "x".repeat(5_000)});
    assert_eq!(world.stats().buffered_bytes, 0);
    for _ in 0..3 {
        world.send(ada, &message);
    }
    let held = world.stats().buffered_bytes;
    assert!((15_000..40_000).contains(&held), "{held}");
    assert_eq!(world.stats().discarded, 0);
    world.reset(bob);
    let stats = world.stats();
    assert_eq!((stats.buffered_bytes, stats.discarded), (0, 3));
}

#[test]
fn commands_to_nobody_are_counted() {
    let (mut world, [ada, bob, _]) = trio();
    let early = world.knock(&Upgrade::default());
    world.reset(bob);
    for (peer, stale) in [(ada, 0), (early, 1), (bob, 1)] {
        let connection = world.connection(peer);
        let before = world.stats().stale;
        world.command(Command::Send {
            connection,
            message: r#"{"type":"news"}"#.to_owned(),
        });
        assert_eq!(world.stats().stale - before, stale);
    }
}

#[test]
fn what_an_echo_says_is_counted_too() {
    let mut world = World::new(Config {
        listeners: vec![ListenerConfig {
            echo: true,
            ..ListenerConfig::default()
        }],
        ..unlimited()
    });
    let echo = world.knock(&Upgrade {
        path: "/echo",
        ..Upgrade::default()
    });
    for count in 1..4 {
        world.send_text(echo, "hello");
        assert_eq!(world.stats().received, count);
    }
}
