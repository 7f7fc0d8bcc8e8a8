//! The server's frames, as far as a session understands them.

#[cfg(test)]
mod tests;

use core::num::NonZeroU32;

use super::{Message, Told};
use crate::dialect::binary::{decode_message, decode_unknown_answer};
use crate::dialect::json::encode;
use crate::message::ServerMessage;

/// What one frame says, and which request it answers. `None` for what is no frame, of a type that is not known, or about
/// files: that is the program's. Linear in `bytes`.
pub(super) fn read(bytes: &[u8]) -> Option<(Message, Option<NonZeroU32>)> {
    let Ok(frame) = decode_message(bytes) else {
        return unknown_answer(bytes);
    };
    if matches!(frame.message, ServerMessage::File(_)) {
        return None;
    }
    let told = Told::of(&frame.message);
    let is_all = match told {
        Told::Ack(_) | Told::Broadcast(_) | Told::PrivateMessage { .. } => true,
        Told::RoomMessage { .. } => true,
        Told::History(_) => frame.number.is_none(),
        _ => false,
    };
    let id = frame.number.map(|number| number.to_string());
    let mut text = Vec::new();
    if !is_all {
        encode(&frame.message, id.as_deref(), &mut text);
    }
    // JSON is always UTF-8.
    let text = String::from_utf8(text).unwrap_or_default();
    Some((Message { text, id, told }, frame.number))
}

/// An answer all the same: its request has an outcome.
fn unknown_answer(bytes: &[u8]) -> Option<(Message, Option<NonZeroU32>)> {
    let answer = decode_unknown_answer(bytes)?;
    let told = answer.refusal.map(|(message, retry_after_ms)| Told::Error {
        code: None,
        message: message.to_owned(),
        retry_after_ms,
    });
    let message = Message {
        text: String::new(),
        id: Some(answer.number.to_string()),
        told: told.unwrap_or(Told::Other),
    };
    Some((message, Some(answer.number)))
}
