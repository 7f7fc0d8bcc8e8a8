use std::path::PathBuf;

use roomwire_core::config::ListenerConfig;
use roomwire_core::replay::{Options, Recorder};
use roomwire_core::websocket::deflate::{Compressors, Effort, Window};
use roomwire_core::websocket::{Data, OpCode, put_masked_frame};
use roomwire_core::{Config, Input, ListenerId, Machine as _, Now, PeerAddr};

use super::*;

fn asked(file: PathBuf) -> Replay {
    Replay {
        file,
        connection: None,
        room: None,
        from: 0,
        explain: None,
        json: false,
    }
}

/// A recording of one client that asks for what is not there, in a file of its own.
fn file(name: &str) -> PathBuf {
    recording(
        name,
        Config::default(),
        &[b"GET /\x1b[2Jsecret HTTP/1.1\r\n\r\n"],
    )
}

/// A recording of one client that sends these bytes, in a file of its own.
fn recording(name: &str, config: Config, received: &[&[u8]]) -> PathBuf {
    recording_with(name, config, Options::default(), received)
}

fn recording_with(name: &str, config: Config, options: Options, received: &[&[u8]]) -> PathBuf {
    let mut bytes = Vec::new();
    let config = config.validate().expect("valid");
    let mut recorder = Recorder::new(config, [1; 32], options, &mut bytes);
    let now = Now::default();
    let id = recorder.accept(now, PeerAddr::Local, ListenerId(0));
    let connection = id.expect("a place");
    for bytes in received {
        let bytes = &mut bytes.to_vec();
        let _ = recorder.handle(now, Input::Received { connection, bytes });
        while !matches!(recorder.poll(), Output::Idle { .. }) {}
    }
    drop(recorder);
    let path = std::env::temp_dir().join(format!("roomwire-{name}-{}", std::process::id()));
    std::fs::write(&path, bytes).expect("written");
    path
}

#[test]
fn a_terminal_is_shown_no_control_characters() {
    let path = file("terminal");
    let mut out = Vec::new();
    assert_eq!(run(&asked(path.clone()), &mut out), Ok(true));
    std::fs::remove_file(path).expect("there");
    let text = String::from_utf8(out).expect("text");
    assert!(text.contains(r"http GET /\u{1b}[2Jsecret"), "{text}");
    assert!(
        text.chars().all(|c| c == '\n' || !c.is_control()),
        "{text:?}"
    );
}

#[test]
fn connections_are_named_by_slot_or_id() {
    let cases = [
        ("3", Some((3, None))),
        ("3.1", Some((3, Some(1)))),
        ("x", None),
        ("3.", None),
    ];
    for (text, expected) in cases {
        assert_eq!(connection(text), expected, "{text}");
    }
    let wrong = Replay {
        connection: Some("x".to_owned()),
        ..asked(file("wrong"))
    };
    let error = run(&wrong, &mut Vec::new()).expect_err("no connection");
    assert!(error.contains("--connection x"), "{error}");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let path = file("closed");
    assert_eq!(run(&asked(path.clone()), &mut Closed), Ok(true));
    std::fs::remove_file(path).expect("there");
}

#[test]
fn what_a_proxy_says_first_is_shown_and_decides_the_same() {
    let config = Config {
        listeners: vec![ListenerConfig {
            trusted_proxies: vec!["local".to_owned()],
            proxy_protocol: true,
            ..ListenerConfig::default()
        }],
        ..Config::default()
    };
    let upgrade = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x15\xcb\0\x71\x07\xc6\x33\x64\x01\x12\x67\x01\xbb\x02\0\x06secret";
    for (name, header, shown) in [
        (
            "proxy-binary",
            &binary[..],
            "> proxy from 203.0.113.7:4711\n",
        ),
        (
            "proxy-text",
            b"PROXY TCP6 2001:db8::7 ::1 4711 443\r\n",
            "> proxy from [2001:db8::7]:4711\n",
        ),
        (
            "proxy-nobody",
            b"PROXY UNKNOWN\r\n",
            "> proxy from unknown\n",
        ),
    ] {
        let (first, second) = header.split_at(20.min(header.len() - 1));
        let path = recording(
            name,
            config.clone(),
            &[first, &[second, &upgrade[..]].concat()],
        );
        let recorded = std::fs::read(&path).expect("there");
        assert!(
            !recorded.windows(6).any(|bytes| bytes == b"secret"),
            "{name}"
        );
        let mut out = Vec::new();
        assert_eq!(run(&asked(path.clone()), &mut out), Ok(true), "{name}");
        std::fs::remove_file(path).expect("there");
        let text = String::from_utf8(out).expect("text");
        assert!(
            text.contains(shown) && text.contains("> http GET / HTTP/1.1\n"),
            "{text}"
        );
    }
}

/// A message that was too large for the server is not inflated any further to be shown.
#[test]
fn what_was_too_large_is_not_inflated() {
    let upgrade = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    let max_bytes = Config::default().limits.max_message_bytes;
    let ping = r#"{"type":"ping"}"#;
    for (name, bytes, shown) in [
        ("fitting", max_bytes, r#"> text {"type":"ping"}"#),
        (
            "too-large",
            max_bytes + 1,
            "> broken a message over the size limit",
        ),
    ] {
        let message = ping.to_owned() + &" ".repeat(bytes - ping.len());
        let mut compressors = Compressors::new(Effort::DEFAULT);
        let payload = compressors.compress(Window::MAX, message.as_bytes());
        let payload = payload.expect("it is worth while");
        let mut frame = Vec::new();
        let text = OpCode::Data(Data::Text);
        put_masked_frame(&mut frame, text, true, true, payload, [1, 2, 3, 4]);
        let options = Options {
            masked: false,
            ..Options::default()
        };
        let path = recording_with(name, Config::default(), options, &[upgrade, &frame]);
        let mut out = Vec::new();
        assert_eq!(run(&asked(path.clone()), &mut out), Ok(true), "{name}");
        std::fs::remove_file(path).expect("there");
        let out = String::from_utf8(out).expect("text");
        assert!(out.contains(shown), "{name}: {out}");
    }
}
