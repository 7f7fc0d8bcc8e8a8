//! A client over bytes: to the byte, cut in every way, and against the server of this crate.

mod compression;
mod round_trip;

use proptest::prelude::*;

use super::*;
use crate::websocket::apply_mask;

/// RFC 6455 section 1.3.
const RESPONSE: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n";

fn config() -> ClientConfig {
    ClientConfig {
        target: "/chat".to_owned(),
        origin: Some("http://example.com".to_owned()),
        protocols: vec!["chat".to_owned(), "superchat".to_owned()],
        deflate: None,
        max_message_bytes: 1_000,
        ..ClientConfig::new("server.example.com")
    }
}

/// A client with the RFC's key.
fn client_with(config: ClientConfig) -> Client {
    let rng = ChaCha12Rng::from_seed([7; 32]);
    Client::with_key(config, *b"the sample nonce", rng).expect("a config")
}

/// One whose handshake is over.
fn open_with(config: ClientConfig) -> Client {
    let mut client = client_with(config);
    client.sent(client.unsent().len());
    let seen = receive(&mut client, RESPONSE);
    assert_eq!(seen, ["Open { protocol: Some(\"chat\") }"]);
    client
}

fn open() -> Client {
    open_with(config())
}

/// The events of `bytes`, as text.
fn receive(client: &mut Client, bytes: &[u8]) -> Vec<String> {
    let mut seen = Vec::new();
    client.receive(&mut bytes.to_vec(), |event| seen.push(format!("{event:?}")));
    seen
}

/// Takes what waits, and reads it as a server does.
fn drain(client: &mut Client) -> Vec<String> {
    let mut bytes = client.unsent().to_vec();
    client.sent(bytes.len());
    assert_eq!(client.unsent(), b"");
    let (mut decoder, mut at, mut seen) = (Decoder::new(Role::Server), 0, Vec::new());
    loop {
        let limits = MessageLimits::default();
        match decoder.decode(&mut bytes[at..], &limits).expect("frames") {
            (Step::NeedMore, _) => return seen,
            (step, consumed) => {
                seen.push(format!("{step:?}"));
                at += consumed;
            }
        }
    }
}

/// RFC 6455 section 1.3: the example's handshake, from the client's end.
#[test]
fn the_sample_handshake_is_golden() {
    let mut client = client_with(config());
    assert_eq!(
        client.unsent().escape_ascii().to_string(),
        "GET /chat HTTP/1.1\\r\\nHost: server.example.com\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\nSec-WebSocket-Version: 13\\r\\n\
         Sec-WebSocket-Protocol: chat, superchat\\r\\nOrigin: http://example.com\\r\\n\\r\\n"
    );
    client.sent(client.unsent().len());
    // RFC 6455 section 5.7: "Hello" in one frame. What follows the head flows on into frames.
    let bytes = [RESPONSE, &[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]].concat();
    let seen = receive(&mut client, &bytes);
    assert_eq!(
        seen,
        ["Open { protocol: Some(\"chat\") }", "Text(\"Hello\")"]
    );
    assert!(!client.is_over());
}

#[test]
fn keys_and_masks_follow_from_the_seed() {
    let request = |seed| {
        Client::new(config(), seed)
            .expect("a config")
            .unsent()
            .to_vec()
    };
    assert_eq!(request([1; 32]), request([1; 32]));
    assert_ne!(request([1; 32]), request([2; 32]));

    let mut client = open();
    client.send_text("Hello").expect("open");
    client.send_text("Hello").expect("open");
    let bytes = client.unsent().to_vec();
    let (first, second) = bytes.split_at(bytes.len() / 2);
    assert_eq!(
        (&first[..2], &second[..2]),
        (&[0x81, 0x85][..], &[0x81, 0x85][..])
    );
    assert_ne!(
        first[2..6],
        second[2..6],
        "each frame has a mask of its own"
    );
    for frame in [first, second] {
        let (key, payload) = frame[2..].split_at(4);
        let mut payload = payload.to_vec();
        assert_ne!(payload, b"Hello");
        apply_mask(&mut payload, key.try_into().expect("four bytes"));
        assert_eq!(payload, b"Hello");
    }
}

#[test]
fn what_is_sent_arrives() {
    let mut client = open();
    client.send_text("ä").expect("open");
    client.send_binary(&[0; 200]).expect("open");
    client.close(1000, "done");
    let binary = format!("Binary({:?})", [0; 200]);
    let close = "Close(Some(CloseFrame { code: Normal, reason: \"done\" }))";
    assert_eq!(drain(&mut client), ["Text(\"ä\")", &binary, close]);
    assert_eq!(client.send_text("late"), Err(SendError::Closing));
    client.close(1001, "again");
    assert_eq!(client.unsent(), b"");
    // It reads on until the server agrees.
    assert!(!client.is_over());
    assert_eq!(
        receive(&mut client, b"\x81\x01a\x89\x00"),
        ["Text(\"a\")", "Ping([])"]
    );
    assert_eq!(client.unsent(), b"", "pings are not answered after a close");
    let seen = receive(&mut client, b"\x88\x02\x03\xe8\x81\x01b");
    assert_eq!(seen, ["Closed { code: Some(1000), reason: \"\" }"]);
    assert!(client.is_over());
    assert_eq!(receive(&mut client, b"\x81\x01c"), [""; 0]);
    client.ended(|event| panic!("{event:?} after the end"));
}

#[test]
fn nothing_is_sent_before_the_handshake_is_over() {
    let mut client = client_with(config());
    let request = client.unsent().len();
    assert_eq!(client.send_text("early"), Err(SendError::NotOpen));
    assert_eq!(client.send_binary(b"early"), Err(SendError::NotOpen));
    assert_eq!(client.unsent().len(), request);
    client.close(1000, "changed my mind");
    assert!(client.is_over());
    assert_eq!(client.unsent(), b"");
}

#[test]
fn a_close_is_answered_by_its_own_code() {
    for (bytes, event, answer) in [
        (
            &b"\x88\x00"[..],
            "Closed { code: None, reason: \"\" }",
            "Close(None)",
        ),
        (
            b"\x88\x05\x03\xf4bye",
            "Closed { code: Some(1012), reason: \"bye\" }",
            "Close(Some(CloseFrame { code: Restart, reason: \"\" }))",
        ),
    ] {
        let mut client = open();
        assert_eq!(receive(&mut client, bytes), [event]);
        assert!(!client.is_over(), "the answer is not written yet");
        assert_eq!(client.send_text("late"), Err(SendError::Closing));
        assert_eq!(drain(&mut client), [answer]);
        assert!(client.is_over());
    }
}

#[test]
fn broken_rules_are_answered() {
    for (bytes, error, answer) in [
        // A masked frame, such as only clients send.
        (
            &b"\x81\x81\x01\x02\x03\x04\x60"[..],
            "MaskedFrame",
            "Protocol",
        ),
        (b"\xc1\x01a", "ReservedBits", "Protocol"),
        (b"\x81\x01\xff", "InvalidUtf8", "Invalid"),
        (b"\x82\x7e\x03\xe9", "FrameTooLarge", "Size"),
        (b"\x88\x02\x03\xed", "CloseCode(1005)", "Protocol"),
    ] {
        let mut client = open();
        let bytes = [b"\x81\x01a", bytes, b"\x81\x01b"].concat();
        let expected = ["Text(\"a\")".to_owned(), format!("Violation({error})")];
        assert_eq!(receive(&mut client, &bytes), expected);
        let answer = format!("Close(Some(CloseFrame {{ code: {answer}, reason: \"\" }}))");
        assert_eq!(drain(&mut client), [answer]);
        assert!(client.is_over());
    }
}

#[test]
fn bad_responses_end_it() {
    for (bytes, event) in [
        (&b"SSH-2.0"[..], "BadResponse(NotHttp(\"\\\"S\\\"\"))"),
        (
            b"HTTP/1.1 403 Forbidden\r\n\r\nNo.",
            "Refused { status: 403, reason: \"Forbidden\", retry_after_s: None, location: None }",
        ),
    ] {
        let mut client = client_with(config());
        assert_eq!(receive(&mut client, bytes), [event]);
        assert!(client.is_over());
        assert_eq!(client.send_text("late"), Err(SendError::Closing));
    }
}

#[test]
fn a_connection_that_breaks_is_lost_once() {
    for mut client in [client_with(config()), open()] {
        let mut seen = Vec::new();
        client.ended(|event| seen.push(format!("{event:?}")));
        client.ended(|event| seen.push(format!("{event:?}")));
        assert_eq!(seen, ["Lost"]);
        assert!(client.is_over());
    }
    // Also when it was closing: nobody has agreed.
    let mut client = open();
    client.close(1000, "");
    client.ended(|event| assert_eq!(event, Event::Lost));
    assert!(client.is_over());
}

#[test]
fn what_waits_is_bounded() {
    let mut client = open_with(ClientConfig {
        max_unsent_bytes: 100,
        ..config()
    });
    client.send_text(&"a".repeat(86)).expect("it just fits");
    assert_eq!(client.unsent().len(), 92);
    assert_eq!(client.send_text(""), Err(SendError::Full));
    // Of pings that cannot be answered yet the last is.
    for payload in 0..50 {
        receive(&mut client, &[0x89, 0x01, payload]);
    }
    assert_eq!(client.unsent().len(), 92);
    client.sent(20);
    assert_eq!(client.unsent().len(), 72 + 7, "the pong");
    client.close(1001, &"x".repeat(200));
    assert_eq!(client.unsent().len(), 79 + 131, "a close frame always fits");
    client.sent(1_000);
    assert_eq!(client.unsent(), b"");

    let mut client = open_with(ClientConfig {
        max_unsent_bytes: 100,
        ..config()
    });
    assert_eq!(client.send_text(&"a".repeat(87)), Err(SendError::Full));
    assert_eq!(client.send_binary(&[0; 10_000]), Err(SendError::Full));
    assert_eq!(client.unsent(), b"");
    for payload in 0..3 {
        receive(&mut client, &[0x89, 0x01, payload]);
    }
    assert_eq!(drain(&mut client), ["Pong([0])", "Pong([1])", "Pong([2])"]);

    // One that waits is not answered behind a close frame.
    client.send_text(&"a".repeat(86)).expect("it just fits");
    receive(&mut client, &[0x89, 0x00]);
    client.close(1000, "");
    assert_eq!(drain(&mut client).len(), 2);
    assert_eq!(client.unsent(), b"");
}

#[test]
fn written_bytes_are_given_back_as_it_goes() {
    let mut client = open();
    let mut read = Vec::new();
    let text = "a".repeat(300);
    for _ in 0..1_000 {
        client.send_text(&text).expect("room");
        let part = client.unsent().len().min(307);
        read.extend_from_slice(&client.unsent()[..part]);
        client.sent(part);
        assert!(
            client.out.len() <= 2 * (client.unsent().len() + 308),
            "{}",
            client.out.len()
        );
    }
    read.extend_from_slice(client.unsent());
    assert_eq!(read.len(), 308 * 1_000);
    assert!(
        read.chunks(308)
            .all(|frame| frame[..4] == [0x81, 0xfe, 0x01, 0x2c])
    );
}

proptest! {
    #[test]
    fn cuts_change_nothing(
        stream in stream(),
        mut cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let whole = read_cut(&stream, []);
        prop_assert_eq!(&whole, &read_cut(&stream, 1..stream.len()));
        let mut cuts: Vec<usize> = cuts.drain(..).map(|cut| cut.index(stream.len())).collect();
        cuts.sort_unstable();
        prop_assert_eq!(&whole, &read_cut(&stream, cuts));
    }
}

#[test]
fn every_cut_in_two_changes_nothing() {
    let stream = [
        RESPONSE,
        b"\x81\x03abc\x89\x01p\x01\x01d\x80\x01e\x88\x05\x03\xe8bye",
    ]
    .concat();
    let whole = read_cut(&stream, []);
    assert_eq!(
        whole.0,
        [
            "Open { protocol: Some(\"chat\") }",
            "Text(\"abc\")",
            "Ping([112])",
            "Text(\"de\")",
            "Closed { code: Some(1000), reason: \"bye\" }"
        ]
    );
    for at in 0..stream.len() {
        assert_eq!(read_cut(&stream, [at]), whole, "cut at {at}");
    }
}

/// What is told and what is sent when the stream is cut there.
fn read_cut(stream: &[u8], cuts: impl IntoIterator<Item = usize>) -> (Vec<String>, Vec<u8>, bool) {
    let mut client = client_with(config());
    client.sent(client.unsent().len());
    let (mut seen, mut from) = (Vec::new(), 0);
    for at in cuts.into_iter().chain([stream.len()]) {
        seen.extend(receive(&mut client, &stream[from..at]));
        from = at;
    }
    let sent = client.unsent().to_vec();
    client.sent(sent.len());
    (seen, sent, client.is_over())
}

/// A response and frames, sometimes damaged.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let frame = prop_oneof![
        Just(b"\x81\x03a\xc3\xa4".to_vec()),
        Just(b"\x82\x02\x00\x01".to_vec()),
        Just(b"\x01\x01a\x89\x01p\x80\x01b".to_vec()),
        Just(b"\x8a\x00".to_vec()),
        Just(b"\x88\x05\x03\xe8bye".to_vec()),
        (0..1_100_usize).prop_map(|length| {
            let mut out = Vec::new();
            crate::websocket::put_frame(&mut out, OpCode::Data(Data::Text), &vec![b'x'; length]);
            out
        }),
    ];
    let damage = prop::option::weighted(0.5, (any::<prop::sample::Index>(), any::<u8>()));
    (any::<bool>(), prop::collection::vec(frame, 0..6), damage).prop_map(
        |(early, frames, damage)| {
            let early = if early {
                &b"HTTP/1.1 100 Continue\r\n\r\n"[..]
            } else {
                b""
            };
            let mut stream = [early, RESPONSE, &frames.concat()].concat();
            if let Some((place, byte)) = damage {
                let place = place.index(stream.len());
                stream[place] = byte;
            }
            stream
        },
    )
}

#[test]
fn it_says_what_it_holds() {
    let mut client = client_with(config());
    let request = client.heap_bytes();
    assert!(request >= client.unsent().len());
    // A head that is not whole is held, and given back when it is.
    let (head, rest) = RESPONSE.split_at(100);
    receive(&mut client, head);
    assert!((100..=200).contains(&(client.heap_bytes() - request)));
    receive(&mut client, rest);
    assert_eq!(client.heap_bytes(), request);
    // So is a message.
    receive(&mut client, b"\x82\x7e\x03\xe8first");
    assert!((5..=1_000).contains(&(client.heap_bytes() - request)));
    receive(&mut client, &[b'a'; 995]);
    assert_eq!(client.heap_bytes(), request);
    client.ended(|_| {});
    assert_eq!(client.heap_bytes(), 0);
}
