//! Seeds that once showed something wrong, in the server or in what was believed of it.

use roomwire_tests::sim::{Nature, Plan, run};

/// The plan of a seed as it was before clients of newer natures were added, and shards.
fn old(seed: u64) -> Plan {
    let mut plan = one_shard(seed);
    plan.clients.retain(|client| {
        !matches!(
            client.nature,
            Nature::Deaf
                | Nature::Hasty
                | Nature::Herald
                | Nature::Late
                | Nature::Mover
                | Nature::Porter
        )
    });
    plan
}

/// The plan of a seed as it was before there were several shards.
fn one_shard(seed: u64) -> Plan {
    Plan::generate(seed).alone()
}

fn passes(plan: &Plan) {
    run(plan).unwrap_or_else(|failure| panic!("{failure}"));
}

/// A close frame behind the message for which its sender was throttled is read with what comes later: until
/// then the client is there, and the oracle believed otherwise.
#[test]
fn a_close_frame_of_a_client_that_is_throttled() {
    for seed in [5_001_108, 5_002_036, 5_004_324, 5_007_504, 5_007_568] {
        passes(&old(seed));
    }
}

/// The response to an upgrade that leaves late is where the time of pings begins; the oracle counted from the
/// request.
#[test]
fn a_response_that_is_not_read_for_a_while() {
    for seed in [8_000_923, 8_000_975] {
        passes(&one_shard(seed));
    }
}

/// Who leaves a room, comes back, and says what it has of a file before it hears that it was out, has accepted the file
/// anew; the oracle believed that only of those who are too slow.
#[test]
fn credit_that_crosses_the_news_of_having_left() {
    passes(&Plan::generate(1_796_100_001_433));
}
