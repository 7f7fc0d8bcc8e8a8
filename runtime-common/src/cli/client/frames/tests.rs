use roomwire_core::dialect::binary::{encode, encode_batch};
use roomwire_core::{ClientId, Payload, Published};

use super::*;

fn told(message: &ServerMessage<'_>, number: u32) -> Vec<u8> {
    let mut out = Vec::new();
    encode(message, NonZeroU32::new(number), 9, &mut out);
    out
}

fn said() -> Vec<u8> {
    let message = ServerMessage::RoomMessage {
        room: "tea",
        from: ClientId::from_bytes(&[1; 18]),
        data: Payload::Bytes(b"hi"),
        timestamp: 9,
        offset: None,
    };
    told(&message, 0)
}

#[test]
fn outcomes_are_found_by_their_numbers() {
    let error = ServerMessage::Error {
        code: ErrorCode::RateLimited,
        message: "Slow",
        retry_after_ms: Some(9),
    };
    let mut batch = Vec::new();
    let both = [
        told(&ServerMessage::Ack(Published::default()), 7),
        told(&error, 8),
    ]
    .concat();
    encode_batch(&both, 9, &mut batch);
    let refusal = Refusal {
        code: "rate_limited".to_owned(),
        message: "Slow".to_owned(),
        retry_after_ms: Some(9),
    };
    let expected = [
        Facts {
            id: Some(key(7)),
            refusal: None,
        },
        Facts {
            id: Some(key(8)),
            refusal: Some(refusal),
        },
    ];
    assert_eq!(read(&batch), Ok(expected.into()));
    let quiet = Facts {
        id: None,
        refusal: None,
    };
    assert_eq!(read(&said()), Ok(vec![quiet]));
    assert!(read(b"no frame").is_err());
    let mut unknown = told(&ServerMessage::Ack(Published::default()), 7);
    unknown[0] = 0x1f;
    assert_eq!(read(&unknown), Ok(Vec::new()));
}

#[test]
fn frames_are_shown_as_json() {
    let client = ClientId::from_bytes(&[1; 18]);
    let message = format!(
        r#"{{"type":"room_message","room":"tea","from":"{client}","data":"aGk=","encoding":"base64","timestamp":9}}"#
    );
    assert_eq!(readable(&said()), Some(message));
    let ack = told(&ServerMessage::Ack(Published::default()), 7);
    assert_eq!(readable(&ack).as_deref(), Some(r#"{"type":"ack","id":7}"#));
    let mut batch = Vec::new();
    encode_batch(&[ack.as_slice(), &ack].concat(), 9, &mut batch);
    let both = r#"{"type":"batch","messages":[{"type":"ack","id":7},{"type":"ack","id":7}]}"#;
    assert_eq!(readable(&batch).as_deref(), Some(both));
    assert_eq!(readable(b"no frame"), None);
    assert_eq!(kind(&ack), "ack");
}

#[test]
fn a_room_whose_name_is_too_long_for_a_frame_is_not_joined() {
    assert_eq!(join(&"x".repeat(65_536), 1), None);
    assert!(join("tea", 1).is_some() && say("tea", b"", 2).is_some() && fence(3).is_some());
}
