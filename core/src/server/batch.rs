//! Batches: several messages in one, and several replies in one.
//!
//! The messages of a batch are carried out in order, each charged, counted and answered as if it had come alone. Where
//! one of them has to wait, so do those behind it, and whatever the client says after the batch. A client that
//! has asked for it gets replies that come together in one message.

use super::Server;
use super::fanout::Dialect;
use super::messages::{Outcome, Wrapping};
use crate::dialect::binary::{self, Frames};
use crate::dialect::json::Elements;
use crate::machine::Turn;
use crate::message::{Asked, Heard, Kept, Messages, Remembered};
use crate::session::connection::Session;

/// Replies that are collected before they leave, in bytes; the last one may exceed it.
const REPLY_BYTES: usize = 16 * 1024;

/// How replies begin that leave as one.
const REPLIES: &[u8] = br#"{"type":"batch","messages":["#;

/// What is left of a batch that had to stop.
#[derive(Debug)]
pub(crate) struct Rest {
    /// All of them as they came.
    messages: Kept,
    /// How many bytes at its end are left.
    left: usize,
    /// Of the batch itself.
    asked: Remembered,
}

impl Rest {
    /// Memory besides its place.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.messages.heap_bytes() + self.asked.heap_bytes()
    }
}

/// Replies to messages of a batch, which leave as one.
#[derive(Debug, Default)]
pub(super) struct Replies {
    /// Who gets them, while a batch is worked at.
    to: Option<u32>,
    /// In which dialect.
    dialect: Dialect,
    /// All of them so far; of JSON with what stands in front.
    bytes: Vec<u8>,
    count: usize,
}

impl Replies {
    pub(super) fn are_for(&self, index: u32, dialect: Dialect) -> bool {
        self.to == Some(index) && self.dialect == dialect
    }

    /// Memory of it.
    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }
}

/// The messages of a batch from one on.
#[derive(Clone)]
enum Inner<'a> {
    Json(Elements<'a>),
    Binary(Frames<'a>),
}

impl<'a> Inner<'a> {
    fn of(messages: Messages<'a>) -> Option<Self> {
        Some(match messages {
            Messages::Json(array) => Self::Json(Elements::of(array)?),
            Messages::Binary(frames) => Self::Binary(Frames::of(frames)),
        })
    }

    /// The last `left` bytes of a batch.
    fn rest(messages: &'a Kept, left: usize) -> Self {
        let at = messages.heap_bytes() - left;
        match messages {
            Kept::Text(text) => Self::Json(Elements::rest(text.get(at..).unwrap_or_default())),
            Kept::Binary(bytes) => Self::Binary(Frames::of(bytes.get(at..).unwrap_or_default())),
        }
    }

    const fn dialect(&self) -> Dialect {
        match self {
            Self::Json(_) => Dialect::Json,
            Self::Binary(_) => Dialect::Binary,
        }
    }

    /// How many bytes have not been looked at.
    const fn left(&self) -> usize {
        match self {
            Self::Json(elements) => elements.left(),
            Self::Binary(frames) => frames.left(),
        }
    }
}

impl<'a> Iterator for Inner<'a> {
    type Item = Heard<'a>;

    fn next(&mut self) -> Option<Heard<'a>> {
        match self {
            Self::Json(elements) => elements.next().map(Heard::Text),
            Self::Binary(frames) => frames.next().map(Heard::Binary),
        }
    }
}

impl From<Messages<'_>> for Kept {
    fn from(messages: Messages<'_>) -> Self {
        match messages {
            Messages::Json(array) => Heard::Text(array).into(),
            Messages::Binary(frames) => Heard::Binary(frames).into(),
        }
    }
}

impl Server {
    /// A batch has come.
    pub(super) fn begin_batch(&mut self, index: u32, messages: Messages<'_>, asked: Asked<'_>) {
        // The batch has been counted, and so has its first message with it.
        let Some(inner) = Inner::of(messages) else {
            return;
        };
        let Some(left) = self.work_at_batch(index, inner, asked, true) else {
            return;
        };
        let rest = Rest {
            messages: messages.into(),
            left,
            asked: asked.into(),
        };
        self.keep_batch(index, Box::new(rest));
    }

    /// Goes on with a batch that had to stop. `true` if nothing is left of it.
    pub(super) fn go_on_with_batch(&mut self, index: u32) -> bool {
        let Some(mut rest) = self.take_batch(index) else {
            return true;
        };
        let inner = Inner::rest(&rest.messages, rest.left);
        match self.work_at_batch(index, inner, rest.asked.asked(), false) {
            None => true,
            Some(left) => {
                rest.left = left;
                self.keep_batch(index, rest);
                false
            }
        }
    }

    /// Carries out what can be; how many bytes are left if it had to stop before the end.
    fn work_at_batch(
        &mut self,
        index: u32,
        mut messages: Inner<'_>,
        asked: Asked<'_>,
        mut counted: bool,
    ) -> Option<usize> {
        self.replies.to = self.takes_batches(index).then_some(index);
        self.replies.dialect = messages.dialect();
        let mut left = None;
        loop {
            let rest = messages.left();
            // Its own outcome comes after those of its messages.
            if self.must_wait(index) && (asked.has_id() || messages.clone().next().is_some()) {
                left = Some(rest);
                break;
            }
            let Some(message) = messages.next() else {
                self.conclude(index, asked, Ok(Outcome::Done));
                break;
            };
            if !core::mem::take(&mut counted) {
                self.count_received(index);
            }
            self.understand(index, message, None, Wrapping::Batch);
            if self.is_gone(index) {
                break;
            }
        }
        self.end_replies(index);
        left
    }

    fn is_gone(&self, index: u32) -> bool {
        let connection = self.connections.get(index);
        connection.is_none_or(|connection| connection.session().is_none())
    }

    // ---- what has to wait

    fn keep_batch(&mut self, index: u32, rest: Box<Rest>) {
        let session = self.connections.get_mut(index);
        let Some(session) = session.and_then(|connection| connection.session_mut()) else {
            return;
        };
        self.input_bytes += rest.heap_bytes();
        self.stopped_batches += 1;
        session.extra_mut().batch = Some(rest);
        self.pause(index);
        if self.turn() == Turn::Full {
            self.resume_later(index);
        }
        self.spare_kept(index);
    }

    fn take_batch(&mut self, index: u32) -> Option<Box<Rest>> {
        if self.stopped_batches == 0 {
            return None;
        }
        let session = self.connections.get_mut(index)?.session_mut()?;
        let rest = session.extra.as_mut()?.batch.take()?;
        self.stopped_batches -= 1;
        self.input_bytes -= rest.heap_bytes();
        Some(rest)
    }

    /// Whether something is left of a client's batch.
    pub(super) fn has_batch(&self, index: u32) -> bool {
        if self.stopped_batches == 0 {
            return false;
        }
        let session = self.connections.get(index).and_then(|c| c.session());
        let extra = session.and_then(|session| session.extra.as_deref());
        extra.is_some_and(|extra| extra.batch.is_some())
    }

    /// A client is gone, and what was left of its batch with it.
    pub(super) fn forget_batch(&mut self, session: &mut Session) {
        let extra = session.extra.as_mut();
        if let Some(rest) = extra.and_then(|extra| extra.batch.take()) {
            self.stopped_batches -= 1;
            self.input_bytes -= rest.heap_bytes();
        }
    }

    // ---- replies

    fn takes_batches(&self, index: u32) -> bool {
        let session = self.connections.get(index).and_then(|c| c.session());
        let extra = session.and_then(|session| session.extra.as_deref());
        extra.is_some_and(|extra| extra.batches)
    }

    /// Keeps a reply until the others are there.
    pub(super) fn collect(&mut self, index: u32, reply: &[u8]) {
        let Replies {
            dialect,
            bytes,
            count,
            ..
        } = &mut self.replies;
        if *dialect == Dialect::Json {
            bytes.extend_from_slice(if *count == 0 { REPLIES } else { b"," });
        }
        bytes.extend_from_slice(reply);
        *count += 1;
        if bytes.len() >= REPLY_BYTES {
            self.flush_replies(index);
        }
    }

    /// What a client is sent from now on leaves as it is; so does what has been collected.
    pub(super) fn end_replies(&mut self, index: u32) {
        self.flush_replies(index);
        self.replies.to.take_if(|to| *to == index);
    }

    /// Sends what has been collected for a client, if anything: a single reply as what it is.
    pub(super) fn flush_replies(&mut self, index: u32) {
        if self.replies.to != Some(index) || self.replies.count == 0 {
            return;
        }
        let to = self.replies.to.take();
        let dialect = self.replies.dialect;
        let mut bytes = core::mem::take(&mut self.replies.bytes);
        match (core::mem::take(&mut self.replies.count), dialect) {
            (1, Dialect::Json) => {
                let reply = bytes.get(REPLIES.len()..).unwrap_or_default();
                self.send_encoded(index, dialect, reply);
            }
            (_, Dialect::Json) => {
                bytes.extend_from_slice(b"]}");
                self.send_encoded(index, dialect, &bytes);
            }
            (1, Dialect::Binary) => self.send_encoded(index, dialect, &bytes),
            (_, Dialect::Binary) => {
                let mut batch = Vec::with_capacity(bytes.len() + binary::HEADER_BYTES);
                binary::encode_batch(&bytes, self.now.unix_ms, &mut batch);
                self.send_encoded(index, dialect, &batch);
            }
        }
        bytes.clear();
        self.replies.bytes = bytes;
        self.replies.to = to;
    }
}
