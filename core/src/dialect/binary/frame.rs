//! The frame itself: header and payload, whatever is in it.

#[cfg(test)]
mod tests;

use core::fmt;

/// Length of a header.
pub const HEADER_BYTES: usize = 13;

/// One frame, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it is.
    pub kind: u8,
    /// Milliseconds since 1970, by convention; of the client's clock or the server's.
    pub timestamp: u64,
    /// The rest.
    pub payload: &'a [u8],
}

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// Shorter than a header.
    NoHeader,
    /// Shorter than the header says.
    Short,
    /// Longer than the header says.
    Long,
}

impl<'a> Frame<'a> {
    /// Reads bytes that are one whole frame. O(1).
    ///
    /// # Errors
    /// When they are less, or more.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        match Self::split(bytes)? {
            (frame, []) => Ok(frame),
            _ => Err(FrameError::Long),
        }
    }

    /// Reads the first frame; returns it and what follows it. O(1).
    ///
    /// # Errors
    /// [`NoHeader`](FrameError::NoHeader) or [`Short`](FrameError::Short): there is no whole frame.
    pub fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), FrameError> {
        let (header, rest) = bytes
            .split_first_chunk::<HEADER_BYTES>()
            .ok_or(FrameError::NoHeader)?;
        let [kind, t0, t1, t2, t3, t4, t5, t6, t7, l0, l1, l2, l3] = *header;
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        let length = usize::try_from(length).map_err(|_| FrameError::Short)?;
        let (payload, rest) = rest.split_at_checked(length).ok_or(FrameError::Short)?;
        let timestamp = u64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]);
        let frame = Self {
            kind,
            timestamp,
            payload,
        };
        Ok((frame, rest))
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoHeader => "a frame begins with a header of 13 bytes",
            Self::Short => "the frame is shorter than its header says",
            Self::Long => "the frame is longer than its header says",
        })
    }
}

impl core::error::Error for FrameError {}

/// Begins a frame; [`end`] fills in the length. Returns where it begins.
pub(super) fn begin(out: &mut Vec<u8>, kind: u8, timestamp: u64) -> usize {
    let start = out.len();
    out.push(kind);
    out.extend_from_slice(&timestamp.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    start
}

/// Ends the frame that begins at `start`: everything since is its payload.
pub(super) fn end(out: &mut [u8], start: usize) {
    let payload = out.len() - start - HEADER_BYTES;
    // A payload of 4 GiB is beyond every limit of a message.
    let length = u32::try_from(payload).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(start + 9..start + HEADER_BYTES) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

/// Frames one after the other. Ends at the first bytes that are none.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    rest: &'a [u8],
}

impl<'a> Frames<'a> {
    /// Those in `frames`.
    pub const fn of(frames: &'a [u8]) -> Self {
        Self { rest: frames }
    }

    /// How many bytes have not been looked at.
    pub const fn left(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (_, rest) = Frame::split(self.rest).ok()?;
        let (frame, rest) = self.rest.split_at(self.rest.len() - rest.len());
        self.rest = rest;
        Some(frame)
    }
}
