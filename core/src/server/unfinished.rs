//! Messages that have begun to arrive and have not ended: how long that may take, and who goes when they take too
//! much memory.
//!
//! Only sessions in the middle of a message, or of a frame, are listed; what lies whole in what was read never is.

use std::collections::{BTreeMap, BTreeSet};

use core::time::Duration;

use super::Server;
use super::closing::Goodbye;
use crate::session::connection::CloseCause;
use crate::steps::Steps;
use crate::time::Instant;

/// The sessions in the middle of a message. Everything is O(log of them).
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    due: BTreeMap<u32, Instant>,
    /// The one that has been unfinished longest first.
    by_due: BTreeSet<(Instant, u32)>,
    steps: Steps,
}

impl Unfinished {
    fn start(&mut self, index: u32, due: Instant) {
        self.stop(index);
        self.steps.many(2);
        self.due.insert(index, due);
        self.by_due.insert((due, index));
    }

    /// Forgets a session, if it is listed.
    pub(super) fn stop(&mut self, index: u32) {
        self.steps.many(2);
        if let Some(due) = self.due.remove(&index) {
            self.by_due.remove(&(due, index));
        }
    }

    fn contains(&self, index: u32) -> bool {
        self.steps.one();
        self.due.contains_key(&index)
    }

    /// Whose message is due next, and when.
    pub(super) fn first(&self) -> Option<(Instant, u32)> {
        self.steps.one();
        self.by_due.first().copied()
    }

    /// Memory of the trees, estimated: filled in order, their nodes are half full.
    pub(super) fn heap_bytes(&self) -> usize {
        2 * self.due.len() * size_of::<[(Instant, u32); 2]>()
    }

    #[cfg(feature = "count-steps")]
    pub(super) fn steps(&self) -> &Steps {
        &self.steps
    }
}

impl Server {
    /// Input of a session was decoded. `unfinished`: it ends in the middle of a message or frame; `fresh`: of
    /// another one than before.
    pub(super) fn note_unfinished(&mut self, index: u32, unfinished: bool, fresh: bool) {
        if !unfinished {
            self.unfinished.stop(index);
        } else if fresh || !self.unfinished.contains(index) {
            self.unfinished.start(index, self.message_due());
        }
    }

    /// A session is read again: the time in which it was not does not count.
    pub(super) fn restart_unfinished(&mut self, index: u32) {
        if self.unfinished.contains(index) {
            self.unfinished.start(index, self.message_due());
        }
    }

    /// A message has taken too long, unless it was the server that did not read.
    pub(super) fn message_overdue(&mut self, index: u32) {
        self.unfinished.stop(index);
        let connection = self.connections.get(index);
        if connection.is_some_and(|connection| connection.paused) {
            self.unfinished.start(index, self.message_due());
            return;
        }
        self.stats.unfinished += 1;
        let reason = "a message was not finished in time";
        let goodbye = Goodbye::announced(CloseCause::Timeout, 1008, reason, None);
        self.close_session(index, &goodbye);
    }

    /// A session's unfinished message has grown. While all of them take too much, the one that has been unfinished
    /// longest goes, with its session: it must not hold up those that come to an end. Unless somebody reads too
    /// slowly: then that is who goes.
    pub(super) fn spare_unfinished(&mut self) {
        while self.buffered_bytes() > self.max_buffered_bytes()
            && self.outboxes.longest_stalled().is_none()
            && let Some((_, longest)) = self.unfinished.first()
        {
            self.close_over_budget(longest);
        }
    }

    /// A session's messages are kept until they can be carried out. Where there is no room for them, and nobody else to
    /// make room, that session goes.
    pub(super) fn spare_kept(&mut self, index: u32) {
        self.spare_unfinished();
        let full = self.buffered_bytes() > self.max_buffered_bytes();
        if full && self.outboxes.longest_stalled().is_none() {
            self.close_over_budget(index);
        }
    }

    fn message_due(&self) -> Instant {
        self.now.mono + Duration::from_millis(self.config.timeouts.message_ms)
    }
}
