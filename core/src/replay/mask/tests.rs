mod same;

use super::*;
use crate::websocket::{Control, Data, OpCode, put_masked_frame};
use proptest::prelude::*;

fn masked(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    Masker::new(&Limits::default()).mask(&mut bytes);
    bytes
}

#[test]
fn texts() {
    let cases = [
        (
            r#"{"type":"room_message","room":"tea","data":"hello","id":7}"#,
            r#"{"type":"room_message","room":"tea","data":"AAAAA","id":7}"#,
        ),
        // Nothing of a key under data is left, nor of a type that is none of the server's.
        (
            r#"{"data":{"user":"Ada","type":"welcome","n":[-10.5e+2,0,true]}}"#,
            r#"{"data":{"xxxx":"xxx","type":"welcome","x":[-11.1e+1,0,true]}}"#,
        ),
        (
            r#"{"data":{"type":"wedding","typist":1}}"#,
            r#"{"data":{"type":"wexxxxx","typxxx":1}}"#,
        ),
        (
            r#"{"data":{"type":"file_secret"}}"#,
            r#"{"data":{"type":"file_xxxxxx"}}"#,
        ),
        // A digit that turns `gaq` into `gap` would turn the message into another.
        (
            r#"{"data":{"type":"ga\u0071"}}"#,
            r#"{"data":{"type":"ga\u0071"}}"#,
        ),
        (
            r#"{"\u0064ata":"a\nb\u00e9\"c"}"#,
            r#"{"\u0064ata":"A\nx\u0000\"x"}"#,
        ),
        (
            r#"{"metadata":{"name":"Ada","gone":null,"deep":{"key":1}}}"#,
            r#"{"metadata":{"name":"xxx","gone":null,"deep":{"xxx":1}}}"#,
        ),
        (
            r#"{"room":["secret"],"to":{"a":"b"}}"#,
            r#"{"room":["xxxxxx"],"to":{"x":"x"}}"#,
        ),
        (
            r#"{"type":"app","text":"hi"}"#,
            r#"{"type":"app","text":"xx"}"#,
        ),
        // Whether it is base64 stays: an `encoding` may follow.
        (
            r#"{"data":"aGk=","encoding":"base64"}"#,
            r#"{"data":"AAA=","encoding":"base64"}"#,
        ),
        (
            r#"{"data":"aGl=","encoding":"base32"}"#,
            r#"{"data":"AAA!","encoding":"basexx"}"#,
        ),
        (
            r#"{"data":"at dawn","encoding":null}"#,
            r#"{"data":"AA!xxxx","encoding":null}"#,
        ),
        (
            r#"{"messages":[{"data":"hi","type":"broadcast","n":{"type":"welcome"}},"secret",[{"type":"secret"}]]}"#,
            r#"{"messages":[{"data":"AA","type":"broadcast","n":{"xxxx":"xxxxxxx"}},"xxxxxx",[{"xxxx":"xxxxxx"}]]}"#,
        ),
        (
            r#"{"name":"../a b\\c\u200b\u0418.txt","reason":"\"no\"","size":42,"window":"x1"}"#,
            r#"{"name":"../x x\\x\u200b\u0100.xxx","reason":"\"xx\"","size":42,"window":"xx"}"#,
        ),
        (
            r#"{"transferId":"mine","transferSecret":"kept","hash":"sha256:0a1b","other":"SHA256:0a"}"#,
            r#"{"transferId":"mine","transferSecret":"kept","hash":"sha256:0000","other":"xxxxxxxxx"}"#,
        ),
        ("hello, world 42", "xxxxxx xxxxx xx"),
        (r#"{"a":"b"} {"secret":"c"}"#, r#"{"a":"x"} {"xxxxxx":"x"}"#),
        (r#"["type",01]"#, r#"["xxxx",01]"#),
        (r#"{"data":nul"secret"}"#, "{\"data\":nulxxxxxxxxx"),
        (
            "{\"data\":\"\u{e9}\u{20ac}\u{1f600}\"}",
            "{\"data\":\"\u{c0}\u{1000}\u{40000}\"}",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(mask_json(text), expected, "{text}");
    }
}

#[test]
fn a_head_keeps_what_decides() {
    let head = b"GET /ws?token=s3cret&v=1 HTTP/1.1\r\nHost: example.com\r\nCookie: id=4 2\r\n\
        ORIGIN: http://a\r\nX-Forwarded-For: 10.0.0.1\r\nIf-None-Match: \"1f\"\r\n\r\n";
    let expected = b"GET /ws?xxxxx=xxxxxx&x=x HTTP/1.1\r\nHost: example.com\r\nCookie: xxxx x\r\n\
        ORIGIN: http://a\r\nX-Forwarded-For: 10.0.0.1\r\nIf-None-Match: \"1f\"\r\n\r\n";
    assert_eq!(masked(head), expected);
}

#[test]
fn of_a_query_the_dialect_is_kept() {
    for (query, expected) in [
        ("dialect=binary", "dialect=binary"),
        ("a=b&dialect=binary&c", "x=x&dialect=binary&x"),
        ("dialect=json", "dialect=xxxx"),
        ("dialect=binary1", "dialect=binaryx"),
        ("dialect=bin%61ry", "dialect=bin%xxxx"),
        ("dialects=binary", "dialectx=xxxxxx"),
        ("sdialect=binary", "xxxxxxxx=xxxxxx"),
        ("dialect==binary", "dialect==xxxxxx"),
        ("dialed&dialect=b", "dialex&dialect=b"),
    ] {
        let masked = masked(format!("GET /?{query} HTTP/1.1\r\n").as_bytes());
        let expected = format!("GET /?{expected} HTTP/1.1\r\n");
        assert_eq!(String::from_utf8_lossy(&masked), expected);
    }
}

#[test]
fn bodies_are_zeroed_and_the_next_request_is_found() {
    let requests =
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcPOST / HTTP/1.1\r\nHost: a\r\n\
        Transfer-Encoding: chunked\r\n\r\n2;q=1\r\nhi\r\n0\r\nT: v\r\n\r\nGET /?a HTTP/1.1\r\n";
    let expected = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n\0\0\0POST / HTTP/1.1\r\nHost: a\r\n\
        Transfer-Encoding: chunked\r\n\r\n2;x=x\r\n\0\0\r\n0\r\nx: x\r\n\r\nGET /?x HTTP/1.1\r\n";
    assert_eq!(masked(requests), expected);
}

const HANDSHAKE: &[u8] =
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

fn frame(opcode: OpCode, fin: bool, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    put_masked_frame(&mut frame, opcode, fin, false, payload, [1, 2, 3, 4]);
    frame
}

#[test]
fn frames_keep_their_headers() {
    let text = OpCode::Data(Data::Text);
    let more = OpCode::Data(Data::Continue);
    let stream = |parts: [&[u8]; 5]| {
        [
            HANDSHAKE.to_vec(),
            frame(text, false, parts[0]),
            frame(OpCode::Control(Control::Ping), true, parts[1]),
            frame(more, true, parts[2]),
            frame(OpCode::Data(Data::Binary), true, parts[3]),
            frame(OpCode::Control(Control::Close), true, parts[4]),
        ]
        .concat()
    };
    let sent = stream([
        b"{\"data\":\"\xc3",
        b"ping",
        b"\xa9\"}",
        b"zip",
        b"\x03\xe8bye",
    ]);
    let expected = stream([
        b"{\"data\":\"\xc3",
        &[0; 4],
        b"\x80\"}",
        &[0; 3],
        b"\x03\xe8xxx",
    ]);
    assert_eq!(masked(&sent), expected);
}

#[test]
fn behind_a_refused_handshake_comes_the_next_request() {
    let sent = [HANDSHAKE, b"GET /?a=b HTTP/1.1\r\n"].concat();
    assert_eq!(
        masked(&sent),
        [HANDSHAKE, b"GET /?x=x HTTP/1.1\r\n"].concat()
    );
}

#[test]
fn what_a_server_gave_up_on_is_zeroed() {
    let sent = [b"NONSENSE\r\n\r\n".as_slice(), b"secret"].concat();
    assert_eq!(
        masked(&sent),
        [b"NONSENSE\r\n\r\n".as_slice(), &[0; 6]].concat()
    );
}

fn masked_behind_proxy(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    Masker::behind_proxy(&Limits::default()).mask(&mut bytes);
    bytes
}

#[test]
fn what_a_proxy_says_first_keeps_its_addresses() {
    let request = b"GET /?a=b HTTP/1.1\r\nHost: a\r\n\r\n";
    let expected = b"GET /?x=x HTTP/1.1\r\nHost: a\r\n\r\n";
    let binary = |kind: [u8; 4], rest: &[u8]| [b"\r\n\r\n\0\r\nQUIT\n", &kind[..], rest].concat();
    let ipv4 = |extras: &[u8]| {
        let length = 12 + extras.len() as u8;
        binary(
            [0x21, 0x11, 0, length],
            &[b"\xc0\0\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb", extras].concat(),
        )
    };
    for (header, kept) in [
        (
            b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n".to_vec(),
            None,
        ),
        (b"PROXY UNKNOWN\r\n".to_vec(), None),
        (ipv4(b""), None),
        (ipv4(b"\x04\0\0"), None),
        (
            ipv4(b"\x02\0\x06secret\x04\0\0\x05\0\x01s"),
            Some(ipv4(b"\x02\0\x06\0\0\0\0\0\0\x04\0\0\x05\0\x01\0")),
        ),
        (
            binary([0x20, 0x11, 0, 6], b"secret"),
            Some(binary([0x20, 0x11, 0, 6], &[0; 6])),
        ),
    ] {
        let kept = kept.unwrap_or_else(|| header.clone());
        let sent = [&header, &request[..]].concat();
        assert_eq!(masked_behind_proxy(&sent), [&kept, &expected[..]].concat());
    }
    // What is no header ends the connection.
    assert_eq!(masked_behind_proxy(b"GET /?a"), b"G\0\0\0\0\0\0");
    assert_eq!(
        masked_behind_proxy(b"PROXY TCP4 x\r\nab"),
        b"PROXY TCP4 x\r\n\0\0"
    );
    // Elsewhere it is a request like any other.
    assert_eq!(masked(b"PROXY /?a=b"), b"PROXY /?x=x");
}

/// Text that is JSON more often than not, broken in one place now and then.
fn text() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "type",
        "data",
        "room",
        "id",
        "metadata",
        "limit",
        "typ\\u0065",
        "x\\n",
        "",
        "\u{e9}",
    ]);
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,2})?([eE][+-]?[0-9]{1,2})?",
        Just(r#""error""#.to_owned()),
        Just(r#""file_a""#.to_owned()),
        Just(r#""er\u0072or""#.to_owned()),
        "\"[a-z\u{e9}\u{20ac} ]{0,8}\"",
        r#""(\\[nrt"/]|\\u[0-9a-fA-F]{4}){0,3}""#,
    ];
    let value = scalar.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|all| format!("[{}]", all.join(", "))),
            prop::collection::vec((key.clone(), inner), 0..5).prop_map(|all| {
                let fields: Vec<_> = all.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    });
    let broken = (value.clone(), any::<prop::sample::Index>(), any::<char>()).prop_map(
        |(text, at, other)| {
            let at = at.index(text.chars().count() + 1);
            let (before, after): (Vec<_>, Vec<_>) =
                text.chars().enumerate().partition(|(i, _)| *i < at);
            let chars = before.into_iter().map(|(_, c)| c);
            let after = after.into_iter().skip(1).map(|(_, c)| c);
            chars.chain([other]).chain(after).collect()
        },
    );
    prop_oneof![3 => value, 1 => broken]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn masked_json_means_the_same(text in text()) {
        use crate::dialect::json::{self, JsonLimits};
        let masked = mask_json(&text);
        prop_assert_eq!(masked.len(), text.len());
        let limits = JsonLimits::from(&Limits::default());
        let decode = |text: &str| match json::decode(text, &limits, &|kind| kind == "error") {
            Ok(request) => Ok((format!("{:?}", request.asked), format!("{:?}", core::mem::discriminant(&request.message)))),
            Err(error) => Err((format!("{:?}", error.asked), error.refusal)),
        };
        prop_assert_eq!(decode(&text), decode(&masked));
        let as_data = mask_json(&format!(r#"{{"data":{text}"#)).split_off(8);
        prop_assert_eq!(json::is_server_type(&text), json::is_server_type(&as_data), "{}", as_data);
        let parse = |text: &str| serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok();
        prop_assert_eq!(parse(&text), parse(&as_data));
    }

    #[test]
    fn text_stops_being_valid_at_the_same_byte(bytes in prop::collection::vec(
        prop_oneof![Just(b'a'), 0x80_u8..=0xff], 0..12,
    )) {
        let mut utf8 = utf8::Utf8::default();
        let masked: Vec<u8> = bytes.iter().map(|&byte| utf8.masked(byte, |_| b'x')).collect();
        let valid = |bytes: &[u8]| core::str::from_utf8(bytes).map(str::len).map_err(|e| (e.valid_up_to(), e.error_len().is_none()));
        prop_assert_eq!(valid(&bytes), valid(&masked));
    }

    /// A server reads a masked header as it reads the original, wherever both are cut.
    #[test]
    fn a_masked_header_says_the_same(
        kind in prop::sample::select(vec![[0x21, 0x11], [0x21, 0x21], [0x20, 0x11], [0x21, 0x31], [0x21, 0], [0x22, 0]]),
        block in prop::collection::vec(prop_oneof![3 => Just(0), 1 => Just(1), 1 => any::<u8>()], 0..260),
    ) {
        use crate::http::ProxyHeader;
        let length = (block.len() as u16).to_be_bytes();
        let header = [b"\r\n\r\n\0\r\nQUIT\n", &kind[..], &length, &block, b"GET"].concat();
        let whole = masked_behind_proxy(&header);
        let mut pieces = header.clone();
        let mut masker = Masker::behind_proxy(&Limits::default());
        for byte in pieces.chunks_mut(1) {
            masker.mask(byte);
        }
        prop_assert_eq!(&pieces, &whole);
        for end in 0..=header.len() {
            prop_assert_eq!(ProxyHeader::parse(&whole[..end]), ProxyHeader::parse(&header[..end]));
        }
    }
}
