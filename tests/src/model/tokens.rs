//! A token bucket as one would explain it: it fills evenly, a message takes a token.

/// `count` tokens per `per_us` microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quota {
    pub count: u64,
    pub per_us: u64,
}

/// How full a bucket was when it was last looked at. A token is `per_us` parts, so that nothing is rounded.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tokens {
    missing: u64,
    at_us: u64,
}

impl Quota {
    pub(super) const fn new(count: u32, per_ms: u64) -> Self {
        Self {
            count: if count == 0 { 1 } else { count as u64 },
            per_us: per_ms * 1_000,
        }
    }

    /// Takes `cost` tokens, or says how many milliseconds until there are enough.
    pub(super) fn take(&self, tokens: Tokens, now_us: u64, cost: u64) -> Result<Tokens, u64> {
        let refilled = (now_us - tokens.at_us).saturating_mul(self.count);
        let missing = tokens.missing.saturating_sub(refilled) + cost.min(self.count) * self.per_us;
        let over = missing.saturating_sub(self.count * self.per_us);
        if over == 0 {
            Ok(Tokens {
                missing,
                at_us: now_us,
            })
        } else {
            Err(over.div_ceil(self.count).div_ceil(1_000))
        }
    }
}
