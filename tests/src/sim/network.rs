//! A virtual clock, a network, and machines at one end of it.
//!
//! Everything comes from one seed. The clock stands still while there is something to do and jumps to what
//! comes next: a segment that arrives, a timer, a machine's deadline. Time on the wall is a count of inputs,
//! so that a `timestamp` in a message says during which input it was made.

use std::collections::{BTreeMap, VecDeque};

use roomwire_core::offload::Done;
use roomwire_core::{ConnectionId, Instant, ListenerId, Machine, Now, PeerAddr, TransportEnd};

use super::host::{Driving, Host};
use super::links::{Links, Mail};
use super::observer::Observer;
use super::plan::Pool;
use super::socket::Socket;
pub use super::socket::{HostId, News, Reading, SocketId};
use super::wire::{End, Link, Segment, Wire};
use crate::rng::Rng;

pub(super) enum Due<R> {
    Arrival {
        socket: usize,
        segment: Segment,
    },
    Up {
        socket: usize,
        segment: Segment,
    },
    Knock {
        socket: usize,
        refused: bool,
    },
    Read {
        socket: usize,
    },
    Mail {
        from: usize,
        to: usize,
        mail: Mail<R>,
    },
    /// What came of a job that a machine has handed over.
    Done {
        host: usize,
        done: Done,
    },
    Timer(u64),
}

/// The network and everything on it; `O` watches the machines.
pub struct Network<M: Machine, O> {
    pub(super) rng: Rng,
    pub(super) now: u64,
    pub(super) inputs: u64,
    due: BTreeMap<(u64, u64), Due<M::Relay>>,
    next_due: u64,
    pub(super) hosts: Vec<Host<M>>,
    pub(super) sockets: Vec<Socket>,
    pub(super) news: VecDeque<News<M::Event>>,
    pub(super) observer: O,
    segments: Vec<(u64, Segment)>,
    pub(super) links: Links<M::Relay>,
    /// Jobs under way.
    pub(super) jobs: u64,
    /// Nobody has had anything to do since that was told.
    pub(super) quiet: bool,
    /// Who had the last turn.
    turn: usize,
}

impl<M: Machine, O: Observer<M>> Network<M, O> {
    /// A network without machines, at one second on its clock.
    pub fn new(seed: u64, observer: O) -> Self {
        Self {
            rng: Rng::new(seed),
            now: 1_000_000,
            inputs: 0,
            due: BTreeMap::new(),
            next_due: 0,
            hosts: Vec::new(),
            sockets: Vec::new(),
            news: VecDeque::new(),
            observer,
            segments: Vec::new(),
            links: Links::default(),
            jobs: 0,
            quiet: false,
            turn: 0,
        }
    }

    /// Adds a machine, driven as `driving` says.
    pub fn add(&mut self, machine: M, driving: Driving) -> HostId {
        self.hosts.push(Host::new(machine, driving));
        HostId(self.hosts.len() - 1)
    }

    /// All drivers have a pool, of which their machines are told before anything else.
    pub fn give_pool(&mut self, pool: Pool) {
        for host in &mut self.hosts {
            host.pool = pool;
            host.told_of_pool = pool.jobs == 0;
        }
    }

    // ---- what clients do

    /// A client connects. [`News::Connected`] or [`News::Refused`] follows.
    pub fn connect(
        &mut self,
        host: HostId,
        peer: PeerAddr,
        listener: ListenerId,
        link: &Link,
    ) -> SocketId {
        self.knock(host, peer, listener, link, false)
    }

    /// A client tries to connect, and the network refuses it.
    pub fn connect_refused(&mut self, host: HostId, peer: PeerAddr, link: &Link) -> SocketId {
        self.knock(host, peer, ListenerId(0), link, true)
    }

    fn knock(
        &mut self,
        host: HostId,
        peer: PeerAddr,
        listener: ListenerId,
        link: &Link,
        refused: bool,
    ) -> SocketId {
        let socket = self.sockets.len();
        self.sockets.push(Socket {
            host: host.0,
            peer,
            listener,
            up: Wire::new(link, usize::MAX, RECEIVE_BUFFER_BYTES),
            down: Wire::new(link, link.server_buffer_bytes, link.client_buffer_bytes),
            id: None,
            wanted: true,
            blocked: false,
            finish_told: false,
            failing: false,
            hung_up: false,
            reading: Reading::Prompt,
            read_scheduled: false,
            gone: false,
            end_read: false,
        });
        let at = self.now + link.latency_us;
        self.schedule(at, Due::Knock { socket, refused });
        SocketId(socket)
    }

    /// A client writes. What does not fit the network waits in the client.
    pub fn write(&mut self, socket: SocketId, bytes: &[u8]) {
        if !self.sockets[socket.0].gone {
            self.sockets[socket.0].up.write(bytes);
            self.pump_up(socket.0);
        }
    }

    /// A client finishes writing, and goes on reading.
    pub fn finish(&mut self, socket: SocketId) {
        if !self.sockets[socket.0].gone {
            self.sockets[socket.0].up.close(End::Fin);
            self.pump_up(socket.0);
        }
    }

    /// A client resets its connection.
    pub fn reset(&mut self, socket: SocketId) {
        let entry = &mut self.sockets[socket.0];
        entry.gone = true;
        entry.down.shut();
        entry.up.close(End::Reset);
        self.pump_up(socket.0);
    }

    /// A client vanishes: nothing comes from it any more, nothing reaches it, and nobody is told.
    pub fn vanish(&mut self, socket: SocketId) {
        let entry = &mut self.sockets[socket.0];
        entry.gone = true;
        entry.up.cut();
        entry.down.cut();
    }

    /// The server's side gives up on a connection for a reason of its own; one that vanished is found dead.
    pub fn fail(&mut self, socket: SocketId) {
        self.sockets[socket.0].failing = true;
        self.make_ready(socket.0);
    }

    /// Nothing arrives at either end for so long.
    pub fn stall(&mut self, socket: SocketId, micros: u64) {
        let until = self.now + micros;
        let entry = &mut self.sockets[socket.0];
        entry.up.stall(until);
        entry.down.stall(until);
    }

    /// Sets how a client reads from now on.
    pub fn set_reading(&mut self, socket: SocketId, reading: Reading) {
        self.sockets[socket.0].reading = reading;
        self.read(socket.0);
    }

    /// The program around a machine asks for something.
    pub fn command(&mut self, host: HostId, command: M::Command) {
        self.hosts[host.0].commands.push_back(command);
    }

    /// [`News::Timer`] comes at `at`, in microseconds of [`now_us`](Self::now_us).
    pub fn set_timer(&mut self, at: u64, token: u64) {
        self.schedule(at.max(self.now), Due::Timer(token));
    }

    // ---- what can be seen

    /// The clock.
    pub fn now_us(&self) -> u64 {
        self.now
    }

    /// How many inputs machines were given.
    pub fn inputs(&self) -> u64 {
        self.inputs
    }

    /// A machine.
    pub fn machine(&self, host: HostId) -> &M {
        &self.hosts[host.0].machine
    }

    /// When a machine wants to be woken; `None` also while it has something to do.
    pub fn deadline(&self, host: HostId) -> Option<Instant> {
        self.hosts[host.0].deadline
    }

    /// The server's name of a connection, while that lives.
    pub fn connection(&self, socket: SocketId) -> Option<ConnectionId> {
        self.sockets[socket.0].id
    }

    /// The machine that a connection is for.
    pub fn host(&self, socket: SocketId) -> HostId {
        HostId(self.sockets[socket.0].host)
    }

    /// Whether a client can still write.
    pub fn is_writable(&self, socket: SocketId) -> bool {
        let entry = &self.sockets[socket.0];
        !entry.gone && !entry.up.is_closed()
    }

    /// Who watches.
    pub fn observer(&self) -> &O {
        &self.observer
    }

    /// Who watches, to be told of what the machines cannot show.
    pub fn observer_mut(&mut self) -> &mut O {
        &mut self.observer
    }

    // ---- the loop

    /// Lets things happen until there is news, but not past `until`; the clock is there then if there is none.
    pub fn next_before(&mut self, until: u64) -> Option<News<M::Event>> {
        loop {
            if let Some(news) = self.news.pop_front() {
                return Some(news);
            }
            if !self.step(until) {
                return None;
            }
        }
    }

    /// Does the next thing; `false` when there is none before `until`. The caller looks for news after it with
    /// [`take_news`](Self::take_news).
    pub fn step(&mut self, until: u64) -> bool {
        if let Some(entry) = self.due.first_entry()
            && entry.key().0 <= self.now
        {
            let due = entry.remove();
            self.happen(due);
            return true;
        }
        if let Some(host) = self.next_busy() {
            self.turn = host;
            self.quiet = false;
            self.turn(host);
            return true;
        }
        self.note_quiet();
        let next = self.due.first_key_value().map(|(&(at, _), _)| at);
        let deadlines = self.hosts.iter().filter_map(|host| host.deadline);
        let next = deadlines.map(Instant::as_micros).chain(next).min();
        match next {
            Some(at) if at <= until => {
                self.now = self.now.max(at);
                true
            }
            // No time passes where time has no end.
            Some(_) | None => {
                if until != u64::MAX {
                    self.now = self.now.max(until);
                }
                false
            }
        }
    }

    /// The next machine in turn that has something to do.
    fn next_busy(&self) -> Option<usize> {
        let count = self.hosts.len();
        let mut hosts = (1..=count).map(|after| (self.turn + after) % count);
        hosts.find(|&host| self.hosts[host].is_busy(self.now))
    }

    /// News that nobody has taken.
    pub fn take_news(&mut self) -> Option<News<M::Event>> {
        self.news.pop_front()
    }

    fn happen(&mut self, due: Due<M::Relay>) {
        match due {
            Due::Mail { from, to, mail } => {
                self.links.flying -= 1;
                self.hosts[to].mail.push_back((from, mail));
            }
            Due::Done { host, done } => {
                self.jobs -= 1;
                self.hosts[host].done.push_back(done);
            }
            Due::Timer(token) => self.news.push_back(News::Timer(token)),
            Due::Knock { socket, refused } => {
                if refused {
                    self.sockets[socket].gone = true;
                    self.news.push_back(News::Refused(SocketId(socket)));
                } else {
                    let host = self.sockets[socket].host;
                    self.hosts[host].knocks.push_back(socket);
                }
            }
            Due::Up { socket, segment } => {
                let entry = &mut self.sockets[socket];
                let late = matches!(segment, Segment::Bytes(_)) && entry.hung_up;
                entry.up.arrive(segment);
                if late {
                    // Nobody listens there any more: the network says so.
                    entry.up.shut();
                    entry.down.close(End::Reset);
                    self.pump_down(socket);
                } else {
                    self.make_ready(socket);
                }
            }
            Due::Arrival { socket, segment } => {
                self.sockets[socket].down.arrive(segment);
                self.read(socket);
            }
            Due::Read { socket } => {
                self.sockets[socket].read_scheduled = false;
                if let Reading::Slow { bytes, .. } = self.sockets[socket].reading {
                    self.take(socket, bytes);
                }
                self.read(socket);
            }
        }
    }

    /// The client reads as it does.
    fn read(&mut self, socket: usize) {
        let entry = &mut self.sockets[socket];
        if entry.gone {
            return;
        }
        match entry.reading {
            Reading::Prompt => self.take(socket, usize::MAX),
            Reading::Stopped if entry.down.ended == Some(End::Reset) => self.take(socket, 0),
            Reading::Stopped => {}
            Reading::Slow { every_us, .. } => {
                let waits = entry.down.readable() > 0 || entry.down.ended.is_some();
                if waits && !entry.end_read && !entry.read_scheduled {
                    entry.read_scheduled = true;
                    let at = self.now + every_us.max(1);
                    self.schedule(at, Due::Read { socket });
                }
            }
        }
    }

    fn take(&mut self, socket: usize, bytes: usize) {
        let entry = &mut self.sockets[socket];
        let bytes = entry.down.read(bytes);
        let id = SocketId(socket);
        if !bytes.is_empty() {
            self.news.push_back(News::Received(id, bytes));
        }
        if entry.down.readable() == 0 && !entry.end_read {
            match entry.down.ended {
                Some(End::Fin) => {
                    entry.end_read = true;
                    self.news.push_back(News::Finished(id));
                }
                Some(End::Reset) => {
                    entry.end_read = true;
                    entry.gone = true;
                    self.news.push_back(News::Reset(id));
                }
                None => {}
            }
        }
        self.pump_down(socket);
    }

    pub(super) fn schedule(&mut self, at: u64, due: Due<M::Relay>) {
        self.due.insert((at, self.next_due), due);
        self.next_due += 1;
    }

    fn pump_up(&mut self, socket: usize) {
        let mut segments = core::mem::take(&mut self.segments);
        let entry = &mut self.sockets[socket];
        entry.up.pump(self.now, &mut self.rng, &mut segments);
        for (at, segment) in segments.drain(..) {
            self.schedule(at, Due::Up { socket, segment });
        }
        self.segments = segments;
    }

    /// What the server has written travels; a server that waited for room hears of it.
    pub(super) fn pump_down(&mut self, socket: usize) {
        let mut segments = core::mem::take(&mut self.segments);
        let entry = &mut self.sockets[socket];
        entry.down.pump(self.now, &mut self.rng, &mut segments);
        let writable = entry.blocked && entry.down.free() > 0;
        for (at, segment) in segments.drain(..) {
            self.schedule(at, Due::Arrival { socket, segment });
        }
        self.segments = segments;
        if writable {
            self.make_ready(socket);
        }
    }

    /// The server has read: there is room for more.
    pub(super) fn read_up(&mut self, socket: usize, bytes: usize) -> Vec<u8> {
        let bytes = self.sockets[socket].up.read(bytes);
        self.pump_up(socket);
        bytes
    }

    pub(super) fn make_ready(&mut self, socket: usize) {
        let host = self.sockets[socket].host;
        self.hosts[host].make_ready(socket);
    }

    /// The server's end of a connection is gone.
    pub(super) fn hang_up(&mut self, socket: usize, reset: bool) {
        let entry = &mut self.sockets[socket];
        entry.id = None;
        entry.hung_up = true;
        entry.blocked = false;
        entry.up.shut();
        entry.down.close(if reset { End::Reset } else { End::Fin });
        self.pump_down(socket);
    }

    /// The reading that comes with a machine's next input.
    pub(super) fn clock(&mut self, host: usize) -> Now {
        self.inputs += 1;
        let now = Now {
            mono: Instant::from_micros(self.now),
            unix_ms: WALL_MS + self.inputs,
        };
        self.hosts[host].last_read = now;
        now
    }

    pub(super) fn parts(&mut self, host: usize) -> (&mut Host<M>, &mut Vec<Socket>, &mut O) {
        (&mut self.hosts[host], &mut self.sockets, &mut self.observer)
    }

    pub(super) fn end_of(entry: &Socket) -> Option<TransportEnd> {
        match entry.up.ended {
            Some(End::Reset) => Some(TransportEnd::Reset),
            _ if entry.failing => Some(TransportEnd::Failed),
            _ => None,
        }
    }
}

impl<M: Machine, O> core::fmt::Debug for Network<M, O> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Network")
            .field("now", &self.now)
            .field("inputs", &self.inputs)
            .field("sockets", &self.sockets.len())
            .finish_non_exhaustive()
    }
}

/// What a server's socket takes in before it is read.
const RECEIVE_BUFFER_BYTES: usize = 256 * 1024;

/// The wall clock before the first input.
pub const WALL_MS: u64 = 1_700_000_000_000;
