//! What a server's events look like in a log. Connection and client ids, never payloads.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use roomwire_core::ClientId;
use roomwire_core::server::{Event, Refused};

use crate::threads::End;

/// What the ends of a server's shards come to. Clones are of one server, each for the next life of a shard.
#[derive(Debug)]
pub struct Drains {
    common: Arc<Common>,
    /// The machine of this life has panicked.
    failing: Cell<bool>,
}

#[derive(Debug)]
struct Common {
    /// Shards that are still to be drained.
    left: AtomicUsize,
    /// Since when the server is drained, if it is.
    leaving: OnceLock<Instant>,
}

/// What a shard is to do after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Accept nothing more: connections wait for its next life.
    Accepting,
    /// End.
    All(End),
}

impl Drains {
    /// Of so many shards.
    pub fn of(shards: usize) -> Self {
        let left = AtomicUsize::new(shards);
        let leaving = OnceLock::new();
        Self {
            common: Arc::new(Common { left, leaving }),
            failing: Cell::new(false),
        }
    }

    /// The server is to be drained: no shard begins anew.
    pub fn begin(&self) {
        self.common.leaving.get_or_init(Instant::now);
    }

    /// For asking how much is left of a drain that may take so long: nothing where the server has not been drained to its
    /// end, but is to end at once.
    pub(crate) fn time_left(
        &self,
        timeout: Duration,
    ) -> impl Fn() -> Duration + Send + Sync + 'static {
        let common = Arc::clone(&self.common);
        move || match common.leaving.get() {
            Some(since) if common.left.load(Ordering::Acquire) == 0 => {
                timeout.saturating_sub(since.elapsed())
            }
            _ => Duration::ZERO,
        }
    }

    /// Which of a shard's events are the server's, and what the shard is to do.
    pub fn filter(&self, event: Event) -> (Option<Event>, Option<Stop>) {
        let begins_anew = || self.failing.get() && self.common.leaving.get().is_none();
        match event {
            Event::Failed { .. } => {
                self.failing.set(true);
                (Some(event), Some(Stop::Accepting))
            }
            Event::Drained if begins_anew() => (None, Some(Stop::All(End::Failed))),
            Event::Drained => {
                let last = self.common.left.fetch_sub(1, Ordering::AcqRel) == 1;
                (last.then_some(event), Some(Stop::All(End::Over)))
            }
            event => (Some(event), None),
        }
    }
}

impl Clone for Drains {
    fn clone(&self) -> Self {
        Self {
            common: Arc::clone(&self.common),
            failing: Cell::new(false),
        }
    }
}

/// Logs an event: the life of connections at `debug`, the server's own and what it refuses at `info`, floods at `warn`.
pub fn log_event(event: &Event) {
    match event {
        Event::Opened {
            connection,
            client,
            peer,
            listener,
        } => tracing::debug!(%connection, %client, %peer, listener = listener.0, "opened"),
        Event::Resumed { connection, client } => {
            tracing::debug!(%connection, %client, "resumed a session");
        }
        Event::SessionWanted { client, .. } => {
            tracing::debug!(%client, "wants a session of another server");
        }
        Event::SessionLeft { client, session } => log_left(*client, session.is_some()),
        Event::Closed {
            connection,
            client,
            cause,
            code,
            duration,
            received,
        } => {
            let duration_ms = duration.as_millis();
            tracing::debug!(%connection, %client, ?cause, code, duration_ms, received, "closed");
        }
        Event::Application {
            connection, client, ..
        } => tracing::debug!(%connection, %client, "application message"),
        Event::Refused { kind, count, peer } => match kind {
            Refused::Full | Refused::Address => tracing::warn!(count, %peer, "refused {kind}"),
            _ => tracing::info!(count, %peer, "refused {kind}"),
        },
        Event::Drained => tracing::info!("drained: every connection has ended"),
        Event::Failed { shard } => tracing::warn!(
            shard = shard.0,
            "a thread closes its clients and begins anew"
        ),
        _ => {}
    }
}

/// Logs that a session is another server's from now on, or that there was none.
pub(crate) fn log_left(client: ClientId, session: bool) {
    tracing::debug!(%client, session, "asked for by another server, or left");
}

#[cfg(test)]
mod tests;
