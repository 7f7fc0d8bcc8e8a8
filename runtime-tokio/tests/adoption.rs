//! Connections that another server has upgraded: those of the example's server, and what it never has.

mod common;
#[expect(dead_code, reason = "it is run by its parts")]
#[path = "../examples/hyper.rs"]
mod example;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use common::{Running, settings, soon};
use roomwire_core::replay::{Ending, Progress, Replayer};
use roomwire_core::server::{Event, UpgradeRequest};
use roomwire_core::{ListenerId, PeerAddr};
use roomwire_runtime::Settings;
use roomwire_tests::tcp::{Client, PATIENCE};
use roomwire_tests::{Frame, FrameReader, Opcode, masked};
use roomwire_tokio::{AdoptError, Adopted, Ended, Server, bridge};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A program as the example is one, around a server with these settings.
async fn program(settings: Settings) -> (Running, SocketAddr) {
    let rules = settings.core_config().expect("good settings");
    let server = Server::bind(settings).await.expect("a free port");
    let rooms = server.handle();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let program = Arc::new(example::Program { rooms, rules });
    tokio::spawn(example::serve(listener, program));
    (Running::start(server), address)
}

/// A request to the program, and whatever is sent behind it.
fn ask(address: SocketAddr, request: &str, behind: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let bytes = [request.as_bytes(), behind].concat();
    stream.write_all(&bytes).expect("sent");
    stream
}

/// The head of what is answered, and what came behind it.
fn answer(stream: &mut impl Read) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    loop {
        let mut bytes = [0; 4_096];
        let count = stream.read(&mut bytes).expect("an answer");
        assert!(count > 0, "it ends after {head:?}");
        head.extend_from_slice(&bytes[..count]);
        if let Some(end) = head.windows(4).position(|part| part == b"\r\n\r\n") {
            let rest = head.split_off(end + 4);
            return (String::from_utf8(head).expect("text"), rest);
        }
    }
}

/// An upgrade at the program's path, with further lines.
fn upgrade(lines: &str) -> String {
    format!("GET /chat HTTP/1.1\r\n{HEADERS}{lines}\r\n")
}

const HEADERS: &str = "Host: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// What a program knows of such a request.
fn request() -> UpgradeRequest {
    let fields = HEADERS.split_terminator("\r\n");
    let fields = fields.filter_map(|line| line.split_once(": "));
    let fields = fields.map(|(name, value)| (name, value.as_bytes()));
    UpgradeRequest::new("GET", "/chat", fields)
}

fn hello() -> Vec<u8> {
    masked(Opcode::Text, true, br#"{"type":"hello","id":1}"#)
}

fn json_of(frame: &Frame) -> Value {
    serde_json::from_slice(&frame.payload).expect("JSON")
}

/// The next message on a blocking stream.
fn next(stream: &mut impl Read, frames: &mut FrameReader) -> Value {
    loop {
        if let Some(frame) = frames.next_frame() {
            return json_of(&frame);
        }
        let mut bytes = [0; 4_096];
        let count = stream.read(&mut bytes).expect("a message");
        assert!(count > 0, "it ends before a message");
        frames.push(&bytes[..count]);
    }
}

// ---- the example

// covers A3-01
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_the_program_meet_those_of_the_server() {
    let (running, address) = program(settings()).await;
    let mut clients = vec![
        Client::connect_at(address, "/chat"),
        Client::connect(running.address),
        Client::connect_at(address, "/chat?again"),
    ];
    for number in 0..clients.len() {
        clients[number].send(&json!({"type": "join", "room": "tea"}));
        assert_eq!(clients[number].expect("joined_room")["total"], number + 1);
        for other in &mut clients[..number] {
            other.expect("member_joined");
        }
    }
    for number in 0..clients.len() {
        clients[number].send(&json!({"type": "room_message", "room": "tea", "data": number}));
        for (other, client) in clients.iter_mut().enumerate() {
            if other != number {
                assert_eq!(client.expect("room_message")["data"], number);
            }
        }
    }
    // covers A0-10, A3-14: also those of the program are told
    running.handle.drain().await;
    for client in &mut clients {
        assert_eq!(client.expect("closing")["code"], 1012);
        assert_eq!(u16::from(client.expect_close().code), 1012);
    }
    drop(clients);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_answers_all_else_itself() {
    let (running, address) = program(settings()).await;
    for (path, status) in [("/", "200"), ("/ws", "404"), ("/health", "404")] {
        let request = format!("GET {path} HTTP/1.1\r\n{HEADERS}\r\n");
        let (head, _) = answer(&mut ask(address, &request, b""));
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
    }
    running.stop().await;
}

/// What is sent before the program has answered reaches the room server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_that_comes_with_the_request() {
    let (running, address) = program(settings()).await;
    let mut stream = ask(address, &upgrade(""), &hello());
    let (head, rest) = answer(&mut stream);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let lower = head.to_ascii_lowercase();
    let accept = "\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n";
    assert!(lower.contains(accept), "{head}");
    let mut frames = FrameReader::default();
    frames.push(&rest);
    assert_eq!(next(&mut stream, &mut frames)["type"], "welcome");
    let ack = next(&mut stream, &mut frames);
    assert_eq!((&ack["type"], &ack["id"]), (&json!("ack"), &json!(1)));
    drop(stream);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_the_programs_answer() {
    let (running, address) = program(settings()).await;
    let elsewhere = upgrade("Origin: https://elsewhere.example\r\n");
    let mut stream = ask(address, &elsewhere, b"");
    let (head, body) = answer(&mut stream);
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
    assert!(body.starts_with(b"Origin not allowed"), "{body:?}");
    let plain = "GET /chat HTTP/1.1\r\nHost: example.com\r\n\r\n";
    let (head, _) = answer(&mut ask(address, plain, b""));
    assert!(head.starts_with("HTTP/1.1 426 "), "{head}");
    let lower = head.to_ascii_lowercase();
    assert!(
        lower.contains("\r\nsec-websocket-version: 13\r\n"),
        "{head}"
    );
    assert_eq!(running.handle.stats().await.expect("it runs").accepted, 0);
    running.stop().await;
}

// ---- other programs

/// The program did not ask, or the server knows better: what it cannot refuse any more it closes.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_was_not_checked_is_closed_with_a_reason() {
    let running = Running::start(Server::bind(settings()).await.expect("a free port"));
    let (near, mut far) = UnixStream::pair().expect("a pair");
    far.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let unfit = UpgradeRequest::new("GET", "/chat", [("host", &b"a"[..])]);
    let adopted = Adopted::new(near, PeerAddr::Local, &unfit, &[]).expect("a socket");
    soon(running.handle.adopt(adopted)).await.expect("taken");
    let mut frame = [0; 4];
    far.read_exact(&mut frame).expect("a close frame");
    assert_eq!((frame[0], &frame[2..]), (0x88, &1008_u16.to_be_bytes()[..]));
    drop(far);
    running.stop().await;
}

/// A stream that is no socket, in a program with a runtime of another kind, and a server that listens nowhere.
#[test]
fn any_stream_will_do() {
    let settings = Settings {
        listeners: Vec::new(),
        ..Settings::default()
    };
    let server = Server::bind_now(&settings).expect("nothing is asked for");
    let handle = server.handle();
    let thread = std::thread::spawn(|| server.run_blocking());
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    runtime.block_on(soon(async {
        let (near, mut far) = tokio::io::duplex(64);
        let socket = bridge(near).expect("a socket");
        let peer = SocketAddr::from(([203, 0, 113, 7], 1));
        let adopted = Adopted::new(socket, peer, &request(), &hello()).expect("a socket");
        handle.adopt(adopted).await.expect("taken");
        let mut frames = FrameReader::default();
        let mut told = Vec::new();
        while told.len() < 4 {
            let mut bytes = [0; 4_096];
            let count = far.read(&mut bytes).await.expect("messages");
            assert!(count > 0, "it ends after {told:?}");
            frames.push(&bytes[..count]);
            while let Some(frame) = frames.next_frame() {
                if frame.opcode == Opcode::Close {
                    told.push("close".to_owned());
                    let goodbye = masked(Opcode::Close, true, &frame.payload);
                    far.write_all(&goodbye).await.expect("sent");
                    continue;
                }
                let kind = json_of(&frame)["type"].as_str().map(str::to_owned);
                told.extend(kind);
                if told.len() == 2 {
                    handle.drain().await;
                }
            }
        }
        assert_eq!(told, ["welcome", "ack", "closing", "close"]);
        // And the end of the one is the end of the other.
        assert_eq!(far.read(&mut [0; 8]).await.expect("an orderly end"), 0);
        drop(far);
        let outcome = tokio::task::spawn_blocking(|| thread.join()).await;
        let outcome = outcome.expect("no panic").expect("no panic");
        outcome.expect("an orderly end");
    }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn connections_are_dealt_out_to_all_threads() {
    let mut settings = settings();
    settings.threads = 3;
    let mut server = Server::bind(settings).await.expect("a free port");
    let mut events = server.events();
    let running = Running::start(server);
    let (mut shards, mut ends) = ([0; 3], Vec::new());
    for _ in 0..6 {
        let (near, far) = UnixStream::pair().expect("a pair");
        let adopted = Adopted::new(near, PeerAddr::Local, &request(), &hello());
        soon(running.handle.adopt(adopted.expect("a socket")))
            .await
            .expect("taken");
        ends.push(far);
        match soon(events.recv()).await {
            Some(Event::Opened {
                connection,
                listener: ListenerId::ADOPTED,
                peer: PeerAddr::Local,
                ..
            }) => shards[usize::from(connection.shard().0)] += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(shards, [2; 3]);
    drop(ends);
    running.stop().await;
}

// covers A3-16
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_server_that_is_full_or_gone_says_so() {
    let mut settings = settings();
    settings.core.limits.max_connections = Some(1);
    let running = Running::start(Server::bind(settings).await.expect("a free port"));
    let handle = running.handle.clone();
    let (near, first) = UnixStream::pair().expect("a pair");
    let adopted = Adopted::new(near, PeerAddr::Local, &request(), &[]);
    let taken = soon(handle.adopt(adopted.expect("a socket"))).await;
    taken.expect("there is room for one");

    let (near, mut far) = UnixStream::pair().expect("a pair");
    let adopted = Adopted::new(near, PeerAddr::Local, &request(), &[]);
    let refused = soon(handle.adopt(adopted.expect("a socket"))).await;
    assert!(matches!(refused, Err(AdoptError::Refused)), "{refused:?}");
    far.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    assert_eq!(far.read(&mut [0; 8]).expect("closed"), 0);
    let stats = soon(handle.stats()).await.expect("it runs");
    assert_eq!((stats.connections, stats.refused_connections), (1, 1));

    drop(first);
    running.stop().await;
    let (near, mut far) = UnixStream::pair().expect("a pair");
    let adopted = Adopted::new(near, PeerAddr::Local, &request(), &[]);
    let late = soon(handle.adopt(adopted.expect("a socket"))).await;
    assert!(matches!(late, Err(AdoptError::Ended(Ended))), "{late:?}");
    far.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    assert_eq!(far.read(&mut [0; 8]).expect("closed"), 0);
}

/// A recording of them happens again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_adopted_is_recorded() {
    let file = format!("roomwire-tokio-adoption-{}.rec", std::process::id());
    let file = std::env::temp_dir().join(file);
    let _ = std::fs::remove_file(&file);
    let mut settings = settings();
    settings.record.file = Some(file.clone());
    let (running, address) = program(settings).await;
    let mut client = Client::connect_at(address, "/chat");
    client.send(&json!({"type": "join", "room": "tea"}));
    client.expect("joined_room");
    running.handle.drain().await;
    client.expect("closing");
    client.expect_close();
    drop(client);
    running.stop().await;

    let mut replayer = Replayer::new();
    replayer.feed(&std::fs::read(&file).expect("a recording"));
    replayer.finish();
    let ending = loop {
        match replayer.step().expect("the same again") {
            Progress::Step(_) => {}
            Progress::End(ending) => break ending,
            Progress::NeedMore => panic!("it is cut off"),
        }
    };
    assert_eq!(ending, Ending::Closed);
    let server = replayer.server().expect("a server");
    assert_eq!((server.stats().accepted, server.stats().opened), (1, 1));
    std::fs::remove_file(file).expect("it was there");
}
