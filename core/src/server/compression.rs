//! Compressed messages (RFC 7692): those of clients are inflated here, and what is worth while is compressed on its way
//! out.
//!
//! Nothing refers back to earlier messages, so that one inflater and one compressor per window serve all connections of
//! a shard, and a message to a room is compressed once for everyone whose window is the same: one of three, whatever
//! clients ask for.

#[cfg(test)]
mod tests;

use core::ops::RangeInclusive;
use std::borrow::Cow;

use super::Server;
use crate::config;
use crate::session::connection::Kind;
use crate::stats::Stats;
use crate::websocket::deflate::{Compressors, Effort, Inflater, Window};
use crate::websocket::{DataKind, DecodeError, OpCode, Step, put_header};

/// What a shard compresses and inflates with.
#[derive(Debug)]
pub(super) struct Compression {
    /// Shorter messages are not compressed, nor are longer ones.
    bytes: RangeInclusive<usize>,
    compressors: Compressors,
    inflater: Inflater,
}

/// What a message is in a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed<'a> {
    compressed: bool,
    payload: &'a [u8],
}

impl Packed<'_> {
    /// Appends the frame.
    pub(super) fn put(self, opcode: OpCode, out: &mut Vec<u8>) {
        put_header(
            out,
            opcode,
            true,
            self.compressed,
            self.payload.len() as u64,
        );
        out.extend_from_slice(self.payload);
    }
}

/// The window that is compressed for where a client has agreed on this one: none that is larger. A message to a room is
/// compressed anew for each that is in use there, so that with all seven one address could keep a shard busy.
pub(super) const fn served(agreed: Window) -> Window {
    match agreed {
        Window::Bits9 | Window::Bits10 | Window::Bits11 => Window::Bits9,
        Window::Bits12 | Window::Bits13 | Window::Bits14 => Window::Bits12,
        Window::Bits15 => Window::Bits15,
    }
}

impl Compression {
    pub(super) fn new(config: &config::Compression) -> Self {
        Self {
            bytes: config.threshold_bytes..=config.max_bytes,
            compressors: Compressors::new(Effort {
                level: config.level,
                memory_level: config.memory_level,
            }),
            inflater: Inflater::new(),
        }
    }

    /// A message for those who have agreed on `window`, or on no compression.
    pub(super) fn pack<'a>(
        &'a mut self,
        window: Option<Window>,
        message: &'a [u8],
        stats: &mut Stats,
    ) -> Packed<'a> {
        let plain = Packed {
            compressed: false,
            payload: message,
        };
        let Some(window) = window.filter(|_| self.bytes.contains(&message.len())) else {
            return plain;
        };
        let Some(payload) = self.compressors.compress(window, message) else {
            stats.incompressible += 1;
            return plain;
        };
        stats.compressed += 1;
        stats.compressed_from_bytes += message.len() as u64;
        stats.compressed_to_bytes += payload.len() as u64;
        Packed {
            compressed: true,
            payload,
        }
    }

    /// Gives back what unusually large messages took.
    pub(super) fn shrink(&mut self) {
        self.compressors.shrink();
        self.inflater.shrink();
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.compressors.heap_bytes() + self.inflater.heap_bytes()
    }
}

impl Server {
    /// A compressed message came; `false` when the session has ended.
    pub(super) fn compressed(
        &mut self,
        index: u32,
        kind: Kind,
        data: DataKind,
        payload: Cow<'_, [u8]>,
    ) -> bool {
        let max_bytes = self.message_limits.max_message_bytes;
        let at_once_bytes = self.bytes_at_once().min(max_bytes);
        if payload.len() > at_once_bytes {
            return self.hand_over_compressed(index, kind, data, payload);
        }
        // Taken away while the message that it holds is carried out.
        let mut inflater = core::mem::take(&mut self.compression.inflater);
        let inflated = inflater.inflate(&payload, at_once_bytes);
        if at_once_bytes < max_bytes && inflated == Err(DecodeError::MessageTooLarge) {
            // For that, though not for the server. What has been done of it was little, and is done again.
            self.compression.inflater = inflater;
            return self.hand_over_compressed(index, kind, data, payload);
        }
        let lives = match inflated.and_then(|message| Ok((message, step(data, message)?))) {
            Ok((message, step)) => {
                self.stats.inflated += 1;
                self.stats.inflated_from_bytes += payload.len() as u64;
                self.stats.inflated_to_bytes += message.len() as u64;
                // It counts for as long as it is there.
                self.input_bytes += message.len();
                let lives = self.step(index, kind, step);
                self.input_bytes -= message.len();
                lives
            }
            Err(error) => {
                self.stats.inflate_refused += 1;
                self.break_off(index, error);
                false
            }
        };
        self.compression.inflater = inflater;
        lives
    }
}

/// A message that was inflated.
fn step(data: DataKind, message: &[u8]) -> Result<Step<'_>, DecodeError> {
    match data {
        DataKind::Binary => Ok(Step::Binary(Cow::Borrowed(message))),
        DataKind::Text => match simdutf8::basic::from_utf8(message) {
            Ok(text) => Ok(Step::Text(Cow::Borrowed(text))),
            Err(_) => Err(DecodeError::InvalidUtf8),
        },
    }
}
