//! A client and its one socket, as all adapters have them: what the machine is told of what the socket did, and what is
//! done of what the machine puts out. When to look at the socket, and how to read it, is the adapter's.

use std::convert::Infallible;
use std::io;
use std::net::Shutdown;
use std::task::{Context, Poll};
use std::time::Duration;

use roomwire_core::{ConnectionId, Input, Instant, Machine, Now, Output, Target, Turn};
use socket2::SockRef;

use super::Pilot;
use crate::act::{Act, act};
use crate::budget::{TURN_TIME, TurnEnd};
use crate::write::{heard, sent};

/// A connected socket that does not block, as a runtime has it.
pub trait Wired {
    /// Writes once what waits for `connection`, by [`write`](crate::write()).
    ///
    /// # Errors
    /// As the system says; `WouldBlock`: the socket is full.
    fn write(&self, pilot: &Pilot, connection: ConnectionId) -> io::Result<usize>;

    /// For what is no reading or writing.
    fn socket(&self) -> SockRef<'_>;
}

/// A client with its socket.
#[derive(Debug)]
pub struct Solo<S> {
    pilot: Pilot,
    /// The clock as it was read first in this turn.
    now: Option<Now>,
    /// The connection that there is, or is to be.
    connection: Option<ConnectionId>,
    /// It is to be made.
    is_wanted: bool,
    socket: Option<S>,
    /// The machine wants no bytes, or there are no more.
    is_paused: bool,
    /// A write fell short, and the machine waits until it may go on.
    is_blocked: bool,
}

impl<S: Wired> Solo<S> {
    /// Without a socket so far.
    pub const fn new(pilot: Pilot) -> Self {
        Self {
            pilot,
            now: None,
            connection: None,
            is_wanted: false,
            socket: None,
            is_paused: false,
            is_blocked: false,
        }
    }

    /// Takes what handles have asked for, polls the machine and does what it says, within a budget; `None`: it is over.
    pub fn turn(&mut self) -> Option<TurnEnd> {
        self.handle(Input::Tick);
        let over = self.now().mono + TURN_TIME;
        let clock = self.pilot.clock();
        let end = act(self, (&clock, over), false, &mut |event| match event {});
        self.now = None;
        (!self.pilot.is_over()).then_some(end)
    }

    /// Whether a handle has news since the last turn; wakes the driver once it has. What is told from here on happens
    /// now.
    pub fn poll_news(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.now = None;
        self.pilot.poll_news(cx)
    }

    /// The time on the machine's scale, as the standard library's.
    pub fn deadline(&self, deadline: Instant) -> Option<std::time::Instant> {
        self.pilot.clock().to_std(deadline)
    }

    // ---- connecting

    /// A name or an address, and a port, to which the driver is to connect now. Told once for each attempt, which takes
    /// the place of an earlier one.
    pub fn dials(&mut self) -> Option<(String, u16)> {
        let (host, port) = self.pilot.address();
        std::mem::take(&mut self.is_wanted).then(|| (host.to_owned(), port))
    }

    /// Whether what is being dialled is still wanted.
    pub const fn is_dialing(&self) -> bool {
        self.connection.is_some() && self.socket.is_none()
    }

    /// What came of it.
    pub fn dialed(&mut self, outcome: io::Result<S>) {
        let Some(connection) = self.connection.filter(|_| self.socket.is_none()) else {
            return;
        };
        match outcome {
            Ok(socket) => {
                // Small messages are not to wait for each other. Without it they come all the same.
                let _ = socket.socket().set_tcp_nodelay(true);
                self.socket = Some(socket);
                (self.is_paused, self.is_blocked) = (false, false);
                self.handle(Input::Connected { connection });
            }
            Err(error) => {
                self.connection = None;
                let now = self.now();
                self.pilot.connect_failed(now, connection, &error);
            }
        }
    }

    // ---- the socket

    /// The socket, if it is to be read.
    pub fn reads(&mut self) -> Option<&mut S> {
        self.socket.as_mut().filter(|_| !self.is_paused)
    }

    /// What a read came to that need not be tried again: nothing is the end. Whether the machine has room for more.
    pub fn read(&mut self, outcome: io::Result<&mut [u8]>) -> Turn {
        let Some(connection) = self.connection else {
            return Turn::Full;
        };
        let input = heard(connection, outcome);
        match input {
            Input::ReadEnd { .. } => self.is_paused = true,
            Input::Ended { .. } => self.forget(),
            _ => {}
        }
        let now = self.now();
        self.pilot.handle(now, input)
    }

    /// The socket, if it is full and waited for.
    pub fn waits(&mut self) -> Option<&mut S> {
        self.socket.as_mut().filter(|_| self.is_blocked)
    }

    /// It is full no longer. An error shows at the next write.
    pub fn writable(&mut self) {
        if let Some(connection) = self.connection
            && std::mem::take(&mut self.is_blocked)
        {
            self.handle(Input::Writable { connection });
        }
    }

    fn is_own(&self, connection: ConnectionId) -> bool {
        self.connection == Some(connection)
    }

    fn forget(&mut self) {
        self.connection = None;
        self.socket = None;
        self.is_wanted = false;
    }

    fn handle(&mut self, input: Input<'_, Infallible, Infallible>) {
        let now = self.now();
        let _ = self.pilot.handle(now, input);
    }

    /// The clock, read once a turn.
    fn now(&mut self) -> Now {
        *self.now.get_or_insert_with(|| self.pilot.clock().now())
    }
}

impl<S: Wired> Act<Pilot> for Solo<S> {
    fn poll(&mut self) -> Output<Infallible> {
        self.pilot.poll()
    }

    fn connect(&mut self, connection: ConnectionId, _: Target) {
        self.connection = Some(connection);
        self.socket = None;
        self.is_wanted = true;
    }

    fn transmit(&mut self, connection: ConnectionId) {
        let socket = self.socket.as_ref().filter(|_| self.is_own(connection));
        let outcome = match socket {
            Some(socket) => socket.write(&self.pilot, connection),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        let input = sent(connection, outcome);
        match input {
            Input::Sent { blocked, .. } => self.is_blocked = blocked,
            _ if self.is_own(connection) => self.forget(),
            _ => {}
        }
        self.handle(input);
    }

    fn read_interest(&mut self, connection: ConnectionId, wanted: bool) {
        if self.is_own(connection) {
            self.is_paused = !wanted;
        }
    }

    fn finish(&mut self, connection: ConnectionId) {
        if let Some(socket) = &self.socket
            && self.is_own(connection)
        {
            // It fails if the server is gone, which the next read sees.
            let _ = socket.socket().shutdown(Shutdown::Write);
        }
    }

    fn close(&mut self, connection: ConnectionId, reset: bool) {
        if !self.is_own(connection) {
            return;
        }
        if let Some(socket) = &self.socket
            && reset
        {
            let _ = socket.socket().set_linger(Some(Duration::ZERO));
        }
        self.forget();
    }
}
