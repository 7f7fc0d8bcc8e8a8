//! Scripts as they are sent: without what is only for those who read the source. All of it is done when the program is
//! built.

/// A script without the lines that are nothing but a comment, except those that it begins with.
pub(super) const fn without_comments<const LENGTH: usize>(source: &[u8]) -> [u8; LENGTH] {
    let mut script = [0; LENGTH];
    let mut room: &mut [u8] = &mut script;
    let mut rest = source;
    let mut is_head = true;
    while let Some((line, after)) = split_line(rest) {
        rest = after;
        is_head &= is_comment(line);
        let mut left: &[u8] = if is_head || !is_comment(line) {
            line
        } else {
            &[]
        };
        while let [byte, others @ ..] = left
            && let [place, places @ ..] = room
        {
            *place = *byte;
            (left, room) = (others, places);
        }
    }
    script
}

/// How long that is.
pub(super) const fn length_without_comments(source: &[u8]) -> usize {
    let mut length = 0;
    let mut rest = source;
    let mut is_head = true;
    while let Some((line, after)) = split_line(rest) {
        rest = after;
        is_head &= is_comment(line);
        if is_head || !is_comment(line) {
            length += line.len();
        }
    }
    length
}

/// The first line with its end, and what comes after it.
const fn split_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0;
    let mut rest = text;
    while let [byte, others @ ..] = rest {
        length += 1;
        rest = others;
        if *byte == b'\n' {
            break;
        }
    }
    if length == 0 {
        return None;
    }
    text.split_at_checked(length)
}

const fn is_comment(line: &[u8]) -> bool {
    let mut rest = line;
    while let [b' ', others @ ..] = rest {
        rest = others;
    }
    matches!(rest, [b'/', b'/', ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &[u8] =
        b"// Who.\n//\n// What.\nlet a = 1; // one\n  // two\n\n//three\nb('// four');";
    const PLAIN: [u8; length_without_comments(SOURCE)] = without_comments(SOURCE);

    #[test]
    fn comments_that_stand_alone_are_left_out_but_the_first() {
        let expected = "// Who.\n//\n// What.\nlet a = 1; // one\n\nb('// four');";
        assert_eq!(core::str::from_utf8(&PLAIN), Ok(expected));
        assert_eq!(length_without_comments(b""), 0);
        assert_eq!(without_comments::<3>(b"a\n\n"), *b"a\n\n");
    }
}
