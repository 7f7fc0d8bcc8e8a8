//! The core in a plain loop around poll(2): no adapter, no runtime, some hundred lines.
//!
//! ```text
//! cargo run -p roomwire-runtime --example poll_loop
//! ```
//!
//! poll(2) looks at every descriptor each time, so this is for some hundred connections; the adapters are for
//! more. What must be kept is written at [`Machine`].
#![expect(
    clippy::print_stdout,
    reason = "the example tells its user what happens"
)]

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use roomwire_core::{
    Config, ConnectionId, Input, Instant, ListenerId, Machine, Output, Server, TransportEnd, Turn,
};
use roomwire_runtime::{ACCEPT_PAUSE, ClockBase, seed};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

struct Socket {
    stream: TcpStream,
    /// The machine wants to hear of it.
    reading: bool,
    /// The peer has finished.
    ended: bool,
    /// The machine waits until it takes bytes.
    blocked: bool,
}

struct Loop {
    server: Server,
    clock: ClockBase,
    listener: TcpListener,
    /// The last connection could be accepted: otherwise the next one has to wait.
    accepting: bool,
    sockets: HashMap<ConnectionId, Socket>,
    buffer: Vec<u8>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", 8080))?;
    println!("listening on {}", listener.local_addr()?);
    let mut one = Loop::new(listener)?;
    loop {
        one.turn(None)?;
    }
}

impl Loop {
    fn new(listener: TcpListener) -> Result<Self, Box<dyn Error>> {
        listener.set_nonblocking(true)?;
        Ok(Self {
            server: Server::new(Config::default().validate()?, seed::from_system()?),
            clock: ClockBase::new(),
            listener,
            accepting: true,
            sockets: HashMap::new(),
            buffer: vec![0; 64 * 1024],
        })
    }

    /// Does what there is to do, then waits for more, for at most `patience`.
    fn turn(&mut self, patience: Option<Duration>) -> io::Result<()> {
        let deadline = self.flush();
        let sleep = deadline.map(|deadline| self.clock.until(deadline));
        let pause = (!self.accepting).then_some(ACCEPT_PAUSE);
        let sleep = sleep.into_iter().chain(patience).chain(pause).min();
        let ids: Vec<ConnectionId> = self.sockets.keys().copied().collect();
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::IN, self.accepting);
        let mut waiting = vec![PollFd::new(&self.listener, flags)];
        self.accepting = true;
        for id in &ids {
            let socket = &self.sockets[id];
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, socket.reading && !socket.ended);
            flags.set(PollFlags::OUT, socket.blocked);
            waiting.push(PollFd::new(&socket.stream, flags));
        }
        // Rounded up to a nanosecond, so that what is due is due.
        let sleep = sleep.and_then(|sleep| Timespec::try_from(sleep).ok());
        poll(&mut waiting, sleep.as_ref())?;
        let ready: Vec<PollFlags> = waiting.iter().map(PollFd::revents).collect();
        if !ready[0].is_empty() {
            self.accept()?;
        }
        for (id, ready) in ids.into_iter().zip(ready.into_iter().skip(1)) {
            if ready.contains(PollFlags::OUT) {
                self.sockets
                    .entry(id)
                    .and_modify(|socket| socket.blocked = false);
                let _ = self
                    .server
                    .handle(self.clock.now(), Input::Writable { connection: id });
            }
            if ready.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                self.read(id);
            }
        }
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let (stream, peer) = match self.listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // Out of descriptors, most likely: until some are free.
                Err(_) => {
                    self.accepting = false;
                    return Ok(());
                }
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let id = self
                .server
                .accept(self.clock.now(), peer.into(), ListenerId(0));
            let socket = Socket {
                stream,
                reading: true,
                ended: false,
                blocked: false,
            };
            // One that is refused is closed by being dropped.
            self.sockets.extend(id.map(|id| (id, socket)));
        }
    }

    /// One read: poll(2) says again if there is more.
    fn read(&mut self, connection: ConnectionId) {
        let Some(socket) = self.sockets.get_mut(&connection) else {
            return;
        };
        let input = match socket.stream.read(&mut self.buffer) {
            Ok(0) => {
                socket.ended = true;
                Input::ReadEnd { connection }
            }
            Ok(count) => Input::Received {
                connection,
                bytes: &mut self.buffer[..count],
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Err(_) => {
                self.sockets.remove(&connection);
                Input::Ended {
                    connection,
                    end: TransportEnd::Reset,
                }
            }
        };
        if self.server.handle(self.clock.now(), input) == Turn::Full {
            let _ = self.flush();
        }
    }

    /// Does what the machine says until it has nothing more to say; returns when it wants to be asked again.
    fn flush(&mut self) -> Option<Instant> {
        let _ = self.server.handle(self.clock.now(), Input::Tick);
        loop {
            match self.server.poll() {
                Output::Transmit { connection } => self.write(connection),
                Output::ReadInterest { connection, wanted } => {
                    let socket = self.sockets.entry(connection);
                    socket.and_modify(|socket| socket.reading = wanted);
                }
                Output::Finish { connection } => {
                    let _ = self.sockets[&connection].stream.shutdown(Shutdown::Write);
                }
                Output::Close { connection, .. } => drop(self.sockets.remove(&connection)),
                Output::Idle { deadline } => return deadline,
                _ => {}
            }
        }
    }

    fn write(&mut self, connection: ConnectionId) {
        let bytes = self.server.unsent(connection).next().unwrap_or_default();
        let socket = self.sockets.get_mut(&connection);
        let written = socket.map_or(Ok(0), |socket| socket.stream.write(bytes));
        let input = match written {
            Ok(bytes) if bytes > 0 => Input::Sent {
                connection,
                bytes,
                blocked: false,
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.sockets
                    .entry(connection)
                    .and_modify(|socket| socket.blocked = true);
                Input::Sent {
                    connection,
                    bytes: 0,
                    blocked: true,
                }
            }
            _ => {
                self.sockets.remove(&connection);
                Input::Ended {
                    connection,
                    end: TransportEnd::Reset,
                }
            }
        };
        let _ = self.server.handle(self.clock.now(), input);
    }
}

#[cfg(test)]
#[test]
fn it_serves() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let client = std::thread::spawn(move || {
        let (mut socket, _) =
            tungstenite::connect(format!("ws://{address}/")).expect("a handshake");
        let mut next = |kind: &str| {
            let text = socket.read().expect("a message").into_text().expect("text");
            assert!(text.contains(kind), "{text}");
        };
        next("welcome");
        socket.send(r#"{"type":"ping"}"#.into()).expect("sent");
        let text = socket.read().expect("a message").into_text().expect("text");
        assert!(text.contains("pong"), "{text}");
    });
    let mut one = Loop::new(listener).expect("a server");
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while !client.is_finished() {
        assert!(std::time::Instant::now() < end, "it does not serve");
        one.turn(Some(Duration::from_millis(5))).expect("poll");
    }
    client.join().expect("served");
}
