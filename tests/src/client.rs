//! A WebSocket client that only keeps what it was sent: frames to messages, JSON to values.

use std::collections::VecDeque;

use roomwire_core::ConnectionId;
use serde_json::Value;

use crate::frame::{Frame, FrameReader, Opcode};

/// A whole message, or a control frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// A ping with its payload.
    Ping(Vec<u8>),
    /// A pong with its payload.
    Pong(Vec<u8>),
    /// The close frame: code (1005 if it has none) and reason.
    Close(u16, String),
}

impl Message {
    pub(crate) fn from_frame(frame: Frame) -> Self {
        assert!(frame.fin, "the server fragments nothing");
        match frame.opcode {
            Opcode::Text => Self::Text(utf8(frame.payload)),
            Opcode::Binary => Self::Binary(frame.payload),
            Opcode::Ping => Self::Ping(frame.payload),
            Opcode::Pong => Self::Pong(frame.payload),
            Opcode::Close => match frame.payload.as_slice() {
                [] => Self::Close(1005, String::new()),
                &[high, low, ref reason @ ..] => {
                    Self::Close(u16::from_be_bytes([high, low]), utf8(reason.to_vec()))
                }
                [_] => panic!("a close frame of one byte"),
            },
            Opcode::Continuation => panic!("a continuation of nothing"),
        }
    }
}

/// One client.
#[derive(Debug)]
pub struct Client {
    /// Its connection.
    pub connection: ConnectionId,
    /// The `clientId` of its welcome; empty before.
    pub id: String,
    /// The head of the HTTP response, once it is whole.
    pub response: Option<String>,
    head: Vec<u8>,
    reader: FrameReader,
    messages: VecDeque<Message>,
    /// The close frame that came.
    pub close: Option<(u16, String)>,
    /// Pings are answered, as every well-behaved client does.
    pub answers_pings: bool,
    pub(crate) pings: u32,
    /// Messages that came compressed.
    pub compressed: usize,
}

impl Client {
    /// Before its handshake.
    pub fn new(connection: ConnectionId) -> Self {
        Self {
            connection,
            id: String::new(),
            response: None,
            head: Vec::new(),
            reader: FrameReader::default(),
            messages: VecDeque::new(),
            close: None,
            answers_pings: true,
            pings: 0,
            compressed: 0,
        }
    }

    /// Takes what has arrived. Before the handshake is answered with 101 everything belongs to the response.
    pub fn receive(&mut self, bytes: &[u8]) {
        if self.is_upgraded() {
            self.reader.push(bytes);
        } else {
            self.head.extend_from_slice(bytes);
            self.read_response();
        }
        while let Some(frame) = self.reader.next_frame() {
            assert_eq!(self.close, None, "a frame after the close frame");
            self.compressed += usize::from(frame.compressed);
            let message = Message::from_frame(frame);
            match &message {
                Message::Close(code, reason) => self.close = Some((*code, reason.clone())),
                Message::Ping(_) => self.pings += 1,
                _ => {}
            }
            self.messages.push_back(message);
        }
    }

    fn read_response(&mut self) {
        // Answers to plain requests may come before it on the same connection.
        let upgraded = find(&self.head, SWITCHING);
        let Some(end) = find(&self.head[upgraded.unwrap_or(0)..], b"\r\n\r\n") else {
            return;
        };
        let rest = self.head.split_off(upgraded.unwrap_or(0) + end + 4);
        let head = utf8(core::mem::take(&mut self.head));
        if upgraded.is_some() {
            self.reader = FrameReader::after(&head);
            self.reader.push(&rest);
            self.response = Some(head);
        } else {
            // A plain response: everything that comes is text for the test to look at.
            let so_far = head + &utf8(rest);
            self.head = so_far.clone().into_bytes();
            self.response = Some(so_far);
        }
    }

    /// Whether the handshake succeeded.
    pub fn is_upgraded(&self) -> bool {
        let response = self.response.as_deref();
        response.is_some_and(|head| find(head.as_bytes(), SWITCHING).is_some())
    }

    /// The status of the response; 0 before it came.
    pub fn status(&self) -> u16 {
        let code = self.response.as_deref().and_then(|head| head.get(9..12));
        code.and_then(|code| code.parse().ok()).unwrap_or_default()
    }

    /// The next message or control frame.
    pub fn next_message(&mut self) -> Option<Message> {
        self.messages.pop_front()
    }

    /// Bytes of a frame that has not arrived whole.
    pub fn pending_bytes(&self) -> usize {
        self.reader.pending_bytes()
    }

    /// The next text; control frames on the way are skipped.
    pub fn next_text(&mut self) -> Option<String> {
        self.take_text(|_| true)
    }

    /// Takes out the first text that `wanted` accepts, leaving the others.
    pub fn take_text(&mut self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let index = self.messages.iter().position(|message| match message {
            Message::Text(text) => wanted(text),
            _ => false,
        })?;
        match self.messages.remove(index) {
            Some(Message::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The next text as JSON.
    pub fn next_json(&mut self) -> Option<Value> {
        self.next_text().map(|text| json(&text))
    }
}

/// Parses JSON from the server, which must be right.
pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text:?}"))
}

fn utf8(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("the server sends valid UTF-8")
}

/// How the answer to an upgrade begins.
const SWITCHING: &[u8] = b"HTTP/1.1 101 ";

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}
