//! A request body that is counted and thrown away, so that the next request on the connection is found.
//!
//! Holds a few numbers and no bytes. Chunks are read strictly (RFC 9112 7.1): where parsers disagree about
//! line ends and sizes, requests are smuggled.

#[cfg(test)]
mod tests;

use super::head::Framing;
use super::response::Refusal;
use super::syntax::{is_ows, is_token_byte};

/// The most hexadecimal digits of a chunk's size, leading zeros among them. More: 400.
pub const MAX_CHUNK_DIGITS: u8 = 16;

/// The most bytes of chunk extensions and trailers of one body, together. More: 400 in an extension, 431 in the
/// trailers.
pub const MAX_SPARE_BYTES: u16 = 8 * 1024;

/// Reads one request body and forgets it.
#[derive(Clone, Debug)]
pub struct BodyDiscard {
    state: State,
    /// Body bytes that may still be announced.
    allowed_bytes: u64,
    /// Bytes of extensions and trailers that may still come.
    spare_bytes: u16,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The rest of a body whose length was known beforehand.
    Plain { left: u64 },
    /// A chunk's size.
    Size { size: u64, digits: u8 },
    /// The rest of the size's line, which means nothing.
    Extension { size: u64 },
    /// The line feed that ends the size's line.
    SizeEnd { size: u64 },
    /// A chunk's bytes.
    Data { left: u64 },
    /// The carriage return after a chunk's bytes.
    DataReturn,
    /// The line feed after it.
    DataEnd,
    /// The start of a trailer, or of the blank line.
    LineStart,
    /// The rest of a trailer's name.
    Name,
    /// A trailer's value.
    Line,
    /// The line feed that ends a trailer.
    LineEnd,
    /// The line feed that ends the body.
    LastEnd,
    /// All read.
    Done,
    /// Refused, and so is all that follows.
    Refused(Refusal),
}

impl BodyDiscard {
    /// Prepares for a body of at most `max_bytes`, chunk sizes, extensions and trailers not counted. O(1).
    ///
    /// # Errors
    ///
    /// 413 if the announced length is larger.
    pub fn new(framing: Framing, max_bytes: u64) -> Result<Self, Refusal> {
        let state = match framing {
            Framing::Length(left) if left > max_bytes => return Err(Refusal::content_too_large()),
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(left) => State::Plain { left },
            Framing::Chunked => NEXT_SIZE,
        };
        Ok(Self {
            state,
            allowed_bytes: max_bytes,
            spare_bytes: MAX_SPARE_BYTES,
        })
    }

    /// Takes the next bytes of the connection; returns how many belonged to the body. Fewer than were passed
    /// only if the body ended, and [`is_done`](Self::is_done) says so. The way the body is split over calls makes
    /// no difference. O(1) for a body of known length and for the bytes of chunks, O(bytes) for the rest.
    ///
    /// # Errors
    ///
    /// 413 when a chunk's size says that the limit will be passed. 431 when trailers are too long. 400 for
    /// anything malformed. Where the next request starts is unknown then: answer and close. Later calls return
    /// the same error.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..)
            && let Some(&byte) = rest.first()
            && self.state != State::Done
        {
            taken += match &mut self.state {
                State::Plain { left } | State::Data { left } => skip(left, rest.len()),
                _ => {
                    self.state = self.step(byte).unwrap_or_else(State::Refused);
                    1
                }
            };
            match self.state {
                State::Plain { left: 0 } => self.state = State::Done,
                State::Data { left: 0 } => self.state = State::DataReturn,
                State::Refused(refusal) => return Err(refusal),
                _ => {}
            }
        }
        match self.state {
            State::Refused(refusal) => Err(refusal),
            _ => Ok(taken),
        }
    }

    /// Whether the whole body has been read. O(1).
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// The next byte is one of the body's own. O(1).
    pub(crate) const fn is_at_content(&self) -> bool {
        matches!(self.state, State::Plain { .. } | State::Data { .. })
    }

    /// The next byte belongs to an extension or a trailer, or ends it. O(1).
    pub(crate) const fn is_at_spare(&self) -> bool {
        matches!(
            self.state,
            State::Extension { .. } | State::LineStart | State::Name | State::Line
        )
    }

    /// One byte of framing.
    fn step(&mut self, byte: u8) -> Result<State, Refusal> {
        Ok(match (self.state, byte) {
            (State::Size { size, digits }, b'\r') if digits > 0 => State::SizeEnd { size },
            (State::Size { size, digits }, b';') if digits > 0 => State::Extension { size },
            (State::Size { size, digits }, _) if digits < MAX_CHUNK_DIGITS => State::Size {
                size: size << 4 | hex(byte)?,
                digits: digits + 1,
            },
            (State::Extension { size }, b'\r') => State::SizeEnd { size },
            (State::Extension { .. }, _) if is_text(byte) => {
                self.spend_spare(MALFORMED)?;
                self.state
            }
            (State::SizeEnd { size: 0 }, b'\n') => State::LineStart,
            (State::SizeEnd { size }, b'\n') => self.start_chunk(size)?,
            (State::DataReturn, b'\r') => State::DataEnd,
            (State::DataEnd, b'\n') => NEXT_SIZE,
            (State::LineStart, b'\r') => State::LastEnd,
            (State::LineStart | State::Name, _) if is_token_byte(byte) => {
                self.spend_spare(Refusal::head_too_large())?;
                State::Name
            }
            (State::Name, b':') => State::Line,
            (State::Line, b'\r') => State::LineEnd,
            (State::Line, _) if is_text(byte) => {
                self.spend_spare(Refusal::head_too_large())?;
                State::Line
            }
            (State::LineEnd, b'\n') => State::LineStart,
            (State::LastEnd, b'\n') => State::Done,
            (State::Refused(refusal), _) => return Err(refusal),
            _ => return Err(MALFORMED),
        })
    }

    fn start_chunk(&mut self, size: u64) -> Result<State, Refusal> {
        match self.allowed_bytes.checked_sub(size) {
            Some(allowed_bytes) => {
                self.allowed_bytes = allowed_bytes;
                Ok(State::Data { left: size })
            }
            None => Err(Refusal::content_too_large()),
        }
    }

    fn spend_spare(&mut self, refusal: Refusal) -> Result<(), Refusal> {
        self.spare_bytes = self.spare_bytes.checked_sub(1).ok_or(refusal)?;
        Ok(())
    }
}

/// Takes up to `left` of `available` bytes; returns how many.
fn skip(left: &mut u64, available: usize) -> usize {
    let taken = usize::try_from(*left).map_or(available, |left| left.min(available));
    *left = left.saturating_sub(taken as u64);
    taken
}

fn hex(digit: u8) -> Result<u64, Refusal> {
    char::from(digit)
        .to_digit(16)
        .map(u64::from)
        .ok_or(MALFORMED)
}

/// Visible characters, white space and whatever is not ASCII; no control characters.
const fn is_text(byte: u8) -> bool {
    byte.is_ascii_graphic() || is_ows(byte) || !byte.is_ascii()
}

const NEXT_SIZE: State = State::Size { size: 0, digits: 0 };
const MALFORMED: Refusal = Refusal::bad_request("The chunked body is malformed");
