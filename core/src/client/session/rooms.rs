//! The rooms that a session wants to be in, and how far it has heard each. Knows no connection and no message.

use core::ops::Bound;
use std::collections::{BTreeMap, BTreeSet};

use super::event::Item;
use crate::message::{Epoch, Position};
use crate::time::Instant;

/// A room.
#[derive(Debug, Default)]
pub(super) struct Room {
    pub(super) name: String,
    /// The server has said so, on this connection or an earlier one: whoever joins again comes back.
    pub(super) has_joined: bool,
    /// It was asked for, or joined, on the connection that there is.
    pub(super) is_on_link: bool,
    /// The server has said so on the connection that there is.
    pub(super) is_joined: bool,
    /// The join that is on its way.
    pub(super) asked: Option<u64>,
    /// A refusal is waited for, and who waits with it.
    pub(super) pause: Option<Pause>,
    /// What comes is what was missed.
    pub(super) is_resuming: bool,
    pub(super) epoch: Option<Epoch>,
    /// The offset that was heard last; `None`: the room is not known to keep its messages.
    pub(super) last: Option<u64>,
}

/// The time until a join that was refused is tried again.
#[derive(Debug)]
pub(super) struct Pause {
    pub(super) until: Instant,
    pub(super) items: Vec<Item>,
    /// It is one of those that the session makes by itself.
    pub(super) has_slot: bool,
}

impl Room {
    /// What a join tells of what was heard.
    pub(super) fn since(&self) -> Option<(Option<Epoch>, u64)> {
        self.has_joined
            .then(|| (self.epoch, self.last.unwrap_or_default()))
    }

    /// The server says that the session is in it.
    pub(super) fn joined(&mut self, history: Option<Position>) {
        self.is_on_link = true;
        self.is_joined = true;
        self.has_joined = true;
        // What was said before is no concern of who joins; who comes back is told of it, and then where the log stands.
        if !self.is_resuming {
            self.stands_at(history);
        }
    }

    /// Its log is heard up to there.
    pub(super) fn stands_at(&mut self, position: Option<Position>) {
        self.epoch = position.map(|it| it.epoch);
        self.last = position.map(|it| it.last);
    }

    /// Whether an offset of a page has not been heard; from now on it has. Holes are named, or left out on purpose.
    pub(super) fn is_later(&mut self, offset: u64) -> bool {
        let is_later = self.last.is_none_or(|last| offset > last);
        if is_later {
            self.last = Some(offset);
        }
        is_later
    }

    /// Whether an offset has not been heard; from now on it has. While what came before is asked for, what is behind a hole
    /// is none: it is in the answer, in its turn.
    pub(super) fn is_new(&mut self, offset: Option<u64>) -> bool {
        let Some(offset) = offset else { return true };
        let is_asked = self.asked.is_some() || self.pause.is_some();
        let is_new = self.last.is_none_or(|last| {
            let follows = offset.checked_sub(1) == Some(last);
            offset > last && (follows || !is_asked)
        });
        if is_new {
            self.last = Some(offset);
        }
        is_new
    }
}

/// Rooms by number, in the order in which they were wanted first.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    rooms: BTreeMap<u64, Room>,
    numbers: BTreeMap<String, u64>,
    next: u64,
    pauses: BTreeSet<(Instant, u64)>,
}

impl Rooms {
    pub(super) fn len(&self) -> usize {
        self.rooms.len()
    }

    /// O(log rooms), as are all that follow.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.numbers.get(name).copied()
    }

    pub(super) fn get(&mut self, number: u64) -> Option<&mut Room> {
        self.rooms.get_mut(&number)
    }

    pub(super) fn by_name(&mut self, name: &str) -> Option<&mut Room> {
        let number = self.number(name)?;
        self.get(number)
    }

    /// A room that is not there yet.
    pub(super) fn add(&mut self, name: &str) -> u64 {
        self.next += 1;
        let room = Room {
            name: name.to_owned(),
            ..Room::default()
        };
        self.rooms.insert(self.next, room);
        self.numbers.insert(name.to_owned(), self.next);
        self.next
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Room> {
        let room = self.rooms.remove(&number)?;
        self.numbers.remove(&room.name);
        if let Some(pause) = &room.pause {
            self.pauses.remove(&(pause.until, number));
        }
        Some(room)
    }

    /// The number after this one.
    pub(super) fn after(&self, number: u64) -> Option<u64> {
        let later = (Bound::Excluded(number), Bound::Unbounded);
        Some(*self.rooms.range(later).next()?.0)
    }

    /// `number` is asked for again later, by who has waited for that before, too.
    pub(super) fn pause(&mut self, number: u64, mut pause: Pause) {
        if let Some(room) = self.rooms.get_mut(&number) {
            if let Some(before) = room.pause.take() {
                self.pauses.remove(&(before.until, number));
                pause.until = pause.until.max(before.until);
                pause.has_slot |= before.has_slot;
                pause.items.splice(..0, before.items);
            }
            self.pauses.insert((pause.until, number));
            room.pause = Some(pause);
        }
    }

    /// When the first pause is over.
    pub(super) fn due(&self) -> Option<Instant> {
        Some(self.pauses.first()?.0)
    }

    /// Ends a pause that is over.
    pub(super) fn unpause(&mut self, now: Instant) -> Option<(u64, Pause)> {
        let &(until, number) = self.pauses.first().filter(|(until, _)| *until <= now)?;
        self.pauses.remove(&(until, number));
        Some((number, self.rooms.get_mut(&number)?.pause.take()?))
    }

    /// The connection is gone: none of them is on it. Gives who waited for a pause. O(rooms).
    pub(super) fn leave_link(&mut self) -> Vec<Item> {
        self.pauses.clear();
        let mut items = Vec::new();
        for room in self.rooms.values_mut() {
            room.is_on_link = false;
            room.is_joined = false;
            room.asked = None;
            items.extend(room.pause.take().into_iter().flat_map(|pause| pause.items));
        }
        items
    }
}
