//! Tests of the budgets of a turn.

use super::*;

#[test]
fn each_budget_is_spent_on_its_own() {
    let mut turn = TurnBudget::new();
    assert_eq!((0..100).filter(|_| turn.accept()).count(), 64);
    let clock = ClockBase::new();
    let later = clock.now().mono + Duration::from_secs(60);
    let polled = (0..5_000).filter(|_| turn.output(&clock, later)).count();
    assert_eq!(polled, 4_096);
    assert_eq!((0..10).filter(|&reads| turn.read(reads)).count(), 4);
}

#[test]
fn a_turn_is_cut_short_only_by_a_refusal() {
    let mut turn = TurnBudget::new();
    for _ in 0..ACCEPTS_PER_TURN {
        assert!(turn.accept());
    }
    let clock = ClockBase::new();
    let later = clock.now().mono + Duration::from_secs(60);
    assert!(turn.read(0) && turn.output(&clock, later));
    assert!(!turn.cut_short());
    assert!(!turn.accept());
    assert!(turn.cut_short());
}

/// The clock is looked at before the first output and every few after it.
#[test]
fn a_turn_ends_when_its_time_is_up() {
    let mut turn = TurnBudget::new();
    let clock = ClockBase::new();
    let now = clock.now().mono;
    assert!(!turn.output(&clock, now));
    assert!(turn.cut_short());
    let polled = (0..100).filter(|_| turn.output(&clock, now)).count();
    assert!(polled < 100);
}
