//! Tests of the ledger.

use proptest::prelude::*;

use super::Budget;

#[test]
fn the_cap_is_inclusive() {
    let mut budget = Budget::new(10);
    assert!(budget.fits(10) && !budget.fits(11));
    budget.charge(10);
    assert!(!budget.over() && budget.fits(0) && !budget.fits(1));
    budget.charge(1);
    assert!(budget.over() && !budget.fits(0));
    budget.release(1);
    assert!(!budget.over());
    assert_eq!(
        (budget.used_bytes(), budget.peak_bytes(), budget.cap_bytes()),
        (10, 11, 10)
    );
    assert_eq!(budget.mismatches(), 0);
}

#[test]
fn a_wrong_count_saturates_and_shows() {
    let mut budget = Budget::new(10);
    budget.charge(3);
    budget.release(4);
    assert_eq!((budget.used_bytes(), budget.mismatches()), (0, 1));
    budget.charge(usize::MAX);
    budget.charge(1);
    assert_eq!((budget.used_bytes(), budget.mismatches()), (usize::MAX, 2));
    assert!(budget.over() && !budget.fits(usize::MAX));
}

proptest! {
    #[test]
    fn it_agrees_with_a_sum(cap in 0_usize..500, steps in prop::collection::vec((any::<bool>(), 0_usize..300), 0..50)) {
        let mut budget = Budget::new(cap);
        let (mut used, mut peak) = (0_usize, 0_usize);
        for (charge, bytes) in steps {
            if charge {
                budget.charge(bytes);
                used += bytes;
                peak = peak.max(used);
            } else {
                let bytes = bytes.min(used);
                budget.release(bytes);
                used -= bytes;
            }
            prop_assert_eq!(budget.used_bytes(), used);
            prop_assert_eq!(budget.over(), used > cap);
            prop_assert_eq!(budget.fits(7), used + 7 <= cap);
        }
        prop_assert_eq!(budget.peak_bytes(), peak);
        prop_assert_eq!(budget.mismatches(), 0);
    }
}
