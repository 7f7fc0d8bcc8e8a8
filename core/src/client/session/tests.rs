//! A session in the hands of a test: its clock, its sockets, and the server at their other end.

mod against_server;
mod batching;
mod binary;
mod bounds;
mod closing;
mod coming_back;
mod credentials;
mod life;
mod messages;
mod naming;
mod net;
mod properties;
mod resume_law;
mod resuming;
mod rooms;
mod waiting;

use core::time::Duration;

use tungstenite::handshake::derive_accept_key;

use super::*;
use crate::machine::TransportEnd;
use crate::websocket::{
    CloseCode, Control, Data, Decoder, MessageLimits, OpCode, Role, Step, put_close_payload,
    put_frame,
};

/// Ids of clients.
const ME: &str = "client_AAAAAAAAAAAAAAAAAAAAAAAA";
const ME_AGAIN: &str = "client_BBBBBBBBBBBBBBBBBBBBBBBB";
const BOB: &str = "client_CCCCCCCCCCCCCCCCCCCCCCCC";

/// All of the wait is waited, nothing is compressed, and there is no session of the server's.
fn config() -> SessionConfig {
    let mut config = SessionConfig::new("example.com");
    config.resume = false;
    config.full_jitter = false;
    config.connection.deflate = None;
    config
}

/// Without pings.
fn quiet() -> SessionConfig {
    SessionConfig {
        heartbeat_interval_ms: 0,
        ..config()
    }
}

struct World {
    session: Session,
    now: Now,
    /// The connection that there is.
    connection: Option<ConnectionId>,
    /// How many were asked for.
    connects: usize,
    /// The end of the socket.
    received: Vec<u8>,
    decoder: Decoder,
    is_upgraded: bool,
    /// How much more the socket takes; `None`: all that it is given.
    takes: Option<usize>,
    /// Messages of the session, as text; a close frame as `close 1000 reason`.
    sent: Vec<String>,
    /// How sockets were closed: whether they were reset.
    closes: Vec<bool>,
    reading: bool,
    events: Vec<Event>,
    deadline: Option<Instant>,
}

impl World {
    fn new(config: SessionConfig) -> Self {
        let now = Now {
            mono: Instant::from_micros(1_000_000),
            unix_ms: 1_700_000_000_000,
        };
        let mut world = Self {
            session: Session::new(config, [7; 32], now).expect("a config"),
            now,
            connection: None,
            connects: 0,
            received: Vec::new(),
            decoder: Decoder::new(Role::Server),
            is_upgraded: false,
            takes: None,
            sent: Vec::new(),
            closes: Vec::new(),
            reading: true,
            events: Vec::new(),
            deadline: None,
        };
        world.drain();
        world
    }

    /// One that is welcome, and has forgotten how it came to be.
    fn welcome_to(config: SessionConfig) -> Self {
        let mut world = Self::new(config);
        world.welcome(ME);
        world.told();
        world
    }

    // ---- the driver

    fn input(&mut self, input: Input<'_, Command, core::convert::Infallible>) {
        let _ = self.session.handle(self.now, input);
        self.drain();
    }

    fn drain(&mut self) {
        for _ in 0..100_000 {
            match self.session.poll() {
                Output::Connect { connection, target } => {
                    assert_eq!((self.connection, target), (None, Target::Server));
                    self.connection = Some(connection);
                    self.connects += 1;
                    (self.is_upgraded, self.takes, self.reading) = (false, None, true);
                    self.received.clear();
                }
                Output::Transmit { connection } => self.transmit(connection),
                Output::Close { connection, reset } => {
                    assert_eq!(self.connection.take(), Some(connection));
                    self.closes.push(reset);
                }
                Output::ReadInterest { wanted, .. } => self.reading = wanted,
                Output::Event(event) => self.events.push(event),
                Output::Idle { deadline } => {
                    assert!(deadline.is_none_or(|it| it > self.now.mono), "{deadline:?}");
                    self.deadline = deadline;
                    return;
                }
                other => panic!("{other:?}"),
            }
        }
        panic!("it never comes to an end");
    }

    fn transmit(&mut self, connection: ConnectionId) {
        assert_eq!(self.connection, Some(connection));
        let bytes: Vec<u8> = self.session.unsent(connection).flatten().copied().collect();
        assert!(!bytes.is_empty());
        let taken = self.takes.unwrap_or(usize::MAX).min(bytes.len());
        self.takes = self.takes.map(|takes| takes - taken);
        self.received.extend_from_slice(&bytes[..taken]);
        let _ = self.session.handle(
            self.now,
            Input::Sent {
                connection,
                bytes: taken,
                blocked: taken < bytes.len(),
            },
        );
        self.read();
    }

    /// What the server makes of what has come.
    fn read(&mut self) {
        while self.is_upgraded {
            let limits = MessageLimits::default();
            let decoded = self.decoder.decode(&mut self.received, &limits);
            let (step, consumed) = decoded.expect("frames");
            let text = match step {
                Step::NeedMore => {
                    self.received.drain(..consumed);
                    return;
                }
                Step::Text(text) => text.to_string(),
                Step::Binary(bytes) => format!("{bytes:?}"),
                Step::Close(None) => "close".to_owned(),
                Step::Close(Some(frame)) => {
                    format!("close {} {}", u16::from(frame.code), frame.reason)
                }
                other => format!("{other:?}"),
            };
            self.sent.push(text);
            self.received.drain(..consumed);
        }
    }

    fn unblock(&mut self) {
        self.takes = None;
        let connection = self.connection.expect("a connection");
        self.input(Input::Writable { connection });
    }

    // ---- the server

    fn bytes(&mut self, bytes: &[u8]) {
        let connection = self.connection.expect("a connection");
        let mut bytes = bytes.to_vec();
        self.input(Input::Received {
            connection,
            bytes: &mut bytes,
        });
    }

    fn connect(&mut self) {
        let connection = self.connection.expect("a connection");
        self.input(Input::Connected { connection });
    }

    /// Connects, and takes the connection.
    fn open(&mut self) {
        self.open_as(JSON_PROTOCOL);
    }

    /// The same, and speaks a protocol.
    fn open_as(&mut self, protocol: &str) {
        self.connect();
        let request = String::from_utf8(core::mem::take(&mut self.received)).expect("text");
        let key = request.split("Sec-WebSocket-Key: ").nth(1).expect("a key");
        let accept = derive_accept_key(key.split("\r\n").next().expect("a line").as_bytes());
        (self.is_upgraded, self.decoder) = (true, Decoder::new(Role::Server));
        self.bytes(
            format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
            )
            .as_bytes(),
        );
    }

    fn welcome(&mut self, client: &str) {
        self.open();
        self.say(&format!(
            r#"{{"type":"welcome","clientId":"{client}","timestamp":1,"protocol":1,"resumed":false,
            "limits":{{"maxMessageBytes":100000}}}}"#
        ));
    }

    fn say(&mut self, text: &str) {
        let mut frame = Vec::new();
        put_frame(&mut frame, OpCode::Data(Data::Text), text.as_bytes());
        self.bytes(&frame);
    }

    /// Ends the connection with a close frame, and takes the answer.
    fn close(&mut self, code: u16) {
        let (mut payload, mut frame) = (Vec::new(), Vec::new());
        put_close_payload(&mut payload, CloseCode::from(code), "bye");
        put_frame(&mut frame, OpCode::Control(Control::Close), &payload);
        self.bytes(&frame);
        assert_eq!(self.connection, None, "it is answered, and that is all");
    }

    /// Cuts it.
    fn cut(&mut self) {
        let connection = self.connection.take().expect("a connection");
        self.input(Input::Ended {
            connection,
            end: TransportEnd::Reset,
        });
    }

    /// It is cut, and there is another one.
    fn come_back(&mut self) {
        self.cut();
        self.pass(self.wait_ms());
        self.welcome(ME_AGAIN);
        self.told();
    }

    // ---- time

    /// Time passes, and every deadline is met.
    fn pass(&mut self, ms: u64) {
        let end = self.now.mono + Duration::from_millis(ms);
        while let Some(deadline) = self.deadline.filter(|it| *it <= end) {
            self.now.mono = deadline;
            self.input(Input::Tick);
        }
        self.now.mono = end;
    }

    /// The machine sleeps: nothing is done before it wakes, but then at once.
    fn sleep(&mut self, ms: u64) {
        self.now.mono = self.now.mono + Duration::from_millis(ms);
        self.input(Input::Tick);
    }

    /// Until the next deadline.
    fn wait_ms(&self) -> u64 {
        let deadline = self.deadline.expect("a deadline");
        let wait = deadline.saturating_since(self.now.mono);
        u64::try_from(wait.as_millis()).expect("a short time")
    }

    // ---- the program

    fn command(&mut self, command: Command) {
        self.input(Input::Command(command));
    }

    fn send(&mut self, item: u64, content: Content) {
        self.command(Command::Send(Send::new(Item(item), content)));
    }

    fn text(&mut self, item: u64, text: &str) {
        self.send(item, Content::Text(text.to_owned()));
    }

    fn json(&mut self, item: u64, text: &str) {
        self.send(item, Content::Json(text.to_owned()));
    }

    fn request(&mut self, item: u64, text: &str) {
        self.send(item, Content::Request(text.to_owned()));
    }

    fn join(&mut self, item: u64, room: &str) {
        let (item, room) = (Item(item), room.to_owned());
        self.command(Command::Join { item, room });
    }

    fn leave(&mut self, item: u64, room: &str) {
        let (item, room) = (Item(item), room.to_owned());
        self.command(Command::Leave { item, room });
    }

    /// What was sent, which is forgotten.
    fn sent(&mut self) -> Vec<String> {
        core::mem::take(&mut self.sent)
    }

    /// The same without the session's ids.
    fn sent_plain(&mut self) -> Vec<String> {
        self.sent().iter().map(|text| without_id(text)).collect()
    }

    /// The only thing that was sent, which has an id.
    #[track_caller]
    fn only_id(&mut self) -> String {
        let sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        id_of(&sent[0])
    }

    /// What was told, which is forgotten.
    fn told(&mut self) -> Vec<Event> {
        core::mem::take(&mut self.events)
    }

    /// The outcomes among it.
    fn outcomes(&mut self) -> Vec<(u64, String)> {
        outcomes(&self.told())
    }

    fn states(&mut self) -> Vec<State> {
        let told = self.told().into_iter();
        told.filter_map(|event| match event {
            Event::State(state) => Some(state),
            _ => None,
        })
        .collect()
    }
}

/// The outcomes, each in a word.
fn outcomes(told: &[Event]) -> Vec<(u64, String)> {
    let outcome = |event: &Event| match event {
        Event::Outcome { item, outcome } => Some((item.0, word(outcome))),
        _ => None,
    };
    told.iter().filter_map(outcome).collect()
}

fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered(message) => match &message.told {
            Told::JoinedRoom { total, .. } => format!("joined, {total}"),
            Told::LeftRoom { .. } => "left".to_owned(),
            Told::Ack(_) => "ack".to_owned(),
            _ => message.text.clone(),
        },
        Outcome::Refused(message) => match &message.told {
            Told::Error {
                code: Some(code), ..
            } => code.to_string(),
            _ => message.text.clone(),
        },
        Outcome::Dropped(why) => format!("{why:?}"),
        other => format!("{other:?}"),
    }
}

/// The id in a request, with its quotes.
#[track_caller]
fn id_of(text: &str) -> String {
    let at = text.find(r#""id":""#).expect("an id") + r#""id":"#.len();
    text[at..].trim_end_matches('}').to_owned()
}

/// A request without its id, which stands last.
fn without_id(text: &str) -> String {
    match text.rfind(r#","id":"rw"#) {
        Some(at) => format!("{}}}", &text[..at]),
        None => text.to_owned(),
    }
}

fn state_of(events: &[Event]) -> Option<State> {
    events.iter().rev().find_map(|event| match event {
        Event::State(state) => Some(*state),
        _ => None,
    })
}

fn closed(events: &[Event]) -> Vec<&Closed> {
    let mut closed = Vec::new();
    for event in events {
        if let Event::Closed(it) = event {
            closed.push(it);
        }
    }
    closed
}
