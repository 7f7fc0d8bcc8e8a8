//! Names and defaults.

use super::*;

/// covers A4-01: under these names.
#[test]
fn the_defaults_are_those_of_the_guide() {
    let config = SessionConfig::new("example.com");
    assert_eq!(config.reconnect_interval_ms, 1_000);
    assert_eq!(config.max_reconnect_attempts, Some(5));
    assert_eq!(config.heartbeat_interval_ms, 30_000);
    assert_eq!(config.batching, None);
    let bounds = (config.max_batch_messages, config.max_room_name_bytes);
    assert_eq!(bounds, (4_096, 4_096));
    let batching = Batching::default();
    assert_eq!((batching.interval_ms, batching.max_messages), (50, 100));
    config.check().expect("a config");
}

/// covers A4-02 and A0-7: or there is always another attempt.
#[test]
fn there_is_a_preset_that_never_gives_up() {
    let config = SessionConfig::unlimited("example.com");
    assert_eq!(config.max_reconnect_attempts, None);
    config.check().expect("a config");
}

#[test]
fn bounds_are_what_an_error_says() {
    for (count, is_allowed) in [
        (0, false),
        (1, true),
        (1 << 20, true),
        ((1 << 20) + 1, false),
    ] {
        let config = SessionConfig {
            max_rooms: count,
            ..SessionConfig::new("example.com")
        };
        let outcome = config.check().map_err(|error| error.to_string());
        let error = format!("max_rooms = {count}: allowed is 1 to 1048576");
        assert_eq!(outcome, if is_allowed { Ok(()) } else { Err(error) });
    }
}

#[test]
fn what_is_spoken_can_be_chosen() {
    let binary = SessionConfig::binary("example.com");
    let offered = [BINARY_PROTOCOL, JSON_PROTOCOL];
    assert_eq!(binary.connection.protocols, offered);
    binary.check().expect("a config");
    let mut config = SessionConfig::new("example.com");
    config
        .connection
        .protocols
        .push("roomwire.tea.v1".to_owned());
    let error = config.check().map_err(|error| error.key);
    assert_eq!(error, Err("connection.protocols".to_owned()));
    config.connection.protocols.clear();
    config.check().expect("a config");
    config.max_batch_messages = 0;
    let error = config.check().map_err(|error| error.key);
    assert_eq!(error, Err("max_batch_messages".to_owned()));
    config.max_batch_messages = 1;
    config.max_room_name_bytes = 0;
    let error = config.check().map_err(|error| error.key);
    assert_eq!(error, Err("max_room_name_bytes".to_owned()));
    config.max_room_name_bytes = 1;
    config.credentials_timeout_ms = Some(0);
    let error = config.check().map_err(|error| error.key);
    assert_eq!(error, Err("credentials_timeout_ms".to_owned()));
}
