//! Servers for one connection each: tungstenite's, or a plain socket.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Message, WebSocket};

use crate::process::PATIENCE;

/// A server for one connection.
pub(crate) struct Server {
    pub(crate) url: String,
    thread: JoinHandle<()>,
}

impl Server {
    /// It went as it should, on its side.
    pub(crate) fn done(self) {
        let deadline = Instant::now() + PATIENCE;
        while !self.thread.is_finished() {
            assert!(Instant::now() < deadline, "the server waits for something");
            thread::sleep(Duration::from_millis(2));
        }
        self.thread.join().expect("the server's part");
    }
}

/// Hands the first connection to `act`.
pub(crate) fn serve(act: impl FnOnce(TcpStream) + Send + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("ws://{}/", listener.local_addr().expect("an address"));
    let thread = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        act(stream);
    });
    Server { url, thread }
}

/// After the handshake.
pub(crate) fn websocket(act: impl FnOnce(&mut WebSocket<TcpStream>) + Send + 'static) -> Server {
    serve(|stream| act(&mut tungstenite::accept(stream).expect("a handshake")))
}

pub(crate) fn send(socket: &mut WebSocket<impl Read + Write>, text: &str) {
    socket.send(Message::text(text)).expect("sent");
}

pub(crate) fn text(socket: &mut WebSocket<impl Read + Write>) -> String {
    match socket.read() {
        Ok(Message::Text(text)) => text.to_string(),
        other => panic!("expected text, got {other:?}"),
    }
}

/// The closing handshake, begun by the client with 1000, and then the end.
pub(crate) fn expect_goodbye(socket: &mut WebSocket<impl Read + Write>) {
    match socket.read() {
        Ok(Message::Close(Some(frame))) => {
            assert_eq!(frame.code, CloseCode::Normal);
            assert_eq!(frame.reason.as_str(), "Client closing connection");
        }
        other => panic!("expected a goodbye, got {other:?}"),
    }
    while socket.read().is_ok() {}
}

pub(crate) fn read_head(stream: &mut TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a request");
        head.extend_from_slice(&byte);
    }
}
