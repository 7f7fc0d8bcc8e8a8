//! What waits: bounded in count, bytes and age. Everything that goes in comes out, once.

#[cfg(test)]
mod tests;

use core::time::Duration;
use std::collections::VecDeque;

use super::config::{SessionConfig, ms};
use super::event::{Content, Delivery, Item};
use super::naming::Naming;
use crate::time::Instant;

/// Something to send that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) item: Item,
    pub(super) work: Work,
    pub(super) delivery: Delivery,
    pub(super) naming: Naming,
    /// What is behind it does not go before it.
    pub(super) order: u64,
    pub(super) since: Instant,
}

/// What it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Content(Content),
    /// Of a room, by its number.
    Join {
        room: u64,
        name: String,
    },
    Leave {
        name: String,
    },
}

impl Entry {
    /// Its size, as far as the bounds are concerned.
    pub(super) const fn bytes(&self) -> usize {
        match &self.work {
            Work::Content(content) => content.len(),
            Work::Join { name, .. } | Work::Leave { name } => name.len(),
        }
    }
}

/// Somebody who waits to be in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiter {
    pub(super) item: Item,
    pub(super) room: u64,
    pub(super) since: Instant,
}

/// Entries in their order, and beside them those who wait for rooms.
#[derive(Debug)]
pub(super) struct Queue {
    max_messages: usize,
    max_bytes: usize,
    max_age: Duration,
    entries: VecDeque<Entry>,
    waiters: VecDeque<Waiter>,
    bytes: usize,
}

impl Queue {
    pub(super) const fn new(config: &SessionConfig) -> Self {
        Self {
            max_messages: config.queue_messages,
            max_bytes: config.queue_bytes,
            max_age: ms(config.queue_age_ms),
            entries: VecDeque::new(),
            waiters: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Entries, without waiters. O(1).
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All entries together. O(1).
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Puts an entry last. O(1).
    ///
    /// # Errors
    /// The entry, if there is no room for it.
    pub(super) fn push(&mut self, entry: Entry) -> Result<(), Entry> {
        if !self.has_room(entry.bytes()) {
            return Err(entry);
        }
        self.bytes += entry.bytes();
        self.entries.push_back(entry);
        Ok(())
    }

    /// Puts an entry last, whatever its size: for one that goes at once, or is taken again. O(1).
    pub(super) fn push_anyway(&mut self, entry: Entry) {
        self.bytes += entry.bytes();
        self.entries.push_back(entry);
    }

    /// Puts back in front what had been taken, in its order; gives those for which there is no room, the newest.
    /// O(`entries`).
    pub(super) fn put_back(&mut self, mut entries: Vec<Entry>) -> Vec<Entry> {
        entries.sort_by_key(|entry| entry.order);
        let (mut count, mut bytes) = (0, 0_usize);
        for entry in &entries {
            let with = bytes.saturating_add(entry.bytes());
            if self.count() + count >= self.max_messages
                || self.bytes.saturating_add(with) > self.max_bytes
            {
                break;
            }
            (count, bytes) = (count + 1, with);
        }
        let rest = entries.split_off(count);
        self.bytes += bytes;
        for entry in entries.into_iter().rev() {
            self.entries.push_front(entry);
        }
        rest
    }

    /// Puts back one that had been taken, in its place. O(those before it).
    ///
    /// # Errors
    /// The entry, if there is no room for it.
    pub(super) fn put_back_one(&mut self, entry: Entry) -> Result<(), Entry> {
        if !self.has_room(entry.bytes()) {
            return Err(entry);
        }
        let at = self.entries.partition_point(|it| it.order < entry.order);
        self.bytes += entry.bytes();
        self.entries.insert(at, entry);
        Ok(())
    }

    /// Someone else waits for a room. O(1) but for one who has waited before.
    ///
    /// # Errors
    /// The waiter, if there is no room.
    pub(super) fn wait(&mut self, waiter: Waiter) -> Result<(), Waiter> {
        if self.count() >= self.max_messages {
            return Err(waiter);
        }
        let at = self.waiters.partition_point(|it| it.since <= waiter.since);
        self.waiters.insert(at, waiter);
        Ok(())
    }

    /// Those who wait for a room no longer do. O(waiters).
    pub(super) fn take_waiters(&mut self, room: u64) -> Vec<Item> {
        let mut items = Vec::new();
        self.waiters.retain(|waiter| {
            let stays = waiter.room != room;
            if !stays {
                items.push(waiter.item);
            }
            stays
        });
        items
    }

    /// The first entry. O(1).
    pub(super) fn front(&self) -> Option<&Entry> {
        self.entries.front()
    }

    /// All entries, the first first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The first entry goes without a name. Whether it had one. O(1).
    pub(super) fn unname_first(&mut self) -> bool {
        let front = self.entries.front_mut();
        let naming = front.map(|entry| core::mem::replace(&mut entry.naming, Naming::Without));
        matches!(naming, Some(Naming::Own(_)))
    }

    /// Takes the first entry. O(1).
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        self.bytes -= entry.bytes();
        Some(entry)
    }

    /// Takes the entries that are about rooms themselves, which a new connection begins with. O(entries).
    pub(super) fn take_joins_and_leaves(&mut self) -> Vec<Entry> {
        let is_content = |entry: &Entry| matches!(entry.work, Work::Content(_));
        let (stay, go) = core::mem::take(&mut self.entries)
            .into_iter()
            .partition::<VecDeque<_>, _>(is_content);
        self.entries = stay;
        self.bytes -= go.iter().map(Entry::bytes).sum::<usize>();
        go.into()
    }

    /// Takes everything. O(all).
    pub(super) fn take_all(&mut self) -> Vec<Item> {
        self.bytes = 0;
        let entries = self.entries.drain(..).map(|entry| entry.item);
        entries
            .chain(self.waiters.drain(..).map(|waiter| waiter.item))
            .collect()
    }

    /// When the next is too old. O(1).
    pub(super) fn due(&self) -> Option<Instant> {
        let entry = self.entries.front().map(|entry| entry.since);
        let waiter = self.waiters.front().map(|waiter| waiter.since);
        let oldest = [entry, waiter].into_iter().flatten().min();
        oldest.map(|since| since + self.max_age)
    }

    /// Takes one that is too old, if there is one. O(1).
    pub(super) fn expire(&mut self, now: Instant) -> Option<Item> {
        let is_old = |since: Instant| since + self.max_age <= now;
        if self.front().is_some_and(|entry| is_old(entry.since)) {
            return self.pop().map(|entry| entry.item);
        }
        if self.waiters.front().is_some_and(|it| is_old(it.since)) {
            return self.waiters.pop_front().map(|waiter| waiter.item);
        }
        None
    }

    /// Entries and waiters, which are bounded together. O(1).
    pub(super) fn count(&self) -> usize {
        self.entries.len() + self.waiters.len()
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.count() < self.max_messages && self.bytes.saturating_add(bytes) <= self.max_bytes
    }
}
