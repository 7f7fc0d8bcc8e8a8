//! Sessions of which several shards say something at once, and one of them late.

use roomwire_core::ShardId;
use roomwire_core::config::Sessions;
use roomwire_core::server::Command;
use roomwire_tests::{Peer, World};
use serde_json::json;

use crate::sessions::{AWAY_MS, come_back, connect_to, resume, session};
use crate::{all_of, quiet, room_at, say};

fn config() -> roomwire_core::Config {
    let mut config = quiet();
    config.sessions = Sessions {
        window_ms: 10_000,
        away_ms: AWAY_MS,
        ..Sessions::default()
    };
    config
}

fn hold(world: &mut World, from: u8, to: u8, ms: u64) {
    let machine = world.driver().machine_mut();
    machine.hold(ShardId(from), ShardId(to), ms * 1_000);
}

/// A private message that its target's first shard passes on to the shard that it came from.
#[test]
fn private_message_back_to_its_own_shard() {
    let mut world = World::of_shards(config(), 2);
    let made = connect_to(&mut world, 0);
    let bob = session(&mut world, made);
    world.reset(made);
    let back = connect_to(&mut world, 1);
    let friend = connect_to(&mut world, 1);
    world.post_json(back, &resume(&bob));
    world.post_json(
        friend,
        &json!({"type": "private_message", "to": bob["clientId"], "data": 1, "id": 1}),
    );
    world.settle();
    assert_eq!(all_of(&mut world, back, "private_message").len(), 1);
    let heard = world.all(friend);
    assert_eq!(heard.len(), 1, "no outcome: {heard:?}");
    assert_eq!(heard[0]["type"], "ack");
}

/// The same, until the shard does nothing any more for others.
#[test]
fn private_messages_stop_a_shard() {
    let mut config = config();
    config.limits.max_relay_bytes = 10_000;
    let mut world = World::of_shards(config, 2);
    let room = room_at(&world, ShardId(1));
    let made = connect_to(&mut world, 0);
    let bob = session(&mut world, made);
    let mut at = made;
    let friends: Vec<Peer> = (0..20).map(|_| connect_to(&mut world, 1)).collect();
    let send = json!({"type": "private_message", "to": bob["clientId"], "data": 1});
    let mut memory = Vec::new();
    for _ in 0..10 {
        world.reset(at);
        let back = connect_to(&mut world, 1);
        world.post_json(back, &resume(&bob));
        for &friend in &friends {
            world.post_json(friend, &send);
        }
        world.advance_ms(6_000);
        memory.push(
            world
                .machine()
                .servers()
                .map(|s| s.memory().relay)
                .sum::<usize>(),
        );
        at = back;
    }
    let other = connect_to(&mut world, 0);
    world.post_json(other, &json!({"type": "join", "room": room, "id": 7}));
    world.advance_ms(10_000);
    let heard = all_of(&mut world, other, "joined_room");
    let said = world.all(other);
    assert_eq!(heard.len(), 1, "the shard is deaf: {said:?}");
    // Queues keep the room that they have once needed.
    assert_eq!(memory[2], memory[9], "{memory:?}");
}

/// A client that asks again after `internal` is given the session twice, and gives one of them back.
#[test]
fn two_connections_with_one_id() {
    let mut config = config();
    config.timeouts.relay_ms = 100;
    let mut world = World::of_shards(config, 3);
    let made = connect_to(&mut world, 0);
    let bob = session(&mut world, made);
    world.request(
        made,
        &json!({"type": "set_metadata", "metadata": {"name": "Bob"}}),
    );
    world.reset(made);
    let first = connect_to(&mut world, 1);
    hold(&mut world, 0, 1, 150);
    world.send(first, &resume(&bob));
    world.advance_ms(110);
    assert_eq!(all_of(&mut world, first, "error")[0]["code"], "internal");
    world.send(first, &resume(&bob));
    world.advance_ms(90);
    let told = all_of(&mut world, first, "session");
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["resumed"], true);
    let metadata = world.request(first, &json!({"type": "set_metadata", "metadata": {}}));
    let second = come_back(&mut world, 2, &bob);
    world.advance_ms(1_000);
    let send = |n: u64| json!({"type": "room_message", "room": "den", "data": n, "id": n});
    let friend = world.connect();
    world.join(friend, "den");
    let mut senders = Vec::new();
    for (n, peer) in [(1, first), (2, second)] {
        if world.ending(peer).is_none() && world.close_frame(peer).is_none() {
            world.join(peer, "den");
            world.request(peer, &send(n));
            senders.push(n);
        }
    }
    let heard = all_of(&mut world, friend, "room_message");
    assert_eq!(senders, [2], "both live as {}: {heard:?}", bob["clientId"]);
    assert_eq!(metadata["metadata"], json!({"name": "Bob"}));
}

/// What a client has said just before it lost its connection reaches the others on its shard.
#[test]
fn last_words_reach_the_neighbours() {
    let mut world = World::of_shards(config(), 3);
    let room = room_at(&world, ShardId(2));
    let old = connect_to(&mut world, 1);
    let bob = session(&mut world, old);
    let neighbour = connect_to(&mut world, 1);
    let far = connect_to(&mut world, 2);
    for peer in [old, neighbour, far] {
        world.join(peer, &room);
    }
    let new = connect_to(&mut world, 0);
    world.forget();
    hold(&mut world, 1, 2, 50);
    world.send(old, &say(&room, 1));
    world.reset(old);
    assert_eq!(world.request(new, &resume(&bob))["resumed"], true);
    world.join(new, &room);
    world.advance_ms(100);
    assert_eq!(all_of(&mut world, far, "room_message").len(), 1);
    assert_eq!(all_of(&mut world, neighbour, "room_message").len(), 1);
}

/// A room's home that has begun anew hears late of a connection that has been replaced.
#[test]
fn a_late_restore_is_no_news() {
    let mut world = World::of_shards(config(), 3);
    let room = room_at(&world, ShardId(2));
    let old = connect_to(&mut world, 1);
    let bob = session(&mut world, old);
    let friend = connect_to(&mut world, 1);
    world.join(old, &room);
    world.join(friend, &room);
    let new = connect_to(&mut world, 0);
    hold(&mut world, 1, 2, 50);
    world.restart(ShardId(2));
    world.reset(old);
    assert_eq!(world.request(new, &resume(&bob))["resumed"], true);
    world.join(new, &room);
    world.forget();
    world.advance_ms(2 * AWAY_MS);
    let heard = world.all(friend);
    let list = world.request(friend, &json!({"type": "members", "room": room}));
    assert_eq!(list["total"], 2, "{list} {heard:?}");
    world.request(
        friend,
        &json!({"type": "room_message", "room": room, "data": 1, "id": 1}),
    );
    assert_eq!(
        all_of(&mut world, new, "room_message").len(),
        1,
        "{heard:?}"
    );
}

/// What an earlier connection has said of its metadata comes too late.
#[test]
fn old_metadata_does_not_come_back() {
    let mut world = World::of_shards(config(), 3);
    let room = room_at(&world, ShardId(2));
    let old = connect_to(&mut world, 1);
    let bob = session(&mut world, old);
    let friend = connect_to(&mut world, 2);
    world.join(old, &room);
    world.join(friend, &room);
    let new = connect_to(&mut world, 0);
    hold(&mut world, 1, 2, 50);
    world.send(old, &json!({"type": "set_metadata", "metadata": {"n": 1}}));
    world.reset(old);
    assert_eq!(world.request(new, &resume(&bob))["resumed"], true);
    world.request(new, &json!({"type": "set_metadata", "metadata": {"n": 2}}));
    world.join(new, &room);
    world.advance_ms(100);
    let list = json!({"type": "members", "room": room, "metadata": true});
    let list = world.request(friend, &list);
    let id = bob["clientId"].as_str().expect("an id");
    assert_eq!(list["metadata"][id]["n"], 2, "{list}");
}

/// A program closes a client while somebody else claims its session.
#[test]
fn a_kick_ends_a_session_that_is_claimed() {
    let mut world = World::of_shards(config(), 3);
    let made = connect_to(&mut world, 0);
    let bob = session(&mut world, made);
    world.reset(made);
    let at = come_back(&mut world, 1, &bob);
    world.request(
        at,
        &json!({"type": "set_metadata", "metadata": {"name": "Bob"}}),
    );
    let next = connect_to(&mut world, 2);
    hold(&mut world, 0, 1, 50);
    world.send(next, &resume(&bob));
    let connection = world.connection(at);
    world.command(Command::Close {
        connection,
        code: 4403,
        reason: "banned".into(),
        reconnect_after_ms: None,
    });
    world.advance_ms(100);
    let heard = world.all(next);
    assert_eq!(heard[0]["code"], "stale_session", "{heard:?}");
}
