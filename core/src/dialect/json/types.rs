//! The names of message types, present and reserved.

#[cfg(test)]
mod tests;

use memchr::memchr;

use super::object::{for_each_field, is_object, string};

/// Whether `kind` belongs to the protocol, in either direction, now or in a version to come. An embedding
/// program cannot register it. O(1).
pub fn is_reserved_type(kind: &str) -> bool {
    CLIENT_TYPES.contains(&kind) || is_server_name(kind)
}

/// Whether the raw JSON `data` is an object that a client could take for a message of the server: its
/// top-level `type`, the last one if there are several, names one. For listeners that deliver `data` bare.
///
/// Nearly always one substring search; otherwise one pass over the object.
pub fn is_server_type(data: &str) -> bool {
    if !is_object(data.trim_ascii_start()) {
        return false;
    }
    // Without a backslash a key can only be spelled one way.
    if !data.contains("\"type\"") && memchr(b'\\', data.as_bytes()).is_none() {
        return false;
    }
    let mut kind = None;
    let walked = for_each_field(data, |key, value| {
        if string(key).is_some_and(|key| key == "type") {
            kind = Some(value);
        }
    });
    walked.is_ok()
        && kind
            .and_then(string)
            .is_some_and(|kind| is_server_name(&kind))
}

fn is_server_name(kind: &str) -> bool {
    SERVER_TYPES.contains(&kind) || kind.starts_with(FILE_PREFIX)
}

/// Every type about files, in either direction.
const FILE_PREFIX: &str = "file_";

pub(super) const CLIENT_TYPES: [&str; 16] = [
    "ack",
    "authenticate",
    "batch",
    "broadcast",
    "hello",
    "history",
    "join",
    "leave",
    "members",
    "ping",
    "private_message",
    "resume",
    "room_message",
    "set_metadata",
    "typing_start",
    "typing_stop",
];

pub(crate) const SERVER_TYPES: [&str; 26] = [
    "ack",
    "authenticated",
    "batch",
    "broadcast",
    "closing",
    "error",
    "gap",
    "history",
    "joined_room",
    "left_room",
    "member_joined",
    "member_left",
    "member_updated",
    "members",
    "members_changed",
    "messages_dropped",
    "metadata_updated",
    "pong",
    "private_message",
    "reset",
    "resumed",
    "room_message",
    "session",
    "user_stopped_typing",
    "user_typing",
    "welcome",
];
