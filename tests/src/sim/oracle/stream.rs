//! What the server's sockets took, read as its clients will read it.

use serde_json::Value;

use super::session::{Key, Reader, To};
use super::{Oracle, PROGRAM};
use crate::frame::{Frame, FrameReader, Opcode};
use crate::sim::frames::text_of;
use crate::sim::network::{SocketId, WALL_MS};
use crate::sim::plan::ROOMS;

impl Oracle {
    /// Bytes for a connection have left.
    pub(super) fn stream(&mut self, number: usize, bytes: &[u8]) {
        let session = &mut self.sessions[number];
        match &mut session.reader {
            Reader::Plain => return,
            Reader::Head(head) => {
                head.extend_from_slice(bytes);
                let Some(end) = head.windows(4).position(|w| w == b"\r\n\r\n") else {
                    return;
                };
                let rest = head.split_off(end + 4);
                let status = String::from_utf8_lossy(head.get(9..12).unwrap_or_default());
                let status = status.into_owned();
                if status == "101" {
                    let mut reader = FrameReader::after(&String::from_utf8_lossy(head));
                    reader.push(&rest);
                    session.reader = Reader::Frames(reader);
                    session.upgrading = true;
                    self.totals().responses += 1;
                } else {
                    session.reader = Reader::Plain;
                    self.totals().responses += 1;
                    self.coverage.edge(&format!("handshake → {status}"));
                    return;
                }
            }
            Reader::Frames(reader) => reader.push(bytes),
        }
        while let Reader::Frames(reader) = &mut self.sessions[number].reader
            && let Some(frame) = reader.next_frame()
        {
            self.frame(number, frame);
        }
    }

    fn frame(&mut self, number: usize, frame: Frame) {
        let closed = self.sessions[number].closed.is_some();
        self.check(!closed, || {
            format!("{number}: a frame after the close frame")
        });
        if frame.compressed {
            self.coverage.edge("a compressed message");
        }
        match frame.opcode {
            Opcode::Text | Opcode::Binary if frame.fin => {
                self.totals().texts += 1;
                let text = if frame.opcode == Opcode::Text {
                    String::from_utf8(frame.payload).map_err(|error| error.to_string())
                } else {
                    text_of(&frame.payload)
                };
                match (text, &mut self.editor) {
                    (Ok(text), None) => self.text(number, &text),
                    (Ok(text), Some(editor)) => {
                        for text in (editor.0)(SocketId(number), text) {
                            self.text(number, &text);
                        }
                    }
                    (Err(error), _) => self.fail(|| format!("{number}: {error}")),
                }
            }
            Opcode::Ping => {
                self.totals().controls += 1;
                self.sessions[number].pinged_at = Some(self.now);
                self.coverage.edge("open → pinged");
            }
            Opcode::Pong => self.totals().controls += 1,
            Opcode::Close => self.close_frame(number, &frame.payload),
            other => self.fail(|| format!("{number}: an unexpected frame {other:?}")),
        }
    }

    fn close_frame(&mut self, number: usize, payload: &[u8]) {
        self.totals().controls += 1;
        let code = payload.first_chunk().copied();
        let code = code.map_or(1005, u16::from_be_bytes);
        let stamp = self.stamp;
        let session = &mut self.sessions[number];
        let announced = session.closing;
        session.closed = Some(code);
        session.closed_at = Some(self.now);
        session.end_by(stamp);
        // Who is silent is asked first.
        let timeout = self.config.heartbeat.timeout_ms * 1_000;
        let asked = session
            .pinged_at
            .is_some_and(|at| at >= session.last_input_at && self.now + SLACK_US >= at + timeout);
        let answered = session.asks[..session.given]
            .iter()
            .any(|ask| !ask.is_message());
        let rash = code == 1001 && !asked && !answered && !session.fell_short && !self.draining;
        self.all_changed();
        self.check(!rash, || format!("{number}: given up without a ping"));
        self.check(announced.is_none_or(|said| said == code), || {
            format!("{number}: closing with {announced:?}, then {code}")
        });
    }

    fn text(&mut self, number: usize, text: &str) {
        let value: Value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(error) => return self.fail(|| format!("{number}: {error} in {text}")),
        };
        let kind = value["type"].as_str().unwrap_or_default();
        let welcomed = self.sessions[number].welcomed;
        // Of a client that read nothing the welcome may have been discarded like the rest.
        let discarded = kind == "closing" && value["code"] == 1013;
        self.check(discarded || welcomed != (kind == "welcome"), || {
            format!("{number}: {text} before its welcome, or a second one")
        });
        let closing = self.sessions[number].closing;
        self.check(closing.is_none(), || {
            format!("{number}: {text} after closing")
        });
        match kind {
            "" => self.bare(number, &value, text),
            "welcome" => self.welcome(number, &value),
            "room_message" | "broadcast" => self.published(number, kind, &value, text),
            "private_message" => self.private(number, &value, text),
            "news" => self.news(number, &value, text),
            "note" => self.note(number, &value, text),
            "member_joined"
            | "member_left"
            | "member_updated"
            | "user_typing"
            | "user_stopped_typing"
            | "members_changed" => {
                self.notice(number, kind, &value, text);
            }
            "reset" => self.log_begins_anew(number, &value, text),
            "history" => self.page_of_what_was_missed(number, &value, text),
            "resumed" => self.all_was_told(number, &value, text),
            "messages_dropped" => self.dropped(number, &value, text),
            "closing" => {
                let code = value["code"].as_u64().and_then(|code| code.try_into().ok());
                self.check(code.is_some(), || format!("{number}: {text}"));
                self.sessions[number].closing = code;
            }
            "ack" | "error" | "pong" | "joined_room" | "left_room" | "metadata_updated"
            | "members" | "rolled" | "file_accepted" => self.reply(number, kind, &value, text),
            kind if kind.starts_with("file_") => self.told_of_file(number, kind, &value, text),
            _ => self.fail(|| format!("{number}: unexpected {text}")),
        }
    }

    fn welcome(&mut self, number: usize, value: &Value) {
        let client = value["clientId"].as_str().unwrap_or_default().to_owned();
        let stamp = stamp_of(value).unwrap_or_default();
        let old = self.ids.insert(client.clone(), number);
        self.check(old.is_none_or(|old| old == number), || {
            format!("{number}: {client} is another's")
        });
        let session = &mut self.sessions[number];
        session.welcomed = true;
        session.client = Some(client);
        session.direct = stamp;
        session.alive = stamp;
        self.enter(number, 0, super::When::exactly(stamp), None, false);
    }

    /// Data without an envelope.
    fn bare(&mut self, number: usize, value: &Value, text: &str) {
        let raw = self.sessions[number].raw;
        self.check(raw, || format!("{number}: bare {text}"));
        let room = value["w"]
            .as_u64()
            .and_then(|room| usize::try_from(room).ok());
        match (room, key_of(value)) {
            (Some(room), Some(key)) if room < ROOMS.len() => {
                self.delivered(number, room, key, value, None, text);
            }
            _ => self.fail(|| format!("{number}: made up: {text}")),
        }
    }

    fn published(&mut self, number: usize, kind: &str, value: &Value, text: &str) {
        let raw = self.sessions[number].raw;
        self.check(!raw, || format!("{number}: an envelope: {text}"));
        let room = match kind {
            "broadcast" => Some(0),
            _ => room_of(value),
        };
        let Some((room, key)) = room.zip(key_of(&value["data"])) else {
            return self.fail(|| format!("{number}: made up: {text}"));
        };
        self.came_from(number, key, value, text);
        let stamp = stamp_of(value);
        self.check(stamp.is_some(), || format!("{number}: no time: {text}"));
        self.delivered(number, room, key, &value["data"], stamp, text);
        self.has_its_offset(number, room, key, value, text);
    }

    fn private(&mut self, number: usize, value: &Value, text: &str) {
        let Some((key, stamp)) = key_of(&value["data"]).zip(stamp_of(value)) else {
            return self.fail(|| format!("{number}: made up: {text}"));
        };
        self.came_from(number, key, value, text);
        self.one(number, key, stamp, &value["data"], text);
    }

    /// A message of the program to one client.
    fn note(&mut self, number: usize, value: &Value, text: &str) {
        let key = value["k"].as_u64().map(|serial| (PROGRAM, serial));
        match key.and_then(|key| Some((key, self.sent.get(&key)?.stamp?))) {
            Some((key, stamp)) => self.one(number, key, stamp, value, text),
            None => self.fail(|| format!("{number}: made up: {text}")),
        }
    }

    fn news(&mut self, number: usize, value: &Value, text: &str) {
        let key = value["k"].as_u64().map(|serial| (PROGRAM, serial));
        let room = value["w"]
            .as_u64()
            .and_then(|room| usize::try_from(room).ok());
        match room.zip(key) {
            Some((room, key)) => self.delivered(number, room, key, value, None, text),
            None => self.fail(|| format!("{number}: made up: {text}")),
        }
    }

    /// A message for one client alone.
    fn one(&mut self, number: usize, key: Key, stamp: u64, data: &Value, text: &str) {
        let Some(sent) = self.sent.get_mut(&key) else {
            return self.fail(|| format!("{number}: made up: {text}"));
        };
        sent.stamp = Some(stamp);
        let right = sent.to == To::Client(number) && is_padded(data, sent.padding);
        self.check(right, || format!("{number}: another's, or garbled: {text}"));
        let session = &mut self.sessions[number];
        let fresh = session.received.insert(key);
        let last = session.private.insert(key.0, key.1);
        session.direct = session.direct.max(stamp);
        self.check(fresh && last.is_none_or(|last| last < key.1), || {
            format!("{number}: twice, or after later ones of its sender: {text}")
        });
    }

    /// The sender is who the envelope says.
    pub(super) fn came_from(&mut self, number: usize, key: Key, value: &Value, text: &str) {
        let known = self.ids.get(value["from"].as_str().unwrap_or_default());
        let right = known.is_none_or(|&known| known == key.0);
        self.check(right, || format!("{number}: from another: {text}"));
    }

    fn dropped(&mut self, number: usize, value: &Value, text: &str) {
        let count = value["count"].as_u64().unwrap_or_default();
        self.check(count > 0, || format!("{number}: {text}"));
        let room = match &value["room"] {
            Value::Null => Some(0),
            _ => room_of(value),
        };
        let Some(room) = room else {
            return self.fail(|| format!("{number}: {text}"));
        };
        let why = match room {
            0 => "in rooms left since".to_owned(),
            _ => format!("{:?}", self.policies[room]),
        };
        self.coverage
            .edge(&format!("messages are dropped and told: {why}"));
        self.totals().told_drops += count;
        let lost = self.lost_its_home(room);
        let session = &mut self.sessions[number];
        *session.told.entry(room).or_default() += count;
        // That the log has begun anew may be among what was dropped.
        if let Some(stay) = session.stay(room).filter(|_| lost) {
            stay.kept = None;
        }
        let droppable =
            room == 0 || self.policies[room] != roomwire_core::config::SlowReader::Close;
        self.check(droppable, || {
            format!("{number}: drops in a room that drops nothing: {text}")
        });
    }
}

/// What a turn of the driver may take.
const SLACK_US: u64 = 100_000;

/// Sender and number in a message's data.
pub(super) fn key_of(data: &Value) -> Option<Key> {
    let sender = usize::try_from(data["c"].as_u64()?).ok()?;
    Some((sender, data["n"].as_u64()?))
}

/// The input during which a message was made.
pub(super) fn stamp_of(value: &Value) -> Option<u64> {
    value["timestamp"].as_u64()?.checked_sub(WALL_MS)
}

pub(super) fn room_of(value: &Value) -> Option<usize> {
    let name = value["room"].as_str()?;
    (1..ROOMS.len()).find(|&room| ROOMS[room] == name)
}

/// Whether the data carries the padding that it was sent with.
pub(super) fn is_padded(data: &Value, padding: usize) -> bool {
    data["p"].as_str().map_or(0, str::len) == padding
}
