//! Files, from the ends that have them and want them: what a client says and when, without sockets and disks.
//!
//! [`Sending`] answers what the server asks for with pieces that the caller reads; [`Receiving`] takes pieces in order
//! and gives room for more as the caller has written them. Both speak in [`FileRequest`](crate::FileRequest)s and are
//! told [`FileNotice`](crate::FileNotice)s, in whatever dialect the caller speaks; neither holds a byte of the file.
//! What the server says is not believed: what makes no sense ends the one file with
//! [`Outcome::Broken`](SendOutcome::Broken).

mod receiving;
mod sending;
#[cfg(test)]
mod tests;

pub use receiving::{Offer, ReceiveOutcome, Receiving, Taken};
pub use sending::{Next, Outgoing, Progress, Said, SendOutcome, Sending};

use std::ops::Range;

use crate::error::ErrorCode;

/// What the server says about a request that it does not carry out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// From the closed list.
    pub code: ErrorCode,
    /// For people; untrusted.
    pub message: Box<str>,
}

impl Refusal {
    fn new(code: ErrorCode, message: &str) -> Self {
        let message = message.into();
        Self { code, message }
    }
}

/// From `offset` on, if that is not beyond `size`.
fn piece(offset: u64, length: u64, size: u64) -> Option<Range<u64>> {
    let end = offset.checked_add(length)?;
    (length > 0 && end <= size).then_some(offset..end)
}
