//! The roomwire server on mio: a loop of its own, or a guest on the loop of another program.
//!
//! [`Server::bind_now`] takes the addresses, [`Server::run_blocking`] serves on the calling thread until a [`Handle`] asks
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
//! let server = Server::bind_now(&settings)?;
//! println!("listening on {}", server.local_addr());
//! let handle = server.handle();
//! let thread = std::thread::spawn(|| server.run_blocking());
//! handle.drain(); // a real program waits for a signal first
//! thread.join().expect("no panic")?;
//! # Ok(())
//! # }
//! ```
//!
//! A program that has a mio loop already gives the server a range of tokens with [`attach`]:
//! `examples/guest.rs` shows it. Message types of a program's own are registered in the config; they arrive as
//! [`Server::events`] and are answered through a [`Handle`].
//!
//! A [`Client`] is the other end, and comes back by itself: `examples/mio_client.rs` shows one.

mod client;
mod driver;
mod shard;
mod stream;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

pub use client::Client;
use mio::event::Event as Readiness;
use mio::{Poll, Registry, Token};
use roomwire_core::Stats;
use roomwire_core::server::Command;
use roomwire_runtime::mailbox::{Bell, EventSender, Letter, Sender, events, mailbox};
pub use roomwire_runtime::mailbox::{Events, Handle};
pub use roomwire_runtime::{
    AdoptError, Adopted, DirStore, Ended, Hook, MemoryStore, Request, SessionHolder, SessionStore,
};
use roomwire_runtime::{Asking, Bound, End, Host, Hosted, RunError, Serve, live};

use shard::Shard;

/// What runs servers and clients on mio.
#[derive(Debug)]
pub enum Mio {}

/// A server that has its addresses and does not serve yet.
pub type Server = roomwire_runtime::Server<Mio>;

impl Host for Mio {
    type Post = Sender;
    type Mailbox = Receiver<Letter>;
    type Handle = Handle;
    type EventSender = EventSender;
    type Events = Events;

    fn mailbox(bell: &Arc<Bell>) -> (Sender, Self::Mailbox) {
        mailbox(bell)
    }

    fn handle(posts: Vec<Sender>, asking: Asking) -> Handle {
        Handle::new(posts, asking)
    }

    fn drain(handle: &Handle) {
        handle.drain();
    }

    fn abort(handle: &Handle) {
        handle.abort();
    }

    fn events<'a>(bells: impl Iterator<Item = &'a Arc<Bell>>) -> (Vec<EventSender>, Events) {
        events(bells)
    }

    fn run(mail: Mail, bound: Bound) -> Result<(), RunError> {
        live(bound, mail, |bound, mail| bound.host(OwnLoop(mail)))
    }
}

/// What connects a shard with the program around it.
type Mail = roomwire_runtime::Shard<Mio>;

/// What one look at the system brings at most.
const READINESSES: usize = 1_024;

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
                _ => readinesses.iter().for_each(|one| {
                    shard.readiness(one);
                }),
            }
        }
    }
}

/// A server on another program's loop: see [`attach`].
pub type Attached = Box<dyn Turning>;

/// Serves on the loop of another program, whose tokens from `first` on then belong to the server.
///
/// # Errors
/// When the system has no descriptors left, or the settings ask for a recording or for several threads, which
/// only [`run_blocking`](Server::run_blocking) makes.
pub fn attach(server: Server, registry: &Registry, first: Token) -> Result<Attached, RunError> {
    let mut shards = server.into_shards();
    let one = shards.pop().filter(|_| shards.is_empty());
    let one = one.filter(|(_, bound)| bound.recording.is_none());
    let Some((mail, bound)) = one else {
        let why = "only a server with loops of its own has several or is recorded: unset record.file, threads = 1";
        let error = io::Error::new(io::ErrorKind::Unsupported, why);
        return Err(RunError::io("attaching a server")(error));
    };
    bound.host(Guest(mail, registry, first))
}

struct Guest<'a>(Mail, &'a Registry, Token);

impl Serve for Guest<'_> {
    type Outcome = Result<Attached, RunError>;

    fn serve(self, machine: impl Hosted, bound: Bound) -> Self::Outcome {
        let Self(mail, registry, first) = self;
        let shard = Shard::new(machine, bound, mail, registry, first)?;
        Ok(Box::new(shard))
    }
}

/// A server on a loop.
pub trait Turning {
    /// Hands in what the loop has heard of; `false` if the token is not the server's. O(1).
    fn readiness(&mut self, readiness: &Readiness) -> bool;

    /// Does what there is to do, for some milliseconds at most. Returns how long the loop may wait for events
    /// before the next call; `None`: until the server's tokens are ready. Call it once before the first wait.
    fn turn(&mut self) -> Option<Duration>;

    /// Carries out a command at once; what comes of it is done in the next [`turn`](Self::turn). A drain also closes the
    /// listeners.
    fn command(&mut self, command: Command);

    /// Takes over a connection that the program's own server has upgraded. What comes of it is done in the next
    /// [`turn`](Self::turn).
    ///
    /// # Errors
    /// When the server has no room for it, or is leaving. It is closed then.
    fn adopt(&mut self, adopted: Adopted) -> Result<(), AdoptError>;

    /// Counters and gauges as they stand.
    fn stats(&self) -> Stats;

    /// How the server has ended, if it was drained or aborted in its last turn, or has failed: drop it then.
    fn end(&self) -> Option<End>;

    /// Whether it has ended.
    fn is_over(&self) -> bool {
        self.end().is_some()
    }
}
