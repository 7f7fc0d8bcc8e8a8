//! Single messages and their outcomes.

use roomwire_core::Config;
use roomwire_core::config::Permission;
use roomwire_tests::{Opcode, World};
use serde_json::json;

use crate::quiet_world;

// covers A1-01, A2-02, A12-02
#[test]
fn a_pong_carries_both_clocks() {
    let mut world = World::default();
    let client = world.connect();
    world.advance_ms(1_234);
    world.send(client, &json!({"type": "ping", "timestamp": 42}));
    let pong = world.expect(client, "pong");
    assert_eq!(pong["timestamp"], world.driver().now().unix_ms);
    assert_eq!(pong["clientTimestamp"], 42);

    world.send(client, &json!({"type": "ping"}));
    let pong = world.expect(client, "pong");
    assert!(pong["timestamp"].is_u64());
    assert_eq!(pong.get("clientTimestamp"), None);
}

// covers A1-01
#[test]
fn pings_and_messages_have_quotas_of_their_own() {
    let mut world = World::default();
    let client = world.connect();
    for _ in 0..100 {
        assert_eq!(
            world.request(client, &json!({"type": "hello"}))["type"],
            "ack"
        );
    }
    let refused = world.request(client, &json!({"type": "hello"}));
    assert_eq!(refused["code"], "rate_limited");
    assert_eq!(refused["retryAfterMs"], 600);
    for _ in 0..300 {
        assert_eq!(
            world.request(client, &json!({"type": "ping"}))["type"],
            "pong"
        );
    }
    let refused = world.request(client, &json!({"type": "ping"}));
    assert_eq!(refused["code"], "rate_limited");
    assert_eq!(refused["retryAfterMs"], 200);
    assert_eq!(world.close_frame(client).map(|(code, _)| code), Some(1008));
}

// covers A1-08
#[test]
fn hello_is_accepted_and_answered_only_on_request() {
    let mut world = World::default();
    let client = world.connect();
    world.send(
        client,
        &json!({"type": "hello", "user": "JavaScript Client"}),
    );
    world.expect_nothing(client);
    let outcome = world.request(client, &json!({"type": "hello", "user": {"any": ["json"]}}));
    assert_eq!(outcome["type"], "ack");
}

// covers A1-11, A2-08
#[test]
fn an_unknown_type_is_told_and_counted() {
    let mut world = World::default();
    let client = world.connect();
    world.send(client, &json!({"type": "jion", "room": "tea"}));
    let error = world.expect(client, "error");
    assert_eq!(error["code"], "unknown_type");
    assert!(error["message"].is_string());
    assert_eq!(world.stats().unknown_types, 1);
    assert_eq!(
        world.refused(client, &json!({"type": "jion"})),
        "unknown_type"
    );
    assert_eq!(world.ending(client), None);
}

// covers A1-12, A2-08, A0-14
#[test]
fn text_that_is_not_json_is_told() {
    let mut world = World::default();
    let client = world.connect();
    for text in [
        "",
        "hello",
        "{",
        r#"{"type":"ping"} x"#,
        r#"{"type":"ping",}"#,
    ] {
        world.send_text(client, text);
        let error = world.expect(client, "error");
        assert_eq!(error["code"], "bad_json", "{text}");
        assert_eq!(error["message"], "Invalid message format", "{text}");
    }
    assert_eq!(world.stats().bad_messages, 5);
}

// covers A1-13, A1-14, A0-14
#[test]
fn what_is_no_object_with_a_type_is_told() {
    let mut world = World::default();
    let client = world.connect();
    let bad = [
        "null",
        "7",
        r#""ping""#,
        "[]",
        "true",
        "{}",
        r#"{"type":7}"#,
        r#"{"type":null}"#,
        r#"{"type":["ping"]}"#,
    ];
    for text in bad {
        world.send_text(client, text);
        assert_eq!(
            world.expect(client, "error")["code"],
            "bad_message",
            "{text}"
        );
    }
}

// covers A0-14: binary has no meaning here yet
#[test]
fn binary_is_refused() {
    let mut world = World::default();
    let client = world.connect();
    world.send_frame(client, Opcode::Binary, b"{\"type\":\"ping\"}");
    assert_eq!(world.expect(client, "error")["code"], "bad_message");
}

// covers A1-16, A13-09
#[test]
fn every_request_has_exactly_one_outcome() {
    let mut world = quiet_world();
    let (client, other) = (world.connect(), world.connect());
    let to = world.id(other).to_owned();
    world.join(client, "tea");
    world.join(other, "coffee");
    let table = [
        (json!({"type": "ping"}), "pong"),
        (json!({"type": "join", "room": "tea"}), "joined_room"),
        (json!({"type": "join", "room": "milk"}), "joined_room"),
        (json!({"type": "leave", "room": "milk"}), "left_room"),
        (json!({"type": "leave", "room": "milk"}), "no_such_room"),
        (json!({"type": "leave", "room": "coffee"}), "not_member"),
        (json!({"type": "leave"}), "bad_message"),
        (json!({"type": "join", "room": ""}), "invalid_room"),
        (json!({"type": "join", "room": "user:1"}), "reserved"),
        (json!({"type": "broadcast", "data": 1}), "ack"),
        (json!({"type": "broadcast"}), "bad_message"),
        (
            json!({"type": "room_message", "room": "tea", "data": 1}),
            "ack",
        ),
        (
            json!({"type": "room_message", "room": "coffee", "data": 1}),
            "not_member",
        ),
        (
            json!({"type": "room_message", "room": "no", "data": 1}),
            "no_such_room",
        ),
        (
            json!({"type": "private_message", "to": to, "data": 1}),
            "ack",
        ),
        (
            json!({"type": "private_message", "to": "x", "data": 1}),
            "target_not_found",
        ),
        (
            json!({"type": "set_metadata", "metadata": {}}),
            "metadata_updated",
        ),
        (
            json!({"type": "set_metadata", "metadata": "ab"}),
            "bad_message",
        ),
        (json!({"type": "hello"}), "ack"),
        (json!({"type": "members", "room": "tea"}), "members"),
        (json!({"type": "members", "room": "coffee"}), "not_member"),
        (json!({"type": "typing_start", "room": "tea"}), "ack"),
        (json!({"type": "typing_stop", "room": "tea"}), "ack"),
        (json!({"type": "typing_stop", "room": "tea"}), "ack"),
        (
            json!({"type": "typing_start", "room": "coffee"}),
            "not_member",
        ),
        (json!({"type": "no such"}), "unknown_type"),
    ];
    for (message, expected) in table {
        let outcome = world.request(client, &message);
        let came = match outcome["type"].as_str() {
            Some("error") => &outcome["code"],
            _ => &outcome["type"],
        };
        assert_eq!(came, expected, "{message}");
    }
    world.expect_nothing(client);
}

// covers A1-16
#[test]
fn an_id_comes_back_as_it_was_written() {
    let mut world = World::default();
    let client = world.connect();
    let ids = [
        "7",
        "-1.50e+3",
        "12345678901234567890123",
        r#""""#,
        r#""a\u0041\/\ud83d\ude00""#,
        r#""\ud800""#,
    ];
    for id in ids {
        world.send_text(client, &format!(r#"{{"type":"hello","id":{id}}}"#));
        let ack = world.next_text(client);
        assert_eq!(ack, Some(format!(r#"{{"type":"ack","id":{id}}}"#)));
    }
    for id in ["null", "true", "{}", "[1]"] {
        world.send_text(client, &format!(r#"{{"type":"hello","id":{id}}}"#));
        let error = world.expect(client, "error");
        assert_eq!(error["code"], "bad_message", "{id}");
        assert_eq!(error.get("id"), None, "{id}");
    }
}

// covers A1-06, A2-06, A0-1, A0-3
#[test]
fn a_private_message_reaches_its_target_alone() {
    let mut world = World::default();
    let clients = world.connect_many(3);
    let [sender, target, third] = clients[..] else {
        unreachable!()
    };
    let to = world.id(target).to_owned();
    let message = json!({"type": "private_message", "to": to, "from": "admin",
        "data": {"from": "admin"}, "timestamp": 1});
    world.send(sender, &message);
    let got = world.expect(target, "private_message");
    assert_eq!(got["from"], world.id(sender));
    assert_eq!(got["data"], json!({"from": "admin"}));
    assert_eq!(got["timestamp"], world.driver().now().unix_ms);
    world.expect_nothing(sender);
    world.expect_nothing(third);
}

// covers A1-06
#[test]
fn a_private_message_to_nobody_is_told() {
    let mut world = World::default();
    let (sender, gone) = (world.connect(), world.connect());
    let gone_id = world.id(gone).to_owned();
    world.close(gone);
    // Whoever takes the slot of a client that left is somebody else.
    let next = world.connect();
    assert_eq!(
        world.connection(next).index(),
        world.connection(gone).index()
    );
    let never = "client_AAAAAAAAAAAAAAAAAAAAAAAA";
    for to in [gone_id.as_str(), never, "client_", "", "admin"] {
        let message = json!({"type": "private_message", "to": to, "data": 1});
        assert_eq!(world.refused(sender, &message), "target_not_found", "{to}");
    }
    world.expect_nothing(next);
}

// covers A1-06
#[test]
fn strangers_can_be_kept_apart() {
    let mut world = World::new(Config {
        private_messages_need_shared_room: true,
        ..Config::default()
    });
    let (sender, target) = (world.connect(), world.connect());
    let message = json!({"type": "private_message", "to": world.id(target), "data": 1});
    assert_eq!(world.refused(sender, &message), "target_not_found");
    world.join(sender, "a");
    world.join(target, "b");
    assert_eq!(world.refused(sender, &message), "target_not_found");
    world.join(target, "a");
    assert_eq!(world.request(sender, &message)["type"], "ack");
    world.expect(target, "private_message");
}

// covers A1-04, A0-1, A3-12
#[test]
fn a_broadcast_reaches_everyone_else() {
    let mut world = World::default();
    let clients = world.connect_many(4);
    world.send(
        clients[0],
        &json!({"type": "broadcast", "data": {"type": "private_message", "from": "admin"}}),
    );
    for &client in &clients[1..] {
        let got = world.expect(client, "broadcast");
        assert_eq!(got["from"], world.id(clients[0]));
        assert_eq!(
            got["data"],
            json!({"type": "private_message", "from": "admin"})
        );
        assert_eq!(got["timestamp"], world.driver().now().unix_ms);
        world.expect_nothing(client);
    }
    world.expect_nothing(clients[0]);
    assert_eq!(
        world.refused(clients[0], &json!({"type": "broadcast"})),
        "bad_message"
    );
}

// covers A1-04
#[test]
fn broadcasting_can_be_denied() {
    let mut world = World::new(Config {
        broadcast: Permission::Deny,
        ..Config::default()
    });
    let (sender, other) = (world.connect(), world.connect());
    let message = json!({"type": "broadcast", "data": 1});
    assert_eq!(world.refused(sender, &message), "forbidden");
    world.expect_nothing(other);
}

// covers A0-14, A2-08: errors come from the closed list
#[test]
fn messages_of_the_server_are_no_requests() {
    let mut world = quiet_world();
    let client = world.connect();
    let server_types = ["welcome", "session", "error", "member_joined", "closing"];
    for kind in server_types {
        assert_eq!(
            world.refused(client, &json!({"type": kind})),
            "unknown_type"
        );
    }
}

// covers A1-06: whatever its number, a client is found by its id
#[test]
fn each_of_many_clients_is_found_by_its_id() {
    let mut world = quiet_world();
    let clients = world.connect_many(300);
    for (number, &client) in clients.iter().enumerate() {
        let to = world.id(client).to_owned();
        let message = json!({"type": "private_message", "to": to, "data": number});
        let outcome = world.request(clients[(number + 1) % 300], &message);
        assert_eq!(outcome["type"], "ack", "{number}: {outcome}");
        assert_eq!(world.expect(client, "private_message")["data"], number);
    }
}

// covers A1-06: one room of many is enough
#[test]
fn clients_share_a_room_whatever_else_they_are_in() {
    let mut world = World::new(Config {
        private_messages_need_shared_room: true,
        ..crate::unlimited()
    });
    let (ada, bob, eve) = (world.connect(), world.connect(), world.connect());
    for (client, room) in [
        (ada, "a"),
        (bob, "b"),
        (eve, "e"),
        (ada, "tea"),
        (bob, "tea"),
        (ada, "milk"),
        (eve, "rum"),
    ] {
        world.join(client, room);
    }
    for (from, to, shared) in [
        (ada, bob, true),
        (bob, ada, true),
        (ada, eve, false),
        (eve, bob, false),
    ] {
        let to = world.id(to).to_owned();
        let message = json!({"type": "private_message", "to": to, "data": 1});
        let outcome = world.request(from, &message);
        assert_eq!(outcome["type"] == "ack", shared, "{outcome}");
    }
}

// covers A1-05: a driver may write as little at a time as it likes
#[test]
fn what_a_write_leaves_over_is_written_next() {
    let mut world = World::alone(crate::unlimited());
    world.driver().set_slices(1);
    let (ada, bob) = (world.connect(), world.connect());
    world.join(ada, "tea");
    world.join(bob, "tea");
    world.forget();
    let to = world.id(bob).to_owned();
    for number in 0..5 {
        let room = json!({"type": "room_message", "room": "tea", "data": number});
        let own = json!({"type": "private_message", "to": to, "data": number});
        world.post_json(ada, &room);
        world.post_json(ada, &own);
    }
    world.settle();
    let kinds: Vec<_> = world.all(bob).iter().map(|m| m["type"].clone()).collect();
    assert_eq!(kinds, ["room_message", "private_message"].repeat(5));
}
