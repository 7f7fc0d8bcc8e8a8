//! Request targets in their four forms (RFC 9112, section 3.2).

use crate::peer::End::{Closed, Kept};
use crate::{Case, Table};

pub(crate) const TABLES: &[Table] = &[
    Table {
        before: b"GET ",
        after: b" HTTP/1.1\r\nHost: a\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n",
        cases: GETS,
    },
    Table {
        before: b"",
        after: b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
        cases: OTHERS,
    },
];

#[rustfmt::skip]
const GETS: &[Case] = &[
    // A path.
    Case("a path", b"/health", &[200, 200], Kept),
    Case("a query", b"/health?a?b=/", &[200, 200], Kept),
    Case("two slashes are another path", b"//health", &[404, 200], Kept),
    Case("dots are another path", b"/x/../health", &[404, 200], Kept),
    Case("an encoded byte is another path", b"/%68ealth", &[404, 200], Kept),
    Case("an encoded slash is another path", b"/%2fhealth", &[404, 200], Kept),
    Case("an encoded NUL is another path", b"/health%00", &[404, 200], Kept),
    Case("an encoded line end is another path", b"/health%0d%0aX:y", &[404, 200], Kept),
    Case("a semicolon is another path", b"/health;x", &[404, 200], Kept),
    Case("other letters are another path", b"/Health", &[404, 200], Kept),
    Case("marks that a URI should not have", b"/a|b{c}\"\\^", &[404, 200], Kept),
    Case("no slash", b"health", &[400], Closed),
    Case("a query alone", b"?x", &[400], Closed),
    Case("a fragment", b"/health#x", &[400], Closed),
    Case("a backslash", b"\\health", &[400], Closed),
    Case("a NUL", b"/health\0", &[400], Closed),
    Case("DEL", b"/health\x7f", &[400], Closed),
    Case("a byte that is not ASCII", b"/gr\xc3\xbcn", &[400], Closed),
    Case("a high byte", b"/\xff", &[400], Closed),
    // A URI, which a server must take, too (3.2.2).
    Case("a URI", b"http://a/health", &[200, 200], Kept),
    Case("a URI in other letters", b"HTTP://A/health", &[200, 200], Kept),
    Case("a URI with its port", b"https://a:443/health?x", &[200, 200], Kept),
    Case("a URI of a WebSocket", b"ws://a/health", &[200, 200], Kept),
    Case("a URI without a path", b"http://a", &[200, 200], Kept),
    Case("a URI with a query and no path", b"http://a?x", &[200, 200], Kept),
    Case("a URI of another host", b"http://b/health", &[400], Closed),
    Case("a URI of another port", b"http://a:81/health", &[400], Closed),
    Case("a URI of a user", b"http://root@a/health", &[400], Closed),
    Case("a URI of a user who looks like the host", b"http://a@b/health", &[400], Closed),
    Case("a URI without a host", b"http:///health", &[400], Closed),
    Case("a URI with one slash", b"http:/health", &[400], Closed),
    Case("a URI without slashes", b"http:a", &[400], Closed),
    Case("a URI without a scheme", b"://a/health", &[400], Closed),
    Case("a URI of another scheme", b"ftp://a/health", &[400], Closed),
    Case("a URI of a file", b"file:///etc/passwd", &[400], Closed),
    Case("a URI with a fragment", b"http://a/health#x", &[400], Closed),
    Case("a URI with a backslash", b"http://a\\health", &[400], Closed),
    // A host and a port, or a star.
    Case("a host and a port", b"a:80", &[400], Closed),
    Case("a star", b"*", &[400], Closed),
];

#[rustfmt::skip]
const OTHERS: &[Case] = &[
    Case("a star for OPTIONS", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", &[404, 200], Kept),
    Case("two stars for OPTIONS", b"OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n", &[400], Closed),
    Case("a URI names the host of HTTP/1.0", b"GET http://a/health HTTP/1.0\r\n\r\n", &[200], Closed),
    Case("a URI and another host in HTTP/1.0", b"GET http://a/health HTTP/1.0\r\nHost: b\r\n\r\n", &[400], Closed),
    Case("a URI is no host for HTTP/1.1", b"GET http://a/health HTTP/1.1\r\n\r\n", &[400], Closed),
];
