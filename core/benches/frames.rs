//! How fast frames are read: `cargo bench -p roomwire-core --bench frames`.
//!
//! Prints the best of several rounds, which is what the code costs when nothing else runs.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a measurement reads the clock and prints; the library does neither"
)]

use std::hint::black_box;
use std::time::Instant;

use roomwire_core::websocket::{
    Data, Decoder, MessageLimits, OpCode, Role, Step, apply_mask, put_header, put_masked_frame,
};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const ROUNDS: u32 = 30;
/// What one round handles, so that reading the clock does not show.
const SMALL_FRAMES: usize = 1_000;
const LARGE_BYTES: usize = 64 * 1024;
const PIECE_BYTES: usize = 16 * 1024;

fn main() {
    for (name, data) in [("binary", Data::Binary), ("text", Data::Text)] {
        let frame = masked(data, 16);
        let small = best_ns(
            |bytes| decode_all(bytes, bytes.len()),
            &frame.repeat(SMALL_FRAMES),
        );
        println!(
            "decode 16 B {name:<6} {:7.2} ns/frame",
            small / SMALL_FRAMES as f64
        );
        let large = masked(data, LARGE_BYTES);
        let whole = best_ns(|bytes| decode_all(bytes, bytes.len()), &large);
        println!(
            "decode 64 KiB {name:<6} whole {:7.2} GB/s",
            LARGE_BYTES as f64 / whole
        );
        let pieces = best_ns(|bytes| decode_all(bytes, PIECE_BYTES), &large);
        println!(
            "decode 64 KiB {name:<6} in 16 KiB pieces {:7.2} GB/s",
            LARGE_BYTES as f64 / pieces
        );
    }
    let plain = vec![0x61; LARGE_BYTES];
    let unmask = best_ns(|bytes| apply_mask(bytes, KEY), &plain);
    println!("unmask 64 KiB {:7.2} GB/s", LARGE_BYTES as f64 / unmask);
    let mut out = Vec::with_capacity(16 * SMALL_FRAMES);
    let header = best_ns(
        |_| {
            out.clear();
            for payload_bytes in 0..SMALL_FRAMES as u64 {
                put_header(
                    &mut out,
                    OpCode::Data(Data::Text),
                    true,
                    false,
                    black_box(payload_bytes),
                );
            }
        },
        &[],
    );
    println!("put_header {:7.2} ns", header / SMALL_FRAMES as f64);
}

fn masked(data: Data, payload_bytes: usize) -> Vec<u8> {
    let mut out = Vec::new();
    put_masked_frame(
        &mut out,
        OpCode::Data(data),
        true,
        false,
        &vec![0x61; payload_bytes],
        KEY,
    );
    out
}

/// Reads `bytes` as a server does, `piece_bytes` at a time.
fn decode_all(bytes: &mut [u8], piece_bytes: usize) {
    let limits = MessageLimits::default();
    let mut decoder = Decoder::new(Role::Server);
    for piece in bytes.chunks_mut(piece_bytes) {
        let mut at = 0;
        while let Some(rest) = piece.get_mut(at..) {
            match decoder.decode(rest, &limits) {
                Ok((Step::Text(text), consumed)) => {
                    black_box(text.as_bytes());
                    at += consumed;
                }
                Ok((Step::Binary(bytes), consumed)) => {
                    black_box(&bytes[..]);
                    at += consumed;
                }
                _ => break,
            }
        }
    }
}

/// The fastest round over a fresh copy of `input`, in nanoseconds; copying is not counted.
fn best_ns(mut work: impl FnMut(&mut [u8]), input: &[u8]) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS * 10 {
        let mut copy = input.to_vec();
        let started = Instant::now();
        work(black_box(&mut copy));
        best = best.min(started.elapsed().as_nanos() as f64);
    }
    best
}
