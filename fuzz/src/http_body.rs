//! Request bodies that are read and discarded.
//!
//! Promises: however the bytes are cut, the same ones belong to the body; chunks are read as a strict parser
//! that sees everything at once would read them; a refusal is for ever.

use roomwire_core::http::{BodyDiscard, Framing, MAX_CHUNK_DIGITS, MAX_SPARE_BYTES, Refusal};

use crate::input::{Choices, Cuts};

/// A few bytes of choices, then a body and what follows it.
pub fn target(data: &[u8]) {
    let mut choices = Choices::new(data);
    let framing = match choices.below(8) {
        0 => Framing::None,
        1 => Framing::Length(choices.number()),
        _ => Framing::Chunked,
    };
    let max_bytes = match choices.below(4) {
        0 => 0,
        1 => 16,
        2 => 64 * 1_024,
        _ => choices.number(),
    };
    let cuts = Cuts::choose(&mut choices);
    let bytes = choices.rest();
    let Ok(fresh) = BodyDiscard::new(framing, max_bytes) else {
        assert!(matches!(framing, Framing::Length(length) if length > max_bytes));
        return;
    };
    let expected = judge(framing, max_bytes, bytes);
    assert_eq!(run(fresh.clone(), bytes, [bytes.len()]), expected);
    assert_eq!(run(fresh.clone(), bytes, cuts.ends(bytes.len())), expected);
    assert_eq!(
        run(fresh, bytes, Cuts::BYTEWISE.ends(bytes.len())),
        expected
    );
}

/// What a body came to.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// It ended after this many bytes.
    Ended(usize),
    /// More is to come.
    Unfinished,
    /// Refused with this status.
    Refused(u16),
}

fn run(mut body: BodyDiscard, bytes: &[u8], ends: impl IntoIterator<Item = usize>) -> Outcome {
    let mut at = 0;
    for end in ends {
        match body.feed(&bytes[at..end]) {
            Ok(taken) if taken == end - at && !body.is_done() => at = end,
            Ok(taken) => {
                assert!(taken <= end - at && body.is_done());
                assert_eq!(body.feed(bytes), Ok(0));
                return Outcome::Ended(at + taken);
            }
            Err(refusal) => return refused(&mut body, refusal),
        }
    }
    if body.is_done() {
        Outcome::Ended(at)
    } else {
        Outcome::Unfinished
    }
}

fn refused(body: &mut BodyDiscard, refusal: Refusal) -> Outcome {
    assert!(!body.is_done() && !refusal.keeps_connection());
    assert_eq!(body.feed(b""), Err(refusal));
    assert_eq!(body.feed(b"0\r\n\r\n"), Err(refusal));
    Outcome::Refused(refusal.status().code())
}

/// The same question, answered by looking at everything at once.
fn judge(framing: Framing, max_bytes: u64, bytes: &[u8]) -> Outcome {
    match framing {
        Framing::None => Outcome::Ended(0),
        Framing::Length(length) => match usize::try_from(length) {
            Ok(length) if length <= bytes.len() => Outcome::Ended(length),
            _ => Outcome::Unfinished,
        },
        Framing::Chunked => {
            let mut judge = Judge {
                bytes,
                at: 0,
                allowed: max_bytes,
                spare: usize::from(MAX_SPARE_BYTES),
            };
            match judge.chunked() {
                Ok(()) => Outcome::Ended(judge.at),
                Err(outcome) => outcome,
            }
        }
    }
}

/// A reader of chunked bodies that goes straight from front to back.
struct Judge<'a> {
    bytes: &'a [u8],
    at: usize,
    allowed: u64,
    spare: usize,
}

impl Judge<'_> {
    fn chunked(&mut self) -> Result<(), Outcome> {
        loop {
            let size = self.size()?;
            if size == 0 {
                return self.trailers();
            }
            self.allowed = self
                .allowed
                .checked_sub(size)
                .ok_or(Outcome::Refused(413))?;
            let left = self.bytes.len() - self.at;
            match usize::try_from(size) {
                Ok(size) if size <= left => self.at += size,
                _ => return Err(Outcome::Unfinished),
            }
            self.exactly(b"\r\n")?;
        }
    }

    fn size(&mut self) -> Result<u64, Outcome> {
        let mut digits = String::new();
        loop {
            match self.next()? {
                b'\r' if !digits.is_empty() => break,
                b';' if !digits.is_empty() => {
                    self.text_until_return(Outcome::Refused(400))?;
                    break;
                }
                digit if digit.is_ascii_hexdigit() => digits.push(char::from(digit)),
                _ => return Err(Outcome::Refused(400)),
            }
            if digits.len() > usize::from(MAX_CHUNK_DIGITS) {
                return Err(Outcome::Refused(400));
            }
        }
        self.exactly(b"\n")?;
        u64::from_str_radix(&digits, 16).map_err(|_| Outcome::Refused(400))
    }

    fn trailers(&mut self) -> Result<(), Outcome> {
        loop {
            let first = self.next()?;
            if first == b'\r' {
                return self.exactly(b"\n");
            }
            self.name(first)?;
            self.text_until_return(Outcome::Refused(431))?;
            self.exactly(b"\n")?;
        }
    }

    fn name(&mut self, first: u8) -> Result<(), Outcome> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let mut byte = first;
        loop {
            if !token(byte) {
                return Err(Outcome::Refused(400));
            }
            self.spend(Outcome::Refused(431))?;
            byte = self.next()?;
            if byte == b':' {
                return Ok(());
            }
        }
    }

    fn text_until_return(&mut self, too_long: Outcome) -> Result<(), Outcome> {
        loop {
            match self.next()? {
                b'\r' => return Ok(()),
                b'\t' | b' '..=b'~' | 0x80.. => match &too_long {
                    Outcome::Refused(code) => self.spend(Outcome::Refused(*code))?,
                    _ => return Err(Outcome::Unfinished),
                },
                _ => return Err(Outcome::Refused(400)),
            }
        }
    }

    fn spend(&mut self, too_long: Outcome) -> Result<(), Outcome> {
        self.spare = self.spare.checked_sub(1).ok_or(too_long)?;
        Ok(())
    }

    fn exactly(&mut self, text: &[u8]) -> Result<(), Outcome> {
        for &expected in text {
            if self.next()? != expected {
                return Err(Outcome::Refused(400));
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Result<u8, Outcome> {
        let byte = *self.bytes.get(self.at).ok_or(Outcome::Unfinished)?;
        self.at += 1;
        Ok(byte)
    }
}
