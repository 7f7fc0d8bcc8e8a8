//! Client ids: made, hidden, found again.
//!
//! An id holds 96 random bits, and the connection's shard and slot hidden by a keyed hash of them. Finding a client
//! by its id takes no table, and an id that was never given out, or whose client is gone, matches nothing. Only of a
//! client that has come back is it written down where it is.

use core::hash::BuildHasher;

use foldhash::quality::SeedableRandomState;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::Rng;

use super::Server;
use crate::id::{ClientId, ConnectionId};
use crate::machine::ShardId;
use crate::session::connection::Session;

impl Server {
    /// 96 fresh bits.
    pub(super) fn new_secret(&mut self) -> [u8; 12] {
        let mut secret = [0; 12];
        self.rng.fill_bytes(&mut secret);
        secret
    }

    /// The public id of the session in a slot. `None` if there is no session.
    pub(super) fn client_id(&self, index: u32) -> Option<ClientId> {
        let session = self.connections.get(index)?.session()?;
        Some(self.id_of(session, index))
    }

    /// The public id of a session that is, or was, in a slot: that of a former one, if it goes on with it.
    pub(super) fn id_of(&self, session: &Session, index: u32) -> ClientId {
        let extra = session.extra.as_deref();
        let former = extra.and_then(|extra| extra.client);
        former.unwrap_or_else(|| self.encode_id(&session.secret, index))
    }

    pub(super) fn encode_id(&self, secret: &[u8; 12], index: u32) -> ClientId {
        let mut bytes = [0; 18];
        let (random, hiding) = bytes.split_at_mut(12);
        random.copy_from_slice(secret);
        let place = ConnectionId::place_of(self.shard, index);
        let hidden = u64::from(place) ^ self.mask(secret);
        hiding.copy_from_slice(&hidden.to_be_bytes()[2..]);
        ClientId::encode(&bytes)
    }

    /// The slot of the client called `client`, if it is connected here. O(1).
    pub(super) fn find_client(&self, client: &ClientId) -> Option<u32> {
        let index = match self.sessions.connection(client) {
            Some(connection) => self.connections.resolve(connection)?,
            None => {
                let (_, place) = self.locate(client)?;
                place.checked_sub(ConnectionId::place_of(self.shard, 0))?
            }
        };
        let session = self.connections.get(index)?.session()?;
        (session.is_welcome() && self.id_of(session, index) == *client).then_some(index)
    }

    /// The other shard that the client called `client` is connected to, if that is what its id says. O(1).
    pub(super) fn elsewhere(&self, client: &ClientId) -> Option<ShardId> {
        if self.links.is_empty() {
            return None;
        }
        let held = self.sessions.connection(client);
        let shard = held.map_or_else(|| self.shard_of(client), |at| Some(at.shard()))?;
        (shard != self.shard && self.links.has(shard)).then_some(shard)
    }

    /// The shard whose number an id hides, if that is a number at all.
    pub(super) fn place_of(&self, client: &ClientId) -> Option<ShardId> {
        let (_, place) = self.locate(client)?;
        Some(ConnectionId::shard_of(place))
    }

    /// The random part of an id, and the place that it hides.
    fn locate(&self, client: &ClientId) -> Option<([u8; 12], u32)> {
        let bytes = client.to_bytes();
        let (random, hiding) = bytes.split_at(12);
        let secret: [u8; 12] = random.try_into().ok()?;
        let mut hidden = [0; 8];
        hidden[2..].copy_from_slice(hiding);
        let place = u64::from_be_bytes(hidden) ^ self.mask(&secret);
        Some((secret, u32::try_from(place).ok()?))
    }

    /// 48 bits that only this server can compute.
    fn mask(&self, secret: &[u8; 12]) -> u64 {
        self.keyed_hash(secret) >> 16
    }

    /// A hash that others cannot predict.
    pub(super) fn keyed_hash(&self, bytes: &[u8]) -> u64 {
        let shared = foldhash::SharedSeed::global_fixed();
        SeedableRandomState::with_seed(self.key, shared).hash_one(bytes)
    }
}

pub(super) fn next_u64(rng: &mut ChaCha12Rng) -> u64 {
    rng.next_u64()
}
