//! Deadlines that are no connection's timer: few, of any duration, and often taken back.

use std::collections::BTreeSet;

use crate::message::TransferId;
use crate::steps::Steps;
use crate::time::Instant;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Deadline {
    /// A client's typing in a room expires.
    Typing(u32, u32),
    /// A large room's summed-up notice.
    RoomNotice(u32),
    /// The oldest message that a room keeps is too old, or one is out of date.
    RoomHistory(u32),
    /// An empty room goes.
    RoomLinger(u32),
    /// An application request was not answered.
    Reply(u64),
    /// A client has been throttled long enough.
    Throttle(u32),
    /// A client's request was not answered by another shard.
    Relay(u32),
    /// Sessions that nobody has taken up are over.
    Sessions,
    /// Members of a room have not come back.
    Away(u32),
    /// The other shards are told what this one holds.
    Holds,
    /// Addresses may be forgotten.
    Addresses,
    /// The drain has taken long enough.
    Drain,
    /// A transfer has something to do.
    File(TransferId),
}

/// All of them, in order. Every operation is O(log deadlines).
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    armed: BTreeSet<(Instant, Deadline)>,
    steps: Steps,
}

impl Deadlines {
    pub(super) fn insert(&mut self, due: Instant, deadline: Deadline) {
        self.steps.one();
        self.armed.insert((due, deadline));
    }

    /// Takes one back; `due` is when it was.
    pub(super) fn remove(&mut self, due: Instant, deadline: Deadline) {
        self.steps.one();
        self.armed.remove(&(due, deadline));
    }

    /// The earliest.
    pub(super) fn first(&self) -> Option<(Instant, Deadline)> {
        self.steps.one();
        self.armed.first().copied()
    }

    pub(super) fn pop_first(&mut self) {
        self.steps.one();
        self.armed.pop_first();
    }

    /// Memory of the tree, estimated.
    pub(super) fn heap_bytes(&self) -> usize {
        self.armed.len() * size_of::<(Instant, Deadline)>()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.armed.is_empty()
    }

    #[cfg(feature = "count-steps")]
    pub(super) fn steps(&self) -> &Steps {
        &self.steps
    }
}
