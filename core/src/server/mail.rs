//! What was sent to one client alone: of a client with a session the last is kept, so that it can have on its next
//! connection what it has missed on this one, or between the two.

mod answers;
mod spelling;

use std::collections::VecDeque;
use std::sync::Arc;

use answers::Answers;
pub(super) use answers::Before;

use super::Server;
use super::admission::Refused;
use super::event::Outcome as Answer;
use super::history::MESSAGES_PER_DELIVERY;
use super::messages::Outcome;
use crate::cluster::message::{Carried, Luggage};
use crate::config::{MessageIds, Sessions};
use crate::id::{ClientId, ConnectionId};
use crate::message::{Asked, Gap, MAX_LEFT_OUT, Payload, Published, ServerMessage, Terms};
use crate::room::history::gap_between;

const REPEATED: Published = Published {
    offset: None,
    duplicate: true,
};

/// The last messages to one client, each with its offset: 1, 2, and so on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mail {
    /// The offset of the latest one, kept or not.
    last: u64,
    /// Up to this offset the client has told that it has them.
    acknowledged: u64,
    /// Up to this offset none is kept, for want of room.
    trimmed: u64,
    letters: VecDeque<Letter>,
    /// Those that would be known again, the oldest first.
    known: VecDeque<Known>,
    /// What all of it takes.
    bytes: usize,
    /// What those take that would be known again.
    known_bytes: usize,
    /// What became of what it has asked.
    answers: Answers,
}

/// A message to one client.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    offset: u64,
    from: ClientId,
    data: Carried,
    /// Of the server's clock, ms.
    timestamp: u64,
    /// From then on it is not told any more, of the same clock.
    until_ms: Option<u64>,
}

/// A message that came under an id.
#[derive(Clone, Debug)]
struct Known {
    from: ClientId,
    id: Box<str>,
    /// When, of the server's clock, ms.
    timestamp: u64,
    /// That of its letter, if it has one.
    offset: u64,
}

impl Known {
    /// Whether it is too old to be known again.
    const fn is_over(&self, now_ms: u64, ids: &MessageIds) -> bool {
        now_ms >= self.timestamp.saturating_add(ids.window_ms)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.id.len()
    }
}

impl Letter {
    fn new(from: ClientId, (data, terms): (Payload<'_>, &Terms<'_>), timestamp: u64) -> Self {
        let until = |ttl_ms| timestamp.saturating_add(u64::from(ttl_ms));
        Self {
            offset: 0,
            from,
            data: data.into(),
            timestamp,
            until_ms: terms.ttl_ms.map(until),
        }
    }

    fn is_current(&self, now_ms: u64) -> bool {
        self.until_ms.is_none_or(|until| now_ms < until)
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.data.payload().len()
    }

    fn message(&self) -> ServerMessage<'_> {
        ServerMessage::PrivateMessage {
            from: self.from,
            data: self.data.payload(),
            timestamp: self.timestamp,
            offset: Some(self.offset),
        }
    }
}

/// What there is for a client that has come back, but the letters.
#[derive(Debug, Default)]
pub(super) struct MailPosition {
    pub(super) last: u64,
    /// What is not kept of what it has missed.
    pub(super) gap: Option<Gap>,
    /// What of it is out of date, at most [`MAX_LEFT_OUT`] ranges.
    pub(super) left_out: Vec<Gap>,
}

impl Mail {
    /// Memory of what is kept.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes + self.answers.bytes()
    }

    /// Takes another one; the oldest go where there are too many. Its offset.
    fn push(&mut self, mut letter: Letter, limits: &Sessions) -> u64 {
        self.last += 1;
        letter.offset = self.last;
        self.bytes += letter.bytes();
        self.letters.push_back(letter);
        while self.letters.len() > limits.mail_messages as usize
            || self.bytes - self.known_bytes > limits.mail_bytes
        {
            match self.letters.pop_front() {
                Some(oldest) => {
                    self.trimmed = oldest.offset;
                    self.bytes -= oldest.bytes();
                }
                None => break,
            }
        }
        self.last
    }

    /// There were some that are not kept, nor any before them.
    fn skip(&mut self, count: u64) -> u64 {
        self.last += count;
        if count > 0 {
            self.trimmed = self.last;
            let letters = core::mem::take(&mut self.letters);
            self.bytes -= letters.iter().map(Letter::bytes).sum::<usize>();
        }
        self.last
    }

    /// Takes what came while this was on its way, but for what had come before. How many ids were forgotten for it.
    pub(crate) fn append(&mut self, later: Self, limits: &Sessions, ids: &MessageIds) -> u64 {
        self.skip(later.last - later.letters.len() as u64);
        let mut repeated = Vec::new();
        for known in later.known {
            if self.has(known.from, &known.id, known.timestamp, ids) {
                repeated.push(known.offset);
            } else {
                self.know(known);
            }
        }
        let is_new = |letter: &Letter| !repeated.contains(&letter.offset);
        for letter in later.letters.into_iter().filter(is_new) {
            self.push(letter, limits);
        }
        self.answers.append(later.answers, (limits, ids))
    }

    /// Whether a message that came at `now_ms` had come before.
    fn has(&self, from: ClientId, id: &str, now_ms: u64, ids: &MessageIds) -> bool {
        let mut known = self.known.iter();
        known.any(|it| it.from == from && *it.id == *id && !it.is_over(now_ms, ids))
    }

    /// The client has all up to an offset: nothing of it is told again.
    fn acknowledge(&mut self, offset: u64) {
        self.acknowledged = self.acknowledged.max(offset.min(self.last));
        while let Some(letter) = self.letters.front()
            && letter.offset <= self.acknowledged
        {
            self.bytes -= letter.bytes();
            self.letters.pop_front();
        }
    }

    /// Whether a message came before, under its id. It is known from now on, and what is too old or too many is not.
    fn knows(&mut self, from: ClientId, id: &str, now_ms: u64, ids: &MessageIds) -> (bool, u64) {
        let mut forgotten = 0;
        while let Some(oldest) = self.known.front().filter(|it| it.is_over(now_ms, ids)) {
            let bytes = oldest.bytes();
            self.known.pop_front();
            self.forget(bytes);
        }
        if self.has(from, id, now_ms, ids) {
            return (true, 0);
        }
        let known = Known {
            from,
            id: id.into(),
            timestamp: now_ms,
            offset: self.last + 1,
        };
        self.know(known);
        while self.known.len() > ids.max_per_client as usize {
            forgotten += 1;
            let oldest = self.known.pop_front();
            self.forget(oldest.map_or(0, |it| it.bytes()));
        }
        (false, forgotten)
    }

    fn know(&mut self, known: Known) {
        self.bytes += known.bytes();
        self.known_bytes += known.bytes();
        self.known.push_back(known);
    }

    /// One that took so much is not known any more.
    const fn forget(&mut self, bytes: usize) {
        self.bytes -= bytes;
        self.known_bytes -= bytes;
    }

    /// Where it stands for somebody who has it up to an offset; the letters that are told are those of
    /// [`since`](Self::since).
    fn position(&self, after: u64, now_ms: u64) -> MailPosition {
        let after = self.heard_of(after);
        let begin = after.max(self.trimmed);
        let mut position = MailPosition {
            last: self.last,
            gap: gap_between(after, begin),
            left_out: Vec::new(),
        };
        let mut begin = begin;
        for letter in self.since(after, now_ms) {
            // The last place is that of what follows the last letter, which no other offset tells of.
            if position.left_out.len() < MAX_LEFT_OUT - 1 {
                position
                    .left_out
                    .extend(gap_between(begin, letter.offset - 1));
            }
            begin = letter.offset;
        }
        position.left_out.extend(gap_between(begin, self.last));
        position
    }

    /// What of it somebody has who has it up to an offset. One that there is not is of mail that was lost with the thread
    /// that kept it.
    fn heard_of(&self, after: u64) -> u64 {
        let after = if after > self.last { 0 } else { after };
        after.max(self.acknowledged)
    }

    /// What came after an offset, is kept and is not out of date.
    fn since(&self, after: u64, now_ms: u64) -> impl Iterator<Item = &Letter> {
        let after = self.heard_of(after);
        let letters = self.letters.iter();
        letters.filter(move |it| it.offset > after && it.is_current(now_ms))
    }
}

impl Server {
    /// Sends a client what another has to say to it alone, unless it was sent before.
    pub(super) fn deliver_privately(
        &mut self,
        target: u32,
        (connection, from): (Option<ConnectionId>, ClientId),
        (data, terms): (Payload<'_>, &Terms<'_>),
    ) -> Published {
        let timestamp = self.now.unix_ms;
        let letter = || Letter::new(from, (data, terms), timestamp);
        let limits = &self.config.sessions;
        let session = self
            .connections
            .get_mut(target)
            .and_then(|c| c.session_mut());
        let id = terms.message_id.as_deref();
        let extra = session.and_then(|session| match id {
            Some(_) => Some(session.extra_mut()),
            None => session.extra.as_deref_mut(),
        });
        let mut offset = None;
        if let Some(extra) = extra {
            let ids = &self.config.message_ids;
            if let Some(id) = id
                && self
                    .sessions
                    .knows(&mut extra.mail, (from, id), timestamp, ids, limits)
            {
                self.stats.repeated += 1;
                return REPEATED;
            }
            if extra.resumable && limits.mail_messages > 0 {
                offset = Some(self.sessions.keep(&mut extra.mail, letter, limits));
            }
        }
        let message = ServerMessage::PrivateMessage {
            from,
            data,
            timestamp,
            offset,
        };
        self.send_private(target, connection, &message);
        Published::default()
    }

    /// Keeps a message for a client that has no connection, or is between two; `None`: there is no such client.
    pub(super) fn keep_mail(
        &mut self,
        to: &ClientId,
        from: ClientId,
        (data, terms): (Payload<'_>, &Terms<'_>),
    ) -> Option<Published> {
        let limits = &self.config.sessions;
        if limits.mail_messages == 0 || self.config.private_messages_need_shared_room {
            return None;
        }
        let now_ms = self.now.unix_ms;
        let mut mail = self.sessions.mail_mut(to)?.take();
        let ids = &self.config.message_ids;
        let id = terms.message_id.as_deref();
        let sessions = &mut self.sessions;
        let known = id.is_some_and(|id| sessions.knows(&mut mail, (from, id), now_ms, ids, limits));
        if !known {
            let letter = || Letter::new(from, (data, terms), now_ms);
            sessions.keep(&mut mail, letter, limits);
        }
        if let Some(place) = sessions.mail_mut(to) {
            *place = mail;
        }
        self.stats.repeated += u64::from(known);
        Some(if known {
            REPEATED
        } else {
            Published::default()
        })
    }

    /// A client has what was sent to it alone up to an offset.
    pub(super) fn mail_is_acknowledged(
        &mut self,
        index: u32,
        offset: u64,
    ) -> Result<Outcome, Refused> {
        self.admit(index, 0)?;
        if let Some(mail) = self.mail_of(index) {
            let before = mail.bytes();
            mail.acknowledge(offset);
            let freed = before - mail.bytes();
            self.sessions.mail_is_gone(freed);
        }
        Ok(Outcome::Done)
    }

    fn mail_of(&mut self, index: u32) -> Option<&mut Mail> {
        let session = self.connections.get_mut(index)?.session_mut()?;
        session.extra.as_deref_mut()?.mail.as_deref_mut()
    }

    /// Tells a client that has come back what it has missed of its mail, after `session`.
    pub(super) fn tell_missed_mail(&mut self, index: u32, after: u64) {
        let connection = self.connections.get_mut(index);
        let extra = connection
            .and_then(|connection| connection.session_mut())
            .and_then(|session| session.extra.as_deref_mut());
        let Some(mail) = extra.and_then(|extra| extra.mail.take()) else {
            return;
        };
        let mut count = 0;
        for letter in mail.since(after, self.now.unix_ms) {
            count += 1;
            self.send(index, &letter.message(), Asked::Nothing);
        }
        self.charge_deliveries(index, count / MESSAGES_PER_DELIVERY);
        // It may have been closed for what it did not take.
        let connection = self.connections.get_mut(index);
        match connection.and_then(|connection| connection.session_mut()) {
            Some(session) => session.extra_mut().mail = Some(mail),
            None => self.sessions.mail_is_gone(mail.bytes()),
        }
    }

    /// Where a client's mail stands, for somebody who has it up to an offset. To a new session nothing is missing.
    pub(super) fn mail_position(&mut self, index: u32, after: Option<u64>) -> MailPosition {
        let now_ms = self.now.unix_ms;
        let mail = self.mail_of(index);
        let position = mail.map(|mail| match after {
            Some(after) => mail.position(after, now_ms),
            None => MailPosition {
                last: mail.last,
                ..MailPosition::default()
            },
        });
        position.unwrap_or_default()
    }
}

impl super::sessions::Sessions {
    /// Puts a message to the others, or only counts it where all of them are too many. Its offset.
    fn keep(
        &mut self,
        mail: &mut Option<Box<Mail>>,
        letter: impl FnOnce() -> Letter,
        limits: &Sessions,
    ) -> u64 {
        let mail = mail.get_or_insert_default();
        let before = mail.bytes();
        let offset = if self.mail_bytes >= limits.max_mail_bytes {
            self.mail_lost += 1 + mail.letters.len() as u64;
            mail.skip(1)
        } else {
            mail.push(letter(), limits)
        };
        self.mail_bytes = self.mail_bytes + mail.bytes() - before;
        offset
    }

    /// Whether a message to a client came before under its id; otherwise it is known from now on, unless all mail is too
    /// much.
    fn knows(
        &mut self,
        mail: &mut Option<Box<Mail>>,
        (from, id): (ClientId, &str),
        now_ms: u64,
        ids: &MessageIds,
        limits: &Sessions,
    ) -> bool {
        let mail = mail.get_or_insert_default();
        let before = mail.bytes();
        let (known, forgotten) = mail.knows(from, id, now_ms, ids);
        self.ids_forgotten += forgotten;
        self.mail_bytes = self.mail_bytes + mail.bytes() - before;
        if !known && self.mail_bytes > limits.max_mail_bytes {
            self.ids_forgotten += 1;
            let newest = mail.known.pop_back().map_or(0, |it| it.bytes());
            mail.forget(newest);
            self.mail_is_gone(newest);
        }
        known
    }

    /// What is known of a request to the program that came under an id.
    pub(super) fn find_answer(
        &mut self,
        mail: &mut Option<Box<Mail>>,
        id: &str,
        when: (u64, u64),
        ids: &MessageIds,
    ) -> Before {
        let Some(mail) = mail else {
            return Before::Never;
        };
        let before = mail.bytes();
        let found = mail.answers.find(id, when, ids);
        self.mail_bytes = self.mail_bytes + mail.bytes() - before;
        found
    }

    /// Knows such a request, or what became of it, unless all mail is too much.
    pub(super) fn note_answer(
        &mut self,
        mail: &mut Option<Box<Mail>>,
        (id, answer): (&str, Option<Arc<Answer>>),
        now_ms: u64,
        (limits, ids): (&Sessions, &MessageIds),
    ) {
        let mail = mail.get_or_insert_default();
        let before = mail.bytes();
        self.ids_forgotten += mail.answers.note(id, answer, now_ms, (limits, ids));
        if self.mail_bytes + mail.bytes() - before > limits.max_mail_bytes {
            self.ids_forgotten += 1;
            mail.answers.forget(id);
        }
        self.mail_bytes = self.mail_bytes + mail.bytes() - before;
    }

    /// Mail is not this shard's any more.
    pub(super) const fn mail_is_gone(&mut self, bytes: usize) {
        self.mail_bytes = self.mail_bytes.saturating_sub(bytes);
    }

    /// What is handed to another shard.
    pub(super) fn hands_over(&mut self, luggage: &Luggage) {
        self.mail_is_gone(luggage.mail_bytes());
    }

    /// What another shard has handed to this one.
    pub(super) fn takes_over(&mut self, luggage: &Luggage) {
        self.mail_bytes += luggage.mail_bytes();
    }
}

#[cfg(test)]
mod tests;
