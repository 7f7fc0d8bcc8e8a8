//! Quotas: what passes at once, what is refused, when it passes again.

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use roomwire_core::config::{RateLimit, RoomRule};
use roomwire_core::server::Command;
use roomwire_core::{Config, Input, PeerAddr};
use roomwire_tests::{Ending, Opcode, Peer, Upgrade, World, masked};
use serde_json::{Value, json};

use crate::{close_code, only};

/// Rate limits with every quota raised, but for those that `lower` lowers.
fn only_rate(lower: impl FnOnce(&mut RateLimit)) -> Config {
    only(|config| {
        config.rate_limit = RateLimit {
            enabled: true,
            messages: 1_000_000,
            per_ms: 1_000,
            address_factor: 100,
            pings: 1_000_000,
            deliveries_per_second: 1_000_000_000,
            refusals: 1_000_000,
            throttle_after: 1_000_000,
        };
        lower(&mut config.rate_limit);
    })
}

fn hello() -> Value {
    json!({"type": "hello"})
}

/// Says hello; `None` if that was admitted, else when it may be tried again.
fn wait(world: &mut World, client: Peer) -> Option<u64> {
    let outcome = world.request(client, &hello());
    if outcome["type"] == "ack" {
        return None;
    }
    assert_eq!(outcome["code"], "rate_limited", "{outcome}");
    outcome["retryAfterMs"].as_u64()
}

fn from(address: &str) -> Upgrade {
    let ip: IpAddr = address.parse().expect("an address");
    Upgrade {
        peer: PeerAddr::Inet(SocketAddr::new(ip, 50_000)),
        ..Upgrade::default()
    }
}

// covers A0-6, A2-08: rate_limit.messages, rate_limit.per_ms
#[test]
fn messages() {
    for (messages, per_ms) in [(3, 3_000), (100, 60_000)] {
        let mut world = World::new(only_rate(|rate| {
            (rate.messages, rate.per_ms) = (messages, per_ms);
        }));
        let client = world.connect();
        for _ in 0..messages {
            assert_eq!(wait(&mut world, client), None);
        }
        let each = per_ms / u64::from(messages);
        assert_eq!(wait(&mut world, client), Some(each));
        world.advance_ms(each - 1);
        assert_eq!(wait(&mut world, client), Some(1));
        // Whoever waits as long as it is told gets through, and one more does not.
        world.advance_ms(1);
        assert_eq!(wait(&mut world, client), None);
        assert_eq!(wait(&mut world, client), Some(each));
        // Each connection has its own.
        let other = world.connect();
        assert_eq!(wait(&mut world, other), None);
        world.advance_ms(per_ms);
        for _ in 0..messages {
            assert_eq!(wait(&mut world, client), None);
        }
        assert_eq!(world.stats().rate_limited, 3);
    }
}

// covers A0-6: rate_limit.address_factor; a reconnect gains nothing
#[test]
fn messages_of_one_address() {
    for (messages, factor) in [(5, 2), (100, 20)] {
        let mut world = World::new(only_rate(|rate| {
            rate.messages = messages;
            rate.per_ms = 60_000_000; // nothing comes back while this runs
            rate.address_factor = factor;
        }));
        for _ in 0..factor {
            let client = world.connect_as(&from("10.0.0.1"));
            for _ in 0..messages {
                assert_eq!(wait(&mut world, client), None);
            }
            world.close(client);
        }
        let again = world.connect_as(&from("10.0.0.1"));
        assert!(wait(&mut world, again).is_some());
        let elsewhere = world.connect_as(&from("10.0.0.2"));
        assert_eq!(wait(&mut world, elsewhere), None);
        // Addresses of one IPv6 host are one.
        for host in 0..factor {
            let client = world.connect_as(&from(&format!("2001:db8::{host}")));
            for _ in 0..messages {
                assert_eq!(wait(&mut world, client), None);
            }
        }
        let client = world.connect_as(&from("2001:db8::ffff"));
        assert!(wait(&mut world, client).is_some());
        let client = world.connect_as(&from("2001:db8:0:1::1"));
        assert_eq!(wait(&mut world, client), None);
    }
}

// covers A0-6: limits.max_idle_addresses
#[test]
fn addresses_that_are_remembered() {
    for limit in [0, 1, 3] {
        let mut config = only_rate(|rate| {
            rate.messages = 2;
            rate.per_ms = 60_000;
            rate.address_factor = 1;
        });
        config.limits.max_idle_addresses = limit;
        let mut world = World::new(config);
        let name = |number: usize| format!("10.0.0.{number}");
        for number in 0..=limit {
            let client = world.connect_as(&from(&name(number)));
            assert_eq!(wait(&mut world, client), None);
            assert_eq!(wait(&mut world, client), None);
            world.close(client);
        }
        // The oldest had to go, the others are remembered.
        for number in (0..=limit).rev() {
            let client = world.connect_as(&from(&name(number)));
            assert_eq!(wait(&mut world, client).is_some(), number > 0, "{number}");
        }
    }
}

// covers A0-6: idle addresses are forgotten when it no longer matters
#[test]
fn addresses_are_forgotten_when_their_quota_is_full() {
    let mut world = World::new(only_rate(|rate| {
        rate.messages = 2;
        rate.per_ms = 60_000;
        rate.address_factor = 1;
    }));
    for number in 0..100 {
        let client = world.connect_as(&from(&format!("10.0.0.{number}")));
        wait(&mut world, client);
        world.close(client);
    }
    world.assert_empty();
    assert!(world.driver().deadline().is_some());
    world.advance_ms(120_000);
    assert_eq!(world.driver().deadline(), None);
}

// covers A0-6: rate_limit.deliveries_per_second
#[test]
fn deliveries() {
    let mut world = World::new(only_rate(|rate| rate.deliveries_per_second = 10));
    let clients = world.connect_many(6);
    for &client in &clients {
        world.join(client, "tea");
        world.advance_ms(1_000);
    }
    let say = json!({"type": "room_message", "room": "tea", "data": 1});
    let all = json!({"type": "broadcast", "data": 1});
    assert_eq!(world.request(clients[0], &say)["type"], "ack");
    assert_eq!(world.request(clients[1], &all)["type"], "ack");
    let refused = world.request(clients[2], &say);
    assert_eq!(refused["code"], "rate_limited");
    assert_eq!(refused["retryAfterMs"], 500);
    // What reaches nobody else is not held up.
    assert_eq!(wait(&mut world, clients[2]), None);
    world.advance_ms(499);
    assert_eq!(world.refused(clients[2], &say), "rate_limited");
    world.advance_ms(1);
    assert_eq!(world.request(clients[2], &say)["type"], "ack");
}

/// Clients in a room, where `deliveries` reach a second and everything else is free; nothing is used up yet.
fn room_of(members: usize, deliveries: u32, notice_members: u32) -> (World, Vec<Peer>) {
    let mut config = only_rate(|rate| rate.deliveries_per_second = deliveries);
    config.rooms = vec![RoomRule {
        notice_members,
        ..RoomRule::default()
    }];
    let mut world = World::alone(config);
    let clients = world.connect_many(members);
    for &client in &clients {
        world.join(client, "tea");
        world.advance_ms(1_000);
    }
    (world, clients)
}

// covers A0-6: notices are deliveries like any other
#[test]
fn notices_cost_what_they_cause() {
    for notice in [
        json!({"type": "typing_start", "room": "tea"}),
        json!({"type": "set_metadata", "metadata": {"name": "ada"}}),
    ] {
        let (mut world, clients) = room_of(3, 5, 100);
        for _ in 0..2 {
            assert_ne!(world.request(clients[0], &notice)["type"], "error");
        }
        assert_eq!(world.refused(clients[0], &notice), "rate_limited");
    }
}

// covers A0-6: a list of a small room costs no delivery
#[test]
fn lists_of_small_rooms_are_free() {
    let (mut world, clients) = room_of(3, 5, 100);
    for _ in 0..20 {
        let list = json!({"type": "members", "room": "tea"});
        assert_eq!(world.request(clients[0], &list)["type"], "members");
    }
    let say = json!({"type": "room_message", "room": "tea", "data": 1});
    assert_eq!(world.request(clients[0], &say)["type"], "ack");
}

// covers A0-6: a page of kept messages costs one delivery for each ten that it may hold
#[test]
fn pages_of_kept_messages_cost_some() {
    let mut config = only_rate(|rate| rate.deliveries_per_second = 25);
    config.limits.max_history_listed = 100;
    config.rooms = vec![RoomRule {
        history_messages: 1,
        ..RoomRule::default()
    }];
    let mut world = World::alone(config);
    let client = world.connect();
    world.join(client, "tea");
    let page = |limit: Option<u32>| json!({"type": "history", "room": "tea", "limit": limit});
    for limit in [None, Some(1_000), Some(50)] {
        assert_eq!(world.request(client, &page(limit))["type"], "history");
    }
    assert_eq!(world.refused(client, &page(Some(10))), "rate_limited");
    assert_eq!(world.request(client, &page(Some(9)))["type"], "history");
}

// covers A0-6: who joins causes a notice to each member, unless the room sums them up
#[test]
fn joins_cost_their_notices() {
    let joins = json!({"type": "join", "room": "tea"});
    let (mut world, _) = room_of(4, 10, 5);
    let newcomers = world.connect_many(3);
    // Four are told of the first, and nobody of the others.
    for &client in &newcomers {
        assert_eq!(world.request(client, &joins)["type"], "joined_room");
    }
    let say = json!({"type": "room_message", "room": "tea", "data": 1});
    assert_eq!(world.request(newcomers[0], &say)["type"], "ack");
    let private = json!({"type": "private_message", "to": world.id(newcomers[1]), "data": 1});
    assert_eq!(world.refused(newcomers[0], &private), "rate_limited");
}

// covers A0-6: no single message costs more than the bucket holds
#[test]
fn a_large_room_can_be_spoken_to() {
    let mut world = World::new(only_rate(|rate| rate.deliveries_per_second = 3));
    let clients = world.connect_many(20);
    for &client in &clients {
        world.join(client, "tea");
        world.advance_ms(1_000);
    }
    let say = json!({"type": "room_message", "room": "tea", "data": 1});
    assert_eq!(world.request(clients[0], &say)["type"], "ack");
    assert_eq!(world.refused(clients[0], &say), "rate_limited");
    world.advance_ms(1_000);
    assert_eq!(world.request(clients[0], &say)["type"], "ack");
}

// covers A1-01: rate_limit.pings
#[test]
fn pings() {
    for limit in [3, 300] {
        let lower = |rate: &mut RateLimit| {
            (rate.pings, rate.per_ms) = (limit, 60_000);
        };
        for opcode in [Opcode::Ping, Opcode::Pong] {
            let mut world = World::new(only_rate(lower));
            let client = world.connect();
            for _ in 0..limit {
                world.send_frame(client, opcode, b"");
            }
            assert_eq!(close_code(&world, client), None);
            world.send_frame(client, opcode, b"");
            assert_eq!(close_code(&world, client), Some(1008));
        }
        let mut world = World::new(only_rate(lower));
        let client = world.connect();
        for _ in 0..limit {
            world.request(client, &json!({"type": "ping"}));
        }
        let refused = world.request(client, &json!({"type": "ping"}));
        assert_eq!(refused["code"], "rate_limited");
        assert_eq!(refused["retryAfterMs"], 60_000 / u64::from(limit));
        assert_eq!(close_code(&world, client), Some(1008));
    }
}

// covers A0-14: rate_limit.refusals
#[test]
fn refusals() {
    for limit in [1, 100] {
        let mut world = World::new(only_rate(|rate| {
            rate.messages = 1;
            rate.refusals = limit;
            rate.per_ms = 60_000;
        }));
        let client = world.connect();
        assert_eq!(wait(&mut world, client), None);
        for _ in 0..limit {
            assert!(wait(&mut world, client).is_some());
        }
        assert_eq!(close_code(&world, client), None);
        world.send(client, &hello());
        world.expect(client, "error");
        assert_eq!(world.expect(client, "closing")["code"], 1008);
        assert_eq!(close_code(&world, client), Some(1008));
    }
}

/// Throttles from the second refusal on; one message a second.
fn throttling() -> Config {
    only_rate(|rate| {
        (rate.messages, rate.per_ms) = (1, 1_000);
        (rate.refusals, rate.throttle_after) = (5, 1);
    })
}

/// Answers to `hello` that have come: `a` for an ack, `r` for a refusal, `p` for a pong, `c` for a goodbye.
fn answers(world: &mut World, client: Peer) -> String {
    let told = world.all(client).into_iter();
    told.map(|message| match message["type"].as_str() {
        Some("ack") => 'a',
        Some("error") => 'r',
        Some("pong") => 'p',
        Some("closing") => 'c',
        _ => panic!("{message}"),
    })
    .collect()
}

// covers A9-05, A0-14: rate_limit.throttle_after
#[test]
fn warned_then_throttled_then_closed() {
    let mut world = World::alone(throttling());
    let client = world.connect();
    for number in 0..20 {
        world.post_json(client, &json!({"type": "hello", "id": number}));
    }
    world.settle();
    assert_eq!(answers(&mut world, client), "arr");
    assert_eq!(world.stats().throttled, 1);
    for _ in 0..3 {
        // Until a whole second has passed nothing happens, and nothing wakes up for it.
        let before = world.driver().now().mono;
        let deadline = world.driver().deadline().expect("a deadline");
        assert_eq!(deadline, before + Duration::from_millis(1_000));
        world.advance_ms(999);
        assert_eq!(answers(&mut world, client), "");
        world.advance_ms(1);
        assert_eq!(answers(&mut world, client), "ar");
    }
    world.advance_ms(1_000);
    assert_eq!(answers(&mut world, client), "arc");
    assert_eq!(close_code(&world, client), Some(1008));
    assert_eq!(world.stats().throttled, 4);
    world.finish(client);
    world.assert_empty();
}

/// A client that is throttled for a second, of which nothing has passed.
fn throttled(world: &mut World) -> Peer {
    let client = world.connect();
    for number in 0..3 {
        world.post_json(client, &json!({"type": "hello", "id": number}));
    }
    world.settle();
    assert_eq!(answers(world, client), "arr");
    client
}

#[test]
fn what_a_throttled_client_sends_waits_and_is_answered_in_its_order() {
    let mut world = World::new(throttling());
    let client = throttled(&mut world);
    let other = world.connect();
    world.send(client, &json!({"type": "ping"}));
    world.send(client, &json!({"type": "hello", "id": 9}));
    world.send_frame(client, Opcode::Ping, b"x");
    assert_eq!(answers(&mut world, client), "");
    // It still hears others.
    world.send(other, &json!({"type": "broadcast", "data": 1}));
    world.expect(client, "broadcast");
    world.advance_ms(1_000);
    assert_eq!(answers(&mut world, client), "pa");
    // Who keeps to its rate from then on is like everybody else.
    for _ in 0..3 {
        world.advance_ms(1_000);
        assert_eq!(wait(&mut world, client), None);
    }
    assert_eq!(world.stats().throttled, 1);
}

#[test]
fn the_ends_of_a_throttled_client() {
    // Its own is read after the wait.
    let mut world = World::new(throttling());
    let client = throttled(&mut world);
    world.send_frame(client, Opcode::Close, &1000_u16.to_be_bytes());
    assert_eq!(close_code(&world, client), None);
    world.advance_ms(1_000);
    assert_eq!(close_code(&world, client), Some(1000));
    // One whose driver hears of it that it has finished writing has nothing left to be kept from.
    let client = throttled(&mut world);
    let connection = world.connection(client);
    world.driver().input(Input::ReadEnd { connection });
    world.settle();
    assert!(world.ending(client).is_some());
    let client = throttled(&mut world);
    world.reset(client);
    // The program's, and the server's.
    let client = throttled(&mut world);
    let connection = world.connection(client);
    world.command(Command::Close {
        connection,
        code: 4_000,
        reason: "enough".to_owned(),
        reconnect_after_ms: None,
    });
    assert_eq!(close_code(&world, client), Some(4_000));
    world.finish(client);
    let client = throttled(&mut world);
    world.command(Command::Drain);
    assert_eq!(close_code(&world, client), Some(1012));
    world.finish(client);
    world.assert_empty();
}

#[test]
fn who_has_finished_writing_is_heard_to_the_end() {
    let mut world = World::alone(throttling());
    let client = world.connect();
    let connection = world.connection(client);
    let hello = masked(Opcode::Text, true, br#"{"type":"hello","id":1}"#);
    // All in one piece: the fourth waits in the server.
    world.send_bytes(client, &hello.repeat(4));
    assert_eq!(answers(&mut world, client), "arr");
    world.driver().input(Input::ReadEnd { connection });
    world.settle();
    assert_eq!(answers(&mut world, client), "rc");
    assert_eq!(world.ending(client), Some(Ending::Closed));
    // Nor is one kept from speaking that has nothing more to say.
    let (client, other) = (world.connect(), world.connect());
    world.join(other, "tea");
    world.driver().input(Input::Command(Command::Publish {
        room: "tea".to_owned(),
        message: format!(r#"{{"type":"news","pad":"{}"}}"#, "x".repeat(300_000)),
    }));
    let connection = world.connection(client);
    world.driver().input(Input::Received {
        connection,
        bytes: &mut hello.repeat(3),
    });
    world.driver().input(Input::ReadEnd { connection });
    world.settle();
    assert_eq!(answers(&mut world, client), "arr");
    assert_eq!(world.ending(client), Some(Ending::Closed));
    assert_eq!(world.stats().throttled, 1);
}

// covers A9-05: while it is not read from, silence proves nothing
#[test]
fn a_throttled_client_is_not_given_up_for_its_silence() {
    let mut config = throttling();
    config.rate_limit.per_ms = 20_000;
    config.heartbeat.interval_ms = 1_000;
    config.heartbeat.timeout_ms = 1_000;
    let mut world = World::new(config);
    let client = throttled(&mut world);
    world.mute(client);
    world.send(client, &json!({"type": "ping"}));
    // It is read again after ten seconds, although it would have to wait for twenty.
    world.advance_ms(9_999);
    assert_eq!(answers(&mut world, client), "");
    world.advance_ms(1);
    assert_eq!(answers(&mut world, client), "p");
    assert_eq!(world.stats().timeouts, 0);
    world.advance_ms(2_000);
    assert_eq!(world.stats().timeouts, 1);
}

// covers A0-6: rate_limit.enabled
#[test]
fn nothing_is_limited_when_it_is_off() {
    let mut world = World::new(only(|config| {
        config.rate_limit = RateLimit {
            messages: 1,
            pings: 1,
            refusals: 1,
            deliveries_per_second: 1,
            address_factor: 1,
            ..RateLimit::off()
        };
    }));
    let (client, other) = (world.connect(), world.connect());
    for _ in 0..1_000 {
        assert_eq!(wait(&mut world, client), None);
        world.send_frame(client, Opcode::Ping, b"");
        world.send(client, &json!({"type": "broadcast", "data": 1}));
    }
    assert_eq!(world.all(other).len(), 1_000);
    assert_eq!(close_code(&world, client), None);
}

// covers A0-6: the presets raise them
#[test]
fn presets_allow_more() {
    for (rate, messages) in [(RateLimit::chat(), 600), (RateLimit::game(), 1_200)] {
        let mut world = World::new(only(|config| config.rate_limit = rate));
        let client = world.connect();
        for _ in 0..messages {
            assert_eq!(wait(&mut world, client), None);
        }
        assert!(wait(&mut world, client).is_some());
    }
}
