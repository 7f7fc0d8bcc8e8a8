//! The server's account of its memory against the allocator's.
//!
//! The only test of its binary: the counter sees every thread.

use std::alloc::System;

use roomwire_core::Config;
use roomwire_tests::{Crowd, text};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CONNECTIONS: usize = 10_000;

#[test]
fn the_account_of_memory_is_the_allocators() {
    let mut crowd = Crowd::new(Config::default(), CONNECTIONS);
    let region = Region::new(ALLOCATOR);
    let compare = |crowd: &Crowd, what: &str| {
        let change = region.change();
        let held = change.bytes_allocated - change.bytes_deallocated;
        let account = crowd.server().memory().total();
        let off = held.abs_diff(account);
        assert!(off * 50 < held, "{what}: {account} of {held} bytes");
    };
    crowd.accept(CONNECTIONS);
    compare(&crowd, "accepted");
    crowd.upgrade_all();
    compare(&crowd, "upgraded");
    crowd.join_all(25);
    compare(&crowd, "joined");
    let metadata =
        text(r#"{"type":"set_metadata","metadata":{"name":"somebody","colour":"of some kind"}}"#);
    for member in 0..CONNECTIONS {
        crowd.receive(member, &metadata);
    }
    compare(&crowd, "told, not polled");
    crowd.drain();
    compare(&crowd, "drained");
    let unfinished = text(r#"{"type":"broadcast","data":"long"}"#);
    for member in 0..CONNECTIONS {
        crowd.receive(member, &unfinished[..30]);
    }
    compare(&crowd, "unfinished messages");
    let memory = crowd.server().memory();
    assert_eq!(
        memory.parts().map(|(_, bytes)| bytes).iter().sum::<usize>(),
        memory.total()
    );
    assert!(memory.metadata > CONNECTIONS * 40, "{memory:?}");
    assert!(memory.input > CONNECTIONS * 20, "{memory:?}");
}
