//! Inputs to start from: one per behaviour that a fuzzer would need long to stumble on.
//!
//! `cargo run --example seeds` writes them into the corpora as `seed-<name>`.

mod connection;
mod recorded;
mod said;
mod session;

/// Names and bytes of a target's seeds; empty for a target that is not known.
pub fn seeds(target: &str) -> Vec<(&'static str, Vec<u8>)> {
    match target {
        "binary" => binary(),
        "client" => connection::client(),
        "deflate" => connection::deflate(),
        "forwarded" => forwarded(),
        "frames" => frames(),
        "heartbeat" => heartbeat(),
        "http_body" => http_body(),
        "http_head" => http_head(),
        "json" => [json(), said::requests()].concat(),
        "limiter" => limiter(),
        "mask" => [mask(), recorded::masked()].concat(),
        "negotiation" => connection::negotiation(),
        "proxy_protocol" => proxy_protocol(),
        "replay" => [replay(), recorded::damaged(), recorded::written()].concat(),
        "server" => server(),
        "session" => [session::session(), said::session()].concat(),
        _ => Vec::new(),
    }
}

fn with(choices: &[u8], rest: &[u8]) -> Vec<u8> {
    [choices, rest].concat()
}

/// Vectors of the test suite.
fn vectors() -> Vec<serde_json::Value> {
    const VECTORS: &str = include_str!("../../tests/vectors/binary.json");
    serde_json::from_str(VECTORS).expect("JSON")
}

/// The frame of one.
fn frame(vector: &serde_json::Value) -> Vec<u8> {
    let hex = vector["hex"].as_str().expect("a frame");
    let frame = data_encoding::HEXLOWER.decode(hex.as_bytes());
    // The application's type is another one here.
    let text = frame.expect("hexadecimal");
    match text.windows(6).position(|word| word == b"\"roll\"") {
        Some(at) => [&text[..at], b"\"app\" ", &text[at + 6..]].concat(),
        None => text,
    }
}

/// The vectors of the test suite, grouped so that a stream holds several.
fn binary() -> Vec<(&'static str, Vec<u8>)> {
    let all = vectors();
    let frames = |fits: &dyn Fn(&serde_json::Value) -> bool| {
        let fitting = all.iter().filter(|vector| fits(vector));
        let bytes = fitting.map(frame);
        with(&[6, 3, 0, 9], &bytes.collect::<Vec<_>>().concat())
    };
    let is = |vector: &serde_json::Value, field: &str, value: &str| vector[field] == value;
    let named = |vector: &serde_json::Value, part: &str| {
        vector["name"]
            .as_str()
            .is_some_and(|name| name.contains(part))
    };
    let fine = |vector: &serde_json::Value, from: &str| {
        is(vector, "from", from) && !vector["json"].is_null()
    };
    vec![
        (
            "client",
            frames(&|v| fine(v, "client") && !named(v, "file_")),
        ),
        (
            "client-files",
            frames(&|v| fine(v, "client") && named(v, "file_")),
        ),
        (
            "client-message",
            frames(&|v| fine(v, "client") && is(v, "name", "room_message of JSON")),
        ),
        (
            "client-application",
            frames(&|v| fine(v, "client") && is(v, "name", "application")),
        ),
        (
            "client-batch",
            frames(&|v| fine(v, "client") && is(v, "name", "batch")),
        ),
        (
            "server",
            frames(&|v| fine(v, "server") && !named(v, "file_")),
        ),
        (
            "server-files",
            frames(&|v| fine(v, "server") && named(v, "file_")),
        ),
        (
            "server-members",
            frames(&|v| fine(v, "server") && is(v, "name", "members with metadata")),
        ),
        (
            "server-batch",
            frames(&|v| fine(v, "server") && is(v, "name", "batch")),
        ),
        (
            "refused",
            frames(&|v| !v["refused"].is_null() && !v["number"].is_null()),
        ),
        ("json", frames(&|v| is(v, "name", "JSON by mistake"))),
        ("long", frames(&|v| named(v, "4 GiB"))),
    ]
}

fn http_head() -> Vec<(&'static str, Vec<u8>)> {
    let heads: [(&str, &[u8]); 12] = [
        ("upgrade", b"GET /ws HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: soap, roomwire.json.v1\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits; x=\"1\\0\", mux\r\nOrigin: http://localhost:3000\r\n\r\nrest"),
        ("get", b"GET /health?a=%41+b&c HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"),
        ("head", b"HEAD http://a.b:80/health HTTP/1.1\r\nHost: a.b\r\nConnection: close\r\n\r\n"),
        ("options", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
        ("old", b"GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"),
        ("chunked", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n5\r\n"),
        ("length", b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"),
        ("both", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("folded", b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n"),
        ("tls", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
        ("http2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("authority", b"example.com:443"),
    ];
    heads
        .iter()
        .map(|&(name, head)| (name, with(&[3, 2, 0, 7, 2, 3, 4, 16, 5], head)))
        .collect()
}

fn http_body() -> Vec<(&'static str, Vec<u8>)> {
    let chunked = |body: &[u8]| with(&[2, 2, 0, 9], body);
    vec![
        ("none", vec![0, 2, 0, 0, b'x']),
        ("length", with(&[1, 1, 5, 2, 0, 9], b"hellorest")),
        (
            "chunked",
            chunked(b"5;a=\"b\"\r\nhello\r\n00a\r\n0123456789\r\n0\r\nA: b\r\n\r\nrest"),
        ),
        ("large", chunked(b"10001\r\n")),
        ("bad", chunked(b"5\nhello")),
        ("trailer", chunked(b"0\r\n a: folded\r\n\r\n")),
    ]
}

fn forwarded() -> Vec<(&'static str, Vec<u8>)> {
    // Addresses whose last byte is even are trusted.
    let fields: [(&str, &str); 9] = [
        ("list", "1.1.1.1, 203.0.113.7:4711, 10.0.0.2"),
        (
            "ipv6",
            "2001:db8::7,[2001:db8::7],[2001:db8::8]:80,::ffff:10.0.0.2",
        ),
        (
            "broken",
            "203.0.113.7, unknown, 10.0.0.4, , 10.0.0.2\n10.0.0.2:_port",
        ),
        ("fields", "1.1.1.1\n203.0.113.7, 10.0.0.2\n\n10.0.0.4"),
        (
            "standard",
            "for=192.0.2.43;proto=https;by=10.0.0.2, FOR=10.0.0.2",
        ),
        (
            "quoted",
            "for=\"[2001:db8::7]:4711\";x=\"a, for=1.1.1.1\", for=\"10.0.0.2\"",
        ),
        ("open", "for=\"\nfor=\"a\\\""),
        ("escape", "x=\"\\\"\\\\\";for=10.0.0.2"),
        (
            "missing",
            "proto=https, for=_hidden, for=10.0.0.2;for=10.0.0.4, host=a",
        ),
    ];
    let seed = |&(name, text): &(&'static str, &str)| (name, with(&[1], text.as_bytes()));
    fields.iter().map(seed).collect()
}

fn proxy_protocol() -> Vec<(&'static str, Vec<u8>)> {
    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    let raw = |header: &[u8]| with(&[0, 9, 0], header);
    let binary =
        |head: &[u8], block: &[u8]| raw(&[SIGNATURE, head, block, b"GET / HTTP/1.1"].concat());
    let v4 = [192, 0, 2, 1, 198, 51, 100, 1, 0xDC, 0x04, 0x01, 0xBB];
    // The flags of what is written: version, family, extras, then both ends.
    let written = |rest: &[u8]| with(&[0, 9, 1], rest);
    vec![
        (
            "text",
            raw(b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\nGET / HTTP/1.1\r\nHost: 192.168.0.11\r\n\r\n"),
        ),
        ("text-v6", raw(b"PROXY TCP6 2001:db8::7 ::ffff:10.0.0.1 4711 0\r\n")),
        ("text-unknown", raw(b"PROXY UNKNOWN ::1 \r \n ::1 1 2\r\nGET")),
        ("text-malformed", raw(b"PROXY TCP4 192.168.0.01 192.168.0.11 056 443\r\n")),
        ("text-long", raw(&[&b"PROXY UNKNOWN "[..], &[b'x'; 100]].concat())),
        ("v4", binary(&[0x21, 0x11, 0, 12], &v4)),
        ("v6", binary(&[0x21, 0x21, 0, 36], &[3; 36])),
        (
            "extras",
            binary(
                &[0x21, 0x11, 0, 29],
                &[&v4[..], b"\x01\0\x02h2\x04\0\0\x20\0\x06\x01\0\0\0\0\x21"].concat(),
            ),
        ),
        ("extras-malformed", binary(&[0x21, 0x11, 0, 16], &[&v4[..], b"\x04\0\x02a"].concat())),
        ("local", binary(&[0x20, 0xFF, 0, 3], b"abc")),
        ("unspec", binary(&[0x21, 0, 0, 0], &[])),
        ("unix", binary(&[0x21, 0x31, 0, 216], &[b'/'; 216])),
        ("datagram", binary(&[0x21, 0x12, 0, 12], &v4)),
        ("malformed", binary(&[0x22, 0x11, 0, 12], &v4)),
        ("long", binary(&[0x21, 0x11, 0xFF, 0xFF], &v4)),
        ("request", raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")),
        ("written-text", written(&[0, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 1, 2, 3, 4])),
        ("written-binary", written(&[1, 1, 2, 7, 3, 9, 0, 4])),
    ]
}

fn frames() -> Vec<(&'static str, Vec<u8>)> {
    // Role, RSV1, the two limits, cuts, recipe or raw.
    let raw = |bytes: &[u8]| with(&[0, 1, 3, 3, 0, 9, 0], bytes);
    let client = |bytes: &[u8]| with(&[1, 0, 3, 3, 0, 9, 0], bytes);
    let recipe = |role: u8, bytes: &[u8]| with(&[role, 1, 4, 4, 0, 9, 1], bytes);
    let tour = [
        3, 1, 0, 40, b'h', 2, 1, 0, 1, 2, 3, 4, 5, 0, 0, 5, b'p', b'i', b'n', b'g', b's', 9, 9, 9,
        9, 4, 0, 1, 0xff, 1, 0, b'b', b'c', 0, 1, 2, 3, 4, 5, 2, 3, 232, 3, b'b', b'y', b'e',
    ];
    vec![
        (
            "hello",
            raw(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
        ),
        (
            "fragments",
            raw(b"\x01\x82\0\0\0\0\xe2\x82\x89\x80\0\0\0\0\x80\x81\0\0\0\0\xac"),
        ),
        ("close", raw(b"\x88\x82\0\0\0\0\x03\xe8\x81\x80\0\0\0\0")),
        ("compressed", raw(b"\xc1\x81\0\0\0\0\x00\xc2\x80\0\0\0\0")),
        ("medium", raw(b"\x82\xfe\x00\x7e\0\0\0\0")),
        ("long", raw(b"\x82\xff\0\0\0\0\0\x01\x00\x00\0\0\0\0")),
        ("unmasked", raw(b"\x81\x00")),
        ("client", client(b"\x81\x05hello\x82\x7e\x01\x00")),
        ("recipe", recipe(0, &tour)),
        ("recipe-client", recipe(1, &tour)),
    ]
}

fn json() -> Vec<(&'static str, Vec<u8>)> {
    let texts: [(&str, &str); 33] = [
        ("ping", r#"{"type":"ping","timestamp":1e3,"id":"a"}"#),
        ("join", r#"{"id":7,"type":"join","room":"caf\u00e9"}"#),
        ("leave", r#"{"type":"leave","room":"a","room":"b"}"#),
        ("broadcast", r#"{"type":"broadcast","data":[{"a":null}]}"#),
        (
            "room",
            r#"{"type":"room_message","room":"a","data":{"type":"welcome"}}"#,
        ),
        (
            "private",
            r#"{"type":"private_message","to":"client_x","data":1}"#,
        ),
        (
            "metadata",
            r#"{"type":"set_metadata","metadata":{"a":1,"b":null},"id":1}"#,
        ),
        ("hello", r#"{"type":"hello","user":{"name":"x"}}"#),
        ("session", r#"{"type":"resume","id":2}"#),
        (
            "resume",
            r#"{"type":"resume","clientId":"client_AQIDBAUGBwgJCgsMDQ4PEBES","sessionSecret":"AAECAwQFBgcICQoLDA0ODw"}"#,
        ),
        (
            "terms",
            r#"{"type":"room_message","room":"a","data":1,"messageId":"m","ttlMs":5000,"key":"k","id":1}"#,
        ),
        ("acknowledge", r#"{"type":"ack","offset":7}"#),
        (
            "members",
            r#"{"type":"members","room":"a","after":"x","limit":5,"metadata":true}"#,
        ),
        (
            "history",
            r#"{"type":"history","room":"a","epoch":"00000000000000ab","after":5,"limit":7}"#,
        ),
        (
            "history-before",
            r#"{"type":"history","room":"a","epoch":null,"before":18446744073709551616}"#,
        ),
        ("typing", r#"{"\u0074ype":"typing_start","room":"a"}"#),
        ("stop", r#"{"type":"typing_stop","room":"a"}"#),
        ("app", r#" {"type":"app","id":1,"x":[]} "#),
        ("unknown", r#"{"type":"nobody","id":1}"#),
        ("surrogate", r#"{"type":"\ud800","room":"\ud800"}"#),
        (
            "base64",
            r#"{"type":"broadcast","data":"AP+/","encoding":"base64"}"#,
        ),
        (
            "file-start",
            r#"{"type":"file_start","transferId":"t","room":"a","name":"a.png","size":7,"mimeType":"image/png","hash":"sha256:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff","id":1}"#,
        ),
        (
            "file-to",
            r#"{"type":"file_start","to":"server","name":"a","size":0,"mimeType":"","transferSecret":"s"}"#,
        ),
        (
            "file-chunk",
            r#"{"type":"file_chunk","transfer":7,"offset":65536,"data":"AQI=","encoding":"base64"}"#,
        ),
        (
            "file-end",
            r#"{"type":"file_end","transferId":"t","name":"a","size":7,"hash":"sha256:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eff"}"#,
        ),
        (
            "file-abort",
            r#"{"type":"file_abort","transfer":7,"reason":"no"}"#,
        ),
        (
            "file-credit",
            r#"{"type":"file_credit","transfer":7,"offset":0,"window":65536}"#,
        ),
        ("file-complete", r#"{"type":"file_complete","transfer":7}"#),
        (
            "file-guide",
            r#"{"type":"image/png","name":"a.png","size":3}"#,
        ),
        ("array", "[1,2]"),
        ("broken", r#"{"type":"join""#),
        ("deep", r#"{"type":"broadcast","data":[[[["]}"]]]]}"#),
        (
            "patches",
            "{\"a\":1}\n{\"\\u0061\":2,\"b\":[1]}\n{\"a\":null}\n{\"c\":{}}",
        ),
    ];
    texts
        .iter()
        .map(|&(name, text)| (name, with(&[0x1e, 0x0f], text.as_bytes())))
        .collect()
}

/// Cuts and no flag: a stream. With the flag: one text.
fn mask() -> Vec<(&'static str, Vec<u8>)> {
    let stream = |bytes: &[u8]| with(&[1, 9, 0], bytes);
    let text = |text: &str| with(&[0, 0, 1], text.as_bytes());
    let payload = |kind: u8, payload: &[u8]| {
        let length = (payload.len() as u32).to_be_bytes();
        [&[kind, 0, 0, 0, 0, 0, 0, 0, 0][..], &length, payload].concat()
    };
    let frame = |kind: u8, bytes: &[u8]| stream(&payload(kind, bytes));
    let join = payload(0x20, b"\0\0\0\x01\0\x01a");
    let said = payload(0x40, b"\0\0\0\0\x01\0\x01a{\"type\":\"ack\"}");
    let upgrade = [
        HANDSHAKE,
        b"\x81\x88\x01\x02\x03\x04z#v#;2y*\x01\x80\0\0\0\0\x89\x81\0\0\0\0!\x80\x82\0\0\0\0\xc3\xa9",
        b"\x82\xfe\x00\x02\0\0\0\0hi\x88\x86\0\0\0\0\x03\xe8by\xc3\xa9",
    ]
    .concat();
    vec![
        ("upgrade", stream(&upgrade)),
        (
            "health",
            stream(b"GET /health?key=secret HTTP/1.1\r\nHost: a\r\nCookie: b=c\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
        ),
        (
            "chunked",
            stream(
                b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                5;a=b\r\nhello\r\n0\r\nA: secret\r\n\r\nGET /",
            ),
        ),
        ("refused", stream(&[HANDSHAKE, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"].concat())),
        ("tls", stream(b"\x16\x03\x01\x02\x00\x01\x00")),
        ("frame-batch", frame(0x08, &[b"\0\0\0\x02", &join[..], &said].concat())),
        ("frame-bytes", frame(0x41, b"\0\0\0\x03\0hello")),
        ("frame-metadata", frame(0x0a, b"\0\0\0\x04{\"a\":null,\"b\":[1,\"c\"]}")),
        ("frame-user", frame(0x02, b"\0\0\0\x05\x03{\"name\":\"Ada\"}")),
        ("frame-members", frame(0x27, b"\0\0\0\x06\0\x01a\x04\0\0\0\x09")),
        ("frame-app", frame(0x80, b"\0\0\0\x07{\"type\":\"app\",\"data\":\"hi\"}")),
        (
            "frame-file-start",
            frame(
                0x60,
                b"\0\0\0\x08\x05\0\0\x01a\0\x01f\0\x07\xe2\x80\x8b../b\0\0\0\0\0\0\0\x02\0\x03a/b\0\x01s",
            ),
        ),
        (
            "frame-file-chunk",
            frame(0x62, b"\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0hello"),
        ),
        (
            "frame-file-end",
            frame(
                0x63,
                &[b"\0\0\0\x09\0\0\0\0\0\0\0\x01\x02".as_slice(), &[7; 32]].concat(),
            ),
        ),
        (
            "frame-file-abort",
            frame(0x64, b"\0\0\0\x0a\0\0\0\0\0\0\0\x01no \"room\""),
        ),
        (
            "base64",
            text(r#"{"type":"broadcast","data":"aGk=","encoding":"base64"}"#),
        ),
        (
            "batch",
            text(r#"{"messages":[{"data":"AQ==","type":"broadcast","encoding":"base64"}],"type":"batch"}"#),
        ),
        (
            "file-start",
            text(
                r#"{"type":"file_start","room":"a","name":"../\u0418\u200b.txt","size":7,"mimeType":"text/plain"}"#,
            ),
        ),
        (
            "file-abort",
            text(r#"{"type":"file_abort","transferId":"f","reason":"no \"room\""}"#),
        ),
        (
            "file-hash",
            text(
                r#"{"hash":"sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad","transfer":1,"type":"file_end"}"#,
            ),
        ),
        (
            "message",
            text(r#"{"type":"room_message","room":"a","data":{"type":"welcome","n":[-10.5e+2,true]}}"#),
        ),
        (
            "escapes",
            text(r#"{"\u0074ype":"app","data":{"t\u0079pe":"ga\u0070","\u0071":"\n\ud83d\ude00"}}"#),
        ),
        (
            "almost",
            text(r#"{"data":{"type":"ga\u0071","typo":"welcome"}}"#),
        ),
        (
            "resume",
            text(r#"{"type":"resume","clientId":"client_AQIDBAUGBwgJCgsMDQ4PEBES","sessionSecret":"AAECAwQFBgcICQoLDA0ODw"}"#),
        ),
        (
            "terms",
            text(r#"{"type":"room_message","room":"a","data":"tea","messageId":"m","ttlMs":5,"key":"k"}"#),
        ),
        ("file", text(r#"{"type":"file_secret"}"#)),
        (
            "metadata",
            text(r#"{"type":"set_metadata","metadata":{"name":"Ada","\u00e9":null,"c":{"d":0}}}"#),
        ),
        ("broken", text(r#"{"data": secret, "b": 01, "c": tru"#)),
        ("bare", text("plain text, \u{20ac}, 12 times")),
    ]
}

fn replay() -> Vec<(&'static str, Vec<u8>)> {
    // Cuts and the flag that puts a header in front.
    let records = |bytes: &[u8]| with(&[2, 9, 1], bytes);
    vec![
        ("empty", records(&[])),
        ("ticks", records(&[1, 0, 2, 4, 0xd1, 1, 1, 0, 1, 0])),
        ("accept", records(&[12, 0, 2, 4, 0, 0, 0, 1, 0x33])),
        ("refuse", records(&[13, 0, 2, 4, 6, 0, 0, 1])),
        ("sent", records(&[3, 0, 0, 0, 0, 1, 0xff, 0xff, 3, 0])),
        (
            "polls",
            records(&[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0]),
        ),
        (
            "command",
            records(&[11, 0, 0, 0, 1, 1, b'a', 2, b'{', b'}', 0]),
        ),
        (
            "number",
            records(&[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]),
        ),
        ("sessions", {
            let client = [7; 18];
            let mut session = with(&[1], &client);
            session.extend([0xff; 8]);
            // No connection before, no metadata; one letter, one id, one answer.
            session.extend([0, 0, 1, 0, 0, 1]);
            session.extend(client);
            session.extend([1, 0, 0, 2, b'4', b'2', 1]);
            session.extend(client);
            session.extend([1, b'a', 1, 1, 1, 1, b'b', 1, 0]);
            session.extend([0; 32]);
            let mut bytes = vec![11, 0, 0, 0, 9, 0];
            bytes.extend(client);
            bytes.extend([9, session.len() as u8]);
            bytes.extend(session);
            bytes.extend([2, 0, 11, 0, 0, 0, 10]);
            bytes.extend(client);
            bytes.extend([9, 0]);
            records(&bytes)
        }),
        ("end", records(&[33, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0])),
        ("other", with(&[0, 0, 0], b"roomwire\x02")),
        ("none", with(&[0, 0, 0], b"GET / HTTP/1.1")),
    ]
}

const HANDSHAKE: &[u8] = b"GET /ws?token=secret HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer abc\r\n\r\n";

fn limiter() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        (
            "default",
            with(
                &[0, 0],
                &[0, 0, 3, 0, 1, 5, 2, 50, 3, 1, 0, 2, 99].repeat(8),
            ),
        ),
        (
            "odd",
            with(
                &[1, 7, 10, 2, 9, 9],
                &[0, 0, 1, 200, 0, 3, 2, 1, 1].repeat(8),
            ),
        ),
        (
            "huge",
            with(
                &[3, 4, 255, 255, 255, 255, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0],
                &[3, 3, 4, 9, 9, 9, 9].repeat(4),
            ),
        ),
    ]
}

fn heartbeat() -> Vec<(&'static str, Vec<u8>)> {
    // 30 s and 30 s, then pairs of how long and what.
    let start = [2, 0x75, 0x30, 2, 0x75, 0x30, 0x50];
    vec![
        ("silent", with(&start, &[3, 3, 3, 3, 3, 3, 3, 3])),
        ("lively", with(&start, &[1, 0].repeat(8))),
        (
            "paused",
            with(&start, &[2, 2, 2, 2, 3, 2, 2, 2, 1, 3, 2, 1, 2, 0, 1, 3]),
        ),
        ("short", with(&[0, 0, 0], &[2, 0, 2, 3, 2, 1])),
    ]
}

/// Two clients in the room with the given number, after the config.
fn two_in(config: [u8; 3], room: u8) -> Vec<u8> {
    let mut bytes = config.to_vec();
    bytes.extend([7, 0, 7, 0, 6, 6]);
    bytes.extend([9, 0, 0, 1, room, 9, 1, 0, 1, room, 3]);
    bytes
}

/// Client 1 stalls in a room, client 0 floods it, client 1 recovers.
fn stalled(config: [u8; 3], room: u8) -> Vec<u8> {
    let mut bytes = two_in(config, room);
    bytes.extend([17, 1, 5, 2]);
    for _ in 0..4 {
        bytes.extend([26, 0, 40, 200, 0, room, 3]);
    }
    bytes.extend([24, 1, 0, 20, 3, 24, 1, 0, 30, 3]);
    bytes.extend([17, 1, 0, 0, 18, 1, 3, 9, 0, 1, 3, room, 3]);
    bytes
}

fn server() -> Vec<(&'static str, Vec<u8>)> {
    const PLAIN: [u8; 3] = [0, 1, 0x80];
    let chat = {
        let mut bytes = two_in(PLAIN, 6);
        for kind in 1..14 {
            bytes.extend([9, kind & 1, kind, 0x0b, 6, 3]);
        }
        bytes.extend([6, 6, 23, 0, 0, 3, 20, 1, 1, 3]);
        bytes
    };
    let application = {
        let mut bytes = two_in([0x30, 0, 0], 6);
        bytes.extend([
            9, 0, 11, 1, 9, 0, 11, 1, 3, 4, 5, 0, 9, 1, 11, 1, 3, 4, 6, 0,
        ]);
        bytes.extend([9, 1, 11, 1, 3, 4, 7, 0, 9, 0, 11, 1, 1, 3, 3]);
        bytes
    };
    let commands = {
        let mut bytes = two_in(PLAIN, 6);
        bytes.extend([
            4, 0, 0, 9, 4, 1, 0, 6, 9, 3, 4, 3, 1, 6, 3, 4, 4, 0, 2, 9, 1, 3, 4, 8, 0xff, 3,
        ]);
        bytes
    };
    let echo = {
        let mut bytes = vec![0, 0, 0, 0, 0x10, 8, 0, 1, 3];
        bytes.extend([
            16, 0, 1, 1, 0, 9, b'h', b'e', b'l', b'l', b'o', 0, 0, 0, 0, 3,
        ]);
        bytes.extend([17, 0, 3, 2]);
        bytes.extend([16, 0, 2, 1, 0, 150].repeat(12));
        bytes.extend([3, 17, 0, 0, 0, 18, 0, 3, 19, 0, 3]);
        bytes
    };
    let http = {
        let mut bytes = vec![0, 1, 0];
        for kind in 0..8 {
            bytes.extend([0, 0, 27, kind, 1, 22, kind, kind, 3, 6]);
        }
        bytes.extend([0, 0, 22, 8, 0, 8, 8, 0x42, 6, 6]);
        bytes
    };
    let beats = {
        let mut bytes = two_in([0, 4, 0], 4);
        bytes.extend([6, 24, 0, 1, 0, 6, 6, 24, 0, 1, 0, 6, 1, 3, 6]);
        bytes
    };
    let limits = {
        let mut bytes = two_in([0xff, 1, 0x24], 6);
        for kind in [1, 6, 12, 12, 1, 1, 1, 1, 13, 13] {
            bytes.extend([9, 0, kind, 1, 6, 3]);
        }
        bytes.extend([1, 3, 24, 1, 0, 1, 24, 1, 0, 1, 24, 1, 0, 1, 24, 1, 0, 1, 3]);
        bytes
    };
    let rude = {
        let mut bytes = two_in([0, 1, 0x40], 6);
        bytes.extend([
            21, 0, 0, 2, 9, 1, 1, 0, 6, 3, 17, 1, 255, 1, 9, 0, 1, 0, 6, 3,
        ]);
        bytes.extend([
            21, 1, 1, 8, 255, 255, 255, 255, 255, 255, 255, 255, 0, 21, 0, 2, 3, 5, 0, 0,
        ]);
        bytes.extend([20, 0, 0, 5, 0, 0, 5, 1, 0, 5, 2, 0, 5, 3, 0, 5, 4, 0, 3]);
        bytes
    };
    let large = {
        let mut bytes = two_in(PLAIN, 4);
        bytes.extend([7, 0, 7, 0, 7, 0, 6, 6]);
        bytes.extend([9, 2, 0, 1, 4, 9, 3, 0, 1, 4, 9, 4, 0, 1, 4, 3, 1, 26, 3]);
        bytes.extend([9, 1, 2, 1, 4, 1, 26, 3, 20, 0, 0, 20, 2, 0, 20, 3, 0, 3]);
        bytes
    };
    let adopted = {
        let mut bytes = PLAIN.to_vec();
        bytes.extend([0, 0xf8, 8, 0, 0, 3, 0, 0xf8, 8, 1, 0x40, 6, 3]);
        bytes.extend([9, 0, 1, 0x0b, 6, 3, 9, 1, 2, 0x0b, 6, 3]);
        bytes.extend([
            0, 0xf8, 8, 2, 1, 3, 16, 2, 1, 1, 0, 3, b'a', b'b', b'c', 3, 0, 0xf8, 22, 3, 0, 3, 6, 6,
        ]);
        bytes
    };
    let pipelined = [
        0, 1, 0, 0, 0, 17, 0, 5, 2, 22, 0, 0xf0, 22, 0, 0xf0, 3, 18, 0, 3,
    ]
    .to_vec();
    let after_close = {
        let mut bytes = two_in(PLAIN, 6);
        bytes.extend([
            17, 0, 0, 2, 4, 4, 0, 0, 60, 0, 3, 15, 0, 0xff, 15, 0, 0xff, 3,
        ]);
        bytes
    };
    let fragments = {
        let mut bytes = two_in(PLAIN, 6);
        bytes.extend([27, 0, 2, 25, 0, 1, 1, 6, 3, 25, 0, 2, 1, 6, 2, 3, 1, 5, 6]);
        bytes
    };
    // Messages of every kind, by the end of a pool, and what becomes of the jobs: done, failed, late, once more.
    let pool = {
        let mut bytes = vec![1, 1, 0x80, 252, 2, 251, 0, 251, 0, 6, 6];
        bytes.extend([9, 0, 0, 1, 6, 9, 1, 0, 1, 6, 3]);
        for kind in [0, 1, 2, 3, 4, 6] {
            bytes.extend([254, 0, kind, 0x40, 6, 6, 6, 254, 1, kind, 0x41, 6, 6, 6, 3]);
            bytes.extend([253, 8, 3, 253, 0, 3, 253, 7, 3]);
        }
        bytes.extend([254, 0, 8, 0x40, 3, 253, 0, 254, 0, 12, 0xc1, 3, 253, 0, 3]);
        bytes.extend([254, 1, 0, 0x41, 6, 9, 1, 1, 1, 6, 3, 253, 5, 3, 253, 7, 3]);
        bytes
    };
    let pool_goes = {
        let mut bytes = vec![1, 1, 0x80, 252, 1, 251, 0, 251, 0, 251, 0, 6, 6];
        bytes.extend([
            254, 0, 1, 0x41, 6, 254, 1, 1, 0x40, 6, 254, 2, 1, 0x41, 6, 3,
        ]);
        bytes.extend([20, 0, 0, 252, 0, 3, 253, 0, 3, 252, 3]);
        bytes.extend([
            254, 1, 0xf1, 0x41, 6, 254, 2, 1, 0x41, 6, 3, 20, 2, 1, 3, 253, 0, 3,
        ]);
        bytes
    };
    // Nobody is told anything of what is done.
    let pool_alone = {
        let mut bytes = vec![1, 1, 0x80, 252, 2, 7, 0, 6, 6, 9, 0, 0, 1, 6, 3];
        bytes.extend([254, 0, 0x10, 0x40, 6].repeat(3));
        bytes.extend([3, 253, 0, 3, 253, 0, 3, 253, 0, 3]);
        bytes
    };
    // A session is taken for another server, asked for, given; taken again, spoiled, given; and leaves with a drain.
    let sessions_elsewhere = {
        let mut bytes = vec![0, 0xc1, 0x80, 7, 0, 7, 0, 7, 0, 7, 0, 7, 0, 6, 6];
        bytes.extend([9, 0, 9, 3, 3, 9, 0, 8, 1, 3, 9, 1, 7, 1, 0, 3]);
        bytes.extend([20, 0, 1, 3, 9, 1, 7, 1, 0, 3, 9, 1, 7, 0x81, 0, 3]);
        bytes.extend([250, 1, 3, 9, 2, 9, 7, 0, 3, 250, 3, 3]);
        bytes.extend([9, 3, 9, 7, 0, 3, 250, 2, 3, 250, 6, 30, 1, 3]);
        bytes.extend([250, 5, 3, 9, 4, 9, 7, 0, 3, 250, 0, 3]);
        bytes.extend([20, 4, 1, 3, 4, 8, 0xff, 3, 6, 6]);
        bytes
    };
    vec![
        ("after-close", after_close),
        ("application", application),
        ("beats", beats),
        (
            "bare",
            with(
                &[0, 1, 0],
                &[
                    7, 8, 7, 8, 6, 9, 0, 0, 1, 6, 9, 1, 0, 1, 6, 9, 0, 1, 3, 6, 3, 9, 0, 6, 3, 3,
                ],
            ),
        ),
        ("adopted", adopted),
        ("budget", stalled([0, 1, 0x08], 6)),
        ("chat", chat),
        ("commands", commands),
        ("echo", echo),
        ("fragments", fragments),
        ("http", http),
        ("limits", limits),
        (
            "linger",
            with(&two_in(PLAIN, 3), &[9, 0, 2, 1, 3, 9, 1, 2, 1, 3, 3, 6, 6]),
        ),
        ("large", large),
        ("pipelined", pipelined),
        ("pool", pool),
        ("pool-alone", pool_alone),
        ("pool-goes", pool_goes),
        ("rude", rude),
        ("sessions-elsewhere", sessions_elsewhere),
        ("stalled-close", stalled(PLAIN, 6)),
        ("stalled-latest", stalled(PLAIN, 2)),
        ("stalled-newest", stalled(PLAIN, 1)),
        ("stalled-oldest", stalled(PLAIN, 0)),
    ]
}
