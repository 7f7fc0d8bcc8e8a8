//! What comes: events of the wire, and what messages mean for the session itself.

use super::event::{CloseCause, Dropped, Event, Outcome, RoomMessage};
use super::lifecycle::{Ending, Goodbye};
use super::link::{Link, Stage};
use super::rooms::Pause;
use super::sending::Pending;
use super::wire::{Form, id_of, own_id};
use super::{Message, Page, Session, Told, frames};
use crate::client::{Event as WireEvent, ResponseError};
use crate::dialect::binary;
use crate::dialect::json::client::split_batch;
use crate::id::ConnectionId;
use crate::message::Position;
use crate::websocket::DecodeError;

use super::config::ms;

/// What came, owned.
enum Heard {
    Bad(ResponseError),
    Binary(Vec<u8>),
    Closed(Option<u16>, String),
    Control,
    Lost,
    Open(Option<String>),
    Refused(u16, String, Option<u64>),
    Text(String),
    Violation(DecodeError),
}

impl From<WireEvent<'_>> for Heard {
    fn from(event: WireEvent<'_>) -> Self {
        match event {
            WireEvent::Open { protocol } => Self::Open(protocol.map(str::to_owned)),
            WireEvent::Text(text) => Self::Text(text.to_owned()),
            WireEvent::Binary(bytes) => Self::Binary(bytes.to_owned()),
            WireEvent::Ping(_) | WireEvent::Pong(_) => Self::Control,
            WireEvent::Closed { code, reason } => Self::Closed(code, reason.to_owned()),
            WireEvent::Refused {
                status,
                reason,
                retry_after_s,
                ..
            } => Self::Refused(status, reason.to_owned(), retry_after_s),
            WireEvent::BadResponse(error) => Self::Bad(error),
            WireEvent::Violation(error) => Self::Violation(error),
            WireEvent::Lost => Self::Lost,
        }
    }
}

impl Session {
    pub(super) fn received(&mut self, connection: ConnectionId, bytes: &mut [u8]) {
        let Some(link) = self.link_of(connection) else {
            return;
        };
        if link.has_unread() {
            return link.keep_unread(bytes);
        }
        let at = self.read(connection, bytes, 0);
        if let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty())
            && let Some(link) = self.link.as_mut().filter(|link| link.id == connection)
        {
            link.keep_unread(rest);
        }
        self.let_go();
    }

    /// Reads on in what has come, when there is room again for what it says; whether there was anything.
    pub(super) fn read_on(&mut self) -> bool {
        let has_room = self.has_room_again();
        let is_due =
            |link: &&mut Link| link.has_unread() && (has_room || link.stage == Stage::Leaving);
        let Some(link) = self.link.as_mut().filter(is_due) else {
            return false;
        };
        let connection = link.id;
        let (mut unread, at) = link.take_unread();
        let at = self.read(connection, &mut unread, at);
        if let Some(link) = self.link.as_mut().filter(|link| link.id == connection) {
            link.is_read(unread, at);
            if !link.has_unread() && core::mem::take(&mut link.read_ended) {
                self.read_end(connection);
            }
        }
        self.let_go();
        true
    }

    /// Reads what has come from a place on, as long as there is room for what it says; up to where.
    fn read(&mut self, connection: ConnectionId, bytes: &mut [u8], mut at: usize) -> usize {
        while let Some(unread) = bytes.get_mut(at..).filter(|unread| !unread.is_empty()) {
            let is_full = self.is_full();
            let is_to_be = |link: &&mut Link| {
                link.id == connection && (!is_full || link.stage == Stage::Leaving)
            };
            let Some(link) = self.link.as_mut().filter(is_to_be) else {
                break;
            };
            let mut heard = None;
            at += link
                .wire
                .receive_next(unread, |event| heard = Some(event.into()));
            match heard {
                // A part of a message is a sign of life, too.
                None => self.heartbeat.heard(),
                Some(heard) if link.stage == Stage::Leaving => self.heard_last(heard),
                Some(heard) => self.heard(heard),
            }
        }
        at
    }

    fn heard(&mut self, heard: Heard) {
        match heard {
            Heard::Open(protocol) => self.opened(protocol),
            Heard::Text(text) => self.heard_text(text),
            Heard::Binary(bytes) => self.heard_binary(bytes),
            Heard::Control => self.heartbeat.heard(),
            Heard::Closed(code, reason) => self.turn_away(Ending::close_frame(code, reason)),
            Heard::Refused(status, reason, retry_after_s) => {
                self.turn_away(Ending::refused(status, reason, retry_after_s));
            }
            Heard::Bad(error) => self.turn_away(Ending::lost(CloseCause::BadResponse(error))),
            Heard::Violation(error) => self.turn_away(Ending::lost(CloseCause::Violation(error))),
            Heard::Lost => self.turn_away(Ending::lost(CloseCause::Lost)),
        }
    }

    /// What comes on a connection that only says goodbye.
    fn heard_last(&mut self, heard: Heard) {
        match heard {
            Heard::Closed(code, reason) => self.said_goodbye(Ending::close_frame(code, reason)),
            Heard::Violation(error) => {
                self.said_goodbye(Ending::lost(CloseCause::Violation(error)));
            }
            _ => {}
        }
    }

    fn heard_text(&mut self, text: String) {
        let message = Message::read(text);
        if message.told == Told::Other
            && let Some(parts) = split_batch(&message.text)
        {
            let most = self.config.max_batch_messages;
            let parts: Vec<&str> = parts.take(most.saturating_add(1)).collect();
            if parts.len() > most {
                return self.break_off();
            }
            for part in parts {
                if self.is_leaving() {
                    return;
                }
                self.heard_object(Message::read(part.to_owned()));
            }
            return;
        }
        self.heard_object(message);
    }

    fn heard_object(&mut self, message: Message) {
        let id = message.id.as_deref().and_then(own_id);
        self.heard_message(message, id);
    }

    fn heard_binary(&mut self, bytes: Vec<u8>) {
        let form = self.link.as_ref().map(|link| link.form);
        if form != Some(Form::Binary) {
            return self.heard_bytes(bytes);
        }
        match binary::split_batch(&bytes) {
            Ok(Some(frames)) if frames.clone().count() > self.config.max_batch_messages => {
                self.break_off();
            }
            Ok(Some(frames)) => {
                for frame in frames {
                    if self.is_leaving() {
                        return;
                    }
                    self.heard_frame(frame.to_owned());
                }
            }
            _ => self.heard_frame(bytes),
        }
    }

    fn heard_frame(&mut self, bytes: Vec<u8>) {
        match frames::read(&bytes) {
            Some((message, number)) => {
                let id = number.and_then(|number| id_of(number, self.last_id));
                self.heard_message(message, id);
            }
            None => self.heard_bytes(bytes),
        }
    }

    fn is_leaving(&self) -> bool {
        let link = self.link.as_ref();
        link.is_none_or(|link| link.stage == Stage::Leaving)
    }

    /// So much in one message is more than any server has to say.
    fn break_off(&mut self) {
        if let Some(link) = &mut self.link {
            link.wire.close(PROTOCOL_ERROR, "too many messages in one");
        }
        self.turn_away(Ending::lost(CloseCause::BatchTooLong));
    }

    /// What is the program's.
    fn heard_bytes(&mut self, bytes: Vec<u8>) {
        self.heartbeat.heard();
        self.tell(Event::Binary(bytes));
    }

    /// A message, and the request that it answers.
    fn heard_message(&mut self, message: Message, id: Option<u64>) {
        if id.is_some_and(|id| self.heartbeat.answered(self.now, id)) {
            return;
        }
        // A pong that is late for another ping says nothing of now.
        if !matches!(message.told, Told::Pong { .. }) {
            self.heartbeat.heard();
        }
        if let Some(wants) = id.and_then(|id| self.identity.answered(id)) {
            return self.told_who_it_is(wants, message);
        }
        let pending = id.and_then(|id| self.pending.remove(&id));
        match pending {
            None => self.heard_by_itself(message),
            Some(Pending::Join {
                room,
                items,
                has_slot,
            }) => {
                let outcome = Pause {
                    until: self.now,
                    items,
                    has_slot,
                };
                self.join_answered(room, outcome, message);
            }
            Some(Pending::Leave { item }) => self.tell_answer(item, message),
            Some(Pending::Request { entry, .. }) => {
                // A request of the program's own may be a join, or a leave.
                match &message.told {
                    Told::JoinedRoom { room, history, .. } => self.joined(room, *history, true),
                    Told::LeftRoom { room } => self.left(room),
                    Told::Session(told) => self.has_session(told),
                    _ => {}
                }
                if let Some(entry) = self.perhaps_without(entry, &message) {
                    self.tell_answer(entry.item, message);
                }
            }
        }
    }

    fn tell_answer(&mut self, item: super::Item, message: Message) {
        let outcome = if matches!(message.told, Told::Error { .. }) {
            Outcome::Refused(message)
        } else {
            Outcome::Answered(message)
        };
        self.tell_outcome(item, outcome);
    }

    // ---- rooms

    fn join_answered(&mut self, number: u64, asked: Pause, message: Message) {
        if let Some(room) = self.rooms.get(number) {
            room.asked = None;
        }
        let is_wanted = self.rooms.get(number).is_some();
        match &message.told {
            Told::Error {
                retry_after_ms: Some(wait),
                ..
            } if is_wanted => {
                if let Some(room) = self.rooms.get(number) {
                    room.is_on_link = room.is_joined;
                }
                let until = self.now + ms((*wait).min(self.config.max_hint_ms));
                return self.rooms.pause(number, Pause { until, ..asked });
            }
            // Whoever has left hears no more of it.
            Told::Error { .. } if !is_wanted => {
                self.slots -= usize::from(asked.has_slot);
                for item in asked.items {
                    self.drop_item(item, Dropped::Left);
                }
                return;
            }
            // The server's no is final.
            Told::Error { .. } => {
                self.remove_room(number);
            }
            // What was joined and is not wanted any more is about to be left.
            Told::JoinedRoom { room, history, .. } => self.joined(room, *history, false),
            _ => {}
        }
        self.slots -= usize::from(asked.has_slot);
        if asked.items.is_empty() {
            self.tell(Event::Message(message.clone()));
        }
        for item in asked.items {
            self.tell_answer(item, message.clone());
        }
    }

    /// The server says that the session is in a room; `adds`: also one that was not asked for by a join of its own.
    fn joined(&mut self, name: &str, history: Option<Position>, adds: bool) {
        let adds = adds && name.len() <= self.config.max_room_name_bytes;
        if self.rooms.number(name).is_none() && adds && self.rooms.len() < self.config.max_rooms {
            self.rooms.add(name);
        }
        if let Some(room) = self.rooms.by_name(name) {
            room.joined(history);
        }
    }

    /// The server says that it is in a room no longer.
    fn left(&mut self, name: &str) {
        if let Some(number) = self.rooms.number(name) {
            self.remove_room(number);
        }
    }

    // ---- what the server says by itself

    fn heard_by_itself(&mut self, message: Message) {
        match message.told {
            Told::Session(told) => return self.has_session(&told),
            Told::PrivateMessage { offset, .. } => match self.identity.hear(offset) {
                None => return,
                Some(gaps) => self.tell_mail_gaps(gaps),
            },
            Told::RoomMessage { room, said, offset } => {
                let known = self.rooms.by_name(&room);
                if known.is_none_or(|known| known.is_new(offset)) {
                    self.tell(Event::RoomMessage(RoomMessage { room, said, offset }));
                }
                return;
            }
            Told::History(page) if message.id.is_none() && self.is_resuming(&page.room) => {
                return self.catch_up(page);
            }
            Told::Resumed {
                room,
                position,
                complete,
            } => {
                if let Some(known) = self.rooms.by_name(&room) {
                    known.stands_at(position);
                    known.is_resuming = false;
                }
                return self.tell(Event::Resumed {
                    room,
                    position,
                    complete,
                });
            }
            Told::Reset { room, position } => {
                self.begin_anew(&room, position);
                return self.tell(Event::Reset { room, position });
            }
            Told::Welcome {
                client,
                max_message_bytes,
                ..
            } => {
                self.identity.welcome(client);
                let most = max_message_bytes.unwrap_or(u64::MAX);
                self.max_message_bytes = usize::try_from(most).unwrap_or(usize::MAX);
                self.welcomed();
            }
            Told::Closing {
                reconnect_after_ms, ..
            } => self.goodbye = Some(Goodbye(reconnect_after_ms.map(ms))),
            Told::JoinedRoom {
                ref room, history, ..
            } => self.joined(room, history, true),
            // Removed, or left by a message of the program's own.
            Told::LeftRoom { ref room } => self.left(room),
            _ => {}
        }
        self.tell(Event::Message(message));
    }

    fn is_resuming(&mut self, room: &str) -> bool {
        self.rooms.by_name(room).is_some_and(|it| it.is_resuming)
    }

    /// The server has lost what the room kept. What the new log has by now may have been said before the server knew
    /// again that this client is in the room. Others in the room may be the reason for a second one of the same log.
    fn begin_anew(&mut self, name: &str, position: Position) {
        let Some(number) = self.rooms.number(name) else {
            return;
        };
        let Some(room) = self.rooms.get(number) else {
            return;
        };
        if room.epoch == Some(position.epoch) {
            return;
        }
        (room.epoch, room.last) = (Some(position.epoch), Some(0));
        let asks = position.last > 0 && room.has_joined && room.asked.is_none();
        if asks && room.pause.is_none() && !self.ask(number, Vec::new(), false) {
            let pause = Pause {
                until: self.now,
                items: Vec::new(),
                has_slot: false,
            };
            self.ask_again(number, pause);
        }
    }

    /// A page of what was said while the session was away, as if it were said now.
    fn catch_up(&mut self, page: Page) {
        if page.messages.len() > self.config.max_batch_messages {
            return self.break_off();
        }
        let Page {
            room: name,
            position,
            messages,
            gap,
            reset,
            left_out: _,
        } = page;
        let mut told = Vec::new();
        let Some(room) = self.rooms.by_name(&name) else {
            return;
        };
        // It may have been told so while it waited for this, and have heard of that log since.
        let is_news = reset && room.epoch != Some(position.epoch);
        room.epoch = Some(position.epoch);
        if is_news {
            room.last = Some(0);
            let room = name.clone();
            told.push(Event::Reset { room, position });
        }
        if let Some(gap) = gap {
            room.last = Some(gap.to);
            let room = name.clone();
            told.push(Event::Gap { room, gap });
        }
        for kept in messages {
            if !room.is_later(kept.offset) {
                continue;
            }
            let is_own = self.identity.is_own(&kept.said.from);
            let message = RoomMessage {
                room: name.clone(),
                said: kept.said,
                offset: Some(kept.offset),
            };
            told.push(if is_own {
                Event::OwnMessage(message)
            } else {
                Event::RoomMessage(message)
            });
        }
        for event in told {
            self.tell(event);
        }
    }
}

/// The close code of who breaks the rules.
const PROTOCOL_ERROR: u16 = 1002;
