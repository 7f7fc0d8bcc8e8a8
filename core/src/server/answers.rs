//! Requests that the embedding program answers.
//!
//! Whether a request under an id of its client's has come before is known where the client's mail is. It outlives its
//! connection if the client may come back: what becomes of it then goes to that mail, wherever it is by now.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::admission::Refused;
use super::deadlines::Deadline;
use super::event::{Event, Outcome as Answer, RequestToken};
use super::mail::Before;
use super::messages::{Outcome, refusal};
use super::shards::MOST_HOPS;
use super::{News, Server};
use crate::cluster::message::Request;
use crate::dialect::json;
use crate::error::ErrorCode;
use crate::id::{ClientId, ConnectionId};
use crate::machine::ShardId;
use crate::message::{Asked, Remembered, ServerMessage, Terms};
use crate::session::connection::Session;
use crate::steps::Steps;
use crate::time::Instant;

/// Application requests that wait for an answer, by token. Tokens count up, so old ones never match.
#[derive(Debug, Default)]
pub(super) struct Pending {
    next: u64,
    requests: BTreeMap<u64, Waiting>,
    /// The same by connection, so that the end of one is nothing to the requests of others.
    by_connection: BTreeSet<(u32, u64)>,
    /// How many have outlived their connection: no longer among those by connection.
    orphans: usize,
    steps: Steps,
}

#[derive(Debug)]
struct Waiting {
    connection: ConnectionId,
    asked: Remembered,
    due: Instant,
    named: Option<Box<Named>>,
}

/// What a request under an id of its client's has besides.
#[derive(Debug)]
struct Named {
    client: ClientId,
    id: Box<str>,
    /// The program was asked; otherwise it waits for what becomes of an earlier one.
    asks: bool,
}

impl Waiting {
    fn heap_bytes(&self) -> usize {
        let named = self.named.as_deref();
        self.asked.heap_bytes() + named.map_or(0, |it| size_of_val(it) + it.id.len())
    }

    /// The request of the program under an id that this is.
    fn asks(&self) -> Option<&Named> {
        self.named.as_deref().filter(|named| named.asks)
    }
}

impl Pending {
    /// None yet; those of `shard` differ from those of other shards, and from those before it has begun anew.
    pub(super) fn new(shard: ShardId, restarts: u16) -> Self {
        Self {
            next: RequestToken::first_of(shard, restarts),
            ..Self::default()
        }
    }

    #[cfg(feature = "count-steps")]
    pub(super) fn steps(&self) -> &Steps {
        &self.steps
    }

    /// Memory of the requests that wait, estimated.
    pub(super) fn heap_bytes(&self) -> usize {
        let each = self.requests.values().map(Waiting::heap_bytes);
        self.requests.len() * size_of::<(u64, Waiting, u32, u64)>() + each.sum::<usize>()
    }

    fn insert(&mut self, waiting: Waiting) -> u64 {
        self.steps.many(2);
        let token = self.next;
        self.next += 1;
        self.by_connection
            .insert((waiting.connection.index(), token));
        self.requests.insert(token, waiting);
        token
    }

    fn remove(&mut self, token: u64) -> Option<Waiting> {
        self.steps.many(2);
        let waiting = self.requests.remove(&token)?;
        let place = (waiting.connection.index(), token);
        if !self.by_connection.remove(&place) {
            self.orphans -= 1;
        }
        Some(waiting)
    }

    /// The oldest request of a connection.
    fn first_of(&self, index: u32) -> Option<u64> {
        self.steps.one();
        let mut own = self.by_connection.range((index, 0)..=(index, u64::MAX));
        own.next().map(|&(_, token)| token)
    }

    /// Those of a connection under an id of a client's. O(its requests).
    fn under(&self, index: u32, client: &ClientId, id: &str) -> Vec<u64> {
        let own = self.by_connection.range((index, 0)..=(index, u64::MAX));
        let is_it = |token: &u64| {
            self.steps.one();
            let named = self.requests.get(token).and_then(|it| it.named.as_deref());
            named.is_some_and(|named| named.client == *client && *named.id == *id)
        };
        own.map(|&(_, token)| token).filter(is_it).collect()
    }

    /// The connection of a request is gone, and the program has it still.
    fn outlives(&mut self, token: u64) {
        if let Some(waiting) = self.requests.get(&token)
            && self
                .by_connection
                .remove(&(waiting.connection.index(), token))
        {
            self.orphans += 1;
        }
    }
}

impl Server {
    /// Hands a message of a registered type to the embedding program, unless it has been before.
    pub(super) fn application(
        &mut self,
        index: u32,
        kind: &str,
        message: &str,
        asked: Asked<'_>,
    ) -> Result<Outcome, Refused> {
        let id = self.message_id(message)?;
        let (Some(connection), Some(client)) = (self.connections.id(index), self.client_id(index))
        else {
            return Ok(Outcome::Later);
        };
        let named = |asks| {
            let id = id.as_deref()?.into();
            Some(Box::new(Named { client, id, asks }))
        };
        if let Some(id) = id.as_deref() {
            match self.asked_before(index, id) {
                Before::Never => {}
                Before::Open => {
                    self.expect_answer(index, named(false), asked)?;
                    self.stats.repeated += 1;
                    return Ok(Outcome::Later);
                }
                Before::Answered(answer) => {
                    self.stats.repeated += 1;
                    self.tell_answer(index, &answer, asked);
                    return Ok(Outcome::Replied);
                }
            }
        }
        let token = self.expect_answer(index, named(true), asked)?;
        if let Some(id) = id.as_deref() {
            self.note_answer(index, id, None);
        }
        let event = Event::Application {
            connection,
            client,
            request: RequestToken(token),
            kind: kind.to_owned(),
            message: message.to_owned(),
        };
        self.application_news += 1;
        self.application_bytes += event.carried_bytes();
        self.news.push_back(News::Application(Box::new(event)));
        Ok(Outcome::Later)
    }

    /// The client's own name for a request, if it has one.
    fn message_id<'a>(&self, message: &'a str) -> Result<Option<Cow<'a, str>>, Refused> {
        let id = json::message_id(message)
            .map_err(|wrong| refusal(ErrorCode::BadMessage, wrong.message))?;
        let terms = Terms {
            message_id: id,
            ..Terms::default()
        };
        self.check_terms(&terms)?;
        Ok(terms.message_id)
    }

    /// Waits for an answer to a request of a client, if it may have one more. Its token.
    fn expect_answer(
        &mut self,
        index: u32,
        named: Option<Box<Named>>,
        asked: Asked<'_>,
    ) -> Result<u64, Refused> {
        let limit = self.config.limits.max_pending_requests;
        let connection = self.connections.id(index);
        let session = self
            .connections
            .get_mut(index)
            .and_then(|c| c.session_mut());
        let extra = session.map(Session::extra_mut);
        let (Some(connection), Some(extra)) = (connection, extra) else {
            return Err(refusal(ErrorCode::Internal, "There is no such client"));
        };
        if extra.pending_requests >= limit {
            let message = "Too many requests wait for an answer";
            return Err(refusal(ErrorCode::RateLimited, message));
        }
        extra.pending_requests += 1;
        let wait = core::time::Duration::from_millis(self.config.timeouts.application_reply_ms);
        let due = self.now.mono + wait;
        let token = self.pending.insert(Waiting {
            connection,
            asked: asked.into(),
            due,
            named,
        });
        self.deadlines.insert(due, Deadline::Reply(token));
        Ok(token)
    }

    pub(super) fn reply(&mut self, request: RequestToken, outcome: &Answer) {
        if self.settle_request(request.0, || outcome.clone()) {
            return;
        }
        match self.take_request(request.0) {
            Some((index, waiting)) => self.tell_answer(index, outcome, waiting.asked.asked()),
            None => self.stats.stale += 1,
        }
    }

    fn tell_answer(&mut self, index: u32, answer: &Answer, asked: Asked<'_>) {
        match answer {
            Answer::Ack => self.conclude(index, asked, Ok(Outcome::Done)),
            Answer::Reply(message) => {
                self.send(index, &ServerMessage::Application { message }, asked);
            }
            Answer::Error { code, message } => {
                let error = ServerMessage::Error {
                    code: *code,
                    message,
                    retry_after_ms: None,
                };
                self.send(index, &error, asked);
            }
        }
    }

    /// The embedding program has panicked at a request.
    pub(super) fn fail(&mut self, request: RequestToken) {
        self.stats.failed_jobs += 1;
        let token = request.0;
        let waiting = self.pending.requests.get(&token);
        let named = waiting.and_then(Waiting::asks);
        let named = named.map(|it| (it.client, it.id.clone()));
        let here = waiting.and_then(|it| self.session_of(it.connection));
        let Some(index) = here else {
            if !self.settle_request(token, failed) {
                self.stats.stale += 1;
            }
            return;
        };
        // Who asks again is told so, and the program is spared.
        if let Some((client, id)) = named {
            self.note_outcome(index, &client, &id, &Arc::new(failed()));
        }
        self.take_request(token);
        self.close_failed(index);
    }

    /// The embedding program did not answer in time.
    pub(super) fn reply_overdue(&mut self, token: u64) {
        if self.settle_request(token, overdue) {
            return;
        }
        if let Some((index, waiting)) = self.take_request(token) {
            self.tell_answer(index, &overdue(), waiting.asked.asked());
        }
    }

    /// The slot of a connection, if a client is there.
    fn session_of(&self, connection: ConnectionId) -> Option<u32> {
        let index = self.connections.resolve(connection)?;
        self.connections.get(index)?.session().map(|_| index)
    }

    fn take_request(&mut self, token: u64) -> Option<(u32, Waiting)> {
        let waiting = self.pending.remove(token)?;
        self.deadlines.remove(waiting.due, Deadline::Reply(token));
        let index = self.connections.resolve(waiting.connection)?;
        let session = self.connections.get_mut(index)?.session_mut()?;
        session.extra_mut().pending_requests -= 1;
        Some((index, waiting))
    }

    /// A client is gone, and its requests with it, but for those under an id if it may come back. O(its requests).
    pub(super) fn forget_requests(&mut self, index: u32, session: &Session, comes_back: bool) {
        let pending = session
            .extra
            .as_ref()
            .map_or(0, |extra| extra.pending_requests);
        let client = self.id_of(session, index);
        for _ in 0..pending {
            let Some(token) = self.pending.first_of(index) else {
                return;
            };
            let waiting = self.pending.requests.get(&token);
            let asks = waiting.and_then(Waiting::asks);
            if comes_back && asks.is_some_and(|named| named.client == client) {
                if self.pending.orphans < self.config.message_ids.max as usize {
                    self.pending.outlives(token);
                    continue;
                }
                self.sessions.ids_forgotten += 1;
            }
            if let Some(waiting) = self.pending.remove(token) {
                self.deadlines.remove(waiting.due, Deadline::Reply(token));
            }
        }
    }

    // ---- under an id

    /// What is known of a client's request.
    fn asked_before(&mut self, index: u32, id: &str) -> Before {
        let patience_ms = self.config.timeouts.application_reply_ms;
        let session = self
            .connections
            .get_mut(index)
            .and_then(|c| c.session_mut());
        let Some(extra) = session.and_then(|session| session.extra.as_deref_mut()) else {
            return Before::Never;
        };
        let when = (self.now.unix_ms, patience_ms);
        let ids = &self.config.message_ids;
        self.sessions.find_answer(&mut extra.mail, id, when, ids)
    }

    /// A client's request has come, or this became of it.
    fn note_answer(&mut self, index: u32, id: &str, answer: Option<Arc<Answer>>) {
        let session = self
            .connections
            .get_mut(index)
            .and_then(|c| c.session_mut());
        let Some(session) = session else {
            return;
        };
        let limits = (&self.config.sessions, &self.config.message_ids);
        let mail = &mut session.extra_mut().mail;
        self.sessions
            .note_answer(mail, (id, answer), self.now.unix_ms, limits);
    }

    /// A request under an id has its outcome; `false`: this is none.
    fn settle_request(&mut self, token: u64, answer: impl FnOnce() -> Answer) -> bool {
        let Some(waiting) = self.pending.requests.get(&token) else {
            return false;
        };
        let Some(Named { client, id, .. }) = waiting.asks() else {
            return false;
        };
        let (client, id, due) = (*client, id.clone(), waiting.due);
        match self.session_of(waiting.connection) {
            Some(index) => self.settle_here(index, &client, &id, &Arc::new(answer())),
            None => {
                self.pending.remove(token);
                self.deadlines.remove(due, Deadline::Reply(token));
                self.settle(client, &id, Arc::new(answer()), 0);
            }
        }
        true
    }

    /// Tells a client what became of a request, on whichever connection it asks again.
    pub(super) fn settle(&mut self, client: ClientId, id: &str, answer: Arc<Answer>, hops: u8) {
        let at = self.sessions.connection(&client).map(ConnectionId::shard);
        let elsewhere = at.filter(|&shard| shard != self.shard);
        let shard = if elsewhere.is_some() {
            elsewhere
        } else if let Some(index) = self.find_client(&client) {
            return self.settle_here(index, &client, id, &answer);
        } else if self.keep_answer(&client, id, &answer) {
            return;
        } else {
            // It was here, and has just gone: who decides about its session has heard so before this.
            self.decides_elsewhere(&client)
        };
        match shard.filter(|_| hops < MOST_HOPS) {
            Some(shard) => {
                let (id, hops) = (id.into(), hops + 1);
                let request = Request::Settle {
                    client,
                    id,
                    answer,
                    hops,
                };
                self.ask(shard, request);
            }
            // It does not come back.
            None => self.stats.stale += 1,
        }
    }

    fn settle_here(&mut self, index: u32, client: &ClientId, id: &str, answer: &Arc<Answer>) {
        self.note_outcome(index, client, id, answer);
        for token in self.pending.under(index, client, id) {
            if let Some((index, waiting)) = self.take_request(token) {
                self.tell_answer(index, answer, waiting.asked.asked());
            }
        }
    }

    /// Keeps it for a client that is connected. What was asked on its connection before it took up who it was, was asked by
    /// somebody else: who asks again under that id means a request of its own.
    fn note_outcome(&mut self, index: u32, client: &ClientId, id: &str, answer: &Arc<Answer>) {
        if self.client_id(index).as_ref() == Some(client) {
            self.note_answer(index, id, Some(Arc::clone(answer)));
        }
    }

    /// Keeps it for a client that has no connection, or is between two; `false`: there is no such client.
    fn keep_answer(&mut self, client: &ClientId, id: &str, answer: &Arc<Answer>) -> bool {
        let Some(place) = self.sessions.mail_mut(client) else {
            return false;
        };
        let mut mail = place.take();
        let limits = (&self.config.sessions, &self.config.message_ids);
        let answer = Some(Arc::clone(answer));
        self.sessions
            .note_answer(&mut mail, (id, answer), self.now.unix_ms, limits);
        if let Some(place) = self.sessions.mail_mut(client) {
            *place = mail;
        }
        true
    }
}

fn overdue() -> Answer {
    Answer::Error {
        code: ErrorCode::Internal,
        message: "The server did not answer in time".to_owned(),
    }
}

fn failed() -> Answer {
    Answer::Error {
        code: ErrorCode::Internal,
        message: "The server has failed at it".to_owned(),
    }
}
