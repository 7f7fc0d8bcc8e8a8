//! The client's side: requests to frames, and the server's frames to messages.

mod reading;
mod writing;

#[cfg(test)]
mod tests;

pub use reading::{Told, UnknownAnswer, decode_message, decode_unknown_answer, split_batch};
pub use writing::{EncodeError, encode_request};
