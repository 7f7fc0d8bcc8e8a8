//! One shard: a thread with its own loop, listeners, machine and mailbox.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant as StdInstant;

use async_io::{Async, Timer};
use async_std::channel::{Sender, TrySendError};
use async_std::stream::Stream;
use async_std::task::{JoinHandle, block_on, sleep, spawn_local, yield_now};
use roomwire_core::ListenerId;
use roomwire_core::server::{Command, Event};
use roomwire_runtime::mailbox::{Bell, Letter};
use roomwire_runtime::{
    ACCEPTS_PER_TURN, Bound, ClockBase, Drains, End, Hosted, RunError, Serve, Shard, Signal, Stop,
    Trouble, TurnEnd, live, log_event,
};

use crate::AsyncStd;
use crate::adopt::take;
use crate::driver::Driver;
use crate::stream::Acceptor;

/// What a shard is to do, and that it is.
#[derive(Default)]
struct Stops {
    stop: Cell<Option<Stop>>,
    signal: Signal,
}

/// A shard on this thread.
struct OwnThread(Shard<AsyncStd>);

impl Serve for OwnThread {
    type Outcome = Result<(End, Shard<AsyncStd>), RunError>;

    fn serve(self, machine: impl Hosted, bound: Bound) -> Self::Outcome {
        block_on(serve_on(self.0, machine, bound))
    }
}

/// Runs a shard on this thread until it was drained or aborted.
pub(crate) fn run(shard: Shard<AsyncStd>, bound: Bound) -> Result<(), RunError> {
    live(bound, shard, |bound, shard| bound.host(OwnThread(shard)))
}

async fn serve_on(
    shard: Shard<AsyncStd>,
    machine: impl Hosted,
    bound: Bound,
) -> Result<(End, Shard<AsyncStd>), RunError> {
    let Shard {
        mut mailbox,
        events,
    } = shard;
    let driver = Driver::new(machine, bound.links, ClockBase::new());
    let mut accepting = Vec::new();
    for (index, listener) in bound.listeners.into_iter().enumerate() {
        let doing = "registering a listener with the runtime";
        let listener = Acceptor::new(listener).map_err(RunError::io(doing))?;
        let id = ListenerId(u16::try_from(index).unwrap_or(u16::MAX));
        accepting.push(spawn_local(accept(Rc::clone(&driver), listener, id)));
    }
    let stops = Rc::new(Stops::default());
    let drains = bound.drains;
    let (sender, own) = (events.clone(), drains.clone());
    let bell = Arc::clone(&bound.bell);
    let flusher = flush(Rc::clone(&driver), sender, own, Rc::clone(&stops), bell);
    let flusher = spawn_local(flusher);
    let doing = "registering a bell with the runtime";
    let ear = Async::new(bound.ear).map_err(RunError::io(doing))?;
    let relays = spawn_local(receive(Rc::clone(&driver), bound.bell, ear));
    let end = loop {
        let letter = poll_fn(|cx| match stops.signal.poll(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => Pin::new(&mut mailbox).poll_next(cx),
        });
        match letter.await {
            Some(Letter::Command(Command::Drain)) => {
                drains.begin();
                stop(accepting.drain(..)).await;
                bound.files.clear();
                driver.command(Command::Drain);
            }
            Some(Letter::Command(command)) => driver.command(command),
            Some(Letter::Stats(reply)) => {
                reply.give(driver.with_machine(|machine| machine.stats()));
            }
            Some(Letter::Adopt(adopted, reply)) => reply.give(take(&driver, adopted)),
            Some(Letter::Abort) => break End::Over,
            None => match stops.stop.take() {
                Some(Stop::Accepting) => stop(accepting.drain(..)).await,
                Some(Stop::All(end)) => break end,
                // Nobody is left who could ask for an end.
                None => break End::Over,
            },
        }
    };
    stop(accepting.into_iter().chain([flusher, relays])).await;
    driver.end().await;
    Ok((end, Shard { mailbox, events }))
}

/// Ends tasks; returns once they have.
async fn stop(tasks: impl IntoIterator<Item = JoinHandle<()>>) {
    for task in tasks {
        let _ = task.cancel().await;
    }
}

/// Has the flusher take what other shards have when the bell has been rung.
async fn receive(driver: Rc<Driver<impl Hosted>>, bell: Arc<Bell>, ear: Async<UnixStream>) {
    while ear.readable().await.is_ok() {
        bell.listen(|bytes| ear.get_ref().read(bytes));
        driver.rung();
    }
}

/// Accepts, a bounded number at a time, and rests when the process is out of descriptors.
async fn accept(driver: Rc<Driver<impl Hosted>>, listener: Acceptor, id: ListenerId) {
    let mut trouble = Trouble::default();
    loop {
        for _ in 0..ACCEPTS_PER_TURN {
            match listener.accept().await {
                Ok((stream, peer)) => {
                    trouble.is_over();
                    driver.accept(stream, peer, id, &mut []);
                }
                Err(error) => {
                    if let Some(rest) = trouble.pause(&error) {
                        sleep(rest).await;
                    }
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
    drains: Drains,
    stops: Rc<Stops>,
    bell: Arc<Bell>,
) {
    let mut late = None;
    let mut timer = Timer::never();
    let mut wake_at: Option<StdInstant> = None;
    loop {
        let more = driver.receive().await;
        let end = driver.turn(more, &mut |event| {
            let (event, stop) = drains.filter(event);
            stops.stop.set(stop.or_else(|| stops.stop.get()));
            event.iter().for_each(log_event);
            if let (Some(events), Some(event)) = (&events, event)
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
        if stops.stop.get().is_some() {
            stops.signal.raise();
        }
        let TurnEnd::Idle(deadline) = end else {
            driver.look(&bell).await;
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
