//! The record of one connection, from accept to its end.
//!
//! A connection is in one stage at a time and carries only that stage's state:
//!
//! | stage | accepts | leaves when | timer |
//! |---|---|---|---|
//! | `Request` | what a proxy says first, a request head, a body to discard | upgraded → `Session`; refused → `Closing` | handshake, keep-alive |
//! | `Session` | frames | a close frame either way, a violation, a limit → `Closing` | welcome delay, ping due, pong wait |
//! | `Closing` | anything, read and discarded within a budget | both sides are done, or the linger deadline → `Over` | linger |
//! | `Over` | nothing | the end was reported, then the slot is reused | none |

#[cfg(test)]
mod tests;

use core::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

use smallvec::SmallVec;

use crate::config::ListenerConfig;
use crate::dialect::json::Metadata;
use crate::http::BodyDiscard;
use crate::limits::rate::Bucket;
use crate::machine::{ListenerId, PeerAddr};
use crate::room::{LOBBY, Membership, Variant, WireForm};
use crate::time::Instant;
use crate::websocket::deflate::Window;
use crate::websocket::{Decoder, Role};

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stage: Stage,
    /// The far end of the socket; behind a trusted proxy, once it is known, its client.
    pub(crate) peer: Peer,
    /// Input that could not be processed yet: an unfinished request head, or what is left behind a full queue.
    pub(crate) tail: Tail,
    /// The entry of its address.
    pub(crate) address: u32,
    pub(crate) listener: ListenerId,
    /// Reading is withdrawn until the tail has been processed.
    pub(crate) paused: bool,
    /// The peer finished writing.
    pub(crate) read_ended: bool,
    /// Listed among the connections with a tail to go on with.
    pub(crate) in_backlog: bool,
}

/// A [`PeerAddr`] in half the space for most of them.
#[derive(Debug)]
pub(crate) enum Peer {
    V4(SocketAddrV4),
    V6(Box<SocketAddrV6>),
    Local,
}

impl Peer {
    /// Memory besides its place.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::V6(address) => size_of_val(&**address),
            Self::V4(_) | Self::Local => 0,
        }
    }
}

impl From<PeerAddr> for Peer {
    fn from(peer: PeerAddr) -> Self {
        match peer {
            PeerAddr::Inet(SocketAddr::V4(address)) => Self::V4(address),
            PeerAddr::Inet(SocketAddr::V6(address)) => Self::V6(Box::new(address)),
            PeerAddr::Local => Self::Local,
        }
    }
}

impl From<&Peer> for PeerAddr {
    fn from(peer: &Peer) -> Self {
        match peer {
            Peer::V4(address) => Self::Inet((*address).into()),
            Peer::V6(address) => Self::Inet((**address).into()),
            Peer::Local => Self::Local,
        }
    }
}

/// Bytes that few connections keep, one word for all others.
#[derive(Debug, Default)]
#[expect(
    clippy::box_collection,
    reason = "a vector is three words, and nearly all connections keep nothing"
)]
pub(crate) struct Tail(Option<Box<Vec<u8>>>);

impl Tail {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|bytes| bytes.is_empty())
    }

    /// Memory of it.
    pub(crate) fn held_bytes(&self) -> usize {
        let held = |bytes: &Vec<u8>| bytes.capacity() + size_of::<Vec<u8>>();
        self.0.as_deref().map_or(0, held)
    }

    /// Appends; returns by how much the memory grew.
    pub(crate) fn extend(&mut self, bytes: &[u8]) -> usize {
        let before = self.held_bytes();
        self.0.get_or_insert_default().extend_from_slice(bytes);
        self.held_bytes() - before
    }

    /// All of it.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.0.as_deref_mut().map_or(&mut [], Vec::as_mut_slice)
    }

    /// Takes `count` bytes off the front; gives the memory back when nothing is left.
    pub(crate) fn discard(&mut self, count: usize) {
        if let Some(bytes) = &mut self.0 {
            bytes.drain(..count.min(bytes.len()));
        }
        if self.is_empty() {
            self.0 = None;
        }
    }
}

/// What a connection is doing.
#[derive(Debug)]
pub(crate) enum Stage {
    Request(Request),
    Session(Box<Session>),
    Closing(Box<Closing>),
    /// What is left of a session until its end has been told.
    Over(Option<Box<Closing>>),
}

/// Waiting for a request, or discarding one's body.
#[derive(Debug, Default)]
pub(crate) struct Request {
    /// How far the end of the head has been searched for.
    pub(crate) scan: u32,
    pub(crate) preface: Preface,
    pub(crate) body: Option<Box<BodyDiscard>>,
}

/// What a proxy says of a connection before its first request (PROXY protocol).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Preface {
    /// It has to be said yet.
    Due,
    /// Not for whom the connection is.
    Anonymous,
    /// For whom it is, or nothing was to be said.
    #[default]
    Done,
}

impl Preface {
    /// Of a new connection.
    pub(crate) const fn of(listener: &ListenerConfig) -> Self {
        if listener.proxy_protocol {
            Self::Due
        } else {
            Self::Done
        }
    }
}

/// A WebSocket session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) kind: Kind,
    pub(crate) hold: Hold,
    /// How far back compressed messages to it may refer; `None`: there are none, either way.
    pub(crate) window: Option<Window>,
    /// The random part of its client id.
    pub(crate) secret: [u8; 12],
    pub(crate) opened: Instant,
    /// Sorted by room. Most clients are in the lobby and one more.
    pub(crate) memberships: SmallVec<[Membership; 2]>,
    /// What is left of its message quota.
    pub(crate) messages: Bucket,
    /// What is left of its quota of pings.
    pub(crate) pings: Bucket,
    pub(crate) received: u64,
    /// The state of reading, while a message is unfinished.
    pub(crate) unfinished: Option<Box<Decoder>>,
    /// What few sessions have.
    pub(crate) extra: Option<Box<Extra>>,
}

/// What few sessions have, or few at a time: kept apart, so that an idle one is small.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    pub(crate) metadata: Metadata,
    /// Display name of a `hello`, raw JSON.
    pub(crate) user: Option<Box<str>>,
    pub(crate) faults: Faults,
    /// Rooms it is typing in, and until when.
    pub(crate) typing: Vec<(u32, Instant)>,
    /// Messages dropped and not yet told, by room it is in; and rooms whose last message it is to get.
    pub(crate) missed: Vec<Missed>,
    /// Application requests without an answer.
    pub(crate) pending_requests: u32,
    /// The request that another shard is to answer.
    pub(crate) waiting: Option<Box<crate::server::Waiting>>,
    /// Who it is, if it goes on with a session of another connection.
    pub(crate) client: Option<crate::id::ClientId>,
    /// How many connections that has had before.
    pub(crate) lives: u32,
    /// It has the means to come back.
    pub(crate) resumable: bool,
    /// What was sent to it alone, if it has.
    pub(crate) mail: Option<Box<crate::server::Mail>>,
    /// It takes several replies in one message.
    pub(crate) batches: bool,
    /// What is left of a batch that had to stop.
    pub(crate) batch: Option<Box<crate::server::Rest>>,
    /// What its next binary message is, if it is no frame.
    pub(crate) next_binary: Option<crate::server::NextBinary>,
    /// It was told what it had missed, and has not taken all of it.
    pub(crate) catches_up: bool,
    /// Bytes of files that may still come although nobody wants them any more: they were asked for.
    pub(crate) late_bytes: u32,
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

/// What is left of the quotas of mistakes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
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
    pub(crate) end: Option<End>,
    /// Nothing of the peer's is waited for any more.
    pub(crate) peer_done: bool,
    /// The peer has said goodbye itself: only its end is waited for, and that only so that it reads our answer.
    pub(crate) answered: bool,
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
    /// As which it was welcomed.
    pub(crate) first: crate::id::ClientId,
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
    /// Its session goes on on another connection.
    Replaced,
    /// The server, or the program around it, has failed at one of its messages, which is a bug.
    Failed,
}

impl Connection {
    pub(crate) fn new(
        peer: PeerAddr,
        listener: ListenerId,
        address: u32,
        preface: Preface,
    ) -> Self {
        let request = Request {
            preface,
            ..Request::default()
        };
        Self {
            stage: Stage::Request(request),
            peer: peer.into(),
            tail: Tail::default(),
            address,
            listener,
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
    /// A session that waits for its upgrade response to leave.
    pub(crate) fn new(kind: Kind, secret: [u8; 12], opened: Instant) -> Self {
        Self {
            kind,
            hold: Hold::Response,
            window: None,
            secret,
            opened,
            memberships: SmallVec::new(),
            messages: Bucket::default(),
            pings: Bucket::default(),
            received: 0,
            unfinished: None,
            extra: None,
        }
    }

    /// How messages stand on its wire; `None` for an echo.
    pub(crate) const fn variant(&self) -> Option<Variant> {
        match self.kind {
            Kind::Client(form) => Some(Variant {
                form,
                window: self.window,
            }),
            Kind::Echo => None,
        }
    }

    /// What reads its first message, and each after one that has ended.
    pub(crate) const fn decoder(&self) -> Decoder {
        match self.window {
            None => Decoder::new(Role::Server),
            Some(_) => Decoder::new(Role::Server).allow_rsv1(),
        }
    }

    /// What few sessions have, made if this one has none yet.
    pub(crate) fn extra_mut(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// How many connections it has had before this one.
    pub(crate) fn lives(&self) -> u32 {
        self.extra.as_deref().map_or(0, |extra| extra.lives)
    }

    /// What it missed and was not told yet.
    pub(crate) fn missed(&self) -> &[Missed] {
        self.extra.as_deref().map_or(&[], |extra| &extra.missed)
    }

    /// Rooms it is typing in, and until when.
    pub(crate) fn typing(&self) -> &[(u32, Instant)] {
        self.extra.as_deref().map_or(&[], |extra| &extra.typing)
    }

    /// Memory of its unfinished message.
    pub(crate) fn unfinished_bytes(&self) -> usize {
        let decoder = self.unfinished.as_deref();
        decoder.map_or(0, |decoder| decoder.buffered_bytes() + size_of::<Decoder>())
    }

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
        if let Some(extra) = &mut self.extra
            && let Some(at) = extra.missed.iter().position(|missed| missed.room == room)
        {
            let missed = extra.missed.remove(at);
            self.note_missed(LOBBY, missed.messages, 0);
        }
        Some(slot)
    }

    /// Notes what it missed in one of its rooms. What it missed in rooms that it has left (`None`) is told as one
    /// with what belongs to no room, so that there are no more notes than rooms. O(rooms).
    pub(crate) fn miss(&mut self, room: Option<u32>, messages: u64, last: u64) {
        self.note_missed(room.unwrap_or(LOBBY), messages, last);
    }

    fn note_missed(&mut self, room: u32, messages: u64, last: u64) {
        let notes = &mut self.extra_mut().missed;
        match notes.iter_mut().find(|missed| missed.room == room) {
            Some(missed) => {
                missed.messages += messages;
                missed.last = missed.last.max(last);
            }
            None => notes.push(Missed {
                room,
                messages,
                last,
            }),
        }
    }
}
