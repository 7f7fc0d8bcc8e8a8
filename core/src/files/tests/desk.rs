//! A transfer with a hand on each end, checked at every step.

use core::num::NonZeroU32;
use core::time::Duration;

use super::checks;
use crate::files::{Credited, FileHash, Rules, Ticked, Transfer, Wanted, Wrong};
use crate::id::ConnectionId;
use crate::machine::ShardId;
use crate::time::Instant;

pub(super) const KIB: u64 = 1_024;

/// Chunks and requests of 1 KiB, 4 KiB on their way at once.
pub(super) const RULES: Rules = Rules {
    max_window_bytes: 8 * 1_024,
    request_bytes: 1_024,
    max_requested_bytes: 4 * 1_024,
    chunk_bytes: 1_024,
    max_streams: 2,
    max_receivers: 100,
    patience: Duration::from_millis(100),
    gather: Duration::ZERO,
    idle: Duration::from_secs(10),
    resume: Duration::from_secs(5),
    progress_interval: Duration::from_secs(1),
};

pub(super) fn id(index: u32) -> ConnectionId {
    ConnectionId::new(ShardId(0), index, NonZeroU32::MIN)
}

pub(super) fn at_ms(ms: u64) -> Instant {
    Instant::from_micros(ms * 1_000)
}

pub(super) struct Desk {
    pub(super) transfer: Transfer,
    pub(super) now_ms: u64,
    /// What the sender was asked for and has not sent.
    pub(super) wanted: Vec<Wanted>,
}

impl Desk {
    pub(super) fn new(size: u64, rules: Rules) -> Self {
        Self::with_hash(size, None, rules)
    }

    pub(super) fn with_hash(size: u64, hash: Option<FileHash>, rules: Rules) -> Self {
        Self {
            transfer: Transfer::new(size, hash, &rules, at_ms(0)),
            now_ms: 0,
            wanted: Vec::new(),
        }
    }

    pub(super) fn now(&self) -> Instant {
        at_ms(self.now_ms)
    }

    pub(super) fn credit(
        &mut self,
        index: u32,
        offset: u64,
        window: u32,
    ) -> Result<Credited, Wrong> {
        let credited = self.transfer.credit(self.now(), id(index), offset, window);
        self.ask();
        credited
    }

    /// With the largest window.
    pub(super) fn has(&mut self, index: u32, offset: u64) {
        self.credit(index, offset, RULES.max_window_bytes)
            .expect("credit");
    }

    fn ask(&mut self) {
        while let Some(wanted) = self.transfer.next_wanted(self.now()) {
            self.wanted.push(wanted);
        }
        checks::consistent(&self.transfer);
    }

    /// Sends so much of what was asked for next, all of it zeros: who gets it.
    pub(super) fn send(&mut self, length: usize) -> Vec<u32> {
        let offset = self.wanted.first().expect("asked").offset;
        let to = self.chunk(offset, length).expect("asked for");
        let wanted = &mut self.wanted[0];
        wanted.offset += length as u64;
        wanted.length_bytes -= length as u32;
        if wanted.length_bytes == 0 {
            self.wanted.remove(0);
        }
        self.ask();
        to
    }

    /// Sends the next piece, in chunks: its offset, and who gets the last of them.
    pub(super) fn answer(&mut self) -> (u64, Vec<u32>) {
        let Wanted {
            offset,
            length_bytes,
        } = *self.wanted.first().expect("asked");
        let mut to = Vec::new();
        let mut left = length_bytes;
        while left > 0 {
            let length = left.min(RULES.chunk_bytes);
            to = self.send(length as usize);
            left -= length;
        }
        (offset, to)
    }

    pub(super) fn answer_all(&mut self) {
        while !self.wanted.is_empty() {
            self.answer();
        }
    }

    pub(super) fn chunk(&mut self, offset: u64, length: usize) -> Result<Vec<u32>, Wrong> {
        let mut to = Vec::new();
        let now = self.now();
        self.transfer
            .chunk(now, offset, &vec![0; length], &mut to)?;
        Ok(to.into_iter().map(ConnectionId::index).collect())
    }

    pub(super) fn end(&mut self) {
        let now = self.now();
        assert_eq!(self.transfer.end(now, None, None, None), Ok(()));
    }

    /// Who is told the end now.
    pub(super) fn ended(&mut self) -> Vec<u32> {
        let mut to = Vec::new();
        let end = self.transfer.ended(&mut to);
        assert_eq!(end.is_some(), !to.is_empty());
        checks::consistent(&self.transfer);
        to.into_iter().map(ConnectionId::index).collect()
    }

    pub(super) fn complete(&mut self, index: u32) -> Result<(), Wrong> {
        self.transfer.complete(self.now(), id(index))
    }

    pub(super) fn remove(&mut self, index: u32) -> bool {
        let failed = self.transfer.remove(self.now(), id(index));
        self.ask();
        failed
    }

    /// Ticks at `ms`: what that finds, and who is dropped.
    pub(super) fn tick(&mut self, ms: u64) -> (Ticked, Vec<u32>) {
        self.now_ms = ms;
        let mut dropped = Vec::new();
        let ticked = self.transfer.tick(self.now(), &mut dropped);
        self.ask();
        (
            ticked,
            dropped.into_iter().map(ConnectionId::index).collect(),
        )
    }

    pub(super) fn deadline_ms(&self) -> Option<u64> {
        let deadline = self.transfer.deadline().map(Instant::as_micros);
        deadline.map(|us| us.div_ceil(1_000))
    }

    /// Where the pieces begin that were asked for and have not come.
    pub(super) fn offsets(&self) -> Vec<u64> {
        self.wanted.iter().map(|wanted| wanted.offset).collect()
    }
}

/// Nothing is asked for.
pub(super) const NONE: [u64; 0] = [];
pub(super) const NOBODY: [u32; 0] = [];
