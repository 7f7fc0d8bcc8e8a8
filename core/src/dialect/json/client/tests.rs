//! What a server writes is what a client reads; whatever else comes is no error.

use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::dialect::json::{JsonLimits, any_value, decode, encode};
use crate::message::{
    Asked, ClientMessage, Data, Epoch, Former, PastMessage, Payload, Published, ServerMessage,
    SessionSecret, Since, Terms, Welcome,
};

const LEFT_OUT: [Gap; 2] = [Gap { from: 1, to: 1 }, Gap { from: 5, to: 9 }];
const A: &str = "client_AAAAAAAAAAAAAAAAAAAAAAAA";
const POSITION: Position = Position {
    epoch: Epoch(0xaa),
    last: 9,
};

const SECRET: SessionSecret = SessionSecret([7; 16]);

fn a() -> ClientId {
    ClientId::parse(A).expect("an id")
}

/// What the server's own words come to.
fn read(message: &ServerMessage<'_>) -> Told {
    let mut told = Vec::new();
    for id in [None, Some("7"), Some(r#""rw\"1""#)] {
        let mut out = Vec::new();
        encode(message, id, &mut out);
        let text = String::from_utf8(out).expect("text");
        let message = Message::read(text.clone());
        assert_eq!((message.id.as_deref(), &message.text), (id, &text));
        told.push(message.told);
    }
    let first = told.remove(0);
    assert!(told.iter().all(|it| *it == first));
    assert_eq!(Told::of(message), first, "whatever it was read of");
    first
}

fn said(data: SaidData) -> Said {
    Said {
        from: a(),
        data,
        timestamp: 5,
    }
}

fn json(text: &str) -> Said {
    said(SaidData::Json(text.to_owned()))
}

/// A name that is written with escapes.
const ROOM: &str = "a \"room\"\\\u{7}ä";

fn room() -> String {
    ROOM.to_owned()
}

#[test]
fn what_a_server_writes_about_rooms_is_read() {
    assert_eq!(
        read(&ServerMessage::JoinedRoom {
            room: ROOM,
            members: Cow::Owned(vec![a(), a()]),
            total: 7,
            history: Some(POSITION),
        }),
        Told::JoinedRoom {
            room: room(),
            members: vec![a(), a()],
            total: 7,
            history: Some(POSITION)
        }
    );
    assert_eq!(
        read(&ServerMessage::JoinedRoom {
            room: "",
            members: Cow::Owned(vec![]),
            total: 0,
            history: None,
        }),
        Told::JoinedRoom {
            room: String::new(),
            members: vec![],
            total: 0,
            history: None
        }
    );
    assert_eq!(
        read(&ServerMessage::LeftRoom { room: ROOM }),
        Told::LeftRoom { room: room() }
    );
    assert_eq!(
        read(&ServerMessage::MemberJoined {
            room: ROOM,
            client: a()
        }),
        Told::MemberJoined {
            room: room(),
            client: a()
        }
    );
    for reason in [
        LeaveReason::Left,
        LeaveReason::Disconnected,
        LeaveReason::Timeout,
        LeaveReason::Kicked,
    ] {
        assert_eq!(
            read(&ServerMessage::MemberLeft {
                room: ROOM,
                client: a(),
                reason
            }),
            Told::MemberLeft {
                room: room(),
                client: a(),
                reason: Some(reason)
            }
        );
    }
    for of in [Some(ROOM), None] {
        assert_eq!(
            read(&ServerMessage::MessagesDropped { room: of, count: 3 }),
            Told::MessagesDropped {
                room: of.map(str::to_owned),
                count: 3
            }
        );
    }
}

#[test]
fn what_a_server_writes_about_logs_is_read() {
    let messages = [
        (1, Payload::Json(r#"{ "a":1.0}"#)),
        (2, Payload::Bytes(b"\x00\xff")),
    ];
    let past = messages.map(|(offset, data)| PastMessage {
        offset,
        from: a(),
        data,
        timestamp: 5,
    });
    let gap = Some(Gap { from: 3, to: 4 });
    assert_eq!(
        read(&ServerMessage::History {
            room: ROOM,
            position: POSITION,
            messages: Cow::Borrowed(&past),
            more: true,
            gap,
            reset: true,
            left_out: Cow::Borrowed(&LEFT_OUT),
        }),
        Told::History(Page {
            room: room(),
            position: POSITION,
            messages: vec![
                Kept {
                    offset: 1,
                    said: json(r#"{ "a":1.0}"#)
                },
                Kept {
                    offset: 2,
                    said: said(SaidData::Bytes(vec![0, 255]))
                },
            ],
            gap,
            reset: true,
            left_out: LEFT_OUT.to_vec(),
        })
    );
    assert_eq!(
        read(&ServerMessage::History {
            room: ROOM,
            position: POSITION,
            messages: Cow::Borrowed(&[]),
            more: false,
            gap: None,
            reset: false,
            left_out: Cow::Borrowed(&[]),
        }),
        Told::History(Page {
            room: room(),
            position: POSITION,
            messages: vec![],
            gap: None,
            reset: false,
            left_out: vec![],
        })
    );
    for position in [None, Some(POSITION)] {
        let complete = position.is_some();
        assert_eq!(
            read(&ServerMessage::Resumed {
                room: ROOM,
                position,
                complete
            }),
            Told::Resumed {
                room: room(),
                position,
                complete
            }
        );
    }
    assert_eq!(
        read(&ServerMessage::Reset {
            room: ROOM,
            position: POSITION
        }),
        Told::Reset {
            room: room(),
            position: POSITION
        }
    );
}

#[test]
fn what_a_server_writes_about_data_is_read() {
    for offset in [None, Some(8)] {
        assert_eq!(
            read(&ServerMessage::RoomMessage {
                room: ROOM,
                from: a(),
                data: Payload::Json("[1, 2]"),
                timestamp: 5,
                offset,
            }),
            Told::RoomMessage {
                room: room(),
                said: json("[1, 2]"),
                offset
            }
        );
    }
    let (from, timestamp) = (a(), 5);
    let data = Payload::Json("null");
    assert_eq!(
        read(&ServerMessage::Broadcast {
            from,
            data,
            timestamp
        }),
        Told::Broadcast(json("null"))
    );
    let data = Payload::Bytes(b"bytes");
    for offset in [None, Some(8)] {
        assert_eq!(
            read(&ServerMessage::PrivateMessage {
                from,
                data,
                timestamp,
                offset,
            }),
            Told::PrivateMessage {
                said: said(SaidData::Bytes(b"bytes".to_vec())),
                offset
            }
        );
    }
}

#[test]
fn what_a_server_writes_about_the_connection_is_read() {
    assert_eq!(
        read(&ServerMessage::Welcome(Welcome {
            client: a(),
            timestamp: 1,
            resumed: true,
            heartbeat_interval_ms: 2,
            heartbeat_timeout_ms: 3,
            max_message_bytes: 4,
            max_rooms: 5,
            max_room_name_bytes: 6,
            rate_messages: Some(7),
            rate_per_ms: 8,
        })),
        Told::Welcome {
            client: a(),
            resumed: true,
            max_message_bytes: Some(4)
        }
    );
    for reconnect_after_ms in [None, Some(u64::MAX)] {
        assert_eq!(
            read(&ServerMessage::Closing {
                code: 1012,
                reason: "so",
                reconnect_after_ms
            }),
            Told::Closing {
                code: 1012,
                reason: "so".to_owned(),
                reconnect_after_ms
            }
        );
    }
    for code in ErrorCode::ALL {
        assert_eq!(
            read(&ServerMessage::Error {
                code,
                message: "no",
                retry_after_ms: Some(3)
            }),
            Told::Error {
                code: Some(code),
                message: "no".to_owned(),
                retry_after_ms: Some(3)
            }
        );
    }
    for gap in [None, Some(Gap { from: 2, to: 8 })] {
        let session = Session {
            client: a(),
            secret: SECRET,
            resumed: gap.is_some(),
            window_ms: 60_000,
            away_ms: 10_000,
            last: 9,
            gap,
            left_out: gap.into_iter().collect(),
        };
        assert_eq!(
            read(&ServerMessage::Session(session.clone())),
            Told::Session(session)
        );
    }
    for (offset, duplicate) in [(None, false), (Some(7), false), (None, true)] {
        let published = Published { offset, duplicate };
        assert_eq!(read(&ServerMessage::Ack(published)), Told::Ack(published));
    }
    let pong = ServerMessage::Pong {
        timestamp: 4,
        client_timestamp: None,
    };
    assert_eq!(read(&pong), Told::Pong { timestamp: 4 });
}

#[test]
fn whatever_is_not_understood_is_told_as_it_is() {
    for text in [
        "",
        "no JSON",
        "null",
        "[]",
        "\"welcome\"",
        "{",
        r#"{"type":"ack""#,
        r#"{"type":"ack"} x"#,
        r#"{"type":"welcome"}"#,
        r#"{"type":"welcome","clientId":"me"}"#,
        r#"{"type":"room_message","room":"tea","from":"me","data":1,"timestamp":1}"#,
        r#"{"type":"room_message","room":7}"#,
        r#"{"type":"closing","code":65536}"#,
        r#"{"type":"closing","code":-1}"#,
        r#"{"type":"reset","room":"tea","epoch":"aa","last":1}"#,
        r#"{"type":"history","room":"tea","epoch":"00000000000000aa","last":1,"messages":[7]}"#,
        r#"{"type":"joined_room","room":"tea","members":["x"],"total":1}"#,
        r#"{"type":"resumed","room":"tea"}"#,
        r#"{"type":"rolled","n":4}"#,
        r#"{"type":"\ud800"}"#,
        r#"{"data":1}"#,
    ] {
        let message = Message::read(text.to_owned());
        assert_eq!((message.told, &*message.text), (Told::Other, text));
    }
    // A code that is not known is an error all the same, and so is one for which a field is missing that it may lack.
    let message = Message::read(r#"{"code":"new_code","type":"error"}"#.to_owned());
    let expected = Told::Error {
        code: None,
        message: String::new(),
        retry_after_ms: None,
    };
    assert_eq!(message.told, expected);
    // Of fields that stand there twice the last one counts, however they are spelled.
    let text = r#"{"type":"pong","timestamp":1,"timest\u0061mp":2}"#;
    assert_eq!(
        Message::read(text.to_owned()).told,
        Told::Pong { timestamp: 2 }
    );
}

#[test]
fn batches_are_taken_apart() {
    let parts = |text| split_batch(text).map(|parts| parts.collect::<Vec<_>>());
    let batch = r#"{"type":"batch","messages":[{"type":"ack"}, {"a":[1,"]"]} ]}"#;
    assert_eq!(
        parts(batch),
        Some(vec![r#"{"type":"ack"}"#, r#"{"a":[1,"]"]}"#])
    );
    for text in [
        r#"{"type":"ack"}"#,
        r#"{"type":"batch"}"#,
        "[]",
        r#"{"type":"batch","messages":7}"#,
    ] {
        assert_eq!(parts(text), None, "{text}");
    }
}

const LIMITS: JsonLimits = JsonLimits {
    max_depth: 64,
    max_fields: 64,
    max_id_bytes: 128,
    max_batch_messages: 3,
};

/// A request as the server takes it.
#[track_caller]
fn request<'a>(text: &'a str) -> (Asked<'a>, ClientMessage<'a>) {
    let request = decode(text, &LIMITS, &|_| false).expect(text);
    (request.asked, request.message)
}

#[test]
fn requests_are_what_a_server_reads() {
    let asked = Asked::Json(Some("\"rw1\""));
    let room = Cow::Borrowed(ROOM);
    for (since, read) in [
        (None, None),
        (
            Some((None, 0)),
            Some(Since {
                epoch: None,
                after: 0,
            }),
        ),
        (
            Some((Some(Epoch(7)), 9)),
            Some(Since {
                epoch: Some(Epoch(7)),
                after: 9,
            }),
        ),
    ] {
        let message = ClientMessage::Join {
            room: room.clone(),
            since: read,
        };
        assert_eq!(request(&join(ROOM, since, "rw1")), (asked, message));
    }
    let message = ClientMessage::Leave { room: room.clone() };
    assert_eq!(request(&leave(ROOM, "rw1")), (asked, message));
    let message = ClientMessage::Ping { timestamp: None };
    assert_eq!(request(&ping("rw1")), (asked, message));
    let former = |after| Former {
        client: a(),
        secret: SECRET,
        after,
    };
    for former in [None, Some(former(None)), Some(former(Some(8)))] {
        let message = ClientMessage::Resume { former };
        assert_eq!(request(&resume(former.as_ref(), "rw1")), (asked, message));
    }
    let text = room_message(ROOM, "[1.0]").expect("JSON");
    let message = ClientMessage::RoomMessage {
        room: room.clone(),
        data: Data::Json("[1.0]"),
        terms: Terms::default(),
    };
    assert_eq!(request(&text), (Asked::Json(None), message.clone()));
    let with = with_id(&text, "rw1").expect("an object");
    assert_eq!(request(&with), (asked, message));
    let text = room_message_of_bytes(ROOM, b"\xff");
    let message = ClientMessage::RoomMessage {
        room,
        data: Data::Bytes(Cow::Borrowed(b"\xff")),
        terms: Terms::default(),
    };
    assert_eq!(request(&text), (Asked::Json(None), message));
    assert_eq!(room_message("tea", "1,\"x\":2"), None);
    assert_eq!(room_message("tea", ""), None);
}

#[test]
fn an_id_replaces_another() {
    let asked = |text: &str| {
        let with = with_id(text, "rw2").expect(text);
        let value: Value = serde_json::from_str(&with).expect("JSON");
        assert_eq!(value["id"], "rw2", "{with}");
    };
    for text in [
        "{}",
        " { } \n",
        r#"{"id":7}"#,
        r#"{"a":{"id":1}}"#,
        r#"{"a":"}"}  "#,
    ] {
        asked(text);
    }
    for text in ["", "[]", "{", "7", "{}{}", "{} x"] {
        assert_eq!(with_id(text, "rw2"), None, "{text}");
        assert!(!is_object(text), "{text}");
    }
}

#[test]
fn only_what_is_said_to_somebody_lacks_a_name() {
    for (text, lacks) in [
        (
            r#"{"type":"room_message","room":"tea","data":{"messageId":1}}"#,
            true,
        ),
        (r#"{"data":1,"type":"private\u005fmessage"}"#, true),
        (r#"{"type":"join","type":"room_message"}"#, true),
        (r#"{"type":"room_message","type":"join"}"#, false),
        (r#"{"type":"room_message","messageId":"mine"}"#, false),
        (r#"{"type":"room_message","message\u0049d":null}"#, false),
        (r#"{"type":"broadcast","data":1}"#, false),
        (r#"{"type":7}"#, false),
        ("{}", false),
        ("[]", false),
        (r#"{"type":"room_message""#, false),
    ] {
        assert_eq!(lacks_message_id(text), lacks, "{text}");
    }
    let named = with_message_id(r#"{"type":"room_message"} "#, "a\"").expect("an object");
    assert_eq!(named, r#"{"type":"room_message","messageId":"a\""}"#);
    assert_eq!(with_message_id("7", "a"), None);
}

#[test]
fn a_batch_is_as_long_as_it_says() {
    let text = batch([r#"{"type":"ping"}"#, r#"{"type":"hello"}"#].into_iter());
    assert_eq!(text.len(), BATCH_BYTES + 15 + 16 + 1);
    assert!(matches!(request(&text).1, ClientMessage::Batch { .. }));
}

proptest! {
    /// Whatever comes is read, and stays as it was.
    #[test]
    fn reading_is_total(text in prop_oneof![
        any::<String>(),
        any_value().prop_map(|value| value.to_string()),
        prop::collection::vec((0..29_usize, any_value()), 0..8).prop_map(|fields| {
            let fields = fields.iter().map(|(name, value)| format!("\"{}\":{value}", NAMES[*name]));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }),
    ]) {
        let message = Message::read(text.clone());
        prop_assert_eq!(&message.text, &text);
        prop_assert!(message.heap_bytes() >= text.len());
        let is_batch = split_batch(&text).is_some();
        prop_assert!(!is_batch || message.told == Told::Other);
    }
}

const NAMES: [&str; 29] = [
    "type",
    "id",
    "clientId",
    "code",
    "complete",
    "count",
    "data",
    "encoding",
    "epoch",
    "from",
    "gap",
    "history",
    "last",
    "limits",
    "maxMessageBytes",
    "members",
    "message",
    "messages",
    "offset",
    "reason",
    "reconnectAfterMs",
    "reset",
    "resumed",
    "retryAfterMs",
    "room",
    "timestamp",
    "to",
    "total",
    "other",
];
