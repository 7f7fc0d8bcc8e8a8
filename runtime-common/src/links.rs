//! How the shards of one server reach each other across threads: bounded by credits, with one wake-up a batch.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use roomwire_core::{Input, Machine, Now, ShardId, Turn};

use crate::mailbox::Bell;

/// Relays that may be on their way from one shard to another.
const CREDITS: u32 = 16;

/// One shard's ends of the links to all others; none if it is alone.
pub struct Links<R> {
    /// By shard, without the own.
    ends: Vec<(ShardId, End<R>)>,
}

struct End<R> {
    out: Arc<Lane<R>>,
    into: Arc<Lane<R>>,
    /// Wakes the other shard.
    bell: Arc<Bell>,
}

/// What is on its way.
enum Letter<R> {
    Relay(R),
    /// The sender begins anew.
    Restarted(u16),
}

/// From one shard to another.
struct Lane<R> {
    relays: Mutex<VecDeque<Letter<R>>>,
    /// What the sender may send more than it knows.
    credits: AtomicU32,
}

impl<R> Clone for Links<R> {
    fn clone(&self) -> Self {
        Self {
            ends: self.ends.clone(),
        }
    }
}

impl<R> Clone for End<R> {
    fn clone(&self) -> Self {
        Self {
            out: Arc::clone(&self.out),
            into: Arc::clone(&self.into),
            bell: Arc::clone(&self.bell),
        }
    }
}

impl<R> fmt::Debug for Links<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = self.ends.iter().map(|(shard, _)| shard);
        f.debug_list().entries(to).finish()
    }
}

impl<R> Links<R> {
    /// Links each shard to each other; `bells` wake their loops.
    pub fn between(bells: &[Arc<Bell>]) -> Vec<Self> {
        let lanes: Vec<Vec<Arc<Lane<R>>>> = (bells.iter())
            .map(|_| bells.iter().map(|_| Arc::default()).collect())
            .collect();
        let shards = || (0..bells.len()).map(|shard| (shard, ShardId(shard as u8)));
        let end = |from: usize, to: usize| End {
            out: Arc::clone(&lanes[from][to]),
            into: Arc::clone(&lanes[to][from]),
            bell: Arc::clone(&bells[to]),
        };
        let ends = |from| {
            let others = shards().filter(|&(to, _)| to != from);
            others.map(|(to, id)| (id, end(from, to))).collect()
        };
        shards()
            .map(|(from, _)| Self { ends: ends(from) })
            .collect()
    }

    /// Tells all other shards that this one begins anew, for the so-manieth time.
    pub fn tell_restarted(&self, restarts: u16) {
        for (_, end) in &self.ends {
            end.out.queue().push_back(Letter::Restarted(restarts));
            // What was known of them is lost with the machine.
            end.out.credits.store(CREDITS, Ordering::Release);
            end.bell.ring();
        }
    }

    /// Takes what a machine has for another shard, and wakes that.
    pub fn carry<M: Machine<Relay = R>>(&self, machine: &mut M, to: ShardId) {
        let Some((_, end)) = self.ends.iter().find(|(shard, _)| *shard == to) else {
            return;
        };
        let mut any = false;
        while let Some(relay) = machine.take_relay(to) {
            end.out.queue().push_back(Letter::Relay(relay));
            any = true;
        }
        if any {
            end.bell.ring();
        }
    }

    /// Hands a machine what other shards have for it, until it is full. `true` if there may be more. Costs next to
    /// nothing if there is nothing.
    pub fn receive<M: Machine<Relay = R>>(&self, machine: &mut M, now: Now) -> bool {
        let mut more = false;
        for (shard, end) in &self.ends {
            let (to, from) = (*shard, *shard);
            if end.out.credits.load(Ordering::Relaxed) > 0 {
                let credits = end.out.credits.swap(0, Ordering::AcqRel);
                let _ = machine.handle(now, Input::LinkReady { to, credits });
            }
            let mut taken = 0;
            while let Some(letter) = end.into.next() {
                let input = match letter {
                    Letter::Relay(message) => {
                        taken += 1;
                        Input::Relay { from, message }
                    }
                    Letter::Restarted(restarts) => Input::Restarted {
                        shard: from,
                        restarts,
                    },
                };
                if machine.handle(now, input) == Turn::Full {
                    more = true;
                    break;
                }
            }
            if taken > 0 {
                let before = end.into.credits.fetch_add(taken, Ordering::AcqRel);
                // Whoever has none left is owed all of them by now.
                if before + taken >= CREDITS / 2 {
                    end.bell.ring();
                }
            }
        }
        more
    }
}

impl<R> Lane<R> {
    fn queue(&self) -> std::sync::MutexGuard<'_, VecDeque<Letter<R>>> {
        self.relays.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Letter<R>> {
        self.queue().pop_front()
    }
}

impl<R> Default for Lane<R> {
    fn default() -> Self {
        Self {
            relays: Mutex::default(),
            credits: AtomicU32::new(CREDITS),
        }
    }
}

#[cfg(test)]
mod tests;
