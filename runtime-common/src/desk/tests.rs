//! What the tests of answers need to see.

use super::*;

impl<C> Desk<C> {
    /// The commands that have come back since the last call.
    pub(crate) fn take_commands(&self) -> Vec<C> {
        let all = std::mem::take(&mut *self.tray.queue());
        let commands = all.into_iter().filter_map(|returned| match returned {
            Returned::Command(command) => Some(command),
            Returned::Done(_) => None,
        });
        commands.collect()
    }
}

/// A machine that panics in a job, or is gone, takes no thread of the pool along: shown on sockets, by the tests of the
/// adapters.
#[test]
fn a_desk_without_a_pool_tells_of_none() {
    struct Silent;
    impl Machine for Silent {
        type Command = ();
        type Event = ();
        type Relay = ();

        fn accept(
            &mut self,
            _: Now,
            _: roomwire_core::PeerAddr,
            _: roomwire_core::ListenerId,
        ) -> Option<roomwire_core::ConnectionId> {
            None
        }

        fn handle(&mut self, _: Now, input: Input<'_, (), ()>) -> Turn {
            panic!("{input:?}");
        }

        fn poll(&mut self) -> roomwire_core::Output<()> {
            roomwire_core::Output::Again
        }

        fn unsent(&self, _: roomwire_core::ConnectionId) -> roomwire_core::Unsent<'_> {
            roomwire_core::Unsent::EMPTY
        }

        fn take_relay(&mut self, _: roomwire_core::ShardId) -> Option<()> {
            None
        }
    }
    let (bell, _) = Bell::new().expect("a bell");
    let desk: Desk<()> = Desk::new(None, &Arc::new(bell), 7);
    assert!(!desk.receive(&mut Silent, Now::default()));
}
