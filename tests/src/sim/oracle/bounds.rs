//! What is bounded: queues, memory, the polls until a machine is idle, the time until something happens.

use roomwire_core::server::Event;
use roomwire_core::{ConnectionId, Machine, Output, Server, Stats};

use super::session::Reader;
use super::{End, Oracle, Totals};

/// How long the machine has been busy without getting anything done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    /// Polls that may still come to nothing.
    credit: u64,
    /// Messages that the server had processed when it was last polled.
    received: u64,
}

impl Bounds {
    /// Each input may cause a few things to report.
    pub(super) fn input(&mut self) {
        self.credit += POLLS_PER_INPUT;
    }

    /// Something has left.
    pub(super) fn progress(&mut self, bytes: usize) {
        if bytes > 0 {
            self.credit += 1;
        }
    }
}

impl Oracle {
    /// Counts a poll; those that get nothing done are bounded by what was handed in and who is there.
    pub(super) fn poll_counts(&mut self, output: &Output<Event>, server: &Server) {
        let received = server.stats().received;
        let live = self.life().live as u64;
        let bounds = self.bounds();
        let worked = received > bounds.received;
        bounds.received = received;
        match output {
            Output::Idle { .. } => bounds.credit = POLLS_PER_CONNECTION * (4 + live),
            // Of the last there are as many as what they carry.
            Output::Event(_)
            | Output::Close { .. }
            | Output::Finish { .. }
            | Output::Job(_)
            | Output::Relay { .. } => {}
            _ if worked => {}
            _ => match bounds.credit.checked_sub(1) {
                Some(left) => bounds.credit = left,
                None => self.fail(|| format!("{output:?}: so many polls and still not idle")),
            },
        }
        let buffered = server.stats().buffered_bytes;
        let most = self.max_buffered_bytes() + self.one_turn();
        self.check(buffered <= most, || {
            format!("{buffered} bytes are held, {most} may be")
        });
    }

    /// A shard's part of the memory that buffers may take.
    fn max_buffered_bytes(&self) -> usize {
        let share = self.config.limits.max_buffered_bytes / self.present.len();
        share.max(self.config.min_buffered_bytes())
    }

    /// What may be held beyond the limit until the machine has been polled: what is published in one turn,
    /// and one message more; twice, because growing doubles.
    fn one_turn(&self) -> usize {
        2 * (TURN_BYTES + READ_BYTES + self.config.limits.max_message_bytes)
    }

    /// The queue of a connection that is about to be written.
    pub(super) fn check_queue(&mut self, connection: ConnectionId, server: &Server) -> usize {
        let queued: usize = server.unsent(connection).map(<[u8]>::len).sum();
        let most = self.config.limits.max_queued_bytes + CONTROL_BYTES;
        self.check(queued <= most, || {
            format!("{queued} bytes are queued for {connection}, {most} may be")
        });
        queued
    }

    /// What has to have happened by now.
    pub(super) fn check_times(&mut self, number: usize, drained: bool) {
        let ms = 1_000;
        let timeouts = &self.config.timeouts;
        let heartbeat = &self.config.heartbeat;
        let linger = timeouts.linger_ms * ms;
        let dead = (heartbeat.interval_ms + heartbeat.timeout_ms) * ms;
        let session = &self.sessions[number];
        let now = self.now;
        let since = |at: u64| now.saturating_sub(at);
        let silent = match &session.reader {
            Reader::Head(_) => drained && since(session.accepted_at) > timeouts.handshake_ms * ms,
            _ => false,
        };
        let unwelcome = session.upgraded_at.is_some_and(|at| {
            let waits = drained && !session.welcomed && session.over.is_none();
            waits && since(at) > timeouts.welcome_delay_ms * ms
        });
        let lingers = session.closed_at.is_some_and(|at| since(at) > linger);
        let beats = heartbeat.interval_ms > 0 && session.welcomed && session.paused_at.is_none();
        // Whoever has not had its response yet is not pinged.
        let heard_at = session.last_input_at.max(session.upgraded_at.unwrap_or(0));
        let (beats, heard_at) = match self.alone {
            true => (beats, heard_at),
            false => self.beats_from(session, beats, heard_at),
        };
        let quiet = since(heard_at);
        let undead = beats && session.over.is_none() && drained && quiet > dead;
        let stuck = beats && quiet > dead + linger;
        let what = [
            (silent, "no request, and no answer to that"),
            (unwelcome, "never welcomed"),
            (lingers, "lingers for too long"),
            (undead, "gave no sign of life, and is there"),
            (stuck, "gave no sign of life, and was not cut"),
        ];
        if let Some((_, what)) = what.iter().find(|(wrong, _)| *wrong) {
            self.fail(|| format!("{number}: {what}"));
        }
    }

    /// Counters and gauges that must agree at any time.
    pub(super) fn check_counters(&mut self, stats: &Stats) {
        let Totals {
            bytes_in,
            bytes_out,
            accepted,
            told_drops,
            ..
        } = *self.totals();
        let live = self.life().live as u64;
        let rows = [
            ("received_bytes", stats.received_bytes, bytes_in),
            ("sent_bytes", stats.sent_bytes, bytes_out),
            ("accepted", stats.accepted, accepted),
            ("connections", stats.connections as u64, live),
            ("clamped", stats.clamped, 0),
            ("time_went_back", stats.time_went_back, 0),
            ("unanswered_transmits", stats.unanswered_transmits, 0),
        ];
        for (name, counted, real) in rows {
            self.check(counted == real, || {
                format!("{counted} {name} were counted, {real} there were")
            });
        }
        self.check(told_drops <= stats.dropped, || {
            format!("{told_drops} drops were told, {} counted", stats.dropped)
        });
    }

    /// Everybody has left: nothing may be left of them on a shard.
    pub(super) fn check_nothing_left(&mut self, shard: usize, end: &End) {
        let End {
            stats,
            members,
            files,
        } = end;
        let over = stats.files_completed + stats.files_failed;
        self.check(*files == 0 && stats.files_started == over, || {
            format!(
                "of {} files {over} have ended, and {files} bytes are left",
                stats.files_started
            )
        });
        let gauges = (
            stats.connections,
            stats.clients,
            stats.rooms,
            stats.buffered_bytes,
        );
        self.check(gauges == (0, 0, 0, 0), || {
            format!("left at the end: {stats:?}")
        });
        self.check(stats.opened == stats.closed, || {
            format!("{} opened, {} closed", stats.opened, stats.closed)
        });
        self.check(*members < SPARE_BYTES, || {
            format!("{members} bytes are left for members, of whom there are none")
        });
        // Each text was delivered, dropped or discarded; what is discarded may also be something else.
        let life = self.present[shard];
        let own = self.sessions.iter().filter(|session| session.life == life);
        let pings: u64 = own.map(|session| session.pings).sum();
        let produced = stats.deliveries + stats.direct;
        let texts = self.lives[life].totals.texts;
        let consumed = texts + stats.dropped + stats.discarded;
        let others = pings + OTHERS_PER_CONNECTION * stats.accepted;
        self.check((produced..=produced + others).contains(&consumed), || {
            format!(
                "{produced} texts were made, {texts} delivered and up to {others} others: {stats:?}"
            )
        });
    }

    /// The program was told of every end.
    pub(super) fn check_told(&mut self) {
        let untold = self
            .sessions
            .iter()
            .position(|session| session.opened_told != session.closed_told || session.live);
        self.check(untold.is_none(), || {
            format!("the end of {untold:?} was not told")
        });
    }
}

/// What the lists of everyone, and of rooms, keep for those that come next.
const SPARE_BYTES: usize = 4_096;

/// Control frames go beyond the limit of a queue: one ping, one pong and a close frame.
const CONTROL_BYTES: usize = 3 * 127;

/// What is published before the machine asks to be polled.
const TURN_BYTES: usize = 256 * 1024;

/// What one input holds.
const READ_BYTES: usize = 64 * 1024;

/// Outputs per input that move nothing.
const POLLS_PER_INPUT: u64 = 4;

/// A transmit, and reading that is withdrawn and goes on.
const POLLS_PER_CONNECTION: u64 = 8;

/// Responses, a ping, two close frames.
const OTHERS_PER_CONNECTION: u64 = 6;
