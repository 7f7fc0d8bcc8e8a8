//! Encoded frames, shared by everyone they go to.
//!
//! A buffer is filled by one opener and then read by any number of queues, which count as references
//! (without atomics: a shard is one thread). It remembers where its messages end, so that a queue can be
//! cut at a message, and the room it belongs to. Buffers go back to a pool when the last reference is
//! released; after warm-up nothing is allocated.

#[cfg(test)]
mod tests;

use crate::session::outbox::Range;

/// All buffers of a shard.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    buffers: Vec<Buffer>,
    /// Buffers without references: those with a capacity that is worth keeping for what is shared, and those
    /// that are small enough for what one stalled connection holds.
    free: Vec<u32>,
    free_small: Vec<u32>,
    /// Capacity of the buffers in use, and what it takes to know of them: of many small ones that is most.
    used_bytes: usize,
    /// Capacity kept in the pool.
    pooled_bytes: usize,
}

#[derive(Debug)]
struct Buffer {
    bytes: Vec<u8>,
    /// The end of each message, ascending.
    ends: Vec<u32>,
    references: u32,
    /// How often it was taken: tells one use from the next.
    uses: u32,
    room: u32,
    /// Its opener still appends to it, for whoever it is shared with.
    filling: bool,
    /// A stalled connection holds on to it: give back unused capacity when it is sealed.
    pinned: bool,
}

/// A range and the use of its buffer: the same buffer holds other messages in its next use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    range: Range,
    uses: u32,
}

impl Place {
    /// Whether it is part of `whole`.
    pub(crate) fn is_in(self, whole: Self) -> bool {
        let (part, all) = (self.range, whole.range);
        let same = self.uses == whole.uses && part.buffer == all.buffer;
        same && all.start <= part.start && part.end <= all.end
    }

    /// Whether it shares bytes with `other`.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        let (one, two) = (self.range, other.range);
        let same = self.uses == other.uses && one.buffer == two.buffer;
        same && one.start < two.end && two.start < one.end
    }

    /// Where it lies once `from` was copied to `to`. A start that had been sent already is left behind.
    pub(crate) fn moved(self, from: Self, to: Self) -> Self {
        let place = |position: u32| to.range.start + position.saturating_sub(from.range.start);
        Self {
            range: Range {
                buffer: to.range.buffer,
                start: place(self.range.start),
                end: place(self.range.end),
            },
            uses: to.uses,
        }
    }

    /// Its buffer, if that is still in the same use, and where it starts.
    pub(crate) fn start_in(self, buffers: &Buffers) -> Option<(u32, u32)> {
        let buffer = buffers.buffers.get(self.range.buffer as usize)?;
        (buffer.uses == self.uses && buffer.references > 0)
            .then_some((self.range.buffer, self.range.start))
    }
}

impl Buffers {
    /// A buffer of the room with this serial (or [`NONE`](crate::session::NONE)) to append to, with one reference for the opener. O(1).
    pub(crate) fn open(&mut self, room: u32) -> u32 {
        let id = self.free.pop().or_else(|| self.free_small.pop());
        let id = self.take(id, room);
        self.buffers[id as usize].filling = true;
        id
    }

    /// As [`open`](Self::open), for what one stalled connection may hold for long: it gets no large buffer from
    /// the pool, and is never sealed.
    pub(crate) fn open_small(&mut self, room: u32) -> u32 {
        let id = self.free_small.pop();
        self.take(id, room)
    }

    fn take(&mut self, id: Option<u32>, room: u32) -> u32 {
        let id = match id {
            Some(id) => id,
            None => {
                self.buffers.push(Buffer {
                    bytes: Vec::new(),
                    ends: Vec::new(),
                    references: 0,
                    uses: 0,
                    room,
                    filling: false,
                    pinned: false,
                });
                self.buffers.len() as u32 - 1
            }
        };
        let buffer = &mut self.buffers[id as usize];
        buffer.references = 1;
        buffer.uses = buffer.uses.wrapping_add(1);
        buffer.room = room;
        buffer.filling = false;
        buffer.pinned = false;
        let capacity = buffer.capacity();
        self.pooled_bytes -= capacity;
        self.used_bytes += capacity + size_of::<Buffer>();
        id
    }

    /// Appends what `write` writes as one message; returns where it begins and ends. O(size).
    pub(crate) fn append(&mut self, id: u32, write: impl FnOnce(&mut Vec<u8>)) -> (u32, u32) {
        let buffer = &mut self.buffers[id as usize];
        let before = buffer.capacity();
        let start = buffer.bytes.len() as u32;
        write(&mut buffer.bytes);
        let end = buffer.bytes.len() as u32;
        buffer.ends.push(end);
        self.used_bytes += buffer.capacity() - before;
        (start, end)
    }

    /// Adds `count` references.
    pub(crate) fn retain(&mut self, id: u32, count: u32) {
        self.buffers[id as usize].references += count;
    }

    /// Drops one reference; the last one gives the buffer back.
    pub(crate) fn release(&mut self, id: u32) {
        let buffer = &mut self.buffers[id as usize];
        buffer.references -= 1;
        if buffer.references > 0 {
            return;
        }
        self.used_bytes -= buffer.capacity() + size_of::<Buffer>();
        buffer.bytes.clear();
        buffer.ends.clear();
        if buffer.capacity() > POOLED_BUFFER_BYTES
            || self.pooled_bytes + buffer.capacity() > POOL_BYTES
        {
            buffer.bytes = Vec::new();
            buffer.ends = Vec::new();
        }
        self.pooled_bytes += buffer.capacity();
        if buffer.capacity() <= SMALL_BUFFER_BYTES {
            self.free_small.push(id);
        } else {
            self.free.push(id);
        }
    }

    /// Drops the opener's reference. A buffer that a stalled connection holds gives back the capacity that it
    /// does not use.
    pub(crate) fn seal(&mut self, id: u32) {
        let buffer = &mut self.buffers[id as usize];
        buffer.filling = false;
        if buffer.pinned && buffer.references > 1 {
            self.shrink(id);
        }
        self.release(id);
    }

    /// A stalled connection is going to hold `id`.
    pub(crate) fn pin(&mut self, id: u32) {
        self.buffers[id as usize].pinned = true;
    }

    /// Gives back unused capacity if it is most of the buffer.
    pub(crate) fn shrink(&mut self, id: u32) {
        let buffer = &mut self.buffers[id as usize];
        if buffer.bytes.len() * 4 < buffer.bytes.capacity() {
            let before = buffer.capacity();
            buffer.bytes.shrink_to_fit();
            buffer.ends.shrink_to_fit();
            self.used_bytes -= before - buffer.capacity();
        }
    }

    /// Appends a copy of the messages in `range` to `target`; returns its new length. O(size).
    pub(crate) fn copy(&mut self, range: Range, target: u32) -> u32 {
        let mut into = core::mem::take(&mut self.buffers[target as usize].bytes);
        let mut ends = core::mem::take(&mut self.buffers[target as usize].ends);
        let before = into.capacity() + ends.capacity() * size_of::<u32>();
        let base = into.len() as u32;
        let source = &self.buffers[range.buffer as usize];
        into.extend_from_slice(self.slice(range.buffer, range.start, range.end));
        let first = source.ends.partition_point(|&end| end <= range.start);
        let inside = source.ends.iter().skip(first);
        let inside = inside.take_while(|&&end| end <= range.end);
        ends.extend(inside.map(|&end| end - range.start + base));
        let length = into.len() as u32;
        let buffer = &mut self.buffers[target as usize];
        (buffer.bytes, buffer.ends) = (into, ends);
        self.used_bytes += buffer.capacity() - before;
        length
    }

    /// Appends a byte that belongs to no message.
    pub(crate) fn pad(&mut self, id: u32) {
        let buffer = &mut self.buffers[id as usize];
        let before = buffer.capacity();
        buffer.bytes.push(0);
        self.used_bytes += buffer.capacity() - before;
    }

    /// Whether it is going to hold more than it does.
    pub(crate) fn is_filling(&self, id: u32) -> bool {
        self.buffers[id as usize].filling
    }

    /// Whether others hold it too.
    pub(crate) fn is_shared(&self, id: u32) -> bool {
        self.buffers[id as usize].references > 1
    }

    /// Whether one queue alone holds it, with messages of `room`.
    pub(crate) fn is_private(&self, id: u32, room: u32) -> bool {
        let buffer = &self.buffers[id as usize];
        buffer.references == 1 && buffer.room == room
    }

    /// The bytes from `start` to `end`.
    pub(crate) fn slice(&self, id: u32, start: u32, end: u32) -> &[u8] {
        self.buffers[id as usize]
            .bytes
            .get(start as usize..end as usize)
            .unwrap_or_default()
    }

    /// Bytes appended so far.
    pub(crate) fn len(&self, id: u32) -> u32 {
        self.buffers[id as usize].bytes.len() as u32
    }

    /// The serial of the room whose messages it holds, or [`NONE`](crate::session::NONE).
    pub(crate) fn room(&self, id: u32) -> u32 {
        self.buffers[id as usize].room
    }

    /// A range, told apart from the same range in an earlier or later use of its buffer.
    pub(crate) fn place(&self, range: Range) -> Place {
        Place {
            range,
            uses: self.buffers[range.buffer as usize].uses,
        }
    }

    /// Whether a message ends (and the next begins) at `position`. O(log messages).
    pub(crate) fn is_boundary(&self, id: u32, position: u32) -> bool {
        position == 0
            || self.buffers[id as usize]
                .ends
                .binary_search(&position)
                .is_ok()
    }

    /// The end of the message that holds the byte at `position`. O(log messages).
    pub(crate) fn message_end(&self, id: u32, position: u32) -> u32 {
        let buffer = &self.buffers[id as usize];
        let index = buffer.ends.partition_point(|&end| end <= position);
        buffer
            .ends
            .get(index)
            .copied()
            .unwrap_or(buffer.bytes.len() as u32)
    }

    /// The messages that end after `start` and not after `end`. O(log messages), O(1) for a whole buffer.
    pub(crate) fn messages(&self, id: u32, start: u32, end: u32) -> u32 {
        let buffer = &self.buffers[id as usize];
        let first = match start {
            0 => 0,
            start => buffer.ends.partition_point(|&e| e <= start),
        };
        let last = match buffer.ends.last() {
            Some(&last) if last <= end => buffer.ends.len(),
            _ => buffer.ends.partition_point(|&e| e <= end),
        };
        (last - first) as u32
    }

    /// The largest message end that lies at most `bytes` and at most `messages` messages after `start`.
    /// `start` must be a boundary.
    pub(crate) fn prefix(&self, id: u32, start: u32, bytes: u32, messages: u32) -> u32 {
        let buffer = &self.buffers[id as usize];
        let first = buffer.ends.partition_point(|&end| end <= start);
        let by_bytes = buffer
            .ends
            .partition_point(|&end| end <= start.saturating_add(bytes));
        let last = by_bytes.min(first + messages as usize);
        if last <= first {
            return start;
        }
        buffer.ends.get(last - 1).copied().unwrap_or(start)
    }

    /// Memory of all buffers, referenced or not, and of the list of them.
    pub(crate) fn heap_bytes(&self) -> usize {
        let free = self.free.capacity() + self.free_small.capacity();
        self.buffers.iter().map(Buffer::capacity).sum::<usize>()
            + self.buffers.capacity() * size_of::<Buffer>()
            + free * size_of::<u32>()
    }

    /// Memory of the buffers that are referenced, in bytes.
    pub(crate) fn used_bytes(&self) -> usize {
        self.used_bytes
    }
}

impl Buffer {
    fn capacity(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<u32>()
    }
}

/// A buffer with no more capacity than this may be held by a stalled connection for as little as it likes.
const SMALL_BUFFER_BYTES: usize = 1024;
/// A larger buffer is not kept for reuse.
const POOLED_BUFFER_BYTES: usize = 512 * 1024;
/// What the pool keeps at most.
const POOL_BYTES: usize = 8 * 1024 * 1024;
