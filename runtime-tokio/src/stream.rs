//! Sockets of both kinds: TCP and UNIX.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use roomwire_core::PeerAddr;
use roomwire_runtime::{Listener, SEND_MORE, Sink, Socket};
use socket2::SockRef;
use tokio::io::{AsyncRead, Interest, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream, tcp, unix};

/// A listener that the runtime watches.
pub(crate) enum Acceptor {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Acceptor {
    pub(crate) fn new(listener: Listener) -> io::Result<Self> {
        match listener {
            Listener::Tcp(listener) => TcpListener::from_std(listener).map(Self::Tcp),
            Listener::Unix(listener) => UnixListener::from_std(listener).map(Self::Unix),
        }
    }

    pub(crate) async fn accept(&self) -> io::Result<(Halves, PeerAddr)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((tcp(stream), PeerAddr::Inet(peer)))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((unix(stream), PeerAddr::Local))
            }
        }
    }
}

/// A connection that the runtime watches.
pub(crate) type Halves = (Reader, Writer);

/// Watches a socket that another runtime has watched, or none.
pub(crate) fn watch(socket: Socket) -> io::Result<Halves> {
    match socket {
        Socket::Tcp(socket) => TcpStream::from_std(socket).map(tcp),
        Socket::Unix(socket) => UnixStream::from_std(socket).map(unix),
    }
}

pub(crate) fn tcp(stream: TcpStream) -> Halves {
    let (reader, writer) = stream.into_split();
    (Reader::Tcp(reader), Writer::Tcp(writer))
}

fn unix(stream: UnixStream) -> Halves {
    let (reader, writer) = stream.into_split();
    (Reader::Unix(reader), Writer::Unix(writer))
}

/// Does the same with a half of either kind.
macro_rules! either {
    ($half:expr, $it:ident => $what:expr) => {
        match $half {
            Self::Tcp($it) => $what,
            Self::Unix($it) => $what,
        }
    };
}

/// What a read task has of a connection.
pub(crate) enum Reader {
    Tcp(tcp::OwnedReadHalf),
    Unix(unix::OwnedReadHalf),
}

impl Reader {
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, reader => Pin::new(reader).poll_read(cx, buffer))
    }
}

/// What the driver has of a connection.
pub(crate) enum Writer {
    Tcp(tcp::OwnedWriteHalf),
    Unix(unix::OwnedWriteHalf),
}

impl Writer {
    pub(crate) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, writer => writer.as_ref().poll_write_ready(cx))
    }

    pub(crate) fn socket(&self) -> SockRef<'_> {
        either!(self, writer => SockRef::from(writer.as_ref()))
    }

    /// Dropping the half would shut the socket down: one system call more.
    pub(crate) fn forget(self) {
        either!(self, writer => writer.forget());
    }
}

impl Sink for Writer {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        either!(self, writer => writer.try_write(bytes))
    }

    fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        either!(self, writer => writer.try_write_vectored(slices))
    }

    fn write_last(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let send = || self.socket().send_vectored_with_flags(slices, SEND_MORE);
        either!(self, writer => writer.as_ref().try_io(Interest::WRITABLE, send))
    }
}
