//! Lines end with CR LF and nothing else (RFC 9112, section 2.2); what a parser makes of other bytes decides how many
//! fields and requests there are.

use crate::peer::End::{Closed, Kept};
use crate::{Case, Table};

pub(crate) const TABLES: &[Table] = &[
    Table {
        before: b"",
        after: b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
        cases: CASES,
    },
    Table {
        before: b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
        after: b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
        cases: BETWEEN,
    },
];

#[rustfmt::skip]
const CASES: &[Case] = &[
    Case("LF alone everywhere", b"GET /health HTTP/1.1\nHost: a\n\n", &[400], Closed),
    Case("CR alone everywhere", b"GET /health HTTP/1.1\rHost: a\r\r", &[400], Closed),
    Case("LF CR everywhere", b"GET /health HTTP/1.1\n\rHost: a\n\r\n\r", &[400], Closed),
    Case("LF after the request line", b"GET /health HTTP/1.1\nHost: a\r\n\r\n", &[400], Closed),
    Case("CR after the request line", b"GET /health HTTP/1.1\rHost: a\r\n\r\n", &[400], Closed),
    Case("CR CR LF after the request line", b"GET /health HTTP/1.1\r\r\nHost: a\r\n\r\n", &[400], Closed),
    Case("CR LF LF after the request line", b"GET /health HTTP/1.1\r\n\nHost: a\r\n\r\n", &[400], Closed),
    Case("LF after a field", b"GET /health HTTP/1.1\r\nHost: a\n\r\n", &[400], Closed),
    Case("CR after a field", b"GET /health HTTP/1.1\r\nHost: a\r\r\n\r\n", &[400], Closed),
    Case("CR in a field", b"GET /health HTTP/1.1\r\nHost: a\r X: y\r\n\r\n", &[400], Closed),
    Case("CR in a name", b"GET /health HTTP/1.1\r\nHost: a\r\nX\rY: z\r\n\r\n", &[400], Closed),
    Case("CR before the colon", b"GET /health HTTP/1.1\r\nHost: a\r\nX\r: y\r\n\r\n", &[400], Closed),
    Case("CR after the colon", b"GET /health HTTP/1.1\r\nHost: a\r\nX:\ry\r\n\r\n", &[400], Closed),
    Case("LF for the blank line", b"GET /health HTTP/1.1\r\nHost: a\r\n\n", &[400], Closed),
    Case("CR for the blank line", b"GET /health HTTP/1.1\r\nHost: a\r\n\r", &[400], Closed),
    Case("CR in the method", b"GE\rT /health HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    Case("CR in the target", b"GET /he\ralth HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    Case("CR for a space", b"GET\r/health HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    Case("LF in the target", b"GET /he\nalth HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    Case("CR LF in the target", b"GET /he\r\nalth HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    Case("a NUL for a line end", b"GET /health HTTP/1.1\0Host: a\r\n\r\n", &[400], Closed),
    Case("a next-line character for a line end", b"GET /health HTTP/1.1\r\nHost: a\xc2\x85X: y\r\n\r\n", &[400], Closed),
    Case("a space in the blank line", b"GET /health HTTP/1.1\r\nHost: a\r\n \r\n", &[400], Closed),
    Case("two bare LFs do not end a head", b"GET /health HTTP/1.1\r\nHost: a\r\nX: y\n\n", &[400], Closed),
    // A server may skip a blank line here (2.2). This one does not: nothing that is sent today needs it.
    Case("CR LF before the request line", b"\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    Case("a space before the request line", b" GET /health HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    Case("LF before the request line", b"\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    Case("CR before the request line", b"\rGET /health HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    Case("a byte order mark", b"\xef\xbb\xbfGET /health HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
];

#[rustfmt::skip]
const BETWEEN: &[Case] = &[
    Case("nothing between two requests", b"", &[200, 200], Kept),
    Case("CR LF between two requests", b"\r\n", &[200, 400], Closed),
    Case("LF between two requests", b"\n", &[200, 400], Closed),
    Case("CR between two requests", b"\r", &[200, 400], Closed),
    Case("a space between two requests", b" ", &[200, 400], Closed),
    Case("a NUL between two requests", b"\0", &[200, 400], Closed),
];
