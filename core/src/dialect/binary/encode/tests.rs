use super::super::{Told, decode_message};
use super::*;
use crate::error::ErrorCode;

fn read_back<'a>(message: &ServerMessage<'_>, frame: &'a mut Vec<u8>) -> Told<'a> {
    frame.clear();
    encode(message, None, 1, frame);
    decode_message(frame).expect("a frame")
}

#[test]
fn what_is_too_large_for_its_field_saturates() {
    let mut frame = Vec::new();
    let welcome = Welcome {
        client: ClientId::from_bytes(&[7; 18]),
        timestamp: u64::MAX,
        resumed: false,
        heartbeat_interval_ms: 1 << 32,
        heartbeat_timeout_ms: u64::MAX,
        max_message_bytes: usize::MAX,
        max_rooms: 1,
        max_room_name_bytes: 65_536,
        rate_messages: Some(1),
        rate_per_ms: 1 << 40,
    };
    let most = u64::from(u32::MAX);
    let told = Welcome {
        heartbeat_interval_ms: most,
        heartbeat_timeout_ms: most,
        max_message_bytes: u32::MAX as usize,
        max_room_name_bytes: 65_535,
        rate_per_ms: most,
        ..welcome
    };
    let message = ServerMessage::Welcome(welcome);
    assert_eq!(
        read_back(&message, &mut frame).message,
        ServerMessage::Welcome(told)
    );
    let unlimited = ServerMessage::Welcome(Welcome {
        rate_messages: None,
        ..told_of(&message)
    });
    let ServerMessage::Welcome(told) = read_back(&unlimited, &mut frame).message else {
        panic!("a welcome");
    };
    assert_eq!((told.rate_messages, told.rate_per_ms), (None, 0));

    let changed = ServerMessage::MembersChanged {
        room: "r",
        joined: 1 << 32,
        left: u64::MAX,
        total: usize::MAX,
    };
    let told = ServerMessage::MembersChanged {
        room: "r",
        joined: most,
        left: most,
        total: u32::MAX as usize,
    };
    assert_eq!(read_back(&changed, &mut frame).message, told);
}

fn told_of(message: &ServerMessage<'_>) -> Welcome {
    match message {
        ServerMessage::Welcome(welcome) => welcome.clone(),
        _ => panic!("a welcome"),
    }
}

/// However long: it never looks like none.
#[test]
fn a_time_is_never_taken_for_none() {
    let mut frame = Vec::new();
    for (after, told) in [
        (None, None),
        (Some(0), Some(0)),
        (Some(0xFFFF_FFFE), Some(0xFFFF_FFFE)),
        (Some(0xFFFF_FFFF), Some(0xFFFF_FFFE)),
        (Some(u64::MAX), Some(0xFFFF_FFFE)),
    ] {
        let error = |retry_after_ms| ServerMessage::Error {
            code: ErrorCode::RateLimited,
            message: "",
            retry_after_ms,
        };
        assert_eq!(read_back(&error(after), &mut frame).message, error(told));
        let closing = |reconnect_after_ms| ServerMessage::Closing {
            code: 1012,
            reason: "",
            reconnect_after_ms,
        };
        assert_eq!(
            read_back(&closing(after), &mut frame).message,
            closing(told)
        );
    }
}

#[test]
fn a_text_that_is_too_long_is_cut_between_characters() {
    let mut frame = Vec::new();
    for (room, length) in [
        ("x".repeat(65_535), 65_535),
        ("x".repeat(65_536), 65_535),
        (format!("x{}", "é".repeat(32_767)), 65_535),
        ("é".repeat(32_768), 65_534),
        ("😀".repeat(20_000), 65_532),
    ] {
        let told = read_back(&ServerMessage::LeftRoom { room: &room }, &mut frame);
        let room = room.get(..length).expect("between characters");
        assert_eq!(told.message, ServerMessage::LeftRoom { room });
    }
}

#[test]
fn a_page_that_is_too_long_says_that_there_is_more() {
    let mut frame = Vec::new();
    let members = vec![ClientId::from_bytes(&[7; 18]); 65_536];
    // One of them has none.
    let metadata = vec![Cow::Borrowed("{\"a\":1}"); 65_534];
    let page = ServerMessage::Members {
        room: "r",
        members: (&members).into(),
        metadata: Some((&metadata).into()),
        total: 65_536,
        more: false,
    };
    let told = read_back(&page, &mut frame).message;
    let ServerMessage::Members {
        members,
        metadata: Some(metadata),
        more: true,
        ..
    } = told
    else {
        panic!("{told:?}");
    };
    assert_eq!((members.len(), metadata.len()), (65_535, 65_535));
    assert_eq!(
        (metadata[65_533].as_ref(), metadata[65_534].as_ref()),
        ("{\"a\":1}", "{}")
    );
    // The whole page but its last one is not too long.
    let page = ServerMessage::JoinedRoom {
        room: "r",
        members: members.clone(),
        total: 65_536,
        history: None,
    };
    let mut other = Vec::new();
    assert_eq!(read_back(&page, &mut other).message, page);
}

/// Only a request in JSON can have told it, and its answer is JSON; a frame has to say something all the same.
#[test]
fn a_clock_in_json_is_told_if_it_is_milliseconds() {
    let mut frame = Vec::new();
    for (raw, told) in [("17", 17), ("1.5", 0), ("\"17\"", 0)] {
        let pong = |client_timestamp| ServerMessage::Pong {
            timestamp: 4,
            client_timestamp,
        };
        let message = read_back(&pong(Some(ClientClock::Json(raw))), &mut frame).message;
        assert_eq!(message, pong(Some(ClientClock::Millis(told))));
    }
}
