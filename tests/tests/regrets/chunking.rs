//! How a stream is cut into reads is nobody's business: the same messages, the same events, linear work.
//!
//! Elsewhere a head that came in pieces was searched from its start with every piece. What the frame decoder
//! and the head parser move and search is counted in their own tests.

use roomwire_core::server::Event;
use roomwire_tests::{Message, Opcode, Rng, Upgrade, World, masked};
use serde_json::json;

use crate::unlimited;

/// How a stream is cut.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Whole,
    Bytes,
    Random(u64),
}

/// Everything that two clients send, in the order in which it is sent: who, and bytes.
fn streams() -> Vec<(usize, Vec<u8>)> {
    let text = |json: serde_json::Value| masked(Opcode::Text, true, json.to_string().as_bytes());
    let mut said = Vec::new();
    for client in 0..2 {
        said.push((client, Upgrade::default().request()));
        said.push((
            client,
            text(json!({"type": "join", "room": "tea", "id": 1})),
        ));
    }
    for number in 0..20 {
        let client = number % 2;
        let pad = "é".repeat(number * 13);
        let json =
            json!({"type": "room_message", "room": "tea", "data": pad, "id": number}).to_string();
        let (begin, end) = json.as_bytes().split_at(json.len() / 2);
        // In two frames, with a ping between them.
        let mut bytes = masked(Opcode::Text, false, begin);
        bytes.extend(masked(Opcode::Ping, true, b"between"));
        bytes.extend(masked(Opcode::Continuation, true, end));
        said.push((client, bytes));
    }
    said.push((0, text(json!({"type": "nonsense", "id": 99}))));
    said.push((0, masked(Opcode::Close, true, &1000_u16.to_be_bytes())));
    said
}

fn run(cut: Cut) -> (Vec<Vec<Message>>, Vec<Event>) {
    let mut world = World::new(unlimited());
    let clients = [(); 2].map(|()| world.accept(&Upgrade::default()));
    let mut events = Vec::new();
    for (number, (client, bytes)) in streams().into_iter().enumerate() {
        let mut rng = match cut {
            Cut::Random(seed) => Rng::new(seed * 1_000 + number as u64),
            _ => Rng::new(0),
        };
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let length = match cut {
                Cut::Whole => rest.len(),
                Cut::Bytes => 1,
                Cut::Random(_) => 1 + rng.below(rest.len()),
            };
            let (piece, left) = rest.split_at(length);
            world.send_bytes(clients[client], piece);
            rest = left;
        }
        events.extend(world.events());
    }
    // Who has said goodbye ends its connection, too.
    world.finish(clients[0]);
    events.extend(world.events());
    let heard = clients.map(|client| core::iter::from_fn(|| world.next_message(client)).collect());
    (heard.into(), events)
}

// covers A13-07: whole, byte by byte, at random
#[test]
fn cuts_change_no_message_and_no_event() {
    let (heard, events) = run(Cut::Whole);
    assert!(heard[0].len() > 30 && heard[1].len() > 30, "{heard:?}");
    assert_eq!(events.len(), 3, "two came, one left: {events:?}");
    for cut in (0..40).map(Cut::Random).chain([Cut::Bytes]) {
        let (other_heard, other_events) = run(cut);
        assert_eq!(other_events, events, "{cut:?}");
        assert_eq!(other_heard, heard, "{cut:?}");
    }
}

/// Byte by byte, twice the stream is twice the steps: nothing is gone through again.
#[cfg(feature = "count-steps")]
#[test]
fn work_is_linear_in_what_arrives() {
    let steps = |pad: usize| {
        let mut world = World::new(unlimited());
        let (client, other) = (world.connect(), world.connect());
        world.join(client, "tea");
        world.join(other, "tea");
        world.forget();
        world.driver().set_chunk(1);
        let before = world.driver().machine().steps();
        let data = "x".repeat(pad);
        world.send(
            client,
            &json!({"type": "room_message", "room": "tea", "data": data}),
        );
        world.expect(other, "room_message");
        world.driver().machine().steps() - before
    };
    let (once, twice) = (steps(20_000), steps(40_000));
    assert!(twice * 10 < once * 21, "{once} and {twice} steps");
}
