//! Masking one connection's stream, one JSON text, or one frame of the binary dialect.
//!
//! Promises: the length stays; cutting makes no difference; masking what is masked changes nothing that a parser
//! sees; JSON stays JSON and what is none stays none, and a server reads the same request, or refuses it with the
//! same words.

use roomwire_core::config::Limits;
use roomwire_core::dialect::Rejected;
use roomwire_core::dialect::binary::{self, BinaryLimits, Frames};
use roomwire_core::dialect::json::{self, JsonLimits};
use roomwire_core::replay::{Masker, mask_json};
use roomwire_core::websocket::{Data as DataOp, OpCode, put_masked_frame};
use roomwire_core::{ClientMessage, Config, Data, Destination, FileRequest, Messages, Request};

use crate::input::{Choices, Cuts};

/// Two bytes of cuts, then with a flag a text, otherwise a stream, which is tried as a frame, too.
pub fn target(data: &[u8]) {
    let mut choices = Choices::new(data);
    let cuts = Cuts::choose(&mut choices);
    if choices.flag() {
        if let Ok(text) = core::str::from_utf8(choices.rest()) {
            check_text(text);
        }
        return;
    }
    let bytes = choices.rest();
    let limits = Config::default().limits;
    let mut whole = bytes.to_vec();
    Masker::new(&limits).mask(&mut whole);
    let mut pieces = bytes.to_vec();
    let mut masker = Masker::new(&limits);
    let mut at = 0;
    for end in cuts.ends(bytes.len()) {
        masker.mask(&mut pieces[at..end]);
        at = end;
    }
    assert_eq!(whole, pieces, "cutting makes a difference");
    check_frame(bytes, cuts);
}

fn limits() -> Limits {
    Limits {
        max_json_depth: 4,
        max_json_fields: 8,
        max_id_bytes: 16,
        max_batch_messages: 4,
        ..Limits::default()
    }
}

fn is_application(kind: &str) -> bool {
    kind == "app"
}

const HANDSHAKE: &[u8] =
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// As a binary message, whole and in pieces, by a client whose key hides nothing.
fn check_frame(frame: &[u8], cuts: Cuts) {
    for ends in [vec![frame.len()], cuts.ends(frame.len())] {
        let mut stream = HANDSHAKE.to_vec();
        let mut places = Vec::new();
        let mut at = 0;
        let mut opcode = DataOp::Binary;
        for &end in &ends {
            let (piece, is_last) = (&frame[at..end], end == frame.len());
            put_masked_frame(
                &mut stream,
                OpCode::Data(opcode),
                is_last,
                false,
                piece,
                [0; 4],
            );
            places.push(stream.len() - piece.len()..stream.len());
            (at, opcode) = (end, DataOp::Continue);
        }
        Masker::new(&Config::default().limits).mask(&mut stream);
        let masked: Vec<u8> = places
            .into_iter()
            .flat_map(|place| stream[place].to_vec())
            .collect();
        assert_eq!(masked.len(), frame.len());
        assert_eq!(
            frame_shape(frame, false),
            frame_shape(&masked, false),
            "{masked:02x?}"
        );
    }
}

fn check_text(text: &str) {
    let masked = mask_json(text);
    assert_eq!(masked.len(), text.len());
    assert_eq!(
        text_shape(text, false),
        text_shape(&masked, false),
        "{masked}"
    );
    assert_eq!(
        json::is_server_type(text),
        json::is_server_type(&mask_data(text))
    );
}

/// As the value of `data`.
fn mask_data(text: &str) -> String {
    const START: &str = r#"{"data":"#;
    mask_json(&format!("{START}{text}")).split_off(START.len())
}

fn text_shape(text: &str, in_batch: bool) -> String {
    let limits = JsonLimits::from(&limits());
    shape(json::decode(text, &limits, &is_application), in_batch)
}

fn frame_shape(frame: &[u8], in_batch: bool) -> String {
    let limits = BinaryLimits::from(&limits());
    shape(binary::decode(frame, &limits, &is_application), in_batch)
}

/// What a server makes of a message, without what is said.
fn shape(decoded: Result<Request<'_>, Rejected<'_>>, in_batch: bool) -> String {
    let Request { asked, message } = match decoded {
        Ok(request) => request,
        Err(rejected) => return format!("{rejected:?}"),
    };
    let shape = match &message {
        // Refused as it is.
        ClientMessage::Batch { .. } if in_batch => "nested".to_owned(),
        ClientMessage::Batch { messages } => match messages {
            Messages::Json(array) => {
                let all: Vec<&serde_json::value::RawValue> =
                    serde_json::from_str(array).expect("an array");
                all.iter().map(|one| text_shape(one.get(), true)).collect()
            }
            Messages::Binary(frames) => Frames::of(frames)
                .map(|one| frame_shape(one, true))
                .collect(),
        },
        ClientMessage::Broadcast { data } => format!("broadcast {}", data_shape(data)),
        ClientMessage::RoomMessage { room, data, terms } => {
            format!("{room} {terms:?} {}", data_shape(data))
        }
        ClientMessage::PrivateMessage { to, data, terms } => {
            format!("{to:?} {terms:?} {}", data_shape(data))
        }
        ClientMessage::SetMetadata { metadata } => format!("metadata {}", metadata.len()),
        ClientMessage::Hello { user, batch } => format!("{:?} {batch:?}", user.map(str::len)),
        ClientMessage::Application { kind, message } => format!("{kind} {}", message.len()),
        ClientMessage::File(request) => file_shape(request),
        other => format!("{other:?}"),
    };
    format!("{asked:?} {shape}")
}

fn data_shape(data: &Data<'_>) -> String {
    match data {
        Data::Json(json) => format!("JSON {} {}", json.len(), json::is_server_type(json)),
        Data::Bytes(bytes) => format!("bytes {}", bytes.len()),
    }
}

fn file_shape(request: &FileRequest<'_>) -> String {
    // As many bytes in either dialect.
    let prose = |text: &str| {
        let written = serde_json::to_string(text).expect("text");
        (text.len(), written.len())
    };
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
            let texts = (prose(file_name), prose(mime_type), hash.is_some());
            format!("{name:?} {to} {texts:?} {size} {secret:?}")
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
        FileRequest::Abort { transfer, reason } => format!("{transfer:?} {:?}", prose(reason)),
        other => format!("{other:?}"),
    }
}
