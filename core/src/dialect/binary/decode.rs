//! A client's frame to a request.

mod files;

#[cfg(test)]
mod tests;

use super::frame::{Frame, FrameError, Frames};
use super::pieces::{Flags, Reader, bits, has_number};
use super::{BinaryLimits, registry};
use crate::dialect::json::{for_each_field, is_string, string};
use crate::dialect::{Refusal, Rejected};
use crate::error::ErrorCode;
use crate::message::{
    Asked, ClientClock, ClientMessage, Epoch, Former, Messages, Request, Since, Terms,
};

/// Reads one frame, `bytes` being all of it. `is_application_type` tells which types an embedding program
/// registered.
///
/// Strict: every byte of the payload is accounted for. JSON is checked to be one value, and text to be UTF-8.
/// Linear in `bytes`; allocates only for the `after` of a page of members, and to check JSON that is nested.
///
/// # Errors
/// - [`ErrorCode::BadMessage`]: no frame (nothing is [`asked`](Rejected::asked) then), or a payload that does not
///   fit its type.
/// - [`ErrorCode::UnknownType`]: no type that a client can send.
/// - [`ErrorCode::TooLarge`]: a batch of too many.
pub fn decode<'a>(
    bytes: &'a [u8],
    limits: &BinaryLimits,
    is_application_type: &impl Fn(&str) -> bool,
) -> Result<Request<'a>, Rejected<'a>> {
    let frame =
        Frame::parse(bytes).map_err(|error| Rejected::new(Asked::Nothing, no_frame(error)))?;
    let entry = registry::entry(frame.kind).filter(|entry| entry.from_client.is_some());
    if entry.is_none() {
        return Err(Rejected::new(Asked::Binary(None), UNKNOWN_TYPE));
    }
    let mut payload = Reader::of(frame.payload);
    let mut asked = Asked::Binary(None);
    if has_number(frame.kind) {
        let number = payload.number();
        asked = Asked::Binary(number.map_err(|refusal| Rejected::new(asked, refusal))?);
    }
    message(&frame, &mut payload, limits, is_application_type)
        .and_then(|message| payload.end().map(|()| message))
        .map(|message| Request { asked, message })
        .map_err(|refusal| Rejected::new(asked, refusal))
}

fn message<'a>(
    frame: &Frame<'a>,
    payload: &mut Reader<'a>,
    limits: &BinaryLimits,
    is_application_type: &impl Fn(&str) -> bool,
) -> Result<ClientMessage<'a>, Refusal> {
    // A value inside a JSON message of the same meaning would be one level down.
    let max_depth = limits.max_json_depth.saturating_sub(1);
    Ok(match frame.kind {
        registry::HELLO => {
            let flags = payload.flags(bits::HELLO_BATCH | bits::HELLO_USER)?;
            ClientMessage::Hello {
                user: flags.if_set(bits::HELLO_USER, || payload.rest_json(max_depth))?,
                batch: Some(flags.has(bits::HELLO_BATCH)),
            }
        }
        registry::PING => ClientMessage::Ping {
            timestamp: Some(ClientClock::Millis(frame.timestamp)),
        },
        registry::BATCH => ClientMessage::Batch {
            messages: Messages::Binary(frames(payload.rest(), limits.max_batch_messages)?),
        },
        registry::SET_METADATA => ClientMessage::SetMetadata {
            metadata: payload.rest_object(max_depth)?,
        },
        registry::JOIN => ClientMessage::Join {
            room: payload.text()?.into(),
            since: None,
        },
        registry::JOIN_AGAIN => {
            let room = payload.text()?.into();
            let flags = payload.flags(bits::JOIN_EPOCH)?;
            let after = payload.u64()?;
            let epoch = flags.if_set(bits::JOIN_EPOCH, || payload.u64())?;
            let epoch = epoch.map(Epoch);
            ClientMessage::Join {
                room,
                since: Some(Since { epoch, after }),
            }
        }
        registry::LEAVE => ClientMessage::Leave {
            room: payload.text()?.into(),
        },
        registry::RESUME => resume(payload)?,
        registry::MEMBERS => members(payload)?,
        registry::HISTORY => history(payload)?,
        registry::TYPING_START => ClientMessage::TypingStart {
            room: payload.text()?.into(),
        },
        registry::TYPING_STOP => ClientMessage::TypingStop {
            room: payload.text()?.into(),
        },
        registry::ROOM_MESSAGE => {
            let kind = payload.kind()?;
            ClientMessage::RoomMessage {
                room: payload.text()?.into(),
                data: payload.data(kind, max_depth)?.into(),
                terms: Terms::default(),
            }
        }
        registry::PUBLISH => {
            let flags = payload.flags(FOR_ALL | bits::TERMS_KEY)?;
            let kind = payload.kind()?;
            ClientMessage::RoomMessage {
                room: payload.text()?.into(),
                terms: terms(payload, flags)?,
                data: payload.data(kind, max_depth)?.into(),
            }
        }
        registry::BROADCAST => {
            let kind = payload.kind()?;
            ClientMessage::Broadcast {
                data: payload.data(kind, max_depth)?.into(),
            }
        }
        registry::PRIVATE_MESSAGE => {
            let kind = payload.kind()?;
            ClientMessage::PrivateMessage {
                to: Some(payload.client()?),
                data: payload.data(kind, max_depth)?.into(),
                terms: Terms::default(),
            }
        }
        registry::PUBLISH_PRIVATELY => {
            let flags = payload.flags(FOR_ALL)?;
            let kind = payload.kind()?;
            ClientMessage::PrivateMessage {
                to: Some(payload.client()?),
                terms: terms(payload, flags)?,
                data: payload.data(kind, max_depth)?.into(),
            }
        }
        registry::ACK_OFFSET => ClientMessage::Ack {
            offset: payload.u64()?,
        },
        registry::APPLICATION => application(payload, limits, is_application_type)?,
        kind => {
            return files::request(kind, payload)?
                .map(ClientMessage::File)
                .ok_or(UNKNOWN_TYPE);
        }
    })
}

/// Terms that a message to anybody can have.
const FOR_ALL: u8 = bits::TERMS_MESSAGE_ID | bits::TERMS_TTL;

fn terms<'a>(payload: &mut Reader<'a>, flags: Flags) -> Result<Terms<'a>, Refusal> {
    let terms = Terms {
        message_id: flags.if_set(bits::TERMS_MESSAGE_ID, || payload.name())?,
        ttl_ms: flags.if_set(bits::TERMS_TTL, || payload.u32())?,
        key: flags.if_set(bits::TERMS_KEY, || payload.name())?,
    };
    if terms.is_empty() {
        return Err(Refusal::bad_message("a message under terms must have one"));
    }
    if terms.ttl_ms == Some(0) {
        return Err(Refusal::bad_message("`ttlMs` must not be 0"));
    }
    Ok(terms)
}

fn resume<'a>(payload: &mut Reader<'a>) -> Result<ClientMessage<'a>, Refusal> {
    let flags = payload.flags(bits::RESUME_FORMER | bits::RESUME_AFTER)?;
    let client = flags.if_set(bits::RESUME_FORMER, || payload.client())?;
    let secret = flags.if_set(bits::RESUME_FORMER, || payload.secret())?;
    let after = flags.if_set(bits::RESUME_AFTER, || payload.u64())?;
    let former = client.zip(secret).map(|(client, secret)| Former {
        client,
        secret,
        after,
    });
    if former.is_none() && after.is_some() {
        return Err(Refusal::bad_message("`after` goes with a session"));
    }
    Ok(ClientMessage::Resume { former })
}

fn members<'a>(payload: &mut Reader<'a>) -> Result<ClientMessage<'a>, Refusal> {
    let room = payload.text()?.into();
    let flags =
        payload.flags(bits::MEMBERS_METADATA | bits::MEMBERS_AFTER | bits::MEMBERS_LIMIT)?;
    let after = flags.if_set(bits::MEMBERS_AFTER, || payload.client())?;
    Ok(ClientMessage::Members {
        room,
        after: after.map(|client| client.as_str().to_owned().into()),
        limit: flags.if_set(bits::MEMBERS_LIMIT, || payload.u32())?,
        metadata: flags.has(bits::MEMBERS_METADATA),
    })
}

fn history<'a>(payload: &mut Reader<'a>) -> Result<ClientMessage<'a>, Refusal> {
    let room = payload.text()?.into();
    let ends = bits::HISTORY_AFTER | bits::HISTORY_BEFORE;
    let flags = payload.flags(bits::HISTORY_EPOCH | ends | bits::HISTORY_LIMIT)?;
    if flags.has(bits::HISTORY_AFTER) && flags.has(bits::HISTORY_BEFORE) {
        return Err(Refusal::bad_message(
            "`after` and `before` do not go together",
        ));
    }
    let epoch = flags.if_set(bits::HISTORY_EPOCH, || payload.u64())?;
    Ok(ClientMessage::History {
        room,
        epoch: epoch.map(Epoch),
        after: flags.if_set(bits::HISTORY_AFTER, || payload.u64())?,
        before: flags.if_set(bits::HISTORY_BEFORE, || payload.u64())?,
        limit: flags.if_set(bits::HISTORY_LIMIT, || payload.u32())?,
    })
}

/// Checks that there is nothing but whole frames, of which what is inside is looked at later.
fn frames(bytes: &[u8], max: usize) -> Result<&[u8], Refusal> {
    let mut frames = Frames::of(bytes);
    let count = frames.by_ref().take(max.saturating_add(1)).count();
    if count > max {
        Err(Refusal::new(
            ErrorCode::TooLarge,
            "the batch holds too many frames",
        ))
    } else if frames.left() > 0 {
        Err(Refusal::bad_message("a batch must hold whole frames"))
    } else if count == 0 {
        Err(Refusal::bad_message("the batch is empty"))
    } else {
        Ok(bytes)
    }
}

fn application<'a>(
    payload: &mut Reader<'a>,
    limits: &BinaryLimits,
    is_application_type: &impl Fn(&str) -> bool,
) -> Result<ClientMessage<'a>, Refusal> {
    let message = payload.rest_object(limits.max_json_depth)?;
    let (mut kind, mut fields) = (None, 0_u32);
    let walked = for_each_field(message, |key, value| {
        fields = fields.saturating_add(1);
        if string(key).is_some_and(|key| key == "type") {
            kind = Some(value);
        }
    });
    if walked.is_err() || fields > limits.max_json_fields {
        return Err(Refusal::bad_message("the message has too many fields"));
    }
    let kind = kind
        .filter(|raw| is_string(raw))
        .ok_or(Refusal::bad_message("`type` must be a string"))?;
    match string(kind) {
        Some(kind) if is_application_type(&kind) => {
            Ok(ClientMessage::Application { kind, message })
        }
        _ => Err(UNKNOWN_TYPE),
    }
}

/// What somebody is told whose message is none of this dialect: most likely it is JSON.
const fn no_frame(error: FrameError) -> Refusal {
    Refusal::bad_message(match error {
        FrameError::NoHeader => {
            "a binary message must be a frame with a header of 13 bytes; send JSON as text"
        }
        FrameError::Short => {
            "a binary message must be a frame, and this is shorter than its header says; send JSON as text"
        }
        FrameError::Long => {
            "a binary message must be one frame, and this is longer than its header says; send several as a batch"
        }
    })
}

const UNKNOWN_TYPE: Refusal = Refusal::new(ErrorCode::UnknownType, "unknown message type");
