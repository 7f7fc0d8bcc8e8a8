//! What clients say: every request gets exactly one outcome.
//!
//! The outcome is the natural reply, `ack` where there is none and an `id` asks for it, or `error`.

use core::time::Duration;

use super::Server;
use super::admission::{Refused, Sanction};
use super::closing::Goodbye;
use super::shards::room_of;
use crate::cluster::message::Told;
use crate::dialect::json::{self, MetadataLimits, Shape};
use crate::dialect::{Refusal, binary};
use crate::error::ErrorCode;
use crate::id::ClientId;
use crate::message::{
    Asked, ClientClock, ClientMessage, Heard, Payload, Published, Request, ServerMessage, Terms,
};
use crate::room::history::Which;
use crate::room::{LOBBY, Variant};
use crate::session::connection::CloseCause;
use crate::session::facts::Fact;
use crate::websocket::OpCode;

/// What a message came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrapping {
    /// A frame of its own.
    None,
    /// A batch.
    Batch,
}

/// What a request came to.
pub(super) enum Outcome {
    /// The reply has been sent.
    Replied,
    /// There is no reply: `ack` if it is asked for.
    Done,
    /// The same, and what became of the message.
    Published(Published),
    /// The outcome follows later.
    Later,
}

impl Server {
    /// A message of a client, and its shape if that is known.
    pub(super) fn heard(&mut self, index: u32, heard: Heard<'_>, shape: Option<&Shape>) {
        self.count_received(index);
        if let Heard::Binary(bytes) = heard
            && let Some(next) = self.take_next_binary(index)
        {
            return self.announced_binary(index, next, bytes);
        }
        self.understand(index, heard, shape, Wrapping::None);
    }

    /// A message that has been counted. One that takes long to read is handed over, and comes back with its shape.
    pub(super) fn understand(
        &mut self,
        index: u32,
        heard: Heard<'_>,
        shape: Option<&Shape>,
        wrapping: Wrapping,
    ) {
        if let (Heard::Text(text), None) = (heard, shape)
            && self.takes_long(text)
        {
            return self.hand_over_part(index, text.to_owned(), wrapping);
        }
        let types = &self.config.application_types;
        let is_application = |kind: &str| types.iter().any(|known| known == kind);
        let decoded = match (heard, shape) {
            (Heard::Text(text), Some(shape)) => {
                json::decode_shaped(text, shape, &self.json_limits, &is_application)
            }
            (Heard::Text(text), None) => json::decode(text, &self.json_limits, &is_application),
            (Heard::Binary(frame), _) => {
                binary::decode(frame, &self.binary_limits, &is_application)
            }
        };
        match decoded {
            Ok(Request {
                asked,
                message: ClientMessage::Batch { messages },
            }) => match wrapping {
                Wrapping::None => self.begin_batch(index, messages, asked),
                Wrapping::Batch => self.reject(index, asked, NESTED),
            },
            Ok(request) => match self.busy_link(index, &request.message) {
                None => self.request(index, &request),
                Some(link) => self.wait_for_link(index, link, (heard, shape), &request),
            },
            Err(rejected) => match heard {
                Heard::Text(text) if self.takes_plain_text(index, rejected.refusal.code) => {
                    self.plain_text(index, text);
                }
                _ => {
                    if rejected.body_follows {
                        self.discard_next_binary(index);
                    }
                    self.reject(index, rejected.asked, rejected.refusal);
                }
            },
        }
    }

    pub(super) fn count_received(&mut self, index: u32) {
        self.stats.received += 1;
        if let Some(session) = self
            .connections
            .get_mut(index)
            .and_then(|c| c.session_mut())
        {
            session.received += 1;
        }
    }

    /// A plain echo.
    pub(super) fn echo(&mut self, index: u32, opcode: OpCode, payload: &[u8]) {
        self.stats.received += 1;
        let session = self.connections.get(index).and_then(|c| c.session());
        let window = session.and_then(|session| session.window);
        let packed = self.compression.pack(window, payload, &mut self.stats);
        self.outboxes.direct(index, |out| packed.put(opcode, out));
    }

    fn request(&mut self, index: u32, request: &Request<'_>) {
        let outcome = match &request.message {
            ClientMessage::Ping { timestamp } => self.ping(index, *timestamp, request.asked),
            message if self.outboxes.facts.is_on() => self.noted(index, message, request.asked),
            message => self.dispatch(index, message, request.asked),
        };
        match outcome {
            Err(refused) if self.home_knows_better(index, request, refused) => {}
            outcome => self.conclude(index, request.asked, outcome),
        }
    }

    /// Whether a room that nobody here is in has its home elsewhere, which is asked then.
    fn home_knows_better(&mut self, index: u32, request: &Request<'_>, refused: Refused) -> bool {
        if refused.refusal.code != ErrorCode::NoSuchRoom {
            return false;
        }
        let name = room_of(&request.message).unwrap_or_default();
        let home = self.home(name);
        let elsewhere = home != self.shard;
        if elsewhere {
            self.ask_for_room(index, home, name, request.asked);
        }
        elsewhere
    }

    /// Tells a client the outcome of a request, unless it knows.
    pub(super) fn conclude(
        &mut self,
        index: u32,
        asked: Asked<'_>,
        outcome: Result<Outcome, Refused>,
    ) {
        match outcome {
            Ok(Outcome::Replied | Outcome::Later) => {}
            Ok(Outcome::Done) => self.acknowledge(index, Published::default(), asked),
            Ok(Outcome::Published(published)) => self.acknowledge(index, published, asked),
            Err(refused) => self.refuse_message(index, asked, refused),
        }
    }

    fn acknowledge(&mut self, index: u32, published: Published, asked: Asked<'_>) {
        if asked.has_id() {
            self.send(index, &ServerMessage::Ack(published), asked);
        }
    }

    /// Dispatches a message, and notes under which `id` it was published or refused.
    fn noted(
        &mut self,
        index: u32,
        message: &ClientMessage<'_>,
        asked: Asked<'_>,
    ) -> Result<Outcome, Refused> {
        let before = self.outboxes.facts.published();
        let outcome = self.dispatch(index, message, asked);
        let published = matches!(
            message,
            ClientMessage::Broadcast { .. }
                | ClientMessage::RoomMessage { .. }
                | ClientMessage::PrivateMessage { .. }
        );
        let id = text_of_id(asked);
        match (&outcome, id, self.connections.id(index)) {
            (Ok(_), Some(id), _) => self.outboxes.facts.name(before, &id),
            (Err(refused), id, Some(from)) if published => {
                let code = refused.refusal.code;
                self.outboxes
                    .facts
                    .note(|| Fact::Refused { from, id, code });
            }
            _ => {}
        }
        outcome
    }

    fn dispatch(
        &mut self,
        index: u32,
        message: &ClientMessage<'_>,
        asked: Asked<'_>,
    ) -> Result<Outcome, Refused> {
        match message {
            // Both are dealt with before.
            ClientMessage::Ping { .. } | ClientMessage::Batch { .. } => Ok(Outcome::Done),
            ClientMessage::Join { room, since } => self.join(index, room, *since, asked),
            ClientMessage::Leave { room } => self.leave(index, room, asked),
            ClientMessage::Broadcast { data } => self.broadcast(index, data.payload()),
            ClientMessage::RoomMessage { room, data, terms } => {
                self.room_message(index, room, (data.payload(), terms), asked)
            }
            ClientMessage::PrivateMessage { to, data, terms } => {
                self.private_message(index, *to, (data.payload(), terms), asked)
            }
            ClientMessage::Ack { offset } => self.mail_is_acknowledged(index, *offset),
            ClientMessage::SetMetadata { metadata } => self.set_metadata(index, metadata, asked),
            ClientMessage::Resume { former } => self.resume_session(index, *former, asked),
            ClientMessage::Hello { user, batch } => self.hello(index, *user, *batch),
            ClientMessage::Members {
                room,
                after,
                limit,
                metadata,
            } => self.members(index, room, after.as_deref(), *limit, *metadata, asked),
            ClientMessage::History {
                room,
                epoch,
                after,
                before,
                limit,
            } => {
                let which = match (*after, *before) {
                    (Some(after), _) => Which::After(after),
                    (None, Some(before)) => Which::Before(before),
                    (None, None) => Which::Last,
                };
                self.history(index, room, *epoch, which, *limit, asked)
            }
            ClientMessage::TypingStart { room } => self.typing(index, room, true),
            ClientMessage::TypingStop { room } => self.typing(index, room, false),
            ClientMessage::File(request) => self.file(index, request, asked),
            ClientMessage::Application { kind, message } => {
                self.admit(index, 0)?;
                self.application(index, kind, message, asked)
            }
        }
    }

    fn ping(
        &mut self,
        index: u32,
        timestamp: Option<ClientClock<'_>>,
        asked: Asked<'_>,
    ) -> Result<Outcome, Refused> {
        if let Err(refused) = self.admit_ping(index) {
            // The bucket is generous: who empties it is not measuring anything.
            self.refuse_message(index, asked, refused);
            self.close_for_abuse(index, "too many pings");
            return Ok(Outcome::Replied);
        }
        let pong = ServerMessage::Pong {
            timestamp: self.now.unix_ms,
            client_timestamp: timestamp,
        };
        self.send(index, &pong, asked);
        Ok(Outcome::Replied)
    }

    fn broadcast(&mut self, index: u32, data: Payload<'_>) -> Result<Outcome, Refused> {
        if self.config.broadcast == crate::config::Permission::Deny {
            return Err(refusal(ErrorCode::Forbidden, "Broadcasting is not allowed"));
        }
        self.check_bare(data)?;
        let others = self.clients - 1 + self.links.held_elsewhere().clients;
        self.admit(index, others)?;
        if let Some(from) = self.client_id(index) {
            let connection = self.connections.id(index);
            self.say(LOBBY, connection, Told::Data { from, data });
        }
        Ok(Outcome::Done)
    }

    fn private_message(
        &mut self,
        index: u32,
        to: Option<ClientId>,
        (data, terms): (Payload<'_>, &Terms<'_>),
        asked: Asked<'_>,
    ) -> Result<Outcome, Refused> {
        self.check_terms(terms)?;
        self.admit(index, 1)?;
        let to = to.ok_or_else(target_not_found)?;
        if let Some(shard) = self.elsewhere(&to) {
            self.ask_to_pass_on(index, shard, to, (data, terms), asked);
            return Ok(Outcome::Later);
        }
        let reachable = self.find_client(&to).filter(|&target| {
            !self.config.private_messages_need_shared_room || self.share_a_room(index, target)
        });
        let Some(from) = self.client_id(index) else {
            return Ok(Outcome::Done);
        };
        let sender = (self.connections.id(index), from);
        let published = match reachable {
            Some(target) => self.deliver_privately(target, sender, (data, terms)),
            None => self
                .keep_mail(&to, from, (data, terms))
                .ok_or_else(target_not_found)?,
        };
        Ok(Outcome::Published(published))
    }

    fn set_metadata(
        &mut self,
        index: u32,
        patch: &str,
        asked: Asked<'_>,
    ) -> Result<Outcome, Refused> {
        self.admit(index, self.audience_of(index))?;
        let limits = MetadataLimits::from(&self.config.limits);
        let Some(session) = self
            .connections
            .get_mut(index)
            .and_then(|c| c.session_mut())
        else {
            return Ok(Outcome::Done);
        };
        let metadata = &mut session.extra_mut().metadata;
        metadata.merge(patch, &limits)?;
        let metadata = metadata.clone();
        let reply = ServerMessage::MetadataUpdated {
            metadata: metadata.as_json(),
        };
        self.send(index, &reply, asked);
        self.tell_metadata(index, metadata.as_json());
        Ok(Outcome::Replied)
    }

    fn hello(
        &mut self,
        index: u32,
        user: Option<&str>,
        batch: Option<bool>,
    ) -> Result<Outcome, Refused> {
        self.admit(index, 0)?;
        let limit = self.config.limits.max_user_bytes;
        if user.is_some_and(|user| user.len() > limit) {
            return Err(refusal(ErrorCode::TooLarge, "user: too long"));
        }
        if let Some(session) = self
            .connections
            .get_mut(index)
            .and_then(|c| c.session_mut())
        {
            let extra = session.extra_mut();
            extra.user = user.map(Box::from);
            extra.batches = batch.unwrap_or(extra.batches);
        }
        Ok(Outcome::Done)
    }

    /// Bare data must not look like a message of the server, if any listener delivers it bare.
    pub(super) fn check_bare(&self, data: Payload<'_>) -> Result<(), Refused> {
        let bare = self.config.listeners.iter().any(|l| l.raw_payloads);
        let Payload::Json(json) = data else {
            return Ok(());
        };
        if bare && json::is_server_type(json) {
            let message = "data: its type is one of the server's";
            return Err(refusal(ErrorCode::Reserved, message));
        }
        Ok(())
    }

    /// Tells a client why its request was refused; one that is refused too often is throttled, then closed.
    pub(super) fn refuse_message(&mut self, index: u32, asked: Asked<'_>, refused: Refused) {
        let limited = refused.refusal.code == ErrorCode::RateLimited;
        if limited {
            self.stats.rate_limited += 1;
        } else {
            self.stats.refused += 1;
        }
        self.send_error(index, asked, refused.refusal, refused.retry_after_ms);
        let wait = refused.retry_after_ms.map(Duration::from_millis);
        match self.count_refusal(index, wait) {
            Sanction::None => {}
            Sanction::Throttle(wait) => self.throttle(index, wait),
            Sanction::Close => self.close_for_abuse(index, "too many refused requests"),
        }
    }

    /// Tells a client that its message was none; one that sends too many is closed.
    fn reject(&mut self, index: u32, asked: Asked<'_>, why: Refusal) {
        let tolerated = if why.code == ErrorCode::UnknownType {
            self.stats.unknown_types += 1;
            // An unknown type is a request that the server does not know: it counts as one.
            if let Err(refused) = self.admit(index, 0) {
                self.refuse_message(index, asked, refused);
                return;
            }
            self.tolerates_unknown_type(index)
        } else {
            self.stats.bad_messages += 1;
            self.tolerates_bad_message(index)
        };
        self.send_error(index, asked, why, None);
        if !tolerated {
            self.close_for_abuse(index, "too many bad messages");
        }
    }

    fn close_for_abuse(&mut self, index: u32, reason: &str) {
        let goodbye = Goodbye::announced(CloseCause::Abuse, 1008, reason, None);
        self.close_session(index, &goodbye);
    }

    fn send_error(
        &mut self,
        index: u32,
        asked: Asked<'_>,
        why: Refusal,
        retry_after_ms: Option<u64>,
    ) {
        let error = ServerMessage::Error {
            code: why.code,
            message: why.message,
            retry_after_ms,
        };
        self.send(index, &error, asked);
    }

    fn takes_plain_text(&self, index: u32, code: ErrorCode) -> bool {
        let listener = self.connections.get(index).map(|c| c.listener);
        code == ErrorCode::BadJson
            && listener.is_some_and(|listener| self.listener(listener).plain_text)
            && self
                .config
                .application_types
                .iter()
                .any(|t| t == PLAIN_TEXT)
    }

    /// Text that is not JSON, on a listener that hands it to the embedding program.
    fn plain_text(&mut self, index: u32, text: &str) {
        let outcome = self
            .admit(index, 0)
            .and_then(|()| self.application(index, PLAIN_TEXT, text, Asked::Nothing));
        if let Err(refused) = outcome {
            self.refuse_message(index, Asked::Nothing, refused);
        }
    }

    /// How messages stand on a client's wire.
    pub(super) fn variant(&self, index: u32) -> Option<Variant> {
        self.connections.get(index)?.session()?.variant()
    }
}

/// How a request is named to people: its `id` as raw JSON.
fn text_of_id(asked: Asked<'_>) -> Option<Box<str>> {
    match asked {
        Asked::Json(Some(id)) => Some(id.into()),
        Asked::Binary(Some(number)) => Some(number.to_string().into()),
        _ => None,
    }
}

pub(super) const fn refusal(code: ErrorCode, message: &'static str) -> Refused {
    Refused {
        refusal: Refusal { code, message },
        retry_after_ms: None,
    }
}

pub(super) const fn target_not_found() -> Refused {
    refusal(ErrorCode::TargetNotFound, "No such client")
}

const NESTED: Refusal = Refusal {
    code: ErrorCode::BadMessage,
    message: "a batch must not hold another one",
};

/// The application type that plain text arrives as.
const PLAIN_TEXT: &str = "text";
