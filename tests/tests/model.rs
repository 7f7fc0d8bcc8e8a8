//! The server against a naive model of itself: random inputs, random batches, splits, partial drains and
//! writes, random ends. See `roomwire_tests::model`.
//!
//! `ROOMWIRE_MODEL_CASES` runs more cases, `ROOMWIRE_MODEL_SEED` others. A failure prints the seed and the
//! shortest case that was found.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use roomwire_tests::model::{Case, Feed, ONE_WRITE, Operation, Say, Setup, Step, Variation, run};

/// Cases that are compared with the reference, shared by two tests so that they run side by side.
const CASES: u64 = 20_000;

#[test]
fn like_the_reference() {
    compare(1, CASES / 2, |setup| setup);
}

#[test]
fn like_the_reference_too() {
    compare(2, CASES / 2, |setup| setup);
}

#[test]
fn like_the_reference_with_a_slow_reader() {
    compare(3, CASES / 4, |setup| Setup {
        slow: true,
        crowd: 5,
        rooms: 3,
        ..setup
    });
}

#[test]
fn the_same_twice() {
    check(
        "twice",
        CASES / 10,
        4,
        |setup| setup,
        |case| {
            let (first, second) = (run(case, AS_GIVEN)?, run(case, AS_GIVEN)?);
            same(&first.hash, &second.hash, "bytes")
        },
    );
}

#[test]
fn whole_or_byte_by_byte() {
    check(
        "bytewise",
        CASES / 10,
        5,
        |setup| setup,
        |case| {
            let bytewise = Variation {
                bytewise: true,
                ..AS_GIVEN
            };
            let (whole, split) = (run(case, AS_GIVEN)?, run(case, bytewise)?);
            same(&whole.expected, &split.expected, "messages")?;
            same(&whole.news, &split.news, "events")
        },
    );
}

#[test]
fn drained_often_or_rarely() {
    check("drained", CASES / 10, 6, INDEPENDENT, |case| {
        let often = run(
            case,
            Variation {
                drain: Some(true),
                ..AS_GIVEN
            },
        )?;
        let rarely = run(
            case,
            Variation {
                drain: Some(false),
                ..AS_GIVEN
            },
        )?;
        same(&often.expected, &rarely.expected, "messages")
    });
}

// ---- what was found, at its shortest

/// The write side was shut while the peer finished too, and then reset: the close that waited came after the end.
#[test]
fn an_id_ends_once() {
    use Step::{Close, Poll, ReadEnd, Reset};
    let steps = [Close, Poll, ReadEnd, Poll, Reset, Poll, Poll, Poll];
    let setup = Setup {
        crowd: 1,
        ..Setup::default()
    };
    holds(setup, &[Operation::Flurry { person: 0, steps }]);
}

/// A slow reader that misses a message of the room that keeps its last one is sent it later, as one delivery.
#[test]
fn a_last_message_is_one_delivery() {
    let (block, open) = (window(Some(0)), window(None));
    let drain = Operation::Drain;
    holds(
        SLOW,
        &[
            block,
            say_in_linger(),
            say_in_linger(),
            drain.clone(),
            open,
            drain,
        ],
    );
}

/// It is not sent a message again because it missed a notice.
#[test]
fn a_missed_notice_brings_no_message_back() {
    let (block, open) = (window(Some(0)), window(None));
    let typing = Say::Typing {
        room: LINGER,
        start: true,
    };
    holds(
        SLOW,
        &[block, say_in_linger(), say(typing), Operation::Drain, open],
    );
}

/// What is published before it reads again comes after what it missed, and once.
#[test]
fn a_last_message_comes_in_its_place() {
    let (block, open) = (window(Some(ONE_WRITE)), window(None));
    let typing = say(Say::Typing {
        room: LINGER,
        start: true,
    });
    for last in [say_in_linger(), typing] {
        let missed = [
            block.clone(),
            say_in_linger(),
            say_in_linger(),
            Operation::Drain,
        ];
        holds(SLOW, &[&missed[..], &[last, open.clone()]].concat());
    }
}

const SLOW: Setup = Setup {
    slow: true,
    crowd: 2,
    rooms: 3,
    tight: false,
    rates: false,
    beat: false,
    few_events: false,
    hold: false,
    bare: false,
    share: false,
    mute: false,
};

/// The room that keeps its last message for slow readers.
const LINGER: usize = 2;

fn window(bytes: Option<usize>) -> Operation {
    Operation::Window { person: 0, bytes }
}

fn say_in_linger() -> Operation {
    say(Say::RoomMessage {
        room: LINGER,
        pad: 0,
    })
}

fn say(say: Say) -> Operation {
    Operation::Say {
        person: 1,
        say,
        id: false,
        feed: Feed::Whole,
    }
}

fn holds(setup: Setup, operations: &[Operation]) {
    let case = Case {
        setup,
        operations: operations.to_vec(),
    };
    if let Err(error) = run(&case, AS_GIVEN) {
        panic!("{error}\n{case}");
    }
}

// ---- running random cases

/// What depends on when something is polled is left out.
const INDEPENDENT: fn(Setup) -> Setup = |setup| Setup {
    hold: false,
    slow: false,
    few_events: false,
    ..setup
};

const AS_GIVEN: Variation = Variation {
    bytewise: false,
    drain: None,
};

fn compare(stream: u8, cases: u64, setup: impl Fn(Setup) -> Setup) {
    let totals = RefCell::new((BTreeMap::<&str, u64>::new(), BTreeMap::<&str, u64>::new()));
    check("reference", cases, stream, setup, |case| {
        let report = run(case, AS_GIVEN)?;
        let (histogram, outcomes) = &mut *totals.borrow_mut();
        for operation in &case.operations {
            *histogram.entry(operation.name()).or_default() += 1;
        }
        for (name, count) in report.totals() {
            *outcomes.entry(name).or_default() += count;
        }
        Ok(())
    });
    let (histogram, outcomes) = totals.into_inner();
    let operations: u64 = histogram.values().sum();
    let mut lines = format!("{operations} operations:\n");
    for (name, count) in &histogram {
        lines += &format!("{count:>10} {name}\n");
    }
    lines += "which came to:\n";
    for (name, count) in &outcomes {
        lines += &format!("{count:>10} {name}\n");
    }
    // Past the capture of the test harness.
    let _ = std::io::stderr().write_all(lines.as_bytes());
}

/// Runs `test` on random cases; `stream` makes them others than those of the next test.
fn check(
    name: &str,
    cases: u64,
    stream: u8,
    setup: impl Fn(Setup) -> Setup,
    test: impl Fn(&Case) -> Result<(), String>,
) {
    let wanted = number("ROOMWIRE_MODEL_CASES").unwrap_or(CASES);
    let cases = u32::try_from(cases * wanted / CASES).unwrap_or(u32::MAX);
    let seed = number("ROOMWIRE_MODEL_SEED").unwrap_or(1);
    let mut bytes = [stream; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let result = runner.run(&cases_strategy(setup), |case| {
        test(&case).map_err(TestCaseError::fail)
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(reason, case)) => {
            panic!("{name}, seed {seed}.{stream}: {reason}\n{case}")
        }
        Err(error) => panic!("{name}, seed {seed}.{stream}: {error}"),
    }
}

fn cases_strategy(adjust: impl Fn(Setup) -> Setup) -> impl Strategy<Value = Case> {
    // 50 operations on average.
    let operations = proptest::collection::vec(any::<u64>().prop_map(Operation::decode), 1..100);
    (any::<u32>(), operations).prop_map(move |(setup, operations)| {
        let setup = adjust(Setup::decode(setup));
        Case { setup, operations }
    })
}

fn same<T: PartialEq + std::fmt::Debug>(one: &T, other: &T, what: &str) -> Result<(), String> {
    if one == other {
        Ok(())
    } else {
        Err(format!("other {what}: {one:?} and {other:?}"))
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}
