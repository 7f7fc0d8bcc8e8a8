//! A server that writes down what goes into it.
//!
//! Decides nothing: every call is handed on as it came. Once the recording has ended the calls cost one branch
//! more than those of the server alone.

use serde::{Deserialize, Serialize};

use super::Ending;
use super::hash::Hash;
use super::mask::{Masker, mask_command};
use super::wire::{self, MAGIC, VERSION, tag};
use crate::config::{Config, ListenerConfig, ValidConfig};
use crate::id::ConnectionId;
use crate::machine::{Input, ListenerId, Machine, Output, PeerAddr, ShardId, Turn, Unsent};
use crate::server::{Command, Event, Server};
use crate::stats::{Counting, Stats};
use crate::time::{Instant, Now};
use crate::wire::{put_bytes, put_number, put_step};

/// Where a recording goes. It must not wait: the server does while it does.
pub trait Sink {
    /// Takes the next bytes, some dozens of KiB at most plus what one input holds. `false`: the next bytes will be
    /// the last.
    fn take(&mut self, bytes: &[u8]) -> bool;

    /// Takes the last bytes.
    fn end(&mut self, bytes: &[u8], ending: Ending);
}

impl Sink for &mut Vec<u8> {
    fn take(&mut self, bytes: &[u8]) -> bool {
        self.extend_from_slice(bytes);
        true
    }

    fn end(&mut self, bytes: &[u8], _: Ending) {
        self.extend_from_slice(bytes);
    }
}

/// What is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Without what clients and the embedding program say. Default `true`. What is masked compresses to another length
    /// than what was said, so that the server agrees on no compression with anybody while it is recorded so.
    pub masked: bool,
    /// The recording ends before it is larger. The header and the end are written whatever this says. Default
    /// 64 MiB.
    pub max_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            masked: true,
            max_bytes: 64 * 1024 * 1024,
        }
    }
}

/// A [`Server`] whose inputs are recorded.
///
/// Holds at most 32 KiB of the recording and what one input adds, and while it masks a few hundred bytes for
/// each connection. Dropping it writes the end.
#[derive(Debug)]
pub struct Recorder<S: Sink> {
    server: Server,
    /// `None` once the recording has ended.
    tape: Option<Tape<S>>,
}

#[derive(Debug)]
struct Tape<S> {
    sink: S,
    buffer: Vec<u8>,
    /// Handed to the sink.
    taken: u64,
    max_bytes: u64,
    hash: Hash,
    /// Since the last record.
    polls: u64,
    /// The last poll found nothing to do, and nothing was handed in since: further ones change nothing and are
    /// not counted.
    idle: bool,
    last: Now,
    flushed: Instant,
    /// Where in the buffer the last record starts.
    start: usize,
    /// Records since the last one that held the whole hash.
    unchecked: u32,
    /// By slot; `None` to record all as it came.
    maskers: Option<Vec<Option<(ConnectionId, Masker)>>>,
}

/// The config as it stands in a header: what `serde` skips elsewhere is part of it here.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HeaderConfig {
    pub(super) config: Config,
    pub(super) listeners: Vec<ListenerConfig>,
    /// Recordings that are older know nothing of it.
    #[serde(default)]
    pub(super) adopted: ListenerConfig,
    /// Whether compression was served to anybody. Those of older recordings had none.
    #[serde(default)]
    pub(super) compresses: bool,
    pub(super) application_types: Vec<String>,
    /// Whether the program took files.
    #[serde(default)]
    pub(super) files_to_program: bool,
}

/// The buffer is handed on when it is this long.
const CHUNK_BYTES: usize = 32 * 1024;
/// And when the server is idle and this long has passed.
const FLUSH_AFTER: core::time::Duration = core::time::Duration::from_secs(1);
/// Records between two whole hashes.
pub(super) const CHECKPOINT_RECORDS: u32 = 256;
/// What the end of a recording takes at most.
const END_BYTES: usize = 32;

impl<S: Sink> Recorder<S> {
    /// A server as [`Server::new`] makes it, and the start of its recording.
    pub fn new(config: ValidConfig, seed: [u8; 32], options: Options, sink: S) -> Self {
        let config = if options.masked {
            config.without_compression()
        } else {
            config
        };
        let mut buffer = Vec::with_capacity(CHUNK_BYTES);
        put_header(&mut buffer, &config, &seed, options.masked);
        let tape = Tape {
            sink,
            buffer,
            taken: 0,
            max_bytes: options.max_bytes,
            hash: Hash::new(options.masked),
            polls: 0,
            idle: false,
            last: Now::default(),
            flushed: Instant::ZERO,
            start: 0,
            unchecked: 0,
            maskers: options.masked.then(Vec::new),
        };
        let mut server = Server::new(config, seed);
        if options.masked {
            server.note_wrong_files();
        }
        Self {
            server,
            tape: Some(tape),
        }
    }

    /// Whether the recording has ended before the server.
    pub const fn is_over(&self) -> bool {
        self.tape.is_none()
    }

    fn end(&mut self, ending: Ending) {
        if let Some(mut tape) = self.tape.take() {
            tape.put_end(ending);
            tape.sink.end(&tape.buffer, ending);
        }
    }

    /// Ends the recording if the last record was too much for it.
    fn settle(&mut self, kept: Result<(), Ending>) {
        if let Err(ending) = kept {
            self.end(ending);
        }
    }
}

impl<S: Sink> Counting for Recorder<S> {
    fn stats(&self) -> Stats {
        self.server.stats()
    }
}

impl<S: Sink> AsRef<Server> for Recorder<S> {
    fn as_ref(&self) -> &Server {
        &self.server
    }
}

impl<S: Sink> Drop for Recorder<S> {
    fn drop(&mut self) {
        self.end(Ending::Closed);
    }
}

impl<S: Sink> Machine for Recorder<S> {
    type Command = Command;
    type Event = Event;
    type Relay = <Server as Machine>::Relay;

    fn accept(&mut self, now: Now, peer: PeerAddr, listener: ListenerId) -> Option<ConnectionId> {
        let accepted = self.server.accept(now, peer, listener);
        if let Some(tape) = &mut self.tape {
            let kept = tape.accept(now, peer, listener, accepted, self.server.config());
            self.settle(kept);
        }
        accepted
    }

    fn handle(&mut self, now: Now, input: Input<'_, Command, Self::Relay>) -> Turn {
        if let Some(tape) = &mut self.tape {
            let kept = tape.input(now, &input, &self.server);
            self.settle(kept);
        }
        let turn = self.server.handle(now, input);
        if let Some(tape) = &mut self.tape {
            tape.hash.turn(turn);
            let at = tape.start;
            let kept = tape.wrong_files(at, self.server.wrong_files());
            let kept = kept.and_then(|()| tape.after());
            self.settle(kept);
        }
        turn
    }

    fn poll(&mut self) -> Output<Event> {
        let output = self.server.poll();
        if let Some(tape) = &mut self.tape {
            let kept = tape.wrong_files(tape.buffer.len(), self.server.wrong_files());
            let kept = kept.and_then(|()| tape.output(&output));
            self.settle(kept);
        }
        output
    }

    fn unsent(&self, connection: ConnectionId) -> Unsent<'_> {
        self.server.unsent(connection)
    }

    fn take_relay(&mut self, to: ShardId) -> Option<Self::Relay> {
        self.server.take_relay(to)
    }
}

impl<S: Sink> Tape<S> {
    fn accept(
        &mut self,
        now: Now,
        peer: PeerAddr,
        listener: ListenerId,
        accepted: Option<ConnectionId>,
        config: &Config,
    ) -> Result<(), Ending> {
        let before = self.hash;
        self.hash.accepted(accepted);
        let kind = match accepted {
            Some(_) => tag::ACCEPTED,
            None => tag::REFUSED,
        };
        let start = self.begin(kind, now);
        wire::put_accept(&mut self.buffer, peer, listener, accepted);
        if let (Some(maskers), Some(connection)) = (&mut self.maskers, accepted) {
            let slot = connection.index() as usize;
            if maskers.len() <= slot {
                maskers.resize_with(slot + 1, || None);
            }
            if let Some(place) = maskers.get_mut(slot) {
                let listener = config.listeners.get(usize::from(listener.0));
                let masker = match listener {
                    Some(listener) if listener.proxy_protocol => {
                        Masker::behind_proxy(&config.limits)
                    }
                    _ => Masker::new(&config.limits),
                };
                *place = Some((connection, masker));
            }
        }
        self.finish(start, now, before)?;
        self.after()
    }

    fn input(
        &mut self,
        now: Now,
        input: &Input<'_, Command, <Server as Machine>::Relay>,
        server: &Server,
    ) -> Result<(), Ending> {
        let before = self.hash;
        if let Input::Sent {
            connection, bytes, ..
        } = input
        {
            let lent: usize = server.unsent(*connection).map(<[u8]>::len).sum();
            self.hash.sent(server.unsent(*connection), lent.min(*bytes));
        }
        let start = self.begin(wire::tag_of(input), now);
        match (input, &mut self.maskers) {
            (Input::Command(command), Some(_)) => {
                let mut command = command.clone();
                mask_command(&mut command, server);
                let masked: Input<'_, _, <Server as Machine>::Relay> = Input::Command(command);
                wire::put_input(&mut self.buffer, &masked);
            }
            (Input::Received { connection, bytes }, Some(maskers)) => {
                wire::put_input(&mut self.buffer, input);
                let from = self.buffer.len() - bytes.len();
                let payload = self.buffer.get_mut(from..).unwrap_or_default();
                match find(maskers, *connection) {
                    Some(masker) => masker.mask(payload),
                    // The server takes no notice of it.
                    None => payload.fill(0),
                }
            }
            _ => wire::put_input(&mut self.buffer, input),
        }
        if let Input::Ended { connection, .. } = input {
            self.forget(*connection);
        }
        self.finish(start, now, before)
    }

    /// Tells what contents that are masked cannot tell, before what it comes from: the records from `at` on.
    fn wrong_files(&mut self, at: usize, numbers: Vec<u64>) -> Result<(), Ending> {
        for number in numbers {
            let mut record = vec![tag::WRONG_FILE];
            put_number(&mut record, number);
            if self.taken + (self.buffer.len() + record.len() + END_BYTES) as u64 > self.max_bytes {
                return Err(Ending::Full);
            }
            self.buffer.splice(at..at, record);
        }
        Ok(())
    }

    fn output(&mut self, output: &Output<Event>) -> Result<(), Ending> {
        let idle = matches!(output, Output::Idle { .. });
        if self.idle && idle {
            return Ok(());
        }
        self.idle = idle;
        self.polls += 1;
        self.hash.output(output);
        if let Output::Close { connection, .. } = output {
            self.forget(*connection);
        }
        let due = self.flushed + FLUSH_AFTER <= self.last.mono;
        if idle && due && !self.buffer.is_empty() {
            return self.flush();
        }
        Ok(())
    }

    fn forget(&mut self, connection: ConnectionId) {
        if let Some(maskers) = &mut self.maskers
            && let Some(place) = maskers.get_mut(connection.index() as usize)
        {
            let _ = place.take_if(|(owner, _)| *owner == connection);
        }
    }

    /// Starts a record; returns where it starts in the buffer.
    fn begin(&mut self, kind: u8, now: Now) -> usize {
        let start = self.buffer.len();
        self.start = start;
        self.buffer.push(kind);
        put_number(&mut self.buffer, self.polls);
        let last = self.last;
        put_step(
            &mut self.buffer,
            last.mono.as_micros(),
            now.mono.as_micros(),
        );
        put_step(&mut self.buffer, last.unix_ms, now.unix_ms);
        start
    }

    /// Completes a record, or takes it back where it is too much. `before` is the hash without what it adds.
    fn finish(&mut self, start: usize, now: Now, before: Hash) -> Result<(), Ending> {
        self.buffer.push(self.hash.check());
        if self.taken + (self.buffer.len() + 2 * END_BYTES) as u64 > self.max_bytes {
            self.buffer.truncate(start);
            self.hash = before;
            return Err(Ending::Full);
        }
        (self.polls, self.idle, self.last) = (0, false, now);
        self.unchecked += 1;
        Ok(())
    }

    /// What follows a record once its input was handled: the whole hash if it is due, a full buffer.
    fn after(&mut self) -> Result<(), Ending> {
        if self.unchecked >= CHECKPOINT_RECORDS {
            self.unchecked = 0;
            self.buffer.push(tag::CHECKPOINT);
            self.buffer
                .extend_from_slice(&self.hash.value().to_le_bytes());
        }
        if self.buffer.len() >= CHUNK_BYTES {
            return self.flush();
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Ending> {
        self.flushed = self.last.mono;
        self.taken += self.buffer.len() as u64;
        let more = self.sink.take(&self.buffer);
        self.buffer.clear();
        if more { Ok(()) } else { Err(Ending::Refused) }
    }

    fn put_end(&mut self, ending: Ending) {
        self.buffer.push(tag::END);
        put_number(&mut self.buffer, self.polls);
        self.buffer
            .extend_from_slice(&self.hash.value().to_le_bytes());
        self.buffer.push(wire::ending_number(ending));
    }
}

fn find(
    maskers: &mut [Option<(ConnectionId, Masker)>],
    connection: ConnectionId,
) -> Option<&mut Masker> {
    let (owner, masker) = maskers.get_mut(connection.index() as usize)?.as_mut()?;
    (*owner == connection).then_some(masker)
}

fn put_header(out: &mut Vec<u8>, config: &ValidConfig, seed: &[u8; 32], masked: bool) {
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, u8::from(masked)]);
    out.extend_from_slice(seed);
    put_bytes(out, env!("CARGO_PKG_VERSION").as_bytes());
    let config = HeaderConfig {
        config: Config::clone(config),
        listeners: config.listeners.clone(),
        adopted: config.adopted.clone(),
        compresses: config.compression.enabled,
        application_types: config.application_types.clone(),
        files_to_program: config.files.to_program,
    };
    // Plain data into memory: there is nothing that could fail.
    let json = serde_json::to_vec(&config);
    debug_assert!(json.is_ok(), "{json:?}");
    put_bytes(out, &json.unwrap_or_default());
}
