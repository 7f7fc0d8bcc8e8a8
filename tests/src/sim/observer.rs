//! Who watches a machine: hooks at every input, poll and write, for oracles, recorders and fingerprints.
//!
//! Observers see; they change nothing, so a run is the same with and without them.

use core::hash::Hasher;
use std::collections::hash_map::DefaultHasher;

use roomwire_core::{
    ConnectionId, Input, ListenerId, Machine, Now, Output, PeerAddr, TransportEnd, Turn,
};

use super::network::{HostId, SocketId};

/// Watches what a driver hands to a machine and what comes out. Every hook does nothing by default.
///
/// The calls between two `handled` or `polled` are one step; accepts, inputs and polls in their order are a
/// complete log of the run.
pub trait Observer<M: Machine> {
    /// A driver's turn begins: what follows, up to the next, is about this machine.
    fn turn(&mut self, host: HostId, machine: &M) {
        let _ = (host, machine);
    }

    /// A machine has failed: it is gone with all its connections, and another one begins in its place.
    fn failed(&mut self, host: HostId, machine: &M) {
        let _ = (host, machine);
    }

    /// All machines are idle, and nothing is on its way between them.
    fn quiet(&mut self, now: Now) {
        let _ = now;
    }

    /// A connection was announced; `id` is what the machine answered.
    fn accepted(&mut self, now: Now, what: &Accept, machine: &M) {
        let _ = (now, what, machine);
    }

    /// An input is about to be handed in.
    fn input(&mut self, now: Now, input: &Input<'_, M::Command, M::Relay>, machine: &M) {
        let _ = (now, input, machine);
    }

    /// It was taken.
    fn handled(&mut self, now: Now, turn: Turn, machine: &M) {
        let _ = (now, turn, machine);
    }

    /// The machine was polled. For a transmit this comes before its write.
    fn polled(&mut self, now: Now, output: &Output<M::Event>, machine: &M) {
        let _ = (now, output, machine);
    }

    /// The socket took `bytes` of the `lent` bytes of a transmit, which is about to be reported.
    fn wrote(&mut self, now: Now, connection: ConnectionId, bytes: &[u8], lent: usize) {
        let _ = (now, connection, bytes, lent);
    }
}

/// What was announced to a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accept {
    /// The client's socket.
    pub socket: SocketId,
    /// Its address.
    pub peer: PeerAddr,
    /// Where it came in.
    pub listener: ListenerId,
    /// The machine's answer; `None`: refused.
    pub id: Option<ConnectionId>,
}

/// Nobody watches.
impl<M: Machine> Observer<M> for () {}

/// Both watch, the first one first.
impl<M: Machine, A: Observer<M>, B: Observer<M>> Observer<M> for (A, B) {
    fn turn(&mut self, host: HostId, machine: &M) {
        self.0.turn(host, machine);
        self.1.turn(host, machine);
    }

    fn failed(&mut self, host: HostId, machine: &M) {
        self.0.failed(host, machine);
        self.1.failed(host, machine);
    }

    fn quiet(&mut self, now: Now) {
        self.0.quiet(now);
        self.1.quiet(now);
    }

    fn accepted(&mut self, now: Now, what: &Accept, machine: &M) {
        self.0.accepted(now, what, machine);
        self.1.accepted(now, what, machine);
    }

    fn input(&mut self, now: Now, input: &Input<'_, M::Command, M::Relay>, machine: &M) {
        self.0.input(now, input, machine);
        self.1.input(now, input, machine);
    }

    fn handled(&mut self, now: Now, turn: Turn, machine: &M) {
        self.0.handled(now, turn, machine);
        self.1.handled(now, turn, machine);
    }

    fn polled(&mut self, now: Now, output: &Output<M::Event>, machine: &M) {
        self.0.polled(now, output, machine);
        self.1.polled(now, output, machine);
    }

    fn wrote(&mut self, now: Now, connection: ConnectionId, bytes: &[u8], lent: usize) {
        self.0.wrote(now, connection, bytes, lent);
        self.1.wrote(now, connection, bytes, lent);
    }
}

/// A hash of everything that a machine put out, bytes and decisions: equal for equal runs.
#[derive(Clone, Debug, Default)]
pub struct Fingerprint {
    hasher: DefaultHasher,
}

impl Fingerprint {
    /// The hash so far.
    pub fn value(&self) -> u64 {
        self.hasher.finish()
    }
}

impl<M: Machine> Observer<M> for Fingerprint {
    fn accepted(&mut self, _: Now, what: &Accept, _: &M) {
        let bits = what.id.map_or(0, ConnectionId::to_bits);
        self.hasher.write_u64(bits);
    }

    fn polled(&mut self, _: Now, output: &Output<M::Event>, _: &M) {
        let (kind, bits) = match output {
            Output::Transmit { connection } => (1, connection.to_bits()),
            Output::ReadInterest { connection, wanted } => {
                (2 + u8::from(*wanted), connection.to_bits())
            }
            Output::Finish { connection } => (4, connection.to_bits()),
            Output::Close { connection, reset } => (5 + u8::from(*reset), connection.to_bits()),
            Output::Event(_) => (7, 0),
            Output::Again => (8, 0),
            Output::Relay { to } => (11, u64::from(to.0)),
            Output::Idle { deadline } => (9, deadline.map_or(u64::MAX, |at| at.as_micros())),
            _ => (10, 0),
        };
        self.hasher.write_u8(kind);
        self.hasher.write_u64(bits);
    }

    fn wrote(&mut self, _: Now, _: ConnectionId, bytes: &[u8], _: usize) {
        self.hasher.write(bytes);
    }
}

/// A complete log of a run, to print or to hand to a recorder: accepts, inputs without their commands, polls.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// In order.
    pub steps: Vec<Step>,
}

/// One step of a [`Log`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A connection was announced.
    Accept(Now, Accept),
    /// Bytes arrived.
    Received(Now, ConnectionId, Vec<u8>),
    /// A transmit was answered: bytes, and whether the socket was full.
    Sent(Now, ConnectionId, usize, bool),
    /// A socket takes bytes again.
    Writable(Now, ConnectionId),
    /// A peer finished writing.
    ReadEnd(Now, ConnectionId),
    /// A socket is gone.
    Ended(Now, ConnectionId, TransportEnd),
    /// A command; what it says is up to its type.
    Command(Now),
    /// Time passed.
    Tick(Now),
    /// One poll.
    Poll,
}

impl<M: Machine> Observer<M> for Log {
    fn accepted(&mut self, now: Now, what: &Accept, _: &M) {
        self.steps.push(Step::Accept(now, *what));
    }

    fn input(&mut self, now: Now, input: &Input<'_, M::Command, M::Relay>, _: &M) {
        self.steps.push(match input {
            Input::Received { connection, bytes } => {
                Step::Received(now, *connection, bytes.to_vec())
            }
            Input::Sent {
                connection,
                bytes,
                blocked,
            } => Step::Sent(now, *connection, *bytes, *blocked),
            Input::Writable { connection } => Step::Writable(now, *connection),
            Input::ReadEnd { connection } => Step::ReadEnd(now, *connection),
            Input::Ended { connection, end } => Step::Ended(now, *connection, *end),
            Input::Command(_) => Step::Command(now),
            _ => Step::Tick(now),
        });
    }

    fn polled(&mut self, _: Now, _: &Output<M::Event>, _: &M) {
        self.steps.push(Step::Poll);
    }
}
