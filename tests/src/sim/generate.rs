//! From a seed to a plan: settings, clients by their nature, faults.

use core::net::Ipv4Addr;

use roomwire_core::config::{Heartbeat, Limits, ListenerConfig, RateLimit, RoomRule, SlowReader};
use roomwire_core::{Config, ListenerId, PeerAddr};

use super::host::Driving;
use super::network::Reading;
use super::peer::Codec;
use super::plan::{
    APPLICATION_TYPE, Act, Ask, ClientPlan, Head, Lie, Nature, Order, Plan, ROOMS, Wish,
};
use super::wire::Link;
use crate::rng::Rng;

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
        Self {
            seed,
            config,
            driving: driving(rng),
            clients,
            commands,
            end_us,
        }
    }
}

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.below(from.len())]
}

fn between(rng: &mut Rng, low: u64, high: u64) -> u64 {
    low + rng.next() % (high - low + 1)
}

// ---- the server

fn driving(rng: &mut Rng) -> Driving {
    Driving {
        batch: pick(rng, &[1, 2, 8, 64]),
        partial_every: pick(rng, &[0, 0, 2, 8]),
        read_bytes: pick(rng, &[64 * 1024, 64 * 1024, 4_096, 100]),
        write_bytes: pick(rng, &[usize::MAX, usize::MAX, 16 * 1024, 700]),
        slices: pick(rng, &[64, 64, 8, 1]),
        turn_us: pick(rng, &[0, 20, 500]),
    }
}

fn config(rng: &mut Rng) -> Config {
    let mut config = Config {
        heartbeat: heartbeat(rng),
        rate_limit: rate_limit(rng),
        rooms: rooms(rng),
        ..Config::default()
    };
    config.listeners = vec![ListenerConfig::default()];
    if rng.one_in(2) {
        config.listeners.push(ListenerConfig {
            raw_payloads: true,
            ..ListenerConfig::default()
        });
    }
    if rng.one_in(2) {
        config.application_types = vec![APPLICATION_TYPE.to_owned()];
    }
    let timeouts = &mut config.timeouts;
    timeouts.handshake_ms = pick(rng, &[10_000, 1_000]);
    timeouts.linger_ms = pick(rng, &[5_000, 500]);
    timeouts.welcome_delay_ms = pick(rng, &[100, 0]);
    timeouts.typing_ms = pick(rng, &[5_000, 500]);
    timeouts.application_reply_ms = pick(rng, &[10_000, 1_000]);
    config.drain.timeout_ms = pick(rng, &[10_000, 1_000]);
    config.private_messages_need_shared_room = rng.one_in(6);
    if rng.one_in(8) {
        config.broadcast = roomwire_core::config::Permission::Deny;
    }
    if rng.one_in(2) {
        small(rng, &mut config);
    }
    config
}

fn heartbeat(rng: &mut Rng) -> Heartbeat {
    let (interval_ms, timeout_ms) = pick(
        rng,
        &[(30_000, 30_000), (2_000, 1_000), (5_000, 5_000), (0, 0)],
    );
    Heartbeat {
        interval_ms,
        timeout_ms,
    }
}

fn rate_limit(rng: &mut Rng) -> RateLimit {
    match rng.below(6) {
        0 => RateLimit::default(),
        1 => RateLimit::chat(),
        2 => RateLimit {
            address_factor: 2,
            deliveries_per_second: 200,
            pings: 20,
            refusals: 10,
            ..RateLimit::custom(20, 5_000)
        },
        _ => RateLimit::off(),
    }
}

fn small(rng: &mut Rng, config: &mut Config) {
    config.limits = Limits {
        max_message_bytes: pick(rng, &[1_024, 4_096, 64 * 1024]),
        max_members_listed: pick(rng, &[3, 100]),
        max_metadata_bytes: 512,
        max_rooms_per_client: pick(rng, &[2, 256]),
        max_members_per_room: pick(rng, &[6, 100_000]),
        max_rooms: pick(rng, &[4, 1_000]),
        max_queued_messages: pick(rng, &[4, 16, 64, 65_536]),
        max_queued_events: pick(rng, &[2, 1_024]),
        max_pending_requests: pick(rng, &[2, 64]),
        max_bad_messages: pick(rng, &[2, 20]),
        max_unknown_types: pick(rng, &[None, Some(3)]),
        max_idle_addresses: pick(rng, &[2, 65_536]),
        max_connections_per_ip: pick(rng, &[None, None, Some(3)]),
        max_connections: pick(rng, &[None, None, Some(12)]),
        max_head_bytes: 1_024,
        ..Limits::default()
    };
    let least = config.min_queued_bytes();
    config.limits.max_queued_bytes = least + rng.below(8_192);
    config.limits.max_buffered_bytes = if rng.one_in(2) {
        config.min_buffered_bytes() + rng.below(64 * 1024)
    } else {
        Limits::default().max_buffered_bytes
    };
}

fn rooms(rng: &mut Rng) -> Vec<RoomRule> {
    let rule = |pattern: &str, slow_reader| RoomRule {
        pattern: pattern.to_owned(),
        slow_reader,
        ..RoomRule::default()
    };
    let mut rules = vec![
        rule("old*", SlowReader::DropOldest),
        rule("new", SlowReader::DropNewest),
        rule("last", SlowReader::Latest),
        RoomRule {
            linger_ms: between(rng, 100, 5_000),
            ..rule("linger", SlowReader::Close)
        },
        RoomRule {
            notice_members: between(rng, 1, 5) as u32,
            notice_interval_ms: between(rng, 50, 1_000),
            ..rule("sum", SlowReader::Close)
        },
    ];
    if rng.one_in(4) {
        rules.push(RoomRule {
            metadata_notices: false,
            ..rule("tea", SlowReader::DropOldest)
        });
    }
    rules
}

fn commands(rng: &mut Rng, clients: usize, end_us: u64) -> Vec<(u64, Order)> {
    let mut commands: Vec<(u64, Order)> = (0..rng.below(30))
        .map(|_| {
            let client = rng.below(clients);
            let room = 1 + rng.below(ROOMS.len() - 1);
            let order = match rng.below(12) {
                0..4 => Order::Publish(room),
                4..8 => Order::Send(client),
                8..11 => Order::Kick(client, room),
                _ => Order::Close(client, pick(rng, &[1000, 1008, 1012, 4000])),
            };
            (rng.next() % end_us, order)
        })
        .collect();
    if rng.one_in(4) {
        commands.push((end_us - end_us / between(rng, 2, 20), Order::Drain));
    }
    commands.sort_by_key(|&(at, _)| at);
    commands
}

// ---- clients

fn client(rng: &mut Rng, number: usize, count: usize, end_us: u64, config: &Config) -> ClientPlan {
    let nature = match rng.below(20) {
        0..6 => Nature::Chatty,
        6..9 => Nature::Lurker,
        9..11 => Nature::Slow,
        11..13 => Nature::Stopped,
        13..15 => Nature::Flapper,
        15 => Nature::Flooder,
        16..18 => Nature::Liar,
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
        codec: pick(rng, &[Codec::Own, Codec::Tungstenite]),
        link: link(rng, nature),
        eager: rng.one_in(3),
        fragments: pick(rng, &[1, 1, 2, 5]),
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
                self.settle();
                self.talk(5, 25, 2_000);
            }
            Nature::Stopped => self.stopped(),
            Nature::Flooder => self.flooder(),
            Nature::Flapper => self.flapper(),
            Nature::Liar => self.liar(),
            Nature::Crasher => self.crasher(),
        }
    }

    fn act(&mut self, most_ms: u64, act: Act) {
        let after = self.rng.next() % (most_ms * MS + 1);
        self.acts.push((after, act));
    }

    /// Joins a few rooms.
    fn settle(&mut self) {
        self.homes.clear();
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
            let room = self.home();
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
