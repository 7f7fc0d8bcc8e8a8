//! The members of a room that are not connected to its home: those of other shards, and those that are away for a
//! moment.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::id::{ClientId, ConnectionId};
use crate::machine::ShardId;
use crate::message::LeaveReason;
use crate::time::Instant;

/// All of them. Everything is O(log members) or O(shards) unless it says otherwise.
#[derive(Debug)]
pub(crate) struct Guests {
    /// The room's name, shared with what is told of it.
    pub(crate) name: Arc<str>,
    members: BTreeMap<ClientId, Guest>,
    /// How many each shard has; none has 0.
    shards: Vec<(ShardId, usize)>,
    /// Those that are away, in the order in which they are waited for.
    away: BTreeSet<(Instant, ClientId)>,
    /// When they are looked at.
    pub(crate) due: Option<Instant>,
}

#[derive(Debug)]
struct Guest {
    at: At,
    /// How many connections it has had before.
    lives: u32,
    metadata: Option<Arc<str>>,
}

/// Where a member is.
#[derive(Clone, Copy, Debug)]
enum At {
    Connection(ConnectionId),
    /// It has lost its connection, and is waited for.
    Away {
        until: Instant,
        reason: LeaveReason,
    },
}

impl Guests {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            members: BTreeMap::new(),
            shards: Vec::new(),
            away: BTreeSet::new(),
            due: None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn contains(&self, client: &ClientId) -> bool {
        self.members.contains_key(client)
    }

    /// How many connections a member has had before; 0 also for who is none.
    pub(crate) fn lives(&self, client: &ClientId) -> u32 {
        self.members.get(client).map_or(0, |guest| guest.lives)
    }

    /// Whether a member is there on this connection.
    pub(crate) fn is_at(&self, client: &ClientId, connection: ConnectionId) -> bool {
        let guest = self.members.get(client);
        guest.is_some_and(|guest| matches!(guest.at, At::Connection(at) if at == connection))
    }

    /// Adds a member, or moves it to another connection.
    pub(crate) fn insert(
        &mut self,
        (client, lives): (ClientId, u32),
        connection: ConnectionId,
        metadata: Option<Arc<str>>,
    ) {
        self.remove(&client);
        let guest = Guest {
            at: At::Connection(connection),
            lives,
            metadata,
        };
        self.members.insert(client, guest);
        let shard = connection.shard();
        match self.shards.iter_mut().find(|(at, _)| *at == shard) {
            Some((_, count)) => *count += 1,
            None => self.shards.push((shard, 1)),
        }
    }

    /// A member is away: it is waited for `until` then, and has left for that `reason` if it has not come back. What is
    /// known of its metadata stays where there is nothing new.
    pub(crate) fn miss(
        &mut self,
        (client, lives): (ClientId, u32),
        (until, reason): (Instant, LeaveReason),
        metadata: Option<Arc<str>>,
    ) {
        let known = self.members.get_mut(&client);
        let known = known.and_then(|guest| guest.metadata.take());
        self.remove(&client);
        let guest = Guest {
            at: At::Away { until, reason },
            lives,
            metadata: metadata.or(known),
        };
        self.members.insert(client, guest);
        self.away.insert((until, client));
    }

    /// How many are away.
    pub(crate) fn away(&self) -> usize {
        self.away.len()
    }

    /// When the first of them has been waited for long enough.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.away.first().map(|(until, _)| *until)
    }

    /// Takes out somebody who is waited for no longer, and why it has left.
    pub(crate) fn pop_missed(&mut self, now: Instant) -> Option<(ClientId, LeaveReason)> {
        let &(until, client) = self.away.first()?;
        if until > now {
            return None;
        }
        let reason = match self.members.get(&client)?.at {
            At::Away { reason, .. } => reason,
            At::Connection(_) => LeaveReason::Disconnected,
        };
        self.remove(&client);
        Some((client, reason))
    }

    /// `false` if it was no member.
    pub(crate) fn remove(&mut self, client: &ClientId) -> bool {
        let Some(guest) = self.members.remove(client) else {
            return false;
        };
        let shard = match guest.at {
            At::Connection(connection) => connection.shard(),
            At::Away { until, .. } => {
                self.away.remove(&(until, *client));
                return true;
            }
        };
        if let Some(at) = self.shards.iter().position(|&(at, _)| at == shard)
            && let Some((_, count)) = self.shards.get_mut(at)
        {
            *count -= 1;
            if *count == 0 {
                self.shards.remove(at);
            }
        }
        true
    }

    /// The members of one shard. O(members).
    pub(crate) fn of_shard(&self, shard: ShardId) -> Vec<ClientId> {
        let there = self.members.iter();
        let there = there.filter(
            |(_, guest)| matches!(guest.at, At::Connection(connection) if connection.shard() == shard),
        );
        there.map(|(client, _)| *client).collect()
    }

    /// Keeps a copy of a member's metadata, for lists.
    pub(crate) fn set_metadata(&mut self, client: &ClientId, metadata: &str) {
        if let Some(guest) = self.members.get_mut(client) {
            guest.metadata = Some(metadata.into());
        }
    }

    /// A member's metadata, a JSON object.
    pub(crate) fn metadata(&self, client: &ClientId) -> &str {
        let guest = self.members.get(client);
        guest
            .and_then(|guest| guest.metadata.as_deref())
            .unwrap_or("{}")
    }

    /// Shards that have members, and how many.
    pub(crate) fn shards(&self) -> impl Iterator<Item = (ShardId, usize)> {
        self.shards.iter().copied()
    }

    /// The members in the order of their ids, those after `after`.
    pub(crate) fn after(&self, after: &str) -> impl Iterator<Item = ClientId> {
        let members = self.members.keys().copied();
        let after = after.to_owned();
        members.skip_while(move |client| client.as_str() <= after.as_str())
    }

    /// The members in the order of their ids.
    pub(crate) fn clients(&self) -> impl Iterator<Item = ClientId> {
        self.members.keys().copied()
    }

    /// Memory of it, estimated.
    pub(crate) fn heap_bytes(&self) -> usize {
        let metadata = self
            .members
            .values()
            .filter_map(|guest| guest.metadata.as_deref());
        size_of::<Self>()
            + self.name.len()
            + self.members.len() * size_of::<(ClientId, Guest)>()
            + self.away.len() * size_of::<(Instant, ClientId)>()
            + self.shards.capacity() * size_of::<(ShardId, usize)>()
            + metadata.map(str::len).sum::<usize>()
    }
}
