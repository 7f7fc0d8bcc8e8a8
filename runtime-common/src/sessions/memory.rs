//! Sessions of several servers of one process.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use roomwire_core::ClientId;
use roomwire_core::server::SavedSession;

use super::SessionStore;
use super::exchange::SessionHolder;

/// A store for the servers of one process: it keeps what leaves those that end, and asks those that run.
///
/// A server of it that wants a session gets what was saved, or else what another one that was [attached](Self::attach)
/// gives up. Without threads for hooks it asks none that runs.
pub struct MemoryStore {
    max_sessions: usize,
    shelf: Mutex<Shelf>,
    servers: Mutex<Vec<Arc<dyn SessionHolder>>>,
}

#[derive(Default)]
struct Shelf {
    sessions: HashMap<ClientId, SavedSession>,
    /// Those that are over first come first.
    ends: BTreeSet<(u64, ClientId)>,
    dropped: u64,
}

impl MemoryStore {
    /// A store of at most so many sessions that no server has: of more, those go first that are over first.
    pub fn new(max_sessions: usize) -> Self {
        Self {
            max_sessions,
            shelf: Mutex::default(),
            servers: Mutex::default(),
        }
    }

    /// Has it ask a server, too, by its handle. Servers that have ended are forgotten.
    pub fn attach(&self, server: impl SessionHolder) {
        self.servers().push(Arc::new(server));
    }

    /// Sessions that it keeps now.
    pub fn len(&self) -> usize {
        let mut shelf = self.shelf();
        shelf.forget_over();
        shelf.sessions.len()
    }

    /// Whether it keeps none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sessions that were dropped before they were over, as there were too many.
    pub fn dropped(&self) -> u64 {
        self.shelf().dropped
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn servers(&self) -> MutexGuard<'_, Vec<Arc<dyn SessionHolder>>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_saved(&self, client: ClientId) -> Option<SavedSession> {
        let mut shelf = self.shelf();
        shelf.forget_over();
        shelf.remove(client)
    }
}

impl SessionStore for MemoryStore {
    fn save(&self, session: SavedSession) {
        let mut shelf = self.shelf();
        shelf.forget_over();
        shelf.remove(session.client());
        shelf.ends.insert((session.until_ms(), session.client()));
        shelf.sessions.insert(session.client(), session);
        while shelf.sessions.len() > self.max_sessions {
            shelf.pop_first();
            shelf.dropped += 1;
        }
    }

    fn take(&self, client: ClientId, asked_ms: u64) -> Option<SavedSession> {
        let saved = self.take_saved(client);
        if saved.is_some() {
            return saved;
        }
        // None of them is locked out while one is asked.
        let servers = self.servers().clone();
        for server in servers {
            match server.hand_over(client, asked_ms) {
                Ok(None) => {}
                Ok(session) => return session,
                Err(_) => self.servers().retain(|other| !Arc::ptr_eq(other, &server)),
            }
        }
        // What has left one of them meanwhile.
        self.take_saved(client)
    }
}

impl Shelf {
    fn remove(&mut self, client: ClientId) -> Option<SavedSession> {
        let session = self.sessions.remove(&client)?;
        self.ends.remove(&(session.until_ms(), client));
        Some(session)
    }

    fn pop_first(&mut self) {
        if let Some((_, client)) = self.ends.pop_first() {
            self.sessions.remove(&client);
        }
    }

    fn forget_over(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now_ms = now.map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        });
        while self
            .ends
            .first()
            .is_some_and(|&(until_ms, _)| until_ms <= now_ms)
        {
            self.pop_first();
        }
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("max_sessions", &self.max_sessions)
            .field("sessions", &self.shelf().sessions.len())
            .field("servers", &self.servers().len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
