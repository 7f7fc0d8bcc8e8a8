//! A client that comes back: what all adapters' clients share. An adapter brings a [`Runtime`], which drives a [`Pilot`];
//! nothing here reads a socket, or writes one.
//!
//! [`Client::connect`] gives a handle and a [stream of events](Events). What is asked for by a handle is handed in whole
//! by the call itself, which says at once whether there is room for it; what becomes of it, exactly once, is told to the
//! [`Receipt`] that the call gives, or by an [`Event::Outcome`] if that was dropped. A receipt, like every future here,
//! only looks: dropping it at any point loses nothing and does nothing twice.
//!
//! Futures need no runtime of their own: each can be awaited in any, and waited for without one ([`Receipt::wait`],
//! [`Events::recv`]).

mod desk;
mod pilot;
mod receipt;
#[cfg(feature = "tls")]
pub(crate) mod roots;
mod settings;
mod solo;
mod stream;
#[cfg(test)]
mod tests;
mod url;
mod wait;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use roomwire_core::ClientId;
pub use roomwire_core::client::route::{Proxy, ProxyError};
pub use roomwire_core::client::session::{
    Batching, CloseCause, Closed, Content, Delivery, Dropped, EndCause, Event, Item, Message,
    Outcome, RoomMessage, Said, SaidData, SessionConfig, State, Told,
};
use roomwire_core::client::session::{Command, Send as Sending};

use crate::error::RunError;
use desk::Desk;
pub use pilot::Pilot;
pub use receipt::{Failed, Receipt};
pub use settings::ClientSettings;
#[cfg(feature = "tls")]
pub use settings::Roots;
pub use solo::{Solo, Wired};
pub use stream::Events;
#[cfg(feature = "cli")]
pub(crate) use url::Url;

/// What runs clients.
pub trait Runtime: Sized + 'static {
    /// Has a client driven from now on, beside the caller, until [`Pilot::is_over`].
    ///
    /// # Errors
    /// When that cannot be done here. The client is gone then.
    fn start(pilot: Pilot) -> io::Result<()>;

    /// The same where there is no runtime: on a thread of its own, if need be.
    ///
    /// # Errors
    /// When there is no thread for it. The client is gone then.
    fn start_alone(pilot: Pilot) -> io::Result<()> {
        Self::start(pilot)
    }
}

/// A client, as its program has it. Clones are the same client, which any thread may use; when the last is dropped, it
/// [closes](Self::close).
pub struct Client<R> {
    owner: Arc<Owner>,
    runtime: PhantomData<fn() -> R>,
}

/// Closes the client when it goes.
#[derive(Debug)]
struct Owner(Arc<Desk>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Why something was not taken: nothing becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The client is closed, or closes.
    #[error("the client is closed")]
    Closed,
    /// The client has not yet taken 1,024 commands: wait for [`Client::ready`], and read the events.
    #[error("the client is behind: 1,024 commands wait; wait until it is ready")]
    Full,
    /// It is to be said as JSON, and is none.
    #[error("it is no JSON")]
    NotJson,
}

impl<R: Runtime> Client<R> {
    /// A client that is about to connect. Whoever keeps the events has to take them: when as many wait as may, nothing
    /// more is taken from the server, and then none of what is asked for. Dropped events are not kept.
    ///
    /// # Errors
    /// [`RunError::Config`] and [`RunError::Certificate`] name what is wrong with the settings; [`RunError::Io`] when the
    /// system has no randomness, or no task or thread for a client.
    pub fn connect(settings: ClientSettings) -> Result<(Self, Events), RunError> {
        Self::connect_by(settings, R::start)
    }

    /// [`connect`](Self::connect) outside a runtime.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn connect_alone(settings: ClientSettings) -> Result<(Self, Events), RunError> {
        Self::connect_by(settings, R::start_alone)
    }

    fn connect_by(
        settings: ClientSettings,
        start: fn(Pilot) -> io::Result<()>,
    ) -> Result<(Self, Events), RunError> {
        let plan = settings.plan()?;
        let desk = Arc::new(Desk::new(plan.max_waiting_events));
        let pilot = Pilot::new(plan, &desk)?;
        start(pilot).map_err(RunError::io("starting a client"))?;
        let client = Self {
            owner: Arc::new(Owner(Arc::clone(&desk))),
            runtime: PhantomData,
        };
        Ok((client, Events::new(desk)))
    }

    /// Joins a room, and keeps itself in it: on every connection, until [`leave`](Self::leave), or until the server
    /// refuses. The receipt tells of this time only.
    ///
    /// # Errors
    /// [`Refused`]; see there.
    pub fn join(&self, room: &str) -> Result<Receipt, Refused> {
        let room = room.to_owned();
        self.submit(|item| Command::Join { item, room })
    }

    /// Leaves a room.
    ///
    /// # Errors
    /// [`Refused`]; see there.
    pub fn leave(&self, room: &str) -> Result<Receipt, Refused> {
        let room = room.to_owned();
        self.submit(|item| Command::Leave { item, room })
    }

    /// Says `data`, JSON, in a room that it has joined.
    ///
    /// # Errors
    /// [`Refused`]; see there.
    pub fn say(&self, room: &str, data: &str) -> Result<Receipt, Refused> {
        self.send(Content::say(room, data).ok_or(Refused::NotJson)?)
    }

    /// Says bytes in a room that it has joined.
    ///
    /// # Errors
    /// [`Refused`]; see there.
    pub fn say_bytes(&self, room: &str, data: &[u8]) -> Result<Receipt, Refused> {
        self.send(Content::say_bytes(room, data))
    }

    /// Says `data`, JSON, to one client.
    ///
    /// # Errors
    /// [`Refused`]; see there.
    pub fn tell(&self, to: ClientId, data: &str) -> Result<Receipt, Refused> {
        self.send(Content::tell(to, data).ok_or(Refused::NotJson)?)
    }

    /// Sends a request of the protocol, an object of JSON, whose `id` the client chooses.
    ///
    /// # Errors
    /// [`Refused`]; see there.
    pub fn request(&self, object: &str) -> Result<Receipt, Refused> {
        self.send(Content::Request(object.to_owned()))
    }

    /// Sends anything. Once it was sent and the connection breaks, it is not sent again.
    ///
    /// # Errors
    /// [`Refused`]; see there.
    pub fn send(&self, content: Content) -> Result<Receipt, Refused> {
        self.send_as(content, Delivery::default(), false)
    }

    /// Sends anything, and says what happens when the connection breaks. `urgent`: it is not gathered with others
    /// ([`SessionConfig::batching`]).
    ///
    /// # Errors
    /// [`Refused`]; see there.
    pub fn send_as(
        &self,
        content: Content,
        delivery: Delivery,
        urgent: bool,
    ) -> Result<Receipt, Refused> {
        self.submit(|item| {
            let mut sending = Sending::new(item, content);
            sending.delivery = delivery;
            sending.urgent = urgent;
            Command::Send(sending)
        })
    }

    /// The network is back, or somebody is looking again: a reconnect that waits is tried at once, unless the server has
    /// said when, and a connection that seems to be there is asked for a sign of life.
    pub fn wake(&self) {
        self.owner.0.wake();
    }

    /// Ends the client for good, in order; a second time changes nothing. What was asked for by then is handed over
    /// first, and has its outcome; what still waits for a connection is given up.
    pub fn close(&self) {
        self.owner.0.close();
    }

    /// Waits until there is room for another command. Others may take it first.
    ///
    /// # Errors
    /// [`Refused::Closed`].
    pub async fn ready(&self) -> Result<(), Refused> {
        poll_fn(|cx| self.owner.0.poll_room(cx)).await
    }

    /// Waits until the client has closed and its connection is gone. By itself it closes nothing.
    pub async fn closed(&self) {
        poll_fn(|cx| self.owner.0.poll_over(cx)).await;
    }

    /// [`closed`](Self::closed) without a runtime, for `patience` at most: whether it is.
    pub fn wait_closed(&self, patience: Duration) -> bool {
        wait::within(patience, |cx| self.owner.0.poll_over(cx)).is_some()
    }

    /// The state as it is now: events that wait may tell of earlier ones. O(1), as are all that follow.
    pub fn state(&self) -> State {
        self.owner.0.state()
    }

    /// The client's id for others: of its connection, or of the last one.
    pub fn client_id(&self) -> Option<ClientId> {
        self.owner.0.client_id()
    }

    /// Why it could not connect the last time that it could not ([`CloseCause::ConnectFailed`]), for people.
    pub fn last_error(&self) -> Option<String> {
        self.owner.0.trouble()
    }

    fn submit(&self, command: impl FnOnce(Item) -> Command) -> Result<Receipt, Refused> {
        let item = self.owner.0.submit(command)?;
        Ok(Receipt::new(Arc::clone(&self.owner.0), item))
    }
}

impl<R> Clone for Client<R> {
    fn clone(&self) -> Self {
        Self {
            owner: Arc::clone(&self.owner),
            runtime: PhantomData,
        }
    }
}

impl<R> fmt::Debug for Client<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("state", &self.owner.0.state())
            .field("client_id", &self.owner.0.client_id())
            .finish_non_exhaustive()
    }
}
