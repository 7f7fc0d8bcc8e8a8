//! Limits on single messages.

use roomwire_core::Config;
use roomwire_core::server::{Command, Event, Outcome};
use roomwire_tests::{Opcode, Peer, World, masked};
use serde_json::{Value, json};

use crate::{close_code, only};

fn world_and_client(lower: impl FnOnce(&mut Config)) -> (World, Peer) {
    let mut world = World::new(only(lower));
    let client = world.connect();
    (world, client)
}

/// A request of exactly this many bytes, with a reply.
fn sized(bytes: usize) -> String {
    let bare = r#"{"type":"ping","pad":""}"#.len();
    format!(r#"{{"type":"ping","pad":"{}"}}"#, "x".repeat(bytes - bare))
}

// covers A3-16: limits.max_message_bytes
#[test]
fn bytes_of_a_message() {
    for limit in [1_000, 1024 * 1024] {
        let lower = |config: &mut Config| config.limits.max_message_bytes = limit;
        let (mut world, client) = world_and_client(lower);
        world.send_text(client, &sized(limit));
        world.expect(client, "pong");
        world.send_text(client, &sized(limit + 1));
        assert_eq!(close_code(&world, client), Some(1009));

        // In fragments it is the sum that counts.
        for (extra, closed) in [(0, None), (1, Some(1009))] {
            let (mut world, client) = world_and_client(lower);
            let text = sized(limit + extra);
            let (front, back) = text.as_bytes().split_at(limit / 2);
            world.send_bytes(client, &masked(Opcode::Text, false, front));
            world.send_bytes(client, &masked(Opcode::Continuation, true, back));
            assert_eq!(close_code(&world, client), closed);
        }
    }
}

// covers A3-16: limits.max_frame_bytes
#[test]
fn bytes_of_a_frame() {
    let lower = |config: &mut Config| config.limits.max_frame_bytes = Some(1_000);
    let (mut world, client) = world_and_client(lower);
    world.send_text(client, &sized(1_000));
    world.expect(client, "pong");
    let text = sized(2_000);
    let (front, back) = text.as_bytes().split_at(1_000);
    world.send_bytes(client, &masked(Opcode::Text, false, front));
    world.send_bytes(client, &masked(Opcode::Continuation, true, back));
    world.expect(client, "pong");
    world.send_text(client, &sized(1_001));
    assert_eq!(close_code(&world, client), Some(1009));
}

// covers A1-15: limits.max_json_depth
#[test]
fn nesting() {
    for limit in [5, 64] {
        let (mut world, client) =
            world_and_client(|config| config.limits.max_json_depth = limit as u32);
        let nested = |depth: usize| {
            let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
            format!(r#"{{"type":"broadcast","id":1,"data":{open}{close}}}"#)
        };
        world.send_text(client, &nested(limit));
        world.expect(client, "ack");
        world.send_text(client, &nested(limit + 1));
        let error = world.expect(client, "error");
        assert_eq!(error["code"], "bad_message");
        assert_eq!(error["id"], 1);
    }
}

// covers A1-15: limits.max_json_fields
#[test]
fn fields() {
    for limit in [8, 64] {
        let (mut world, client) =
            world_and_client(|config| config.limits.max_json_fields = limit as u32);
        let with = |count: usize| {
            let more: String = (1..count)
                .map(|n| format!(r#","f{n}":{{"a":1}}"#))
                .collect();
            format!(r#"{{"type":"ping"{more}}}"#)
        };
        world.send_text(client, &with(limit));
        world.expect(client, "pong");
        world.send_text(client, &with(limit + 1));
        assert_eq!(world.expect(client, "error")["code"], "bad_message");
    }
}

// covers A1-16: limits.max_id_bytes
#[test]
fn bytes_of_an_id() {
    for limit in [10, 128] {
        let (mut world, client) = world_and_client(|config| config.limits.max_id_bytes = limit);
        let with = |bytes: usize| {
            let id = "x".repeat(bytes - 2); // and its quotes
            format!(r#"{{"type":"ping","id":"{id}"}}"#)
        };
        world.send_text(client, &with(limit));
        world.expect(client, "pong");
        world.send_text(client, &with(limit + 1));
        assert_eq!(world.expect(client, "error")["code"], "bad_message");
    }
}

// covers A7-02, A7-03: limits.max_batch_messages
#[test]
fn messages_of_a_batch() {
    for limit in [1, 100] {
        let (mut world, client) =
            world_and_client(|config| config.limits.max_batch_messages = limit);
        let of = |count: u32| {
            let pings: Vec<_> = (0..count)
                .map(|id| json!({"type": "ping", "id": id}))
                .collect();
            json!({"type": "batch", "messages": pings})
        };
        world.send(client, &of(limit));
        for id in 0..limit {
            assert_eq!(world.expect(client, "pong")["id"], id);
        }
        world.send(client, &of(limit + 1));
        assert_eq!(world.expect(client, "error")["code"], "too_large");
        world.expect_nothing(client);
    }
}

fn set(metadata: Value) -> Value {
    json!({"type": "set_metadata", "metadata": metadata})
}

// covers A1-07: limits.max_metadata_bytes
#[test]
fn bytes_of_metadata() {
    for limit in [50, 4_096] {
        let (mut world, client) =
            world_and_client(|config| config.limits.max_metadata_bytes = limit);
        let sized = |bytes: usize| json!({"k": "x".repeat(bytes - r#"{"k":""}"#.len())});
        assert_eq!(
            world.request(client, &set(sized(limit)))["type"],
            "metadata_updated"
        );
        assert_eq!(world.refused(client, &set(sized(limit + 1))), "too_large");
        // The sum counts, and a refused change changes nothing.
        assert_eq!(world.refused(client, &set(json!({"l": 1}))), "too_large");
        let kept = world.request(client, &set(json!({})));
        assert_eq!(kept["metadata"], sized(limit));
    }
}

// covers A1-07: limits.max_metadata_keys
#[test]
fn keys_of_metadata() {
    for limit in [3, 32] {
        let (mut world, client) =
            world_and_client(|config| config.limits.max_metadata_keys = limit);
        for number in 0..limit {
            let change = json!({format!("k{number}"): 1});
            assert_eq!(
                world.request(client, &set(change))["type"],
                "metadata_updated"
            );
        }
        assert_eq!(world.refused(client, &set(json!({"one": 1}))), "too_large");
        // One for another is no more.
        let swap = json!({"k0": null, "one": 1});
        let reply = world.request(client, &set(swap));
        assert_eq!(reply["metadata"].as_object().map(|o| o.len()), Some(limit));
    }
}

// covers A1-08: limits.max_user_bytes
#[test]
fn bytes_of_a_greeting() {
    for limit in [10, 256] {
        let (mut world, client) = world_and_client(|config| config.limits.max_user_bytes = limit);
        let hello = |bytes: usize| json!({"type": "hello", "user": "x".repeat(bytes - 2)});
        assert_eq!(world.request(client, &hello(limit))["type"], "ack");
        assert_eq!(world.refused(client, &hello(limit + 1)), "too_large");
    }
}

// covers A1-12: limits.max_bad_messages
#[test]
fn bad_messages() {
    for limit in [0, 1, 20] {
        let (mut world, client) = world_and_client(|config| config.limits.max_bad_messages = limit);
        for _ in 0..limit {
            world.send_text(client, "{");
            assert_eq!(world.expect(client, "error")["code"], "bad_json");
        }
        assert_eq!(close_code(&world, client), None);
        world.send_text(client, "{");
        assert_eq!(world.expect(client, "error")["code"], "bad_json");
        assert_eq!(world.expect(client, "closing")["code"], 1008, "{limit}");
        assert_eq!(close_code(&world, client), Some(1008));
    }
    // They are forgiven evenly over a minute.
    let (mut world, client) = world_and_client(|config| config.limits.max_bad_messages = 20);
    for _ in 0..200 {
        world.send_frame(client, Opcode::Binary, b"x");
        world.advance_ms(3_000);
    }
    assert_eq!(close_code(&world, client), None);
}

// covers A1-11: limits.max_unknown_types
#[test]
fn unknown_types() {
    for limit in [0, 1, 5] {
        let (mut world, client) =
            world_and_client(|config| config.limits.max_unknown_types = Some(limit));
        for _ in 0..limit {
            assert_eq!(world.refused(client, &json!({"type": "x"})), "unknown_type");
        }
        assert_eq!(close_code(&world, client), None);
        world.send(client, &json!({"type": "x"}));
        world.expect(client, "error");
        assert_eq!(world.expect(client, "closing")["code"], 1008, "{limit}");
    }
    let (mut world, client) = world_and_client(|_| {});
    for _ in 0..1_000 {
        assert_eq!(world.refused(client, &json!({"type": "x"})), "unknown_type");
    }
}

// covers A1-16: limits.max_pending_requests
#[test]
fn requests_that_wait_for_an_answer() {
    for limit in [2, 64] {
        let (mut world, client) = world_and_client(|config| {
            config.limits.max_pending_requests = limit;
            config.application_types = vec!["dice".to_owned()];
        });
        let other = world.connect();
        world.events();
        for _ in 0..limit {
            world.send(client, &json!({"type": "dice"}));
        }
        world.expect_nothing(client);
        let events = world.events();
        assert_eq!(events.len(), limit as usize);
        assert_eq!(
            world.refused(client, &json!({"type": "dice"})),
            "rate_limited"
        );
        // Each client has its own, and an answer makes room.
        world.send(other, &json!({"type": "dice"}));
        world.expect_nothing(other);
        let Event::Application { request, .. } = events[0] else {
            panic!("{events:?}");
        };
        let outcome = Outcome::Ack;
        world.command(Command::Reply { request, outcome });
        world.send(client, &json!({"type": "dice"}));
        world.expect_nothing(client);
    }
}
