//! What rooms keep of what is said in them, and how it is asked for.

use roomwire_core::Config;
use roomwire_core::config::{ListenerConfig, RoomRule, SlowReader};
use roomwire_core::server::Command;
use roomwire_tests::{Message, Opcode, Peer, World};
use serde_json::{Value, json};

use crate::binary::binary_client;
use crate::{on_listener, unlimited};

/// Rooms that keep so many messages.
fn keeping(messages: u32) -> Config {
    Config {
        rooms: vec![RoomRule {
            pattern: "kept*".to_owned(),
            history_messages: messages,
            history_ms: 60_000,
            ..RoomRule::default()
        }],
        ..unlimited()
    }
}

fn say(world: &mut World, from: Peer, room: &str, data: &Value) {
    let message = json!({"type": "room_message", "room": room, "data": data, "id": 0});
    assert_eq!(world.request(from, &message)["type"], "ack");
}

/// The page, without what is the same in all.
fn history(world: &mut World, peer: Peer, room: &str, asked: &Value) -> Value {
    let mut request = json!({"type": "history", "room": room});
    let fields = asked.as_object().expect("an object").clone();
    request.as_object_mut().expect("an object").extend(fields);
    let reply = world.request(peer, &request);
    assert_eq!(reply["type"], "history", "{reply}");
    assert_eq!(reply["room"], room);
    reply
}

fn offsets(page: &Value) -> Vec<u64> {
    let all = page["messages"].as_array().expect("messages");
    all.iter()
        .map(|it| it["offset"].as_u64().expect("an offset"))
        .collect()
}

// covers A3-10
#[test]
fn what_is_said_is_kept_and_counted() {
    let mut world = World::new(keeping(3));
    let (ada, bob) = (world.connect(), world.connect());
    let joined = world.join(ada, "kept");
    assert_eq!(joined["history"]["last"], 0);
    world.join(bob, "kept");
    world.forget();
    for number in 1..=5_u64 {
        let (from, to) = if number % 2 == 0 {
            (bob, ada)
        } else {
            (ada, bob)
        };
        say(&mut world, from, "kept", &json!(number));
        let heard = world.expect(to, "room_message");
        assert_eq!(
            (&heard["offset"], &heard["data"]),
            (&json!(number), &json!(number))
        );
    }
    let page = history(&mut world, ada, "kept", &json!({}));
    assert_eq!(offsets(&page), [3, 4, 5]);
    assert_eq!(page["epoch"], joined["history"]["epoch"]);
    assert_eq!((&page["last"], &page["more"]), (&json!(5), &json!(false)));
    assert_eq!(page["messages"][0]["from"], world.id(ada));
    assert_eq!(page["messages"][1]["from"], world.id(bob));
    assert_eq!(page["messages"][1]["data"], 4);
    assert_eq!(page.get("gap"), None);
    let page = history(&mut world, bob, "kept", &json!({"after": 1}));
    assert_eq!(page["gap"], json!({"from": 2, "to": 2}));
    assert_eq!(offsets(&page), [3, 4, 5]);
    // Who comes later knows where the log stands.
    let eve = world.connect();
    let joined = world.join(eve, "kept");
    assert_eq!(
        joined["history"],
        json!({"epoch": page["epoch"], "last": 5})
    );
}

#[test]
fn what_is_not_to_be_kept_is_not() {
    let mut world = World::new(keeping(3));
    let (ada, bob) = (world.connect(), world.connect());
    for client in [ada, bob] {
        let joined = world.join(client, "other");
        assert_eq!(joined.get("history"), None);
        world.join(client, "kept");
    }
    world.forget();
    say(&mut world, ada, "other", &json!(1));
    assert_eq!(world.expect(bob, "room_message").get("offset"), None);
    let ask = |room| json!({"type": "history", "room": room});
    assert_eq!(world.refused(ada, &ask("other")), "no_history");
    assert_eq!(world.refused(ada, &ask("elsewhere")), "no_such_room");
    let eve = world.connect();
    assert_eq!(world.refused(eve, &ask("kept")), "not_member");
    // Neither broadcasts, nor notices, nor the program's messages are a member's.
    world.send(ada, &json!({"type": "broadcast", "data": 1}));
    world.send(ada, &json!({"type": "typing_start", "room": "kept"}));
    world.command(Command::Publish {
        room: "kept".into(),
        message: r#"{"type":"news"}"#.into(),
    });
    world.forget();
    let page = history(&mut world, ada, "kept", &json!({}));
    assert_eq!((offsets(&page), &page["last"]), (vec![], &json!(0)));
}

#[test]
fn wrong_requests_are_named() {
    let mut world = World::new(keeping(3));
    let ada = world.connect();
    world.join(ada, "kept");
    for fields in [
        json!({"after": -1}),
        json!({"after": "1"}),
        json!({"before": 1.5}),
        json!({"limit": true}),
        json!({"epoch": 7}),
        json!({"epoch": "7"}),
        json!({"epoch": "0000000000000000z"}),
        json!({"after": 1, "before": 3}),
    ] {
        let mut request = json!({"type": "history", "room": "kept"});
        let fields = fields.as_object().expect("an object").clone();
        request.as_object_mut().expect("an object").extend(fields);
        assert_eq!(world.refused(ada, &request), "bad_message", "{request}");
    }
    let nothing = json!({"after": null, "before": null, "epoch": null, "limit": null});
    history(&mut world, ada, "kept", &nothing);
}

#[test]
fn a_log_goes_with_its_room() {
    let mut config = keeping(3);
    config.rooms.insert(
        0,
        RoomRule {
            pattern: "kept on".to_owned(),
            history_messages: 3,
            linger_ms: 1_000,
            ..RoomRule::default()
        },
    );
    let mut world = World::new(config);
    let ada = world.connect();
    for (room, kept) in [("kept", false), ("kept on", true)] {
        let epoch = world.join(ada, room)["history"]["epoch"].clone();
        say(&mut world, ada, room, &json!(1));
        world.request(ada, &json!({"type": "leave", "room": room}));
        world.advance_ms(999);
        let joined = world.join(ada, room);
        assert_eq!(joined["history"]["epoch"] == epoch, kept);
        assert_eq!(joined["history"]["last"], u64::from(kept));
        let page = history(&mut world, ada, room, &json!({"epoch": epoch, "after": 0}));
        assert_eq!(offsets(&page).len(), usize::from(kept));
        assert_eq!(page.get("reset"), (!kept).then_some(&json!(true)));
    }
    world.close(ada);
    world.advance_ms(5_000);
    world.assert_empty();
    assert_eq!(world.stats().history_bytes, 0);
}

#[test]
fn messages_become_too_old() {
    let mut world = World::new(keeping(100));
    let ada = world.connect();
    world.join(ada, "kept");
    say(&mut world, ada, "kept", &json!(1));
    world.advance_ms(10_000);
    say(&mut world, ada, "kept", &json!(2));
    let page = |world: &mut World| offsets(&history(world, ada, "kept", &json!({})));
    world.advance_ms(49_999);
    assert_eq!(page(&mut world), [1, 2]);
    world.advance_ms(1);
    assert_eq!(page(&mut world), [2]);
    world.advance_ms(10_000);
    assert_eq!(page(&mut world), [0; 0]);
    assert_eq!(world.stats().history_bytes, 0);
    say(&mut world, ada, "kept", &json!(3));
    assert_eq!(page(&mut world), [3]);
}

/// Rooms that keep something have memory of it one like the other.
#[test]
fn all_rooms_together_are_bounded() {
    let mut config = keeping(1_000);
    config.limits.max_history_bytes = 10_000;
    let mut world = World::alone(config);
    let ada = world.connect();
    let rooms = ["kept 1", "kept 2", "kept 3"];
    for room in rooms {
        world.join(ada, room);
    }
    for number in 0..300 {
        let room = rooms[number % 3];
        say(&mut world, ada, room, &json!("x".repeat(100)));
        assert!(world.stats().history_bytes <= 10_000);
    }
    let mut left = 0;
    for room in rooms {
        let page = history(&mut world, ada, room, &json!({"after": 0}));
        let offsets = offsets(&page);
        assert!((13..20).contains(&offsets.len()), "{room}: {offsets:?}");
        assert_eq!(offsets.last(), Some(&100));
        assert_eq!(page["gap"], json!({"from": 1, "to": offsets[0] - 1}));
        left += offsets.len() as u64;
    }
    assert_eq!(world.stats().history_evicted, 300 - left);
    let memory = world.machine().servers().next().expect("one").memory();
    assert!(memory.history >= world.stats().history_bytes, "{memory:?}");
    // A room that goes gives back what it had.
    for room in rooms {
        world.request(ada, &json!({"type": "leave", "room": room}));
    }
    assert_eq!(world.stats().history_bytes, 0);
    world.close(ada);
    world.assert_empty();
}

/// A page is for a queue that has room for the largest message.
#[test]
fn a_page_of_many_bytes_is_cut() {
    let mut config = keeping(100);
    config.limits.max_message_bytes = 4_096;
    config.limits.max_queued_bytes = config.min_queued_bytes();
    let mut world = World::new(config);
    let ada = world.connect();
    world.join(ada, "kept");
    for _ in 0..20 {
        say(&mut world, ada, "kept", &json!("x".repeat(1_000)));
    }
    say(&mut world, ada, "kept", &json!("x".repeat(4_000)));
    let mut after = 0;
    let mut pages = 0;
    while after < 21 {
        let page = history(&mut world, ada, "kept", &json!({"after": after}));
        let offsets = offsets(&page);
        assert_eq!(offsets[0], after + 1);
        after = *offsets.last().expect("one at least");
        assert_eq!(page["more"], after < 21);
        pages += 1;
    }
    assert_eq!(pages, 8);
}

/// What is dropped for a slow reader can be fetched.
#[test]
fn a_slow_reader_catches_up() {
    let mut config = keeping(100);
    config.rooms[0].slow_reader = SlowReader::DropOldest;
    config.limits.max_queued_messages = 4;
    let mut world = World::new(config);
    let (ada, bob) = (world.connect(), world.connect());
    world.join(bob, "kept");
    world.join(ada, "kept");
    world.forget();
    world.dam(bob);
    for number in 1..=50 {
        say(&mut world, ada, "kept", &json!(number));
    }
    world.release(bob);
    let heard = world.all(bob);
    let dropped = heard
        .iter()
        .filter_map(|it| it["count"].as_u64())
        .sum::<u64>();
    let got: Vec<u64> = heard
        .iter()
        .filter_map(|it| it["offset"].as_u64())
        .collect();
    assert_eq!(dropped + got.len() as u64, 50);
    assert!(got.is_sorted() && dropped > 0);
    let page = history(
        &mut world,
        bob,
        "kept",
        &json!({"after": 0, "limit": dropped}),
    );
    assert_eq!(offsets(&page).len() as u64, dropped);
    assert_eq!(page.get("gap"), None);
}

/// Bare data has no place for an offset; the messages are counted and kept all the same.
#[test]
fn bare_data_stays_bare() {
    let mut config = keeping(3);
    let bare = ListenerConfig {
        raw_payloads: true,
        ..ListenerConfig::default()
    };
    config.listeners = vec![ListenerConfig::default(), bare];
    let mut world = World::new(config);
    let (ada, bob) = (world.connect(), world.connect_as(&on_listener(1)));
    world.join(ada, "kept");
    assert_eq!(world.join(bob, "kept")["history"]["last"], 0);
    world.forget();
    say(&mut world, ada, "kept", &json!([1, 2]));
    assert_eq!(world.next_text(bob).as_deref(), Some("[1,2]"));
    assert_eq!(offsets(&history(&mut world, bob, "kept", &json!({}))), [1]);
}

/// Both dialects are of one log. Frames are put together by hand.
#[test]
fn frames_are_kept_with_text() {
    let mut world = World::new(keeping(3));
    let ada = world.connect();
    let (bob, _) = binary_client(&mut world);
    let epoch = world.join(ada, "kept")["history"]["epoch"].clone();
    let epoch = epoch.as_str().expect("an epoch");
    let epoch = u64::from_str_radix(epoch, 16).expect("16 digits");
    let name = *b"\0\x04kept";
    let frame = |kind: u8, payload: &[u8]| {
        let length = u32::try_from(payload.len()).expect("short").to_be_bytes();
        [&[kind], &[0; 8][..], &length, payload].concat()
    };
    let ask = |world: &mut World, kind: u8, payload: &[u8]| {
        world.send_frame(bob, Opcode::Binary, &frame(kind, payload));
        match world.next_message(bob) {
            Some(Message::Binary(bytes)) => (bytes[0], bytes[13..].to_vec()),
            other => panic!("{other:?} is no frame"),
        }
    };
    let (kind, joined) = ask(&mut world, 0x20, &[&[0, 0, 0, 7], &name[..]].concat());
    let at = [&epoch.to_be_bytes()[..], &[0; 8]].concat();
    assert_eq!(kind, 0x30);
    assert_eq!(
        joined[..30],
        [&[0, 0, 0, 7], &name[..], &[0, 0, 0, 2], &at].concat()
    );
    world.forget();
    say(&mut world, ada, "kept", &json!({"n": 1}));
    let Some(Message::Binary(heard)) = world.next_message(bob) else {
        panic!("a frame");
    };
    assert_eq!(
        (heard[0], &heard[13..22]),
        (0x42, &[0, 0, 0, 0, 0, 0, 0, 1, 1][..])
    );
    assert!(heard.ends_with(br#"{"n":1}"#));
    let bytes = [&[0; 4], &[0][..], &name, b"\xfb\xff"].concat();
    world.send_frame(bob, Opcode::Binary, &frame(0x40, &bytes));
    let page = history(&mut world, ada, "kept", &json!({}));
    assert_eq!(offsets(&page), [1, 2]);
    assert_eq!(page["messages"][1]["data"], "+/8=");
    assert_eq!(page["messages"][1]["encoding"], "base64");
    // What was heard stands in the page as it was.
    let (kind, page) = ask(&mut world, 0x2E, &[&[0, 0, 0, 8], &name[..], &[0]].concat());
    assert_eq!(kind, 0x2F);
    let head = [
        &[0, 0, 0, 8],
        &name[..],
        &epoch.to_be_bytes(),
        &[0, 0, 0, 0, 0, 0, 0, 2],
        &[0],
    ];
    let head = head.concat();
    assert_eq!(page[..head.len()], head);
    assert_eq!(page[head.len()..][..heard.len()], heard);
}
