//! `room.flush_delay_ms`: what is said in a room is held for a moment, so that more of it goes out at once.

use roomwire_core::config::RoomRule;
use roomwire_tests::{Peer, World};
use serde_json::{Value, json};

use crate::only;

const DELAY_MS: u64 = 20;

fn rule(pattern: &str, flush_delay_ms: u64) -> RoomRule {
    RoomRule {
        pattern: pattern.to_owned(),
        flush_delay_ms,
        ..RoomRule::default()
    }
}

/// Two members of `tea`, where what is said is held, at the beginning of a moment.
fn two_at_tea() -> (World, Peer, Peer) {
    let mut world = World::new(only(|config| {
        config.heartbeat.interval_ms = 0;
        config.rooms = vec![
            rule("tea", DELAY_MS),
            rule("cake", DELAY_MS / 2),
            rule("*", 0),
        ];
    }));
    let clients = world.connect_many(2);
    for &client in &clients {
        world.join(client, "tea");
    }
    say(&mut world, clients[0], "tea", "first");
    while world
        .next(clients[1])
        .is_none_or(|it| it["type"] != "room_message")
    {
        world.advance_us(100);
    }
    world.forget();
    (world, clients[0], clients[1])
}

fn say(world: &mut World, peer: Peer, room: &str, data: &str) {
    world.send(
        peer,
        &json!({"type": "room_message", "room": room, "data": data}),
    );
}

/// What a client got of what others said.
fn heard(world: &mut World, peer: Peer) -> Vec<String> {
    let said = |it: Value| it["data"].as_str().map(str::to_owned);
    world.all(peer).into_iter().filter_map(said).collect()
}

#[test]
fn what_is_said_comes_at_the_end_of_the_moment() {
    let (mut world, ada, bob) = two_at_tea();
    for half in ["one", "two"] {
        say(&mut world, ada, "tea", half);
        world.advance_us(DELAY_MS * 500 - 100);
    }
    world.expect_nothing(bob);
    let writes = world.driver().transmits();
    world.advance_us(200);
    assert_eq!(heard(&mut world, bob), ["one", "two"]);
    assert_eq!(world.driver().transmits(), writes + 1);
    // The next moment is as long.
    say(&mut world, ada, "tea", "three");
    world.advance_us(DELAY_MS * 1_000 - 300);
    world.expect_nothing(bob);
    world.advance_us(300);
    assert_eq!(heard(&mut world, bob), ["three"]);
}

#[test]
fn nothing_overtakes_what_is_held() {
    let (mut world, ada, bob) = two_at_tea();
    say(&mut world, ada, "tea", "one");
    world.expect_nothing(bob);
    // Who gets something of its own gets what was said before it, and nobody else does.
    say(&mut world, bob, "tea", "two");
    world.send(bob, &json!({"type": "ping"}));
    assert_eq!(world.expect(bob, "room_message")["data"], "one");
    world.expect(bob, "pong");
    world.expect_nothing(ada);
    world.advance_ms(DELAY_MS);
    assert_eq!(heard(&mut world, ada), ["two"]);
    world.expect_nothing(bob);
}

#[test]
fn rooms_have_moments_of_their_own() {
    let (mut world, ada, bob) = two_at_tea();
    for room in ["cake", "air"] {
        world.join(ada, room);
        world.join(bob, room);
    }
    world.advance_ms(DELAY_MS);
    world.forget();
    for room in ["tea", "cake", "air"] {
        say(&mut world, ada, room, room);
    }
    assert_eq!(heard(&mut world, bob), ["air"]);
    world.advance_us(DELAY_MS * 500);
    assert_eq!(heard(&mut world, bob), ["cake"]);
    world.advance_us(DELAY_MS * 500);
    assert_eq!(heard(&mut world, bob), ["tea"]);
}

#[test]
fn much_is_not_held() {
    let (mut world, ada, bob) = two_at_tea();
    let long = "x".repeat(60_000);
    for sent in 1..=5 {
        say(&mut world, ada, "tea", &long);
        let come = heard(&mut world, bob).len();
        assert_eq!(come, if sent < 5 { 0 } else { 5 }, "of {sent}");
    }
    // It begins anew.
    say(&mut world, ada, "tea", "more");
    world.expect_nothing(bob);
    world.advance_ms(DELAY_MS);
    assert_eq!(heard(&mut world, bob), ["more"]);
}

#[test]
fn who_leaves_meanwhile_has_heard_it_and_an_empty_room_holds_nothing() {
    let (mut world, ada, bob) = two_at_tea();
    say(&mut world, ada, "tea", "one");
    world.send(bob, &json!({"type": "leave", "room": "tea"}));
    assert_eq!(world.expect(bob, "room_message")["data"], "one");
    world.expect(bob, "left_room");
    world.join(bob, "tea");
    say(&mut world, ada, "tea", "two");
    for client in [ada, bob] {
        world.reset(client);
    }
    assert_eq!(world.stats().rooms, 0);
    // Another room of that name, or of that number, is not in a hurry because of it.
    let clients = world.connect_many(2);
    for &client in &clients {
        world.join(client, "tea");
    }
    world.advance_ms(DELAY_MS);
    world.forget();
    say(&mut world, clients[0], "tea", "three");
    world.expect_nothing(clients[1]);
    world.advance_ms(DELAY_MS);
    assert_eq!(heard(&mut world, clients[1]), ["three"]);
}

#[test]
fn who_is_sent_away_has_heard_it() {
    let (mut world, ada, bob) = two_at_tea();
    say(&mut world, ada, "tea", "one");
    world.send_text(bob, "not json at all");
    let all = world.all(bob);
    assert_eq!(all[0]["data"], "one");
    assert_eq!(all[1]["type"], "error");
}
