//! What is said of messages that are kept.

use super::{ROOM, begin, envelope, flag, number, put, string};
use crate::message::{Gap, Position, ServerMessage};

/// A page of a room's log; any other message is none of this module's.
pub(super) fn write(out: &mut Vec<u8>, message: &ServerMessage<'_>, id: Option<&str>) {
    let ServerMessage::History {
        room,
        position,
        ref messages,
        more,
        gap,
        reset,
        ref left_out,
    } = *message
    else {
        return;
    };
    begin(out, "history", id);
    at(out, room, position);
    put(out, r#","messages":["#);
    for (index, past) in messages.iter().enumerate() {
        let begin = if index == 0 {
            r#"{"offset":"#
        } else {
            r#",{"offset":"#
        };
        number(out, begin, past.offset);
        envelope(out, past.from, past.data, past.timestamp);
        out.push(b'}');
    }
    out.push(b']');
    flag(out, r#","more":"#, more);
    if let Some(missing) = gap {
        self::gap(out, missing);
    }
    if reset {
        flag(out, r#","reset":"#, true);
    }
    self::left_out(out, left_out);
}

/// What is not kept.
pub(super) fn gap(out: &mut Vec<u8>, gap: Gap) {
    number(out, r#","gap":{"from":"#, gap.from);
    number(out, r#","to":"#, gap.to);
    out.push(b'}');
}

/// What is not told as its senders wanted it so.
pub(super) fn left_out(out: &mut Vec<u8>, ranges: &[Gap]) {
    let mut begin = r#","leftOut":[{"from":"#;
    for range in ranges {
        number(out, begin, range.from);
        number(out, r#","to":"#, range.to);
        out.push(b'}');
        begin = r#",{"from":"#;
    }
    if !ranges.is_empty() {
        out.push(b']');
    }
}

/// A room and where its log stands.
pub(super) fn at(out: &mut Vec<u8>, room: &str, position: Position) {
    maybe_at(out, room, Some(position));
}

/// A room and where its log stands, if it has one.
pub(super) fn maybe_at(out: &mut Vec<u8>, room: &str, position: Option<Position>) {
    string(out, ROOM, room);
    if let Some(position) = position {
        string(out, r#","epoch":"#, &position.epoch.to_string());
        number(out, LAST, position.last);
    }
}

/// The same for somebody who has joined it.
pub(super) fn joined(out: &mut Vec<u8>, position: Position) {
    string(out, r#","history":{"epoch":"#, &position.epoch.to_string());
    number(out, LAST, position.last);
    out.push(b'}');
}

pub(super) const OFFSET: &str = r#","offset":"#;
const LAST: &str = r#","last":"#;
