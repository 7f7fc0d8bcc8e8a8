//! Upgrades to WebSocket (RFC 6455, section 4.2.1; RFC 9110, section 7.8). Each table leaves one thing out.

use crate::peer::End::{Closed, Kept};
use crate::{Case, Table};

pub(crate) const TABLES: &[Table] = &[
    Table {
        before: b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n",
        after: b"\r\n",
        cases: KEYS,
    },
    Table {
        before: b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        after: b"\r\n",
        cases: VERSIONS,
    },
    Table {
        before: b"GET /echo HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
        after: b"\r\n",
        cases: PROTOCOLS,
    },
    Table {
        before: b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
        after: b"\r\n",
        cases: CONNECTIONS,
    },
    Table {
        before: b"",
        after: b"Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        cases: REQUEST_LINES,
    },
    Table {
        before: b"GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
        after: b"\r\n",
        cases: OTHER_FIELDS,
    },
];

#[rustfmt::skip]
const KEYS: &[Case] = &[
    Case("no key", b"", &[400], Closed),
    Case("an empty key", b"Sec-WebSocket-Key:\r\n", &[400], Closed),
    Case("a key of 5 bytes", b"Sec-WebSocket-Key: c2hvcnQ=\r\n", &[400], Closed),
    Case("a key of 15 bytes", b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA\r\n", &[400], Closed),
    Case("a key of 17 bytes", b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA=\r\n", &[400], Closed),
    Case("a key of 18 bytes", b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAAA\r\n", &[400], Closed),
    Case("a key without padding", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ\r\n", &[400], Closed),
    Case("a key with half its padding", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n", &[400], Closed),
    Case("a key with more padding", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ===\r\n", &[400], Closed),
    Case("a key with padding in it", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j==ZQ\r\n", &[400], Closed),
    Case("a key in the alphabet of URLs", b"Sec-WebSocket-Key: ----------____________==\r\n", &[400], Closed),
    Case("a key with a space", b"Sec-WebSocket-Key: dGhlIHNhbXB ZSBub25jZQ==\r\n", &[400], Closed),
    Case("a key with an exclamation mark", b"Sec-WebSocket-Key: dGhlIHNhbXB!ZSBub25jZQ==\r\n", &[400], Closed),
    Case("a key with a high byte", b"Sec-WebSocket-Key: dGhlIHNhbXB\xffZSBub25jZQ==\r\n", &[400], Closed),
    Case("a key with a NUL", b"Sec-WebSocket-Key: dGhlIHNhbXB\0ZSBub25jZQ==\r\n", &[400], Closed),
    Case("a key in quotes", b"Sec-WebSocket-Key: \"dGhlIHNhbXBsZSBub25jZQ==\"\r\n", &[400], Closed),
    Case("two keys", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n", &[400], Closed),
    Case("the same key twice", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n", &[400], Closed),
    Case("a list of keys", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==, AAAAAAAAAAAAAAAAAAAAAA==\r\n", &[400], Closed),
    Case("a key before a space and a colon", b"Sec-WebSocket-Key : dGhlIHNhbXBsZSBub25jZQ==\r\n", &[400], Closed),
    Case("a folded key", b"Sec-WebSocket-Key:\r\n dGhlIHNhbXBsZSBub25jZQ==\r\n", &[400], Closed),
    Case("the keys of an old draft", b"Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5\r\nSec-WebSocket-Key2: 12998 5 Y3 1  .P00\r\n", &[400], Closed),
    Case("a key of noughts", b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n", &[101], Kept),
    Case("a key with marks", b"Sec-WebSocket-Key: +/+/+/+/+/+/+/+/+/+/+w==\r\n", &[101], Kept),
    Case("a key between white space", b"sec-websocket-KEY: \tdGhlIHNhbXBsZSBub25jZQ== \r\n", &[101], Kept),
];

#[rustfmt::skip]
const VERSIONS: &[Case] = &[
    Case("no version", b"", &[426], Kept),
    Case("an empty version", b"Sec-WebSocket-Version:\r\n", &[426], Kept),
    Case("version 8", b"Sec-WebSocket-Version: 8\r\n", &[426], Kept),
    Case("version 0", b"Sec-WebSocket-Version: 0\r\n", &[426], Kept),
    Case("version 14", b"Sec-WebSocket-Version: 14\r\n", &[426], Kept),
    Case("version 131", b"Sec-WebSocket-Version: 131\r\n", &[426], Kept),
    Case("version 013", b"Sec-WebSocket-Version: 013\r\n", &[426], Kept),
    Case("version +13", b"Sec-WebSocket-Version: +13\r\n", &[426], Kept),
    Case("version 13.0", b"Sec-WebSocket-Version: 13.0\r\n", &[426], Kept),
    Case("version thirteen", b"Sec-WebSocket-Version: thirteen\r\n", &[426], Kept),
    Case("a list of versions", b"Sec-WebSocket-Version: 13, 8\r\n", &[426], Kept),
    Case("two versions", b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 8\r\n", &[400], Closed),
    Case("the same version twice", b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13\r\n", &[400], Closed),
    Case("version 13", b"Sec-WebSocket-Version: 13\r\n", &[101], Kept),
    Case("version 13 between white space", b"SEC-WEBSOCKET-VERSION:\t13 \r\n", &[101], Kept),
];

#[rustfmt::skip]
const PROTOCOLS: &[Case] = &[
    Case("no Upgrade", b"", &[426], Kept),
    Case("an empty Upgrade", b"Upgrade:\r\n", &[426], Kept),
    Case("an Upgrade to HTTP/2", b"Upgrade: h2c\r\n", &[426], Kept),
    Case("an Upgrade to something like it", b"Upgrade: websockets\r\n", &[426], Kept),
    Case("an Upgrade to two words", b"Upgrade: web socket\r\n", &[426], Kept),
    Case("an Upgrade in quotes", b"Upgrade: \"websocket\"\r\n", &[426], Kept),
    Case("an Upgrade with a version", b"Upgrade: websocket/13\r\n", &[426], Kept),
    Case("an Upgrade with a parameter", b"Upgrade: websocket;x\r\n", &[426], Kept),
    Case("an Upgrade with a Kelvin sign", b"Upgrade: webSoc\xe2\x84\xaaet\r\n", &[426], Kept),
    Case("an Upgrade in other letters", b"upgrade: WebSocket\r\n", &[101], Kept),
    Case("an Upgrade among others", b"Upgrade: h2c , websocket,x/1\r\n", &[101], Kept),
    Case("two Upgrades", b"Upgrade: h2c\r\nUpgrade: websocket\r\n", &[101], Kept),
];

#[rustfmt::skip]
const CONNECTIONS: &[Case] = &[
    Case("no Connection", b"", &[400], Closed),
    Case("an empty Connection", b"Connection:\r\n", &[400], Closed),
    Case("a Connection that closes", b"Connection: close\r\n", &[400], Closed),
    Case("a Connection that stays", b"Connection: keep-alive\r\n", &[400], Closed),
    Case("a Connection that says something like it", b"Connection: Upgrades\r\n", &[400], Closed),
    Case("a Connection in quotes", b"Connection: \"Upgrade\"\r\n", &[400], Closed),
    Case("a Connection with a parameter", b"Connection: Upgrade;x\r\n", &[400], Closed),
    Case("a Connection without commas", b"Connection: keep-alive Upgrade\r\n", &[400], Closed),
    Case("the token in another field", b"Proxy-Connection: Upgrade\r\n", &[400], Closed),
    Case("a Connection in other letters", b"CONNECTION: UPGRADE\r\n", &[101], Kept),
    Case("a Connection with a list", b"Connection: keep-alive,\tUpgrade\r\n", &[101], Kept),
    Case("a Connection with empty elements", b"Connection: ,,Upgrade,\r\n", &[101], Kept),
    Case("two Connections", b"Connection: keep-alive\r\nConnection: Upgrade\r\n", &[101], Kept),
];

#[rustfmt::skip]
const REQUEST_LINES: &[Case] = &[
    Case("GET", b"GET /echo HTTP/1.1\r\n", &[101], Kept),
    Case("GET with a query", b"GET /echo?x HTTP/1.1\r\n", &[101], Kept),
    Case("GET of a URI", b"GET ws://a/echo HTTP/1.1\r\n", &[101], Kept),
    Case("POST", b"POST /echo HTTP/1.1\r\n", &[405], Kept),
    Case("HEAD", b"HEAD /echo HTTP/1.1\r\n", &[405], Kept),
    Case("OPTIONS", b"OPTIONS /echo HTTP/1.1\r\n", &[405], Kept),
    Case("the CONNECT of HTTP/2 and 3", b"CONNECT /echo HTTP/1.1\r\n", &[405], Closed),
    Case("HTTP/1.0", b"GET /echo HTTP/1.0\r\n", &[400], Closed),
    Case("HTTP/2.0", b"GET /echo HTTP/2.0\r\n", &[505], Closed),
    Case("a path that is not there", b"GET /no HTTP/1.1\r\n", &[404], Kept),
    Case("a path that is no WebSocket", b"GET /health HTTP/1.1\r\n", &[200], Kept),
    Case("a second Host", b"GET /echo HTTP/1.1\r\nHost: b\r\n", &[400], Closed),
];

#[rustfmt::skip]
const OTHER_FIELDS: &[Case] = &[
    // A body would be taken for frames.
    Case("a body", b"Content-Length: 5\r\n", &[400], Closed),
    Case("a body in chunks", b"Transfer-Encoding: chunked\r\n", &[400], Closed),
    Case("a body that is too large", b"Content-Length: 65\r\n", &[413], Closed),
    Case("a body that waits", b"Content-Length: 5\r\nExpect: 100-continue\r\n", &[400], Closed),
    Case("no body, stated", b"Content-Length: 0\r\n", &[101], Kept),
    Case("a body that is not there may be waited for", b"Expect: 100-continue\r\n", &[101], Kept),
    Case("another expectation", b"Expect: x\r\n", &[417], Closed),
    // Origins.
    Case("another origin", b"Origin: https://evil.example\r\n", &[403], Kept),
    Case("an opaque origin", b"Origin: null\r\n", &[403], Kept),
    Case("two origins", b"Origin: http://a\r\nOrigin: https://evil.example\r\n", &[403], Kept),
    Case("the same origin", b"Origin: http://a\r\n", &[101], Kept),
    // Subprotocols (RFC 6455, 4.3).
    Case("no subprotocol, named", b"Sec-WebSocket-Protocol:\r\n", &[400], Closed),
    Case("an empty list of subprotocols", b"Sec-WebSocket-Protocol: ,\r\n", &[400], Closed),
    Case("a subprotocol of two words", b"Sec-WebSocket-Protocol: a b\r\n", &[400], Closed),
    Case("a subprotocol in brackets", b"Sec-WebSocket-Protocol: a, (b)\r\n", &[400], Closed),
    Case("a subprotocol that is not ASCII", b"Sec-WebSocket-Protocol: \xc3\xbc\r\n", &[400], Closed),
    Case("a subprotocol that nobody speaks", b"Sec-WebSocket-Protocol: a, b\r\n", &[101], Kept),
    Case("a subprotocol that is spoken", b"Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: roomwire.json.v1\r\n", &[101], Kept),
    // Extensions (RFC 6455, 9.1).
    Case("no extension, named", b"Sec-WebSocket-Extensions:\r\n", &[400], Closed),
    Case("an extension without a name", b"Sec-WebSocket-Extensions: ;a\r\n", &[400], Closed),
    Case("an extension of two words", b"Sec-WebSocket-Extensions: a b\r\n", &[400], Closed),
    Case("a parameter without a name", b"Sec-WebSocket-Extensions: a; =1\r\n", &[400], Closed),
    Case("a parameter without a value", b"Sec-WebSocket-Extensions: a; b=\r\n", &[400], Closed),
    Case("half a quoted value", b"Sec-WebSocket-Extensions: a; b=\"c\r\n", &[400], Closed),
    Case("a quoted value that is no token", b"Sec-WebSocket-Extensions: a; b=\"c d\"\r\n", &[400], Closed),
    Case("an extension that is not ASCII", b"Sec-WebSocket-Extensions: \xc3\xbc\r\n", &[400], Closed),
    Case("a malformed extension after a good one", b"Sec-WebSocket-Extensions: a, b;;\r\n", &[400], Closed),
    Case("an extension that nobody knows", b"Sec-WebSocket-Extensions: a; b=c; d=\"e\", f\r\n", &[101], Kept),
];
