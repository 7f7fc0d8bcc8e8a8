//! Tests of the config file: what it may say, what it may not, and the way back.

use roomwire_core::config::{Compression, Limits, Permission, RoomRule, SlowReader};

use super::*;
use crate::settings::{LogFormat, LogLevel};

fn settings(text: &str) -> Settings {
    parse(text).expect("a valid file").settings
}

fn refused(text: &str) -> (Option<usize>, String) {
    let error = parse(text).expect_err("a file with a mistake");
    (error.line, error.message)
}

#[test]
fn an_empty_file_says_nothing() {
    assert_eq!(settings(""), Settings::default());
}

#[test]
fn every_section_is_read() {
    let settings = settings(
        r#"
        private_messages_need_shared_room = true
        broadcast = "deny"

        [limits]
        max_headers = 32
        [timeouts]
        handshake_ms = 1
        [heartbeat]
        interval_ms = 2
        [compression]
        threshold_bytes = 500
        deny_user_agents = ["curl/*"]
        [rate_limit]
        messages = 3
        [origin]
        allow = ["https://a.example"]
        [drain]
        code = 4000
        [room_names]
        max_bytes = 64
        [[room]]
        pattern = "game-*"
        slow_reader = "drop_oldest"
        [[listener]]
        address = "127.0.0.1:1"
        echo = true
        [[listener]]
        address = "[::1]:2"
        raw_payloads = true
        health = false
        web = false
        page = false
        plain_text = true
        trusted_proxies = ["10.0.0.0/8", "local"]
        proxy_protocol = true
        [log]
        format = "json"
        level = "debug"
        "#,
    );
    let core = &settings.core;
    assert!(core.private_messages_need_shared_room);
    assert_eq!(core.broadcast, Permission::Deny);
    assert_eq!(core.limits.max_headers, 32);
    assert_eq!(core.limits.max_head_bytes, Limits::default().max_head_bytes);
    assert_eq!(core.timeouts.handshake_ms, 1);
    assert_eq!(core.heartbeat.interval_ms, 2);
    let compression = Compression {
        threshold_bytes: 500,
        deny_user_agents: vec!["curl/*".to_owned()],
        ..Compression::default()
    };
    assert_eq!(core.compression, compression);
    assert_eq!(core.rate_limit.messages, 3);
    assert_eq!(core.origin.allow, ["https://a.example"]);
    assert_eq!(core.drain.code, 4_000);
    assert_eq!(core.room_names.max_bytes, 64);
    let room = RoomRule {
        pattern: "game-*".to_owned(),
        slow_reader: SlowReader::DropOldest,
        ..RoomRule::default()
    };
    assert_eq!(core.rooms, [room]);
    let listeners = [
        ListenerSettings {
            address: "127.0.0.1:1".parse().expect("address"),
            tls: false,
            options: ListenerConfig {
                echo: true,
                ..ListenerConfig::default()
            },
        },
        ListenerSettings {
            address: "[::1]:2".parse().expect("address"),
            tls: false,
            options: ListenerConfig {
                raw_payloads: true,
                echo: false,
                health: false,
                web: false,
                page: false,
                plain_text: true,
                trusted_proxies: vec!["10.0.0.0/8".to_owned(), "local".to_owned()],
                proxy_protocol: true,
            },
        },
    ];
    assert_eq!(settings.listeners, listeners);
    assert_eq!(settings.log.format, LogFormat::Json);
    assert_eq!(settings.log.level, LogLevel::Debug);
}

#[test]
fn unknown_keys_are_refused_everywhere_with_line_and_choice() {
    for (text, key) in [
        ("\nlimit = 1", "limit"),
        ("[limits]\nmax_header = 1", "max_header"),
        ("[timeouts]\nhandshake = 1", "handshake"),
        ("[heartbeat]\ninterval = 1", "interval"),
        ("[rate_limit]\nmessage = 1", "message"),
        ("[origin]\nallowed = []", "allowed"),
        ("[drain]\nx = 1", "x"),
        ("[room_names]\nx = 1", "x"),
        ("[[room]]\nx = 1", "x"),
        ("[[listener]]\nport = 1", "port"),
        ("[log]\nlevels = 1", "levels"),
    ] {
        let (line, message) = refused(text);
        assert_eq!(line, Some(2), "{text}");
        let start = format!("unknown field `{key}`, expected ");
        assert!(message.starts_with(&start), "{text}: {message}");
    }
    let (_, message) = refused("listeners = []");
    assert!(message.contains("`listener`"), "{message}");
}

#[test]
fn a_wrong_type_is_named_with_key_value_and_line() {
    let (line, message) = refused("[limits]\n\nmax_headers = \"many\"");
    assert_eq!(line, Some(3));
    assert_eq!(
        message,
        "invalid type: string \"many\", expected usize in `limits.max_headers`"
    );
    let (line, message) = refused("[limits]\nmax_rooms = -1");
    assert_eq!(line, Some(2));
    assert_eq!(
        message,
        "invalid value: integer `-1`, expected u32 in `limits.max_rooms`"
    );
    let (line, message) = refused("[[listener]]\naddress = \"localhost\"");
    assert_eq!(line, Some(2));
    assert!(
        message.contains("allowed is an IP address and a port"),
        "{message}"
    );
    assert!(message.ends_with("in `listener.address`"), "{message}");
    let (line, message) = refused("[log]\nlevel = \"loud\"");
    assert_eq!(line, Some(2));
    assert!(message.contains("`loud`") && message.contains("`warn`"));
}

#[test]
fn what_is_no_toml_is_refused_with_its_line() {
    let (line, message) = refused("[limits]\nmax_headers 1");
    assert_eq!(line, Some(2));
    assert!(!message.contains('\n'), "{message}");
}

#[test]
fn a_preset_fills_what_the_file_leaves_out() {
    let rate = |text: &str| settings(text).core.rate_limit;
    for (name, preset) in [
        ("off", RateLimit::off()),
        ("chat", RateLimit::chat()),
        ("game", RateLimit::game()),
    ] {
        assert_eq!(rate(&format!("rate_limit.preset = \"{name}\"")), preset);
    }
    assert_eq!(
        rate("[rate_limit]\npings = 7\npreset = \"chat\""),
        RateLimit {
            pings: 7,
            ..RateLimit::chat()
        }
    );
}

#[test]
fn an_unknown_preset_is_refused() {
    for value in ["\"fast\"", "1"] {
        assert_eq!(
            refused(&format!("[rate_limit]\npreset = {value}")),
            (
                Some(2),
                format!("rate_limit.preset = {value}: allowed is \"off\", \"chat\" or \"game\"")
            )
        );
    }
}

#[test]
fn a_section_of_the_wrong_type_is_refused() {
    for text in ["rate_limit = 1", "limits = true", "listener = 1", "log = 1"] {
        let (line, message) = refused(text);
        assert_eq!(line, Some(1));
        assert!(message.starts_with("invalid type"), "{text}: {message}");
    }
}

#[test]
fn queue_limits_that_are_set_are_told_apart() {
    let file = parse("[limits]\nmax_queued_bytes = 1").expect("file");
    assert!(file.sets_queued_bytes && !file.sets_buffered_bytes);
    let file = parse("limits.max_buffered_bytes = 1").expect("file");
    assert!(!file.sets_queued_bytes && file.sets_buffered_bytes);
}

#[test]
fn keys_are_found_in_the_text() {
    let text = "\
broadcast = \"allow\"
[limits]
max_headers = 1
[[room]]
[[room]]
pattern = \"x\"
[origin]
allow = [
  \"a\",
  \"b\",
]
";
    assert_eq!(line_of(text, "broadcast"), Some(1));
    assert_eq!(line_of(text, "limits.max_headers"), Some(3));
    assert_eq!(line_of(text, "room[1].pattern"), Some(6));
    assert_eq!(line_of(text, "origin.allow[1]"), Some(10));
    for absent in [
        "room[0].pattern",
        "room[2].pattern",
        "limits.max_rooms",
        "drain.code",
        "broadcast.x",
        "limits[0]",
        "room[x]",
        "",
    ] {
        assert_eq!(line_of(text, absent), None, "{absent}");
    }
}

#[test]
fn what_is_printed_is_read_back() {
    let mut changed = Settings::default();
    changed.core.limits.max_connections = Some(5);
    changed.core.limits.max_buffered_bytes = isize::MAX as usize;
    changed.core.room_names.allowed_punctuation = Some("-_\"'".to_owned());
    changed.core.rooms = vec![RoomRule::default(), RoomRule::default()];
    changed.core.broadcast = Permission::Deny;
    changed
        .listeners
        .push(ListenerSettings::at(([0, 0, 0, 0], 0)));
    changed.listeners[0].options.echo = true;
    changed.log.level = LogLevel::Off;
    for before in [Settings::default(), changed] {
        let text = print(&before).expect("text");
        assert_eq!(settings(&text), before, "{text}");
    }
}

#[cfg(feature = "tls")]
#[test]
fn listeners_that_speak_tls_and_their_certificates_are_read_and_printed() {
    let text = "[[listener]]\naddress = \"tls://127.0.0.1:8443\"\necho = true\n[[listener]]\naddress = \"unix:here\"\n\
        [[certificate]]\ncert = \"one.crt\"\nkey = \"one.key\"";
    let settings = parse(text).expect("right").settings;
    let endpoints = settings
        .listeners
        .iter()
        .map(|l| (l.tls, l.address.to_string()));
    let expected = [(true, "127.0.0.1:8443"), (false, "unix:here")];
    assert!(endpoints.eq(expected.map(|(tls, address)| (tls, address.to_owned()))));
    assert_eq!(settings.certificates.len(), 1);
    let printed = print(&settings).expect("printed");
    assert!(
        printed.contains("address = \"tls://127.0.0.1:8443\""),
        "{printed}"
    );
    assert_eq!(parse(&printed).expect("right").settings, settings);
    let (_, message) = refused("[[certificate]]\ncert = \"one.crt\"");
    assert!(message.contains("key"), "{message}");
}
