//! Sessions that go to another server while something is on its way between the shards.

use roomwire_core::config::{SessionKey, Sessions};
use roomwire_core::server::{Command, Event, SavedSession};
use roomwire_core::{ClientId, ShardId};
use roomwire_tests::{Lag, Peer, Rng, World};
use serde_json::{Value, json};

use crate::sessions::{come_back, connect_to, resume, session};
use crate::{all_of, quiet};

/// Longer than any story.
const WINDOW_MS: u64 = 100_000;

fn world(shards: u8) -> World {
    let mut config = quiet();
    config.sessions = Sessions {
        key: Some(SessionKey([5; 32])),
        window_ms: WINDOW_MS,
        ..Sessions::default()
    };
    World::of_shards(config, shards)
}

fn hold(world: &mut World, from: u8, to: u8, ms: u64) {
    let machine = world.driver().machine_mut();
    machine.hold(ShardId(from), ShardId(to), ms * 1_000);
}

fn id(session: &Value) -> ClientId {
    let id = session["clientId"].as_str().expect("an id");
    ClientId::parse(id).expect("an id")
}

fn left(events: &[Event]) -> Vec<Option<SavedSession>> {
    let left = events.iter().filter_map(|event| match event {
        Event::SessionLeft { session, .. } => Some(session.clone()),
        _ => None,
    });
    left.collect()
}

/// A drain closes the connection that has a session before the shard that decides about it can.
#[test]
fn a_session_that_is_taken_during_a_drain_is_told_of_once() {
    let mut world = world(2);
    let made = connect_to(&mut world, 0);
    let bob = session(&mut world, made);
    world.reset(made);
    come_back(&mut world, 1, &bob);
    let friend = connect_to(&mut world, 1);
    world.stall(friend);
    world.events();
    hold(&mut world, 0, 1, 50);
    let client = id(&bob);
    let asked_ms = u64::MAX;
    world.command(Command::TakeSession { client, asked_ms });
    world.command(Command::Drain);
    world.advance_ms(500);
    // What leaves is the answer.
    let left = left(&world.events());
    assert!(matches!(left[..], [Some(_)]), "{left:?}");
}

/// The same for a client here that has asked for it.
#[test]
fn a_session_that_is_claimed_during_a_drain_is_told_of_once() {
    let mut world = world(2);
    let made = connect_to(&mut world, 0);
    let bob = session(&mut world, made);
    world.reset(made);
    come_back(&mut world, 1, &bob);
    let second = connect_to(&mut world, 0);
    world.events();
    hold(&mut world, 0, 1, 50);
    world.send(second, &resume(&bob));
    world.command(Command::Drain);
    world.advance_ms(500);
    let left = left(&world.events());
    let sessions = left.iter().filter(|it| it.is_some());
    assert_eq!(sessions.count(), 1, "it is there twice");
}

/// A shard that has begun anew hears from a client without the session before it hears from the shard which has it.
#[test]
fn a_shard_that_has_begun_anew_finds_a_session() {
    let mut world = world(3);
    let made = connect_to(&mut world, 0);
    let bob = session(&mut world, made);
    world.reset(made);
    let back = come_back(&mut world, 1, &bob);
    world.request(
        back,
        &json!({"type": "set_metadata", "metadata": {"name": "Bob"}}),
    );
    let second = connect_to(&mut world, 2);
    world.events();
    hold(&mut world, 1, 0, 50);
    world.restart(ShardId(0));
    world.send(second, &resume(&bob));
    world.advance_ms(10);
    let wanted = world.events().into_iter().find_map(|event| match event {
        Event::SessionWanted {
            shard,
            client,
            asked_ms,
        } => Some((shard, client, asked_ms)),
        _ => None,
    });
    let (shard, client, asked_ms) = wanted.expect("it is wanted");
    world.advance_ms(100);
    let session = None;
    world.command(Command::GiveSession {
        shard,
        client,
        asked_ms,
        session,
    });
    world.advance_ms(500);
    let heard = world.all(second);
    // Whatever the second one was told: the session is where it can be found.
    let client = id(&bob);
    let asked_ms = u64::MAX;
    world.events();
    world.command(Command::TakeSession { client, asked_ms });
    world.advance_ms(100);
    let left = left(&world.events());
    assert!(matches!(left[..], [Some(_)]), "{left:?}, heard {heard:?}");
    let _ = all_of(&mut world, back, "closing");
}

/// One that is on its way to the shard which decides about it leaves before the server is drained.
#[test]
fn what_is_on_its_way_leaves_before_the_end() {
    let mut world = world(2);
    let made = connect_to(&mut world, 0);
    let bob = session(&mut world, made);
    world.reset(made);
    let back = come_back(&mut world, 1, &bob);
    world.events();
    hold(&mut world, 1, 0, 50);
    world.reset(back);
    world.command(Command::Drain);
    world.advance_ms(500);
    let events = world.events();
    let drained = events.iter().position(|event| *event == Event::Drained);
    let left = events
        .iter()
        .position(|event| matches!(event, Event::SessionLeft { .. }));
    assert!(left.is_some() && left < drained, "{left:?} {drained:?}");
}

/// How many stories are tried: `ROOMWIRE_LEAVING_SEEDS`.
fn seeds() -> u64 {
    let set = std::env::var("ROOMWIRE_LEAVING_SEEDS").ok();
    set.map_or(50, |set| set.parse().expect("a number of seeds"))
}

/// What the program knows of one session, which a server and its store have in turn.
struct Store {
    session: Value,
    saved: Option<SavedSession>,
    wanted: Vec<(ShardId, ClientId, u64)>,
    asked: usize,
    answered: usize,
    seed: u64,
}

impl Store {
    fn read(&mut self, world: &mut World, fails: bool) {
        for event in world.events() {
            match event {
                Event::SessionWanted {
                    shard,
                    client,
                    asked_ms,
                } => self.wanted.push((shard, client, asked_ms)),
                Event::SessionLeft { session, .. } => {
                    self.answered += 1;
                    if session.is_some() {
                        assert!(fails || self.saved.is_none(), "seed {}: twice", self.seed);
                        self.saved = session;
                    }
                }
                _ => {}
            }
        }
    }
}

/// Whatever happens meanwhile, each that takes a session has one answer, there is one of it, and nothing of it stays
/// behind.
#[test]
fn sessions_come_and_go() {
    for seed in 0..seeds() {
        for fails in [false, true] {
            story(seed, fails);
        }
    }
}

fn story(seed: u64, fails: bool) {
    let mut world = world(3);
    let mut rng = Rng::new(seed);
    let made = connect_to(&mut world, 0);
    let friend = connect_to(&mut world, 1);
    let bob = session(&mut world, made);
    let memory = |world: &World| {
        let servers = world.machine().servers();
        servers
            .map(|server| server.memory().deadlines)
            .sum::<usize>()
    };
    world.driver().machine_mut().set_lag(Lag {
        rng: Rng::new(seed),
        most_us: 20_000,
        stalls_per_mille: 50,
        stall_us: 100_000,
    });
    let mut store = Store {
        session: bob,
        saved: None,
        wanted: Vec::new(),
        asked: 0,
        answered: 0,
        seed,
    };
    let mut peers: Vec<Peer> = vec![made];
    let mut number = 0;
    for _ in 0..120 {
        match rng.below(10) {
            0 | 1 => {
                let shard = rng.below(3) as u8;
                let peer = connect_to(&mut world, shard);
                world.post_json(peer, &resume(&store.session));
                peers.push(peer);
            }
            2 if !peers.is_empty() => {
                let peer = peers.swap_remove(rng.below(peers.len()));
                world.reset(peer);
            }
            3 => {
                let asked_ms = if rng.one_in(4) { 0 } else { u64::MAX };
                let client = id(&store.session);
                store.asked += 1;
                world.command(Command::TakeSession { client, asked_ms });
            }
            4 | 5 if !store.wanted.is_empty() => {
                let (shard, client, asked_ms) = store.wanted.remove(0);
                let session = store.saved.take();
                world.command(Command::GiveSession {
                    shard,
                    client,
                    asked_ms,
                    session,
                });
            }
            6 if fails && rng.one_in(4) => {
                let shard = ShardId(rng.below(3) as u8);
                world.restart(shard);
            }
            7 | 8 => {
                number += 1;
                let to = &store.session["clientId"];
                let send = json!({"type": "private_message", "to": to, "data": number, "messageId": number.to_string()});
                world.post_json(friend, &send);
            }
            _ => world.advance_ms(rng.below(60) as u64),
        }
        store.read(&mut world, fails);
    }
    if rng.one_in(2) {
        // The last of it is told of once.
        world.command(Command::Drain);
        for _ in 0..4 {
            let client = id(&store.session);
            store.asked += 1;
            let asked_ms = u64::MAX;
            world.command(Command::TakeSession { client, asked_ms });
            world.advance_ms(rng.below(60) as u64);
            // One of the drain is no answer.
            for event in world.events() {
                if let Event::SessionLeft { session, .. } = event
                    && session.is_some()
                {
                    assert!(fails || store.saved.is_none(), "seed {seed}: twice");
                    store.saved = session;
                }
            }
        }
        world.advance_ms(30_000);
        store.read(&mut world, fails);
        assert!(fails || store.saved.is_some(), "seed {seed}: it is lost");
        return;
    }
    world.advance_ms(10_000);
    store.read(&mut world, fails);
    if !fails {
        // It is not lost.
        let client = id(&store.session);
        store.asked += 1;
        let asked_ms = u64::MAX;
        world.command(Command::TakeSession { client, asked_ms });
        world.advance_ms(1_000);
        store.read(&mut world, fails);
        assert!(store.saved.is_some(), "seed {seed}: it is lost");
    }
    for peer in peers {
        world.reset(peer);
    }
    world.reset(friend);
    world.advance_ms(2 * WINDOW_MS);
    store.read(&mut world, fails);
    if !fails {
        assert_eq!(store.answered, store.asked, "seed {seed}: answers");
    }
    assert_eq!(memory(&world), 0, "seed {seed} {fails}: something is kept");
    assert_eq!(world.stats().buffered_bytes, 0, "seed {seed} {fails}");
}
