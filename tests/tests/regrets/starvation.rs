//! Deadlines agree with the work, and nobody waits for a flood to end.
//!
//! Elsewhere a deadline lay in the past, so that the driver spun, or later than the work, which then waited for
//! somebody else's input; and one busy socket kept the others waiting.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use roomwire_core::config::RoomRule;
use roomwire_core::{
    Config, ConnectionId, Input, ListenerId, Machine as _, Now, Output, PeerAddr, Server, Turn,
};
use roomwire_tests::{Opcode, Peer, Rng, Upgrade, World, masked};
use serde_json::{Value, json};

use crate::unlimited;

/// How time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    /// The driver sleeps exactly to each deadline.
    Deadlines,
    /// It looks every millisecond, whatever the machine says.
    EveryMillisecond,
}

/// What one client hears and when, in milliseconds; pings are of type `ping`.
type Heard = Vec<(u64, Value)>;

fn listen(world: &mut World, clients: &[Peer], heard: &mut BTreeMap<Peer, Heard>) {
    // A driver that looks every millisecond sees things up to one later.
    let ms = world.driver().now().mono.as_micros().div_ceil(1_000);
    for &client in clients {
        while let Some(message) = world.next_message(client) {
            let value = match message {
                roomwire_tests::Message::Text(text) => serde_json::from_str(&text).expect("JSON"),
                other => json!({"type": format!("{other:?}")}),
            };
            heard
                .entry(client)
                .or_default()
                .push((ms, without_timestamp(value)));
        }
    }
}

/// The wall clock's time is when the machine looked.
fn without_timestamp(mut message: Value) -> Value {
    if let Some(fields) = message.as_object_mut() {
        fields.remove("timestamp");
    }
    message
}

fn pass(
    world: &mut World,
    clock: Clock,
    ms: u64,
    clients: &[Peer],
    heard: &mut BTreeMap<Peer, Heard>,
) {
    let end = world.driver().now().mono + Duration::from_millis(ms);
    while world.driver().now().mono < end {
        let next = match clock {
            Clock::EveryMillisecond => world.driver().now().mono + Duration::from_millis(1),
            Clock::Deadlines => world
                .driver()
                .deadline()
                .map_or(end, |deadline| deadline.min(end)),
        };
        world.driver().set_time(next);
        world.driver().input(Input::Tick);
        world.settle();
        listen(world, clients, heard);
    }
}

fn run(seed: u64, clock: Clock) -> BTreeMap<Peer, Heard> {
    let config = Config {
        rooms: vec![RoomRule {
            linger_ms: 700,
            notice_members: 3,
            notice_interval_ms: 500,
            ..RoomRule::default()
        }],
        ..unlimited()
    };
    let mut world = World::new(config);
    let clients: Vec<Peer> = (0..5).map(|_| world.knock(&Upgrade::default())).collect();
    let mut heard = BTreeMap::new();
    let mut rng = Rng::new(seed);
    for number in 0..60 {
        let client = clients[rng.below(clients.len())];
        if number == 30 {
            // From now on one answers nothing, and is gone when its time is up.
            world.mute(clients[0]);
        }
        let room = ["a", "b"][rng.below(2)];
        let message = match rng.below(5) {
            0 | 1 => json!({"type": "join", "room": room}),
            2 => json!({"type": "leave", "room": room}),
            3 => json!({"type": "typing_start", "room": room}),
            _ => json!({"type": "room_message", "room": room, "data": number}),
        };
        if client != clients[0] || number < 30 {
            world.send(client, &message);
        }
        listen(&mut world, &clients, &mut heard);
        pass(
            &mut world,
            clock,
            rng.below(4_000) as u64,
            &clients,
            &mut heard,
        );
    }
    heard
}

// covers A3-09: exact deadlines, each later than now (the driver asserts that)
#[test]
fn who_sleeps_exactly_to_the_deadline_misses_nothing() {
    for seed in 0..4 {
        let (exact, busy) = (
            run(seed, Clock::Deadlines),
            run(seed, Clock::EveryMillisecond),
        );
        for (client, heard) in &busy {
            assert!(heard.len() > 5, "{heard:?}");
            assert_eq!(&exact[client], heard, "seed {seed}");
        }
    }
}

// ---- a flood

const QUIET: usize = 100;

/// A machine, a client that floods it and a hundred that ask something now and then.
struct Flood {
    server: Server,
    now: Now,
    flooder: ConnectionId,
    quiet: Vec<ConnectionId>,
    full: bool,
    /// Whom the machine does not want to read from.
    paused: BTreeSet<ConnectionId>,
    polls: u64,
    /// Who asked, and at which poll.
    asked: BTreeMap<ConnectionId, u64>,
    /// The most polls that anybody waited.
    longest: u64,
}

impl Flood {
    fn new() -> Self {
        let config = unlimited().validate().expect("a config that is allowed");
        let mut flood = Self {
            server: Server::new(config, [3; 32]),
            now: Now::default(),
            flooder: ConnectionId::from_bits(1 << 32).expect("an id"),
            quiet: Vec::new(),
            full: false,
            paused: BTreeSet::new(),
            polls: 0,
            asked: BTreeMap::new(),
            longest: 0,
        };
        flood.flooder = flood.client();
        flood.quiet = (0..QUIET).map(|_| flood.client()).collect();
        flood
    }

    fn client(&mut self) -> ConnectionId {
        let accepted = self.server.accept(self.now, PeerAddr::Local, ListenerId(0));
        let connection = accepted.expect("a place");
        self.receive(connection, Upgrade::default().request());
        self.idle();
        self.now.mono = self.now.mono + Duration::from_millis(100);
        self.receive(
            connection,
            masked(Opcode::Text, true, br#"{"type":"join","room":"tea"}"#),
        );
        self.idle();
        connection
    }

    fn receive(&mut self, connection: ConnectionId, mut bytes: Vec<u8>) {
        let bytes = &mut bytes[..];
        let turn = self
            .server
            .handle(self.now, Input::Received { connection, bytes });
        self.full = turn == Turn::Full;
    }

    /// One poll; `false` when idle.
    fn poll(&mut self) -> bool {
        self.polls += 1;
        self.full = false;
        match self.server.poll() {
            Output::Transmit { connection } => {
                let bytes = self.server.unsent(connection).map(<[u8]>::len).sum();
                let blocked = false;
                let _ = self.server.handle(
                    self.now,
                    Input::Sent {
                        connection,
                        bytes,
                        blocked,
                    },
                );
                if let Some(poll) = self.asked.remove(&connection) {
                    self.longest = self.longest.max(self.polls - poll);
                }
                true
            }
            Output::ReadInterest { connection, wanted } => {
                if wanted {
                    self.paused.remove(&connection);
                } else {
                    self.paused.insert(connection);
                }
                true
            }
            Output::Idle { .. } => false,
            _ => true,
        }
    }

    fn idle(&mut self) {
        while self.poll() {}
    }

    /// Each connection has its turn, as in every adapter: 64 KiB of the flood, one question of each quiet client
    /// that has its answer; a poll only where the machine asks for one, and one at the end of the turn.
    fn turn(&mut self, piece: &[u8]) {
        for number in 0..=QUIET {
            if self.full {
                self.poll();
            }
            let connection = *self.quiet.get(number).unwrap_or(&self.flooder);
            if self.paused.contains(&connection) || self.asked.contains_key(&connection) {
                continue;
            }
            if connection == self.flooder {
                self.receive(connection, piece.to_vec());
            } else {
                self.asked.insert(connection, self.polls);
                self.receive(connection, masked(Opcode::Ping, true, b"?"));
            }
        }
        self.poll();
    }
}

/// The driver polls once for each 64 KiB of the flood, and hands in more while the machine is still full; even so
/// nobody waits longer than four rounds: what is left of one, one that takes the read interest, one that gives
/// it back, and the one with the answer.
#[test]
fn quiet_clients_wait_no_more_than_four_rounds_for_a_flood() {
    let say = |json: Value| masked(Opcode::Text, true, json.to_string().as_bytes());
    let floods = [
        // To nobody but itself; to everyone; and pings.
        say(json!({"type": "ping"})),
        say(json!({"type": "room_message", "room": "tea", "data": "hello"})),
        masked(Opcode::Ping, true, b"flood"),
    ];
    for (kind, frame) in floods.iter().enumerate() {
        let piece = frame.repeat(64 * 1024 / frame.len());
        let mut flood = Flood::new();
        for _ in 0..300 {
            flood.turn(&piece);
        }
        flood.idle();
        assert!(flood.asked.is_empty(), "everyone has an answer");
        let polls = flood.longest;
        let most = 4 * (QUIET as u64 + 1);
        assert!(polls <= most, "flood {kind}: {polls} polls");
    }
}
