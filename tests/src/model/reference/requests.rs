//! What clients ask for, and what it comes to.

use std::rc::Rc;

use super::{ABUSE, Ask, Done, Outcome, Place, Reference, Refused, about, check_name, keep, text};
use crate::model::expected::{What, client, room_json};
use crate::model::operation::{
    LINGER, NOTICE_MEMBERS, NOTICE_MS, QUIET, REPLY_MS, ROOM_LINGER_MS, ROOMS, Request, SUM,
    TYPING_MS, address,
};

impl Reference {
    /// A whole text or binary message.
    pub(in crate::model) fn request(
        &mut self,
        session: usize,
        request: &Request,
        id: Option<&Rc<str>>,
    ) {
        self.counts.received += 1;
        self.sessions[session].received += 1;
        let outcome = match request {
            Request::Unknown | Request::Bad(_) => return self.reject(session, request, id),
            request => self.dispatch(session, request, id),
        };
        match outcome {
            Ok(Done::Replied | Done::Later) => {}
            Ok(Done::Ack) => {
                if let Some(id) = id {
                    self.direct(session, text(format!("{{\"type\":\"ack\",\"id\":{id}}}")));
                }
            }
            Err(refused) => self.refuse(session, id, refused),
        }
    }

    pub(super) fn dispatch(
        &mut self,
        session: usize,
        request: &Request,
        id: Option<&Rc<str>>,
    ) -> Outcome {
        match request {
            Request::Join(room) => self.join(session, *room, id),
            Request::Leave(room) => self.leave(session, *room, id),
            Request::RoomMessage {
                room,
                data,
                pretends,
            } => {
                self.own_room(session, *room)?;
                self.check_bare(*pretends)?;
                self.admit(session, self.members(*room).len() - 1)?;
                let head = format!("{{\"type\":\"room_message\",\"room\":{}", room_json(*room));
                self.publish_data(Place::Room(*room), session, &head, data);
                Ok(Done::Ack)
            }
            Request::Broadcast { data } => {
                if self.setup.mute {
                    return Err(("forbidden", None));
                }
                self.admit(session, self.clients() - 1)?;
                self.publish_data(Place::Everyone, session, "{\"type\":\"broadcast\"", data);
                Ok(Done::Ack)
            }
            Request::Private { to, data } => self.private(session, *to, data),
            Request::Metadata { key, value } => self.metadata(session, *key, value.as_deref(), id),
            Request::Hello { length } => {
                self.admit(session, 0)?;
                if *length > 256 {
                    Err(("too_large", None))
                } else {
                    Ok(Done::Ack)
                }
            }
            Request::Members {
                room,
                after,
                limit,
                metadata,
            } => {
                self.own_room(session, *room)?;
                self.admit(session, 0)?;
                let listed = self.setup.max_listed();
                let members = self.members(*room).iter();
                let members = members
                    .map(|&m| (m, self.sessions[m].metadata_json()))
                    .collect();
                self.direct(
                    session,
                    What::Members {
                        id: id.cloned(),
                        room: *room,
                        members,
                        after: *after,
                        limit: limit.map_or(listed, |limit| (limit as usize).clamp(1, listed)),
                        metadata: *metadata,
                    },
                );
                Ok(Done::Replied)
            }
            Request::Typing { room, start } => self.typing(session, *room, *start),
            Request::Ask => self.ask(session, id),
            Request::Ping { timestamp } => {
                if let Err(refused) = self.admit_ping(session) {
                    self.refuse(session, id, refused);
                    self.close(session, ABUSE);
                    return Ok(Done::Replied);
                }
                let id = id.map_or_else(String::new, |id| format!(",\"id\":{id}"));
                let echo =
                    timestamp.map_or_else(String::new, |t| format!(",\"clientTimestamp\":{t}"));
                let now = self.unix_ms;
                self.direct(
                    session,
                    text(format!(
                        "{{\"type\":\"pong\"{id},\"timestamp\":{now}{echo}}}"
                    )),
                );
                Ok(Done::Replied)
            }
            Request::Unknown | Request::Bad(_) => Ok(Done::Replied),
        }
    }

    pub(super) fn join(&mut self, session: usize, room: usize, id: Option<&Rc<str>>) -> Outcome {
        check_name(room)?;
        if !self.members(room).contains(&session) {
            let joined = (0..ROOMS.len())
                .filter(|&r| self.members(r).contains(&session))
                .count();
            if joined >= self.setup.max_rooms_per_client() {
                return Err(("too_many_rooms", None));
            }
            let rooms = self.rooms.iter().flatten().count();
            if self.rooms[room].is_none() && rooms >= self.setup.max_rooms() {
                return Err(("too_many_rooms", None));
            }
            let members = self.members(room).len();
            if members >= self.setup.max_members() {
                return Err(("room_full", None));
            }
            self.admit(session, if self.is_large(room) { 0 } else { members })?;
            self.rooms[room].get_or_insert_default().linger_due = None;
            self.tell_change(room, true, || about("member_joined", room, session, ""));
            if let Some(room) = &mut self.rooms[room] {
                room.members.push(session);
            }
        } else {
            self.admit(session, 0)?;
        }
        self.direct(
            session,
            What::Joined {
                id: id.cloned(),
                room,
                members: self.members(room).to_vec(),
                listed: self.setup.max_listed(),
                client: session,
            },
        );
        Ok(Done::Replied)
    }

    pub(super) fn leave(&mut self, session: usize, room: usize, id: Option<&Rc<str>>) -> Outcome {
        self.own_room(session, room)?;
        self.admit(session, 0)?;
        self.take_out(session, room, "left");
        let id = id.map_or_else(String::new, |id| format!(",\"id\":{id}"));
        self.direct(
            session,
            text(format!(
                "{{\"type\":\"left_room\"{id},\"room\":{}}}",
                room_json(room)
            )),
        );
        Ok(Done::Replied)
    }

    /// Takes a client out of a room and tells the others, if it is in.
    pub(super) fn take_out(&mut self, session: usize, room: usize, reason: &str) {
        let Some(entry) = &mut self.rooms[room] else {
            return;
        };
        let Some(at) = entry.members.iter().position(|&member| member == session) else {
            return;
        };
        entry.members.remove(at);
        self.stop_typing(session, room);
        let Some(entry) = &mut self.rooms[room] else {
            return;
        };
        if entry.members.is_empty() {
            if room == LINGER {
                entry.linger_due = Some(self.now_us + ROOM_LINGER_MS * 1_000);
            } else {
                self.rooms[room] = None;
            }
            return;
        }
        self.tell_change(room, false, || {
            about(
                "member_left",
                room,
                session,
                &format!(",\"reason\":\"{reason}\""),
            )
        });
    }

    /// Tells of a join or a leave, or counts it where the room sums up.
    pub(super) fn tell_change(
        &mut self,
        room: usize,
        joined: bool,
        notice: impl FnOnce() -> Rc<str>,
    ) {
        if !self.is_large(room) {
            return self.publish(Place::Room(room), None, &notice());
        }
        if let Some(entry) = &mut self.rooms[room] {
            entry.joined += u64::from(joined);
            entry.left += u64::from(!joined);
            entry
                .notice_due
                .get_or_insert(self.now_us + NOTICE_MS * 1_000);
        }
    }

    pub(super) fn private(&mut self, session: usize, to: Option<usize>, data: &str) -> Outcome {
        self.admit(session, 1)?;
        let together = |to: usize| {
            self.rooms
                .iter()
                .flatten()
                .any(|r| r.members.contains(&to) && r.members.contains(&session))
        };
        match to.filter(|&to| self.is_open(to) && (!self.setup.share || together(to))) {
            Some(to) => {
                let from = client(session);
                let now = self.unix_ms;
                self.direct(
                    to,
                    text(format!(
                        "{{\"type\":\"private_message\",\"from\":\"{from}\",\"data\":{data},\"timestamp\":{now}}}"
                    )),
                );
                Ok(Done::Ack)
            }
            None => Err(("target_not_found", None)),
        }
    }

    pub(super) fn metadata(
        &mut self,
        session: usize,
        key: u8,
        value: Option<&str>,
        id: Option<&Rc<str>>,
    ) -> Outcome {
        let told: Vec<usize> = (0..ROOMS.len())
            .filter(|&room| room != QUIET && self.members(room).contains(&session))
            .collect();
        self.admit(
            session,
            told.iter().map(|&room| self.members(room).len() - 1).sum(),
        )?;
        let old = self.sessions[session].metadata.clone();
        let metadata = &mut self.sessions[session].metadata;
        let at = metadata.iter().position(|&(known, _)| known == key);
        match (at, value) {
            (Some(at), Some(value)) => value.clone_into(&mut metadata[at].1),
            (Some(at), None) => drop(metadata.remove(at)),
            (None, Some(value)) => metadata.push((key, value.to_owned())),
            (None, None) => {}
        }
        let json = self.sessions[session].metadata_json();
        if self.sessions[session].metadata.len() > 3 || json.len() > 64 {
            self.sessions[session].metadata = old;
            return Err(("too_large", None));
        }
        let id = id.map_or_else(String::new, |id| format!(",\"id\":{id}"));
        self.direct(
            session,
            text(format!(
                "{{\"type\":\"metadata_updated\"{id},\"metadata\":{json}}}"
            )),
        );
        for room in told {
            let notice = about(
                "member_updated",
                room,
                session,
                &format!(",\"metadata\":{json}"),
            );
            self.publish(Place::Room(room), Some(session), &notice);
        }
        Ok(Done::Replied)
    }

    pub(super) fn typing(&mut self, session: usize, room: usize, start: bool) -> Outcome {
        self.own_room(session, room)?;
        self.admit(session, self.members(room).len() - 1)?;
        if !start {
            self.stop_typing(session, room);
            return Ok(Done::Ack);
        }
        let due = self.now_us + TYPING_MS * 1_000;
        let typing = &mut self.sessions[session].typing;
        match typing.iter_mut().find(|(typed, _)| *typed == room) {
            Some((_, until)) => *until = due,
            None => {
                typing.push((room, due));
                self.publish(
                    Place::Room(room),
                    Some(session),
                    &about("user_typing", room, session, ""),
                );
            }
        }
        Ok(Done::Ack)
    }

    pub(super) fn stop_typing(&mut self, session: usize, room: usize) {
        let typing = &mut self.sessions[session].typing;
        if let Some(at) = typing.iter().position(|&(typed, _)| typed == room) {
            typing.remove(at);
            let notice = about("user_stopped_typing", room, session, "");
            self.publish(Place::Room(room), Some(session), &notice);
        }
    }

    pub(super) fn ask(&mut self, session: usize, id: Option<&Rc<str>>) -> Outcome {
        self.admit(session, 0)?;
        if self.sessions[session].waiting_asks >= self.setup.max_asks() {
            return Err(("rate_limited", None));
        }
        self.sessions[session].waiting_asks += 1;
        self.asks.push(Ask {
            session,
            id: id.cloned(),
            due_us: self.now_us + REPLY_MS * 1_000,
            waits: true,
        });
        Ok(Done::Later)
    }

    /// A message that is none, or of a type that is none.
    pub(super) fn reject(&mut self, session: usize, request: &Request, id: Option<&Rc<str>>) {
        let (code, tolerated) = if let Request::Bad(code) = request {
            self.counts.bad_messages += 1;
            let taken = self
                .quotas
                .bad
                .take(self.sessions[session].bad, self.now_us, 1);
            (*code, keep(&mut self.sessions[session].bad, taken))
        } else {
            self.counts.unknown_types += 1;
            if let Err(refused) = self.admit(session, 0) {
                return self.refuse(session, id, refused);
            }
            let tolerated = self.quotas.unknown.is_none_or(|quota| {
                let taken = quota.take(self.sessions[session].unknown, self.now_us, 1);
                keep(&mut self.sessions[session].unknown, taken)
            });
            ("unknown_type", tolerated)
        };
        self.error(session, id, (code, None));
        if !tolerated {
            self.close(session, ABUSE);
        }
    }

    pub(super) fn refuse(&mut self, session: usize, id: Option<&Rc<str>>, refused: Refused) {
        let limited = refused.0 == "rate_limited";
        if limited {
            self.counts.rate_limited += 1;
        } else {
            self.counts.refused += 1;
        }
        self.error(session, id, refused);
        if self.quotas.enabled {
            let taken = self
                .quotas
                .refusals
                .take(self.sessions[session].refusals, self.now_us, 1);
            if !keep(&mut self.sessions[session].refusals, taken) {
                self.close(session, ABUSE);
            }
        }
    }

    pub(super) fn error(
        &mut self,
        session: usize,
        id: Option<&Rc<str>>,
        (code, retry_ms): Refused,
    ) {
        self.direct(
            session,
            What::Error {
                id: id.cloned(),
                code,
                retry_ms,
            },
        );
    }

    /// A control frame of a client.
    pub(in crate::model) fn control_frame(&mut self, session: usize, ping: bool) {
        self.counts.control_frames += u64::from(ping);
        if self.admit_ping(session).is_err() {
            self.close(session, ABUSE);
        }
    }

    // ---- limits

    pub(super) fn admit(&mut self, session: usize, deliveries: usize) -> Result<(), Refused> {
        if !self.quotas.enabled {
            return Ok(());
        }
        let (quotas, now) = (&self.quotas, self.now_us);
        let own = &mut self.sessions[session];
        let shared = &mut self.addresses[address(own.person)];
        let limited = |retry| ("rate_limited", Some(retry));
        let first = quotas
            .messages
            .take(own.messages, now, 1)
            .map_err(limited)?;
        let second = quotas
            .address
            .take(shared.messages, now, 1)
            .map_err(limited)?;
        let third = quotas
            .deliveries
            .take(shared.deliveries, now, deliveries as u64)
            .map_err(limited)?;
        (own.messages, shared.messages, shared.deliveries) = (first, second, third);
        Ok(())
    }

    pub(super) fn admit_ping(&mut self, session: usize) -> Result<(), Refused> {
        if !self.quotas.enabled {
            return Ok(());
        }
        let own = &mut self.sessions[session];
        let taken = self.quotas.pings.take(own.pings, self.now_us, 1);
        own.pings = taken.map_err(|retry| ("rate_limited", Some(retry)))?;
        Ok(())
    }

    pub(super) fn check_bare(&self, pretends: bool) -> Result<(), Refused> {
        if pretends && self.setup.bare {
            Err(("reserved", None))
        } else {
            Ok(())
        }
    }

    pub(super) fn own_room(&self, session: usize, room: usize) -> Result<(), Refused> {
        check_name(room)?;
        match &self.rooms[room] {
            None => Err(("no_such_room", None)),
            Some(entry) if entry.members.contains(&session) => Ok(()),
            Some(_) => Err(("not_member", None)),
        }
    }

    pub(in crate::model) fn members(&self, room: usize) -> &[usize] {
        self.rooms[room].as_ref().map_or(&[], |room| &room.members)
    }

    pub(super) fn is_large(&self, room: usize) -> bool {
        room == SUM && self.members(room).len() >= NOTICE_MEMBERS
    }
}
