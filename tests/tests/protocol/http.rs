//! The HTTP side: health, paths, handshakes that are refused.

use roomwire_core::config::{ListenerConfig, OriginPolicy};
use roomwire_core::{Config, ListenerId};
use roomwire_tests::{Ending, Upgrade, World};
use serde_json::Value;

use crate::on_listener;

/// Sends a plain request; returns the whole response.
fn ask(world: &mut World, upgrade: &Upgrade, request: &str) -> String {
    let client = world.accept(upgrade);
    world.send_bytes(client, request.as_bytes());
    let response = world.client(client).response.clone();
    response.unwrap_or_default()
}

fn get(world: &mut World, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: example.com\r\n\r\n");
    ask(world, &Upgrade::default(), &request)
}

fn body(response: &str) -> &str {
    response.split_once("\r\n\r\n").expect("a whole head").1
}

// covers A3-15, A11-02, A0-11, A14
#[test]
fn health_has_the_four_fields() {
    let mut world = World::default();
    let clients = world.connect_many(3);
    world.join(clients[0], "a");
    world.join(clients[1], "b");
    world.advance_ms(2_490);
    for path in ["/health", "/health/live", "/health/ready", "/health?x=1"] {
        let response = get(&mut world, path);
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
        assert!(
            response.contains("\r\nContent-Type: application/json\r\n"),
            "{response}"
        );
        let health: Value = serde_json::from_str(body(&response)).expect("JSON");
        assert_eq!(health["status"], "healthy");
        assert_eq!(health["clients"], 3);
        assert_eq!(health["rooms"], 2);
        let uptime = health["uptime"].as_f64().expect("seconds");
        assert!((2.7..2.9).contains(&uptime), "{uptime}");
        assert_eq!(health.as_object().map(serde_json::Map::len), Some(4));
    }
}

// covers A3-15
#[test]
fn health_answers_get_and_head_only() {
    let mut world = World::default();
    let head = ask(
        &mut world,
        &Upgrade::default(),
        "HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n",
    );
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(body(&head), "");
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let request = format!("{method} /health HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        let response = ask(&mut world, &Upgrade::default(), &request);
        assert!(response.starts_with("HTTP/1.1 405 "), "{response}");
        assert!(response.contains("\r\nAllow: GET, HEAD\r\n"), "{response}");
    }
}

// covers A3-15, A14
#[test]
fn another_path_is_not_found() {
    let mut world = World::default();
    for path in ["/x", "/health/", "/healthy", "/metrics", "/echo"] {
        let response = get(&mut world, path);
        assert!(response.starts_with("HTTP/1.1 404 "), "{response}");
        assert_eq!(body(&response), "Not found");
    }
}

// covers A3-15, A0-11
#[test]
fn health_can_be_off_on_a_listener() {
    let mut world = World::new(Config {
        listeners: vec![
            ListenerConfig::default(),
            ListenerConfig {
                health: false,
                ..ListenerConfig::default()
            },
        ],
        ..Config::default()
    });
    for path in ["/health", "/health/live", "/health/ready"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        let closed = ask(&mut world, &on_listener(1), &request);
        assert!(closed.starts_with("HTTP/1.1 404 "), "{closed}");
        let open = ask(&mut world, &on_listener(0), &request);
        assert!(open.starts_with("HTTP/1.1 200 "), "{open}");
    }
}

const FILES: [(&str, &str, &str); 3] = [
    (
        "/roomwire.js",
        "text/javascript; charset=utf-8",
        include_str!("../../../core/web/roomwire.js"),
    ),
    (
        "/roomwire.d.ts",
        "application/typescript",
        include_str!("../../../core/web/roomwire.d.ts"),
    ),
    (
        "/roomwire.schema.json",
        "application/schema+json",
        include_str!("../../../core/web/roomwire.schema.json"),
    ),
];

/// A script is sent without its comments, but for those that it begins with; in the types they are part of it.
fn as_sent(text: &str) -> String {
    let comment = |line: &&str| line.trim_start().starts_with("//");
    let head = text.lines().take_while(comment).count();
    let rest = text.split_inclusive('\n').skip(head);
    let head = text.split_inclusive('\n').take(head);
    head.chain(rest.filter(|line| !comment(line))).collect()
}

/// The value of a header field that is there once.
fn field<'a>(response: &'a str, name: &str) -> &'a str {
    let (head, _) = response.split_once("\r\n\r\n").expect("a whole head");
    let mut values = head
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let value = values
        .next()
        .unwrap_or_else(|| panic!("{name} is not in {head}"));
    assert_eq!(values.next(), None, "{name} is there twice in {head}");
    value
}

// covers A3-15
#[test]
fn the_client_for_browsers_is_served_as_it_stands() {
    let mut world = World::default();
    for (path, content_type, text) in FILES {
        let response = get(&mut world, path);
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
        let text = &as_sent(text);
        assert_eq!(body(&response), text);
        for (name, value) in [
            ("Content-Type", content_type),
            ("Content-Length", &text.len().to_string()),
            ("Cache-Control", "no-cache"),
            ("X-Content-Type-Options", "nosniff"),
            ("Access-Control-Allow-Origin", "*"),
        ] {
            assert_eq!(field(&response, name), value, "{path}");
        }
        let head = ask(
            &mut world,
            &Upgrade::default(),
            &format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n"),
        );
        assert_eq!(
            head.split_once("\r\n\r\n"),
            Some((response.split_once("\r\n\r\n").expect("a head").0, ""))
        );
        let post = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        let refused = ask(&mut world, &Upgrade::default(), &post);
        assert!(refused.starts_with("HTTP/1.1 405 "), "{refused}");
        assert_eq!(field(&refused, "Allow"), "GET, HEAD");
    }
}

// covers A3-15
#[test]
fn who_has_the_client_for_browsers_is_told_so() {
    let mut world = World::default();
    let tags = FILES.map(|(path, ..)| field(&get(&mut world, path), "ETag").to_owned());
    assert_ne!(tags[0], tags[1]);
    for ((path, ..), tag) in FILES.iter().zip(&tags) {
        assert!(
            tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2,
            "{tag}"
        );
        for (held, status) in [
            (tag.clone(), 304),
            (format!("W/{tag}"), 304),
            (format!("\"other\", {tag}"), 304),
            ("*".to_owned(), 304),
            ("\"other\"".to_owned(), 200),
            (tag.trim_matches('"').to_owned(), 200),
        ] {
            // A second request shows that the first has no body that is not announced.
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: x\r\nIf-None-Match: {held}\r\n\r\n\
                 GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
            );
            let response = ask(&mut world, &Upgrade::default(), &request);
            assert!(
                response.starts_with(&format!("HTTP/1.1 {status} ")),
                "{held}: {response}"
            );
            assert_eq!(field(&response, "ETag"), *tag);
            if status == 304 {
                assert!(body(&response).starts_with("HTTP/1.1 404 "), "{response}");
                let (head, _) = response.split_once("\r\n\r\n").expect("a head");
                assert!(!head.contains("\r\nContent-"), "{head}");
            }
        }
    }
}

/// The page, and all that it is made of.
const PAGE: [(&str, &str, &str); 8] = [
    (
        "/",
        "text/html; charset=utf-8",
        include_str!("../../../core/web/index.html"),
    ),
    (
        "/page/page.css",
        "text/css; charset=utf-8",
        include_str!("../../../core/web/page/page.css"),
    ),
    (
        "/page/page.js",
        "text/javascript; charset=utf-8",
        include_str!("../../../core/web/page/page.js"),
    ),
    (
        "/page/log.js",
        "text/javascript; charset=utf-8",
        include_str!("../../../core/web/page/log.js"),
    ),
    (
        "/page/files.js",
        "text/javascript; charset=utf-8",
        include_str!("../../../core/web/page/files.js"),
    ),
    (
        "/page/people.js",
        "text/javascript; charset=utf-8",
        include_str!("../../../core/web/page/people.js"),
    ),
    (
        "/page/side.js",
        "text/javascript; charset=utf-8",
        include_str!("../../../core/web/page/side.js"),
    ),
    (
        "/page/icon.svg",
        "image/svg+xml",
        include_str!("../../../core/web/page/icon.svg"),
    ),
];

// covers A3-15
#[test]
fn the_page_is_served_as_it_stands_and_only_to_itself() {
    let mut world = World::default();
    for (path, content_type, text) in PAGE {
        let response = get(&mut world, path);
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
        assert_eq!(body(&response), text);
        assert_eq!(field(&response, "Content-Type"), content_type);
        assert_eq!(field(&response, "Cache-Control"), "no-cache");
        let policy = field(&response, "Content-Security-Policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'; "),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(!response.contains("\r\nAccess-Control-"), "{response}");
        let tag = field(&response, "ETag").to_owned();
        let held = format!("GET {path} HTTP/1.1\r\nHost: x\r\nIf-None-Match: {tag}\r\n\r\n");
        let same = ask(&mut world, &Upgrade::default(), &held);
        assert!(same.starts_with("HTTP/1.1 304 "), "{same}");
        assert_eq!(field(&same, "Content-Security-Policy"), policy);
        let post = format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n");
        let refused = ask(&mut world, &Upgrade::default(), &post);
        assert!(refused.starts_with("HTTP/1.1 405 "), "{refused}");
        assert_eq!(field(&refused, "Allow"), "GET, HEAD");
    }
    // Nothing is written into it, and it names nothing that is not there.
    let (_, _, html) = PAGE[0];
    for banned in ["http:", "https:", "//", " style=", " on"] {
        assert!(!html.contains(banned), "{banned}");
    }
    let named = html.split('"').filter(|text| text.starts_with("page/"));
    for name in named {
        let path = format!("/{name}");
        assert!(PAGE.iter().any(|(there, ..)| *there == path), "{path}");
    }
}

// covers A3-18: whoever has anything of a handshake gets no page
#[test]
fn the_page_is_for_whoever_asks_for_no_websocket() {
    let mut world = World::default();
    for (fields, status) in [
        ("", 200),
        ("Connection: keep-alive\r\nAccept: text/html\r\n", 200),
        ("Upgrade: h2c\r\n", 426),
        ("upgrade: websocket\r\n", 400),
        ("sec-websocket-version: 13\r\n", 426),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", 426),
        ("Sec-Fetch-Mode: navigate\r\n", 200),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
        let response = ask(&mut world, &Upgrade::default(), &request);
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status} ")),
            "{fields}: {response}"
        );
    }
    let client = world.knock(&Upgrade::default());
    assert_eq!(world.client(client).status(), 101);
}

// covers A3-15, A0-11
#[test]
fn the_page_can_be_off_on_a_listener() {
    let none = ListenerConfig {
        page: false,
        ..ListenerConfig::default()
    };
    let without_client = ListenerConfig {
        web: false,
        ..ListenerConfig::default()
    };
    // It could show nothing that is said.
    let bare = ListenerConfig {
        raw_payloads: true,
        ..ListenerConfig::default()
    };
    let mut world = World::new(Config {
        listeners: vec![none, without_client, bare, ListenerConfig::default()],
        ..Config::default()
    });
    for (listener, is_there) in [(0, false), (1, false), (2, false), (3, true)] {
        for (path, ..) in PAGE {
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
            let response = ask(&mut world, &on_listener(listener), &request);
            let status = match (is_there, path) {
                (true, _) => 200,
                (false, "/") => 426,
                (false, _) => 404,
            };
            assert!(
                response.starts_with(&format!("HTTP/1.1 {status} ")),
                "{listener} {path}: {response}"
            );
        }
    }
    let script = get(&mut world, "/roomwire.js");
    assert!(script.starts_with("HTTP/1.1 200 "), "{script}");
}

// covers A3-15, A0-11
#[test]
fn the_client_for_browsers_can_be_off_on_a_listener() {
    let off = ListenerConfig {
        web: false,
        ..ListenerConfig::default()
    };
    let bare = ListenerConfig {
        raw_payloads: true,
        ..ListenerConfig::default()
    };
    let mut world = World::new(Config {
        listeners: vec![off, bare],
        ..Config::default()
    });
    for (path, ..) in FILES {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        for (listener, status) in [(0, 404), (1, 200)] {
            let response = ask(&mut world, &on_listener(listener), &request);
            assert!(
                response.starts_with(&format!("HTTP/1.1 {status} ")),
                "{response}"
            );
        }
    }
    let health = get(&mut world, "/health");
    assert!(health.starts_with("HTTP/1.1 200 "), "{health}");
}

// covers A3-15: many requests in few bytes get no more than a queue holds
#[test]
fn who_asks_for_the_client_again_and_again_is_answered_within_its_queue() {
    let mut world = World::default();
    let client = world.accept(&Upgrade::default());
    let limit = Config::default().limits.max_queued_bytes;
    world.dam(client);
    let request = "GET /roomwire.js HTTP/1.1\r\nHost: x\r\n\r\n";
    let many = limit / as_sent(FILES[0].2).len() + 10;
    world.send_bytes(client, request.repeat(many).as_bytes());
    world.release(client);
    let response = world.client(client).response.clone().expect("responses");
    assert!(response.len() <= limit, "{}", response.len());
    let last = response.rfind("HTTP/1.1 ").expect("a response");
    assert!(
        response[last..].starts_with("HTTP/1.1 503 "),
        "{}",
        &response[last..]
    );
    assert!(response[last..].contains("\r\nConnection: close\r\n"));
}

// covers A3-15
#[test]
fn a_full_server_says_so() {
    let mut world = World::new(Config {
        limits: roomwire_core::config::Limits {
            max_connections: Some(2),
            ..Default::default()
        },
        ..Config::default()
    });
    let client = world.accept(&Upgrade::default());
    world.connect();
    world.send_bytes(client, b"GET /health/ready HTTP/1.1\r\nHost: x\r\n\r\n");
    let response = world.client(client).response.clone().expect("a response");
    assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    assert!(response.contains(r#""status":"overloaded""#), "{response}");
    world.send_bytes(client, b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n");
    let both = world.client(client).response.clone().expect("a response");
    assert!(both.contains(r#""status":"healthy""#), "{both}");
}

// covers A3-18
#[test]
fn the_path_decides_who_is_upgraded() {
    let mut world = World::new(Config {
        listeners: vec![ListenerConfig {
            echo: true,
            ..ListenerConfig::default()
        }],
        ..Config::default()
    });
    for (path, status) in [
        ("/", 101),
        ("/ws", 101),
        ("/ws?token=x", 101),
        ("/echo", 101),
        ("/other", 404),
        ("/ws/", 404),
    ] {
        let client = world.knock(&Upgrade {
            path,
            ..Upgrade::default()
        });
        assert_eq!(world.client(client).status(), status, "{path}");
    }
}

// covers A3-18
#[test]
fn a_bad_handshake_is_refused_with_a_reason() {
    let good = String::from_utf8(Upgrade::default().request()).expect("ASCII");
    let table = [
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400),
        ("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=", 400),
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8", 426),
        ("Upgrade: websocket\r\n", "", 426),
        ("Connection: Upgrade", "Connection: close", 400),
        ("Host: example.com\r\n", "", 400),
        ("GET / ", "POST / ", 405),
        ("HTTP/1.1", "HTTP/1.0", 0),
        ("HTTP/1.1", "HTTP/3.0", 505),
        ("GET / HTTP/1.1", "\u{1}\u{2}", 400),
    ];
    for (from, to, status) in table {
        let mut world = World::default();
        let client = world.accept(&Upgrade::default());
        let request = good.replacen(from, to, 1);
        world.send_bytes(client, request.as_bytes());
        let came = world.client(client).status();
        if status == 0 {
            assert!((400..500).contains(&came), "{from} -> {to}: {came}");
        } else {
            assert_eq!(came, status, "{from} -> {to}");
        }
        assert_eq!(world.stats().refused_requests, 1);
        let connection = world.connection(client);
        if world.driver().pipe(connection).is_finished() {
            let response = world.client(client).response.clone().unwrap_or_default();
            assert!(response.contains("\r\nConnection: close\r\n"), "{response}");
        }
        world.finish(client);
        assert!(world.ending(client).is_some());
    }
}

// covers A3-18: 426 says what would do
#[test]
fn a_plain_request_to_the_websocket_is_told_to_upgrade() {
    let mut world = World::default();
    let response = get(&mut world, "/ws");
    assert!(response.starts_with("HTTP/1.1 426 "), "{response}");
    assert!(
        response.contains("\r\nUpgrade: websocket\r\n"),
        "{response}"
    );
    assert!(
        response.contains("\r\nSec-WebSocket-Version: 13\r\n"),
        "{response}"
    );
}

// covers A3-18
#[test]
fn origins_are_checked_before_the_upgrade() {
    let mut world = World::new(Config {
        origin: OriginPolicy {
            allow: vec!["https://app.example.com".to_owned()],
            ..OriginPolicy::default()
        },
        ..Config::default()
    });
    for (origin, status) in [
        ("", 101),
        ("https://app.example.com", 101),
        ("http://example.com", 101),
        ("http://localhost:3000", 101),
        ("http://127.0.0.1:9", 101),
        ("https://evil.example", 403),
        ("http://app.example.com", 403),
        ("null", 403),
    ] {
        let headers = match origin {
            "" => String::new(),
            origin => format!("Origin: {origin}\r\n"),
        };
        let client = world.knock(&Upgrade {
            headers,
            ..Upgrade::default()
        });
        assert_eq!(world.client(client).status(), status, "{origin}");
    }
}

// covers A3-18
#[test]
fn the_subprotocol_is_chosen_if_it_is_spoken() {
    let mut world = World::default();
    let ask = |world: &mut World, offered: &str| {
        let client = world.knock(&Upgrade {
            headers: format!("Sec-WebSocket-Protocol: {offered}\r\n"),
            ..Upgrade::default()
        });
        assert_eq!(world.client(client).status(), 101);
        world.client(client).response.clone().expect("a response")
    };
    let chosen = ask(&mut world, "chat, roomwire.json.v1");
    assert!(
        chosen.contains("\r\nSec-WebSocket-Protocol: roomwire.json.v1\r\n"),
        "{chosen}"
    );
    let none = ask(&mut world, "chat");
    assert!(!none.contains("Sec-WebSocket-Protocol"), "{none}");
}

// covers A3-15: requests share a connection, in one piece or in many
#[test]
fn requests_share_a_connection() {
    for chunk in [1, 13, usize::MAX] {
        let mut world = World::default();
        world.driver().set_chunk(chunk);
        let client = world.accept(&Upgrade {
            listener: ListenerId(0),
            ..Upgrade::default()
        });
        let mut bytes =
            b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde".to_vec();
        bytes.extend(b"GET /no HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        bytes.extend(b"3\r\nabc\r\n0\r\n\r\n");
        bytes.extend(Upgrade::default().request());
        world.send_bytes(client, &bytes);
        let connection = world.connection(client);
        let all = world.client(client).response.clone().expect("responses");
        assert!(all.starts_with("HTTP/1.1 200 "), "{all}");
        assert!(all.contains("HTTP/1.1 404 "), "{all}");
        assert!(all.contains("HTTP/1.1 101 "), "{all}");
        assert_eq!(world.driver().pipe(connection).ending(), None);
    }
}

// covers A3-15: what asked to be closed is closed
#[test]
fn a_request_can_ask_for_the_end() {
    let mut world = World::default();
    let client = world.accept(&Upgrade::default());
    world.send_bytes(
        client,
        b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(world.client(client).status(), 200);
    let connection = world.connection(client);
    assert!(world.driver().pipe(connection).is_finished());
    world.finish(client);
    assert_eq!(world.ending(client), Some(Ending::Closed));
    world.assert_empty();
}

// covers A3-15: whether the body follows the answer cannot be known
#[test]
fn who_waits_to_be_asked_for_a_body_is_answered_and_closed() {
    for (expects, closes) in [("", false), ("Expect: 100-continue\r\n", true)] {
        let mut world = World::default();
        let client = world.accept(&Upgrade::default());
        let request =
            format!("GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n{expects}\r\n");
        world.send_bytes(client, request.as_bytes());
        let response = world.client(client).response.clone().expect("a response");
        assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
        let told = response.contains("\r\nConnection: close\r\n");
        let connection = world.connection(client);
        let finished = world.driver().pipe(connection).is_finished();
        assert_eq!((told, finished), (closes, closes), "{response}");
    }
}

// covers A3-15: a body that is too large is not waited for
#[test]
fn a_request_whose_body_is_not_read_is_the_last() {
    let mut world = World::default();
    let client = world.accept(&Upgrade::default());
    let request = "GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n";
    world.send_bytes(client, request.as_bytes());
    assert_eq!(world.client(client).status(), 413);
    let response = world.client(client).response.clone().expect("a response");
    assert!(response.contains("\r\nConnection: close\r\n"), "{response}");
    let connection = world.connection(client);
    assert!(world.driver().pipe(connection).is_finished());
}
