//! Sockets of both kinds: TCP and UNIX.

use std::io;
use std::os::fd::OwnedFd;

use mio::event::Source;
use mio::net::{TcpListener, UnixListener};
use roomwire_core::PeerAddr;
use roomwire_runtime::{Listener, Socket};
use socket2::Socket as Stream;

/// A listener that a loop watches.
#[derive(Debug)]
pub(crate) enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A listener, and whether anybody has come.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) listener: Acceptor,
    /// Somebody may be waiting.
    pub(crate) ready: bool,
}

impl From<Listener> for Acceptor {
    fn from(listener: Listener) -> Self {
        match listener {
            Listener::Tcp(listener) => Self::Tcp(TcpListener::from_std(listener)),
            Listener::Unix(listener) => Self::Unix(UnixListener::from_std(listener)),
        }
    }
}

impl Acceptor {
    pub(crate) fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp(listener) => listener,
            Self::Unix(listener) => listener,
        }
    }

    /// A socket that does not block.
    pub(crate) fn accept(&self) -> io::Result<(Stream, PeerAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                Ok((OwnedFd::from(stream).into(), PeerAddr::Inet(peer)))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                Ok((OwnedFd::from(stream).into(), PeerAddr::Local))
            }
        }
    }
}

/// A socket that another loop has watched, or none.
pub(crate) fn adopted(socket: Socket) -> Stream {
    match socket {
        Socket::Tcp(socket) => socket.into(),
        Socket::Unix(socket) => OwnedFd::from(socket).into(),
    }
}
