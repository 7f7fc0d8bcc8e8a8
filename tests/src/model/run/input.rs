//! What goes in: connections, bytes, ends.

use roomwire_core::server::Command;
use roomwire_core::{Input, Machine, TransportEnd};

use super::{Checked, Run};
use crate::frame::{Opcode, masked};
use crate::model::operation::{Bye, Feed, Say, peer_address};
use crate::model::peer::{Peer, Phase, Said};
use crate::model::reference::{Cause, State};
use crate::pipe::Ending;
use crate::world::Upgrade;

impl Run {
    pub(super) fn handle(
        &mut self,
        input: Input<'_, Command, roomwire_core::cluster::Relay>,
    ) -> Checked {
        let now = self.now();
        self.reference.set_time(self.now_us, now.unix_ms);
        let _ = self.server.handle(now, input);
        Ok(())
    }

    pub(super) fn open(&mut self, person: usize, rooms: usize, feed: Feed) -> Checked {
        let busy = self.people[person].is_some_and(|number| self.state(number) != State::Over);
        if busy {
            return Ok(());
        }
        let now = self.now();
        self.reference.set_time(self.now_us, now.unix_ms);
        let listener = self.setup.listener(person);
        let id = self
            .server
            .accept(now, peer_address(person), listener)
            .ok_or("refused")?;
        self.accepted += 1;
        let number = self.reference.accept(person);
        self.peers
            .push(Peer::new(id, person, self.setup.slow && person == 0));
        self.people[person] = Some(number);
        self.peers[number].say(Said::Upgrade, &Upgrade::default().request());
        for room in 0..rooms {
            let (request, id, bytes) = self.message(&Say::Join(room), true);
            self.peers[number].say(Said::Request(request, id), &bytes);
        }
        self.feed(number, feed)?;
        if self.variation.drain.is_some() {
            self.feed(number, Feed::Whole)?;
            self.drain()?;
        }
        Ok(())
    }

    pub(super) fn state(&self, number: usize) -> State {
        self.reference.sessions[number].state
    }

    /// A person's connection, if the person can still say something on it.
    pub(super) fn speaker(&self, person: usize) -> Option<usize> {
        self.people[person].filter(|&number| self.speaker_number(number))
    }

    pub(super) fn speaker_number(&self, number: usize) -> bool {
        let peer = &self.peers[number];
        let silent = |said: &(Said, usize)| matches!(said.0, Said::Close(_) | Said::Violation);
        // Whether a connection that is over has been closed depends on what was polled.
        let over = self.variation.drain.is_some() && self.state(number) == State::Over;
        !over && peer.ending.is_none() && !peer.read_end && !peer.said.back().is_some_and(silent)
    }

    /// Lets some of what a peer has sent arrive.
    pub(super) fn feed(&mut self, number: usize, feed: Feed) -> Checked {
        let peer = &self.peers[number];
        let waiting = peer.outgoing.len() - peer.arrived;
        // Short queues are for the slow reader to fill, not for everybody to speak at once.
        let feed = match feed {
            Feed::Later | Feed::Part(_) if self.setup.slow => Feed::Whole,
            feed => feed,
        };
        let (bytes, piece) = match feed {
            Feed::Whole => (waiting, waiting),
            Feed::Pieces(size) => (waiting, size.max(waiting / 64)),
            Feed::Part(size) => (size.min(waiting), waiting),
            Feed::Later => (0, 1),
        };
        let piece = if self.variation.bytewise {
            1
        } else {
            piece.max(1)
        };
        let end = self.peers[number].arrived + bytes;
        while self.peers[number].arrived < end && self.peers[number].ending.is_none() {
            let from = self.peers[number].arrived;
            self.arrive(number, piece.min(end - from))?;
        }
        Ok(())
    }

    pub(super) fn arrive(&mut self, number: usize, length: usize) -> Checked {
        let peer = &mut self.peers[number];
        let from = peer.arrived;
        peer.arrived += length;
        let mut bytes = peer.outgoing[from..peer.arrived].to_vec();
        let connection = peer.id;
        let before = self.server.stats();
        self.handle(Input::Received {
            connection,
            bytes: &mut bytes,
        })?;
        self.bytes_in += length as u64;
        let after = self.server.stats();
        // What waited in the backlog may have been taken by an earlier poll without a trace.
        let progress = after.received > before.received || after.closed > before.closed;
        if progress && self.peers[number].paused {
            self.resume_model(number)?;
        } else {
            self.arrived(number);
        }
        self.agree()
    }

    pub(super) fn bye(&mut self, number: usize, how: Bye) -> Checked {
        let connection = self.peers[number].id;
        if self.peers[number].ending.is_some() {
            return Ok(());
        }
        match how {
            Bye::Close(code) if self.speaker_number(number) => {
                let payload = if code == 1005 {
                    Vec::new()
                } else {
                    code.to_be_bytes().to_vec()
                };
                self.peers[number].say(Said::Close(code), &masked(Opcode::Close, true, &payload));
                self.feed(number, Feed::Whole)
            }
            Bye::Violation if self.speaker_number(number) => {
                self.peers[number].say(Said::Violation, &[0x81, 0x00]);
                self.feed(number, Feed::Whole)
            }
            Bye::Close(_) | Bye::Violation => Ok(()),
            Bye::ReadEnd if self.peers[number].phase == Phase::Response => {
                // Its place among those that wait would depend on whether a round has ended.
                self.drain()?;
                self.read_end(number)?;
                self.drain()
            }
            Bye::ReadEnd => self.read_end(number),
            Bye::Reset | Bye::Failed => {
                let (end, cause) = match how {
                    Bye::Reset => (TransportEnd::Reset, Cause::Lost),
                    _ => (TransportEnd::Failed, Cause::Command),
                };
                self.handle(Input::Ended { connection, end })?;
                self.peers[number].ending = Some(Ending::Ended);
                self.reference.end(number, cause, 1006);
                self.agree()
            }
        }
    }

    pub(super) fn abandon(&mut self, which: usize, reset: bool) -> Checked {
        let over = |&number: &usize| {
            self.state(number) == State::Over && self.peers[number].ending.is_none()
        };
        let over: Vec<usize> = (0..self.peers.len()).filter(over).collect();
        match over.get(which % over.len().max(1)) {
            Some(&number) if reset => self.bye(number, Bye::Reset),
            Some(&number) => self.read_end(number),
            None => Ok(()),
        }
    }

    pub(super) fn read_end(&mut self, number: usize) -> Checked {
        if self.peers[number].read_end || self.peers[number].ending.is_some() {
            return Ok(());
        }
        let connection = self.peers[number].id;
        self.peers[number].read_end = true;
        let before = self.server.stats().closed;
        self.handle(Input::ReadEnd { connection })?;
        let gone = self.server.stats().closed > before;
        if gone && self.peers[number].paused {
            self.resume_model(number)?;
        } else if self.peers[number].paused {
            self.wait_in_backlog(number);
        } else if self.state(number) != State::Over {
            self.reference.end(number, Cause::Lost, 1006);
        }
        self.agree()
    }

    pub(super) fn window(&mut self, person: usize, bytes: Option<usize>) -> Checked {
        // With short queues only one reads slowly, so that it is known who is closed.
        let person = if self.setup.slow { 0 } else { person };
        if self.setup.slow && bytes.is_none() && !self.serial.is_multiple_of(4) {
            return Ok(()); // it stays blocked for a while
        }
        match self.people[person] {
            Some(number) => self.set_window(number, bytes),
            None => Ok(()),
        }
    }

    pub(super) fn set_window(&mut self, number: usize, bytes: Option<usize>) -> Checked {
        let peer = &mut self.peers[number];
        peer.window = bytes;
        if peer.ending.is_none() && peer.blocked && bytes != Some(0) {
            peer.blocked = false;
            let connection = peer.id;
            self.handle(Input::Writable { connection })?;
        }
        self.agree()
    }

    pub(super) fn stale(&mut self) -> Checked {
        let dead = self.peers.iter().position(|peer| peer.ending.is_some());
        if let Some(number) = dead {
            let connection = self.peers[number].id;
            self.handle(Input::Received {
                connection,
                bytes: &mut [1, 2, 3],
            })?;
            self.handle(Input::Writable { connection })?;
            self.handle(Input::Ended {
                connection,
                end: TransportEnd::Closed,
            })?;
            self.reference.counts.stale += 3;
        }
        self.agree()
    }
}
