//! Batches: several messages in one, and several replies in one.
//!
//! The messages of a batch are carried out in order, each charged, counted and answered as if it had come alone. Where
//! one of them has to wait, so do those behind it, and whatever the client says after the batch. A client that
//! has asked for it gets replies that come together in one message.

use super::Server;
use super::messages::Wrapping;
use crate::dialect::json::Elements;
use crate::machine::Turn;
use crate::message::ServerMessage;
use crate::session::connection::Session;

/// Replies that are collected before they leave, in bytes; the last one may exceed it.
const REPLY_BYTES: usize = 16 * 1024;

/// How replies begin that leave as one.
const REPLIES: &[u8] = br#"{"type":"batch","messages":["#;

/// What is left of a batch that had to stop.
#[derive(Debug)]
pub(crate) struct Rest {
    /// The array as it came.
    messages: Box<str>,
    /// How many bytes at its end are left.
    left: usize,
    /// Of the batch itself.
    id: Option<Box<str>>,
}

impl Rest {
    /// Memory besides its place.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.messages.len() + self.id.as_deref().map_or(0, str::len)
    }
}

/// Replies to messages of a batch, which leave as one.
#[derive(Debug, Default)]
pub(super) struct Replies {
    /// Who gets them, while a batch is worked at.
    to: Option<u32>,
    /// All of them so far, with what stands in front.
    text: Vec<u8>,
    count: usize,
}

impl Replies {
    pub(super) fn are_for(&self, index: u32) -> bool {
        self.to == Some(index)
    }

    /// Memory of it.
    pub(super) fn heap_bytes(&self) -> usize {
        self.text.capacity()
    }
}

impl Server {
    /// A batch has come.
    pub(super) fn begin_batch(&mut self, index: u32, messages: &str, id: Option<&str>) {
        // The batch has been counted, and so has its first message with it.
        let Some(elements) = Elements::of(messages) else {
            return;
        };
        let Some(left) = self.work_at_batch(index, elements, id, true) else {
            return;
        };
        let rest = Rest {
            messages: messages.into(),
            left,
            id: id.map(Box::from),
        };
        self.keep_batch(index, Box::new(rest));
    }

    /// Goes on with a batch that had to stop. `true` if nothing is left of it.
    pub(super) fn go_on_with_batch(&mut self, index: u32) -> bool {
        let Some(mut rest) = self.take_batch(index) else {
            return true;
        };
        let at = rest.messages.len() - rest.left;
        let messages = Elements::rest(rest.messages.get(at..).unwrap_or_default());
        match self.work_at_batch(index, messages, rest.id.as_deref(), false) {
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
        mut messages: Elements<'_>,
        id: Option<&str>,
        mut counted: bool,
    ) -> Option<usize> {
        self.replies.to = self.takes_batches(index).then_some(index);
        let mut left = None;
        loop {
            let rest = messages.left();
            // Its own outcome comes after those of its messages.
            if self.must_wait(index) && (id.is_some() || messages.clone().next().is_some()) {
                left = Some(rest);
                break;
            }
            let Some(message) = messages.next() else {
                if id.is_some() {
                    self.send(index, &ServerMessage::Ack, id);
                }
                break;
            };
            if !core::mem::take(&mut counted) {
                self.count_received(index);
            }
            self.understand(index, message, Wrapping::Batch);
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
        let Replies { text, count, .. } = &mut self.replies;
        match count {
            0 => text.extend_from_slice(REPLIES),
            _ => text.push(b','),
        }
        text.extend_from_slice(reply);
        *count += 1;
        if text.len() >= REPLY_BYTES {
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
        if !self.replies.are_for(index) || self.replies.count == 0 {
            return;
        }
        let to = self.replies.to.take();
        let mut text = core::mem::take(&mut self.replies.text);
        match core::mem::take(&mut self.replies.count) {
            1 => self.send_text(index, text.get(REPLIES.len()..).unwrap_or_default()),
            _ => {
                text.extend_from_slice(b"]}");
                self.send_text(index, &text);
            }
        }
        text.clear();
        self.replies.text = text;
        self.replies.to = to;
    }
}
