//! The machine that an adapter runs: a server, recorded or not, behind TLS or not.

use roomwire_core::cluster::Relay;
use roomwire_core::server::{Command, Event};
use roomwire_core::{Counting, Machine, Server};

use crate::bound::Bound;
use crate::guard::Guarded;

/// What an adapter runs.
pub trait Hosted:
    Machine<Command = Command, Event = Event, Relay = Relay> + Counting + 'static
{
}

impl<M> Hosted for M where
    M: Machine<Command = Command, Event = Event, Relay = Relay> + Counting + 'static
{
}

/// How an adapter runs a machine, whichever it is.
pub trait Serve {
    /// What comes of it.
    type Outcome;

    /// Runs it until it is over.
    fn serve(self, machine: impl Hosted, bound: Bound) -> Self::Outcome;
}

impl Bound {
    /// Runs the machine that the settings ask for; returns once it is gone, and its recording written.
    pub fn host<S: Serve>(mut self, serve: S) -> S::Outcome {
        let (config, seed, place) = (self.config.clone(), self.seed, self.place);
        match self.recording.take() {
            None => self.wrap(Server::shard(config, seed, place), serve),
            Some(recording) => recording.run(config, seed, |recorder| self.wrap(recorder, serve)),
        }
    }

    #[cfg(feature = "tls")]
    fn wrap<S: Serve>(self, machine: impl Hosted, serve: S) -> S::Outcome {
        match self.tls_listeners() {
            None => self.guard(machine, serve),
            Some(listeners) => {
                let machine = roomwire_core::tls::Tls::new(machine, listeners);
                self.guard(machine, serve)
            }
        }
    }

    #[cfg(not(feature = "tls"))]
    fn wrap<S: Serve>(self, machine: impl Hosted, serve: S) -> S::Outcome {
        self.guard(machine, serve)
    }

    fn guard<S: Serve>(self, machine: impl Hosted, serve: S) -> S::Outcome {
        let guarded = Guarded::new(machine, self.place.shard, self.desk());
        serve.serve(guarded, self)
    }
}
