//! `Host` (RFC 9112, section 3.2): exactly one, and a name or an address.

use crate::peer::End::{Closed, Kept};
use crate::{Case, Table};

pub(crate) const TABLES: &[Table] = &[Table {
    before: b"GET /health HTTP/1.1\r\n",
    after: b"X: y\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n",
    cases: CASES,
}];

#[rustfmt::skip]
const CASES: &[Case] = &[
    Case("none", b"", &[400], Closed),
    Case("two, the same", b"Host: a\r\nHost: a\r\n", &[400], Closed),
    Case("two that differ", b"Host: a\r\nHost: b\r\n", &[400], Closed),
    Case("two, in other letters", b"Host: a\r\nhOST: b\r\n", &[400], Closed),
    Case("two, the first empty", b"Host:\r\nHost: a\r\n", &[400], Closed),
    Case("two, the second empty", b"Host: a\r\nHost:\r\n", &[400], Closed),
    Case("a second one behind a fold", b"Host: a\r\n Host: b\r\n", &[400], Closed),
    Case("a second one before the first line's end", b"Host: a\rHost: b\r\n", &[400], Closed),
    Case("a space before the colon", b"Host : a\r\n", &[400], Closed),
    Case("a space before the name", b" Host: a\r\n", &[400], Closed),
    Case("empty", b"Host:\r\n", &[400], Closed),
    Case("a list", b"Host: a, b\r\n", &[400], Closed),
    Case("two words", b"Host: a b\r\n", &[400], Closed),
    Case("a tab within", b"Host: a\tb\r\n", &[400], Closed),
    Case("a NUL", b"Host: a\0b\r\n", &[400], Closed),
    Case("a path", b"Host: a/health\r\n", &[400], Closed),
    Case("a backslash", b"Host: a\\b\r\n", &[400], Closed),
    Case("a query", b"Host: a?b\r\n", &[400], Closed),
    Case("a fragment", b"Host: a#b\r\n", &[400], Closed),
    Case("a user", b"Host: root@a\r\n", &[400], Closed),
    Case("a URI", b"Host: http://a\r\n", &[400], Closed),
    Case("quotes", b"Host: \"a\"\r\n", &[400], Closed),
    Case("an encoded byte", b"Host: a%2eb\r\n", &[400], Closed),
    Case("a name that is not ASCII", b"Host: gr\xc3\xbcn\r\n", &[400], Closed),
    Case("an empty label", b"Host: a..b\r\n", &[400], Closed),
    Case("a dot", b"Host: .\r\n", &[400], Closed),
    Case("a port alone", b"Host: :80\r\n", &[400], Closed),
    Case("a port that is a word", b"Host: a:http\r\n", &[400], Closed),
    Case("a port with a sign", b"Host: a:+80\r\n", &[400], Closed),
    Case("a port that is too large", b"Host: a:65536\r\n", &[400], Closed),
    Case("two ports", b"Host: a:80:80\r\n", &[400], Closed),
    Case("an IPv6 address without brackets", b"Host: ::1\r\n", &[400], Closed),
    Case("an IPv6 address with half a bracket", b"Host: [::1\r\n", &[400], Closed),
    Case("an IPv6 address that is none", b"Host: [::g]\r\n", &[400], Closed),
    Case("something after the bracket", b"Host: [::1]a\r\n", &[400], Closed),
    Case("a name", b"Host: a-b.c_d.example\r\n", &[200, 200], Kept),
    Case("a final dot", b"Host: a.\r\n", &[200, 200], Kept),
    Case("a port", b"Host: a:8080\r\n", &[200, 200], Kept),
    Case("a colon without a port", b"Host: a:\r\n", &[200, 200], Kept),
    Case("an IPv4 address", b"Host: 127.0.0.1:80\r\n", &[200, 200], Kept),
    Case("an IPv6 address", b"Host: [::1]:80\r\n", &[200, 200], Kept),
    Case("other letters, no space", b"hOsT:a\r\n", &[200, 200], Kept),
];
