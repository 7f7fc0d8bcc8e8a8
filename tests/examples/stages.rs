//! The first and last stages of the core, to count instructions of: `stages <name>`; without a name it lists them.
//! Run by `tests/tools/instructions`.
//!
//! What is counted is the body of [`measured`], which does the stage's work a hundred times.
#![allow(
    clippy::disallowed_macros,
    clippy::print_stdout,
    reason = "it lists what can be measured"
)]

use std::hint::black_box;
use std::io;

use roomwire_core::dialect::json::{JsonLimits, decode, encode};
use roomwire_core::http::{HeadLimits, Parsed, RequestHead};
use roomwire_core::websocket::deflate::{Compressors, Effort, Inflater, Window};
use roomwire_core::websocket::{
    Data, Decoder, MessageLimits, OpCode, Role, Step, apply_mask, handshake, put_masked_frame,
};
use roomwire_core::{ClientId, ClientMessage, ServerMessage};

const TIMES: usize = 100;
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const LARGE_BYTES: usize = 64 * 1024;
const PIECE_BYTES: usize = 16 * 1024;

const REQUEST: &[u8] = b"GET /ws HTTP/1.1\r\n\
    Host: chat.example.com\r\n\
    Connection: Upgrade\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
    Upgrade: websocket\r\n\
    Origin: https://chat.example.com\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
const MESSAGE: &str = r#"{"type":"room_message","room":"lobby","data":{"text":"Hello, world! This is 94 bytes long!."}}"#;

/// A stage's name, and what makes its work; once made it needs nothing but to be called.
type Stage = (&'static str, fn() -> Box<dyn FnMut() -> bool>);

const STAGES: [Stage; 8] = [
    ("header", || Box::new(decoding(Data::Binary, &[]))),
    ("unmask", unmask),
    ("decode", || Box::new(decoding(Data::Text, &[b'a'; 16]))),
    ("utf8", || {
        Box::new(decoding(
            Data::Text,
            "aä€𝄞".repeat(LARGE_BYTES / 10).as_bytes(),
        ))
    }),
    ("upgrade", upgrade),
    ("deflate", deflate),
    ("inflate", inflate),
    ("json", json),
];

fn main() -> io::Result<()> {
    let Some(name) = std::env::args().nth(1) else {
        for (name, _) in STAGES {
            println!("{name}");
        }
        return Ok(());
    };
    let stage = STAGES.iter().find(|(known, _)| *known == name);
    let (_, make) = stage.ok_or_else(|| io::Error::other(format!("no such stage: {name}")))?;
    let mut work = make();
    // Buffers come into being.
    assert!(work());
    assert!(measured(&mut *work));
    Ok(())
}

/// Counting is on while this runs.
#[inline(never)]
fn measured(work: &mut dyn FnMut() -> bool) -> bool {
    black_box((0..TIMES).all(|_| work()))
}

/// One frame is read as a server reads it, in the pieces that fit into a buffer.
fn decoding(data: Data, payload: &[u8]) -> impl FnMut() -> bool + use<> {
    let mut frame = Vec::new();
    put_masked_frame(&mut frame, OpCode::Data(data), true, false, payload, KEY);
    let mut buffer = Vec::with_capacity(frame.len());
    let limits = MessageLimits::default();
    let mut decoder = Decoder::new(Role::Server);
    let bytes = payload.len();
    move || {
        let mut seen = None;
        for piece in frame.chunks(PIECE_BYTES) {
            buffer.clear();
            buffer.extend_from_slice(piece);
            match decoder.decode(black_box(&mut buffer), &limits) {
                Ok((Step::Text(text), _)) => seen = Some(text.len()),
                Ok((Step::Binary(bytes), _)) => seen = Some(bytes.len()),
                _ => {}
            }
        }
        seen == Some(bytes)
    }
}

fn unmask() -> Box<dyn FnMut() -> bool> {
    let mut bytes = vec![0x61; LARGE_BYTES];
    Box::new(move || {
        apply_mask(black_box(&mut bytes), KEY);
        true
    })
}

/// A browser's request to the bytes of the answer, which agrees on compression.
fn upgrade() -> Box<dyn FnMut() -> bool> {
    let limits = HeadLimits {
        max_bytes: 16 * 1024,
        max_headers: 64,
    };
    let mut out = Vec::new();
    Box::new(move || {
        out.clear();
        let parsed = RequestHead::parse(black_box(REQUEST), &limits, &mut 0);
        if let Ok(Parsed::Complete { head, .. }) = parsed
            && let Ok(upgrade) = handshake::check(&head, &["roomwire"], true)
        {
            upgrade.write(&mut out);
        }
        out.ends_with(b"\r\n\r\n")
    })
}

/// 2 KiB of JSON: numbers that change, names that do not.
fn positions() -> Vec<u8> {
    let numbers = (0_u32..).map(|n| n.wrapping_mul(2_654_435_761));
    let entries = numbers.map(|n| {
        format!(
            r#"{{"id":{},"x":{},"y":{}}},"#,
            n % 97,
            n >> 20,
            n >> 9 & 0xfff
        )
    });
    let mut text: Vec<u8> = entries.take(100).collect::<String>().into_bytes();
    text.truncate(2_048);
    text
}

fn deflate() -> Box<dyn FnMut() -> bool> {
    let message = positions();
    let mut compressors = Compressors::new(Effort::DEFAULT);
    Box::new(move || {
        let payload = compressors.compress(Window::MAX, black_box(&message));
        payload.is_some_and(|payload| payload.len() < message.len() / 2)
    })
}

fn inflate() -> Box<dyn FnMut() -> bool> {
    let message = positions();
    let mut compressors = Compressors::new(Effort::DEFAULT);
    let payload = compressors
        .compress(Window::MAX, &message)
        .map(<[u8]>::to_vec);
    let payload = payload.unwrap_or_default();
    let mut inflater = Inflater::new();
    Box::new(move || {
        let inflated = inflater.inflate(black_box(&payload), LARGE_BYTES);
        inflated.is_ok_and(|inflated| inflated == message)
    })
}

/// A message to a room to the envelope that its members get.
fn json() -> Box<dyn FnMut() -> bool> {
    let limits = JsonLimits {
        max_depth: 64,
        max_fields: 64,
        max_id_bytes: 128,
        max_batch_messages: 100,
    };
    let from = ClientId::parse("client_AAAAAAAAAAAAAAAAAAAAAAAA");
    let mut out = Vec::new();
    Box::new(move || {
        out.clear();
        let decoded = decode(black_box(MESSAGE), &limits, &|_| false).map(|it| it.message);
        if let (Ok(ClientMessage::RoomMessage { room, data, .. }), Some(from)) = (decoded, from) {
            let reply = ServerMessage::RoomMessage {
                room: &room,
                from,
                data: data.payload(),
                timestamp: 1_760_000_000_000,
                offset: None,
            };
            encode(&reply, None, &mut out);
        }
        out.len() > MESSAGE.len()
    })
}
