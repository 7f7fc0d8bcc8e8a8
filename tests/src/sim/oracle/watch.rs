//! What the oracle makes of each step of the driver.

use roomwire_core::server::{Command, Event};
use roomwire_core::{ConnectionId, Input, Now, Output, Server, Turn};

use super::{Oracle, Step, What};
use crate::sim::network::HostId;
use crate::sim::observer::{Accept, Observer};

impl Observer<Server> for Oracle {
    fn turn(&mut self, host: HostId, server: &Server) {
        self.turn_of(host, server);
    }

    fn failed(&mut self, host: HostId, server: &Server) {
        self.begins_anew(host, server);
    }

    fn quiet(&mut self, now: Now) {
        if !self.alone {
            self.tick(now);
            self.settled();
        }
    }

    fn accepted(&mut self, now: Now, what: &Accept, _: &Server) {
        self.tick(now);
        let Some(id) = what.id else {
            self.coverage.edge("connect → refused");
            return;
        };
        self.totals().accepted += 1;
        self.life().live += 1;
        let number = what.socket.0;
        let life = self.present[self.here];
        let session = &mut self.sessions[number];
        session.connection = Some(id);
        session.live = true;
        session.life = life;
        session.accepted_at = self.now;
        session.last_input_at = self.now;
        self.by_connection.insert(id, number);
        self.live.insert(number);
        self.bounds().input();
    }

    fn input(
        &mut self,
        now: Now,
        input: &Input<'_, Command, roomwire_core::cluster::Relay>,
        server: &Server,
    ) {
        self.tick(now);
        self.bounds().input();
        self.step = Step {
            received: server.stats().received,
            throttled: server.stats().throttled,
            ..Step::default()
        };
        match input {
            Input::Received { connection, bytes } => {
                self.totals().bytes_in += bytes.len() as u64;
                self.step.session = self.session_of(*connection);
                self.step.what = What::Bytes;
                if let Some(number) = self.step.session {
                    let messages = self.hand_in(number, bytes.len());
                    self.step.received += messages;
                }
            }
            Input::ReadEnd { connection } => {
                self.step.session = self.session_of(*connection);
                self.step.what = What::ReadEnd;
                if let Some(number) = self.step.session {
                    let stage = self.sessions[number].stage();
                    self.coverage.edge(&format!("half-close while {stage}"));
                }
            }
            Input::Ended { connection, end } => {
                if let Some(number) = self.session_of(*connection) {
                    let stage = self.sessions[number].stage();
                    let end = format!("{end:?} while {stage}");
                    self.coverage.edge(&end);
                    self.died(number);
                }
            }
            Input::Sent { connection, .. } => {
                // Only now has the server heard that its response has left.
                if let Some(number) = self.session_of(*connection)
                    && core::mem::take(&mut self.sessions[number].upgrading)
                {
                    self.sessions[number].upgraded_at = Some(self.now);
                }
            }
            Input::Done(done) => self.coverage.edge(match done.is_failed() {
                true => "a job: handed over → failed",
                false => "a job: handed over → done",
            }),
            Input::Command(command) => self.command(command),
            _ => {}
        }
    }

    fn handled(&mut self, _: Now, turn: Turn, server: &Server) {
        let Some(number) = self.step.session else {
            return;
        };
        if !self.alone {
            // What it had to say may wait for another shard.
            let session = &mut self.sessions[number];
            session.behind = true;
            session.finished |= self.step.what == What::ReadEnd;
            return;
        }
        let stats = server.stats();
        let session = &self.sessions[number];
        let held = session.upgraded_at.is_none();
        let all = stats.received == self.step.received && turn == Turn::Open;
        // The last message may have been one too many: what came behind it, a close frame say, then waits.
        let paused = session.paused_at.is_some() || stats.throttled > self.step.throttled;
        if held || paused || session.behind || !all {
            self.sessions[number].behind = true;
            return;
        }
        match self.step.what {
            What::Bytes => self.caught_up(number),
            What::ReadEnd => {
                let stamp = self.stamp;
                self.sessions[number].end_by(stamp);
                self.all_changed();
            }
            What::Other => {}
        }
    }

    fn polled(&mut self, now: Now, output: &Output<Event>, server: &Server) {
        self.tick(now);
        self.coverage.polls += 1;
        self.poll_counts(output, server);
        match output {
            Output::ReadInterest { connection, wanted } => {
                if let Some(number) = self.session_of(*connection) {
                    self.sessions[number].paused_at = (!wanted).then_some(self.now);
                    self.coverage.edge(if *wanted {
                        "reading goes on"
                    } else {
                        "reading is withdrawn"
                    });
                    if *wanted {
                        self.sessions[number].last_input_at = self.now;
                    }
                    if *wanted && self.alone {
                        self.caught_up(number);
                    }
                }
            }
            Output::Close { connection, reset } => {
                if let Some(number) = self.session_of(*connection) {
                    let session = &self.sessions[number];
                    if *reset {
                        let stage = session.stage();
                        self.coverage
                            .edge(&format!("cut by the server while {stage}"));
                    }
                    self.died(number);
                }
            }
            Output::Event(event) => self.event(event),
            Output::Transmit { connection } => {
                self.check_queue(*connection, server);
            }
            Output::Idle { deadline } => self.idle(*deadline, server),
            _ => {}
        }
    }

    fn wrote(&mut self, now: Now, connection: ConnectionId, bytes: &[u8], lent: usize) {
        self.tick(now);
        self.totals().bytes_out += bytes.len() as u64;
        self.bounds().progress(bytes.len());
        if let Some(number) = self.session_of(connection) {
            if bytes.len() < lent {
                self.coverage.fault("a write falls short");
                self.sessions[number].fell_short = true;
            }
            self.stream(number, bytes);
        }
    }
}
