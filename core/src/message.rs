//! The neutral vocabulary that every dialect maps to.
//!
//! A dialect decodes bytes to a [`Request`] and encodes [`ServerMessage`]s; rooms and limits only ever see
//! these. Application data is carried byte-exact: for JSON a slice of the original text, never rebuilt.
//! Everything borrows; nothing here allocates.

use std::borrow::Cow;

use crate::error::ErrorCode;
use crate::id::ClientId;

/// A client's request: what it wants and the `id` under which it wants the outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// Echoed in the single outcome. Raw JSON (a string or a number) as the client wrote it.
    pub id: Option<&'a str>,
    /// What is asked.
    pub message: ClientMessage<'a>,
}

/// What a client can ask.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientMessage<'a> {
    /// Answered by [`ServerMessage::Pong`].
    Ping {
        /// The client's own clock, any JSON value, echoed as it came.
        timestamp: Option<&'a str>,
    },
    /// Answered by [`ServerMessage::JoinedRoom`].
    Join {
        /// The room's name.
        room: Cow<'a, str>,
    },
    /// Answered by [`ServerMessage::LeftRoom`].
    Leave {
        /// The room's name.
        room: Cow<'a, str>,
    },
    /// Data for every client.
    Broadcast {
        /// Raw JSON.
        data: &'a str,
    },
    /// Data for the other members of a room.
    RoomMessage {
        /// The room's name.
        room: Cow<'a, str>,
        /// Raw JSON.
        data: &'a str,
    },
    /// Data for one client.
    PrivateMessage {
        /// The receiver's client id as the sender wrote it.
        to: Cow<'a, str>,
        /// Raw JSON.
        data: &'a str,
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
        /// Raw JSON, an array that is not empty.
        messages: &'a str,
    },
    /// A type that the embedding program registered.
    Application {
        /// The registered type.
        kind: Cow<'a, str>,
        /// The whole message as it came.
        message: &'a str,
    },
}

/// What a server tells a client.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerMessage<'a> {
    /// The first message on every connection.
    Welcome(Welcome),
    /// The answer to a ping.
    Pong {
        /// The server's wall clock, ms.
        timestamp: u64,
        /// What the client sent as its `timestamp`, raw JSON.
        client_timestamp: Option<&'a str>,
    },
    /// The answer to a join.
    JoinedRoom {
        /// The room.
        room: &'a str,
        /// The first members, the caller among them.
        members: &'a [ClientId],
        /// How many there are.
        total: usize,
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
        members: &'a [ClientId],
        /// Metadata of each, raw JSON objects, if asked for.
        metadata: Option<&'a [Cow<'a, str>]>,
        /// How many members there are.
        total: usize,
        /// More follow after the last one here.
        more: bool,
    },
    /// Data from one client for all.
    Broadcast {
        /// The sender.
        from: ClientId,
        /// Raw JSON.
        data: &'a str,
        /// The server's wall clock, ms.
        timestamp: u64,
    },
    /// Data from a member of a room.
    RoomMessage {
        /// The room.
        room: &'a str,
        /// The sender.
        from: ClientId,
        /// Raw JSON.
        data: &'a str,
        /// The server's wall clock, ms.
        timestamp: u64,
    },
    /// Data from one client for this one.
    PrivateMessage {
        /// The sender.
        from: ClientId,
        /// Raw JSON.
        data: &'a str,
        /// The server's wall clock, ms.
        timestamp: u64,
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
    /// The outcome of a request that has no reply of its own.
    Ack,
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
