//! What all shards of a server have in common of sessions between servers: who waits for one of its own, and what is on
//! its way to a store.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use roomwire_core::ClientId;
use roomwire_core::server::{Command, SavedSession};

use super::asked::{Asked, Place};
use super::{SessionStore, is_on_loop};
use crate::error::Ended;
use crate::mailbox::Letter;
use crate::pool::Pool;

/// A server's, as long as it has shards.
pub(crate) struct Exchange {
    /// For what a store does; `None`: it is done where it comes up.
    pool: Option<Weak<Pool>>,
    /// How long whoever waits for a session waits.
    patience: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    store: Option<Stored>,
    /// The program takes events.
    has_program: bool,
    /// Who waits, of each client in the order of asking.
    asking: HashMap<ClientId, VecDeque<Arc<Place>>>,
    /// What is to be saved.
    leaving: HashMap<ClientId, SavedSession>,
    /// What is being saved, and who waits until it is.
    saved: HashMap<ClientId, UnderWay>,
    /// What a store is to find.
    takes: usize,
    /// Shards that have not ended.
    shards: usize,
}

#[derive(Default)]
struct UnderWay {
    count: usize,
    waiting: Vec<Arc<Place>>,
}

/// A program's store, whose panics are caught.
#[derive(Clone)]
pub(super) struct Stored(pub(super) Arc<dyn SessionStore>);

impl Stored {
    fn take(&self, client: ClientId, asked_ms: u64) -> Option<SavedSession> {
        let taken = catch_unwind(AssertUnwindSafe(|| self.0.take(client, asked_ms)));
        taken.unwrap_or_else(|_| {
            tracing::error!(%client, "what keeps sessions has panicked, which is a bug: it has none");
            None
        })
    }

    fn save(&self, session: SavedSession) {
        let client = session.client();
        if catch_unwind(AssertUnwindSafe(|| self.0.save(session))).is_err() {
            tracing::error!(%client, "what keeps sessions has panicked, which is a bug: one is lost");
        }
    }

    /// Saves a session of a server that is gone: its threads are, too.
    pub(super) fn save_anywhere(self, session: SavedSession) {
        let client = session.client();
        let thread = thread::Builder::new().name("roomwire-hook".to_owned());
        if thread.spawn(move || self.save(session)).is_err() {
            is_lost(client);
        }
    }
}

/// A session that nobody keeps is nobody's any more.
pub(super) fn is_lost(client: ClientId) {
    tracing::warn!(%client, "a session is lost: whoever has asked for it is gone, and nobody keeps it");
}

/// What a shard takes longer than the bound of the core to answer.
const GRACE: Duration = Duration::from_secs(1);

/// Between two looks at a mailbox that is full.
const PAUSE: Duration = Duration::from_millis(2);

impl Exchange {
    /// Of a server of so many shards, which answers within `relay` if it answers at all.
    pub(crate) fn new(pool: Option<&Arc<Pool>>, relay: Duration, shards: usize) -> Arc<Self> {
        let state = State {
            shards,
            ..State::default()
        };
        Arc::new(Self {
            pool: pool.map(Arc::downgrade),
            patience: relay + GRACE,
            state: Mutex::new(state),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a store keep sessions, in place of an earlier one.
    pub(crate) fn keep_in(&self, store: Arc<dyn SessionStore>) {
        self.state().store = Some(Stored(store));
    }

    /// The program takes events.
    pub(crate) fn has_program(&self) {
        self.state().has_program = true;
    }

    pub(super) fn has_store(&self) -> bool {
        self.state().store.is_some()
    }

    /// Whether what nobody here has asked for is told to the program.
    pub(super) fn is_for_program(&self) -> bool {
        let state = self.state();
        state.has_program && state.store.is_none()
    }

    /// What a shard has told goes to whoever waits for it; gives it back if nobody does.
    pub(super) fn left(
        &self,
        client: ClientId,
        session: Option<SavedSession>,
    ) -> Option<Option<SavedSession>> {
        let first = {
            let mut state = self.state();
            let places = state.asking.get_mut(&client);
            let (first, is_last) = places.map_or((None, false), |places| {
                (places.pop_front(), places.is_empty())
            });
            if is_last {
                state.asking.remove(&client);
            }
            first
        };
        match first {
            Some(place) => place.give(session),
            None => Some(session),
        }
    }

    /// Begins to wait for a session.
    fn ask(self: &Arc<Self>, client: ClientId) -> Result<Asked, Ended> {
        let mut state = self.state();
        let mut asked = Asked::new(self, state.store.clone(), client);
        if let Some(session) = state.leaving.remove(&client) {
            // It waits.
            let _ = asked.place().give(Some(session));
        } else if let Some(under_way) = state.saved.get_mut(&client) {
            under_way.waiting.push(Arc::clone(asked.place()));
        } else if state.shards == 0 {
            drop(state);
            return Err(Ended);
        } else {
            let places = state.asking.entry(client).or_default();
            places.push_back(Arc::clone(asked.place()));
            asked.is_open = true;
        }
        drop(state);
        Ok(asked)
    }

    /// Somebody does not wait any more.
    pub(super) fn forget(&self, client: ClientId, place: &Arc<Place>) {
        let mut state = self.state();
        if let Some(places) = state.asking.get_mut(&client) {
            places.retain(|other| !Arc::ptr_eq(other, place));
            if places.is_empty() {
                state.asking.remove(&client);
            }
        }
        if let Some(under_way) = state.saved.get_mut(&client) {
            under_way.waiting.retain(|other| !Arc::ptr_eq(other, place));
        }
    }

    /// The life of a shard ends: for good, or to begin anew. What it was asked it does not answer any more.
    pub(super) fn life_ends(&self, for_good: bool) {
        let given_up = {
            let mut state = self.state();
            if for_good {
                state.shards = state.shards.saturating_sub(1);
            }
            // Of those that end together each tells what it has first.
            if for_good && state.shards > 0 {
                return;
            }
            std::mem::take(&mut state.asking)
        };
        give_none(given_up.into_values().flatten());
    }

    // ---- with a store

    /// Whether another session may be looked for, where so many are at once; `None`: there is no store.
    pub(super) fn may_take(&self, most: usize) -> Option<bool> {
        let mut state = self.state();
        state.store.as_ref()?;
        let may = state.takes < most;
        state.takes += usize::from(may);
        Some(may)
    }

    /// Has the store find a session. May wait as long as that.
    pub(super) fn find(self: &Arc<Self>, client: ClientId, asked_ms: u64) -> Option<SavedSession> {
        let (store, asked) = {
            let mut state = self.state();
            let store = state.store.clone();
            let mut asked = None;
            if let Some(session) = state.leaving.remove(&client) {
                state.takes = state.takes.saturating_sub(1);
                return Some(session);
            }
            // It is not there yet.
            if let Some(under_way) = state.saved.get_mut(&client) {
                let waits = Asked::new(self, None, client);
                under_way.waiting.push(Arc::clone(waits.place()));
                asked = Some(waits);
            }
            (store, asked)
        };
        if let Some(asked) = asked
            && !is_on_loop()
        {
            asked.wait(Instant::now() + self.patience);
        }
        let found = store.and_then(|store| store.take(client, asked_ms));
        let mut state = self.state();
        state.takes = state.takes.saturating_sub(1);
        found
    }

    /// Has the store keep a session, also when the server ends meanwhile.
    pub(super) fn save(self: &Arc<Self>, session: SavedSession) {
        let client = session.client();
        {
            let mut state = self.state();
            if state.store.is_none() {
                drop(state);
                return is_lost(client);
            }
            state.leaving.insert(client, session);
        }
        let exchange = Arc::clone(self);
        let save = move || exchange.save_now(client);
        match self.pool.as_ref().and_then(Weak::upgrade) {
            Some(pool) => pool.give_surely(Box::new(save)),
            None => save(),
        }
    }

    fn save_now(&self, client: ClientId) {
        let (store, session) = {
            let mut state = self.state();
            let Some(store) = state.store.clone() else {
                return;
            };
            // Somebody may have asked for it meanwhile.
            let Some(session) = state.leaving.remove(&client) else {
                return;
            };
            state.saved.entry(client).or_default().count += 1;
            (store, session)
        };
        store.save(session);
        let done = {
            let mut state = self.state();
            let Some(under_way) = state.saved.get_mut(&client) else {
                return;
            };
            under_way.count -= 1;
            if under_way.count > 0 {
                return;
            }
            state.saved.remove(&client)
        };
        give_none(done.into_iter().flat_map(|done| done.waiting));
    }
}

/// Whoever waits there waits no longer.
fn give_none(places: impl Iterator<Item = Arc<Place>>) {
    for place in places {
        // There is nothing to be lost.
        let _ = place.give(None);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let asking = std::mem::take(&mut self.state().asking);
        give_none(asking.into_values().flatten());
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Exchange")
            .field("asking", &state.asking.len())
            .field("leaving", &state.leaving.len())
            .finish_non_exhaustive()
    }
}

/// Where the handles of a server ask for its sessions.
#[derive(Clone, Debug)]
pub struct Asking(Weak<Exchange>);

impl Asking {
    pub(crate) fn new(exchange: &Arc<Exchange>) -> Self {
        Self(Arc::downgrade(exchange))
    }

    /// Begins to wait for a session.
    pub(crate) fn ask(&self, client: ClientId) -> Result<Asked, Ended> {
        self.0.upgrade().ok_or(Ended)?.ask(client)
    }

    /// Asks all shards for a session, and waits on this thread, within bounds. `try_send` puts a letter into a mailbox, or
    /// gives it back while that is full.
    pub(crate) fn ask_all<P>(
        &self,
        (client, asked_ms): (ClientId, u64),
        shards: &[P],
        try_send: impl Fn(&P, Letter) -> Result<(), Letter>,
    ) -> Result<Option<SavedSession>, Ended> {
        let exchange = self.0.upgrade().ok_or(Ended)?;
        if is_on_loop() {
            // It would hold up a loop, which may be the one that is to answer.
            tracing::debug!(%client, "a session is not asked for: no thread is there to wait for it");
            return Ok(None);
        }
        let end = Instant::now() + exchange.patience;
        let asked = exchange.ask(client)?;
        // Nobody else notices whether the server is still there.
        drop(exchange);
        let shards = shards.iter().filter(|_| asked.is_open());
        for shard in shards {
            let mut letter = Letter::Command(Command::TakeSession { client, asked_ms });
            while let Err(full) = try_send(shard, letter) {
                if Instant::now() >= end {
                    return Ok(None);
                }
                thread::sleep(PAUSE);
                letter = full;
            }
        }
        Ok(asked.wait(end))
    }
}

/// A running server, whichever runs it, that gives its sessions away.
pub trait SessionHolder: Send + Sync + 'static {
    /// Takes a session out of it: the connection that has it, if any, is closed with 4409, unless it has
    /// asked for it after `asked_ms`, in ms since 1970. `None`: it has none, or does not
    /// answer within [`timeouts.relay_ms`](roomwire_core::config::Timeouts::relay_ms) and a second. Blocks.
    ///
    /// # Errors
    /// [`Ended`] when the server no longer runs.
    fn hand_over(&self, client: ClientId, asked_ms: u64) -> Result<Option<SavedSession>, Ended>;
}
