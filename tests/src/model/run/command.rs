//! What people say and the embedding program asks for.

use std::rc::Rc;

use roomwire_core::server::{Command, Outcome};
use roomwire_core::{ConnectionId, ErrorCode, Input};

use super::{Checked, Run};
use crate::frame::{Opcode, masked};
use crate::model::expected::{FIRST_ROOM, LOBBY};
use crate::model::operation::{Asked, Request, Say, room_name};
use crate::model::reference::{Answer, Cause, Goodbye};

impl Run {
    pub(super) fn command(&mut self, asked: Asked) -> Checked {
        self.serial += 1;
        let serial = self.serial;
        match asked {
            Asked::Send(person) => {
                let message = format!("{{\"type\":\"note\",\"n\":{serial},\"s\":0}}");
                let Some((number, connection)) = self.addressee(person) else {
                    return Ok(());
                };
                self.handle(Input::Command(Command::Send {
                    connection,
                    message: message.clone(),
                }))?;
                if self.reference.is_open(number) {
                    self.reference.send(number, &message);
                } else {
                    self.reference.counts.stale += 1;
                }
            }
            Asked::Publish(room) => {
                let stream = FIRST_ROOM + room;
                let message = format!("{{\"type\":\"news\",\"n\":{serial},\"s\":{stream}}}");
                let name = room_name(room).to_owned();
                self.handle(Input::Command(Command::Publish {
                    room: name,
                    message: message.clone(),
                }))?;
                self.reference.publish_message(room, &message);
            }
            Asked::Kick(person, room) => {
                let Some((number, connection)) = self.addressee(person) else {
                    return Ok(());
                };
                let name = room_name(room).to_owned();
                self.handle(Input::Command(Command::Kick {
                    connection,
                    room: name,
                }))?;
                if self.reference.is_open(number) {
                    self.reference.kick(number, room);
                } else {
                    self.reference.counts.stale += 1;
                }
            }
            Asked::Close(person, code) => {
                let Some((number, connection)) = self.addressee(person) else {
                    return Ok(());
                };
                let reason = "asked to".to_owned();
                let after_ms = serial.is_multiple_of(2).then_some(u64::from(serial));
                self.handle(Input::Command(Command::Close {
                    connection,
                    code,
                    reason,
                    reconnect_after_ms: after_ms,
                }))?;
                if self.reference.is_open(number) {
                    // 1006 must not be sent.
                    let code = if code == 1006 { 1000 } else { code };
                    let cause = Cause::Command;
                    self.reference.close(
                        number,
                        Goodbye {
                            cause,
                            code,
                            announced: true,
                            after_ms,
                        },
                    );
                } else {
                    self.reference.counts.stale += 1;
                }
            }
            Asked::Reply(which, how) => self.reply(which, how)?,
        }
        self.agree()
    }

    /// A person's latest connection, alive or not.
    pub(super) fn addressee(&self, person: usize) -> Option<(usize, ConnectionId)> {
        let number = self.people[person]?;
        Some((number, self.peers[number].id))
    }

    pub(super) fn reply(&mut self, which: usize, how: u8) -> Checked {
        if self.variation.drain.is_some() {
            self.drain()?;
        }
        if self.told.is_empty() {
            return Ok(());
        }
        // Mostly one that waits, sometimes one that was answered.
        let waiting: Vec<usize> = (0..self.told.len())
            .filter(|&ask| self.reference.asks[ask].waits)
            .collect();
        let ask = match waiting.get(which % waiting.len().max(1)) {
            Some(&ask) if how % 8 != 7 => ask,
            _ => which % self.told.len(),
        };
        let request = self.told[ask];
        let serial = self.serial;
        let (outcome, answer) = match how % 3 {
            0 => (Outcome::Ack, Answer::Ack),
            1 => {
                let fields = format!("\"type\":\"answer\",\"n\":{serial},\"s\":0}}");
                (Outcome::Reply(format!("{{{fields}")), Answer::Reply(fields))
            }
            _ => {
                let (code, message) = (ErrorCode::Forbidden, "no".to_owned());
                (Outcome::Error { code, message }, Answer::Error("forbidden"))
            }
        };
        self.handle(Input::Command(Command::Reply { request, outcome }))?;
        self.reference.reply(ask, &answer);
        Ok(())
    }

    /// What a person says, its `id`, and the frame.
    pub(super) fn message(
        &mut self,
        say: &Say,
        with_id: bool,
    ) -> (Request, Option<Rc<str>>, Vec<u8>) {
        self.serial += 1;
        let serial = self.serial;
        let id: Option<Rc<str>> = with_id.then(|| format!("\"q{serial}\"").into());
        let data = |stream: usize, pad: usize| -> Rc<str> {
            format!(
                "{{\"n\":{serial},\"s\":{stream},\"p\":\"{}\"}}",
                "x".repeat(pad)
            )
            .into()
        };
        let (request, fields) = match *say {
            Say::Join(room) => (Request::Join(room), room_field("join", room)),
            Say::Leave(room) => (Request::Leave(room), room_field("leave", room)),
            Say::RoomMessage { room, pad } => {
                let data = data(FIRST_ROOM + room, pad);
                let fields = format!("{},\"data\":{data}", room_field("room_message", room));
                (
                    Request::RoomMessage {
                        room,
                        data,
                        pretends: false,
                    },
                    fields,
                )
            }
            Say::Pretend(room) => {
                let data: Rc<str> = format!("{{\"type\":\"welcome\",\"n\":{serial}}}").into();
                let fields = format!("{},\"data\":{data}", room_field("room_message", room));
                (
                    Request::RoomMessage {
                        room,
                        data,
                        pretends: true,
                    },
                    fields,
                )
            }
            Say::Broadcast { pad } => {
                let data = data(LOBBY, pad);
                let fields = format!("\"type\":\"broadcast\",\"data\":{data}");
                (Request::Broadcast { data }, fields)
            }
            Say::Private { to } => {
                let data = data(0, 5);
                let to = self.people.get(to).copied().flatten();
                let to = to.and_then(|to| Some((to, self.ids.get(to)?.to_owned())));
                let name = to.as_ref().map_or("nobody", |(_, id)| id);
                let fields =
                    format!("\"type\":\"private_message\",\"to\":\"{name}\",\"data\":{data}");
                (
                    Request::Private {
                        to: to.map(|(to, _)| to),
                        data,
                    },
                    fields,
                )
            }
            Say::Metadata { key, length } => {
                let value = (length > 0).then(|| format!("\"{}\"", "v".repeat(length - 1)));
                let json = value.as_deref().unwrap_or("null");
                let fields =
                    format!("\"type\":\"set_metadata\",\"metadata\":{{\"k{key}\":{json}}}");
                (Request::Metadata { key, value }, fields)
            }
            Say::Hello { length } => {
                let user = "u".repeat(length - 2);
                (
                    Request::Hello { length },
                    format!("\"type\":\"hello\",\"user\":\"{user}\""),
                )
            }
            Say::Members {
                room,
                after,
                limit,
                metadata,
            } => {
                let after = self.ids.get(after).map(|id| (after, id.to_owned()));
                let mut fields = room_field("members", room);
                if let Some((_, id)) = &after {
                    fields += &format!(",\"after\":\"{id}\"");
                }
                if let Some(limit) = limit {
                    fields += &format!(",\"limit\":{limit}");
                }
                fields += if metadata { ",\"metadata\":true" } else { "" };
                let after = after.map(|(after, _)| after);
                (
                    Request::Members {
                        room,
                        after,
                        limit,
                        metadata,
                    },
                    fields,
                )
            }
            Say::Typing { room, start } => {
                let kind = if start { "typing_start" } else { "typing_stop" };
                (Request::Typing { room, start }, room_field(kind, room))
            }
            Say::Ask => (Request::Ask, format!("\"type\":\"ask\",\"n\":{serial}")),
            Say::Ping { timestamp } => {
                let timestamp = timestamp.then_some("[1,\"x\"]".get(1..2).unwrap_or_default());
                let field = timestamp.map_or_else(String::new, |t| format!(",\"timestamp\":{t}"));
                (
                    Request::Ping { timestamp },
                    format!("\"type\":\"ping\"{field}"),
                )
            }
            Say::Unknown => (Request::Unknown, "\"type\":\"dance\"".to_owned()),
            Say::BadMessage => (Request::Bad("bad_message"), "\"type\":7".to_owned()),
            Say::NotJson => {
                return (
                    Request::Bad("bad_json"),
                    None,
                    masked(Opcode::Text, true, b"{no"),
                );
            }
            Say::Binary => {
                return (
                    Request::Bad("bad_message"),
                    None,
                    masked(Opcode::Binary, true, b"\x00\x01"),
                );
            }
        };
        let field = id
            .as_ref()
            .map_or_else(String::new, |id| format!("\"id\":{id},"));
        let bytes = masked(
            Opcode::Text,
            true,
            format!("{{{field}{fields}}}").as_bytes(),
        );
        (request, id, bytes)
    }
}

fn room_field(kind: &str, room: usize) -> String {
    let name = serde_json::Value::from(room_name(room));
    format!("\"type\":\"{kind}\",\"room\":{name}")
}
