//! Bytes that are right by definition: the examples of RFC 6455 section 5.7, and frames written by hand.

use super::*;

#[test]
fn unmasked_text() {
    let bytes = [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
    let reading = read_with(client, &bytes, &MessageLimits::default());
    assert_eq!(reading.steps, [text("Hello")]);
    let mut out = Vec::new();
    put_frame(&mut out, OpCode::Data(Data::Text), b"Hello");
    assert_eq!(out, bytes);
}

#[test]
fn masked_text() {
    let bytes = [
        0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    assert_eq!(
        read(&bytes, &MessageLimits::default()).steps,
        [text("Hello")]
    );
    let mut out = Vec::new();
    put_masked_frame(
        &mut out,
        OpCode::Data(Data::Text),
        true,
        false,
        b"Hello",
        KEY,
    );
    assert_eq!(out, bytes);
}

#[test]
fn fragmented_unmasked_text() {
    let bytes = [0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f];
    let reading = read_with(client, &bytes, &MessageLimits::default());
    assert_eq!(reading.steps, [text("Hello")]);
    let mut out = Vec::new();
    put_header(&mut out, OpCode::Data(Data::Text), false, false, 3);
    out.extend_from_slice(b"Hel");
    put_frame(&mut out, OpCode::Data(Data::Continue), b"lo");
    assert_eq!(out, bytes);
}

#[test]
fn ping_and_masked_pong() {
    let bytes = [0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f];
    let reading = read_with(client, &bytes, &MessageLimits::default());
    assert_eq!(reading.steps, [ping(b"Hello")]);
    let bytes = [
        0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
    ];
    assert_eq!(
        read(&bytes, &MessageLimits::default()).steps,
        [pong(b"Hello")]
    );
}

#[test]
fn lengths_of_16_and_64_bits() {
    for (start, len) in [
        (&[0x82, 0x7e, 0x01, 0x00][..], 256),
        (&[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0], 65_536),
    ] {
        let payload = vec![7; len];
        let bytes = [start, &payload].concat();
        let reading = read_with(client, &bytes, &MessageLimits::default());
        assert_eq!(reading.steps, [binary(&payload)]);
        let mut out = Vec::new();
        put_frame(&mut out, OpCode::Data(Data::Binary), &payload);
        assert_eq!(out, bytes);
    }
}

#[test]
fn close_frames() {
    let mut out = Vec::new();
    put_close(&mut out, CloseCode::Normal, "bye");
    assert_eq!(out, [0x88, 0x05, 0x03, 0xe8, b'b', b'y', b'e']);
    let reading = read_with(client, &out, &MessageLimits::default());
    let frame = CloseFrame {
        code: CloseCode::Normal,
        reason: "bye".into(),
    };
    assert_eq!(reading.steps, [Step::Close(Some(frame))]);

    for unsendable in [
        CloseCode::Status,
        CloseCode::Abnormal,
        CloseCode::Tls,
        CloseCode::Bad(0),
    ] {
        out.clear();
        put_close(&mut out, unsendable, "not sent");
        assert_eq!(out, [0x88, 0x00]);
        let reading = read_with(client, &out, &MessageLimits::default());
        assert_eq!(reading.steps, [Step::Close(None)]);
    }
}

#[test]
fn long_close_reasons_are_cut_between_characters() {
    for (reason, kept) in [
        ("x".repeat(123), 123),
        ("x".repeat(124), 123),
        ("é".repeat(80), 122),
    ] {
        let mut out = vec![0xaa];
        put_close(&mut out, CloseCode::Away, &reason);
        assert_eq!(out.len(), 1 + 2 + 2 + kept);
        assert_eq!(out[2], 2 + kept as u8);
        let reading = read_with(client, &out[1..], &MessageLimits::default());
        let frame = CloseFrame {
            code: CloseCode::Away,
            reason: reason[..kept].to_owned().into(),
        };
        assert_eq!(reading.steps, [Step::Close(Some(frame))]);
    }
}

#[test]
fn empty_messages() {
    let stream = [
        frame(FIN | TEXT, b""),
        frame(FIN | BINARY, b""),
        frame(FIN | PING, b""),
    ]
    .concat();
    let reading = read(&stream, &limits(0));
    assert_eq!(reading.steps, [text(""), binary(b""), ping(b"")]);
}

fn client() -> Decoder {
    Decoder::new(Role::Client)
}
