//! What rooms keep of what is said in them: each within its own bounds, all together within the server's.

use super::Server;
use super::admission::Refused;
use super::deadlines::Deadline;
use super::messages::{Outcome, refusal};
use crate::config::Limits;
use crate::error::ErrorCode;
use crate::id::ClientId;
use crate::message::{Asked, Epoch, MAX_LEFT_OUT, Payload, Position, ServerMessage, Terms};
use crate::room::LOBBY;
use crate::room::history::{Found, History, Past, Wanted, Which, wire_bytes};

/// The rooms that have messages kept, and what these take together.
#[derive(Debug, Default)]
pub(super) struct Histories {
    rooms: Vec<u32>,
    /// The room that is the next to lose its oldest.
    hand: usize,
    bytes: usize,
}

impl Histories {
    /// Memory of the list.
    pub(super) fn heap_bytes(&self) -> usize {
        self.rooms.capacity() * size_of::<u32>()
    }

    /// What the messages take, in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Server {
    /// Messages of a room that are kept, as a reply of one page.
    pub(super) fn history(
        &mut self,
        index: u32,
        name: &str,
        epoch: Option<Epoch>,
        which: Which,
        limit: Option<u32>,
        asked: Asked<'_>,
    ) -> Result<Outcome, Refused> {
        let room = self.find_own_room(index, name)?;
        let cap = self.config.limits.max_history_listed.max(1);
        let limit = limit.unwrap_or(cap).clamp(1, cap) as usize;
        self.admit(index, limit / MESSAGES_PER_DELIVERY)?;
        let wanted = Wanted {
            epoch,
            which,
            limit,
        };
        if !self.is_home(room) {
            self.ask_history(index, room, wanted, asked);
            return Ok(Outcome::Later);
        }
        let found = self.find_history(room, &wanted).ok_or_else(no_history)?;
        self.reply_history(index, name, &found, asked);
        Ok(Outcome::Replied)
    }

    /// What a room that has its home here keeps of what is wanted; `None` if it keeps nothing.
    pub(super) fn find_history(&self, room: u32, wanted: &Wanted) -> Option<Found> {
        let history = self.rooms.get(room)?.history.as_deref()?;
        let found = history.find(wanted, max_page_bytes(&self.config.limits), self.now.mono);
        self.steps.many(found.messages.len());
        Some(found)
    }

    pub(super) fn reply_history(
        &mut self,
        index: u32,
        name: &str,
        found: &Found,
        asked: Asked<'_>,
    ) {
        let reply = ServerMessage::History {
            room: name,
            position: found.position,
            messages: found.past().into(),
            more: found.more,
            gap: found.gap,
            reset: found.reset,
            left_out: found.left_out.as_slice().into(),
        };
        self.send(index, &reply, asked);
    }

    /// Where a room's log stands, if it has its home here and keeps anything.
    pub(super) fn position_of(&self, room: u32) -> Option<Position> {
        let history = self.rooms.get(room)?.history.as_deref()?;
        Some(history.position())
    }

    /// The epoch of the room with this serial: no other that this server or an earlier one has made is likely to have
    /// it.
    pub(super) fn epoch_of(&self, serial: u32) -> Epoch {
        let mut name = [0; 8];
        let (place, rest) = name.split_at_mut(4);
        place.copy_from_slice(&serial.to_be_bytes());
        let (restarts, shard) = rest.split_at_mut(2);
        restarts.copy_from_slice(&self.restarts.to_be_bytes());
        shard.fill(self.shard.0);
        Epoch(self.keyed_hash(&name))
    }

    /// Keeps what is said in a room, if its rule is to, and gives it its offset.
    pub(super) fn keep_in_log(
        &mut self,
        room: u32,
        from: ClientId,
        (data, terms): (Payload<'_>, &Terms<'_>),
    ) -> Option<u64> {
        if room == LOBBY {
            return None;
        }
        let now = self.now;
        let (_, entry) = self.rooms.get_mut(room)?;
        let history = entry.history.as_deref_mut()?;
        let before = history.bytes();
        let was_empty = history.is_empty();
        let offset = history.push(Past {
            from,
            said: now.mono,
            timestamp: now.unix_ms,
            data: data.into(),
            ttl_ms: terms.ttl_ms,
            key: terms.key.as_deref().map(Into::into),
            offset: 0,
        });
        if was_empty && !history.is_empty() {
            history.place = self.histories.rooms.len() as u32;
            self.histories.rooms.push(room);
        }
        self.histories.bytes = self.histories.bytes - before + history.bytes();
        self.history_has_changed(room);
        self.spare_history();
        Some(offset)
    }

    /// Rooms lose their oldest, each in its turn, until all is within the budget of this shard.
    fn spare_history(&mut self) {
        let shards = self.links.shards().len().max(1);
        let max = self.config.limits.max_history_bytes / shards;
        while self.histories.bytes > max
            && let Some(&room) = self.histories.rooms.get(self.histories.hand)
        {
            self.steps.one();
            self.stats.history_evicted += 1;
            self.drop_oldest(room);
            self.history_has_changed(room);
            let count = self.histories.rooms.len();
            self.histories.hand = (self.histories.hand + 1) % count.max(1);
        }
    }

    fn drop_oldest(&mut self, room: u32) {
        if let Some((_, entry)) = self.rooms.get_mut(room)
            && let Some(history) = entry.history.as_deref_mut()
        {
            self.histories.bytes -= history.pop();
        }
    }

    /// The oldest message of a room is too old, or one is out of date: what is due goes, a part of it at a time.
    pub(super) fn history_is_due(&mut self, room: u32) {
        let now = self.now.mono;
        if let Some((_, entry)) = self.rooms.get_mut(room)
            && let Some(history) = entry.history.as_deref_mut()
        {
            history.due = None;
            for _ in 0..DUE_AT_ONCE {
                let Some(freed) = history.let_go_due(now) else {
                    break;
                };
                self.steps.one();
                self.histories.bytes -= freed;
            }
        }
        self.history_has_changed(room);
    }

    /// Has the deadline of what a room keeps set, and the room listed only while it has one.
    fn history_has_changed(&mut self, room: u32) {
        let Some((_, entry)) = self.rooms.get_mut(room) else {
            return;
        };
        let Some(history) = entry.history.as_deref_mut() else {
            return;
        };
        let due = history.next_due();
        let place = history.place;
        let was = core::mem::replace(&mut history.due, due);
        if was != due {
            if let Some(was) = was {
                self.deadlines.remove(was, Deadline::RoomHistory(room));
            }
            if let Some(due) = due {
                self.deadlines.insert(due, Deadline::RoomHistory(room));
            }
        }
        if due.is_none() && self.histories.rooms.get(place as usize) == Some(&room) {
            self.unlist(place);
        }
    }

    fn unlist(&mut self, place: u32) {
        self.histories.rooms.swap_remove(place as usize);
        let moved = self.histories.rooms.get(place as usize).copied();
        let moved = moved.and_then(|room| self.rooms.get_mut(room));
        if let Some(history) = moved.and_then(|(_, entry)| entry.history.as_deref_mut()) {
            history.place = place;
        }
        if self.histories.hand >= self.histories.rooms.len() {
            self.histories.hand = 0;
        }
    }

    /// A room has been removed, and what it kept.
    pub(super) fn forget_history(&mut self, room: u32, history: &History) {
        self.histories.bytes -= history.bytes();
        if let Some(due) = history.due {
            self.deadlines.remove(due, Deadline::RoomHistory(room));
        }
        if !history.is_empty() {
            self.unlist(history.place);
        }
    }
}

pub(super) const fn no_history() -> Refused {
    let message = "The room keeps no messages";
    refusal(ErrorCode::NoHistory, message)
}

/// What a page has of messages on the wire, unless one alone is more.
pub(super) fn max_page_bytes(limits: &Limits) -> usize {
    limits.max_message_bytes.min(MAX_PAGE_BYTES)
}

const MAX_PAGE_BYTES: usize = 64 * 1024;
/// What is left out is named before each message of a page, and behind the last one: there are never too many ranges.
const _: () = assert!(MAX_PAGE_BYTES / wire_bytes(0) + 2 <= MAX_LEFT_OUT);
/// So many messages of a room go at once that are due.
const DUE_AT_ONCE: usize = 64;
/// So many messages of a page are charged like one to somebody else.
pub(super) const MESSAGES_PER_DELIVERY: usize = 10;
