//! The opening handshake, server's side (RFC 6455 4.2): a request head in, a `101` or a refusal out.
//!
//! Knows neither paths nor origins: the caller has decided that this path upgrades and that this page may
//! connect. Knows no subprotocol by name.

#[cfg(test)]
mod tests;

pub mod extension;

use tungstenite::handshake::derive_accept_key;

use super::deflate::negotiation::{self, Agreement};
use crate::http::syntax::is_token;
use crate::http::{Method, Refusal, RequestHead, Version};

/// A handshake that may be answered with `101`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Upgrade<'s> {
    accept: String,
    protocol: Option<&'s str>,
    deflate: Option<Agreement>,
    /// The answer to the client's offers.
    extensions: Option<String>,
}

/// Checks a handshake. `supported` names the subprotocols that are served on this path; the first of the
/// client's offers that is among them is chosen, so the client's order of preference counts. `deflate`: compression is
/// agreed on if the client offers it ([`negotiation`]); without, every extension is declined.
///
/// O(head + offers x supported), one or two short allocations.
///
/// # Errors
///
/// What the client should change (RFC 6455 4.2.1, 4.2.2, 4.4):
/// 405: a method other than `GET`.
/// 426: no `Upgrade` to `websocket` at all, or a version other than 13.
/// 400: HTTP/1.0, a body, no `upgrade` in `Connection`, a repeated version, a `Sec-WebSocket-Key` that is missing,
/// repeated or not 16 bytes of base64, malformed subprotocols or extensions.
pub fn check<'s>(
    head: &RequestHead<'_>,
    supported: &[&'s str],
    deflate: bool,
) -> Result<Upgrade<'s>, Refusal> {
    if head.method != Method::Get {
        return Err(Refusal::method_not_allowed("GET"));
    }
    if !head.has_token("upgrade", "websocket") {
        return Err(Refusal::upgrade_required());
    }
    if head.version != Version::Http11 {
        return Err(Refusal::bad_request("A WebSocket handshake needs HTTP/1.1"));
    }
    if head.framing.has_body() {
        return Err(Refusal::bad_request(
            "A WebSocket handshake must not have a body",
        ));
    }
    if !head.has_token("connection", "upgrade") {
        return Err(Refusal::bad_request(
            "The Connection header must list Upgrade",
        ));
    }
    check_version(head)?;
    let key = key(head)?;
    let protocol = choose_protocol(head, supported)?;
    let offers = extension::Offers::of(head)?;
    let deflate = deflate.then(|| negotiation::accept(offers)).flatten();
    Ok(Upgrade {
        accept: derive_accept_key(key),
        protocol,
        deflate,
        extensions: deflate.map(|agreement| agreement.to_string()),
    })
}

impl<'s> Upgrade<'s> {
    /// The chosen subprotocol; `None` if none was offered or none of the offers is served. A browser that
    /// offered some and gets none fails the connection on its own.
    pub const fn protocol(&self) -> Option<&'s str> {
        self.protocol
    }

    /// What was agreed on about compression; `None`: messages are not compressed.
    pub const fn deflate(&self) -> Option<Agreement> {
        self.deflate
    }

    /// The header fields of the `101` response, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let given = [
            ("Sec-WebSocket-Accept", Some(&*self.accept)),
            ("Sec-WebSocket-Protocol", self.protocol),
            ("Sec-WebSocket-Extensions", self.extensions.as_deref()),
        ];
        let given = given
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        [("Upgrade", "websocket"), ("Connection", "Upgrade")]
            .into_iter()
            .chain(given)
    }

    /// Appends the `101` response to `out`. What follows it on the connection is WebSocket. O(1).
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
        for (name, value) in self.headers() {
            push_field(out, name, value);
        }
        out.extend_from_slice(b"\r\n");
    }
}

fn check_version(head: &RequestHead<'_>) -> Result<(), Refusal> {
    let mut versions = head.values("sec-websocket-version");
    match (versions.next(), versions.next()) {
        (Some(b"13"), None) => Ok(()),
        (Some(_), Some(_)) => Err(Refusal::bad_request(
            "Exactly one Sec-WebSocket-Version header is needed",
        )),
        _ => Err(Refusal::upgrade_required()),
    }
}

/// The client's key as it was sent. That it decodes to 16 bytes can be seen from its text: 22 characters of the
/// alphabet and two of padding. Stray bits in the last character are let pass, as most decoders do.
fn key<'a>(head: &RequestHead<'a>) -> Result<&'a [u8], Refusal> {
    let mut keys = head.values("sec-websocket-key");
    let (Some(key), None) = (keys.next(), keys.next()) else {
        return Err(Refusal::bad_request(
            "Exactly one Sec-WebSocket-Key header is needed",
        ));
    };
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    match key.strip_suffix(b"==") {
        Some(digits) if digits.len() == 22 && digits.iter().all(is_base64) => Ok(key),
        _ => Err(Refusal::bad_request(
            "Sec-WebSocket-Key must be 16 bytes in base64",
        )),
    }
}

/// The first offer that is supported. Names are case-sensitive. Every offer is checked, also those after the
/// chosen one.
fn choose_protocol<'s>(
    head: &RequestHead<'_>,
    supported: &[&'s str],
) -> Result<Option<&'s str>, Refusal> {
    let mut offers = head.elements(PROTOCOL).peekable();
    let none_named = offers.peek().is_none() && head.values(PROTOCOL).next().is_some();
    if none_named || !offers.clone().all(is_token) {
        return Err(Refusal::bad_request(
            "The Sec-WebSocket-Protocol header is malformed",
        ));
    }
    Ok(offers.find_map(|offer| {
        supported
            .iter()
            .copied()
            .find(|name| name.as_bytes() == offer)
    }))
}

/// Appends one header field.
fn push_field(out: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

const PROTOCOL: &str = "sec-websocket-protocol";
