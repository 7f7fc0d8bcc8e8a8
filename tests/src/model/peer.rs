//! The far end of one connection: what it has sent and how far that has come, what its socket takes, what it
//! has received.

use std::collections::VecDeque;
use std::rc::Rc;

use roomwire_core::ConnectionId;

use super::expected::{
    Expected, FIRST_ROOM, Ids, STREAMS, What, check, kind_of, parse, room_of, stream_of,
    told_members,
};
use super::operation::{ROOMS, Request, SUM, Setup};
use crate::client::{Client, Message};
use crate::pipe::Ending;

/// How far the connection has come, as the reference sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The upgrade request has not arrived whole.
    Request,
    /// The response has not left whole.
    Response,
    /// The welcome waits until then, or until the client speaks.
    Delay(u64),
    /// The session is open, or over.
    Session,
}

/// Something whole that a client sends.
#[derive(Clone, Debug)]
pub(super) enum Said {
    Upgrade,
    Request(Request, Option<Rc<str>>),
    Ping(usize),
    Pong,
    Close(u16),
    Violation,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Peer {
    pub id: ConnectionId,
    pub person: usize,

    // ---- to the server
    /// Everything ever sent, and how much of it has arrived.
    pub outgoing: Vec<u8>,
    pub arrived: usize,
    /// What the server has not taken, with where it ends in `outgoing`.
    pub said: VecDeque<(Said, usize)>,
    /// How much of what arrived has been processed.
    pub taken: usize,
    pub phase: Phase,
    /// The server leaves what arrives for later.
    pub paused: bool,
    pub in_backlog: bool,
    /// The peer has finished writing.
    pub read_end: bool,

    // ---- from the server
    pub client: Client,
    /// Bytes that the socket takes until it is blocked.
    pub window: Option<usize>,
    pub blocked: bool,
    /// It was blocked at some time.
    pub(super) has_blocked: bool,
    pub finished: bool,
    pub ending: Option<Ending>,

    // ---- what was received so far
    pub frames: u64,
    /// For each stream, how far into the expected messages it has come.
    next: [usize; STREAMS],
    matched: usize,
    skipped: u64,
    told_dropped: u64,
    /// Dropping is allowed in rooms with such a policy, and ends in one message that comes once more.
    pub lossy: bool,
    pings: Vec<usize>,
    told: [Option<Vec<usize>>; ROOMS.len()],
    outcomes: Vec<(u32, u32)>,
    close_seen: bool,
}

impl Peer {
    pub(super) fn new(id: ConnectionId, person: usize, lossy: bool) -> Self {
        Self {
            id,
            person,
            outgoing: Vec::new(),
            arrived: 0,
            said: VecDeque::new(),
            taken: 0,
            phase: Phase::Request,
            paused: false,
            in_backlog: false,
            read_end: false,
            client: Client::new(id),
            window: None,
            blocked: false,
            has_blocked: false,
            finished: false,
            ending: None,
            frames: 0,
            next: [0; STREAMS],
            matched: 0,
            skipped: 0,
            told_dropped: 0,
            lossy,
            pings: Vec::new(),
            told: [const { None }; ROOMS.len()],
            outcomes: Vec::new(),
            close_seen: false,
        }
    }

    /// The peer says something whole; it has not arrived yet.
    pub(super) fn say(&mut self, said: Said, bytes: &[u8]) {
        self.outgoing.extend_from_slice(bytes);
        self.said.push_back((said, self.outgoing.len()));
    }

    /// A ping frame was processed: a pong with as many bytes is due.
    pub(super) fn expect_pong(&mut self, length: usize) {
        self.pings.push(length);
    }

    /// The session is over: pings that have arrived may have been answered or not. Returns how many.
    pub(super) fn forget_pings(&mut self) -> u64 {
        let before = self.pings.len();
        for (said, end) in self.said.drain(..) {
            if let Said::Ping(length) = said
                && end <= self.arrived
            {
                self.pings.push(length);
            }
        }
        (self.pings.len() - before) as u64
    }

    /// Compares what has come with what had to.
    pub(super) fn check_received(
        &mut self,
        expected: &[Expected],
        setup: Setup,
        ids: &Ids,
    ) -> Result<(), String> {
        while let Some(message) = self.client.next_message() {
            self.frames += 1;
            match message {
                Message::Text(text) => {
                    self.check_text(&text, expected, setup, ids)?;
                    self.note_members(&text, ids)?;
                    self.note_outcome(&text)?;
                }
                Message::Close(code, _) => {
                    let close = |e: &Expected| e.what == What::Close(code);
                    // One that was too slow is told so even if it has finished writing meanwhile.
                    let late = self.lossy && self.read_end && code == 1005;
                    check(late || expected.last().is_some_and(close), || {
                        format!("unexpected close frame {code}")
                    })?;
                    self.matched += 1;
                    self.close_seen = true;
                }
                Message::Pong(payload) => self.check_pong(payload.len())?,
                Message::Ping(payload) => {
                    check(setup.beat && payload.is_empty(), || {
                        "an unexpected ping".to_owned()
                    })?;
                }
                Message::Binary(_) => return Err("a binary message".to_owned()),
            }
        }
        Ok(())
    }

    fn check_text(
        &mut self,
        text: &str,
        expected: &[Expected],
        setup: Setup,
        ids: &Ids,
    ) -> Result<(), String> {
        if self.lossy && kind_of(text) == Some("messages_dropped") {
            self.told_dropped += parse(text)?["count"].as_u64().ok_or("no count")?;
            return Ok(());
        }
        if self.lossy && kind_of(text) == Some("closing") {
            // The queue was given up; only the goodbye comes.
            self.next = [expected.len().saturating_sub(2); STREAMS];
        }
        let stream = stream_of(text);
        let may_skip = self.lossy && stream >= FIRST_ROOM;
        let mut skipped = 0;
        let at = loop {
            let at = self.next_of(stream, expected);
            let entry = expected
                .get(at)
                .ok_or_else(|| format!("nothing like it was to come: {text}"))?;
            self.next[stream] = at + 1;
            match entry.what.matches(text, ids) {
                Ok(()) => break at,
                Err(_) if may_skip => skipped += 1,
                Err(error) => return Err(error),
            }
        };
        self.skipped += skipped;
        self.matched += 1;
        if stream == 0 {
            self.check_not_overtaken(at, expected, setup)?;
        }
        Ok(())
    }

    /// A direct message comes after every room message that was sent before it.
    fn check_not_overtaken(
        &mut self,
        at: usize,
        expected: &[Expected],
        setup: Setup,
    ) -> Result<(), String> {
        for stream in 1..STREAMS {
            let droppable = self.lossy && stream >= FIRST_ROOM;
            let next = self.next_of(stream, expected);
            check(droppable || next >= expected.len() || next > at, || {
                format!(
                    "{:?} has overtaken {:?} ({setup:?})",
                    expected[at], expected[next]
                )
            })?;
        }
        Ok(())
    }

    /// The index of the next message of a stream.
    fn next_of(&mut self, stream: usize, expected: &[Expected]) -> usize {
        let from = self.next[stream];
        let left = expected.get(from..).unwrap_or_default();
        let at = left
            .iter()
            .position(|e| e.stream == stream)
            .map_or(expected.len(), |at| from + at);
        self.next[stream] = at;
        at
    }

    fn check_pong(&mut self, length: usize) -> Result<(), String> {
        // While the socket is blocked a later pong overtakes earlier ones, or replaces them.
        let at = self.pings.iter().position(|&wanted| wanted == length);
        if let Some(at) = at {
            self.pings.swap_remove(at);
            return Ok(());
        }
        Err(format!("a pong of {length} bytes that nobody asked for"))
    }

    /// Joins and leaves that it was told of pair up.
    fn note_members(&mut self, text: &str, ids: &Ids) -> Result<(), String> {
        let (Some(kind), Some(room)) = (kind_of(text), room_of(text)) else {
            return Ok(());
        };
        match kind {
            "joined_room" => {
                let value = parse(text)?;
                let members = told_members(&value, ids)?;
                let whole = value["total"].as_u64() == Some(members.len() as u64);
                // A room that sums up, or drops, is not followed.
                let followed = whole && room != SUM && !self.lossy;
                self.told[room] = followed.then_some(members);
            }
            "left_room" => self.told[room] = None,
            "member_joined" | "member_left" => {
                let Some(members) = &mut self.told[room] else {
                    return Ok(());
                };
                let id = parse(text)?["clientId"]
                    .as_str()
                    .and_then(|id| ids.number(id));
                let who = id.ok_or_else(|| format!("an unknown client: {text}"))?;
                let at = members.iter().position(|&member| member == who);
                match (kind, at) {
                    ("member_joined", None) => members.push(who),
                    ("member_left", Some(at)) => drop(members.swap_remove(at)),
                    _ => return Err(format!("a notice that does not pair: {text}")),
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether the members that it was told of are those of the room.
    pub(super) fn check_members(&self, room: usize, members: &[usize]) -> Result<(), String> {
        let Some(told) = &self.told[room] else {
            return Ok(());
        };
        let (mut told, mut members) = (told.clone(), members.to_vec());
        told.sort_unstable();
        members.sort_unstable();
        check(told == members, || {
            format!("told of {told:?} in {}, there are {members:?}", ROOMS[room])
        })
    }

    fn note_outcome(&mut self, text: &str) -> Result<(), String> {
        // Ids of requests are numbers under a mark that nothing else bears.
        let Some((_, after)) = text.split_once("\"id\":\"q") else {
            return Ok(());
        };
        let number: u32 = after
            .split('"')
            .next()
            .and_then(|n| n.parse().ok())
            .ok_or("a broken id")?;
        let asked = self.outcomes.iter_mut().find(|(asked, _)| *asked == number);
        let (_, outcomes) = asked.ok_or_else(|| format!("an outcome of nothing: {text}"))?;
        *outcomes += 1;
        check(*outcomes == 1, || format!("a second outcome: {text}"))
    }

    /// A request with an id was processed.
    pub(super) fn expect_outcome(&mut self, number: u32) {
        self.outcomes.push((number, 0));
    }

    /// Nothing is missing of what had to come, and every request has its outcome but for `waiting` ones.
    pub(super) fn check_complete(
        &mut self,
        expected: &[Expected],
        waiting: usize,
    ) -> Result<(), String> {
        self.check_everything_came(expected)?;
        let without = self.outcomes.iter().filter(|(_, n)| *n == 0).count();
        check(without == waiting, || {
            format!("{without} requests without an outcome, {waiting} wait")
        })
    }

    /// Nothing is missing of what had to come.
    pub(super) fn check_everything_came(&mut self, expected: &[Expected]) -> Result<(), String> {
        for stream in 0..STREAMS {
            let next = self.next_of(stream, expected);
            let last_word = self.close_seen && next + 1 == expected.len();
            if self.lossy && stream >= FIRST_ROOM {
                let left = expected.get(next..).unwrap_or_default();
                self.skipped += left.iter().filter(|e| e.stream == stream).count() as u64;
                self.next[stream] = expected.len();
            } else {
                check(next >= expected.len() || last_word, || {
                    format!("never came: {:?}", expected[next])
                })?;
            }
        }
        check(self.skipped == self.told_dropped, || {
            format!(
                "missed {} messages, told of {}",
                self.skipped, self.told_dropped
            )
        })
    }

    /// How many messages matched.
    pub(super) fn matched(&self) -> usize {
        self.matched
    }
}
