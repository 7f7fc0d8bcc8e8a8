//! Whether the other end lives. Knows no clock and no messages.
//!
//! ```text
//!           welcome            due: ask                          due: give up
//!   (off) ───────────► Resting ─────────► Asked ────────────────────────────►
//!                         ▲                │ ▲ │ due, but something came, or the timer was late,
//!                         └── its answer ──┘ └─┘ or nothing was read: ask again
//! ```
//!
//! A peer that falls silent is given up no later than interval and timeout after its last sign of life (twice the timeout,
//! if that is longer), as long as time is told when it is due. The answer to another ping is no sign of now.

#[cfg(test)]
mod tests;

use core::time::Duration;

use super::config::{SessionConfig, ms};
use crate::time::Instant;

/// The signs of life of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Heartbeat {
    interval: Duration,
    timeout: Duration,
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Off,
    Resting {
        until: Instant,
    },
    Asked {
        /// The ping; `None` if it could not even be queued.
        ping: Option<u64>,
        until: Instant,
        heard: bool,
        /// The timer was late once already.
        last_time: bool,
    },
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Action {
    Nothing,
    /// Send a ping, then say so by [`Heartbeat::asked`].
    Ask {
        last_time: bool,
    },
    GiveUp,
}

impl Heartbeat {
    /// Off until [`rest`](Self::rest).
    pub(super) const fn new(config: &SessionConfig) -> Self {
        Self {
            interval: ms(config.heartbeat_interval_ms),
            timeout: ms(config.heartbeat_timeout_ms),
            state: State::Off,
        }
    }

    /// All is well until the next ping is due.
    pub(super) fn rest(&mut self, now: Instant) {
        if !self.interval.is_zero() {
            let until = now + self.interval;
            self.state = State::Resting { until };
        }
    }

    /// Nothing outlives its connection.
    pub(super) const fn stop(&mut self) {
        self.state = State::Off;
    }

    pub(super) const fn due(&self) -> Option<Instant> {
        match self.state {
            State::Off => None,
            State::Resting { until } | State::Asked { until, .. } => Some(until),
        }
    }

    /// Something came, other than a pong.
    pub(super) const fn heard(&mut self) {
        if let State::Asked { heard, .. } = &mut self.state {
            *heard = true;
        }
    }

    /// An answer to `ping` came; whether that is the ping that was asked for last.
    pub(super) fn answered(&mut self, now: Instant, ping: u64) -> bool {
        let is_last = matches!(self.state, State::Asked { ping: Some(asked), .. } if asked == ping);
        if is_last {
            self.rest(now);
        }
        is_last
    }

    /// A ping was sent, or could not be.
    pub(super) fn asked(&mut self, now: Instant, ping: Option<u64>, last_time: bool) {
        self.state = State::Asked {
            ping,
            until: now + self.timeout,
            heard: false,
            last_time,
        };
    }

    /// Whether a ping may be sent before it is due.
    pub(super) const fn is_resting(&self) -> bool {
        matches!(self.state, State::Resting { .. })
    }

    /// Time has passed. While nothing is read (`reading`), silence proves nothing. Who was held up asks once more: the
    /// answer may have come and not been looked at, or the network only just be back.
    pub(super) fn fire(&self, now: Instant, reading: bool) -> Action {
        match self.state {
            State::Resting { until } if now >= until => Action::Ask { last_time: false },
            State::Asked {
                until,
                heard,
                last_time,
                ..
            } if now >= until => {
                let late = now.saturating_since(until) > LATE && !last_time;
                if heard || late || !reading {
                    Action::Ask { last_time: late }
                } else {
                    Action::GiveUp
                }
            }
            _ => Action::Nothing,
        }
    }
}

/// A timer that is later than this was held up, by sleep or by its machine.
const LATE: Duration = Duration::from_secs(1);
