//! Requests to frames: the inverse of [`decode`](super::super::decode()).

use core::fmt;

use super::super::frame::{begin, end};
use super::super::pieces::{
    DataKind, MAX_TEXT_BYTES, bits, destination, flag, has_number, put_client, put_data,
    put_number, put_str, put_text, put_transfer, put_u32, put_u64,
};
use super::super::registry;
use crate::id::ClientId;
use crate::message::{
    Asked, ClientClock, ClientMessage, Data, Destination, FileRequest, Messages, Named, Request,
    Terms, TransferId,
};

/// Why a request has no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeError {
    /// For people.
    pub message: &'static str,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message)
    }
}

impl core::error::Error for EncodeError {}

/// Appends `request` to `out` as one frame. `now_ms` is the client's wall clock, milliseconds since 1970; a ping
/// that has a clock of its own tells that.
///
/// What the server reads is the same request, but for two things that a frame always says: a `hello` that says
/// nothing of batches says that it takes none, and a `ping` without a clock has `now_ms`. Raw values must be JSON.
///
/// # Errors
/// `out` is as before. A text of more than 65,535 bytes, a number on what has none, and what only JSON can say: an
/// `id`, a client id that is none, a transfer by another name than its number, a clock that is no number.
pub fn encode_request(
    request: &Request<'_>,
    now_ms: u64,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let number = match request.asked {
        Asked::Binary(number) => number,
        Asked::Nothing | Asked::Json(None) => None,
        Asked::Json(Some(_)) => return only_json("an `id` is no request number"),
    };
    let kind = kind(&request.message)?;
    let timestamp = match request.message {
        ClientMessage::Ping {
            timestamp: Some(clock),
        } => match clock {
            ClientClock::Millis(clock) => clock,
            ClientClock::Json(_) => return only_json("the clock is no number of milliseconds"),
        },
        _ => now_ms,
    };
    let start = begin(out, kind, timestamp);
    if has_number(kind) {
        put_number(out, number);
    } else if number.is_some() {
        out.truncate(start);
        return only_json("this type has no request number");
    }
    let written = payload(&request.message, out);
    match written {
        Ok(()) => end(out, start),
        Err(_) => out.truncate(start),
    }
    written
}

fn kind(message: &ClientMessage<'_>) -> Result<u8, EncodeError> {
    Ok(match message {
        ClientMessage::Ping { .. } => registry::PING,
        ClientMessage::Join { since: None, .. } => registry::JOIN,
        ClientMessage::Join { .. } => registry::JOIN_AGAIN,
        ClientMessage::Leave { .. } => registry::LEAVE,
        ClientMessage::Broadcast { .. } => registry::BROADCAST,
        ClientMessage::RoomMessage { terms, .. } if terms.is_empty() => registry::ROOM_MESSAGE,
        ClientMessage::RoomMessage { .. } => registry::PUBLISH,
        ClientMessage::PrivateMessage { terms, .. } if terms.is_empty() => {
            registry::PRIVATE_MESSAGE
        }
        ClientMessage::PrivateMessage { .. } => registry::PUBLISH_PRIVATELY,
        ClientMessage::Ack { .. } => registry::ACK_OFFSET,
        ClientMessage::SetMetadata { .. } => registry::SET_METADATA,
        ClientMessage::Hello { .. } => registry::HELLO,
        ClientMessage::Resume { .. } => registry::RESUME,
        ClientMessage::Members { .. } => registry::MEMBERS,
        ClientMessage::History { .. } => registry::HISTORY,
        ClientMessage::TypingStart { .. } => registry::TYPING_START,
        ClientMessage::TypingStop { .. } => registry::TYPING_STOP,
        ClientMessage::Batch { .. } => registry::BATCH,
        ClientMessage::File(request) => match request {
            FileRequest::Start { .. } => registry::FILE_START,
            FileRequest::Chunk { .. } => registry::FILE_CHUNK,
            FileRequest::End { .. } => registry::FILE_END,
            FileRequest::Abort { .. } => registry::FILE_ABORT,
            FileRequest::Credit { .. } => registry::FILE_CREDIT,
            FileRequest::Complete { .. } => registry::FILE_COMPLETE,
        },
        ClientMessage::Application { .. } => registry::APPLICATION,
    })
}

/// Which terms a message has, if it has any: otherwise its type says so.
fn put_flags(out: &mut Vec<u8>, terms: &Terms<'_>) {
    if !terms.is_empty() {
        out.push(
            flag(bits::TERMS_MESSAGE_ID, terms.message_id.is_some())
                | flag(bits::TERMS_TTL, terms.ttl_ms.is_some())
                | flag(bits::TERMS_KEY, terms.key.is_some()),
        );
    }
}

fn put_terms(out: &mut Vec<u8>, terms: &Terms<'_>) -> Result<(), EncodeError> {
    if let Some(id) = &terms.message_id {
        text(out, id)?;
    }
    if let Some(ttl_ms) = terms.ttl_ms {
        put_u32(out, ttl_ms);
    }
    terms.key.as_deref().map_or(Ok(()), |key| text(out, key))
}

fn payload(message: &ClientMessage<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    match message {
        ClientMessage::Ping { .. } => {}
        ClientMessage::Join {
            room,
            since: Some(since),
        } => {
            text(out, room)?;
            out.push(flag(bits::JOIN_EPOCH, since.epoch.is_some()));
            put_u64(out, since.after);
            if let Some(epoch) = since.epoch {
                put_u64(out, epoch.0);
            }
        }
        ClientMessage::Join { room, since: None }
        | ClientMessage::Leave { room }
        | ClientMessage::TypingStart { room }
        | ClientMessage::TypingStop { room } => text(out, room)?,
        ClientMessage::Broadcast { data } => {
            out.push(kind_of(data));
            put_data(out, data.payload());
        }
        ClientMessage::RoomMessage { room, data, terms } => {
            put_flags(out, terms);
            out.push(kind_of(data));
            text(out, room)?;
            put_terms(out, terms)?;
            put_data(out, data.payload());
        }
        ClientMessage::PrivateMessage { to, data, terms } => {
            put_flags(out, terms);
            out.push(kind_of(data));
            client(out, *to)?;
            put_terms(out, terms)?;
            put_data(out, data.payload());
        }
        ClientMessage::Ack { offset } => put_u64(out, *offset),
        ClientMessage::SetMetadata { metadata } => put_str(out, metadata),
        ClientMessage::Hello { user, batch } => {
            out.push(
                flag(bits::HELLO_BATCH, *batch == Some(true))
                    | flag(bits::HELLO_USER, user.is_some()),
            );
            put_str(out, user.unwrap_or_default());
        }
        ClientMessage::Resume { former } => {
            let after = former.and_then(|former| former.after);
            out.push(
                flag(bits::RESUME_FORMER, former.is_some())
                    | flag(bits::RESUME_AFTER, after.is_some()),
            );
            if let Some(former) = former {
                client(out, Some(former.client))?;
                out.extend_from_slice(&former.secret.0);
            }
            if let Some(after) = after {
                put_u64(out, after);
            }
        }
        ClientMessage::Members {
            room,
            after,
            limit,
            metadata,
        } => {
            text(out, room)?;
            out.push(
                flag(bits::MEMBERS_METADATA, *metadata)
                    | flag(bits::MEMBERS_AFTER, after.is_some())
                    | flag(bits::MEMBERS_LIMIT, limit.is_some()),
            );
            if let Some(after) = after {
                client(out, ClientId::parse(after))?;
            }
            if let Some(limit) = limit {
                put_u32(out, *limit);
            }
        }
        ClientMessage::History {
            room,
            epoch,
            after,
            before,
            limit,
        } => {
            text(out, room)?;
            out.push(
                flag(bits::HISTORY_EPOCH, epoch.is_some())
                    | flag(bits::HISTORY_AFTER, after.is_some())
                    | flag(bits::HISTORY_BEFORE, before.is_some())
                    | flag(bits::HISTORY_LIMIT, limit.is_some()),
            );
            let epoch = epoch.map(|epoch| epoch.0);
            for number in [epoch, *after, *before].into_iter().flatten() {
                put_u64(out, number);
            }
            if let Some(limit) = limit {
                put_u32(out, *limit);
            }
        }
        ClientMessage::Batch { messages } => match messages {
            Messages::Binary(frames) => out.extend_from_slice(frames),
            Messages::Json(_) => return only_json("the messages of a batch are no frames"),
        },
        ClientMessage::File(request) => file(request, out)?,
        ClientMessage::Application { message, .. } => put_str(out, message),
    }
    Ok(())
}

fn file(request: &FileRequest<'_>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    match request {
        FileRequest::Start {
            name,
            to,
            file_name,
            size,
            mime_type,
            hash,
            secret,
        } => {
            let Some(name) = name.as_deref().filter(|name| !name.is_empty()) else {
                return only_json("a file needs a name for its transfer");
            };
            out.push(
                bits::START_NAME
                    | flag(bits::START_HASH, hash.is_some())
                    | flag(bits::START_SECRET, secret.is_some()),
            );
            match to {
                Destination::Room(room) => {
                    out.push(destination::ROOM);
                    text(out, room)?;
                }
                Destination::Client(to) => {
                    out.push(destination::CLIENT);
                    client(out, *to)?;
                }
                Destination::Server => out.push(destination::SERVER),
            }
            text(out, name)?;
            text(out, file_name)?;
            put_u64(out, *size);
            text(out, mime_type)?;
            out.extend_from_slice(hash.as_ref().map_or(&[], |hash| hash.as_slice()));
            if let Some(secret) = secret {
                text(out, secret)?;
            }
        }
        FileRequest::Chunk {
            transfer,
            offset,
            data,
        } => {
            put_transfer(out, *transfer);
            put_u64(out, *offset);
            out.extend_from_slice(data);
        }
        FileRequest::End {
            transfer,
            size,
            hash,
        } => {
            put_transfer(out, numbered(transfer)?);
            out.push(flag(bits::END_SIZE, size.is_some()) | flag(bits::END_HASH, hash.is_some()));
            if let Some(size) = size {
                put_u64(out, *size);
            }
            out.extend_from_slice(hash.as_ref().map_or(&[], |hash| hash.as_slice()));
        }
        FileRequest::Abort { transfer, reason } => {
            put_transfer(out, numbered(transfer)?);
            put_str(out, reason);
        }
        FileRequest::Credit {
            transfer,
            offset,
            window_bytes,
        } => {
            put_transfer(out, *transfer);
            put_u64(out, *offset);
            put_u32(out, *window_bytes);
        }
        FileRequest::Complete { transfer } => put_transfer(out, *transfer),
    }
    Ok(())
}

const fn numbered(name: &Named<'_>) -> Result<TransferId, EncodeError> {
    match name {
        Named::Number(transfer) => Ok(*transfer),
        Named::Own(_) | Named::Unnamed => only_json("a transfer goes by its number"),
    }
}

fn kind_of(data: &Data<'_>) -> u8 {
    DataKind::of(data.payload()) as u8
}

fn client(out: &mut Vec<u8>, client: Option<ClientId>) -> Result<(), EncodeError> {
    match client {
        Some(client) => {
            put_client(out, client);
            Ok(())
        }
        None => only_json("what should be a client id is none"),
    }
}

fn text(out: &mut Vec<u8>, text: &str) -> Result<(), EncodeError> {
    if text.len() > MAX_TEXT_BYTES {
        return only_json("a text has at most 65,535 bytes");
    }
    put_text(out, text);
    Ok(())
}

const fn only_json<T>(message: &'static str) -> Result<T, EncodeError> {
    Err(EncodeError { message })
}
