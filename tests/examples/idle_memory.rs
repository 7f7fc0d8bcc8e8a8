//! What an idle connection costs the core: `cargo run --release -p roomwire-tests --example idle_memory [count]`.
//!
//! Connections without sockets, each from an address of its own and in one room of 25, after one round of
//! pings, with nothing left to do. Every byte that was asked of the allocator and not given back is counted,
//! unused capacity included; what the allocator adds to each allocation is not. The server's own account by
//! structure stands below the counter's.

use std::alloc::System;
use std::io::{self, Write};
use std::time::Instant;

use roomwire_core::Config;
use roomwire_tests::Crowd;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ROOM: usize = 25;

fn main() -> io::Result<()> {
    let count = match std::env::args().nth(1) {
        Some(count) => count.parse().map_err(io::Error::other)?,
        None => 1_000_000,
    };
    let began = Instant::now();
    let mut out = io::stdout().lock();
    let config = Config::default();
    let interval = config.heartbeat.interval_ms;
    let delay = config.timeouts.welcome_delay_ms;

    let mut crowd = Crowd::new(config, count);
    let region = Region::new(ALLOCATOR);
    let mut before = 0;
    let mut phase = |out: &mut dyn Write, name: &str| {
        let change = region.change();
        let held = change.bytes_allocated - change.bytes_deallocated;
        let (each, more) = (held as f64 / count as f64, held as f64 - before as f64);
        before = held;
        let more = more / count as f64;
        writeln!(out, "{name:14} {each:8.1} bytes each ({more:+.1})")
    };
    writeln!(
        out,
        "{count} connections, rooms of {ROOM}, by the allocator:"
    )?;
    crowd.accept(count);
    phase(&mut out, "accepted")?;
    crowd.upgrade_all();
    phase(&mut out, "upgraded")?;
    crowd.advance_ms(delay);
    phase(&mut out, "welcomed")?;
    crowd.join_all(ROOM);
    phase(&mut out, "joined")?;
    crowd.advance_ms(interval);
    phase(&mut out, "pinged")?;

    let memory = crowd.server().memory();
    writeln!(out, "by structure:")?;
    for (name, bytes) in memory.parts() {
        let each = bytes as f64 / count as f64;
        writeln!(out, "{name:14} {each:8.1} bytes each")?;
    }
    let each = memory.total() as f64 / count as f64;
    writeln!(out, "{:14} {each:8.1} bytes each", "total")?;
    let stats = crowd.server().stats();
    let (clients, rooms) = (stats.clients, stats.rooms);
    assert_eq!((clients, rooms), (count, count.div_ceil(ROOM)));
    assert_eq!(stats.timeouts, 0, "everyone answered");
    writeln!(
        out,
        "{clients} clients in {rooms} rooms; took {:.1} s",
        began.elapsed().as_secs_f64()
    )
}
