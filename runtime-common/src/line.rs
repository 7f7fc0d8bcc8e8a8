//! Tasks of one thread that read, and how they let each other go first.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};

use roomwire_core::Turn;

use crate::budget::READS_PER_SOCKET;

/// What a task does next that has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Lets the others go first, among them the one that polls the machine.
    Yield,
    /// Waits in the [`Line`] of the busy, then reads on, [`BUSY`](Reads::BUSY).
    Line,
    /// There is nothing more to read, ever.
    Over,
}

/// How much a task still reads before others do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reads {
    all: u32,
    filled: u32,
}

impl Reads {
    /// Of a socket that has just become readable: one that fills the buffer is busy.
    pub const FRESH: Self = Self {
        all: READS_PER_SOCKET,
        filled: 1,
    };

    /// Of a busy socket whose turn it is.
    pub const BUSY: Self = Self {
        all: READS_PER_SOCKET,
        filled: READS_PER_SOCKET,
    };

    /// Counts a read, which has filled the buffer or not; what the task does next, `None` being to read again.
    pub fn count(&mut self, filled: bool, turn: Turn) -> Option<Next> {
        self.all = self.all.saturating_sub(1);
        self.filled = self.filled.saturating_sub(u32::from(filled));
        match turn {
            Turn::Full if filled => Some(Next::Line),
            Turn::Full => Some(Next::Yield),
            Turn::Open if self.all == 0 || self.filled == 0 => Some(Next::Line),
            Turn::Open => None,
        }
    }
}

/// A line in which tasks stand until they are called, first come, first served. O(1) a task.
///
/// A task that goes away while it stands there still takes its turn: it may be called in vain.
#[derive(Debug, Default)]
pub struct Line {
    waiting: RefCell<VecDeque<Waker>>,
    /// How many have ever stood in it, and how many of them were called.
    came: Cell<u64>,
    called: Cell<u64>,
}

impl Line {
    /// Whether nobody stands in it.
    pub fn is_empty(&self) -> bool {
        self.waiting.borrow().is_empty()
    }

    /// Waits to be called.
    pub async fn wait(&self) {
        let mut place = None;
        poll_fn(|cx| match place {
            Some(place) if place < self.called.get() => Poll::Ready(()),
            Some(_) => Poll::Pending,
            None => {
                place = Some(self.came.replace(self.came.get() + 1));
                self.waiting.borrow_mut().push_back(cx.waker().clone());
                Poll::Pending
            }
        })
        .await;
    }

    /// Calls the first `count`, or all if there are fewer.
    pub fn call(&self, count: usize) {
        for _ in 0..count {
            let Some(first) = self.waiting.borrow_mut().pop_front() else {
                return;
            };
            self.called.set(self.called.get() + 1);
            first.wake();
        }
    }
}

#[cfg(test)]
mod tests;
