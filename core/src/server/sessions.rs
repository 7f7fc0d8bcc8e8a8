//! Sessions: a client that has lost its connection is on another one who it was.
//!
//! What proves it is a secret that the server does not keep: a keyed hash of the client's id. The shard that the id
//! names decides who has it; where that is not the connection that the id was made for, or none for a while, it is
//! written down here. A shard that such a client is connected to knows it, too.

mod claims;
mod moves;
mod saved;
mod table;

use claims::Claim;
pub use saved::{NoSession, SavedSession};
use table::Held;
pub(super) use table::Sessions;

use super::admission::Refused;
use super::closing::Goodbye;
use super::messages::{Outcome, refusal};
use super::{Drain, News, Server};
use crate::cluster::message::{Granted, Luggage, Request, Who};
use crate::dialect::json::MetadataLimits;
use crate::error::ErrorCode;
use crate::id::ClientId;
use crate::message::{Asked, Former, ServerMessage, Session as Told};
use crate::session::connection::{CloseCause, Session};

/// Ends of sessions, or of waiting for members of a room, that are seen to at once.
pub(super) const ENDS_AT_ONCE: usize = 32;

/// Close code of a connection whose session goes on on another one.
const REPLACED: u16 = 4409;

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
        let asked_ms = self.now.unix_ms;
        if owner != self.shard {
            self.ask(
                owner,
                Request::Claim {
                    who,
                    ticket,
                    asked_ms,
                },
            );
            return Ok(Outcome::Later);
        }
        let claim = self.claim(who, ticket, asked_ms);
        if !matches!(claim, Claim::Later) {
            self.stop_waiting(index, Some(ticket));
        }
        match claim {
            Claim::Granted(granted) => {
                self.take_up(index, granted, after, asked);
                Ok(Outcome::Replied)
            }
            Claim::Later => Ok(Outcome::Later),
            Claim::Overtaken => {
                self.close_replaced(index);
                Ok(Outcome::Replied)
            }
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
        let limits = MetadataLimits::from(&self.config.limits);
        let Some(session) = self
            .connections
            .get_mut(index)
            .and_then(|c| c.session_mut())
        else {
            return self.sessions.hands_over(&luggage);
        };
        let extra = session.extra_mut();
        // What came for the id that it gives up, which is known by its names alone, goes with that id.
        let former = extra.mail.take();
        self.sessions
            .mail_is_gone(former.map_or(0, |mail| mail.bytes()));
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
        // To a new session nothing is missing.
        let after = resumed.then(|| after.unwrap_or_default());
        let mail = self.mail_position(index, after);
        let told = Told {
            client,
            secret: self.sessions.secret(&client),
            resumed,
            window_ms: self.config.sessions.window_ms,
            away_ms: self.config.sessions.rooms_wait_ms(),
            last: mail.last,
            gap: mail.gap,
            left_out: mail.left_out,
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
        let leaves = self.sessions.leave;
        if !extra.is_some_and(|extra| extra.resumable) || self.drain != Drain::No && !leaves {
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
        let full = !leaves && owner == self.shard && self.sessions.is_full(&self.config.sessions);
        let keeps = !full && (leaves && cause == CloseCause::Drain || !is_goodbye(cause, code));
        let who = Who {
            connection,
            client,
            lives: session.lives(),
        };
        if leaves && self.sessions.late && owner != self.shard {
            // Nobody waits for what is on its way there.
            self.leaves_at_once(who, owner, keeps.then_some(luggage));
        } else if owner == self.shard && keeps {
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
        keeps && !leaves && self.config.sessions.rooms_wait_ms() > 0
    }
}

/// Whether an end means that the client does not come back, or may not.
pub(super) fn is_goodbye(cause: CloseCause, code: u16) -> bool {
    match cause {
        CloseCause::Client => matches!(code, 1000 | 1001 | 1005),
        CloseCause::Command | CloseCause::Abuse | CloseCause::Protocol | CloseCause::Drain => true,
        // A message that was never finished; otherwise there was no sign of life.
        CloseCause::Timeout => code == 1008,
        _ => false,
    }
}

/// Takes out of a session what goes with it to its next connection.
pub(super) fn pack(session: &mut Session) -> Luggage {
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
