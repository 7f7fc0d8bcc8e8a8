//! What servers have in common that take up each other's sessions.

use core::fmt;

use data_encoding::HEXLOWER_PERMISSIVE;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// 256 bits that nobody else may know: who has them can be any client that may come back. In a config they are 64
/// hexadecimal digits, as `openssl rand -hex 32` makes them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionKey(pub [u8; 32]);

impl SessionKey {
    /// From its digits, in either case; `None` if these are not 64 of them.
    pub fn from_hex(digits: &str) -> Option<Self> {
        let bytes = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// Its 64 digits.
    pub fn to_hex(&self) -> String {
        HEXLOWER_PERMISSIVE.encode(&self.0)
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionKey").finish_non_exhaustive()
    }
}

impl Serialize for SessionKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl<'de> Deserialize<'de> for SessionKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // What came is a secret, or was to be one: it is not repeated.
        Self::from_hex(&text).ok_or_else(|| {
            D::Error::custom(
                "a session key is 64 hexadecimal digits: make one with `openssl rand -hex 32`",
            )
        })
    }
}

#[cfg(test)]
mod tests;
