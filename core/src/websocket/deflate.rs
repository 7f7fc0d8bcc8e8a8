//! Compression of messages: `permessage-deflate` (RFC 7692), for both ends of a connection.
//!
//! - [`negotiation`]: what a client offers, and what is answered.
//! - [`Inflater`] makes a message of a compressed payload, never larger than it may be.
//! - [`Compressors`] makes a compressed payload of a message, or finds that it is not worth while.
//!
//! No message refers back to an earlier one: there is no context takeover, either way. So nothing is kept for a
//! connection. One [`Inflater`] and one [`Compressors`] serve all connections of a thread, and a message that is
//! compressed once is good for everyone whose window is as large. The same message always compresses to the same bytes
//! at levels 1 and 3 to 6; at the others zlib-rs 0.6.8 may choose among matches by what came before, so that it comes
//! to a few bytes more or less.
//!
//! ```
//! use roomwire_core::websocket::deflate::{Compressors, Effort, Inflater, Window};
//!
//! let message = "the same again, ".repeat(20);
//! let mut compressors = Compressors::new(Effort::DEFAULT);
//! let compressed = compressors.compress(Window::MAX, message.as_bytes()).expect("it is worth while");
//! assert!(compressed.len() < 40);
//!
//! let mut inflater = Inflater::new();
//! assert_eq!(inflater.inflate(compressed, 1_000)?, message.as_bytes());
//! # Ok::<(), roomwire_core::websocket::DecodeError>(())
//! ```

mod compress;
mod inflate;
pub mod negotiation;
mod window;

#[cfg(test)]
mod tests;

pub use compress::{Compressors, Effort};
pub use inflate::Inflater;
pub use window::Window;

/// What a compressor leaves out at the end of a message, and the other side adds (RFC 7692 section 7.2.1): an empty
/// stored block without its first bits.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// Gives back a buffer that one large message has left.
fn shrink(buffer: &mut Vec<u8>) {
    if buffer.capacity() > KEPT_BYTES {
        *buffer = Vec::new();
    }
}

/// What is kept for the next message.
const KEPT_BYTES: usize = 64 * 1024;
