//! Every drain ends, within a number of polls that what was queued gives.
//!
//! Elsewhere a loop went on for ever without doing anything, with a peer's help.

use core::time::Duration;

use roomwire_core::{Input, Machine as _};
use roomwire_tests::{Opcode, Poll, Rng, Upgrade, World, masked};
use serde_json::json;

use crate::unlimited;

/// Members served, and timers fired, for one `Again`; see the core's `poll.rs`.
const SERVED_PER_POLL: u64 = 8_192;
const FIRED_PER_POLL: u64 = 256;

/// Polls until idle; asserts that it takes no more than `inputs`, and what they brought about, explain.
fn drain(world: &mut World, inputs: u64, context: &str) {
    let bytes: usize = {
        let driver = world.driver();
        let ids: Vec<_> = driver.connections().map(|(id, _)| id).collect();
        ids.iter()
            .map(|&id| driver.machine().unsent(id).map(<[u8]>::len).sum::<usize>())
            .sum()
    };
    let before = world.stats();
    let transmits = world.driver().transmits();
    let mut polls = 0_u64;
    world.events();
    while world.driver().poll() == Poll::Busy {
        polls += 1;
        assert!(polls < 10_000_000, "{context}: never idle");
    }
    let events = world.events().len() as u64;
    let after = world.stats();
    // Each message is sent at least in whole turns, and every turn of a small socket takes a byte or blocks it;
    // a connection can be told of once each: read, pause, finish, close; and each event is one.
    let messages = after.deliveries - before.deliveries + after.direct - before.direct;
    let written = after.sent_bytes - before.sent_bytes;
    let connections = before.connections.max(after.connections) as u64;
    let transmits = world.driver().transmits() - transmits;
    // A transmit takes a byte or is told that nothing goes.
    assert!(
        transmits <= written + connections,
        "{context}: {transmits} transmits of {written} bytes"
    );
    let again = messages / SERVED_PER_POLL + connections / FIRED_PER_POLL + 2;
    let bound = transmits + events + connections * 5 + inputs + again;
    assert!(
        polls <= bound,
        "{context}: {polls} polls, {bound} allowed: {bytes} bytes were queued, {written} written, {messages} new"
    );
}

// oracle: RUSTSEC-2024-0336
#[test]
fn idle_comes_within_what_the_queued_work_explains() {
    for seed in 0..60 {
        let mut rng = Rng::new(seed);
        let mut world = World::new(unlimited());
        let mut clients = world.connect_many(8);
        for &client in &clients {
            world.join(client, "tea");
        }
        for round in 0..40 {
            let context = format!("seed {seed}, round {round}");
            clients.retain(|&client| world.ending(client).is_none());
            if clients.len() < 2 {
                break;
            }
            let client = clients[rng.below(clients.len())];
            let connection = world.connection(client);
            let mut inputs = 1;
            match rng.below(7) {
                0 => {
                    let count = 1 + rng.below(30);
                    for _ in 0..count {
                        let text = json!({"type": "room_message", "room": "tea", "data": "x".repeat(rng.below(99))});
                        world.post_json(client, &text);
                    }
                    world.driver().feed();
                    inputs = count as u64;
                }
                1 => {
                    world.post(client, &masked(Opcode::Ping, true, b"?").repeat(20));
                    world.driver().feed();
                    inputs = 20;
                }
                2 => {
                    // It takes a byte at a time, or nothing.
                    world.stall(client);
                    world.driver().resize(connection, rng.below(3));
                }
                3 => {
                    world.driver().drain(connection, rng.below(500));
                }
                4 => {
                    world.driver().resize(connection, 1 << 16);
                    world.driver().release(connection);
                    world.driver().feed();
                }
                5 => {
                    let later =
                        world.driver().now().mono + Duration::from_secs(rng.below(20) as u64);
                    world.driver().set_time(later);
                    world.driver().input(Input::Tick);
                }
                _ if clients.len() > 2 && rng.one_in(2) => {
                    clients.retain(|&other| other != client);
                    world.post(client, &masked(Opcode::Close, true, b""));
                    world.driver().finish(connection);
                    world.driver().feed();
                }
                _ => {
                    let newcomer = world.accept(&Upgrade::default());
                    clients.push(newcomer);
                    world.post(newcomer, &Upgrade::default().request());
                    world.driver().feed();
                }
            }
            drain(&mut world, inputs, &context);
            // Idle again at once: an idle poll makes no work.
            assert_eq!(world.driver().poll(), Poll::Idle, "{context}");
        }
    }
}
