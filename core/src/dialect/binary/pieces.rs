//! The pieces that payloads are made of, read and written one by one.
//!
//! Reading is total and strict. A length is believed as far as there are bytes.

use core::num::NonZeroU32;
use std::borrow::Cow;

use super::registry;
use crate::dialect::Refusal;
use crate::dialect::json::{is_deeper_than, is_json};
use crate::id::ClientId;
use crate::message::{Data, FileHash, Gap, Payload, SessionSecret, TransferId};

/// What of a payload has not been read.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn of(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }

    /// A payload must have been read to its end.
    pub(super) const fn end(&self) -> Result<(), Refusal> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(LONG)
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        let (piece, rest) = self.rest.split_first_chunk().ok_or(SHORT)?;
        self.rest = rest;
        Ok(*piece)
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Refusal> {
        let (piece, rest) = self.rest.split_at_checked(length).ok_or(SHORT)?;
        self.rest = rest;
        Ok(piece)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Refusal> {
        self.take().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Refusal> {
        self.take().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, Refusal> {
        self.take().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Refusal> {
        self.take().map(u64::from_be_bytes)
    }

    pub(super) fn number(&mut self) -> Result<Option<NonZeroU32>, Refusal> {
        self.u32().map(NonZeroU32::new)
    }

    /// Flags, of which only those of `defined` may be set.
    pub(super) fn flags(&mut self, defined: u8) -> Result<Flags, Refusal> {
        match self.u8()? {
            bits if bits & !defined == 0 => Ok(Flags(bits)),
            _ => Err(Refusal::bad_message("flags that mean nothing must be 0")),
        }
    }

    pub(super) fn secret(&mut self) -> Result<SessionSecret, Refusal> {
        self.take().map(SessionSecret)
    }

    pub(super) fn client(&mut self) -> Result<ClientId, Refusal> {
        self.take().map(|bytes| ClientId::from_bytes(&bytes))
    }

    pub(super) fn transfer(&mut self) -> Result<TransferId, Refusal> {
        self.u64().map(TransferId::from_bits)
    }

    pub(super) fn hash(&mut self) -> Result<FileHash, Refusal> {
        self.take()
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Refusal> {
        let length = self.u16()?;
        self.bytes(usize::from(length)).and_then(utf8)
    }

    /// A text that must not be empty.
    pub(super) fn name(&mut self) -> Result<Cow<'a, str>, Refusal> {
        match self.text()? {
            "" => Err(Refusal::bad_message("a name must not be empty")),
            text => Ok(text.into()),
        }
    }

    /// Ranges of offsets, as many as a count in front of them says: one at least.
    pub(super) fn gaps(&mut self) -> Result<Vec<Gap>, Refusal> {
        let count = self.u16()?;
        if count == 0 {
            return Err(Refusal::bad_message(
                "where nothing is left out there is no list",
            ));
        }
        let gap = |it: &mut Self| {
            Ok(Gap {
                from: it.u64()?,
                to: it.u64()?,
            })
        };
        (0..count).map(|_| gap(self)).collect()
    }

    pub(super) fn json(&mut self) -> Result<&'a str, Refusal> {
        let length = usize::try_from(self.u32()?).map_err(|_| SHORT)?;
        json(self.bytes(length)?, u32::MAX)
    }

    /// Clients, as many as `count`. Allocates for those that are there.
    pub(super) fn clients(&mut self, count: u16) -> Result<Vec<ClientId>, Refusal> {
        let bytes = self.bytes(usize::from(count) * ClientId::BYTES)?;
        let (ids, _) = bytes.as_chunks();
        Ok(ids.iter().map(ClientId::from_bytes).collect())
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    pub(super) fn rest_text(&mut self) -> Result<&'a str, Refusal> {
        utf8(self.rest())
    }

    /// One JSON value, nested no deeper than `max_depth`.
    pub(super) fn rest_json(&mut self, max_depth: u32) -> Result<&'a str, Refusal> {
        json(self.rest(), max_depth)
    }

    /// One JSON object.
    pub(super) fn rest_object(&mut self, max_depth: u32) -> Result<&'a str, Refusal> {
        let json = self.rest_json(max_depth)?;
        if json.trim_ascii_start().starts_with('{') {
            Ok(json)
        } else {
            Err(Refusal::bad_message("the JSON must be an object"))
        }
    }

    pub(super) fn kind(&mut self) -> Result<DataKind, Refusal> {
        match self.u8()? {
            0 => Ok(DataKind::Bytes),
            1 => Ok(DataKind::Json),
            _ => Err(Refusal::bad_message(
                "the kind of data must be 0 for bytes or 1 for JSON",
            )),
        }
    }

    pub(super) fn data(&mut self, kind: DataKind, max_depth: u32) -> Result<Payload<'a>, Refusal> {
        match kind {
            DataKind::Bytes => Ok(Payload::Bytes(self.rest())),
            DataKind::Json => self.rest_json(max_depth).map(Payload::Json),
        }
    }
}

/// What data is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DataKind {
    Bytes = 0,
    Json = 1,
}

impl DataKind {
    pub(super) const fn of(data: Payload<'_>) -> Self {
        match data {
            Payload::Bytes(_) => Self::Bytes,
            Payload::Json(_) => Self::Json,
        }
    }
}

impl<'a> From<Payload<'a>> for Data<'a> {
    fn from(payload: Payload<'a>) -> Self {
        match payload {
            Payload::Json(json) => Self::Json(json),
            Payload::Bytes(bytes) => Self::Bytes(bytes.into()),
        }
    }
}

/// Flags that were read, all of them defined.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flags(u8);

impl Flags {
    pub(super) const fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    /// Reads a piece that is only there if its bit is set.
    pub(super) fn if_set<T>(
        self,
        bit: u8,
        read: impl FnOnce() -> Result<T, Refusal>,
    ) -> Result<Option<T>, Refusal> {
        if self.has(bit) {
            read().map(Some)
        } else {
            Ok(None)
        }
    }
}

/// `bit` if `set`.
pub(super) const fn flag(bit: u8, set: bool) -> u8 {
    if set { bit } else { 0 }
}

fn utf8(bytes: &[u8]) -> Result<&str, Refusal> {
    core::str::from_utf8(bytes).map_err(|_| Refusal::bad_message("text must be UTF-8"))
}

fn json(bytes: &[u8], max_depth: u32) -> Result<&str, Refusal> {
    let text = utf8(bytes)?;
    if !is_json(text) {
        Err(Refusal::bad_message("what must be one JSON value is none"))
    } else if is_deeper_than(text, max_depth) {
        Err(Refusal::bad_message("the message is nested too deeply"))
    } else {
        Ok(text)
    }
}

const SHORT: Refusal = Refusal::bad_message("the payload is shorter than its type asks for");
const LONG: Refusal = Refusal::bad_message("the payload is longer than its type asks for");

// ---- written

pub(super) fn put_u16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(super) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

pub(super) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Ranges of offsets with their count: as many as a `u16` counts, which is far more than
/// [a server names](crate::message::MAX_LEFT_OUT).
pub(super) fn put_gaps(out: &mut Vec<u8>, gaps: &[Gap]) {
    let count = u16::try_from(gaps.len()).unwrap_or(u16::MAX);
    put_u16(out, count);
    for gap in gaps.iter().take(usize::from(count)) {
        put_u64(out, gap.from);
        put_u64(out, gap.to);
    }
}

pub(super) fn put_number(out: &mut Vec<u8>, number: Option<NonZeroU32>) {
    put_u32(out, number.map_or(0, NonZeroU32::get));
}

pub(super) fn put_client(out: &mut Vec<u8>, client: ClientId) {
    out.extend_from_slice(&client.to_bytes());
}

pub(super) fn put_transfer(out: &mut Vec<u8>, transfer: TransferId) {
    put_u64(out, transfer.to_bits());
}

/// What is longer than a text can be is cut between two characters.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    let mut end = text.len().min(MAX_TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = text.get(..end).unwrap_or_default();
    put_u16(out, u16::try_from(end).unwrap_or(u16::MAX));
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn put_str(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn put_data(out: &mut Vec<u8>, data: Payload<'_>) {
    match data {
        Payload::Json(json) => put_str(out, json),
        Payload::Bytes(bytes) => out.extend_from_slice(bytes),
    }
}

/// The longest text.
pub(super) const MAX_TEXT_BYTES: usize = u16::MAX as usize;

/// The flags of each type that has any, by their names.
pub(crate) mod bits {
    pub(crate) const WELCOME_RESUMED: u8 = 1;
    pub(crate) const WELCOME_RATE: u8 = 2;
    pub(crate) const HELLO_BATCH: u8 = 1;
    pub(crate) const HELLO_USER: u8 = 2;
    pub(crate) const MEMBERS_METADATA: u8 = 1;
    pub(crate) const MEMBERS_AFTER: u8 = 2;
    pub(crate) const MEMBERS_LIMIT: u8 = 4;
    pub(crate) const PAGE_MORE: u8 = 1;
    pub(crate) const PAGE_METADATA: u8 = 2;
    pub(crate) const HISTORY_EPOCH: u8 = 1;
    pub(crate) const HISTORY_AFTER: u8 = 2;
    pub(crate) const HISTORY_BEFORE: u8 = 4;
    pub(crate) const HISTORY_LIMIT: u8 = 8;
    pub(crate) const JOIN_EPOCH: u8 = 1;
    pub(crate) const RESUME_FORMER: u8 = 1;
    pub(crate) const RESUME_AFTER: u8 = 2;
    pub(crate) const SESSION_RESUMED: u8 = 1;
    pub(crate) const SESSION_GAP: u8 = 2;
    pub(crate) const SESSION_LEFT_OUT: u8 = 4;
    pub(crate) const ACK_OFFSET: u8 = 1;
    pub(crate) const ACK_DUPLICATE: u8 = 2;
    pub(crate) const TERMS_MESSAGE_ID: u8 = 1;
    pub(crate) const TERMS_TTL: u8 = 2;
    pub(crate) const TERMS_KEY: u8 = 4;
    pub(crate) const RESUMED_POSITION: u8 = 1;
    pub(crate) const RESUMED_COMPLETE: u8 = 2;
    pub(crate) const HISTORY_MORE: u8 = 1;
    pub(crate) const HISTORY_RESET: u8 = 2;
    pub(crate) const HISTORY_GAP: u8 = 4;
    pub(crate) const HISTORY_LEFT_OUT: u8 = 8;
    pub(crate) const START_NAME: u8 = 1;
    pub(crate) const START_HASH: u8 = 2;
    pub(crate) const START_SECRET: u8 = 4;
    pub(crate) const END_SIZE: u8 = 1;
    pub(crate) const END_HASH: u8 = 2;
    pub(crate) const OFFERED_ROOM: u8 = 1;
    pub(crate) const OFFERED_HASH: u8 = 2;
}

/// Who a file is for.
pub(crate) mod destination {
    pub(crate) const ROOM: u8 = 0;
    pub(crate) const CLIENT: u8 = 1;
    pub(crate) const SERVER: u8 = 2;
}

/// Whether a client numbers its requests of this type.
pub(super) const fn has_number(kind: u8) -> bool {
    !matches!(kind, registry::FILE_CHUNK | registry::FILE_CREDIT)
}
