//! Requests that follow each other without a wait (RFC 9112, section 9.3.2): answered in order, up to the one that ends
//! the connection.

use crate::peer::End::{Closed, Kept};
use crate::{Case, Table};

pub(crate) const TABLES: &[Table] = &[Table {
    before: b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
    after: b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
    cases: CASES,
}];

#[rustfmt::skip]
const CASES: &[Case] = &[
    Case("a third request", b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n", &[200, 200, 200], Kept),
    Case("HEAD between", b"HEAD /health HTTP/1.1\r\nHost: a\r\n\r\n", &[200, 200, 200], Kept),
    Case("HEAD for what is not there", b"HEAD /no HTTP/1.1\r\nHost: a\r\n\r\n", &[200, 404, 200], Kept),
    Case("a path that is not there", b"GET /no HTTP/1.1\r\nHost: a\r\n\r\n", &[200, 404, 200], Kept),
    Case("a method that is not served", b"PUT /health HTTP/1.1\r\nHost: a\r\n\r\n", &[200, 405, 200], Kept),
    Case("a plain request to a WebSocket", b"GET /ws HTTP/1.1\r\nHost: a\r\n\r\n", &[200, 426, 200], Kept),
    Case("other hosts are as good", b"GET /health HTTP/1.1\r\nHost: b\r\n\r\n", &[200, 200, 200], Kept),
    Case("a body between", b"PUT /health HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi", &[200, 405, 200], Kept),
    Case("a tunnel is the last", b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", &[200, 405], Closed),
    Case("a malformed one is the last", b"GET /health HTTP/1.1\r\n\r\n", &[200, 400], Closed),
    Case("one that closes is the last", b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &[200, 200], Closed),
    Case("one that closes and is refused is the last", b"GET /no HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &[200, 404], Closed),
    Case("HTTP/1.0 is the last", b"GET /health HTTP/1.0\r\n\r\n", &[200, 200], Closed),
    Case("one with a malformed body is the last", b"PUT /health HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx", &[200, 405], Closed),
    Case("a TLS hello is the last", b"\x16\x03\x01", &[200, 400], Closed),
    Case("half a request takes the next for its own", b"GET /health HTTP/1.1\r\nHost: a\r\nX: ", &[200, 400], Closed),
    Case("half a request hides the next", b"GET /health HTTP/1.1\r\nX: ", &[200, 200], Kept),
];
