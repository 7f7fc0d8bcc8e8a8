//! What the clients of all adapters do alike, against a server of the same adapter over real sockets. Every wait is
//! bounded.

mod drops;
mod life;
mod proxy;
mod ways;

use std::fmt;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use roomwire_core::config::RoomRule;
use roomwire_runtime::client::{
    Client, ClientSettings, Event, Events, Message, Outcome, RoomMessage, Runtime, SaidData, State,
    Told,
};
use roomwire_runtime::{ListenerSettings, Settings};

use crate::tcp::PATIENCE;

/// A server that runs on threads of its own.
pub struct Running {
    /// Where its first listener listens.
    pub address: SocketAddr,
    /// Cuts every connection; returns when the server is gone.
    pub kill: Box<dyn FnOnce()>,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Has an adapter start a server.
pub type Start = fn(Settings) -> Running;

/// Plays everything, one after the other, with clients that `R` runs.
pub fn play_all<R: Runtime>(start: Start) {
    life::play::<R>(start);
    drops::play::<R>(start);
    ways::play::<R>(start);
}

/// A server with defaults, but for the address, and whom all can hear at once.
fn serve(start: Start, address: impl Into<SocketAddr>) -> Running {
    let mut settings = Settings {
        listeners: vec![ListenerSettings::at(address.into())],
        ..Settings::default()
    };
    settings.core.rate_limit.enabled = false;
    settings.core.rooms.push(RoomRule {
        pattern: "kept".to_owned(),
        history_messages: 1_000,
        ..RoomRule::default()
    });
    start(settings)
}

fn free(start: Start) -> Running {
    serve(start, ([127, 0, 0, 1], 0))
}

/// A client that comes back at once.
fn settings(address: SocketAddr) -> ClientSettings {
    let mut settings = ClientSettings::new(&format!("ws://{address}/")).expect("a URL");
    settings.session.reconnect_interval_ms = 20;
    settings.session.max_reconnect_delay_ms = 50;
    settings.session.max_reconnect_attempts = None;
    settings
}

fn connect<R: Runtime>(settings: ClientSettings) -> (Client<R>, Events) {
    Client::connect(settings).expect("a client")
}

/// The first event that `wanted` takes; those before it are gone.
fn until<T>(events: &mut Events, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let event = events.recv_timeout(left).expect("an event");
        if let Some(found) = wanted(event) {
            return found;
        }
    }
}

/// The data of what somebody says in a room, live or after a reconnect.
fn said(event: Event) -> Option<String> {
    match event {
        Event::RoomMessage(RoomMessage { said, .. }) => match said.data {
            SaidData::Json(text) => Some(text),
            SaidData::Bytes(bytes) => Some(format!("{bytes:?}")),
        },
        _ => None,
    }
}

/// The answer to something that is done.
fn done(
    receipt: Result<roomwire_runtime::client::Receipt, roomwire_runtime::client::Refused>,
) -> Option<Message> {
    let mut receipt = receipt.expect("there is room for it");
    let outcome = receipt.wait_timeout(PATIENCE).expect("an outcome in time");
    outcome.expect("it is done")
}
