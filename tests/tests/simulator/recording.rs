//! Every run of one shard is recorded, and what was recorded can be done again.

use std::fs;
use std::path::Path;

use roomwire_core::replay::{Ending, Options};
use roomwire_tests::sim::{
    Editor, Plan, Report, Sabotage, Shards, replay, run, run_recorded, run_sabotaged,
};

fn plan(seed: u64) -> Plan {
    Plan::generate(seed).alone()
}

fn recording(report: Report) -> Vec<u8> {
    report.recording.expect("one shard is recorded")
}

fn recorded(seed: u64) -> Vec<u8> {
    recording(run(&plan(seed)).unwrap_or_else(|failure| panic!("{failure}")))
}

#[test]
fn runs_are_done_again_to_the_same_hash() {
    for seed in 2_000..2_020 {
        let again = replay(&recorded(seed));
        assert_eq!(again, Ok(Ending::Closed), "seed {seed}");
    }
}

/// With a pool, too: whatever came of which job, and when.
#[test]
fn what_a_pool_has_done_is_done_again() {
    let pooled = (0..).map(Plan::generate).filter(|plan| plan.pool.jobs > 0);
    let mut jobs = 0;
    for plan in pooled.take(12) {
        let plan = Plan {
            shards: Shards::default(),
            ..plan
        };
        let report = run(&plan).unwrap_or_else(|failure| panic!("{failure}"));
        let done = report.coverage.edges.get("a job: handed over → done");
        jobs += done.map_or(0, |count| count.times);
        let again = replay(&recording(report));
        assert_eq!(again, Ok(Ending::Closed), "seed {}", plan.seed);
    }
    assert!(jobs > 100, "{jobs} of them");
}

/// Whatever liars, flooders and broken requests send, a server decides the same without what they said.
#[test]
fn masked_recordings_make_the_same_decisions() {
    for seed in 2_000..2_040 {
        let masked = Options {
            masked: true,
            max_bytes: u64::MAX,
        };
        let report = run_recorded(&plan(seed), masked);
        let masked = recording(report.unwrap_or_else(|failure| panic!("{failure}")));
        assert_eq!(replay(&masked), Ok(Ending::Closed), "seed {seed}");
        assert_ne!(masked, recorded(seed), "seed {seed} says nothing");
    }
}

#[test]
fn a_run_that_fails_leaves_a_recording() {
    let editor = Editor(Box::new(|_, text| {
        vec![text.replace("room_message", "room_massage")]
    }));
    let sabotage = Sabotage {
        editor: Some(editor),
        ..Sabotage::default()
    };
    let failure = run_sabotaged(&plan(0), sabotage).expect_err("it must be noticed");
    let path = failure
        .keep(Path::new(env!("CARGO_TARGET_TMPDIR")))
        .expect("the folder is there");
    let recording = fs::read(&path).expect("it was written");
    assert_eq!(replay(&recording), Ok(Ending::Closed));
}

#[test]
fn a_run_of_several_shards_says_that_it_is_not_recorded() {
    let mut seeds = 0..;
    let several = |seed: &u64| Plan::generate(*seed).shards.count > 1;
    let seed = seeds.find(several).expect("half of them are");
    let editor = Editor(Box::new(|_, _| Vec::new()));
    let sabotage = Sabotage {
        editor: Some(editor),
        ..Sabotage::default()
    };
    let failure = run_sabotaged(&Plan::generate(seed), sabotage).expect_err("nothing was told");
    assert!(failure.to_string().contains("not recorded"), "{failure}");
    let kept = failure.keep(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let why = kept.expect_err("there is no recording").to_string();
    assert!(why.contains("several shards"), "{why}");
}
