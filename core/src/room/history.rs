//! What the members of a room have said, as far as it is kept: consecutive offsets under one epoch, within bounds.
//!
//! Knows neither connections nor the wire. Whoever keeps several has an eye on what they take together.

#[cfg(test)]
mod tests;

use core::time::Duration;
use std::collections::VecDeque;

use crate::cluster::message::Carried;
use crate::id::ClientId;
use crate::message::{Epoch, Gap, PastMessage, Position, Since};
use crate::time::Instant;

/// What is kept of a room, resolved once when it is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keeps {
    /// 0: nothing.
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    pub(crate) age: Duration,
}

/// The log of one room.
#[derive(Debug)]
pub(crate) struct History {
    keeps: Keeps,
    epoch: Epoch,
    /// The offset of the latest message, kept or not; 0: there was none.
    last: u64,
    /// The latest ones, the oldest first.
    messages: VecDeque<Past>,
    /// What they take.
    bytes: usize,
    /// When the oldest is too old.
    pub(crate) due: Option<Instant>,
    /// Where the room stands among those that have messages kept.
    pub(crate) place: u32,
}

/// One message.
#[derive(Clone, Debug)]
pub(crate) struct Past {
    pub(crate) from: ClientId,
    /// When it was said, by both clocks.
    pub(crate) said: Instant,
    pub(crate) timestamp: u64,
    pub(crate) data: Carried,
}

/// Which messages somebody wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// The epoch that the offsets are of, if the client knows.
    pub(crate) epoch: Option<Epoch>,
    pub(crate) which: Which,
    /// At most so many.
    pub(crate) limit: usize,
}

/// The same, in offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The first ones after it.
    After(u64),
    /// The last ones before it.
    Before(u64),
    /// The last ones.
    Last,
}

/// What there is of it.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) position: Position,
    /// The offset of the first one.
    pub(crate) first: u64,
    /// In the order of their offsets.
    pub(crate) messages: Vec<Past>,
    /// There are more: after the last one, or before the first one where the last ones were asked for.
    pub(crate) more: bool,
    /// What was asked for and is not kept any more.
    pub(crate) gap: Option<Gap>,
    /// The offsets that were asked for are of another epoch: this begins with what there is.
    pub(crate) reset: bool,
}

impl Past {
    /// What it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + SHARED_BYTES + self.data.payload().len()
    }

    /// What it takes on the wire, more or less.
    fn wire_bytes(&self) -> usize {
        wire_bytes(self.data.payload().len())
    }
}

impl Found {
    /// The messages with their offsets.
    pub(crate) fn past(&self) -> Vec<PastMessage<'_>> {
        let all = self.messages.iter().zip(self.first..);
        let all = all.map(|(past, offset)| PastMessage {
            offset,
            from: past.from,
            data: past.data.payload(),
            timestamp: past.timestamp,
        });
        all.collect()
    }

    /// Nothing that was asked for is missing.
    pub(crate) const fn is_complete(&self) -> bool {
        self.gap.is_none() && !self.reset
    }

    /// Memory besides its place.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.messages.iter().map(Past::bytes).sum()
    }
}

impl History {
    pub(crate) const fn new(keeps: Keeps, epoch: Epoch) -> Self {
        Self {
            keeps,
            epoch,
            last: 0,
            messages: VecDeque::new(),
            bytes: 0,
            due: None,
            place: 0,
        }
    }

    pub(crate) const fn position(&self) -> Position {
        Position {
            epoch: self.epoch,
            last: self.last,
        }
    }

    /// What is kept takes so much.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Memory of it; a little more than [`bytes`](Self::bytes), as room is made in advance.
    pub(crate) fn heap_bytes(&self) -> usize {
        let spare = self.messages.capacity() - self.messages.len();
        self.bytes + spare * size_of::<Past>()
    }

    /// Keeps a message, and lets go what there is too much then, be it this one. Returns its offset. O(1) amortised.
    pub(crate) fn push(&mut self, past: Past) -> u64 {
        self.last += 1;
        self.bytes += past.bytes();
        self.messages.push_back(past);
        while self.messages.len() > self.keeps.messages || self.bytes > self.keeps.bytes {
            self.pop();
        }
        self.last
    }

    /// Lets go the oldest; what that gives back. O(1).
    pub(crate) fn pop(&mut self) -> usize {
        let Some(past) = self.messages.pop_front() else {
            return 0;
        };
        self.bytes -= past.bytes();
        if self.messages.is_empty() {
            self.messages = VecDeque::new();
        }
        past.bytes()
    }

    /// When the oldest is too old.
    pub(crate) fn oldest_due(&self) -> Option<Instant> {
        self.messages.front().map(|past| past.said + self.keeps.age)
    }

    /// The messages that are wanted, within `max_bytes` of the wire but one at least. O(what is found).
    pub(crate) fn find(&self, wanted: &Wanted, max_bytes: usize) -> Found {
        let first_kept = self.last + 1 - self.messages.len() as u64;
        let reset = wanted.epoch.is_some_and(|epoch| epoch != self.epoch);
        let which = match wanted.which {
            _ if reset => Which::After(first_kept - 1),
            which => which,
        };
        let mut found = Found {
            position: self.position(),
            first: first_kept,
            messages: Vec::new(),
            more: false,
            gap: None,
            reset,
        };
        match which {
            Which::After(after) => {
                let after = after.min(self.last);
                found.first = first_kept.max(after + 1);
                if found.first > after + 1 {
                    found.gap = Some(Gap {
                        from: after + 1,
                        to: found.first - 1,
                    });
                }
                let skipped = (found.first - first_kept) as usize;
                let all = self.messages.iter().skip(skipped);
                found.messages = fitting(all, wanted.limit, max_bytes);
                found.more = skipped + found.messages.len() < self.messages.len();
            }
            Which::Before(_) | Which::Last => {
                let end = match which {
                    Which::Before(before) => before.clamp(first_kept, self.last + 1),
                    _ => self.last + 1,
                };
                let count = (end - first_kept) as usize;
                let all = self.messages.iter().take(count).rev();
                found.messages = fitting(all, wanted.limit, max_bytes);
                found.messages.reverse();
                found.first = end - found.messages.len() as u64;
                found.more = found.messages.len() < count;
            }
        }
        found
    }
}

impl History {
    /// What has been said since somebody was here: all of it that is kept, or the last of it if that is more than
    /// `max_bytes` of the wire. O(what is found).
    pub(crate) fn since(&self, since: &Since, max_bytes: usize) -> Found {
        let reset = self.is_other(since);
        let after = if reset { 0 } else { since.after };
        let wanted = self.count_since(since);
        let all = self.messages.iter().rev().take(wanted);
        let mut messages = fitting(all, wanted, max_bytes);
        messages.reverse();
        let first = self.last + 1 - messages.len() as u64;
        Found {
            position: self.position(),
            first,
            messages,
            more: false,
            gap: (first > after + 1).then(|| Gap {
                from: after + 1,
                to: first - 1,
            }),
            reset,
        }
    }

    /// How many messages that is at most. O(1).
    pub(crate) fn count_since(&self, since: &Since) -> usize {
        let kept = self.messages.len();
        if self.is_other(since) {
            return kept;
        }
        let said = usize::try_from(self.last - since.after);
        kept.min(said.unwrap_or(usize::MAX))
    }

    /// Whether that is of another log: an offset that there has never been in this one is, too.
    fn is_other(&self, since: &Since) -> bool {
        since.epoch.is_some_and(|epoch| epoch != self.epoch) || since.after > self.last
    }
}

/// As many as there may be.
fn fitting<'a>(all: impl Iterator<Item = &'a Past>, limit: usize, max_bytes: usize) -> Vec<Past> {
    let mut bytes = 0;
    let mut found = Vec::new();
    for past in all.take(limit) {
        bytes += past.wire_bytes();
        if bytes > max_bytes && !found.is_empty() {
            break;
        }
        found.push(past.clone());
    }
    found
}

/// What a message takes on the wire, more or less, with so many bytes of data.
pub(crate) const fn wire_bytes(data: usize) -> usize {
    ENVELOPE_BYTES + data
}

/// What shared data takes besides itself.
const SHARED_BYTES: usize = 2 * size_of::<usize>();
/// More than the fields of a message take in any dialect.
const ENVELOPE_BYTES: usize = 160;
