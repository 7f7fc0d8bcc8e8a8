//! What is different with several shards.
//!
//! Each shard has its own counters, and begins anew when it fails; what can only be known of all of them together is
//! compared when all are idle and nothing is on its way between them. Weaker than with one shard is only what
//! PROTOCOL.md does not promise then, under "Order":
//!
//! - *"When ada has her `ack`, bob's message may still be on its way to him"*: an outcome says nothing of when a
//!   message was published, or when a leave is heard of, until nothing is on its way any more. Who leaves a room, or
//!   ends, misses what is on its way; holes there are none.
//! - *"What a client has been told may also reach another a moment later than that one hears of it in another way"*:
//!   a broadcast from before its welcome may reach a client. Comings and goings are summed up from when the room's
//!   home hears of them.
//! - *"Where one thread serves all clients, a message for one client alone does not overtake what was published
//!   before it"*: with several it may.
//! - *"A thread of the server that fails takes its clients along: they are closed, and the others see them leave, with
//!   which their typing ends, too"*: nobody is told that they stop.
//! - *"Messages that were on their way through it may be lost, acknowledged or not"*: from then on until everybody has
//!   heard of it, those that its clients sent, and those of rooms that had their home there.
//! - *"If it had the books of a room, its members hear `members_changed` with how many there are now, and who needs
//!   the list asks for it again"*: who is there, and who types, is unknown from then on until somebody asks.
//! - *`timeouts.relay_ms`, "for another thread of the server to answer, then `internal`"*: nobody knows what became of
//!   such a request. It comes within that time, in which the client is not read and need not give signs of life.

use roomwire_core::{Server, Stats};

use super::bounds::Bounds;
use super::session::{Ask, Key, Session, When};
use super::{Kind, Oracle, PROGRAM, Totals};
use crate::sim::network::HostId;
use crate::sim::plan::ROOMS;

/// A shard from its beginning until it fails.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) shard: usize,
    pub(super) totals: Totals,
    pub(super) bounds: Bounds,
    /// Its connections.
    pub(super) live: usize,
    /// Its clients, as it counted them when it was idle.
    pub(super) clients: usize,
    /// What it holds for a moment, likewise.
    pub(super) held: usize,
    /// Clients were throttled.
    pub(super) throttles: bool,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Sound,
    /// It says goodbye to its clients.
    Failing,
    Over,
}

/// A failure of a shard, during which what it was told or had to tell may have been lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    shard: usize,
    from: u64,
    /// `None`: until now.
    to: Option<u64>,
}

/// What is left of a shard at the end.
#[derive(Clone, Copy, Debug)]
pub(in crate::sim) struct End {
    pub(super) stats: Stats,
    /// Memory of who is in which room.
    pub(super) members: usize,
    /// Memory of files on their way.
    pub(super) files: usize,
}

impl End {
    /// Of a shard that has nothing more to do.
    pub(in crate::sim) fn of(server: &Server) -> Self {
        Self {
            stats: server.stats(),
            members: server.memory().members,
            files: server.memory().files,
        }
    }
}

impl Loss {
    fn overlaps(&self, when: When) -> bool {
        self.to.is_none_or(|to| when.lo <= to) && when.latest() >= self.from
    }
}

impl Life {
    pub(super) fn of(shard: usize) -> Self {
        Self {
            shard,
            totals: Totals::default(),
            bounds: Bounds::default(),
            live: 0,
            clients: 0,
            held: 0,
            throttles: false,
            stage: Stage::Sound,
        }
    }
}

impl Oracle {
    /// The present life of the shard whose turn it is.
    pub(super) fn life(&mut self) -> &mut Life {
        &mut self.lives[self.present[self.here]]
    }

    pub(super) fn totals(&mut self) -> &mut Totals {
        &mut self.life().totals
    }

    pub(super) fn bounds(&mut self) -> &mut Bounds {
        &mut self.life().bounds
    }

    /// It is a shard's turn.
    pub(super) fn turn_of(&mut self, host: HostId, server: &Server) {
        self.here = host.0;
        if self.homes.is_empty() {
            let home = |name: &&str| usize::from(server.home_of(name).0);
            self.homes = ROOMS.iter().map(home).collect();
        }
    }

    // ---- failures

    /// The shard has failed, and says goodbye to its clients.
    pub(super) fn failing(&mut self) {
        let (shard, from) = (self.here, self.stamp);
        self.life().stage = Stage::Failing;
        let to = None;
        self.losses.push(Loss { shard, from, to });
        self.coverage.edge("shard: sound → failing");
    }

    /// A shard is gone, and begins anew.
    pub(super) fn begins_anew(&mut self, host: HostId, server: &Server) {
        self.here = host.0;
        self.check_counters(&server.stats());
        let life = self.present[host.0];
        if self.lives[life].stage == Stage::Sound {
            self.failing();
        }
        self.coverage.edge("shard: failing → anew");
        self.lives[life].stage = Stage::Over;
        let own = |&number: &usize| self.sessions[number].life == life;
        let gone: Vec<usize> = self.live.iter().copied().filter(own).collect();
        for number in gone {
            let stage = self.sessions[number].stage();
            self.coverage
                .edge(&format!("its shard fails while {stage}"));
            self.died(number);
        }
        // Nobody can tell the program any more.
        let own = self.sessions.iter_mut();
        for session in own.filter(|session| session.life == life) {
            session.closed_told |= session.opened_told;
        }
        self.present[host.0] = self.lives.len();
        self.lives.push(Life::of(host.0));
    }

    fn is_failing(&self, shard: usize) -> bool {
        self.lives[self.present[shard]].stage == Stage::Failing
    }

    /// Whether the home of a room says goodbye: it tells nobody of who leaves, as all is told again soon.
    pub(super) fn home_is_failing(&self, room: usize) -> bool {
        !self.alone && self.is_failing(self.homes[room])
    }

    /// Whether the books of a room were ever lost.
    pub(super) fn lost_its_home(&self, room: usize) -> bool {
        let home = self.homes[room];
        self.losses.iter().any(|loss| loss.shard == home)
    }

    /// Whether the books of a room may have been lost then.
    pub(super) fn is_lost(&self, room: usize, when: When) -> bool {
        let home = self.homes[room];
        let mut losses = self.losses.iter();
        losses.any(|loss| loss.shard == home && loss.overlaps(when))
    }

    /// Whether the shard of a client has failed.
    pub(super) fn lost_its_shard(&self, number: usize) -> bool {
        self.lives[self.sessions[number].life].stage != Stage::Sound
    }

    /// Whether a message to a room may have been lost, with the room's home or with its sender's shard.
    pub(super) fn may_be_lost(&self, key: Key, room: usize) -> bool {
        if self.losses.is_empty() {
            return false;
        }
        // The program's are all handed in at the first shard.
        let (from, when) = match self.sent.get(&key).map(|sent| (sent.ask, sent.when)) {
            Some((Some(ask), _)) if key.0 != PROGRAM => {
                let sender = &self.sessions[key.0];
                (self.lives[sender.life].shard, sender.asks[ask].when)
            }
            Some((_, when)) => (0, when),
            None => return true,
        };
        let home = self.homes[room];
        self.losses.iter().any(|loss| {
            let concerned = loss.shard == home || loss.shard == from;
            concerned && loss.overlaps(when)
        })
    }

    // ---- nothing is on its way

    /// All shards are idle and nothing is on its way between them: what was handed in has been done, everywhere.
    pub(super) fn arrived(&mut self) {
        let mut over = false;
        for number in self.live.clone() {
            let session = &mut self.sessions[number];
            if session.upgraded_at.is_none() || session.paused_at.is_some() {
                continue; // what it has said may wait
            }
            let before = session.over.is_some();
            if session.finished {
                session.end_by(self.stamp);
            }
            self.caught_up(number);
            over |= before != self.sessions[number].over.is_some();
        }
        for &number in &self.ended {
            let session = &mut self.sessions[number];
            let given = session.given;
            session.asks[..given]
                .iter_mut()
                .for_each(|ask| ask.when.by(self.stamp));
        }
        let program = self.sent.range_mut((PROGRAM, 0)..);
        program.for_each(|(_, sent)| sent.when.by(self.stamp));
        if over {
            self.all_changed();
        }
        // By now the homes have heard.
        for room in 0..ROOMS.len() {
            if core::mem::take(&mut self.moved[room]) {
                self.changed_at[room] = self.now;
            }
        }
    }

    /// Failures of which everybody has heard.
    pub(super) fn settle_losses(&mut self) {
        let stamp = self.stamp;
        let failing: Vec<bool> = (0..self.present.len())
            .map(|shard| self.is_failing(shard))
            .collect();
        let open = self.losses.iter_mut().filter(|loss| loss.to.is_none());
        for loss in open.filter(|loss| !failing[loss.shard]) {
            loss.to = Some(stamp);
        }
    }

    /// Nobody waits for another shard for longer than it may: twice that time for each request, once for room on the
    /// link and once for the answer; nor for a pool.
    pub(super) fn check_waiting(&mut self, number: usize) {
        let throttle = if self.life().throttles {
            super::quiet::MAX_THROTTLE_US
        } else {
            0
        };
        let session = &self.sessions[number];
        let mut open = session.asks[session.next..session.given].iter();
        let count = open.len() as u64;
        let waits = open.find(|ask| ask.must_answer() && ask.request.kind != Kind::Application);
        let Some(waits) = waits else {
            return;
        };
        let each = 2 * self.config.timeouts.relay_ms * 1_000 + self.pool_us;
        let most = session.moved_at + count * each + throttle + super::quiet::TURN_US;
        let (waits, now, since) = (waits.clone(), self.now, session.moved_at);
        self.check(now <= most, || {
            format!("{number}: waits for an answer since {since} to {waits:?}")
        });
    }

    /// Since when a client has to give a sign of life, if it has: not while it waits for another shard, or for a pool, and from then on
    /// once more, as what it sends meanwhile is not read.
    pub(super) fn beats_from(&self, session: &Session, beats: bool, heard: u64) -> (bool, u64) {
        let mut open = session.asks[session.next..session.given].iter();
        let silent = open.len() as u64;
        let waits = open.any(|ask| ask.must_answer() && can_be_asked_elsewhere(ask));
        // Of one that is not answered nobody knows how long it waited.
        let most = if silent > 0 {
            2 * self.config.timeouts.relay_ms * 1_000 + silent * self.pool_us
        } else {
            0
        };
        (beats && !waits, heard.max(session.moved_at + most))
    }

    /// At the end: where no shard has failed and none was given up, nothing was lost between them.
    pub(super) fn check_relays(&mut self, ends: &[End]) {
        let mut all = Stats::default();
        ends.iter().for_each(|end| all += end.stats);
        let (relayed, relays) = (all.relayed, self.coverage.relays);
        let failed = !self.losses.is_empty();
        self.check(failed || relayed == relays, || {
            format!("{relayed} relays were counted, {relays} there were")
        });
        let sound = !failed && all.relay_timeouts == 0;
        self.check(!sound || all.relay_lost == 0, || {
            format!("{} relays were lost", all.relay_lost)
        });
        let heard: u64 = all.shard_restarts;
        let most = self.coverage.restarts * (ends.len() as u64 - 1);
        self.check(heard <= most, || {
            format!("{heard} restarts were heard of, {most} could be")
        });
        if all.relay_timeouts > 0 {
            self.coverage.edge("another shard did not answer in time");
        }
    }
}

/// Whether an outcome says that a request was carried out at the room's home.
pub(super) const fn is_done_at_home(kind: Kind) -> bool {
    !matches!(
        kind,
        Kind::Message | Kind::Leave | Kind::Metadata | Kind::Typing
    )
}

/// Whether another shard may be asked for something.
pub(super) const fn can_be_asked_elsewhere(ask: &Ask) -> bool {
    !matches!(
        ask.request.kind,
        Kind::Plain | Kind::Ping | Kind::Wrong(_) | Kind::Close | Kind::Lie
    )
}
