//! Compressed messages, both ways.

use super::*;
use crate::websocket::deflate::{Compressors, Effort, Inflater, Window};

/// A client whose server answered its offer so.
fn answered(parameters: &str, change: impl FnOnce(&mut ClientConfig)) -> Client {
    let mut config = ClientConfig {
        deflate: Some(ClientDeflate::DEFAULT),
        ..config()
    };
    change(&mut config);
    let mut client = client_with(config);
    let request = String::from_utf8(client.unsent().to_vec()).expect("a request");
    assert!(
        request.contains(
            "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
             client_no_context_takeover; client_max_window_bits\r\n"
        ),
        "{request}"
    );
    client.sent(client.unsent().len());
    let head = RESPONSE.strip_suffix(b"\r\n").expect("a blank line");
    let answer = format!("Sec-WebSocket-Extensions: permessage-deflate; {parameters}\r\n\r\n");
    receive(&mut client, &[head, answer.as_bytes()].concat());
    assert!(client.is_compressing());
    client
}

fn open_compressing() -> Client {
    answered("server_no_context_takeover", |_| {})
}

/// A compressed message as a server sends it.
fn compressed(opcode: u8, message: &[u8]) -> Vec<u8> {
    let mut compressors = Compressors::new(Effort::DEFAULT);
    let payload = compressors
        .compress(Window::MAX, message)
        .expect("worth while");
    let mut out = Vec::new();
    let kind = if opcode == 1 {
        Data::Text
    } else {
        Data::Binary
    };
    crate::websocket::put_header(
        &mut out,
        OpCode::Data(kind),
        true,
        true,
        payload.len() as u64,
    );
    out.extend_from_slice(payload);
    out
}

/// What waits, as the server's decoder reads it.
fn first_step(client: &Client) -> Step<'static> {
    let mut bytes = client.unsent().to_vec();
    let mut decoder = Decoder::new(Role::Server).allow_rsv1();
    let limits = MessageLimits::default();
    match decoder.decode(&mut bytes, &limits).expect("a frame").0 {
        Step::Compressed { kind, payload } => Step::Compressed {
            kind,
            payload: payload.into_owned().into(),
        },
        Step::Text(text) => Step::Text(text.into_owned().into()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_comes_is_inflated() {
    let text = "ä".repeat(400);
    let mut client = open_compressing();
    for _ in 0..2 {
        let seen = receive(&mut client, &compressed(1, text.as_bytes()));
        assert_eq!(seen, [format!("Text({text:?})")]);
    }
    let seen = receive(&mut client, &compressed(2, &[7; 500]));
    assert_eq!(seen, [format!("Binary({:?})", [7; 500])]);
    // Others may go as they are.
    assert_eq!(receive(&mut client, b"\x81\x01a"), ["Text(\"a\")"]);
}

/// RFC 7692 section 7.2.3.1: "Hello" in two fragments; a ping between them.
#[test]
fn fragments_are_one_message() {
    let mut client = open_compressing();
    let bytes = b"\x41\x03\xf2\x48\xcd\x89\x00\x80\x04\xc9\xc9\x07\x00";
    assert_eq!(receive(&mut client, bytes), ["Ping([])", "Text(\"Hello\")"]);
}

#[test]
fn broken_messages_end_it() {
    for (bytes, error, answer) in [
        (compressed(1, &[b'a'; 1_001]), "MessageTooLarge", "Size"),
        (compressed(2, &[0; 300_000]), "MessageTooLarge", "Size"),
        (compressed(1, &[0xff; 500]), "InvalidUtf8", "Invalid"),
        (b"\xc1\x02\xff\xff".to_vec(), "CorruptDeflate", "Invalid"),
        (b"\xc9\x00".to_vec(), "ReservedBits", "Protocol"),
        (b"\x01\x01a\xc0\x01a".to_vec(), "ReservedBits", "Protocol"),
    ] {
        let mut client = open_compressing();
        let seen = receive(&mut client, &[&*bytes, b"\x81\x01b"].concat());
        assert_eq!(seen, [format!("Violation({error})")]);
        let answer = format!("Close(Some(CloseFrame {{ code: {answer}, reason: \"\" }}))");
        assert_eq!(drain(&mut client), [answer]);
        assert!(client.is_over());
    }
}

#[test]
fn what_goes_is_compressed_where_it_is_worth_while() {
    let mut inflater = Inflater::new();
    for bits in [9, 12, 15] {
        let parameters = format!("server_no_context_takeover; client_max_window_bits={bits}");
        let mut client = answered(&parameters, |_| {});
        let text = "the same again, ".repeat(64);
        for _ in 0..2 {
            client.send_text(&text).expect("open");
            let Step::Compressed { kind, payload } = first_step(&client) else {
                panic!("it is not compressed");
            };
            assert_eq!(kind, DataKind::Text);
            assert!(payload.len() < 100);
            let inflated = inflater.inflate(&payload, 10_000);
            assert_eq!(inflated, Ok(text.as_bytes()));
            client.sent(client.unsent().len());
        }
        let short = &text[..1_023];
        client.send_text(short).expect("open");
        assert_eq!(first_step(&client), Step::Text(short.into()));
    }
}

/// Nobody can compress for a window of 8 bits: messages go as they are.
#[test]
fn the_smallest_window_is_kept_to() {
    let mut client = answered(
        "server_no_context_takeover; client_max_window_bits=8",
        |_| {},
    );
    let text = "a".repeat(2_000);
    client.send_text(&text).expect("open");
    assert_eq!(first_step(&client), Step::Text(text.into()));
    let seen = receive(&mut client, &compressed(2, &[7; 500]));
    assert_eq!(seen.len(), 1);
}

#[test]
fn the_bound_is_on_what_waits_compressed() {
    let mut client = answered("server_no_context_takeover", |config| {
        config.max_unsent_bytes = 1_000;
    });
    let text = "a".repeat(5_000);
    client.send_text(&text).expect("small enough");
    assert_eq!(client.send_text(&text), Err(SendError::Full));
    client.sent(client.unsent().len());
    client.send_text(&text).expect("room again");
}

#[test]
fn nothing_is_compressed_that_was_not_agreed_on() {
    let mut client = client_with(ClientConfig {
        deflate: Some(ClientDeflate::DEFAULT),
        ..config()
    });
    client.sent(client.unsent().len());
    receive(&mut client, RESPONSE);
    assert!(!client.is_compressing());
    let text = "a".repeat(2_000);
    client.send_text(&text).expect("open");
    assert_eq!(first_step(&client), Step::Text(text.into()));
    let seen = receive(&mut client, &compressed(1, &[b'a'; 500]));
    assert_eq!(seen, ["Violation(ReservedBits)"]);
}

#[test]
fn what_it_compresses_with_is_held_from_the_first_message_on() {
    let mut client = open_compressing();
    let before = client.heap_bytes();
    let mut frames = compressed(2, &[b'a'; 1_000]);
    client.receive(&mut frames, |_| {});
    let inflating = client.heap_bytes() - before;
    assert!((48_000..56_000).contains(&inflating), "{inflating}");
    client.send_binary(&[b'a'; 2_000]).expect("room");
    let compressing = client.heap_bytes() - before - inflating;
    assert!((320_000..330_000).contains(&compressing), "{compressing}");
}
