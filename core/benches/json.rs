//! What the JSON dialect costs per message: `cargo bench -p roomwire-core --bench json`.
//!
//! Prints the best of many short rounds, which is the figure that other load on the machine disturbs least.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark needs a clock and says what it found"
)]

use std::hint::black_box;
use std::time::Instant;

use roomwire_core::dialect::json::{JsonLimits, Metadata, MetadataLimits};
use roomwire_core::dialect::json::{decode, encode, is_server_type};
use roomwire_core::{ClientId, ClientMessage, Data, ServerMessage};

const TEXT: &str = r#"{"type":"room_message","room":"lobby","data":{"text":"Hello, world! This is 94 bytes long!."}}"#;
const BATCH: u32 = 2_000;
const ROUNDS: u32 = 300;

fn main() {
    assert_eq!(TEXT.len(), 94);
    let limits = JsonLimits {
        max_depth: 64,
        max_fields: 64,
        max_id_bytes: 128,
        max_batch_messages: 100,
    };
    let none = |_: &str| false;
    let decoded = decode(TEXT, &limits, &none)
        .expect("a valid message")
        .message;
    let ClientMessage::RoomMessage { room, data, .. } = decoded else {
        panic!("a room message");
    };
    let from = ClientId::parse("client_AAAAAAAAAAAAAAAAAAAAAAAA").expect("a valid id");
    let reply = ServerMessage::RoomMessage {
        room: &room,
        from,
        data: data.payload(),
        timestamp: 1_760_000_000_000,
        offset: None,
    };
    let mut out = Vec::with_capacity(4096);

    measure("decode room_message, 94 bytes", || {
        black_box(decode(black_box(TEXT), &limits, &none)).is_ok()
    });
    measure("encode its envelope", || {
        out.clear();
        encode(black_box(&reply), None, &mut out);
        black_box(&out).len() > TEXT.len()
    });
    measure("both", || {
        out.clear();
        let request = decode(black_box(TEXT), &limits, &none);
        if let Ok(ClientMessage::RoomMessage { room, data, .. }) = request.map(|it| it.message) {
            let reply = ServerMessage::RoomMessage {
                room: &room,
                from,
                data: data.payload(),
                timestamp: 1_760_000_000_000,
                offset: None,
            };
            encode(&reply, None, &mut out);
        }
        black_box(&out).len() > TEXT.len()
    });
    let Data::Json(json) = data else {
        panic!("JSON");
    };
    measure("is_server_type, ordinary data", || {
        !is_server_type(black_box(json))
    });
    let limits = MetadataLimits {
        max_bytes: 4096,
        max_keys: 32,
    };
    let mut metadata = Metadata::default();
    measure("merge one key of metadata", || {
        metadata
            .merge(black_box(r#"{"status":"away"}"#), &limits)
            .is_ok()
    });
}

fn measure(name: &str, mut run: impl FnMut() -> bool) {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..BATCH {
            assert!(run());
        }
        best = best.min(start.elapsed().as_nanos() as f64 / f64::from(BATCH));
    }
    println!("{best:8.1} ns  {name}");
}
