//! What takes long and is done elsewhere: large messages, inflated and read.
//!
//! Each client has one job at most: what it says after it waits, as it does for other reasons. So the order of a
//! client's messages is what it was, whenever and in whatever order jobs are done. Jobs for which there is no room wait
//! here in order; the message that they hold, and what it may come to, count as input.

use core::fmt;
use std::borrow::Cow;
use std::collections::BTreeMap;

use super::Server;
use super::closing::Goodbye;
use super::messages::Wrapping;
use crate::id::ConnectionId;
use crate::limits::heartbeat::Event as LifeEvent;
use crate::machine::ShardId;
use crate::message::Heard;
use crate::offload::{Done, Found, Job, JobId, Outcome, Work};
use crate::session::connection::{CloseCause, Kind};
use crate::websocket::DataKind;

/// Jobs that wait, and those that are out.
#[derive(Default)]
pub(super) struct Jobs {
    last: u64,
    /// How many may be out: none where there is no pool.
    most: u32,
    /// Those that wait for room, the first of them first.
    waiting: BTreeMap<JobId, Job>,
    out: BTreeMap<JobId, Out>,
    /// Clients that wait for one, by slot.
    holding: BTreeMap<u32, Held>,
}

/// A job that the driver has.
struct Out {
    connection: ConnectionId,
    /// What it counts as input.
    bytes: usize,
    was_compressed: Option<usize>,
}

/// What a client waits for.
struct Held {
    job: JobId,
    /// What its message came in.
    wrapping: Wrapping,
}

impl Jobs {
    /// None. Those of a shard that begins anew have other numbers than before.
    pub(super) fn new(shard: ShardId, restarts: u16) -> Self {
        Self {
            last: JobId::first_of(shard, restarts),
            ..Self::default()
        }
    }

    /// Whether a client waits for a job.
    pub(super) fn holds(&self, index: u32) -> bool {
        !self.holding.is_empty() && self.holding.contains_key(&index)
    }

    const fn has_pool(&self) -> bool {
        self.most > 0
    }

    /// Memory of it, without what counts as input; estimated.
    pub(super) fn heap_bytes(&self) -> usize {
        self.waiting.len() * size_of::<(JobId, Job)>()
            + self.out.len() * size_of::<(JobId, Out)>()
            + self.holding.len() * size_of::<(u32, Held)>()
    }

    /// What counts as input.
    pub(super) fn input_bytes(&self) -> usize {
        let waiting = self.waiting.values().map(|job| job.work().held_bytes());
        waiting.sum::<usize>() + self.out.values().map(|out| out.bytes).sum::<usize>()
    }
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs")
            .field("most", &self.most)
            .field("waiting", &self.waiting.len())
            .field("out", &self.out.len())
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Up to how many bytes a message is dealt with at once.
    pub(super) fn bytes_at_once(&self) -> usize {
        if self.jobs.has_pool() {
            self.config.offload.min_bytes - 1
        } else {
            usize::MAX
        }
    }

    /// Whether a text is so long that it is read elsewhere.
    pub(super) fn takes_long(&self, text: &str) -> bool {
        text.len() > self.bytes_at_once()
    }

    /// A message is read elsewhere.
    pub(super) fn hand_over_text(&mut self, index: u32, text: Cow<'_, str>) {
        self.hand_over_part(index, text.into_owned(), Wrapping::None);
    }

    /// The same for one that may be a part of a batch.
    pub(super) fn hand_over_part(&mut self, index: u32, text: String, wrapping: Wrapping) {
        let json = self.json_limits;
        self.hand_over(index, Work::Read { text, json }, wrapping);
    }

    /// A message is inflated elsewhere, and read if it is to be; `false` when the session has ended, as there was no room
    /// for it.
    pub(super) fn hand_over_compressed(
        &mut self,
        index: u32,
        kind: Kind,
        data: DataKind,
        payload: Cow<'_, [u8]>,
    ) -> bool {
        let work = Work::Inflate {
            payload: payload.into_owned(),
            kind: data,
            max_bytes: self.message_limits.max_message_bytes,
            json: matches!(kind, Kind::Client(_)).then_some(self.json_limits),
        };
        self.hand_over(index, work, Wrapping::None);
        self.jobs.holds(index)
    }

    fn hand_over(&mut self, index: u32, work: Work, wrapping: Wrapping) {
        let Some(connection) = self.connections.id(index) else {
            return;
        };
        self.jobs.last += 1;
        let job = JobId(self.jobs.last);
        self.steps.many(2);
        self.input_bytes += work.held_bytes();
        let before = self.jobs.holding.insert(index, Held { job, wrapping });
        debug_assert!(before.is_none(), "slot {index} waits already");
        let work = Job::new(job, connection, work);
        self.jobs.waiting.insert(job, work);
        self.stats.jobs += 1;
        self.pause(index);
        self.spare_kept(index);
    }

    /// The next job that there is room for.
    pub(super) fn next_job(&mut self) -> Option<Job> {
        if !self.has_next_job() {
            return None;
        }
        self.steps.one();
        self.take_first_job()
    }

    /// Whether a job waits that there is room for.
    pub(super) fn has_next_job(&self) -> bool {
        if self.jobs.out.len() >= self.jobs.most as usize {
            return false;
        }
        let Some((_, job)) = self.jobs.waiting.first_key_value() else {
            return false;
        };
        let made = job.work().made_bytes();
        // A single one always goes: there is room for one message whatever else there is.
        let is_tight = self.buffered_bytes().saturating_add(made) > self.max_buffered_bytes();
        !is_tight || self.jobs.out.is_empty()
    }

    fn take_first_job(&mut self) -> Option<Job> {
        let (id, job) = self.jobs.waiting.pop_first()?;
        let (held, made) = (job.work().held_bytes(), job.work().made_bytes());
        self.input_bytes += made;
        let was_compressed = match job.work() {
            Work::Inflate { payload, .. } => Some(payload.len()),
            Work::Read { .. } => None,
        };
        let out = Out {
            connection: job.connection(),
            bytes: held + made,
            was_compressed,
        };
        self.jobs.out.insert(id, out);
        Some(job)
    }

    /// The driver has a pool, or has none any more: then what waits is done here.
    pub(super) fn pool_is_ready(&mut self, jobs: u32) {
        self.jobs.most = jobs;
        if jobs > 0 {
            return;
        }
        while let Some(job) = self.take_first_job() {
            self.job_is_done(job.run());
        }
    }

    /// A job has been done, or could not be.
    pub(super) fn job_is_done(&mut self, done: Done) {
        self.steps.many(2);
        let Some(out) = self.jobs.out.remove(&done.id) else {
            self.stats.stale += 1;
            return;
        };
        self.input_bytes -= out.bytes;
        self.stats.failed_jobs += u64::from(done.is_failed());
        let index = self.connections.resolve(out.connection);
        let waits =
            |index: &u32| self.jobs.holding.get(index).map(|held| held.job) == Some(done.id);
        let Some(index) = index.filter(waits) else {
            // Its client has gone.
            self.stats.stale += 1;
            return;
        };
        let Some(held) = self.jobs.holding.remove(&index) else {
            return;
        };
        match done.outcome {
            Outcome::Found(Ok(found)) => {
                if let Some(payload_bytes) = out.was_compressed {
                    self.stats.inflated += 1;
                    self.stats.inflated_from_bytes += payload_bytes as u64;
                    self.stats.inflated_to_bytes += found.bytes() as u64;
                }
                // It counts for as long as it is there.
                self.input_bytes += found.heap_bytes();
                self.found(index, &found, held.wrapping);
                self.input_bytes -= found.heap_bytes();
            }
            Outcome::Found(Err(error)) => {
                self.stats.inflate_refused += 1;
                self.break_off(index, error);
            }
            Outcome::Failed => self.close_failed(index),
        }
        let connection = self.connections.get(index);
        if connection.is_some_and(|connection| connection.session().is_some()) {
            self.sign_of_life(index, LifeEvent::Resumed);
            self.resume_later(index);
        }
    }

    fn found(&mut self, index: u32, found: &Found, wrapping: Wrapping) {
        let session = self.connections.get(index).and_then(|c| c.session());
        let Some(kind) = session.map(|session| session.kind) else {
            return;
        };
        match (kind, found) {
            (Kind::Client(_), Found::Text(text, shape)) => match wrapping {
                Wrapping::None => self.heard(index, Heard::Text(text), shape.as_ref()),
                Wrapping::Batch => {
                    self.understand(index, Heard::Text(text), shape.as_ref(), wrapping);
                }
            },
            (Kind::Client(_), Found::Binary(bytes)) => {
                self.heard(index, Heard::Binary(bytes), None);
            }
            (Kind::Echo, Found::Text(text, _)) => {
                self.echo(index, super::fanout::TEXT, text.as_bytes());
            }
            (Kind::Echo, Found::Binary(bytes)) => {
                self.echo(index, super::fanout::BINARY, bytes);
            }
        }
    }

    /// What was done for a client has panicked.
    pub(super) fn close_failed(&mut self, index: u32) {
        let reason = "the server has failed at a message";
        let goodbye = Goodbye::announced(CloseCause::Failed, 1011, reason, None);
        self.close_session(index, &goodbye);
    }

    /// A client is gone: nobody waits for its job, which goes if it has not gone out.
    pub(super) fn forget_job(&mut self, index: u32) {
        if self.jobs.holding.is_empty() {
            return;
        }
        let Some(held) = self.jobs.holding.remove(&index) else {
            return;
        };
        if let Some(job) = self.jobs.waiting.remove(&held.job) {
            self.input_bytes -= job.work().held_bytes();
        }
    }
}
