//! Ids and numbers; what is said in either form.

use super::*;
use crate::dialect::binary;
use crate::id::ClientId;
use crate::message::{Data, SessionSecret, Terms};

const TO: &str = "client_AAAAAAAAAAAAAAAAAAAAAAAA";

/// What a server makes of it.
fn read(message: &Wire) -> (Asked<'_>, ClientMessage<'_>) {
    let request = match message {
        Wire::Text(text) => {
            let limits = JsonLimits::from(&crate::config::Limits::default());
            decode(text, &limits, &|_| false).expect("a request")
        }
        Wire::Frame(bytes) => {
            let limits = binary::BinaryLimits::from(&crate::config::Limits::default());
            binary::decode(bytes, &limits, &|_| true).expect("a request")
        }
    };
    (request.asked, request.message)
}

#[test]
fn both_forms_say_the_same() {
    let former = Former {
        client: ClientId::from_bytes(&[3; 18]),
        secret: SessionSecret([5; 16]),
        after: Some(9),
    };
    let owns = [
        Own::Join {
            room: "tea",
            since: None,
        },
        Own::Join {
            room: "tea",
            since: Some((Some(Epoch(7)), 5)),
        },
        Own::Join {
            room: "tea",
            since: Some((None, 0)),
        },
        Own::Leave { room: "tea" },
        Own::Resume { former: None },
        Own::Resume {
            former: Some(&former),
        },
    ];
    for said in owns {
        let (json, frame) = (own(Form::Json, said, 7, 1), own(Form::Binary, said, 7, 1));
        assert!(!json.goes_with(&frame));
        assert_eq!(read(&json).1, read(&frame).1);
        assert_eq!(read(&json).0, Asked::Json(Some("\"rw7\"")));
        assert_eq!(read(&frame).0, Asked::Binary(NonZeroU32::new(7)));
    }
    let ping = own(Form::Binary, Own::Ping, 7, 1);
    assert_eq!(read(&ping).0, Asked::Binary(NonZeroU32::new(7)));
    // A name that no frame can hold; the server says what it thinks of it.
    let room = &*"x".repeat(70_000);
    let text = own(Form::Binary, Own::Leave { room }, 7, 1);
    assert!(matches!(text, Wire::Text(_)));
}

#[test]
fn objects_are_frames_where_that_can_be() {
    let said = r#"{"type":"room_message","room":"tea","data":{ "a":1.0},"id":"its own"}"#;
    let frame = object(Form::Binary, said, (Some(7), None), 1).expect("an object");
    let message = ClientMessage::RoomMessage {
        room: Cow::Borrowed("tea"),
        data: Data::Json(r#"{ "a":1.0}"#),
        terms: Terms::default(),
    };
    assert_eq!(read(&frame), (Asked::Binary(NonZeroU32::new(7)), message));
    let bytes = r#"{"type":"broadcast","data":"/w==","encoding":"base64"}"#;
    let frame = object(Form::Binary, bytes, (None, None), 1).expect("an object");
    let message = ClientMessage::Broadcast {
        data: Data::Bytes(Cow::Borrowed(b"\xff")),
    };
    assert_eq!(read(&frame), (Asked::Binary(None), message));
    // What is asked of it besides goes along.
    let asked = said
        .replace("}}", "}")
        .replace(r#","id""#, r#","messageId":"m","ttlMs":5,"key":"k","id""#);
    let frame = object(Form::Binary, &asked, (Some(7), None), 1).expect("an object");
    let ClientMessage::RoomMessage { terms, .. } = read(&frame).1 else {
        panic!("{frame:?}");
    };
    let text = |text| Some(Cow::Borrowed(text));
    let (message_id, key) = (text("m"), text("k"));
    assert_eq!(
        terms,
        Terms {
            message_id,
            ttl_ms: Some(5),
            key
        }
    );
    // Under a name, if it lacks one.
    for form in [Form::Binary, Form::Json] {
        for text in [
            said,
            &said
                .replace("room_message", "private_message")
                .replace("room\":\"tea", &format!("to\":\"{TO}")),
        ] {
            let named = object(form, text, (Some(7), Some("n")), 1).expect("an object");
            let (ClientMessage::RoomMessage { terms, .. }
            | ClientMessage::PrivateMessage { terms, .. }) = read(&named).1
            else {
                panic!("{named:?}");
            };
            assert_eq!(terms.message_id, Some(Cow::Borrowed("n")));
            assert!(read(&named).0.has_id());
        }
    }
    // Of the application, too.
    let frame = object(Form::Binary, r#"{"type":"roll"}"#, (Some(7), None), 1).expect("an object");
    assert!(matches!(
        read(&frame).1,
        ClientMessage::Application { message, .. } if message == r#"{"type":"roll"}"#
    ));
    // What has an `id` of its own, is about files, or only JSON can say.
    let batch = r#"{"type":"batch","messages":[{"type":"ping"}]}"#;
    let file =
        r#"{"type":"file_start","transferId":"a","room":"tea","name":"a","size":1,"mimeType":"a"}"#;
    for text in [said, file, batch, "{}"] {
        let as_is = Wire::Text(text.to_owned());
        assert_eq!(
            object(Form::Binary, text, (None, None), 1),
            Some(as_is.clone())
        );
        assert_eq!(object(Form::Json, text, (None, None), 1), Some(as_is));
    }
    for form in [Form::Json, Form::Binary] {
        assert_eq!(object(form, "[]", (Some(7), None), 1), None);
    }
}

#[test]
fn several_are_a_batch_of_their_form() {
    for form in [Form::Json, Form::Binary] {
        let ping = |id| own(form, Own::Ping, id, 1);
        assert_eq!(Wire::batch(vec![]), None);
        assert_eq!(Wire::batch(vec![ping(1)]), Some(ping(1)));
        let batch = Wire::batch(vec![ping(1), ping(2), ping(3)]).expect("a batch");
        assert!(batch.goes_with(&ping(1)));
        let (asked, ClientMessage::Batch { messages }) = read(&batch) else {
            panic!("{batch:?}");
        };
        assert!(!asked.has_id());
        let count = match messages {
            Messages::Binary(frames) => binary::Frames::of(frames).count(),
            Messages::Json(_) => 3,
        };
        assert_eq!(count, 3);
        assert!(batch.len() > 3 * ping(1).len());
    }
}

#[test]
fn a_number_names_the_latest_id_that_it_can() {
    let number = |number| NonZeroU32::new(number).expect("a number");
    for (last, asked, id) in [
        (5, 5, Some(5)),
        (5, 1, Some(1)),
        (5, 6, None),
        (5, 0x8000_0000, None),
        (0x8000_0001, 1, Some(0x8000_0001)),
        (0x8000_0001, 2, Some(2)),
        (0x8000_0001, 0x7FFF_FFFF, Some(0x7FFF_FFFF)),
        (u64::MAX, 0x7FFF_FFFF, Some(u64::MAX)),
    ] {
        assert_eq!(id_of(number(asked), last), id, "{asked} at {last}");
    }
    assert_eq!((after(0), after(1)), (1, 2));
    assert_eq!(after(0x7FFF_FFFF), 0x8000_0001, "0 stands for none");
    assert_eq!(number_of(0x8000_0001), NonZeroU32::new(1));
    assert_eq!(after(u64::MAX), 1);
}

#[test]
fn ids_are_spelled_in_one_way() {
    for (raw, id) in [
        ("\"rw7\"", Some(7)),
        ("\"rw07\"", None),
        ("\"rw+7\"", None),
        ("\"7\"", None),
        ("7", None),
        ("\"rw7", None),
    ] {
        assert_eq!(own_id(raw), id, "{raw}");
    }
}
