//! A whole server under a driver that behaves well, badly, or in between.
//!
//! The bytes are read as a config and a sequence of operations: connections come, speak, stall and go, time
//! jumps, commands arrive, outputs are drained a few at a time, a pool comes and goes, and what it is given is done in
//! any order, late, or not at all. Promises: it never panics; a drain ends in
//! `Idle` within a bound and with a deadline in the future; every id ends exactly once and is never named
//! again; queues stay under their caps; each peer gets a well-formed stream in which every request has one
//! outcome and no message is of a room it is not in; when everyone is gone nothing is left; the same inputs
//! give the same outputs; and so does a recording, masked or not.

mod driver;
mod operations;
mod settings;
mod stream;

use crate::input::Choices;
use crate::replay::Tape;
use driver::Driver;

/// Three bytes of config, then operations.
pub fn target(data: &[u8]) {
    let mut choices = Choices::new(data);
    let (config, manners) = settings::choose(&mut choices);
    // Where a recording is masked nobody may compress.
    let masked = !choices
        .clone()
        .rest()
        .contains(&operations::CONNECT_COMPRESSING);
    let first = run(config.clone(), manners, &mut choices.clone(), masked);
    if manners.run_twice {
        assert_eq!(
            first,
            run(config, manners, &mut choices, false),
            "not the same again"
        );
    }
}

/// Runs to the end, then does the recording of it again; returns a hash of all outputs and of every byte sent.
fn run(
    config: roomwire_core::ValidConfig,
    manners: settings::Manners,
    choices: &mut Choices<'_>,
    masked: bool,
) -> u64 {
    let tape = Tape::default();
    let mut driver = Driver::new(config, manners, &tape, masked);
    for _ in 0..MAX_OPERATIONS {
        if choices.is_empty() {
            break;
        }
        operations::perform(&mut driver, choices);
        driver.check();
    }
    driver.finish(choices);
    let transcript = driver.transcript();
    drop(driver);
    tape.check();
    transcript
}

const MAX_OPERATIONS: usize = 256;
