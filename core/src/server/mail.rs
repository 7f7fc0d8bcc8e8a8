//! What was sent to one client alone: of a client with a session the last is kept, so that it can have on its next
//! connection what it has missed on this one, or between the two.

use std::collections::VecDeque;

use super::Server;
use super::history::MESSAGES_PER_DELIVERY;
use crate::cluster::message::{Carried, Luggage};
use crate::config::Sessions;
use crate::id::{ClientId, ConnectionId};
use crate::message::{Asked, Gap, Payload, ServerMessage};

/// The last messages to one client, each with its offset: 1, 2, and so on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mail {
    /// The offset of the latest one, kept or not.
    last: u64,
    letters: VecDeque<Letter>,
    bytes: usize,
}

/// A message to one client.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    offset: u64,
    from: ClientId,
    data: Carried,
    /// Of the server's clock, ms.
    timestamp: u64,
}

impl Letter {
    fn new(from: ClientId, data: Payload<'_>, timestamp: u64) -> Self {
        Self {
            offset: 0,
            from,
            data: data.into(),
            timestamp,
        }
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

impl Mail {
    /// The offset of the latest message; 0: there was none.
    pub(crate) const fn last(&self) -> u64 {
        self.last
    }

    /// Memory of what is kept.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes another one; the oldest go where there are too many. Its offset.
    fn push(&mut self, mut letter: Letter, limits: &Sessions) -> u64 {
        self.last += 1;
        letter.offset = self.last;
        self.bytes += letter.bytes();
        self.letters.push_back(letter);
        while self.letters.len() > limits.mail_messages as usize || self.bytes > limits.mail_bytes {
            match self.letters.pop_front() {
                Some(oldest) => self.bytes -= oldest.bytes(),
                None => break,
            }
        }
        self.last
    }

    /// There was one that is not kept.
    const fn skip(&mut self, count: u64) -> u64 {
        self.last += count;
        self.last
    }

    /// Takes what came while this was on its way.
    pub(crate) fn append(&mut self, later: Self, limits: &Sessions) {
        self.skip(later.last - later.letters.len() as u64);
        for letter in later.letters {
            self.push(letter, limits);
        }
    }

    /// What came after an offset and is kept, and what is not kept of it.
    fn since(&self, after: u64) -> (Option<Gap>, impl Iterator<Item = &Letter>) {
        let letters = self.letters.iter().filter(move |it| it.offset > after);
        let first = letters.clone().next().map_or(self.last + 1, |it| it.offset);
        let from = after.saturating_add(1);
        let gap = (from < first).then(|| Gap {
            from,
            to: first - 1,
        });
        (gap, letters)
    }
}

impl Server {
    /// Sends a client what another has to say to it alone.
    pub(super) fn deliver_privately(
        &mut self,
        target: u32,
        (connection, from): (Option<ConnectionId>, ClientId),
        data: Payload<'_>,
    ) {
        let timestamp = self.now.unix_ms;
        let letter = || Letter::new(from, data, timestamp);
        let limits = &self.config.sessions;
        let session = self
            .connections
            .get_mut(target)
            .and_then(|c| c.session_mut());
        let extra = session.and_then(|session| session.extra.as_deref_mut());
        let offset = extra
            .filter(|extra| extra.resumable && limits.mail_messages > 0)
            .map(|extra| self.sessions.keep(&mut extra.mail, letter, limits));
        let message = ServerMessage::PrivateMessage {
            from,
            data,
            timestamp,
            offset,
        };
        self.send_private(target, connection, &message);
    }

    /// Keeps a message for a client that has no connection, or is between two; whether there is such a client.
    pub(super) fn keep_mail(&mut self, to: &ClientId, from: ClientId, data: Payload<'_>) -> bool {
        let limits = &self.config.sessions;
        if limits.mail_messages == 0 || self.config.private_messages_need_shared_room {
            return false;
        }
        let timestamp = self.now.unix_ms;
        let letter = || Letter::new(from, data, timestamp);
        self.sessions.keep_for(to, letter, limits)
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
        for letter in mail.since(after).1 {
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

    /// Where a client's mail stands, and what of it is not kept of what came after an offset.
    pub(super) fn mail_position(&self, index: u32, after: Option<u64>) -> (u64, Option<Gap>) {
        let session = self.connections.get(index).and_then(|c| c.session());
        let extra = session.and_then(|session| session.extra.as_deref());
        let mail = extra.and_then(|extra| extra.mail.as_deref());
        let gap = mail
            .zip(after)
            .and_then(|(mail, after)| mail.since(after).0);
        (mail.map_or(0, Mail::last), gap)
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
        if self.mail_bytes >= limits.max_mail_bytes {
            self.mail_lost += 1;
            return mail.skip(1);
        }
        let before = mail.bytes();
        let offset = mail.push(letter(), limits);
        self.mail_bytes = self.mail_bytes + mail.bytes() - before;
        offset
    }

    fn keep_for(
        &mut self,
        client: &ClientId,
        letter: impl FnOnce() -> Letter,
        limits: &Sessions,
    ) -> bool {
        let Some(mut mail) = self.mail_mut(client).map(Option::take) else {
            return false;
        };
        self.keep(&mut mail, letter, limits);
        if let Some(place) = self.mail_mut(client) {
            *place = mail;
        }
        true
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
