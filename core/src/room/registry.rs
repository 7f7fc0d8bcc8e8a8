//! Rooms by name and by number.
//!
//! Names are hostile input: their hash is keyed by the server's seed and the table is never iterated. The
//! table is split into shards that grow one at a time, so that no single insertion moves everything; entries
//! keep their hash, so that growing touches no name.

#[cfg(test)]
mod tests;

use core::hash::BuildHasher;

use foldhash::quality::SeedableRandomState;
use hashbrown::HashTable;

/// Values by name, numbered densely; numbers of removed ones are reused.
pub(crate) struct Registry<T> {
    hasher: SeedableRandomState,
    shards: Vec<HashTable<Entry>>,
    slots: Vec<Option<Named<T>>>,
    free: Vec<u32>,
}

#[derive(Clone, Copy)]
struct Entry {
    hash: u64,
    number: u32,
}

struct Named<T> {
    name: Box<str>,
    value: T,
}

const SHARDS: usize = 64;

impl<T> Registry<T> {
    /// An empty registry whose hash is keyed by `key`.
    pub(crate) fn new(key: u64) -> Self {
        let secret = foldhash::SharedSeed::global_fixed();
        Self {
            hasher: SeedableRandomState::with_seed(key, secret),
            shards: (0..SHARDS).map(|_| HashTable::new()).collect(),
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    /// The number of the value called `name`.
    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(name);
        let shard = self.shards.get(shard(hash))?;
        let same = |entry: &Entry| entry.hash == hash && self.name(entry.number) == name;
        shard.find(hash, same).map(|entry| entry.number)
    }

    /// Adds a value under a name that is not taken.
    pub(crate) fn insert(&mut self, name: &str, value: T) -> u32 {
        let named = Some(Named {
            name: name.into(),
            value,
        });
        let number = match self.free.pop() {
            Some(number) => {
                self.slots[number as usize] = named;
                number
            }
            None => {
                self.slots.push(named);
                self.slots.len() as u32 - 1
            }
        };
        let hash = self.hasher.hash_one(name);
        self.shards[shard(hash)].insert_unique(hash, Entry { hash, number }, |entry| entry.hash);
        number
    }

    /// Removes a value and frees its number.
    pub(crate) fn remove(&mut self, number: u32) -> Option<T> {
        let Named { name, value } = self.slots.get_mut(number as usize)?.take()?;
        let hash = self.hasher.hash_one(&*name);
        let table = &mut self.shards[shard(hash)];
        if let Ok(entry) = table.find_entry(hash, |entry| entry.number == number) {
            entry.remove();
        }
        self.free.push(number);
        Some(value)
    }

    /// The name of a value; empty for a number that is not in use.
    pub(crate) fn name(&self, number: u32) -> &str {
        match self.slots.get(number as usize) {
            Some(Some(named)) => &named.name,
            _ => "",
        }
    }

    /// The value and its name.
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        Some(&self.slots.get(number as usize)?.as_ref()?.value)
    }

    /// The name and the value.
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<(&str, &mut T)> {
        let named = self.slots.get_mut(number as usize)?.as_mut()?;
        Some((&named.name, &mut named.value))
    }

    /// Values present.
    pub(crate) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

/// Bits in the middle choose the shard: the table takes its tags from the top seven and its places from the
/// bottom, and a shard whose entries agreed in either would be searched one by one.
fn shard(hash: u64) -> usize {
    (hash >> 40) as usize % SHARDS
}

impl<T> core::fmt::Debug for Registry<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Registry")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
