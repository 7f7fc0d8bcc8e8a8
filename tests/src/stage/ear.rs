//! What a client makes of the bytes that it receives: answers to requests, then frames.

use std::collections::VecDeque;

use crate::client::Message;
use crate::frame::FrameReader;

/// One client's.
#[derive(Debug, Default)]
pub(super) struct Ear {
    /// Of an answer that is not whole.
    head: Vec<u8>,
    /// Whether the answers that are waited for have no body, as those to `HEAD`.
    bodiless: VecDeque<bool>,
    frames: Option<FrameReader>,
}

/// What was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// An answer to a request: its head and body.
    Answer(String),
    /// A message or a control frame.
    Message(Message),
}

impl Ear {
    /// A request was sent; the answer to `HEAD` has no body.
    pub(super) fn asked(&mut self, head_only: bool) {
        self.bodiless.push_back(head_only);
    }

    /// Takes what was received.
    pub(super) fn hear(&mut self, bytes: &[u8]) -> Vec<Heard> {
        let mut heard = Vec::new();
        match &mut self.frames {
            Some(frames) => frames.push(bytes),
            None => {
                self.head.extend_from_slice(bytes);
                while let Some(answer) = self.next_answer() {
                    heard.push(Heard::Answer(answer));
                }
            }
        }
        if let Some(frames) = &mut self.frames {
            while let Some(frame) = frames.next_frame() {
                heard.push(Heard::Message(Message::from_frame(frame)));
            }
        }
        heard
    }

    /// Whether the connection has become a WebSocket.
    pub(super) fn is_upgraded(&self) -> bool {
        self.frames.is_some()
    }

    /// Bytes of something that is not whole.
    pub(super) fn unfinished(&self) -> usize {
        let frames = self.frames.as_ref().map(FrameReader::pending_bytes);
        self.head.len() + frames.unwrap_or_default()
    }

    /// The next answer that is whole. After the one that upgrades come frames.
    fn next_answer(&mut self) -> Option<String> {
        if self.is_upgraded() {
            return None;
        }
        let end = self
            .head
            .windows(4)
            .position(|bytes| bytes == b"\r\n\r\n")?
            + 4;
        let head = core::str::from_utf8(&self.head[..end]).expect("an ASCII head");
        let upgrades = head.starts_with("HTTP/1.1 101 ");
        let length = header(head, "content-length").map_or(0, |value| {
            value.parse::<usize>().expect("a length in digits")
        });
        let bodiless = upgrades || self.bodiless.front().copied().unwrap_or_default();
        let whole = end + if bodiless { 0 } else { length };
        if self.head.len() < whole {
            return None;
        }
        self.bodiless.pop_front();
        let rest = self.head.split_off(whole);
        let answer = core::mem::replace(&mut self.head, rest);
        if upgrades {
            let mut frames = FrameReader::after(&String::from_utf8_lossy(&answer));
            frames.push(&core::mem::take(&mut self.head));
            self.frames = Some(frames);
        }
        Some(String::from_utf8(answer).expect("UTF-8"))
    }
}

/// A header field of an answer.
pub(super) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    let mut named = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
    named.next().map(|(_, value)| value)
}
