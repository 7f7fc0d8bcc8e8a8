use proptest::prelude::*;

use super::*;

proptest! {
    /// Against numbers that are wide enough.
    #[test]
    fn arithmetic_saturates(at in any::<u64>(), seconds in any::<u64>(), nanos in 0..1_000_000_000_u32) {
        let instant = Instant::from_micros(at);
        let duration = Duration::new(seconds, nanos);
        let micros = duration.as_micros();
        let later = (u128::from(at) + micros).min(u128::from(u64::MAX));
        let earlier = u128::from(at).saturating_sub(micros);
        prop_assert_eq!(u128::from((instant + duration).as_micros()), later);
        prop_assert_eq!(u128::from((instant - duration).as_micros()), earlier);
    }

    #[test]
    fn time_between_instants_is_never_negative(a in any::<u64>(), b in any::<u64>()) {
        let (a, b) = (Instant::from_micros(a), Instant::from_micros(b));
        let between = a.saturating_since(b);
        if a >= b {
            prop_assert_eq!(b + between, a);
        } else {
            prop_assert_eq!(between, Duration::ZERO);
        }
    }
}

#[test]
fn the_ends_of_time_stay() {
    assert_eq!(Instant::FAR_FUTURE + Duration::MAX, Instant::FAR_FUTURE);
    assert_eq!(Instant::ZERO - Duration::MAX, Instant::ZERO);
    assert_eq!(Instant::ZERO + Duration::MAX, Instant::FAR_FUTURE);
    assert_eq!(Instant::ZERO + Duration::from_nanos(999), Instant::ZERO);
}
