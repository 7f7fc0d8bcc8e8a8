//! What is going to happen, as data: a server's settings, clients and what each does, faults, commands.
//!
//! A plan is made from a seed before anything runs, so that it can be printed, changed and made smaller.

use roomwire_core::config::{RoomRule, SlowReader};
use roomwire_core::{Config, ListenerId, PeerAddr};

use super::host::Driving;
use super::links::Lag;
use super::network::Reading;
use super::peer::Codec;
use super::wire::Link;

/// Everything of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What it was made from; also decides how the network behaves.
    pub seed: u64,
    /// The server's settings.
    pub config: Config,
    /// How the server is driven.
    pub driving: Driving,
    /// Who is there.
    pub clients: Vec<ClientPlan>,
    /// What the program around the server asks for, and when.
    pub commands: Vec<(u64, Order)>,
    /// Of what the server is made.
    pub shards: Shards,
    /// Who does what takes long.
    pub pool: Pool,
    /// When everybody leaves, in microseconds from the beginning.
    pub end_us: u64,
}

/// The pool of each shard's driver. Jobs are done in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    /// So many at once; 0: there is no pool.
    pub jobs: u32,
    /// What came of a job is there after so many microseconds at most.
    pub most_us: u64,
    /// Of so many in 256 nothing comes: whoever was to do it has failed.
    pub fails: u8,
}

/// The shards of a server, their links, and what happens to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shards {
    /// How many there are.
    pub count: u8,
    /// How long what one has for another is on its way.
    pub lag: Lag,
    /// What goes wrong, and when. One shard alone has no links, and its failure is that of the server.
    pub troubles: Vec<(u64, Trouble)>,
}

impl Default for Shards {
    /// One.
    fn default() -> Self {
        Self {
            count: 1,
            lag: Lag::default(),
            troubles: Vec::new(),
        }
    }
}

/// What goes wrong with shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing arrives from one shard at another for so many microseconds.
    Stall(u8, u8, u64),
    /// A shard panics. It says goodbye to its clients, then begins anew.
    Abandon(u8),
    /// A shard panics, and cannot even say goodbye: its sockets are cut, and it begins anew.
    Cut(u8),
}

/// One client: what it does, one thing after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientPlan {
    /// What it is like, for people.
    pub nature: Nature,
    /// Its address.
    pub peer: PeerAddr,
    /// Where it connects to.
    pub listener: ListenerId,
    /// What reads for it.
    pub codec: Codec,
    /// Its network.
    pub link: Link,
    /// Whether it speaks before it has been told that it may.
    pub eager: bool,
    /// In how many frames it sends a message at most.
    pub fragments: usize,
    /// What it makes of files; `None`: nothing, whatever it is offered.
    pub porter: Option<Porter>,
    /// Microseconds after the one before (or the beginning), and what it does then.
    pub acts: Vec<(u64, Act)>,
}

/// What a client is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Nature {
    /// Says something now and then.
    Chatty,
    /// Breaks off without a word.
    Crasher,
    /// Does not listen to the answer to its request.
    Deaf,
    /// Comes and goes.
    Flapper,
    /// Says as much as it can.
    Flooder,
    /// Breaks off before it is welcomed.
    Hasty,
    /// Sends many messages to a room where slow readers miss some.
    Herald,
    /// Takes its time over its request.
    Late,
    /// Breaks the rules.
    Liar,
    /// Sends files and takes them.
    Porter,
    /// Listens.
    Lurker,
    /// Leaves a room whose messages it has not read.
    Mover,
    /// Reads little by little.
    Slow,
    /// Stops reading.
    Stopped,
}

/// One thing that a client does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Connects anew; what it had is reset. The request is what `Head` says.
    Connect(Head),
    /// Sends the rest of a request of which it has sent half.
    Rest,
    /// Tries to connect, and is refused by the network.
    Refused,
    /// Sends requests in one piece.
    Say(Vec<Ask>),
    /// Sends a WebSocket ping.
    Ping,
    /// Sends a close frame; without a code if there is none.
    Close(Option<u16>),
    /// Finishes writing.
    Finish,
    /// Resets the connection.
    Reset,
    /// Vanishes without a word.
    Vanish,
    /// Its network is dead for so many microseconds.
    Stall(u64),
    /// Reads differently from now on.
    Read(Reading),
    /// Stops answering pings.
    Mute,
    /// Breaks a rule of WebSocket.
    Lie(Lie),
    /// The server's driver gives up on the connection.
    Fail,
    /// Sends a file.
    Offer(Parcel),
    /// Gives up the oldest file that it sends, or takes if it sends none.
    GiveUp,
}

/// How a client deals with files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Porter {
    /// It speaks the binary dialect.
    pub binary: bool,
    /// What it takes at once of a file that it is offered.
    pub window_bytes: u32,
    /// How long it takes for a chunk that it sends, in microseconds.
    pub chunk_us: u64,
    /// How long it takes before it says that it has what it was passed, in microseconds.
    pub credit_us: u64,
    /// Of so many files in 8 that it is offered it takes none.
    pub refuses: u8,
    /// At so many chunks in 256 that it is passed it gives the file up.
    pub drops: u8,
    /// It goes on where it was when it is back, as a sender and as a receiver.
    pub resumes: bool,
}

/// A file that a client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// Who may have it.
    pub to: Recipient,
    /// How long it is.
    pub size: u32,
    /// What is said of its hash.
    pub claim: Claim,
}

/// Who may have a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// The other members of a room.
    Room(usize),
    /// A client of the plan.
    Client(usize),
}

/// What a sender says of a file's hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nothing.
    Nothing,
    /// What it is, at the start.
    Start,
    /// What it is, at the end.
    End,
    /// What it is not, at the end.
    Wrong,
}

/// The first bytes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Head {
    /// An upgrade as it should be.
    Upgrade,
    /// Another path: 404.
    Path,
    /// No upgrade: 426.
    Plain,
    /// A method other than GET: 405.
    Method,
    /// A page that may not: 403.
    Origin,
    /// Too long: 431.
    Long,
    /// No HTTP: 400.
    Garbage,
    /// A version that is not spoken: 426.
    Version,
    /// A request for the server's health.
    Health,
    /// Half a request, then nothing: 408.
    Half,
}

/// How WebSocket's rules are broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lie {
    /// A frame that is not masked: 1002.
    Unmasked,
    /// Text that is not UTF-8: 1007.
    Utf8,
    /// Reserved bits: 1002.
    Reserved,
    /// A reserved opcode: 1002.
    Opcode,
    /// A close code that nobody may send: 1002.
    CloseCode,
    /// A length of more than the server takes: 1009.
    Huge,
    /// A continuation of nothing: 1002.
    Continuation,
    /// A fragmented ping: 1002.
    SplitPing,
}

/// A request, and how it names itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What is asked.
    pub what: Wish,
    /// Whether it carries an `id`. One that is answered in any case should, or be no JSON at all: refusals
    /// without an `id` do not say what they refuse.
    pub named: bool,
}

/// What a client asks for. Rooms are numbers of [`ROOMS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// `join`.
    Join(usize),
    /// `leave`.
    Leave(usize),
    /// `room_message` with so much padding.
    Room(usize, usize),
    /// `broadcast` with so much padding.
    Broadcast(usize),
    /// `private_message` to a client of the plan, with so much padding.
    Private(usize, usize),
    /// `set_metadata`.
    Metadata,
    /// `hello`.
    Hello,
    /// `members`.
    Members(usize),
    /// `typing_start` or `typing_stop`.
    Typing(usize, bool),
    /// `ping`.
    Ping,
    /// A type of the application, answered by the program around the server.
    Application,
    /// A type that nobody knows.
    Unknown,
    /// A join of a room whose name is not allowed.
    BadName,
    /// Text that is no JSON.
    BadJson,
    /// A binary message.
    Binary,
}

/// What the program around the server asks for. Clients are numbers of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// A message to a room.
    Publish(usize),
    /// A message to a client.
    Send(usize),
    /// A client is taken out of a room.
    Kick(usize, usize),
    /// A client's connection is closed with a code.
    Close(usize, u16),
    /// The server leaves.
    Drain,
}

/// The rooms of every plan; number 0 stands for everyone.
pub const ROOMS: [&str; 9] = [
    "", "tea", "milk", "old", "new", "last", "linger", "sum", "quo\"te",
];

/// What the program around the server answers itself.
pub const APPLICATION_TYPE: &str = "roll";

impl Plan {
    /// The same with a server of one shard that does everything itself, for what only that promises.
    #[must_use]
    pub fn alone(self) -> Self {
        Self {
            shards: Shards::default(),
            ..self.without_pool()
        }
    }

    /// The same with a server that does everything itself.
    #[must_use]
    pub fn without_pool(self) -> Self {
        Self {
            pool: Pool::default(),
            ..self
        }
    }

    /// How slow readers of a room are treated; everyone's own messages are never dropped.
    pub(super) fn policy(&self, room: usize) -> SlowReader {
        self.rule(room).slow_reader
    }

    /// From how many members on comings and goings of a room are summed up.
    pub(super) fn notice_members(&self, room: usize) -> usize {
        self.rule(room).notice_members as usize
    }

    /// Over how long, in microseconds.
    pub(super) fn notice_us(&self, room: usize) -> u64 {
        self.rule(room).notice_interval_ms * 1_000
    }

    /// Whether a room keeps what is said in it.
    pub(super) fn keeps(&self, room: usize) -> bool {
        self.rule(room).history_messages > 0
    }

    fn rule(&self, room: usize) -> RoomRule {
        let fits = |rule: &&RoomRule| room > 0 && matches(&rule.pattern, ROOMS[room]);
        let rule = self.config.rooms.iter().find(fits);
        rule.cloned().unwrap_or_default()
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}
