//! What is refused before it is a session gets its status, loses its connection, and is told of once per kind and minute.

use roomwire_core::config::ListenerConfig;
use roomwire_core::http::Status;
use roomwire_core::server::{Command, Event, Refused};
use roomwire_core::{Config, PeerAddr};
use roomwire_tests::{Ending, Peer, Upgrade, World};

const GOOD: &[u8] = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n";

/// The far end of the `number`-th stranger.
fn stranger(number: u16) -> PeerAddr {
    let [high, low] = number.to_be_bytes();
    PeerAddr::Inet(([10, 0, high, low], 1_000).into())
}

fn come(world: &mut World, number: u16) -> Peer {
    world.accept(&Upgrade {
        peer: stranger(number),
        ..Upgrade::default()
    })
}

fn told(world: &mut World) -> Vec<(Refused, u64, PeerAddr)> {
    let events = world.events().into_iter();
    let refused = events.filter_map(|event| match event {
        Event::Refused { kind, count, peer } => Some((kind, count, peer)),
        _ => None,
    });
    refused.collect()
}

// covers A3-16
#[test]
fn a_flood_of_one_kind_is_told_once_a_minute() {
    let mut world = World::alone(Config::default());
    let kind = Refused::Request(Status::BadRequest);
    for number in 0..1_000 {
        let client = come(&mut world, number);
        world.send_bytes(client, b"\0");
        assert_eq!(world.client(client).status(), 400);
        world.finish(client);
        assert_eq!(world.ending(client), Some(Ending::Closed));
    }
    assert_eq!(told(&mut world), [(kind, 1, stranger(0))]);
    world.advance_ms(59_999);
    assert_eq!(told(&mut world), []);
    world.advance_ms(1);
    assert_eq!(told(&mut world), [(kind, 999, stranger(999))]);
    assert_eq!(world.stats().refused_requests, 1_000);
    world.assert_empty();

    // A quiet minute, and the next one is news again.
    world.advance_ms(60_000);
    assert_eq!(
        (told(&mut world), world.driver().deadline()),
        (vec![], None)
    );
    let client = come(&mut world, 7);
    world.send_bytes(client, b"\0");
    assert_eq!(told(&mut world), [(kind, 1, stranger(7))]);
}

// covers A3-16: nothing stays untold
#[test]
fn what_is_untold_is_told_before_the_end() {
    let mut world = World::alone(Config::default());
    for number in 0..10 {
        let client = come(&mut world, number);
        world.send_bytes(client, b"\0");
        world.finish(client);
    }
    let kind = Refused::Request(Status::BadRequest);
    assert_eq!(told(&mut world), [(kind, 1, stranger(0))]);
    world.command(Command::Drain);
    let rest = Event::Refused {
        kind,
        count: 9,
        peer: stranger(9),
    };
    assert_eq!(world.events(), [rest, Event::Drained]);
}

// covers A3-16: those that come while nobody polls are one event
#[test]
fn what_is_refused_at_once_is_told_at_once() {
    let mut world = World::alone(Config::default());
    for number in 0..10 {
        let client = come(&mut world, number);
        world.post(client, b"\0");
    }
    world.settle();
    let kind = Refused::Request(Status::BadRequest);
    assert_eq!(told(&mut world), [(kind, 10, stranger(9))]);
}

// covers A3-16
#[test]
fn each_kind_is_told_apart() {
    let long = [b"GET /".as_slice(), &[b'a'; 20_000]].concat();
    let table: [(&[u8], Status, bool); 8] = [
        (b"GET / HTTP/1.1\r\n\r\n", Status::BadRequest, true),
        (
            b"GET /no HTTP/1.1\r\nHost: x\r\n\r\n",
            Status::NotFound,
            false,
        ),
        (
            b"PUT /health HTTP/1.1\r\nHost: x\r\n\r\n",
            Status::MethodNotAllowed,
            false,
        ),
        (
            b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n",
            Status::UpgradeRequired,
            false,
        ),
        (
            b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
            Status::NotImplemented,
            true,
        ),
        (
            b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
            Status::VersionNotSupported,
            true,
        ),
        (&long, Status::HeaderFieldsTooLarge, true),
        (
            b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n",
            Status::ContentTooLarge,
            true,
        ),
    ];
    let mut world = World::alone(Config::default());
    for (request, status, closes) in table {
        for number in 0..3 {
            let client = come(&mut world, number);
            world.send_bytes(client, request);
            assert_eq!(world.client(client).status(), status.code());
            let connection = world.connection(client);
            assert_eq!(
                world.driver().pipe(connection).is_finished(),
                closes,
                "{status:?}"
            );
        }
        let kind = Refused::Request(status);
        assert_eq!(told(&mut world), [(kind, 1, stranger(0))]);
    }
    // Those that were kept have idled since, which is no offence.
    world.advance_ms(60_000);
    let rest = told(&mut world);
    assert!(rest.iter().all(|(_, count, _)| *count == 2), "{rest:?}");
    assert_eq!(rest.len(), table.len());
}

// covers A3-16: a head that never ends
#[test]
fn slow_heads_are_told_of() {
    let mut world = World::alone(Config::default());
    let clients: Vec<_> = (0..100).map(|number| come(&mut world, number)).collect();
    for second in 0..10 {
        for &client in &clients {
            world.send_bytes(client, &GOOD[second..=second]);
            assert_eq!(world.client(client).status(), 0);
        }
        world.advance_ms(1_000);
    }
    for &client in &clients {
        assert_eq!(world.client(client).status(), 408);
        world.finish(client);
        assert_eq!(world.ending(client), Some(Ending::Closed));
    }
    let first = told(&mut world);
    world.advance_ms(60_000);
    let all = [first, told(&mut world)].concat();
    let late = Refused::Request(Status::RequestTimeout);
    assert!(all.iter().all(|(kind, ..)| *kind == late), "{all:?}");
    let count: u64 = all.iter().map(|(_, count, _)| count).sum();
    assert_eq!((count, world.stats().refused_requests), (100, 100));
    world.assert_empty();
}

// covers A3-16: who says nothing between two requests, or drips a body, has been answered: it is closed, and no news
#[test]
fn idle_connections_are_closed_quietly() {
    let mut world = World::alone(Config::default());
    let idle = come(&mut world, 1);
    world.send_bytes(idle, GOOD);
    let slow = come(&mut world, 2);
    world.send_bytes(
        slow,
        b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n",
    );
    for _ in 0..15 {
        assert_eq!((world.ending(idle), world.ending(slow)), (None, None));
        world.send_bytes(slow, b"x");
        world.advance_ms(1_000);
    }
    for client in [idle, slow] {
        assert_eq!(world.client(client).status(), 200);
        assert_eq!(world.ending(client), Some(Ending::Closed));
    }
    assert_eq!(told(&mut world), []);
    world.assert_empty();
}

// covers A3-16: nobody is there to be answered, as the answer has been given
#[test]
fn a_malformed_body_is_told_of() {
    let mut world = World::alone(Config::default());
    let client = come(&mut world, 1);
    let head = b"GET /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    world.send_bytes(client, head);
    assert_eq!(told(&mut world), []);
    world.send_bytes(client, b"x\r\n");
    assert_eq!(world.client(client).status(), 200);
    assert_eq!(world.ending(client), Some(Ending::Closed));
    let kind = Refused::Request(Status::BadRequest);
    assert_eq!(told(&mut world), [(kind, 1, stranger(1))]);
    assert_eq!(world.stats().refused_requests, 1);
}

// covers A3-16: connections of one address, of too many, and of who is no proxy
#[test]
fn floods_of_connections_are_told_of() {
    let mut config = Config::default();
    config.limits.max_connections = Some(20);
    config.limits.max_connections_per_ip = Some(10);
    let mut world = World::alone(config);
    let knock = |world: &mut World, number: u16| {
        let peer = stranger(number);
        let upgrade = Upgrade {
            peer,
            ..Upgrade::default()
        };
        world.try_accept(&upgrade).is_some()
    };
    let taken = (0..1_000).filter(|_| knock(&mut world, 1)).count();
    world.settle();
    assert_eq!((taken, world.stats().refused_addresses), (10, 990));
    assert_eq!(told(&mut world), [(Refused::Address, 990, stranger(1))]);
    let taken = (2..1_000)
        .filter(|&number| knock(&mut world, number))
        .count();
    world.settle();
    assert_eq!((taken, world.stats().refused_connections), (10, 988));
    assert_eq!(told(&mut world), [(Refused::Full, 988, stranger(999))]);

    let mut world = World::alone(Config {
        listeners: vec![ListenerConfig {
            proxy_protocol: true,
            trusted_proxies: vec!["10.0.0.9".to_owned()],
            ..ListenerConfig::default()
        }],
        ..Config::default()
    });
    let taken = (10..30).filter(|&number| knock(&mut world, number)).count();
    world.settle();
    assert_eq!((taken, world.stats().unproxied), (0, 20));
    assert_eq!(told(&mut world), [(Refused::Unproxied, 20, stranger(29))]);
    let proxy = come(&mut world, 9);
    world.send_bytes(proxy, GOOD);
    assert!(world.ending(proxy).is_some());
    world.advance_ms(60_000);
    assert_eq!(told(&mut world), [(Refused::Unproxied, 1, stranger(9))]);
}
