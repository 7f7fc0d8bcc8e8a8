//! A client's text to a request.
//!
//! Names of rooms and clients are only taken out of the text here; whether they exist is decided elsewhere.

mod files;
mod shape;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use data_encoding::BASE64 as BASE64_CODEC;

use super::object::{
    Elements, Malformed, for_each_field, is_deeper_than, is_number, is_object, is_scalar,
    is_string, string, unquoted,
};
use super::{JsonLimits, NOT_JSON};
use crate::dialect::{Refusal, Rejected};
use crate::error::ErrorCode;
use crate::id::ClientId;
use crate::message::{
    Asked, ClientClock, ClientMessage, Data, Epoch, Former, Messages, Request, SessionSecret,
    Since, Terms,
};
pub(super) use files::SHA_256;
pub(crate) use shape::Shape;

/// The longest `timestamp` of a `ping`, as it stands in the message: it is echoed.
pub const MAX_TIMESTAMP_BYTES: usize = 64;

/// Reads one message. `is_application_type` tells which types an embedding program registered; it is asked
/// for types that are none of the protocol's own.
///
/// The fields of a type are its own: others are skipped. An optional field that is `null` is absent, except
/// where any value may stand. Linear in `text`; allocates only for strings with escapes and to skip `data`
/// nested two levels or more.
///
/// # Errors
/// - [`ErrorCode::BadJson`]: not JSON; the message is [`NOT_JSON`].
/// - [`ErrorCode::BadMessage`]: no object, over a limit, or a field that is missing or of the wrong type;
///   the message names it.
/// - [`ErrorCode::UnknownType`]: no such type.
pub fn decode<'a>(
    text: &'a str,
    limits: &JsonLimits,
    is_application_type: &impl Fn(&str) -> bool,
) -> Result<Request<'a>, Rejected<'a>> {
    let fields = Fields::read(text).map_err(|refusal| Rejected::new(Asked::Nothing, refusal))?;
    fields.request(text, limits, is_application_type, || {
        fields.is_too_deep(text, limits)
    })
}

/// [`decode`] of a text whose shape is known: what is linear in `text` there has been done already, but for what the
/// message's own type asks of its fields.
pub(crate) fn decode_shaped<'a>(
    text: &'a str,
    shape: &Shape,
    limits: &JsonLimits,
    is_application_type: &impl Fn(&str) -> bool,
) -> Result<Request<'a>, Rejected<'a>> {
    let fields = shape.fields(text);
    let fields = fields.map_err(|refusal| Rejected::new(Asked::Nothing, refusal))?;
    fields.request(text, limits, is_application_type, || shape.is_too_deep())
}

/// Every top-level field that a message can have, raw.
#[derive(Default)]
struct Fields<'a> {
    count: usize,
    kind: Option<&'a str>,
    id: Option<&'a str>,
    room: Option<&'a str>,
    data: Option<&'a str>,
    encoding: Option<&'a str>,
    to: Option<&'a str>,
    timestamp: Option<&'a str>,
    metadata: Option<&'a str>,
    user: Option<&'a str>,
    after: Option<&'a str>,
    before: Option<&'a str>,
    epoch: Option<&'a str>,
    limit: Option<&'a str>,
    batch: Option<&'a str>,
    messages: Option<&'a str>,
    client: Option<&'a str>,
    secret: Option<&'a str>,
    message_id: Option<&'a str>,
    ttl: Option<&'a str>,
    key: Option<&'a str>,
    file: files::Fields<'a>,
}

impl<'a> Fields<'a> {
    fn read(text: &'a str) -> Result<Self, Refusal> {
        let mut fields = Self::default();
        for_each_field(text, |key, value| fields.set(key, value)).map_err(|malformed| {
            match malformed {
                Malformed::NotJson => Refusal::new(ErrorCode::BadJson, NOT_JSON),
                Malformed::NotAnObject => Refusal::bad_message("a message must be an object"),
            }
        })?;
        Ok(fields)
    }

    /// What they say together; `is_too_deep` is asked once all else is as it should be.
    fn request(
        &self,
        text: &'a str,
        limits: &JsonLimits,
        is_application_type: &impl Fn(&str) -> bool,
        is_too_deep: impl FnOnce() -> bool,
    ) -> Result<Request<'a>, Rejected<'a>> {
        let id = self
            .id(limits)
            .map_err(|refusal| Rejected::new(Asked::Json(None), refusal))?;
        let asked = Asked::Json(id);
        self.check(limits, is_too_deep)
            .and_then(|()| self.message(text, limits, is_application_type))
            .map(|message| Request { asked, message })
            .map_err(|refusal| Rejected {
                body_follows: self.announces_a_body(&refusal),
                ..Rejected::new(asked, refusal)
            })
    }

    fn set(&mut self, key: &str, value: &'a str) {
        self.count = self.count.saturating_add(1);
        if let Some(slot) = unquoted(key).and_then(|key| self.slot(key)) {
            *slot = Some(value);
            return;
        }
        // None of ours as it stands, but it may be spelled with escapes. A key that is no text is not ours.
        if let Some(Cow::Owned(key)) = string(key)
            && let Some(slot) = self.slot(&key)
        {
            *slot = Some(value);
        }
    }

    fn slot(&mut self, key: &str) -> Option<&mut Option<&'a str>> {
        Some(match key {
            "type" => &mut self.kind,
            "id" => &mut self.id,
            "room" => &mut self.room,
            "data" => &mut self.data,
            "encoding" => &mut self.encoding,
            "to" => &mut self.to,
            "timestamp" => &mut self.timestamp,
            "metadata" => &mut self.metadata,
            "user" => &mut self.user,
            "after" => &mut self.after,
            "before" => &mut self.before,
            "epoch" => &mut self.epoch,
            "limit" => &mut self.limit,
            "batch" => &mut self.batch,
            "messages" => &mut self.messages,
            "clientId" => &mut self.client,
            "sessionSecret" => &mut self.secret,
            "messageId" => &mut self.message_id,
            "ttlMs" => &mut self.ttl,
            "key" => &mut self.key,
            _ => return self.file.slot(key),
        })
    }

    /// Every place for a value, always in the same order.
    fn slots(&mut self) -> impl Iterator<Item = &mut Option<&'a str>> {
        // All of them: one that is left out here does not compile.
        let Self {
            count: _,
            file,
            kind,
            id,
            room,
            data,
            encoding,
            to,
            timestamp,
            metadata,
            user,
            after,
            before,
            epoch,
            limit,
            batch,
            messages,
            client,
            secret,
            message_id,
            ttl,
            key,
        } = self;
        let own = [
            kind, id, room, data, encoding, to, timestamp, metadata, user, after, before, epoch,
            limit, batch, messages, client, secret, message_id, ttl, key,
        ];
        own.into_iter().chain(file.slots())
    }

    fn id(&self, limits: &JsonLimits) -> Result<Option<&'a str>, Refusal> {
        match self.id {
            Some(id) if !is_string(id) && !is_number(id) => {
                Err(Refusal::bad_message("`id` must be a string or a number"))
            }
            Some(id) if id.len() > limits.max_id_bytes => {
                Err(Refusal::bad_message("`id` is too long"))
            }
            id => Ok(id),
        }
    }

    fn check(
        &self,
        limits: &JsonLimits,
        is_too_deep: impl FnOnce() -> bool,
    ) -> Result<(), Refusal> {
        if self.count > usize::try_from(limits.max_fields).unwrap_or(usize::MAX) {
            return Err(Refusal::bad_message("the message has too many fields"));
        }
        if is_too_deep() {
            return Err(Refusal::bad_message("the message is nested too deeply"));
        }
        Ok(())
    }

    fn is_too_deep(&self, text: &str, limits: &JsonLimits) -> bool {
        // A batch and its array are two levels, which its messages do not see.
        let wrapped = self.kind == Some(r#""batch""#);
        let max_depth = limits.max_depth.saturating_add(2 * u32::from(wrapped));
        is_deeper_than(text, max_depth)
    }

    fn message(
        &self,
        text: &'a str,
        limits: &JsonLimits,
        is_application_type: &impl Fn(&str) -> bool,
    ) -> Result<ClientMessage<'a>, Refusal> {
        let raw = self
            .kind
            .filter(|raw| is_string(raw))
            .ok_or(Refusal::bad_message("`type` must be a string"))?;
        let kind = string(raw).ok_or(UNKNOWN_TYPE)?;
        Ok(match kind.as_ref() {
            "ping" => ClientMessage::Ping {
                timestamp: self.timestamp()?,
            },
            "join" => ClientMessage::Join {
                room: self.room()?,
                since: self.since()?,
            },
            "leave" => ClientMessage::Leave { room: self.room()? },
            "broadcast" => ClientMessage::Broadcast { data: self.data()? },
            "room_message" => ClientMessage::RoomMessage {
                room: self.room()?,
                data: self.data()?,
                terms: Terms {
                    key: name(self.key, "`key` must be a string that is not empty")?,
                    ..self.terms()?
                },
            },
            "private_message" => ClientMessage::PrivateMessage {
                to: ClientId::parse(&text_field(self.to, "`to` must be a string")?),
                data: self.data()?,
                terms: self.terms()?,
            },
            "ack" => ClientMessage::Ack {
                offset: self.acknowledged()?,
            },
            "set_metadata" => ClientMessage::SetMetadata {
                metadata: self
                    .metadata
                    .filter(|raw| is_object(raw))
                    .ok_or(Refusal::bad_message("`metadata` must be an object"))?,
            },
            "hello" => ClientMessage::Hello {
                user: self.user,
                batch: flag(self.batch, "`batch` must be true or false")?,
            },
            "resume" => ClientMessage::Resume {
                former: self.former()?,
            },
            "members" => self.members()?,
            "history" => self.history()?,
            "typing_start" => ClientMessage::TypingStart { room: self.room()? },
            "typing_stop" => ClientMessage::TypingStop { room: self.room()? },
            "batch" => ClientMessage::Batch {
                messages: Messages::Json(self.messages(limits)?),
            },
            other if is_application_type(other) => ClientMessage::Application {
                kind,
                message: text,
            },
            other => match self.file_request(other)? {
                Some(request) => ClientMessage::File(request),
                None if self.is_file_without_a_type() => return Err(files::NO_TYPE),
                None => return Err(UNKNOWN_TYPE),
            },
        })
    }

    fn room(&self) -> Result<Cow<'a, str>, Refusal> {
        text_field(self.room, "`room` must be a string")
    }

    /// What is said: JSON as it stands, or the bytes that it spells.
    fn data(&self) -> Result<Data<'a>, Refusal> {
        let raw = self.data.ok_or(Refusal::bad_message("`data` is missing"))?;
        match present(self.encoding).map(string) {
            None => Ok(Data::Json(raw)),
            Some(Some(name)) if name == BASE64 => bytes(raw),
            Some(_) => Err(Refusal::bad_message("`encoding` must be \"base64\"")),
        }
    }

    fn messages(&self, limits: &JsonLimits) -> Result<&'a str, Refusal> {
        let array = self
            .messages
            .and_then(|raw| Some((raw, Elements::of(raw)?)));
        let (raw, messages) = array.ok_or(Refusal::bad_message("`messages` must be an array"))?;
        match messages
            .take(limits.max_batch_messages.saturating_add(1))
            .count()
        {
            0 => Err(Refusal::bad_message("`messages` is empty")),
            count if count > limits.max_batch_messages => Err(Refusal::new(
                ErrorCode::TooLarge,
                "`messages` holds too many",
            )),
            _ => Ok(raw),
        }
    }

    fn timestamp(&self) -> Result<Option<ClientClock<'a>>, Refusal> {
        match self.timestamp {
            Some(raw) if !is_scalar(raw) => Err(Refusal::bad_message(
                "`timestamp` must be a number, a string, true, false or null",
            )),
            Some(raw) if raw.len() > MAX_TIMESTAMP_BYTES => {
                Err(Refusal::bad_message("`timestamp` is too long"))
            }
            timestamp => Ok(timestamp.map(ClientClock::Json)),
        }
    }

    fn members(&self) -> Result<ClientMessage<'a>, Refusal> {
        let after = present(self.after)
            .map(|raw| text_field(Some(raw), "`after` must be a string"))
            .transpose()?;
        let limit = self.limit()?;
        let metadata = flag(self.metadata, "`metadata` must be true or false")?.unwrap_or(false);
        Ok(ClientMessage::Members {
            room: self.room()?,
            after,
            limit,
            metadata,
        })
    }
}

impl<'a> Fields<'a> {
    fn limit(&self) -> Result<Option<u32>, Refusal> {
        let limit = whole(self.limit, "`limit` must be a whole number from 0 on")?;
        Ok(limit.map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)))
    }

    fn epoch(&self) -> Result<Option<Epoch>, Refusal> {
        let epoch = present(self.epoch).map(|raw| string(raw).and_then(|it| Epoch::parse(&it)));
        if epoch == Some(None) {
            return Err(Refusal::bad_message(
                "`epoch` must be one that the server has told",
            ));
        }
        Ok(epoch.flatten())
    }

    fn offset_after(&self) -> Result<Option<u64>, Refusal> {
        whole(self.after, "`after` must be a whole number from 0 on")
    }

    /// What any message can ask for besides that it is told.
    fn terms(&self) -> Result<Terms<'a>, Refusal> {
        let ttl = whole(self.ttl, WRONG_TTL)?;
        let ttl_ms = ttl.map(|ttl| u32::try_from(ttl).unwrap_or(u32::MAX));
        if ttl_ms == Some(0) {
            return Err(Refusal::bad_message(WRONG_TTL));
        }
        Ok(Terms {
            message_id: name(self.message_id, WRONG_MESSAGE_ID)?,
            ttl_ms,
            key: None,
        })
    }

    /// Up to where a joiner has the room's messages.
    fn since(&self) -> Result<Option<Since>, Refusal> {
        match (self.epoch()?, self.offset_after()?) {
            (epoch, Some(after)) => Ok(Some(Since { epoch, after })),
            (None, None) => Ok(None),
            (Some(_), None) => Err(Refusal::bad_message("`epoch` goes with `after`")),
        }
    }

    /// The session that a client wants back.
    fn former(&self) -> Result<Option<Former>, Refusal> {
        let (client, secret) = (present(self.client), present(self.secret));
        let after = self.offset_after()?;
        if client.is_none() && secret.is_none() && after.is_none() {
            return Ok(None);
        }
        let client = client.and_then(string).and_then(|it| ClientId::parse(&it));
        let secret = secret
            .and_then(string)
            .and_then(|it| SessionSecret::parse(&it));
        let former = client.zip(secret).map(|(client, secret)| Former {
            client,
            secret,
            after,
        });
        former.map(Some).ok_or(Refusal::bad_message(
            "`clientId` and `sessionSecret` must both be as `session` has told them",
        ))
    }

    fn history(&self) -> Result<ClientMessage<'a>, Refusal> {
        let after = self.offset_after()?;
        let before = whole(self.before, "`before` must be a whole number from 0 on")?;
        if after.is_some() && before.is_some() {
            return Err(Refusal::bad_message(
                "`after` and `before` do not go together",
            ));
        }
        Ok(ClientMessage::History {
            room: self.room()?,
            epoch: self.epoch()?,
            after,
            before,
            limit: self.limit()?,
        })
    }
}

/// A string that is not empty, if it is there.
fn name<'a>(raw: Option<&'a str>, wrong: &'static str) -> Result<Option<Cow<'a, str>>, Refusal> {
    let name = present(raw).map(|raw| text_field(Some(raw), wrong));
    match name.transpose()? {
        Some(name) if name.is_empty() => Err(Refusal::bad_message(wrong)),
        name => Ok(name),
    }
}

const WRONG_MESSAGE_ID: &str = "`messageId` must be a string that is not empty";

/// The sender's own name for a message of an application, which is an object, or text that is no JSON. O(its length) if
/// it may have one.
pub(crate) fn message_id(message: &str) -> Result<Option<Cow<'_, str>>, Refusal> {
    const KEY: &str = "messageId";
    // Spelled with escapes it has a backslash.
    if !message.contains(KEY) && !message.contains('\\') {
        return Ok(None);
    }
    let mut found = None;
    let walked = for_each_field(message, |key, value| {
        if string(key).is_some_and(|key| key == KEY) {
            found = Some(value);
        }
    });
    match walked {
        Ok(()) => name(found, WRONG_MESSAGE_ID),
        Err(_) => Ok(None),
    }
}

/// A whole number from 0 on. More digits than fit are as good as the largest one.
fn whole(raw: Option<&str>, wrong: &'static str) -> Result<Option<u64>, Refusal> {
    match present(raw) {
        None => Ok(None),
        Some(raw) if is_whole(raw) => Ok(Some(raw.parse().unwrap_or(u64::MAX))),
        Some(_) => Err(Refusal::bad_message(wrong)),
    }
}

/// The bytes that a string spells in base64 (RFC 4648, section 4, with padding).
fn bytes<'a>(raw: &str) -> Result<Data<'a>, Refusal> {
    let wrong = Refusal::bad_message("`data` must be base64 with padding, as `encoding` says");
    let text = string(raw).filter(|_| is_string(raw)).ok_or(wrong)?;
    // The decoder takes several texts one after the other.
    if text.trim_end_matches('=').contains('=') {
        return Err(wrong);
    }
    let bytes = BASE64_CODEC.decode(text.as_bytes()).map_err(|_| wrong)?;
    Ok(Data::Bytes(bytes.into()))
}

fn flag(raw: Option<&str>, wrong: &'static str) -> Result<Option<bool>, Refusal> {
    match present(raw) {
        None => Ok(None),
        Some("false") => Ok(Some(false)),
        Some("true") => Ok(Some(true)),
        Some(_) => Err(Refusal::bad_message(wrong)),
    }
}

fn text_field<'a>(raw: Option<&'a str>, wrong: &'static str) -> Result<Cow<'a, str>, Refusal> {
    raw.and_then(string)
        .ok_or_else(|| Refusal::bad_message(wrong))
}

/// Whether a raw value is a whole number from 0 on, without point or exponent.
fn is_whole(raw: &str) -> bool {
    raw.bytes().all(|byte| byte.is_ascii_digit())
}

/// An optional field: `null` is absent.
fn present(raw: Option<&str>) -> Option<&str> {
    raw.filter(|raw| *raw != "null")
}

/// The only other way in which `data` can stand in a message.
pub(super) const BASE64: &str = "base64";

const WRONG_TTL: &str = "`ttlMs` must be a whole number from 1 on";
const UNKNOWN_TYPE: Refusal = Refusal::new(ErrorCode::UnknownType, "unknown message type");
