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
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use mio::event::Event as Readiness;
use mio::{Poll, Registry, Token};
use roomwire_core::Stats;
use roomwire_core::server::Command;
pub use roomwire_runtime::Ended;
pub use roomwire_runtime::mailbox::Events;
use roomwire_runtime::mailbox::{EventSender, Letter, Mailbox, Sender, events, mailbox};
#[cfg(feature = "tls")]
use roomwire_runtime::tls::Certificates;
use roomwire_runtime::{Address, Bound, Hosted, RunError, Serve, Settings};

use shard::Shard;

/// A server that has its addresses and does not serve yet.
#[derive(Debug)]
pub struct Server {
    bound: Bound,
    handle: Handle,
    mailbox: Mailbox,
    events: Option<EventSender>,
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
        let (sender, mailbox) = mailbox().map_err(RunError::io("making a mailbox"))?;
        Ok(Self {
            bound,
            handle: Handle { mailbox: sender },
            mailbox,
            events: None,
        })
    }

    /// Where the first listener listens; with port 0, the port that it was given.
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
        let (sender, events) = events(&self.mailbox.bell);
        self.events = Some(sender);
        events
    }

    /// Serves on this thread until [`Handle::drain`] or [`Handle::abort`].
    ///
    /// # Errors
    /// When the system has no descriptors for the loop, or fails it.
    pub fn run(self) -> Result<(), RunError> {
        let (mail, bound) = self.into_parts();
        bound.host(OwnLoop(mail))
    }

    /// Serves on the loop of another program, whose tokens from `first` on then belong to the server.
    ///
    /// # Errors
    /// When the system has no descriptors left, or the settings ask for a recording, which only
    /// [`run`](Self::run) makes.
    pub fn attach(self, registry: &Registry, first: Token) -> Result<Attached, RunError> {
        let (mail, bound) = self.into_parts();
        if bound.recording.is_some() {
            let why = "only a server with a loop of its own is recorded: unset record.file";
            let error = io::Error::new(io::ErrorKind::Unsupported, why);
            return Err(RunError::io("attaching a server")(error));
        }
        let shard = bound.host(Guest(mail, registry, first))?;
        Ok(Attached { shard, first })
    }

    fn into_parts(self) -> ((Mailbox, Option<EventSender>), Bound) {
        ((self.mailbox, self.events), self.bound)
    }
}

/// A shard, whatever its machine.
trait Turning {
    fn readiness(&mut self, readiness: &Readiness);
    fn turn(&mut self) -> Option<Duration>;
    fn is_over(&self) -> bool;
    fn command(&mut self, command: Command);
    fn stats(&self) -> Stats;
}

/// A server on a loop of its own.
struct OwnLoop((Mailbox, Option<EventSender>));

impl Serve for OwnLoop {
    type Outcome = Result<(), RunError>;

    fn serve(self, machine: impl Hosted, bound: Bound) -> Self::Outcome {
        let mut poll = Poll::new().map_err(RunError::io("starting the loop"))?;
        let mut readinesses = mio::Events::with_capacity(READINESSES);
        let mut shard = Shard::new(machine, bound, self.0, poll.registry(), Token(0))?;
        loop {
            let sleep = shard.turn();
            if shard.is_over() {
                return Ok(());
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
struct Guest<'a>((Mailbox, Option<EventSender>), &'a Registry, Token);

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

    /// Counters and gauges as they stand.
    pub fn stats(&self) -> Stats {
        self.shard.stats()
    }

    /// The server was drained or aborted in its last turn: drop it.
    pub fn is_over(&self) -> bool {
        self.shard.is_over()
    }
}

/// Talks to a running server from any thread but its own: calls may wait for it.
#[derive(Clone, Debug)]
pub struct Handle {
    mailbox: Sender,
}

impl Handle {
    /// Carries out a command, in the order of the calls. Waits while 1,024 are on their way.
    ///
    /// # Errors
    /// [`Ended`] when the server no longer runs.
    pub fn command(&self, command: Command) -> Result<(), Ended> {
        self.mailbox.send(Letter::Command(command))
    }

    /// Counters and gauges as they stand.
    ///
    /// # Errors
    /// [`Ended`] when the server no longer runs.
    pub fn stats(&self) -> Result<Stats, Ended> {
        let (reply, stats) = sync_channel(1);
        self.mailbox.send(Letter::Stats(reply))?;
        stats.recv().map_err(|_| Ended)
    }

    /// Asks the server to say goodbye to everyone and end. A server that has ended takes no notice.
    pub fn drain(&self) {
        let _ = self.mailbox.send(Letter::Command(Command::Drain));
    }

    /// Ends the server at once: every connection is cut. A server that has ended takes no notice.
    pub fn abort(&self) {
        let _ = self.mailbox.send(Letter::Abort);
    }
}
