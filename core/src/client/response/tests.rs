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
    Response::new(KEY, offered, None, 1_000).read(text.as_bytes())
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
        deflate: None,
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

/// The error of a good response with a line replaced, as text.
fn error(replace: &str, with: &str) -> String {
    match answer(replace, with) {
        Answer::Bad(error) => error.to_string(),
        other => panic!("{other:?} to {with}"),
    }
}

#[test]
fn every_rule_has_its_error() {
    for (replace, with, expected) in [
        (
            "HTTP",
            "HTTP/1.0 101 Switching Protocols",
            "the response upgrades: expected HTTP/1.1 then, got HTTP/1.0",
        ),
        (
            "Upgrade",
            "",
            "expected Upgrade: websocket in the response, got none",
        ),
        (
            "Upgrade",
            "Upgrade: h2c",
            "expected Upgrade: websocket in the response, got \"h2c\"",
        ),
        (
            "",
            "Upgrade: websocket",
            "expected Upgrade: websocket in the response, got 2 fields, of which the first is \"websocket\"",
        ),
        (
            "Connection",
            "",
            "expected Connection: Upgrade in the response, got none",
        ),
        (
            "Connection",
            "Connection: keep-alive",
            "expected Connection: Upgrade in the response, got \"keep-alive\"",
        ),
        (
            "",
            "no field",
            "the head of the response is malformed: expected the name of a field and a colon in each line",
        ),
        (
            "HTTP",
            "HTTP/1.1 1o1 Switching Protocols",
            "the head of the response is malformed: expected a status of three digits and a reason",
        ),
    ] {
        assert_eq!(error(replace, with), expected, "{replace} {with}");
    }
}

#[test]
fn the_key_must_be_answered() {
    const EXPECTED: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    for (replace, with, came) in [
        (LINES[3], "", "none"),
        (
            LINES[3],
            "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            "\"S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\"",
        ),
        (
            LINES[3],
            "Sec-WebSocket-Accept: dGhlIHNhbXBsZSBub25jZQ==",
            "\"dGhlIHNhbXBsZSBub25jZQ==\"",
        ),
        (
            "",
            LINES[3],
            "2 fields, of which the first is \"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\"",
        ),
    ] {
        let expected = ResponseError::Accept {
            expected: EXPECTED.to_owned(),
            came: came.to_owned(),
        };
        assert_eq!(answer(replace, with), Answer::Bad(expected), "{with}");
    }
}

#[test]
fn a_subprotocol_must_have_been_offered() {
    for (with, came) in [
        ("Sec-WebSocket-Protocol: Chat", "\"Chat\""),
        (
            "Sec-WebSocket-Protocol: chat, superchat",
            "\"chat, superchat\"",
        ),
        (
            "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat",
            "2 fields, of which the first is \"chat\"",
        ),
        ("Sec-WebSocket-Protocol:", "\"\""),
    ] {
        let expected = ResponseError::Protocol {
            offered: "chat, superchat".to_owned(),
            came: came.to_owned(),
        };
        assert_eq!(answer("", with), Answer::Bad(expected), "{with}");
    }
}

#[test]
fn an_extension_must_have_been_offered() {
    const GOOD: &str = "permessage-deflate; server_no_context_takeover";
    let offer = Some(ClientOffer::default());
    let read = |offer, value: &str| {
        let text = response("", &format!("Sec-WebSocket-Extensions: {value}"));
        let response = Response::new(KEY, Vec::new(), offer, 1_000).read(text.as_bytes());
        response.expect("an answer").1
    };
    assert!(matches!(
        read(offer, GOOD),
        Answer::Open {
            deflate: Some(_),
            ..
        }
    ));
    assert!(matches!(
        read(offer, "permessage-deflate"),
        Answer::Bad(ResponseError::Deflate(AnswerError::ServerTakeover))
    ));
    for (offer, value) in [
        (None, GOOD),
        (offer, "x-webkit-deflate-frame"),
        (offer, "Permessage-deflate; server_no_context_takeover"),
        (
            offer,
            "permessage-deflate; server_no_context_takeover, permessage-deflate",
        ),
        (offer, "permessage-deflate; server_no_context_takeover, x"),
        (offer, ""),
        (offer, ","),
        (offer, "permessage-deflate; server_max_window_bits="),
        (offer, "permessage-deflate;"),
        (offer, "permessage-deflate server_no_context_takeover"),
    ] {
        let expected = ResponseError::Extension {
            offered: offer.map_or("none", |_| NAME),
            came: quoted(value.as_bytes()),
        };
        assert_eq!(read(offer, value), Answer::Bad(expected), "{value}");
    }
}

#[test]
fn what_came_is_quoted_in_part() {
    let long = "a".repeat(300);
    let text = error("Upgrade", &format!("Upgrade: {long}"));
    assert!(text.ends_with("aaa...\"") && text.len() < 200, "{text}");
    let text = error("Upgrade", "Upgrade: h\u{e4}\t2c");
    assert!(text.ends_with(r#"got "h\xc3\xa4\t2c""#), "{text}");
}

#[test]
fn other_statuses_are_refusals() {
    let refused = |status, reason: &str, retry_after_s| Answer::Refused {
        status,
        reason: reason.to_owned(),
        retry_after_s,
        location: None,
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
        // It names a place only where it is a redirect, and one.
        (
            "HTTP/1.1 403 No\r\nLocation: /\r\n\r\n",
            refused(403, "No", None),
        ),
        (
            "HTTP/1.1 302 Found\r\nLocation: /\r\nLocation: /a\r\n\r\n",
            refused(302, "Found", None),
        ),
    ] {
        let length = text.len();
        let body = format!("{text}Not here.");
        assert_eq!(read(&body), Some((length, expected)), "{text}");
    }
}

#[test]
fn redirects_say_where_to() {
    let text = "HTTP/1.1 302 Found\r\nLocation: wss://elsewhere.example/ws\r\n\r\n";
    let expected = Answer::Refused {
        status: 302,
        reason: "Found".to_owned(),
        retry_after_s: None,
        location: Some("wss://elsewhere.example/ws".to_owned()),
    };
    assert_eq!(read(text), Some((text.len(), expected)));
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
        Some((
            1_000,
            Answer::Bad(ResponseError::HeadTooLarge { max_bytes: 1_000 })
        ))
    );
}

#[test]
fn what_is_no_http_is_noticed_at_its_first_byte() {
    let not_http = |came: &str| ResponseError::NotHttp(came.to_owned());
    let malformed =
        ResponseError::Malformed("expected lines to end with CR LF, got one without the other");
    for (text, at, error) in [
        ("SSH-2.0-OpenSSH_9.2", 1, not_http("\"S\"")),
        ("\x15\x03\x01", 1, not_http("\"\\x15\"")),
        ("HTTP/2 101\r\n", 6, not_http("\"HTTP/2\"")),
        ("\r\nHTTP/1.1", 1, not_http("\"\\r\"")),
        ("HTT\n", 4, not_http("\"HTT\\n\"")),
        ("HTTP/1.1 101\nUpgrade", 13, malformed.clone()),
        ("HTTP/1.1 101\rUpgrade", 14, malformed.clone()),
        ("HTTP/1.1 101\r\r\n", 14, malformed),
    ] {
        assert_eq!(read(text), Some((at, Answer::Bad(error))), "{text:?}");
    }
    assert_eq!(read("HTTP/1.1 101 Switching"), None);
}

#[test]
fn a_head_has_its_bounds() {
    let text = response("", "");
    let within = |max_bytes| Response::new(KEY, Vec::new(), None, max_bytes).read(text.as_bytes());
    assert_eq!(within(text.len()), Some((text.len(), open(None))));
    for max_bytes in [text.len() - 1, 0] {
        let too_large = Answer::Bad(ResponseError::HeadTooLarge { max_bytes });
        assert_eq!(within(max_bytes), Some((max_bytes, too_large)));
    }

    let fields = "A:\r\n".repeat(MAX_HEADERS + 1);
    let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
    assert_eq!(
        read(&text),
        Some((text.len(), Answer::Bad(ResponseError::TooManyFields)))
    );
}
