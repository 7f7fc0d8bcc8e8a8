//! Against tungstenite's own connection, over a stream in memory: the same messages, the same kind of failure.
//!
//! Where the two differ, and why (each is asserted below, nothing else may differ):
//!
//! - A length that is not in its shortest form: tungstenite takes it, section 5.2 forbids it.
//! - A close frame with a code that must not be sent: tungstenite reports a close with 1002, here it is the
//!   error that is answered with 1002. 1014, registered later, is one of these for tungstenite.
//! - When a failure shows: tungstenite waits for the whole frame, so that a stream which ends before can fail
//!   here and merely end there. With several faults in one frame each may name another first.
//! - A 64-bit length with the highest bit: a broken rule here (1002), over the size limit there (1009).
//! - The fragment charge: tungstenite takes any number of empty fragments.

use std::io::{self, Cursor, Read, Write};

use proptest::prelude::*;
use tungstenite::error::{Error, ProtocolError};
use tungstenite::protocol::{Message, Role as TheirRole, WebSocketConfig, WebSocketContext};

use super::properties::{apply, damage, encode, items};
use super::*;

proptest! {
    #[test]
    fn right_streams_are_read_alike(items in items()) {
        let stream = encode(&items);
        let ours = read(&stream, &limits(LIMIT_BYTES));
        let theirs = tungstenite_read(&stream);
        prop_assert_eq!(ours.error, None);
        prop_assert_eq!(theirs.end, End::OutOfInput);
        prop_assert_eq!(ours.steps, theirs.steps);
    }

    #[test]
    fn damaged_streams_are_read_alike(items in items(), damage in damage()) {
        let mut stream = encode(&items);
        apply(&damage, &mut stream);
        compare(&stream)?;
    }

    #[test]
    fn one_wild_frame_is_read_alike(
        first: u8,
        second in prop_oneof![0x80_u8..=0xff, any::<u8>()],
        rest in prop::collection::vec(any::<u8>(), 0..300),
        fragmented: bool,
    ) {
        let mut stream = if fragmented { frame(TEXT, b"a") } else { Vec::new() };
        stream.extend([first, second]);
        stream.extend(rest);
        compare(&stream)?;
    }
}

/// One fault per stream: the kind of failure is the same, not only that there is one.
#[test]
fn single_faults_fail_alike() {
    let message = frame(FIN | TEXT, b"before");
    for fault in [
        frame(FIN | RSV1 | TEXT, b"x"),
        frame(FIN | 0x20 | BINARY, b"x"),
        frame(FIN | 0x10 | PING, b"x"),
        frame(FIN | 0x3, b"x"),
        frame(FIN | 0xb, b"x"),
        frame(PING, b"x"),
        frame(CLOSE, b""),
        frame(FIN | PING, &[0; 126]),
        frame(FIN | CLOSE, b"x"),
        frame(FIN | CLOSE, b"\x03\xe8\xff"),
        frame(FIN | CONTINUATION, b"x"),
        [frame(TEXT, b"a"), frame(FIN | TEXT, b"b")].concat(),
        [frame(BINARY, b"a"), frame(BINARY, b"b")].concat(),
        frame(FIN | TEXT, b"\xff"),
        frame(FIN | TEXT, b"a\xe2\x82"),
        [frame(TEXT, b"\xe2"), frame(FIN, b"\x82")].concat(),
        frame(FIN | BINARY, &vec![0; LIMIT_BYTES + 1]),
        [frame(BINARY, &vec![0; LIMIT_BYTES]), frame(FIN, b"x")].concat(),
        vec![FIN | TEXT, 0x01, b'x'],
    ] {
        let stream = [message.clone(), fault.clone()].concat();
        let ours = read(&stream, &limits(LIMIT_BYTES));
        let theirs = tungstenite_read(&stream);
        let code = ours.error.expect("a fault").close_code();
        assert_eq!(theirs.end, End::Failed(code.into()), "{fault:x?}");
        assert_eq!(ours.steps, [text("before")]);
        assert_eq!(theirs.steps, ours.steps);
    }
}

#[test]
fn known_differences() {
    let overlong = [FIN | BINARY, 0xfe, 0, 1, 0, 0, 0, 0, b'x'];
    assert_eq!(
        error(&overlong, &limits(LIMIT_BYTES)),
        DecodeError::OverlongLength
    );
    assert_eq!(tungstenite_read(&overlong).steps, [binary(b"x")]);

    let top_bit = head(FIN | BINARY, u64::MAX);
    assert_eq!(
        error(&top_bit, &limits(LIMIT_BYTES)),
        DecodeError::LengthOverflow
    );
    assert_eq!(tungstenite_read(&top_bit).end, End::Failed(1009));

    let many = [
        frame(TEXT, b""),
        frame(CONTINUATION, b"").repeat(LIMIT_BYTES / 4),
        frame(FIN, b"x"),
    ]
    .concat();
    assert_eq!(
        error(&many, &limits(LIMIT_BYTES)),
        DecodeError::TooManyFragments
    );
    assert_eq!(tungstenite_read(&many).steps, [text("x")]);

    // The claim is enough here; there the payload would have to come.
    let unmasked = [FIN | BINARY, 100];
    assert_eq!(
        error(&unmasked, &limits(LIMIT_BYTES)),
        DecodeError::UnmaskedFrame
    );
    assert_eq!(tungstenite_read(&unmasked).end, End::OutOfInput);

    for code in [1005_u16, 1014] {
        let stream = frame(FIN | CLOSE, &code.to_be_bytes());
        let ours = read(&stream, &limits(LIMIT_BYTES));
        let theirs = tungstenite_read(&stream);
        assert!(
            matches!(&theirs.steps[..], [Step::Close(Some(close))] if close.code == CloseCode::Protocol)
        );
        match code {
            1014 => assert!(matches!(&ours.steps[..], [Step::Close(Some(_))])),
            _ => assert_eq!(ours.error, Some(DecodeError::CloseCode(code))),
        }
    }
}

fn compare(stream: &[u8]) -> Result<(), TestCaseError> {
    let ours = read(stream, &limits(LIMIT_BYTES));
    let theirs = tungstenite_read(stream);
    let alike = ours.steps.len().min(theirs.steps.len());
    match ours.error {
        None => {
            let their_steps: Vec<_> = theirs
                .steps
                .iter()
                .cloned()
                .map(forgive_1014(&ours))
                .collect();
            prop_assert_eq!(&ours.steps, &their_steps);
            prop_assert!(
                matches!(theirs.end, End::OutOfInput | End::Closed),
                "{:?}",
                theirs
            );
        }
        Some(DecodeError::OverlongLength) => {
            prop_assert_eq!(&ours.steps[..], &theirs.steps[..alike]);
        }
        Some(DecodeError::CloseCode(_)) => {
            prop_assert_eq!(&ours.steps[..], &theirs.steps[..alike]);
            // A close frame that is cut short has not been read there.
            if let Some(step) = theirs.steps.get(alike) {
                prop_assert!(
                    matches!(step, Step::Close(Some(close)) if close.code == CloseCode::Protocol)
                );
            }
        }
        Some(error) => {
            prop_assert_eq!(&ours.steps, &theirs.steps, "{}", error);
            prop_assert!(theirs.end != End::Closed, "{}", error);
        }
    }
    Ok(())
}

/// tungstenite reports 1014 as a close with 1002 and a reason of its own.
fn forgive_1014(ours: &Reading) -> impl Fn(Step<'static>) -> Step<'static> {
    let last = match ours.steps.last() {
        Some(step @ Step::Close(Some(close))) if u16::from(close.code) == 1014 => {
            Some(step.clone())
        }
        _ => None,
    };
    move |step| match (&step, &last) {
        (Step::Close(_), Some(last)) => last.clone(),
        _ => step,
    }
}

#[derive(Debug)]
struct TheirReading {
    steps: Vec<Step<'static>>,
    end: End,
}

#[derive(Debug, PartialEq)]
enum End {
    /// Nothing wrong so far.
    OutOfInput,
    /// After a close frame.
    Closed,
    /// With this close code.
    Failed(u16),
}

/// Reads `stream` as tungstenite does, as a server, with [`LIMIT_BYTES`] for frames and messages.
fn tungstenite_read(stream: &[u8]) -> TheirReading {
    let config = WebSocketConfig::default()
        .read_buffer_size(1024)
        .max_frame_size(Some(LIMIT_BYTES))
        .max_message_size(Some(LIMIT_BYTES));
    let mut context = WebSocketContext::new(TheirRole::Server, Some(config));
    let mut stream = OneWay(Cursor::new(stream.to_vec()));
    let mut steps = Vec::new();
    loop {
        let end = match context.read(&mut stream) {
            Ok(message) => {
                steps.push(step(message));
                if matches!(steps.last(), Some(Step::Close(_))) {
                    End::Closed
                } else {
                    continue;
                }
            }
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => End::OutOfInput,
            Err(Error::Protocol(_)) => End::Failed(1002),
            Err(Error::Utf8(_)) => End::Failed(1007),
            Err(Error::Capacity(_)) => End::Failed(1009),
            Err(other) => panic!("{other}"),
        };
        return TheirReading { steps, end };
    }
}

fn step(message: Message) -> Step<'static> {
    match message {
        Message::Text(text) => Step::Text(text.as_str().to_owned().into()),
        Message::Binary(bytes) => binary(&bytes),
        Message::Ping(bytes) => ping(&bytes),
        Message::Pong(bytes) => pong(&bytes),
        Message::Close(close) => Step::Close(close.map(|close| CloseFrame {
            code: close.code,
            reason: close.reason.as_str().to_owned().into(),
        })),
        Message::Frame(_) => panic!("never read"),
    }
}

/// Input from memory; what is written is forgotten.
struct OneWay(Cursor<Vec<u8>>);

impl Read for OneWay {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for OneWay {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const LIMIT_BYTES: usize = 1000;
