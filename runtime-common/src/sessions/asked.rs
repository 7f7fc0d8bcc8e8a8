//! One who waits for a session.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use roomwire_core::ClientId;
use roomwire_core::server::SavedSession;

use super::exchange::{Exchange, Stored};

/// Waits for a session of a server; ready when it is known whether there is one. It is not lost when this is dropped: a
/// store keeps it then.
#[must_use]
pub(crate) struct Asked {
    exchange: Weak<Exchange>,
    /// Where it goes once the server is gone.
    store: Option<Stored>,
    client: ClientId,
    place: Arc<Place>,
    /// Its shards are to be asked.
    pub(super) is_open: bool,
}

/// Where the answer comes.
#[derive(Default)]
pub(super) struct Place {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Default)]
struct State {
    answer: Option<Option<SavedSession>>,
    /// Nobody waits any more.
    is_left: bool,
    waker: Option<Waker>,
}

impl Place {
    /// Gives the answer; gives it back if nobody waits any more.
    pub(super) fn give(&self, answer: Option<SavedSession>) -> Option<Option<SavedSession>> {
        let waker = {
            let mut state = self.state();
            if state.is_left {
                return Some(answer);
            }
            state.answer = Some(answer);
            state.waker.take()
        };
        self.news.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
        None
    }

    /// Nobody waits any more; an answer that nobody has taken.
    fn leave(&self) -> Option<SavedSession> {
        let mut state = self.state();
        state.is_left = true;
        state.answer.take().flatten()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked {
    pub(super) fn new(exchange: &Arc<Exchange>, store: Option<Stored>, client: ClientId) -> Self {
        Self {
            exchange: Arc::downgrade(exchange),
            store,
            client,
            place: Arc::default(),
            is_open: false,
        }
    }

    pub(super) const fn place(&self) -> &Arc<Place> {
        &self.place
    }

    /// Whether the server's shards are still to be asked.
    pub(crate) const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Waits on this thread, no longer than until `end`.
    pub(crate) fn wait(self, end: Instant) -> Option<SavedSession> {
        let left = end.saturating_duration_since(Instant::now());
        let is_open = |state: &mut State| state.answer.is_none();
        let state = self.place.state();
        let waited = self.place.news.wait_timeout_while(state, left, is_open);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.answer.take().flatten()
    }
}

impl Future for Asked {
    type Output = Option<SavedSession>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.place.state();
        if let Some(answer) = state.answer.take() {
            return Poll::Ready(answer);
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let exchange = self.exchange.upgrade();
        if let Some(exchange) = &exchange {
            exchange.forget(self.client, &self.place);
        }
        let Some(session) = self.place.leave() else {
            return;
        };
        match (exchange, self.store.take()) {
            (Some(exchange), _) => exchange.save(session),
            (None, Some(store)) => store.save_anywhere(session),
            (None, None) => super::exchange::is_lost(session.client()),
        }
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}
