//! A client's end of one WebSocket connection (RFC 6455): the opening handshake, messages, the closing one. Messages may
//! be compressed (RFC 7692), if the server agrees.
//!
//! One connection from its request to its end: what messages mean, and whether to connect again, is the caller's, such as
//! a [`session`]'s. It owns no socket, clock or randomness: bytes are lent, the seed is an input, deadlines are the
//! driver's.
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

mod compression;
mod config;
pub mod files;
mod response;
pub mod route;
pub mod session;
#[cfg(test)]
mod tests;

use core::mem;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

pub use config::{ClientConfig, ClientDeflate};
pub use response::ResponseError;

use crate::ConfigError;
use crate::websocket::deflate::negotiation::Accepted;
use crate::websocket::{
    CloseCode, Control, Data, DataKind, DecodeError, Decoder, MAX_HEADER_BYTES, MessageLimits,
    OpCode, Role, Step, put_close_payload, put_masked_frame,
};
use compression::Compression;
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
    /// The server answered the handshake in HTTP, with another status than 101: the last event. Redirects are not
    /// followed.
    Refused {
        /// The status: 300 to 599 if the server knows HTTP.
        status: u16,
        /// The words behind it, often empty. Where they are not UTF-8, they are left out.
        reason: &'a str,
        /// In how many seconds to try again, if the server says so.
        retry_after_s: Option<u64>,
        /// Where a redirect (3xx) points to, as it stands in `Location`: a URL, or a part of one.
        location: Option<&'a str>,
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
/// [`ClientConfig::max_message_bytes`] then, and as much again while it inflates a message; of what goes, the request or
/// [`ClientConfig::max_unsent_bytes`], one pong and one close frame. Buffers grow by doubling. For what compression
/// takes see [`ClientDeflate`].
#[derive(Debug)]
pub struct Client {
    phase: Phase,
    limits: MessageLimits,
    decoder: Decoder,
    deflate: Option<ClientDeflate>,
    /// Once the server has agreed to it.
    compression: Option<Box<Compression>>,
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
            phase: Phase::Opening(Response::new(
                &key,
                config.protocols,
                config.deflate.map(|deflate| deflate.offer()),
                config.max_head_bytes,
            )),
            decoder: Decoder::new(Role::Client),
            deflate: config.deflate,
            compression: None,
            rng,
            out,
            written_bytes: 0,
            ping: None,
        })
    }

    /// Takes what was read, all of it, and tells what it amounts to. How it is cut changes nothing. O(`bytes`).
    pub fn receive(&mut self, bytes: &mut [u8], mut on_event: impl FnMut(Event<'_>)) {
        let mut at = 0;
        while at < bytes.len() {
            let unread = bytes.get_mut(at..).unwrap_or_default();
            at += self.receive_next(unread, &mut on_event);
        }
    }

    /// Takes what was read up to the end of the next event, and tells it; all of it, if it comes to none. Gives how
    /// many bytes that were, at least one if there are any: for those who answer an event before a close frame
    /// behind it is read, after which nothing may be sent. O(what it takes).
    pub fn receive_next(&mut self, bytes: &mut [u8], on_event: impl FnOnce(Event<'_>)) -> usize {
        match self.phase {
            Phase::Opening(_) => self.read_response(bytes, on_event),
            Phase::Open | Phase::Closing => self.read_frames(bytes, on_event),
            Phase::Over => bytes.len(),
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

    /// Whether the server has agreed to compress messages ([`ClientConfig::deflate`]). O(1).
    pub const fn is_compressing(&self) -> bool {
        self.compression.is_some()
    }

    /// Nothing comes any more and nothing waits to be written: the socket may be closed. O(1).
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over) && self.unsent().is_empty()
    }

    /// Memory of what it holds, in bytes: of what has arrived of a response, a message or a control frame, of what
    /// waits to be written, and of compression. O(1).
    pub fn heap_bytes(&self) -> usize {
        let head = match &self.phase {
            Phase::Opening(response) => response.buffered_bytes(),
            Phase::Open | Phase::Closing | Phase::Over => 0,
        };
        let ping = self.ping.as_ref().map_or(0, Vec::capacity);
        let compression = self.compression.as_ref().map_or(0, |it| it.heap_bytes());
        head + self.decoder.buffered_bytes() + self.out.capacity() + ping + compression
    }

    /// Reads on in the response; gives how many bytes belong to it.
    fn read_response(&mut self, bytes: &[u8], on_event: impl FnOnce(Event<'_>)) -> usize {
        let Phase::Opening(response) = &mut self.phase else {
            return bytes.len();
        };
        let Some((consumed, answer)) = response.read(bytes) else {
            return bytes.len();
        };
        match answer {
            Answer::Open { protocol, deflate } => {
                self.phase = Phase::Open;
                self.agree(deflate);
                let protocol = protocol.as_deref();
                on_event(Event::Open { protocol });
                return consumed;
            }
            Answer::Refused {
                status,
                reason,
                retry_after_s,
                location,
            } => on_event(Event::Refused {
                status,
                reason: &reason,
                retry_after_s,
                location: location.as_deref(),
            }),
            Answer::Bad(error) => on_event(Event::BadResponse(error)),
        }
        self.end_now();
        bytes.len()
    }

    /// From here on messages may be compressed, if the server accepted that.
    fn agree(&mut self, accepted: Option<Accepted>) {
        if let (Some(deflate), Some(accepted)) = (self.deflate, accepted) {
            self.decoder = Decoder::new(Role::Client).allow_rsv1();
            self.compression = Some(Box::new(Compression::new(deflate, accepted)));
        }
    }

    /// Reads frames up to the end of the next message or control frame.
    fn read_frames(&mut self, bytes: &mut [u8], on_event: impl FnOnce(Event<'_>)) -> usize {
        let given = bytes.len();
        match self.decoder.decode(bytes, &self.limits) {
            Ok((Step::Compressed { kind, payload }, consumed)) => {
                self.take_compressed(kind, &payload, on_event);
                consumed
            }
            Ok((step, consumed)) => {
                self.take_step(&step, on_event);
                consumed
            }
            Err(error) => {
                self.break_off(error, on_event);
                given
            }
        }
    }

    fn take_compressed(
        &mut self,
        kind: DataKind,
        payload: &[u8],
        on_event: impl FnOnce(Event<'_>),
    ) {
        // There is none only before the server has agreed, when the decoder lets no such message through.
        let Some(mut compression) = self.compression.take() else {
            return;
        };
        match compression.inflate(kind, payload, self.limits.max_message_bytes) {
            Ok(event) => on_event(event),
            Err(error) => self.break_off(error, on_event),
        }
        compression.shrink();
        self.compression = Some(compression);
    }

    fn break_off(&mut self, error: DecodeError, on_event: impl FnOnce(Event<'_>)) {
        on_event(Event::Violation(error));
        self.say_goodbye(error.close_code(), "");
        self.phase = Phase::Over;
    }

    fn take_step(&mut self, step: &Step<'_>, on_event: impl FnOnce(Event<'_>)) {
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
            // Compressed messages have been inflated.
            Step::Compressed { .. } | Step::NeedMore => {}
        }
    }

    fn send(&mut self, kind: Data, payload: &[u8]) -> Result<(), SendError> {
        match self.phase {
            Phase::Opening(_) => return Err(SendError::NotOpen),
            Phase::Open => {}
            Phase::Closing | Phase::Over => return Err(SendError::Closing),
        }
        // What is too large as it is gets its one chance when nothing else waits, not each time it is tried.
        if !self.has_room(payload.len()) && !self.unsent().is_empty() {
            return Err(SendError::Full);
        }
        let mut compression = self.compression.take();
        let compressed = compression.as_mut().and_then(|it| it.compress(payload));
        let (rsv1, payload) = compressed.map_or((false, payload), |bytes| (true, bytes));
        let fits = self.has_room(payload.len());
        if fits {
            self.put(OpCode::Data(kind), rsv1, payload);
        }
        if let Some(compression) = &mut compression {
            compression.shrink();
        }
        self.compression = compression;
        if fits { Ok(()) } else { Err(SendError::Full) }
    }

    /// Whether a frame with so much payload stays within the bound, whatever its header takes.
    fn has_room(&self, payload_bytes: usize) -> bool {
        let used = self.unsent().len().saturating_add(MAX_HEADER_BYTES);
        used.saturating_add(payload_bytes) <= self.max_unsent_bytes
    }

    fn answer_ping(&mut self) {
        if let Some(payload) = self.ping.take() {
            if self.has_room(payload.len()) {
                self.put(OpCode::Control(Control::Pong), false, &payload);
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
        self.put(OpCode::Control(Control::Close), false, &payload);
        self.ping = None;
    }

    fn put(&mut self, opcode: OpCode, rsv1: bool, payload: &[u8]) {
        // Each byte is moved no more than once on average, as at least as many have left.
        if self.written_bytes > self.out.len() / 2 {
            self.out.drain(..mem::take(&mut self.written_bytes));
        }
        let mask = self.rng.next_u32().to_be_bytes();
        put_masked_frame(&mut self.out, opcode, true, rsv1, payload, mask);
    }

    fn end_now(&mut self) {
        self.phase = Phase::Over;
        self.out = Vec::new();
        self.written_bytes = 0;
        self.ping = None;
    }
}
