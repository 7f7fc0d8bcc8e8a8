//! Whatever goes into a server, recorded: read back it is the same, and it does the same again.

use core::time::Duration;
use std::collections::BTreeMap;

use roomwire_core::config::{ListenerConfig, SessionKey};
use roomwire_core::offload::{Done, Job, JobId};
use roomwire_core::replay::{Ending, Options, Recorded, Recorder, Sink, What};
use roomwire_core::server::{Command, Event, MessageName, Outcome, RequestToken, SavedSession};
use roomwire_core::websocket::{Data, OpCode, put_masked_frame};
use roomwire_core::{
    ClientId, Config, ConnectionId, Counting as _, ErrorCode, Input, ListenerId, Machine, Now,
    Output, PeerAddr, ShardId, TransferId, TransportEnd, ValidConfig,
};

use super::play;
use crate::input::{Choices, Cuts};

/// How it is recorded, then what happens.
pub(super) fn check(cuts: Cuts, choices: &mut Choices<'_>) {
    let bits = choices.byte();
    let max_bytes = match bits & 2 {
        2 => u64::from(choices.short()),
        _ => u64::MAX,
    };
    let options = Options {
        masked: bits & 1 == 1,
        max_bytes,
    };
    let mut nothing = Vec::new();
    let config = config(bits & 8 == 8);
    drop(Recorder::new(config.clone(), SEED, options, &mut nothing));
    let mut file = Vec::new();
    let (inputs, is_over) = if bits & 4 == 4 {
        let sink = Few {
            file: &mut file,
            left: choices.byte(),
        };
        Run::record(config, options, sink, choices)
    } else {
        Run::record(config, options, &mut file, choices)
    };
    // Whatever was asked for, a header and an end are written.
    let least = nothing.len() + MOST_MORE_BYTES;
    assert!(file.len() as u64 <= max_bytes.max(least as u64));
    let mut read = Vec::new();
    let (steps, outcome) = play(&file, [file.len()], |what| {
        if let What::Input { input, .. } = what {
            read.push(input);
        }
    });
    let in_pieces = play(&file, cuts.ends(file.len()), drop);
    assert_eq!((steps, outcome.clone()), in_pieces);
    let ending = outcome.expect("a recording");
    assert_eq!(is_over, ending != Ending::Closed);
    // One that does not fit any more is left out.
    let left_out = inputs.len() - read.len();
    assert!(left_out == 0 || (left_out == 1 && ending == Ending::Full));
    for (read, input) in read.into_iter().zip(inputs) {
        let [read, input] = [read, input].map(|it| if options.masked { hidden(it) } else { it });
        assert_eq!(read, input);
    }
}

const SEED: [u8; 32] = [7; 32];
/// The end has a number, which may be longer than that of nothing.
const MOST_MORE_BYTES: usize = 9;
/// More than inputs of this size come to.
const MOST_POLLS: usize = 4_096;

/// As it is read from a masked recording: with the same lengths.
fn hidden(mut input: Recorded) -> Recorded {
    let hide = |text: &mut String| *text = "x".repeat(text.len());
    match &mut input {
        Recorded::Received { bytes, .. } => bytes.fill(0),
        Recorded::Command(command) => match command {
            Command::Send { message, .. }
            | Command::Publish { message, .. }
            | Command::Close {
                reason: message, ..
            }
            | Command::Reply {
                outcome: Outcome::Reply(message) | Outcome::Error { message, .. },
                ..
            } => hide(message),
            Command::GiveSession { session, .. } => *session = None,
            _ => {}
        },
        _ => {}
    }
    input
}

/// Takes so many pieces of a recording.
struct Few<'f> {
    file: &'f mut Vec<u8>,
    left: u8,
}

impl Sink for Few<'_> {
    fn take(&mut self, bytes: &[u8]) -> bool {
        self.file.extend_from_slice(bytes);
        self.left = self.left.saturating_sub(1);
        self.left > 0
    }

    fn end(&mut self, bytes: &[u8], ending: Ending) {
        self.file.extend_from_slice(bytes);
        assert!(ending != Ending::Refused || self.left == 0);
    }
}

/// Where files may come to the program, if they do, sessions go to other servers, and a proxy stands before a listener.
fn config(to_program: bool) -> ValidConfig {
    let listener = |proxy_protocol, raw_payloads| ListenerConfig {
        proxy_protocol,
        raw_payloads,
        trusted_proxies: vec!["local".to_owned()],
        ..ListenerConfig::default()
    };
    let mut config = Config {
        listeners: vec![
            ListenerConfig::default(),
            listener(true, false),
            listener(false, true),
        ],
        application_types: vec!["app".to_owned()],
        ..Config::default()
    };
    config.files.to_program = to_program;
    config.sessions.key = Some(SessionKey([9; 32]));
    config.explain.entries = 32;
    config.offload.min_bytes = 1_024;
    config.validate().expect("valid")
}

struct Run<S: Sink> {
    recorder: Recorder<S>,
    now: Now,
    /// Every id that was given out.
    ids: Vec<ConnectionId>,
    /// Every client that was there.
    clients: Vec<ClientId>,
    jobs: BTreeMap<JobId, Job>,
    requests: Vec<RequestToken>,
    /// Sessions that other servers may have.
    left: Vec<SavedSession>,
    /// Those that are asked of them.
    wanted: Vec<(ShardId, ClientId, u64)>,
    transfer: Option<TransferId>,
    /// What went in.
    inputs: Vec<Recorded>,
}

impl<S: Sink> Run<S> {
    /// What went in, and whether the recording was over before the server was.
    fn record(
        config: ValidConfig,
        options: Options,
        sink: S,
        choices: &mut Choices<'_>,
    ) -> (Vec<Recorded>, bool) {
        let mut run = Self {
            recorder: Recorder::new(config, SEED, options, sink),
            now: Now::default(),
            ids: Vec::new(),
            clients: Vec::new(),
            jobs: BTreeMap::new(),
            requests: Vec::new(),
            left: Vec::new(),
            wanted: Vec::new(),
            transfer: None,
            inputs: Vec::new(),
        };
        while !choices.is_empty() {
            run.step(choices);
        }
        assert_eq!(run.recorder.stats(), run.recorder.as_ref().stats());
        let is_over = run.recorder.is_over();
        (run.inputs, is_over)
    }

    fn step(&mut self, choices: &mut Choices<'_>) {
        match choices.below(14) {
            0 => self.accept(choices),
            1 => {
                let [mono, wall] = [choices.number(), choices.number()];
                self.now.mono = self.now.mono + Duration::from_micros(mono);
                self.now.unix_ms = self.now.unix_ms.wrapping_add(wall);
            }
            2 => {
                let length = choices.short();
                let bytes = choices.take(usize::from(length)).to_vec();
                self.receive(choices, bytes);
            }
            3 => self.receive(choices, HANDSHAKE.to_vec()),
            4 => {
                let transfer = self.transfer.map_or(1, TransferId::to_bits);
                let text = TEXTS[choices.below(TEXTS.len())];
                let text = text.replace("$T", &transfer.to_string());
                self.say(choices, &text);
            }
            5 => {
                // Long enough for a pool.
                let data = "l".repeat(usize::from(choices.short()));
                self.say(
                    choices,
                    &format!(r#"{{"type":"broadcast","data":"{data}"}}"#),
                );
            }
            6 => {
                let input = Recorded::Sent {
                    connection: self.id(choices),
                    bytes: choices.number() as usize,
                    blocked: choices.flag(),
                };
                self.hand_of(input);
            }
            7 => self.report(choices),
            8 => {
                let input = match choices.below(3) {
                    0 => Recorded::LinkReady {
                        to: ShardId(choices.byte()),
                        credits: choices.short().into(),
                    },
                    1 => Recorded::PoolReady {
                        jobs: choices.byte().into(),
                    },
                    _ => Recorded::Tick,
                };
                self.hand(input);
            }
            9 => {
                if let Some(&job) = self.jobs.keys().next() {
                    let failed = choices.flag();
                    self.hand(Recorded::Done { job, failed });
                }
            }
            10 => {
                if let Some(command) = self.command(choices) {
                    let is_of_one = format!("{command:?}").contains("connection: ");
                    let recorded = Recorded::Command(command);
                    assert_eq!(recorded.connection().is_some(), is_of_one);
                    self.hand(recorded);
                }
            }
            11 => (0..64).for_each(|_| self.hand(Recorded::Tick)),
            12 => self.poll(choices.below(256)),
            _ => self.poll(MOST_POLLS),
        }
    }

    /// One that was given out, or any.
    fn id(&self, choices: &mut Choices<'_>) -> ConnectionId {
        let choice = choices.byte();
        let any = || ConnectionId::from_bits(u64::from(choice) << 32 | 1);
        let id = self.ids.get(usize::from(choice)).copied().or_else(any);
        id.unwrap_or_else(|| ConnectionId::from_bits(1 << 32).expect("an id"))
    }

    fn accept(&mut self, choices: &mut Choices<'_>) {
        let text = match choices.below(3) {
            0 => None,
            1 => Some("192.0.2.1:80"),
            _ => Some("[2001:db8::1%7]:443"),
        };
        let peer = text.map_or(PeerAddr::Local, |text| {
            PeerAddr::Inet(text.parse().expect("an address"))
        });
        let listener = ListenerId(choices.below(5) as u16);
        let was_over = self.recorder.is_over();
        let accepted = self.recorder.accept(self.now, peer, listener);
        self.ids.extend(accepted);
        let recorded = Recorded::Accept {
            peer,
            listener,
            accepted,
        };
        assert_eq!(recorded.connection(), accepted);
        if !was_over {
            self.inputs.push(recorded);
        }
    }

    fn receive(&mut self, choices: &mut Choices<'_>, bytes: Vec<u8>) {
        let connection = self.id(choices);
        self.hand_of(Recorded::Received { connection, bytes });
    }

    fn say(&mut self, choices: &mut Choices<'_>, text: &str) {
        let mut frame = Vec::new();
        let opcode = OpCode::Data(Data::Text);
        put_masked_frame(&mut frame, opcode, true, false, text.as_bytes(), [0; 4]);
        self.receive(choices, frame);
    }

    /// What a driver reports of a socket.
    fn report(&mut self, choices: &mut Choices<'_>) {
        let connection = self.id(choices);
        let ended = |end| Recorded::Ended { connection, end };
        self.hand_of(match choices.below(7) {
            0 => Recorded::Writable { connection },
            1 => Recorded::ReadEnd { connection },
            2 => Recorded::Connected { connection },
            3 => Recorded::ConnectFailed { connection },
            4 => ended(TransportEnd::Closed),
            5 => ended(TransportEnd::Reset),
            _ => ended(TransportEnd::Failed),
        });
    }

    fn command(&mut self, choices: &mut Choices<'_>) -> Option<Command> {
        let connection = self.id(choices);
        let note = || r#"{"type":"note"}"#.to_owned();
        let room = "a".to_owned();
        Some(match choices.below(13) {
            0 => Command::Send {
                connection,
                message: note(),
            },
            1 => Command::Publish {
                room,
                message: note(),
            },
            2 => Command::Reply {
                request: self.requests.pop()?,
                outcome: match choices.below(3) {
                    0 => Outcome::Ack,
                    1 => Outcome::Reply(note()),
                    _ => Outcome::Error {
                        code: ErrorCode::Forbidden,
                        message: "no".to_owned(),
                    },
                },
            },
            3 => Command::Fail {
                request: self.requests.pop()?,
            },
            4 => Command::Kick { connection, room },
            5 => Command::Close {
                connection,
                code: choices.short(),
                reason: "bye".to_owned(),
                reconnect_after_ms: choices.flag().then_some(7),
            },
            6 => Command::Explain {
                message: MessageName::Number(choices.number()),
                connection,
            },
            7 => Command::Explain {
                message: MessageName::Request {
                    sender: self.id(choices),
                    id: "1".to_owned(),
                },
                connection,
            },
            8 => Command::TakeSession {
                client: *self.clients.get(choices.below(256))?,
                asked_ms: choices.number(),
            },
            9 | 10 => {
                let nobody = (ShardId(0), ClientId::from_bytes(&[7; ClientId::BYTES]), 0);
                let (shard, client, asked_ms) = self.wanted.pop().unwrap_or(nobody);
                Command::GiveSession {
                    shard,
                    client,
                    asked_ms,
                    session: self.left.pop(),
                }
            }
            11 => Command::Drain,
            _ => Command::Abandon,
        })
    }

    /// Of a connection.
    fn hand_of(&mut self, recorded: Recorded) {
        let of = recorded.connection().expect("a connection");
        assert!(format!("{recorded:?}").contains(&format!("{of:?}")));
        self.hand(recorded);
    }

    /// Hands in what is written down as `recorded`.
    fn hand(&mut self, recorded: Recorded) {
        // What is handed in once the recording is over is in none.
        if !self.recorder.is_over() {
            self.inputs.push(recorded.clone());
        }
        let mut received = Vec::new();
        if let Recorded::Received { bytes, .. } = &recorded {
            received.clone_from(bytes);
        }
        let input = match recorded {
            Recorded::Received { connection, .. } => Input::Received {
                connection,
                bytes: &mut received,
            },
            Recorded::Sent {
                connection,
                bytes,
                blocked,
            } => Input::Sent {
                connection,
                bytes,
                blocked,
            },
            Recorded::Writable { connection } => Input::Writable { connection },
            Recorded::ReadEnd { connection } => Input::ReadEnd { connection },
            Recorded::Ended { connection, end } => Input::Ended { connection, end },
            Recorded::Connected { connection } => Input::Connected { connection },
            Recorded::ConnectFailed { connection } => Input::ConnectFailed { connection },
            Recorded::LinkReady { to, credits } => Input::LinkReady { to, credits },
            Recorded::PoolReady { jobs } => Input::PoolReady { jobs },
            Recorded::Done { job, failed } => match self.jobs.remove(&job) {
                Some(job) if !failed => Input::Done(job.run()),
                _ => Input::Done(Done::failed(job)),
            },
            Recorded::Command(command) => Input::Command(command),
            _ => Input::Tick,
        };
        let _ = self.recorder.handle(self.now, input);
    }

    fn poll(&mut self, polls: usize) {
        for _ in 0..polls {
            match self.recorder.poll() {
                Output::Idle { .. } => return,
                Output::Transmit { connection } => {
                    let bytes = self.recorder.unsent(connection).map(<[u8]>::len).sum();
                    self.hand(Recorded::Sent {
                        connection,
                        bytes,
                        blocked: false,
                    });
                }
                Output::Job(job) => {
                    self.jobs.insert(job.id(), job);
                }
                Output::Event(event) => self.told(event),
                _ => {}
            }
        }
    }

    fn told(&mut self, event: Event) {
        match event {
            Event::Opened { client, .. } => self.clients.push(client),
            Event::Application { request, .. } => self.requests.push(request),
            Event::FileStarted { transfer, .. } => self.transfer = Some(transfer),
            Event::SessionLeft { session, .. } => self.left.extend(session),
            Event::SessionWanted {
                shard,
                client,
                asked_ms,
            } => self.wanted.push((shard, client, asked_ms)),
            _ => {}
        }
    }
}

const HANDSHAKE: &[u8] =
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// What clients say: to rooms, to the program, and of a file of five bytes.
const TEXTS: [&str; 16] = [
    r#"{"type":"join","room":"a","id":1}"#,
    r#"{"type":"room_message","room":"a","data":"secret","id":1}"#,
    r#"{"type":"app","data":"secret","id":1}"#,
    r#"{"type":"resume","id":1}"#,
    r#"{"type":"resume","clientId":"client_BwcHBwcHBwcHBwcHBwcHBwcH","sessionSecret":"AAECAwQFBgcICQoLDA0ODw","id":1}"#,
    r#"{"type":"file_start","transferId":"f","to":"server","name":"a","size":5,"mimeType":"b"}"#,
    r#"{"type":"file_chunk","transfer":$T,"offset":0,"data":"aGVsbG8=","encoding":"base64"}"#,
    r#"{"type":"file_end","transferId":"f","hash":"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}"#,
    r#"{"type":"file_end","transferId":"f","hash":"sha256:0cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}"#,
    r#"{"type":"file_abort","transferId":"f","reason":"no"}"#,
    r#"{"type":"nobody","id":1}"#,
    r#"{"type":"#,
    r#"{"type":"broadcast","data":"aGk=","encoding":"base64"}"#,
    r#"{"type":"file_start","transferId":"f","room":"a","name":"a","size":5,"mimeType":"b"}"#,
    r#"{"type":"file_credit","transfer":$T,"offset":0,"window":65536}"#,
    r#"{"type":"file_complete","transfer":$T}"#,
];
