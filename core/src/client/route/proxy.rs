//! A proxy that makes tunnels: what it is asked for, and whether it says yes.

use core::fmt;
use core::str::FromStr;

use super::RouteError;
use crate::http::{Authority, MAX_HEADERS};

/// A proxy for HTTP: `http://HOST:PORT`, or `http://USER:PASSWORD@HOST:PORT`. Its password is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// A name or an address; IPv6 without its brackets.
    host: String,
    port: u16,
    /// `USER:PASSWORD`, as it is sent (RFC 7617), if there is one.
    credentials: Option<String>,
}

/// What is wrong with the URL of a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected http://HOST:PORT or http://USER:PASSWORD@HOST:PORT, without a path, special characters percent-encoded"
)]
pub struct ProxyError;

impl Proxy {
    /// Where it is: a name or an address, IPv6 without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// On which port; 80 unless one was written.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The request for a tunnel to `to`, `host:port`. O(length).
    pub fn request(&self, to: &str) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_request(to, &mut out);
        out
    }

    /// Appends the same.
    pub(super) fn write_request(&self, to: &str, out: &mut Vec<u8>) {
        let head = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n");
        out.extend_from_slice(head.as_bytes());
        if let Some(credentials) = &self.credentials {
            let encoded = data_encoding::BASE64.encode(credentials.as_bytes());
            let field = format!("Proxy-Authorization: Basic {encoded}\r\n");
            out.extend_from_slice(field.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
}

impl FromStr for Proxy {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        let (scheme, rest) = text.split_once("://").ok_or(ProxyError)?;
        if !scheme.eq_ignore_ascii_case("http") {
            return Err(ProxyError);
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (credentials, authority) = match rest.rsplit_once('@') {
            Some((credentials, authority)) => (Some(decoded(credentials)?), authority),
            None => (None, rest),
        };
        let authority = Authority::parse(authority.as_bytes()).ok_or(ProxyError)?;
        Ok(Self {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port().unwrap_or(80),
            credentials,
        })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "http://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "http://{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `USER:PASSWORD` without percent-encoding; a user without a password has an empty one.
fn decoded(text: &str) -> Result<String, ProxyError> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next(), rest.next()].map(|digit| digit.unwrap_or_default());
                let byte = data_encoding::HEXUPPER_PERMISSIVE.decode(&digits);
                let byte = byte.map_err(|_| ProxyError)?;
                *byte.first().ok_or(ProxyError)?
            }
            b'/' | b'?' | b'#' => return Err(ProxyError),
            byte => byte,
        });
    }
    if !text.contains(':') {
        bytes.push(b':');
    }
    let text = String::from_utf8(bytes).map_err(|_| ProxyError)?;
    // RFC 7617, section 2.
    if text.contains(|letter: char| letter.is_ascii_control()) {
        return Err(ProxyError);
    }
    Ok(text)
}

/// What a proxy says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// From here on it is the server.
    Tunnel,
    Refused {
        status: u16,
        reason: String,
    },
    Bad(&'static str),
}

/// A proxy's answer, as far as it has come, for those who ask for a tunnel themselves. Holds at most 16 KiB.
#[derive(Debug, Default)]
pub struct ProxyAnswer(Head);

impl ProxyAnswer {
    /// Takes bytes, none of which may be behind the answer. `None`: it is not whole; else whether there is a tunnel.
    pub fn take(&mut self, bytes: &[u8]) -> Option<Result<(), RouteError>> {
        Some(match self.0.read(bytes).1? {
            Answer::Tunnel => Ok(()),
            Answer::Refused { status, reason } => Err(RouteError::Refused { status, reason }),
            Answer::Bad(why) => Err(RouteError::NoAnswer(why)),
        })
    }
}

/// The head of a proxy's answer, as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Head(Vec<u8>);

impl Head {
    /// Reads on; gives how many bytes belong to the head, and what it says if it is whole. O(`bytes`).
    pub(super) fn read(&mut self, bytes: &[u8]) -> (usize, Option<Answer>) {
        for (at, &byte) in bytes.iter().enumerate() {
            self.0.push(byte);
            if self.0.ends_with(b"\r\n\r\n") {
                if let Some(answer) = self.answer() {
                    return (at + 1, Some(answer));
                }
            } else if self.0.len() >= MAX_HEAD_BYTES {
                return (at + 1, Some(Answer::Bad("its answer has no end")));
            }
        }
        (bytes.len(), None)
    }

    /// `None`: another answer follows (1xx, RFC 9110 15.2).
    fn answer(&mut self) -> Option<Answer> {
        let head = core::mem::take(&mut self.0);
        let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Response::new(&mut fields);
        if !matches!(parsed.parse(&head), Ok(httparse::Status::Complete(_))) {
            return Some(Answer::Bad("its answer is not HTTP/1.1"));
        }
        match parsed.code {
            Some(100..200) => None,
            Some(200..300) => Some(Answer::Tunnel),
            code => Some(Answer::Refused {
                status: code.unwrap_or_default(),
                reason: parsed.reason.unwrap_or_default().to_owned(),
            }),
        }
    }
}

const MAX_HEAD_BYTES: usize = 16 * 1024;
