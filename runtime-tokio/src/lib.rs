//! The roomwire server on tokio.
//!
//! [`Server::bind`] takes the addresses, [`Server::run`] serves until its shutdown future is done and every
//! client was told goodbye. The server runs on a thread of its own, so it can be started from any runtime, or
//! from none with [`Server::run_blocking`].
//!
//! ```
//! use roomwire_runtime::{ListenerSettings, Settings};
//! use roomwire_tokio::Server;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let settings = Settings {
//!     listeners: vec![ListenerSettings::at(([127, 0, 0, 1], 0))],
//!     ..Settings::default()
//! };
//! let server = Server::bind(settings).await?;
//! println!("listening on {}", server.local_addr());
//! server.run(std::future::ready(())).await?; // a real program waits for a signal here
//! # Ok(())
//! # }
//! ```
//!
//! A program that has message types of its own registers them in the config, takes [`Server::events`] before
//! it runs the server, and answers through a [`Handle`]: `examples/application.rs` shows it. One that has a server of
//! its own hands over what is upgraded there ([`Handle::adopt`]): `examples/hyper.rs`.

mod adopt;
mod driver;
mod shard;
mod stream;

/// The program that the README prints is compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

use std::future::Future;
use std::sync::Arc;
use std::thread;

pub use adopt::bridge;
use roomwire_core::Stats;
use roomwire_core::server::{Command, Event};
use roomwire_runtime::mailbox::{Letter, MAILBOX, Reply, shard_of};
#[cfg(feature = "tls")]
use roomwire_runtime::tls::Certificates;
use roomwire_runtime::{Address, Bound, Dealer, RunError, Running, Settings, run_shards};
pub use roomwire_runtime::{AdoptError, Adopted, Ended, Hook, Request};
use tokio::sync::{mpsc, oneshot};

use shard::Shard;

/// A server that has its addresses and does not serve yet.
#[derive(Debug)]
pub struct Server {
    bound: Bound,
    handle: Handle,
    /// Of each shard.
    mailboxes: Vec<mpsc::Receiver<Letter>>,
    events: Option<mpsc::Sender<Event>>,
}

impl Server {
    /// Checks the settings and takes the addresses. Connections that come from now on wait until
    /// [`run`](Self::run).
    ///
    /// # Errors
    /// [`RunError::Config`] and [`RunError::Bind`] name what is wrong and what to do; [`RunError::Io`] when the
    /// system has no randomness, or the file of a recording is there already or cannot be made.
    pub async fn bind(settings: Settings) -> Result<Self, RunError> {
        Self::bind_now(&settings)
    }

    /// [`bind`](Self::bind) outside a runtime.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn bind_now(settings: &Settings) -> Result<Self, RunError> {
        let bound = Bound::new(settings)?;
        let (shards, mailboxes): (Vec<_>, _) = bound.all().map(|_| mpsc::channel(MAILBOX)).unzip();
        Ok(Self {
            bound,
            handle: Handle {
                shards: shards.into(),
                dealer: Dealer::default(),
            },
            mailboxes,
            events: None,
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
    /// that stops receiving stops the server once 1,024 wait. Dropping the receiver unsubscribes.
    pub fn events(&mut self) -> mpsc::Receiver<Event> {
        let (sender, receiver) = mpsc::channel(MAILBOX);
        self.events = Some(sender);
        receiver
    }

    /// Has a function answer application messages, in place of events, on the threads of the pool: see [`Hook`].
    pub fn answer(&mut self, hook: &Hook) {
        self.bound.answer(hook);
    }

    /// Serves until `shutdown` is done, then drains: no new connections, `closing` and a close frame for every
    /// client, at most [`drain.timeout_ms`](roomwire_core::config::Drain::timeout_ms). Dropping the future ends the
    /// server at once.
    ///
    /// # Errors
    /// When the runtime cannot be started, or the server's thread panics, which is a bug.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        // Nothing is ever sent: it ends with its sender, and that with the thread.
        let (done, mut over) = oneshot::channel::<()>();
        let guard = AbortOnDrop(self.handle());
        let server = Running::start(move || {
            let _done = done;
            self.run_blocking()
        })?;
        tokio::select! {
            biased;
            _ = &mut over => {}
            () = shutdown => {
                guard.0.drain().await;
                let _ = over.await;
            }
        }
        server.join()
    }

    /// [`run`](Self::run) on this thread, until [`Handle::drain`] or [`Handle::abort`].
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_blocking(self) -> Result<(), RunError> {
        let handle = self.handle();
        let shards = self.mailboxes.into_iter().zip(self.bound.into_shards());
        let shards = shards.map(|(mailbox, bound)| {
            let events = self.events.clone();
            move || Shard { mailbox, events }.run(bound)
        });
        run_shards(shards.collect(), || handle.abort_blocking())
    }
}

/// Talks to a running server from any thread.
#[derive(Clone, Debug)]
pub struct Handle {
    shards: Arc<[mpsc::Sender<Letter>]>,
    dealer: Dealer,
}

impl Handle {
    /// Carries out a command, in the order of the calls. Waits while 1,024 are on their way.
    ///
    /// # Errors
    /// [`Ended`] when the server no longer runs.
    pub async fn command(&self, command: Command) -> Result<(), Ended> {
        let Some(shard) = shard_of(&command) else {
            return self.send_all(|| Letter::Command(command.clone())).await;
        };
        let mailbox = self.shards.get(usize::from(shard.0)).ok_or(Ended)?;
        let sent = mailbox.send(Letter::Command(command)).await;
        sent.map_err(|_| Ended)
    }

    /// Counters and gauges as they stand, of all shards together.
    ///
    /// # Errors
    /// [`Ended`] when the server no longer runs.
    pub async fn stats(&self) -> Result<Stats, Ended> {
        let mut all = Stats::default();
        for shard in &*self.shards {
            let (reply, stats) = oneshot::channel();
            let reply = Reply::new(|stats| reply.send(stats).is_ok());
            let sent = shard.send(Letter::Stats(reply)).await;
            sent.map_err(|_| Ended)?;
            all += stats.await.map_err(|_| Ended)?;
        }
        Ok(all)
    }

    /// Asks the server to say goodbye to everyone and end. A server that has ended takes no notice.
    pub async fn drain(&self) {
        let _ = self.send_all(|| Letter::Command(Command::Drain)).await;
    }

    /// [`drain`](Self::drain) outside a runtime: blocks while a mailbox is full.
    pub fn drain_blocking(&self) {
        for shard in &*self.shards {
            let _ = shard.blocking_send(Letter::Command(Command::Drain));
        }
    }

    /// [`abort`](Self::abort) outside a runtime: blocks while a mailbox is full.
    pub fn abort_blocking(&self) {
        for shard in &*self.shards {
            let _ = shard.blocking_send(Letter::Abort);
        }
    }

    /// Ends the server at once: every connection is cut. A server that has ended takes no notice.
    pub async fn abort(&self) {
        let _ = self.send_all(|| Letter::Abort).await;
    }

    /// Sends each shard a letter, also those after one that has ended.
    async fn send_all(&self, letter: impl Fn() -> Letter) -> Result<(), Ended> {
        let mut outcome = Ok(());
        for shard in &*self.shards {
            outcome = outcome.and(shard.send(letter()).await.map_err(|_| Ended));
        }
        outcome
    }
}

/// Ends the server when the future that runs it is dropped.
struct AbortOnDrop(Handle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        for shard in &*self.0.shards {
            // A drop must not wait until a busy shard has emptied its mailbox.
            if let Err(mpsc::error::TrySendError::Full(abort)) = shard.try_send(Letter::Abort) {
                let shard = shard.clone();
                let _ = thread::Builder::new().spawn(move || shard.blocking_send(abort));
            }
        }
    }
}
