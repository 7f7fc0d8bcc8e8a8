//! Rooms that keep what is said in them for a moment, so that more of it goes out at once (`room.flush_delay_ms`).
//!
//! To tell a room something costs a call of the system for each member, mostly. Where several messages were said at once,
//! the next ones come at once, too, and if they go out one by one, that takes longer than waiting for them: a large room
//! is held for a moment then, unless a setting says for how long, or that it is not.
//!
//! Moments end on a grid, the multiples of the delay: a message waits for half of it on average and never for more, and
//! rooms with the same delay end theirs together, in one turn of the driver's loop. Each shard holds what its own clients
//! are to get, so that nothing overtakes it; shards tell each other at once.

#[cfg(test)]
mod tests;

use core::time::Duration;
use std::collections::BTreeMap;

use super::Server;
use crate::config::ValidConfig;
use crate::room::Load;
use crate::time::Instant;

/// Rooms that are let go between two polls.
const ROOMS_PER_POLL: usize = 256;

/// What is held, and until when.
#[derive(Debug)]
pub(super) struct Held {
    rooms: BTreeMap<(Instant, u32), Load>,
    /// What all of them hold.
    all: Load,
    /// From there on all moments end.
    most: Load,
}

impl Held {
    /// Holds as much as one round takes in, and no more than fits well into the queue of a client that is in all rooms.
    pub(super) fn new(config: &ValidConfig) -> Self {
        let limits = &config.limits;
        let bytes = super::UNSEALED_BYTES.min(limits.max_queued_bytes / 4);
        let messages = limits.max_queued_messages as usize / 4;
        Self {
            rooms: BTreeMap::new(),
            all: Load::default(),
            most: Load { bytes, messages },
        }
    }

    /// The rooms, those first that are held for the shortest.
    pub(super) fn rooms(&self) -> impl ExactSizeIterator<Item = &u32> {
        self.rooms.keys().map(|(_, room)| room)
    }

    /// When the next moment ends. O(log rooms held).
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.rooms.keys().next().map(|&(due, _)| due)
    }

    /// A room that is held until `due` was told more. O(log rooms held).
    pub(super) fn note(&mut self, due: Instant, room: u32, more: Load) {
        if let Some(load) = self.rooms.get_mut(&(due, room)) {
            *load += more;
            self.all += more;
        }
    }

    /// A room that was held until `due` is held no more. O(log rooms held).
    pub(super) fn forget(&mut self, due: Instant, room: u32) {
        if let Some(load) = self.rooms.remove(&(due, room)) {
            self.all -= load;
        }
    }

    /// A room whose moment is over: its own, or that of all.
    fn due(&self, now: Instant) -> Option<(Instant, u32)> {
        let &(due, room) = self.rooms.keys().next()?;
        let is_much = self.all.bytes >= self.most.bytes || self.all.messages >= self.most.messages;
        (due <= now || is_much).then_some((due, room))
    }

    /// Memory of the tree, estimated.
    pub(super) fn heap_bytes(&self) -> usize {
        self.rooms.len() * size_of::<((Instant, u32), Load)>()
    }
}

impl Server {
    /// A room that was told something waits for the next seal, or first for the end of its moment.
    pub(super) fn wait_for_seal(&mut self, room: u32) {
        let delay = self.delay_of(room);
        let Some((_, entry)) = self.rooms.get_mut(room) else {
            return;
        };
        entry.dirty = true;
        if delay.is_zero() {
            self.dirty.push(room);
            return;
        }
        self.steps.one();
        let due = next_multiple(self.now.mono, delay);
        entry.held_until = Some(due);
        self.held.rooms.insert((due, room), entry.told);
        self.held.all += entry.told;
    }

    /// For how long a room is held that was told something.
    fn delay_of(&self, room: u32) -> Duration {
        let entry = self.rooms.get(room);
        match entry.map(|entry| (entry.rule.flush_delay, entry.is_busy)) {
            Some((Some(delay), _)) => delay,
            Some((None, true)) => gathering(self.room_len(room), self.links.shards().len()),
            Some((None, false)) | None => Duration::ZERO,
        }
    }

    /// Lets go what has been held for long enough, or all if it is much. `true` when something is left to do at once.
    pub(super) fn end_moments(&mut self) -> bool {
        let mut ended = 0;
        while let Some((due, room)) = self.held.due(self.now.mono) {
            self.steps.one();
            self.held.forget(due, room);
            if let Some((_, entry)) = self.rooms.get_mut(room) {
                entry.held_until = None;
                self.dirty.push(room);
            }
            ended += 1;
            if ended == ROOMS_PER_POLL {
                return true;
            }
        }
        false
    }
}

/// For how long it is worth it to wait for more to tell a room, in whole milliseconds, as loops keep their deadlines.
/// `shards`: 0 for a server that is alone.
///
/// Telling a member something takes 5 to 10 microseconds, so this is a part of what a message takes to be told. With
/// several shards it is as long as telling a shard's part of the members: so long does a message of another shard's
/// client take to come to the room's home, and then to go back.
fn gathering(members: usize, shards: usize) -> Duration {
    let alone = members * ALONE_MEMBER_US;
    let linked = match shards {
        0 | 1 => 0,
        shards => members * LINKED_MEMBER_US / shards,
    };
    let micros = alone.max(linked);
    let millis = (micros + 500) / 1_000;
    Duration::from_millis(millis.min(MAX_GATHERING_MS) as u64)
}

const ALONE_MEMBER_US: usize = 1;
const LINKED_MEMBER_US: usize = 8;
const MAX_GATHERING_MS: usize = 10;

/// The next multiple of a duration that is later than `now`.
fn next_multiple(now: Instant, of: Duration) -> Instant {
    let of = u64::try_from(of.as_micros()).unwrap_or(u64::MAX).max(1);
    Instant::from_micros((now.as_micros() / of + 1).saturating_mul(of))
}
