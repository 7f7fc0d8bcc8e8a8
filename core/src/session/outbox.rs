//! Send queues: what each connection still has to get, and which connections have something to report.
//!
//! A queue is a list of (buffer, start, end) nodes from one slab; an idle connection owns no node. Buffers
//! are shared: a message to a thousand members is encoded once and referenced a thousand times. Limits are
//! checked before queueing, never after. Rounds (see [`crate::Machine`]) live here too, because a flag and a
//! queue change together. Knows nothing of rooms but a number, and nothing of what the bytes say.

#[cfg(test)]
mod tests;

use crate::config::SlowReader;
use crate::session::NONE;
use crate::session::buffer::Buffers;
use crate::session::lists::{Links, List};

/// A run of whole messages in a buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) buffer: u32,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// Something to report about a connection; several at once are handed out in this order.
pub(crate) mod flag {
    /// Read interest came back.
    pub(crate) const READ: u8 = 1;
    /// Read interest is withdrawn.
    pub(crate) const PAUSE: u8 = 2;
    /// Bytes wait.
    pub(crate) const TRANSMIT: u8 = 4;
    /// Shut down the write side.
    pub(crate) const FINISH: u8 = 8;
    /// Close in order.
    pub(crate) const CLOSE: u8 = 16;
    /// Close with a reset.
    pub(crate) const RESET: u8 = 32;
}

/// Messages that a slow reader did not get.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Drop {
    /// [`NONE`] if it is gone and its slot has another owner.
    pub(crate) connection: u32,
    /// The buffer's room.
    pub(crate) room: u32,
    pub(crate) messages: u32,
    /// The number of the message that the room keeps for when the connection drains, if it is among them;
    /// otherwise 0.
    pub(crate) kept: u64,
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
    /// Messages that were queued, or about to be, when their connection was closed.
    pub(crate) discarded_messages: u64,
    /// Pongs replaced by a later one while the connection was blocked.
    pub(crate) coalesced_pongs: u64,
    max_bytes: u32,
    max_messages: u32,
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
/// Its queue overflowed under the policy `close`: what it is sent from now on is its goodbye.
const OVERFLOWED: u8 = 4;
/// It may have entries in `drops`.
const DROPPED: u8 = 8;
/// It has missed messages under the policy `latest` and not drained since: what it will get is the last one.
const BEHIND: u8 = 16;
/// In the list of the next round.
const LISTED: u8 = 128;

/// The room number of buffers that hold control frames of a blocked connection.
const CONTROL: u32 = NONE - 1;

/// Header and payload of the longest control frame of a server (RFC 6455, section 5.5).
const MAX_CONTROL_FRAME_BYTES: u32 = 2 + 125;

/// The limit of a queue is at most this, so that what goes beyond it cannot overflow a number.
const MAX_QUEUED: u32 = u32::MAX / 2;

/// A direct buffer is closed once it is this long, so that a stalled reader does not pin more.
const DIRECT_BUFFER_BYTES: u32 = 64 * 1024;
/// A private copy grows up to this.
const PRIVATE_BUFFER_BYTES: u32 = 64 * 1024;

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
            discarded_messages: 0,
            coalesced_pongs: 0,
            max_bytes: u32::try_from(max_bytes).map_or(MAX_QUEUED, |max| max.min(MAX_QUEUED)),
            max_messages: max_messages.min(MAX_QUEUED),
        }
    }

    /// Starts an empty queue for a new connection.
    pub(crate) fn open(&mut self, connection: u32) {
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
            self.overflowed.retain(|&other| other != connection);
        }
        if state & DROPPED != 0 {
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

    #[cold]
    fn queue_slow(
        &mut self,
        connection: u32,
        range: Range,
        messages: u32,
        policy: SlowReader,
        fits: bool,
    ) {
        let state = self.boxes[connection as usize].state;
        if state & SHUT != 0 {
            self.discarded_messages += u64::from(messages);
        } else if policy == SlowReader::Latest && state & (BLOCKED | BEHIND) != 0 {
            self.boxes[connection as usize].state |= BEHIND;
            let room = self.buffers.room(range.buffer);
            self.note_drop(connection, room, messages, self.buffers.kept_in(range));
        } else if fits {
            self.queue_blocked(connection, range, messages);
        } else {
            self.queue_over(connection, range, messages, policy);
        }
    }

    /// Queues for a connection that may hold the range for long: a small part of a buffer is copied, so that
    /// it does not pin the rest.
    fn queue_blocked(&mut self, connection: u32, range: Range, messages: u32) {
        if self.boxes[connection as usize].state & BLOCKED == 0 {
            self.link(connection, range, messages);
            self.raise(connection, flag::TRANSMIT);
            return;
        }
        if self.wastes(range) {
            self.link_copy(connection, range, messages);
        } else {
            self.buffers.pin(range.buffer);
            self.link(connection, range, messages);
        }
    }

    /// Whether a stalled connection would hold much more than the range if it held its buffer: the range is a
    /// small part of it, or will be when it is filled.
    fn wastes(&self, range: Range) -> bool {
        let length = range.end - range.start;
        let part = self.buffers.is_filling(range.buffer)
            || length.saturating_mul(4) < self.buffers.len(range.buffer);
        part && length <= PRIVATE_BUFFER_BYTES / 4
    }

    fn queue_over(&mut self, connection: u32, range: Range, messages: u32, policy: SlowReader) {
        match policy {
            SlowReader::Close if self.is_last_word(connection, range) => {
                self.queue_blocked(connection, range, messages);
            }
            SlowReader::Close => {
                self.boxes[connection as usize].state |= SHUT | OVERFLOWED;
                self.discarded_messages += u64::from(messages);
                self.overflowed.push(connection);
            }
            SlowReader::DropNewest => self.queue_prefix(connection, range, messages),
            SlowReader::DropOldest | SlowReader::Latest => {
                let excess = self.excess(connection, range, messages);
                self.drop_oldest(connection, self.buffers.room(range.buffer), excess);
                self.queue_suffix(connection, range, messages);
            }
        }
    }

    /// A close frame behind the rest of a started message: it goes out however full the queue is, or the
    /// connection would overflow again with each attempt to close it.
    fn is_last_word(&self, connection: u32, range: Range) -> bool {
        self.boxes[connection as usize].state & OVERFLOWED != 0
            && range.end - range.start <= MAX_CONTROL_FRAME_BYTES
            && self.buffers.room(range.buffer) == NONE
    }

    /// By how many bytes and messages the queue would overflow.
    fn excess(&self, connection: u32, range: Range, messages: u32) -> (u32, u32) {
        let outbox = &self.boxes[connection as usize];
        let bytes = outbox.bytes.saturating_add(range.end - range.start);
        let count = outbox.messages.saturating_add(messages);
        (
            bytes.saturating_sub(self.max_bytes),
            count.saturating_sub(self.max_messages),
        )
    }

    fn room_left(&self, connection: u32) -> (u32, u32) {
        let outbox = &self.boxes[connection as usize];
        (
            self.max_bytes.saturating_sub(outbox.bytes),
            self.max_messages.saturating_sub(outbox.messages),
        )
    }

    fn queue_prefix(&mut self, connection: u32, range: Range, messages: u32) {
        let (bytes, count) = self.room_left(connection);
        let end = self.buffers.prefix(range.buffer, range.start, bytes, count);
        let kept = self.buffers.messages(range.buffer, range.start, end);
        if kept > 0 {
            self.queue_blocked(connection, Range { end, ..range }, kept);
        }
        let room = self.buffers.room(range.buffer);
        self.note_drop(connection, room, messages - kept, 0);
    }

    fn queue_suffix(&mut self, connection: u32, range: Range, messages: u32) {
        let (mut start, mut kept) = (range.start, messages);
        let (bytes, count) = self.room_left(connection);
        while kept > 0 && (range.end - start > bytes || kept > count) {
            start = self.buffers.message_end(range.buffer, start);
            kept -= 1;
        }
        if kept > 0 {
            self.queue_blocked(connection, Range { start, ..range }, kept);
        }
        if kept < messages {
            let room = self.buffers.room(range.buffer);
            self.note_drop(connection, room, messages - kept, 0);
        }
    }

    fn note_drop(&mut self, connection: u32, room: u32, messages: u32, kept: u64) {
        self.boxes[connection as usize].state |= DROPPED;
        self.drops.push(Drop {
            connection,
            room,
            messages,
            kept,
        });
    }

    /// Takes whole messages of `room` that have not been started out of the queue, oldest first, until
    /// `excess` bytes and messages are free.
    fn drop_oldest(&mut self, connection: u32, room: u32, excess: (u32, u32)) {
        let (mut bytes, mut messages) = (0, 0);
        let (mut previous, mut at) = (NONE, self.boxes[connection as usize].head);
        while at != NONE && (bytes < excess.0 || messages < excess.1) {
            let node = self.nodes[at as usize];
            if self.buffers.room(node.buffer) != room {
                (previous, at) = (at, node.next);
                continue;
            }
            if self.is_started(at) {
                (previous, at) = self.split(connection, at);
                continue;
            }
            let mut start = node.start;
            while start < node.end && (bytes < excess.0 || messages < excess.1) {
                let end = self.buffers.message_end(node.buffer, start);
                bytes += end - start;
                messages += 1;
                start = end;
            }
            if start < node.end {
                self.nodes[at as usize].start = start;
                break;
            }
            self.unlink(connection, previous, at);
            at = node.next;
        }
        let outbox = &mut self.boxes[connection as usize];
        outbox.bytes -= bytes;
        outbox.messages -= messages;
        if messages > 0 {
            self.note_drop(connection, room, messages, 0);
        }
    }

    /// Queues one message that `write` appends. For this connection only; over its limit it is closed, and
    /// once it has overflowed only what is no longer than a control frame still goes beyond the limit.
    pub(crate) fn direct(&mut self, connection: u32, write: impl FnOnce(&mut Vec<u8>)) {
        if self.boxes[connection as usize].state & SHUT != 0 {
            self.discarded_messages += 1;
            return;
        }
        if self.direct == NONE {
            self.direct = self.buffers.open(NONE);
        }
        let (start, end) = self.buffers.append(self.direct, write);
        self.unsealed_bytes += (end - start) as usize;
        let buffer = self.direct;
        self.queue(
            connection,
            Range { buffer, start, end },
            1,
            SlowReader::Close,
        );
        if end >= DIRECT_BUFFER_BYTES {
            self.seal_direct();
        }
    }

    /// Queues one control frame ahead of everything but a message that has been started. While the
    /// connection is blocked a frame replaces an earlier one of its kind that has not been started (RFC 6455,
    /// section 5.5.3), so that at most one of each waits beyond the limit.
    pub(crate) fn control(&mut self, connection: u32, frame: &[u8]) {
        let outbox = &self.boxes[connection as usize];
        if outbox.state & SHUT != 0 {
            return;
        }
        if outbox.state & BLOCKED == 0 || outbox.head == NONE {
            self.direct(connection, |out| out.extend_from_slice(frame));
            return;
        }
        let (mut previous, mut at) = (NONE, outbox.head);
        if self.is_started(at) {
            (previous, at) = self.split(connection, at);
        }
        let buffer = self.buffers.open_small(CONTROL);
        let (start, end) = self
            .buffers
            .append(buffer, |out| out.extend_from_slice(frame));
        while at != NONE && self.buffers.room(self.nodes[at as usize].buffer) == CONTROL {
            let node = self.nodes[at as usize];
            if frame.first() == self.buffers.slice(node.buffer, 0, 1).first() {
                self.replace(connection, at, Range { buffer, start, end });
                self.coalesced_pongs += u64::from(frame.first() == Some(&PONG));
                return;
            }
            (previous, at) = (at, node.next);
        }
        let node = self.new_node(buffer, start, end, at);
        self.insert_after(connection, previous, node);
        let outbox = &mut self.boxes[connection as usize];
        outbox.bytes += end - start;
        outbox.messages += 1;
    }

    /// Whether the first message of a node has been sent in part.
    fn is_started(&self, at: u32) -> bool {
        let node = &self.nodes[at as usize];
        !self.buffers.is_boundary(node.buffer, node.start)
    }

    fn replace(&mut self, connection: u32, at: u32, range: Range) {
        let old = self.nodes[at as usize];
        self.buffers.release(old.buffer);
        let outbox = &mut self.boxes[connection as usize];
        outbox.bytes = outbox.bytes - (old.end - old.start) + (range.end - range.start);
        let node = &mut self.nodes[at as usize];
        (node.buffer, node.start, node.end) = (range.buffer, range.start, range.end);
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

    /// Appends a copy of a range to the connection's own last buffer, or to a new one.
    fn link_copy(&mut self, connection: u32, range: Range, messages: u32) {
        let tail = self.boxes[connection as usize].tail;
        let length = range.end - range.start;
        let room = self.buffers.room(range.buffer);
        let own = match self.nodes.get(tail as usize) {
            Some(node)
                if self.buffers.is_private(node.buffer, room)
                    && self.buffers.len(node.buffer) == node.end
                    && node.end + length <= PRIVATE_BUFFER_BYTES =>
            {
                node.buffer
            }
            _ => NONE,
        };
        if own == NONE {
            let buffer = self.buffers.open_small(room);
            let end = self.buffers.copy(range, buffer);
            self.link(
                connection,
                Range {
                    buffer,
                    start: 0,
                    end,
                },
                messages,
            );
            self.buffers.release(buffer);
        } else {
            let end = self.buffers.copy(range, own);
            self.nodes[tail as usize].end = end;
            let outbox = &mut self.boxes[connection as usize];
            outbox.bytes += length;
            outbox.messages += messages;
        }
    }

    fn new_node(&mut self, buffer: u32, start: u32, end: u32, next: u32) -> u32 {
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

    /// The socket takes no more. Returns `true` if that is news. The queue gives up buffers of which it uses
    /// a small part. O(what was queued since it was last blocked), so that a peer that takes a little at a
    /// time costs no more for having a long queue.
    pub(crate) fn block(&mut self, connection: u32) -> bool {
        let outbox = &mut self.boxes[connection as usize];
        if outbox.state & BLOCKED != 0 {
            return false;
        }
        outbox.state |= BLOCKED;
        self.stalled_links.push_back(&mut self.stalled, connection);
        let &mut Outbox {
            head,
            tail,
            settled,
            ..
        } = outbox;
        outbox.settled = tail;
        let mut at = match self.nodes.get(settled as usize) {
            Some(&Node { next, .. }) => {
                // Of the first, less may be left than when it was seen to.
                self.settle(head);
                next
            }
            None => head,
        };
        while at != NONE {
            self.settle(at);
            at = self.nodes[at as usize].next;
        }
        true
    }

    /// Sees to it that the node `at` holds no more memory than it is worth.
    fn settle(&mut self, at: u32) {
        let Node {
            buffer, start, end, ..
        } = self.nodes[at as usize];
        if self.buffers.is_shared(buffer) && self.wastes(Range { buffer, start, end }) {
            self.copy_out(at);
        } else if self.buffers.is_filling(buffer) {
            self.buffers.pin(buffer);
        } else {
            self.buffers.shrink(buffer);
        }
    }

    /// Gives the node a buffer of its own. A started message keeps its end, and its start moves to 0.
    fn copy_out(&mut self, at: u32) {
        let Node {
            buffer, start, end, ..
        } = self.nodes[at as usize];
        let started = !self.buffers.is_boundary(buffer, start);
        let own = self.buffers.open_small(self.buffers.room(buffer));
        if started {
            // A byte that is never sent keeps the boundary in front of the started message.
            self.buffers.pad(own);
        }
        let begin = self.buffers.len(own);
        let end = self.buffers.copy(Range { buffer, start, end }, own);
        self.buffers.release(buffer);
        let node = &mut self.nodes[at as usize];
        (node.buffer, node.start, node.end) = (own, begin, end);
    }

    /// The socket takes bytes again.
    pub(crate) fn unblock(&mut self, connection: u32) {
        let outbox = &mut self.boxes[connection as usize];
        if outbox.state & BLOCKED != 0 {
            outbox.state &= !BLOCKED;
            if outbox.head == NONE {
                outbox.state &= !BEHIND;
            }
            self.stalled_links.remove(&mut self.stalled, connection);
        }
    }

    /// Drops what is queued, except the rest of a started message if `keep_started`. Returns how many
    /// messages went.
    pub(crate) fn discard(&mut self, connection: u32, keep_started: bool) -> u32 {
        let mut previous = NONE;
        let mut at = self.boxes[connection as usize].head;
        let mut kept = (0, 0);
        if at != NONE && keep_started && self.is_started(at) {
            (previous, at) = self.split(connection, at);
            let front = self.nodes[previous as usize];
            kept = (front.end - front.start, 1);
        }
        while at != NONE {
            let next = self.nodes[at as usize].next;
            self.unlink(connection, previous, at);
            at = next;
        }
        let outbox = &mut self.boxes[connection as usize];
        let gone = outbox.messages - kept.1;
        (outbox.bytes, outbox.messages) = kept;
        self.discarded_messages += u64::from(gone);
        gone
    }

    /// Nothing more may be queued, or it may again.
    pub(crate) fn set_shut(&mut self, connection: u32, shut: bool) {
        let outbox = &mut self.boxes[connection as usize];
        outbox.state = if shut {
            outbox.state | SHUT
        } else {
            outbox.state & !SHUT
        };
    }

    pub(crate) fn is_empty(&self, connection: u32) -> bool {
        self.boxes[connection as usize].head == NONE
    }

    pub(crate) fn is_blocked(&self, connection: u32) -> bool {
        self.boxes[connection as usize].state & BLOCKED != 0
    }

    /// Whether nothing is queued and its socket takes bytes: it has drained, or never had to.
    pub(crate) fn is_idle(&self, connection: u32) -> bool {
        self.is_empty(connection) && !self.is_blocked(connection)
    }

    /// Bytes queued for a connection.
    pub(crate) fn queued_bytes(&self, connection: u32) -> u32 {
        self.boxes[connection as usize].bytes
    }

    /// The connection that has been blocked longest.
    pub(crate) fn longest_stalled(&self) -> Option<u32> {
        self.stalled.front()
    }

    // ---- rounds

    /// Flags a connection for the next round, or for this one if its turn is still to come. `TRANSMIT` waits
    /// while it is blocked. O(1).
    #[inline]
    pub(crate) fn raise(&mut self, connection: u32, flags: u8) {
        let outbox = &mut self.boxes[connection as usize];
        if outbox.flags & LISTED == 0 {
            self.ready.push(connection);
        }
        outbox.flags |= flags | LISTED;
    }

    /// Takes back flags that were raised and not handed out. O(1).
    pub(crate) fn lower(&mut self, connection: u32, flags: u8) {
        self.boxes[connection as usize].flags &= !flags;
        if self.handing.0 == connection {
            self.handing.1 &= !flags;
        }
    }

    /// The next flag of this round and its connection. Each connection has one turn in a round; what is raised
    /// from then on is for the next.
    #[inline]
    pub(crate) fn next_flagged(&mut self) -> Option<(u32, u8)> {
        loop {
            let (connection, flags) = self.handing;
            if flags != 0 {
                let first = flags & flags.wrapping_neg();
                self.handing.1 = flags & !first;
                return Some((connection, first));
            }
            let &connection = self.round.get(self.next_in_round)?;
            self.next_in_round += 1;
            let outbox = &mut self.boxes[connection as usize];
            self.handing = (connection, outbox.flags & !LISTED);
            outbox.flags = 0;
        }
    }

    /// Makes what was flagged meanwhile the next round; `false` if there is nothing.
    pub(crate) fn begin_round(&mut self) -> bool {
        self.round.clear();
        self.next_in_round = 0;
        core::mem::swap(&mut self.round, &mut self.ready);
        !self.round.is_empty()
    }

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
        self.next = node.next;
        Some(
            self.outboxes
                .buffers
                .slice(node.buffer, node.start, node.end),
        )
    }
}

/// The first byte of a pong frame.
const PONG: u8 = 0x8A;
