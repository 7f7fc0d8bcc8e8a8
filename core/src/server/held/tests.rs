use super::*;

#[test]
fn large_rooms_gather_for_as_long_as_is_worth_it() {
    for (members, shards, millis) in [
        (0, 0, 0),
        (499, 0, 0),
        (500, 0, 1),
        (1_000, 0, 1),
        (1_500, 1, 2),
        (10_000, 0, 10),
        (1_000_000, 0, 10),
        (124, 2, 0),
        (125, 2, 1),
        (1_000, 2, 4),
        (1_000, 8, 1),
        (1_000, 16, 1),
        (20_000, 16, 10),
        (1_000_000, 255, 10),
    ] {
        let expected = Duration::from_millis(millis);
        assert_eq!(gathering(members, shards), expected, "{members}, {shards}");
    }
}

#[test]
fn a_moment_ends_after_now_and_within_its_length() {
    for micros in [0, 1, 999, 1_000, 1_001, 123_456_789] {
        let (now, of) = (Instant::from_micros(micros), Duration::from_millis(1));
        let end = next_multiple(now, of);
        assert!(end > now && end <= now + of);
        assert_eq!(end.as_micros() % 1_000, 0);
    }
}
