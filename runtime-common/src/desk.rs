//! A shard's end of the pool: what its machine hands over goes there, and what comes of it comes back, by the shard's
//! bell, as inputs.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use roomwire_core::offload::{Done, Job};
use roomwire_core::{Input, Machine, Now, Turn};

use crate::mailbox::Bell;
use crate::pool::Pool;

/// What one life of a shard has of the pool. What was handed over in an earlier life comes to nothing.
#[derive(Debug)]
pub struct Desk<C> {
    pool: Option<Arc<Pool>>,
    tray: Arc<Tray<C>>,
    /// How many may be out.
    jobs: u32,
    /// The machine knows of the pool.
    told: Cell<bool>,
}

/// What has been done and not been handed in.
pub(crate) struct Tray<C> {
    done: Mutex<VecDeque<Returned<C>>>,
    /// There is something in it.
    filled: AtomicBool,
    bell: Arc<Bell>,
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
            done: Mutex::default(),
            filled: AtomicBool::new(false),
            bell: Arc::clone(bell),
        })
    }

    /// Puts something there and wakes the shard.
    pub(crate) fn put(&self, returned: Returned<C>) {
        self.queue().push_back(returned);
        self.filled.store(true, Ordering::Release);
        self.bell.ring();
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, VecDeque<Returned<C>>> {
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
    pub fn send(&self, job: Job) {
        let tray = Arc::clone(&self.tray);
        let run = move || tray.put(Returned::Done(run(job)));
        match &self.pool {
            Some(pool) => pool.give(Box::new(run)),
            // Nobody has asked for it.
            None => run(),
        }
    }

    /// Hands a machine what has been done for it, until it is full. `true` if there may be more. Costs next to nothing
    /// if there is nothing.
    pub fn receive<M: Machine<Command = C>>(&self, machine: &mut M, now: Now) -> bool {
        if !self.told.replace(true) && self.pool.is_some() {
            let _ = machine.handle(now, Input::PoolReady { jobs: self.jobs });
        }
        if !self.tray.filled.load(Ordering::Relaxed) {
            return false;
        }
        self.tray.filled.store(false, Ordering::Release);
        loop {
            let Some(returned) = self.tray.queue().pop_front() else {
                return false;
            };
            let turn = machine.handle(
                now,
                match returned {
                    Returned::Done(done) => Input::Done(done),
                    Returned::Command(command) => Input::Command(command),
                },
            );
            if turn == Turn::Full {
                self.tray.filled.store(true, Ordering::Release);
                return true;
            }
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
