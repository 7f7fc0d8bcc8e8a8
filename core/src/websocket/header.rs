//! The frame header on the wire (RFC 6455 section 5.2), read from any prefix of it and written.
//!
//! Every part is read as soon as its bytes are there, so that a broken rule is found at the byte that breaks
//! it and the outcome does not depend on how the bytes were cut. What is allowed is the decoder's business.

/// The largest header: two bytes, a 64-bit length, a mask.
pub(super) const MAX_BYTES: usize = 14;

/// The defined opcodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl FrameKind {
    pub(super) const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The first byte: FIN, three reserved bits, the opcode.
#[derive(Clone, Copy, Debug)]
pub(super) struct First(pub(super) u8);

impl First {
    pub(super) const fn fin(self) -> bool {
        self.0 & 0x80 != 0
    }

    pub(super) const fn rsv1(self) -> bool {
        self.0 & 0x40 != 0
    }

    pub(super) const fn rsv2_or_rsv3(self) -> bool {
        self.0 & 0x30 != 0
    }

    /// `None` for a reserved opcode.
    pub(super) const fn kind(self) -> Option<FrameKind> {
        match self.0 & 0x0f {
            0x0 => Some(FrameKind::Continuation),
            0x1 => Some(FrameKind::Text),
            0x2 => Some(FrameKind::Binary),
            0x8 => Some(FrameKind::Close),
            0x9 => Some(FrameKind::Ping),
            0xa => Some(FrameKind::Pong),
            _ => None,
        }
    }
}

/// The second byte: MASK and a length, or how wide the length field is that follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Second(pub(super) u8);

impl Second {
    pub(super) const fn masked(self) -> bool {
        self.0 & 0x80 != 0
    }

    /// The length, or 126 or 127 if a field follows.
    pub(super) const fn short_length(self) -> u8 {
        self.0 & 0x7f
    }

    /// What is known of the payload's length from `rest`, the bytes after this one.
    #[inline]
    pub(super) fn length(self, rest: &[u8]) -> Length {
        match self.short_length() {
            126 => Length::bounds(rest, 2, 126),
            127 => Length::bounds(rest, 8, 1 << 16),
            short => Length {
                least: u64::from(short),
                most: u64::from(short),
                shortest_form_from: 0,
                field_bytes: 0,
            },
        }
    }
}

/// The payload's length: exact when its field is complete, else the bounds that hold whatever follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Length {
    /// It is at least this.
    pub(super) least: u64,
    /// It is at most this.
    pub(super) most: u64,
    /// Smaller lengths have a shorter form.
    pub(super) shortest_form_from: u64,
    /// How wide the field is: 0, 2 or 8.
    pub(super) field_bytes: usize,
}

impl Length {
    fn bounds(rest: &[u8], field_bytes: usize, shortest_form_from: u64) -> Self {
        let (mut least, mut most) = (0, 0);
        for place in 0..field_bytes {
            let (low, high) = rest.get(place).map_or((0x00, 0xff), |&byte| (byte, byte));
            least = least << 8 | u64::from(low);
            most = most << 8 | u64::from(high);
        }
        Self {
            least,
            most,
            shortest_form_from,
            field_bytes,
        }
    }

    /// The field takes 64 bits and the highest is set.
    pub(super) const fn overflows(&self) -> bool {
        self.least >> 63 != 0
    }

    /// The form is longer than it needs to be.
    pub(super) const fn is_overlong(&self) -> bool {
        self.most < self.shortest_form_from
    }
}

/// Appends a header in the shortest form. O(1).
#[inline]
pub(super) fn put(out: &mut Vec<u8>, first: u8, payload_bytes: u64, mask: Option<[u8; 4]>) {
    let mask_bit = if mask.is_some() { 0x80 } else { 0 };
    // The casts keep every bit: each arm holds only lengths that fit.
    match payload_bytes {
        0..=125 => out.extend_from_slice(&[first, mask_bit | payload_bytes as u8]),
        126..=0xffff => {
            let [high, low] = (payload_bytes as u16).to_be_bytes();
            out.extend_from_slice(&[first, mask_bit | 126, high, low]);
        }
        _ => {
            out.extend_from_slice(&[first, mask_bit | 127]);
            out.extend_from_slice(&payload_bytes.to_be_bytes());
        }
    }
    if let Some(key) = mask {
        out.extend_from_slice(&key);
    }
}
