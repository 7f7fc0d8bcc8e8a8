//! Rooms as one would explain them: lists of members, and for each client the list of what it must be sent.
//!
//! Deliberately naive: nothing is shared, indexed, batched or reused. It is told in which order requests are
//! processed and when timers fire; it knows nothing of bytes, queues, rounds or sockets.

use std::rc::Rc;

use super::expected::{DIRECT, Expected, FIRST_ROOM, LOBBY, Stream, What, client, room_json};
use super::operation::{
    INVALID, LINGER, NOTICE_MEMBERS, NOTICE_MS, QUIET, REPLY_MS, RESERVED, ROOM_LINGER_MS, ROOMS,
    Request, SUM, Setup, TYPING_MS, address,
};
use super::tokens::{Quota, Tokens};

/// Everything.
#[derive(Debug)]
pub(super) struct Reference {
    setup: Setup,
    quotas: Quotas,
    now_us: u64,
    unix_ms: u64,
    pub sessions: Vec<Session>,
    pub rooms: Vec<Option<Room>>,
    addresses: [Address; 3],
    /// Requests that the embedding program has to answer, in order, whatever became of them.
    pub asks: Vec<Ask>,
    pub counts: Counts,
    /// Things that the program is told, in order for each connection.
    pub news: Vec<News>,
}

/// One connection, from accept to its end and beyond.
#[derive(Debug)]
pub(super) struct Session {
    pub person: usize,
    pub state: State,
    metadata: Vec<(u8, String)>,
    typing: Vec<(usize, u64)>,
    waiting_asks: u32,
    pub received: u64,
    messages: Tokens,
    pings: Tokens,
    refusals: Tokens,
    bad: Tokens,
    unknown: Tokens,
    pub expected: Vec<Expected>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not welcomed yet.
    New,
    Open,
    /// The session is over.
    Over,
}

#[derive(Debug, Default)]
pub(super) struct Room {
    pub members: Vec<usize>,
    notice_due: Option<u64>,
    joined: u64,
    left: u64,
    linger_due: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Address {
    messages: Tokens,
    deliveries: Tokens,
}

/// A request for the embedding program.
#[derive(Debug)]
pub(super) struct Ask {
    pub session: usize,
    pub id: Option<Rc<str>>,
    due_us: u64,
    pub waits: bool,
}

/// What the embedding program must be told about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    Opened(usize),
    Closed {
        session: usize,
        cause: Cause,
        code: u16,
    },
}

/// Why a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Client,
    Lost,
    Protocol,
    Abuse,
    SlowReader,
    Command,
}

/// What the server must have counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub opened: u64,
    pub closed: u64,
    pub received: u64,
    pub published: u64,
    pub deliveries: u64,
    pub direct: u64,
    pub bad_messages: u64,
    pub unknown_types: u64,
    pub rate_limited: u64,
    pub refused: u64,
    pub slow_readers: u64,
    pub stale: u64,
    /// Close frames and pongs, which the server does not count.
    pub control_frames: u64,
}

#[derive(Debug)]
struct Quotas {
    enabled: bool,
    messages: Quota,
    pings: Quota,
    refusals: Quota,
    bad: Quota,
    unknown: Option<Quota>,
    address: Quota,
    deliveries: Quota,
}

/// Why a request is refused, and when it is worth trying again.
type Refused = (&'static str, Option<u64>);
/// Whether the request has its reply.
type Outcome = Result<Done, Refused>;

enum Done {
    Replied,
    Ack,
    Later,
}

/// Who gets a message.
#[derive(Clone, Copy)]
enum Place {
    Everyone,
    Room(usize),
}

/// How the server says goodbye.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goodbye {
    pub cause: Cause,
    pub code: u16,
    /// A `closing` message comes first.
    pub announced: bool,
    pub after_ms: Option<u64>,
}

impl Reference {
    pub(super) fn new(setup: Setup) -> Self {
        let rate = setup.config().rate_limit;
        Self {
            setup,
            quotas: Quotas {
                enabled: rate.enabled,
                messages: Quota::new(rate.messages, rate.per_ms),
                pings: Quota::new(rate.pings, rate.per_ms),
                refusals: Quota::new(rate.refusals, rate.per_ms),
                bad: Quota::new(setup.max_bad(), 60_000),
                unknown: setup.max_unknown().map(|count| Quota::new(count, 60_000)),
                address: Quota::new(rate.messages * rate.address_factor, rate.per_ms),
                deliveries: Quota::new(rate.deliveries_per_second, 1_000),
            },
            now_us: 0,
            unix_ms: 0,
            sessions: Vec::new(),
            rooms: ROOMS.iter().map(|_| None).collect(),
            addresses: [Address::default(); 3],
            asks: Vec::new(),
            counts: Counts::default(),
            news: Vec::new(),
        }
    }

    pub(super) fn set_time(&mut self, now_us: u64, unix_ms: u64) {
        (self.now_us, self.unix_ms) = (now_us, unix_ms);
    }

    // ---- coming and going

    /// A connection; returns its number.
    pub(super) fn accept(&mut self, person: usize) -> usize {
        self.sessions.push(Session {
            person,
            state: State::New,
            metadata: Vec::new(),
            typing: Vec::new(),
            waiting_asks: 0,
            received: 0,
            messages: Tokens::default(),
            pings: Tokens::default(),
            refusals: Tokens::default(),
            bad: Tokens::default(),
            unknown: Tokens::default(),
            expected: Vec::new(),
        });
        self.sessions.len() - 1
    }

    pub(super) fn welcome(&mut self, session: usize) {
        self.direct(session, What::Welcome { client: session });
        self.sessions[session].state = State::Open;
        self.counts.opened += 1;
        self.news.push(News::Opened(session));
    }

    pub(super) fn is_open(&self, session: usize) -> bool {
        self.sessions[session].state == State::Open
    }

    pub(super) fn clients(&self) -> usize {
        self.everyone().count()
    }

    fn everyone(&self) -> impl Iterator<Item = usize> {
        (0..self.sessions.len()).filter(|&session| self.is_open(session))
    }

    /// The server closes a session.
    pub(super) fn close(&mut self, session: usize, goodbye: Goodbye) {
        if !self.end(session, goodbye.cause, goodbye.code) {
            return;
        }
        let Goodbye {
            code,
            announced,
            after_ms,
            ..
        } = goodbye;
        if announced {
            self.direct(session, What::Closing { code, after_ms });
        }
        self.last_word(session, code);
    }

    /// The client's close frame came. 1005: without a code.
    pub(super) fn closed_by_client(&mut self, session: usize, code: u16) {
        if self.end(session, Cause::Client, code) {
            self.last_word(session, code);
        }
    }

    fn last_word(&mut self, session: usize, code: u16) {
        self.expect(session, DIRECT, What::Close(code));
        self.counts.control_frames += 1;
    }

    /// A session is over: it leaves its rooms. `false` if it was before.
    pub(super) fn end(&mut self, session: usize, cause: Cause, code: u16) -> bool {
        let was = core::mem::replace(&mut self.sessions[session].state, State::Over);
        if was != State::Open {
            return was == State::New;
        }
        self.counts.closed += 1;
        self.news.push(News::Closed {
            session,
            cause,
            code,
        });
        let reason = match cause {
            Cause::Command | Cause::Abuse => "kicked",
            _ => "disconnected",
        };
        for room in 0..ROOMS.len() {
            self.take_out(session, room, reason);
        }
        for ask in self.asks.iter_mut().filter(|ask| ask.session == session) {
            ask.waits = false;
        }
        true
    }

    // ---- what clients ask for

    /// A whole text or binary message.
    pub(super) fn request(&mut self, session: usize, request: &Request, id: Option<&Rc<str>>) {
        self.counts.received += 1;
        self.sessions[session].received += 1;
        let outcome = match request {
            Request::Unknown | Request::Bad(_) => return self.reject(session, request, id),
            request => self.dispatch(session, request, id),
        };
        match outcome {
            Ok(Done::Replied | Done::Later) => {}
            Ok(Done::Ack) => {
                if let Some(id) = id {
                    self.direct(session, text(format!("{{\"type\":\"ack\",\"id\":{id}}}")));
                }
            }
            Err(refused) => self.refuse(session, id, refused),
        }
    }

    fn dispatch(&mut self, session: usize, request: &Request, id: Option<&Rc<str>>) -> Outcome {
        match request {
            Request::Join(room) => self.join(session, *room, id),
            Request::Leave(room) => self.leave(session, *room, id),
            Request::RoomMessage {
                room,
                data,
                pretends,
            } => {
                self.own_room(session, *room)?;
                self.check_bare(*pretends)?;
                self.admit(session, self.members(*room).len() - 1)?;
                let head = format!("{{\"type\":\"room_message\",\"room\":{}", room_json(*room));
                self.publish_data(Place::Room(*room), session, &head, data);
                Ok(Done::Ack)
            }
            Request::Broadcast { data } => {
                if self.setup.mute {
                    return Err(("forbidden", None));
                }
                self.admit(session, self.clients() - 1)?;
                self.publish_data(Place::Everyone, session, "{\"type\":\"broadcast\"", data);
                Ok(Done::Ack)
            }
            Request::Private { to, data } => self.private(session, *to, data),
            Request::Metadata { key, value } => self.metadata(session, *key, value.as_deref(), id),
            Request::Hello { length } => {
                self.admit(session, 0)?;
                if *length > 256 {
                    Err(("too_large", None))
                } else {
                    Ok(Done::Ack)
                }
            }
            Request::Members {
                room,
                after,
                limit,
                metadata,
            } => {
                self.own_room(session, *room)?;
                self.admit(session, 0)?;
                let listed = self.setup.max_listed();
                let members = self.members(*room).iter();
                let members = members
                    .map(|&m| (m, self.sessions[m].metadata_json()))
                    .collect();
                self.direct(
                    session,
                    What::Members {
                        id: id.cloned(),
                        room: *room,
                        members,
                        after: *after,
                        limit: limit.map_or(listed, |limit| (limit as usize).clamp(1, listed)),
                        metadata: *metadata,
                    },
                );
                Ok(Done::Replied)
            }
            Request::Typing { room, start } => self.typing(session, *room, *start),
            Request::Ask => self.ask(session, id),
            Request::Ping { timestamp } => {
                if let Err(refused) = self.admit_ping(session) {
                    self.refuse(session, id, refused);
                    self.close(session, ABUSE);
                    return Ok(Done::Replied);
                }
                let id = id.map_or_else(String::new, |id| format!(",\"id\":{id}"));
                let echo =
                    timestamp.map_or_else(String::new, |t| format!(",\"clientTimestamp\":{t}"));
                let now = self.unix_ms;
                self.direct(
                    session,
                    text(format!(
                        "{{\"type\":\"pong\"{id},\"timestamp\":{now}{echo}}}"
                    )),
                );
                Ok(Done::Replied)
            }
            Request::Unknown | Request::Bad(_) => Ok(Done::Replied),
        }
    }

    fn join(&mut self, session: usize, room: usize, id: Option<&Rc<str>>) -> Outcome {
        check_name(room)?;
        if !self.members(room).contains(&session) {
            let joined = (0..ROOMS.len())
                .filter(|&r| self.members(r).contains(&session))
                .count();
            if joined >= self.setup.max_rooms_per_client() {
                return Err(("too_many_rooms", None));
            }
            let rooms = self.rooms.iter().flatten().count();
            if self.rooms[room].is_none() && rooms >= self.setup.max_rooms() {
                return Err(("too_many_rooms", None));
            }
            let members = self.members(room).len();
            if members >= self.setup.max_members() {
                return Err(("room_full", None));
            }
            self.admit(session, if self.is_large(room) { 0 } else { members })?;
            self.rooms[room].get_or_insert_default().linger_due = None;
            self.tell_change(room, true, || about("member_joined", room, session, ""));
            if let Some(room) = &mut self.rooms[room] {
                room.members.push(session);
            }
        } else {
            self.admit(session, 0)?;
        }
        self.direct(
            session,
            What::Joined {
                id: id.cloned(),
                room,
                members: self.members(room).to_vec(),
                listed: self.setup.max_listed(),
                client: session,
            },
        );
        Ok(Done::Replied)
    }

    fn leave(&mut self, session: usize, room: usize, id: Option<&Rc<str>>) -> Outcome {
        self.own_room(session, room)?;
        self.admit(session, 0)?;
        self.take_out(session, room, "left");
        let id = id.map_or_else(String::new, |id| format!(",\"id\":{id}"));
        self.direct(
            session,
            text(format!(
                "{{\"type\":\"left_room\"{id},\"room\":{}}}",
                room_json(room)
            )),
        );
        Ok(Done::Replied)
    }

    /// Takes a client out of a room and tells the others, if it is in.
    fn take_out(&mut self, session: usize, room: usize, reason: &str) {
        let Some(entry) = &mut self.rooms[room] else {
            return;
        };
        let Some(at) = entry.members.iter().position(|&member| member == session) else {
            return;
        };
        entry.members.remove(at);
        self.stop_typing(session, room);
        let Some(entry) = &mut self.rooms[room] else {
            return;
        };
        if entry.members.is_empty() {
            if room == LINGER {
                entry.linger_due = Some(self.now_us + ROOM_LINGER_MS * 1_000);
            } else {
                self.rooms[room] = None;
            }
            return;
        }
        self.tell_change(room, false, || {
            about(
                "member_left",
                room,
                session,
                &format!(",\"reason\":\"{reason}\""),
            )
        });
    }

    /// Tells of a join or a leave, or counts it where the room sums up.
    fn tell_change(&mut self, room: usize, joined: bool, notice: impl FnOnce() -> Rc<str>) {
        if !self.is_large(room) {
            return self.publish(Place::Room(room), None, &notice());
        }
        if let Some(entry) = &mut self.rooms[room] {
            entry.joined += u64::from(joined);
            entry.left += u64::from(!joined);
            entry
                .notice_due
                .get_or_insert(self.now_us + NOTICE_MS * 1_000);
        }
    }

    fn private(&mut self, session: usize, to: Option<usize>, data: &str) -> Outcome {
        self.admit(session, 1)?;
        let together = |to: usize| {
            self.rooms
                .iter()
                .flatten()
                .any(|r| r.members.contains(&to) && r.members.contains(&session))
        };
        match to.filter(|&to| self.is_open(to) && (!self.setup.share || together(to))) {
            Some(to) => {
                let from = client(session);
                let now = self.unix_ms;
                self.direct(
                    to,
                    text(format!(
                        "{{\"type\":\"private_message\",\"from\":\"{from}\",\"data\":{data},\"timestamp\":{now}}}"
                    )),
                );
                Ok(Done::Ack)
            }
            None => Err(("target_not_found", None)),
        }
    }

    fn metadata(
        &mut self,
        session: usize,
        key: u8,
        value: Option<&str>,
        id: Option<&Rc<str>>,
    ) -> Outcome {
        let told: Vec<usize> = (0..ROOMS.len())
            .filter(|&room| room != QUIET && self.members(room).contains(&session))
            .collect();
        self.admit(
            session,
            told.iter().map(|&room| self.members(room).len() - 1).sum(),
        )?;
        let old = self.sessions[session].metadata.clone();
        let metadata = &mut self.sessions[session].metadata;
        let at = metadata.iter().position(|&(known, _)| known == key);
        match (at, value) {
            (Some(at), Some(value)) => value.clone_into(&mut metadata[at].1),
            (Some(at), None) => drop(metadata.remove(at)),
            (None, Some(value)) => metadata.push((key, value.to_owned())),
            (None, None) => {}
        }
        let json = self.sessions[session].metadata_json();
        if self.sessions[session].metadata.len() > 3 || json.len() > 64 {
            self.sessions[session].metadata = old;
            return Err(("too_large", None));
        }
        let id = id.map_or_else(String::new, |id| format!(",\"id\":{id}"));
        self.direct(
            session,
            text(format!(
                "{{\"type\":\"metadata_updated\"{id},\"metadata\":{json}}}"
            )),
        );
        for room in told {
            let notice = about(
                "member_updated",
                room,
                session,
                &format!(",\"metadata\":{json}"),
            );
            self.publish(Place::Room(room), Some(session), &notice);
        }
        Ok(Done::Replied)
    }

    fn typing(&mut self, session: usize, room: usize, start: bool) -> Outcome {
        self.own_room(session, room)?;
        self.admit(session, self.members(room).len() - 1)?;
        if !start {
            self.stop_typing(session, room);
            return Ok(Done::Ack);
        }
        let due = self.now_us + TYPING_MS * 1_000;
        let typing = &mut self.sessions[session].typing;
        match typing.iter_mut().find(|(typed, _)| *typed == room) {
            Some((_, until)) => *until = due,
            None => {
                typing.push((room, due));
                self.publish(
                    Place::Room(room),
                    Some(session),
                    &about("user_typing", room, session, ""),
                );
            }
        }
        Ok(Done::Ack)
    }

    fn stop_typing(&mut self, session: usize, room: usize) {
        let typing = &mut self.sessions[session].typing;
        if let Some(at) = typing.iter().position(|&(typed, _)| typed == room) {
            typing.remove(at);
            let notice = about("user_stopped_typing", room, session, "");
            self.publish(Place::Room(room), Some(session), &notice);
        }
    }

    fn ask(&mut self, session: usize, id: Option<&Rc<str>>) -> Outcome {
        self.admit(session, 0)?;
        if self.sessions[session].waiting_asks >= self.setup.max_asks() {
            return Err(("rate_limited", None));
        }
        self.sessions[session].waiting_asks += 1;
        self.asks.push(Ask {
            session,
            id: id.cloned(),
            due_us: self.now_us + REPLY_MS * 1_000,
            waits: true,
        });
        Ok(Done::Later)
    }

    /// A message that is none, or of a type that is none.
    fn reject(&mut self, session: usize, request: &Request, id: Option<&Rc<str>>) {
        let (code, tolerated) = if let Request::Bad(code) = request {
            self.counts.bad_messages += 1;
            let taken = self
                .quotas
                .bad
                .take(self.sessions[session].bad, self.now_us, 1);
            (*code, keep(&mut self.sessions[session].bad, taken))
        } else {
            self.counts.unknown_types += 1;
            if let Err(refused) = self.admit(session, 0) {
                return self.refuse(session, id, refused);
            }
            let tolerated = self.quotas.unknown.is_none_or(|quota| {
                let taken = quota.take(self.sessions[session].unknown, self.now_us, 1);
                keep(&mut self.sessions[session].unknown, taken)
            });
            ("unknown_type", tolerated)
        };
        self.error(session, id, (code, None));
        if !tolerated {
            self.close(session, ABUSE);
        }
    }

    fn refuse(&mut self, session: usize, id: Option<&Rc<str>>, refused: Refused) {
        let limited = refused.0 == "rate_limited";
        if limited {
            self.counts.rate_limited += 1;
        } else {
            self.counts.refused += 1;
        }
        self.error(session, id, refused);
        if self.quotas.enabled {
            let taken = self
                .quotas
                .refusals
                .take(self.sessions[session].refusals, self.now_us, 1);
            if !keep(&mut self.sessions[session].refusals, taken) {
                self.close(session, ABUSE);
            }
        }
    }

    fn error(&mut self, session: usize, id: Option<&Rc<str>>, (code, retry_ms): Refused) {
        self.direct(
            session,
            What::Error {
                id: id.cloned(),
                code,
                retry_ms,
            },
        );
    }

    /// A control frame of a client.
    pub(super) fn control_frame(&mut self, session: usize, ping: bool) {
        self.counts.control_frames += u64::from(ping);
        if self.admit_ping(session).is_err() {
            self.close(session, ABUSE);
        }
    }

    // ---- limits

    fn admit(&mut self, session: usize, deliveries: usize) -> Result<(), Refused> {
        if !self.quotas.enabled {
            return Ok(());
        }
        let (quotas, now) = (&self.quotas, self.now_us);
        let own = &mut self.sessions[session];
        let shared = &mut self.addresses[address(own.person)];
        let limited = |retry| ("rate_limited", Some(retry));
        let first = quotas
            .messages
            .take(own.messages, now, 1)
            .map_err(limited)?;
        let second = quotas
            .address
            .take(shared.messages, now, 1)
            .map_err(limited)?;
        let third = quotas
            .deliveries
            .take(shared.deliveries, now, deliveries as u64)
            .map_err(limited)?;
        (own.messages, shared.messages, shared.deliveries) = (first, second, third);
        Ok(())
    }

    fn admit_ping(&mut self, session: usize) -> Result<(), Refused> {
        if !self.quotas.enabled {
            return Ok(());
        }
        let own = &mut self.sessions[session];
        let taken = self.quotas.pings.take(own.pings, self.now_us, 1);
        own.pings = taken.map_err(|retry| ("rate_limited", Some(retry)))?;
        Ok(())
    }

    fn check_bare(&self, pretends: bool) -> Result<(), Refused> {
        if pretends && self.setup.bare {
            Err(("reserved", None))
        } else {
            Ok(())
        }
    }

    fn own_room(&self, session: usize, room: usize) -> Result<(), Refused> {
        check_name(room)?;
        match &self.rooms[room] {
            None => Err(("no_such_room", None)),
            Some(entry) if entry.members.contains(&session) => Ok(()),
            Some(_) => Err(("not_member", None)),
        }
    }

    pub(super) fn members(&self, room: usize) -> &[usize] {
        self.rooms[room].as_ref().map_or(&[], |room| &room.members)
    }

    fn is_large(&self, room: usize) -> bool {
        room == SUM && self.members(room).len() >= NOTICE_MEMBERS
    }

    // ---- what the embedding program asks for

    pub(super) fn send(&mut self, session: usize, message: &str) {
        self.direct(session, text(message.to_owned()));
    }

    pub(super) fn publish_message(&mut self, room: usize, message: &str) {
        if self.rooms.get(room).is_some_and(Option::is_some) {
            self.publish(Place::Room(room), None, &message.into());
        }
    }

    pub(super) fn kick(&mut self, session: usize, room: usize) {
        if room < ROOMS.len() && self.members(room).contains(&session) {
            self.direct(
                session,
                text(format!(
                    "{{\"type\":\"left_room\",\"room\":{}}}",
                    room_json(room)
                )),
            );
            self.take_out(session, room, "kicked");
        }
    }

    /// Answers a request. `fields`: what follows the brace of a reply; an error's code; or nothing for an ack.
    pub(super) fn reply(&mut self, ask: usize, answer: &Answer) {
        let Some((session, id)) = self.settle_ask(ask) else {
            self.counts.stale += 1;
            return;
        };
        match (answer, id) {
            (Answer::Ack, None) => {}
            (Answer::Ack, Some(id)) => {
                self.direct(session, text(format!("{{\"type\":\"ack\",\"id\":{id}}}")));
            }
            (Answer::Reply(fields), None) => self.direct(session, text(format!("{{{fields}"))),
            (Answer::Reply(fields), Some(id)) => {
                self.direct(session, text(format!("{{\"id\":{id},{fields}")));
            }
            (Answer::Error(code), id) => self.error(session, id.as_ref(), (code, None)),
        }
    }

    fn settle_ask(&mut self, ask: usize) -> Option<(usize, Option<Rc<str>>)> {
        let ask = self.asks.get_mut(ask).filter(|ask| ask.waits)?;
        ask.waits = false;
        self.sessions[ask.session].waiting_asks -= 1;
        Some((ask.session, ask.id.clone()))
    }

    // ---- time

    /// When the next thing happens by itself.
    pub(super) fn next_due(&self) -> Option<u64> {
        self.timers().map(|(due, _)| due).min()
    }

    fn timers(&self) -> impl Iterator<Item = (u64, Timer)> {
        let sessions = self.sessions.iter().enumerate();
        let typing = sessions.flat_map(|(number, session)| {
            session
                .typing
                .iter()
                .map(move |&(room, due)| (due, Timer::Typing(number, room)))
        });
        let rooms = self.rooms.iter().enumerate().flat_map(|(number, room)| {
            let due = room
                .iter()
                .flat_map(|room| [room.notice_due, room.linger_due]);
            due.zip([Timer::Notice(number), Timer::Linger(number)])
                .filter_map(|(due, timer)| Some((due?, timer)))
        });
        let asks = self.asks.iter().enumerate().filter(|(_, ask)| ask.waits);
        let asks = asks.map(|(number, ask)| (ask.due_us, Timer::Reply(number)));
        typing.chain(rooms).chain(asks)
    }

    /// Everything that is due happens, in order.
    pub(super) fn fire(&mut self) {
        while let Some((_, timer)) = self.timers().filter(|&(due, _)| due <= self.now_us).min() {
            match timer {
                Timer::Typing(session, room) => self.stop_typing(session, room),
                Timer::Notice(room) => self.sum_up(room),
                Timer::Linger(room) => self.rooms[room] = None,
                Timer::Reply(ask) => {
                    if let Some((session, id)) = self.settle_ask(ask) {
                        self.error(session, id.as_ref(), ("internal", None));
                    }
                }
            }
        }
    }

    fn sum_up(&mut self, room: usize) {
        let total = self.members(room).len();
        let Some(entry) = &mut self.rooms[room] else {
            return;
        };
        entry.notice_due = None;
        let (joined, left) = (
            core::mem::take(&mut entry.joined),
            core::mem::take(&mut entry.left),
        );
        let name = room_json(room);
        let notice = format!(
            "{{\"type\":\"members_changed\",\"room\":{name},\"joined\":{joined},\"left\":{left},\"total\":{total}}}"
        );
        self.publish(Place::Room(room), None, &notice.into());
    }

    // ---- telling

    fn direct(&mut self, session: usize, what: What) {
        self.counts.direct += 1;
        self.expect(session, DIRECT, what);
    }

    fn publish(&mut self, place: Place, except: Option<usize>, text: &Rc<str>) {
        self.counts.published += 1;
        for receiver in self.receivers(place, except) {
            self.deliver(receiver, place, text);
        }
    }

    fn publish_data(&mut self, place: Place, from: usize, head: &str, data: &Rc<str>) {
        self.counts.published += 1;
        let (sender, now) = (client(from), self.unix_ms);
        let envelope: Rc<str> =
            format!("{head},\"from\":\"{sender}\",\"data\":{data},\"timestamp\":{now}}}").into();
        for receiver in self.receivers(place, Some(from)) {
            let bare = self.setup.is_bare(self.sessions[receiver].person);
            self.deliver(receiver, place, if bare { data } else { &envelope });
        }
    }

    fn receivers(&self, place: Place, except: Option<usize>) -> Vec<usize> {
        let all: Vec<usize> = match place {
            Place::Everyone => self.everyone().collect(),
            Place::Room(room) => self.members(room).to_vec(),
        };
        all.into_iter()
            .filter(|&receiver| Some(receiver) != except)
            .collect()
    }

    fn deliver(&mut self, receiver: usize, place: Place, text: &Rc<str>) {
        self.counts.deliveries += 1;
        let stream = match place {
            Place::Everyone => LOBBY,
            Place::Room(room) => FIRST_ROOM + room,
        };
        self.expect(receiver, stream, What::Text(text.clone()));
    }

    fn expect(&mut self, session: usize, stream: Stream, what: What) {
        self.sessions[session]
            .expected
            .push(Expected { stream, what });
    }
}

impl Session {
    fn metadata_json(&self) -> String {
        let fields: Vec<String> = self
            .metadata
            .iter()
            .map(|(key, value)| format!("\"k{key}\":{value}"))
            .collect();
        format!("{{{}}}", fields.join(","))
    }
}

/// The answer of the embedding program.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Ack,
    /// What follows the brace of the object.
    Reply(String),
    Error(&'static str),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Typing(usize, usize),
    Notice(usize),
    Linger(usize),
    Reply(usize),
}

fn check_name(room: usize) -> Result<(), Refused> {
    match room {
        RESERVED => Err(("reserved", None)),
        INVALID.. => Err(("invalid_room", None)),
        _ => Ok(()),
    }
}

fn about(kind: &str, room: usize, session: usize, more: &str) -> Rc<str> {
    let (room, client) = (room_json(room), client(session));
    format!("{{\"type\":\"{kind}\",\"room\":{room},\"clientId\":\"{client}\"{more}}}").into()
}

fn text(text: String) -> What {
    What::Text(text.into())
}

/// Stores what is left, if there was enough.
fn keep(tokens: &mut Tokens, taken: Result<Tokens, u64>) -> bool {
    taken.map(|left| *tokens = left).is_ok()
}

const ABUSE: Goodbye = Goodbye {
    cause: Cause::Abuse,
    code: 1008,
    announced: true,
    after_ms: None,
};
