//! Bytes from a connection: to the stage that it is in, and from stage to stage what is left over.

use core::time::Duration;

use super::Server;
use super::closing::{ABNORMAL, Goodbye};
use super::deadlines::Deadline;
use crate::http::Refusal;
use crate::limits::heartbeat::Event as LifeEvent;
use crate::machine::Turn;
use crate::message::Heard;
use crate::session::connection::{CloseCause, Hold, Kind, Stage};
use crate::session::outbox::flag;
use crate::websocket::{DecodeError, Decoder, Step};

impl Server {
    /// Bytes arrived.
    pub(super) fn received(&mut self, index: u32, bytes: &mut [u8]) {
        self.stats.received_bytes += bytes.len() as u64;
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        if let Stage::Closing(_) = &connection.stage {
            self.discard_input(index, bytes.len());
            return;
        }
        if connection.paused {
            self.keep(index, bytes);
        } else if connection.tail.is_empty() {
            let taken = self.read(index, bytes);
            if let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
                self.keep(index, rest);
                self.spare_memory(index);
            }
        } else {
            self.keep(index, bytes);
            self.read_tail(index);
        }
    }

    /// Processes the tail; what is left of it stays.
    fn read_tail(&mut self, index: u32) {
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        let mut tail = core::mem::take(&mut connection.tail);
        self.input_bytes -= tail.held_bytes();
        let taken = self.read(index, tail.bytes_mut());
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        let waits = matches!(connection.stage, Stage::Request(_) | Stage::Session(_));
        if waits {
            tail.discard(taken);
            self.input_bytes += tail.held_bytes();
            connection.tail = tail;
        }
    }

    /// Processes bytes in the connection's stage, and in those that it comes to. Returns how many were taken;
    /// the rest has to wait.
    fn read(&mut self, index: u32, bytes: &mut [u8]) -> usize {
        let mut taken = 0;
        if let Some(Stage::Request(_)) = self.connections.get(index).map(|c| &c.stage) {
            taken = self.read_requests(index, bytes);
        }
        match bytes.get_mut(taken..) {
            Some(rest) if !rest.is_empty() => taken + self.read_session(index, rest),
            _ => taken,
        }
    }

    fn read_session(&mut self, index: u32, bytes: &mut [u8]) -> usize {
        let session = self.connections.get(index).and_then(|c| c.session());
        match session.map(|session| session.hold) {
            None => 0,
            Some(Hold::Response) => {
                self.pause(index);
                0
            }
            Some(Hold::Delay) => {
                self.welcome(index);
                self.read_frames(index, bytes)
            }
            Some(Hold::Released) => {
                self.sign_of_life(index, LifeEvent::Received);
                self.read_frames(index, bytes)
            }
        }
    }

    /// Keeps input for later.
    pub(super) fn keep(&mut self, index: u32, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        self.input_bytes += connection.tail.extend(bytes);
    }

    /// Refuses a request whose head the server has no memory for.
    fn spare_memory(&mut self, index: u32) {
        let stage = self
            .connections
            .get(index)
            .map(|connection| &connection.stage);
        let request = matches!(stage, Some(Stage::Request(_)));
        if request && self.buffered_bytes() > self.max_buffered_bytes() {
            if self.awaits_proxy_header(index) {
                return self.close_quietly(index);
            }
            let refusal = Refusal::unavailable("Server is out of memory", Some(1));
            self.refuse_request(index, &refusal, None);
        }
    }

    /// Stops reading from a connection until its tail has been processed.
    pub(super) fn pause(&mut self, index: u32) {
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        if !connection.paused {
            connection.paused = true;
            self.outboxes.lower(index, flag::READ);
            self.outboxes.raise(index, flag::PAUSE);
        }
    }

    /// Reads nothing from a client for a while: it goes on speaking although it may not. One that has finished
    /// writing says nothing more anyway.
    pub(super) fn throttle(&mut self, index: u32, wait: Duration) {
        let connection = self.connections.get(index);
        let reads = connection.is_some_and(|c| c.session().is_some() && !c.read_ended);
        if !reads || self.throttled.contains_key(&index) {
            return;
        }
        let due = self.now.mono + wait;
        self.throttled.insert(index, due);
        self.steps.many(2);
        self.deadlines.insert(due, Deadline::Throttle(index));
        self.stats.throttled += 1;
        self.pause(index);
    }

    /// A client is read from again, or is gone. `true` if it was throttled.
    pub(super) fn unthrottle(&mut self, index: u32) -> bool {
        let Some(due) = self.throttled.remove(&index) else {
            return false;
        };
        self.deadlines.remove(due, Deadline::Throttle(index));
        true
    }

    /// A client that was throttled may speak again.
    pub(super) fn throttled_long_enough(&mut self, index: u32) {
        if self.throttled.remove(&index).is_some() {
            self.resume_later(index);
        }
    }

    fn is_throttled(&self, index: u32) -> bool {
        !self.throttled.is_empty() && self.throttled.contains_key(&index)
    }

    /// Puts a connection with a tail in line to go on.
    pub(super) fn resume_later(&mut self, index: u32) {
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        if !connection.in_backlog {
            connection.in_backlog = true;
            self.backlog.push_back(index);
        }
    }

    /// Goes on with a tail, then with reading.
    pub(super) fn resume(&mut self, index: u32) {
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        connection.in_backlog = false;
        if !connection.paused || self.is_behind(index) || self.is_held(index) {
            return; // who is behind goes on when all has left, others when their time or their answer has come
        }
        if !self.go_on_with_batch(index) {
            return;
        }
        self.read_tail(index);
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        if !connection.paused || !connection.tail.is_empty() {
            return;
        }
        if self.is_held(index) || self.has_batch(index) {
            return; // once more: its last message was too early again, is for another shard, or takes long
        }
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        connection.paused = false;
        if connection.read_ended {
            self.lost(index);
            return;
        }
        self.outboxes.lower(index, flag::PAUSE);
        self.outboxes.raise(index, flag::READ);
        self.restart_unfinished(index);
        self.sign_of_life(index, LifeEvent::Resumed);
    }

    /// Whether a session's next message has to wait: the server's queues are full, or its own, or it is not listened
    /// to.
    pub(super) fn must_wait(&self, index: u32) -> bool {
        self.turn() == Turn::Full
            || self.is_behind(index)
            || self.is_held(index)
            || self.has_batch(index)
    }

    /// Whether a client is not listened to, for a time, until another shard has answered it or until a job is done.
    fn is_held(&self, index: u32) -> bool {
        self.is_throttled(index) || self.waits_for_shard(index) || self.jobs.holds(index)
    }

    /// An echo is not closed for reading slowly: it is read no faster than it reads. Nor is somebody who has come back
    /// to several rooms and is told what was said there.
    fn is_behind(&self, index: u32) -> bool {
        let max = self.config.limits.max_queued_bytes;
        let queued = self.outboxes.queued_bytes(index) as usize;
        queued >= max / 3 && (self.catches_up(index) || (queued >= max / 2 && self.is_echo(index)))
    }

    /// Decodes frames in place and handles what they say. Returns how many bytes it took.
    fn read_frames(&mut self, index: u32, bytes: &mut [u8]) -> usize {
        let session = self.connections.get_mut(index);
        let Some(session) = session.and_then(|connection| connection.session_mut()) else {
            return bytes.len();
        };
        let kind = session.kind;
        let before = session.unfinished_bytes();
        let mut unfinished = session.unfinished.take();
        let mut fresh = session.decoder();
        let decoder = unfinished.as_deref_mut().unwrap_or(&mut fresh);
        let was_idle = decoder.is_idle();
        let (taken, passed_idle) = self.decode(index, kind, decoder, bytes);
        let idle = decoder.is_idle();
        self.input_bytes -= before;
        // The session is gone if a message closed it, and its unfinished message with it.
        let session = self.connections.get_mut(index);
        if let Some(session) = session.and_then(|connection| connection.session_mut()) {
            if !idle {
                session.unfinished = Some(unfinished.unwrap_or_else(|| Box::new(fresh)));
            }
            let after = session.unfinished_bytes();
            self.input_bytes += after;
            if !(was_idle && idle) {
                self.note_unfinished(index, !idle, was_idle || passed_idle);
            }
            if after > before {
                self.spare_unfinished();
            }
        }
        taken
    }

    /// Returns how many bytes it took, and whether anything has ended with nothing left under way.
    fn decode(
        &mut self,
        index: u32,
        kind: Kind,
        decoder: &mut Decoder,
        bytes: &mut [u8],
    ) -> (usize, bool) {
        let limits = self.message_limits;
        let (mut at, mut passed_idle) = (0, false);
        while let Some(rest) = bytes.get_mut(at..).filter(|rest| !rest.is_empty()) {
            if self.must_wait(index) {
                self.pause(index);
                if self.turn() == Turn::Full {
                    self.resume_later(index);
                }
                return (at, passed_idle);
            }
            match decoder.decode(rest, &limits) {
                Ok((step, consumed)) => {
                    at += consumed;
                    passed_idle |= decoder.is_idle();
                    if !self.step(index, kind, step) {
                        break;
                    }
                }
                Err(error) => {
                    self.break_off(index, error);
                    break;
                }
            }
        }
        (bytes.len(), passed_idle)
    }

    /// Handles one message or control frame; `false` when the session has ended.
    pub(super) fn step(&mut self, index: u32, kind: Kind, step: Step<'_>) -> bool {
        match step {
            Step::NeedMore => return true,
            Step::Text(text) => match kind {
                Kind::Client(_) if self.takes_long(&text) => self.hand_over_text(index, text),
                Kind::Client(_) => self.heard(index, Heard::Text(&text), None),
                Kind::Echo => self.echo(index, super::fanout::TEXT, text.as_bytes()),
            },
            Step::Binary(bytes) => match kind {
                Kind::Client(_) => self.heard(index, Heard::Binary(&bytes), None),
                Kind::Echo => self.echo(index, super::fanout::BINARY, &bytes),
            },
            Step::Ping(payload) => self.ping_frame(index, kind, &payload),
            Step::Pong(_) => self.count_control_frame(index, kind),
            Step::Close(frame) => {
                self.closed_by_peer(index, frame.map(|frame| frame.code));
                return false;
            }
            Step::Compressed {
                kind: data,
                payload,
            } => {
                return self.compressed(index, kind, data, payload);
            }
        }
        let connection = self.connections.get(index);
        connection.is_some_and(|connection| connection.session().is_some())
    }

    /// A rule was broken: nothing more is read.
    pub(super) fn break_off(&mut self, index: u32, error: DecodeError) {
        let code = u16::from(error.close_code());
        let reason = error.to_string();
        let goodbye = Goodbye::frame(CloseCause::Protocol, code, &reason);
        self.close_session(index, &goodbye);
    }

    fn ping_frame(&mut self, index: u32, kind: Kind, payload: &[u8]) {
        let mut frame = [0; 127];
        let length = payload.len().min(125);
        if let Some((head, body)) = frame.split_first_chunk_mut::<2>()
            && let (Some(body), Some(payload)) = (body.get_mut(..length), payload.get(..length))
        {
            *head = [0x8A, length as u8];
            body.copy_from_slice(payload);
        }
        self.outboxes
            .control(index, frame.get(..length + 2).unwrap_or_default());
        self.count_control_frame(index, kind);
    }

    /// Control frames have a bucket of their own; a client that overdraws it is closed.
    fn count_control_frame(&mut self, index: u32, kind: Kind) {
        if kind != Kind::Echo && self.admit_ping(index).is_err() {
            let goodbye = Goodbye::announced(CloseCause::Abuse, 1008, "too many pings", None);
            self.close_session(index, &goodbye);
        }
    }

    /// The peer finished writing.
    pub(super) fn read_end(&mut self, index: u32) {
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        connection.read_ended = true;
        // What it has left to say is soon said.
        self.unthrottle(index);
        let Some(connection) = self.connections.get(index) else {
            return;
        };
        match &connection.stage {
            Stage::Over(_) => {}
            Stage::Session(_) if connection.paused => self.resume_later(index),
            Stage::Session(_) => self.lost(index),
            Stage::Request(_) => self.close_quietly(index),
            Stage::Closing(_) => {
                self.set_peer_done(index);
                if self.outboxes.is_empty(index) {
                    self.nothing_to_send(index);
                }
            }
        }
    }

    /// A session whose peer can no longer say anything: what is queued still goes out.
    fn lost(&mut self, index: u32) {
        // What its rooms have published is queued, too, whether or not they have been sealed since.
        self.cut_client(index);
        self.disconnect(index, CloseCause::Lost, ABNORMAL);
        self.set_peer_done(index);
        if self.outboxes.is_empty(index) {
            self.nothing_to_send(index);
        }
    }

    /// The answer to a transmit.
    pub(super) fn sent(&mut self, index: u32, bytes: usize, blocked: bool) {
        let sent = self.outboxes.sent(index, bytes);
        self.stats.sent_bytes += u64::from(sent.bytes);
        self.stats.clamped += u64::from(sent.clamped);
        if blocked {
            self.outboxes.block(index);
        }
        if sent.drained {
            self.drained(index);
            return;
        }
        if !blocked {
            self.outboxes.raise(index, flag::TRANSMIT);
        }
        // The queue of somebody in a busy room may never be empty.
        let paused = self.connections.get(index).is_some_and(|c| c.paused);
        if paused && self.catches_up(index) && !self.is_behind(index) {
            self.resume_later(index);
        }
    }

    /// A blocked socket takes bytes again.
    pub(super) fn writable(&mut self, index: u32) {
        self.outboxes.unblock(index);
        if self.outboxes.is_empty(index) {
            self.drained(index);
        } else {
            self.outboxes.raise(index, flag::TRANSMIT);
        }
    }

    /// Everything queued has left.
    fn drained(&mut self, index: u32) {
        self.note_drops();
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        let paused = connection.paused;
        match &mut connection.stage {
            Stage::Closing(_) => self.goodbye_sent(index),
            Stage::Session(session) => {
                if session.hold == Hold::Response {
                    self.response_left(index);
                } else if let Some(extra) = session.extra.as_deref_mut() {
                    extra.catches_up = false;
                    if !extra.missed.is_empty() {
                        self.tell_missed(index);
                    }
                }
                if paused {
                    self.resume_later(index);
                }
            }
            Stage::Request(_) | Stage::Over(_) => {}
        }
    }
}
