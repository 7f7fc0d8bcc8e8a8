//! The pure state machines of roomwire.

mod error;
mod id;
mod machine;
mod message;
mod time;

mod arena;
pub mod auth;
pub mod config;
pub mod dialect;
pub mod http;
pub mod limits;
mod room;
pub mod server;
mod session;
mod stats;
pub mod websocket;

pub use config::{Config, ConfigError, ValidConfig};
pub use error::ErrorCode;
pub use id::{ClientId, ConnectionId};
pub use machine::{
    Input, ListenerId, Machine, Output, PeerAddr, ShardId, TransportEnd, Turn, Unsent,
};
pub use message::{ClientMessage, LeaveReason, Request, ServerMessage, Welcome};
pub use server::Server;
pub use stats::Stats;
pub use time::{Instant, Now};
