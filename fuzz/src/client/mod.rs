//! A client and whatever calls itself a server: its answer to the handshake, and all that follows.
//!
//! Promises: however the bytes are cut, the same is told and the same is sent; an answer of good parts opens and one
//! with a bad part does not, nor does any that another reader finds wanting; after the last event there is none; what
//! is sent can be read; memory stays within what the configuration says; no configuration breaks out of its request.

mod answer;
mod frames;
mod request;
mod sent;

use roomwire_core::client::{Client, ClientConfig, ClientDeflate, Event, SendError};
use roomwire_core::http::{HeadLimits, Parsed, RequestHead};
use roomwire_core::websocket::deflate::Window;
use roomwire_core::websocket::handshake;

use crate::input::{Choices, Cuts};

/// A configuration, what is done after each event, where the bytes are cut; then the bytes, or the recipe for an
/// answer and frames, or for another request.
pub fn target(data: &[u8]) {
    let mut choices = Choices::new(data);
    let setup = Setup::choose(&mut choices);
    let cuts = Cuts::choose(&mut choices);
    let way = choices.below(4);
    if way == 3 {
        return request::check(&mut choices);
    }
    if way != 1 {
        let bytes = choices.rest();
        let outcome = check_all(&setup, bytes, cuts);
        if let Some(Told::Open(protocol)) = outcome.told.first() {
            answer::check_opened(
                &setup.config,
                bytes,
                protocol.as_deref(),
                outcome.compresses,
            );
        }
        return;
    }
    let answer = answer::recipe(&setup.config, &mut choices);
    let mut bytes = answer.bytes;
    let fits = bytes.len() <= setup.config.max_head_bytes;
    let expected = match answer.opens {
        Some(deflate) if fits => {
            let limit = setup.config.max_message_bytes;
            let mut expected = vec![Told::Open(answer.protocol)];
            frames::recipe(&mut choices, deflate, limit, &mut bytes, &mut expected);
            Some((expected, deflate))
        }
        _ => {
            bytes.extend_from_slice(choices.rest());
            None
        }
    };
    let outcome = check_all(&setup, &bytes, cuts);
    match expected {
        Some((expected, deflate)) => {
            assert_eq!(outcome.compresses, deflate && !setup.ends_early());
            let mut told = outcome.told;
            told.pop_if(|told| *told == Told::Other("Lost".to_owned(), true));
            // It may have ended before.
            assert!(
                expected.starts_with(&told),
                "{told:?} instead of {expected:?}"
            );
            assert!(
                told.len() == expected.len() || setup.ends(),
                "something is missing"
            );
        }
        None => assert!(!matches!(outcome.told.first(), Some(Told::Open(_)))),
    }
}

/// The value of `Sec-WebSocket-Accept` that opens each of these connections.
pub fn accept() -> String {
    let client = Client::new(ClientConfig::new("a"), SEED).expect("a name");
    answered(client.unsent())
}

/// So that an answer can be made up before the request is seen.
const SEED: [u8; 32] = [7; 32];

/// What the server's half of the handshake answers to a key, if it takes the request.
fn answered(request: &[u8]) -> String {
    let limits = HeadLimits {
        max_bytes: request.len() + 1,
        max_headers: 64,
    };
    let Ok(Parsed::Complete { head, consumed }) = RequestHead::parse(request, &limits, &mut 0)
    else {
        panic!("not a request: {:?}", String::from_utf8_lossy(request));
    };
    assert_eq!(consumed, request.len());
    let upgrade = handshake::check(&head, &PROTOCOLS, true).expect("a handshake");
    let mut fields = upgrade.headers();
    let accept = fields.find(|(name, _)| *name == "Sec-WebSocket-Accept");
    accept.expect("an answer to the key").1.to_owned()
}

const PROTOCOLS: [&str; 2] = ["chat", "superchat"];

struct Setup<'a> {
    config: ClientConfig,
    /// What is done before anything comes, and whether anything is.
    early: Option<u8>,
    /// What is done after each event.
    acts: &'a [u8],
}

impl<'a> Setup<'a> {
    fn choose(choices: &mut Choices<'a>) -> Self {
        let mut config = ClientConfig::new("example.com");
        let bits = choices.byte();
        if bits & 1 == 1 {
            config.protocols = PROTOCOLS.map(str::to_owned).to_vec();
        }
        config.deflate = (bits & 2 == 0).then(|| {
            let mut deflate = ClientDeflate::DEFAULT;
            deflate.threshold_bytes = if bits & 4 == 0 { 0 } else { 1_024 };
            deflate.server_window = Window::ALL.get(usize::from(bits >> 4)).copied();
            deflate
        });
        config.max_head_bytes = [16 * 1_024, 0, 150, 300, 1_000][choices.below(5)];
        config.max_message_bytes =
            [1_000, 0, 4, 125, 126, 4_096, 70_000, 1 << 18][choices.below(8)];
        config.max_unsent_bytes = [1 << 20, 0, 20, 139, 500, 5_000][choices.below(6)];
        let early = (bits & 8 == 8).then(|| choices.byte() % 16);
        let count = choices.below(17);
        Self {
            config,
            early,
            acts: choices.take(count),
        }
    }

    /// Whether the connection may end before the bytes do.
    fn ends(&self) -> bool {
        self.acts.iter().any(|act| act % 16 == ACT_END) || self.ends_early()
    }

    /// Whether it does before the handshake is over.
    fn ends_early(&self) -> bool {
        matches!(self.early, Some(7 | 8 | ACT_END))
    }
}

const ACT_END: u8 = 9;

/// An event without what it lends.
#[derive(Debug, PartialEq)]
enum Told {
    Binary(Vec<u8>),
    Open(Option<String>),
    Text(String),
    /// In words; and whether it is the last one.
    Other(String, bool),
}

impl Told {
    fn of(event: &Event<'_>) -> Self {
        match event {
            Event::Binary(bytes) => Self::Binary(bytes.to_vec()),
            Event::Open { protocol } => Self::Open(protocol.map(str::to_owned)),
            Event::Text(text) => Self::Text((*text).to_owned()),
            Event::Ping(_) | Event::Pong(_) => Self::Other(format!("{event:?}"), false),
            event => Self::Other(format!("{event:?}"), true),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Binary(bytes) => bytes.len(),
            Self::Text(text) => text.len(),
            _ => 0,
        }
    }
}

/// What a run came to.
#[derive(Debug, PartialEq)]
struct Outcome {
    told: Vec<Told>,
    /// What became of what was to be sent.
    tried: Vec<Result<(), SendError>>,
    sent: Vec<u8>,
    compresses: bool,
    is_over: bool,
}

/// Whole, as cut, and byte by byte: all the same.
fn check_all(setup: &Setup<'_>, bytes: &[u8], cuts: Cuts) -> Outcome {
    let whole = run(setup, bytes, [bytes.len()]);
    let pieces = run(setup, bytes, cuts.ends(bytes.len()));
    assert!(pieces == whole, "{pieces:?} instead of {whole:?}");
    if bytes.len() <= 4_096 {
        let bytewise = run(setup, bytes, Cuts::BYTEWISE.ends(bytes.len()));
        assert!(bytewise == whole, "{bytewise:?} instead of {whole:?}");
    }
    sent::check(&whole, !setup.ends());
    if setup.acts.is_empty() && setup.early.is_none() {
        let mut told = Vec::new();
        let mut client = Client::new(setup.config.clone(), SEED).expect("a name");
        client.receive(&mut bytes.to_vec(), |event| told.push(Told::of(&event)));
        client.ended(|event| told.push(Told::of(&event)));
        assert!(told == whole.told, "all at once");
    }
    whole
}

fn run(setup: &Setup<'_>, bytes: &[u8], ends: impl IntoIterator<Item = usize>) -> Outcome {
    let mut run = Run {
        client: Client::new(setup.config.clone(), SEED).expect("a name"),
        setup,
        outcome: Outcome {
            told: Vec::new(),
            tried: Vec::new(),
            sent: Vec::new(),
            compresses: false,
            is_over: false,
        },
        request_bytes: 0,
    };
    run.request_bytes = run.client.unsent().len();
    if let Some(act) = setup.early {
        run.act(act);
        let nothing_yet = |tried: &Result<_, _>| *tried == Err(SendError::NotOpen);
        assert!(run.outcome.tried.iter().all(nothing_yet));
    }
    let mut start = 0;
    for end in ends {
        run.receive(&mut bytes[start..end].to_vec());
        start = end;
    }
    run.outcome.compresses = run.client.is_compressing();
    run.outcome.is_over = run.client.is_over();
    let left = run.client.unsent().to_vec();
    run.outcome.sent.extend(left);
    run.end();
    run.outcome
}

struct Run<'s> {
    client: Client,
    setup: &'s Setup<'s>,
    outcome: Outcome,
    request_bytes: usize,
}

impl Run<'_> {
    fn receive(&mut self, piece: &mut [u8]) {
        let given = piece.to_vec();
        let mut at = 0;
        while at < piece.len() {
            let mut told = None;
            let took = self
                .client
                .receive_next(&mut piece[at..], |event| told = Some(Told::of(&event)));
            assert!(took > 0 && took <= piece.len() - at);
            at += took;
            assert_eq!(&piece[at..], &given[at..], "untouched");
            self.check_bounds();
            if let Some(told) = told {
                self.tell(told);
                if let Some(act) = self.setup.acts.get(self.outcome.told.len() - 1) {
                    self.act(*act);
                }
                self.check_bounds();
            }
        }
    }

    fn tell(&mut self, told: Told) {
        assert!(told.bytes() <= self.setup.config.max_message_bytes);
        let last = self.outcome.told.last();
        assert!(
            !matches!(last, Some(Told::Other(_, true))),
            "{told:?} after {last:?}"
        );
        let is_first = last.is_none();
        assert_eq!(is_first, is_answer(&told), "{told:?}");
        self.outcome.told.push(told);
    }

    /// What the application does now.
    fn act(&mut self, act: u8) {
        let tried = match act % 16 {
            1 => self.client.send_text("hello"),
            2 => self.client.send_binary(&[act; 200]),
            3 => {
                let text = "the same again, ".repeat(usize::from(act));
                self.client.send_text(&text)
            }
            4 => self.client.send_binary(b""),
            5 => return self.sent(usize::MAX),
            6 => return self.sent(usize::from(act >> 4)),
            7 => {
                let reason = "bye \u{e4}".repeat(9);
                return self.client.close(u16::from(act) + 900, &reason);
            }
            8 => return self.client.close(1_000, ""),
            ACT_END => return self.end(),
            10 => return self.sent(self.client.unsent().len() * 3 / 4),
            _ => return,
        };
        self.outcome.tried.push(tried);
    }

    fn sent(&mut self, bytes: usize) {
        let unsent = self.client.unsent();
        let took = bytes.min(unsent.len());
        self.outcome.sent.extend_from_slice(&unsent[..took]);
        self.client.sent(bytes);
    }

    fn end(&mut self) {
        let mut told = None;
        self.client.ended(|event| told = Some(Told::of(&event)));
        let closed = matches!(self.outcome.told.last(), Some(Told::Other(_, true)));
        // Whoever closes before the handshake is over wants to hear of nothing.
        let is_silent = matches!(self.setup.early, Some(7 | 8));
        assert_eq!(told.is_none(), closed || is_silent, "{told:?}");
        self.outcome.told.extend(told);
        assert!(self.client.is_over() && self.client.unsent().is_empty());
        assert!(self.client.send_text("").is_err());
        self.client
            .receive(&mut [0x81, 0], |event| panic!("{event:?}"));
        self.client.ended(|event| panic!("{event:?}"));
    }

    fn check_bounds(&self) {
        let config = &self.setup.config;
        let control = 2 * (14 + 125);
        let most = self.request_bytes.max(config.max_unsent_bytes) + control;
        assert!(self.client.unsent().len() <= most, "waits to be sent");
        let unread = (2 * config.max_head_bytes).max(config.max_message_bytes + 125);
        let compression = match self.client.is_compressing() {
            true => COMPRESSORS_BYTES + INFLATER_BYTES,
            false => 0,
        };
        let held = self.client.heap_bytes();
        assert!(
            held <= unread.max(64) + 2 * most + 125 + compression,
            "holds {held}"
        );
    }
}

/// The first event, and only that, is about the handshake; a connection may also be lost at once.
fn is_answer(told: &Told) -> bool {
    match told {
        Told::Open(_) => true,
        Told::Other(words, _) => words.starts_with("Refused") || words.starts_with("BadResponse"),
        _ => false,
    }
}

/// As they are documented, at the default effort, with the buffer that each may keep.
const COMPRESSORS_BYTES: usize = 330_000 + 64 * 1_024;
const INFLATER_BYTES: usize = 48_000 + 64 * 1_024;
