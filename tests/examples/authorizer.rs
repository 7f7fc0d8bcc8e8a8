//! How a program tests its own hooks in the simulator: an authoriser that answers late, on a network that flaps.
//!
//! ```text
//! cargo run -p roomwire-tests --example authorizer
//! cargo test -p roomwire-tests --example authorizer
//! ```
//!
//! Before a client may be let in somewhere, it sends `{"type":"enter","token":"..."}`, and the program looks
//! the token up, which takes a while. Meanwhile connections break and clients come back. Whatever happens,
//! each request has one outcome, the right one, or its connection has ended.
#![expect(
    clippy::print_stdout,
    reason = "the example tells its user what happens"
)]

use std::collections::BTreeMap;

use roomwire_core::server::{Command, Event, Outcome};
use roomwire_core::{Config, ConnectionId, ErrorCode};
use roomwire_tests::Rng;
use roomwire_tests::sim::{App, Fate, Link, Orders, Rig, Ticket};
use serde_json::{Value, json};

/// The program: what a real one would keep, and chance for how long a look-up takes.
struct Authorizer {
    rng: Rng,
    /// Look-ups under way, by connection.
    asked: BTreeMap<ConnectionId, u32>,
}

impl App for Authorizer {
    fn event(&mut self, event: &Event, orders: &mut Orders) {
        match event {
            Event::Application {
                connection,
                request,
                message,
                ..
            } => {
                *self.asked.entry(*connection).or_default() += 1;
                let message: Value = serde_json::from_str(message).unwrap_or_default();
                let known = message["token"].as_str().is_some_and(is_known);
                let outcome = if known {
                    Outcome::Reply(r#"{"type":"entered"}"#.to_owned())
                } else {
                    Outcome::Error {
                        code: ErrorCode::Forbidden,
                        message: "that token opens nothing".to_owned(),
                    }
                };
                let request = *request;
                let takes = self.rng.next() % 400_000;
                orders.after(takes, Command::Reply { request, outcome });
            }
            Event::Closed { connection, .. } => drop(self.asked.remove(connection)),
            _ => {}
        }
    }
}

fn is_known(token: &str) -> bool {
    token.starts_with("good")
}

/// What one seed came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    entered: u32,
    forbidden: u32,
    lost: u32,
}

fn rehearse(seed: u64) -> Tally {
    let config = Config {
        application_types: vec!["enter".to_owned()],
        ..Config::default()
    };
    let config = config.validate().expect("a valid config");
    let app = Authorizer {
        rng: Rng::new(seed),
        asked: BTreeMap::new(),
    };
    let mut rig = Rig::new(config, app, seed);
    let flapping = Link {
        latency_us: 30_000,
        jitter_us: 60_000,
        segment_bytes: 40,
        ..Link::default()
    };
    let clients: Vec<_> = (0..20).map(|_| rig.client(flapping)).collect();
    let mut tickets: Vec<(Ticket, bool)> = Vec::new();
    for _ in 0..400 {
        let client = clients[rig.rng.below(clients.len())];
        match rig.rng.below(12) {
            0 => rig.reset(client),
            1 => rig.stall(client, 300_000),
            _ if !rig.is_connected(client) => rig.connect(client),
            _ => {
                let good = rig.rng.one_in(2);
                let token = if good { "good" } else { "bad" };
                let ticket = rig.ask(client, json!({"type": "enter", "token": token}));
                tickets.push((ticket, good));
            }
        }
        rig.run_for(20_000);
    }
    rig.run_for(2_000_000);

    let mut tally = Tally::default();
    for (ticket, good) in tickets {
        match rig.fate(ticket) {
            Fate::Open => panic!("seed {seed}: {ticket:?} was never answered"),
            Fate::Lost => tally.lost += 1,
            Fate::Answered(outcome) if good => {
                assert_eq!(outcome["type"], "entered", "seed {seed}");
                tally.entered += 1;
            }
            Fate::Answered(outcome) => {
                assert_eq!(outcome["code"], "forbidden", "seed {seed}");
                tally.forbidden += 1;
            }
        }
    }
    // The program has forgotten those who are gone.
    for client in clients {
        rig.reset(client);
    }
    rig.run_for(1_000_000);
    assert_eq!(rig.app().asked.len(), 0, "seed {seed}");
    assert_eq!(rig.server().stats().clients, 0, "seed {seed}");
    tally
}

fn main() {
    for seed in 0..20 {
        println!("seed {seed}: {:?}", rehearse(seed));
    }
}

#[test]
fn every_request_has_one_outcome() {
    for seed in 0..20 {
        let tally = rehearse(seed);
        let Tally {
            entered,
            forbidden,
            lost,
        } = tally;
        assert!(entered > 20 && forbidden > 20 && lost > 5, "{tally:?}");
        assert_eq!(tally, rehearse(seed), "seed {seed} gives the same twice");
    }
}
