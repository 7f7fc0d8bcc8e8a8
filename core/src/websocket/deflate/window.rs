//! How far back a compressor may refer.

/// The size of an LZ77 window: 2^9 to 2^15 bytes. RFC 7692 has 2^8 as well, which nobody can compress for: zlib and
/// its descendants make it 2^9.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Window {
    /// 512 bytes.
    Bits9 = 9,
    /// 1 KiB.
    Bits10,
    /// 2 KiB.
    Bits11,
    /// 4 KiB.
    Bits12,
    /// 8 KiB.
    Bits13,
    /// 16 KiB.
    Bits14,
    /// 32 KiB: what is used unless something else is asked for.
    Bits15,
}

impl Window {
    /// From the smallest to the largest.
    pub const ALL: [Self; 7] = [
        Self::Bits9,
        Self::Bits10,
        Self::Bits11,
        Self::Bits12,
        Self::Bits13,
        Self::Bits14,
        Self::Bits15,
    ];

    /// The largest.
    pub const MAX: Self = Self::Bits15;

    /// The base-2 logarithm of its size in bytes, as the parameters of RFC 7692 have it: 9 to 15.
    pub const fn bits(self) -> u8 {
        self as u8
    }

    /// The window of so many bits; `None` if it is none that can be compressed for. O(1).
    pub fn from_bits(bits: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|window| window.bits() == bits)
    }

    /// Its place in [`ALL`](Self::ALL).
    pub(super) const fn index(self) -> usize {
        (self.bits() - Self::Bits9.bits()) as usize
    }
}
