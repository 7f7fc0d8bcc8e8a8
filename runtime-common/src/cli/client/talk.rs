//! What a client says, what it waits for and when it leaves. No sockets, no clock: a machine that `run` drives.
//!
//! ```text
//!   Opening ──▶ Talking ──▶ Finishing ──▶ Closing
//!                  │  nothing more to say:    ▲
//!                  │  outcomes are awaited    │
//!                  └──────────────────────────┘ interrupted, enough has come, or it makes no sense to go on
//! ```

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use roomwire_core::client::{Event, ResponseError};

use super::frames;
use super::json;
use super::show::{self, Form, Shown};

/// What was asked for.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) rooms: Vec<String>,
    /// Said in each room.
    pub(super) says: Vec<String>,
    /// Sent as they are.
    pub(super) messages: Vec<String>,
    /// Ends after so many messages.
    pub(super) count: Option<u64>,
    /// There is an input, whose end is the end.
    pub(super) reads_input: bool,
    /// Stays until it is told to go, unless a room refuses it.
    pub(super) stays: bool,
    pub(super) form: Form,
    /// Speaks in frames.
    pub(super) binary: bool,
}

/// Something to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    Text(String),
    Binary(Vec<u8>),
}

impl Message {
    const fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

/// What is asked of the server.
#[derive(Clone, Copy, Debug)]
enum Wish<'a> {
    Join(&'a str),
    Say(&'a str, &'a str),
    /// An outcome, after those of all before it.
    Fence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The handshake is awaited.
    Opening,
    /// Says what there is to say.
    Talking,
    /// Outcomes are awaited.
    Finishing,
    /// The connection is to be closed, or has been.
    Closing,
}

#[derive(Debug)]
pub(super) struct Talk {
    plan: Plan,
    url: String,
    stage: Stage,
    outgoing: VecDeque<Message>,
    /// The ids of requests without an outcome.
    awaited: Vec<String>,
    /// Something was said whose outcome has no id, or there may be none.
    needs_fence: bool,
    fence: Option<String>,
    last_id: u32,
    received: u64,
    failed: bool,
    lines: String,
    complaints: Vec<String>,
}

impl Talk {
    pub(super) fn new(plan: Plan, url: String) -> Self {
        Self {
            plan,
            url,
            stage: Stage::Opening,
            outgoing: VecDeque::new(),
            awaited: Vec::new(),
            needs_fence: false,
            fence: None,
            last_id: 0,
            received: 0,
            failed: false,
            lines: String::new(),
            complaints: Vec::new(),
        }
    }

    pub(super) const fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether everything went as it was asked for.
    pub(super) const fn succeeded(&self) -> bool {
        !self.failed
    }

    /// Whether another line can be taken.
    pub(super) fn wants_input(&self) -> bool {
        self.plan.reads_input && self.stage == Stage::Talking && self.outgoing.is_empty()
    }

    /// The next message to send; [`sent`](Self::sent) says that it was.
    pub(super) fn next_message(&self) -> Option<&Message> {
        self.outgoing.front()
    }

    pub(super) fn sent(&mut self, unix_ms: u64) {
        if let Some(message) = self.outgoing.pop_front() {
            let shown = match &message {
                Message::Text(text) => Shown::Text(text),
                Message::Binary(frame) => Shown::Frame { frame, json: None },
            };
            self.show(unix_ms, false, shown);
        }
        self.go_on();
    }

    /// The next message can never be sent.
    pub(super) fn too_large(&mut self) {
        if let Some(message) = self.outgoing.pop_front() {
            let bytes = message.len();
            let id = match &message {
                Message::Text(text) => json::id(text),
                Message::Binary(frame) => frames::number(frame).map(frames::key),
            };
            if let Some(id) = id {
                self.settle(&id);
            }
            self.fail(format!(
                "a message of {bytes} bytes is too large to be sent"
            ));
        }
        self.go_on();
    }

    /// How much there is to print.
    pub(super) fn unprinted_bytes(&self) -> usize {
        let complaints = self.complaints.iter().map(String::len);
        self.lines.len() + complaints.sum::<usize>()
    }

    /// The lines that are to be written.
    pub(super) fn take_lines(&mut self) -> String {
        std::mem::take(&mut self.lines)
    }

    /// What people are to be told.
    pub(super) fn take_complaints(&mut self) -> Vec<String> {
        std::mem::take(&mut self.complaints)
    }

    /// Something came.
    pub(super) fn take(&mut self, unix_ms: u64, event: &Event<'_>) {
        match *event {
            Event::Open { protocol } => {
                self.show(unix_ms, true, Shown::Open { protocol });
                if self.plan.binary && protocol != Some(frames::PROTOCOL) {
                    let (url, wanted) = (&self.url, frames::PROTOCOL);
                    self.give_up(format!(
                        "{url}: the server does not speak {wanted}, which --binary asks for: is it roomwire?"
                    ));
                } else if self.stage == Stage::Opening {
                    self.begin();
                }
            }
            Event::Text(text) => self.take_text(unix_ms, text),
            Event::Binary(bytes) if self.plan.binary => self.take_frames(unix_ms, bytes),
            Event::Binary(bytes) => self.count(unix_ms, Shown::Binary(bytes)),
            Event::Ping(payload) => self.show(unix_ms, true, Shown::Ping(payload)),
            Event::Pong(payload) => self.show(unix_ms, true, Shown::Pong(payload)),
            Event::Closed { code, reason } => {
                self.show(unix_ms, true, Shown::Close { code, reason });
                self.closed(code, reason);
            }
            Event::Lost if self.stage == Stage::Closing => {}
            Event::Lost => self.give_up(format!(
                "{}: the connection ended without a goodbye: the server may have failed, or the network",
                self.url
            )),
            Event::Refused { status, reason, retry_after_s, location } => {
                let reason = show::one_line(reason);
                let advice = match (status, location) {
                    (_, Some(location)) => {
                        format!(": the server is elsewhere: at {}", show::one_line(location))
                    }
                    (400, _) if self.is_plain() => ": does the server speak TLS there (wss://)?".to_owned(),
                    _ => advice(status, retry_after_s),
                };
                self.give_up(format!(
                    "{}: refused with {status} {reason}, where 101 was expected{advice}",
                    self.url
                ));
            }
            Event::BadResponse(ref error) => {
                let advice = match error {
                    ResponseError::NotHttp(_) if self.is_plain() => {
                        ": is the port right, and does it speak TLS (wss://)?"
                    }
                    ResponseError::NotHttp(_) => ": is the port right?",
                    _ => ": is there a WebSocket server behind this URL?",
                };
                self.give_up(format!("{}: {error}{advice}", self.url));
            }
            Event::Violation(error) => {
                let code = u16::from(error.close_code());
                self.give_up(format!(
                    "{}: the server broke the WebSocket protocol: {error}; closed with {code}",
                    self.url
                ));
            }
            _ => {}
        }
        self.go_on();
    }

    /// A line of the input.
    pub(super) fn line(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        if line.starts_with('{') && !self.plan.binary {
            self.raw(line.to_owned());
        } else if let Some(room) = self.plan.rooms.first().cloned() {
            self.ask(Wish::Say(&room, line));
        } else if self.plan.binary {
            self.fail("a line was not sent: --room names the room to say it in".to_owned());
        } else {
            self.fail(
                "a line was not sent: --room names the room to say it in, and only lines that begin with { are \
                 sent as they are"
                    .to_owned(),
            );
        }
    }

    /// A line that cannot be sent.
    pub(super) fn bad_line(&mut self, why: &str) {
        self.fail(format!("a line was not sent: {why}"));
    }

    /// There are no more lines.
    pub(super) fn input_ended(&mut self) {
        self.plan.reads_input = false;
        self.go_on();
    }

    /// Someone wants it to end.
    pub(super) fn interrupt(&mut self) {
        if self.stage != Stage::Closing {
            // Whatever the server has refused, they have seen.
            self.failed = false;
            self.stage = Stage::Closing;
        }
    }

    /// Nobody reads the lines any more, which is how the reader ends it.
    pub(super) fn unheard(&mut self) {
        self.stage = Stage::Closing;
    }

    /// The stage has taken too long.
    pub(super) fn timed_out(&mut self, ms: u128) {
        let url = &self.url;
        match self.stage {
            Stage::Opening => self.give_up(format!(
                "{url}: no answer to the handshake within {ms} ms: is the URL right? --timeout-ms waits longer"
            )),
            Stage::Finishing => {
                let count = self.awaited.len();
                self.give_up(format!(
                    "{url}: {count} requests have no outcome within {ms} ms: --timeout-ms waits longer"
                ));
            }
            Stage::Talking | Stage::Closing => {}
        }
    }

    /// It makes no sense to go on.
    pub(super) fn give_up(&mut self, why: String) {
        self.fail(why);
        self.stage = Stage::Closing;
    }

    fn begin(&mut self) {
        self.stage = Stage::Talking;
        let rooms = std::mem::take(&mut self.plan.rooms);
        for room in &rooms {
            self.ask(Wish::Join(room));
        }
        for text in std::mem::take(&mut self.plan.says) {
            for room in &rooms {
                self.ask(Wish::Say(room, &text));
            }
        }
        for message in std::mem::take(&mut self.plan.messages) {
            self.raw(message);
        }
        self.plan.rooms = rooms;
    }

    fn raw(&mut self, message: String) {
        match json::id(&message) {
            Some(id) => self.awaited.push(id),
            None => self.needs_fence = true,
        }
        self.outgoing.push_back(Message::Text(message));
    }

    /// Asks for something whose outcome is awaited: the id, as it will be written.
    fn ask(&mut self, wish: Wish<'_>) -> Option<String> {
        self.last_id += 1;
        let number = self.last_id;
        let (id, message) = if self.plan.binary {
            let frame = match wish {
                Wish::Join(room) => frames::join(room, number),
                Wish::Say(room, text) => frames::say(room, text.as_bytes(), number),
                Wish::Fence => frames::fence(number),
            };
            let Some(frame) = frame else {
                self.fail("a room was not joined: its name is too long".to_owned());
                return None;
            };
            (frames::key(number), Message::Binary(frame))
        } else {
            let id = format!("roomwire-cli-{number}");
            let text = match wish {
                Wish::Join(room) => json::join(room, &id),
                Wish::Say(room, text) => json::say(room, text, &id),
                Wish::Fence => json::fence(&id),
            };
            (json::written(&id), Message::Text(text))
        };
        self.awaited.push(id.clone());
        self.outgoing.push_back(message);
        Some(id)
    }

    /// One request with this id, if there is any, has its outcome.
    fn settle(&mut self, id: &str) {
        if let Some(place) = self.awaited.iter().position(|it| it == id) {
            self.awaited.swap_remove(place);
        }
    }

    fn take_text(&mut self, unix_ms: u64, text: &str) {
        self.take_facts(unix_ms, json::read(text), Shown::Text(text));
    }

    fn take_frames(&mut self, unix_ms: u64, frame: &[u8]) {
        let facts = match frames::read(frame) {
            Ok(facts) => facts,
            Err(what) => {
                let url = &self.url;
                return self.give_up(format!("{url}: the server broke its protocol: {what}"));
            }
        };
        let json = frames::readable(frame);
        let json = json.as_deref();
        self.take_facts(unix_ms, facts, Shown::Frame { frame, json });
    }

    fn take_facts(&mut self, unix_ms: u64, facts: Vec<json::Facts>, shown: Shown<'_>) {
        let mut is_fence = false;
        for json::Facts { id, refusal } in facts {
            let ends_fence = id.is_some() && id == self.fence;
            is_fence |= ends_fence;
            if let Some(id) = id {
                self.settle(&id);
            }
            // That the fence itself was refused, for being too early, say, is nobody's concern.
            if let Some(refusal) = refusal.filter(|_| !ends_fence) {
                self.refused(&refusal);
            }
        }
        // What was only asked for to know the end of the others is not what anybody wants to see.
        if !(is_fence && self.plan.form == Form::Bare) {
            self.count(unix_ms, shown);
        }
    }

    fn refused(&mut self, refusal: &json::Refusal) {
        let json::Refusal {
            code,
            message,
            retry_after_ms,
        } = refusal;
        let (code, message) = (show::one_line(code), show::one_line(message));
        let again = retry_after_ms.map(|ms| format!("; it may be tried again after {ms} ms"));
        self.fail(format!(
            "refused: {code}: {message}{}",
            again.unwrap_or_default()
        ));
        if self.plan.stays {
            self.stage = Stage::Closing;
        }
    }

    /// Shows a message, and counts it.
    fn count(&mut self, unix_ms: u64, shown: Shown<'_>) {
        if self.has_enough() {
            return;
        }
        self.received += 1;
        self.show(unix_ms, true, shown);
    }

    fn has_enough(&self) -> bool {
        self.plan.count.is_some_and(|count| self.received >= count)
    }

    fn closed(&mut self, code: Option<u16>, reason: &str) {
        if self.stage == Stage::Closing {
            return;
        }
        let code = code.map_or_else(
            || "without a code".to_owned(),
            |code| format!("with {code}"),
        );
        let reason = show::one_line(reason);
        let reason = if reason.is_empty() {
            reason
        } else {
            format!(": {reason}")
        };
        self.give_up(format!("{}: the server closed {code}{reason}", self.url));
    }

    /// To the next stage, if this one is over.
    fn go_on(&mut self) {
        if self.stage == Stage::Talking && self.has_said_all() {
            self.stage = Stage::Finishing;
            if self.needs_fence && self.plan.count.is_none() {
                self.fence = self.ask(Wish::Fence);
            }
        }
        let is_settled = self.awaited.is_empty() && self.outgoing.is_empty();
        if self.stage == Stage::Finishing && is_settled {
            self.stage = Stage::Closing;
        }
    }

    fn has_said_all(&self) -> bool {
        match self.plan.count {
            Some(_) => self.has_enough(),
            None => !self.plan.reads_input && !self.plan.stays,
        }
    }

    fn is_plain(&self) -> bool {
        self.url.starts_with("ws://")
    }

    fn fail(&mut self, why: String) {
        self.failed = true;
        self.complaints.push(why);
    }

    fn show(&mut self, unix_ms: u64, came: bool, shown: Shown<'_>) {
        let line = show::line(self.plan.form, unix_ms, came, shown);
        self.lines.push_str(&line);
    }
}

/// What to do about a status.
fn advice(status: u16, retry_after_s: Option<u64>) -> String {
    match (status, retry_after_s) {
        (_, Some(seconds)) => format!(": it asks to be tried again in {seconds} s"),
        (301..=308, _) => ": the server is elsewhere; use the URL that it names".to_owned(),
        (401 | 407, _) => ": --header 'Authorization: ...' says who asks".to_owned(),
        (403, _) => ": --origin says which page asks; the server must allow it".to_owned(),
        (404, _) => ": is the path right? roomwire's are / and /ws".to_owned(),
        (503, _) => ": the server is leaving or full; try again later".to_owned(),
        _ => ": is there a WebSocket server behind this URL?".to_owned(),
    }
}
