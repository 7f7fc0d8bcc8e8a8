//! Asking again where shards fail. What is kept goes with the shard that keeps it, and with it the promise, once for each
//! failure. But who asks until there is an answer has one in the end, and it is one that was given.

use std::collections::{BTreeMap, BTreeSet};

use roomwire_core::ShardId;
use roomwire_core::server::{Command, Event, Outcome, RequestToken};
use roomwire_tests::{Lag, Peer, Rng, World};
use serde_json::{Value, json};

use crate::quiet;

const SHARDS: u8 = 3;

/// How many stories are tried: `ROOMWIRE_REQUEST_SEEDS`, with some shards that fail in each.
fn seeds() -> u64 {
    let set = std::env::var("ROOMWIRE_REQUEST_SEEDS").ok();
    set.map_or(20, |set| set.parse().expect("a number of seeds"))
}

#[test]
fn who_asks_until_there_is_an_answer_has_one_though_shards_fail() {
    let (mut failures, mut again) = (0, 0);
    for seed in 0..seeds() {
        let mut story = Story::new(seed);
        story.tell();
        failures += story.failures;
        again += story.again;
    }
    assert!(failures >= 2 * seeds(), "{failures} failures");
    assert!(again > 0, "nothing was lost");
}

struct Somebody {
    peer: Peer,
    /// Who it is, if it knows.
    session: Option<Value>,
    /// It has lost its connection with its shard, or does not know who it is.
    lost: bool,
    /// What it has no answer to.
    open: BTreeMap<u64, Value>,
}

struct Story {
    seed: u64,
    rng: Rng,
    world: World,
    all: Vec<Somebody>,
    next: u64,
    /// What the program has not answered.
    asked: Vec<(RequestToken, u64)>,
    /// By whom it was asked what: how often, and how many shards had failed before.
    askings: BTreeMap<(String, u64), (u64, u64)>,
    /// What it has answered.
    answers: BTreeSet<u64>,
    failures: u64,
    again: u64,
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut config = quiet();
        config.application_types = vec!["count".to_owned()];
        config.message_ids.max_per_client = 1_000;
        config.sessions.mail_bytes = 1 << 20;
        let mut world = World::of_shards(config, SHARDS);
        let peers = world.connect_many(4);
        let all = peers.into_iter().map(|peer| Somebody {
            peer,
            session: Some(world.request(peer, &json!({"type": "resume"}))),
            lost: false,
            open: BTreeMap::new(),
        });
        let all = all.collect();
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
            all,
            next: 0,
            asked: Vec::new(),
            askings: BTreeMap::new(),
            answers: BTreeSet::new(),
            failures: 0,
            again: 0,
        }
    }

    fn tell(&mut self) {
        for _ in 0..80 {
            let who = self.rng.below(self.all.len());
            match self.rng.below(20) {
                0 => self.shard_fails(),
                1..5 => self.is_cut(who),
                5..10 => self.program_answers(),
                _ => (0..self.rng.below(4)).for_each(|_| self.asks(who)),
            }
            self.pass(60);
        }
        // From now on nothing fails, and all that is asked is answered, or was long ago. Each time is longer than the
        // program may take, and a few of them are longer than it is waited for where nobody knows any more.
        for _ in 0..8 {
            while !self.asked.is_empty() {
                self.program_answers();
            }
            self.pass_all(11_000);
            for who in 0..self.all.len() {
                if !self.all[who].open.is_empty() {
                    self.is_cut(who);
                }
            }
            self.pass_all(1_000);
        }
        for (who, somebody) in self.all.iter().enumerate() {
            let open = &somebody.open;
            assert!(open.is_empty(), "seed {} {who}: {open:?}", self.seed);
        }
    }

    fn pass(&mut self, most_ms: usize) {
        let ms = self.rng.below(most_ms) as u64;
        self.pass_all(ms);
    }

    fn pass_all(&mut self, ms: u64) {
        self.world.advance_ms(ms);
        self.listen();
        for who in 0..self.all.len() {
            if self.all[who].lost {
                self.is_cut(who);
            }
        }
    }

    fn shard_fails(&mut self) {
        let shard = ShardId(self.rng.below(usize::from(SHARDS)) as u8);
        for somebody in &mut self.all {
            somebody.lost |= self.world.shard(somebody.peer) == shard;
        }
        self.world.restart(shard);
        // What the program was asked until then is lost with it.
        self.listen();
        self.failures += 1;
    }

    fn asks(&mut self, who: usize) {
        let number = self.next;
        self.next += 1;
        let message =
            json!({"type": "count", "id": number, "messageId": number.to_string(), "n": number});
        self.world.post_json(self.all[who].peer, &message);
        self.all[who].open.insert(number, message);
    }

    fn program_answers(&mut self) {
        if self.asked.is_empty() {
            return;
        }
        let which = self.rng.below(self.asked.len());
        let (request, number) = self.asked.swap_remove(which);
        if self.rng.below(8) == 0 {
            return;
        }
        self.answers.insert(number);
        let outcome = Outcome::Reply(json!({"type": "counted", "n": number}).to_string());
        self.world.command(Command::Reply { request, outcome });
    }

    /// Its connection goes; on another one it asks again what it has no answer to.
    fn is_cut(&mut self, who: usize) {
        self.world.reset(self.all[who].peer);
        let peer = self.world.connect();
        let somebody = &mut self.all[who];
        (somebody.peer, somebody.lost) = (peer, false);
        let mut resume = json!({"type": "resume", "id": "who"});
        if let Some(session) = &somebody.session {
            resume["clientId"] = session["clientId"].clone();
            resume["sessionSecret"] = session["sessionSecret"].clone();
        }
        for message in [&resume].into_iter().chain(somebody.open.values()) {
            self.world.post_json(peer, message);
        }
    }

    fn listen(&mut self) {
        for event in self.world.events() {
            let Event::Application {
                client,
                request,
                message,
                ..
            } = event
            else {
                continue;
            };
            let message: Value = serde_json::from_str(&message).expect("JSON");
            let number = message["n"].as_u64().expect("a number");
            let key = (client.as_str().to_owned(), number);
            let (count, before) = self.askings.entry(key).or_insert((0, self.failures));
            self.again += u64::from(*count > 0);
            *count += 1;
            let failures = self.failures - *before;
            let seed = self.seed;
            assert!(
                *count <= 1 + failures,
                "seed {seed}: {message} {count} times in {failures} failures"
            );
            self.asked.push((request, number));
        }
        for who in 0..self.all.len() {
            for told in self.world.all(self.all[who].peer) {
                self.hears(who, &told);
            }
        }
    }

    fn hears(&mut self, who: usize, told: &Value) {
        let somebody = &mut self.all[who];
        if told["id"] == "who" {
            match told["code"].as_str() {
                None => somebody.session = Some(told.clone()),
                Some("stale_session") => (somebody.session, somebody.lost) = (None, true),
                Some(code) => {
                    assert_eq!(code, "internal", "seed {}: {told}", self.seed);
                    somebody.lost = true;
                }
            }
            return;
        }
        let Some(number) = told["id"].as_u64() else {
            return;
        };
        let is_own = told["type"] == "counted" && told["n"] == number;
        let was_given = is_own && self.answers.contains(&number);
        let (seed, is_late) = (self.seed, told["code"] == "internal");
        assert!(was_given || is_late, "seed {seed} {number}: {told}");
        somebody.open.remove(&number);
    }
}
