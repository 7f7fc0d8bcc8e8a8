//! Real time on the scale of the core: the only place of an adapter that reads the machine's clocks.

use std::time::{Duration, Instant, SystemTime};

use roomwire_core::Now;

/// The epoch of a process's monotone clock. Threads that exchange instants must share one (it is `Copy`).
#[derive(Clone, Copy, Debug)]
pub struct ClockBase {
    epoch: Instant,
}

impl ClockBase {
    /// An epoch of now.
    pub fn new() -> Self {
        Self {
            epoch: Instant::now(),
        }
    }

    /// Reads both clocks. Once a turn is enough. A wall clock before 1970 reads as 0.
    pub fn now(&self) -> Now {
        let unix = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Now {
            mono: self.to_core(Instant::now()),
            unix_ms: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// The standard library's instant as the core's, rounded down to a microsecond; zero if before the epoch.
    pub fn to_core(&self, instant: Instant) -> roomwire_core::Instant {
        roomwire_core::Instant::ZERO + instant.saturating_duration_since(self.epoch)
    }

    /// The core's instant as the standard library's: sleeping until it makes the deadline due. `None` if it
    /// lies too far ahead to be expressed.
    pub fn to_std(&self, instant: roomwire_core::Instant) -> Option<Instant> {
        self.epoch
            .checked_add(Duration::from_micros(instant.as_micros()))
    }

    /// Time until a deadline; zero if it is due. Reads the clock.
    pub fn until(&self, deadline: roomwire_core::Instant) -> Duration {
        Duration::from_micros(deadline.as_micros()).saturating_sub(self.epoch.elapsed())
    }
}

impl Default for ClockBase {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
