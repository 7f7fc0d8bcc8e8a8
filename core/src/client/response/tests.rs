use super::*;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const LINES: [&str; 4] = [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
];

/// A good response with the line that begins like `replace` (if any) replaced by `with` (if not empty).
fn response(replace: &str, with: &str) -> String {
    let mut text = String::new();
    let mut put = |line: &str| {
        if !line.is_empty() {
            text.push_str(line);
            text.push_str("\r\n");
        }
    };
    for line in LINES {
        put(if !replace.is_empty() && line.starts_with(replace) {
            with
        } else {
            line
        });
    }
    if replace.is_empty() {
        put(with);
    }
    text.push_str("\r\n");
    text
}

fn read(text: &str) -> Option<(usize, Answer)> {
    let offered = vec!["chat".to_owned(), "superchat".to_owned()];
    Response::new(KEY, offered, 1_000).read(text.as_bytes())
}

fn answer(replace: &str, with: &str) -> Answer {
    let text = response(replace, with);
    match read(&text) {
        Some((consumed, answer)) => {
            assert_eq!(consumed, text.len(), "{text}");
            answer
        }
        None => panic!("no answer to {text}"),
    }
}

fn open(protocol: Option<&str>) -> Answer {
    Answer::Open {
        protocol: protocol.map(str::to_owned),
    }
}

/// RFC 6455 section 1.3: this key, this answer.
#[test]
fn the_sample_handshake_opens() {
    assert_eq!(answer("", ""), open(None));
    assert_eq!(
        answer("", "Sec-WebSocket-Protocol: chat"),
        open(Some("chat"))
    );
    assert_eq!(answer("Upgrade", "UPGRADE:\tWebSocket "), open(None));
    assert_eq!(
        answer("Connection", "connection: keep-alive, upgrade"),
        open(None)
    );
    assert_eq!(answer("HTTP", "HTTP/1.1 101"), open(None));
}

#[test]
fn every_rule_has_its_error() {
    use ResponseError::*;
    for (replace, with, error) in [
        ("HTTP", "HTTP/1.0 101 Switching Protocols", Version),
        ("Upgrade", "", Upgrade),
        ("Upgrade", "Upgrade: h2c", Upgrade),
        ("", "Upgrade: websocket", Upgrade),
        ("Connection", "", Connection),
        ("Connection", "Connection: keep-alive", Connection),
        ("Sec-WebSocket-Accept", "", Accept),
        (
            "Sec-WebSocket-Accept",
            "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            Accept,
        ),
        (
            "Sec-WebSocket-Accept",
            "Sec-WebSocket-Accept: dGhlIHNhbXBsZSBub25jZQ==",
            Accept,
        ),
        ("", LINES[3], Accept),
        (
            "",
            "Sec-WebSocket-Extensions: permessage-deflate",
            Extension,
        ),
        ("", "Sec-WebSocket-Extensions:", Extension),
        ("", "Sec-WebSocket-Protocol: Chat", Protocol),
        ("", "Sec-WebSocket-Protocol: chat, superchat", Protocol),
        (
            "",
            "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat",
            Protocol,
        ),
        ("", "Sec-WebSocket-Protocol:", Protocol),
        ("", "no field", Malformed),
        ("HTTP", "HTTP/1.1 1o1 Switching Protocols", Malformed),
    ] {
        assert_eq!(
            answer(replace, with),
            Answer::Bad(error),
            "{replace} {with}"
        );
    }
}

#[test]
fn other_statuses_are_refusals() {
    let refused = |status, reason: &str, retry_after_s| Answer::Refused {
        status,
        reason: reason.to_owned(),
        retry_after_s,
    };
    for (text, expected) in [
        (
            "HTTP/1.1 403 Forbidden\r\n\r\n",
            refused(403, "Forbidden", None),
        ),
        ("HTTP/1.0 200 OK\r\n\r\n", refused(200, "OK", None)),
        ("HTTP/1.1 404\r\n\r\n", refused(404, "", None)),
        (
            "HTTP/1.1 503 Busy\r\nRetry-After: 120\r\n\r\n",
            refused(503, "Busy", Some(120)),
        ),
        (
            "HTTP/1.1 503 Busy\r\nRetry-After: +1\r\n\r\n",
            refused(503, "Busy", None),
        ),
        (
            "HTTP/1.1 503 Busy\r\nRetry-After:\r\n\r\n",
            refused(503, "Busy", None),
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n",
            refused(302, "Found", None),
        ),
    ] {
        let length = text.len();
        let body = format!("{text}Not here.");
        assert_eq!(read(&body), Some((length, expected)), "{text}");
    }
}

#[test]
fn what_announces_another_response_is_passed_over() {
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let text = format!("{early}{early}{}", response("", ""));
    assert_eq!(read(&text), Some((text.len(), open(None))));
    // All together they have the room of one.
    let many = early.repeat(1_000 / early.len() + 1);
    assert_eq!(
        read(&many),
        Some((1_000, Answer::Bad(ResponseError::HeadTooLarge)))
    );
}

#[test]
fn what_is_no_http_is_noticed_at_its_first_byte() {
    for (text, at, error) in [
        ("SSH-2.0-OpenSSH_9.2", 1, ResponseError::NotHttp),
        ("\x15\x03\x01", 1, ResponseError::NotHttp),
        ("HTTP/2 101\r\n", 6, ResponseError::NotHttp),
        ("\r\nHTTP/1.1", 1, ResponseError::NotHttp),
        ("HTT\n", 4, ResponseError::NotHttp),
        ("HTTP/1.1 101\nUpgrade", 13, ResponseError::Malformed),
        ("HTTP/1.1 101\rUpgrade", 14, ResponseError::Malformed),
        ("HTTP/1.1 101\r\r\n", 14, ResponseError::Malformed),
    ] {
        assert_eq!(read(text), Some((at, Answer::Bad(error))), "{text:?}");
    }
    assert_eq!(read("HTTP/1.1 101 Switching"), None);
}

#[test]
fn a_head_has_its_bounds() {
    let text = response("", "");
    let within = |max_bytes| Response::new(KEY, Vec::new(), max_bytes).read(text.as_bytes());
    assert_eq!(within(text.len()), Some((text.len(), open(None))));
    let too_large = Answer::Bad(ResponseError::HeadTooLarge);
    assert_eq!(
        within(text.len() - 1),
        Some((text.len() - 1, too_large.clone()))
    );
    assert_eq!(within(0), Some((0, too_large.clone())));

    let fields = "A:\r\n".repeat(MAX_HEADERS + 1);
    let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
    assert_eq!(read(&text), Some((text.len(), too_large)));
}
