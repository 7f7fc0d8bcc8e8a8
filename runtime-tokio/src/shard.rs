//! One shard: a thread with its own loop, listeners, machine and mailbox.

use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant as StdInstant};

use roomwire_core::ListenerId;
use roomwire_core::server::{Command, Event};
use roomwire_runtime::mailbox::{Bell, Letter};
use roomwire_runtime::{
    ACCEPTS_PER_TURN, Bound, ClockBase, Drains, End, Hosted, RunError, Serve, Shard, Stop, Trouble,
    TurnEnd, live, log_event,
};
use tokio::net::UnixStream;
use tokio::runtime::LocalRuntime;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, spawn_local};

use crate::Tokio;
use crate::adopt::take;
use crate::driver::Driver;
use crate::stream::Acceptor;

/// A shard on this thread.
struct OwnThread(Shard<Tokio>);

impl Serve for OwnThread {
    type Outcome = Result<(End, Shard<Tokio>), RunError>;

    fn serve(self, machine: impl Hosted, bound: Bound) -> Self::Outcome {
        let doing = "starting the tokio runtime";
        let runtime = LocalRuntime::new().map_err(RunError::io(doing))?;
        // The runtime is gone when this ends, and the machine with it.
        runtime.block_on(serve_on(self.0, machine, bound))
    }
}

/// Runs a shard on this thread until it was drained or aborted.
pub(crate) fn run(shard: Shard<Tokio>, bound: Bound) -> Result<(), RunError> {
    live(bound, shard, |bound, shard| bound.host(OwnThread(shard)))
}

async fn serve_on(
    shard: Shard<Tokio>,
    machine: impl Hosted,
    bound: Bound,
) -> Result<(End, Shard<Tokio>), RunError> {
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
        accepting.push(spawn_local(accept(Rc::clone(&driver), listener, id)).abort_handle());
    }
    let (stop, mut stops) = mpsc::channel(2);
    let drains = bound.drains;
    let flusher = flush(Rc::clone(&driver), events.clone(), drains.clone(), stop);
    let flusher = spawn_local(flusher);
    let doing = "registering a bell with the runtime";
    let ear = UnixStream::from_std(bound.ear).map_err(RunError::io(doing))?;
    let relays = spawn_local(receive(Rc::clone(&driver), bound.bell, ear));
    let end = loop {
        tokio::select! {
            biased;
            stop = stops.recv() => match stop {
                Some(Stop::Accepting) => accepting.drain(..).for_each(|task| task.abort()),
                Some(Stop::All(end)) => break end,
                None => break End::Over,
            },
            letter = mailbox.recv() => match letter {
                Some(Letter::Command(Command::Drain)) => {
                    drains.begin();
                    accepting.drain(..).for_each(|task: AbortHandle| task.abort());
                    bound.files.clear();
                    driver.command(Command::Drain);
                }
                Some(Letter::Command(command)) => driver.command(command),
                Some(Letter::Stats(reply)) => {
                    reply.give(driver.with_machine(|machine| machine.stats()));
                }
                Some(Letter::Adopt(adopted, reply)) => reply.give(take(&driver, adopted)),
                // Nobody is left who could ask for an end.
                Some(Letter::Abort) | None => break End::Over,
            },
        }
    };
    flusher.abort();
    relays.abort();
    Ok((end, Shard { mailbox, events }))
}

/// Has the flusher take what other shards have when the bell has been rung.
async fn receive(driver: Rc<Driver<impl Hosted>>, bell: Arc<Bell>, ear: UnixStream) {
    while ear.readable().await.is_ok() {
        bell.listen(|bytes| ear.try_read(bytes));
        driver.rung();
    }
}

/// Accepts, a bounded number at a time, and rests when the process is out of descriptors.
async fn accept(driver: Rc<Driver<impl Hosted>>, listener: Acceptor, id: ListenerId) {
    let mut trouble = Trouble::default();
    loop {
        for _ in 0..ACCEPTS_PER_TURN {
            match listener.accept().await {
                Ok((halves, peer)) => {
                    trouble.is_over();
                    driver.accept(halves, peer, id, &mut []);
                }
                Err(error) => {
                    if let Some(rest) = trouble.pause(&error) {
                        tokio::time::sleep(rest).await;
                    }
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
    drains: Drains,
    stops: mpsc::Sender<Stop>,
) {
    let mut late = None;
    let mut sleep = pin!(tokio::time::sleep(Duration::ZERO));
    let mut wake_at: Option<StdInstant> = None;
    loop {
        let more = driver.receive().await;
        let end = driver.turn(more, &mut |event| {
            let (event, stop) = drains.filter(event);
            // There are two at most, and both fit.
            let _ = stop.map(|stop| stops.try_send(stop));
            event.iter().for_each(log_event);
            if let (Some(events), Some(event)) = (&events, event)
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
