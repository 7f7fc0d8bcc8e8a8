//! Numbers, lengths, texts and outcomes as what is kept outside a server spells them: recordings, sessions.
//!
//! Reading is total: what is not there yet is [`Fault::Short`], what cannot be is [`Fault::Bad`], and nothing is
//! allocated by a length that was only claimed.

use crate::error::ErrorCode;
use crate::server::Outcome;

pub(crate) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// The way from `old` to `new` on a clock that may go back.
pub(crate) fn put_step(out: &mut Vec<u8>, old: u64, new: u64) {
    let step = new.wrapping_sub(old);
    put_number(out, step << 1 ^ 0_u64.wrapping_sub(step >> 63));
}

pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(crate) fn put_outcome(out: &mut Vec<u8>, outcome: &Outcome) {
    match outcome {
        Outcome::Ack => out.push(0),
        Outcome::Reply(message) => {
            out.push(1);
            put_bytes(out, message.as_bytes());
        }
        Outcome::Error { code, message } => {
            out.push(2);
            put_bytes(out, code.as_str().as_bytes());
            put_bytes(out, message.as_bytes());
        }
    }
}

/// Why something cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It goes on after what is there.
    Short,
    /// It is none of ours.
    Bad(&'static str),
}

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    bytes: &'a [u8],
}

impl<'a> Source<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) const fn left(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(Fault::Short)?;
        self.bytes = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or(Fault::Short)?;
        self.bytes = rest;
        Ok(*taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Fault> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn number(&mut self) -> Result<u64, Fault> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let digits = u64::from(byte & 0x7f);
            if shift == 63 && digits > 1 {
                break;
            }
            number |= digits << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Fault::Bad("a number has more than 64 bits"))
    }

    pub(crate) fn small<T: TryFrom<u64>>(&mut self, what: &'static str) -> Result<T, Fault> {
        T::try_from(self.number()?).map_err(|_| Fault::Bad(what))
    }

    /// The inverse of [`put_step`].
    pub(crate) fn step(&mut self, old: u64) -> Result<u64, Fault> {
        let zigzag = self.number()?;
        Ok(old.wrapping_add(zigzag >> 1 ^ 0_u64.wrapping_sub(zigzag & 1)))
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.small("a length is out of bounds")?;
        self.take(length)
    }

    pub(crate) fn text(&mut self) -> Result<String, Fault> {
        let text = core::str::from_utf8(self.bytes()?);
        text.map(str::to_owned)
            .map_err(|_| Fault::Bad("a text is not UTF-8"))
    }

    pub(crate) fn outcome(&mut self) -> Result<Outcome, Fault> {
        Ok(match self.byte()? {
            0 => Outcome::Ack,
            1 => Outcome::Reply(self.text()?),
            2 => {
                let name = self.text()?;
                let code = ErrorCode::ALL.into_iter().find(|c| c.as_str() == name);
                Outcome::Error {
                    code: code.ok_or(Fault::Bad("an error code is not known"))?,
                    message: self.text()?,
                }
            }
            _ => return Err(Fault::Bad("an answer is of no known kind")),
        })
    }
}
