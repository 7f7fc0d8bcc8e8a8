//! The socket of a client, and TLS where it is asked for. Moves bytes, and never waits.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

use roomwire_core::client::Client;
#[cfg(feature = "tls")]
use rustls::ClientConnection;

#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    /// The socket takes no more for now, and more waits.
    blocked: bool,
    #[cfg(feature = "tls")]
    tls: Option<Box<ClientConnection>>,
}

/// What a read came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrived {
    Bytes(usize),
    Nothing,
    End,
}

impl Wire {
    /// `stream` must not block.
    pub(super) fn new(
        stream: TcpStream,
        #[cfg(feature = "tls")] tls: Option<ClientConnection>,
    ) -> Self {
        Self {
            stream,
            blocked: false,
            #[cfg(feature = "tls")]
            tls: tls.map(Box::new),
        }
    }

    /// Whether something waits until the socket takes it.
    pub(super) const fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Writes what the socket takes of what waits.
    pub(super) fn write(&mut self, client: &mut Client) -> io::Result<()> {
        self.blocked = false;
        self.blocked = self.write_some(client)?;
        Ok(())
    }

    /// Whether the socket took less than there was.
    fn write_some(&mut self, client: &mut Client) -> io::Result<bool> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return write_tls(tls, &mut self.stream, client);
        }
        while !client.unsent().is_empty() {
            match self.stream.write(client.unsent()) {
                Ok(count) => client.sent(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Reads once.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Arrived> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            return read_tls(tls, &mut self.stream, buffer);
        }
        arrived(self.stream.read(buffer))
    }

    /// Says goodbye to the other end of TLS, if that can be done at once.
    #[cfg_attr(
        not(feature = "tls"),
        expect(clippy::needless_pass_by_ref_mut, reason = "TLS has something to say")
    )]
    pub(super) fn finish(&mut self) {
        #[cfg(feature = "tls")]
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = tls.write_tls(&mut self.stream);
        }
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn arrived(outcome: io::Result<usize>) -> io::Result<Arrived> {
    match outcome {
        Ok(0) => Ok(Arrived::End),
        Ok(count) => Ok(Arrived::Bytes(count)),
        Err(error) if is_nothing(&error) => Ok(Arrived::Nothing),
        Err(error) => Err(error),
    }
}

fn is_nothing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

#[cfg(feature = "tls")]
fn write_tls(
    tls: &mut ClientConnection,
    stream: &mut TcpStream,
    client: &mut Client,
) -> io::Result<bool> {
    loop {
        // It takes no more than it has room for.
        let count = tls.writer().write(client.unsent())?;
        client.sent(count);
        if !tls.wants_write() {
            // What it took waits for the handshake, in which it is the server's turn.
            return Ok(false);
        }
        match tls.write_tls(stream) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(feature = "tls")]
fn read_tls(
    tls: &mut ClientConnection,
    stream: &mut TcpStream,
    buffer: &mut [u8],
) -> io::Result<Arrived> {
    loop {
        match tls.reader().read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // Without a goodbye of TLS: WebSocket has its own.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Arrived::End),
            outcome => return arrived(outcome),
        }
        match tls.read_tls(stream) {
            Ok(_) => {}
            Err(error) if is_nothing(&error) => return Ok(Arrived::Nothing),
            Err(error) => return Err(error),
        }
        if let Err(error) = tls.process_new_packets() {
            // The other end gets to know why.
            let _ = tls.write_tls(stream);
            return Err(explained(error));
        }
    }
}

/// With what to do about it.
#[cfg(feature = "tls")]
fn explained(error: rustls::Error) -> io::Error {
    use rustls::{CertificateError, Error};
    let hint = match &error {
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => ": is the name in the URL right?",
        Error::InvalidCertificate(_) => {
            ": --ca names a PEM file with the authority to trust, if it is not one of the system's"
        }
        Error::InvalidMessage(_) => ": does the server speak TLS there? ws:// is without it",
        _ => "",
    };
    io::Error::new(io::ErrorKind::InvalidData, format!("TLS: {error}{hint}"))
}
