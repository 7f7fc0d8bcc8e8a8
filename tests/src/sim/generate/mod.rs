//! From a seed to a plan: settings, clients by their nature, faults.

mod edges;
mod files;
mod pool;
mod server;
mod shards;

use core::net::Ipv4Addr;

use roomwire_core::{Config, ListenerId, PeerAddr};

use super::network::Reading;
use super::peer::Codec;
use super::plan::{Act, Ask, ClientPlan, Head, Lie, Nature, Plan, Pool, ROOMS, Shards, Wish};
use super::wire::Link;
use crate::rng::Rng;

use server::{commands, config, driving};

impl Plan {
    /// The plan of a seed.
    pub fn generate(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x5EED_0FA1_1A57);
        let rng = &mut rng;
        let end_us = MS * (10_000 + rng.next() % 50_000);
        let config = config(rng);
        let count = 14 + rng.below(22);
        let clients = (0..count)
            .map(|number| client(rng, number, count, end_us, &config))
            .collect();
        let commands = commands(rng, count, end_us);
        let mut plan = Self {
            seed,
            config,
            driving: driving(rng),
            clients,
            commands,
            shards: Shards::default(),
            pool: Pool::default(),
            end_us,
        };
        edges::add(&mut plan);
        files::add(&mut plan);
        shards::add(&mut plan);
        pool::add(&mut plan);
        plan
    }
}

pub(super) fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.below(from.len())]
}

pub(super) fn between(rng: &mut Rng, low: u64, high: u64) -> u64 {
    low + rng.next() % (high - low + 1)
}

fn client(rng: &mut Rng, number: usize, count: usize, end_us: u64, config: &Config) -> ClientPlan {
    let nature = match rng.below(20) {
        0..6 => Nature::Chatty,
        6..9 => Nature::Lurker,
        9..11 => Nature::Slow,
        11..13 => Nature::Stopped,
        13..15 => Nature::Flapper,
        15..17 => Nature::Flooder,
        17 => Nature::Liar,
        _ => Nature::Crasher,
    };
    let shared = rng.one_in(4);
    let host = if shared { 200 } else { number as u8 };
    let port = 40_000 + number as u16;
    let peer = PeerAddr::Inet((Ipv4Addr::new(10, 0, 0, host), port).into());
    let mut writer = Writer {
        rng: Rng::new(rng.next()),
        clients: count,
        homes: Vec::new(),
        long: config.limits.max_message_bytes.min(4_096) - 200,
        acts: Vec::new(),
    };
    writer.write(nature);
    ClientPlan {
        nature,
        peer,
        listener: ListenerId(rng.below(config.listeners.len()) as u16),
        codec: pick(rng, &[Codec::Own, Codec::Tungstenite, Codec::Deflating]),
        link: link(rng, nature),
        eager: rng.one_in(3),
        fragments: pick(rng, &[1, 1, 2, 5]),
        porter: None,
        acts: until(writer.acts, end_us),
    }
}

/// What happens before the end.
fn until(acts: Vec<(u64, Act)>, end_us: u64) -> Vec<(u64, Act)> {
    let mut at = 0;
    let before = |&(after, _): &(u64, Act)| {
        at += after;
        at < end_us
    };
    acts.into_iter().take_while(before).collect()
}

fn link(rng: &mut Rng, nature: Nature) -> Link {
    let tight = matches!(nature, Nature::Slow | Nature::Stopped) || rng.one_in(5);
    let buffer = |rng: &mut Rng| {
        if tight {
            between(rng, 100, 4_096) as usize
        } else {
            64 * 1024
        }
    };
    Link {
        latency_us: pick(rng, &[50, 5_000, 40_000, 150_000]),
        jitter_us: pick(rng, &[0, 500, 30_000]),
        segment_bytes: pick(rng, &[1_448, 1_448, 65_536, 100, 3]),
        server_buffer_bytes: buffer(rng),
        client_buffer_bytes: buffer(rng),
    }
}

/// Writes what one client does.
struct Writer {
    rng: Rng,
    clients: usize,
    /// Rooms that it is likely to be in.
    homes: Vec<usize>,
    /// The longest padding.
    long: usize,
    acts: Vec<(u64, Act)>,
}

impl Writer {
    fn write(&mut self, nature: Nature) {
        let start = MS * between(&mut self.rng, 0, 5_000);
        self.acts.push((start, Act::Connect(Head::Upgrade)));
        match nature {
            Nature::Chatty => {
                self.settle();
                self.talk(20, 60, 1_500);
            }
            Nature::Lurker => {
                self.settle();
                self.talk(1, 8, 8_000);
            }
            Nature::Slow => {
                let bytes = between(&mut self.rng, 20, 2_000) as usize;
                let every_us = between(&mut self.rng, 500, 60_000);
                self.act(0, Act::Read(Reading::Slow { bytes, every_us }));
                if self.rng.one_in(2) {
                    self.listen();
                    self.talk(0, 3, 20_000);
                } else {
                    self.settle();
                    self.talk(5, 25, 2_000);
                }
            }
            Nature::Stopped => self.stopped(),
            Nature::Flooder => self.flooder(),
            Nature::Flapper => self.flapper(),
            Nature::Liar => self.liar(),
            Nature::Crasher => self.crasher(),
            // In `edges` and `files`.
            Nature::Deaf
            | Nature::Hasty
            | Nature::Herald
            | Nature::Late
            | Nature::Mover
            | Nature::Porter => {}
        }
    }

    fn act(&mut self, most_ms: u64, act: Act) {
        let after = self.rng.next() % (most_ms * MS + 1);
        self.acts.push((after, act));
    }

    /// Joins rooms where a slow reader misses messages instead of being closed, and says next to nothing.
    fn listen(&mut self) {
        self.homes.clear();
        for _ in 0..1 + self.rng.below(2) {
            let room = pick(&mut self.rng, &DROPPING);
            self.homes.push(room);
            self.say(200, Wish::Join(room));
        }
    }

    /// Joins a few rooms.
    fn settle(&mut self) {
        self.homes.clear();
        if self.rng.one_in(2) {
            let room = pick(&mut self.rng, &DROPPING);
            self.homes.push(room);
            self.say(200, Wish::Join(room));
        }
        for _ in 0..1 + self.rng.below(4) {
            let room = 1 + self.rng.below(ROOMS.len() - 1);
            self.homes.push(room);
            self.say(200, Wish::Join(room));
        }
    }

    fn say(&mut self, most_ms: u64, what: Wish) {
        let ask = self.ask(what);
        self.act(most_ms, Act::Say(vec![ask]));
    }

    fn ask(&mut self, what: Wish) -> Ask {
        let always = matches!(
            what,
            Wish::Join(_)
                | Wish::Leave(_)
                | Wish::Members(_)
                | Wish::Metadata
                | Wish::Ping
                | Wish::Application
                | Wish::Unknown
                | Wish::BadName
        );
        Ask {
            what,
            named: always || !self.rng.one_in(3),
        }
    }

    fn home(&mut self) -> usize {
        if self.homes.is_empty() || self.rng.one_in(12) {
            return 1 + self.rng.below(ROOMS.len() - 1);
        }
        self.homes[self.rng.below(self.homes.len())]
    }

    fn padding(&mut self) -> usize {
        match self.rng.below(8) {
            0 => self.rng.below(self.long),
            1 => self.rng.below(300),
            _ => self.rng.below(40),
        }
    }

    fn wish(&mut self) -> Wish {
        let room = self.home();
        match self.rng.below(48) {
            0..20 => Wish::Room(room, self.padding()),
            20..22 => Wish::Broadcast(self.padding()),
            22..27 => Wish::Private(self.rng.below(self.clients), self.padding()),
            27..29 => Wish::Metadata,
            29 => Wish::Hello,
            30..32 => Wish::Members(room),
            32..35 => Wish::Typing(room, true),
            35..37 => Wish::Typing(room, false),
            37..39 => Wish::Ping,
            39..41 => Wish::Leave(room),
            41..44 => {
                self.homes.push(room);
                Wish::Join(room)
            }
            44 => Wish::Application,
            45 => Wish::Unknown,
            46 => Wish::BadName,
            _ if self.rng.one_in(2) => Wish::BadJson,
            _ => Wish::Binary,
        }
    }

    fn talk(&mut self, least: u64, most: u64, most_ms: u64) {
        for _ in 0..between(&mut self.rng, least, most) {
            match self.rng.below(30) {
                0 => self.act(most_ms, Act::Ping),
                1 => {
                    let stall = MS * between(&mut self.rng, 10, 4_000);
                    self.act(most_ms, Act::Stall(stall));
                }
                2..6 => {
                    let asks = (0..1 + self.rng.below(6)).map(|_| self.wish());
                    let asks: Vec<Wish> = asks.collect();
                    let asks = asks.into_iter().map(|what| self.ask(what)).collect();
                    self.act(most_ms, Act::Say(asks));
                }
                _ => {
                    let wish = self.wish();
                    self.say(most_ms, wish);
                }
            }
        }
    }

    fn stopped(&mut self) {
        if self.rng.one_in(2) {
            self.listen();
            for _ in 0..between(&mut self.rng, 1, 6) {
                self.act(3_000, Act::Read(Reading::Stopped));
                self.act(10_000, Act::Read(Reading::Prompt));
            }
            return;
        }
        self.settle();
        self.talk(2, 10, 800);
        for _ in 0..between(&mut self.rng, 1, 4) {
            self.act(2_000, Act::Read(Reading::Stopped));
            if self.rng.one_in(4) {
                self.act(100, Act::Mute);
            }
            self.talk(0, 6, 3_000);
            self.act(20_000, Act::Read(Reading::Prompt));
            self.talk(1, 6, 800);
        }
        if self.rng.one_in(2) {
            self.act(2_000, Act::Read(Reading::Stopped));
        }
    }

    fn flooder(&mut self) {
        self.settle();
        for _ in 0..between(&mut self.rng, 2, 8) {
            let room = if self.rng.one_in(2) {
                self.homes[0]
            } else {
                self.home()
            };
            let count = between(&mut self.rng, 10, 120);
            let size = pick(&mut self.rng, &[5, 50, 400]);
            let asks = (0..count).map(|_| match self.rng.below(20) {
                0 => Wish::Broadcast(size),
                1 => Wish::Ping,
                2 => Wish::Members(room),
                3 => Wish::Typing(room, true),
                _ => Wish::Room(room, size),
            });
            let asks: Vec<Wish> = asks.collect();
            let asks = asks.into_iter().map(|what| self.ask(what)).collect();
            self.act(3_000, Act::Say(asks));
        }
    }

    fn goodbye(&mut self) {
        let act = match self.rng.below(8) {
            0 | 1 => Act::Close(Some(pick(&mut self.rng, &[1000, 1001, 3000, 4999]))),
            2 => Act::Close(None),
            3 | 4 => Act::Finish,
            5 => Act::Vanish,
            _ => Act::Reset,
        };
        self.act(1_000, act);
    }

    fn flapper(&mut self) {
        for _ in 0..between(&mut self.rng, 4, 14) {
            self.settle();
            self.talk(0, 5, 500);
            self.goodbye();
            if self.rng.one_in(4) {
                self.act(300, Act::Refused);
            }
            self.act(1_500, Act::Connect(Head::Upgrade));
        }
        self.settle();
    }

    fn liar(&mut self) {
        for _ in 0..between(&mut self.rng, 2, 6) {
            if self.rng.one_in(2) {
                self.settle();
                self.talk(0, 6, 500);
                let lie = pick(&mut self.rng, &LIES);
                self.act(500, Act::Lie(lie));
                if self.rng.one_in(2) {
                    let wish = self.wish();
                    self.say(300, wish); // nobody listens any more
                }
            } else {
                let mut asks = Vec::new();
                for _ in 0..between(&mut self.rng, 1, 30) {
                    let what = pick(&mut self.rng, &[0, 1, 2, 3]);
                    let what = match what {
                        0 => Wish::BadJson,
                        1 => Wish::Binary,
                        2 => Wish::Unknown,
                        _ => Wish::BadName,
                    };
                    asks.push(self.ask(what));
                }
                self.act(500, Act::Say(asks));
            }
            let head = pick(&mut self.rng, &HEADS);
            self.act(2_000, Act::Connect(head));
            if head != Head::Upgrade {
                self.act(12_000, Act::Connect(Head::Upgrade));
            }
        }
    }

    fn crasher(&mut self) {
        for _ in 0..between(&mut self.rng, 1, 3) {
            self.settle();
            self.talk(3, 20, 800);
            let act = match self.rng.below(4) {
                0 => Act::Vanish,
                1 => Act::Fail,
                2 => Act::Finish,
                _ => Act::Reset,
            };
            self.act(500, act);
            self.act(15_000, Act::Connect(Head::Upgrade));
        }
        // At once: in the middle of the handshake.
        let act = if self.rng.one_in(2) {
            Act::Reset
        } else {
            Act::Vanish
        };
        self.act(20, act);
    }
}

/// Rooms where messages are dropped rather than readers.
const DROPPING: [usize; 5] = [3, 3, 4, 4, 5];

const LIES: [Lie; 8] = [
    Lie::Unmasked,
    Lie::Utf8,
    Lie::Reserved,
    Lie::Opcode,
    Lie::CloseCode,
    Lie::Huge,
    Lie::Continuation,
    Lie::SplitPing,
];

const HEADS: [Head; 12] = [
    Head::Upgrade,
    Head::Upgrade,
    Head::Path,
    Head::Plain,
    Head::Method,
    Head::Origin,
    Head::Long,
    Head::Garbage,
    Head::Version,
    Head::Health,
    Head::Half,
    Head::Upgrade,
];

/// A millisecond.
const MS: u64 = 1_000;
