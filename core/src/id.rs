//! Names for connections: the handle that drivers use, and the address that clients see.

#[cfg(test)]
mod tests;

use core::fmt;
use core::num::NonZeroU32;

use crate::machine::ShardId;

/// A connection's handle: its shard, a slot there and how often that has been used. A handle whose connection
/// ended is stale and matches nothing, whoever has the slot now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    /// The shard in the upper 8 bits, the slot in the others.
    place: u32,
    generation: NonZeroU32,
}

impl ConnectionId {
    /// Slots of one shard.
    pub(crate) const MAX_SLOTS: u32 = 1 << SLOT_BITS;

    /// `index` is below [`MAX_SLOTS`](Self::MAX_SLOTS).
    pub(crate) const fn new(shard: ShardId, index: u32, generation: NonZeroU32) -> Self {
        Self {
            place: Self::place_of(shard, index),
            generation,
        }
    }

    /// The shard that has the connection.
    pub const fn shard(self) -> ShardId {
        Self::shard_of(self.place)
    }

    /// The slot: dense from 0, reused after the connection ended. Drivers may index their tables by it and
    /// must then check the generation.
    pub const fn index(self) -> u32 {
        self.place & (Self::MAX_SLOTS - 1)
    }

    /// Shard and slot in one number.
    pub(crate) const fn place_of(shard: ShardId, index: u32) -> u32 {
        (shard.0 as u32) << SLOT_BITS | index
    }

    /// The shard in such a number.
    pub(crate) const fn shard_of(place: u32) -> ShardId {
        ShardId((place >> SLOT_BITS) as u8)
    }

    /// How often the slot has been used.
    pub const fn generation(self) -> NonZeroU32 {
        self.generation
    }

    /// All of it in one number, the generation in the upper half.
    pub const fn to_bits(self) -> u64 {
        ((self.generation.get() as u64) << 32) | self.place as u64
    }

    /// The inverse of [`to_bits`](Self::to_bits); `None` for a number that it never returns.
    pub const fn from_bits(bits: u64) -> Option<Self> {
        match NonZeroU32::new((bits >> 32) as u32) {
            Some(generation) => Some(Self {
                place: bits as u32,
                generation,
            }),
            None => None,
        }
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.shard().0 > 0 {
            write!(f, "{}:", self.shard().0)?;
        }
        write!(f, "{}.{}", self.index(), self.generation)
    }
}

const SLOT_BITS: u32 = 24;

/// A client's public address: `client_` and 24 characters of base64url.
///
/// 96 bits come from the core's random generator; the rest locates the connection and its shard, hidden by a
/// keyed hash, so that a lookup needs no table. It is an address, not a secret.
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

    /// Length of the bytes that the text spells.
    pub const BYTES: usize = 18;

    /// The bytes that the text spells, as binary frames carry them. O(1).
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        Self::decode(self.as_str()).unwrap_or_default()
    }

    /// The inverse of [`to_bytes`](Self::to_bytes). Whether anyone has such an address is another question. O(1).
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Self {
        Self::encode(bytes)
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
