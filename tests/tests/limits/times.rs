//! Deadlines, to the millisecond.

use roomwire_core::Config;
use roomwire_core::config::RateLimit;
use roomwire_core::server::Command;
use roomwire_tests::{Ending, Opcode, Upgrade, World, masked};
use serde_json::json;

use crate::{close_code, only};

/// The default and another value.
fn each(default_ms: u64, set: impl Fn(&mut Config, u64), check: impl Fn(&mut World, u64)) {
    for ms in [1, 700, default_ms] {
        let mut world = World::new(only(|config| set(config, ms)));
        check(&mut world, ms);
    }
}

// covers A3-16: timeouts.handshake_ms
#[test]
fn time_for_a_handshake() {
    each(
        10_000,
        |config, ms| config.timeouts.handshake_ms = ms,
        |world, ms| {
            let silent = world.accept(&Upgrade::default());
            let slow = world.accept(&Upgrade::default());
            let late = world.accept(&Upgrade::default());
            world.send_bytes(slow, b"GET / HT");
            world.advance_ms(ms - 1);
            // Neither gains anything.
            world.send_bytes(slow, b"TP/1.1\r\n");
            world.send_bytes(late, b"GET / HT");
            for peer in [silent, slow, late] {
                assert_eq!(world.client(peer).status(), 0);
            }
            world.advance_ms(1);
            for peer in [silent, slow, late] {
                assert_eq!(world.client(peer).status(), 408);
                let connection = world.connection(peer);
                assert!(world.driver().pipe(connection).is_finished());
            }
        },
    );
}

// covers A3-16: timeouts.keep_alive_ms
#[test]
fn time_between_requests() {
    each(
        15_000,
        |config, ms| config.timeouts.keep_alive_ms = ms,
        |world, ms| {
            let client = world.accept(&Upgrade::default());
            for _ in 0..3 {
                world.send_bytes(client, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
                world.advance_ms(ms - 1);
                assert_eq!(world.ending(client), None);
            }
            world.advance_ms(1);
            assert_eq!(world.ending(client), Some(Ending::Closed));
        },
    );
}

// covers A3-16: a later request has the time of the first, from when it begins
#[test]
fn time_for_another_request() {
    let mut world = World::new(only(|config| {
        config.timeouts.keep_alive_ms = 2_000;
        config.timeouts.handshake_ms = 10_000;
    }));
    let client = world.accept(&Upgrade::default());
    world.send_bytes(client, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    world.advance_ms(1_999);
    world.send_bytes(client, b"GET / HT");
    world.advance_ms(9_999);
    let refused = |world: &World| {
        let answers = world.client(client).response.clone().expect("answers");
        assert!(answers.starts_with("HTTP/1.1 200 "), "{answers}");
        answers.contains("HTTP/1.1 408 ")
    };
    assert_eq!((refused(&world), world.ending(client)), (false, None));
    world.advance_ms(1);
    assert!(refused(&world));
}

// covers A3-16: timeouts.linger_ms
#[test]
fn time_to_linger() {
    each(
        5_000,
        |config, ms| config.timeouts.linger_ms = ms,
        |world, ms| {
            let polite = world.connect();
            let stuck = world.connect();
            world.dam(stuck);
            for peer in [polite, stuck] {
                let connection = world.connection(peer);
                world.command(Command::Close {
                    connection,
                    code: 1000,
                    reason: String::new(),
                    reconnect_after_ms: None,
                });
            }
            world.advance_ms(ms - 1);
            assert_eq!((world.ending(polite), world.ending(stuck)), (None, None));
            world.advance_ms(1);
            assert_eq!(world.ending(polite), Some(Ending::Reset));
            assert_eq!(world.ending(stuck), Some(Ending::Reset));
        },
    );
}

/// A text message that begins with `bytes` of JSON, and the rest of it.
fn halves(opcode: Opcode, bytes: usize) -> (Vec<u8>, Vec<u8>) {
    let mut whole = masked(opcode, true, br#"{"type":"hello","id":"half"}"#);
    let rest = whole.split_off(bytes);
    (whole, rest)
}

// covers A3-16: timeouts.message_ms
#[test]
fn time_for_a_message() {
    each(
        30_000,
        |config, ms| {
            config.timeouts.message_ms = ms;
            // A pong cannot come in the middle of a frame.
            config.heartbeat.interval_ms = 0;
        },
        |world, ms| {
            let (whole, split, fragments) = (world.connect(), world.connect(), world.connect());
            let (first, rest) = halves(Opcode::Text, 20);
            let begin = |world: &mut World| {
                world.send_bytes(split, &first);
                world.send_bytes(fragments, &masked(Opcode::Text, false, b"{"));
                world.send_bytes(whole, &[first.clone(), rest.clone()].concat());
            };
            // In time.
            begin(world);
            world.advance_ms(ms - 1);
            world.send_bytes(split, &rest);
            world.send_bytes(
                fragments,
                &masked(
                    Opcode::Continuation,
                    true,
                    br#""type":"hello","id":"half"}"#,
                ),
            );
            for peer in [whole, split, fragments] {
                assert_eq!(world.expect(peer, "ack")["id"], "half");
            }
            world.advance_ms(5 * ms);
            // Neither more of it nor control frames in between gain anything.
            begin(world);
            world.advance_ms(ms - 1);
            world.send_bytes(split, &rest[..1]);
            world.send_bytes(fragments, &masked(Opcode::Continuation, false, b""));
            world.send_bytes(fragments, &masked(Opcode::Ping, true, b""));
            assert_eq!(world.stats().unfinished, 0);
            world.advance_ms(1);
            for peer in [split, fragments] {
                let told = world.expect(peer, "closing");
                assert_eq!(
                    (told["code"].as_u64(), close_code(world, peer)),
                    (Some(1008), Some(1008))
                );
            }
            assert_eq!(world.stats().unfinished, 2);
            assert_eq!(close_code(world, whole), None);
        },
    );
}

#[test]
fn the_time_for_a_message_passes_whatever_else_is_due_later() {
    for typing_ms in [500, 1_000, 5_000] {
        let mut world = World::new(only(|config| {
            config.timeouts.message_ms = 1_000;
            config.timeouts.typing_ms = typing_ms;
            config.heartbeat.interval_ms = 0;
        }));
        let (typist, slow) = (world.connect(), world.connect());
        world.join(typist, "tea");
        let (first, _) = halves(Opcode::Text, 20);
        world.send_bytes(slow, &first);
        world.send(typist, &json!({"type": "typing_start", "room": "tea"}));
        world.advance_ms(999);
        assert_eq!(close_code(&world, slow), None);
        world.advance_ms(1);
        assert_eq!(close_code(&world, slow), Some(1008), "{typing_ms}");
    }
}

#[test]
fn each_message_has_its_own_time() {
    let mut world = World::alone(only(|config| {
        config.timeouts.message_ms = 1_000;
        config.heartbeat.interval_ms = 0;
    }));
    let client = world.connect();
    let (first, rest) = halves(Opcode::Text, 20);
    // Always in the middle of one, in one piece with the end of the one before.
    world.send_bytes(client, &first);
    for _ in 0..5 {
        world.advance_ms(999);
        world.send_bytes(client, &[rest.clone(), first.clone()].concat());
        world.expect(client, "ack");
    }
    // So it is for a ping between two messages, and for the first byte of a header.
    let ping = masked(Opcode::Ping, true, b"ping");
    world.send_bytes(client, &[&rest, &ping[..7]].concat());
    world.advance_ms(999);
    world.send_bytes(client, &[&ping[7..], &first[..1]].concat());
    world.advance_ms(999);
    assert_eq!(close_code(&world, client), None);
    world.advance_ms(1);
    assert_eq!(close_code(&world, client), Some(1008));
    world.finish(client);
    world.assert_empty();
    assert_eq!(world.driver().deadline(), None);
}

#[test]
fn time_in_which_the_server_does_not_read_does_not_count() {
    for wait_ms in [5_000, 5_500] {
        let mut world = World::new(throttling(wait_ms));
        let client = world.connect();
        let (first, rest) = halves(Opcode::Text, 20);
        let hello = [first.clone(), rest.clone()].concat();
        // Throttled in the middle of the third message.
        world.send_bytes(client, &[hello.clone(), hello, first].concat());
        world.expect(client, "ack");
        world.expect(client, "error");
        assert_eq!(world.stats().throttled, 1);
        world.advance_ms(wait_ms + 999);
        assert_eq!(close_code(&world, client), None);
        world.send_bytes(client, &rest);
        world.expect(client, "ack");
        world.advance_ms(60_000);
        assert_eq!(close_code(&world, client), None);
    }
}

#[test]
fn who_is_read_again_and_has_begun_no_message_has_no_time_for_one() {
    let mut world = World::new(throttling(5_000));
    let client = world.connect();
    let (first, rest) = halves(Opcode::Text, 20);
    let hello = [first, rest].concat();
    world.send_bytes(client, &hello.repeat(2));
    assert_eq!(world.stats().throttled, 1);
    world.advance_ms(5_000);
    assert_eq!(world.driver().deadline(), None);
}

/// Messages have a second, and a client that speaks twice is not read from for a while.
fn throttling(wait_ms: u64) -> Config {
    only(|config| {
        config.timeouts.message_ms = 1_000;
        config.heartbeat.interval_ms = 0;
        config.rate_limit = RateLimit {
            throttle_after: 0,
            ..RateLimit::custom(1, wait_ms)
        };
    })
}

// covers A2-01: timeouts.welcome_delay_ms
#[test]
fn time_until_the_welcome() {
    each(
        100,
        |config, ms| config.timeouts.welcome_delay_ms = ms,
        |world, ms| {
            let client = world.knock(&Upgrade::default());
            world.advance_ms(ms - 1);
            world.expect_nothing(client);
            world.advance_ms(1);
            world.expect(client, "welcome");
        },
    );
}

// covers A0-13: timeouts.typing_ms
#[test]
fn time_of_typing() {
    each(
        5_000,
        |config, ms| config.timeouts.typing_ms = ms,
        |world, ms| {
            let (ada, bob) = (world.connect(), world.connect());
            world.join(ada, "tea");
            world.join(bob, "tea");
            world.send(ada, &json!({"type": "typing_start", "room": "tea"}));
            world.expect(bob, "user_typing");
            world.advance_ms(ms - 1);
            world.expect_nothing(bob);
            world.advance_ms(1);
            world.expect(bob, "user_stopped_typing");
        },
    );
}

// covers A0-14: timeouts.application_reply_ms
#[test]
fn time_for_an_answer() {
    each(
        10_000,
        |config, ms| {
            config.timeouts.application_reply_ms = ms;
            config.application_types = vec!["dice".to_owned()];
        },
        |world, ms| {
            let client = world.connect();
            world.send(client, &json!({"type": "dice"}));
            world.advance_ms(ms - 1);
            world.expect_nothing(client);
            world.advance_ms(1);
            assert_eq!(world.expect(client, "error")["code"], "internal");
        },
    );
}

// covers A3-09: heartbeat.interval_ms, heartbeat.timeout_ms
#[test]
fn time_to_be_silent() {
    for (interval_ms, timeout_ms) in [(1_000, 1), (1, 1_000), (700, 300), (30_000, 30_000)] {
        let mut world = World::new(only(|config| {
            config.heartbeat.interval_ms = interval_ms;
            config.heartbeat.timeout_ms = timeout_ms;
        }));
        let client = world.connect();
        world.mute(client);
        let early = interval_ms * 9 / 10 + timeout_ms - 1;
        world.advance_ms(early);
        assert_eq!(world.stats().timeouts, 0, "{interval_ms} {timeout_ms}");
        world.advance_ms(interval_ms + timeout_ms - early);
        assert_eq!(world.stats().timeouts, 1, "{interval_ms} {timeout_ms}");
    }
}

// covers A0-10: drain.timeout_ms
#[test]
fn time_to_drain() {
    each(
        10_000,
        |config, ms| config.drain.timeout_ms = ms,
        |world, ms| {
            let client = world.connect();
            world.command(Command::Drain);
            world.advance_ms(ms - 1);
            assert_eq!(world.ending(client), None);
            world.advance_ms(1);
            assert_eq!(world.ending(client), Some(Ending::Reset));
        },
    );
    // No time at all.
    let mut world = World::new(only(|config| config.drain.timeout_ms = 0));
    let client = world.connect();
    world.command(Command::Drain);
    assert_eq!(world.ending(client), Some(Ending::Reset));
}
