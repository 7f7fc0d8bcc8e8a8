//! Sessions between servers: what becomes of those that leave one, and where one asks for those that it does not have.
//!
//! The core tells of both and knows nobody else. Here is who it is told to: a [store](SessionStore) of the program, which
//! the threads for hooks call, and whoever has asked a [handle](crate::Handle::take_session).

mod asked;
mod dir;
mod exchange;
mod memory;

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::sync::Arc;

use roomwire_core::config::Limits;
use roomwire_core::server::{Command, Event, SavedSession};
use roomwire_core::{ClientId, ShardId};

use crate::desk::{Returned, Tray};
use crate::events::{log_event, log_left};
use crate::pool::Pool;

pub use dir::DirStore;
pub(crate) use exchange::Exchange;
pub use exchange::{Asking, SessionHolder};
pub use memory::MemoryStore;

/// Keeps the sessions that leave a server, and finds those that it wants: what several servers of one
/// [`sessions.key`](roomwire_core::config::Sessions::key) have in common. [`MemoryStore`] is one for servers of one process.
///
/// Both methods are called on the threads that answer application messages
/// ([`offload.hook_threads`](roomwire_core::config::Offload::hook_threads)), on several at once, and may take their time:
/// nobody waits but the client whose session it is, for [`timeouts.relay_ms`](roomwire_core::config::Timeouts::relay_ms),
/// and whose work these threads do else. With 0 such threads, everybody waits. Where one panics, which is a bug, that is
/// logged, and there is no session.
///
/// ```
/// use std::collections::HashMap;
/// use std::sync::{Mutex, PoisonError};
///
/// use roomwire_core::ClientId;
/// use roomwire_core::server::SavedSession;
/// use roomwire_runtime::SessionStore;
///
/// /// In place of a database that all servers reach: bytes under a key.
/// #[derive(Default)]
/// struct Shelf(Mutex<HashMap<String, Vec<u8>>>);
///
/// impl SessionStore for Shelf {
///     fn save(&self, session: SavedSession) {
///         // A database forgets it by itself, once `session.until_ms()` is over.
///         let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
///         shelf.insert(session.client().to_string(), session.as_bytes().to_vec());
///     }
///
///     fn take(&self, client: ClientId, _asked_ms: u64) -> Option<SavedSession> {
///         let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
///         // Whoever gets it is the only one: read and removed in one step.
///         let bytes = shelf.remove(client.as_str())?;
///         SavedSession::from_bytes(&bytes).ok()
///     }
/// }
/// ```
pub trait SessionStore: Send + Sync + 'static {
    /// A session has left a server, mostly as that is drained: keep it until
    /// [`until_ms`](SavedSession::until_ms). The end of the server waits for these until
    /// [`drain.timeout_ms`](roomwire_core::config::Drain::timeout_ms) are over; how many have not been saved by then is
    /// logged.
    fn save(&self, session: SavedSession);

    /// Gives a session away, to nobody else from now on; `None`: nobody has it. It may ask other servers, by their
    /// [handles](crate::Handle::take_session_blocking), which want `asked_ms`: when the client has asked, as its server tells.
    /// What leaves one of them meanwhile is saved, so look at what was saved once more after that. No more of these wait,
    /// for a whole server, than it may have connections ([`limits.max_connections`](Limits::max_connections), or
    /// [`limits.max_queued_events`](Limits::max_queued_events) where that is not set): clients for whom it is not called
    /// hear `internal`, and may ask again.
    fn take(&self, client: ClientId, asked_ms: u64) -> Option<SavedSession>;
}

/// What one life of a shard has of sessions between servers.
#[derive(Debug)]
pub(crate) struct Keeper {
    exchange: Arc<Exchange>,
    /// For as long as the shard lives: what it gives there is to be done.
    pool: Option<Arc<Pool>>,
    tray: Arc<Tray<Command>>,
    max_takes: usize,
    /// The life ends as it was to end.
    over: Cell<bool>,
}

impl Keeper {
    pub(crate) fn new(
        exchange: &Arc<Exchange>,
        pool: Option<&Arc<Pool>>,
        tray: Arc<Tray<Command>>,
        limits: &Limits,
    ) -> Self {
        Self {
            exchange: Arc::clone(exchange),
            pool: pool.cloned(),
            tray,
            // Whoever comes back asks for one.
            max_takes: limits
                .max_connections
                .map_or(limits.max_queued_events, |most| most as usize),
            over: Cell::new(true),
        }
    }

    /// Takes what a shard tells of sessions, if it is for somebody here; gives any other event back.
    pub(crate) fn take(&self, event: Event) -> Option<Event> {
        match event {
            Event::SessionWanted {
                shard,
                client,
                asked_ms,
            } if !self.exchange.is_for_program() => {
                log_event(&event);
                on_loop(|| self.find(shard, client, asked_ms));
                None
            }
            Event::SessionLeft { client, session } => {
                let (is_some, left) = (session.is_some(), self.exchange.left(client, session));
                match left {
                    Some(session) if self.exchange.is_for_program() => {
                        return Some(Event::SessionLeft { client, session });
                    }
                    left => {
                        log_left(client, is_some);
                        if let Some(session) = left.flatten()
                            && self.exchange.has_store()
                        {
                            on_loop(|| self.save(session));
                        }
                    }
                }
                None
            }
            event => Some(event),
        }
    }

    /// Has a store keep a session that nobody has asked for.
    pub(crate) fn save(&self, session: SavedSession) {
        self.exchange.save(session);
    }

    /// Has a store look for a session; there is one answer, unless too many are looked for.
    fn find(&self, shard: ShardId, client: ClientId, asked_ms: u64) {
        let give = move |session| Command::GiveSession {
            shard,
            client,
            asked_ms,
            session,
        };
        match self.exchange.may_take(self.max_takes) {
            Some(true) => {}
            // Whether there is one nobody knows: the client hears so, and may ask again.
            Some(false) => return tracing::debug!(%client, "too many sessions are looked for"),
            None => return self.tray.put(Returned::Command(give(None))),
        }
        let (exchange, tray) = (Arc::clone(&self.exchange), Arc::clone(&self.tray));
        let find = move || {
            let session = exchange.find(client, asked_ms);
            let kept = tray.try_put(Returned::Command(give(session)));
            // The shard is gone, and the session is still there for others.
            kept.into_iter()
                .filter_map(session_in)
                .for_each(|session| exchange.save(session));
        };
        match &self.pool {
            Some(pool) => pool.give(Box::new(find)),
            None => find(),
        }
    }

    /// The shard has failed: it begins anew.
    pub(crate) fn fail(&self) {
        self.over.set(false);
    }

    /// Nothing more is handed in: sessions that have come too late go back.
    pub(crate) fn close(&self) {
        let late = self.tray.close().into_iter().filter_map(session_in);
        on_loop(|| late.for_each(|session| self.save(session)));
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.close();
        self.exchange.life_ends(self.over.get());
    }
}

/// The session in what a shard has not taken.
fn session_in(returned: Returned<Command>) -> Option<SavedSession> {
    match returned {
        Returned::Command(Command::GiveSession { session, .. }) => session,
        _ => None,
    }
}

thread_local! {
    /// This thread is in a shard's loop.
    static ON_LOOP: Cell<bool> = const { Cell::new(false) };
}

/// Does something in a shard's loop, which must not wait for another one, nor for itself.
fn on_loop<T>(act: impl FnOnce() -> T) -> T {
    let before = ON_LOOP.replace(true);
    let outcome = act();
    ON_LOOP.set(before);
    outcome
}

/// Whether whoever waits now holds up a shard.
fn is_on_loop() -> bool {
    ON_LOOP.get()
}
