//! From a URL to a connected socket, with TLS around it where that is asked for.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Instant;

use roomwire_core::client::route::{Proxy, ProxyAnswer};

use super::options::Server;
use super::wire::Wire;
use crate::cli::FAILURE;
#[cfg(not(feature = "tls"))]
use crate::cli::USAGE;

/// Why there is no connection, and the exit code that this makes.
pub(super) struct NoConnection {
    pub(super) what: String,
    pub(super) code: u8,
}

impl NoConnection {
    fn failure(what: String) -> Self {
        let code = FAILURE;
        Self { what, code }
    }
}

/// Connects to the first of the host's addresses that takes the connection. Blocks, for the timeout at most and however
/// long the system looks the name up.
pub(super) fn connect(server: &Server) -> Result<Wire, NoConnection> {
    #[cfg(feature = "tls")]
    let session = match server.url.tls {
        true => Some(session(server)?),
        false => None,
    };
    #[cfg(not(feature = "tls"))]
    if server.url.tls {
        return Err(NoConnection {
            what: format!(
                "{}: this program was built without TLS: use ws://",
                server.url
            ),
            code: USAGE,
        });
    }
    let stream = match &server.proxy {
        None => dial(server, &server.url.host, server.url.port)?,
        Some(proxy) => {
            let stream = dial(server, proxy.host(), proxy.port())?;
            let tunnel = tunnel(&stream, proxy, server);
            tunnel.map_err(|error| NoConnection::failure(format!("{proxy}: {error}")))?;
            stream
        }
    };
    let prepared = stream
        .set_nonblocking(true)
        .and_then(|()| stream.set_nodelay(true));
    prepared.map_err(|error| NoConnection::failure(format!("preparing the socket: {error}")))?;
    #[cfg(feature = "tls")]
    let wire = Wire::new(stream, session);
    #[cfg(not(feature = "tls"))]
    let wire = Wire::new(stream);
    Ok(wire)
}

/// Has a proxy make a tunnel to the server. A byte at a time: what follows its answer is the server's.
fn tunnel(mut stream: &TcpStream, proxy: &Proxy, server: &Server) -> io::Result<()> {
    stream.set_read_timeout(Some(server.timeout()))?;
    stream.write_all(&proxy.request(&server.url.authority()))?;
    let mut answer = ProxyAnswer::default();
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        if let Some(outcome) = answer.take(&byte) {
            return outcome.map_err(io::Error::other);
        }
    }
}

fn dial(server: &Server, host: &str, port: u16) -> Result<TcpStream, NoConnection> {
    let addresses = (host, port).to_socket_addrs();
    let addresses = addresses.map_err(|error| {
        NoConnection::failure(format!("cannot find {host}: {error}: is the name right?"))
    })?;
    let deadline = Instant::now() + server.timeout();
    let mut last = None;
    for address in addresses {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(format!("{address}: {}", explain(&error, server))),
        }
    }
    let why = last.unwrap_or_else(|| format!("{host}: it has no address"));
    Err(NoConnection::failure(format!("cannot connect to {why}")))
}

fn explain(error: &io::Error, server: &Server) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            format!("{error}: nobody listens there; is the server running, and on this port?")
        }
        io::ErrorKind::TimedOut => {
            let ms = server.timeout_ms;
            format!("no answer within {ms} ms: is the address right? --timeout-ms waits longer")
        }
        _ => error.to_string(),
    }
}

/// A session of TLS that has yet to begin.
#[cfg(feature = "tls")]
fn session(server: &Server) -> Result<rustls::ClientConnection, NoConnection> {
    let tls = crate::client::roots::tls(&server.roots(), &server.url.host);
    let tls = tls.map_err(|error| NoConnection {
        what: match &server.ca {
            Some(_) => format!("--ca: {error}"),
            None => format!("{error}: --ca names one"),
        },
        code: crate::cli::USAGE,
    })?;
    rustls::ClientConnection::new(tls.config, tls.name)
        .map_err(|error| NoConnection::failure(format!("TLS: {error}")))
}
