//! One shard: a thread with its own loop, listeners, machine and mailbox.

use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant as StdInstant};

use roomwire_core::server::{Command, Event};
use roomwire_core::{ListenerId, Stats};
use roomwire_runtime::{
    ACCEPT_PAUSE, ACCEPTS_PER_TURN, Bound, ClockBase, Hosted, RunError, Serve, log_event,
};
use tokio::runtime::LocalRuntime;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, spawn_local};

use crate::driver::{Driver, TurnEnd};
use crate::stream::Acceptor;

/// What a shard is made of.
pub(crate) struct Shard {
    pub(crate) mailbox: mpsc::Receiver<Letter>,
    /// Where the embedding program gets its events, if it wants them.
    pub(crate) events: Option<mpsc::Sender<Event>>,
}

/// What a shard is sent from other threads.
pub(crate) enum Letter {
    Command(Command),
    Stats(oneshot::Sender<Stats>),
    /// End at once.
    Abort,
}

impl Serve for Shard {
    type Outcome = Result<(), RunError>;

    fn serve(self, machine: impl Hosted, bound: Bound) -> Self::Outcome {
        let doing = "starting the tokio runtime";
        let runtime = LocalRuntime::new().map_err(RunError::io(doing))?;
        // The runtime is gone when this ends, and the machine with it.
        runtime.block_on(self.serve_on(machine, bound))
    }
}

impl Shard {
    /// Runs on this thread until the shard was drained or aborted.
    pub(crate) fn run(self, bound: Bound) -> Result<(), RunError> {
        bound.host(self)
    }

    async fn serve_on(self, machine: impl Hosted, mut bound: Bound) -> Result<(), RunError> {
        let Self {
            mut mailbox,
            events,
        } = self;
        let driver = Driver::new(machine, ClockBase::new());
        let mut accepting = Vec::new();
        for (index, listener) in bound.listeners.into_iter().enumerate() {
            let doing = "registering a listener with the runtime";
            let listener = Acceptor::new(listener).map_err(RunError::io(doing))?;
            let id = ListenerId(u16::try_from(index).unwrap_or(u16::MAX));
            accepting.push(spawn_local(accept(Rc::clone(&driver), listener, id)).abort_handle());
        }
        let (drained, mut over) = oneshot::channel();
        let flusher = spawn_local(flush(Rc::clone(&driver), events, drained));
        loop {
            tokio::select! {
                biased;
                _ = &mut over => break,
                letter = mailbox.recv() => match letter {
                    Some(Letter::Command(Command::Drain)) => {
                        accepting.drain(..).for_each(|task: AbortHandle| task.abort());
                        bound.files.clear();
                        driver.command(Command::Drain);
                    }
                    Some(Letter::Command(command)) => driver.command(command),
                    Some(Letter::Stats(reply)) => {
                        let _ = reply.send(driver.with_machine(|machine| machine.as_ref().stats()));
                    }
                    // Nobody is left who could ask for an end.
                    Some(Letter::Abort) | None => break,
                },
            }
        }
        flusher.abort();
        Ok(())
    }
}

/// Accepts, a bounded number at a time, and rests when the process is out of descriptors.
async fn accept(driver: Rc<Driver<impl Hosted>>, listener: Acceptor, id: ListenerId) {
    let mut failing = false;
    loop {
        for _ in 0..ACCEPTS_PER_TURN {
            match listener.accept().await {
                Ok((reader, writer, peer)) => {
                    failing = false;
                    driver.accept((reader, writer), peer, id);
                }
                // The peer gave up while it waited: nothing is wrong here.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "accepting pauses until descriptors or memory are free");
                    }
                    failing = true;
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        tokio::task::yield_now().await;
    }
}

/// The flusher: one turn whenever something happened or is due.
async fn flush(
    driver: Rc<Driver<impl Hosted>>,
    events: Option<mpsc::Sender<Event>>,
    drained: oneshot::Sender<()>,
) {
    let mut drained = Some(drained);
    let mut ended = false;
    let mut late = None;
    let mut sleep = pin!(tokio::time::sleep(Duration::ZERO));
    let mut wake_at: Option<StdInstant> = None;
    loop {
        let end = driver.turn(&mut |event| {
            log_event(&event);
            ended |= event == Event::Drained;
            if let Some(events) = &events
                && let Err(mpsc::error::TrySendError::Full(event)) = events.try_send(event)
            {
                late = Some(event);
            }
            late.is_none()
        });
        // An embedding program that is behind holds the server back: events are not dropped.
        if let (Some(events), Some(event)) = (&events, late.take()) {
            driver.hold();
            let _ = events.send(event).await;
            driver.release();
        }
        if ended && let Some(drained) = drained.take() {
            let _ = drained.send(());
        }
        let TurnEnd::Idle(deadline) = end else {
            tokio::task::yield_now().await;
            continue;
        };
        let deadline = deadline.and_then(|deadline| driver.deadline(deadline));
        if deadline != wake_at {
            wake_at = deadline;
            if let Some(at) = deadline {
                sleep.as_mut().reset(at.into());
            }
        }
        tokio::select! {
            biased;
            () = driver.wake() => tokio::task::yield_now().await,
            () = sleep.as_mut(), if wake_at.is_some() => wake_at = None,
        }
    }
}
