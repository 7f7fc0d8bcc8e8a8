//! Every run is recorded, and what was recorded can be done again.

use std::fs;
use std::path::Path;

use roomwire_core::replay::{Ending, Options};
use roomwire_tests::sim::{Editor, Plan, Sabotage, replay, run_recorded, run_sabotaged};

use super::passes;

#[test]
fn runs_are_done_again_to_the_same_hash() {
    for seed in 2_000..2_020 {
        let again = replay(&passes(seed).recording);
        assert_eq!(again, Ok(Ending::Closed), "seed {seed}");
    }
}

/// Whatever liars, flooders and broken requests send, a server decides the same without what they said.
#[test]
fn masked_recordings_make_the_same_decisions() {
    for seed in 2_000..2_040 {
        let plan = Plan::generate(seed);
        let masked = Options {
            masked: true,
            max_bytes: u64::MAX,
        };
        let report = run_recorded(&plan, masked).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(replay(&report.recording), Ok(Ending::Closed), "seed {seed}");
        assert_ne!(
            report.recording,
            passes(seed).recording,
            "seed {seed} says nothing"
        );
    }
}

#[test]
fn a_run_that_fails_leaves_a_recording() {
    let editor = Editor(Box::new(|_, text| {
        vec![text.replace("room_message", "room_massage")]
    }));
    let sabotage = Sabotage {
        editor: Some(editor),
        config: None,
    };
    let failure = run_sabotaged(&Plan::generate(0), sabotage).expect_err("it must be noticed");
    let path = failure
        .keep(Path::new(env!("CARGO_TARGET_TMPDIR")))
        .expect("the folder is there");
    let recording = fs::read(&path).expect("it was written");
    assert_eq!(replay(&recording), Ok(Ending::Closed));
}
