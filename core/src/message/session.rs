//! What a client keeps to take up its session on another connection.

use core::fmt;

use super::Gap;
use crate::id::ClientId;

/// So many ranges that are left out are named, in a `session` or a page of a room: the first ones, and what there is behind
/// the last message. A hole that is not named is like a gap.
pub(crate) const MAX_LEFT_OUT: usize = 1_000;

/// Proves to a server that a client id was its own client's. Whoever has it can be that client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionSecret(pub [u8; Self::BYTES]);

impl SessionSecret {
    /// Length in bytes.
    pub const BYTES: usize = 16;

    /// Length of its text.
    pub(crate) const LEN: usize = 22;

    /// The inverse of [`write`](Self::write); `None` for text that is no secret. O(1).
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; Self::BYTES];
        let codec = &data_encoding::BASE64URL_NOPAD;
        let fits = text.len() == Self::LEN;
        fits.then(|| codec.decode_mut(text.as_bytes(), &mut bytes).ok())??;
        Some(Self(bytes))
    }

    /// As JSON carries it: 22 characters of base64url. O(1).
    pub fn write(&self) -> String {
        data_encoding::BASE64URL_NOPAD.encode(&self.0)
    }
}

/// Without the secret.
impl fmt::Debug for SessionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionSecret")
    }
}

/// A session that a client had on another connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Former {
    /// Who it was.
    pub client: ClientId,
    /// The proof.
    pub secret: SessionSecret,
    /// The offset of the last message to it alone that it has; `None`: it has none, or does not count.
    pub after: Option<u64>,
}

/// The session of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Who the client is from now on.
    pub client: ClientId,
    /// What takes the session up again.
    pub secret: SessionSecret,
    /// It is the one that was asked for, not a new one.
    pub resumed: bool,
    /// For how long after a lost connection it can be taken up, ms.
    pub window_ms: u64,
    /// For how long after one the rooms are not told, ms.
    pub away_ms: u64,
    /// The offset of the latest message to the client alone; 0: there was none.
    pub last: u64,
    /// What is not kept of those that the client has missed.
    pub gap: Option<Gap>,
    /// What of them is not told as it is out of date: at most 1,000 ranges.
    pub left_out: Vec<Gap>,
}
