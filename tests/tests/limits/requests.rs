//! Limits on connections and their requests.

use core::net::{IpAddr, SocketAddr};

use roomwire_core::PeerAddr;
use roomwire_tests::{Peer, Upgrade, World};

use crate::only;

fn from(address: &str) -> Upgrade {
    let ip: IpAddr = address.parse().expect("an address");
    Upgrade {
        peer: PeerAddr::Inet(SocketAddr::new(ip, 50_000)),
        ..Upgrade::default()
    }
}

fn status(world: &mut World, request: &[u8]) -> (Peer, u16) {
    let client = world.accept(&Upgrade::default());
    world.send_bytes(client, request);
    (client, world.client(client).status())
}

// covers A3-16: limits.max_connections
#[test]
fn connections() {
    let mut world = World::alone(only(|config| config.limits.max_connections = Some(3)));
    let first = world.connect();
    world.connect();
    world.accept(&Upgrade::default());
    assert!(world.try_accept(&Upgrade::default()).is_none());
    assert_eq!(world.stats().refused_connections, 1);
    world.close(first);
    world.connect();
    assert!(world.try_accept(&Upgrade::default()).is_none());
}

// covers A3-16: limits.max_connections_per_ip
#[test]
fn connections_of_one_address() {
    let mut world = World::alone(only(|config| {
        config.limits.max_connections_per_ip = Some(2);
    }));
    // A host owns a /64; an address in IPv6 clothes is the same; loopback is no exception if it is set.
    let same = [
        ["10.0.0.1", "::ffff:10.0.0.1", "10.0.0.1"],
        ["2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:0:9::"],
        ["127.0.0.1", "127.0.0.1", "127.0.0.1"],
    ];
    for [first, second, third] in same {
        let one = world.accept(&from(first));
        world.accept(&from(second));
        assert!(world.try_accept(&from(third)).is_none(), "{third}");
        world.reset(one);
        world.accept(&from(third));
        assert!(world.try_accept(&from(third)).is_none(), "{third}");
    }
    assert_eq!(world.stats().refused_addresses, 6);
    world.accept(&from("10.0.0.2"));
    world.accept(&from("2001:db8:0:1::1"));
}

// covers A3-16: limits.max_connections_per_ip, its default
#[test]
fn connections_of_one_address_by_default() {
    let mut world = World::alone(only(|config| config.limits.max_connections_per_ip = None));
    for _ in 0..1_024 {
        world.accept(&from("10.0.0.1"));
    }
    assert!(world.try_accept(&from("10.0.0.1")).is_none());
    for _ in 0..1_100 {
        world.accept(&from("127.0.0.1"));
    }
    let local = Upgrade {
        peer: PeerAddr::Local,
        ..Upgrade::default()
    };
    for _ in 0..1_100 {
        world.accept(&local);
    }
}

// covers A3-16: limits.max_head_bytes
#[test]
fn bytes_of_a_head() {
    let request = |bytes: usize| {
        let bare = Upgrade::default().request().len();
        let pad = bytes - bare - "X-Pad: \r\n".len();
        Upgrade {
            headers: format!("X-Pad: {}\r\n", "x".repeat(pad)),
            ..Upgrade::default()
        }
        .request()
    };
    for limit in [1_000, 16 * 1024] {
        let mut world = World::new(only(|config| config.limits.max_head_bytes = limit));
        assert_eq!(status(&mut world, &request(limit)).1, 101);
        assert_eq!(status(&mut world, &request(limit + 1)).1, 431);
        // It does not wait for the end of what is too long.
        let endless = &request(limit * 2)[..=limit];
        assert_eq!(status(&mut world, endless).1, 431);
    }
}

// covers A3-16: limits.max_headers
#[test]
fn header_fields() {
    let request = |count: usize| {
        let headers = (5..count).map(|n| format!("X-{n}: x\r\n")).collect();
        Upgrade {
            headers,
            ..Upgrade::default()
        }
        .request()
    };
    for limit in [7, 64] {
        let mut world = World::new(only(|config| config.limits.max_headers = limit));
        assert_eq!(status(&mut world, &request(limit)).1, 101);
        assert_eq!(status(&mut world, &request(limit + 1)).1, 431);
    }
}

// covers A3-16: limits.max_body_bytes
#[test]
fn bytes_of_a_body() {
    let mut world = World::new(only(|config| config.limits.max_body_bytes = 100));
    let plain = |bytes: usize| {
        let body = "x".repeat(bytes);
        format!("GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: {bytes}\r\n\r\n{body}")
    };
    let (client, code) = status(&mut world, plain(100).as_bytes());
    assert_eq!(code, 200);
    assert_eq!(world.ending(client), None);
    let (client, code) = status(&mut world, plain(101).as_bytes());
    assert_eq!(code, 413);
    let connection = world.connection(client);
    assert!(world.driver().pipe(connection).is_finished());

    // A body in chunks is answered before its size is known: it can only be cut off.
    let chunked = |bytes: usize| {
        let body = "x".repeat(bytes);
        format!(
            "GET /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
             {bytes:x}\r\n{body}\r\n0\r\n\r\n"
        )
    };
    let (client, code) = status(&mut world, chunked(100).as_bytes());
    assert_eq!((code, world.ending(client)), (200, None));
    let (client, code) = status(&mut world, chunked(101).as_bytes());
    assert_eq!(code, 200);
    assert!(world.ending(client).is_some());
}
