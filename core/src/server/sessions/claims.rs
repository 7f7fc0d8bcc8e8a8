//! Who gets a session: the shard that its id names decides.
//!
//! A session is free, somebody has it, or another shard closes the connection that has it for whoever asked last. It is
//! given away only then: what is said for it is said by one connection at a time, and in this order.

use core::time::Duration;

use super::table::{Claimer, Held, Taker};
use super::{ENDS_AT_ONCE, pack, unknown};
use crate::cluster::link::Freight;
use crate::cluster::message::{Answer, Granted, Luggage, Request, Who};
use crate::error::ErrorCode;
use crate::id::{ClientId, ConnectionId};
use crate::machine::ShardId;
use crate::server::Server;
use crate::server::admission::Refused;
use crate::server::deadlines::Deadline;
use crate::server::mail::Mail;
use crate::server::messages::refusal;
use crate::time::Instant;

/// What became of a claim.
pub(super) enum Claim {
    /// The session is the claimer's.
    Granted(Granted),
    /// It is told when it is.
    Later,
    /// Somebody has asked for it later.
    Overtaken,
    /// There is no such session.
    Unknown,
}

impl Server {
    /// A client of another shard wants a session whose id was made here.
    pub(in crate::server) fn claim_for(&mut self, who: Who, ticket: u64, asked_ms: u64) {
        let answer = match self.claim(who, ticket, asked_ms) {
            Claim::Granted(granted) => Answer::Claimed(granted),
            Claim::Later => return,
            Claim::Overtaken => Answer::Overtaken,
            Claim::Unknown => unknown().into(),
        };
        self.reply_over(who.connection, ticket, answer);
    }

    /// Whether somebody has asked for a session later who has it, or is about to: a claim that has been on its way for
    /// longer than that takes nothing from anybody. Where the clock has gone back since, nothing is known.
    pub(super) fn is_overtaken_claim(&self, client: &ClientId, asked_ms: u64) -> bool {
        let newest = self.sessions.asked_ms(client);
        asked_ms < newest && newest <= self.now.unix_ms
    }

    /// Gives a session to whom `who` names as its connection: as soon as nobody else has it.
    pub(in crate::server::sessions) fn claim(
        &mut self,
        who: Who,
        ticket: u64,
        asked_ms: u64,
    ) -> Claim {
        let Who {
            connection, client, ..
        } = who;
        if self.sessions.leave {
            // It is about to be told to go, and finds the session at the next server.
            return Claim::Later;
        }
        if self.is_overtaken_claim(&client, asked_ms) {
            return Claim::Overtaken;
        }
        let claimer = Claimer {
            connection,
            ticket,
            asked_ms,
        };
        let holder = match self.sessions.get_mut(&client) {
            Some(Held::Parked { .. }) => {
                return Claim::Granted(self.sessions.grant(client, connection, asked_ms));
            }
            Some(Held::Moving { to, .. }) => {
                if let Some(other) = to.replace(Taker::Client(claimer)) {
                    self.tell_overtaken(other, client);
                }
                return Claim::Later;
            }
            Some(&mut Held::At(holder)) => Some(holder),
            None => self.resumable_here(&client),
        };
        let Some(from) = holder else {
            if !self.shares_sessions() {
                return Claim::Unknown;
            }
            self.want_session(client, claimer);
            return Claim::Later;
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
            let granted = self.sessions.grant(client, connection, asked_ms);
            return Claim::Granted(Granted { luggage, ..granted });
        }
        let lives = self.sessions.lives(&client);
        let moving = Held::Moving {
            from: Some(from),
            to: Some(Taker::Client(claimer)),
            mail: None,
        };
        self.sessions.insert(client, moving, lives);
        let request = Request::Replace {
            holder: from,
            client,
        };
        self.ask(from.shard(), request);
        Claim::Later
    }

    /// The connection of this shard for which an id was made, if it may come back.
    pub(super) fn resumable_here(&self, client: &ClientId) -> Option<ConnectionId> {
        let here = self.find_client(client).filter(|&at| self.may_resume(at));
        here.and_then(|index| self.connections.id(index))
    }

    fn may_resume(&self, index: u32) -> bool {
        let session = self.connections.get(index).and_then(|c| c.session());
        let extra = session.and_then(|session| session.extra.as_deref());
        extra.is_some_and(|extra| extra.resumable)
    }

    /// A session of a client here goes on elsewhere: the shard that decides about it is told when that is so.
    pub(in crate::server) fn replace_for(
        &mut self,
        from: ShardId,
        holder: ConnectionId,
        client: ClientId,
    ) {
        let index = self.connections.resolve(holder);
        if self.sessions.leave && index.and_then(|index| self.client_id(index)) == Some(client) {
            // It is about to be told to go, and leaves with its session.
            return;
        }
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
    pub(in crate::server) fn replaced(
        &mut self,
        holder: ConnectionId,
        client: ClientId,
        luggage: Luggage,
    ) {
        let to = match self.sessions.get(&client) {
            Some(&Held::Moving { from, to, .. }) if from == Some(holder) => to,
            _ => return self.sessions.hands_over(&luggage),
        };
        let to = match to {
            Some(Taker::Client(_)) if self.sessions.leave => None,
            to => to,
        };
        match to {
            Some(Taker::Client(claimer)) => {
                let mut granted = self
                    .sessions
                    .grant(client, claimer.connection, claimer.asked_ms);
                let later = core::mem::replace(&mut granted.luggage, luggage).mail;
                self.append_mail(&mut granted.luggage, later);
                let answer = Answer::Claimed(granted);
                self.reply_over(claimer.connection, claimer.ticket, answer);
            }
            Some(Taker::Elsewhere(_)) | None => {
                let lives = self.sessions.lives(&client);
                let later = self.sessions.remove(client).unwrap_or_default().mail;
                let mut luggage = luggage;
                self.append_mail(&mut luggage, later);
                if to.is_none() {
                    return self.park(client, luggage, lives);
                }
                self.sessions.hands_over(&luggage);
                self.let_go((client, lives), &luggage, self.session_ends_ms());
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
        let forgotten = mail.append(*later, &self.config.sessions, &self.config.message_ids);
        self.sessions.ids_forgotten += forgotten;
        self.sessions.mail_is_gone(before - mail.bytes());
    }

    /// Closes a connection whose session goes on on another one; what goes with it.
    pub(super) fn replace(&mut self, holder: ConnectionId, client: &ClientId) -> Luggage {
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

    /// A client is gone whose id was made here: its session is kept for a while, with what goes with it, or is over.
    pub(in crate::server) fn release(&mut self, who: Who, kept: Option<Luggage>) {
        let Who {
            connection, client, ..
        } = who;
        let holds = match self.sessions.get(&client) {
            Some(&Held::Moving { from, to, .. }) if from == Some(connection) => {
                if let Some(luggage) = kept {
                    return self.replaced(connection, client, luggage);
                }
                match to {
                    Some(Taker::Client(Claimer {
                        connection, ticket, ..
                    })) => self.reply_over(connection, ticket, unknown().into()),
                    Some(Taker::Elsewhere(_)) => self.tell_none(client),
                    None => {}
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
    pub(super) fn park(&mut self, client: ClientId, luggage: Luggage, lives: u32) {
        if self.sessions.leave {
            self.sessions.end(client);
            self.sessions.hands_over(&luggage);
            return self.let_go((client, lives), &luggage, self.session_ends_ms());
        }
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
    pub(in crate::server) fn sessions_are_over(&mut self) {
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
    pub(in crate::server) fn give_up_session(&mut self, who: Who) {
        match self.shard_of(&who.client) {
            Some(owner) if owner == self.shard => self.unclaim(who),
            Some(owner) => self.ask(owner, Request::Unclaim { who }),
            None => {}
        }
    }

    /// The same, where it is decided. If it has been given the session meanwhile, that comes back.
    pub(in crate::server) fn unclaim(&mut self, who: Who) {
        let Some(Held::Moving { from, to, .. }) = self.sessions.get_mut(&who.client) else {
            return;
        };
        let is_it = |claimer: Claimer| claimer.connection == who.connection;
        to.take_if(|taker| taker.client().is_some_and(is_it));
        // If another server gives it all the same, it is kept.
        if from.is_none() && to.is_none() {
            self.sessions.end(who.client);
        }
    }

    /// A client was given a session and does not wait for it any longer, unless it has it already: then it was given it
    /// twice.
    pub(in crate::server) fn give_back(&mut self, to: ConnectionId, granted: Granted) {
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
            Some(owner) if self.sessions.leave => {
                self.sessions.hands_over(&granted.luggage);
                self.leaves_at_once(who, owner, Some(granted.luggage));
            }
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
    pub(in crate::server) fn shard_of(&self, client: &ClientId) -> Option<ShardId> {
        let shard = self.place_of(client).filter(|&shard| self.is_shard(shard));
        let foreign = || self.shares_sessions().then(|| self.owner_of(client));
        shard.or_else(foreign)
    }

    /// The shard that decides about an id, also if that was made by another server: that may be any, but always the same.
    pub(super) fn owner_of(&self, client: &ClientId) -> ShardId {
        let shard = self.place_of(client).filter(|&shard| self.is_shard(shard));
        shard.unwrap_or_else(|| {
            let hash = self.keyed_hash(&client.to_bytes());
            ShardId((hash % self.links.shards().len().max(1) as u64) as u8)
        })
    }

    fn is_shard(&self, shard: ShardId) -> bool {
        shard == self.shard || self.links.has(shard)
    }

    /// The shard that a client with an id of this one's is connected to, if that is another one and takes something for
    /// it.
    pub(in crate::server) fn moved_to(
        &self,
        client: &ClientId,
    ) -> Option<Result<ShardId, Refused>> {
        let shard = self.sessions.connection(client)?.shard();
        if shard == self.shard {
            return None;
        }
        // What is passed on is not asked for by a client here, which would wait.
        let behind = refusal(ErrorCode::Internal, "Another part of the server is behind");
        let busy = self.links.is_busy(shard, Freight::Talk);
        Some(if busy { Err(behind) } else { Ok(shard) })
    }

    /// The other shard that decides about the session of a client.
    pub(in crate::server) fn decides_elsewhere(&self, client: &ClientId) -> Option<ShardId> {
        self.shard_of(client).filter(|&shard| shard != self.shard)
    }

    /// Another shard has begun anew. Sessions of its clients that are known here can be taken up elsewhere; and it is
    /// told again of those of its ids that are in use here.
    pub(in crate::server) fn sessions_of_failed(&mut self, shard: ShardId) {
        let mut gone = Vec::new();
        let mut in_use = Vec::new();
        let mut unwanted = Vec::new();
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
                    let was_there = |claimer: Claimer| claimer.connection.shard() == shard;
                    to.take_if(|taker| taker.client().is_some_and(was_there));
                    match from {
                        Some(from) if from.shard() == shard => gone.push(who(*from)),
                        None if to.is_none() => unwanted.push(client),
                        _ => {}
                    }
                }
                Held::Parked { .. } => {}
            }
        }
        for client in unwanted {
            self.sessions.end(client);
        }
        for who in gone {
            self.release(who, Some(Luggage::default()));
        }
        for who in in_use {
            if self.shard_of(&who.client) == Some(shard) {
                self.ask(shard, Request::Hold { who });
            }
        }
    }

    /// An id that was made here before this shard began anew is in use elsewhere. Whoever has asked for it before that was
    /// known gets it from there, and not from another server.
    pub(in crate::server) fn hold(&mut self, who: Who) {
        let holder = who.connection;
        match self.sessions.get(&who.client) {
            None => self
                .sessions
                .insert(who.client, Held::At(holder), who.lives),
            Some(&Held::Moving { from: None, to, .. }) => {
                let moving = Held::Moving {
                    from: Some(holder),
                    to,
                    mail: None,
                };
                self.sessions.insert(who.client, moving, who.lives);
                let client = who.client;
                self.ask(holder.shard(), Request::Replace { holder, client });
            }
            Some(_) => {}
        }
    }

    /// Whether a client joins from a connection that has lost its session to a later one, which is in the room: the join
    /// was on its way for longer than that has taken.
    pub(in crate::server) fn is_overtaken(&self, room: u32, who: Who) -> bool {
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
