//! Clients that speak the binary dialect think in JSON: what they say is put into frames, and what they hear back
//! into JSON.

use core::num::NonZeroU32;

use roomwire_core::dialect::binary::{self, Told};
use roomwire_core::dialect::json::{self, JsonLimits};
use roomwire_core::{Asked, ClientClock, ClientMessage, Config, Request};

use crate::told::json_of;

/// What a client says, as a frame. Its `id`, if it has one, must be a number.
pub(super) fn frame_of(text: &str, config: &Config) -> Result<Vec<u8>, String> {
    let limits = JsonLimits {
        ..JsonLimits::from(&config.limits)
    };
    let is_application = |kind: &str| config.application_types.iter().any(|known| known == kind);
    let Request { asked, message } =
        json::decode(text, &limits, &is_application).map_err(|error| format!("{error:?}"))?;
    let number = match asked {
        Asked::Json(Some(id)) => id.parse().ok().and_then(NonZeroU32::new),
        _ => None,
    };
    let message = match message {
        ClientMessage::Ping {
            timestamp: Some(ClientClock::Json(raw)),
        } => ClientMessage::Ping {
            timestamp: raw.parse().ok().map(ClientClock::Millis),
        },
        other => other,
    };
    let mut frame = Vec::new();
    let asked = Asked::Binary(number);
    binary::encode_request(&Request { asked, message }, 0, &mut frame)
        .map_err(|error| format!("{error:?}"))?;
    Ok(frame)
}

/// What the server says, as text.
pub(super) fn text_of(frame: &[u8]) -> Result<String, String> {
    let told = binary::decode_message(frame).map_err(|error| format!("{error:?}"))?;
    let Told {
        message, number, ..
    } = told;
    let id = number.map(|number| number.to_string());
    Ok(json_of(message, id.as_deref()))
}
