//! The driver of one machine: what is ready, turn by turn, and what a poll asks for.
//!
//! It keeps the driver's half of the contract and nothing more: how many inputs come before a poll, and how
//! many polls before the next input, is up to chance.

use std::collections::{BTreeMap, VecDeque};
use std::io::IoSlice;

use roomwire_core::offload::{Done, Job};
use roomwire_core::{ConnectionId, Input, Instant, Machine, Now, Output, TransportEnd, Turn};

use super::links::Mail;
use super::network::{Due, HostId, Network, News, SocketId};
use super::observer::{Accept, Observer};
use super::plan::Pool;

/// How a driver behaves, within the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Driving {
    /// At most so many inputs before a poll.
    pub batch: usize,
    /// Every so many turns only part of what comes out is polled; 0: never.
    pub partial_every: usize,
    /// Bytes of one read at most.
    pub read_bytes: usize,
    /// Bytes of one write at most.
    pub write_bytes: usize,
    /// Slices of one vectored write, at most 64.
    pub slices: usize,
    /// Microseconds that a turn takes at most.
    pub turn_us: u64,
}

impl Default for Driving {
    /// As the adapters do it.
    fn default() -> Self {
        Self {
            batch: 64,
            partial_every: 0,
            read_bytes: 64 * 1024,
            write_bytes: usize::MAX,
            slices: 64,
            turn_us: 50,
        }
    }
}

/// A machine and what its driver knows.
pub(super) struct Host<M: Machine> {
    pub(super) machine: M,
    driving: Driving,
    by_id: BTreeMap<ConnectionId, usize>,
    pub(super) knocks: VecDeque<usize>,
    pub(super) commands: VecDeque<M::Command>,
    /// What other machines have for this one, and which.
    pub(super) mail: VecDeque<(usize, Mail<M::Relay>)>,
    /// What came of what this machine has handed over, or the one before it.
    pub(super) done: VecDeque<Done>,
    pub(super) pool: Pool,
    /// The machine knows of it, or there is none.
    pub(super) told_of_pool: bool,
    /// It takes no connections.
    pub(super) closed: bool,
    /// Sockets that may have something to hand in, in the order in which they became so.
    ready: VecDeque<usize>,
    is_ready: Vec<bool>,
    pub(super) full: bool,
    idle: bool,
    pub(super) deadline: Option<Instant>,
    /// The clock as it was handed in last.
    pub(super) last_read: Now,
}

impl<M: Machine> Host<M> {
    pub(super) fn new(machine: M, driving: Driving) -> Self {
        Self {
            machine,
            driving,
            by_id: BTreeMap::new(),
            knocks: VecDeque::new(),
            commands: VecDeque::new(),
            mail: VecDeque::new(),
            done: VecDeque::new(),
            pool: Pool::default(),
            told_of_pool: true,
            closed: false,
            ready: VecDeque::new(),
            is_ready: Vec::new(),
            full: false,
            idle: true,
            deadline: None,
            last_read: Now::default(),
        }
    }

    /// Another machine begins where this one has failed; returns the sockets that it had.
    pub(super) fn fail(&mut self, machine: M) -> Vec<usize> {
        self.machine = machine;
        self.closed = false;
        self.told_of_pool = self.pool.jobs == 0;
        // The links' room is told anew.
        self.mail
            .retain(|(_, mail)| matches!(mail, Mail::Letter(_)));
        (self.full, self.idle, self.deadline) = (false, true, None);
        core::mem::take(&mut self.by_id).into_values().collect()
    }

    /// Whether there is anything to do at `now` but to sleep.
    pub(super) fn is_busy(&self, now: u64) -> bool {
        !self.idle
            || !self.ready.is_empty()
            || !(self.closed || self.knocks.is_empty())
            || !self.mail.is_empty()
            || !self.commands.is_empty()
            || !self.done.is_empty()
            || !self.told_of_pool
            || self.is_due(now)
    }

    fn is_due(&self, now: u64) -> bool {
        self.deadline.is_some_and(|at| at.as_micros() <= now)
    }

    pub(super) fn make_ready(&mut self, socket: usize) {
        if self.is_ready.len() <= socket {
            self.is_ready.resize(socket + 1, false);
        }
        if !core::mem::replace(&mut self.is_ready[socket], true) {
            self.ready.push_back(socket);
        }
    }

    fn next_ready(&mut self) -> Option<usize> {
        let socket = self.ready.pop_front()?;
        self.is_ready[socket] = false;
        Some(socket)
    }
}

impl<M: Machine, O: Observer<M>> Network<M, O> {
    /// One turn of a driver: a batch of inputs, then polls.
    pub(super) fn turn(&mut self, host: usize) {
        let driving = self.hosts[host].driving;
        let entry = &self.hosts[host];
        self.observer.turn(HostId(host), &entry.machine);
        self.now += self.rng.next() % (driving.turn_us + 1);
        if self.hosts[host].is_due(self.now) {
            self.input(host, Input::Tick);
        }
        let batch = 1 + self.rng.below(driving.batch.max(1));
        for _ in 0..batch {
            if !self.next_input(host) {
                break;
            }
        }
        let part = driving.partial_every > 0 && self.rng.one_in(driving.partial_every);
        let polls = if part {
            1 + self.rng.below(MOST_PARTIAL_POLLS)
        } else {
            usize::MAX
        };
        for _ in 0..polls {
            if self.hosts[host].idle {
                break;
            }
            self.poll(host);
        }
    }

    /// Hands in one thing that is ready; `false` when nothing can be.
    fn next_input(&mut self, host: usize) -> bool {
        if !core::mem::replace(&mut self.hosts[host].told_of_pool, true) {
            let jobs = self.hosts[host].pool.jobs;
            self.input(host, Input::PoolReady { jobs });
            return true;
        }
        if let Some(done) = self.hosts[host].done.pop_front() {
            self.input(host, Input::Done(done));
            return true;
        }
        if let Some(command) = self.hosts[host].commands.pop_front() {
            self.input(host, Input::Command(command));
            return true;
        }
        // What others have for it comes among all the rest.
        let mail = !self.hosts[host].mail.is_empty();
        if mail && self.rng.one_in(2) && self.mail_input(host) {
            return true;
        }
        if !self.hosts[host].closed
            && let Some(socket) = self.hosts[host].knocks.pop_front()
        {
            self.accept(host, socket);
            return true;
        }
        for _ in 0..self.hosts[host].ready.len() {
            let Some(socket) = self.hosts[host].next_ready() else {
                break;
            };
            if self.socket_input(host, socket) {
                return true;
            }
        }
        self.mail_input(host)
    }

    fn accept(&mut self, host: usize, socket: usize) {
        let now = self.clock(host);
        let (entry, sockets, observer) = self.parts(host);
        let (peer, listener) = (sockets[socket].peer, sockets[socket].listener);
        let id = entry.machine.accept(now, peer, listener);
        entry.idle = false;
        let what = Accept {
            socket: SocketId(socket),
            peer,
            listener,
            id,
        };
        observer.accepted(now, &what, &entry.machine);
        sockets[socket].id = id;
        match id {
            Some(id) => {
                let old = entry.by_id.insert(id, socket);
                assert_eq!(old, None, "{id} was given out twice");
                self.news.push_back(News::Connected(SocketId(socket)));
                self.make_ready(socket);
            }
            None => {
                self.news.push_back(News::Refused(SocketId(socket)));
                self.hang_up(socket, true);
            }
        }
    }

    /// Hands in one thing of a socket, if there is one.
    fn socket_input(&mut self, host: usize, socket: usize) -> bool {
        let full = self.hosts[host].full;
        let read_bytes = self.hosts[host].driving.read_bytes.max(1);
        let entry = &mut self.sockets[socket];
        let Some(connection) = entry.id else {
            return false;
        };
        if let Some(end) = Self::end_of(entry) {
            self.end(host, socket, end);
            return true;
        }
        if entry.blocked && entry.down.free() > 0 {
            entry.blocked = false;
            self.make_ready(socket);
            self.input(host, Input::Writable { connection });
            return true;
        }
        if !entry.wanted {
            return false; // it becomes ready when it is wanted again
        }
        if entry.up.readable() > 0 {
            self.make_ready(socket);
            if full {
                return false;
            }
            let most = 1 + self.rng.below(read_bytes);
            let mut bytes = self.read_up(socket, most);
            self.input(
                host,
                Input::Received {
                    connection,
                    bytes: &mut bytes,
                },
            );
            return true;
        }
        if entry.up.ended.is_some() && !entry.finish_told {
            entry.finish_told = true;
            self.input(host, Input::ReadEnd { connection });
            return true;
        }
        false
    }

    /// Tells a machine that a socket is gone.
    fn end(&mut self, host: usize, socket: usize, end: TransportEnd) {
        if let Some(connection) = self.sockets[socket].id {
            self.hosts[host].by_id.remove(&connection);
            self.hang_up(socket, true);
            self.input(host, Input::Ended { connection, end });
        }
    }

    pub(super) fn input(&mut self, host: usize, input: Input<'_, M::Command, M::Relay>) {
        let now = self.clock(host);
        let (host, _, observer) = self.parts(host);
        observer.input(now, &input, &host.machine);
        let turn = host.machine.handle(now, input);
        host.full = turn == Turn::Full;
        host.idle = false;
        host.deadline = None;
        observer.handled(now, turn, &host.machine);
    }

    fn poll(&mut self, number: usize) {
        let (host, _, observer) = self.parts(number);
        let now = host.last_read;
        let output = host.machine.poll();
        host.full = false;
        observer.polled(now, &output, &host.machine);
        match output {
            Output::Transmit { connection } => self.transmit(number, connection),
            Output::ReadInterest { connection, wanted } => {
                let socket = self.live(number, connection);
                self.sockets[socket].wanted = wanted;
                if wanted {
                    self.make_ready(socket);
                }
            }
            Output::Finish { connection } => {
                let socket = self.live(number, connection);
                let entry = &mut self.sockets[socket];
                assert!(!entry.down.is_closed(), "{connection} is finished twice");
                entry.down.close(super::wire::End::Fin);
                self.pump_down(socket);
            }
            Output::Close { connection, reset } => {
                let socket = self.live(number, connection);
                self.hosts[number].by_id.remove(&connection);
                self.hang_up(socket, reset);
            }
            Output::Event(event) => self.news.push_back(News::Event(HostId(number), event)),
            Output::Relay { to } => self.carry(number, to),
            Output::Job(job) => self.hand_over(number, job),
            Output::Again => {}
            Output::Idle { deadline } => {
                assert!(
                    deadline.is_none_or(|deadline| deadline > now.mono),
                    "the deadline {deadline:?} is not later than {:?}",
                    now.mono
                );
                let host = &mut self.hosts[number];
                host.idle = true;
                host.deadline = deadline;
            }
            _ => panic!("an output that no server has"),
        }
    }

    /// The pool does a job: when, and whether it fails, is up to chance.
    fn hand_over(&mut self, host: usize, job: Job) {
        let Pool {
            jobs,
            most_us,
            fails,
        } = self.hosts[host].pool;
        assert!(jobs > 0, "{job:?} and no pool");
        let at = self.now + self.rng.next() % (most_us + 1);
        let done = match self.rng.below(256) < usize::from(fails) {
            true => Done::failed(job.id()),
            false => job.run(),
        };
        self.jobs += 1;
        self.schedule(at, Due::Done { host, done });
    }

    fn transmit(&mut self, number: usize, connection: ConnectionId) {
        let socket = self.live(number, connection);
        // A write finds out that the peer is gone before the driver has been told.
        if let Some(end) = Self::end_of(&self.sockets[socket]) {
            self.end(number, socket, end);
            return;
        }
        let (host, sockets, observer) = self.parts(number);
        let now = host.last_read;
        let entry = &mut sockets[socket];
        assert!(
            !entry.down.is_closed(),
            "transmit on {connection}, which finished"
        );
        assert!(!entry.blocked, "transmit on {connection}, which is blocked");
        let most = host.driving.slices.clamp(1, MOST_SLICES);
        let mut slices = [IoSlice::new(&[]); MOST_SLICES];
        let filled = host.machine.unsent(connection).fill(&mut slices[..most]);
        let lent: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
        assert!(lent > 0, "transmit on {connection} with nothing to write");
        let free = entry.down.free();
        let bytes = lent.min(free).min(host.driving.write_bytes.max(1));
        let mut written = Vec::with_capacity(bytes);
        for slice in &slices[..filled] {
            let left = bytes - written.len();
            written.extend_from_slice(&slice[..slice.len().min(left)]);
        }
        entry.down.write(&written);
        entry.blocked = bytes == free && bytes < lent;
        let blocked = entry.blocked;
        observer.wrote(now, connection, &written, lent);
        self.pump_down(socket);
        self.input(
            number,
            Input::Sent {
                connection,
                bytes,
                blocked,
            },
        );
    }

    fn live(&self, host: usize, connection: ConnectionId) -> usize {
        let socket = self.hosts[host].by_id.get(&connection).copied();
        socket.unwrap_or_else(|| panic!("{connection} is named, which is not alive"))
    }
}

/// A turn that is cut short polls at most so often.
const MOST_PARTIAL_POLLS: usize = 6;

/// What one vectored write takes.
const MOST_SLICES: usize = 64;
