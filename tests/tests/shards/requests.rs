//! The law of asking again: what a client asks the program under an id of its own until it hears the answer, over however
//! many connections, the program is asked once, and its answer is what the client hears.

use std::collections::BTreeMap;

use roomwire_core::ShardId;
use roomwire_core::server::{Command, Event, Outcome, RequestToken};
use roomwire_tests::{Lag, Peer, Rng, World};
use serde_json::{Value, json};

use crate::quiet;

/// How many stories are tried: `ROOMWIRE_REQUEST_SEEDS`, with some thirty lost connections in each.
fn seeds() -> u64 {
    let set = std::env::var("ROOMWIRE_REQUEST_SEEDS").ok();
    set.map_or(20, |set| set.parse().expect("a number of seeds"))
}

#[test]
fn what_is_asked_until_it_is_answered_the_program_is_asked_once() {
    let (mut cuts, mut repeated) = (0, 0);
    for seed in 0..seeds() {
        let mut story = Story::new(seed);
        cuts += story.tell();
        repeated += story.world.stats().repeated;
    }
    assert!(cuts >= 15 * seeds(), "{cuts} cuts");
    assert!(repeated >= 5 * seeds(), "{repeated} asked again");
}

/// The program is slower than the shard that has asked it, which has begun anew: its answer is not for whoever asks next.
#[test]
fn an_answer_to_who_was_lost_with_a_shard_is_nobody_elses() {
    let mut config = quiet();
    config.application_types = vec!["count".to_owned()];
    let mut world = World::of_shards(config, 2);
    let shard = ShardId(1);
    let ask = |world: &mut World| {
        let peers = world.connect_many(2);
        let there = peers.into_iter().find(|&peer| world.shard(peer) == shard);
        let there = there.expect("they are spread");
        world.events();
        world.send(there, &json!({"type": "count", "id": 1, "messageId": "a"}));
        let events = world.events().into_iter();
        let requests = events.filter_map(|event| match event {
            Event::Application { request, .. } => Some(request),
            _ => None,
        });
        let [request] = requests.collect::<Vec<_>>()[..] else {
            panic!("expected one request");
        };
        (there, request)
    };
    let (_, lost) = ask(&mut world);
    world.restart(shard);
    world.settle();
    let (peer, request) = ask(&mut world);
    for (request, n) in [(lost, 1), (request, 2)] {
        let outcome = Outcome::Reply(json!({"type": "counted", "n": n}).to_string());
        world.command(Command::Reply { request, outcome });
        world.settle();
    }
    assert_eq!(
        world.all(peer),
        [json!({"type": "counted", "n": 2, "id": 1})]
    );
}

/// A client that is connected over and over.
struct Somebody {
    peer: Peer,
    session: Value,
    /// The number of the request that it makes next.
    next: u64,
    /// Those that it has no answer to.
    open: BTreeMap<u64, Value>,
}

struct Story {
    seed: u64,
    rng: Rng,
    world: World,
    all: Vec<Somebody>,
    /// What the program has not answered.
    asked: Vec<(RequestToken, (String, u64))>,
    /// What it was asked, by whom, and what it has answered; nothing: it never does.
    answers: BTreeMap<(String, u64), Option<Outcome>>,
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut config = quiet();
        config.application_types = vec!["count".to_owned()];
        config.timeouts.application_reply_ms = 30_000;
        config.message_ids.max_per_client = 1_000;
        config.sessions.mail_bytes = 1 << 20;
        let mut world = World::of_shards(config, 3);
        let clients = world.connect_many(4);
        let all = clients.iter().map(|&peer| Somebody {
            peer,
            session: world.request(peer, &json!({"type": "resume"})),
            next: 0,
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
            asked: Vec::new(),
            answers: BTreeMap::new(),
        }
    }

    /// All of it; how many connections were lost.
    fn tell(&mut self) -> u64 {
        let mut cuts = 0;
        for _ in 0..80 {
            let who = self.rng.below(self.all.len());
            match self.rng.below(4) {
                0 => {
                    self.is_cut(who);
                    cuts += 1;
                }
                1 => self.program_answers(),
                _ => (0..self.rng.below(4)).for_each(|_| self.asks(who)),
            }
            let pass = self.rng.below(60) as u64;
            self.world.advance_ms(pass);
            self.listen();
        }
        while !self.asked.is_empty() {
            self.program_answers();
        }
        for _ in 0..4 {
            self.world.advance_ms(20_000);
            self.listen();
        }
        for (who, somebody) in self.all.iter().enumerate() {
            assert!(
                somebody.open.is_empty(),
                "seed {} {who}: {:?}",
                self.seed,
                somebody.open
            );
            let id = somebody.session["clientId"].as_str().expect("an id");
            let of_them = self.answers.keys().filter(|(from, _)| from == id);
            assert_eq!(of_them.count() as u64, somebody.next);
        }
        cuts
    }

    fn asks(&mut self, who: usize) {
        let somebody = &mut self.all[who];
        let number = somebody.next;
        somebody.next += 1;
        let message =
            json!({"type": "count", "id": number, "messageId": number.to_string(), "n": number});
        self.world.post_json(somebody.peer, &message);
        somebody.open.insert(number, message);
    }

    /// One of the requests: mostly with a reply, and sometimes it is silent until time is over.
    fn program_answers(&mut self) {
        if self.asked.is_empty() {
            return;
        }
        let which = self.rng.below(self.asked.len());
        let (request, key) = self.asked.swap_remove(which);
        let outcome = match self.rng.below(8) {
            0 => return,
            1 => Outcome::Ack,
            2 => Outcome::Error {
                code: roomwire_core::ErrorCode::Forbidden,
                message: key.1.to_string(),
            },
            _ => Outcome::Reply(json!({"type": "counted", "n": key.1}).to_string()),
        };
        self.answers.insert(key, Some(outcome.clone()));
        self.world.command(Command::Reply { request, outcome });
    }

    /// Its connection goes, with what was on its way; on another one it asks again what it has no answer to.
    fn is_cut(&mut self, who: usize) {
        self.world.reset(self.all[who].peer);
        let pass = self.rng.below(100) as u64;
        self.world.advance_ms(pass);
        let peer = self.world.connect();
        let somebody = &mut self.all[who];
        somebody.peer = peer;
        let resume = json!({"type": "resume",
            "clientId": somebody.session["clientId"], "sessionSecret": somebody.session["sessionSecret"]});
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
            let before = self.answers.insert(key.clone(), None);
            assert_eq!(before, None, "seed {}: asked again {message}", self.seed);
            self.asked.push((request, key));
        }
        for who in 0..self.all.len() {
            let id = self.all[who].session["clientId"].as_str().expect("an id");
            let id = id.to_owned();
            for told in self.world.all(self.all[who].peer) {
                let Some(number) = told["id"].as_u64() else {
                    continue;
                };
                let answer = self.answers.get(&(id.clone(), number));
                let expected = match answer.cloned().flatten() {
                    Some(Outcome::Ack) => json!({"type": "ack", "id": number}),
                    Some(Outcome::Reply(_)) => {
                        json!({"type": "counted", "n": number, "id": number})
                    }
                    Some(Outcome::Error { .. }) => json!({"type": "error", "id": number,
                        "code": "forbidden", "message": number.to_string()}),
                    None => json!({"type": "error", "id": number, "code": "internal",
                        "message": "The server did not answer in time"}),
                };
                assert_eq!(told, expected, "seed {}", self.seed);
                self.all[who].open.remove(&number);
            }
        }
    }
}
