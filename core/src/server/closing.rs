//! How connections end: one transition out of every stage, with a cause.
//!
//! Closing is only ever an output. A session that ends leaves its rooms at once, in one step that produces
//! all notices; what it is told last, and how long its socket lingers, is decided here. RFC 6455, section 7.

use super::membership::Leaving;
use super::sessions::is_goodbye;
use super::{Drain, News, Server};
use crate::message::{LeaveReason, ServerMessage};
use crate::session::connection::{CloseCause, Closing, End, Hold, Kind, Session, Stage};
use crate::session::facts::Fact;
use crate::session::outbox::flag;
use crate::websocket::{CloseCode, put_close};

/// No close frame came or went.
pub(super) const ABNORMAL: u16 = 1006;

/// What a peer may still send while we say goodbye: it is read and thrown away, so that the close frame is
/// not lost to a reset.
const DISCARD_BYTES: usize = 16 * 1024 * 1024;

/// What a client is told last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goodbye<'a> {
    pub(super) cause: CloseCause,
    pub(super) code: u16,
    pub(super) reason: &'a str,
    /// Told in a `closing` message before the close frame.
    pub(super) announce: bool,
    pub(super) reconnect_after_ms: Option<u64>,
    /// What is queued and not started is given up.
    pub(super) discard: bool,
}

impl<'a> Goodbye<'a> {
    /// A close frame and nothing else.
    pub(super) const fn frame(cause: CloseCause, code: u16, reason: &'a str) -> Self {
        Self {
            cause,
            code,
            reason,
            announce: false,
            reconnect_after_ms: None,
            discard: false,
        }
    }

    /// A `closing` message, then a close frame.
    pub(super) const fn announced(
        cause: CloseCause,
        code: u16,
        reason: &'a str,
        reconnect_after_ms: Option<u64>,
    ) -> Self {
        Self {
            announce: true,
            reconnect_after_ms,
            ..Self::frame(cause, code, reason)
        }
    }

    /// For a client that does not take what is queued.
    pub(super) const fn overflow(cause: CloseCause, reason: &'a str) -> Self {
        Self {
            discard: true,
            ..Self::announced(cause, 1013, reason, Some(RETRY_AFTER_OVERFLOW_MS))
        }
    }

    /// For a peer that is most likely gone.
    pub(super) const fn silent(cause: CloseCause, code: u16) -> Self {
        Self {
            discard: true,
            ..Self::frame(cause, code, "no sign of life")
        }
    }
}

/// When a client that was too slow may come back.
const RETRY_AFTER_OVERFLOW_MS: u64 = 1_000;

impl Server {
    /// Ends a session from our side: it leaves its rooms, is told why, and lingers until it has closed too.
    pub(super) fn close_session(&mut self, index: u32, goodbye: &Goodbye<'_>) {
        self.end_replies(index);
        let Some(mut session) = self.take_session(index, goodbye.cause, goodbye.code) else {
            return;
        };
        // Once something has not fitted, what came after it would make no sense.
        let overflowed = self.outboxes.is_overflowed(index);
        self.outboxes.set_shut(index, goodbye.discard || overflowed);
        self.leave_everything(index, &mut session, (goodbye.cause, goodbye.code));
        if goodbye.discard && session.hold == Hold::Response {
            // Without the upgrade response, what we could say would be taken for an answer to the request.
            self.outboxes.raise(index, flag::RESET);
            return;
        }
        self.outboxes.set_shut(index, false);
        if goodbye.discard {
            self.outboxes.discard(index, true);
        }
        if goodbye.announce && matches!(session.kind, Kind::Client(_)) {
            let message = ServerMessage::Closing {
                code: goodbye.code,
                reason: goodbye.reason,
                reconnect_after_ms: goodbye.reconnect_after_ms,
            };
            self.release_welcome_if_held(index, &session);
            self.send_last(index, session.kind, &message);
        }
        self.say_close(index, goodbye.code, goodbye.reason);
    }

    /// The peer's close frame came: answer it, and wait for the end of the connection. What comes after the frame
    /// would otherwise lie unread when the socket is closed, and then the system resets it, answer and all.
    pub(super) fn closed_by_peer(&mut self, index: u32, code: Option<CloseCode>) {
        let seen = code.map_or(1005, u16::from);
        let Some(mut session) = self.take_session(index, CloseCause::Client, seen) else {
            return;
        };
        self.leave_everything(index, &mut session, (CloseCause::Client, seen));
        self.set_answered(index);
        match code {
            Some(code) => self.say_close(index, u16::from(code), ""),
            None => {
                self.outboxes.direct(index, |out| out.extend(EMPTY_CLOSE));
                self.after_queueing(index);
            }
        }
    }

    /// The last thing that is said.
    pub(super) fn say_close(&mut self, index: u32, code: u16, reason: &str) {
        let reason = truncate(reason, MAX_REASON_BYTES);
        self.outboxes
            .direct(index, |out| put_close(out, CloseCode::from(code), reason));
        self.after_queueing(index);
    }

    /// Nothing more will be queued.
    fn after_queueing(&mut self, index: u32) {
        self.outboxes.set_shut(index, true);
        if self.outboxes.is_empty(index) {
            self.nothing_to_send(index);
        }
    }

    /// Takes the session out of a connection, which is closing from now on.
    fn take_session(&mut self, index: u32, cause: CloseCause, code: u16) -> Option<Box<Session>> {
        let client = self.client_id(index)?;
        let secret = self.connections.get(index)?.session()?.secret;
        let first = self.encode_id(&secret, index);
        let connection = self.connections.get_mut(index)?;
        let session = connection.session()?;
        let (opened, received) = (session.opened, session.received);
        let (welcome, tellable) = (session.is_welcome(), session.hold != Hold::Response);
        let unfinished_bytes = session.unfinished_bytes();
        let closing = Closing {
            end: welcome.then_some(End {
                first,
                client,
                cause,
                code,
                opened,
                received,
            }),
            peer_done: connection.read_ended,
            answered: false,
            finished: false,
            discard_bytes: DISCARD_BYTES,
            tellable,
        };
        let closing = Stage::Closing(Box::new(closing));
        let old = core::mem::replace(&mut connection.stage, closing);
        let tail = core::mem::take(&mut connection.tail);
        let was_paused = core::mem::take(&mut connection.paused);
        self.input_bytes -= tail.held_bytes() + unfinished_bytes;
        if was_paused {
            self.outboxes.lower(index, flag::PAUSE);
            self.outboxes.raise(index, flag::READ);
        }
        self.unthrottle(index);
        self.unfinished.stop(index);
        self.timers
            .arm(index, super::timing::class::LINGER, self.now.mono);
        match old {
            Stage::Session(session) => Some(session),
            _ => None,
        }
    }

    /// Leaves all rooms and the count of clients.
    fn leave_everything(
        &mut self,
        index: u32,
        session: &mut Session,
        (cause, code): (CloseCause, u16),
    ) {
        self.outboxes
            .facts
            .note(|| Fact::Closing { slot: index, cause });
        if session.is_welcome() {
            self.clients -= 1;
            self.stats.closed += 1;
        }
        let reason = match cause {
            CloseCause::Timeout => LeaveReason::Timeout,
            CloseCause::Command | CloseCause::Abuse => LeaveReason::Kicked,
            _ => LeaveReason::Disconnected,
        };
        let client = self.id_of(session, index);
        let is_resumable = session.extra.as_deref().is_some_and(|it| it.resumable);
        let may_come_back = is_resumable && self.drain == Drain::No && !is_goodbye(cause, code);
        let comes_back = self.end_session(index, session, client, (cause, code));
        let leaving = Leaving {
            index,
            client,
            reason,
            comes_back: comes_back.then(|| session.lives()),
        };
        self.leave_all_rooms(&leaving, session);
        self.forget_requests(index, session, may_come_back);
        self.forget_waiting(index, session, comes_back);
        self.forget_batch(session);
        self.forget_job(index);
        self.forget_files(index, session);
    }

    fn release_welcome_if_held(&mut self, index: u32, session: &Session) {
        if session.hold != Hold::Released {
            self.send_welcome(index, session);
        }
    }

    /// The socket is gone, or is about to be: a session leaves without a word.
    pub(super) fn disconnect(&mut self, index: u32, cause: CloseCause, code: u16) {
        self.outboxes.set_shut(index, true);
        if let Some(mut session) = self.take_session(index, cause, code) {
            self.leave_everything(index, &mut session, (cause, code));
        }
    }

    /// Closes a connection that has nothing to be told.
    pub(super) fn close_quietly(&mut self, index: u32) {
        self.end_requests(index);
        self.outboxes.set_shut(index, true);
        self.set_peer_done(index);
        if self.outboxes.is_empty(index) {
            self.nothing_to_send(index);
        }
    }

    /// A connection that has spoken HTTP so far says no more.
    pub(super) fn end_requests(&mut self, index: u32) {
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        if let Stage::Request(_) = connection.stage {
            let peer_done = connection.read_ended;
            connection.stage = Stage::Closing(Box::new(Closing {
                end: None,
                peer_done,
                answered: false,
                finished: false,
                discard_bytes: DISCARD_BYTES,
                tellable: false,
            }));
            self.input_bytes -= core::mem::take(&mut connection.tail).held_bytes();
            self.timers
                .arm(index, super::timing::class::LINGER, self.now.mono);
        }
    }

    /// The peer has said goodbye. Its place is not held where it is the last, of the server or of its address: whoever
    /// leaves and comes back finds it free.
    fn set_answered(&mut self, index: u32) {
        let wanted = self.is_place_wanted(index);
        if let Some(connection) = self.connections.get_mut(index)
            && let Stage::Closing(closing) = &mut connection.stage
        {
            closing.answered = true;
            closing.peer_done |= wanted;
        }
    }

    /// A drain waits for nobody who has said goodbye.
    pub(super) fn let_go_of_answered(&mut self, index: u32) {
        if let Some(connection) = self.connections.get_mut(index)
            && let Stage::Closing(closing) = &mut connection.stage
            && closing.answered
        {
            closing.peer_done = true;
            if self.outboxes.is_empty(index) {
                self.nothing_to_send(index);
            }
        }
    }

    /// A closing connection has had its time. Where both have said goodbye and all has been written, what is still
    /// on its way to a slow peer is left to the system.
    pub(super) fn lingered(&mut self, index: u32) {
        let stage = self.connections.get(index).map(|c| &c.stage);
        let over =
            matches!(stage, Some(Stage::Closing(closing)) if closing.answered && closing.finished);
        let how = if over { flag::CLOSE } else { flag::RESET };
        self.outboxes.raise(index, how);
    }

    /// Nothing of the peer's is waited for any more.
    pub(super) fn set_peer_done(&mut self, index: u32) {
        if let Some(connection) = self.connections.get_mut(index)
            && let Stage::Closing(closing) = &mut connection.stage
        {
            closing.peer_done = true;
        }
    }

    /// Whether what is queued for a connection is all that it will ever be sent.
    pub(super) fn says_last(&self, index: u32) -> bool {
        let connection = self.connections.get(index);
        let closing = connection.is_some_and(|c| matches!(c.stage, Stage::Closing(_)));
        closing && self.outboxes.is_shut(index) && !self.outboxes.is_overflowed(index)
    }

    /// Everything queued for a closing connection has left.
    pub(super) fn goodbye_sent(&mut self, index: u32) {
        if self.outboxes.is_overflowed(index) {
            return; // the goodbye itself did not fit: another one follows
        }
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        let Stage::Closing(closing) = &mut connection.stage else {
            return;
        };
        if closing.peer_done {
            self.outboxes.raise(index, flag::CLOSE);
        } else if !closing.finished {
            closing.finished = true;
            self.outboxes.raise(index, flag::FINISH);
        }
    }

    /// Lets go of a closing connection for which nothing is queued.
    pub(super) fn nothing_to_send(&mut self, index: u32) {
        let overflowed = self.outboxes.is_overflowed(index);
        let connection = self.connections.get_mut(index);
        if let Some(connection) = connection
            && let Stage::Closing(closing) = &mut connection.stage
            && closing.peer_done
            && !overflowed
            && !core::mem::replace(&mut closing.finished, true)
        {
            // No bytes were the last ones: a transport that has a goodbye of its own, as TLS has, says it now.
            self.outboxes.raise(index, flag::FINISH);
        }
        self.goodbye_sent(index);
    }

    /// Bytes for a closing connection: counted and thrown away.
    pub(super) fn discard_input(&mut self, index: u32, bytes: usize) {
        if let Some(connection) = self.connections.get_mut(index)
            && let Stage::Closing(closing) = &mut connection.stage
        {
            closing.discard_bytes = closing.discard_bytes.saturating_sub(bytes);
            if closing.discard_bytes == 0 {
                self.outboxes.raise(index, flag::RESET);
            }
        }
    }

    /// The id is dead: what is left is the news of its end.
    pub(super) fn bury(&mut self, index: u32) {
        self.outboxes.close(index);
        if let Some(connection) = self.connections.id(index) {
            self.outboxes.facts.note(|| Fact::Over { connection });
        }
        self.timers.cancel(index);
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        let address = connection.address;
        self.input_bytes -= core::mem::take(&mut connection.tail).held_bytes();
        let old = core::mem::replace(&mut connection.stage, Stage::Over(None));
        if let Stage::Closing(closing) = old
            && closing.end.is_some()
        {
            connection.stage = Stage::Over(Some(closing));
            self.news.push_back(News::Ended(index));
        } else {
            self.connections.remove(index);
        }
        self.live -= 1;
        self.tell_address(address, 1);
        self.leave_address(address);
        self.check_drained();
    }

    /// A queue overflowed under the policy `close`.
    pub(super) fn close_overflowed(&mut self, index: u32) {
        let Some(connection) = self.connections.get_mut(index) else {
            return;
        };
        match &mut connection.stage {
            Stage::Session(_) => {
                self.stats.slow_readers += 1;
                let goodbye = Goodbye::overflow(CloseCause::SlowReader, "reading too slowly");
                self.close_session(index, &goodbye);
            }
            Stage::Closing(closing) => match closing.end.as_ref().map(|end| end.code) {
                Some(code) if core::mem::take(&mut closing.tellable) => {
                    // What it was to be told last did not fit: only the close frame is left.
                    self.outboxes.discard(index, true);
                    self.outboxes.set_shut(index, false);
                    self.say_close(index, code, "");
                }
                _ => self.outboxes.raise(index, flag::RESET),
            },
            // A response was lost: later ones would answer the wrong request.
            Stage::Request(_) => {
                self.end_requests(index);
                self.after_queueing(index);
            }
            Stage::Over(_) => {}
        }
    }
}

/// The longest reason that fits a close frame.
const MAX_REASON_BYTES: usize = 123;

/// A close frame without a code.
const EMPTY_CLOSE: [u8; 2] = [0x88, 0x00];

/// The longest prefix of at most `max` bytes that ends at a character.
fn truncate(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
