//! Limits on rooms.

use roomwire_core::config::RoomRule;
use roomwire_tests::{Peer, World};
use serde_json::{Value, json};

use crate::only;

fn join(room: &str) -> Value {
    json!({"type": "join", "room": room})
}

// covers A1-02: room_names.max_bytes
#[test]
fn bytes_of_a_name() {
    for limit in [5, 255] {
        let mut world = World::new(only(|config| config.room_names.max_bytes = limit));
        let client = world.connect();
        world.join(client, &"x".repeat(limit));
        let long = join(&"x".repeat(limit + 1));
        assert_eq!(world.refused(client, &long), "invalid_room");
        // Bytes, not characters.
        let wide = join(&"ö".repeat(limit / 2 + 1));
        assert_eq!(world.refused(client, &wide), "invalid_room");
    }
}

// covers A1-02: room_names.reserved_prefixes
#[test]
fn reserved_names() {
    let mut world = World::new(only(|config| {
        config.room_names.reserved_prefixes = vec!["sys.".to_owned(), "x".to_owned()];
    }));
    let client = world.connect();
    for name in ["sys.", "sys.log", "x", "xyz"] {
        assert_eq!(world.refused(client, &join(name)), "reserved");
    }
    for name in ["sys", "user:1", "ax"] {
        world.join(client, name);
    }
}

// covers A1-02: limits.max_rooms_per_client
#[test]
fn rooms_of_a_client() {
    for limit in [2, 256] {
        let mut world = World::new(only(|config| config.limits.max_rooms_per_client = limit));
        let (client, other) = (world.connect(), world.connect());
        for number in 0..limit {
            world.join(client, &number.to_string());
        }
        assert_eq!(world.refused(client, &join("more")), "too_many_rooms");
        assert_eq!(world.stats().rooms, limit as usize);
        world.join(client, "0"); // is in it
        world.join(other, "more");
        world.request(client, &json!({"type": "leave", "room": "0"}));
        world.join(client, "more");
    }
}

// covers A1-02: limits.max_members_per_room
#[test]
fn members_of_a_room() {
    let mut world = World::new(only(|config| config.limits.max_members_per_room = 3));
    let clients = world.connect_many(4);
    for &client in &clients[..3] {
        world.join(client, "tea");
    }
    assert_eq!(world.refused(clients[3], &join("tea")), "room_full");
    world.join(clients[0], "tea"); // is in it
    world.join(clients[3], "coffee");
    world.request(clients[0], &json!({"type": "leave", "room": "tea"}));
    world.join(clients[3], "tea");
}

// covers A1-02: limits.max_rooms
#[test]
fn rooms_of_the_server() {
    let mut world = World::new(only(|config| config.limits.max_rooms = 3));
    let (ada, bob) = (world.connect(), world.connect());
    for room in ["a", "b", "c"] {
        world.join(ada, room);
    }
    assert_eq!(world.refused(bob, &join("d")), "too_many_rooms");
    assert_eq!(world.stats().rooms, 3);
    world.join(bob, "a"); // exists
    world.request(ada, &json!({"type": "leave", "room": "c"}));
    world.join(bob, "d");
}

// covers A2-03: limits.max_members_listed
#[test]
fn members_in_a_list() {
    for limit in [2, 100] {
        let mut world = World::new(only(|config| {
            config.limits.max_members_listed = limit as u32;
        }));
        let clients = world.connect_many(limit + 1);
        for (index, &client) in clients.iter().enumerate() {
            let reply = world.join(client, "tea");
            let listed = reply["members"].as_array().map(Vec::len);
            assert_eq!(listed, Some((index + 1).min(limit)));
            assert_eq!(reply["total"], index + 1);
        }
        for (asked, listed, more) in [(limit, limit, true), (limit + 1, limit, true), (1, 1, true)]
        {
            let request = json!({"type": "members", "room": "tea", "limit": asked});
            let reply = world.request(clients[0], &request);
            assert_eq!(reply["members"].as_array().map(Vec::len), Some(listed));
            assert_eq!(reply["more"], more);
        }
    }
}

// covers A2-04: room.notice_members, room.notice_interval_ms
#[test]
fn members_that_are_told_one_by_one() {
    let mut world = World::new(only(|config| {
        config.rooms = vec![RoomRule {
            notice_members: 2,
            notice_interval_ms: 300,
            ..RoomRule::default()
        }];
    }));
    let clients = world.connect_many(3);
    world.join(clients[0], "tea");
    world.join(clients[1], "tea"); // there was one: told
    world.expect(clients[0], "member_joined");
    world.join(clients[2], "tea"); // there were two: counted
    world.advance_ms(299);
    world.expect_nothing(clients[0]);
    world.advance_ms(1);
    world.expect(clients[0], "members_changed");
}

// covers A1-02: more rooms at once than one poll removes
#[test]
fn many_rooms_that_have_lingered_go_together() {
    let mut world = World::new(only(|config| {
        config.heartbeat.interval_ms = 0;
        config.rooms = vec![RoomRule {
            linger_ms: 1_000,
            ..RoomRule::default()
        }];
    }));
    let client = world.connect();
    for room in 0..700 {
        world.join(client, &format!("room {room}"));
    }
    world.close(client);
    assert_eq!(world.stats().rooms, 700);
    world.advance_ms(999);
    assert_eq!(world.stats().rooms, 700);
    world.advance_ms(1);
    assert_eq!(world.stats().rooms, 0);
}

fn history_of(world: &mut World, peer: Peer, asked: Value) -> Value {
    let mut request = asked;
    request["type"] = "history".into();
    request["room"] = "tea".into();
    world.request(peer, &request)
}

fn counted(page: &Value) -> usize {
    page["messages"].as_array().map_or(0, Vec::len)
}

fn say_in_tea(world: &mut World, peer: Peer) {
    let message = json!({"type": "room_message", "room": "tea", "data": "0123456789", "id": 1});
    assert_eq!(world.request(peer, &message)["type"], "ack");
}

// covers A3-10: room.history_messages, room.history_ms
#[test]
fn messages_that_are_kept_and_for_how_long() {
    for limit in [1, 7] {
        let mut world = World::new(only(|config| {
            config.rooms = vec![RoomRule {
                history_messages: limit,
                history_ms: 1_000,
                ..RoomRule::default()
            }];
        }));
        let client = world.connect();
        world.join(client, "tea");
        for said in 1..=limit + 1 {
            say_in_tea(&mut world, client);
            let page = history_of(&mut world, client, json!({}));
            assert_eq!(counted(&page), said.min(limit) as usize);
        }
        world.advance_ms(999);
        let page = history_of(&mut world, client, json!({}));
        assert_eq!(counted(&page), limit as usize);
        world.advance_ms(1);
        let page = history_of(&mut world, client, json!({}));
        assert_eq!(counted(&page), 0);
    }
}

// covers A3-10: room.history_bytes, limits.max_history_bytes
#[test]
fn memory_of_messages_that_are_kept() {
    let kept = |room_bytes: usize, all_bytes: usize| {
        let mut world = World::alone(only(|config| {
            config.rooms = vec![RoomRule {
                history_messages: 100,
                history_bytes: room_bytes,
                ..RoomRule::default()
            }];
            config.limits.max_history_bytes = all_bytes;
        }));
        let client = world.connect();
        world.join(client, "tea");
        for _ in 0..3 {
            say_in_tea(&mut world, client);
        }
        let page = history_of(&mut world, client, json!({}));
        (counted(&page), world.stats().history_bytes)
    };
    let (count, bytes) = kept(1 << 20, 1 << 20);
    assert_eq!(count, 3);
    assert_eq!(kept(bytes, 1 << 20), (3, bytes));
    assert_eq!(kept(bytes - 1, 1 << 20), (2, bytes / 3 * 2));
    assert_eq!(kept(1 << 20, bytes), (3, bytes));
    assert_eq!(kept(1 << 20, bytes - 1), (2, bytes / 3 * 2));
    assert_eq!(kept(0, 1 << 20), (0, 0));
}

// covers A3-10: limits.max_history_listed
#[test]
fn messages_in_a_page() {
    for limit in [1, 5] {
        let mut world = World::new(only(|config| {
            config.rooms = vec![RoomRule {
                history_messages: 100,
                ..RoomRule::default()
            }];
            config.limits.max_history_listed = limit;
        }));
        let client = world.connect();
        world.join(client, "tea");
        for _ in 0..=limit {
            say_in_tea(&mut world, client);
        }
        for asked in [json!({}), json!({"limit": limit + 1}), json!({"after": 0})] {
            let page = history_of(&mut world, client, asked);
            assert_eq!(counted(&page), limit as usize);
            assert_eq!(page["more"], true);
        }
    }
}
