//! What happens to messages that do not fit a queue, as the room's policy for slow readers says.

use super::{BEHIND, BLOCKED, Drop, Outboxes, Range, SHUT};
use crate::config::SlowReader;
use crate::session::NONE;

impl Outboxes {
    #[cold]
    pub(super) fn queue_slow(
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
            self.note_drop(connection, room, messages, Some(range));
        } else if fits {
            self.queue_blocked(connection, range, messages);
        } else {
            self.queue_over(connection, range, messages, policy);
        }
    }

    pub(super) fn queue_over(
        &mut self,
        connection: u32,
        range: Range,
        messages: u32,
        policy: SlowReader,
    ) {
        match policy {
            SlowReader::Close if self.is_last_word(connection, range) => {
                self.queue_blocked(connection, range, messages);
            }
            SlowReader::Close => {
                self.boxes[connection as usize].state |= SHUT | OVERFLOWED | UNSETTLED;
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
    pub(super) fn is_last_word(&self, connection: u32, range: Range) -> bool {
        self.boxes[connection as usize].state & OVERFLOWED != 0
            && range.end - range.start <= MAX_CONTROL_FRAME_BYTES
            && self.buffers.room(range.buffer) == NONE
    }

    pub(super) fn queue_prefix(&mut self, connection: u32, range: Range, messages: u32) {
        let (bytes, count) = self.room_left(connection);
        let end = self.buffers.prefix(range.buffer, range.start, bytes, count);
        let kept = self.buffers.messages(range.buffer, range.start, end);
        if kept > 0 {
            self.queue_blocked(connection, Range { end, ..range }, kept);
        }
        let room = self.buffers.room(range.buffer);
        self.note_drop(connection, room, messages - kept, None);
    }

    pub(super) fn queue_suffix(&mut self, connection: u32, range: Range, messages: u32) {
        let (mut start, mut kept) = (range.start, messages);
        let (bytes, count) = self.room_left(connection);
        while kept > 0 && (range.end - start > bytes || kept > count) {
            self.steps.one();
            start = self.buffers.message_end(range.buffer, start);
            kept -= 1;
        }
        if kept > 0 {
            self.queue_blocked(connection, Range { start, ..range }, kept);
        }
        if kept < messages {
            let room = self.buffers.room(range.buffer);
            self.note_drop(connection, room, messages - kept, None);
        }
    }

    /// Takes whole messages of `room` that have not been started out of the queue, oldest first, until
    /// `excess` bytes and messages are free.
    pub(super) fn drop_oldest(&mut self, connection: u32, room: u32, excess: (u32, u32)) {
        let (mut bytes, mut messages) = (0, 0);
        let (mut previous, mut at) = (NONE, self.boxes[connection as usize].head);
        while at != NONE && (bytes < excess.0 || messages < excess.1) {
            self.steps.one();
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
                self.steps.one();
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
            self.note_drop(connection, room, messages, None);
        }
    }

    pub(super) fn note_drop(
        &mut self,
        connection: u32,
        room: u32,
        messages: u32,
        latest: Option<Range>,
    ) {
        self.boxes[connection as usize].state |= DROPPED;
        self.drops.push(Drop {
            connection,
            room,
            messages,
            latest,
        });
    }

    /// Whether something did not fit and is still to be settled.
    pub(crate) fn is_overflowed(&self, connection: u32) -> bool {
        self.boxes[connection as usize].state & UNSETTLED != 0
    }

    /// The next connection whose queue overflowed under the policy `close`, unless another goodbye has settled
    /// that since.
    pub(crate) fn pop_overflowed(&mut self) -> Option<u32> {
        while let Some(connection) = self.overflowed.pop() {
            self.steps.one();
            let state = &mut self.boxes[connection as usize].state;
            if *state & UNSETTLED != 0 {
                *state &= !UNSETTLED;
                return Some(connection);
            }
        }
        None
    }

    /// By how many bytes and messages the queue would overflow.
    pub(super) fn excess(&self, connection: u32, range: Range, messages: u32) -> (u32, u32) {
        let outbox = &self.boxes[connection as usize];
        let bytes = outbox.bytes.saturating_add(range.end - range.start);
        let count = outbox.messages.saturating_add(messages);
        (
            bytes.saturating_sub(self.max_bytes),
            count.saturating_sub(self.max_messages),
        )
    }

    pub(super) fn room_left(&self, connection: u32) -> (u32, u32) {
        let outbox = &self.boxes[connection as usize];
        (
            self.max_bytes.saturating_sub(outbox.bytes),
            self.max_messages.saturating_sub(outbox.messages),
        )
    }
}

// Bits of a queue's state, beside `BLOCKED` and `SHUT`.
/// It overflowed under the policy `close`: what is sent from now on is its goodbye.
pub(super) const OVERFLOWED: u8 = 4;
/// And nothing has settled that since.
pub(super) const UNSETTLED: u8 = 16;
/// It may have entries in `drops`.
pub(super) const DROPPED: u8 = 8;

/// Header and payload of the longest control frame of a server (RFC 6455, section 5.5).
const MAX_CONTROL_FRAME_BYTES: u32 = 2 + 125;
