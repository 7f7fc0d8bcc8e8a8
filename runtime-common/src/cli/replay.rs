//! `replay`: does a recording again and shows what happened, one line for each input and output.

mod view;

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, Read, Write};

use roomwire_core::replay::{
    Ending, Header, Progress, Recorded, ReplayError, Replayer, Step, What,
};
use roomwire_core::server::{Command, Event, MessageName, Outcome, Verdict};
use roomwire_core::{ConnectionId, Output, Server};
use serde_json::{Map, Value, json};

use super::options::Replay;
use view::{Message, Views};

/// Bytes read from the file at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// Shows a recording; `true` if everything was the same again.
///
/// # Errors
/// Says what is wrong with the file, or with what was asked. A closed `out` is no error.
pub(super) fn run(asked: &Replay, out: &mut dyn Write) -> Result<bool, String> {
    let shown = asked.file.display();
    let file = File::open(&asked.file).map_err(|e| format!("cannot read {shown}: {e}"))?;
    let filter = Filter::new(asked)?;
    let mut show = Show {
        out,
        filter,
        json: asked.json,
        views: Views::default(),
        start: None,
        published: 0,
    };
    let mut replayer = Replayer::new().explaining(EXPLAIN_ENTRIES);
    let outcome = show.all(&mut replayer, file);
    if let (Some(number), Ok(_)) = (asked.explain, &outcome) {
        show.explain(replayer.server(), number)?;
    }
    match outcome {
        Ok(ending) => {
            let end = match ending {
                Ending::Full => "hash ok; the recording ended because it was full",
                Ending::Refused => "hash ok; the recording ended because the disk did not keep up",
                _ => "hash ok",
            };
            show.last(end, json!({"end": "hash ok"})).map(|()| true)
        }
        Err(Failed::Replay(error @ ReplayError::Differs { step })) => {
            let value = json!({"end": "hash differs", "step": step});
            show.last(&error.to_string(), value).map(|()| false)
        }
        Err(Failed::Replay(error)) => Err(format!("{shown}: {error}")),
        Err(Failed::Read(error)) => Err(format!("cannot read {shown}: {error}")),
        Err(Failed::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(true),
        Err(Failed::Write(error)) => Err(format!("cannot write to stdout: {error}")),
    }
}

/// What the server remembers at least, so that it can be asked about messages long past.
const EXPLAIN_ENTRIES: usize = 1_000_000;

enum Failed {
    Replay(ReplayError),
    Read(io::Error),
    Write(io::Error),
}

/// What is shown.
struct Filter {
    slot: Option<(u32, Option<u32>)>,
    room: Option<String>,
    from: u64,
}

impl Filter {
    fn new(asked: &Replay) -> Result<Self, String> {
        let slot = match &asked.connection {
            None => None,
            Some(text) => Some(connection(text).ok_or_else(|| {
                format!("--connection {text}: a slot such as 3, or slot.generation such as 3.1")
            })?),
        };
        Ok(Self {
            slot,
            room: asked.room.clone(),
            from: asked.from,
        })
    }

    fn takes(&self, line: &Line) -> bool {
        let connection = self.slot.is_none_or(|(slot, generation)| {
            line.connection.is_some_and(|id| {
                id.index() == slot && generation.is_none_or(|g| g == id.generation().get())
            })
        });
        let named = |room: &String| {
            line.room.as_ref() == Some(room) || line.messages.iter().any(|m| m.is_about(room))
        };
        connection && line.number >= self.from && self.room.as_ref().is_none_or(named)
    }
}

/// `3` or `3.1`.
fn connection(text: &str) -> Option<(u32, Option<u32>)> {
    match text.split_once('.') {
        None => Some((text.parse().ok()?, None)),
        Some((slot, generation)) => Some((slot.parse().ok()?, Some(generation.parse().ok()?))),
    }
}

struct Show<'a> {
    out: &'a mut dyn Write,
    filter: Filter,
    json: bool,
    views: Views,
    /// The clock at the first input.
    start: Option<u64>,
    /// Messages published so far.
    published: u64,
}

/// One thing that is shown.
struct Line {
    number: u64,
    time_us: u64,
    unix_ms: u64,
    /// `in` or `out`.
    way: &'static str,
    what: &'static str,
    connection: Option<ConnectionId>,
    /// The room that it names itself.
    room: Option<String>,
    details: Vec<(&'static str, Value)>,
    messages: Vec<Message>,
}

impl Show<'_> {
    fn all(&mut self, replayer: &mut Replayer, mut file: File) -> Result<Ending, Failed> {
        let mut piece = vec![0; PIECE_BYTES];
        let mut told = false;
        loop {
            let progress = replayer.step().map_err(Failed::Replay)?;
            if let Some(header) = replayer.header().filter(|_| !told) {
                told = true;
                self.views.keep_to(&header.config);
                self.header(header).map_err(Failed::Write)?;
            }
            match progress {
                Progress::End(ending) => return Ok(ending),
                Progress::Step(step) => {
                    let published = replayer.server().map_or(0, Server::published);
                    self.step(step, published).map_err(Failed::Write)?;
                }
                Progress::NeedMore => match file.read(&mut piece).map_err(Failed::Read)? {
                    0 => replayer.finish(),
                    length => replayer.feed(piece.get(..length).unwrap_or_default()),
                },
            }
        }
    }

    fn header(&mut self, header: &Header) -> io::Result<()> {
        let own = env!("CARGO_PKG_VERSION");
        let Header {
            version, masked, ..
        } = header;
        if self.json {
            return writeln!(
                self.out,
                "{}",
                json!({"version": version, "masked": masked})
            );
        }
        let payloads = if *masked { "masked" } else { "as they were" };
        writeln!(
            self.out,
            "recorded by version {version}, payloads {payloads}"
        )?;
        if version != own {
            writeln!(
                self.out,
                "this is version {own}, which may decide differently"
            )?;
        }
        Ok(())
    }

    /// What became of one message on its way to the connection that was asked for, the last owner of its slot.
    fn explain(&mut self, server: Option<&Server>, number: u64) -> Result<(), String> {
        let asked = self
            .filter
            .slot
            .and_then(|(slot, generation)| match generation {
                Some(generation) => {
                    ConnectionId::from_bits(u64::from(generation) << 32 | u64::from(slot))
                }
                None => self.views.last_in(slot),
            });
        let (Some(server), Some(connection)) = (server, asked) else {
            return Err("--explain: the recording has no such connection".to_owned());
        };
        let verdict = server.explain(&MessageName::Number(number), connection);
        let why = because(verdict);
        let text = format!("message {number} to {connection}: {why}");
        let value = json!({"message": number, "connection": connection.to_string(), "why": why});
        self.last(&text, value)
    }

    fn step(&mut self, step: Step, published: u64) -> io::Result<()> {
        let mono = step.now.mono.as_micros();
        let start = *self.start.get_or_insert(mono);
        let mut line = Line {
            number: step.number,
            time_us: mono.saturating_sub(start),
            unix_ms: step.now.unix_ms,
            way: "in",
            what: "",
            connection: None,
            room: None,
            details: Vec::new(),
            messages: Vec::new(),
        };
        match step.what {
            What::Input { input, sent } => self.input(&mut line, &input, sent),
            What::Output(output) => {
                line.way = "out";
                self.output(&mut line, &output);
            }
            _ => line.what = "unknown",
        }
        for number in self.published..published {
            line.put("message", number + 1);
        }
        self.published = published;
        // Whether anything is left to do is of no interest to people.
        if line.what.is_empty() || !self.filter.takes(&line) {
            return Ok(());
        }
        if self.json {
            writeln!(self.out, "{}", line.to_json())
        } else {
            writeln!(self.out, "{line}")
        }
    }

    fn last(&mut self, text: &str, value: Value) -> Result<(), String> {
        let text = if self.json {
            value.to_string()
        } else {
            text.to_owned()
        };
        let written = writeln!(self.out, "{text}").and_then(|()| self.out.flush());
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(format!("cannot write to stdout: {error}"))
            }
            _ => Ok(()),
        }
    }

    fn input(&mut self, line: &mut Line, input: &Recorded, sent: Vec<u8>) {
        line.connection = input.connection();
        match input {
            Recorded::Accept {
                peer,
                listener,
                accepted,
            } => {
                line.what = if accepted.is_some() {
                    "accept"
                } else {
                    "refuse"
                };
                line.put("peer", peer.to_string());
                line.put("listener", listener.0);
                if let Some(connection) = accepted {
                    self.views.open(*connection);
                }
            }
            Recorded::Tick => line.what = "tick",
            Recorded::Received { connection, bytes } => {
                line.what = "received";
                line.put("bytes", bytes.len());
                line.messages = self.views.received(*connection, bytes.clone());
            }
            Recorded::Sent {
                connection,
                bytes,
                blocked,
            } => {
                line.what = "sent";
                line.put("bytes", *bytes);
                if *blocked {
                    line.put("blocked", true);
                }
                line.messages = self.views.sent(*connection, sent);
            }
            Recorded::Writable { .. } => line.what = "writable",
            Recorded::ReadEnd { .. } => line.what = "read end",
            Recorded::Ended { connection, end } => {
                line.what = "ended";
                line.put("how", format!("{end:?}").to_lowercase());
                self.views.close(*connection);
            }
            Recorded::Connected { .. } => line.what = "connected",
            Recorded::ConnectFailed { .. } => line.what = "connect failed",
            Recorded::LinkReady { to, credits } => {
                line.what = "link ready";
                line.put("shard", to.0);
                line.put("credits", *credits);
            }
            Recorded::PoolReady { jobs } => {
                line.what = "pool ready";
                line.put("jobs", *jobs);
            }
            Recorded::Done { job, failed } => {
                line.what = if *failed { "failed" } else { "done" };
                line.put("job", job.to_string());
            }
            Recorded::Command(command) => line.command(command),
            _ => line.what = "unknown",
        }
    }

    fn output(&mut self, line: &mut Line, output: &Output<Event>) {
        match output {
            Output::Transmit { connection } => {
                (line.what, line.connection) = ("transmit", Some(*connection));
            }
            Output::ReadInterest { connection, wanted } => {
                line.connection = Some(*connection);
                line.what = if *wanted { "read on" } else { "stop reading" };
            }
            Output::Finish { connection } => {
                (line.what, line.connection) = ("finish", Some(*connection));
            }
            Output::Close { connection, reset } => {
                (line.what, line.connection) = ("close", Some(*connection));
                if *reset {
                    line.put("reset", true);
                }
                self.views.close(*connection);
            }
            Output::Job(job) => {
                (line.what, line.connection) = ("job", Some(job.connection()));
                line.put("job", job.id().to_string());
                line.put("bytes", job.bytes());
            }
            Output::Event(event) => line.event(event),
            _ => {}
        }
    }
}

impl Line {
    fn put(&mut self, name: &'static str, value: impl Into<Value>) {
        self.details.push((name, value.into()));
    }

    fn command(&mut self, command: &Command) {
        match command {
            Command::Send { message, .. } => {
                self.what = "send";
                self.messages = vec![Message::text(message)];
            }
            Command::Publish { room, message } => {
                (self.what, self.room) = ("publish", Some(room.clone()));
                self.messages = vec![Message::text(message)];
            }
            Command::Reply { request, outcome } => {
                self.what = "reply";
                self.put("request", format!("{request:?}"));
                match outcome {
                    Outcome::Ack => self.put("answer", "ack"),
                    Outcome::Reply(message) => self.messages = vec![Message::text(message)],
                    Outcome::Error { code, message } => {
                        self.put("answer", code.as_str());
                        self.put("message", message.as_str());
                    }
                }
            }
            Command::Fail { request } => {
                self.what = "fail";
                self.put("request", format!("{request:?}"));
            }
            Command::Kick { room, .. } => (self.what, self.room) = ("kick", Some(room.clone())),
            Command::Close { code, reason, .. } => {
                self.what = "close client";
                self.put("code", *code);
                self.put("reason", reason.as_str());
            }
            Command::Drain => self.what = "drain",
            _ => self.what = "command",
        }
        if let Some(room) = self.room.clone() {
            self.put("room", room);
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Opened {
                connection, client, ..
            } => {
                (self.what, self.connection) = ("opened", Some(*connection));
                self.put("client", client.as_str());
            }
            Event::Resumed { connection, client } => {
                (self.what, self.connection) = ("resumed", Some(*connection));
                self.put("client", client.as_str());
            }
            Event::Closed {
                connection,
                client,
                cause,
                code,
                duration,
                received,
            } => {
                (self.what, self.connection) = ("closed", Some(*connection));
                self.put("client", client.as_str());
                self.put("cause", format!("{cause:?}"));
                self.put("code", *code);
                self.put("seconds", duration.as_secs_f64());
                self.put("messages", *received);
            }
            Event::Application {
                connection,
                kind,
                message,
                ..
            } => {
                (self.what, self.connection) = ("application", Some(*connection));
                self.put("type", kind.as_str());
                self.put("bytes", message.len());
            }
            Event::Drained => self.what = "drained",
            _ => self.what = "event",
        }
    }

    fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("step".to_owned(), self.number.into());
        object.insert("us".to_owned(), self.time_us.into());
        object.insert("unixMs".to_owned(), self.unix_ms.into());
        object.insert(self.way.to_owned(), self.what.into());
        if let Some(connection) = self.connection {
            object.insert("connection".to_owned(), connection.to_string().into());
        }
        let details = self.details.iter();
        object.extend(details.map(|(name, value)| ((*name).to_owned(), value.clone())));
        if !self.messages.is_empty() {
            let all = self.messages.iter().map(Message::to_json).collect();
            object.insert("says".to_owned(), Value::Array(all));
        }
        Value::Object(object)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = if self.way == "in" { '>' } else { '<' };
        let (seconds, micros) = (self.time_us / 1_000_000, self.time_us % 1_000_000);
        let mut head = format!(
            "{:>6} {seconds:>5}.{micros:06} {arrow} {}",
            self.number, self.what
        );
        if let Some(connection) = self.connection {
            write!(head, " {connection}")?;
        }
        for (name, value) in &self.details {
            write!(head, " {name}={value}")?;
        }
        f.write_str(&head)?;
        // What a socket took went out, though that it did is an input.
        let arrow = if self.what == "sent" { '<' } else { arrow };
        for message in &self.messages {
            write!(f, "\n                     {arrow} {message}")?;
        }
        Ok(())
    }
}

/// A verdict in words.
fn because(verdict: Verdict) -> String {
    match verdict {
        Verdict::Delivered => "delivered: its socket took it".to_owned(),
        Verdict::Waiting => "waiting in its queue".to_owned(),
        Verdict::NotMember => "not for it: it was not in the room then".to_owned(),
        Verdict::Excluded => "not for it: it is its own message".to_owned(),
        Verdict::Refused(code) => format!("refused: {code}"),
        Verdict::Dropped(policy) => format!("dropped by the room's policy {policy:?}"),
        Verdict::Discarded(Some(cause)) => format!("discarded when it was closed: {cause:?}"),
        Verdict::Discarded(None) => "discarded when it was closed".to_owned(),
        Verdict::Gone => "it was gone already".to_owned(),
        _ => "there is no such message, or it is too long ago".to_owned(),
    }
}

#[cfg(test)]
mod tests;
