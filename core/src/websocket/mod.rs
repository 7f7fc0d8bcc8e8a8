//! WebSocket (RFC 6455): frames, messages, close codes. Knows nothing of rooms, connections or configuration.
//!
//! Bytes come in as a lent buffer and go out into a caller's vector; nothing here owns a stream.
//!
//! - [`Decoder`] turns received bytes into [`Step`]s: whole messages, control frames, or the wish for more.
//! - [`put_frame`] and its relatives append frames to a vector; [`put_close`] the closing one.
//! - [`DecodeError`] says which rule a peer broke, and with which close code to answer.
//!
//! Extensions plug in at one place: [`Decoder::allow_rsv1`] lets RSV1 through on the first frame of a message
//! (RFC 7692) and hands such a message over as [`Step::Compressed`], which [`deflate`] reads.
//!
//! # Reading
//!
//! ```
//! use roomwire_core::websocket::{DecodeError, Decoder, MessageLimits, Role, Step};
//!
//! fn received(decoder: &mut Decoder, bytes: &mut [u8]) -> Result<Vec<String>, DecodeError> {
//!     let limits = MessageLimits::default();
//!     let mut texts = Vec::new();
//!     let mut at = 0;
//!     loop {
//!         // Matching on the result itself spares small messages a move that costs as much as reading them.
//!         match decoder.decode(&mut bytes[at..], &limits)? {
//!             (Step::NeedMore, _) => return Ok(texts), // everything was taken
//!             (Step::Text(text), consumed) => {
//!                 at += consumed;
//!                 texts.push(text.into_owned());
//!             }
//!             (_, consumed) => at += consumed, // binary messages, pings, pongs, a close
//!         }
//!     }
//! }
//!
//! // RFC 6455 section 5.7: a masked "Hello".
//! let mut bytes = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
//! assert_eq!(received(&mut Decoder::new(Role::Server), &mut bytes)?, ["Hello"]);
//! # Ok::<(), DecodeError>(())
//! ```

mod assembly;
mod close;
mod decoder;
pub mod deflate;
mod encode;
pub mod handshake;
mod header;
mod mask;
mod utf8;

#[cfg(test)]
mod tests;

pub use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

pub use assembly::DataKind;
pub use close::{CloseFrame, DecodeError, is_sendable_close_code};
pub use decoder::{Decoder, FRAGMENT_CHARGE_BYTES, MessageLimits, Role, Step};
pub use encode::{
    MAX_CLOSE_REASON_BYTES, MAX_HEADER_BYTES, header_bytes, put_close, put_close_payload,
    put_frame, put_header, put_masked_frame,
};
pub use mask::{apply_mask, rotate_mask};
