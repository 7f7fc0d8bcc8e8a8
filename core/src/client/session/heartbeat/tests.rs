//! The policy alone: the dead are found, the living are not taken for dead.

use proptest::prelude::*;

use super::*;

fn at(ms: u64) -> Instant {
    Instant::from_micros(ms * 1_000)
}

fn heartbeat(interval_ms: u64, timeout_ms: u64) -> Heartbeat {
    Heartbeat::new(&SessionConfig {
        heartbeat_interval_ms: interval_ms,
        heartbeat_timeout_ms: timeout_ms,
        ..SessionConfig::new("example.com")
    })
}

/// A peer that answers pings after so long each, and is heard at other times, until it falls silent. When it is given
/// up; `None`: not within an hour.
fn given_up_at(
    mut heartbeat: Heartbeat,
    answers_after_ms: u64,
    heard_ms: &[u64],
    silent_from_ms: u64,
) -> Option<u64> {
    let mut now = 0;
    let mut ping = 0;
    let mut answers: Vec<(u64, u64)> = Vec::new();
    heartbeat.rest(at(0));
    while now < 3_600_000 {
        let due = heartbeat.due()?.as_micros() / 1_000;
        let answer = answers.first().map_or(u64::MAX, |(at, _)| *at);
        let heard = heard_ms.iter().find(|it| **it > now).copied();
        let heard = heard.unwrap_or(u64::MAX);
        now = due.min(answer).min(heard);
        if now == answer {
            let (_, id) = answers.remove(0);
            if now < silent_from_ms {
                heartbeat.answered(at(now), id);
            }
        } else if now == heard {
            if now < silent_from_ms {
                heartbeat.heard();
            }
        } else {
            match heartbeat.fire(at(now), true) {
                Action::Ask { last_time } => {
                    ping += 1;
                    heartbeat.asked(at(now), Some(ping), last_time);
                    answers.push((now + answers_after_ms, ping));
                }
                Action::GiveUp => return Some(now),
                Action::Nothing => {}
            }
        }
    }
    None
}

proptest! {
    /// covers A4-08
    #[test]
    fn the_dead_are_found_and_the_living_are_not(
        interval_ms in 1..60_000_u64,
        timeout_ms in 1..60_000_u64,
        answers_after_ms in 0..60_000_u64,
        mut heard_ms in prop::collection::vec(0..600_000_u64, 0..50),
        silent_from_ms in prop::option::of(0..600_000_u64),
    ) {
        heard_ms.sort_unstable();
        let policy = heartbeat(interval_ms, timeout_ms);
        let silent = silent_from_ms.unwrap_or(u64::MAX);
        let answers_in_time = answers_after_ms < timeout_ms;
        match given_up_at(policy, answers_after_ms, &heard_ms, silent) {
            None => prop_assert!(silent_from_ms.is_none() && answers_in_time),
            Some(found) if answers_in_time => {
                // Whoever answers in time is only given up when silent, and soon then.
                prop_assert!(found >= silent, "{found}");
                let most = (interval_ms + timeout_ms).max(2 * timeout_ms);
                prop_assert!(found <= silent.saturating_add(most), "{found}");
            }
            Some(_) => {}
        }
    }
}

#[test]
fn nothing_is_asked_when_it_is_off() {
    let mut policy = heartbeat(0, 1);
    policy.rest(at(0));
    assert_eq!((policy.due(), policy.is_resting()), (None, false));
    assert_eq!(policy.fire(at(1_000_000), true), Action::Nothing);
    let mut policy = heartbeat(10, 10);
    policy.rest(at(0));
    policy.stop();
    assert_eq!(policy.due(), None);
}

#[test]
fn a_ping_that_could_not_be_sent_has_no_answer() {
    let mut policy = heartbeat(10, 10);
    policy.rest(at(0));
    assert_eq!(policy.fire(at(10), true), Action::Ask { last_time: false });
    policy.asked(at(10), None, false);
    assert!(!policy.answered(at(11), 0));
    assert_eq!(policy.fire(at(20), true), Action::GiveUp);
    assert_eq!(policy.fire(at(20), false), Action::Ask { last_time: false });
    // A second of delay proves nothing, more is being held up.
    assert_eq!(policy.fire(at(1_020), true), Action::GiveUp);
    assert_eq!(
        policy.fire(at(1_021), true),
        Action::Ask { last_time: true }
    );
}
