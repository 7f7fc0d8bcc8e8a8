use proptest::prelude::*;

use super::*;
use crate::http::{ReplyTo, Status};

const LIMITS: HeadLimits = HeadLimits {
    max_bytes: 1_024,
    max_headers: 8,
};

fn parse(bytes: &[u8]) -> Result<Parsed<'_>, Refusal> {
    RequestHead::parse(bytes, &LIMITS, &mut 0)
}

#[track_caller]
fn head(bytes: &[u8]) -> RequestHead<'_> {
    match parse(bytes) {
        Ok(Parsed::Complete { head, consumed }) => {
            assert_eq!(consumed, bytes.len());
            head
        }
        other => panic!("{}: {other:?}", bytes.escape_ascii()),
    }
}

/// The status of the refusal; 200 for a whole head, 100 for a partial one.
fn verdict(bytes: &[u8]) -> u16 {
    match parse(bytes) {
        Ok(Parsed::Complete { .. }) => 200,
        Ok(Parsed::Partial) => 100,
        Err(refusal) => refusal.status().code(),
    }
}

#[track_caller]
fn check(cases: &[(&[u8], u16)]) {
    for (bytes, expected) in cases {
        assert_eq!(verdict(bytes), *expected, "{}", bytes.escape_ascii());
        if let Err(refusal) = RequestHead::parse(bytes, &LIMITS, &mut 0) {
            assert!(!refusal.keeps_connection(), "{}", bytes.escape_ascii());
        }
        assert_split_invariant(bytes);
    }
}

/// A copy that can outlive the bytes.
type Summary = Result<Option<(String, usize)>, Refusal>;

fn summary(parsed: Result<Parsed<'_>, Refusal>) -> Summary {
    parsed.map(|parsed| match parsed {
        Parsed::Partial => None,
        Parsed::Complete { head, consumed } => Some((format!("{head:?}"), consumed)),
    })
}

fn byte_by_byte(bytes: &[u8]) -> Summary {
    let mut scan = 0;
    for end in 0..=bytes.len() {
        let result = summary(RequestHead::parse(&bytes[..end], &LIMITS, &mut scan));
        if result != Ok(None) {
            return result;
        }
        // All but a CR that may be half a line end has been looked at, once.
        assert!(scan + 1 >= end && scan <= end);
    }
    Ok(None)
}

#[track_caller]
fn assert_split_invariant(bytes: &[u8]) {
    let whole = summary(parse(bytes));
    assert_eq!(whole, byte_by_byte(bytes), "{}", bytes.escape_ascii());
    for cut in 0..=bytes.len() {
        let mut scan = 0;
        let first = summary(RequestHead::parse(&bytes[..cut], &LIMITS, &mut scan));
        let split = match first {
            Ok(None) => summary(RequestHead::parse(bytes, &LIMITS, &mut scan)),
            early => early,
        };
        assert_eq!(whole, split, "{} cut at {cut}", bytes.escape_ascii());
    }
}

#[test]
fn a_browsers_upgrade_is_read() {
    let bytes = b"GET /chat?token=a%20b HTTP/1.1\r\nHost: Example.com:8080\r\nConnection: keep-alive, Upgrade\r\n\
        Upgrade: websocket\r\nX-Empty:\r\nX-Spaced: \t a b \t\r\nX-Utf8: gr\xc3\xbcn\r\n\r\n";
    let head = head(bytes);
    assert_eq!(head.method, Method::Get);
    assert_eq!(head.version, Version::Http11);
    assert_eq!(head.target.path(), "/chat");
    assert_eq!(head.target.query(), Some("token=a%20b"));
    let host = head.host.expect("host");
    assert_eq!((host.host(), host.port()), ("Example.com", Some(8080)));
    assert_eq!(head.framing, Framing::None);
    assert!(head.keep_alive);
    assert!(!head.expects_continue);
    let names: Vec<_> = head.headers().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "Host",
            "Connection",
            "Upgrade",
            "X-Empty",
            "X-Spaced",
            "X-Utf8"
        ]
    );
    let values: Vec<_> = head.values("x-spaced").collect();
    assert_eq!(values, [b"a b"]);
    assert_eq!(head.values("X-EMPTY").next(), Some(&b""[..]));
    assert_eq!(head.values("x-utf8").next(), Some("grün".as_bytes()));
    assert_eq!(head.values("x-missing").next(), None);
    assert!(head.has_token("connection", "upgrade"));
}

#[test]
fn what_follows_the_head_is_left() {
    let bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\x81\x85....";
    let Ok(Parsed::Complete { consumed, .. }) = parse(bytes) else {
        panic!("no head");
    };
    assert_eq!(&bytes[consumed..], b"\x81\x85....");
}

#[test]
fn lists_span_fields() {
    let bytes = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: a ,\t, b\r\nX: c\r\nconnection:\r\nCONNECTION: ,d\r\n\r\n";
    let elements: Vec<_> = head(bytes).elements("connection").collect();
    assert_eq!(elements, [b"a", b"b", b"d"]);
}

#[test]
fn good_requests() {
    check(&[
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"HEAD /x HTTP/1.1\r\nHost: a.b-c_d.e\r\n\r\n", 200),
        (b"GET /?a?b=/ HTTP/1.1\r\nhOST:a\r\n\r\n", 200),
        (b"GET /a|b{c}\"\\ HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"GET // HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: a:\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: a:65535\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\nHost: example.com.\r\n\r\n", 200),
        (b"GET / HTTP/1.0\r\n\r\n", 200),
        (b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", 200),
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"PATCH / HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"PUT / HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"GET HTTPS://A:443/x HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"GET ws://a:8080/x HTTP/1.1\r\nHost: a:8080\r\n\r\n", 200),
        (b"GET http://a?x HTTP/1.1\r\nHost: a:80\r\n\r\n", 200),
        (b"GET http://a/ HTTP/1.0\r\n\r\n", 200),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            200,
        ),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:  18446744073709551615 \r\n\r\n",
            200,
        ),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n",
            200,
        ),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\tchunked \t\r\n\r\n",
            200,
        ),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\n\r\n",
            200,
        ),
        (b"GET / HTTP/1.0\r\nExpect: the-unexpected\r\n\r\n", 200),
        (b"", 100),
        (b"G", 100),
        (b"GET / HTTP/1.1\r\n", 100),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r", 100),
        (b"PRI * HTTP/2.0\r", 100),
    ]);
}

#[test]
fn other_protocols_are_told_at_once() {
    check(&[
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"\x16", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n", 400),
        (b"\x00", 400),
        (b"\xff\xf4", 400),
        (b"{\"type\":\"ping\"}", 400),
        (b"<?xml", 400),
        (b" GET / HTTP/1.1\r\n", 400),
        (b"\tGET", 400),
        (b"/", 400),
        (b":", 400),
        (b"\x81\x05hello", 400),
        (b"\x80", 400),
        (b"\x7f", 400),
    ]);
}

#[test]
fn line_ends() {
    check(&[
        (b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"\n", 400),
        (b"\r", 400),
        (b"GET / HTTP/1.1\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400),
        (b"GET / HTTP/1.1\rHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r X: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", 400),
        (b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nX: a\nTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rTransfer-Encoding: chunked\r\n\r\n",
            400,
        ),
        (b"GET / HTTP/1.1\n\rHost: a\r\n\r\n", 400),
    ]);
}

#[test]
fn request_lines() {
    check(&[
        (b"GET /\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET \r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
        (b"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / /x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /\x0b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /gr\xc3\xbcn HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET\x00 / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / http/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1x\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/11\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1,1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/01.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.11\r\nHost: a\r\n\r\n", 400),
        (b"GET / FTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / ICY\r\n\r\n", 400),
        (b"GET / HTTP/0.9\r\n\r\n", 505),
        (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        (b"PRI * HTTP/9.9\r\n\r\n", 505),
        (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"GETGET / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"M-SEARCH * HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"SSH-2.0-OpenSSH_9.6 / HTTP/1.1\r\n\r\n", 501),
    ]);
}

#[test]
fn targets() {
    check(&[
        (b"GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET ?x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET https://a/ HTTP/1.1\r\nHost: a:80\r\n\r\n", 400),
        (b"GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n", 400),
        (b"GET http:/// HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET http:/a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET http:a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET ://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET file:///etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET http://b/ HTTP/1.0\r\nHost: a\r\n\r\n", 400),
        (b"GET http://a/ HTTP/1.1\r\n\r\n", 400),
        (b"GET \\x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    ]);
}

#[test]
fn hosts() {
    check(&[
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a:+80\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: [::g]\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: [::1]x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a..b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: .\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: gr\xc3\xbcn\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a%00\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a?b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", 400),
    ]);
}

#[test]
fn header_fields() {
    check(&[
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX:\r\n b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX Y: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n(X): b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX\x00: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX\xc3\xbc: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x00c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x01\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x7f\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x0bc\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x1b[31m\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", 417),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, x\r\n\r\n",
            417,
        ),
        (b"POST / HTTP/1.1\r\nHost: a\r\nExpect:\r\n\r\n", 417),
    ]);
}

#[test]
fn body_lengths() {
    const BASE: &str = "POST / HTTP/1.1\r\nHost: a\r\n";
    let cases: &[(&str, u16)] = &[
        ("Content-Length: 5\r\nContent-Length: 5", 400),
        ("Content-Length: 5\r\nContent-Length: 6", 400),
        ("Content-Length: 5, 5", 400),
        ("Content-Length: 5,", 400),
        ("Content-Length: 5 5", 400),
        ("Content-Length: +5", 400),
        ("Content-Length: -5", 400),
        ("Content-Length: -0", 400),
        ("Content-Length: 0x5", 400),
        ("Content-Length: 5;", 400),
        ("Content-Length: 5.0", 400),
        ("Content-Length: 5e1", 400),
        ("Content-Length: 5_0", 400),
        ("Content-Length: \"5\"", 400),
        ("Content-Length: five", 400),
        ("Content-Length:", 400),
        ("Content-Length: \t ", 400),
        ("Content-Length: \u{665}", 400),
        ("Content-Length: 18446744073709551616", 400),
        ("Content-Length: 99999999999999999999999999", 400),
        ("Content-Length : 5", 400),
        ("Content-Length\u{b}: 5", 400),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", 400),
        ("Transfer-Encoding: identity\r\nContent-Length: 5", 400),
        ("tRANSFER-eNCODING: chunked\r\ncONTENT-lENGTH: 0", 400),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
            400,
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            400,
        ),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", 400),
        ("Transfer-Encoding : chunked", 400),
        ("Transfer-Encoding: chunked\u{b}", 400),
        ("Transfer-Encoding: \u{b}chunked", 400),
        ("Transfer-Encoding:\r\n chunked", 400),
        ("X: y\r\n Transfer-Encoding: chunked", 400),
        ("Transfer-Encoding: identity", 400),
        ("Transfer-Encoding: gzip", 400),
        ("Transfer-Encoding: gzip, chunked", 501),
        ("Transfer-Encoding: a;b=c ,\tgzip,Chunked", 501),
        ("Transfer-Encoding: chunked, identity", 400),
        ("Transfer-Encoding: chunked, chunked", 400),
        ("Transfer-Encoding: chunked, gzip, chunked", 400),
        ("Transfer-Encoding: chunked,", 400),
        ("Transfer-Encoding: ,chunked", 400),
        ("Transfer-Encoding: gzip,,chunked", 400),
        ("Transfer-Encoding: xchunked", 400),
        ("Transfer-Encoding: chunkedx", 400),
        ("Transfer-Encoding: chunked;q=1", 400),
        ("Transfer-Encoding: \"chunked\"", 400),
        ("Transfer-Encoding: 'chunked'", 400),
        ("Transfer-Encoding: chunk ed", 400),
        ("Transfer-Encoding: chun\u{212a}ed", 400),
        ("Transfer-Encoding:", 400),
    ];
    for (fields, expected) in cases {
        check(&[(format!("{BASE}{fields}\r\n\r\n").as_bytes(), *expected)]);
    }
    check(&[(
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    )]);
}

#[test]
fn framing_is_told() {
    let with = |fields: &str| {
        let bytes = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        head(bytes.as_bytes()).framing
    };
    assert_eq!(with(""), Framing::None);
    assert_eq!(with("Content-Length: 007\r\n"), Framing::Length(7));
    assert_eq!(with("Transfer-Encoding: CHUNKED\r\n"), Framing::Chunked);
    assert!(!Framing::Length(0).has_body());
    assert!(Framing::Length(1).has_body());
    assert!(Framing::Chunked.has_body());
}

#[test]
fn connections_are_kept_as_the_client_wants() {
    let cases: &[(&[u8], bool)] = &[
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
            true,
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n",
            false,
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x,\tclose\r\n\r\n",
            false,
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x\r\nConnection: close\r\n\r\n",
            false,
        ),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: closed\r\n\r\n",
            true,
        ),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", false),
    ];
    for (bytes, expected) in cases {
        assert_eq!(
            head(bytes).keep_alive,
            *expected,
            "{}",
            bytes.escape_ascii()
        );
    }
}

#[test]
fn only_a_body_is_waited_for() {
    let with = |rest: &str| {
        let bytes = format!("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{rest}\r\n");
        head(bytes.as_bytes()).expects_continue
    };
    assert!(!with(""));
    assert!(!with("Content-Length: 0\r\n"));
    assert!(with("Content-Length: 1\r\n"));
    assert!(with("Transfer-Encoding: chunked\r\n"));
    let old = b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
    assert!(!head(old).expects_continue);
}

/// A request whose head has exactly `bytes` bytes.
fn head_of(bytes: usize) -> Vec<u8> {
    let frame = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n";
    let filler = "x".repeat(bytes - frame.len());
    format!("GET / HTTP/1.1\r\nHost: a\r\nX: {filler}\r\n\r\n").into_bytes()
}

#[test]
fn the_length_limit_is_inclusive() {
    check(&[
        (&head_of(LIMITS.max_bytes), 200),
        (&head_of(LIMITS.max_bytes + 1), 431),
        (&head_of(LIMITS.max_bytes + 1)[..LIMITS.max_bytes], 431),
        (&head_of(LIMITS.max_bytes + 1)[..LIMITS.max_bytes - 1], 100),
        (&[b'A'; 2_000], 431),
        (&[b"GET /".as_slice(), &[b'a'; 2_000]].concat(), 431),
    ]);
}

#[test]
fn the_count_limit_is_inclusive() {
    let with = |fields: usize| {
        let fields = "X: y\r\n".repeat(fields - 1);
        verdict(format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes())
    };
    assert_eq!(with(LIMITS.max_headers), 200);
    assert_eq!(with(LIMITS.max_headers + 1), 431);
}

#[test]
fn more_headers_than_the_stack_holds_are_never_allowed() {
    let limits = HeadLimits {
        max_bytes: 16 * 1024,
        max_headers: usize::MAX,
    };
    let with = |fields: usize| {
        let fields = "X: y\r\n".repeat(fields - 1);
        let bytes = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        RequestHead::parse(bytes.as_bytes(), &limits, &mut 0)
            .map(|_| ())
            .map_err(|refusal| refusal.status())
    };
    assert_eq!(with(MAX_HEADERS), Ok(()));
    assert_eq!(with(MAX_HEADERS + 1), Err(Status::HeaderFieldsTooLarge));
}

#[test]
fn a_misplaced_scan_is_harmless() {
    let bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for mut scan in [1, 5, 15, 27, 28, usize::MAX] {
        let _ = RequestHead::parse(bytes, &LIMITS, &mut scan);
    }
}

/// Pieces that requests are made of, and pieces that break them.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let fixed = prop::sample::select(
        [
            "GET",
            "POST",
            "HEAD",
            "OPTIONS",
            "CONNECT",
            " ",
            "/",
            "*",
            "http://a",
            "HTTP/1.1",
            "HTTP/1.0",
            "HTTP/2.0",
            "\r\n",
            "\r\n",
            "\r\n\r\n",
            "\r",
            "\n",
            "\t",
            "\0",
            ":",
            ",",
            "Host: a",
            "Host",
            "Content-Length: 5",
            "Transfer-Encoding: chunked",
            "Connection: ",
            "close",
            "Expect: 100-continue",
            "X: y",
            "%",
            "?",
            "#",
            "é",
        ]
        .as_slice(),
    );
    prop_oneof![
        8 => fixed.prop_map(|text: &str| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        assert_split_invariant(&bytes);
    }

    #[test]
    fn mutilated_requests_never_panic(pieces in prop::collection::vec(piece(), 0..24)) {
        assert_split_invariant(&pieces.concat());
    }

    #[test]
    fn requests_with_one_byte_changed_never_panic(at in 0_usize..90, byte in any::<u8>()) {
        let mut bytes = b"POST /a?b=c HTTP/1.1\r\nHost: a:80\r\nTransfer-Encoding: chunked\r\nConnection: a, close\r\n\r\n".to_vec();
        if let Some(slot) = bytes.get_mut(at) {
            *slot = byte;
        }
        assert_split_invariant(&bytes);
    }

    #[test]
    fn fields_come_back_as_httparse_reads_them(
        fields in prop::collection::vec(("[A-Za-z-]{1,8}", "[ \t]{0,2}[!-~][ -~\t]{0,12}"), 0..6),
    ) {
        let mut text = "GET / HTTP/1.0\r\n".to_owned();
        for (name, value) in &fields {
            text.push_str(&format!("X{name}:{value}\r\n"));
        }
        text.push_str("\r\n");
        let mut slots = [httparse::EMPTY_HEADER; 8];
        let mut request = httparse::Request::new(&mut slots);
        prop_assert!(request.parse(text.as_bytes()).is_ok());
        let expected: Vec<_> = request.headers.iter().map(|it| (it.name, it.value)).collect();
        let found: Vec<_> = head(text.as_bytes()).headers().collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn every_refusal_is_a_whole_response(pieces in prop::collection::vec(piece(), 0..24)) {
        if let Err(refusal) = parse(&pieces.concat()) {
            let mut out = Vec::new();
            refusal.write(&ReplyTo::unparsed(0), &mut out);
            let mut slots = [httparse::EMPTY_HEADER; 16];
            let mut response = httparse::Response::new(&mut slots);
            prop_assert!(response.parse(&out).is_ok_and(|status| status.is_complete()));
            prop_assert_eq!(response.code, Some(refusal.status().code()));
        }
    }
}
