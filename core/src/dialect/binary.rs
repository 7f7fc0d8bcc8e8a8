//! The binary dialect, both sides: one binary message is one frame with a header of 13 bytes.
//!
//! ```text
//! offset 0   u8    type
//! offset 1   u64   timestamp, milliseconds since 1970
//! offset 9   u32   length of the payload
//! offset 13        payload
//! ```
//!
//! All numbers are big-endian. Owns the layout of every payload; must not know what a message does. Frames are
//! strict: shorter or longer than they say, or of an unknown type, they are refused. Nothing is allocated from a
//! length that is only claimed.

mod client;
mod decode;
mod encode;
mod frame;
mod pieces;
pub mod registry;
mod stream;

#[cfg(test)]
mod tests;

pub use client::{
    EncodeError, Told, UnknownAnswer, decode_message, decode_unknown_answer, encode_request,
    split_batch,
};
pub use decode::decode;
pub use encode::{encode, encode_batch};
pub use frame::{Frame, FrameError, Frames, HEADER_BYTES};
pub(crate) use pieces::{bits, destination};
pub use registry::name_of;
pub use stream::{FrameStream, FrameTooLong};

use crate::config::Limits;

/// Bounds of one binary message. Its size is bounded where frames are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BinaryLimits {
    /// Frames of a batch.
    pub max_batch_messages: usize,
    /// Nesting of JSON inside a frame, counted as if the frame were the JSON message of the same meaning: its own
    /// object is level 1.
    pub max_json_depth: u32,
    /// Top-level fields of an application's message.
    pub max_json_fields: u32,
}

impl From<&Limits> for BinaryLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            max_batch_messages: limits.max_batch_messages as usize,
            max_json_depth: limits.max_json_depth,
            max_json_fields: limits.max_json_fields,
        }
    }
}

/// The version of the protocol that `welcome` announces.
const PROTOCOL: u16 = 1;

/// In place of a number of milliseconds: none.
const NOT_TOLD: u32 = u32::MAX;
