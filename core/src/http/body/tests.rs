use proptest::prelude::*;

use super::*;

const MAX_BYTES: u64 = 20;

/// How many bytes belonged to the body and whether it ended, or the refusal's status.
type Outcome = Result<(usize, bool), u16>;

/// What became of `bytes`, fed in pieces of `step` bytes.
fn read(framing: Framing, bytes: &[u8], step: usize) -> Outcome {
    let mut body = BodyDiscard::new(framing, MAX_BYTES).map_err(|it| it.status().code())?;
    let mut taken = 0;
    for piece in bytes.chunks(step.max(1)) {
        match body.feed(piece) {
            Ok(count) => {
                taken += count;
                assert!(count == piece.len() || body.is_done());
            }
            Err(refusal) => {
                assert_eq!(body.feed(b"0\r\n\r\n"), Err(refusal), "an error must last");
                return Err(refusal.status().code());
            }
        }
    }
    Ok((taken, body.is_done()))
}

#[track_caller]
fn check(framing: Framing, bytes: &[u8], expected: Outcome) {
    for step in [bytes.len(), 1, 2, 3, 5, 7] {
        assert_eq!(
            read(framing, bytes, step),
            expected,
            "{} in steps of {step}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn known_lengths() {
    check(Framing::None, b"", Ok((0, true)));
    check(Framing::None, b"GET /", Ok((0, true)));
    check(Framing::Length(0), b"GET /", Ok((0, true)));
    check(Framing::Length(5), b"hell", Ok((4, false)));
    check(Framing::Length(5), b"hello", Ok((5, true)));
    check(Framing::Length(5), b"helloGET /", Ok((5, true)));
    check(Framing::Length(20), b"", Ok((0, false)));
    check(Framing::Length(21), b"", Err(413));
    check(Framing::Length(u64::MAX), b"x", Err(413));
}

#[test]
fn chunks() {
    let cases: &[(&[u8], Outcome)] = &[
        (b"0\r\n\r\n", Ok((5, true))),
        (b"0\r\n\r\nGET /", Ok((5, true))),
        (b"5\r\nhello\r\n0\r\n\r\n", Ok((15, true))),
        (b"5\r\nhello\r\n0\r\n\r\n0\r\n\r\n", Ok((15, true))),
        (
            b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\nx",
            Ok((35, true)),
        ),
        (b"2\r\n\r\n\r\n0\r\n\r\n", Ok((12, true))),
        (b"0005\r\nhello\r\n000\r\n\r\n", Ok((20, true))),
        (b"0000000000000001\r\nx\r\n", Ok((21, false))),
        (b"1;a\r\nx\r\n0;b=\"c;d\"\r\n\r\n", Ok((21, true))),
        (b"1;\r\nx\r\n0\r\n\r\n", Ok((12, true))),
        (b"1; a = \xc3\xbc\t\r\nx\r\n0\r\n\r\n", Ok((20, true))),
        (b"0\r\nX: y\r\nZ:\r\n\r\n", Ok((15, true))),
        (b"0\r\nX: y\r\n", Ok((9, false))),
        (b"5\r\nhel", Ok((6, false))),
        (b"", Ok((0, false))),
        (b"14\r\n", Ok((4, false))),
        (b"15\r\n", Err(413)),
        (b"a\r\n0123456789\r\nb\r\n", Err(413)),
        (b"ffffffffffffffff\r\n", Err(413)),
        (b"1\r\nx\r\nffffffffffffffff\r\n", Err(413)),
        (b"10000000000000000\r\n", Err(400)),
        (b"00000000000000000", Err(400)),
        (b"\r\n", Err(400)),
        (b";a\r\n", Err(400)),
        (b" 5\r\n", Err(400)),
        (b"5 \r\n", Err(400)),
        (b"5\t;a\r\n", Err(400)),
        (b"+5\r\n", Err(400)),
        (b"-1\r\n", Err(400)),
        (b"0x5\r\n", Err(400)),
        (b"5h\r\n", Err(400)),
        (b"g\r\n", Err(400)),
        (b"5_0\r\n", Err(400)),
        (b"5\n", Err(400)),
        (b"5\rx", Err(400)),
        (b"5\r\r\n", Err(400)),
        (b"5\x00\r\n", Err(400)),
        (b"5;a\n", Err(400)),
        (b"5;a\rb\r\n", Err(400)),
        (b"5;a\x00\r\n", Err(400)),
        (b"5;\x7f\r\n", Err(400)),
        (b"1\r\nxy\r\n", Err(400)),
        (b"1\r\nx\n", Err(400)),
        (b"1\r\nx0\r\n\r\n", Err(400)),
        (b"1\r\nx\rx", Err(400)),
        (b"1\r\nx\r\r\n", Err(400)),
        (b"1\r\nx\r\n\r\n", Err(400)),
        (b"0\r\n\n", Err(400)),
        (b"0\r\n\rx", Err(400)),
        (b"0\r\n\r\r\n", Err(400)),
        (b"0\r\n X: y\r\n\r\n", Err(400)),
        (b"0\r\nX: y\r\n z\r\n\r\n", Err(400)),
        (b"0\r\nX: y\n\r\n", Err(400)),
        (b"0\r\nX: \x00\r\n\r\n", Err(400)),
        (b"0\r\n: y\r\n\r\n", Err(400)),
        (b"0\r\nX\r\n\r\n", Err(400)),
        (b"0\r\nX : y\r\n\r\n", Err(400)),
        (b"0\r\nX y\r\n\r\n", Err(400)),
        (b"0\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Err(400)),
        (b"0\r\nX: y\rZ: a\r\n\r\n", Err(400)),
        (b"\x355\xff", Err(400)),
    ];
    for (bytes, expected) in cases {
        check(Framing::Chunked, bytes, *expected);
    }
}

#[test]
fn extensions_and_trailers_are_bounded() {
    let spare = usize::from(MAX_SPARE_BYTES);
    let extension = |count: usize| format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(count));
    let text = extension(spare);
    check(Framing::Chunked, text.as_bytes(), Ok((text.len(), true)));
    check(Framing::Chunked, extension(spare + 1).as_bytes(), Err(400));
    let trailer = |count: usize| format!("0\r\nX:{}\r\n\r\n", "t".repeat(count - 1));
    let text = trailer(spare);
    check(Framing::Chunked, text.as_bytes(), Ok((text.len(), true)));
    check(Framing::Chunked, trailer(spare + 1).as_bytes(), Err(431));
    let many = format!("0\r\n{}\r\n", "t:\r\n".repeat(spare + 1));
    check(Framing::Chunked, many.as_bytes(), Err(431));
    let name = format!("0\r\n{}", "t".repeat(spare + 1));
    check(Framing::Chunked, name.as_bytes(), Err(431));
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let fixed = prop::sample::select(
        [
            "0", "1", "2", "5", "a", "ff", "\r\n", "\r\n", "\r\n\r\n", ";x", "hello", "x", "\r",
            "\n", " ", "T: v", "\0",
        ]
        .as_slice(),
    );
    prop_oneof![
        10 => fixed.prop_map(|text: &str| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..3),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn splitting_makes_no_difference(
        pieces in prop::collection::vec(piece(), 0..20),
        step in 1_usize..40,
        length in 0_u64..25,
    ) {
        let bytes = pieces.concat();
        for framing in [Framing::None, Framing::Length(length), Framing::Chunked] {
            prop_assert_eq!(read(framing, &bytes, bytes.len()), read(framing, &bytes, step));
        }
    }

    #[test]
    fn well_formed_bodies_are_read_to_their_end(
        chunks in prop::collection::vec("[a-z]{1,4}", 0..5),
        rest in prop::collection::vec(any::<u8>(), 0..8),
        step in 1_usize..40,
    ) {
        let mut bytes = String::new();
        for chunk in &chunks {
            bytes.push_str(&format!("{:x}\r\n{chunk}\r\n", chunk.len()));
        }
        bytes.push_str("0\r\n\r\n");
        let length = bytes.len();
        let bytes = [bytes.as_bytes(), &rest].concat();
        prop_assert_eq!(read(Framing::Chunked, &bytes, step), Ok((length, true)));
    }

    #[test]
    fn sizes_are_read_as_httparse_reads_them(size in 1_u64..=MAX_BYTES) {
        let text = format!("{size:X}\r\n");
        prop_assert_eq!(
            httparse::parse_chunk_size(text.as_bytes()),
            Ok(httparse::Status::Complete((text.len(), size)))
        );
        let data = vec![b'x'; usize::try_from(size).expect("small")];
        let bytes = [text.as_bytes(), &data, b"\r\n0\r\n\r\n"].concat();
        prop_assert_eq!(read(Framing::Chunked, &bytes, 3), Ok((bytes.len(), true)));
    }
}
