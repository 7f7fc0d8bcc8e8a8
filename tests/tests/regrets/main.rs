//! What others built and had to mend, one module for each kind of mistake: a test here fails if we repeat it.
//!
//! Two mistakes have their tests elsewhere: one flooded socket beside many quiet ones, on real sockets, in the
//! adapters' own `adapters.rs`; and a bad id of any kind at any time, which is also a choice of the fuzz target
//! `server`.

mod backpressure;
mod chunking;
mod determinism;
mod framing;
mod hub_ops;
mod progress;
mod scaling;
mod starvation;

use roomwire_core::Config;
use roomwire_core::config::RateLimit;

/// The default config without rate limits.
fn unlimited() -> Config {
    Config {
        rate_limit: RateLimit::off(),
        ..Config::default()
    }
}
