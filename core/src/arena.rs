//! Slots that tell a former owner from the present one.
//!
//! A slot is named by an index and a generation; a [`ConnectionId`] whose generation has passed matches
//! nothing. Freed slots are reused last-in first-out, so that the same inputs give the same ids. All
//! operations are O(1).

#[cfg(test)]
mod tests;

use core::num::NonZeroU32;

use crate::id::ConnectionId;
use crate::steps::Steps;

/// Values by [`ConnectionId`].
#[derive(Debug)]
pub(crate) struct Arena<T> {
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
    pub(crate) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            steps: Steps::new(),
        }
    }

    /// Puts `value` into a free slot.
    pub(crate) fn insert(&mut self, value: T) -> ConnectionId {
        self.steps.one();
        if let Some(index) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(index as usize)
        {
            slot.value = Some(value);
            return ConnectionId::new(index, slot.generation);
        }
        let index = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        let generation = NonZeroU32::MIN;
        self.slots.push(Slot {
            generation,
            value: Some(value),
        });
        ConnectionId::new(index, generation)
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
        (slot.generation == id.generation() && slot.value.is_some()).then_some(id.index())
    }

    /// The present id of a slot in use.
    pub(crate) fn id(&self, index: u32) -> Option<ConnectionId> {
        self.steps.one();
        let slot = self.slots.get(index as usize)?;
        slot.value.as_ref()?;
        Some(ConnectionId::new(index, slot.generation))
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
