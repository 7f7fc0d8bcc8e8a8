//! What the driver is told to do next, round by round.
//!
//! A round hands out every flag that was raised before it began. Between rounds the server does what waits:
//! due timers, connections to close, tails to go on with, and the seal that turns what rooms published into
//! queues. Each of these is budgeted; what is left is announced by [`Output::Again`], never hidden behind
//! [`Output::Idle`].

use super::closing::Goodbye;
use super::commands::Farewell;
use super::deadlines::Deadline;
use super::{Drain, Event, News, Server};
use crate::id::ClientId;
use crate::machine::{Output, Turn};
use crate::session::connection::{CloseCause, End, Stage};
use crate::session::outbox::flag;
use crate::time::Instant;

/// Timers and deadlines that fire between two polls.
const TIMERS_PER_POLL: usize = 256;
/// Members that a seal serves between two polls.
const SEALS_PER_POLL: u32 = 8_192;
/// Tails that are gone on with between two polls.
const TAILS_PER_POLL: usize = 64;
/// Clients that are told of a drain between two polls.
const GOODBYES_PER_POLL: u32 = 256;

impl Server {
    pub(super) fn next_output(&mut self) -> Output<Event> {
        loop {
            self.steps.one();
            if let Some(event) = self.next_event() {
                return Output::Event(event);
            }
            // First of all: others may begin with it while this shard writes to its sockets.
            if let Some(to) = self.links.announce() {
                return Output::Relay { to };
            }
            if let Some(job) = self.next_job() {
                return Output::Job(job);
            }
            if let Some((index, flag)) = self.outboxes.next_flagged() {
                match self.hand_out(index, flag) {
                    Some(output) => return output,
                    None => continue,
                }
            }
            let more = self.between_rounds();
            let started = self.outboxes.begin_round();
            if started || !self.news.is_empty() || self.links.is_stirred() || self.has_next_job() {
                continue;
            }
            // Last: a program that is slow to take them keeps nobody from being told to go.
            if let Some(event) = self.next_leaving() {
                return Output::Event(event);
            }
            if more {
                return Output::Again;
            }
            return Output::Idle {
                deadline: self.next_deadline(),
            };
        }
    }

    /// What a flag asks of the driver; `None` if it has lost its reason.
    fn hand_out(&mut self, index: u32, raised: u8) -> Option<Output<Event>> {
        let connection = self.connections.id(index)?;
        match raised {
            flag::READ => Some(Output::ReadInterest {
                connection,
                wanted: true,
            }),
            flag::PAUSE => Some(Output::ReadInterest {
                connection,
                wanted: false,
            }),
            flag::TRANSMIT => {
                if self.outboxes.is_empty(index) || self.outboxes.is_blocked(index) {
                    return None;
                }
                self.awaiting = Some(connection);
                Some(Output::Transmit { connection })
            }
            flag::FINISH => Some(Output::Finish { connection }),
            flag::CLOSE | flag::RESET => {
                self.disconnect(index, CloseCause::Lost, super::closing::ABNORMAL);
                self.bury(index);
                Some(Output::Close {
                    connection,
                    reset: raised == flag::RESET,
                })
            }
            _ => None,
        }
    }

    fn next_event(&mut self) -> Option<Event> {
        loop {
            self.steps.one();
            return Some(match self.news.pop_front()? {
                News::Session(event) => *event,
                News::Application(event) => {
                    self.application_news -= 1;
                    self.application_bytes -= event.carried_bytes();
                    self.program_took(&event);
                    *event
                }
                News::Opened(index) => match self.opened_event(index) {
                    Some(event) => event,
                    None => continue,
                },
                News::Resumed(index, client) => match self.resumed_event(index, client) {
                    Some(event) => event,
                    None => continue,
                },
                News::Ended(index) => match self.closed_event(index) {
                    Some(event) => event,
                    None => continue,
                },
                News::Refused(kind) => match self.refused_event(kind) {
                    Some(event) => event,
                    None => continue,
                },
                News::Drained => Event::Drained,
            });
        }
    }

    fn opened_event(&self, index: u32) -> Option<Event> {
        let connection = self.connections.get(index)?;
        // It may have ended since: its id is still in the record of its end.
        let client = match &connection.stage {
            Stage::Session(session) => self.encode_id(&session.secret, index),
            Stage::Closing(closing) => closing.end.as_ref()?.first,
            Stage::Over(closed) => closed.as_ref()?.end.as_ref()?.first,
            Stage::Request(_) => return None,
        };
        Some(Event::Opened {
            connection: self.connections.id(index)?,
            client,
            peer: (&connection.peer).into(),
            listener: connection.listener,
        })
    }

    fn resumed_event(&self, index: u32, client: ClientId) -> Option<Event> {
        let connection = self.connections.id(index)?;
        Some(Event::Resumed { connection, client })
    }

    /// Tells the end of a session and frees its slot.
    fn closed_event(&mut self, index: u32) -> Option<Event> {
        let id = self.connections.id(index)?;
        let Stage::Over(Some(closed)) = self.connections.remove(index)?.stage else {
            return None;
        };
        let End {
            first: _,
            client,
            cause,
            code,
            opened,
            received,
        } = closed.end?;
        Some(Event::Closed {
            connection: id,
            client,
            cause,
            code,
            duration: self.now.mono.saturating_since(opened),
            received,
        })
    }

    /// Does what waits between two rounds. `true` when something is left to do at once.
    fn between_rounds(&mut self) -> bool {
        self.compression.shrink();
        let mut more = self.fire_timers();
        self.tell_due_refusals();
        self.go_on_with_tails();
        more |= self.go_on_with_links();
        more |= self.go_on_with_drain();
        self.use_room();
        more |= self.end_moments();
        more |= !self.seal(SEALS_PER_POLL);
        self.note_drops();
        while let Some(index) = self.outboxes.pop_overflowed() {
            self.close_overflowed(index);
        }
        // Last: who has just been closed may still hold too much.
        more |= self.keep_budget();
        // A backlog behind a full queue goes on when that has been polled or sealed. Clients that have waited for a
        // link have joined it only now.
        more || !self.backlog.is_empty()
            || !self.dirty.is_empty()
            || self.files.has_room_to_use()
            || !self.outboxes.drops.is_empty()
    }

    fn fire_timers(&mut self) -> bool {
        let now = self.now.mono;
        for _ in 0..TIMERS_PER_POLL {
            self.steps.one();
            let timer = self.timers.next_deadline().unwrap_or(Instant::FAR_FUTURE);
            let other = self.deadlines.first().map(|(due, _)| due);
            if let Some((due, index)) = self.unfinished.first()
                && due <= now
                && due <= timer
                && other.is_none_or(|other| due <= other)
            {
                self.message_overdue(index);
                continue;
            }
            match self.deadlines.first() {
                Some((due, deadline)) if due <= now && due <= timer => {
                    self.deadlines.pop_first();
                    self.deadline_fired(deadline);
                }
                _ => match self.timers.pop_due(now) {
                    Some((index, class)) => self.timer_fired(index, class),
                    None => return false,
                },
            }
        }
        true
    }

    fn deadline_fired(&mut self, deadline: Deadline) {
        match deadline {
            Deadline::Typing(index, room) => self.typing_expired(index, room),
            Deadline::RoomNotice(room) => self.room_notice(room),
            Deadline::RoomHistory(room) => self.history_is_due(room),
            Deadline::RoomLinger(room) => self.remove_room(room),
            Deadline::Reply(token) => self.reply_overdue(token),
            Deadline::Throttle(index) => self.throttled_long_enough(index),
            Deadline::Relay(index) => self.shard_overdue(index),
            Deadline::Holds => self.tell_holds(),
            Deadline::Sessions => self.sessions_are_over(),
            Deadline::Away(room) => self.away_for_too_long(room),
            Deadline::Addresses => self.forget_addresses(),
            Deadline::Drain => self.drain_overdue(),
            Deadline::File(transfer) => self.file_due(transfer),
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let timer = self.timers.next_deadline();
        let other = self.deadlines.first().map(|(due, _)| due);
        let message = self.unfinished.first().map(|(due, _)| due);
        let refusals = self.refusals.first_due();
        let all = [timer, other, message, refusals, self.held.next_due()];
        all.into_iter().flatten().min()
    }

    /// Processes what connections had to keep, while there is room for it.
    fn go_on_with_tails(&mut self) {
        for _ in 0..TAILS_PER_POLL.min(self.backlog.len()) {
            self.steps.one();
            if self.turn() == Turn::Full {
                break;
            }
            if let Some(index) = self.backlog.pop_front() {
                self.resume(index);
            }
        }
    }

    /// Closes the connection that has been stalled longest while the buffers hold too much.
    fn keep_budget(&mut self) -> bool {
        if self.buffered_bytes() <= self.max_buffered_bytes() {
            return false;
        }
        match self.outboxes.longest_stalled() {
            Some(index) => {
                self.give_up_stalled(index);
                true
            }
            None => false,
        }
    }

    fn give_up_stalled(&mut self, index: u32) {
        let connection = self.connections.get(index);
        if connection.is_some_and(|connection| connection.session().is_some()) {
            self.close_over_budget(index);
            // It holds next to nothing now: it keeps its place to hear why, and others come before it.
            self.outboxes.unblock(index);
            self.outboxes.block(index);
        } else {
            self.outboxes.raise(index, flag::RESET);
        }
    }

    /// Says goodbye to the next clients of a drain.
    fn go_on_with_drain(&mut self) -> bool {
        let Drain::Telling(from) = self.drain else {
            // The last session may have left.
            self.check_drained();
            return false;
        };
        let end = from
            .saturating_add(GOODBYES_PER_POLL)
            .min(self.connections.slots());
        for index in from..end {
            self.say_drain(index);
        }
        self.drain = if end == self.connections.slots() {
            Drain::Waiting
        } else {
            Drain::Telling(end)
        };
        self.check_drained();
        self.drain == Drain::Telling(end)
    }

    fn say_drain(&mut self, index: u32) {
        let Some(connection) = self.connections.get(index) else {
            return;
        };
        match &connection.stage {
            Stage::Session(_) => {
                let after = self.reconnect_delay(index);
                let Farewell { code, reason, .. } = self.farewell;
                let goodbye = Goodbye::announced(CloseCause::Drain, code, reason, Some(after));
                self.close_session(index, &goodbye);
            }
            Stage::Request(_) if self.outboxes.is_empty(index) => self.close_quietly(index),
            Stage::Request(_) => self.end_requests(index),
            Stage::Closing(_) => self.let_go_of_answered(index),
            Stage::Over(_) => {}
        }
    }
}
