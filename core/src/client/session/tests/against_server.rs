//! Sessions of the server of this crate, over wires that are cut: what a session hears of a room is all of it, but for
//! what it is told that it missed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;
use crate::config::RoomRule;
use crate::{Config, Server};

const EVE: usize = 0;
const ADA: usize = 1;
const BOB: usize = 2;

/// A session, and its wire.
struct Peer {
    session: Session,
    connection: Option<ConnectionId>,
    /// The server's name for it.
    there: Option<ConnectionId>,
    up: VecDeque<u8>,
    down: VecDeque<u8>,
    /// The server has finished writing.
    down_ends: bool,
    events: Vec<Event>,
    deadline: Option<Instant>,
}

/// A server, and sessions of it.
struct Net {
    server: Server,
    server_deadline: Option<Instant>,
    peers: Vec<Peer>,
    now: Now,
    rng: ChaCha12Rng,
    /// Nobody gets through.
    is_down: bool,
    next_item: u64,
    /// Who said what.
    said: BTreeMap<u64, usize>,
}

fn server(seed: u8) -> Server {
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
    fn new(seed: u64) -> Self {
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

    fn below(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound
    }

    // ---- both ends

    fn drain(&mut self) {
        for index in 0..self.peers.len() {
            self.drain_session(index);
        }
        self.drain_server();
    }

    fn drain_session(&mut self, index: usize) {
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

    fn connect(&mut self, index: usize, connection: ConnectionId) {
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
    fn hang_up(&mut self, index: usize) {
        if let Some(connection) = self.peers[index].there.take() {
            let end = TransportEnd::Closed;
            let _ = self
                .server
                .handle(self.now, Input::Ended { connection, end });
        }
    }

    fn drain_server(&mut self) {
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
    fn deliver(&mut self, index: usize, most: usize) {
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
    fn cut(&mut self, index: usize, server_sees_it: bool) {
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
    fn freeze(&mut self, index: usize) {
        self.peers[index].there = None;
        self.peers[index].up.clear();
        self.peers[index].down.clear();
    }

    /// The server is another one, which knows nothing.
    fn restart(&mut self) {
        self.server = server(4);
        for index in 0..self.peers.len() {
            self.cut(index, false);
        }
    }

    fn pass(&mut self, ms: u64) {
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
    fn crawl(&mut self, steps: u64) {
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

    fn tick(&mut self) {
        let _ = self.server.handle(self.now, Input::Tick);
        for peer in &mut self.peers {
            let _ = peer.session.handle(self.now, Input::Tick);
        }
        self.drain();
    }

    // ---- the programs

    fn command(&mut self, index: usize, command: Command) {
        let session = &mut self.peers[index].session;
        let _ = session.handle(self.now, Input::Command(command));
        self.drain();
    }

    fn join(&mut self, index: usize, room: &str) {
        self.next_item += 1;
        let (item, room) = (Item(self.next_item), room.to_owned());
        self.command(index, Command::Join { item, room });
    }

    fn say(&mut self, index: usize, room: &str, delivery: Delivery) {
        self.next_item += 1;
        let data = self.next_item.to_string();
        let content = Content::say(room, &data).expect("JSON");
        let mut send = Send::new(Item(self.next_item), content);
        send.delivery = delivery;
        self.said.insert(self.next_item, index);
        self.command(index, Command::Send(send));
    }

    fn outcomes(&self, index: usize) -> BTreeMap<u64, String> {
        outcomes(&self.peers[index].events).into_iter().collect()
    }

    /// All is quiet, and everybody is there.
    fn settle(&mut self) {
        self.is_down = false;
        self.pass(20_000);
        for peer in &self.peers {
            assert_eq!(peer.session.state(), State::Open);
        }
    }

    /// What somebody was told of a room.
    fn view(&self, index: usize, room: &str) -> View {
        let mut view = View::default();
        for event in &self.peers[index].events {
            view.take(event, room);
        }
        view
    }
}

/// What somebody was told of a room, of the log that it is of now.
#[derive(Debug, Default)]
struct View {
    /// By offset: what was said.
    heard: BTreeMap<u64, u64>,
    own: BTreeSet<u64>,
    gaps: BTreeSet<u64>,
    last: u64,
    resets: usize,
    resumed: usize,
    incomplete: usize,
}

impl View {
    fn take(&mut self, event: &Event, name: &str) {
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

/// One run: everybody speaks, ada and bob are cut all the time, in all ways.
fn run(seed: u64, room: &str) -> Net {
    let mut net = Net::new(seed);
    for index in [EVE, ADA, BOB] {
        net.join(index, room);
    }
    net.settle();
    for _ in 0..200 {
        let who = [ADA, BOB][usize::try_from(net.below(2)).expect("one")];
        match net.below(12) {
            0 => net.cut(who, true),
            1 => net.cut(who, false),
            2 => net.freeze(who),
            3 => {
                net.is_down = true;
                net.cut(who, true);
            }
            4 => net.is_down = false,
            5 => {
                let ms = net.below(3_000);
                net.pass(ms);
            }
            6 => {
                let steps = net.below(50);
                net.crawl(steps);
            }
            7 => {
                let most = usize::try_from(net.below(300)).expect("a few");
                net.deliver(who, most);
                net.drain();
            }
            8 => {
                net.say(EVE, room, Delivery::AtMostOnce);
                net.pass(5);
            }
            9 => net.say(who, room, Delivery::AtLeastOnce),
            _ => net.say(who, room, Delivery::AtMostOnce),
        }
    }
    net.settle();
    net
}

/// What holds after a run, whatever happened. `keeps_all`: nothing is ever trimmed.
fn check(net: &Net, room: &str, keeps_all: bool) -> (usize, usize) {
    // Eve is never cut: what she heard, and what she said, is the log.
    let eve = net.view(EVE, room);
    assert_eq!((eve.resumed, eve.gaps.len()), (0, 0));
    let said_by = |item: &u64| net.said[item];
    let last = [EVE, ADA, BOB].map(|index| net.view(index, room).last);
    let last = last.into_iter().max().unwrap_or_default();
    let (mut returns, mut gaps) = (0, 0);
    for index in [ADA, BOB] {
        let view = net.view(index, room);
        (returns, gaps) = (returns + view.resumed, gaps + view.gaps.len());
        for (offset, item) in &view.heard {
            let there = eve.heard.get(offset);
            assert!(there == Some(item) || said_by(item) == EVE, "{offset}");
            assert_eq!(said_by(item) == index, view.own.contains(offset));
        }
        for offset in 1..=last {
            let is_own = eve.heard.get(&offset).map(said_by) == Some(index);
            let ways = [
                view.heard.contains_key(&offset),
                view.gaps.contains(&offset),
            ];
            let count = ways.iter().filter(|it| **it).count();
            // What it said itself is not told live.
            assert!(count == 1 || (count == 0 && is_own), "{offset}: {ways:?}");
        }
        assert!(view.gaps.is_empty() || view.incomplete > 0);
        if keeps_all {
            assert_eq!((view.gaps.len(), view.incomplete), (0, 0));
        }
        check_outcomes(net, index, &eve);
    }
    (returns, gaps)
}

/// Each item's outcome is what eve saw of it.
fn check_outcomes(net: &Net, index: usize, eve: &View) {
    let outcomes = net.outcomes(index);
    for item in net
        .said
        .iter()
        .filter(|(_, by)| **by == index)
        .map(|it| it.0)
    {
        let times = eve.heard.values().filter(|it| *it == item).count();
        match &*outcomes[item] {
            "ack" => assert!(times >= 1, "{item}"),
            "ConnectionLost" => assert!(times <= 1, "{item}"),
            other => assert_eq!((other, times), ("QueueFull", 0), "{item}"),
        }
    }
}

/// covers A4-15, A4-06: however it is cut, a session has everything, of a room that keeps it.
#[test]
fn nothing_is_missed_of_a_room_that_keeps_everything() {
    let mut returns = 0;
    for seed in 0..100 {
        let net = run(seed, "tea");
        returns += check(&net, "tea", true).0;
    }
    assert!(returns >= 1_000, "{returns}");
}

/// covers A4-15: or it is told what it missed.
#[test]
fn or_it_is_told_of_each_message_that_it_missed() {
    let (mut returns, mut gaps) = (0, 0);
    for seed in 1_000..1_100 {
        let net = run(seed, "short");
        let (more, missed) = check(&net, "short", false);
        (returns, gaps) = (returns + more, gaps + missed);
    }
    assert!(returns >= 1_000 && gaps >= 1_000, "{returns}, {gaps}");
}

/// covers A4-15: a server that has lost the log says so, and it goes on from there.
#[test]
fn a_server_that_is_restarted_is_told_apart() {
    let mut net = Net::new(7);
    for index in [EVE, ADA, BOB] {
        net.join(index, "tea");
    }
    net.settle();
    for _ in 0..5 {
        net.say(ADA, "tea", Delivery::AtMostOnce);
    }
    net.pass(1_000);
    assert_eq!(net.view(BOB, "tea").heard.len(), 5);
    net.restart();
    net.say(ADA, "tea", Delivery::AtMostOnce);
    net.settle();
    net.say(ADA, "tea", Delivery::AtMostOnce);
    net.pass(1_000);
    for index in [EVE, BOB] {
        let view = net.view(index, "tea");
        assert_eq!((view.resets, view.incomplete), (1, 1));
        assert_eq!(view.heard.values().copied().collect::<Vec<_>>(), [9, 10]);
    }
    let outcomes = net.outcomes(ADA);
    assert!(
        (4..=10).all(|item| outcomes[&item] == "ack"),
        "{outcomes:?}"
    );
}

/// covers A0-10, A4-03: who is drained comes back when it was told to.
#[test]
fn a_server_that_leaves_has_its_clients_back() {
    let mut net = Net::new(8);
    net.join(BOB, "tea");
    net.settle();
    let drain = crate::server::Command::Drain;
    let _ = net.server.handle(net.now, Input::Command(drain));
    net.drain();
    net.pass(100);
    let events = &net.peers[BOB].events;
    let closed = closed(events);
    let [
        Closed {
            code: 1012,
            reconnect_in: Some(wait),
            ..
        },
    ] = closed[..]
    else {
        panic!("{closed:?}");
    };
    assert!(*wait >= Duration::from_millis(500) && *wait <= Duration::from_millis(5_000));
    net.server = server(5);
    net.settle();
}
