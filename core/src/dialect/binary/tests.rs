//! Golden vectors, put together by hand from the table in PROTOCOL.md and shared with a client in another language:
//! at least one of every type in either direction, and what is refused.

use std::collections::BTreeSet;

use data_encoding::HEXLOWER;
use serde_json::Value;

use super::*;
use crate::dialect::json::{self, JsonLimits};
use crate::error::ErrorCode;
use crate::message::{Asked, ClientClock, ClientMessage, Messages, Request};

const VECTORS: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/vectors/binary.json"
));

fn limits() -> Limits {
    Limits {
        max_batch_messages: 3,
        ..Limits::default()
    }
}

fn is_application(kind: &str) -> bool {
    kind == "roll"
}

struct Vector {
    name: String,
    from_client: bool,
    frame: Vec<u8>,
    json: Option<String>,
    refused: Option<String>,
    number: Option<u32>,
}

fn vectors() -> Vec<Vector> {
    let all: Vec<Value> = serde_json::from_str(VECTORS).expect("JSON");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    all.iter()
        .map(|vector| Vector {
            name: text(&vector["name"]).expect("a name"),
            from_client: vector["from"] == "client",
            frame: HEXLOWER
                .decode(text(&vector["hex"]).expect("a frame").as_bytes())
                .expect("hexadecimal"),
            json: text(&vector["json"]),
            refused: text(&vector["refused"]),
            number: vector["number"]
                .as_u64()
                .map(|number| number.try_into().expect("a u32")),
        })
        .collect()
}

/// The request that the JSON message of the same meaning is, in binary. Its frame's number is `number`.
fn request_of(json: &str, number: Option<u32>) -> Request<'_> {
    let limits = JsonLimits::from(&limits());
    let request = json::decode(json, &limits, &is_application).expect(json);
    let Asked::Json(id) = request.asked else {
        panic!("{json} is JSON");
    };
    let number = number.or_else(|| id.map(|id| id.parse().expect("a number")));
    let message = match request.message {
        ClientMessage::Ping {
            timestamp: Some(ClientClock::Json(raw)),
        } => ClientMessage::Ping {
            timestamp: Some(ClientClock::Millis(raw.parse().expect("milliseconds"))),
        },
        other => other,
    };
    Request {
        asked: Asked::Binary(number.and_then(core::num::NonZeroU32::new)),
        message,
    }
}

// covers A5-01 A5-06 A5-08
#[test]
fn requests_are_what_their_vectors_say() {
    let limits = BinaryLimits::from(&limits());
    for vector in vectors() {
        let (true, Some(json)) = (vector.from_client, &vector.json) else {
            continue;
        };
        let name = &vector.name;
        let request = decode(&vector.frame, &limits, &is_application).expect(name);
        let expected = request_of(json, vector.number);
        if let ClientMessage::Batch { messages } = request.message {
            assert_eq!(request.asked, expected.asked, "{name}");
            let (Messages::Binary(frames), ClientMessage::Batch { messages }) =
                (messages, expected.message)
            else {
                panic!("{name} is a batch of frames");
            };
            let Messages::Json(array) = messages else {
                panic!("{name} is a batch of JSON");
            };
            let frames: Vec<_> = Frames::of(frames).collect();
            let array: Vec<_> = json::Elements::of(array).expect("an array").collect();
            assert_eq!(frames.len(), array.len());
            for (frame, json) in frames.into_iter().zip(array) {
                let inner = decode(frame, &limits, &is_application).expect(name);
                assert_eq!(inner, request_of(json, None), "{name}");
            }
        } else {
            assert_eq!(request, expected, "{name}");
        }
        let request = decode(&vector.frame, &limits, &is_application).expect(name);
        let timestamp = Frame::parse(&vector.frame).expect(name).timestamp;
        let mut written = Vec::new();
        encode_request(&request, timestamp, &mut written).expect(name);
        assert_eq!(
            HEXLOWER.encode(&written),
            HEXLOWER.encode(&vector.frame),
            "{name}"
        );
    }
}

// covers A5-01 A5-06 A5-08
#[test]
fn messages_are_what_their_vectors_say() {
    for vector in vectors() {
        let (false, Some(json)) = (vector.from_client, vector.json) else {
            continue;
        };
        let name = &vector.name;
        if let Some(frames) = split_batch(&vector.frame).expect(name) {
            let all: Vec<_> = frames.map(as_json).collect();
            let batch = format!(r#"{{"type":"batch","messages":[{}]}}"#, all.join(","));
            assert_eq!(batch, json, "{name}");
            let inside = vector.frame.get(HEADER_BYTES + 4..).expect("frames");
            let timestamp = Frame::parse(&vector.frame).expect(name).timestamp;
            let mut written = Vec::new();
            encode_batch(inside, timestamp, &mut written);
            assert_eq!(written, vector.frame, "{name}");
            continue;
        }
        assert_eq!(as_json(&vector.frame), json, "{name}");
        let told = decode_message(&vector.frame).expect(name);
        let mut written = Vec::new();
        encode(&told.message, told.number, told.timestamp, &mut written);
        assert_eq!(
            HEXLOWER.encode(&written),
            HEXLOWER.encode(&vector.frame),
            "{name}"
        );
    }
}

fn as_json(frame: &[u8]) -> String {
    let told = decode_message(frame).expect("a message");
    let id = told.number.map(|number| number.to_string());
    let mut text = Vec::new();
    json::encode(&told.message, id.as_deref(), &mut text);
    String::from_utf8(text).expect("text")
}

// covers A5-02 A5-03 A5-04
#[test]
fn what_is_wrong_is_refused_and_answered_where_it_can_be() {
    let limits = BinaryLimits::from(&limits());
    for vector in vectors() {
        let name = &vector.name;
        let Some(code) = vector.refused else {
            continue;
        };
        let code = ErrorCode::parse(&code).expect("a code");
        if vector.from_client {
            let rejected = decode(&vector.frame, &limits, &is_application).expect_err(name);
            let asked = match vector.number {
                None => Asked::Nothing,
                Some(number) => Asked::Binary(core::num::NonZeroU32::new(number)),
            };
            assert_eq!(
                (rejected.refusal.code, rejected.asked),
                (code, asked),
                "{name}"
            );
        } else {
            let refusal = match split_batch(&vector.frame) {
                Ok(None) => decode_message(&vector.frame).expect_err(name),
                Ok(Some(_)) => panic!("{name} is a batch"),
                Err(refusal) => refusal,
            };
            assert_eq!(refusal.code, code, "{name}");
        }
    }
}

/// Whoever sends JSON in a binary message is told so.
#[test]
fn json_by_mistake_is_explained() {
    let limits = BinaryLimits::from(&limits());
    let mistakes = vectors()
        .into_iter()
        .filter(|vector| vector.name.contains("by mistake"));
    let mut count = 0;
    for vector in mistakes {
        let rejected = decode(&vector.frame, &limits, &is_application).expect_err("no frame");
        assert!(
            rejected.refusal.message.contains("send JSON as text"),
            "{rejected}"
        );
        count += 1;
    }
    assert_eq!(count, 2);
}

// covers A5-05
#[test]
fn every_type_has_a_vector_in_each_direction() {
    let seen: BTreeSet<(u8, bool)> = vectors()
        .iter()
        .filter(|vector| vector.json.is_some())
        .map(|vector| (vector.frame[0], vector.from_client))
        .collect();
    let known: BTreeSet<(u8, bool)> = registry::REGISTRY
        .iter()
        .flat_map(|entry| {
            let client = entry.from_client.map(|_| (entry.kind, true));
            client
                .into_iter()
                .chain(entry.from_server.map(|_| (entry.kind, false)))
        })
        .collect();
    assert_eq!(seen, known);
}
