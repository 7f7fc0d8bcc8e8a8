//! Joining, leaving, talking in rooms.

use std::collections::BTreeSet;

use roomwire_core::Config;
use roomwire_core::config::{RoomNames, RoomRule};
use roomwire_core::server::{Command, Event};
use roomwire_tests::{Peer, World};
use serde_json::{Value, json};

use crate::{quiet_world, unlimited};

fn members(reply: &Value) -> BTreeSet<String> {
    let list = reply["members"].as_array().expect("a list");
    let names = list.iter().map(|id| id.as_str().expect("an id").to_owned());
    let set: BTreeSet<String> = names.collect();
    assert_eq!(set.len(), list.len(), "nobody is listed twice");
    set
}

fn ids(world: &World, peers: &[Peer]) -> BTreeSet<String> {
    peers.iter().map(|&p| world.id(p).to_owned()).collect()
}

// covers A0-2, A1-02, A2-03, A2-04, A12-03
#[test]
fn a_join_is_answered_and_announced_once() {
    let mut world = World::default();
    let (ada, bob) = (world.connect(), world.connect());
    let reply = world.join(ada, "tea");
    assert_eq!(reply["room"], "tea");
    assert_eq!(members(&reply), ids(&world, &[ada]));
    assert_eq!(reply["total"], 1);

    let reply = world.join(bob, "tea");
    assert_eq!(members(&reply), ids(&world, &[ada, bob]));
    assert_eq!(reply["total"], 2);
    let notice = world.expect(ada, "member_joined");
    assert_eq!(notice["room"], "tea");
    assert_eq!(notice["clientId"], world.id(bob));
    world.expect_nothing(ada);
    world.expect_nothing(bob);
}

// covers A1-02
#[test]
fn joining_again_is_answered_and_not_announced() {
    let mut world = World::default();
    let (ada, bob) = (world.connect(), world.connect());
    world.join(ada, "tea");
    world.join(bob, "tea");
    world.forget();
    let reply = world.join(bob, "tea");
    assert_eq!(members(&reply), ids(&world, &[ada, bob]));
    world.expect_nothing(ada);
    // One leave is enough: there was one membership.
    world.request(bob, &json!({"type": "leave", "room": "tea"}));
    world.expect(ada, "member_left");
    assert_eq!(world.join(ada, "tea")["total"], 1);
}

// covers A1-02
#[test]
fn room_names_are_checked() {
    let mut world = quiet_world();
    let client = world.connect();
    let long = "x".repeat(256);
    let table = [
        (json!({"type": "join"}), "bad_message"),
        (json!({"type": "join", "room": 7}), "bad_message"),
        (json!({"type": "join", "room": null}), "bad_message"),
        (json!({"type": "join", "room": {"a": 1}}), "bad_message"),
        (json!({"type": "join", "room": ""}), "invalid_room"),
        (json!({"type": "join", "room": long}), "invalid_room"),
        (json!({"type": "join", "room": "a\nb"}), "invalid_room"),
        (json!({"type": "join", "room": "user:7"}), "reserved"),
    ];
    for (message, code) in table {
        assert_eq!(world.refused(client, &message), code, "{message}");
    }
    assert_eq!(world.stats().rooms, 0);
    for room in [
        "x".repeat(255).as_str(),
        " ",
        "*",
        "ö😀",
        "__proto__",
        "users",
    ] {
        assert_eq!(world.join(client, room)["room"], room);
    }
}

// covers A1-02
#[test]
fn allowed_characters_can_be_narrowed() {
    let mut world = World::new(Config {
        room_names: RoomNames {
            allowed_punctuation: Some("-_".to_owned()),
            ..RoomNames::default()
        },
        ..unlimited()
    });
    let client = world.connect();
    world.join(client, "a-B_9");
    for room in ["a b", "a.b", "ä", "a/b"] {
        let message = json!({"type": "join", "room": room});
        assert_eq!(world.refused(client, &message), "invalid_room", "{room}");
    }
}

// covers A1-02: a name is its characters, however they are spelled
#[test]
fn two_spellings_are_one_room() {
    let mut world = World::default();
    let (ada, bob) = (world.connect(), world.connect());
    world.join(ada, "tea");
    world.send_text(bob, r#"{"type":"join","room":"t\u0065a"}"#);
    let reply = world.expect(bob, "joined_room");
    assert_eq!(reply["room"], "tea");
    assert_eq!(reply["total"], 2);
    assert_eq!(world.stats().rooms, 1);
}

// covers A1-03, A2-05, A2-10
#[test]
fn a_leave_is_answered_and_announced_once() {
    let mut world = World::default();
    let (ada, bob) = (world.connect(), world.connect());
    world.join(ada, "tea");
    world.join(bob, "tea");
    world.forget();
    let leave = json!({"type": "leave", "room": "tea"});
    let reply = world.request(bob, &leave);
    assert_eq!(reply["type"], "left_room");
    assert_eq!(reply["room"], "tea");
    let notice = world.expect(ada, "member_left");
    assert_eq!(notice["room"], "tea");
    assert_eq!(notice["clientId"], world.id(bob));
    assert_eq!(notice["reason"], "left");
    // Who is not there cannot leave, and nobody hears of the attempt.
    assert_eq!(world.refused(bob, &leave), "not_member");
    let nowhere = json!({"type": "leave", "room": "milk"});
    assert_eq!(world.refused(bob, &nowhere), "no_such_room");
    world.expect_nothing(ada);
    world.expect_nothing(bob);
}

// covers A1-05, A2-09, A0-1, A3-12
#[test]
fn a_room_message_reaches_the_other_members_alone() {
    let mut world = World::default();
    let clients = world.connect_many(4);
    let [ada, bob, eve, out] = clients[..] else {
        unreachable!()
    };
    for peer in [ada, bob, eve] {
        world.join(peer, "tea");
    }
    world.join(out, "coffee");
    world.forget();
    let message = json!({"type": "room_message", "room": "tea", "data": "hi", "from": "admin"});
    world.send(ada, &message);
    for peer in [bob, eve] {
        let got = world.expect(peer, "room_message");
        assert_eq!(got["room"], "tea");
        assert_eq!(got["from"], world.id(ada));
        assert_eq!(got["data"], "hi");
        assert_eq!(got["timestamp"], world.driver().now().unix_ms);
        world.expect_nothing(peer);
    }
    world.expect_nothing(ada);
    world.expect_nothing(out);
    assert_eq!(world.refused(out, &message), "not_member");
    let nowhere = json!({"type": "room_message", "room": "milk", "data": 1});
    assert_eq!(world.refused(ada, &nowhere), "no_such_room");
    let empty = json!({"type": "room_message", "room": "tea"});
    assert_eq!(world.refused(ada, &empty), "bad_message");
    world.expect_nothing(bob);
}

// covers A0-5, A2-05, A3-08, A3-19
#[test]
fn a_lost_client_leaves_each_of_its_rooms_once() {
    type Way = fn(&mut World, Peer);
    let ways: [Way; 3] = [World::close, World::finish, World::reset];
    for leave in ways {
        let mut world = World::default();
        let (ada, bob) = (world.connect(), world.connect());
        for room in ["a", "b", "c"] {
            world.join(ada, room);
            world.join(bob, room);
        }
        world.join(bob, "alone");
        world.forget();
        leave(&mut world, bob);
        let mut rooms = BTreeSet::new();
        for _ in 0..3 {
            let notice = world.expect(ada, "member_left");
            assert_eq!(notice["clientId"], world.id(bob));
            assert_eq!(notice["reason"], "disconnected");
            assert!(rooms.insert(notice["room"].to_string()));
        }
        world.expect_nothing(ada);
        assert_eq!(world.stats().rooms, 3);
        assert_eq!(world.stats().clients, 1);
        let ends = world.events();
        let closed = |event: &&Event| matches!(event, Event::Closed { .. });
        assert_eq!(ends.iter().filter(closed).count(), 1, "{ends:?}");
    }
}

// covers A2-05
#[test]
fn who_is_kicked_is_told_and_so_are_the_others() {
    let mut world = World::default();
    let (ada, bob) = (world.connect(), world.connect());
    world.join(ada, "tea");
    world.join(bob, "tea");
    world.join(bob, "milk");
    world.forget();
    let connection = world.connection(bob);
    let kick = |room: &str| Command::Kick {
        connection,
        room: room.to_owned(),
    };
    world.command(kick("tea"));
    assert_eq!(world.expect(bob, "left_room")["room"], "tea");
    let notice = world.expect(ada, "member_left");
    assert_eq!(notice["reason"], "kicked");
    // Again, or from a room that it is not in, or that does not exist: nothing.
    world.command(kick("tea"));
    world.command(kick("nowhere"));
    world.expect_nothing(ada);
    world.expect_nothing(bob);
    world.join(bob, "tea");
}

// covers A3-10, A1-03
#[test]
fn an_empty_room_is_gone() {
    let mut world = World::default();
    let client = world.connect();
    world.join(client, "tea");
    assert_eq!(world.stats().rooms, 1);
    let leave = json!({"type": "leave", "room": "tea"});
    world.request(client, &leave);
    assert_eq!(world.stats().rooms, 0);
    assert_eq!(world.refused(client, &leave), "no_such_room");
}

// covers A3-10
#[test]
fn an_empty_room_can_linger() {
    let mut world = World::new(Config {
        rooms: vec![RoomRule {
            pattern: "slow*".to_owned(),
            linger_ms: 1_000,
            ..RoomRule::default()
        }],
        ..Config::default()
    });
    let client = world.connect();
    let leave = |room: &str| json!({"type": "leave", "room": room});
    for room in ["slow 1", "quick"] {
        world.join(client, room);
        world.request(client, &leave(room));
    }
    assert_eq!(world.refused(client, &leave("quick")), "no_such_room");
    assert_eq!(world.refused(client, &leave("slow 1")), "not_member");
    world.advance_ms(999);
    assert_eq!(world.stats().rooms, 1);
    // Who comes back in time keeps it.
    world.join(client, "slow 1");
    world.advance_ms(5_000);
    assert_eq!(world.stats().rooms, 1);
    world.request(client, &leave("slow 1"));
    world.advance_ms(999);
    assert_eq!(world.stats().rooms, 1);
    world.advance_ms(1);
    assert_eq!(world.stats().rooms, 0);
}

// covers A2-03, A2-04: one snapshot, whatever shares a turn
#[test]
fn everyone_learns_of_every_member_once() {
    let mut world = quiet_world();
    let clients = world.connect_many(8);
    for &client in &clients {
        world.post_json(client, &json!({"type": "join", "room": "tea", "id": 1}));
    }
    world.settle();
    let everyone = ids(&world, &clients);
    for &client in &clients {
        let mut known = BTreeSet::new();
        for message in world.all(client) {
            match message["type"].as_str() {
                Some("joined_room") => {
                    assert!(known.is_empty(), "the reply comes first");
                    known = members(&message);
                }
                Some("member_joined") => {
                    let id = message["clientId"].as_str().expect("an id").to_owned();
                    assert!(known.insert(id), "told twice");
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(known, everyone);
    }
}

// covers A3-12, A3-11: who fails or falls behind does not hold up the others
#[test]
fn one_bad_receiver_does_not_hurt_the_others() {
    let mut config = unlimited();
    config.limits.max_queued_messages = 50;
    let mut world = World::new(config);
    let clients = world.connect_many(5);
    for &client in &clients {
        world.join(client, "tea");
    }
    world.forget();
    world.dam(clients[1]);
    for number in 0..200 {
        let message = json!({"type": "room_message", "room": "tea", "data": {"n": number}});
        world.post_json(clients[0], &message);
        if number == 100 {
            world.reset(clients[2]);
        }
        world.settle();
    }
    for &client in &clients[3..] {
        let told = world.all(client);
        let numbers: Vec<u64> = told
            .iter()
            .filter_map(|message| message["data"]["n"].as_u64())
            .collect();
        assert_eq!(numbers, (0..200).collect::<Vec<_>>());
        let left = told.iter().filter(|m| m["type"] == "member_left").count();
        assert_eq!(left, 2, "the reset and the slow one");
    }
}

// covers A3-05
#[test]
fn client_ids_are_long_random_and_unique() {
    let mut world = World::default();
    let mut seen = BTreeSet::new();
    for _ in 0..1_000 {
        let client = world.connect();
        let id = world.id(client).to_owned();
        let body = id.strip_prefix("client_").expect("the prefix");
        assert_eq!(body.len(), 24);
        assert!(
            body.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        );
        assert!(seen.insert(id), "given twice");
        world.close(client);
    }
    // Nothing in them counts up: 18 bytes, and no two neighbours share a prefix of any length that matters.
    let sorted: Vec<&String> = seen.iter().collect();
    let common = |a: &str, b: &str| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    let longest = sorted.windows(2).map(|pair| common(pair[0], pair[1])).max();
    assert!(longest < Some("client_".len() + 8), "{longest:?}");
}

// covers A3-03, A3-04: one registry
#[test]
fn the_gauges_follow_the_clients() {
    let mut world = World::default();
    let clients = world.connect_many(3);
    world.join(clients[0], "a");
    world.join(clients[1], "b");
    let stats = world.stats();
    assert_eq!(
        (stats.connections, stats.clients, stats.rooms),
        (3, 3, 2),
        "{stats:?}"
    );
    world.close(clients[0]);
    world.reset(clients[1]);
    let stats = world.stats();
    assert_eq!(
        (stats.connections, stats.clients, stats.rooms),
        (1, 1, 0),
        "{stats:?}"
    );
    world.close(clients[2]);
    world.assert_empty();
}
