//! tungstenite's blocking client over real TCP, for the tests of adapters. Every wait is bounded.

use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tungstenite::protocol::CloseFrame;
use tungstenite::{Message, WebSocket};

/// Longer than anything takes that is tested.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// tungstenite's client.
#[derive(Debug)]
pub struct Client {
    socket: WebSocket<TcpStream>,
    /// Its id, as the welcome told it.
    pub id: String,
}

impl Client {
    /// Connects and takes the welcome.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        let patience = Some(PATIENCE);
        stream.set_read_timeout(patience).expect("a timeout");
        stream.set_write_timeout(patience).expect("a timeout");
        let url = format!("ws://{address}/");
        let (socket, _) = tungstenite::client(url, stream).expect("a handshake");
        let mut client = Self {
            socket,
            id: String::new(),
        };
        let welcome = client.expect("welcome");
        client.id = welcome["clientId"].as_str().expect("an id").to_owned();
        client
    }

    /// Sends a message.
    pub fn send(&mut self, message: &Value) {
        self.send_text(&message.to_string());
    }

    /// Sends text.
    pub fn send_text(&mut self, text: &str) {
        self.socket.send(text.into()).expect("sent");
    }

    /// The next message, which must be of this type.
    pub fn expect(&mut self, kind: &str) -> Value {
        let text = match self.socket.read() {
            Ok(Message::Text(text)) => text,
            other => panic!("{other:?} instead of {kind}"),
        };
        let message: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(message["type"], kind, "{message}");
        message
    }

    /// The close frame that comes next. The connection is then closed in order.
    pub fn expect_close(&mut self) -> CloseFrame {
        let frame = match self.socket.read() {
            Ok(Message::Close(Some(frame))) => frame,
            other => panic!("{other:?} instead of a close frame"),
        };
        let end = self.socket.read();
        let orderly = matches!(end, Err(tungstenite::Error::ConnectionClosed));
        assert!(orderly, "{end:?}");
        frame
    }

    /// tungstenite's own socket.
    pub fn socket(&mut self) -> &mut WebSocket<TcpStream> {
        &mut self.socket
    }
}

/// Nobody listens at `address` any more, or will not soon.
pub fn assert_ends(address: SocketAddr) {
    let end = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < end, "somebody still listens");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The client's connection is cut without a goodbye.
pub fn assert_cut(client: &mut Client) {
    use tungstenite::Error;
    match client.socket().read() {
        // A cut connection is an end of the stream or a reset, not silence until the read times out.
        Err(Error::Protocol(_)) => {}
        Err(Error::Io(error)) => {
            let waited = matches!(
                error.kind(),
                std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
            );
            assert!(!waited, "{error}");
        }
        other => panic!("{other:?}"),
    }
}
