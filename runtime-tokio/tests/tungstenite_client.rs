//! The protocol as tungstenite's client sees it, over real TCP: a WebSocket implementation that shares nothing
//! with the server's but constants.

mod common;

use std::net::TcpStream;
use std::thread;

use common::{Running, settings, soon};
use roomwire_tests::tcp::Client;
use roomwire_tokio::Server;
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::http::header::{ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{HandshakeError, Message};

async fn serve() -> Running {
    Running::start(Server::bind(settings()).await.expect("a free port"))
}

/// Two clients in one room, with nothing left unread.
fn two_in(running: &Running, room: &str) -> (Client, Client) {
    let mut ada = Client::connect(running.address);
    let mut bob = Client::connect(running.address);
    for client in [&mut ada, &mut bob] {
        client.send(&json!({"type": "join", "room": room}));
        client.expect("joined_room");
    }
    ada.expect("member_joined");
    (ada, bob)
}

/// Nothing else has been sent to this client.
fn assert_silent(client: &mut Client) {
    client.send(&json!({"type": "ping"}));
    client.expect("pong");
}

// covers A1-01, A2-02
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn ping() {
    let running = serve().await;
    let mut client = Client::connect(running.address);
    client.send(&json!({"type": "ping", "timestamp": 17, "id": 1}));
    let pong = client.expect("pong");
    assert_eq!(
        (&pong["clientTimestamp"], &pong["id"]),
        (&json!(17), &json!(1))
    );
    assert!(pong["timestamp"].as_u64() > Some(1_600_000_000_000));

    let socket = client.socket();
    socket
        .send(Message::Ping("are you there".into()))
        .expect("sent");
    let pong = socket.read().expect("a pong");
    assert_eq!(pong, Message::Pong("are you there".into()));
    drop(client);
    running.stop().await;
}

// covers A1-02, A1-03, A2-03, A2-04, A2-05, A2-10
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn join_and_leave() {
    let running = serve().await;
    let mut ada = Client::connect(running.address);
    let mut bob = Client::connect(running.address);
    ada.send(&json!({"type": "join", "room": "tea", "id": "j"}));
    assert_eq!(
        ada.expect("joined_room"),
        json!({"type": "joined_room", "id": "j", "room": "tea", "members": [ada.id], "total": 1})
    );
    bob.send(&json!({"type": "join", "room": "tea"}));
    let joined = bob.expect("joined_room");
    assert_eq!(joined["total"], 2);
    let members = joined["members"].as_array().expect("a list");
    assert!(
        [&ada.id, &bob.id]
            .iter()
            .all(|id| members.contains(&json!(id)))
    );
    assert_eq!(
        ada.expect("member_joined"),
        json!({"type": "member_joined", "room": "tea", "clientId": bob.id})
    );

    bob.send(&json!({"type": "leave", "room": "tea"}));
    assert_eq!(
        bob.expect("left_room"),
        json!({"type": "left_room", "room": "tea"})
    );
    let left = json!({"type": "member_left", "room": "tea", "clientId": bob.id, "reason": "left"});
    assert_eq!(ada.expect("member_left"), left);
    drop((ada, bob));
    running.stop().await;
}

// covers A0-1, A1-05, A2-09, A9-07
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn room_message() {
    let running = serve().await;
    let (mut ada, mut bob) = two_in(&running, "tea");
    let text = r#"{"type":"room_message","room":"tea","data":{"n": 12345678901234567890, "s":"\u00e9"},"id":7}"#;
    ada.send_text(text);
    assert_eq!(ada.expect("ack")["id"], 7);
    let read = bob.socket().read().expect("the message");
    let raw = read.to_text().expect("text");
    assert!(
        raw.contains(r#""data":{"n": 12345678901234567890, "s":"\u00e9"},"#),
        "{raw}"
    );
    let message: Value = serde_json::from_str(raw).expect("JSON");
    assert_eq!(
        (&message["from"], &message["room"]),
        (&json!(ada.id), &json!("tea"))
    );
    assert_silent(&mut ada);
    drop((ada, bob));
    running.stop().await;
}

// covers A1-06, A2-06
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn private_message() {
    let running = serve().await;
    let mut clients = [(); 3].map(|()| Client::connect(running.address));
    let [ada, bob, eve] = &mut clients;
    ada.send(
        &json!({"type": "private_message", "to": bob.id, "data": "psst", "from": "x", "id": 1}),
    );
    ada.expect("ack");
    let message = bob.expect("private_message");
    assert_eq!(
        (&message["from"], &message["data"]),
        (&json!(ada.id), &json!("psst"))
    );
    assert_silent(eve);
    drop(clients);
    running.stop().await;
}

// covers A1-05, A1-06, A1-11, A1-12, A1-13, A1-14, A2-08
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn errors() {
    let running = serve().await;
    let mut client = Client::connect(running.address);
    let cases = [
        ("not JSON", "bad_json"),
        ("null", "bad_message"),
        (r#"{"room":"tea"}"#, "bad_message"),
        (r#"{"type":"jion"}"#, "unknown_type"),
        (r#"{"type":"join","room":""}"#, "invalid_room"),
        (r#"{"type":"leave","room":"tea"}"#, "no_such_room"),
        (
            r#"{"type":"private_message","to":"nobody","data":1}"#,
            "target_not_found",
        ),
    ];
    for (text, code) in cases {
        client.send_text(text);
        let error = client.expect("error");
        assert_eq!(error["code"], code, "{error}");
        assert!(error["message"].is_string());
    }
    client
        .socket()
        .send(Message::Binary(vec![1, 2, 3].into()))
        .expect("sent");
    assert_eq!(client.expect("error")["code"], "bad_message");
    assert_silent(&mut client);
    drop(client);
    running.stop().await;
}

// covers A2-05, A3-08
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn close() {
    let running = serve().await;
    let (mut ada, mut bob) = two_in(&running, "tea");
    let frame = CloseFrame {
        code: CloseCode::Library(4_100),
        reason: "done".into(),
    };
    bob.socket().close(Some(frame)).expect("sent");
    // The answer carries the same code; then the server closes.
    assert_eq!(u16::from(bob.expect_close().code), 4_100);
    assert_eq!(ada.expect("member_left")["reason"], "disconnected");

    // Without a close frame, too.
    let mut bob = Client::connect(running.address);
    bob.send(&json!({"type": "join", "room": "tea"}));
    bob.expect("joined_room");
    ada.expect("member_joined");
    drop(bob);
    assert_eq!(ada.expect("member_left")["reason"], "disconnected");
    let stats = soon(running.handle.stats()).await.expect("it runs");
    assert_eq!((stats.clients, stats.opened, stats.closed), (1, 3, 2));
    drop(ada);
    running.stop().await;
}

// covers A3-16: a message over the limit ends the connection with 1009
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_message_over_the_limit() {
    let running = serve().await;
    let mut client = Client::connect(running.address);
    let limit = 1024 * 1024;
    let fits = json!({"type": "ping", "pad": ""}).to_string().len();
    client.send(&json!({"type": "ping", "pad": "x".repeat(limit - fits)}));
    client.expect("pong");

    let too_large = json!({"type": "ping", "pad": "x".repeat(limit - fits + 1)});
    // The server may have closed before all of it is sent.
    let _ = client.socket().send(too_large.to_string().into());
    assert_eq!(client.expect_close().code, CloseCode::Size);
    drop(client);
    running.stop().await;
}

// covers A3-18, A9-02
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_handshake_names_the_subprotocol_and_refuses_foreign_pages() {
    let running = serve().await;
    let address = running.address;
    let connect = move |path: &str, origin: Option<&'static str>| {
        let mut request = format!("ws://{address}{path}")
            .into_client_request()
            .expect("a request");
        let headers = request.headers_mut();
        let protocols = HeaderValue::from_static("something.else, roomwire.json.v1");
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocols);
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
        }
        let stream = TcpStream::connect(address).expect("a connection");
        match tungstenite::client(request, stream) {
            Ok((_, response)) => Ok(response.headers()[SEC_WEBSOCKET_PROTOCOL].clone()),
            Err(HandshakeError::Failure(tungstenite::Error::Http(response))) => {
                Err(response.status().as_u16())
            }
            Err(error) => panic!("{error}"),
        }
    };
    let asked = thread::spawn(move || {
        for path in ["/", "/ws", "/ws?room=tea"] {
            assert_eq!(
                connect(path, None).expect("101"),
                "roomwire.json.v1",
                "{path}"
            );
        }
        assert!(connect("/", Some("http://localhost:3000")).is_ok());
        assert_eq!(connect("/", Some("https://example.com")), Err(403));
        assert_eq!(connect("/nowhere", None), Err(404));
    });
    asked.join().expect("all as expected");
    running.stop().await;
}
