use std::path::PathBuf;

use roomwire_core::replay::{Options, Recorder};
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
    let mut bytes = Vec::new();
    let config = Config::default().validate().expect("valid");
    let mut recorder = Recorder::new(config, [1; 32], Options::default(), &mut bytes);
    let now = Now::default();
    let id = recorder.accept(now, PeerAddr::Local, ListenerId(0));
    let connection = id.expect("a place");
    let mut request = b"GET /\x1b[2Jsecret HTTP/1.1\r\n\r\n".to_vec();
    let bytes_of = &mut request;
    let _ = recorder.handle(
        now,
        Input::Received {
            connection,
            bytes: bytes_of,
        },
    );
    while !matches!(recorder.poll(), Output::Idle { .. }) {}
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
