//! What is lent, what is kept, and that keeping costs no more than what arrives.

use std::borrow::Cow;

use super::*;

#[test]
fn small_and_empty_when_idle() {
    assert!(size_of::<Decoder>() <= 96, "{}", size_of::<Decoder>());
    assert_eq!(server().buffered_bytes(), 0);
    let stream = [
        frame(TEXT, b"ab"),
        frame(FIN | CONTINUATION, b"c"),
        frame(FIN | PING, b"p"),
    ]
    .concat();
    for cut in 0..stream.len() {
        let reading = read_cut(server(), &stream, [cut], &MessageLimits::default());
        assert_eq!(reading.buffered_bytes, 0);
    }
}

#[test]
fn whole_messages_are_lent_from_the_input() {
    let limits = MessageLimits::default();
    let mut stream = [
        frame(FIN | TEXT, b"text"),
        frame(FIN | BINARY, b"bytes"),
        frame(FIN | PING, b"ping"),
        frame(FIN | CLOSE, b"\x03\xe8bye"),
    ]
    .concat();
    // A header that came in two pieces changes nothing for the payload.
    let (first, mut rest) = stream.split_at_mut(1);
    let mut decoder = server();
    assert_eq!(decoder.decode(first, &limits), Ok((Step::NeedMore, 1)));
    let mut lent = 0;
    while let Ok((step, consumed)) = decoder.decode(rest, &limits) {
        match step {
            Step::Text(Cow::Borrowed(_)) | Step::Binary(Cow::Borrowed(_)) => lent += 1,
            Step::Ping(Cow::Borrowed(_)) => lent += 1,
            Step::Close(Some(frame)) => {
                lent += usize::from(matches!(frame.reason, Cow::Borrowed(_)));
            }
            Step::NeedMore => break,
            other => panic!("copied: {other:?}"),
        }
        assert_eq!(decoder.buffered_bytes(), 0);
        rest = &mut rest[consumed..];
    }
    assert_eq!(lent, 4);
}

#[test]
fn a_reader_may_stop_and_go_on_later() {
    let limits = MessageLimits::default();
    let mut stream = [
        frame(FIN | TEXT, b"one"),
        frame(TEXT, b"tw"),
        frame(FIN, b"o"),
    ]
    .concat();
    let untouched = stream.clone();
    let mut decoder = server();
    let (step, consumed) = decoder.decode(&mut stream, &limits).expect("a message");
    assert_eq!(step, text("one"));
    assert_eq!(stream[consumed..], untouched[consumed..], "still masked");
    let mut kept = stream[consumed..].to_vec();
    let (step, consumed) = decoder.decode(&mut kept, &limits).expect("a message");
    assert_eq!((step, consumed), (text("two"), untouched.len() - 3 - 6));
}

#[test]
fn capacity_follows_what_arrives() {
    let claimed = 1 << 20;
    let limits = MessageLimits::default();
    for first in [FIN | BINARY, FIN | TEXT, BINARY, TEXT] {
        let mut decoder = server();
        let mut received = 0;
        decoder
            .decode(&mut head(first, claimed), &limits)
            .expect("allowed");
        assert_eq!(decoder.buffered_bytes(), 0, "nothing for a claim");
        for piece_bytes in [1, 1, 100, 1000, 16 * 1024, 16 * 1024, 100] {
            let mut piece = vec![b'a'; piece_bytes];
            apply_mask(&mut piece, rotate_mask(KEY, received));
            decoder.decode(&mut piece, &limits).expect("allowed");
            received += piece_bytes;
            let held = decoder.buffered_bytes();
            assert!(
                held >= received && held <= 2 * received + 64,
                "{held} for {received}"
            );
        }
    }
}

#[test]
fn capacity_stays_within_the_message_and_its_limit() {
    let limits = limits(1000);
    for (first, claimed, most) in [
        (FIN | BINARY, 700, 700),
        (FIN | TEXT, 700, 700),
        (TEXT, 1000, 1000),
        (BINARY, 900, 1000),
    ] {
        let mut decoder = server();
        let mut stream = frame(first, &vec![b'a'; claimed]);
        let last = stream.len() - 1;
        for piece in stream[..last].chunks_mut(7) {
            decoder.decode(piece, &limits).expect("allowed");
            assert!(decoder.buffered_bytes() <= most);
        }
    }
}

/// Growing counts by what it moves, not by time: a message that arrives byte by byte, in as many fragments as
/// its limit allows, moves fewer bytes than twice its length.
#[test]
fn work_is_linear_in_what_arrives() {
    for (max_message_bytes, fragments) in [(1 << 16, 1 << 14), (1 << 18, 1 << 16)] {
        let limits = limits(max_message_bytes);
        let mut stream = frame(TEXT, b"");
        for _ in 2..fragments {
            stream.extend(frame(CONTINUATION, "a€".as_bytes()));
        }
        stream.extend(frame(FIN | CONTINUATION, b"end"));
        let mut decoder = server();
        let (mut moved, mut capacity, mut messages) = (0, 0, 0);
        for byte in stream.chunks_mut(1) {
            let (step, consumed) = decoder.decode(byte, &limits).expect("allowed");
            assert_eq!(consumed, 1, "no byte is handed in twice");
            if let Step::Text(text) = step {
                assert_eq!(text.len(), (fragments - 2) * 4 + 3);
                messages += 1;
                continue;
            }
            if decoder.buffered_bytes() != capacity {
                moved += capacity;
                capacity = decoder.buffered_bytes();
            }
        }
        assert_eq!(messages, 1);
        assert!(moved < 2 * max_message_bytes, "{moved}");
    }
}
