//! Sockets of both kinds: TCP and UNIX.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::task::{Context, Poll};

use async_io::Async;
use roomwire_core::PeerAddr;
use roomwire_runtime::{Listener, Socket};
use socket2::SockRef;

/// A listener that the runtime watches.
pub(crate) enum Acceptor {
    Tcp(Async<TcpListener>),
    Unix(Async<UnixListener>),
}

impl Acceptor {
    pub(crate) fn new(listener: Listener) -> io::Result<Self> {
        match listener {
            Listener::Tcp(listener) => Async::new(listener).map(Self::Tcp),
            Listener::Unix(listener) => Async::new(listener).map(Self::Unix),
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<(Stream, PeerAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Stream::Tcp(stream), PeerAddr::Inet(peer)))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), PeerAddr::Local))
            }
        }
    }
}

/// A connection that the runtime watches. It is read and written through [`socket`](Self::socket).
pub(crate) enum Stream {
    Tcp(Async<TcpStream>),
    Unix(Async<UnixStream>),
}

impl Stream {
    /// Watches a socket that another runtime has watched, or none.
    pub(crate) fn new(socket: Socket) -> io::Result<Self> {
        match socket {
            Socket::Tcp(socket) => Async::new(socket).map(Self::Tcp),
            Socket::Unix(socket) => Async::new(socket).map(Self::Unix),
        }
    }

    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_readable(cx),
            Self::Unix(stream) => stream.poll_readable(cx),
        }
    }

    pub(crate) fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_writable(cx),
            Self::Unix(stream) => stream.poll_writable(cx),
        }
    }

    /// The socket, which does not block.
    pub(crate) fn socket(&self) -> SockRef<'_> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream),
            Self::Unix(stream) => SockRef::from(stream),
        }
    }
}
