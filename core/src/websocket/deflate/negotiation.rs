//! Which offer of a client is accepted, and how that is answered (RFC 7692 sections 5 and 7.1); what a client offers,
//! and which answers it takes.

mod answer;

use core::fmt;
use std::borrow::Cow;

pub use answer::{Accepted, AnswerError, ClientOffer};

use super::Window;
use crate::websocket::handshake::extension::Offer;

/// The extension's registered name.
pub const NAME: &str = "permessage-deflate";

/// What both sides keep to. Neither refers back to earlier messages: the answer says so for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    server_window: Option<Window>,
    client_window_bits: Option<u8>,
}

impl Agreement {
    /// How far back the server may refer.
    pub fn server_window(&self) -> Window {
        self.server_window.unwrap_or(Window::MAX)
    }

    /// The value of the response's `Sec-WebSocket-Extensions`. Allocates where the client gave a window a size, which
    /// browsers do not.
    pub fn header_value(&self) -> Cow<'static, str> {
        match (self.server_window, self.client_window_bits) {
            (None, None) => Cow::Borrowed(ANSWER),
            _ => Cow::Owned(self.to_string()),
        }
    }
}

/// The value of the response's `Sec-WebSocket-Extensions`: no context takeover, and the windows that the client
/// gave a size.
impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ANSWER)?;
        if let Some(window) = self.server_window {
            write!(f, "; {SERVER_WINDOW}={}", window.bits())?;
        }
        if let Some(bits) = self.client_window_bits {
            write!(f, "; {CLIENT_WINDOW}={bits}")?;
        }
        Ok(())
    }
}

/// Accepts the first offer of the extension that can be, in the client's order of preference; `None` if there is none.
/// O(offers).
pub fn accept<'a>(offers: impl IntoIterator<Item = Offer<'a>>) -> Option<Agreement> {
    offers.into_iter().find_map(|offer| accept_one(&offer))
}

/// `None` declines, as section 7.1 demands, an offer with a parameter that is unknown, occurs twice, lacks its value or
/// has one that is wrong, or that cannot be supported: a server's window of 8 bits. Names and values are compared as
/// they are registered, in lower case.
fn accept_one(offer: &Offer<'_>) -> Option<Agreement> {
    if offer.name() != NAME {
        return None;
    }
    let mut seen = [false; 4];
    let mut agreement = Agreement {
        server_window: None,
        client_window_bits: None,
    };
    for (name, value) in offer.parameters() {
        let place = match (name, value) {
            // Both promise what is promised anyway.
            (SERVER_FORGETS, None) => 0,
            (CLIENT_FORGETS, None) => 1,
            (SERVER_WINDOW, Some(bits)) => {
                agreement.server_window = Some(Window::from_bits(window_bits(&bits)?)?);
                2
            }
            // Without a size it says that the client would take one, which is not needed: any inflates.
            (CLIENT_WINDOW, None) => 3,
            (CLIENT_WINDOW, Some(bits)) => {
                agreement.client_window_bits = Some(window_bits(&bits)?);
                3
            }
            _ => return None,
        };
        if core::mem::replace(seen.get_mut(place)?, true) {
            return None;
        }
    }
    Some(agreement)
}

/// 8 to 15, without leading zeros (sections 7.1.2.1, 7.1.2.2).
fn window_bits(value: &str) -> Option<u8> {
    match value.as_bytes() {
        [digit @ b'8'..=b'9'] => Some(digit - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Some(10 + (digit - b'0')),
        _ => None,
    }
}

/// What every answer begins with.
const ANSWER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

const SERVER_FORGETS: &str = "server_no_context_takeover";
const CLIENT_FORGETS: &str = "client_no_context_takeover";
const SERVER_WINDOW: &str = "server_max_window_bits";
const CLIENT_WINDOW: &str = "client_max_window_bits";
