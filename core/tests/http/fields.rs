//! Header fields (RFC 9112, section 5): names, colons, folds and bytes that some parsers repair.

use crate::peer::End::{Closed, Kept};
use crate::{Case, Table};

pub(crate) const TABLES: &[Table] = &[Table {
    before: b"GET /health HTTP/1.1\r\nHost: a\r\n",
    after: b"\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n",
    cases: CASES,
}];

#[rustfmt::skip]
const CASES: &[Case] = &[
    // Colons (5.1).
    Case("a space before the colon", b"X : y", &[400], Closed),
    Case("a tab before the colon", b"X\t: y", &[400], Closed),
    Case("no colon", b"X", &[400], Closed),
    Case("no colon, and a value", b"X y", &[400], Closed),
    Case("no name", b": y", &[400], Closed),
    Case("a second colon belongs to the value", b"X:: y", &[200, 200], Kept),
    // Names.
    Case("a space in a name", b"X Y: z", &[400], Closed),
    Case("a NUL in a name", b"X\0: y", &[400], Closed),
    Case("a NUL before a name", b"\0X: y", &[400], Closed),
    Case("DEL in a name", b"X\x7f: y", &[400], Closed),
    Case("a vertical tab in a name", b"X\x0b: y", &[400], Closed),
    Case("brackets in a name", b"(X): y", &[400], Closed),
    Case("a slash in a name", b"X/Y: z", &[400], Closed),
    Case("quotes in a name", b"\"X\": y", &[400], Closed),
    Case("a comma in a name", b"X,Y: z", &[400], Closed),
    Case("a semicolon in a name", b"X;Y: z", &[400], Closed),
    Case("an equals sign in a name", b"X=Y: z", &[400], Closed),
    Case("an at sign in a name", b"X@Y: z", &[400], Closed),
    Case("a name that is not ASCII", b"X\xc3\xbc: y", &[400], Closed),
    Case("a name of high bytes", b"\xff\xfe: y", &[400], Closed),
    Case("a soft hyphen in a name", b"Content\xadLength: 5", &[400], Closed),
    Case("every mark that a name may have", b"!#$%&'*+-.^_`|~09azAZ: y", &[200, 200], Kept),
    // Folds (5.2).
    Case("a folded value", b"X: y\r\n z", &[400], Closed),
    Case("a value folded with a tab", b"X: y\r\n\tz", &[400], Closed),
    Case("a fold before the value", b"X:\r\n y", &[400], Closed),
    Case("a fold in a name", b"X\r\n : y", &[400], Closed),
    Case("a fold of nothing", b"X: y\r\n ", &[400], Closed),
    Case("a fold of a bare LF", b"X: y\n z", &[400], Closed),
    // Values (RFC 9110, 5.5).
    Case("a NUL in a value", b"X: y\0z", &[400], Closed),
    Case("a NUL for a value", b"X: \0", &[400], Closed),
    Case("a bell", b"X: \x07", &[400], Closed),
    Case("an escape sequence", b"X: \x1b[2J", &[400], Closed),
    Case("a backspace", b"X: y\x08z", &[400], Closed),
    Case("a form feed", b"X: y\x0cz", &[400], Closed),
    Case("DEL in a value", b"X: y\x7fz", &[400], Closed),
    Case("no value", b"X:", &[200, 200], Kept),
    Case("white space for a value", b"X: \t ", &[200, 200], Kept),
    Case("a tab in a value", b"X: y\tz", &[200, 200], Kept),
    Case("a value that is not ASCII", b"X: gr\xc3\xbcn", &[200, 200], Kept),
    Case("a value of high bytes", b"X: \x80\xff", &[200, 200], Kept),
    Case("an encoded line end is no line end", b"X: y%0d%0aContent-Length: 5", &[200, 200], Kept),
    Case("a letter that some cut down to a line end", b"X: y\xc4\x8dz\xc4\x8aContent-Length: 5", &[200, 200], Kept),
    // What the connection is to do (9.3, 9.6).
    Case("close", b"Connection: close", &[200], Closed),
    Case("close in other letters", b"connection: CLOSE", &[200], Closed),
    Case("close in a list", b"Connection: x , close\t, y", &[200], Closed),
    Case("close in a second field", b"Connection: keep-alive\r\nConnection: close", &[200], Closed),
    Case("something like close", b"Connection: closed, close-x, \"close\"", &[200, 200], Kept),
    Case("an empty list", b"Connection: ,,", &[200, 200], Kept),
    Case("a list that hides the host", b"Connection: host, content-length", &[200, 200], Kept),
];
