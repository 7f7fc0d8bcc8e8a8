//! Tests of the clock.

use super::*;

#[test]
fn both_clocks_are_read() {
    let clock = ClockBase::new();
    let (first, second) = (clock.now(), clock.now());
    assert!(first.mono <= second.mono);
    // 2020-01-01: the machine's clock is set.
    assert!(first.unix_ms > 1_577_836_800_000);
}

#[test]
fn sleeping_until_a_deadline_makes_it_due() {
    let clock = ClockBase::new();
    let deadline = clock.now().mono + Duration::from_micros(2_500);
    assert!(clock.until(deadline) <= Duration::from_micros(2_500));
    std::thread::sleep(clock.until(deadline));
    assert!(clock.now().mono >= deadline);
    assert_eq!(clock.until(deadline), Duration::ZERO);
}

#[test]
fn instants_survive_the_way_there_and_back() {
    let clock = ClockBase::new();
    let instant = roomwire_core::Instant::from_micros(123_456_789);
    assert_eq!(
        clock.to_std(instant).map(|i| clock.to_core(i)),
        Some(instant)
    );
    let before = clock.epoch.checked_sub(Duration::from_millis(1));
    assert_eq!(
        before.map(|i| clock.to_core(i)),
        Some(roomwire_core::Instant::ZERO)
    );
}

#[test]
fn the_far_future_is_a_long_sleep_and_no_panic() {
    let clock = ClockBase::new();
    let far = roomwire_core::Instant::FAR_FUTURE;
    assert!(clock.until(far) > Duration::from_secs(1_000_000_000));
    let _ = clock.to_std(far);
}
