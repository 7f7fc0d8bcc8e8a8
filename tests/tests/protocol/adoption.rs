//! Connections that another server has upgraded: served as any other, and answered in WebSocket alone.

use core::net::SocketAddr;

use roomwire_core::config::{RoomRule, SlowReader};
use roomwire_core::http::Status;
use roomwire_core::server::{Command, Event, UpgradeRequest};
use roomwire_core::{Config, Input, ListenerId};
use roomwire_tests::{Ending, Opcode, Upgrade, World, masked};
use serde_json::json;

/// A connection that the other server has upgraded at its own path.
fn adopted() -> Upgrade {
    Upgrade {
        listener: ListenerId::ADOPTED,
        path: "/chat?table=4",
        ..Upgrade::default()
    }
}

fn with_headers(headers: &str) -> Upgrade {
    Upgrade {
        headers: headers.to_owned(),
        ..adopted()
    }
}

fn hello() -> Vec<u8> {
    masked(Opcode::Text, true, br#"{"type":"hello","id":1}"#)
}

// ---- serving

// covers A3-01: the same rooms, and nothing before the welcome
#[test]
fn an_adopted_client_meets_the_others() {
    let mut world = crate::quiet_world();
    let (ada, bob) = (world.connect_as(&adopted()), world.connect());
    let opened = world.events().into_iter().find_map(|event| match event {
        Event::Opened { listener, peer, .. } => Some((listener, peer)),
        _ => None,
    });
    assert_eq!(opened, Some((ListenerId::ADOPTED, adopted().peer)));
    world.join(ada, "tea");
    world.join(bob, "tea");
    world.expect(ada, "member_joined");
    world.send(
        ada,
        &json!({"type": "room_message", "room": "tea", "data": 1}),
    );
    assert_eq!(world.expect(bob, "room_message")["from"], world.id(ada));
    world.close(ada);
    world.expect(bob, "member_left");
    world.close(bob);
    world.settle();
    world.assert_empty();
}

#[test]
fn the_welcome_waits_for_the_client_as_it_always_does() {
    let mut world = World::default();
    let silent = world.knock(&adopted());
    world.advance_ms(99);
    world.expect_nothing(silent);
    world.advance_ms(1);
    world.expect(silent, "welcome");

    let early = world.accept(&adopted());
    world.send_bytes(early, &[adopted().request(), hello()].concat());
    world.expect(early, "welcome");
    assert_eq!(world.expect(early, "ack")["id"], 1);

    let mut config = Config::default();
    config.timeouts.welcome_delay_ms = 0;
    let mut world = World::new(config);
    let at_once = world.knock(&adopted());
    world.expect(at_once, "welcome");
}

/// However the request and the first frame are cut, they are the same.
#[test]
fn requests_may_come_in_pieces() {
    let bytes = [adopted().request(), hello()].concat();
    for cut in 1..bytes.len() {
        let mut world = World::default();
        let client = world.accept(&adopted());
        let (before, after) = bytes.split_at(cut);
        world.send_bytes(client, before);
        if cut <= adopted().request().len() {
            world.expect_nothing(client);
        }
        world.send_bytes(client, after);
        world.expect(client, "welcome");
        world.expect(client, "ack");
    }
    let mut world = World::default();
    let client = world.accept(&adopted());
    for byte in bytes {
        world.send_bytes(client, &[byte]);
    }
    world.expect(client, "welcome");
    world.expect(client, "ack");
}

/// The path is the other server's business, but for that of an echo where there is one.
#[test]
fn every_path_is_that_of_a_client() {
    for path in ["/", "/ws", "/echo", "/health", "/chat", "/a/b?c"] {
        let mut world = World::default();
        world.connect_as(&Upgrade { path, ..adopted() });
        assert_eq!(world.stats().clients, 1, "{path}");
    }
    let mut config = Config::default();
    config.adopted.echo = true;
    let mut world = World::new(config);
    let echo = world.knock(&Upgrade {
        path: "/echo",
        ..adopted()
    });
    world.send_text(echo, "echo");
    assert_eq!(world.next_text(echo).as_deref(), Some("echo"));
    assert_eq!(world.stats().clients, 0);
    world.connect_as(&adopted());
}

// covers A0-10, A3-14
#[test]
fn a_drain_tells_adopted_clients_too() {
    let mut world = World::default();
    let client = world.connect_as(&adopted());
    let late = world.accept(&adopted());
    world.command(Command::Drain);
    assert_eq!(world.expect(client, "closing")["code"], 1012);
    assert_eq!(world.close_frame(client).map(|(code, _)| code), Some(1012));
    assert!(world.ending(late).is_some(), "it has not asked yet");
    assert!(world.try_accept(&adopted()).is_none());
}

#[test]
fn options_of_the_adopted_are_their_own() {
    let mut config = crate::unlimited();
    config.adopted.raw_payloads = true;
    let mut world = World::new(config);
    let (bare, other) = (world.connect_as(&adopted()), world.connect());
    let from = world.connect();
    world.send(from, &json!({"type": "broadcast", "data": [1]}));
    assert_eq!(world.next_text(bare).as_deref(), Some("[1]"));
    world.expect(other, "broadcast");
}

// ---- limits

// covers A3-16
#[test]
fn adopted_connections_count_as_others_do() {
    let mut config = Config::default();
    config.limits.max_connections = Some(2);
    let mut world = World::alone(config);
    world.connect_as(&adopted());
    world.connect();
    assert!(world.try_accept(&adopted()).is_none());
    assert_eq!(world.stats().refused_connections, 1);
}

// covers A3-06: the address of the client, not that of the other server's proxy
#[test]
fn who_is_behind_a_proxy_is_counted_by_address() {
    let mut config = Config::default();
    config.adopted.trusted_proxies = vec!["10.0.0.1".to_owned()];
    config.limits.max_connections_per_ip = Some(1);
    let mut world = World::new(config);
    let proxy: SocketAddr = ([10, 0, 0, 1], 40_000).into();
    let via = |client: &str| Upgrade {
        peer: proxy.into(),
        ..with_headers(&format!("X-Forwarded-For: {client}\r\n"))
    };
    world.connect_as(&via("203.0.113.7"));
    world.connect_as(&via("203.0.113.8"));
    let peers = world.events().into_iter().filter_map(|event| match event {
        Event::Opened { peer, .. } => Some(peer),
        _ => None,
    });
    let peers: Vec<_> = peers.collect();
    let behind = [7, 8].map(|last| SocketAddr::from(([203, 0, 113, last], 0)).into());
    assert_eq!(peers, behind);
    let second = world.knock(&via("203.0.113.7"));
    assert_eq!(
        world.close_frame(second),
        Some((1013, "Too many connections from this address"))
    );
    let contradicting = world.knock(&Upgrade {
        peer: proxy.into(),
        ..with_headers("Forwarded: for=1.1.1.1\r\nX-Forwarded-For: 203.0.113.9\r\n")
    });
    assert_eq!(
        world.close_frame(contradicting).map(|(code, _)| code),
        Some(1008)
    );
    world.reset(second);
    world.reset(contradicting);
    // Elsewhere it is a client like others, and the other listeners' proxies are none of these.
    let direct = Upgrade {
        peer: proxy.into(),
        ..Upgrade::default()
    };
    world.connect_as(&direct);
    assert!(world.try_accept(&direct).is_none());
}

// ---- refusals

/// What the other server should have refused is closed with a reason: `101` has been said.
#[test]
fn a_refusal_is_a_close_frame() {
    let head = |lines: &str| format!("GET /chat HTTP/1.1\r\nHost: a\r\n{lines}\r\n").into_bytes();
    let requests = [
        with_headers("Origin: https://elsewhere.example\r\n").request(),
        head(""),
        head("Upgrade: websocket\r\nConnection: Upgrade\r\n"),
        head("Content-Length: 1000000\r\n"),
        b"POST /chat HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        b"GET /chat HTTP/1.1\r\n\r\n".to_vec(),
        b"GET /chat HTTP/2.0\r\nHost: a\r\n\r\n".to_vec(),
        b"\x81".to_vec(),
        format!("GET /{} HTTP/1.1\r\n", "a".repeat(17_000)).into_bytes(),
    ];
    for request in requests {
        let mut world = World::default();
        let client = world.accept(&adopted());
        world.send_bytes(client, &request);
        let text = String::from_utf8_lossy(&request);
        let (code, reason) = world.close_frame(client).expect("a close frame");
        assert_eq!(code, 1008, "{reason} for {text}");
        assert!(!reason.is_empty(), "{text}");
        assert_eq!(world.stats().refused_requests, 1, "{text}");
        world.expect_nothing(client);
        // It answers, and both let go; what it said meanwhile is for nobody.
        world.send_bytes(client, &hello());
        world.close(client);
        assert_eq!(world.ending(client), Some(Ending::Closed), "{text}");
        world.assert_empty();
    }
}

#[test]
fn who_never_asks_is_closed_in_time() {
    let mut world = World::default();
    let client = world.accept(&adopted());
    world.send_bytes(client, b"GET /chat");
    world.advance_ms(9_999);
    assert_eq!(world.close_frame(client), None);
    world.advance_ms(1);
    assert_eq!(
        world.close_frame(client),
        Some((1008, "The request took too long"))
    );
    // It does not answer either.
    world.advance_ms(5_000);
    assert_eq!(world.ending(client), Some(Ending::Reset));
    world.assert_empty();
}

/// Between the check and the request the server may have begun to leave.
#[test]
fn a_request_that_crosses_a_drain_is_told_to_come_again() {
    let mut world = World::default();
    let client = world.accept(&adopted());
    world.post(client, &adopted().request());
    world.driver().input(Input::Command(Command::Drain));
    world.settle();
    assert_eq!(world.close_frame(client), Some((1013, "Server is leaving")));
    world.finish(client);
    assert!(world.events().contains(&Event::Drained));
    world.assert_empty();
}

/// Or have run out of memory: rooms keep their last messages.
#[test]
fn half_a_request_is_not_kept_by_a_server_that_keeps_too_much() {
    let mut config = crate::unlimited();
    config.limits.max_message_bytes = 10_000;
    config.limits.max_queued_bytes = config.min_queued_bytes();
    config.limits.max_buffered_bytes = config.min_buffered_bytes();
    config.rooms = vec![RoomRule {
        slow_reader: SlowReader::Latest,
        ..RoomRule::default()
    }];
    let limit = config.limits.max_buffered_bytes;
    let mut world = World::alone(config);
    let (ada, bob) = (world.connect(), world.connect());
    let data = "x".repeat(9_000);
    for room in 0..100 {
        if world.stats().buffered_bytes > limit {
            break;
        }
        let room = format!("room {room}");
        world.join(ada, &room);
        world.join(bob, &room);
        world.send(
            ada,
            &json!({"type": "room_message", "room": room, "data": data}),
        );
    }
    let client = world.accept(&adopted());
    world.send_bytes(client, b"GET /chat HTTP/1.1\r\n");
    let expected = (1013, "Server is out of memory");
    assert_eq!(world.close_frame(client), Some(expected));
}

// ---- what the other server asks before

fn headers(lines: &str) -> Vec<(&str, &[u8])> {
    let fields = lines.split_terminator("\r\n");
    let fields = fields.filter_map(|line| line.split_once(": "));
    fields
        .map(|(name, value)| (name, value.as_bytes()))
        .collect()
}

/// The head of a handshake without its request line.
const HANDSHAKE: &str = "Host: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

#[test]
fn the_other_server_learns_what_to_answer() {
    let config = Config::default();
    let request = UpgradeRequest::new("GET", "/chat?a=b", headers(HANDSHAKE));
    let expected = format!("GET /chat?a=b HTTP/1.1\r\n{HANDSHAKE}\r\n");
    assert_eq!(request.as_bytes(), expected.as_bytes());
    let upgrade = request.check(&config).expect("a good handshake");
    let fields: Vec<_> = upgrade.headers().collect();
    let accept = ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let common = [("Upgrade", "websocket"), ("Connection", "Upgrade"), accept];
    assert_eq!(fields, common);

    let offers = format!("{HANDSHAKE}Sec-WebSocket-Protocol: other, roomwire.json.v1\r\n");
    let request = UpgradeRequest::new("GET", "/chat", headers(&offers));
    let upgrade = request.check(&config).expect("a good handshake");
    let last = upgrade.headers().last();
    assert_eq!(last, Some(("Sec-WebSocket-Protocol", "roomwire.json.v1")));
    // What it said, word for word, is what a client of the server itself hears.
    let mut world = World::default();
    let client = world.knock(&Upgrade {
        headers: "Sec-WebSocket-Protocol: other, roomwire.json.v1\r\n".to_owned(),
        ..Upgrade::default()
    });
    let response = world.client(client).response.clone().unwrap_or_default();
    let fields = upgrade
        .headers()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let said: String = fields.collect();
    assert_eq!(
        response,
        format!("HTTP/1.1 101 Switching Protocols\r\n{said}\r\n")
    );
}

/// What is refused before is refused afterwards, and the other way round.
#[test]
fn the_check_and_the_server_agree() {
    let origin = format!("{HANDSHAKE}Origin: https://elsewhere.example\r\n");
    let version = HANDSHAKE.replace("13", "12");
    let many: String = (0..64).map(|n| format!("X-{n}: y\r\n")).collect();
    let many = format!("{HANDSHAKE}{many}");
    let long = "a".repeat(17_000);
    let cases: [(&str, &str, &str, Option<Status>); 12] = [
        ("GET", "/chat", HANDSHAKE, None),
        ("GET", "/", HANDSHAKE, None),
        ("GET", "/chat", &origin, Some(Status::Forbidden)),
        ("GET", "/chat", &version, Some(Status::UpgradeRequired)),
        ("GET", "/chat", "Host: a\r\n", Some(Status::UpgradeRequired)),
        ("GET", "/chat", "", Some(Status::BadRequest)),
        ("GET", "chat", HANDSHAKE, Some(Status::BadRequest)),
        ("GET", "/a b", HANDSHAKE, Some(Status::BadRequest)),
        ("POST", "/chat", HANDSHAKE, Some(Status::MethodNotAllowed)),
        ("BREW", "/chat", HANDSHAKE, Some(Status::NotImplemented)),
        ("GET", "/chat", &many, Some(Status::HeaderFieldsTooLarge)),
        ("GET", &long, HANDSHAKE, Some(Status::HeaderFieldsTooLarge)),
    ];
    for (method, target, lines, refused) in cases {
        let request = UpgradeRequest::new(method, target, headers(lines));
        let checked = request.check(&Config::default());
        let status = checked.as_ref().err().map(|refusal| refusal.status());
        assert_eq!(status, refused, "{method} {target}");
        let mut world = World::default();
        let client = world.accept(&adopted());
        world.send_bytes(client, request.as_bytes());
        let told = world.close_frame(client).map(|(_, reason)| reason);
        assert_eq!(told, checked.as_ref().err().map(|it| it.text()));
    }
}

/// Who can put a line end into a field would otherwise put fields into the request.
#[test]
fn a_line_end_adds_no_line() {
    for evil in ["a\r\nX-Forwarded-For: 1.1.1.1", "a\n\nb", "\r"] {
        let mut fields = headers(HANDSHAKE);
        fields.push(("x-evil", evil.as_bytes()));
        let by_value = UpgradeRequest::new("GET", "/", fields);
        let mut fields = headers(HANDSHAKE);
        fields.push((evil, b""));
        let by_name = UpgradeRequest::new("GET", "/", fields);
        let by_target = UpgradeRequest::new("GET", &format!("/{evil}"), headers(HANDSHAKE));
        let by_method = UpgradeRequest::new(&format!("GET{evil}"), "/", headers(HANDSHAKE));
        for request in [by_value, by_name, by_target, by_method] {
            let refusal = request.check(&Config::default()).expect_err("refused");
            assert_eq!(refusal.status(), Status::BadRequest, "{evil:?}");
            let lines = request.as_bytes().split(|&byte| byte == b'\n').count();
            assert!(lines <= 9, "{request:?}");
        }
    }
}

#[test]
fn a_refusal_says_what_belongs_to_its_status() {
    let check = |method, lines| {
        let request = UpgradeRequest::new(method, "/", headers(lines));
        let refusal = request.check(&Config::default()).expect_err("refused");
        let fields = refusal
            .headers()
            .map(|(name, value)| format!("{name}: {value}"));
        fields.collect::<Vec<_>>()
    };
    assert_eq!(check("POST", HANDSHAKE), ["Allow: GET"]);
    assert_eq!(
        check("GET", "Host: a\r\n"),
        ["Upgrade: websocket", "Sec-WebSocket-Version: 13"]
    );
    assert!(check("GET", "").is_empty());
}
