//! The state of one transfer, and what its ends do: receivers give credit, complete and leave, the sender sends.

use core::time::Duration;

use sha2::{Digest as _, Sha256};

use super::asking::Asking;
use super::lifetime::Told;
use super::order::Order;
use super::receivers::{Place, Receiver, Receivers};
use super::{FileHash, MIN_PIECE_BYTES, Rules, Wrong};
use crate::id::ConnectionId;
use crate::time::Instant;

/// One file on its way.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(super) rules: Rules,
    pub(super) size: u64,
    /// What the sender has said the hash is.
    expected: Option<FileHash>,
    hasher: Sha256,
    /// Where the front stands: everything before this has passed and is hashed.
    pub(super) hashed: u64,
    /// The hash of the whole, once the sender has said that this was everything.
    pub(super) verified: Option<FileHash>,
    /// The latest time seen.
    pub(super) now: Instant,

    pub(super) receivers: Receivers,
    /// Receivers that are there and have not completed.
    pub(super) active: u32,
    pub(super) completed: u32,
    pub(super) failed: u32,
    /// Receivers that have not been passed everything.
    pub(super) unfinished: u32,
    /// Receivers that have, and have not been told the end.
    to_end: u32,

    pub(super) front: Front,
    pub(super) asking: Asking,
    pub(super) gathering: Gathering,

    /// Since when the sender is gone.
    pub(super) lost_since: Option<Instant>,
    /// If it owes something: since when it has sent nothing.
    pub(super) sender_silent_since: Instant,
    /// Receivers that owe something, by since when.
    pub(super) silent: Order,
    /// If no receiver is at it: since when.
    pub(super) alone_since: Instant,
    pub(super) told: Told,
}

/// Those who stand where the front does and go on together.
#[derive(Debug, Default)]
pub(super) struct Front {
    /// Everything before this has been asked for, never less than what is hashed.
    pub(super) requested: u64,
    /// How many there are.
    pub(super) members: u32,
    /// Those of them without room for what comes next, by the clock's reading that they are waited for until.
    pub(super) blockers: Order,
    /// Those of the others that have done with what has passed.
    pub(super) hungry: u32,
    /// A clock that only runs while few hold many up, in microseconds.
    pub(super) held_us: u64,
    /// Whether it has run since the latest time seen.
    pub(super) holding: bool,
}

/// The first piece is not asked for at once, so that those who are there begin together.
#[derive(Clone, Copy, Debug)]
pub(super) enum Gathering {
    Nobody,
    Until(Instant),
    Over,
}

/// The outcome of credit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Credited {
    /// It was the receiver's first: it has accepted the file.
    pub(crate) accepted: bool,
    /// Where it is passed the file from, if it has accepted: no later than the offset that it gave.
    pub(crate) offset: u64,
}

/// What a receiver that has been passed everything is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileEnd {
    /// In bytes.
    pub(crate) size: u64,
    /// Of what has passed, which is the sender's.
    pub(crate) hash: FileHash,
}

impl Transfer {
    /// A file of `size` bytes whose sender is there. `hash`: what the sender says it is, if it has said so.
    pub(crate) fn new(size: u64, hash: Option<FileHash>, rules: &Rules, now: Instant) -> Self {
        Self {
            rules: *rules,
            size,
            expected: hash,
            hasher: Sha256::new(),
            hashed: 0,
            verified: None,
            now,
            receivers: Receivers::default(),
            active: 0,
            completed: 0,
            failed: 0,
            unfinished: 0,
            to_end: 0,
            front: Front::default(),
            asking: Asking::new(rules),
            gathering: Gathering::Nobody,
            lost_since: None,
            sender_silent_since: now,
            silent: Order::default(),
            alone_since: now,
            told: Told::default(),
        }
    }

    /// A receiver has everything before `offset` and takes `window_bytes` more from there. Its first credit accepts
    /// the file. An offset that it has been beyond, or less room than it has given before, changes nothing: what was
    /// given stays given. O(log receivers + streams).
    pub(crate) fn credit(
        &mut self,
        now: Instant,
        receiver: ConnectionId,
        offset: u64,
        window_bytes: u32,
    ) -> Result<Credited, Wrong> {
        self.advance(now);
        if offset > self.size {
            return Err(Wrong::Beyond);
        }
        let found = self.receivers.find(receiver);
        let (slot, accepted) = match found {
            Some(slot) => (slot, false),
            None => (self.accept(receiver, offset)?, true),
        };
        let offset = self.extend(slot, offset, window_bytes, accepted)?;
        self.go_on(slot);
        self.review();
        Ok(Credited { accepted, offset })
    }

    /// A new receiver, which is not waited for yet. It may claim what has passed and not more: the front, which must
    /// pass everything once to hash it, never skips anything.
    fn accept(&mut self, id: ConnectionId, claimed: u64) -> Result<u32, Wrong> {
        if self.receivers.len() >= self.rules.max_receivers as usize {
            return Err(Wrong::Full);
        }
        let start = claimed.min(self.hashed);
        let at_front = start == self.hashed;
        let slot = self.receivers.insert(Receiver {
            id,
            acknowledged: start,
            step_bytes: 0,
            next: start,
            limit: start,
            claimed,
            least_bytes: self.rules.chunk_bytes,
            resume_bytes: self.rules.chunk_bytes,
            place: if at_front {
                Place::Detached
            } else {
                Place::Behind
            },
            ended: false,
            hungry: false,
            queued: false,
            held_us: 0,
            leaks_since: self.now,
        });
        self.active += 1;
        *self.left_to_pass(start) += 1;
        if let Gathering::Nobody = self.gathering {
            self.gathering = Gathering::Until(self.now + self.rules.gather);
        }
        Ok(slot)
    }

    /// Which of the two counts a receiver is in that has been passed everything before `next`.
    fn left_to_pass(&mut self, next: u64) -> &mut u32 {
        if next < self.size {
            &mut self.unfinished
        } else {
            &mut self.to_end
        }
    }

    /// Notes what a receiver has and takes: where it stands.
    fn extend(
        &mut self,
        slot: u32,
        offset: u64,
        window_bytes: u32,
        accepted: bool,
    ) -> Result<u64, Wrong> {
        let (size, chunk_bytes) = (self.size, self.rules.chunk_bytes);
        let window_bytes = window_bytes.min(self.rules.max_window_bytes);
        let Some(receiver) = self.receivers.get_mut(slot) else {
            return Err(Wrong::Unknown);
        };
        if receiver.place == Place::Complete {
            return Err(Wrong::Done);
        }
        if offset > receiver.next.max(receiver.claimed) {
            return Err(Wrong::Beyond);
        }
        let offset = offset.min(receiver.next);
        let limit = offset.saturating_add(u64::from(window_bytes)).min(size);
        let has_moved = offset > receiver.acknowledged;
        if has_moved {
            self.told.moves_from(receiver.acknowledged);
            receiver.step_bytes = offset - receiver.acknowledged;
            receiver.acknowledged = offset;
        }
        let has_more_room = limit > receiver.limit;
        if has_more_room {
            receiver.limit = limit;
            receiver.least_bytes = chunk_bytes.min(MIN_PIECE_BYTES.max(window_bytes / 2));
            receiver.resume_bytes = receiver.least_bytes.max(window_bytes / 2);
        }
        // With nothing on its way, whatever room there is must do: a small window is slow, and not stuck.
        if let Some(room @ 1..) = receiver.limit.checked_sub(receiver.next)
            && offset == receiver.next
        {
            let room = u32::try_from(room).unwrap_or(u32::MAX);
            receiver.least_bytes = receiver.least_bytes.min(room);
            receiver.resume_bytes = receiver.resume_bytes.min(room);
        }
        let owes = receiver.owes(size);
        // More room with which nothing more can be passed is no news of it.
        let goes_on = has_moved || (has_more_room && receiver.has_room(receiver.next, size));
        if !owes {
            self.silent.remove(slot);
        } else if accepted || goes_on || !self.silent.contains(slot) {
            self.silent.set(slot, self.now.as_micros());
        }
        Ok(offset)
    }

    /// Lets a receiver that may have got room go on where it stands.
    fn go_on(&mut self, slot: u32) {
        let Some(receiver) = self.receivers.get(slot) else {
            return;
        };
        match receiver.place {
            Place::Front => self.classify(slot),
            Place::Detached => self.rejoin_front(slot),
            Place::Behind => self.wait_for_stream(slot),
            Place::Complete => {}
        }
    }

    /// A receiver has the whole file and has checked it. It stays known until it is removed.
    pub(crate) fn complete(&mut self, now: Instant, receiver: ConnectionId) -> Result<(), Wrong> {
        self.advance(now);
        let slot = self.receivers.find(receiver).ok_or(Wrong::Unknown)?;
        let copy = self.receivers.get(slot).ok_or(Wrong::Unknown)?;
        if copy.place == Place::Complete {
            return Err(Wrong::Done);
        }
        if !copy.ended {
            return Err(Wrong::Early);
        }
        self.leave_front(slot);
        self.silent.remove(slot);
        if let Some(copy) = self.receivers.get_mut(slot) {
            copy.place = Place::Complete;
            copy.acknowledged = self.size;
        }
        self.completed += 1;
        self.retire();
        Ok(())
    }

    /// A receiver has left, is gone or has given up. Whether a copy failed with that: not if it was complete, or there
    /// was none.
    pub(crate) fn remove(&mut self, now: Instant, receiver: ConnectionId) -> bool {
        self.advance(now);
        match self.receivers.find(receiver) {
            Some(slot) => self.take_out(slot),
            None => false,
        }
    }

    pub(super) fn take_out(&mut self, slot: u32) -> bool {
        self.leave_front(slot);
        self.silent.remove(slot);
        let Some(copy) = self.receivers.remove(slot) else {
            return false;
        };
        if copy.queued {
            self.asking.leave_line(slot);
        }
        if copy.place == Place::Complete {
            return false;
        }
        if !copy.ended {
            *self.left_to_pass(copy.next) -= 1;
        }
        self.failed += 1;
        self.retire();
        true
    }

    /// One receiver less is at it.
    fn retire(&mut self) {
        self.active -= 1;
        if self.active == 0 {
            self.alone_since = self.now;
        }
        self.review();
    }

    /// The sender sends `bytes`, which begin at `offset`. Whoever gets them is appended to `to`, by slot: the order is
    /// the same whenever the same has happened before. O(receivers).
    pub(crate) fn chunk(
        &mut self,
        now: Instant,
        offset: u64,
        bytes: &[u8],
        to: &mut Vec<ConnectionId>,
    ) -> Result<(), Wrong> {
        self.advance(now);
        let length_bytes = u32::try_from(bytes.len()).map_err(|_| Wrong::Unexpected)?;
        if self.lost_since.is_some() || length_bytes > self.rules.chunk_bytes {
            return Err(Wrong::Unexpected);
        }
        let taken = self.asking.take(offset, length_bytes);
        let taken = taken.ok_or(Wrong::Unexpected)?;
        self.sender_silent_since = self.now;
        if taken.is_front {
            self.hasher.update(bytes);
            self.hashed = taken.end;
        }
        for slot in 0..self.receivers.slots() {
            let Some(receiver) = self.receivers.get(slot) else {
                continue;
            };
            if receiver.next != offset || receiver.place == Place::Complete {
                continue;
            }
            if receiver.limit >= taken.end {
                to.push(receiver.id);
                self.pass(slot, taken.end, taken.is_last_of_stream);
            } else {
                self.leave_behind(slot);
            }
        }
        self.review();
        Ok(())
    }

    /// A receiver is passed what it had not of the bytes before `end`.
    fn pass(&mut self, slot: u32, end: u64, is_last_of_stream: bool) {
        let size = self.size;
        let Some(receiver) = self.receivers.get_mut(slot) else {
            return;
        };
        let owed = receiver.owes(size);
        receiver.next = end;
        let place = receiver.place;
        if !owed {
            self.silent.set(slot, self.now.as_micros());
        }
        if end == size {
            self.unfinished -= 1;
            self.to_end += 1;
        }
        if place == Place::Front {
            self.classify(slot);
        } else if place == Place::Behind {
            if end == self.hashed {
                self.join_front(slot);
            } else if is_last_of_stream {
                self.wait_for_stream(slot);
            }
        }
    }

    /// A receiver has no room for what comes where it stands.
    fn leave_behind(&mut self, slot: u32) {
        self.leave_front(slot);
        if let Some(receiver) = self.receivers.get_mut(slot) {
            receiver.place = Place::Behind;
        }
        self.wait_for_stream(slot);
    }

    /// The sender has sent everything, and says how much and what hash that is. `verdict`: whether it is right, if that
    /// is known without a hash.
    pub(crate) fn end(
        &mut self,
        now: Instant,
        size: Option<u64>,
        hash: Option<FileHash>,
        verdict: Option<bool>,
    ) -> Result<(), Wrong> {
        self.advance(now);
        if self.hashed < self.size {
            return Err(Wrong::Early);
        }
        let passed = match self.verified {
            Some(passed) => passed,
            None => self.hasher.clone().finalize().into(),
        };
        let is_passed = |hash: Option<FileHash>| hash.is_none_or(|hash| hash == passed);
        let is_right = verdict.unwrap_or_else(|| is_passed(hash) && is_passed(self.expected));
        if size.is_some_and(|size| size != self.size) || !is_right {
            return Err(Wrong::Corrupt);
        }
        self.verified = Some(passed);
        Ok(())
    }

    /// Receivers that are to be told the end now, each once: they have been passed everything, and the hash is right.
    /// O(1) if there are none, O(receivers) otherwise.
    pub(crate) fn ended(&mut self, to: &mut Vec<ConnectionId>) -> Option<FileEnd> {
        let hash = self.verified?;
        if self.to_end == 0 {
            return None;
        }
        let size = self.size;
        for slot in 0..self.receivers.slots() {
            let Some(receiver) = self.receivers.get_mut(slot) else {
                continue;
            };
            if receiver.next < size || receiver.ended {
                continue;
            }
            let owed = receiver.owes(size);
            receiver.ended = true;
            to.push(receiver.id);
            if !owed {
                self.silent.set(slot, self.now.as_micros());
            }
        }
        self.to_end = 0;
        Some(FileEnd { size, hash })
    }

    /// The sender is gone: what was asked for does not come any more.
    pub(crate) fn sender_lost(&mut self, now: Instant) {
        self.advance(now);
        if self.lost_since.is_none() {
            self.lost_since = Some(self.now);
            self.forget_requests();
        }
    }

    /// The sender is back, or comes on another connection in place of the one it had: up to where all who are at it
    /// have the file. What they have been passed is not asked for again.
    pub(crate) fn sender_back(&mut self, now: Instant) -> u64 {
        self.advance(now);
        if self.lost_since.take().is_none() {
            self.forget_requests();
        }
        self.sender_silent_since = self.now;
        self.review();
        self.acknowledged()
    }

    /// How much of the file has passed at least once. The sender can say the end when that is all of it.
    pub(crate) fn passed(&self) -> u64 {
        self.hashed
    }

    /// Memory on the heap, by what was asked of the allocator.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.receivers.heap_bytes()
            + self.front.blockers.heap_bytes()
            + self.silent.heap_bytes()
            + self.asking.heap_bytes()
    }

    /// It is `now`, or the latest time seen if that is later.
    pub(super) fn advance(&mut self, now: Instant) {
        let now = now.max(self.now);
        if self.front.holding {
            self.front.held_us += micros(now.saturating_since(self.now));
        }
        self.now = now;
    }
}

/// Whole microseconds, all there are in the core.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
