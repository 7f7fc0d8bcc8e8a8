//! One shard: listeners, machine and mailbox on a loop that may be another program's.

use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant as StdInstant};

use mio::event::Event as Readiness;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use roomwire_core::server::{Command, Event};
use roomwire_core::{ListenerId, Machine, Stats};
use roomwire_runtime::listen::SocketFiles;
use roomwire_runtime::mailbox::{Bell, EventSender, Letter};
use roomwire_runtime::{
    Bound, ClockBase, Drains, End, Hosted, RunError, Stop, Trouble, TurnBudget, TurnEnd, log_event,
};

use crate::driver::Driver;
use crate::stream::{self, Acceptor, Listening};
use crate::{AdoptError, Adopted, Mail, Turning};

/// Letters taken in one turn.
const LETTERS_PER_TURN: usize = 256;

/// A machine on a loop.
pub(crate) struct Shard<M: Machine> {
    driver: Driver<M>,
    registry: Registry,
    /// The bell has this token, listeners those behind it, then connections.
    first: Token,
    listeners: Vec<Listening>,
    /// Those of UNIX sockets: they go with their listeners.
    files: SocketFiles,
    /// Where the tokens of connections begin: also when the listeners are gone.
    connections: Token,
    mailbox: Receiver<Letter>,
    bell: Arc<Bell>,
    ear: UnixStream,
    /// Letters may be left.
    mail: bool,
    /// Where the embedding program gets its events, if it wants them.
    events: Option<EventSender>,
    /// One for which there was no room.
    late: Option<Event>,
    /// Until when nothing is accepted, for want of descriptors or memory.
    rest: Option<StdInstant>,
    trouble: Trouble,
    /// Counts turns, to take listeners in turn.
    turns: usize,
    /// Of all shards.
    drains: Drains,
    end: Option<End>,
}

impl<M: Hosted> Turning for Shard<M> {
    fn readiness(&mut self, readiness: &Readiness) -> bool {
        let token = readiness.token().0;
        if token < self.first.0 {
            return false;
        }
        if token >= self.connections.0 {
            self.driver.readiness(token - self.connections.0, readiness);
        } else if token == self.first.0 {
            Bell::hush(|bytes| self.ear.read(bytes));
        } else if let Some(listening) = self.listeners.get_mut(token - self.first.0 - 1) {
            listening.ready = true;
        }
        true
    }

    fn turn(&mut self) -> Option<Duration> {
        self.open_mail();
        self.accept();
        // An embedding program that is behind holds the server back: events are not dropped.
        if let (Some(events), Some(event)) = (&self.events, self.late.take()) {
            self.late = events.send(event);
        }
        let end = match self.late {
            Some(_) => TurnEnd::Idle(None),
            None => {
                self.driver.read();
                self.flush()
            }
        };
        let more = end == TurnEnd::CutShort || self.driver.has_ready();
        let busy = self.mail || self.may_accept() || (more && self.late.is_none());
        if busy || !self.bell.doze() {
            return Some(Duration::ZERO);
        }
        let deadline = match end {
            TurnEnd::Idle(Some(deadline)) => self.driver.deadline(deadline),
            _ => None,
        };
        let next = [deadline, self.rest].into_iter().flatten().min();
        next.map(|at| at.saturating_duration_since(StdInstant::now()))
    }

    fn end(&self) -> Option<End> {
        self.end.filter(|_| self.late.is_none())
    }

    fn command(&mut self, command: Command) {
        if matches!(command, Command::Drain) {
            self.drains.begin();
            self.listeners.clear();
            self.files.clear();
        }
        self.driver.command(command);
    }

    fn adopt(&mut self, adopted: Adopted) -> Result<(), AdoptError> {
        let (socket, peer, mut ahead) = adopted.into_parts();
        let (stream, id) = (stream::adopted(socket), ListenerId::ADOPTED);
        let connections = (&self.registry, self.connections);
        let taken = (self.driver).accept(stream, peer, id, connections, &mut ahead);
        taken.then_some(()).ok_or(AdoptError::Refused)
    }

    fn stats(&self) -> Stats {
        self.driver.machine().stats()
    }
}

impl<M: Hosted> Shard<M> {
    /// Registers listeners and mailbox, with tokens from `first` on.
    pub(crate) fn new(
        machine: M,
        bound: Bound,
        Mail { mailbox, events }: Mail,
        registry: &Registry,
        first: Token,
    ) -> Result<Self, RunError> {
        let failed = || RunError::io("registering a listener with the loop");
        let registry = registry.try_clone().map_err(failed())?;
        let ear = bound.ear.as_raw_fd();
        let registered = registry.register(&mut SourceFd(&ear), first, Interest::READABLE);
        registered.map_err(failed())?;
        let mut token = first.0 + 1;
        let mut listening = Vec::new();
        for listener in bound.listeners {
            let mut listener = Acceptor::from(listener);
            let source = listener.source();
            let registered = registry.register(source, Token(token), Interest::READABLE);
            registered.map_err(failed())?;
            token += 1;
            // Connections that came before may have left no edge.
            let ready = true;
            listening.push(Listening { listener, ready });
        }
        Ok(Self {
            driver: Driver::new(machine, bound.links, ClockBase::new()),
            registry,
            first,
            listeners: listening,
            files: bound.files,
            connections: Token(token),
            mailbox,
            bell: bound.bell,
            ear: bound.ear,
            mail: true,
            events,
            late: None,
            rest: None,
            trouble: Trouble::default(),
            turns: 0,
            drains: bound.drains,
            end: None,
        })
    }

    /// What is left of a shard that has ended.
    pub(crate) fn into_mail(self) -> Mail {
        let (mailbox, events) = (self.mailbox, self.events);
        Mail { mailbox, events }
    }

    fn open_mail(&mut self) {
        if !(self.bell.wake() | std::mem::take(&mut self.mail)) {
            return;
        }
        for _ in 0..LETTERS_PER_TURN {
            let Ok(letter) = self.mailbox.try_recv() else {
                return;
            };
            match letter {
                Letter::Command(command) => self.command(command),
                Letter::Stats(reply) => reply.give(self.stats()),
                Letter::Adopt(adopted, reply) => reply.give(self.adopt(adopted)),
                Letter::Abort => {
                    self.late = None;
                    self.end = Some(End::Over);
                }
            }
        }
        self.mail = true;
    }

    /// Accepts, a bounded number at a time, and rests when the process is out of descriptors.
    fn accept(&mut self) {
        self.rest = self.rest.filter(|&rest| rest > StdInstant::now());
        let mut budget = TurnBudget::new();
        let connections = (&self.registry, self.connections);
        // Another goes first each time: a flood at one keeps the others waiting for a turn only.
        self.turns = self.turns.wrapping_add(1);
        let first = self.turns.checked_rem(self.listeners.len()).unwrap_or(0);
        let (before, after) = self.listeners.split_at_mut(first);
        let numbered = (first..).zip(after).chain((0..).zip(before));
        for (index, listening) in numbered {
            let id = ListenerId(u16::try_from(index).unwrap_or(u16::MAX));
            while listening.ready && self.rest.is_none() && budget.accept() {
                match listening.listener.accept() {
                    Ok((stream, peer)) => {
                        self.trouble.is_over();
                        self.driver.accept(stream, peer, id, connections, &mut []);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        listening.ready = false;
                    }
                    Err(error) => {
                        let rest = self.trouble.pause(&error);
                        self.rest = rest.map(|rest| StdInstant::now() + rest);
                    }
                }
            }
        }
    }

    /// Whether somebody may be waiting who can be let in.
    fn may_accept(&self) -> bool {
        self.rest.is_none() && self.listeners.iter().any(|listening| listening.ready)
    }

    fn flush(&mut self) -> TurnEnd {
        let Self {
            driver,
            events,
            late,
            drains,
            end,
            listeners,
            ..
        } = self;
        driver.turn(&mut |event| {
            let (event, stop) = drains.filter(event);
            match stop {
                Some(Stop::Accepting) => listeners.clear(),
                Some(Stop::All(how)) => *end = Some(how),
                None => {}
            }
            if let Some(event) = event {
                log_event(&event);
                *late = events.as_ref().and_then(|events| events.send(event));
            }
            late.is_none()
        })
    }
}
