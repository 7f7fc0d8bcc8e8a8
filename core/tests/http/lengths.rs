//! Where a body ends (RFC 9112, section 6): lengths that are stated twice, not at all, or so that two parsers differ.

use crate::peer::End::{Closed, Kept};
use crate::{Case, Table};

pub(crate) const TABLES: &[Table] = &[
    Table {
        before: b"POST /health HTTP/1.1\r\nHost: a\r\n",
        // Whoever takes it for chunks finds a request after them; whoever takes it for 5 bytes finds another one.
        after: b"\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n",
        cases: FAULTY,
    },
    Table {
        before: b"POST /health HTTP/1.1\r\nHost: a\r\n",
        after: b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
        cases: CLEAR,
    },
    Table {
        before: b"",
        after: b"",
        cases: OTHERS,
    },
];

#[rustfmt::skip]
const FAULTY: &[Case] = &[
    // A length and chunks (6.1).
    Case("CL.TE", b"Content-Length: 5\r\nTransfer-Encoding: chunked", &[400], Closed),
    Case("TE.CL", b"Transfer-Encoding: chunked\r\nContent-Length: 5", &[400], Closed),
    Case("CL.TE with no length at all", b"Content-Length: 0\r\nTransfer-Encoding: chunked", &[400], Closed),
    Case("TE.CL in other letters", b"tRANSFER-eNCODING: CHUNKED\r\ncONTENT-lENGTH: 5", &[400], Closed),
    Case("CL.TE with something between", b"Content-Length: 5\r\nX: y\r\nTransfer-Encoding: chunked", &[400], Closed),
    Case("CL.TE with an unknown coding", b"Content-Length: 5\r\nTransfer-Encoding: gzip", &[400], Closed),
    Case("CL.TE with identity", b"Content-Length: 5\r\nTransfer-Encoding: identity", &[400], Closed),
    Case("CL.TE with nothing named", b"Content-Length: 5\r\nTransfer-Encoding:", &[400], Closed),
    // Repeated fields (RFC 9110, 8.6).
    Case("CL.CL, the same", b"Content-Length: 5\r\nContent-Length: 5", &[400], Closed),
    Case("CL.CL, shorter", b"Content-Length: 5\r\nContent-Length: 0", &[400], Closed),
    Case("CL.CL, longer", b"Content-Length: 0\r\nContent-Length: 5", &[400], Closed),
    Case("CL.CL, the second in other letters", b"Content-Length: 5\r\ncontent-length: 6", &[400], Closed),
    Case("CL.CL, the second empty", b"Content-Length: 5\r\nContent-Length:", &[400], Closed),
    Case("TE.TE, the same", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", &[400], Closed),
    Case("TE.TE, identity", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", &[400], Closed),
    Case("TE.TE, hidden", b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked", &[400], Closed),
    Case("TE.TE, the second empty", b"Transfer-Encoding: chunked\r\nTransfer-Encoding:", &[400], Closed),
    // Lengths that are not one number of digits.
    Case("a list of lengths", b"Content-Length: 5, 5", &[400], Closed),
    Case("a list of two lengths", b"Content-Length: 5, 0", &[400], Closed),
    Case("a list with nothing in it", b"Content-Length: ,", &[400], Closed),
    Case("a plus", b"Content-Length: +5", &[400], Closed),
    Case("a minus", b"Content-Length: -5", &[400], Closed),
    Case("minus nought", b"Content-Length: -0", &[400], Closed),
    Case("hexadecimal", b"Content-Length: 0x5", &[400], Closed),
    Case("hexadecimal digits", b"Content-Length: a", &[400], Closed),
    Case("a fraction", b"Content-Length: 5.0", &[400], Closed),
    Case("an exponent", b"Content-Length: 5e0", &[400], Closed),
    Case("an underscore", b"Content-Length: 0_5", &[400], Closed),
    Case("a space within", b"Content-Length: 0 5", &[400], Closed),
    Case("a tab within", b"Content-Length: 5\t0", &[400], Closed),
    Case("quotes", b"Content-Length: \"5\"", &[400], Closed),
    Case("a parameter", b"Content-Length: 5;x", &[400], Closed),
    Case("no length", b"Content-Length:", &[400], Closed),
    Case("white space for a length", b"Content-Length: \t ", &[400], Closed),
    Case("a word", b"Content-Length: five", &[400], Closed),
    Case("digits that are not ASCII", b"Content-Length: \xd9\xa5", &[400], Closed),
    Case("a byte that is not ASCII after the digit", b"Content-Length: 5\xa0", &[400], Closed),
    Case("2^64", b"Content-Length: 18446744073709551616", &[400], Closed),
    Case("2^64 + 5", b"Content-Length: 18446744073709551621", &[400], Closed),
    Case("a NUL after the digit", b"Content-Length: 5\0", &[400], Closed),
    Case("a form feed before the digit", b"Content-Length: \x0c5", &[400], Closed),
    // Names that some take for the length's.
    Case("white space before the colon of a length", b"Content-Length : 5", &[400], Closed),
    Case("a tab before the colon of a length", b"Content-Length\t: 5", &[400], Closed),
    Case("a NUL in the name of a length", b"Content-Length\0: 5", &[400], Closed),
    Case("a vertical tab in the name", b"Content-Length\x0b: 5", &[400], Closed),
    Case("white space before the colon of a coding", b"Transfer-Encoding : chunked", &[400], Closed),
    Case("a coding on a line of its own", b"Transfer-Encoding:\r\n chunked", &[400], Closed),
    Case("a coding behind a fold", b"X: y\r\n Transfer-Encoding: chunked", &[400], Closed),
    Case("a coding behind a fold with a tab", b"X: y\r\n\tTransfer-Encoding: chunked", &[400], Closed),
    Case("a coding behind a bare CR", b"X: y\rTransfer-Encoding: chunked", &[400], Closed),
    Case("a coding behind a bare LF", b"X: y\nTransfer-Encoding: chunked", &[400], Closed),
    Case("a coding behind a NUL", b"X: y\0Transfer-Encoding: chunked", &[400], Closed),
    // Codings of which chunked is not the last: the end cannot be known (6.3).
    Case("identity", b"Transfer-Encoding: identity", &[400], Closed),
    Case("gzip alone", b"Transfer-Encoding: gzip", &[400], Closed),
    Case("an unknown coding alone", b"Transfer-Encoding: x", &[400], Closed),
    Case("chunked, then identity", b"Transfer-Encoding: chunked, identity", &[400], Closed),
    Case("chunked, then gzip", b"Transfer-Encoding: chunked, gzip", &[400], Closed),
    Case("chunked twice", b"Transfer-Encoding: chunked, chunked", &[400], Closed),
    Case("chunked twice around another", b"Transfer-Encoding: chunked, gzip, chunked", &[400], Closed),
    Case("chunked with a prefix", b"Transfer-Encoding: xchunked", &[400], Closed),
    Case("chunked with a suffix", b"Transfer-Encoding: chunkedx", &[400], Closed),
    Case("chunked with a parameter", b"Transfer-Encoding: chunked;q=1", &[400], Closed),
    Case("chunked in quotes", b"Transfer-Encoding: \"chunked\"", &[400], Closed),
    Case("chunked in single quotes", b"Transfer-Encoding: 'chunked'", &[400], Closed),
    Case("chunked in brackets", b"Transfer-Encoding: [chunked]", &[400], Closed),
    Case("chunked in two", b"Transfer-Encoding: chunk ed", &[400], Closed),
    Case("chunked with a Kelvin sign", b"Transfer-Encoding: chun\xe2\x84\xaaed", &[400], Closed),
    Case("chunked behind a vertical tab", b"Transfer-Encoding: \x0bchunked", &[400], Closed),
    Case("chunked before a NUL", b"Transfer-Encoding: chunked\0", &[400], Closed),
    Case("chunked after a colon", b"Transfer-Encoding:: chunked", &[400], Closed),
    Case("chunked before a comma", b"Transfer-Encoding: chunked,", &[400], Closed),
    Case("chunked after a comma", b"Transfer-Encoding: ,chunked", &[400], Closed),
    Case("chunked, then nothing, then a comma", b"Transfer-Encoding: chunked, ,", &[400], Closed),
    Case("no coding", b"Transfer-Encoding:", &[400], Closed),
    // Chunked is the last, and the others are not served (6.1).
    Case("gzip, then chunked", b"Transfer-Encoding: gzip, chunked", &[501], Closed),
    Case("identity, then chunked", b"Transfer-Encoding: identity, chunked", &[501], Closed),
    Case("two codings, then chunked", b"Transfer-Encoding: gzip,deflate , Chunked", &[501], Closed),
    Case("a coding with a parameter, then chunked", b"Transfer-Encoding: x;a=b, chunked", &[501], Closed),
];

#[rustfmt::skip]
const CLEAR: &[Case] = &[
    Case("no body", b"\r\n", &[405, 200], Kept),
    Case("a length", b"Content-Length: 5\r\n\r\nhello", &[405, 200], Kept),
    Case("no length", b"Content-Length: 0\r\n\r\n", &[405, 200], Kept),
    Case("leading zeros", b"Content-Length: 0000000000005\r\n\r\nhello", &[405, 200], Kept),
    Case("white space around a length", b"Content-Length:\t 5 \t\r\n\r\nhello", &[405, 200], Kept),
    Case("no white space before a length", b"Content-Length:5\r\n\r\nhello", &[405, 200], Kept),
    Case("chunks", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", &[405, 200], Kept),
    Case("chunks in other letters", b"transfer-ENCODING:\tcHuNkEd \r\n\r\n0\r\n\r\n", &[405, 200], Kept),
    Case("names that only resemble", b"Content_Length: 5\r\nTransfer_Encoding: chunked\r\n\r\n", &[405, 200], Kept),
    Case("a name with a suffix", b"Content-Length2: 5\r\nX-Content-Length: 5\r\n\r\n", &[405, 200], Kept),
    Case("a name that lists the length", b"Connection: content-length\r\nContent-Length: 5\r\n\r\nhello", &[405, 200], Kept),
    Case("the rest of a request is the body", b"Content-Length: 33\r\n\r\n", &[405], Kept),
    Case("all of a request is the body", b"Content-Length: 34\r\n\r\n", &[405], Kept),
    Case("a body that does not come", b"Content-Length: 64\r\n\r\n", &[405], Kept),
    Case("a body that is too large", b"Content-Length: 65\r\n\r\n", &[413], Closed),
    Case("a body that is far too large", b"Content-Length: 18446744073709551615\r\n\r\n", &[413], Closed),
    // An answer instead of 100 ends the connection: the body may follow or not.
    Case("a body that waits", b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n", &[405], Closed),
    Case("chunks that wait", b"Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n\r\n", &[405], Closed),
    Case("nothing that waits", b"Expect: 100-continue\r\n\r\n", &[405, 200], Kept),
    Case("another expectation", b"Expect: 200-ok\r\nContent-Length: 5\r\n\r\nhello", &[417], Closed),
    Case("two expectations", b"Expect: 100-continue, x\r\nContent-Length: 5\r\n\r\nhello", &[417], Closed),
];

#[rustfmt::skip]
const OTHERS: &[Case] = &[
    Case("GET has a body, too", b"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 33\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n", &[200, 200], Kept),
    Case("a body of one whole request", b"GET /health HTTP/1.1\r\nHost: a\r\nContent-Length: 35\r\n\r\nGET /health HTTP/1.1\r\nHost: ab\r\n\r\n\x0a", &[200], Kept),
    Case("HEAD has a body, too", b"HEAD /health HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /health HTTP/1.1\r\nHost: a\r\n\r\n", &[200, 200], Kept),
    Case("a body for a path that is not there", b"PUT /no HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /health HTTP/1.1\r\nHost: a\r\n\r\n", &[404, 200], Kept),
    Case("chunks in HTTP/1.0", b"POST /health HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", &[400], Closed),
    Case("chunks and a length in HTTP/1.0", b"POST /health HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", &[400], Closed),
    Case("a body in HTTP/1.0", b"POST /health HTTP/1.0\r\nContent-Length: 5\r\n\r\nhelloGET /health HTTP/1.0\r\n\r\n", &[405], Closed),
    Case("an expectation in HTTP/1.0 is none", b"GET /health HTTP/1.0\r\nExpect: x\r\n\r\n", &[200], Closed),
];
