//! The law of sending again: what a client sends under an id of its own until it hears what became of it, over however
//! many connections, is told once, in the order in which the client has it; in a room, and to one client alone.

use std::collections::BTreeMap;

use roomwire_core::ShardId;
use roomwire_core::config::RoomRule;
use roomwire_tests::{Lag, Peer, Rng, World};
use serde_json::{Value, json};

use crate::{quiet, room_at};

/// How many stories are tried: `ROOMWIRE_PUBLISH_SEEDS`, with some thirty lost connections in each.
fn seeds() -> u64 {
    let set = std::env::var("ROOMWIRE_PUBLISH_SEEDS").ok();
    set.map_or(20, |set| set.parse().expect("a number of seeds"))
}

#[test]
fn what_is_sent_until_it_is_acknowledged_is_told_once() {
    let (mut cuts, mut repeated) = (0, 0);
    for seed in 0..seeds() {
        let mut story = Story::new(seed);
        cuts += story.tell();
        repeated += story.world.stats().repeated;
    }
    assert!(cuts >= 15 * seeds(), "{cuts} cuts");
    assert!(repeated >= 5 * seeds(), "{repeated} sent again");
}

/// A client that is connected over and over, and what it keeps for that.
struct Somebody {
    peer: Peer,
    session: Value,
    /// The last of what was sent to it alone.
    last: u64,
    /// The number of the message that it sends next.
    next: u64,
    /// Those of which it does not know what became of them.
    open: BTreeMap<u64, Value>,
}

struct Story {
    seed: u64,
    rng: Rng,
    world: World,
    room: String,
    all: Vec<Somebody>,
    /// Hears all that is said in the room.
    listener: Peer,
    /// The numbers that came, by who says it and where: in the room, or to whom.
    heard: BTreeMap<(String, Option<usize>), Vec<u64>>,
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut config = quiet();
        config.rooms = vec![RoomRule {
            history_messages: 1_000,
            ..RoomRule::default()
        }];
        config.sessions.mail_messages = 1_000;
        config.sessions.mail_bytes = 1 << 20;
        config.message_ids.max_per_client = 1_000;
        let mut world = World::of_shards(config, 3);
        let room = room_at(&world, ShardId(1));
        let clients = world.connect_many(4);
        let all = clients[1..].iter().map(|&peer| Somebody {
            peer,
            session: world.request(peer, &json!({"type": "resume"})),
            last: 0,
            next: 0,
            open: BTreeMap::new(),
        });
        let all: Vec<_> = all.collect();
        for &client in &clients {
            world.join(client, &room);
        }
        world.forget();
        world.driver().machine_mut().set_lag(Lag {
            rng: Rng::new(seed),
            most_us: 20_000,
            stalls_per_mille: 100,
            stall_us: 200_000,
        });
        Self {
            seed,
            rng: Rng::new(seed),
            world,
            room,
            all,
            listener: clients[0],
            heard: BTreeMap::new(),
        }
    }

    /// All of it; how many connections were lost.
    fn tell(&mut self) -> u64 {
        let mut cuts = 0;
        for _ in 0..60 {
            let who = self.rng.below(self.all.len());
            match self.rng.below(3) {
                0 => {
                    self.is_cut(who);
                    cuts += 1;
                }
                _ => (0..self.rng.below(5)).for_each(|_| self.says(who)),
            }
            let pass = self.rng.below(60) as u64;
            self.world.advance_ms(pass);
            self.listen();
        }
        for _ in 0..4 {
            self.world.advance_ms(60_000);
            self.listen();
        }
        for (who, somebody) in self.all.iter().enumerate() {
            assert!(somebody.open.is_empty(), "seed {} {who}", self.seed);
            let id = &somebody.session["clientId"];
            let of_them = self.heard.iter().filter(|((from, _), _)| *id == **from);
            let told: usize = of_them.map(|(_, numbers)| numbers.len()).sum();
            assert_eq!(told as u64, somebody.next, "seed {} {who}", self.seed);
        }
        cuts
    }

    /// To the room, or to somebody alone.
    fn says(&mut self, who: usize) {
        let to = self.rng.below(self.all.len() + 1);
        let to = self.all.get(to).map(|it| it.session["clientId"].clone());
        let somebody = &mut self.all[who];
        let number = somebody.next;
        somebody.next += 1;
        let (id, data) = (number.to_string(), json!([number]));
        let mut message = match to {
            Some(to) => json!({"type": "private_message", "to": to, "data": data}),
            None => json!({"type": "room_message", "room": self.room, "data": data}),
        };
        message["messageId"] = id.into();
        message["id"] = number.into();
        self.world.post_json(somebody.peer, &message);
        somebody.open.insert(number, message);
    }

    /// Its connection goes, with what was on its way; on another one it sends again what it does not know of.
    fn is_cut(&mut self, who: usize) {
        self.world.reset(self.all[who].peer);
        let pass = self.rng.below(100) as u64;
        self.world.advance_ms(pass);
        let peer = self.world.connect();
        let somebody = &mut self.all[who];
        somebody.peer = peer;
        let resume = json!({"type": "resume", "after": somebody.last,
            "clientId": somebody.session["clientId"], "sessionSecret": somebody.session["sessionSecret"]});
        let join = json!({"type": "join", "room": self.room});
        let again = somebody.open.values();
        for message in [&resume, &join].into_iter().chain(again) {
            self.world.post_json(peer, message);
        }
    }

    fn listen(&mut self) {
        for told in self.world.all(self.listener) {
            self.hears(&told, None);
        }
        for who in 0..self.all.len() {
            for told in self.world.all(self.all[who].peer) {
                match told["type"].as_str() {
                    Some("ack") => {
                        let number = told["id"].as_u64().expect("a number");
                        self.all[who].open.remove(&number);
                    }
                    Some("private_message") => {
                        let offset = told["offset"].as_u64();
                        assert_eq!(offset, Some(self.all[who].last + 1), "seed {}", self.seed);
                        self.all[who].last += 1;
                        self.hears(&told, Some(who));
                    }
                    Some("error") => panic!("seed {} {who}: {told}", self.seed),
                    _ => {}
                }
            }
        }
    }

    /// What one says in a place comes once, and none before an earlier one.
    fn hears(&mut self, told: &Value, by: Option<usize>) {
        if !matches!(
            told["type"].as_str(),
            Some("room_message" | "private_message")
        ) {
            return;
        }
        let number = told["data"][0].as_u64().expect("a number");
        let from = told["from"].as_str().expect("a client").to_owned();
        let heard = self.heard.entry((from, by)).or_default();
        let last = heard.last().copied();
        assert!(
            last < Some(number),
            "seed {}: {told} after {last:?}",
            self.seed
        );
        heard.push(number);
    }
}
