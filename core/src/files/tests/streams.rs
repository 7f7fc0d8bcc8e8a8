//! Who is behind, and how it gets on.

use super::desk::{Desk, KIB, NONE, RULES};
use crate::files::Rules;

/// One receiver that reads at once, with so many KiB passed and nothing under way.
fn ahead(kib: u64, rules: Rules) -> Desk {
    let mut desk = Desk::new(1_000 * KIB, rules);
    desk.has(0, 0);
    while desk.transfer.passed() < kib * KIB {
        desk.answer();
        if desk.transfer.passed() <= (kib - 8) * KIB {
            desk.has(0, desk.transfer.passed());
        }
    }
    assert_eq!(
        (desk.transfer.passed(), desk.offsets()),
        (kib * KIB, vec![])
    );
    desk
}

#[test]
fn who_comes_late_gets_its_own_pieces_and_then_joins() {
    let mut desk = ahead(10, RULES);
    desk.has(1, 5 * KIB);
    for offset in [5, 6, 7, 8, 9] {
        assert_eq!(desk.answer(), (offset * KIB, vec![1]));
    }
    assert_eq!(desk.offsets(), NONE);
    desk.has(0, 10 * KIB);
    assert_eq!(desk.answer(), (10 * KIB, vec![0, 1]));
}

#[test]
fn what_comes_by_is_for_all_who_stand_there() {
    let mut desk = ahead(16, RULES);
    desk.has(1, 0);
    desk.has(2, 0);
    desk.credit(3, 0, 1_024).expect("credit");
    desk.has(4, 3 * KIB);
    assert_eq!(desk.answer(), (0, vec![1, 2, 3]));
    assert_eq!(desk.answer(), (KIB, vec![1, 2]));
    assert_eq!(desk.answer(), (3 * KIB, vec![4]));
}

#[test]
fn who_is_a_little_behind_catches_up_with_a_front_that_moves_on() {
    let mut desk = ahead(16, RULES);
    desk.has(0, 16 * KIB);
    desk.has(1, 16 * KIB - 512);
    let mut next = 16 * KIB - 512;
    while !desk.wanted.is_empty() {
        let length = u64::from(desk.wanted[0].length_bytes);
        let (offset, to) = desk.answer();
        if to.contains(&1) {
            assert_eq!(offset, next);
            next += length;
            desk.has(1, next);
        }
    }
    assert_eq!((next, desk.transfer.passed()), (24 * KIB, 24 * KIB));
    desk.has(0, 24 * KIB);
    assert_eq!(desk.answer(), (24 * KIB, vec![0, 1]));
}

#[test]
fn a_piece_goes_as_far_as_the_front_has_asked() {
    let rules = Rules {
        max_requested_bytes: 16 * 1_024,
        ..RULES
    };
    let mut desk = ahead(16, rules);
    desk.has(0, 16 * KIB);
    desk.has(1, 16 * KIB - 512);
    // When it comes, the front has passed all of it.
    let piece = desk.wanted[8];
    assert_eq!((piece.offset, piece.length_bytes), (16 * KIB - 512, 1_024));
    assert!(desk.transfer.passed() < piece.offset + 1_024);
    (0..8).for_each(|_| assert_eq!(desk.answer().1, [0]));
    assert_eq!(desk.answer(), (16 * KIB - 512, vec![1]));
}

#[test]
fn there_are_few_streams_and_turns_are_taken() {
    let mut desk = Desk::new(40 * KIB, RULES);
    desk.has(0, 0);
    while desk.transfer.passed() < 40 * KIB {
        desk.answer_all();
        desk.has(0, desk.transfer.passed());
    }
    for index in 1..5 {
        desk.has(index, u64::from(index) * 8 * KIB - 8 * KIB);
    }
    let mut turns = Vec::new();
    for _ in 0..12 {
        turns.extend(desk.answer().1);
    }
    // The first had the sender for itself, before the others came.
    assert_eq!(turns, [1, 1, 1, 1, 2, 3, 4, 1, 2, 3, 4, 1]);
}

#[test]
fn streams_get_a_third_of_a_busy_sender() {
    let mut desk = ahead(40, RULES);
    desk.has(1, 0);
    let mut passed = [0, 0];
    for _ in 0..60 {
        let (_, to) = desk.answer();
        assert_eq!(to.len(), 1);
        passed[to[0] as usize] += 1;
        desk.has(0, desk.transfer.passed());
        if to == [1] {
            desk.has(1, passed[1] * KIB);
        }
    }
    assert!((18..=24).contains(&passed[1]), "{passed:?}");
}

#[test]
fn when_the_front_is_through_the_streams_have_the_sender() {
    let mut desk = Desk::new(8 * KIB, RULES);
    desk.has(0, 0);
    desk.answer_all();
    desk.has(1, 0);
    assert_eq!(desk.offsets(), [0, KIB, 2 * KIB, 3 * KIB]);
    desk.answer_all();
    desk.end();
    assert_eq!(desk.ended(), [0, 1]);
}

#[test]
fn pieces_for_one_that_has_left_do_no_harm() {
    let mut desk = ahead(16, RULES);
    desk.has(1, 0);
    assert!(desk.remove(1));
    desk.has(2, 8 * KIB);
    let mut passed = Vec::new();
    while !desk.wanted.is_empty() {
        passed.push(desk.answer());
    }
    assert_eq!(passed[0], (0, vec![]));
    let to: Vec<u64> = passed
        .iter()
        .filter(|(_, to)| to == &[2])
        .map(|(offset, _)| offset / KIB)
        .collect();
    assert_eq!(to, [8, 9, 10, 11, 12, 13, 14, 15]);
    assert_eq!(passed.len(), 10);
}

#[test]
fn one_that_leaves_and_comes_back_at_once_leads_no_stream_from_before() {
    let mut desk = Desk::new(16 * KIB, RULES);
    desk.has(0, 0);
    desk.answer_all();
    desk.has(0, 8 * KIB);
    desk.answer_all();
    desk.has(1, 0);
    assert_eq!(desk.offsets(), [0, KIB, 2 * KIB, 3 * KIB]);
    assert!(desk.remove(1));
    desk.has(1, 8 * KIB);
    let mut to = Vec::new();
    for _ in 0..12 {
        to.extend(desk.answer().1);
    }
    assert_eq!(to, [1; 8]);
    assert_eq!(desk.offsets(), NONE);
}
