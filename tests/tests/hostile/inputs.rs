//! Drivers' inputs at odd times: stale ids, a clock that jumps, answers that are owed.

use roomwire_core::config::Limits;
use roomwire_core::server::Command;
use roomwire_core::{Config, Input, Instant, ListenerId, Machine, Now, Output, PeerAddr};
use roomwire_core::{Server, TransportEnd, Turn};
use roomwire_tests::{Opcode, Upgrade, World, masked};
use serde_json::json;

use crate::unlimited;

// covers A3-19
#[test]
fn a_stale_id_is_a_counted_no_op() {
    let mut world = World::alone(Config::default());
    let gone = world.connect();
    let old = world.connection(gone);
    world.reset(gone);
    let next = world.connect();
    let new = world.connection(next);
    assert_eq!(old.index(), new.index());
    world.forget();
    let before = world.stats().stale;
    let mut bytes = masked(Opcode::Text, true, br#"{"type":"ping"}"#);
    let connection = old;
    let reason = String::new();
    let message = "{}".to_owned();
    let room = "tea".to_owned();
    let inputs = [
        Input::Received {
            connection,
            bytes: &mut bytes,
        },
        Input::Sent {
            connection,
            bytes: 10,
            blocked: true,
        },
        Input::Writable { connection },
        Input::ReadEnd { connection },
        Input::Ended {
            connection,
            end: TransportEnd::Reset,
        },
        Input::Connected { connection },
        Input::ConnectFailed { connection },
        Input::Command(Command::Send {
            connection,
            message,
        }),
        Input::Command(Command::Kick { connection, room }),
        Input::Command(Command::Close {
            connection,
            code: 1000,
            reason,
            reconnect_after_ms: None,
        }),
    ];
    let count = inputs.len() as u64;
    for input in inputs {
        world.driver().input(input);
    }
    assert_eq!(world.stats().stale, before + count);
    assert_eq!(world.driver().machine().unsent(old).count(), 0);
    world.settle();
    world.expect_nothing(next);
    assert_eq!(world.ending(next), None);
    assert_eq!(
        world.request(next, &json!({"type": "ping"}))["type"],
        "pong"
    );
}

// covers A3-09: time that goes back is clamped, time that leaps fires what is due
#[test]
fn a_clock_may_jump() {
    let mut world = World::default();
    let client = world.connect();
    let start = world.driver().now().mono;
    world.driver().set_time(Instant::ZERO);
    world.send(client, &json!({"type": "ping"}));
    world.expect(client, "pong");
    assert!(world.stats().time_went_back > 0);
    world.driver().set_time(start);
    world.settle();
    // A machine that slept for a year.
    world.advance_ms(0);
    let year = start + core::time::Duration::from_secs(365 * 24 * 60 * 60);
    world.driver().set_time(year);
    world.driver().input(Input::Tick);
    world.settle();
    assert_eq!(world.ending(client), None, "it was pinged first");
    world.advance_ms(60_000);
    assert_eq!(world.ending(client), None, "and has answered");
}

// covers A3-19: an answer that a driver owes and does not give
#[test]
fn a_transmit_that_is_not_answered_is_offered_again() {
    let config = Config::default()
        .validate()
        .expect("a config that is allowed");
    let mut server = Server::new(config, [1; 32]);
    let now = Now::default();
    let peer = PeerAddr::Local;
    let id = server.accept(now, peer, ListenerId(0)).expect("a place");
    let mut request = Upgrade::default().request();
    let bytes = &mut request[..];
    let _ = server.handle(
        now,
        Input::Received {
            connection: id,
            bytes,
        },
    );
    let mut offered = 0;
    for _ in 0..10 {
        if (server.poll() == Output::Transmit { connection: id }) {
            offered += 1;
            let _ = server.handle(now, Input::Tick);
        }
    }
    assert!(offered >= 5, "{offered}");
    assert_eq!(server.stats().unanswered_transmits, offered);
    // More than was lent is clamped.
    while server.poll() != (Output::Transmit { connection: id }) {}
    let _ = server.handle(
        now,
        Input::Sent {
            connection: id,
            bytes: usize::MAX,
            blocked: false,
        },
    );
    assert_eq!(server.stats().clamped, 1);
    assert_eq!(server.unsent(id).count(), 0);
}

// covers A3-16: input that comes although reading is withdrawn is kept, not lost
#[test]
fn input_behind_a_full_turn_is_kept_in_order() {
    let config = Config {
        limits: Limits {
            max_queued_events: 2,
            ..Limits::default()
        },
        application_types: vec!["dice".to_owned()],
        ..unlimited()
    };
    let config = config.validate().expect("a config that is allowed");
    let mut server = Server::new(config, [1; 32]);
    let now = Now::default();
    let id = server
        .accept(now, PeerAddr::Local, ListenerId(0))
        .expect("a place");
    let mut bytes = Upgrade::default().request();
    for number in 0..50 {
        let text = json!({"type": "dice", "n": number}).to_string();
        bytes.extend(masked(Opcode::Text, true, text.as_bytes()));
    }
    // Three pieces at once, whatever the machine says.
    let third = bytes.len() / 3;
    for piece in bytes.chunks_mut(third) {
        let _: Turn = server.handle(
            now,
            Input::Received {
                connection: id,
                bytes: piece,
            },
        );
    }
    let mut numbers = Vec::new();
    for _ in 0..10_000 {
        match server.poll() {
            Output::Event(roomwire_core::server::Event::Application { message, .. }) => {
                let value: serde_json::Value = serde_json::from_str(&message).expect("JSON");
                numbers.push(value["n"].as_u64().expect("a number"));
            }
            Output::Transmit { connection } => {
                let bytes = server.unsent(connection).map(<[u8]>::len).sum();
                let blocked = false;
                let _ = server.handle(
                    now,
                    Input::Sent {
                        connection,
                        bytes,
                        blocked,
                    },
                );
            }
            Output::Idle { .. } => break,
            _ => {}
        }
    }
    assert_eq!(numbers, (0..50).collect::<Vec<_>>());
}
