//! Connections that begin with a header of the PROXY protocol: who may send one, and whose they are then.

use core::net::{IpAddr, SocketAddr};

use roomwire_core::config::ListenerConfig;
use roomwire_core::server::Event;
use roomwire_core::{Config, PeerAddr};
use roomwire_tests::{Ending, Peer, Upgrade, World};
use serde_json::json;

/// The first listener takes connections of 10.0.0.0/8 and of UNIX sockets, the second is like any other.
fn config() -> Config {
    let proxied = ListenerConfig {
        trusted_proxies: ["10.0.0.0/8", "local"].map(str::to_owned).into(),
        proxy_protocol: true,
        ..ListenerConfig::default()
    };
    Config {
        listeners: vec![proxied, ListenerConfig::default()],
        ..Config::default()
    }
}

fn inet(ip: &str, port: u16) -> PeerAddr {
    let ip: IpAddr = ip.parse().expect("an address");
    PeerAddr::Inet(SocketAddr::new(ip, port))
}

/// The proxy at 10.0.0.1 on behalf of somebody.
fn proxy() -> Upgrade {
    Upgrade {
        peer: inet("10.0.0.1", 40_000),
        ..Upgrade::default()
    }
}

/// Version 1, for a client of either family.
fn line(client: &str, port: u16) -> Vec<u8> {
    let (family, server) = match client.contains(':') {
        true => ("TCP6", "2001:db8::80"),
        false => ("TCP4", "198.51.100.80"),
    };
    format!("PROXY {family} {client} {server} {port} 443\r\n").into_bytes()
}

/// Version 2 with this command and kind, and what follows them.
fn binary(command: u8, kind: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).expect("a short block");
    let head = [&[command, kind][..], &length.to_be_bytes()].concat();
    [b"\r\n\r\n\0\r\nQUIT\n", &head[..], block].concat()
}

/// Version 2: TCP over IPv4 from 203.0.113.7:4711, with an extra that means nothing here.
fn binary_v4() -> Vec<u8> {
    let addresses = [203, 0, 113, 7, 198, 51, 100, 80, 0x12, 0x67, 0x01, 0xBB];
    binary(0x21, 0x11, &[&addresses[..], &[0x04, 0, 2, 0, 0]].concat())
}

/// Nobody in particular: both versions, and a health check.
fn nobody() -> [Vec<u8>; 3] {
    [b"PROXY UNKNOWN\r\n".to_vec(), binary(0x21, 0, &[]), local()]
}

fn local() -> Vec<u8> {
    binary(0x20, 0, &[])
}

/// A connection that begins so, with an upgrade in the same bytes.
fn knock(world: &mut World, upgrade: &Upgrade, header: &[u8]) -> Peer {
    let peer = world.accept(upgrade);
    world.send_bytes(peer, &[header, &upgrade.request()].concat());
    peer
}

/// Where the program hears that the newest client comes from.
fn opened(world: &mut World) -> PeerAddr {
    world.advance_ms(100);
    let events = world.events();
    let mut peers = events.into_iter().filter_map(|event| match event {
        Event::Opened { peer, .. } => Some(peer),
        _ => None,
    });
    peers.next_back().expect("a client")
}

/// The connection was closed, and nothing was said on it.
fn assert_unanswered(world: &World, peer: Peer, why: &str) {
    assert!(world.ending(peer).is_some(), "{why}");
    assert_eq!(world.client(peer).response, None, "{why}");
    assert_eq!(world.stats().sent_bytes, 0, "{why}");
}

// covers A3-06
#[test]
fn a_header_says_whose_connection_it_is() {
    let mut world = World::new(config());
    for (header, client) in [
        (line("203.0.113.7", 4_711), inet("203.0.113.7", 4_711)),
        (line("2001:db8::7", 1), inet("2001:db8::7", 1)),
        (line("::ffff:203.0.113.7", 1), inet("203.0.113.7", 1)),
        (binary_v4(), inet("203.0.113.7", 4_711)),
    ] {
        let whole = knock(&mut world, &proxy(), &header);
        assert_eq!(world.client(whole).status(), 101);
        assert_eq!(opened(&mut world), client);
        let split = world.accept(&proxy());
        for byte in [&header[..], &proxy().request()].concat() {
            assert_eq!(world.client(split).response, None);
            world.send_bytes(split, &[byte]);
        }
        assert_eq!(world.client(split).status(), 101);
        assert_eq!(opened(&mut world), client);
    }
    let unix = Upgrade {
        peer: PeerAddr::Local,
        ..Upgrade::default()
    };
    knock(&mut world, &unix, &line("203.0.113.7", 4_711));
    assert_eq!(opened(&mut world), inet("203.0.113.7", 4_711));
    assert_eq!(world.stats().unproxied, 0);
}

// covers A3-06
#[test]
fn a_header_that_names_nobody_leaves_the_connection_to_the_proxy() {
    let mut world = World::new(config());
    for header in nobody() {
        knock(&mut world, &proxy(), &header);
        assert_eq!(opened(&mut world), proxy().peer);
    }
}

#[test]
fn a_health_check_is_a_connection_of_the_proxys_own() {
    let mut config = config();
    config.limits.max_connections_per_ip = Some(1);
    let mut world = World::new(config);
    for _ in 0..3 {
        let probe = world.accept(&proxy());
        let request = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
        world.send_bytes(probe, &[&local()[..], request].concat());
        assert_eq!(world.client(probe).status(), 200);
        // One header is enough for all that follows.
        world.send_bytes(probe, request);
        assert_eq!(world.ending(probe), None);
        assert_eq!(world.stats().refused_requests, 0);
    }
}

// covers A3-06: where it is asked for, nobody else may connect, and elsewhere nobody may begin so
#[test]
fn only_trusted_proxies_may_say_so() {
    let mut world = World::new(config());
    for stranger in ["203.0.113.9", "127.0.0.1", "2001:db8::1"] {
        let stranger = Upgrade {
            peer: inet(stranger, 1),
            ..Upgrade::default()
        };
        assert!(world.try_accept(&stranger).is_none());
    }
    assert_eq!((world.stats().unproxied, world.stats().accepted), (3, 0));
    for header in [line("203.0.113.7", 1), binary_v4()] {
        let elsewhere = Upgrade {
            peer: proxy().peer,
            ..crate::on_listener(1)
        };
        let refused = knock(&mut world, &elsewhere, &header);
        assert_eq!(world.client(refused).status(), 400);
    }
    assert_eq!(world.stats().unproxied, 3);
}

// covers A3-06
#[test]
fn a_header_that_is_missing_or_malformed_ends_the_connection() {
    for (what, header) in [
        ("none", &b""[..]),
        ("TLS", b"\x16\x03\x01"),
        ("no header", b"PROXY "),
        ("another version", b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0"),
        ("no address", b"PROXY TCP4 client 198.51.100.80 1 2\r\n"),
        (
            "half a line's end",
            b"PROXY TCP4 1.1.1.1 198.51.100.80 1 2\n",
        ),
    ] {
        let mut world = World::new(config());
        let peer = knock(&mut world, &proxy(), header);
        assert_unanswered(&world, peer, what);
        assert_eq!(world.stats().unproxied, 1, "{what}");
        world.assert_empty();
    }
}

// covers A3-06, A3-16
#[test]
fn a_header_has_to_come_in_time() {
    for begun in [&b""[..], b"PROXY TCP4 203.0.113.7", b"\r\n\r\n\0\r\nQUIT\n"] {
        let mut world = World::new(config());
        let peer = world.accept(&proxy());
        world.send_bytes(peer, begun);
        world.advance_ms(9_999);
        assert_eq!(world.ending(peer), None);
        world.advance_ms(1);
        assert_unanswered(&world, peer, "too late");
        assert_eq!(world.stats().unproxied, 1);
        world.assert_empty();
    }
    // The same deadline holds for the request behind it, which is answered.
    let mut world = World::new(config());
    let peer = world.accept(&proxy());
    world.advance_ms(9_000);
    world.send_bytes(peer, &line("203.0.113.7", 1));
    world.advance_ms(999);
    assert_eq!(world.client(peer).response, None);
    world.advance_ms(1);
    assert_eq!(world.client(peer).status(), 408);
    // Who goes before it is there was only looking.
    let looking = world.accept(&proxy());
    world.finish(looking);
    assert_eq!(world.ending(looking), Some(Ending::Closed));
    assert_eq!(world.stats().unproxied, 0);
}

// covers A3-06, A3-16
#[test]
fn connections_are_counted_at_the_address_in_the_header() {
    let mut config = config();
    config.limits.max_connections_per_ip = Some(2);
    let mut world = World::new(config);
    for (count, [first, second, third]) in (1..).zip([
        ["203.0.113.7", "203.0.113.7", "::ffff:203.0.113.7"],
        ["2001:db8::1", "2001:db8::2", "2001:db8:0:0:9::1"],
    ]) {
        let one = world.accept(&proxy());
        world.send_bytes(one, &line(first, 1));
        // It counts before it asks for anything.
        knock(&mut world, &proxy(), &line(second, 1));
        let before = world.stats().sent_bytes;
        let refused = knock(&mut world, &proxy(), &line(third, 1));
        assert!(world.ending(refused).is_some());
        assert_eq!(world.stats().sent_bytes, before);
        assert_eq!(world.stats().refused_addresses, 2 * count - 1);
        world.reset(one);
        let again = knock(&mut world, &proxy(), &line(third, 1));
        assert_eq!(world.client(again).status(), 101);
        let refused = knock(&mut world, &proxy(), &line(first, 1));
        assert!(world.ending(refused).is_some());
    }
    // Proxies have as many as they need: before the header, without a name in it, and their colleagues.
    for _ in 0..5 {
        world.accept(&proxy());
        knock(&mut world, &proxy(), &local());
        knock(&mut world, &proxy(), &line("10.0.0.7", 1));
    }
    assert_eq!(world.stats().refused_addresses, 4);
}

// covers A3-06, A0-6
#[test]
fn each_client_behind_a_proxy_has_the_quota_of_its_own_address() {
    let mut config = config();
    config.rate_limit.messages = 4;
    config.rate_limit.address_factor = 2;
    let mut world = World::new(config);
    for (address, most) in [
        ("203.0.113.7", 4),
        ("203.0.113.7", 4),
        ("203.0.113.7", 0),
        ("203.0.113.8", 4),
    ] {
        let client = knock(&mut world, &proxy(), &line(address, 1));
        world.advance_ms(100);
        world.expect(client, "welcome");
        let said = (0..9)
            .take_while(|_| world.request(client, &json!({"type": "hello"}))["type"] == "ack");
        assert_eq!(said.count(), most, "{address}");
    }
}

// covers A3-06: HTTP names a client further away only where the header names another proxy of ours
#[test]
fn headers_of_http_are_believed_of_a_trusted_proxy_that_the_header_names() {
    let mut world = World::new(config());
    let client = inet("203.0.113.7", 0);
    for (header, said, heard) in [
        // Behind a proxy that understands no HTTP stands one that does.
        (line("10.0.0.7", 1), "203.0.113.7", client),
        (
            line("10.0.0.7", 1),
            "1.1.1.1, 203.0.113.7, 10.0.0.8",
            client,
        ),
        (line("10.0.0.7", 1), "unknown", inet("10.0.0.7", 1)),
        // A client may write what it likes.
        (
            line("203.0.113.9", 1),
            "203.0.113.7",
            inet("203.0.113.9", 1),
        ),
        (binary_v4(), "10.0.0.8", inet("203.0.113.7", 4_711)),
    ] {
        let upgrade = Upgrade {
            headers: format!("X-Forwarded-For: {said}\r\n"),
            ..proxy()
        };
        knock(&mut world, &upgrade, &header);
        assert_eq!(opened(&mut world), heard, "{said}");
    }
    // And so may one of whom the proxy could not say where it is.
    for header in nobody() {
        let upgrade = Upgrade {
            headers: "X-Forwarded-For: 203.0.113.7\r\n".to_owned(),
            ..proxy()
        };
        knock(&mut world, &upgrade, &header);
        assert_eq!(opened(&mut world), proxy().peer);
    }
}

#[test]
fn a_server_that_leaves_drops_who_has_not_said_anything() {
    let mut world = World::new(config());
    let early = world.accept(&proxy());
    world.send_bytes(early, b"PROXY TCP4");
    world.command(roomwire_core::server::Command::Drain);
    assert_unanswered(&world, early, "the server leaves");
    world.assert_empty();
}

#[test]
fn a_server_without_memory_closes_who_is_in_the_middle_of_a_header() {
    let mut config = config();
    config.limits.max_message_bytes = 1_024;
    config.limits.max_queued_bytes = 8 * 1_024;
    config.limits.max_buffered_bytes = 9 * 1_024 + 100;
    let mut world = World::alone(config);
    let half = binary(0x20, 0, &[0; 4_000]);
    let peers: Vec<Peer> = (0..3).map(|_| world.accept(&proxy())).collect();
    for peer in &peers {
        world.send_bytes(*peer, &half[..4_000]);
    }
    let ended: Vec<bool> = peers
        .iter()
        .map(|&peer| world.ending(peer).is_some())
        .collect();
    assert_eq!(ended, [false, false, true]);
    assert_unanswered(&world, peers[2], "no memory");
    assert_eq!(world.stats().unproxied, 0, "the header was in order");
}
