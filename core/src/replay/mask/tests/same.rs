//! A server makes of what is masked what it makes of the original: the same request, with as many bytes to send on.

use proptest::prelude::*;

use super::super::binary::Frame;
use super::super::mask_json;
use crate::config::Limits;
use crate::dialect::binary::{self, BinaryLimits, Frames, HEADER_BYTES};
use crate::dialect::json::{self, Elements, JsonLimits};
use crate::dialect::{Rejected, json::Metadata};
use crate::files::display_name;
use crate::message::{ClientMessage, Data, Destination, FileRequest, Messages, Request};

fn limits() -> Limits {
    Limits {
        max_json_depth: 4,
        max_batch_messages: 3,
        ..Limits::default()
    }
}

fn is_application(kind: &str) -> bool {
    kind == "roll"
}

/// What a server reads, without what is said.
fn shape(decoded: Result<Request<'_>, Rejected<'_>>, in_batch: bool) -> String {
    match decoded {
        // Refused as it is.
        Ok(request) if in_batch && matches!(request.message, ClientMessage::Batch { .. }) => {
            format!("{:?} nested", request.asked)
        }
        Ok(request) => format!("{:?} {}", request.asked, message_shape(&request.message)),
        Err(rejected) => format!("{rejected:?}"),
    }
}

fn json_shape(text: &str, in_batch: bool) -> String {
    let limits = JsonLimits::from(&limits());
    shape(json::decode(text, &limits, &is_application), in_batch)
}

fn frame_shape(frame: &[u8], in_batch: bool) -> String {
    let limits = BinaryLimits::from(&limits());
    shape(binary::decode(frame, &limits, &is_application), in_batch)
}

fn message_shape(message: &ClientMessage<'_>) -> String {
    match message {
        ClientMessage::Broadcast { data } => format!("broadcast {}", data_shape(data)),
        ClientMessage::RoomMessage { room, data, terms } => {
            format!("{room} {terms:?} {}", data_shape(data))
        }
        ClientMessage::PrivateMessage { to, data, terms } => {
            format!("{to:?} {terms:?} {}", data_shape(data))
        }
        ClientMessage::SetMetadata { metadata } => {
            let mut merged = Metadata::default();
            let outcome = merged.merge(metadata, &(&limits()).into());
            format!("{outcome:?} {}", merged.as_json().len())
        }
        ClientMessage::Hello { user, batch } => format!("{:?} {batch:?}", user.map(str::len)),
        ClientMessage::Batch { messages } => match messages {
            Messages::Json(array) => Elements::of(array)
                .expect("an array")
                .map(|one| json_shape(one, true))
                .collect(),
            Messages::Binary(frames) => Frames::of(frames)
                .map(|one| frame_shape(one, true))
                .collect(),
        },
        ClientMessage::Application { kind, message } => format!("{kind} {}", message.len()),
        ClientMessage::File(request) => file_shape(request),
        other => format!("{other:?}"),
    }
}

fn data_shape(data: &Data<'_>) -> String {
    match data {
        Data::Json(json) => format!("JSON {} {}", json.len(), json::is_server_type(json)),
        Data::Bytes(bytes) => format!("bytes {}", bytes.len()),
    }
}

fn text_shape(text: &str) -> String {
    let shown = display_name(text);
    let written = |text: &str| serde_json::to_string(text).expect("text").len();
    format!(
        "{} {} {} {}",
        text.len(),
        written(text),
        shown.len(),
        written(&shown)
    )
}

fn file_shape(request: &FileRequest<'_>) -> String {
    match request {
        FileRequest::Start {
            name,
            to,
            file_name,
            size,
            mime_type,
            hash,
            secret,
        } => {
            let to = match to {
                Destination::Room(room) => format!("room {room}"),
                other => format!("{other:?}"),
            };
            let (called, kind) = (text_shape(file_name), text_shape(mime_type));
            let hash = hash.is_some();
            format!("{name:?} {to} {called} {size} {kind} {hash} {secret:?}")
        }
        FileRequest::Chunk {
            transfer,
            offset,
            data,
        } => format!("{transfer} {offset} {}", data.len()),
        FileRequest::End {
            transfer,
            size,
            hash,
        } => format!("{transfer:?} {size:?} {}", hash.is_some()),
        FileRequest::Abort { transfer, reason } => format!("{transfer:?} {}", text_shape(reason)),
        other => format!("{other:?}"),
    }
}

fn mask_frame(frame: &[u8], whole_bytes: Option<u64>) -> Vec<u8> {
    let mut masker = Frame::message(limits().max_message_bytes as u64, whole_bytes);
    frame.iter().map(|&byte| masker.masked(byte)).collect()
}

fn check_json(text: &str) -> Result<(), TestCaseError> {
    let masked = mask_json(text);
    prop_assert_eq!(masked.len(), text.len());
    prop_assert_eq!(
        json_shape(text, false),
        json_shape(&masked, false),
        "{} became {}",
        text,
        masked
    );
    Ok(())
}

fn check_frame(frame: &[u8]) -> Result<(), TestCaseError> {
    for whole_bytes in [None, Some(frame.len() as u64)] {
        let masked = mask_frame(frame, whole_bytes);
        let what = format!("{frame:02x?} became {masked:02x?}");
        prop_assert_eq!(
            frame_shape(frame, false),
            frame_shape(&masked, false),
            "{}",
            what
        );
    }
    Ok(())
}

#[test]
fn vectors() {
    const VECTORS: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/vectors/binary.json"
    ));
    let all: Vec<serde_json::Value> = serde_json::from_str(VECTORS).expect("JSON");
    let from_clients = all.iter().filter(|vector| vector["from"] == "client");
    let mut count = 0;
    for vector in from_clients {
        let hex = vector["hex"].as_str().expect("a frame");
        let frame = data_encoding::HEXLOWER
            .decode(hex.as_bytes())
            .expect("hexadecimal");
        check_frame(&frame).expect(hex);
        if let Some(json) = vector["json"].as_str() {
            check_json(json).expect(json);
        }
        count += 1;
    }
    assert!(count > 40, "{count}");
}

// ---- JSON

/// Strings as they stand in JSON, in quotes, of every kind that is read.
fn string() -> impl Strategy<Value = String> {
    let spelled = |text: &str, escapes: &[bool]| {
        let char = |(at, char): (usize, char)| match escapes.get(at % escapes.len().max(1)) {
            Some(true) if (char as u32) < 0x1_0000 => format!("\\u{:04x}", char as u32),
            Some(true) => {
                let mut units = [0; 2];
                let units = char.encode_utf16(&mut units);
                units.iter().map(|unit| format!("\\u{unit:04X}")).collect()
            }
            _ => {
                let quoted = serde_json::to_string(&char).expect("a character");
                quoted[1..quoted.len() - 1].to_owned()
            }
        };
        let inside: String = text.chars().enumerate().map(char).collect();
        format!("\"{inside}\"")
    };
    let escapes = prop::collection::vec(prop::bool::weighted(0.3), 0..5);
    let text = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..9)
            .prop_map(|bytes| data_encoding::BASE64.encode(&bytes)),
        "[A-Za-z0-9+/=]{0,8}",
        Just("base64".to_owned()),
        "base6?4?x?",
        "sha256:[0-9a-f]{64}",
        "sha256:[0-9a-fA-FgZ=]{64}",
        "sha(256:)?[0-9a-f]{62,65}",
        r#"[a-c./\\ "\x00-\x1f\x7f-\xa1]{0,9}"#,
        "[\u{200a}-\u{2012}\u{2026}-\u{2030}\u{205f}-\u{206c}\u{fefe}\u{feff}\u{fb01}\u{ffff}a.]{0,6}",
        "\\PC{0,5}",
        Just("server".to_owned()),
        Just("file_start".to_owned()),
        Just("client_AAAAAAAAAAAAAAAAAAAAAAAA".to_owned()),
    ];
    let written = (text, escapes).prop_map(move |(text, escapes)| spelled(&text, &escapes));
    let units = prop::sample::select(vec![
        "\\ud800",
        "\\uDC00",
        "\\ud83d\\ude00",
        "\\u2028",
        "\\u200B",
        "\\ufeff",
        "\\u0085",
        "\\u003D",
        "\\u002f",
        "\\/",
        "\\n",
        "\\b",
        "A",
        "=",
        "\\u0041",
        "\\u005c",
        "\\u002E",
        "\\u0020",
        "sha256:",
        "\\u0073",
    ]);
    let raw = prop::collection::vec(units, 0..6).prop_map(|all| format!("\"{}\"", all.concat()));
    prop_oneof![4 => written, 1 => raw]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => string(),
        2 => "0|[1-9][0-9]{0,20}|-1|1\\.5|2e3",
        1 => Just("null".to_owned()),
        1 => prop::sample::select(vec!["true", "false", "{}", "[]", "[[1]]", r#"{"type":"ack"}"#, r#"{"a":null,"b":1}"#])
            .prop_map(str::to_owned),
    ]
}

/// Fields that a message of this type needs, more often than not.
fn message() -> impl Strategy<Value = String> {
    const TYPES: [&str; 23] = [
        "broadcast",
        "room_message",
        "private_message",
        "file_start",
        "file_start",
        "file_start",
        "file_chunk",
        "file_chunk",
        "file_end",
        "file_end",
        "file_abort",
        "file_credit",
        "file_complete",
        "hello",
        "set_metadata",
        "members",
        "history",
        "join",
        "roll",
        "ping",
        "image/png",
        "",
        "batch",
    ];
    const KEYS: [&str; 21] = [
        "type",
        "room",
        "to",
        "data",
        "encoding",
        "id",
        "metadata",
        "user",
        "after",
        "limit",
        "timestamp",
        "transferId",
        "transfer",
        "transferSecret",
        "offset",
        "size",
        "window",
        "hash",
        "name",
        "mimeType",
        "reason",
    ];
    let number = "0|[1-9][0-9]{0,17}";
    let base64 = prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..9)
            .prop_map(|bytes| data_encoding::BASE64.encode(&bytes)),
        // Bits that are padded away are not always 0.
        1 => "[A-Z]{2}==|[a-z0-9]{3}=",
    ]
    .prop_map(|text| format!("\"{text}\""));
    let hash = "sha256:[0-9a-f]{64}".prop_map(|hash| format!("\"{hash}\""));
    let proper = (
        string(),
        string(),
        string(),
        base64,
        hash,
        [number, number, number],
    );
    let proper = (prop::sample::select(&TYPES[..]), proper).prop_map(|(kind, (a, b, c, data, hash, n))| {
        let [n1, n2, n3] = n;
        let kind = ("type", format!("\"{kind}\""));
        let about = |fields: Vec<(&'static str, String)>| fields;
        let mut fields = match kind.1.trim_matches('"') {
            "file_start" => about(vec![
                ("room", a), ("name", b), ("mimeType", c), ("size", n1), ("hash", hash),
            ]),
            "file_end" => about(vec![("transfer", n1), ("size", n2), ("hash", hash)]),
            "file_abort" => about(vec![("transfer", n1), ("reason", a)]),
            "image/png" | "" => about(vec![("name", a), ("size", n1)]),
            "set_metadata" => about(vec![("metadata", format!("{{{a}:{b},\"x\":{c}}}"))]),
            "roll" => about(vec![("name", a), ("text", b)]),
            "batch" => about(vec![(
                "messages",
                format!(r#"[{{"data":{data},"type":"broadcast","encoding":"base64"}},{{"type":"join","room":{b}}},{n1}]"#),
            )]),
            _ => about(vec![
                ("room", a), ("transfer", n1), ("offset", n2), ("window", n3), ("data", data),
                ("encoding", "\"base64\"".to_owned()),
            ]),
        };
        fields.push(kind);
        fields
    });
    let extra = prop::collection::vec((prop::sample::select(&KEYS[..]), value()), 0..3);
    let dropped = prop::option::weighted(0.2, any::<prop::sample::Index>());
    (proper, extra, dropped).prop_flat_map(|(mut fields, extra, dropped)| {
        if let Some(dropped) = dropped {
            fields.remove(dropped.index(fields.len()));
        }
        fields.extend(extra);
        Just(fields).prop_shuffle().prop_map(|fields| {
            let fields: Vec<_> = fields
                .iter()
                .map(|(key, value)| format!("\"{key}\":{value}"))
                .collect();
            format!("{{{}}}", fields.join(","))
        })
    })
}

fn batch() -> impl Strategy<Value = String> {
    let messages = prop::collection::vec(prop_oneof![9 => message(), 1 => value()], 0..4);
    (messages, any::<bool>()).prop_map(|(messages, first)| {
        let (kind, messages) = (r#""type":"batch""#, messages.join(", "));
        if first {
            format!("{{{kind},\"messages\":[{messages}]}}")
        } else {
            format!("{{\"messages\":[{messages}],\"id\":1,{kind}}}")
        }
    })
}

// ---- frames

fn text(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

/// Bytes that are text more often than not.
fn texts() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        r#"[a-c./\\ "\x00-\x1f\x7f-\xa1]{0,9}"#,
        "[\u{200a}-\u{2012}\u{2026}-\u{2030}\u{205f}-\u{206c}\u{fefe}\u{feff}\u{fb01}a.]{0,6}",
        "\\PC{0,5}",
    ];
    let any_bytes = prop::collection::vec(prop_oneof![Just(b'a'), 0x80_u8..=0xff], 0..6);
    prop_oneof![9 => text.prop_map(String::into_bytes), 1 => any_bytes].boxed()
}

fn json_bytes() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        2 => super::text(),
        2 => message(),
        1 => value(),
        1 => (message(), value()).prop_map(|(one, other)| format!("{one}{other}")),
        1 => "[\\[\\]{},:\"a1 ]{0,12}",
    ];
    text.prop_map(String::into_bytes).boxed()
}

/// A payload of any type, now and then of another.
fn payload() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let flags = prop_oneof![0_u8..8, any::<u8>()];
    let number = prop_oneof![Just([0; 4]), any::<[u8; 4]>()];
    let parts = (
        number,
        flags,
        texts(),
        texts(),
        texts(),
        json_bytes(),
        any::<[u8; 32]>(),
    );
    let kind = prop_oneof![
        0_u8..0x0c,
        0x20_u8..0x2e,
        0x40_u8..0x42,
        0x50_u8..0x51,
        0x60_u8..0x6c,
        Just(0x80_u8),
        any::<u8>()
    ];
    (kind, parts).prop_map(|(kind, (number, flags, a, b, c, json, noise))| {
        let eight = &noise[..8];
        let client = &noise[..18];
        let data = if flags & 1 == 1 { &json[..] } else { &a[..] };
        let some = |bit: u8, bytes: &[u8]| {
            if flags & bit == 0 {
                Vec::new()
            } else {
                bytes.to_vec()
            }
        };
        let payload = match kind {
            0x02 => [&number[..], &[flags], &some(2, &json)].concat(),
            0x0a | 0x80 => [&number[..], &json].concat(),
            0x27 => [
                &number[..],
                &text(&a),
                &[flags],
                &some(2, client),
                &some(4, &noise[..4]),
            ]
            .concat(),
            0x40 => [&number[..], &[flags & 3], &text(&b), data].concat(),
            0x41 => [&number[..], &[flags & 3], data].concat(),
            0x50 => [&number[..], &[flags & 3], client, data].concat(),
            0x60 => {
                let to = match noise[31] % 4 {
                    0 => text(&c),
                    1 => client.to_vec(),
                    _ => Vec::new(),
                };
                let head = [
                    &number[..],
                    &[flags, noise[31] % 4],
                    &to,
                    &some(1, &text(&a)),
                ]
                .concat();
                let about = [&text(&b)[..], eight, &text(&c)].concat();
                [head, about, some(2, &noise), some(4, &text(&a))].concat()
            }
            0x62 => [eight, &noise[8..16], &a].concat(),
            0x63 => [
                &number[..],
                eight,
                &[flags & 3],
                &some(1, eight),
                &some(2, &noise),
            ]
            .concat(),
            0x64 => [&number[..], eight, &a].concat(),
            0x65 => noise[..20].to_vec(),
            0x66 => [&number[..], eight].concat(),
            0x03 => number.to_vec(),
            _ => [&number[..], &text(&a)].concat(),
        };
        (kind, payload)
    })
}

fn framed(kind: u8, payload: &[u8], claimed: i64) -> Vec<u8> {
    let length = (payload.len() as i64 + claimed).max(0) as u32;
    let mut frame = vec![kind, 1, 2, 3, 4, 5, 6, 7, 8];
    frame.extend(length.to_be_bytes());
    frame.extend(payload);
    frame
}

fn frame() -> impl Strategy<Value = Vec<u8>> {
    let claimed = prop_oneof![20 => Just(0_i64), 1 => -3_i64..4, 1 => Just(0x7fff_ffff)];
    let cut = prop::option::weighted(0.1, any::<prop::sample::Index>());
    (payload().boxed(), claimed, cut)
        .prop_map(|((kind, payload), claimed, cut)| {
            let end = cut.map_or(payload.len(), |cut| cut.index(payload.len() + 1));
            framed(kind, &payload[..end], claimed)
        })
        .boxed()
}

fn batch_of_frames() -> impl Strategy<Value = Vec<u8>> {
    let frames = |frame: BoxedStrategy<Vec<u8>>| {
        let spare = prop_oneof![9 => Just(0), 1 => 0_usize..20];
        (prop::collection::vec(frame, 0..5), spare).prop_map(|(frames, spare)| {
            let inside = [vec![0, 0, 0, 7], frames.concat(), vec![0x20; spare]].concat();
            framed(0x08, &inside, 0)
        })
    };
    let nested = frames(frame().boxed());
    frames(prop_oneof![8 => frame(), 1 => nested].boxed())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn messages_in_json(text in prop_oneof![4 => message(), 1 => batch()]) {
        check_json(&text)?;
    }

    #[test]
    fn frames(frame in prop_oneof![4 => frame(), 1 => batch_of_frames()]) {
        check_frame(&frame)?;
    }

    /// Data is as zeroed in one dialect as in the other, and nobody can tell what a hash was.
    #[test]
    fn nothing_is_left_of_contents(bytes in prop::collection::vec(1..=u8::MAX, 1..40), hash: [u8; 32]) {
        let chunk = framed(0x62, &[&[0; 16], &bytes[..]].concat(), 0);
        let masked = mask_frame(&chunk, None);
        prop_assert_eq!(&masked[HEADER_BYTES + 16..], vec![0; bytes.len()]);
        let end = framed(0x63, &[&[0; 12], &[2][..], &hash].concat(), 0);
        prop_assert_eq!(&mask_frame(&end, None)[HEADER_BYTES + 13..], [0; 32]);
        let data = data_encoding::BASE64.encode(&bytes);
        let zeros = data_encoding::BASE64.encode(&vec![0; bytes.len()]);
        let hex = data_encoding::HEXLOWER.encode(&hash);
        let message = |data: &str, hex: &str| format!(
            r#"{{"type":"file_chunk","data":"{data}","encoding":"base64","hash":"sha256:{hex}"}}"#
        );
        prop_assert_eq!(mask_json(&message(&data, &hex)), message(&zeros, &"0".repeat(64)));
    }
}
