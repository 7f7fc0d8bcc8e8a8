//! A driver for any machine: a virtual clock, pipes instead of sockets, and the contract checked at every step.
//!
//! It keeps the driver's half of the rules at [`Machine`] and panics when the machine breaks its own: an id
//! that is dead is named again, a transmit with nothing to write, a write after a finish, a deadline that is
//! not in the future, a drain that does not come to an end.

use core::time::Duration;
use std::collections::BTreeMap;
use std::io::IoSlice;

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
    events: Vec<M::Event>,
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
            events: Vec::new(),
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

    // ---- what happens outside

    /// A connection from `peer`; `None` if the machine refuses it.
    pub fn accept(&mut self, peer: PeerAddr, listener: ListenerId) -> Option<ConnectionId> {
        let id = self.machine.accept(self.now, peer, listener)?;
        let old = self.pipes.insert(id, Pipe::new(self.capacity));
        assert!(old.is_none(), "{id} was given out twice");
        Some(id)
    }

    /// The peer sends bytes. They are handed in by [`feed`](Self::feed).
    pub fn send(&mut self, connection: ConnectionId, bytes: &[u8]) {
        self.pipe_mut(connection).inbound.extend(bytes);
    }

    /// The peer finishes writing.
    pub fn finish(&mut self, connection: ConnectionId) {
        self.pipe_mut(connection).inbound_end = true;
    }

    /// The socket is gone at once.
    pub fn end(&mut self, connection: ConnectionId, end: TransportEnd) {
        let pipe = self.pipe_mut(connection);
        assert_eq!(pipe.ending, None, "{connection} has ended before");
        pipe.ending = Some(Ending::Ended);
        self.input(Input::Ended { connection, end });
    }

    /// The peer takes nothing until [`release`](Self::release).
    pub fn stall(&mut self, connection: ConnectionId) {
        self.pipe_mut(connection).stalled = true;
    }

    /// The peer takes what comes again.
    pub fn release(&mut self, connection: ConnectionId) {
        self.pipe_mut(connection).stalled = false;
    }

    /// A stalled peer takes up to `bytes` out of its socket buffer.
    pub fn drain(&mut self, connection: ConnectionId, bytes: usize) {
        self.pipe_mut(connection).take(bytes);
        self.report_writable(connection);
    }

    /// The embedding program asks for something.
    pub fn command(&mut self, command: M::Command) {
        self.input(Input::Command(command));
    }

    /// Any input, as it is. The caller keeps the contract.
    pub fn input(&mut self, input: Input<'_, M::Command, M::Relay>) {
        self.full = self.machine.handle(self.now, input) == Turn::Full;
    }

    // ---- the loop

    /// Hands in what peers have sent as far as the machine wants it, and lets peers take what was written.
    /// `true` if anything was handed in.
    pub fn feed(&mut self) -> bool {
        let ids: Vec<ConnectionId> = self.pipes.keys().copied().collect();
        let mut any = false;
        for id in ids {
            let pipe = self.pipe_mut(id);
            if !pipe.stalled {
                pipe.take(usize::MAX);
            }
            any |= self.report_writable(id);
            any |= self.feed_one(id);
        }
        any
    }

    fn feed_one(&mut self, connection: ConnectionId) -> bool {
        let mut any = false;
        loop {
            let (full, chunk) = (self.full, self.chunk);
            let pipe = self.pipe_mut(connection);
            if pipe.ending.is_some() || pipe.paused || full {
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
        let news = pipe.blocked && pipe.free() > 0 && pipe.ending.is_none();
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
                self.live(connection).paused = !wanted;
            }
            Output::Finish { connection } => {
                let pipe = self.live(connection);
                assert!(!pipe.finished, "{connection} is finished twice");
                pipe.finished = true;
            }
            Output::Close { connection, reset } => {
                let pipe = self.live(connection);
                if reset {
                    pipe.in_flight.clear();
                } else {
                    pipe.take(usize::MAX);
                }
                pipe.ending = Some(if reset { Ending::Reset } else { Ending::Closed });
            }
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
        let pipe = self.pipes.get_mut(&connection).expect("a known id");
        assert_eq!(pipe.ending, None, "transmit on {connection}, which ended");
        assert!(!pipe.finished, "transmit on {connection}, which finished");
        assert!(!pipe.blocked, "transmit on {connection}, which is blocked");
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let unsent = self.machine.unsent(connection);
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

    fn can_feed(&self) -> bool {
        self.pipes.values().any(|pipe| {
            let input = !pipe.inbound.is_empty() || (pipe.inbound_end && !pipe.end_told);
            let writable = pipe.blocked && (pipe.free() > 0 || !pipe.stalled);
            pipe.ending.is_none() && (writable || (input && !pipe.paused))
        })
    }

    /// Lets time pass, sleeping exactly to each deadline.
    pub fn advance(&mut self, duration: Duration) {
        self.settle();
        let end = self.now.mono + duration;
        while let Some(deadline) = self.deadline.filter(|&deadline| deadline <= end) {
            self.tick_to(deadline);
        }
        self.tick_to(end);
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
        self.pipes.get(&connection).expect("a known id")
    }

    /// Every connection there ever was.
    pub fn connections(&self) -> impl Iterator<Item = (ConnectionId, &Pipe)> {
        self.pipes.iter().map(|(&id, pipe)| (id, pipe))
    }

    /// What the peer has taken since the last call.
    pub fn take_received(&mut self, connection: ConnectionId) -> Vec<u8> {
        core::mem::take(&mut self.pipe_mut(connection).received)
    }

    /// Events since the last call.
    pub fn take_events(&mut self) -> Vec<M::Event> {
        core::mem::take(&mut self.events)
    }

    /// Forgets connections that have ended, for runs with very many.
    pub fn forget_ended(&mut self) {
        self.pipes.retain(|_, pipe| pipe.ending.is_none());
    }

    fn pipe_mut(&mut self, connection: ConnectionId) -> &mut Pipe {
        self.pipes.get_mut(&connection).expect("a known id")
    }

    /// The connection that an output names, which must be alive.
    fn live(&mut self, connection: ConnectionId) -> &mut Pipe {
        let pipe = self.pipe_mut(connection);
        assert_eq!(pipe.ending, None, "{connection} is named after its end");
        pipe
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
