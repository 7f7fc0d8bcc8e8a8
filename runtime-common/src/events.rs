//! What a server's events look like in a log. Connection and client ids, never payloads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use roomwire_core::server::Event;

use crate::threads::End;

/// What the ends of a server's shards come to. Clones are of one server.
#[derive(Clone, Debug)]
pub struct Drains(Arc<Common>);

#[derive(Debug)]
struct Common {
    /// Shards that are still to be drained.
    left: AtomicUsize,
    leaving: AtomicBool,
}

impl Drains {
    /// Of so many shards.
    pub fn of(shards: usize) -> Self {
        Self(Arc::new(Common {
            left: AtomicUsize::new(shards),
            leaving: AtomicBool::new(false),
        }))
    }

    /// The server is to be drained: no shard begins anew.
    pub fn begin(&self) {
        self.0.leaving.store(true, Ordering::Release);
    }

    /// Which of a shard's events are the server's, and whether they are the shard's last.
    pub fn filter(&self, event: Event) -> (Option<Event>, Option<End>) {
        match event {
            Event::Failed { .. } if !self.0.leaving.load(Ordering::Acquire) => {
                (Some(event), Some(End::Failed))
            }
            Event::Drained | Event::Failed { .. } => {
                let last = self.0.left.fetch_sub(1, Ordering::AcqRel) == 1;
                (last.then_some(Event::Drained), Some(End::Over))
            }
            event => (Some(event), None),
        }
    }
}

/// Logs an event: the life of connections at `debug`, the server's own at `info`.
pub fn log_event(event: &Event) {
    match event {
        Event::Opened {
            connection,
            client,
            peer,
            listener,
        } => tracing::debug!(%connection, %client, %peer, listener = listener.0, "opened"),
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
        Event::Drained => tracing::info!("drained: every connection has ended"),
        Event::Failed { shard } => tracing::warn!(shard = shard.0, "a thread begins anew"),
        _ => {}
    }
}
