//! TLS on the way: ciphertext in, ciphertext out.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use crate::machine::Unsent;

/// How TLS is spoken.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Whom to trust, which versions to speak, and the provider of cryptography.
    pub config: Arc<ClientConfig>,
    /// What the server's certificate is for.
    pub name: ServerName<'static>,
}

/// What to do about it.
pub(super) const fn advice(error: &rustls::Error) -> &'static str {
    use rustls::{CertificateError, Error};
    match error {
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => ": is the name in the URL right?",
        Error::InvalidCertificate(_) => {
            ": name a PEM file with the authority to trust, if it is not one of the system's"
        }
        Error::InvalidMessage(_) => ": does the server speak TLS there? ws:// is without it",
        _ => "",
    }
}

#[derive(Debug)]
pub(super) struct Secure {
    tls: ClientConnection,
    /// The handshake is over.
    pub(super) is_open: bool,
    /// The server has said that it is done.
    read_ended: bool,
}

/// Plain bytes that are encrypted for one transmit, at most: a record (RFC 8446, section 5.1).
const MOST_BYTES: usize = 16 * 1024;

/// Ciphertext that waits for a socket, at most: that of one transmit, and what TLS itself has to say.
pub(super) const MOST_WAITING: usize = 16 * MOST_BYTES;

impl Secure {
    /// Begins a handshake; what it says is appended to `out`.
    pub(super) fn begin(tls: &Tls, out: &mut Vec<u8>) -> Result<Self, rustls::Error> {
        let mut tls = ClientConnection::new(Arc::clone(&tls.config), tls.name.clone())?;
        // What is encrypted is taken out at once.
        tls.set_buffer_limit(None);
        let mut secure = Self {
            tls,
            is_open: false,
            read_ended: false,
        };
        secure.take_ciphertext(out);
        Ok(secure)
    }

    /// Takes ciphertext; what it says is appended to `plain`, and the answers of TLS to `out`. `true` when the server has
    /// said that it is done.
    pub(super) fn hear(
        &mut self,
        mut bytes: &[u8],
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<bool, rustls::Error> {
        let before = self.read_ended;
        let mut outcome = Ok(());
        while !bytes.is_empty() && !self.read_ended && outcome.is_ok() {
            outcome = self.step(&mut bytes, plain);
        }
        self.is_open |= !self.tls.is_handshaking();
        // Also what was wrong: the other end gets to know why.
        self.take_ciphertext(out);
        outcome.map(|()| self.read_ended && !before)
    }

    fn step(&mut self, rest: &mut &[u8], plain: &mut Vec<u8>) -> Result<(), rustls::Error> {
        let general = |error: std::io::Error| rustls::Error::General(error.to_string());
        let taken = self.tls.read_tls(rest).map_err(general)?;
        let state = self.tls.process_new_packets()?;
        let more = state.plaintext_bytes_to_read();
        if more > 0 {
            let mut reader = self.tls.reader().take(more as u64);
            reader.read_to_end(plain).map_err(general)?;
        }
        self.read_ended = state.peer_has_closed();
        if taken == 0 {
            // Records longer than TLS allows are refused before its buffer is full.
            return Err(rustls::Error::General("it takes no more".to_owned()));
        }
        Ok(())
    }

    /// Encrypts as much as one transmit takes into `out`; how much that was.
    pub(super) fn encrypt(&mut self, unsent: Unsent<'_>, out: &mut Vec<u8>) -> usize {
        let mut bytes = 0;
        for slice in unsent {
            let room = MOST_BYTES - bytes;
            let part = slice.get(..room.min(slice.len())).unwrap_or_default();
            let written = self.tls.writer().write(part).unwrap_or(0);
            bytes += written;
            if written < slice.len() {
                break;
            }
        }
        self.take_ciphertext(out);
        bytes
    }

    /// Tells the server that nothing follows.
    pub(super) fn say_done(&mut self, out: &mut Vec<u8>) {
        if self.is_open {
            self.tls.send_close_notify();
            self.take_ciphertext(out);
        }
    }

    fn take_ciphertext(&mut self, out: &mut Vec<u8>) {
        while self.tls.wants_write() {
            // Writing to a vector does not fail.
            if self.tls.write_tls(out).is_err() {
                return;
            }
        }
    }
}
