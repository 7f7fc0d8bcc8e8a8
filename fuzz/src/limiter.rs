//! The rate limit.
//!
//! Promises: in no stretch of time passes more than the quota says; who waits as long as told gets through,
//! and not a microsecond earlier.

use core::time::Duration;

use roomwire_core::Instant;
use roomwire_core::limits::rate::{Bucket, Escalation, Quota, ceil_ms};

use crate::input::Choices;

/// A quota, then a sequence of attempts.
pub fn target(data: &[u8]) {
    let mut choices = Choices::new(data);
    let (count, per_ms) = match choices.below(4) {
        0 => (100, 60_000),
        1 => (u32::from(choices.byte()), u64::from(choices.byte())),
        2 => (u32::from(choices.short()), u64::from(choices.short())),
        _ => (choices.number() as u32, choices.number()),
    };
    let quota = Quota::new(count, per_ms);
    assert_eq!(quota.count(), count.max(1));
    let per_us = per_ms.clamp(1, MAX_PER_MS) * 1_000;
    check_attempts(quota, per_us, &mut choices);
}

fn check_attempts(quota: Quota, per_us: u64, choices: &mut Choices<'_>) {
    let mut now_us = choices.number() & LATEST_START_US;
    let mut bucket = Bucket::default();
    let mut log: Vec<(u64, u32)> = Vec::new();
    for _ in 0..MAX_ATTEMPTS {
        if choices.is_empty() {
            break;
        }
        now_us += match choices.below(4) {
            0 => 0,
            1 => u64::from(choices.byte()),
            2 => choices.number() & LATEST_START_US,
            _ => per_us / u64::from(quota.count()),
        };
        now_us = now_us.min(LATEST_US);
        let cost = match choices.below(4) {
            0 | 1 => 1,
            2 => u32::from(choices.byte()),
            _ => choices.number() as u32,
        };
        let now = Instant::from_micros(now_us);
        match quota.check(bucket, now, cost) {
            Ok(left) => {
                bucket = left;
                log.push((now_us, cost.min(quota.count())));
            }
            Err(wait) => check_wait(quota, bucket, now, cost, wait),
        }
        check_escalation(quota, bucket, now);
    }
    check_windows(&log, quota.count(), per_us);
    // A window later, and the rounding of all its units, everything is there again.
    let later = Instant::from_micros(now_us + per_us + u64::from(quota.count()) / 4_096 + 2);
    assert!(quota.is_full(bucket, later));
}

fn check_wait(quota: Quota, bucket: Bucket, now: Instant, cost: u32, wait: Duration) {
    assert!(!wait.is_zero());
    assert!(quota.check(bucket, now + wait, cost).is_ok());
    let early = now + (wait - Duration::from_micros(1));
    assert!(quota.check(bucket, early, cost).is_err());
    let told = Duration::from_millis(ceil_ms(wait));
    assert!(told >= wait && told < wait + Duration::from_millis(1));
    assert!(!quota.is_full(bucket, now));
}

fn check_escalation(quota: Quota, bucket: Bucket, now: Instant) {
    let check = quota.check(bucket, now, 1);
    match (quota.escalate(bucket, now, 1, None), check) {
        (Escalation::Tell(left), Ok(same)) => assert_eq!(left, same),
        (Escalation::Close, Err(_)) => {}
        (escalation, check) => panic!("{escalation:?}, but {check:?}"),
    }
    let wait = Duration::from_millis(3);
    match (quota.escalate(bucket, now, 1, Some(wait)), check) {
        (Escalation::Tell(left), Ok(same)) => assert_eq!(left, same),
        // As if no time had passed when it is over.
        (Escalation::Throttle(left), Ok(same)) => {
            let allowed = |bucket, now| quota.check(bucket, now, 1).is_ok();
            assert_eq!(allowed(left, now + wait), allowed(same, now));
            assert!(!quota.is_full(left, now + wait));
        }
        (Escalation::Close, Err(_)) => {}
        (escalation, check) => panic!("{escalation:?}, but {check:?}"),
    }
}

/// Between any two admitted attempts, both included: at most a full bucket and what flows in meanwhile.
fn check_windows(log: &[(u64, u32)], count: u32, per_us: u64) {
    for (first, &(from, _)) in log.iter().enumerate() {
        let mut sum = 0_u128;
        for &(to, cost) in &log[first..] {
            sum += u128::from(cost);
            let flowed = u128::from(to - from) * u128::from(count);
            let beyond = sum.saturating_sub(u128::from(count)) * u128::from(per_us);
            assert!(beyond <= flowed, "{sum} units in {} us", to - from);
        }
    }
}

const MAX_ATTEMPTS: usize = 200;
const MAX_PER_MS: u64 = 366 * 24 * 60 * 60 * 1_000;
/// About 36 years: with the longest window still within the 142 years that buckets work for.
const LATEST_START_US: u64 = (1 << 50) - 1;
const LATEST_US: u64 = (1 << 51) - 1;
