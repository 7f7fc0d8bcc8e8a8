//! How copies and transfers end, and what is due when.

use core::time::Duration;

use super::checks::sha256;
use super::desk::{Desk, KIB, NOBODY, NONE, RULES, at_ms, id};
use crate::files::{Outcome, Progress, Rules, Transfer, Wrong};

/// FIPS 180-4's example, as computed by others.
const ABC: [u8; 32] = [
    0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
    0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad,
];

fn abc(expected: Option<[u8; 32]>) -> Transfer {
    let mut transfer = Transfer::new(3, expected, &RULES, at_ms(0));
    transfer.credit(at_ms(0), id(0), 0, 3).expect("credit");
    assert!(transfer.next_wanted(at_ms(0)).is_some());
    let mut to = Vec::new();
    assert_eq!(transfer.chunk(at_ms(0), 0, b"a", &mut to), Ok(()));
    assert_eq!(transfer.end(at_ms(0), None, None, None), Err(Wrong::Early));
    assert_eq!(transfer.chunk(at_ms(0), 1, b"bc", &mut to), Ok(()));
    assert_eq!(to, [id(0); 2]);
    transfer
}

#[test]
fn the_end_is_told_once_what_has_passed_is_what_was_sent() {
    let mut to = Vec::new();
    for (expected, size, hash) in [
        (None, None, None),
        (None, Some(3), Some(ABC)),
        (Some(ABC), None, None),
        (Some(ABC), Some(3), Some(ABC)),
    ] {
        let mut transfer = abc(expected);
        assert_eq!(transfer.ended(&mut to), None);
        assert_eq!(transfer.end(at_ms(0), size, hash, None), Ok(()));
        assert_eq!(
            transfer.end(at_ms(0), Some(3), Some(ABC), None),
            Ok(()),
            "again"
        );
        assert_eq!(
            transfer.end(at_ms(0), None, Some([0; 32]), None),
            Err(Wrong::Corrupt)
        );
        let end = transfer.ended(&mut to).expect("ended");
        assert_eq!((end.size, end.hash), (3, ABC));
        assert_eq!(to, [id(0)]);
        assert_eq!(transfer.ended(&mut to), None);
        to.clear();
    }
    for (expected, size, hash) in [
        (None, Some(2), None),
        (None, None, Some([0; 32])),
        (Some([0; 32]), Some(3), Some(ABC)),
        (Some([0; 32]), None, None),
        (Some(ABC), None, Some([0; 32])),
    ] {
        let mut transfer = abc(expected);
        assert_eq!(
            transfer.end(at_ms(0), size, hash, None),
            Err(Wrong::Corrupt)
        );
        assert_eq!(transfer.ended(&mut to), None);
    }
}

#[test]
fn each_is_told_the_end_when_it_has_been_passed_everything() {
    let mut desk = Desk::new(4 * KIB, RULES);
    desk.has(0, 0);
    desk.answer_all();
    desk.has(1, KIB);
    desk.end();
    assert_eq!(desk.ended(), [0]);
    assert_eq!(desk.complete(1), Err(Wrong::Early));
    desk.answer_all();
    assert_eq!(desk.ended(), [1]);
    // One that comes back has everything already.
    desk.has(2, 4 * KIB);
    assert_eq!(desk.ended(), [2]);
    assert_eq!(desk.ended(), NOBODY);
}

#[test]
fn copies_complete_once_and_only_when_told_the_end() {
    let mut desk = Desk::new(KIB, RULES);
    assert_eq!(desk.complete(0), Err(Wrong::Unknown));
    desk.has(0, 0);
    desk.answer();
    assert_eq!(desk.complete(0), Err(Wrong::Early));
    desk.end();
    assert_eq!(desk.complete(0), Err(Wrong::Early));
    desk.ended();
    assert_eq!(desk.complete(0), Ok(()));
    assert_eq!(desk.complete(0), Err(Wrong::Done));
    assert_eq!(desk.credit(0, KIB, 1), Err(Wrong::Done));
}

#[test]
fn an_empty_file_is_a_file() {
    let mut desk = Desk::with_hash(0, Some(sha256(&[])), RULES);
    desk.credit(0, 0, 0).expect("credit");
    assert_eq!(desk.offsets(), NONE);
    desk.end();
    assert_eq!(desk.ended(), [0]);
    assert_eq!(desk.complete(0), Ok(()));
    let outcome = Outcome::Completed {
        completed: 1,
        failed: 0,
    };
    assert_eq!(desk.tick(0).0.outcome, Some(outcome));
}

#[test]
fn it_is_over_when_nobody_is_at_it_any_more() {
    let mut desk = Desk::new(KIB, RULES);
    (0..3).for_each(|index| desk.has(index, 0));
    desk.answer();
    assert!(desk.remove(2));
    assert!(!desk.remove(2));
    desk.end();
    desk.ended();
    desk.complete(0).expect("complete");
    assert_eq!(desk.tick(5).0.outcome, None);
    desk.complete(1).expect("complete");
    assert!(!desk.remove(1), "complete and gone");
    assert_eq!(desk.deadline_ms(), Some(5), "at once");
    let outcome = Outcome::Completed {
        completed: 2,
        failed: 1,
    };
    assert_eq!(desk.tick(5).0.outcome, Some(outcome));
}

#[test]
fn it_is_over_too_when_all_have_failed() {
    let mut desk = Desk::new(KIB, RULES);
    desk.has(0, 0);
    desk.answer();
    desk.remove(0);
    assert_eq!(
        desk.tick(0).0.outcome,
        None,
        "the sender may not have sent everything"
    );
    desk.end();
    let outcome = Outcome::Completed {
        completed: 0,
        failed: 1,
    };
    assert_eq!(desk.tick(0).0.outcome, Some(outcome));
}

#[test]
fn nobody_accepts() {
    let mut desk = Desk::new(KIB, RULES);
    assert_eq!(desk.deadline_ms(), Some(10_000));
    assert_eq!(desk.tick(9_999).0.outcome, None);
    assert_eq!(desk.tick(10_000).0.outcome, Some(Outcome::TimedOut));
}

#[test]
fn all_leave_and_nobody_comes_back() {
    let mut desk = Desk::new(100 * KIB, RULES);
    desk.has(0, 0);
    desk.answer_all();
    desk.tick(4_000);
    desk.remove(0);
    desk.tick(4_000);
    assert_eq!(desk.tick(13_999).0.outcome, None);
    assert_eq!(desk.tick(14_000).0.outcome, Some(Outcome::TimedOut));
}

#[test]
fn a_sender_that_is_silent_is_given_up() {
    let mut desk = Desk::new(100 * KIB, RULES);
    desk.tick(3_000);
    desk.has(0, 0);
    desk.tick(12_999);
    // What is refused is no sign of life.
    assert_eq!(desk.chunk(7, 7), Err(Wrong::Unexpected));
    assert_eq!(desk.tick(12_999), Default::default());
    assert_eq!(desk.deadline_ms(), Some(13_000));
    let mut silent = desk;
    assert_eq!(silent.tick(13_000).0.outcome, Some(Outcome::TimedOut));
    // It sends a little, in time.
    let mut desk = Desk::new(100 * KIB, RULES);
    desk.has(0, 0);
    desk.tick(9_999);
    desk.send(1);
    assert_eq!(desk.tick(19_998), (Default::default(), vec![]));
    assert_eq!(desk.tick(19_999).0.outcome, Some(Outcome::TimedOut));
}

#[test]
fn a_sender_that_does_not_say_the_end_is_given_up() {
    let mut desk = Desk::new(KIB, RULES);
    desk.has(0, 0);
    desk.answer();
    desk.has(0, KIB);
    desk.tick(9_999);
    assert_eq!(desk.deadline_ms(), Some(10_000));
    let (ticked, dropped) = desk.tick(10_000);
    assert_eq!((ticked.outcome, dropped), (Some(Outcome::TimedOut), vec![]));
}

#[test]
fn who_owes_credit_for_too_long_is_dropped_and_the_others_go_on() {
    let mut desk = Desk::new(100 * KIB, RULES);
    (0..4).for_each(|index| desk.has(index, 0));
    desk.answer_all();
    desk.tick(6_000);
    desk.has(0, 8 * KIB);
    // Nothing new is no progress.
    desk.has(1, 0);
    // Something is.
    desk.has(2, 1);
    desk.answer_all();
    let (ticked, dropped) = desk.tick(9_999);
    assert_eq!((ticked.outcome, dropped), (None, vec![]));
    let (ticked, dropped) = desk.tick(10_000);
    assert_eq!((ticked.outcome, dropped), (None, vec![1, 3]));
    assert_eq!(desk.transfer.progress().failed, 2);
    assert_eq!(desk.tick(15_999).1, NOBODY);
    assert_eq!(desk.tick(16_000).1, [2]);
}

#[test]
fn more_room_is_news_if_something_can_be_passed_with_it() {
    let mut desk = Desk::new(100 * KIB, RULES);
    desk.credit(0, 0, 2_048).expect("credit");
    desk.answer_all();
    desk.tick(5_000);
    desk.credit(0, 0, 2_548).expect("credit");
    assert_eq!(desk.deadline_ms(), Some(10_000));
    desk.tick(6_000);
    desk.credit(0, 0, 3_072).expect("credit");
    desk.answer_all();
    assert_eq!(desk.tick(15_999).1, [0_u32; 0]);
    assert_eq!(desk.tick(16_000).1, [0]);
}

#[test]
fn who_waits_for_the_sender_owes_nothing() {
    let mut desk = Desk::new(100 * KIB, RULES);
    desk.has(0, 0);
    desk.answer_all();
    for turn in 1..10 {
        desk.has(0, desk.transfer.passed());
        desk.tick(turn * 9_000);
        assert_eq!(desk.send(1), [0]);
        // It has had more than its patience since it last said something, and something to say only now.
        assert_eq!(desk.tick(turn * 9_000 + 1).1, NOBODY);
        desk.has(0, desk.transfer.passed());
    }
}

#[test]
fn who_does_not_complete_is_dropped() {
    let mut desk = Desk::new(KIB, RULES);
    desk.has(0, 0);
    desk.answer();
    desk.has(0, KIB);
    desk.tick(2_000);
    desk.end();
    desk.ended();
    assert_eq!(desk.tick(11_999).1, NOBODY);
    let (ticked, dropped) = desk.tick(12_000);
    let outcome = Outcome::Completed {
        completed: 0,
        failed: 1,
    };
    assert_eq!((ticked.outcome, dropped), (Some(outcome), vec![0]));
}

#[test]
fn a_sender_that_comes_back_goes_on_where_the_receivers_are() {
    let mut desk = Desk::new(100 * KIB, RULES);
    desk.has(0, 0);
    desk.has(1, 0);
    desk.answer();
    desk.answer();
    desk.send(100);
    desk.has(0, 2_000);
    desk.has(1, 1_500);
    let now = desk.now();
    desk.transfer.sender_lost(now);
    desk.wanted.clear();
    assert_eq!(
        desk.chunk(2 * KIB + 100, 1),
        Err(Wrong::Unexpected),
        "it is gone"
    );
    desk.has(2, 1_000);
    assert_eq!(desk.offsets(), NONE);
    desk.tick(4_999);
    assert_eq!(desk.transfer.sender_back(at_ms(4_999)), 1_000);
    desk.tick(4_999);
    // Neither has to hear again what it was passed.
    let mut answers: Vec<_> = (0..3).map(|_| desk.answer()).collect();
    answers.sort();
    // The one that was behind is there by then.
    let front = (2 * KIB + 100, vec![0, 1, 2]);
    assert_eq!(answers, [(1_000, vec![2]), (2_024, vec![2]), front]);
}

#[test]
fn a_sender_on_another_connection_begins_anew() {
    let mut desk = Desk::new(100 * KIB, RULES);
    desk.has(0, 0);
    desk.send(100);
    assert_eq!(desk.transfer.sender_back(at_ms(0)), 0);
    desk.wanted.clear();
    desk.tick(0);
    assert_eq!(desk.offsets()[0], 100);
    assert_eq!(
        desk.wanted.iter().map(|w| w.length_bytes).sum::<u32>(),
        4_096
    );
}

#[test]
fn a_sender_that_does_not_come_back_is_given_up() {
    let mut desk = Desk::new(100 * KIB, RULES);
    desk.has(0, 0);
    desk.transfer.sender_lost(at_ms(0));
    desk.tick(0);
    // Said twice, it is no later.
    desk.transfer.sender_lost(at_ms(1_000));
    assert_eq!(desk.tick(4_999).0.outcome, None);
    assert_eq!(desk.deadline_ms(), Some(5_000));
    assert_eq!(desk.tick(5_000).0.outcome, Some(Outcome::Lost));
}

#[test]
fn a_sender_that_nobody_needs_any_more_may_go() {
    let mut desk = Desk::new(KIB, RULES);
    desk.has(0, 0);
    desk.answer();
    desk.end();
    desk.transfer.sender_lost(at_ms(0));
    desk.ended();
    desk.tick(0);
    assert_eq!(desk.tick(9_000).0.outcome, None);
    // Somebody needs it.
    desk.has(1, 0);
    assert_eq!(desk.tick(9_000).0.outcome, Some(Outcome::Lost));
    desk.remove(1);
    desk.complete(0).expect("complete");
    let outcome = Outcome::Completed {
        completed: 1,
        failed: 1,
    };
    assert_eq!(desk.tick(9_000).0.outcome, Some(outcome));
}

#[test]
fn progress_is_told_when_there_is_some_and_not_too_often() {
    let mut desk = Desk::new(100 * KIB, RULES);
    let told = |acknowledged, receivers, failed| {
        Some(Progress {
            acknowledged,
            receivers,
            completed: 0,
            failed,
        })
    };
    assert_eq!(desk.tick(10).0.progress, None);
    desk.has(0, 0);
    desk.has(1, 0);
    assert_eq!(desk.deadline_ms(), Some(10), "at once");
    assert_eq!(desk.tick(10).0.progress, told(0, 2, 0));
    desk.answer_all();
    desk.has(0, 4 * KIB);
    assert_eq!(desk.tick(1_100).0.progress, None, "not all have it");
    desk.has(1, KIB);
    assert_eq!(desk.deadline_ms(), Some(1_010), "at once");
    assert_eq!(desk.tick(1_100).0.progress, told(KIB, 2, 0));
    desk.has(1, 2 * KIB);
    assert_eq!(desk.tick(2_099).0.progress, None);
    assert_eq!(desk.tick(2_100).0.progress, told(2 * KIB, 2, 0));
    desk.remove(1);
    assert_eq!(desk.tick(3_100).0.progress, told(4 * KIB, 1, 1));
    assert_eq!(desk.tick(9_000).0.progress, None);
}

#[test]
fn with_no_patience_nobody_waits() {
    let mut desk = Desk::new(
        100 * KIB,
        Rules {
            patience: Duration::ZERO,
            ..RULES
        },
    );
    desk.has(0, 0);
    desk.has(1, 0);
    desk.answer_all();
    desk.has(0, 8 * KIB);
    desk.tick(0);
    assert_eq!(desk.answer(), (8 * KIB, vec![0]));
}
