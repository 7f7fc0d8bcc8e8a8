//! Golden tests: the exact text of every message of the server.

use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::Value;

use super::encode;
use crate::error::ErrorCode;
use crate::id::ClientId;
use crate::message::{
    ClientClock, Epoch, Gap, LeaveReason, PastMessage, Payload, Position, Published, ServerMessage,
    Welcome,
};

const A: &str = "client_AAAAAAAAAAAAAAAAAAAAAAAA";
const B: &str = "client_________________________";

pub(super) fn a() -> ClientId {
    ClientId::parse(A).expect("an id")
}

fn b() -> ClientId {
    ClientId::parse(B).expect("an id")
}

fn text(message: &ServerMessage<'_>, id: Option<&str>) -> String {
    let mut out = b"before".to_vec();
    encode(message, id, &mut out);
    let text = String::from_utf8(out).expect("text");
    text.strip_prefix("before").expect("appended").to_owned()
}

/// Without an `id`, and with one right behind the type.
#[track_caller]
pub(super) fn golden(message: &ServerMessage<'_>, expected: &str) {
    let expected = expected.replace("$A", A).replace("$B", B);
    assert_eq!(text(message, None), expected);
    serde_json::from_str::<Value>(&expected).expect("JSON");
    let end = expected.find([',', '}']).expect("a type");
    for id in ["7", r#""\ud800""#] {
        let (kind, rest) = expected.split_at(end);
        assert_eq!(text(message, Some(id)), format!("{kind},\"id\":{id}{rest}"));
    }
}

fn welcome() -> Welcome {
    Welcome {
        client: a(),
        timestamp: 1,
        resumed: false,
        heartbeat_interval_ms: 30_000,
        heartbeat_timeout_ms: 30_001,
        max_message_bytes: 1_048_576,
        max_rooms: 256,
        max_room_name_bytes: 255,
        rate_messages: Some(100),
        rate_per_ms: 60_000,
    }
}

// covers A2-01
#[test]
fn welcome_tells_who_and_what() {
    golden(
        &ServerMessage::Welcome(welcome()),
        concat!(
            r#"{"type":"welcome","clientId":"$A","timestamp":1,"protocol":1,"resumed":false,"#,
            r#""heartbeatIntervalMs":30000,"heartbeatTimeoutMs":30001,"limits":{"maxMessageBytes":1048576,"#,
            r#""maxRooms":256,"maxRoomNameBytes":255,"rate":{"messages":100,"perMs":60000}}}"#
        ),
    );
    let unlimited = Welcome {
        resumed: true,
        rate_messages: None,
        ..welcome()
    };
    golden(
        &ServerMessage::Welcome(unlimited),
        concat!(
            r#"{"type":"welcome","clientId":"$A","timestamp":1,"protocol":1,"resumed":true,"#,
            r#""heartbeatIntervalMs":30000,"heartbeatTimeoutMs":30001,"limits":{"maxMessageBytes":1048576,"#,
            r#""maxRooms":256,"maxRoomNameBytes":255,"rate":null}}"#
        ),
    );
}

// covers A2-02 A2-03 A2-10
#[test]
fn replies() {
    let pong = |client_timestamp| ServerMessage::Pong {
        timestamp: u64::MAX,
        client_timestamp,
    };
    golden(
        &pong(None),
        r#"{"type":"pong","timestamp":18446744073709551615}"#,
    );
    golden(
        &pong(Some(ClientClock::Json("1.50"))),
        r#"{"type":"pong","timestamp":18446744073709551615,"clientTimestamp":1.50}"#,
    );
    golden(
        &pong(Some(ClientClock::Millis(u64::MAX))),
        r#"{"type":"pong","timestamp":18446744073709551615,"clientTimestamp":18446744073709551615}"#,
    );
    fn joined(members: &[ClientId]) -> ServerMessage<'_> {
        ServerMessage::JoinedRoom {
            room: "lobby",
            members: members.into(),
            total: 3,
            history: None,
        }
    }
    golden(
        &joined(&[a(), b()]),
        r#"{"type":"joined_room","room":"lobby","members":["$A","$B"],"total":3}"#,
    );
    golden(
        &joined(&[]),
        r#"{"type":"joined_room","room":"lobby","members":[],"total":3}"#,
    );
    golden(
        &ServerMessage::LeftRoom { room: "lobby" },
        r#"{"type":"left_room","room":"lobby"}"#,
    );
    golden(
        &ServerMessage::Ack(Published::default()),
        r#"{"type":"ack"}"#,
    );
    let published = |offset, duplicate| ServerMessage::Ack(Published { offset, duplicate });
    golden(&published(None, false), r#"{"type":"ack"}"#);
    golden(&published(Some(3), false), r#"{"type":"ack","offset":3}"#);
    golden(
        &published(Some(3), true),
        r#"{"type":"ack","offset":3,"duplicate":true}"#,
    );
}

// covers A2-04 A2-05 A0-13
#[test]
fn notices() {
    let (room, client) = ("é\"\\\n", b());
    golden(
        &ServerMessage::MemberJoined { room, client },
        r#"{"type":"member_joined","room":"é\"\\\n","clientId":"$B"}"#,
    );
    for (reason, name) in [
        (LeaveReason::Left, "left"),
        (LeaveReason::Disconnected, "disconnected"),
        (LeaveReason::Timeout, "timeout"),
        (LeaveReason::Kicked, "kicked"),
    ] {
        golden(
            &ServerMessage::MemberLeft {
                room: "r",
                client,
                reason,
            },
            &format!(r#"{{"type":"member_left","room":"r","clientId":"$B","reason":"{name}"}}"#),
        );
    }
    golden(
        &ServerMessage::MembersChanged {
            room: "r",
            joined: 1,
            left: 2,
            total: 3,
        },
        r#"{"type":"members_changed","room":"r","joined":1,"left":2,"total":3}"#,
    );
    golden(
        &ServerMessage::UserTyping { room: "r", client },
        r#"{"type":"user_typing","room":"r","clientId":"$B"}"#,
    );
    golden(
        &ServerMessage::UserStoppedTyping { room: "r", client },
        r#"{"type":"user_stopped_typing","room":"r","clientId":"$B"}"#,
    );
    golden(
        &ServerMessage::MemberUpdated {
            room: "r",
            client,
            metadata: "{\"a\": 1}",
        },
        r#"{"type":"member_updated","room":"r","clientId":"$B","metadata":{"a": 1}}"#,
    );
}

#[test]
fn pages_of_members() {
    fn page<'a>(
        members: &'a [ClientId],
        metadata: Option<&'a [Cow<'a, str>]>,
        more: bool,
    ) -> ServerMessage<'a> {
        ServerMessage::Members {
            room: "r",
            members: members.into(),
            metadata: metadata.map(Cow::Borrowed),
            total: 9,
            more,
        }
    }
    golden(
        &page(&[a()], None, true),
        r#"{"type":"members","room":"r","members":["$A"],"total":9,"more":true}"#,
    );
    golden(
        &page(&[], Some(&[]), false),
        r#"{"type":"members","room":"r","members":[],"total":9,"more":false,"metadata":{}}"#,
    );
    golden(
        &page(
            &[a(), b()],
            Some(&[Cow::Borrowed("{}"), Cow::Borrowed("{\"k\":[]}")]),
            false,
        ),
        concat!(
            r#"{"type":"members","room":"r","members":["$A","$B"],"total":9,"more":false,"#,
            r#""metadata":{"$A":{},"$B":{"k":[]}}}"#
        ),
    );
}

// covers A0-1 A1-04 A1-05 A2-06 A2-07
#[test]
fn envelopes_carry_data_byte_exact() {
    let (from, timestamp) = (a(), 5);
    let data = Payload::Json("{ \"n\" : 9007199254740993 }");
    golden(
        &ServerMessage::Broadcast {
            from,
            data,
            timestamp,
        },
        r#"{"type":"broadcast","from":"$A","data":{ "n" : 9007199254740993 },"timestamp":5}"#,
    );
    golden(
        &ServerMessage::RoomMessage {
            room: "r",
            from,
            data,
            timestamp,
            offset: None,
        },
        r#"{"type":"room_message","room":"r","from":"$A","data":{ "n" : 9007199254740993 },"timestamp":5}"#,
    );
    golden(
        &ServerMessage::PrivateMessage {
            from,
            data,
            timestamp,
            offset: None,
        },
        r#"{"type":"private_message","from":"$A","data":{ "n" : 9007199254740993 },"timestamp":5}"#,
    );
    golden(
        &ServerMessage::MetadataUpdated { metadata: "{}" },
        r#"{"type":"metadata_updated","metadata":{}}"#,
    );
}

#[test]
fn bytes_are_base64_and_marked() {
    let (from, timestamp) = (a(), 5);
    for (bytes, base64) in [(&b""[..], ""), (b"\xfb\xff", "+/8="), (b"tea", "dGVh")] {
        let data = Payload::Bytes(bytes);
        let fields = format!(r#""from":"$A","data":"{base64}","encoding":"base64","timestamp":5"#);
        golden(
            &ServerMessage::RoomMessage {
                room: "r",
                from,
                data,
                timestamp,
                offset: None,
            },
            &format!(r#"{{"type":"room_message","room":"r",{fields}}}"#),
        );
        golden(
            &ServerMessage::Broadcast {
                from,
                data,
                timestamp,
            },
            &format!(r#"{{"type":"broadcast",{fields}}}"#),
        );
        golden(
            &ServerMessage::PrivateMessage {
                from,
                data,
                timestamp,
                offset: None,
            },
            &format!(r#"{{"type":"private_message",{fields}}}"#),
        );
    }
}

// covers A2-08 A0-13 A0-14
#[test]
fn bad_news() {
    let error = |retry_after_ms| ServerMessage::Error {
        code: ErrorCode::RateLimited,
        message: "too \"often\"",
        retry_after_ms,
    };
    golden(
        &error(None),
        r#"{"type":"error","code":"rate_limited","message":"too \"often\""}"#,
    );
    golden(
        &error(Some(600)),
        r#"{"type":"error","code":"rate_limited","message":"too \"often\"","retryAfterMs":600}"#,
    );
    let dropped = |room| ServerMessage::MessagesDropped { room, count: 4 };
    golden(&dropped(None), r#"{"type":"messages_dropped","count":4}"#);
    golden(
        &dropped(Some("r")),
        r#"{"type":"messages_dropped","room":"r","count":4}"#,
    );
    let closing = |reconnect_after_ms| ServerMessage::Closing {
        code: 1012,
        reason: "restart",
        reconnect_after_ms,
    };
    golden(
        &closing(None),
        r#"{"type":"closing","code":1012,"reason":"restart"}"#,
    );
    golden(
        &closing(Some(500)),
        r#"{"type":"closing","code":1012,"reason":"restart","reconnectAfterMs":500}"#,
    );
}

#[test]
fn an_application_gets_the_id_spliced_in() {
    for (message, with_id) in [
        ("{}", "{\"id\":7}"),
        ("{ }", "{\"id\":7 }"),
        (" \n{\t\n}", "{\"id\":7\t\n}"),
        ("{\"type\":\"x\"}", "{\"id\":7,\"type\":\"x\"}"),
        (" { \"a\":1 } ", "{\"id\":7, \"a\":1 } "),
        ("{\"}\":1}", "{\"id\":7,\"}\":1}"),
        // None of these is an object: written as they are.
        ("[]", "[]"),
        ("", ""),
    ] {
        let application = ServerMessage::Application { message };
        assert_eq!(text(&application, None), message);
        assert_eq!(text(&application, Some("7")), with_id, "{message}");
    }
}

proptest! {
    #[test]
    fn names_and_texts_survive(room in any::<String>(), message in any::<String>(), count in any::<u64>()) {
        let dropped = text(&ServerMessage::MessagesDropped { room: Some(&room), count }, None);
        let tree: Value = serde_json::from_str(&dropped).unwrap();
        prop_assert_eq!(tree["room"].as_str(), Some(room.as_str()));
        prop_assert_eq!(tree["count"].as_u64(), Some(count));
        let error = ServerMessage::Error { code: ErrorCode::Internal, message: &message, retry_after_ms: Some(count) };
        let tree: Value = serde_json::from_str(&text(&error, Some("\"x\""))).unwrap();
        prop_assert_eq!(tree["message"].as_str(), Some(message.as_str()));
        prop_assert_eq!(tree["id"].as_str(), Some("x"));
    }
}

#[test]
fn what_is_kept_has_its_place() {
    let (from, timestamp) = (a(), 5);
    let position = Position {
        epoch: Epoch(0xab),
        last: 9,
    };
    golden(
        &ServerMessage::JoinedRoom {
            room: "r",
            members: [from][..].into(),
            total: 1,
            history: Some(position),
        },
        r#"{"type":"joined_room","room":"r","members":["$A"],"total":1,"history":{"epoch":"00000000000000ab","last":9}}"#,
    );
    golden(
        &ServerMessage::RoomMessage {
            room: "r",
            from,
            data: Payload::Json("1"),
            timestamp,
            offset: Some(9),
        },
        r#"{"type":"room_message","room":"r","from":"$A","data":1,"timestamp":5,"offset":9}"#,
    );
    golden(
        &ServerMessage::Reset {
            room: "r",
            position,
        },
        r#"{"type":"reset","room":"r","epoch":"00000000000000ab","last":9}"#,
    );
    let past = |offset, data| PastMessage {
        offset,
        from,
        data,
        timestamp,
    };
    let messages = [
        past(8, Payload::Json("{}")),
        past(9, Payload::Bytes(b"tea")),
    ];
    golden(
        &ServerMessage::History {
            room: "r",
            position,
            messages: [][..].into(),
            more: false,
            gap: None,
            reset: false,
            left_out: [][..].into(),
        },
        r#"{"type":"history","room":"r","epoch":"00000000000000ab","last":9,"messages":[],"more":false}"#,
    );
    golden(
        &ServerMessage::History {
            room: "r",
            position,
            messages: messages[..].into(),
            more: true,
            gap: Some(Gap { from: 5, to: 7 }),
            reset: true,
            left_out: [Gap { from: 1, to: 1 }, Gap { from: 3, to: 4 }][..].into(),
        },
        concat!(
            r#"{"type":"history","room":"r","epoch":"00000000000000ab","last":9,"messages":["#,
            r#"{"offset":8,"from":"$A","data":{},"timestamp":5},"#,
            r#"{"offset":9,"from":"$A","data":"dGVh","encoding":"base64","timestamp":5}],"#,
            r#""more":true,"gap":{"from":5,"to":7},"reset":true,"#,
            r#""leftOut":[{"from":1,"to":1},{"from":3,"to":4}]}"#,
        ),
    );
}
