//! What goes into a simulated server, recorded, and done again.

use std::cell::RefCell;
use std::rc::Rc;

use roomwire_core::replay::{Ending, Progress, Recorder, ReplayError, Replayer, Sink};
use roomwire_core::{Input, Machine, Now, Output, Server, Turn};

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

/// Who watches the server inside a recorder.
#[derive(Debug)]
pub(super) struct Inside<O>(pub(super) O);

type Relay = <Server as Machine>::Relay;
type Command = <Server as Machine>::Command;
type Event = <Server as Machine>::Event;

impl<S: Sink, O: Observer<Server>> Observer<Recorder<S>> for Inside<O> {
    fn accepted(&mut self, now: Now, what: &Accept, machine: &Recorder<S>) {
        self.0.accepted(now, what, machine.as_ref());
    }

    fn input(&mut self, now: Now, input: &Input<'_, Command, Relay>, machine: &Recorder<S>) {
        self.0.input(now, input, machine.as_ref());
    }

    fn handled(&mut self, now: Now, turn: Turn, machine: &Recorder<S>) {
        self.0.handled(now, turn, machine.as_ref());
    }

    fn polled(&mut self, now: Now, output: &Output<Event>, machine: &Recorder<S>) {
        self.0.polled(now, output, machine.as_ref());
    }

    fn wrote(
        &mut self,
        now: Now,
        connection: roomwire_core::ConnectionId,
        bytes: &[u8],
        lent: usize,
    ) {
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
