//! What is not HTTP/1.1 at all: told apart at once where the first bytes tell, so that nobody waits for a blank line.

use crate::peer::End::{Closed, Kept};
use crate::{Case, Table};

pub(crate) const TABLES: &[Table] = &[Table {
    before: b"",
    after: b"",
    cases: CASES,
}];

#[rustfmt::skip]
const CASES: &[Case] = &[
    Case("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", &[400], Closed),
    Case("the first byte of a TLS hello", b"\x16", &[400], Closed),
    Case("an SSL 2 hello", b"\x80\x2e\x01\x00\x02", &[400], Closed),
    Case("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[400], Closed),
    Case("the first line of HTTP/2", b"PRI * HTTP/2.0\r\n", &[400], Closed),
    Case("half a line of HTTP/2", b"PRI * HTTP/2.0", &[], Kept),
    Case("frames of HTTP/2", b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", &[400], Closed),
    Case("an upgrade to HTTP/2 is not taken up", b"GET /health HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n\r\n", &[200], Kept),
    Case("an upgrade to TLS is not taken up", b"GET /health HTTP/1.1\r\nHost: a\r\nUpgrade: TLS/1.2\r\nConnection: Upgrade\r\n\r\n", &[200], Kept),
    // HTTP/0.9 has no blank line: it waits for its deadline.
    Case("HTTP/0.9", b"GET /health\r\n", &[], Kept),
    Case("HTTP/0.9 with a bare LF", b"GET /health\n", &[400], Closed),
    Case("HTTP/0.9 twice", b"GET /health\r\n\r\n", &[400], Closed),
    Case("SSH", b"SSH-2.0-OpenSSH_9.6\r\n", &[], Kept),
    Case("SMTP", b"EHLO example.com\r\n\r\n", &[400], Closed),
    Case("FTP", b"USER anonymous\r\n\r\n", &[400], Closed),
    Case("Redis", b"*1\r\n$4\r\nPING\r\n", &[], Kept),
    Case("a response", b"HTTP/1.1 200 OK\r\nHost: a\r\n\r\n", &[400], Closed),
    Case("SIP", b"OPTIONS sip:a SIP/2.0\r\nHost: a\r\n\r\n", &[400], Closed),
    Case("the header of a proxy where none is trusted", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n\r\n", &[400], Closed),
    Case("the binary header of a proxy", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", &[400], Closed),
    Case("a frame before its handshake", b"\x81\x82\0\0\0\0hi", &[400], Closed),
    Case("JSON", b"{\"type\":\"ping\"}", &[400], Closed),
    Case("XML", b"<?xml version=\"1.0\"?>", &[400], Closed),
    Case("a NUL", b"\0", &[400], Closed),
    Case("high bytes", b"\xff\xfb\x01", &[400], Closed),
    Case("nothing", b"", &[], Kept),
    Case("one letter", b"G", &[], Kept),
    Case("a head that ends with CR", b"GET /health HTTP/1.1\r\nHost: a\r\n\r", &[], Kept),
];
