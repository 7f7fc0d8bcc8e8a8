//! Threads for what takes long: some for a whole server, which do one task after the other in the order in which they
//! were given.
//!
//! They start when there is something to do for the first time, so that a server that never has such costs nothing. How much may wait is
//! bounded by whoever gives it. Dropping the pool forgets what waits, unless that was to be done surely, and waits for what
//! is under way: to its end where that is sure to come, and else for a time that is named, after which its threads are left
//! to themselves.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What a thread does. It must not panic: that would end its thread.
pub(crate) type Task = Box<dyn FnOnce() + Send>;

/// Threads that wait for tasks.
pub(crate) struct Pool {
    tasks: Tasks,
    /// What its threads are called, before their numbers.
    name: &'static str,
    /// At most.
    threads: usize,
    started: Mutex<Vec<JoinHandle<()>>>,
    /// How long its end waits for what is under way; `None`: to the end of that.
    patience: Option<Patience>,
}

/// Asked at the end.
type Patience = Box<dyn Fn() -> Duration + Send + Sync>;

/// Where the tasks of a pool wait: for whoever has more to do once something is done.
#[derive(Clone)]
pub(crate) struct Tasks(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    news: Condvar,
    /// Something has been done, after the end.
    done: Condvar,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Given>,
    /// Threads that wait for one.
    idle: usize,
    /// Threads that do one.
    busy: usize,
    /// Those of them that do one that is to be done surely.
    surely: usize,
    over: bool,
}

struct Given {
    task: Task,
    /// The end does not forget it.
    surely: bool,
}

/// A thread is at work, until this is dropped: also when its task panics.
struct Busy<'a> {
    shared: &'a Shared,
    surely: bool,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.busy -= 1;
        state.surely -= usize::from(self.surely);
        if state.over {
            self.shared.done.notify_all();
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.name)
            .field("threads", &self.threads)
            .field("tasks", &self.tasks)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state();
        f.debug_struct("Tasks")
            .field("waiting", &state.tasks.len())
            .field("idle", &state.idle)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does tasks until the pool is over, and none is left.
    fn work(&self) {
        let mut state = self.state();
        loop {
            match state.tasks.pop_front() {
                Some(Given { task, surely }) => {
                    state.busy += 1;
                    state.surely += usize::from(surely);
                    drop(state);
                    let shared = self;
                    let busy = Busy { shared, surely };
                    task();
                    drop(busy);
                    state = self.state();
                }
                None if state.over => return,
                None => {
                    state.idle += 1;
                    let woken = self.news.wait(state);
                    state = woken.unwrap_or_else(PoisonError::into_inner);
                    state.idle -= 1;
                }
            }
        }
    }
}

impl Tasks {
    /// Gives another task. Without a thread it is done once there is one; after the end it is forgotten.
    pub(crate) fn push(&self, task: Task) {
        let surely = false;
        self.put(Given { task, surely });
    }

    fn put(&self, given: Given) {
        let mut state = self.0.state();
        if !state.over {
            state.tasks.push_back(given);
            self.0.news.notify_one();
        }
    }
}

impl Pool {
    /// A pool of at most so many threads, of which none has started, for tasks that end by themselves.
    pub(crate) fn new(name: &'static str, threads: u16) -> Self {
        Self {
            tasks: Tasks(Arc::default()),
            name,
            threads: usize::from(threads).max(1),
            started: Mutex::default(),
            patience: None,
        }
    }

    /// The same for tasks that may never end: its own end waits for them no longer than `patience` says then.
    pub(crate) fn with_patience(
        name: &'static str,
        threads: u16,
        patience: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        let mut pool = Self::new(name, threads);
        pool.patience = Some(Box::new(patience));
        pool
    }

    pub(crate) fn tasks(&self) -> Tasks {
        self.tasks.clone()
    }

    /// Threads that have started. O(1).
    #[cfg(test)]
    pub(crate) fn threads(&self) -> usize {
        self.started().len()
    }

    /// Gives a task to the first thread that is free. Where the system has no thread at all it is done at once.
    pub(crate) fn give(&self, task: Task) {
        let surely = false;
        self.take(Given { task, surely });
    }

    /// The same for what the end does not forget, such as a session that is to be saved: as long as that waits at all, it
    /// waits for this too, and then logs how many of these have not been done.
    pub(crate) fn give_surely(&self, task: Task) {
        let surely = true;
        self.take(Given { task, surely });
    }

    fn take(&self, given: Given) {
        let mut started = self.started();
        let is_short = {
            let state = self.tasks.0.state();
            state.idle <= state.tasks.len()
        };
        if is_short && started.len() < self.threads {
            let shared = Arc::clone(&self.tasks.0);
            let name = format!("{}-{}", self.name, started.len());
            let thread = thread::Builder::new().name(name);
            match thread.spawn(move || stand_back_and(&shared)) {
                Ok(thread) => started.push(thread),
                Err(error) if started.is_empty() => {
                    tracing::warn!(%error, "no thread for what takes long: it is done where it comes up");
                    drop(started);
                    return (given.task)();
                }
                Err(_) => {}
            }
        }
        drop(started);
        self.tasks.put(given);
    }

    fn started(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stand_back_and(shared: &Shared) {
    stand_back();
    shared.work();
}

/// What takes long must not take the time of the threads that serve, where there are fewer cores than threads.
#[cfg(target_os = "linux")]
fn stand_back() {
    // Linux has a priority for each thread. Who is low already is left as it is: the system refuses to raise it.
    let thread = rustix::thread::gettid();
    if let Err(error) = rustix::process::setpriority_process(Some(thread), NICENESS) {
        tracing::debug!(%error, "what takes long has the priority of the server");
    }
}

/// Other systems have one priority for all threads of a process.
#[cfg(not(target_os = "linux"))]
const fn stand_back() {}

/// A tenth of the time of a thread of usual priority that wants the same core.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

impl Drop for Pool {
    fn drop(&mut self) {
        let forgotten: VecDeque<_> = {
            let mut state = self.tasks.0.state();
            state.over = true;
            let tasks = std::mem::take(&mut state.tasks);
            let (kept, forgotten) = tasks.into_iter().partition(|given| given.surely);
            state.tasks = kept;
            forgotten
        };
        self.tasks.0.news.notify_all();
        drop(forgotten);
        let mut threads = std::mem::take(&mut *self.started());
        // One of its own cannot wait for itself.
        let own = thread::current().id();
        let is_own = |thread: &JoinHandle<()>| thread.thread().id() == own;
        let stays = usize::from(threads.iter().any(is_own));
        threads.retain(|thread| !is_own(thread));
        if let Some(patience) = &self.patience {
            let (stuck, undone) = self.wait_for_all_but(stays, patience());
            if undone > 0 {
                tracing::warn!(
                    undone,
                    "{}: there was no time to save sessions: they are lost",
                    self.name
                );
            }
            if stuck > 0 {
                tracing::warn!(
                    stuck,
                    "{}: what is under way takes too long: the server ends without it",
                    self.name
                );
                // Whoever is through is gone at once; the others hold nothing that anybody waits for.
                threads.retain(JoinHandle::is_finished);
            }
        }
        for thread in threads {
            // One that has panicked was told as it happened.
            let _ = thread.join();
        }
    }
}

impl Pool {
    /// Waits for threads that are at work, and for what they are still to do surely, but for so long only: how many still
    /// are, and how much of that is not done. `stays` of them are not waited for.
    fn wait_for_all_but(&self, stays: usize, patience: Duration) -> (usize, usize) {
        let shared = &self.tasks.0;
        // A thread of its own goes on with it once this is done.
        let goes_on = stays > 0;
        let is_at_work =
            |state: &mut State| state.busy > stays || !(goes_on || state.tasks.is_empty());
        let waited = shared
            .done
            .wait_timeout_while(shared.state(), patience, is_at_work);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if goes_on {
            return (state.busy.saturating_sub(stays), 0);
        }
        let late = std::mem::take(&mut state.tasks);
        let counts = (state.busy, late.len() + state.surely);
        drop(state);
        drop(late);
        counts
    }
}

#[cfg(test)]
mod tests;
