//! What adapters do of what a machine puts out: the order and the budget, which are the same for all.

use roomwire_core::{ConnectionId, Instant, Machine, Output, ShardId, Target};

use crate::budget::{TurnBudget, TurnEnd};
use crate::clock::ClockBase;

/// What one adapter does for its machine.
pub trait Act<M: Machine> {
    /// The machine's next output.
    fn poll(&mut self) -> Output<M::Event>;
    /// Writes to a connection what waits for it, once, and tells the machine how much that was.
    fn transmit(&mut self, connection: ConnectionId);
    /// Reads of a connection from now on, or no more.
    fn read_interest(&mut self, connection: ConnectionId, wanted: bool);
    /// Tells a connection's peer that nothing more will come.
    fn finish(&mut self, connection: ConnectionId);
    /// Closes a connection: by a reset, if need be.
    fn close(&mut self, connection: ConnectionId, reset: bool);
    /// Takes what the machine has for another shard there. A client's has nothing.
    fn carry(&mut self, to: ShardId) {
        let _ = to;
    }
    /// Begins to connect. A server's machine never asks for it.
    fn connect(&mut self, connection: ConnectionId, target: Target) {
        let _ = (connection, target);
    }
}

/// Has an adapter do what its machine puts out, until that is idle and there is no `more`, or the budget is spent, or
/// the time is `over`. `sink` takes events and says whether there is room for another.
pub fn act<M: Machine>(
    adapter: &mut impl Act<M>,
    (clock, over): (&ClockBase, Instant),
    more: bool,
    sink: &mut dyn FnMut(M::Event) -> bool,
) -> TurnEnd {
    let mut budget = TurnBudget::new();
    while budget.output(clock, over) {
        match adapter.poll() {
            Output::Transmit { connection } => adapter.transmit(connection),
            Output::ReadInterest { connection, wanted } => {
                adapter.read_interest(connection, wanted);
            }
            Output::Finish { connection } => adapter.finish(connection),
            Output::Close { connection, reset } => adapter.close(connection, reset),
            Output::Event(event) => {
                let room = sink(event);
                if !room {
                    return TurnEnd::CutShort;
                }
            }
            Output::Again => {}
            Output::Idle { .. } if more => return TurnEnd::CutShort,
            Output::Idle { deadline } => return TurnEnd::Idle(deadline),
            Output::Relay { to } => adapter.carry(to),
            Output::Connect { connection, target } => adapter.connect(connection, target),
            // Outputs may be added.
            _ => {}
        }
    }
    TurnEnd::CutShort
}
