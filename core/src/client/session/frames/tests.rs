//! What is read of frames is what is read of the same in JSON.

use super::*;
use crate::dialect::binary::{decode_message, encode as encode_frame};
use crate::error::ErrorCode;
use crate::id::ClientId;
use crate::message::{
    Epoch, FileNotice, Gap, PastMessage, Payload, Position, Published, TransferId, Welcome,
};

const PUBLISHED: Published = Published {
    offset: None,
    duplicate: false,
};

fn number() -> Option<NonZeroU32> {
    NonZeroU32::new(7)
}

fn client() -> ClientId {
    ClientId::from_bytes(&[3; 18])
}

fn frame(message: &ServerMessage<'_>, number: Option<NonZeroU32>) -> Vec<u8> {
    let mut out = Vec::new();
    encode_frame(message, number, 5, &mut out);
    out
}

/// The same in JSON.
fn json(message: &ServerMessage<'_>, id: Option<&str>) -> Message {
    let mut out = Vec::new();
    encode(message, id, &mut out);
    Message::read(String::from_utf8(out).expect("text"))
}

#[test]
fn answers_are_what_they_are_in_json() {
    let position = Position {
        epoch: Epoch(7),
        last: 9,
    };
    let past = [PastMessage {
        offset: 9,
        from: client(),
        data: Payload::Bytes(b"\xff"),
        timestamp: 5,
    }];
    let members = [client()];
    let answers = [
        ServerMessage::JoinedRoom {
            room: "tea",
            members: (&members[..]).into(),
            total: 1,
            history: Some(position),
        },
        ServerMessage::Error {
            code: ErrorCode::RateLimited,
            message: "later",
            retry_after_ms: Some(5),
        },
        ServerMessage::History {
            room: "tea",
            position,
            messages: (&past[..]).into(),
            more: true,
            gap: None,
            reset: false,
            left_out: (&[Gap { from: 2, to: 3 }][..]).into(),
        },
        ServerMessage::Members {
            room: "tea",
            members: (&members[..]).into(),
            metadata: None,
            total: 1,
            more: false,
        },
        ServerMessage::Application {
            message: r#"{"type":"rolled","n":4}"#,
        },
    ];
    for message in answers {
        let (read, asked) = read(&frame(&message, number())).expect("a message");
        assert_eq!((read, asked), (json(&message, Some("7")), number()));
    }
    let (ack, asked) = read(&frame(&ServerMessage::Ack(PUBLISHED), number())).expect("a message");
    assert_eq!((ack.told, asked), (Told::Ack(PUBLISHED), number()));
    assert_eq!((&*ack.text, ack.id.as_deref()), ("", Some("7")));
}

/// Data is not written out once more.
#[test]
fn data_is_only_told() {
    let said = |data| ServerMessage::RoomMessage {
        room: "tea",
        from: client(),
        data,
        timestamp: 5,
        offset: Some(9),
    };
    for data in [Payload::Json("{ }"), Payload::Bytes(b"\xff")] {
        let (read, asked) = read(&frame(&said(data), None)).expect("a message");
        assert_eq!((read.told, asked), (json(&said(data), None).told, None));
        assert_eq!(read.text, "");
    }
    let welcome = ServerMessage::Welcome(Welcome {
        client: client(),
        timestamp: 5,
        resumed: false,
        heartbeat_interval_ms: 2,
        heartbeat_timeout_ms: 3,
        max_message_bytes: 4,
        max_rooms: 5,
        max_room_name_bytes: 6,
        rate_messages: None,
        rate_per_ms: 0,
    });
    let (read, _) = read(&frame(&welcome, None)).expect("a message");
    assert_eq!(read, json(&welcome, None), "but the rest is");
}

#[test]
fn answers_that_are_not_understood_are_answers() {
    let error = ServerMessage::Error {
        code: ErrorCode::RateLimited,
        message: "later",
        retry_after_ms: Some(5),
    };
    let mut bytes = frame(&error, number());
    // Another code of the same length.
    let at = bytes
        .windows(4)
        .position(|it| it == b"rate")
        .expect("a code");
    bytes[at..at + 4].copy_from_slice(b"fate");
    assert!(decode_message(&bytes).is_err());
    let (message, asked) = read(&bytes).expect("an answer");
    let told = Told::Error {
        code: None,
        message: "later".to_owned(),
        retry_after_ms: Some(5),
    };
    assert_eq!((message.told, asked), (told, number()));
    // An ack that says more than this version knows of.
    let mut bytes = frame(&ServerMessage::Ack(PUBLISHED), number());
    bytes.push(0);
    bytes[12] += 1;
    let (message, asked) = read(&bytes).expect("an answer");
    assert_eq!((message.told, asked), (Told::Other, number()));
    bytes[13..17].fill(0);
    assert_eq!(read(&bytes), None, "which answers nothing");
}

#[test]
fn the_rest_is_the_programs() {
    let file = ServerMessage::File(FileNotice::Wanted {
        transfer: TransferId::from_bits(1),
        offset: 0,
        length_bytes: 5,
    });
    assert_eq!(read(&frame(&file, None)), None);
    let mut unknown = frame(&ServerMessage::Ack(PUBLISHED), number());
    unknown[0] = 0x1F;
    assert_eq!(read(&unknown), None);
    assert_eq!(read(b"no frame"), None);
}
