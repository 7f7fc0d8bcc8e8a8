//! Tests of decoding, message by message.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::super::object::tests::any_value;
use super::*;

const LIMITS: JsonLimits = JsonLimits {
    max_depth: 64,
    max_fields: 64,
    max_id_bytes: 128,
    max_batch_messages: 3,
};

fn read(text: &str) -> Result<Request<'_>, Rejected<'_>> {
    let types = |kind: &str| kind == "process" || kind == "join";
    let read = decode(text, &LIMITS, &types);
    // Whoever knows the shape of a text finds the same in it, whatever it is.
    let shape = Shape::of(text, &LIMITS);
    assert_eq!(decode_shaped(text, &shape, &LIMITS, &types), read, "{text}");
    assert!(shape.heap_bytes() < 1_024, "{text}");
    read
}

#[track_caller]
fn message(text: &str) -> ClientMessage<'_> {
    match read(text) {
        Ok(Request {
            asked: Asked::Json(None),
            message,
        }) => message,
        other => panic!("{text}: {other:?}"),
    }
}

#[track_caller]
fn refused(text: &str, code: ErrorCode, message: &str) {
    let rejected = read(text).expect_err(text);
    let refusal = rejected.refusal;
    assert!(!rejected.body_follows, "{text}");
    assert!(refusal.message.contains(message), "{text}: {rejected}");
    assert_eq!(refusal.code, code, "{text}");
    // What is no object is of no dialect.
    let is_object = serde_json::from_str::<BTreeMap<String, IgnoredAny>>(text).is_ok();
    let asked = if is_object || text.contains("\\ud800") {
        Asked::Json(None)
    } else {
        Asked::Nothing
    };
    assert_eq!(rejected.asked, asked, "{text}");
}

#[track_caller]
fn bad(text: &str, message: &str) {
    refused(text, ErrorCode::BadMessage, message);
}

/// The `id` that is echoed, also by a refusal.
fn echoed<'a>(read: &Result<Request<'a>, Rejected<'a>>) -> Option<&'a str> {
    let asked = match read {
        Ok(request) => request.asked,
        Err(rejected) => rejected.asked,
    };
    match asked {
        Asked::Json(id) => id,
        Asked::Nothing => None,
        Asked::Binary(_) => panic!("not of this dialect"),
    }
}

fn lobby() -> Cow<'static, str> {
    Cow::Borrowed("lobby")
}

// covers A1-01 A1-02 A1-03 A1-04 A1-05 A1-06 A1-07 A1-08
#[test]
fn every_message_is_read() {
    use ClientMessage as M;
    let (room, timestamp) = (lobby(), Some(ClientClock::Json("1.5e3")));
    let table = [
        (r#"{"type":"ping"}"#, M::Ping { timestamp: None }),
        (
            r#"{"type":"ping","timestamp":1.5e3}"#,
            M::Ping { timestamp },
        ),
        (
            r#"{"type":"ping","timestamp":null}"#,
            M::Ping {
                timestamp: Some(ClientClock::Json("null")),
            },
        ),
        (
            r#"{"type":"join","room":"lobby"}"#,
            M::Join {
                room: lobby(),
                since: None,
            },
        ),
        (
            r#"{"type":"join","room":""}"#,
            M::Join {
                room: "".into(),
                since: None,
            },
        ),
        (
            r#"{"type":"join","room":"lobby","after":7,"epoch":"00000000000000ff"}"#,
            M::Join {
                room: lobby(),
                since: Some(Since {
                    epoch: Some(Epoch(255)),
                    after: 7,
                }),
            },
        ),
        (
            r#"{"type":"join","room":"lobby","after":99999999999999999999999}"#,
            M::Join {
                room: lobby(),
                since: Some(Since {
                    epoch: None,
                    after: u64::MAX,
                }),
            },
        ),
        (
            r#"{"type":"leave","room":"lobby"}"#,
            M::Leave { room: lobby() },
        ),
        (
            r#"{"type":"broadcast","data":null}"#,
            M::Broadcast {
                data: Data::Json("null"),
            },
        ),
        (
            r#"{"type":"room_message","room":"lobby","data":{}}"#,
            M::RoomMessage {
                room: lobby(),
                data: Data::Json("{}"),
                terms: Terms::default(),
            },
        ),
        (
            r#"{"type":"room_message","room":"lobby","data":1,"messageId":"m\u0031","ttlMs":99999999999,"key":"k"}"#,
            M::RoomMessage {
                room: lobby(),
                data: Data::Json("1"),
                terms: Terms {
                    message_id: Some("m1".into()),
                    ttl_ms: Some(u32::MAX),
                    key: Some("k".into()),
                },
            },
        ),
        (
            r#"{"type":"private_message","to":"x","data":1,"messageId":"m","ttlMs":1,"key":7}"#,
            M::PrivateMessage {
                to: None,
                data: Data::Json("1"),
                terms: Terms {
                    message_id: Some("m".into()),
                    ttl_ms: Some(1),
                    key: None,
                },
            },
        ),
        (
            r#"{"type":"room_message","room":"lobby","data":1,"messageId":null,"ttlMs":null,"key":null}"#,
            M::RoomMessage {
                room: lobby(),
                data: Data::Json("1"),
                terms: Terms::default(),
            },
        ),
        (r#"{"type":"ack","offset":7}"#, M::Ack { offset: 7 }),
        (
            r#"{"type":"private_message","to":"client_x","data":[1, 2]}"#,
            M::PrivateMessage {
                to: None,
                data: Data::Json("[1, 2]"),
                terms: Terms::default(),
            },
        ),
        (
            r#"{"type":"private_message","to":"client_AAAAAAAAAAAAAAAAAAAAAAAB","data":"AA=="}"#,
            M::PrivateMessage {
                to: Some(ClientId::encode(&[
                    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
                ])),
                data: Data::Json(r#""AA==""#),
                terms: Terms::default(),
            },
        ),
        (
            r#"{"type":"set_metadata","metadata":{"a":null}}"#,
            M::SetMetadata {
                metadata: r#"{"a":null}"#,
            },
        ),
        (
            r#"{"type":"hello"}"#,
            M::Hello {
                user: None,
                batch: None,
            },
        ),
        (
            r#"{"type":"hello","user":"JavaScript Client","batch":true}"#,
            M::Hello {
                user: Some("\"JavaScript Client\""),
                batch: Some(true),
            },
        ),
        (r#"{"type":"resume"}"#, M::Resume { former: None }),
        (
            r#"{"type":"resume","clientId":null,"sessionSecret":null}"#,
            M::Resume { former: None },
        ),
        (
            r#"{"type":"resume","sessionSecret":"AAECAwQFBgcICQoLDA0ODw","after":7,"clientId":"client_AQIDBAUGBwgJCgsMDQ4PEBES"}"#,
            M::Resume {
                former: Some(Former {
                    client: ClientId::parse("client_AQIDBAUGBwgJCgsMDQ4PEBES").expect("an id"),
                    secret: SessionSecret([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
                    after: Some(7),
                }),
            },
        ),
        (
            r#"{"type":"hello","batch":false}"#,
            M::Hello {
                user: None,
                batch: Some(false),
            },
        ),
        (
            r#"{"type":"batch","messages":[{"type":"ping"}, 7 ]}"#,
            M::Batch {
                messages: Messages::Json(r#"[{"type":"ping"}, 7 ]"#),
            },
        ),
        (
            r#"{"type":"typing_start","room":"lobby"}"#,
            M::TypingStart { room: lobby() },
        ),
        (
            r#"{"type":"typing_stop","room":"lobby"}"#,
            M::TypingStop { room },
        ),
    ];
    for (text, expected) in table {
        assert_eq!(message(text), expected, "{text}");
    }
}

// covers A7-03
#[test]
fn a_batch_is_an_array_of_messages() {
    for text in [
        r#"{"type":"batch"}"#,
        r#"{"type":"batch","messages":null}"#,
        r#"{"type":"batch","messages":{"0":{"type":"ping"}}}"#,
        r#"{"type":"batch","messages":"[]"}"#,
    ] {
        bad(text, "`messages` must be an array");
    }
    bad(r#"{"type":"batch","messages":[]}"#, "`messages` is empty");
    bad(r#"{"type":"batch","messages":[ ]}"#, "`messages` is empty");
    bad(r#"{"type":"hello","batch":1}"#, "`batch`");
    let of = |count: usize| {
        format!(
            r#"{{"type":"batch","messages":[{}]}}"#,
            vec!["7"; count].join(",")
        )
    };
    assert!(read(&of(3)).is_ok());
    refused(&of(4), ErrorCode::TooLarge, "`messages`");
}

// covers A7-03
#[test]
fn messages_of_a_batch_may_be_as_deep_as_others() {
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let message = |levels| format!(r#"{{"type":"broadcast","data":{}}}"#, deep(levels));
    let batch = |levels| format!(r#"{{"type":"batch","messages":[{}]}}"#, message(levels));
    let levels = LIMITS.max_depth as usize - 1;
    assert!(read(&message(levels)).is_ok() && read(&batch(levels)).is_ok());
    assert!(read(&message(levels + 1)).is_err());
    bad(&batch(levels + 1), "nested too deeply");
}

#[test]
fn a_page_of_members_is_read() {
    let page = |after: Option<&'static str>, limit, metadata| ClientMessage::Members {
        room: lobby(),
        after: after.map(Cow::Borrowed),
        limit,
        metadata,
    };
    let table = [
        (
            r#""limit":10,"after":"c","metadata":true"#,
            page(Some("c"), Some(10), true),
        ),
        (
            r#""limit":null,"after":null,"metadata":null"#,
            page(None, None, false),
        ),
        (r#""limit":0,"metadata":false"#, page(None, Some(0), false)),
        (r#""limit":4294967295"#, page(None, Some(u32::MAX), false)),
        (
            r#""limit":99999999999999999999999"#,
            page(None, Some(u32::MAX), false),
        ),
    ];
    for (fields, expected) in table {
        let text = format!(r#"{{"type":"members","room":"lobby",{fields}}}"#);
        assert_eq!(message(&text), expected, "{text}");
    }
    for (fields, wrong) in [
        (r#""limit":-1"#, "`limit`"),
        (r#""limit":1.0"#, "`limit`"),
        (r#""limit":1e3"#, "`limit`"),
        (r#""limit":"1""#, "`limit`"),
        (r#""limit":{}"#, "`limit`"),
        (r#""after":1"#, "`after`"),
        (r#""metadata":1"#, "`metadata`"),
        (r#""metadata":{}"#, "`metadata`"),
        (r#""room":1"#, "`room`"),
    ] {
        bad(
            &format!(r#"{{"type":"members","room":"lobby",{fields}}}"#),
            wrong,
        );
    }
}

// covers A1-11 A1-12 A1-13 A1-14
#[test]
fn what_is_no_request_is_refused() {
    for text in [
        "",
        "hello",
        "{",
        "{\"type\":\"ping\"",
        "{\"type\":\"ping\"}}",
        "\u{feff}{}",
    ] {
        refused(text, ErrorCode::BadJson, "Invalid message format");
        assert_eq!(
            read(text).expect_err(text).refusal.message,
            "Invalid message format"
        );
    }
    for text in [
        "null",
        "true",
        "1",
        "1e999",
        "\"ping\"",
        "[]",
        " [{\"type\":\"ping\"}]",
    ] {
        bad(text, "object");
    }
    for text in [
        "{}",
        r#"{"type":null}"#,
        r#"{"type":1}"#,
        r#"{"type":["ping"]}"#,
    ] {
        bad(text, "`type`");
    }
    for kind in [
        "",
        "Ping",
        "ping ",
        "welcome",
        "file_accepted",
        "file_",
        "session",
        "\\ud800",
        "__proto__",
    ] {
        let text = format!(r#"{{"type":"{kind}","room":"r","data":1}}"#);
        refused(&text, ErrorCode::UnknownType, "unknown message type");
    }
}

#[test]
fn fields_of_the_wrong_type_are_named() {
    for kind in ["join", "leave", "typing_start", "typing_stop"] {
        bad(&format!(r#"{{"type":"{kind}"}}"#), "`room`");
        for room in ["null", "1", "{}", "[\"a\"]", "\"\\ud800\""] {
            bad(&format!(r#"{{"type":"{kind}","room":{room}}}"#), "`room`");
        }
    }
    bad(r#"{"type":"broadcast"}"#, "`data`");
    bad(r#"{"type":"room_message","room":"a"}"#, "`data`");
    bad(r#"{"type":"room_message","data":1}"#, "`room`");
    bad(r#"{"type":"private_message","data":1}"#, "`to`");
    bad(r#"{"type":"private_message","to":1,"data":1}"#, "`to`");
    bad(r#"{"type":"private_message","to":"a"}"#, "`data`");
    for metadata in ["null", "\"ab\"", "[]", "1", "true"] {
        let text = format!(r#"{{"type":"set_metadata","metadata":{metadata}}}"#);
        bad(&text, "`metadata` must be an object");
    }
    bad(r#"{"type":"set_metadata"}"#, "`metadata`");
    bad(r#"{"type":"ping","timestamp":{}}"#, "`timestamp`");
    bad(r#"{"type":"ping","timestamp":[1]}"#, "`timestamp`");
}

#[test]
fn a_timestamp_is_bounded() {
    let ping = |digits: usize| format!(r#"{{"type":"ping","timestamp":{}}}"#, "1".repeat(digits));
    assert!(read(&ping(MAX_TIMESTAMP_BYTES)).is_ok());
    bad(&ping(MAX_TIMESTAMP_BYTES + 1), "`timestamp` is too long");
}

// covers A1-15
#[test]
fn data_is_byte_exact() {
    for data in [
        "9007199254740993",
        "1e999",
        "-0.0",
        "\"\\ud800 \\u0061\"",
        "{ \"a\" : 1,\t\"a\":2 }",
        "[ 1 ,\n2 ]",
        "\"\u{2028}é😀\"",
        "{\"__proto__\":{\"type\":\"welcome\"}}",
    ] {
        let text = format!(" {{\"data\" : {data} ,\"type\":\"broadcast\"}}\r\n");
        assert_eq!(
            message(&text),
            ClientMessage::Broadcast {
                data: Data::Json(data)
            },
            "{text}"
        );
    }
}

#[test]
fn data_may_be_bytes_in_base64() {
    let broadcast = |fields: &str| format!(r#"{{"type":"broadcast",{fields}}}"#);
    for (data, bytes) in [
        (r#""""#, &b""[..]),
        (r#""AA==""#, b"\0"),
        (r#""+/8=""#, b"\xfb\xff"),
        (r#""dGVh""#, b"tea"),
        (r#""\u0064GVh""#, b"tea"),
    ] {
        let data = broadcast(&format!(r#""data":{data},"encoding":"base64""#));
        let expected = Data::Bytes(bytes.into());
        assert_eq!(message(&data), ClientMessage::Broadcast { data: expected });
    }
    for data in [
        r#""AA""#,
        r#""AA=""#,
        r#""AB==""#,
        r#""-_8=""#,
        r#""AA==\n""#,
        // The end of one text and the beginning of another.
        r#""AA==AA==""#,
        r#""AQI=tran""#,
        r#""é""#,
        r#""\ud800""#,
        "null",
        "1",
        "{}",
        "[]",
    ] {
        bad(
            &broadcast(&format!(r#""data":{data},"encoding":"base64""#)),
            "`data` must be base64",
        );
    }
    bad(&broadcast(r#""encoding":"base64""#), "`data` is missing");
    for encoding in [r#""hex""#, r#""""#, "1", "{}", r#""BASE64""#] {
        bad(
            &broadcast(&format!(r#""data":"","encoding":{encoding}"#)),
            "`encoding`",
        );
    }
    let json = broadcast(r#""data":"AA==","encoding":null"#);
    let data = Data::Json(r#""AA==""#);
    assert_eq!(message(&json), ClientMessage::Broadcast { data });
}

// covers A1-15
#[test]
fn the_last_of_equal_keys_counts_however_it_is_spelled() {
    let text = r#"{"type":"leave","room":1,"typ\u0065":"join","ro\u006fm":"\u006cobby","\ud800":0,"roo":1}"#;
    assert_eq!(
        message(text),
        ClientMessage::Join {
            room: lobby(),
            since: None
        }
    );
    bad(r#"{"type":"join","room":"lobby","room":null}"#, "`room`");
    let nested = r#"{"type":"broadcast","data":{"type":"join","id":7}}"#;
    assert_eq!(
        message(nested),
        ClientMessage::Broadcast {
            data: Data::Json(r#"{"type":"join","id":7}"#)
        }
    );
}

// covers A1-15
#[test]
fn depth_and_fields_are_bounded() {
    let deep = |levels: usize| {
        let data = "[".repeat(levels) + &"]".repeat(levels);
        format!(r#"{{"type":"broadcast","data":{data},"id":1}}"#)
    };
    assert!(read(&deep(63)).is_ok());
    let text = deep(64);
    let rejected = read(&text).expect_err("65 levels");
    assert_eq!(
        (rejected.refusal.code, rejected.asked),
        (ErrorCode::BadMessage, Asked::Json(Some("1")))
    );
    assert!(read(&deep(100_000)).is_err());

    let wide = |fields: usize| format!(r#"{{{}"id":1,"type":"ping"}}"#, r#""x":0,"#.repeat(fields));
    assert!(read(&wide(62)).is_ok());
    let text = wide(63);
    let rejected = read(&text).expect_err("65 fields");
    assert_eq!(
        (rejected.refusal.code, rejected.asked),
        (ErrorCode::BadMessage, Asked::Json(Some("1")))
    );
}

// covers A1-16
#[test]
fn ids_are_echoed_raw_also_by_refusals() {
    for id in [
        "1",
        "-1.50",
        "1e999",
        "\"\"",
        "\"a\\u0062\\ud800\"",
        "9007199254740993",
    ] {
        let text = format!(r#"{{"id": {id} ,"type":"ping"}}"#);
        let asked = read(&text).map(|request| request.asked);
        assert_eq!(asked, Ok(Asked::Json(Some(id))));
        for (rest, code) in [
            ("\"type\":\"join\"", ErrorCode::BadMessage),
            ("\"type\":1", ErrorCode::BadMessage),
            ("\"type\":\"x\"", ErrorCode::UnknownType),
        ] {
            let text = format!("{{{rest},\"id\":{id}}}");
            let rejected = read(&text).expect_err("no request");
            assert_eq!(rejected.refusal.code, code, "{text}");
            assert_eq!(rejected.asked, Asked::Json(Some(id)), "{text}");
        }
    }
    for id in ["null", "true", "{}", "[1]"] {
        bad(&format!(r#"{{"id":{id},"type":"ping"}}"#), "`id`");
        bad(&format!(r#"{{"id":{id},"type":"x"}}"#), "`id`");
    }
    let long = |bytes: usize| format!(r#"{{"id":"{}","type":"ping"}}"#, "x".repeat(bytes - 2));
    assert!(read(&long(128)).is_ok());
    bad(&long(129), "`id` is too long");
}

#[test]
fn registered_types_come_whole_and_cannot_take_ours() {
    let text = r#" {"type":"pr\u006fcess","id":3,"data":[1]}"#;
    let request = read(text).expect("a registered type");
    assert_eq!(request.asked, Asked::Json(Some("3")));
    assert_eq!(
        request.message,
        ClientMessage::Application {
            kind: "process".into(),
            message: text
        }
    );
    assert_eq!(
        message(r#"{"type":"join","room":"lobby"}"#),
        ClientMessage::Join {
            room: lobby(),
            since: None
        }
    );
}

#[test]
fn only_escapes_are_copied() {
    let borrowed = message(r#"{"type":"join","room":"lobby é😀"}"#);
    assert!(matches!(
        borrowed,
        ClientMessage::Join {
            room: Cow::Borrowed("lobby é😀"),
            since: None,
        }
    ));
    let owned = message(r#"{"type":"join","room":"\"\\\ud83d\ude00"}"#);
    assert_eq!(
        owned,
        ClientMessage::Join {
            room: "\"\\😀".into(),
            since: None,
        }
    );
}

fn any_field() -> impl Strategy<Value = (String, Value)> {
    let key = prop_oneof![
        4 => prop::sample::select(vec![
            "type", "id", "room", "data", "to", "timestamp", "metadata", "user", "after", "limit",
        ])
        .prop_map(str::to_owned),
        1 => "[a-c\"\\\\é]{0,3}",
    ];
    let kind = prop::sample::select(vec![
        "ping",
        "join",
        "leave",
        "broadcast",
        "room_message",
        "private_message",
        "set_metadata",
        "hello",
        "members",
        "typing_start",
        "typing_stop",
        "process",
        "welcome",
        "x",
    ]);
    let value = prop_oneof![2 => any_value(), 1 => kind.clone().prop_map(Value::from)];
    prop_oneof![2 => (key, value), 1 => (Just("type".to_owned()), kind.prop_map(Value::from))]
}

/// What a tree says about a message: `Ok` or the code of the refusal.
fn judged(tree: &Value) -> Result<(), ErrorCode> {
    let has = |key: &str| tree.get(key).is_some();
    let text = |key: &str| tree[key].is_string();
    let optional = |key: &str, fits: bool| tree[key].is_null() || fits;
    let id = !has("id") || text("id") || tree["id"].is_number();
    let Some(kind) = tree["type"].as_str().filter(|_| id) else {
        return Err(ErrorCode::BadMessage);
    };
    let valid = match kind {
        "ping" => !tree["timestamp"].is_object() && !tree["timestamp"].is_array(),
        "join" => text("room") && optional("after", tree["after"].is_u64()),
        "leave" | "typing_start" | "typing_stop" => text("room"),
        "broadcast" => has("data"),
        "room_message" => text("room") && has("data"),
        "private_message" => text("to") && has("data"),
        "set_metadata" => tree["metadata"].is_object(),
        "hello" | "process" => true,
        "members" => {
            text("room")
                && optional("after", text("after"))
                && optional("limit", tree["limit"].is_u64())
                && optional("metadata", tree["metadata"].is_boolean())
        }
        _ => return Err(ErrorCode::UnknownType),
    };
    if valid {
        Ok(())
    } else {
        Err(ErrorCode::BadMessage)
    }
}

proptest! {
    #[test]
    fn decoding_agrees_with_a_tree(fields in prop::collection::vec(any_field(), 0..6)) {
        let text: Vec<_> = fields
            .iter()
            .map(|(key, value)| format!("{}:{value}", Value::from(key.as_str())))
            .collect();
        let text = format!("{{{}}}", text.join(" , "));
        let tree: Value = serde_json::from_str(&text).unwrap();
        let decoded = read(&text);
        prop_assert_eq!(decoded.as_ref().map(|_| ()).map_err(|rejected| rejected.refusal.code), judged(&tree), "{}", text);
        let echoed = echoed(&decoded).map(|id| serde_json::from_str::<Value>(id).unwrap());
        let valid = tree.get("id").filter(|id| id.is_string() || id.is_number());
        prop_assert_eq!(echoed.as_ref(), valid);
    }

    #[test]
    fn broken_messages_are_safe(at in 0_usize..90, with in "[\\[\\]{}\":,\\\\a0 \u{0}é]{0,3}") {
        let text = r#"{"id":"é1","type":"room_message","room":"l\u00f6bby","data":{"a":[1,"\ud800"]},"limit":3}"#;
        let split = text.floor_char_boundary(at);
        let inserted = format!("{}{with}{}", &text[..split], &text[split..]);
        let cut = format!("{}{with}", &text[..split]);
        for text in [inserted, cut] {
            let json = serde_json::from_str::<IgnoredAny>(&text).is_ok();
            let refused = read(&text).err().map(|rejected| rejected.refusal.code);
            prop_assert_eq!(refused != Some(ErrorCode::BadJson), json, "{}", text);
        }
    }
}
