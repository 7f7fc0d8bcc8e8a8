//! The machine is idle: everything that can be known is compared.

use std::collections::BTreeSet;

use roomwire_core::config::SlowReader;
use roomwire_core::{Instant, Server};

use super::session::{Key, Outcome, Stay, To, When};
use super::{Oracle, ROOMS};

/// What became of a message.
enum Fate {
    /// It was published.
    Published(When),
    /// It was refused.
    Never,
    /// It may have been, and nobody will know.
    Perhaps,
    /// Its sender has yet to be told.
    Unknown,
}

impl Oracle {
    /// A shard has nothing to do before `deadline`.
    pub(super) fn idle(&mut self, deadline: Option<Instant>, server: &Server) {
        let late = deadline.is_none_or(|at| at.as_micros() > self.now);
        self.check(late, || format!("the deadline {deadline:?} has passed"));
        let stats = server.stats();
        self.check_counters(&stats);
        self.life().throttles = stats.throttled > 0;
        let life = self.present[self.here];
        let own = |&number: &usize| self.sessions[number].life == life;
        let live: Vec<usize> = self.live.iter().copied().filter(own).collect();
        for &number in &live {
            if let Some(connection) = self.sessions[number].connection {
                let queued = self.check_queue(connection, server);
                self.sessions[number].drained = queued == 0;
            }
        }
        for &number in &live {
            let session = &self.sessions[number];
            let drained = session.drained;
            let waits = drained && session.welcomed && session.over.is_none();
            self.check_times(number, drained);
            if waits && !self.alone {
                self.check_waiting(number);
            }
        }
        if self.coverage.audits.is_multiple_of(64) {
            self.check_file_memory(server);
        }
        self.life().clients = stats.clients;
        self.life().held = stats.held;
        if self.alone {
            self.settled();
        }
    }

    /// So have all of them, and nothing is on its way between them.
    pub(super) fn settled(&mut self) {
        self.coverage.audits += 1;
        if !self.alone {
            self.arrived();
        }
        let live: Vec<usize> = self.live.iter().copied().collect();
        let drained = live.iter().copied();
        let drained: BTreeSet<usize> = drained.filter(|&n| self.sessions[n].drained).collect();
        let mut present = self.present.iter().map(|&life| &self.lives[life]);
        if present.any(|life| life.held > 0) {
            // What was said is on its way, if only for a moment.
            return drained.iter().for_each(|&number| {
                let session = &self.sessions[number];
                if session.welcomed && session.over.is_none() {
                    self.check_answers(number);
                }
            });
        }
        for &number in &drained {
            let session = &self.sessions[number];
            if session.welcomed && session.over.is_none() {
                self.check_answers(number);
                self.check_stays(number);
                self.check_typing(number);
            }
        }
        for number in core::mem::take(&mut self.ended) {
            self.check_ended(number);
        }
        self.check_private(&drained);
        self.check_files(&drained);
        if drained.len() == live.len() {
            self.check_clients();
        }
        for room in 1..ROOMS.len() {
            if self.home_is_failing(room) {
                continue;
            }
            if self.changed[room] && self.is_strict(room) {
                self.check_views(room, &drained);
                self.changed[room] = drained.len() < live.len();
            }
            if self.policies[room] == SlowReader::Close && drained.len() == live.len() {
                self.check_counts(room);
            }
        }
        self.settle_losses();
    }

    fn check_clients(&mut self) {
        let there = |&&number: &&usize| {
            let session = &self.sessions[number];
            session.welcomed && session.over.is_none()
        };
        let clients = self.live.iter().filter(there).count();
        let present = self.present.iter().map(|&life| &self.lives[life]);
        let counted: usize = present.map(|life| life.clients).sum();
        self.check(counted == clients, || {
            format!("{clients} clients are there, {counted} are counted")
        });
    }

    /// Every request that needs an answer has one, but for those that wait while their client is throttled.
    fn check_answers(&mut self, number: usize) {
        let session = &self.sessions[number];
        let throttles = self.lives[session.life].throttles;
        if let Some(since) = session.paused_at
            && throttles
        {
            let most = since + MAX_THROTTLE_US + TURN_US;
            let (now, next) = (self.now, session.next);
            return self.check(now <= most, || {
                format!("{number}: not read from since {since}, at request {next}")
            });
        }
        let open = session.asks[session.next..session.given]
            .iter()
            .find(|ask| ask.must_answer() && ask.request.kind != super::Kind::Application);
        if let Some(open) = open {
            let open = open.clone();
            self.fail(|| format!("{number}: no answer to {open:?}"));
        }
    }

    /// A client that has read everything has everything that was for it.
    fn check_stays(&mut self, number: usize) {
        let mut stays = core::mem::take(&mut self.sessions[number].stays);
        for stay in &mut stays {
            self.compare(number, stay, None);
            self.check_missing(number, stay);
        }
        self.sessions[number].stays = stays;
        for mut stay in core::mem::take(&mut self.sessions[number].past) {
            let until = stay.left.map(|left| self.heard_until(&stay, left));
            self.compare(number, &mut stay, until);
            self.check_missing(number, &stay);
        }
    }

    /// What a connection got before it ended has no holes.
    fn check_ended(&mut self, number: usize) {
        let mut stays = core::mem::take(&mut self.sessions[number].stays);
        stays.append(&mut self.sessions[number].past);
        for mut stay in stays {
            if self.policies[stay.room] == SlowReader::Close {
                let left = stay.left.map(|left| self.heard_until(&stay, left));
                let until = left.unwrap_or(stay.cursor);
                self.compare(number, &mut stay, Some(until));
                self.check_missing(number, &stay);
            }
        }
    }

    /// Until when whoever has left a room should have heard of it: elsewhere, what was on its way is missed.
    fn heard_until(&self, stay: &Stay, left: When) -> u64 {
        if self.alone { left.lo } else { stay.cursor }
    }

    fn check_missing(&mut self, number: usize, stay: &Stay) {
        let told = match self.policies[stay.room] {
            SlowReader::Close => 0,
            _ => self.sessions[number].missed_in(stay.room) + self.sessions[number].missed_in(0),
        };
        self.check(stay.missing <= told, || {
            format!(
                "{number}: {} messages of {:?} never came, it was told of {told}: {stay:?}",
                stay.missing, ROOMS[stay.room]
            )
        });
    }

    /// Counts what a member should have got by now and did not.
    fn compare(&mut self, number: usize, stay: &mut Stay, until: Option<u64>) {
        let log = &self.logs[stay.room];
        let unsettled = core::mem::take(&mut stay.unsettled);
        let fresh = log[stay.audited..].iter().copied();
        let keys: Vec<Key> = unsettled.into_iter().chain(fresh).collect();
        stay.audited = log.len();
        for key in keys {
            if key.0 == number {
                continue;
            }
            let got = self.sessions[number].received.contains(&key);
            match self.fate(key) {
                Fate::Unknown => stay.unsettled.push(key),
                Fate::Perhaps => {}
                Fate::Never => {
                    self.check(!got, || format!("{number}: got {key:?}, which was refused"));
                }
                Fate::Published(when) => {
                    let after = when.lo > stay.joined.latest();
                    let before = until.is_none_or(|until| when.latest() < until);
                    let missing = after && before && !got;
                    let lost = || self.may_be_lost(key, stay.room);
                    stay.missing += u64::from(missing && !lost());
                }
            }
        }
    }

    fn fate(&self, key: Key) -> Fate {
        let Some(sent) = self.sent.get(&key) else {
            return Fate::Perhaps;
        };
        let ask = sent.ask.and_then(|ask| self.sessions[key.0].asks.get(ask));
        if let (Some(stamp), true) = (
            sent.stamp,
            ask.is_none_or(|ask| ask.outcome != Outcome::Failed),
        ) {
            return Fate::Published(When::exactly(stamp));
        }
        let Some(ask) = ask else {
            return Fate::Published(sent.when);
        };
        match ask.outcome {
            Outcome::Done => Fate::Published(ask.when),
            Outcome::Failed => Fate::Never,
            Outcome::Silent | Outcome::Lost => Fate::Perhaps,
            Outcome::Open => {
                let sender = &self.sessions[key.0];
                if sender.live && sender.over.is_none() {
                    Fate::Unknown
                } else {
                    Fate::Perhaps
                }
            }
        }
    }

    /// Private messages that were acknowledged have arrived.
    fn check_private(&mut self, drained: &BTreeSet<usize>) {
        for key in core::mem::take(&mut self.privates) {
            let Some(&super::Sent {
                to: To::Client(to), ..
            }) = self.sent.get(&key)
            else {
                continue;
            };
            let Some(session) = self.sessions.get(to) else {
                continue;
            };
            let got = session.received.contains(&key);
            let waits = session.live && session.over.is_none();
            match self.fate(key) {
                Fate::Unknown => self.privates.push(key),
                Fate::Perhaps => {}
                Fate::Never => self.check(!got, || format!("{to}: got {key:?}, which was refused")),
                Fate::Published(_) if got || !waits => {}
                Fate::Published(_) if !drained.contains(&to) => self.privates.push(key),
                Fate::Published(when) => {
                    self.fail(|| format!("{to}: never got {key:?} of {when:?}"));
                }
            }
        }
    }

    /// How many are in a room is how many its members were told are, once all has been summed up.
    fn check_counts(&mut self, room: usize) {
        let settled = self.changed_at[room] + self.notice_us[room] + TURN_US;
        if self.draining || self.now <= settled {
            return;
        }
        let there = |&number: &usize| {
            let session = &self.sessions[number];
            session.over.is_none() && session.is_in(room)
        };
        let members: Vec<usize> = self.live.iter().copied().filter(there).collect();
        for &number in &members {
            let Some(stay) = self.sessions[number].stay(room) else {
                continue;
            };
            let count = stay.count;
            let members = members.len() as u64;
            self.check(count == members, || {
                format!(
                    "{number}: told of {count} in {:?}, there are {members}",
                    ROOMS[room]
                )
            });
        }
    }

    /// Who was said to type has been said to stop in time.
    fn check_typing(&mut self, number: usize) {
        let most = self.config.timeouts.typing_ms * 1_000 + TURN_US;
        for stay in &self.sessions[number].stays {
            if !self.is_strict(stay.room) {
                continue;
            }
            for (client, &since) in &stay.typing {
                let Some(&subject) = self.ids.get(client) else {
                    continue;
                };
                if self.sessions[subject].behind {
                    continue;
                }
                let typed = self.sessions[subject].typed_at.get(&stay.room);
                let last = since.max(typed.copied().unwrap_or_default());
                if self.now > last + most {
                    let (client, room) = (client.clone(), ROOMS[stay.room]);
                    return self
                        .fail(|| format!("{number}: {client} never stops typing in {room:?}"));
                }
            }
        }
    }

    /// Who is in a room is who its members were told is.
    fn check_views(&mut self, room: usize, drained: &BTreeSet<usize>) {
        let certain = |number: &usize| !self.live.contains(number) || drained.contains(number);
        let inside = |number: &usize| {
            let session = &self.sessions[*number];
            session.live && session.over.is_none() && session.is_in(room)
        };
        let members: Vec<usize> = drained.iter().copied().filter(inside).collect();
        let mut wrong = None;
        for &number in &members {
            let session = &self.sessions[number];
            let stay = session.stays.iter().find(|stay| stay.room == room);
            let Some((stay, view)) = stay.and_then(|stay| Some((stay, stay.view.as_ref()?))) else {
                continue;
            };
            // Where not all are known, those who came later are.
            let after = stay.joined.latest();
            let later = |other: usize| {
                let mut stays = self.sessions[other].stays.iter();
                stays.any(|stay| stay.room == room && stay.joined.lo > after)
            };
            let ghost = view.iter().find(|client| {
                self.ids
                    .get(*client)
                    .is_some_and(|number| certain(number) && !inside(number))
            });
            let unseen = members.iter().find(|&&other| {
                let client = self.sessions[other].client.as_deref().unwrap_or_default();
                !view.contains(client) && (stay.whole || other == number || later(other))
            });
            if ghost.is_some() || unseen.is_some() {
                let room = ROOMS[room];
                wrong = Some(format!(
                    "{number}: in {room:?} it sees {ghost:?}, who is not there, and not {unseen:?}, who is"
                ));
                break;
            }
        }
        if let Some(wrong) = wrong {
            self.fail(|| wrong);
        }
    }
}

/// The longest pause of a client that is throttled.
pub(super) const MAX_THROTTLE_US: u64 = 10_000_000;
/// What a turn of the driver may take.
pub(super) const TURN_US: u64 = 100_000;
