//! What the tests share: a driver over a virtual clock, a WebSocket client of its own, and a world of both.
//!
//! Nothing here sleeps, opens a socket or reads a clock, but for [`tcp`], [`heavy`], `clients`, `moves` and the sockets of a
//! [`stage`], which the tests
//! of adapters use. A test says what happens; [`World`] is the usual way in, [`Driver`] is for other machines and for
//! tests that need to decide about every single poll, and a [`stage`] is for what all servers do alike.

#[cfg(feature = "sockets")]
pub mod busy;
mod client;
#[cfg(feature = "sockets")]
pub mod clients;
mod crowd;
mod deflate;
mod driver;
mod frame;
pub mod heavy;
pub mod model;
#[cfg(feature = "sockets")]
pub mod moves;
mod pipe;
pub mod registry;
mod rng;
mod shards;
pub mod sim;
pub mod stage;
pub mod tcp;
mod told;
mod world;

pub use client::{Client, Message};
pub use crowd::{Crowd, Drained, text};
pub use deflate::{compressed, deflated, inflated};
pub use driver::{Driver, Poll};
pub use frame::{Frame, FrameReader, Opcode, masked, with_key};
pub use pipe::{Ending, Pipe};
pub use rng::Rng;
pub use shards::{Lag, Shards, shards_of_tests};
pub use world::{Peer, Upgrade, World};
