use super::super::{EncodeError, encode_request};
use super::*;
use crate::config::Limits;
use crate::dialect::json::{self, JsonLimits};
use crate::message::Data;

const fn limits() -> BinaryLimits {
    BinaryLimits {
        max_batch_messages: 4,
        max_json_depth: 4,
        max_json_fields: 3,
    }
}

fn frame(message: ClientMessage<'_>) -> Result<Vec<u8>, EncodeError> {
    let mut frame = Vec::new();
    let asked = Asked::Binary(None);
    encode_request(&Request { asked, message }, 0, &mut frame).map(|()| frame)
}

fn is_taken(message: ClientMessage<'_>) -> bool {
    let frame = frame(message).expect("a frame");
    decode(&frame, &limits(), &|kind| kind == "app").is_ok()
}

/// What a binary client may say, a JSON client may say too.
#[test]
fn json_is_as_deep_as_in_the_json_dialect() {
    let json_limits = JsonLimits::from(&Limits {
        max_json_depth: limits().max_json_depth,
        ..Limits::default()
    });
    let is_json_taken =
        |text: &str| json::decode(text, &json_limits, &|kind| kind == "app").is_ok();
    for depth in 0..6 {
        let value = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let object = format!("{{\"a\":{value}}}");
        let of_value = is_json_taken(&format!(r#"{{"type":"broadcast","data":{value}}}"#));
        assert_eq!(of_value, depth < 4);
        let data = Data::Json(&value);
        assert_eq!(
            is_taken(ClientMessage::Broadcast { data }),
            of_value,
            "{depth}"
        );
        let user = Some(value.as_str());
        let batch = None;
        assert_eq!(
            is_taken(ClientMessage::Hello { user, batch }),
            of_value,
            "{depth}"
        );
        let of_object = is_json_taken(&format!(r#"{{"type":"set_metadata","metadata":{object}}}"#));
        let metadata = &object;
        assert_eq!(
            is_taken(ClientMessage::SetMetadata { metadata }),
            of_object,
            "{depth}"
        );
        let message = format!(r#"{{"type":"app","a":{value}}}"#);
        let of_message = is_json_taken(&message);
        let kind = "app".into();
        let message = &message;
        assert_eq!(
            is_taken(ClientMessage::Application { kind, message }),
            of_message,
            "{depth}"
        );
    }
}

#[test]
fn the_type_of_an_application_is_read_as_in_json() {
    let read = |message: &str| {
        let kind = "".into();
        let frame = frame(ClientMessage::Application { kind, message }).expect("a frame");
        let decoded = decode(&frame, &limits(), &|kind| kind == "app");
        decoded
            .map(|_| ())
            .map_err(|rejected| rejected.refusal.code)
    };
    for message in [
        r#"{"type":"app"}"#,
        "\n{ \"type\" : \"app\" } ",
        r#"{"type":"x","typ\u0065":"\u0061pp"}"#,
        r#"{"a":1,"a":2,"type":"app"}"#,
    ] {
        assert_eq!(read(message), Ok(()), "{message}");
    }
    for (message, code) in [
        (r#"{"type":"app","type":"x"}"#, ErrorCode::UnknownType),
        (r#"{"type":"app","type":null}"#, ErrorCode::BadMessage),
        (r#"{"type":"\ud800"}"#, ErrorCode::UnknownType),
        (r#"{"a":{"type":"app"}}"#, ErrorCode::BadMessage),
        (r#"{"a":1,"b":2,"c":3,"type":"app"}"#, ErrorCode::BadMessage),
    ] {
        assert_eq!(read(message), Err(code), "{message}");
    }
}

#[test]
fn a_batch_is_not_looked_into() {
    let mut frames = frame(ClientMessage::Ping { timestamp: None }).expect("a frame");
    let nested = frame(ClientMessage::Batch {
        messages: Messages::Binary(&frames),
    });
    frames.extend(nested.expect("a batch"));
    // Of no type at all.
    frames.extend([0; 13]);
    assert!(is_taken(ClientMessage::Batch {
        messages: Messages::Binary(&frames)
    }));
    frames.pop();
    assert!(!is_taken(ClientMessage::Batch {
        messages: Messages::Binary(&frames)
    }));
}
