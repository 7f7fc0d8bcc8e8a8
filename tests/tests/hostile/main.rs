//! Peers that break the rules, flood, stall or vanish: nothing panics, grows without a bound or stays behind.

mod floods;
mod frames;
mod handshakes;
mod inputs;
mod refusals;
mod slow_readers;

use roomwire_core::Config;
use roomwire_core::config::RateLimit;
use roomwire_tests::{Peer, World};

/// The default config without rate limits.
fn unlimited() -> Config {
    Config {
        rate_limit: RateLimit::off(),
        ..Config::default()
    }
}

/// The code of the close frame that a client got.
fn close_code(world: &World, peer: Peer) -> Option<u16> {
    world.close_frame(peer).map(|(code, _)| code)
}
