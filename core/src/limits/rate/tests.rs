//! Tests of the rate limit, against sums over the log of what was admitted.

use proptest::prelude::*;

use super::*;

fn at(micros: u64) -> Instant {
    Instant::from_micros(micros)
}

fn us(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

/// Admits one unit at every time in `times`; returns when it did.
fn admitted(quota: &Quota, times: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let mut bucket = Bucket::default();
    let mut log = Vec::new();
    for time in times {
        if let Ok(next) = quota.check(bucket, at(time), 1) {
            bucket = next;
            log.push(time);
        }
    }
    log
}

// covers A9-05
#[test]
fn a_hundred_at_once_and_then_one_every_600_ms() {
    let quota = Quota::new(100, 60_000);
    let mut bucket = Bucket::default();
    let now = at(5_000_000);
    for _ in 0..100 {
        bucket = quota.check(bucket, now, 1).expect("one of the first 100");
    }
    assert_eq!(quota.check(bucket, now, 1), Err(us(600_000)));
    assert_eq!(quota.check(bucket, now, 3), Err(us(1_800_000)));
    assert_eq!(quota.check(bucket, now + us(599_999), 1), Err(us(1)));
    bucket = quota
        .check(bucket, now + us(600_000), 1)
        .expect("after 600 ms");
    assert_eq!(quota.check(bucket, now + us(600_000), 1), Err(us(600_000)));
    assert!(!quota.is_full(bucket, now + us(60_599_999)));
    assert!(quota.is_full(bucket, now + us(60_600_000)));
}

#[test]
fn the_rate_never_drifts() {
    for (count, per_ms) in [
        (100, 60_000),
        (7, 1_000),
        (1_200, 10_000),
        (3, 1),
        (4_096, 1_001),
    ] {
        let quota = Quota::new(count, per_ms);
        let mut bucket = Bucket::default();
        let mut taken = 0_u64;
        let rounds = 10_000;
        for round in 0..=rounds {
            let now = at(round * per_ms * 1_000);
            while let Ok(next) = quota.check(bucket, now, 1) {
                bucket = next;
                taken += 1;
            }
        }
        assert_eq!(
            taken,
            (rounds + 1) * u64::from(count),
            "{count} per {per_ms} ms"
        );
    }
}

#[test]
fn an_odd_rate_is_rounded_down_by_no_more_than_documented() {
    let quota = Quota::new(99_991, 60_000);
    let mut bucket = Bucket::default();
    let mut taken = 0_u64;
    for round in 0..100 {
        while let Ok(next) = quota.check(bucket, at(round * 60_000_000), 1) {
            bucket = next;
            taken += 1;
        }
    }
    let exact = 100 * 99_991;
    assert!(taken <= exact && taken > exact - 99 * 50, "{taken}");
}

#[test]
fn nothing_costs_more_than_a_full_bucket() {
    let quota = Quota::new(10, 1_000);
    let bucket = quota
        .check(Bucket::default(), at(0), u32::MAX)
        .expect("clamped");
    assert_eq!(Ok(bucket), quota.check(Bucket::default(), at(0), 10));
    assert_eq!(quota.check(bucket, at(0), u32::MAX), Err(us(1_000_000)));
    assert_eq!(quota.check(bucket, at(0), 0), Ok(bucket));
}

#[test]
fn extremes_are_safe() {
    for (count, per_ms) in [
        (0, 0),
        (1, 0),
        (0, 1),
        (u32::MAX, 1),
        (u32::MAX, u64::MAX),
        (1, u64::MAX),
    ] {
        let quota = Quota::new(count, per_ms);
        assert_eq!(quota.count(), count.max(1));
        for now in [Instant::ZERO, at(1 << 51), Instant::FAR_FUTURE] {
            for bucket in [Bucket::default(), Bucket(u64::MAX), Bucket(1 << 63)] {
                for cost in [0, 1, u32::MAX] {
                    let _ = quota.check(bucket, now, cost);
                    let _ = quota.is_full(bucket, now);
                }
            }
        }
        let full = quota
            .check(Bucket::default(), at(1 << 50), u32::MAX)
            .expect("full");
        assert!(
            quota.check(full, at(1 << 50), 1).is_err(),
            "{count} per {per_ms}"
        );
    }
}

// covers A9-05
#[test]
fn who_does_not_listen_is_closed() {
    let quota = Quota::new(2, 1_000);
    let tell = |refusals, now| quota.escalate(refusals, now, 2, Some(Duration::from_secs(1)));
    let mut refusals = Bucket::default();
    for _ in 0..2 {
        let Escalation::Tell(next) = tell(refusals, at(0)) else {
            panic!("too early");
        };
        refusals = next;
    }
    assert_eq!(tell(refusals, at(0)), Escalation::Close);
    assert!(matches!(tell(refusals, at(500_000)), Escalation::Tell(_)));
}

// covers A9-05
#[test]
fn warned_then_throttled_then_closed_however_fast_refusals_are_forgiven() {
    for wait_us in [1, 600_000, 60_000_000] {
        let wait = Duration::from_micros(wait_us);
        let quota = Quota::new(10, 60_000);
        let (mut refusals, mut now) = (Bucket::default(), at(7));
        let mut steps = Vec::new();
        loop {
            match quota.escalate(refusals, now, 4, Some(wait)) {
                Escalation::Tell(left) => {
                    steps.push('t');
                    refusals = left;
                }
                Escalation::Throttle(left) => {
                    steps.push('T');
                    refusals = left;
                    now = now + wait;
                }
                Escalation::Close => break,
            }
        }
        assert_eq!(steps.iter().collect::<String>(), "ttttTTTTTT", "{wait:?}");
    }
}

#[test]
fn only_who_speaks_too_early_is_throttled() {
    let quota = Quota::new(3, 60_000);
    let wait = Some(Duration::from_secs(1));
    let fresh = Bucket::default();
    assert!(matches!(
        quota.escalate(fresh, at(0), 0, None),
        Escalation::Tell(_)
    ));
    assert!(matches!(
        quota.escalate(fresh, at(0), 0, wait),
        Escalation::Throttle(_)
    ));
    for never in [3, u32::MAX] {
        let Escalation::Tell(next) = quota.escalate(fresh, at(0), never, wait) else {
            panic!("throttled");
        };
        assert!(matches!(
            quota.escalate(next, at(0), never, wait),
            Escalation::Tell(_)
        ));
    }
}

#[test]
fn no_wait_is_too_long_to_be_counted() {
    let quota = Quota::new(10, 60_000);
    let beyond = Duration::from_micros(u64::MAX) + Duration::from_micros(1);
    for wait in [beyond, Duration::MAX] {
        let step = quota.escalate(Bucket::default(), at(0), 0, Some(wait));
        let Escalation::Throttle(left) = step else {
            panic!("{step:?}");
        };
        assert!(quota.check(left, at(1 << 50), 1).is_err(), "{wait:?}");
    }
}

#[test]
fn a_window_has_at_most_366_days() {
    let year = 366 * 24 * 60 * 60 * 1_000;
    assert_eq!(Quota::new(7, u64::MAX), Quota::new(7, year));
    assert_eq!(Quota::new(7, year + 1), Quota::new(7, year));
    assert_ne!(Quota::new(7, year - 1), Quota::new(7, year));
}

#[test]
fn milliseconds_round_up() {
    for (duration, ms) in [
        (us(0), 0),
        (us(1), 1),
        (us(1_000), 1),
        (us(1_001), 2),
        (Duration::MAX, u64::MAX),
    ] {
        assert_eq!(ceil_ms(duration), ms);
    }
}

fn any_quota() -> impl Strategy<Value = (u32, u64)> {
    prop_oneof![(1_u32..20, 1_u64..50), (1_u32..200_000, 1_u64..100_000)]
}

proptest! {
    #[test]
    fn no_window_admits_more_than_burst_and_refill(
        (count, per_ms) in (1_u32..12, 1_u64..20),
        gaps in prop::collection::vec(0_u64..3_000, 1..200),
        start in 0_u64..1_000_000,
    ) {
        let times = gaps.iter().scan(start, |now, gap| { *now += gap; Some(*now) });
        let log = admitted(&Quota::new(count, per_ms), times);
        for (first, from) in log.iter().enumerate() {
            for (last, to) in log.iter().enumerate().skip(first) {
                let refilled = (to - from) * u64::from(count) / (per_ms * 1_000);
                prop_assert!((last - first + 1) as u64 <= u64::from(count) + refilled);
            }
        }
    }

    #[test]
    fn it_agrees_with_a_bucket_of_exact_fractions(
        (count, per_ms) in (1_u32..50, 1_u64..50),
        steps in prop::collection::vec((0_u64..20_000, 0_u32..8), 1..200),
    ) {
        // Tokens in units of 1/per_us: they refill by `count` per microsecond, one costs per_us.
        let quota = Quota::new(count, per_ms);
        let per_us = per_ms * 1_000;
        let full = u64::from(count) * per_us;
        let (mut bucket, mut tokens, mut now) = (Bucket::default(), full, 0_u64);
        for (gap, cost) in steps {
            now += gap;
            tokens = full.min(tokens + gap * u64::from(count));
            let price = u64::from(cost.min(count)) * per_us;
            match quota.check(bucket, at(now), cost) {
                Ok(next) => {
                    prop_assert!(price <= tokens);
                    tokens -= price;
                    bucket = next;
                }
                Err(wait) => {
                    prop_assert!(price > tokens);
                    prop_assert_eq!(wait, us((price - tokens).div_ceil(u64::from(count))));
                }
            }
            prop_assert_eq!(quota.is_full(bucket, at(now)), tokens == full);
        }
    }

    #[test]
    fn the_wait_is_long_enough_and_no_longer(
        (count, per_ms) in any_quota(),
        steps in prop::collection::vec((0_u64..5_000, 0_u32..30), 1..100),
    ) {
        let quota = Quota::new(count, per_ms);
        let (mut bucket, mut now) = (Bucket::default(), 0_u64);
        for (gap, cost) in steps {
            now += gap;
            match quota.check(bucket, at(now), cost) {
                Ok(next) => bucket = next,
                Err(wait) => {
                    let wait_us = u64::try_from(wait.as_micros()).unwrap();
                    prop_assert!(wait_us > 0);
                    prop_assert_eq!(quota.check(bucket, at(now + wait_us - 1), cost), Err(us(1)));
                    let in_ms = at(now + ceil_ms(wait) * 1_000);
                    prop_assert!(quota.check(bucket, at(now) + wait, cost).is_ok());
                    prop_assert!(quota.check(bucket, in_ms, cost).is_ok());
                }
            }
        }
    }

    #[test]
    fn who_keeps_to_the_rate_is_never_refused(
        (count, per_ms) in (1_u32..60, 1_u64..60),
        slack in prop::collection::vec(0_u64..100, 1..300),
    ) {
        // The n-th message comes no earlier than n intervals after the first, however late others were.
        let quota = Quota::new(count, per_ms);
        let due = |n: usize| (n as u64 * per_ms * 1_000).div_ceil(u64::from(count));
        let mut late = 0;
        let times: Vec<_> = slack.iter().enumerate().map(|(n, slack)| { late = late.max(*slack); due(n) + late }).collect();
        prop_assert_eq!(admitted(&quota, times.iter().copied()), times);
    }

    #[test]
    fn a_full_bucket_is_as_good_as_new((count, per_ms) in any_quota(), cost in 1_u32..300_000, now in 0_u64..1 << 40) {
        let quota = Quota::new(count, per_ms);
        let used = quota.check(Bucket::default(), at(now), cost).unwrap();
        prop_assert!(!quota.is_full(used, at(now)));
        let later = at(now + per_ms * 1_000 + per_ms);
        prop_assert!(quota.is_full(used, later) || count > 4_096);
        if quota.is_full(used, later) {
            prop_assert_eq!(quota.check(used, later, 3), quota.check(Bucket::default(), later, 3));
        }
    }
}

#[test]
fn a_rate_of_many_units_is_as_exact_as_that_of_few() {
    for (count, per_ms) in [(3, 1), (6_000, 2), (30_000, 10)] {
        let quota = Quota::new(count, per_ms);
        let full = quota.check(Bucket::default(), at(7), count);
        let bucket = full.expect("all of them at once");
        let whole = us(per_ms * 1_000);
        assert_eq!(quota.check(bucket, at(7), count), Err(whole));
        assert!(quota.check(bucket, at(7) + whole, count).is_ok());
    }
}
