//! Configurations with one value that may be beyond its bounds: refused exactly then, and by its name.

use roomwire_core::client::session::{Batching, Session, SessionConfig};
use roomwire_core::{Instant, Now};

use crate::input::Choices;

/// Which value, and what it is.
pub(super) fn check(choices: &mut Choices<'_>) {
    let mut config = SessionConfig::unlimited("a");
    config.batching = Some(Batching::default());
    let (key, least, most) = BOUNDS[choices.below(BOUNDS.len())];
    let value = choices.number();
    set(&mut config, key, value);
    let now = Now {
        mono: Instant::from_micros(1),
        unix_ms: 0,
    };
    let refused = Session::new(config, [7; 32], now).err();
    assert_eq!(
        refused.is_none(),
        (least..=most).contains(&value),
        "{key} = {value}"
    );
    if let Some(error) = refused {
        assert_eq!((error.key.as_str(), error.value), (key, value.to_string()));
        assert_eq!(error.allowed, format!("{least} to {most}"));
    }
    // It speaks these two, and nothing else.
    let mut config = SessionConfig::binary("a");
    assert!(Session::new(config.clone(), [7; 32], now).is_ok());
    config.connection.protocols.push(format!("p{value}"));
    let error = Session::new(config, [7; 32], now).expect_err("another");
    assert_eq!(error.key, "connection.protocols");
    assert!(error.value.contains(&value.to_string()));
}

fn set(config: &mut SessionConfig, key: &str, value: u64) {
    let count = value as usize;
    let batching = config.batching.get_or_insert_default();
    match key {
        "reconnect_interval_ms" => config.reconnect_interval_ms = value,
        "max_reconnect_delay_ms" => config.max_reconnect_delay_ms = value,
        "max_hint_ms" => config.max_hint_ms = value,
        "connect_timeout_ms" => config.connect_timeout_ms = value,
        "stable_after_ms" => config.stable_after_ms = value,
        "close_timeout_ms" => config.close_timeout_ms = value,
        "heartbeat_interval_ms" => config.heartbeat_interval_ms = value,
        "heartbeat_timeout_ms" => config.heartbeat_timeout_ms = value,
        "queue_age_ms" => config.queue_age_ms = value,
        "credentials_timeout_ms" => config.credentials_timeout_ms = Some(value),
        "max_in_flight" => config.max_in_flight = count,
        "max_rooms" => config.max_rooms = count,
        "max_room_name_bytes" => config.max_room_name_bytes = count,
        "joins_at_once" => config.joins_at_once = count,
        "max_batch_messages" => config.max_batch_messages = count,
        "max_queued_events" => config.max_queued_events = count,
        "queue_messages" => config.queue_messages = count,
        "batching.interval_ms" => batching.interval_ms = value,
        "batching.max_messages" => batching.max_messages = count,
        _ => config.connection.max_unsent_bytes = count,
    }
}

/// A year and a day.
const MAX_MS: u64 = 31_622_400_000;
const MAX_COUNT: u64 = 1_048_576;

/// Names, least and most, written down a second time on purpose.
const BOUNDS: [(&str, u64, u64); 20] = [
    ("reconnect_interval_ms", 0, MAX_MS),
    ("max_reconnect_delay_ms", 0, MAX_MS),
    ("max_hint_ms", 0, MAX_MS),
    ("connect_timeout_ms", 1, MAX_MS),
    ("stable_after_ms", 0, MAX_MS),
    ("close_timeout_ms", 1, MAX_MS),
    ("heartbeat_interval_ms", 0, MAX_MS),
    ("heartbeat_timeout_ms", 1, MAX_MS),
    ("queue_age_ms", 0, MAX_MS),
    ("credentials_timeout_ms", 1, MAX_MS),
    ("max_in_flight", 1, MAX_COUNT),
    ("max_rooms", 1, MAX_COUNT),
    ("max_room_name_bytes", 1, MAX_COUNT),
    ("joins_at_once", 1, MAX_COUNT),
    ("max_batch_messages", 1, MAX_COUNT),
    ("max_queued_events", 1, MAX_COUNT),
    ("queue_messages", 0, MAX_COUNT),
    ("batching.interval_ms", 0, MAX_MS),
    ("batching.max_messages", 1, MAX_COUNT),
    ("connection.max_unsent_bytes", 1_024, u64::MAX),
];
