//! The machine that an adapter runs: a server, recorded or not, behind TLS or not.

use roomwire_core::server::{Command, Event};
use roomwire_core::{Machine, Server};

use crate::bound::Bound;

/// What an adapter runs.
pub trait Hosted: Machine<Command = Command, Event = Event> + AsRef<Server> + 'static {}

impl<M: Machine<Command = Command, Event = Event> + AsRef<Server> + 'static> Hosted for M {}

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
        let (config, seed) = (self.config.clone(), self.seed);
        match self.recording.take() {
            None => self.wrap(Server::new(config, seed), serve),
            Some(recording) => recording.run(config, seed, |recorder| self.wrap(recorder, serve)),
        }
    }

    #[cfg(feature = "tls")]
    fn wrap<S: Serve>(self, machine: impl Hosted, serve: S) -> S::Outcome {
        match self.tls_listeners() {
            None => serve.serve(machine, self),
            Some(listeners) => {
                let machine = roomwire_core::tls::Tls::new(machine, listeners);
                serve.serve(machine, self)
            }
        }
    }

    #[cfg(not(feature = "tls"))]
    fn wrap<S: Serve>(self, machine: impl Hosted, serve: S) -> S::Outcome {
        serve.serve(machine, self)
    }
}
