//! What a client asks for and how much it takes: checked, and written as the request of the handshake (RFC 6455
//! section 4.1). Nothing of it can break out of its header field.

#[cfg(test)]
mod tests;

use core::fmt;

use crate::ConfigError;
use crate::http::Authority;
use crate::http::syntax::is_token;
use crate::websocket::deflate::negotiation::ClientOffer;
use crate::websocket::deflate::{Effort, Window};

/// How to connect. Plain data; [`Client::new`](super::Client::new) checks it. Shown without its secrets: what stands in
/// its header fields, and the query.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The server, as it stands in `Host`: a name or an address, with the port unless it is the scheme's own.
    pub host: String,
    /// The path, and the query if there is one. Default `/`.
    pub target: String,
    /// Which page asks, in `Origin`; programs need none. Default: none.
    pub origin: Option<String>,
    /// Further header fields of the request. Default: none.
    pub headers: Vec<(String, String)>,
    /// Subprotocols in order of preference. Default: none.
    pub protocols: Vec<String>,
    /// Compression of messages (permessage-deflate, RFC 7692), which the server may agree to. `None`: it is not
    /// offered. Default: that of [`ClientDeflate::DEFAULT`].
    pub deflate: Option<ClientDeflate>,
    /// The longest head of a response, its final blank line included. Default 16 KiB.
    pub max_head_bytes: usize,
    /// The largest message that is taken, whole, in one frame, and inflated. Default 16 MiB.
    pub max_message_bytes: usize,
    /// What may wait to be written, headers of frames included. Default 16 MiB.
    pub max_unsent_bytes: usize,
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.target.split_once('?');
        let path = path.map_or(self.target.as_str(), |(path, _)| path);
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| &**name).collect();
        f.debug_struct("ClientConfig")
            .field("host", &self.host)
            .field("path", &path)
            .field("origin", &self.origin)
            .field("headers", &names)
            .field("protocols", &self.protocols.len())
            .field("deflate", &self.deflate)
            .field("max_head_bytes", &self.max_head_bytes)
            .field("max_message_bytes", &self.max_message_bytes)
            .field("max_unsent_bytes", &self.max_unsent_bytes)
            .finish()
    }
}

/// How messages are compressed, if the server agrees. No message refers back to an earlier one: an answer that does not
/// promise so is refused. Each connection has a context to inflate with, of 48 KB, and one to compress with, 323 KB at
/// the default effort; both are made when they are needed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientDeflate {
    /// How hard to try.
    pub effort: Effort,
    /// Shorter messages are not compressed.
    pub threshold_bytes: usize,
    /// How far back the server may refer. `None`: as far as it likes.
    pub server_window: Option<Window>,
}

impl ClientDeflate {
    /// Messages of 1,024 bytes and more, at the default effort; any window.
    pub const DEFAULT: Self = Self {
        effort: Effort::DEFAULT,
        threshold_bytes: 1_024,
        server_window: None,
    };

    pub(super) const fn offer(&self) -> ClientOffer {
        ClientOffer {
            server_window: self.server_window,
        }
    }
}

impl ClientConfig {
    /// Everything but the host by default.
    pub fn new(host: impl Into<String>) -> Self {
        Self {
            host: host.into(),
            target: "/".to_owned(),
            origin: None,
            headers: Vec::new(),
            protocols: Vec::new(),
            deflate: Some(ClientDeflate::DEFAULT),
            max_head_bytes: 16 * 1024,
            max_message_bytes: 16 << 20,
            max_unsent_bytes: 16 << 20,
        }
    }

    /// Whether a request can be made of it.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let wrong = |key: &str, value: &str, allowed: &str| ConfigError {
            key: key.to_owned(),
            value: format!("{value:?}"),
            allowed: allowed.to_owned(),
        };
        if Authority::parse(self.host.as_bytes()).is_none() {
            let allowed =
                "a name, an IPv4 address or an IPv6 address in brackets, and perhaps a port";
            return Err(wrong("host", &self.host, allowed));
        }
        let is_visible = |byte: u8| matches!(byte, b'!'..=b'~') && byte != b'#';
        if !self.target.starts_with('/') || !self.target.bytes().all(is_visible) {
            let allowed =
                "a path from `/` on, and perhaps a query, with all but ASCII percent-encoded";
            return Err(wrong("target", &self.target, allowed));
        }
        if let Some(origin) = self.origin.as_deref().filter(|value| !is_value(value)) {
            return Err(wrong("origin", origin, VALUE));
        }
        for (name, value) in &self.headers {
            if !is_token(name.as_bytes()) {
                return Err(wrong("headers", name, "names of letters, digits and `-`"));
            }
            if OWN_FIELDS.iter().any(|own| name.eq_ignore_ascii_case(own)) {
                return Err(wrong(
                    "headers",
                    name,
                    "names that the handshake does not use itself",
                ));
            }
            if !is_value(value) {
                return Err(wrong("headers", value, VALUE));
            }
        }
        for (index, protocol) in self.protocols.iter().enumerate() {
            let is_new = !self.protocols.iter().take(index).any(|it| it == protocol);
            if !is_new || !is_token(protocol.as_bytes()) {
                return Err(wrong("protocols", protocol, "tokens (RFC 9110), each once"));
            }
        }
        Ok(())
    }

    /// Appends the request. O(length).
    pub(super) fn write_request(&self, key: &str, out: &mut Vec<u8>) {
        let mut field = |parts: &[&str]| {
            for part in parts {
                out.extend_from_slice(part.as_bytes());
            }
            out.extend_from_slice(b"\r\n");
        };
        field(&["GET ", &self.target, " HTTP/1.1"]);
        field(&["Host: ", &self.host]);
        field(&["Upgrade: websocket"]);
        field(&["Connection: Upgrade"]);
        field(&["Sec-WebSocket-Key: ", key]);
        field(&["Sec-WebSocket-Version: 13"]);
        if !self.protocols.is_empty() {
            field(&["Sec-WebSocket-Protocol: ", &self.protocols.join(", ")]);
        }
        if let Some(deflate) = &self.deflate {
            let offer = deflate.offer().to_string();
            field(&["Sec-WebSocket-Extensions: ", &offer]);
        }
        if let Some(origin) = &self.origin {
            field(&["Origin: ", origin]);
        }
        for (name, value) in &self.headers {
            field(&[name, ": ", value]);
        }
        field(&[]);
    }
}

/// Whether it can be the value of a header field (RFC 9110 5.5), white space at its ends aside.
fn is_value(value: &str) -> bool {
    value
        .bytes()
        .all(|byte| byte == b'\t' || !byte.is_ascii_control())
}

const VALUE: &str = "text without control characters";

/// What the handshake says itself, and what would give the request a body.
const OWN_FIELDS: [&str; 11] = [
    "Connection",
    "Content-Length",
    "Expect",
    "Host",
    "Origin",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Version",
    "Transfer-Encoding",
    "Upgrade",
];
