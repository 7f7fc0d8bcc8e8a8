//! What the clients of one address share: how many there are, and how much they may say.
//!
//! An address stays known until its buckets are full again, so that a reconnect gains nothing; how many such
//! idle entries are kept is bounded, and the oldest go first. An IPv6 host owns a /64, which counts as one.

use core::net::IpAddr;
use std::collections::VecDeque;

use foldhash::quality::SeedableRandomState;
use hashbrown::HashMap;

use super::Server;
use super::poll::Deadline;
use crate::limits::rate::Bucket;
use crate::machine::PeerAddr;

/// Connections of one address that is not this machine's own, unless the config says otherwise.
pub(super) const DEFAULT_PER_ADDRESS: u32 = 1_024;

/// The addresses that are known.
#[derive(Debug)]
pub(super) struct Addresses {
    by_key: HashMap<Key, u32, SeedableRandomState>,
    entries: Vec<Address>,
    free: Vec<u32>,
    /// Entries without connections, oldest first; one that was used again since is skipped.
    idle: VecDeque<(u32, u32)>,
    max_idle: usize,
    /// A deadline to look at `idle` is armed.
    look_armed: bool,
}

/// One address.
#[derive(Debug)]
pub(super) struct Address {
    key: Key,
    connections: u32,
    /// How often it became idle: tells an old entry of `idle` from the present one.
    stays: u32,
    pub(super) messages: Bucket,
    pub(super) deliveries: Bucket,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    V4([u8; 4]),
    V6([u8; 8]),
    Local,
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
            by_key: HashMap::with_hasher(SeedableRandomState::with_seed(key, shared)),
            entries: Vec::new(),
            free: Vec::new(),
            idle: VecDeque::new(),
            max_idle,
            look_armed: false,
        }
    }

    pub(super) fn get(&self, index: u32) -> Option<&Address> {
        self.entries.get(index as usize)
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Address> {
        self.entries.get_mut(index as usize)
    }

    /// Counts a connection of `peer`'s address; returns the address's entry.
    pub(super) fn enter(&mut self, peer: PeerAddr) -> u32 {
        let key = key(peer);
        let index = match self.by_key.get(&key) {
            Some(&index) => index,
            None => self.insert(key),
        };
        self.entries[index as usize].connections += 1;
        index
    }

    fn insert(&mut self, key: Key) -> u32 {
        let fresh = Address {
            key,
            connections: 0,
            stays: 0,
            messages: Bucket::default(),
            deliveries: Bucket::default(),
        };
        let index = match self.free.pop() {
            Some(index) => {
                let stays = self.entries[index as usize].stays;
                self.entries[index as usize] = Address { stays, ..fresh };
                index
            }
            None => {
                self.entries.push(fresh);
                self.entries.len() as u32 - 1
            }
        };
        self.by_key.insert(key, index);
        index
    }

    /// Takes one connection off; `true` if it was the last.
    fn leave(&mut self, index: u32) -> bool {
        let entry = &mut self.entries[index as usize];
        entry.connections -= 1;
        entry.connections == 0
    }

    fn remove(&mut self, index: u32) {
        let entry = &mut self.entries[index as usize];
        entry.stays = entry.stays.wrapping_add(1);
        self.by_key.remove(&entry.key);
        self.free.push(index);
    }

    /// Keeps an entry without connections for later. Returns one that has to go for it.
    fn keep(&mut self, index: u32) -> Option<u32> {
        let entry = &mut self.entries[index as usize];
        entry.stays = entry.stays.wrapping_add(1);
        self.idle.push_back((index, entry.stays));
        if self.idle.len() <= self.max_idle {
            return None;
        }
        let (oldest, stay) = self.idle.pop_front()?;
        self.is_idle(oldest, stay).then_some(oldest)
    }

    fn is_idle(&self, index: u32, stay: u32) -> bool {
        self.get(index)
            .is_some_and(|entry| entry.connections == 0 && entry.stays == stay)
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
        if let Some(oldest) = self.addresses.keep(index) {
            self.addresses.remove(oldest);
        }
        self.look_at_addresses_later();
    }

    fn look_at_addresses_later(&mut self) {
        if !self.addresses.look_armed {
            self.addresses.look_armed = true;
            let due = self.now.mono + self.quotas.forget_after;
            self.deadlines.insert((due, Deadline::Addresses));
        }
    }

    /// Forgets addresses that have been idle until their buckets were full again.
    pub(super) fn forget_addresses(&mut self) {
        self.addresses.look_armed = false;
        while let Some(&(index, stay)) = self.addresses.idle.front() {
            if !self.addresses.is_idle(index, stay) {
                self.addresses.idle.pop_front();
            } else if self.is_replenished(index) {
                self.addresses.idle.pop_front();
                self.addresses.remove(index);
            } else {
                self.look_at_addresses_later();
                return;
            }
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
