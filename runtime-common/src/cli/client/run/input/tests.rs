use super::*;

fn text(line: &str) -> Line {
    Line::Text(line.to_owned())
}

#[test]
fn lines_are_put_together_from_pieces() {
    let mut input = Input::default();
    assert_eq!(input.take(b"one\ntw"), [text("one")]);
    assert_eq!(input.take(b"o"), []);
    assert_eq!(input.take(b"\r\n\nthree"), [text("two"), text("")]);
    assert_eq!(input.take(b""), [text("three"), Line::End]);

    assert_eq!(Input::default().take(b""), [Line::End]);
    // A character may be cut.
    let mut input = Input::default();
    assert_eq!(input.take(b"\xc3"), []);
    assert_eq!(
        input.take(b"\xa4\n\xff\n"),
        [text("ä"), Line::Bad("it is not UTF-8")]
    );
}

#[test]
fn a_line_has_a_bound() {
    let mut input = Input::default();
    let piece = vec![b'a'; 1 << 20];
    for _ in 0..16 {
        assert_eq!(input.take(&piece), []);
    }
    assert_eq!(
        input.take(b"\n"),
        [text(&"a".repeat(MAX_LINE_BYTES))],
        "the longest"
    );
    for _ in 0..40 {
        assert_eq!(input.take(&piece), []);
        assert!(input.held.capacity() <= 2 * MAX_LINE_BYTES);
    }
    let long = Line::Bad("it is longer than 16 MiB");
    assert_eq!(input.take(b"\nnext\n"), [long, text("next")]);
}
