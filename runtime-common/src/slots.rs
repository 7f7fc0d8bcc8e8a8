//! What an adapter keeps for each connection, by its slot.

use roomwire_core::ConnectionId;

/// Values by connection; one that has ended has none. Everything is O(1) but for the iterator.
#[derive(Debug)]
pub struct Slots<T> {
    slots: Vec<Option<(ConnectionId, T)>>,
}

impl<T> Slots<T> {
    /// None yet.
    pub const fn new() -> Self {
        Self { slots: Vec::new() }
    }

    /// Keeps a value for a connection, in place of that of the slot's former one.
    pub fn insert(&mut self, connection: ConnectionId, value: T) {
        let slot = connection.index() as usize;
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some((connection, value));
        }
    }

    /// A connection's value; `None` for a stale id.
    pub fn get_mut(&mut self, connection: ConnectionId) -> Option<&mut T> {
        let (owner, value) = self.slots.get_mut(connection.index() as usize)?.as_mut()?;
        (*owner == connection).then_some(value)
    }

    /// Whoever has a slot.
    pub fn at_mut(&mut self, slot: usize) -> Option<(ConnectionId, &mut T)> {
        let (owner, value) = self.slots.get_mut(slot)?.as_mut()?;
        Some((*owner, value))
    }

    /// Takes a connection's value; `None` for a stale id.
    pub fn remove(&mut self, connection: ConnectionId) -> Option<T> {
        let place = self.slots.get_mut(connection.index() as usize)?;
        let taken = place.take_if(|(owner, _)| *owner == connection);
        taken.map(|(_, value)| value)
    }

    /// All of them. O(slots).
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let taken = self.slots.iter_mut().flatten();
        taken.map(|(_, value)| value)
    }
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
