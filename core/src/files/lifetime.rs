//! What becomes of a transfer as time passes: who is dropped, when the sender hears how far it is, how it ends.

use super::transfer::{Gathering, Transfer};
use crate::id::ConnectionId;
use crate::time::Instant;

/// How far a transfer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Up to where all have the file who are at it; if none is, all of it if somebody has completed it.
    pub(crate) acknowledged: u64,
    /// How many are at it.
    pub(crate) receivers: u32,
    /// How many have completed it.
    pub(crate) completed: u32,
    /// How many copies have failed.
    pub(crate) failed: u32,
}

/// How a transfer is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything has passed, and everyone who has accepted has completed or is gone.
    Completed {
        /// How many have completed.
        completed: u32,
        /// How many copies have failed.
        failed: u32,
    },
    /// Nobody has accepted, or the sender does not send what was asked for.
    TimedOut,
    /// The sender has not come back.
    Lost,
}

/// What a tick has found, besides receivers that are dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ticked {
    /// The transfer is over.
    pub(crate) outcome: Option<Outcome>,
    /// The sender is to be told.
    pub(crate) progress: Option<Progress>,
}

/// What the sender has been told of progress.
#[derive(Debug, Default)]
pub(super) struct Told {
    progress: Progress,
    /// Receivers that have got just as far as that. Once there are none, all have got further.
    as_far: u32,
    at: Option<Instant>,
}

impl Told {
    /// A receiver goes on from `acknowledged`.
    pub(super) fn moves_from(&mut self, acknowledged: u64) {
        if acknowledged == self.progress.acknowledged {
            self.as_far = self.as_far.saturating_sub(1);
        }
    }
}

impl Transfer {
    /// When [`tick`](Self::tick) has something to do, or [`next_wanted`](Self::next_wanted) that it had not before, if
    /// nothing else happens until then. Later than the latest time seen once both have been called, `next_wanted` until
    /// there is nothing. O(1).
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let gathered = match self.gathering {
            Gathering::Until(until) => Some(until),
            Gathering::Nobody | Gathering::Over => None,
        };
        let completed = self.is_completed().then_some(self.now);
        [
            completed,
            gathered,
            self.detach_at(),
            self.drop_at(),
            self.lost_at(),
            self.timed_out_at(),
            self.progress_at(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Does what is due. Receivers that owe something for too long are removed, as failed, and appended to `dropped`.
    /// Once there is an outcome, the transfer is done with. To be called whenever something has happened, too.
    pub(crate) fn tick(&mut self, now: Instant, dropped: &mut Vec<ConnectionId>) -> Ticked {
        self.advance(now);
        let now = self.now;
        if let Gathering::Until(until) = self.gathering
            && until <= now
        {
            self.gathering = Gathering::Over;
        }
        self.detach();
        while let Some((_, slot)) = self.silent.first()
            && self.drop_at().is_some_and(|at| at <= now)
        {
            dropped.extend(self.receivers.get(slot).map(|receiver| receiver.id));
            self.take_out(slot);
        }
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let outcome = if self.is_completed() {
            Some(Outcome::Completed {
                completed: self.completed,
                failed: self.failed,
            })
        } else if is_due(self.lost_at()) {
            Some(Outcome::Lost)
        } else if is_due(self.timed_out_at()) {
            Some(Outcome::TimedOut)
        } else {
            None
        };
        let progress = is_due(self.progress_at()).then(|| self.tell());
        Ticked { outcome, progress }
    }

    /// How far it is. O(receivers).
    pub(crate) fn progress(&self) -> Progress {
        Progress {
            acknowledged: self.acknowledged(),
            receivers: self.active,
            completed: self.completed,
            failed: self.failed,
        }
    }

    /// Up to where all have the file who are at it.
    pub(super) fn acknowledged(&self) -> u64 {
        let receivers = self.receivers.iter();
        // Those who have completed have all of it, and so change nothing, unless there are no others.
        let least = receivers.map(|receiver| receiver.acknowledged).min();
        least.unwrap_or(if self.completed > 0 { self.size } else { 0 })
    }

    fn is_completed(&self) -> bool {
        self.verified.is_some() && self.active == 0 && self.completed + self.failed > 0
    }

    /// When the receiver that has owed something longest is dropped.
    fn drop_at(&self) -> Option<Instant> {
        let (since, _) = self.silent.first()?;
        Some(Instant::from_micros(since) + self.rules.idle)
    }

    /// When a sender that is gone is given up. It may stay away if nobody needs it any more.
    fn lost_at(&self) -> Option<Instant> {
        let is_needed = self.verified.is_none() || self.unfinished > 0;
        let since = self.lost_since.filter(|_| is_needed)?;
        Some(since + self.rules.resume)
    }

    /// When the transfer is given up because the sender is silent, or there is no receiver.
    fn timed_out_at(&self) -> Option<Instant> {
        let has_to_end = self.hashed == self.size && self.verified.is_none();
        let sender_owes =
            self.lost_since.is_none() && (self.asking.outstanding_bytes > 0 || has_to_end);
        let silent = sender_owes.then_some(self.sender_silent_since);
        let alone = (self.active == 0).then_some(self.alone_since);
        let since = silent.into_iter().chain(alone).min()?;
        Some(since + self.rules.idle)
    }

    fn progress_at(&self) -> Option<Instant> {
        let told = &self.told.progress;
        let is_news = (self.active, self.completed, self.failed)
            != (told.receivers, told.completed, told.failed)
            || (self.active > 0 && self.told.as_far == 0);
        is_news.then(|| match self.told.at {
            Some(at) => at + self.rules.progress_interval,
            None => self.now,
        })
    }

    fn tell(&mut self) -> Progress {
        let progress = self.progress();
        let receivers = self.receivers.iter();
        let as_far = receivers
            .filter(|receiver| receiver.acknowledged == progress.acknowledged)
            .count();
        self.told = Told {
            progress,
            as_far: u32::try_from(as_far).unwrap_or(u32::MAX),
            at: Some(self.now),
        };
        progress
    }
}
