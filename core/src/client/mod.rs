//! A client's end of one WebSocket connection (RFC 6455): the opening handshake, messages, the closing one.
//!
//! One connection from its request to its end: what messages mean, and whether to connect again, is the caller's. It
//! owns no socket, clock or randomness: bytes are lent, the seed is an input, deadlines are the driver's.
//!
//! ```
//! use roomwire_core::client::{Client, ClientConfig, Event};
//!
//! let mut config = ClientConfig::new("example.com:8080");
//! config.target = "/ws".to_owned();
//! let mut client = Client::new(config, [7; 32])?; // a real seed is unpredictable
//!
//! // What a driver does: write what is there, and say how much the socket took.
//! assert!(client.unsent().starts_with(b"GET /ws HTTP/1.1\r\nHost: example.com:8080\r\n"));
//! client.sent(client.unsent().len());
//!
//! // And hand in what comes.
//! let mut received = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\n\r\n".to_vec();
//! client.receive(&mut received, |event| match event {
//!     Event::Refused { status, retry_after_s, .. } => assert_eq!((status, retry_after_s), (503, Some(2))),
//!     other => panic!("{other:?}"),
//! });
//! assert!(client.is_over());
//! # Ok::<(), roomwire_core::ConfigError>(())
//! ```

mod config;
pub mod files;
mod response;
#[cfg(test)]
mod tests;

use core::mem;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

pub use config::ClientConfig;
pub use response::ResponseError;

use crate::ConfigError;
use crate::websocket::{
    CloseCode, Control, Data, DecodeError, Decoder, MAX_HEADER_BYTES, MessageLimits, OpCode, Role,
    Step, put_close_payload, put_masked_frame,
};
use response::{Answer, Response};

/// What came. Whatever is lent is untrusted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The server took the connection: messages may be sent.
    Open {
        /// The subprotocol that it chose, one of those that were offered.
        protocol: Option<&'a str>,
    },
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
    /// A ping; it is being answered.
    Ping(&'a [u8]),
    /// A pong.
    Pong(&'a [u8]),
    /// The server closes, or agrees to: in order, and the last event.
    Closed {
        /// Why; `None`: it did not say (which is called 1005).
        code: Option<u16>,
        /// For people, often empty.
        reason: &'a str,
    },
    /// The server answered the handshake in HTTP, with another status than 101: the last event.
    Refused {
        /// The status: 300 to 599 if the server knows HTTP.
        status: u16,
        /// The words behind it, often empty. Where they are not UTF-8, they are left out.
        reason: &'a str,
        /// In how many seconds to try again, if the server says so.
        retry_after_s: Option<u64>,
    },
    /// The answer to the handshake is none: the last event.
    BadResponse(ResponseError),
    /// The server broke a rule of framing, or a limit; it is being told by [`DecodeError::close_code`]. The last
    /// event.
    Violation(DecodeError),
    /// The connection ended without a close frame (which is called 1006): the last event.
    Lost,
}

/// Why something was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The handshake is not over yet.
    #[error("the connection is not open yet")]
    NotOpen,
    /// The connection is closing or gone.
    #[error("the connection is closing")]
    Closing,
    /// It would be more than [`ClientConfig::max_unsent_bytes`] together with what waits: try again when that has
    /// been written, or not at all if nothing waits.
    #[error("too much waits to be sent")]
    Full,
}

/// One connection, from its handshake to its end.
///
/// A driver connects a socket, writes what [`unsent`](Self::unsent) lends and reports it to [`sent`](Self::sent), hands
/// what it reads to [`receive`](Self::receive) and the socket's end to [`ended`](Self::ended), until
/// [`is_over`](Self::is_over). Of what comes it holds at most [`ClientConfig::max_head_bytes`] during the handshake and
/// [`ClientConfig::max_message_bytes`] then; of what goes, the request or [`ClientConfig::max_unsent_bytes`], one pong
/// and one close frame. Buffers grow by doubling.
#[derive(Debug)]
pub struct Client {
    phase: Phase,
    limits: MessageLimits,
    decoder: Decoder,
    rng: ChaCha12Rng,
    out: Vec<u8>,
    /// How much of `out` has been written.
    written_bytes: usize,
    max_unsent_bytes: usize,
    /// The last ping that is not answered yet: an earlier one need not be (section 5.5.3).
    ping: Option<Vec<u8>>,
}

#[derive(Debug)]
enum Phase {
    /// The response is awaited.
    Opening(Response),
    Open,
    /// This end has sent a close frame, the other has not.
    Closing,
    /// Nothing more is read.
    Over,
}

impl Client {
    /// A client whose request waits to be sent. `seed` has to be unpredictable: the handshake's key and the masks
    /// follow from it.
    ///
    /// # Errors
    /// Names what cannot stand in a request.
    pub fn new(config: ClientConfig, seed: [u8; 32]) -> Result<Self, ConfigError> {
        let mut rng = ChaCha12Rng::from_seed(seed);
        let mut key = [0; 16];
        rng.fill_bytes(&mut key);
        Self::with_key(config, key, rng)
    }

    fn with_key(
        config: ClientConfig,
        key: [u8; 16],
        rng: ChaCha12Rng,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let key = data_encoding::BASE64.encode(&key);
        let mut out = Vec::new();
        config.write_request(&key, &mut out);
        Ok(Self {
            limits: MessageLimits {
                max_frame_bytes: config.max_message_bytes,
                max_message_bytes: config.max_message_bytes,
            },
            max_unsent_bytes: config.max_unsent_bytes,
            phase: Phase::Opening(Response::new(&key, config.protocols, config.max_head_bytes)),
            decoder: Decoder::new(Role::Client),
            rng,
            out,
            written_bytes: 0,
            ping: None,
        })
    }

    /// Takes what was read, all of it, and tells what it amounts to. How it is cut changes nothing. O(`bytes`).
    pub fn receive(&mut self, bytes: &mut [u8], mut on_event: impl FnMut(Event<'_>)) {
        let Some(rest) = self.read_response(bytes, &mut on_event) else {
            return;
        };
        let mut at = 0;
        while matches!(self.phase, Phase::Open | Phase::Closing) {
            let unread = rest.get_mut(at..).unwrap_or_default();
            match self.decoder.decode(unread, &self.limits) {
                Ok((Step::NeedMore, _)) => return,
                Ok((step, consumed)) => {
                    at += consumed;
                    self.take_step(&step, &mut on_event);
                }
                Err(error) => {
                    on_event(Event::Violation(error));
                    self.say_goodbye(error.close_code(), "");
                    self.phase = Phase::Over;
                }
            }
        }
    }

    /// The socket ended: nothing comes or goes any more.
    pub fn ended(&mut self, on_event: impl FnOnce(Event<'_>)) {
        if !matches!(self.phase, Phase::Over) {
            on_event(Event::Lost);
        }
        self.end_now();
    }

    /// Queues a text message. O(`text`).
    ///
    /// # Errors
    /// Nothing was queued then.
    pub fn send_text(&mut self, text: &str) -> Result<(), SendError> {
        self.send(Data::Text, text.as_bytes())
    }

    /// Queues a binary message. O(`bytes`).
    ///
    /// # Errors
    /// Nothing was queued then.
    pub fn send_binary(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        self.send(Data::Binary, bytes)
    }

    /// Closes in order: a close frame follows what is queued, what the server still sends is told, and
    /// [`Event::Closed`] comes when it agrees. How long to wait for that is the driver's. Before the handshake is over
    /// the connection just ends; closing twice changes nothing. For what becomes of `code` and `reason` see
    /// [`put_close_payload`].
    pub fn close(&mut self, code: u16, reason: &str) {
        match self.phase {
            Phase::Opening(_) => self.end_now(),
            Phase::Open => {
                self.say_goodbye(CloseCode::from(code), reason);
                self.phase = Phase::Closing;
            }
            Phase::Closing | Phase::Over => {}
        }
    }

    /// What waits to be written. O(1).
    pub fn unsent(&self) -> &[u8] {
        self.out.get(self.written_bytes..).unwrap_or_default()
    }

    /// The socket took so many bytes of [`unsent`](Self::unsent).
    pub fn sent(&mut self, bytes: usize) {
        self.written_bytes = self.out.len().min(self.written_bytes.saturating_add(bytes));
        if self.written_bytes == self.out.len() {
            self.out.clear();
            self.written_bytes = 0;
        }
        self.answer_ping();
    }

    /// Nothing comes any more and nothing waits to be written: the socket may be closed. O(1).
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over) && self.unsent().is_empty()
    }

    /// Reads on in the response, if it is still awaited; gives what belongs to frames, if any may follow.
    fn read_response<'b>(
        &mut self,
        bytes: &'b mut [u8],
        on_event: &mut impl FnMut(Event<'_>),
    ) -> Option<&'b mut [u8]> {
        let Phase::Opening(response) = &mut self.phase else {
            return Some(bytes);
        };
        let (consumed, answer) = response.read(bytes)?;
        let opens = matches!(answer, Answer::Open { .. });
        on_event(match &answer {
            Answer::Open { protocol } => Event::Open {
                protocol: protocol.as_deref(),
            },
            Answer::Refused {
                status,
                reason,
                retry_after_s,
            } => Event::Refused {
                status: *status,
                reason,
                retry_after_s: *retry_after_s,
            },
            Answer::Bad(error) => Event::BadResponse(*error),
        });
        if !opens {
            self.end_now();
            return None;
        }
        self.phase = Phase::Open;
        bytes.get_mut(consumed..)
    }

    fn take_step(&mut self, step: &Step<'_>, on_event: &mut impl FnMut(Event<'_>)) {
        match step {
            Step::Text(text) => on_event(Event::Text(text)),
            Step::Binary(bytes) => on_event(Event::Binary(bytes)),
            Step::Pong(payload) => on_event(Event::Pong(payload)),
            Step::Ping(payload) => {
                on_event(Event::Ping(payload));
                if matches!(self.phase, Phase::Open) {
                    self.ping = Some(payload.to_vec());
                    self.answer_ping();
                }
            }
            Step::Close(frame) => {
                let (code, reason) = frame
                    .as_ref()
                    .map_or((None, ""), |frame| (Some(frame.code), &*frame.reason));
                on_event(Event::Closed {
                    code: code.map(u16::from),
                    reason,
                });
                // Its own code comes back (section 5.5.1), or none if it gave none: 1005 is never sent.
                self.say_goodbye(code.unwrap_or(CloseCode::Status), "");
                self.phase = Phase::Over;
            }
            // Not before an extension has been agreed on.
            Step::Compressed { .. } | Step::NeedMore => {}
        }
    }

    fn send(&mut self, kind: Data, payload: &[u8]) -> Result<(), SendError> {
        match self.phase {
            Phase::Opening(_) => return Err(SendError::NotOpen),
            Phase::Open => {}
            Phase::Closing | Phase::Over => return Err(SendError::Closing),
        }
        if !self.has_room(payload.len()) {
            return Err(SendError::Full);
        }
        self.put(OpCode::Data(kind), payload);
        Ok(())
    }

    /// Whether a frame with so much payload stays within the bound, whatever its header takes.
    fn has_room(&self, payload_bytes: usize) -> bool {
        let used = self.unsent().len().saturating_add(MAX_HEADER_BYTES);
        used.saturating_add(payload_bytes) <= self.max_unsent_bytes
    }

    fn answer_ping(&mut self) {
        if let Some(payload) = self.ping.take() {
            if self.has_room(payload.len()) {
                self.put(OpCode::Control(Control::Pong), &payload);
            } else {
                self.ping = Some(payload);
            }
        }
    }

    /// Queues this end's close frame, unless it has been. Pings are not answered after it.
    fn say_goodbye(&mut self, code: CloseCode, reason: &str) {
        if !matches!(self.phase, Phase::Open) {
            return;
        }
        let mut payload = Vec::new();
        put_close_payload(&mut payload, code, reason);
        self.put(OpCode::Control(Control::Close), &payload);
        self.ping = None;
    }

    fn put(&mut self, opcode: OpCode, payload: &[u8]) {
        // Each byte is moved no more than once on average, as at least as many have left.
        if self.written_bytes > self.out.len() / 2 {
            self.out.drain(..mem::take(&mut self.written_bytes));
        }
        let mask = self.rng.next_u32().to_be_bytes();
        put_masked_frame(&mut self.out, opcode, true, false, payload, mask);
    }

    fn end_now(&mut self) {
        self.phase = Phase::Over;
        self.out = Vec::new();
        self.written_bytes = 0;
        self.ping = None;
    }
}
