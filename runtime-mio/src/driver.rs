//! Drives one machine with mio's sockets: a loop of its own hands in bytes and does what comes out.
//!
//! Generic over [`Machine`]: nothing here knows what the bytes mean. Sockets are registered once, for both
//! directions and edge-triggered. One that may have more to read waits in a list of the busy, of which a few go on
//! each turn, behind all that have just become readable; a socket that is idle costs its descriptor and 16 bytes.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::net::Shutdown;
use std::os::fd::AsRawFd;

use mio::event::Event as Readiness;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use roomwire_core::{
    ConnectionId, Input, Instant, ListenerId, Machine, Now, Output, PeerAddr, ShardId,
    TransportEnd, Turn,
};
use roomwire_runtime::{
    Act, BUSY_SOCKETS_PER_TURN, ClockBase, Links, READ_BUFFER_BYTES, READS_PER_SOCKET, Slots,
    TURN_TIME, TurnEnd, act, ended, sent, write,
};
use socket2::Socket as Stream;

/// A machine and the sockets of its connections.
pub(crate) struct Driver<M: Machine> {
    machine: M,
    links: Links<M::Relay>,
    clock: ClockBase,
    /// The clock as it was read first in this turn.
    now: Option<Now>,
    sockets: Slots<Socket>,
    /// What may be read, in order.
    ready: VecDeque<ConnectionId>,
    /// What gave all that was asked of it, in order: it goes on behind those that have just become readable.
    busy: VecDeque<ConnectionId>,
    /// The machine wants to be polled before it reads more.
    full: bool,
    /// In the turn before there was no room for the busy ones.
    owed: bool,
    buffer: Box<[u8]>,
}

#[derive(Debug)]
struct Socket {
    connection: ConnectionId,
    /// Of any kind: TCP or UNIX.
    stream: Stream,
    /// It is in the list.
    listed: bool,
    /// The peer has finished or is gone: what is read short does not mean that there is no more.
    hung_up: bool,
    /// The machine was told that the peer has finished.
    ended: bool,
    /// The machine wants no bytes.
    paused: bool,
    /// A write fell short, and the machine waits until it may go on.
    blocked: bool,
}

impl<M: Machine> Driver<M> {
    pub(crate) fn new(machine: M, links: Links<M::Relay>, clock: ClockBase) -> Self {
        Self {
            machine,
            links,
            clock,
            now: None,
            sockets: Slots::new(),
            ready: VecDeque::new(),
            busy: VecDeque::new(),
            full: false,
            owed: false,
            buffer: vec![0; READ_BUFFER_BYTES].into(),
        }
    }

    /// Offers a socket to the machine, with `bytes` that were read of it, and registers it, its slot counted from `first`;
    /// `false` if it is refused.
    pub(crate) fn accept(
        &mut self,
        stream: Stream,
        peer: PeerAddr,
        listener: ListenerId,
        (registry, first): (&Registry, Token),
        bytes: &mut [u8],
    ) -> bool {
        let now = self.now();
        let Some(connection) = self.machine.accept(now, peer, listener) else {
            return false; // dropping the stream closes it
        };
        let slot = connection.index() as usize;
        let interest = Interest::READABLE | Interest::WRITABLE;
        let descriptor = stream.as_raw_fd();
        let mut source = SourceFd(&descriptor);
        let registered = registry.register(&mut source, Token(first.0 + slot), interest);
        if registered.is_err() {
            let _ = self.handle(ended(connection, TransportEnd::Failed));
            return false;
        }
        let socket = Socket {
            connection,
            stream,
            listed: false,
            hung_up: false,
            ended: false,
            paused: false,
            blocked: false,
        };
        self.sockets.insert(connection, socket);
        if !bytes.is_empty() {
            let _ = self.handle(Input::Received { connection, bytes });
        }
        true
    }

    /// Hands in something that is not about a socket.
    pub(crate) fn command(&mut self, command: M::Command) {
        let _ = self.handle(Input::Command(command));
    }

    /// Looks at the machine between two turns.
    pub(crate) fn machine(&self) -> &M {
        &self.machine
    }

    /// The time on the machine's scale, as the standard library's.
    pub(crate) fn deadline(&self, deadline: Instant) -> Option<std::time::Instant> {
        self.clock.to_std(deadline)
    }

    // ---- reading

    /// A socket is ready. It may be another than the one that the system meant, which then finds nothing to do.
    pub(crate) fn readiness(&mut self, slot: usize, readiness: &Readiness) {
        let Some((connection, socket)) = self.sockets.at_mut(slot) else {
            return;
        };
        socket.hung_up |= readiness.is_read_closed() || readiness.is_error();
        if readiness.is_readable() || socket.hung_up {
            list(&mut self.ready, socket);
        }
        if readiness.is_writable() && std::mem::take(&mut socket.blocked) {
            let _ = self.handle(Input::Writable { connection });
        }
    }

    /// Whether a socket waits to be read.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty() || !self.busy.is_empty()
    }

    /// Reads a little from each socket that has become readable, until the machine wants to be polled.
    pub(crate) fn read(&mut self) {
        self.full = std::mem::take(&mut self.owed) && self.read_busy(1) == Turn::Full;
        if !self.full {
            self.full = self.read_ready() == Turn::Full;
        }
    }

    fn read_ready(&mut self) -> Turn {
        for _ in 0..self.ready.len() {
            let Some(connection) = self.ready.pop_front() else {
                break;
            };
            if self.read_socket(connection, 1) == Turn::Full {
                return Turn::Full;
            }
        }
        Turn::Open
    }

    fn read_busy(&mut self, sockets: usize) -> Turn {
        for _ in 0..sockets.min(self.busy.len()) {
            let Some(connection) = self.busy.pop_front() else {
                break;
            };
            if self.read_socket(connection, READS_PER_SOCKET) == Turn::Full {
                return Turn::Full;
            }
        }
        Turn::Open
    }

    fn read_socket(&mut self, connection: ConnectionId, reads: u32) -> Turn {
        let (more, turn) = self.read_some(connection, reads);
        if more && let Some(socket) = self.sockets.get_mut(connection) {
            list(&mut self.busy, socket);
        }
        turn
    }

    /// Whether there may be more, and whether the machine has room for it.
    fn read_some(&mut self, connection: ConnectionId, reads: u32) -> (bool, Turn) {
        let now = self.now();
        if let Some(socket) = self.sockets.get_mut(connection) {
            socket.listed = false;
        }
        for _ in 0..reads {
            let socket = self.sockets.get_mut(connection);
            let Some(socket) = socket.filter(|socket| !socket.paused && !socket.ended) else {
                return (false, Turn::Open);
            };
            let count = match socket.stream.read(&mut self.buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return (false, Turn::Open);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => {
                    self.remove(connection);
                    let turn = self.handle(ended(connection, TransportEnd::Reset));
                    return (false, turn);
                }
            };
            socket.ended = count == 0;
            // The next edge comes with the next byte, unless the last edge was also that of the end.
            let more = count > 0 && (count == self.buffer.len() || socket.hung_up);
            let bytes = self.buffer.get_mut(..count).unwrap_or_default();
            let input = match count {
                0 => Input::ReadEnd { connection },
                _ => Input::Received { connection, bytes },
            };
            let turn = self.machine.handle(now, input);
            if !more || turn == Turn::Full {
                return (more, turn);
            }
        }
        (true, Turn::Open)
    }

    // ---- writing

    /// Takes what other shards have, polls the machine and does what it says, within a budget. `sink` takes events and says whether there
    /// is room for another.
    pub(crate) fn turn(&mut self, sink: &mut dyn FnMut(M::Event) -> bool) -> TurnEnd {
        let over = self.now().mono + TURN_TIME;
        let _ = self.handle(Input::Tick);
        let now = self.now();
        let more = self.links.receive(&mut self.machine, now);
        // Behind all others: they have much to say.
        if self.full || more {
            self.owed = !self.busy.is_empty();
        } else {
            let _ = self.read_busy(BUSY_SOCKETS_PER_TURN);
        }
        let clock = self.clock;
        let end = act(self, (&clock, over), more, sink);
        self.now = None;
        end
    }

    /// Forgets a socket, which closes it; the system then forgets its registration.
    fn remove(&mut self, connection: ConnectionId) {
        self.sockets.remove(connection);
    }

    fn handle(&mut self, input: Input<'_, M::Command, M::Relay>) -> Turn {
        let now = self.now();
        self.machine.handle(now, input)
    }

    /// The clock, read once a turn.
    fn now(&mut self) -> Now {
        *self.now.get_or_insert_with(|| self.clock.now())
    }
}

impl<M: Machine> Act<M> for Driver<M> {
    fn poll(&mut self) -> Output<M::Event> {
        self.machine.poll()
    }

    fn transmit(&mut self, connection: ConnectionId) {
        let outcome = match self.sockets.get_mut(connection) {
            Some(socket) => write(&self.machine, connection, &socket.stream),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        let input = sent(connection, outcome);
        match &input {
            Input::Sent { blocked, .. } => {
                if let Some(socket) = self.sockets.get_mut(connection) {
                    socket.blocked |= blocked;
                }
            }
            _ => self.remove(connection),
        }
        let _ = self.handle(input);
    }

    fn read_interest(&mut self, connection: ConnectionId, wanted: bool) {
        if let Some(socket) = self.sockets.get_mut(connection) {
            socket.paused = !wanted;
            if wanted {
                list(&mut self.ready, socket);
            }
        }
    }

    fn finish(&mut self, connection: ConnectionId) {
        if let Some(socket) = self.sockets.get_mut(connection) {
            // It fails if the peer is gone, which the next read sees.
            let _ = socket.stream.shutdown(Shutdown::Write);
        }
    }

    fn close(&mut self, connection: ConnectionId, reset: bool) {
        if reset && let Some(socket) = self.sockets.get_mut(connection) {
            let linger = Some(std::time::Duration::ZERO);
            let _ = socket.stream.set_linger(linger);
        }
        self.remove(connection);
    }

    fn carry(&mut self, to: ShardId) {
        self.links.carry(&mut self.machine, to);
    }
}

fn list(ready: &mut VecDeque<ConnectionId>, socket: &mut Socket) {
    if !std::mem::replace(&mut socket.listed, true) {
        ready.push_back(socket.connection);
    }
}
