use core::time::Duration;

use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion, version};

use super::*;
use crate::config::ListenerConfig;
use crate::time::Instant;
use crate::websocket::{Control, Data, OpCode, put_masked_frame};
use crate::{Config, Server, Stats, TransportEnd};

const SECURE: ListenerId = ListenerId(0);
const PLAIN: ListenerId = ListenerId(1);
const UPGRADE: &[u8] =
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// A server for `localhost`, and what clients believe.
fn configs(
    versions: &[&'static SupportedProtocolVersion],
) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = own.cert.der().clone();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .expect("a certificate and its key");
    let mut roots = RootCertStore::empty();
    roots.add(certificate).expect("a root");
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

/// A server, the clock, and one client.
struct Net {
    machine: Tls<Server>,
    now: Now,
    connection: ConnectionId,
    tls: ClientConnection,
    /// What the client has read, decrypted.
    inbox: Vec<u8>,
    /// What the client has read that was no TLS.
    raw: Vec<u8>,
    /// The socket takes so many bytes at a time, and is then full.
    takes: usize,
    /// It is full.
    full: bool,
    finished: bool,
    closed: bool,
    is_tls: bool,
    /// Where its session comes from, as the last event said.
    opened: Option<PeerAddr>,
}

impl Net {
    fn new(
        versions: &[&'static SupportedProtocolVersion],
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = Config {
            listeners: vec![ListenerConfig::default(), ListenerConfig::default()],
            ..Config::default()
        };
        config.timeouts.welcome_delay_ms = 0;
        change(&mut config);
        let proxy_protocol = config.listeners[0].proxy_protocol;
        let server = Server::new(config.validate().expect("valid"), [3; 32]);
        let (config, believes) = configs(versions);
        let listener = TlsListener {
            config,
            proxy_protocol,
        };
        let mut machine = Tls::new(server, vec![Some(listener)]);
        let now = Now {
            mono: Instant::from_micros(1_000),
            unix_ms: 1_700_000_000_000,
        };
        let connection = machine.accept(now, PeerAddr::Local, SECURE).expect("room");
        let name = ServerName::try_from("localhost").expect("a name");
        Self {
            machine,
            now,
            connection,
            tls: ClientConnection::new(believes, name).expect("a client"),
            inbox: Vec::new(),
            raw: Vec::new(),
            takes: usize::MAX,
            full: false,
            finished: false,
            closed: false,
            is_tls: true,
            opened: None,
        }
    }

    fn stats(&self) -> Stats {
        self.machine.stats()
    }

    fn advance(&mut self, ms: u64) {
        self.now.mono = self.now.mono + Duration::from_millis(ms);
        let _ = self.machine.handle(self.now, Input::Tick);
        self.settle();
    }

    fn receive(&mut self, bytes: &[u8]) -> Turn {
        let (connection, mut bytes) = (self.connection, bytes.to_vec());
        let bytes = &mut bytes[..];
        self.machine
            .handle(self.now, Input::Received { connection, bytes })
    }

    /// Lets both sides talk until neither has anything to say.
    fn settle(&mut self) {
        loop {
            self.poll();
            let mut bytes = Vec::new();
            while self.is_tls && self.tls.wants_write() {
                self.tls.write_tls(&mut bytes).expect("a vector");
            }
            if bytes.is_empty() || self.closed {
                return;
            }
            let _ = self.receive(&bytes);
        }
    }

    fn poll(&mut self) {
        loop {
            match self.machine.poll() {
                Output::Transmit { connection } => self.transmit(connection),
                Output::Finish { .. } => self.finished = true,
                Output::Close { .. } => self.closed = true,
                Output::Event(crate::server::Event::Opened { peer, .. }) => {
                    self.opened = Some(peer);
                }
                Output::Idle { .. } => return,
                _ => {}
            }
        }
    }

    fn transmit(&mut self, connection: ConnectionId) {
        assert_eq!(connection, self.connection);
        assert!(!self.full && !self.finished && !self.closed);
        let unsent = self.machine.unsent(connection).flatten().copied();
        let bytes: Vec<u8> = unsent.take(self.takes.saturating_add(1)).collect();
        assert!(!bytes.is_empty(), "nothing to transmit");
        let count = bytes.len().min(self.takes);
        self.read(&bytes[..count]);
        // A short write, and then one that takes nothing, as sockets do.
        self.full = count == 0;
        let sent = Input::Sent {
            connection,
            bytes: count,
            blocked: self.full,
        };
        if count < bytes.len() {
            self.takes = 0;
        }
        let _ = self.machine.handle(self.now, sent);
    }

    /// The client reads.
    fn read(&mut self, mut bytes: &[u8]) {
        if !self.is_tls {
            self.raw.extend_from_slice(bytes);
            return;
        }
        while !bytes.is_empty() {
            self.tls.read_tls(&mut bytes).expect("room");
            let state = self.tls.process_new_packets().expect("right records");
            let more = state.plaintext_bytes_to_read() as u64;
            let mut reader = self.tls.reader().take(more);
            reader.read_to_end(&mut self.inbox).expect("there");
        }
    }

    /// The socket takes so many bytes again.
    fn make_room(&mut self, takes: usize) {
        self.takes = takes;
        if core::mem::take(&mut self.full) {
            let connection = self.connection;
            let _ = self
                .machine
                .handle(self.now, Input::Writable { connection });
        }
    }

    fn say(&mut self, plain: &[u8]) {
        self.tls.writer().write_all(plain).expect("room");
    }

    fn say_text(&mut self, text: &str) {
        let mut frame = Vec::new();
        let opcode = OpCode::Data(Data::Text);
        put_masked_frame(
            &mut frame,
            opcode,
            true,
            false,
            text.as_bytes(),
            [9, 8, 7, 6],
        );
        self.say(&frame);
    }

    fn upgrade(&mut self) {
        self.say(UPGRADE);
        self.settle();
    }

    /// The server has said that nothing follows.
    fn expect_notified(&mut self) {
        let state = self.tls.process_new_packets().expect("right records");
        assert!(state.peer_has_closed());
    }

    fn heard(&self, what: &str) -> bool {
        let what = what.as_bytes();
        self.inbox.windows(what.len()).any(|window| window == what)
    }
}

const BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];

#[test]
fn clients_of_both_versions_are_served() {
    for version in BOTH {
        let mut net = Net::new(&[version], |_| {});
        net.upgrade();
        assert!(net.heard("HTTP/1.1 101") && net.heard("\"welcome\""));
        net.say_text(r#"{"type":"ping","id":7}"#);
        net.settle();
        assert!(net.heard("\"pong\""));
        let stats = net.stats();
        assert_eq!(
            (stats.tls_accepted, stats.tls_handshakes, stats.tls_failed),
            (1, 1, 0)
        );
        assert_eq!(net.stats().clients, 1);
    }
}

#[test]
fn a_handshake_may_come_byte_by_byte() {
    let mut net = Net::new(&BOTH, |_| {});
    net.say(UPGRADE);
    while !net.heard("\"welcome\"") {
        let mut bytes = Vec::new();
        net.tls.write_tls(&mut bytes).expect("a vector");
        assert!(!bytes.is_empty(), "nothing more to say");
        for byte in bytes {
            let _ = net.receive(&[byte]);
            net.poll();
        }
    }
}

/// What a client reads does not depend on how its socket takes bytes, and the end comes after all of it.
#[test]
fn sockets_that_are_full_lose_nothing() {
    let whole = goodbye(usize::MAX);
    for takes in [1, 2, 7, 50, 133, 1_000] {
        assert_eq!(goodbye(takes).len(), whole.len(), "{takes} at a time");
    }
}

/// A client is told something long and asked to leave; returns what it read.
fn goodbye(takes: usize) -> Vec<u8> {
    let mut net = Net::new(&BOTH, |config| config.limits.max_message_bytes = 300_000);
    net.upgrade();
    net.inbox.clear();
    net.make_room(takes);
    let long = "x".repeat(200_000);
    let command = crate::server::Command::Send {
        connection: net.connection,
        message: format!(r#"{{"type":"news","long":"{long}"}}"#),
    };
    let _ = net.machine.handle(net.now, Input::Command(command));
    let command = crate::server::Command::Close {
        connection: net.connection,
        code: 4_000,
        reason: "enough".to_owned(),
        reconnect_after_ms: None,
    };
    let _ = net.machine.handle(net.now, Input::Command(command));
    for _ in 0..1_000_000 {
        net.poll();
        if net.finished {
            break;
        }
        net.make_room(takes);
    }
    assert!(net.finished, "{takes} at a time");
    assert!(net.heard("enough"));
    net.expect_notified();
    net.inbox
}

#[test]
fn who_speaks_http_is_told_that_this_is_tls() {
    let mut net = Net::new(&BOTH, |_| {});
    net.is_tls = false;
    let _ = net.receive(UPGRADE);
    let _ = net.receive(b"more of it");
    net.settle();
    let text = String::from_utf8(net.raw.clone()).expect("text");
    assert!(
        text.starts_with("HTTP/1.1 400 ") && text.contains("speaks TLS"),
        "{text}"
    );
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    assert!(
        head.contains(&format!("Content-Length: {}\r\n", body.len()))
            || head.ends_with(&format!("Content-Length: {}", body.len())),
        "{text}"
    );
    assert!(net.closed);
    assert_eq!((net.stats().tls_plain, net.stats().connections), (1, 0));
}

#[test]
fn records_that_are_wrong_end_the_connection() {
    let mut net = Net::new(&BOTH, |_| {});
    net.upgrade();
    // Sealed by nobody.
    let mut forged = vec![23, 3, 3, 0, 40];
    forged.extend([7; 40]);
    let _ = net.receive(&forged);
    net.poll_broken();
    assert!(net.closed);
    assert_eq!((net.stats().tls_failed, net.stats().connections), (1, 0));
    assert_eq!(net.stats().closed, 1, "its session has ended");
}

impl Net {
    /// As [`poll`](Self::poll), where the client is past understanding.
    fn poll_broken(&mut self) {
        self.is_tls = false;
        self.poll();
        // An alert: fatal (RFC 8446, section 6).
        assert!(!self.raw.is_empty());
    }
}

#[test]
fn who_never_finishes_the_handshake_is_cut_in_time() {
    let mut net = Net::new(&BOTH, |config| config.timeouts.handshake_ms = 1_000);
    let mut hello = Vec::new();
    net.tls.write_tls(&mut hello).expect("a vector");
    let _ = net.receive(&hello[..20]);
    net.poll();
    net.advance(999);
    assert!(!net.closed);
    net.advance(1);
    net.advance(5_000);
    assert!(net.closed && net.inbox.is_empty() && net.raw.is_empty());
    assert_eq!(net.stats().connections, 0);
}

#[test]
fn a_turn_works_at_so_many_handshakes() {
    let mut net = Net::new(&BOTH, |_| {});
    let mut hello = Vec::new();
    net.tls.write_tls(&mut hello).expect("a vector");
    let mut turns = Vec::new();
    for _ in 0..HANDSHAKES_PER_TURN {
        let connection = net
            .machine
            .accept(net.now, PeerAddr::Local, SECURE)
            .expect("room");
        let mut bytes = hello.clone();
        let bytes = &mut bytes[..];
        turns.push(
            net.machine
                .handle(net.now, Input::Received { connection, bytes }),
        );
    }
    let (last, others) = turns.split_last().expect("some");
    assert_eq!(*last, Turn::Full);
    assert!(others.iter().all(|turn| *turn == Turn::Open));
    let output = net.machine.poll();
    assert!(matches!(output, Output::Transmit { .. }), "{output:?}");
    let Output::Transmit { connection } = output else {
        return;
    };
    let sent = Input::Sent {
        connection,
        bytes: 0,
        blocked: true,
    };
    assert_eq!(net.machine.handle(net.now, sent), Turn::Open);
}

#[test]
fn a_listener_that_is_plain_stays_plain() {
    let mut net = Net::new(&BOTH, |_| {});
    net.is_tls = false;
    net.connection = net
        .machine
        .accept(net.now, PeerAddr::Local, PLAIN)
        .expect("room");
    let _ = net.receive(UPGRADE);
    net.poll();
    assert!(net.raw.starts_with(b"HTTP/1.1 101 "));
    assert_eq!(net.stats().tls_accepted, 1, "the other one");
}

#[test]
fn nothing_is_left_of_a_connection_that_has_ended() {
    let mut net = Net::new(&BOTH, |_| {});
    net.upgrade();
    net.say_text(r#"{"type":"ping"}"#);
    net.settle();
    let (connection, end) = (net.connection, TransportEnd::Reset);
    let _ = net
        .machine
        .handle(net.now, Input::Ended { connection, end });
    net.poll();
    assert!(net.machine.sessions.iter().all(Option::is_none));
    assert!(net.machine.ready.is_empty());
    assert!(net.machine.unsent(connection).next().is_none());
    assert_eq!(net.stats().connections, 0);
}

/// TLS's own goodbye is the end of what a client says; what the server says still arrives, and ends in order.
#[test]
fn close_notify_ends_one_direction() {
    for version in BOTH {
        let mut net = Net::new(&[version], |_| {});
        net.settle();
        net.say(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
        net.tls.send_close_notify();
        net.settle();
        assert!(net.heard("\"healthy\""));
        net.expect_notified();
        assert!(net.closed);
        assert_eq!(net.stats().connections, 0);
    }
}

/// A client that closes first, as WebSocket's clients mostly do.
#[test]
fn who_closes_first_is_told_that_nothing_follows() {
    let mut net = Net::new(&BOTH, |_| {});
    net.upgrade();
    let mut close = Vec::new();
    put_masked_frame(
        &mut close,
        OpCode::Control(Control::Close),
        true,
        false,
        &[3, 232],
        [5; 4],
    );
    net.say(&close);
    net.settle();
    net.expect_notified();
    assert!(net.finished && !net.closed);
    // It says the same to its side, and is waited for no longer.
    net.tls.send_close_notify();
    net.settle();
    assert!(net.closed);
    assert_eq!(net.stats().connections, 0);
}

/// The same where no bytes are the last that are sent: at the end of a session without a close frame, and of a connection
/// that is kept for nothing.
#[test]
fn who_is_sent_nothing_more_is_told_that_nothing_follows() {
    for version in BOTH {
        let mut lost = Net::new(&[version], |_| {});
        lost.upgrade();
        lost.tls.send_close_notify();
        lost.settle();
        let mut idle = Net::new(&[version], |_| {});
        idle.say(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
        idle.settle();
        idle.advance(15_000);
        for mut net in [lost, idle] {
            assert!(net.finished && net.closed);
            net.expect_notified();
        }
        // What does not fit its socket is given up.
        let mut stuck = Net::new(&[version], |_| {});
        stuck.upgrade();
        stuck.takes = 0;
        stuck.tls.send_close_notify();
        stuck.settle();
        assert!(stuck.closed && !stuck.finished);
        assert_eq!(stuck.stats().connections, 0);
    }
}

/// What was encrypted for a socket that is full arrives, also when the client has finished meanwhile.
#[test]
fn a_half_close_loses_nothing() {
    for version in BOTH {
        let mut net = Net::new(&[version], |config| config.listeners[0].echo = true);
        let upgrade = String::from_utf8_lossy(UPGRADE).replace("/ws", "/echo");
        net.say(upgrade.as_bytes());
        net.settle();
        net.inbox.clear();
        net.make_room(1_000);
        for _ in 0..20 {
            net.say_text(&"x".repeat(2_000));
        }
        let mut bytes = Vec::new();
        while net.tls.wants_write() {
            net.tls.write_tls(&mut bytes).expect("a vector");
        }
        for part in bytes.chunks(16_000) {
            let _ = net.receive(part);
            net.poll();
        }
        let connection = net.connection;
        let _ = net.machine.handle(net.now, Input::ReadEnd { connection });
        for _ in 0..10_000 {
            net.poll();
            if net.closed {
                break;
            }
            net.make_room(1_000);
        }
        let echoed = net.inbox.iter().filter(|&&byte| byte == b'x').count();
        assert_eq!(echoed, 40_000);
    }
}

const HEADER: &[u8] = b"PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\n";

/// A client behind a proxy that speaks the PROXY protocol; its far end is the proxy, as `local`.
fn proxied() -> Net {
    Net::new(&BOTH, |config| {
        config.listeners[0].trusted_proxies = vec!["local".to_owned()];
        config.listeners[0].proxy_protocol = true;
    })
}

impl Net {
    /// What the client has to say now, in ciphertext.
    fn ciphertext(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut bytes).expect("a vector");
        }
        bytes
    }
}

// covers A3-06
#[test]
fn a_header_of_the_proxy_protocol_comes_before_tls() {
    for piece in [1, 7, HEADER.len(), usize::MAX] {
        let mut net = proxied();
        net.say(UPGRADE);
        let said = [HEADER, &net.ciphertext()].concat();
        for bytes in said.chunks(piece.min(said.len())) {
            let _ = net.receive(bytes);
            net.poll();
        }
        net.settle();
        assert!(
            net.heard("HTTP/1.1 101") && net.heard("\"welcome\""),
            "{piece}"
        );
        let client = core::net::SocketAddr::from(([203, 0, 113, 7], 4_711));
        assert_eq!(net.opened, Some(client.into()));
        assert_eq!((net.stats().tls_handshakes, net.stats().unproxied), (1, 0));
    }
}

#[test]
fn what_is_no_header_of_the_proxy_protocol_ends_before_tls() {
    let mut net = proxied();
    let hello = net.ciphertext();
    let malformed = [b"PROXY TCP4 x\r\n", &hello[..]].concat();
    for said in [&hello[..], UPGRADE, &malformed] {
        let mut net = proxied();
        net.is_tls = false;
        let _ = net.receive(said);
        net.poll();
        assert!(net.closed && net.raw.is_empty());
        let stats = net.stats();
        assert_eq!(
            (stats.tls_handshakes, stats.tls_failed, stats.tls_plain),
            (0, 0, 0)
        );
        assert_eq!((net.stats().unproxied, net.stats().connections), (1, 0));
        assert!(net.machine.sessions.iter().all(Option::is_none));
    }
    // Behind it has to come TLS.
    net.is_tls = false;
    let _ = net.receive(&[HEADER, UPGRADE].concat());
    net.poll();
    assert!(net.raw.starts_with(b"HTTP/1.1 400 ") && net.closed);
}

// covers A3-06, A3-16
#[test]
fn who_has_too_many_connections_gets_no_handshake() {
    let mut net = Net::new(&BOTH, |config| {
        config.listeners[0].trusted_proxies = vec!["local".to_owned()];
        config.listeners[0].proxy_protocol = true;
        config.limits.max_connections_per_ip = Some(1);
    });
    let said = [HEADER, &net.ciphertext()].concat();
    net.is_tls = false;
    let late = net.connection;
    let first = net.machine.accept(net.now, PeerAddr::Local, SECURE);
    net.connection = first.expect("room");
    let _ = net.receive(&said);
    net.poll();
    assert!(!net.closed && !net.raw.is_empty());
    net.raw.clear();
    net.connection = late;
    let _ = net.receive(&said);
    net.poll();
    assert!(net.closed && net.raw.is_empty());
    assert_eq!(
        (net.stats().refused_addresses, net.stats().connections),
        (1, 1)
    );
}

#[test]
fn a_header_of_the_proxy_protocol_may_be_all_that_comes() {
    for said in [&HEADER[..HEADER.len() - 1], HEADER] {
        let mut net = proxied();
        net.is_tls = false;
        let _ = net.receive(said);
        net.poll();
        net.now.mono = net.now.mono + Duration::from_secs(10);
        let _ = net.machine.handle(net.now, Input::Tick);
        net.poll();
        net.now.mono = net.now.mono + Duration::from_secs(10);
        let _ = net.machine.handle(net.now, Input::Tick);
        net.poll();
        assert!(net.closed && net.raw.is_empty());
        assert_eq!(net.stats().connections, 0);
    }
}
