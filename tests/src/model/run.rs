//! Runs one case: a server, its peers and the reference side by side, compared at every step.
//!
//! It is a driver of its own, because here every single poll, write and split is a choice of the case. The
//! reference is told what is processed when; how much a poll has processed of what waited is read from the
//! server's counter of messages received, everything else is predicted.

mod checks;
mod command;
mod follow;
mod input;
mod output;

use core::fmt;
use std::collections::VecDeque;
use std::hash::DefaultHasher;

use roomwire_core::server::RequestToken;
use roomwire_core::{Input, Instant, Now, Server, Stats};

use super::expected::{Expected, Ids};
use super::operation::{Asked, Bye, Feed, Operation, PEOPLE, Setup, Step};
use super::peer::{Peer, Phase, Said};
use super::reference::{News, Reference, State};
use crate::frame::{Opcode, masked};

/// A case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    pub setup: Setup,
    pub operations: Vec<Operation>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?}", self.setup)?;
        for (number, operation) in self.operations.iter().enumerate() {
            writeln!(f, "{number:>3} {operation:?}")?;
        }
        Ok(())
    }
}

/// How the same case is driven differently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Variation {
    /// Every byte arrives on its own.
    pub bytewise: bool,
    /// `Some(true)`: everything is done after every operation; `Some(false)`: only where there is no choice.
    /// With `Some` the case does not depend on what has been polled.
    pub drain: Option<bool>,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Report {
    /// Everything that came out, in order.
    pub hash: u64,
    pub expected: Vec<Vec<Expected>>,
    pub news: Vec<News>,
    pub messages: usize,
    pub polls: u64,
    pub stats: Stats,
}

impl Report {
    /// What a run came to in numbers, to see that a set of cases reaches everything.
    pub fn totals(&self) -> [(&'static str, u64); 14] {
        let stats = &self.stats;
        [
            ("messages compared", self.messages as u64),
            ("polls", self.polls),
            ("sessions", stats.opened),
            ("requests", stats.received),
            ("publishes", stats.published),
            ("deliveries", stats.deliveries),
            ("direct messages", stats.direct),
            ("refused", stats.refused),
            ("rate limited", stats.rate_limited),
            ("bad or unknown", stats.bad_messages + stats.unknown_types),
            ("dropped", stats.dropped),
            ("slow readers closed", stats.slow_readers),
            ("discarded at the end", stats.discarded),
            ("pongs replaced", stats.coalesced_pongs),
        ]
    }
}

/// Runs a case to its drained end.
///
/// # Errors
/// Says what differs, and at which operation.
pub fn run(case: &Case, variation: Variation) -> Result<Report, String> {
    let mut run = Run::new(case.setup, variation)?;
    for operation in case.setup.beginning() {
        run.operation(&operation)
            .map_err(|error| format!("at the beginning, {operation:?}: {error}"))?;
    }
    for (number, operation) in case.operations.iter().enumerate() {
        run.operation(operation)
            .map_err(|error| format!("at operation {number}, {operation:?}: {error}"))?;
    }
    run.finish().map_err(|error| format!("at the end: {error}"))
}

struct Run {
    setup: Setup,
    variation: Variation,
    server: Server,
    reference: Reference,
    now_us: u64,
    peers: Vec<Peer>,
    /// Each person's latest connection.
    people: [Option<usize>; PEOPLE],
    ids: Ids,
    /// Connections with input to go on with, in order.
    backlog: VecDeque<usize>,
    /// Application requests that were processed and not told, then those that were told.
    events: usize,
    told: Vec<RequestToken>,
    news: Vec<News>,
    /// Something is due: nothing is polled but to the end.
    overdue: bool,
    /// The reference has let happen what is due, the server is about to.
    firing: bool,
    /// Operations after which others may have been sent something.
    since_drained: u32,
    write_bytes: usize,
    /// Numbers whatever is said.
    serial: u32,
    hash: DefaultHasher,
    polls: u64,
    /// HTTP responses.
    responses: u64,
    /// Control frames of which it cannot be seen whether they were queued.
    perhaps: u64,
    bytes_in: u64,
    bytes_out: u64,
    accepted: u64,
}

type Checked<T = ()> = Result<T, String>;

impl Run {
    fn new(setup: Setup, variation: Variation) -> Checked<Self> {
        let config = setup
            .config()
            .validate()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            setup,
            variation,
            server: Server::new(config, [11; 32]),
            reference: Reference::new(setup),
            now_us: 1_000_000,
            peers: Vec::new(),
            people: [None; PEOPLE],
            ids: Ids::default(),
            backlog: VecDeque::new(),
            events: 0,
            told: Vec::new(),
            news: Vec::new(),
            overdue: false,
            firing: false,
            since_drained: 0,
            write_bytes: usize::MAX,
            serial: 0,
            hash: DefaultHasher::new(),
            polls: 0,
            responses: 0,
            perhaps: 0,
            bytes_in: 0,
            bytes_out: 0,
            accepted: 0,
        })
    }

    fn operation(&mut self, operation: &Operation) -> Checked {
        // Short queues are for the slow reader to fill, not for everybody to be sent everything at once.
        if self.setup.slow && operation.speaks() {
            self.since_drained += 1;
            if self.since_drained > 2 {
                self.drain()?;
            }
        }
        // No two operations at the same time: the order of timers is then the order of what armed them.
        self.set_time(self.now_us + 1);
        match operation {
            Operation::Drain => self.drain()?,
            Operation::Poll(count) => match self.variation.drain {
                None if !self.overdue => {
                    for _ in 0..*count {
                        if self.poll()? {
                            break;
                        }
                    }
                }
                Some(false) => {}
                _ => self.drain()?,
            },
            Operation::Open {
                person,
                rooms,
                feed,
            } => self.open(*person, *rooms, *feed)?,
            Operation::Say {
                person,
                say,
                id,
                feed,
            } => {
                if let Some(number) = self.speaker(*person) {
                    let (request, id, bytes) = self.message(say, *id);
                    self.peers[number].say(Said::Request(request, id), &bytes);
                    self.feed(number, *feed)?;
                }
            }
            Operation::Control {
                person,
                ping,
                length,
                feed,
            } => {
                if let Some(number) = self.speaker(*person) {
                    let (said, opcode) = match ping {
                        true => (Said::Ping(*length), Opcode::Ping),
                        false => (Said::Pong, Opcode::Pong),
                    };
                    let bytes = masked(opcode, true, &vec![b'p'; *length]);
                    self.peers[number].say(said, &bytes);
                    self.feed(number, *feed)?;
                }
            }
            Operation::Arrive { person, feed } => {
                if let Some(number) = self.speaker(*person) {
                    self.feed(number, *feed)?;
                }
            }
            Operation::Bye { person, how } => {
                if let Some(number) = self.people[*person] {
                    self.bye(number, *how)?;
                }
            }
            Operation::Flurry { person, steps } => {
                for &step in steps {
                    self.step(*person, step)?;
                }
            }
            Operation::Abandon { which, reset } => self.abandon(*which, *reset)?,
            Operation::Window { person, bytes } => self.window(*person, *bytes)?,
            Operation::Writes(bytes) => self.write_bytes = bytes.unwrap_or(usize::MAX),
            Operation::Pass { ms } => self.pass(*ms)?,
            Operation::Command(asked) => self.command(*asked)?,
            Operation::Stale => self.stale()?,
        }
        match self.variation.drain {
            Some(true) => self.drain(),
            _ => Ok(()),
        }
    }

    fn step(&mut self, person: usize, step: Step) -> Checked {
        let number = self.people[person];
        match (step, number) {
            (Step::Poll, _) if self.overdue => self.drain(),
            (Step::Poll, _) if self.variation.drain.is_none() => self.poll().map(drop),
            (Step::Open, _) => self.open(person, 1, Feed::Whole),
            (Step::ReadEnd, Some(number)) => self.bye(number, Bye::ReadEnd),
            (Step::Reset, Some(number)) => self.bye(number, Bye::Reset),
            (Step::Close, Some(_)) => self.command(Asked::Close(person, 4_001)),
            (Step::Window(bytes), _) => self.window(person, bytes),
            _ => Ok(()),
        }
    }

    // ---- time

    fn set_time(&mut self, now_us: u64) {
        self.now_us = now_us;
        self.overdue |= self.next_due().is_some_and(|due| due <= now_us);
    }

    fn next_due(&self) -> Option<u64> {
        let peers = self.peers.iter().enumerate();
        let delays = peers.filter_map(|(number, peer)| match peer.phase {
            Phase::Delay(due) if self.state(number) == State::New => Some(due),
            _ => None,
        });
        delays.chain(self.reference.next_due()).min()
    }

    fn now(&self) -> Now {
        Now {
            mono: Instant::from_micros(self.now_us),
            unix_ms: 1_700_000_000_000 + self.now_us / 1_000,
        }
    }

    fn pass(&mut self, ms: u64) -> Checked {
        if self.setup.beat {
            // Everybody shows signs of life, so that nobody is given up.
            for number in 0..self.peers.len() {
                if self.speaker_number(number) && self.reference.is_open(number) {
                    self.peers[number].say(Said::Pong, &masked(Opcode::Pong, true, b""));
                    self.feed(number, Feed::Whole)?;
                }
            }
        }
        self.set_time(self.now_us + ms * 1_000);
        // A time that nobody waits for is told by a tick or by whatever comes next.
        if ms.is_multiple_of(2) || self.setup.beat {
            self.handle(Input::Tick)?;
            if self.overdue || self.setup.beat {
                return self.drain();
            }
        }
        Ok(())
    }
}

/// Far more than a case needs.
const MAX_POLLS: usize = 100_000;
const MAX_SLEEPS: usize = 1_000;
