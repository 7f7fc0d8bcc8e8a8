//! From an upgrade to a client: the session is made, and welcomed when its listener is surely attached.
//!
//! Many clients attach their message listener only after `open`. A welcome in the same write as the upgrade
//! response would reach them too early, so it is held until the response has left and the client has either
//! spoken or had a moment.

use super::membership::lobby_slot;
use super::timing::class;
use super::{News, Server};
use crate::message::{Asked, ServerMessage, Welcome};
use crate::room::LOBBY;
use crate::session::connection::{Hold, Kind, Session, Stage};
use crate::session::facts::Fact;
use crate::websocket::deflate::Window;

impl Server {
    /// The upgrade was accepted and its response queued. `window`: how far back compressed messages may refer, if
    /// compression was agreed on.
    pub(super) fn open_session(&mut self, index: u32, kind: Kind, window: Option<Window>) {
        let mut session = Box::new(Session::new(kind, self.new_secret(), self.now.mono));
        session.window = window;
        self.stats.compressing += u64::from(window.is_some());
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        connection.stage = Stage::Session(session);
        // A response that never leaves is covered by the time for a handshake.
        self.timers.arm(index, class::HANDSHAKE, self.now.mono);
    }

    /// The upgrade response has left: only now may frames be queued, as some of them overtake others.
    pub(super) fn response_left(&mut self, index: u32) {
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        let spoken = !connection.tail.is_empty();
        let delay = self.config.timeouts.welcome_delay_ms > 0;
        let Some(session) = connection.session_mut() else {
            return;
        };
        session.hold = Hold::Delay;
        if spoken || !delay || session.kind == Kind::Echo {
            self.welcome(index);
        } else {
            self.timers.arm(index, class::WELCOME, self.now.mono);
        }
    }

    /// Welcomes a client: from now on it is one. An echo only starts.
    pub(super) fn welcome(&mut self, index: u32) {
        let Some(session) = self
            .connections
            .get_mut(index)
            .and_then(|c| c.session_mut())
        else {
            return;
        };
        if session.hold == Hold::Released {
            return;
        }
        session.hold = Hold::Released;
        self.timers.cancel(index);
        let Some(variant) = session.variant() else {
            // An echo sends nothing but echoes, so it has no heartbeat either.
            return;
        };
        let secret = session.secret;
        let message = self.welcome_message(index, &secret);
        self.send(index, &ServerMessage::Welcome(message), Asked::Nothing);
        let slot = lobby_slot(&mut self.rooms, variant, index, &self.outboxes);
        self.outboxes.facts.note(|| Fact::Joined {
            slot: index,
            room: LOBBY,
        });
        if let Some(session) = self
            .connections
            .get_mut(index)
            .and_then(|c| c.session_mut())
        {
            session.set_slot(LOBBY, slot);
        }
        self.clients += 1;
        self.stats.opened += 1;
        self.news.push_back(News::Opened(index));
        self.start_heartbeat(index);
    }

    /// Welcomes a session that is being closed before it was.
    pub(super) fn send_welcome(&mut self, index: u32, session: &Session) {
        let message = self.welcome_message(index, &session.secret);
        self.send_last(index, session.kind, &ServerMessage::Welcome(message));
    }

    fn welcome_message(&self, index: u32, secret: &[u8; 12]) -> Welcome {
        let config = &self.config;
        Welcome {
            client: self.encode_id(secret, index),
            timestamp: self.now.unix_ms,
            resumed: false,
            heartbeat_interval_ms: config.heartbeat.interval_ms,
            heartbeat_timeout_ms: config.heartbeat.timeout_ms,
            max_message_bytes: config.limits.max_message_bytes,
            max_rooms: config.limits.max_rooms_per_client,
            max_room_name_bytes: config.room_names.max_bytes,
            rate_messages: config
                .rate_limit
                .enabled
                .then_some(config.rate_limit.messages),
            rate_per_ms: config.rate_limit.per_ms,
        }
    }
}
