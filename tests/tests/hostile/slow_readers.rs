//! Clients that do not read: what they get, what they are told, and how little they may hold.

use roomwire_core::Config;
use roomwire_core::config::{Limits, RoomRule, SlowReader};
use roomwire_core::server::{CloseCause, Command, Event};
use roomwire_tests::{Ending, Message, Opcode, Peer, Rng, World};
use serde_json::{Value, json};

use crate::{close_code, unlimited};

const POLICIES: [SlowReader; 4] = [
    SlowReader::Close,
    SlowReader::DropOldest,
    SlowReader::DropNewest,
    SlowReader::Latest,
];

fn with_policy(slow_reader: SlowReader, max_queued_messages: u32) -> Config {
    Config {
        rooms: vec![RoomRule {
            slow_reader,
            ..RoomRule::default()
        }],
        limits: Limits {
            max_queued_messages,
            ..Limits::default()
        },
        ..unlimited()
    }
}

/// A speaker, a reader and somebody who reads well.
fn trio(config: Config) -> (World, Peer, Peer, Peer) {
    trio_in(World::new(config))
}

fn trio_in(mut world: World) -> (World, Peer, Peer, Peer) {
    let clients = world.connect_many(3);
    for &client in &clients {
        world.join(client, "tea");
    }
    world.forget();
    (world, clients[0], clients[1], clients[2])
}

fn say(world: &mut World, speaker: Peer, number: u64) {
    let message = json!({"type": "room_message", "room": "tea", "data": number});
    world.post_json(speaker, &message);
}

/// The numbers heard, and how many the client was told that it missed.
fn heard(messages: &[Value]) -> (Vec<u64>, u64) {
    let of = |kind: &'static str| messages.iter().filter(move |m| m["type"] == kind);
    let numbers = of("room_message").map(|m| m["data"].as_u64().expect("a number"));
    let missed = of("messages_dropped").map(|m| {
        assert_eq!(m["room"], "tea", "{m}");
        m["count"].as_u64().expect("a count")
    });
    (numbers.collect(), missed.sum())
}

fn ascends(numbers: &[u64]) -> bool {
    numbers.windows(2).all(|pair| pair[0] < pair[1])
}

// covers A3-11, A0-14
#[test]
fn a_reader_that_stands_still_is_treated_by_the_rooms_policy() {
    for policy in POLICIES {
        let (mut world, speaker, reader, witness) = trio(with_policy(policy, 10));
        world.dam(reader);
        for number in 0..100 {
            say(&mut world, speaker, number);
            world.settle();
        }
        // Nobody else is concerned.
        let everything: Vec<u64> = (0..100).collect();
        let all = world.all(witness);
        assert_eq!(heard(&all).0, everything);
        world.release(reader);
        let (numbers, missed) = heard(&world.all(reader));
        let stats = world.stats();
        match policy {
            SlowReader::Close => {
                assert_eq!(close_code(&world, reader), Some(1013));
                assert!(numbers.is_empty(), "what was queued is given up");
                assert_eq!((stats.slow_readers, stats.dropped), (1, 0));
            }
            SlowReader::DropOldest => {
                assert_eq!(numbers, (90..100).collect::<Vec<_>>());
                assert_eq!((missed, stats.dropped), (90, 90));
            }
            SlowReader::DropNewest => {
                assert_eq!(numbers, (0..10).collect::<Vec<_>>());
                assert_eq!((missed, stats.dropped), (90, 90));
            }
            SlowReader::Latest => {
                // The first found a socket that had not refused anything yet.
                assert_eq!(numbers, [0, 99]);
                assert_eq!((missed, stats.dropped), (98, 98));
            }
        }
        if policy != SlowReader::Close {
            // It goes on as if nothing had been.
            say(&mut world, speaker, 100);
            world.settle();
            assert_eq!(heard(&world.all(reader)), (vec![100], 0));
        }
    }
}

// covers A3-11: what comes out is in order, accounted for, and never more than the limit
#[test]
fn whatever_a_reader_does_it_is_accounted_for() {
    for seed in 0..60 {
        for policy in POLICIES {
            let mut rng = Rng::new(seed);
            // One turn fits: who reads well misses nothing.
            let limit = 25 + rng.below(40) as u32;
            let (mut world, speaker, reader, witness) = trio(with_policy(policy, limit));
            let connection = world.connection(reader);
            let mut said = 0;
            world.stall(reader);
            world.driver().resize(connection, rng.below(300));
            for _ in 0..rng.below(60) {
                for _ in 0..rng.below(20) {
                    say(&mut world, speaker, said);
                    said += 1;
                    if rng.one_in(6) {
                        // A message of its own: the room's must not be overtaken.
                        world.post_json(reader, &json!({"type": "ping"}));
                    }
                }
                if rng.one_in(3) {
                    world.driver().drain(connection, rng.below(500));
                }
                if rng.one_in(10) {
                    world.driver().release(connection);
                }
                if rng.one_in(5) {
                    world.driver().stall(connection);
                }
                world.settle();
                let waiting = world.queued_bytes(reader);
                assert!(waiting < 300 * limit as usize, "{waiting}");
            }
            world.settle();
            let all = world.all(witness);
            let (everything, _) = heard(&all);
            assert_eq!(everything, (0..said).collect::<Vec<_>>());
            world.release(reader);
            let (numbers, missed) = heard(&world.all(reader));
            let context =
                format!("seed {seed}, {policy:?}: {numbers:?} of {said}, {missed} missed");
            assert!(ascends(&numbers), "{context}");
            if close_code(&world, reader).is_some() {
                // A direct message that does not fit closes, whatever the room's policy.
                let end = numbers.len() as u64;
                let prefix = policy != SlowReader::Close || numbers == (0..end).collect::<Vec<_>>();
                assert!(prefix, "{context}");
                continue;
            }
            assert_eq!(numbers.len() as u64 + missed, said, "{context}");
            assert_eq!(world.stats().dropped, missed, "{context}");
            if matches!(policy, SlowReader::DropOldest | SlowReader::Latest) && said > 0 {
                assert_eq!(numbers.last(), Some(&(said - 1)), "{context}");
            }
        }
    }
}

// covers A3-11: a turn of more messages than the queue takes, for a reader that is not slow at all
#[test]
fn a_turn_that_is_too_large_is_told_at_once() {
    for policy in POLICIES {
        let (mut world, speaker, reader, _) = trio(with_policy(policy, 10));
        for number in 0..50 {
            say(&mut world, speaker, number);
        }
        world.settle();
        let (numbers, missed) = heard(&world.all(reader));
        if policy == SlowReader::Close {
            assert_eq!(close_code(&world, reader), Some(1013));
        } else {
            assert_eq!(numbers.len() as u64 + missed, 50, "{policy:?}");
            assert!(ascends(&numbers));
        }
    }
}

// covers A3-11: nor does it have to wait for another message to learn what it missed
#[test]
fn a_message_that_fits_no_queue_is_told_at_once() {
    for policy in &POLICIES[1..] {
        let mut config = with_policy(*policy, 100);
        config.limits.max_message_bytes = 1_000;
        config.limits.max_queued_bytes = config.min_queued_bytes();
        let pad = "x".repeat(config.limits.max_queued_bytes);
        let (mut world, _, reader, _) = trio(config);
        world.command(Command::Publish {
            room: "tea".to_owned(),
            message: format!(r#"{{"type":"news","pad":"{pad}"}}"#),
        });
        let told = json!({"type": "messages_dropped", "room": "tea", "count": 1});
        assert_eq!(world.all(reader), [told], "{policy:?}");
    }
}

// covers A3-11: what was missed in a room is not told of another
#[test]
fn what_was_missed_stays_with_its_room() {
    for policy in &POLICIES[1..] {
        let (mut world, speaker, reader, witness) = trio(with_policy(*policy, 10));
        world.dam(reader);
        for number in 0..30 {
            say(&mut world, speaker, number);
            world.settle();
        }
        // It reads a little, so that there is a place for its own replies.
        let connection = world.connection(reader);
        world.driver().resize(connection, 600);
        world.settle();
        // All leave, so that the next room takes the place of the first.
        for peer in [speaker, witness, reader] {
            world.send(peer, &json!({"type": "leave", "room": "tea"}));
        }
        assert_eq!(world.stats().rooms, 0);
        world.send(reader, &json!({"type": "join", "room": "milk"}));
        world.release(reader);
        let messages = world.all(reader);
        let told = messages.iter().filter(|m| m["type"] == "messages_dropped");
        for drop in told.clone() {
            assert_ne!(drop["room"], "milk", "{policy:?}: {drop}");
        }
        let got = messages
            .iter()
            .filter(|m| m["type"] == "room_message")
            .count() as u64;
        let missed: u64 = told.filter_map(|m| m["count"].as_u64()).sum();
        assert_eq!(got + missed, 30, "{policy:?}");
    }
}

// covers A3-11: the started message is finished, then the goodbye comes
#[test]
fn a_started_message_is_finished_before_the_goodbye() {
    let (mut world, speaker, reader, _) = trio(with_policy(SlowReader::Close, 5));
    let connection = world.connection(reader);
    world.stall(reader);
    world.driver().resize(connection, 30);
    for number in 0..20 {
        say(&mut world, speaker, number);
        world.settle();
    }
    world.release(reader);
    let (numbers, _) = heard(&world.all(reader));
    assert_eq!(numbers, [0]);
    assert_eq!(close_code(&world, reader), Some(1013));
    assert_eq!(world.client(reader).pending_bytes(), 0);
    world.close(reader);
    let events = world.events();
    let slow = |event: &Event| {
        matches!(
            event,
            Event::Closed {
                cause: CloseCause::SlowReader,
                code: 1013,
                ..
            }
        )
    };
    assert!(events.iter().any(slow), "{events:?}");
}

// covers A3-11: who never reads again is reset after the time to linger
#[test]
fn a_reader_that_never_comes_back_is_reset() {
    let (mut world, speaker, reader, witness) = trio(with_policy(SlowReader::Close, 5));
    world.dam(reader);
    for number in 0..20 {
        say(&mut world, speaker, number);
        world.settle();
    }
    assert_eq!(world.ending(reader), None);
    assert_eq!(world.stats().clients, 2);
    let left = world.all(witness);
    assert!(left.iter().any(|m| m["type"] == "member_left"));
    world.advance_ms(5_000);
    assert_eq!(world.ending(reader), Some(Ending::Reset));
}

// covers A3-11: drops of one room do not touch another's messages, nor the client's own
#[test]
fn drops_concern_their_own_room() {
    let mut config = with_policy(SlowReader::DropOldest, 20);
    config.rooms = vec![
        RoomRule {
            pattern: "loud".to_owned(),
            slow_reader: SlowReader::DropOldest,
            ..RoomRule::default()
        },
        RoomRule {
            pattern: "calm".to_owned(),
            slow_reader: SlowReader::DropNewest,
            ..RoomRule::default()
        },
    ];
    let mut world = World::new(config);
    let (speaker, reader) = (world.connect(), world.connect());
    for room in ["calm", "loud"] {
        world.join(speaker, room);
        world.join(reader, room);
    }
    world.forget();
    world.dam(reader);
    let to = world.id(reader).to_owned();
    for number in 0..5 {
        let calm = json!({"type": "room_message", "room": "calm", "data": number});
        world.send(speaker, &calm);
        let own = json!({"type": "private_message", "to": to, "data": number});
        world.send(speaker, &own);
    }
    for number in 0..100 {
        let loud = json!({"type": "room_message", "room": "loud", "data": number});
        world.send(speaker, &loud);
    }
    world.release(reader);
    let messages = world.all(reader);
    let of = |kind: &str, room: Option<&str>| -> Vec<u64> {
        let is_it = |m: &&Value| m["type"] == kind && m["room"].as_str() == room;
        let found = messages.iter().filter(is_it);
        found
            .map(|m| m["data"].as_u64().expect("a number"))
            .collect()
    };
    assert_eq!(of("room_message", Some("calm")), [0, 1, 2, 3, 4]);
    assert_eq!(of("private_message", None), [0, 1, 2, 3, 4]);
    assert_eq!(
        of("room_message", Some("loud")),
        (90..100).collect::<Vec<_>>()
    );
    let told: Vec<&Value> = messages
        .iter()
        .filter(|m| m["type"] == "messages_dropped")
        .collect();
    assert_eq!(
        told,
        [&json!({"type": "messages_dropped", "room": "loud", "count": 90})]
    );
}

// covers A3-11: a room that is gone keeps its messages, also when another has taken its place
#[test]
fn drops_spare_the_messages_of_a_room_that_is_gone() {
    let (mut world, speaker, reader, witness) = trio(with_policy(SlowReader::DropOldest, 10));
    world.dam(reader);
    for number in 0..5 {
        say(&mut world, speaker, number);
    }
    let connection = world.connection(reader);
    for peer in [speaker, witness] {
        world.send(peer, &json!({"type": "leave", "room": "tea"}));
    }
    let room = "tea".to_owned();
    world.command(Command::Kick { connection, room });
    assert_eq!(world.stats().rooms, 0);
    for peer in [speaker, reader] {
        world.send(peer, &json!({"type": "join", "room": "milk"}));
    }
    for number in 100..130 {
        let milk = json!({"type": "room_message", "room": "milk", "data": number});
        world.send(speaker, &milk);
    }
    world.release(reader);
    let messages = world.all(reader);
    let of = |room: &str| -> Vec<u64> {
        let said = |m: &&Value| m["type"] == "room_message" && m["room"] == room;
        let said = messages.iter().filter(said);
        said.filter_map(|m| m["data"].as_u64()).collect()
    };
    assert_eq!(of("tea"), [0, 1, 2, 3, 4], "{messages:#?}");
    assert!(of("milk").ends_with(&[129]), "{messages:#?}");
    let told = messages.iter().filter(|m| m["type"] == "messages_dropped");
    let told: Vec<_> = told.map(|m| (&m["room"], m["count"].as_u64())).collect();
    let missed = 30 - of("milk").len() as u64;
    assert_eq!(told, [(&json!("milk"), Some(missed))], "{messages:#?}");
}

// covers A3-11: what the program says last counts as much as what a client does
#[test]
fn the_latest_message_may_be_the_programs() {
    let (mut world, speaker, reader, _) = trio(with_policy(SlowReader::Latest, 10));
    world.dam(reader);
    for number in 0..30 {
        say(&mut world, speaker, number);
        world.settle();
    }
    let (room, news) = ("tea".to_owned(), json!({"type": "news", "price": 7}));
    let message = news.to_string();
    world.command(Command::Publish { room, message });
    world.release(reader);
    let messages = world.all(reader);
    let mut said = messages.iter().filter(|m| m["type"] != "messages_dropped");
    assert_eq!(said.next_back(), Some(&news), "{messages:#?}");
    let (numbers, missed) = heard(&messages);
    assert_eq!(numbers.len() as u64 + missed, 30, "{messages:#?}");
}

// covers A3-11: who gets after all what it had missed has missed nothing
#[test]
fn a_reader_that_gets_the_latest_and_missed_no_other_is_told_of_none() {
    let (mut world, speaker, reader, _) = trio(with_policy(SlowReader::Latest, 10));
    world.dam(reader);
    for number in 0..2 {
        say(&mut world, speaker, number);
        world.settle();
    }
    assert_eq!(world.stats().dropped, 1);
    world.release(reader);
    let messages = world.all(reader);
    let kinds: Vec<_> = messages.iter().map(|m| m["type"].as_str()).collect();
    assert_eq!(kinds, [Some("room_message"); 2], "{messages:#?}");
    assert_eq!(heard(&messages).0, [0, 1]);
    assert_eq!(world.stats().dropped, 0);
}

// covers A3-11: the latest message is no news to who published it
#[test]
fn a_reader_gets_no_latest_message_of_its_own() {
    // Its own shard would not even know of it.
    let world = World::alone(with_policy(SlowReader::Latest, 10));
    let (mut world, speaker, reader, _) = trio_in(world);
    world.dam(reader);
    for number in 0..2 {
        say(&mut world, speaker, number);
        world.settle();
    }
    say(&mut world, reader, 99);
    world.settle();
    world.release(reader);
    assert_eq!(heard(&world.all(reader)), (vec![0], 1));
}

// covers A3-11: a goodbye that does not fit behind a started message is a close frame
#[test]
fn a_goodbye_that_does_not_fit_is_a_close_frame() {
    let mut config = unlimited();
    config.limits.max_message_bytes = 1_000;
    config.limits.max_queued_bytes = config.min_queued_bytes();
    let pad = "x".repeat(config.limits.max_queued_bytes - 60);
    let mut world = World::new(config);
    let reader = world.connect();
    let connection = world.connection(reader);
    world.stall(reader);
    world.driver().resize(connection, 10);
    world.command(Command::Send {
        connection,
        message: format!(r#"{{"type":"news","pad":"{pad}"}}"#),
    });
    world.command(Command::Close {
        connection,
        code: 4_000,
        reason: "a reason that makes the announcement long".to_owned(),
        reconnect_after_ms: None,
    });
    world.release(reader);
    world.expect(reader, "news");
    world.expect_nothing(reader);
    assert_eq!(world.close_frame(reader), Some((4_000, "")));
    world.close(reader);
    assert_eq!(world.ending(reader), Some(Ending::Closed));
}

// covers A3-11: who reads slowly is still heard
#[test]
fn a_client_with_half_a_queue_is_read() {
    let mut config = unlimited();
    config.limits.max_message_bytes = 1_000;
    config.limits.max_queued_bytes = config.min_queued_bytes();
    let size = config.limits.max_queued_bytes * 3 / 4;
    let (mut world, speaker, reader, _) = trio(config);
    world.dam(reader);
    let connection = world.connection(reader);
    world.command(Command::Send {
        connection,
        message: format!(r#"{{"type":"news","pad":"{}"}}"#, "x".repeat(size)),
    });
    assert!(world.queued_bytes(reader) > size);
    say(&mut world, reader, 7);
    world.settle();
    assert_eq!(heard(&world.all(speaker)), (vec![7], 0));
}

// covers A3-11: broadcasts reach everyone or close who is too slow
#[test]
fn broadcasts_close_who_is_too_slow() {
    let (mut world, speaker, reader, _) = trio(with_policy(SlowReader::Latest, 10));
    world.dam(reader);
    for number in 0..11 {
        world.send(speaker, &json!({"type": "broadcast", "data": number}));
    }
    world.release(reader);
    assert_eq!(close_code(&world, reader), Some(1013));
}

// covers A3-11: the bound of bytes holds too
#[test]
fn bytes_are_bounded_like_messages() {
    for policy in POLICIES {
        let mut config = with_policy(policy, 65_536);
        config.limits.max_message_bytes = 10_000;
        config.limits.max_queued_bytes = config.min_queued_bytes();
        let limit = config.limits.max_queued_bytes;
        let (mut world, speaker, reader, _) = trio(config);
        let mut rng = Rng::new(7);
        world.dam(reader);
        for _ in 0..300 {
            let data = "x".repeat(rng.below(9_000));
            let message = json!({"type": "room_message", "room": "tea", "data": data});
            world.send(speaker, &message);
            let waiting = world.queued_bytes(reader);
            assert!(waiting <= limit, "{waiting} of {limit}");
        }
        let held = world.stats().buffered_bytes;
        assert!(held <= 2 * limit + 64 * 1024, "{held} held for {limit}");
    }
}

// covers A3-11, A3-09: a client that speaks and does not read
#[test]
fn a_client_that_only_speaks_is_closed() {
    let mut world = World::new(with_policy(SlowReader::Close, 100));
    let client = world.connect();
    world.dam(client);
    for _ in 0..1_000 {
        world.send(client, &json!({"type": "ping"}));
    }
    assert_eq!(world.stats().slow_readers, 1);
    world.advance_ms(5_000);
    world.assert_empty();
}

// covers A3-09: pings and pongs of a client that does not read do not pile up
#[test]
fn control_frames_do_not_pile_up() {
    let mut world = World::new(unlimited());
    let client = world.connect();
    world.dam(client);
    // Something is queued, so that control frames have to wait in front of it.
    world.send(client, &json!({"type": "ping"}));
    world.send(client, &json!({"type": "ping"}));
    for _ in 0..2_000 {
        world.advance_ms(20_000);
        world.send_frame(client, Opcode::Ping, b"12345678");
        assert!(world.queued_bytes(client) < 1_000);
    }
    assert_eq!(world.ending(client), None);
    let held = world.stats().buffered_bytes;
    assert!(held < 16 * 1024, "{held}");
    assert!(world.stats().coalesced_pongs > 1_900);
    world.release(client);
    let mut control = 0;
    while let Some(message) = world.next_message(client) {
        control += usize::from(!matches!(message, Message::Text(_)));
    }
    assert!(control < 10, "{control}");
}

// covers A3-11: over the server's memory the one that has been stalled longest goes first
#[test]
fn out_of_memory_the_longest_stalled_goes_first() {
    let mut config = with_policy(SlowReader::Close, 1 << 20);
    config.limits.max_message_bytes = 20_000;
    config.limits.max_queued_bytes = 200_000;
    config.limits.max_buffered_bytes = 500_000;
    let mut world = World::alone(config);
    let speaker = world.connect();
    let readers = world.connect_many(6);
    let mut order = vec![3, 0, 5, 1];
    let whisper = |world: &mut World, to: Peer| {
        let message = json!({"type": "private_message", "to": world.id(to),
            "data": "x".repeat(10_000)});
        world.send(speaker, &message);
    };
    // They stall one after the other.
    for &index in &order {
        world.dam(readers[index]);
        whisper(&mut world, readers[index]);
        world.advance_ms(10);
    }
    let mut closed = Vec::new();
    for _ in 0..18 {
        for index in [1, 5, 0, 3] {
            if !closed.contains(&index) {
                whisper(&mut world, readers[index]);
            }
            let held = world.stats().buffered_bytes;
            assert!(held <= 500_000, "{held}");
            let gone = world.stats().over_budget as usize;
            while closed.len() < gone {
                closed.push(order.remove(0));
            }
        }
    }
    assert_eq!(closed[..2], [3, 0], "{closed:?}");
    for index in [3, 0, 5, 1] {
        world.release(readers[index]);
        let gone = closed.contains(&index).then_some(1013);
        assert_eq!(close_code(&world, readers[index]), gone, "{index}");
    }
    assert_eq!(world.stats().slow_readers, 0);
    assert_eq!(world.stats().buffered_bytes, 0);
}

// covers A3-16: unfinished messages count against the server's memory too
#[test]
fn unfinished_messages_are_bounded_together() {
    let mut config = unlimited();
    config.limits.max_message_bytes = 1_000_000;
    config.limits.max_queued_bytes = config.min_queued_bytes();
    config.limits.max_buffered_bytes = config.min_buffered_bytes();
    let limit = config.limits.max_buffered_bytes;
    let mut world = World::alone(config);
    let clients = world.connect_many(20);
    let part = roomwire_tests::masked(Opcode::Binary, false, &[0; 900_000]);
    for &client in &clients {
        world.send_bytes(client, &part);
        let held = world.stats().buffered_bytes;
        assert!(held <= limit + 2_000_000, "{held}");
    }
    assert!(world.stats().over_budget >= 15, "{:?}", world.stats());
    for &client in &clients {
        world.close(client);
    }
    world.assert_empty();
}
