//! What the reference makes of it: the same in the order in which the server processes it.

use super::{Checked, Run};
use crate::model::peer::{Phase, Said};
use crate::model::reference::{Cause, Goodbye, State};

impl Run {
    /// The reference takes what has arrived.
    pub(super) fn arrived(&mut self, number: usize) {
        if self.state(number) == State::Over {
            return;
        }
        if self.peers[number].phase == Phase::Request && !self.upgraded(number) {
            return;
        }
        let peer = &mut self.peers[number];
        if peer.taken == peer.arrived {
            return;
        }
        match peer.phase {
            Phase::Request => {}
            Phase::Response => peer.paused = true,
            Phase::Delay(_) => {
                peer.phase = Phase::Session;
                self.reference.welcome(number);
                self.read(number);
            }
            Phase::Session if peer.paused => {}
            Phase::Session => self.read(number),
        }
    }

    /// Whether the upgrade request has arrived whole; then the connection goes on.
    pub(super) fn upgraded(&mut self, number: usize) -> bool {
        let peer = &mut self.peers[number];
        let end = peer.said.front().map_or(usize::MAX, |said| said.1);
        if peer.arrived < end {
            return false;
        }
        peer.said.pop_front();
        peer.taken = end;
        self.responses += 1;
        peer.phase = Phase::Response;
        true
    }

    /// The reference processes what has arrived, as far as there is room for events.
    pub(super) fn read(&mut self, number: usize) {
        loop {
            let peer = &mut self.peers[number];
            if self.reference.sessions[number].state == State::Over || peer.taken == peer.arrived {
                return;
            }
            if self.events >= self.setup.max_events() {
                peer.paused = true;
                self.wait_in_backlog(number);
                return;
            }
            match peer.said.front() {
                Some(&(_, end)) if end <= peer.arrived => peer.taken = end,
                _ => {
                    peer.taken = peer.arrived;
                    return;
                }
            }
            if let Some((said, _)) = peer.said.pop_front() {
                self.process(number, &said);
            }
        }
    }

    pub(super) fn process(&mut self, number: usize, said: &Said) {
        match said {
            Said::Upgrade => {}
            Said::Request(request, id) => {
                if let Some(id) = id {
                    let digits = id.trim_matches(|c: char| !c.is_ascii_digit());
                    self.peers[number].expect_outcome(digits.parse().unwrap_or_default());
                }
                let asks = self.reference.asks.len();
                self.reference.request(number, request, id.as_ref());
                self.events += self.reference.asks.len() - asks;
            }
            Said::Ping(length) => {
                let peer = &mut self.peers[number];
                peer.expect_pong(*length);
                // One whose queue has just overflowed gets no pong any more.
                self.perhaps += u64::from(peer.lossy);
                self.reference.control_frame(number, !peer.lossy);
            }
            Said::Pong => self.reference.control_frame(number, false),
            Said::Close(code) => self.reference.closed_by_client(number, *code),
            Said::Violation => self.reference.close(
                number,
                Goodbye {
                    cause: Cause::Protocol,
                    code: 1002,
                    announced: false,
                    after_ms: None,
                },
            ),
        }
    }

    pub(super) fn wait_in_backlog(&mut self, number: usize) {
        if !core::mem::replace(&mut self.peers[number].in_backlog, true) {
            self.backlog.push_back(number);
        }
    }

    /// The reference goes on with what waited on a connection.
    pub(super) fn resume_model(&mut self, number: usize) -> Checked {
        self.backlog.retain(|&waiting| waiting != number);
        let peer = &mut self.peers[number];
        peer.in_backlog = false;
        if !core::mem::take(&mut peer.paused) {
            return Ok(());
        }
        if peer.phase == Phase::Response {
            peer.paused = true;
            return Ok(());
        }
        self.read(number);
        let peer = &self.peers[number];
        if !peer.paused && peer.read_end {
            self.reference.end(number, Cause::Lost, 1006);
        }
        Ok(())
    }
}
