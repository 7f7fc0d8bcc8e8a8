//! Frames that break RFC 6455, and frames that only look as if they did.

use roomwire_tests::{Message, Opcode, Peer, Rng, World, masked, with_key};
use serde_json::json;

use crate::{close_code, unlimited};

fn connected() -> (World, Peer) {
    let mut world = World::new(unlimited());
    let client = world.connect();
    (world, client)
}

/// The close code that these bytes bring about; nobody else is harmed.
fn outcome(bytes: &[u8]) -> Option<u16> {
    let mut codes = Vec::new();
    for chunk in [1, 3, usize::MAX] {
        let (mut world, client) = connected();
        let witness = world.connect();
        world.join(client, "tea");
        world.join(witness, "tea");
        world.driver().set_chunk(chunk);
        world.send_bytes(client, bytes);
        codes.push(close_code(&world, client));
        assert!(world.stats().buffered_bytes < 4 * 1024);
        if close_code(&world, client).is_some() {
            assert_eq!(world.stats().clients, 1);
            world.expect(witness, "member_left");
        }
        world.reset(witness);
        world.advance_ms(70_000);
    }
    assert!(codes.windows(2).all(|pair| pair[0] == pair[1]), "{codes:?}");
    codes[0]
}

fn header(bytes: &[u8], length: u64) -> Vec<u8> {
    let mut frame = bytes.to_vec();
    frame.extend(length.to_be_bytes());
    frame.extend([1, 2, 3, 4]);
    frame
}

// covers A3-19, A0-14
#[test]
fn broken_frames_are_protocol_errors() {
    let broken: [(&str, Vec<u8>); 15] = [
        ("not masked", vec![0x81, 0x02, b'h', b'i']),
        ("rsv1", vec![0xC1, 0x80, 0, 0, 0, 0]),
        ("rsv2", vec![0xA1, 0x80, 0, 0, 0, 0]),
        ("rsv3", vec![0x91, 0x80, 0, 0, 0, 0]),
        ("opcode 3", vec![0x83, 0x80, 0, 0, 0, 0]),
        ("opcode 7", vec![0x87, 0x80, 0, 0, 0, 0]),
        ("opcode 11", vec![0x8B, 0x80, 0, 0, 0, 0]),
        ("a ping in parts", masked(Opcode::Ping, false, b"x")),
        ("a long ping", masked(Opcode::Ping, true, &[0; 126])),
        ("no beginning", masked(Opcode::Continuation, true, b"x")),
        ("half a close code", masked(Opcode::Close, true, &[3])),
        ("code 1005", masked(Opcode::Close, true, &[0x03, 0xED])),
        ("code 0", masked(Opcode::Close, true, &[0, 0])),
        ("length 2^63", header(&[0x82, 0xFF], 1 << 63)),
        ("length 2^64-1", header(&[0x82, 0xFF], u64::MAX)),
    ];
    for (name, bytes) in broken {
        assert_eq!(outcome(&bytes), Some(1002), "{name}");
    }
    let mut two = masked(Opcode::Text, false, b"x");
    two.extend(masked(Opcode::Text, true, b"x"));
    assert_eq!(outcome(&two), Some(1002), "a message in a message");
}

// covers A3-16
#[test]
fn a_length_is_refused_before_anything_is_kept() {
    for length in [1_048_577, 1 << 31, 1 << 32, 1 << 40, (1 << 63) - 1] {
        assert_eq!(outcome(&header(&[0x82, 0xFF], length)), Some(1009));
    }
    // A length that is allowed is not paid for in advance either.
    let (mut world, client) = connected();
    world.send_bytes(client, &header(&[0x82, 0xFF], 1_048_576));
    assert!(world.stats().buffered_bytes < 64 * 1024);
    assert_eq!(close_code(&world, client), None);
}

// covers A0-14
#[test]
fn text_that_is_not_utf8_is_told_at_the_first_bad_byte() {
    for bad in [
        &[0xFF][..],
        b"ok \xC0\xAF",
        b"\xED\xA0\x80",
        b"\xF4\x90\x80\x80",
    ] {
        assert_eq!(outcome(&masked(Opcode::Text, true, bad)), Some(1007));
        // The message need not end first.
        assert_eq!(outcome(&masked(Opcode::Text, false, bad)), Some(1007));
    }
    let mut cut = masked(Opcode::Text, false, b"\xE2\x82");
    cut.extend(masked(Opcode::Continuation, true, b"x"));
    assert_eq!(outcome(&cut), Some(1007));
    assert_eq!(
        outcome(&masked(Opcode::Text, true, b"\xE2\x82")),
        Some(1007)
    );
    let mut reason = vec![0x03, 0xE8];
    reason.extend(b"\xFF");
    assert_eq!(outcome(&masked(Opcode::Close, true, &reason)), Some(1007));
}

// covers A1-15: a message may come in as many parts as it likes, within its price
#[test]
fn sixty_five_thousand_fragments_are_one_message() {
    let (mut world, client) = connected();
    let text = format!(r#"{{"type":"ping","pad":"{}"}}"#, "x".repeat(65_512));
    assert_eq!(text.len(), 65_536);
    let parts = text.as_bytes();
    let mut bytes = masked(Opcode::Text, false, &parts[..1]);
    for (index, byte) in parts.iter().enumerate().skip(1) {
        let fin = index + 1 == parts.len();
        bytes.extend(masked(Opcode::Continuation, fin, &[*byte]));
        if index % 10_000 == 0 {
            bytes.extend(masked(Opcode::Ping, true, b"between"));
        }
    }
    world.send_bytes(client, &bytes);
    for _ in 0..6 {
        let pong = Message::Pong(b"between".to_vec());
        assert_eq!(world.next_message(client), Some(pong));
    }
    world.expect(client, "pong");
    assert_eq!(world.stats().buffered_bytes, 0);
}

// covers A3-16: empty fragments are not free
#[test]
fn fragments_without_end_are_refused() {
    let (mut world, client) = connected();
    world.send_bytes(client, &masked(Opcode::Text, false, b""));
    let many = masked(Opcode::Continuation, false, b"").repeat(10_000);
    for _ in 0..30 {
        world.send_bytes(client, &many);
        assert!(world.stats().buffered_bytes < 64 * 1024);
    }
    assert_eq!(close_code(&world, client), Some(1009));
}

// covers A3-19
#[test]
fn a_frame_may_break_off_at_any_byte() {
    let mut bytes = masked(Opcode::Text, false, br#"{"type":"join","#);
    bytes.extend(masked(Opcode::Ping, true, b"ping"));
    bytes.extend(masked(Opcode::Continuation, true, br#""room":"tea"}"#));
    bytes.extend(masked(Opcode::Binary, true, &[0; 300]));
    for end in 0..=bytes.len() {
        let (mut world, client) = connected();
        world.send_bytes(client, &bytes[..end]);
        world.reset(client);
        world.assert_empty();
    }
}

// covers A3-19: what follows a close frame is nothing
#[test]
fn nothing_follows_a_close_frame() {
    let (mut world, client) = connected();
    let witness = world.connect();
    let mut bytes = masked(Opcode::Close, true, &1000_u16.to_be_bytes());
    bytes.extend(masked(
        Opcode::Text,
        true,
        br#"{"type":"broadcast","data":1}"#,
    ));
    bytes.extend([0xFF; 100]);
    world.send_bytes(client, &bytes);
    assert_eq!(
        world.next_message(client),
        Some(Message::Close(1000, String::new()))
    );
    world.expect_nothing(witness);
    assert_eq!(world.ending(client), None, "the client closes too");
    world.finish(client);
    assert!(world.ending(client).is_some());
}

// covers A3-16: a peer that talks on while it is being closed is cut off
#[test]
fn a_closing_peer_cannot_talk_for_ever() {
    let (mut world, client) = connected();
    world.send_bytes(client, &[0xFF; 2]);
    assert_eq!(close_code(&world, client), Some(1002));
    for _ in 0..17 * 32 {
        world.send_bytes(client, &[0; 32 * 1024]);
        assert!(world.stats().buffered_bytes < 64 * 1024);
    }
    assert!(world.ending(client).is_some());
    world.assert_empty();
}

// covers A3-19: every masking key, zero too
#[test]
fn any_key_will_do() {
    let (mut world, client) = connected();
    let mut rng = Rng::new(1);
    for _ in 0..200 {
        let key = (rng.next() as u32 * u32::from(!rng.one_in(10))).to_be_bytes();
        let text = json!({"type": "ping", "timestamp": rng.next()}).to_string();
        world.driver().set_chunk(1 + rng.below(50));
        world.send_bytes(client, &with_key(Opcode::Text, true, text.as_bytes(), key));
        world.expect(client, "pong");
    }
}

// covers A1-13, A3-19
#[test]
fn noise_in_place_of_frames_never_stays() {
    for seed in 0..400 {
        let mut rng = Rng::new(seed);
        let (mut world, client) = connected();
        let witness = world.connect();
        world.join(client, "tea");
        world.join(witness, "tea");
        let mut bytes = Vec::new();
        for _ in 0..20 {
            let text = [
                r#"{"type":"room_message","room":"tea","data":[1,2]}"#,
                r#"{"type":"typing_start","room":"tea"}"#,
                r#"{"type":"leave","room":"tea"}"#,
                r#"{"type":"set_metadata","metadata":{"a":null}}"#,
            ][rng.below(4)];
            let opcode = [Opcode::Text, Opcode::Ping, Opcode::Pong, Opcode::Text][rng.below(4)];
            bytes.extend(masked(opcode, !rng.one_in(8), text.as_bytes()));
        }
        for _ in 0..rng.below(6) {
            let at = rng.below(bytes.len());
            bytes[at] = rng.next() as u8;
        }
        world.driver().set_chunk(1 + rng.below(300));
        world.send_bytes(client, &bytes);
        world.close(client);
        world.advance_ms(10_000);
        assert!(world.ending(client).is_some(), "seed {seed}");
        world.close(witness);
        world.assert_empty();
    }
}
