//! Configs that put limits within a fuzzer's reach, and how the driver behaves.

use roomwire_core::ValidConfig;
use roomwire_core::config::{
    Config, Heartbeat, ListenerConfig, Permission, RateLimit, RoomRule, SessionKey, Sessions,
    SlowReader,
};

use crate::input::Choices;

/// Which rules the driver keeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manners {
    /// Minds `Turn::Full`, read interest and the answer that a `Transmit` asks for.
    pub(super) obedient: bool,
    /// The run is repeated to compare.
    pub(super) run_twice: bool,
}

/// Rooms by number; the first part of a name picks the rule.
pub(super) const ROOMS: [&str; 12] = [
    "old",
    "new",
    "last",
    "linger",
    "big",
    "quiet",
    "plain",
    "a\"b\\c\u{e9}",
    "old2",
    "",
    "user:1",
    "a\tb",
];

/// Types that the embedding program takes.
pub(super) const APPLICATION_TYPES: [&str; 2] = ["app", "text"];

pub(super) fn choose(choices: &mut Choices<'_>) -> (ValidConfig, Manners) {
    let (sizes, times, rules) = (choices.byte(), choices.byte(), choices.byte());
    let bit = |byte: u8, place: u8| byte >> place & 1 == 1;
    let mut config = Config {
        listeners: listeners(),
        adopted: ListenerConfig {
            echo: true,
            ..ListenerConfig::default()
        },
        application_types: APPLICATION_TYPES.map(str::to_owned).to_vec(),
        rooms: room_rules(),
        private_messages_need_shared_room: bit(rules, 0),
        broadcast: if bit(rules, 1) {
            Permission::Deny
        } else {
            Permission::Allow
        },
        ..Config::default()
    };
    let limits = &mut config.limits;
    limits.max_message_bytes = if bit(sizes, 0) { 4_096 } else { 300 };
    limits.max_frame_bytes = bit(sizes, 1).then_some(200);
    limits.max_head_bytes = 1_024;
    limits.max_body_bytes = 64;
    limits.max_members_listed = 2;
    limits.max_metadata_bytes = 64;
    limits.max_rooms = 5;
    limits.max_rooms_per_client = 4;
    limits.max_members_per_room = 4;
    limits.max_idle_addresses = usize::from(bit(sizes, 2));
    limits.max_queued_messages = if bit(sizes, 3) { 8 } else { 65_536 };
    limits.max_queued_events = if bit(sizes, 4) { 1 } else { 1_024 };
    limits.max_pending_requests = if bit(sizes, 5) { 1 } else { 64 };
    limits.max_connections = bit(sizes, 6).then_some(6);
    limits.max_connections_per_ip = bit(sizes, 7).then_some(3);
    limits.max_bad_messages = if bit(rules, 2) { 1 } else { 20 };
    limits.max_unknown_types = bit(rules, 2).then_some(1);
    config.limits.max_queued_bytes = config.min_queued_bytes();
    config.limits.max_buffered_bytes =
        config.min_buffered_bytes() * if bit(rules, 3) { 1 } else { 64 };
    config.rate_limit = match rules >> 4 & 3 {
        0 => RateLimit::off(),
        1 => RateLimit::default(),
        _ => RateLimit {
            messages: 6,
            per_ms: 1_000,
            address_factor: 2,
            pings: 3,
            deliveries_per_second: 20,
            refusals: 2,
            throttle_after: 1,
            ..RateLimit::default()
        },
    };
    // What is large is done elsewhere, once there is a pool. What the server says is not compressed.
    config.offload.min_bytes = 1_024;
    config.compression.threshold_bytes = 1 << 20;
    config.timeouts.welcome_delay_ms = if bit(times, 0) { 10 } else { 0 };
    config.heartbeat = match times >> 1 & 3 {
        0 => Heartbeat::default(),
        1 => Heartbeat {
            interval_ms: 0,
            timeout_ms: 0,
        },
        _ => Heartbeat {
            interval_ms: 100,
            timeout_ms: 50,
        },
    };
    if bit(times, 6) {
        config.sessions = Sessions {
            key: bit(times, 7).then_some(SessionKey([9; 32])),
            window_ms: 200,
            away_ms: if bit(times, 7) { 50 } else { 0 },
            max_parked: 2,
            max_away: 3,
            mail_messages: 2,
            mail_bytes: 400,
            max_mail_bytes: 500,
        };
    }
    config.room_names.allowed_punctuation = bit(times, 4).then(|| "\"-".to_owned());
    config.explain.entries = if bit(times, 5) { 32 } else { 0 };
    config.drain.timeout_ms = if bit(times, 3) { 0 } else { 10_000 };
    let manners = Manners {
        obedient: !bit(rules, 6),
        run_twice: bit(rules, 7),
    };
    let config = config.validate().expect("within every bound");
    (config, manners)
}

/// The listener behind a proxy.
pub(super) const PROXIED: u16 = 3;

/// Everything with its default, bare payloads, an echo that also takes plain text, and [`PROXIED`].
fn listeners() -> Vec<ListenerConfig> {
    vec![
        ListenerConfig::default(),
        ListenerConfig {
            raw_payloads: true,
            ..ListenerConfig::default()
        },
        ListenerConfig {
            echo: true,
            plain_text: true,
            ..ListenerConfig::default()
        },
        ListenerConfig {
            trusted_proxies: vec!["local".to_owned(), "127.0.0.0/8".to_owned()],
            ..ListenerConfig::default()
        },
    ]
}

fn room_rules() -> Vec<RoomRule> {
    let rule = |pattern: &str| RoomRule {
        pattern: pattern.to_owned(),
        ..RoomRule::default()
    };
    vec![
        RoomRule {
            slow_reader: SlowReader::DropOldest,
            history_messages: 3,
            history_ms: 30,
            ..rule("old*")
        },
        RoomRule {
            slow_reader: SlowReader::DropNewest,
            ..rule("new*")
        },
        RoomRule {
            slow_reader: SlowReader::Latest,
            ..rule("last*")
        },
        RoomRule {
            linger_ms: 50,
            history_messages: 100,
            history_bytes: 400,
            ..rule("linger")
        },
        RoomRule {
            notice_members: 2,
            notice_interval_ms: 20,
            flush_delay_ms: Some(15),
            ..rule("big")
        },
        RoomRule {
            metadata_notices: false,
            ..rule("quiet")
        },
    ]
}
