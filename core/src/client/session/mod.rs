//! A client that outlives its connections: it connects, comes back as who it was, joins its rooms again, asks for what it
//! has missed and keeps what waits meanwhile.
//!
//! A [`Session`] is a [`Machine`] like the server: the same drivers run it. There is one connection at a time; each has an
//! id of its own, so that what a former one still does means nothing. It speaks JSON, or binary frames where the server
//! agrees to [`BINARY_PROTOCOL`].
//!
//! ```text
//!                 ┌─────────────────────── the wait is over ───────────────────────┐
//!                 ▼                                                                │
//!  new ──► Connecting ── the server took it ──► Resuming ─ welcome, id, rooms ► Open │
//!                 │                                │                            │  │
//!                 └───────────── lost ─────────────┴──────────── lost ──────────┴► Waiting
//!
//!  any ── Command::Close, a final close code, too many attempts ──► Closed
//! ```
//!
//! What a client is for others, its id, stays as it is as long as the server keeps the session: `resume` is said first on
//! each connection, and nothing else before it is answered, where there is a session to take up. A server that keeps none,
//! or has lost it, gives another id: [`Event::NewIdentity`].
//!
//! What is sent in any state but `Open` and `Closed` is queued. Every item that a program names has exactly one outcome:
//! see [`Outcome`].
//!
//! ```
//! use roomwire_core::client::session::{Command, Event, Item, Session, SessionConfig, State};
//! use roomwire_core::{Input, Instant, Machine, Now, Output};
//!
//! let now = Now { mono: Instant::ZERO, unix_ms: 1_700_000_000_000 };
//! let config = SessionConfig::new("example.com:8080");
//! let mut session = Session::new(config, [7; 32], now)?; // a real seed is unpredictable
//! let join = Command::Join { item: Item(1), room: "tea".to_owned() };
//! let _ = session.handle(now, Input::Command(join));
//!
//! // What a driver does: connect, say so, write what is there.
//! let Output::Connect { connection, .. } = session.poll() else { panic!("it connects at once") };
//! let _ = session.handle(now, Input::Connected { connection });
//! assert!(matches!(session.poll(), Output::Event(Event::Queued(Item(1)))));
//! assert_eq!(session.poll(), Output::Transmit { connection });
//! let request: Vec<u8> = session.unsent(connection).flatten().copied().collect();
//! assert!(request.starts_with(b"GET / HTTP/1.1\r\nHost: example.com:8080\r\n"));
//! let sent = Input::Sent { connection, bytes: request.len(), blocked: false };
//! let _ = session.handle(now, sent);
//! assert_eq!(session.state(), State::Connecting);
//! # Ok::<(), roomwire_core::ConfigError>(())
//! ```

mod backoff;
mod commands;
mod config;
mod credentials;
mod event;
mod frames;
mod heartbeat;
mod identity;
mod lifecycle;
mod link;
mod naming;
mod queue;
mod receiving;
mod resuming;
mod rooms;
mod sending;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::{BTreeMap, VecDeque};

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

pub use crate::dialect::json::client::{Kept, Message, Page, Said, SaidData, Told};
pub use backoff::{is_final, is_final_status};
pub use config::{BINARY_PROTOCOL, Batching, JSON_PROTOCOL, SessionConfig};
pub use event::{
    CloseCause, Closed, Command, Content, Credentials, Delivery, Dropped, EndCause, Event, Item,
    Outcome, RoomMessage, Send, State,
};

use crate::ConfigError;
use crate::client::ClientConfig;
use crate::id::{ClientId, ConnectionId};
use crate::machine::{Input, ListenerId, Machine, Output, PeerAddr, ShardId, Target, Turn, Unsent};
use crate::message::Gap;
use crate::time::{Instant, Now};
use heartbeat::Heartbeat;
use identity::Identity;
use lifecycle::{Goodbye, Retry};
use link::{Link, RESERVE_BYTES, Stage};
use naming::Names;
use queue::Queue;
use rooms::Rooms;
use sending::{Pending, Untaken};

/// A client that comes back. Drive it as [`Machine`] says.
///
/// It holds at most what [`SessionConfig`] allows: one connection, the queue, the rooms, what is in flight, and events;
/// of these what one message can produce beyond the bound. What has come behind that in the same `Received` is read when
/// there is room again, or not at all if the socket ends before.
#[derive(Debug)]
pub struct Session {
    config: SessionConfig,
    /// The same for one connection, with what the session itself needs.
    wire_config: ClientConfig,
    rng: ChaCha12Rng,
    now: Instant,
    unix_ms: u64,
    state: State,
    stats: SessionStats,

    link: Option<Link>,
    generation: core::num::NonZeroU32,
    /// A connection that the driver has to close, and whether to reset it.
    closing: Option<(ConnectionId, bool)>,
    /// The end of the connection that [`Command::Close`] found is still to be told.
    owes_closed: bool,
    /// What the server said before it closes.
    goodbye: Option<Goodbye>,
    attempts: u32,
    /// When the attempt that there is has waited for credentials for too long.
    credentials_due: Option<Instant>,
    retry: Option<Retry>,
    connect_due: Option<Instant>,
    stable_due: Option<Instant>,
    linger_due: Option<Instant>,
    heartbeat: Heartbeat,
    /// The server has said its welcome on this connection.
    is_welcome: bool,
    /// The largest message that it takes.
    max_message_bytes: usize,
    /// Who it is.
    identity: Identity,

    queue: Queue,
    /// Its own for messages.
    names: Names,
    /// Of the entry that was made last.
    last_order: u64,
    /// Entries up to this one are not gathered any longer.
    urgent_order: u64,
    /// The queue goes on when the socket has taken something, or a request has its outcome.
    is_stuck: bool,
    /// Of the request that was made last.
    last_id: u64,
    /// Requests without an outcome.
    pending: BTreeMap<u64, Pending>,
    /// What the socket has not taken whole, and where in the stream it ends.
    untaken: VecDeque<(u64, Untaken)>,

    rooms: Rooms,
    /// The room that was looked at last when they are joined again.
    joined_up_to: u64,
    /// Joins of those that have no outcome.
    slots: usize,

    events: VecDeque<Event>,
    event_bytes: usize,
    /// The last output was an event: something else has its turn.
    told_event: bool,
    /// Nobody has room for events: see [`Session::hold_events`].
    holds_events: bool,
    end: Option<EndCause>,
}

/// What a session has done, in plain counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionStats {
    /// Attempts to connect.
    pub attempts: u64,
    /// Those that the server took.
    pub opened: u64,
    /// Inputs about a connection that was not there any more.
    pub stale: u64,
}

impl Session {
    /// A session that is about to connect. `seed` has to be unpredictable: the keys and masks of its connections follow
    /// from it, and when it comes back.
    ///
    /// # Errors
    /// Names the first setting that can never work.
    pub fn new(config: SessionConfig, seed: [u8; 32], now: Now) -> Result<Self, ConfigError> {
        config.check()?;
        let mut wire_config = config.connection.clone();
        wire_config.max_unsent_bytes = wire_config.max_unsent_bytes.saturating_add(RESERVE_BYTES);
        let mut session = Self {
            wire_config,
            rng: ChaCha12Rng::from_seed(seed),
            now: now.mono,
            unix_ms: now.unix_ms,
            state: State::Connecting,
            stats: SessionStats::default(),
            link: None,
            generation: core::num::NonZeroU32::MIN,
            closing: None,
            owes_closed: false,
            goodbye: None,
            attempts: 0,
            credentials_due: None,
            retry: None,
            connect_due: None,
            stable_due: None,
            linger_due: None,
            heartbeat: Heartbeat::new(&config),
            is_welcome: false,
            max_message_bytes: usize::MAX,
            identity: Identity::of(config.former),
            queue: Queue::new(&config),
            names: Names::new(seed),
            last_order: 0,
            urgent_order: 0,
            is_stuck: false,
            last_id: 0,
            pending: BTreeMap::new(),
            untaken: VecDeque::new(),
            rooms: Rooms::default(),
            joined_up_to: 0,
            slots: 0,
            events: VecDeque::new(),
            event_bytes: 0,
            told_event: false,
            holds_events: false,
            end: None,
            config,
        };
        session.connect();
        Ok(session)
    }

    /// The one state. O(1).
    pub const fn state(&self) -> State {
        self.state
    }

    /// The client's id for others: of its session, or else of its connection, or of the last one. O(1).
    pub fn client_id(&self) -> Option<ClientId> {
        self.identity.id()
    }

    /// What it has done. O(1).
    pub const fn stats(&self) -> SessionStats {
        self.stats
    }

    /// Items that wait to be sent, without joins of rooms, and their bytes. O(1).
    pub fn queued(&self) -> (usize, usize) {
        (self.queue.len(), self.queue.bytes())
    }

    /// From now on no event is polled, or again: for a program that has no room for more. All else goes on, pings among
    /// it; once as many events wait as may, nothing more is read. O(1).
    pub const fn hold_events(&mut self, holds: bool) {
        self.holds_events = holds;
    }

    /// The connection, if it is this one.
    fn link_of(&mut self, connection: ConnectionId) -> Option<&mut Link> {
        let link = self.link.as_mut().filter(|link| link.id == connection);
        if link.is_none() {
            self.stats.stale += 1;
        }
        link
    }

    fn tell(&mut self, event: Event) {
        self.event_bytes += event_bytes(&event);
        self.events.push_back(event);
    }

    fn tell_outcome(&mut self, item: Item, outcome: Outcome) {
        self.tell(Event::Outcome { item, outcome });
    }

    fn drop_item(&mut self, item: Item, why: Dropped) {
        self.tell_outcome(item, Outcome::Dropped(why));
    }

    fn become_state(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            self.tell(Event::State(state));
        }
    }

    /// Whether so many events wait that nothing more is read.
    fn is_full(&self) -> bool {
        self.events.len() >= self.config.max_queued_events
            || self.event_bytes >= self.config.max_queued_event_bytes
    }

    /// Whether few enough do to read again.
    fn has_room_again(&self) -> bool {
        self.events.len() <= self.config.max_queued_events / 2
            && self.event_bytes <= self.config.max_queued_event_bytes / 2
    }

    fn next_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        self.event_bytes = self.event_bytes.saturating_sub(event_bytes(&event));
        Some(event)
    }

    /// What the driver has to do with connections.
    fn next_action(&mut self) -> Option<Output<Event>> {
        if let Some((connection, reset)) = self.closing.take() {
            return Some(Output::Close { connection, reset });
        }
        let (is_full, has_room_again) = (self.is_full(), self.has_room_again());
        let link = self.link.as_mut()?;
        let connection = link.id;
        if link.stage == Stage::Wanted {
            link.stage = Stage::Connecting;
            let target = Target::Server;
            return Some(Output::Connect { connection, target });
        }
        if link.stage == Stage::Connecting {
            return None;
        }
        if link.is_reading && is_full {
            link.is_reading = false;
            let wanted = false;
            return Some(Output::ReadInterest { connection, wanted });
        }
        if !link.is_reading && has_room_again && !link.has_unread() {
            link.is_reading = true;
            // What has come meanwhile is only read now.
            self.heartbeat.heard();
            let wanted = true;
            return Some(Output::ReadInterest { connection, wanted });
        }
        if link.wants_write() {
            link.writes();
            return Some(Output::Transmit { connection });
        }
        None
    }

    fn next_output(&mut self) -> Option<Output<Event>> {
        // Neither starves the other.
        if self.told_event {
            self.told_event = false;
            if let Some(action) = self.next_action() {
                return Some(action);
            }
        }
        if let Some(action) = self.next_action_but_write() {
            return Some(action);
        }
        if !self.holds_events
            && let Some(event) = self.next_event()
        {
            self.told_event = true;
            return Some(Output::Event(event));
        }
        if let Some(action) = self.next_action() {
            return Some(action);
        }
        if self.link.is_some() || self.holds_events {
            return None;
        }
        Some(Output::Event(Event::Ended(self.end.take()?)))
    }

    /// Connections are closed and asked for before anything is told of what follows from it, and reading stops before
    /// there is more to tell.
    fn next_action_but_write(&mut self) -> Option<Output<Event>> {
        let is_full = self.is_full();
        let is_urgent = |link: &Link| match link.stage {
            Stage::Wanted => true,
            Stage::Connecting => false,
            _ => link.is_reading && is_full,
        };
        let has_some = self.closing.is_some() || self.link.as_ref().is_some_and(is_urgent);
        has_some.then(|| self.next_action()).flatten()
    }

    /// When something is to be done without an input.
    fn deadline(&self) -> Option<Instant> {
        [
            self.credentials_due,
            self.connect_due,
            self.stable_due,
            self.linger_due,
            self.heartbeat.due(),
            self.retry.as_ref().map(|retry| retry.at),
            self.queue.due(),
            self.rooms.due(),
            self.identity.due(),
            self.batch_due(),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

impl Machine for Session {
    type Command = Command;
    type Event = Event;
    /// There is nobody to relay to.
    type Relay = core::convert::Infallible;

    /// A client accepts nothing.
    fn accept(&mut self, _: Now, _: PeerAddr, _: ListenerId) -> Option<ConnectionId> {
        None
    }

    fn handle(&mut self, now: Now, input: Input<'_, Command, Self::Relay>) -> Turn {
        self.now = self.now.max(now.mono);
        self.unix_ms = now.unix_ms;
        self.fire_due();
        match input {
            Input::Received { connection, bytes } => self.received(connection, bytes),
            Input::Sent {
                connection,
                bytes,
                blocked,
            } => self.sent(connection, bytes, blocked),
            Input::Writable { connection } => {
                if let Some(link) = self.link_of(connection) {
                    link.writable();
                }
            }
            Input::ReadEnd { connection } => self.read_end(connection),
            Input::Ended { connection, .. } => self.ended(connection),
            Input::Connected { connection } => self.connected(connection),
            Input::ConnectFailed { connection } => self.connect_failed(connection),
            Input::Command(command) => self.command(command),
            Input::Relay { message, .. } => match message {},
            // A client asks for no jobs.
            Input::PoolReady { .. } | Input::Done(_) => {}
            Input::Tick | Input::LinkReady { .. } | Input::Restarted { .. } => {}
        }
        self.pump();
        let has_unread = self.link.as_ref().is_some_and(Link::has_unread);
        if has_unread || self.is_full() {
            Turn::Full
        } else {
            Turn::Open
        }
    }

    fn poll(&mut self) -> Output<Event> {
        loop {
            if self.read_on() {
                self.pump();
            }
            if let Some(output) = self.next_output() {
                return output;
            }
            // What became due by what was just done, such as a wait of no time at all.
            if !self.fire_due() {
                let deadline = self.deadline();
                return Output::Idle { deadline };
            }
            self.pump();
        }
    }

    fn unsent(&self, connection: ConnectionId) -> Unsent<'_> {
        let link = self.link.as_ref().filter(|link| link.id == connection);
        link.map_or(Unsent::EMPTY, |link| Unsent::slice(link.wire.unsent()))
    }

    fn take_relay(&mut self, _: ShardId) -> Option<Self::Relay> {
        None
    }
}

/// What an event carries, roughly.
fn event_bytes(event: &Event) -> usize {
    let said = |it: &RoomMessage| match &it.said.data {
        SaidData::Bytes(bytes) => it.room.len() + bytes.len(),
        SaidData::Json(text) => it.room.len() + text.len(),
    };
    match event {
        Event::Message(message) => message.heap_bytes(),
        Event::Binary(bytes) => bytes.len(),
        Event::RoomMessage(it) | Event::OwnMessage(it) => said(it),
        Event::Outcome {
            outcome: Outcome::Answered(message) | Outcome::Refused(message),
            ..
        } => message.heap_bytes(),
        Event::Gap { room, .. } | Event::Reset { room, .. } | Event::Resumed { room, .. } => {
            room.len()
        }
        Event::Closed(closed) => closed.reason.len(),
        Event::Session(told) => told.left_out.len() * size_of::<Gap>(),
        _ => 0,
    }
}
