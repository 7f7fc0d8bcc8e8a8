//! The protocol, scenario by scenario, over the pure core on a virtual clock.
//!
//! Every test names the rows of the acceptance table that it holds (`covers A1-05`).

mod adoption;
mod application;
mod asking_again;
mod batches;
mod binary;
mod blinks;
mod coming_back;
mod compression;
mod counters;
mod data;
mod elsewhere;
mod files;
mod history;
mod http;
mod leaving;
mod lingering;
mod liveness;
mod messages;
mod offload;
mod presence;
mod proxies;
mod proxy_protocol;
mod rooms;
mod sessions;
mod terms;
mod welcome;

use roomwire_core::config::RateLimit;
use roomwire_core::{Config, ListenerId};
use roomwire_tests::{Upgrade, World};

/// The default config without rate limits, for scenarios that say a lot.
fn unlimited() -> Config {
    Config {
        rate_limit: RateLimit::off(),
        ..Config::default()
    }
}

/// A world without rate limits.
fn quiet_world() -> World {
    World::new(unlimited())
}

/// A client of the listener with this number.
fn on_listener(number: u16) -> Upgrade {
    Upgrade {
        listener: ListenerId(number),
        ..Upgrade::default()
    }
}
