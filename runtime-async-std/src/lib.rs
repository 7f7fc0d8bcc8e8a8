//! The roomwire server on async-std.
//!
//! **async-std is no longer maintained** (RUSTSEC-2025-0052, which names no successor of its own but smol).
//! This adapter is for programs that run on it already; choose `roomwire-tokio` or `roomwire-mio` for a new one.
//! It names `async-io`, on which smol is built too, wherever it can.
//!
//! [`Server::bind`] takes the addresses, [`Server::run`] serves until its shutdown future is done and every
//! client was told goodbye. The server runs on a thread of its own, or on the calling one with
//! [`Server::run_blocking`].
//!
//! ```
//! use roomwire_async_std::Server;
//! use roomwire_runtime::{ListenerSettings, Settings};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # async_std::task::block_on(async {
//! let settings = Settings {
//!     listeners: vec![ListenerSettings::at(([127, 0, 0, 1], 0))],
//!     ..Settings::default()
//! };
//! let server = Server::bind(settings).await?;
//! println!("listening on {}", server.local_addr());
//! server.run(std::future::ready(())).await?; // a real program waits for a signal here
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! A program that has message types of its own registers them in the config, takes [`Server::events`] before
//! it runs the server, and answers through a [`Handle`].
//!
//! Several servers take up each other's sessions where they have a [`SessionStore`] in common ([`Server::sessions`]).
//!
//! A [`Client`] is the other end, and comes back by itself: `examples/async_std_client.rs` shows one.

mod adopt;
mod client;
mod driver;
mod shard;
mod stream;

use std::sync::Arc;

use async_std::channel::{Receiver, Sender, TrySendError, bounded};
pub use client::Client;
use roomwire_core::server::Event;
use roomwire_runtime::mailbox::{Bell, Letter, MAILBOX};
pub use roomwire_runtime::{
    AdoptError, Adopted, DirStore, Ended, Hook, MemoryStore, Request, SessionHolder, SessionStore,
};
use roomwire_runtime::{Asking, Bound, Host, RunError, Shard};

/// What runs servers and clients on async-std.
#[derive(Debug)]
pub enum AsyncStd {}

/// A server that has its addresses and does not serve yet.
pub type Server = roomwire_runtime::Server<AsyncStd>;

/// Talks to a running server from any thread.
pub type Handle = roomwire_runtime::Handle<Post>;

/// The sender's side of a shard's mailbox.
#[derive(Clone, Debug)]
pub struct Post(Sender<Letter>);

impl roomwire_runtime::Post for Post {
    async fn send(&self, letter: Letter) -> Result<(), Ended> {
        self.0.send(letter).await.map_err(|_| Ended)
    }

    fn send_blocking(&self, letter: Letter) -> Result<(), Ended> {
        self.0.send_blocking(letter).map_err(|_| Ended)
    }

    fn try_send(&self, letter: Letter) -> Result<(), Letter> {
        match self.0.try_send(letter) {
            Err(TrySendError::Full(letter)) => Err(letter),
            _ => Ok(()),
        }
    }
}

impl Host for AsyncStd {
    type Post = Post;
    type Mailbox = Receiver<Letter>;
    type Handle = Handle;
    type EventSender = Sender<Event>;
    type Events = Receiver<Event>;

    fn mailbox(_: &Arc<Bell>) -> (Post, Self::Mailbox) {
        let (post, mailbox) = bounded(MAILBOX);
        (Post(post), mailbox)
    }

    fn handle(posts: Vec<Post>, asking: Asking) -> Handle {
        Handle::new(posts, asking)
    }

    fn drain(handle: &Handle) {
        handle.drain_blocking();
    }

    fn abort(handle: &Handle) {
        handle.abort_blocking();
    }

    fn events<'a>(
        bells: impl Iterator<Item = &'a Arc<Bell>>,
    ) -> (Vec<Self::EventSender>, Self::Events) {
        let (sender, receiver) = bounded(MAILBOX);
        (bells.map(|_| sender.clone()).collect(), receiver)
    }

    fn run(shard: Shard<Self>, bound: Bound) -> Result<(), RunError> {
        shard::run(shard, bound)
    }
}
