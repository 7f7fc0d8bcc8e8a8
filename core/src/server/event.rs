//! What a server tells the program that embeds it, and what that program can ask for.

use core::time::Duration;

use super::refusals::Refused;
use crate::error::ErrorCode;
use crate::id::{ClientId, ConnectionId};
use crate::machine::{ListenerId, PeerAddr, ShardId};
use crate::message::TransferId;
use crate::server::explain::{MessageName, Verdict};
use crate::server::sessions::SavedSession;
pub use crate::session::connection::CloseCause;

/// News from a server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A client was welcomed.
    Opened {
        /// Its connection.
        connection: ConnectionId,
        /// Its public address.
        client: ClientId,
        /// The far end of its socket, or the client that a trusted proxy names; its port is 0 if the proxy does
        /// not tell it.
        peer: PeerAddr,
        /// Where it came in.
        listener: ListenerId,
    },
    /// A client is gone, and its connection has ended: its rooms were told when it left, up to `timeouts.linger_ms`
    /// before that. Told exactly once for each `Opened`, never dropped.
    Closed {
        /// Its connection; stale from now on.
        connection: ConnectionId,
        /// Its public address.
        client: ClientId,
        /// Why.
        cause: CloseCause,
        /// The close code that was sent, or came: 1006 if there was none.
        code: u16,
        /// How long it was there.
        duration: Duration,
        /// Messages it sent.
        received: u64,
    },
    /// A client goes on as who it was on another connection: the id that it was opened with is nobody's any more. If that
    /// connection was still there, its `Closed` comes later, with the same id: tell them apart by `connection`.
    Resumed {
        /// Its connection.
        connection: ConnectionId,
        /// Its public address from now on.
        client: ClientId,
    },
    /// A client wants to be who it was on another server ([`sessions.key`](crate::config::Sessions::key)). Answer it with
    /// [`Command::GiveSession`]; without an answer within `timeouts.relay_ms` the client gets `error internal`.
    SessionWanted {
        /// Takes the answer.
        shard: ShardId,
        /// Who it was.
        client: ClientId,
        /// When it has asked, by this server's clock, in ms since 1970: of two connections that ask at two servers the one
        /// that asked later has it in the end, as far as the servers' clocks agree.
        asked_ms: u64,
    },
    /// A session is not this server's any more, for another one to take up: as [`Command::TakeSession`] has asked for, or
    /// as this one is drained and has a [`sessions.key`](crate::config::Sessions::key). Each is told of once, before
    /// [`Drained`](Self::Drained).
    SessionLeft {
        /// Whose it was.
        client: ClientId,
        /// What is left of it; `None`: there is none, or none for whoever has asked: somebody here has asked for it since, or
        /// this server asks for it itself.
        session: Option<SavedSession>,
    },
    /// A client sent a message of a registered type. Answer it with [`Command::Reply`]; without an answer in
    /// time the client gets `error internal`.
    Application {
        /// Its connection.
        connection: ConnectionId,
        /// Its public address.
        client: ClientId,
        /// Names the request in the answer.
        request: RequestToken,
        /// The registered type.
        kind: String,
        /// The whole message, as it came.
        message: String,
    },
    /// A client sends the program a file, where [`files.to_program`](crate::config::Files::to_program) is set. Its
    /// pieces follow in order, each once, no faster than events are polled.
    FileStarted {
        /// The sender's connection.
        connection: ConnectionId,
        /// Its public address.
        client: ClientId,
        /// Names the file in what follows.
        transfer: TransferId,
        /// What it is called; not a path.
        name: String,
        /// Its size.
        size_bytes: u64,
        /// What the client says is in it; may be empty.
        mime_type: String,
    },
    /// A piece of a file.
    FileChunk {
        /// Which file.
        transfer: TransferId,
        /// Where it begins.
        offset: u64,
        /// The piece.
        data: Vec<u8>,
    },
    /// A file has come, whole and unchanged.
    FileEnded {
        /// Which file.
        transfer: TransferId,
        /// Its size.
        size_bytes: u64,
        /// SHA-256 of it.
        sha256: [u8; 32],
    },
    /// A file does not come to its end: what has come of it is worth nothing.
    FileFailed {
        /// Which file.
        transfer: TransferId,
        /// For people.
        reason: String,
    },
    /// The answer to [`Command::Explain`].
    Explanation {
        /// The message that was asked about.
        message: MessageName,
        /// Whom it was to reach.
        connection: ConnectionId,
        /// What became of it.
        verdict: Verdict,
    },
    /// Connections or requests were refused. The first of a kind is told at once, what follows it once a minute and
    /// in one event, so that a flood of them is none of events. Before `Drained` comes what is left.
    Refused {
        /// Why.
        kind: Refused,
        /// How many since the kind was last told of.
        count: u64,
        /// The far end of the last one, or the client that a trusted proxy names.
        peer: PeerAddr,
    },
    /// A drain is over: no connection is left.
    Drained,
    /// A shard has failed, which is a bug, and closes its clients. Told by drivers; the shard then begins anew.
    Failed {
        /// Which.
        shard: ShardId,
    },
}

impl Event {
    /// What it carries of a client's message, in bytes.
    pub(super) fn carried_bytes(&self) -> usize {
        match self {
            Self::Application { kind, message, .. } => kind.len() + message.len(),
            Self::FileStarted {
                name, mime_type, ..
            } => name.len() + mime_type.len(),
            Self::FileChunk { data, .. } => data.len(),
            Self::FileFailed { reason, .. } => reason.len(),
            _ => 0,
        }
    }
}

/// Names one application request; stale once it was answered, or its client is gone for good. It names none of a shard
/// that has begun anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestToken(pub(crate) u64);

impl RequestToken {
    /// The shard that has the client, and takes the answer.
    pub const fn shard(self) -> ShardId {
        ShardId((self.0 >> SHARD_BITS) as u8)
    }

    /// What comes before the first token of a shard that has begun anew so often.
    pub(super) const fn first_of(shard: ShardId, restarts: u16) -> u64 {
        (shard.0 as u64) << SHARD_BITS | (restarts as u64) << RESTART_BITS
    }
}

/// Below them is what counts a shard's tokens.
const RESTART_BITS: u32 = 40;
const SHARD_BITS: u32 = 56;

/// What an embedding program asks of a server. A command that names a connection which is gone is a counted
/// no-op.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Sends one client a message. O(size).
    Send {
        /// Its connection.
        connection: ConnectionId,
        /// A JSON object; sent as it is.
        message: String,
    },
    /// Sends every member of a room a message. Unknown rooms are a no-op. O(size).
    Publish {
        /// The room's name.
        room: String,
        /// A JSON object; sent as it is.
        message: String,
    },
    /// Answers an application request: its single outcome. One that has a `messageId` and whose client has lost its
    /// connection is answered all the same: the answer is kept for it. [`ErrorCode::RateLimited`] is none: then nothing was
    /// done, and the client that asks again is heard.
    Reply {
        /// From [`Event::Application`].
        request: RequestToken,
        /// The answer.
        outcome: Outcome,
    },
    /// Says that the program has failed at an application request, which is a bug: the client's connection is closed with
    /// 1011, and that is counted.
    Fail {
        /// From [`Event::Application`].
        request: RequestToken,
    },
    /// Answers [`Event::SessionWanted`]. A session that nobody waits for any more is kept for `sessions.window_ms`, or
    /// leaves again where `sessions.max_parked` are kept; one
    /// that is held here already is a counted no-op. So is one that is not sealed with
    /// [`sessions.key`](crate::config::Sessions::key), or is over by this server's clock: the client is told that there is
    /// none. O(size).
    GiveSession {
        /// From the event.
        shard: ShardId,
        /// From the event.
        client: ClientId,
        /// From the event.
        asked_ms: u64,
        /// As another server has told it ([`Event::SessionLeft`]); `None`: nobody has it.
        session: Option<SavedSession>,
    },
    /// Takes a session for another server: the connection that has it, if any, is closed with 4409. Answered by one
    /// [`Event::SessionLeft`], by the shard that decides about it; so every shard is to be asked. A server that asks for
    /// the session itself has none: carry one session to one server after the other. Nobody answers if that shard fails
    /// meanwhile ([`Event::Failed`]).
    TakeSession {
        /// From the event of the other server.
        client: ClientId,
        /// From there, too: a connection that has asked for it since keeps it.
        asked_ms: u64,
    },
    /// Takes a client out of a room; the others are told with reason `kicked`.
    Kick {
        /// Its connection.
        connection: ConnectionId,
        /// The room's name.
        room: String,
    },
    /// Closes a client's connection.
    Close {
        /// Its connection.
        connection: ConnectionId,
        /// The close code: 1000, 1008, 1011, 1012, 1013 or 3000 to 4999; anything else is sent as 1000.
        code: u16,
        /// For people, at most 123 bytes are sent.
        reason: String,
        /// When the client may come back; `None`: it should not.
        reconnect_after_ms: Option<u64>,
    },
    /// Asks why a message did or did not reach a client, which may be gone. Answered by [`Event::Explanation`], from
    /// the last [`explain.entries`](crate::config::Explain::entries) facts. O(these).
    Explain {
        /// Which message.
        message: MessageName,
        /// The connection that it was to reach.
        connection: ConnectionId,
    },
    /// Stops accepting and says goodbye to everyone; ends in [`Event::Drained`].
    Drain,
    /// The same in a hurry, with close code 1011: something has gone wrong in here. For drivers, when a shard has
    /// panicked; what it knows may be off, so it may panic once more.
    Abandon,
}

/// The answer to an application request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `ack`, sent only if the request carried an `id`.
    Ack,
    /// A reply: a JSON object; the request's `id` is put in.
    Reply(String),
    /// `error` with a code from the closed list.
    Error {
        /// The code.
        code: ErrorCode,
        /// For people.
        message: String,
    },
}

impl Outcome {
    /// Memory besides its place.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Ack => 0,
            Self::Reply(text) | Self::Error { message: text, .. } => text.capacity(),
        }
    }
}
