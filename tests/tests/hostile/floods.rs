//! Too much of anything.

use roomwire_core::Config;
use roomwire_core::config::{Limits, ListenerConfig, RateLimit};
use roomwire_tests::{Opcode, Rng, Upgrade, World, masked};
use serde_json::json;

use crate::{close_code, unlimited};

// covers A1-01, A0-14
#[test]
fn a_flood_of_pings_ends_in_1008() {
    let mut world = World::default();
    let client = world.connect();
    let flood = masked(Opcode::Ping, true, b"x").repeat(1_000);
    world.send_bytes(client, &flood);
    assert_eq!(close_code(&world, client), Some(1008));
    let mut pongs = 0;
    while let Some(message) = world.next_message(client) {
        pongs += usize::from(matches!(message, roomwire_tests::Message::Pong(_)));
    }
    assert!((300..=301).contains(&pongs), "{pongs}");
}

// covers A1-02
#[test]
fn ten_thousand_joins_end_in_refusals() {
    let mut world = World::new(unlimited());
    let client = world.connect();
    for number in 0..10_000 {
        world.post_json(client, &json!({"type": "join", "room": number.to_string()}));
    }
    world.settle();
    let replies = world.all(client);
    let joined = replies
        .iter()
        .filter(|m| m["type"] == "joined_room")
        .count();
    let refused = replies.iter().filter(|m| m["code"] == "too_many_rooms");
    assert_eq!((joined, refused.count()), (256, 10_000 - 256));
    assert_eq!(world.stats().rooms, 256);
    world.close(client);
    world.assert_empty();
}

// covers A0-6, A0-14, A9-05: who does not listen to refusals is throttled, and then closed
#[test]
fn a_flood_of_messages_ends_in_1008() {
    let mut world = World::default();
    let (client, witness) = (world.connect(), world.connect());
    for number in 0..1_000 {
        world.post_json(client, &json!({"type": "broadcast", "data": number}));
    }
    world.settle();
    assert_eq!(close_code(&world, client), None);
    assert_eq!(world.stats().rate_limited, 51);
    // One message passes each 600 ms, and the next one costs a refusal that is not forgiven.
    world.advance_ms(29_999);
    assert_eq!(close_code(&world, client), None);
    world.advance_ms(1);
    assert_eq!(close_code(&world, client), Some(1008));
    assert_eq!(world.stats().throttled, 50);
    assert_eq!(world.all(witness).len(), 150);
    let told = world.all(client);
    let refused = told.iter().filter(|m| m["code"] == "rate_limited").count();
    assert_eq!(refused, 101);
    assert!(
        told.iter()
            .all(|m| m["code"] != "rate_limited" || m["retryAfterMs"].is_u64())
    );
}

// covers A1-12, A0-14
#[test]
fn a_flood_of_nonsense_ends_in_1008() {
    for text in ["{", "null", r#"{"type":1}"#] {
        let mut world = World::default();
        let client = world.connect();
        let flood = masked(Opcode::Text, true, text.as_bytes()).repeat(100);
        world.send_bytes(client, &flood);
        assert_eq!(close_code(&world, client), Some(1008));
        assert_eq!(world.all(client).len(), 22, "21 errors and the goodbye");
    }
}

// covers A1-15: deep and wide JSON costs what its bytes cost
#[test]
fn deep_and_wide_json_is_refused() {
    let mut world = World::new(Config {
        limits: Limits {
            max_bad_messages: 1_000,
            ..Limits::default()
        },
        ..unlimited()
    });
    let client = world.connect();
    let bombs = [
        format!(r#"{{"type":"broadcast","data":{}"#, "[".repeat(1_000_000)),
        format!(
            r#"{{"type":"broadcast","data":{}{}}}"#,
            "[".repeat(500_000),
            "]".repeat(500_000)
        ),
        format!(
            r#"{{"type":"broadcast","data":{}1"#,
            r#"{"a":"#.repeat(170_000)
        ),
        format!("{{{}}}", vec![r#""type":"ping""#; 70_000].join(",")),
        format!(r#"{{"type":"hello","id":"{}"}}"#, "x".repeat(1_000_000)),
        format!(
            r#"{{"type":"join","room":"{}"}}"#,
            r"\u0061".repeat(170_000)
        ),
    ];
    for bomb in bombs {
        world.send_text(client, &bomb);
        let code = world.expect(client, "error")["code"].clone();
        let expected = ["bad_json", "bad_message", "invalid_room"];
        assert!(expected.contains(&code.as_str().expect("a code")), "{code}");
        assert_eq!(world.stats().buffered_bytes, 0);
    }
}

// covers A0-6, A9-05's default: connections that come and go leave nothing
#[test]
fn a_flood_of_connections_leaves_nothing() {
    let mut world = World::default();
    for round in 0..2_000_u32 {
        let [a, b, c, _] = round.to_be_bytes().map(|byte| byte ^ 0x55);
        let client = world.accept(&Upgrade {
            peer: roomwire_core::PeerAddr::Inet(([a, b, c, round as u8], 1).into()),
            ..Upgrade::default()
        });
        world.send_bytes(client, &Upgrade::default().request());
        world.send(client, &json!({"type": "ping"}));
        world.reset(client);
        world.driver().forget_ended();
        if round % 500 == 0 {
            world.advance_ms(1_000);
        }
    }
    let stats = world.stats();
    assert_eq!(
        (stats.connections, stats.clients, stats.buffered_bytes),
        (0, 0, 0)
    );
    world.advance_ms(120_000);
    assert_eq!(world.driver().deadline(), None);
}

// covers A3-16: an echo is read no faster than it reads
#[test]
fn an_echo_that_is_not_read_is_not_fed() {
    let mut world = World::new(Config {
        listeners: vec![ListenerConfig {
            echo: true,
            ..ListenerConfig::default()
        }],
        ..Config::default()
    });
    let client = world.knock(&Upgrade {
        path: "/echo",
        ..Upgrade::default()
    });
    world.dam(client);
    let message = masked(Opcode::Binary, true, &[7; 100_000]);
    for _ in 0..200 {
        world.post(client, &message);
    }
    world.settle();
    let held = world.stats().buffered_bytes;
    assert!(held < 5 * 1024 * 1024, "{held}");
    let connection = world.connection(client);
    assert!(world.driver().pipe(connection).is_paused());
    // Read again, it gets everything.
    world.release(client);
    let mut echoed = 0;
    while let Some(message) = world.next_message(client) {
        assert_eq!(message, roomwire_tests::Message::Binary(vec![7; 100_000]));
        echoed += 1;
    }
    assert_eq!(echoed, 200);
    world.close(client);
    world.assert_empty();
}

// covers A1-13, A3-10: a crowd that does everything at random leaves nothing behind
#[test]
fn after_a_crowd_has_left_nothing_is_left() {
    for seed in 0..4 {
        let mut rng = Rng::new(seed);
        let mut config = unlimited();
        config.application_types = vec!["dice".to_owned()];
        config.limits.max_queued_messages = 500;
        config.rate_limit = if rng.one_in(2) {
            RateLimit::off()
        } else {
            RateLimit::game()
        };
        let mut world = World::new(config);
        let mut crowd = world.connect_many(20);
        for _ in 0..2_000 {
            let index = rng.below(crowd.len());
            let client = crowd[index];
            let room = ["a", "b", "c", "d"][rng.below(4)];
            let to = world.id(crowd[rng.below(crowd.len())]).to_owned();
            let message = match rng.below(12) {
                0..3 => json!({"type": "join", "room": room}),
                3 => json!({"type": "leave", "room": room}),
                4..7 => {
                    json!({"type": "room_message", "room": room, "data": "x".repeat(rng.below(3_000))})
                }
                7 => json!({"type": "broadcast", "data": 1}),
                8 => json!({"type": "private_message", "to": to, "data": 1}),
                9 => json!({"type": "typing_start", "room": room}),
                10 => json!({"type": "set_metadata", "metadata": {"n": rng.next()}}),
                _ => json!({"type": "dice", "id": 1}),
            };
            world.post_json(client, &message);
            match rng.below(40) {
                0 => world.stall(client),
                1 => world.dam(client),
                2 => world.release(client),
                3 => world.reset(client),
                4 => world.close(client),
                5 => world.finish(client),
                6 => world.advance_ms(rng.below(3_000) as u64),
                7..15 => {}
                _ => world.settle(),
            }
            if world.ending(client).is_some() {
                crowd[index] = world.connect();
            }
        }
        for &client in &crowd {
            if rng.one_in(2) {
                world.close(client);
            } else if world.ending(client).is_none() {
                world.reset(client);
            }
        }
        world.advance_ms(70_000);
        world.assert_empty();
        world.advance_ms(120_000);
        assert_eq!(world.driver().deadline(), None, "seed {seed}");
    }
}
