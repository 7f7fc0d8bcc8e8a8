//! What a client offers, and whether the answer keeps to that.

#[cfg(test)]
mod tests;

use core::{fmt, mem};

use super::{CLIENT_FORGETS, CLIENT_WINDOW, NAME, SERVER_FORGETS, SERVER_WINDOW, window_bits};
use crate::http::syntax::quoted;
use crate::websocket::deflate::Window;
use crate::websocket::handshake::extension::Offer;

/// An offer of the extension that asks for no context takeover, either way. As a text it is the value of the request's
/// `Sec-WebSocket-Extensions`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientOffer {
    /// How far back the server may refer. `None`: as far as it likes, which costs an [`Inflater`] no more.
    ///
    /// [`Inflater`]: crate::websocket::deflate::Inflater
    pub server_window: Option<Window>,
}

impl fmt::Display for ClientOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{NAME}; {SERVER_FORGETS}; {CLIENT_FORGETS}; {CLIENT_WINDOW}"
        )?;
        if let Some(window) = self.server_window {
            write!(f, "; {SERVER_WINDOW}={}", window.bits())?;
        }
        Ok(())
    }
}

/// What the server has agreed to, for both sides: neither refers back to earlier messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    client_window_bits: Option<u8>,
}

impl Accepted {
    /// How far back the client may refer. `None`: 8 bits, for which nobody can compress, so that its messages go as
    /// they are; the server's may be compressed nevertheless.
    pub fn client_window(&self) -> Option<Window> {
        self.client_window_bits
            .map_or(Some(Window::MAX), Window::from_bits)
    }
}

/// What is wrong with the answer to an offer (RFC 7692 section 7.1): the client must fail the connection. What came is
/// quoted, and cut where it is long.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// A parameter that the extension does not have.
    #[error("expected parameters of {NAME}, got {0}")]
    Unknown(String),
    /// A parameter that occurs twice.
    #[error("expected {0} once, got it twice")]
    Repeated(&'static str),
    /// A value where there must be none.
    #[error("expected {name} without a value, got {came}")]
    Value {
        /// The parameter.
        name: &'static str,
        /// Its value.
        came: String,
    },
    /// A window without a size, or of a size that does not exist.
    #[error("expected {name}=8 to 15, got {came}")]
    Window {
        /// The parameter.
        name: &'static str,
        /// Its value, or that it has none.
        came: String,
    },
    /// `server_max_window_bits` is missing, or larger than in the offer.
    #[error("expected {SERVER_WINDOW} of at most {most}, as was offered, got {came}")]
    ServerWindow {
        /// The offer's.
        most: u8,
        /// The answer's, or that it has none.
        came: String,
    },
    /// `server_no_context_takeover` is missing: each message might refer back to all before.
    #[error("expected {SERVER_FORGETS}, as was offered, got an answer without it")]
    ServerTakeover,
}

impl ClientOffer {
    /// Whether `answer`, of this extension's name, accepts this offer. Without `client_no_context_takeover` it does: a
    /// client may forget what it was not asked to. O(parameters).
    ///
    /// # Errors
    /// The first parameter that is wrong, or else one that is missing.
    pub fn check(&self, answer: &Offer<'_>) -> Result<Accepted, AnswerError> {
        let (mut server_window_bits, mut client_window_bits) = (None, None);
        let (mut server_forgets, mut client_forgets) = (false, false);
        for (name, value) in answer.parameters() {
            let value = value.as_deref();
            match name {
                SERVER_FORGETS => flag(SERVER_FORGETS, value, &mut server_forgets)?,
                CLIENT_FORGETS => flag(CLIENT_FORGETS, value, &mut client_forgets)?,
                SERVER_WINDOW => window(SERVER_WINDOW, value, &mut server_window_bits)?,
                CLIENT_WINDOW => window(CLIENT_WINDOW, value, &mut client_window_bits)?,
                _ => return Err(AnswerError::Unknown(quoted(name.as_bytes()))),
            }
        }
        if let Some(most) = self.server_window.map(Window::bits)
            && server_window_bits.is_none_or(|bits| bits > most)
        {
            let came = server_window_bits.map_or_else(none, |bits| bits.to_string());
            return Err(AnswerError::ServerWindow { most, came });
        }
        if !server_forgets {
            return Err(AnswerError::ServerTakeover);
        }
        Ok(Accepted { client_window_bits })
    }
}

fn flag(name: &'static str, value: Option<&str>, seen: &mut bool) -> Result<(), AnswerError> {
    if let Some(value) = value {
        let came = quoted(value.as_bytes());
        return Err(AnswerError::Value { name, came });
    }
    if mem::replace(seen, true) {
        return Err(AnswerError::Repeated(name));
    }
    Ok(())
}

fn window(
    name: &'static str,
    value: Option<&str>,
    seen: &mut Option<u8>,
) -> Result<(), AnswerError> {
    let Some(bits) = value.and_then(window_bits) else {
        let came = value.map_or_else(none, |value| quoted(value.as_bytes()));
        return Err(AnswerError::Window { name, came });
    };
    if seen.replace(bits).is_some() {
        return Err(AnswerError::Repeated(name));
    }
    Ok(())
}

fn none() -> String {
    "none".to_owned()
}
