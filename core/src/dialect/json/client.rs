//! The JSON dialect, client side: a server's text to what it says, and requests to text.
//!
//! Everything read is owned, as it is handed on to a program. Whatever is not understood is no error: types and fields
//! may be added to the protocol, and data may come without an envelope.

mod writing;

#[cfg(test)]
mod tests;

use data_encoding::BASE64 as BASE64_CODEC;
use serde_json::value::RawValue;

use super::decode::BASE64;
use super::object::{Elements, for_each_field, string};
use crate::error::ErrorCode;
use crate::id::ClientId;
use crate::message::{Epoch, Gap, LeaveReason, Position};
pub use writing::{
    BATCH_BYTES, batch, is_object, join, leave, ping, room_message, room_message_of_bytes, with_id,
};

/// A message of the server: as it stands, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// All of it.
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
    Ack,
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
        // What was read of the text is no longer than the text, but where there are many small things in it.
        let parts = match &self.told {
            Told::History(page) => page.messages.len() * size_of::<Kept>(),
            Told::JoinedRoom { members, .. } => members.len() * size_of::<ClientId>(),
            _ => 0,
        };
        self.text.len() * 2 + parts
    }
}

/// The messages in a batch, each as it stands; `None` if `text` is no batch. A batch within one is just a message that is
/// not understood. Linear in `text`.
pub fn split_batch(text: &str) -> Option<impl Iterator<Item = &str>> {
    let fields = Fields::read(text);
    let is_batch = fields.kind().as_deref() == Some("batch");
    is_batch.then(|| fields.messages.and_then(Elements::of))?
}

/// The top-level fields that are looked at, raw; of one that stands there twice, the last.
#[derive(Default)]
struct Fields<'a> {
    kind: Option<&'a str>,
    id: Option<&'a str>,
    client: Option<&'a str>,
    code: Option<&'a str>,
    complete: Option<&'a str>,
    count: Option<&'a str>,
    data: Option<&'a str>,
    encoding: Option<&'a str>,
    epoch: Option<&'a str>,
    from: Option<&'a str>,
    gap: Option<&'a str>,
    history: Option<&'a str>,
    last: Option<&'a str>,
    limits: Option<&'a str>,
    max_message_bytes: Option<&'a str>,
    members: Option<&'a str>,
    message: Option<&'a str>,
    messages: Option<&'a str>,
    offset: Option<&'a str>,
    reason: Option<&'a str>,
    reconnect_after: Option<&'a str>,
    reset: Option<&'a str>,
    resumed: Option<&'a str>,
    retry_after: Option<&'a str>,
    room: Option<&'a str>,
    timestamp: Option<&'a str>,
    to: Option<&'a str>,
    total: Option<&'a str>,
}

impl<'a> Fields<'a> {
    /// Of what is no object: none.
    fn read(text: &'a str) -> Self {
        let mut fields = Self::default();
        let walked = for_each_field(text, |key, value| {
            if let Some(key) = string(key)
                && let Some(slot) = fields.slot(&key)
            {
                *slot = Some(value);
            }
        });
        if walked.is_err() {
            return Self::default();
        }
        fields
    }

    fn slot(&mut self, key: &str) -> Option<&mut Option<&'a str>> {
        Some(match key {
            "type" => &mut self.kind,
            "id" => &mut self.id,
            "clientId" => &mut self.client,
            "code" => &mut self.code,
            "complete" => &mut self.complete,
            "count" => &mut self.count,
            "data" => &mut self.data,
            "encoding" => &mut self.encoding,
            "epoch" => &mut self.epoch,
            "from" => &mut self.from,
            "gap" => &mut self.gap,
            "history" => &mut self.history,
            "last" => &mut self.last,
            "limits" => &mut self.limits,
            "maxMessageBytes" => &mut self.max_message_bytes,
            "members" => &mut self.members,
            "message" => &mut self.message,
            "messages" => &mut self.messages,
            "offset" => &mut self.offset,
            "reason" => &mut self.reason,
            "reconnectAfterMs" => &mut self.reconnect_after,
            "reset" => &mut self.reset,
            "resumed" => &mut self.resumed,
            "retryAfterMs" => &mut self.retry_after,
            "room" => &mut self.room,
            "timestamp" => &mut self.timestamp,
            "to" => &mut self.to,
            "total" => &mut self.total,
            _ => return None,
        })
    }

    fn kind(&self) -> Option<std::borrow::Cow<'a, str>> {
        self.kind.and_then(string)
    }

    /// `None`: not understood.
    fn told(&self) -> Option<Told> {
        Some(match self.kind()?.as_ref() {
            "ack" => Told::Ack,
            "broadcast" => Told::Broadcast(self.said()?),
            "closing" => Told::Closing {
                code: u16::try_from(number(self.code)?).ok()?,
                reason: text(self.reason).unwrap_or_default(),
                reconnect_after_ms: number(self.reconnect_after),
            },
            "error" => Told::Error {
                code: ErrorCode::parse(&text(self.code)?),
                message: text(self.message).unwrap_or_default(),
                retry_after_ms: number(self.retry_after),
            },
            "history" => Told::History(self.page()?),
            "joined_room" => Told::JoinedRoom {
                room: text(self.room)?,
                members: members(self.members?)?,
                total: number(self.total)?,
                history: self.history.and_then(|raw| Fields::read(raw).position()),
            },
            "left_room" => Told::LeftRoom {
                room: text(self.room)?,
            },
            "member_joined" => Told::MemberJoined {
                room: text(self.room)?,
                client: client(self.client)?,
            },
            "member_left" => Told::MemberLeft {
                room: text(self.room)?,
                client: client(self.client)?,
                reason: text(self.reason).as_deref().and_then(leave_reason),
            },
            "messages_dropped" => Told::MessagesDropped {
                room: text(self.room),
                count: number(self.count)?,
            },
            "pong" => Told::Pong {
                timestamp: number(self.timestamp)?,
            },
            "private_message" => Told::PrivateMessage {
                said: self.said()?,
                offset: number(self.offset),
            },
            "reset" => Told::Reset {
                room: text(self.room)?,
                position: self.position()?,
            },
            "resumed" => Told::Resumed {
                room: text(self.room)?,
                position: self.position(),
                complete: flag(self.complete)?,
            },
            "room_message" => Told::RoomMessage {
                room: text(self.room)?,
                said: self.said()?,
                offset: number(self.offset),
            },
            "welcome" => Told::Welcome {
                client: client(self.client)?,
                resumed: flag(self.resumed).unwrap_or(false),
                max_message_bytes: self
                    .limits
                    .and_then(|raw| number(Fields::read(raw).max_message_bytes)),
            },
            _ => return None,
        })
    }

    fn said(&self) -> Option<Said> {
        Some(Said {
            from: client(self.from)?,
            data: self.data()?,
            timestamp: number(self.timestamp)?,
        })
    }

    fn data(&self) -> Option<SaidData> {
        let raw = self.data?;
        match text(self.encoding).as_deref() {
            None => Some(SaidData::Json(raw.to_owned())),
            Some(BASE64) => {
                let bytes = BASE64_CODEC.decode(string(raw)?.as_bytes());
                bytes.ok().map(SaidData::Bytes)
            }
            Some(_) => None,
        }
    }

    fn position(&self) -> Option<Position> {
        Some(Position {
            epoch: Epoch::parse(&text(self.epoch)?)?,
            last: number(self.last)?,
        })
    }

    fn page(&self) -> Option<Page> {
        let mut messages = Vec::new();
        for raw in Elements::of(self.messages?)? {
            let fields = Fields::read(raw);
            messages.push(Kept {
                offset: number(fields.offset)?,
                said: fields.said()?,
            });
        }
        Some(Page {
            room: text(self.room)?,
            position: self.position()?,
            messages,
            gap: self.gap.and_then(|raw| Fields::read(raw).gap()),
            reset: flag(self.reset).unwrap_or(false),
        })
    }

    /// In a `gap`, `from` is an offset.
    fn gap(&self) -> Option<Gap> {
        Some(Gap {
            from: number(self.from)?,
            to: number(self.to)?,
        })
    }
}

fn text(raw: Option<&str>) -> Option<String> {
    raw.and_then(string).map(Into::into)
}

/// A whole number from 0 on.
fn number(raw: Option<&str>) -> Option<u64> {
    raw?.parse().ok()
}

fn flag(raw: Option<&str>) -> Option<bool> {
    match raw? {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

fn client(raw: Option<&str>) -> Option<ClientId> {
    ClientId::parse(&string(raw?)?)
}

fn members(raw: &str) -> Option<Vec<ClientId>> {
    let all: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
    all.into_iter().map(|raw| client(Some(raw.get()))).collect()
}

fn leave_reason(reason: &str) -> Option<LeaveReason> {
    Some(match reason {
        "left" => LeaveReason::Left,
        "disconnected" => LeaveReason::Disconnected,
        "timeout" => LeaveReason::Timeout,
        "kicked" => LeaveReason::Kicked,
        _ => return None,
    })
}
