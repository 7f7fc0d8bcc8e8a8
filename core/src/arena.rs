//! Slots that tell a former owner from the present one.
//!
//! A slot is named by an index and a generation; a [`ConnectionId`] whose generation has passed matches
//! nothing. Freed slots are reused last-in first-out, so that the same inputs give the same ids. All
//! operations are O(1).

#[cfg(test)]
mod tests;

use core::num::NonZeroU32;

use crate::id::ConnectionId;
use crate::machine::ShardId;
use crate::steps::Steps;

/// Values by [`ConnectionId`].
#[derive(Debug)]
pub(crate) struct Arena<T> {
    /// Whose connections they are.
    shard: ShardId,
    /// Of a slot that was never used.
    first_generation: NonZeroU32,
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    steps: Steps,
}

#[derive(Debug)]
struct Slot<T> {
    generation: NonZeroU32,
    value: Option<T>,
}

impl<T> Arena<T> {
    /// Ids of the same shard before it began anew, `restarts` times by now, match nothing.
    pub(crate) const fn new(shard: ShardId, restarts: u16) -> Self {
        Self {
            shard,
            first_generation: NonZeroU32::MIN.saturating_add((restarts as u32) << 16),
            slots: Vec::new(),
            free: Vec::new(),
            steps: Steps::new(),
        }
    }

    /// Whether every slot that an id can name is taken.
    pub(crate) fn is_full(&self) -> bool {
        self.free.is_empty() && self.slots() >= ConnectionId::MAX_SLOTS
    }

    /// Puts `value` into a free slot. There is one: see [`is_full`](Self::is_full).
    pub(crate) fn insert(&mut self, value: T) -> ConnectionId {
        self.steps.one();
        if let Some(index) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(index as usize)
        {
            slot.value = Some(value);
            return ConnectionId::new(self.shard, index, slot.generation);
        }
        let index = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let generation = self.first_generation;
        self.slots.push(Slot {
            generation,
            value: Some(value),
        });
        ConnectionId::new(self.shard, index, generation)
    }

    /// Empties the slot; the id is stale from now on.
    pub(crate) fn remove(&mut self, index: u32) -> Option<T> {
        self.steps.one();
        let slot = self.slots.get_mut(index as usize)?;
        let value = slot.value.take()?;
        // After four billion uses of one slot its generations start again.
        slot.generation = slot.generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        self.free.push(index);
        Some(value)
    }

    /// The slot that `id` names, if it still does.
    pub(crate) fn resolve(&self, id: ConnectionId) -> Option<u32> {
        self.steps.one();
        let slot = self.slots.get(id.index() as usize)?;
        let live = slot.generation == id.generation() && slot.value.is_some();
        (live && id.shard() == self.shard).then_some(id.index())
    }

    /// The present id of a slot in use.
    pub(crate) fn id(&self, index: u32) -> Option<ConnectionId> {
        self.steps.one();
        let slot = self.slots.get(index as usize)?;
        slot.value.as_ref()?;
        Some(ConnectionId::new(self.shard, index, slot.generation))
    }

    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        self.steps.one();
        self.slots.get(index as usize)?.value.as_ref()
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.steps.one();
        self.slots.get_mut(index as usize)?.value.as_mut()
    }

    #[cfg(feature = "count-steps")]
    pub(crate) fn steps(&self) -> &Steps {
        &self.steps
    }

    /// Memory of the slots, used or free, without what their values own.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot<T>>() + self.free.capacity() * size_of::<u32>()
    }

    /// Slots that were ever used: indexes are below this.
    pub(crate) fn slots(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }
}
