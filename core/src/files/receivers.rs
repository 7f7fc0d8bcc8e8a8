//! Those who have accepted a file: where each stands, and finding them by connection or by slot.

use std::collections::BTreeMap;

use crate::id::ConnectionId;
use crate::time::Instant;

/// One copy of the file.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) id: ConnectionId,
    /// It says that it has everything before this.
    pub(super) acknowledged: u64,
    /// How much more it had when it last said so.
    pub(super) step_bytes: u64,
    /// Everything before this has been passed on to it, or it had it when it came.
    pub(super) next: u64,
    /// It takes everything before this; never beyond the file.
    pub(super) limit: u64,
    /// What it said it had when it came, which may be more than has passed here.
    pub(super) claimed: u64,
    /// Less room than this is none.
    pub(super) least_bytes: u32,
    /// Once it has none, it is not passed anything with the others until it has so much.
    pub(super) resume_bytes: u32,
    pub(super) place: Place,
    /// It has been told the end.
    pub(super) ended: bool,
    /// The front waits for others, and it has done with what has passed.
    pub(super) hungry: bool,
    /// It waits in the line for a stream.
    pub(super) queued: bool,
    /// How long it had held the others up when it last began or ceased to, in microseconds.
    pub(super) held_us: u64,
    /// When it last ceased to.
    pub(super) leaks_since: Instant,
}

/// Where a copy goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At the front, which waits for it.
    Front,
    /// At the front, which does not wait for it until it has room again.
    Detached,
    /// Behind the front.
    Behind,
    /// It is complete.
    Complete,
}

impl Receiver {
    /// Whether it takes what comes at `from`, which is not after the end of the file.
    pub(super) fn has_room(&self, from: u64, size: u64) -> bool {
        self.limit >= size || self.limit.saturating_sub(from) >= u64::from(self.least_bytes)
    }

    /// Whether it is ready again for what comes at `from`, after it had no room for that.
    pub(super) fn has_room_again(&self, from: u64, size: u64) -> bool {
        let is_empty = self.acknowledged == from && self.has_room(from, size);
        let room = self.limit.saturating_sub(from);
        is_empty || self.limit >= size || room >= u64::from(self.resume_bytes)
    }

    /// Whether it has done with what has passed, as far as one can tell: what it has not said that it has is less than
    /// what it waits for to say so, as it did last.
    pub(super) fn keeps_up(&self) -> bool {
        self.next - self.acknowledged < self.step_bytes.min(self.resume_bytes.into()).max(1)
    }

    /// Whether nothing goes on until it says something.
    pub(super) fn owes(&self, size: u64) -> bool {
        self.place != Place::Complete
            && (self.acknowledged < self.next
                || self.ended
                || (self.next < size && !self.has_room(self.next, size)))
    }
}

/// All of them. Slots are reused last-in first-out, so that the same calls give the same order.
#[derive(Debug, Default)]
pub(super) struct Receivers {
    slots: Vec<Option<Receiver>>,
    free: Vec<u32>,
    by_id: BTreeMap<ConnectionId, u32>,
}

impl Receivers {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// O(log receivers).
    pub(super) fn find(&self, id: ConnectionId) -> Option<u32> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Receiver> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Receiver> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// In the order of slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Receiver> {
        self.slots.iter().flatten()
    }

    /// Slots below this may be in use.
    pub(super) fn slots(&self) -> u32 {
        self.slots.len() as u32
    }

    /// Puts in one that is not there yet: its slot.
    pub(super) fn insert(&mut self, receiver: Receiver) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots() - 1
        });
        self.by_id.insert(receiver.id, slot);
        self.slots[slot as usize] = Some(receiver);
        slot
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Receiver> {
        let receiver = self.slots.get_mut(slot as usize)?.take()?;
        self.by_id.remove(&receiver.id);
        self.free.push(slot);
        Some(receiver)
    }

    /// Trees are estimated.
    pub(super) fn heap_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Option<Receiver>>()
            + self.free.capacity() * size_of::<u32>()
            + self.by_id.len() * TREE_ENTRY_BYTES
    }
}

/// A key and a value in a tree whose nodes are at least half full, and its share of what is around them.
const TREE_ENTRY_BYTES: usize = 2 * size_of::<(ConnectionId, u32)>() + 8;
