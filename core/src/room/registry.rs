//! Rooms by name and by number.
//!
//! Names are hostile input: their hash is keyed by the server's seed and the table is never iterated. The
//! table is split into shards that grow one at a time and the values into chunks that stay where they are, so
//! that no single insertion moves everything; entries keep their hash, so that growing touches no name.

#[cfg(test)]
mod tests;

use core::hash::BuildHasher;

use foldhash::quality::SeedableRandomState;
use hashbrown::HashTable;

use crate::steps::Steps;

/// Values by name, numbered densely; numbers of removed ones are reused.
pub(crate) struct Registry<T> {
    hasher: SeedableRandomState,
    shards: Vec<HashTable<Entry>>,
    /// All but the last are full.
    chunks: Vec<Vec<Option<Named<T>>>>,
    free: Vec<u32>,
    len: usize,
    steps: Steps,
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
/// Values that lie together.
const CHUNK: usize = 256;

impl<T> Registry<T> {
    /// An empty registry whose hash is keyed by `key`.
    pub(crate) fn new(key: u64) -> Self {
        let secret = foldhash::SharedSeed::global_fixed();
        Self {
            hasher: SeedableRandomState::with_seed(key, secret),
            shards: (0..SHARDS).map(|_| HashTable::new()).collect(),
            chunks: Vec::new(),
            free: Vec::new(),
            len: 0,
            steps: Steps::new(),
        }
    }

    /// The number of the value called `name`.
    pub(crate) fn find(&self, name: &str) -> Option<u32> {
        self.steps.one();
        let hash = self.hasher.hash_one(name);
        let shard = self.shards.get(shard(hash))?;
        let same = |entry: &Entry| entry.hash == hash && self.name(entry.number) == name;
        shard.find(hash, same).map(|entry| entry.number)
    }

    /// Adds a value under a name that is not taken.
    pub(crate) fn insert(&mut self, name: &str, value: T) -> u32 {
        self.steps.one();
        let named = Some(Named {
            name: name.into(),
            value,
        });
        let number = match self.free.pop() {
            Some(number) => {
                if let Some(slot) = self.slot_mut(number) {
                    *slot = named;
                }
                number
            }
            None => self.push(named),
        };
        self.len += 1;
        let hash = self.hasher.hash_one(name);
        self.shards[shard(hash)].insert_unique(hash, Entry { hash, number }, |entry| entry.hash);
        number
    }

    fn push(&mut self, named: Option<Named<T>>) -> u32 {
        let full = self.chunks.last().is_none_or(|last| last.len() == CHUNK);
        if full {
            self.chunks.push(Vec::new());
        }
        let before = (self.chunks.len() - 1) * CHUNK;
        let last = &mut self.chunks[before / CHUNK];
        last.push(named);
        (before + last.len() - 1) as u32
    }

    /// Removes a value and frees its number.
    pub(crate) fn remove(&mut self, number: u32) -> Option<T> {
        self.steps.one();
        let Named { name, value } = self.slot_mut(number)?.take()?;
        self.len -= 1;
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
        self.slot(number).map_or("", |named| &named.name)
    }

    /// The value.
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        self.slot(number).map(|named| &named.value)
    }

    /// The name and the value.
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<(&str, &mut T)> {
        let named = self.slot_mut(number)?.as_mut()?;
        Some((&named.name, &mut named.value))
    }

    /// Numbers that were ever in use: all are below this.
    pub(crate) fn numbers(&self) -> u32 {
        let last = self.chunks.last().map_or(0, Vec::len);
        (self.chunks.len().saturating_sub(1) * CHUNK + last) as u32
    }

    /// Values present.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    #[cfg(feature = "count-steps")]
    pub(crate) fn steps(&self) -> &Steps {
        &self.steps
    }

    /// The values with their names, in the order of their numbers. O(numbers ever in use).
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        let named = self.chunks.iter().flatten().flatten();
        named.map(|named| (&*named.name, &named.value))
    }

    /// Memory of the values, without what they own. O(numbers ever in use / 256).
    pub(crate) fn value_bytes(&self) -> usize {
        let capacity: usize = self.chunks.iter().map(Vec::capacity).sum();
        capacity * size_of::<Option<Named<T>>>()
            + self.chunks.capacity() * size_of::<Vec<Option<Named<T>>>>()
            + self.free.capacity() * size_of::<u32>()
    }

    /// Memory of the tables that find a name, without the names.
    pub(crate) fn table_bytes(&self) -> usize {
        let tables: usize = self.shards.iter().map(HashTable::allocation_size).sum();
        tables + self.shards.capacity() * size_of::<HashTable<Entry>>()
    }

    fn slot(&self, number: u32) -> Option<&Named<T>> {
        self.steps.one();
        let chunk = self.chunks.get(number as usize / CHUNK)?;
        chunk.get(number as usize % CHUNK)?.as_ref()
    }

    fn slot_mut(&mut self, number: u32) -> Option<&mut Option<Named<T>>> {
        self.steps.one();
        let chunk = self.chunks.get_mut(number as usize / CHUNK)?;
        chunk.get_mut(number as usize % CHUNK)
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
