//! Every short story of two clients and two rooms, against a model of one page.
//!
//! A story is a sequence of up to six of these, by either client: join, leave or speak in either room, write to
//! the other, vanish, come back. That is 8 things that a connected client can do and 1 that another can: about
//! 16^6, or seventeen million, stories. They are not all run:
//!
//! - Stories that differ only in which client is which, or which room is which, are one: the first to act is
//!   client 0, and the first room named is room 0. The server knows neither by its name.
//! - A request that changes and tells nothing (refused, or joining again) is one answer and leaves the server as
//!   it was. That is shown by all stories of up to four in which such requests come anywhere; of the longer ones
//!   only those without them are run, as the others are one of these with answers in between.
//!
//! What is left is run twice: polled until idle after each step, and polled only at the end (a client that comes
//! back is polled for, as nobody can speak before the handshake's answer has left). The number of stories is
//! asserted, so that no change makes it small unseen. All are told to one server, which must be as good as new
//! after each.

use std::io::Write as _;

use roomwire_core::config::RateLimit;
use roomwire_core::{
    Config, ConnectionId, Input, ListenerId, Machine as _, Now, Output, PeerAddr, Server,
    TransportEnd,
};
use roomwire_tests::{FrameReader, Upgrade, text};
use serde_json::Value;

const CLIENTS: [usize; 2] = [0, 1];
const ROOMS: [&str; 2] = ["tea", "coffee"];
/// Steps of the longest story, and of the longest with requests that come to nothing.
const LONGEST: usize = 6;
const LONGEST_OF_ALL_KINDS: usize = 4;

/// One step of a story.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Join(usize, usize),
    Leave(usize, usize),
    Speak(usize, usize),
    Write(usize),
    Vanish(usize),
    Return(usize),
}

impl Step {
    fn client(self) -> usize {
        match self {
            Self::Join(client, _) | Self::Leave(client, _) | Self::Speak(client, _) => client,
            Self::Write(client) | Self::Vanish(client) | Self::Return(client) => client,
        }
    }

    fn room(self) -> Option<usize> {
        match self {
            Self::Join(_, room) | Self::Leave(_, room) | Self::Speak(_, room) => Some(room),
            _ => None,
        }
    }
}

// ---- the model

/// What a client is told: a type, whom or what it is about, and which step it answers, if it does.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    kind: &'static str,
    room: Option<usize>,
    /// In the model a client, otherwise an id of the story.
    about: Option<usize>,
    /// The number that was said, the members of a room, or nothing.
    number: u64,
    answers: Option<u64>,
}

/// Who is connected and who is where. That is all there is to know.
#[derive(Clone, Copy, Debug, Default)]
struct Truth {
    connected: [bool; 2],
    member: [[bool; 2]; 2],
}

impl Truth {
    const START: Self = Self {
        connected: [true; 2],
        member: [[false; 2]; 2],
    };

    fn can(&self, step: Step) -> bool {
        self.connected[step.client()] != matches!(step, Step::Return(_))
    }

    /// Whether a step changes anything, or tells anybody but its client.
    fn matters(&self, step: Step) -> bool {
        match step {
            Step::Join(client, room) => !self.member[room][client],
            Step::Leave(client, room) | Step::Speak(client, room) => self.member[room][client],
            Step::Write(client) => self.connected[1 - client],
            Step::Vanish(_) | Step::Return(_) => true,
        }
    }

    /// Takes a step, the `number`th; `tell` is told who is told what, in order.
    fn take(&mut self, step: Step, number: u64, mut tell: impl FnMut(usize, Told)) {
        let client = step.client();
        let other = 1 - client;
        let answer = |kind, room, count| Told {
            kind,
            room,
            about: None,
            number: count,
            answers: Some(number),
        };
        let notice = |kind, room, number| Told {
            kind,
            room,
            about: Some(client),
            number,
            answers: None,
        };
        match step {
            Step::Join(_, room) => {
                let others = self.member[room][other];
                if others && !self.member[room][client] {
                    tell(other, notice("member_joined", Some(room), 0));
                }
                self.member[room][client] = true;
                tell(
                    client,
                    answer("joined_room", Some(room), 1 + u64::from(others)),
                );
            }
            Step::Leave(_, room) | Step::Speak(_, room) if self.member[room] == [false; 2] => {
                tell(client, answer("no_such_room", None, 0));
            }
            Step::Leave(_, room) | Step::Speak(_, room) if !self.member[room][client] => {
                tell(client, answer("not_member", None, 0));
            }
            Step::Leave(_, room) => {
                self.member[room][client] = false;
                if self.member[room][other] {
                    tell(other, notice("left", Some(room), 0));
                }
                tell(client, answer("left_room", Some(room), 0));
            }
            Step::Speak(_, room) => {
                if self.member[room][other] {
                    tell(other, notice("room_message", Some(room), number));
                }
                tell(client, answer("ack", None, 0));
            }
            Step::Write(_) if self.connected[other] => {
                tell(other, notice("private_message", None, number));
                tell(client, answer("ack", None, 0));
            }
            Step::Write(_) => tell(client, answer("target_not_found", None, 0)),
            Step::Vanish(_) => {
                self.connected[client] = false;
                for room in 0..ROOMS.len() {
                    if core::mem::take(&mut self.member[room][client]) && self.member[room][other] {
                        tell(other, notice("disconnected", Some(room), 0));
                    }
                }
            }
            Step::Return(_) => self.connected[client] = true,
        }
    }
}

// ---- the server

/// When the server is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Polled {
    AfterEachStep,
    AtTheEnd,
}

/// One server, to which all stories are told.
struct Stage {
    server: Server,
    now: Now,
    connections: [Option<ConnectionId>; 2],
    /// Every client id of this story, and whose it was.
    names: Vec<String>,
    /// Which of them is each client's, or was its last.
    current: [usize; 2],
    readers: [FrameReader; 2],
    truth: Truth,
    expected: [Vec<Told>; 2],
    /// Counts steps over all stories, so that nothing is answered twice.
    number: u64,
}

impl Stage {
    fn new() -> Self {
        let mut config = Config {
            rate_limit: RateLimit::off(),
            ..Config::default()
        };
        config.timeouts.welcome_delay_ms = 0;
        let config = config.validate().expect("a config that is allowed");
        let mut stage = Self {
            server: Server::new(config, [1; 32]),
            now: Now::default(),
            connections: [None; 2],
            names: Vec::new(),
            current: [0; 2],
            readers: Default::default(),
            truth: Truth::default(),
            expected: Default::default(),
            number: 0,
        };
        for client in CLIENTS {
            stage.step(Step::Return(client));
        }
        stage
    }

    /// Takes a step in the server and in the model.
    fn step(&mut self, step: Step) {
        self.number += 1;
        let number = self.number;
        let client = step.client();
        let json = match step {
            Step::Join(_, room) => format!(
                r#"{{"type":"join","room":"{}","id":{number}}}"#,
                ROOMS[room]
            ),
            Step::Leave(_, room) => format!(
                r#"{{"type":"leave","room":"{}","id":{number}}}"#,
                ROOMS[room]
            ),
            Step::Speak(_, room) => {
                let room = ROOMS[room];
                format!(
                    r#"{{"type":"room_message","room":"{room}","data":{number},"id":{number}}}"#
                )
            }
            Step::Write(_) => {
                let to = &self.names[self.current[1 - client]];
                format!(r#"{{"type":"private_message","to":"{to}","data":{number},"id":{number}}}"#)
            }
            Step::Vanish(_) | Step::Return(_) => String::new(),
        };
        match step {
            Step::Vanish(_) => {
                let connection = self.connections[client].take().expect("it is connected");
                let end = TransportEnd::Reset;
                let _ = self
                    .server
                    .handle(self.now, Input::Ended { connection, end });
                // What it was told and has not taken is lost.
                self.readers[client] = FrameReader::default();
                self.expected[client].clear();
            }
            Step::Return(_) => self.connect(client),
            _ => self.receive(client, text(&json)),
        }
        let (expected, current) = (&mut self.expected, self.current);
        self.truth.take(step, number, |whom, told| {
            let about = told.about.map(|client| current[client]);
            expected[whom].push(Told { about, ..told });
        });
    }

    fn receive(&mut self, client: usize, mut bytes: Vec<u8>) {
        let connection = self.connections[client].expect("it is connected");
        let bytes = &mut bytes[..];
        let _ = self
            .server
            .handle(self.now, Input::Received { connection, bytes });
    }

    fn connect(&mut self, client: usize) {
        // What is under way is not to be taken for part of the handshake.
        self.drain();
        let accepted = self.server.accept(self.now, PeerAddr::Local, ListenerId(0));
        self.connections[client] = accepted;
        self.receive(client, Upgrade::default().request());
        let mut bytes = Vec::new();
        while let Some((connection, more)) = self.poll() {
            assert_eq!(Some(connection), accepted);
            bytes.extend(more);
        }
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n");
        let mut reader = FrameReader::default();
        reader.push(&bytes[end.expect("a response") + 4..]);
        let welcome = next_json(&mut reader).expect("a welcome");
        assert_eq!(welcome["type"], "welcome");
        self.current[client] = self.names.len();
        let name = welcome["clientId"].as_str().expect("an id");
        self.names.push(name.to_owned());
        self.readers[client] = reader;
    }

    /// Polls until somebody is sent something; `None` when the server is idle.
    fn poll(&mut self) -> Option<(ConnectionId, Vec<u8>)> {
        loop {
            match self.server.poll() {
                Output::Transmit { connection } => {
                    let unsent = self.server.unsent(connection);
                    let bytes: Vec<u8> = unsent.flatten().copied().collect();
                    let sent = Input::Sent {
                        connection,
                        bytes: bytes.len(),
                        blocked: false,
                    };
                    let _ = self.server.handle(self.now, sent);
                    return Some((connection, bytes));
                }
                Output::Close { .. } | Output::Finish { .. } => panic!("nobody is closed"),
                Output::Idle { .. } => return None,
                _ => {}
            }
        }
    }

    fn drain(&mut self) {
        while let Some((connection, bytes)) = self.poll() {
            let client = self.connections.iter().position(|&c| c == Some(connection));
            self.readers[client.expect("it is connected")].push(&bytes);
        }
    }

    /// Polls until idle; everyone was told what the model says.
    fn check(&mut self, story: &[Step]) {
        self.drain();
        for client in CLIENTS {
            let mut heard = Vec::new();
            while let Some(message) = next_json(&mut self.readers[client]) {
                heard.push(self.understand(&message));
            }
            let expected = core::mem::take(&mut self.expected[client]);
            let answers =
                |told: &[Told]| -> Vec<u64> { told.iter().filter_map(|t| t.answers).collect() };
            assert_eq!(
                answers(&heard),
                answers(&expected),
                "{story:?}: answers to {client}"
            );
            // Rooms may overtake each other; within one nothing does.
            assert_eq!(
                by_room(heard),
                by_room(expected),
                "{story:?}: what {client} is told"
            );
        }
        let stats = self.server.stats();
        let rooms = self
            .truth
            .member
            .iter()
            .filter(|m| **m != [false; 2])
            .count();
        let clients = self.truth.connected.iter().filter(|c| **c).count();
        assert_eq!((stats.rooms, stats.clients), (rooms, clients), "{story:?}");
    }

    fn understand(&self, message: &Value) -> Told {
        let id = |field: &str| {
            let id = message[field].as_str()?;
            let known = self.names.iter().position(|name| name == id);
            Some(known.unwrap_or_else(|| panic!("nobody is {id}")))
        };
        let room = message["room"].as_str();
        let known = |word: &Value| {
            let kind = KINDS.iter().find(|kind| **kind == word);
            *kind.unwrap_or_else(|| panic!("unexpected {message}"))
        };
        let kind = match message["type"].as_str() {
            Some("error") => known(&message["code"]),
            Some("member_left") => known(&message["reason"]),
            _ => known(&message["type"]),
        };
        let number = &message[if kind == "joined_room" {
            "total"
        } else {
            "data"
        }];
        if let Some(members) = message["members"].as_array() {
            assert_eq!(members.len() as u64, number.as_u64().expect("a total"));
        }
        Told {
            kind,
            room: room.and_then(|name| ROOMS.iter().position(|room| *room == name)),
            about: id("from").or_else(|| id("clientId")),
            number: number.as_u64().unwrap_or_default(),
            answers: message["id"].as_u64(),
        }
    }

    /// Tells one story, and then sees to it that everything is as at the start: who is where comes out by their
    /// leaving.
    fn tell(&mut self, story: &[Step], polled: Polled) {
        for &step in story {
            self.step(step);
            if polled == Polled::AfterEachStep {
                self.check(story);
            }
        }
        self.check(story);
        for client in CLIENTS {
            if !self.truth.connected[client] {
                self.step(Step::Return(client));
                continue;
            }
            for room in 0..ROOMS.len() {
                self.step(Step::Leave(client, room));
            }
        }
        self.check(story);
        let stats = self.server.stats();
        let left = (
            stats.connections,
            stats.rooms,
            stats.buffered_bytes,
            stats.dropped,
        );
        assert_eq!(left, (2, 0, 0, 0), "{story:?}");
        self.names = self.current.map(|name| self.names[name].clone()).into();
        self.current = [0, 1];
    }
}

/// What can be told.
const KINDS: [&str; 12] = [
    "joined_room",
    "left_room",
    "member_joined",
    "left",
    "disconnected",
    "room_message",
    "private_message",
    "ack",
    "no_such_room",
    "not_member",
    "target_not_found",
    "welcome",
];

fn next_json(reader: &mut FrameReader) -> Option<Value> {
    let frame = reader.next_frame()?;
    Some(serde_json::from_slice(&frame.payload).expect("JSON"))
}

fn by_room(mut told: Vec<Told>) -> Vec<Told> {
    told.sort_by_key(|told| told.room);
    told
}

// ---- all stories

/// Goes through all stories of at most `longest` steps that begin with `story`, shorter ones first.
fn all_stories(
    story: &mut Vec<Step>,
    truth: Truth,
    longest: usize,
    empty_ones: bool,
    visit: &mut impl FnMut(&[Step]),
) {
    if !story.is_empty() {
        visit(story);
    }
    if story.len() == longest {
        return;
    }
    let second_room = story.iter().any(|step| step.room().is_some());
    for client in CLIENTS {
        if story.is_empty() && client == 1 {
            continue;
        }
        let mut steps = vec![
            Step::Write(client),
            Step::Vanish(client),
            Step::Return(client),
        ];
        for room in 0..ROOMS.len() {
            if room == 0 || second_room {
                steps.extend([
                    Step::Join(client, room),
                    Step::Leave(client, room),
                    Step::Speak(client, room),
                ]);
            }
        }
        for step in steps {
            if truth.can(step) && (empty_ones || truth.matters(step)) {
                let mut next = truth;
                next.take(step, 0, |_, _| ());
                story.push(step);
                all_stories(story, next, longest, empty_ones, visit);
                story.pop();
            }
        }
    }
}

/// Tells all stories; returns how many.
fn tell_all(polled: Polled) -> [usize; 2] {
    let mut stage = Stage::new();
    let mut counts = [0; 2];
    for (count, (longest, empty_ones)) in counts
        .iter_mut()
        .zip([(LONGEST_OF_ALL_KINDS, true), (LONGEST, false)])
    {
        all_stories(
            &mut Vec::new(),
            Truth::START,
            longest,
            empty_ones,
            &mut |story| {
                // Whoever is polled after each step has heard the beginnings of this one on the way.
                if polled == Polled::AtTheEnd || story.len() == longest {
                    stage.tell(story, polled);
                    *count += 1;
                }
            },
        );
    }
    let _ = writeln!(std::io::stdout(), "{polled:?}: {counts:?} stories");
    counts
}

#[test]
fn every_short_story_polled_after_each_step() {
    assert_eq!(tell_all(Polled::AfterEachStep), [12_876, 57_308]);
}

#[test]
fn every_short_story_polled_at_the_end() {
    assert_eq!(tell_all(Polled::AtTheEnd), [13_844, 65_484]);
}
