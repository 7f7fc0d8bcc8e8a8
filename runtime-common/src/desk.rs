//! A shard's end of the pool: what its machine hands over goes there, and what comes of it comes back, by the shard's
//! bell, as inputs.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use roomwire_core::Input;
use roomwire_core::offload::{Done, Job};

use crate::mailbox::Bell;
use crate::pool::Pool;

/// What one life of a shard has of the pool. What was handed over in an earlier life comes to nothing.
#[derive(Debug)]
pub(crate) struct Desk<C> {
    pool: Option<Arc<Pool>>,
    tray: Arc<Tray<C>>,
    /// How many may be out.
    jobs: u32,
    /// The machine knows of the pool.
    told: Cell<bool>,
}

/// What has been done and not been handed in.
pub(crate) struct Tray<C> {
    done: Mutex<Queue<C>>,
    /// There is something in it.
    filled: AtomicBool,
    bell: Arc<Bell>,
}

struct Queue<C> {
    returned: VecDeque<Returned<C>>,
    /// Nothing more is taken.
    is_closed: bool,
}

pub(crate) enum Returned<C> {
    Done(Done),
    /// What the program around the server answers.
    Command(C),
}

impl<C> fmt::Debug for Tray<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tray")
            .field("filled", &self.filled)
            .finish_non_exhaustive()
    }
}

impl<C> Tray<C> {
    fn new(bell: &Arc<Bell>) -> Arc<Self> {
        Arc::new(Self {
            done: Mutex::new(Queue {
                returned: VecDeque::new(),
                is_closed: false,
            }),
            filled: AtomicBool::new(false),
            bell: Arc::clone(bell),
        })
    }

    /// Puts something there and wakes the shard. Once that is over it comes to nothing.
    pub(crate) fn put(&self, returned: Returned<C>) {
        let _ = self.try_put(returned);
    }

    /// The same; gives it back if the shard is over.
    pub(crate) fn try_put(&self, returned: Returned<C>) -> Option<Returned<C>> {
        {
            let mut queue = self.queue();
            if queue.is_closed {
                return Some(returned);
            }
            queue.returned.push_back(returned);
            self.filled.store(true, Ordering::Release);
        }
        self.bell.ring();
        None
    }

    /// Takes nothing more; what nobody has taken.
    pub(crate) fn close(&self) -> VecDeque<Returned<C>> {
        let mut queue = self.queue();
        queue.is_closed = true;
        self.filled.store(false, Ordering::Release);
        std::mem::take(&mut queue.returned)
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Queue<C>> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Send + 'static> Desk<C> {
    /// A desk whose shard `bell` wakes, for a machine that may have so many `jobs` out.
    pub(crate) fn new(pool: Option<Arc<Pool>>, bell: &Arc<Bell>, jobs: u32) -> Self {
        Self {
            pool,
            tray: Tray::new(bell),
            jobs,
            told: Cell::new(false),
        }
    }

    pub(crate) fn tray(&self) -> Arc<Tray<C>> {
        Arc::clone(&self.tray)
    }

    /// Has a thread of the pool do a job.
    pub(crate) fn send(&self, job: Job) {
        let tray = Arc::clone(&self.tray);
        let run = move || tray.put(Returned::Done(run(job)));
        match &self.pool {
            Some(pool) => pool.give(Box::new(run)),
            // Nobody has asked for it.
            None => run(),
        }
    }

    /// What the machine is to be told next: of the pool, and of what has been done for it. Costs next to nothing if there
    /// is nothing.
    pub(crate) fn next_input<R>(&self) -> Option<Input<'static, C, R>> {
        if !self.told.replace(true) && self.pool.is_some() {
            return Some(Input::PoolReady { jobs: self.jobs });
        }
        if !self.tray.filled.load(Ordering::Relaxed) {
            return None;
        }
        let mut queue = self.tray.queue();
        let returned = queue.returned.pop_front();
        // What is put there from now on says so again.
        let is_filled = !queue.returned.is_empty();
        self.tray.filled.store(is_filled, Ordering::Release);
        Some(match returned? {
            Returned::Done(done) => Input::Done(done),
            Returned::Command(command) => Input::Command(command),
        })
    }

    /// Wakes the shard once more, for what is left.
    pub(crate) fn ring_again(&self) {
        if self.tray.filled.load(Ordering::Relaxed) {
            self.tray.bell.ring();
        }
    }
}

fn run(job: Job) -> Done {
    let id = job.id();
    let done = catch_unwind(AssertUnwindSafe(|| {
        #[cfg(feature = "fault-injection")]
        assert!(job.bytes() != FAULTY_JOB_BYTES, "as asked for");
        job.run()
    }));
    done.unwrap_or_else(|_| {
        tracing::error!(job = %id, "a thread of the pool has failed at a message, which is a bug: its client is closed");
        Done::failed(id)
    })
}

/// A job of so many bytes panics, in tests.
#[cfg(feature = "fault-injection")]
pub const FAULTY_JOB_BYTES: usize = 777_777;

#[cfg(test)]
mod tests;
