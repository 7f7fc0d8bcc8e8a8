//! Replaces text by other text that is valid, or stops being valid, at the same byte (RFC 3629).

/// Where in a character the next byte belongs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Utf8 {
    #[default]
    Start,
    /// This many continuation bytes are to come; the next one lies between the bounds.
    Tail { left: u8, low: u8, high: u8 },
    /// No text starts like this.
    Broken,
}

impl Utf8 {
    /// The byte that stands in for `byte`; `ascii` chooses it where a character of one byte starts.
    pub(super) fn masked(&mut self, byte: u8, ascii: impl FnOnce(u8) -> u8) -> u8 {
        let (next, masked) = match *self {
            Self::Broken => (Self::Broken, 0),
            Self::Start if byte.is_ascii() => (Self::Start, ascii(byte)),
            Self::Start => lead(byte),
            Self::Tail { left, low, high } if (low..=high).contains(&byte) => match left {
                0 | 1 => (Self::Start, FIRST_TAIL),
                _ => (tail(left - 1), FIRST_TAIL),
            },
            Self::Tail { .. } => (Self::Broken, NEVER),
        };
        *self = next;
        masked
    }
}

/// What a first byte above ASCII asks for, and the first byte of the characters that stand in for its kind.
const fn lead(byte: u8) -> (Utf8, u8) {
    match byte {
        0xc2..=0xdf => (tail(1), 0xc3),
        0xe0 => (
            Utf8::Tail {
                left: 2,
                low: 0xa0,
                high: 0xbf,
            },
            0xe1,
        ),
        0xed => (
            Utf8::Tail {
                left: 2,
                low: 0x80,
                high: 0x9f,
            },
            0xe1,
        ),
        0xe1..=0xef => (tail(2), 0xe1),
        0xf0 => (
            Utf8::Tail {
                left: 3,
                low: 0x90,
                high: 0xbf,
            },
            0xf1,
        ),
        0xf1..=0xf3 => (tail(3), 0xf1),
        0xf4 => (
            Utf8::Tail {
                left: 3,
                low: 0x80,
                high: 0x8f,
            },
            0xf1,
        ),
        _ => (Utf8::Broken, NEVER),
    }
}

const fn tail(left: u8) -> Utf8 {
    Utf8::Tail {
        left,
        low: 0x80,
        high: 0xbf,
    }
}

const FIRST_TAIL: u8 = 0x80;
/// In no text.
const NEVER: u8 = 0xff;
