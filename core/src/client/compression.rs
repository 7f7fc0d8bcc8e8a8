//! Compressed messages of one connection (RFC 7692), both ways. Nothing refers back to earlier messages.

use super::{ClientDeflate, Event};
use crate::websocket::deflate::negotiation::Accepted;
use crate::websocket::deflate::{Compressors, Inflater, Window};
use crate::websocket::{DataKind, DecodeError};

/// What a connection compresses and inflates with; each is made when it is needed first.
#[derive(Debug)]
pub(super) struct Compression {
    /// How far back what is sent may refer. `None`: nothing is compressed.
    window: Option<Window>,
    threshold_bytes: usize,
    compressors: Compressors,
    inflater: Inflater,
}

impl Compression {
    pub(super) fn new(config: ClientDeflate, accepted: Accepted) -> Self {
        Self {
            window: accepted.client_window(),
            threshold_bytes: config.threshold_bytes,
            compressors: Compressors::new(config.effort),
            inflater: Inflater::new(),
        }
    }

    /// What goes instead of `message`; `None` if that is the message itself. O(`message`).
    pub(super) fn compress(&mut self, message: &[u8]) -> Option<&[u8]> {
        if message.len() < self.threshold_bytes {
            return None;
        }
        self.compressors.compress(self.window?, message)
    }

    /// The message, of at most `max_bytes`, that `payload` stands for. O(`payload` and the message).
    pub(super) fn inflate(
        &mut self,
        kind: DataKind,
        payload: &[u8],
        max_bytes: usize,
    ) -> Result<Event<'_>, DecodeError> {
        let message = self.inflater.inflate(payload, max_bytes)?;
        match kind {
            DataKind::Binary => Ok(Event::Binary(message)),
            DataKind::Text => simdutf8::basic::from_utf8(message)
                .map(Event::Text)
                .map_err(|_| DecodeError::InvalidUtf8),
        }
    }

    /// Memory of it, in bytes. O(1).
    pub(super) fn heap_bytes(&self) -> usize {
        self.compressors.heap_bytes() + self.inflater.heap_bytes()
    }

    /// Gives back what an unusually large message took. O(1).
    pub(super) fn shrink(&mut self) {
        self.compressors.shrink();
        self.inflater.shrink();
    }
}
