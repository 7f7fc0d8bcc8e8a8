//! A WebSocket client over bytes: what a program with a library of its own makes of what a server sends.
//!
//! Two codecs, neither of which shares code with the server: tungstenite's client and the tests' own reader.
//! Frames are written by the tests' own code with keys from a seed, so that a run can be repeated.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};

use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tungstenite::{Error, Message};

use crate::deflate::deflated;
use crate::frame::{FrameReader, Opcode, with_key};
use crate::rng::Rng;

/// Which codec reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// The tests' own.
    Own,
    /// The same, with compression.
    Deflating,
    /// tungstenite's.
    Tungstenite,
}

/// What a client hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The handshake succeeded.
    Upgraded,
    /// It did not: the status of the response.
    Response(u16),
    /// A text message.
    Text(String),
    /// A binary message.
    Binary(Vec<u8>),
    /// A ping, to be answered with its payload.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
    /// A close frame; 1005 if it has no code.
    Close(u16),
    /// What no client library takes.
    Broken(String),
}

/// A client's half of a WebSocket connection.
#[derive(Debug)]
pub struct Peer {
    codec: Codec,
    stage: Stage,
    head: Vec<u8>,
    rng: Rng,
    pings: u64,
}

#[derive(Debug)]
enum Stage {
    Head,
    Own(FrameReader),
    Tungstenite(Box<WebSocket<Memory>>),
    /// A plain response, or a session that is over.
    Over,
}

impl Peer {
    /// Before its handshake.
    pub fn new(codec: Codec, seed: u64) -> Self {
        Self {
            codec,
            stage: Stage::Head,
            head: Vec::new(),
            rng: Rng::new(seed),
            pings: 0,
        }
    }

    /// How many pings it has written since the last call.
    pub fn take_pings(&mut self) -> u64 {
        core::mem::take(&mut self.pings)
    }

    /// Whether frames can be exchanged.
    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Own(_) | Stage::Tungstenite(_))
    }

    /// One frame, masked with a key that its seed decides.
    pub fn frame(&mut self, opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
        self.pings += u64::from(opcode == Opcode::Ping);
        let key = (self.rng.next() as u32).to_le_bytes();
        with_key(opcode, fin, payload, key)
    }

    /// A message in at most `fragments` frames, with a ping between two of them; compressed if that was agreed on.
    pub fn message(&mut self, opcode: Opcode, payload: &[u8], fragments: usize) -> Vec<u8> {
        match &self.stage {
            Stage::Own(reader) if reader.inflates() => {
                let mut bytes = self.parts(opcode, &deflated(payload), fragments);
                // The first frame says so for all of them.
                bytes[0] |= 0x40;
                bytes
            }
            _ => self.parts(opcode, payload, fragments),
        }
    }

    fn parts(&mut self, opcode: Opcode, payload: &[u8], fragments: usize) -> Vec<u8> {
        let parts = fragments.clamp(1, payload.len().max(1));
        let length = payload.len().div_ceil(parts).max(1);
        let mut bytes = Vec::new();
        let mut chunks = payload.chunks(length).peekable();
        let mut opcode = opcode;
        if chunks.peek().is_none() {
            return self.frame(opcode, true, payload);
        }
        while let Some(chunk) = chunks.next() {
            let last = chunks.peek().is_none();
            bytes.extend(self.frame(opcode, last, chunk));
            if !last && opcode != Opcode::Continuation {
                bytes.extend(self.frame(Opcode::Ping, true, b"between"));
            }
            opcode = Opcode::Continuation;
        }
        bytes
    }

    /// Takes what has arrived.
    pub fn receive(&mut self, bytes: &[u8]) -> Vec<Heard> {
        let mut heard = Vec::new();
        match &mut self.stage {
            Stage::Head => self.read_head(bytes, &mut heard),
            Stage::Own(reader) => reader.push(bytes),
            Stage::Tungstenite(socket) => socket.get_mut().inbound.extend(bytes),
            Stage::Over => return heard,
        }
        while let Some(next) = self.next() {
            let over = matches!(next, Heard::Close(_) | Heard::Broken(_));
            heard.push(next);
            if over {
                self.stage = Stage::Over;
            }
        }
        heard
    }

    fn read_head(&mut self, bytes: &[u8], heard: &mut Vec<Heard>) {
        self.head.extend_from_slice(bytes);
        let Some(end) = self.head.windows(4).position(|w| w == b"\r\n\r\n") else {
            return;
        };
        let rest = self.head.split_off(end + 4);
        let head = String::from_utf8_lossy(&self.head);
        let status = head.get(9..12).and_then(|code| code.parse().ok());
        match status {
            Some(101) => {
                heard.push(Heard::Upgraded);
                self.stage = self.open(&rest);
            }
            Some(status) => {
                heard.push(Heard::Response(status));
                self.stage = Stage::Over;
            }
            None => {
                heard.push(Heard::Broken(format!("no HTTP: {head}")));
                self.stage = Stage::Over;
            }
        }
    }

    fn open(&self, rest: &[u8]) -> Stage {
        match self.codec {
            Codec::Own | Codec::Deflating => {
                let mut reader = FrameReader::after(&String::from_utf8_lossy(&self.head));
                reader.push(rest);
                Stage::Own(reader)
            }
            Codec::Tungstenite => {
                let inbound = rest.iter().copied().collect();
                let config = WebSocketConfig::default()
                    .max_message_size(None)
                    .max_frame_size(None);
                let memory = Memory { inbound };
                let socket = WebSocket::from_raw_socket(memory, Role::Client, Some(config));
                Stage::Tungstenite(Box::new(socket))
            }
        }
    }

    fn next(&mut self) -> Option<Heard> {
        match &mut self.stage {
            Stage::Own(reader) => reader.next_frame().map(|frame| {
                let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|e| e.to_string());
                match frame.opcode {
                    _ if !frame.fin => Heard::Broken("a fragment".to_owned()),
                    Opcode::Text => text(frame.payload).map_or_else(Heard::Broken, Heard::Text),
                    Opcode::Binary => Heard::Binary(frame.payload),
                    Opcode::Ping => Heard::Ping(frame.payload),
                    Opcode::Pong => Heard::Pong(frame.payload),
                    Opcode::Close => match frame.payload.first_chunk() {
                        Some(code) => Heard::Close(u16::from_be_bytes(*code)),
                        None => Heard::Close(1005),
                    },
                    Opcode::Continuation => Heard::Broken("a continuation".to_owned()),
                }
            }),
            Stage::Tungstenite(socket) => match socket.read() {
                Ok(Message::Text(text)) => Some(Heard::Text(text.as_str().to_owned())),
                Ok(Message::Binary(bytes)) => Some(Heard::Binary(bytes.to_vec())),
                Ok(Message::Ping(payload)) => Some(Heard::Ping(payload.to_vec())),
                Ok(Message::Pong(payload)) => Some(Heard::Pong(payload.to_vec())),
                Ok(Message::Close(frame)) => {
                    let code = frame.map_or(1005, |frame| u16::from(frame.code));
                    Some(Heard::Close(code))
                }
                Ok(Message::Frame(_)) => Some(Heard::Broken("a bare frame".to_owned())),
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => None,
                Err(error) => Some(Heard::Broken(error.to_string())),
            },
            Stage::Head | Stage::Over => None,
        }
    }
}

/// What has arrived and not been read; what a library writes by itself is thrown away.
#[derive(Debug)]
struct Memory {
    inbound: VecDeque<u8>,
}

impl Read for Memory {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.inbound.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.inbound.read(out)
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
