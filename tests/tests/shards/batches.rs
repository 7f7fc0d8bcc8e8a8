//! Batches whose messages other shards have to answer.

use roomwire_core::ShardId;
use roomwire_tests::{Lag, Rng, World};
use serde_json::{Value, json};

use crate::{quiet, room_at, say};

/// A server of two shards, a client of the second, and a room that has its home on the first, a second away.
fn far_from_home() -> (World, roomwire_tests::Peer, String) {
    let mut world = World::of_shards(quiet(), 2);
    let room = room_at(&world, ShardId(0));
    let clients = world.connect_many(2);
    let away = clients
        .into_iter()
        .find(|&peer| world.shard(peer) == ShardId(1));
    world.advance_ms(1_000);
    world.driver().machine_mut().set_lag(Lag {
        rng: Rng::new(1),
        most_us: 0,
        stalls_per_mille: 1_000,
        stall_us: 1_000_000,
    });
    (world, away.expect("dealt out in turn"), room)
}

fn batch(room: &str) -> Value {
    let join = json!({"type": "join", "room": room, "id": 1});
    json!({"type": "batch", "messages": [join, say(room, 2), {"type": "ping", "id": 3}], "id": 4})
}

// covers A7-03
/// What comes after a message that waits waits too, in the batch and behind it.
#[test]
fn a_batch_waits_for_another_shard() {
    let (mut world, client, room) = far_from_home();
    let before = world.stats();
    world.send(client, &batch(&room));
    world.send(client, &json!({"type": "ping", "id": 5}));
    world.expect_nothing(client);
    assert!(world.stats().buffered_bytes > before.buffered_bytes);
    world.advance_ms(2_000);
    for (kind, id) in [("joined_room", 1), ("pong", 3), ("ack", 4), ("pong", 5)] {
        assert_eq!(world.expect(client, kind)["id"], id);
    }
    world.expect_nothing(client);
    world.advance_ms(2_000);
    let after = world.stats();
    assert_eq!(after.buffered_bytes, before.buffered_bytes);
    assert_eq!(after.received - before.received, 4);
}

// covers A7-03
/// What is left of a batch goes with its client.
#[test]
fn a_client_that_is_gone_leaves_no_batch() {
    for close in [true, false] {
        let (mut world, client, room) = far_from_home();
        let other = world.connect();
        world.advance_ms(3_000);
        let before = world.stats();
        world.send(client, &batch(&room));
        assert!(world.stats().buffered_bytes > before.buffered_bytes);
        if close {
            world.close(client);
        } else {
            world.reset(client);
        }
        world.advance_ms(5_000);
        let after = world.stats();
        assert_eq!((after.buffered_bytes, after.rooms), (0, 0));
        world.send(other, &json!({"type": "ping"}));
        world.expect(other, "pong");
    }
}

// covers A7-03
/// Batches that wait are bounded by the server's budget: who brings one for which there is no room goes.
#[test]
fn batches_that_wait_take_no_more_than_the_budget() {
    let mut config = quiet();
    config.limits.max_queued_bytes = config.min_queued_bytes();
    config.limits.max_buffered_bytes = 2 * config.min_buffered_bytes();
    let budget = config.limits.max_buffered_bytes;
    let mut world = World::of_shards(config, 2);
    let room = room_at(&world, ShardId(0));
    let clients = world.connect_many(24);
    world.driver().machine_mut().set_lag(Lag {
        rng: Rng::new(1),
        most_us: 0,
        stalls_per_mille: 1_000,
        stall_us: 1_000_000,
    });
    let away: Vec<_> = clients
        .into_iter()
        .filter(|&peer| world.shard(peer) == ShardId(1))
        .collect();
    let join = json!({"type": "join", "room": room, "id": 1});
    let long = say(&room, "x".repeat(900_000));
    for &client in &away {
        world.send(client, &json!({"type": "batch", "messages": [join, long]}));
        assert!(world.stats().buffered_bytes <= budget);
    }
    let (closed, waiting): (Vec<_>, Vec<_>) =
        (away.into_iter()).partition(|&client| world.close_frame(client).is_some());
    assert!(!closed.is_empty() && !waiting.is_empty());
    assert_eq!(world.stats().over_budget, closed.len() as u64);
    world.advance_ms(3_000);
    for client in waiting {
        world.expect(client, "joined_room");
    }
}
