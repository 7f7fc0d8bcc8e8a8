//! Compressed messages: who gets them, how often one is compressed, and what becomes of those that clients send.

use roomwire_core::config::{ListenerConfig, RoomRule, SlowReader};
use roomwire_core::server::UpgradeRequest;
use roomwire_core::{Config, ListenerId, Stats};
use roomwire_tests::{Message, Opcode, Peer, Upgrade, World, compressed, deflated, masked};
use serde_json::{Value, json};

use crate::{quiet_world, unlimited};

/// A handshake that offers `permessage-deflate` with these parameters.
fn offering(parameters: &str) -> Upgrade {
    Upgrade {
        headers: format!("Sec-WebSocket-Extensions: permessage-deflate{parameters}\r\n"),
        ..Upgrade::default()
    }
}

fn echoes() -> Config {
    Config {
        listeners: vec![ListenerConfig {
            echo: true,
            ..ListenerConfig::default()
        }],
        ..unlimited()
    }
}

/// A connection to `/echo`.
fn echo(world: &mut World, parameters: &str) -> Peer {
    let upgrade = Upgrade {
        path: "/echo",
        ..offering(parameters)
    };
    world.knock(&upgrade)
}

/// Text that compresses well.
fn long(len: usize) -> String {
    "tea, and more tea; ".chars().cycle().take(len).collect()
}

/// Text that does not, however it is written.
fn noise(len: usize) -> Vec<u8> {
    let mut rng = roomwire_tests::Rng::new(7);
    (0..len).map(|_| rng.below(256) as u8).collect()
}

fn room_message(data: &str) -> Value {
    json!({"type": "room_message", "room": "tea", "data": data})
}

/// How many messages have come to a client compressed.
fn compressed_to(world: &World, peer: Peer) -> usize {
    world.client(peer).compressed
}

fn response(world: &World, peer: Peer) -> &str {
    world.client(peer).response.as_deref().expect("a response")
}

// ---- agreeing

// covers A3-02
#[test]
fn an_offer_is_answered_and_can_be_declined() {
    let answer = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
                  client_no_context_takeover\r\n";
    let mut world = quiet_world();
    let ada = world.connect_as(&offering("; client_max_window_bits"));
    assert!(response(&world, ada).contains(answer));
    let bob = world.connect();
    let eve = world.connect_as(&offering("; server_max_window_bits=8"));
    for peer in [bob, eve] {
        assert!(!response(&world, peer).contains("Extensions"));
    }
    assert_eq!(world.stats().compressing, 1);

    let mut config = unlimited();
    config.compression.enabled = false;
    let mut world = World::new(config);
    let ada = world.connect_as(&offering(""));
    assert!(!response(&world, ada).contains("Extensions"));
    assert_eq!(world.stats().compressing, 0);
}

#[test]
fn browsers_that_are_known_to_be_broken_get_none() {
    let safari = |version: &str| {
        let mut upgrade = offering("");
        upgrade.headers += &format!(
            "User-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) \
             Version/{version} Safari/605.1.15\r\n"
        );
        upgrade
    };
    let mut world = quiet_world();
    for (version, expected) in [("15.1", false), ("15.4", true), ("18.0", true)] {
        let ada = world.connect_as(&safari(version));
        let agreed = response(&world, ada).contains("permessage-deflate");
        assert_eq!(agreed, expected, "{version}");
    }
    let mut config = unlimited();
    config.compression.deny_user_agents = vec!["curl/*".to_owned()];
    let mut world = World::new(config);
    let ada = world.connect_as(&safari("15.1"));
    assert!(response(&world, ada).contains("permessage-deflate"));
    let mut upgrade = offering("");
    upgrade.headers += "User-Agent: curl/8.5.0\r\n";
    let bob = world.connect_as(&upgrade);
    assert!(!response(&world, bob).contains("permessage-deflate"));
}

#[test]
fn another_server_answers_offers_as_this_one_does() {
    let fields = [
        ("Host", "example.com"),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Extensions", "permessage-deflate"),
    ];
    let fields = fields.map(|(name, value)| (name, value.as_bytes()));
    let request = UpgradeRequest::new("GET", "/chat", fields);
    let upgrade = request.check(&unlimited()).expect("a good handshake");
    let last = upgrade.headers().last().expect("fields");
    assert!(last.1.starts_with("permessage-deflate"), "{last:?}");
    // And it is kept to.
    let mut world = quiet_world();
    let client = world.accept(&Upgrade {
        listener: ListenerId::ADOPTED,
        ..Upgrade::default()
    });
    world.send_bytes(client, request.as_bytes());
    let ping = deflated(br#"{"type":"ping","id":1}"#);
    world.send_bytes(client, &compressed(Opcode::Text, true, &ping));
    world.expect(client, "welcome");
    world.expect(client, "pong");
}

// ---- out

// covers A3-02
#[test]
fn a_room_message_is_compressed_once_for_everyone_who_can_read_it() {
    let mut world = World::alone(unlimited());
    let deflating: Vec<Peer> = (0..5).map(|_| world.connect_as(&offering(""))).collect();
    let others = world.connect_many(3);
    for &peer in deflating.iter().chain(&others) {
        world.join(peer, "tea");
    }
    world.forget();
    let before = world.stats();
    let say = room_message(&long(3_000));
    world.send(deflating[0], &say);
    for &peer in deflating[1..].iter().chain(&others) {
        assert_eq!(world.expect(peer, "room_message")["data"], say["data"]);
        world.expect_nothing(peer);
    }
    world.expect_nothing(deflating[0]);
    let after = world.stats();
    assert_eq!(after.compressed - before.compressed, 1);
    assert_eq!(after.deliveries - before.deliveries, 7);
    let from = after.compressed_from_bytes - before.compressed_from_bytes;
    let to = after.compressed_to_bytes - before.compressed_to_bytes;
    assert!(from > 3_000 && to < 200, "{from} to {to}");
    for &peer in &deflating[1..] {
        assert_eq!(compressed_to(&world, peer), 1);
    }
    for &peer in others.iter().chain(&deflating[..1]) {
        assert_eq!(compressed_to(&world, peer), 0);
    }
    // Whoever cannot read it compressed can say it.
    world.send(others[0], &say);
    assert_eq!(world.stats().compressed - after.compressed, 1);
    for &peer in &deflating {
        assert_eq!(world.expect(peer, "room_message")["data"], say["data"]);
    }
    // Nobody is left who could: it is not compressed in vain.
    let compressed = world.stats().compressed;
    for &peer in &deflating {
        world.close(peer);
    }
    world.send(others[0], &say);
    assert_eq!(world.stats().compressed, compressed);
}

#[test]
fn seven_windows_cost_three_compressions() {
    let mut world = World::alone(unlimited());
    let speaker = world.connect();
    world.join(speaker, "tea");
    let mut listeners = Vec::new();
    for bits in (9..=15).chain(9..=15) {
        let listener = world.connect_as(&offering(&format!("; server_max_window_bits={bits}")));
        world.join(listener, "tea");
        let answer = format!("; server_max_window_bits={bits}\r\n");
        assert!(response(&world, listener).contains(&answer), "{bits}");
        listeners.push(listener);
    }
    world.forget();
    let say = room_message(&long(50_000));
    let before = world.stats();
    world.send(speaker, &say);
    for &listener in &listeners {
        assert_eq!(world.expect(listener, "room_message")["data"], say["data"]);
        assert_eq!(compressed_to(&world, listener), 1);
    }
    let after = world.stats();
    assert_eq!(after.compressed - before.compressed, 3);
    assert_eq!(after.deliveries - before.deliveries, 14);
}

// covers A3-02
#[test]
fn what_is_short_or_long_or_would_not_shrink_goes_as_it_is() {
    let mut world = World::alone(echoes());
    let ada = echo(&mut world, "");
    let count = |stats: Stats| [stats.compressed, stats.incompressible];
    for (message, expected) in [
        (long(1_023).into_bytes(), [0, 0]),
        (long(1_024).into_bytes(), [1, 0]),
        (noise(1_024), [0, 1]),
        (noise(1_023), [0, 0]),
        (long(131_072).into_bytes(), [1, 0]),
        (noise(131_072), [0, 1]),
        (long(131_073).into_bytes(), [0, 0]),
        (noise(1_000_000), [0, 0]),
        (Vec::new(), [0, 0]),
    ] {
        let (before, compressed) = (count(world.stats()), compressed_to(&world, ada));
        world.send_frame(ada, Opcode::Binary, &message);
        let came = world.next_message(ada);
        assert!(
            came == Some(Message::Binary(message.clone())),
            "{} bytes",
            message.len()
        );
        let after = count(world.stats());
        assert_eq!([after[0] - before[0], after[1] - before[1]], expected);
        let came = compressed_to(&world, ada) - compressed;
        assert_eq!(came as u64, expected[0]);
    }
    let mut config = echoes();
    config.compression.threshold_bytes = 100;
    config.compression.max_bytes = 200;
    let mut world = World::alone(config);
    let ada = echo(&mut world, "");
    for (len, expected) in [(99, 0), (100, 1), (200, 2), (201, 2)] {
        world.send_frame(ada, Opcode::Text, long(len).as_bytes());
        assert_eq!(world.next_message(ada), Some(Message::Text(long(len))));
        assert_eq!(compressed_to(&world, ada), expected);
    }
}

#[test]
fn messages_for_one_are_compressed_too() {
    let mut world = World::alone(unlimited());
    let (ada, bob) = (world.connect_as(&offering("")), world.connect());
    let to = world.id(ada).to_owned();
    let say = json!({"type": "private_message", "to": to, "data": long(2_000)});
    world.send(bob, &say);
    assert_eq!(world.expect(ada, "private_message")["data"], say["data"]);
    assert_eq!(compressed_to(&world, ada), 1);
    // A reply, and the replies to a batch, in one.
    let metadata = json!({"type": "set_metadata", "metadata": {"about": long(2_000)}});
    world.send(ada, &metadata);
    world.expect(ada, "metadata_updated");
    assert_eq!(compressed_to(&world, ada), 2);
    world.request(ada, &json!({"type": "hello", "batch": true}));
    let pings: Vec<Value> = (0..50)
        .map(|id| json!({"type": "ping", "id": id}))
        .collect();
    world.send(ada, &json!({"type": "batch", "messages": pings}));
    let batch = world.expect(ada, "batch");
    assert_eq!(batch["messages"].as_array().map(Vec::len), Some(50));
    assert_eq!(compressed_to(&world, ada), 3);
}

#[test]
fn all_forms_can_be_compressed() {
    let mut config = unlimited();
    config.listeners = vec![
        ListenerConfig::default(),
        ListenerConfig {
            raw_payloads: true,
            ..ListenerConfig::default()
        },
    ];
    let mut world = World::alone(config);
    let json = world.connect_as(&offering(""));
    let raw = world.connect_as(&Upgrade {
        listener: ListenerId(1),
        ..offering("")
    });
    let binary = world.knock(&Upgrade {
        path: "/?dialect=binary",
        ..offering("")
    });
    world.advance_ms(1_000);
    for peer in [json, raw] {
        world.join(peer, "tea");
    }
    world.send(binary, &json!({"type": "join", "room": "tea"}));
    let speaker = world.connect();
    world.join(speaker, "tea");
    world.forget();
    let say = room_message(&long(2_000));
    let before = world.stats().compressed;
    world.send(speaker, &say);
    assert_eq!(world.stats().compressed - before, 3);
    assert_eq!(world.expect(json, "room_message")["data"], say["data"]);
    assert_eq!(world.next(raw), Some(say["data"].clone()));
    assert!(
        matches!(world.next_message(binary), Some(Message::Binary(frame)) if frame.len() > 2_000)
    );
    for peer in [json, raw, binary] {
        assert_eq!(compressed_to(&world, peer), 1);
    }
}

/// What the policy `latest` keeps is what the client would have got.
#[test]
fn the_last_message_of_a_room_is_kept_compressed() {
    let mut config = unlimited();
    config.rooms = vec![RoomRule {
        slow_reader: SlowReader::Latest,
        ..RoomRule::default()
    }];
    let mut world = World::alone(config);
    let (speaker, reader, other) = (
        world.connect(),
        world.connect_as(&offering("")),
        world.connect_as(&offering("; server_max_window_bits=9")),
    );
    for peer in [speaker, reader, other] {
        world.join(peer, "tea");
    }
    world.forget();
    world.dam(reader);
    world.send(speaker, &room_message("first"));
    for number in 0..5 {
        let say = room_message(&format!("{number} {}", long(2_000)));
        world.send(speaker, &say);
    }
    world.release(reader);
    let heard: Vec<Value> = world.all(reader);
    let last = heard.last().expect("the last one");
    assert_eq!(last["data"], format!("4 {}", long(2_000)));
    assert_eq!(compressed_to(&world, reader), 1);
    assert_eq!(world.all(other).len(), 6);
    for peer in [speaker, reader, other] {
        world.close(peer);
    }
    world.advance_ms(10_000);
    world.events();
    world.assert_empty();
}

// ---- in

#[test]
fn compressed_messages_are_heard_however_they_come() {
    let mut world = quiet_world();
    let (ada, bob) = (world.connect_as(&offering("")), world.connect());
    world.join(ada, "tea");
    world.join(bob, "tea");
    world.forget();
    let say = room_message(&long(5_000));
    let payload = deflated(say.to_string().as_bytes());
    let whole = compressed(Opcode::Text, true, &payload);
    // RSV1 is on the first frame alone; control frames come between, and are not compressed.
    let (first, rest) = payload.split_at(payload.len() / 3);
    let (second, third) = rest.split_at(rest.len() / 2);
    let parts = [
        compressed(Opcode::Text, false, first),
        masked(Opcode::Ping, true, b"between"),
        masked(Opcode::Continuation, false, second),
        masked(Opcode::Continuation, false, b""),
        masked(Opcode::Pong, true, b""),
        masked(Opcode::Continuation, true, third),
    ];
    // A final block and an empty one after it (RFC 7692 section 7.2.3.4), as some send it.
    let mut last = payload.clone();
    last.extend([0x00, 0x00, 0xFF, 0xFF, 0x03, 0x00, 0x00]);
    let last = compressed(Opcode::Text, true, &last);
    // The first frame may say nothing.
    let late = [
        compressed(Opcode::Text, false, b""),
        masked(Opcode::Continuation, true, &payload),
    ];
    let plain = masked(Opcode::Text, true, say.to_string().as_bytes());
    for (number, bytes) in [whole, parts.concat(), last, late.concat(), plain]
        .iter()
        .enumerate()
    {
        world.send_bytes(ada, bytes);
        assert_eq!(
            world.expect(bob, "room_message")["data"],
            say["data"],
            "{number}"
        );
        for byte in bytes {
            world.send_bytes(ada, &[*byte]);
        }
        assert_eq!(
            world.expect(bob, "room_message")["data"],
            say["data"],
            "{number}"
        );
    }
    assert_eq!(
        world.next_message(ada),
        Some(Message::Pong(b"between".to_vec()))
    );
    let stats = world.stats();
    assert_eq!(stats.inflated, 8);
    assert_eq!(stats.inflated_to_bytes, 8 * say.to_string().len() as u64);
    assert!(stats.inflated_from_bytes < stats.inflated_to_bytes / 10);
    assert_eq!(stats.inflate_refused, 0);
    assert_eq!(world.close_frame(ada), None);
}

#[test]
fn an_echo_inflates_and_compresses() {
    let mut world = World::new(echoes());
    let ada = echo(
        &mut world,
        "; client_max_window_bits=9; server_max_window_bits=9",
    );
    for message in [
        String::new(),
        "short".to_owned(),
        long(1_024),
        long(100_000),
    ] {
        let payload = deflated(message.as_bytes());
        world.send_bytes(ada, &compressed(Opcode::Text, true, &payload));
        assert_eq!(
            world.next_message(ada),
            Some(Message::Text(message.clone()))
        );
        world.send_bytes(ada, &compressed(Opcode::Binary, true, &payload));
        assert_eq!(
            world.next_message(ada),
            Some(Message::Binary(message.into_bytes()))
        );
    }
    assert_eq!(compressed_to(&world, ada), 4);
    assert_eq!(world.stats().inflated, 8);
}

#[test]
fn what_cannot_be_inflated_ends_the_connection() {
    let hello = deflated(b"Hello");
    let cases = [
        (
            compressed(Opcode::Text, true, b"\x06"),
            1007,
            "a compressed message that cannot be inflated",
        ),
        (
            compressed(Opcode::Binary, true, &hello[..3]),
            1007,
            "a compressed message that cannot be inflated",
        ),
        (
            compressed(Opcode::Text, true, &deflated(b"\xFF")),
            1007,
            "text that is not UTF-8",
        ),
        // A character that is not whole.
        (
            compressed(Opcode::Text, true, &deflated(b"\xC3")),
            1007,
            "text that is not UTF-8",
        ),
        // RSV1 belongs on the first frame of a message (section 6.1), and on no control frame.
        (
            [
                masked(Opcode::Text, false, b"Hello"),
                compressed(Opcode::Continuation, true, b""),
            ]
            .concat(),
            1002,
            "a reserved bit is set",
        ),
        (
            [
                compressed(Opcode::Text, false, &hello),
                compressed(Opcode::Continuation, true, b""),
            ]
            .concat(),
            1002,
            "a reserved bit is set",
        ),
        (
            compressed(Opcode::Ping, true, b""),
            1002,
            "a reserved bit is set",
        ),
        (
            compressed(Opcode::Close, true, b""),
            1002,
            "a reserved bit is set",
        ),
    ];
    for (bytes, code, reason) in cases {
        let mut world = quiet_world();
        let ada = world.connect_as(&offering(""));
        world.send_bytes(ada, &bytes);
        assert_eq!(
            world.close_frame(ada),
            Some((code, reason)),
            "{}",
            bytes.escape_ascii()
        );
        assert_eq!(world.stats().inflate_refused, u64::from(code == 1007));
        // Others are heard as before.
        let bob = world.connect_as(&offering(""));
        let ping = deflated(br#"{"type":"ping","id":1}"#);
        world.send_bytes(bob, &compressed(Opcode::Text, true, &ping));
        world.expect(bob, "pong");
    }
    let mut world = quiet_world();
    let ada = world.connect();
    world.send_bytes(ada, &compressed(Opcode::Text, true, &hello));
    assert_eq!(
        world.close_frame(ada),
        Some((1002, "a reserved bit is set"))
    );
}

// covers A3-02
#[test]
fn a_bomb_is_cut_at_the_size_of_a_message() {
    let mut config = echoes();
    config.limits.max_message_bytes = 100_000;
    let mut world = World::alone(config);
    let memory = |world: &mut World| world.driver().machine().memory().compression;
    for (len, fits) in [(100_000, true), (100_001, false), (50_000_000, false)] {
        let ada = echo(&mut world, "");
        let bomb = deflated(&vec![0; len]);
        assert!(bomb.len() * 500 < len, "{}", bomb.len());
        world.send_bytes(ada, &compressed(Opcode::Binary, true, &bomb));
        if fits {
            assert_eq!(world.next_message(ada), Some(Message::Binary(vec![0; len])));
        }
        let close = world.close_frame(ada);
        assert_eq!(
            close,
            (!fits).then_some((1009, "a message over the size limit"))
        );
        // What one message needed is not kept.
        let memory = memory(&mut world);
        assert!(memory < 400_000, "{memory}");
    }
    assert_eq!(world.stats().inflate_refused, 2);
}

/// What was agreed on is a byte of the session, and everything else belongs to the shard.
#[test]
fn an_idle_connection_keeps_nothing_for_compression() {
    let memory = |upgrade: &Upgrade| {
        let mut world = World::alone(unlimited());
        let peers: Vec<Peer> = (0..100).map(|_| world.connect_as(upgrade)).collect();
        for &peer in &peers {
            world.join(peer, "tea");
        }
        let say = room_message(&long(10_000));
        for &peer in &peers {
            let bytes = match upgrade.headers.is_empty() {
                true => masked(Opcode::Text, true, say.to_string().as_bytes()),
                false => compressed(Opcode::Text, true, &deflated(say.to_string().as_bytes())),
            };
            world.send_bytes(peer, &bytes);
        }
        world.driver().machine().memory()
    };
    let (plain, deflating) = (memory(&Upgrade::default()), memory(&offering("")));
    assert_eq!(plain.compression, 0);
    assert!(
        (300_000..500_000).contains(&deflating.compression),
        "{deflating:?}"
    );
    assert_eq!(plain.slots, deflating.slots);
    assert_eq!(plain.sessions, deflating.sessions);
    assert_eq!(plain.input, deflating.input);
    assert_eq!(plain.members, deflating.members);
}
