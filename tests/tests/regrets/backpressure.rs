//! What nobody takes stays bounded, and is accounted for to the last message.
//!
//! Elsewhere outputs piled up without a poll, queues overshot their limit, drops were miscounted, and a full
//! queue swallowed pongs.

use roomwire_core::config::{Limits, RoomRule, SlowReader};
use roomwire_core::{Config, ConnectionId, Input, Machine as _};
use roomwire_tests::{FrameReader, Message, Opcode, Peer, Rng, World, masked};
use serde_json::json;

use crate::unlimited;

/// Far more than a turn's bytes and the events that may wait; far less than what is handed in.
const SMALL: usize = 8 * 1024 * 1024;

fn assert_small(world: &mut World) {
    let (held, all) = (
        world.stats().buffered_bytes,
        world.driver().machine().memory().total(),
    );
    assert!(held < SMALL && all < SMALL, "{held} buffered, {all} in all");
}

// covers A3-16: a driver that obeys Turn::Full stays within what is bounded
#[test]
fn a_million_inputs_without_a_poll_are_bounded() {
    let config = Config {
        limits: Limits {
            max_queued_events: 100,
            ..Limits::default()
        },
        application_types: vec!["dice".to_owned()],
        ..unlimited()
    };
    let mut world = World::new(config);
    let clients = world.connect_many(20);
    for &client in &clients {
        world.join(client, "tea");
    }
    world.forget();
    let ids: Vec<ConnectionId> = clients.iter().map(|&c| world.connection(c)).collect();
    let texts = [
        r#"{"type":"room_message","room":"tea","data":"hello"}"#,
        r#"{"type":"broadcast","data":1}"#,
        r#"{"type":"ping"}"#,
        r#"{"type":"typing_start","room":"tea"}"#,
        r#"{"type":"typing_stop","room":"tea"}"#,
        r#"{"type":"set_metadata","metadata":{"a":1}}"#,
        r#"{"type":"dice"}"#,
        r#"{"type":"join","room":"coffee"}"#,
        r#"{"type":"leave","room":"coffee"}"#,
    ];
    let frames = texts.map(|text| masked(Opcode::Text, true, text.as_bytes()));
    let mut rng = Rng::new(3);
    let mut fed = 0;
    let mut bytes = Vec::new();
    for number in 0..1_000_000_u64 {
        let connection = ids[rng.below(ids.len())];
        if !world.driver().is_full() && number % 2 == 0 {
            bytes.clear();
            bytes.extend_from_slice(&frames[rng.below(frames.len())]);
            world.driver().input(Input::Received {
                connection,
                bytes: &mut bytes,
            });
            fed += 1;
        } else {
            // What may always come.
            match rng.below(3) {
                0 => {
                    let later = world.driver().now().mono + core::time::Duration::from_micros(1);
                    world.driver().set_time(later);
                    let full = world.driver().is_full();
                    world.driver().input(Input::Tick);
                    assert_eq!(world.driver().is_full(), full);
                }
                1 => world.driver().input(Input::Writable { connection }),
                _ => world.driver().input(Input::Sent {
                    connection,
                    bytes: 0,
                    blocked: false,
                }),
            }
        }
        if number % 100_000 == 0 {
            assert_small(&mut world);
        }
    }
    assert!(world.driver().is_full(), "{fed} messages fit");
    assert_small(&mut world);
    world.settle();
    for &client in &clients {
        world.close(client);
    }
    world.advance_ms(20_000);
    world.assert_empty();
}

// covers A3-16: one that does not obey is kept what it hands in, and no more
#[test]
fn a_driver_that_does_not_stop_fills_tails_and_nothing_else() {
    let mut world = World::new(unlimited());
    // Readers that keep up with everything: this is about who speaks.
    world.driver().set_capacity(usize::MAX);
    let clients = world.connect_many(20);
    for &client in &clients {
        world.join(client, "tea");
    }
    world.forget();
    let ids: Vec<ConnectionId> = clients.iter().map(|&c| world.connection(c)).collect();
    let text = br#"{"type":"room_message","room":"tea","data":"hello"}"#;
    let frame = masked(Opcode::Text, true, text);
    let mut handed_in = 0;
    let mut bytes = Vec::new();
    const INPUTS: usize = 200_000;
    for number in 0..INPUTS {
        bytes.clear();
        bytes.extend_from_slice(&frame);
        let connection = ids[number % ids.len()];
        world.driver().input(Input::Received {
            connection,
            bytes: &mut bytes,
        });
        handed_in += frame.len();
    }
    assert!(world.driver().is_full());
    let held = world.stats().buffered_bytes;
    // A vector's capacity is at most twice what it holds.
    assert!(held < SMALL + 2 * handed_in, "{held} of {handed_in}");
    world.settle();
    assert_eq!(world.stats().received as usize, INPUTS + clients.len());
    assert_eq!(world.stats().dropped, 0, "what came late is not lost");
    for &client in &clients {
        let others = INPUTS / clients.len() * (clients.len() - 1);
        assert_eq!(world.all(client).len(), others);
    }
    for &client in &clients {
        world.close(client);
    }
    world.advance_ms(20_000);
    world.assert_empty();
}

const POLICIES: [SlowReader; 4] = [
    SlowReader::Close,
    SlowReader::DropOldest,
    SlowReader::DropNewest,
    SlowReader::Latest,
];

/// One control frame of each kind may wait on top of the limit.
const CONTROL_BYTES: usize = 3 * 127;

/// Queues as small as they may be.
fn with_policy(slow_reader: SlowReader) -> Config {
    let mut config = Config {
        rooms: vec![RoomRule {
            slow_reader,
            ..RoomRule::default()
        }],
        limits: Limits {
            max_message_bytes: 1_000,
            max_members_listed: 1,
            max_metadata_bytes: 100,
            max_queued_messages: 40,
            ..Limits::default()
        },
        ..unlimited()
    };
    config.room_names.max_bytes = 100;
    config.limits.max_queued_bytes = config.min_queued_bytes();
    config
}

/// Messages of the server to a client: heard, in the socket buffer, and queued. A control frame is none.
fn messages(world: &mut World, peer: Peer) -> u64 {
    let connection = world.connection(peer);
    world.driver().resize(connection, 1 << 20);
    world.driver().release(connection);
    world.settle();
    let mut count = 0;
    while let Some(message) = world.next_message(peer) {
        count += u64::from(matches!(message, Message::Text(_)));
    }
    count
}

/// Whole messages that wait in the server for a client, and whether the first was begun.
fn queued(world: &mut World, peer: Peer) -> u64 {
    let connection = world.connection(peer);
    let unsent: Vec<u8> = world
        .driver()
        .machine()
        .unsent(connection)
        .flatten()
        .copied()
        .collect();
    let mut reader = FrameReader::default();
    reader.push(&unsent);
    let mut count = 0;
    while reader.next_frame().is_some() {
        count += 1;
    }
    assert_eq!(reader.pending_bytes(), 0, "whole messages");
    count
}

// covers A3-11: sent + dropped + queued + discarded = published x receivers
#[test]
fn every_message_is_sent_dropped_queued_or_discarded() {
    for seed in 0..40 {
        for policy in POLICIES {
            check_accounts(seed, policy);
        }
    }
}

fn check_accounts(seed: u64, policy: SlowReader) {
    let mut rng = Rng::new(seed);
    let config = with_policy(policy);
    let limit = config.limits.max_queued_bytes;
    let mut world = World::new(config);
    let clients = world.connect_many(5);
    for &client in &clients {
        world.join(client, "tea");
    }
    world.forget();
    let before = world.stats();
    let slow = &clients[3..];
    for &client in slow {
        world.stall(client);
        let connection = world.connection(client);
        world.driver().resize(connection, 0);
    }
    let mut heard = 0;
    for _ in 0..rng.below(80) {
        for _ in 0..rng.below(4) {
            let speaker = clients[rng.below(3)];
            let pad = "x".repeat(rng.below(120));
            world.post_json(
                speaker,
                &json!({"type": "room_message", "room": "tea", "data": pad}),
            );
        }
        world.settle();
        for &client in slow {
            let waiting = world.queued_bytes(client);
            assert!(waiting <= limit + CONTROL_BYTES, "{waiting} bytes wait");
        }
        // The whole queue goes, or nothing: what was sent can be counted in messages.
        if rng.one_in(10) {
            let client = slow[rng.below(2)];
            heard += messages(&mut world, client);
            world.stall(client);
            let connection = world.connection(client);
            world.driver().resize(connection, 0);
        }
        // A close frame is no message, but it is discarded like one: nobody with a goodbye waiting is reset.
        let no_goodbye = world.stats().slow_readers == 0;
        if rng.one_in(30) && no_goodbye && world.ending(slow[1]).is_none() {
            world.reset(slow[1]);
        }
    }
    let mut waiting = 0;
    for &client in slow {
        if world.ending(client).is_none()
            && world.close_frame(client).is_none()
            && policy != SlowReader::Close
        {
            waiting += queued(&mut world, client);
        }
    }
    for &client in &clients[..3] {
        heard += messages(&mut world, client);
    }
    let now = world.stats();
    if policy == SlowReader::Close {
        // Its goodbyes wait: they are heard now, and nothing waits.
        for &client in slow {
            heard += messages(&mut world, client);
        }
    }
    let asked = (now.deliveries - before.deliveries) + (now.direct - before.direct);
    let dropped = now.dropped - before.dropped;
    let discarded = now.discarded - before.discarded;
    assert_eq!(
        asked,
        heard + waiting + dropped + discarded,
        "seed {seed}, {policy:?}: {heard} heard, {waiting} wait, {dropped} dropped, {discarded} discarded"
    );
}

// covers A3-09, A3-11: a client whose data is dropped still gets its pong
#[test]
fn a_pong_is_sent_however_full_the_queue() {
    for policy in [
        SlowReader::DropOldest,
        SlowReader::DropNewest,
        SlowReader::Latest,
    ] {
        let mut world = World::new(with_policy(policy));
        let (speaker, reader) = (world.connect(), world.connect());
        for client in [speaker, reader] {
            world.join(client, "tea");
        }
        world.forget();
        world.dam(reader);
        for number in 0..200 {
            world.send(
                speaker,
                &json!({"type": "room_message", "room": "tea", "data": number}),
            );
        }
        let dropped = world.stats().dropped;
        assert!(dropped > 100, "{policy:?}: {dropped}");
        world.send_frame(reader, Opcode::Ping, b"are you there");
        for number in 0..200 {
            world.send(
                speaker,
                &json!({"type": "room_message", "room": "tea", "data": number}),
            );
        }
        world.release(reader);
        let pong = Message::Pong(b"are you there".to_vec());
        let first = world.next_message(reader);
        assert_eq!(first, Some(pong), "{policy:?}: ahead of what waits");
    }
}
