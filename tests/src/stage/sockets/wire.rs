//! The client's end of one connection. A thread of its own receives; what is received is told as it comes.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rcgen::generate_simple_self_signed;
use roomwire_runtime::tls::CertificateFiles;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use socket2::SockRef;

use super::End;
use crate::tcp::PATIENCE;

/// What the server's certificate is for.
const HOST: &str = "localhost";

/// A certificate in files of its own, and clients that trust it.
pub(super) struct Authority {
    folder: PathBuf,
    config: Arc<ClientConfig>,
}

impl Authority {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("roomwire-stage-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).expect("a folder");
        let own = generate_simple_self_signed([HOST.to_owned()]).expect("a certificate");
        let key = own.signing_key.serialize_pem();
        fs::write(folder.join("crt"), own.cert.pem()).expect("written");
        fs::write(folder.join("key"), key).expect("written");
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from(own.cert.der().to_vec());
        roots.add(root).expect("a root");
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let config = config.with_safe_default_protocol_versions();
        let config = config.expect("versions of TLS");
        let config = config.with_root_certificates(roots).with_no_client_auth();
        Self {
            folder,
            config: Arc::new(config),
        }
    }

    pub(super) fn files(&self) -> CertificateFiles {
        CertificateFiles {
            cert: self.folder.join("crt"),
            key: self.folder.join("key"),
        }
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// One connection.
pub(super) struct Wire {
    stream: Arc<TcpStream>,
    tls: Option<Arc<Mutex<ClientConnection>>>,
    receiver: Option<JoinHandle<()>>,
    gate: Arc<Gate>,
}

/// Where a receiver waits while its client takes nothing.
#[derive(Default)]
struct Gate {
    shut: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn set(&self, shut: bool) {
        *self.shut.lock().expect("nobody has panicked") = shut;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let mut shut = self.shut.lock().expect("nobody has panicked");
        while *shut {
            shut = self.opened.wait(shut).expect("nobody has panicked");
        }
    }
}

/// What a socket holds for a client that takes nothing, about.
const HELD_BYTES: usize = 64 * 1024;

impl Wire {
    pub(super) fn plain(
        stream: TcpStream,
        tell: impl Fn(Result<Vec<u8>, End>) + Send + 'static,
    ) -> Self {
        Self::new(stream, None, tell)
    }

    /// `None`, and an end is told, if the server does not shake hands.
    pub(super) fn tls(
        mut stream: TcpStream,
        authority: &Authority,
        tell: impl Fn(Result<Vec<u8>, End>) + Send + 'static,
    ) -> Option<Self> {
        let name = ServerName::try_from(HOST).expect("a name");
        let mut tls = ClientConnection::new(Arc::clone(&authority.config), name).expect("a client");
        // What is encrypted is sent at once.
        tls.set_buffer_limit(None);
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        while tls.is_handshaking() {
            if let Err(error) = tls.complete_io(&mut stream) {
                let waited = matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                );
                assert!(!waited, "the handshake takes too long");
                tell(Err(End::Finished));
                return None;
            }
        }
        stream.set_read_timeout(None).expect("no timeout");
        Some(Self::new(stream, Some(Arc::new(Mutex::new(tls))), tell))
    }

    fn new(
        stream: TcpStream,
        tls: Option<Arc<Mutex<ClientConnection>>>,
        tell: impl Fn(Result<Vec<u8>, End>) + Send + 'static,
    ) -> Self {
        stream.set_nodelay(true).expect("no delay");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        let stream = Arc::new(stream);
        let gate = Arc::<Gate>::default();
        let (from, session, open) = (Arc::clone(&stream), tls.clone(), Arc::clone(&gate));
        let receiver = thread::spawn(move || receive(&from, session.as_deref(), &open, tell));
        Self {
            stream,
            tls,
            receiver: Some(receiver),
            gate,
        }
    }

    pub(super) fn write(&self, bytes: &[u8]) {
        match &self.tls {
            None => self.send(bytes),
            Some(tls) => self.encrypt(tls, |tls| {
                tls.writer().write_all(bytes).expect("room for all of it");
            }),
        }
    }

    pub(super) fn finish(&self) {
        if let Some(tls) = &self.tls {
            self.encrypt(tls, |tls| tls.send_close_notify());
        }
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Nothing that the server still sends is taken.
    pub(super) fn reset(mut self) {
        let linger = Some(Duration::ZERO);
        SockRef::from(&*self.stream)
            .set_linger(linger)
            .expect("a linger");
        self.stop_receiving(Shutdown::Read);
    }

    pub(super) fn stall(&self, stalled: bool) {
        let socket = SockRef::from(&*self.stream);
        socket.set_recv_buffer_size(HELD_BYTES).expect("a size");
        self.gate.set(stalled);
    }

    /// The lock is not held while the bytes are sent: a server that waits for us to receive does not read.
    fn encrypt(&self, tls: &Mutex<ClientConnection>, speak: impl FnOnce(&mut ClientConnection)) {
        let mut bytes = Vec::new();
        let mut tls = lock(tls);
        speak(&mut tls);
        while tls.wants_write() {
            tls.write_tls(&mut bytes).expect("a vector takes all");
        }
        drop(tls);
        self.send(&bytes);
    }

    fn send(&self, bytes: &[u8]) {
        match (&*self.stream).write_all(bytes) {
            // The server has gone, which the receiver tells.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            outcome => outcome.expect("sent"),
        }
    }

    fn stop_receiving(&mut self, how: Shutdown) {
        let _ = self.stream.shutdown(how);
        self.gate.set(false);
        if let Some(receiver) = self.receiver.take() {
            let _ = receiver.join();
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.receiver.is_some() {
            self.stop_receiving(Shutdown::Both);
        }
    }
}

fn lock(tls: &Mutex<ClientConnection>) -> MutexGuard<'_, ClientConnection> {
    tls.lock().expect("nobody has panicked")
}

/// Receives until nothing more comes.
fn receive(
    mut stream: &TcpStream,
    tls: Option<&Mutex<ClientConnection>>,
    gate: &Gate,
    tell: impl Fn(Result<Vec<u8>, End>),
) {
    let mut buffer = vec![0; 64 * 1024];
    let mut farewell = tls.is_none();
    // Something may have come along with the end of the handshake.
    let mut count = 0;
    loop {
        let mut said = buffer[..count].to_vec();
        if let Some(tls) = tls {
            match decrypt(&mut lock(tls), &said) {
                Ok((plain, over)) => (said, farewell) = (plain, over),
                Err(_) => return tell(Err(End::Cut)),
            }
        }
        if !said.is_empty() {
            tell(Ok(said));
        }
        gate.pass();
        count = match stream.read(&mut buffer) {
            Ok(0) if farewell => return tell(Err(End::Finished)),
            Ok(0) => return tell(Err(End::Cut)),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(_) => return tell(Err(End::Reset)),
        };
    }
}

/// What ciphertext says, and whether it was the last that the server has to say.
fn decrypt(tls: &mut ClientConnection, mut ciphertext: &[u8]) -> io::Result<(Vec<u8>, bool)> {
    let mut plain = Vec::new();
    loop {
        let state = tls.process_new_packets().map_err(io::Error::other)?;
        let count = state.plaintext_bytes_to_read() as u64;
        tls.reader().take(count).read_to_end(&mut plain)?;
        if ciphertext.is_empty() || state.peer_has_closed() {
            return Ok((plain, state.peer_has_closed()));
        }
        tls.read_tls(&mut ciphertext)?;
    }
}
