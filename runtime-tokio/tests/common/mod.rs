//! A server over real TCP and tungstenite's blocking client, for the tests beside this folder. Every wait is
//! bounded.

use std::future::Future;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use roomwire_runtime::{ListenerSettings, RunError, Settings};
use roomwire_tokio::{Handle, Server};
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tungstenite::protocol::CloseFrame;
use tungstenite::{Message, WebSocket};

/// Longer than anything here takes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for `future`, but not for ever.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(PATIENCE, future).await;
    outcome.expect("it takes too long")
}

/// Defaults at a free port of loopback.
pub(crate) fn settings() -> Settings {
    Settings {
        listeners: vec![ListenerSettings::at(([127, 0, 0, 1], 0))],
        ..Settings::default()
    }
}

/// A server that runs.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) handle: Handle,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) task: JoinHandle<Result<(), RunError>>,
}

impl Running {
    pub(crate) fn start(server: Server) -> Self {
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            let _ = stopped.await;
        };
        Self {
            address: server.local_addr(),
            handle: server.handle(),
            stop,
            task: tokio::spawn(server.run(shutdown)),
        }
    }

    /// Ends the server in order.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        let outcome = soon(self.task).await.expect("no panic");
        outcome.expect("an orderly end");
    }
}

/// tungstenite's client.
pub(crate) struct Client {
    socket: WebSocket<TcpStream>,
    pub(crate) id: String,
}

impl Client {
    /// Connects and takes the welcome.
    pub(crate) fn connect(address: SocketAddr) -> Self {
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

    pub(crate) fn send(&mut self, message: &Value) {
        self.send_text(&message.to_string());
    }

    pub(crate) fn send_text(&mut self, text: &str) {
        self.socket.send(text.into()).expect("sent");
    }

    /// The next message, which must be of this type.
    pub(crate) fn expect(&mut self, kind: &str) -> Value {
        let text = match self.socket.read() {
            Ok(Message::Text(text)) => text,
            other => panic!("{other:?} instead of {kind}"),
        };
        let message: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(message["type"], kind, "{message}");
        message
    }

    /// The close frame that comes next. The connection is then closed in order.
    pub(crate) fn expect_close(&mut self) -> CloseFrame {
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
    pub(crate) fn socket(&mut self) -> &mut WebSocket<TcpStream> {
        &mut self.socket
    }
}
