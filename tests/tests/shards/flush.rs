//! What is held for a moment (`room.flush_delay_ms`) is held once, where its room has its home.

use roomwire_core::ShardId;
use roomwire_core::config::RoomRule;
use roomwire_tests::World;

use crate::{all_of, quiet, room_at, say};

const DELAY_MS: u64 = 20;

/// A world of three shards in which what is said in rooms is held for so long.
fn holding(flush_delay_ms: u64) -> World {
    let mut config = quiet();
    config.rooms = vec![RoomRule {
        flush_delay_ms,
        ..RoomRule::default()
    }];
    World::of_shards(config, 3)
}

#[test]
fn all_shards_hear_it_in_the_same_moment() {
    let mut world = holding(DELAY_MS);
    let room = room_at(&world, ShardId(1));
    let clients = world.connect_many(6);
    for &client in &clients {
        world.join(client, &room);
    }
    world.advance_ms(2 * DELAY_MS);
    for &from in &clients {
        world.forget();
        let begun = world.driver().now().mono;
        world.send(from, &say(&room, 1));
        let others = || clients.iter().filter(|&&to| to != from);
        for &to in others() {
            world.expect_nothing(to);
        }
        let first = *others().next().expect("five");
        while all_of(&mut world, first, "room_message").is_empty() {
            assert!(world.sleep());
        }
        let waited = world.driver().now().mono.saturating_since(begun);
        assert!(waited.as_millis() as u64 <= DELAY_MS, "{waited:?}");
        for &to in others().skip(1) {
            assert_eq!(all_of(&mut world, to, "room_message").len(), 1);
        }
        world.expect_nothing(from);
    }
}

#[test]
fn links_are_used_once_a_moment() {
    let relays = |flush_delay_ms| {
        let mut world = holding(flush_delay_ms);
        let room = room_at(&world, ShardId(1));
        let clients = world.connect_many(6);
        for &client in &clients {
            world.join(client, &room);
        }
        world.advance_ms(2 * DELAY_MS);
        world.forget();
        let at_home = clients.iter().find(|&&it| world.shard(it) == ShardId(1));
        let from = *at_home.expect("one of six");
        let before = world.stats().relayed;
        for number in 0..10 {
            world.send(from, &say(&room, number));
        }
        world.advance_ms(DELAY_MS);
        for &to in clients.iter().filter(|&&to| to != from) {
            let heard = all_of(&mut world, to, "room_message");
            let numbers = heard.iter().map(|it| it["data"].as_u64());
            assert!(numbers.eq((0..10).map(Some)));
        }
        world.stats().relayed - before
    };
    // With what shards tell each other besides, now and then.
    let (held, at_once) = (relays(DELAY_MS), relays(0));
    assert!(held <= 6 && at_once >= 20, "{held}, {at_once}");
}

#[test]
fn what_cannot_wait_takes_along_what_can() {
    let mut world = holding(DELAY_MS);
    let room = room_at(&world, ShardId(1));
    let clients = world.connect_many(6);
    for &client in &clients[..5] {
        world.join(client, &room);
    }
    world.advance_ms(2 * DELAY_MS);
    world.forget();
    let at_home = clients.iter().find(|&&it| world.shard(it) == ShardId(1));
    let from = *at_home.expect("one of six");
    world.send(from, &say(&room, 1));
    // The answer of a room's home comes after what was said there before.
    let late = clients[5];
    let reply = world.join(late, &room);
    assert_eq!(reply["total"], 6);
    world.advance_ms(DELAY_MS);
    for &to in clients.iter().filter(|&&to| to != from && to != late) {
        assert_eq!(all_of(&mut world, to, "room_message").len(), 1);
    }
    let heard = all_of(&mut world, late, "room_message");
    assert!(heard.is_empty() || late == from, "{heard:?}");
}

#[test]
fn much_goes_over_a_link_at_once() {
    let mut world = holding(1_000);
    let room = room_at(&world, ShardId(1));
    let clients = world.connect_many(6);
    for &client in &clients {
        world.join(client, &room);
    }
    world.advance_ms(2_000);
    world.forget();
    let at_home = clients.iter().find(|&&it| world.shard(it) == ShardId(1));
    let from = *at_home.expect("one of six");
    let elsewhere = clients.iter().find(|&&it| world.shard(it) == ShardId(2));
    let to = *elsewhere.expect("one of six");
    let mut sent = 0;
    while all_of(&mut world, to, "room_message").is_empty() {
        world.send(from, &say(&room, "x".repeat(10_000)));
        sent += 1;
        assert!(sent <= 7, "64 KiB wait for nothing");
    }
}
