//! An id that has ended matches nothing, for ever, whoever has its slot now.
//!
//! Elsewhere a stale handle panicked, or hit the slot's next owner. The fuzz target `server` does the same at
//! random times; here every id that was ever given out is replayed, with every input that can name one.

use roomwire_core::cluster::Relay;
use roomwire_core::server::Command;
use roomwire_core::{ConnectionId, Input, Machine as _, TransportEnd};
use roomwire_tests::{Opcode, Peer, Rng, World, masked};
use serde_json::json;

use crate::unlimited;

/// Every input that names a connection.
fn inputs(connection: ConnectionId, bytes: &mut [u8]) -> Vec<Input<'_, Command, Relay>> {
    let mut inputs = vec![
        Input::Received { connection, bytes },
        Input::Writable { connection },
        Input::ReadEnd { connection },
        Input::Connected { connection },
        Input::ConnectFailed { connection },
    ];
    for blocked in [false, true] {
        let bytes = usize::from(blocked);
        inputs.push(Input::Sent {
            connection,
            bytes,
            blocked,
        });
    }
    for end in [
        TransportEnd::Closed,
        TransportEnd::Reset,
        TransportEnd::Failed,
    ] {
        inputs.push(Input::Ended { connection, end });
    }
    inputs.push(Input::Command(Command::Send {
        connection,
        message: "{}".to_owned(),
    }));
    inputs.push(Input::Command(Command::Kick {
        connection,
        room: "tea".to_owned(),
    }));
    inputs.push(Input::Command(Command::Close {
        connection,
        code: 1000,
        reason: String::new(),
        reconnect_after_ms: None,
    }));
    inputs
}

/// Replays every dead id with everything; none of it does anything but count.
fn replay(world: &mut World, issued: &[(Peer, ConnectionId)]) -> u64 {
    let text = masked(Opcode::Text, true, br#"{"type":"leave","room":"tea"}"#);
    let quiet = |world: &World| {
        let stats = world.stats();
        let memory = world.stats().buffered_bytes;
        (
            stats.connections,
            stats.clients,
            stats.rooms,
            stats.received,
            stats.direct,
            memory,
        )
    };
    let mut replayed = 0;
    let before = (quiet(world), world.stats().stale);
    for &(peer, connection) in issued {
        if world.ending(peer).is_none() {
            continue;
        }
        for input in inputs(connection, &mut text.clone()) {
            world.driver().input(input);
            replayed += 1;
        }
        assert_eq!(world.driver().machine().unsent(connection).count(), 0);
    }
    assert_eq!(quiet(world), before.0);
    assert_eq!(world.stats().stale, before.1 + replayed);
    replayed
}

// covers A3-19
#[test]
fn every_id_ever_issued_is_replayed_at_random_times() {
    for seed in 0..20 {
        let mut rng = Rng::new(seed);
        let mut world = World::new(unlimited());
        let mut issued: Vec<(Peer, ConnectionId)> = Vec::new();
        let mut alive: Vec<Peer> = Vec::new();
        let mut replayed = 0;
        for _ in 0..200 {
            match rng.below(6) {
                0 | 1 if alive.len() < 6 => {
                    let peer = world.connect();
                    issued.push((peer, world.connection(peer)));
                    world.join(peer, "tea");
                    alive.push(peer);
                }
                2 if alive.len() > 2 => {
                    let peer = alive.swap_remove(rng.below(alive.len()));
                    match rng.below(3) {
                        0 => world.reset(peer),
                        1 => world.close(peer),
                        // Its socket is gone in the middle of a goodbye.
                        _ => {
                            world.send_frame(peer, Opcode::Close, b"");
                            world.reset(peer);
                        }
                    }
                }
                3 | 4 if !alive.is_empty() => {
                    let peer = alive[rng.below(alive.len())];
                    world.post_json(
                        peer,
                        &json!({"type": "room_message", "room": "tea", "data": 1}),
                    );
                    // In the middle of things: handed in, polled in part.
                    world.driver().feed();
                    for _ in 0..rng.below(4) {
                        world.driver().poll();
                    }
                }
                _ => replayed += replay(&mut world, &issued),
            }
        }
        world.settle();
        replay(&mut world, &issued);
        world.forget();
        for &peer in &alive {
            assert_eq!(world.ending(peer), None);
            assert_eq!(
                world.request(peer, &json!({"type": "ping"}))["type"],
                "pong"
            );
            let members = world.request(peer, &json!({"type": "members", "room": "tea"}));
            assert_eq!(
                members["total"],
                alive.len(),
                "nobody was taken out of the room"
            );
        }
        assert!(issued.len() > alive.len() && replayed > 100, "{replayed}");
        let slots = issued.iter().map(|(_, id)| id.index()).max();
        assert!(
            slots < Some(issued.len() as u32 - 1),
            "slots are used again"
        );
    }
}
