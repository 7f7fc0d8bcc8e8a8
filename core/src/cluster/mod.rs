//! What the shards of one server tell each other, and the links that carry it.
//!
//! Knows rooms by name, clients by id and connections by handle; nothing of how a shard keeps them.

pub(crate) mod files;
pub(crate) mod link;
pub(crate) mod message;

pub use message::Relay;
