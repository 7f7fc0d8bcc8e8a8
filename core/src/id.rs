//! Names for connections: the handle that drivers use, and the address that clients see.

#[cfg(test)]
mod tests;

use core::fmt;
use core::num::NonZeroU32;

/// A connection's handle: a slot and how often it has been used. A handle whose connection ended is stale
/// and matches nothing, whoever has the slot now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    index: u32,
    generation: NonZeroU32,
}

impl ConnectionId {
    pub(crate) const fn new(index: u32, generation: NonZeroU32) -> Self {
        Self { index, generation }
    }

    /// The slot: dense from 0, reused after the connection ended. Drivers may index their tables by it and
    /// must then check the generation.
    pub const fn index(self) -> u32 {
        self.index
    }

    /// How often the slot has been used.
    pub const fn generation(self) -> NonZeroU32 {
        self.generation
    }

    /// Both in one number, the generation in the upper half.
    pub const fn to_bits(self) -> u64 {
        ((self.generation.get() as u64) << 32) | self.index as u64
    }

    /// The inverse of [`to_bits`](Self::to_bits); `None` for a number that it never returns.
    pub const fn from_bits(bits: u64) -> Option<Self> {
        match NonZeroU32::new((bits >> 32) as u32) {
            Some(generation) => Some(Self {
                index: bits as u32,
                generation,
            }),
            None => None,
        }
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

/// A client's public address: `client_` and 24 characters of base64url.
///
/// 96 bits come from the core's random generator; the rest locates the connection, hidden by a keyed hash,
/// so that a lookup needs no table. It is an address, not a secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId {
    text: [u8; Self::LEN],
}

impl ClientId {
    /// Length of the text in bytes.
    pub const LEN: usize = PREFIX.len() + 24;

    /// The text. ASCII, needs no escaping in JSON.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// Reads an address as [`as_str`](Self::as_str) writes it; `None` for text that is none. Whether anyone has
    /// it is another question. O(1).
    pub fn parse(text: &str) -> Option<Self> {
        Self::decode(text).map(|bytes| Self::encode(&bytes))
    }

    /// From its 18 bytes.
    pub(crate) fn encode(bytes: &[u8; 18]) -> Self {
        let mut text = [0; Self::LEN];
        let (prefix, body) = text.split_at_mut(PREFIX.len());
        prefix.copy_from_slice(PREFIX.as_bytes());
        data_encoding::BASE64URL_NOPAD.encode_mut(bytes, body);
        Self { text }
    }

    /// Back to its 18 bytes. `None` for text that is no client id.
    pub(crate) fn decode(text: &str) -> Option<[u8; 18]> {
        let body = text.strip_prefix(PREFIX)?.as_bytes();
        if body.len() != 24 {
            return None;
        }
        let mut bytes = [0; 18];
        data_encoding::BASE64URL_NOPAD
            .decode_mut(body, &mut bytes)
            .ok()?;
        Some(bytes)
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const PREFIX: &str = "client_";
