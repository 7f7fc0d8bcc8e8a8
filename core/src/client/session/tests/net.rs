//! Sessions, a server of this crate, and the wires between them, which can be cut.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;
use crate::config::RoomRule;
use crate::{Config, Server};

pub(super) const EVE: usize = 0;
pub(super) const ADA: usize = 1;
pub(super) const BOB: usize = 2;

/// A session, and its wire.
pub(super) struct Peer {
    pub(super) session: Session,
    pub(super) connection: Option<ConnectionId>,
    /// The server's name for it.
    pub(super) there: Option<ConnectionId>,
    pub(super) up: VecDeque<u8>,
    pub(super) down: VecDeque<u8>,
    /// The server has finished writing.
    pub(super) down_ends: bool,
    pub(super) events: Vec<Event>,
    pub(super) deadline: Option<Instant>,
}

/// A server, and sessions of it.
pub(super) struct Net {
    pub(super) server: Server,
    pub(super) server_deadline: Option<Instant>,
    pub(super) peers: Vec<Peer>,
    pub(super) now: Now,
    pub(super) rng: ChaCha12Rng,
    /// Nobody gets through.
    pub(super) is_down: bool,
    pub(super) next_item: u64,
    /// Who said what.
    pub(super) said: BTreeMap<u64, usize>,
}

pub(super) fn server(seed: u8) -> Server {
    let mut config = Config::default();
    config.rate_limit.enabled = false;
    let rule = |pattern: &str, history_messages| RoomRule {
        pattern: pattern.to_owned(),
        history_messages,
        // Whoever is away alone finds the same log.
        linger_ms: 600_000,
        ..RoomRule::default()
    };
    config.rooms = vec![rule("short", 3), rule("*", 100_000)];
    Server::new(config.validate().expect("a config"), [seed; 32])
}

impl Net {
    pub(super) fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let now = Now {
            mono: Instant::from_micros(1_000_000),
            unix_ms: 1_700_000_000_000,
        };
        let peers = (0..3).map(|index| {
            let mut config = SessionConfig::unlimited("example.com");
            config.reconnect_interval_ms = 100;
            config.max_reconnect_delay_ms = 500;
            config.heartbeat_interval_ms = 2_000;
            config.heartbeat_timeout_ms = 1_000;
            // Half of the runs each, in all mixtures: in binary, or in JSON.
            if (seed + u64::try_from(index).expect("a few")) % 2 == 1 {
                let protocols = &mut config.connection.protocols;
                *protocols = vec![BINARY_PROTOCOL.to_owned()];
            }
            // As it compresses or not.
            if index == ADA {
                config.connection.deflate = None;
            }
            if index == BOB {
                config.batching = Some(Batching::default());
            }
            bytes[8] = u8::try_from(index).expect("a few");
            Peer {
                session: Session::new(config, bytes, now).expect("a config"),
                connection: None,
                there: None,
                up: VecDeque::new(),
                down: VecDeque::new(),
                down_ends: false,
                events: Vec::new(),
                deadline: None,
            }
        });
        Self {
            server: server(3),
            server_deadline: None,
            peers: peers.collect(),
            now,
            rng: ChaCha12Rng::from_seed(bytes),
            is_down: false,
            next_item: 0,
            said: BTreeMap::new(),
        }
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound
    }

    // ---- both ends

    pub(super) fn drain(&mut self) {
        for index in 0..self.peers.len() {
            self.drain_session(index);
        }
        self.drain_server();
    }

    pub(super) fn drain_session(&mut self, index: usize) {
        loop {
            let peer = &mut self.peers[index];
            match peer.session.poll() {
                Output::Connect { connection, .. } => {
                    peer.connection = Some(connection);
                    self.connect(index, connection);
                }
                Output::Transmit { connection } => {
                    let bytes: Vec<u8> =
                        peer.session.unsent(connection).flatten().copied().collect();
                    peer.up.extend(&bytes);
                    let bytes = bytes.len();
                    let blocked = false;
                    let sent = Input::Sent {
                        connection,
                        bytes,
                        blocked,
                    };
                    let _ = peer.session.handle(self.now, sent);
                }
                Output::Close { .. } => {
                    peer.connection = None;
                    self.hang_up(index);
                }
                Output::Event(event) => peer.events.push(event),
                Output::Idle { deadline } => {
                    peer.deadline = deadline;
                    return;
                }
                _ => {}
            }
        }
    }

    pub(super) fn connect(&mut self, index: usize, connection: ConnectionId) {
        let address = PeerAddr::Local;
        let there = (!self.is_down).then(|| self.server.accept(self.now, address, ListenerId(0)));
        let peer = &mut self.peers[index];
        peer.there = there.flatten();
        peer.up.clear();
        peer.down.clear();
        peer.down_ends = false;
        let input = if peer.there.is_some() {
            Input::Connected { connection }
        } else {
            peer.connection = None;
            Input::ConnectFailed { connection }
        };
        let _ = peer.session.handle(self.now, input);
    }

    /// The session's end of the socket is gone.
    pub(super) fn hang_up(&mut self, index: usize) {
        if let Some(connection) = self.peers[index].there.take() {
            let end = TransportEnd::Closed;
            let _ = self
                .server
                .handle(self.now, Input::Ended { connection, end });
        }
    }

    pub(super) fn drain_server(&mut self) {
        loop {
            let output = self.server.poll();
            let connection = match output {
                Output::Transmit { connection }
                | Output::Close { connection, .. }
                | Output::Finish { connection } => connection,
                Output::Idle { deadline } => {
                    self.server_deadline = deadline;
                    return;
                }
                _ => continue,
            };
            let of = |peer: &&mut Peer| peer.there == Some(connection);
            let peer = self.peers.iter_mut().find(of);
            match (output, peer) {
                (Output::Transmit { .. }, peer) => {
                    let bytes: Vec<u8> =
                        self.server.unsent(connection).flatten().copied().collect();
                    let length = bytes.len();
                    if let Some(peer) = peer {
                        peer.down.extend(bytes);
                    }
                    let sent = Input::Sent {
                        connection,
                        bytes: length,
                        blocked: false,
                    };
                    let _ = self.server.handle(self.now, sent);
                }
                (Output::Close { .. }, Some(peer)) => {
                    peer.there = None;
                    peer.down_ends = true;
                }
                (Output::Finish { .. }, Some(peer)) => peer.down_ends = true,
                _ => {}
            }
        }
    }

    /// Some of what is on its way arrives.
    pub(super) fn deliver(&mut self, index: usize, most: usize) {
        let peer = &mut self.peers[index];
        let most_up = most.min(peer.up.len());
        let mut bytes: Vec<u8> = peer.up.drain(..most_up).collect();
        if let Some(connection) = peer.there.filter(|_| !bytes.is_empty()) {
            let bytes = &mut bytes;
            let _ = self
                .server
                .handle(self.now, Input::Received { connection, bytes });
        }
        let most_down = most.min(peer.down.len());
        let mut bytes: Vec<u8> = peer.down.drain(..most_down).collect();
        let Some(connection) = peer.connection else {
            return;
        };
        if !bytes.is_empty() {
            let bytes = &mut bytes;
            let _ = peer
                .session
                .handle(self.now, Input::Received { connection, bytes });
        } else if core::mem::take(&mut peer.down_ends) {
            let _ = peer.session.handle(self.now, Input::ReadEnd { connection });
        }
    }

    /// What is on its way is lost, and both ends see it; the server perhaps only later.
    pub(super) fn cut(&mut self, index: usize, server_sees_it: bool) {
        let peer = &mut self.peers[index];
        peer.up.clear();
        peer.down.clear();
        if let Some(connection) = peer.connection.take() {
            let end = TransportEnd::Reset;
            let _ = peer
                .session
                .handle(self.now, Input::Ended { connection, end });
        }
        if server_sees_it {
            self.hang_up(index);
        } else {
            peer.there = None;
        }
        self.drain();
    }

    /// Nothing gets through for a while, and neither end is told.
    pub(super) fn freeze(&mut self, index: usize) {
        self.peers[index].there = None;
        self.peers[index].up.clear();
        self.peers[index].down.clear();
    }

    /// The server is another one, which knows nothing.
    pub(super) fn restart(&mut self) {
        self.server = server(4);
        for index in 0..self.peers.len() {
            self.cut(index, false);
        }
    }

    pub(super) fn pass(&mut self, ms: u64) {
        let end = self.now.mono + Duration::from_millis(ms);
        loop {
            self.drain();
            let before = self.peers.iter().map(|it| it.up.len() + it.down.len());
            let before: usize = before.sum();
            for index in 0..self.peers.len() {
                self.deliver(index, 1 << 20);
            }
            self.drain();
            if before > 0 {
                continue;
            }
            let deadlines = self.peers.iter().map(|peer| peer.deadline);
            let next = deadlines.chain([self.server_deadline]).flatten().min();
            match next.filter(|next| *next <= end) {
                Some(next) => self.now.mono = self.now.mono.max(next),
                None => break,
            }
            self.tick();
        }
        self.now.mono = end;
        self.tick();
    }

    /// Time passes, and what is on its way arrives in small parts.
    pub(super) fn crawl(&mut self, steps: u64) {
        for _ in 0..steps {
            self.now.mono = self.now.mono + Duration::from_millis(20);
            self.tick();
            for index in 0..self.peers.len() {
                let most = usize::try_from(self.below(250)).expect("a few");
                self.deliver(index, most);
            }
            self.drain();
        }
    }

    pub(super) fn tick(&mut self) {
        let _ = self.server.handle(self.now, Input::Tick);
        for peer in &mut self.peers {
            let _ = peer.session.handle(self.now, Input::Tick);
        }
        self.drain();
    }

    // ---- the programs

    pub(super) fn command(&mut self, index: usize, command: Command) {
        let session = &mut self.peers[index].session;
        let _ = session.handle(self.now, Input::Command(command));
        self.drain();
    }

    pub(super) fn join(&mut self, index: usize, room: &str) {
        self.next_item += 1;
        let (item, room) = (Item(self.next_item), room.to_owned());
        self.command(index, Command::Join { item, room });
    }

    pub(super) fn say(&mut self, index: usize, room: &str, delivery: Delivery) {
        self.next_item += 1;
        let data = self.next_item.to_string();
        let content = Content::say(room, &data).expect("JSON");
        let mut send = Send::new(Item(self.next_item), content);
        send.delivery = delivery;
        self.said.insert(self.next_item, index);
        self.command(index, Command::Send(send));
    }

    pub(super) fn outcomes(&self, index: usize) -> BTreeMap<u64, String> {
        outcomes(&self.peers[index].events).into_iter().collect()
    }

    /// All is quiet, and everybody is there.
    pub(super) fn settle(&mut self) {
        self.is_down = false;
        self.pass(20_000);
        for peer in &self.peers {
            assert_eq!(peer.session.state(), State::Open);
        }
    }

    /// What somebody was told of a room.
    pub(super) fn view(&self, index: usize, room: &str) -> View {
        let mut view = View::default();
        for event in &self.peers[index].events {
            view.take(event, room);
        }
        view
    }
}

/// What somebody was told of a room, of the log that it is of now.
#[derive(Debug, Default)]
pub(super) struct View {
    /// By offset: what was said.
    pub(super) heard: BTreeMap<u64, u64>,
    pub(super) own: BTreeSet<u64>,
    pub(super) gaps: BTreeSet<u64>,
    pub(super) last: u64,
    pub(super) resets: usize,
    pub(super) resumed: usize,
    pub(super) incomplete: usize,
}

impl View {
    pub(super) fn take(&mut self, event: &Event, name: &str) {
        match event {
            Event::RoomMessage(message) | Event::OwnMessage(message) if message.room == name => {
                let offset = message.offset.expect("a room that keeps its messages");
                assert!(offset > self.last, "{offset} after {}", self.last);
                self.last = offset;
                let SaidData::Json(data) = &message.said.data else {
                    panic!("{message:?}");
                };
                let data = data.parse().expect("a number");
                self.heard.insert(offset, data);
                if matches!(event, Event::OwnMessage(_)) {
                    self.own.insert(offset);
                }
            }
            Event::Gap { room, gap } if room == name => {
                assert!(gap.from > self.last, "{gap:?} after {}", self.last);
                self.gaps.extend(gap.from..=gap.to);
                self.last = gap.to;
            }
            Event::Reset { room, .. } if room == name => {
                let resets = self.resets + 1;
                *self = Self {
                    resets,
                    ..Self::default()
                };
            }
            Event::Resumed { room, complete, .. } if room == name => {
                self.resumed += 1;
                self.incomplete += usize::from(!complete);
            }
            _ => {}
        }
    }
}
