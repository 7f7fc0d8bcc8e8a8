//! Requests to text.

use data_encoding::BASE64 as BASE64_CODEC;

use super::super::decode::BASE64;
use super::super::object::{for_each_field, is_json, string};
use crate::id::ClientId;
use crate::message::{Epoch, Former};

/// The object `request` with the `id`, a string, instead of its own if it has one: the last one counts. `None` if it is
/// no object. Linear in `request`.
pub fn with_id(request: &str, id: &str) -> Option<String> {
    with_field(request, "id", id)
}

/// The same with the sender's own name for the message.
pub(crate) fn with_message_id(request: &str, id: &str) -> Option<String> {
    with_field(request, MESSAGE_ID, id)
}

fn with_field(request: &str, key: &str, text: &str) -> Option<String> {
    let mut is_empty = true;
    for_each_field(request, |_, _| is_empty = false).ok()?;
    let fields = request.trim_ascii_end().strip_suffix('}')?;
    let comma = if is_empty { "" } else { "," };
    Some(format!(r#"{fields}{comma}"{key}":{}}}"#, quoted(text)))
}

/// Whether `request` says something under terms, and leaves it open what the sender's own name for it is. Linear in
/// `request`.
pub(crate) fn lacks_message_id(request: &str) -> bool {
    let (mut kind, mut has_one) = (None, false);
    let walked = for_each_field(request, |key, value| match string(key).as_deref() {
        Some("type") => kind = string(value),
        Some(MESSAGE_ID) => has_one = true,
        _ => {}
    });
    let takes_one = matches!(kind.as_deref(), Some("room_message" | "private_message"));
    walked.is_ok() && takes_one && !has_one
}

/// A request to join a room, for somebody who comes back with what was heard last.
pub fn join(room: &str, since: Option<(Option<Epoch>, u64)>, id: &str) -> String {
    let mut text = format!(r#"{{"type":"join","room":{}"#, quoted(room));
    if let Some((epoch, after)) = since {
        text += &format!(r#","after":{after}"#);
        if let Some(epoch) = epoch {
            text += &format!(r#","epoch":"{epoch}""#);
        }
    }
    text += &format!(r#","id":{}}}"#, quoted(id));
    text
}

/// A request to leave a room.
pub fn leave(room: &str, id: &str) -> String {
    let (room, id) = (quoted(room), quoted(id));
    format!(r#"{{"type":"leave","room":{room},"id":{id}}}"#)
}

/// A request for a session that can be taken up: a new one, or the one that there was.
pub fn resume(former: Option<&Former>, id: &str) -> String {
    let mut text = r#"{"type":"resume""#.to_owned();
    if let Some(former) = former {
        let (client, secret) = (former.client, former.secret.write());
        text += &format!(r#","clientId":"{client}","sessionSecret":"{secret}""#);
        if let Some(after) = former.after {
            text += &format!(r#","after":{after}"#);
        }
    }
    text += &format!(r#","id":{}}}"#, quoted(id));
    text
}

/// A request for a sign of life.
pub fn ping(id: &str) -> String {
    format!(r#"{{"type":"ping","id":{}}}"#, quoted(id))
}

/// A request to say something in a room, without an `id`. `None` if `data` is no JSON.
pub fn room_message(room: &str, data: &str) -> Option<String> {
    let room = quoted(room);
    is_json(data).then(|| format!(r#"{{"type":"room_message","room":{room},"data":{data}}}"#))
}

/// The same for bytes.
pub fn room_message_of_bytes(room: &str, data: &[u8]) -> String {
    let (room, data) = (quoted(room), BASE64_CODEC.encode(data));
    format!(r#"{{"type":"room_message","room":{room},"data":"{data}","encoding":"{BASE64}"}}"#)
}

/// A request to say something to one client, without an `id`. `None` if `data` is no JSON.
pub fn private_message(to: ClientId, data: &str) -> Option<String> {
    is_json(data).then(|| format!(r#"{{"type":"private_message","to":"{to}","data":{data}}}"#))
}

/// What a batch of `messages`, objects, is on the wire. O(bytes).
pub fn batch<'a>(messages: impl Iterator<Item = &'a str>) -> String {
    let mut text = BATCH_START.to_owned();
    for (index, message) in messages.enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(message);
    }
    text.push_str(BATCH_END);
    text
}

/// How much longer a batch is than its messages and the commas between them.
pub const BATCH_BYTES: usize = BATCH_START.len() + BATCH_END.len();

/// Whether `text` is an object, as only those can be in a batch. Linear in `text`.
pub fn is_object(text: &str) -> bool {
    for_each_field(text, |_, _| ()).is_ok()
}

/// `text` as a string of JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

const MESSAGE_ID: &str = "messageId";
const BATCH_START: &str = r#"{"type":"batch","messages":["#;
const BATCH_END: &str = "]}";
