//! What goes out: joins of rooms first, then the queue, one by one or gathered, as far as socket and server keep up.

use super::Session;
use super::config::ms;
use super::event::{Content, Dropped, Item, Outcome, State};
use super::link::Link;
use super::naming::Naming;
use super::queue::{Entry, Work};
use super::rooms::{Pause, Rooms};
use super::wire::{self, Form, Own, Wire, after};
use crate::client::SendError;
use crate::dialect::json::client::BATCH_BYTES;
use crate::id::ConnectionId;
use crate::time::Instant;
use crate::websocket::MAX_HEADER_BYTES;

/// A request without an outcome.
#[derive(Debug)]
pub(super) enum Pending {
    Join {
        room: u64,
        items: Vec<Item>,
        /// It is one of those that the session makes by itself.
        has_slot: bool,
    },
    Leave {
        item: Item,
    },
    Request {
        /// Without its content, when it will not be needed again.
        entry: Entry,
        /// The socket has taken it.
        is_taken: bool,
    },
}

impl Pending {
    pub(super) fn into_items(self) -> Vec<Item> {
        match self {
            Self::Join { items, .. } => items,
            Self::Leave { item } => vec![item],
            Self::Request { entry, .. } => vec![entry.item],
        }
    }
}

/// What the socket has not taken whole.
#[derive(Debug)]
pub(super) enum Untaken {
    /// Of the requests, by its id.
    Request(u64),
    /// Something whose outcome it is that the socket takes it.
    Sent(Entry),
}

impl Untaken {
    pub(super) fn into_item(self) -> Option<Item> {
        match self {
            Self::Request(_) => None,
            Self::Sent(entry) => Some(entry.item),
        }
    }
}

impl Session {
    /// The driver has written.
    pub(super) fn sent(&mut self, connection: ConnectionId, bytes: usize, blocked: bool) {
        let Some(link) = self.link_of(connection) else {
            return;
        };
        link.sent(bytes, blocked);
        let taken = link.taken();
        while let Some((end, _)) = self.untaken.front()
            && *end <= taken
        {
            match self.untaken.pop_front() {
                Some((_, Untaken::Sent(entry))) => self.tell_outcome(entry.item, Outcome::Sent),
                Some((_, Untaken::Request(id))) => self.is_taken(id),
                None => {}
            }
        }
        self.let_go();
    }

    fn is_taken(&mut self, id: u64) {
        if let Some(Pending::Request { entry, is_taken }) = self.pending.get_mut(&id) {
            *is_taken = true;
            if entry.delivery == super::Delivery::AtMostOnce {
                entry.work = Work::Content(Content::Request(String::new()));
            }
        }
    }

    /// Lets go what can go.
    pub(super) fn pump(&mut self) {
        self.is_stuck = false;
        if self.state == State::Resuming && !self.identity.is_open() {
            self.join_again();
        }
        self.flush();
    }

    // ---- rooms

    /// Joins the rooms again, a few at a time. When all have their outcome, what waits may go.
    fn join_again(&mut self) {
        while self.slots < self.config.joins_at_once
            && let Some(number) = self.rooms.after(self.joined_up_to)
        {
            let is_under_way =
                |room: &mut super::rooms::Room| room.is_on_link || room.pause.is_some();
            if !self.rooms.get(number).is_some_and(is_under_way) {
                if !self.ask(number, Vec::new(), true) {
                    return;
                }
                self.slots += 1;
            }
            self.joined_up_to = number;
        }
        let has_all = self.slots == 0 && self.rooms.after(self.joined_up_to).is_none();
        if has_all && self.is_welcome {
            self.become_state(State::Open);
            self.urgent_order = self.last_order;
        }
    }

    /// Says something of the session's own; its id, if that is sent.
    pub(super) fn say(&mut self, own: Own<'_>) -> Option<u64> {
        self.last_id = after(self.last_id);
        let link = self.link.as_mut()?;
        let message = wire::own(link.form, own, self.last_id, self.unix_ms);
        link.send(&message).is_ok().then_some(self.last_id)
    }

    /// Asks to be in a room. Whether that is sent.
    pub(super) fn ask(&mut self, number: u64, mut items: Vec<Item>, has_slot: bool) -> bool {
        let Some(room) = self.rooms.get(number) else {
            return false;
        };
        let (name, since) = (room.name.clone(), room.since());
        let Some(id) = self.say(Own::Join { room: &name, since }) else {
            return false;
        };
        let Some(room) = self.rooms.get(number) else {
            return false;
        };
        room.asked = Some(id);
        room.is_on_link = true;
        room.is_resuming = room.has_joined;
        items.extend(self.queue.take_waiters(number));
        self.pending.insert(
            id,
            Pending::Join {
                room: number,
                items,
                has_slot,
            },
        );
        true
    }

    /// Asks once more for a room that has asked for patience.
    pub(super) fn ask_again(&mut self, number: u64, pause: Pause) {
        if !self.ask(number, pause.items.clone(), pause.has_slot) {
            let until = self.now + ms(FULL_MS);
            self.rooms.pause(number, Pause { until, ..pause });
        }
    }

    // ---- the queue

    /// Sends what may go, in order.
    pub(super) fn flush(&mut self) {
        while self.state == State::Open && !self.is_stuck && self.is_due() {
            self.is_stuck = !self.send_next();
        }
    }

    /// Whether the first entry has been gathered for long enough, or with enough others.
    fn is_due(&self) -> bool {
        let Some(front) = self.queue.front() else {
            return false;
        };
        self.config.batching.is_none_or(|batching| {
            front.order <= self.urgent_order
                || self.queue.len() >= batching.max_messages
                || self.queue.bytes() >= batching.max_bytes
                || front.since + ms(batching.interval_ms) <= self.now
        })
    }

    /// When it will have been: only while something waits, and could go.
    pub(super) fn batch_due(&self) -> Option<Instant> {
        let batching = self.config.batching.as_ref()?;
        let front = self.queue.front()?;
        let is_waiting = self.state == State::Open && !self.is_stuck;
        is_waiting.then(|| front.since + ms(batching.interval_ms))
    }

    /// Sends the first entry, with those behind it that go together, or finds that it never can. `false`: not now.
    fn send_next(&mut self) -> bool {
        let (Some(front), Some(link)) = (self.queue.front(), &self.link) else {
            return false;
        };
        let most = self.config.connection.max_unsent_bytes;
        if !link.wire.unsent().is_empty() && room_for(link, front.bytes(), most).is_err() {
            return false;
        }
        let item = front.item;
        match front.work {
            Work::Content(Content::Binary(_) | Content::Text(_)) => self.send_alone(),
            Work::Join { room, .. } => {
                let is_asked = self.attach(room, item);
                if is_asked {
                    self.queue.pop();
                }
                is_asked || self.send_together()
            }
            _ => self.send_together(),
        }
    }

    /// Sends what is no message of the protocol.
    fn send_alone(&mut self) -> bool {
        let (Some(front), Some(link)) = (self.queue.front(), &mut self.link) else {
            return false;
        };
        let Work::Content(content) = &front.work else {
            return false;
        };
        if content.len() > self.max_message_bytes {
            return self.drop_first(Dropped::TooLarge);
        }
        let room = room_for(link, content.len(), self.config.connection.max_unsent_bytes);
        let sent = room.and_then(|()| match content {
            Content::Binary(bytes) => link.wire.send_binary(bytes),
            Content::Json(text) | Content::Request(text) | Content::Text(text) => {
                link.wire.send_text(text)
            }
        });
        self.after_send(sent, vec![None])
    }

    /// Sends objects: one as it is, several as a batch.
    fn send_together(&mut self) -> bool {
        let max_unsent_bytes = self.config.connection.max_unsent_bytes;
        let largest = self
            .max_message_bytes
            .min(max_unsent_bytes - MAX_HEADER_BYTES);
        let (most, max_bytes) = self
            .config
            .batching
            .map_or((1, 0), |it| (it.max_messages, it.max_bytes.min(largest)));
        let (parts, ids) = self.parts(most, max_bytes);
        let (Some(message), Some(link)) = (Wire::batch(parts), &mut self.link) else {
            return false;
        };
        if message.len() > self.max_message_bytes {
            return self.drop_first(Dropped::TooLarge);
        }
        let room = room_for(link, message.len(), max_unsent_bytes);
        let sent = room.and_then(|()| link.send(&message));
        self.after_send(sent, ids)
    }

    /// The first entries that go together, at most so many and so large, and the ids that they get.
    fn parts(&mut self, most: usize, max_bytes: usize) -> (Vec<Wire>, Vec<Option<u64>>) {
        let (mut parts, mut ids, mut bytes) = (Vec::new(), Vec::new(), BATCH_BYTES);
        let form = self.link.as_ref().map_or(Form::Json, |link| link.form);
        let takes_names = self.link.as_ref().is_some_and(|link| link.takes_names);
        let mut in_flight = self.pending.len();
        for entry in self.queue.iter().take(most) {
            if in_flight >= self.config.max_in_flight {
                break;
            }
            let id = after(self.last_id);
            let name = takes_names
                .then(|| self.names.spell(entry.naming))
                .flatten();
            let named = (entry, name.as_deref());
            let Some((part, has_id)) = object(form, named, id, self.unix_ms, &mut self.rooms)
            else {
                break;
            };
            if let Some(first) = parts.first()
                && (!part.goes_with(first) || bytes + part.len() + 1 > max_bytes)
            {
                break;
            }
            bytes += part.len() + 1;
            parts.push(part);
            ids.push(has_id.then_some(id));
            if has_id {
                self.last_id = id;
            }
            in_flight += usize::from(has_id);
        }
        (parts, ids)
    }

    /// What was sent, the first entries with these ids, is no longer queued.
    fn after_send(&mut self, sent: Result<(), SendError>, ids: Vec<Option<u64>>) -> bool {
        let Some(link) = &self.link else { return false };
        match sent {
            Ok(()) => {}
            // Nothing will make room for it.
            Err(SendError::Full) if link.wire.unsent().is_empty() => {
                return self.drop_first(Dropped::TooLarge);
            }
            Err(_) => return false,
        }
        let end = link.end();
        for id in ids {
            if let Some(entry) = self.queue.pop() {
                self.is_sent(entry, id, end);
            }
        }
        true
    }

    fn is_sent(&mut self, mut entry: Entry, id: Option<u64>, end: u64) {
        if self.link.as_ref().is_some_and(|link| !link.takes_names) {
            entry.naming = Naming::Without;
        }
        let Some(id) = id else {
            return self.untaken.push_back((end, Untaken::Sent(entry)));
        };
        let pending = match entry.work {
            Work::Content(_) => {
                self.untaken.push_back((end, Untaken::Request(id)));
                Pending::Request {
                    entry,
                    is_taken: false,
                }
            }
            Work::Leave { .. } => Pending::Leave { item: entry.item },
            Work::Join { room: number, .. } => {
                if let Some(room) = self.rooms.get(number) {
                    room.asked = Some(id);
                    room.is_on_link = true;
                    room.is_resuming = room.has_joined;
                }
                Pending::Join {
                    room: number,
                    items: vec![entry.item],
                    has_slot: false,
                }
            }
        };
        self.pending.insert(id, pending);
    }

    fn drop_first(&mut self, why: Dropped) -> bool {
        // Without a name of the session's own it may fit.
        if why == Dropped::TooLarge && self.queue.unname_first() {
            return true;
        }
        if let Some(entry) = self.queue.pop() {
            self.drop_item(entry.item, why);
        }
        true
    }
}

/// Whether a frame with so much payload fits beside what waits for the socket, less what is reserved.
fn room_for(link: &Link, bytes: usize, max_unsent_bytes: usize) -> Result<(), SendError> {
    let unsent = link.wire.unsent().len().saturating_add(MAX_HEADER_BYTES);
    if unsent.saturating_add(bytes) <= max_unsent_bytes {
        Ok(())
    } else {
        Err(SendError::Full)
    }
}

/// What an entry is on the wire, with this id if it takes one, and under its name. `None`: it is no object.
fn object(
    form: Form,
    (entry, name): (&Entry, Option<&str>),
    id: u64,
    now_ms: u64,
    rooms: &mut Rooms,
) -> Option<(Wire, bool)> {
    let own = |own| Some((wire::own(form, own, id, now_ms), true));
    match &entry.work {
        Work::Content(Content::Json(text)) => {
            Some((wire::object(form, text, (None, None), now_ms)?, false))
        }
        Work::Content(Content::Request(text)) => {
            Some((wire::object(form, text, (Some(id), name), now_ms)?, true))
        }
        Work::Content(Content::Binary(_) | Content::Text(_)) => None,
        Work::Leave { name: room } => own(Own::Leave { room }),
        Work::Join { room: number, name } => {
            let since = rooms.get(*number).and_then(|room| room.since());
            own(Own::Join { room: name, since })
        }
    }
}

/// How soon a join is tried again for which the socket had no room.
pub(super) const FULL_MS: u64 = 100;
