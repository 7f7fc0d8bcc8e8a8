//! Who has which id, as far as the id does not tell.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::cluster::message::{Granted, Luggage};
use crate::config::{self, SessionKey};
use crate::id::{ClientId, ConnectionId};
use crate::message::SessionSecret;
use crate::server::mail::Mail;
use crate::time::Instant;

/// Who has which id, as far as the id does not tell.
#[derive(Debug)]
pub(in crate::server) struct Sessions {
    pub(super) key: [u8; 32],
    pub(super) held: BTreeMap<ClientId, Entry>,
    /// Those that nobody has, in the order in which they end.
    pub(super) parked: BTreeSet<(Instant, ClientId)>,
    /// When they are looked at.
    pub(super) due: Option<Instant>,
    /// They may be those of other servers.
    pub(super) shared: bool,
    /// They leave, for other servers.
    pub(in crate::server) leave: bool,
    /// Other shards know that nobody is left here.
    pub(super) gone: bool,
    /// Nothing more is waited for.
    pub(in crate::server) late: bool,
    /// Members that are away from rooms which have their home here.
    pub(in crate::server) away: usize,
    /// Memory of the mail of all sessions of this shard.
    pub(in crate::server) mail_bytes: usize,
    /// Messages that were not kept as it was too much.
    pub(in crate::server) mail_lost: u64,
    /// Ids of messages to one client that were forgotten before their time.
    pub(in crate::server) ids_forgotten: u64,
}

#[derive(Debug)]
pub(super) struct Entry {
    /// How many connections it has had but the first: what is said of an earlier one comes too late.
    pub(super) lives: u32,
    /// When the one who has it has asked for it, or the one for whom other servers were asked; 0: it began with it.
    pub(super) asked_ms: u64,
    pub(super) held: Held,
}

#[derive(Debug)]
pub(in crate::server) enum Held {
    At(ConnectionId),
    /// Another shard closes the connection that has it, for somebody who may have gone meanwhile.
    ///
    /// Without a connection another server may have it, which the program around this one knows.
    Moving {
        from: Option<ConnectionId>,
        to: Option<Taker>,
        /// What is sent to it meanwhile.
        mail: Option<Box<Mail>>,
    },
    Parked {
        until: Instant,
        luggage: Luggage,
    },
}

/// Who waits for a session.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) enum Taker {
    Client(Claimer),
    /// Another server, whose client has asked for it then.
    Elsewhere(u64),
}

impl Taker {
    pub(super) fn asked_ms(self) -> u64 {
        match self {
            Self::Client(claimer) => claimer.asked_ms,
            Self::Elsewhere(asked_ms) => asked_ms,
        }
    }

    pub(super) fn client(self) -> Option<Claimer> {
        match self {
            Self::Client(claimer) => Some(claimer),
            Self::Elsewhere(_) => None,
        }
    }
}

/// A client that waits for a session.
#[derive(Clone, Copy, Debug)]
pub(in crate::server) struct Claimer {
    pub(super) connection: ConnectionId,
    pub(super) ticket: u64,
    /// When it has asked, by its shard's wall clock.
    pub(super) asked_ms: u64,
}

impl Sessions {
    /// Whose secrets come from the seed, or from what several servers have in common.
    pub(in crate::server) fn new(seed: &[u8; 32], shared: Option<&SessionKey>) -> Self {
        let mut hash = Sha256::new();
        match shared {
            Some(SessionKey(key)) => {
                hash.update(b"roomwire shared session secrets");
                hash.update(key);
            }
            None => {
                hash.update(b"roomwire session secrets");
                hash.update(seed);
            }
        }
        Self {
            key: hash.finalize().into(),
            held: BTreeMap::new(),
            parked: BTreeSet::new(),
            due: None,
            shared: shared.is_some(),
            leave: false,
            gone: false,
            late: false,
            away: 0,
            mail_bytes: 0,
            mail_lost: 0,
            ids_forgotten: 0,
        }
    }

    /// The secret of an id. Both are of fixed length, and half of the hash is kept: nothing can be appended.
    pub(super) fn secret(&self, client: &ClientId) -> SessionSecret {
        let mut hash = Sha256::new();
        hash.update(self.key);
        hash.update(client.to_bytes());
        let mut secret = SessionSecret([0; SessionSecret::BYTES]);
        let bytes = secret.0.iter_mut().zip(hash.finalize());
        bytes.for_each(|(byte, from)| *byte = from);
        secret
    }

    /// Whether `secret` is the id's, in time that does not tell how much of it is right.
    pub(super) fn is_secret(&self, client: &ClientId, secret: &SessionSecret) -> bool {
        let right = self.secret(client);
        let bytes = right.0.iter().zip(secret.0);
        bytes.fold(0, |wrong, (a, b)| wrong | (a ^ b)) == 0
    }

    /// The connection that has an id which was made for another one.
    pub(in crate::server) fn connection(&self, client: &ClientId) -> Option<ConnectionId> {
        if self.held.is_empty() {
            return None;
        }
        match self.held.get(client)?.held {
            Held::At(connection) => Some(connection),
            Held::Moving { .. } | Held::Parked { .. } => None,
        }
    }

    /// Whether there is no place for another one that nobody has.
    pub(super) fn is_full(&self, config: &config::Sessions) -> bool {
        self.parked.len() >= config.max_parked as usize
    }

    pub(super) fn get(&self, client: &ClientId) -> Option<&Held> {
        self.held.get(client).map(|entry| &entry.held)
    }

    pub(super) fn get_mut(&mut self, client: &ClientId) -> Option<&mut Held> {
        self.held.get_mut(client).map(|entry| &mut entry.held)
    }

    /// When the last one who was given a session, or waits for it, has asked for it.
    pub(super) fn asked_ms(&self, client: &ClientId) -> u64 {
        self.held.get(client).map_or(0, |entry| match &entry.held {
            Held::Moving { to: Some(to), .. } => to.asked_ms(),
            _ => entry.asked_ms,
        })
    }

    /// Other servers are asked for a session, for somebody who has asked for it then.
    pub(super) fn asked_elsewhere(&mut self, client: &ClientId, asked_ms: u64) {
        if let Some(entry) = self.held.get_mut(client) {
            entry.asked_ms = asked_ms;
        }
    }

    /// When the one has asked for a session for whom other servers were asked.
    pub(super) fn wanted_ms(&self, client: &ClientId) -> u64 {
        self.held.get(client).map_or(0, |entry| entry.asked_ms)
    }

    /// Whether one is on its way from another shard.
    pub(super) fn are_moving(&self) -> bool {
        let mut all = self.held.values().map(|entry| &entry.held);
        all.any(|held| matches!(held, Held::Moving { from: Some(_), .. }))
    }

    /// How many connections a session has had but the first.
    pub(super) fn lives(&self, client: &ClientId) -> u32 {
        self.held.get(client).map_or(0, |entry| entry.lives)
    }

    pub(super) fn insert(&mut self, client: ClientId, held: Held, lives: u32) {
        let asked_ms = self.held.get(&client).map_or(0, |entry| entry.asked_ms);
        self.remove(client);
        if let Held::Parked { until, .. } = held {
            self.parked.insert((until, client));
        }
        let entry = Entry {
            lives,
            asked_ms,
            held,
        };
        self.held.insert(client, entry);
    }

    /// Gives a session to a connection, with what was kept of it.
    pub(super) fn grant(&mut self, client: ClientId, to: ConnectionId, asked_ms: u64) -> Granted {
        let lives = self.lives(&client).saturating_add(1);
        let luggage = self.remove(client).unwrap_or_default();
        self.insert(client, Held::At(to), lives);
        if let Some(entry) = self.held.get_mut(&client) {
            entry.asked_ms = asked_ms;
        }
        Granted {
            client,
            lives,
            luggage,
        }
    }

    /// Forgets a session; what was kept of it.
    pub(super) fn remove(&mut self, client: ClientId) -> Option<Luggage> {
        match self.held.remove(&client)?.held {
            Held::At(_) => None,
            Held::Moving { mail, .. } => Some(Luggage {
                metadata: None,
                mail,
            }),
            Held::Parked { until, luggage } => {
                self.parked.remove(&(until, client));
                Some(luggage)
            }
        }
    }

    /// A session is over.
    pub(super) fn end(&mut self, client: ClientId) {
        if let Some(luggage) = self.remove(client) {
            self.hands_over(&luggage);
        }
    }

    /// Where mail is put for a client that has no connection.
    pub(in crate::server) fn mail_mut(
        &mut self,
        client: &ClientId,
    ) -> Option<&mut Option<Box<Mail>>> {
        if self.held.is_empty() {
            return None;
        }
        match self.get_mut(client)? {
            // Nobody knows whether there is such a client.
            Held::At(_) | Held::Moving { from: None, .. } => None,
            Held::Moving { mail, .. } => Some(mail),
            Held::Parked { luggage, .. } => Some(&mut luggage.mail),
        }
    }

    /// Memory of it, estimated.
    pub(in crate::server) fn heap_bytes(&self) -> usize {
        let luggage = self.held.values().map(|entry| match &entry.held {
            Held::At(_) => 0,
            Held::Moving { mail, .. } => {
                mail.as_deref().map_or(0, |it| size_of_val(it) + it.bytes())
            }
            Held::Parked { luggage, .. } => luggage.heap_bytes(),
        });
        self.held.len() * size_of::<(ClientId, Entry)>()
            + self.parked.len() * size_of::<(Instant, ClientId)>()
            + luggage.sum::<usize>()
    }
}
