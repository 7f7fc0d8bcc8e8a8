//! `room.flush_delay_ms`: what is said in a room is held for a moment, so that more of it goes out at once.

use roomwire_core::Config;
use roomwire_core::config::{RoomRule, SlowReader};
use roomwire_tests::{Peer, Rng, World};
use serde_json::{Value, json};

use crate::only;

const DELAY_MS: u64 = 20;

fn rule(pattern: &str, flush_delay_ms: u64) -> RoomRule {
    RoomRule {
        pattern: pattern.to_owned(),
        flush_delay_ms: Some(flush_delay_ms),
        ..RoomRule::default()
    }
}

/// Two members of `tea`, where what is said is held, at the beginning of a moment.
fn two_at_tea() -> (World, Peer, Peer) {
    two_at_tea_of(World::new)
}

fn two_at_tea_of(world: impl FnOnce(Config) -> World) -> (World, Peer, Peer) {
    let mut world = world(only(|config| {
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

/// What a member that reads at once hears of a burst that is said within one moment.
fn burst(
    flush_delay_ms: u64,
    lower: impl FnOnce(&mut Config),
    count: usize,
    bytes: usize,
) -> World {
    let mut world = World::new(only(|config| {
        config.heartbeat.interval_ms = 0;
        config.rooms = vec![rule("tea", flush_delay_ms)];
        lower(config);
    }));
    let clients = world.connect_many(2);
    for &client in &clients {
        world.join(client, "tea");
    }
    world.advance_ms(1_000);
    world.forget();
    for _ in 0..count {
        say(&mut world, clients[0], "tea", &"x".repeat(bytes));
        world.advance_us(100);
    }
    world.advance_ms(1_000);
    assert_eq!(heard(&mut world, clients[1]).len(), count);
    world
}

#[test]
fn who_reads_at_once_is_not_slow() {
    let small = |config: &mut Config| {
        config.limits.max_message_bytes = 10_000;
        config.limits.max_members_listed = 1;
        config.limits.max_metadata_bytes = 100;
        config.room_names.max_bytes = 100;
        config.limits.max_queued_bytes = 100_000;
        config.limits.max_buffered_bytes = config.min_buffered_bytes();
    };
    let policies = [
        SlowReader::Close,
        SlowReader::DropOldest,
        SlowReader::DropNewest,
        SlowReader::Latest,
    ];
    for (policy, delay) in policies
        .into_iter()
        .flat_map(|it| [(it, 0), (it, 50), (it, 1_000)])
    {
        let few = |config: &mut Config| {
            config.limits.max_queued_messages = 64;
            config.rooms[0].slow_reader = policy;
        };
        for world in [burst(delay, few, 100, 1), burst(delay, small, 20, 8_000)] {
            let stats = world.stats();
            assert_eq!(
                (stats.slow_readers, stats.over_budget, stats.dropped),
                (0, 0, 0)
            );
        }
    }
}

#[test]
fn what_is_held_is_counted_room_by_room() {
    let (mut world, ada, bob) = two_at_tea();
    for client in [ada, bob] {
        world.join(client, "cake");
    }
    world.advance_ms(DELAY_MS);
    world.forget();
    say(&mut world, ada, "tea", "tea");
    // Half a moment of tea is one of cake: more goes through there than may be held.
    for _ in 0..5 {
        say(&mut world, ada, "cake", &"x".repeat(60_000));
    }
    world.advance_us(DELAY_MS * 500);
    assert_eq!(heard(&mut world, bob).len(), 5);
    for _ in 0..4 {
        say(&mut world, ada, "cake", &"x".repeat(60_000));
    }
    world.expect_nothing(bob);
    world.advance_us(DELAY_MS * 500);
    assert_eq!(heard(&mut world, bob).len(), 5);
    // What a room held that is no more is not held.
    for _ in 0..4 {
        say(&mut world, ada, "tea", &"x".repeat(60_000));
    }
    for client in [ada, bob] {
        world.reset(client);
    }
    assert_eq!((world.stats().rooms, world.stats().held), (0, 0));
    let clients = world.connect_many(2);
    for &client in &clients {
        world.join(client, "tea");
    }
    world.advance_ms(DELAY_MS);
    world.forget();
    say(&mut world, clients[0], "tea", &"x".repeat(60_000));
    world.expect_nothing(clients[1]);
}

#[test]
fn a_room_with_the_number_of_another_has_its_own_moment() {
    let (mut world, ada, bob) = two_at_tea_of(World::alone);
    let eve = world.connect();
    for client in [ada, bob] {
        world.join(client, "air");
    }
    world.send(ada, &json!({"type": "leave", "room": "tea"}));
    world.send(bob, &json!({"type": "leave", "room": "tea"}));
    world.advance_ms(DELAY_MS);
    world.forget();
    // All in one turn: the empty room is still in the list of those that were told something.
    for (peer, what, room) in [
        (ada, "leave", "air"),
        (bob, "leave", "air"),
        (bob, "join", "tea"),
        (eve, "join", "tea"),
    ] {
        world.post_json(peer, &json!({"type": what, "room": room}));
    }
    world.settle();
    assert_eq!(world.stats().held, 1);
    let told = world.all(bob);
    assert!(
        told.iter().all(|it| it["type"] != "member_joined"),
        "{told:?}"
    );
    world.advance_ms(DELAY_MS);
    world.expect(bob, "member_joined");
    assert_eq!(world.stats().held, 0);
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

/// What people do, the same for the same seed, where rooms hold what is said for so long; what each of them heard.
fn story(seed: u64, delays_ms: [u64; 3]) -> Vec<Vec<Value>> {
    let mut rng = Rng::new(seed);
    let names = ["tea", "cake", "air"];
    let mut world = World::alone(only(|config| {
        config.heartbeat.interval_ms = 0;
        let rules = names.iter().zip(delays_ms);
        config.rooms = rules.map(|(name, delay)| rule(name, delay)).collect();
        config.rooms[1].notice_members = 2;
        config.rooms[2].history_messages = 10;
    }));
    let clients = world.connect_many(5);
    for number in 0..150 {
        let client = clients[rng.below(clients.len())];
        let room = names[rng.below(names.len())];
        let message = match rng.below(12) {
            0..3 => json!({"type": "join", "room": room}),
            3 => json!({"type": "leave", "room": room}),
            4..10 => {
                let data = if rng.one_in(20) {
                    "x".repeat(70_000)
                } else {
                    number.to_string()
                };
                json!({"type": "room_message", "room": room, "data": data})
            }
            10 => json!({"type": "typing", "room": room}),
            _ => {
                let to = world.id(clients[rng.below(clients.len())]).to_owned();
                json!({"type": "private_message", "to": to, "data": number})
            }
        };
        world.send(client, &message);
        if rng.one_in(10) {
            world.stall(client);
        } else if rng.one_in(5) {
            world.release(client);
        }
        world.advance_us(rng.below(8_000) as u64);
    }
    clients.iter().for_each(|&client| world.release(client));
    world.advance_ms(1_000);
    assert_eq!(world.stats().held, 0);
    clients.iter().map(|&client| world.all(client)).collect()
}

/// Each room's messages are the same, and before each message of its own a client heard the same of them.
#[test]
fn all_is_heard_that_would_be_and_in_order() {
    let of = |heard: &[Value], room: &str| -> Vec<Value> {
        let same = heard
            .iter()
            .filter(|it| it["room"] == room && is_shared(it));
        same.cloned().collect()
    };
    for seed in 0..60 {
        let at_once = story(seed, [0; 3]);
        let held = story(seed, [7, 20, 1]);
        for (mut at_once, mut held) in at_once.into_iter().zip(held) {
            for room in ["tea", "cake", "air"] {
                assert_eq!(of(&held, room), of(&at_once, room), "seed {seed}");
            }
            for heard in [&mut at_once, &mut held] {
                let own: Vec<_> = heard.split_inclusive(|it| !is_shared(it)).collect();
                let sorted = own.into_iter().flat_map(|part| {
                    let mut part: Vec<_> = part
                        .iter()
                        .map(|it| (!is_shared(it), it.to_string()))
                        .collect();
                    part.sort();
                    part
                });
                *heard = sorted.map(|(_, text)| Value::from(text)).collect();
            }
            assert_eq!(held, at_once, "seed {seed}");
        }
    }
}

/// Whether a message is one of those that all members of a room get.
fn is_shared(message: &Value) -> bool {
    let kind = message["type"].as_str().unwrap_or_default();
    let notices = [
        "member_joined",
        "member_left",
        "members_changed",
        "user_typing",
        "user_stopped_typing",
    ];
    kind == "room_message" || notices.contains(&kind)
}
