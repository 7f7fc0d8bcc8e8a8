//! A frame codec of the tests' own (RFC 6455, section 5): it shares no code with the server's.
//!
//! Client frames are written as a test wants them, wrong ones included; server frames are read strictly.

use std::collections::VecDeque;

use crate::deflate::{inflated, is_agreed};

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// A further part of a message.
    Continuation,
    /// Text, or its first part.
    Text,
    /// Bytes, or their first part.
    Binary,
    /// The end.
    Close,
    /// A ping.
    Ping,
    /// A pong.
    Pong,
}

impl Opcode {
    const fn number(self) -> u8 {
        match self {
            Self::Continuation => 0,
            Self::Text => 1,
            Self::Binary => 2,
            Self::Close => 8,
            Self::Ping => 9,
            Self::Pong => 10,
        }
    }

    fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            other => panic!("the server sent the reserved opcode {other}"),
        }
    }
}

/// One whole frame as a client sends it, masked.
pub fn masked(opcode: Opcode, fin: bool, payload: &[u8]) -> Vec<u8> {
    with_key(opcode, fin, payload, [0x37, 0xFA, 0x21, 0x3D])
}

/// The same with a masking key of one's choice.
pub fn with_key(opcode: Opcode, fin: bool, payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    let mut frame = vec![u8::from(fin) << 7 | opcode.number()];
    push_length(&mut frame, 0x80, payload.len());
    frame.extend(key);
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k));
    frame
}

/// One whole frame as a server sends it.
pub(crate) fn plain(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode.number()];
    push_length(&mut frame, 0, payload.len());
    frame.extend(payload);
    frame
}

/// The frame that bytes of a client are; `None` if they are no frame, or more than one.
pub(crate) fn unmasked(bytes: &[u8]) -> Option<Frame> {
    let [first, second, ..] = *bytes else {
        return None;
    };
    let (head, length) = match second & 0x7F {
        126 => (
            4,
            u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
        ),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
        short => (2, u64::from(short)),
    };
    let key = bytes.get(head..head + 4)?;
    let payload = bytes.get(head + 4..)?;
    let whole = second & 0x80 != 0 && payload.len() as u64 == length && first & 0x70 == 0;
    let known = matches!(first & 0x0F, 0..=2 | 8..=10);
    (whole && known).then(|| Frame {
        opcode: Opcode::from_number(first & 0x0F),
        fin: first & 0x80 != 0,
        payload: payload
            .iter()
            .zip(key.iter().cycle())
            .map(|(b, k)| b ^ k)
            .collect(),
        compressed: false,
    })
}

/// The length of a payload, after a mask bit.
fn push_length(frame: &mut Vec<u8>, mask: u8, length: usize) {
    match length {
        length @ 0..126 => frame.push(mask | length as u8),
        length @ 126..=0xFFFF => {
            frame.push(mask | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(mask | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
}

/// One frame from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub opcode: Opcode,
    /// The message ends with it.
    pub fin: bool,
    /// Its payload, inflated if it was compressed.
    pub payload: Vec<u8>,
    /// It was compressed.
    pub compressed: bool,
}

/// Cuts what a server sent into frames; panics at one that is not as the RFC wants it.
#[derive(Debug, Default)]
pub struct FrameReader {
    bytes: VecDeque<u8>,
    /// Compression was agreed on.
    inflates: bool,
}

impl FrameReader {
    /// For what follows an upgrade's response: messages may be compressed if that agrees on it.
    pub fn after(response: &str) -> Self {
        Self {
            inflates: is_agreed(response),
            ..Self::default()
        }
    }

    /// Whether compression was agreed on.
    pub(crate) fn inflates(&self) -> bool {
        self.inflates
    }

    /// Adds what has arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// Bytes of a frame that is not complete yet.
    pub fn pending_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The next whole frame.
    pub fn next_frame(&mut self) -> Option<Frame> {
        let first = *self.bytes.front()?;
        let second = *self.bytes.get(1)?;
        let compressed = first & 0x40 != 0;
        assert!(!compressed || self.inflates, "nobody agreed on RSV1");
        assert_eq!(first & 0x30, 0, "reserved bits");
        assert_eq!(second & 0x80, 0, "a server must not mask");
        let (head, length) = match second {
            126 => (4, self.number(2, 2)?),
            127 => (10, self.number(2, 8)?),
            short => (2, u64::from(short)),
        };
        assert!(second != 126 || length > 125, "overlong length");
        assert!(second != 127 || length > 0xFFFF, "overlong length");
        let total = head + usize::try_from(length).expect("a sane length");
        if self.bytes.len() < total {
            return None;
        }
        let mut frame: Vec<u8> = self.bytes.drain(..total).collect();
        let mut payload = frame.split_off(head);
        let opcode = Opcode::from_number(first & 0x0F);
        let fin = first & 0x80 != 0;
        let control = matches!(opcode, Opcode::Close | Opcode::Ping | Opcode::Pong);
        assert!(
            !control || (fin && !compressed && payload.len() <= 125),
            "bad control frame"
        );
        if compressed {
            // The server compresses only what that makes shorter, and fragments nothing.
            assert!(fin && matches!(opcode, Opcode::Text | Opcode::Binary));
            let message = inflated(&payload);
            assert!(payload.len() < message.len(), "compressed in vain");
            payload = message;
        }
        Some(Frame {
            opcode,
            fin,
            payload,
            compressed,
        })
    }

    fn number(&self, at: usize, bytes: usize) -> Option<u64> {
        (at..at + bytes).try_fold(0, |number, index| {
            Some(number << 8 | u64::from(*self.bytes.get(index)?))
        })
    }
}
