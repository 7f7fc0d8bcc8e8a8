//! A server without sockets, and what becomes of one connection to it.

use core::fmt;

use roomwire_core::config::{Limits, ListenerConfig};
use roomwire_core::{
    Config, ConnectionId, Input, Instant, ListenerId, Machine as _, Now, Output, PeerAddr,
    TransportEnd, Turn,
};

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It waits for more.
    Kept,
    /// The server has said all that it will ever say.
    Closed,
}

/// All that a client sees.
#[derive(PartialEq, Eq)]
pub(crate) struct Outcome {
    received: Vec<u8>,
    pub(crate) end: End,
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} after {}", self.end, self.received.escape_ascii())
    }
}

/// The answers to requests.
pub(crate) struct Answers<'a> {
    pub(crate) statuses: Vec<u16>,
    /// The last one says that the connection goes on.
    pub(crate) keeps: bool,
    /// What follows a 101.
    pub(crate) rest: &'a [u8],
}

impl Outcome {
    /// Reads the answers, each of which must be whole.
    pub(crate) fn answers(&self) -> Answers<'_> {
        let mut answers = Answers {
            statuses: Vec::new(),
            keeps: false,
            rest: &self.received,
        };
        while !answers.rest.is_empty() {
            let mut fields = [httparse::EMPTY_HEADER; 16];
            let mut response = httparse::Response::new(&mut fields);
            let length = match response.parse(answers.rest) {
                Ok(httparse::Status::Complete(length)) => length,
                other => panic!("{other:?}: {}", self.received.escape_ascii()),
            };
            let field = |name: &str| {
                let field = response
                    .headers
                    .iter()
                    .find(|it| it.name.eq_ignore_ascii_case(name));
                field.map(|field| str::from_utf8(field.value).expect("ASCII"))
            };
            let status = response.code.expect("a status");
            let body_bytes =
                field("content-length").map_or(0, |value| value.parse().expect("a number"));
            answers.keeps =
                field("connection").is_some_and(|it| it.starts_with("keep-alive")) || status == 101;
            answers.statuses.push(status);
            answers.rest = &answers.rest[length..];
            if status == 101 {
                break;
            }
            // The answer to HEAD names the length of what it does not have.
            let bare = answers.rest.is_empty() || answers.rest.starts_with(b"HTTP/1.1 ");
            answers.rest = &answers.rest[if bare { 0 } else { body_bytes }..];
        }
        answers
    }
}

/// Short frames from a server: the first byte and the payload; of a close frame only its code.
pub(crate) fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, length @ 0..126, rest @ ..] = bytes {
        let (payload, after) = rest.split_at(usize::from(*length));
        let told = if *first == 0x88 {
            2.min(payload.len())
        } else {
            payload.len()
        };
        frames.push((*first, payload[..told].to_vec()));
        bytes = after;
    }
    assert_eq!(bytes, b"", "the rest of a frame");
    frames
}

/// A server that serves one connection after the other.
pub(crate) struct Server {
    server: roomwire_core::Server,
    /// The server is polled after every piece, not only after the last one.
    pub(crate) polls_between: bool,
}

impl Default for Server {
    fn default() -> Self {
        let config = Config {
            limits: Limits {
                max_head_bytes: 512,
                max_headers: 8,
                max_body_bytes: 64,
                ..Limits::default()
            },
            listeners: vec![ListenerConfig {
                echo: true,
                ..ListenerConfig::default()
            }],
            ..Config::default()
        };
        Self {
            server: roomwire_core::Server::new(
                config.validate().expect("an allowed config"),
                [7; 32],
            ),
            polls_between: true,
        }
    }
}

/// Nothing here takes any time.
const NOW: Now = Now {
    mono: Instant::from_micros(1_000_000),
    unix_ms: 1_700_000_000_000,
};

impl Server {
    /// What becomes of a new connection that sends these pieces.
    pub(crate) fn outcome_of(&mut self, pieces: &[&[u8]]) -> Outcome {
        let peer = PeerAddr::Inet(([127, 0, 0, 1], 50_000).into());
        let connection = self.server.accept(NOW, peer, ListenerId(0)).expect("taken");
        let mut client = Client::new(connection);
        for piece in pieces {
            let mut bytes = piece.to_vec();
            if client.gone {
                break; // its id is dead
            }
            let received = Input::Received {
                connection,
                bytes: &mut bytes,
            };
            if self.server.handle(NOW, received) == Turn::Full || self.polls_between {
                self.drain(&mut client);
            }
        }
        self.drain(&mut client);
        assert!(!client.paused, "it was never read from again");
        if !client.gone {
            let end = TransportEnd::Reset;
            let _ = self.server.handle(NOW, Input::Ended { connection, end });
            self.drain(&mut Client::new(connection));
        }
        client.outcome
    }

    /// Connections, and bytes that are kept for any.
    pub(crate) fn held(&self) -> (usize, usize) {
        let stats = self.server.stats();
        (stats.connections, stats.buffered_bytes)
    }

    /// Does what the server asks until it is idle.
    fn drain(&mut self, client: &mut Client) {
        loop {
            match self.server.poll() {
                Output::Transmit { connection } => {
                    assert_eq!(
                        (connection, client.outcome.end),
                        (client.connection, End::Kept)
                    );
                    let before = client.outcome.received.len();
                    for slice in self.server.unsent(connection) {
                        client.outcome.received.extend(slice);
                    }
                    let sent = Input::Sent {
                        connection,
                        bytes: client.outcome.received.len() - before,
                        blocked: false,
                    };
                    let _ = self.server.handle(NOW, sent);
                }
                Output::ReadInterest { wanted, .. } => client.paused = !wanted,
                Output::Finish { .. } => client.outcome.end = End::Closed,
                Output::Close { .. } => {
                    client.outcome.end = End::Closed;
                    client.gone = true;
                }
                Output::Idle { .. } => return,
                _ => {}
            }
        }
    }
}

/// The far end of a connection.
struct Client {
    connection: ConnectionId,
    outcome: Outcome,
    paused: bool,
    gone: bool,
}

impl Client {
    const fn new(connection: ConnectionId) -> Self {
        Self {
            connection,
            outcome: Outcome {
                received: Vec::new(),
                end: End::Kept,
            },
            paused: false,
            gone: false,
        }
    }
}
