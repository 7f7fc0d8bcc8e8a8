//! The contract between a machine and whatever drives it: one door in, one door out.
//!
//! A [`Machine`] decides; a driver owns sockets and clocks and does what it is told. The rules that both
//! sides keep are listed at [`Machine`]; the run loop is shown, compiled, in the crate's front page.

#[cfg(test)]
mod tests;

use core::fmt;
use core::net::SocketAddr;
use std::io::IoSlice;

use crate::id::ConnectionId;
use crate::offload::{Done, Job};
use crate::time::{Instant, Now};

/// What every adapter drives: a server or a client, as a pure function of its inputs.
///
/// # Rules
///
/// 1. [`handle`](Self::handle) never fails because of a peer and never panics. A stale id is a counted no-op.
///    The inputs, with the number of polls between them, are a complete log of a run.
/// 2. Inputs may be batched, outputs drained partially: nothing is lost or reordered. `poll` works in
///    rounds, in which each flagged connection has one turn: what is flagged while a round is handed out
///    joins the connection's turn if that is still to come, and the next round otherwise, so that a round
///    never grows. [`Turn::Full`] means: poll before the next [`Input::Received`], [`Input::Relay`] or [`Input::Done`].
/// 3. Due timers fire before [`Output::Idle`] is returned; its deadline is exact and later than `now`.
/// 4. An idle poll costs O(1); work per input is proportional to what it touches.
/// 5. The machine owns the send queues. A polled [`Output::Transmit`] is answered by [`Input::Sent`] (0 bytes
///    only with `blocked`) or [`Input::Ended`] for that connection before any other input. Unsent data left
///    after an unblocked `Sent` raises `Transmit` again. [`unsent`](Self::unsent) may hold more than one
///    vectored write takes.
/// 6. The driver lends its read buffer; the machine keeps only an unfinished tail. After
///    [`Output::ReadInterest`] with `wanted: true` the driver tries a read without waiting for an edge.
/// 7. Closing is only ever an output. An id ends exactly once: by a polled [`Output::Close`] or by a handled
///    [`Input::Ended`].
/// 8. Decisions that need the outside are an event and a later command.
/// 9. Servers and clients are both machines.
/// 10. Time and randomness are inputs: the same config, seed, inputs and polls give the same bytes.
pub trait Machine {
    /// What an embedding program can ask for.
    type Command;
    /// What an embedding program is told.
    type Event;
    /// What machines on other shards or nodes are sent; owned, so that it can cross threads.
    type Relay: Send;

    /// Announces a connection that `listener` accepted from `peer`. `None`: refused and counted, the driver
    /// drops the socket. O(1).
    fn accept(&mut self, now: Now, peer: PeerAddr, listener: ListenerId) -> Option<ConnectionId>;

    /// Takes one input. Work is proportional to what the input touches.
    fn handle(&mut self, now: Now, input: Input<'_, Self::Command, Self::Relay>) -> Turn;

    /// The next thing to do. A drain ends in [`Output::Idle`].
    fn poll(&mut self) -> Output<Self::Event>;

    /// The bytes waiting for `connection`, the front already offset. Empty for a stale id. O(1).
    fn unsent(&self, connection: ConnectionId) -> Unsent<'_>;

    /// The next message for `to`, after [`Output::Relay`] named it. `None` when there is none left, or no credit.
    /// Messages of one shard for another are handed in there in the order in which they were taken, each once.
    fn take_relay(&mut self, to: ShardId) -> Option<Self::Relay>;
}

/// One thing that happened outside.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input<'a, C, R> {
    /// Nothing but the passing of time.
    Tick,
    /// Bytes arrived. They are always taken whole and may be changed in place (unmasked).
    Received {
        /// Where they arrived.
        connection: ConnectionId,
        /// The driver's buffer, lent for the call.
        bytes: &'a mut [u8],
    },
    /// The answer to a polled [`Output::Transmit`].
    Sent {
        /// Which connection.
        connection: ConnectionId,
        /// How many of the lent bytes the socket took. More than was lent is clamped and counted.
        bytes: usize,
        /// The socket takes no more for now; [`Input::Writable`] follows when it does.
        blocked: bool,
    },
    /// A blocked socket takes bytes again.
    Writable {
        /// Which connection.
        connection: ConnectionId,
    },
    /// The peer finished writing; the socket lives.
    ReadEnd {
        /// Which connection.
        connection: ConnectionId,
    },
    /// The socket is gone and the id with it.
    Ended {
        /// Which connection.
        connection: ConnectionId,
        /// How it went.
        end: TransportEnd,
    },
    /// An outgoing connection asked for by [`Output::Connect`] stands.
    Connected {
        /// Which connection.
        connection: ConnectionId,
    },
    /// An outgoing connection could not be made; the id is dead.
    ConnectFailed {
        /// Which connection.
        connection: ConnectionId,
    },
    /// A message from another shard.
    Relay {
        /// The sender.
        from: ShardId,
        /// The message.
        message: R,
    },
    /// The link to a shard can take more messages. Credits add up; each [`Machine::take_relay`] uses one.
    LinkReady {
        /// The shard.
        to: ShardId,
        /// How many more.
        credits: u32,
    },
    /// A shard has failed and begins anew: it has lost its connections and all that it knew. Comes before anything
    /// that it relays after that. O(connections + rooms).
    Restarted {
        /// The shard.
        shard: ShardId,
        /// How often by now; as in its [`Place`](crate::server::Place).
        restarts: u16,
    },
    /// The driver has a pool, and does so many jobs at once from now on; 0: none any more. Until it says so there is no
    /// [`Output::Job`], and what takes long is done at once.
    PoolReady {
        /// How many may be out.
        jobs: u32,
    },
    /// What a job came to. One that the machine does not wait for any more is a counted no-op.
    Done(Done),
    /// The embedding program asks for something.
    Command(C),
}

/// One thing to do outside.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub enum Output<E> {
    /// Write what [`Machine::unsent`] lends and answer with [`Input::Sent`] or [`Input::Ended`].
    Transmit {
        /// Which connection.
        connection: ConnectionId,
    },
    /// Start or stop reading.
    ReadInterest {
        /// Which connection.
        connection: ConnectionId,
        /// `true`: read now, without waiting for an edge.
        wanted: bool,
    },
    /// Open an outgoing connection; answered by [`Input::Connected`] or [`Input::ConnectFailed`].
    Connect {
        /// The id it will have.
        connection: ConnectionId,
        /// Where to.
        target: Target,
    },
    /// Shut down the write side; the peer may still send.
    Finish {
        /// Which connection.
        connection: ConnectionId,
    },
    /// Close the socket; the id is dead.
    Close {
        /// Which connection.
        connection: ConnectionId,
        /// Reset instead of an orderly close: unsent bytes are given up.
        reset: bool,
    },
    /// Messages wait for a shard: take them with [`Machine::take_relay`] while the link has room.
    Relay {
        /// The shard.
        to: ShardId,
    },
    /// Something that takes long: have a thread of the pool [run](Job::run) it, and answer with [`Input::Done`]; for one
    /// that was lost with [`Done::failed`]. Never more at once than [`Input::PoolReady`] has said.
    Job(Job),
    /// News for the embedding program.
    Event(E),
    /// Work is left, nothing to report yet: call again, feeding inputs first if you like.
    Again,
    /// Nothing to do before `deadline` (`None`: before the next input).
    Idle {
        /// Strictly later than the last `now` handed in.
        deadline: Option<Instant>,
    },
}

/// Where an outgoing connection goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// To an address.
    Address(SocketAddr),
    /// To the server that a client was made for ([`ClientConfig::host`](crate::client::ClientConfig::host)): looking
    /// its name up, trying its addresses and speaking TLS are the driver's.
    Server,
}

/// Whether the machine has room for another input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Turn {
    /// More may come.
    Open,
    /// Poll before the next `Received`, `Relay` or `Done`.
    Full,
}

/// How a socket ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportEnd {
    /// Both directions were finished in order.
    Closed,
    /// The peer reset it, or the network gave up.
    Reset,
    /// The driver failed it for a reason of its own (out of descriptors, shutting down).
    Failed,
}

/// Which listener accepted a connection: an index into the configured listeners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub u16);

impl ListenerId {
    /// Connections that another server has accepted and upgraded, and hands over: its own request comes first, as
    /// [`UpgradeRequest`](crate::server::UpgradeRequest) spells it, and is not answered. What is offered to them
    /// is [`Config::adopted`](crate::Config::adopted).
    pub const ADOPTED: Self = Self(u16::MAX);
}

/// Which shard of a server, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u8);

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The far end of a socket as the driver saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerAddr {
    /// An internet address.
    Inet(SocketAddr),
    /// A UNIX socket, or anything else without an address of its own.
    Local,
}

impl From<SocketAddr> for PeerAddr {
    fn from(address: SocketAddr) -> Self {
        Self::Inet(address)
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Local => f.write_str("local"),
        }
    }
}

/// Borrowed bytes that wait to be written, in order, as a run of contiguous slices.
///
/// Lent by [`Machine::unsent`]; iterating allocates nothing.
#[derive(Clone, Debug)]
pub struct Unsent<'a> {
    source: Source<'a>,
    last: bool,
}

#[derive(Clone, Debug)]
enum Source<'a> {
    Slice(&'a [u8]),
    Queue(crate::session::outbox::Slices<'a>),
}

impl<'a> Unsent<'a> {
    /// Nothing to write.
    pub const EMPTY: Self = Self {
        source: Source::Slice(&[]),
        last: false,
    };

    /// One contiguous slice.
    pub const fn slice(bytes: &'a [u8]) -> Self {
        Self {
            source: Source::Slice(bytes),
            last: false,
        }
    }

    pub(crate) fn queue(slices: crate::session::outbox::Slices<'a>, last: bool) -> Self {
        Self {
            source: Source::Queue(slices),
            last,
        }
    }

    /// Nothing comes after these bytes: once they have been taken, the next output for the connection is
    /// [`Output::Finish`] or [`Output::Close`]. A driver may tell the system that more follows (`MSG_MORE`), so
    /// that the last bytes and the end share a packet.
    pub const fn is_last(&self) -> bool {
        self.last
    }

    /// Fills `slices` from the front for one vectored write; returns how many it filled.
    pub fn fill(self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (place, bytes) in slices.iter_mut().zip(self) {
            *place = IoSlice::new(bytes);
            filled += 1;
        }
        filled
    }
}

impl<'a> Iterator for Unsent<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match &mut self.source {
            Source::Slice(bytes) => (!bytes.is_empty()).then(|| core::mem::take(bytes)),
            Source::Queue(slices) => slices.next(),
        }
    }
}
