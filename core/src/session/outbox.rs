//! Send queues: what each connection still has to get, and which connections have something to report.
//!
//! A queue is a list of (buffer, start, end) nodes from one slab; an idle connection owns no node. Buffers
//! are shared: a message to a thousand members is encoded once and referenced a thousand times. Limits are
//! checked before queueing, never after. Rounds (see [`crate::Machine`]) live here too, because a flag and a
//! queue change together. Knows nothing of rooms but a number, and nothing of what the bytes say.

mod overflow;
mod rounds;
mod stall;
#[cfg(test)]
mod tests;

use crate::config::SlowReader;
use crate::session::NONE;
use crate::session::buffer::{Buffers, Place};
use crate::session::facts::{Fact, Facts};
use crate::session::lists::{Links, List};
use crate::steps::Steps;

use overflow::{DROPPED, OVERFLOWED, UNSETTLED};
use rounds::LISTED;
pub(crate) use rounds::flag;

/// A run of whole messages in a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) buffer: u32,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// Messages that a slow reader did not get.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drop {
    /// [`NONE`] if it is gone and its slot has another owner.
    pub(crate) connection: u32,
    /// The serial of the buffer's room.
    pub(crate) room: u32,
    pub(crate) messages: u32,
    /// What went under the policy `latest`, which keeps the room's last message for when the connection drains.
    pub(crate) latest: Option<Range>,
}

/// What became of a report by the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// How many bytes left the queue.
    pub(crate) bytes: u32,
    /// Nothing is queued any more.
    pub(crate) drained: bool,
    /// The driver claims more than it was lent.
    pub(crate) clamped: bool,
}

/// The queues of a shard.
#[derive(Debug)]
pub(crate) struct Outboxes {
    boxes: Vec<Outbox>,
    nodes: Vec<Node>,
    free_node: u32,
    pub(crate) buffers: Buffers,
    /// The buffer that direct messages of this round share, or [`NONE`].
    direct: u32,
    /// Appended since the last seal.
    unsealed_bytes: usize,
    /// Connections flagged for the next round, and the rest of this one.
    ready: Vec<u32>,
    round: Vec<u32>,
    next_in_round: usize,
    /// Whose turn it is in this round, and its flags that have not been handed out.
    handing: (u32, u8),
    /// Blocked connections, the one that has been so longest first.
    stalled: List,
    stalled_links: Links,
    /// Connections whose queue overflowed under the policy `close`.
    pub(crate) overflowed: Vec<u32>,
    /// Messages dropped since the server last looked.
    pub(crate) drops: Vec<Drop>,
    /// What became of messages, if that is asked for.
    pub(crate) facts: Facts,
    /// Messages that were queued, or about to be, when their connection was closed.
    pub(crate) discarded_messages: u64,
    /// Pongs replaced by a later one while the connection was blocked.
    pub(crate) coalesced_pongs: u64,
    max_bytes: u32,
    max_messages: u32,
    /// Those of the rooms' members included.
    pub(crate) steps: Steps,
}

#[derive(Clone, Copy, Debug)]
struct Outbox {
    head: u32,
    tail: u32,
    /// Up to here [`Outboxes::block`] has seen to it that nothing large is held for a little.
    settled: u32,
    bytes: u32,
    messages: u32,
    state: u8,
    flags: u8,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    buffer: u32,
    start: u32,
    end: u32,
    next: u32,
}

/// The socket takes no bytes.
const BLOCKED: u8 = 1;
/// Nothing may be queued any more.
const SHUT: u8 = 2;
/// It has missed messages under the policy `latest` and not drained since: what it will get is the last one.
const BEHIND: u8 = 64;

/// The limit of a queue is at most this, so that what goes beyond it cannot overflow a number.
const MAX_QUEUED: u32 = u32::MAX / 2;

/// A direct buffer is closed once it is this long, so that a stalled reader does not pin more.
const DIRECT_BUFFER_BYTES: u32 = 64 * 1024;

impl Outboxes {
    /// Queues of at most `max_bytes` and `max_messages` per connection; 2 GiB and two billion if these are more.
    pub(crate) fn new(max_bytes: usize, max_messages: u32) -> Self {
        Self {
            boxes: Vec::new(),
            nodes: Vec::new(),
            free_node: NONE,
            buffers: Buffers::default(),
            direct: NONE,
            unsealed_bytes: 0,
            ready: Vec::new(),
            round: Vec::new(),
            next_in_round: 0,
            handing: (NONE, 0),
            stalled: List::EMPTY,
            stalled_links: Links::default(),
            overflowed: Vec::new(),
            drops: Vec::new(),
            facts: Facts::default(),
            discarded_messages: 0,
            coalesced_pongs: 0,
            max_bytes: u32::try_from(max_bytes).map_or(MAX_QUEUED, |max| max.min(MAX_QUEUED)),
            max_messages: max_messages.min(MAX_QUEUED),
            steps: Steps::new(),
        }
    }

    /// Starts an empty queue for a new connection.
    pub(crate) fn open(&mut self, connection: u32) {
        self.steps.one();
        let empty = Outbox {
            head: NONE,
            tail: NONE,
            settled: NONE,
            bytes: 0,
            messages: 0,
            state: 0,
            flags: 0,
        };
        match self.boxes.get_mut(connection as usize) {
            // A former owner of the slot may have left it in the list of a round: it is in there once.
            Some(outbox) => {
                let (flags, state) = (outbox.flags & LISTED, outbox.state);
                *outbox = Outbox { flags, ..empty };
                self.disown(connection, state);
            }
            None => self.boxes.resize(connection as usize + 1, empty),
        }
        self.stalled_links.reserve(connection);
    }

    /// What the server has yet to learn of a slot's former owner is none of the next one's.
    fn disown(&mut self, connection: u32, state: u8) {
        if state & OVERFLOWED != 0 {
            self.steps.many(self.overflowed.len());
            self.overflowed.retain(|&other| other != connection);
        }
        if state & DROPPED != 0 {
            self.steps.many(self.drops.len());
            let theirs = self.drops.iter_mut().filter(|d| d.connection == connection);
            theirs.for_each(|drop| drop.connection = NONE);
        }
    }

    /// Drops everything; the connection is gone.
    pub(crate) fn close(&mut self, connection: u32) {
        self.unblock(connection);
        self.discard(connection, false);
        let outbox = &mut self.boxes[connection as usize];
        outbox.state |= SHUT;
        self.lower(connection, !LISTED);
    }

    // ---- queueing

    /// Queues `messages` messages of a buffer. What does not fit is handled by `policy`. O(1); O(queue) when
    /// the policy `drop_oldest` has to make room.
    #[inline]
    pub(crate) fn queue(
        &mut self,
        connection: u32,
        range: Range,
        messages: u32,
        policy: SlowReader,
    ) {
        self.steps.one();
        let outbox = &self.boxes[connection as usize];
        let length = range.end - range.start;
        let fits = outbox.bytes.saturating_add(length) <= self.max_bytes
            && outbox.messages.saturating_add(messages) <= self.max_messages;
        if outbox.state & (BLOCKED | SHUT | BEHIND) == 0 && fits {
            self.link(connection, range, messages);
            self.raise(connection, flag::TRANSMIT);
        } else {
            self.queue_slow(connection, range, messages, policy, fits);
        }
    }

    /// Queues one message that `write` appends. For this connection only; over its limit it is closed, and
    /// once it has overflowed only what is no longer than a control frame still goes beyond the limit. Returns
    /// where the message was written, if it was.
    pub(crate) fn direct(
        &mut self,
        connection: u32,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Option<Place> {
        self.steps.one();
        if self.boxes[connection as usize].state & SHUT != 0 {
            self.discarded_messages += 1;
            return None;
        }
        if self.direct == NONE {
            self.direct = self.buffers.open(NONE);
        }
        let (start, end) = self.buffers.append(self.direct, write);
        self.unsealed_bytes += (end - start) as usize;
        let buffer = self.direct;
        let range = Range { buffer, start, end };
        let place = self.buffers.place(range);
        self.queue(connection, range, 1, SlowReader::Close);
        if end >= DIRECT_BUFFER_BYTES {
            self.seal_direct();
        }
        Some(place)
    }

    /// The same for several connections, which share what is written.
    pub(crate) fn direct_to(&mut self, connections: &[u32], write: impl FnOnce(&mut Vec<u8>)) {
        self.steps.one();
        if self.direct == NONE {
            self.direct = self.buffers.open(NONE);
        }
        let (start, end) = self.buffers.append(self.direct, write);
        self.unsealed_bytes += (end - start) as usize;
        let buffer = self.direct;
        for &connection in connections {
            if self.boxes[connection as usize].state & SHUT != 0 {
                self.discarded_messages += 1;
            } else {
                self.queue(
                    connection,
                    Range { buffer, start, end },
                    1,
                    SlowReader::Close,
                );
            }
        }
        if end >= DIRECT_BUFFER_BYTES {
            self.seal_direct();
        }
    }

    // ---- the list

    /// Appends a range, which gains a reference unless it continues the last one.
    #[inline]
    fn link(&mut self, connection: u32, range: Range, messages: u32) {
        let outbox = &mut self.boxes[connection as usize];
        outbox.bytes += range.end - range.start;
        outbox.messages += messages;
        if outbox.tail != NONE {
            let tail = &mut self.nodes[outbox.tail as usize];
            if tail.buffer == range.buffer && tail.end == range.start {
                tail.end = range.end;
                return;
            }
        }
        self.buffers.retain(range.buffer, 1);
        let node = self.new_node(range.buffer, range.start, range.end, NONE);
        let outbox = &mut self.boxes[connection as usize];
        match outbox.tail {
            NONE => outbox.head = node,
            tail => self.nodes[tail as usize].next = node,
        }
        outbox.tail = node;
    }

    fn new_node(&mut self, buffer: u32, start: u32, end: u32, next: u32) -> u32 {
        self.steps.one();
        let node = Node {
            buffer,
            start,
            end,
            next,
        };
        match self.free_node {
            NONE => {
                self.nodes.push(node);
                self.nodes.len() as u32 - 1
            }
            free => {
                self.free_node = self.nodes[free as usize].next;
                self.nodes[free as usize] = node;
                free
            }
        }
    }

    /// Splits the node `at` behind its first message. Returns the part in front and what follows it.
    fn split(&mut self, connection: u32, at: u32) -> (u32, u32) {
        self.steps.one();
        let node = self.nodes[at as usize];
        let middle = self.buffers.message_end(node.buffer, node.start);
        if middle >= node.end {
            return (at, node.next);
        }
        self.buffers.retain(node.buffer, 1);
        let rest = self.new_node(node.buffer, middle, node.end, node.next);
        let front = &mut self.nodes[at as usize];
        front.end = middle;
        front.next = rest;
        let outbox = &mut self.boxes[connection as usize];
        if outbox.tail == at {
            outbox.tail = rest;
        }
        if outbox.settled == at {
            outbox.settled = rest;
        }
        (at, rest)
    }

    fn insert_after(&mut self, connection: u32, previous: u32, node: u32) {
        match previous {
            NONE => self.boxes[connection as usize].head = node,
            previous => self.nodes[previous as usize].next = node,
        }
        if self.nodes[node as usize].next == NONE {
            self.boxes[connection as usize].tail = node;
        }
    }

    /// Takes the node `at`, which follows `previous`, out of the list and releases its buffer.
    fn unlink(&mut self, connection: u32, previous: u32, at: u32) {
        self.steps.one();
        let Node { buffer, next, .. } = self.nodes[at as usize];
        let outbox = &mut self.boxes[connection as usize];
        match previous {
            NONE => outbox.head = next,
            previous => self.nodes[previous as usize].next = next,
        }
        if outbox.tail == at {
            outbox.tail = previous;
        }
        if outbox.settled == at {
            outbox.settled = previous;
        }
        self.nodes[at as usize].next = self.free_node;
        self.free_node = at;
        self.buffers.release(buffer);
    }

    // ---- reports of the driver

    /// The queue as slices.
    pub(crate) fn unsent(&self, connection: u32) -> Slices<'_> {
        Slices {
            outboxes: self,
            next: self
                .boxes
                .get(connection as usize)
                .map_or(NONE, |outbox| outbox.head),
        }
    }

    /// The socket took `bytes` bytes from the front. Amortised O(nodes sent).
    pub(crate) fn sent(&mut self, connection: u32, bytes: usize) -> Sent {
        self.steps.one();
        let queued = self.boxes[connection as usize].bytes;
        let taken = u32::try_from(bytes).unwrap_or(u32::MAX).min(queued);
        let clamped = bytes > queued as usize;
        if taken == queued {
            while self.boxes[connection as usize].head != NONE {
                let head = self.boxes[connection as usize].head;
                self.unlink(connection, NONE, head);
            }
            let outbox = &mut self.boxes[connection as usize];
            (outbox.bytes, outbox.messages) = (0, 0);
            outbox.state &= !BEHIND;
        } else {
            self.sent_part(connection, taken);
        }
        Sent {
            bytes: taken,
            drained: taken == queued,
            clamped,
        }
    }

    fn sent_part(&mut self, connection: u32, mut taken: u32) {
        self.boxes[connection as usize].bytes -= taken;
        while taken > 0 {
            self.steps.one();
            let head = self.boxes[connection as usize].head;
            let Node {
                buffer, start, end, ..
            } = self.nodes[head as usize];
            let stop = end.min(start.saturating_add(taken));
            let messages = self.buffers.messages(buffer, start, stop);
            self.boxes[connection as usize].messages -= messages;
            taken -= stop - start;
            if stop == end {
                self.unlink(connection, NONE, head);
            } else {
                self.nodes[head as usize].start = stop;
            }
        }
    }

    /// Drops what is queued, except the rest of a started message if `keep_started`. Returns how many
    /// messages went.
    pub(crate) fn discard(&mut self, connection: u32, keep_started: bool) -> u32 {
        self.steps.one();
        let mut previous = NONE;
        let mut at = self.boxes[connection as usize].head;
        let mut kept = (0, 0);
        if at != NONE && keep_started && self.is_started(at) {
            (previous, at) = self.split(connection, at);
            let front = self.nodes[previous as usize];
            kept = (front.end - front.start, 1);
        }
        while at != NONE {
            let Node {
                buffer,
                start,
                end,
                next,
            } = self.nodes[at as usize];
            self.note_discard(connection, Range { buffer, start, end });
            self.unlink(connection, previous, at);
            at = next;
        }
        let outbox = &mut self.boxes[connection as usize];
        let gone = outbox.messages - kept.1;
        (outbox.bytes, outbox.messages) = kept;
        self.discarded_messages += u64::from(gone);
        gone
    }

    /// Whether any of `place` is queued. O(queue).
    pub(crate) fn holds(&self, connection: u32, place: Place) -> bool {
        let head = self
            .boxes
            .get(connection as usize)
            .map_or(NONE, |outbox| outbox.head);
        let first = self.nodes.get(head as usize);
        let nodes = core::iter::successors(first, |node| self.nodes.get(node.next as usize));
        nodes.into_iter().any(
            |&Node {
                 buffer, start, end, ..
             }| {
                let queued = self.buffers.place(Range { buffer, start, end });
                queued.overlaps(place)
            },
        )
    }

    fn note_discard(&mut self, slot: u32, range: Range) {
        let buffers = &self.buffers;
        self.facts.note(|| Fact::Discarded {
            slot,
            place: buffers.place(range),
        });
    }

    /// Notes that a range did not fit, or made way.
    fn note_dropped(&mut self, slot: u32, range: Range) {
        let buffers = &self.buffers;
        self.facts.note(|| Fact::Dropped {
            slot,
            place: buffers.place(range),
        });
    }

    fn note_move(&mut self, slot: u32, from: Range, to: Range) {
        let buffers = &self.buffers;
        self.facts.note(|| Fact::Moved {
            slot,
            from: buffers.place(from),
            to: buffers.place(to),
        });
    }

    /// Nothing more may be queued, or it may again.
    pub(crate) fn set_shut(&mut self, connection: u32, shut: bool) {
        self.steps.one();
        let outbox = &mut self.boxes[connection as usize];
        outbox.state = if shut {
            outbox.state | SHUT
        } else {
            outbox.state & !(SHUT | UNSETTLED)
        };
    }

    /// Whether nothing more may be queued.
    pub(crate) fn is_shut(&self, connection: u32) -> bool {
        self.boxes[connection as usize].state & SHUT != 0
    }

    pub(crate) fn is_empty(&self, connection: u32) -> bool {
        self.boxes[connection as usize].head == NONE
    }

    /// Whether nothing is queued and its socket takes bytes: it has drained, or never had to.
    pub(crate) fn is_idle(&self, connection: u32) -> bool {
        self.is_empty(connection) && !self.is_blocked(connection)
    }

    /// Bytes queued for a connection.
    pub(crate) fn queued_bytes(&self, connection: u32) -> u32 {
        self.boxes[connection as usize].bytes
    }

    // ---- memory

    #[cfg(feature = "count-steps")]
    pub(crate) fn steps(&self) -> &Steps {
        &self.steps
    }

    /// Memory of the queues' heads and of the lists of connections, without nodes and buffers.
    pub(crate) fn heap_bytes(&self) -> usize {
        let lists = [&self.ready, &self.round, &self.overflowed];
        let listed: usize = lists.iter().map(|list| list.capacity()).sum();
        self.boxes.capacity() * size_of::<Outbox>()
            + listed * size_of::<u32>()
            + self.drops.capacity() * size_of::<Drop>()
            + self.stalled_links.heap_bytes()
    }

    /// Memory of the queues' entries, used or free.
    pub(crate) fn node_bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
    }

    // ---- seals

    /// Counts bytes appended to a room's open buffer.
    pub(crate) fn note_unsealed(&mut self, bytes: u32) {
        self.unsealed_bytes += bytes as usize;
    }

    /// Bytes appended since the last seal.
    pub(crate) fn unsealed_bytes(&self) -> usize {
        self.unsealed_bytes
    }

    /// A seal begins: the count starts again, and direct messages go to a new buffer.
    pub(crate) fn begin_seal(&mut self) {
        self.unsealed_bytes = 0;
        self.seal_direct();
    }

    fn seal_direct(&mut self) {
        if self.direct != NONE {
            self.buffers.seal(self.direct);
            self.direct = NONE;
        }
    }
}

/// A queue, slice by slice.
#[derive(Clone, Debug)]
pub(crate) struct Slices<'a> {
    outboxes: &'a Outboxes,
    next: u32,
}

impl<'a> Iterator for Slices<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let node = self.outboxes.nodes.get(self.next as usize)?;
        self.outboxes.steps.one();
        self.next = node.next;
        Some(
            self.outboxes
                .buffers
                .slice(node.buffer, node.start, node.end),
        )
    }
}
