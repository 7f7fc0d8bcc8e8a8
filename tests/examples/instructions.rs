//! Work to count instructions of: `instructions <connections> publish|idle`; run by `tests/tools/instructions`.
//!
//! What is counted is the body of [`measured`], after everyone has joined a room of 25.

use std::hint::black_box;
use std::io;

use roomwire_core::Config;
use roomwire_core::config::RateLimit;
use roomwire_tests::{Crowd, text};

const ROOM: usize = 25;
const TIMES: usize = 1_000;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let count = arguments.next().unwrap_or_default();
    let count: usize = count.parse().map_err(io::Error::other)?;
    let config = Config {
        rate_limit: RateLimit::off(),
        ..Config::default()
    };
    let mut crowd = Crowd::in_rooms(config, count, ROOM);
    let frames: Vec<Vec<u8>> = match arguments.next().as_deref() {
        Some("publish") => (0..count.div_ceil(ROOM))
            .map(|room| {
                text(&format!(
                    r#"{{"type":"room_message","room":"room {room}","data":[1,2,3]}}"#
                ))
            })
            .collect(),
        Some("idle") => Vec::new(),
        _ => return Err(io::Error::other("publish or idle")),
    };
    // Buffers come into being.
    work(&mut crowd, &frames, 10);
    let transmits = measured(&mut crowd, &frames);
    let expected = if frames.is_empty() {
        0
    } else {
        TIMES * (ROOM - 1)
    };
    assert_eq!(transmits, expected);
    Ok(())
}

/// Counting is on while this runs.
#[inline(never)]
fn measured(crowd: &mut Crowd, frames: &[Vec<u8>]) -> usize {
    black_box(work(crowd, frames, TIMES))
}

/// Publishes, or polls with nothing to do. Returns how many transmits came of it.
fn work(crowd: &mut Crowd, frames: &[Vec<u8>], times: usize) -> usize {
    let mut transmits = 0;
    for time in 0..times {
        if !frames.is_empty() {
            // Rooms all over the server.
            let room = time * 31 % frames.len();
            crowd.receive(room * ROOM, &frames[room]);
        }
        transmits += crowd.drain().transmits;
    }
    transmits
}
