//! Sessions between servers: what another one has is asked of the program around this one, which it tells of what it
//! lets go.
//!
//! The program is where servers meet. This one never has a session that another one has, too: what it tells of it has
//! given up, and what it is given it has alone.

use super::table::{Claimer, Held, Taker};
use super::{SavedSession, unknown};
use crate::cluster::message::{Answer, Granted, Item, Luggage, Request, Who};
use crate::id::ClientId;
use crate::machine::ShardId;
use crate::server::event::Event;
use crate::server::{News, Server};
use crate::time::Instant;

impl Server {
    /// Whether sessions may be those of other servers.
    pub(in crate::server) const fn shares_sessions(&self) -> bool {
        self.sessions.shared
    }

    /// Whether other servers take up the sessions of this one when it is drained.
    pub(in crate::server) const fn lets_sessions_go(&self) -> bool {
        self.shares_sessions() && self.farewell.is_for_all
    }

    /// Whether a server with the same key has made it.
    pub(crate) fn has_sealed(&self, session: &SavedSession) -> bool {
        session.is_sealed(&self.sessions)
    }

    // ---- from elsewhere

    /// Asks for a session that nobody here has.
    pub(super) fn want_session(&mut self, client: ClientId, claimer: Claimer) {
        let moving = Held::Moving {
            from: None,
            to: Some(Taker::Client(claimer)),
            mail: None,
        };
        self.sessions.insert(client, moving, 0);
        self.sessions.asked_elsewhere(&client, claimer.asked_ms);
        let shard = self.shard;
        let event = Event::SessionWanted {
            shard,
            client,
            asked_ms: claimer.asked_ms,
        };
        self.news.push_back(News::Session(Box::new(event)));
    }

    /// What the program has found.
    pub(in crate::server) fn give_session(
        &mut self,
        (shard, asked_ms): (ShardId, u64),
        client: ClientId,
        session: Option<SavedSession>,
    ) {
        if shard != self.shard {
            self.stats.stale += 1;
            return;
        }
        let wanted_ms = self.sessions.wanted_ms(&client);
        let claimer = match self.sessions.get(&client) {
            // It answers somebody who has gone: the answer to who is here now is yet to come.
            Some(Held::Moving { from: None, .. }) if session.is_none() && asked_ms < wanted_ms => {
                return;
            }
            Some(Held::Moving { from: None, to, .. }) => to.and_then(Taker::client),
            // What is here is newer.
            Some(_) => {
                self.stats.stale += 1;
                return;
            }
            None => None,
        };
        self.sessions.end(client);
        let opened = session.and_then(|session| {
            let opened = self.open(client, &session);
            self.stats.stale += u64::from(opened.is_none());
            opened
        });
        let claimer = claimer.filter(|_| !self.sessions.leave);
        match (opened, claimer) {
            (Some((lives, luggage)), Some(claimer)) => {
                // As if it had been here.
                self.sessions
                    .insert(client, Held::At(claimer.connection), lives);
                let Claimer {
                    connection,
                    ticket,
                    asked_ms,
                } = claimer;
                let granted = self.sessions.grant(client, connection, asked_ms);
                let answer = Answer::Claimed(Granted { luggage, ..granted });
                self.reply_over(connection, ticket, answer);
            }
            (Some((lives, luggage)), None) if self.sessions.is_full(&self.config.sessions) => {
                self.sessions.hands_over(&luggage);
                self.let_go((client, lives), &luggage, self.session_ends_ms());
            }
            (Some((lives, luggage)), None) => self.park(client, luggage, lives),
            // Others were asked for somebody who had asked before: what they keep from him may be this one's.
            (None, Some(claimer)) if claimer.asked_ms > wanted_ms => {
                self.want_session(client, claimer);
            }
            (None, Some(claimer)) => {
                self.reply_over(claimer.connection, claimer.ticket, unknown().into());
            }
            (None, None) => {}
        }
    }

    /// What is in a session, if it is one that can be taken up.
    fn open(&mut self, client: ClientId, session: &SavedSession) -> Option<(u32, Luggage)> {
        let is_good = session.client() == client
            && self.now.unix_ms < session.until_ms()
            && self.has_sealed(session);
        if !is_good {
            return None;
        }
        let limits = (&self.config.sessions, &self.config.message_ids);
        let (lives, mut luggage) = session.open(limits).ok()?;
        let total = self.sessions.mail_bytes + luggage.mail_bytes();
        if let Some(mail) = &mut luggage.mail
            && total > self.config.sessions.max_mail_bytes
        {
            let (letters, ids) = mail.drop_all();
            self.sessions.mail_lost += letters;
            self.sessions.ids_forgotten += ids;
        }
        self.sessions.takes_over(&luggage);
        Some((lives, luggage))
    }

    // ---- to elsewhere

    /// Another server wants a session. What is wanted of the shard that decides about it, the others take no notice of.
    pub(in crate::server) fn hand_over_session(&mut self, client: ClientId, asked_ms: u64) {
        if self.owner_of(&client) != self.shard {
            return;
        }
        let lives = self.sessions.lives(&client);
        let is_overtaken = self.is_overtaken_claim(&client, asked_ms);
        let holder = match self.sessions.get_mut(&client) {
            Some(&mut Held::Parked { until, .. }) => {
                return self.parked_leaves(client, until);
            }
            // This one asks for it itself.
            Some(Held::Moving { from: None, .. }) => return self.tell_none(client),
            Some(_) if is_overtaken => return self.tell_none(client),
            Some(Held::Moving { to, .. }) => {
                if let Some(other) = to.replace(Taker::Elsewhere(asked_ms)) {
                    self.tell_overtaken(other, client);
                }
                return;
            }
            Some(&mut Held::At(holder)) => Some(holder),
            None => self.resumable_here(&client),
        };
        match holder {
            Some(holder) if holder.shard() == self.shard => {
                let luggage = self.replace(holder, &client);
                self.sessions.end(client);
                self.sessions.hands_over(&luggage);
                self.let_go((client, lives), &luggage, self.session_ends_ms());
            }
            Some(holder) => {
                let moving = Held::Moving {
                    from: Some(holder),
                    to: Some(Taker::Elsewhere(asked_ms)),
                    mail: None,
                };
                self.sessions.insert(client, moving, lives);
                self.ask(holder.shard(), Request::Replace { holder, client });
            }
            None => self.tell_none(client),
        }
    }

    /// Somebody who waits for a session does not get it, as another one has asked for it since.
    pub(super) fn tell_overtaken(&mut self, taker: Taker, client: ClientId) {
        match taker {
            Taker::Client(other) => {
                self.reply_over(other.connection, other.ticket, Answer::Overtaken);
            }
            Taker::Elsewhere(_) => self.tell_none(client),
        }
    }

    /// There is no such session for another server.
    pub(super) fn tell_none(&mut self, client: ClientId) {
        let session = None;
        let event = Event::SessionLeft { client, session };
        self.news.push_back(News::Session(Box::new(event)));
    }

    /// A session is another server's from now on, whose luggage is not counted here any more.
    pub(super) fn let_go(&mut self, who: (ClientId, u32), luggage: &Luggage, until_ms: u64) {
        let event = self.leaves(who, luggage, until_ms);
        self.news.push_back(News::Session(Box::new(event)));
    }

    fn leaves(&self, (client, lives): (ClientId, u32), luggage: &Luggage, until_ms: u64) -> Event {
        let session = SavedSession::seal(&self.sessions, (client, lives), until_ms, luggage);
        let session = Some(session);
        Event::SessionLeft { client, session }
    }

    /// Until when a session can be taken up whose connection ends now.
    pub(super) fn session_ends_ms(&self) -> u64 {
        let window_ms = self.config.sessions.window_ms;
        self.now.unix_ms.saturating_add(window_ms)
    }

    fn parked_leaves(&mut self, client: ClientId, until: Instant) {
        let event = self.unpark(client, until);
        self.news.push_back(News::Session(Box::new(event)));
    }

    fn unpark(&mut self, client: ClientId, until: Instant) -> Event {
        let lives = self.sessions.lives(&client);
        let luggage = self.sessions.remove(client).unwrap_or_default();
        self.sessions.hands_over(&luggage);
        let left = until.saturating_since(self.now.mono);
        let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        let until_ms = self.now.unix_ms.saturating_add(left_ms);
        self.leaves((client, lives), &luggage, until_ms)
    }

    /// The next session that nobody has, where all leave: one event after the other, as the program takes them.
    pub(in crate::server) fn next_leaving(&mut self) -> Option<Event> {
        if !self.sessions.leave {
            return None;
        }
        let &(until, client) = self.sessions.parked.first()?;
        Some(self.unpark(client, until))
    }

    /// A session leaves from here, though another shard decides about it: that has nothing to give away any more.
    pub(super) fn leaves_at_once(&mut self, who: Who, owner: ShardId, luggage: Option<Luggage>) {
        if let Some(luggage) = luggage {
            self.let_go((who.client, who.lives), &luggage, self.session_ends_ms());
        }
        self.sessions.end(who.client);
        let luggage = None;
        self.ask(owner, Request::Release { who, luggage });
    }

    /// Whether there is, or may come, a session that leaves when nobody is left here. Others are told of that once.
    pub(in crate::server) fn waits_for_sessions(&mut self) -> bool {
        if !self.sessions.leave || self.sessions.late {
            return self.has_leaving();
        }
        if !self.sessions.gone {
            self.sessions.gone = true;
            let others = self.links.shards().filter(|&shard| shard != self.shard);
            for shard in others.collect::<Vec<_>>() {
                self.links.push(shard, Item::Gone);
            }
        }
        self.has_leaving() || !self.links.are_gone(self.shard) || self.sessions.are_moving()
    }

    /// Whether there are sessions that nobody has, where all leave.
    fn has_leaving(&self) -> bool {
        self.sessions.leave && !self.sessions.parked.is_empty()
    }
}
