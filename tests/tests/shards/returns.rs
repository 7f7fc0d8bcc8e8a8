//! The law of coming back: what a client has heard of a room, over all its connections, is the room's log, each
//! message once and in order, but for those that it was told are missing; and missing is only what is not kept. Whatever
//! fails meanwhile: connections, links, shards, and with a room's own shard its log.

use roomwire_core::ShardId;
use roomwire_core::config::RoomRule;
use roomwire_tests::{Lag, Peer, Rng, World};
use serde_json::{Value, json};

use crate::{quiet, room_at, say};

/// How many stories are tried: `ROOMWIRE_RETURN_SEEDS`, with some thirty returns in each and fifteen at least: 10,000 are
/// 150,000 returns of each kind.
fn seeds() -> u64 {
    let set = std::env::var("ROOMWIRE_RETURN_SEEDS").ok();
    set.map_or(20, |set| set.parse().expect("a number of seeds"))
}

#[test]
fn who_comes_back_misses_nothing() {
    let mut returns = 0;
    for seed in 0..seeds() {
        let mut story = Story::new(seed, 1_000);
        returns += story.tell();
        assert_eq!(story.gaps(), 0, "seed {seed}");
    }
    assert!(returns >= 15 * seeds(), "{returns} returns");
}

#[test]
fn who_comes_back_after_shards_have_failed_misses_nothing() {
    let (mut returns, mut resets) = (0, 0);
    for seed in 0..seeds() {
        let mut story = Story::new(seed, 1_000);
        story.shards_fail = true;
        returns += story.tell();
        resets += story
            .readers
            .iter()
            .map(|reader| reader.resets)
            .sum::<u64>();
        assert_eq!(story.gaps(), 0, "seed {seed}");
    }
    assert!(returns >= 15 * seeds(), "{returns} returns");
    assert!(resets >= seeds(), "{resets} resets");
}

#[test]
fn who_comes_back_late_is_told_what_is_missing() {
    let mut gaps = 0;
    for seed in 0..seeds() {
        let mut story = Story::new(seed, 5);
        story.tell();
        gaps += story.gaps();
    }
    assert!(gaps > seeds(), "{gaps} gaps");
}

/// Somebody who listens, over several connections.
struct Reader {
    peer: Peer,
    /// The offset of the last message that it has heard, or been told is missing.
    last: u64,
    /// Of which log that is.
    epoch: Value,
    gaps: u64,
    resets: u64,
    /// It has heard something live while it waits.
    early: bool,
    /// It has to ask for the beginning of a log that is new.
    asks: bool,
    /// What takes its session up.
    session: Option<Value>,
    /// It has not been told yet that this was all.
    waits: bool,
}

struct Story {
    seed: u64,
    rng: Rng,
    world: World,
    room: String,
    keeps: u64,
    shards_fail: bool,
    speaker: Peer,
    readers: Vec<Reader>,
}

impl Story {
    fn new(seed: u64, keeps: u32) -> Self {
        let mut config = quiet();
        config.rooms = vec![RoomRule {
            history_messages: keeps,
            ..RoomRule::default()
        }];
        let mut world = World::of_shards(config, 3);
        let room = room_at(&world, ShardId(1));
        let clients = world.connect_many(6);
        let (mut epoch, mut sessions) = (Value::Null, Vec::new());
        for &client in &clients {
            sessions.push(world.request(client, &json!({"type": "resume"})));
            epoch = world.join(client, &room)["history"]["epoch"].clone();
        }
        world.forget();
        world.driver().machine_mut().set_lag(Lag {
            rng: Rng::new(seed),
            most_us: 20_000,
            stalls_per_mille: 100,
            stall_us: 200_000,
        });
        let reader = |(&peer, session): (&Peer, Value)| Reader {
            peer,
            last: 0,
            epoch: epoch.clone(),
            gaps: 0,
            resets: 0,
            early: false,
            asks: false,
            session: Some(session),
            waits: false,
        };
        Self {
            seed,
            rng: Rng::new(seed),
            world,
            room,
            keeps: keeps.into(),
            shards_fail: false,
            speaker: clients[0],
            readers: clients[1..]
                .iter()
                .zip(sessions.drain(1..))
                .map(reader)
                .collect(),
        }
    }

    /// All of it; how often somebody has come back.
    fn tell(&mut self) -> u64 {
        let (mut returns, mut said) = (0, 0);
        for _ in 0..30 {
            for _ in 0..self.rng.below(6) {
                said += 1;
                self.world.post_json(self.speaker, &say(&self.room, said));
            }
            self.pass(100);
            if self.shards_fail && self.rng.one_in(6) {
                returns += self.fails();
            }
            let who = self.rng.below(self.readers.len());
            let went = if self.rng.one_in(3) {
                self.leaves(who)
            } else {
                self.is_cut(who)
            };
            if went {
                self.comes_back(who);
                returns += 1;
            }
        }
        self.world.advance_ms(60_000);
        self.listen();
        self.world.advance_ms(60_000);
        self.listen();
        if self.shards_fail {
            // What was on its way through a shard that has failed has never been in the log.
            said = self.last_of_log();
        }
        for reader in &self.readers {
            assert!(!reader.waits, "seed {} {:?}", self.seed, reader.peer);
            assert_eq!(reader.last, said, "seed {}", self.seed);
        }
        returns
    }

    fn gaps(&self) -> u64 {
        self.readers.iter().map(|reader| reader.gaps).sum()
    }

    fn last_of_log(&mut self) -> u64 {
        let peer = self.world.connect();
        self.world
            .post_json(peer, &json!({"type": "join", "room": self.room}));
        self.world.advance_ms(60_000);
        let told = self.world.all(peer);
        let joined = told.iter().find(|told| told["type"] == "joined_room");
        let last = joined.and_then(|joined| joined["history"]["last"].as_u64());
        last.unwrap_or_else(|| panic!("seed {}: {told:?}", self.seed))
    }

    /// A shard begins anew. How many readers it has taken along, who come back.
    fn fails(&mut self) -> u64 {
        let shard = ShardId(self.rng.below(3) as u8);
        self.world.restart(shard);
        if self.world.shard(self.speaker) == shard {
            self.speaker = self.world.connect();
            let join = json!({"type": "join", "room": self.room});
            self.world.post_json(self.speaker, &join);
        }
        let mut returns = 0;
        for who in 0..self.readers.len() {
            if self.world.shard(self.readers[who].peer) == shard {
                self.reconnects(who);
                self.comes_back(who);
                returns += 1;
            }
        }
        self.listen();
        returns
    }

    fn pass(&mut self, most_ms: usize) {
        self.world.advance_ms(self.rng.below(most_ms) as u64);
        self.listen();
    }

    /// It leaves the room, unless it is still about to join it.
    fn leaves(&mut self, who: usize) -> bool {
        let reader = &self.readers[who];
        if reader.waits {
            return false;
        }
        let leave = json!({"type": "leave", "room": self.room});
        self.world.post_json(reader.peer, &leave);
        self.pass(300);
        true
    }

    /// Its connection goes, with what was on its way there.
    fn is_cut(&mut self, who: usize) -> bool {
        let lost = self.rng.below(100) as u64;
        self.world.advance_ms(lost);
        self.world.reset(self.readers[who].peer);
        self.world.advance_ms(self.rng.below(300) as u64);
        self.reconnects(who);
        self.listen();
        true
    }

    /// On another connection, as who it was.
    fn reconnects(&mut self, who: usize) {
        let peer = self.world.connect();
        let reader = &mut self.readers[who];
        reader.peer = peer;
        let mut resume = json!({"type": "resume"});
        if let Some(session) = &reader.session {
            resume["clientId"] = session["clientId"].clone();
            resume["sessionSecret"] = session["sessionSecret"].clone();
        }
        self.world.post_json(peer, &resume);
    }

    fn comes_back(&mut self, who: usize) {
        let reader = &mut self.readers[who];
        let join = json!({"type": "join", "id": "join", "room": self.room, "after": reader.last, "epoch": reader.epoch});
        reader.waits = true;
        self.world.post_json(reader.peer, &join);
    }

    fn listen(&mut self) {
        for who in 0..self.readers.len() {
            for told in self.world.all(self.readers[who].peer) {
                self.readers[who].hears(&told, self.keeps, self.seed);
            }
            if std::mem::take(&mut self.readers[who].asks) {
                self.comes_back(who);
            }
        }
    }
}

impl Reader {
    fn hears(&mut self, told: &Value, keeps: u64, seed: u64) {
        match told["type"].as_str() {
            Some("room_message") => {
                // It is a member still, and asks for what came before: the answer repeats this.
                self.early |= self.waits;
                self.has(told, seed);
            }
            Some("session") => self.session = Some(told.clone()),
            Some("reset") if told["epoch"] != self.epoch => {
                self.begins_anew(told);
                // Something was said before the server knew again who is in the room.
                self.asks |= told["last"] != 0 && !self.waits;
            }
            Some("history") => {
                // Which it may have been told while it waited for this, and heard of it since.
                let again = told.get("reset").is_some() && told["epoch"] == self.epoch;
                if told.get("reset").is_some() && !again {
                    self.begins_anew(told);
                }
                if let Some(gap) = told.get("gap") {
                    let (from, to) = (gap["from"].as_u64(), gap["to"].as_u64());
                    assert_eq!(from, Some(self.last + 1), "seed {seed}: {told}");
                    // No more than what is not kept.
                    let kept = told["last"].as_u64().map(|last| last - keeps);
                    assert_eq!(to, kept, "seed {seed}: {told}");
                    self.last = to.expect("a gap has an end");
                    self.gaps += 1;
                }
                for past in told["messages"].as_array().expect("messages") {
                    if (again || self.early) && past["offset"].as_u64() <= Some(self.last) {
                        continue;
                    }
                    self.has(past, seed);
                }
            }
            Some("resumed") => {
                assert_eq!(told["last"], self.last, "seed {seed}: {told}");
                assert!(std::mem::take(&mut self.waits));
                self.early = false;
            }
            // Its session went with a shard, or its request.
            Some("error") if told["code"] == "stale_session" => self.session = None,
            Some("error") if told["code"] == "internal" => self.asks |= told["id"] == "join",
            Some("error") => panic!("seed {seed}: {told}"),
            _ => {}
        }
    }

    fn begins_anew(&mut self, told: &Value) {
        self.epoch = told["epoch"].clone();
        self.last = 0;
        self.resets += 1;
    }

    fn has(&mut self, message: &Value, seed: u64) {
        // Of a log that is new it has to ask for the beginning first, and then hears of this one in its turn.
        if (self.waits || self.asks) && message["offset"].as_u64() > Some(self.last + 1) {
            return;
        }
        assert_eq!(message["offset"], self.last + 1, "seed {seed}: {message}");
        self.last += 1;
    }
}
