//! Requests of clients that another shard answers: they wait for it, and nothing of theirs overtakes them.

use core::time::Duration;
use std::sync::Arc;

use super::super::Server;
use super::super::admission::Refused;
use super::super::deadlines::Deadline;
use super::super::files::FileWait;
use super::super::history::MESSAGES_PER_DELIVERY;
use super::super::messages::{Outcome, refusal, target_not_found};
use super::busy::Held;
use crate::cluster::files::{FileAsked, Offer};
use crate::cluster::message::{Answer, Page, Reply, Request, Who};
use crate::error::ErrorCode;
use crate::id::ClientId;
use crate::limits::heartbeat::Event as LifeEvent;
use crate::machine::ShardId;
use crate::message::{
    Asked, Former, LeaveReason, Payload, Remembered, ServerMessage, Since, Terms, TransferId,
};
use crate::room::LOBBY;
use crate::room::history::Wanted;
use crate::session::connection::Session;
use crate::time::Instant;

/// A request that waits for another shard.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// The request's `id`.
    asked: Remembered,
    /// Until when it waits.
    due: Instant,
    /// Tells its answer from those of earlier requests.
    ticket: u64,
    /// Whose answer, or link, it waits for.
    shard: ShardId,
    pub(super) whatfor: For,
}

#[derive(Debug)]
pub(super) enum For {
    /// To be let into a room, or, for a member, only for the list of members.
    Join {
        room: Box<str>,
        again: bool,
        since: Option<Since>,
    },
    Members,
    History,
    /// To hear what became of a message.
    Published,
    Private,
    /// To go on as that client.
    Session(Former),
    /// For why it is refused.
    Refusal,
    /// To offer a file.
    Offer(TransferId),
    /// To go on sending a file, which the client calls that.
    Resume {
        transfer: TransferId,
        name: Box<str>,
        secret: Box<str>,
    },
    /// To be heard by a transfer's home.
    File(FileWait),
    /// For room on a link: the message is understood again.
    Link {
        turn: u64,
        held: Held,
    },
}

impl Waiting {
    /// Whether a member has asked for the list, and is none any more.
    fn is_stale(&self, is_member: bool) -> bool {
        matches!(self.whatfor, For::Join { again: true, .. }) && !is_member
    }

    /// Up to where somebody has a room's messages who comes back to it.
    fn since(&self) -> Option<Since> {
        match self.whatfor {
            For::Join { since, .. } => since,
            _ => None,
        }
    }

    /// Memory besides its place.
    pub(crate) fn heap_bytes(&self) -> usize {
        let text = match &self.whatfor {
            For::Join { room, .. } => room.len(),
            For::Link { held, .. } => held.heap_bytes(),
            For::Resume { name, secret, .. } => name.len() + secret.len(),
            For::Members
            | For::History
            | For::Published
            | For::Private
            | For::Session(_)
            | For::Refusal
            | For::Offer(_)
            | For::File(_) => 0,
        };
        text + self.asked.heap_bytes()
    }
}

impl Server {
    // ---- asking

    pub(in crate::server) fn ask_to_join(
        &mut self,
        index: u32,
        home: ShardId,
        name: &str,
        (again, since): (bool, Option<Since>),
        asked: Asked<'_>,
    ) {
        let Some(who) = self.who(index) else {
            return;
        };
        let room: Box<str> = name.into();
        let whatfor = For::Join {
            room: room.clone(),
            again,
            since,
        };
        // Most clients have none, and nothing is kept for them.
        let metadata = Some(self.metadata(index)).filter(|&json| json != "{}");
        let metadata = metadata.map(Box::from);
        let ticket = self.wait(index, asked, home, whatfor);
        let request = Request::Join {
            who,
            ticket,
            room,
            metadata,
            since,
        };
        self.ask(home, request);
    }

    pub(in crate::server) fn ask_members(
        &mut self,
        index: u32,
        room: u32,
        page: Page,
        asked: Asked<'_>,
    ) {
        let Some(Who { connection: to, .. }) = self.who(index) else {
            return;
        };
        let room: Box<str> = self.rooms.name(room).into();
        let home = self.home(&room);
        let ticket = self.wait(index, asked, home, For::Members);
        let request = Request::Members {
            to,
            ticket,
            room,
            page,
        };
        self.ask(home, request);
    }

    pub(in crate::server) fn ask_history(
        &mut self,
        index: u32,
        room: u32,
        wanted: Wanted,
        asked: Asked<'_>,
    ) {
        let Some(Who { connection: to, .. }) = self.who(index) else {
            return;
        };
        let room: Box<str> = self.rooms.name(room).into();
        let home = self.home(&room);
        let ticket = self.wait(index, asked, home, For::History);
        let request = Request::History {
            to,
            ticket,
            room,
            wanted,
        };
        self.ask(home, request);
    }

    pub(in crate::server) fn ask_to_pass_on(
        &mut self,
        index: u32,
        shard: ShardId,
        to: ClientId,
        (data, terms): (Payload<'_>, &Terms<'_>),
        asked: Asked<'_>,
    ) {
        let Some(from) = self.who(index) else {
            return;
        };
        let needs_room = self.config.private_messages_need_shared_room;
        let rooms = needs_room.then(|| self.room_names_of(index));
        let ticket = self.wait(index, asked, shard, For::Private);
        let request = Request::Private {
            from,
            ticket,
            to,
            data: data.into(),
            terms: terms.boxed(),
            rooms,
            hops: 0,
        };
        self.ask(shard, request);
    }

    /// Asks a room's home to publish a message, and what became of it.
    pub(in crate::server) fn ask_to_publish(
        &mut self,
        index: u32,
        room: u32,
        (data, terms): (Payload<'_>, &Terms<'_>),
        asked: Asked<'_>,
    ) {
        let Some(from) = self.who(index) else {
            return;
        };
        let room: Box<str> = self.rooms.name(room).into();
        let home = self.home(&room);
        let ticket = self.wait(index, asked, home, For::Published);
        let request = Request::Publish {
            from,
            ticket,
            room,
            data: data.into(),
            terms: Box::new(terms.to_owned()),
        };
        self.ask(home, request);
    }

    /// Asks a room's home, or a client's shard, to offer a file there.
    pub(in crate::server) fn ask_to_offer(
        &mut self,
        index: u32,
        shard: ShardId,
        offer: &Arc<Offer>,
        to: Option<ClientId>,
        asked: Asked<'_>,
    ) {
        let Some(from) = self.who(index) else {
            return;
        };
        let rooms = to.is_some() && self.config.private_messages_need_shared_room;
        let rooms = rooms.then(|| self.room_names_of(index));
        let ticket = self.wait(index, asked, shard, For::Offer(offer.transfer));
        let offer = Arc::clone(offer);
        let request = match to {
            None => Request::Offer {
                from,
                ticket,
                offer,
            },
            Some(to) => Request::OfferPrivately {
                from,
                ticket,
                to,
                offer,
                rooms,
            },
        };
        self.ask(shard, request);
    }

    pub(in crate::server) fn ask_to_resume(
        &mut self,
        index: u32,
        home: ShardId,
        transfer: TransferId,
        names: (&str, &str),
        asked: Asked<'_>,
    ) {
        let Some(who) = self.who(index) else {
            return;
        };
        let (name, secret) = names;
        let whatfor = For::Resume {
            transfer,
            name: name.into(),
            secret: secret.into(),
        };
        let ticket = self.wait(index, asked, home, whatfor);
        let request = Request::File {
            who,
            ticket,
            transfer,
            asked: FileAsked::Resume {
                secret: secret.into(),
            },
        };
        self.ask(home, request);
    }

    /// Asks a transfer's home for something.
    pub(in crate::server) fn ask_home(
        &mut self,
        index: u32,
        home: ShardId,
        wait: FileWait,
        what: FileAsked,
        asked: Asked<'_>,
    ) {
        let Some(who) = self.who(index) else {
            return;
        };
        let ticket = self.wait(index, asked, home, For::File(wait));
        let request = Request::File {
            who,
            ticket,
            transfer: wait.transfer,
            asked: what,
        };
        self.ask(home, request);
    }

    /// The same without waiting for an answer.
    pub(in crate::server) fn tell_home(
        &mut self,
        index: u32,
        home: ShardId,
        transfer: TransferId,
        asked: FileAsked,
    ) {
        if let Some(who) = self.who(index) {
            let ticket = 0;
            let request = Request::File {
                who,
                ticket,
                transfer,
                asked,
            };
            self.ask(home, request);
        }
    }

    pub(in crate::server) fn room_names_of(&self, index: u32) -> Vec<Box<str>> {
        let rooms = self.rooms_of(index);
        rooms.map(|room| self.rooms.name(room).into()).collect()
    }

    /// A client and its connection, for other shards.
    pub(in crate::server) fn who(&self, index: u32) -> Option<Who> {
        let session = self.connections.get(index)?.session()?;
        Some(Who {
            connection: self.connections.id(index)?,
            client: self.id_of(session, index),
            lives: session.lives(),
        })
    }

    /// Waits for a session that another shard decides about.
    pub(in crate::server) fn wait_for_session(
        &mut self,
        index: u32,
        shard: ShardId,
        former: Former,
        asked: Asked<'_>,
    ) -> u64 {
        self.wait(index, asked, shard, For::Session(former))
    }

    /// A room that nobody here is in: whether it is there at all is what its home knows.
    pub(in crate::server) fn ask_for_room(
        &mut self,
        index: u32,
        home: ShardId,
        name: &str,
        asked: Asked<'_>,
    ) {
        let Some(Who { connection: to, .. }) = self.who(index) else {
            return;
        };
        let ticket = self.wait(index, asked, home, For::Refusal);
        let room = name.into();
        self.ask(home, Request::Find { to, ticket, room });
    }

    // ---- waiting

    /// Nothing more is read of a client until its request is answered, or `timeouts.relay_ms` have passed.
    pub(super) fn wait(
        &mut self,
        index: u32,
        asked: Asked<'_>,
        shard: ShardId,
        whatfor: For,
    ) -> u64 {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        let due = self.now.mono + Duration::from_millis(self.config.timeouts.relay_ms);
        let connection = self.connections.get_mut(index);
        if let Some(session) = connection.and_then(|connection| connection.session_mut()) {
            session.extra_mut().waiting = Some(Box::new(Waiting {
                asked: asked.into(),
                due,
                ticket,
                shard,
                whatfor,
            }));
            self.deadlines.insert(due, Deadline::Relay(index));
        }
        ticket
    }

    /// Whether a client's next message has to wait for another shard.
    pub(in crate::server) fn waits_for_shard(&self, index: u32) -> bool {
        let is_alone = self.links.is_empty() && !self.shares_sessions();
        if is_alone {
            return false;
        }
        let session = self.connections.get(index).and_then(|c| c.session());
        let extra = session.and_then(|session| session.extra.as_deref());
        extra.is_some_and(|extra| extra.waiting.is_some())
    }

    /// Ends a client's waiting, if it is `ticket` that it waits for.
    pub(in crate::server) fn stop_waiting(
        &mut self,
        index: u32,
        ticket: Option<u64>,
    ) -> Option<Waiting> {
        let session = self.connections.get_mut(index)?.session_mut()?;
        let waiting = &mut session.extra.as_mut()?.waiting;
        let asked = |waiting: &mut Box<Waiting>| ticket.is_none_or(|t| t == waiting.ticket);
        let waiting = *waiting.take_if(asked)?;
        self.deadlines.remove(waiting.due, Deadline::Relay(index));
        Some(waiting)
    }

    /// The other shard has not answered in time.
    pub(in crate::server) fn shard_overdue(&mut self, index: u32) {
        let Some(waiting) = self.stop_waiting(index, None) else {
            return;
        };
        self.stats.relay_timeouts += 1;
        if let Some(who) = self.who(index) {
            self.give_up(who, &waiting, false);
        }
        self.tell_lost(index, &waiting);
    }

    /// A request that nobody will answer.
    pub(super) fn tell_lost(&mut self, index: u32, waiting: &Waiting) {
        let error = ServerMessage::Error {
            code: ErrorCode::Internal,
            message: "Another part of the server did not answer in time",
            retry_after_ms: None,
        };
        if let For::Offer(transfer) = waiting.whatfor {
            self.take_back(index, transfer);
        }
        self.send(index, &error, waiting.asked.asked());
        self.go_on_reading(index);
    }

    /// A client is gone, and what it waits for with it.
    pub(in crate::server) fn forget_waiting(
        &mut self,
        index: u32,
        session: &mut Session,
        comes_back: bool,
    ) {
        let extra = session.extra.as_mut();
        let Some(waiting) = extra.and_then(|extra| extra.waiting.take()) else {
            return;
        };
        self.deadlines.remove(waiting.due, Deadline::Relay(index));
        if let Some(connection) = self.connections.id(index) {
            let client = self.id_of(session, index);
            let who = Who {
                connection,
                client,
                lives: session.lives(),
            };
            self.give_up(who, &waiting, comes_back);
        }
    }

    /// What was asked for is not wanted any more.
    fn give_up(&mut self, who: Who, waiting: &Waiting, comes_back: bool) {
        match &waiting.whatfor {
            For::Join {
                room, again: false, ..
            } => {
                let request = Request::Leave {
                    who,
                    room: room.clone(),
                    reason: LeaveReason::Disconnected,
                    quietly: false,
                    comes_back,
                };
                self.ask(waiting.shard, request);
            }
            For::Session(former) => self.give_up_session(Who {
                client: former.client,
                ..who
            }),
            For::Offer(transfer) => {
                if let Some(index) = self.connections.resolve(who.connection) {
                    self.take_back(index, *transfer);
                }
            }
            For::Resume { transfer, .. } => {
                let request = Request::File {
                    who,
                    ticket: 0,
                    transfer: *transfer,
                    asked: FileAsked::Gone,
                };
                self.ask(waiting.shard, request);
            }
            // It is told that it does not take the file: the home, too, if it has let it.
            For::File(FileWait {
                transfer,
                accepts: true,
                ..
            }) => {
                if let Some(index) = self.connections.resolve(who.connection) {
                    self.forget_receiver(index, *transfer);
                }
                let request = Request::File {
                    who,
                    ticket: 0,
                    transfer: *transfer,
                    asked: FileAsked::Gone,
                };
                self.ask(waiting.shard, request);
            }
            For::Link { turn, held } => {
                self.links.forget(waiting.shard, *turn);
                self.input_bytes -= held.heap_bytes();
            }
            _ => {}
        }
    }

    /// Whether a client waits for a session.
    fn waits_for_session(&self, index: u32, client: ClientId) -> bool {
        let session = self.connections.get(index).and_then(|c| c.session());
        let extra = session.and_then(|session| session.extra.as_deref());
        let waiting = extra.and_then(|extra| extra.waiting.as_deref());
        waiting.is_some_and(
            |waiting| matches!(waiting.whatfor, For::Session(former) if former.client == client),
        )
    }

    /// Whether a client waits for an answer of `shard`.
    pub(super) fn waits_for(&self, index: u32, shard: ShardId) -> bool {
        let session = self.connections.get(index).and_then(|c| c.session());
        let extra = session.and_then(|session| session.extra.as_deref());
        let waiting = extra.and_then(|extra| extra.waiting.as_deref());
        waiting.is_some_and(|waiting| {
            waiting.shard == shard && !matches!(waiting.whatfor, For::Link { .. })
        })
    }

    /// What a client waits for will not be answered.
    pub(super) fn lose(&mut self, index: u32) {
        if let Some(waiting) = self.stop_waiting(index, None) {
            self.tell_lost(index, &waiting);
        }
    }

    // ---- being answered

    /// The answer of another shard. One that comes too late is nothing to anybody: it was given up.
    pub(in crate::server) fn answered(&mut self, reply: Reply) {
        let Reply { to, ticket, answer } = reply;
        let index = self.connections.resolve(to);
        let waiting = index.and_then(|index| match &answer {
            // Whichever claim it was that has brought it.
            Answer::Claimed(granted) if self.waits_for_session(index, granted.client) => {
                self.stop_waiting(index, None)
            }
            _ => self.stop_waiting(index, Some(ticket)),
        });
        let (Some(index), Some(waiting)) = (index, waiting) else {
            if let Answer::Claimed(granted) = answer {
                self.give_back(to, granted);
            }
            return;
        };
        let asked = waiting.asked.asked();
        match (&waiting.whatfor, &answer) {
            (For::Offer(transfer), Answer::Sent) => {
                self.file_accepted(index, *transfer, 0, asked);
                self.review_file(*transfer);
                return self.go_on_reading(index);
            }
            (For::Offer(transfer), _) => self.take_back(index, *transfer),
            (
                For::Resume {
                    transfer,
                    name,
                    secret,
                },
                Answer::Resumed { offset },
            ) => {
                self.note_sender(index, *transfer, name);
                self.send_accepted(index, *transfer, name, secret, *offset, asked);
                return self.go_on_reading(index);
            }
            (For::Session(former), Answer::Claimed(_)) => {
                if let Answer::Claimed(granted) = answer {
                    self.claimed(index, granted, former.after, asked);
                }
                return self.go_on_reading(index);
            }
            (_, Answer::Overtaken) => return self.close_replaced(index),
            (For::File(wait), _) => {
                self.file_answered(index, *wait, answer, asked);
                return self.go_on_reading(index);
            }
            _ => {}
        }
        match answer {
            // It was taken out meanwhile, of which the home hears only now: it joins once more.
            Answer::Joined { room, .. } if waiting.is_stale(self.is_in(index, &room)) => {
                let since = waiting.since();
                return self.ask_to_join(index, waiting.shard, &room, (false, since), asked);
            }
            Answer::Joined {
                room,
                members,
                total,
                history,
                said,
            } => {
                self.let_in(index, &room, total);
                let reply = ServerMessage::JoinedRoom {
                    room: &room,
                    members: members.into(),
                    total,
                    history,
                };
                self.send(index, &reply, asked);
                if waiting.since().is_some() {
                    let count = said.as_ref().map_or(0, |said| said.messages.len());
                    self.charge_deliveries(index, count / MESSAGES_PER_DELIVERY);
                    self.catch_up(index, &room, said.as_deref());
                }
            }
            Answer::History { room, found } => self.reply_history(index, &room, &found, asked),
            Answer::Members { room, page, total } => {
                self.reply_members(index, &room, &page, total, asked);
            }
            Answer::Sent
            | Answer::Resumed { .. }
            | Answer::Accepted { .. }
            | Answer::Claimed(_)
            | Answer::Overtaken => {
                self.conclude(index, asked, Ok(Outcome::Done));
            }
            Answer::Published(published) => {
                self.conclude(index, asked, Ok(Outcome::Published(published)));
            }
            Answer::Refused { code, message } => {
                self.conclude(index, asked, Err(refusal(code, message)));
            }
        }
        self.go_on_reading(index);
    }

    fn is_in(&self, index: u32, name: &str) -> bool {
        let room = self.rooms.find(name);
        room.is_some_and(|room| self.is_member(index, room))
    }

    /// A room's home has made a client its member.
    fn let_in(&mut self, index: u32, name: &str, total: usize) {
        let known = self.rooms.find(name);
        let room = known.unwrap_or_else(|| self.make_room(name, self.home(name)));
        if let Some((_, entry)) = self.rooms.get_mut(room) {
            entry.total = u32::try_from(total).unwrap_or(u32::MAX);
        }
        if known.is_none() {
            // Whom the join would be told to was not known when it was asked for.
            let others = total.saturating_sub(1);
            let notices = if others < self.notice_members(room) {
                others
            } else {
                0
            };
            self.charge_deliveries(index, notices);
        }
        if !self.is_member(index, room) {
            self.take_place(index, room);
        }
    }

    pub(super) fn go_on_reading(&mut self, index: u32) {
        let connection = self.connections.get(index);
        if connection.is_some_and(|c| c.session().is_some()) {
            self.sign_of_life(index, LifeEvent::Resumed);
            self.resume_later(index);
        }
    }

    /// A private message for a client of this shard, from another one.
    pub(super) fn pass_on(
        &mut self,
        from: Who,
        to: &ClientId,
        (data, terms): (Payload<'_>, &Terms<'_>),
        rooms: Option<&[Box<str>]>,
    ) -> Answer {
        let shared = |target: &u32| rooms.is_none_or(|rooms| self.is_in_any(*target, rooms));
        let sender = (Some(from.connection), from.client);
        let published = match self.find_client(to).filter(shared) {
            Some(target) => Some(self.deliver_privately(target, sender, (data, terms))),
            None => self.keep_mail(to, from.client, (data, terms)),
        };
        match published {
            Some(published) => Answer::Published(published),
            None => target_not_found().into(),
        }
    }

    /// Whether a client is in one of these rooms.
    pub(in crate::server) fn is_in_any(&self, index: u32, rooms: &[Box<str>]) -> bool {
        let mut rooms = rooms.iter().filter_map(|name| self.rooms.find(name));
        rooms.any(|room| room != LOBBY && self.is_member(index, room))
    }
}

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        Self::Refused {
            code: refused.refusal.code,
            message: refused.refusal.message,
        }
    }
}
