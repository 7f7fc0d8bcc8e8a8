//! Bytes that come right behind an upgrade, with no wait for the answer: they are frames, whatever they look like.

use crate::peer::End::{self, Closed, Kept};

/// Bytes before the upgrade and after it, the frames that are answered, and the connection's fate.
pub(crate) struct Case {
    pub(crate) why: &'static str,
    pub(crate) before: &'static [u8],
    pub(crate) after: &'static [u8],
    /// The first byte and the payload; of a close frame only its code.
    pub(crate) frames: &'static [(u8, &'static [u8])],
    pub(crate) end: End,
}

pub(crate) const UPGRADE: &[u8] =
    b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// Close frames: a broken protocol, broken UTF-8.
const PROTOCOL: (u8, &[u8]) = (0x88, &[0x03, 0xea]);
const INVALID: (u8, &[u8]) = (0x88, &[0x03, 0xef]);

const fn case(
    why: &'static str,
    after: &'static [u8],
    frames: &'static [(u8, &'static [u8])],
    end: End,
) -> Case {
    Case {
        why,
        before: b"",
        after,
        frames,
        end,
    }
}

#[rustfmt::skip]
pub(crate) const CASES: &[Case] = &[
    case("nothing", b"", &[], Kept),
    case("a message", b"\x81\x82\0\0\0\0hi", &[(0x81, b"hi")], Kept),
    case("two messages", b"\x81\x82\0\0\0\0hi\x82\x81\0\0\0\0x", &[(0x81, b"hi"), (0x82, b"x")], Kept),
    case("half a message", b"\x81\x82\0\0\0\0h", &[], Kept),
    case("a ping", b"\x89\x81\0\0\0\0x", &[(0x8a, b"x")], Kept),
    case("a close", b"\x88\x82\0\0\0\0\x03\xe8", &[(0x88, &[0x03, 0xe8])], Closed),
    case("a message after a close", b"\x88\x80\0\0\0\0\x81\x82\0\0\0\0hi", &[(0x88, b"")], Closed),
    case(
        "a request inside a message",
        b"\x81\xa1\0\0\0\0GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
        &[(0x81, b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")],
        Kept,
    ),
    case("a request", b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n", &[PROTOCOL], Closed),
    case("a request after a message", b"\x81\x82\0\0\0\0hiGET / HTTP/1.1\r\n\r\n", &[(0x81, b"hi"), PROTOCOL], Closed),
    case("a POST", b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", &[PROTOCOL], Closed),
    case("an answer", b"HTTP/1.1 200 OK\r\n\r\n", &[PROTOCOL], Closed),
    case("a line end", b"\r\n", &[PROTOCOL], Closed),
    case("a bare LF", b"\n", &[PROTOCOL], Closed),
    case("the last chunk", b"0\r\n\r\n", &[PROTOCOL], Closed),
    case("a TLS hello", b"\x16\x03\x01\x02\x00", &[PROTOCOL], Closed),
    case("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[PROTOCOL], Closed),
    case("JSON", b"{\"type\":\"ping\"}", &[PROTOCOL], Closed),
    case("a message without a mask", b"\x81\x02hi", &[PROTOCOL], Closed),
    case("a message that is not UTF-8", b"\x81\x81\0\0\0\0\xff", &[INVALID], Closed),
    case("a frame with a bit too many", b"\xa1\x82\0\0\0\0hi", &[PROTOCOL], Closed),
    case("NULs", b"\0\0\0\0\0\0\0\0", &[PROTOCOL], Closed),
    Case {
        why: "an upgrade after a request",
        before: b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
        after: b"\x81\x82\0\0\0\0hi",
        frames: &[(0x81, b"hi")],
        end: Kept,
    },
    Case {
        why: "an upgrade after a body",
        before: b"PUT /no HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n\r\n\r\n0\r\n\r\n",
        after: b"\x81\x82\0\0\0\0hi",
        frames: &[(0x81, b"hi")],
        end: Kept,
    },
    Case {
        why: "an upgrade after one that was refused",
        before: b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        after: b"\x81\x82\0\0\0\0hi",
        frames: &[(0x81, b"hi")],
        end: Kept,
    },
    Case {
        why: "an upgrade inside a body is none",
        before: b"GET /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 31\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n",
        after: b"",
        frames: &[],
        end: Kept,
    },
    Case {
        why: "an upgrade after an upgrade",
        before: b"",
        after: UPGRADE,
        frames: &[PROTOCOL],
        end: Closed,
    },
];
