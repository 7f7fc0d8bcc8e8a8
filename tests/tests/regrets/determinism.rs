//! The same inputs give the same bytes; batching and partial drains change nothing that anybody can tell.
//!
//! Elsewhere every output had to be drained before the next input, or something was lost.

use std::collections::BTreeMap;

use roomwire_tests::{Opcode, Peer, Rng, World, masked};
use serde_json::{Value, json};

use crate::unlimited;

// covers A13-07: the same inputs give the same bytes
#[test]
fn a_run_can_be_repeated() {
    let run = || {
        let mut world = World::new(unlimited());
        let mut rng = Rng::new(99);
        let clients = world.connect_many(10);
        let mut heard = Vec::new();
        for _ in 0..500 {
            let client = clients[rng.below(10)];
            let room = ["a", "b"][rng.below(2)];
            let message = match rng.below(4) {
                0 => json!({"type": "join", "room": room}),
                1 => json!({"type": "leave", "room": room}),
                2 => json!({"type": "room_message", "room": room, "data": rng.next()}),
                _ => json!({"type": "members", "room": room}),
            };
            world.post_json(client, &message);
            if rng.one_in(3) {
                world.settle();
            }
            world.advance_ms(rng.below(2_000) as u64);
        }
        for &client in &clients {
            while let Some(message) = world.next_message(client) {
                heard.push(message);
            }
        }
        (heard, world.stats())
    };
    assert_eq!(run(), run());
}

/// What one client was told, stream by stream: of each room, of others, and in answer to its requests.
type Streams = BTreeMap<String, Vec<Value>>;

/// How inputs and polls alternate.
#[derive(Clone, Copy, Debug)]
enum Rhythm {
    /// Idle after each input.
    EachDrained,
    /// So many inputs at most, then so many polls at most; idle at the end.
    Random(u64),
    /// Every input, then every poll.
    AllAtOnce,
}

const PEOPLE: usize = 6;
const ROOMS: [&str; 3] = ["a", "b", "c"];

fn run(seed: u64, rhythm: Rhythm) -> Vec<Streams> {
    let mut world = World::new(unlimited());
    let clients = world.connect_many(PEOPLE);
    let mut rng = Rng::new(seed);
    let mut own = match rhythm {
        Rhythm::Random(seed) => Rng::new(seed),
        _ => Rng::new(0),
    };
    for number in 0..150 {
        let client = clients[rng.below(PEOPLE)];
        let room = ROOMS[rng.below(ROOMS.len())];
        let to = world.id(clients[rng.below(PEOPLE)]).to_owned();
        let message = match rng.below(8) {
            0 | 1 => json!({"type": "join", "room": room, "id": number}),
            2 => json!({"type": "leave", "room": room, "id": number}),
            3 => json!({"type": "private_message", "to": to, "data": number, "id": number}),
            4 => json!({"type": "broadcast", "data": number, "id": number}),
            5 => json!({"type": "members", "room": room, "id": number}),
            _ => json!({"type": "room_message", "room": room, "data": number, "id": number}),
        };
        let frame = masked(Opcode::Text, true, message.to_string().as_bytes());
        world.post(client, &frame);
        world.driver().feed();
        assert!(!world.driver().is_full(), "no limit is hit");
        match rhythm {
            Rhythm::EachDrained => world.settle(),
            Rhythm::AllAtOnce => {}
            Rhythm::Random(_) => {
                if own.one_in(3) {
                    for _ in 0..own.below(8) {
                        world.driver().poll();
                    }
                }
            }
        }
    }
    world.settle();
    let stats = world.stats();
    assert_eq!((stats.dropped, stats.discarded), (0, 0), "no limit is hit");
    let mut all: Vec<Streams> = clients
        .iter()
        .map(|&client| streams(&mut world, client))
        .collect();
    // Who is where, as the members themselves are told.
    for (&client, streams) in clients.iter().zip(&mut all) {
        for room in ROOMS {
            let members = world.request(client, &json!({"type": "members", "room": room}));
            streams.insert(
                format!("members of {room}"),
                vec![members["members"].clone()],
            );
        }
    }
    all
}

fn streams(world: &mut World, client: Peer) -> Streams {
    let mut streams = Streams::new();
    for message in world.all(client) {
        let stream = if message["id"].is_null() {
            format!("room {}", message["room"])
        } else {
            "answers".to_owned()
        };
        streams.entry(stream).or_default().push(message);
    }
    streams
}

// covers A13-07: no rhythm of inputs and polls changes a sequence or a membership
#[test]
fn batches_and_partial_drains_change_nothing() {
    for seed in 0..60 {
        let drained = run(seed, Rhythm::EachDrained);
        assert!(
            drained.iter().any(|streams| streams.len() > 4),
            "something is said"
        );
        let others = (1..5).map(Rhythm::Random).chain([Rhythm::AllAtOnce]);
        for rhythm in others {
            let other = run(seed, rhythm);
            assert_eq!(other, drained, "seed {seed}, {rhythm:?}");
        }
    }
}
