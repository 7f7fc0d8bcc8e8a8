//! Control frames come between the fragments of a message, and are answered before it is whole.
//!
//! Elsewhere a ping between fragments broke the message, or waited for its end.

use roomwire_tests::{Message, Opcode, Peer, World, masked};
use serde_json::json;

use crate::unlimited;

/// Two clients in a room; nothing is left to hear.
fn pair() -> (World, Peer, Peer) {
    let mut world = World::new(unlimited());
    let (speaker, listener) = (world.connect(), world.connect());
    world.join(speaker, "tea");
    world.join(listener, "tea");
    world.forget();
    (world, speaker, listener)
}

// RFC 6455, section 5.4
#[test]
fn a_ping_between_fragments_is_answered_at_once() {
    let message =
        json!({"type": "room_message", "room": "tea", "data": "in parts", "id": 1}).to_string();
    let (mut world, speaker, listener) = pair();
    let parts: Vec<&[u8]> = message.as_bytes().chunks(7).collect();
    for (number, part) in parts.iter().enumerate() {
        let opcode = if number == 0 {
            Opcode::Text
        } else {
            Opcode::Continuation
        };
        let last = number + 1 == parts.len();
        if number > 0 {
            world.send_frame(speaker, Opcode::Ping, &[number as u8]);
            let pong = Message::Pong(vec![number as u8]);
            assert_eq!(world.next_message(speaker), Some(pong));
            world.send_frame(speaker, Opcode::Pong, b"unasked");
            assert_eq!(world.next_message(speaker), None, "a pong asks for nothing");
        }
        assert_eq!(world.next_message(listener), None, "not before it is whole");
        world.send_bytes(speaker, &masked(opcode, last, part));
    }
    assert_eq!(world.expect(speaker, "ack")["id"], 1);
    assert_eq!(world.expect(listener, "room_message")["data"], "in parts");
}

#[test]
fn a_close_between_fragments_ends_the_message() {
    let (mut world, speaker, listener) = pair();
    world.send_bytes(speaker, &masked(Opcode::Text, false, br#"{"type":"#));
    world.close(speaker);
    assert_eq!(world.close_frame(speaker), Some((1000, "")));
    assert_eq!(
        world.expect(listener, "member_left")["reason"],
        "disconnected"
    );
    world.expect_nothing(listener);
    assert_eq!(world.stats().buffered_bytes, 0);
}

#[test]
fn another_message_between_fragments_is_an_error() {
    for opcode in [Opcode::Text, Opcode::Binary] {
        let (mut world, speaker, listener) = pair();
        world.send_bytes(speaker, &masked(Opcode::Text, false, br#"{"type":"#));
        world.send_frame(speaker, opcode, b"{}");
        let code = world.close_frame(speaker).map(|(code, _)| code);
        assert_eq!(code, Some(1002));
        world.expect(listener, "member_left");
        world.expect_nothing(listener);
    }
}
