//! What the runtime adapters share and what has nothing to do with how they read and write: listening sockets,
//! signals, the clock, the descriptor limit, the seed and the budgets of a turn.
//!
//! With the feature `cli` also the command line, the config file, the environment and the logs of the
//! binaries. There is no read or write loop here, and no decision of the protocol. UNIX only.

mod budget;
mod clock;
mod error;
mod events;
mod settings;

#[cfg(feature = "cli")]
pub mod cli;
pub mod descriptors;
pub mod listen;
pub mod seed;
pub mod signals;

pub use budget::{
    ACCEPTS_PER_TURN, OUTPUTS_PER_TURN, READ_BUFFER_BYTES, READS_PER_SOCKET, SEND_MORE,
    SLICES_PER_WRITE, TURN_TIME, TurnBudget,
};
pub use clock::ClockBase;
pub use error::RunError;
pub use events::log_event;
pub use listen::BindError;
pub use settings::{ListenerSettings, LogFormat, LogLevel, LogSettings, Settings};
pub use signals::{Shutdown, Signals};
