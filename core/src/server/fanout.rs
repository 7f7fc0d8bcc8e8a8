//! Messages on their way out: to one client, to a room, to everyone.
//!
//! A message is encoded once per wire form that has a receiver, and a long one compressed once per window besides. Before a client gets a message of its own it
//! is cut from its dirty rooms, so that the message does not overtake what they published before it.

use super::Server;
use crate::cluster::message::Told;
use crate::config::SlowReader;
use crate::dialect::{binary, json};
use crate::id::{ClientId, ConnectionId};
use crate::message::{Asked, Payload, Published, ServerMessage, Terms};
use crate::room::{LOBBY, Load, Variant, WireForm};
use crate::session::buffer::Place;
use crate::session::connection::{Kind, Stage};
use crate::session::facts::{Audience, Places};
use crate::websocket::{Data, OpCode};

/// Who published a message and does not get it.
pub(super) type Publisher = Option<u32>;

impl Server {
    /// Sends one client a message: in the dialect of the request that it answers, otherwise in the client's own.
    pub(super) fn send(&mut self, index: u32, message: &ServerMessage<'_>, asked: Asked<'_>) {
        let mut scratch = core::mem::take(&mut self.scratch);
        scratch.clear();
        let dialect = self.encode(index, message, asked, &mut scratch);
        if self.replies.are_for(index, dialect) {
            self.collect(index, &scratch);
        } else {
            self.send_encoded(index, dialect, &scratch);
        }
        self.scratch = scratch;
    }

    /// Sends one client what answers nothing, its session being over: in the dialect that was its own.
    pub(super) fn send_last(&mut self, index: u32, kind: Kind, message: &ServerMessage<'_>) {
        let dialect = Dialect::of(kind);
        let mut scratch = core::mem::take(&mut self.scratch);
        scratch.clear();
        dialect.encode(message, self.now.unix_ms, &mut scratch);
        self.send_encoded(index, dialect, &scratch);
        self.scratch = scratch;
    }

    pub(super) fn encode(
        &self,
        index: u32,
        message: &ServerMessage<'_>,
        asked: Asked<'_>,
        out: &mut Vec<u8>,
    ) -> Dialect {
        let (dialect, id, number) = match asked {
            Asked::Nothing => (self.dialect(index), None, None),
            Asked::Json(id) => (Dialect::Json, id, None),
            Asked::Binary(number) => (Dialect::Binary, None, number),
        };
        match dialect {
            Dialect::Json => json::encode(message, id, out),
            Dialect::Binary => binary::encode(message, number, self.now.unix_ms, out),
        }
        dialect
    }

    /// The dialect in which a client is told what the server says by itself.
    pub(super) fn speaks(&self, index: u32, dialect: Dialect) -> bool {
        let session = self.connections.get(index).and_then(|c| c.session());
        session.is_some_and(|session| Dialect::of(session.kind) == dialect)
    }

    fn dialect(&self, index: u32) -> Dialect {
        let session = self.connections.get(index).and_then(|c| c.session());
        session.map_or(Dialect::Json, |session| Dialect::of(session.kind))
    }

    /// Sends one client a message that is already encoded.
    pub(super) fn send_encoded(&mut self, index: u32, dialect: Dialect, message: &[u8]) {
        self.write(index, dialect, message);
    }

    fn write(&mut self, index: u32, dialect: Dialect, message: &[u8]) -> Option<Place> {
        self.flush_replies(index);
        self.cut_client(index);
        self.stats.direct += 1;
        let session = self.connections.get(index).and_then(|c| c.session());
        let window = session.and_then(|session| session.window);
        let packed = self.compression.pack(window, message, &mut self.stats);
        self.outboxes
            .direct(index, |out| packed.put(dialect.opcode(), out))
    }

    /// Sends one client what another has to say, and gives it a number.
    pub(super) fn send_private(
        &mut self,
        index: u32,
        from: Option<ConnectionId>,
        message: &ServerMessage<'_>,
    ) {
        // What happens to it while it is queued comes after its number.
        if let Some(to) = self.connections.id(index) {
            let to = Audience::Client(to);
            self.outboxes.facts.publish(from, to, Places::new());
        }
        let mut scratch = core::mem::take(&mut self.scratch);
        scratch.clear();
        let dialect = self.encode(index, message, Asked::Nothing, &mut scratch);
        let place = self.write(index, dialect, &scratch);
        self.scratch = scratch;
        if self.outboxes.facts.is_on() {
            self.outboxes.facts.place(place);
        }
    }

    /// Tells the members of a room something, in the room's order, which its home makes: this shard. `except` does
    /// not get it.
    pub(super) fn tell(&mut self, room: u32, except: Option<ConnectionId>, told: Told<'_>) {
        self.stats.published += 1;
        let timestamp = self.now.unix_ms;
        let offset = match told {
            Told::Data { from, data } => self.keep_in_log(room, from, (data, &Terms::default())),
            _ => None,
        };
        self.tell_here(room, except, told, timestamp, offset);
        self.tell_elsewhere(room, except, told, timestamp, offset);
    }

    /// The same of data under terms. Its offset, if it has one.
    pub(super) fn tell_data(
        &mut self,
        room: u32,
        except: Option<ConnectionId>,
        from: ClientId,
        (data, terms): (Payload<'_>, &Terms<'_>),
    ) -> Option<u64> {
        self.stats.published += 1;
        let timestamp = self.now.unix_ms;
        let offset = self.keep_in_log(room, from, (data, terms));
        let told = Told::Data { from, data };
        self.tell_here(room, except, told, timestamp, offset);
        self.tell_elsewhere(room, except, told, timestamp, offset);
        offset
    }

    /// Tells the members that are connected to this shard.
    pub(super) fn tell_here(
        &mut self,
        room: u32,
        except: Option<ConnectionId>,
        told: Told<'_>,
        timestamp: u64,
        offset: Option<u64>,
    ) {
        let except = except.and_then(|connection| self.connections.resolve(connection));
        match told {
            Told::Data { from, data } => {
                let sent = Sent { timestamp, offset };
                self.publish_data(room, except, from, data, sent);
            }
            Told::Application(message) => self.publish_application(room, message),
            told => self.publish_notice(room, except, told),
        }
        // Notices are no sign of more to come.
        if matches!(told, Told::Data { .. } | Told::Application(_))
            && let Some((_, entry)) = self.rooms.get_mut(room)
            && entry.dirty
        {
            entry.said = entry.said.saturating_add(1);
        }
    }

    /// Publishes a client's data, in each form at most once: with the envelope, or bare where that is the form.
    fn publish_data(
        &mut self,
        room: u32,
        except: Publisher,
        from: ClientId,
        data: Payload<'_>,
        Sent { timestamp, offset }: Sent,
    ) {
        let mut scratch = core::mem::take(&mut self.scratch);
        let mut places = Places::new();
        for form in WireForm::ALL {
            if !self.has_receivers(room, except, form) {
                continue;
            }
            scratch.clear();
            let dialect = match (form, data) {
                (WireForm::JsonRaw, Payload::Json(json)) => {
                    scratch.extend_from_slice(json.as_bytes());
                    Dialect::Json
                }
                // Bytes have no bare form that could be told from a frame.
                (WireForm::Binary | WireForm::JsonRaw, _) => Dialect::Binary,
                (WireForm::Json, _) => Dialect::Json,
            };
            if scratch.is_empty() {
                let message = match room {
                    LOBBY => ServerMessage::Broadcast {
                        from,
                        data,
                        timestamp,
                    },
                    room => ServerMessage::RoomMessage {
                        room: self.rooms.name(room),
                        from,
                        data,
                        timestamp,
                        offset,
                    },
                };
                dialect.encode(&message, timestamp, &mut scratch);
            }
            self.publish_form(room, except, form, dialect, &scratch, Some(&mut places));
        }
        self.scratch = scratch;
        self.number(room, except, places);
    }

    /// Publishes what the embedding program has to say to a room.
    fn publish_application(&mut self, room: u32, message: &str) {
        let message = ServerMessage::Application { message };
        let now_ms = self.now.unix_ms;
        let mut scratch = core::mem::take(&mut self.scratch);
        let mut places = Places::new();
        for dialect in Dialect::ALL {
            scratch.clear();
            for &form in dialect.forms() {
                if !self.has_receivers(room, None, form) {
                    continue;
                }
                if scratch.is_empty() {
                    dialect.encode(&message, now_ms, &mut scratch);
                }
                self.publish_form(room, None, form, dialect, &scratch, Some(&mut places));
            }
        }
        self.scratch = scratch;
        self.number(room, None, places);
    }

    /// Publishes what the server has to say, the same for all forms of a dialect.
    fn publish_notice(&mut self, room: u32, except: Publisher, told: Told<'_>) {
        let now_ms = self.now.unix_ms;
        let mut scratch = core::mem::take(&mut self.scratch);
        let total = self.room_len(room);
        for dialect in Dialect::ALL {
            scratch.clear();
            for &form in dialect.forms() {
                if !self.has_receivers(room, except, form) {
                    continue;
                }
                if scratch.is_empty() {
                    let notice = notice(self.rooms.name(room), told, total);
                    dialect.encode(&notice, now_ms, &mut scratch);
                }
                self.publish_form(room, except, form, dialect, &scratch, None);
            }
        }
        self.scratch = scratch;
    }

    /// Gives a message to a room its number, where messages have one.
    fn number(&mut self, room: u32, from: Publisher, places: Places) {
        if self.outboxes.facts.is_on()
            && let Some(entry) = self.rooms.get(room)
        {
            let policy = entry.rule.slow_reader;
            let from = from.and_then(|index| self.connections.id(index));
            let to = Audience::Room { room, policy };
            self.outboxes.facts.publish(from, to, places);
        }
    }

    /// Publishes in one form, compressed for those who agreed on that. Data has `places`, where it is noted where it
    /// lies if that is asked for, and is kept where the room's policy asks for it.
    fn publish_form(
        &mut self,
        room: u32,
        from: Publisher,
        form: WireForm,
        dialect: Dialect,
        payload: &[u8],
        mut places: Option<&mut Places>,
    ) {
        let publisher = from.and_then(|index| self.slot_in(index, room));
        let Some((_, entry)) = self.rooms.get_mut(room) else {
            return;
        };
        let (policy, serial) = (entry.rule.slow_reader, entry.serial);
        let mut appended = 0;
        for group in entry.groups() {
            let except = publisher.and_then(|it| group.slot_of(it));
            let receivers = group.audience.len() - usize::from(except.is_some());
            if group.variant.form != form || receivers == 0 {
                continue;
            }
            let window = group.variant.window;
            let packed = self.compression.pack(window, payload, &mut self.stats);
            let write = |out: &mut Vec<u8>| packed.put(dialect.opcode(), out);
            let audience = &mut group.audience;
            let range = audience.publish(serial, except, &mut self.outboxes, policy, write);
            appended += (range.end - range.start) as usize;
            self.stats.deliveries += receivers as u64;
            let Some(places) = &mut places else {
                continue;
            };
            let buffers = &self.outboxes.buffers;
            let place = buffers.place(range);
            if policy == SlowReader::Latest {
                let before = group.kept_bytes();
                let frame = buffers.slice(range.buffer, range.start, range.end);
                group.keep_last(frame, place);
                self.input_bytes = self.input_bytes - before + group.kept_bytes();
            }
            if self.outboxes.facts.is_on() {
                places.push(place);
            }
        }
        if !entry.has_waiting() {
            return;
        }
        let told = Load {
            bytes: appended,
            messages: 1,
        };
        entry.told += told;
        if !entry.dirty {
            self.wait_for_seal(room);
        } else if let Some(due) = entry.held_until {
            self.held.note(due, room, told);
        }
    }

    /// Whether anybody but the publisher gets messages of a room in a form.
    fn has_receivers(&mut self, room: u32, from: Publisher, form: WireForm) -> bool {
        let publisher = from.and_then(|index| self.slot_in(index, room));
        let Some((_, entry)) = self.rooms.get_mut(room) else {
            return false;
        };
        entry.groups().any(|group| {
            let except = publisher.and_then(|it| group.slot_of(it));
            group.variant.form == form && group.audience.len() > usize::from(except.is_some())
        })
    }

    /// Of what variant a connection is, and its slot there in a room's audience.
    pub(super) fn slot_in(&self, index: u32, room: u32) -> Option<(Variant, u32)> {
        let session = self.connections.get(index)?.session()?;
        Some((session.variant()?, session.slot(room)?))
    }

    /// Queues for a client what its rooms have published so far. Looks at its rooms or at the dirty rooms, whichever are
    /// fewer.
    pub(super) fn cut_client(&mut self, index: u32) {
        if self.dirty.is_empty() && self.sealing.is_empty() && self.held.rooms().len() == 0 {
            return;
        }
        let Some(connection) = self.connections.get(index) else {
            return;
        };
        let Stage::Session(session) = &connection.stage else {
            return;
        };
        let Some(variant) = session.variant() else {
            return;
        };
        let (rooms, outboxes) = (&mut self.rooms, &mut self.outboxes);
        let mut cut = |room: u32, slot: u32| {
            if let Some((_, entry)) = rooms.get_mut(room)
                && entry.dirty
            {
                let policy = entry.rule.slow_reader;
                if let Some(audience) = entry.audience(variant) {
                    audience.cut(slot, outboxes, policy);
                }
            }
        };
        let dirty = self.dirty.len() + self.sealing.len() + self.held.rooms().len();
        if dirty < session.memberships.len() {
            self.steps.many(dirty);
            let held = self.held.rooms();
            for &room in self.sealing.iter().chain(&self.dirty).chain(held) {
                if let Some(slot) = session.slot(room) {
                    cut(room, slot);
                }
            }
        } else {
            self.steps.many(session.memberships.len());
            for membership in &session.memberships {
                cut(membership.room, membership.slot);
            }
        }
    }

    /// Seals what the rooms published, for at most `budget` members. `true` when none is left.
    pub(super) fn seal(&mut self, mut budget: u32) -> bool {
        if self.sealing.is_empty() {
            if self.dirty.is_empty() {
                self.outboxes.begin_seal();
                return true;
            }
            core::mem::swap(&mut self.sealing, &mut self.dirty);
            self.outboxes.begin_seal();
        }
        while budget > 0
            && let Some(&room) = self.sealing.last()
        {
            // A room costs at least one, so that many empty ones are bounded too.
            budget -= 1;
            self.steps.one();
            if !self.seal_room(room, &mut budget) {
                return false;
            }
            self.sealing.pop();
        }
        self.sealing.is_empty()
    }

    fn seal_room(&mut self, room: u32, budget: &mut u32) -> bool {
        let Some((_, entry)) = self.rooms.get_mut(room) else {
            return true;
        };
        if entry.held_until.is_some() {
            // Its number was another's, which was dirty.
            return true;
        }
        entry.begin_seal();
        let policy = entry.rule.slow_reader;
        for group in entry.groups() {
            if !group.audience.seal(&mut self.outboxes, policy, budget) {
                return false;
            }
        }
        entry.dirty = false;
        if entry.has_waiting() {
            self.wait_for_seal(room);
        }
        true
    }
}

/// When something was said, and where it stands in the room's log.
#[derive(Clone, Copy, Debug)]
struct Sent {
    timestamp: u64,
    offset: Option<u64>,
}

/// What a room is told, as a message; data is told in other ways.
fn notice<'a>(room: &'a str, told: Told<'a>, total: usize) -> ServerMessage<'a> {
    match told {
        Told::Joined(client) => ServerMessage::MemberJoined { room, client },
        Told::Left(client, reason) => ServerMessage::MemberLeft {
            room,
            client,
            reason,
        },
        Told::Changed { joined, left } => ServerMessage::MembersChanged {
            room,
            joined,
            left,
            total,
        },
        Told::Typing(client) => ServerMessage::UserTyping { room, client },
        Told::StoppedTyping(client) => ServerMessage::UserStoppedTyping { room, client },
        Told::Updated { client, metadata } => ServerMessage::MemberUpdated {
            room,
            client,
            metadata,
        },
        Told::Reset(position) => ServerMessage::Reset { room, position },
        Told::Application(message) => ServerMessage::Application { message },
        Told::Offered(offer) => ServerMessage::File(offer.notice()),
        Told::Data { .. } => ServerMessage::Ack(Published::default()),
    }
}

/// What a message is spelled in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Dialect {
    #[default]
    Json,
    Binary,
}

impl Dialect {
    pub(super) const ALL: [Self; 2] = [Self::Json, Self::Binary];

    const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Client(WireForm::Binary) => Self::Binary,
            Kind::Client(WireForm::Json | WireForm::JsonRaw) | Kind::Echo => Self::Json,
        }
    }

    pub(super) const fn opcode(self) -> OpCode {
        match self {
            Self::Json => TEXT,
            Self::Binary => BINARY,
        }
    }

    /// Forms in which notices are spelled in it.
    const fn forms(self) -> &'static [WireForm] {
        match self {
            Self::Json => &[WireForm::Json, WireForm::JsonRaw],
            Self::Binary => &[WireForm::Binary],
        }
    }

    /// Spells something that answers no request.
    pub(super) fn encode(self, message: &ServerMessage<'_>, now_ms: u64, out: &mut Vec<u8>) {
        match self {
            Self::Json => json::encode(message, None, out),
            Self::Binary => binary::encode(message, None, now_ms, out),
        }
    }
}

/// Frames of JSON text.
pub(super) const TEXT: OpCode = OpCode::Data(Data::Text);
/// Frames of bytes.
pub(super) const BINARY: OpCode = OpCode::Data(Data::Binary);
