//! Links between the shards of one server: what one has for another is on its way for a while, and arrives in order.

use std::collections::BTreeMap;

use roomwire_core::{Input, Instant, Machine, Now, ShardId};

use super::network::{Due, HostId, Network, WALL_MS};
use super::observer::Observer;
use crate::rng::Rng;

/// How the links behave, all alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// How long a letter is on its way at least, in microseconds.
    pub latency_us: u64,
    /// At most so much is added to it, differently for each letter.
    pub jitter_us: u64,
    /// What arrives waits for the next multiple of this, so that it comes in bursts; 0: it does not.
    pub burst_us: u64,
}

/// What is on its way from one shard to another.
#[derive(Debug)]
pub enum Letter<R> {
    /// What the sender has for the other.
    Relay(R),
    /// The sender has failed and begins anew, for the so-manieth time.
    Restarted(u16),
}

/// Turns a letter from one shard to another into those that are sent instead.
pub type Courier<R> = Box<dyn FnMut(HostId, HostId, Letter<R>) -> Vec<Letter<R>>>;

/// What has arrived at a shard and was not handed in.
pub(super) enum Mail<R> {
    Letter(Letter<R>),
    Credits(u32),
}

/// All links.
pub(super) struct Links<R> {
    lag: Lag,
    lanes: BTreeMap<(usize, usize), Lane>,
    courier: Option<Courier<R>>,
    /// Letters and credits under way.
    pub(super) flying: u64,
    /// Relays taken from machines.
    pub(super) relays: u64,
}

/// From one shard to another.
#[derive(Default)]
struct Lane {
    /// Nothing arrives before what left earlier.
    last_arrival: u64,
    stalled_until: u64,
}

impl<R> Default for Links<R> {
    fn default() -> Self {
        Self {
            lag: Lag::default(),
            lanes: BTreeMap::new(),
            courier: None,
            flying: 0,
            relays: 0,
        }
    }
}

impl<R> Links<R> {
    /// When what leaves now arrives.
    fn arrival(&mut self, from: usize, to: usize, now: u64, rng: &mut Rng) -> u64 {
        let Lag {
            latency_us,
            jitter_us,
            burst_us,
        } = self.lag;
        let lane = self.lanes.entry((from, to)).or_default();
        let at = now + latency_us + rng.next() % (jitter_us + 1);
        let at = at.next_multiple_of(burst_us.max(1));
        lane.last_arrival = at.max(lane.last_arrival).max(lane.stalled_until);
        lane.last_arrival
    }
}

impl<M: Machine, O: Observer<M>> Network<M, O> {
    /// The machines are the shards of one server, in this order. Before anything else happens.
    pub fn link(&mut self, lag: Lag) {
        self.links.lag = lag;
        for host in 0..self.hosts.len() {
            self.give_credits(host);
        }
    }

    /// Changes what is sent over the links from now on, to see who notices.
    pub fn set_courier(&mut self, courier: Courier<M::Relay>) {
        self.links.courier = Some(courier);
    }

    /// Nothing arrives over one link for so long, and then all of it at once.
    pub fn stall_link(&mut self, from: HostId, to: HostId, micros: u64) {
        let until = self.now + micros;
        let lane = self.links.lanes.entry((from.0, to.0)).or_default();
        lane.stalled_until = lane.stalled_until.max(until);
    }

    /// A shard takes no more connections: they wait for its next life.
    pub fn close_door(&mut self, host: HostId) {
        self.hosts[host.0].closed = true;
    }

    /// It takes connections again.
    pub fn open_door(&mut self, host: HostId) {
        self.hosts[host.0].closed = false;
    }

    /// A shard has failed: its sockets are cut, and `machine` begins anew in its place. What was for it finds the new
    /// one; that it has begun anew is told to the others before anything else of it.
    pub fn restart(&mut self, host: HostId, machine: M, restarts: u16) {
        let entry = &mut self.hosts[host.0];
        self.observer.failed(host, &entry.machine);
        for socket in entry.fail(machine) {
            self.hang_up(socket, true);
        }
        self.give_credits(host.0);
        for other in (0..self.hosts.len()).filter(|&other| other != host.0) {
            self.post(host.0, other, Letter::Restarted(restarts));
        }
    }

    /// Relays that machines had for each other.
    pub fn relays(&self) -> u64 {
        self.links.relays
    }

    fn give_credits(&mut self, host: usize) {
        for other in (0..self.hosts.len()).filter(|&other| other != host) {
            let mail = Mail::Credits(CREDITS);
            self.hosts[host].mail.push_back((other, mail));
        }
    }

    /// Takes what a machine has for another.
    pub(super) fn carry(&mut self, from: usize, to: ShardId) {
        while let Some(relay) = self.hosts[from].machine.take_relay(to) {
            self.links.relays += 1;
            self.post(from, usize::from(to.0), Letter::Relay(relay));
        }
    }

    fn post(&mut self, from: usize, to: usize, letter: Letter<M::Relay>) {
        let letters = match &mut self.links.courier {
            Some(courier) => courier(HostId(from), HostId(to), letter),
            None => vec![letter],
        };
        for letter in letters {
            self.send(from, to, Mail::Letter(letter));
        }
    }

    fn send(&mut self, from: usize, to: usize, mail: Mail<M::Relay>) {
        let at = self.links.arrival(from, to, self.now, &mut self.rng);
        self.links.flying += 1;
        self.schedule(at, Due::Mail { from, to, mail });
    }

    /// Hands in the next thing that has arrived from another shard; `false` when there is none that can be.
    pub(super) fn mail_input(&mut self, host: usize) -> bool {
        let entry = &mut self.hosts[host];
        let relay = matches!(
            entry.mail.front(),
            Some((_, Mail::Letter(Letter::Relay(_))))
        );
        if relay && entry.full {
            return false;
        }
        let Some((other, mail)) = entry.mail.pop_front() else {
            return false;
        };
        let from = ShardId(other as u8);
        match mail {
            Mail::Letter(Letter::Relay(message)) => {
                self.input(host, Input::Relay { from, message });
                // There is room for another one.
                self.send(host, other, Mail::Credits(1));
            }
            Mail::Letter(Letter::Restarted(restarts)) => {
                let shard = from;
                self.input(host, Input::Restarted { shard, restarts });
            }
            Mail::Credits(credits) => self.input(host, Input::LinkReady { to: from, credits }),
        }
        true
    }

    /// Nobody has anything to do, and nothing is on its way between machines or done by a pool: whoever watches hears of it once.
    pub(super) fn note_quiet(&mut self) {
        if self.links.flying == 0 && self.jobs == 0 && !core::mem::replace(&mut self.quiet, true) {
            let now = Now {
                mono: Instant::from_micros(self.now),
                unix_ms: WALL_MS + self.inputs,
            };
            self.observer.quiet(now);
        }
    }
}

/// Relays that may be on their way from one shard to another, as in the adapters.
const CREDITS: u32 = 16;
