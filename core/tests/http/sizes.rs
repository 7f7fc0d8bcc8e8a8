//! Heads that are too long or have too many fields: refused when that can be seen, not when they end. The limits are
//! 512 bytes and 8 fields.

use crate::peer::End::{Closed, Kept};
use crate::{Case, Table};

#[rustfmt::skip]
pub(crate) const TABLES: &[Table] = &[
    Table {
        before: b"GET /",
        after: b" HTTP/1.1\r\nHost: a\r\n\r\n",
        cases: &[
            Case("the longest target", &[b'a'; 485], &[404], Kept),
            Case("a longer target", &[b'a'; 486], &[431], Closed),
            Case("a target of twice the limit", &[b'a'; 1_024], &[431], Closed),
        ],
    },
    Table {
        before: b"GET /health HTTP/1.1\r\nHost: a\r\nX: ",
        after: b"\r\n\r\n",
        cases: &[
            Case("the longest value", &[b'y'; 474], &[200], Kept),
            Case("a longer value", &[b'y'; 475], &[431], Closed),
            Case("white space that is too long", &[b' '; 475], &[431], Closed),
        ],
    },
    Table {
        before: b"GET /health HTTP/1.1\r\nHost: a\r\n",
        after: b": y\r\n\r\n",
        cases: &[
            Case("the longest name", &[b'X'; 474], &[200], Kept),
            Case("a longer name", &[b'X'; 475], &[431], Closed),
        ],
    },
    Table {
        before: b"GET /health HTTP/1.1\r\nHost: a\r\n",
        after: b"\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n",
        cases: &[
            Case("as many fields as are allowed", b"A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\nG: 7\r\n", &[200, 200], Kept),
            Case("one field more", b"A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\nG: 7\r\nH: 8\r\n", &[431], Closed),
            Case("the same field again and again", b"A:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\nA:\r\n", &[431], Closed),
        ],
    },
    Table {
        before: b"",
        after: b"",
        cases: &[
            Case("a method without an end", &[b'A'; 512], &[431], Closed),
            Case("a method that may still end", &[b'A'; 511], &[], Kept),
            Case("blank lines without an end", &[b'\n'; 600], &[400], Closed),
            Case("NULs without an end", &[0; 600], &[400], Closed),
        ],
    },
    Table {
        before: b"GET /health HTTP/1.1\r\nHost: a\r\n\r\nGET /",
        after: b" HTTP/1.1\r\nHost: a\r\n\r\n",
        cases: &[
            Case("the second request has the limit of the first", &[b'a'; 485], &[200, 404], Kept),
            Case("a second request that is too long", &[b'a'; 486], &[200, 431], Closed),
        ],
    },
];
