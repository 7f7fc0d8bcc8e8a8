//! Those who go on together: who of them is waited for, and for how long.

use core::time::Duration;

use super::receivers::Place;
use super::transfer::{Transfer, micros};
use crate::time::Instant;

impl Transfer {
    /// A receiver stands where the front does, and is waited for from now on.
    pub(super) fn join_front(&mut self, slot: u32) {
        if let Some(receiver) = self.receivers.get_mut(slot) {
            receiver.place = Place::Front;
            self.front.members += 1;
            self.classify(slot);
        }
    }

    /// A receiver that is not waited for is again, once it has room for what comes next. Until then it gets what has
    /// been asked for, as far as it has room for that.
    pub(super) fn rejoin_front(&mut self, slot: u32) {
        let (size, requested) = (self.size, self.front.requested);
        if let Some(receiver) = self.receivers.get(slot)
            && receiver.place == Place::Detached
            && receiver.has_room_again(requested, size)
        {
            self.join_front(slot);
        }
    }

    /// A receiver is not waited for any more.
    pub(super) fn leave_front(&mut self, slot: u32) {
        if self.receivers.get(slot).map(|r| r.place) == Some(Place::Front) {
            self.unblock(slot);
            self.note_hunger(slot, false);
            self.front.members -= 1;
        }
    }

    /// The front has asked for more, or for less.
    pub(super) fn classify_all(&mut self) {
        for slot in 0..self.receivers.slots() {
            self.classify(slot);
        }
    }

    /// Notes whether a receiver at the front has room for what comes next, and whether it has done with what has come.
    pub(super) fn classify(&mut self, slot: u32) {
        let (size, requested) = (self.size, self.front.requested);
        let Some(receiver) = self.receivers.get(slot) else {
            return;
        };
        if receiver.place != Place::Front {
            return;
        }
        let keeps_up = receiver.keeps_up();
        let blocked = self.front.blockers.contains(slot);
        let blocks = if blocked {
            !receiver.has_room_again(requested, size)
        } else {
            !receiver.has_room(requested, size)
        };
        if blocks && !blocked {
            self.block(slot);
        } else if !blocks {
            self.unblock(slot);
        }
        self.note_hunger(slot, keeps_up && !blocks);
    }

    fn note_hunger(&mut self, slot: u32, hungry: bool) {
        if let Some(receiver) = self.receivers.get_mut(slot)
            && receiver.hungry != hungry
        {
            receiver.hungry = hungry;
            if hungry {
                self.front.hungry += 1;
            } else {
                self.front.hungry -= 1;
            }
        }
    }

    /// A receiver holds the others up from now on.
    fn block(&mut self, slot: u32) {
        if let Some(receiver) = self.receivers.get_mut(slot) {
            let leaked_us = micros(self.now.saturating_since(receiver.leaks_since)) / LEAK_DIVISOR;
            receiver.held_us = receiver.held_us.saturating_sub(leaked_us);
            let left_us = micros(self.rules.patience).saturating_sub(receiver.held_us);
            let until = self.front.held_us.saturating_add(left_us);
            self.front.blockers.set(slot, until);
        }
    }

    /// A receiver does not hold the others up any more.
    fn unblock(&mut self, slot: u32) {
        if let Some(until) = self.front.blockers.remove(slot)
            && let Some(receiver) = self.receivers.get_mut(slot)
        {
            let left_us = until.saturating_sub(self.front.held_us);
            receiver.held_us = micros(self.rules.patience).saturating_sub(left_us);
            receiver.leaks_since = self.now;
        }
    }

    /// Those who have held the others up too long are not waited for any more. Whether there were any.
    pub(super) fn detach(&mut self) -> bool {
        let mut any = false;
        self.review();
        while self.front.holding
            && let Some((until, slot)) = self.front.blockers.first()
            && until <= self.front.held_us
        {
            self.leave_front(slot);
            if let Some(receiver) = self.receivers.get_mut(slot) {
                receiver.place = Place::Detached;
            }
            any = true;
            self.review();
        }
        any
    }

    /// When the next one is to be detached, if nothing else happens.
    pub(super) fn detach_at(&self) -> Option<Instant> {
        let (until, _) = self.front.blockers.first()?;
        let left = Duration::from_micros(until.saturating_sub(self.front.held_us));
        self.front.holding.then(|| self.now + left)
    }

    /// Whether the clock of holding up runs from now on: while one receiver, or fewer than half, have no room, at least
    /// half of the others have done with what has passed, and the sender has next to nothing to send. To be
    /// called whenever anything of that may have changed.
    ///
    /// Whoever has room and still something to do is not held up: windows are there to be used.
    pub(super) fn review(&mut self) {
        let (blockers, members) = (self.front.blockers.len(), self.front.members);
        let others = members - blockers;
        let are_few = blockers > 0 && others > 0 && (blockers == 1 || blockers < others);
        let wait = self.front.hungry >= others.div_ceil(2);
        let dry_bytes = u64::from(self.rules.max_requested_bytes) / DRY_DIVISOR;
        self.front.holding = are_few
            && wait
            && self.asking.outstanding_bytes <= dry_bytes
            && self.lost_since.is_none()
            && self.front.requested < self.size
            && self.has_gathered();
    }
}

/// A sender that has less to send than this part of what it may be asked for is hardly kept busy. A receiver whose
/// window is no larger cannot keep it busy.
const DRY_DIVISOR: u64 = 4;

/// Held time is forgotten half as fast as it adds up: who is half as fast again as long as the others stays with them.
const LEAK_DIVISOR: u64 = 2;
