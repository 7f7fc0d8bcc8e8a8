//! Without `room.flush_delay_ms` a large room is held for a moment while several messages at once are said in it.

use roomwire_core::config::RoomRule;
use roomwire_tests::{Peer, World};
use serde_json::{Value, json};

use crate::only;

/// Shards, and from how many members on they hold what is said in a room for a millisecond.
const SIZES: [(u8, usize); 2] = [(1, 500), (2, 125)];

/// A room of so many.
fn crowd(shards: u8, members: usize, flush_delay_ms: Option<u64>) -> (World, Vec<Peer>) {
    let config = only(|config| {
        config.heartbeat.interval_ms = 0;
        config.rooms = vec![RoomRule {
            flush_delay_ms,
            notice_members: 1,
            notice_interval_ms: 10,
            ..RoomRule::default()
        }];
    });
    let mut world = World::of_shards(config, shards);
    let clients = world.connect_many(members);
    for &client in &clients {
        world.join(client, "tea");
    }
    world.advance_ms(1_000);
    world.forget();
    (world, clients)
}

/// As many clients say something in one turn of the loop.
fn say(world: &mut World, clients: &[Peer]) {
    for &client in clients {
        let message = json!({"type": "room_message", "room": "tea", "data": "tea?"});
        world.post_json(client, &message);
    }
    world.settle();
}

/// How many messages a client has got.
fn heard(world: &mut World, peer: Peer) -> usize {
    let is_said = |it: &Value| it["type"] == "room_message";
    world.all(peer).iter().filter(|it| is_said(it)).count()
}

#[test]
fn one_message_at_a_time_never_waits() {
    for (shards, members) in SIZES {
        let (mut world, clients) = crowd(shards, members, None);
        for from in 0..10 {
            say(&mut world, &clients[from..=from]);
            assert_eq!(world.stats().held, 0);
            assert_eq!(heard(&mut world, clients[20]), 1);
            world.advance_us(700);
        }
    }
}

#[test]
fn notices_are_no_sign_of_more() {
    let (mut world, clients) = crowd(1, 500, None);
    for kind in ["typing_start", "typing_stop"] {
        let typing = json!({"type": kind, "room": "tea"});
        clients[..3]
            .iter()
            .for_each(|&client| world.post_json(client, &typing));
        say(&mut world, &clients[..1]);
        assert_eq!((world.stats().held, heard(&mut world, clients[9])), (0, 1));
    }
}

#[test]
fn several_at_once_are_waited_for_until_there_is_one() {
    for (shards, members) in SIZES {
        let (mut world, clients) = crowd(shards, members, None);
        let last = clients[members - 1];
        let at = usize::from(shards);
        // Of each shard.
        say(&mut world, &clients[..2 * at]);
        assert_eq!(heard(&mut world, last), 2 * at);
        for _ in 0..3 {
            let writes = world.driver().transmits();
            for from in [&clients[..at], &clients[at..2 * at]] {
                say(&mut world, from);
                assert_eq!(world.stats().held, at);
                world.expect_nothing(last);
            }
            world.advance_ms(1);
            assert_eq!(heard(&mut world, last), 2 * at);
            // To each once, however many were said, and once more to who has said something.
            let writes = world.driver().transmits() - writes;
            assert!(writes <= (members + 2 * at) as u64, "{writes}");
        }
        say(&mut world, &clients[..1]);
        world.expect_nothing(last);
        world.advance_ms(1);
        assert_eq!(heard(&mut world, last), 1);
        // That was one, and the next goes at once.
        say(&mut world, &clients[..1]);
        assert_eq!((world.stats().held, heard(&mut world, last)), (0, 1));
    }
}

#[test]
fn who_is_answered_has_heard_what_was_said() {
    let (mut world, clients) = crowd(1, 500, None);
    say(&mut world, &clients[..2]);
    world.forget();
    say(&mut world, &clients[..2]);
    world.send(clients[9], &json!({"type": "ping"}));
    let told = world.all(clients[9]);
    let types: Vec<_> = told.iter().map(|it| it["type"].clone()).collect();
    assert_eq!(types, ["room_message", "room_message", "pong"]);
    world.expect_nothing(clients[10]);
}

#[test]
fn small_rooms_and_those_that_are_not_to_be_held_never_wait() {
    for (shards, members) in SIZES {
        for (members, flush_delay_ms) in [(members - 1, None), (members, Some(0))] {
            let (mut world, clients) = crowd(shards, members, flush_delay_ms);
            for _ in 0..3 {
                say(&mut world, &clients[..4]);
                assert_eq!(world.stats().held, 0);
                assert_eq!(heard(&mut world, clients[9]), 4);
            }
        }
    }
}

#[test]
fn a_larger_room_is_held_for_longer() {
    let (mut world, clients) = crowd(2, 500, None);
    let last = clients[499];
    say(&mut world, &clients[..4]);
    world.forget();
    // From one moment's end to the next.
    say(&mut world, &clients[..4]);
    while heard(&mut world, last) == 0 {
        world.advance_us(100);
    }
    say(&mut world, &clients[..4]);
    world.advance_us(1_800);
    world.expect_nothing(last);
    world.advance_us(300);
    assert_eq!(heard(&mut world, last), 4);
}
