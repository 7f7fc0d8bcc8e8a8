//! Too much of anything.

use roomwire_core::config::{Limits, ListenerConfig, RateLimit, RoomRule, SlowReader};
use roomwire_core::server::Command;
use roomwire_core::{Config, Input};
use roomwire_tests::{Ending, Opcode, Peer, Rng, Upgrade, World, masked};
use serde_json::{Value, json};

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

/// Hands a message to the server, which is not polled.
fn hand_in(world: &mut World, client: Peer, message: &Value) {
    let connection = world.connection(client);
    let mut bytes = masked(Opcode::Text, true, message.to_string().as_bytes());
    world.driver().input(Input::Received {
        connection,
        bytes: &mut bytes,
    });
}

// covers A3-12: a turn takes a quarter of a mebibyte of new messages, whoever they are for
#[test]
fn a_turn_takes_so_much_and_no_more() {
    let mut world = World::alone(unlimited());
    let (ada, bob) = (world.connect(), world.connect());
    world.join(ada, "tea");
    world.join(bob, "tea");
    let data = "x".repeat(1_024);
    let to = world.id(bob).to_owned();
    for message in [
        json!({"type": "room_message", "room": "tea", "data": data}),
        json!({"type": "private_message", "to": to, "data": data}),
    ] {
        for _ in 0..200 {
            hand_in(&mut world, ada, &message);
            assert!(!world.driver().is_full());
        }
        for _ in 0..50 {
            hand_in(&mut world, ada, &message);
        }
        assert!(world.driver().is_full());
        world.settle();
        assert!(!world.driver().is_full());
        assert_eq!(world.all(bob).len(), 250);
    }
}

// covers A3-16: what the server keeps may be more than it should: then it takes on no more
#[test]
fn a_server_that_keeps_too_much_takes_no_new_requests() {
    let mut config = unlimited();
    config.limits.max_message_bytes = 10_000;
    config.limits.max_queued_bytes = config.min_queued_bytes();
    config.limits.max_buffered_bytes = config.min_buffered_bytes();
    config.rooms = vec![RoomRule {
        slow_reader: SlowReader::Latest,
        ..RoomRule::default()
    }];
    let limit = config.limits.max_buffered_bytes;
    let mut world = World::alone(config);
    let (ada, bob) = (world.connect(), world.connect());
    let healthy = |world: &mut World| {
        let client = world.accept(&Upgrade::default());
        world.send_bytes(client, b"GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n");
        world.client(client).status() == 200
    };
    let half = b"GET / HTTP/1.1\r\nHost: x\r\n";
    let patient = world.accept(&Upgrade::default());
    world.send_bytes(patient, half);
    for room in 0.. {
        if world.stats().buffered_bytes > limit {
            break;
        }
        assert!(healthy(&mut world) && room < 100);
        let room = format!("room {room}");
        world.join(ada, &room);
        world.join(bob, &room);
        let data = "x".repeat(9_000);
        world.send(
            ada,
            &json!({"type": "room_message", "room": room, "data": data}),
        );
    }
    assert!(!healthy(&mut world));
    let client = world.accept(&Upgrade::default());
    world.send_bytes(client, half);
    assert_eq!(world.client(client).status(), 503);
    assert_eq!(world.client(patient).status(), 0);
}

// covers A0-13: what still comes from a client that is closed is thrown away, up to a bound
#[test]
fn a_client_that_is_closed_may_go_on_for_a_while() {
    let mut world = World::new(unlimited());
    let client = world.connect();
    let connection = world.connection(client);
    world.command(Command::Close {
        connection,
        code: 1000,
        reason: String::new(),
        reconnect_after_ms: None,
    });
    let mebibyte = vec![0; 1 << 20];
    for _ in 0..15 {
        world.send_bytes(client, &mebibyte);
        assert_eq!(world.ending(client), None);
    }
    world.send_bytes(client, &mebibyte);
    assert_eq!(world.ending(client), Some(Ending::Reset));
}

// covers A3-12: more rooms in a turn than one poll gets to
#[test]
fn many_rooms_that_speak_at_once_are_all_heard() {
    let mut config = unlimited();
    config.limits.max_rooms_per_client = 2_000;
    let mut world = World::new(config);
    let members = world.connect_many(7);
    let name = |room: usize| format!("room {room}");
    for room in 0..1_200 {
        for &client in &members {
            let join = json!({"type": "join", "room": name(room)});
            world.post_json(client, &join);
        }
        world.settle();
    }
    world.forget();
    for room in 0..1_200 {
        let (room, message) = (name(room), r#"{"type":"news"}"#.to_owned());
        let publish = Command::Publish { room, message };
        world.driver().input(Input::Command(publish));
    }
    world.settle();
    for &client in &members {
        assert_eq!(world.all(client).len(), 1_200);
    }
}
