//! Of how many shards a server is made, how slow their links are, and what goes wrong with them.

use std::collections::BTreeSet;

use super::{MS, between, pick};
use crate::rng::Rng;
use crate::sim::links::Lag;
use crate::sim::plan::{Act, Ask, ClientPlan, Plan, Shards, Trouble, Wish};

/// Makes a server of several shards out of half of the plans; of the others nothing changes.
pub(super) fn add(plan: &mut Plan) {
    let rng = &mut Rng::new(plan.seed ^ 0x5A2D_F00D);
    if rng.one_in(2) {
        return;
    }
    let count = pick(rng, &[2, 2, 2, 3, 3, 4, 5, 6, 7, 8]);
    let limits = &mut plan.config.limits;
    limits.max_relay_bytes = pick(rng, &[1 << 20, 1 << 20, 16 << 10, 2 << 10]);
    plan.config.timeouts.relay_ms = pick(rng, &[5_000, 5_000, 30_000, 300]);
    let lag = Lag {
        latency_us: pick(rng, &[0, 5, 50, 1_000]),
        jitter_us: pick(rng, &[0, 20, 500, 5_000]),
        burst_us: pick(rng, &[0, 0, 0, 10_000]),
    };
    let mut troubles = Vec::new();
    for _ in 0..pick(rng, &[0, 1, 3, 8]) {
        let at = rng.next() % plan.end_us;
        let shard = rng.below(usize::from(count)) as u8;
        troubles.push((at, stall(rng, count, shard)));
    }
    for _ in 0..pick(rng, &[0, 0, 0, 1, 1, 2, 3]) {
        let at = rng.next() % plan.end_us;
        let shard = rng.below(usize::from(count)) as u8;
        if rng.one_in(2) {
            // Somebody hears of it late, or is heard late.
            troubles.push((at, stall(rng, count, shard)));
        }
        let fails = [Trouble::Abandon(shard), Trouble::Cut(shard)];
        troubles.push((at, pick(rng, &fails)));
        if rng.one_in(4) {
            // Once more, while what its new life is told is still on its way.
            let again = at + between(rng, 100, 2_000) * MS;
            let from = (shard + 1) % count;
            troubles.push((at, Trouble::Stall(from, shard, again - at + 100 * MS)));
            troubles.push((again, Trouble::Cut(shard)));
        }
    }
    troubles.sort_by_key(|&(at, _)| at);
    plan.shards = Shards {
        count,
        lag,
        troubles,
    };
    let end_us = plan.end_us;
    for client in &mut plan.clients {
        ask_who_is_there(client, end_us);
    }
}

/// In the end clients ask who is in the rooms that they have joined, whatever has been lost before.
fn ask_who_is_there(client: &mut ClientPlan, end_us: u64) {
    let until: u64 = client.acts.iter().map(|(after, _)| after).sum();
    let Some(pause) = (end_us - LAST_LISTS_US).checked_sub(until) else {
        return; // it is busy until the end
    };
    let asks = client.acts.iter().filter_map(|(_, act)| match act {
        Act::Say(asks) => Some(asks),
        _ => None,
    });
    let rooms: BTreeSet<usize> = asks
        .flatten()
        .filter_map(|ask| match ask.what {
            Wish::Join(room) => Some(room),
            _ => None,
        })
        .collect();
    let ask = |room| Ask {
        what: Wish::Members(room),
        named: true,
    };
    let asks: Vec<Ask> = rooms.into_iter().map(ask).collect();
    if !asks.is_empty() {
        client.acts.push((pause, Act::Say(asks)));
    }
}

/// Before the end.
const LAST_LISTS_US: u64 = 1_500_000;

/// A link from a shard, or to it, that stalls.
fn stall(rng: &mut Rng, count: u8, shard: u8) -> Trouble {
    let others = usize::from(count) - 1;
    let other = (usize::from(shard) + 1 + rng.below(others)) % usize::from(count);
    let (from, to) = pick(rng, &[(shard, other as u8), (other as u8, shard)]);
    let least_ms = pick(rng, &[5, 5, 200, 1_000]);
    Trouble::Stall(from, to, MS * between(rng, least_ms, 4 * least_ms))
}
