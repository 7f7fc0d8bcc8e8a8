//! Tests of what the ends of shards come to.

use super::*;

const HOUR: Duration = Duration::from_secs(3_600);

// covers A8-01: shutdown waits, but where a server is to end at once
#[test]
fn there_is_time_left_where_all_shards_were_drained() {
    let drains = Drains::of(2);
    let left = drains.time_left(HOUR);
    assert_eq!(left(), Duration::ZERO);
    drains.begin();
    assert!(drains.filter(Event::Drained).0.is_none());
    assert_eq!(left(), Duration::ZERO);
    assert!(drains.filter(Event::Drained).0.is_some());
    assert!((Duration::from_secs(1)..=HOUR).contains(&left()));
    assert_eq!(drains.time_left(Duration::ZERO)(), Duration::ZERO);
}
