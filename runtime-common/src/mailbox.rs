//! How other threads reach a loop that waits for descriptors, and how it reaches the program around it: bounded,
//! with one wake-up a batch.

use std::fmt;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel,
};
use std::time::Duration;

use roomwire_core::server::{Command, Event, SavedSession};
use roomwire_core::{ClientId, ShardId, Stats};

use crate::adopt::{AdoptError, Adopted, Dealer};
use crate::error::Ended;
use crate::sessions::{Asking, SessionHolder};

/// Commands and events that may wait between a program and its server.
pub const MAILBOX: usize = 1_024;

/// What a shard is sent from other threads.
#[derive(Debug)]
pub enum Letter {
    /// For the machine.
    Command(Command),
    /// Counters and gauges, please.
    Stats(Reply<Stats>),
    /// A connection to take over.
    Adopt(Adopted, Reply<Result<(), AdoptError>>),
    /// End at once.
    Abort,
}

/// Where an answer goes, whatever kind of channel that is. Dropping it says that there is none.
pub struct Reply<T>(Box<dyn FnOnce(T) + Send>);

impl<T> Reply<T> {
    /// `give` must not wait. Whether anybody still wants the answer does not matter.
    pub fn new<R>(give: impl FnOnce(T) -> R + Send + 'static) -> Self {
        Self(Box::new(|answer| {
            let _ = give(answer);
        }))
    }

    /// Answers.
    pub fn give(self, answer: T) {
        (self.0)(answer);
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Reply").finish_non_exhaustive()
    }
}

/// Wakes a loop: once, however often it is rung before the loop listens again, and not at all while it is awake, if it
/// says when it is.
///
/// A pair of sockets: every loop can wait for one, while a mio loop has room for a single `Waker`, which may be
/// that of the program around the server.
#[derive(Debug)]
pub struct Bell {
    /// [`ASLEEP`], [`RUNG`], both or none.
    state: AtomicU8,
    clapper: UnixStream,
}

/// Whoever rings has to wake the loop.
const ASLEEP: u8 = 1;
/// Somebody has rung since the loop has listened.
const RUNG: u8 = 2;

impl Bell {
    /// A bell, and what is readable when it has been rung.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn new() -> io::Result<(Self, UnixStream)> {
        let (clapper, ear) = UnixStream::pair()?;
        clapper.set_nonblocking(true)?;
        ear.set_nonblocking(true)?;
        let state = AtomicU8::new(ASLEEP);
        Ok((Self { state, clapper }, ear))
    }

    /// The loop is about to look, and never says that it is awake: what comes from now on rings again.
    /// `read` reads what is readable.
    pub fn listen(&self, read: impl FnMut(&mut [u8]) -> io::Result<usize>) {
        Self::hush(read);
        self.state.swap(ASLEEP, Ordering::AcqRel);
    }

    /// Reads what has woken a loop, for one that says when it is awake.
    pub fn hush(mut read: impl FnMut(&mut [u8]) -> io::Result<usize>) {
        let mut bytes = [0; 8];
        // Less than there is room for is all there is.
        while read(&mut bytes).is_ok_and(|count| count == bytes.len()) {}
    }

    /// The loop is awake and about to look. From now on until it dozes nobody makes a system call to wake it. Whether
    /// somebody has rung; what then is readable is for [`hush`](Self::hush).
    pub fn wake(&self) -> bool {
        self.state.swap(0, Ordering::AcqRel) & RUNG != 0
    }

    /// The loop is about to sleep. `false` if somebody has rung since it woke: it has to look again instead.
    pub fn doze(&self) -> bool {
        let dozes = (self.state).compare_exchange(0, ASLEEP, Ordering::AcqRel, Ordering::Acquire);
        dozes.is_ok()
    }

    /// Wakes the loop, unless it was rung already or is awake. A system call at most.
    pub fn ring(&self) {
        if self.state.fetch_or(RUNG, Ordering::AcqRel) == ASLEEP {
            // It fails only if the loop is gone, which the sender finds out by itself.
            let _ = (&self.clapper).write(&[1]);
        }
    }
}

/// A mailbox: the sender's side, which rings `bell`, and the loop's.
pub fn mailbox(bell: &Arc<Bell>) -> (Sender, Receiver<Letter>) {
    let (letters, receiver) = sync_channel(MAILBOX);
    let bell = Arc::clone(bell);
    (Sender { letters, bell }, receiver)
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

    /// Without waiting. A letter that nobody would open is gone.
    ///
    /// # Errors
    /// Gives it back if the mailbox is full.
    pub fn try_send(&self, letter: Letter) -> Result<(), Letter> {
        let sent = self.letters.try_send(letter);
        self.bell.ring();
        match sent {
            Err(TrySendError::Full(letter)) => Err(letter),
            _ => Ok(()),
        }
    }
}

/// Talks to a running server from any thread but its own: calls may wait for it.
#[derive(Clone, Debug)]
pub struct Handle {
    shards: Arc<[Sender]>,
    asking: Asking,
    dealer: Dealer,
}

impl Handle {
    /// Reaches the shards behind these mailboxes, whose sessions are asked for there.
    pub fn new(shards: impl IntoIterator<Item = Sender>, asking: Asking) -> Self {
        Self {
            shards: shards.into_iter().collect(),
            asking,
            dealer: Dealer::default(),
        }
    }

    /// Carries out a command, in the order of the calls. Waits while 1,024 are on their way.
    ///
    /// # Errors
    /// [`Ended`] when the server no longer runs.
    pub fn command(&self, command: Command) -> Result<(), Ended> {
        match shard_of(&command) {
            Some(shard) => self.send(shard, Letter::Command(command)),
            None => self.send_all(|| Letter::Command(command.clone())),
        }
    }

    /// Counters and gauges as they stand, of all shards together.
    ///
    /// # Errors
    /// [`Ended`] when the server no longer runs.
    pub fn stats(&self) -> Result<Stats, Ended> {
        let (reply, stats) = sync_channel(self.shards.len());
        self.send_all(|| {
            let reply = reply.clone();
            Letter::Stats(Reply::new(move |stats| reply.send(stats).is_ok()))
        })?;
        drop(reply);
        let mut all = Stats::default();
        for _ in &*self.shards {
            all += stats.recv().map_err(|_| Ended)?;
        }
        Ok(all)
    }

    /// Takes a session out of the server, for another one of the same
    /// [`sessions.key`](roomwire_core::config::Sessions::key): the connection that has it, if any, is closed with 4409,
    /// unless it has asked for it after `asked_ms`: when that is wanted, in ms since 1970, as
    /// [`Event::SessionWanted`] tells. `None`: it has none. Whoever takes it has it alone, and is to give it to a server
    /// ([`Command::GiveSession`]) or to a store. Waits no longer than
    /// [`timeouts.relay_ms`](roomwire_core::config::Timeouts::relay_ms) and a second; who has no answer by then is told
    /// `None`. Where that would hold up a loop, as a store without threads for hooks does, it is so at once.
    ///
    /// # Errors
    /// [`Ended`] when the server no longer runs. What it has had is in its store.
    pub fn take_session(
        &self,
        client: ClientId,
        asked_ms: u64,
    ) -> Result<Option<SavedSession>, Ended> {
        self.asking
            .ask_all((client, asked_ms), &self.shards, Sender::try_send)
    }

    /// Takes over a connection that another server has upgraded, on one thread after the other. Waits until the
    /// server runs and has taken it.
    ///
    /// # Errors
    /// [`AdoptError`] says why it was not taken. It is closed then.
    pub fn adopt(&self, adopted: Adopted) -> Result<(), AdoptError> {
        let (reply, taken) = sync_channel(1);
        let reply = Reply::new(move |outcome| reply.send(outcome));
        let shard = self.dealer.next(&self.shards).ok_or(Ended)?;
        shard.send(Letter::Adopt(adopted, reply))?;
        taken.recv().map_err(|_| Ended)?
    }

    /// Asks the server to say goodbye to everyone and end. A server that has ended takes no notice.
    pub fn drain(&self) {
        let _ = self.send_all(|| Letter::Command(Command::Drain));
    }

    /// Ends the server at once: every connection is cut. A server that has ended takes no notice.
    pub fn abort(&self) {
        let _ = self.send_all(|| Letter::Abort);
    }

    fn send(&self, shard: ShardId, letter: Letter) -> Result<(), Ended> {
        let sender = self.shards.get(usize::from(shard.0)).ok_or(Ended)?;
        sender.send(letter)
    }

    /// Sends each shard a letter, also those after one that has ended.
    fn send_all(&self, letter: impl Fn() -> Letter) -> Result<(), Ended> {
        let sent = self.shards.iter().map(|shard| shard.send(letter()));
        sent.fold(Ok(()), Result::and)
    }
}

impl SessionHolder for Handle {
    fn hand_over(&self, client: ClientId, asked_ms: u64) -> Result<Option<SavedSession>, Ended> {
        self.take_session(client, asked_ms)
    }
}

/// The shard that a command is for; `None`: all of them.
pub fn shard_of(command: &Command) -> Option<ShardId> {
    match command {
        Command::Send { connection, .. }
        | Command::Kick { connection, .. }
        | Command::Close { connection, .. }
        | Command::Explain { connection, .. } => Some(connection.shard()),
        Command::Reply { request, .. } | Command::Fail { request } => Some(request.shard()),
        Command::GiveSession { shard, .. } => Some(*shard),
        // The one that knows answers.
        Command::TakeSession { .. } | Command::Drain => None,
        // Any shard knows where a room is at home.
        _ => Some(ShardId(0)),
    }
}

/// The events of a server that runs, for the program around it. They are never dropped, so a program that stops
/// receiving stops the server once 1,024 wait. Dropping this unsubscribes.
#[derive(Debug)]
pub struct Events {
    /// Taken only as this is dropped.
    receiver: Option<Receiver<Event>>,
    lines: Vec<Arc<Line>>,
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
        for line in &self.lines {
            if line.full.swap(false, Ordering::AcqRel) {
                line.bell.ring();
            }
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
        self.lines.iter().for_each(|line| line.bell.ring());
    }
}

/// The loop's side of [`Events`].
#[derive(Debug)]
pub struct EventSender {
    sender: SyncSender<Event>,
    line: Arc<Line>,
}

/// A line for events from each loop, which these bells wake.
pub fn events<'a>(bells: impl Iterator<Item = &'a Arc<Bell>>) -> (Vec<EventSender>, Events) {
    let (sender, receiver) = sync_channel(MAILBOX);
    let line = |bell: &Arc<Bell>| {
        let full = AtomicBool::new(false);
        let bell = Arc::clone(bell);
        Arc::new(Line { full, bell })
    };
    let lines: Vec<_> = bells.map(line).collect();
    let senders = lines.iter().map(|line| EventSender {
        sender: sender.clone(),
        line: Arc::clone(line),
    });
    let senders = senders.collect();
    let receiver = Some(receiver);
    (senders, Events { receiver, lines })
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
