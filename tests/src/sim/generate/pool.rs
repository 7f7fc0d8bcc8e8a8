//! Whether the drivers of a server have a pool, how many jobs it takes at once, how late they are done, and which fail.

use super::{MS, pick};
use crate::rng::Rng;
use crate::sim::plan::{Plan, Pool};

/// Gives the drivers of a third of the plans a pool; of the others nothing changes.
pub(super) fn add(plan: &mut Plan) {
    let rng = &mut Rng::new(plan.seed ^ 0x0FF1_0AD5);
    if !rng.one_in(3) {
        return;
    }
    plan.pool = Pool {
        jobs: pick(rng, &[1, 1, 2, 16]),
        most_us: pick(rng, &[0, 200, 20 * MS, 300 * MS]),
        fails: pick(rng, &[0, 0, 0, 8]),
    };
    plan.config.offload.min_bytes = pick(rng, &[1_024, 1_024, 2_048]);
}
