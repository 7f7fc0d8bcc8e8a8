//! Several servers with one key, and a program that carries sessions between them: a client that comes back to any of
//! them has what was sent to it alone, once and in order, and is at one of them at a time.

use std::collections::{BTreeMap, VecDeque};

use roomwire_core::config::{SessionKey, Sessions};
use roomwire_core::server::{Command, Event, SavedSession};
use roomwire_core::{ClientId, ShardId};
use roomwire_tests::{Lag, Peer, Rng, World};
use serde_json::{Value, json};

use crate::quiet;
use crate::sessions::{connect_to, resume};

const SHARDS: u8 = 2;

/// How many stories are tried: `ROOMWIRE_NODE_SEEDS`, with eight returns in each.
fn seeds() -> u64 {
    let set = std::env::var("ROOMWIRE_NODE_SEEDS").ok();
    set.map_or(100, |set| set.parse().expect("a number of seeds"))
}

/// Servers, and what is on its way between them. Which has a session is asked of one after the other, for one server at
/// a time.
struct Nodes {
    nodes: Vec<Node>,
    saved: BTreeMap<ClientId, SavedSession>,
    wanted: VecDeque<Wanted>,
    rng: Rng,
    elapsed_ms: u64,
    started: u8,
}

struct Node {
    world: World,
    friend: Peer,
}

struct Wanted {
    node: usize,
    shard: ShardId,
    client: ClientId,
    asked_ms: u64,
    /// Who is still to be asked; the last of them has been.
    others: Vec<usize>,
    asked: bool,
    /// What was found, and when it arrives.
    found: Option<(u64, Option<SavedSession>)>,
}

impl Nodes {
    fn new(count: usize, seed: u64) -> Self {
        let mut nodes = Self {
            nodes: Vec::new(),
            saved: BTreeMap::new(),
            wanted: VecDeque::new(),
            rng: Rng::new(seed),
            elapsed_ms: 0,
            started: 0,
        };
        for _ in 0..count {
            let node = nodes.start();
            nodes.nodes.push(node);
        }
        nodes
    }

    fn start(&mut self) -> Node {
        self.started += 1;
        let mut config = quiet();
        config.sessions = Sessions {
            key: Some(SessionKey([5; 32])),
            window_ms: 60_000,
            away_ms: 2_000,
            ..Sessions::default()
        };
        // Clients come at one of them while time stands still for the others.
        config.timeouts.welcome_delay_ms = 0;
        let mut world = World::with_seed(config, SHARDS, self.started);
        world.advance_ms(self.elapsed_ms);
        let friend = connect_to(&mut world, self.rng.below(usize::from(SHARDS)) as u8);
        world.forget();
        world.driver().machine_mut().set_lag(Lag {
            rng: Rng::new(u64::from(self.started)),
            most_us: 20_000,
            stalls_per_mille: 50,
            stall_us: 100_000,
        });
        Node { world, friend }
    }

    fn advance_ms(&mut self, ms: u64) {
        for _ in 0..ms {
            self.elapsed_ms += 1;
            for node in &mut self.nodes {
                node.world.advance_ms(1);
            }
            self.carry();
        }
    }

    /// What the servers tell the program, and what that does.
    fn carry(&mut self) {
        for at in 0..self.nodes.len() {
            for event in self.nodes[at].world.events() {
                match event {
                    Event::SessionWanted {
                        shard,
                        client,
                        asked_ms,
                    } => {
                        let others = (0..self.nodes.len()).filter(|&other| other != at);
                        self.wanted.push_back(Wanted {
                            node: at,
                            shard,
                            client,
                            asked_ms,
                            others: others.collect(),
                            asked: false,
                            found: None,
                        });
                    }
                    Event::SessionLeft { client, session } => self.left(at, client, session),
                    _ => {}
                }
            }
        }
        self.ask();
    }

    fn left(&mut self, from: usize, client: ClientId, session: Option<SavedSession>) {
        let now_ms = self.elapsed_ms;
        let on_its_way = self.rng.below(40) as u64;
        let first = self.wanted.front_mut().filter(|it| it.client == client);
        match first {
            Some(first) if first.asked && first.others.last() == Some(&from) => {
                first.asked = false;
                first.others.pop();
                if session.is_some() {
                    first.found = Some((now_ms + on_its_way, session));
                }
            }
            _ => {
                let session = session.expect("nobody has asked for it");
                assert!(self.saved.insert(client, session).is_none(), "it is twice");
            }
        }
    }

    fn ask(&mut self) {
        let Some(first) = self.wanted.front_mut() else {
            return;
        };
        if first.found.is_none()
            && let Some(saved) = self.saved.remove(&first.client)
        {
            first.found = Some((self.elapsed_ms, Some(saved)));
        }
        match (&first.found, first.others.last()) {
            (Some((at, _)), _) if *at > self.elapsed_ms => {}
            (None, Some(_)) if first.asked => {}
            (None, Some(&other)) => {
                first.asked = true;
                let (client, asked_ms) = (first.client, first.asked_ms);
                let take = Command::TakeSession { client, asked_ms };
                self.nodes[other].world.command(take);
            }
            _ => {
                if let Some(first) = self.wanted.pop_front() {
                    self.nodes[first.node].world.command(Command::GiveSession {
                        shard: first.shard,
                        client: first.client,
                        asked_ms: first.asked_ms,
                        session: first.found.and_then(|(_, session)| session),
                    });
                }
            }
        }
    }

    /// The friends write to a client, each something else. What was written last.
    fn write(&mut self, session: &Value, mut posted: u64) -> u64 {
        for Node { world, friend } in &mut self.nodes {
            posted += 1;
            let to = &session["clientId"];
            let send = json!({"type": "private_message", "to": to, "data": posted, "id": posted});
            world.post_json(*friend, &send);
        }
        posted
    }

    /// A server is drained.
    fn drain(&mut self, at: usize) {
        // Nobody is asked who is not there.
        while !self.wanted.is_empty() {
            self.advance_ms(1);
        }
        self.nodes[at].world.command(Command::Drain);
        self.advance_ms(1_000);
    }
}

/// A client that goes from one server to another.
struct Walker {
    session: Value,
    at: (usize, Peer),
    last: u64,
    got: Vec<u64>,
}

impl Walker {
    fn read(&mut self, nodes: &mut Nodes, seed: u64) {
        let (node, peer) = self.at;
        for message in nodes.nodes[node].world.all(peer) {
            match message["type"].as_str() {
                Some("private_message") => {
                    assert_eq!(message["offset"], self.last + 1, "seed {seed}: {message}");
                    self.last += 1;
                    self.got.push(message["data"].as_u64().expect("a number"));
                }
                Some("session") => {
                    assert_eq!(message["gap"], Value::Null, "seed {seed}: {message}");
                }
                _ => assert_ne!(message["code"], "stale_session", "seed {seed}"),
            }
        }
    }

    fn come_back(&mut self, nodes: &mut Nodes, node: usize) {
        let shard = nodes.rng.below(usize::from(SHARDS)) as u8;
        let world = &mut nodes.nodes[node].world;
        let peer = connect_to(world, shard);
        let mut resume = resume(&self.session);
        resume["after"] = self.last.into();
        world.post_json(peer, &resume);
        self.at = (node, peer);
    }
}

#[test]
fn a_client_that_goes_from_server_to_server_misses_nothing() {
    let mut moves = 0;
    for seed in 0..seeds() {
        moves += story(seed);
    }
    assert!(moves >= 4 * seeds(), "{moves} returns to another server");
}

/// How often the client came to another server.
fn story(seed: u64) -> u64 {
    let mut nodes = Nodes::new(3, seed);
    let first = connect_to(&mut nodes.nodes[0].world, (seed % 2) as u8);
    let world = &mut nodes.nodes[0].world;
    world.post_json(first, &json!({"type": "resume", "id": 0}));
    world.post_json(
        first,
        &json!({"type": "set_metadata", "metadata": {"name": "Bob"}, "id": 1}),
    );
    nodes.advance_ms(1);
    let session = nodes.nodes[0].world.expect(first, "session");
    let mut walker = Walker {
        session,
        at: (0, first),
        last: 0,
        got: Vec::new(),
    };
    nodes.nodes[0].world.forget();
    let (mut posted, mut moves) = (0_u64, 0);
    let mut told = Told::default();
    for _ in 0..8 {
        for _ in 0..nodes.rng.below(6) {
            posted = nodes.write(&walker.session, posted);
            let pause = nodes.rng.below(30) as u64;
            nodes.advance_ms(pause);
        }
        walker.read(&mut nodes, seed);
        if nodes.rng.one_in(2) {
            let (node, peer) = walker.at;
            nodes.nodes[node].world.reset(peer);
            let pause = nodes.rng.below(100) as u64;
            nodes.advance_ms(pause);
        }
        if nodes.rng.one_in(6) {
            let node = nodes.rng.below(3);
            nodes.drain(node);
            walker.read(&mut nodes, seed);
            told.read(&mut nodes, seed);
            // Another one starts in its place.
            nodes.nodes[node] = nodes.start();
        }
        let to = nodes.rng.below(3);
        moves += u64::from(to != walker.at.0);
        walker.come_back(&mut nodes, to);
        let pause = nodes.rng.below(400) as u64;
        nodes.advance_ms(pause);
    }
    nodes.advance_ms(1_000);
    walker.read(&mut nodes, seed);
    told.read(&mut nodes, seed);
    for data in 1..=posted {
        let got = walker.got.iter().filter(|&&it| it == data).count();
        match told.taken.get(&data) {
            Some(&taken) => assert_eq!(got, usize::from(taken), "seed {seed}: {data}"),
            // Nobody was told, as the server was about to go.
            None => assert!(got <= 1, "seed {seed}: {data}"),
        }
    }
    // One server has it.
    told.taken.clear();
    nodes.write(&walker.session, 0);
    nodes.advance_ms(1_000);
    told.read(&mut nodes, seed);
    assert_eq!(told.taken.len(), 3, "seed {seed}");
    assert_eq!(
        told.taken.values().filter(|&&it| it).count(),
        1,
        "seed {seed}"
    );
    // It is still who it was.
    let (node, peer) = walker.at;
    let set = json!({"type": "set_metadata", "metadata": {"age": 7}, "id": "last"});
    nodes.nodes[node].world.post_json(peer, &set);
    nodes.advance_ms(1);
    let told = nodes.nodes[node].world.all(peer);
    let metadata = told.iter().find(|it| it["id"] == "last");
    let metadata = metadata.map(|it| it["metadata"].clone());
    assert_eq!(
        metadata,
        Some(json!({"name": "Bob", "age": 7})),
        "seed {seed}"
    );
    moves
}

/// Which messages of the friends were taken, and which refused.
#[derive(Default)]
struct Told {
    taken: BTreeMap<u64, bool>,
}

impl Told {
    fn read(&mut self, nodes: &mut Nodes, seed: u64) {
        for Node { world, friend } in &mut nodes.nodes {
            for outcome in world.all(*friend) {
                let taken = match (outcome["type"].as_str(), outcome["code"].as_str()) {
                    (Some("ack"), _) => true,
                    (_, Some("target_not_found")) => false,
                    (Some("closing"), _) => continue,
                    _ => panic!("seed {seed}: {outcome}"),
                };
                let id = outcome["id"].as_u64().expect("a number");
                let before = self.taken.insert(id, taken);
                assert_eq!(before, None, "seed {seed}: a second outcome of {id}");
            }
        }
    }
}
