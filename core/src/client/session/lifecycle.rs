//! Connections come and go: from the attempt to the end, and whether and when there is another.

use core::num::NonZeroU32;
use core::time::Duration;

use rand_chacha::rand_core::Rng;

use super::backoff::{is_final, is_final_status, longest, part_of};
use super::config::ms;
use super::event::{CloseCause, Closed, Dropped, EndCause, Event, Outcome, State};
use super::heartbeat::Action;
use super::link::{Link, Stage};
use super::queue::{Waiter, Work};
use super::rooms::Rooms;
use super::sending::{Pending, Untaken};
use super::wire::{Form, Own};
use super::{Delivery, Session};
use crate::ConfigError;
use crate::client::{Client, ClientConfig};
use crate::id::ConnectionId;
use crate::machine::ShardId;
use crate::time::Instant;

/// An attempt that is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retry {
    pub(super) at: Instant,
    /// The server has said that it should not be sooner.
    not_before: Instant,
}

/// What the server said before it closes: when to come back, if at all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goodbye(pub(super) Option<Duration>);

/// How a connection ended.
pub(super) struct Ending {
    pub(super) code: u16,
    pub(super) reason: String,
    pub(super) cause: CloseCause,
    /// The server would only end the next one, too.
    pub(super) is_final: bool,
    /// When the server would have it come back.
    pub(super) hint: Option<Duration>,
}

impl Ending {
    /// Without a close frame.
    pub(super) const fn lost(cause: CloseCause) -> Self {
        Self {
            code: LOST,
            reason: String::new(),
            cause,
            is_final: false,
            hint: None,
        }
    }

    pub(super) fn close_frame(code: Option<u16>, reason: String) -> Self {
        let code = code.unwrap_or(NO_CODE);
        Self {
            code,
            reason,
            is_final: is_final(code),
            ..Self::lost(CloseCause::CloseFrame)
        }
    }

    pub(super) fn refused(status: u16, reason: String, retry_after_s: Option<u64>) -> Self {
        Self {
            reason,
            is_final: is_final_status(status),
            hint: retry_after_s.map(Duration::from_secs),
            ..Self::lost(CloseCause::Refused { status })
        }
    }
}

impl Session {
    // ---- what the driver says

    pub(super) fn connected(&mut self, connection: ConnectionId) {
        if let Some(link) = self.link_of(connection)
            && link.stage == Stage::Connecting
        {
            link.stage = Stage::Handshake;
        }
    }

    pub(super) fn connect_failed(&mut self, connection: ConnectionId) {
        if self.is_closed_already(connection) {
            return;
        }
        match self.link_of(connection).map(|link| link.stage) {
            Some(Stage::Connecting) => {
                self.link = None;
                self.lost(Ending::lost(CloseCause::ConnectFailed));
            }
            Some(_) => self.ended(connection),
            None => {}
        }
    }

    /// The socket is gone.
    pub(super) fn ended(&mut self, connection: ConnectionId) {
        if self.is_closed_already(connection) {
            return;
        }
        let Some(stage) = self.link_of(connection).map(|link| link.stage) else {
            return;
        };
        self.link = None;
        if stage == Stage::Leaving {
            self.forget_link();
        } else {
            self.lost(Ending::lost(CloseCause::Lost));
        }
    }

    /// What was about to be closed has ended before the driver heard of that.
    fn is_closed_already(&mut self, connection: ConnectionId) -> bool {
        self.closing.take_if(|(id, _)| *id == connection).is_some()
    }

    /// The server has finished writing.
    pub(super) fn read_end(&mut self, connection: ConnectionId) {
        let Some(link) = self.link_of(connection) else {
            return;
        };
        if link.has_unread() {
            link.read_ended = true;
            return;
        }
        match link.stage {
            // The answer to its close frame may still go.
            Stage::Leaving if !link.wire.unsent().is_empty() => {}
            Stage::Leaving => self.close_link(false),
            _ => {
                self.close_link(false);
                self.lost(Ending::lost(CloseCause::Lost));
            }
        }
    }

    // ---- from the attempt to the end

    /// Begins an attempt.
    pub(super) fn connect(&mut self) {
        self.retry = None;
        // One that only says goodbye has had its time.
        self.close_link(true);
        self.stats.attempts += 1;
        self.become_state(State::Connecting);
        match self.config.credentials_timeout_ms {
            Some(timeout) => self.want_credentials(timeout),
            None => self.connect_with(self.wire_config.clone()),
        }
    }

    /// Asks for a connection.
    pub(super) fn connect_with(&mut self, config: ClientConfig) {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let wire = match Client::new(config, seed) {
            Ok(wire) => wire,
            // What was not of the program's credentials was checked when the session was made.
            Err(ConfigError { key, .. }) => {
                return self.lost(Ending::lost(CloseCause::BadCredentials { key }));
            }
        };
        let id = ConnectionId::new(ShardId(0), 0, self.generation);
        self.generation = self.generation.checked_add(1).unwrap_or(NonZeroU32::MIN);
        self.link = Some(Link::new(id, wire));
        self.connect_due = Some(self.now + ms(self.config.connect_timeout_ms));
    }

    /// The server has taken the connection.
    pub(super) fn opened(&mut self, protocol: Option<String>) {
        if let Some(link) = &mut self.link {
            link.stage = Stage::Open;
            link.form = Form::of(protocol.as_deref());
        }
        self.stats.opened += 1;
        self.become_state(State::Resuming);
        self.tell(Event::Opened { protocol });
        if self.config.resume {
            self.ask_who_it_is(self.identity.wants());
        }
    }

    /// The server has said its welcome.
    pub(super) fn welcomed(&mut self) {
        self.is_welcome = true;
        self.heartbeat.rest(self.now);
        self.arrive();
    }

    /// The connection is good if the server has said its welcome, and whether the session goes on.
    pub(super) fn arrive(&mut self) {
        if self.is_welcome && !self.identity.is_open() {
            self.connect_due = None;
            // One that opens and breaks again and again has not got anywhere.
            self.stable_due = Some(self.now + ms(self.config.stable_after_ms));
        }
    }

    /// The server closes: its frame is answered, and that is all that still goes there.
    pub(super) fn turn_away(&mut self, ending: Ending) {
        if let Some(link) = &mut self.link {
            link.stage = Stage::Leaving;
            self.linger_due = Some(self.now + ms(self.config.close_timeout_ms));
        }
        self.lost(ending);
    }

    /// Gives a connection up without waiting for an end that may never come: nobody may be there to answer.
    fn abandon(&mut self, cause: CloseCause) {
        self.close_link(true);
        self.lost(Ending::lost(cause));
    }

    /// The connection has ended, whatever is left of its socket.
    pub(super) fn lost(&mut self, ending: Ending) {
        // What the server says itself beats the code.
        let (is_final, hint) = match self.goodbye.take() {
            Some(Goodbye(after)) => (after.is_none(), after),
            None => (ending.is_final, ending.hint),
        };
        let is_spent = self
            .config
            .max_reconnect_attempts
            .is_some_and(|most| self.attempts >= most);
        let mut closed = Closed {
            code: ending.code,
            reason: ending.reason,
            cause: ending.cause,
            reconnect_in: None,
        };
        if is_final {
            self.end(EndCause::Server(closed.clone()));
        } else if is_spent {
            self.end(EndCause::TooManyAttempts(closed.clone()));
        } else {
            closed.reconnect_in = Some(self.wait(hint.unwrap_or_default()));
            self.go_offline();
        }
        self.tell(Event::Closed(closed));
    }

    /// Waits for the next attempt; how long.
    fn wait(&mut self, hint: Duration) -> Duration {
        let hint = hint.min(ms(self.config.max_hint_ms));
        let longest = longest(&self.config, self.attempts);
        let delay = if self.config.full_jitter {
            part_of(longest, self.rng.next_u64())
        } else {
            longest
        };
        self.attempts = self.attempts.saturating_add(1);
        let delay = delay.max(hint);
        self.retry = Some(Retry {
            at: self.now + delay,
            not_before: self.now + hint,
        });
        self.become_state(State::Waiting);
        delay
    }

    /// It is over.
    fn end(&mut self, cause: EndCause) {
        self.retry = None;
        self.become_state(State::Closed);
        self.stop_timers();
        let pending = core::mem::take(&mut self.pending).into_values();
        let mut items: Vec<_> = pending.flat_map(Pending::into_items).collect();
        items.extend(self.untaken.drain(..).filter_map(|(_, it)| it.into_item()));
        items.extend(self.rooms.leave_link());
        items.extend(self.queue.take_all());
        for item in items {
            self.drop_item(item, Dropped::Closed);
        }
        self.rooms = Rooms::default();
        self.slots = 0;
        self.end = Some(cause);
    }

    /// [`Command::Close`](super::Command::Close).
    pub(super) fn close(&mut self) {
        if self.state == State::Closed {
            return;
        }
        let is_asking = self.credentials_due.is_some();
        // What is being gathered goes, as there still is a connection.
        self.urgent_order = self.last_order;
        self.flush();
        // What has no other outcome than that the socket takes it may still have it.
        let untaken = core::mem::take(&mut self.untaken);
        let (sent, requests) = untaken
            .into_iter()
            .partition(|(_, it)| matches!(it, Untaken::Sent(_)));
        self.untaken = requests;
        self.end(EndCause::Command);
        self.untaken = sent;
        match self.link.as_mut() {
            Some(link) if link.stage == Stage::Open => {
                link.wire.close(NORMAL, GOODBYE);
                link.stage = Stage::Leaving;
                self.linger_due = Some(self.now + ms(self.config.close_timeout_ms));
                self.owes_closed = true;
            }
            // Its end has been told.
            Some(link) if link.stage == Stage::Leaving => {}
            Some(_) => {
                self.owes_closed = true;
                self.close_link(true);
            }
            // An attempt that nobody has heard of yet.
            None if is_asking => {
                self.owes_closed = true;
                self.said_goodbye(Ending::lost(CloseCause::Lost));
            }
            None => {}
        }
    }

    /// The last of the connection that [`Command::Close`](super::Command::Close) found.
    pub(super) fn said_goodbye(&mut self, ending: Ending) {
        if core::mem::take(&mut self.owes_closed) {
            self.tell(Event::Closed(Closed {
                code: ending.code,
                reason: ending.reason,
                cause: ending.cause,
                reconnect_in: None,
            }));
        }
    }

    /// The driver is to close the socket.
    pub(super) fn close_link(&mut self, reset: bool) {
        if let Some(link) = self.link.take() {
            // Of one that the driver has not heard of it need not hear. So there is never a second one to close.
            if link.stage != Stage::Wanted {
                self.closing = Some((link.id, reset));
            }
            if link.stage == Stage::Leaving || self.state == State::Closed {
                self.forget_link();
            }
        }
    }

    /// A connection that only said goodbye has gone.
    fn forget_link(&mut self) {
        self.linger_due = None;
        self.said_goodbye(Ending::lost(CloseCause::Lost));
        // Of a session that goes on nothing is left here.
        for (_, untaken) in core::mem::take(&mut self.untaken) {
            if let Some(item) = untaken.into_item() {
                self.drop_item(item, Dropped::Closed);
            }
        }
    }

    /// Closes the socket of a connection that has said goodbye.
    pub(super) fn let_go(&mut self) {
        let is_over = |link: &Link| link.stage == Stage::Leaving && link.wire.is_over();
        if self.link.as_ref().is_some_and(is_over) {
            self.close_link(false);
        }
    }

    /// Nothing of a connection outlives it: what waits for it waits for the next one, or has its outcome.
    fn go_offline(&mut self) {
        self.stop_timers();
        for entry in self.queue.take_joins_and_leaves() {
            match entry.work {
                Work::Join { room, .. } if self.rooms.get(room).is_some() => {
                    let waiter = Waiter {
                        item: entry.item,
                        room,
                        since: entry.since,
                    };
                    if self.queue.wait(waiter).is_err() {
                        self.drop_item(entry.item, Dropped::QueueFull);
                    }
                }
                Work::Leave { .. } => self.tell_outcome(entry.item, Outcome::Left),
                _ => self.drop_item(entry.item, Dropped::Left),
            }
        }
        let mut back = Vec::new();
        for (_, untaken) in core::mem::take(&mut self.untaken) {
            if let Untaken::Sent(entry) = untaken {
                back.push(entry);
            }
        }
        for pending in core::mem::take(&mut self.pending).into_values() {
            match pending {
                Pending::Request { entry, is_taken } => {
                    if !is_taken || entry.delivery == Delivery::AtLeastOnce {
                        back.push(entry);
                    } else {
                        self.drop_item(entry.item, Dropped::ConnectionLost);
                    }
                }
                // Whoever has no connection is in no room.
                Pending::Leave { item } => self.tell_outcome(item, Outcome::Left),
                Pending::Join { items, .. } => {
                    for item in items {
                        self.drop_item(item, Dropped::ConnectionLost);
                    }
                }
            }
        }
        for item in self.rooms.leave_link() {
            self.drop_item(item, Dropped::ConnectionLost);
        }
        for entry in self.queue.put_back(back) {
            self.drop_item(entry.item, Dropped::QueueFull);
        }
        (self.slots, self.joined_up_to) = (0, 0);
    }

    /// What holds for one connection only.
    fn stop_timers(&mut self) {
        self.credentials_due = None;
        self.connect_due = None;
        self.stable_due = None;
        self.heartbeat.stop();
        self.identity.leave_link();
        self.is_welcome = false;
    }

    // ---- time

    /// Does what is due; whether anything was.
    pub(super) fn fire_due(&mut self) -> bool {
        let now = self.now;
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        if !is_due(self.deadline()) {
            return false;
        }
        if self.stable_due.take_if(|due| *due <= now).is_some() {
            self.attempts = 0;
        }
        if is_due(self.credentials_due) {
            self.lost(Ending::lost(CloseCause::NoCredentials));
        }
        if is_due(self.connect_due) {
            self.no_answer();
        }
        if is_due(self.heartbeat.due()) {
            self.beat();
        }
        if self.linger_due.take_if(|due| *due <= now).is_some() {
            self.close_link(true);
        }
        while let Some(item) = self.queue.expire(now) {
            self.drop_item(item, Dropped::TooOld);
        }
        while let Some((room, pause)) = self.rooms.unpause(now) {
            self.ask_again(room, pause);
        }
        if let Some(wants) = self.identity.unpause(now) {
            self.ask_who_it_is(wants);
        }
        if is_due(self.retry.map(|retry| retry.at)) {
            self.connect();
        }
        true
    }

    /// While nothing is read, silence proves nothing.
    fn no_answer(&mut self) {
        if self.link.as_ref().is_some_and(|link| !link.is_reading) {
            self.connect_due = Some(self.now + ms(self.config.connect_timeout_ms));
        } else {
            self.abandon(CloseCause::NoAnswer);
        }
    }

    fn beat(&mut self) {
        let is_reading = self.link.as_ref().is_some_and(|link| link.is_reading);
        match self.heartbeat.fire(self.now, is_reading) {
            Action::Nothing => {}
            Action::Ask { last_time } => self.ask_for_life(last_time),
            Action::GiveUp => self.abandon(CloseCause::NoPong),
        }
    }

    fn ask_for_life(&mut self, last_time: bool) {
        let ping = self.say(Own::Ping);
        self.heartbeat.asked(self.now, ping, last_time);
    }

    /// [`Command::Wake`](super::Command::Wake).
    pub(super) fn wake(&mut self) {
        if self.retry.is_some_and(|retry| retry.not_before <= self.now) {
            self.connect();
        } else if self.heartbeat.is_resting() {
            self.ask_for_life(false);
        }
    }
}

const NORMAL: u16 = 1000;
const NO_CODE: u16 = 1005;
const LOST: u16 = 1006;
const GOODBYE: &str = "Client closing connection";
