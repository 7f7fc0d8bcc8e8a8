//! The server's answer to the handshake (RFC 6455 section 4.1): gathered, and checked when it is whole.
//!
//! Stricter than HTTP about line ends, so that where the head ends can be seen in one way only.

#[cfg(test)]
mod tests;

use core::mem;

use tungstenite::handshake::derive_accept_key;

use crate::http::MAX_HEADERS;
use crate::http::syntax::{elements, quoted};
use crate::websocket::deflate::negotiation::{Accepted, AnswerError, ClientOffer, NAME};
use crate::websocket::handshake::extension;

/// Why a response is none to a WebSocket handshake. What came is quoted, and cut where it is long.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResponseError {
    /// It does not begin as HTTP/1 does.
    #[error("the answer is not HTTP/1.1: it begins with {0}")]
    NotHttp(String),
    /// It is longer than `ClientConfig::max_head_bytes`.
    #[error("the head of the response is too large: expected at most {max_bytes} bytes, got more")]
    HeadTooLarge {
        /// The bound.
        max_bytes: usize,
    },
    /// It has more header fields than are read.
    #[error(
        "the head of the response is too large: expected at most {MAX_HEADERS} fields, got more"
    )]
    TooManyFields,
    /// It begins as HTTP and goes on otherwise.
    #[error("the head of the response is malformed: {0}")]
    Malformed(&'static str),
    /// It says 101, but of HTTP/1.0, which has no upgrades.
    #[error("the response upgrades: expected HTTP/1.1 then, got HTTP/1.0")]
    Version,
    /// It says 101, but not `Upgrade: websocket`.
    #[error("expected Upgrade: websocket in the response, got {0}")]
    Upgrade(String),
    /// It says 101, but not `Connection: Upgrade`.
    #[error("expected Connection: Upgrade in the response, got {0}")]
    Connection(String),
    /// `Sec-WebSocket-Accept` is missing, repeated or does not follow from the key: the server has not read this
    /// request.
    #[error(
        "expected Sec-WebSocket-Accept: {expected}, which answers the key of the request, got {came}"
    )]
    Accept {
        /// What follows from the key.
        expected: String,
        /// What came.
        came: String,
    },
    /// An extension that was not offered, one twice, or a field that names none.
    #[error("expected no extension but what was offered ({offered}), got {came}")]
    Extension {
        /// The one that was, or `none`.
        offered: &'static str,
        /// What came.
        came: String,
    },
    /// The extension that was offered, but not as it was.
    #[error("the answer to the offer of {NAME}: {0}")]
    Deflate(#[from] AnswerError),
    /// A subprotocol that was not offered, or more than one.
    #[error("expected one subprotocol of those offered ({offered}), or none, got {came}")]
    Protocol {
        /// Those that were, or `none`.
        offered: String,
        /// What came.
        came: String,
    },
}

/// What a response comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Open {
        protocol: Option<String>,
        deflate: Option<Accepted>,
    },
    Refused {
        status: u16,
        reason: String,
        retry_after_s: Option<u64>,
        location: Option<String>,
    },
    Bad(ResponseError),
}

/// A response that is awaited.
#[derive(Debug)]
pub(super) struct Response {
    accept: String,
    offered: Vec<String>,
    deflate: Option<ClientOffer>,
    head: Vec<u8>,
    /// How long what comes may get, all heads together.
    max_bytes: usize,
    /// How much of that is left, for `head` and what follows it.
    left_bytes: usize,
}

impl Response {
    pub(super) fn new(
        key: &str,
        offered: Vec<String>,
        deflate: Option<ClientOffer>,
        max_bytes: usize,
    ) -> Self {
        Self {
            accept: derive_accept_key(key.as_bytes()),
            offered,
            deflate,
            head: Vec::new(),
            max_bytes,
            left_bytes: max_bytes,
        }
    }

    /// Takes `bytes` up to the end of the response's head, or all of them; gives how many that were and what the
    /// response comes to, once that is certain. O(`bytes`).
    pub(super) fn read(&mut self, bytes: &[u8]) -> Option<(usize, Answer)> {
        for (at, &byte) in bytes.iter().enumerate() {
            if self.head.len() >= self.left_bytes {
                let max_bytes = self.max_bytes;
                return Some((at, Answer::Bad(ResponseError::HeadTooLarge { max_bytes })));
            }
            let after_cr = self.head.last() == Some(&b'\r');
            self.head.push(byte);
            let answer = if (byte == b'\n') != after_cr {
                Some(Answer::Bad(self.broken()))
            } else if byte == b'\n' && self.head.ends_with(b"\r\n\r\n") {
                self.read_head()
            } else if self.head.len() <= START.len() && !START.starts_with(&self.head) {
                Some(Answer::Bad(ResponseError::NotHttp(quoted(&self.head))))
            } else {
                None
            };
            if let Some(answer) = answer {
                return Some((at + 1, answer));
            }
        }
        None
    }

    /// Memory of what has arrived, in bytes. O(1).
    pub(super) fn buffered_bytes(&self) -> usize {
        self.head.capacity()
    }

    /// What is wrong where a line end is.
    fn broken(&self) -> ResponseError {
        if self.head.starts_with(START) {
            ResponseError::Malformed("expected lines to end with CR LF, got one without the other")
        } else {
            ResponseError::NotHttp(quoted(&self.head))
        }
    }

    /// Reads a whole head. `None` for one that announces another (1xx, RFC 9110 15.2).
    fn read_head(&mut self) -> Option<Answer> {
        let head = mem::take(&mut self.head);
        let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Response::new(&mut fields);
        match parsed.parse(&head) {
            Ok(httparse::Status::Complete(length)) if length == head.len() => {}
            outcome => return Some(Answer::Bad(malformed(outcome.err()))),
        }
        let fields = Fields(parsed.headers);
        match parsed.code {
            Some(101) => Some(match self.check(parsed.version, &fields) {
                Ok((protocol, deflate)) => Answer::Open { protocol, deflate },
                Err(error) => Answer::Bad(error),
            }),
            Some(100..200) => {
                self.left_bytes = self.left_bytes.saturating_sub(head.len());
                None
            }
            code => Some(Answer::Refused {
                status: code.unwrap_or_default(),
                reason: parsed.reason.unwrap_or_default().to_owned(),
                retry_after_s: fields.number("retry-after"),
                location: fields
                    .text("location")
                    .filter(|_| matches!(code, Some(300..400))),
            }),
        }
    }

    /// The rules for a 101, in their order there; gives what was agreed on.
    fn check(
        &self,
        minor: Option<u8>,
        fields: &Fields<'_>,
    ) -> Result<(Option<String>, Option<Accepted>), ResponseError> {
        if minor != Some(1) {
            return Err(ResponseError::Version);
        }
        let mut upgrades = fields.elements("upgrade");
        match (upgrades.next(), upgrades.next()) {
            (Some(to), None) if to.eq_ignore_ascii_case(b"websocket") => {}
            _ => return Err(ResponseError::Upgrade(fields.quoted("upgrade"))),
        }
        let mut options = fields.elements("connection");
        if !options.any(|option| option.eq_ignore_ascii_case(b"upgrade")) {
            return Err(ResponseError::Connection(fields.quoted("connection")));
        }
        if fields.only(ACCEPT) != Ok(Some(self.accept.as_bytes())) {
            return Err(ResponseError::Accept {
                expected: self.accept.clone(),
                came: fields.quoted(ACCEPT),
            });
        }
        let deflate = self.check_extensions(fields)?;
        Ok((self.check_protocol(fields)?, deflate))
    }

    fn check_extensions(&self, fields: &Fields<'_>) -> Result<Option<Accepted>, ResponseError> {
        let wrong = || ResponseError::Extension {
            offered: self.deflate.map_or("none", |_| NAME),
            came: fields.quoted(EXTENSIONS),
        };
        let mut answer = None;
        for value in fields.values(EXTENSIONS) {
            for named in extension::elements(value).ok_or_else(wrong)? {
                let is_second = answer.replace(named).is_some();
                if named.name() != NAME || is_second {
                    return Err(wrong());
                }
            }
        }
        match (self.deflate, answer) {
            (_, None) => Ok(None),
            (Some(offer), Some(answer)) => Ok(Some(offer.check(&answer)?)),
            (None, Some(_)) => Err(wrong()),
        }
    }

    fn check_protocol(&self, fields: &Fields<'_>) -> Result<Option<String>, ResponseError> {
        let chosen = match fields.only(PROTOCOL) {
            Ok(None) => return Ok(None),
            Ok(Some(chosen)) => self.offered.iter().find(|name| name.as_bytes() == chosen),
            Err(Repeated) => None,
        };
        chosen
            .cloned()
            .map(Some)
            .ok_or_else(|| ResponseError::Protocol {
                offered: match &*self.offered {
                    [] => "none".to_owned(),
                    offered => offered.join(", "),
                },
                came: fields.quoted(PROTOCOL),
            })
    }
}

/// What a parser says to a head that is whole.
fn malformed(error: Option<httparse::Error>) -> ResponseError {
    use httparse::Error;
    ResponseError::Malformed(match error {
        Some(Error::TooManyHeaders) => return ResponseError::TooManyFields,
        Some(Error::HeaderName) => "expected the name of a field and a colon in each line",
        Some(Error::HeaderValue) => {
            "expected visible characters in the value of a field, got another"
        }
        Some(Error::Status) => "expected a status of three digits and a reason",
        _ => "expected a status line and fields (RFC 9112)",
    })
}

const ACCEPT: &str = "sec-websocket-accept";
const EXTENSIONS: &str = "sec-websocket-extensions";
const PROTOCOL: &str = "sec-websocket-protocol";

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

    /// What stands there, for an error.
    fn quoted(&self, name: &str) -> String {
        let values: Vec<&[u8]> = self.values(name).collect();
        match &*values {
            [] => "none".to_owned(),
            [value] => quoted(value),
            [first, ..] => format!(
                "{} fields, of which the first is {}",
                values.len(),
                quoted(first)
            ),
        }
    }

    /// A field that is there once, and is UTF-8.
    fn text(&self, name: &str) -> Option<String> {
        let value = self.only(name).ok()??;
        Some(core::str::from_utf8(value).ok()?.to_owned())
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
