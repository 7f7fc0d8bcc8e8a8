//! The pure state machines of roomwire.

mod error;
mod id;
mod machine;
mod message;
mod time;

pub mod auth;
pub mod config;
pub mod dialect;
pub mod http;
pub mod limits;
pub(crate) mod session;
pub mod websocket;

pub use config::{Config, ConfigError, ValidConfig};
pub use error::ErrorCode;
pub use id::{ClientId, ConnectionId};
pub use machine::{
    Input, ListenerId, Machine, Output, PeerAddr, ShardId, TransportEnd, Turn, Unsent,
};
pub use message::{ClientMessage, LeaveReason, Request, ServerMessage, Welcome};
pub use time::{Instant, Now};
