//! Who says a word does not wait until everybody who has much to say has said another piece of it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use mio::{Events as Readinesses, Poll, Token};
use roomwire_mio::{Attached, Server, attach};
use roomwire_runtime::{
    BUSY_SOCKETS_PER_TURN, ListenerSettings, READ_BUFFER_BYTES, READS_PER_SOCKET, Settings,
};
use roomwire_tests::tcp::PATIENCE;

/// A server and its loop, turn by turn.
struct Loop {
    server: Attached,
    poll: Poll,
    address: SocketAddr,
}

impl Loop {
    fn new() -> Self {
        let mut settings = Settings {
            listeners: vec![ListenerSettings::at(([127, 0, 0, 1], 0))],
            ..Settings::default()
        };
        settings.core.limits.max_message_bytes = 16 * 1024 * 1024;
        settings.core.limits.max_queued_bytes = 32 * 1024 * 1024;
        let server = Server::bind_now(&settings).expect("a free port");
        let address = server.local_addr().socket_addr().expect("TCP");
        let poll = Poll::new().expect("a loop");
        let server = attach(server, poll.registry(), Token(0)).expect("descriptors");
        Self {
            server,
            poll,
            address,
        }
    }

    /// Looks at the sockets once, and has one turn.
    fn turn(&mut self) {
        let mut readinesses = Readinesses::with_capacity(1_024);
        let wait = Some(Duration::from_millis(1));
        self.poll.poll(&mut readinesses, wait).expect("a loop");
        for readiness in &readinesses {
            self.server.readiness(readiness);
        }
        self.server.turn();
    }

    /// Turns until a client has been sent something; all of it.
    fn hear(&mut self, client: &mut TcpStream) -> Vec<u8> {
        let (mut heard, end) = (vec![0; 4_096], Instant::now() + PATIENCE);
        loop {
            match client.read(&mut heard) {
                Ok(count) => {
                    heard.truncate(count);
                    return heard;
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            assert!(Instant::now() < end, "nothing is said");
            self.turn();
        }
    }

    /// A client that has been welcomed.
    fn client(&mut self) -> TcpStream {
        let mut client = TcpStream::connect(self.address).expect("a connection");
        client.set_nonblocking(true).expect("a socket");
        let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        client.write_all(request.as_bytes()).expect("written");
        assert!(self.hear(&mut client).starts_with(b"HTTP/1.1 101"));
        client.write_all(&PING).expect("written");
        let mut heard = Vec::new();
        while !heard.windows(4).any(|four| four == b"pong") {
            heard.extend(self.hear(&mut client));
        }
        client
    }

    fn received_bytes(&self) -> u64 {
        self.server.stats().received_bytes
    }
}

/// What each of the busy has to say.
const LENGTH: u64 = 8_000_000;

/// `{"type":"ping"}`, masked with nothing.
const PING: [u8; 21] = *b"\x81\x8f\0\0\0\0{\"type\":\"ping\"}";

#[test]
fn a_word_does_not_wait_behind_the_busy() {
    let mut server = Loop::new();
    let mut speaker = server.client();
    let mut busy: Vec<_> = (0..40).map(|_| (server.client(), LENGTH)).collect();
    // Each has begun with a text, and there is more to come.
    let header = [&[0x01, 0xFF][..], &LENGTH.to_be_bytes(), &[0; 4]].concat();
    let piece = vec![b'x'; 1024 * 1024];
    for (client, _) in &mut busy {
        client.write_all(&header).expect("written");
    }
    // Most of the time all of them have more than can be read in one turn.
    let mut most = 0;
    for _ in 0..50 {
        for (client, left) in &mut busy {
            let next = piece.get(..*left as usize).unwrap_or(&piece);
            *left -= client.write(next).unwrap_or(0) as u64;
        }
        server.turn();
        let before = server.received_bytes();
        speaker.write_all(&PING).expect("written");
        let heard = server.hear(&mut speaker);
        assert!(heard.windows(4).any(|four| four == b"pong"));
        most = most.max(server.received_bytes() - before);
    }
    // The turn that was under way and the next one: in each also a read of all who have become readable.
    let per_turn = BUSY_SOCKETS_PER_TURN * READS_PER_SOCKET as usize * READ_BUFFER_BYTES;
    let fresh = busy.len() * READ_BUFFER_BYTES;
    assert!(most > per_turn as u64 / 2, "nobody was busy: {most}");
    assert!(
        most <= 2 * (per_turn + fresh) as u64,
        "{most} bytes came first"
    );
}
