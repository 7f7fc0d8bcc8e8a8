//! What must hold, after every step and at the end.

use core::hash::Hasher;

use roomwire_core::{Input, Machine, Output};

use super::{Checked, MAX_SLEEPS, Report, Run};
use crate::model::expected::{What, check};
use crate::model::operation::{Bye, ROOMS};
use crate::model::peer::Peer;
use crate::model::reference::State;
use crate::pipe::Ending;

impl Run {
    /// What the server has counted is what has happened.
    pub(super) fn agree(&self) -> Checked {
        if self.firing {
            return Ok(());
        }
        let (stats, counts) = (self.server.stats(), &self.reference.counts);
        let slow = self.setup.slow;
        let rows = [
            ("opened", stats.opened, counts.opened),
            ("closed", stats.closed, counts.closed),
            ("received", stats.received, counts.received),
            ("published", stats.published, counts.published),
            ("deliveries", stats.deliveries, counts.deliveries),
            // A slow reader is told what it missed when it reads again.
            (
                "direct",
                if slow { counts.direct } else { stats.direct },
                counts.direct,
            ),
            ("bad_messages", stats.bad_messages, counts.bad_messages),
            ("unknown_types", stats.unknown_types, counts.unknown_types),
            ("rate_limited", stats.rate_limited, counts.rate_limited),
            ("refused", stats.refused, counts.refused),
            ("slow_readers", stats.slow_readers, counts.slow_readers),
            ("stale", stats.stale, counts.stale),
            (
                "clients",
                stats.clients as u64,
                self.reference.clients() as u64,
            ),
            (
                "rooms",
                stats.rooms as u64,
                self.reference.rooms.iter().flatten().count() as u64,
            ),
            (
                "connections",
                stats.connections as u64,
                self.live_connections(),
            ),
            ("accepted", stats.accepted, self.accepted),
            ("received_bytes", stats.received_bytes, self.bytes_in),
            ("sent_bytes", stats.sent_bytes, self.bytes_out),
            ("timeouts", stats.timeouts, 0),
            ("over_budget", stats.over_budget, 0),
            ("clamped", stats.clamped, 0),
            ("time_went_back", stats.time_went_back, 0),
            ("unanswered_transmits", stats.unanswered_transmits, 0),
            ("dropped", if slow { 0 } else { stats.dropped }, 0),
        ];
        match rows
            .iter()
            .find(|(_, server, reference)| server != reference)
        {
            Some((name, server, reference)) => Err(format!(
                "the server has counted {server} {name}, there are {reference}"
            )),
            None => Ok(()),
        }
    }

    pub(super) fn live_connections(&self) -> u64 {
        self.peers
            .iter()
            .filter(|peer| peer.ending.is_none())
            .count() as u64
    }

    /// The server is idle: whoever reads has everything.
    pub(super) fn check_all(&mut self) -> Checked {
        for number in 0..self.peers.len() {
            self.check_peer(number)
                .map_err(|error| format!("client {number}: {error}"))?;
        }
        Ok(())
    }

    pub(super) fn check_peer(&mut self, number: usize) -> Checked {
        let waiting = self.reference.asks.iter();
        let waiting = waiting
            .filter(|ask| ask.session == number && ask.waits && ask.id.is_some())
            .count();
        let expected = &self.reference.sessions[number].expected;
        let peer = &mut self.peers[number];
        if self.reference.sessions[number].state == State::Over {
            self.perhaps += peer.forget_pings();
        }
        peer.check_received(expected, self.setup, &self.ids)?;
        match peer.ending {
            Some(Ending::Reset | Ending::Ended) => return Ok(()),
            // In order, up to the close frame: everything has left, but for a reader that was too slow. Who left
            // without one is not waited for.
            Some(Ending::Closed) => {
                let closed =
                    matches!(expected.last(), Some(last) if matches!(last.what, What::Close(_)));
                return if closed && !peer.lossy {
                    peer.check_everything_came(expected)
                } else {
                    Ok(())
                };
            }
            None => {}
        }
        if peer.blocked {
            return Ok(());
        }
        let unsent = self.server.unsent(peer.id).next().is_some();
        check(!unsent, || "idle with something unsent".to_owned())?;
        if self.reference.sessions[number].state == State::Over {
            return Ok(());
        }
        peer.check_complete(expected, waiting)?;
        for room in 0..ROOMS.len() {
            let members = self.reference.members(room);
            if members.contains(&number) {
                peer.check_members(room, members)?;
            }
        }
        Ok(())
    }

    /// Everybody reads, then everybody goes, and nothing is left.
    pub(super) fn finish(mut self) -> Checked<Report> {
        self.set_time(self.now_us + 1);
        self.write_bytes = usize::MAX;
        self.drain()?;
        for number in 0..self.peers.len() {
            self.set_window(number, None)?;
        }
        self.drain()?;
        for number in 0..self.peers.len() {
            self.set_time(self.now_us + 1);
            let how = match number % 4 {
                0 => Bye::Close(1000),
                1 => Bye::ReadEnd,
                2 => Bye::Reset,
                _ => Bye::Close(1005),
            };
            self.bye(number, how)?;
            if self.setup.slow {
                self.drain()?;
            }
        }
        self.drain()?;
        // Half of those that were told goodbye close their half, the others linger.
        for number in (0..self.peers.len()).filter(|number| number % 8 < 4) {
            self.read_end(number)?;
        }
        self.drain()?;
        self.wait_for_silence()?;
        self.check_nothing_left()?;
        Ok(Report {
            hash: self.hash.finish(),
            messages: self.peers.iter().map(Peer::matched).sum(),
            expected: self
                .reference
                .sessions
                .drain(..)
                .map(|session| session.expected)
                .collect(),
            news: self.news,
            polls: self.polls,
            stats: self.server.stats(),
        })
    }

    /// Sleeps from deadline to deadline until there is none.
    pub(super) fn wait_for_silence(&mut self) -> Checked {
        for _ in 0..MAX_SLEEPS {
            self.handle(Input::Tick)?;
            self.drain()?;
            let Output::Idle { deadline } = self.server.poll() else {
                return Err("not idle after a drain".to_owned());
            };
            let Some(deadline) = deadline else {
                return Ok(());
            };
            self.set_time(deadline.as_micros());
            self.handle(Input::Tick)?;
            self.drain()?;
        }
        Err("never silent".to_owned())
    }

    pub(super) fn check_nothing_left(&self) -> Checked {
        let stats = self.server.stats();
        let left = (
            stats.connections,
            stats.clients,
            stats.rooms,
            stats.buffered_bytes,
        );
        check(left == (0, 0, 0, 0), || {
            format!("left at the end: {stats:?}")
        })?;
        check(self.news.len() == self.reference.news.len(), || {
            format!(
                "told of {:?} instead of {:?}",
                self.news, self.reference.news
            )
        })?;
        check(self.told.len() == self.reference.asks.len(), || {
            "an event is missing".to_owned()
        })?;
        if self.setup.beat {
            return Ok(()); // pings are not counted
        }
        let produced =
            stats.deliveries + stats.direct + self.reference.counts.control_frames + self.responses;
        let upgraded = self
            .peers
            .iter()
            .filter(|peer| peer.client.is_upgraded())
            .count() as u64;
        let delivered = upgraded + self.peers.iter().map(|peer| peer.frames).sum::<u64>();
        let consumed = delivered + stats.dropped + stats.discarded + stats.coalesced_pongs;
        // The close frame of one whose queue is full is said once more when the queue has been given up.
        let lossy = self.peers.iter().filter(|peer| peer.lossy).count() as u64;
        let produced = produced..=produced + self.perhaps + lossy;
        check(produced.contains(&consumed), || {
            format!("{produced:?} messages were to go out, {delivered} have arrived: {stats:?}")
        })
    }
}
