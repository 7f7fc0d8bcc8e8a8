//! The core inside a game: sixty times a second the world is moved on, and who watches is told.
//!
//! ```text
//! cargo run -p roomwire-runtime --example game_loop
//! ```
//!
//! Nothing waits for a socket: each frame reads what has come, steps the world, and sends what is to be sent, all
//! messages of a frame in one write for each client. Clients of `ws://127.0.0.1:8080` that join the room `arena`
//! see a ball; `{"type":"kick"}` kicks it.
#![expect(
    clippy::print_stdout,
    reason = "the example tells its user what happens"
)]

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use roomwire_core::server::{Command, Event, Outcome};
use roomwire_core::{
    Config, ConnectionId, Input, ListenerId, Machine, Output, Server, TransportEnd, Turn,
};
use roomwire_runtime::{ClockBase, seed};

const FRAME: Duration = Duration::from_nanos(1_000_000_000 / 60);

struct Game {
    server: Server,
    clock: ClockBase,
    listener: TcpListener,
    /// By slot of the connection.
    sockets: Vec<Option<Socket>>,
    /// Where the ball is, and how fast.
    ball: (f64, f64),
}

struct Socket {
    connection: ConnectionId,
    stream: TcpStream,
    /// The machine wants to hear of it.
    reading: bool,
    /// The peer has finished.
    ended: bool,
    /// The machine waits until it takes bytes.
    blocked: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", 8080))?;
    println!("listening on {}", listener.local_addr()?);
    let mut game = Game::new(listener)?;
    let mut next = Instant::now();
    loop {
        game.frame();
        next += FRAME;
        sleep(next.saturating_duration_since(Instant::now()));
    }
}

impl Game {
    fn new(listener: TcpListener) -> Result<Self, Box<dyn Error>> {
        listener.set_nonblocking(true)?;
        let config = Config {
            application_types: vec!["kick".to_owned()],
            ..Config::default()
        };
        Ok(Self {
            server: Server::new(config.validate()?, seed::from_system()?),
            clock: ClockBase::new(),
            listener,
            sockets: Vec::new(),
            ball: (0.0, 1.0),
        })
    }

    fn frame(&mut self) {
        self.accept();
        self.read_all();
        self.step();
        self.flush();
    }

    fn step(&mut self) {
        let (place, speed) = self.ball;
        let speed = if (0.0..100.0).contains(&(place + speed)) {
            speed
        } else {
            -speed
        };
        self.ball = (place + speed, speed);
        let command = Command::Publish {
            room: "arena".to_owned(),
            message: format!(r#"{{"type":"ball","at":{:.1}}}"#, self.ball.0),
        };
        let _ = self
            .server
            .handle(self.clock.now(), Input::Command(command));
    }

    fn accept(&mut self) {
        while let Ok((stream, peer)) = self.listener.accept() {
            let fit = stream
                .set_nonblocking(true)
                .and_then(|()| stream.set_nodelay(true));
            if fit.is_err() {
                continue;
            }
            let id = self
                .server
                .accept(self.clock.now(), peer.into(), ListenerId(0));
            // One that is refused is closed by being dropped.
            let Some(connection) = id else {
                continue;
            };
            let slot = connection.index() as usize;
            self.sockets
                .resize_with(self.sockets.len().max(slot + 1), || None);
            self.sockets[slot] = Some(Socket {
                connection,
                stream,
                reading: true,
                ended: false,
                blocked: false,
            });
        }
    }

    /// One read of each socket: what does not fit comes with the next frame.
    fn read_all(&mut self) {
        let mut buffer = [0; 16 * 1024];
        for slot in 0..self.sockets.len() {
            let Some(socket) = &mut self.sockets[slot] else {
                continue;
            };
            let connection = socket.connection;
            // It may take bytes again, for all that is known: one look a frame.
            if std::mem::take(&mut socket.blocked) {
                let _ = self
                    .server
                    .handle(self.clock.now(), Input::Writable { connection });
            }
            if !socket.reading || socket.ended {
                continue;
            }
            let input = match socket.stream.read(&mut buffer) {
                Ok(0) => {
                    socket.ended = true;
                    Input::ReadEnd { connection }
                }
                Ok(count) => Input::Received {
                    connection,
                    bytes: &mut buffer[..count],
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(_) => {
                    self.sockets[slot] = None;
                    let end = TransportEnd::Reset;
                    Input::Ended { connection, end }
                }
            };
            if self.server.handle(self.clock.now(), input) == Turn::Full {
                self.flush();
            }
        }
    }

    fn socket(&mut self, connection: ConnectionId) -> Option<&mut Socket> {
        let socket = self
            .sockets
            .get_mut(connection.index() as usize)?
            .as_mut()?;
        (socket.connection == connection).then_some(socket)
    }

    fn flush(&mut self) {
        loop {
            match self.server.poll() {
                Output::Transmit { connection } => self.write(connection),
                Output::ReadInterest { connection, wanted } => {
                    if let Some(socket) = self.socket(connection) {
                        socket.reading = wanted;
                    }
                }
                Output::Finish { connection } => {
                    if let Some(socket) = self.socket(connection) {
                        let _ = socket.stream.shutdown(Shutdown::Write);
                    }
                }
                Output::Close { connection, .. } => {
                    self.sockets[connection.index() as usize] = None;
                }
                Output::Event(Event::Application { request, .. }) => {
                    self.ball.1 *= -1.5;
                    let outcome = Outcome::Ack;
                    let command = Command::Reply { request, outcome };
                    let _ = self
                        .server
                        .handle(self.clock.now(), Input::Command(command));
                }
                // Deadlines are looked at in every frame.
                Output::Idle { .. } => return,
                _ => {}
            }
        }
    }

    fn write(&mut self, connection: ConnectionId) {
        let bytes: Vec<u8> = self.server.unsent(connection).flatten().copied().collect();
        let socket = self.socket(connection);
        let written = socket.map_or(Ok(0), |socket| {
            let written = socket.stream.write(&bytes);
            let full = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
            socket.blocked = written.as_ref().is_err_and(full);
            written
        });
        let input = match written {
            Ok(bytes) if bytes > 0 => Input::Sent {
                connection,
                bytes,
                blocked: false,
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Input::Sent {
                connection,
                bytes: 0,
                blocked: true,
            },
            _ => {
                self.sockets[connection.index() as usize] = None;
                let end = TransportEnd::Reset;
                Input::Ended { connection, end }
            }
        };
        let _ = self.server.handle(self.clock.now(), input);
    }
}

#[cfg(test)]
#[test]
fn who_watches_sees_the_ball_and_may_kick_it() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let client = std::thread::spawn(move || {
        let (mut socket, _) =
            tungstenite::connect(format!("ws://{address}/")).expect("a handshake");
        let join = r#"{"type":"join","room":"arena"}"#;
        socket.send(join.into()).expect("sent");
        socket
            .send(r#"{"type":"kick","id":1}"#.into())
            .expect("sent");
        let (mut balls, mut kicked) = (0, false);
        while balls < 10 || !kicked {
            let text = socket.read().expect("a message").into_text().expect("text");
            balls += u32::from(text.contains("ball"));
            kicked |= text.contains(r#""type":"ack""#);
        }
    });
    let mut game = Game::new(listener).expect("a server");
    let end = Instant::now() + Duration::from_secs(20);
    while !client.is_finished() {
        assert!(Instant::now() < end, "nobody sees it");
        game.frame();
        sleep(Duration::from_millis(1));
    }
    client.join().expect("seen");
}
