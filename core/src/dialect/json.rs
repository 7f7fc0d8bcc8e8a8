//! The JSON dialect, server side: one text message is one JSON object with a `type`.
//!
//! Owns the spelling of every message; must not know what a message does. A message is read in one pass
//! over its top-level fields (RFC 8259); nothing below them is looked into, so application data goes
//! through byte-exact. No tree is built and nothing recurses. Of equal keys the last one counts, unknown
//! keys are skipped.

pub mod client;
mod decode;
mod encode;
mod metadata;
mod object;
pub mod registry;
mod types;

pub use decode::{MAX_TIMESTAMP_BYTES, decode};
pub(crate) use decode::{Shape, decode_shaped, message_id};
pub use encode::encode;
pub use metadata::{Metadata, MetadataLimits};
pub(crate) use object::Elements;
#[cfg(test)]
pub(super) use object::tests::any_value;
pub(super) use object::{for_each_field, is_deeper_than, is_json, is_string, string};
pub(crate) use types::SERVER_TYPES;
pub use types::{is_reserved_type, is_server_type};

use crate::config::Limits;

/// What clients are told when their text is not JSON.
pub const NOT_JSON: &str = "Invalid message format";

/// Bounds of one JSON message. Its size is bounded where frames are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonLimits {
    /// Nesting, the message's own object being level 1.
    pub max_depth: u32,
    /// Fields at the top level, equal and unknown keys included.
    pub max_fields: u32,
    /// An `id` as it stands in the message, quotes included.
    pub max_id_bytes: usize,
    /// Messages of a batch.
    pub max_batch_messages: usize,
}

impl From<&Limits> for JsonLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            max_depth: limits.max_json_depth,
            max_fields: limits.max_json_fields,
            max_id_bytes: limits.max_id_bytes,
            max_batch_messages: limits.max_batch_messages as usize,
        }
    }
}
