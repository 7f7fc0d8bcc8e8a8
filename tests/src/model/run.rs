//! Runs one case: a server, its peers and the reference side by side, compared at every step.
//!
//! It is a driver of its own, because here every single poll, write and split is a choice of the case. The
//! reference is told what is processed when; how much a poll has processed of what waited is read from the
//! server's counter of messages received, everything else is predicted.

use core::fmt;
use core::hash::Hasher;
use std::collections::VecDeque;
use std::hash::DefaultHasher;
use std::rc::Rc;

use roomwire_core::server::{CloseCause, Command, Event, Outcome, RequestToken};
use roomwire_core::{ErrorCode, Input, Instant, Machine, Now, Output, Server, Stats, TransportEnd};

use super::expected::{Expected, Ids, check};
use super::operation::{
    Asked, Bye, Feed, ONE_WRITE, Operation, PEOPLE, ROOMS, Request, Say, Setup, Step, WELCOME_MS,
    peer_address, room_name,
};
use super::peer::{Peer, Phase, Said};
use super::reference::{Answer, Cause, Goodbye, News, Reference, State};
use crate::frame::{Opcode, masked};
use crate::pipe::Ending;
use crate::world::Upgrade;

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
    write_bytes: usize,
    /// Numbers whatever is said.
    serial: u32,
    hash: DefaultHasher,
    polls: u64,
    /// HTTP responses.
    responses: u64,
    perhaps_pongs: u64,
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
            write_bytes: usize::MAX,
            serial: 0,
            hash: DefaultHasher::new(),
            polls: 0,
            responses: 0,
            perhaps_pongs: 0,
            bytes_in: 0,
            bytes_out: 0,
            accepted: 0,
        })
    }

    fn operation(&mut self, operation: &Operation) -> Checked {
        // Short queues are for the slow reader to fill, not for everybody to be sent everything at once.
        if self.setup.slow && operation.speaks() {
            self.drain()?;
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
            Operation::Open { person, feed } => self.open(*person, *feed)?,
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
            (Step::Open, _) => self.open(person, Feed::Whole),
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

    // ---- what goes in

    fn handle(&mut self, input: Input<'_, Command, core::convert::Infallible>) -> Checked {
        let now = self.now();
        self.reference.set_time(self.now_us, now.unix_ms);
        let _ = self.server.handle(now, input);
        Ok(())
    }

    fn open(&mut self, person: usize, feed: Feed) -> Checked {
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
        self.feed(number, feed)?;
        if self.variation.drain.is_some() {
            self.feed(number, Feed::Whole)?;
            self.drain()?;
        }
        Ok(())
    }

    fn state(&self, number: usize) -> State {
        self.reference.sessions[number].state
    }

    /// A person's connection, if the person can still say something on it.
    fn speaker(&self, person: usize) -> Option<usize> {
        self.people[person].filter(|&number| self.speaker_number(number))
    }

    fn speaker_number(&self, number: usize) -> bool {
        let peer = &self.peers[number];
        let silent = |said: &(Said, usize)| matches!(said.0, Said::Close(_) | Said::Violation);
        // Whether a connection that is over has been closed depends on what was polled.
        let over = self.variation.drain.is_some() && self.state(number) == State::Over;
        !over && peer.ending.is_none() && !peer.read_end && !peer.said.back().is_some_and(silent)
    }

    /// Lets some of what a peer has sent arrive.
    fn feed(&mut self, number: usize, feed: Feed) -> Checked {
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

    fn arrive(&mut self, number: usize, length: usize) -> Checked {
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

    /// The reference takes what has arrived.
    fn arrived(&mut self, number: usize) {
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
    fn upgraded(&mut self, number: usize) -> bool {
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
    fn read(&mut self, number: usize) {
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

    fn process(&mut self, number: usize, said: &Said) {
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
                self.peers[number].expect_pong(*length);
                self.reference.control_frame(number, true);
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

    fn wait_in_backlog(&mut self, number: usize) {
        if !core::mem::replace(&mut self.peers[number].in_backlog, true) {
            self.backlog.push_back(number);
        }
    }

    /// The reference goes on with what waited on a connection.
    fn resume_model(&mut self, number: usize) -> Checked {
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

    fn bye(&mut self, number: usize, how: Bye) -> Checked {
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

    fn abandon(&mut self, which: usize, reset: bool) -> Checked {
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

    fn read_end(&mut self, number: usize) -> Checked {
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

    fn window(&mut self, person: usize, bytes: Option<usize>) -> Checked {
        // With short queues only one reads slowly, so that it is known who is closed.
        let person = if self.setup.slow { 0 } else { person };
        match self.people[person] {
            Some(number) => self.set_window(number, bytes),
            None => Ok(()),
        }
    }

    fn set_window(&mut self, number: usize, bytes: Option<usize>) -> Checked {
        let peer = &mut self.peers[number];
        peer.window = bytes;
        if peer.ending.is_none() && peer.blocked && bytes != Some(0) {
            peer.blocked = false;
            let connection = peer.id;
            self.handle(Input::Writable { connection })?;
        }
        self.agree()
    }

    fn command(&mut self, asked: Asked) -> Checked {
        self.serial += 1;
        let serial = self.serial;
        match asked {
            Asked::Send(person) => {
                let message = format!("{{\"type\":\"note\",\"n\":{serial},\"s\":0}}");
                let Some((number, connection)) = self.addressee(person) else {
                    return Ok(());
                };
                self.handle(Input::Command(Command::Send {
                    connection,
                    message: message.clone(),
                }))?;
                if self.reference.is_open(number) {
                    self.reference.send(number, &message);
                } else {
                    self.reference.counts.stale += 1;
                }
            }
            Asked::Publish(room) => {
                let stream = super::expected::FIRST_ROOM + room;
                let message = format!("{{\"type\":\"news\",\"n\":{serial},\"s\":{stream}}}");
                let name = room_name(room).to_owned();
                self.handle(Input::Command(Command::Publish {
                    room: name,
                    message: message.clone(),
                }))?;
                self.reference.publish_message(room, &message);
            }
            Asked::Kick(person, room) => {
                let Some((number, connection)) = self.addressee(person) else {
                    return Ok(());
                };
                let name = room_name(room).to_owned();
                self.handle(Input::Command(Command::Kick {
                    connection,
                    room: name,
                }))?;
                if self.reference.is_open(number) {
                    self.reference.kick(number, room);
                } else {
                    self.reference.counts.stale += 1;
                }
            }
            Asked::Close(person, code) => {
                let Some((number, connection)) = self.addressee(person) else {
                    return Ok(());
                };
                let reason = "asked to".to_owned();
                let after_ms = serial.is_multiple_of(2).then_some(u64::from(serial));
                self.handle(Input::Command(Command::Close {
                    connection,
                    code,
                    reason,
                    reconnect_after_ms: after_ms,
                }))?;
                if self.reference.is_open(number) {
                    // 1006 must not be sent.
                    let code = if code == 1006 { 1000 } else { code };
                    let cause = Cause::Command;
                    self.reference.close(
                        number,
                        Goodbye {
                            cause,
                            code,
                            announced: true,
                            after_ms,
                        },
                    );
                } else {
                    self.reference.counts.stale += 1;
                }
            }
            Asked::Reply(which, how) => self.reply(which, how)?,
        }
        self.agree()
    }

    /// A person's latest connection, alive or not.
    fn addressee(&self, person: usize) -> Option<(usize, roomwire_core::ConnectionId)> {
        let number = self.people[person]?;
        Some((number, self.peers[number].id))
    }

    fn reply(&mut self, which: usize, how: u8) -> Checked {
        if self.variation.drain.is_some() {
            self.drain()?;
        }
        if self.told.is_empty() {
            return Ok(());
        }
        // Mostly one that waits, sometimes one that was answered.
        let waiting: Vec<usize> = (0..self.told.len())
            .filter(|&ask| self.reference.asks[ask].waits)
            .collect();
        let ask = match waiting.get(which % waiting.len().max(1)) {
            Some(&ask) if how % 8 != 7 => ask,
            _ => which % self.told.len(),
        };
        let request = self.told[ask];
        let serial = self.serial;
        let (outcome, answer) = match how % 3 {
            0 => (Outcome::Ack, Answer::Ack),
            1 => {
                let fields = format!("\"type\":\"answer\",\"n\":{serial},\"s\":0}}");
                (Outcome::Reply(format!("{{{fields}")), Answer::Reply(fields))
            }
            _ => {
                let (code, message) = (ErrorCode::Forbidden, "no".to_owned());
                (Outcome::Error { code, message }, Answer::Error("forbidden"))
            }
        };
        self.handle(Input::Command(Command::Reply { request, outcome }))?;
        self.reference.reply(ask, &answer);
        Ok(())
    }

    fn stale(&mut self) -> Checked {
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

    // ---- what comes out

    /// Polls until there is nothing left to do, then compares everything.
    fn drain(&mut self) -> Checked {
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
    fn poll(&mut self) -> Checked<bool> {
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
    fn reference_knows(&self, number: usize) -> bool {
        self.state(number) == State::Open
    }

    fn check_deadline(&self, deadline: Option<Instant>) -> Checked {
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
    fn follow(&mut self, before: &Stats) -> Checked {
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

    fn ends_in_backlog(&self) -> bool {
        let ends = |&number: &usize| {
            let peer = &self.peers[number];
            let close = |said: &(Said, usize)| matches!(said.0, Said::Close(_) | Said::Violation);
            peer.read_end || peer.said.iter().any(close)
        };
        self.backlog.iter().any(ends)
    }

    fn transmit(&mut self, connection: roomwire_core::ConnectionId) -> Checked {
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

    fn sent_everything(&mut self, number: usize) {
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

    fn event(&mut self, event: &Event) -> Checked {
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

    fn told_news(&mut self, news: News) -> Checked {
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
    fn live(&self, id: roomwire_core::ConnectionId) -> Checked<usize> {
        let number = self.number(id)?;
        check(self.peers[number].ending.is_none(), || {
            format!("{id} is named after its end")
        })?;
        Ok(number)
    }

    fn number(&self, id: roomwire_core::ConnectionId) -> Checked<usize> {
        let found = self.peers.iter().rposition(|peer| peer.id == id);
        found.ok_or_else(|| format!("{id} was never given out"))
    }

    // ---- what must hold

    /// What the server has counted is what has happened.
    fn agree(&self) -> Checked {
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

    fn live_connections(&self) -> u64 {
        self.peers
            .iter()
            .filter(|peer| peer.ending.is_none())
            .count() as u64
    }

    /// The server is idle: whoever reads has everything.
    fn check_all(&mut self) -> Checked {
        for number in 0..self.peers.len() {
            self.check_peer(number)
                .map_err(|error| format!("client {number}: {error}"))?;
        }
        Ok(())
    }

    fn check_peer(&mut self, number: usize) -> Checked {
        let waiting = self.reference.asks.iter();
        let waiting = waiting
            .filter(|ask| ask.session == number && ask.waits && ask.id.is_some())
            .count();
        let expected = &self.reference.sessions[number].expected;
        let peer = &mut self.peers[number];
        if self.reference.sessions[number].state == State::Over {
            self.perhaps_pongs += peer.forget_pings();
        }
        peer.check_received(expected, self.setup, &self.ids)?;
        match peer.ending {
            Some(Ending::Reset | Ending::Ended) => return Ok(()),
            // In order: everything has left. What was asked and is not answered never will be.
            Some(Ending::Closed) => return Ok(()),
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

    // ---- the end

    /// Everybody reads, then everybody goes, and nothing is left.
    fn finish(mut self) -> Checked<Report> {
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
    fn wait_for_silence(&mut self) -> Checked {
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

    fn check_nothing_left(&self) -> Checked {
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
        // Whether the server had come to a ping that waited when the session ended cannot be seen.
        let produced = produced..=produced + self.perhaps_pongs;
        check(produced.contains(&consumed), || {
            format!("{produced:?} messages were to go out, {delivered} have arrived: {stats:?}")
        })
    }

    /// What a person says, its `id`, and the frame.
    fn message(&mut self, say: &Say, with_id: bool) -> (Request, Option<Rc<str>>, Vec<u8>) {
        self.serial += 1;
        let serial = self.serial;
        let id: Option<Rc<str>> = with_id.then(|| format!("\"q{serial}\"").into());
        let data = |stream: usize, pad: usize| -> Rc<str> {
            format!(
                "{{\"n\":{serial},\"s\":{stream},\"p\":\"{}\"}}",
                "x".repeat(pad)
            )
            .into()
        };
        let (request, fields) = match *say {
            Say::Join(room) => (Request::Join(room), room_field("join", room)),
            Say::Leave(room) => (Request::Leave(room), room_field("leave", room)),
            Say::RoomMessage { room, pad } => {
                let data = data(super::expected::FIRST_ROOM + room, pad);
                let fields = format!("{},\"data\":{data}", room_field("room_message", room));
                (
                    Request::RoomMessage {
                        room,
                        data,
                        pretends: false,
                    },
                    fields,
                )
            }
            Say::Pretend(room) => {
                let data: Rc<str> = format!("{{\"type\":\"welcome\",\"n\":{serial}}}").into();
                let fields = format!("{},\"data\":{data}", room_field("room_message", room));
                (
                    Request::RoomMessage {
                        room,
                        data,
                        pretends: true,
                    },
                    fields,
                )
            }
            Say::Broadcast { pad } => {
                let data = data(super::expected::LOBBY, pad);
                let fields = format!("\"type\":\"broadcast\",\"data\":{data}");
                (Request::Broadcast { data }, fields)
            }
            Say::Private { to } => {
                let data = data(0, 5);
                let to = self.people.get(to).copied().flatten();
                let to = to.and_then(|to| Some((to, self.ids.get(to)?.to_owned())));
                let name = to.as_ref().map_or("nobody", |(_, id)| id);
                let fields =
                    format!("\"type\":\"private_message\",\"to\":\"{name}\",\"data\":{data}");
                (
                    Request::Private {
                        to: to.map(|(to, _)| to),
                        data,
                    },
                    fields,
                )
            }
            Say::Metadata { key, length } => {
                let value = (length > 0).then(|| format!("\"{}\"", "v".repeat(length - 1)));
                let json = value.as_deref().unwrap_or("null");
                let fields =
                    format!("\"type\":\"set_metadata\",\"metadata\":{{\"k{key}\":{json}}}");
                (Request::Metadata { key, value }, fields)
            }
            Say::Hello { length } => {
                let user = "u".repeat(length - 2);
                (
                    Request::Hello { length },
                    format!("\"type\":\"hello\",\"user\":\"{user}\""),
                )
            }
            Say::Members {
                room,
                after,
                limit,
                metadata,
            } => {
                let after = self.ids.get(after).map(|id| (after, id.to_owned()));
                let mut fields = room_field("members", room);
                if let Some((_, id)) = &after {
                    fields += &format!(",\"after\":\"{id}\"");
                }
                if let Some(limit) = limit {
                    fields += &format!(",\"limit\":{limit}");
                }
                fields += if metadata { ",\"metadata\":true" } else { "" };
                let after = after.map(|(after, _)| after);
                (
                    Request::Members {
                        room,
                        after,
                        limit,
                        metadata,
                    },
                    fields,
                )
            }
            Say::Typing { room, start } => {
                let kind = if start { "typing_start" } else { "typing_stop" };
                (Request::Typing { room, start }, room_field(kind, room))
            }
            Say::Ask => (Request::Ask, format!("\"type\":\"ask\",\"n\":{serial}")),
            Say::Ping { timestamp } => {
                let timestamp = timestamp.then_some("[1,\"x\"]".get(1..2).unwrap_or_default());
                let field = timestamp.map_or_else(String::new, |t| format!(",\"timestamp\":{t}"));
                (
                    Request::Ping { timestamp },
                    format!("\"type\":\"ping\"{field}"),
                )
            }
            Say::Unknown => (Request::Unknown, "\"type\":\"dance\"".to_owned()),
            Say::BadMessage => (Request::Bad("bad_message"), "\"type\":7".to_owned()),
            Say::NotJson => {
                return (
                    Request::Bad("bad_json"),
                    None,
                    masked(Opcode::Text, true, b"{no"),
                );
            }
            Say::Binary => {
                return (
                    Request::Bad("bad_message"),
                    None,
                    masked(Opcode::Binary, true, b"\x00\x01"),
                );
            }
        };
        let field = id
            .as_ref()
            .map_or_else(String::new, |id| format!("\"id\":{id},"));
        let bytes = masked(
            Opcode::Text,
            true,
            format!("{{{field}{fields}}}").as_bytes(),
        );
        (request, id, bytes)
    }
}

fn room_field(kind: &str, room: usize) -> String {
    let name = serde_json::Value::from(room_name(room));
    format!("\"type\":\"{kind}\",\"room\":{name}")
}

/// Far more than a case needs.
const MAX_POLLS: usize = 100_000;
const MAX_SLEEPS: usize = 1_000;
