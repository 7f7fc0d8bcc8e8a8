//! A simulator: servers and clients on a network that a seed decides, with a virtual clock.
//!
//! It is one more adapter over [`Machine`](roomwire_core::Machine): [`Network`] drives any machine, keeps the
//! driver's half of the contract, sleeps exactly to each deadline and never polls on a hunch. Nothing in here
//! reads a clock or opens a socket; the same seed gives the same bytes.
//!
//! # Testing a program around the server
//!
//! A program that embeds the server can run its own hooks in here, with its own clients on a bad network, by
//! a path dependency on this crate. [`Rig`] is the way in; `examples/authorizer.rs` is a whole test.
//!
//! ```
//! use roomwire_core::server::{Command, Event, Outcome};
//! use roomwire_core::Config;
//! use roomwire_tests::sim::{App, Fate, Link, Orders, Rig};
//! use serde_json::json;
//!
//! /// Answers each request half a second later.
//! struct Program;
//!
//! impl App for Program {
//!     fn event(&mut self, event: &Event, orders: &mut Orders) {
//!         if let Event::Application { request, .. } = event {
//!             let outcome = Outcome::Reply(r#"{"type":"rolled","n":4}"#.to_owned());
//!             let request = *request;
//!             orders.after(500_000, Command::Reply { request, outcome });
//!         }
//!     }
//! }
//!
//! let config = Config { application_types: vec!["roll".to_owned()], ..Config::default() };
//! let mut rig = Rig::new(config.validate()?, Program, 7);
//! let (ada, bob) = (rig.client(Link::default()), rig.client(Link::default()));
//! let first = rig.ask(ada, json!({"type": "roll"}));
//! let second = rig.ask(bob, json!({"type": "roll"}));
//! rig.run_for(300_000);
//! rig.reset(bob); // before the answer
//! rig.run_for(1_000_000);
//! assert!(matches!(rig.fate(first), Fate::Answered(outcome) if outcome["n"] == 4));
//! assert_eq!(*rig.fate(second), Fate::Lost);
//! # Ok::<(), roomwire_core::ConfigError>(())
//! ```
//!
//! # Testing the server
//!
//! [`Plan::generate`] makes of a seed what is going to happen: settings, some two dozen clients (chatty,
//! flooding, lying, slow, flapping, vanishing), commands of the program, faults of the network. [`run()`] lets
//! it happen while an [`Oracle`] compares, after every step and more deeply whenever the machine is idle, what
//! the server's sockets took with what clients said and `PROTOCOL.md` promises. A plan is data: [`shrink()`]
//! makes one that fails smaller. [`Coverage`] says what runs have hit. Others who watch are [`Observer`]s.
//!
//! Of every other plan the server is of 2 to 8 [`Shards`]: machines of their own, each with its own driver, and
//! links between them that delay what they carry, hold it back and let it go at once. Shards [fail](Trouble): they
//! say goodbye or are cut, begin anew, and their clients come back. The oracle then compares everything whenever
//! all shards are idle and nothing is on its way between them; where PROTOCOL.md promises less of several threads,
//! and only there, it is content with less.
//!
//! Of every third plan the drivers have a [`Pool`]: it does its jobs in any order, late, and some of them not at all.
//! What a client has said may wait for one then, so that the oracle is content with what it is content with where
//! another shard is asked.
//!
//! Every run of one shard is recorded: [`Failure::keep`] writes the recording of one that failed to a file, and
//! `roomwire-tokio replay FILE` shows what the server did, step by step. There are no recordings of several shards.
//!
//! ```
//! use roomwire_tests::sim::run_seed;
//!
//! let report = run_seed(7).map_err(|failure| failure.to_string())?;
//! assert!(report.coverage.messages > 0);
//! # Ok::<(), String>(())
//! ```

mod carrier;
mod cast;
mod content;
mod coverage;
mod frames;
mod generate;
mod host;
mod links;
mod network;
mod observer;
mod oracle;
mod peer;
mod plan;
mod rig;
mod run;
mod shrink;
mod socket;
mod tape;
mod wire;
mod wrong;

pub use carrier::About;
pub use content::Content;
pub use coverage::{Count, Coverage};
pub use host::Driving;
pub use links::{Courier, Lag, Letter};
pub use network::{HostId, Network, News, Reading, SocketId, WALL_MS};
pub use observer::{Accept, Fingerprint, Log, Observer, Step};
pub use oracle::{Editor, Kind, Oracle, Outgoing, Request, Target};
pub use peer::{Codec, Heard, Peer};
pub use plan::{
    APPLICATION_TYPE, Act, Ask, Claim, ClientPlan, Head, Lie, Nature, Order, Parcel, Plan, Pool,
    Porter, ROOMS, Recipient, Shards, Trouble, Wish,
};
pub use rig::{App, Fate, Orders, Rig, RigClient, Ticket};
pub use run::{Failure, Report, Sabotage, run, run_recorded, run_sabotaged, run_seed};
pub use shrink::{shrink, size};
pub use tape::replay;
pub use wire::Link;
