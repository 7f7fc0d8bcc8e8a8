//! What a case is made of: a setup, and operations that mean something in every state.
//!
//! Everything is decoded from plain numbers, so that generating is cheap and every smaller number is a valid,
//! simpler case. Knows nothing of the server but its config.

use std::rc::Rc;

use roomwire_core::config::{ListenerConfig, RoomRule, SlowReader};
use roomwire_core::{Config, ListenerId, PeerAddr};

/// Who can connect. Each has at most one open session at a time.
pub(super) const PEOPLE: usize = 6;

/// Rooms that can be joined, by number.
pub(super) const ROOMS: [&str; 5] = ["tea", "quo\"te", "linger", "sum", "quiet"];
/// The room that stays for a while when it is empty.
pub(super) const LINGER: usize = 2;
/// The room that sums up joins and leaves from [`NOTICE_MEMBERS`] on.
pub(super) const SUM: usize = 3;
/// The room that does not tell of metadata.
pub(super) const QUIET: usize = 4;
/// A room number whose name belongs to the server.
pub(super) const RESERVED: usize = 5;
/// Room numbers from here on have names that are not allowed.
pub(super) const INVALID: usize = 6;

/// From this many members on [`SUM`] sums up.
pub(super) const NOTICE_MEMBERS: usize = 3;

/// A window that takes the next write whole, and nothing more.
pub const ONE_WRITE: usize = usize::MAX;

/// How long things take, in milliseconds.
pub(super) const NOTICE_MS: u64 = 500;
pub(super) const ROOM_LINGER_MS: u64 = 700;
pub(super) const TYPING_MS: u64 = 1_000;
pub(super) const REPLY_MS: u64 = 1_500;
pub(super) const WELCOME_MS: u64 = 10;

/// The name of a room number.
pub(super) fn room_name(room: usize) -> &'static str {
    match room {
        RESERVED => "user:1",
        INVALID => "",
        other => ROOMS
            .get(other)
            .copied()
            .unwrap_or("a name that is much longer than names may be here"),
    }
}

/// How the server of a case is configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// Few rooms, members, keys.
    pub tight: bool,
    /// Few messages.
    pub rates: bool,
    /// Short queues; person 0 reads slowly, everyone else at once.
    pub slow: bool,
    /// Pings, which everybody answers.
    pub beat: bool,
    /// Few events and requests without an answer.
    pub few_events: bool,
    /// The welcome waits until the client is attached.
    pub hold: bool,
    /// Two people get bare payloads.
    pub bare: bool,
    /// Direct messages need a shared room.
    pub share: bool,
    /// Broadcasts are forbidden.
    pub mute: bool,
    /// How many people are there to begin with.
    pub crowd: usize,
    /// How many rooms each of them is in.
    pub rooms: usize,
}

impl Setup {
    /// From any number; 0 is the plainest.
    pub fn decode(raw: u32) -> Self {
        let one_in = |shift: u32, mask: u32| raw >> shift & mask == mask;
        let rates = one_in(0, 3);
        Self {
            rates,
            tight: one_in(2, 1),
            slow: one_in(3, 3),
            beat: one_in(5, 7) && !rates,
            few_events: one_in(8, 3),
            hold: one_in(10, 1),
            bare: one_in(11, 1),
            share: one_in(12, 3),
            mute: one_in(14, 15),
            crowd: ((raw >> 20) as usize & 7).min(PEOPLE),
            rooms: [2, 0, 3, 4][(raw >> 24) as usize & 3],
        }
    }

    /// How it begins: people come and join rooms.
    pub fn beginning(self) -> impl Iterator<Item = Operation> {
        let feed = Feed::Whole;
        (0..self.crowd).flat_map(move |person| {
            let joins = (0..self.rooms).map(move |room| Operation::Say {
                person,
                say: Say::Join(room),
                id: true,
                feed,
            });
            [
                Operation::Open {
                    person,
                    rooms: 0,
                    feed,
                },
                Operation::Drain,
            ]
            .into_iter()
            .chain(joins)
        })
    }

    /// The config.
    pub fn config(self) -> Config {
        let mut config = Config {
            listeners: vec![ListenerConfig::default(); 2],
            ..Config::default()
        };
        config.listeners[1].raw_payloads = self.bare;
        config.application_types = vec!["ask".to_owned()];
        config.private_messages_need_shared_room = self.share;
        if self.mute {
            config.broadcast = roomwire_core::config::Permission::Deny;
        }
        config.room_names.max_bytes = 32;

        let limits = &mut config.limits;
        limits.max_message_bytes = 2_048;
        limits.max_metadata_bytes = 64;
        limits.max_metadata_keys = 3;
        limits.max_members_listed = self.max_listed() as u32;
        limits.max_rooms_per_client = self.max_rooms_per_client() as u32;
        limits.max_members_per_room = self.max_members() as u32;
        limits.max_rooms = self.max_rooms() as u32;
        limits.max_queued_events = self.max_events();
        limits.max_pending_requests = self.max_asks();
        limits.max_bad_messages = self.max_bad();
        limits.max_unknown_types = self.max_unknown();
        if self.slow {
            limits.max_queued_bytes = 6 * 1024;
            limits.max_queued_messages = 16;
        }

        let timeouts = &mut config.timeouts;
        timeouts.handshake_ms = 3_600_000;
        timeouts.message_ms = 3_600_000;
        timeouts.welcome_delay_ms = if self.hold { WELCOME_MS } else { 0 };
        timeouts.typing_ms = TYPING_MS;
        timeouts.application_reply_ms = REPLY_MS;
        config.heartbeat.interval_ms = if self.beat { 3_000 } else { 0 };
        config.heartbeat.timeout_ms = 2_000;

        let rate = &mut config.rate_limit;
        rate.enabled = self.rates;
        rate.messages = 8;
        rate.per_ms = 2_000;
        rate.address_factor = 2;
        rate.pings = 4;
        rate.refusals = 8;
        rate.deliveries_per_second = 10;

        config.rooms = (0..ROOMS.len()).map(|room| self.rule(room)).collect();
        config
    }

    fn rule(self, room: usize) -> RoomRule {
        RoomRule {
            pattern: ROOMS[room].to_owned(),
            slow_reader: self.policy(room),
            linger_ms: if room == LINGER { ROOM_LINGER_MS } else { 0 },
            notice_members: if room == SUM {
                NOTICE_MEMBERS as u32
            } else {
                1_000
            },
            notice_interval_ms: NOTICE_MS,
            metadata_notices: room != QUIET,
            ..RoomRule::default()
        }
    }

    /// What happens to slow readers of a room.
    pub fn policy(self, room: usize) -> SlowReader {
        match room {
            _ if !self.slow => SlowReader::Close,
            0 => SlowReader::DropOldest,
            1 => SlowReader::DropNewest,
            2 => SlowReader::Latest,
            _ => SlowReader::Close,
        }
    }

    pub fn max_listed(self) -> usize {
        if self.tight { 2 } else { 32 }
    }

    pub fn max_rooms_per_client(self) -> usize {
        if self.tight { 2 } else { 256 }
    }

    pub fn max_members(self) -> usize {
        if self.tight { 3 } else { 1_000 }
    }

    pub fn max_rooms(self) -> usize {
        if self.tight { 3 } else { 1_000 }
    }

    pub fn max_events(self) -> usize {
        if self.few_events { 2 } else { 1_024 }
    }

    pub fn max_asks(self) -> u32 {
        if self.few_events { 2 } else { 64 }
    }

    pub fn max_bad(self) -> u32 {
        if self.tight { 2 } else { 20 }
    }

    pub fn max_unknown(self) -> Option<u32> {
        self.tight.then_some(2)
    }

    /// The listener that a person comes in by.
    pub fn listener(self, person: usize) -> ListenerId {
        ListenerId(u16::from(matches!(person, 1 | 4)))
    }

    /// Whether a person gets bare payloads.
    pub fn is_bare(self, person: usize) -> bool {
        self.bare && self.listener(person).0 == 1
    }
}

/// Which of three addresses a person comes from.
pub(super) fn address(person: usize) -> usize {
    person / 2
}

/// The far end of a person's socket.
pub(super) fn peer_address(person: usize) -> PeerAddr {
    match address(person) {
        2 => PeerAddr::Local,
        other => PeerAddr::Inet(([10, 0, 0, other as u8], 4_000 + person as u16).into()),
    }
}

/// One thing that happens. Persons and rooms are numbers; what makes no sense at the time is skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Everything that is to do now is done.
    Drain,
    /// A few outputs are polled, the rest waits.
    Poll(usize),
    /// A person connects and joins the first rooms in the same breath; all of it arrives as `feed` says.
    Open {
        person: usize,
        rooms: usize,
        feed: Feed,
    },
    /// A person says something.
    Say {
        person: usize,
        say: Say,
        id: bool,
        feed: Feed,
    },
    /// A person sends a control frame.
    Control {
        person: usize,
        ping: bool,
        length: usize,
        feed: Feed,
    },
    /// Bytes that a person has sent arrive.
    Arrive { person: usize, feed: Feed },
    /// A person goes.
    Bye { person: usize, how: Bye },
    /// Much happens to one connection between single polls.
    Flurry { person: usize, steps: [Step; 8] },
    /// The peer of a connection whose session is over finishes, or resets it.
    Abandon { which: usize, reset: bool },
    /// A person's socket takes this many bytes (or [`ONE_WRITE`]), then is blocked; `None`: no limit.
    Window { person: usize, bytes: Option<usize> },
    /// From now on a write takes at most this many bytes; `None`: no limit.
    Writes(Option<usize>),
    /// Time passes.
    Pass { ms: u64 },
    /// The embedding program asks for something.
    Command(Asked),
    /// An input for a connection that is gone.
    Stale,
}

/// How much of what a person has sent arrives now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// All of it at once.
    Whole,
    /// All of it, in pieces of this size.
    Pieces(usize),
    /// This many bytes, the rest later.
    Part(usize),
    /// Nothing yet.
    Later,
}

/// What a person can say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Say {
    Join(usize),
    Leave(usize),
    RoomMessage {
        room: usize,
        pad: usize,
    },
    Broadcast {
        pad: usize,
    },
    /// To a person; one that never connected is nobody.
    Private {
        to: usize,
    },
    /// A key, and its value's length; 0 deletes it.
    Metadata {
        key: u8,
        length: usize,
    },
    Hello {
        length: usize,
    },
    Members {
        room: usize,
        after: usize,
        limit: Option<u32>,
        metadata: bool,
    },
    Typing {
        room: usize,
        start: bool,
    },
    Ask,
    Ping {
        timestamp: bool,
    },
    /// A room message whose bare data would look like the server's.
    Pretend(usize),
    Unknown,
    NotJson,
    BadMessage,
    Binary,
}

/// What happens in a flurry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// One output is polled.
    Poll,
    /// The peer finishes writing.
    ReadEnd,
    /// The socket is gone.
    Reset,
    /// The person connects, if it is not there.
    Open,
    /// The embedding program closes the connection.
    Close,
    /// The socket takes this much.
    Window(Option<usize>),
}

impl Step {
    fn decode(raw: u64) -> [Self; 8] {
        core::array::from_fn(|number| match raw >> (4 * number) & 15 {
            0..=5 => Self::Poll,
            6 | 7 => Self::ReadEnd,
            8 | 9 => Self::Reset,
            10 | 11 => Self::Open,
            12 | 13 => Self::Close,
            14 => Self::Window(Some(60)),
            _ => Self::Window(None),
        })
    }
}

/// How a person goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bye {
    /// A close frame with a code; 1005: none.
    Close(u16),
    /// The peer finishes writing.
    ReadEnd,
    /// The socket is gone.
    Reset,
    /// The driver gives it up.
    Failed,
    /// A frame that is not masked.
    Violation,
}

/// What the embedding program asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Send(usize),
    Publish(usize),
    Kick(usize, usize),
    Close(usize, u16),
    /// Answers one of the requests that wait; the second says how.
    Reply(usize, u8),
}

impl Operation {
    /// From any number; 0 is the plainest.
    pub fn decode(raw: u64) -> Self {
        let [kind, person, a, b, c, feed, ..] = raw.to_le_bytes();
        let person = usize::from(person) % PEOPLE;
        let feed = Feed::decode(feed);
        let (x, y) = (usize::from(a), usize::from(b));
        match kind % 64 {
            0..=3 => Self::Drain,
            4..=9 => Self::Poll(if b & 3 == 0 { x % 16 } else { x % 3 } + 1),
            10..=15 => Self::Open {
                person,
                rooms: x % 4,
                feed,
            },
            16..=39 => Self::Say {
                person,
                say: Say::decode(a, b, c),
                id: c & 1 == 0,
                feed,
            },
            42 | 43 => Self::Flurry {
                person,
                steps: Step::decode(raw >> 16),
            },
            44..=46 => Self::Control {
                person,
                ping: b & 3 > 0,
                length: x % 126,
                feed,
            },
            47..=49 => Self::Arrive { person, feed },
            50 | 51 => Self::Bye {
                person,
                how: Bye::decode(a, b),
            },
            52 | 53 => Self::Abandon {
                which: x,
                reset: b & 1 > 0,
            },
            54..=56 => Self::Window {
                person,
                bytes: match x % 8 {
                    0 | 1 => Some(y * 4),
                    2 => Some(ONE_WRITE),
                    3 => Some(0),
                    _ => None,
                },
            },
            57 => Self::Writes((x & 1 == 0).then_some(y + 1)),
            40 | 41 | 58 => Self::Pass {
                ms: PASSES[x % PASSES.len()],
            },
            59..=62 => Self::Command(Asked::decode(a, b, c, person)),
            _ => Self::Stale,
        }
    }

    /// Whether others may be sent something because of it.
    pub(super) fn speaks(&self) -> bool {
        matches!(
            self,
            Self::Say { .. }
                | Self::Arrive { .. }
                | Self::Bye { .. }
                | Self::Flurry { .. }
                | Self::Command(_)
                | Self::Pass { .. }
        )
    }

    /// What it is called in a histogram.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Poll(_) => "poll",
            Self::Open { .. } => "open",
            Self::Say { say, .. } => say.name(),
            Self::Control { ping: true, .. } => "ping frame",
            Self::Control { .. } => "pong frame",
            Self::Arrive { .. } => "arrive",
            Self::Bye { how, .. } => how.name(),
            Self::Flurry { .. } => "flurry",
            Self::Abandon { .. } => "abandon",
            Self::Window { bytes: Some(_), .. } => "block",
            Self::Window { .. } => "unblock",
            Self::Writes(_) => "write size",
            Self::Pass { .. } => "pass",
            Self::Command(asked) => asked.name(),
            Self::Stale => "stale input",
        }
    }
}

const PASSES: [u64; 8] = [1, 5, 11, 50, 250, 500, 720, 900];

impl Feed {
    fn decode(raw: u8) -> Self {
        let size = usize::from(raw >> 3);
        match raw & 7 {
            0..=3 => Self::Whole,
            4 => Self::Pieces(size % 4 + 1),
            5 => Self::Pieces(size * 5 + 1),
            6 => Self::Part(size * 4 + 1),
            _ => Self::Later,
        }
    }
}

impl Say {
    fn decode(kind: u8, a: u8, b: u8) -> Self {
        // Mostly rooms that exist, and mostly the first of them.
        let room = match a % 32 {
            31 => INVALID + usize::from(b & 1),
            30 => RESERVED,
            low => LIKELY_ROOMS[usize::from(low) % LIKELY_ROOMS.len()],
        };
        let pad = PADS[usize::from(b) % PADS.len()];
        match kind % 40 {
            0..=9 => Self::Join(room),
            10..=12 => Self::Leave(room),
            13..=20 => Self::RoomMessage { room, pad },
            21 | 22 => Self::Broadcast { pad },
            23..=25 => Self::Private {
                to: usize::from(a) % (PEOPLE + 1),
            },
            26 | 27 => Self::Metadata {
                key: a % 5,
                length: usize::from(b) % 40,
            },
            28 => Self::Hello {
                length: if a & 7 == 7 { 300 } else { 5 },
            },
            29 | 30 => Self::Members {
                room,
                after: usize::from(b) % 9,
                limit: (b & 16 > 0).then_some(u32::from(b & 3)),
                metadata: b & 32 > 0,
            },
            31 | 32 => Self::Typing { room, start: true },
            33 => Self::Typing {
                room,
                start: b & 2 > 0,
            },
            34 | 35 => Self::Ask,
            36 => Self::Ping {
                timestamp: b & 2 > 0,
            },
            37 => Self::Pretend(room),
            38 => Self::Unknown,
            _ => match b & 3 {
                0 => Self::NotJson,
                1 => Self::BadMessage,
                2 => Self::Binary,
                _ => Self::Unknown,
            },
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Join(_) => "join",
            Self::Leave(_) => "leave",
            Self::RoomMessage { .. } => "room_message",
            Self::Broadcast { .. } => "broadcast",
            Self::Private { .. } => "private_message",
            Self::Metadata { .. } => "set_metadata",
            Self::Hello { .. } => "hello",
            Self::Members { .. } => "members",
            Self::Typing { start: true, .. } => "typing_start",
            Self::Typing { .. } => "typing_stop",
            Self::Ask => "application",
            Self::Ping { .. } => "ping",
            Self::Pretend(_) => "reserved data",
            Self::Unknown => "unknown type",
            Self::NotJson => "not json",
            Self::BadMessage => "bad message",
            Self::Binary => "binary",
        }
    }
}

/// Rooms as often as they are talked of: most meet in the first ones.
const LIKELY_ROOMS: [usize; 10] = [0, 0, 0, 1, 1, 2, 2, 2, 3, 4];

/// Lengths of padding: around the sizes where a frame's header grows.
const PADS: [usize; 8] = [0, 10, 70, 90, 100, 110, 400, 1_200];

impl Bye {
    fn decode(a: u8, b: u8) -> Self {
        match a % 16 {
            0..=3 => Self::Close(if b & 1 == 0 { 1000 } else { 4_001 }),
            4 => Self::Close(1005),
            5..=8 => Self::ReadEnd,
            9..=12 => Self::Reset,
            13 => Self::Failed,
            _ => Self::Violation,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Close(_) => "close frame",
            Self::ReadEnd => "read end",
            Self::Reset => "reset",
            Self::Failed => "driver failed",
            Self::Violation => "violation",
        }
    }
}

impl Asked {
    fn decode(kind: u8, a: u8, b: u8, person: usize) -> Self {
        let room = usize::from(a) % (ROOMS.len() + 1);
        match kind % 16 {
            0..=4 => Self::Send(person),
            5..=8 => Self::Publish(room),
            9 | 10 => Self::Kick(person, room),
            11 => Self::Close(person, if b & 1 == 0 { 4_000 } else { 1006 }),
            _ => Self::Reply(usize::from(a), b),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Send(_) => "command send",
            Self::Publish(_) => "command publish",
            Self::Kick(..) => "command kick",
            Self::Close(..) => "command close",
            Self::Reply(..) => "command reply",
        }
    }
}

/// What a client asks for, with everything resolved: connections by number, data as it will be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Join(usize),
    Leave(usize),
    RoomMessage {
        room: usize,
        data: Rc<str>,
        pretends: bool,
    },
    Broadcast {
        data: Rc<str>,
    },
    Private {
        to: Option<usize>,
        data: Rc<str>,
    },
    Metadata {
        key: u8,
        value: Option<String>,
    },
    Hello {
        length: usize,
    },
    Members {
        room: usize,
        after: Option<usize>,
        limit: Option<u32>,
        metadata: bool,
    },
    Typing {
        room: usize,
        start: bool,
    },
    Ask,
    Ping {
        timestamp: Option<&'static str>,
    },
    Unknown,
    /// With the code that it is refused with.
    Bad(&'static str),
}
