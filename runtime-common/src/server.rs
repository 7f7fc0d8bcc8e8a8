//! A server, as programs have it before it serves: what differs between adapters is a [`Host`].

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use crate::answers::Hook;
use crate::bound::Bound;
use crate::error::RunError;
use crate::handle::{AbortOnDrop, Handle, Post};
use crate::listen::Address;
use crate::mailbox::Bell;
use crate::reply::one;
use crate::sessions::{Asking, SessionStore};
use crate::settings::Settings;
use crate::threads::{Running, run_shards};
#[cfg(feature = "tls")]
use crate::tls::Certificates;

/// What runs servers: a runtime, or a loop.
pub trait Host: Sized + 'static {
    /// The sender's side of a shard's mailbox.
    type Post;
    /// The shard's side.
    type Mailbox: Send + 'static;
    /// Talks to a running server.
    type Handle: Clone + fmt::Debug + Send + Sync + 'static;
    /// A shard's side of the events.
    type EventSender: Send + 'static;
    /// The program's side.
    type Events;

    /// A mailbox of the shard that `bell` wakes.
    fn mailbox(bell: &Arc<Bell>) -> (Self::Post, Self::Mailbox);

    /// A handle for the shards behind these, whose sessions are asked for there.
    fn handle(posts: Vec<Self::Post>, asking: Asking) -> Self::Handle;

    /// Asks a server to say goodbye to everyone and end. Blocks while a mailbox is full.
    fn drain(handle: &Self::Handle);

    /// Ends a server at once. Blocks while a mailbox is full.
    fn abort(handle: &Self::Handle);

    /// Lines for events, one from each of the shards that these wake.
    fn events<'a>(
        bells: impl Iterator<Item = &'a Arc<Bell>>,
    ) -> (Vec<Self::EventSender>, Self::Events);

    /// Runs a shard on this thread until it was drained or aborted.
    ///
    /// # Errors
    /// When the system refuses something, or fails it.
    fn run(shard: Shard<Self>, bound: Bound) -> Result<(), RunError>;
}

/// What connects a shard with the program around it.
#[derive(Debug)]
pub struct Shard<H: Host> {
    /// Its mailbox.
    pub mailbox: H::Mailbox,
    /// Where the program gets its events, if it wants them.
    pub events: Option<H::EventSender>,
}

/// A server that has its addresses and does not serve yet.
pub struct Server<H: Host> {
    bound: Bound,
    handle: H::Handle,
    /// Of each shard.
    mailboxes: Vec<H::Mailbox>,
    events: Vec<H::EventSender>,
}

impl<H: Host> Server<H> {
    /// Checks the settings and takes the addresses. Connections that come from now on wait until
    /// [`run_blocking`](Self::run_blocking).
    ///
    /// # Errors
    /// [`RunError::Config`] and [`RunError::Bind`] name what is wrong and what to do; [`RunError::Io`] when the
    /// system has no randomness, or the file of a recording is there already or cannot be made.
    pub fn bind_now(settings: &Settings) -> Result<Self, RunError> {
        let bound = Bound::new(settings)?;
        let mailboxes = bound.all().map(|shard| H::mailbox(&shard.bell));
        let (posts, mailboxes): (Vec<_>, _) = mailboxes.unzip();
        let handle = H::handle(posts, bound.asking());
        Ok(Self {
            bound,
            handle,
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
    pub fn handle(&self) -> H::Handle {
        self.handle.clone()
    }

    /// The server's events from here on. Take them and keep receiving: they are never dropped, so a program
    /// that stops receiving stops the server once 1,024 wait. Dropping the receiver unsubscribes.
    pub fn events(&mut self) -> H::Events {
        let (senders, events) = H::events(self.bound.all().map(|shard| &shard.bell));
        self.events = senders;
        self.bound.exchange.has_program();
        events
    }

    /// Has a function answer application messages, in place of events, on threads besides those that serve: see [`Hook`].
    pub fn answer(&mut self, hook: &Hook) {
        self.bound.answer(hook);
    }

    /// Has a store keep the sessions that leave this server, and find those that its clients have on others, in place of
    /// events: see [`SessionStore`]. In place of a store that it was given before.
    ///
    /// # Errors
    /// [`RunError::Config`] where [`sessions.key`](roomwire_core::config::Sessions::key) is not set, without which no store
    /// is ever asked.
    pub fn sessions(&mut self, store: Arc<dyn SessionStore>) -> Result<(), RunError> {
        self.bound.keep_sessions(store)
    }

    /// Serves on this thread, and on others if the settings ask for more than one, until a handle has drained or aborted
    /// the server.
    ///
    /// # Errors
    /// When a runtime or loop cannot be started, or the system fails it, or a thread panics, which is a bug.
    pub fn run_blocking(self) -> Result<(), RunError> {
        let handle = self.handle();
        let shards = self.into_shards().into_iter();
        let shards = shards.map(|(shard, bound)| move || H::run(shard, bound));
        run_shards(shards.collect(), || H::abort(&handle))
    }

    /// Takes it apart, for who runs it himself.
    pub fn into_shards(self) -> Vec<(Shard<H>, Bound)> {
        let events = self.events.into_iter().map(Some);
        let events = events.chain(std::iter::repeat_with(|| None));
        let shards = self.mailboxes.into_iter().zip(events);
        let shards = shards.map(|(mailbox, events)| Shard { mailbox, events });
        shards.zip(self.bound.into_shards()).collect()
    }
}

impl<H> Server<H>
where
    H: Host<Handle = Handle<<H as Host>::Post>>,
    H::Post: Post,
{
    /// [`bind_now`](Self::bind_now), where names are asynchronous.
    ///
    /// # Errors
    /// As [`bind_now`](Self::bind_now).
    pub async fn bind(settings: Settings) -> Result<Self, RunError> {
        Self::bind_now(&settings)
    }

    /// Serves, on threads of its own, until `shutdown` is done, then drains: no new connections, `closing` and a close
    /// frame for every client, at most [`drain.timeout_ms`](roomwire_core::config::Drain::timeout_ms). Dropping the
    /// future ends the server at once.
    ///
    /// # Errors
    /// As [`run_blocking`](Self::run_blocking).
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        // Nothing is ever given: it ends with its giver, and that with the thread.
        let (done, over) = one::<()>();
        let guard = AbortOnDrop(self.handle());
        let server = Running::start(move || {
            let _done = done;
            self.run_blocking()
        })?;
        {
            let mut over = pin!(over);
            let mut shutdown = pin!(shutdown);
            let asked = poll_fn(|cx| match over.as_mut().poll(cx) {
                Poll::Ready(_) => Poll::Ready(false),
                Poll::Pending => shutdown.as_mut().poll(cx).map(|()| true),
            });
            if asked.await {
                guard.0.drain().await;
                let _ = over.await;
            }
        }
        server.join()
    }
}

impl<H: Host> fmt::Debug for Server<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("bound", &self.bound)
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}
