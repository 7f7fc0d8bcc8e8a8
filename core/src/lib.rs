//! The pure state machines of roomwire: a WebSocket room server that owns no socket, clock or thread.
//!
//! A [`Server`] is a [`Machine`]: whatever drives it hands in what happened ([`Input`]) and does what comes
//! out ([`Output`]). The same server runs under an async runtime, in a hand-written loop, in a simulator and
//! in a fuzzer; the same config, seed and inputs give the same bytes.
//!
//! # The run loop
//!
//! This is all a driver does. Here the sockets are vectors; an adapter has real ones and sleeps until the
//! deadline.
//!
//! ```
//! use roomwire_core::{Config, ConnectionId, Input, Instant, ListenerId, Machine, Now, Output, PeerAddr, Server};
//!
//! /// What a driver keeps for a connection: here the far end of a pipe.
//! #[derive(Default)]
//! struct Pipe {
//!     to_peer: Vec<u8>,
//!     closed: bool,
//! }
//!
//! /// Does what the machine asks until it is idle; returns when it wants to be woken.
//! fn drain<M: Machine>(machine: &mut M, now: Now, pipe: &mut Pipe) -> Option<Instant> {
//!     loop {
//!         match machine.poll() {
//!             Output::Transmit { connection } => {
//!                 // A real driver does one vectored write here.
//!                 let before = pipe.to_peer.len();
//!                 for slice in machine.unsent(connection) {
//!                     pipe.to_peer.extend_from_slice(slice);
//!                 }
//!                 let bytes = pipe.to_peer.len() - before;
//!                 let _ = machine.handle(now, Input::Sent { connection, bytes, blocked: false });
//!             }
//!             Output::Close { .. } | Output::Finish { .. } => pipe.closed = true,
//!             Output::Idle { deadline } => return deadline,
//!             _ => {}
//!         }
//!     }
//! }
//!
//! let config = Config::default().validate()?;
//! let mut server = Server::new(config, [7; 32]); // a real seed is unpredictable
//! let mut pipe = Pipe::default();
//! let mut now = Now { mono: Instant::ZERO, unix_ms: 1_700_000_000_000 };
//!
//! let peer = PeerAddr::Inet(([127, 0, 0, 1], 50_000).into());
//! let client: ConnectionId = server.accept(now, peer, ListenerId(0)).ok_or("refused")?;
//! let mut request = b"GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
//!     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".to_vec();
//! let _ = server.handle(now, Input::Received { connection: client, bytes: &mut request });
//! let deadline = drain(&mut server, now, &mut pipe).ok_or("no deadline")?;
//! assert!(pipe.to_peer.starts_with(b"HTTP/1.1 101 "));
//!
//! // The welcome is held for a moment: sleep until the deadline, then say what time it is.
//! pipe.to_peer.clear();
//! now.mono = deadline;
//! let _ = server.handle(now, Input::Tick);
//! drain(&mut server, now, &mut pipe);
//! assert!(pipe.to_peer.windows(9).any(|window| window == b"\"welcome\""));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Which inputs cause which outputs
//!
//! | input | may raise |
//! |---|---|
//! | [`accept`](Machine::accept) | nothing; a deadline |
//! | [`Received`](Input::Received) | `Transmit` to any connection, `ReadInterest`, `Finish`, `Close`, `Event`, `Job` |
//! | [`Sent`](Input::Sent) | `Transmit`, `ReadInterest{true}`, `Finish` or `Close` of the same connection |
//! | [`Writable`](Input::Writable) | `Transmit` of the same connection |
//! | [`ReadEnd`](Input::ReadEnd) | `Close` of the same connection, `Transmit` to those that shared rooms, `Event` |
//! | [`Ended`](Input::Ended) | `Transmit` to those that shared rooms, `Event` |
//! | [`Tick`](Input::Tick), or any input at a later time | what the timers that became due cause |
//! | [`Command`](Input::Command) | `Transmit`, `Close`, `Event` |
//! | [`Relay`](Input::Relay), [`Restarted`](Input::Restarted) | `Transmit` to any connection, `ReadInterest`, `Event` |
//! | [`LinkReady`](Input::LinkReady) | `Relay` |
//! | [`PoolReady`](Input::PoolReady) | `Job` |
//! | [`Done`](Input::Done) | `Transmit` to any connection, `ReadInterest`, `Finish`, `Close`, `Event`, `Job` |
//!
//! With more than one shard, whatever may raise `Transmit` may also raise [`Relay`](Output::Relay).
//!
//! # The other end
//!
//! A [`Session`](client::session::Session) is the second [`Machine`]: a client that comes back, as who it was. It asks for
//! connections by [`Output::Connect`], and is told of them by [`Input::Connected`] or [`Input::ConnectFailed`].
//!
//! # Using a part
//!
//! [`websocket`], [`http`], [`dialect`], [`limits`], [`auth`] and [`client`] know nothing of the server and can be used
//! on their own.

mod error;
mod id;
mod machine;
mod message;
mod time;

mod arena;
pub mod auth;
pub mod client;
pub mod cluster;
pub mod config;
pub mod dialect;
mod files;
pub mod http;
pub mod limits;
pub mod offload;
pub mod replay;
mod room;
pub mod server;
mod session;
mod stats;
mod steps;
#[cfg(feature = "tls")]
pub mod tls;
pub mod websocket;
mod wire;

pub use config::{Config, ConfigError, ValidConfig};
pub use error::ErrorCode;
pub use id::{ClientId, ConnectionId};
pub use machine::{
    Input, ListenerId, Machine, Output, PeerAddr, ShardId, Target, TransportEnd, Turn, Unsent,
};
pub use message::{
    Asked, ClientClock, ClientMessage, Data, Destination, Epoch, FileHash, FileNotice, FileRequest,
    Former, Gap, LeaveReason, Messages, Named, PastMessage, Payload, Position, Published, Request,
    ServerMessage, Session, SessionSecret, Since, Terms, TransferId, Welcome,
};
pub use server::Server;
pub use stats::{Counting, Stats};
pub use time::{Instant, Now};
