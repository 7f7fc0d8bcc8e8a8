//! What a server says in a frame, in the words of JSON.

use roomwire_core::dialect::json;
use roomwire_core::{ClientClock, ServerMessage};

/// The JSON that says the same, with an `id` of JSON. A `pong` without the client's time has 0 for it in a frame.
pub(crate) fn json_of(message: ServerMessage<'_>, id: Option<&str>) -> String {
    let message = match message {
        ServerMessage::Pong {
            timestamp,
            client_timestamp: Some(ClientClock::Millis(0)),
        } => ServerMessage::Pong {
            timestamp,
            client_timestamp: None,
        },
        other => other,
    };
    let mut text = Vec::new();
    json::encode(&message, id, &mut text);
    String::from_utf8(text).expect("JSON is UTF-8")
}
