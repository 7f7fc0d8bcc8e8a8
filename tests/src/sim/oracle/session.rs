//! What the oracle knows of one connection.

use std::collections::{BTreeMap, BTreeSet};

use roomwire_core::ConnectionId;

use crate::frame::FrameReader;

/// Who sent a message, and its number.
pub(super) type Key = (usize, u64);

/// When something happened, in inputs: not before `lo`, and not after `hi` if that is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct When {
    pub(super) lo: u64,
    pub(super) hi: Option<u64>,
}

impl When {
    pub(super) const fn exactly(stamp: u64) -> Self {
        Self {
            lo: stamp,
            hi: Some(stamp),
        }
    }

    /// No end of it is known.
    pub(super) const fn since(stamp: u64) -> Self {
        Self {
            lo: stamp,
            hi: None,
        }
    }

    /// It has happened by `stamp`.
    pub(super) fn by(&mut self, stamp: u64) {
        self.hi = Some(self.hi.map_or(stamp, |hi| hi.min(stamp)));
    }

    pub(super) fn latest(self) -> u64 {
        self.hi.unwrap_or(u64::MAX)
    }
}

/// What a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `join`: with the offset of the last message that came, or without.
    Join(Option<u64>),
    /// `leave`.
    Leave,
    /// `room_message`, `broadcast` or `private_message`.
    Message,
    /// `set_metadata`.
    Metadata,
    /// `hello`: nothing but `ack`.
    Plain,
    /// `typing_start` or `typing_stop`.
    Typing,
    /// `members`.
    Members,
    /// `ping`.
    Ping,
    /// A type of the application.
    Application,
    /// `file_start`.
    FileStart,
    /// `file_complete` of a transfer.
    FileComplete(u64),
    /// Anything else about a file.
    File,
    /// What can only be refused, and by which code.
    Wrong(&'static str),
    /// A close frame.
    Close,
    /// A breach of WebSocket's rules.
    Lie,
}

/// A request as its client sent it.
#[derive(Clone, Debug)]
pub struct Request {
    /// What it asks for.
    pub kind: Kind,
    /// Its `id`.
    pub id: Option<String>,
    /// The room that it names; 0 if none.
    pub room: usize,
    /// The number of the message that it sends.
    pub serial: Option<u64>,
}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Open,
    Done,
    Failed,
    /// Another shard was asked and did not answer: it may have done it.
    Lost,
    /// Passed over: without an `id` it need not be answered.
    Silent,
}

/// A request on its way.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) request: Request,
    /// Where it ends in what the client sends.
    pub(super) end: u64,
    pub(super) when: When,
    pub(super) outcome: Outcome,
}

impl Ask {
    /// Whether the server says something in any case.
    pub(super) fn must_answer(&self) -> bool {
        self.request.id.is_some()
            || !matches!(
                self.request.kind,
                Kind::Message | Kind::Plain | Kind::Typing | Kind::File
            )
    }

    /// Whether it is a message, and not the end of them.
    pub(super) fn is_message(&self) -> bool {
        !matches!(self.request.kind, Kind::Close | Kind::Lie)
    }
}

/// A message that somebody sent to somebody.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    /// Everyone (0), a room, or a single client.
    pub(super) to: To,
    pub(super) padding: usize,
    /// When it was published, as its receivers were told.
    pub(super) stamp: Option<u64>,
    /// Its place among its sender's requests; `None` for the program's own.
    pub(super) ask: Option<usize>,
    /// When the program asked for it, and by when that was done.
    pub(super) when: When,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum To {
    Room(usize),
    Client(usize),
}

/// A stay in a room.
#[derive(Clone, Debug)]
pub(super) struct Stay {
    pub(super) room: usize,
    pub(super) joined: When,
    pub(super) left: Option<When>,
    /// The room's latest news that has been told was not made before this.
    pub(super) cursor: u64,
    /// The last number of each sender.
    pub(super) serials: BTreeMap<usize, u64>,
    /// Who is there, as told; `None` where that cannot be known.
    pub(super) view: Option<BTreeSet<String>>,
    /// Whether those are all; otherwise some were there before it came and were not listed.
    pub(super) whole: bool,
    /// Who is typing there, as told, and since when in microseconds.
    pub(super) typing: BTreeMap<String, u64>,
    /// Who had begun to type before may not be known: the room's books were lost.
    pub(super) vague: bool,
    /// How many are there, as told.
    pub(super) count: u64,
    /// How far the room's log has been compared.
    pub(super) audited: usize,
    /// Entries of the log before that whose outcome was not known then.
    pub(super) unsettled: Vec<Key>,
    /// Messages that should have come and did not.
    pub(super) missing: u64,
    /// Where messages are kept: the epoch and the offset of the latest that came.
    pub(super) kept: Option<(String, u64)>,
}

/// Somebody who is told what was said in a room.
#[derive(Debug)]
pub(super) struct Back {
    pub(super) room: usize,
    /// Where its log stood, if it keeps one.
    pub(super) position: Option<(String, u64)>,
    /// The offset of what comes next.
    pub(super) next: u64,
    /// Something was said to be missing.
    pub(super) misses: bool,
    /// There is another page.
    pub(super) more: bool,
}

/// How far the bytes from the server have come.
#[derive(Debug)]
pub(super) enum Reader {
    Head(Vec<u8>),
    Plain,
    Frames(FrameReader),
}

/// One connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) raw: bool,
    pub(super) connection: Option<ConnectionId>,
    pub(super) live: bool,
    /// Which life of a shard has it.
    pub(super) life: usize,
    /// WebSocket pings that the client has sent.
    pub(super) pings: u64,
    pub(super) reader: Reader,
    /// Bytes that the client has sent, and that the server was given.
    pub(super) written: u64,
    pub(super) handed: u64,
    pub(super) asks: Vec<Ask>,
    /// Asks that were handed in whole.
    pub(super) given: usize,
    /// The first that is not settled.
    pub(super) next: usize,
    /// Asks before this are known to be over and done with by some time.
    pub(super) bounded: usize,
    /// The client has finished writing.
    pub(super) finished: bool,
    /// Nothing was queued for it when its shard was idle.
    pub(super) drained: bool,
    /// When it was last answered, or asked for more.
    pub(super) moved_at: u64,
    /// The server may have put off part of what it was given.
    pub(super) behind: bool,
    /// Since when nothing is read from it, and nothing it had said was answered either.
    pub(super) paused_at: Option<u64>,
    /// Application requests without an outcome.
    pub(super) pending: BTreeSet<String>,
    pub(super) client: Option<String>,
    pub(super) welcomed: bool,
    pub(super) stays: Vec<Stay>,
    /// Stays that have ended and were not compared.
    pub(super) past: Vec<Stay>,
    pub(super) received: BTreeSet<Key>,
    /// The last number of each sender of private messages.
    pub(super) private: BTreeMap<usize, u64>,
    /// What was told last was not made before this.
    pub(super) direct: u64,
    /// Who was taken out of which room, when, and whether it was told.
    pub(super) kicks: Vec<(usize, u64, bool)>,
    /// When it last said something of its typing in a room, in microseconds.
    pub(super) typed_at: BTreeMap<usize, u64>,
    /// Messages that it was told it has missed, by room.
    pub(super) told: BTreeMap<usize, u64>,
    pub(super) closing: Option<u16>,
    /// It has come back to a room and is being told what was said there.
    pub(super) back: Option<Back>,
    pub(super) closed: Option<u16>,
    /// When the session ended.
    pub(super) over: Option<When>,
    /// It did something successfully then.
    pub(super) alive: u64,
    pub(super) opened_told: bool,
    pub(super) closed_told: bool,
    /// Times in microseconds.
    pub(super) accepted_at: u64,
    pub(super) upgraded_at: Option<u64>,
    /// The response has been written, and that has not been reported.
    pub(super) upgrading: bool,
    pub(super) last_input_at: u64,
    /// When a ping was written.
    pub(super) pinged_at: Option<u64>,
    /// A write to it fell short, so what is queued and what is written differ.
    pub(super) fell_short: bool,
    pub(super) closed_at: Option<u64>,
}

impl Session {
    pub(super) fn new(raw: bool) -> Self {
        Self {
            raw,
            connection: None,
            live: false,
            life: 0,
            pings: 0,
            reader: Reader::Head(Vec::new()),
            written: 0,
            handed: 0,
            asks: Vec::new(),
            given: 0,
            next: 0,
            bounded: 0,
            finished: false,
            drained: false,
            moved_at: 0,
            behind: false,
            paused_at: None,
            pending: BTreeSet::new(),
            client: None,
            welcomed: false,
            stays: Vec::new(),
            past: Vec::new(),
            received: BTreeSet::new(),
            private: BTreeMap::new(),
            direct: 0,
            kicks: Vec::new(),
            typed_at: BTreeMap::new(),
            told: BTreeMap::new(),
            closing: None,
            back: None,
            closed: None,
            over: None,
            alive: 0,
            opened_told: false,
            closed_told: false,
            accepted_at: 0,
            upgraded_at: None,
            upgrading: false,
            last_input_at: 0,
            pinged_at: None,
            fell_short: false,
            closed_at: None,
        }
    }

    pub(super) fn stay(&mut self, room: usize) -> Option<&mut Stay> {
        self.stays.iter_mut().find(|stay| stay.room == room)
    }

    pub(super) fn is_in(&self, room: usize) -> bool {
        self.stays.iter().any(|stay| stay.room == room)
    }

    /// The session is over by `stamp`.
    pub(super) fn end_by(&mut self, stamp: u64) {
        let lo = self.alive;
        self.over.get_or_insert(When { lo, hi: None }).by(stamp);
    }

    /// What the connection is doing, for people.
    pub(super) fn stage(&self) -> &'static str {
        match (&self.reader, self.welcomed) {
            (Reader::Head(_) | Reader::Plain, _) => "handshake",
            _ if self.closed.is_some() || self.closing.is_some() || self.over.is_some() => {
                "closing"
            }
            (Reader::Frames(_), false) => "held",
            (Reader::Frames(_), true) => "open",
        }
    }

    pub(super) fn missed_in(&self, room: usize) -> u64 {
        self.told.get(&room).copied().unwrap_or_default()
    }
}
