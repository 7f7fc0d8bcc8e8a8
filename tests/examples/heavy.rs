//! How long the core is at the heaviest things that one client can make it do: `heavy`. What takes long here is how
//! long everybody else on the thread waits, unless a pool does it (`Output::Job`).
//!
//! Each is done some times; the shortest of them is printed, as that is the least disturbed.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "it measures, and prints what it measured"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use roomwire_core::Config;
use roomwire_core::config::RateLimit;
use roomwire_core::websocket::deflate::{Compressors, Effort, Window};
use roomwire_tests::{Crowd, Opcode, Rng, compressed, deflated, masked};
use sha2::{Digest as _, Sha256};

const MIB: usize = 1024 * 1024;
const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
/// What a read brings.
const READ_BYTES: usize = 64 * 1024;

fn main() {
    let zeros = room_message(&"0".repeat(MIB - 60));
    let noise = room_message(&noise(MIB - 60));
    let objects = room_message_of(&format!(
        "[{}]",
        vec![r#"{"a":[1]}"#; (MIB - 60) / 10].join(",")
    ));
    for (name, message) in [("zeros", &zeros), ("noise", &noise), ("objects", &objects)] {
        let bytes = message.len();
        let plain = masked(Opcode::Text, true, message.as_bytes());
        let packed = deflated(message.as_bytes());
        report(
            &format!("room_message, {bytes} bytes of {name}, plain"),
            || longest(&plain),
        );
        let frame = compressed(Opcode::Text, true, &packed);
        let title = format!("the same compressed to {} bytes", packed.len());
        report(&title, || longest(&frame));
    }
    let piece = vec![7; 64 * 1024];
    report("SHA-256 of 64 KiB, a piece of a file", || {
        time(|| Sha256::digest(&piece))
    });
    let text = objects.as_bytes();
    let mut compressors = Compressors::new(Effort::DEFAULT);
    for bytes in [2 * 1024, 128 * 1024] {
        let part = &text[..bytes];
        let _ = compressors.compress(Window::MAX, part);
        report(&format!("deflate of {bytes} bytes of objects"), || {
            time(|| compressors.compress(Window::MAX, part).map(<[u8]>::len))
        });
        let part = &noise.as_bytes()[..bytes];
        report(&format!("deflate of {bytes} bytes of noise"), || {
            time(|| compressors.compress(Window::MAX, part).map(<[u8]>::len))
        });
    }
}

fn report(what: &str, mut measure: impl FnMut() -> Duration) {
    let best = (0..15).map(|_| measure()).min().unwrap_or_default();
    println!("{:9.1} µs  {what}", best.as_secs_f64() * 1e6);
}

fn time<T>(work: impl FnOnce() -> T) -> Duration {
    let before = Instant::now();
    black_box(work());
    before.elapsed()
}

/// The longest that the server is at one read of a message, or one poll after it.
fn longest(frame: &[u8]) -> Duration {
    let config = Config {
        rate_limit: RateLimit::off(),
        ..Config::default()
    };
    let mut crowd = Crowd::new(config, 2);
    crowd.accept(2);
    crowd.upgrade_all_with(DEFLATE);
    crowd.join_all(2);
    let mut longest = Duration::ZERO;
    for read in frame.chunks(READ_BYTES) {
        longest = longest.max(time(|| crowd.receive(0, read)));
    }
    longest = longest.max(time(|| crowd.drain()));
    let stats = crowd.server().stats();
    assert_eq!((stats.bad_messages, stats.refused), (0, 0));
    longest
}

fn room_message(data: &str) -> String {
    room_message_of(&format!("\"{data}\""))
}

fn room_message_of(data: &str) -> String {
    format!(r#"{{"type":"room_message","room":"room 0","data":{data}}}"#)
}

/// Letters without a pattern.
fn noise(bytes: usize) -> String {
    let mut rng = Rng::new(7);
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letter = |_| char::from(letters[rng.below(64)]);
    (0..bytes).map(letter).collect()
}
