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
//!
//! Several servers take up each other's sessions where they have a [`SessionStore`] in common ([`Server::sessions`]).
//!
//! A [`Client`] is the other end, and comes back by itself: `examples/tokio_client.rs` shows one.

mod adopt;
mod client;
mod driver;
mod shard;
mod stream;

/// The program that the README prints is compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

use std::sync::Arc;

pub use adopt::bridge;
pub use client::Client;
use roomwire_core::server::Event;
use roomwire_runtime::mailbox::{Bell, Letter, MAILBOX};
pub use roomwire_runtime::{
    AdoptError, Adopted, DirStore, Ended, Hook, MemoryStore, Request, SessionHolder, SessionStore,
};
use roomwire_runtime::{Asking, Bound, Host, RunError, Shard};
use tokio::sync::mpsc;

/// What runs servers and clients on tokio.
#[derive(Debug)]
pub enum Tokio {}

/// A server that has its addresses and does not serve yet.
pub type Server = roomwire_runtime::Server<Tokio>;

/// Talks to a running server from any thread.
pub type Handle = roomwire_runtime::Handle<Post>;

/// The sender's side of a shard's mailbox.
#[derive(Clone, Debug)]
pub struct Post(mpsc::Sender<Letter>);

impl roomwire_runtime::Post for Post {
    async fn send(&self, letter: Letter) -> Result<(), Ended> {
        self.0.send(letter).await.map_err(|_| Ended)
    }

    fn send_blocking(&self, letter: Letter) -> Result<(), Ended> {
        self.0.blocking_send(letter).map_err(|_| Ended)
    }

    fn try_send(&self, letter: Letter) -> Result<(), Letter> {
        match self.0.try_send(letter) {
            Err(mpsc::error::TrySendError::Full(letter)) => Err(letter),
            _ => Ok(()),
        }
    }
}

impl Host for Tokio {
    type Post = Post;
    type Mailbox = mpsc::Receiver<Letter>;
    type Handle = Handle;
    type EventSender = mpsc::Sender<Event>;
    type Events = mpsc::Receiver<Event>;

    fn mailbox(_: &Arc<Bell>) -> (Post, Self::Mailbox) {
        let (post, mailbox) = mpsc::channel(MAILBOX);
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
        let (sender, receiver) = mpsc::channel(MAILBOX);
        (bells.map(|_| sender.clone()).collect(), receiver)
    }

    fn run(shard: Shard<Self>, bound: Bound) -> Result<(), RunError> {
        shard::run(shard, bound)
    }
}
