//! Makes a plan that fails smaller, one part at a time, while it still fails.

use super::host::Driving;
use super::links::Lag;
use super::plan::{Act, Plan, Trouble};

/// The smallest plan that was found for which `fails` holds, in at most `runs` calls of it.
///
/// Tried are, in halves and then ever smaller: fewer clients, fewer commands, less trouble between shards, fewer acts
/// of a client, fewer requests of an act, shorter files; fewer shards, links without delay, no pool, and the usual driver. A client that is dropped keeps its number, so that what is said
/// of the others stays true. What remains keeps its time.
pub fn shrink(plan: &Plan, runs: usize, mut fails: impl FnMut(&Plan) -> bool) -> Plan {
    let mut search = Search {
        best: plan.clone(),
        left: runs,
        fails: &mut fails,
    };
    loop {
        let before = size(&search.best);
        search.shards();
        search.clients();
        search.commands();
        search.troubles();
        for client in 0..search.best.clients.len() {
            search.acts(client);
        }
        search.asks();
        search.simplify();
        if search.left == 0 || size(&search.best) >= before {
            return search.best;
        }
    }
}

/// How much there is in a plan.
pub fn size(plan: &Plan) -> usize {
    let acts = plan.clients.iter().flat_map(|client| &client.acts);
    let acts = acts.map(|(_, act)| match act {
        Act::Say(asks) => 1 + asks.len(),
        _ => 1,
    });
    acts.sum::<usize>() + plan.commands.len() + plan.shards.troubles.len()
}

struct Search<'a> {
    best: Plan,
    left: usize,
    fails: &'a mut dyn FnMut(&Plan) -> bool,
}

impl Search<'_> {
    /// Takes a candidate if it fails too.
    fn attempt(&mut self, candidate: Plan) -> bool {
        if self.left == 0 || candidate == self.best {
            return false;
        }
        self.left -= 1;
        let smaller = (self.fails)(&candidate);
        if smaller {
            self.best = candidate;
        }
        smaller
    }

    /// Removes runs of what `length` counts, first half of them, then ever fewer.
    fn remove(
        &mut self,
        length: impl Fn(&Plan) -> usize,
        without: impl Fn(&mut Plan, usize, usize),
    ) {
        let mut piece = length(&self.best).div_ceil(2);
        while piece > 0 {
            let mut at = 0;
            while at < length(&self.best) && self.left > 0 {
                let mut candidate = self.best.clone();
                let end = (at + piece).min(length(&self.best));
                without(&mut candidate, at, end);
                if !self.attempt(candidate) || length(&self.best) >= end {
                    at = end;
                }
            }
            piece /= 2;
        }
    }

    fn clients(&mut self) {
        self.remove(
            |plan| plan.clients.len(),
            |plan, from, to| {
                for client in &mut plan.clients[from..to] {
                    client.acts.clear();
                }
            },
        );
    }

    fn commands(&mut self) {
        self.remove(
            |plan| plan.commands.len(),
            |plan, from, to| drop(plan.commands.drain(from..to)),
        );
    }

    fn troubles(&mut self) {
        self.remove(
            |plan| plan.shards.troubles.len(),
            |plan, from, to| drop(plan.shards.troubles.drain(from..to)),
        );
    }

    /// The fewest shards with which it still fails, and links that are as good as they can be.
    fn shards(&mut self) {
        let counts = 1..self.best.shards.count;
        for count in counts {
            let mut candidate = self.best.clone();
            candidate.shards.count = count;
            let there = |trouble: Trouble| match trouble {
                Trouble::Stall(from, to, _) => from.max(to) < count,
                Trouble::Abandon(shard) | Trouble::Cut(shard) => shard < count && count > 1,
            };
            let troubles = &mut candidate.shards.troubles;
            troubles.retain(|&(_, trouble)| there(trouble));
            if self.attempt(candidate) {
                break;
            }
        }
        let mut candidate = self.best.clone();
        candidate.shards.lag = Lag::default();
        self.attempt(candidate);
    }

    fn acts(&mut self, client: usize) {
        self.remove(
            |plan| plan.clients[client].acts.len(),
            |plan, from, to| {
                let acts = &mut plan.clients[client].acts;
                let skipped: u64 = acts.drain(from..to).map(|(after, _)| after).sum();
                if let Some((after, _)) = acts.get_mut(from) {
                    *after += skipped;
                }
            },
        );
    }

    fn asks(&mut self) {
        for client in 0..self.best.clients.len() {
            for act in 0..self.best.clients[client].acts.len() {
                self.remove(
                    |plan| asks_of(plan, client, act),
                    |plan, from, to| {
                        if let Act::Say(asks) = &mut plan.clients[client].acts[act].1 {
                            asks.drain(from..to);
                        }
                    },
                );
            }
        }
    }

    fn simplify(&mut self) {
        let mut candidate = self.best.clone();
        candidate.driving = Driving::default();
        self.attempt(candidate);
        self.attempt(self.best.clone().without_pool());
        for client in 0..self.best.clients.len() {
            let mut candidate = self.best.clone();
            candidate.clients[client].fragments = 1;
            self.attempt(candidate);
        }
        for client in 0..self.best.clients.len() {
            for act in 0..self.best.clients[client].acts.len() {
                self.parcel(client, act);
            }
        }
    }

    /// A shorter file, if that is one.
    fn parcel(&mut self, client: usize, act: usize) {
        loop {
            let mut candidate = self.best.clone();
            let Some((_, Act::Offer(parcel))) = candidate.clients[client].acts.get_mut(act) else {
                return;
            };
            parcel.size /= 2;
            if !self.attempt(candidate) {
                return;
            }
        }
    }
}

fn asks_of(plan: &Plan, client: usize, act: usize) -> usize {
    match plan.clients[client].acts.get(act) {
        Some((_, Act::Say(asks))) if asks.len() > 1 => asks.len(),
        _ => 0,
    }
}
