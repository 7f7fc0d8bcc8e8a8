//! Clients behind a proxy: whose address counts, and who may say so.

use core::net::{IpAddr, SocketAddr};

use roomwire_core::config::{ListenerConfig, RateLimit};
use roomwire_core::server::Event;
use roomwire_core::{Config, PeerAddr};
use roomwire_tests::{Peer, Upgrade, World};
use serde_json::json;

/// 10.0.0.0/8, loopback and UNIX sockets are proxies of the first listener; the second has none.
fn config() -> Config {
    let trusted = ["10.0.0.0/8", "::1", "local"];
    Config {
        listeners: vec![
            ListenerConfig {
                trusted_proxies: trusted.map(str::to_owned).into(),
                ..ListenerConfig::default()
            },
            ListenerConfig::default(),
        ],
        ..Config::default()
    }
}

fn inet(ip: &str, port: u16) -> PeerAddr {
    let ip: IpAddr = ip.parse().expect("an address");
    PeerAddr::Inet(SocketAddr::new(ip, port))
}

/// An upgrade over the proxy at 10.0.0.1 with these headers.
fn via(headers: &str) -> Upgrade {
    Upgrade {
        peer: inet("10.0.0.1", 40_000),
        headers: headers.to_owned(),
        ..Upgrade::default()
    }
}

fn for_client(client: &str) -> Upgrade {
    via(&format!("X-Forwarded-For: {client}\r\n"))
}

/// Where the program hears that the newest client comes from.
fn opened(world: &mut World) -> PeerAddr {
    let events = world.events();
    let mut peers = events.into_iter().filter_map(|event| match event {
        Event::Opened { peer, .. } => Some(peer),
        _ => None,
    });
    peers.next_back().expect("a client")
}

/// How many times a client may say hello before it is told to wait; at most `most`.
fn allowance(world: &mut World, client: Peer, most: usize) -> usize {
    let admitted = |_: &usize| world.request(client, &json!({"type": "hello"}))["type"] == "ack";
    (0..most).take_while(admitted).count()
}

// covers A3-06
#[test]
fn a_trusted_proxy_tells_the_address_of_a_client() {
    let mut world = World::new(config());
    for (peer, headers, client) in [
        (
            "10.0.0.1",
            "X-Forwarded-For: 203.0.113.7\r\n",
            inet("203.0.113.7", 0),
        ),
        (
            "::ffff:10.0.0.1",
            "Forwarded: for=203.0.113.7\r\n",
            inet("203.0.113.7", 0),
        ),
        (
            "::1",
            "Forwarded: for=1.1.1.1, for=\"[2001:db8::7]:4711\"\r\nForwarded: for=10.3.2.1\r\n",
            inet("2001:db8::7", 4_711),
        ),
        // Nothing that can be believed: the proxy is the client.
        ("10.0.0.1", "", inet("10.0.0.1", 40_000)),
        (
            "10.0.0.1",
            "X-Forwarded-For: 1.1.1.1, unknown\r\n",
            inet("10.0.0.1", 40_000),
        ),
        (
            "10.0.0.1",
            "X-Forwarded-For: 1.1.1.1, who, 10.0.0.2\r\n",
            inet("10.0.0.2", 0),
        ),
    ] {
        world.connect_as(&Upgrade {
            peer: inet(peer, 40_000),
            ..via(headers)
        });
        assert_eq!(opened(&mut world), client, "{peer} {headers}");
    }
    world.connect_as(&Upgrade {
        peer: PeerAddr::Local,
        ..for_client("203.0.113.7")
    });
    assert_eq!(opened(&mut world), inet("203.0.113.7", 0));
}

// covers A3-06: whoever is no proxy of this listener tells nothing
#[test]
fn nobody_else_is_believed() {
    let mut world = World::new(config());
    for (peer, listener) in [
        (inet("203.0.113.9", 1), 0),
        (inet("127.0.0.1", 1), 0),
        (inet("10.0.0.1", 1), 1),
        (PeerAddr::Local, 1),
    ] {
        for header in [
            "X-Forwarded-For: 203.0.113.7\r\n",
            "Forwarded: for=203.0.113.7\r\n",
            "Forwarded: \"\r\n",
        ] {
            world.connect_as(&Upgrade {
                peer,
                headers: header.to_owned(),
                ..crate::on_listener(listener)
            });
            assert_eq!(opened(&mut world), peer, "{header}");
        }
    }
}

#[test]
fn headers_that_contradict_each_other_are_refused() {
    let mut world = World::new(config());
    for headers in [
        "Forwarded: for=1.1.1.1\r\nX-Forwarded-For: 203.0.113.7\r\n",
        "Forwarded: for=\"\r\n",
    ] {
        let client = world.knock(&via(headers));
        assert_eq!(world.client(client).status(), 400, "{headers}");
    }
    // A request that is no upgrade is nobody's in particular.
    let probe = world.accept(&via(""));
    world.send_bytes(
        probe,
        b"GET /health HTTP/1.1\r\nHost: a\r\nForwarded: for=1.1.1.1\r\nX-Forwarded-For: 1.1.1.2\r\n\r\n",
    );
    assert_eq!(world.client(probe).status(), 200);
}

// covers A3-06, A0-6: clients behind one proxy share nothing, connections of one client share its address's bucket
#[test]
fn each_client_behind_a_proxy_has_the_quota_of_its_own_address() {
    let mut world = World::new(Config {
        rate_limit: RateLimit {
            messages: 4,
            address_factor: 2,
            ..RateLimit::default()
        },
        ..config()
    });
    // Two connections of one address (IPv6: of one /64) empty its bucket of eight, and a third gets nothing.
    for [first, second, third, other] in [
        [
            "203.0.113.7",
            "::ffff:203.0.113.7",
            "203.0.113.7:99",
            "203.0.113.8",
        ],
        [
            "2001:db8::1",
            "[2001:db8::2]",
            "2001:db8:0:0:9::1",
            "2001:db8:0:1::1",
        ],
    ] {
        for (address, count) in [(first, 4), (second, 4), (third, 0), (other, 4)] {
            let client = world.connect_as(&for_client(address));
            assert_eq!(allowance(&mut world, client, 9), count, "{address}");
        }
    }
    // The bucket outlives its connections, whichever proxy they come through.
    let again = world.connect_as(&Upgrade {
        peer: inet("10.9.9.9", 1),
        ..for_client("203.0.113.7")
    });
    assert_eq!(allowance(&mut world, again, 9), 0);
    // What the clients said was never charged to the proxy.
    let proxy = world.connect_as(&via(""));
    assert_eq!(allowance(&mut world, proxy, 9), 4);
}

// covers A3-06, A3-16
#[test]
fn connections_are_counted_at_the_clients_address() {
    let mut config = config();
    config.limits.max_connections_per_ip = Some(2);
    let mut world = World::new(config);
    for [first, second, third] in [
        ["203.0.113.7", "203.0.113.7", "::ffff:203.0.113.7"],
        ["2001:db8::1", "2001:db8::2", "2001:db8:0:0:9::1"],
    ] {
        let one = world.connect_as(&for_client(first));
        world.connect_as(&for_client(second));
        let third = for_client(third);
        let refused = world.knock(&third);
        assert_eq!(world.client(refused).status(), 503);
        let response = world.client(refused).response.clone().unwrap_or_default();
        assert!(response.contains("\r\nRetry-After: 1\r\n"), "{response}");
        world.reset(one);
        world.connect_as(&third);
        let refused = world.knock(&third);
        assert_eq!(world.client(refused).status(), 503);
        // The same client past the proxy is no better off.
        if let PeerAddr::Inet(direct) = inet(first, 1) {
            assert!(
                world
                    .try_accept(&Upgrade {
                        peer: direct.into(),
                        ..Upgrade::default()
                    })
                    .is_none()
            );
        }
    }
    assert_eq!(world.stats().refused_addresses, 6);
    // The proxy itself has as many as it needs, also before it says for whom, and so have its colleagues.
    for _ in 0..5 {
        world.accept(&via(""));
        world.connect_as(&via(""));
        world.connect_as(&for_client("10.0.0.7"));
    }
    // Where it is not trusted, it is like everybody else.
    let untrusted = Upgrade {
        peer: inet("10.7.7.7", 1),
        ..crate::on_listener(1)
    };
    world.connect_as(&untrusted);
    world.connect_as(&untrusted);
    assert!(world.try_accept(&untrusted).is_none());
}

// covers A3-06: a proxy may send the requests of many clients down one connection
#[test]
fn the_upgrade_says_whose_connection_it_is() {
    let mut config = config();
    config.limits.max_connections_per_ip = Some(1);
    let mut world = World::new(config);
    let probes = world.accept(&via(""));
    for client in ["203.0.113.1", "203.0.113.2", "nobody"] {
        let request =
            format!("GET /health HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {client}\r\n\r\n");
        world.send_bytes(probes, request.as_bytes());
        assert_eq!(world.client(probes).status(), 200);
    }
    world.send_bytes(probes, &for_client("203.0.113.3").request());
    world.advance_ms(100);
    assert_eq!(opened(&mut world), inet("203.0.113.3", 0));
    // Those before it have left no trace.
    world.connect_as(&for_client("203.0.113.1"));
    world.connect_as(&for_client("203.0.113.2"));
    let second = world.knock(&for_client("203.0.113.3"));
    assert_eq!(world.client(second).status(), 503);
}
