//! From a URL to a connected socket, with TLS around it where that is asked for.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Instant;

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
        true => Some(tls::session(server)?),
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
    let stream = dial(server)?;
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

fn dial(server: &Server) -> Result<TcpStream, NoConnection> {
    let url = &server.url;
    let addresses = (url.host.as_str(), url.port).to_socket_addrs();
    let addresses = addresses.map_err(|error| {
        let host = &url.host;
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
    let why = last.unwrap_or_else(|| format!("{}: it has no address", url.host));
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

#[cfg(feature = "tls")]
mod tls {
    use std::fs;
    use std::sync::Arc;

    use rustls::crypto::ring::default_provider;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::NoConnection;
    use crate::cli::USAGE;
    use crate::cli::client::options::Server;

    /// A session that has yet to begin.
    pub(super) fn session(server: &Server) -> Result<ClientConnection, NoConnection> {
        let wrong = |what: String| NoConnection { what, code: USAGE };
        let roots = match &server.ca {
            Some(file) => roots_of(&file.display().to_string(), fs::read(file)).map_err(wrong)?,
            None => roots_of_system().map_err(wrong)?,
        };
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_safe_default_protocol_versions();
        let config = config.map_err(|error| NoConnection::failure(format!("TLS: {error}")))?;
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let name = ServerName::try_from(server.url.host.clone());
        let name = name.map_err(|_| wrong(format!("{:?} is no name for TLS", server.url.host)))?;
        ClientConnection::new(Arc::new(config), name)
            .map_err(|error| NoConnection::failure(format!("TLS: {error}")))
    }

    fn roots_of(file: &str, pem: std::io::Result<Vec<u8>>) -> Result<RootCertStore, String> {
        let pem = pem.map_err(|error| format!("--ca: cannot read {file}: {error}"))?;
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|error| format!("--ca: {file}: {error}"))?;
            let added = roots.add(certificate);
            added.map_err(|error| format!("--ca: {file}: {error}"))?;
        }
        if roots.is_empty() {
            return Err(format!("--ca: {file}: it holds no certificate in PEM"));
        }
        Ok(roots)
    }

    fn roots_of_system() -> Result<RootCertStore, String> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        // Some systems list authorities that nobody can use; one that can is enough.
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let why = found.errors.first().map(|error| format!(": {error}"));
            let why = why.unwrap_or_default();
            return Err(format!(
                "this system has no authorities to trust{why}: --ca names a PEM file that holds some"
            ));
        }
        Ok(roots)
    }
}
