//! The loop of a client: waits for the socket, the input and signals, and moves bytes. It knows no protocol.

pub(super) mod input;

use std::io::{self, Write};
use std::ops::Range;
use std::time::{Duration, Instant};

use roomwire_core::client::{Client, SendError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::talk::{Message, Stage, Talk};
use super::wire::{Arrived, Wire};
use crate::cli::{FAILURE, SUCCESS, complain};
use crate::clock::ClockBase;
use crate::error::RunError;
use crate::signals::{Shutdown, Signals};
use input::{Input, Line};

/// Reads of the socket before anything else has its turn.
const READS_PER_TURN: u32 = 16;
const BUFFER_BYTES: usize = 64 * 1024;
/// No more is taken while so much waits to be printed: a few bytes may stand for many that were compressed.
const ENOUGH_UNPRINTED_BYTES: usize = 64 * 1024;
/// What is said in the closing handshake, for people.
const GOODBYE: &str = "Client closing connection";

/// Drives the client to its end; returns the exit code. `timeout` is how long each stage may take, but for talking.
pub(super) fn run(
    name: &str,
    wire: Wire,
    client: Client,
    talk: Talk,
    timeout: Duration,
) -> Result<u8, RunError> {
    let mut session = Session {
        name,
        wire,
        client,
        talk,
        signals: Signals::install().map_err(RunError::io("installing signal handlers"))?,
        input: Input::default(),
        clock: ClockBase::new(),
        buffer: vec![0; BUFFER_BYTES],
        untaken: 0..0,
        is_heard: true,
    };
    let (mut stage, mut since) = (Stage::Opening, Instant::now());
    loop {
        let more = session.turn()?;
        if session.talk.stage() != stage {
            (stage, since) = (session.talk.stage(), Instant::now());
        }
        let left = timeout.saturating_sub(since.elapsed());
        if session.is_over() || stage == Stage::Closing && left.is_zero() {
            session.wire.finish();
            return Ok(if session.talk.succeeded() {
                SUCCESS
            } else {
                FAILURE
            });
        }
        if stage != Stage::Talking && left.is_zero() {
            session.talk.timed_out(timeout.as_millis());
            continue;
        }
        let patience = match stage {
            _ if more => Some(Duration::ZERO),
            Stage::Talking => None,
            _ => Some(left),
        };
        if session.wait(patience)? {
            return Ok(FAILURE);
        }
    }
}

struct Session<'a> {
    name: &'a str,
    wire: Wire,
    client: Client,
    talk: Talk,
    signals: Signals,
    input: Input,
    clock: ClockBase,
    buffer: Vec<u8>,
    /// Where in the buffer what has been read and not taken lies.
    untaken: Range<usize>,
    /// Somebody reads stdout.
    is_heard: bool,
}

impl Session<'_> {
    fn is_over(&self) -> bool {
        self.client.is_over() && !self.wire.is_blocked()
    }

    /// Does what can be done without waiting; whether there is more of that.
    fn turn(&mut self) -> Result<bool, RunError> {
        self.write();
        let reads_on = self.read();
        self.say();
        self.print()?;
        // After all that may be a reason to.
        if self.talk.stage() == Stage::Closing {
            self.client.close(1000, GOODBYE);
        }
        self.write();
        let has_room = self.client.unsent().is_empty() && self.talk.stage() != Stage::Closing;
        Ok(reads_on || has_room && self.talk.next_message().is_some())
    }

    /// Hands over what there is to say, as far as there is room.
    fn say(&mut self) {
        while let Some(message) = self.talk.next_message() {
            let sent = match message {
                Message::Text(text) => self.client.send_text(text),
                Message::Binary(bytes) => self.client.send_binary(bytes),
            };
            match sent {
                Ok(()) => self.talk.sent(self.clock.now().unix_ms),
                Err(SendError::Full) if self.client.unsent().is_empty() => self.talk.too_large(),
                Err(_) => break,
            }
        }
    }

    fn write(&mut self) {
        if self.is_over() {
            return;
        }
        if let Err(error) = self.wire.write(&mut self.client) {
            self.broken(&error);
        }
    }

    fn read(&mut self) -> bool {
        for _ in 0..READS_PER_TURN {
            if self.client.is_over() {
                return false;
            }
            if !self.take() {
                return true;
            }
            match self.wire.read(&mut self.buffer) {
                Ok(Arrived::Bytes(count)) => self.untaken = 0..count,
                Ok(Arrived::Nothing) => return false,
                Ok(Arrived::End) => {
                    let (talk, now) = (&mut self.talk, self.clock.now().unix_ms);
                    self.client.ended(|event| talk.take(now, &event));
                    return false;
                }
                Err(error) => {
                    self.broken(&error);
                    return false;
                }
            }
        }
        true
    }

    /// Takes what has been read; `false` where first something has to be printed.
    fn take(&mut self) -> bool {
        while let Some(bytes) = self.buffer.get_mut(self.untaken.clone())
            && !bytes.is_empty()
        {
            if self.talk.unprinted_bytes() >= ENOUGH_UNPRINTED_BYTES {
                return false;
            }
            let (talk, now) = (&mut self.talk, self.clock.now().unix_ms);
            let taken = self
                .client
                .receive_next(bytes, |event| talk.take(now, &event));
            self.untaken.start += taken;
        }
        true
    }

    fn broken(&mut self, error: &io::Error) {
        if self.talk.stage() != Stage::Closing {
            self.talk.give_up(format!("the connection broke: {error}"));
        }
        self.client.ended(|_| {});
    }

    fn print(&mut self) -> Result<(), RunError> {
        let lines = self.talk.take_lines();
        if self.is_heard && !lines.is_empty() {
            let mut stdout = io::stdout().lock();
            let written = stdout.write_all(lines.as_bytes());
            match written.and_then(|()| stdout.flush()) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.unheard(),
                outcome => outcome.map_err(RunError::io("writing to stdout"))?,
            }
        }
        for complaint in self.talk.take_complaints() {
            complain(self.name, complaint);
        }
        Ok(())
    }

    fn unheard(&mut self) {
        self.is_heard = false;
        self.talk.unheard();
    }

    /// Waits for something to do, and takes what comes from elsewhere than the server; whether to leave at once.
    fn wait(&mut self, patience: Option<Duration>) -> Result<bool, RunError> {
        let ready = self.wait_for_any(patience)?;
        if ready.signals {
            match self.signals.pending() {
                Ok(None) => {}
                Ok(Some(Shutdown::Drain)) => self.talk.interrupt(),
                Ok(Some(Shutdown::Abort)) => return Ok(true),
                Err(error) => return Err(RunError::io("reading signals")(error)),
            }
        }
        if ready.stdout {
            self.unheard();
        }
        if ready.stdin {
            for line in self.input.read().map_err(RunError::io("reading stdin"))? {
                match line {
                    Line::Text(text) => self.talk.line(&text),
                    Line::Bad(why) => self.talk.bad_line(why),
                    Line::End => self.talk.input_ended(),
                }
            }
        }
        Ok(false)
    }

    fn wait_for_any(&self, patience: Option<Duration>) -> Result<Ready, RunError> {
        let (stdin, stdout) = (io::stdin(), io::stdout());
        let mut flags = PollFlags::IN;
        flags.set(PollFlags::OUT, self.wire.is_blocked());
        let mut waiting = vec![
            PollFd::new(&self.wire, flags),
            PollFd::new(&self.signals, PollFlags::IN),
        ];
        if self.is_heard {
            // That its reader has gone is told without being asked for.
            waiting.push(PollFd::new(&stdout, PollFlags::empty()));
        }
        let reads_input = self.talk.wants_input() && self.client.unsent().is_empty();
        if reads_input {
            waiting.push(PollFd::new(&stdin, PollFlags::IN));
        }
        // Rounded up to a nanosecond, so that what is due is due.
        let patience = patience.and_then(|patience| Timespec::try_from(patience).ok());
        match poll(&mut waiting, patience.as_ref()) {
            Err(rustix::io::Errno::INTR) => return Ok(Ready::default()),
            Err(error) => return Err(RunError::io("waiting for events")(error.into())),
            Ok(_) => {}
        }
        let mut ready = waiting.iter().map(|it| !it.revents().is_empty());
        // The socket is read in any case.
        let (_, signals) = (ready.next(), ready.next() == Some(true));
        Ok(Ready {
            signals,
            stdout: self.is_heard && ready.next() == Some(true),
            stdin: reads_input && ready.next() == Some(true),
        })
    }
}

/// What there is something to do for.
#[derive(Debug, Default)]
struct Ready {
    signals: bool,
    stdout: bool,
    stdin: bool,
}
