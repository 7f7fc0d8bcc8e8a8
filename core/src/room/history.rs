//! What the members of a room have said, as far as it is kept: consecutive offsets under one epoch, within bounds.
//!
//! Knows neither connections nor the wire. Whoever keeps several has an eye on what they take together.

mod blocks;
#[cfg(test)]
mod tests;

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use blocks::Blocks;

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
    /// Up to this offset none is kept, for want of room or because of its age.
    trimmed: u64,
    /// The latest ones, the oldest first. What something later has taken the place of is not among them.
    messages: Blocks,
    /// The latest of each key that is kept.
    keyed: BTreeMap<Arc<str>, u64>,
    /// When those are out of date that will be, and which they are.
    expiring: BTreeSet<(Instant, u64)>,
    /// What they take.
    bytes: usize,
    /// When the server looks for what is too old or out of date.
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
    /// After this it is not told any more, though for a moment it may still be here.
    pub(crate) ttl_ms: Option<u32>,
    /// What it tells of.
    pub(crate) key: Option<Arc<str>>,
    /// Its place, which it gets when it is kept.
    pub(crate) offset: u64,
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
    /// In the order of their offsets.
    pub(crate) messages: Vec<Past>,
    /// There are more: after the last one, or before the first one where the last ones were asked for.
    pub(crate) more: bool,
    /// What was asked for and is not kept any more.
    pub(crate) gap: Option<Gap>,
    /// The offsets that were asked for are of another epoch: this begins with what there is.
    pub(crate) reset: bool,
    /// What its senders did not want told any more, in order.
    pub(crate) left_out: Vec<Gap>,
}

impl Past {
    /// What it takes in memory.
    pub(crate) fn bytes(&self) -> usize {
        let key = self.key.as_deref().map_or(0, |key| key.len() + KEYED_BYTES);
        let expiring = self.ttl_ms.map_or(0, |_| EXPIRING_BYTES);
        size_of::<Self>() + SHARED_BYTES + self.data.payload().len() + key + expiring
    }

    /// When it is out of date.
    fn until(&self) -> Option<Instant> {
        let ttl = Duration::from_millis(u64::from(self.ttl_ms?));
        Some(self.said + ttl)
    }

    /// Whether it is still to be told.
    fn is_current(&self, now: Instant) -> bool {
        self.until().is_none_or(|until| now < until)
    }

    /// What it takes on the wire, more or less.
    fn wire_bytes(&self) -> usize {
        wire_bytes(self.data.payload().len())
    }
}

impl Found {
    /// The messages with their offsets.
    pub(crate) fn past(&self) -> Vec<PastMessage<'_>> {
        let all = self.messages.iter().map(|past| PastMessage {
            offset: past.offset,
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
        let left_out = self.left_out.capacity() * size_of::<Gap>();
        self.messages.iter().map(Past::bytes).sum::<usize>() + left_out
    }
}

impl History {
    pub(crate) fn new(keeps: Keeps, epoch: Epoch) -> Self {
        Self {
            keeps,
            epoch,
            last: 0,
            trimmed: 0,
            messages: Blocks::default(),
            keyed: BTreeMap::new(),
            expiring: BTreeSet::new(),
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

    pub(crate) const fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Memory of it; a little more than [`bytes`](Self::bytes), as room is made in advance. O(n) with a small factor: for
    /// diagnosis.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.bytes + self.messages.spare_bytes()
    }

    /// Keeps a message, and lets go what it takes the place of and what there is too much then, be it this one. Returns
    /// its offset. O(1) amortised; with a key or a time O(log n).
    pub(crate) fn push(&mut self, mut past: Past) -> u64 {
        self.last += 1;
        past.offset = self.last;
        if let Some(key) = &past.key {
            let former = self.keyed.insert(Arc::clone(key), self.last);
            if let Some(offset) = former {
                self.take_out(offset);
            }
        }
        if let Some(until) = past.until() {
            self.expiring.insert((until, self.last));
        }
        self.bytes += past.bytes();
        self.messages.push(past);
        while self.messages.len() > self.keeps.messages || self.bytes > self.keeps.bytes {
            self.pop();
        }
        self.last
    }

    /// Something later has taken the place of a message. O(log n).
    fn take_out(&mut self, offset: u64) {
        if let Some(past) = self.messages.take(offset) {
            self.is_gone(&past);
        }
    }

    /// Lets go the oldest; what that gives back. O(1), with a key or a time O(log n).
    pub(crate) fn pop(&mut self) -> usize {
        let Some(past) = self.messages.pop() else {
            return 0;
        };
        self.trimmed = past.offset;
        self.is_gone(&past)
    }

    /// What a message that is no longer there took.
    fn is_gone(&mut self, past: &Past) -> usize {
        if let Some(key) = &past.key
            && self.keyed.get(key) == Some(&past.offset)
        {
            self.keyed.remove(key);
        }
        if let Some(until) = past.until() {
            self.expiring.remove(&(until, past.offset));
        }
        let bytes = past.bytes();
        self.bytes -= bytes;
        bytes
    }

    /// When the oldest is too old, or one is out of date.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let out_of_date = self.expiring.first().map(|(until, _)| *until);
        let oldest = self.oldest_due();
        [out_of_date, oldest].into_iter().flatten().min()
    }

    fn oldest_due(&self) -> Option<Instant> {
        self.messages.first().map(|past| past.said + self.keeps.age)
    }

    /// Lets go one that is too old or out of date, whatever comes first; what that gives back. `None`: there is none.
    /// O(log n).
    pub(crate) fn let_go_due(&mut self, now: Instant) -> Option<usize> {
        let oldest = self.oldest_due()?;
        let first = self.expiring.first().copied();
        if let Some((until, offset)) = first.filter(|(until, _)| *until <= oldest.min(now)) {
            let past = self.messages.take(offset);
            self.expiring.remove(&(until, offset));
            return past.map(|past| self.is_gone(&past));
        }
        (oldest <= now).then(|| self.pop())
    }

    /// The messages that are wanted, within `max_bytes` of the wire but one at least. O(what is found), and what has been
    /// out of date for less than a moment.
    pub(crate) fn find(&self, wanted: &Wanted, max_bytes: usize, now: Instant) -> Found {
        let reset = wanted.epoch.is_some_and(|epoch| epoch != self.epoch);
        let which = match wanted.which {
            _ if reset => Which::After(self.trimmed),
            which => which,
        };
        match which {
            Which::After(after) => {
                let after = after.min(self.last);
                let begin = after.max(self.trimmed);
                let kept = self.messages.after(begin);
                let (messages, more) = fitting(kept, wanted.limit, max_bytes, now);
                let end = if more { last_of(&messages) } else { self.last };
                Found {
                    gap: gap_between(after, begin),
                    left_out: between(&messages, begin, end),
                    reset,
                    ..self.found(messages, more)
                }
            }
            Which::Before(_) | Which::Last => {
                let end = match which {
                    Which::Before(before) => before.clamp(self.trimmed + 1, self.last + 1),
                    _ => self.last + 1,
                };
                let kept = self.messages.upto(end - 1);
                let (mut messages, more) = fitting(kept.rev(), wanted.limit, max_bytes, now);
                messages.reverse();
                let begin = match messages.first() {
                    Some(first) if more => first.offset - 1,
                    _ => self.trimmed,
                };
                Found {
                    left_out: between(&messages, begin, end - 1),
                    ..self.found(messages, more)
                }
            }
        }
    }

    fn found(&self, messages: Vec<Past>, more: bool) -> Found {
        Found {
            position: self.position(),
            messages,
            more,
            gap: None,
            reset: false,
            left_out: Vec::new(),
        }
    }
}

impl History {
    /// What has been said since somebody was here: all of it that is kept, or the last of it if that is more than
    /// `max_bytes` of the wire. O(what is found), and what has been out of date for less than a moment.
    pub(crate) fn since(&self, since: &Since, max_bytes: usize, now: Instant) -> Found {
        let reset = self.is_other(since);
        let after = if reset { 0 } else { since.after };
        let kept = self.messages.after(after).rev();
        let (mut messages, more) = fitting(kept, usize::MAX, max_bytes, now);
        messages.reverse();
        let begin = match messages.first() {
            Some(first) if more => first.offset - 1,
            _ => after.max(self.trimmed),
        };
        Found {
            gap: gap_between(after, begin),
            left_out: between(&messages, begin, self.last),
            reset,
            ..self.found(messages, false)
        }
    }

    /// How many messages that is at most. O(log n), and a small part of them.
    pub(crate) fn count_since(&self, since: &Since) -> usize {
        let after = if self.is_other(since) { 0 } else { since.after };
        self.messages.count_after(after)
    }

    /// Whether that is of another log: an offset that there has never been in this one is, too.
    fn is_other(&self, since: &Since) -> bool {
        since.epoch.is_some_and(|epoch| epoch != self.epoch) || since.after > self.last
    }
}

/// As many as there may be of those that are still to be told, and whether there are more of them.
fn fitting<'a>(
    all: impl Iterator<Item = &'a Past>,
    limit: usize,
    max_bytes: usize,
    now: Instant,
) -> (Vec<Past>, bool) {
    let mut bytes = 0;
    let mut found = Vec::new();
    for past in all.filter(|past| past.is_current(now)) {
        bytes += past.wire_bytes();
        if found.len() == limit || (bytes > max_bytes && !found.is_empty()) {
            return (found, true);
        }
        found.push(past.clone());
    }
    (found, false)
}

fn last_of(messages: &[Past]) -> u64 {
    messages.last().map_or(0, |last| last.offset)
}

/// The offsets after one and up to another, if there are any.
pub(crate) fn gap_between(after: u64, upto: u64) -> Option<Gap> {
    (after < upto).then(|| Gap {
        from: after + 1,
        to: upto,
    })
}

/// The offsets after `begin` and up to `end` that no message has.
fn between(messages: &[Past], begin: u64, end: u64) -> Vec<Gap> {
    let mut begin = begin;
    let mut all = Vec::new();
    for past in messages {
        all.extend(gap_between(begin, past.offset - 1));
        begin = past.offset;
    }
    all.extend(gap_between(begin, end));
    all
}
/// What a message takes on the wire, more or less, with so many bytes of data.
pub(crate) const fn wire_bytes(data: usize) -> usize {
    ENVELOPE_BYTES + data
}

/// What shared data takes besides itself.
const SHARED_BYTES: usize = 2 * size_of::<usize>();
/// The same of a key, and of its place in the tree.
const KEYED_BYTES: usize = SHARED_BYTES + 2 * size_of::<(Arc<str>, u64)>();
/// What its place among those takes that will be out of date.
const EXPIRING_BYTES: usize = 2 * size_of::<(Instant, u64)>();
/// More than the fields of a message take in any dialect.
const ENVELOPE_BYTES: usize = 160;
