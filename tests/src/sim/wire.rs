//! One direction of a connection: a sender's buffer, bytes under way, a receiver's buffer.
//!
//! Both buffers are bounded, so a reader that stops is felt by the writer, as with TCP. Order is kept; how
//! the stream is cut is up to chance. Knows nothing of who writes and who reads.

use std::collections::VecDeque;

use crate::rng::Rng;

/// How a connection's network behaves, both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// One way, in microseconds.
    pub latency_us: u64,
    /// At most so much is added to it, differently for each segment.
    pub jitter_us: u64,
    /// Segments of 1 to so many bytes.
    pub segment_bytes: usize,
    /// The send buffer of the server's socket.
    pub server_buffer_bytes: usize,
    /// The receive buffer of the client's socket.
    pub client_buffer_bytes: usize,
}

impl Default for Link {
    /// A good connection: 20 ms, whole packets, the buffers of a usual system.
    fn default() -> Self {
        Self {
            latency_us: 20_000,
            jitter_us: 2_000,
            segment_bytes: 1_448,
            server_buffer_bytes: 64 * 1024,
            client_buffer_bytes: 64 * 1024,
        }
    }
}

/// How a direction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// After everything that was written.
    Fin,
    /// At once.
    Reset,
}

/// What travels: bytes, or the end of them.
#[derive(Clone, Debug)]
pub(super) enum Segment {
    Bytes(Vec<u8>),
    End(End),
}

/// One direction.
#[derive(Debug)]
pub(super) struct Wire {
    latency_us: u64,
    jitter_us: u64,
    segment_bytes: usize,
    /// What the sender's socket holds at most.
    capacity: usize,
    /// What the receiver's socket holds at most.
    window: usize,
    unsent: VecDeque<u8>,
    in_flight: usize,
    arrived: VecDeque<u8>,
    /// Nothing arrives before what left earlier.
    last_arrival: u64,
    /// Nothing arrives before this.
    stalled_until: u64,
    /// The sender is done, and how; `None` again once that is under way.
    ending: Option<End>,
    /// The sender has said its last.
    closed: bool,
    /// The end that has arrived.
    pub(super) ended: Option<End>,
    /// Nothing gets through any more, and nobody is told.
    cut: bool,
}

impl Wire {
    pub(super) fn new(link: &Link, capacity: usize, window: usize) -> Self {
        Self {
            latency_us: link.latency_us,
            jitter_us: link.jitter_us,
            segment_bytes: link.segment_bytes.max(1),
            capacity: capacity.max(1),
            window: window.max(1),
            unsent: VecDeque::new(),
            in_flight: 0,
            arrived: VecDeque::new(),
            last_arrival: 0,
            stalled_until: 0,
            ending: None,
            closed: false,
            ended: None,
            cut: false,
        }
    }

    /// Room in the sender's buffer.
    pub(super) fn free(&self) -> usize {
        self.capacity.saturating_sub(self.unsent.len())
    }

    /// Bytes that have arrived and not been read.
    pub(super) fn readable(&self) -> usize {
        self.arrived.len()
    }

    /// Puts bytes into the sender's buffer, whether there is room or not.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        if !self.closed {
            self.unsent.extend(bytes);
        }
    }

    /// Nothing is written any more.
    pub(super) fn close(&mut self, how: End) {
        match how {
            End::Fin if self.closed => {}
            End::Fin => self.ending = Some(End::Fin),
            End::Reset => {
                self.unsent.clear();
                self.ending = Some(End::Reset);
            }
        }
        self.closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn cut(&mut self) {
        self.cut = true;
    }

    pub(super) fn stall(&mut self, until: u64) {
        self.stalled_until = self.stalled_until.max(until);
    }

    /// Sends what the receiver has room for. Segments and when they arrive go to `out`.
    pub(super) fn pump(&mut self, now: u64, rng: &mut Rng, out: &mut Vec<(u64, Segment)>) {
        if self.cut {
            return;
        }
        while !self.unsent.is_empty() {
            let room = self
                .window
                .saturating_sub(self.in_flight + self.arrived.len());
            if room == 0 {
                return;
            }
            let length = (1 + rng.below(self.segment_bytes)).min(self.unsent.len());
            let bytes: Vec<u8> = self.unsent.drain(..length.min(room)).collect();
            self.in_flight += bytes.len();
            out.push((self.arrival(now, rng), Segment::Bytes(bytes)));
        }
        if let Some(end) = self.ending.take() {
            out.push((self.arrival(now, rng), Segment::End(end)));
        }
    }

    fn arrival(&mut self, now: u64, rng: &mut Rng) -> u64 {
        let jitter = rng.next() % (self.jitter_us + 1);
        let at = now + self.latency_us + jitter;
        self.last_arrival = at.max(self.last_arrival).max(self.stalled_until);
        self.last_arrival
    }

    /// Something has arrived.
    pub(super) fn arrive(&mut self, segment: Segment) {
        match segment {
            Segment::Bytes(bytes) => {
                self.in_flight -= bytes.len();
                if self.ended.is_none() {
                    self.arrived.extend(bytes);
                }
            }
            Segment::End(end) => {
                if end == End::Reset {
                    self.arrived.clear();
                }
                self.ended = Some(end);
            }
        }
    }

    /// Reads up to `bytes`.
    pub(super) fn read(&mut self, bytes: usize) -> Vec<u8> {
        let count = bytes.min(self.arrived.len());
        self.arrived.drain(..count).collect()
    }

    /// What has arrived is thrown away, as is what still comes.
    pub(super) fn shut(&mut self) {
        self.arrived.clear();
        self.window = usize::MAX / 2;
    }
}
