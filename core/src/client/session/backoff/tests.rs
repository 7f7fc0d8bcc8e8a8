//! Waits, and how they are spread.

use proptest::prelude::*;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::*;

#[test]
fn it_doubles_up_to_its_bound() {
    let config = SessionConfig::new("example.com");
    let waits: Vec<u64> = (0..7)
        .map(|attempts| longest(&config, attempts).as_secs())
        .collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
    for attempts in [63, 64, u32::MAX] {
        assert_eq!(longest(&config, attempts).as_secs(), 30);
    }
    let config = SessionConfig {
        reconnect_interval_ms: 0,
        ..config
    };
    assert_eq!(longest(&config, 1_000), Duration::ZERO);
}

/// covers A4-02: evenly over all of the wait, both ends included.
#[test]
fn any_part_of_the_wait_is_as_likely() {
    let mut rng = ChaCha12Rng::from_seed([7; 32]);
    let longest = Duration::from_secs(30);
    let (draws, buckets) = (100_000, 100);
    let mut counts = vec![0_i64; buckets];
    let mut sum = 0.0;
    for _ in 0..draws {
        let part = part_of(longest, rng.next_u64());
        assert!(part <= longest);
        sum += part.as_secs_f64();
        let bucket = part.as_micros() * buckets as u128 / 30_000_001;
        counts[usize::try_from(bucket).expect("a bucket")] += 1;
    }
    let mean = sum / f64::from(draws);
    assert!((14.9..15.1).contains(&mean), "{mean}");
    // A thousand each; six standard deviations are 189.
    assert!(
        counts.iter().all(|it| (it - 1_000).abs() < 190),
        "{counts:?}"
    );
    assert_eq!(part_of(longest, 0), Duration::ZERO);
    assert_eq!(part_of(longest, u64::MAX), longest);
    assert_eq!(part_of(Duration::ZERO, u64::MAX), Duration::ZERO);
}

proptest! {
    #[test]
    fn a_part_is_in_proportion(micros in 0..u64::from(u32::MAX), random: u64) {
        let longest = Duration::from_micros(micros);
        let part = part_of(longest, random);
        prop_assert!(part <= longest);
        let share = random as f64 / 2_f64.powi(64) * (micros as f64 + 1.0);
        prop_assert!((part.as_micros() as f64 - share).abs() <= 1.0);
    }
}

#[test]
fn most_codes_of_http_are_final() {
    let passing: Vec<u16> = (300..600)
        .filter(|status| !is_final_status(*status))
        .collect();
    let troubles = (500..600).filter(|status| !matches!(status, 501 | 505));
    let expected: Vec<u16> = [408, 425, 429].into_iter().chain(troubles).collect();
    assert_eq!(passing, expected);
}
