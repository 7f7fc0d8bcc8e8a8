//! What a server of several shards promises, whoever is where.
//!
//! The scenarios of `protocol`, `limits` and `hostile` run with any number of shards
//! (`ROOMWIRE_TEST_SHARDS`); here is what only several have: links that are slow or full, and shards that fail.

mod batches;
mod claims;
mod files;
mod flush;
mod history;
mod leaving;
mod links;
mod nodes;
mod publishing;
mod random;
mod requests;
mod requests_lost;
mod restarts;
mod returns;
mod sessions;
mod takings;

use roomwire_core::config::RateLimit;
use roomwire_core::{Config, ShardId};
use roomwire_tests::{Peer, World};
use serde_json::{Value, json};

/// Settings under which nobody is refused for speaking too often, and no ping disturbs.
fn quiet() -> Config {
    let mut config = Config {
        rate_limit: RateLimit::off(),
        ..Config::default()
    };
    config.heartbeat.interval_ms = 0;
    config
}

/// A room that has its home on `shard`: found by trying, as a client would.
fn room_at(world: &World, shard: ShardId) -> String {
    let machine = world.machine();
    let mut names = (0..).map(|number| format!("room {number}"));
    let found = names.find(|name| machine.home_of(name) == shard);
    found.expect("names do not run out")
}

/// The messages of one type to a client.
fn all_of(world: &mut World, peer: Peer, kind: &str) -> Vec<Value> {
    let all = world.all(peer).into_iter();
    all.filter(|message| message["type"] == kind).collect()
}

fn say(room: &str, data: impl Into<Value>) -> Value {
    json!({"type": "room_message", "room": room, "data": data.into()})
}
