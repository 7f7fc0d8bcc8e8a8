//! HTTP: health, upgrades that are refused, connections that are shared by requests, proxies.

use roomwire_core::Config;
use roomwire_core::config::ListenerConfig;

use super::{list, usual, with};
use crate::stage::Play;
use crate::stage::play::upgrade;

list! {
    health_is_told: usual,
    health_counts_everybody: usual,
    only_some_methods_are_answered: usual,
    other_paths_are_not_found: two_listeners,
    upgrades_are_refused_with_a_reason: usual,
    what_is_no_request_is_refused: usual,
    pages_of_others_may_not_connect: || with(|config| {
        config.origin.allow = vec!["https://app.example.com".to_owned()];
    }),
    programs_may_not_connect: || with(|config| config.origin.allow_missing = false),
    the_subprotocol_is_chosen: usual,
    requests_share_a_connection: usual,
    requests_come_at_once: usual,
    a_request_may_come_in_pieces: usual,
    a_request_asks_for_the_end: usual,
    bodies_are_not_wanted: || with(|config| config.limits.max_body_bytes = 10),
    a_head_has_its_limits: || with(|config| {
        config.limits.max_head_bytes = 1_000;
        config.limits.max_headers = 8;
    }),
    proxies_tell_whom_they_speak_for: behind_proxies,
    proxies_tell_it_before_everything_else: behind_the_proxy_protocol,
}

fn health_is_told(play: &mut Play<'_>) {
    let web = play.open("web", 0);
    for path in ["/health", "/health/live", "/health/ready", "/health?x=1"] {
        play.ask(web, &format!("GET {path}"), "");
        play.hears(web, "HTTP/1.1 200 OK");
        play.hears(
            web,
            r#"{"status":"healthy","clients":0,"rooms":0,"uptime":<seconds>}"#,
        );
        play.ask(web, &format!("HEAD {path}"), "");
        play.hears(web, "Connection: keep-alive | ");
    }
}

fn health_counts_everybody(play: &mut Play<'_>) {
    let [ada, bob, _] = ["ada", "bob", "eve"].map(|name| play.connect(name));
    play.join(ada, "tea");
    play.join(bob, "milk");
    let web = play.open("web", 0);
    play.ask_until_known(web, "GET /health");
    play.hears(
        web,
        r#"{"status":"healthy","clients":3,"rooms":2,"uptime":<seconds>}"#,
    );
    play.close(bob, 1000, "");
    play.ask_until_known(web, "GET /health/ready");
    play.hears(web, r#""clients":2,"rooms":1"#);
}

fn only_some_methods_are_answered(play: &mut Play<'_>) {
    let web = play.open("web", 0);
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        play.ask(web, &format!("{method} /health"), "Content-Length: 0\r\n");
        play.hears(web, "405 Method Not Allowed");
        play.hears(web, "Allow: GET, HEAD");
    }
    let socket = play.open("socket", 0);
    play.ask(socket, "POST /ws", "Content-Length: 0\r\n");
    play.hears(socket, "405");
}

fn two_listeners() -> Config {
    with(|config| {
        let blind = ListenerConfig {
            health: false,
            ..ListenerConfig::default()
        };
        config.listeners = vec![ListenerConfig::default(), blind];
    })
}

fn other_paths_are_not_found(play: &mut Play<'_>) {
    let web = play.open("web", 0);
    for path in ["/x", "/health/", "/metrics", "/echo", "/ws/", "/../health"] {
        play.ask(web, &format!("GET {path}"), "");
        play.hears(web, "404 Not Found");
        play.hears(web, " | Not found");
    }
    let blind = play.open("blind", 1);
    play.ask(blind, "GET /health", "");
    play.hears(blind, "404");
    let lost = play.connect_at("lost", 0, "/elsewhere", "");
    play.hears(lost, "404");
}

fn upgrades_are_refused_with_a_reason(play: &mut Play<'_>) {
    let good = String::from_utf8(upgrade("/", "")).expect("ASCII");
    for (name, from, to, status) in [
        (
            "no key",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            "",
            "400",
        ),
        ("a short key", "dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=", "400"),
        ("version 8", "Version: 13", "Version: 8", "426"),
        ("no upgrade", "Upgrade: websocket\r\n", "", "426"),
        (
            "no connection",
            "Connection: Upgrade",
            "Connection: close",
            "400",
        ),
        ("no host", "Host: example.com\r\n", "", "400"),
        ("another method", "GET / ", "POST / ", "405"),
        ("HTTP/1.0", "HTTP/1.1", "HTTP/1.0", "400"),
    ] {
        let who = play.open(name, 0);
        play.ask_at_once(who, good.replacen(from, to, 1).as_bytes(), 1);
        play.hears(who, &format!("HTTP/1.1 {status} "));
    }
    let web = play.open("web", 0);
    play.ask(web, "GET /ws", "");
    play.hears(web, "426 Upgrade Required");
    play.hears(web, "Sec-WebSocket-Version: 13");
}

fn what_is_no_request_is_refused(play: &mut Play<'_>) {
    for (name, bytes, status) in [
        ("noise", &b"\x01\x02\x03 nothing\r\n\r\n"[..], "400"),
        ("HTTP/3", b"GET /health HTTP/3.0\r\nHost: x\r\n\r\n", "505"),
        (
            "two hosts",
            b"GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
            "400",
        ),
        (
            "a bad field",
            b"GET /health HTTP/1.1\r\nHost: x\r\nA B: c\r\n\r\n",
            "400",
        ),
        (
            "another coding",
            b"GET /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
            "400",
        ),
        (
            "two codings",
            b"GET /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "501",
        ),
        (
            "an expectation",
            b"GET /health HTTP/1.1\r\nHost: x\r\nExpect: more\r\n\r\n",
            "417",
        ),
    ] {
        let who = play.open(name, 0);
        play.ask_at_once(who, bytes, 1);
        play.hears(who, &format!("HTTP/1.1 {status}"));
        play.hears(who, "Connection: close");
    }
}

fn pages_of_others_may_not_connect(play: &mut Play<'_>) {
    for (origin, status) in [
        ("https://app.example.com", "101"),
        ("http://example.com", "101"),
        ("http://localhost:3000", "101"),
        ("https://evil.example", "403"),
        ("http://app.example.com", "403"),
        ("null", "403"),
    ] {
        let who = play.connect_at(origin, 0, "/", &format!("Origin: {origin}\r\n"));
        play.hears(who, &format!("HTTP/1.1 {status} "));
    }
}

fn programs_may_not_connect(play: &mut Play<'_>) {
    let ada = play.connect("ada");
    play.hears(ada, "403 Forbidden");
    // The connection may be used for another request.
    play.upgrade(ada, "Origin: http://localhost\r\n");
    play.hears(ada, "101 Switching Protocols");
    play.hears(ada, "welcome");
}

fn the_subprotocol_is_chosen(play: &mut Play<'_>) {
    for (name, offered) in [
        ("one", "roomwire.json.v1"),
        ("several", "chat, roomwire.json.v1, other"),
        ("another", "chat"),
    ] {
        let headers = format!("Sec-WebSocket-Protocol: {offered}\r\n");
        let who = play.connect_at(name, 0, "/ws?token=x", &headers);
        play.hears(who, "101 Switching Protocols");
    }
    let ada = play.connect_at(
        "ada",
        0,
        "/",
        "Sec-WebSocket-Extensions: permessage-deflate\r\n",
    );
    play.hears(ada, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

fn requests_share_a_connection(play: &mut Play<'_>) {
    let ada = play.open("ada", 0);
    play.ask(ada, "GET /health", "");
    play.ask(ada, "GET /nowhere", "");
    play.ask(ada, "HEAD /nowhere", "");
    play.upgrade(ada, "");
    play.hears(ada, "101 Switching Protocols");
    play.join(ada, "tea");
    play.hears(ada, "joined_room");
}

fn requests_come_at_once(play: &mut Play<'_>) {
    let ada = play.open("ada", 0);
    let mut bytes = b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde".to_vec();
    bytes.extend(b"GET /no HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    bytes.extend(b"3\r\nabc\r\n0\r\n\r\n");
    bytes.extend(upgrade("/ws", ""));
    play.ask_at_once(ada, &bytes, 3);
    play.hears(ada, "HTTP/1.1 404");
    play.hears(ada, "welcome");
}

fn a_request_may_come_in_pieces(play: &mut Play<'_>) {
    let ada = play.open("ada", 0);
    let bytes = upgrade("/", "X-More: of it\r\n");
    let (last, pieces) = bytes.split_last().expect("a request");
    for piece in pieces.chunks(9) {
        play.bytes(ada, piece);
        play.hears_nothing(ada);
    }
    play.ask_at_once(ada, &[*last], 1);
    play.hears(ada, "101 Switching Protocols");
}

fn a_request_asks_for_the_end(play: &mut Play<'_>) {
    let polite = play.open("polite", 0);
    play.ask(polite, "GET /health", "Connection: close\r\n");
    play.hears(polite, "Connection: close");
    play.hears(polite, "the end");
    let waiting = play.open("waiting", 0);
    play.ask(
        waiting,
        "GET /health",
        "Content-Length: 5\r\nExpect: 100-continue\r\n",
    );
    play.hears(waiting, "the end");
    let old = play.open("old", 0);
    play.ask_at_once(old, b"GET /health HTTP/1.0\r\n\r\n", 1);
    let quiet = play.open("quiet", 0);
    play.finish(quiet);
    play.hears(quiet, "the end");
    let half = play.open("half", 0);
    play.bytes(half, b"GET /health HTTP/1.1\r\nHo");
    play.finish(half);
    play.hears(half, "the end");
}

fn bodies_are_not_wanted(play: &mut Play<'_>) {
    let web = play.open("web", 0);
    play.ask_at_once(
        web,
        b"GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789",
        1,
    );
    play.hears(web, "200 OK");
    play.ask(web, "GET /health", "Content-Length: 11\r\n");
    play.hears(web, "413 Content Too Large");
    play.hears(web, "the end");
}

fn a_head_has_its_limits(play: &mut Play<'_>) {
    let long = play.open("long", 0);
    let pad = "x".repeat(1_000);
    play.ask(long, "GET /health", &format!("X-Pad: {pad}\r\n"));
    play.hears(long, "431 Request Header Fields Too Large");
    play.hears(long, "the end");
    let many = play.open("many", 0);
    let fields: String = (0..8).map(|n| format!("X-{n}: {n}\r\n")).collect();
    play.ask(many, "GET /health", &fields);
    play.hears(many, "431");
    let endless = play.open("endless", 0);
    play.ask_at_once(endless, format!("GET /{pad}").as_bytes(), 1);
    play.hears(endless, "431");
}

fn behind_proxies() -> Config {
    with(|config| {
        config.listeners = vec![ListenerConfig {
            trusted_proxies: vec!["127.0.0.1".to_owned()],
            ..ListenerConfig::default()
        }];
    })
}

fn proxies_tell_whom_they_speak_for(play: &mut Play<'_>) {
    for (name, headers, client) in [
        ("ada", "X-Forwarded-For: 203.0.113.7\r\n", "203.0.113.7"),
        (
            "bob",
            "Forwarded: for=1.1.1.1, for=\"[2001:db8::7]:4711\"\r\n",
            "2001:db8::7",
        ),
        ("eve", "X-Forwarded-For: 1.1.1.1, unknown\r\n", "127.0.0.1"),
    ] {
        play.connect_at(name, 0, "/", headers);
        play.program_hears(&format!("<{name}> opened from {client} "));
    }
    let both = "X-Forwarded-For: 203.0.113.7\r\nForwarded: for=203.0.113.8\r\n";
    let confused = play.connect_at("confused", 0, "/", both);
    play.hears(confused, "400 Bad Request");
}

fn behind_the_proxy_protocol() -> Config {
    with(|config| {
        config.listeners = vec![ListenerConfig {
            trusted_proxies: vec!["127.0.0.1".to_owned()],
            proxy_protocol: true,
            ..ListenerConfig::default()
        }];
    })
}

fn proxies_tell_it_before_everything_else(play: &mut Play<'_>) {
    let header = "PROXY TCP4 203.0.113.7 198.51.100.80 4711 443\r\n";
    let ada = play.open_after("ada", 0, header);
    play.upgrade(ada, "");
    play.hears(ada, "welcome");
    play.program_hears("<ada> opened from 203.0.113.7 ");
    let bob = play.open_after("bob", 0, "PROXY UNKNOWN\r\n");
    play.upgrade(bob, "");
    play.program_hears("<bob> opened from 127.0.0.1 ");
    let web = play.open_after("web", 0, header);
    play.ask(web, "GET /nowhere", "");
    play.hears(web, "404");
    let wrong = play.open_after("wrong", 0, "PROXY TCP4 here there 1 2\r\n");
    play.hears(wrong, "the end");
}
