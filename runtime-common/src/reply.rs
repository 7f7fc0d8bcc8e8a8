//! One answer to one question, for who waits on whichever runtime.

#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Gives the answer. Dropping it says that there is none.
pub struct Give<T>(Arc<Place<T>>);

/// Ready when the answer is there; `None`: there is none. It is lost when this is dropped.
pub struct Answer<T>(Arc<Place<T>>);

struct Place<T>(Mutex<State<T>>);

struct State<T> {
    answer: Option<T>,
    /// Nothing comes any more.
    is_over: bool,
    waker: Option<Waker>,
}

/// A place for one answer.
pub fn one<T>() -> (Give<T>, Answer<T>) {
    let place = Arc::new(Place(Mutex::new(State {
        answer: None,
        is_over: false,
        waker: None,
    })));
    (Give(Arc::clone(&place)), Answer(place))
}

impl<T> Place<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Give<T> {
    /// Gives it. Never waits.
    pub fn give(self, answer: T) {
        self.0.lock().answer = Some(answer);
    }
}

impl<T> Drop for Give<T> {
    fn drop(&mut self) {
        let waker = {
            let mut state = self.0.lock();
            state.is_over = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T> Future for Answer<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.0.lock();
        if state.is_over {
            return Poll::Ready(state.answer.take());
        }
        state.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<T> fmt::Debug for Give<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Give").finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Answer").finish_non_exhaustive()
    }
}
