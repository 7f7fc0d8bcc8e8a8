//! What an unconfigured server runs with, number by number.

use roomwire_core::Config;
use roomwire_core::config::{ListenerConfig, Permission, RoomRule, SlowReader};
use roomwire_tests::World;
use serde_json::json;

// covers A3-16, A14
#[test]
fn defaults_are_what_is_documented() {
    let config = Config::default();
    let limits = config.limits;
    assert_eq!(limits.max_connections, None);
    assert_eq!(limits.max_connections_per_ip, None);
    assert_eq!(limits.max_head_bytes, 16_384);
    assert_eq!(limits.max_headers, 64);
    assert_eq!(limits.max_body_bytes, 65_536);
    assert_eq!(limits.max_message_bytes, 1_048_576);
    assert_eq!(limits.max_frame_bytes, None);
    assert_eq!(limits.max_json_depth, 64);
    assert_eq!(limits.max_json_fields, 64);
    assert_eq!(limits.max_id_bytes, 128);
    assert_eq!(limits.max_batch_messages, 100);
    assert_eq!(limits.max_rooms_per_client, 256);
    assert_eq!(limits.max_members_per_room, 100_000);
    assert_eq!(limits.max_rooms, 1_000_000);
    assert_eq!(limits.max_members_listed, 100);
    assert_eq!(limits.max_history_listed, 100);
    assert_eq!(limits.max_history_bytes, 64 * 1024 * 1024);
    assert_eq!(limits.max_metadata_bytes, 4_096);
    assert_eq!(limits.max_metadata_keys, 32);
    assert_eq!(limits.max_user_bytes, 256);
    assert_eq!(limits.max_key_bytes, 128);
    assert_eq!(limits.max_queued_bytes, 4_194_304);
    assert_eq!(limits.max_queued_messages, 65_536);
    assert_eq!(limits.max_buffered_bytes, 268_435_456);
    assert_eq!(limits.max_queued_events, 1_024);
    assert_eq!(limits.max_queued_event_bytes, 16_777_216);
    assert_eq!(limits.max_pending_requests, 64);
    assert_eq!(limits.max_bad_messages, 20);
    assert_eq!(limits.max_unknown_types, None);
    assert_eq!(limits.max_idle_addresses, 65_536);

    let timeouts = config.timeouts;
    assert_eq!(timeouts.handshake_ms, 10_000);
    assert_eq!(timeouts.keep_alive_ms, 15_000);
    assert_eq!(timeouts.linger_ms, 5_000);
    assert_eq!(timeouts.message_ms, 30_000);
    assert_eq!(timeouts.welcome_delay_ms, 100);
    assert_eq!(timeouts.typing_ms, 5_000);
    assert_eq!(timeouts.application_reply_ms, 10_000);

    assert_eq!(config.sessions.key, None);
    assert_eq!(config.sessions.window_ms, 60_000);
    assert_eq!(config.sessions.away_ms, 10_000);
    assert_eq!(config.sessions.max_parked, 65_536);
    assert_eq!(config.sessions.max_away, 262_144);
    assert_eq!(config.sessions.mail_messages, 100);
    assert_eq!(config.sessions.mail_bytes, 65_536);
    assert_eq!(config.sessions.max_mail_bytes, 16_777_216);
    assert_eq!(config.message_ids.window_ms, 120_000);
    assert_eq!(config.message_ids.max, 65_536);
    assert_eq!(config.message_ids.max_per_client, 100);
    assert_eq!(config.message_ids.max_bytes, 64);

    assert_eq!(config.heartbeat.interval_ms, 30_000);
    assert_eq!(config.heartbeat.timeout_ms, 30_000);

    assert_eq!(config.offload.threads, 2);
    assert_eq!(config.offload.hook_threads, 2);
    assert_eq!(config.offload.max_jobs, 16);
    assert_eq!(config.offload.min_bytes, 131_072);

    let rate = config.rate_limit;
    assert!(rate.enabled);
    assert_eq!(rate.messages, 100);
    assert_eq!(rate.per_ms, 60_000);
    assert_eq!(rate.address_factor, 20);
    assert_eq!(rate.pings, 300);
    assert_eq!(rate.deliveries_per_second, 100_000);
    assert_eq!(rate.refusals, 100);
    assert_eq!(rate.throttle_after, 50);

    assert_eq!(config.origin.allow, Vec::<String>::new());
    assert!(config.origin.allow_same_host);
    assert!(config.origin.allow_localhost);
    assert!(config.origin.allow_missing);

    assert_eq!(config.drain.code, 1012);
    assert_eq!(config.drain.timeout_ms, 10_000);
    assert_eq!(config.drain.reconnect_min_ms, 500);
    assert_eq!(config.drain.reconnect_max_ms, 5_000);

    assert_eq!(config.room_names.max_bytes, 255);
    assert_eq!(config.room_names.allowed_punctuation, None);
    assert_eq!(config.room_names.reserved_prefixes, ["user:"]);

    let rule = RoomRule::default();
    assert_eq!(rule.pattern, "*");
    assert_eq!(rule.slow_reader, SlowReader::Close);
    assert_eq!(rule.flush_delay_ms, None);
    assert_eq!(rule.linger_ms, 0);
    assert_eq!(rule.notice_members, 1_000);
    assert_eq!(rule.notice_interval_ms, 1_000);
    assert!(rule.metadata_notices);
    assert_eq!(rule.history_messages, 0);
    assert_eq!(rule.history_bytes, 1024 * 1024);
    assert_eq!(rule.history_ms, 3_600_000);

    let listener = ListenerConfig::default();
    assert!(!listener.raw_payloads);
    assert!(!listener.echo);
    assert!(listener.health);
    assert!(!listener.plain_text);

    assert!(!config.private_messages_need_shared_room);
    assert_eq!(config.broadcast, Permission::Allow);
}

// covers A0-6, A3-16: an office behind one address talks all day
#[test]
fn thirty_people_at_one_address_are_never_refused() {
    let mut world = World::default();
    let clients = world.connect_many(30);
    for &client in &clients {
        world.join(client, "office");
    }
    world.forget();
    let mut heard = 0;
    for second in 0..300 {
        for &client in &clients {
            let message = json!({"type": "room_message", "room": "office", "data": second});
            world.post_json(client, &message);
        }
        world.settle();
        world.advance_ms(1_000);
        for &client in &clients {
            while let Some(text) = world.next_text(client) {
                assert!(text.starts_with(r#"{"type":"room_message","#), "{text}");
                heard += 1;
            }
        }
    }
    assert_eq!(heard, 300 * 30 * 29);
    let stats = world.stats();
    assert_eq!(
        (stats.rate_limited, stats.refused, stats.dropped),
        (0, 0, 0)
    );
    assert_eq!(stats.clients, 30);
}
