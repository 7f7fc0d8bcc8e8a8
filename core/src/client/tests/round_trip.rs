//! Against the server of this crate, in memory.

use super::*;
use crate::server::Event as ServerEvent;
use crate::{
    Config, ConnectionId, Input, Instant, ListenerId, Machine, Now, Output, PeerAddr, Server,
};

/// A server and a client of it, with a pipe between them that takes a few bytes at a time.
struct Wire {
    server: Server,
    now: Now,
    connection: ConnectionId,
    client: Client,
    /// How many bytes cross at a time.
    piece: usize,
    seen: Vec<String>,
    closed: bool,
    /// The code with which the server saw the connection end.
    code: Option<u16>,
}

impl Wire {
    fn new(piece: usize, protocols: &[&str]) -> Self {
        let config = Config::default().validate().expect("a config");
        let mut server = Server::new(config, [3; 32]);
        let now = Now {
            mono: Instant::ZERO,
            unix_ms: 1_700_000_000_000,
        };
        let peer = PeerAddr::Inet(([127, 0, 0, 1], 50_000).into());
        let connection = server
            .accept(now, peer, ListenerId(0))
            .expect("a connection");
        let protocols = protocols.iter().map(|name| (*name).to_owned()).collect();
        let config = ClientConfig {
            protocols,
            ..ClientConfig::new("example.com")
        };
        Self {
            server,
            now,
            connection,
            client: Client::new(config, [4; 32]).expect("a config"),
            piece,
            seen: Vec::new(),
            closed: false,
            code: None,
        }
    }

    /// Moves bytes until none are left and `ms` have passed.
    fn run(&mut self, ms: u64) {
        let end = self.now.mono + core::time::Duration::from_millis(ms);
        loop {
            while !self.client.unsent().is_empty() && !self.closed {
                let mut bytes = self.client.unsent().to_vec();
                bytes.truncate(self.piece);
                self.client.sent(bytes.len());
                let (connection, bytes) = (self.connection, &mut bytes[..]);
                let _ = self
                    .server
                    .handle(self.now, Input::Received { connection, bytes });
                self.drain();
            }
            if self.client.is_over() && !self.closed {
                let connection = self.connection;
                let _ = self.server.handle(self.now, Input::ReadEnd { connection });
            }
            match self.drain() {
                Some(deadline) if deadline <= end && !self.closed => self.now.mono = deadline,
                _ if self.client.unsent().is_empty() || self.closed => break,
                _ => continue,
            }
            let _ = self.server.handle(self.now, Input::Tick);
            self.drain();
        }
        self.now.mono = end;
    }

    fn drain(&mut self) -> Option<Instant> {
        loop {
            match self.server.poll() {
                Output::Transmit { connection } => {
                    let mut bytes: Vec<u8> =
                        self.server.unsent(connection).flatten().copied().collect();
                    bytes.truncate(self.piece);
                    let sent = Input::Sent {
                        connection,
                        bytes: bytes.len(),
                        blocked: false,
                    };
                    let _ = self.server.handle(self.now, sent);
                    self.client
                        .receive(&mut bytes, |event| self.seen.push(format!("{event:?}")));
                }
                Output::Close { .. } => self.closed = true,
                Output::Event(ServerEvent::Closed { code, .. }) => self.code = Some(code),
                Output::Idle { deadline } => return deadline,
                _ => {}
            }
        }
    }

    /// The next event, which must be about all of `parts`.
    fn expect(&mut self, parts: &[&str]) {
        assert!(!self.seen.is_empty(), "expected {parts:?}");
        let event = self.seen.remove(0).replace('\\', "");
        assert!(
            parts.iter().all(|part| event.contains(part)),
            "expected {parts:?}, got {event}"
        );
    }
}

#[test]
fn a_conversation_in_pieces_of_any_size() {
    for piece in [1, 2, 7, 1 << 20] {
        let mut wire = Wire::new(piece, &["other", "roomwire.json.v1"]);
        wire.run(1_000);
        wire.expect(&["Open", "Some(\"roomwire.json.v1\")"]);
        wire.expect(&["Text", "\"type\":\"welcome\""]);

        wire.client
            .send_text(r#"{"type":"join","room":"tea","id":1}"#)
            .expect("open");
        wire.run(10);
        wire.expect(&["Text", "\"type\":\"joined_room\"", "\"id\":1"]);

        let long = format!(
            r#"{{"type":"room_message","room":"tea","data":"{}","id":2}}"#,
            "ä".repeat(40_000)
        );
        wire.client.send_text(&long).expect("open");
        wire.run(10);
        wire.expect(&["Text", "\"type\":\"ack\"", "\"id\":2"]);

        // Silent for the heartbeat's time: the server's ping is answered, and the connection lives.
        wire.run(31_000);
        wire.expect(&["Ping"]);
        wire.run(31_000);
        wire.expect(&["Ping"]);

        wire.client.close(1000, "done");
        wire.run(100);
        wire.expect(&["Closed", "Some(1000)"]);
        assert_eq!(
            (wire.seen.len(), wire.closed, wire.code),
            (0, true, Some(1000))
        );
        assert!(wire.client.is_over());
    }
}

#[test]
fn a_server_that_leaves_says_so() {
    let mut wire = Wire::new(1 << 20, &[]);
    wire.run(1_000);
    wire.expect(&["Open { protocol: None }"]);
    wire.expect(&["welcome"]);
    let _ = wire
        .server
        .handle(wire.now, Input::Command(crate::server::Command::Drain));
    wire.run(1_000);
    wire.expect(&["Text", "\"type\":\"closing\""]);
    wire.expect(&["Closed", "Some(1012)"]);
    assert!(wire.closed && wire.client.is_over());
}
