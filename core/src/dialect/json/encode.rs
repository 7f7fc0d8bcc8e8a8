//! Server messages to text.
//!
//! The order of fields is part of the promise (golden tests hold it): `type`, then `id` if the message
//! answers a request, then the rest. Raw values are copied as they are.

mod files;
mod history;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use data_encoding::BASE64 as BASE64_CODEC;

use super::decode::BASE64;

use crate::id::ClientId;
use crate::message::{ClientClock, LeaveReason, Payload, ServerMessage, Session, Welcome};

/// Appends `message` to `out`, answering the request `id` (raw JSON) if there is one.
///
/// Allocates nothing but what `out` needs to grow; linear in what is written. Raw values must be JSON: what
/// [`decode`](super::decode()) and [`Metadata`](super::Metadata) hand out is. An application's message that is no
/// object is written without the `id`; one that has an `id` of its own keeps it, and it is the one that
/// clients see, since it comes last.
pub fn encode(message: &ServerMessage<'_>, id: Option<&str>, out: &mut Vec<u8>) {
    match *message {
        ServerMessage::Welcome(ref welcome) => {
            begin(out, "welcome", id);
            write_welcome(out, welcome);
        }
        ServerMessage::Session(ref session) => {
            begin(out, "session", id);
            write_session(out, session);
        }
        ServerMessage::Pong {
            timestamp,
            client_timestamp,
        } => {
            begin(out, "pong", id);
            number(out, TIMESTAMP, timestamp);
            match client_timestamp {
                Some(ClientClock::Json(clock)) => raw(out, CLIENT_TIMESTAMP, clock),
                Some(ClientClock::Millis(clock)) => number(out, CLIENT_TIMESTAMP, clock),
                None => {}
            }
        }
        ServerMessage::JoinedRoom {
            room,
            ref members,
            total,
            history,
        } => {
            begin(out, "joined_room", id);
            string(out, ROOM, room);
            ids(out, members);
            number(out, TOTAL, wide(total));
            if let Some(position) = history {
                history::joined(out, position);
            }
        }
        ServerMessage::LeftRoom { room } => {
            begin(out, "left_room", id);
            string(out, ROOM, room);
        }
        ServerMessage::MemberJoined { room, client } => {
            about(out, "member_joined", id, room, client);
        }
        ServerMessage::MemberLeft {
            room,
            client,
            reason,
        } => {
            about(out, "member_left", id, room, client);
            raw(out, r#","reason":"#, leave_reason(reason));
        }
        ServerMessage::MembersChanged {
            room,
            joined,
            left,
            total,
        } => {
            begin(out, "members_changed", id);
            string(out, ROOM, room);
            number(out, r#","joined":"#, joined);
            number(out, r#","left":"#, left);
            number(out, TOTAL, wide(total));
        }
        ServerMessage::Members {
            room,
            ref members,
            ref metadata,
            total,
            more,
        } => {
            begin(out, "members", id);
            string(out, ROOM, room);
            ids(out, members);
            number(out, TOTAL, wide(total));
            flag(out, r#","more":"#, more);
            if let Some(metadata) = metadata {
                metadata_by_id(out, members, metadata);
            }
        }
        ServerMessage::History { .. } => history::write(out, message, id),
        ServerMessage::Resumed {
            room,
            position,
            complete,
        } => {
            begin(out, "resumed", id);
            history::maybe_at(out, room, position);
            flag(out, r#","complete":"#, complete);
        }
        ServerMessage::Reset { room, position } => {
            begin(out, "reset", id);
            history::at(out, room, position);
        }
        ServerMessage::Broadcast {
            from,
            data,
            timestamp,
        } => {
            begin(out, "broadcast", id);
            envelope(out, from, data, timestamp);
        }
        ServerMessage::RoomMessage {
            room,
            from,
            data,
            timestamp,
            offset,
        } => {
            begin(out, "room_message", id);
            string(out, ROOM, room);
            envelope(out, from, data, timestamp);
            if let Some(offset) = offset {
                number(out, history::OFFSET, offset);
            }
        }
        ServerMessage::PrivateMessage {
            from,
            data,
            timestamp,
            offset,
        } => {
            begin(out, "private_message", id);
            envelope(out, from, data, timestamp);
            if let Some(offset) = offset {
                number(out, history::OFFSET, offset);
            }
        }
        ServerMessage::MetadataUpdated { metadata } => {
            begin(out, "metadata_updated", id);
            raw(out, METADATA, metadata);
        }
        ServerMessage::MemberUpdated {
            room,
            client,
            metadata,
        } => {
            about(out, "member_updated", id, room, client);
            raw(out, METADATA, metadata);
        }
        ServerMessage::UserTyping { room, client } => {
            about(out, "user_typing", id, room, client);
        }
        ServerMessage::UserStoppedTyping { room, client } => {
            about(out, "user_stopped_typing", id, room, client);
        }
        ServerMessage::Ack(published) => {
            begin(out, "ack", id);
            if let Some(offset) = published.offset {
                number(out, history::OFFSET, offset);
            }
            if published.duplicate {
                flag(out, r#","duplicate":"#, true);
            }
        }
        ServerMessage::Error {
            code,
            message,
            retry_after_ms,
        } => {
            begin(out, "error", id);
            string(out, CODE, code.as_str());
            string(out, r#","message":"#, message);
            if let Some(retry_after_ms) = retry_after_ms {
                number(out, r#","retryAfterMs":"#, retry_after_ms);
            }
        }
        ServerMessage::MessagesDropped { room, count } => {
            begin(out, "messages_dropped", id);
            if let Some(room) = room {
                string(out, ROOM, room);
            }
            number(out, r#","count":"#, count);
        }
        ServerMessage::Closing {
            code,
            reason,
            reconnect_after_ms,
        } => {
            begin(out, "closing", id);
            number(out, CODE, u64::from(code));
            string(out, r#","reason":"#, reason);
            if let Some(reconnect_after_ms) = reconnect_after_ms {
                number(out, r#","reconnectAfterMs":"#, reconnect_after_ms);
            }
        }
        ServerMessage::File(ref notice) => files::write(out, notice, id),
        ServerMessage::Application { message } => return application(out, message, id),
    }
    out.push(b'}');
}

fn begin(out: &mut Vec<u8>, kind: &'static str, id: Option<&str>) {
    put(out, r#"{"type":""#);
    put(out, kind);
    put(out, "\"");
    if let Some(id) = id {
        raw(out, r#","id":"#, id);
    }
}

/// A message that is about one client in one room.
fn about(out: &mut Vec<u8>, kind: &'static str, id: Option<&str>, room: &str, client: ClientId) {
    begin(out, kind, id);
    string(out, ROOM, room);
    client_id(out, CLIENT_ID, client);
}

fn envelope(out: &mut Vec<u8>, from: ClientId, data: Payload<'_>, timestamp: u64) {
    client_id(out, r#","from":"#, from);
    match data {
        Payload::Json(json) => raw(out, DATA, json),
        Payload::Bytes(bytes) => base64(out, bytes),
    }
    number(out, TIMESTAMP, timestamp);
}

fn write_session(out: &mut Vec<u8>, session: &Session) {
    client_id(out, CLIENT_ID, session.client);
    string(out, r#","sessionSecret":"#, &session.secret.write());
    flag(out, r#","resumed":"#, session.resumed);
    number(out, r#","windowMs":"#, session.window_ms);
    number(out, r#","awayMs":"#, session.away_ms);
    number(out, r#","last":"#, session.last);
    if let Some(gap) = session.gap {
        history::gap(out, gap);
    }
    history::left_out(out, &session.left_out);
}

fn write_welcome(out: &mut Vec<u8>, welcome: &Welcome) {
    client_id(out, CLIENT_ID, welcome.client);
    number(out, TIMESTAMP, welcome.timestamp);
    number(out, r#","protocol":"#, PROTOCOL);
    flag(out, r#","resumed":"#, welcome.resumed);
    number(
        out,
        r#","heartbeatIntervalMs":"#,
        welcome.heartbeat_interval_ms,
    );
    number(
        out,
        r#","heartbeatTimeoutMs":"#,
        welcome.heartbeat_timeout_ms,
    );
    number(
        out,
        r#","limits":{"maxMessageBytes":"#,
        wide(welcome.max_message_bytes),
    );
    number(out, r#","maxRooms":"#, u64::from(welcome.max_rooms));
    number(
        out,
        r#","maxRoomNameBytes":"#,
        wide(welcome.max_room_name_bytes),
    );
    match welcome.rate_messages {
        Some(messages) => {
            number(out, r#","rate":{"messages":"#, u64::from(messages));
            number(out, r#","perMs":"#, welcome.rate_per_ms);
            put(out, "}}");
        }
        None => put(out, r#","rate":null}"#),
    }
}

fn application(out: &mut Vec<u8>, message: &str, id: Option<&str>) {
    let fields = message.trim_ascii_start().strip_prefix('{');
    let (Some(id), Some(fields)) = (id, fields) else {
        return put(out, message);
    };
    raw(out, r#"{"id":"#, id);
    if !fields.trim_ascii_start().starts_with('}') {
        out.push(b',');
    }
    put(out, fields);
}

fn ids(out: &mut Vec<u8>, members: &[ClientId]) {
    put(out, r#","members":["#);
    let mut separator = "\"";
    for member in members {
        put(out, separator);
        put(out, member.as_str());
        put(out, "\"");
        separator = ",\"";
    }
    out.push(b']');
}

fn metadata_by_id(out: &mut Vec<u8>, members: &[ClientId], metadata: &[Cow<'_, str>]) {
    put(out, METADATA);
    let mut separator = "{\"";
    for (member, metadata) in members.iter().zip(metadata) {
        put(out, separator);
        put(out, member.as_str());
        raw(out, "\":", metadata);
        separator = ",\"";
    }
    put(out, if separator == ",\"" { "}" } else { "{}" });
}

const fn leave_reason(reason: LeaveReason) -> &'static str {
    match reason {
        LeaveReason::Left => r#""left""#,
        LeaveReason::Disconnected => r#""disconnected""#,
        LeaveReason::Timeout => r#""timeout""#,
        LeaveReason::Kicked => r#""kicked""#,
    }
}

/// Bytes as `data`, and how they are spelled.
fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, DATA);
    out.push(b'"');
    let start = out.len();
    out.resize(start + BASE64_CODEC.encode_len(bytes.len()), 0);
    BASE64_CODEC.encode_mut(bytes, out.get_mut(start..).unwrap_or_default());
    out.push(b'"');
    string(out, r#","encoding":"#, BASE64);
}

// Each writes a `name` with all its punctuation, then the value.

fn raw(out: &mut Vec<u8>, name: &'static str, value: &str) {
    put(out, name);
    put(out, value);
}

fn string(out: &mut Vec<u8>, name: &'static str, value: &str) {
    put(out, name);
    json(out, value);
}

fn number(out: &mut Vec<u8>, name: &'static str, value: u64) {
    put(out, name);
    json(out, &value);
}

fn flag(out: &mut Vec<u8>, name: &'static str, value: bool) {
    raw(out, name, if value { "true" } else { "false" });
}

/// A client id needs no escaping.
fn client_id(out: &mut Vec<u8>, name: &'static str, value: ClientId) {
    put(out, name);
    put(out, "\"");
    put(out, value.as_str());
    put(out, "\"");
}

fn json<T: serde::Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) {
    // A string or a number into memory: there is nothing that could fail.
    let written = serde_json::to_writer(&mut *out, value);
    debug_assert!(written.is_ok(), "{written:?}");
}

fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// The version of the protocol that `welcome` announces.
const PROTOCOL: u64 = 1;

const CLIENT_TIMESTAMP: &str = r#","clientTimestamp":"#;
const DATA: &str = r#","data":"#;
const CLIENT_ID: &str = r#","clientId":"#;
const CODE: &str = r#","code":"#;
const METADATA: &str = r#","metadata":"#;
const ROOM: &str = r#","room":"#;
const TIMESTAMP: &str = r#","timestamp":"#;
const TOTAL: &str = r#","total":"#;
