//! Tests of the budgets of a turn.

use super::*;

#[test]
fn each_budget_is_spent_on_its_own() {
    let mut turn = TurnBudget::new();
    assert_eq!((0..100).filter(|_| turn.accept()).count(), 64);
    assert_eq!((0..5_000).filter(|_| turn.output()).count(), 4_096);
    assert_eq!((0..10).filter(|&reads| turn.read(reads)).count(), 4);
}

#[test]
fn a_turn_is_cut_short_only_by_a_refusal() {
    let mut turn = TurnBudget::new();
    for _ in 0..ACCEPTS_PER_TURN {
        assert!(turn.accept());
    }
    assert!(turn.read(0) && turn.output());
    assert!(!turn.cut_short());
    assert!(!turn.accept());
    assert!(turn.cut_short());
}
