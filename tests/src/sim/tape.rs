//! The machines of a run: a server that is recorded, or one shard of several; and a recording done again.

use std::cell::RefCell;
use std::rc::Rc;

use roomwire_core::cluster::Relay;
use roomwire_core::replay::{Ending, Progress, Recorder, ReplayError, Replayer, Sink};
use roomwire_core::server::{Command, Event};
use roomwire_core::{
    ConnectionId, Input, ListenerId, Machine, Now, Output, PeerAddr, Server, ShardId, Turn, Unsent,
};

use super::network::HostId;
use super::observer::{Accept, Observer};

/// A recording in memory, which outlives the server that fills it.
#[derive(Clone, Debug, Default)]
pub(super) struct Tape(Rc<RefCell<Vec<u8>>>);

impl Tape {
    /// What has been recorded. Whole once the recorder is gone.
    pub(super) fn take(&self) -> Vec<u8> {
        self.0.take()
    }
}

impl Sink for Tape {
    fn take(&mut self, bytes: &[u8]) -> bool {
        self.0.borrow_mut().extend_from_slice(bytes);
        true
    }

    fn end(&mut self, bytes: &[u8], _: Ending) {
        self.0.borrow_mut().extend_from_slice(bytes);
    }
}

/// A machine of a run. What goes into a whole server is recorded; for shards there are no recordings.
pub(super) enum Hosted {
    Whole(Recorder<Tape>),
    Shard(Server),
}

impl AsRef<Server> for Hosted {
    fn as_ref(&self) -> &Server {
        match self {
            Self::Whole(recorder) => recorder.as_ref(),
            Self::Shard(server) => server,
        }
    }
}

impl Machine for Hosted {
    type Command = Command;
    type Event = Event;
    type Relay = Relay;

    fn accept(&mut self, now: Now, peer: PeerAddr, listener: ListenerId) -> Option<ConnectionId> {
        match self {
            Self::Whole(recorder) => recorder.accept(now, peer, listener),
            Self::Shard(server) => server.accept(now, peer, listener),
        }
    }

    fn handle(&mut self, now: Now, input: Input<'_, Command, Relay>) -> Turn {
        match self {
            Self::Whole(recorder) => recorder.handle(now, input),
            Self::Shard(server) => server.handle(now, input),
        }
    }

    fn poll(&mut self) -> Output<Event> {
        match self {
            Self::Whole(recorder) => recorder.poll(),
            Self::Shard(server) => server.poll(),
        }
    }

    fn unsent(&self, connection: ConnectionId) -> Unsent<'_> {
        self.as_ref().unsent(connection)
    }

    fn take_relay(&mut self, to: ShardId) -> Option<Relay> {
        match self {
            Self::Whole(recorder) => recorder.take_relay(to),
            Self::Shard(server) => server.take_relay(to),
        }
    }
}

/// Who watches the server inside.
#[derive(Debug)]
pub(super) struct Inside<O>(pub(super) O);

impl<O: Observer<Server>> Observer<Hosted> for Inside<O> {
    fn turn(&mut self, host: HostId, machine: &Hosted) {
        self.0.turn(host, machine.as_ref());
    }

    fn failed(&mut self, host: HostId, machine: &Hosted) {
        self.0.failed(host, machine.as_ref());
    }

    fn quiet(&mut self, now: Now) {
        self.0.quiet(now);
    }

    fn accepted(&mut self, now: Now, what: &Accept, machine: &Hosted) {
        self.0.accepted(now, what, machine.as_ref());
    }

    fn input(&mut self, now: Now, input: &Input<'_, Command, Relay>, machine: &Hosted) {
        self.0.input(now, input, machine.as_ref());
    }

    fn handled(&mut self, now: Now, turn: Turn, machine: &Hosted) {
        self.0.handled(now, turn, machine.as_ref());
    }

    fn polled(&mut self, now: Now, output: &Output<Event>, machine: &Hosted) {
        self.0.polled(now, output, machine.as_ref());
    }

    fn wrote(&mut self, now: Now, connection: ConnectionId, bytes: &[u8], lent: usize) {
        self.0.wrote(now, connection, bytes, lent);
    }
}

/// Does a recording again, every hash compared.
///
/// # Errors
/// Says where it differs, or ends too early.
pub fn replay(recording: &[u8]) -> Result<Ending, ReplayError> {
    let mut replayer = Replayer::new();
    replayer.feed(recording);
    replayer.finish();
    loop {
        if let Progress::End(ending) = replayer.step()? {
            return Ok(ending);
        }
    }
}
