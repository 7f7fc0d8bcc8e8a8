//! Server messages to frames.
//!
//! Total: what is too large for its field saturates, or is cut.

mod files;

#[cfg(test)]
mod tests;

use core::num::NonZeroU32;
use std::borrow::Cow;

use super::frame::{begin, end};
use super::pieces::{
    DataKind, bits, flag, put_client, put_data, put_gaps, put_number, put_str, put_text, put_u16,
    put_u32, put_u64,
};
use super::{NOT_TOLD, PROTOCOL, registry};
use crate::id::ClientId;
use crate::message::{
    ClientClock, LeaveReason, PastMessage, Payload, Position, Published, ServerMessage, Welcome,
};

/// Appends `message` to `out` as one frame, answering the request `number` if there is one and the type has a
/// place for it. `now_ms` is the server's wall clock, for messages that have no time of their own.
///
/// Allocates nothing but what `out` needs to grow; linear in what is written. Raw values must be JSON. A page of
/// members has room for 65,535.
pub fn encode(
    message: &ServerMessage<'_>,
    number: Option<NonZeroU32>,
    now_ms: u64,
    out: &mut Vec<u8>,
) {
    let start = begin(out, kind(message), timestamp(message).unwrap_or(now_ms));
    payload(message, number, out);
    end(out, start);
}

/// Appends the frame that holds `frames`, which are whole, to `out`.
pub fn encode_batch(frames: &[u8], now_ms: u64, out: &mut Vec<u8>) {
    let start = begin(out, registry::BATCH, now_ms);
    put_number(out, None);
    out.extend_from_slice(frames);
    end(out, start);
}

/// What an `ack` mostly says.
const NOTHING_MORE: Published = Published {
    offset: None,
    duplicate: false,
};

const fn kind(message: &ServerMessage<'_>) -> u8 {
    match message {
        ServerMessage::Welcome(_) => registry::WELCOME,
        ServerMessage::Session(_) => registry::SESSION,
        ServerMessage::Pong { .. } => registry::PONG,
        ServerMessage::JoinedRoom { history: None, .. } => registry::JOINED_ROOM,
        ServerMessage::JoinedRoom { .. } => registry::JOINED_KEPT_ROOM,
        ServerMessage::History { .. } => registry::HISTORY_PAGE,
        ServerMessage::Resumed { .. } => registry::RESUMED,
        ServerMessage::Reset { .. } => registry::RESET,
        ServerMessage::LeftRoom { .. } => registry::LEFT_ROOM,
        ServerMessage::MemberJoined { .. } => registry::MEMBER_JOINED,
        ServerMessage::MemberLeft { .. } => registry::MEMBER_LEFT,
        ServerMessage::MembersChanged { .. } => registry::MEMBERS_CHANGED,
        ServerMessage::Members { .. } => registry::MEMBERS_PAGE,
        ServerMessage::Broadcast { .. } => registry::BROADCAST,
        ServerMessage::RoomMessage { offset: None, .. } => registry::ROOM_MESSAGE,
        ServerMessage::RoomMessage { .. } => registry::KEPT_MESSAGE,
        ServerMessage::PrivateMessage { offset: None, .. } => registry::PRIVATE_MESSAGE,
        ServerMessage::PrivateMessage { .. } => registry::KEPT_PRIVATE_MESSAGE,
        ServerMessage::MetadataUpdated { .. } => registry::METADATA_UPDATED,
        ServerMessage::MemberUpdated { .. } => registry::MEMBER_UPDATED,
        ServerMessage::UserTyping { .. } => registry::USER_TYPING,
        ServerMessage::UserStoppedTyping { .. } => registry::USER_STOPPED_TYPING,
        ServerMessage::Ack(NOTHING_MORE) => registry::ACK,
        ServerMessage::Ack(_) => registry::ACK_OFFSET,
        ServerMessage::Error { .. } => registry::ERROR,
        ServerMessage::MessagesDropped { .. } => registry::MESSAGES_DROPPED,
        ServerMessage::Closing { .. } => registry::CLOSING,
        ServerMessage::File(notice) => files::kind(notice),
        ServerMessage::Application { .. } => registry::APPLICATION,
    }
}

/// When it was said, if the message knows.
const fn timestamp(message: &ServerMessage<'_>) -> Option<u64> {
    match *message {
        ServerMessage::Welcome(Welcome { timestamp, .. })
        | ServerMessage::Pong { timestamp, .. }
        | ServerMessage::Broadcast { timestamp, .. }
        | ServerMessage::RoomMessage { timestamp, .. }
        | ServerMessage::PrivateMessage { timestamp, .. } => Some(timestamp),
        _ => None,
    }
}

fn payload(message: &ServerMessage<'_>, number: Option<NonZeroU32>, out: &mut Vec<u8>) {
    match *message {
        ServerMessage::Welcome(ref welcome) => write_welcome(out, welcome),
        ServerMessage::Session(ref session) => {
            put_number(out, number);
            out.push(
                flag(bits::SESSION_RESUMED, session.resumed)
                    | flag(bits::SESSION_GAP, session.gap.is_some())
                    | flag(bits::SESSION_LEFT_OUT, !session.left_out.is_empty()),
            );
            put_client(out, session.client);
            out.extend_from_slice(&session.secret.0);
            put_u64(out, session.window_ms);
            put_u64(out, session.away_ms);
            put_u64(out, session.last);
            for end in session.gap.iter().flat_map(|gap| [gap.from, gap.to]) {
                put_u64(out, end);
            }
            if !session.left_out.is_empty() {
                put_gaps(out, &session.left_out);
            }
        }
        ServerMessage::Pong {
            client_timestamp, ..
        } => {
            put_number(out, number);
            put_u64(out, millis(client_timestamp));
        }
        ServerMessage::JoinedRoom {
            room,
            ref members,
            total,
            history,
        } => {
            put_number(out, number);
            put_text(out, room);
            put_u32(out, saturated(total));
            if let Some(position) = history {
                write_position(out, position);
            }
            ids(out, members);
        }
        ServerMessage::History {
            room,
            position,
            ref messages,
            more,
            gap,
            reset,
            ref left_out,
        } => {
            put_number(out, number);
            put_text(out, room);
            write_position(out, position);
            out.push(
                flag(bits::HISTORY_MORE, more)
                    | flag(bits::HISTORY_RESET, reset)
                    | flag(bits::HISTORY_GAP, gap.is_some())
                    | flag(bits::HISTORY_LEFT_OUT, !left_out.is_empty()),
            );
            if let Some(gap) = gap {
                put_u64(out, gap.from);
                put_u64(out, gap.to);
            }
            if !left_out.is_empty() {
                put_gaps(out, left_out);
            }
            for past in messages.iter() {
                write_past(out, room, past);
            }
        }
        ServerMessage::Resumed {
            room,
            position,
            complete,
        } => {
            put_text(out, room);
            out.push(
                flag(bits::RESUMED_POSITION, position.is_some())
                    | flag(bits::RESUMED_COMPLETE, complete),
            );
            if let Some(position) = position {
                write_position(out, position);
            }
        }
        ServerMessage::Reset { room, position } => {
            put_text(out, room);
            write_position(out, position);
        }
        ServerMessage::LeftRoom { room } => {
            put_number(out, number);
            put_text(out, room);
        }
        ServerMessage::MemberJoined { room, client }
        | ServerMessage::UserTyping { room, client }
        | ServerMessage::UserStoppedTyping { room, client } => {
            put_text(out, room);
            put_client(out, client);
        }
        ServerMessage::MemberLeft {
            room,
            client,
            reason,
        } => {
            put_text(out, room);
            put_client(out, client);
            out.push(leave_reason(reason));
        }
        ServerMessage::MembersChanged {
            room,
            joined,
            left,
            total,
        } => {
            put_text(out, room);
            put_u32(out, saturated(joined));
            put_u32(out, saturated(left));
            put_u32(out, saturated(total));
        }
        ServerMessage::Members {
            room,
            ref members,
            ref metadata,
            total,
            more,
        } => {
            let metadata = metadata.as_deref();
            let more = more || members.len() > MAX_LISTED;
            put_number(out, number);
            put_text(out, room);
            put_u32(out, saturated(total));
            out.push(flag(bits::PAGE_MORE, more) | flag(bits::PAGE_METADATA, metadata.is_some()));
            ids(out, members);
            if let Some(metadata) = metadata {
                write_metadata(out, metadata, members.len().min(MAX_LISTED));
            }
        }
        ServerMessage::Broadcast { from, data, .. } => envelope(out, from, None, data),
        ServerMessage::PrivateMessage {
            from, data, offset, ..
        } => {
            if let Some(offset) = offset {
                put_u64(out, offset);
            }
            envelope(out, from, None, data);
        }
        ServerMessage::RoomMessage {
            room,
            from,
            data,
            offset,
            ..
        } => {
            if let Some(offset) = offset {
                put_u64(out, offset);
            }
            envelope(out, from, Some(room), data);
        }
        ServerMessage::MetadataUpdated { metadata } => {
            put_number(out, number);
            put_str(out, metadata);
        }
        ServerMessage::MemberUpdated {
            room,
            client,
            metadata,
        } => {
            put_text(out, room);
            put_client(out, client);
            put_str(out, metadata);
        }
        ServerMessage::Ack(NOTHING_MORE) => put_number(out, number),
        ServerMessage::Ack(published) => {
            put_number(out, number);
            out.push(
                flag(bits::ACK_OFFSET, published.offset.is_some())
                    | flag(bits::ACK_DUPLICATE, published.duplicate),
            );
            if let Some(offset) = published.offset {
                put_u64(out, offset);
            }
        }
        ServerMessage::Error {
            code,
            message,
            retry_after_ms,
        } => {
            put_number(out, number);
            put_u32(out, told(retry_after_ms));
            put_text(out, code.as_str());
            put_str(out, message);
        }
        ServerMessage::MessagesDropped { room, count } => {
            put_u64(out, count);
            put_text(out, room.unwrap_or_default());
        }
        ServerMessage::Closing {
            code,
            reason,
            reconnect_after_ms,
        } => {
            put_u16(out, code);
            put_u32(out, told(reconnect_after_ms));
            put_str(out, reason);
        }
        ServerMessage::File(ref notice) => files::write(out, notice, number),
        ServerMessage::Application { message } => {
            put_number(out, number);
            put_str(out, message);
        }
    }
}

fn write_welcome(out: &mut Vec<u8>, welcome: &Welcome) {
    let rate = welcome.rate_messages;
    put_client(out, welcome.client);
    put_u16(out, PROTOCOL);
    out.push(
        flag(bits::WELCOME_RESUMED, welcome.resumed) | flag(bits::WELCOME_RATE, rate.is_some()),
    );
    put_u32(out, saturated(welcome.heartbeat_interval_ms));
    put_u32(out, saturated(welcome.heartbeat_timeout_ms));
    put_u32(out, saturated(welcome.max_message_bytes));
    put_u32(out, welcome.max_rooms);
    let max_name = u16::try_from(welcome.max_room_name_bytes);
    put_u16(out, max_name.unwrap_or(u16::MAX));
    put_u32(out, rate.unwrap_or(0));
    put_u32(out, rate.map_or(0, |_| saturated(welcome.rate_per_ms)));
}

fn write_position(out: &mut Vec<u8>, position: Position) {
    put_u64(out, position.epoch.0);
    put_u64(out, position.last);
}

/// A message that was kept, as a frame of its own.
fn write_past(out: &mut Vec<u8>, room: &str, past: &PastMessage<'_>) {
    let message = ServerMessage::RoomMessage {
        room,
        from: past.from,
        data: past.data,
        timestamp: past.timestamp,
        offset: Some(past.offset),
    };
    encode(&message, None, past.timestamp, out);
}

fn envelope(out: &mut Vec<u8>, from: ClientId, room: Option<&str>, data: Payload<'_>) {
    out.push(DataKind::of(data) as u8);
    put_client(out, from);
    if let Some(room) = room {
        put_text(out, room);
    }
    put_data(out, data);
}

fn ids(out: &mut Vec<u8>, members: &[ClientId]) {
    let count = members.len().min(MAX_LISTED);
    put_u16(out, u16::try_from(count).unwrap_or(u16::MAX));
    for member in members.iter().take(count) {
        put_client(out, *member);
    }
}

/// Of every member; of those that have none an empty object.
fn write_metadata(out: &mut Vec<u8>, metadata: &[Cow<'_, str>], count: usize) {
    let of_each = metadata.iter().map(Cow::as_ref);
    for json in of_each.chain(core::iter::repeat("{}")).take(count) {
        put_u32(out, saturated(json.len()));
        put_str(out, json);
    }
}

const fn leave_reason(reason: LeaveReason) -> u8 {
    match reason {
        LeaveReason::Left => 0,
        LeaveReason::Disconnected => 1,
        LeaveReason::Timeout => 2,
        LeaveReason::Kicked => 3,
    }
}

/// A binary ping has always told its clock as this.
fn millis(clock: Option<ClientClock<'_>>) -> u64 {
    match clock {
        Some(ClientClock::Millis(clock)) => clock,
        Some(ClientClock::Json(raw)) => raw.parse().unwrap_or(0),
        None => 0,
    }
}

/// A time, with a value of its own for none.
fn told(after_ms: Option<u64>) -> u32 {
    after_ms.map_or(NOT_TOLD, |after| saturated::<u64>(after).min(NOT_TOLD - 1))
}

fn saturated<T: TryInto<u32>>(value: T) -> u32 {
    value.try_into().unwrap_or(u32::MAX)
}

/// As many as a `u16` counts.
const MAX_LISTED: usize = u16::MAX as usize;
