//! A server of several shards as one machine: what a client sees must be the same.
//!
//! The shards share a thread and a clock. What one relays to another arrives before anything else happens, or as
//! late as [`Lag`] makes it. Connections are dealt out in turn. With one shard this is the server itself.

use core::ops::Deref;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use roomwire_core::cluster::Relay;
use roomwire_core::server::{Command, Event, Place};
use roomwire_core::{
    ConnectionId, Input, Instant, ListenerId, Machine, Now, Output, PeerAddr, Server, ShardId,
    Stats, Turn, Unsent, ValidConfig,
};

use crate::rng::Rng;

/// How long what is relayed is on its way, in microseconds: by chance, in order on each link.
#[derive(Clone, Debug)]
pub struct Lag {
    /// Chance.
    pub rng: Rng,
    /// At most so long, mostly.
    pub most_us: u64,
    /// Of a thousand, so many take [`stall_us`](Self::stall_us).
    pub stalls_per_mille: usize,
    /// How long those take.
    pub stall_us: u64,
}

/// All shards of a server.
#[derive(Debug)]
pub struct Shards {
    shards: Vec<Shard>,
    config: ValidConfig,
    seed: [u8; 32],
    lag: Option<Lag>,
    now: Now,
    /// Whose turn it is to be polled.
    turn: usize,
    /// Who gets the next connection.
    next: usize,
    /// The links have credits.
    linked: bool,
    /// How many have been drained.
    drained: usize,
    /// What is relayed from one to another arrives no sooner.
    held: BTreeMap<(u8, u8), Instant>,
}

#[derive(Debug)]
struct Shard {
    server: Server,
    restarts: u16,
    /// What each of the others has relayed, and when it arrives.
    inboxes: Vec<VecDeque<(Instant, Letter)>>,
    /// Since the last input. `Some`: nothing to do before the deadline.
    idle: Option<Option<Instant>>,
}

#[derive(Debug)]
enum Letter {
    Relay(Relay),
    Restarted(u16),
}

/// How many shards tests run with that do not say: `ROOMWIRE_TEST_SHARDS`, or one.
pub fn shards_of_tests() -> u8 {
    let set = std::env::var("ROOMWIRE_TEST_SHARDS").ok();
    set.map_or(1, |count| count.parse().expect("a number of shards"))
}

impl Shards {
    /// A server of so many shards.
    pub fn new(config: &ValidConfig, seed: [u8; 32], count: u8) -> Self {
        let shard = |shard| Shard {
            server: Server::shard(
                config.clone(),
                seed,
                Place {
                    shard: ShardId(shard),
                    shards: count,
                    restarts: 0,
                },
            ),
            restarts: 0,
            inboxes: (0..count).map(|_| VecDeque::new()).collect(),
            idle: None,
        };
        Self {
            shards: (0..count).map(shard).collect(),
            config: config.clone(),
            seed,
            lag: None,
            now: Now::default(),
            turn: 0,
            next: 0,
            linked: false,
            drained: 0,
            held: BTreeMap::new(),
        }
    }

    /// What is relayed takes its time from now on.
    pub fn set_lag(&mut self, lag: Lag) {
        self.lag = Some(lag);
    }

    /// What one relays to another from now on arrives after so long at the earliest.
    pub fn hold(&mut self, from: ShardId, to: ShardId, micros: u64) {
        let until = self.now.mono + Duration::from_micros(micros);
        self.held.insert((from.0, to.0), until);
    }

    /// A shard fails, and begins anew without connections.
    pub fn restart(&mut self, shard: ShardId) {
        let count = self.shards.len() as u8;
        let failed = &mut self.shards[usize::from(shard.0)];
        failed.restarts += 1;
        let restarts = failed.restarts;
        let place = Place {
            shard,
            shards: count,
            restarts: failed.restarts,
        };
        failed.server = Server::shard(self.config.clone(), self.seed, place);
        failed.idle = None;
        for to in (0..count).map(ShardId).filter(|&to| to != shard) {
            self.post(shard, to, Letter::Restarted(restarts));
            self.grant(shard, to, CREDITS);
        }
    }

    /// A shard has failed, and says goodbye to its clients.
    pub fn abandon(&mut self, shard: ShardId) {
        let now = self.now;
        let failed = &mut self.shards[usize::from(shard.0)];
        failed.idle = None;
        let _ = failed.server.handle(now, Input::Command(Command::Abandon));
    }

    /// The clock goes on. All shards begin with the first input.
    fn advance(&mut self, now: Now) {
        self.now = now;
        if self.linked {
            return;
        }
        self.linked = true;
        let count = self.shards.len() as u8;
        let pairs = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
        for (from, to) in pairs.filter(|(from, to)| from != to) {
            self.grant(ShardId(from), ShardId(to), CREDITS);
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.shards.len()
    }

    /// Counters and gauges of all shards together.
    pub fn stats(&self) -> Stats {
        let mut all = Stats::default();
        for shard in &self.shards {
            all += shard.server.stats();
        }
        all
    }

    /// The shards, each by itself.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.shards.iter().map(|shard| &shard.server)
    }

    fn of(&mut self, connection: ConnectionId) -> &mut Shard {
        let index = usize::from(connection.shard().0);
        let index = if index < self.shards.len() { index } else { 0 };
        &mut self.shards[index]
    }

    fn grant(&mut self, of: ShardId, to: ShardId, credits: u32) {
        let (now, shard) = (self.now, &mut self.shards[usize::from(of.0)]);
        shard.idle = None;
        let _ = shard.server.handle(now, Input::LinkReady { to, credits });
    }

    /// Takes what a shard has for another.
    fn carry(&mut self, from: ShardId, to: ShardId) {
        while let Some(relay) = self.shards[usize::from(from.0)].server.take_relay(to) {
            self.post(from, to, Letter::Relay(relay));
        }
    }

    fn post(&mut self, from: ShardId, to: ShardId, letter: Letter) {
        let on_its_way = self.lag.as_mut().map_or(0, Lag::next);
        let held = self.held.get(&(from.0, to.0)).copied();
        let inbox = &mut self.shards[usize::from(to.0)].inboxes[usize::from(from.0)];
        let before = inbox.back().map_or(Instant::ZERO, |&(at, _)| at);
        let at = self.now.mono + Duration::from_micros(on_its_way);
        let at = at.max(before).max(held.unwrap_or(Instant::ZERO));
        inbox.push_back((at, letter));
    }

    /// Hands a shard what the others have for it, as far as it has arrived.
    fn deliver(&mut self, shard: usize) {
        let now = self.now;
        for from in 0..self.shards.len() {
            while let Some(letter) = self.next_letter(shard, from) {
                let from = ShardId(from as u8);
                let this = &mut self.shards[shard];
                this.idle = None;
                let turn = match letter {
                    Letter::Relay(message) => {
                        let turn = this.server.handle(now, Input::Relay { from, message });
                        self.grant(from, ShardId(shard as u8), 1);
                        turn
                    }
                    Letter::Restarted(restarts) => {
                        let input = Input::Restarted {
                            shard: from,
                            restarts,
                        };
                        this.server.handle(now, input)
                    }
                };
                if turn == Turn::Full {
                    return;
                }
            }
        }
    }

    fn next_letter(&mut self, shard: usize, from: usize) -> Option<Letter> {
        let inbox = &mut self.shards[shard].inboxes[from];
        let &(at, _) = inbox.front()?;
        let arrived = (at <= self.now.mono).then(|| inbox.pop_front())?;
        arrived.map(|(_, letter)| letter)
    }

    /// When the next letter arrives.
    fn next_arrival(&self) -> Option<Instant> {
        let inboxes = self.shards.iter().flat_map(|shard| &shard.inboxes);
        let next = inboxes.filter_map(|inbox| inbox.front());
        next.map(|&(at, _)| at).min()
    }
}

impl Lag {
    fn next(&mut self) -> u64 {
        if self.rng.below(1_000) < self.stalls_per_mille {
            return self.stall_us;
        }
        self.rng.next() % (self.most_us + 1)
    }
}

/// Messages that may be on their way between two shards.
const CREDITS: u32 = 4;

/// The first shard, for what all have in common.
impl Deref for Shards {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.shards[0].server
    }
}

impl AsRef<Server> for Shards {
    fn as_ref(&self) -> &Server {
        self
    }
}

impl Machine for Shards {
    type Command = Command;
    type Event = Event;
    type Relay = Relay;

    fn accept(&mut self, now: Now, peer: PeerAddr, listener: ListenerId) -> Option<ConnectionId> {
        self.advance(now);
        let next = self.next;
        self.next = (next + 1) % self.shards.len();
        let shard = &mut self.shards[next];
        shard.idle = None;
        shard.server.accept(now, peer, listener)
    }

    fn handle(&mut self, now: Now, input: Input<'_, Command, Relay>) -> Turn {
        self.advance(now);
        let connection = match &input {
            Input::Received { connection, .. }
            | Input::Sent { connection, .. }
            | Input::Writable { connection }
            | Input::ReadEnd { connection }
            | Input::Ended { connection, .. }
            | Input::Connected { connection }
            | Input::ConnectFailed { connection }
            | Input::Command(
                Command::Send { connection, .. }
                | Command::Kick { connection, .. }
                | Command::Close { connection, .. }
                | Command::Explain { connection, .. },
            ) => *connection,
            Input::Command(Command::Reply { request, .. } | Command::Fail { request }) => {
                let shard = &mut self.shards[usize::from(request.shard().0)];
                shard.idle = None;
                return shard.server.handle(now, input);
            }
            Input::Done(done) => {
                let shard = &mut self.shards[usize::from(done.id().shard().0)];
                shard.idle = None;
                return shard.server.handle(now, input);
            }
            Input::PoolReady { jobs } => {
                for shard in &mut self.shards {
                    shard.idle = None;
                    let _ = shard.server.handle(now, Input::PoolReady { jobs: *jobs });
                }
                return Turn::Open;
            }
            Input::Command(Command::GiveSession { shard, .. }) => {
                let shard = &mut self.shards[usize::from(shard.0)];
                shard.idle = None;
                return shard.server.handle(now, input);
            }
            Input::Command(Command::TakeSession { client, asked_ms }) => {
                for shard in &mut self.shards {
                    shard.idle = None;
                    let (client, asked_ms) = (*client, *asked_ms);
                    let take = Command::TakeSession { client, asked_ms };
                    let _ = shard.server.handle(now, Input::Command(take));
                }
                return Turn::Open;
            }
            Input::Command(Command::Publish { .. }) => {
                let shard = &mut self.shards[0];
                shard.idle = None;
                return shard.server.handle(now, input);
            }
            Input::Command(Command::Drain) => {
                for shard in &mut self.shards {
                    shard.idle = None;
                    let _ = shard.server.handle(now, Input::Command(Command::Drain));
                }
                return Turn::Open;
            }
            _ => {
                let mut turn = Turn::Open;
                for shard in &mut self.shards {
                    shard.idle = None;
                    if shard.server.handle(now, Input::Tick) == Turn::Full {
                        turn = Turn::Full;
                    }
                }
                return turn;
            }
        };
        let shard = self.of(connection);
        shard.idle = None;
        shard.server.handle(now, input)
    }

    fn poll(&mut self) -> Output<Event> {
        loop {
            let turn = self.turn;
            self.deliver(turn);
            if self.shards[turn].idle.is_none() {
                match self.shards[turn].server.poll() {
                    Output::Relay { to } => self.carry(ShardId(turn as u8), to),
                    Output::Idle { deadline } => self.shards[turn].idle = Some(deadline),
                    // The server is drained when all of it is.
                    Output::Event(Event::Drained) if self.drained + 1 < self.shards.len() => {
                        self.drained += 1;
                    }
                    output => return output,
                }
                continue;
            }
            let now = self.now.mono;
            let arrived = |inbox: &VecDeque<(Instant, Letter)>| {
                inbox.front().is_some_and(|&(at, _)| at <= now)
            };
            let busy = |shard: &Shard| shard.idle.is_none() || shard.inboxes.iter().any(arrived);
            match self.shards.iter().position(busy) {
                Some(next) => self.turn = next,
                None => {
                    let deadlines = self.shards.iter().filter_map(|shard| shard.idle.flatten());
                    return Output::Idle {
                        deadline: deadlines.chain(self.next_arrival()).min(),
                    };
                }
            }
        }
    }

    fn unsent(&self, connection: ConnectionId) -> Unsent<'_> {
        let shard = self.shards.get(usize::from(connection.shard().0));
        shard.map_or(Unsent::EMPTY, |shard| shard.server.unsent(connection))
    }

    fn take_relay(&mut self, _: ShardId) -> Option<Relay> {
        None
    }
}
