//! When to ping, when to give a connection up. Knows no clock and no timer: the owner keeps one timer slot
//! per connection, in queues of constant duration, and reports what happens.
//!
//! ```text
//!            opened: arm PingDue
//!                   │
//!            ┌──────▼──────┐  fired: ping, arm PongWait   ┌──────────────┐ fired while not reading,
//!            │   PingDue   ├─────────────────────────────►│   PongWait   ├─┐ or resumed: arm PongWait
//!            └──────▲──────┘                              └─┬──────┬──▲──┘ │
//!                   └──── received: arm PingDue ────────────┘      │  └────┘
//!                                                       fired: timed out
//! ```
//!
//! Traffic before a ping is due costs nothing. A peer that falls silent is timed out no later than interval
//! and timeout after its last byte (while it is read from); one that sends anything within every stretch of
//! the timeout never is.

#[cfg(test)]
mod tests;

use core::time::Duration;

use crate::config::Heartbeat;

/// How many different times between pings there are: connections that open together do not stay together.
pub const PHASES: u8 = 16;

/// How many queues of timers the policy needs: see [`TimerClass::index`].
pub const TIMER_CLASSES: usize = PHASES as usize + 1;

/// A connection's own time between pings: one of [`PHASES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase(u8);

impl Phase {
    /// From a hash of the connection's id. O(1).
    pub const fn from_hash(hash: u64) -> Self {
        Self((hash >> 60) as u8)
    }

    /// From 0 to [`PHASES`] - 1.
    pub const fn index(self) -> u8 {
        self.0
    }
}

/// Which queue a timer waits in. All timers of a queue have the same duration, so appending keeps it sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerClass {
    /// Until the next ping.
    PingDue(Phase),
    /// Until a silent connection is given up.
    PongWait,
}

impl TimerClass {
    /// From 0 to [`TIMER_CLASSES`] - 1.
    pub const fn index(self) -> usize {
        match self {
            Self::PingDue(phase) => phase.0 as usize,
            Self::PongWait => PHASES as usize,
        }
    }
}

/// The durations of the queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    interval: Duration,
    timeout: Duration,
}

impl Schedule {
    /// `None`: pings are off.
    pub const fn new(config: &Heartbeat) -> Option<Self> {
        if config.interval_ms == 0 {
            return None;
        }
        Some(Self {
            interval: Duration::from_millis(config.interval_ms),
            timeout: Duration::from_millis(config.timeout_ms),
        })
    }

    /// How long timers of `class` run. Pings are due after 0.9 to 1.0 of the interval, evenly by phase. O(1).
    pub fn duration(&self, class: TimerClass) -> Duration {
        match class {
            TimerClass::PingDue(phase) => {
                let steps = u32::from(PHASES) - 1;
                let early = self.interval / (10 * steps) * (steps - u32::from(phase.0).min(steps));
                self.interval.saturating_sub(early)
            }
            TimerClass::PongWait => self.timeout,
        }
    }
}

/// What a connection's timer waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// To send the next ping.
    #[default]
    PingDue,
    /// For anything from the peer.
    PongWait,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Anything arrived from the peer.
    Received,
    /// The connection's timer ran out.
    Fired {
        /// Whether the server reads from the connection; while it does not, silence proves nothing.
        reading: bool,
    },
    /// The server reads again after a pause.
    Resumed,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Action {
    /// Nothing: the timer goes on.
    Nothing,
    /// Move the connection's timer to the end of this queue.
    Arm(TimerClass),
    /// Send a ping, then arm.
    Ping(TimerClass),
    /// Give the connection up.
    TimedOut,
}

/// The first timer of a connection. O(1).
pub const fn open(phase: Phase) -> (State, Action) {
    (State::PingDue, Action::Arm(TimerClass::PingDue(phase)))
}

/// What `event` means to a connection of this `phase`. O(1).
pub const fn step(state: State, event: Event, phase: Phase) -> (State, Action) {
    match (state, event) {
        (State::PingDue, Event::Fired { .. }) => {
            (State::PongWait, Action::Ping(TimerClass::PongWait))
        }
        (State::PingDue, Event::Received | Event::Resumed) => (state, Action::Nothing),
        (State::PongWait, Event::Received) => open(phase),
        (State::PongWait, Event::Fired { reading: true }) => (state, Action::TimedOut),
        // What the peer sent during the pause is only read now: it gets the whole wait once more.
        (State::PongWait, Event::Fired { reading: false } | Event::Resumed) => {
            (state, Action::Arm(TimerClass::PongWait))
        }
    }
}
