//! Rooms that keep what is said in them for a moment, so that more of it goes out at once (`room.flush_delay_ms`).
//!
//! Moments end on a grid, the multiples of the delay: a message waits for half of it on average and never for more, and
//! rooms with the same delay end theirs together, in one turn of the driver's loop. A room is held at its home alone:
//! what comes to other shards from there has waited already, so links have a moment of their own to end here.

use core::time::Duration;
use std::collections::BTreeSet;

use super::Server;
use crate::time::Instant;

/// Rooms that are let go between two polls.
const ROOMS_PER_POLL: usize = 256;
/// What is held of all rooms at most, about: then all moments end. As much as one round may take in.
const MAX_BYTES: usize = super::UNSEALED_BYTES;

/// What is held, and until when.
#[derive(Debug, Default)]
pub(super) struct Held {
    rooms: BTreeSet<(Instant, u32)>,
    /// When other shards may have what waits for them.
    links: Option<Instant>,
    /// At least what the held rooms have been told since there was none.
    bytes: usize,
}

impl Held {
    /// The rooms, those first that are held for the shortest.
    pub(super) fn rooms(&self) -> impl ExactSizeIterator<Item = &u32> {
        self.rooms.iter().map(|(_, room)| room)
    }

    /// Rooms, and one for the links.
    pub(super) fn len(&self) -> usize {
        self.rooms.len() + usize::from(self.links.is_some())
    }

    /// When the next moment ends. O(log rooms held).
    pub(super) fn next_due(&self) -> Option<Instant> {
        let room = self.rooms.first().map(|&(due, _)| due);
        room.into_iter().chain(self.links).min()
    }

    /// A held room was told something of that size. O(1).
    pub(super) fn note(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    /// A room that was held until `due` is no more. O(log rooms held).
    pub(super) fn forget(&mut self, due: Instant, room: u32) {
        self.rooms.remove(&(due, room));
    }

    /// A room whose moment is over.
    fn pop_due(&mut self, now: Instant) -> Option<u32> {
        let &(due, _) = self.rooms.first()?;
        let all = self.bytes >= MAX_BYTES;
        if due > now && !all {
            return None;
        }
        let (_, room) = self.rooms.pop_first()?;
        if self.rooms.is_empty() {
            self.bytes = 0;
        }
        Some(room)
    }

    /// Memory of the tree, estimated.
    pub(super) fn heap_bytes(&self) -> usize {
        self.rooms.len() * size_of::<(Instant, u32)>()
    }
}

impl Server {
    /// A room that was told something waits for the next seal, or first for the end of its moment: then `true`.
    pub(super) fn wait_for_seal(&mut self, room: u32) -> bool {
        let delay = self.flush_delay(room);
        let Some((_, entry)) = self.rooms.get_mut(room) else {
            return false;
        };
        entry.dirty = true;
        let Some(delay) = delay else {
            self.dirty.push(room);
            return false;
        };
        self.steps.one();
        let due = next_multiple(self.now.mono, delay);
        entry.held_until = Some(due);
        self.held.rooms.insert((due, room));
        true
    }

    /// For how long this shard holds what is said in a room; `None`: not at all.
    pub(super) fn flush_delay(&self, room: u32) -> Option<Duration> {
        let delay = self.rooms.get(room)?.rule.flush_delay;
        (!delay.is_zero() && self.is_home(room)).then_some(delay)
    }

    /// Other shards may have what waits for them when a moment of that length is over.
    pub(super) fn hold_links(&mut self, delay: Duration) {
        let due = next_multiple(self.now.mono, delay);
        let due = self.held.links.map_or(due, |other| other.min(due));
        self.held.links = Some(due);
    }

    /// Lets go what has been held for long enough, or is too much. `true` when something is left to do at once.
    pub(super) fn end_moments(&mut self) -> bool {
        let now = self.now.mono;
        if self.held.links.is_some_and(|due| due <= now) {
            self.held.links = None;
            self.links.ripen();
        }
        for _ in 0..ROOMS_PER_POLL {
            let Some(room) = self.held.pop_due(now) else {
                return false;
            };
            self.steps.one();
            if let Some((_, entry)) = self.rooms.get_mut(room) {
                entry.held_until = None;
                self.dirty.push(room);
            }
        }
        true
    }
}

/// The next multiple of a duration that is later than `now`.
fn next_multiple(now: Instant, of: Duration) -> Instant {
    let of = u64::try_from(of.as_micros()).unwrap_or(u64::MAX).max(1);
    Instant::from_micros((now.as_micros() / of + 1).saturating_mul(of))
}
