//! Frames out of a stream of bytes that comes in any pieces.

#[cfg(test)]
mod tests;

use core::fmt;

use super::frame::HEADER_BYTES;

/// Puts frames together. Over a WebSocket there is no need: one message is one frame.
///
/// Holds what has come of one frame, which is never longer than the limit; nothing between frames.
#[derive(Clone, Debug)]
pub struct FrameStream {
    max_frame_bytes: usize,
    unfinished: Vec<u8>,
    /// What is held was handed out as a whole frame.
    lent: bool,
}

/// A frame says that it is longer than is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameTooLong;

impl fmt::Display for FrameTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the frame is longer than is allowed")
    }
}

impl core::error::Error for FrameTooLong {}

impl FrameStream {
    /// For a stream whose frames have at most `max_frame_bytes`, header included.
    pub const fn new(max_frame_bytes: usize) -> Self {
        Self {
            max_frame_bytes,
            unfinished: Vec::new(),
            lent: false,
        }
    }

    /// Takes the next bytes of `input` up to the end of a frame, and returns that frame; `None` if all of `input`
    /// was taken before. A frame that lies whole in `input` is not copied. O(taken).
    ///
    /// # Errors
    /// As soon as a header says so; every further call says the same and takes nothing.
    pub fn next<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<&'a [u8]>, FrameTooLong> {
        if core::mem::take(&mut self.lent) {
            self.unfinished = Vec::new();
        }
        if self.unfinished.is_empty()
            && let Some(Ok(length)) = self.frame_bytes(input)
            && let Some((frame, rest)) = input.split_at_checked(length)
        {
            *input = rest;
            return Ok(Some(frame));
        }
        self.fill(input, HEADER_BYTES);
        let Some(length) = self.frame_bytes(&self.unfinished) else {
            return Ok(None);
        };
        let length = length?;
        self.fill(input, length);
        if self.unfinished.len() < length {
            return Ok(None);
        }
        self.lent = true;
        Ok(Some(&self.unfinished))
    }

    /// How many bytes wait for the rest of their frame.
    pub const fn held_bytes(&self) -> usize {
        if self.lent { 0 } else { self.unfinished.len() }
    }

    /// Takes from `input` until `length` bytes are held.
    fn fill(&mut self, input: &mut &[u8], length: usize) {
        let missing = length.saturating_sub(self.unfinished.len());
        let (taken, rest) = input.split_at(missing.min(input.len()));
        self.unfinished.extend_from_slice(taken);
        *input = rest;
    }

    /// The length of the frame at the start of `bytes`, once its header is there.
    fn frame_bytes(&self, bytes: &[u8]) -> Option<Result<usize, FrameTooLong>> {
        let header = bytes.first_chunk::<HEADER_BYTES>()?;
        let [.., l0, l1, l2, l3] = *header;
        let payload = u32::from_be_bytes([l0, l1, l2, l3]);
        let length = usize::try_from(payload).unwrap_or(usize::MAX);
        let length = length.saturating_add(HEADER_BYTES);
        Some(if length > self.max_frame_bytes {
            Err(FrameTooLong)
        } else {
            Ok(length)
        })
    }
}
