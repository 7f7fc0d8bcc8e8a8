//! The opening handshake, server's side (RFC 6455 4.2): a request head in, a `101` or a refusal out.
//!
//! Knows neither paths nor origins: the caller has decided that this path upgrades and that this page may
//! connect. Knows no subprotocol by name.

#[cfg(test)]
mod tests;

pub mod extension;

use std::borrow::Cow;

use tungstenite::handshake::derive_accept_key;

use super::deflate::negotiation::{self, Agreement};
use crate::http::head::Seen;
use crate::http::syntax::{elements, is_token};
use crate::http::{Headers, Method, Refusal, RequestHead, Version};

/// A handshake that may be answered with `101`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Upgrade<'s> {
    accept: String,
    protocol: Option<&'s str>,
    deflate: Option<Agreement>,
    /// The answer to the client's offers.
    extensions: Option<Cow<'static, str>>,
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
    let fields = Fields::gather(head.headers());
    if !fields.upgrade_lists_websocket {
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
    if !fields.connection_lists_upgrade {
        return Err(Refusal::bad_request(
            "The Connection header must list Upgrade",
        ));
    }
    check_version(fields.version)?;
    let key = check_key(fields.key)?;
    let protocol = choose_protocol(fields.protocols, supported)?;
    let deflate = choose_deflate(fields.extensions, deflate)?;
    Ok(Upgrade {
        accept: derive_accept_key(key),
        protocol,
        deflate,
        extensions: deflate.map(|agreement| agreement.header_value()),
    })
}

/// The header fields that make a handshake, from one walk: walking again for each is most of what a handshake costs.
struct Fields<'a> {
    upgrade_lists_websocket: bool,
    connection_lists_upgrade: bool,
    version: Seen<'a>,
    key: Seen<'a>,
    /// The fields from the first of its name on; none if there is none.
    protocols: Headers<'a>,
    extensions: Headers<'a>,
}

impl<'a> Fields<'a> {
    fn gather(mut headers: Headers<'a>) -> Self {
        let mut fields = Self {
            upgrade_lists_websocket: false,
            connection_lists_upgrade: false,
            version: Seen::Never,
            key: Seen::Never,
            protocols: Headers::NONE,
            extensions: Headers::NONE,
        };
        let mut rest = headers;
        while let Some((name, value)) = headers.next_field() {
            let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
            if is("upgrade") {
                fields.upgrade_lists_websocket |= lists(value, b"websocket");
            } else if is("connection") {
                fields.connection_lists_upgrade |= lists(value, b"upgrade");
            } else if is("sec-websocket-version") {
                fields.version.note(value);
            } else if is("sec-websocket-key") {
                fields.key.note(value);
            } else if is(PROTOCOL) && fields.protocols.is_empty() {
                fields.protocols = rest;
            } else if is(extension::NAME) && fields.extensions.is_empty() {
                fields.extensions = rest;
            }
            rest = headers;
        }
        fields
    }
}

/// Whether a comma-separated list names `token`, in any case.
fn lists(value: &[u8], token: &[u8]) -> bool {
    elements(value).any(|element| element.eq_ignore_ascii_case(token))
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

fn check_version(version: Seen<'_>) -> Result<(), Refusal> {
    match version {
        Seen::Once(b"13") => Ok(()),
        Seen::Again => Err(Refusal::bad_request(
            "Exactly one Sec-WebSocket-Version header is needed",
        )),
        _ => Err(Refusal::upgrade_required()),
    }
}

/// The client's key as it was sent. That it decodes to 16 bytes can be seen from its text: 22 characters of the
/// alphabet and two of padding. Stray bits in the last character are let pass, as most decoders do.
fn check_key(key: Seen<'_>) -> Result<&[u8], Refusal> {
    let Seen::Once(key) = key else {
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
    fields: Headers<'_>,
    supported: &[&'s str],
) -> Result<Option<&'s str>, Refusal> {
    let mut offers = fields.values(PROTOCOL).flat_map(elements).peekable();
    let none_named = offers.peek().is_none() && !fields.is_empty();
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

/// The first offer of compression that can be accepted, if it is `wanted`. Every offer is checked.
fn choose_deflate(fields: Headers<'_>, wanted: bool) -> Result<Option<Agreement>, Refusal> {
    let mut agreement = None;
    extension::each_offer(fields, |offer| {
        if wanted && agreement.is_none() {
            agreement = negotiation::accept([offer]);
        }
    })?;
    Ok(agreement)
}

/// Appends one header field.
fn push_field(out: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

const PROTOCOL: &str = "sec-websocket-protocol";
