//! What the runtime adapters share and what has nothing to do with how they read and write: listening sockets,
//! signals, the clock, the descriptor limit, the seed, the budgets of a turn, recordings on disk, and [clients](client).
//!
//! With the feature `cli` also the command line, the config file, the environment and the logs of the
//! binaries. There is no loop over sockets here, and no decision of the protocol. UNIX only.

mod act;
mod adopt;
mod answers;
mod bound;
mod budget;
mod clock;
mod desk;
mod error;
mod events;
mod guard;
mod handle;
mod host;
mod line;
mod links;
mod pool;
mod record;
mod reply;
mod server;
mod sessions;
mod settings;
mod signal;
mod slots;
mod threads;
mod trouble;
mod write;

#[cfg(feature = "cli")]
pub mod cli;
pub mod client;
pub mod descriptors;
pub mod listen;
pub mod mailbox;
pub mod seed;
pub mod signals;
pub mod systemd;
#[cfg(feature = "tls")]
pub mod tls;

pub use act::{Act, act};
pub use adopt::{AdoptError, Adopted, Dealer, Socket};
pub use answers::{Hook, Request};
pub use bound::Bound;
pub use budget::{
    ACCEPT_PAUSE, ACCEPTS_PER_TURN, BUSY_SOCKETS_PER_TURN, CLIENT_BUFFER_BYTES, OUTPUTS_PER_TURN,
    READ_BUFFER_BYTES, READS_PER_SOCKET, SEND_MORE, SLICES_PER_WRITE, TURN_TIME, TurnBudget,
    TurnEnd,
};
pub use clock::ClockBase;
#[cfg(feature = "fault-injection")]
pub use desk::FAULTY_JOB_BYTES;
pub use error::{Ended, RunError};
pub use events::{Drains, Stop, log_event};
#[cfg(feature = "fault-injection")]
pub use guard::FAULTY_ROOM;
pub use handle::{Handle, Post};
pub use host::{Hosted, Serve};
pub use line::{Line, Next, Reads};
pub use links::Links;
pub use listen::{Address, BindError, Listener};
pub use record::{FileSink, Recording};
pub use reply::{Answer, Give, one};
pub use server::{Host, Server, Shard};
pub use sessions::{Asking, DirStore, MemoryStore, SessionHolder, SessionStore};
pub use settings::{
    ListenerSettings, LogFormat, LogLevel, LogSettings, RecordSettings, SessionStoreSettings,
    Settings,
};
pub use signal::Signal;
pub use signals::{Shutdown, Signals};
pub use slots::Slots;
pub use threads::{End, Running, live, run_shards};
pub use trouble::Trouble;
pub use write::{Sink, ended, heard, sent, write};
