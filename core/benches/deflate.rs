//! How fast messages are compressed and inflated: `cargo bench -p roomwire-core --bench deflate`.
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

use roomwire_core::websocket::deflate::{Compressors, Effort, Inflater, Window};

const ROUNDS: u32 = 30;
const CAP_BYTES: usize = 1 << 20;

fn main() {
    for bytes in [1_024, 2_048, 16 * 1_024, 64 * 1_024, CAP_BYTES] {
        let message = positions(bytes);
        for window in [Window::Bits9, Window::MAX] {
            measure(&message, window);
        }
    }
    bomb();
}

/// JSON as a game sends it: numbers that change, names that do not.
fn positions(bytes: usize) -> Vec<u8> {
    let mut message = Vec::new();
    let mut state = 1_u32;
    while message.len() < bytes {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (x, y) = (state >> 20, state >> 10 & 0xfff);
        message.extend(
            format!(
                r#"{{"id":{},"x":{x},"y":{y},"state":"walking"}},"#,
                state % 97
            )
            .bytes(),
        );
    }
    message.truncate(bytes);
    message
}

fn measure(message: &[u8], window: Window) {
    let mut compressors = Compressors::new(Effort::DEFAULT);
    let compress = best_ns(|| {
        black_box(compressors.compress(window, black_box(message)));
    });
    let Some(payload) = compressors.compress(window, message).map(<[u8]>::to_vec) else {
        println!("{} B do not shrink", message.len());
        return;
    };
    let mut inflater = Inflater::new();
    let inflate = best_ns(|| {
        let inflated = inflater.inflate(black_box(&payload), CAP_BYTES);
        assert!(black_box(inflated).is_ok());
    });
    println!(
        "{:8} B, window {:2}: compress {:9.2} us, {:6} B; inflate {:8.2} us",
        message.len(),
        window.bits(),
        compress / 1e3,
        payload.len(),
        inflate / 1e3
    );
}

/// A thousand to one, refused where it would pass the cap.
fn bomb() {
    let best = Effort {
        level: 9,
        memory_level: 9,
    };
    let mut compressors = Compressors::new(best);
    let zeros = vec![0; 64 << 20];
    let bomb = compressors
        .compress(Window::MAX, &zeros)
        .unwrap_or_default();
    let mut inflater = Inflater::new();
    let cut = best_ns(|| {
        assert!(inflater.inflate(black_box(bomb), CAP_BYTES).is_err());
        inflater.shrink();
    });
    println!(
        "64 MiB in {} B, refused at 1 MiB: {:.2} us, buffer made anew",
        bomb.len(),
        cut / 1e3
    );
}

/// The fastest round, in nanoseconds.
fn best_ns(mut work: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        work();
        best = best.min(started.elapsed().as_nanos() as f64);
    }
    best
}
