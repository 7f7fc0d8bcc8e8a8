//! Queues of connections whose socket takes no bytes: they last, so they hold no more memory than they are
//! worth, and control frames go ahead in them.

use super::rounds::flag;
use super::{BEHIND, BLOCKED, Node, Outbox, Outboxes, Range, SHUT};
use crate::session::NONE;

impl Outboxes {
    /// The socket takes no more. Returns `true` if that is news. The queue gives up buffers of which it uses
    /// a small part. O(what was queued since it was last blocked), so that a peer that takes a little at a
    /// time costs no more for having a long queue.
    pub(crate) fn block(&mut self, connection: u32) -> bool {
        self.steps.one();
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
                self.settle(connection, head);
                next
            }
            None => head,
        };
        while at != NONE {
            self.settle(connection, at);
            at = self.nodes[at as usize].next;
        }
        true
    }

    /// The socket takes bytes again.
    pub(crate) fn unblock(&mut self, connection: u32) {
        self.steps.one();
        let outbox = &mut self.boxes[connection as usize];
        if outbox.state & BLOCKED != 0 {
            outbox.state &= !BLOCKED;
            if outbox.head == NONE {
                outbox.state &= !BEHIND;
            }
            self.stalled_links.remove(&mut self.stalled, connection);
        }
    }

    /// Queues for a connection that may hold the range for long: a small part of a buffer is copied, so that
    /// it does not pin the rest.
    pub(super) fn queue_blocked(&mut self, connection: u32, range: Range, messages: u32) {
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
            self.steps.one();
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

    pub(super) fn replace(&mut self, connection: u32, at: u32, range: Range) {
        let old = self.nodes[at as usize];
        self.buffers.release(old.buffer);
        let outbox = &mut self.boxes[connection as usize];
        outbox.bytes = outbox.bytes - (old.end - old.start) + (range.end - range.start);
        let node = &mut self.nodes[at as usize];
        (node.buffer, node.start, node.end) = (range.buffer, range.start, range.end);
    }

    /// Sees to it that the node `at` holds no more memory than it is worth.
    pub(super) fn settle(&mut self, connection: u32, at: u32) {
        self.steps.one();
        let Node {
            buffer, start, end, ..
        } = self.nodes[at as usize];
        if self.buffers.is_shared(buffer) && self.wastes(Range { buffer, start, end }) {
            self.copy_out(connection, at);
        } else if self.buffers.is_filling(buffer) {
            self.buffers.pin(buffer);
        } else {
            self.buffers.shrink(buffer);
        }
    }

    /// Appends a copy of a range to the connection's own last buffer, or to a new one.
    pub(super) fn link_copy(&mut self, connection: u32, range: Range, messages: u32) {
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
            let copy = Range {
                buffer,
                start: 0,
                end,
            };
            self.note_move(connection, range, copy);
            self.link(connection, copy, messages);
            self.buffers.release(buffer);
        } else {
            let end = self.buffers.copy(range, own);
            let copy = Range {
                buffer: own,
                start: end - length,
                end,
            };
            self.note_move(connection, range, copy);
            self.nodes[tail as usize].end = end;
            let outbox = &mut self.boxes[connection as usize];
            outbox.bytes += length;
            outbox.messages += messages;
        }
    }

    /// Gives the node a buffer of its own. A started message keeps its end, and its start moves to 0.
    pub(super) fn copy_out(&mut self, connection: u32, at: u32) {
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
        let from = Range { buffer, start, end };
        let end = self.buffers.copy(from, own);
        let to = Range {
            buffer: own,
            start: begin,
            end,
        };
        self.note_move(connection, from, to);
        self.buffers.release(buffer);
        let node = &mut self.nodes[at as usize];
        (node.buffer, node.start, node.end) = (own, begin, end);
    }

    /// Whether a stalled connection would hold much more than the range if it held its buffer: the range is a
    /// small part of it, or will be when it is filled.
    pub(super) fn wastes(&self, range: Range) -> bool {
        let length = range.end - range.start;
        let part = self.buffers.is_filling(range.buffer)
            || length.saturating_mul(4) < self.buffers.len(range.buffer);
        part && length <= PRIVATE_BUFFER_BYTES / 4
    }

    /// Whether the first message of a node has been sent in part.
    pub(super) fn is_started(&self, at: u32) -> bool {
        let node = &self.nodes[at as usize];
        !self.buffers.is_boundary(node.buffer, node.start)
    }

    pub(crate) fn is_blocked(&self, connection: u32) -> bool {
        self.boxes[connection as usize].state & BLOCKED != 0
    }

    /// The connection that has been blocked longest.
    pub(crate) fn longest_stalled(&self) -> Option<u32> {
        self.stalled.front()
    }
}

/// The room number of buffers that hold control frames of a blocked connection.
pub(super) const CONTROL: u32 = crate::room::SERIALS;

/// The first byte of a pong frame.
pub(super) const PONG: u8 = 0x8A;

/// A private copy grows up to this.
const PRIVATE_BUFFER_BYTES: u32 = 64 * 1024;
