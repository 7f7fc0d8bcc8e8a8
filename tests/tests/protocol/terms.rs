//! What a message may ask for: to be told once, for how long it is of use, what it takes the place of; and what a
//! client says that it has.

use roomwire_core::Config;
use roomwire_core::config::{RoomRule, Sessions};
use roomwire_tests::{Peer, World};
use serde_json::{Value, json};

use crate::unlimited;

fn config() -> Config {
    let mut config = Config {
        rooms: vec![RoomRule {
            pattern: "kept*".to_owned(),
            history_messages: 100,
            history_ms: 600_000,
            linger_ms: 600_000,
            ..RoomRule::default()
        }],
        sessions: Sessions {
            window_ms: 300_000,
            ..Sessions::default()
        },
        ..unlimited()
    };
    config.heartbeat.interval_ms = 0;
    config
}

/// `message` with more fields.
fn with(mut message: Value, fields: &Value) -> Value {
    for (name, value) in fields.as_object().expect("fields") {
        message[name] = value.clone();
    }
    message
}

fn to_room(room: &str, data: impl Into<Value>, terms: &Value) -> Value {
    let message = json!({"type": "room_message", "room": room, "data": data.into(), "id": 1});
    with(message, terms)
}

/// Says something, and what its `ack` says of it.
fn publish(world: &mut World, from: Peer, message: &Value) -> (Option<u64>, bool) {
    let ack = world.request(from, message);
    assert_eq!(ack["type"], "ack", "{ack}");
    let known = ["type", "id", "offset", "duplicate"];
    let fields = ack.as_object().expect("an object");
    assert!(fields.keys().all(|it| known.contains(&it.as_str())));
    (ack["offset"].as_u64(), ack["duplicate"] == json!(true))
}

fn session(world: &mut World, peer: Peer) -> Value {
    world.request(peer, &json!({"type": "resume"}))
}

/// On a new connection, with a room.
fn come_back(world: &mut World, session: &Value, room: &str) -> Peer {
    let peer = world.connect();
    let resume = json!({"type": "resume", "clientId": session["clientId"], "sessionSecret": session["sessionSecret"]});
    assert_eq!(world.request(peer, &resume)["resumed"], true);
    world.join(peer, room);
    peer
}

fn heard(world: &mut World, peer: Peer, kind: &str) -> Vec<Value> {
    let all = world.all(peer).into_iter();
    let of_kind = all.filter(|message| message["type"] == kind);
    of_kind.map(|message| message["data"].clone()).collect()
}

/// The offsets that a room has for somebody new, and what it leaves out.
fn told(world: &mut World, peer: Peer, room: &str) -> (Vec<u64>, Value) {
    let page = world.request(peer, &json!({"type": "history", "room": room, "after": 0}));
    let messages = page["messages"].as_array().expect("messages").iter();
    let offsets = messages.map(|it| it["offset"].as_u64().expect("an offset"));
    (offsets.collect(), page["leftOut"].clone())
}

#[test]
fn a_message_that_is_sent_again_is_told_once() {
    for room in ["den", "kept den"] {
        let mut world = World::new(config());
        let (ada, bob) = (world.connect(), world.connect());
        let session = session(&mut world, ada);
        world.join(ada, room);
        world.join(bob, room);
        world.forget();
        let offset = |number| room.starts_with("kept").then_some(number);
        let one = to_room(room, 1, &json!({"messageId": "m-1"}));
        assert_eq!(publish(&mut world, ada, &one), (offset(1), false));
        assert_eq!(publish(&mut world, ada, &one), (offset(1), true));
        let two = to_room(room, 2, &json!({"messageId": "m-2"}));
        assert_eq!(publish(&mut world, ada, &two), (offset(2), false));
        // Whoever else calls a message that means another one.
        let of_bob = to_room(room, "bob's", &json!({"messageId": "m-1"}));
        assert_eq!(publish(&mut world, bob, &of_bob), (offset(3), false));
        assert_eq!(heard(&mut world, bob, "room_message"), [1, 2]);
        assert_eq!(heard(&mut world, ada, "room_message"), ["bob's"]);
        // Without an `id` nobody is told what became of it.
        let mut silent = one.clone();
        silent.as_object_mut().expect("an object").remove("id");
        world.send(ada, &silent);
        world.settle();
        world.expect_nothing(ada);
        // On another connection it is the same client.
        world.reset(ada);
        let ada = come_back(&mut world, &session, room);
        world.forget();
        assert_eq!(publish(&mut world, ada, &two), (offset(2), true));
        let three = to_room(room, 3, &json!({"messageId": "m-3"}));
        assert_eq!(publish(&mut world, ada, &three), (offset(4), false));
        assert_eq!(heard(&mut world, bob, "room_message"), [3]);
        assert_eq!(world.stats().repeated, 3);
    }
}

#[test]
fn an_id_is_known_for_its_window_and_in_its_room() {
    let mut config = config();
    config.message_ids.window_ms = 1_000;
    let mut world = World::new(config);
    let ada = world.connect();
    world.join(ada, "den");
    world.join(ada, "cave");
    let one = |room: &str| to_room(room, 1, &json!({"messageId": "m"}));
    assert!(!publish(&mut world, ada, &one("den")).1);
    assert!(!publish(&mut world, ada, &one("cave")).1);
    world.advance_ms(999);
    assert!(publish(&mut world, ada, &one("den")).1);
    world.advance_ms(1);
    assert!(!publish(&mut world, ada, &one("den")).1);
    // A room that is made anew is another one.
    let leave = json!({"type": "leave", "room": "den", "id": 2});
    assert_eq!(world.request(ada, &leave)["type"], "left_room");
    world.join(ada, "den");
    assert!(!publish(&mut world, ada, &one("den")).1);
}

#[test]
fn there_is_a_bound_to_the_ids_that_are_known() {
    let mut config = config();
    config.message_ids.max = 3;
    config.message_ids.max_per_client = 2;
    let mut world = World::alone(config);
    let (ada, bob) = (world.connect(), world.connect());
    world.join(ada, "den");
    world.join(bob, "den");
    let to_bob =
        |world: &World| json!({"type": "private_message", "to": world.id(bob), "data": 0, "id": 1});
    for number in 0..4 {
        let id = json!({"messageId": number.to_string()});
        assert!(!publish(&mut world, ada, &to_room("den", 0, &id)).1);
        let message = with(to_bob(&world), &id);
        assert!(!publish(&mut world, ada, &message).1);
    }
    assert_eq!(world.stats().ids_forgotten, 1 + 2);
    let last = json!({"messageId": "1"});
    assert!(publish(&mut world, ada, &to_room("den", 0, &last)).1);
    let message = with(to_bob(&world), &last);
    assert!(!publish(&mut world, ada, &message).1);
    let first = json!({"messageId": "0"});
    assert!(!publish(&mut world, ada, &to_room("den", 0, &first)).1);
}

#[test]
fn terms_that_are_wrong_are_refused() {
    let mut config = config();
    config.message_ids.max_bytes = 3;
    config.limits.max_key_bytes = 2;
    let mut world = World::new(config);
    let ada = world.connect();
    world.join(ada, "den");
    for (terms, code) in [
        (json!({"messageId": ""}), "bad_message"),
        (json!({"messageId": 1}), "bad_message"),
        (json!({"messageId": "four"}), "too_large"),
        (json!({"key": ""}), "bad_message"),
        (json!({"key": []}), "bad_message"),
        (json!({"key": "key"}), "too_large"),
        (json!({"ttlMs": 0}), "bad_message"),
        (json!({"ttlMs": -1}), "bad_message"),
        (json!({"ttlMs": 1.5}), "bad_message"),
        (json!({"ttlMs": "1"}), "bad_message"),
    ] {
        assert_eq!(
            world.refused(ada, &to_room("den", 0, &terms)),
            code,
            "{terms}"
        );
    }
    let fits = json!({"messageId": "123", "key": "12", "ttlMs": 1});
    publish(&mut world, ada, &to_room("den", 0, &fits));
    assert_eq!(
        world.refused(ada, &to_room("nowhere", 0, &fits)),
        "no_such_room"
    );
    let long = with(
        json!({"type": "private_message", "to": world.id(ada), "data": 0}),
        &json!({"messageId": "four"}),
    );
    assert_eq!(world.refused(ada, &long), "too_large");
    let offset = json!({"type": "ack", "offset": "one"});
    assert_eq!(world.refused(ada, &offset), "bad_message");
    assert_eq!(world.refused(ada, &json!({"type": "ack"})), "bad_message");
}

#[test]
fn a_server_may_know_no_message_again() {
    let mut config = config();
    config.message_ids.window_ms = 0;
    let mut world = World::new(config);
    let ada = world.connect();
    world.join(ada, "den");
    let message = to_room("den", 0, &json!({"messageId": "m"}));
    assert_eq!(world.refused(ada, &message), "forbidden");
    publish(
        &mut world,
        ada,
        &to_room("den", 0, &json!({"key": "k", "ttlMs": 1})),
    );
}

#[test]
fn a_room_keeps_the_latest_of_each_key() {
    let mut world = World::new(config());
    let (ada, bob) = (world.connect(), world.connect());
    for client in [ada, bob] {
        world.join(client, "kept");
    }
    world.forget();
    let say = |world: &mut World, from, data: u64, terms: Value| {
        publish(world, from, &to_room("kept", data, &terms)).0
    };
    assert_eq!(say(&mut world, ada, 1, json!({"key": "x"})), Some(1));
    assert_eq!(say(&mut world, bob, 2, json!({"key": "y"})), Some(2));
    assert_eq!(say(&mut world, ada, 3, json!({"ttlMs": 500})), Some(3));
    assert_eq!(say(&mut world, bob, 4, json!({"key": "x"})), Some(4));
    // Who is there hears them all.
    assert_eq!(heard(&mut world, ada, "room_message"), [2, 4]);
    assert_eq!(heard(&mut world, bob, "room_message"), [1, 3]);
    assert_eq!(
        told(&mut world, ada, "kept"),
        (vec![2, 3, 4], json!([{"from": 1, "to": 1}]))
    );
    world.advance_ms(500);
    let left_out = json!([{"from": 1, "to": 1}, {"from": 3, "to": 3}]);
    assert_eq!(told(&mut world, ada, "kept"), (vec![2, 4], left_out));
    // Who comes back with an offset hears that nothing is missing.
    let eve = world.connect();
    let join = json!({"type": "join", "room": "kept", "after": 2});
    world.request(eve, &join);
    let page = world.expect(eve, "history");
    assert_eq!(page["messages"].as_array().map(Vec::len), Some(1));
    assert_eq!(page["leftOut"], json!([{"from": 3, "to": 3}]));
    assert_eq!(world.expect(eve, "resumed")["complete"], true);
    // If all of it is out of date there is a page that says so.
    assert_eq!(say(&mut world, ada, 5, json!({"ttlMs": 1})), Some(5));
    world.advance_ms(1);
    let late = world.connect();
    world.request(late, &json!({"type": "join", "room": "kept", "after": 4}));
    let page = world.expect(late, "history");
    assert_eq!(page["messages"], json!([]));
    assert_eq!(page["leftOut"], json!([{"from": 5, "to": 5}]));
    assert_eq!(world.expect(late, "resumed")["complete"], true);
}

/// What is out of date goes by itself: a room holds nothing that nobody is told of, and no request walks over it.
#[test]
fn what_is_out_of_date_is_kept_no_longer() {
    let mut config = config();
    config.rooms[0].history_messages = 1_000;
    let mut world = World::alone(config);
    let ada = world.connect();
    world.join(ada, "kept");
    world.forget();
    publish(&mut world, ada, &to_room("kept", 0, &json!({"key": "k"})));
    let one = world.stats().history_bytes;
    for number in 1..=200 {
        let terms = json!({"ttlMs": 400 + number % 2 * 100, "key": format!("{number}")});
        publish(&mut world, ada, &to_room("kept", number, &terms));
    }
    assert!(world.stats().history_bytes > 200 * one);
    world.advance_ms(400);
    let half = world.stats().history_bytes;
    assert!(half > 100 * one && half < 200 * one, "{half} of {one}");
    world.advance_ms(100);
    assert_eq!(world.stats().history_bytes, one);
    let left_out = json!([{"from": 2, "to": 201}]);
    assert_eq!(told(&mut world, ada, "kept"), (vec![1], left_out));
}

#[test]
fn mail_is_told_once_and_while_it_is_of_use() {
    let mut world = World::new(config());
    let (ada, bob) = (world.connect(), world.connect());
    let theirs = session(&mut world, bob);
    world.join(bob, "den");
    world.forget();
    let write = |world: &mut World, data: u64, terms: Value| {
        let message =
            json!({"type": "private_message", "to": theirs["clientId"], "data": data, "id": 1});
        publish(world, ada, &with(message, &terms)).1
    };
    assert!(!write(&mut world, 1, json!({"messageId": "m-1"})));
    assert!(write(&mut world, 1, json!({"messageId": "m-1"})));
    assert_eq!(heard(&mut world, bob, "private_message"), [1]);
    world.reset(bob);
    // While it has no connection, as before it and after it.
    assert!(write(&mut world, 1, json!({"messageId": "m-1"})));
    assert!(!write(
        &mut world,
        2,
        json!({"messageId": "m-2", "ttlMs": 100})
    ));
    assert!(!write(&mut world, 3, json!({"messageId": "m-3"})));
    assert!(write(&mut world, 3, json!({"messageId": "m-3"})));
    world.advance_ms(100);
    let peer = world.connect();
    let resume = json!({"type": "resume", "clientId": theirs["clientId"], "sessionSecret": theirs["sessionSecret"], "after": 1});
    let answer = world.request(peer, &resume);
    assert_eq!(answer["last"], 3);
    assert_eq!(answer["leftOut"], json!([{"from": 2, "to": 2}]));
    assert_eq!(answer.get("gap"), None);
    assert_eq!(heard(&mut world, peer, "private_message"), [3]);
    assert!(write(&mut world, 3, json!({"messageId": "m-3"})));
    assert!(write(&mut world, 1, json!({"messageId": "m-1"})));
    world.expect_nothing(peer);
}

#[test]
fn what_is_acknowledged_is_not_told_again() {
    let mut world = World::new(config());
    let (ada, bob) = (world.connect(), world.connect());
    let mine = session(&mut world, bob);
    let id = mine["clientId"].clone();
    let write = |world: &mut World, data: u64| {
        let message = json!({"type": "private_message", "to": id, "data": data, "id": 1});
        assert_eq!(world.request(ada, &message)["type"], "ack");
    };
    for number in 1..=3 {
        write(&mut world, number);
    }
    assert_eq!(heard(&mut world, bob, "private_message"), [1, 2, 3]);
    let ack = |offset: u64| json!({"type": "ack", "offset": offset});
    assert_eq!(world.request(bob, &ack(2))["type"], "ack");
    // An earlier one takes nothing back.
    assert_eq!(world.request(bob, &ack(1))["type"], "ack");
    let resume = |world: &mut World, after: Option<u64>| {
        let peer = world.connect();
        let mut resume =
            json!({"type": "resume", "clientId": id, "sessionSecret": mine["sessionSecret"]});
        if let Some(after) = after {
            resume["after"] = after.into();
        }
        let answer = world.request(peer, &resume);
        assert_eq!(
            (answer["resumed"].as_bool(), answer.get("gap")),
            (Some(true), None)
        );
        (peer, heard(world, peer, "private_message"))
    };
    world.reset(bob);
    let (peer, again) = resume(&mut world, None);
    assert_eq!(again, [3]);
    world.reset(peer);
    let (peer, again) = resume(&mut world, Some(0));
    assert_eq!(again, [3]);
    // More than there is is all that there is: what comes later is not among it.
    world.request(peer, &ack(u64::MAX));
    write(&mut world, 4);
    assert_eq!(heard(&mut world, peer, "private_message"), [4]);
    world.reset(peer);
    assert_eq!(resume(&mut world, None).1, [4]);
    // Who has no session has nothing to acknowledge, and that is no mistake.
    assert_eq!(world.request(ada, &ack(7))["type"], "ack");
}

#[test]
fn what_came_for_the_id_before_a_resume_counts_no_longer() {
    let mut config = config();
    config.sessions.max_mail_bytes = 4_000;
    let mut world = World::alone(config);
    let (ada, bob) = (world.connect(), world.connect());
    let mine = session(&mut world, bob);
    let to = |id: &Value, terms: &Value| {
        let message = json!({"type": "private_message", "to": id, "data": 1, "id": 1});
        with(message, terms)
    };
    let mut bob = bob;
    for number in 0..100 {
        world.reset(bob);
        bob = world.connect();
        let own = json!(world.id(bob));
        let id = json!({"messageId": format!("m-{number}")});
        assert_eq!(publish(&mut world, ada, &to(&own, &id)), (None, false));
        let resume = json!({"type": "resume", "clientId": mine["clientId"], "sessionSecret": mine["sessionSecret"]});
        assert_eq!(world.request(bob, &resume)["resumed"], true);
    }
    let plain = to(&mine["clientId"], &json!({}));
    for _ in 0..3 {
        assert_eq!(publish(&mut world, ada, &plain), (None, false));
    }
    let stats = world.stats();
    assert_eq!((stats.mail_lost, stats.ids_forgotten), (0, 0));
}
