//! Who accepts, what is asked for, who is waited for.

use core::time::Duration;

use super::desk::{Desk, KIB, NOBODY, NONE, RULES, at_ms, id};
use crate::files::{Credited, Rules, Transfer, Wrong};

#[test]
fn the_first_credit_accepts_and_the_next_does_not() {
    let mut desk = Desk::new(10 * KIB, RULES);
    let accepted = |accepted, offset| Ok(Credited { accepted, offset });
    assert_eq!(desk.credit(0, 0, 2_048), accepted(true, 0));
    assert_eq!(desk.credit(0, 0, 2_048), accepted(false, 0));
    desk.answer();
    assert_eq!(desk.credit(0, 1_000, 2_048), accepted(false, 1_000));
    // It has been there: it stays where it is.
    assert_eq!(desk.credit(0, 10, 2_048), accepted(false, 10));
    assert_eq!(desk.transfer.progress().acknowledged, 1_000);
}

#[test]
fn a_receiver_that_claims_more_than_has_passed_is_taken_back_to_that() {
    let mut desk = Desk::new(100 * KIB, RULES);
    desk.has(0, 0);
    desk.answer();
    desk.answer();
    let back = desk.credit(1, 50 * KIB, 8_192);
    assert_eq!(
        back,
        Ok(Credited {
            accepted: true,
            offset: 2 * KIB
        })
    );
    assert_eq!(desk.answer(), (2 * KIB, vec![0, 1]));
    // It may say that it has what it said it had: it is believed up to what it was passed.
    let honest = desk.credit(1, 50 * KIB, 8_192);
    assert_eq!(
        honest,
        Ok(Credited {
            accepted: false,
            offset: 3 * KIB
        })
    );
    assert_eq!(desk.credit(1, 50 * KIB + 1, 8_192), Err(Wrong::Beyond));
    // Who claims less goes on from there.
    let resumed = desk.credit(2, 1_500, 8_192);
    assert_eq!(
        resumed,
        Ok(Credited {
            accepted: true,
            offset: 1_500
        })
    );
}

#[test]
fn nobody_has_what_was_not_passed_or_is_not_there() {
    let mut desk = Desk::new(10 * KIB, RULES);
    for offset in [10 * KIB + 1, u64::MAX] {
        assert_eq!(desk.credit(0, offset, u32::MAX), Err(Wrong::Beyond));
    }
    assert_eq!(desk.transfer.progress().receivers, 0);
    desk.has(0, 0);
    desk.send(100);
    assert_eq!(desk.credit(0, 101, 1_024), Err(Wrong::Beyond));
    assert!(desk.credit(0, 100, 1_024).is_ok());
}

#[test]
fn the_largest_file_overflows_nothing() {
    let mut desk = Desk::new(u64::MAX, RULES);
    assert!(
        desk.credit(0, u64::MAX, u32::MAX)
            .is_ok_and(|c| c.offset == 0)
    );
    desk.answer_all();
    assert_eq!(desk.transfer.passed(), 8 * KIB);
    assert!(
        desk.credit(0, u64::MAX, u32::MAX)
            .is_ok_and(|c| c.offset == 8 * KIB)
    );
    assert_eq!(desk.chunk(u64::MAX, 1), Err(Wrong::Unexpected));
}

#[test]
fn so_many_receivers_and_no_more() {
    let mut desk = Desk::new(
        0,
        Rules {
            max_receivers: 2,
            ..RULES
        },
    );
    desk.has(0, 0);
    desk.has(1, 0);
    assert_eq!(desk.credit(2, 0, 1), Err(Wrong::Full));
    desk.end();
    assert_eq!(desk.ended(), [0, 1]);
    assert_eq!(desk.complete(0), Ok(()));
    // It is still there, and known.
    assert_eq!(desk.credit(2, 0, 1), Err(Wrong::Full));
    assert_eq!(desk.credit(0, 0, 1), Err(Wrong::Done));
    assert!(!desk.remove(0), "it was complete");
    assert!(desk.credit(2, 0, 1).is_ok());
}

#[test]
fn a_window_is_no_larger_than_allowed_and_never_shrinks() {
    let rules = Rules {
        max_window_bytes: 2_048,
        ..RULES
    };
    let mut desk = Desk::new(100 * KIB, rules);
    desk.credit(0, 0, u32::MAX).expect("credit");
    assert_eq!(desk.offsets(), [0, KIB]);
    desk.answer_all();
    assert_eq!(desk.transfer.passed(), 2 * KIB);
    desk.credit(0, KIB, 100).expect("credit");
    assert_eq!(desk.offsets(), NONE);
    desk.credit(0, KIB, 2_048).expect("credit");
    assert_eq!(desk.offsets(), [2 * KIB]);
    desk.credit(0, KIB, 0).expect("credit");
    desk.answer();
    assert_eq!(desk.transfer.passed(), 3 * KIB);
}

#[test]
fn a_small_window_is_slow_and_not_stuck() {
    let mut desk = Desk::new(100 * KIB, RULES);
    desk.credit(0, 0, 1_023).expect("credit");
    assert_eq!(desk.offsets(), [0]);
    desk.answer_all();
    assert_eq!(desk.transfer.passed(), 1_023);
    // While something is on its way, a little room is none.
    desk.credit(0, 1_000, 1_000).expect("credit");
    assert_eq!(desk.offsets(), NONE);
    desk.credit(0, 1_023, 1_000).expect("credit");
    assert_eq!(desk.offsets(), [1_023]);
    // Without any it owes some.
    let mut desk = Desk::new(100 * KIB, RULES);
    desk.credit(0, 0, 0).expect("credit");
    assert_eq!(desk.offsets(), NONE);
    assert_eq!(desk.tick(9_999).1, NOBODY);
    assert_eq!(desk.tick(10_000).1, [0]);
}

#[test]
fn those_who_accept_at_once_begin_together() {
    let gather = Duration::from_millis(50);
    let mut desk = Desk::new(10 * KIB, Rules { gather, ..RULES });
    desk.tick(7);
    desk.has(0, 0);
    desk.tick(7);
    assert_eq!(desk.deadline_ms(), Some(57));
    desk.tick(56);
    desk.has(1, 0);
    assert_eq!(desk.offsets(), NONE);
    desk.tick(57);
    assert_eq!(desk.answer(), (0, vec![0, 1]));
    desk.has(2, 0);
    assert_eq!(desk.answer(), (KIB, vec![0, 1]), "it has come too late");
}

#[test]
fn requests_are_bounded_each_and_together() {
    let rules = Rules {
        request_bytes: 3_000,
        ..RULES
    };
    let mut desk = Desk::new(1_000 * KIB, rules);
    desk.has(0, 0);
    let lengths = |desk: &Desk| {
        desk.wanted
            .iter()
            .map(|w| w.length_bytes)
            .collect::<Vec<_>>()
    };
    assert_eq!(lengths(&desk), [3_000, 1_096]);
    desk.send(500);
    // Not single bytes: a chunk, once there is room for it.
    assert_eq!(lengths(&desk), [2_500, 1_096]);
    desk.send(524);
    assert_eq!(lengths(&desk), [1_976, 1_096, 1_024]);
}

#[test]
fn chunks_are_what_was_asked_for_next() {
    let rules = Rules {
        request_bytes: 2_048,
        ..RULES
    };
    let mut desk = Desk::new(100 * KIB, rules);
    assert_eq!(desk.chunk(0, 1), Err(Wrong::Unexpected), "nobody asked");
    desk.has(0, 0);
    assert_eq!(desk.offsets(), [0, 2 * KIB]);
    for (offset, length) in [(0, 0), (0, 1_025), (1, 1), (2_048, 1), (u64::MAX, 1)] {
        assert_eq!(
            desk.chunk(offset, length),
            Err(Wrong::Unexpected),
            "{offset} {length}"
        );
    }
    desk.send(1_023);
    assert_eq!(desk.chunk(1_023, 1_024), Ok(vec![0]));
    assert_eq!(desk.chunk(2_047, 2), Err(Wrong::Unexpected), "two pieces");
    assert_eq!(desk.chunk(2_047, 1), Ok(vec![0]));
    assert_eq!(desk.chunk(2_047, 1), Err(Wrong::Unexpected), "again");
}

#[test]
fn the_group_gets_what_all_of_it_has_room_for() {
    let mut desk = Desk::new(100 * KIB, RULES);
    desk.has(0, 0);
    // There before the first piece has come, with little room.
    desk.credit(1, 0, 1_536).expect("credit");
    assert_eq!(desk.answer(), (0, vec![0, 1]));
    assert_eq!(
        desk.answer(),
        (KIB, vec![0]),
        "it has no room for all of this"
    );
    assert_eq!(desk.transfer.progress().receivers, 2);
}

/// Two receivers, of which the second does not read what it was passed.
fn one_holds_up_another() -> Desk {
    let mut desk = Desk::new(100 * KIB, RULES);
    desk.has(0, 0);
    desk.has(1, 0);
    desk.answer_all();
    assert_eq!(desk.transfer.passed(), 8 * KIB);
    desk.has(0, 8 * KIB);
    desk.tick(0);
    assert_eq!(desk.offsets(), NONE);
    desk
}

#[test]
fn who_holds_the_others_up_too_long_is_not_waited_for() {
    let mut desk = one_holds_up_another();
    assert_eq!(desk.deadline_ms(), Some(100));
    desk.tick(99);
    assert_eq!(desk.offsets(), NONE);
    desk.tick(100);
    assert_eq!(desk.offsets(), [8 * KIB, 9 * KIB, 10 * KIB, 11 * KIB]);
    assert_eq!(desk.answer(), (8 * KIB, vec![0]));
    // Once it reads on, it gets what it is missing; the front takes two thirds of the sender's time.
    desk.has(1, 8 * KIB);
    let mut passed = [Vec::new(), Vec::new()];
    for _ in 0..9 {
        let (offset, to) = desk.answer();
        to.into_iter()
            .for_each(|index| passed[index as usize].push(offset / KIB));
        desk.has(0, desk.transfer.passed());
    }
    assert_eq!(passed[0], [9, 10, 11, 12, 13, 14]);
    assert_eq!(passed[1], [8, 9, 10]);
}

#[test]
fn who_gets_room_in_time_stays() {
    let mut desk = one_holds_up_another();
    desk.tick(99);
    // Half of its window is what it is waited for until.
    desk.has(1, 4 * KIB - 1);
    assert_eq!(desk.offsets(), NONE);
    desk.has(1, 4 * KIB);
    assert_eq!(desk.answer(), (8 * KIB, vec![0, 1]));
}

#[test]
fn held_time_adds_up_and_is_forgotten_half_as_fast() {
    let mut desk = one_holds_up_another();
    desk.tick(80);
    desk.has(1, 8 * KIB);
    // It has 80 ms, of which 30 are forgotten after 60.
    desk.tick(140);
    desk.answer_all();
    desk.has(0, desk.transfer.passed());
    desk.tick(140);
    assert_eq!(desk.deadline_ms(), Some(190));
}

#[test]
fn time_in_which_nobody_else_waits_is_not_held_against_anyone() {
    let mut desk = Desk::new(100 * KIB, RULES);
    desk.has(0, 0);
    desk.has(1, 0);
    desk.answer_all();
    // Half is read: it has room and something to do.
    desk.has(0, 4 * KIB);
    desk.tick(5_000);
    assert_eq!(desk.offsets(), NONE);
    desk.has(0, 8 * KIB);
    assert_eq!(desk.deadline_ms(), Some(5_100));
}

#[test]
fn the_smaller_part_does_not_wait_for_the_larger_to_be_left_behind() {
    let mut desk = Desk::new(100 * KIB, RULES);
    (0..5).for_each(|index| desk.has(index, 0));
    desk.answer_all();
    let passed = desk.transfer.passed();
    desk.has(0, passed);
    desk.has(1, passed);
    desk.tick(3_000);
    assert_eq!(desk.offsets(), NONE, "three of five");
    desk.has(2, passed);
    assert_eq!(desk.deadline_ms(), Some(3_100), "two of five");
    desk.tick(3_100);
    assert_eq!(desk.answer(), (passed, vec![0, 1, 2]));
}

#[test]
fn a_sender_that_has_enough_to_send_is_not_held_up() {
    let mut desk = Desk::new(100 * KIB, RULES);
    desk.credit(1, 0, 4_096).expect("credit");
    desk.has(0, 0);
    desk.answer();
    desk.answer();
    assert_eq!(desk.offsets(), [2 * KIB, 3 * KIB]);
    desk.has(0, 2 * KIB);
    desk.tick(0);
    assert_ne!(
        desk.deadline_ms(),
        Some(100),
        "half of what it may be asked for"
    );
    desk.answer();
    desk.has(0, 3 * KIB);
    assert_eq!(desk.deadline_ms(), Some(100), "a quarter");
}

#[test]
fn when_everything_is_asked_for_nobody_is_held_up() {
    let rules = Rules {
        max_requested_bytes: 16 * 1_024,
        ..RULES
    };
    let mut desk = Desk::new(10 * KIB, rules);
    desk.has(0, 0);
    desk.answer_all();
    desk.credit(1, 7 * KIB, 1_024).expect("credit");
    desk.has(0, 8 * KIB);
    desk.tick(0);
    assert_eq!(desk.answer(), (7 * KIB, vec![1]));
    // It stands at the front and has no room, but what is left is under way.
    assert_eq!(desk.offsets(), [8 * KIB, 9 * KIB]);
    assert_ne!(desk.deadline_ms(), Some(100));
    desk.tick(100);
    assert_eq!(desk.answer(), (8 * KIB, vec![0]));
}

#[test]
fn who_is_alone_is_waited_for() {
    let mut desk = Desk::new(100 * KIB, RULES);
    desk.has(0, 0);
    desk.answer_all();
    desk.tick(9_999);
    assert_eq!(desk.offsets(), NONE);
    desk.has(0, 8 * KIB);
    assert_eq!(desk.answer(), (8 * KIB, vec![0]));
}

#[test]
fn who_leaves_does_not_hold_the_others_up() {
    let mut desk = one_holds_up_another();
    assert!(desk.remove(1));
    assert_eq!(desk.answer(), (8 * KIB, vec![0]));
}

#[test]
fn time_that_goes_back_stands_still() {
    let mut transfer = Transfer::new(10, None, &RULES, at_ms(1_000));
    assert!(transfer.credit(at_ms(0), id(0), 0, 10).is_ok());
    assert_eq!(transfer.deadline(), Some(at_ms(1_000)));
}
