//! Requests that the embedding program answers.

use std::collections::{BTreeMap, BTreeSet};

use super::admission::Refused;
use super::deadlines::Deadline;
use super::event::{Event, Outcome as Answer, RequestToken};
use super::messages::{Outcome, refusal};
use super::{News, Server};
use crate::error::ErrorCode;
use crate::id::ConnectionId;
use crate::machine::ShardId;
use crate::message::{Asked, Remembered, ServerMessage};
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
    steps: Steps,
}

#[derive(Debug)]
struct Waiting {
    connection: ConnectionId,
    asked: Remembered,
    due: Instant,
}

impl Pending {
    /// None yet; those of `shard` differ from those of other shards.
    pub(super) fn new(shard: ShardId) -> Self {
        Self {
            next: RequestToken::first_of(shard),
            ..Self::default()
        }
    }

    #[cfg(feature = "count-steps")]
    pub(super) fn steps(&self) -> &Steps {
        &self.steps
    }

    /// Memory of the requests that wait, estimated.
    pub(super) fn heap_bytes(&self) -> usize {
        let ids = self.requests.values().map(|r| r.asked.heap_bytes());
        self.requests.len() * size_of::<(u64, Waiting, u32, u64)>() + ids.sum::<usize>()
    }

    fn insert(&mut self, token: u64, waiting: Waiting) {
        self.steps.many(2);
        self.by_connection
            .insert((waiting.connection.index(), token));
        self.requests.insert(token, waiting);
    }

    fn remove(&mut self, token: u64) -> Option<Waiting> {
        self.steps.many(2);
        let waiting = self.requests.remove(&token)?;
        self.by_connection
            .remove(&(waiting.connection.index(), token));
        Some(waiting)
    }

    /// The oldest request of a connection.
    fn first_of(&self, index: u32) -> Option<u64> {
        self.steps.one();
        let mut own = self.by_connection.range((index, 0)..=(index, u64::MAX));
        own.next().map(|&(_, token)| token)
    }
}

impl Server {
    /// Hands a message of a registered type to the embedding program.
    pub(super) fn application(
        &mut self,
        index: u32,
        kind: &str,
        message: &str,
        asked: Asked<'_>,
    ) -> Result<Outcome, Refused> {
        let limit = self.config.limits.max_pending_requests;
        let (Some(connection), Some(client)) = (self.connections.id(index), self.client_id(index))
        else {
            return Ok(Outcome::Later);
        };
        let Some(session) = self
            .connections
            .get_mut(index)
            .and_then(|c| c.session_mut())
        else {
            return Ok(Outcome::Later);
        };
        let extra = session.extra_mut();
        if extra.pending_requests >= limit {
            let message = "Too many requests wait for an answer";
            return Err(refusal(ErrorCode::RateLimited, message));
        }
        extra.pending_requests += 1;
        let token = self.pending.next;
        self.pending.next += 1;
        let wait = core::time::Duration::from_millis(self.config.timeouts.application_reply_ms);
        let due = self.now.mono + wait;
        self.deadlines.insert(due, Deadline::Reply(token));
        let waiting = Waiting {
            connection,
            asked: asked.into(),
            due,
        };
        self.pending.insert(token, waiting);
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

    pub(super) fn reply(&mut self, request: RequestToken, outcome: &Answer) {
        let Some((index, waiting)) = self.take_request(request.0) else {
            self.stats.stale += 1;
            return;
        };
        let asked = waiting.asked.asked();
        match outcome {
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
        match self.take_request(request.0) {
            Some((index, _)) => self.close_failed(index),
            None => self.stats.stale += 1,
        }
    }

    /// The embedding program did not answer in time.
    pub(super) fn reply_overdue(&mut self, token: u64) {
        if let Some((index, waiting)) = self.take_request(token) {
            let error = ServerMessage::Error {
                code: ErrorCode::Internal,
                message: "The server did not answer in time",
                retry_after_ms: None,
            };
            self.send(index, &error, waiting.asked.asked());
        }
    }

    fn take_request(&mut self, token: u64) -> Option<(u32, Waiting)> {
        let waiting = self.pending.remove(token)?;
        self.deadlines.remove(waiting.due, Deadline::Reply(token));
        let index = self.connections.resolve(waiting.connection)?;
        let session = self.connections.get_mut(index)?.session_mut()?;
        session.extra_mut().pending_requests -= 1;
        Some((index, waiting))
    }

    /// A client is gone, and its requests with it. O(its requests).
    pub(super) fn forget_requests(&mut self, index: u32, session: &Session) {
        let pending = session
            .extra
            .as_ref()
            .map_or(0, |extra| extra.pending_requests);
        for _ in 0..pending {
            let Some(token) = self.pending.first_of(index) else {
                return;
            };
            if let Some(waiting) = self.pending.remove(token) {
                self.deadlines.remove(waiting.due, Deadline::Reply(token));
            }
        }
    }
}
