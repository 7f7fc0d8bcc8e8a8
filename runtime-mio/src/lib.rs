//! The roomwire server on mio: a loop of its own, or a guest on the loop of another program.
//!
//! [`Server::bind`] takes the addresses, [`Server::run`] serves on the calling thread until a [`Handle`] asks
//! for an end and every client was told goodbye.
//!
//! ```
//! use roomwire_mio::Server;
//! use roomwire_runtime::{ListenerSettings, Settings};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let settings = Settings {
//!     listeners: vec![ListenerSettings::at(([127, 0, 0, 1], 0))],
//!     ..Settings::default()
//! };
//! let server = Server::bind(&settings)?;
//! println!("listening on {}", server.local_addr());
//! let handle = server.handle();
//! let thread = std::thread::spawn(|| server.run());
//! handle.drain(); // a real program waits for a signal first
//! thread.join().expect("no panic")?;
//! # Ok(())
//! # }
//! ```
//!
//! A program that has a mio loop already gives the server a range of tokens with [`Server::attach`]:
//! `examples/guest.rs` shows it. Message types of a program's own are registered in the config; they arrive as
//! [`Server::events`] and are answered through a [`Handle`].

mod driver;
mod shard;
mod stream;

use std::fmt;
use std::io;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use mio::event::Event as Readiness;
use mio::{Poll, Registry, Token};
use roomwire_core::Stats;
use roomwire_core::server::Command;
use roomwire_runtime::mailbox::{EventSender, Letter, events, mailbox};
pub use roomwire_runtime::mailbox::{Events, Handle};
#[cfg(feature = "tls")]
use roomwire_runtime::tls::Certificates;
use roomwire_runtime::{Address, Bound, End, Hosted, RunError, Serve, Settings, live, run_shards};
pub use roomwire_runtime::{AdoptError, Adopted, Ended, Hook, Request};

use shard::Shard;

/// A server that has its addresses and does not serve yet.
#[derive(Debug)]
pub struct Server {
    bound: Bound,
    handle: Handle,
    /// Of each shard.
    mailboxes: Vec<Receiver<Letter>>,
    events: Vec<EventSender>,
}

/// What one look at the system brings at most.
const READINESSES: usize = 1_024;

impl Server {
    /// Checks the settings and takes the addresses. Connections that come from now on wait until
    /// [`run`](Self::run).
    ///
    /// # Errors
    /// [`RunError::Config`] and [`RunError::Bind`] name what is wrong and what to do; [`RunError::Io`] when the
    /// system has no randomness, or the file of a recording is there already or cannot be made.
    pub fn bind(settings: &Settings) -> Result<Self, RunError> {
        let bound = Bound::new(settings)?;
        let mailboxes = bound.all().map(|shard| mailbox(&shard.bell));
        let (senders, mailboxes): (Vec<_>, _) = mailboxes.unzip();
        Ok(Self {
            bound,
            handle: Handle::new(senders),
            mailboxes,
            events: Vec::new(),
        })
    }

    /// Where the first listener listens, which must be there; with port 0, the port that it was given.
    pub fn local_addr(&self) -> &Address {
        &self.bound.addresses[0]
    }

    /// Where each listener listens, in the order of the settings.
    pub fn local_addrs(&self) -> &[Address] {
        &self.bound.addresses
    }

    /// The certificates of listeners that speak TLS: to read their files again while the server runs.
    #[cfg(feature = "tls")]
    pub fn certificates(&self) -> Option<Certificates> {
        self.bound.certificates.clone()
    }

    /// For talking to the server while it runs.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// The server's events from here on. Take them and keep receiving: they are never dropped, so a program
    /// that stops receiving stops the server once 1,024 wait. Dropping them unsubscribes.
    pub fn events(&mut self) -> Events {
        let (senders, events) = events(self.bound.all().map(|shard| &shard.bell));
        self.events = senders;
        events
    }

    /// Has a function answer application messages, in place of events, on the threads of the pool: see [`Hook`].
    pub fn answer(&mut self, hook: &Hook) {
        self.bound.answer(hook);
    }

    /// Serves on this thread, and on others if the settings ask for more than one, until [`Handle::drain`] or
    /// [`Handle::abort`].
    ///
    /// # Errors
    /// When the system has no descriptors for a loop, or fails it, or a thread panics, which is a bug.
    pub fn run(self) -> Result<(), RunError> {
        let handle = self.handle();
        let shards = self.into_shards().into_iter();
        let shards = shards.map(|(mail, bound)| move || run_shard(mail, bound));
        run_shards(shards.collect(), || handle.abort())
    }

    /// Serves on the loop of another program, whose tokens from `first` on then belong to the server.
    ///
    /// # Errors
    /// When the system has no descriptors left, or the settings ask for a recording or for several threads, which
    /// only [`run`](Self::run) makes.
    pub fn attach(self, registry: &Registry, first: Token) -> Result<Attached, RunError> {
        let mut shards = self.into_shards();
        let one = shards.pop().filter(|_| shards.is_empty());
        let one = one.filter(|(_, bound)| bound.recording.is_none());
        let Some((mail, bound)) = one else {
            let why = "only a server with loops of its own has several or is recorded: unset record.file, threads = 1";
            let error = io::Error::new(io::ErrorKind::Unsupported, why);
            return Err(RunError::io("attaching a server")(error));
        };
        let shard = bound.host(Guest(mail, registry, first))?;
        Ok(Attached { shard, first })
    }

    fn into_shards(self) -> Vec<(Mail, Bound)> {
        let events = self.events.into_iter().map(Some);
        let events = events.chain(std::iter::repeat_with(|| None));
        let mail = self.mailboxes.into_iter().zip(events);
        mail.zip(self.bound.into_shards()).collect()
    }
}

/// What connects a shard with the program around it.
type Mail = (Receiver<Letter>, Option<EventSender>);

/// Runs a shard on this thread until it was drained or aborted.
fn run_shard(mail: Mail, bound: Bound) -> Result<(), RunError> {
    live(bound, mail, |bound, mail| bound.host(OwnLoop(mail)))
}

/// A shard, whatever its machine.
trait Turning {
    fn readiness(&mut self, readiness: &Readiness);
    fn turn(&mut self) -> Option<Duration>;
    fn end(&self) -> Option<End>;
    fn command(&mut self, command: Command);
    fn adopt(&mut self, adopted: Adopted) -> Result<(), AdoptError>;
    fn stats(&self) -> Stats;
}

/// A server on a loop of its own.
struct OwnLoop(Mail);

impl Serve for OwnLoop {
    type Outcome = Result<(End, Mail), RunError>;

    fn serve(self, machine: impl Hosted, bound: Bound) -> Self::Outcome {
        let mut poll = Poll::new().map_err(RunError::io("starting the loop"))?;
        let mut readinesses = mio::Events::with_capacity(READINESSES);
        let mut shard = Shard::new(machine, bound, self.0, poll.registry(), Token(0))?;
        loop {
            let sleep = shard.turn();
            if let Some(end) = shard.end() {
                return Ok((end, shard.into_mail()));
            }
            match poll.poll(&mut readinesses, sleep) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(RunError::io("waiting for events")(error));
                }
                _ => readinesses.iter().for_each(|one| shard.readiness(one)),
            }
        }
    }
}

/// A server on another program's loop.
struct Guest<'a>(Mail, &'a Registry, Token);

impl Serve for Guest<'_> {
    type Outcome = Result<Box<dyn Turning>, RunError>;

    fn serve(self, machine: impl Hosted, bound: Bound) -> Self::Outcome {
        let Self(mail, registry, first) = self;
        let shard = Shard::new(machine, bound, mail, registry, first)?;
        Ok(Box::new(shard))
    }
}

/// A server on another program's loop.
pub struct Attached {
    shard: Box<dyn Turning>,
    first: Token,
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached")
            .field("first", &self.first)
            .finish_non_exhaustive()
    }
}

impl Attached {
    /// Hands in what the loop has heard of; `false` if the token is not the server's. O(1).
    pub fn readiness(&mut self, readiness: &Readiness) -> bool {
        let ours = readiness.token() >= self.first;
        if ours {
            self.shard.readiness(readiness);
        }
        ours
    }

    /// Does what there is to do, for some milliseconds at most. Returns how long the loop may wait for events
    /// before the next call; `None`: until the server's tokens are ready. Call it once before the first wait.
    pub fn turn(&mut self) -> Option<Duration> {
        self.shard.turn()
    }

    /// Carries out a command at once; what comes of it is done in the next [`turn`](Self::turn).
    pub fn command(&mut self, command: Command) {
        self.shard.command(command);
    }

    /// Takes over a connection that the program's own server has upgraded. What comes of it is done in the next
    /// [`turn`](Self::turn).
    ///
    /// # Errors
    /// When the server has no room for it, or is leaving. It is closed then.
    pub fn adopt(&mut self, adopted: Adopted) -> Result<(), AdoptError> {
        self.shard.adopt(adopted)
    }

    /// Counters and gauges as they stand.
    pub fn stats(&self) -> Stats {
        self.shard.stats()
    }

    /// The server was drained or aborted in its last turn, or has failed: drop it.
    pub fn is_over(&self) -> bool {
        self.shard.end().is_some()
    }
}
