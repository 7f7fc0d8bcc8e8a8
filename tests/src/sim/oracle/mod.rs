//! What is true: a model fed by what clients sent and what the server's sockets took, compared at every step.
//!
//! It decides nothing by itself: whether a request succeeded, it learns from the outcome. What it knows is
//! what PROTOCOL.md promises: who may hear what, in which order, that nothing is lost untold, that every
//! request has one outcome. Times are counted in inputs, which the simulated wall clock shows in every
//! `timestamp`; what has none lies between the input that brought it and the write that told of it.
//!
//! Where a server has several shards some of that is not promised; `shards` says what, and why.

mod bounds;
mod files;
mod logs;
mod order;
mod quiet;
mod replies;
mod rooms;
mod session;
mod shards;
mod stream;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use roomwire_core::config::SlowReader;
use roomwire_core::server::{Command, Event};
use roomwire_core::{Config, ConnectionId, Now};
use serde_json::Value;

use super::coverage::Coverage;
use super::network::{SocketId, WALL_MS};
use super::plan::{Plan, ROOMS};

use files::Files;
use order::Orders;
use session::{Ask, Key, Outcome, Sent, Session, To, When};
pub use session::{Kind, Request};
pub(super) use shards::End;
use shards::{Life, Loss};

/// What is true of one server and its clients.
#[derive(Debug)]
pub struct Oracle {
    config: Config,
    policies: Vec<SlowReader>,
    /// Whether rooms keep what is said in them.
    keeps: Vec<bool>,
    /// Which message has which offset of which epoch.
    log: BTreeMap<(usize, String, u64), Key>,
    notices: Vec<usize>,
    /// Over how long comings and goings are summed up, in microseconds.
    notice_us: Vec<u64>,
    sessions: Vec<Session>,
    by_connection: BTreeMap<ConnectionId, usize>,
    live: BTreeSet<usize>,
    ids: BTreeMap<String, usize>,
    sent: BTreeMap<Key, Sent>,
    /// What was sent to each room, in the order in which it was handed in.
    logs: Vec<Vec<Key>>,
    /// Somebody came or went since everyone's view was compared.
    changed: Vec<bool>,
    /// When somebody last did, in microseconds.
    changed_at: Vec<u64>,
    /// Somebody did, of which the room's home may not have heard.
    moved: Vec<bool>,
    /// Connections that have ended since everything was compared.
    ended: Vec<usize>,
    /// Private messages that have not been compared.
    privates: Vec<Key>,
    orders: Orders,
    files: Files,
    /// There is one shard, and nobody's messages wait for a pool.
    alone: bool,
    /// How long one message may wait for a pool, in microseconds.
    pool_us: u64,
    /// The shard whose turn it is.
    here: usize,
    /// Lives of shards, and the present one of each shard.
    lives: Vec<Life>,
    present: Vec<usize>,
    /// The shard that each room belongs to; empty until a machine has been seen.
    homes: Vec<usize>,
    losses: Vec<Loss>,
    draining: bool,
    stamp: u64,
    now: u64,
    step: Step,
    violation: Option<String>,
    editor: Option<Editor>,
    /// What has been hit.
    pub coverage: Coverage,
}

/// Turns a text that the server has sent to a client into those that the oracle is shown.
pub struct Editor(pub Box<dyn FnMut(SocketId, String) -> Vec<String>>);

impl core::fmt::Debug for Editor {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Editor")
    }
}

/// What is being handed in.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    session: Option<usize>,
    what: What,
    /// The server's counters: messages, as they should be afterwards, and pauses before.
    received: u64,
    throttled: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum What {
    #[default]
    Other,
    Bytes,
    ReadEnd,
}

/// What the server's counters must agree with.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    /// Text frames that sockets took whole.
    texts: u64,
    /// Pings, pongs and close frames that they took.
    controls: u64,
    /// Heads of responses.
    responses: u64,
    bytes_in: u64,
    bytes_out: u64,
    accepted: u64,
    told_drops: u64,
}

/// The sender of what the program around the server sends.
const PROGRAM: usize = usize::MAX;

impl Oracle {
    /// Before anything has happened.
    pub fn new(plan: &Plan) -> Self {
        let rooms = 0..ROOMS.len();
        let shards = usize::from(plan.shards.count);
        let mut coverage = Coverage::default();
        coverage.shards.insert(plan.shards.count, 1);
        Self {
            config: plan.config.clone(),
            policies: rooms.clone().map(|room| plan.policy(room)).collect(),
            keeps: rooms.clone().map(|room| plan.keeps(room)).collect(),
            log: BTreeMap::new(),
            notices: rooms
                .clone()
                .map(|room| plan.notice_members(room))
                .collect(),
            notice_us: rooms.map(|room| plan.notice_us(room)).collect(),
            sessions: Vec::new(),
            by_connection: BTreeMap::new(),
            live: BTreeSet::new(),
            ids: BTreeMap::new(),
            sent: BTreeMap::new(),
            logs: vec![Vec::new(); ROOMS.len()],
            changed: vec![false; ROOMS.len()],
            changed_at: vec![0; ROOMS.len()],
            moved: vec![false; ROOMS.len()],
            ended: Vec::new(),
            privates: Vec::new(),
            orders: Orders::default(),
            files: Files::default(),
            alone: plan.shards.count == 1 && plan.pool.jobs == 0,
            // Everybody else's may come first, one after the other.
            pool_us: plan.pool.most_us * (1 + plan.clients.len() as u64),
            here: 0,
            lives: (0..shards).map(Life::of).collect(),
            present: (0..shards).collect(),
            homes: Vec::new(),
            losses: Vec::new(),
            draining: false,
            stamp: 0,
            now: 0,
            step: Step::default(),
            violation: None,
            editor: None,
            coverage,
        }
    }

    /// Shows the oracle other frames than the server has sent, to see whether it notices.
    pub fn set_editor(&mut self, editor: Editor) {
        self.editor = Some(editor);
    }

    // ---- what clients say of themselves

    /// A client connects; its socket is the next one. `raw`: the listener delivers bare data.
    pub fn dialled(&mut self, socket: SocketId, raw: bool) {
        assert_eq!(
            socket.0,
            self.sessions.len(),
            "sockets are numbered in order"
        );
        self.sessions.push(Session::new(raw));
        self.coverage.connections += 1;
    }

    /// A client sends so many bytes.
    pub fn written(&mut self, socket: SocketId, bytes: usize) {
        self.sessions[socket.0].written += bytes as u64;
    }

    /// What it has sent so far ends with a request.
    pub fn asked(&mut self, socket: SocketId, request: Request, message: Option<Outgoing>) {
        let session = &mut self.sessions[socket.0];
        if let (Some(serial), Some(message)) = (request.serial, message) {
            let key = (socket.0, serial);
            let to = match message.to {
                Target::Room(room) => To::Room(room),
                Target::Client(client) => To::Client(client.0),
                Target::Nobody => To::Client(usize::MAX),
            };
            let sent = Sent {
                to,
                padding: message.padding,
                stamp: None,
                ask: Some(session.asks.len()),
                when: When::default(),
            };
            self.sent.insert(key, sent);
        }
        if request.kind != Kind::Close && request.kind != Kind::Lie {
            self.coverage.requests += 1;
        }
        session.asks.push(Ask {
            request,
            end: session.written,
            when: When::default(),
            outcome: Outcome::Open,
        });
    }

    /// A client sends so many WebSocket pings.
    pub fn pinged(&mut self, socket: SocketId, pings: u64) {
        self.sessions[socket.0].pings += pings;
    }

    /// The client id of a connection, once its welcome has been written.
    pub fn client_id(&self, socket: SocketId) -> Option<&str> {
        self.sessions[socket.0].client.as_deref()
    }

    // ---- what is wrong

    /// The first thing that was wrong.
    pub fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    fn fail(&mut self, what: impl FnOnce() -> String) {
        if self.violation.is_none() {
            let what = what();
            self.violation = Some(format!("at input {}: {what}", self.stamp));
        }
    }

    fn check(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.fail(what);
        }
    }

    fn session_of(&self, connection: ConnectionId) -> Option<usize> {
        self.by_connection.get(&connection).copied()
    }

    fn tick(&mut self, now: Now) {
        self.stamp = now.unix_ms - WALL_MS;
        self.now = now.mono.as_micros();
    }

    /// What the session was given up to now: requests that are whole.
    fn hand_in(&mut self, number: usize, bytes: usize) -> u64 {
        let stamp = self.stamp;
        let session = &mut self.sessions[number];
        session.handed += bytes as u64;
        session.last_input_at = self.now;
        session.moved_at = self.now;
        let mut messages = 0;
        let mut last = session.asks[..session.given]
            .iter()
            .any(|ask| !ask.is_message());
        while let Some(ask) = session.asks.get_mut(session.given) {
            if ask.end > session.handed {
                break;
            }
            ask.when.lo = stamp;
            let request = &ask.request;
            if request.kind == Kind::Application
                && let Some(id) = &request.id
            {
                session.pending.insert(id.clone());
            }
            if request.kind == Kind::Typing {
                session.typed_at.insert(request.room, self.now);
            }
            if !last && ask.is_message() {
                messages += 1;
            }
            last |= !ask.is_message();
            if let Some(serial) = request.serial
                && let Some(sent) = self.sent.get(&(number, serial))
            {
                match sent.to {
                    To::Room(room) => self.logs[room].push((number, serial)),
                    To::Client(_) => self.privates.push((number, serial)),
                }
            }
            session.given += 1;
        }
        messages
    }

    /// Everything that was handed in has been processed by now.
    fn caught_up(&mut self, number: usize) {
        let stamp = self.stamp;
        let session = &mut self.sessions[number];
        if core::mem::take(&mut session.behind) {
            // Whatever it had said may have been done only now.
            session.typed_at.values_mut().for_each(|at| *at = self.now);
        }
        let mut ended = false;
        for ask in &mut session.asks[session.bounded..session.given] {
            ask.when.by(stamp);
            ended |= !ask.is_message();
        }
        session.bounded = session.given;
        if ended {
            session.end_by(stamp);
        }
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::Publish { message, .. } => {
                if let Some((room, serial)) = told_of(message) {
                    let key = (PROGRAM, serial);
                    self.logs[room].push(key);
                    // Elsewhere it is published when that shard hears of it.
                    let stamp = self.alone.then_some(self.stamp);
                    self.sent.insert(
                        key,
                        Sent {
                            to: To::Room(room),
                            padding: 0,
                            stamp,
                            ask: None,
                            when: When::since(self.stamp),
                        },
                    );
                }
            }
            Command::Send {
                connection,
                message,
            } => {
                if let (Some((_, serial)), Some(number)) =
                    (told_of(message), self.session_of(*connection))
                {
                    let there = self.sessions[number].welcomed;
                    if there {
                        self.privates.push((PROGRAM, serial));
                    }
                    self.sent.insert(
                        (PROGRAM, serial),
                        Sent {
                            to: To::Client(number),
                            padding: 0,
                            stamp: Some(self.stamp),
                            ask: None,
                            when: When::exactly(self.stamp),
                        },
                    );
                }
            }
            Command::Kick { connection, room } => {
                let room = ROOMS.iter().position(|name| name == room);
                if let (Some(number), Some(room)) = (self.session_of(*connection), room) {
                    let stamp = self.stamp;
                    self.sessions[number].kicks.push((room, stamp, false));
                }
            }
            Command::Drain => {
                self.draining = true;
                self.coverage.edge("drain");
            }
            Command::Abandon => self.failing(),
            _ => {}
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Opened {
                connection, client, ..
            } => {
                let Some(&number) = self.by_connection.get(connection) else {
                    return self.fail(|| format!("{connection} was opened and never accepted"));
                };
                let twice = core::mem::replace(&mut self.sessions[number].opened_told, true);
                let same = self.ids.insert(client.to_string(), number);
                self.check(!twice && same.is_none_or(|same| same == number), || {
                    format!("{connection} is opened twice")
                });
                self.coverage.edge("handshake → open");
            }
            Event::Closed {
                connection,
                cause,
                code,
                ..
            } => {
                let Some(&number) = self.by_connection.get(connection) else {
                    return self.fail(|| format!("{connection} was closed and never accepted"));
                };
                let session = &mut self.sessions[number];
                let twice = core::mem::replace(&mut session.closed_told, true);
                let right = !twice && session.opened_told && !session.live;
                self.check(right, || format!("{connection} is told closed wrongly"));
                self.coverage
                    .edge(&format!("open → closed: {cause:?} {code}"));
            }
            Event::Drained => {
                let alone = self.life().live == 0;
                self.check(alone, || "drained with connections".to_owned());
                self.coverage.edge("drain → drained");
            }
            _ => {}
        }
    }

    /// A connection's id is dead.
    fn died(&mut self, number: usize) {
        let stamp = self.stamp;
        let session = &mut self.sessions[number];
        session.live = false;
        session.end_by(stamp);
        let life = session.life;
        self.lives[life].live -= 1;
        self.live.remove(&number);
        self.ended.push(number);
        self.all_changed();
    }

    /// Somebody has come to a room, or gone.
    fn room_changed(&mut self, room: usize) {
        self.changed[room] = true;
        self.changed_at[room] = self.now;
        self.moved[room] = true;
    }

    /// Somebody may have gone from all rooms.
    fn all_changed(&mut self) {
        (0..ROOMS.len()).for_each(|room| self.room_changed(room));
    }
}

/// Whom a message is for, as its sender knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Whom it is for.
    pub to: Target,
    /// How much padding it carries.
    pub padding: usize,
}

/// Whom a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A room; 0 is everyone.
    Room(usize),
    /// A client.
    Client(SocketId),
    /// Somebody who does not exist.
    Nobody,
}

/// Room and number of a message of the program.
fn told_of(message: &str) -> Option<(usize, u64)> {
    let value: Value = serde_json::from_str(message).ok()?;
    let room = usize::try_from(value["w"].as_u64()?).ok()?;
    Some((room, value["k"].as_u64()?))
}

impl Oracle {
    /// The counters of the run, once it is over, and that nothing is left of it on any shard.
    pub(super) fn finish(&mut self, ends: &[End], inputs: u64, micros: u64) {
        self.coverage.seeds = 1;
        let totals = self.lives.iter().map(|life| life.totals);
        let (messages, bytes) = totals.fold((0, 0), |(messages, bytes), totals| {
            (messages + totals.texts, bytes + totals.bytes_out)
        });
        (self.coverage.messages, self.coverage.bytes) = (messages, bytes);
        self.coverage.inputs = inputs;
        self.coverage.virtual_us = micros;
        for (shard, end) in ends.iter().enumerate() {
            self.check_nothing_left(shard, end);
        }
        self.check_told();
        self.check_relays(ends);
        self.check_order();
    }
}
