//! A room server as a [`Machine`]: the composition of everything else.
//!
//! This folder only dispatches: each file is one kind of input or one part of the protocol, written as
//! methods of [`Server`]. Frames, HTTP, JSON, limits, queues and rooms are modules of their own that know
//! nothing of each other.

mod addresses;
mod admission;
mod adoption;
mod answers;
mod away;
mod batch;
mod catch_up;
mod closing;
mod commands;
mod compression;
mod deadlines;
mod event;
mod explain;
mod fanout;
mod files;
mod held;
mod history;
mod identity;
mod input;
mod mail;
mod membership;
mod memory;
mod messages;
mod offload;
mod poll;
mod presence;
mod proxies;
mod publish;
mod refusals;
mod repeats;
mod request;
mod sessions;
mod shards;
mod timing;
mod unfinished;
mod web;
mod welcome;

use std::collections::{BTreeMap, VecDeque};

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::arena::Arena;
use crate::auth::proxies::Proxies;
use crate::cluster::Relay;
use crate::cluster::link::Links;
use crate::cluster::message::Holds;
use crate::config::{ListenerConfig, ValidConfig};
use crate::dialect::binary::BinaryLimits;
use crate::dialect::json::JsonLimits;
use crate::id::{ClientId, ConnectionId};
use crate::machine::{
    Input, ListenerId, Machine, Output, PeerAddr, ShardId, TransportEnd, Turn, Unsent,
};
use crate::room::registry::Registry;
use crate::room::{LOBBY, LOBBY_SERIAL, Room};
use crate::session::connection::{Connection, Preface, Stage};
use crate::session::facts::Facts;
use crate::session::outbox::{Outboxes, flag};
use crate::session::timers::Timers;
use crate::stats::{Counting, Stats};
use crate::steps::Steps;
use crate::time::{Instant, Now};
use crate::websocket::MessageLimits;

use addresses::{Address, Addresses};
use admission::Quotas;
pub use adoption::UpgradeRequest;
use answers::Pending;
use batch::Replies;
pub(crate) use batch::Rest;
use commands::Farewell;
use compression::Compression;
use deadlines::Deadlines;
pub use event::{CloseCause, Command, Event, Outcome, RequestToken};
pub use explain::{MessageName, Verdict};
use files::Files;
pub(crate) use files::NextBinary;
use held::Held;
use history::Histories;
pub(crate) use mail::Mail;
pub use memory::Memory;
use offload::Jobs;
use refusals::Refusals;
pub use refusals::Refused;
use repeats::Repeats;
use sessions::Sessions;
pub use sessions::{NoSession, SavedSession};
pub use shards::Place;
pub(crate) use shards::Waiting;
use timing::class;
use unfinished::Unfinished;

/// A room server. Drive it as [`Machine`] says; the crate's front page shows the loop.
#[derive(Debug)]
pub struct Server {
    /// Which one of its shards it is.
    shard: ShardId,
    /// How often it has begun anew.
    restarts: u16,
    links: Links,
    config: ValidConfig,
    json_limits: JsonLimits,
    binary_limits: BinaryLimits,
    message_limits: MessageLimits,
    quotas: Quotas,
    /// The trusted proxies of each listener.
    proxies: Vec<Proxies>,
    /// Those in front of the server that has accepted what is adopted.
    adopted_proxies: Proxies,
    now: Now,
    /// The time of the first input, from which uptime counts.
    started: Option<Instant>,
    rng: ChaCha12Rng,
    /// Hides the slot in client ids, and picks ping phases.
    key: u64,

    connections: Arena<Connection>,
    outboxes: Outboxes,
    timers: Timers,
    /// Deadlines that are no connection's timer.
    deadlines: Deadlines,
    /// Clients that are not read from for a while, and until when.
    throttled: BTreeMap<u32, Instant>,
    unfinished: Unfinished,
    jobs: Jobs,
    addresses: Addresses,
    sessions: Sessions,
    /// Messages that would be known again.
    repeats: Repeats,
    refusals: Refusals,

    rooms: Registry<Room>,
    files: Files,
    /// What rooms keep of what is said in them.
    histories: Histories,
    /// The serial of the room that was made last.
    last_room: u32,
    /// Rooms that have their home on another shard.
    mirrors: usize,
    /// Tells the requests apart that other shards answer.
    last_ticket: u64,
    /// What the other shards were told that this one holds.
    told_holds: Holds,
    /// They are about to be told again.
    telling_holds: bool,
    /// Rooms with messages that wait for a seal.
    dirty: Vec<u32>,
    /// Rooms of the seal under way.
    sealing: Vec<u32>,
    /// Rooms with messages that wait for a moment first.
    held: Held,

    news: VecDeque<News>,
    /// Events of `news` that count against the limit.
    application_news: usize,
    /// What they carry.
    application_bytes: usize,
    pending: Pending,
    /// Connections with a tail to go on with.
    backlog: VecDeque<u32>,
    /// The transmit that the driver has not answered.
    awaiting: Option<ConnectionId>,
    drain: Drain,
    farewell: Farewell,
    /// When it has taken long enough.
    drain_due: Instant,

    /// Connections whose socket lives.
    live: usize,
    clients: usize,
    /// Memory of tails, unfinished messages, and messages that rooms keep.
    input_bytes: usize,
    stats: Stats,
    scratch: Vec<u8>,
    compression: Compression,
    /// Replies to a batch.
    replies: Replies,
    /// Clients with a batch that had to stop.
    stopped_batches: usize,
    /// Work that none of the structures counts.
    steps: Steps,
}

/// News that has not been polled yet. What happened to a connection is told from its slot.
#[derive(Debug)]
enum News {
    Opened(u32),
    Resumed(u32, ClientId),
    Ended(u32),
    Application(Box<Event>),
    /// It goes to another server, or comes from there.
    Session(Box<Event>),
    Refused(Refused),
    Drained,
}

/// How far the server has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drain {
    No,
    /// Connections below this slot have been told.
    Telling(u32),
    Waiting,
    Done,
}

impl Server {
    /// A server with no connections. `seed` must be unpredictable: client ids and hash keys come from it. The
    /// same seed, config and inputs give the same outputs.
    pub fn new(config: ValidConfig, seed: [u8; 32]) -> Self {
        Self::shard(config, seed, Place::ALONE)
    }

    /// One shard of a server, without connections. All of its shards have the same config and seed, and what each
    /// has for another ([`Output::Relay`]) is handed on in order; see [`Machine::take_relay`].
    ///
    /// Limits for the whole server: each shard has its part of `max_buffered_bytes`. What the others have of
    /// `max_connections`, `max_rooms` and `max_connections_per_ip` it knows as late as relays arrive, so that by as
    /// much as comes meanwhile there may be more. A driver begins by granting credits for every link ([`Input::LinkReady`]).
    ///
    /// # Panics
    /// If `place` is no place: `shard` must be below `shards`.
    pub fn shard(config: ValidConfig, seed: [u8; 32], place: Place) -> Self {
        let Place {
            shard,
            shards,
            restarts,
        } = place;
        assert!(shard.0 < shards, "shard {shard} of {shards}: count from 0");
        let mut rng = ChaCha12Rng::from_seed(seed);
        let key = identity::next_u64(&mut rng);
        // The same key, as all must understand each other's ids; but no two the same ids.
        rng.set_stream(u64::from(restarts) << 8 | u64::from(shard.0));
        let mut rooms = Registry::new(identity::next_u64(&mut rng));
        let lobby = rooms.insert(
            "",
            Room::new(membership::lobby_rule(), LOBBY_SERIAL, ShardId(0)),
        );
        debug_assert_eq!(lobby, LOBBY);
        let limits = &config.limits;
        let mut outboxes = Outboxes::new(limits.max_queued_bytes, limits.max_queued_messages);
        outboxes.facts = Facts::new(config.explain.entries);
        let mut links = Links::new(usize::from(shards), limits.max_relay_bytes);
        if restarts > 0 {
            links.await_greetings();
        }
        Self {
            shard,
            restarts,
            links,
            json_limits: JsonLimits::from(limits),
            binary_limits: BinaryLimits::from(limits),
            message_limits: MessageLimits {
                max_frame_bytes: limits.max_frame_bytes.unwrap_or(limits.max_message_bytes),
                max_message_bytes: limits.max_message_bytes,
            },
            quotas: Quotas::new(&config.rate_limit, limits),
            proxies: config.listeners.iter().map(proxies_of).collect(),
            adopted_proxies: proxies_of(&config.adopted),
            now: Now::default(),
            started: None,
            rng,
            key,
            connections: Arena::new(shard, restarts),
            outboxes,
            timers: Timers::new(class::durations(&config)),
            deadlines: Deadlines::default(),
            throttled: BTreeMap::new(),
            unfinished: Unfinished::default(),
            jobs: Jobs::new(shard, restarts),
            addresses: Addresses::new(key, limits.max_idle_addresses),
            sessions: Sessions::new(&seed, config.sessions.key.as_ref()),
            repeats: Repeats::default(),
            refusals: Refusals::default(),
            rooms,
            files: Files::new(&config, u64::from(restarts) << 29),
            histories: Histories::default(),
            last_room: LOBBY_SERIAL,
            mirrors: 0,
            last_ticket: u64::from(restarts) << 48,
            told_holds: Holds::default(),
            telling_holds: false,
            dirty: Vec::new(),
            sealing: Vec::new(),
            held: Held::new(&config),
            news: VecDeque::new(),
            application_news: 0,
            application_bytes: 0,
            pending: Pending::new(shard, restarts),
            backlog: VecDeque::new(),
            awaiting: None,
            drain: Drain::No,
            farewell: Farewell {
                code: config.drain.code,
                reason: "server is restarting",
                is_for_all: true,
            },
            drain_due: Instant::ZERO,
            live: 0,
            clients: 0,
            input_bytes: 0,
            stats: Stats::default(),
            scratch: Vec::new(),
            compression: Compression::new(&config.compression),
            replies: Replies::default(),
            stopped_batches: 0,
            steps: Steps::new(),
            config,
        }
    }

    /// Counters and gauges as they stand. O(1).
    pub fn stats(&self) -> Stats {
        Stats {
            connections: self.live,
            clients: self.clients,
            rooms: self.rooms_held(),
            buffered_bytes: self.buffered_bytes(),
            history_bytes: self.histories.bytes(),
            held: self.held.rooms().len(),
            mail_lost: self.sessions.mail_lost,
            ids_forgotten: self.repeats.forgotten + self.sessions.ids_forgotten,
            discarded: self.outboxes.discarded_messages,
            coalesced_pongs: self.outboxes.coalesced_pongs,
            ..self.stats
        }
    }

    /// Steps of work since the server was made: each connection, room member, queue node, timer, deadline or room
    /// that was looked at is one, and so is each operation on a map. What an input or a poll costs is the
    /// difference. Bytes are not counted. Only with the feature `count-steps`, which is for tests: counting
    /// costs time. O(1).
    #[cfg(feature = "count-steps")]
    pub fn steps(&self) -> u64 {
        let parts = [
            self.connections.steps(),
            self.outboxes.steps(),
            self.timers.steps(),
            self.deadlines.steps(),
            self.unfinished.steps(),
            self.addresses.steps(),
            self.rooms.steps(),
            self.pending.steps(),
            self.files.steps(),
            &self.steps,
        ];
        parts.into_iter().map(Steps::count).sum()
    }

    /// The config it runs with.
    pub fn config(&self) -> &ValidConfig {
        &self.config
    }

    fn listener(&self, listener: ListenerId) -> &ListenerConfig {
        if listener == ListenerId::ADOPTED {
            return &self.config.adopted;
        }
        let listeners = &self.config.listeners;
        listeners
            .get(listener.0 as usize)
            .unwrap_or(&UNKNOWN_LISTENER)
    }

    /// The proxies that `listener` believes.
    fn proxies(&self, listener: ListenerId) -> Option<&Proxies> {
        if listener == ListenerId::ADOPTED {
            return Some(&self.adopted_proxies);
        }
        self.proxies.get(listener.0 as usize)
    }

    /// Whether a far end is a proxy that `listener` believes.
    fn trusts(&self, listener: ListenerId, peer: PeerAddr) -> bool {
        let proxies = self.proxies(listener);
        proxies.is_some_and(|proxies| proxies.trusts(peer))
    }

    /// The slot that `id` names, unless its connection ended. Counts stale ids.
    fn resolve(&mut self, id: ConnectionId) -> Option<u32> {
        let live = self.connections.resolve(id).filter(|&index| {
            let connection = self.connections.get(index);
            connection.is_some_and(|connection| !matches!(connection.stage, Stage::Over(_)))
        });
        if live.is_none() {
            self.stats.stale += 1;
        }
        live
    }

    fn advance(&mut self, now: Now) {
        if now.mono < self.now.mono {
            self.stats.time_went_back += 1;
        }
        self.now = Now {
            mono: now.mono.max(self.now.mono),
            unix_ms: now.unix_ms,
        };
        self.started.get_or_insert(self.now.mono);
    }

    /// Whether a new connection, already counted at its address, can be taken; counts why not.
    fn has_room_for(&mut self, address: u32, peer: PeerAddr, listener: ListenerId) -> bool {
        if self.is_full() || self.connections.is_full() || self.drain != Drain::No {
            self.stats.refused_connections += 1;
            self.note_refusal(Refused::Full, peer);
            return false;
        }
        !self.refuses_unproxied(listener, peer) && self.has_room_at(address, peer, listener)
    }

    /// Whether an address has no more connections than it may, one of `peer` being counted already; counts it
    /// if not.
    fn has_room_at(&mut self, address: u32, peer: PeerAddr, listener: ListenerId) -> bool {
        let fits = self.connections_at(address) <= self.most_at(peer, listener);
        if !fits {
            self.stats.refused_addresses += 1;
            self.note_refusal(Refused::Address, peer);
        }
        fits
    }

    /// Connections of an address, as far as this shard knows.
    fn connections_at(&self, address: u32) -> u32 {
        let entry = self.addresses.get(address);
        let elsewhere = entry.map_or(0, |entry| self.links.connections_elsewhere(entry.key));
        let here = entry.map_or(0, Address::connections);
        here.saturating_add(elsewhere)
    }

    /// How many connections there may be from where `peer` is. Proxies that are trusted have as many as they need.
    fn most_at(&self, peer: PeerAddr, listener: ListenerId) -> u32 {
        match self.config.limits.max_connections_per_ip {
            _ if self.trusts(listener, peer) => u32::MAX,
            None if addresses::is_local(peer) => u32::MAX,
            None => addresses::DEFAULT_PER_ADDRESS,
            Some(limit) => limit,
        }
    }

    /// Whether others may need the place of a connection: there are as many as there may be, of its address or of
    /// all.
    fn is_place_wanted(&self, index: u32) -> bool {
        let Some(connection) = self.connections.get(index) else {
            return false;
        };
        let (address, peer) = (connection.address, (&connection.peer).into());
        self.is_full()
            || self.connections.is_full()
            || self.connections_at(address) >= self.most_at(peer, connection.listener)
    }
}

impl AsRef<Self> for Server {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl Counting for Server {
    fn stats(&self) -> Stats {
        Self::stats(self)
    }
}

impl Machine for Server {
    type Command = Command;
    type Event = Event;
    type Relay = Relay;

    fn accept(&mut self, now: Now, peer: PeerAddr, listener: ListenerId) -> Option<ConnectionId> {
        self.advance(now);
        let address = self.addresses.enter(peer);
        if !self.has_room_for(address, peer, listener) {
            self.leave_address(address);
            return None;
        }
        self.tell_address(address, 0);
        let preface = Preface::of(self.listener(listener));
        let id = self
            .connections
            .insert(Connection::new(peer, listener, address, preface));
        self.outboxes.open(id.index());
        self.timers.open(id.index());
        self.timers.arm(id.index(), class::HANDSHAKE, self.now.mono);
        self.stats.accepted += 1;
        self.live += 1;
        Some(id)
    }

    fn handle(&mut self, now: Now, input: Input<'_, Command, Self::Relay>) -> Turn {
        self.advance(now);
        if self.awaiting.is_some() {
            self.check_awaited(&input);
        }
        match input {
            Input::Tick => {}
            Input::LinkReady { to, credits } => self.links.grant(to, credits),
            Input::Received { connection, bytes } => {
                if let Some(index) = self.resolve(connection) {
                    self.received(index, bytes);
                }
            }
            Input::Sent {
                connection,
                bytes,
                blocked,
            } => {
                if let Some(index) = self.resolve(connection) {
                    self.sent(index, bytes, blocked);
                }
            }
            Input::Writable { connection } => {
                if let Some(index) = self.resolve(connection) {
                    self.writable(index);
                }
            }
            Input::ReadEnd { connection } => {
                if let Some(index) = self.resolve(connection) {
                    self.read_end(index);
                }
            }
            Input::Ended { connection, end } => {
                if let Some(index) = self.resolve(connection) {
                    self.ended(index, end);
                }
            }
            // A server opens no connections.
            Input::Connected { .. } | Input::ConnectFailed { .. } => self.stats.stale += 1,
            Input::Relay { from, message } => self.relayed(from, message),
            Input::Restarted { shard, restarts } => self.shard_restarted(shard, restarts),
            Input::PoolReady { jobs } => self.pool_is_ready(jobs),
            Input::Done(done) => self.job_is_done(done),
            Input::Command(command) => self.command(command),
        }
        self.turn()
    }

    fn poll(&mut self) -> Output<Event> {
        self.next_output()
    }

    fn unsent(&self, connection: ConnectionId) -> Unsent<'_> {
        match self.connections.resolve(connection) {
            Some(index) => Unsent::queue(self.outboxes.unsent(index), self.says_last(index)),
            None => Unsent::EMPTY,
        }
    }

    fn take_relay(&mut self, to: ShardId) -> Option<Relay> {
        let relay = self.links.take(to);
        self.stats.relayed += u64::from(relay.is_some());
        relay
    }
}

impl Server {
    /// Whether there is room for more input.
    fn turn(&self) -> Turn {
        let limits = &self.config.limits;
        let events = self.application_news >= limits.max_queued_events
            || self.application_bytes >= limits.max_queued_event_bytes;
        if events || self.outboxes.unsealed_bytes() >= UNSEALED_BYTES {
            Turn::Full
        } else {
            Turn::Open
        }
    }

    /// Whether there is no room for more.
    fn is_overloaded(&self) -> bool {
        self.is_full() || self.buffered_bytes() > self.max_buffered_bytes()
    }

    /// Memory of queues, tails and unfinished messages.
    fn buffered_bytes(&self) -> usize {
        self.outboxes.buffers.used_bytes() + self.input_bytes + self.files.body_bytes()
    }

    /// Notes a transmit that another input overtook.
    fn check_awaited(&mut self, input: &Input<'_, Command, Relay>) {
        let about = match input {
            Input::Sent { connection, .. } | Input::Ended { connection, .. } => Some(*connection),
            _ => None,
        };
        if about != self.awaiting {
            self.stats.unanswered_transmits += 1;
            // The bytes are still queued: they are offered again.
            if let Some(index) = self.awaiting.and_then(|id| self.connections.resolve(id)) {
                self.outboxes.raise(index, flag::TRANSMIT);
            }
        }
        self.awaiting = None;
    }

    fn ended(&mut self, index: u32, end: TransportEnd) {
        let cause = match end {
            TransportEnd::Failed => CloseCause::Command,
            _ => CloseCause::Lost,
        };
        self.disconnect(index, cause, closing::ABNORMAL);
        self.bury(index);
    }
}

/// What is offered at a listener that the config does not name.
static UNKNOWN_LISTENER: ListenerConfig = ListenerConfig::DEFAULT;

/// A config that was validated has only lists that can be read; any other trusts nobody.
fn proxies_of(listener: &ListenerConfig) -> Proxies {
    Proxies::parse(&listener.trusted_proxies).unwrap_or_default()
}

/// A turn's new bytes for all rooms and clients; past this the driver has to poll. Larger than one read, so
/// that publishes ride together; small enough to stay in cache.
const UNSEALED_BYTES: usize = 256 * 1024;
