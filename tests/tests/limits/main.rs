//! Every limit by itself: all others raised, at the limit and one past it.

mod defaults;
mod flush;
mod gathering;
mod messages;
mod queues;
mod rates;
mod requests;
mod rooms;
mod times;

use roomwire_core::Config;
use roomwire_core::config::{Limits, RateLimit, RoomNames, Timeouts};
use roomwire_tests::{Peer, World};

/// A config with every limit raised as far as it goes, but for those that `lower` lowers.
fn only(lower: impl FnOnce(&mut Config)) -> Config {
    let mut config = Config {
        limits: Limits {
            max_connections: None,
            max_connections_per_ip: Some(1 << 24),
            max_head_bytes: 1024 * 1024,
            max_headers: 128,
            max_body_bytes: 1024 * 1024 * 1024,
            max_message_bytes: 16 * 1024 * 1024,
            max_frame_bytes: None,
            max_json_depth: 127,
            max_json_fields: 65_536,
            max_id_bytes: 512,
            max_batch_messages: 65_536,
            max_rooms_per_client: 1_000_000,
            max_members_per_room: 1 << 24,
            max_rooms: 1 << 24,
            max_members_listed: 10_000,
            max_history_listed: 10_000,
            max_history_bytes: 1 << 30,
            max_metadata_bytes: 1024 * 1024,
            max_metadata_keys: 10_000,
            max_user_bytes: 65_536,
            max_key_bytes: 65_536,
            max_queued_bytes: 64 * 1024 * 1024,
            max_queued_messages: 1 << 24,
            max_buffered_bytes: 1024 * 1024 * 1024,
            max_relay_bytes: 1024 * 1024 * 1024,
            max_queued_events: 1 << 20,
            max_queued_event_bytes: 1024 * 1024 * 1024,
            max_pending_requests: 65_536,
            max_bad_messages: 1_000_000_000,
            max_unknown_types: None,
            max_idle_addresses: 1 << 24,
        },
        timeouts: Timeouts {
            handshake_ms: DAY_MS,
            keep_alive_ms: DAY_MS,
            linger_ms: DAY_MS,
            message_ms: DAY_MS,
            welcome_delay_ms: 10,
            typing_ms: DAY_MS,
            application_reply_ms: DAY_MS,
            relay_ms: DAY_MS,
        },
        rate_limit: RateLimit::off(),
        room_names: RoomNames {
            max_bytes: 4_096,
            ..RoomNames::default()
        },
        ..Config::default()
    };
    lower(&mut config);
    config
}

/// The code of the close frame that a client got.
fn close_code(world: &World, peer: Peer) -> Option<u16> {
    world.close_frame(peer).map(|(code, _)| code)
}

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
