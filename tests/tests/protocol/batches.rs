//! Several messages in one, and several replies in one.

use std::collections::BTreeMap;

use proptest::prelude::*;
use roomwire_core::Config;
use roomwire_core::config::{Limits, RateLimit};
use roomwire_tests::{Peer, World};
use serde_json::{Value, json};

use crate::quiet_world;

fn batch(messages: &[Value]) -> Value {
    json!({"type": "batch", "messages": messages})
}

fn say(number: u32) -> Value {
    json!({"type": "room_message", "room": "tea", "data": number, "id": number})
}

/// Everything that a client has been told, in order.
fn told(world: &mut World, client: Peer) -> Vec<Value> {
    let texts = std::iter::from_fn(|| world.next_text(client));
    texts
        .map(|text| serde_json::from_str(&text).expect("JSON"))
        .collect()
}

// covers A7-03, A1-09
#[test]
fn messages_are_carried_out_in_order_and_each_has_its_outcome() {
    let mut world = quiet_world();
    let (ada, bob) = (world.connect(), world.connect());
    world.join(bob, "tea");
    world.send(
        ada,
        &batch(&[
            json!({"type": "join", "room": "tea", "id": "a"}),
            say(1),
            json!({"type": "room_message", "room": "nowhere", "data": 0, "id": "b"}),
            json!({"type": "jion", "id": "c"}),
            json!({"type": "ping", "timestamp": 5}),
            json!("ping"),
            say(2),
            json!({"type": "leave", "room": "tea", "id": "d"}),
            say(3),
        ]),
    );
    let outcomes: Vec<_> = told(&mut world, ada)
        .iter()
        .map(|outcome| {
            let what = outcome.get("code").unwrap_or_else(|| &outcome["type"]);
            (what.clone(), outcome["id"].clone())
        })
        .collect();
    let expected = [
        ("joined_room", json!("a")),
        ("ack", json!(1)),
        ("no_such_room", json!("b")),
        ("unknown_type", json!("c")),
        ("pong", Value::Null),
        ("bad_message", Value::Null),
        ("ack", json!(2)),
        ("left_room", json!("d")),
        ("not_member", json!(3)),
    ];
    assert_eq!(outcomes, expected.map(|(what, id)| (json!(what), id)));
    let data: Vec<_> = told(&mut world, bob)
        .iter()
        .filter(|message| message["type"] == "room_message")
        .map(|message| message["data"].clone())
        .collect();
    assert_eq!(data, [1, 2]);
}

// covers A7-03
#[test]
fn a_batch_inside_a_batch_is_refused_and_the_others_are_carried_out() {
    let mut world = quiet_world();
    let ada = world.connect();
    let mut nested = batch(&[json!({"type": "ping", "id": 1})]);
    nested["id"] = json!(2);
    world.send(ada, &batch(&[nested, json!({"type": "ping", "id": 3})]));
    let refused = world.expect(ada, "error");
    assert_eq!(
        (&refused["code"], &refused["id"]),
        (&json!("bad_message"), &json!(2))
    );
    assert_eq!(world.expect(ada, "pong")["id"], 3);
    world.expect_nothing(ada);
}

// covers A7-03
#[test]
fn the_batch_has_an_outcome_of_its_own_after_those_of_its_messages() {
    let mut world = quiet_world();
    let ada = world.connect();
    let mut all = batch(&[
        json!({"type": "join", "room": "tea", "id": 1}),
        json!({"type": "join", "room": "coffee", "id": 2}),
    ]);
    all["id"] = json!("all");
    world.send(ada, &all);
    for (kind, id) in [
        ("joined_room", json!(1)),
        ("joined_room", json!(2)),
        ("ack", json!("all")),
    ] {
        assert_eq!(world.expect(ada, kind)["id"], id);
    }
    world.expect_nothing(ada);
}

// covers A7-06
#[test]
fn each_message_of_a_batch_is_charged_and_counted() {
    let mut world = World::new(Config {
        rate_limit: RateLimit {
            messages: 5,
            ..RateLimit::default()
        },
        ..Config::default()
    });
    let (ada, bob) = (world.connect(), world.connect());
    world.join(ada, "tea");
    world.join(bob, "tea");
    world.expect(ada, "member_joined");
    let before = world.stats().received;
    world.send(ada, &batch(&(0..6).map(say).collect::<Vec<_>>()));
    let outcomes = told(&mut world, ada);
    let kinds: Vec<_> = outcomes.iter().map(|outcome| &outcome["type"]).collect();
    assert_eq!(kinds, ["ack", "ack", "ack", "ack", "error", "error"]);
    for refused in &outcomes[4..] {
        assert_eq!(refused["code"], "rate_limited");
        assert!(refused["retryAfterMs"].is_u64());
    }
    assert_eq!(told(&mut world, bob).len(), 4);
    assert_eq!(world.stats().received - before, 6);
}

// covers A2-11
#[test]
fn replies_to_a_batch_leave_as_one_message_for_who_has_asked_for_it() {
    // Where another shard is asked, its answer ends what leaves together.
    let mut world = World::alone(crate::unlimited());
    let ada = world.connect();
    world.send(ada, &json!({"type": "hello", "batch": true, "user": "Ada"}));
    let (join, ping) = (
        json!({"type": "join", "room": "tea", "id": 1}),
        json!({"type": "ping", "id": 2}),
    );
    world.send(
        ada,
        &batch(&[join, ping.clone(), say(3), json!({"type": "nonsense"})]),
    );
    let replies = world.expect(ada, "batch");
    let kinds: Vec<_> = replies["messages"]
        .as_array()
        .expect("an array")
        .iter()
        .map(|reply| reply["type"].as_str().expect("a type"))
        .collect();
    assert_eq!(kinds, ["joined_room", "pong", "ack", "error"]);
    // One alone, and replies to what comes alone, are what they are.
    world.send(ada, &batch(std::slice::from_ref(&ping)));
    world.expect(ada, "pong");
    world.send(ada, &ping);
    world.expect(ada, "pong");
    // A greeting that does not speak of it changes nothing; one can be taken back.
    world.send(ada, &json!({"type": "hello"}));
    world.send(ada, &batch(&[ping.clone(), ping.clone()]));
    world.expect(ada, "batch");
    world.send(ada, &json!({"type": "hello", "batch": false}));
    world.send(ada, &batch(&[ping.clone(), ping]));
    world.expect(ada, "pong");
    world.expect(ada, "pong");
    world.expect_nothing(ada);
}

// covers A2-11
#[test]
fn what_others_say_overtakes_no_reply() {
    let mut world = quiet_world();
    let ada = world.connect();
    let id = world.id(ada).to_owned();
    world.send(ada, &json!({"type": "hello", "batch": true}));
    let ping = |id: u32| json!({"type": "ping", "id": id});
    let to_herself = json!({"type": "private_message", "to": id, "data": 1, "id": 3});
    world.send(ada, &batch(&[ping(1), ping(2), to_herself, ping(4)]));
    assert_eq!(world.expect(ada, "batch")["messages"][1]["id"], 2);
    assert_eq!(world.expect(ada, "private_message")["data"], 1);
    assert_eq!(world.expect(ada, "batch")["messages"][0]["type"], "ack");
    world.expect_nothing(ada);
}

// covers A2-11
#[test]
fn many_replies_leave_as_several_messages() {
    let mut world = quiet_world();
    let ada = world.connect();
    world.send(ada, &json!({"type": "hello", "batch": true}));
    let long = "x".repeat(120);
    let pings: Vec<_> = (0..100)
        .map(|_| json!({"type": "ping", "id": long}))
        .collect();
    for _ in 0..3 {
        world.send(ada, &batch(&pings));
    }
    let batches = told(&mut world, ada);
    let sizes: Vec<_> = batches
        .iter()
        .map(|batch| batch["messages"].as_array().map_or(1, Vec::len))
        .collect();
    assert_eq!(sizes.iter().sum::<usize>(), 300);
    assert!(sizes.len() > 3 && sizes.len() < 30, "{sizes:?}");
}

// covers A7-03
#[test]
fn nothing_is_carried_out_after_the_message_that_ends_the_session() {
    let mut world = World::new(Config {
        limits: Limits {
            max_bad_messages: 2,
            ..Limits::default()
        },
        ..Config::default()
    });
    let (ada, bob) = (world.connect(), world.connect());
    world.join(ada, "tea");
    world.join(bob, "tea");
    world.send(ada, &json!({"type": "hello", "batch": true}));
    world.send(ada, &batch(&[say(1), json!(1), json!(2), json!(3), say(4)]));
    let heard = told(&mut world, ada);
    let kinds: Vec<_> = heard.iter().map(|message| &message["type"]).collect();
    assert_eq!(kinds, ["member_joined", "batch", "closing"]);
    assert_eq!(heard[1]["messages"].as_array().map(Vec::len), Some(4));
    assert_eq!(world.close_frame(ada).map(|(code, _)| code), Some(1008));
    let data: Vec<_> = told(&mut world, bob)
        .into_iter()
        .filter(|message| message["type"] == "room_message")
        .collect();
    assert_eq!(data.len(), 1);
}

/// What three clients are told when one of them says `messages`, in batches of so many: that one in its order, the
/// others in that of each room.
fn transcript(messages: &[Value], size: usize, shards: u8) -> Vec<BTreeMap<String, Vec<Value>>> {
    let mut world = World::of_shards(crate::unlimited(), shards);
    let clients = world.connect_many(3);
    for &client in &clients {
        world.join(client, "tea");
    }
    for messages in messages.chunks(size) {
        match messages {
            [alone] if size == 1 => world.send(clients[0], alone),
            several => world.send(clients[0], &batch(several)),
        }
    }
    let name = |client: Peer| (world.id(client).to_owned(), format!("{client:?}"));
    let names: Vec<_> = clients.iter().map(|&client| name(client)).collect();
    let mut rooms_of = |client: Peer| {
        let mut rooms: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for message in told(&mut world, client) {
            let room = message
                .get("room")
                .unwrap_or_else(|| &message["type"])
                .to_string();
            let room = if client == clients[0] {
                String::new()
            } else {
                room
            };
            let mut text = message.to_string();
            for (id, name) in &names {
                text = text.replace(id, name);
            }
            let message = serde_json::from_str(&text).expect("JSON");
            rooms.entry(room).or_default().push(message);
        }
        rooms
    };
    clients.iter().map(|&client| rooms_of(client)).collect()
}

fn any_message() -> impl Strategy<Value = Value> {
    let room = prop::sample::select(vec!["tea", "coffee", "milk", "water", ""]);
    (0..11_usize, room, 0..9_u32).prop_map(|(kind, room, number)| match kind {
        0 => json!({"type": "join", "room": room, "id": number}),
        1 => json!({"type": "leave", "room": room, "id": number}),
        2 => json!({"type": "members", "room": room, "id": number}),
        3 => json!({"type": "ping", "timestamp": number}),
        4 => json!({"type": "set_metadata", "metadata": {"n": number}}),
        5 => json!({"type": "private_message", "to": "nobody", "data": 1, "id": number}),
        6 => json!({"type": "typing_start", "room": room, "id": number}),
        7 => json!({"type": "broadcast", "data": number}),
        8 => json!({"no": "type"}),
        _ => json!({"type": "room_message", "room": room, "data": number, "id": number}),
    })
}

proptest! {
    // covers A7-03
    #[test]
    fn messages_in_batches_do_what_they_do_alone(
        messages in prop::collection::vec(any_message(), 1..24),
        size in 2..9_usize,
        shards in prop::sample::select(vec![1_u8, 3]),
    ) {
        prop_assert_eq!(transcript(&messages, size, shards), transcript(&messages, 1, shards));
    }
}
