//! What the embedding program asks for.

use super::closing::Goodbye;
use super::deadlines::Deadline;
use super::event::Command;
use super::membership::Leaving;
use super::{Drain, News, Server};
use crate::cluster::message::Told;
use crate::id::ConnectionId;
use crate::message::{Asked, LeaveReason, ServerMessage};
use crate::room::LOBBY;
use crate::session::connection::{CloseCause, Session, Stage};
use crate::session::outbox::flag;
use crate::websocket::is_sendable_close_code;

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
            Command::GiveSession {
                shard,
                client,
                asked_ms,
                session,
            } => self.give_session((shard, asked_ms), client, session),
            Command::TakeSession { client, asked_ms } => self.hand_over_session(client, asked_ms),
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

    // ---- leaving

    fn start_drain(&mut self, timeout_ms: u64) {
        if self.drain == Drain::No {
            self.drain = Drain::Telling(0);
            let timeout = core::time::Duration::from_millis(timeout_ms);
            let due = self.now.mono + timeout;
            self.drain_due = due;
            self.deadlines.insert(due, Deadline::Drain);
            self.sessions.leave = self.lets_sessions_go();
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
        self.sessions.late = true;
        for index in 0..self.connections.slots() {
            let stage = self.connections.get(index).map(|c| &c.stage);
            if !matches!(stage, None | Some(Stage::Over(_))) {
                self.outboxes.raise(index, flag::RESET);
            }
        }
    }

    /// Tells the end of a drain once no connection is left, nor a session for another server.
    pub(super) fn check_drained(&mut self) {
        if self.drain == Drain::Waiting && self.live == 0 && !self.waits_for_sessions() {
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
