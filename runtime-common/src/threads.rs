//! The threads of a server: one for each shard, which begins anew when it fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

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
