//! What a script says, and who hears what of it.

mod hearing;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::resume_unwind;
use std::time::Instant;

use roomwire_core::ConnectionId;
use roomwire_core::server::{Command, Event, Outcome, Refused, RequestToken};

use super::Floor;
use super::ear::Ear;
use crate::frame::{Opcode, masked};
use crate::tcp::PATIENCE;

/// One thing that was done, and what everybody heard of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What was done.
    pub what: String,
    /// What was heard: by the program around the server, whose events are sorted, then by each client in the order in
    /// which they came.
    pub heard: Vec<Vec<String>>,
}

/// Names one client of a [`Play`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Who(usize);

/// A script that is being played. Every call is a step, unless it says otherwise.
///
/// `<ada>` in what is said stands for ada's client id, `<file of ada>` for the transfer that she was told of last, and
/// `<secret of ada>` for its secret.
pub struct Play<'a> {
    name: &'static str,
    floor: &'a mut dyn Floor,
    /// What must be heard; `None` in a rehearsal.
    script: Option<&'a [Step]>,
    steps: Vec<Step>,
    cast: Vec<Actor>,
    /// What the program has been told since the last step.
    told: VecDeque<Told>,
    /// The connections of clients, by their ids.
    opened: BTreeMap<String, ConnectionId>,
    /// What was refused of which it was told.
    refused: BTreeSet<Refused>,
    /// Of the application, not answered.
    requests: VecDeque<RequestToken>,
    /// The server has ended.
    over: bool,
}

impl core::fmt::Debug for Play<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut play = f.debug_struct("Play");
        play.field("name", &self.name).field("steps", &self.steps);
        play.finish_non_exhaustive()
    }
}

/// Why a play has ended early.
pub(super) struct Why(pub(super) String);

struct Actor {
    name: String,
    line: usize,
    /// Empty before the welcome.
    id: String,
    /// The number of the transfer that it was told of last.
    transfer: String,
    /// Its secret, of a sender.
    secret: String,
    ear: Ear,
    /// Since the last step.
    heard: VecDeque<Item>,
    rooms: BTreeSet<String>,
    mute: bool,
    /// Its connection has ended.
    gone: bool,
    /// It has torn it down, and hears nothing more.
    deaf: bool,
}

/// What a client has heard.
enum Item {
    Text(String),
    Answer(String),
    Other(String),
}

/// What the program was told.
enum Told {
    Event(Event),
    Over(bool),
}

impl<'a> Play<'a> {
    pub(super) fn rehearsal(name: &'static str, floor: &'a mut dyn Floor) -> Self {
        Self {
            name,
            floor,
            script: None,
            steps: Vec::new(),
            cast: Vec::new(),
            told: VecDeque::new(),
            opened: BTreeMap::new(),
            refused: BTreeSet::new(),
            requests: VecDeque::new(),
            over: false,
        }
    }

    pub(super) fn performance(
        name: &'static str,
        floor: &'a mut dyn Floor,
        script: &'a [Step],
    ) -> Self {
        Self {
            script: Some(script),
            ..Self::rehearsal(name, floor)
        }
    }

    /// Plays it to the end of the server.
    pub(super) fn run(mut self, script: fn(&mut Play<'_>)) -> Vec<Step> {
        script(&mut self);
        self.leave();
        self.must(self.over, || "the server has not ended".to_owned());
        for actor in &self.cast {
            let left = actor.heard.len() + actor.ear.unfinished();
            self.must(left == 0, || format!("{} hears more", actor.name));
        }
        self.must(self.told.is_empty(), || "the program hears more".to_owned());
        let due = self.script.map_or(self.steps.len(), <[Step]>::len);
        self.must(self.steps.len() == due, || format!("there are {due} steps"));
        self.steps
    }

    /// Ends the play unless this holds. It is no panic that would be told on the spot: see
    /// [`Scenario::perform`](super::Scenario::perform).
    fn must(&self, holds: bool, or: impl FnOnce() -> String) {
        if !holds {
            let why = format!("after step {}: {}", self.steps.len(), or());
            resume_unwind(Box::new(Why(why)));
        }
    }

    // ---- coming

    /// A client that comes in at `/` of the first listener.
    pub fn connect(&mut self, name: &str) -> Who {
        self.connect_at(name, 0, "/", "")
    }

    /// A client that asks for an upgrade at a path of a listener, with further header lines, each with its CRLF.
    pub fn connect_at(&mut self, name: &str, listener: u16, path: &str, headers: &str) -> Who {
        let who = self.enter(name, listener, "");
        self.cast[who.0].ear.asked(false);
        self.put(who, &upgrade(path, headers));
        self.settle(format!("{name} connects to {path} {headers}"));
        who
    }

    /// A connection that says nothing yet.
    pub fn open(&mut self, name: &str, listener: u16) -> Who {
        self.open_after(name, listener, "")
    }

    /// A connection that begins with something that comes before everything else, TLS too.
    pub fn open_after(&mut self, name: &str, listener: u16, preface: &str) -> Who {
        let who = self.enter(name, listener, preface);
        self.settle(format!("{name} opens a connection {preface}"));
        who
    }

    fn enter(&mut self, name: &str, listener: u16, preface: &str) -> Who {
        let line = self.floor.open(listener, preface.as_bytes());
        self.cast.push(Actor {
            name: name.to_owned(),
            line,
            id: String::new(),
            transfer: String::new(),
            secret: String::new(),
            ear: Ear::default(),
            heard: VecDeque::new(),
            rooms: BTreeSet::new(),
            mute: false,
            gone: false,
            deaf: false,
        });
        Who(self.cast.len() - 1)
    }

    /// Gives the names of these clients to them anew, in the order of their ids, which decides about pages of
    /// members and is left to chance. No step.
    pub fn sort<const N: usize>(&mut self, clients: [Who; N]) -> [Who; N] {
        for (index, &one) in clients.iter().enumerate() {
            for &other in &clients[index + 1..] {
                if self.cast[other.0].id < self.cast[one.0].id {
                    self.cast.swap(one.0, other.0);
                    let name = core::mem::take(&mut self.cast[one.0].name);
                    let other = core::mem::replace(&mut self.cast[other.0].name, name);
                    self.cast[one.0].name = other;
                }
            }
        }
        clients
    }

    // ---- speaking

    /// A client sends text.
    pub fn say(&mut self, who: Who, text: &str) {
        let filled = self.fill(text);
        self.put(who, &masked(Opcode::Text, true, filled.as_bytes()));
        self.settle(format!("{} says {text}", self.cast[who.0].name));
    }

    /// A client joins a room.
    pub fn join(&mut self, who: Who, room: &str) {
        self.say(who, &format!(r#"{{"type":"join","room":"{room}"}}"#));
    }

    /// A client sends a frame.
    pub fn frame(&mut self, who: Who, opcode: Opcode, payload: &[u8]) {
        self.bytes(who, &masked(opcode, true, payload));
    }

    /// A client sends bytes as they are.
    pub fn bytes(&mut self, who: Who, bytes: &[u8]) {
        self.put(who, bytes);
        let (name, count) = (&self.cast[who.0].name, bytes.len());
        self.settle(format!("{name} sends {count} bytes"));
    }

    /// A client asks over HTTP; `request` is the method and the path.
    pub fn ask(&mut self, who: Who, request: &str, headers: &str) {
        self.put_request(who, request, headers);
        let name = &self.cast[who.0].name;
        self.settle(format!("{name} asks {request} {headers}"));
    }

    /// The same, and time passes: what comes of both is heard in one step.
    pub fn ask_and_pass(&mut self, who: Who, request: &str, ms: u64) {
        self.put_request(who, request, "");
        let name = &self.cast[who.0].name;
        let what = format!("{name} asks {request}, and {ms} ms pass");
        self.floor.pass(ms);
        self.settle(what);
    }

    /// A connection asks for an upgrade, at `/`.
    pub fn upgrade(&mut self, who: Who, headers: &str) {
        self.cast[who.0].ear.asked(false);
        self.put(who, &upgrade("/", headers));
        let name = &self.cast[who.0].name;
        self.settle(format!("{name} asks for an upgrade {headers}"));
    }

    /// The same, and time passes: what comes of both is heard in one step.
    pub fn upgrade_and_pass(&mut self, who: Who, ms: u64) {
        self.cast[who.0].ear.asked(false);
        self.put(who, &upgrade("/", ""));
        let name = &self.cast[who.0].name;
        let what = format!("{name} asks for an upgrade, and {ms} ms pass");
        self.floor.pass(ms);
        self.settle(what);
    }

    /// A client asks over HTTP again and again, until the answer is that of the rehearsal: what the threads of a server
    /// know of each other may be a moment old.
    pub fn ask_until_known(&mut self, who: Who, request: &str) {
        let what = format!("{} asks {request} until it is known", self.cast[who.0].name);
        let end = Instant::now() + PATIENCE;
        loop {
            self.put_request(who, request, "");
            let step = self.take_step(what.clone());
            if self.differences(&step).is_empty() || Instant::now() > end {
                return self.finish_step(step);
            }
            self.floor.pass(10);
        }
    }

    /// A client sends what comes before several answers.
    pub fn ask_at_once(&mut self, who: Who, requests: &[u8], answers: usize) {
        for _ in 0..answers {
            self.cast[who.0].ear.asked(false);
        }
        self.bytes(who, requests);
    }

    fn put_request(&mut self, who: Who, request: &str, headers: &str) {
        let head_only = request.starts_with("HEAD ");
        self.cast[who.0].ear.asked(head_only);
        let request = format!("{request} HTTP/1.1\r\nHost: example.com\r\n{headers}\r\n");
        self.put(who, request.as_bytes());
    }

    fn put(&mut self, who: Who, bytes: &[u8]) {
        self.floor.write(self.cast[who.0].line, bytes);
    }

    /// Text with ids for names. No step.
    pub fn fill(&self, text: &str) -> String {
        let actors = self.cast.iter().filter(|actor| !actor.id.is_empty());
        actors.fold(text.to_owned(), |text, actor| {
            let name = &actor.name;
            text.replace(&format!("<{name}>"), &actor.id)
                .replace(&format!("<file of {name}>"), &actor.transfer)
                .replace(&format!("<secret of {name}>"), &actor.secret)
        })
    }

    // ---- going

    /// A client closes in order.
    pub fn close(&mut self, who: Who, code: u16, reason: &str) {
        let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
        self.put(who, &masked(Opcode::Close, true, &payload));
        self.settle(format!("{} closes with {code}", self.cast[who.0].name));
    }

    /// A client finishes writing.
    pub fn finish(&mut self, who: Who) {
        self.floor.finish(self.cast[who.0].line);
        self.settle(format!("{} finishes", self.cast[who.0].name));
    }

    /// A client tears its connection down.
    pub fn reset(&mut self, who: Who) {
        (self.cast[who.0].gone, self.cast[who.0].deaf) = (true, true);
        self.floor.reset(self.cast[who.0].line);
        self.settle(format!("{} is gone", self.cast[who.0].name));
    }

    /// A client takes nothing more of what comes, but for the beginning of a long message. No step.
    pub fn stall(&mut self, who: Who) {
        self.floor.stall(self.cast[who.0].line, true);
    }

    /// A client takes what has come meanwhile.
    pub fn release(&mut self, who: Who) {
        self.floor.stall(self.cast[who.0].line, false);
        self.settle(format!("{} reads again", self.cast[who.0].name));
    }

    /// A client answers no more pings. No step.
    pub fn mute(&mut self, who: Who) {
        self.cast[who.0].mute = true;
    }

    /// Time passes, until something happens.
    pub fn pass(&mut self, ms: u64) {
        self.floor.pass(ms);
        self.settle(format!("{ms} ms pass"));
        let heard = self.last().heard.iter().any(|heard| !heard.is_empty());
        self.must(heard, || "nobody notices that time passes".to_owned());
    }

    // ---- the program

    /// The program sends a client a message.
    pub fn program_sends(&mut self, who: Who, message: &str) {
        let (connection, message) = (self.connection(who), message.to_owned());
        self.command(Command::Send {
            connection,
            message,
        });
    }

    /// The program sends a room a message.
    pub fn program_publishes(&mut self, room: &str, message: &str) {
        self.command(Command::Publish {
            room: room.to_owned(),
            message: message.to_owned(),
        });
    }

    /// The program takes a client out of a room.
    pub fn program_kicks(&mut self, who: Who, room: &str) {
        let (connection, room) = (self.connection(who), room.to_owned());
        self.command(Command::Kick { connection, room });
    }

    /// The program closes a client's connection.
    pub fn program_closes(&mut self, who: Who, code: u16, reason: &str, again_ms: Option<u64>) {
        let connection = self.connection(who);
        self.command(Command::Close {
            connection,
            code,
            reason: reason.to_owned(),
            reconnect_after_ms: again_ms,
        });
    }

    /// The program answers the request that has waited longest.
    pub fn program_answers(&mut self, outcome: Outcome) {
        let request = self.requests.pop_front().expect("an open request");
        self.command(Command::Reply { request, outcome });
    }

    /// The server is asked to leave.
    pub fn drain(&mut self) {
        self.command(Command::Drain);
    }

    fn command(&mut self, command: Command) {
        let what = match &command {
            Command::Send { .. } => "the program sends",
            Command::Publish { .. } => "the program publishes",
            Command::Kick { .. } => "the program kicks",
            Command::Close { .. } => "the program closes",
            Command::Reply { .. } => "the program answers",
            _ => "the server is to leave",
        };
        self.floor.command(command);
        self.settle(what.to_owned());
    }

    fn connection(&self, who: Who) -> ConnectionId {
        self.opened[&self.cast[who.0].id]
    }

    // ---- what was heard

    /// In the last step a client must have heard something with this in it. No step.
    pub fn hears(&self, who: Who, what: &str) {
        self.has_in(&self.last().heard[who.0 + 1], what);
    }

    /// In the last step the program must have heard something with this in it. No step.
    pub fn program_hears(&self, what: &str) {
        self.has_in(&self.last().heard[0], what);
    }

    fn has_in(&self, heard: &[String], what: &str) {
        let found = heard.iter().any(|item| item.contains(what));
        self.must(found, || format!("{what:?} is not in {heard:#?}"));
    }

    /// In the last step a client must have heard nothing. No step.
    pub fn hears_nothing(&self, who: Who) {
        let heard = &self.last().heard[who.0 + 1];
        self.must(heard.is_empty(), || format!("there is {heard:#?}"));
    }

    fn last(&self) -> &Step {
        self.steps.last().expect("a step")
    }
}

/// A request for an upgrade.
pub(super) fn upgrade(path: &str, headers: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n"
    )
    .into_bytes()
}
