//! A message whose payload does not lie in one piece: unmasked and gathered as it arrives.
//!
//! Text is kept as a `String`: each piece is checked once, when it comes, and never again. Capacity follows
//! what has arrived, doubling up to a bound which the caller names. Knows nothing of frames.

use super::mask::{apply_mask, push_unmasked};
use super::utf8::{InvalidUtf8, Utf8Validator};

/// The part of a message that has arrived. Holds no heap before the first byte.
#[derive(Debug, Default)]
pub(super) enum Assembly {
    /// No message is under way.
    #[default]
    Idle,
    /// Text, valid as far as it has come.
    Text {
        text: String,
        validator: Utf8Validator,
    },
    /// Anything that is not read as text here.
    Bytes { bytes: Vec<u8>, form: Form },
}

/// The two kinds of message (RFC 6455 section 5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataKind {
    /// UTF-8 text.
    Text,
    /// Any bytes.
    Binary,
}

/// What bytes stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Binary,
    Compressed(DataKind),
}

impl Assembly {
    pub(super) const fn text() -> Self {
        Self::Text {
            text: String::new(),
            validator: Utf8Validator::new(),
        }
    }

    pub(super) const fn bytes(form: Form) -> Self {
        Self::Bytes {
            bytes: Vec::new(),
            form,
        }
    }

    /// Adds a piece that is masked with `key`; what is left in it is garbage. `bound_bytes` is the most that the message
    /// can come to: capacity never exceeds it. Amortised O(`piece`).
    pub(super) fn push(
        &mut self,
        piece: &mut [u8],
        key: [u8; 4],
        bound_bytes: usize,
    ) -> Result<(), InvalidUtf8> {
        match self {
            Self::Idle => {}
            Self::Text { text, validator } => {
                apply_mask(piece, key);
                let valid = validator.push(piece)?;
                let completed_bytes = valid.completed.map_or(0, char::len_utf8);
                let adding = completed_bytes + valid.text.len();
                text.reserve_exact(growth(text.len(), text.capacity(), adding, bound_bytes));
                text.extend(valid.completed);
                text.push_str(valid.text);
            }
            Self::Bytes { bytes, .. } => {
                let adding = piece.len();
                bytes.reserve_exact(growth(bytes.len(), bytes.capacity(), adding, bound_bytes));
                push_unmasked(bytes, piece, key);
            }
        }
        Ok(())
    }

    /// How many bytes of the message have arrived.
    pub(super) fn received_bytes(&self) -> usize {
        match self {
            Self::Idle => 0,
            Self::Text { text, validator } => text.len() + validator.pending_bytes(),
            Self::Bytes { bytes, .. } => bytes.len(),
        }
    }

    /// How much heap is held.
    pub(super) fn capacity_bytes(&self) -> usize {
        match self {
            Self::Idle => 0,
            Self::Text { text, .. } => text.capacity(),
            Self::Bytes { bytes, .. } => bytes.capacity(),
        }
    }
}

/// How many bytes to reserve beyond `len` before `adding` more: none while they fit, else as many again
/// as there are then, within `bound`.
fn growth(len: usize, capacity: usize, adding: usize, bound: usize) -> usize {
    let needed = len.saturating_add(adding);
    if needed <= capacity {
        return 0;
    }
    let doubled = needed.saturating_mul(2).max(SMALLEST_BYTES).min(bound);
    doubled.max(needed) - len
}

/// A first capacity that spares a message dripping in byte by byte its first few moves.
const SMALLEST_BYTES: usize = 64;
