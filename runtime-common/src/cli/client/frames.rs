//! The words of the binary dialect that the clients use: requests, what an outcome says, and what people read.

#[cfg(test)]
mod tests;

use std::num::NonZeroU32;

use roomwire_core::dialect::binary::{
    Frames, HEADER_BYTES, decode_message, encode_request, name_of, split_batch,
};
use roomwire_core::dialect::json;
use roomwire_core::{Asked, ClientMessage, Data, ErrorCode, Request, ServerMessage, Terms};

use super::json::{Facts, Refusal};

/// The subprotocol whose messages are frames.
pub(super) const PROTOCOL: &str = "roomwire.binary.v1";

/// A request to join.
pub(super) fn join(room: &str, number: u32) -> Option<Vec<u8>> {
    let room = room.into();
    frame(ClientMessage::Join { room, since: None }, number)
}

/// A request to say bytes in a room.
pub(super) fn say(room: &str, bytes: &[u8], number: u32) -> Option<Vec<u8>> {
    let (room, data) = (room.into(), Data::Bytes(bytes.into()));
    let terms = Terms::default();
    frame(ClientMessage::RoomMessage { room, data, terms }, number)
}

/// A request that does nothing but have an outcome, after those of all before it.
pub(super) fn fence(number: u32) -> Option<Vec<u8>> {
    frame(ClientMessage::Ping { timestamp: None }, number)
}

/// Nothing, if a frame cannot say it.
fn frame(message: ClientMessage<'_>, number: u32) -> Option<Vec<u8>> {
    let asked = Asked::Binary(NonZeroU32::new(number));
    let mut out = Vec::new();
    encode_request(&Request { asked, message }, 0, &mut out).ok()?;
    Some(out)
}

/// The number of a request that was made here.
pub(super) fn number(frame: &[u8]) -> Option<u32> {
    let (number, _) = frame.get(HEADER_BYTES..)?.split_first_chunk()?;
    Some(u32::from_be_bytes(*number))
}

/// How a request with this number is called among those that are awaited. No `id` in JSON is written like that.
pub(super) fn key(number: u32) -> String {
    format!("#{number}")
}

/// What a message from the server is about; of a batch, all that is in it.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Facts>, &'static str> {
    frames(bytes)?
        .filter_map(|bytes| facts(bytes).transpose())
        .collect()
}

fn frames(bytes: &[u8]) -> Result<Frames<'_>, &'static str> {
    let batch = split_batch(bytes).map_err(|refusal| refusal.message)?;
    Ok(batch.unwrap_or_else(|| Frames::of(bytes)))
}

fn facts(bytes: &[u8]) -> Result<Option<Facts>, &'static str> {
    let told = match decode_message(bytes) {
        Ok(told) => told,
        // Types may be added.
        Err(refusal) if refusal.code == ErrorCode::UnknownType => return Ok(None),
        Err(refusal) => return Err(refusal.message),
    };
    let refusal = match told.message {
        ServerMessage::Error {
            code,
            message,
            retry_after_ms,
        } => Some(Refusal {
            code: code.to_string(),
            message: message.to_owned(),
            retry_after_ms,
        }),
        _ => None,
    };
    let id = told.number.map(|number| key(number.get()));
    Ok(Some(Facts { id, refusal }))
}

/// The same as the JSON dialect has it, for people; request numbers are `id`s there. `None`: it is nothing that a
/// server says.
pub(super) fn readable(bytes: &[u8]) -> Option<String> {
    let is_batch = split_batch(bytes).ok()?.is_some();
    let all: Option<Vec<String>> = frames(bytes).ok()?.map(as_json).collect();
    let all = all?.join(",");
    Some(if is_batch {
        format!(r#"{{"type":"batch","messages":[{all}]}}"#)
    } else {
        all
    })
}

fn as_json(bytes: &[u8]) -> Option<String> {
    let told = decode_message(bytes).ok()?;
    let id = told.number.map(|number| number.to_string());
    let mut out = Vec::new();
    json::encode(&told.message, id.as_deref(), &mut out);
    String::from_utf8(out).ok()
}

/// What kind of frame it is.
pub(super) fn kind(bytes: &[u8]) -> &'static str {
    bytes
        .first()
        .and_then(|&kind| name_of(kind))
        .unwrap_or("unknown")
}
