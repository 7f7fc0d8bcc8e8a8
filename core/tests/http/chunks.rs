//! Bodies in chunks (RFC 9112, section 7.1). The request is answered before its body is read: what is wrong with the body
//! shows in that nothing after it is answered.

use crate::peer::End::{Closed, Kept};
use crate::{Case, Table};

pub(crate) const TABLES: &[Table] = &[
    Table {
        before: b"POST /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        after: b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
        cases: FAULTY,
    },
    Table {
        before: b"POST /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        after: b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
        cases: GOOD,
    },
];

#[rustfmt::skip]
const FAULTY: &[Case] = &[
    // Sizes.
    Case("no size", b"\r\nhello\r\n0\r\n\r\n", &[405], Closed),
    Case("no size but an extension", b";a\r\n\r\n", &[405], Closed),
    Case("a space before the size", b" 5\r\nhello\r\n0\r\n\r\n", &[405], Closed),
    Case("a space after the size", b"5 \r\nhello\r\n0\r\n\r\n", &[405], Closed),
    Case("a space in the size", b"0 5\r\nhello\r\n0\r\n\r\n", &[405], Closed),
    Case("a plus", b"+5\r\nhello\r\n0\r\n\r\n", &[405], Closed),
    Case("a minus", b"-5\r\nhello\r\n0\r\n\r\n", &[405], Closed),
    Case("minus nought", b"-0\r\n\r\n", &[405], Closed),
    Case("0x", b"0x5\r\nhello\r\n0\r\n\r\n", &[405], Closed),
    Case("an underscore", b"0_5\r\nhello\r\n0\r\n\r\n", &[405], Closed),
    Case("a letter after f", b"g\r\n", &[405], Closed),
    Case("an h", b"5h\r\nhello\r\n0\r\n\r\n", &[405], Closed),
    Case("a fraction", b"5.0\r\nhello\r\n0\r\n\r\n", &[405], Closed),
    Case("quotes", b"\"5\"\r\nhello\r\n0\r\n\r\n", &[405], Closed),
    Case("a digit that is not ASCII", b"\xd9\xa5\r\nhello\r\n0\r\n\r\n", &[405], Closed),
    Case("a NUL after the size", b"5\0\r\nhello\r\n0\r\n\r\n", &[405], Closed),
    Case("a size of 2^64 + 5", b"10000000000000005\r\nhello\r\n0\r\n\r\n", &[405], Closed),
    Case("a size of 2^64 - 1", b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n", &[405], Closed),
    Case("a size with seventeen digits", b"00000000000000005\r\nhello\r\n0\r\n\r\n", &[405], Closed),
    Case("a size past the limit", b"41\r\n", &[405], Closed),
    Case("two sizes past the limit", b"20\r\n0123456789abcdef0123456789abcdef\r\n21\r\n", &[405], Closed),
    // Line ends.
    Case("LF after the size", b"5\nhello\r\n0\r\n\r\n", &[405], Closed),
    Case("CR after the size", b"5\rhello\r\n0\r\n\r\n", &[405], Closed),
    Case("CR CR LF after the size", b"5\r\r\nhello\r\n0\r\n\r\n", &[405], Closed),
    Case("LF CR after the size", b"5\n\rhello\r\n0\r\n\r\n", &[405], Closed),
    Case("LF after the data", b"5\r\nhello\n0\r\n\r\n", &[405], Closed),
    Case("CR after the data", b"5\r\nhello\r0\r\n\r\n", &[405], Closed),
    Case("nothing after the data", b"5\r\nhello0\r\n\r\n", &[405], Closed),
    Case("two bytes for a line end", b"5\r\nhelloXX0\r\n\r\n", &[405], Closed),
    Case("two line ends after the data", b"5\r\nhello\r\n\r\n0\r\n\r\n", &[405], Closed),
    Case("LF after the last size", b"0\n\r\n", &[405], Closed),
    Case("LF for the blank line", b"0\r\n\n", &[405], Closed),
    Case("CR for the blank line", b"0\r\n\r", &[405], Closed),
    Case("data that is longer than its size", b"4\r\nhello\r\n0\r\n\r\n", &[405], Closed),
    Case("data that is shorter than its size", b"6\r\nhello\r\n0\r\n\r\n", &[405], Closed),
    // Extensions.
    Case("LF in an extension", b"5;a\nhello\r\n0\r\n\r\n", &[405], Closed),
    Case("CR in an extension", b"5;a\rb\r\nhello\r\n0\r\n\r\n", &[405], Closed),
    Case("a line end in a quoted extension", b"5;a=\"\r\nhello\r\n\"\r\n0\r\n\r\n", &[405], Closed),
    Case("a NUL in an extension", b"5;a\0\r\nhello\r\n0\r\n\r\n", &[405], Closed),
    Case("DEL in an extension", b"5;a\x7f\r\nhello\r\n0\r\n\r\n", &[405], Closed),
    // Trailers.
    Case("a request for trailers", b"0\r\n", &[405], Closed),
    Case("a trailer without a colon", b"0\r\nX\r\n\r\n", &[405], Closed),
    Case("a trailer without a name", b"0\r\n: y\r\n\r\n", &[405], Closed),
    Case("a space in a trailer's name", b"0\r\nX Y: z\r\n\r\n", &[405], Closed),
    Case("a space before a trailer's colon", b"0\r\nX : y\r\n\r\n", &[405], Closed),
    Case("a space before a trailer", b"0\r\n X: y\r\n\r\n", &[405], Closed),
    Case("a folded trailer", b"0\r\nX: y\r\n z\r\n\r\n", &[405], Closed),
    Case("LF after a trailer", b"0\r\nX: y\n\r\n", &[405], Closed),
    Case("CR in a trailer", b"0\r\nX: y\rZ: a\r\n\r\n", &[405], Closed),
    Case("a NUL in a trailer", b"0\r\nX: \0\r\n\r\n", &[405], Closed),
    Case("a NUL in a trailer's name", b"0\r\nX\0: y\r\n\r\n", &[405], Closed),
    Case("a trailer's name that is not ASCII", b"0\r\nX\xc3\xbc: y\r\n\r\n", &[405], Closed),
];

#[rustfmt::skip]
const GOOD: &[Case] = &[
    Case("no chunk", b"0\r\n\r\n", &[405, 200], Kept),
    Case("one chunk", b"5\r\nhello\r\n0\r\n\r\n", &[405, 200], Kept),
    Case("two chunks", b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", &[405, 200], Kept),
    Case("large and small letters", b"A\r\n0123456789\r\nb\r\n0123456789a\r\n0\r\n\r\n", &[405, 200], Kept),
    Case("zeros before the size", b"0000000000000005\r\nhello\r\n0000\r\n\r\n", &[405, 200], Kept),
    Case("a line end for data", b"2\r\n\r\n\r\n0\r\n\r\n", &[405, 200], Kept),
    Case("an end for data", b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", &[405, 200], Kept),
    Case("as many bytes as are allowed", b"20\r\n0123456789abcdef0123456789abcdef\r\n20\r\n0123456789abcdef0123456789abcdef\r\n0\r\n\r\n", &[405, 200], Kept),
    Case("an extension", b"5;a=b\r\nhello\r\n0;c\r\n\r\n", &[405, 200], Kept),
    Case("a quoted extension", b"5;a=\";\\\"0\"\r\nhello\r\n0\r\n\r\n", &[405, 200], Kept),
    Case("white space in an extension", b"5;\ta =\tb\r\nhello\r\n0\r\n\r\n", &[405, 200], Kept),
    Case("trailers", b"0\r\nX: y\r\nZ:\r\n\r\n", &[405, 200], Kept),
    // Trailers must not change how messages are framed (RFC 9110, section 6.5.1): they are thrown away.
    Case("a length for a trailer", b"0\r\nContent-Length: 30\r\n\r\n", &[405, 200], Kept),
    Case("a coding for a trailer", b"0\r\nTransfer-Encoding: chunked\r\n\r\n", &[405, 200], Kept),
    Case("a host for a trailer", b"0\r\nHost: b\r\nConnection: close\r\n\r\n", &[405, 200], Kept),
    Case("an unfinished chunk", b"40\r\n", &[405], Kept),
];
