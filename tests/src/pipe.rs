//! One connection as the driver sees it: two directions of bytes, with a socket buffer on the way out.
//!
//! Knows nothing of machines. A write takes what fits the buffer; a peer that is not stalled empties it
//! whenever the driver looks.

use std::collections::VecDeque;

/// How a connection ended, from the driver's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The machine closed it in order: what was written still arrives.
    Closed,
    /// The machine reset it: what the peer had not taken is lost.
    Reset,
    /// The driver reported its end.
    Ended,
}

/// One connection.
#[derive(Debug, Default)]
pub struct Pipe {
    /// What the peer has sent and the machine has not been given.
    pub(crate) inbound: VecDeque<u8>,
    /// The peer sends nothing after `inbound`.
    pub(crate) inbound_end: bool,
    /// The machine was told so.
    pub(crate) end_told: bool,
    /// In the socket buffer: written, not yet taken by the peer.
    pub(crate) in_flight: VecDeque<u8>,
    /// Taken by the peer.
    pub(crate) received: Vec<u8>,
    /// Size of the socket buffer.
    pub(crate) capacity: usize,
    /// The peer takes nothing.
    pub(crate) stalled: bool,
    /// The machine was told that the socket takes no more.
    pub(crate) blocked: bool,
    /// The machine wants no input.
    pub(crate) paused: bool,
    /// The machine has shut the write side.
    pub(crate) finished: bool,
    /// The last transmit was announced as the last.
    pub(crate) said_last: bool,
    pub(crate) ending: Option<Ending>,
    /// Sizes of the writes so far.
    pub(crate) writes: Vec<usize>,
}

impl Pipe {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            ..Self::default()
        }
    }

    /// Writes as much of `bytes` as fits; returns how much that was.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> usize {
        let taken = self.free().min(bytes.len());
        self.in_flight.extend(&bytes[..taken]);
        taken
    }

    pub(crate) fn free(&self) -> usize {
        self.capacity.saturating_sub(self.in_flight.len())
    }

    /// The peer takes up to `count` bytes out of the socket buffer.
    pub(crate) fn take(&mut self, count: usize) {
        let count = count.min(self.in_flight.len());
        self.received.extend(self.in_flight.drain(..count));
    }

    /// Whether the peer has sent what the machine has not been given.
    pub(crate) fn has_input(&self) -> bool {
        !self.inbound.is_empty() || (self.inbound_end && !self.end_told)
    }

    /// Whether there is something to tell the machine now.
    pub(crate) fn is_ready(&self) -> bool {
        let takes = !self.stalled && !self.in_flight.is_empty();
        let writable = self.blocked && (self.free() > 0 || takes);
        writable || (self.has_input() && !self.paused)
    }

    /// How it ended; `None` while it lives.
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// Whether the machine has shut the write side.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Whether the machine has withdrawn its interest in reading.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Sizes of the writes so far, in order.
    pub fn writes(&self) -> &[usize] {
        &self.writes
    }
}
