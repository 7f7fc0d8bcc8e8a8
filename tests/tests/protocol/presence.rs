//! Metadata, member lists, summed-up notices, typing.

use std::collections::BTreeSet;

use roomwire_core::Config;
use roomwire_core::config::{Limits, RoomRule};
use roomwire_core::server::Command;
use roomwire_tests::{Peer, World};
use serde_json::{Value, json};

use crate::{quiet_world, unlimited};

// ---- metadata

fn set(metadata: Value) -> Value {
    json!({"type": "set_metadata", "metadata": metadata})
}

// covers A1-07, A2-07
#[test]
fn metadata_is_merged_and_null_deletes() {
    let mut world = World::default();
    let client = world.connect();
    let reply = world.request(client, &set(json!({"a": 1, "b": {"c": [2]}})));
    assert_eq!(reply["metadata"], json!({"a": 1, "b": {"c": [2]}}));
    let reply = world.request(client, &set(json!({"b": 3, "a": null, "d": "x"})));
    assert_eq!(reply["metadata"], json!({"b": 3, "d": "x"}));
    for bad in [json!("ab"), json!(null), json!([1]), json!(7)] {
        assert_eq!(world.refused(client, &set(bad)), "bad_message");
    }
    let missing = json!({"type": "set_metadata"});
    assert_eq!(world.refused(client, &missing), "bad_message");
    let reply = world.request(client, &set(json!({"b": null, "d": null})));
    assert_eq!(reply["metadata"], json!({}));
}

// covers A1-07
#[test]
fn members_of_shared_rooms_are_told_of_metadata() {
    let mut world = World::new(Config {
        rooms: vec![RoomRule {
            pattern: "private*".to_owned(),
            metadata_notices: false,
            ..RoomRule::default()
        }],
        ..Config::default()
    });
    let clients = world.connect_many(4);
    let [ada, bob, eve, out] = clients[..] else {
        unreachable!()
    };
    for (peer, room) in [
        (ada, "a"),
        (ada, "b"),
        (ada, "private"),
        (bob, "a"),
        (bob, "b"),
        (eve, "private"),
        (out, "c"),
    ] {
        world.join(peer, room);
    }
    world.forget();
    world.request(ada, &set(json!({"mood": "fine"})));
    let mut rooms = BTreeSet::new();
    for _ in 0..2 {
        let notice = world.expect(bob, "member_updated");
        assert_eq!(notice["clientId"], world.id(ada));
        assert_eq!(notice["metadata"], json!({"mood": "fine"}));
        rooms.insert(notice["room"].as_str().expect("a room").to_owned());
    }
    assert_eq!(rooms, BTreeSet::from(["a".to_owned(), "b".to_owned()]));
    for peer in [ada, bob, eve, out] {
        world.expect_nothing(peer);
    }
}

// ---- lists

// covers A2-03
#[test]
fn a_long_member_list_is_cut_and_counted() {
    let mut world = World::new(Config {
        limits: Limits {
            max_members_listed: 3,
            ..Limits::default()
        },
        ..unlimited()
    });
    let clients = world.connect_many(5);
    for (index, &client) in clients.iter().enumerate() {
        let reply = world.join(client, "tea");
        let members = reply["members"].as_array().expect("a list");
        assert_eq!(members.len(), (index + 1).min(3));
        assert!(members.contains(&json!(world.id(client))), "self is listed");
        assert_eq!(reply["total"], index + 1);
    }
}

// covers A2-03, A0-13
#[test]
fn members_come_in_pages() {
    let mut world = quiet_world();
    let clients = world.connect_many(7);
    for &client in &clients {
        world.join(client, "tea");
    }
    let expected: BTreeSet<String> = clients.iter().map(|&c| world.id(c).to_owned()).collect();
    let mut seen = Vec::new();
    let mut after = Value::Null;
    for page in 0..3 {
        let request = json!({"type": "members", "room": "tea", "after": after, "limit": 3});
        let reply = world.request(clients[0], &request);
        assert_eq!(reply["room"], "tea");
        assert_eq!(reply["total"], 7);
        assert_eq!(reply["more"], page < 2);
        assert_eq!(reply.get("metadata"), None);
        let members = reply["members"].as_array().expect("a list").clone();
        assert_eq!(members.len(), if page < 2 { 3 } else { 1 });
        after = members.last().expect("a member").clone();
        seen.extend(
            members
                .iter()
                .map(|m| m.as_str().expect("an id").to_owned()),
        );
    }
    // In the order of the ids, everyone once.
    assert_eq!(seen, expected.into_iter().collect::<Vec<_>>());
    let past = json!({"type": "members", "room": "tea", "after": "z"});
    let reply = world.request(clients[0], &past);
    assert_eq!(reply["members"], json!([]));
    assert_eq!(reply["more"], false);
    assert_eq!(reply["total"], 7);
}

// covers A1-07, A0-13
#[test]
fn a_page_can_carry_metadata() {
    let mut world = quiet_world();
    let (ada, bob) = (world.connect(), world.connect());
    world.join(ada, "tea");
    world.join(bob, "tea");
    world.request(ada, &set(json!({"n": 1})));
    let request = json!({"type": "members", "room": "tea", "metadata": true});
    let reply = world.request(bob, &request);
    let expected = json!({world.id(ada): {"n": 1}, world.id(bob): {}});
    assert_eq!(reply["metadata"], expected);
    assert_eq!(reply.get("more").unwrap_or(&json!(false)), false);
}

// covers A0-13
#[test]
fn pages_with_much_metadata_are_shorter_and_lose_nobody() {
    let mut world = quiet_world();
    let clients = world.connect_many(40);
    for &client in &clients {
        world.join(client, "tea");
        world.request(client, &set(json!({"pad": "x".repeat(4_000)})));
    }
    let mut seen = BTreeSet::new();
    let mut after = Value::Null;
    for _ in 0..40 {
        let request = json!({"type": "members", "room": "tea", "after": after, "metadata": true});
        let reply = world.request(clients[0], &request);
        assert!(reply.to_string().len() < 80 * 1024);
        for member in reply["members"].as_array().expect("a list") {
            let id = member.as_str().expect("an id");
            assert!(reply["metadata"][id]["pad"].is_string());
            assert!(seen.insert(id.to_owned()));
            after = member.clone();
        }
        if reply["more"] == false {
            break;
        }
    }
    assert_eq!(seen.len(), 40);
}

// covers A2-03
#[test]
fn only_members_may_list_members() {
    let mut world = World::default();
    let (ada, out) = (world.connect(), world.connect());
    world.join(ada, "tea");
    let request = json!({"type": "members", "room": "tea"});
    assert_eq!(world.refused(out, &request), "not_member");
    let nowhere = json!({"type": "members", "room": "milk"});
    assert_eq!(world.refused(out, &nowhere), "no_such_room");
    for bad in [
        json!({"limit": -1}),
        json!({"limit": "3"}),
        json!({"after": 1}),
        json!({"metadata": 1}),
    ] {
        let mut request = request.clone();
        for (key, value) in bad.as_object().expect("an object") {
            request[key] = value.clone();
        }
        assert_eq!(world.refused(ada, &request), "bad_message", "{request}");
    }
}

// ---- summed-up notices

fn large_rooms() -> World {
    World::new(Config {
        rooms: vec![RoomRule {
            notice_members: 3,
            notice_interval_ms: 1_000,
            ..RoomRule::default()
        }],
        ..unlimited()
    })
}

// covers A2-04, A2-05, A0-13
#[test]
fn a_large_room_is_told_sums() {
    let mut world = large_rooms();
    let clients = world.connect_many(10);
    let watcher = clients[0];
    // Below the threshold each join is told.
    for &client in &clients[..3] {
        world.join(client, "tea");
    }
    world.expect(watcher, "member_joined");
    world.expect(watcher, "member_joined");
    // From three members on they are counted.
    for &client in &clients[3..] {
        world.join(client, "tea");
    }
    world.close(clients[9]);
    world.expect_nothing(watcher);
    world.advance_ms(999);
    world.expect_nothing(watcher);
    world.advance_ms(1);
    let sum = world.expect(watcher, "members_changed");
    assert_eq!(sum["room"], "tea");
    assert_eq!(
        (&sum["joined"], &sum["left"], &sum["total"]),
        (&json!(7), &json!(1), &json!(9))
    );
    // Nothing changes, nothing is told.
    world.advance_ms(10_000);
    world.expect_nothing(watcher);
    // The first change starts the next while.
    world.close(clients[8]);
    world.advance_ms(1_000);
    let sum = world.expect(watcher, "members_changed");
    assert_eq!(
        (&sum["joined"], &sum["left"], &sum["total"]),
        (&json!(0), &json!(1), &json!(8))
    );
}

// covers A2-04, A2-05
#[test]
fn a_room_that_shrinks_is_told_each_change_again() {
    let mut world = large_rooms();
    let clients = world.connect_many(4);
    for &client in &clients {
        world.join(client, "tea");
    }
    world.forget();
    let watcher = clients[0];
    world.close(clients[3]); // 3 are left: counted
    world.close(clients[2]); // 2 are left: told
    assert_eq!(
        world.expect(watcher, "member_left")["clientId"],
        world.id(clients[2])
    );
    world.advance_ms(1_000);
    let sum = world.expect(watcher, "members_changed");
    assert_eq!(sum["total"], 2);
    assert_eq!(sum["joined"], 1, "the fourth");
    assert_eq!(sum["left"], 1, "only what was not told alone");
}

// covers A2-04: a room that ends takes its notice with it
#[test]
fn a_large_room_that_ends_owes_nothing() {
    let mut world = large_rooms();
    let clients = world.connect_many(5);
    for &client in &clients {
        world.join(client, "tea");
    }
    for &client in &clients[1..] {
        world.close(client);
    }
    world.request(clients[0], &json!({"type": "leave", "room": "tea"}));
    world.forget();
    world.join(clients[0], "tea");
    world.advance_ms(5_000);
    world.expect_nothing(clients[0]);
}

// ---- typing

fn typing_pair() -> (World, Peer, Peer) {
    let mut world = quiet_world();
    let (ada, bob) = (world.connect(), world.connect());
    world.join(ada, "tea");
    world.join(bob, "tea");
    world.forget();
    (world, ada, bob)
}

fn start() -> Value {
    json!({"type": "typing_start", "room": "tea"})
}

// covers A0-13
#[test]
fn typing_is_told_once_and_expires() {
    let (mut world, ada, bob) = typing_pair();
    world.send(ada, &start());
    let notice = world.expect(bob, "user_typing");
    assert_eq!(notice["room"], "tea");
    assert_eq!(notice["clientId"], world.id(ada));
    world.advance_ms(4_000);
    world.send(ada, &start()); // goes on: nothing new
    world.advance_ms(4_999);
    world.expect_nothing(bob);
    world.advance_ms(1);
    let notice = world.expect(bob, "user_stopped_typing");
    assert_eq!(notice["room"], "tea");
    assert_eq!(notice["clientId"], world.id(ada));
    world.advance_ms(60_000);
    world.expect_nothing(bob);
    world.expect_nothing(ada);
}

// covers A0-13
#[test]
fn typing_stops_on_request_once() {
    let (mut world, ada, bob) = typing_pair();
    let stop = json!({"type": "typing_stop", "room": "tea"});
    world.send(ada, &stop); // was not typing
    world.expect_nothing(bob);
    world.send(ada, &start());
    world.send(ada, &stop);
    world.send(ada, &stop);
    world.expect(bob, "user_typing");
    world.expect(bob, "user_stopped_typing");
    world.advance_ms(10_000);
    world.expect_nothing(bob);
    world.expect_nothing(ada);
}

// covers A0-13
#[test]
fn typing_stops_with_the_membership() {
    type Way = fn(&mut World, Peer);
    let leave = |world: &mut World, peer| {
        let reply = world.request(peer, &json!({"type": "leave", "room": "tea"}));
        assert_eq!(reply["type"], "left_room");
    };
    let kick = |world: &mut World, peer| {
        let connection = world.connection(peer);
        let room = "tea".to_owned();
        world.command(Command::Kick { connection, room });
    };
    let ways: [Way; 5] = [leave, kick, World::close, World::finish, World::reset];
    for way in ways {
        let (mut world, ada, bob) = typing_pair();
        world.send(ada, &start());
        way(&mut world, ada);
        world.expect(bob, "user_typing");
        world.expect(bob, "user_stopped_typing");
        world.expect(bob, "member_left");
        world.advance_ms(10_000);
        world.expect_nothing(bob);
        let own = world.all(ada);
        let of_typing = |m: &&Value| m["type"] == "user_stopped_typing";
        assert_eq!(own.iter().find(of_typing), None, "nobody hears of himself");
    }
}

// covers A0-13
#[test]
fn who_is_closed_while_typing_does_not_hear_of_himself() {
    let (mut world, ada, bob) = typing_pair();
    world.send(ada, &start());
    let connection = world.connection(ada);
    world.command(Command::Close {
        connection,
        code: 4000,
        reason: "enough".to_owned(),
        reconnect_after_ms: None,
    });
    world.expect(ada, "closing");
    world.expect_nothing(ada);
    world.expect(bob, "user_typing");
    world.expect(bob, "user_stopped_typing");
    assert_eq!(world.expect(bob, "member_left")["reason"], "kicked");
}

// covers A1-10: a page is not cut for a few KiB
#[test]
fn a_page_carries_much_metadata() {
    let mut world = quiet_world();
    let clients = world.connect_many(10);
    for &client in &clients {
        world.join(client, "tea");
        world.send(client, &set(json!({"pad": "x".repeat(1_500)})));
    }
    let request = json!({"type": "members", "room": "tea", "metadata": true});
    let reply = world.request(clients[0], &request);
    assert_eq!(reply["members"].as_array().map(Vec::len), Some(10));
}
