//! Mail on its way to another server.

use std::sync::Arc;

use super::{Known, Letter, Mail};
use crate::cluster::message::Carried;
use crate::config::{MessageIds, Sessions};
use crate::id::ClientId;
use crate::replay::{Said, mask_outcome, mask_said};
use crate::wire::{Fault, Source, put_bytes, put_number, put_outcome};

/// Kinds of data.
const JSON: u8 = 0;
const BYTES: u8 = 1;

impl Mail {
    /// Appends it, but for requests that are not answered: nobody there will answer them.
    pub(in crate::server) fn write(&self, out: &mut Vec<u8>) {
        for offset in [self.last, self.acknowledged, self.trimmed] {
            put_number(out, offset);
        }
        put_number(out, self.letters.len() as u64);
        for letter in &self.letters {
            out.extend_from_slice(&letter.from.to_bytes());
            put_number(out, letter.timestamp);
            put_number(out, letter.until_ms.unwrap_or_default());
            match &letter.data {
                Carried::Json(text) => {
                    out.push(JSON);
                    put_bytes(out, text.as_bytes());
                }
                Carried::Bytes(bytes) => {
                    out.push(BYTES);
                    put_bytes(out, bytes);
                }
            }
        }
        put_number(out, self.known.len() as u64);
        for known in &self.known {
            out.extend_from_slice(&known.from.to_bytes());
            put_bytes(out, known.id.as_bytes());
            put_number(out, known.timestamp);
            put_number(out, known.offset);
        }
        self.answers.write(out);
    }

    /// The inverse, as far as the limits let it. O(length).
    pub(in crate::server) fn read(
        source: &mut Source<'_>,
        limits: (&Sessions, &MessageIds),
    ) -> Result<Self, Fault> {
        const OUT: Fault = Fault::Bad("an offset of mail is out of bounds");
        let (last, acknowledged, trimmed) = (source.number()?, source.number()?, source.number()?);
        let letters = source.number()?;
        // The letters are the last ones, without a gap, and nobody has told that he has one of them.
        let before = last.checked_sub(letters).ok_or(OUT)?;
        if acknowledged.max(trimmed) > before || last > MAX_OFFSET {
            return Err(OUT);
        }
        let mut mail = Self {
            last: before,
            acknowledged,
            trimmed,
            ..Self::default()
        };
        for _ in 0..letters {
            let letter = Letter {
                offset: 0,
                from: ClientId::from_bytes(&source.array()?),
                timestamp: source.number()?,
                until_ms: Some(source.number()?).filter(|&until_ms| until_ms > 0),
                data: match source.byte()? {
                    JSON => Carried::Json(source.text()?.into()),
                    BYTES => Carried::Bytes(source.bytes()?.into()),
                    _ => return Err(Fault::Bad("data is of no known kind")),
                },
            };
            mail.push(letter, limits.0);
        }
        for _ in 0..source.number()? {
            mail.know(Known {
                from: ClientId::from_bytes(&source.array()?),
                id: source.text()?.into(),
                timestamp: source.number()?,
                offset: source.number()?,
            });
            while mail.known.len() > limits.1.max_per_client as usize {
                let oldest = mail.known.pop_front();
                mail.forget(oldest.map_or(0, |it| it.bytes()));
            }
        }
        mail.answers.read(source, limits)?;
        Ok(mail)
    }

    /// Takes out what was said.
    pub(in crate::server) fn mask(&mut self) {
        for letter in &mut self.letters {
            letter.data = match &letter.data {
                Carried::Json(text) => Carried::Json(mask_said(text, Said::Data).into()),
                Carried::Bytes(bytes) => Carried::Bytes(vec![0; bytes.len()].into()),
            };
        }
        self.answers.mask();
    }

    /// Nothing of it is kept, for want of room. How many messages those were, and ids.
    pub(in crate::server) fn drop_all(&mut self) -> (u64, u64) {
        let letters = self.letters.len() as u64;
        let ids = self.known.len() + self.answers.len();
        *self = Self {
            last: self.last,
            acknowledged: self.acknowledged,
            trimmed: if letters > 0 { self.last } else { self.trimmed },
            ..Self::default()
        };
        (letters, ids as u64)
    }
}

/// Offsets count up from there for longer than there are messages, and are numbers in every dialect.
const MAX_OFFSET: u64 = 1 << 52;

impl super::Answers {
    fn write(&self, out: &mut Vec<u8>) {
        let answered = || {
            self.requests
                .iter()
                .filter_map(|it| Some((it, it.answer.as_deref()?)))
        };
        put_number(out, answered().count() as u64);
        for (request, answer) in answered() {
            put_bytes(out, request.id.as_bytes());
            put_number(out, request.timestamp);
            put_outcome(out, answer);
        }
    }

    fn read(
        &mut self,
        source: &mut Source<'_>,
        limits: (&Sessions, &MessageIds),
    ) -> Result<(), Fault> {
        for _ in 0..source.number()? {
            let (id, timestamp) = (source.text()?, source.number()?);
            let answer = Some(Arc::new(source.outcome()?));
            self.note(&id, answer, timestamp, limits);
        }
        Ok(())
    }

    fn mask(&mut self) {
        for answer in self.requests.iter_mut().filter_map(|it| it.answer.as_mut()) {
            mask_outcome(Arc::make_mut(answer));
        }
    }
}

#[cfg(test)]
mod tests;
