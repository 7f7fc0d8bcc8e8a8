//! What the clients of one address share: how many there are, and how much they may say.
//!
//! An address stays known until its buckets are full again, so that a reconnect gains nothing; how many such
//! idle entries are kept is bounded, and the oldest go first. An IPv6 host owns a /64, which counts as one.

#[cfg(test)]
mod tests;

use core::hash::BuildHasher;
use core::net::IpAddr;
use core::time::Duration;

use foldhash::quality::SeedableRandomState;
use hashbrown::HashTable;

use super::Server;
use super::deadlines::Deadline;
use crate::cluster::message::{Charge, Key};
use crate::limits::rate::Bucket;
use crate::machine::{PeerAddr, ShardId};
use crate::session::lists::{Links, List};
use crate::steps::Steps;

/// Connections of one address that is not this machine's own, unless the config says otherwise.
pub(super) const DEFAULT_PER_ADDRESS: u32 = 1_024;

/// The addresses that are known.
#[derive(Debug)]
pub(super) struct Addresses {
    hasher: SeedableRandomState,
    /// Entries by the hash of their key.
    by_key: HashTable<u32>,
    entries: Vec<Address>,
    free: Vec<u32>,
    /// Entries without connections, the one that has been so longest first.
    idle: List,
    idle_links: Links,
    idle_len: usize,
    max_idle: usize,
    /// A deadline to look at `idle` is armed.
    look_armed: bool,
    /// Entries with charges that other shards are to be told of.
    charged: Vec<u32>,
    steps: Steps,
}

/// One address.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) key: Key,
    connections: u32,
    /// Charged here since other shards were told.
    untold: Charge,
    pub(super) messages: Bucket,
    pub(super) deliveries: Bucket,
}

impl Address {
    pub(super) fn connections(&self) -> u32 {
        self.connections
    }
}

impl Addresses {
    pub(super) fn new(key: u64, max_idle: usize) -> Self {
        let shared = foldhash::SharedSeed::global_fixed();
        Self {
            hasher: SeedableRandomState::with_seed(key, shared),
            by_key: HashTable::new(),
            entries: Vec::new(),
            free: Vec::new(),
            idle: List::EMPTY,
            idle_links: Links::default(),
            idle_len: 0,
            max_idle,
            look_armed: false,
            charged: Vec::new(),
            steps: Steps::new(),
        }
    }

    pub(super) fn get(&self, index: u32) -> Option<&Address> {
        self.steps.one();
        self.entries.get(index as usize)
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Address> {
        self.steps.one();
        self.entries.get_mut(index as usize)
    }

    /// Counts a connection of `peer`'s address; returns the address's entry.
    pub(super) fn enter(&mut self, peer: PeerAddr) -> u32 {
        self.steps.one();
        let key = key(peer);
        let index = match self.find(key) {
            Some(index) => {
                self.wake(index);
                index
            }
            None => self.insert(key),
        };
        self.entries[index as usize].connections += 1;
        index
    }

    fn find(&self, key: Key) -> Option<u32> {
        let same = |&index: &u32| self.entries[index as usize].key == key;
        self.by_key.find(self.hasher.hash_one(key), same).copied()
    }

    #[cfg(feature = "count-steps")]
    pub(super) fn steps(&self) -> &Steps {
        &self.steps
    }

    /// Memory of all of it.
    pub(super) fn heap_bytes(&self) -> usize {
        self.by_key.allocation_size()
            + self.entries.capacity() * size_of::<Address>()
            + (self.free.capacity() + self.charged.capacity()) * size_of::<u32>()
            + self.idle_links.heap_bytes()
    }

    fn insert(&mut self, key: Key) -> u32 {
        self.steps.one();
        let fresh = Address {
            key,
            connections: 0,
            untold: Charge::default(),
            messages: Bucket::default(),
            deliveries: Bucket::default(),
        };
        let index = match self.free.pop() {
            Some(index) => {
                self.entries[index as usize] = fresh;
                index
            }
            None => {
                self.entries.push(fresh);
                self.entries.len() as u32 - 1
            }
        };
        let Self {
            hasher, entries, ..
        } = self;
        let hash = |&index: &u32| hasher.hash_one(entries[index as usize].key);
        self.by_key.insert_unique(hasher.hash_one(key), index, hash);
        index
    }

    /// Takes one connection off; `true` if it was the last.
    fn leave(&mut self, index: u32) -> bool {
        self.steps.one();
        let entry = &mut self.entries[index as usize];
        entry.connections -= 1;
        entry.connections == 0
    }

    /// Forgets an entry without connections.
    fn remove(&mut self, index: u32) {
        self.steps.one();
        let hash = self.hasher.hash_one(self.entries[index as usize].key);
        if let Ok(entry) = self.by_key.find_entry(hash, |&other| other == index) {
            entry.remove();
        }
        self.free.push(index);
    }

    /// Keeps an entry whose last connection ended for later. The oldest goes if there are too many. O(1).
    fn keep(&mut self, index: u32) {
        self.steps.one();
        self.idle_links.reserve(index);
        self.idle_links.push_back(&mut self.idle, index);
        self.idle_len += 1;
        if self.idle_len > self.max_idle
            && let Some(oldest) = self.idle.front()
        {
            self.wake(oldest);
            self.remove(oldest);
        }
    }

    /// Takes an entry out of the idle ones, if it is one.
    fn wake(&mut self, index: u32) {
        self.steps.one();
        if self.entries[index as usize].connections == 0 {
            self.idle_links.remove(&mut self.idle, index);
            self.idle_len -= 1;
        }
    }
}

impl Server {
    /// A connection of an address ended.
    pub(super) fn leave_address(&mut self, index: u32) {
        if !self.addresses.leave(index) {
            return;
        }
        if self.is_replenished(index) {
            self.addresses.remove(index);
            return;
        }
        self.addresses.keep(index);
        self.look_at_addresses_in(self.quotas.forget_after);
    }

    fn look_at_addresses_in(&mut self, delay: Duration) {
        if !self.addresses.look_armed {
            self.addresses.look_armed = true;
            let due = self.now.mono + delay;
            self.deadlines.insert(due, Deadline::Addresses);
        }
    }

    /// Forgets addresses that have been idle until their buckets were full again, some at a time.
    pub(super) fn forget_addresses(&mut self) {
        self.addresses.look_armed = false;
        for _ in 0..FORGOTTEN_PER_LOOK {
            let Some(oldest) = self.addresses.idle.front() else {
                return;
            };
            if !self.is_replenished(oldest) {
                self.look_at_addresses_in(self.quotas.forget_after);
                return;
            }
            self.addresses.wake(oldest);
            self.addresses.remove(oldest);
        }
        self.look_at_addresses_in(BETWEEN_LOOKS);
    }

    // ---- other shards

    /// Tells the other shards how many connections of an address there are here, `leaving` of them being about to
    /// end. Addresses without a limit are not told of.
    pub(super) fn tell_address(&mut self, index: u32, leaving: u32) {
        if self.links.is_empty() {
            return;
        }
        let Some(entry) = self.addresses.get(index) else {
            return;
        };
        let (key, connections) = (entry.key, entry.connections - leaving);
        if self.counts_connections_of(key) {
            self.tell_others(|links, shard| links.tell_address(shard, key, connections));
        }
    }

    fn counts_connections_of(&self, key: Key) -> bool {
        let limit = self.config.limits.max_connections_per_ip;
        limit.is_some() || !matches!(key, Key::Local | Key::V4([127, ..]))
    }

    /// Tells a shard that begins anew of all addresses.
    pub(super) fn tell_addresses(&mut self, shard: ShardId) {
        let entries = self.addresses.entries.iter();
        let present = entries.filter(|entry| entry.connections > 0);
        let present: Vec<_> = present
            .map(|entry| (entry.key, entry.connections))
            .collect();
        for (key, connections) in present {
            if self.counts_connections_of(key) {
                self.links.tell_address(shard, key, connections);
            }
        }
    }

    /// Notes what was charged to an address, for the other shards.
    pub(super) fn note_charge(&mut self, index: u32, messages: u32, deliveries: u32) {
        if self.links.is_empty() {
            return;
        }
        let Some(entry) = self.addresses.entries.get_mut(index as usize) else {
            return;
        };
        if entry.untold == Charge::default() {
            self.addresses.charged.push(index);
        }
        entry.untold.messages = entry.untold.messages.saturating_add(messages);
        entry.untold.deliveries = entry.untold.deliveries.saturating_add(deliveries);
    }

    /// Tells the other shards what was charged since the last round. O(addresses charged x shards).
    pub(super) fn tell_charges(&mut self) {
        let mut charged = core::mem::take(&mut self.addresses.charged);
        for index in charged.drain(..) {
            self.steps.one();
            let Some(entry) = self.addresses.entries.get_mut(index as usize) else {
                continue;
            };
            let (key, charge) = (entry.key, core::mem::take(&mut entry.untold));
            self.tell_others(|links, shard| links.tell_charge(shard, key, charge));
        }
        self.addresses.charged = charged;
    }

    /// Charges an address with what its clients said on another shard.
    pub(super) fn charge_address(&mut self, key: Key, charge: Charge) {
        let index = match self.addresses.find(key) {
            Some(index) => index,
            None => {
                let index = self.addresses.insert(key);
                self.addresses.keep(index);
                self.look_at_addresses_in(self.quotas.forget_after);
                index
            }
        };
        let now = self.now.mono;
        let (address, deliveries) = (self.quotas.address, self.quotas.deliveries);
        if let Some(entry) = self.addresses.get_mut(index) {
            entry.messages = address.take(entry.messages, now, charge.messages);
            entry.deliveries = deliveries.take(entry.deliveries, now, charge.deliveries);
        }
    }

    fn is_replenished(&self, index: u32) -> bool {
        self.addresses.get(index).is_none_or(|entry| {
            self.quotas.address.is_full(entry.messages, self.now.mono)
                && self
                    .quotas
                    .deliveries
                    .is_full(entry.deliveries, self.now.mono)
        })
    }
}

/// Addresses that are forgotten at once.
const FORGOTTEN_PER_LOOK: usize = 256;
/// When the next ones are.
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);

/// Whether the peer is this machine.
pub(super) fn is_local(peer: PeerAddr) -> bool {
    match peer {
        PeerAddr::Inet(address) => address.ip().to_canonical().is_loopback(),
        PeerAddr::Local => true,
    }
}

fn key(peer: PeerAddr) -> Key {
    match peer {
        PeerAddr::Local => Key::Local,
        PeerAddr::Inet(address) => match address.ip().to_canonical() {
            IpAddr::V4(ip) => Key::V4(ip.octets()),
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, f, g, h, ..] = ip.octets();
                Key::V6([a, b, c, d, e, f, g, h])
            }
        },
    }
}
