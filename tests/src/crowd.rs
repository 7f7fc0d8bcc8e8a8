//! Very many connections, driven with next to no memory or work of the driver's own.
//!
//! For what is counted: memory, steps, instructions. Sockets take everything at once, nothing that the server
//! writes is kept, and reads come whole; tests about what it says use [`World`](crate::World).

use core::net::Ipv4Addr;

use roomwire_core::server::Event;
use roomwire_core::{
    ClientId, Config, ConnectionId, Input, Instant, ListenerId, Machine as _, Now, Output,
    PeerAddr, Server,
};

use crate::frame::{Opcode, masked};
use crate::world::Upgrade;

/// A server and its connections. Each comes from an address of its own.
#[derive(Debug)]
pub struct Crowd {
    server: Server,
    now: Now,
    members: Vec<ConnectionId>,
    /// The read buffer.
    buffer: Vec<u8>,
    deadline: Option<Instant>,
    last_opened: Option<ClientId>,
}

/// What a drain came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Polls, the last one included.
    pub polls: usize,
    /// Transmits among them.
    pub transmits: usize,
    /// Bytes that these wrote.
    pub bytes: usize,
}

impl Crowd {
    /// A server without connections; `count` are expected, so that the list of them never grows.
    pub fn new(config: Config, count: usize) -> Self {
        let config = config.validate().expect("a config that is allowed");
        Self {
            server: Server::new(config, [5; 32]),
            now: Now::default(),
            members: Vec::with_capacity(count),
            buffer: Vec::with_capacity(4_096),
            deadline: None,
            last_opened: None,
        }
    }

    /// Connections from now on, one after the other: accepted and no more.
    pub fn accept(&mut self, count: usize) {
        for _ in 0..count {
            let number = self.members.len() as u32;
            // 10.0.0.0 and on: none is loopback.
            let address = Ipv4Addr::from_bits(0x0A00_0000 + number);
            let peer = PeerAddr::Inet((address, 50_000).into());
            let accepted = self.server.accept(self.now, peer, ListenerId(0));
            self.members.push(accepted.expect("a place"));
        }
        self.drain();
    }

    /// Everyone's handshake, one after the other.
    pub fn upgrade_all(&mut self) {
        self.upgrade_all_with("");
    }

    /// The same with further header lines, each with its CRLF.
    pub fn upgrade_all_with(&mut self, headers: &str) {
        let upgrade = Upgrade {
            headers: headers.to_owned(),
            ..Upgrade::default()
        };
        let request = upgrade.request();
        for number in 0..self.members.len() {
            self.receive(number, &request);
            self.drain();
        }
    }

    /// Everyone joins a room, `size` to each, neighbours together and in one turn: each gets its reply and the
    /// notices of those that come after it in one write.
    pub fn join_all(&mut self, size: usize) {
        for number in 0..self.members.len() {
            let room = number / size;
            let join = text(&format!(r#"{{"type":"join","room":"room {room}"}}"#));
            self.receive(number, &join);
            if (number + 1).is_multiple_of(size) {
                self.drain();
            }
        }
        self.drain();
    }

    /// A crowd that is connected, in rooms of `size`, and has nothing left to do at this time.
    pub fn in_rooms(config: Config, count: usize, size: usize) -> Self {
        let mut crowd = Self::new(config, count);
        crowd.accept(count);
        crowd.upgrade_all();
        crowd.join_all(size);
        crowd
    }

    /// A member sends bytes; nothing is polled.
    pub fn receive(&mut self, number: usize, bytes: &[u8]) {
        self.buffer.clear();
        self.buffer.extend_from_slice(bytes);
        let connection = self.members[number];
        let bytes = &mut self.buffer[..];
        let input = Input::Received { connection, bytes };
        let _ = self.server.handle(self.now, input);
    }

    /// Polls until the server is idle; every socket takes what it is lent.
    pub fn drain(&mut self) -> Drained {
        self.drain_with(|_| ())
    }

    /// As [`drain`](Self::drain); `wrote` is told who was written to.
    fn drain_with(&mut self, mut wrote: impl FnMut(ConnectionId)) -> Drained {
        let mut drained = Drained::default();
        loop {
            drained.polls += 1;
            match self.server.poll() {
                Output::Transmit { connection } => {
                    let bytes = self.server.unsent(connection).map(<[u8]>::len).sum();
                    drained.transmits += 1;
                    drained.bytes += bytes;
                    wrote(connection);
                    let blocked = false;
                    let sent = Input::Sent {
                        connection,
                        bytes,
                        blocked,
                    };
                    let _ = self.server.handle(self.now, sent);
                }
                Output::Idle { deadline } => {
                    self.deadline = deadline;
                    return drained;
                }
                Output::Event(Event::Opened { client, .. }) => self.last_opened = Some(client),
                _ => {}
            }
        }
    }

    /// Lets time pass, sleeping exactly to each deadline. Whoever is written to answers with a pong, as nothing
    /// but pings is sent to those who say nothing.
    pub fn advance_ms(&mut self, ms: u64) {
        let end = self.now.mono + core::time::Duration::from_millis(ms);
        let pong = masked(Opcode::Pong, true, b"");
        let mut pinged = Vec::new();
        loop {
            let next = self.deadline.filter(|&deadline| deadline <= end);
            self.now.mono = next.unwrap_or(end);
            let _ = self.server.handle(self.now, Input::Tick);
            self.drain_with(|connection| pinged.push(connection));
            for connection in pinged.drain(..) {
                self.buffer.clear();
                self.buffer.extend_from_slice(&pong);
                let bytes = &mut self.buffer[..];
                let input = Input::Received { connection, bytes };
                let _ = self.server.handle(self.now, input);
            }
            self.drain();
            if next.is_none() {
                return;
            }
        }
    }

    /// The connections in the order in which they came.
    pub fn members(&self) -> &[ConnectionId] {
        &self.members
    }

    /// The client that was welcomed last.
    pub fn last_opened(&self) -> ClientId {
        self.last_opened.expect("somebody was")
    }

    /// When the server wants to be woken.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The time.
    pub fn now(&self) -> Now {
        self.now
    }

    /// The server, to be driven by the caller from here on.
    pub fn server_mut(&mut self) -> &mut Server {
        &mut self.server
    }

    /// The server.
    pub fn server(&self) -> &Server {
        &self.server
    }
}

/// A whole text frame of a client.
pub fn text(json: &str) -> Vec<u8> {
    masked(Opcode::Text, true, json.as_bytes())
}
