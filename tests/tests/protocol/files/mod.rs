//! Files: they pass through the server piece by piece, as fast as each receiver takes them, and nothing of them stays.

mod ends;
mod hall;
mod limits;
mod lost;
mod passing;
mod plain;
mod program;
mod random;
mod slow_links;
mod timeouts;

use roomwire_core::Config;

use crate::unlimited;

/// Without rate limits, and those who accept are not waited for.
fn prompt() -> Config {
    let mut config = unlimited();
    config.files.gather_ms = 0;
    config
}

/// The same with something else.
fn with(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = prompt();
    change(&mut config);
    config
}
