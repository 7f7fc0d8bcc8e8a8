//! The threads of a server: one for each shard, which begins anew when it fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{self, JoinHandle};

use crate::bound::Bound;
use crate::error::RunError;

/// How the life of a shard has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was drained, or aborted.
    Over,
    /// Its machine has panicked, and its clients are closed.
    Failed,
}

/// Runs a shard, again and again as long as it fails; `shard` is what goes from one life into the next.
///
/// # Errors
/// What `run` says; when the process is out of descriptors for another life.
pub fn live<S>(
    mut bound: Bound,
    mut shard: S,
    run: impl Fn(Bound, S) -> Result<(End, S), RunError>,
) -> Result<(), RunError> {
    loop {
        let again = bound.again();
        let (end, left) = run(bound, shard)?;
        if end == End::Over {
            return Ok(());
        }
        shard = left;
        bound = again.map_err(RunError::io(
            "keeping the listeners of a thread that failed",
        ))?;
        bound.links.tell_restarted(bound.place.restarts);
    }
}

/// A server on a thread of its own.
#[derive(Debug)]
pub struct Running(JoinHandle<Result<(), RunError>>);

impl Running {
    /// Starts the thread, which is the server's first.
    ///
    /// # Errors
    /// When the system has no more threads.
    pub fn start(
        run: impl FnOnce() -> Result<(), RunError> + Send + 'static,
    ) -> Result<Self, RunError> {
        let builder = thread::Builder::new().name("roomwire-0".to_owned());
        let thread = builder.spawn(run);
        thread
            .map(Self)
            .map_err(RunError::io("starting the server's thread"))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// What the server says; a panic is [`RunError::Thread`].
    pub fn join(self) -> Result<(), RunError> {
        let panicked = |_| Err(RunError::Thread("the server's thread panicked".to_owned()));
        self.0.join().unwrap_or_else(panicked)
    }
}

/// Runs the first shard on this thread and each other one on a thread of its own, until all have ended. When one
/// fails, `abort` is to end the others.
///
/// # Errors
/// What the first that failed has said; a panic is [`RunError::Thread`].
pub fn run_shards<F>(shards: Vec<F>, abort: impl Fn() + Sync) -> Result<(), RunError>
where
    F: FnOnce() -> Result<(), RunError> + Send,
{
    let abort = &abort;
    let run = |shard: F| {
        // Told as it happened.
        let panicked = |_| Err(RunError::Thread("a server thread panicked".to_owned()));
        let outcome = catch_unwind(AssertUnwindSafe(shard)).unwrap_or_else(panicked);
        if outcome.is_err() {
            abort();
        }
        outcome
    };
    thread::scope(|scope| {
        let mut shards = shards.into_iter();
        let first = shards.next();
        let mut threads = Vec::new();
        for (number, shard) in (1..).zip(shards) {
            let builder = thread::Builder::new().name(format!("roomwire-{number}"));
            match builder.spawn_scoped(scope, move || run(shard)) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    abort();
                    return Err(RunError::io("starting a thread of the server")(error));
                }
            }
        }
        let outcome = first.map_or(Ok(()), run);
        let outcomes = threads.into_iter().filter_map(|thread| thread.join().ok());
        outcomes.fold(outcome, Result::and)
    })
}
