//! Rooms as one would explain them: lists of members, and for each client the list of what it must be sent.
//!
//! Deliberately naive: nothing is shared, indexed, batched or reused. It is told in which order requests are
//! processed and when timers fire; it knows nothing of bytes, queues, rounds or sockets.

mod requests;

use std::rc::Rc;

use super::expected::{DIRECT, Expected, FIRST_ROOM, LOBBY, Stream, What, client, room_json};
use super::operation::{INVALID, RESERVED, ROOMS, Setup};
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
