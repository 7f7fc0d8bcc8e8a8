//! Many clients on many shards, links that delay and stall, shards that fail: what each client was told is compared
//! with what may be true.
//!
//! The simulator (`tests/simulator`) does the same with more of everything and stricter. This takes two seconds instead
//! of minutes, knows nothing of what the simulator takes for true, and tries [`Shards`](roomwire_tests::Shards), on which
//! the scenarios run.

use std::collections::{BTreeMap, BTreeSet};

use roomwire_core::ShardId;
use roomwire_tests::{Lag, Peer, Rng, World};
use serde_json::{Value, json};

use crate::quiet;

/// How many seeds each test runs: `ROOMWIRE_SHARD_SEEDS`, for more.
fn seeds() -> u64 {
    let set = std::env::var("ROOMWIRE_SHARD_SEEDS").ok();
    set.map_or(120, |count| count.parse().expect("a number of seeds"))
}

#[test]
fn links_that_delay_and_stall() {
    let mut heard = 0;
    for seed in 0..seeds() {
        heard += Run::new(seed, false).run();
    }
    assert!(heard > seeds() * 100, "{heard} messages were heard");
}

#[test]
fn shards_that_fail() {
    let mut heard = 0;
    for seed in 0..seeds() {
        heard += Run::new(seed, true).run();
    }
    assert!(heard > seeds() * 50, "{heard} messages were heard");
}

const ROOMS: usize = 5;
const STEPS: usize = 250;

struct Run {
    seed: u64,
    rng: Rng,
    world: World,
    fails: bool,
    clients: Vec<Client>,
    /// By what was said: numbers that count up.
    said: BTreeMap<u64, Said>,
    requests: u64,
}

/// One client: what it asked for, and what it makes of what it is told.
struct Client {
    peer: Peer,
    id: String,
    alive: bool,
    /// Requests without an outcome.
    open: BTreeMap<u64, Value>,
    rooms: BTreeMap<String, Room>,
    /// What it heard of each room, in order, over all times that it was there.
    order: BTreeMap<String, Vec<u64>>,
    heard: BTreeSet<u64>,
    private: BTreeMap<String, u64>,
}

/// A room as a member sees it.
struct Room {
    members: BTreeSet<String>,
    total: u64,
    /// A summary has come: the list is not known any more.
    vague: bool,
    /// It was a member before this was said.
    since: u64,
    /// It wants to leave, or has asked to.
    leaving: bool,
}

struct Said {
    room: String,
    from: usize,
    acked: bool,
}

impl Run {
    fn new(seed: u64, fails: bool) -> Self {
        let mut rng = Rng::new(seed ^ 0x5EED);
        let shards = 1 + rng.below(8) as u8;
        let mut config = quiet();
        // Small links, so that they are full at times.
        config.limits.max_relay_bytes = [1_024, 4_096, 1 << 20][rng.below(3)];
        config.timeouts.relay_ms = 60_000;
        let mut world = World::of_shards(config, shards);
        world.driver().machine_mut().set_lag(Lag {
            rng: Rng::new(rng.next()),
            most_us: [0, 100, 3_000][rng.below(3)],
            stalls_per_mille: [0, 5, 50][rng.below(3)],
            stall_us: 20_000,
        });
        Self {
            seed,
            rng,
            world,
            fails,
            clients: Vec::new(),
            said: BTreeMap::new(),
            requests: 0,
        }
    }

    fn run(mut self) -> u64 {
        for _ in 0..4 + self.rng.below(12) {
            self.connect();
        }
        for _ in 0..STEPS {
            self.step();
            if self.rng.one_in(3) {
                let micros = self.rng.next() % 2_000;
                self.world.advance_us(micros);
                self.listen();
            }
        }
        self.world.advance_ms(20_000);
        self.listen();
        self.check_the_end();
        for index in 0..self.clients.len() {
            if self.clients[index].alive {
                self.world.reset(self.clients[index].peer);
            }
        }
        self.world.advance_ms(20_000);
        self.check_nothing_is_left();
        self.clients.iter().map(|c| c.heard.len() as u64).sum()
    }

    // ---- what happens

    fn connect(&mut self) {
        let peer = self.world.connect();
        let id = self.world.id(peer).to_owned();
        self.clients.push(Client {
            peer,
            id,
            alive: true,
            open: BTreeMap::new(),
            rooms: BTreeMap::new(),
            order: BTreeMap::new(),
            heard: BTreeSet::new(),
            private: BTreeMap::new(),
        });
    }

    fn step(&mut self) {
        let index = self.rng.below(self.clients.len());
        if !self.clients[index].alive {
            return;
        }
        let room = format!("room {}", self.rng.below(ROOMS));
        match self.rng.below(24) {
            0..=4 => self.ask(index, json!({"type": "join", "room": room})),
            5 | 6 => {
                if let Some(own) = self.clients[index].rooms.get_mut(&room) {
                    own.leaving = true;
                }
                self.ask(index, json!({"type": "leave", "room": room}));
            }
            7..=13 => self.say(index, &room),
            14 => self.say(index, ""),
            15 | 16 => self.whisper(index),
            17 => self.ask(index, json!({"type": "typing_start", "room": room})),
            18 => self.ask(index, json!({"type": "members", "room": room})),
            19 => self.ask(index, json!({"type": "set_metadata", "metadata": {"n": 1}})),
            20 if self.rng.one_in(3) => self.end(index),
            21 => self.connect(),
            22 if self.fails && self.rng.one_in(6) => self.fail(),
            _ => self.ask(index, json!({"type": "ping"})),
        }
    }

    fn ask(&mut self, index: usize, mut message: Value) {
        self.requests += 1;
        message["id"] = json!(self.requests);
        let client = &mut self.clients[index];
        self.world.post_json(client.peer, &message);
        client.open.insert(self.requests, message);
    }

    fn say(&mut self, index: usize, room: &str) {
        let serial = self.requests + 1;
        let kind = if room.is_empty() {
            "broadcast"
        } else {
            "room_message"
        };
        let text = "x".repeat(self.rng.below(300));
        let data = json!({"serial": serial, "text": text});
        self.ask(index, json!({"type": kind, "room": room, "data": data}));
        let said = Said {
            room: room.to_owned(),
            from: index,
            acked: false,
        };
        self.said.insert(serial, said);
    }

    fn whisper(&mut self, index: usize) {
        let to = self.rng.below(self.clients.len());
        let to = self.clients[to].id.clone();
        let serial = self.requests + 1;
        let message = json!({"type": "private_message", "to": to, "data": serial});
        self.ask(index, message);
    }

    fn end(&mut self, index: usize) {
        self.clients[index].alive = false;
        self.world.reset(self.clients[index].peer);
    }

    /// A shard fails: its clients are gone.
    fn fail(&mut self) {
        self.world.settle();
        self.listen();
        let shard = ShardId(self.rng.below(self.world.machine().count()) as u8);
        for client in &mut self.clients {
            client.alive &= self.world.shard(client.peer) != shard;
        }
        self.world.restart(shard);
    }

    // ---- what is heard

    fn listen(&mut self) {
        for index in 0..self.clients.len() {
            for message in self.world.all(self.clients[index].peer) {
                self.hear(index, &message);
            }
        }
    }

    fn hear(&mut self, index: usize, message: &Value) {
        let seed = self.seed;
        let kind = message["type"].as_str().expect("a type");
        let room = message["room"].as_str().unwrap_or_default();
        if let Some(id) = message["id"].as_u64() {
            let request = self.clients[index].open.remove(&id);
            assert!(
                request.is_some(),
                "seed {seed}: a second outcome: {message}"
            );
            if kind == "ack"
                && let Some(said) = self.said.get_mut(&id)
            {
                said.acked = true;
            }
            self.answered(index, message, request.as_ref());
            return;
        }
        let client = &mut self.clients[index];
        if kind == "private_message" {
            let last = client
                .private
                .entry(message["from"].to_string())
                .or_default();
            let serial = message["data"].as_u64().expect("a number");
            assert!(
                *last < serial,
                "seed {seed}: a private message is late or double"
            );
            *last = serial;
            return;
        }
        if kind == "broadcast" {
            let serial = message["data"]["serial"].as_u64().expect("a number");
            assert!(client.heard.insert(serial), "seed {seed}: twice: {message}");
            client.order.entry(String::new()).or_default().push(serial);
            return;
        }
        let own = client.rooms.get_mut(room);
        let own =
            own.unwrap_or_else(|| panic!("seed {seed}: {} is no member: {message}", client.id));
        let who = message["clientId"].as_str().unwrap_or_default();
        match kind {
            "room_message" => {
                assert_ne!(
                    message["from"], client.id,
                    "seed {seed}: its own: {message}"
                );
                let serial = message["data"]["serial"].as_u64().expect("a number");
                assert!(client.heard.insert(serial), "seed {seed}: twice: {message}");
                client
                    .order
                    .entry(room.to_owned())
                    .or_default()
                    .push(serial);
            }
            "member_joined" => {
                let new = own.members.insert(who.to_owned());
                assert!(new || own.vague, "seed {seed}: it was there: {message}");
                own.total += 1;
            }
            "member_left" => {
                let there = own.members.remove(who);
                assert!(
                    there || own.vague,
                    "seed {seed}: it was not there: {message}"
                );
                own.total = own.total.saturating_sub(1);
            }
            "members_changed" => {
                own.vague = true;
                own.total = message["total"].as_u64().expect("a number");
            }
            "user_typing" | "user_stopped_typing" | "member_updated" => {}
            _ => panic!("seed {seed}: {message}"),
        }
    }

    fn answered(&mut self, index: usize, message: &Value, request: Option<&Value>) {
        let requests = self.requests;
        let client = &mut self.clients[index];
        let room = message["room"].as_str().unwrap_or_default().to_owned();
        match message["type"].as_str() {
            Some("joined_room") => {
                let members = message["members"].as_array().expect("a list").iter();
                let members = members.map(|m| m.as_str().expect("an id").to_owned());
                let since = client.rooms.get(&room).map_or(requests, |own| own.since);
                let own = Room {
                    members: members.collect(),
                    total: message["total"].as_u64().expect("a number"),
                    vague: false,
                    since,
                    leaving: false,
                };
                assert!(own.members.contains(&client.id));
                client.rooms.insert(room, own);
            }
            Some("left_room") => {
                client.rooms.remove(&room);
            }
            Some("error") => {
                // It wanted to leave what it had not joined yet: then it stays.
                let asked = request.and_then(|r| r["room"].as_str()).unwrap_or_default();
                if let Some(own) = client.rooms.get_mut(asked) {
                    own.leaving = false;
                }
            }
            _ => {}
        }
    }

    // ---- what must be true

    fn check_the_end(&mut self) {
        let seed = self.seed;
        let alive: Vec<usize> = (0..self.clients.len())
            .filter(|&i| self.clients[i].alive)
            .collect();
        for &index in &alive {
            let open = &self.clients[index].open;
            assert!(open.is_empty(), "seed {seed}: no outcome: {open:?}");
        }
        let truth = |room: &str| -> BTreeSet<String> {
            let members = alive
                .iter()
                .filter(|&&i| self.clients[i].rooms.contains_key(room));
            members.map(|&i| self.clients[i].id.clone()).collect()
        };
        for &index in &alive {
            for (name, room) in &self.clients[index].rooms {
                let truth = truth(name);
                assert_eq!(
                    room.total,
                    truth.len() as u64,
                    "seed {seed}: {name}: {truth:?}"
                );
                assert!(room.vague || room.members == truth, "seed {seed}: {name}");
            }
        }
        for room in (0..ROOMS).map(|n| format!("room {n}")) {
            let truth = truth(&room);
            let Some(&asker) = alive
                .iter()
                .find(|&&i| self.clients[i].rooms.contains_key(&room))
            else {
                continue;
            };
            let list = json!({"type": "members", "room": room, "id": "list"});
            self.world.post_json(self.clients[asker].peer, &list);
            self.world.advance_ms(1_000);
            let page = self.world.expect(self.clients[asker].peer, "members");
            assert_eq!(page["members"], json!(truth), "seed {seed}: {room}");
            assert_eq!(page["total"], truth.len(), "seed {seed}: {room}");
        }
        self.check_order();
        if !self.fails {
            self.check_nothing_is_lost(&alive);
        }
    }

    /// Any two members have heard what both have heard in the same order.
    fn check_order(&self) {
        for room in (0..ROOMS)
            .map(|n| format!("room {n}"))
            .chain([String::new()])
        {
            let orders: Vec<_> = self
                .clients
                .iter()
                .filter_map(|c| c.order.get(&room))
                .collect();
            for (at, one) in orders.iter().enumerate() {
                let places: BTreeMap<_, _> = one.iter().zip(0..).collect::<BTreeMap<_, usize>>();
                for other in &orders[at + 1..] {
                    let mut last = None;
                    for place in other.iter().filter_map(|serial| places.get(serial)) {
                        assert!(
                            last < Some(place),
                            "seed {}: {room}: another order",
                            self.seed
                        );
                        last = Some(place);
                    }
                }
            }
        }
    }

    /// Whoever was a member before something was said and is one still has heard it.
    fn check_nothing_is_lost(&self, alive: &[usize]) {
        for (serial, said) in self.said.iter().filter(|(_, said)| said.acked) {
            for &index in alive.iter().filter(|&&index| index != said.from) {
                let client = &self.clients[index];
                let member = match said.room.as_str() {
                    // Who connected later is not to know: ids count requests, not connections.
                    "" => continue,
                    room => client
                        .rooms
                        .get(room)
                        .is_some_and(|own| own.since < *serial && !own.leaving),
                };
                let heard = client.heard.contains(serial);
                assert!(
                    heard || !member,
                    "seed {}: {serial} is lost for {index}",
                    self.seed
                );
            }
        }
    }

    fn check_nothing_is_left(&self) {
        let stats = self.world.stats();
        let left = (
            stats.connections,
            stats.clients,
            stats.rooms,
            stats.buffered_bytes,
        );
        assert_eq!(left, (0, 0, 0, 0), "seed {}", self.seed);
        if !self.fails {
            assert_eq!(
                (stats.relay_lost, stats.relay_timeouts),
                (0, 0),
                "seed {}",
                self.seed
            );
        }
        for server in self.world.machine().servers() {
            let members = server.memory().members;
            assert!(members < 4_096, "seed {}: {members}", self.seed);
        }
    }
}
