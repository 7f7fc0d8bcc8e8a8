//! Request lines (RFC 9112, section 3): three words with one space between, and a version that is served.

use crate::peer::End::{Closed, Kept};
use crate::{Case, Table};

pub(crate) const TABLES: &[Table] = &[Table {
    before: b"",
    after: b"\r\nHost: a\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n",
    cases: CASES,
}];

#[rustfmt::skip]
const CASES: &[Case] = &[
    // Spaces.
    Case("two spaces before the target", b"GET  /health HTTP/1.1", &[400], Closed),
    Case("two spaces after the target", b"GET /health  HTTP/1.1", &[400], Closed),
    Case("a space at the end", b"GET /health HTTP/1.1 ", &[400], Closed),
    Case("tabs", b"GET\t/health\tHTTP/1.1", &[400], Closed),
    Case("a tab after the target", b"GET /health\tHTTP/1.1", &[400], Closed),
    Case("a vertical tab", b"GET\x0b/health HTTP/1.1", &[400], Closed),
    Case("a no-break space", b"GET\xc2\xa0/health HTTP/1.1", &[400], Closed),
    Case("a space in the target", b"GET /he alth HTTP/1.1", &[400], Closed),
    Case("a second version", b"GET /health HTTP/1.1 HTTP/1.1", &[400], Closed),
    // Words that are missing.
    Case("a method", b"GET", &[400], Closed),
    Case("a method and a space", b"GET ", &[400], Closed),
    Case("no version", b"GET /health", &[400], Closed),
    Case("no version but a space", b"GET /health ", &[400], Closed),
    Case("no target", b"GET HTTP/1.1", &[400], Closed),
    Case("no method", b"/health HTTP/1.1", &[400], Closed),
    // Methods.
    Case("a method in small letters", b"get /health HTTP/1.1", &[501], Closed),
    Case("a method of mixed letters", b"Get /health HTTP/1.1", &[501], Closed),
    Case("an unknown method", b"BREW /health HTTP/1.1", &[501], Closed),
    Case("a method with a suffix", b"GETX /health HTTP/1.1", &[501], Closed),
    Case("a method of marks", b"!#$%&'*+-.^_`|~ /health HTTP/1.1", &[501], Closed),
    Case("a method with a bracket", b"G(T /health HTTP/1.1", &[400], Closed),
    Case("a method with a colon", b"GET: /health HTTP/1.1", &[400], Closed),
    Case("a NUL in the method", b"GET\0 /health HTTP/1.1", &[400], Closed),
    Case("a method that is not ASCII", b"G\xc3\x89T /health HTTP/1.1", &[400], Closed),
    Case("a method that is not for this path", b"DELETE /health HTTP/1.1", &[405, 200], Kept),
    Case("TRACE sends nothing back", b"TRACE /health HTTP/1.1", &[405, 200], Kept),
    Case("a tunnel", b"CONNECT a:443 HTTP/1.1", &[405], Closed),
    Case("a tunnel to a path", b"CONNECT /health HTTP/1.1", &[405], Closed),
    // Versions.
    Case("HTTP/0.9 by name", b"GET /health HTTP/0.9", &[505], Closed),
    Case("HTTP/1.2", b"GET /health HTTP/1.2", &[505], Closed),
    Case("HTTP/2.0", b"GET /health HTTP/2.0", &[505], Closed),
    Case("HTTP/3.0", b"GET /health HTTP/3.0", &[505], Closed),
    Case("HTTP/9.9", b"GET /health HTTP/9.9", &[505], Closed),
    Case("a major version alone", b"GET /health HTTP/1", &[400], Closed),
    Case("no point", b"GET /health HTTP/11", &[400], Closed),
    Case("a comma for the point", b"GET /health HTTP/1,1", &[400], Closed),
    Case("a zero too many", b"GET /health HTTP/01.1", &[400], Closed),
    Case("a digit too many", b"GET /health HTTP/1.10", &[400], Closed),
    Case("a letter too many", b"GET /health HTTP/1.1x", &[400], Closed),
    Case("small letters", b"GET /health http/1.1", &[400], Closed),
    Case("another protocol", b"GET /health RTSP/1.0", &[400], Closed),
    Case("a space in the version", b"GET /health HTTP/ 1.1", &[400], Closed),
    Case("a NUL after the version", b"GET /health HTTP/1.1\0", &[400], Closed),
    Case("HTTP/1.0 is answered once", b"GET /health HTTP/1.0", &[200], Closed),
    Case("HTTP/1.0 that wants to stay", b"GET /health HTTP/1.0\r\nConnection: keep-alive", &[200], Closed),
];
