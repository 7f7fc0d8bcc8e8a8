//! `connect` and `tap` as processes of their own, against servers of every kind: exit codes, streams, signals.
//!
//! The process is this test binary, started again to run only [`client`] with the arguments that a variable holds. The
//! servers are tungstenite's, or plain sockets, on a thread of the test.
#![cfg(feature = "cli")]

mod bombs;
mod peer;
mod process;
mod proxy;
#[cfg(feature = "tls")]
mod tls;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use roomwire_runtime::cli;
use roomwire_runtime::client::{Pilot, Runtime};
use tungstenite::Message;
use tungstenite::handshake::server::{Request, Response};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use peer::{expect_goodbye, read_head, send, serve, text, websocket};
use process::{ARGUMENTS, Ended, PREAMBLE, Process, command, run};

/// The client process. Without its variable, as in a plain test run, there is none.
#[test]
fn client() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else {
        return;
    };
    // Ends what the test harness says.
    std::io::stdout()
        .write_all(PREAMBLE.as_bytes())
        .expect("stdout");
    let arguments = arguments.lines().map(Into::into);
    let code = cli::run_from::<Nowhere>("roomwire-test", "1.2.3", arguments, |_| {
        unreachable!("a client does not serve")
    });
    std::process::exit(code.into());
}

/// Clients that come back run on adapters: their tests are there.
enum Nowhere {}

impl Runtime for Nowhere {
    fn start(_: Pilot) -> std::io::Result<()> {
        unreachable!("no test here asks for one")
    }
}

const WELCOME: &str = r#"{"type":"welcome"}"#;

#[test]
fn what_is_said_is_sent_and_acknowledged() {
    let server = websocket(|socket| {
        send(socket, WELCOME);
        let join = r#"{"type":"join","room":"tea","id":"roomwire-cli-1"}"#;
        assert_eq!(text(socket), join);
        let say = r#"{"type":"room_message","room":"tea","data":"a \"b\"","id":"roomwire-cli-2"}"#;
        assert_eq!(text(socket), say);
        send(socket, r#"{"type":"joined_room","id":"roomwire-cli-1"}"#);
        send(socket, r#"{"type":"ack","id":"roomwire-cli-2"}"#);
        expect_goodbye(socket);
    });
    // Its stdin has no end, and is not read.
    let mut process = Process::start(&["connect", &server.url, "--room=tea", "--say=a \"b\""]);
    process.write("from somewhere\n");
    let ended = process.end();
    server.done();
    assert_eq!((ended.code, ended.errors.as_str()), (0, ""));
    let lines = [
        WELCOME,
        r#"{"type":"joined_room","id":"roomwire-cli-1"}"#,
        r#"{"type":"ack","id":"roomwire-cli-2"}"#,
    ];
    assert_eq!(ended.lines(), lines);
}

#[test]
#[expect(
    clippy::result_large_err,
    reason = "that is how tungstenite's callback is"
)]
fn the_request_holds_what_was_asked() {
    let server = serve(|stream| {
        let check = |request: &Request, mut response: Response| {
            let field = |name: &str| request.headers()[name].to_str().expect("text").to_owned();
            assert_eq!(request.uri().to_string(), "/ws?a=b");
            assert_eq!(field("Origin"), "https://example.com");
            assert_eq!(field("X-One"), "1: 2");
            assert_eq!(field("Sec-WebSocket-Protocol"), "a.v2, a.v1");
            let protocol = "a.v1".parse().expect("a value");
            response
                .headers_mut()
                .insert("Sec-WebSocket-Protocol", protocol);
            Ok(response)
        };
        let mut socket = tungstenite::accept_hdr(stream, check).expect("a handshake");
        expect_goodbye(&mut socket);
    });
    let url = format!("{}ws?a=b", server.url);
    let ended = run(&[
        "connect",
        &url,
        "--origin=https://example.com",
        "--header=X-One: 1: 2",
        "--subprotocol=a.v2",
        "--subprotocol=a.v1",
    ]);
    server.done();
    assert_eq!(
        (ended.code, ended.errors.as_str(), ended.out.as_str()),
        (0, "", "")
    );
}

#[test]
fn a_refused_request_is_exit_1() {
    let server = websocket(|socket| {
        text(socket);
        send(
            socket,
            r#"{"type":"error","id":"roomwire-cli-1","code":"room_full","message":"No room"}"#,
        );
        expect_goodbye(socket);
    });
    let ended = run(&["connect", &server.url, "--room=tea"]);
    server.done();
    assert_eq!(ended.code, 1);
    assert_eq!(ended.errors, "roomwire-test: refused: room_full: No room\n");
}

#[test]
fn lines_of_stdin_are_messages() {
    let server = websocket(|socket| {
        send(socket, WELCOME);
        text(socket);
        send(socket, r#"{"type":"joined_room","id":"roomwire-cli-1"}"#);
        let said = r#"{"type":"room_message","room":"tea","data":"hello","id":"roomwire-cli-2"}"#;
        assert_eq!(text(socket), said);
        assert_eq!(text(socket), r#"{"type":"whatever"}"#);
        // The end has come, and is only told once everything else has an outcome.
        assert_eq!(text(socket), r#"{"type":"ping","id":"roomwire-cli-3"}"#);
        send(socket, r#"{"type":"ack","id":"roomwire-cli-2"}"#);
        send(socket, r#"{"type":"pong","id":"roomwire-cli-3"}"#);
        expect_goodbye(socket);
    });
    let mut process = Process::start(&["connect", &server.url, "--room=tea"]);
    process.wait_for("joined_room");
    process.write("hello\n{\"type\":\"whatever\"}");
    process.stdin = None;
    let ended = process.end();
    server.done();
    assert_eq!((ended.code, ended.errors.as_str()), (0, ""));
    assert_eq!(
        ended.lines().last(),
        Some(&r#"{"type":"ack","id":"roomwire-cli-2"}"#)
    );
}

#[test]
fn a_server_that_is_not_there_is_exit_1() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let url = format!("ws://{address}/");
    for arguments in [["connect", &url, "--room=a"], ["tap", &url, "--room=a"]] {
        let ended = run(&arguments);
        assert_eq!((ended.code, ended.out.as_str()), (1, ""));
        let start = format!("roomwire-test: cannot connect to {address}: ");
        assert!(ended.errors.starts_with(&start), "{}", ended.errors);
        assert!(
            ended.errors.contains("is the server running"),
            "{}",
            ended.errors
        );
    }
}

#[test]
fn a_handshake_that_fails_is_exit_1_and_says_why() {
    for (answer, part) in [
        (
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nNo",
            "refused with 403 Forbidden",
        ),
        (
            "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n\r\n",
            "tried again in 7 s",
        ),
        (
            "HTTP/1.1 307 Temporary Redirect\r\nLocation: wss://b.example/ws\r\n\r\n",
            "the server is elsewhere: at wss://b.example/ws",
        ),
        (
            "SSH-2.0-OpenSSH_9.2\r\n",
            "not HTTP/1.1: it begins with \"S\": is the port right",
        ),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            "Sec-WebSocket-Accept",
        ),
        ("", "ended without a goodbye"),
    ] {
        let server = serve(move |mut stream| {
            read_head(&mut stream);
            stream.write_all(answer.as_bytes()).expect("written");
        });
        let ended = run(&["connect", &server.url, "--room=tea", "--say=hello"]);
        server.done();
        assert_eq!((ended.code, ended.out.as_str()), (1, ""), "{answer}");
        assert!(ended.errors.contains(part), "{part}: {}", ended.errors);
    }
}

#[test]
fn a_server_that_closes_is_exit_1() {
    for command in ["connect", "tap"] {
        let server = websocket(|socket| {
            text(socket);
            let (code, reason) = (CloseCode::Restart, "back soon".into());
            socket
                .close(Some(CloseFrame { code, reason }))
                .expect("sent");
            while socket.read().is_ok() {}
        });
        // A connection that is only listened to notices it, too.
        let mut process = Process::start(&[command, &server.url, "--room=tea"]);
        let ended = process.end();
        server.done();
        assert_eq!(ended.code, 1);
        let told = format!(
            "roomwire-test: {}: the server closed with 1012: back soon\n",
            server_url(&ended)
        );
        assert_eq!(ended.errors, told);
    }
}

#[test]
fn a_connection_that_breaks_is_exit_1() {
    let server = websocket(|socket| {
        text(socket);
        text(socket);
    });
    let ended = run(&["connect", &server.url, "--room=tea", "--say=hello"]);
    server.done();
    assert_eq!(ended.code, 1);
    assert!(
        ended.errors.contains("ended without a goodbye"),
        "{}",
        ended.errors
    );
}

#[test]
fn a_server_that_breaks_the_rules_is_told() {
    let server = websocket(|socket| {
        text(socket);
        text(socket);
        socket.get_mut().write_all(&[0xc1, 0x00]).expect("written");
        match socket.read() {
            Ok(Message::Close(Some(frame))) => assert_eq!(frame.code, CloseCode::Protocol),
            other => panic!("{other:?}"),
        }
    });
    let ended = run(&["connect", &server.url, "--room=tea", "--say=hello"]);
    server.done();
    assert_eq!(ended.code, 1);
    assert!(
        ended
            .errors
            .contains("a reserved bit is set; closed with 1002"),
        "{}",
        ended.errors
    );
}

#[test]
fn signals_close_in_order() {
    for (signal, command) in [("-INT", "connect"), ("-TERM", "connect"), ("-INT", "tap")] {
        let server = websocket(|socket| {
            send(socket, WELCOME);
            text(socket);
            expect_goodbye(socket);
        });
        let mut process = Process::start(&[command, &server.url, "--room=tea"]);
        process.wait_for("welcome");
        process.signal(signal);
        let ended = process.end();
        server.done();
        assert_eq!(
            (ended.code, ended.errors.as_str()),
            (0, ""),
            "{signal} {command}"
        );
    }
}

#[test]
fn a_server_that_never_says_goodbye_is_not_waited_for() {
    let server = websocket(|socket| {
        send(socket, WELCOME);
        // Reads, and answers nothing.
        let mut rest = Vec::new();
        socket.get_mut().read_to_end(&mut rest).expect("an end");
    });
    let mut process = Process::start(&["connect", &server.url, "--timeout-ms=300"]);
    process.wait_for("welcome");
    let began = Instant::now();
    process.signal("-INT");
    let ended = process.end();
    server.done();
    assert_eq!(ended.code, 0);
    assert!(began.elapsed() >= Duration::from_millis(300));

    let server = websocket(|socket| {
        send(socket, WELCOME);
        let mut rest = Vec::new();
        socket.get_mut().read_to_end(&mut rest).expect("an end");
    });
    let mut process = Process::start(&["connect", &server.url]);
    process.wait_for("welcome");
    process.signal("-INT");
    thread::sleep(Duration::from_millis(100));
    assert!(process.child.try_wait().expect("state").is_none());
    process.signal("-INT");
    assert_eq!(process.end().code, 1, "the second one does not wait");
    server.done();
}

#[test]
fn silence_is_not_waited_for() {
    let silent = serve(|mut stream| {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("an end");
    });
    let ended = run(&["connect", &silent.url, "--timeout-ms=200"]);
    silent.done();
    assert_eq!(ended.code, 1);
    assert!(
        ended
            .errors
            .contains("no answer to the handshake within 200 ms"),
        "{}",
        ended.errors
    );

    let forgetful = websocket(|socket| while socket.read().is_ok() {});
    let ended = run(&[
        "connect",
        &forgetful.url,
        "--room=a",
        "--say=b",
        "--timeout-ms=200",
    ]);
    forgetful.done();
    assert_eq!(ended.code, 1);
    assert!(
        ended
            .errors
            .contains("2 requests have no outcome within 200 ms"),
        "{}",
        ended.errors
    );
}

#[test]
fn a_count_ends_it() {
    let server = websocket(|socket| {
        text(socket);
        send(socket, r#"{"type":"joined_room","id":"roomwire-cli-1"}"#);
        for number in 0..50 {
            send(socket, &format!("{{\"n\":{number}}}"));
        }
        expect_goodbye(socket);
    });
    let ended = run(&["tap", &server.url, "--room=tea", "--json", "--count=3"]);
    server.done();
    assert_eq!((ended.code, ended.errors.as_str()), (0, ""));
    let lines = ended.lines();
    let is_message = |line: &&&str| line.contains("\"direction\":\"in\",\"kind\":\"text\"");
    let messages: Vec<_> = lines.iter().filter(is_message).collect();
    assert_eq!(messages.len(), 3, "{lines:?}");
    assert!(
        messages[2].ends_with("\"bytes\":7,\"message\":{\"n\":1}}"),
        "{lines:?}"
    );
    assert!(
        lines[1].contains("\"direction\":\"out\",\"kind\":\"text\""),
        "{lines:?}"
    );
}

#[test]
fn a_reader_that_goes_ends_it_quietly() {
    // One that is told of it when it writes, and one that has nothing to write.
    for talks in [true, false] {
        let server = websocket(move |socket| {
            text(socket);
            send(socket, WELCOME);
            while talks && socket.send(Message::text("x".repeat(10_000))).is_ok() {}
            if !talks {
                expect_goodbye(socket);
            }
        });
        let mut process = Process::start(&["tap", &server.url, "--room=tea", "--timeout-ms=500"]);
        process.wait_for("welcome");
        process.stdout = None;
        let ended = process.end();
        assert_eq!(
            (ended.code, ended.errors.as_str()),
            (0, ""),
            "talks: {talks}"
        );
        server.done();
    }
}

/// A socket whose other end reads no more: nothing tells it but the write that fails.
#[test]
fn a_reader_that_goes_unnoticed_ends_it_quietly() {
    let (gone, is_gone) = mpsc::channel();
    let server = websocket(move |socket| {
        text(socket);
        is_gone.recv().expect("the reader");
        send(socket, WELCOME);
        expect_goodbye(socket);
    });
    let (reader, stdout) = UnixStream::pair().expect("sockets");
    let mut child = command(&["tap", &server.url, "--room=tea"], &[])
        .stdin(Stdio::null())
        .stdout(Stdio::from(OwnedFd::from(stdout)))
        .spawn()
        .expect("a process");
    let mut lines = BufReader::new(&reader);
    let mut seen = String::new();
    while !seen.contains("\"join\"") {
        assert_ne!(lines.read_line(&mut seen).expect("stdout"), 0, "{seen}");
    }
    reader.shutdown(Shutdown::Read).expect("shut down");
    let began = Instant::now();
    gone.send(()).expect("a server");
    server.done();
    assert!(child.wait().expect("an end").success());
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "it waits for something"
    );
}

#[test]
fn what_has_no_room_waits_for_it() {
    // With its frame, all that may wait to be written.
    let long = (16 << 20) - 14;
    let server = websocket(move |socket| {
        assert_eq!(text(socket).len(), long);
        assert_eq!(text(socket), "{\"id\":2}");
        send(socket, "{\"id\":2}");
        assert_eq!(
            text(socket),
            "{\"type\":\"ping\",\"id\":\"roomwire-cli-1\"}"
        );
        send(socket, "{\"id\":\"roomwire-cli-1\"}");
        expect_goodbye(socket);
    });
    let mut process = Process::start(&["connect", &server.url]);
    process.write(&format!("{{{}\n{{\"id\":2}}\n", "x".repeat(long - 1)));
    process.stdin = None;
    let ended = process.end();
    server.done();
    assert_eq!((ended.code, ended.errors.as_str()), (0, ""));

    // One byte more never has.
    let server = websocket(|socket| {
        text(socket);
        send(socket, "{\"id\":\"roomwire-cli-1\"}");
        expect_goodbye(socket);
    });
    let mut process = Process::start(&["connect", &server.url]);
    process.write(&format!("{{{}\n", "x".repeat(long)));
    process.stdin = None;
    let ended = process.end();
    server.done();
    assert_eq!(ended.code, 1);
    assert!(
        ended.errors.contains("16777203 bytes is too large"),
        "{}",
        ended.errors
    );
}

#[test]
fn wrong_usage_is_exit_2_and_says_what_is_expected() {
    let url = "ws://127.0.0.1:1/";
    for (arguments, part) in [
        (&["connect"][..], "<URL>"),
        (&["connect", "http://a/"], "expected ws:// or wss://"),
        (&["connect", url, "--say=a"], "--room"),
        (&["connect", url, "--count=0"], "--count"),
        (&["connect", url, "--timeout-ms=0"], "--timeout-ms"),
        (
            &["connect", url, "--header=nothing"],
            "a name, a colon and a value",
        ),
        (
            &["connect", url, "--header=Host: a"],
            "--header \"Host\": allowed is names that",
        ),
        (
            &["connect", url, "--header=A: \u{1}"],
            "--header \"\\u{1}\": allowed is",
        ),
        (
            &["connect", url, "--subprotocol=a b"],
            "--subprotocol \"a b\": allowed is tokens",
        ),
        (&["connect", url, "--origin=\u{7f}"], "--origin"),
        (&["connect", "ws://a/ä"], "URL \"/ä\": allowed is a path"),
        (&["tap", url], "--room"),
        (&["tap", url, "--room=a", "--say=b"], "--say"),
    ] {
        let ended = run(arguments);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{arguments:?}");
        assert!(
            ended.errors.contains(part),
            "{arguments:?}: {}",
            ended.errors
        );
    }
}

#[test]
fn the_help_is_of_clients_alone() {
    for (command, own, other) in [
        ("connect", "--say", "--listen"),
        ("tap", "--json", "--threads"),
    ] {
        let ended = run(&[command, "--help"]);
        assert_eq!(ended.code, 0);
        assert!(
            ended.out.contains(own) && ended.out.contains("Exit codes"),
            "{}",
            ended.out
        );
        assert!(!ended.out.contains(other), "{}", ended.out);
    }
}

/// The URL that an error begins with.
fn server_url(ended: &Ended) -> &str {
    let rest = ended
        .errors
        .strip_prefix("roomwire-test: ")
        .expect("a name");
    rest.split_once(": ").expect("a URL").0
}
