//! One shard: a thread with its own loop, listeners, machine and mailbox.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant as StdInstant;

use async_io::Timer;
use async_std::channel::{Receiver, Sender, TrySendError};
use async_std::stream::Stream;
use async_std::task::{JoinHandle, block_on, sleep, spawn_local, yield_now};
use roomwire_core::server::{Command, Event};
use roomwire_core::{ListenerId, Stats};
use roomwire_runtime::{
    ACCEPT_PAUSE, ACCEPTS_PER_TURN, Bound, ClockBase, Hosted, RunError, Serve, Signal, log_event,
};

use crate::driver::{Driver, TurnEnd};
use crate::stream::Acceptor;

/// What a shard is made of.
pub(crate) struct Shard {
    pub(crate) mailbox: Receiver<Letter>,
    /// Where the embedding program gets its events, if it wants them.
    pub(crate) events: Option<Sender<Event>>,
}

/// What a shard is sent from other threads.
pub(crate) enum Letter {
    Command(Command),
    Stats(Sender<Stats>),
    /// End at once.
    Abort,
}

impl Serve for Shard {
    type Outcome = Result<(), RunError>;

    fn serve(self, machine: impl Hosted, bound: Bound) -> Self::Outcome {
        block_on(self.serve_on(machine, bound))
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
            accepting.push(spawn_local(accept(Rc::clone(&driver), listener, id)));
        }
        let drained = Rc::new(Signal::default());
        let flusher = spawn_local(flush(Rc::clone(&driver), events, Rc::clone(&drained)));
        loop {
            let letter = poll_fn(|cx| match drained.poll(cx) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => Pin::new(&mut mailbox).poll_next(cx),
            });
            match letter.await {
                Some(Letter::Command(Command::Drain)) => {
                    stop(accepting.drain(..)).await;
                    bound.files.clear();
                    driver.command(Command::Drain);
                }
                Some(Letter::Command(command)) => driver.command(command),
                Some(Letter::Stats(reply)) => {
                    let stats = driver.with_machine(|machine| machine.as_ref().stats());
                    let _ = reply.try_send(stats);
                }
                // Drained, or nobody is left who could ask for an end.
                Some(Letter::Abort) | None => break,
            }
        }
        stop(accepting.into_iter().chain([flusher])).await;
        driver.end().await;
        Ok(())
    }
}

/// Ends tasks; returns once they have.
async fn stop(tasks: impl IntoIterator<Item = JoinHandle<()>>) {
    for task in tasks {
        let _ = task.cancel().await;
    }
}

/// Accepts, a bounded number at a time, and rests when the process is out of descriptors.
async fn accept(driver: Rc<Driver<impl Hosted>>, listener: Acceptor, id: ListenerId) {
    let mut failing = false;
    loop {
        for _ in 0..ACCEPTS_PER_TURN {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    failing = false;
                    driver.accept(stream, peer, id);
                }
                // The peer gave up while it waited: nothing is wrong here.
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "accepting pauses until descriptors or memory are free");
                    }
                    failing = true;
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        yield_now().await;
    }
}

/// The flusher: one turn whenever something happened or is due.
async fn flush(
    driver: Rc<Driver<impl Hosted>>,
    events: Option<Sender<Event>>,
    drained: Rc<Signal>,
) {
    let mut late = None;
    let mut ended = false;
    let mut timer = Timer::never();
    let mut wake_at: Option<StdInstant> = None;
    loop {
        let end = driver.turn(&mut |event| {
            log_event(&event);
            ended |= event == Event::Drained;
            if let Some(events) = &events
                && let Err(TrySendError::Full(event)) = events.try_send(event)
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
        if ended {
            drained.raise();
        }
        let TurnEnd::Idle(deadline) = end else {
            yield_now().await;
            continue;
        };
        let deadline = deadline.and_then(|deadline| driver.deadline(deadline));
        if deadline != wake_at {
            wake_at = deadline;
            if let Some(at) = deadline {
                timer.set_at(at);
            }
        }
        let woken = poll_fn(|cx| match driver.poll_wake(cx) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending if wake_at.is_some() => Pin::new(&mut timer).poll(cx).map(|_| false),
            Poll::Pending => Poll::Pending,
        });
        if woken.await {
            yield_now().await;
        } else {
            wake_at = None;
        }
    }
}
