//! Masks strings that a server reads, so that it comes to the same: base64 stays base64, a hash stays one, and a text
//! takes as many bytes in every dialect.

/// What is remembered of such a string.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    /// Characters so far.
    at: usize,
    /// It is none of its kind, whatever follows.
    bad: bool,
    /// The six bits of the last character of base64.
    sextet: u8,
    /// The bytes so far of a character that is not ASCII, in a text.
    lead: u32,
}

/// What a string is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// RFC 4648, section 4, with padding.
    Base64,
    /// As `sha256:` and hexadecimal digits.
    Hash,
    /// Text for people, of which some characters count (see [`prose_ascii`]).
    Prose,
}

impl Told {
    /// A character as it stands.
    pub(super) fn ascii(&mut self, kind: Kind, byte: u8) -> u8 {
        match kind {
            Kind::Prose => prose_ascii(byte),
            _ if self.bad => b'x',
            Kind::Base64 => match self.base64(byte) {
                Fit::As(masked) => masked,
                Fit::Never => b'!',
            },
            Kind::Hash => match self.hash(byte) {
                Fit::As(masked) => masked,
                Fit::Never => b'x',
            },
        }
    }

    /// A character behind a backslash, which stays.
    pub(super) fn escaped(&mut self, kind: Kind, character: u8) {
        if !self.bad && kind != Kind::Prose {
            self.ascii(kind, character);
        }
    }

    /// A character that is not ASCII.
    pub(super) const fn other(&mut self) {
        self.bad = true;
    }

    /// A digit of `\u`, the last one of the `digits` that came last, which are `code`. Never more is told of the
    /// character than its part in the string.
    pub(super) fn digit(&mut self, kind: Kind, code: u32, digits: u8) -> u8 {
        match kind {
            Kind::Prose => prose_digit(code, digits),
            _ if self.bad => b'0',
            Kind::Base64 => self.base64_digit(code, digits),
            Kind::Hash => self.hash_digit(code, digits),
        }
    }

    /// A byte of a character that is not ASCII, in a text; `generic` is what stands in for it elsewhere.
    pub(super) const fn prose_other(&mut self, is_first: bool, byte: u8, generic: u8) -> u8 {
        if is_first {
            self.lead = 0;
        }
        let masked = prose_byte(self.lead, byte, generic);
        self.lead = self.lead << 8 | byte as u32;
        masked
    }

    fn base64(&mut self, byte: u8) -> Fit {
        let place = self.at % 4;
        self.at += 1;
        let before = core::mem::take(&mut self.sextet);
        let spare_bits = if place == 2 { 0xf } else { 0x3 };
        match sextet(byte) {
            Some(sextet) => {
                self.sextet = sextet;
                Fit::As(b'A')
            }
            // Bits that are padded away must be 0.
            None if byte == b'=' && before & spare_bits == 0 => Fit::As(b'='),
            None => {
                self.bad = true;
                Fit::Never
            }
        }
    }

    fn base64_digit(&mut self, code: u32, digits: u8) -> u8 {
        match (digits, code) {
            (1 | 2, 0) => b'0',
            (1 | 2, _) => b'1',
            (3, 2 | 3) => b'3',
            (3, 4..=7) => b'4',
            (3, _) => b'0',
            _ => match (self.base64(low_byte(code)), code >> 4) {
                (Fit::As(b'='), _) => b'd',
                (Fit::As(_), 2 | 3) => b'0',
                (Fit::As(_), _) => b'1',
                (Fit::Never, 2 | 3) => b'f',
                (Fit::Never, _) => b'0',
            },
        }
    }

    fn hash(&mut self, byte: u8) -> Fit {
        let expected = PREFIX.get(self.at);
        self.at += 1;
        match expected {
            Some(&expected) if byte == expected => Fit::As(byte),
            None if matches!(byte, b'0'..=b'9' | b'a'..=b'f') => Fit::As(b'0'),
            _ => {
                self.bad = true;
                Fit::Never
            }
        }
    }

    fn hash_digit(&mut self, code: u32, digits: u8) -> u8 {
        if let Some(&expected) = PREFIX.get(self.at) {
            let so_far = u32::from(expected) >> (4 * (4 - u32::from(digits.min(4))));
            if code != so_far {
                // No character of the prefix has a last digit 0.
                self.bad = true;
                return b'0';
            }
            if digits == 4 {
                self.at += 1;
            }
            return hexadecimal(so_far & 0xf);
        }
        match (digits, code) {
            (1 | 2, 0) => b'0',
            (1 | 2, _) => b'1',
            (3, 3) => b'3',
            (3, 6) => b'6',
            (3, _) => b'0',
            _ => match (self.hash(low_byte(code)), code >> 4) {
                (Fit::As(_), 6) => b'1',
                (Fit::Never, 3) => b'a',
                _ => b'0',
            },
        }
    }
}

/// What becomes of a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    As(u8),
    /// It makes the string none of its kind.
    Never,
}

/// A code of more than seven bits is no character of base64, nor of a hash.
fn low_byte(code: u32) -> u8 {
    u8::try_from(code).unwrap_or(0xff)
}

/// Six bits as a character of base64 spells them.
const fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

fn hexadecimal(digit: u32) -> u8 {
    char::from_digit(digit, 16).map_or(b'0', |digit| digit as u8)
}

const PREFIX: &[u8] = b"sha256:";

// ---- text for people

/// Masks a character of a text that is written again: those stay that are left out of file names or end a part of a
/// path, and those that JSON must escape.
pub(super) const fn prose_ascii(byte: u8) -> u8 {
    match byte {
        b'.' | b'/' | b'\\' | b' ' | b'"' | 0..0x20 | 0x7f => byte,
        _ => b'x',
    }
}

/// The same for a byte of any other character: it takes as many bytes, and is left out of file names if the original
/// is. `lead` are the bytes before it.
const fn prose_byte(lead: u32, byte: u8, generic: u8) -> u8 {
    match (lead, byte) {
        (0, 0xc2 | 0xe2 | 0xef) => byte,
        (0xc2, 0x80..=0x9f) => 0x80,
        (0xc2, 0xa0..=0xbf) => 0xa0,
        (0xe2, 0x80 | 0x81) | (0xef, 0xbb) | (0xef_bb, 0xbf) => byte,
        (0xe2, 0x82..=0xbf) => 0x82,
        (0xef, 0x80..=0xbf) => 0xbc,
        (0xe2_80, 0x8b..=0x8f) => 0x8b,
        (0xe2_80, 0xa8..=0xae) => 0xa8,
        (0xe2_81, 0xa0..=0xa9) => 0xa0,
        _ => generic,
    }
}

/// The same for a digit of `\u`, the last of `digits`, which are `code`.
fn prose_digit(code: u32, digits: u8) -> u8 {
    let (before, digit) = (code >> 4, code & 0xf);
    let masked = match (digits, before) {
        (1, _) => match digit {
            0 | 1 | 2 | 0xd | 0xf => digit,
            _ => 3,
        },
        (2, 0x0) => [0, 1, 8][usize::from(digit > 0) + usize::from(digit > 7)],
        (2, 0x2) => u32::from(digit > 0),
        // Halves of pairs stay halves.
        (2, 0xd) => [0, 8, 0xc][usize::from(digit > 7) + usize::from(digit > 0xb)],
        (2, 0xf) if digit == 0xe => digit,
        (3, 0x00) => match digit {
            0 | 1 | 2 | 3 | 5 | 7 => digit,
            4 | 6 => 6,
            8 | 9 => 8,
            _ => 0xa,
        },
        (3, 0x20) => match digit {
            0 | 2 | 6 => digit,
            _ => 1,
        },
        (3, 0xfe) if digit == 0xf => digit,
        (4, _) => prose_last_digit(before, digit),
        _ => 0,
    };
    hexadecimal(masked)
}

const fn prose_last_digit(before: u32, digit: u32) -> u32 {
    match (before, digit) {
        (0x000 | 0x001, _)
        | (0x002, 0x0 | 0x2 | 0xe | 0xf)
        | (0x005, 0xc)
        | (0x007 | 0xfef, 0xf) => digit,
        (0x002 | 0x006, _) => 1,
        (0x005 | 0x007, _) | (0x202, 0x8..=0xe) => 8,
        (0x200, 0xb..=0xf) => 0xb,
        (0x206, 0xa..=0xf) => 0xa,
        _ => 0,
    }
}
