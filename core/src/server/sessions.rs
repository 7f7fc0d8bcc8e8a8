//! Sessions: a client that has lost its connection is on another one who it was.
//!
//! What proves it is a secret that the server does not keep: a keyed hash of the client's id. The shard that the id
//! names decides who has it; where that is not the connection that the id was made for, or none for a while, it is
//! written down here. A shard that such a client is connected to knows it, too.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::admission::Refused;
use super::closing::Goodbye;
use super::deadlines::Deadline;
use super::mail::Mail;
use super::messages::{Outcome, refusal};
use super::{Drain, News, Server};
use crate::cluster::link::Freight;
use crate::cluster::message::{Answer, Granted, Luggage, Request, Who};
use crate::config;
use crate::dialect::json::MetadataLimits;
use crate::error::ErrorCode;
use crate::id::{ClientId, ConnectionId};
use crate::machine::ShardId;
use crate::message::{Asked, Former, ServerMessage, Session as Told, SessionSecret};
use crate::session::connection::{CloseCause, Session};
use crate::time::Instant;

/// Ends of sessions, or of waiting for members of a room, that are seen to at once.
pub(super) const ENDS_AT_ONCE: usize = 32;

/// Close code of a connection whose session goes on on another one.
const REPLACED: u16 = 4409;

/// Who has which id, as far as the id does not tell.
#[derive(Debug)]
pub(super) struct Sessions {
    key: [u8; 32],
    held: BTreeMap<ClientId, Entry>,
    /// Those that nobody has, in the order in which they end.
    parked: BTreeSet<(Instant, ClientId)>,
    /// When they are looked at.
    due: Option<Instant>,
    /// Members that are away from rooms which have their home here.
    pub(super) away: usize,
    /// Memory of the mail of all sessions of this shard.
    pub(super) mail_bytes: usize,
    /// Messages that were not kept as it was too much.
    pub(super) mail_lost: u64,
}

#[derive(Debug)]
struct Entry {
    /// How many connections it has had but the first: what is said of an earlier one comes too late.
    lives: u32,
    held: Held,
}

#[derive(Debug)]
enum Held {
    At(ConnectionId),
    /// Another shard closes the connection that has it, for somebody who may have gone meanwhile.
    Moving {
        from: ConnectionId,
        to: Option<Claimer>,
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
struct Claimer {
    connection: ConnectionId,
    ticket: u64,
}

/// What became of a claim.
enum Claim {
    /// The session is the claimer's.
    Granted(Granted),
    /// It is told when it is.
    Later,
    /// There is no such session.
    Unknown,
}

impl Sessions {
    pub(super) fn new(seed: &[u8; 32]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"roomwire session secrets");
        hash.update(seed);
        Self {
            key: hash.finalize().into(),
            held: BTreeMap::new(),
            parked: BTreeSet::new(),
            due: None,
            away: 0,
            mail_bytes: 0,
            mail_lost: 0,
        }
    }

    /// The secret of an id. Both are of fixed length, and half of the hash is kept: nothing can be appended.
    fn secret(&self, client: &ClientId) -> SessionSecret {
        let mut hash = Sha256::new();
        hash.update(self.key);
        hash.update(client.to_bytes());
        let mut secret = SessionSecret([0; SessionSecret::BYTES]);
        let bytes = secret.0.iter_mut().zip(hash.finalize());
        bytes.for_each(|(byte, from)| *byte = from);
        secret
    }

    /// Whether `secret` is the id's, in time that does not tell how much of it is right.
    fn is_secret(&self, client: &ClientId, secret: &SessionSecret) -> bool {
        let right = self.secret(client);
        let bytes = right.0.iter().zip(secret.0);
        bytes.fold(0, |wrong, (a, b)| wrong | (a ^ b)) == 0
    }

    /// The connection that has an id which was made for another one.
    pub(super) fn connection(&self, client: &ClientId) -> Option<ConnectionId> {
        if self.held.is_empty() {
            return None;
        }
        match self.held.get(client)?.held {
            Held::At(connection) => Some(connection),
            Held::Moving { .. } | Held::Parked { .. } => None,
        }
    }

    /// Whether there is no place for another one that nobody has.
    fn is_full(&self, config: &config::Sessions) -> bool {
        self.parked.len() >= config.max_parked as usize
    }

    fn get(&self, client: &ClientId) -> Option<&Held> {
        self.held.get(client).map(|entry| &entry.held)
    }

    fn get_mut(&mut self, client: &ClientId) -> Option<&mut Held> {
        self.held.get_mut(client).map(|entry| &mut entry.held)
    }

    /// How many connections a session has had but the first.
    fn lives(&self, client: &ClientId) -> u32 {
        self.held.get(client).map_or(0, |entry| entry.lives)
    }

    fn insert(&mut self, client: ClientId, held: Held, lives: u32) {
        self.remove(client);
        if let Held::Parked { until, .. } = held {
            self.parked.insert((until, client));
        }
        self.held.insert(client, Entry { lives, held });
    }

    /// Gives a session to a connection, with what was kept of it.
    fn grant(&mut self, client: ClientId, to: ConnectionId) -> Granted {
        let lives = self.lives(&client).saturating_add(1);
        let luggage = self.remove(client).unwrap_or_default();
        self.insert(client, Held::At(to), lives);
        Granted {
            client,
            lives,
            luggage,
        }
    }

    /// Forgets a session; what was kept of it.
    fn remove(&mut self, client: ClientId) -> Option<Luggage> {
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
    fn end(&mut self, client: ClientId) {
        if let Some(luggage) = self.remove(client) {
            self.hands_over(&luggage);
        }
    }

    /// Where mail is put for a client that has no connection.
    pub(super) fn mail_mut(&mut self, client: &ClientId) -> Option<&mut Option<Box<Mail>>> {
        if self.held.is_empty() {
            return None;
        }
        match self.get_mut(client)? {
            Held::At(_) => None,
            Held::Moving { mail, .. } => Some(mail),
            Held::Parked { luggage, .. } => Some(&mut luggage.mail),
        }
    }

    /// Memory of it, estimated.
    pub(super) fn heap_bytes(&self) -> usize {
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

impl Server {
    /// Gives a client the means to come back, or takes up what it had on another connection.
    pub(super) fn resume_session(
        &mut self,
        index: u32,
        former: Option<Former>,
        asked: Asked<'_>,
    ) -> Result<Outcome, Refused> {
        self.admit(index, 0)?;
        if self.config.sessions.window_ms == 0 {
            return Err(refusal(ErrorCode::Forbidden, "Sessions cannot be resumed"));
        }
        let Some(former) = former else {
            self.tell_session(index, (false, None), asked);
            return Ok(Outcome::Replied);
        };
        let Former {
            client,
            secret,
            after,
        } = former;
        self.check_has_begun_nothing(index)?;
        let Some(owner) = self.shard_of(&client) else {
            return Err(unknown());
        };
        if !self.sessions.is_secret(&client, &secret) {
            return Err(unknown());
        }
        let Some(who) = self.who(index).map(|who| Who { client, ..who }) else {
            return Ok(Outcome::Done);
        };
        // Its own shard does not fail without it.
        let ticket = self.wait_for_session(index, owner, former, asked);
        if owner != self.shard {
            self.ask(owner, Request::Claim { who, ticket });
            return Ok(Outcome::Later);
        }
        let claim = self.claim(who, ticket);
        if !matches!(claim, Claim::Later) {
            self.stop_waiting(index, Some(ticket));
        }
        match claim {
            Claim::Granted(granted) => {
                self.take_up(index, granted, after, asked);
                Ok(Outcome::Replied)
            }
            Claim::Later => Ok(Outcome::Later),
            Claim::Unknown => Err(unknown()),
        }
    }

    /// A client takes up a session before it does anything else: what it has begun under another id would not be its
    /// own any more.
    fn check_has_begun_nothing(&self, index: u32) -> Result<(), Refused> {
        let session = self.connections.get(index).and_then(|c| c.session());
        let begun = session.is_none_or(|session| {
            let resumable = session.extra.as_deref().is_some_and(|e| e.resumable);
            resumable || session.memberships.len() > 1
        });
        if begun || self.files.is_at_any(index) {
            let message = "resume: before joining rooms, sending files, or another resume";
            return Err(refusal(ErrorCode::BadMessage, message));
        }
        Ok(())
    }

    /// A client of another shard wants a session whose id was made here.
    pub(super) fn claim_for(&mut self, who: Who, ticket: u64) {
        let answer = match self.claim(who, ticket) {
            Claim::Granted(granted) => Answer::Claimed(granted),
            Claim::Later => return,
            Claim::Unknown => unknown().into(),
        };
        self.reply_over(who.connection, ticket, answer);
    }

    /// Gives a session to whom `who` names as its connection: as soon as nobody else has it.
    fn claim(&mut self, who: Who, ticket: u64) -> Claim {
        let Who {
            connection, client, ..
        } = who;
        let holder = match self.sessions.get_mut(&client) {
            Some(Held::Parked { .. }) => {
                return Claim::Granted(self.sessions.grant(client, connection));
            }
            Some(Held::Moving { to, .. }) => {
                if let Some(other) = to.replace(Claimer { connection, ticket }) {
                    self.reply_over(other.connection, other.ticket, Answer::Overtaken);
                }
                return Claim::Later;
            }
            Some(&mut Held::At(holder)) => Some(holder),
            None => {
                let here = self.find_client(&client).filter(|&at| self.may_resume(at));
                here.and_then(|index| self.connections.id(index))
            }
        };
        let Some(from) = holder else {
            return Claim::Unknown;
        };
        if from == connection {
            // It has been given to it, and the answer was late, or is yet to come.
            return Claim::Granted(Granted {
                client,
                lives: self.sessions.lives(&client),
                luggage: Luggage::default(),
            });
        }
        if from.shard() == self.shard {
            let luggage = self.replace(from, &client);
            let granted = self.sessions.grant(client, connection);
            return Claim::Granted(Granted { luggage, ..granted });
        }
        let to = Some(Claimer { connection, ticket });
        let lives = self.sessions.lives(&client);
        let mail = None;
        let moving = Held::Moving { from, to, mail };
        self.sessions.insert(client, moving, lives);
        let request = Request::Replace {
            holder: from,
            client,
        };
        self.ask(from.shard(), request);
        Claim::Later
    }

    fn may_resume(&self, index: u32) -> bool {
        let session = self.connections.get(index).and_then(|c| c.session());
        let extra = session.and_then(|session| session.extra.as_deref());
        extra.is_some_and(|extra| extra.resumable)
    }

    /// A session of a client here goes on elsewhere: the shard that decides about it is told when that is so.
    pub(super) fn replace_for(&mut self, from: ShardId, holder: ConnectionId, client: ClientId) {
        let luggage = self.replace(holder, &client);
        self.sessions.hands_over(&luggage);
        let request = Request::Replaced {
            holder,
            client,
            luggage,
        };
        self.ask(from, request);
    }

    /// A session that is claimed is nobody's any more: now it is the claimer's, or waits for another one if that has gone.
    pub(super) fn replaced(&mut self, holder: ConnectionId, client: ClientId, luggage: Luggage) {
        let to = match self.sessions.get(&client) {
            Some(&Held::Moving { from, to, .. }) if from == holder => to,
            _ => return self.sessions.hands_over(&luggage),
        };
        match to {
            Some(claimer) => {
                let mut granted = self.sessions.grant(client, claimer.connection);
                let later = core::mem::replace(&mut granted.luggage, luggage).mail;
                self.append_mail(&mut granted.luggage, later);
                let answer = Answer::Claimed(granted);
                self.reply_over(claimer.connection, claimer.ticket, answer);
            }
            None => {
                let lives = self.sessions.lives(&client);
                let later = self.sessions.remove(client).unwrap_or_default().mail;
                let mut luggage = luggage;
                self.append_mail(&mut luggage, later);
                self.park(client, luggage, lives);
            }
        }
    }

    /// Mail that came while the rest was on its way comes after it.
    fn append_mail(&mut self, luggage: &mut Luggage, later: Option<Box<Mail>>) {
        let Some(later) = later else {
            return;
        };
        let before = luggage.mail_bytes() + later.bytes();
        let mail = luggage.mail.get_or_insert_default();
        mail.append(*later, &self.config.sessions);
        self.sessions.mail_is_gone(before - mail.bytes());
    }

    /// Closes a connection whose session goes on on another one; what goes with it.
    fn replace(&mut self, holder: ConnectionId, client: &ClientId) -> Luggage {
        let Some(index) = self.connections.resolve(holder) else {
            return Luggage::default();
        };
        if self.client_id(index).as_ref() != Some(client) {
            return Luggage::default();
        }
        let session = self
            .connections
            .get_mut(index)
            .and_then(|c| c.session_mut());
        let luggage = session.map_or_else(Luggage::default, pack);
        self.close_replaced(index);
        luggage
    }

    /// Closes a connection in favour of a later one.
    pub(super) fn close_replaced(&mut self, index: u32) {
        let reason = "the session goes on on another connection";
        let goodbye = Goodbye::announced(CloseCause::Replaced, REPLACED, reason, None);
        self.close_session(index, &goodbye);
    }

    /// It has been decided that a session is a client's.
    pub(super) fn claimed(
        &mut self,
        index: u32,
        granted: Granted,
        after: Option<u64>,
        asked: Asked<'_>,
    ) {
        if let Some(connection) = self.connections.id(index) {
            let Granted { client, lives, .. } = granted;
            self.sessions.insert(client, Held::At(connection), lives);
        }
        self.take_up(index, granted, after, asked);
    }

    /// From now on a client is who it was.
    fn take_up(&mut self, index: u32, granted: Granted, after: Option<u64>, asked: Asked<'_>) {
        let Granted {
            client,
            lives,
            luggage,
        } = granted;
        let limits = MetadataLimits {
            max_bytes: self.config.limits.max_metadata_bytes,
            max_keys: self.config.limits.max_metadata_keys,
        };
        let Some(session) = self
            .connections
            .get_mut(index)
            .and_then(|c| c.session_mut())
        else {
            return self.sessions.hands_over(&luggage);
        };
        let extra = session.extra_mut();
        (extra.client, extra.lives, extra.mail) = (Some(client), lives, luggage.mail);
        if let Some(metadata) = luggage.metadata.as_deref() {
            // What it has set since goes over what it had, or in its place if both together are too much.
            let since = core::mem::take(&mut extra.metadata);
            let both = extra.metadata.merge(metadata, &limits);
            if both.is_err() || extra.metadata.merge(since.as_json(), &limits).is_err() {
                extra.metadata = since;
            }
        }
        self.stats.resumed += 1;
        self.news.push_back(News::Resumed(index, client));
        self.tell_session(index, (true, after), asked);
        self.tell_missed_mail(index, after.unwrap_or_default());
    }

    /// Tells a client what it has to keep to come back, and what it has missed.
    fn tell_session(
        &mut self,
        index: u32,
        (resumed, after): (bool, Option<u64>),
        asked: Asked<'_>,
    ) {
        let Some(session) = self
            .connections
            .get_mut(index)
            .and_then(|c| c.session_mut())
        else {
            return;
        };
        session.extra_mut().resumable = true;
        let Some(client) = self.client_id(index) else {
            return;
        };
        let (last, gap) = self.mail_position(index, after);
        let told = Told {
            client,
            secret: self.sessions.secret(&client),
            resumed,
            window_ms: self.config.sessions.window_ms,
            away_ms: self.config.sessions.rooms_wait_ms(),
            last,
            gap,
        };
        self.send(index, &ServerMessage::Session(told), asked);
    }

    // ---- the end of a connection

    /// A client's connection has ended; whether its rooms are to wait for it.
    pub(super) fn end_session(
        &mut self,
        index: u32,
        session: &mut Session,
        client: ClientId,
        (cause, code): (CloseCause, u16),
    ) -> bool {
        let luggage = pack(session);
        let extra = session.extra.as_deref();
        if !extra.is_some_and(|extra| extra.resumable) || self.drain != Drain::No {
            self.sessions.hands_over(&luggage);
            return false;
        }
        let (Some(owner), Some(connection)) = (self.shard_of(&client), self.connections.id(index))
        else {
            self.sessions.hands_over(&luggage);
            return false;
        };
        let own = self.sessions.connection(&client);
        if cause == CloseCause::Replaced {
            self.sessions.hands_over(&luggage);
            // Who has it now the owner knows, and has been told here if that is another client of this shard.
            if owner != self.shard && own == Some(connection) {
                self.sessions.end(client);
            }
            return self.config.sessions.rooms_wait_ms() > 0;
        }
        // Whether another shard has a place for it, that shard knows.
        let full = owner == self.shard && self.sessions.is_full(&self.config.sessions);
        let keeps = !full && !is_goodbye(cause, code);
        let who = Who {
            connection,
            client,
            lives: session.lives(),
        };
        if owner == self.shard && keeps {
            self.release(who, Some(luggage));
        } else if owner == self.shard {
            self.sessions.hands_over(&luggage);
            self.release(who, None);
        } else {
            self.sessions.end(client);
            self.sessions.hands_over(&luggage);
            let luggage = keeps.then_some(luggage);
            self.ask(owner, Request::Release { who, luggage });
        }
        keeps && self.config.sessions.rooms_wait_ms() > 0
    }

    /// A client is gone whose id was made here: its session is kept for a while, with what goes with it, or is over.
    pub(super) fn release(&mut self, who: Who, kept: Option<Luggage>) {
        let Who {
            connection, client, ..
        } = who;
        let holds = match self.sessions.get(&client) {
            Some(&Held::Moving { from, to, .. }) if from == connection => {
                if let Some(luggage) = kept {
                    return self.replaced(connection, client, luggage);
                }
                if let Some(Claimer { connection, ticket }) = to {
                    self.reply_over(connection, ticket, unknown().into());
                }
                return self.sessions.end(client);
            }
            Some(Held::At(at)) => *at == connection && self.sessions.lives(&client) == who.lives,
            Some(Held::Moving { .. } | Held::Parked { .. }) => false,
            None => true,
        };
        match kept {
            Some(luggage) if holds => {
                let lives = self.sessions.lives(&client);
                self.park(client, luggage, lives);
            }
            Some(luggage) => self.sessions.hands_over(&luggage),
            None if holds => self.sessions.end(client),
            None => {}
        }
    }

    /// Keeps a session that nobody has, if there is a place for it.
    fn park(&mut self, client: ClientId, luggage: Luggage, lives: u32) {
        if self.sessions.is_full(&self.config.sessions) {
            self.sessions.end(client);
            return self.sessions.hands_over(&luggage);
        }
        let window = Duration::from_millis(self.config.sessions.window_ms);
        let until = self.now.mono + window;
        if self.sessions.due.is_none() {
            self.look_at_sessions(until);
        }
        let parked = Held::Parked { until, luggage };
        self.sessions.insert(client, parked, lives);
    }

    /// Sessions are over that nobody has taken up.
    pub(super) fn sessions_are_over(&mut self) {
        self.sessions.due = None;
        for number in 0.. {
            let Some(&(until, client)) = self.sessions.parked.first() else {
                return;
            };
            if until > self.now.mono || number == ENDS_AT_ONCE {
                return self.look_at_sessions(until);
            }
            self.steps.one();
            self.sessions.end(client);
        }
    }

    fn look_at_sessions(&mut self, due: Instant) {
        self.sessions.due = Some(due);
        self.deadlines.insert(due, Deadline::Sessions);
    }

    /// A client does not wait any longer for a session.
    pub(super) fn give_up_session(&mut self, who: Who) {
        match self.shard_of(&who.client) {
            Some(owner) if owner == self.shard => self.unclaim(who),
            Some(owner) => self.ask(owner, Request::Unclaim { who }),
            None => {}
        }
    }

    /// The same, where it is decided. If it has been given the session meanwhile, that comes back.
    pub(super) fn unclaim(&mut self, who: Who) {
        if let Some(Held::Moving { to, .. }) = self.sessions.get_mut(&who.client) {
            to.take_if(|claimer| claimer.connection == who.connection);
        }
    }

    /// A client was given a session and does not wait for it any longer, unless it has it already: then it was given it
    /// twice.
    pub(super) fn give_back(&mut self, to: ConnectionId, granted: Granted) {
        let index = self.connections.resolve(to);
        if index.and_then(|index| self.client_id(index)) == Some(granted.client) {
            return self.sessions.hands_over(&granted.luggage);
        }
        let who = Who {
            connection: to,
            client: granted.client,
            lives: granted.lives,
        };
        match self.shard_of(&who.client) {
            Some(owner) if owner == self.shard => self.release(who, Some(granted.luggage)),
            Some(owner) => {
                self.sessions.hands_over(&granted.luggage);
                let luggage = Some(granted.luggage);
                self.ask(owner, Request::Release { who, luggage });
            }
            None => self.sessions.hands_over(&granted.luggage),
        }
    }

    // ---- other shards

    /// The shard that an id names, if there is one.
    fn shard_of(&self, client: &ClientId) -> Option<ShardId> {
        let shard = self.place_of(client)?;
        (shard == self.shard || self.links.has(shard)).then_some(shard)
    }

    /// The shard that a client with an id of this one's is connected to, if that is another one and takes something for
    /// it.
    pub(super) fn moved_to(&self, client: &ClientId) -> Option<Result<ShardId, Refused>> {
        let shard = self.sessions.connection(client)?.shard();
        if shard == self.shard {
            return None;
        }
        // What is passed on is not asked for by a client here, which would wait.
        let behind = refusal(ErrorCode::Internal, "Another part of the server is behind");
        let busy = self.links.is_busy(shard, Freight::Talk);
        Some(if busy { Err(behind) } else { Ok(shard) })
    }

    /// Another shard has begun anew. Sessions of its clients that are known here can be taken up elsewhere; and it is
    /// told again of those of its ids that are in use here.
    pub(super) fn sessions_of_failed(&mut self, shard: ShardId) {
        let mut gone = Vec::new();
        let mut in_use = Vec::new();
        self.steps.many(self.sessions.held.len());
        for (&client, entry) in &mut self.sessions.held {
            let lives = entry.lives;
            let who = |connection| Who {
                connection,
                client,
                lives,
            };
            match &mut entry.held {
                Held::At(at) if at.shard() == shard => gone.push(who(*at)),
                Held::At(at) => in_use.push(who(*at)),
                Held::Moving { from, to, .. } => {
                    to.take_if(|claimer| claimer.connection.shard() == shard);
                    if from.shard() == shard {
                        gone.push(who(*from));
                    }
                }
                Held::Parked { .. } => {}
            }
        }
        for who in gone {
            self.release(who, Some(Luggage::default()));
        }
        for who in in_use {
            if self.place_of(&who.client) == Some(shard) {
                self.ask(shard, Request::Hold { who });
            }
        }
    }

    /// An id that was made here before this shard began anew is in use elsewhere.
    pub(super) fn hold(&mut self, who: Who) {
        if self.sessions.get(&who.client).is_none() {
            let held = Held::At(who.connection);
            self.sessions.insert(who.client, held, who.lives);
        }
    }

    /// Whether a client joins from a connection that has lost its session to a later one, which is in the room: the join
    /// was on its way for longer than that has taken.
    pub(super) fn is_overtaken(&self, room: u32, who: Who) -> bool {
        let guests = self.rooms.get(room).and_then(|room| room.guests.as_deref());
        if guests.is_some_and(|guests| guests.lives(&who.client) > who.lives) {
            return true;
        }
        if self.sessions.connection(&who.client).is_none() {
            return false;
        }
        let here = self.find_client(&who.client);
        let here = here.filter(|&index| self.is_member(index, room));
        let here = here.and_then(|index| self.who(index));
        here.is_some_and(|here| here.lives > who.lives)
    }
}

/// Whether an end means that the client does not come back, or may not.
fn is_goodbye(cause: CloseCause, code: u16) -> bool {
    match cause {
        CloseCause::Client => matches!(code, 1000 | 1001 | 1005),
        CloseCause::Command | CloseCause::Abuse | CloseCause::Protocol | CloseCause::Drain => true,
        // A message that was never finished; otherwise there was no sign of life.
        CloseCause::Timeout => code == 1008,
        _ => false,
    }
}

/// Takes out of a session what goes with it to its next connection.
fn pack(session: &mut Session) -> Luggage {
    let Some(extra) = session.extra.as_deref_mut() else {
        return Luggage::default();
    };
    let metadata = &extra.metadata;
    Luggage {
        metadata: (!metadata.is_empty()).then(|| metadata.as_json().into()),
        mail: extra.mail.take(),
    }
}

const fn unknown() -> Refused {
    refusal(
        ErrorCode::StaleSession,
        "There is no such session, or it is over: go on as who you are now",
    )
}
