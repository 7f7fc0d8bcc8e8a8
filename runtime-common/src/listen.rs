//! Listening sockets: TCP and UNIX.

use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use socket2::{Domain, Protocol, Socket, Type};

use crate::systemd;

/// Connections that wait to be accepted. The kernel may cap it (`net.core.somaxconn`, 4,096 on Linux).
pub const BACKLOG: i32 = 4_096;

/// Where to listen. In text `127.0.0.1:8080`, `[::1]:8080`, `unix:/run/roomwire.sock` or `fd:0`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// TCP; port 0 takes a free one.
    Tcp(SocketAddr),
    /// A UNIX socket, whose file is made here.
    Unix(PathBuf),
    /// A socket that the process was started with, counted from 0: TCP or UNIX. See [`systemd`].
    Inherited(u16),
}

impl Address {
    /// The address in a network, if it is in one.
    pub const fn socket_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) | Self::Inherited(_) => None,
        }
    }

    /// Whether any number of listeners may have it: each then gets a port of its own.
    pub(crate) const fn is_any(&self) -> bool {
        matches!(self, Self::Tcp(address) if address.port() == 0)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Inherited(number) => write!(f, "fd:{number}"),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

impl<I: Into<IpAddr>> From<(I, u16)> for Address {
    fn from(address: (I, u16)) -> Self {
        Self::Tcp(address.into())
    }
}

impl From<PathBuf> for Address {
    fn from(path: PathBuf) -> Self {
        Self::Unix(path)
    }
}

/// What is no [`Address`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "allowed is an IP address and a port, such as 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080 (port 0: a free \
     one), a UNIX socket, such as unix:/run/roomwire.sock, or a socket of the service manager's, such as fd:0"
)]
pub struct NoAddress;

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        match text.split_once(':') {
            Some(("unix", "")) => Err(NoAddress),
            Some(("unix", path)) => Ok(Self::Unix(path.into())),
            Some(("fd", number)) => number.parse().map(Self::Inherited).map_err(|_| NoAddress),
            _ => text.parse().map(Self::Tcp).map_err(|_| NoAddress),
        }
    }
}

/// A socket that listens and does not block.
#[derive(Debug)]
pub enum Listener {
    /// TCP. What is accepted sends at once (`TCP_NODELAY`).
    Tcp(TcpListener),
    /// UNIX.
    Unix(UnixListener),
}

impl Listener {
    /// Another handle for the same socket.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn try_clone(&self) -> io::Result<Self> {
        match self {
            Self::Tcp(listener) => listener.try_clone().map(Self::Tcp),
            Self::Unix(listener) => listener.try_clone().map(Self::Unix),
        }
    }

    /// Where it listens; with port 0, the port that it was given.
    ///
    /// # Errors
    /// As the system says; one that was made elsewhere may have no name.
    pub fn local_addr(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Self::Unix(listener) => {
                let address = listener.local_addr()?;
                let path = address.as_pathname().unwrap_or_else(|| Path::new(""));
                Ok(Address::Unix(path.to_owned()))
            }
        }
    }
}

/// Listens at `address`, without blocking. Port 0 takes a free one: ask the listener which.
///
/// The address can be bound again at once after a restart (`SO_REUSEADDR`). An IPv6 address takes IPv6 only:
/// mapped IPv4 addresses would all share one /64, and with it the quota of one client. Listen at `0.0.0.0`
/// and `[::]` for both. The file of a UNIX socket on which nobody listens any more is replaced; who may
/// connect is decided by the process's umask and the folder's permissions.
///
/// # Errors
/// Names the address, the cause and what can be done.
pub fn bind(address: &Address) -> Result<Listener, BindError> {
    let listener = match address {
        Address::Tcp(address) => open_tcp(*address, false).map(Listener::Tcp),
        Address::Unix(path) => open_unix(path).map(Listener::Unix),
        Address::Inherited(number) => systemd::inherited(*number),
    };
    listener.map_err(|source| BindError {
        address: address.clone(),
        source,
    })
}

/// Listens at `address` once for each of `shards`, as [`bind`] does. Where the system can (Linux, TCP) each has a queue
/// of its own and the system deals out connections; elsewhere all accept from one queue.
///
/// # Errors
/// As [`bind`].
pub fn bind_shards(address: &Address, shards: usize) -> Result<Vec<Listener>, BindError> {
    let first = bind(address)?;
    let failed = |source| BindError {
        address: address.clone(),
        source,
    };
    if shards == 1 {
        return Ok(vec![first]);
    }
    match (address, first) {
        (Address::Tcp(_), Listener::Tcp(probe)) if cfg!(target_os = "linux") => {
            // Nobody else listens there: sockets that share their address would not find that out.
            let address = probe.local_addr().map_err(failed)?;
            drop(probe);
            let each = (0..shards).map(|_| open_tcp(address, true).map(Listener::Tcp));
            each.collect::<io::Result<_>>().map_err(failed)
        }
        // Also what was passed on: its port is held by whoever passed it.
        (_, first) => {
            let more = (1..shards).map(|_| first.try_clone());
            let mut all = more.collect::<io::Result<Vec<_>>>().map_err(failed)?;
            all.insert(0, first);
            Ok(all)
        }
    }
}

/// An address where nothing can listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}{}", advice(.address, .source))]
pub struct BindError {
    /// Where.
    pub address: Address,
    /// Why not.
    pub source: io::Error,
}

/// `shared`: others of this process listen there, too.
fn open_tcp(address: SocketAddr, shared: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if shared {
        socket.set_reuse_port(true)?;
    }
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

fn open_unix(path: &Path) -> io::Result<UnixListener> {
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&socket2::SockAddr::unix(path)?)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Removes a socket's file if nobody listens there any more.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // Whoever listens with a full queue is there, too.
    socket.set_nonblocking(true)?;
    match socket.connect(&socket2::SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Ok(()),
    }
}

/// The files of all UNIX sockets of a server. Clones are the same files: they are gone when one of them says so, or
/// all have been dropped.
#[derive(Clone, Debug, Default)]
pub struct SocketFiles(Arc<Mutex<Vec<SocketFile>>>);

impl SocketFiles {
    /// Removes them.
    pub fn clear(&self) {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.clear();
    }
}

impl From<Vec<SocketFile>> for SocketFiles {
    fn from(files: Vec<SocketFile>) -> Self {
        Self(Arc::new(Mutex::new(files)))
    }
}

/// The file of a UNIX socket, removed when this is dropped, unless another has taken its place.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Which file it is: device and number.
    file: (u64, u64),
}

impl SocketFile {
    /// The file of the listener at `address`, if it has one.
    pub fn of(address: &Address) -> Option<Self> {
        match address {
            Address::Unix(path) => Some(Self {
                path: path.clone(),
                file: identity(path)?,
            }),
            Address::Tcp(_) | Address::Inherited(_) => None,
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path) == Some(self.file) {
            // One in a folder that may not be written any more does no harm.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let file = fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

/// Who listens for everyone should know it.
pub(crate) fn warn_if_public(address: &Address) {
    if let Some(public) = address.socket_addr().filter(|a| !a.ip().is_loopback()) {
        tracing::warn!(
            address = %public,
            "listening on a public address without authentication: whoever reaches it may join every room and \
             broadcast to everyone"
        );
    }
}

fn advice(address: &Address, error: &io::Error) -> &'static str {
    if matches!(address, Address::Inherited(_)) {
        return "; the service manager passes sockets (LISTEN_FDS), and each can be used once: fd:0 is the first";
    }
    let tcp = matches!(address, Address::Tcp(_));
    match error.kind() {
        io::ErrorKind::AddrInUse if tcp => {
            "; another program listens there: stop it, or choose another port (0 takes a free one)"
        }
        io::ErrorKind::AddrInUse => {
            "; a program listens there, or the file is no socket: choose another path"
        }
        io::ErrorKind::AddrNotAvailable => {
            "; this machine does not have that address: 127.0.0.1 is only reached from here, 0.0.0.0 is \
             every IPv4 address of the machine"
        }
        io::ErrorKind::PermissionDenied if tcp => {
            "; ports below 1024 need a privilege (CAP_NET_BIND_SERVICE): choose a higher port"
        }
        io::ErrorKind::PermissionDenied => {
            "; this user may not write in that folder: choose another"
        }
        io::ErrorKind::NotFound => "; that folder is not there: make it, or choose another",
        io::ErrorKind::InvalidInput => {
            "; the path of a socket has at most 107 bytes: choose a shorter one"
        }
        io::ErrorKind::Unsupported => "; this machine has no such network: choose another address",
        _ => "",
    }
}

#[cfg(test)]
mod tests;
