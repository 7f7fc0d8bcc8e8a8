//! Who joins a room again is told what was said there meanwhile, and that this was all.

use roomwire_core::Config;
use roomwire_core::config::{RateLimit, RoomRule};
use roomwire_tests::{Message, Opcode, Peer, World};
use serde_json::{Value, json};

use crate::binary::binary_client;
use crate::unlimited;

/// Rooms that keep so many messages, and linger.
fn keeping(messages: u32) -> Config {
    Config {
        rooms: vec![RoomRule {
            pattern: "kept*".to_owned(),
            history_messages: messages,
            linger_ms: 1_000,
            ..RoomRule::default()
        }],
        ..unlimited()
    }
}

fn say(world: &mut World, from: Peer, room: &str, data: impl Into<Value>) {
    let message = json!({"type": "room_message", "room": room, "data": data.into(), "id": 0});
    assert_eq!(world.request(from, &message)["type"], "ack");
}

fn leave(world: &mut World, peer: Peer, room: &str) {
    let left = world.request(peer, &json!({"type": "leave", "room": room}));
    assert_eq!(left["type"], "left_room");
}

/// Joins again; all that comes of it, the reply first.
fn come_back(world: &mut World, peer: Peer, room: &str, since: &Value) -> Vec<Value> {
    let mut join = json!({"type": "join", "room": room, "id": "back"});
    let fields = since.as_object().expect("an object").clone();
    join.as_object_mut().expect("an object").extend(fields);
    world.forget();
    world.send(peer, &join);
    let all = world.all(peer);
    assert_eq!(
        (&all[0]["type"], &all[0]["id"]),
        (&json!("joined_room"), &json!("back"))
    );
    assert!(all[1..].iter().all(|told| told.get("id").is_none()));
    all
}

/// The offsets of the pages.
fn offsets(told: &[Value]) -> Vec<u64> {
    let pages = told.iter().filter(|told| told["type"] == "history");
    let messages = pages.flat_map(|page| page["messages"].as_array().expect("messages"));
    messages.filter_map(|it| it["offset"].as_u64()).collect()
}

// covers A3-10
#[test]
fn what_was_said_meanwhile_comes_first() {
    let mut world = World::new(keeping(100));
    let (ada, bob) = (world.connect(), world.connect());
    world.join(ada, "kept");
    let epoch = world.join(bob, "kept")["history"]["epoch"].clone();
    for number in 1..=2 {
        say(&mut world, ada, "kept", number);
    }
    leave(&mut world, bob, "kept");
    for number in 3..=5 {
        say(&mut world, ada, "kept", number);
    }
    let back = come_back(
        &mut world,
        bob,
        "kept",
        &json!({"epoch": epoch, "after": 2}),
    );
    assert_eq!(back.len(), 3, "{back:?}");
    assert_eq!(back[0]["history"]["last"], 5);
    assert_eq!(offsets(&back), [3, 4, 5]);
    assert_eq!(back[1]["messages"][2]["data"], 5);
    assert_eq!(back[1]["messages"][2]["from"], world.id(ada));
    assert_eq!(
        back[2],
        json!({"type": "resumed", "room": "kept", "epoch": epoch, "last": 5, "complete": true})
    );
    // What comes after that comes as ever.
    say(&mut world, ada, "kept", 6);
    assert_eq!(world.expect(bob, "room_message")["offset"], 6);
    // A member may ask as well, and nobody hears of it.
    let again = come_back(&mut world, bob, "kept", &json!({"after": 6}));
    assert_eq!((again.len(), &again[1]["complete"]), (2, &json!(true)));
    let again = come_back(&mut world, bob, "kept", &json!({"after": 4}));
    assert_eq!(offsets(&again), [5, 6]);
    world.expect_nothing(ada);
    // Who does not ask is told nothing.
    leave(&mut world, bob, "kept");
    assert_eq!(come_back(&mut world, bob, "kept", &json!({})).len(), 1);
    assert_eq!(
        come_back(
            &mut world,
            bob,
            "kept",
            &json!({"after": null, "epoch": null})
        )
        .len(),
        1
    );
}

#[test]
fn what_is_missing_is_named() {
    let mut world = World::new(keeping(3));
    let (ada, bob) = (world.connect(), world.connect());
    let epoch = world.join(ada, "kept")["history"]["epoch"].clone();
    for number in 1..=5 {
        say(&mut world, ada, "kept", number);
    }
    // Not kept any more.
    let back = come_back(
        &mut world,
        bob,
        "kept",
        &json!({"epoch": epoch, "after": 1}),
    );
    assert_eq!(offsets(&back), [3, 4, 5]);
    assert_eq!(back[1]["gap"], json!({"from": 2, "to": 2}));
    assert_eq!(back[1].get("reset"), None);
    assert_eq!(back[2]["complete"], false);
    let back = come_back(&mut world, bob, "kept", &json!({"after": 2}));
    assert_eq!(
        (back[1].get("gap"), &back[2]["complete"]),
        (None, &json!(true))
    );
    // Another log: by its name, or as it never came so far.
    for since in [
        json!({"epoch": "0000000000000000", "after": 4}),
        json!({"after": 6}),
        json!({"after": u64::MAX}),
    ] {
        let back = come_back(&mut world, bob, "kept", &since);
        assert_eq!(offsets(&back), [3, 4, 5]);
        assert_eq!(back[1]["reset"], true);
        assert_eq!(back[1]["gap"], json!({"from": 1, "to": 2}));
        assert_eq!(back[2]["complete"], false);
    }
    // Nothing is kept at all, and nothing was ever said.
    let back = come_back(&mut world, bob, "other", &json!({"after": 4}));
    let resumed = json!({"type": "resumed", "room": "other", "complete": false});
    assert_eq!((back.len(), &back[1]), (2, &resumed));
    let back = come_back(&mut world, bob, "kept new", &json!({"after": 0}));
    assert_eq!((back.len(), &back[1]["complete"]), (2, &json!(true)));
    let back = come_back(&mut world, bob, "kept new", &json!({"after": 1}));
    assert_eq!(
        (&back[1]["reset"], &back[1]["messages"]),
        (&json!(true), &json!([]))
    );
    assert_eq!(back[2]["complete"], false);
}

#[test]
fn wrong_joins_are_named() {
    let mut world = World::new(keeping(3));
    let ada = world.connect();
    for fields in [
        json!({"after": -1}),
        json!({"after": "1"}),
        json!({"after": 1, "epoch": "7"}),
        json!({"epoch": "0000000000000000"}),
    ] {
        let mut join = json!({"type": "join", "room": "kept"});
        let fields = fields.as_object().expect("an object").clone();
        join.as_object_mut().expect("an object").extend(fields);
        assert_eq!(world.refused(ada, &join), "bad_message", "{join}");
    }
}

/// Pages are as large as those that are asked for, and in order.
#[test]
fn much_comes_in_pages() {
    let mut config = keeping(1_000);
    config.limits.max_history_listed = 7;
    let mut world = World::new(config);
    let (ada, bob) = (world.connect(), world.connect());
    world.join(ada, "kept");
    for number in 1..=50 {
        say(&mut world, ada, "kept", number);
    }
    for _ in 0..3 {
        say(&mut world, ada, "kept", "x".repeat(40_000));
    }
    let back = come_back(&mut world, bob, "kept", &json!({"after": 1}));
    assert_eq!(offsets(&back), (2..=53).collect::<Vec<_>>());
    let pages = &back[1..back.len() - 1];
    let sizes: Vec<_> = pages
        .iter()
        .map(|page| page["messages"].as_array().map_or(0, Vec::len))
        .collect();
    assert_eq!(sizes, [7, 7, 7, 7, 7, 7, 7, 1, 1, 1]);
    for (number, page) in pages.iter().enumerate() {
        assert_eq!(page["more"], number < 9);
        assert_eq!(page.get("gap"), None);
    }
}

/// Who comes back to many rooms at once, and reads slowly, is not listened to for a time instead of being closed; what
/// is too much for its queue is a gap.
#[test]
fn who_reads_slowly_catches_up_all_the_same() {
    let mut config = keeping(1_000);
    config.limits.max_queued_bytes = 300_000;
    config.limits.max_message_bytes = 20_000;
    let mut world = World::new(config);
    let (ada, bob) = (world.connect(), world.connect());
    let rooms: Vec<_> = (0..10).map(|number| format!("kept {number}")).collect();
    for room in &rooms {
        world.join(ada, room);
        for _ in 0..12 {
            say(&mut world, ada, room, "x".repeat(10_000));
        }
    }
    world.forget();
    world.dam(bob);
    for room in &rooms {
        world.send(bob, &json!({"type": "join", "room": room, "after": 0}));
    }
    world.send(bob, &json!({"type": "ping", "id": 1}));
    world.advance_ms(1_000);
    let queued: usize = world
        .machine()
        .servers()
        .map(|server| server.memory().buffers)
        .sum();
    assert!(queued < 400_000, "{queued}");
    world.release(bob);
    world.advance_ms(1_000);
    let told = world.all(bob);
    let of = |room: &String| {
        let its = told.iter().filter(|told| told["room"] == room.as_str());
        its.cloned().collect::<Vec<_>>()
    };
    for room in &rooms {
        let its = of(room);
        // 100,000 bytes hold nine.
        assert_eq!(offsets(&its), (4..=12).collect::<Vec<_>>(), "{room}");
        assert_eq!(its[1]["gap"], json!({"from": 1, "to": 3}));
        assert_eq!(
            its.last().map(|last| &last["complete"]),
            Some(&json!(false))
        );
    }
    assert!(
        told.iter().any(|told| told["type"] == "pong"),
        "it is still there"
    );
}

/// It is charged like as many pages.
#[test]
fn coming_back_costs_deliveries() {
    let mut config = keeping(1_000);
    config.rate_limit = RateLimit {
        deliveries_per_second: 15,
        messages: 10_000,
        ..RateLimit::default()
    };
    let mut world = World::alone(config);
    let ada = world.connect();
    world.join(ada, "kept");
    for number in 1..=100 {
        say(&mut world, ada, "kept", number);
    }
    let join = json!({"type": "join", "room": "kept", "after": 0});
    assert_eq!(world.request(ada, &join)["type"], "joined_room");
    world.forget();
    assert_eq!(world.refused(ada, &join), "rate_limited");
}

/// Frames are put together by hand.
#[test]
fn frames_say_the_same() {
    let mut world = World::new(keeping(3));
    let ada = world.connect();
    let epoch = world.join(ada, "kept")["history"]["epoch"].clone();
    let epoch = u64::from_str_radix(epoch.as_str().expect("an epoch"), 16).expect("16 digits");
    for number in 1..=2 {
        say(&mut world, ada, "kept", number);
    }
    let (bob, _) = binary_client(&mut world);
    let frame = |kind: u8, payload: &[u8]| {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        [&[kind], &[0; 8][..], &length, payload].concat()
    };
    let mut told = |flags: u8, after: u8, epoch: &[u8]| {
        let payload = [
            &[0, 0, 0, 7, 0, 4][..],
            b"kept",
            &[flags],
            &[0; 7],
            &[after],
            epoch,
        ]
        .concat();
        world.send_frame(bob, Opcode::Binary, &frame(0x32, &payload));
        let mut all = Vec::new();
        while let Some(Message::Binary(bytes)) = world.next_message(bob) {
            all.push((bytes[0], bytes[13..].to_vec()));
        }
        all
    };
    let position = [&epoch.to_be_bytes()[..], &[0, 0, 0, 0, 0, 0, 0, 2]].concat();
    let resumed = |flags: u8| (0x33, [&[0, 4][..], b"kept", &[flags], &position].concat());
    let back = told(1, 1, &epoch.to_be_bytes());
    assert_eq!(
        back.iter().map(|it| it.0).collect::<Vec<_>>(),
        [0x30, 0x2F, 0x33]
    );
    // No request's number, no flags, and one frame.
    assert_eq!(back[1].1[..10], [&[0, 0, 0, 0, 0, 4][..], b"kept"].concat());
    assert_eq!(back[1].1[26..28], [0, 0x42]);
    assert_eq!(back[2], resumed(3));
    let back = told(0, 2, &[]);
    assert_eq!((back.len(), &back[1]), (2, &resumed(3)));
    let back = told(0, 3, &[]);
    assert_eq!((back.len(), &back[2]), (3, &resumed(1)));
    assert_eq!(back[1].1[26], 2);
    // A flag that there is not.
    let back = told(2, 3, &[]);
    assert_eq!(back.iter().map(|it| it.0).collect::<Vec<_>>(), [0x06]);
}
