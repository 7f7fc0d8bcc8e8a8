//! Listening sockets.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that wait to be accepted. The kernel may cap it (`net.core.somaxconn`, 4,096 on Linux).
pub const BACKLOG: i32 = 4_096;

/// Listens at `address`, without blocking. Port 0 takes a free one: ask the listener which.
///
/// The address can be bound again at once after a restart (`SO_REUSEADDR`). An IPv6 address takes IPv6 only:
/// mapped IPv4 addresses would all share one /64, and with it the quota of one client. Listen at `0.0.0.0`
/// and `[::]` for both.
///
/// # Errors
/// Names the address, the cause and what can be done.
pub fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    open(address).map_err(|source| BindError { address, source })
}

/// An address where nothing can listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}{}", advice(.source))]
pub struct BindError {
    /// Where.
    pub address: SocketAddr,
    /// Why not.
    pub source: io::Error,
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    // What is accepted inherits it: one system call less for each connection.
    socket.set_tcp_nodelay(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program listens there: stop it, or choose another port (0 takes a free one)"
        }
        io::ErrorKind::AddrNotAvailable => {
            "; this machine does not have that address: 127.0.0.1 is only reached from here, 0.0.0.0 is \
             every IPv4 address of the machine"
        }
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need a privilege (CAP_NET_BIND_SERVICE): choose a higher port"
        }
        io::ErrorKind::Unsupported => "; this machine has no such network: choose another address",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
