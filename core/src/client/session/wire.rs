//! Requests in the form of the connection: text or frames.
//!
//! A frame has a number where text has an `id`. Numbers of the session's own have no highest bit: those are left to frames
//! that the program makes itself.

#[cfg(test)]
mod tests;

use core::num::NonZeroU32;
use std::borrow::Cow;

use super::config::BINARY_PROTOCOL;
use crate::dialect::binary::encode_request;
use crate::dialect::json::client::{batch, join, leave, ping, resume, with_id, with_message_id};
use crate::dialect::json::{JsonLimits, decode, is_reserved_type};
use crate::message::{Asked, ClientMessage, Epoch, Former, Messages, Request, Since};

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Binary,
}

impl Form {
    /// That of a subprotocol.
    pub(super) fn of(protocol: Option<&str>) -> Self {
        if protocol == Some(BINARY_PROTOCOL) {
            Self::Binary
        } else {
            Self::Json
        }
    }
}

/// A message as it goes over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    Text(String),
    Frame(Vec<u8>),
}

impl Wire {
    pub(super) const fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Frame(bytes) => bytes.len(),
        }
    }

    /// Whether both can be in one batch.
    pub(super) const fn goes_with(&self, other: &Self) -> bool {
        matches!(self, Self::Text(_)) == matches!(other, Self::Text(_))
    }

    /// One of several, at least one, that go with each other.
    pub(super) fn batch(mut parts: Vec<Self>) -> Option<Self> {
        if parts.len() < 2 {
            return parts.pop();
        }
        let (mut texts, mut frames) = (Vec::new(), Vec::new());
        for part in &parts {
            match part {
                Self::Text(text) => texts.push(&**text),
                Self::Frame(bytes) => frames.extend_from_slice(bytes),
            }
        }
        if frames.is_empty() {
            return Some(Self::Text(batch(texts.into_iter())));
        }
        let messages = Messages::Binary(&frames);
        frame(ClientMessage::Batch { messages }, None, 0).map(Self::Frame)
    }
}

/// What the session says by itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Own<'a> {
    Join {
        room: &'a str,
        since: Option<(Option<Epoch>, u64)>,
    },
    Leave {
        room: &'a str,
    },
    Ping,
    Resume {
        former: Option<&'a Former>,
    },
}

/// What it says, with its id. What has no frame, such as a name that is too long for one, is said in JSON: every server
/// takes both.
pub(super) fn own(form: Form, own: Own<'_>, id: u64, now_ms: u64) -> Wire {
    if form == Form::Binary {
        let message = match own {
            Own::Join { room, since } => ClientMessage::Join {
                room: Cow::Borrowed(room),
                since: since.map(|(epoch, after)| Since { epoch, after }),
            },
            Own::Leave { room } => ClientMessage::Leave {
                room: Cow::Borrowed(room),
            },
            Own::Ping => ClientMessage::Ping { timestamp: None },
            Own::Resume { former } => ClientMessage::Resume {
                former: former.copied(),
            },
        };
        if let Some(bytes) = frame(message, number_of(id), now_ms) {
            return Wire::Frame(bytes);
        }
    }
    let id = id_text(id);
    Wire::Text(match own {
        Own::Join { room, since } => join(room, since, &id),
        Own::Leave { room } => leave(room, &id),
        Own::Ping => ping(&id),
        Own::Resume { former } => resume(former, &id),
    })
}

/// An object of the program's, with an id if its outcome is awaited, and under a name if it [lacks
/// one](crate::dialect::json::client::lacks_message_id). `None` if it is no object. Linear in `text`.
pub(super) fn object(
    form: Form,
    text: &str,
    (id, name): (Option<u64>, Option<&str>),
    now_ms: u64,
) -> Option<Wire> {
    let bytes = (form == Form::Binary).then(|| frame_of(text, (id, name), now_ms));
    if let Some(bytes) = bytes.flatten() {
        return Some(Wire::Frame(bytes));
    }
    let text = match name {
        Some(name) => Cow::Owned(with_message_id(text, name)?),
        None => Cow::Borrowed(text),
    };
    Some(Wire::Text(match id {
        Some(id) => with_id(&text, &id_text(id))?,
        None => text.into_owned(),
    }))
}

/// The frame that says the same. `None` if there is none, or its answer would not be understood: of files only the program
/// knows what they are about.
fn frame_of(text: &str, (id, name): (Option<u64>, Option<&str>), now_ms: u64) -> Option<Vec<u8>> {
    // What is too much for the server, it says itself.
    let limits = JsonLimits {
        max_depth: u32::MAX / 2,
        max_fields: u32::MAX / 2,
        max_id_bytes: usize::MAX / 2,
        max_batch_messages: usize::MAX / 2,
    };
    let mut request = decode(text, &limits, &|kind| !is_reserved_type(kind)).ok()?;
    let has_own_id = id.is_none() && request.asked.has_id();
    if has_own_id || matches!(request.message, ClientMessage::File(_)) {
        return None;
    }
    if let ClientMessage::RoomMessage { terms, .. } | ClientMessage::PrivateMessage { terms, .. } =
        &mut request.message
        && let Some(name) = name
    {
        terms.message_id = Some(Cow::Borrowed(name));
    }
    frame(request.message, id.and_then(number_of), now_ms)
}

fn frame(message: ClientMessage<'_>, number: Option<NonZeroU32>, now_ms: u64) -> Option<Vec<u8>> {
    let asked = Asked::Binary(number);
    let mut out = Vec::new();
    encode_request(&Request { asked, message }, now_ms, &mut out).ok()?;
    Some(out)
}

/// How the session spells its ids.
pub(super) fn id_text(id: u64) -> String {
    format!("rw{id}")
}

/// The id in what a server says that answers a request, raw JSON, if it is one of the session's own.
pub(super) fn own_id(raw: &str) -> Option<u64> {
    let id = raw.strip_prefix("\"rw")?.strip_suffix('"')?.parse().ok()?;
    // Spelled as it spells them.
    (raw.trim_matches('"') == id_text(id)).then_some(id)
}

/// The next id: none has the number 0, which stands for none.
pub(super) const fn after(id: u64) -> u64 {
    let next = id.wrapping_add(1);
    if next & NUMBERS == 0 { next + 1 } else { next }
}

/// The number of a request, in a frame.
fn number_of(id: u64) -> Option<NonZeroU32> {
    NonZeroU32::new(u32::try_from(id & NUMBERS).ok()?)
}

/// The id that was given last, up to `last`, with this number, if it is one of the session's own.
pub(super) fn id_of(number: NonZeroU32, last: u64) -> Option<u64> {
    let number = u64::from(number.get());
    let id = (last & !NUMBERS) | number;
    if number > NUMBERS {
        None
    } else if id <= last {
        Some(id)
    } else {
        id.checked_sub(NUMBERS + 1)
    }
}

/// The largest number that the session gives: as many requests never wait at once.
const NUMBERS: u64 = 0x7FFF_FFFF;
