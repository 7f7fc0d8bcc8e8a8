//! What a session is asked for, and what it tells.

use core::fmt;
use core::time::Duration;

use crate::client::ResponseError;
use crate::dialect::json::client::{
    Message, Said, private_message, room_message, room_message_of_bytes,
};
use crate::error::ErrorCode;
use crate::id::ClientId;
use crate::message::{Gap, Position, Session};
use crate::websocket::DecodeError;

/// The program's own name for something that it asked for: told with what becomes of it. The session does not look at
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Item(pub u64);

/// What a program can ask of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Sends something, or queues it. Exactly one [`Event::Outcome`] follows.
    Send(Send),
    /// Joins a room. The session wants to be in it from now on, and joins it again on every connection, until
    /// [`Command::Leave`], or until the server refuses, or removes it; a refusal that says when to ask again is waited
    /// for. The outcome is about this time only: after [`Dropped::ConnectionLost`] and [`Dropped::TooOld`] the room is
    /// joined when a connection is there all the same.
    Join {
        /// Its name in the outcome.
        item: Item,
        /// The room.
        room: String,
    },
    /// Leaves a room. Without a connection that is done at once, and what waits to be said there will be refused.
    Leave {
        /// Its name in the outcome.
        item: Item,
        /// The room.
        room: String,
    },
    /// The network is back, or somebody is looking again: a reconnect that waits is tried at once, unless the server
    /// has said when, and a connection that seems to be there is asked for a sign of life.
    Wake,
    /// What to connect with this time: the answer to [`Event::CredentialsWanted`]. Of another attempt than the one that
    /// waits for it, it means nothing.
    Credentials {
        /// Which attempt.
        attempt: u64,
        /// What the request of its handshake says.
        credentials: Credentials,
    },
    /// Ends the session for good; a second time changes nothing. What waits is dropped, but for a batch that is being
    /// gathered, which goes first.
    Close,
}

/// What the handshake's request says of one attempt, beside what [`ClientConfig`](crate::client::ClientConfig) has for
/// all. Shown without its secrets.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    /// The path and the query, in place of the config's. Default: none.
    pub target: Option<String>,
    /// Further header fields; they replace those of the config that have the same name. Default: none.
    pub headers: Vec<(String, String)>,
    /// Further subprotocols to offer, behind those of the config. Default: none.
    pub protocols: Vec<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("Credentials")
            .field("target", &self.target.is_some())
            .field("headers", &names)
            .field("protocols", &self.protocols.len())
            .finish()
    }
}

/// Something to send.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Send {
    /// Its name in the outcome.
    pub item: Item,
    /// What.
    pub content: Content,
    /// It is not gathered with others ([`SessionConfig::batching`](super::SessionConfig::batching)): it goes at once,
    /// and what was gathered before goes with it. Default `false`.
    pub urgent: bool,
    /// What happens to a request that was sent when the connection broke. Default: [`Delivery::AtMostOnce`].
    pub delivery: Delivery,
}

impl Send {
    /// With the defaults.
    pub const fn new(item: Item, content: Content) -> Self {
        Self {
            item,
            content,
            urgent: false,
            delivery: Delivery::AtMostOnce,
        }
    }
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// Bytes, as a binary message. Has no outcome of the server's. A frame that the program makes itself has a request
    /// number from 0x8000_0000 on, if any: smaller ones are the session's.
    Binary(Vec<u8>),
    /// A JSON object, as it stands. Has no outcome of the server's. Where binary frames are spoken, the frame that says the
    /// same, as far as this version knows its fields, but for files and where it has an `id`.
    Json(String),
    /// A JSON object that is a request: the session gives it an `id` of its own, and its outcome is awaited. Where binary
    /// frames are spoken, the frame that says the same, but for files.
    Request(String),
    /// Text, as it stands. Has no outcome of the server's.
    Text(String),
}

impl Content {
    /// A request to say `data`, JSON, in a room. `None` if it is no JSON.
    pub fn say(room: &str, data: &str) -> Option<Self> {
        room_message(room, data).map(Self::Request)
    }

    /// A request to say bytes in a room.
    pub fn say_bytes(room: &str, data: &[u8]) -> Self {
        Self::Request(room_message_of_bytes(room, data))
    }

    /// A request to say `data`, JSON, to one client. `None` if it is no JSON.
    pub fn tell(to: ClientId, data: &str) -> Option<Self> {
        private_message(to, data).map(Self::Request)
    }

    pub(super) const fn len(&self) -> usize {
        match self {
            Self::Binary(bytes) => bytes.len(),
            Self::Json(text) | Self::Request(text) | Self::Text(text) => text.len(),
        }
    }
}

/// How often a request may be carried out. What the socket had not taken whole when the connection broke was certainly
/// not, and waits for the next one either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// It is sent again until it has an outcome, or is too old. What is said in a room or to one client gets a `messageId`
    /// of the session's own, unless it has one: the server knows it again, and tells it once. Whatever else there is, and
    /// what is said to a server that knows no message again, or does not know this client again, may be carried out twice.
    AtLeastOnce,
    /// It is not sent again: whether it was carried out is not known then ([`Dropped::ConnectionLost`]).
    #[default]
    AtMostOnce,
}

/// News from a session. Messages of the server stand in variants of their own, whatever they call themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The state has changed.
    State(State),
    /// An attempt waits for [`Command::Credentials`]: only where
    /// [`SessionConfig::credentials_timeout_ms`](super::SessionConfig::credentials_timeout_ms) says so, then of each. They
    /// are used once, so that they can be as short-lived as they like.
    CredentialsWanted {
        /// Which attempt; they are counted from 1.
        attempt: u64,
    },
    /// A connection is there: the server has taken it.
    Opened {
        /// The subprotocol that it chose.
        protocol: Option<String>,
    },
    /// A connection has ended, or an attempt at one. Told once of each.
    Closed(Closed),
    /// It is over. Told once, and the last event but for the outcomes of what is still asked for.
    Ended(EndCause),
    /// An item does not go at once: it waits for the connection, or for others to go with.
    Queued(Item),
    /// What became of an item. Told exactly once.
    Outcome {
        /// Which.
        item: Item,
        /// What became of it.
        outcome: Outcome,
    },
    /// A message of the server that is none of those below and no item's outcome.
    Message(Message),
    /// A binary message: where binary frames are spoken, only what is none of a type that this version knows, and those about
    /// files.
    Binary(Vec<u8>),
    /// What a member of a room said: live, or after a reconnect what was said meanwhile; of a room that keeps its
    /// messages each once and in order.
    RoomMessage(RoomMessage),
    /// A message of the session's own, as a room has kept it: only told after a reconnect.
    OwnMessage(RoomMessage),
    /// The client has a session: a new one, or (`resumed`) the one that it had. Told on each connection, before anything
    /// else of the session. Whoever has its secret can be this client: it belongs into no log, and into
    /// [`SessionConfig::former`](super::SessionConfig::former) of a later run.
    Session(Session),
    /// The client is not who it was: the server does not have its session any more. To others it has left, and what was
    /// sent to it alone since is lost; its rooms are joined again as somebody else, and what they keep is told as ever.
    NewIdentity {
        /// Who it was. Who it is now, [`Session::client_id`](super::Session::client_id) says.
        former: ClientId,
        /// What the server answered; `None`: something that this version does not know.
        refused: Option<ErrorCode>,
    },
    /// Messages to the client alone that it has missed, and that are not kept any more.
    MailGap(Gap),
    /// Messages that were missed and are not kept any more.
    Gap {
        /// The room.
        room: String,
        /// Which.
        gap: Gap,
    },
    /// The log of a room has begun anew: offsets count from 1 again. What the former one held and was not told is lost.
    Reset {
        /// The room.
        room: String,
        /// Where it stands now.
        position: Position,
    },
    /// The end of what was said in a room while the session was away.
    Resumed {
        /// The room.
        room: String,
        /// Where its log stands; `None`: it keeps none.
        position: Option<Position>,
        /// Nothing was left out. A room that keeps no messages cannot know: it says `false`.
        complete: bool,
    },
}

/// The one state of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// From the beginning, and at each attempt, until the server has taken the connection.
    Connecting,
    /// There is a connection: the welcome is awaited, and rooms are joined again. What is sent is queued behind that.
    Resuming,
    /// All that waited has gone; what is sent goes out.
    Open,
    /// For the next attempt.
    Waiting,
    /// For good.
    Closed,
}

/// What a member of a room said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomMessage {
    /// The room.
    pub room: String,
    /// What, by whom and when.
    pub said: Said,
    /// Its place in the room's log, if there is one.
    pub offset: Option<u64>,
}

/// What became of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The server answered: `ack`, or what the request asked for. To several joins of one room there is one answer.
    Answered(Message),
    /// It was given up.
    Dropped(Dropped),
    /// A room was left while there was no connection that had joined it.
    Left,
    /// The server refused; it is its `error`.
    Refused(Message),
    /// The socket has taken it, and that is all that will be known.
    Sent,
}

/// Why an item was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Dropped {
    /// The session is closed.
    #[error("the session is closed")]
    Closed,
    /// It was sent, and the connection broke before the outcome came: whether it was carried out is not known.
    #[error("the connection was lost before the outcome was known")]
    ConnectionLost,
    /// The room was left before it was joined.
    #[error("the room was left before it was joined")]
    Left,
    /// It is no JSON object.
    #[error("it is no JSON object")]
    NotAnObject,
    /// Too much waits.
    #[error("too much waits for the connection")]
    QueueFull,
    /// It is larger than the server takes, or than ever waits for a socket.
    #[error("it is too large to be sent")]
    TooLarge,
    /// It waited for too long.
    #[error("it waited for the connection for too long")]
    TooOld,
    /// The session is in as many rooms as it may be.
    #[error("there are too many rooms")]
    TooManyRooms,
}

/// How a connection ended, or an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// The close code; 1005: a close frame without one, 1006: there was no close frame.
    pub code: u16,
    /// What the server gave as its reason; for people, often empty.
    pub reason: String,
    /// What happened.
    pub cause: CloseCause,
    /// In how long there is another attempt; `None`: there is none.
    pub reconnect_in: Option<Duration>,
}

/// What ended a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseCause {
    /// What [`Command::Credentials`] brought cannot stand in a request.
    BadCredentials {
        /// What of it: `target`, `headers` or `protocols`.
        key: String,
    },
    /// A batch held more than [`SessionConfig::max_batch_messages`](super::SessionConfig::max_batch_messages), or a page of a
    /// room did.
    BatchTooLong,
    /// The answer to the handshake was none.
    BadResponse(ResponseError),
    /// A close frame came.
    CloseFrame,
    /// The driver could not connect.
    ConnectFailed,
    /// It broke.
    Lost,
    /// There was no welcome in time, or no word on whether the session goes on.
    NoAnswer,
    /// There were no [`Command::Credentials`] in time.
    NoCredentials,
    /// There was no sign of life.
    NoPong,
    /// The server refused, in HTTP.
    Refused {
        /// The status.
        status: u16,
    },
    /// The server broke a rule of WebSocket, or a limit.
    Violation(DecodeError),
}

/// Why a session is over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndCause {
    /// [`Command::Close`].
    Command,
    /// The server would only close again: it said so itself, by its close code, or by its answer to the handshake.
    Server(Closed),
    /// So many attempts were made; this was the last.
    TooManyAttempts(Closed),
}
