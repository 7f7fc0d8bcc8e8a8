//! Scenarios that every server plays alike: the core in memory, of one shard or of several, and the adapters over
//! real sockets, with TLS or without.
//!
//! A [`Scenario`] is a script for a [`Play`]: clients come, speak and go, the program around the server commands. Each
//! thing that is done is a step, and the next one waits until everybody has heard what is to be heard of it. The
//! script is [rehearsed](Scenario::rehearse) on the core in memory; what each client, and the program, heard in each step
//! is the transcript that the [performance](Scenario::perform) on any other [`Floor`] is held to, item by item.
//!
//! In a transcript, clients are named instead of their ids, and what depends on the clock is a token; everything
//! else is compared as it came. A step that leaves the order of two things open, because they come over different
//! threads (`PROTOCOL.md`, Order), would have to be split in two.

mod ear;
mod in_binary;
mod memory;
mod normal;
mod play;
mod scenarios;
#[cfg(feature = "sockets")]
pub mod sockets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use roomwire_core::Config;
use roomwire_core::server::{Command, Event};

pub use in_binary::InBinary;
pub use memory::Memory;
use play::Why;
pub use play::{Play, Step, Who};
pub use scenarios::scenarios;

/// A server and the wires to it. Knows nothing of what goes over them.
pub trait Floor {
    /// Makes a connection to a listener, and sends what comes before anything else, TLS too; returns its number, which
    /// counts from 0.
    fn open(&mut self, listener: u16, preface: &[u8]) -> usize;

    /// Sends bytes. On a connection that has ended nothing happens, here and below.
    fn write(&mut self, line: usize, bytes: &[u8]);

    /// Finishes writing.
    fn finish(&mut self, line: usize);

    /// Tears the connection down.
    fn reset(&mut self, line: usize);

    /// The client takes no more, or again, of what comes.
    fn stall(&mut self, line: usize, stalled: bool);

    /// What the program around the server asks for.
    fn command(&mut self, command: Command);

    /// So much time is to pass, where it does not pass by itself.
    fn pass(&mut self, ms: u64);

    /// What has happened. Waits for it until the end of `patience`, but not if everything that must come has come
    /// (`None`).
    fn next(&mut self, patience: Option<Instant>) -> Option<News>;

    /// The time on the server's wall clock, in milliseconds since 1970.
    fn unix_ms(&self) -> u64;
}

/// What has happened on a [`Floor`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A client has received bytes.
    Bytes(usize, Vec<u8>),
    /// A client receives nothing more.
    End(usize, End),
    /// The program was told something.
    Event(Event),
    /// The server has ended, in order or not.
    Over(bool),
}

/// How a client's connection ends, as the client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The server has finished.
    Finished,
    /// The connection was torn down.
    Reset,
    /// The server has finished, but without the goodbye of TLS: it might have been anybody.
    Cut,
}

/// A script, and the server that it is for.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// What it shows.
    pub name: &'static str,
    /// The server's settings.
    pub config: fn() -> Config,
    /// What happens.
    pub script: fn(&mut Play<'_>),
}

impl Scenario {
    /// What is heard in each step, on the core in memory.
    pub fn rehearse(&self) -> Vec<Step> {
        let mut floor = Memory::new((self.config)(), 1);
        Play::rehearsal(self.name, &mut floor).run(self.script)
    }

    /// Plays it on another floor, where the same must be heard.
    ///
    /// # Errors
    /// Tells the first step in which something else is heard, or nothing where something must be, and the difference.
    pub fn perform(&self, floor: &mut dyn Floor) -> Result<(), String> {
        let steps = self.caught(|| self.rehearse())?;
        self.follow(&steps, floor)
    }

    /// The same with what was heard when it was rehearsed.
    ///
    /// # Errors
    /// As [`perform`](Self::perform).
    pub fn follow(&self, steps: &[Step], floor: &mut dyn Floor) -> Result<(), String> {
        self.caught(|| Play::performance(self.name, floor, steps).run(self.script))?;
        Ok(())
    }

    fn caught<T>(&self, play: impl FnOnce() -> T) -> Result<T, String> {
        match catch_unwind(AssertUnwindSafe(play)) {
            Ok(steps) => Ok(steps),
            Err(why) => Err(match why.downcast::<Why>() {
                Ok(why) => format!("{}, {}", self.name, why.0),
                Err(_) => format!("{}: a panic, which was told on the spot", self.name),
            }),
        }
    }
}

/// Plays all scenarios, each on a floor of its own.
///
/// # Panics
/// With what went otherwise, when all have been played, or enough have gone otherwise: each may have waited long.
pub fn play_all<F: Floor>(floor: impl Fn(Config) -> F) {
    let played = scenarios().map(|scenario| scenario.perform(&mut floor((scenario.config)())));
    let failed: Vec<String> = played.filter_map(Result::err).take(ENOUGH).collect();
    let count = failed.len();
    assert!(
        count == 0,
        "{count} scenarios go otherwise:\n{}",
        failed.join("\n")
    );
}

/// So many scenarios that go otherwise say enough of a server.
const ENOUGH: usize = 4;
