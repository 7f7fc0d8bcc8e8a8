//! Files on their way through the server: who sends what to whom.
//!
//! A transfer is kept by its *home*, the shard on which it was started; what the other shards' clients want of it is
//! asked there, and what they are told comes from there. How a transfer goes on is [`crate::files`]'s; this folder
//! knows connections, rooms and queues, and what the two have to do with each other.

mod asked;
mod ends;
mod home;
mod start;
mod told;
mod verdicts;
mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::cluster::files::Offer;
use crate::config::Config;
use crate::files::{Body, Rules, Transfer, queue_room};
use crate::id::{ClientId, ConnectionId};
use crate::machine::ShardId;
use crate::message::{Destination, TransferId};
use crate::steps::Steps;
use crate::time::Instant;

pub(super) use asked::FileWait;
use verdicts::Verdicts;
pub(crate) use whole::NextBinary;

/// Transfers that have their home here, and the part that clients of this shard have in any.
#[derive(Debug)]
pub(super) struct Files {
    rules: Rules,
    /// What may be on its way to one client, of all its copies together.
    room_bytes: u64,
    /// How many there have been.
    count: u64,
    entries: BTreeMap<TransferId, Box<Entry>>,
    /// What clients of this shard are at, by slot.
    parts: BTreeMap<(u32, TransferId), Part>,
    verdicts: Verdicts,
    /// Clients with room for more of copies that wait for it.
    with_room: Vec<u32>,
    /// Bodies that are kept.
    body_bytes: usize,
    /// Lists that are kept for the next time: of connections, and of slots.
    lists: Vec<ConnectionId>,
    slots: Vec<u32>,
    steps: Steps,
}

/// One transfer at its home.
#[derive(Debug)]
struct Entry {
    transfer: Transfer,
    offer: Arc<Offer>,
    /// Who sends it. `None`: it has gone, or it was all in one message.
    sender: Option<ConnectionId>,
    /// The sender knows of it, or has gone. Another shard may offer it to receivers before it says that it has: they wait.
    is_announced: bool,
    /// Receivers that have accepted it and have not completed.
    at_it: BTreeSet<ConnectionId>,
    secret: Box<str>,
    to: Receivers,
    /// All of it, if it came in one message.
    body: Option<Body>,
    /// Which has been passed on once.
    body_ended: bool,
    due: Option<Instant>,
}

/// Who may have a file.
#[derive(Debug)]
enum Receivers {
    Room,
    Client(ClientId),
    Program,
}

/// What a client has to do with a transfer.
#[derive(Debug)]
struct Part {
    /// It is the sender, and calls it that.
    name: Option<Box<str>>,
    role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Sender,
    Receiver(Copy),
}

/// One receiver's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Copy {
    /// From where it last gave credit without being charged for it.
    credited: u64,
    /// Up to where it has the file.
    acknowledged: u64,
    /// Up to where it may be sent.
    granted: u64,
    /// Up to where the client takes it: further, if there was no room for all of its window.
    wanted: u64,
    /// What matters only if the transfer has its home elsewhere.
    permission: Permission,
}

/// Whether a receiver may have a file, as far as its own shard knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Permission {
    /// It has asked for it: what is told of the transfer until it is answered is not for this taking of it, but for one
    /// that is over.
    Asked,
    /// It may, as long as it is in this room, if the file is for one.
    Given { room: Option<u32> },
}

impl Copy {
    /// What may be on its way to it.
    const fn outstanding_bytes(&self) -> u64 {
        self.granted.saturating_sub(self.acknowledged)
    }
}

impl Files {
    pub(super) fn new(config: &Config, first: u64) -> Self {
        Self {
            rules: Rules::new(config),
            room_bytes: u64::from(queue_room(config)),
            count: first,
            entries: BTreeMap::new(),
            parts: BTreeMap::new(),
            verdicts: Verdicts::default(),
            with_room: Vec::new(),
            body_bytes: 0,
            lists: Vec::new(),
            slots: Vec::new(),
            steps: Steps::new(),
        }
    }

    /// The shards of those who are at a transfer that has its home here, some more than once.
    pub(super) fn shards_of(&self, transfer: TransferId) -> impl Iterator<Item = ShardId> {
        let at_it = self.entries.get(&transfer).map(|entry| &entry.at_it);
        at_it.into_iter().flatten().map(|end| end.shard())
    }

    /// Whether copies may have room that they have not been given.
    pub(super) fn has_room_to_use(&self) -> bool {
        !self.with_room.is_empty()
    }

    /// Transfers that have their home here. O(1).
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether a client of this shard is at any.
    pub(super) fn is_at_any(&self, index: u32) -> bool {
        self.steps.one();
        self.parts_of(index).next().is_some()
    }

    /// Memory of bodies, which the budget bounds.
    pub(super) fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// Memory of everything, estimated. O(transfers).
    pub(super) fn heap_bytes(&self) -> usize {
        let entry = |entry: &Entry| {
            let body = entry.body.as_ref().map_or(0, Body::heap_bytes);
            let own = size_of::<Entry>() + entry.offer.bytes() + entry.secret.len();
            let at_it = entry.at_it.len() * size_of::<ConnectionId>();
            own + body + at_it + entry.transfer.heap_bytes()
        };
        let names = self.parts.values().filter_map(|part| part.name.as_deref());
        self.entries.values().map(|one| entry(one)).sum::<usize>()
            + self.parts.len() * size_of::<(u32, TransferId, Part)>()
            + names.map(str::len).sum::<usize>()
    }

    #[cfg(feature = "count-steps")]
    pub(super) fn steps(&self) -> &Steps {
        &self.steps
    }

    fn get(&self, transfer: TransferId) -> Option<&Entry> {
        self.steps.one();
        self.entries.get(&transfer).map(|entry| &**entry)
    }

    fn get_mut(&mut self, transfer: TransferId) -> Option<&mut Entry> {
        self.steps.one();
        self.entries.get_mut(&transfer).map(|entry| &mut **entry)
    }

    /// What a client of this shard is at. O(that).
    fn parts_of(&self, index: u32) -> impl Iterator<Item = (TransferId, &Part)> {
        let first = TransferId::from_bits(0);
        let last = TransferId::from_bits(u64::MAX);
        let parts = self.parts.range((index, first)..=(index, last));
        parts.map(|(&(_, transfer), part)| (transfer, part))
    }
}

/// The room that a file is for.
fn room_of<'a>(to: &'a Destination<'_>) -> Option<&'a str> {
    match to {
        Destination::Room(room) => Some(room),
        Destination::Client(_) | Destination::Server => None,
    }
}
