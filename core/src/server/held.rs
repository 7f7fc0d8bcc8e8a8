//! Rooms that keep what is said in them for a moment, so that more of it goes out at once (`room.flush_delay_ms`).
//!
//! Moments end on a grid, the multiples of the delay: a message waits for half of it on average and never for more, and
//! rooms with the same delay end theirs together, in one turn of the driver's loop. Each shard holds what its own clients
//! are to get, so that nothing overtakes it; shards tell each other at once.

use core::time::Duration;
use std::collections::BTreeMap;

use super::Server;
use crate::config::ValidConfig;
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

/// What was said in a room while it was held.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    bytes: usize,
    messages: usize,
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

    /// A room that is held until `due` was told something of that size. O(log rooms held).
    pub(super) fn note(&mut self, due: Instant, room: u32, bytes: usize) {
        if let Some(load) = self.rooms.get_mut(&(due, room)) {
            load.bytes += bytes;
            load.messages += 1;
            self.all.bytes += bytes;
            self.all.messages += 1;
        }
    }

    /// A room that was held until `due` is held no more. O(log rooms held).
    pub(super) fn forget(&mut self, due: Instant, room: u32) {
        if let Some(load) = self.rooms.remove(&(due, room)) {
            self.all.bytes -= load.bytes;
            self.all.messages -= load.messages;
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
    /// A room that was told something waits for the next seal, or first for the end of its moment, which is returned.
    pub(super) fn wait_for_seal(&mut self, room: u32) -> Option<Instant> {
        let (_, entry) = self.rooms.get_mut(room)?;
        entry.dirty = true;
        let delay = entry.rule.flush_delay;
        if delay.is_zero() {
            self.dirty.push(room);
            return None;
        }
        self.steps.one();
        let due = next_multiple(self.now.mono, delay);
        entry.held_until = Some(due);
        self.held.rooms.insert((due, room), Load::default());
        Some(due)
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

/// The next multiple of a duration that is later than `now`.
fn next_multiple(now: Instant, of: Duration) -> Instant {
    let of = u64::try_from(of.as_micros()).unwrap_or(u64::MAX).max(1);
    Instant::from_micros((now.as_micros() / of + 1).saturating_mul(of))
}
