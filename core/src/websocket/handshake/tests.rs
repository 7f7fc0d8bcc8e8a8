use proptest::prelude::*;

use super::extension::Offers;
use super::*;
use crate::http::{HeadLimits, Parsed};

const SUPPORTED: &[&str] = &["roomwire.json", "roomwire.binary"];

fn head(bytes: &[u8]) -> RequestHead<'_> {
    let limits = HeadLimits {
        max_bytes: 4_096,
        max_headers: 32,
    };
    match RequestHead::parse(bytes, &limits, &mut 0) {
        Ok(Parsed::Complete { head, .. }) => head,
        other => panic!("{}: {other:?}", bytes.escape_ascii()),
    }
}

fn answer(bytes: &[u8]) -> Result<String, u16> {
    match check(&head(bytes), SUPPORTED, true) {
        Ok(upgrade) => {
            let mut out = Vec::new();
            upgrade.write(&mut out);
            Ok(String::from_utf8(out).expect("text"))
        }
        Err(refusal) => Err(refusal.status().code()),
    }
}

const FIELDS: [&str; 5] = [
    "Host: server.example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

/// A good handshake with the field that begins like `replace` (if any) replaced by `with` (if not empty).
fn request(line: &str, replace: &str, with: &str) -> Vec<u8> {
    let mut text = format!("{line}\r\n");
    let kept = FIELDS
        .into_iter()
        .filter(|field| replace.is_empty() || !field.starts_with(replace));
    for field in kept.chain([with]).filter(|field| !field.is_empty()) {
        text.push_str(field);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

const GET: &str = "GET /chat HTTP/1.1";

/// RFC 6455 1.3.
#[test]
fn the_sample_handshake_is_golden() {
    let bytes = b"GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://example.com\r\n\
        Sec-WebSocket-Protocol: chat, roomwire.json\r\nSec-WebSocket-Version: 13\r\n\r\n";
    assert_eq!(
        answer(bytes).as_deref(),
        Ok("HTTP/1.1 101 Switching Protocols\r\n\
            Upgrade: websocket\r\n\
            Connection: Upgrade\r\n\
            Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
            Sec-WebSocket-Protocol: roomwire.json\r\n\
            \r\n")
    );
    assert_eq!(
        answer(&request(GET, "", "")).as_deref(),
        Ok("HTTP/1.1 101 Switching Protocols\r\n\
            Upgrade: websocket\r\n\
            Connection: Upgrade\r\n\
            Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
            \r\n")
    );
}

#[test]
fn tolerated() {
    let cases = [
        ("Upgrade", "upgrade: WebSocket"),
        ("Upgrade", "Upgrade: h2c, websocket"),
        ("Upgrade", "Upgrade: h2c\r\nUpgrade: websocket"),
        ("Upgrade", "Upgrade:\twebsocket\t,"),
        ("Connection", "Connection: keep-alive, Upgrade"),
        ("Connection", "Connection: keep-alive,Upgrade"),
        ("Connection", "Connection:\tkeep-alive\t,\tUPGRADE\t"),
        (
            "Connection",
            "connection: keep-alive\r\nConnection: upgrade",
        ),
        (
            "Connection",
            "Connection: upgrade\r\nConnection: keep-alive",
        ),
        ("Connection", "Connection: ,,upgrade,"),
        ("Sec-WebSocket-Version", "sec-websocket-version:13 "),
        (
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAB==",
        ),
        ("", "Content-Length: 0"),
        ("", "Sec-WebSocket-Protocol: unknown"),
        ("", "Sec-WebSocket-Protocol: a,,b"),
        (
            "",
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
        ),
        (
            "",
            "Sec-WebSocket-Extensions: a; b=\"c\", d\r\nSec-WebSocket-Extensions: e",
        ),
        ("", "Origin: null"),
    ];
    for (replace, with) in cases {
        let answer = answer(&request(GET, replace, with));
        assert!(
            answer.is_ok_and(|it| it.starts_with("HTTP/1.1 101 ")),
            "{with}"
        );
    }
}

#[test]
fn refused() {
    let cases = [
        ("Upgrade", "", 426),
        ("Upgrade", "Upgrade:", 426),
        ("Upgrade", "Upgrade: h2c", 426),
        ("Upgrade", "Upgrade: websockets", 426),
        ("Upgrade", "Upgrade: websocket/13", 426),
        ("Upgrade", "Upgrade: web socket", 426),
        ("Connection", "", 400),
        ("Connection", "Connection: keep-alive", 400),
        ("Connection", "Connection: keep-alive Upgrade", 400),
        ("Connection", "Connection: not-upgrade", 400),
        ("Connection", "Connection: \"upgrade\"", 400),
        ("Sec-WebSocket-Version", "", 426),
        ("Sec-WebSocket-Version", "Sec-WebSocket-Version:", 426),
        ("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8", 426),
        ("Sec-WebSocket-Version", "Sec-WebSocket-Version: 14", 426),
        ("Sec-WebSocket-Version", "Sec-WebSocket-Version: 013", 426),
        ("Sec-WebSocket-Version", "Sec-WebSocket-Version: 13, 8", 426),
        ("Sec-WebSocket-Version", "Sec-WebSocket-Version: +13", 426),
        ("", "Sec-WebSocket-Version: 13", 400),
        ("", "Sec-WebSocket-Version: 8", 400),
        ("Sec-WebSocket-Key", "", 400),
        ("Sec-WebSocket-Key", "Sec-WebSocket-Key:", 400),
        ("Sec-WebSocket-Key", "Sec-WebSocket-Key: ==", 400),
        (
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ",
            400,
        ),
        (
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=",
            400,
        ),
        (
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ===",
            400,
        ),
        (
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQAA",
            400,
        ),
        (
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j==",
            400,
        ),
        (
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZ-==",
            400,
        ),
        (
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Key: dGhl IHNhbXBsZSBub25jZ==",
            400,
        ),
        (
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAAA==",
            400,
        ),
        ("", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", 400),
        ("", "Content-Length: 1", 400),
        ("", "Transfer-Encoding: chunked", 400),
        ("", "Sec-WebSocket-Protocol:", 400),
        ("", "Sec-WebSocket-Protocol: ,", 400),
        ("", "Sec-WebSocket-Protocol: a b", 400),
        ("", "Sec-WebSocket-Protocol: roomwire.json, a/b", 400),
        ("", "Sec-WebSocket-Protocol: \"roomwire.json\"", 400),
        ("", "Sec-WebSocket-Protocol: gr\u{fc}n", 400),
        ("", "Sec-WebSocket-Extensions:", 400),
        ("", "Sec-WebSocket-Extensions: ,", 400),
        ("", "Sec-WebSocket-Extensions: ;a", 400),
        ("", "Sec-WebSocket-Extensions: a;", 400),
        ("", "Sec-WebSocket-Extensions: a; b=", 400),
        ("", "Sec-WebSocket-Extensions: a; =b", 400),
        ("", "Sec-WebSocket-Extensions: a b", 400),
        ("", "Sec-WebSocket-Extensions: a=b", 400),
        ("", "Sec-WebSocket-Extensions: a; b=\"c", 400),
        ("", "Sec-WebSocket-Extensions: a; b=\"\"", 400),
        ("", "Sec-WebSocket-Extensions: a; b=\"c d\"", 400),
        ("", "Sec-WebSocket-Extensions: a; b=\"c\"d", 400),
        ("", "Sec-WebSocket-Extensions: a; b=\"c\\\"", 400),
        (
            "",
            "Sec-WebSocket-Extensions: a\r\nSec-WebSocket-Extensions: b;;",
            400,
        ),
        ("", "Sec-WebSocket-Extensions: gr\u{fc}n", 400),
    ];
    for (replace, with, expected) in cases {
        let bytes = request(GET, replace, with);
        assert_eq!(answer(&bytes), Err(expected), "{replace} -> {with}");
    }
    let lines = [
        ("POST /chat HTTP/1.1", 405),
        ("HEAD /chat HTTP/1.1", 405),
        ("OPTIONS /chat HTTP/1.1", 405),
        ("GET /chat HTTP/1.0", 400),
    ];
    for (line, expected) in lines {
        assert_eq!(answer(&request(line, "", "")), Err(expected), "{line}");
    }
    assert_eq!(answer(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Err(426));
    assert_eq!(answer(b"GET / HTTP/1.0\r\n\r\n"), Err(426));
}

#[test]
fn the_clients_first_supported_protocol_is_chosen() {
    let cases = [
        ("roomwire.json", Some("roomwire.json")),
        ("roomwire.binary, roomwire.json", Some("roomwire.binary")),
        ("a, roomwire.json,roomwire.binary", Some("roomwire.json")),
        (
            "a\r\nSec-WebSocket-Protocol: roomwire.binary",
            Some("roomwire.binary"),
        ),
        ("Roomwire.json", None),
        ("roomwire", None),
    ];
    for (offers, expected) in cases {
        let field = format!("Sec-WebSocket-Protocol: {offers}");
        let bytes = request(GET, "", &field);
        let chosen = check(&head(&bytes), SUPPORTED, true).map(|it| it.protocol());
        assert_eq!(chosen, Ok(expected), "{offers}");
    }
    let bytes = request(GET, "", "Sec-WebSocket-Protocol: roomwire.json");
    assert_eq!(
        check(&head(&bytes), &[], true).map(|it| it.protocol()),
        Ok(None)
    );
}

/// Each offer as `name;parameter=value;parameter`.
fn offers(fields: &str) -> Vec<String> {
    let bytes = request(GET, "", fields);
    let Ok(offers) = Offers::of(&head(&bytes)) else {
        panic!("{fields}");
    };
    offers
        .map(|offer| {
            let mut text = offer.name().to_owned();
            for (name, value) in offer.parameters() {
                text = match value {
                    Some(value) => format!("{text};{name}={value}"),
                    None => format!("{text};{name}"),
                };
            }
            text
        })
        .collect()
}

#[test]
fn offers_are_listed_in_order() {
    assert!(offers("X-Other: a").is_empty());
    assert_eq!(
        offers(
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits; \
             server_max_window_bits=10 ,\tpermessage-deflate"
        ),
        [
            "permessage-deflate;client_max_window_bits;server_max_window_bits=10",
            "permessage-deflate"
        ]
    );
    assert_eq!(
        offers(
            "Sec-WebSocket-Extensions: ,a,\r\nX: y\r\nsec-websocket-extensions: b ; c = \"d\" ,e"
        ),
        ["a", "b;c=d", "e"]
    );
    assert_eq!(
        offers(r#"Sec-WebSocket-Extensions: a; b="\1\0"; b=2"#),
        ["a;b=10;b=2"]
    );
}

#[test]
fn quotes_hide_no_separators() {
    for value in ["\"b,c\"", "\"b;c\"", "\"b\\\\c\"", "\"b\\\"c\""] {
        let bytes = request(GET, "", &format!("Sec-WebSocket-Extensions: a; x={value}"));
        assert!(Offers::of(&head(&bytes)).is_err(), "{value}");
    }
}

proptest! {
    #[test]
    fn no_list_panics_and_checked_lists_are_read_whole(
        value in "[a-c \t,;=\"\\\\]{0,24}",
        protocols in "[ -~]{0,16}",
    ) {
        let fields = format!("Sec-WebSocket-Extensions: {value}\r\nSec-WebSocket-Protocol: {protocols}");
        let bytes = request(GET, "", &fields);
        let head = head(&bytes);
        let _ = check(&head, SUPPORTED, true);
        if let Ok(offers) = Offers::of(&head) {
            let separators = value.matches([',', ';']).count();
            let found: usize = offers.map(|offer| 1 + offer.parameters().count()).sum();
            prop_assert!((1..=separators + 1).contains(&found));
        }
    }

    #[test]
    fn any_key_of_sixteen_bytes_is_taken(key in any::<[u8; 16]>()) {
        let text = data_encoding::BASE64.encode(&key);
        let field = format!("Sec-WebSocket-Key: {text}");
        let bytes = request(GET, "Sec-WebSocket-Key", &field);
        prop_assert!(check(&head(&bytes), SUPPORTED, true).is_ok());
    }

    #[test]
    fn any_key_that_is_taken_has_sixteen_bytes(text in "[A-Za-z0-9+/]{20,23}={0,3}") {
        let field = format!("Sec-WebSocket-Key: {text}");
        let bytes = request(GET, "Sec-WebSocket-Key", &field);
        let digits = text.trim_end_matches('=').len();
        let expected = digits == 22 && text.len() == 24;
        prop_assert_eq!(check(&head(&bytes), SUPPORTED, true).is_ok(), expected);
    }
}

#[test]
fn compression_is_agreed_on_where_it_is_served() {
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits; server_max_window_bits=10";
    let bytes = request(GET, "", offer);
    let agreed = check(&head(&bytes), SUPPORTED, true).expect("a handshake");
    let extensions = |upgrade: &Upgrade<'_>| {
        let mut headers = upgrade.headers();
        let found = headers.find(|(name, _)| *name == "Sec-WebSocket-Extensions");
        found.map(|(_, value)| value.to_owned())
    };
    assert_eq!(
        extensions(&agreed).as_deref(),
        Some(
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10"
        )
    );
    let window = agreed.deflate().map(|agreement| agreement.server_window());
    assert_eq!(window.map(|window| window.bits()), Some(10));
    let declined = check(&head(&bytes), SUPPORTED, false).expect("a handshake");
    assert_eq!(extensions(&declined), None);
    assert_eq!(declined.deflate(), None);
}
