//! The binary dialect.
//!
//! Promises: any bytes are read or refused, by a server and by a client; what was read is written again as the same
//! bytes, so nothing was overlooked; a stream gives the same frames however it is cut, and holds no more than one.

use roomwire_core::config::Limits;
use roomwire_core::dialect::binary::registry::Range;
use roomwire_core::dialect::binary::{
    BinaryLimits, Frame, FrameError, FrameStream, FrameTooLong, Frames, HEADER_BYTES, decode,
    decode_message, encode, encode_batch, encode_request, name_of, registry, split_batch,
};
use roomwire_core::dialect::json;
use roomwire_core::{Asked, ClientMessage, ErrorCode, Messages};

use crate::input::{Choices, Cuts};

/// Four bytes of choices, then a stream of frames.
pub fn target(data: &[u8]) {
    let mut choices = Choices::new(data);
    let limits = limits(choices.byte());
    let max_frame_bytes = [16, 64, 1_024, usize::MAX][choices.below(4)];
    let cuts = Cuts::choose(&mut choices);
    let stream = choices.rest();
    check_stream(stream, max_frame_bytes, cuts);
    check_stream(stream, max_frame_bytes, Cuts::BYTEWISE);
    // As one message, which may be none, and each frame by itself.
    check_request(stream, &limits, 0);
    check_message(stream);
    for frame in Frames::of(stream).take(64) {
        check_request(frame, &limits, 0);
        check_message(frame);
    }
}

/// Few, so that inputs come to it.
const MAX_BATCH_MESSAGES: usize = 4;

fn limits(choice: u8) -> BinaryLimits {
    BinaryLimits::from(&Limits {
        max_json_depth: [2, 3, 64, 127][usize::from(choice & 3)],
        max_json_fields: [2, 64][usize::from(choice >> 2 & 1)],
        max_batch_messages: MAX_BATCH_MESSAGES as u32,
        ..Limits::default()
    })
}

/// Frames as they come out of a stream in pieces, against those that lie there in one.
fn check_stream(bytes: &[u8], max_frame_bytes: usize, cuts: Cuts) {
    let mut stream = FrameStream::new(max_frame_bytes);
    let mut expected = Frames::of(bytes);
    let mut at = 0;
    for end in cuts.ends(bytes.len()) {
        let mut piece = &bytes[at..end];
        at = end;
        loop {
            let frame = match stream.next(&mut piece) {
                Ok(Some(frame)) => Some(frame.to_vec()),
                Ok(None) => None,
                Err(FrameTooLong) => {
                    // The header that says so stands right behind the last frame.
                    let rest = &bytes[bytes.len() - expected.left()..];
                    assert!(claimed(rest) > max_frame_bytes);
                    assert_eq!(stream.held_bytes(), HEADER_BYTES);
                    assert_eq!(stream.next(&mut piece), Err(FrameTooLong));
                    return;
                }
            };
            assert!(stream.held_bytes() <= max_frame_bytes.max(HEADER_BYTES));
            let Some(frame) = frame else {
                assert!(piece.is_empty());
                break;
            };
            assert!(frame.len() <= max_frame_bytes);
            assert_eq!(Some(frame.as_slice()), expected.next());
        }
    }
    assert_eq!(stream.held_bytes(), expected.left());
    if let Some(frame) = expected.next() {
        panic!("a frame of {} bytes was not seen", frame.len());
    }
}

/// The length of a frame by its header.
fn claimed(bytes: &[u8]) -> usize {
    let length: [u8; 4] = bytes[9..HEADER_BYTES].try_into().expect("a header");
    HEADER_BYTES.saturating_add(u32::from_be_bytes(length) as usize)
}

/// `level` frames are around this one.
fn check_request(bytes: &[u8], limits: &BinaryLimits, level: u32) {
    let is_application = |kind: &str| kind == "app";
    let frame = Frame::parse(bytes);
    let request = match decode(bytes, limits, &is_application) {
        Ok(request) => request,
        Err(rejected) => {
            let refusal = rejected.refusal;
            assert!(matches!(
                refusal.code,
                ErrorCode::BadMessage | ErrorCode::TooLarge | ErrorCode::UnknownType
            ));
            assert!(!refusal.message.is_empty() && !rejected.body_follows);
            assert_eq!(rejected.asked == Asked::Nothing, frame.is_err());
            if let Err(error) = frame {
                check_no_frame(bytes, error);
            }
            if let Ok(frame) = frame {
                let known = registry::entry(frame.kind).and_then(|entry| entry.from_client);
                let is_application = frame.kind == registry::APPLICATION;
                assert!(known.is_some() || refusal.code == ErrorCode::UnknownType);
                assert!(
                    known.is_none() || is_application || refusal.code != ErrorCode::UnknownType
                );
            }
            return;
        }
    };
    let frame = frame.expect("one frame");
    check_range(frame.kind, name_of(frame.kind).expect("a name"));
    let mut again = vec![b'-'];
    encode_request(&request, frame.timestamp, &mut again).expect("a frame");
    assert_eq!(&again[1..], bytes);
    assert_eq!(
        decode(&again[1..], limits, &is_application),
        Ok(request.clone())
    );
    match request.message {
        ClientMessage::Batch { messages } => {
            let Messages::Binary(frames) = messages else {
                panic!("of this dialect");
            };
            let mut inner = Frames::of(frames);
            let count = inner.by_ref().count();
            assert!((1..=MAX_BATCH_MESSAGES).contains(&count) && inner.left() == 0);
            if level < 4 {
                for frame in Frames::of(frames) {
                    check_request(frame, limits, level + 1);
                }
            }
        }
        ClientMessage::Application { kind, message } => {
            // The JSON dialect takes it for the same.
            assert_eq!(kind, "app");
            assert!(!json::is_server_type(message));
        }
        _ => {}
    }
}

/// What a type of frame is called fits the range that it is of.
fn check_range(kind: u8, name: &str) {
    let range = registry::range_of(kind);
    assert_ne!(range, Range::Never);
    assert_eq!(range == Range::Files, name.starts_with("file_"));
    assert_eq!(range == Range::Application, name == "application");
    assert_eq!(range == Range::Direct, name == "private_message");
    let for_many = ["broadcast", "room_message"].contains(&name);
    assert_eq!(range == Range::RoomData, for_many);
}

/// What is wrong with it follows from its length, and is said in words.
fn check_no_frame(bytes: &[u8], error: FrameError) {
    let (expected, word) = match bytes.len() {
        0..HEADER_BYTES => (FrameError::NoHeader, "header of 13 bytes"),
        length if length < claimed(bytes) => (FrameError::Short, "shorter"),
        _ => (FrameError::Long, "longer"),
    };
    assert_eq!(error, expected);
    assert!(error.to_string().contains(word));
}

fn check_message(bytes: &[u8]) {
    let batch = split_batch(bytes);
    if let Ok(Some(frames)) = batch {
        let frame = Frame::parse(bytes).expect("one frame");
        let mut again = Vec::new();
        encode_batch(&frame.payload[4..], frame.timestamp, &mut again);
        assert_eq!(again, bytes);
        assert!(frames.count() > 0);
        assert!(decode_message(bytes).is_err());
        return;
    }
    let Ok(told) = decode_message(bytes) else {
        return;
    };
    let frame = Frame::parse(bytes).expect("one frame");
    assert_eq!(told.timestamp, frame.timestamp);
    let entry = registry::entry(frame.kind).expect("an entry");
    assert!(entry.from_server.is_some());
    check_range(frame.kind, entry.name);
    let mut again = vec![b'-'];
    encode(&told.message, told.number, told.timestamp, &mut again);
    assert_eq!(&again[1..], bytes);
    // It is a message in JSON, too.
    let mut text = Vec::new();
    json::encode(&told.message, None, &mut text);
    let text = core::str::from_utf8(&text).expect("JSON is UTF-8");
    let parsed = serde_json::from_str::<serde::de::IgnoredAny>(text);
    assert!(parsed.is_ok(), "{text}");
}
