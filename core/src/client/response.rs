//! The server's answer to the handshake (RFC 6455 section 4.1): gathered, and checked when it is whole.
//!
//! Stricter than HTTP about line ends, so that where the head ends can be seen in one way only.

#[cfg(test)]
mod tests;

use core::mem;

use tungstenite::handshake::derive_accept_key;

use crate::http::MAX_HEADERS;
use crate::http::syntax::elements;

/// Why a response is none to a WebSocket handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// It does not begin as HTTP/1 does.
    #[error("the answer is not HTTP/1.1")]
    NotHttp,
    /// It is longer than `ClientConfig::max_head_bytes`, or has more than 128 header fields.
    #[error("the head of the response is too large")]
    HeadTooLarge,
    /// It begins as HTTP and goes on otherwise.
    #[error("the head of the response is malformed")]
    Malformed,
    /// It says 101, but of HTTP/1.0, which has no upgrades.
    #[error("the response is of HTTP/1.0")]
    Version,
    /// It says 101, but not `Upgrade: websocket`.
    #[error("the response upgrades to something other than websocket")]
    Upgrade,
    /// It says 101, but not `Connection: Upgrade`.
    #[error("the Connection header of the response does not list Upgrade")]
    Connection,
    /// `Sec-WebSocket-Accept` is missing, repeated or does not follow from the key: the server has not read this
    /// request.
    #[error("Sec-WebSocket-Accept does not answer the key of the request")]
    Accept,
    /// An extension, where none was offered.
    #[error("the response has an extension that was not offered")]
    Extension,
    /// A subprotocol that was not offered, or more than one.
    #[error("the response has a subprotocol that was not offered")]
    Protocol,
}

/// What a response comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Open {
        protocol: Option<String>,
    },
    Refused {
        status: u16,
        reason: String,
        retry_after_s: Option<u64>,
    },
    Bad(ResponseError),
}

/// A response that is awaited.
#[derive(Debug)]
pub(super) struct Response {
    accept: String,
    offered: Vec<String>,
    head: Vec<u8>,
    /// How long what comes may still get, `head` included.
    max_bytes: usize,
}

impl Response {
    pub(super) fn new(key: &str, offered: Vec<String>, max_bytes: usize) -> Self {
        Self {
            accept: derive_accept_key(key.as_bytes()),
            offered,
            head: Vec::new(),
            max_bytes,
        }
    }

    /// Takes `bytes` up to the end of the response's head, or all of them; gives how many that were and what the
    /// response comes to, once that is certain. O(`bytes`).
    pub(super) fn read(&mut self, bytes: &[u8]) -> Option<(usize, Answer)> {
        for (at, &byte) in bytes.iter().enumerate() {
            if self.head.len() >= self.max_bytes {
                return Some((at, Answer::Bad(ResponseError::HeadTooLarge)));
            }
            let after_cr = self.head.last() == Some(&b'\r');
            self.head.push(byte);
            let answer = if (byte == b'\n') != after_cr {
                Some(Answer::Bad(self.broken()))
            } else if byte == b'\n' && self.head.ends_with(b"\r\n\r\n") {
                self.read_head()
            } else if self.head.len() <= START.len() && !START.starts_with(&self.head) {
                Some(Answer::Bad(ResponseError::NotHttp))
            } else {
                None
            };
            if let Some(answer) = answer {
                return Some((at + 1, answer));
            }
        }
        None
    }

    /// What is wrong where a line end is.
    fn broken(&self) -> ResponseError {
        if self.head.starts_with(START) {
            ResponseError::Malformed
        } else {
            ResponseError::NotHttp
        }
    }

    /// Reads a whole head. `None` for one that announces another (1xx, RFC 9110 15.2).
    fn read_head(&mut self) -> Option<Answer> {
        let head = mem::take(&mut self.head);
        let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Response::new(&mut fields);
        match parsed.parse(&head) {
            Ok(httparse::Status::Complete(length)) if length == head.len() => {}
            Err(httparse::Error::TooManyHeaders) => {
                return Some(Answer::Bad(ResponseError::HeadTooLarge));
            }
            _ => return Some(Answer::Bad(ResponseError::Malformed)),
        }
        let fields = Fields(parsed.headers);
        match parsed.code {
            Some(101) => Some(match self.check(parsed.version, &fields) {
                Ok(protocol) => Answer::Open { protocol },
                Err(error) => Answer::Bad(error),
            }),
            Some(100..200) => {
                self.max_bytes = self.max_bytes.saturating_sub(head.len());
                None
            }
            code => Some(Answer::Refused {
                status: code.unwrap_or_default(),
                reason: parsed.reason.unwrap_or_default().to_owned(),
                retry_after_s: fields.number("retry-after"),
            }),
        }
    }

    /// The rules for a 101, in their order there; gives the subprotocol.
    fn check(
        &self,
        minor: Option<u8>,
        fields: &Fields<'_>,
    ) -> Result<Option<String>, ResponseError> {
        if minor != Some(1) {
            return Err(ResponseError::Version);
        }
        let mut upgrades = fields.elements("upgrade");
        match (upgrades.next(), upgrades.next()) {
            (Some(to), None) if to.eq_ignore_ascii_case(b"websocket") => {}
            _ => return Err(ResponseError::Upgrade),
        }
        let mut options = fields.elements("connection");
        if !options.any(|option| option.eq_ignore_ascii_case(b"upgrade")) {
            return Err(ResponseError::Connection);
        }
        if fields.only("sec-websocket-accept") != Ok(Some(self.accept.as_bytes())) {
            return Err(ResponseError::Accept);
        }
        if fields.values("sec-websocket-extensions").next().is_some() {
            return Err(ResponseError::Extension);
        }
        let chosen = fields.only("sec-websocket-protocol");
        let Some(chosen) = chosen.map_err(|Repeated| ResponseError::Protocol)? else {
            return Ok(None);
        };
        let mut offered = self.offered.iter();
        let offered = offered.find(|name| name.as_bytes() == chosen);
        offered.cloned().map(Some).ok_or(ResponseError::Protocol)
    }
}

/// The header fields of a response.
struct Fields<'a>(&'a [httparse::Header<'a>]);

/// A field stands there more than once.
#[derive(Debug, PartialEq, Eq)]
struct Repeated;

impl<'a> Fields<'a> {
    fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.0
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value)
    }

    fn elements(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.values(name).flat_map(elements)
    }

    /// The value of a field that may be there once.
    fn only(&self, name: &str) -> Result<Option<&'a [u8]>, Repeated> {
        let mut values = self.values(name);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(Repeated),
        }
    }

    /// A field that is one whole number.
    fn number(&self, name: &str) -> Option<u64> {
        let digits = core::str::from_utf8(self.only(name).ok()??).ok()?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok())?
    }
}

/// How every response of HTTP/1 begins.
const START: &[u8] = b"HTTP/1.";
