//! A shard that panics takes its clients along, and nobody else; and what takes it long is done by the pool.
//!
//! What the machine hands over never reaches the driver: it goes to the pool from here, and what came of it is handed in
//! with the driver's next tick, for which the bell wakes it.
//!
//! A panic in a machine is a bug. It is caught here: the machine, which may be off by now, is asked to say goodbye
//! to its clients (1011), and the shard then begins anew without them. A machine that panics once more is given up:
//! its sockets are cut.

use std::panic::{AssertUnwindSafe, catch_unwind};

use roomwire_core::cluster::Relay;
use roomwire_core::server::{Command, Event};
use roomwire_core::{
    ConnectionId, Counting, Input, ListenerId, Machine, Now, Output, PeerAddr, ShardId, Stats,
    Turn, Unsent,
};

use crate::answers::Answers;
use crate::desk::Desk;
use crate::host::Hosted;
use crate::sessions::Keeper;

/// A machine whose panics are caught.
#[derive(Debug)]
pub(crate) struct Guarded<M> {
    machine: M,
    shard: ShardId,
    state: State,
    desk: Desk<Command>,
    answers: Answers,
    keeper: Keeper,
    /// The driver knows that it has panicked.
    told: bool,
    now: Now,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Sound,
    /// It has panicked, and says goodbye.
    Failing,
    /// Nothing more is asked of it.
    GivenUp,
    /// The driver knows that, too.
    Over,
}

impl<M: Hosted> Guarded<M> {
    pub(crate) fn new(
        machine: M,
        shard: ShardId,
        (desk, answers, keeper): (Desk<Command>, Answers, Keeper),
    ) -> Self {
        Self {
            machine,
            shard,
            state: State::Sound,
            desk,
            answers,
            keeper,
            told: true,
            now: Now::default(),
        }
    }

    /// What the machine says, unless it panics, or has been given up.
    fn ask<T>(&mut self, ask: impl FnOnce(&mut M) -> T) -> Option<T> {
        if matches!(self.state, State::GivenUp | State::Over) {
            return None;
        }
        match catch_unwind(AssertUnwindSafe(|| ask(&mut self.machine))) {
            Ok(answer) => Some(answer),
            Err(_) => {
                self.fail();
                None
            }
        }
    }

    /// Hands in what the pool has done.
    fn take_done(&mut self) {
        while let Some(input) = self.desk.next_input() {
            let input = match input {
                // What has failed keeps nothing.
                Input::Command(Command::GiveSession {
                    session: Some(session),
                    ..
                }) if self.state != State::Sound => {
                    self.keeper.save(session);
                    continue;
                }
                input => input,
            };
            let now = self.now;
            if self.ask(|machine| machine.handle(now, input)) == Some(Turn::Full) {
                self.desk.ring_again();
                return;
            }
        }
    }

    /// The machine has panicked. What it said was told as it happened.
    #[cold]
    fn fail(&mut self) {
        let shard = self.shard.0;
        if self.state == State::Failing {
            tracing::error!(
                shard,
                "a thread that has failed cannot say goodbye: its sockets are cut"
            );
            self.state = State::GivenUp;
            return;
        }
        tracing::error!(
            shard,
            "a thread has failed, which is a bug: its clients are closed, and it begins anew"
        );
        (self.state, self.told) = (State::Failing, false);
        self.keeper.fail();
        let now = self.now;
        let _ = self.ask(|machine| machine.handle(now, Input::Command(Command::Abandon)));
    }
}

impl<M: Hosted> Machine for Guarded<M> {
    type Command = Command;
    type Event = Event;
    type Relay = Relay;

    fn accept(&mut self, now: Now, peer: PeerAddr, listener: ListenerId) -> Option<ConnectionId> {
        self.now = now;
        self.ask(|machine| machine.accept(now, peer, listener))?
    }

    fn handle(&mut self, now: Now, input: Input<'_, Command, Relay>) -> Turn {
        self.now = now;
        if matches!(input, Input::Tick) {
            self.take_done();
        }
        let turn = self.ask(|machine| {
            #[cfg(feature = "fault-injection")]
            panic_if_asked(&input);
            machine.handle(now, input)
        });
        turn.unwrap_or(Turn::Open)
    }

    fn poll(&mut self) -> Output<Event> {
        if !std::mem::replace(&mut self.told, true) {
            return Output::Event(Event::Failed { shard: self.shard });
        }
        match self.ask(M::poll) {
            Some(Output::Event(Event::Drained)) if self.state == State::Failing => {
                self.state = State::Over;
                Output::Event(Event::Drained)
            }
            Some(Output::Job(job)) => {
                self.desk.send(job);
                Output::Again
            }
            Some(Output::Event(event)) => {
                if matches!(event, Event::Drained) {
                    self.keeper.close();
                }
                let event = self.answers.take(event);
                match event.and_then(|event| self.keeper.take(event)) {
                    Some(event) => Output::Event(event),
                    None => Output::Again,
                }
            }
            Some(output) => output,
            None if self.state == State::GivenUp => {
                self.state = State::Over;
                Output::Event(Event::Drained)
            }
            None if self.state == State::Over => Output::Idle { deadline: None },
            None => Output::Again,
        }
    }

    fn unsent(&self, connection: ConnectionId) -> Unsent<'_> {
        if matches!(self.state, State::GivenUp | State::Over) {
            return Unsent::EMPTY;
        }
        let unsent = catch_unwind(AssertUnwindSafe(|| self.machine.unsent(connection)));
        unsent.unwrap_or(Unsent::EMPTY)
    }

    fn take_relay(&mut self, to: ShardId) -> Option<Relay> {
        self.ask(|machine| machine.take_relay(to))?
    }
}

impl<M: Hosted> Counting for Guarded<M> {
    fn stats(&self) -> Stats {
        self.machine.stats()
    }
}

/// Publishing to this room panics, in tests.
#[cfg(feature = "fault-injection")]
pub const FAULTY_ROOM: &str = "panic: here and now";

#[cfg(feature = "fault-injection")]
fn panic_if_asked(input: &Input<'_, Command, Relay>) {
    if let Input::Command(Command::Publish { room, .. }) = input {
        assert!(room != FAULTY_ROOM, "as asked for");
    }
}

#[cfg(test)]
mod tests;
