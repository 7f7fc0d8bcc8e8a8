//! Connections that cannot be accepted.

use std::io;
use std::time::Duration;

use crate::budget::ACCEPT_PAUSE;

/// Whether accepting works: told to the log once, not for each connection that waits.
#[derive(Debug, Default)]
pub struct Trouble {
    lasts: bool,
}

impl Trouble {
    /// A connection was accepted.
    pub const fn is_over(&mut self) {
        self.lasts = false;
    }

    /// Accepting failed: how long it is to rest, as the process is out of descriptors or memory. `None` if it was
    /// the peer, which gave up while it waited.
    pub fn pause(&mut self, error: &io::Error) -> Option<Duration> {
        if error.kind() == io::ErrorKind::ConnectionAborted {
            return None;
        }
        if !std::mem::replace(&mut self.lasts, true) {
            tracing::warn!(%error, "accepting pauses until descriptors or memory are free");
        }
        Some(ACCEPT_PAUSE)
    }
}
