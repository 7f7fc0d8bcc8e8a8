//! A program with a mio loop of its own, and a room server on it: datagrams that reach the program are news in
//! a room.
//!
//! ```text
//! cargo run -p roomwire-mio --example guest
//! ```
//!
//! Clients of `ws://127.0.0.1:8080` that have joined the room `news` are told what is sent to UDP port 8081, say
//! with `echo hello | nc -u -w0 127.0.0.1 8081`.
#![expect(
    clippy::print_stdout,
    reason = "the example tells its user what happens"
)]

use std::error::Error;
use std::io;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use roomwire_core::server::Command;
use roomwire_mio::{Server, attach};
use roomwire_runtime::Settings;

/// The program's own token; the server's are those from `SERVER` on.
const DATAGRAMS: Token = Token(0);
const SERVER: Token = Token(1);

fn main() -> Result<(), Box<dyn Error>> {
    let mut poll = Poll::new()?;
    let mut datagrams = UdpSocket::bind(([127, 0, 0, 1], 8081).into())?;
    let readable = Interest::READABLE;
    poll.registry()
        .register(&mut datagrams, DATAGRAMS, readable)?;

    let server = Server::bind_now(&Settings::default())?; // listens at 127.0.0.1:8080
    println!("listening on {}", server.local_addr());
    let mut server = attach(server, poll.registry(), SERVER)?;

    let mut events = Events::with_capacity(256);
    loop {
        let sleep = server.turn();
        if server.is_over() {
            return Ok(());
        }
        match poll.poll(&mut events, sleep) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &events {
            if !server.readiness(event) {
                while let Some(command) = news(&datagrams)? {
                    server.command(command);
                }
            }
        }
    }
}

/// The next datagram as a message to the room `news`.
fn news(datagrams: &UdpSocket) -> io::Result<Option<Command>> {
    let mut bytes = [0; 1_500];
    let count = match datagrams.recv(&mut bytes) {
        Ok(count) => count,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
        Err(error) => return Err(error),
    };
    let text = String::from_utf8_lossy(&bytes[..count]);
    let message = serde_json::json!({"type": "news", "text": text.trim_end()});
    Ok(Some(Command::Publish {
        room: "news".to_owned(),
        message: message.to_string(),
    }))
}
