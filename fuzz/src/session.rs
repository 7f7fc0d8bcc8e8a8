//! A session, its driver and whatever calls itself a server: a whole run.
//!
//! Promises: every item has exactly one outcome; each connection is asked for, closed and told of once, one at a time;
//! what waits keeps to its bounds; a drain comes to an end, and its deadline is in the future; after the end there is
//! nothing; mail of one session comes in order; who is refused for good asks no more; nothing secret is logged; the
//! same inputs give the same outputs. A configuration beyond its bounds is refused.

mod absurd;

use std::collections::BTreeSet;

use core::time::Duration;

use roomwire_core::client::session::{
    BINARY_PROTOCOL, Batching, CloseCause, Command, Content, Credentials, Delivery, Event, Item,
    JSON_PROTOCOL, Message, Send, Session, SessionConfig, State, Told,
};
use roomwire_core::dialect::binary;
use roomwire_core::http::{HeadLimits, Parsed, RequestHead};
use roomwire_core::websocket::{Data, OpCode, handshake, put_frame};
use roomwire_core::{
    ClientId, ConnectionId, Epoch, ErrorCode, Former, Gap, Input, Instant, Machine, Now, Output,
    PastMessage, Payload, Position, Published, ServerMessage, SessionSecret, TransportEnd, Welcome,
};

use crate::input::Choices;

/// A configuration, then what happens: commands, what the driver reports, what the server says, time.
pub fn target(data: &[u8]) {
    let first = run(data);
    assert_eq!(first, run(data), "the same inputs, other outputs");
}

/// All outputs, as text.
fn run(data: &[u8]) -> Vec<String> {
    let mut choices = Choices::new(data);
    let config = configuration(&mut choices);
    let mut driver = Driver::new(config);
    for _ in 0..MAX_STEPS {
        if choices.is_empty() {
            break;
        }
        driver.step(&mut choices);
    }
    driver.finish();
    driver.log
}

fn configuration(choices: &mut Choices<'_>) -> SessionConfig {
    let mut config = SessionConfig::new("a");
    let bits = choices.byte();
    config.full_jitter = bits & 1 == 0;
    config.max_reconnect_attempts = (bits & 2 == 0).then_some(u32::from(bits >> 6));
    if bits & 4 == 4 {
        config.connection.deflate = None;
    }
    if bits & 8 == 8 {
        let mut batching = Batching::default();
        batching.max_messages = 1 + choices.below(5);
        batching.max_bytes = choices.below(256);
        config.batching = Some(batching);
    }
    config.heartbeat_interval_ms = [30_000, 0, 1, 500][usize::from(bits >> 4 & 3)];
    config.heartbeat_timeout_ms = [15_000, 1, 1_000][choices.below(3)];
    config.queue_messages = choices.below(8);
    config.queue_bytes = choices.below(256);
    config.queue_age_ms = [60_000, 0, 700][choices.below(3)];
    config.max_in_flight = 1 + choices.below(4);
    config.max_rooms = 1 + choices.below(4);
    config.joins_at_once = 1 + choices.below(3);
    config.max_queued_events = [1_024, 1, 3][choices.below(3)];
    config.connection.max_unsent_bytes = 1_024;
    let bits = choices.byte();
    config.resume = bits & 1 == 1;
    if bits & 2 == 2 {
        config.connection.protocols = SessionConfig::binary("a").connection.protocols;
    }
    config.former = (bits & 4 == 4).then(|| Former {
        client: client(1),
        secret: SessionSecret([1; 16]),
        after: (bits & 16 == 16).then_some(2),
    });
    if bits & 8 == 8 {
        config.credentials_timeout_ms = Some(700);
        config.connection.headers = vec![("authorization".to_owned(), "former".to_owned())];
    }
    if bits & 32 == 32 {
        config.max_batch_messages = 1 + usize::from(bits >> 6);
        config.max_room_name_bytes = 1;
    }
    config
}

fn client(number: u8) -> ClientId {
    ClientId::from_bytes(&[number; 18])
}

struct Driver {
    session: Session,
    config: SessionConfig,
    now: Now,
    live: Option<ConnectionId>,
    used: BTreeSet<ConnectionId>,
    is_connected: bool,
    is_reading: bool,
    /// What the socket takes until it is full.
    takes: usize,
    is_blocked: bool,
    /// What it has taken of the handshake.
    request: Vec<u8>,
    items: u64,
    outcomes: BTreeSet<Item>,
    connects: usize,
    closes: usize,
    is_over: bool,
    /// The offset of the last mail of the session that there is.
    mail: Option<u64>,
    log: Vec<String>,
}

impl Driver {
    fn new(config: SessionConfig) -> Self {
        let now = Now {
            mono: Instant::from_micros(1),
            unix_ms: 0,
        };
        let session = Session::new(config.clone(), [7; 32], now).expect("a config");
        Self {
            session,
            config,
            now,
            live: None,
            used: BTreeSet::new(),
            is_connected: false,
            is_reading: true,
            takes: usize::MAX,
            is_blocked: false,
            request: Vec::new(),
            items: 0,
            outcomes: BTreeSet::new(),
            connects: 0,
            closes: 0,
            is_over: false,
            mail: None,
            log: Vec::new(),
        }
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        let choice = choices.byte();
        if choice == ABSURD {
            return absurd::check(choices);
        }
        match usize::from(choice) % 18 {
            0 => self.send(Content::Text("x".repeat(choices.below(256))), choices),
            1 => self.send(
                Content::Json(OBJECTS[choices.below(OBJECTS.len())].to_owned()),
                choices,
            ),
            2 => self.send(
                Content::Request(OBJECTS[choices.below(OBJECTS.len())].to_owned()),
                choices,
            ),
            3 => {
                let (item, room) = (self.item(), room(choices));
                self.command(Command::Join { item, room });
            }
            4 => {
                let (item, room) = (self.item(), room(choices));
                self.command(Command::Leave { item, room });
            }
            5 => self.command(if choices.byte() == 0 {
                Command::Close
            } else {
                Command::Wake
            }),
            6 => self.end(choices.below(3)),
            7 => self.connect(),
            8 => self.accept(),
            9 | 10 => self.say(choices),
            11 => {
                let length = choices.below(64);
                let bytes = choices.take(length).to_vec();
                self.receive(&bytes);
            }
            12 => self.takes = choices.below(256),
            13 => self.unblock(),
            14 => self.pass(u64::from(choices.byte()) * 10),
            16 => self.give(choices),
            17 => self.say_frame(choices),
            _ => self.pass(choices.number() % 100_000),
        }
        // A drain may be partial.
        let polls = choices.below(8);
        self.poll(if polls == 0 { MAX_POLLS } else { polls });
    }

    // ---- the program

    fn item(&mut self) -> Item {
        self.items += 1;
        Item(self.items)
    }

    fn send(&mut self, content: Content, choices: &mut Choices<'_>) {
        let mut send = Send::new(self.item(), content);
        let bits = choices.byte();
        send.urgent = bits & 1 == 1;
        if bits & 2 == 2 {
            send.delivery = Delivery::AtLeastOnce;
        }
        self.command(Command::Send(send));
    }

    /// Answers the attempt that asks for credentials, or one before it.
    fn give(&mut self, choices: &mut Choices<'_>) {
        let bits = choices.byte();
        let attempts = self.session.stats().attempts;
        let attempt = attempts.saturating_sub(u64::from(bits & 1));
        let mut credentials = Credentials::default();
        if bits & 2 == 2 {
            credentials.target = Some("/b".to_owned());
        }
        if bits & 4 == 4 {
            credentials.headers = vec![("a".to_owned(), "b\r\n".to_owned())];
        }
        if bits & 16 == 16 {
            // Good ones, instead of those that there are.
            credentials.headers = vec![("Authorization".to_owned(), "secret".to_owned())];
        }
        let shown = format!("{credentials:?}");
        assert_eq!(shown.contains("true"), credentials.target.is_some());
        assert!(!shown.contains("/b") && !shown.contains("secret"));
        self.command(Command::Credentials {
            attempt,
            credentials,
        });
    }

    fn command(&mut self, command: Command) {
        self.input(Input::Command(command));
    }

    fn input(&mut self, input: Input<'_, Command, core::convert::Infallible>) {
        let _ = self.session.handle(self.now, input);
        let (count, bytes) = self.session.queued();
        assert!(count <= self.config.queue_messages && bytes <= self.config.queue_bytes);
    }

    // ---- the socket

    fn connect(&mut self) {
        if let Some(connection) = self.live.filter(|_| !self.is_connected) {
            self.is_connected = true;
            self.input(Input::Connected { connection });
        }
    }

    fn end(&mut self, how: usize) {
        let Some(connection) = self.live else { return };
        match how {
            0 if !self.is_connected => {
                self.live = None;
                self.input(Input::ConnectFailed { connection });
            }
            1 if self.is_connected => self.input(Input::ReadEnd { connection }),
            _ => {
                self.live = None;
                let end = TransportEnd::Reset;
                self.input(Input::Ended { connection, end });
            }
        }
        // Whatever is said of it once more means nothing.
        if self.live.is_none() {
            let stale = self.session.stats().stale;
            self.input(Input::Writable { connection });
            assert_eq!(self.session.stats().stale, stale + 1);
        }
    }

    fn unblock(&mut self) {
        self.takes = usize::MAX;
        if let Some(connection) = self.live.filter(|_| self.is_blocked) {
            self.is_blocked = false;
            self.input(Input::Writable { connection });
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        if let Some(connection) = self.live.filter(|_| self.is_connected && self.is_reading) {
            let bytes = &mut bytes.to_vec();
            self.input(Input::Received { connection, bytes });
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now.mono = self.now.mono + Duration::from_millis(ms);
        self.input(Input::Tick);
    }

    // ---- the server

    /// Takes the connection, if all of the request is there.
    fn accept(&mut self) {
        let limits = HeadLimits {
            max_bytes: 1 << 16,
            max_headers: 64,
        };
        let parsed = RequestHead::parse(&self.request, &limits, &mut 0);
        let Ok(Parsed::Complete { head, .. }) = parsed else {
            return;
        };
        // What a program gives replaces what there is.
        assert!(head.values("authorization").count() <= 1);
        let upgrade =
            handshake::check(&head, &[JSON_PROTOCOL, BINARY_PROTOCOL], false).expect("a handshake");
        let mut answer = "HTTP/1.1 101 Switching Protocols\r\n".to_owned();
        for (name, value) in upgrade.headers() {
            answer += &format!("{name}: {value}\r\n");
        }
        answer += "\r\n";
        self.request.clear();
        self.receive(answer.as_bytes());
    }

    fn say(&mut self, choices: &mut Choices<'_>) {
        let text = SAYINGS[choices.below(SAYINGS.len())];
        let text = text
            .replace("$ID", &format!("\"rw{}\"", choices.byte()))
            .replace("$ROOM", &room(choices))
            .replace("$N", &choices.below(8).to_string())
            .replace("$E", &format!("{:016x}", choices.below(3)));
        let mut frame = Vec::new();
        put_frame(&mut frame, OpCode::Data(Data::Text), text.as_bytes());
        self.receive(&frame);
    }

    /// The same in binary.
    fn say_frame(&mut self, choices: &mut Choices<'_>) {
        let (which, id) = (choices.below(FRAMES), u32::from(choices.byte()));
        let (room, count) = (room(choices), u64::from(choices.byte()));
        let mut frame = Vec::new();
        let number = core::num::NonZeroU32::new(id);
        binary::encode(
            &server_message(which, &room, count),
            number,
            count,
            &mut frame,
        );
        if count & 64 == 64 {
            let mut batch = Vec::new();
            binary::encode_batch(&[&*frame, &*frame].concat(), count, &mut batch);
            frame = batch;
        }
        // A type, a code, or a length that is another one.
        if let Some(byte) = frame.get_mut(choices.below(64))
            && count & 128 == 128
        {
            *byte ^= 1;
        }
        let mut bytes = Vec::new();
        put_frame(&mut bytes, OpCode::Data(Data::Binary), &frame);
        self.receive(&bytes);
    }

    // ---- what comes out

    fn poll(&mut self, polls: usize) {
        for _ in 0..polls {
            let output = self.session.poll();
            self.log.push(format!("{output:?}"));
            match output {
                Output::Connect { connection, .. } => self.asked_for(connection),
                Output::Transmit { connection } => self.transmit(connection),
                Output::ReadInterest { connection, wanted } => {
                    assert_eq!(self.live, Some(connection));
                    assert_ne!(self.is_reading, wanted);
                    self.is_reading = wanted;
                }
                Output::Close { connection, .. } => {
                    assert_eq!(self.live.take(), Some(connection));
                }
                Output::Event(event) => self.told(&event),
                Output::Idle { deadline } => {
                    assert!(deadline.is_none_or(|it| it > self.now.mono), "{deadline:?}");
                    return;
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(polls < MAX_POLLS, "it never comes to an end");
    }

    fn asked_for(&mut self, connection: ConnectionId) {
        assert!(self.live.is_none(), "two at once");
        assert!(self.used.insert(connection), "an id was used twice");
        self.live = Some(connection);
        self.connects += 1;
        (self.is_connected, self.is_reading) = (false, true);
        (self.is_blocked, self.takes) = (false, usize::MAX);
        self.request.clear();
    }

    fn transmit(&mut self, connection: ConnectionId) {
        assert_eq!(self.live, Some(connection));
        assert!(self.is_connected && !self.is_blocked);
        let bytes: Vec<u8> = self.session.unsent(connection).flatten().copied().collect();
        assert!(!bytes.is_empty() && bytes.len() < MAX_UNSENT_BYTES);
        let taken = bytes.len().min(self.takes);
        self.takes = self.takes.saturating_sub(taken);
        self.is_blocked = taken < bytes.len();
        self.request.extend(&bytes[..taken]);
        let sent = Input::Sent {
            connection,
            bytes: taken,
            blocked: self.is_blocked,
        };
        self.input(sent);
    }

    fn told(&mut self, event: &Event) {
        if let Event::Outcome { item, .. } = event {
            assert!(self.outcomes.insert(*item), "{item:?} has two outcomes");
            return;
        }
        assert!(!self.is_over, "{event:?} after the end");
        match event {
            Event::Queued(item) => assert!(!self.outcomes.contains(item)),
            Event::Closed(closed) => {
                self.closes += 1;
                if let CloseCause::Refused { status } = closed.cause {
                    assert!(may_change(status) || closed.reconnect_in.is_none());
                }
            }
            Event::Ended(_) => self.is_over = true,
            Event::Session(told) if !told.resumed => self.mail = Some(told.last),
            // The server has lost it, and it begins anew.
            Event::Session(told) if self.mail.is_some_and(|last| last > told.last) => {
                self.mail = Some(0);
            }
            Event::NewIdentity { .. } => self.mail = None,
            // What is missing counts as told.
            Event::MailGap(gap) => {
                if let Some(last) = &mut self.mail {
                    *last = gap.to.max(*last);
                }
            }
            Event::Message(Message {
                told:
                    Told::PrivateMessage {
                        offset: Some(offset),
                        ..
                    },
                ..
            }) => {
                if let Some(last) = &mut self.mail {
                    assert!(offset > last, "{offset} after {last}");
                    *last = *offset;
                }
            }
            _ => {}
        }
    }

    fn finish(&mut self) {
        self.command(Command::Close);
        self.poll(MAX_POLLS);
        // Nobody agrees, so it takes its time.
        self.pass(self.config.close_timeout_ms);
        self.poll(MAX_POLLS);
        assert_eq!(self.session.state(), State::Closed);
        assert!(self.is_over && self.live.is_none());
        assert_eq!(self.outcomes.len() as u64, self.items);
        // One that nobody had polled by then was never asked for.
        assert!(
            self.closes >= self.connects && self.closes as u64 <= self.session.stats().attempts
        );
        let idle = self.session.poll();
        assert_eq!(idle, Output::Idle { deadline: None });
    }
}

fn room(choices: &mut Choices<'_>) -> String {
    format!("room {}", choices.below(6))
}

/// Statuses that another answer may follow.
fn may_change(status: u16) -> bool {
    let soon = [408, 425, 429].contains(&status);
    soon || (status >= 500 && ![501, 505].contains(&status))
}

/// What a server can say in frames.
const FRAMES: usize = 13;

fn server_message(which: usize, room: &str, count: u64) -> ServerMessage<'_> {
    let few = count % 8;
    let (from, timestamp, offset) = (client(2), 1, Some(few));
    let data = Payload::Bytes(b"data");
    let position = Position {
        epoch: Epoch(few / 2),
        last: few,
    };
    let gap = (count & 8 == 8).then_some(Gap { from: 1, to: few });
    match which {
        0 => ServerMessage::Welcome(Welcome {
            client: client(3),
            timestamp,
            resumed: false,
            heartbeat_interval_ms: 0,
            heartbeat_timeout_ms: 0,
            max_message_bytes: 300,
            max_rooms: 1,
            max_room_name_bytes: 1,
            rate_messages: None,
            rate_per_ms: 0,
        }),
        1 => ServerMessage::Pong {
            timestamp,
            client_timestamp: None,
        },
        2 => ServerMessage::Error {
            code: ErrorCode::ALL[usize::try_from(count).unwrap_or(0) % ErrorCode::ALL.len()],
            message: "",
            retry_after_ms: (count & 32 == 32).then_some(few * 100),
        },
        3 | 4 => ServerMessage::Session(roomwire_core::Session {
            client: client(if which == 3 { 1 } else { 4 }),
            secret: SessionSecret([1; 16]),
            resumed: which == 3,
            window_ms: 1,
            away_ms: 1,
            last: few,
            gap,
            left_out: gap.filter(|_| which == 4).into_iter().collect(),
        }),
        5 => ServerMessage::JoinedRoom {
            room,
            members: Vec::new().into(),
            total: 1,
            history: (count & 16 == 16).then_some(position),
        },
        6 => ServerMessage::RoomMessage {
            room,
            from,
            data,
            timestamp,
            offset,
        },
        7 => ServerMessage::History {
            room,
            position,
            messages: vec![PastMessage {
                offset: few,
                from,
                data,
                timestamp,
            }]
            .into(),
            more: false,
            gap,
            reset: count & 16 == 16,
            left_out: gap.into_iter().collect(),
        },
        8 => ServerMessage::PrivateMessage {
            from,
            data,
            timestamp,
            offset,
        },
        9 => ServerMessage::Resumed {
            room,
            position: (count & 16 == 16).then_some(position),
            complete: true,
        },
        10 => ServerMessage::Reset { room, position },
        11 => ServerMessage::LeftRoom { room },
        _ => ServerMessage::Ack(Published {
            offset,
            duplicate: count & 16 == 16,
        }),
    }
}

const OBJECTS: [&str; 6] = [
    "{}",
    r#"{"type":"hello"}"#,
    r#"{"type":"join","room":"room 1"}"#,
    r#"{"type":"leave","room":"room 1"}"#,
    r#"{"type":"room_message","room":"room 0","data":"some longer data, so that bounds are met"}"#,
    "no object",
];

const SAYINGS: [&str; 26] = [
    r#"{"type":"welcome","clientId":"client_AAAAAAAAAAAAAAAAAAAAAAAA","limits":{"maxMessageBytes":300}}"#,
    r#"{"type":"welcome","clientId":"client_BBBBBBBBBBBBBBBBBBBBBBBB"}"#,
    r#"{"type":"ack","id":$ID}"#,
    r#"{"type":"pong","id":$ID,"timestamp":1}"#,
    r#"{"type":"error","id":$ID,"code":"forbidden","message":""}"#,
    r#"{"type":"error","id":$ID,"code":"rate_limited","message":"","retryAfterMs":$N00}"#,
    r#"{"type":"joined_room","id":$ID,"room":"$ROOM","members":[],"total":1}"#,
    r#"{"type":"joined_room","id":$ID,"room":"$ROOM","members":[],"total":1,"history":{"epoch":"$E","last":$N}}"#,
    r#"{"type":"joined_room","room":"$ROOM","members":[],"total":1}"#,
    r#"{"type":"left_room","id":$ID,"room":"$ROOM"}"#,
    r#"{"type":"left_room","room":"$ROOM"}"#,
    r#"{"type":"reset","room":"$ROOM","epoch":"$E","last":$N}"#,
    r#"{"type":"resumed","room":"$ROOM","epoch":"$E","last":$N,"complete":true}"#,
    r#"{"type":"resumed","room":"$ROOM","complete":false}"#,
    r#"{"type":"history","room":"$ROOM","epoch":"$E","last":9,"messages":[{"offset":$N,"from":"client_BBBBBBBBBBBBBBBBBBBBBBBB","data":1,"timestamp":1}],"more":false,"gap":{"from":1,"to":$N},"reset":true}"#,
    r#"{"type":"room_message","room":"$ROOM","from":"client_BBBBBBBBBBBBBBBBBBBBBBBB","data":1,"timestamp":1,"offset":$N}"#,
    r#"{"type":"closing","code":1012,"reason":"","reconnectAfterMs":$N00}"#,
    r#"{"type":"closing","code":1008,"reason":""}"#,
    r#"{"type":"batch","messages":[{"type":"ack","id":$ID},{"type":"closing","code":1012,"reason":"","reconnectAfterMs":0},7]}"#,
    r#"{"type":"open"}"#,
    r#"{"type":"session","id":$ID,"clientId":"client_AQEBAQEBAQEBAQEBAQEBAQEB","sessionSecret":"AQEBAQEBAQEBAQEBAQEBAQ","resumed":true,"windowMs":1,"awayMs":1,"last":$N}"#,
    r#"{"type":"session","id":$ID,"clientId":"client_AQEBAQEBAQEBAQEBAQEBAQEB","sessionSecret":"AQEBAQEBAQEBAQEBAQEBAQ","resumed":true,"windowMs":1,"awayMs":1,"last":$N,"gap":{"from":1,"to":$N}}"#,
    r#"{"type":"session","id":$ID,"clientId":"client_BBBBBBBBBBBBBBBBBBBBBBBB","sessionSecret":"AQEBAQEBAQEBAQEBAQEBAQ","resumed":false,"windowMs":1,"awayMs":1,"last":$N}"#,
    r#"{"type":"error","id":$ID,"code":"stale_session","message":""}"#,
    r#"{"type":"error","id":$ID,"code":"internal","message":""}"#,
    r#"{"type":"private_message","from":"client_BBBBBBBBBBBBBBBBBBBBBBBB","data":1,"timestamp":1,"offset":$N}"#,
];

/// A step with a number of its own, so that all that was found before stays what it was.
const ABSURD: u8 = 255;
const MAX_STEPS: usize = 2_000;
const MAX_POLLS: usize = 100_000;
/// The bound, what the session reserves for itself, and control frames.
const MAX_UNSENT_BYTES: usize = 1_024 + 64 * 1_024 + 512;
