//! The server's side of a plan: its settings, how it is driven, what the program around it asks for.

use roomwire_core::Config;
use roomwire_core::config::{Heartbeat, Limits, ListenerConfig, RateLimit, RoomRule, SlowReader};

use super::{between, pick};
use crate::rng::Rng;
use crate::sim::host::Driving;
use crate::sim::plan::{APPLICATION_TYPE, Order, ROOMS};

pub(super) fn driving(rng: &mut Rng) -> Driving {
    Driving {
        batch: pick(rng, &[1, 2, 8, 64]),
        partial_every: pick(rng, &[0, 0, 2, 8]),
        read_bytes: pick(rng, &[64 * 1024, 64 * 1024, 4_096, 100]),
        write_bytes: pick(rng, &[usize::MAX, usize::MAX, 16 * 1024, 700]),
        slices: pick(rng, &[64, 64, 8, 1]),
        turn_us: pick(rng, &[0, 20, 500]),
    }
}

pub(super) fn config(rng: &mut Rng) -> Config {
    let mut config = Config {
        heartbeat: heartbeat(rng),
        rate_limit: rate_limit(rng),
        rooms: rooms(rng),
        ..Config::default()
    };
    config.listeners = vec![ListenerConfig::default()];
    if rng.one_in(2) {
        config.listeners.push(ListenerConfig {
            raw_payloads: true,
            ..ListenerConfig::default()
        });
    }
    if rng.one_in(2) {
        config.application_types = vec![APPLICATION_TYPE.to_owned()];
    }
    let timeouts = &mut config.timeouts;
    timeouts.handshake_ms = pick(rng, &[10_000, 1_000]);
    timeouts.linger_ms = pick(rng, &[5_000, 500]);
    timeouts.welcome_delay_ms = pick(rng, &[100, 0]);
    timeouts.typing_ms = pick(rng, &[5_000, 500]);
    timeouts.application_reply_ms = pick(rng, &[10_000, 1_000]);
    config.drain.timeout_ms = pick(rng, &[10_000, 1_000]);
    config.private_messages_need_shared_room = rng.one_in(6);
    if rng.one_in(8) {
        config.broadcast = roomwire_core::config::Permission::Deny;
    }
    if !rng.one_in(3) {
        small(rng, &mut config);
    }
    // Without a draw of its own: seeds that have found something keep their stories.
    let number = config.limits.max_queued_bytes;
    for (index, rule) in config.rooms.iter_mut().enumerate() {
        rule.flush_delay_ms = Some([0, 0, 1, 7, 40][(number / 3 + index) % 5]);
    }
    config
}

fn heartbeat(rng: &mut Rng) -> Heartbeat {
    let (interval_ms, timeout_ms) = pick(
        rng,
        &[(30_000, 30_000), (2_000, 1_000), (5_000, 5_000), (0, 0)],
    );
    Heartbeat {
        interval_ms,
        timeout_ms,
    }
}

fn rate_limit(rng: &mut Rng) -> RateLimit {
    match rng.below(6) {
        0 => RateLimit::default(),
        1 => RateLimit::chat(),
        2 => RateLimit {
            address_factor: 2,
            deliveries_per_second: 200,
            pings: 20,
            refusals: 10,
            ..RateLimit::custom(20, 5_000)
        },
        _ => RateLimit::off(),
    }
}

fn small(rng: &mut Rng, config: &mut Config) {
    config.limits = Limits {
        max_message_bytes: pick(rng, &[1_024, 4_096, 64 * 1024]),
        max_members_listed: pick(rng, &[3, 100]),
        max_metadata_bytes: 512,
        max_rooms_per_client: pick(rng, &[2, 256]),
        max_members_per_room: pick(rng, &[6, 100_000]),
        max_rooms: pick(rng, &[4, 1_000]),
        max_queued_messages: pick(rng, &[4, 16, 16, 32, 64, 65_536]),
        max_queued_events: pick(rng, &[2, 1_024]),
        max_pending_requests: pick(rng, &[2, 64]),
        max_bad_messages: pick(rng, &[2, 20]),
        max_unknown_types: pick(rng, &[None, Some(3)]),
        max_idle_addresses: pick(rng, &[2, 65_536]),
        max_connections_per_ip: pick(rng, &[None, None, Some(3)]),
        max_connections: pick(rng, &[None, None, Some(12)]),
        max_head_bytes: 1_024,
        ..Limits::default()
    };
    let least = config.min_queued_bytes();
    config.limits.max_queued_bytes = least + rng.below(8_192);
    config.limits.max_buffered_bytes = if rng.one_in(2) {
        config.min_buffered_bytes() + rng.below(64 * 1024)
    } else {
        Limits::default().max_buffered_bytes
    };
    // Without a draw of its own: seeds that have found something keep their stories.
    config.compression.threshold_bytes = [0, 100, 1_024][config.limits.max_queued_bytes % 3];
}

fn rooms(rng: &mut Rng) -> Vec<RoomRule> {
    let rule = |pattern: &str, slow_reader| RoomRule {
        pattern: pattern.to_owned(),
        slow_reader,
        ..RoomRule::default()
    };
    let mut rules = vec![
        RoomRule {
            history_messages: 3,
            history_ms: 700,
            ..rule("old*", SlowReader::DropOldest)
        },
        RoomRule {
            history_messages: 100,
            ..rule("new", SlowReader::DropNewest)
        },
        rule("last", SlowReader::Latest),
        RoomRule {
            linger_ms: between(rng, 100, 5_000),
            ..rule("linger", SlowReader::Close)
        },
        RoomRule {
            notice_members: between(rng, 1, 5) as u32,
            notice_interval_ms: between(rng, 50, 1_000),
            ..rule("sum", SlowReader::Close)
        },
    ];
    if rng.one_in(4) {
        rules.push(RoomRule {
            metadata_notices: false,
            ..rule("tea", SlowReader::DropOldest)
        });
    }
    if rng.one_in(5) {
        let policy = pick(rng, &[SlowReader::DropOldest, SlowReader::DropNewest]);
        rules.push(rule("*", policy));
    }
    rules
}

pub(super) fn commands(rng: &mut Rng, clients: usize, end_us: u64) -> Vec<(u64, Order)> {
    let mut commands: Vec<(u64, Order)> = (0..rng.below(30))
        .map(|_| {
            let client = rng.below(clients);
            let room = 1 + rng.below(ROOMS.len() - 1);
            let order = match rng.below(12) {
                0..4 => Order::Publish(room),
                4..8 => Order::Send(client),
                8..11 => Order::Kick(client, room),
                _ => Order::Close(client, pick(rng, &[1000, 1008, 1012, 4000])),
            };
            (rng.next() % end_us, order)
        })
        .collect();
    if rng.one_in(4) {
        commands.push((end_us - end_us / between(rng, 2, 20), Order::Drain));
    }
    commands.sort_by_key(|&(at, _)| at);
    commands
}
