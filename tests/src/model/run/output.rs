//! What comes out: every poll, and what the driver does about it.

use core::hash::Hasher;

use roomwire_core::server::{CloseCause, Event};
use roomwire_core::{ConnectionId, Input, Instant, Machine, Output, Stats};

use super::{Checked, MAX_POLLS, Run};
use crate::model::expected::check;
use crate::model::operation::{ONE_WRITE, WELCOME_MS, peer_address};
use crate::model::peer::{Phase, Said};
use crate::model::reference::{Cause, Goodbye, News, State};
use crate::pipe::Ending;

impl Run {
    /// Polls until there is nothing left to do, then compares everything.
    pub(super) fn drain(&mut self) -> Checked {
        self.since_drained = 0;
        if core::mem::take(&mut self.overdue) {
            // Timers fire before anything else that a poll does by itself.
            let now = self.now();
            self.reference.set_time(self.now_us, now.unix_ms);
            self.handle(Input::Tick)?;
            self.firing = true;
            self.reference.fire();
            for number in 0..self.peers.len() {
                if matches!(self.peers[number].phase, Phase::Delay(due) if due <= self.now_us)
                    && self.state(number) == State::New
                {
                    self.peers[number].phase = Phase::Session;
                    self.reference.welcome(number);
                }
            }
        }
        for _ in 0..MAX_POLLS {
            if self.poll()? {
                return self.check_all();
            }
        }
        Err("never idle".to_owned())
    }

    /// Polls once. `true` when there is nothing left to do.
    pub(super) fn poll(&mut self) -> Checked<bool> {
        self.polls += 1;
        let before = self.server.stats();
        let output = self.server.poll();
        self.hash.write(format!("{output:?}").as_bytes());
        self.follow(&before)?;
        match output {
            Output::Transmit { connection } => self.transmit(connection)?,
            Output::ReadInterest { connection, wanted } => {
                let number = self.live(connection)?;
                if wanted && self.peers[number].in_backlog {
                    self.resume_model(number)?;
                }
            }
            Output::Finish { connection } => {
                let number = self.live(connection)?;
                let peer = &mut self.peers[number];
                check(!core::mem::replace(&mut peer.finished, true), || {
                    "finished twice".to_owned()
                })?;
                check(
                    self.state(number) == State::Over || !self.reference_knows(number),
                    || format!("the live session {number} is finished"),
                )?;
            }
            Output::Close { connection, reset } => {
                let number = self.live(connection)?;
                check(
                    self.state(number) == State::Over || !self.reference_knows(number),
                    || format!("the live session {number} is closed"),
                )?;
                self.reference.end(number, Cause::Lost, 1006);
                self.peers[number].ending =
                    Some(if reset { Ending::Reset } else { Ending::Closed });
            }
            Output::Event(event) => self.event(&event)?,
            Output::Again => {}
            Output::Idle { deadline } => {
                self.check_deadline(deadline)?;
                // Nothing waits any more.
                while let Some(&number) = self.backlog.front() {
                    self.resume_model(number)?;
                }
                self.firing = false;
                self.agree()?;
                return Ok(true);
            }
            other => return Err(format!("unexpected output {other:?}")),
        }
        self.agree()?;
        Ok(false)
    }

    /// Whether the session is one that the server has opened.
    pub(super) fn reference_knows(&self, number: usize) -> bool {
        self.state(number) == State::Open
    }

    pub(super) fn check_deadline(&self, deadline: Option<Instant>) -> Checked {
        let late = deadline.map_or(u64::MAX, Instant::as_micros);
        check(late > self.now_us, || {
            format!("the deadline {late} is not later than now")
        })?;
        match self.next_due() {
            Some(due) => check(late <= due, || {
                format!("the deadline {late} is later than {due}")
            }),
            None => Ok(()),
        }
    }

    /// The reference does what a poll has done of what waited.
    pub(super) fn follow(&mut self, before: &Stats) -> Checked {
        let after = self.server.stats();
        while self.reference.counts.received < after.received
            || (self.reference.counts.closed < after.closed && self.ends_in_backlog())
        {
            let number = *self
                .backlog
                .front()
                .ok_or("a poll has processed what never came")?;
            self.resume_model(number)?;
        }
        if after.slow_readers > before.slow_readers {
            let number = self.people[0].ok_or("somebody else reads slowly")?;
            let slow = self.setup.slow && self.peers[number].has_blocked;
            check(slow && self.reference.is_open(number), || {
                "somebody else reads slowly".to_owned()
            })?;
            self.reference.counts.slow_readers += 1;
            self.reference.close(
                number,
                Goodbye {
                    cause: Cause::SlowReader,
                    code: 1013,
                    announced: true,
                    after_ms: Some(1_000),
                },
            );
        }
        Ok(())
    }

    pub(super) fn ends_in_backlog(&self) -> bool {
        let ends = |&number: &usize| {
            let peer = &self.peers[number];
            let close = |said: &(Said, usize)| matches!(said.0, Said::Close(_) | Said::Violation);
            peer.read_end || peer.said.iter().any(close)
        };
        self.backlog.iter().any(ends)
    }

    pub(super) fn transmit(&mut self, connection: ConnectionId) -> Checked {
        let number = self.live(connection)?;
        let mut lent = Vec::new();
        for slice in self.server.unsent(connection) {
            check(!slice.is_empty(), || "an empty slice".to_owned())?;
            lent.extend_from_slice(slice);
        }
        let peer = &mut self.peers[number];
        check(!lent.is_empty(), || "nothing to transmit".to_owned())?;
        check(!peer.blocked, || {
            format!("transmit to {number}, which is blocked")
        })?;
        check(!peer.finished, || {
            format!("transmit to {number}, which is finished")
        })?;
        let window = peer.window.unwrap_or(usize::MAX);
        let bytes = lent.len().min(window).min(self.write_bytes);
        if peer.window == Some(ONE_WRITE) {
            peer.window = Some(0);
            peer.blocked = true;
        } else {
            peer.window = peer.window.map(|window| window - bytes);
            peer.blocked = bytes == window;
        }
        peer.has_blocked |= peer.blocked;
        let blocked = peer.blocked;
        self.hash.write(&lent[..bytes]);
        self.bytes_out += bytes as u64;
        self.peers[number].client.receive(&lent[..bytes]);
        self.handle(Input::Sent {
            connection,
            bytes,
            blocked,
        })?;
        if bytes == lent.len() {
            self.sent_everything(number);
        }
        Ok(())
    }

    pub(super) fn sent_everything(&mut self, number: usize) {
        let peer = &mut self.peers[number];
        if peer.phase == Phase::Response && self.reference.sessions[number].state != State::Over {
            if peer.taken < peer.arrived || !self.setup.hold {
                peer.phase = Phase::Session;
                self.reference.welcome(number);
            } else {
                peer.phase = Phase::Delay(self.now_us + WELCOME_MS * 1_000);
            }
        }
        if self.peers[number].paused && self.state(number) != State::Over {
            self.wait_in_backlog(number);
        }
    }

    pub(super) fn event(&mut self, event: &Event) -> Checked {
        match event {
            Event::Opened {
                connection,
                client,
                peer,
                listener,
            } => {
                let number = self.number(*connection)?;
                let person = self.peers[number].person;
                check(*peer == peer_address(person), || "another peer".to_owned())?;
                check(*listener == self.setup.listener(person), || {
                    "another listener".to_owned()
                })?;
                self.ids.set(number, client.as_str());
                self.told_news(News::Opened(number))
            }
            Event::Closed {
                connection,
                client,
                cause,
                code,
                received,
                ..
            } => {
                let number = self.number(*connection)?;
                check(self.peers[number].ending.is_some(), || {
                    "told of its end before".to_owned()
                })?;
                check(self.ids.get(number) == Some(client.as_str()), || {
                    "another client".to_owned()
                })?;
                let session = &self.reference.sessions[number];
                check(*received == session.received, || {
                    format!("received {received}")
                })?;
                let cause = match cause {
                    CloseCause::Client => Cause::Client,
                    CloseCause::Lost => Cause::Lost,
                    CloseCause::Protocol => Cause::Protocol,
                    CloseCause::Abuse => Cause::Abuse,
                    CloseCause::SlowReader => Cause::SlowReader,
                    CloseCause::Command => Cause::Command,
                    other => return Err(format!("closed for {other:?}")),
                };
                self.told_news(News::Closed {
                    session: number,
                    cause,
                    code: *code,
                })
            }
            Event::Application {
                connection,
                request,
                kind,
                ..
            } => {
                let number = self.number(*connection)?;
                let ask = self
                    .reference
                    .asks
                    .get(self.told.len())
                    .ok_or("nobody asked")?;
                check(ask.session == number && kind == "ask", || {
                    format!("{number} has not asked")
                })?;
                self.told.push(*request);
                self.events -= 1;
                Ok(())
            }
            other => Err(format!("unexpected event {other:?}")),
        }
    }

    pub(super) fn told_news(&mut self, news: News) -> Checked {
        check(self.reference.news.contains(&news), || {
            format!("{news:?} has not happened")
        })?;
        check(!self.news.contains(&news), || {
            format!("{news:?} is told twice")
        })?;
        self.news.push(news);
        Ok(())
    }

    /// The connection that an output names, which must be alive.
    pub(super) fn live(&self, id: ConnectionId) -> Checked<usize> {
        let number = self.number(id)?;
        check(self.peers[number].ending.is_none(), || {
            format!("{id} is named after its end")
        })?;
        Ok(number)
    }

    pub(super) fn number(&self, id: ConnectionId) -> Checked<usize> {
        let found = self.peers.iter().rposition(|peer| peer.id == id);
        found.ok_or_else(|| format!("{id} was never given out"))
    }
}
