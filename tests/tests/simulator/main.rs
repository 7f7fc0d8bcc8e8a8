//! The server in a simulated world: clients of all kinds, a bad network, a virtual clock, and an oracle that
//! compares after every step. See `roomwire_tests::sim`.
//!
//! `ROOMWIRE_SIM_SEED` runs one seed instead, and makes it smaller if it fails. `tests/soak` runs many.

mod files;
mod found;
mod recording;
mod sabotage;
mod shards;
mod shrinking;

use std::env;
use std::path::Path;

use roomwire_tests::sim::{Coverage, Failure, Plan, Report, run, run_seed, shrink, size};

/// Seeds of each test; the tests run side by side.
const SEEDS: u64 = 50;

fn check(first: u64) {
    if let Some(seed) = env::var("ROOMWIRE_SIM_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
    {
        return alone(seed);
    }
    let mut all = Coverage::default();
    for seed in first..first + SEEDS {
        all.add(&passes(seed).coverage);
    }
    assert_eq!(all.seeds, SEEDS);
    for edge in [
        "a compressed message",
        "a job: handed over → done",
        "a job: handed over → failed",
    ] {
        assert!(all.edges.contains_key(edge), "{edge}");
    }
}

/// Runs a seed, which must not fail.
fn passes(seed: u64) -> Report {
    let report = run_seed(seed).unwrap_or_else(|failure| panic!("{failure}\n{}", kept(&failure)));
    // What one client does shows next to nothing.
    assert!(report.coverage.clients > 1 && report.coverage.connections > 1);
    report
}

/// Where the recording of a run that failed is.
fn kept(failure: &Failure) -> String {
    match failure.keep(Path::new(env!("CARGO_TARGET_TMPDIR"))) {
        Ok(path) => format!(
            "see what the server did: roomwire-tokio replay {}",
            path.display()
        ),
        Err(error) => format!("there is no recording: {error}"),
    }
}

/// Runs one seed; if it fails, makes its plan smaller and shows that.
fn alone(seed: u64) {
    let plan = Plan::generate(seed);
    let Err(failure) = run(&plan) else {
        return;
    };
    let small = shrink(&plan, 2_000, |plan| run(plan).is_err());
    let smaller = run(&small).expect_err("it failed before");
    panic!(
        "{failure}\nsmaller, {} of {}: {}\n{}\n{small:#?}",
        size(&small),
        size(&plan),
        smaller.what,
        kept(&smaller)
    );
}

#[test]
fn seeds_from_0() {
    check(0);
}

#[test]
fn seeds_from_50() {
    check(50);
}

#[test]
fn seeds_from_100() {
    check(100);
}

#[test]
fn seeds_from_150() {
    check(150);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    for seed in 1_000..1_010 {
        let (first, second) = (passes(seed), passes(seed));
        assert_eq!(first.fingerprint, second.fingerprint, "seed {seed}");
        assert_eq!(first.coverage, second.coverage, "seed {seed}");
        assert_eq!(first.recording, second.recording, "seed {seed}");
        assert_ne!(
            first.fingerprint,
            passes(seed + 1).fingerprint,
            "seed {seed}"
        );
    }
}
