//! A connection with both its ends, and what clients hear of it.

use roomwire_core::{ConnectionId, ListenerId, PeerAddr};

use super::wire::Wire;

/// A client's end of a connection. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(pub usize);

/// One of the machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostId(pub usize);

/// What happened at the clients' side, and what a machine told the program around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News<E> {
    /// A connection stands, as far as the network can tell.
    Connected(SocketId),
    /// It could not be made.
    Refused(SocketId),
    /// A client has read bytes.
    Received(SocketId, Vec<u8>),
    /// The server finished writing; the client may still write.
    Finished(SocketId),
    /// The connection was reset.
    Reset(SocketId),
    /// A timer that was set with [`Network::set_timer`](super::Network::set_timer).
    Timer(u64),
    /// A machine's event.
    Event(HostId, E),
}

/// How a client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// What arrives, when it arrives.
    Prompt,
    /// So many bytes each time.
    Slow {
        /// How many at a time.
        bytes: usize,
        /// Microseconds from one read to the next.
        every_us: u64,
    },
    /// Not at all.
    Stopped,
}

/// One connection, both ends.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) host: usize,
    pub(super) peer: PeerAddr,
    pub(super) listener: ListenerId,
    pub(super) up: Wire,
    pub(super) down: Wire,
    /// The machine's name for it, while that is alive.
    pub(super) id: Option<ConnectionId>,
    /// The machine wants to read.
    pub(super) wanted: bool,
    /// A write fell short, and `Writable` has not been told.
    pub(super) blocked: bool,
    pub(super) finish_told: bool,
    /// The driver gives it up for a reason of its own.
    pub(super) failing: bool,
    /// The machine has closed it, or was told of its end, or never took it.
    pub(super) hung_up: bool,
    pub(super) reading: Reading,
    pub(super) read_scheduled: bool,
    /// The client's program has let go of it.
    pub(super) gone: bool,
    pub(super) end_read: bool,
}
