//! tungstenite's blocking client over real TCP, for the tests of adapters. Every wait is bounded.

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::protocol::CloseFrame;
use tungstenite::{ClientHandshake, HandshakeError, Message, WebSocket};

use crate::frame::{Opcode, masked};

/// Longer than anything takes that is tested.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Why there is no connection.
type Refused = Box<HandshakeError<ClientHandshake<TcpStream>>>;

fn is_reset(refused: &Refused) -> bool {
    match &**refused {
        HandshakeError::Failure(tungstenite::Error::Io(error)) => {
            error.kind() == ErrorKind::ConnectionReset
        }
        _ => false,
    }
}

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
        Self::connect_at(address, "/")
    }

    /// The same at a path.
    pub fn connect_at(address: SocketAddr, path: &str) -> Self {
        Self::try_connect_at(address, path).expect("a handshake")
    }

    /// The same, as often as it takes: a thread that still says goodbye takes nobody in.
    fn connect_anew(address: SocketAddr) -> Self {
        let end = Instant::now() + PATIENCE;
        loop {
            match Self::try_connect_at(address, "/") {
                Err(refused) if is_reset(&refused) && Instant::now() < end => {
                    thread::sleep(Duration::from_millis(10));
                }
                outcome => return outcome.expect("a handshake"),
            }
        }
    }

    fn try_connect_at(address: SocketAddr, path: &str) -> Result<Self, Refused> {
        let stream = TcpStream::connect(address).expect("a connection");
        let patience = Some(PATIENCE);
        stream.set_read_timeout(patience).expect("a timeout");
        stream.set_write_timeout(patience).expect("a timeout");
        let url = format!("ws://{address}{path}");
        let (socket, _) = tungstenite::client(url, stream).map_err(Box::new)?;
        let mut client = Self {
            socket,
            id: String::new(),
        };
        let welcome = client.expect("welcome");
        client.id = welcome["clientId"].as_str().expect("an id").to_owned();
        Ok(client)
    }

    /// Sends a message.
    pub fn send(&mut self, message: &Value) {
        self.send_text(&message.to_string());
    }

    /// Sends text.
    pub fn send_text(&mut self, text: &str) {
        self.socket.send(text.into()).expect("sent");
    }

    /// The next message.
    pub fn any(&mut self) -> Value {
        match self.socket.read() {
            Ok(Message::Text(text)) => serde_json::from_str(&text).expect("JSON"),
            other => panic!("{other:?} instead of a message"),
        }
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
            let waited = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
            assert!(!waited, "{error}");
        }
        other => panic!("{other:?}"),
    }
}

/// Two hundred clients, one after the other, say goodbye and go on talking: each still reads the answer, and the end
/// of the stream after it. A socket that is closed while something lies in it unread is reset, and may take both along.
pub fn say_goodbye_and_more(address: SocketAddr) {
    let noise = vec![0xFF; 1024 * 1024];
    let goodbye = masked(Opcode::Close, true, &4000_u16.to_be_bytes());
    for _ in 0..200 {
        let mut client = Client::connect(address);
        let stream = client.socket().get_mut();
        stream.write_all(&goodbye).expect("sent");
        stream.write_all(&noise).expect("the server reads on");
        assert_eq!(u16::from(client.expect_close().code), 4000);
    }
}

/// So many clients meet in a room, whichever threads of the server they are on; each says something, and each hears all
/// the others.
pub fn meet(address: SocketAddr, count: usize) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..count).map(|_| Client::connect(address)).collect();
    for number in 0..count {
        clients[number].send(&json!({"type": "join", "room": "tea", "id": 1}));
        let joined = clients[number].expect("joined_room");
        assert_eq!(joined["total"], number + 1);
        for other in 0..number {
            let notice = clients[other].expect("member_joined");
            assert_eq!(notice["clientId"], clients[number].id);
        }
    }
    for number in 0..count {
        let say = json!({"type": "room_message", "room": "tea", "data": number, "id": 2});
        clients[number].send(&say);
        clients[number].expect("ack");
        for other in (0..count).filter(|&other| other != number) {
            let message = clients[other].expect("room_message");
            assert_eq!(message["data"], number);
        }
    }
    let (one, last) = (clients[0].id.clone(), count - 1);
    clients[last].send(&json!({"type": "private_message", "to": one, "data": "psst", "id": 3}));
    clients[last].expect("ack");
    assert_eq!(clients[0].expect("private_message")["data"], "psst");
    clients
}

/// The thread of some clients of a room has failed: they are told, the others see them go and go on, and whoever connects
/// anew is served, also by the thread in its place.
pub fn survive(address: SocketAddr, lost: Vec<Client>, mut left: Vec<Client>) {
    let (before, after) = (lost.len() + left.len(), left.len());
    for mut client in lost {
        while client.any()["type"] != "closing" {}
        assert_eq!(u16::from(client.expect_close().code), 1011);
    }
    for client in &mut left {
        // Each that went is told of, or all of them together.
        let mut members = before;
        while members > after {
            let told = client.any();
            match told["type"].as_str() {
                Some("member_left") => members -= 1,
                Some("members_changed") => {
                    members = told["total"].as_u64().expect("a number") as usize;
                }
                _ => panic!("{told}"),
            }
        }
    }
    let mut new: Vec<Client> = (0..12).map(|_| Client::connect_anew(address)).collect();
    for (number, client) in new.iter_mut().enumerate() {
        client.send(&json!({"type": "join", "room": "tea"}));
        // Those who have joined before hear of the others.
        let joined = loop {
            let told = client.any();
            if told["type"] == "joined_room" {
                break told;
            }
        };
        assert_eq!(joined["total"], after + number + 1);
    }
    left[0].send(&json!({"type": "room_message", "room": "tea", "data": "still here"}));
    for client in left.iter_mut().skip(1).chain(&mut new) {
        let message = loop {
            let told = client.any();
            if told["type"] == "room_message" {
                break told;
            }
        };
        assert_eq!(message["data"], "still here");
    }
}
