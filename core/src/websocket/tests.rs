//! What the tests share: owned steps, reading a stream cut anywhere, building frames.

use super::*;

mod checks;
mod differential;
mod parts;
mod pieces;
mod properties;
mod vectors;

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CONTINUATION: u8 = 0x0;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;
const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;

/// What reading a whole stream came to.
#[derive(Clone, Debug, PartialEq)]
struct Reading {
    steps: Vec<Step<'static>>,
    error: Option<DecodeError>,
    /// Heap held at the end.
    buffered_bytes: usize,
}

fn limits(max_bytes: usize) -> MessageLimits {
    MessageLimits {
        max_frame_bytes: max_bytes,
        max_message_bytes: max_bytes,
    }
}

fn owned(step: Step<'_>) -> Step<'static> {
    match step {
        Step::Binary(bytes) => Step::Binary(bytes.into_owned().into()),
        Step::Close(frame) => Step::Close(frame.map(|frame| CloseFrame {
            code: frame.code,
            reason: frame.reason.into_owned().into(),
        })),
        Step::Compressed { kind, payload } => Step::Compressed {
            kind,
            payload: payload.into_owned().into(),
        },
        Step::NeedMore => Step::NeedMore,
        Step::Ping(bytes) => Step::Ping(bytes.into_owned().into()),
        Step::Pong(bytes) => Step::Pong(bytes.into_owned().into()),
        Step::Text(text) => Step::Text(text.into_owned().into()),
    }
}

/// Reads `stream`, handed in as pieces that end at `cuts`.
fn read_cut(
    mut decoder: Decoder,
    stream: &[u8],
    cuts: impl IntoIterator<Item = usize>,
    limits: &MessageLimits,
) -> Reading {
    let mut reading = Reading {
        steps: Vec::new(),
        error: None,
        buffered_bytes: 0,
    };
    let mut stream = stream.to_vec();
    let mut start = 0;
    for end in cuts.into_iter().chain([stream.len()]) {
        let mut piece = &mut stream[start..end];
        start = end;
        loop {
            match decoder.decode(piece, limits) {
                Ok((Step::NeedMore, consumed)) => {
                    assert_eq!(consumed, piece.len(), "all is taken");
                    break;
                }
                Ok((step, consumed)) => {
                    reading.steps.push(owned(step));
                    piece = &mut piece[consumed..];
                }
                Err(error) => {
                    assert_eq!(decoder.decode(&mut [], limits), Err(error), "errors last");
                    reading.error = Some(error);
                    reading.buffered_bytes = decoder.buffered_bytes();
                    return reading;
                }
            }
        }
    }
    reading.buffered_bytes = decoder.buffered_bytes();
    reading
}

fn server() -> Decoder {
    Decoder::new(Role::Server)
}

/// Reads `stream` whole, and again byte by byte, which must come to the same.
fn read(stream: &[u8], limits: &MessageLimits) -> Reading {
    read_with(server, stream, limits)
}

fn read_with(decoder: fn() -> Decoder, stream: &[u8], limits: &MessageLimits) -> Reading {
    let whole = read_cut(decoder(), stream, [], limits);
    let dripped = read_cut(decoder(), stream, 1..stream.len(), limits);
    assert_eq!(whole.steps, dripped.steps);
    assert_eq!(whole.error, dripped.error);
    whole
}

/// The error that reading `stream` ends in.
fn error(stream: &[u8], limits: &MessageLimits) -> DecodeError {
    read(stream, limits).error.expect("an error")
}

/// A masked frame with `first` as its first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    header::put(&mut out, first, payload.len() as u64, Some(KEY));
    let start = out.len();
    out.extend_from_slice(payload);
    apply_mask(&mut out[start..], KEY);
    out
}

/// A masked frame's header alone.
fn head(first: u8, payload_bytes: u64) -> Vec<u8> {
    let mut out = Vec::new();
    header::put(&mut out, first, payload_bytes, Some(KEY));
    out
}

fn text(text: &str) -> Step<'static> {
    Step::Text(text.to_owned().into())
}

fn binary(bytes: &[u8]) -> Step<'static> {
    Step::Binary(bytes.to_owned().into())
}

fn ping(bytes: &[u8]) -> Step<'static> {
    Step::Ping(bytes.to_owned().into())
}

fn pong(bytes: &[u8]) -> Step<'static> {
    Step::Pong(bytes.to_owned().into())
}
