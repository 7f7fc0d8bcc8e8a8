//! What the embedding program asks for, and the requests that it answers.

use std::collections::{BTreeMap, BTreeSet};

use super::admission::Refused;
use super::closing::Goodbye;
use super::deadlines::Deadline;
use super::event::{Command, Event, Outcome as Answer, RequestToken};
use super::membership::Leaving;
use super::messages::{Outcome, refusal};
use super::{Drain, News, Server};
use crate::cluster::message::Told;
use crate::error::ErrorCode;
use crate::id::ConnectionId;
use crate::machine::ShardId;
use crate::message::{Asked, LeaveReason, Remembered, ServerMessage};
use crate::room::LOBBY;
use crate::session::connection::{CloseCause, Session, Stage};
use crate::session::outbox::flag;
use crate::steps::Steps;
use crate::time::Instant;
use crate::websocket::is_sendable_close_code;

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
    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Send {
                connection,
                message,
            } => {
                if let Some(index) = self.resolve_client(connection) {
                    self.send(
                        index,
                        &ServerMessage::Application { message: &message },
                        Asked::Nothing,
                    );
                }
            }
            Command::Publish { room, message } => {
                self.publish_command(&room, &message);
            }
            Command::Reply { request, outcome } => self.reply(request, &outcome),
            Command::Fail { request } => self.fail(request),
            Command::Kick { connection, room } => self.kick(connection, &room),
            Command::Close {
                connection,
                code,
                reason,
                reconnect_after_ms,
            } => {
                if let Some(index) = self.resolve_client(connection) {
                    let code = if is_sendable_close_code(code) {
                        code
                    } else {
                        1000
                    };
                    let goodbye =
                        Goodbye::announced(CloseCause::Command, code, &reason, reconnect_after_ms);
                    self.close_session(index, &goodbye);
                }
            }
            Command::Drain => self.start_drain(self.config.drain.timeout_ms),
            Command::Abandon => {
                self.farewell = Farewell::FAILED;
                self.drain = Drain::No;
                self.start_drain(ABANDON_MS.min(self.config.drain.timeout_ms));
            }
            Command::Explain {
                message,
                connection,
            } => self.tell_why(message, connection),
        }
    }

    /// The slot of a client that was welcomed; others are as good as gone.
    fn resolve_client(&mut self, id: ConnectionId) -> Option<u32> {
        let index = self.resolve(id)?;
        let session = self.connections.get(index).and_then(|c| c.session());
        let welcome = session.is_some_and(Session::is_welcome);
        self.stats.stale += u64::from(!welcome);
        welcome.then_some(index)
    }

    /// Publishes the program's message to a room, which its home may know without anybody here being in it.
    fn publish_command(&mut self, name: &str, message: &str) {
        let home = self.home(name);
        let said = Told::Application(message);
        if home != self.shard {
            self.say_at(home, name, None, said);
        } else if let Some(room) = self.find_named(name) {
            self.tell(room, None, said);
        }
    }

    /// The room called `name`. The lobby has no name: nobody is taken out of it, and broadcasts go there alone.
    fn find_named(&self, name: &str) -> Option<u32> {
        self.rooms.find(name).filter(|&room| room != LOBBY)
    }

    fn kick(&mut self, id: ConnectionId, name: &str) {
        let room = self.find_named(name);
        let (Some(index), Some(room)) = (self.resolve_client(id), room) else {
            return;
        };
        let Some(client) = self
            .client_id(index)
            .filter(|_| self.is_member(index, room))
        else {
            return;
        };
        let leaving = Leaving {
            index,
            client,
            reason: LeaveReason::Kicked,
            comes_back: None,
        };
        self.send(
            index,
            &ServerMessage::LeftRoom { room: name },
            Asked::Nothing,
        );
        self.leave_room(room, &leaving);
    }

    // ---- application requests

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

    fn reply(&mut self, request: RequestToken, outcome: &Answer) {
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
    fn fail(&mut self, request: RequestToken) {
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

    // ---- leaving

    fn start_drain(&mut self, timeout_ms: u64) {
        if self.drain == Drain::No {
            self.drain = Drain::Telling(0);
            let timeout = core::time::Duration::from_millis(timeout_ms);
            let due = self.now.mono + timeout;
            self.drain_due = due;
            self.deadlines.insert(due, Deadline::Drain);
        }
    }

    /// When a client may come back: its own share of the configured spread.
    pub(super) fn reconnect_delay(&self, index: u32) -> u64 {
        let drain = &self.config.drain;
        let spread = drain.reconnect_max_ms - drain.reconnect_min_ms;
        let secret = self.connections.get(index).and_then(|c| c.session());
        let hash = secret.map_or(0, |session| self.keyed_hash(&session.secret));
        drain.reconnect_min_ms + hash % (spread + 1)
    }

    /// Time is up: what is left is reset.
    pub(super) fn drain_overdue(&mut self) {
        for index in 0..self.connections.slots() {
            let stage = self.connections.get(index).map(|c| &c.stage);
            if !matches!(stage, None | Some(Stage::Over(_))) {
                self.outboxes.raise(index, flag::RESET);
            }
        }
    }

    /// Tells the end of a drain once no connection is left.
    pub(super) fn check_drained(&mut self) {
        if self.drain == Drain::Waiting && self.live == 0 {
            self.drain = Drain::Done;
            self.deadlines.remove(self.drain_due, Deadline::Drain);
            self.tell_last_refusals();
            self.news.push_back(News::Drained);
        }
    }
}

/// How everyone is told to go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Farewell {
    pub(super) code: u16,
    pub(super) reason: &'static str,
    /// The clients of all shards are told, and not only those of one that has failed.
    pub(super) is_for_all: bool,
}

impl Farewell {
    const FAILED: Self = Self {
        code: 1011,
        reason: "the server has failed",
        is_for_all: false,
    };
}

/// How long clients of a shard that has failed may take to go.
const ABANDON_MS: u64 = 2_000;
