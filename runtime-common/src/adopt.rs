//! Connections that another server of the program has accepted and upgraded, on their way to the thread that serves
//! them: sockets of the standard library, so that any runtime can have made them and any other goes on with them.

use std::io;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use roomwire_core::PeerAddr;
use roomwire_core::server::UpgradeRequest;

use crate::error::Ended;

/// A connection that another server has upgraded, for this one to take over.
#[derive(Debug)]
pub struct Adopted {
    socket: Socket,
    peer: PeerAddr,
    ahead: Vec<u8>,
}

/// A connected socket.
#[derive(Debug)]
pub enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// UNIX. Also the near end of a pair whose far end a program copies to and from a stream that is no socket.
    Unix(UnixStream),
}

impl From<TcpStream> for Socket {
    fn from(socket: TcpStream) -> Self {
        Self::Tcp(socket)
    }
}

impl From<UnixStream> for Socket {
    fn from(socket: UnixStream) -> Self {
        Self::Unix(socket)
    }
}

impl Adopted {
    /// What the other server had: the socket, whom it speaks to, the request that it has answered with `101`, and the
    /// bytes that it has read behind that request. The socket no longer blocks, and sends at once (`TCP_NODELAY`).
    ///
    /// # Errors
    /// As the system says.
    pub fn new(
        socket: impl Into<Socket>,
        peer: impl Into<PeerAddr>,
        request: &UpgradeRequest,
        behind: &[u8],
    ) -> io::Result<Self> {
        let socket = socket.into();
        match &socket {
            Socket::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                socket.set_nodelay(true)?;
            }
            Socket::Unix(socket) => socket.set_nonblocking(true)?,
        }
        Ok(Self {
            socket,
            peer: peer.into(),
            ahead: [request.as_bytes(), behind].concat(),
        })
    }

    /// The socket, whom it speaks to, and what the machine receives before anything that is read from it.
    pub fn into_parts(self) -> (Socket, PeerAddr, Vec<u8>) {
        (self.socket, self.peer, self.ahead)
    }
}

/// A connection that was not taken over, and is closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdoptError {
    /// There is no server any more.
    #[error(transparent)]
    Ended(#[from] Ended),
    /// It takes no more connections, or none from that address, or is leaving.
    #[error("the server has no room for the connection")]
    Refused,
    /// The runtime cannot watch the socket.
    #[error("the connection cannot be watched: {0}")]
    Io(#[from] io::Error),
}

/// Deals connections out to threads, to one after the other. Clones deal together.
#[derive(Clone, Debug, Default)]
pub struct Dealer(Arc<AtomicUsize>);

impl Dealer {
    /// Which of these has the next one; `None` if there are none.
    pub fn next<'a, T>(&self, threads: &'a [T]) -> Option<&'a T> {
        let dealt = self.0.fetch_add(1, Ordering::Relaxed);
        threads.get(dealt.checked_rem(threads.len())?)
    }
}

#[cfg(test)]
mod tests;
