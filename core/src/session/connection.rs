//! The record of one connection, from accept to its end.
//!
//! A connection is in one stage at a time and carries only that stage's state:
//!
//! | stage | accepts | leaves when | timer |
//! |---|---|---|---|
//! | `Request` | a request head, a body to discard | upgraded → `Session`; refused → `Closing` | handshake, keep-alive |
//! | `Session` | frames | a close frame either way, a violation, a limit → `Closing` | welcome delay, ping due, pong wait |
//! | `Closing` | anything, read and discarded within a budget | both sides are done, or the linger deadline → `Over` | linger |
//! | `Over` | nothing | the end was reported, then the slot is reused | none |

#[cfg(test)]
mod tests;

use crate::dialect::json::Metadata;
use crate::http::BodyDiscard;
use crate::limits::rate::Bucket;
use crate::machine::{ListenerId, PeerAddr};
use crate::room::{LOBBY, Membership, WireForm};
use crate::time::Instant;
use crate::websocket::Decoder;

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stage: Stage,
    /// The far end of the socket; of a session behind a trusted proxy, its client.
    pub(crate) peer: PeerAddr,
    pub(crate) listener: ListenerId,
    /// The entry of its address.
    pub(crate) address: u32,
    /// Input that could not be processed yet: an unfinished request head, or what is left behind a full queue.
    pub(crate) tail: Vec<u8>,
    /// Reading is withdrawn until the tail has been processed.
    pub(crate) paused: bool,
    /// The peer finished writing.
    pub(crate) read_ended: bool,
    /// Listed among the connections with a tail to go on with.
    pub(crate) in_backlog: bool,
}

/// What a connection is doing.
#[derive(Debug)]
pub(crate) enum Stage {
    Request(Request),
    Session(Box<Session>),
    Closing(Closing),
    Over(Option<Box<End>>),
}

/// Waiting for a request, or discarding one's body.
#[derive(Debug, Default)]
pub(crate) struct Request {
    /// How far the end of the head has been searched for.
    pub(crate) scan: usize,
    pub(crate) body: Option<Box<BodyDiscard>>,
}

/// A WebSocket session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) kind: Kind,
    pub(crate) hold: Hold,
    pub(crate) decoder: Decoder,
    /// The random part of its client id.
    pub(crate) secret: [u8; 12],
    pub(crate) opened: Instant,
    /// Sorted by room.
    pub(crate) memberships: Vec<Membership>,
    pub(crate) metadata: Metadata,
    /// Display name of a `hello`, raw JSON.
    pub(crate) user: Option<Box<str>>,
    pub(crate) buckets: Buckets,
    /// Rooms it is typing in, and until when.
    pub(crate) typing: Vec<(u32, Instant)>,
    /// Messages dropped and not yet told, by room it is in; and rooms whose last message it is to get.
    pub(crate) missed: Vec<Missed>,
    /// Application requests without an answer.
    pub(crate) pending_requests: u32,
    pub(crate) received: u64,
}

/// What speaks on a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A client of the room server.
    Client(WireForm),
    /// The echo endpoint.
    Echo,
}

/// How far the welcome has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// The upgrade response has not left yet.
    Response,
    /// It has; the welcome waits for the client to speak or for the delay to pass.
    Delay,
    /// The client was welcomed.
    Released,
}

/// The rate limits of one connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Buckets {
    pub(crate) messages: Bucket,
    pub(crate) pings: Bucket,
    pub(crate) refusals: Bucket,
    pub(crate) bad_messages: Bucket,
    pub(crate) unknown_types: Bucket,
}

/// What a slow reader missed in one room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Missed {
    pub(crate) room: u32,
    pub(crate) messages: u64,
    /// The number of the room's last message, if that was missed; otherwise 0.
    pub(crate) last: u64,
}

/// Saying goodbye.
#[derive(Debug)]
pub(crate) struct Closing {
    /// How it ended, for the event; `None` if no session was ever opened.
    pub(crate) end: Option<Box<End>>,
    /// Nothing of the peer's is waited for any more.
    pub(crate) peer_done: bool,
    /// Our close frame (or response) has been queued and the write side will be shut.
    pub(crate) finished: bool,
    /// Bytes that are still read and discarded.
    pub(crate) discard_bytes: usize,
    /// A goodbye makes sense to the peer, and fits: otherwise its queue must not overflow once more.
    pub(crate) tellable: bool,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) client: crate::id::ClientId,
    pub(crate) cause: CloseCause,
    pub(crate) code: u16,
    pub(crate) opened: Instant,
    pub(crate) received: u64,
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseCause {
    /// The client closed it in order.
    Client,
    /// The client's connection ended without a close frame.
    Lost,
    /// No sign of life for a heartbeat interval and its timeout, or a message that was not finished in time.
    Timeout,
    /// The client broke the WebSocket protocol, or a size limit.
    Protocol,
    /// Too many refused or malformed messages.
    Abuse,
    /// It read too slowly.
    SlowReader,
    /// The server ran out of buffer memory.
    Budget,
    /// The embedding program asked for it.
    Command,
    /// The server is leaving.
    Drain,
}

impl Connection {
    pub(crate) fn new(peer: PeerAddr, listener: ListenerId, address: u32) -> Self {
        Self {
            stage: Stage::Request(Request::default()),
            peer,
            listener,
            address,
            tail: Vec::new(),
            paused: false,
            read_ended: false,
            in_backlog: false,
        }
    }

    pub(crate) fn session(&self) -> Option<&Session> {
        match &self.stage {
            Stage::Session(session) => Some(session),
            _ => None,
        }
    }

    pub(crate) fn session_mut(&mut self) -> Option<&mut Session> {
        match &mut self.stage {
            Stage::Session(session) => Some(session),
            _ => None,
        }
    }
}

impl Session {
    /// Whether it belongs to a client that was welcomed.
    pub(crate) fn is_welcome(&self) -> bool {
        self.hold == Hold::Released && matches!(self.kind, Kind::Client(_))
    }

    /// Its place in a room. O(log rooms).
    pub(crate) fn slot(&self, room: u32) -> Option<u32> {
        let index = self
            .memberships
            .binary_search_by_key(&room, |m| m.room)
            .ok()?;
        self.memberships
            .get(index)
            .map(|membership| membership.slot)
    }

    /// Records a place in a room, new or moved.
    pub(crate) fn set_slot(&mut self, room: u32, slot: u32) {
        match self.memberships.binary_search_by_key(&room, |m| m.room) {
            Ok(index) => self.memberships[index].slot = slot,
            Err(index) => self.memberships.insert(index, Membership { room, slot }),
        }
    }

    /// Forgets a room; returns its place there. O(rooms).
    pub(crate) fn remove_slot(&mut self, room: u32) -> Option<u32> {
        let index = self
            .memberships
            .binary_search_by_key(&room, |m| m.room)
            .ok()?;
        let slot = self.memberships.remove(index).slot;
        if let Some(at) = self.missed.iter().position(|missed| missed.room == room) {
            let missed = self.missed.remove(at);
            self.note_missed(LOBBY, missed.messages, 0);
        }
        Some(slot)
    }

    /// Notes what it missed in a room. What it missed in rooms that it has left is told as one with what
    /// belongs to no room, so that there are no more notes than rooms. O(rooms).
    pub(crate) fn miss(&mut self, room: u32, messages: u64, last: u64) {
        if self.slot(room).is_some() {
            self.note_missed(room, messages, last);
        } else {
            self.note_missed(LOBBY, messages, 0);
        }
    }

    fn note_missed(&mut self, room: u32, messages: u64, last: u64) {
        match self.missed.iter_mut().find(|missed| missed.room == room) {
            Some(missed) => {
                missed.messages += messages;
                missed.last = missed.last.max(last);
            }
            None => self.missed.push(Missed {
                room,
                messages,
                last,
            }),
        }
    }
}
