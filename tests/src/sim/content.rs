//! What is in files: bytes that their name decides, so that everybody knows what they should be.

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

/// A file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Content {
    /// Decides the bytes.
    pub seed: u64,
    /// How many there are.
    pub size: u64,
}

impl Content {
    /// A name that says what is in it.
    pub fn name(self) -> String {
        format!("file-{}-{}.bin", self.seed, self.size)
    }

    /// What is in a file of that name.
    pub fn of(name: &str) -> Option<Self> {
        let name = name.strip_prefix("file-")?.strip_suffix(".bin")?;
        let (seed, size) = name.split_once('-')?;
        Some(Self {
            seed: seed.parse().ok()?,
            size: size.parse().ok()?,
        })
    }

    /// So many bytes of it from `offset` on.
    pub fn bytes(self, offset: u64, count: usize) -> Vec<u8> {
        let byte = |at: u64| mixed(self.seed ^ (at / 8)).to_le_bytes()[(at % 8) as usize];
        (offset..offset + count as u64).map(byte).collect()
    }

    /// The hash of the whole, as messages say it.
    pub fn hash(self) -> String {
        let digest = Sha256::digest(self.bytes(0, self.size as usize));
        format!("sha256:{}", HEXLOWER.encode(&digest))
    }
}

/// The finalizer of SplitMix64: every bit depends on every bit.
const fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
