//! Limits on what waits: for one connection, for the embedding program, for everyone together.

use roomwire_core::Config;
use roomwire_core::server::{CloseCause, Command, Event};
use roomwire_tests::{Opcode, Peer, World, masked};
use serde_json::json;

use crate::{close_code, only};

/// Sends a client a message whose frame has exactly this many bytes.
fn push(world: &mut World, client: Peer, frame_bytes: usize) {
    let header = match frame_bytes {
        ..=127 => 2,
        128..=65_539 => 4,
        _ => 10,
    };
    let bare = r#"{"type":"x","pad":""}"#.len();
    let pad = "x".repeat(frame_bytes - header - bare);
    let connection = world.connection(client);
    world.command(Command::Send {
        connection,
        message: format!(r#"{{"type":"x","pad":"{pad}"}}"#),
    });
}

fn small_queues(config: &mut Config) {
    config.limits.max_message_bytes = 1_000;
    config.limits.max_members_listed = 1;
    config.limits.max_metadata_bytes = 100;
    config.room_names.max_bytes = 100;
    config.limits.max_queued_bytes = config.min_queued_bytes();
}

// covers A3-11: limits.max_queued_bytes
#[test]
fn bytes_that_wait_for_a_connection() {
    for small in [true, false] {
        let config = only(|config| {
            if small {
                small_queues(config);
            } else {
                config.limits.max_queued_bytes = 4 * 1024 * 1024;
                config.limits.max_message_bytes = 1024 * 1024;
                config.limits.max_metadata_bytes = 4 * 1024;
            }
        });
        let limit = config.limits.max_queued_bytes;
        for extra in [0, 1] {
            let mut world = World::new(config.clone());
            let client = world.connect();
            world.dam(client);
            push(&mut world, client, limit / 2);
            push(&mut world, client, limit - limit / 2 + extra);
            assert_eq!(world.stats().slow_readers, extra as u64);
            world.release(client);
            if extra == 0 {
                world.expect(client, "x");
                world.expect(client, "x");
                assert_eq!(close_code(&world, client), None);
            } else {
                let closing = world.expect(client, "closing");
                assert_eq!(closing["code"], 1013);
                assert!(closing["reconnectAfterMs"].is_u64());
                assert_eq!(close_code(&world, client), Some(1013));
                world.close(client);
                let ends = world.events();
                let slow = |event: &Event| {
                    matches!(
                        event,
                        Event::Closed {
                            cause: CloseCause::SlowReader,
                            ..
                        }
                    )
                };
                assert!(ends.iter().any(slow), "{ends:?}");
            }
        }
    }
}

// covers A3-11: limits.max_queued_messages
#[test]
fn messages_that_wait_for_a_connection() {
    for limit in [1, 2, 65_536] {
        let mut world = World::new(only(|config| config.limits.max_queued_messages = limit));
        let client = world.connect();
        world.dam(client);
        let connection = world.connection(client);
        for _ in 0..limit {
            world.driver().command(Command::Send {
                connection,
                message: "{}".to_owned(),
            });
        }
        world.settle();
        assert_eq!(world.stats().slow_readers, 0);
        push(&mut world, client, 100);
        assert_eq!(world.stats().slow_readers, 1);
        world.release(client);
        // Where there is no place for two messages, the close frame alone is left.
        if limit > 1 {
            world.expect(client, "closing");
        }
        assert_eq!(close_code(&world, client), Some(1013));
    }
}

// covers A3-11: limits.max_buffered_bytes
#[test]
fn bytes_that_wait_in_the_server() {
    let config = only(|config| {
        small_queues(config);
        config.limits.max_queued_bytes = 100_000;
        config.limits.max_buffered_bytes = config.min_buffered_bytes();
    });
    let limit = config.limits.max_buffered_bytes;
    let mut world = World::alone(config);
    let clients = world.connect_many(4);
    for &client in &clients {
        world.dam(client);
    }
    // Each keeps within its own limit; together they do not.
    let mut pushed = 0;
    for _ in 0..9 {
        for &client in &clients {
            push(&mut world, client, 10_000);
            pushed += 10_000;
            let held = world.stats().buffered_bytes;
            assert!(held <= limit, "{held} of {limit} after {pushed}");
        }
    }
    let stats = world.stats();
    assert!(stats.over_budget > 0, "{stats:?}");
    assert_eq!(stats.slow_readers, 0);
    for &client in &clients {
        world.release(client);
    }
    assert!(world.all(clients[0]).iter().any(|m| m["code"] == 1013));
    assert_eq!(world.stats().buffered_bytes, 0);
}

// covers A3-11: limits.max_buffered_bytes; half a message that somebody sits on keeps nobody out
#[test]
fn unfinished_messages_that_wait_in_the_server() {
    let config = only(|config| {
        small_queues(config);
        config.limits.max_buffered_bytes = config.min_buffered_bytes();
    });
    let limit = config.limits.max_buffered_bytes;
    let mut world = World::alone(config);
    let clients = world.connect_many(30);
    let mut half = masked(Opcode::Text, true, &vec![b' '; limit / 5]);
    let last = half.split_off(half.len() - 1);
    for (number, &client) in clients.iter().enumerate() {
        world.send_bytes(client, &half);
        assert_eq!(close_code(&world, client), None, "{number}");
        assert!(world.stats().buffered_bytes <= limit);
    }
    let closed: Vec<_> = clients
        .iter()
        .map(|&client| close_code(&world, client))
        .collect();
    let left = closed.iter().position(Option::is_none).expect("somebody");
    assert!((24..=28).contains(&left), "{closed:?}");
    assert!(
        closed[..left].iter().all(|&code| code == Some(1013)),
        "{closed:?}"
    );
    assert!(closed[left..].iter().all(Option::is_none), "{closed:?}");
    assert_eq!(world.stats().over_budget, left as u64);
    // Who ends in time was never in the way.
    for &client in &clients[left..] {
        world.send_bytes(client, &last);
    }
    assert_eq!(world.stats().buffered_bytes, 0);
}

// covers A3-13: limits.max_queued_events
#[test]
fn events_that_wait() {
    for limit in [1, 5, 1_024] {
        let mut world = World::new(only(|config| {
            config.limits.max_queued_events = limit;
            config.application_types = vec!["dice".to_owned()];
        }));
        let client = world.connect();
        world.events();
        for _ in 1..limit {
            world.post_json(client, &json!({"type": "dice"}));
            world.driver().feed();
            assert!(!world.driver().is_full());
        }
        world.post_json(client, &json!({"type": "dice"}));
        world.driver().feed();
        assert!(world.driver().is_full());
        // Nothing is lost, and there is room again.
        world.settle();
        assert_eq!(world.events().len(), limit);
        assert!(!world.driver().is_full());
    }
}

// covers A3-13: limits.max_queued_event_bytes
#[test]
fn bytes_of_events_that_wait() {
    let pad = "x".repeat(10_000);
    let dice = json!({"type": "dice", "pad": pad});
    let each = "dice".len() + dice.to_string().len();
    for (limit, count) in [(1, 1), (3 * each, 3), (3 * each + 1, 4)] {
        let mut world = World::new(only(|config| {
            config.limits.max_queued_event_bytes = limit;
            config.application_types = vec!["dice".to_owned()];
        }));
        let client = world.connect();
        world.events();
        for number in 1..=count {
            world.post_json(client, &dice);
            world.driver().feed();
            assert_eq!(world.driver().is_full(), number == count);
        }
        // Nothing is lost, and there is room again.
        world.post_json(client, &dice);
        world.settle();
        assert_eq!(world.events().len(), count + 1);
        assert!(!world.driver().is_full());
    }
}
