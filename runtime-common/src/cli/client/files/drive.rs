//! Keeps a connection for as long as a [`Party`] needs one: makes it, joins rooms, makes it again when it is lost.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use roomwire_core::dialect::binary::Told;
use roomwire_core::{ClientMessage, ServerMessage};

use super::super::options::{Lasting, Server};
use super::super::show::one_line;
use super::Party;
use super::link::{End, Link, wait_for_signal};
use crate::cli::{FAILURE, SUCCESS, complain};
use crate::error::RunError;
use crate::signals::{Shutdown, Signals};

/// Between two attempts to connect, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Drives `party` to its end; returns the exit code.
pub(super) fn drive(
    name: &str,
    server: &Server,
    lasting: &Lasting,
    rooms: &[String],
    party: &mut dyn Party,
) -> u8 {
    let mut driver = Driver {
        name,
        server,
        retry: Duration::from_millis(lasting.retry_ms),
        rooms,
        party,
        refused: false,
    };
    match driver.run() {
        Ok(code) => code,
        Err(error) => {
            let name = driver.name;
            driver.party.report().aside(|| complain(name, &error));
            FAILURE
        }
    }
}

struct Driver<'a> {
    name: &'a str,
    server: &'a Server,
    retry: Duration,
    rooms: &'a [String],
    party: &'a mut dyn Party,
    /// A room was.
    refused: bool,
}

/// How a connection ended for its party.
enum Over {
    /// Everything was done, or given up.
    Done,
    /// The second signal has come.
    Now,
    Lost(End),
}

/// Where a connection is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The welcome is awaited.
    Opening,
    /// So many rooms have not answered.
    Joining(usize),
    Going,
    /// The server's goodbye is awaited.
    Closing,
}

impl Driver<'_> {
    fn run(&mut self) -> Result<u8, RunError> {
        let mut signals = Signals::install().map_err(RunError::io("installing signal handlers"))?;
        let mut was_there = false;
        let mut lost_since = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let end = match Link::open(self.server) {
                Ok(link) => {
                    let mut was_going = false;
                    let over = self.connection(link, &mut signals, &mut was_going)?;
                    was_there |= was_going;
                    match over {
                        Over::Done => return Ok(self.code()),
                        Over::Now => return Ok(FAILURE),
                        Over::Lost(end) => {
                            if was_going {
                                (lost_since, pause) = (Instant::now(), FIRST_PAUSE);
                            }
                            end
                        }
                    }
                }
                Err(error) if !was_there => {
                    self.complain(&error.what);
                    return Ok(error.code);
                }
                Err(error) => End {
                    why: error.what,
                    may_return: true,
                },
            };
            self.party.lost();
            let left = self.retry.saturating_sub(lost_since.elapsed());
            if !end.may_return || !was_there || left.is_zero() || self.party.is_done() {
                self.complain(&end.why);
                self.party.give_up("the connection was lost");
                self.party.lost();
                return Ok(FAILURE);
            }
            self.party
                .report()
                .note(&format!("{}; trying again", end.why));
            wait_for_signal(&signals, pause.min(left))
                .map_err(RunError::io("waiting for events"))?;
            pause = (pause * 2).min(LONGEST_PAUSE);
            if self.is_asked_to_leave(&mut signals)?.is_some() {
                self.party.give_up("interrupted");
                self.party.lost();
                return Ok(self.code());
            }
        }
    }

    fn code(&self) -> u8 {
        if self.party.succeeded() && !self.refused {
            SUCCESS
        } else {
            FAILURE
        }
    }

    fn complain(&mut self, what: &str) {
        let name = self.name;
        self.party.report().aside(|| complain(name, what));
    }

    fn is_asked_to_leave(&self, signals: &mut Signals) -> Result<Option<Shutdown>, RunError> {
        signals.pending().map_err(RunError::io("reading signals"))
    }

    /// One connection, to its end.
    fn connection(
        &mut self,
        mut link: Link<'_>,
        signals: &mut Signals,
        was_going: &mut bool,
    ) -> Result<Over, RunError> {
        let timeout = self.server.timeout();
        let (mut stage, mut since) = (Stage::Opening, Instant::now());
        let mut interrupted_at = None;
        let mut own_id = String::new();
        loop {
            let mut hearing = Hearing {
                stage,
                client: &mut own_id,
                refusal: None,
                awaited: self.rooms,
            };
            let party = &mut *self.party;
            let mut more = link.turn(&mut |told| hearing.take(told, party));
            let (heard, refusal) = (hearing.stage, hearing.refusal);
            let is_welcome = stage == Stage::Opening && heard != stage;
            if heard != stage {
                (stage, since) = (heard, Instant::now());
            }
            if is_welcome {
                for room in self.rooms {
                    let room = room.as_str().into();
                    let _: NonZeroU32 = link.ask(ClientMessage::Join { room, since: None });
                }
            }
            *was_going |= stage == Stage::Going;
            if let Some(why) = refusal {
                self.complain(&why);
                self.refused = true;
                self.party.give_up("a room was refused");
                stage = Stage::Closing;
                link.close("");
            }
            if stage == Stage::Going {
                more |= self.party.work(&mut link, Instant::now());
            }
            link.write();
            // Without room for more the socket is waited for.
            more &= link.has_room();
            let is_finished = stage == Stage::Going && self.party.is_done() && link.is_flushed();
            let late = interrupted_at.is_some_and(|at: Instant| at.elapsed() >= timeout);
            let is_early = matches!(stage, Stage::Opening | Stage::Joining(_));
            let never_began = interrupted_at.is_some() && is_early;
            if (is_finished || late || never_began) && stage != Stage::Closing {
                (stage, since) = (Stage::Closing, Instant::now());
                link.close("Client closing connection");
                link.write();
            }
            if stage == Stage::Closing && (link.is_over() || since.elapsed() >= timeout) {
                link.finish();
                return Ok(Over::Done);
            }
            if let Some(end) = link.end() {
                return Ok(match stage {
                    Stage::Closing => Over::Done,
                    _ => Over::Lost(end.clone()),
                });
            }
            if matches!(stage, Stage::Opening | Stage::Joining(_)) && since.elapsed() >= timeout {
                let (url, ms) = (&self.server.url, timeout.as_millis());
                return Ok(Over::Lost(End {
                    why: format!("{url}: no answer within {ms} ms: --timeout-ms waits longer"),
                    may_return: true,
                }));
            }
            let left = timeout.saturating_sub(since.elapsed());
            let patience = match stage {
                _ if more => Some(Duration::ZERO),
                Stage::Going => self.party.patience(Instant::now()),
                _ => Some(left),
            };
            link.wait(signals, patience)
                .map_err(RunError::io("waiting for events"))?;
            match self.is_asked_to_leave(signals)? {
                None => {}
                Some(Shutdown::Abort) => return Ok(Over::Now),
                Some(Shutdown::Drain) => {
                    interrupted_at = Some(Instant::now());
                    self.party.give_up("interrupted");
                }
            }
        }
    }
}

/// What comes on a connection, until its party takes it.
struct Hearing<'a> {
    stage: Stage,
    /// This client's id.
    client: &'a mut String,
    refusal: Option<String>,
    awaited: &'a [String],
}

impl Hearing<'_> {
    /// So many rooms have not answered yet.
    fn joins(&mut self, count: usize, party: &mut dyn Party) {
        if count > 0 {
            self.stage = Stage::Joining(count);
        } else {
            self.stage = Stage::Going;
            party.begins(self.client);
        }
    }

    fn take(&mut self, told: &Told<'_>, party: &mut dyn Party) {
        match (self.stage, &told.message) {
            (Stage::Opening, ServerMessage::Welcome(welcome)) => {
                *self.client = welcome.client.to_string();
                self.joins(self.awaited.len(), party);
            }
            (Stage::Joining(count), ServerMessage::JoinedRoom { .. }) => {
                self.joins(count.saturating_sub(1), party);
            }
            (Stage::Joining(_), ServerMessage::Error { code, message, .. })
                if told.number.is_some() =>
            {
                let (rooms, message) = (self.awaited.join(", "), one_line(message));
                self.refusal = Some(format!("cannot join {rooms}: {code}: {message}"));
            }
            (Stage::Closing, _) => {}
            // Files may be offered as soon as one of several rooms has been joined.
            _ => party.told(told, Instant::now()),
        }
    }
}
