//! The members of a room that are connected to other shards than its home.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::{ClientId, ConnectionId};
use crate::machine::ShardId;

/// All of them. Everything is O(log members) or O(shards) unless it says otherwise.
#[derive(Debug)]
pub(crate) struct Guests {
    /// The room's name, shared with what is told of it.
    pub(crate) name: Arc<str>,
    members: BTreeMap<ClientId, Guest>,
    /// How many each shard has; none has 0.
    shards: Vec<(ShardId, usize)>,
}

#[derive(Debug)]
struct Guest {
    connection: ConnectionId,
    metadata: Option<Box<str>>,
}

impl Guests {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            members: BTreeMap::new(),
            shards: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    pub(crate) fn contains(&self, client: &ClientId) -> bool {
        self.members.contains_key(client)
    }

    /// Adds a member that is none yet.
    pub(crate) fn insert(
        &mut self,
        client: ClientId,
        connection: ConnectionId,
        metadata: Option<Box<str>>,
    ) {
        let guest = Guest {
            connection,
            metadata,
        };
        if self.members.insert(client, guest).is_some() {
            return;
        }
        let shard = connection.shard();
        match self.shards.iter_mut().find(|(at, _)| *at == shard) {
            Some((_, count)) => *count += 1,
            None => self.shards.push((shard, 1)),
        }
    }

    /// `false` if it was no member.
    pub(crate) fn remove(&mut self, client: &ClientId) -> bool {
        let Some(guest) = self.members.remove(client) else {
            return false;
        };
        let shard = guest.connection.shard();
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
        let there = there.filter(|(_, guest)| guest.connection.shard() == shard);
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
            + self.shards.capacity() * size_of::<(ShardId, usize)>()
            + metadata.map(str::len).sum::<usize>()
    }
}
