//! Tests of the connection cap.

use roomwire_core::Config;

use super::*;

#[test]
fn the_cap_leaves_room_for_the_rest() {
    assert_eq!(connection_cap(1_024), 960);
    assert_eq!(connection_cap(65), 1);
    assert_eq!(connection_cap(64), 1);
    assert_eq!(connection_cap(0), 1);
}

#[test]
fn every_cap_is_a_valid_setting() {
    for limit in [0, 1_024, u64::MAX] {
        let mut config = Config::default();
        config.limits.max_connections = Some(connection_cap(limit));
        assert!(config.validate().is_ok(), "{limit}");
    }
}
