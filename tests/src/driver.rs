//! A driver for any machine: a virtual clock, pipes instead of sockets, and the contract checked at every step.
//!
//! It keeps the driver's half of the rules at [`Machine`] and panics when the machine breaks its own: an id
//! that is dead is named again, a transmit with nothing to write, a write after a finish, a deadline that is
//! not in the future, a drain that does not come to an end.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::io::IoSlice;

use roomwire_core::offload::{Done, Job};
use roomwire_core::{
    ConnectionId, Input, Instant, ListenerId, Machine, Now, Output, PeerAddr, TransportEnd, Turn,
};

use crate::pipe::{Ending, Pipe};

/// Drives one machine.
#[derive(Debug)]
pub struct Driver<M: Machine> {
    machine: M,
    now: Now,
    pipes: BTreeMap<ConnectionId, Pipe>,
    /// What is left of connections that have ended.
    ended: BTreeMap<ConnectionId, Pipe>,
    /// Connections that may have something to hand in, or something in their socket buffers.
    active: BTreeSet<ConnectionId>,
    /// Connections whose peer has taken something, or that have ended, since the last look.
    news: BTreeSet<ConnectionId>,
    events: Vec<M::Event>,
    /// What the machine has handed over and waits for, in order.
    jobs: Vec<Job>,
    /// The last input left no room for another `Received`.
    full: bool,
    deadline: Option<Instant>,
    /// Bytes of one `Received` at most.
    chunk: usize,
    /// Socket buffer of new connections.
    capacity: usize,
    /// Slices of one vectored write at most.
    slices: usize,
    transmits: u64,
}

/// What one poll came to, for tests that decide about every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    /// Something was done.
    Busy,
    /// Nothing to do before the deadline.
    Idle,
}

impl<M: Machine> Driver<M> {
    /// A driver at the start of its clock: one second, and 2023-11-14 on the wall.
    pub fn new(machine: M) -> Self {
        Self {
            machine,
            now: at(Instant::from_micros(1_000_000)),
            pipes: BTreeMap::new(),
            ended: BTreeMap::new(),
            active: BTreeSet::new(),
            news: BTreeSet::new(),
            events: Vec::new(),
            jobs: Vec::new(),
            full: false,
            deadline: None,
            chunk: usize::MAX,
            capacity: 256 * 1024,
            slices: 64,
            transmits: 0,
        }
    }

    // ---- how it behaves

    /// Hands input in pieces of at most `bytes` (at least 1).
    pub fn set_chunk(&mut self, bytes: usize) {
        self.chunk = bytes.max(1);
    }

    /// Socket buffer of connections accepted from now on.
    pub fn set_capacity(&mut self, bytes: usize) {
        self.capacity = bytes;
    }

    /// Slices that one vectored write takes.
    pub fn set_slices(&mut self, slices: usize) {
        self.slices = slices.clamp(1, MAX_SLICES);
    }

    // ---- what happens outside; on a connection that has ended nothing does

    /// A connection from `peer`; `None` if the machine refuses it.
    pub fn accept(&mut self, peer: PeerAddr, listener: ListenerId) -> Option<ConnectionId> {
        let id = self.machine.accept(self.now, peer, listener)?;
        let old = self.pipes.insert(id, Pipe::new(self.capacity));
        let fresh = old.is_none() && !self.ended.contains_key(&id);
        assert!(fresh, "{id} was given out twice");
        Some(id)
    }

    /// The peer sends bytes. They are handed in by [`feed`](Self::feed).
    pub fn send(&mut self, connection: ConnectionId, bytes: &[u8]) {
        if let Some(pipe) = self.pipes.get_mut(&connection) {
            pipe.inbound.extend(bytes);
            self.active.insert(connection);
        }
    }

    /// The peer finishes writing.
    pub fn finish(&mut self, connection: ConnectionId) {
        if let Some(pipe) = self.pipes.get_mut(&connection) {
            pipe.inbound_end = true;
            self.active.insert(connection);
        }
    }

    /// The socket is gone at once.
    pub fn end(&mut self, connection: ConnectionId, end: TransportEnd) {
        if self.pipes.contains_key(&connection) {
            self.bury(connection, Ending::Ended);
            self.input(Input::Ended { connection, end });
        }
    }

    /// The peer takes nothing until [`release`](Self::release).
    pub fn stall(&mut self, connection: ConnectionId) {
        if let Some(pipe) = self.pipes.get_mut(&connection) {
            pipe.stalled = true;
        }
    }

    /// The peer takes what comes again.
    pub fn release(&mut self, connection: ConnectionId) {
        if let Some(pipe) = self.pipes.get_mut(&connection) {
            pipe.stalled = false;
            self.active.insert(connection);
        }
    }

    /// Changes the socket buffer of one connection.
    pub fn resize(&mut self, connection: ConnectionId, capacity: usize) {
        if let Some(pipe) = self.pipes.get_mut(&connection) {
            pipe.capacity = capacity;
            self.active.insert(connection);
        }
    }

    /// A stalled peer takes up to `bytes` out of its socket buffer.
    pub fn drain(&mut self, connection: ConnectionId, bytes: usize) {
        self.take(connection, bytes);
        self.report_writable(connection);
    }

    /// The embedding program asks for something.
    pub fn command(&mut self, command: M::Command) {
        self.input(Input::Command(command));
    }

    /// The driver has a pool from now on, which does so many jobs at once, when it is told to.
    pub fn set_pool(&mut self, jobs: u32) {
        self.input(Input::PoolReady { jobs });
    }

    /// Jobs that are out, in the order in which they came.
    pub fn jobs(&self) -> &[Job] {
        &self.jobs
    }

    /// Does one of the jobs that are out.
    pub fn run_job(&mut self, index: usize) {
        let done = self.jobs.remove(index).run();
        self.input(Input::Done(done));
    }

    /// One of the jobs that are out cannot be done.
    pub fn fail_job(&mut self, index: usize) {
        let id = self.jobs.remove(index).id();
        self.input(Input::Done(Done::failed(id)));
    }

    /// Any input, as it is. The caller keeps the contract.
    pub fn input(&mut self, input: Input<'_, M::Command, M::Relay>) {
        self.full = self.machine.handle(self.now, input) == Turn::Full;
    }

    // ---- the loop

    /// Hands in what peers have sent as far as the machine wants it, and lets peers take what was written.
    /// `true` if anything was handed in.
    pub fn feed(&mut self) -> bool {
        let mut any = false;
        for id in core::mem::take(&mut self.active) {
            let Some(pipe) = self.pipes.get(&id) else {
                continue;
            };
            if !pipe.stalled {
                self.take(id, usize::MAX);
            }
            any |= self.report_writable(id);
            any |= self.feed_one(id);
            if self.pipe_mut(id).has_input() {
                self.active.insert(id);
            }
        }
        any
    }

    fn feed_one(&mut self, connection: ConnectionId) -> bool {
        let mut any = false;
        loop {
            let (full, chunk) = (self.full, self.chunk);
            let pipe = self.pipe_mut(connection);
            if pipe.paused || full {
                return any;
            }
            if pipe.inbound.is_empty() {
                if pipe.inbound_end && !pipe.end_told {
                    pipe.end_told = true;
                    self.input(Input::ReadEnd { connection });
                    return true;
                }
                return any;
            }
            let length = pipe.inbound.len().min(chunk).min(MAX_READ_BYTES);
            let mut bytes: Vec<u8> = pipe.inbound.drain(..length).collect();
            self.input(Input::Received {
                connection,
                bytes: &mut bytes,
            });
            any = true;
        }
    }

    /// Tells that a blocked socket has room again, if it has.
    fn report_writable(&mut self, connection: ConnectionId) -> bool {
        let pipe = self.pipe_mut(connection);
        let news = pipe.blocked && pipe.free() > 0;
        if news {
            pipe.blocked = false;
            self.input(Input::Writable { connection });
        }
        news
    }

    /// Polls once and does what is asked.
    pub fn poll(&mut self) -> Poll {
        let output = self.machine.poll();
        self.full = false;
        match output {
            Output::Transmit { connection } => self.transmit(connection),
            Output::ReadInterest { connection, wanted } => {
                self.pipe_mut(connection).paused = !wanted;
                self.active.insert(connection);
            }
            Output::Finish { connection } => {
                let pipe = self.pipe_mut(connection);
                assert!(!pipe.finished, "{connection} is finished twice");
                pipe.finished = true;
            }
            Output::Close { connection, reset } => {
                let how = if reset { Ending::Reset } else { Ending::Closed };
                self.bury(connection, how);
            }
            Output::Job(job) => self.jobs.push(job),
            Output::Event(event) => self.events.push(event),
            Output::Again => {}
            Output::Idle { deadline } => {
                assert!(
                    deadline.is_none_or(|deadline| deadline > self.now.mono),
                    "the deadline {deadline:?} is not later than {:?}",
                    self.now.mono
                );
                self.deadline = deadline;
                return Poll::Idle;
            }
            other => panic!("unexpected output: {}", kind(&other)),
        }
        Poll::Busy
    }

    fn transmit(&mut self, connection: ConnectionId) {
        self.transmits += 1;
        let pipe = live(&mut self.pipes, connection);
        assert!(!pipe.finished, "transmit on {connection}, which finished");
        assert!(!pipe.blocked, "transmit on {connection}, which is blocked");
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let unsent = self.machine.unsent(connection);
        let last = unsent.is_last();
        assert!(
            last || !pipe.said_last,
            "{connection} goes on after its last bytes"
        );
        pipe.said_last = last;
        let filled = unsent.fill(&mut slices[..self.slices]);
        let mut offered = 0;
        let mut written = 0;
        for slice in &slices[..filled] {
            offered += slice.len();
            written += pipe.write(slice);
        }
        assert!(
            offered > 0,
            "transmit on {connection} with nothing to write"
        );
        self.active.insert(connection);
        pipe.writes.push(written);
        pipe.blocked = written < offered;
        let blocked = pipe.blocked;
        self.input(Input::Sent {
            connection,
            bytes: written,
            blocked,
        });
    }

    /// Feeds and polls until nothing is left to do at this time.
    pub fn settle(&mut self) {
        for _ in 0..MAX_TURNS {
            let fed = self.feed();
            self.poll_until_idle();
            if !fed && !self.can_feed() {
                self.deliver();
                return;
            }
        }
        panic!("not settled after {MAX_TURNS} turns");
    }

    /// Polls until the machine is idle.
    pub fn poll_until_idle(&mut self) {
        for _ in 0..MAX_POLLS {
            if self.poll() == Poll::Idle {
                return;
            }
        }
        panic!("not idle after {MAX_POLLS} polls");
    }

    /// Peers that are not stalled take what is in their socket buffers.
    fn deliver(&mut self) {
        for id in self.active.clone() {
            if self.pipes.get(&id).is_some_and(|pipe| !pipe.stalled) {
                self.take(id, usize::MAX);
            }
        }
    }

    fn take(&mut self, connection: ConnectionId, bytes: usize) {
        let pipe = live(&mut self.pipes, connection);
        pipe.take(bytes);
        if !pipe.received.is_empty() {
            self.news.insert(connection);
        }
    }

    fn can_feed(&self) -> bool {
        let pipes = self.active.iter().filter_map(|id| self.pipes.get(id));
        pipes.into_iter().any(Pipe::is_ready)
    }

    /// Lets time pass, sleeping exactly to each deadline.
    pub fn advance(&mut self, duration: Duration) {
        let end = self.now.mono + duration;
        while self.step_to(end) {}
    }

    /// Sleeps to the next deadline, but not past `end`; `false` when `end` was reached.
    pub fn step_to(&mut self, end: Instant) -> bool {
        self.settle();
        let next = self.deadline.filter(|&deadline| deadline <= end);
        self.tick_to(next.unwrap_or(end));
        next.is_some()
    }

    /// Lets time pass to the next deadline; `false` if there is none.
    pub fn sleep(&mut self) -> bool {
        self.settle();
        match self.deadline {
            Some(deadline) => {
                self.tick_to(deadline);
                true
            }
            None => false,
        }
    }

    fn tick_to(&mut self, time: Instant) {
        self.set_time(time);
        self.input(Input::Tick);
        self.settle();
    }

    /// Sets the clock without telling the machine; the next input does.
    pub fn set_time(&mut self, time: Instant) {
        self.now = at(time);
    }

    // ---- what can be seen

    /// The machine.
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// The machine, for what no input says.
    pub fn machine_mut(&mut self) -> &mut M {
        &mut self.machine
    }

    /// The time.
    pub fn now(&self) -> Now {
        self.now
    }

    /// When the machine wanted to be woken when it was last idle.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether the last input asked for a poll.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// How many transmits were polled.
    pub fn transmits(&self) -> u64 {
        self.transmits
    }

    /// A connection, dead or alive.
    pub fn pipe(&self, connection: ConnectionId) -> &Pipe {
        let pipe = self.pipes.get(&connection);
        pipe.or_else(|| self.ended.get(&connection))
            .expect("a known id")
    }

    /// Every connection that lives.
    pub fn connections(&self) -> impl Iterator<Item = (ConnectionId, &Pipe)> {
        self.pipes.iter().map(|(&id, pipe)| (id, pipe))
    }

    /// Connections whose peer has taken something, or that have ended, since the last call.
    pub fn take_news(&mut self) -> BTreeSet<ConnectionId> {
        core::mem::take(&mut self.news)
    }

    /// What the peer has taken since the last call.
    pub fn take_received(&mut self, connection: ConnectionId) -> Vec<u8> {
        let pipe = self.pipes.get_mut(&connection);
        let pipe = pipe.or_else(|| self.ended.get_mut(&connection));
        core::mem::take(&mut pipe.expect("a known id").received)
    }

    /// Events since the last call.
    pub fn take_events(&mut self) -> Vec<M::Event> {
        core::mem::take(&mut self.events)
    }

    /// Forgets connections that have ended, for runs with very many.
    pub fn forget_ended(&mut self) {
        self.ended.clear();
    }

    /// The id is dead from now on.
    fn bury(&mut self, connection: ConnectionId, how: Ending) {
        let Some(mut pipe) = self.pipes.remove(&connection) else {
            panic!("{connection} is not alive");
        };
        if how == Ending::Closed {
            pipe.take(usize::MAX);
        }
        pipe.in_flight.clear();
        pipe.ending = Some(how);
        self.news.insert(connection);
        self.ended.insert(connection, pipe);
    }

    fn pipe_mut(&mut self, connection: ConnectionId) -> &mut Pipe {
        live(&mut self.pipes, connection)
    }
}

fn live(pipes: &mut BTreeMap<ConnectionId, Pipe>, connection: ConnectionId) -> &mut Pipe {
    match pipes.get_mut(&connection) {
        Some(pipe) => pipe,
        None => panic!("{connection} is not alive"),
    }
}

fn at(mono: Instant) -> Now {
    Now {
        mono,
        unix_ms: 1_700_000_000_000 + mono.as_micros() / 1_000,
    }
}

fn kind<E>(output: &Output<E>) -> &'static str {
    match output {
        Output::Connect { .. } => "Connect",
        Output::Relay { .. } => "Relay",
        _ => "new",
    }
}

/// One read takes at most this much, as an adapter's buffer does.
const MAX_READ_BYTES: usize = 64 * 1024;
const MAX_SLICES: usize = 256;
/// Far more than any test needs; a machine that goes round in circles is stopped.
const MAX_POLLS: usize = 10_000_000;
const MAX_TURNS: usize = 1_000_000;
