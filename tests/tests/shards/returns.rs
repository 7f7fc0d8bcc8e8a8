//! The law of coming back: what a client has heard of a room, over all its connections, is the room's log, each
//! message once and in order, but for those that it was told are missing; and missing is only what is not kept.

use roomwire_core::ShardId;
use roomwire_core::config::RoomRule;
use roomwire_tests::{Lag, Peer, Rng, World};
use serde_json::{Value, json};

use crate::{quiet, room_at, say};

/// How many stories are tried: `ROOMWIRE_RETURN_SEEDS`, with some twenty returns in each.
fn seeds() -> u64 {
    let set = std::env::var("ROOMWIRE_RETURN_SEEDS").ok();
    set.map_or(20, |set| set.parse().expect("a number of seeds"))
}

#[test]
fn who_comes_back_misses_nothing() {
    let returns: u64 = (0..seeds())
        .map(|seed| Story::new(seed, 1_000).tell())
        .sum();
    assert!(returns >= 15 * seeds());
}

#[test]
fn who_comes_back_late_is_told_what_is_missing() {
    let mut gaps = 0;
    for seed in 0..seeds() {
        let mut story = Story::new(seed, 5);
        story.tell();
        gaps += story.readers.iter().map(|reader| reader.gaps).sum::<u64>();
    }
    assert!(gaps > seeds(), "{gaps} gaps");
}

/// Somebody who listens, over several connections.
struct Reader {
    peer: Peer,
    /// The offset of the last message that it has heard, or been told is missing.
    last: u64,
    gaps: u64,
    /// It has not been told yet that this was all.
    waits: bool,
}

struct Story {
    seed: u64,
    rng: Rng,
    world: World,
    room: String,
    keeps: u64,
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
        let reader = |&peer: &Peer| Reader {
            peer,
            last: 0,
            gaps: 0,
            waits: false,
        };
        Self {
            seed,
            rng: Rng::new(seed),
            world,
            room,
            keeps: keeps.into(),
            speaker: clients[0],
            readers: clients[1..].iter().map(reader).collect(),
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
        for reader in &self.readers {
            assert!(!reader.waits, "seed {}", self.seed);
            assert_eq!(reader.last, said, "seed {}", self.seed);
        }
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
        self.readers[who].peer = self.world.connect();
        self.listen();
        true
    }

    fn comes_back(&mut self, who: usize) {
        let reader = &mut self.readers[who];
        let join = json!({"type": "join", "room": self.room, "after": reader.last});
        reader.waits = true;
        self.world.post_json(reader.peer, &join);
    }

    fn listen(&mut self) {
        for who in 0..self.readers.len() {
            for told in self.world.all(self.readers[who].peer) {
                self.readers[who].hears(&told, self.keeps, self.seed);
            }
        }
    }
}

impl Reader {
    fn hears(&mut self, told: &Value, keeps: u64, seed: u64) {
        match told["type"].as_str() {
            Some("room_message") => self.has(told, seed),
            Some("history") => {
                assert_eq!(told.get("reset"), None);
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
                    self.has(past, seed);
                }
            }
            Some("resumed") => {
                assert_eq!(told["last"], self.last, "seed {seed}: {told}");
                assert!(std::mem::take(&mut self.waits));
            }
            Some("error") => panic!("seed {seed}: {told}"),
            _ => {}
        }
    }

    fn has(&mut self, message: &Value, seed: u64) {
        assert_eq!(message["offset"], self.last + 1, "seed {seed}: {message}");
        self.last += 1;
    }
}
