//! The server's account of its memory against the allocator's.
//!
//! A program of its own, without the test harness: the counter sees every thread, and every byte counts.
#![expect(clippy::print_stdout, reason = "there is no harness that would say it")]

use std::alloc::System;

use roomwire_core::Config;
use roomwire_core::websocket::deflate::{Compressors, Effort, Inflater, Window};
use roomwire_tests::{Crowd, Opcode, compressed, deflated, text};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CONNECTIONS: usize = 10_000;

/// Compares what a server says of its memory with what it has asked for since the beginning.
struct Books<'a> {
    region: Region<'a, System>,
    empty: usize,
}

impl Books<'_> {
    fn open(crowd: &Crowd) -> Self {
        Self {
            empty: crowd.server().memory().total(),
            region: Region::new(ALLOCATOR),
        }
    }

    /// They may differ by so much: trees are estimated.
    fn compare(&self, crowd: &Crowd, most: usize, what: &str) {
        let change = self.region.change();
        let held = change.bytes_allocated - change.bytes_deallocated;
        let account = crowd.server().memory().total() - self.empty;
        let off = account.abs_diff(held);
        assert!(off <= most, "{what}: {account} of {held} bytes");
    }
}

fn main() {
    sessions();
    requests();
    rooms();
    pending();
    contexts();
    compression();
    println!("test the_account_of_memory_is_the_allocators ... ok");
}

fn sessions() {
    let mut crowd = Crowd::new(Config::default(), CONNECTIONS);
    let books = Books::open(&crowd);
    crowd.accept(CONNECTIONS);
    books.compare(&crowd, 0, "accepted");
    crowd.upgrade_all();
    books.compare(&crowd, 0, "upgraded");
    crowd.join_all(25);
    books.compare(&crowd, 0, "joined");
    let metadata =
        text(r#"{"type":"set_metadata","metadata":{"name":"somebody","colour":"of some kind"}}"#);
    for member in 0..CONNECTIONS {
        crowd.receive(member, &metadata);
    }
    books.compare(&crowd, 100, "told, not polled");
    crowd.drain();
    books.compare(&crowd, 100, "drained");
    let unfinished = text(r#"{"type":"broadcast","data":"long"}"#);
    for member in 0..CONNECTIONS {
        crowd.receive(member, &unfinished[..30]);
    }
    books.compare(&crowd, 4 * CONNECTIONS, "unfinished messages");
    let memory = crowd.server().memory();
    assert_eq!(
        memory.parts().map(|(_, bytes)| bytes).iter().sum::<usize>(),
        memory.total()
    );
    assert!(memory.metadata > CONNECTIONS * 40, "{memory:?}");
    assert!(memory.input > CONNECTIONS * 20, "{memory:?}");
}

fn requests() {
    let mut crowd = Crowd::new(Config::default(), CONNECTIONS);
    let books = Books::open(&crowd);
    crowd.accept(CONNECTIONS);
    for member in 0..CONNECTIONS {
        crowd.receive(member, b"GET /ws HTTP/1.1\r\nHost: exam");
    }
    books.compare(&crowd, 0, "half a request");
    for member in 0..CONNECTIONS {
        crowd.receive(member, b"ple.com\r\nX-Long: and so on, and on");
    }
    books.compare(&crowd, 0, "more of it");
    for member in 0..CONNECTIONS {
        crowd.receive(member, b"\r\nContent-Length: 100\r\n\r\nabc");
    }
    crowd.drain();
    books.compare(&crowd, 100, "a body");
}

/// Rooms come and go; what is kept for the next ones is counted, too.
fn rooms() {
    let mut crowd = Crowd::new(Config::default(), CONNECTIONS);
    let books = Books::open(&crowd);
    crowd.accept(CONNECTIONS);
    crowd.upgrade_all();
    crowd.join_all(1);
    books.compare(&crowd, 0, "a room each");
    for member in 0..CONNECTIONS {
        let leave = text(&format!(r#"{{"type":"leave","room":"room {member}"}}"#));
        crowd.receive(member, &leave);
    }
    crowd.drain();
    books.compare(&crowd, 0, "no rooms");
    assert_eq!(crowd.server().stats().rooms, 0);
}

/// Requests that the program has not answered; trees are estimated, from below.
fn pending() {
    let mut config = Config {
        application_types: vec!["dice".to_owned()],
        ..Config::default()
    };
    config.limits.max_queued_events = 2 * CONNECTIONS;
    let mut crowd = Crowd::new(config, CONNECTIONS);
    crowd.accept(CONNECTIONS);
    crowd.upgrade_all();
    crowd.drain();
    let before = crowd.server().memory();
    let books = Books::open(&crowd);
    let ask = text(r#"{"type":"dice","id":"one that is rather long"}"#);
    for member in 0..CONNECTIONS {
        crowd.receive(member, &ask);
    }
    crowd.drain();
    let grown = crowd.server().memory().deadlines - before.deadlines;
    assert!(grown > 100 * CONNECTIONS, "{grown} bytes");
    books.compare(&crowd, 100 * CONNECTIONS, "requests without an answer");
}

/// What a compressor and an inflater say that they hold is what they have asked for.
fn contexts() {
    let held = |region: &Region<'_, System>| {
        let change = region.change();
        change.bytes_allocated - change.bytes_deallocated
    };
    let message = b"tea, and more tea; ".repeat(10);
    for window in Window::ALL {
        for memory_level in 1..=9 {
            let region = Region::new(ALLOCATOR);
            let effort = Effort {
                level: 3,
                memory_level,
            };
            let mut compressors = Compressors::new(effort);
            assert_eq!(held(&region), 0);
            assert!(compressors.compress(window, &message).is_some());
            let (held, said) = (held(&region), compressors.heap_bytes());
            assert_eq!(said, held, "{window:?}, memory level {memory_level}");
        }
    }
    let payload = deflated(&message);
    let region = Region::new(ALLOCATOR);
    let mut inflater = Inflater::new();
    assert_eq!(held(&region), 0);
    assert!(inflater.inflate(&payload, 1_000).is_ok());
    assert_eq!(inflater.heap_bytes(), held(&region));
}

/// Contexts are made once, with the first message that needs them; connections have none of their own.
fn compression() {
    let long = "long and longer, ".repeat(100);
    let say = format!(r#"{{"type":"room_message","room":"room 0","data":"{long}"}}"#);
    let frame = compressed(Opcode::Text, true, &deflated(say.as_bytes()));
    for (parameters, context) in [("", 322_688), ("; server_max_window_bits=9", 193_664)] {
        let mut crowd = Crowd::new(Config::default(), CONNECTIONS);
        let books = Books::open(&crowd);
        crowd.accept(CONNECTIONS);
        crowd.upgrade_all_with(&format!(
            "Sec-WebSocket-Extensions: permessage-deflate{parameters}\r\n"
        ));
        crowd.join_all(25);
        books.compare(&crowd, 0, "agreed on compression");
        assert_eq!(crowd.server().memory().compression, 0);
        for turn in 0..3 {
            crowd.receive(turn, &frame);
            crowd.drain();
        }
        let stats = crowd.server().stats();
        assert_eq!((stats.inflated, stats.compressed), (3, 3));
        let memory = crowd.server().memory().compression;
        let expected = context + 47_552;
        assert!((expected..expected + 20_000).contains(&memory), "{memory}");
        books.compare(&crowd, 200, "compressed messages");
    }
}
