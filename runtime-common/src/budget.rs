//! How much an adapter does in one turn before it looks at everything else again.
//!
//! One busy socket must not keep the others waiting, nor a flood of connections the ones that stand. The
//! numbers are the same in every adapter.

use std::time::Duration;

use roomwire_core::Instant;

use crate::clock::ClockBase;

/// Bytes of the one read buffer of a thread. It is lent to the core for each read and belongs to no connection.
pub const READ_BUFFER_BYTES: usize = 64 * 1024;

/// Bytes of the read buffer that each client has, unless it shares that of a thread.
pub const CLIENT_BUFFER_BYTES: usize = 16 * 1024;

/// Reads of one busy socket in one turn: at most 256 KiB before the next socket has its turn. One that has just
/// become readable is read once, and is busy if that fills the buffer.
pub const READS_PER_SOCKET: u32 = 4;

/// Busy sockets that go on in one turn, at most 1 MiB together, behind all that have just become readable. The others
/// wait in a line: what somebody says does not wait until fifty files have each sent another piece.
pub const BUSY_SOCKETS_PER_TURN: usize = 4;

/// Connections accepted in one turn, over all listeners of a thread.
pub const ACCEPTS_PER_TURN: u32 = 64;

/// How long accepting rests when a connection could not be accepted for want of descriptors or memory.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Outputs polled in one turn. Large enough for a whole round of a busy room, small enough (some
/// milliseconds of writes) that pings and new bytes are still looked at in time.
pub const OUTPUTS_PER_TURN: u32 = 4_096;

/// How long a turn may take. Outputs differ: between two of them a machine may work through 64 KiB of small
/// messages, so their number alone bounds nothing. Long enough for a thousand writes and more on a slow machine: where
/// a round is cut, what is read meanwhile goes to one part of the members now and to the other in a round of its
/// own, and messages that would have shared a write do so no more.
pub const TURN_TIME: Duration = Duration::from_millis(20);

/// Slices handed to one vectored write. Linux takes up to 1,024; past some dozens a longer list gains nothing.
pub const SLICES_PER_WRITE: usize = 64;

/// A flag for the write of a connection's last bytes: the end of the connection follows at once and may share
/// their packet (`MSG_MORE`). Nothing where the system has no such flag.
pub const SEND_MORE: i32 = {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        libc::MSG_MORE
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        0
    }
};

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnEnd {
    /// Sleep until the deadline or the next input.
    Idle(Option<Instant>),
    /// The budget is spent or the program that takes events is behind: go on soon.
    CutShort,
}

/// Outputs between two looks at the clock: a write takes microseconds, but the machine may work for some
/// milliseconds between two rounds of few outputs.
const OUTPUTS_PER_LOOK: u32 = 8;

/// What is left of a turn. An adapter asks before each step; when it is told no it leaves the rest for the
/// next turn, which it begins without sleeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnBudget {
    accepts: u32,
    outputs: u32,
    cut_short: bool,
}

impl TurnBudget {
    /// A whole turn.
    pub const fn new() -> Self {
        Self {
            accepts: ACCEPTS_PER_TURN,
            outputs: OUTPUTS_PER_TURN,
            cut_short: false,
        }
    }

    /// Whether another connection may be accepted. Takes it from the budget.
    pub const fn accept(&mut self) -> bool {
        let more = take(&mut self.accepts);
        self.cut_short |= !more;
        more
    }

    /// Whether another output may be polled in a turn that ends at `over`. Takes it from the budget.
    pub fn output(&mut self, clock: &ClockBase, over: Instant) -> bool {
        let look = self.outputs.is_multiple_of(OUTPUTS_PER_LOOK);
        let more = take(&mut self.outputs) && !(look && clock.until(over).is_zero());
        self.cut_short |= !more;
        more
    }

    /// Whether a socket that was read `reads` times in this turn may be read again.
    pub const fn read(&mut self, reads: u32) -> bool {
        let more = reads < READS_PER_SOCKET;
        self.cut_short |= !more;
        more
    }

    /// Something was refused in this turn: work is left, do not sleep.
    pub const fn cut_short(&self) -> bool {
        self.cut_short
    }
}

impl Default for TurnBudget {
    fn default() -> Self {
        Self::new()
    }
}

const fn take(left: &mut u32) -> bool {
    match left.checked_sub(1) {
        Some(rest) => {
            *left = rest;
            true
        }
        None => false,
    }
}

#[cfg(test)]
mod tests;
