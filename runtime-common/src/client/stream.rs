//! The events of a client: a stream, or an iterator for those who wait without a runtime.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use roomwire_core::client::session::Event;

use super::desk::Desk;
use super::wait;

/// The events of a client, each once and in order: to be awaited, as a stream, or waited for. They end when the client has
/// closed and all were taken. Dropping this has further ones forgotten, but for what [receipts](super::Receipt) await.
pub struct Events {
    desk: Arc<Desk>,
}

impl Events {
    pub(super) const fn new(desk: Arc<Desk>) -> Self {
        Self { desk }
    }

    /// The next event; `None`: there are no more. One that was not taken yet is not lost when this is dropped.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.desk.poll_event(cx)).await
    }

    /// [`next`](Self::next) without a runtime.
    pub fn recv(&mut self) -> Option<Event> {
        wait::until(|cx| self.desk.poll_event(cx))
    }

    /// The next event if it comes within `patience`.
    ///
    /// # Errors
    /// [`RecvTimeoutError::Disconnected`]: there are no more.
    pub fn recv_timeout(&mut self, patience: Duration) -> Result<Event, RecvTimeoutError> {
        let event = wait::within(patience, |cx| self.desk.poll_event(cx));
        let event = event.ok_or(RecvTimeoutError::Timeout)?;
        event.ok_or(RecvTimeoutError::Disconnected)
    }

    /// The next event if there is one.
    ///
    /// # Errors
    /// [`TryRecvError::Disconnected`]: there are no more.
    pub fn try_recv(&mut self) -> Result<Event, TryRecvError> {
        match self.desk.poll_event(&Context::from_waker(Waker::noop())) {
            Poll::Ready(Some(event)) => Ok(event),
            Poll::Ready(None) => Err(TryRecvError::Disconnected),
            Poll::Pending => Err(TryRecvError::Empty),
        }
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.desk.poll_event(cx)
    }
}

/// [`Events::recv`], again and again.
impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.recv()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.desk.close_events();
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}
