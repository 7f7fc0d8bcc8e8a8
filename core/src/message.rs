//! The neutral vocabulary that every dialect maps to.
//!
//! A dialect decodes bytes to a [`Request`] and encodes [`ServerMessage`]s; rooms and limits only ever see
//! these. Application data is carried byte-exact: for JSON a slice of the original text, never rebuilt.
//! Everything borrows where it can; nothing here allocates.

mod files;
mod history;
mod session;
mod terms;

use core::num::NonZeroU32;
use std::borrow::Cow;

pub use files::{Destination, FileHash, FileNotice, FileRequest, Named, TransferId};
pub use history::{Epoch, Gap, PastMessage, Position, Since};
pub(crate) use session::MAX_LEFT_OUT;
pub use session::{Former, Session, SessionSecret};
pub use terms::{Published, Terms};

use crate::error::ErrorCode;
use crate::id::ClientId;

/// A client's request: what it wants, and how the outcome is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The dialect, and the `id` that the single outcome echoes.
    pub asked: Asked<'a>,
    /// What is asked.
    pub message: ClientMessage<'a>,
}

/// What something answers: an outcome is told in the dialect of its request, whatever else its client is told in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Asked<'a> {
    /// Nothing: the server says it by itself.
    #[default]
    Nothing,
    /// A JSON message, with its `id`: raw JSON (a string or a number) as the client wrote it.
    Json(Option<&'a str>),
    /// A binary frame, with its request number.
    Binary(Option<NonZeroU32>),
}

impl Asked<'_> {
    /// Whether the client wants to hear of the outcome even if there is nothing to say.
    pub const fn has_id(self) -> bool {
        matches!(self, Self::Json(Some(_)) | Self::Binary(Some(_)))
    }
}

/// The same, kept until there is an outcome.
#[derive(Clone, Debug)]
pub(crate) enum Remembered {
    Json(Option<Box<str>>),
    Binary(Option<NonZeroU32>),
    Nothing,
}

impl Remembered {
    pub(crate) fn asked(&self) -> Asked<'_> {
        match self {
            Self::Nothing => Asked::Nothing,
            Self::Json(id) => Asked::Json(id.as_deref()),
            Self::Binary(number) => Asked::Binary(*number),
        }
    }

    /// Memory besides its place.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Json(id) => id.as_deref().map_or(0, str::len),
            Self::Binary(_) | Self::Nothing => 0,
        }
    }
}

impl From<Asked<'_>> for Remembered {
    fn from(asked: Asked<'_>) -> Self {
        match asked {
            Asked::Nothing => Self::Nothing,
            Asked::Json(id) => Self::Json(id.map(Box::from)),
            Asked::Binary(number) => Self::Binary(number),
        }
    }
}

/// Application data, borrowed and byte-exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// Raw JSON.
    Json(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
}

impl Payload<'_> {
    /// Its size in bytes.
    pub const fn len(self) -> usize {
        match self {
            Self::Json(json) => json.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }

    /// Whether there is nothing in it.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// Application data as a client has sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data<'a> {
    /// Raw JSON.
    Json(&'a str),
    /// Bytes; owned where they stood in the message in another form.
    Bytes(Cow<'a, [u8]>),
}

impl Data<'_> {
    /// The same, borrowed.
    pub fn payload(&self) -> Payload<'_> {
        match self {
            Self::Json(json) => Payload::Json(json),
            Self::Bytes(bytes) => Payload::Bytes(bytes),
        }
    }
}

/// A client's clock in a `ping`, echoed as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientClock<'a> {
    /// Any scalar, raw JSON.
    Json(&'a str),
    /// Milliseconds, by convention since 1970.
    Millis(u64),
}

/// What a client can ask.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientMessage<'a> {
    /// Answered by [`ServerMessage::Pong`].
    Ping {
        /// The client's own clock.
        timestamp: Option<ClientClock<'a>>,
    },
    /// Answered by [`ServerMessage::JoinedRoom`].
    Join {
        /// The room's name.
        room: Cow<'a, str>,
        /// Of somebody who comes back: then what has been said since follows, and [`ServerMessage::Resumed`].
        since: Option<Since>,
    },
    /// Answered by [`ServerMessage::LeftRoom`].
    Leave {
        /// The room's name.
        room: Cow<'a, str>,
    },
    /// Data for every client.
    Broadcast {
        /// What is said.
        data: Data<'a>,
    },
    /// Data for the other members of a room.
    RoomMessage {
        /// The room's name.
        room: Cow<'a, str>,
        /// What is said.
        data: Data<'a>,
        /// What is asked of it besides.
        terms: Terms<'a>,
    },
    /// Data for one client.
    PrivateMessage {
        /// The receiver; `None` if what the sender wrote is no client id.
        to: Option<ClientId>,
        /// What is said.
        data: Data<'a>,
        /// What is asked of it besides; it has no key.
        terms: Terms<'a>,
    },
    /// The client has what was sent to it alone.
    Ack {
        /// Up to this offset.
        offset: u64,
    },
    /// A shallow merge into the client's metadata; `null` deletes a key.
    SetMetadata {
        /// Raw JSON, an object.
        metadata: &'a str,
    },
    /// A greeting; the name is display data, never an identity.
    Hello {
        /// Raw JSON, any value.
        user: Option<&'a str>,
        /// Whether the client takes several replies in one message.
        batch: Option<bool>,
    },
    /// Answered by [`ServerMessage::Session`].
    Resume {
        /// What it had on another connection; `None`: it only wants to be able to come back.
        former: Option<Former>,
    },
    /// A page of a room's members, in the order of their ids.
    Members {
        /// The room's name.
        room: Cow<'a, str>,
        /// Only ids after this one.
        after: Option<Cow<'a, str>>,
        /// At most this many; the server's own cap applies.
        limit: Option<u32>,
        /// With each member's metadata.
        metadata: bool,
    },
    /// Messages of a room that are kept. With neither `after` nor `before`: the last ones.
    History {
        /// The room's name.
        room: Cow<'a, str>,
        /// The epoch that the offsets are of.
        epoch: Option<Epoch>,
        /// Only those with a larger offset, the first of them.
        after: Option<u64>,
        /// Only those with a smaller offset, the last of them.
        before: Option<u64>,
        /// At most this many; the server's own cap applies.
        limit: Option<u32>,
    },
    /// The client is typing in a room.
    TypingStart {
        /// The room's name.
        room: Cow<'a, str>,
    },
    /// It no longer is.
    TypingStop {
        /// The room's name.
        room: Cow<'a, str>,
    },
    /// Several messages, to be carried out in order, each with its own outcome.
    Batch {
        /// All of them, of the request's own dialect.
        messages: Messages<'a>,
    },
    /// Something about a file on its way.
    File(FileRequest<'a>),
    /// A type that the embedding program registered.
    Application {
        /// The registered type.
        kind: Cow<'a, str>,
        /// The whole message as it came.
        message: &'a str,
    },
}

/// A message as it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
}

/// The same, kept until it can be understood.
#[derive(Debug)]
pub(crate) enum Kept {
    Text(Box<str>),
    Binary(Box<[u8]>),
}

impl Kept {
    pub(crate) fn heard(&self) -> Heard<'_> {
        match self {
            Self::Text(text) => Heard::Text(text),
            Self::Binary(bytes) => Heard::Binary(bytes),
        }
    }

    /// Memory besides its place.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

impl From<Heard<'_>> for Kept {
    fn from(heard: Heard<'_>) -> Self {
        match heard {
            Heard::Text(text) => Self::Text(text.into()),
            Heard::Binary(bytes) => Self::Binary(bytes.into()),
        }
    }
}

/// The messages of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Messages<'a> {
    /// Raw JSON, an array that is not empty.
    Json(&'a str),
    /// Binary frames, one after the other, at least one.
    Binary(&'a [u8]),
}

/// What a server tells a client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerMessage<'a> {
    /// The first message on every connection.
    Welcome(Welcome),
    /// The answer to a resume.
    Session(Session),
    /// The answer to a ping.
    Pong {
        /// The server's wall clock, ms.
        timestamp: u64,
        /// What the client sent as its `timestamp`.
        client_timestamp: Option<ClientClock<'a>>,
    },
    /// The answer to a join.
    JoinedRoom {
        /// The room.
        room: &'a str,
        /// The first members, the caller among them.
        members: Cow<'a, [ClientId]>,
        /// How many there are.
        total: usize,
        /// Where its log stands, if its messages are kept.
        history: Option<Position>,
    },
    /// The answer to a leave.
    LeftRoom {
        /// The room.
        room: &'a str,
    },
    /// Someone joined.
    MemberJoined {
        /// The room.
        room: &'a str,
        /// Who.
        client: ClientId,
    },
    /// Someone left.
    MemberLeft {
        /// The room.
        room: &'a str,
        /// Who.
        client: ClientId,
        /// Why.
        reason: LeaveReason,
    },
    /// Joins and leaves of a large room, summed up.
    MembersChanged {
        /// The room.
        room: &'a str,
        /// How many joined since the last such notice.
        joined: u64,
        /// How many left.
        left: u64,
        /// How many there are now.
        total: usize,
    },
    /// A page of members.
    Members {
        /// The room.
        room: &'a str,
        /// Ids in ascending order.
        members: Cow<'a, [ClientId]>,
        /// Metadata of each, raw JSON objects, if asked for.
        metadata: Option<Cow<'a, [Cow<'a, str>]>>,
        /// How many members there are.
        total: usize,
        /// More follow after the last one here.
        more: bool,
    },
    /// Messages that were kept.
    History {
        /// The room.
        room: &'a str,
        /// Where its log stands.
        position: Position,
        /// In the order of their offsets.
        messages: Cow<'a, [PastMessage<'a>]>,
        /// There are more, after the last one or, where the last ones were asked for, before the first.
        more: bool,
        /// What was asked for and is not kept any more.
        gap: Option<Gap>,
        /// The offsets that were asked for are of another epoch: this begins with what there is.
        reset: bool,
        /// What is not told as its senders wanted it so: it is out of date, or something later has its key.
        left_out: Cow<'a, [Gap]>,
    },
    /// All that a room has for somebody who has come back to it has been told.
    Resumed {
        /// The room.
        room: &'a str,
        /// Where its log stands; `None` if it keeps none.
        position: Option<Position>,
        /// Nothing that was said since was left out.
        complete: bool,
    },
    /// A room's log has begun anew.
    Reset {
        /// The room.
        room: &'a str,
        /// Where it stands now.
        position: Position,
    },
    /// Data from one client for all.
    Broadcast {
        /// The sender.
        from: ClientId,
        /// What is said.
        data: Payload<'a>,
        /// The server's wall clock, ms.
        timestamp: u64,
    },
    /// Data from a member of a room.
    RoomMessage {
        /// The room.
        room: &'a str,
        /// The sender.
        from: ClientId,
        /// What is said.
        data: Payload<'a>,
        /// The server's wall clock, ms.
        timestamp: u64,
        /// Its place in the room's log, if there is one.
        offset: Option<u64>,
    },
    /// Data from one client for this one.
    PrivateMessage {
        /// The sender.
        from: ClientId,
        /// What is said.
        data: Payload<'a>,
        /// The server's wall clock, ms.
        timestamp: u64,
        /// Its place in what was sent to this client alone, if that is kept.
        offset: Option<u64>,
    },
    /// The caller's metadata after a change.
    MetadataUpdated {
        /// Raw JSON, an object.
        metadata: &'a str,
    },
    /// A member's metadata after a change.
    MemberUpdated {
        /// The room.
        room: &'a str,
        /// Who.
        client: ClientId,
        /// Raw JSON, an object.
        metadata: &'a str,
    },
    /// Someone is typing.
    UserTyping {
        /// The room.
        room: &'a str,
        /// Who.
        client: ClientId,
    },
    /// Someone no longer is.
    UserStoppedTyping {
        /// The room.
        room: &'a str,
        /// Who.
        client: ClientId,
    },
    /// The outcome of a request that has no reply of its own; of a message under [`Terms`] it says something.
    Ack(Published),
    /// The outcome of a request that failed, or of a message that was none.
    Error {
        /// From the closed list.
        code: ErrorCode,
        /// For people.
        message: &'a str,
        /// When it is worth trying again.
        retry_after_ms: Option<u64>,
    },
    /// Messages were dropped because this client reads too slowly.
    MessagesDropped {
        /// The room; `None`: broadcasts.
        room: Option<&'a str>,
        /// How many.
        count: u64,
    },
    /// The server is about to close the connection.
    Closing {
        /// The close code that follows.
        code: u16,
        /// For people.
        reason: &'a str,
        /// When to come back; absent: do not.
        reconnect_after_ms: Option<u64>,
    },
    /// Something about a file on its way.
    File(FileNotice<'a>),
    /// An embedding program's message or reply.
    Application {
        /// The whole message, raw JSON, an object. An `id` is put in front of its fields when it answers a request.
        message: &'a str,
    },
}

/// What a client is told first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Its public address.
    pub client: ClientId,
    /// The server's wall clock, ms.
    pub timestamp: u64,
    /// Whether an earlier session goes on.
    pub resumed: bool,
    /// Between two pings of the server.
    pub heartbeat_interval_ms: u64,
    /// Until a silent client is given up.
    pub heartbeat_timeout_ms: u64,
    /// The largest message the server takes.
    pub max_message_bytes: usize,
    /// The most rooms it may join.
    pub max_rooms: u32,
    /// The longest room name.
    pub max_room_name_bytes: usize,
    /// Messages per `rate_per_ms`; `None`: not limited.
    pub rate_messages: Option<u32>,
    /// The window of `rate_messages`.
    pub rate_per_ms: u64,
}

/// Why a member left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaveReason {
    /// It asked to.
    Left,
    /// Its connection ended.
    Disconnected,
    /// Its connection showed no sign of life.
    Timeout,
    /// The server or its operator removed it.
    Kicked,
}
