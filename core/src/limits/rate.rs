//! How often something may happen: GCRA, a leaky bucket in one number.
//!
//! A bucket is the theoretical arrival time of GCRA (ITU-T I.371, annex A): when it will be full again. The
//! quota says what a unit costs in time. `count` units pass at once from a full bucket; in any stretch of
//! time `t`, at most `count + t * count / per_ms`. Every call is O(1) and total.

#[cfg(test)]
mod tests;

use core::time::Duration;

use crate::time::Instant;

/// `count` per `per_ms`, refilled evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    count: u32,
    // A unit of a bucket's time is 1/scale of a microsecond, chosen so that the time between two units is a
    // whole number of them: no rounding adds up, however long the bucket lives.
    scale: u64,
    interval: u64,
}

/// What one client has left of a [`Quota`]; full to begin with. It only means something to the quota that
/// it was made with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket(u64);

/// What follows a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escalation {
    /// Tell the client; keep the bucket.
    Tell(Bucket),
    /// Tell it, and do not listen to it until it may speak again; keep the bucket.
    Throttle(Bucket),
    /// It does not listen: close with 1008.
    Close,
}

impl Quota {
    /// `count` units per `per_ms` milliseconds; zeros count as one, windows of more than 366 days as 366 days.
    ///
    /// The rate is exact if the microseconds per unit have a denominator of at most 4,096, as every sensible
    /// setting does (100 per 60,000 ms, 1,200 per 10,000 ms). Otherwise a unit takes up to 1/4,096
    /// microsecond longer. Buckets work for 142 years of the driver's clock; later they let everything pass.
    pub const fn new(count: u32, per_ms: u64) -> Self {
        let count = if count == 0 { 1 } else { count };
        let per_us = match per_ms {
            0 => 1_000,
            1..MAX_PER_MS => per_ms * 1_000,
            _ => MAX_PER_MS * 1_000,
        };
        let divisor = greatest_common_divisor(per_us, count as u64);
        let (numerator, denominator) = (per_us / divisor, count as u64 / divisor);
        if denominator <= MAX_SCALE {
            return Self {
                count,
                scale: denominator,
                interval: numerator,
            };
        }
        let interval = (numerator as u128 * MAX_SCALE as u128).div_ceil(denominator as u128);
        Self {
            count,
            scale: MAX_SCALE,
            // Smaller than the numerator, which fits.
            interval: interval as u64,
        }
    }

    /// Takes `cost` units out of `bucket` at `now`; nothing costs more than a full bucket holds.
    ///
    /// To draw on several buckets or on none, check all of them before storing any.
    ///
    /// # Errors
    /// There is not enough: how long until there is, if nothing else is taken. After exactly that long the
    /// same check succeeds. See [`ceil_ms`].
    pub const fn check(&self, bucket: Bucket, now: Instant, cost: u32) -> Result<Bucket, Duration> {
        let cost = if cost > self.count { self.count } else { cost };
        let now = self.ticks(now);
        let start = if bucket.0 > now { bucket.0 } else { now };
        let full_again = start.saturating_add(self.interval.saturating_mul(cost as u64));
        let wait = full_again
            .saturating_sub(now)
            .saturating_sub(self.interval.saturating_mul(self.count as u64));
        if wait == 0 {
            Ok(Bucket(full_again))
        } else {
            Err(Duration::from_micros(wait.div_ceil(self.scale)))
        }
    }

    /// Takes `cost` units that were used elsewhere, whether or not they are there; what is missing then is never
    /// more than a full bucket holds.
    pub const fn take(&self, bucket: Bucket, now: Instant, cost: u32) -> Bucket {
        let now = self.ticks(now);
        let start = if bucket.0 > now { bucket.0 } else { now };
        let taken = start.saturating_add(self.interval.saturating_mul(cost as u64));
        let empty = now.saturating_add(self.interval.saturating_mul(self.count as u64));
        Bucket(if taken < empty { taken } else { empty })
    }

    /// Whether nothing is missing from `bucket` at `now`, so that it can be forgotten.
    pub const fn is_full(&self, bucket: Bucket, now: Instant) -> bool {
        bucket.0 <= self.ticks(now)
    }

    /// Counts a refusal. With `self` as the quota of refusals, `refusals` as what the client has left of it.
    ///
    /// `wait` is how long a client that spoke too early has to wait. Once it has had more than `tolerated` refusals it
    /// is not listened to that long, and no refusal is forgiven meanwhile: otherwise one that goes on would never
    /// run out of them.
    pub const fn escalate(
        &self,
        refusals: Bucket,
        now: Instant,
        tolerated: u32,
        wait: Option<Duration>,
    ) -> Escalation {
        let Ok(left) = self.check(refusals, now, 1) else {
            return Escalation::Close;
        };
        let last_ones = self.count.saturating_sub(tolerated);
        match wait {
            Some(wait) if self.check(left, now, last_ones).is_err() => {
                Escalation::Throttle(Bucket(left.0.saturating_add(self.ticks_of(wait))))
            }
            _ => Escalation::Tell(left),
        }
    }

    /// How many units a full bucket holds.
    pub const fn count(&self) -> u32 {
        self.count
    }

    const fn ticks(&self, now: Instant) -> u64 {
        now.as_micros().saturating_mul(self.scale)
    }

    const fn ticks_of(&self, duration: Duration) -> u64 {
        let micros = duration.as_micros();
        let micros = if micros > u64::MAX as u128 {
            u64::MAX
        } else {
            micros as u64
        };
        micros.saturating_mul(self.scale)
    }
}

/// Whole milliseconds, rounded up: who waits that long has waited long enough.
pub const fn ceil_ms(duration: Duration) -> u64 {
    let ms = duration.as_nanos().div_ceil(1_000_000);
    if ms > u64::MAX as u128 {
        u64::MAX
    } else {
        ms as u64
    }
}

const fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// 366 days: a window times [`MAX_SCALE`] must stay far below 2^64.
const MAX_PER_MS: u64 = 366 * 24 * 60 * 60 * 1_000;

/// 2^64 microseconds over this are 142 years.
const MAX_SCALE: u64 = 4_096;
