//! What is said of messages that are kept.

use core::fmt;

use crate::id::ClientId;
use crate::message::Payload;

/// Which log offsets are of: a room that is made anew has another. On the wire of JSON 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The inverse of its display; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
        let whole = text.len() == DIGITS && text.bytes().all(is_digit);
        whole.then(|| u64::from_str_radix(text, 16).ok())?.map(Self)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0DIGITS$x}", self.0)
    }
}

const DIGITS: usize = 16;

/// How far a room's log has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Which log.
    pub epoch: Epoch,
    /// The offset of the latest message; 0: there was none.
    pub last: u64,
}

/// Up to where somebody has a room's messages who comes back to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Since {
    /// Which log that is of, if it is known.
    pub epoch: Option<Epoch>,
    /// The offset of the last message that came; 0: none did.
    pub after: u64,
}

/// Messages that are not kept any more, by their offsets; both ends are of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first.
    pub from: u64,
    /// The last.
    pub to: u64,
}

/// A message that was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastMessage<'a> {
    /// Its place in the log.
    pub offset: u64,
    /// The sender.
    pub from: ClientId,
    /// What was said.
    pub data: Payload<'a>,
    /// The server's wall clock then, ms.
    pub timestamp: u64,
}
