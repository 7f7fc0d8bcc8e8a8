//! The corners of sessions: what is said on the way back, and what is left of those who come and go.

use roomwire_core::Config;
use roomwire_core::config::Sessions;
use roomwire_core::server::Event;
use roomwire_tests::{Opcode, Peer, Upgrade, World, masked};
use serde_json::{Value, json};

use crate::unlimited;

const AWAY_MS: u64 = 1_000;

fn config(window_ms: u64, away_ms: u64) -> Config {
    let mut config = Config {
        sessions: Sessions {
            window_ms,
            away_ms,
            ..Sessions::default()
        },
        ..unlimited()
    };
    config.heartbeat.interval_ms = 0;
    config
}

fn session(world: &mut World, peer: Peer) -> Value {
    world.request(peer, &json!({"type": "resume"}))
}

fn resume(session: &Value) -> Value {
    json!({"type": "resume", "clientId": session["clientId"], "sessionSecret": session["sessionSecret"]})
}

fn come_back(world: &mut World, session: &Value) -> Peer {
    let peer = world.connect();
    let resumed = world.request(peer, &resume(session));
    assert_eq!(resumed["resumed"], true, "{resumed}");
    peer
}

fn scene() -> (World, Peer, Peer, Value) {
    let mut world = World::new(config(4_000, AWAY_MS));
    let (ada, bob) = (world.connect(), world.connect());
    let session = session(&mut world, bob);
    for client in [ada, bob] {
        world.join(client, "den");
    }
    world.forget();
    (world, ada, bob, session)
}

/// Metadata set before the rooms are joined again is told to those for whom it has never been away.
#[test]
fn metadata_set_on_the_way_back_is_told() {
    let (mut world, ada, bob, session) = scene();
    world.request(
        bob,
        &json!({"type": "set_metadata", "metadata": {"name": "Bob"}}),
    );
    world.expect(ada, "member_updated");
    world.reset(bob);
    let back = come_back(&mut world, &session);
    world.request(
        back,
        &json!({"type": "set_metadata", "metadata": {"name": "Robert"}}),
    );
    world.join(back, "den");
    let updated = world.expect(ada, "member_updated");
    assert_eq!(updated["metadata"]["name"], "Robert");
}

/// A close code that does not invite to come back ends the session.
#[test]
fn who_breaks_the_protocol_has_left() {
    let (mut world, ada, bob, _) = scene();
    world.send_bytes(bob, &[0x83, 0x80, 0, 0, 0, 0]);
    assert_eq!(world.close_frame(bob).map(|(code, _)| code), Some(1002));
    world.expect(ada, "member_left");
}

/// Deadlines do not pile up.
#[test]
fn deadlines_of_those_who_come_and_go() {
    let month = 30 * 24 * 3_600_000;
    let mut world = World::alone(config(month, month));
    let ada = world.connect();
    world.join(ada, "den");
    let bob = world.connect();
    let session = session(&mut world, bob);
    world.join(bob, "den");
    let mut at = bob;
    let mut bytes = Vec::new();
    for _ in 0..3 {
        for _ in 0..200 {
            world.reset(at);
            at = come_back(&mut world, &session);
            world.join(at, "den");
        }
        bytes.push(world.machine().memory().deadlines);
    }
    assert!(bytes[2] <= bytes[0] + 1_000, "{bytes:?}");
}

/// A program hears the id of the welcome when a client is opened, however fast it goes on.
#[test]
fn opened_tells_the_id_of_the_welcome() {
    let (mut world, _, bob, session) = scene();
    world.reset(bob);
    world.forget();
    let peer = world.knock(&Upgrade::default());
    let mut bytes = masked(Opcode::Text, true, resume(&session).to_string().as_bytes());
    bytes.extend(masked(Opcode::Close, true, &1000_u16.to_be_bytes()));
    world.send_bytes(peer, &bytes);
    let events = world.events();
    let opened = events.iter().find_map(|event| match event {
        Event::Opened { client, .. } => Some(client.as_str().to_owned()),
        _ => None,
    });
    let resumed = events.iter().find_map(|event| match event {
        Event::Resumed { client, .. } => Some(client.as_str().to_owned()),
        _ => None,
    });
    assert!(opened.is_some() && resumed.is_some(), "{events:?}");
    assert_ne!(opened, resumed, "{events:?}");
}
