//! The server in a simulated world: clients of all kinds, a bad network, a virtual clock, and an oracle that
//! compares after every step. See `roomwire_tests::sim`.
//!
//! `ROOMWIRE_SIM_SEED` runs one seed instead, and makes it smaller if it fails. `tests/soak` runs many.

mod sabotage;
mod shrinking;

use std::env;

use roomwire_tests::sim::{Coverage, Plan, run, run_seed, shrink, size};

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
        match run_seed(seed) {
            Ok(report) => all.add(&report.coverage),
            Err(failure) => panic!("{failure}"),
        }
    }
    assert_eq!(all.seeds, SEEDS);
}

/// Runs one seed; if it fails, makes its plan smaller and shows that.
fn alone(seed: u64) {
    let plan = Plan::generate(seed);
    let Err(failure) = run(&plan) else {
        return;
    };
    let small = shrink(&plan, 2_000, |plan| run(plan).is_err());
    let what = run(&small).expect_err("it failed before").what;
    panic!(
        "{failure}\nsmaller, {} of {}: {what}\n{small:#?}",
        size(&small),
        size(&plan)
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
        let first = run_seed(seed).unwrap_or_else(|failure| panic!("{failure}"));
        let second = run_seed(seed).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(first.fingerprint, second.fingerprint, "seed {seed}");
        assert_eq!(first.coverage, second.coverage, "seed {seed}");
        let other = run_seed(seed + 1).unwrap_or_else(|failure| panic!("{failure}"));
        assert_ne!(first.fingerprint, other.fingerprint, "seed {seed}");
    }
}
