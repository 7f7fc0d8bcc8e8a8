//! How other threads reach a loop that waits for descriptors, and how it reaches the program around it: bounded,
//! with one wake-up a batch.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel,
};
use std::time::Duration;

use roomwire_core::Stats;
use roomwire_core::server::{Command, Event};

use crate::error::Ended;

/// Commands and events that may wait between a program and its server.
const MAILBOX: usize = 1_024;

/// What a shard is sent from other threads.
#[derive(Debug)]
pub enum Letter {
    /// For the machine.
    Command(Command),
    /// Counters and gauges, please.
    Stats(SyncSender<Stats>),
    /// End at once.
    Abort,
}

/// Wakes a loop: once, however often it is rung before the loop listens again.
///
/// A pair of sockets: every loop can wait for one, while a mio loop has room for a single `Waker`, which may be
/// that of the program around the server.
#[derive(Debug)]
pub struct Bell {
    rung: AtomicBool,
    clapper: UnixStream,
}

impl Bell {
    fn new() -> io::Result<(Self, UnixStream)> {
        let (clapper, ear) = UnixStream::pair()?;
        clapper.set_nonblocking(true)?;
        ear.set_nonblocking(true)?;
        let rung = AtomicBool::new(false);
        Ok((Self { rung, clapper }, ear))
    }

    /// Wakes the loop, unless it was rung already. A system call at most.
    pub fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            // It fails only if the loop is gone, which the sender finds out by itself.
            let _ = (&self.clapper).write(&[1]);
        }
    }
}

/// A mailbox: the sender's side and the loop's.
///
/// # Errors
/// When the process is out of descriptors.
pub fn mailbox() -> io::Result<(Sender, Mailbox)> {
    let (sender, letters) = sync_channel(MAILBOX);
    let (bell, ear) = Bell::new()?;
    let bell = Arc::new(bell);
    let sender = Sender {
        letters: sender,
        bell: Arc::clone(&bell),
    };
    let mailbox = Mailbox { letters, bell, ear };
    Ok((sender, mailbox))
}

/// The sender's side of a mailbox.
#[derive(Clone, Debug)]
pub struct Sender {
    letters: SyncSender<Letter>,
    bell: Arc<Bell>,
}

impl Sender {
    /// Waits while the mailbox is full.
    ///
    /// # Errors
    /// [`Ended`] when nobody will open the letter.
    pub fn send(&self, letter: Letter) -> Result<(), Ended> {
        let sent = self.letters.send(letter);
        self.bell.ring();
        sent.map_err(|_| Ended)
    }
}

/// The loop's side of a mailbox.
#[derive(Debug)]
pub struct Mailbox {
    /// What was sent.
    pub letters: Receiver<Letter>,
    /// For whoever else wakes the loop.
    pub bell: Arc<Bell>,
    /// Readable when there may be letters.
    pub ear: UnixStream,
}

impl Mailbox {
    /// The loop is about to look: what comes from now on rings again.
    pub fn listen(&self) {
        let mut bytes = [0; 8];
        while (&self.ear).read(&mut bytes).is_ok_and(|count| count > 0) {}
        self.bell.rung.swap(false, Ordering::AcqRel);
    }
}

/// The events of a server that runs, for the program around it. They are never dropped, so a program that stops
/// receiving stops the server once 1,024 wait. Dropping this unsubscribes.
#[derive(Debug)]
pub struct Events {
    /// Taken only as this is dropped.
    receiver: Option<Receiver<Event>>,
    line: Arc<Line>,
}

#[derive(Debug)]
struct Line {
    /// The loop waits for room.
    full: AtomicBool,
    bell: Arc<Bell>,
}

impl Events {
    /// The next event, as soon as there is one; `None` once the server has ended.
    pub fn recv(&self) -> Option<Event> {
        let event = self.receiver.as_ref()?.recv().ok();
        self.taken();
        event
    }

    /// The next event if it comes within `patience`.
    ///
    /// # Errors
    /// [`RecvTimeoutError::Disconnected`] once the server has ended.
    pub fn recv_timeout(&self, patience: Duration) -> Result<Event, RecvTimeoutError> {
        let receiver = self.receiver.as_ref();
        let event = receiver.map_or(Err(RecvTimeoutError::Disconnected), |receiver| {
            receiver.recv_timeout(patience)
        });
        self.taken();
        event
    }

    /// The next event if there is one.
    ///
    /// # Errors
    /// [`TryRecvError::Disconnected`] once the server has ended.
    pub fn try_recv(&self) -> Result<Event, TryRecvError> {
        let receiver = self.receiver.as_ref();
        let event = receiver.map_or(Err(TryRecvError::Disconnected), Receiver::try_recv);
        self.taken();
        event
    }

    fn taken(&self) {
        if self.line.full.swap(false, Ordering::AcqRel) {
            self.line.bell.ring();
        }
    }
}

/// Ends when the server has ended.
impl Iterator for Events {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.recv()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        // First, so that a loop that waits for room finds nobody.
        drop(self.receiver.take());
        self.line.bell.ring();
    }
}

/// The loop's side of [`Events`].
#[derive(Debug)]
pub struct EventSender {
    sender: SyncSender<Event>,
    line: Arc<Line>,
}

/// A line for events; `bell` is that of the loop.
pub fn events(bell: &Arc<Bell>) -> (EventSender, Events) {
    let (sender, receiver) = sync_channel(MAILBOX);
    let line = Arc::new(Line {
        full: AtomicBool::new(false),
        bell: Arc::clone(bell),
    });
    let events = Events {
        receiver: Some(receiver),
        line: Arc::clone(&line),
    };
    (EventSender { sender, line }, events)
}

impl EventSender {
    /// Gives the event back if there is no room; the bell rings when there is. One that nobody wants is gone.
    pub fn send(&self, event: Event) -> Option<Event> {
        let Err(TrySendError::Full(event)) = self.sender.try_send(event) else {
            return None;
        };
        self.line.full.store(true, Ordering::Release);
        // Room that was made before the flag stood rang no bell.
        match self.sender.try_send(event) {
            Err(TrySendError::Full(event)) => Some(event),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
