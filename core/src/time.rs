//! Time as the core knows it: numbers that a driver supplies.
//!
//! The core owns no clock. Every input carries a [`Now`]; deadlines come back as [`Instant`]s on the
//! same scale. Nothing here reads the machine's time.

#[cfg(test)]
mod tests;

use core::ops::{Add, Sub};
use core::time::Duration;

/// A point on the driver's monotone clock, in microseconds since an epoch of the driver's choice.
///
/// 64 bits of microseconds last 584,000 years; arithmetic saturates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The driver's epoch.
    pub const ZERO: Self = Self(0);
    /// Later than any deadline that the core arms.
    pub const FAR_FUTURE: Self = Self(u64::MAX);

    /// The instant `micros` microseconds after the driver's epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since the driver's epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Time from `earlier` to `self`; zero if `earlier` is the later one.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(micros(rhs)))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;
    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(micros(rhs)))
    }
}

/// The reading of both clocks that comes with an input.
///
/// `mono` drives every deadline; `unix_ms` is only ever shown to clients (`timestamp` fields, the `Date`
/// header) and may jump.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The monotone clock. A value earlier than one already seen is clamped to it and counted.
    pub mono: Instant,
    /// Wall clock in milliseconds since 1970-01-01T00:00:00Z.
    pub unix_ms: u64,
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
