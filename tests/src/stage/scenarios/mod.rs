//! The scenarios. None depends on how long anything takes: where time has to pass, all that is compared is what comes
//! of it.

mod compression;
mod endings;
mod files;
mod frames;
mod http;
mod limits;
mod messages;
mod presence;
mod program;
mod rooms;
mod sessions;

use roomwire_core::Config;
use roomwire_core::config::{Drain, Heartbeat, Timeouts};

use super::Scenario;

/// All of them.
pub fn scenarios() -> impl Iterator<Item = &'static Scenario> {
    let all = [
        rooms::SCENARIOS,
        sessions::SCENARIOS,
        presence::SCENARIOS,
        messages::SCENARIOS,
        files::SCENARIOS,
        frames::SCENARIOS,
        compression::SCENARIOS,
        http::SCENARIOS,
        limits::SCENARIOS,
        program::SCENARIOS,
        endings::SCENARIOS,
    ];
    all.into_iter().flatten()
}

/// A list of scenarios: each script's name, and the settings that it is for.
macro_rules! list {
    ($($script:ident: $config:expr,)*) => {
        pub(super) const SCENARIOS: &[crate::stage::Scenario] = &[$(crate::stage::Scenario {
            name: stringify!($script),
            config: $config,
            script: $script,
        },)*];
    };
}
use list;

/// The defaults, but that nobody waits for a welcome, and nothing is done because something took its time.
fn usual() -> Config {
    Config {
        timeouts: Timeouts {
            welcome_delay_ms: 0,
            handshake_ms: LONG_MS,
            keep_alive_ms: LONG_MS,
            linger_ms: LONG_MS,
            message_ms: LONG_MS,
            typing_ms: LONG_MS,
            application_reply_ms: LONG_MS,
            relay_ms: LONG_MS,
        },
        heartbeat: Heartbeat {
            interval_ms: 0,
            ..Heartbeat::default()
        },
        drain: Drain {
            timeout_ms: LONG_MS,
            // All clients are told the same.
            reconnect_min_ms: 700,
            reconnect_max_ms: 700,
            ..Drain::default()
        },
        ..Config::default()
    }
}

/// Longer than a scenario takes, on whatever machine.
const LONG_MS: u64 = 600_000;

/// The same with something else.
fn with(change: impl FnOnce(&mut Config)) -> Config {
    let mut config = usual();
    change(&mut config);
    config
}
