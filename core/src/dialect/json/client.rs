//! The JSON dialect, client side: a server's text to what it says, and requests to text.
//!
//! Everything read is owned, as it is handed on to a program. Whatever is not understood is no error: types and fields
//! may be added to the protocol, and data may come without an envelope.

mod fields;
mod told;
mod writing;

#[cfg(test)]
mod tests;

use super::object::Elements;
use crate::error::ErrorCode;
use crate::id::ClientId;
use crate::message::{Gap, LeaveReason, Position, Published, Session};
use fields::Fields;
pub use writing::{
    BATCH_BYTES, batch, is_object, join, leave, ping, private_message, resume, room_message,
    room_message_of_bytes, with_id,
};
pub(crate) use writing::{lacks_message_id, with_message_id};

/// A message of the server: as it stands, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// All of it. Of one that came as a binary frame: the same in JSON, or nothing where `told` says all that there is, which
    /// is so for an `ack`, for data, and for pages of what was missed.
    pub text: String,
    /// The `id` of the request that it answers, raw JSON.
    pub id: Option<String>,
    /// What it says.
    pub told: Told,
}

/// What a server says, in the words of PROTOCOL.md.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Told {
    /// The request was carried out.
    Ack(Published),
    /// Data for everyone.
    Broadcast(Said),
    /// The server is about to close the connection.
    Closing {
        /// The close code that follows.
        code: u16,
        /// For people.
        reason: String,
        /// When to come back; absent: do not.
        reconnect_after_ms: Option<u64>,
    },
    /// A request was refused.
    Error {
        /// Why; `None`: a code that this version does not know.
        code: Option<ErrorCode>,
        /// For people.
        message: String,
        /// When it is worth trying again.
        retry_after_ms: Option<u64>,
    },
    /// Messages that a room keeps.
    History(Page),
    /// The client is in a room.
    JoinedRoom {
        /// The room.
        room: String,
        /// The first members.
        members: Vec<ClientId>,
        /// How many there are.
        total: u64,
        /// Where its log stands, if its messages are kept.
        history: Option<Position>,
    },
    /// The client is no longer in a room.
    LeftRoom {
        /// The room.
        room: String,
    },
    /// Someone joined.
    MemberJoined {
        /// The room.
        room: String,
        /// Who.
        client: ClientId,
    },
    /// Someone left.
    MemberLeft {
        /// The room.
        room: String,
        /// Who.
        client: ClientId,
        /// Why; `None`: for a reason that this version does not know.
        reason: Option<LeaveReason>,
    },
    /// Messages were dropped because this client reads too slowly.
    MessagesDropped {
        /// The room; `None`: broadcasts.
        room: Option<String>,
        /// How many.
        count: u64,
    },
    /// Any other message, and one whose fields are not as they should be: its text has it all.
    Other,
    /// The answer to a ping.
    Pong {
        /// The server's wall clock, ms.
        timestamp: u64,
    },
    /// Data for this client.
    PrivateMessage {
        /// What was said.
        said: Said,
        /// Its place among those to this client, if it has a session.
        offset: Option<u64>,
    },
    /// A room's log has begun anew.
    Reset {
        /// The room.
        room: String,
        /// Where it stands now.
        position: Position,
    },
    /// All that a room has for somebody who has come back to it has been told.
    Resumed {
        /// The room.
        room: String,
        /// Where its log stands; `None` if it keeps none.
        position: Option<Position>,
        /// Nothing that was said since was left out.
        complete: bool,
    },
    /// Data for a room.
    RoomMessage {
        /// The room.
        room: String,
        /// What was said.
        said: Said,
        /// Its place in the room's log, if there is one.
        offset: Option<u64>,
    },
    /// Who the client is from now on, and what it needs to be that again on another connection.
    Session(Session),
    /// The first message on a connection.
    Welcome {
        /// The client's address for others, of this connection.
        client: ClientId,
        /// Whether an earlier session goes on.
        resumed: bool,
        /// The largest message that the server takes, if it says so.
        max_message_bytes: Option<u64>,
    },
}

/// A page of a room's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The room.
    pub room: String,
    /// Where its log stands.
    pub position: Position,
    /// In the order of their offsets.
    pub messages: Vec<Kept>,
    /// What was asked for and is not kept any more.
    pub gap: Option<Gap>,
    /// The offsets that were asked for are of another log: this is the beginning of the one that there is.
    pub reset: bool,
    /// What its senders did not want told any more.
    pub left_out: Vec<Gap>,
}

/// A message that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its place in the log.
    pub offset: u64,
    /// What was said.
    pub said: Said,
}

/// What a client has said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The sender.
    pub from: ClientId,
    /// The data.
    pub data: SaidData,
    /// The server's wall clock then, ms.
    pub timestamp: u64,
}

/// Application data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SaidData {
    /// Bytes, which came as base64.
    Bytes(Vec<u8>),
    /// Raw JSON, as its sender wrote it.
    Json(String),
}

impl Message {
    /// Reads `text`. Never fails: see [`Told::Other`]. Linear in `text`, without recursion; what it allocates is no more
    /// than a few times as long.
    pub fn read(text: String) -> Self {
        let fields = Fields::read(&text);
        let id = fields.id.map(str::to_owned);
        let told = fields.told().unwrap_or(Told::Other);
        Self { text, id, told }
    }

    /// How much memory it takes, roughly. O(messages of a page).
    pub(crate) fn heap_bytes(&self) -> usize {
        self.text.len() + self.told.heap_bytes()
    }
}

/// The messages in a batch, each as it stands; `None` if `text` is no batch. A batch within one is just a message that is
/// not understood. Linear in `text`.
pub fn split_batch(text: &str) -> Option<impl Iterator<Item = &str>> {
    let fields = Fields::read(text);
    let is_batch = fields.kind().as_deref() == Some("batch");
    is_batch.then(|| fields.messages.and_then(Elements::of))?
}
