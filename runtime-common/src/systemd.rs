//! What a service manager and a server tell each other: sockets that are handed over, and how far the server is.
//!
//! The protocols are systemd's (`sd_listen_fds(3)`, `sd_notify(3)`); others speak them too. Without a manager
//! nothing happens.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::net::UnixDatagram;
use std::sync::{LazyLock, Mutex, PoisonError};

use listenfd::ListenFd;
use socket2::SockRef;

use crate::listen::Listener;

/// The sockets that this process was started with. A descriptor can be taken once.
static INHERITED: LazyLock<Mutex<ListenFd>> = LazyLock::new(|| Mutex::new(ListenFd::from_env()));

/// How many sockets this process was started with.
pub fn inherited_count() -> usize {
    let inherited = INHERITED.lock();
    inherited.unwrap_or_else(PoisonError::into_inner).len()
}

/// Takes a listening socket that this process was started with, counted from 0.
///
/// # Errors
/// There is none of this number, it was taken already, or it is no stream socket.
pub fn inherited(number: u16) -> io::Result<Listener> {
    let inherited = INHERITED.lock();
    let mut inherited = inherited.unwrap_or_else(PoisonError::into_inner);
    let number = usize::from(number);
    // One of another kind is left where it is.
    let tcp = inherited.take_tcp_listener(number);
    let listener = match tcp {
        Ok(tcp) => tcp.map(Listener::Tcp),
        Err(_) => inherited.take_unix_listener(number)?.map(Listener::Unix),
    };
    let listener = listener.ok_or(io::ErrorKind::NotFound)?;
    match &listener {
        Listener::Tcp(listener) => {
            listener.set_nonblocking(true)?;
            SockRef::from(listener).set_tcp_nodelay(true)?;
        }
        Listener::Unix(listener) => listener.set_nonblocking(true)?,
    }
    Ok(listener)
}

/// The server takes connections.
pub fn notify_ready() {
    notify("READY=1");
}

/// The server says goodbye to its clients.
pub fn notify_stopping() {
    notify("STOPPING=1");
}

fn notify(state: &str) {
    if let Some(address) = env::var_os("NOTIFY_SOCKET").filter(|address| !address.is_empty())
        && let Err(error) = send(&address, state)
    {
        tracing::warn!(%error, state, "the service manager cannot be told");
    }
}

fn send(address: &OsStr, state: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(name) = address.as_encoded_bytes().strip_prefix(b"@") {
        use std::os::linux::net::SocketAddrExt;
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
        return socket.send_to_addr(state.as_bytes(), &address).map(drop);
    }
    socket.send_to(state.as_bytes(), address).map(drop)
}

#[cfg(test)]
mod tests;
