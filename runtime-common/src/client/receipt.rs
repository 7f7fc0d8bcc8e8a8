//! What becomes of something that was asked for.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use roomwire_core::client::session::{Dropped, Item, Message, Outcome, Told};

use super::desk::Desk;
use super::wait;

/// Tells what becomes of something that was asked for: to be awaited, waited for, or dropped. If it is dropped before it
/// has told, an [`Event::Outcome`](super::Event::Outcome) tells instead, exactly once.
pub struct Receipt {
    desk: Arc<Desk>,
    item: Item,
    has_told: bool,
}

/// Why it was not done, or is not known to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failed {
    /// It was given up.
    #[error(transparent)]
    Dropped(#[from] Dropped),
    /// The server refused; it is its `error`.
    #[error("refused: {}", said(.0))]
    Refused(Box<Message>),
}

/// What an `error` says to people.
fn said(message: &Message) -> String {
    match &message.told {
        Told::Error {
            code: Some(code),
            message,
            ..
        } => format!("{code}: {message}"),
        _ => message.text.clone(),
    }
}

impl Receipt {
    pub(super) const fn new(desk: Arc<Desk>, item: Item) -> Self {
        let has_told = false;
        Self {
            desk,
            item,
            has_told,
        }
    }

    /// How it is called in events.
    pub const fn item(&self) -> Item {
        self.item
    }

    /// Whether it waits: for the connection, or for others to go with. O(log of all that are on their way).
    pub fn is_queued(&self) -> bool {
        self.desk.is_queued(self.item)
    }

    /// Waits without a runtime. The server's answer, if it gives one.
    ///
    /// # Errors
    /// [`Failed`]; see there.
    pub fn wait(mut self) -> Result<Option<Message>, Failed> {
        wait::until(|cx| self.look(cx))
    }

    /// The same for `patience` at most; `None`: there is none yet.
    pub fn wait_timeout(&mut self, patience: Duration) -> Option<Result<Option<Message>, Failed>> {
        wait::within(patience, |cx| self.look(cx))
    }

    fn look(&mut self, cx: &Context<'_>) -> Poll<Result<Option<Message>, Failed>> {
        if self.has_told {
            return Poll::Pending;
        }
        self.desk.poll_outcome(self.item, cx).map(|outcome| {
            self.has_told = true;
            match outcome {
                Outcome::Answered(message) => Ok(Some(message)),
                Outcome::Dropped(why) => Err(Failed::Dropped(why)),
                Outcome::Refused(message) => Err(Failed::Refused(Box::new(message))),
                // It was left, or the socket has taken it.
                _ => Ok(None),
            }
        })
    }
}

/// The server's answer, if it gives one. Ready once; polled again, it stays pending.
impl Future for Receipt {
    type Output = Result<Option<Message>, Failed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().look(cx)
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if !self.has_told {
            self.desk.leave(self.item);
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receipt")
            .field("item", &self.item)
            .finish_non_exhaustive()
    }
}
