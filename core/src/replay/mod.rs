//! Recording everything that goes into a server, and doing it again.
//!
//! A server is a pure function of its config, its seed and its inputs with the number of polls between them
//! (see [`crate::Machine`]). A [`Recorder`] is a [`crate::Server`] that writes these down on the way; a
//! [`Replayer`] reads them, drives a fresh server, and shows step by step what went in and what came out. At
//! every step it compares a hash of all outputs with the recorded one, so that the first difference is located.
//!
//! **A recording holds the seed and is as secret as a key**: with it, anybody can be any client that may come back, for
//! as long as the server runs. Unless asked otherwise a [`Recorder`] masks what
//! clients and the embedding program say ([`Masker`] tells what stays readable): a masked recording makes the
//! same decisions, not the same bytes, and its hash covers kinds, connections and lengths. Masked files hash to
//! something else than their senders say: a masked recording notes which of them were found to be wrong, and a replay
//! takes all others for right.
//!
//! # The format
//!
//! Numbers are LEB128 varints, signed ones zigzag. A file is a header (`roomwire`, format version, flags, seed,
//! version of the crate, config as JSON), then records: a tag, the polls since the last record, how far both
//! clocks moved, the input, and one byte of the hash. Now and then a record holds the whole hash; the last one
//! says so.
//!
//! ```
//! use roomwire_core::replay::{Ending, Options, Progress, Recorder, Replayer};
//! use roomwire_core::{Config, Input, ListenerId, Machine, Now, Output, PeerAddr};
//!
//! let config = Config::default().validate()?;
//! let mut file = Vec::new();
//! let mut server = Recorder::new(config, [7; 32], Options::default(), &mut file);
//! assert!(server.accept(Now::default(), PeerAddr::Local, ListenerId(0)).is_some());
//! while !matches!(server.poll(), Output::Idle { .. }) {}
//! drop(server); // writes the end
//!
//! let mut replayer = Replayer::new();
//! replayer.feed(&file);
//! let ending = loop {
//!     match replayer.step()? {
//!         Progress::Step(step) => println!("{step:?}"),
//!         Progress::End(ending) => break ending,
//!         Progress::NeedMore => unreachable!("all was fed"),
//!     }
//! };
//! assert_eq!(ending, Ending::Closed);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod hash;
mod mask;
mod player;
mod recorder;
mod wire;

#[cfg(test)]
mod tests;

pub use mask::{Masker, mask_json};
pub(crate) use mask::{Said, mask_outcome, mask_said};
pub use player::{Header, Progress, ReplayError, Replayer, Step, What};
pub use recorder::{Options, Recorder, Sink};
pub use wire::Recorded;

/// How a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// With the server.
    Closed,
    /// It was as large as it may be.
    Full,
    /// The sink took no more.
    Refused,
}
