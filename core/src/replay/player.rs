//! Reads a recording and does it again, step by step.
//!
//! Total: a file that is cut off, damaged or none is an error that says where. Knows nothing of files; the bytes
//! are handed in as they are read.

use core::fmt;
use std::collections::BTreeMap;

use super::Ending;
use super::hash::Hash;
use super::recorder::HeaderConfig;
use super::wire::{MAGIC, Recorded, VERSION, tag};
use crate::config::{Config, ConfigError};
use crate::machine::{Input, Machine, Output};
use crate::offload::{Done, Job, JobId};
use crate::server::{Event, Server};
use crate::time::{Instant, Now};
use crate::wire::{Fault, Source};

/// Does a recording again.
///
/// Holds the server and what was fed and not used yet.
#[derive(Debug, Default)]
pub struct Replayer {
    bytes: Vec<u8>,
    /// What of `bytes` has been used.
    used: usize,
    /// What was used and is gone from `bytes`.
    gone: u64,
    /// No more bytes come.
    complete: bool,
    run: Option<Box<Run>>,
    /// What the server remembers at least to explain what became of messages.
    explain: usize,
    /// The last word: given again whenever it is asked for.
    over: Option<Result<Ending, ReplayError>>,
}

#[derive(Debug)]
struct Run {
    header: Header,
    server: Server,
    hash: Hash,
    number: u64,
    now: Now,
    /// Polls before `next`.
    polls: u64,
    /// Nothing was handed in since the server was idle.
    idle: bool,
    /// Jobs that are out.
    jobs: BTreeMap<JobId, Job>,
    next: Option<Next>,
}

#[derive(Debug)]
enum Next {
    Input {
        now: Now,
        input: Recorded,
        check: u8,
    },
    Checkpoint(u64),
    WrongFile(u64),
    End(u64, Ending),
}

/// What a recording says of itself.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Header {
    /// The version of this crate that recorded. Another one may decide differently.
    pub version: String,
    /// What clients and the embedding program said is masked.
    pub masked: bool,
    /// What the server ran with.
    pub config: Config,
}

/// What a call of [`Replayer::step`] came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// Something went in or came out.
    Step(Step),
    /// Feed more, or say that there is no more.
    NeedMore,
    /// The whole recording was done again and every hash was the same.
    End(Ending),
}

/// One thing that went into the server or came out of it.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Step {
    /// Counts the inputs, from 1. An output has the number of the input before it.
    pub number: u64,
    /// The clocks at that input.
    pub now: Now,
    /// What it was.
    pub what: What,
}

/// What a step is.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// It went in.
    Input {
        /// As it was recorded.
        input: Recorded,
        /// The bytes that the socket took, for a `Sent`; made by the replayed server.
        sent: Vec<u8>,
    },
    /// It came out.
    Output(Output<Event>),
}

/// Why a recording could not be done again to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// It starts with something else.
    #[error("not a recording")]
    NotARecording,
    /// It is of a version of the format that this one does not read.
    #[error("recorded in version {0} of the format: this program reads version {VERSION}")]
    Format(u8),
    /// Its config is none that this version runs with.
    #[error("recorded by version {version}, whose config this one cannot run with: {why}")]
    Config {
        /// Who recorded.
        version: String,
        /// What is wrong.
        why: String,
    },
    /// It is damaged.
    #[error("damaged at byte {offset}: {what}")]
    Malformed {
        /// Where the record starts that cannot be read.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// It ends in the middle. Up to there every hash was the same.
    #[error("cut off at byte {offset}, after step {step}: the hashes up to there are ok")]
    Truncated {
        /// Where the record starts that is not all there.
        offset: u64,
        /// The last step that was done again.
        step: u64,
    },
    /// The server did something else than it did when it was recorded.
    #[error("hash differs at step {step}")]
    Differs {
        /// The input whose outputs, or those just before it, differ.
        step: u64,
    },
}

impl Replayer {
    /// Before the first byte.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the server remember at least `entries` facts (at most a million), for [`Server::explain`]. No decision
    /// depends on it.
    #[must_use]
    pub fn explaining(mut self, entries: usize) -> Self {
        self.explain = entries.min(1_000_000);
        self
    }

    /// Takes the next bytes of the recording, in pieces of any size. O(bytes).
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.used);
        self.gone += self.used as u64;
        self.used = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Says that no more bytes come.
    pub const fn finish(&mut self) {
        self.complete = true;
    }

    /// What the recording says of itself, once that much was fed and [`step`](Self::step) has read it.
    pub fn header(&self) -> Option<&Header> {
        self.run.as_ref().map(|run| &run.header)
    }

    /// The server as it stands.
    pub fn server(&self) -> Option<&Server> {
        self.run.as_ref().map(|run| &run.server)
    }

    /// Does the next thing. After the end or an error it gives the same again.
    ///
    /// # Errors
    /// See [`ReplayError`].
    pub fn step(&mut self) -> Result<Progress, ReplayError> {
        if let Some(over) = &self.over {
            return over.clone().map(Progress::End);
        }
        let progress = self.advance();
        match &progress {
            Ok(Progress::End(ending)) => self.over = Some(Ok(*ending)),
            Err(error) => self.over = Some(Err(error.clone())),
            Ok(_) => {}
        }
        progress
    }

    fn advance(&mut self) -> Result<Progress, ReplayError> {
        if self.run.is_none() && !self.start()? {
            return Ok(Progress::NeedMore);
        }
        while let Some(run) = &mut self.run {
            if run.next.is_none() && !self.read_record()? {
                return Ok(Progress::NeedMore);
            }
            let Some(run) = &mut self.run else { break };
            if let Some(progress) = run.advance()? {
                return Ok(progress);
            }
        }
        Ok(Progress::NeedMore)
    }

    /// Reads the header; `false` if it is not all there.
    fn start(&mut self) -> Result<bool, ReplayError> {
        let bytes = self.bytes.get(self.used..).unwrap_or_default();
        let common = bytes.len().min(MAGIC.len());
        if bytes.get(..common) != MAGIC.get(..common) {
            return Err(ReplayError::NotARecording);
        }
        if let Some(&version) = bytes.get(MAGIC.len())
            && version != VERSION
        {
            return Err(ReplayError::Format(version));
        }
        let mut source = Source::new(bytes);
        let run = read_header(&mut source, self.explain);
        let left = source.left();
        match run {
            Ok(run) => {
                self.run = Some(Box::new(run?));
                self.used = self.bytes.len() - left;
                Ok(true)
            }
            Err(fault) => self.fault(fault),
        }
    }

    /// Reads the next record; `false` if it is not all there.
    fn read_record(&mut self) -> Result<bool, ReplayError> {
        let Some(run) = &mut self.run else {
            return Ok(false);
        };
        let mut source = Source::new(self.bytes.get(self.used..).unwrap_or_default());
        match run.read(&mut source) {
            Ok((polls, next)) => {
                (run.polls, run.next) = (polls, Some(next));
                self.used = self.bytes.len() - source.left();
                Ok(true)
            }
            Err(fault) => self.fault(fault),
        }
    }

    /// `false` where more bytes may mend it.
    fn fault(&self, fault: Fault) -> Result<bool, ReplayError> {
        let offset = self.gone + self.used as u64;
        match fault {
            Fault::Short if !self.complete => Ok(false),
            Fault::Short => Err(ReplayError::Truncated {
                offset,
                step: self.run.as_ref().map_or(0, |run| run.number),
            }),
            Fault::Bad(what) => Err(ReplayError::Malformed { offset, what }),
        }
    }
}

fn read_header(source: &mut Source<'_>, explain: usize) -> Result<Result<Run, ReplayError>, Fault> {
    source.take(MAGIC.len() + 1)?;
    let masked = match source.byte()? {
        0 => false,
        1 => true,
        _ => return Err(Fault::Bad("the header has flags that are not known")),
    };
    let seed = source.array()?;
    let version = source.text()?;
    let json = source.bytes()?;
    let unfit = |why: &dyn fmt::Display| ReplayError::Config {
        version: version.clone(),
        why: why.to_string(),
    };
    let config = serde_json::from_slice(json).map_err(|error| unfit(&error));
    let config = config.and_then(|read: HeaderConfig| {
        let mut config = read.config;
        config.listeners = read.listeners;
        config.adopted = read.adopted;
        config.compression.enabled &= read.compresses;
        config.application_types = read.application_types;
        config.files.to_program = read.files_to_program;
        let recorded = config.clone();
        config.explain.entries = config.explain.entries.max(explain);
        let config = config.validate();
        config
            .map(|config| (recorded, config))
            .map_err(|error: ConfigError| unfit(&error))
    });
    Ok(config.map(|(recorded, config)| {
        let mut server = Server::new(config, seed);
        if masked {
            server.take_files_for_right();
        }
        Run {
            header: Header {
                version: version.clone(),
                masked,
                config: recorded,
            },
            server,
            hash: Hash::new(masked),
            number: 0,
            now: Now::default(),
            polls: 0,
            idle: false,
            jobs: BTreeMap::new(),
            next: None,
        }
    }))
}

impl Run {
    fn read(&self, source: &mut Source<'_>) -> Result<(u64, Next), Fault> {
        match source.byte()? {
            tag::CHECKPOINT => Ok((0, Next::Checkpoint(u64::from_le_bytes(source.array()?)))),
            tag::WRONG_FILE => Ok((0, Next::WrongFile(source.number()?))),
            tag::END => {
                let polls = source.number()?;
                let hash = u64::from_le_bytes(source.array()?);
                Ok((polls, Next::End(hash, source.ending()?)))
            }
            kind => {
                let polls = source.number()?;
                let now = Now {
                    mono: Instant::from_micros(source.step(self.now.mono.as_micros())?),
                    unix_ms: source.step(self.now.unix_ms)?,
                };
                let input = source.input(kind)?;
                let check = source.byte()?;
                Ok((polls, Next::Input { now, input, check }))
            }
        }
    }

    /// `None`: nothing to show, read on.
    fn advance(&mut self) -> Result<Option<Progress>, ReplayError> {
        if let Some(left) = self.polls.checked_sub(1) {
            // Further polls would find nothing either, as many as the file claims.
            if self.idle {
                return Err(self.differs());
            }
            self.polls = left;
            let output = self.server.poll();
            self.idle = matches!(output, Output::Idle { .. });
            self.hash.output(&output);
            if let Output::Job(job) = &output {
                self.jobs.insert(job.id(), job.clone());
            }
            return Ok(Some(self.shown(What::Output(output))));
        }
        match self.next.take() {
            None => Ok(None),
            Some(Next::Checkpoint(hash)) if hash == self.hash.value() => Ok(None),
            Some(Next::WrongFile(number)) => {
                self.server.file_is_wrong(number);
                Ok(None)
            }
            Some(Next::End(hash, ending)) if hash == self.hash.value() => {
                Ok(Some(Progress::End(ending)))
            }
            Some(Next::Checkpoint(_) | Next::End(..)) => Err(self.differs()),
            Some(Next::Input { now, input, check }) => self.input(now, input, check).map(Some),
        }
    }

    fn input(&mut self, now: Now, recorded: Recorded, check: u8) -> Result<Progress, ReplayError> {
        (self.now, self.idle) = (now, false);
        self.number += 1;
        let mut sent = Vec::new();
        let mut received = Vec::new();
        let input = match &recorded {
            &Recorded::Accept {
                peer,
                listener,
                accepted,
            } => {
                let id = self.server.accept(now, peer, listener);
                self.hash.accepted(id);
                if id != accepted || check != self.hash.check() {
                    return Err(self.differs());
                }
                let input = recorded;
                return Ok(self.shown(What::Input { input, sent }));
            }
            Recorded::Tick => Input::Tick,
            Recorded::Received { connection, bytes } => {
                received.extend_from_slice(bytes);
                Input::Received {
                    connection: *connection,
                    bytes: &mut received,
                }
            }
            &Recorded::Sent {
                connection,
                bytes,
                blocked,
            } => {
                for slice in self.server.unsent(connection) {
                    let left = bytes - sent.len();
                    sent.extend_from_slice(slice.get(..left).unwrap_or(slice));
                }
                self.hash.sent(core::iter::once(&*sent), sent.len());
                Input::Sent {
                    connection,
                    bytes,
                    blocked,
                }
            }
            &Recorded::Writable { connection } => Input::Writable { connection },
            &Recorded::ReadEnd { connection } => Input::ReadEnd { connection },
            &Recorded::Ended { connection, end } => Input::Ended { connection, end },
            &Recorded::Connected { connection } => Input::Connected { connection },
            &Recorded::ConnectFailed { connection } => Input::ConnectFailed { connection },
            &Recorded::LinkReady { to, credits } => Input::LinkReady { to, credits },
            &Recorded::PoolReady { jobs } => Input::PoolReady { jobs },
            // The same job comes to the same again.
            &Recorded::Done { job, failed } => match self.jobs.remove(&job) {
                Some(job) if !failed => Input::Done(job.run()),
                _ => Input::Done(Done::failed(job)),
            },
            Recorded::Command(command) => Input::Command(command.clone()),
        };
        if check != self.hash.check() {
            return Err(self.differs());
        }
        let turn = self.server.handle(now, input);
        self.hash.turn(turn);
        let input = recorded;
        Ok(self.shown(What::Input { input, sent }))
    }

    const fn shown(&self, what: What) -> Progress {
        Progress::Step(Step {
            number: self.number,
            now: self.now,
            what,
        })
    }

    const fn differs(&self) -> ReplayError {
        ReplayError::Differs { step: self.number }
    }
}
