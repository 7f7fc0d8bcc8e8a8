//! A simulator.

mod cast;
mod coverage;
mod generate;
mod host;
mod network;
mod observer;
mod oracle;
mod peer;
mod plan;
mod run;
mod shrink;
mod wire;

pub use coverage::{Count, Coverage};
pub use host::Driving;
pub use network::{HostId, Network, News, Reading, SocketId, WALL_MS};
pub use observer::{Accept, Fingerprint, Log, Observer, Step};
pub use oracle::Editor;
pub use oracle::{Kind, Oracle, Outgoing, Request, Target};
pub use peer::{Codec, Heard, Peer};
pub use plan::{
    APPLICATION_TYPE, Act, Ask, ClientPlan, Head, Lie, Nature, Order, Plan, ROOMS, Wish,
};
pub use run::{Failure, Report, Sabotage, run, run_sabotaged, run_seed};
pub use shrink::{shrink, size};
pub use wire::Link;
