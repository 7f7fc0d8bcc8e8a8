//! UTF-8 validation of text that arrives in pieces (RFC 3629, RFC 6455 section 8.1).
//!
//! Fails at the first byte that no valid continuation could follow, wherever the pieces are cut. Every byte
//! is looked at once, apart from the at most three of an unfinished sequence. Knows nothing of frames.

use core::str;

/// Checks text piece by piece. Holds at most the three bytes of an unfinished sequence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Utf8Validator {
    pending: [u8; 4],
    pending_len: u8,
}

/// What one piece added to the valid text: the character that it completed, then the rest of it.
///
/// An unfinished sequence at the end stays in the validator.
#[derive(Clone, Copy, Debug)]
pub(super) struct Valid<'a> {
    /// Begun in an earlier piece.
    pub(super) completed: Option<char>,
    /// Wholly in this piece.
    pub(super) text: &'a str,
}

/// No valid text starts with the bytes seen so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InvalidUtf8;

impl Utf8Validator {
    pub(super) const fn new() -> Self {
        Self {
            pending: [0; 4],
            pending_len: 0,
        }
    }

    /// Checks the next piece. O(`piece`).
    pub(super) fn push<'a>(&mut self, mut piece: &'a [u8]) -> Result<Valid<'a>, InvalidUtf8> {
        let mut completed = None;
        while self.pending_len > 0 && completed.is_none() {
            let Some((&byte, rest)) = piece.split_first() else {
                return Ok(Valid {
                    completed: None,
                    text: "",
                });
            };
            completed = self.extend_pending(byte)?;
            piece = rest;
        }
        let (whole, unfinished) = split_unfinished(piece);
        let text = simdutf8::basic::from_utf8(whole).map_err(|_| InvalidUtf8)?;
        for &byte in unfinished {
            self.extend_pending(byte)?;
        }
        Ok(Valid { completed, text })
    }

    /// Whether the text may end here.
    pub(super) const fn is_complete(&self) -> bool {
        self.pending_len == 0
    }

    /// How many bytes of an unfinished sequence are held, 0 to 3.
    pub(super) const fn pending_bytes(&self) -> usize {
        self.pending_len as usize
    }

    /// Adds a byte to the unfinished sequence; gives the character that it completes.
    fn extend_pending(&mut self, byte: u8) -> Result<Option<char>, InvalidUtf8> {
        let len = usize::from(self.pending_len);
        // A sequence of four is complete or wrong, so that there is always room for the next byte.
        let slot = self.pending.get_mut(len).ok_or(InvalidUtf8)?;
        *slot = byte;
        let sequence = self.pending.get(..=len).ok_or(InvalidUtf8)?;
        match str::from_utf8(sequence) {
            Ok(text) => {
                self.pending_len = 0;
                Ok(text.chars().next())
            }
            Err(error) if error.error_len().is_none() => {
                self.pending_len += 1;
                Ok(None)
            }
            Err(_) => Err(InvalidUtf8),
        }
    }
}

/// Whether `bytes` could be the start of valid text. O(`bytes`).
pub(super) fn is_valid_prefix(bytes: &[u8]) -> bool {
    Utf8Validator::new().push(bytes).is_ok()
}

/// Cuts off a sequence that `bytes` ends in the middle of: at most three bytes, found from the end.
fn split_unfinished(bytes: &[u8]) -> (&[u8], &[u8]) {
    for (back, &byte) in (1..=3).zip(bytes.iter().rev()) {
        if byte & 0b1100_0000 == 0b1000_0000 {
            continue;
        }
        if sequence_bytes(byte) > back {
            return bytes
                .split_at_checked(bytes.len() - back)
                .unwrap_or((bytes, &[]));
        }
        break;
    }
    (bytes, &[])
}

/// How long a sequence is that starts with `lead`; 1 for what cannot start one.
const fn sequence_bytes(lead: u8) -> usize {
    match lead {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    }
}
