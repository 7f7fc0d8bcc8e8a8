//! The machine of a client, as a driver has it: what handles ask for goes in by itself, and events go to where they are
//! awaited.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use roomwire_core::client::route::Routed;
use roomwire_core::client::session::{Event, Session};
use roomwire_core::{
    ConnectionId, Input, ListenerId, Machine, Now, Output, PeerAddr, ShardId, Turn, Unsent,
};

use super::desk::Desk;
use super::settings::Plan;
use crate::clock::ClockBase;
use crate::error::RunError;
use crate::seed;

/// A client for a driver: a machine without commands and events of its own. A driver gives it an [`Input::Tick`] in each
/// turn, connects to [`address`](Self::address) when it is told to, and goes when [it is over](Self::is_over); dropped
/// before, it has what is on its way given up.
pub struct Pilot {
    machine: Routed<Session>,
    desk: Arc<Desk>,
    clock: ClockBase,
    address: (String, u16),
    is_over: bool,
}

impl Pilot {
    pub(super) fn new(plan: Plan, desk: &Arc<Desk>) -> Result<Self, RunError> {
        let seed = seed::from_system().map_err(RunError::io("reading a random seed"))?;
        let clock = ClockBase::new();
        let session = Session::new(plan.session, seed, clock.now())?;
        Ok(Self {
            machine: Routed::new(session, plan.route),
            desk: Arc::clone(desk),
            clock,
            address: plan.dial,
            is_over: false,
        })
    }

    /// The clock whose time the machine's is.
    pub const fn clock(&self) -> ClockBase {
        self.clock
    }

    /// Where to connect to: a name or an address, whose addresses are to be tried in their order, and a port.
    pub fn address(&self) -> (&str, u16) {
        (&self.address.0, self.address.1)
    }

    /// Whether a handle has news since the last turn; wakes the driver once it has.
    pub fn poll_news(&self, cx: &Context<'_>) -> Poll<()> {
        self.desk.poll_news(cx)
    }

    /// It could not be connected to the address.
    pub fn connect_failed(&mut self, now: Now, connection: ConnectionId, error: &io::Error) {
        let (host, port) = self.address();
        self.desk.say_trouble(explained(host, port, error));
        let _ = self.handle(now, Input::ConnectFailed { connection });
    }

    /// The client is closed and its connection gone.
    pub const fn is_over(&self) -> bool {
        self.is_over
    }

    /// What handles have asked for since.
    fn take_commands(&mut self, now: Now) {
        while let Some(command) = self.desk.next_command() {
            let _ = self
                .machine
                .inner_mut()
                .handle(now, Input::Command(command));
        }
    }

    /// Tells how the session stands.
    fn look(&self) {
        let session = self.machine.inner();
        self.desk.look(session.state(), session.client_id());
    }
}

/// With what to do about it.
fn explained(host: &str, port: u16, error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            ": nobody listens there; is the server running, and on this port?"
        }
        io::ErrorKind::TimedOut => ": is the address right?",
        _ => "",
    };
    format!("cannot connect to {host}, port {port}: {error}{advice}")
}

impl Machine for Pilot {
    type Command = Infallible;
    type Event = Infallible;
    type Relay = Infallible;

    fn accept(&mut self, _: Now, _: PeerAddr, _: ListenerId) -> Option<ConnectionId> {
        None
    }

    fn handle(&mut self, now: Now, input: Input<'_, Infallible, Infallible>) -> Turn {
        let input = match input {
            Input::Tick => {
                self.take_commands(now);
                Input::Tick
            }
            Input::Received { connection, bytes } => Input::Received { connection, bytes },
            Input::Sent {
                connection,
                bytes,
                blocked,
            } => Input::Sent {
                connection,
                bytes,
                blocked,
            },
            Input::Writable { connection } => Input::Writable { connection },
            Input::ReadEnd { connection } => Input::ReadEnd { connection },
            Input::Ended { connection, end } => Input::Ended { connection, end },
            Input::Connected { connection } => Input::Connected { connection },
            Input::ConnectFailed { connection } => Input::ConnectFailed { connection },
            Input::Command(none) => match none {},
            // There are no other shards.
            _ => return Turn::Open,
        };
        let turn = self.machine.handle(now, input);
        if let Some(trouble) = self.machine.take_trouble() {
            self.desk.say_trouble(trouble.to_string());
        }
        turn
    }

    fn poll(&mut self) -> Output<Infallible> {
        loop {
            let holds = self.desk.is_full();
            self.machine.inner_mut().hold_events(holds);
            match self.machine.poll() {
                Output::Event(event) => {
                    self.is_over |= matches!(event, Event::Ended(_));
                    // Whoever hears of it may ask what it has made of the client.
                    self.look();
                    self.desk.take(event);
                }
                Output::Connect { connection, target } => {
                    return Output::Connect { connection, target };
                }
                Output::Transmit { connection } => return Output::Transmit { connection },
                Output::ReadInterest { connection, wanted } => {
                    return Output::ReadInterest { connection, wanted };
                }
                Output::Finish { connection } => return Output::Finish { connection },
                Output::Close { connection, reset } => {
                    return Output::Close { connection, reset };
                }
                Output::Relay { to } => return Output::Relay { to },
                Output::Again => return Output::Again,
                Output::Idle { deadline } => {
                    self.look();
                    return Output::Idle { deadline };
                }
                // Outputs may be added.
                _ => return Output::Again,
            }
        }
    }

    fn unsent(&self, connection: ConnectionId) -> Unsent<'_> {
        self.machine.unsent(connection)
    }

    fn take_relay(&mut self, _: ShardId) -> Option<Infallible> {
        None
    }
}

impl Drop for Pilot {
    fn drop(&mut self) {
        self.desk.end();
    }
}

impl fmt::Debug for Pilot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pilot")
            .field("address", &self.address)
            .field("is_over", &self.is_over)
            .finish_non_exhaustive()
    }
}
