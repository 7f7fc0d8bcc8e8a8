//! Whatever happens in the small world, what it checks holds, and it ends.

use core::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::world::{Ended, PeerPlan, Scenario, SenderPlan, World};
use crate::files::{Outcome, Rules};

const MS: u64 = 1_000;

fn rules() -> impl Strategy<Value = Rules> {
    let sizes = (64u32..4_096, 2u32..16, 1u32..5, 1u32..5);
    let counts = (1u32..4, 0u64..300, 0u64..50, 1u64..100);
    (sizes, counts).prop_map(
        |((chunk, window, request, requested), (streams, patience, gather, progress))| Rules {
            max_window_bytes: chunk * window,
            request_bytes: chunk * request,
            max_requested_bytes: chunk * request * requested,
            chunk_bytes: chunk,
            max_streams: streams,
            max_receivers: 100,
            patience: Duration::from_millis(patience),
            gather: Duration::from_millis(gather),
            idle: Duration::from_millis(5_000),
            resume: Duration::from_millis(2_000),
            progress_interval: Duration::from_millis(progress),
        },
    )
}

fn sender() -> impl Strategy<Value = SenderPlan> {
    let losses = vec((0..2_000 * MS, 0..2_500 * MS), 0..3);
    (0u64..5_000, 0..20 * MS, any::<bool>(), losses).prop_map(
        |(us_per_kib, delay_us, any_chunks, losses)| SenderPlan {
            us_per_kib,
            delay_us,
            any_chunks,
            losses,
        },
    )
}

fn peer() -> impl Strategy<Value = PeerPlan> {
    let comes = prop_oneof![2 => Just(0), 1 => 0..100 * MS, 1 => 0..2_000 * MS];
    let has = prop_oneof![4 => Just(0usize), 1 => 0usize..100_000];
    let pace = prop_oneof![2 => 0u64..2_000, 1 => 0u64..40_000];
    let stall = option::weighted(0.3, (0usize..60_000, 0..7_000 * MS));
    let leaves = vec((0usize..60_000, 0..1_500 * MS, any::<bool>()), 0..3);
    (
        comes,
        has,
        pace,
        1u32..80_000,
        1usize..20_000,
        stall,
        leaves,
    )
        .prop_map(
            |(comes_at_us, has, us_per_kib, window_bytes, credit_every_bytes, stall, leaves)| {
                PeerPlan {
                    comes_at_us,
                    has,
                    us_per_kib,
                    window_bytes,
                    credit_every_bytes,
                    in_steps: false,
                    stall,
                    leaves,
                }
            },
        )
}

fn scenario() -> impl Strategy<Value = Scenario> {
    let size = prop_oneof![1 => Just(0usize), 1 => 1usize..3_000, 6 => 1usize..80_000];
    (rules(), size, any::<u64>(), sender(), vec(peer(), 0..7)).prop_map(
        |(rules, size, seed, sender, peers)| Scenario {
            rules,
            size,
            seed,
            sender,
            peers,
        },
    )
}

/// What nothing that goes wrong can take longer than: the slowest reader reads everything as often as anybody comes,
/// and everybody is silent as long as may be as often.
fn bound_us(scenario: &Scenario) -> u64 {
    let kib = scenario.size as u64 / 1_024 + 1;
    let lives: u64 = scenario
        .peers
        .iter()
        .map(|p| 1 + p.leaves.len() as u64)
        .sum();
    let read: u64 = scenario
        .peers
        .iter()
        .map(|p| p.us_per_kib * kib * (1 + p.leaves.len() as u64))
        .sum();
    // In the smallest pieces that there are, each with a delay.
    let chunks = kib * 1_024 * (lives + 1);
    let send = scenario.sender.us_per_kib * kib * (lives + 1) + scenario.sender.delay_us * chunks;
    let lost: u64 = scenario.sender.losses.iter().map(|loss| loss.1).sum();
    read + send + lost + 7_000 * MS * (2 * lives + 4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn every_copy_is_exact_or_told_to_have_failed(scenario in scenario()) {
        let bound = bound_us(&scenario);
        let plans = scenario.peers.clone();
        let (size, rules) = (scenario.size, scenario.rules);
        let Ended { outcome, at_us, completed_at_us, .. } = World::new(scenario).run();
        prop_assert!(at_us <= bound, "{at_us} > {bound}");
        // Nothing goes wrong where nobody does.
        let all_well = plans.iter().all(|plan| {
            plan.stall.is_none() && plan.leaves.is_empty() && plan.comes_at_us == 0
                && plan.window_bytes >= rules.chunk_bytes.min(size as u32)
        });
        if all_well && !plans.is_empty() && outcome != Outcome::Lost {
            prop_assert!(completed_at_us.iter().all(Option::is_some), "{outcome:?}");
        }
    }
}

/// A group of fast receivers: when the last of them has completed, and how much the sender has sent.
fn group(fast: usize, slow: Option<u64>, scenario: &Scenario) -> (u64, u64) {
    let mut scenario = scenario.clone();
    let plan = scenario.peers[0].clone();
    scenario.peers = vec![plan.clone(); fast];
    if let Some(times) = slow {
        scenario.peers.push(PeerPlan {
            us_per_kib: plan.us_per_kib * times,
            ..plan
        });
    }
    let ended = World::new(scenario).run();
    let finished = ended.completed_at_us[..fast]
        .iter()
        .map(|at| at.expect("completes"));
    (finished.max().expect("some"), ended.sent_bytes)
}

fn even(us_per_kib: u64, sender_us_per_kib: u64, delay_us: u64, size: usize) -> Scenario {
    Scenario {
        rules: Rules {
            max_window_bytes: 16 * 1_024,
            request_bytes: 4 * 1_024,
            max_requested_bytes: 16 * 1_024,
            chunk_bytes: 1_024,
            max_streams: 2,
            max_receivers: 100,
            patience: Duration::from_millis(200),
            gather: Duration::from_millis(10),
            idle: Duration::from_secs(60),
            resume: Duration::from_secs(60),
            progress_interval: Duration::from_millis(100),
        },
        size,
        seed: 1,
        sender: SenderPlan {
            us_per_kib: sender_us_per_kib,
            delay_us,
            any_chunks: false,
            losses: Vec::new(),
        },
        peers: vec![PeerPlan {
            comes_at_us: 0,
            has: 0,
            us_per_kib,
            window_bytes: 16 * 1_024,
            credit_every_bytes: 1,
            in_steps: false,
            stall: None,
            leaves: Vec::new(),
        }],
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_slow_receiver_slows_its_own_copy(
        fast in 1usize..6,
        pace in 20u64..2_000,
        sender in 0u64..2_000,
        delay in 0u64..2_000,
        size in 1usize..1_000_000,
        step in prop_oneof![Just(1), 1usize..8 * 1_024],
    ) {
        let mut scenario = even(pace, sender, delay, size);
        scenario.peers[0].credit_every_bytes = step;
        scenario.peers[0].in_steps = true;
        let (alone, _) = group(fast, None, &scenario);
        let (with_slow, _) = group(fast, Some(50), &scenario);
        let patience = 200 * MS;
        prop_assert!(
            with_slow <= alone * 3 / 2 + patience,
            "{with_slow} us with a slow one, {alone} us without"
        );
    }

    #[test]
    fn receivers_that_are_about_as_fast_share_every_piece(
        fast in 2usize..6,
        pace in 100u64..2_000,
        sender in 0u64..1_000,
        size in 1usize..300_000,
    ) {
        let scenario = even(pace, sender, 0, size);
        let (_, sent) = group(fast, None, &scenario);
        prop_assert_eq!(sent, size as u64);
        // One that takes a fifth longer holds the others up now and then.
        let mut scenario = scenario;
        scenario.peers = vec![scenario.peers[0].clone(); fast];
        scenario.peers[0].us_per_kib = pace * 6 / 5;
        let ended = World::new(scenario).run();
        prop_assert_eq!(ended.sent_bytes, size as u64);
    }
}
