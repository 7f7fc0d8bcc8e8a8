//! Every rule at its limit and one past it; `error` also asserts that the cut of the stream changes nothing.

use super::*;

#[test]
fn reserved_bits() {
    let large = MessageLimits::default();
    for bit in [0x40, 0x20, 0x10] {
        for first in [FIN | TEXT, FIN | PING, FIN | CLOSE] {
            assert_eq!(error(&[first | bit], &large), DecodeError::ReservedBits);
        }
    }
}

#[test]
fn rsv1_is_let_through_only_where_a_compressed_message_starts() {
    let large = MessageLimits::default();
    let deflate = || server().allow_rsv1();
    let stream = [
        frame(FIN | RSV1 | TEXT, b"\xff\x00"),
        frame(RSV1 | BINARY, b"a"),
        frame(FIN | PING, b"p"),
        frame(FIN | CONTINUATION, b"b"),
        frame(FIN | TEXT, b"plain"),
    ]
    .concat();
    let compressed = |kind, payload: &[u8]| Step::Compressed {
        kind,
        payload: payload.to_owned().into(),
    };
    let expected = [
        compressed(DataKind::Text, b"\xff\x00"),
        ping(b"p"),
        compressed(DataKind::Binary, b"ab"),
        text("plain"),
    ];
    assert_eq!(read_with(deflate, &stream, &large).steps, expected);

    for refused in [
        frame(FIN | RSV1 | PING, b""),
        frame(FIN | RSV1 | CLOSE, b""),
        [
            frame(RSV1 | TEXT, b"a"),
            frame(FIN | RSV1 | CONTINUATION, b"b"),
        ]
        .concat(),
        frame(FIN | 0x20 | TEXT, b""),
        frame(FIN | 0x10 | TEXT, b""),
    ] {
        let reading = read_with(deflate, &refused, &large);
        assert_eq!(reading.error, Some(DecodeError::ReservedBits));
    }
}

#[test]
fn reserved_opcodes() {
    for opcode in [3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf] {
        let error = error(&[FIN | opcode], &MessageLimits::default());
        assert_eq!(error, DecodeError::ReservedOpcode);
    }
}

#[test]
fn control_frames_are_whole_and_short() {
    let large = MessageLimits::default();
    for opcode in [CLOSE, PING, PONG] {
        assert_eq!(error(&[opcode], &large), DecodeError::FragmentedControl);
        assert_eq!(
            error(&[FIN | opcode, 0xfe], &large),
            DecodeError::ControlTooLong
        );
        assert_eq!(
            error(&[FIN | opcode, 0xff], &large),
            DecodeError::ControlTooLong
        );
    }
    // The limits are those of messages: a ping of full size passes under any.
    let payload = [7; 125];
    assert_eq!(
        read(&frame(FIN | PING, &payload), &limits(0)).steps,
        [ping(&payload)]
    );
}

#[test]
fn masks_by_role() {
    let large = MessageLimits::default();
    assert_eq!(
        error(&[FIN | TEXT, 0x00], &large),
        DecodeError::UnmaskedFrame
    );
    assert_eq!(
        error(&[FIN | PING, 0x00], &large),
        DecodeError::UnmaskedFrame
    );
    let client = || Decoder::new(Role::Client);
    let reading = read_with(client, &[FIN | TEXT, 0x80], &large);
    assert_eq!(reading.error, Some(DecodeError::MaskedFrame));
}

#[test]
fn fragments_in_order() {
    let large = MessageLimits::default();
    assert_eq!(
        error(&[CONTINUATION], &large),
        DecodeError::UnexpectedContinuation
    );
    assert_eq!(
        error(&[FIN | CONTINUATION], &large),
        DecodeError::UnexpectedContinuation
    );
    for first in [TEXT, FIN | TEXT, BINARY, FIN | BINARY] {
        let stream = [frame(TEXT, b"a"), vec![first]].concat();
        assert_eq!(error(&stream, &large), DecodeError::ExpectedContinuation);
    }
    let ended = [
        frame(TEXT, b"a"),
        frame(FIN, b"b"),
        vec![FIN | CONTINUATION],
    ]
    .concat();
    let reading = read(&ended, &large);
    assert_eq!(reading.steps, [text("ab")]);
    assert_eq!(reading.error, Some(DecodeError::UnexpectedContinuation));
}

#[test]
fn control_frames_between_fragments_come_at_once() {
    let stream = [
        frame(TEXT, "grü".as_bytes()),
        frame(FIN | PING, b"1"),
        frame(CONTINUATION, b""),
        frame(FIN | PONG, b""),
        // Cut inside a character: the state outlives the ping.
        frame(CONTINUATION, b"\xc3"),
        frame(FIN | PING, b"2"),
        frame(FIN | CONTINUATION, b"\x9f!"),
    ]
    .concat();
    let reading = read(&stream, &MessageLimits::default());
    assert_eq!(
        reading.steps,
        [ping(b"1"), pong(b""), ping(b"2"), text("grüß!")]
    );
    assert_eq!(reading.error, None);
}

#[test]
fn lengths_in_their_shortest_form() {
    let large = limits(1 << 20);
    let known_at = |bytes: &[u8]| {
        let reading = read(bytes, &large);
        let before = read(&bytes[..bytes.len() - 1], &large);
        assert_eq!(before.error, None, "known one byte earlier");
        reading.error
    };
    let overlong = Some(DecodeError::OverlongLength);
    assert_eq!(known_at(&[FIN | BINARY, 0xfe, 0, 125]), overlong);
    assert_eq!(known_at(&[FIN | BINARY, 0xfe, 0, 126]), None);
    assert_eq!(known_at(&[FIN | BINARY, 0xfe, 1]), None);
    // Six zeros leave at most 16 bits, whatever follows.
    assert_eq!(known_at(&[FIN | BINARY, 0xff, 0, 0, 0, 0, 0, 0]), overlong);
    assert_eq!(
        known_at(&[FIN | BINARY, 0xff, 0, 0, 0, 0, 0, 1, 0, 0]),
        None
    );
}

#[test]
fn lengths_below_the_highest_bit() {
    let huge = limits(usize::MAX);
    assert_eq!(
        error(&[FIN | BINARY, 0xff, 0x80], &huge),
        DecodeError::LengthOverflow
    );
    let mut all = vec![FIN | BINARY, 0xff, 0x7f];
    all.extend([0xff; 7]);
    // With fewer bits than a length has, the largest limit does not reach as far as the longest frame.
    let beyond = usize::BITS < 64;
    assert_eq!(
        read(&all, &huge).error,
        beyond.then_some(DecodeError::FrameTooLarge)
    );
    // The same under a small limit: the broken rule is named, not its consequence.
    assert_eq!(
        error(&[FIN | BINARY, 0xff, 0x80], &limits(1)),
        DecodeError::LengthOverflow
    );
    assert_eq!(
        error(&[FIN | BINARY, 0xff, 0x01], &limits(1)),
        DecodeError::FrameTooLarge
    );
}

#[test]
fn frame_limit() {
    for (max_frame_bytes, first) in [
        (10, FIN | BINARY),
        (10, TEXT),
        (1000, FIN | TEXT),
        (70_000, BINARY),
    ] {
        let limits = MessageLimits {
            max_frame_bytes,
            max_message_bytes: 1 << 20,
        };
        let at = head(first, max_frame_bytes as u64);
        assert_eq!(read(&at, &limits).error, None);
        let past = head(first, max_frame_bytes as u64 + 1);
        // Known before the mask has come.
        assert_eq!(
            error(&past[..past.len() - 4], &limits),
            DecodeError::FrameTooLarge
        );
    }
}

#[test]
fn message_limit() {
    let limits = MessageLimits {
        max_frame_bytes: 1 << 20,
        max_message_bytes: 100,
    };
    assert_eq!(read(&head(FIN | TEXT, 100), &limits).error, None);
    assert_eq!(
        error(&head(FIN | TEXT, 101), &limits),
        DecodeError::MessageTooLarge
    );
    let start = [frame(TEXT, &[b'a'; 60]), frame(CONTINUATION, b"bb\xc3")].concat();
    let at = [&start[..], &head(FIN | CONTINUATION, 37)].concat();
    assert_eq!(read(&at, &limits).error, None);
    let past = [&start[..], &head(FIN | CONTINUATION, 38)].concat();
    assert_eq!(error(&past, &limits), DecodeError::MessageTooLarge);
}

#[test]
fn fragment_charge() {
    let limits = limits(12);
    let empty = |count: usize| {
        let mut stream = frame(TEXT, b"");
        for _ in 1..count {
            stream.extend(frame(CONTINUATION, b""));
        }
        stream
    };
    let at = [empty(2), frame(FIN | CONTINUATION, b"end")].concat();
    assert_eq!(read(&at, &limits).steps, [text("end")]);
    assert_eq!(read(&empty(3), &limits).error, None);
    assert_eq!(error(&empty(4), &limits), DecodeError::TooManyFragments);
    // The count starts over with every message.
    let twice = [at.clone(), at].concat();
    assert_eq!(read(&twice, &limits).steps, [text("end"), text("end")]);
    // A limit that pays for no fragment still takes whole messages.
    let whole = frame(FIN | TEXT, b"abc");
    let small = super::limits(3);
    assert_eq!(read(&whole, &small).steps, [text("abc")]);
    assert_eq!(error(&[TEXT], &small), DecodeError::TooManyFragments);
}

#[test]
fn close_codes() {
    for code in 0..=u16::MAX {
        let stream = frame(FIN | CLOSE, &code.to_be_bytes());
        let reading = read_cut(server(), &stream, [], &MessageLimits::default());
        let sendable = (1000..=1003).contains(&code)
            || (1007..=1014).contains(&code)
            || (3000..=4999).contains(&code);
        assert_eq!(is_sendable_close_code(code), sendable);
        if sendable {
            let Some(Step::Close(Some(frame))) = reading.steps.first() else {
                panic!("{code} was refused");
            };
            assert_eq!(u16::from(frame.code), code);
        } else {
            assert_eq!(reading.error, Some(DecodeError::CloseCode(code)));
        }
    }
}

#[test]
fn close_payloads() {
    let large = MessageLimits::default();
    // Known at the header: no payload of one byte can be right.
    assert_eq!(
        error(&[FIN | CLOSE, 0x81], &large),
        DecodeError::CloseTooShort
    );
    assert_eq!(
        read(&frame(FIN | CLOSE, b""), &large).steps,
        [Step::Close(None)]
    );
    let bad = frame(FIN | CLOSE, b"\x03\xe8ok\xff never read");
    assert_eq!(error(&bad[..2 + 4 + 5], &large), DecodeError::InvalidUtf8);
    let cut = frame(FIN | CLOSE, b"\x03\xe8\xe2\x82");
    assert_eq!(error(&cut, &large), DecodeError::InvalidUtf8);
    // The code is refused before the reason has come.
    let code = frame(FIN | CLOSE, b"\x03\xed reason");
    assert_eq!(
        error(&code[..2 + 4 + 2], &large),
        DecodeError::CloseCode(1005)
    );
    let longest = [&[0x03, 0xe8][..], &[b'r'; 123]].concat();
    let reading = read(&frame(FIN | CLOSE, &longest), &large);
    assert!(matches!(&reading.steps[..], [Step::Close(Some(frame))] if frame.reason.len() == 123));
}

#[test]
fn nothing_is_read_after_a_close() {
    let stream = [
        frame(TEXT, b"unfinished"),
        frame(FIN | CLOSE, b""),
        vec![0xff; 100],
    ]
    .concat();
    let reading = read(&stream, &MessageLimits::default());
    assert_eq!(reading.steps, [Step::Close(None)]);
    assert_eq!(reading.error, None);
    assert_eq!(reading.buffered_bytes, 0);
}

#[test]
fn bad_text_fails_at_its_first_bad_byte() {
    let large = MessageLimits::default();
    for (good, bad) in [
        (&b"ab"[..], 0xff),
        (b"ab", 0x80),
        (b"ab\xc3", b'x'),
        (b"ab\xe2\x82", 0xc3),
        // Overlong, surrogate, beyond U+10FFFF: wrong at the second byte.
        (b"\xe0", 0x80),
        (b"\xed", 0xa0),
        (b"\xf0", 0x80),
        (b"\xf4", 0x90),
        (b"", 0xc0),
        (b"", 0xf5),
    ] {
        // The frame claims far more than has come.
        let mut masked = [good, &[bad]].concat();
        apply_mask(&mut masked, KEY);
        for first in [FIN | TEXT, TEXT] {
            let stream = [head(first, 1000), masked.clone()].concat();
            assert_eq!(error(&stream, &large), DecodeError::InvalidUtf8);
            let before = read(&stream[..stream.len() - 1], &large);
            assert_eq!(before.error, None);
        }
    }
}

#[test]
fn text_must_not_end_inside_a_character() {
    let large = MessageLimits::default();
    for unfinished in [&b"\xc3"[..], b"a\xe2\x82", b"\xf0\x9f\x98"] {
        assert_eq!(
            error(&frame(FIN | TEXT, unfinished), &large),
            DecodeError::InvalidUtf8
        );
        let fragments = [frame(TEXT, unfinished), frame(FIN | CONTINUATION, b"")].concat();
        assert_eq!(error(&fragments, &large), DecodeError::InvalidUtf8);
    }
}

#[test]
fn errors_release_every_buffer() {
    let stream = [
        frame(TEXT, &[b'a'; 1000]),
        vec![FIN | PING, 0x85, 0, 0, 0, 0, 1, 2],
    ]
    .concat();
    let reading = read(&stream, &MessageLimits::default());
    assert!(reading.buffered_bytes >= 1005);
    let stream = [stream, vec![3, 4, 5, FIN | TEXT]].concat();
    let reading = read(&stream, &MessageLimits::default());
    assert_eq!(reading.error, Some(DecodeError::ExpectedContinuation));
    assert_eq!(reading.buffered_bytes, 0);
}

#[test]
fn close_codes_of_errors() {
    for (error, code) in [
        (DecodeError::CloseCode(1005), 1002),
        (DecodeError::CloseTooShort, 1002),
        (DecodeError::ControlTooLong, 1002),
        (DecodeError::CorruptDeflate, 1007),
        (DecodeError::ExpectedContinuation, 1002),
        (DecodeError::FragmentedControl, 1002),
        (DecodeError::FrameTooLarge, 1009),
        (DecodeError::InvalidUtf8, 1007),
        (DecodeError::LengthOverflow, 1002),
        (DecodeError::MaskedFrame, 1002),
        (DecodeError::MessageTooLarge, 1009),
        (DecodeError::OverlongLength, 1002),
        (DecodeError::ReservedBits, 1002),
        (DecodeError::ReservedOpcode, 1002),
        (DecodeError::TooManyFragments, 1009),
        (DecodeError::UnexpectedContinuation, 1002),
        (DecodeError::UnmaskedFrame, 1002),
    ] {
        assert_eq!(u16::from(error.close_code()), code, "{error}");
    }
}
