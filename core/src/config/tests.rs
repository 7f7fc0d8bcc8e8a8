//! Every bound of the config, at the limit and one past it, and the rules between fields.

use super::*;

const DAY_30_MS: u64 = 2_592_000_000;

/// The error of a default config that was changed.
fn error(change: impl FnOnce(&mut Config)) -> Option<ConfigError> {
    let mut config = Config::default();
    change(&mut config);
    config.validate().err()
}

fn key(change: impl FnOnce(&mut Config)) -> Option<String> {
    error(change).map(|e| e.key)
}

/// `$field` takes every value listed first and none listed second; a refusal names it.
macro_rules! bounds {
    ($($section:ident.$field:ident: [$($good:expr),*] not [$($bad:expr),*];)*) => {$(
        let name = concat!(stringify!($section), ".", stringify!($field));
        $(assert_eq!(key(|c| c.$section.$field = $good), None, "{name} = {}", stringify!($good));)*
        $(assert_eq!(
            key(|c| c.$section.$field = $bad).as_deref(), Some(name), "{name} = {}", stringify!($bad)
        );)*
    )*};
}

#[test]
fn the_default_is_valid_and_has_one_listener() {
    let valid = Config::default().validate().expect("default");
    assert_eq!(valid.listeners, [ListenerConfig::default()]);
    assert_eq!(valid.limits, Limits::default());
}

#[test]
fn every_preset_is_valid() {
    for rate_limit in [
        RateLimit::off(),
        RateLimit::chat(),
        RateLimit::game(),
        RateLimit::custom(1, 1),
    ] {
        assert_eq!(error(|c| c.rate_limit = rate_limit.clone()), None);
    }
}

#[test]
fn limits_are_bounded() {
    bounds! {
        limits.max_connections: [None, Some(1), Some(16_777_216)] not [Some(0), Some(16_777_217)];
        limits.max_connections_per_ip: [None, Some(1), Some(16_777_216)] not [Some(0), Some(16_777_217)];
        limits.max_head_bytes: [128, 1_048_576] not [127, 1_048_577];
        limits.max_headers: [5, 128] not [4, 129];
        limits.max_body_bytes: [0, 1_073_741_824] not [1_073_741_825];
        limits.max_message_bytes: [125] not [124, 1_073_741_825];
        limits.max_frame_bytes: [None, Some(125), Some(1_048_576)] not [Some(124), Some(1_048_577)];
        limits.max_json_depth: [2, 127] not [1, 128];
        limits.max_json_fields: [8, 65_536] not [7, 65_537];
        limits.max_id_bytes: [1, 512] not [0, 513];
        limits.max_batch_messages: [1, 65_536] not [0, 65_537];
        limits.max_rooms_per_client: [1, 1_000_000] not [0, 1_000_001];
        limits.max_members_per_room: [1, 16_777_216] not [0, 16_777_217];
        limits.max_rooms: [1, 16_777_216] not [0, 16_777_217];
        limits.max_members_listed: [1, 10_000] not [0, 10_001];
        limits.max_metadata_bytes: [2, 1_048_576] not [1, 1_048_577];
        limits.max_metadata_keys: [1, 10_000] not [0, 10_001];
        limits.max_user_bytes: [1, 65_536] not [0, 65_537];
        limits.max_key_bytes: [1, 65_536] not [0, 65_537];
        limits.max_queued_messages: [1, 16_777_216] not [0, 16_777_217];
        limits.max_queued_events: [1, 1_048_576] not [0, 1_048_577];
        limits.max_queued_event_bytes: [1, isize::MAX as usize] not [0, usize::MAX];
        limits.max_pending_requests: [1, 65_536] not [0, 65_537];
        limits.max_bad_messages: [0, u32::MAX] not [];
        limits.max_unknown_types: [None, Some(0), Some(u32::MAX)] not [];
        limits.max_idle_addresses: [0, 16_777_216] not [16_777_217];
    }
}

#[test]
fn deadlines_are_bounded() {
    bounds! {
        timeouts.handshake_ms: [1, DAY_30_MS] not [0, DAY_30_MS + 1];
        timeouts.keep_alive_ms: [1, DAY_30_MS] not [0, DAY_30_MS + 1];
        timeouts.linger_ms: [1, DAY_30_MS] not [0, DAY_30_MS + 1];
        timeouts.message_ms: [1, DAY_30_MS] not [0, DAY_30_MS + 1];
        timeouts.welcome_delay_ms: [0, 10_000] not [10_001];
        timeouts.typing_ms: [1, DAY_30_MS] not [0, DAY_30_MS + 1];
        timeouts.application_reply_ms: [1, DAY_30_MS] not [0, DAY_30_MS + 1];
        timeouts.relay_ms: [1, DAY_30_MS] not [0, DAY_30_MS + 1];
        heartbeat.interval_ms: [0, 1, DAY_30_MS] not [DAY_30_MS + 1];
        heartbeat.timeout_ms: [1, DAY_30_MS] not [0, DAY_30_MS + 1];
        sessions.window_ms: [0, DAY_30_MS] not [DAY_30_MS + 1];
        sessions.away_ms: [0, DAY_30_MS] not [DAY_30_MS + 1];
        sessions.max_parked: [0, 16_777_216] not [16_777_217];
        sessions.max_away: [0, 16_777_216] not [16_777_217];
        sessions.mail_messages: [0, 1_000_000] not [1_000_001];
        sessions.mail_bytes: [0, isize::MAX as usize] not [usize::MAX];
        sessions.max_mail_bytes: [0, isize::MAX as usize] not [usize::MAX];
        message_ids.window_ms: [0, DAY_30_MS] not [DAY_30_MS + 1];
        message_ids.max: [1, 16_777_216] not [0, 16_777_217];
        message_ids.max_per_client: [1, 10_000] not [0, 10_001];
        message_ids.max_bytes: [1, 1_024] not [0, 1_025];
        explain.entries: [0, 1_000_000] not [1_000_001];
        drain.timeout_ms: [0, DAY_30_MS] not [DAY_30_MS + 1];
        drain.reconnect_max_ms: [500, DAY_30_MS] not [DAY_30_MS + 1];
        drain.reconnect_min_ms: [0, 5_000] not [5_001];
    }
}

#[test]
fn without_pings_the_heartbeat_timeout_may_be_zero() {
    assert_eq!(
        error(|c| {
            c.heartbeat.interval_ms = 0;
            c.heartbeat.timeout_ms = 0;
        }),
        None
    );
}

#[test]
fn the_largest_message_and_the_largest_reply_fit_a_queue() {
    let message = Config::default().limits.max_message_bytes;
    bounds! {
        limits.max_queued_bytes: [message + 1_024] not [message + 1_023];
        limits.max_buffered_bytes: [4 * message + message, isize::MAX as usize]
            not [4 * message + message - 1, usize::MAX];
    }
    // With 32 bits, no queue can be set too large.
    if let Ok(beyond) = usize::try_from(u64::from(u32::MAX) + 1) {
        bounds! { limits.max_queued_bytes: [] not [beyond]; }
    }
    // With small messages a reply is the largest: metadata, or a list of members.
    let small = |metadata: usize, listed: u32, queue: usize| {
        key(|c| {
            c.limits.max_message_bytes = 125;
            c.limits.max_metadata_bytes = metadata;
            c.limits.max_members_listed = listed;
            c.room_names.max_bytes = 10;
            c.room_names.reserved_prefixes.clear();
            c.limits.max_queued_bytes = queue;
        })
    };
    let refused = Some("limits.max_queued_bytes".to_owned());
    assert_eq!(small(4_096, 1, 4_096 + 20 + 1_024), None);
    assert_eq!(small(4_096, 1, 4_096 + 20 + 1_023), refused);
    assert_eq!(small(2, 100, 3_600 + 20 + 1_024), None);
    assert_eq!(small(2, 100, 3_600 + 20 + 1_023), refused);
}

#[test]
fn the_smallest_queues_are_those_that_are_accepted() {
    let mut config = Config::default();
    // With 32 bits, a queue and a message of 1 GiB each are more than there can be.
    config.limits.max_message_bytes = if usize::BITS > 32 {
        1_073_741_824
    } else {
        536_870_912
    };
    config.limits.max_queued_bytes = config.min_queued_bytes();
    config.limits.max_buffered_bytes = config.min_buffered_bytes();
    assert_eq!(config.validate().err(), None);
}

#[test]
fn rates_are_above_zero_and_refill_at_most_once_a_nanosecond() {
    bounds! {
        rate_limit.messages: [1, 214_748_364] not [0];
        rate_limit.per_ms: [1, DAY_30_MS] not [0, DAY_30_MS + 1];
        rate_limit.address_factor: [1, 42_949_672] not [0, 42_949_673];
        rate_limit.pings: [1, u32::MAX] not [0];
        rate_limit.refusals: [1, u32::MAX] not [0];
        rate_limit.throttle_after: [0, u32::MAX] not [];
        rate_limit.deliveries_per_second: [1, 1_000_000_000] not [0, 1_000_000_001];
    }
    let in_1_ms = |change: fn(&mut RateLimit)| {
        key(|c| {
            c.rate_limit = RateLimit {
                address_factor: 1,
                ..RateLimit::custom(1, 1)
            };
            change(&mut c.rate_limit);
        })
    };
    assert_eq!(in_1_ms(|r| r.messages = 1_000_000), None);
    assert_eq!(
        in_1_ms(|r| r.messages = 1_000_001).as_deref(),
        Some("rate_limit.messages")
    );
    assert_eq!(in_1_ms(|r| r.pings = 1_000_000), None);
    assert_eq!(
        in_1_ms(|r| r.pings = 1_000_001).as_deref(),
        Some("rate_limit.pings")
    );
    assert_eq!(
        in_1_ms(|r| {
            r.messages = 1_000_000;
            r.address_factor = 2;
        })
        .as_deref(),
        Some("rate_limit.address_factor")
    );
}

#[test]
fn rates_that_are_off_are_not_looked_at() {
    assert_eq!(
        error(|c| c.rate_limit = RateLimit {
            enabled: false,
            messages: 0,
            per_ms: 0,
            ..RateLimit::default()
        }),
        None
    );
}

#[test]
fn origins_have_the_form_that_browsers_send() {
    for good in [
        "*",
        "null",
        "https://app.example.com",
        "http://localhost:3000",
        "http://127.0.0.1:1",
        "http://[::1]:65535",
        "https://[2001:db8::1]",
        "chrome-extension://abcdef",
        "capacitor://localhost",
        "http://a_b.example",
    ] {
        assert_eq!(
            error(|c| c.origin.allow = vec![good.to_owned()]),
            None,
            "{good}"
        );
    }
    for bad in [
        "",
        "app.example.com",
        "https://",
        "://app",
        "https://app.example.com/",
        "https://app.example.com/path",
        "https://App.example.com",
        "HTTPS://app.example.com",
        "https://app.example.com:",
        "https://app.example.com:0",
        "https://app.example.com:65536",
        "https://app.example.com:+1",
        "https://app.example.com:80:80",
        "https://*.example.com",
        "https://user@example.com",
        "https://[::1",
        "https://[::g]",
        "https://[]:1",
        "https://exa mple.com",
        "https://example.com?x",
        "9p://example.com",
        "https://ex\u{e4}mple.com",
    ] {
        assert_eq!(
            key(|c| c.origin.allow = vec!["*".to_owned(), bad.to_owned()]).as_deref(),
            Some("origin.allow[1]"),
            "{bad}"
        );
    }
}

#[test]
fn the_drain_code_can_be_sent() {
    bounds! {
        drain.code: [1000, 1001, 1011, 1012, 1013, 3000, 4999]
            not [0, 999, 1002, 1003, 1004, 1005, 1006, 1007, 1010, 1014, 1015, 2999, 5000];
    }
}

#[test]
fn what_is_handed_over_is_bounded() {
    bounds! {
        offload.threads: [0, 1, 256] not [257];
        offload.hook_threads: [0, 1, 256] not [257];
        offload.max_jobs: [1, 65_536] not [0, 65_537];
        offload.min_bytes: [1_024, 1 << 30] not [0, 1_023, (1 << 30) + 1];
    }
}

#[test]
fn compression_is_bounded() {
    bounds! {
        compression.threshold_bytes: [0, 1 << 30] not [(1 << 30) + 1];
        compression.level: [1, 9] not [0, 10];
        compression.memory_level: [1, 9] not [0, 10];
    }
    let key_of = |patterns: Vec<String>| key(|c| c.compression.deny_user_agents = patterns);
    let wrong = "compression.deny_user_agents";
    assert_eq!(key_of(Vec::new()), None);
    assert_eq!(key_of(vec!["a".repeat(256); 100]), None);
    assert_eq!(key_of(vec!["a".to_owned(); 101]).as_deref(), Some(wrong));
    for pattern in [String::new(), "a".repeat(257)] {
        let found = key_of(vec!["*".to_owned(), pattern]);
        assert_eq!(found, Some(format!("{wrong}[1]")));
    }
}

#[test]
fn files_are_bounded() {
    bounds! {
        files.max_file_bytes: [None, Some(1), Some((1 << 53) - 1)] not [Some(0), Some(1 << 53)];
        files.max_per_client: [1, 1_000_000] not [0, 1_000_001];
        files.max_per_room: [1, 1_000_000] not [0, 1_000_001];
        files.max_transfers: [1, 1_000_000] not [0, 1_000_001];
        files.max_receivers: [1, 65_536] not [0, 65_537];
        files.chunk_bytes: [1_024, 262_144] not [1_023, 16_777_217];
        files.max_window_bytes: [131_072, 1_073_741_824] not [131_071, 1_073_741_825];
        files.request_bytes: [65_536, 1_048_576] not [65_535, 1_073_741_825];
        files.max_requested_bytes: [262_144, 1_073_741_824] not [262_143, 1_073_741_825];
        files.max_streams: [1, 64] not [0, 65];
        files.patience_ms: [0, DAY_30_MS] not [DAY_30_MS + 1];
        files.gather_ms: [0, DAY_30_MS] not [DAY_30_MS + 1];
        files.idle_ms: [1, DAY_30_MS] not [0, DAY_30_MS + 1];
        files.resume_ms: [0, DAY_30_MS] not [DAY_30_MS + 1];
        files.progress_interval_ms: [1, DAY_30_MS] not [0, DAY_30_MS + 1];
    }
    let largest = |c: &mut Config| {
        c.files.chunk_bytes = 1 << 24;
        c.files.max_window_bytes = 1 << 25;
        c.files.request_bytes = 1 << 24;
        c.files.max_requested_bytes = 1 << 24;
    };
    assert_eq!(key(largest), None);
}

#[test]
fn room_names_are_bounded() {
    bounds! {
        room_names.max_bytes: [5, 4_096] not [0, 4_097];
        room_names.allowed_punctuation: [None, Some(String::new()), Some("-_:".to_owned())]
            not [Some("-\n".to_owned())];
    }
    for bad in [String::new(), "x".repeat(256)] {
        assert_eq!(
            key(|c| c.room_names.reserved_prefixes = vec!["user:".to_owned(), bad]).as_deref(),
            Some("room_names.reserved_prefixes[1]")
        );
    }
    assert_eq!(
        error(|c| c.room_names.reserved_prefixes = vec!["x".repeat(255)]),
        None
    );
}

fn patterns(patterns: &[&str]) -> Option<ConfigError> {
    let rooms = patterns.iter().map(|pattern| RoomRule {
        pattern: (*pattern).to_owned(),
        ..RoomRule::default()
    });
    error(|c| c.rooms = rooms.collect())
}

#[test]
fn patterns_are_names_or_prefixes() {
    assert_eq!(patterns(&["lobby", "lobby-*", "*"]), None);
    for bad in ["", "*x", "a*b", "**"] {
        let error = patterns(&["ok", bad]).expect(bad);
        assert_eq!(error.key, "room[1].pattern");
    }
}

#[test]
fn a_pattern_that_an_earlier_one_covers_is_refused() {
    for shadowed in [
        ["lobby", "x", "lobby"],
        ["*", "x", "y"],
        ["game-*", "game", "game-1"],
        ["a*", "b", "ab*"],
    ] {
        let error = patterns(&shadowed).expect("shadowed");
        assert!(error.key.ends_with("].pattern"), "{error}");
        assert!(error.allowed.contains("room[0]"), "{error}");
    }
    assert_eq!(patterns(&["ab*", "a*", "game", "game-*"]), None);
}

#[test]
fn room_rules_are_bounded() {
    let rule = |change: fn(&mut RoomRule)| {
        key(|c| {
            c.rooms = vec![RoomRule::default()];
            change(&mut c.rooms[0]);
        })
    };
    assert_eq!(rule(|r| r.linger_ms = DAY_30_MS), None);
    assert_eq!(
        rule(|r| r.linger_ms = DAY_30_MS + 1).as_deref(),
        Some("room[0].linger_ms")
    );
    assert_eq!(rule(|r| r.notice_members = 1), None);
    assert_eq!(
        rule(|r| r.notice_members = 0).as_deref(),
        Some("room[0].notice_members")
    );
    assert_eq!(rule(|r| r.notice_interval_ms = 1), None);
    assert_eq!(
        rule(|r| r.notice_interval_ms = 0).as_deref(),
        Some("room[0].notice_interval_ms")
    );
    let many = |count: usize| {
        let names: Vec<String> = (0..count).map(|n| n.to_string()).collect();
        patterns(&names.iter().map(String::as_str).collect::<Vec<_>>()).map(|e| e.key)
    };
    assert_eq!(many(1_000), None);
    assert_eq!(many(1_001).as_deref(), Some("room"));
}

#[test]
fn application_types_do_not_take_those_of_the_protocol() {
    let types = |names: &[&str]| {
        key(|c| c.application_types = names.iter().map(|n| (*n).to_owned()).collect())
    };
    assert_eq!(types(&["text", "move", &"x".repeat(128)]), None);
    for bad in ["", "move", &"x".repeat(129)] {
        assert_eq!(
            types(&["move", bad]).as_deref(),
            Some("application_types[1]"),
            "{bad}"
        );
    }
    for taken in [
        "join",
        "welcome",
        "batch",
        "history",
        "resume",
        "file_abort",
    ] {
        assert_eq!(types(&[taken]).as_deref(), Some("application_types[0]"));
    }
}

#[test]
fn listeners_and_application_types_are_counted() {
    let listeners = |count| key(|c| c.listeners = vec![ListenerConfig::default(); count]);
    assert_eq!(listeners(65_535), None);
    assert_eq!(listeners(65_536).as_deref(), Some("listener"));
    let types =
        |count: usize| key(|c| c.application_types = (0..count).map(|n| format!("t{n}")).collect());
    assert_eq!(types(1_000), None);
    assert_eq!(types(1_001).as_deref(), Some("application_types"));
}

#[test]
fn an_error_says_what_is_allowed() {
    let error = error(|c| c.limits.max_headers = 129).expect("too many");
    assert_eq!(
        error.to_string(),
        "limits.max_headers = 129: allowed is 5 to 128"
    );
}

#[test]
fn trusted_proxies_are_addresses_networks_or_local() {
    let with = |proxies: Vec<String>| {
        error(|c| {
            c.listeners = vec![
                ListenerConfig::default(),
                ListenerConfig {
                    trusted_proxies: proxies,
                    ..ListenerConfig::default()
                },
            ];
        })
    };
    for good in [
        "local",
        "127.0.0.1",
        "::1",
        "0.0.0.0/0",
        "::/0",
        "10.1.2.3/8",
        "2001:db8::/128",
        "::ffff:10.0.0.0/104",
    ] {
        assert_eq!(with(vec![good.to_owned()]), None, "{good}");
    }
    for bad in [
        "",
        "Local",
        "localhost",
        "10.0.0.0/33",
        "::/129",
        "10.0.0",
        "10.0.0.1:80",
        "[::1]",
        " ::1",
        "::1/",
    ] {
        let error = with(vec!["::1".to_owned(), bad.to_owned()]).expect("refused");
        assert_eq!(error.key, "listener[1].trusted_proxies[1]", "{bad}");
        assert_eq!(error.value, format!("{bad:?}"));
    }
    assert_eq!(with(vec!["local".to_owned(); 100]), None);
    let error = with(vec!["local".to_owned(); 101]).expect("refused");
    assert_eq!(error.key, "listener[1].trusted_proxies");
}

#[test]
fn the_proxy_protocol_is_for_trusted_proxies() {
    let with = |proxies: &[&str], proxy_protocol| {
        error(|c| {
            c.listeners = vec![
                ListenerConfig::default(),
                ListenerConfig {
                    trusted_proxies: proxies.iter().copied().map(str::to_owned).collect(),
                    proxy_protocol,
                    ..ListenerConfig::default()
                },
            ];
        })
    };
    assert_eq!(with(&["local"], true), None);
    assert_eq!(with(&["local"], false), None);
    assert_eq!(with(&[], false), None);
    assert_eq!(
        with(&[], true).expect("refused").to_string(),
        "listener[1].proxy_protocol = true: allowed is false where no listener[1].trusted_proxies are listed: only they \
         may say for whom they connect"
    );
}

#[test]
fn what_is_adopted_has_its_listener_behind_it() {
    let with = |proxies: &[&str], proxy_protocol| {
        key(|c| {
            c.adopted.trusted_proxies = proxies.iter().copied().map(str::to_owned).collect();
            c.adopted.proxy_protocol = proxy_protocol;
        })
    };
    assert_eq!(with(&["local"], false), None);
    let wrong = with(&["local", "nowhere"], false);
    assert_eq!(wrong.as_deref(), Some("adopted.trusted_proxies[1]"));
    let wrong = with(&["local"], true);
    assert_eq!(wrong.as_deref(), Some("adopted.proxy_protocol"));
}
