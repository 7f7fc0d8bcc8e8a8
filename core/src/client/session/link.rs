//! One connection of a session: the wire's own client, and how far its socket is.

use super::wire::{Form, Wire};
use crate::client::{Client, SendError};
use crate::id::ConnectionId;

/// How many bytes for joins and pings fit beside what the program sends.
pub(super) const RESERVE_BYTES: usize = 64 * 1024;

/// A connection from its announcement to its end.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: ConnectionId,
    pub(super) wire: Client,
    pub(super) stage: Stage,
    /// In which messages go, and come.
    pub(super) form: Form,
    /// The server is not known to know no message again.
    pub(super) takes_names: bool,
    /// Bytes that the socket has taken.
    taken: u64,
    /// The socket takes no more for now.
    blocked: bool,
    /// The driver was told to write, and has not answered.
    is_writing: bool,
    /// The driver reads.
    pub(super) is_reading: bool,
    /// What has come and is not read before there is room for what it says, from a place on.
    unread: (Vec<u8>, usize),
    /// The server had finished writing then.
    pub(super) read_ended: bool,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The driver has not been told of it.
    Wanted,
    /// The driver connects.
    Connecting,
    /// The handshake is under way.
    Handshake,
    /// The server has taken it.
    Open,
    /// The session has turned away from it: it only says goodbye.
    Leaving,
}

impl Link {
    pub(super) const fn new(id: ConnectionId, wire: Client) -> Self {
        Self {
            id,
            wire,
            stage: Stage::Wanted,
            form: Form::Json,
            takes_names: true,
            taken: 0,
            blocked: false,
            is_writing: false,
            is_reading: true,
            unread: (Vec::new(), 0),
            read_ended: false,
        }
    }

    /// What has come is read later, behind what is already to be.
    pub(super) fn keep_unread(&mut self, bytes: &[u8]) {
        self.unread.0.extend_from_slice(bytes);
    }

    /// What had come is read up to a place.
    pub(super) fn is_read(&mut self, unread: Vec<u8>, upto: usize) {
        if upto < unread.len() {
            self.unread = (unread, upto);
        }
    }

    /// What is to be read now, from a place on.
    pub(super) fn take_unread(&mut self) -> (Vec<u8>, usize) {
        core::mem::take(&mut self.unread)
    }

    pub(super) const fn has_unread(&self) -> bool {
        !self.unread.0.is_empty()
    }

    /// Queues a message.
    pub(super) fn send(&mut self, message: &Wire) -> Result<(), SendError> {
        match message {
            Wire::Text(text) => self.wire.send_text(text),
            Wire::Frame(bytes) => self.wire.send_binary(bytes),
        }
    }

    /// Where in the stream the end of what is queued by now will be.
    pub(super) fn end(&self) -> u64 {
        self.taken + self.wire.unsent().len() as u64
    }

    /// Up to where in the stream the socket has taken it.
    pub(super) const fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether the driver should write now.
    pub(super) fn wants_write(&self) -> bool {
        let is_up = !matches!(self.stage, Stage::Wanted | Stage::Connecting);
        is_up && !self.blocked && !self.is_writing && !self.wire.unsent().is_empty()
    }

    /// The driver is told to write.
    pub(super) const fn writes(&mut self) {
        self.is_writing = true;
    }

    /// The driver's answer. More than there was is clamped.
    pub(super) fn sent(&mut self, bytes: usize, blocked: bool) {
        let bytes = bytes.min(self.wire.unsent().len());
        self.wire.sent(bytes);
        self.taken += bytes as u64;
        (self.blocked, self.is_writing) = (blocked, false);
    }

    pub(super) const fn writable(&mut self) {
        self.blocked = false;
    }
}
