//! A count of work, for tests that show that it does not grow with how many connections there are.
//!
//! Without the feature `count-steps` a [`Steps`] has no size and counting compiles to nothing. One step is a
//! connection, member, queue node, timer, deadline or room looked at, or one operation on a map. Bytes are not
//! counted: how long messages are is no matter of how many connections there are. Nor is what a vector or a
//! table moves when it grows, which is constant on average.

/// The work that one structure has done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Steps {
    #[cfg(feature = "count-steps")]
    count: core::cell::Cell<u64>,
}

impl Steps {
    pub(crate) const fn new() -> Self {
        Self {
            #[cfg(feature = "count-steps")]
            count: core::cell::Cell::new(0),
        }
    }

    /// Counts one step.
    #[inline(always)]
    pub(crate) fn one(&self) {
        self.many(1);
    }

    /// Counts `steps` steps.
    #[inline(always)]
    #[cfg_attr(
        not(feature = "count-steps"),
        expect(unused_variables, clippy::unused_self, reason = "nothing is counted")
    )]
    pub(crate) fn many(&self, steps: usize) {
        #[cfg(feature = "count-steps")]
        self.count.set(self.count.get() + steps as u64);
    }

    /// What has been counted.
    #[cfg(feature = "count-steps")]
    pub(crate) fn count(&self) -> u64 {
        self.count.get()
    }
}
