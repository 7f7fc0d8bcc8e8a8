//! What a server counts of itself.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use roomwire_core::config::{ListenerConfig, RateLimit, RoomRule, SlowReader};
use roomwire_core::server::Command;
use roomwire_core::{Config, PeerAddr, Stats};
use roomwire_tests::{Opcode, Peer, Upgrade, World, masked};
use serde_json::{Value, json};

use crate::{quiet_world, unlimited};

/// What a step adds: messages received, published and refused, deliveries, messages for one alone.
fn added(world: &mut World, step: impl FnOnce(&mut World)) -> [u64; 5] {
    let counts = |stats: Stats| {
        let Stats {
            received,
            published,
            refused,
            deliveries,
            direct,
            ..
        } = stats;
        [received, published, refused, deliveries, direct]
    };
    let before = counts(world.stats());
    step(world);
    let after = counts(world.stats());
    core::array::from_fn(|at| after[at] - before[at])
}

/// Three clients in a room, one of them alone in another.
fn trio() -> (World, [Peer; 3]) {
    let mut world = quiet_world();
    let clients = [world.connect(), world.connect(), world.connect()];
    for client in clients {
        world.join(client, "tea");
    }
    world.join(clients[0], "den");
    world.forget();
    (world, clients)
}

#[test]
fn every_message_is_counted_where_it_goes() {
    let (mut world, [ada, bob, _]) = trio();
    let to = world.id(bob).to_owned();
    let room = |name: &str| json!({"type": "room_message", "room": name, "data": 1});
    let steps: [(Value, [u64; 5]); 7] = [
        (room("tea"), [1, 1, 0, 2, 1]),
        (room("den"), [1, 1, 0, 0, 1]),
        (room("nowhere"), [1, 0, 1, 0, 1]),
        (json!({"type": "broadcast", "data": 1}), [1, 1, 0, 2, 1]),
        (
            json!({"type": "private_message", "to": to, "data": 1}),
            [1, 0, 0, 0, 2],
        ),
        (
            json!({"type": "typing_start", "room": "tea"}),
            [1, 1, 0, 2, 1],
        ),
        (json!({"type": "leave", "room": "den"}), [1, 0, 0, 0, 1]),
    ];
    for (message, expected) in steps {
        let added = added(&mut world, |world| {
            world.request(ada, &message);
        });
        assert_eq!(added, expected, "{message}");
    }
    // The program's.
    let message = r#"{"type":"news"}"#.to_owned();
    let (room, connection) = ("tea".to_owned(), world.connection(ada));
    let publish = Command::Publish {
        room,
        message: message.clone(),
    };
    let send = Command::Send {
        connection,
        message,
    };
    assert_eq!(added(&mut world, |w| w.command(publish)), [0, 1, 0, 3, 0]);
    assert_eq!(added(&mut world, |w| w.command(send)), [0, 0, 0, 0, 1]);
    let stats = world.stats();
    assert_eq!((stats.time_went_back, stats.unanswered_transmits), (0, 0));
}

#[test]
fn bytes_are_counted_as_they_pass() {
    let (mut world, [ada, ..]) = trio();
    let ping = masked(Opcode::Text, true, br#"{"type":"ping"}"#);
    let before = world.stats();
    world.send_bytes(ada, &ping);
    world.send_bytes(ada, &ping);
    let pong = world.next_text(ada).expect("a pong");
    let after = world.stats();
    let received = after.received_bytes - before.received_bytes;
    assert_eq!(received, 2 * ping.len() as u64);
    let sent = after.sent_bytes - before.sent_bytes;
    assert_eq!(sent, 2 * (2 + pong.len() as u64));
}

#[test]
fn what_waits_and_what_is_given_up_is_counted() {
    let (mut world, [ada, bob, _]) = trio();
    world.dam(bob);
    let message =
        json!({"type": "private_message", "to": world.id(bob), "data": "x".repeat(5_000)});
    assert_eq!(world.stats().buffered_bytes, 0);
    for _ in 0..3 {
        world.send(ada, &message);
    }
    let held = world.stats().buffered_bytes;
    assert!((15_000..40_000).contains(&held), "{held}");
    assert_eq!(world.stats().discarded, 0);
    world.reset(bob);
    let stats = world.stats();
    assert_eq!((stats.buffered_bytes, stats.discarded), (0, 3));
}

#[test]
fn commands_to_nobody_are_counted() {
    let (mut world, [ada, bob, _]) = trio();
    let early = world.knock(&Upgrade::default());
    world.reset(bob);
    for (peer, stale) in [(ada, 0), (early, 1), (bob, 1)] {
        let connection = world.connection(peer);
        let before = world.stats().stale;
        world.command(Command::Send {
            connection,
            message: r#"{"type":"news"}"#.to_owned(),
        });
        assert_eq!(world.stats().stale - before, stale);
    }
}

#[test]
fn what_an_echo_says_is_counted_too() {
    let mut world = World::new(Config {
        listeners: vec![ListenerConfig {
            echo: true,
            ..ListenerConfig::default()
        }],
        ..unlimited()
    });
    let echo = world.knock(&Upgrade {
        path: "/echo",
        ..Upgrade::default()
    });
    for count in 1..4 {
        world.send_text(echo, "hello");
        assert_eq!(world.stats().received, count);
    }
}

#[test]
fn what_a_reader_is_told_that_it_missed_is_a_message_of_its_own() {
    let mut config = unlimited();
    config.limits.max_queued_messages = 10;
    config.rooms = vec![RoomRule {
        slow_reader: SlowReader::DropNewest,
        ..RoomRule::default()
    }];
    let mut world = World::new(config);
    let (speaker, reader) = (world.connect(), world.connect());
    world.join(speaker, "tea");
    world.join(reader, "tea");
    world.dam(reader);
    for number in 0..20 {
        let say = json!({"type": "room_message", "room": "tea", "data": number});
        world.send(speaker, &say);
    }
    assert_eq!(added(&mut world, |w| w.release(reader)), [0, 0, 0, 0, 1]);
}

/// How much one part of the memory has grown.
fn grown(world: &mut World, part: &str, step: impl FnOnce(&mut World)) -> usize {
    let bytes = |world: &mut World| {
        let parts = world.driver().machine().memory().parts();
        let found = parts.into_iter().find(|&(name, _)| name == part);
        found.expect("a part").1
    };
    let before = bytes(world);
    step(world);
    let after = bytes(world);
    assert!(after >= before, "{part}: {before}, {after}");
    after - before
}

#[test]
fn what_few_sessions_have_is_memory() {
    let mut world = quiet_world();
    let client = world.connect();
    let rooms = grown(&mut world, "memberships", |world| {
        for room in 0..10 {
            world.join(client, &format!("room {room}"));
        }
    });
    assert!((11 * 8..1_000).contains(&rooms), "{rooms}");
    let metadata = grown(&mut world, "metadata", |world| {
        world.send(
            client,
            &json!({"type": "set_metadata", "metadata": {"a": 1}}),
        );
    });
    assert_eq!(metadata, r#"{"a":1}"#.len());
    let user = grown(&mut world, "metadata", |world| {
        world.send(client, &json!({"type": "hello", "user": "Ada"}));
    });
    assert_eq!(user, r#""Ada""#.len());
    let typing = grown(&mut world, "notes", |world| {
        for room in 0..5 {
            let room = format!("room {room}");
            world.send(client, &json!({"type": "typing_start", "room": room}));
        }
    });
    assert!((5 * 16..1_000).contains(&typing), "{typing}");
    let connection = world.connection(client);
    world.driver().command(Command::Close {
        connection,
        code: 1000,
        reason: String::new(),
        reconnect_after_ms: None,
    });
    world.settle();
    let notes = world.driver().machine().memory().notes;
    assert!((40..200).contains(&notes), "{notes}");
}

#[test]
fn what_a_reader_missed_is_memory() {
    let mut config = unlimited();
    config.limits.max_queued_messages = 1;
    config.rooms = vec![RoomRule {
        slow_reader: SlowReader::DropNewest,
        ..RoomRule::default()
    }];
    let mut world = World::alone(config);
    let (speaker, reader) = (world.connect(), world.connect());
    world.join(speaker, "tea");
    world.join(reader, "tea");
    world.send(
        reader,
        &json!({"type": "set_metadata", "metadata": {"a": 1}}),
    );
    world.dam(reader);
    let mut missed = 0;
    let drops = grown(&mut world, "outboxes", |world| {
        missed = grown(world, "notes", |world| {
            for number in 0..5 {
                let say = json!({"type": "room_message", "room": "tea", "data": number});
                world.send(speaker, &say);
            }
        });
    });
    assert!(missed >= 24, "{missed}");
    // The list of drops has been looked at, and is kept for the next ones.
    assert!(drops >= 100, "{drops}");
}

#[test]
fn who_is_throttled_is_memory() {
    let mut config = Config::default();
    config.heartbeat.interval_ms = 0;
    config.rate_limit = RateLimit {
        throttle_after: 0,
        ..RateLimit::custom(1, 5_000)
    };
    let mut world = World::alone(config);
    let client = world.connect();
    assert_eq!(world.driver().machine().memory().deadlines, 0);
    let throttled = grown(&mut world, "deadlines", |world| {
        world.send(client, &json!({"type": "hello"}));
        world.send(client, &json!({"type": "hello"}));
    });
    assert_eq!(world.stats().throttled, 1);
    // The deadline, and until when.
    assert!(throttled >= 24 + 16, "{throttled}");
}

#[test]
fn long_addresses_are_memory() {
    let connections = |ip: IpAddr| {
        let mut world = World::alone(Config::default());
        let peer = PeerAddr::Inet(SocketAddr::new(ip, 50_000));
        grown(&mut world, "slots", |world| {
            for _ in 0..10 {
                world.accept(&Upgrade {
                    peer,
                    ..Upgrade::default()
                });
            }
        })
    };
    let short = connections(Ipv4Addr::LOCALHOST.into());
    let long = connections(Ipv6Addr::LOCALHOST.into());
    assert_eq!(long - short, 10 * size_of::<SocketAddrV6>());
}

#[test]
fn the_message_that_a_room_keeps_is_memory_and_goes_with_it() {
    let mut config = unlimited();
    config.rooms = vec![RoomRule {
        slow_reader: SlowReader::Latest,
        ..RoomRule::default()
    }];
    let mut world = World::new(config);
    let (ada, bob) = (world.connect(), world.connect());
    for client in [ada, bob] {
        world.join(client, "tea");
    }
    world.forget();
    let kept = |world: &World| world.stats().buffered_bytes;
    assert_eq!(kept(&world), 0);
    let say = json!({"type": "room_message", "room": "tea", "data": "x".repeat(9_000)});
    world.send(ada, &say);
    assert!((9_000..20_000).contains(&kept(&world)), "{}", kept(&world));
    for client in [ada, bob] {
        world.send(client, &json!({"type": "leave", "room": "tea"}));
    }
    assert_eq!(kept(&world), 0);
}

#[test]
fn what_rooms_keep_is_among_the_buffers() {
    let buffers = |slow_reader| {
        let mut config = unlimited();
        config.rooms = vec![RoomRule {
            slow_reader,
            ..RoomRule::default()
        }];
        let mut world = World::alone(config);
        let (ada, bob) = (world.connect(), world.connect());
        world.join(ada, "tea");
        world.join(bob, "tea");
        let say = json!({"type": "room_message", "room": "tea", "data": "x".repeat(9_000)});
        world.send(ada, &say);
        world.driver().machine().memory().buffers
    };
    let kept = buffers(SlowReader::Latest) - buffers(SlowReader::Close);
    assert!((9_000..20_000).contains(&kept), "{kept}");
}
