//! Which connections have something to report, round by round (see [`crate::Machine`]).

use super::Outboxes;

/// Something to report about a connection; several at once are handed out in this order.
pub(crate) mod flag {
    /// Read interest came back.
    pub(crate) const READ: u8 = 1;
    /// Read interest is withdrawn.
    pub(crate) const PAUSE: u8 = 2;
    /// Bytes wait.
    pub(crate) const TRANSMIT: u8 = 4;
    /// Shut down the write side.
    pub(crate) const FINISH: u8 = 8;
    /// Close in order.
    pub(crate) const CLOSE: u8 = 16;
    /// Close with a reset.
    pub(crate) const RESET: u8 = 32;
}

impl Outboxes {
    /// Flags a connection for the next round, or for this one if its turn is still to come. `TRANSMIT` waits
    /// while it is blocked. O(1).
    #[inline]
    pub(crate) fn raise(&mut self, connection: u32, flags: u8) {
        self.steps.one();
        let outbox = &mut self.boxes[connection as usize];
        if outbox.flags & LISTED == 0 {
            self.ready.push(connection);
        }
        outbox.flags |= flags | LISTED;
    }

    /// Takes back flags that were raised and not handed out. O(1).
    pub(crate) fn lower(&mut self, connection: u32, flags: u8) {
        self.steps.one();
        self.boxes[connection as usize].flags &= !flags;
        if self.handing.0 == connection {
            self.handing.1 &= !flags;
        }
    }

    /// The next flag of this round and its connection. Each connection has one turn in a round; what is raised
    /// from then on is for the next.
    #[inline]
    pub(crate) fn next_flagged(&mut self) -> Option<(u32, u8)> {
        loop {
            self.steps.one();
            let (connection, flags) = self.handing;
            if flags != 0 {
                let first = flags & flags.wrapping_neg();
                self.handing.1 = flags & !first;
                return Some((connection, first));
            }
            let &connection = self.round.get(self.next_in_round)?;
            self.next_in_round += 1;
            let outbox = &mut self.boxes[connection as usize];
            self.handing = (connection, outbox.flags & !LISTED);
            outbox.flags = 0;
        }
    }

    /// Makes what was flagged meanwhile the next round; `false` if there is nothing.
    pub(crate) fn begin_round(&mut self) -> bool {
        self.round.clear();
        self.next_in_round = 0;
        core::mem::swap(&mut self.round, &mut self.ready);
        !self.round.is_empty()
    }
}

/// In the list of the next round.
pub(super) const LISTED: u8 = 128;
