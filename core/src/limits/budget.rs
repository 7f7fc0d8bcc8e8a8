//! A ledger of bytes (or anything else that is taken and given back) with a cap.

#[cfg(test)]
mod tests;

/// How much is in use, how much may be. Every call is O(1) and saturates.
///
/// Charging past the cap is allowed: what arrived is there. [`over`](Self::over) then asks the owner to free
/// something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    cap_bytes: usize,
    used_bytes: usize,
    peak_bytes: usize,
    mismatches: u64,
}

impl Budget {
    /// Nothing in use, of at most `cap_bytes`.
    pub const fn new(cap_bytes: usize) -> Self {
        Self {
            cap_bytes,
            used_bytes: 0,
            peak_bytes: 0,
            mismatches: 0,
        }
    }

    /// Takes `bytes`.
    pub const fn charge(&mut self, bytes: usize) {
        let Some(used_bytes) = self.used_bytes.checked_add(bytes) else {
            self.used_bytes = usize::MAX;
            self.peak_bytes = usize::MAX;
            self.mismatches = self.mismatches.saturating_add(1);
            return;
        };
        self.used_bytes = used_bytes;
        if used_bytes > self.peak_bytes {
            self.peak_bytes = used_bytes;
        }
    }

    /// Gives `bytes` back.
    pub const fn release(&mut self, bytes: usize) {
        let Some(used_bytes) = self.used_bytes.checked_sub(bytes) else {
            self.used_bytes = 0;
            self.mismatches = self.mismatches.saturating_add(1);
            return;
        };
        self.used_bytes = used_bytes;
    }

    /// Whether more is in use than may be.
    pub const fn over(&self) -> bool {
        self.used_bytes > self.cap_bytes
    }

    /// Whether `bytes` more would stay within the cap.
    pub const fn fits(&self, bytes: usize) -> bool {
        self.used_bytes.saturating_add(bytes) <= self.cap_bytes
    }

    /// The most that may be in use.
    pub const fn cap_bytes(&self) -> usize {
        self.cap_bytes
    }

    /// What is in use.
    pub const fn used_bytes(&self) -> usize {
        self.used_bytes
    }

    /// The most that ever was in use.
    pub const fn peak_bytes(&self) -> usize {
        self.peak_bytes
    }

    /// How often more was given back than was taken, or more taken than a number can hold: 0 unless the
    /// owner counts wrongly.
    pub const fn mismatches(&self) -> u64 {
        self.mismatches
    }
}
