//! Messages on their way out: to one client, to a room, to everyone.
//!
//! A message is encoded once per wire form that has a receiver. Before a client gets a message of its own it
//! is cut from its dirty rooms, so that the message does not overtake what they published before it.

use super::Server;
use crate::cluster::message::Told;
use crate::dialect::json;
use crate::id::{ClientId, ConnectionId};
use crate::message::ServerMessage;
use crate::room::{LOBBY, WireForm};
use crate::session::buffer::Place;
use crate::session::connection::{Kind, Stage};
use crate::session::facts::Audience;
use crate::session::outbox::Range;
use crate::websocket::{Data, OpCode, put_frame, put_header};

/// Who published a message and does not get it.
pub(super) type Publisher = Option<u32>;

impl Server {
    /// Sends one client a message; `id` is the request it answers.
    pub(super) fn send(&mut self, index: u32, message: &ServerMessage<'_>, id: Option<&str>) {
        let mut scratch = core::mem::take(&mut self.scratch);
        scratch.clear();
        json::encode(message, id, &mut scratch);
        if self.replies.are_for(index) {
            self.collect(index, &scratch);
        } else {
            self.send_text(index, &scratch);
        }
        self.scratch = scratch;
    }

    /// Sends one client text that is already encoded.
    pub(super) fn send_text(&mut self, index: u32, text: &[u8]) {
        self.write_text(index, text);
    }

    fn write_text(&mut self, index: u32, text: &[u8]) -> Option<Place> {
        self.flush_replies(index);
        self.cut_client(index);
        self.stats.direct += 1;
        self.outboxes
            .direct(index, |out| put_frame(out, TEXT, text))
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
            self.outboxes.facts.publish(from, to, [None; 2]);
        }
        let mut scratch = core::mem::take(&mut self.scratch);
        scratch.clear();
        json::encode(message, None, &mut scratch);
        let place = self.write_text(index, &scratch);
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
        self.tell_here(room, except, told, timestamp);
        self.tell_elsewhere(room, except, told, timestamp);
    }

    /// Tells the members that are connected to this shard.
    pub(super) fn tell_here(
        &mut self,
        room: u32,
        except: Option<ConnectionId>,
        told: Told<'_>,
        timestamp: u64,
    ) {
        let except = except.and_then(|connection| self.connections.resolve(connection));
        match told {
            Told::Data { from, data } => self.publish_data(room, except, from, data, timestamp),
            Told::Application(message) => self.publish_application(room, message),
            told => self.publish_notice(room, except, told),
        }
    }

    /// Publishes a client's data: with the envelope, and bare where that is the form.
    fn publish_data(
        &mut self,
        room: u32,
        except: Publisher,
        from: ClientId,
        data: &str,
        timestamp: u64,
    ) {
        let mut places = [None; WireForm::ALL.len()];
        if self.has_receivers(room, except, WireForm::Json) {
            let mut scratch = core::mem::take(&mut self.scratch);
            scratch.clear();
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
                },
            };
            json::encode(&message, None, &mut scratch);
            places[0] = self.publish_kept(room, except, WireForm::Json, &scratch);
            self.scratch = scratch;
        }
        places[1] = self.publish_kept(room, except, WireForm::JsonRaw, data.as_bytes());
        self.number(room, except, places);
    }

    /// Publishes what the embedding program has to say to a room.
    fn publish_application(&mut self, room: u32, message: &str) {
        let message = ServerMessage::Application { message };
        let mut scratch = core::mem::take(&mut self.scratch);
        scratch.clear();
        json::encode(&message, None, &mut scratch);
        let places = WireForm::ALL.map(|form| self.publish_kept(room, None, form, &scratch));
        self.scratch = scratch;
        self.number(room, None, places);
    }

    /// Publishes what the server has to say, the same for all forms.
    fn publish_notice(&mut self, room: u32, except: Publisher, told: Told<'_>) {
        let mut scratch = core::mem::take(&mut self.scratch);
        scratch.clear();
        let total = self.room_len(room);
        json::encode(
            &notice(self.rooms.name(room), told, total),
            None,
            &mut scratch,
        );
        for form in WireForm::ALL {
            self.publish_form(room, except, form, &scratch);
        }
        self.scratch = scratch;
    }

    /// Gives a message to a room its number, where messages have one.
    fn number(&mut self, room: u32, from: Publisher, places: [Option<Place>; 2]) {
        if self.outboxes.facts.is_on()
            && let Some(entry) = self.rooms.get(room)
        {
            let policy = entry.rule.slow_reader;
            let from = from.and_then(|index| self.connections.id(index));
            let to = Audience::Room { room, policy };
            self.outboxes.facts.publish(from, to, places);
        }
    }

    /// Publishes in one form; `None` if nobody gets it.
    fn publish_form(
        &mut self,
        room: u32,
        from: Publisher,
        form: WireForm,
        payload: &[u8],
    ) -> Option<Range> {
        let except = from.and_then(|index| self.slot_in(index, room, form));
        let (_, entry) = self.rooms.get_mut(room)?;
        let (policy, serial) = (entry.rule.slow_reader, entry.serial);
        let audience = entry.audience(form);
        let receivers = audience.len() - usize::from(except.is_some());
        if receivers == 0 {
            return None;
        }
        let place = audience.publish(serial, except, &mut self.outboxes, policy, |out| {
            put_header(out, TEXT, true, false, payload.len() as u64);
            out.extend_from_slice(payload);
        });
        self.stats.deliveries += receivers as u64;
        if !entry.dirty {
            entry.dirty = true;
            self.dirty.push(room);
        }
        Some(place)
    }

    /// Publishes data in one form, and keeps it where the room's policy asks for it.
    fn publish_kept(
        &mut self,
        room: u32,
        from: Publisher,
        form: WireForm,
        payload: &[u8],
    ) -> Option<Place> {
        // Without receivers nobody can miss it.
        let range = self.publish_form(room, from, form, payload)?;
        let place = self.outboxes.buffers.place(range);
        if let Some((_, entry)) = self.rooms.get_mut(room) {
            let before = entry.kept_bytes();
            entry.keep_last(form, payload, place);
            self.input_bytes = self.input_bytes - before + entry.kept_bytes();
        }
        Some(place)
    }

    /// Whether anybody but the publisher gets messages of a room in a form.
    fn has_receivers(&mut self, room: u32, from: Publisher, form: WireForm) -> bool {
        let publisher = from.and_then(|index| self.slot_in(index, room, form));
        let Some((_, entry)) = self.rooms.get_mut(room) else {
            return false;
        };
        entry.audience(form).len() > usize::from(publisher.is_some())
    }

    /// A connection's slot in a room's audience of one form.
    pub(super) fn slot_in(&self, index: u32, room: u32, form: WireForm) -> Option<u32> {
        let session = self.connections.get(index)?.session()?;
        match session.kind {
            Kind::Client(own) if own == form => session.slot(room),
            _ => None,
        }
    }

    /// Queues for a client what its rooms have published so far. Looks at its rooms or at the dirty rooms,
    /// whichever are fewer.
    pub(super) fn cut_client(&mut self, index: u32) {
        if self.dirty.is_empty() && self.sealing.is_empty() {
            return;
        }
        let Some(connection) = self.connections.get(index) else {
            return;
        };
        let Stage::Session(session) = &connection.stage else {
            return;
        };
        let Kind::Client(form) = session.kind else {
            return;
        };
        let (rooms, outboxes) = (&mut self.rooms, &mut self.outboxes);
        let mut cut = |room: u32, slot: u32| {
            if let Some((_, entry)) = rooms.get_mut(room)
                && entry.dirty
            {
                let policy = entry.rule.slow_reader;
                entry.audience(form).cut(slot, outboxes, policy);
            }
        };
        if self.dirty.len() + self.sealing.len() < session.memberships.len() {
            self.steps.many(self.dirty.len() + self.sealing.len());
            for &room in self.sealing.iter().chain(&self.dirty) {
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
        let policy = entry.rule.slow_reader;
        for audience in entry.audiences() {
            if !audience.seal(&mut self.outboxes, policy, budget) {
                return false;
            }
        }
        entry.dirty = entry.has_waiting();
        if entry.dirty {
            self.dirty.push(room);
        }
        true
    }
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
        Told::Data { data: message, .. } | Told::Application(message) => {
            ServerMessage::Application { message }
        }
    }
}

/// Frames of JSON text.
pub(super) const TEXT: OpCode = OpCode::Data(Data::Text);
/// Frames of bytes.
pub(super) const BINARY: OpCode = OpCode::Data(Data::Binary);
