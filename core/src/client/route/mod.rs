//! The way to a server: what lies between the socket and the WebSocket on it. A proxy that is asked for a tunnel
//! (`CONNECT`, RFC 9110 section 9.3.6), then TLS, each if there is one.
//!
//! [`Routed`] is a machine around a client's machine, such as a [`Session`](super::session::Session): a driver needs no
//! code for it. The machine inside is told of a connection once the way stands; all of it is part of the time that it
//! gives to an attempt. Where the way cannot be made, the attempt has failed, and [`Routed::take_trouble`] says why.
//!
//! The rules of TLS are [`rustls`](https://docs.rs/rustls)'s, as is its randomness: no seed makes what it sends happen
//! again.

mod proxy;
#[cfg(feature = "tls")]
mod secure;
#[cfg(test)]
mod tests;

pub use proxy::{Proxy, ProxyAnswer, ProxyError};
#[cfg(feature = "tls")]
pub use secure::Tls;

use crate::id::ConnectionId;
use crate::machine::{
    Input, ListenerId, Machine, Output, PeerAddr, ShardId, TransportEnd, Turn, Unsent,
};
use crate::time::Now;
use proxy::{Answer, Head};

/// What lies on the way. By default nothing does.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Route {
    /// The proxy that the driver connects to in place of the server, and the server as the proxy is to find it:
    /// `host:port`.
    pub proxy: Option<(Proxy, String)>,
    /// How TLS is spoken.
    #[cfg(feature = "tls")]
    pub tls: Option<Tls>,
}

/// Why the way to a server could not be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// The socket ended first.
    #[error("the connection ended before {0}")]
    Ended(&'static str),
    /// The proxy has said something else than HTTP.
    #[error("the proxy: {0}")]
    NoAnswer(&'static str),
    /// The proxy makes no tunnel.
    #[error("the proxy refused with {status} {reason}{}", advice(*.status))]
    Refused {
        /// Its status.
        status: u16,
        /// The words behind it, often empty.
        reason: String,
    },
    /// What TLS says: most often that the server's certificate is not to be trusted.
    #[cfg(feature = "tls")]
    #[error("TLS: {error}{advice}", error = .0, advice = secure::advice(.0))]
    Tls(#[from] rustls::Error),
}

const fn advice(status: u16) -> &'static str {
    match status {
        407 => ": it asks who you are: http://USER:PASSWORD@HOST:PORT says so",
        403 | 405 => ": it makes no tunnels, or none to there",
        502..=504 => ": it does not reach the server",
        _ => "",
    }
}

/// A client's machine whose connections go by a [`Route`]. It holds the head of a proxy's answer, of at most 16 KiB, and
/// what TLS has for the socket: some 16 KiB of what the machine inside sends, and what TLS itself has to say.
#[derive(Debug)]
pub struct Routed<M> {
    inner: M,
    route: Route,
    now: Now,
    /// The one that there is.
    connection: Option<ConnectionId>,
    stage: Stage,
    /// What the stages have for the socket, and how much of it that has taken.
    out: Vec<u8>,
    sent: usize,
    /// The socket is full.
    blocked: bool,
    /// The driver writes, and has not answered.
    is_writing: bool,
    /// Bytes of the machine inside that are in `out`.
    made: usize,
    /// Such bytes that have left, of which it was not told.
    owed: usize,
    /// It was told that the socket is full.
    inner_waits: bool,
    /// Once the last has been tried to be said, the socket is closed: by a reset, if need be.
    leaving: Option<bool>,
    trouble: Option<RouteError>,
}

#[derive(Debug)]
enum Stage {
    /// There is no socket, or nothing that the machine inside knows of.
    Off,
    Connecting,
    Proxy(Head),
    #[cfg(feature = "tls")]
    Secure(Box<secure::Secure>),
    /// The bytes are those of the machine inside.
    Plain,
}

impl<M: Machine> Routed<M> {
    /// Around `inner`.
    pub const fn new(inner: M, route: Route) -> Self {
        Self {
            inner,
            route,
            now: Now {
                mono: crate::time::Instant::ZERO,
                unix_ms: 0,
            },
            connection: None,
            stage: Stage::Off,
            out: Vec::new(),
            sent: 0,
            blocked: false,
            is_writing: false,
            made: 0,
            owed: 0,
            inner_waits: false,
            leaving: None,
            trouble: None,
        }
    }

    /// The machine inside.
    pub const fn inner(&self) -> &M {
        &self.inner
    }

    /// The machine inside, to be told what is about no connection.
    pub const fn inner_mut(&mut self) -> &mut M {
        &mut self.inner
    }

    /// Why the last way could not be made, once.
    pub const fn take_trouble(&mut self) -> Option<RouteError> {
        self.trouble.take()
    }

    /// Whether the machine inside has been told that the connection stands.
    const fn stands(&self) -> bool {
        match &self.stage {
            Stage::Off | Stage::Connecting | Stage::Proxy(_) => false,
            #[cfg(feature = "tls")]
            Stage::Secure(secure) => secure.is_open,
            Stage::Plain => true,
        }
    }

    /// What the way lacks, for whoever is told that it ended.
    const fn lacks(&self) -> Option<&'static str> {
        match &self.stage {
            Stage::Proxy(_) => Some("the proxy had answered"),
            #[cfg(feature = "tls")]
            Stage::Secure(secure) if !secure.is_open => Some("TLS was agreed on"),
            _ => None,
        }
    }

    fn forget(&mut self) {
        self.connection = None;
        self.stage = Stage::Off;
        self.out = Vec::new();
        self.sent = 0;
        (self.made, self.owed) = (0, 0);
        (self.blocked, self.is_writing, self.inner_waits) = (false, false, false);
        self.leaving = None;
    }

    /// The machine inside hears that there is no connection; the driver is still to close its socket.
    fn give_up(&mut self, connection: ConnectionId, why: RouteError) -> Turn {
        let stood = self.stands();
        self.stage = Stage::Off;
        (self.made, self.owed, self.inner_waits) = (0, 0, false);
        self.leaving = Some(false);
        self.trouble = Some(why);
        let input = if stood {
            let end = TransportEnd::Failed;
            Input::Ended { connection, end }
        } else {
            Input::ConnectFailed { connection }
        };
        self.inner.handle(self.now, input)
    }

    // ---- what the driver says

    fn connected(&mut self, connection: ConnectionId) -> Turn {
        if !matches!(self.stage, Stage::Connecting) {
            return Turn::Open;
        }
        let Some((proxy, to)) = &self.route.proxy else {
            return self.go_on(connection);
        };
        proxy.write_request(to, &mut self.out);
        self.stage = Stage::Proxy(Head::default());
        Turn::Open
    }

    /// The bytes are the server's from here on.
    fn go_on(&mut self, connection: ConnectionId) -> Turn {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.route.tls {
            return match secure::Secure::begin(tls, &mut self.out) {
                Ok(secure) => {
                    self.stage = Stage::Secure(Box::new(secure));
                    Turn::Open
                }
                Err(error) => self.give_up(connection, error.into()),
            };
        }
        self.stage = Stage::Plain;
        self.inner.handle(self.now, Input::Connected { connection })
    }

    fn received(&mut self, connection: ConnectionId, bytes: &mut [u8]) -> Turn {
        match &mut self.stage {
            Stage::Off | Stage::Connecting => Turn::Open,
            Stage::Proxy(head) => {
                let (consumed, answer) = head.read(bytes);
                let turn = match answer {
                    None => return Turn::Open,
                    Some(Answer::Tunnel) if self.sent < self.out.len() => {
                        let why = "it answered before it was asked";
                        return self.give_up(connection, RouteError::NoAnswer(why));
                    }
                    Some(Answer::Tunnel) => self.go_on(connection),
                    Some(Answer::Refused { status, reason }) => {
                        let why = RouteError::Refused { status, reason };
                        return self.give_up(connection, why);
                    }
                    Some(Answer::Bad(why)) => {
                        return self.give_up(connection, RouteError::NoAnswer(why));
                    }
                };
                match bytes.get_mut(consumed..) {
                    Some(rest) if !rest.is_empty() => self.received(connection, rest),
                    _ => turn,
                }
            }
            #[cfg(feature = "tls")]
            Stage::Secure(_) => self.received_secure(connection, bytes),
            Stage::Plain => {
                let input = Input::Received { connection, bytes };
                self.inner.handle(self.now, input)
            }
        }
    }

    #[cfg(feature = "tls")]
    fn received_secure(&mut self, connection: ConnectionId, bytes: &[u8]) -> Turn {
        let Stage::Secure(secure) = &mut self.stage else {
            return Turn::Open;
        };
        let was_open = secure.is_open;
        let mut plain = Vec::new();
        let outcome = secure.hear(bytes, &mut plain, &mut self.out);
        let is_open = secure.is_open;
        let waiting = self.out.len() - self.sent;
        let mut turn = Turn::Open;
        if is_open && !was_open {
            turn = self.inner.handle(self.now, Input::Connected { connection });
        }
        if is_open && !plain.is_empty() {
            let bytes = &mut plain[..];
            let input = Input::Received { connection, bytes };
            turn = self.inner.handle(self.now, input);
        }
        match outcome {
            Ok(false) if waiting > secure::MOST_WAITING => {
                let why = rustls::Error::General("it takes none of its answers".to_owned());
                self.give_up(connection, why.into())
            }
            Ok(false) => turn,
            Ok(true) if is_open => self.inner.handle(self.now, Input::ReadEnd { connection }),
            Ok(true) => self.give_up(connection, RouteError::Ended("TLS was agreed on")),
            Err(error) => self.give_up(connection, error.into()),
        }
    }

    fn sent(&mut self, connection: ConnectionId, bytes: usize, blocked: bool) -> Turn {
        self.is_writing = false;
        self.sent = self.out.len().min(self.sent.saturating_add(bytes));
        self.blocked = blocked;
        let has_all = self.sent == self.out.len();
        if has_all {
            self.out.clear();
            self.sent = 0;
        }
        let made = core::mem::take(&mut self.made);
        let input = if made > 0 && has_all {
            self.inner_waits = blocked;
            let bytes = made;
            Input::Sent {
                connection,
                bytes,
                blocked,
            }
        } else if made > 0 {
            // A record that is not whole is nothing yet. It is told of when it is.
            self.owed = made;
            self.inner_waits = true;
            let (bytes, blocked) = (0, true);
            Input::Sent {
                connection,
                bytes,
                blocked,
            }
        } else if has_all && !blocked && core::mem::take(&mut self.inner_waits) {
            Input::Writable { connection }
        } else {
            return Turn::Open;
        };
        self.inner.handle(self.now, input)
    }

    fn writable(&mut self, connection: ConnectionId) -> Turn {
        self.blocked = false;
        let has_all = self.sent == self.out.len();
        if has_all && core::mem::take(&mut self.inner_waits) {
            return self.inner.handle(self.now, Input::Writable { connection });
        }
        Turn::Open
    }

    /// The socket is gone, or says nothing more: on the way that is the end of the attempt.
    fn ended_on_the_way(&mut self, connection: ConnectionId) -> Option<Turn> {
        let before = self.lacks()?;
        self.trouble = Some(RouteError::Ended(before));
        Some(
            self.inner
                .handle(self.now, Input::ConnectFailed { connection }),
        )
    }

    // ---- what the machine inside says

    /// The machine inside wants to send. Whether the driver is to.
    #[cfg(feature = "tls")]
    fn transmit(&mut self, connection: ConnectionId) -> bool {
        let has_some = self.sent < self.out.len();
        let (bytes, blocked) = match &mut self.stage {
            Stage::Secure(_) if self.owed > 0 && !has_some => {
                (core::mem::take(&mut self.owed), false)
            }
            Stage::Secure(secure) if !has_some && !self.blocked => {
                let made = secure.encrypt(self.inner.unsent(connection), &mut self.out);
                self.made = made;
                if made > 0 {
                    self.is_writing = true;
                    return true;
                }
                (0, true)
            }
            _ => (0, true),
        };
        self.inner_waits |= blocked;
        let input = Input::Sent {
            connection,
            bytes,
            blocked,
        };
        let _ = self.inner.handle(self.now, input);
        false
    }

    #[cfg(not(feature = "tls"))]
    const fn transmit(&self, _: ConnectionId) -> bool {
        true
    }

    /// The machine inside closes. Whether the driver is to at once: TLS says goodbye first.
    fn closes(&mut self, reset: bool) -> bool {
        #[cfg(feature = "tls")]
        if let Stage::Secure(secure) = &mut self.stage
            && !reset
        {
            secure.say_done(&mut self.out);
            self.stage = Stage::Off;
            self.leaving = Some(false);
            return false;
        }
        let _ = reset;
        self.forget();
        true
    }

    /// What the stages have for the driver.
    fn next_own(&mut self) -> Option<Output<M::Event>> {
        let connection = self.connection?;
        let has_some = self.sent < self.out.len();
        if has_some && !self.blocked && !self.is_writing {
            self.is_writing = true;
            return Some(Output::Transmit { connection });
        }
        let reset = self.leaving.filter(|_| !self.is_writing)?;
        self.forget();
        Some(Output::Close { connection, reset })
    }
}

impl<M: Machine> Machine for Routed<M> {
    type Command = M::Command;
    type Event = M::Event;
    type Relay = M::Relay;

    fn accept(&mut self, now: Now, peer: PeerAddr, listener: ListenerId) -> Option<ConnectionId> {
        self.inner.accept(now, peer, listener)
    }

    fn handle(&mut self, now: Now, input: Input<'_, Self::Command, Self::Relay>) -> Turn {
        self.now = now;
        let own = self.connection;
        let is_own = |connection: ConnectionId| own == Some(connection);
        match input {
            Input::Connected { connection } if is_own(connection) => self.connected(connection),
            Input::Received { connection, bytes } if is_own(connection) => {
                self.received(connection, bytes)
            }
            Input::Sent {
                connection,
                bytes,
                blocked,
            } if is_own(connection) && !matches!(self.stage, Stage::Plain) => {
                self.sent(connection, bytes, blocked)
            }
            Input::Writable { connection }
                if is_own(connection) && !matches!(self.stage, Stage::Plain) =>
            {
                self.writable(connection)
            }
            Input::ReadEnd { connection } if is_own(connection) => match self.lacks() {
                Some(before) => self.give_up(connection, RouteError::Ended(before)),
                None if self.stands() => self.inner.handle(now, Input::ReadEnd { connection }),
                None => Turn::Open,
            },
            Input::Ended { connection, .. } | Input::ConnectFailed { connection }
                if is_own(connection) =>
            {
                let told = self.ended_on_the_way(connection);
                let knows = !matches!(self.stage, Stage::Off);
                self.forget();
                match told {
                    Some(turn) => turn,
                    // As it came.
                    None if knows => self.inner.handle(now, input),
                    None => Turn::Open,
                }
            }
            input => self.inner.handle(now, input),
        }
    }

    fn poll(&mut self) -> Output<Self::Event> {
        loop {
            if let Some(output) = self.next_own() {
                return output;
            }
            match self.inner.poll() {
                Output::Connect { connection, target } => {
                    self.forget();
                    self.connection = Some(connection);
                    self.stage = Stage::Connecting;
                    return Output::Connect { connection, target };
                }
                Output::Transmit { connection }
                    if self.connection == Some(connection)
                        && !matches!(self.stage, Stage::Plain) =>
                {
                    if self.transmit(connection) {
                        return Output::Transmit { connection };
                    }
                }
                Output::Close { connection, reset } if self.connection == Some(connection) => {
                    if self.closes(reset) {
                        return Output::Close { connection, reset };
                    }
                }
                output => return output,
            }
        }
    }

    fn unsent(&self, connection: ConnectionId) -> Unsent<'_> {
        if self.connection == Some(connection) && !matches!(self.stage, Stage::Plain) {
            return Unsent::slice(self.out.get(self.sent..).unwrap_or_default());
        }
        self.inner.unsent(connection)
    }

    fn take_relay(&mut self, to: ShardId) -> Option<Self::Relay> {
        self.inner.take_relay(to)
    }
}
