//! Masks request heads: header values that decide nothing, and queries.

use crate::http::{Framing, HeadLimits, Parsed, RequestHead};
use crate::websocket::handshake;

/// An unfinished head.
#[derive(Debug)]
pub(super) struct Head {
    /// As it came, to be read once it is whole.
    seen: Vec<u8>,
    line_start: usize,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Method,
    Path,
    /// The query, so many bytes of whose parameter are as in [`DIALECT`]; `None` if it has become another.
    Query(Option<usize>),
    Version,
    Name,
    /// A value that decides.
    Kept,
    /// One that does not.
    Masked,
}

/// What a head came to.
#[derive(Debug)]
pub(super) enum Ended {
    /// The server answers and closes.
    Refused,
    /// A WebSocket handshake that is in order.
    Handshake,
    /// Any other request, whose body is delimited so.
    Request(Framing),
}

impl Head {
    pub(super) const fn new() -> Self {
        Self {
            seen: Vec::new(),
            line_start: 0,
            place: Place::Method,
        }
    }

    /// Masks up to the end of the head; returns how many bytes that took, and what ended there.
    pub(super) fn mask(&mut self, bytes: &mut [u8], limits: &HeadLimits) -> (usize, Option<Ended>) {
        for (at, byte) in bytes.iter_mut().enumerate() {
            let original = *byte;
            *byte = self.masked(original);
            if original == b'\n' && self.seen.ends_with(b"\r\n\r\n") {
                return (at + 1, Some(self.read(limits)));
            }
            if self.seen.len() >= limits.max_bytes {
                return (at + 1, Some(Ended::Refused));
            }
        }
        (bytes.len(), None)
    }

    fn masked(&mut self, byte: u8) -> u8 {
        self.seen.push(byte);
        if byte == b'\n' {
            self.line_start = self.seen.len();
            self.place = Place::Name;
            return byte;
        }
        match (self.place, byte) {
            (Place::Method, b' ') => self.place = Place::Path,
            (Place::Path, b'?') | (Place::Query(_), b'&') => self.place = Place::Query(Some(0)),
            (Place::Path | Place::Query(_), b' ') => self.place = Place::Version,
            (Place::Query(Some(at)), _) if DIALECT.get(at) == Some(&byte) => {
                self.place = Place::Query(Some(at + 1));
            }
            (Place::Name, b':') => {
                let line = self.seen.get(self.line_start..).unwrap_or_default();
                let name = line.strip_suffix(b":").unwrap_or_default();
                self.place = if decides(name) {
                    Place::Kept
                } else {
                    Place::Masked
                };
            }
            (Place::Query(_), _) => {
                self.place = Place::Query(None);
                if byte.is_ascii_alphanumeric() {
                    return b'x';
                }
            }
            (Place::Masked, _) if byte.is_ascii_graphic() || !byte.is_ascii() => return b'x',
            _ => {}
        }
        byte
    }

    fn read(&self, limits: &HeadLimits) -> Ended {
        match RequestHead::parse(&self.seen, limits, &mut 0) {
            Ok(Parsed::Complete { head, .. }) => match handshake::check(&head, &[], false) {
                Ok(_) => Ended::Handshake,
                Err(_) => Ended::Request(head.framing),
            },
            _ => Ended::Refused,
        }
    }
}

/// Whether a header's value decides anything.
fn decides(name: &[u8]) -> bool {
    let is = |other: &&str| name.eq_ignore_ascii_case(other.as_bytes());
    let is_handshake = name
        .get(..HANDSHAKE.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(HANDSHAKE));
    is_handshake || DECIDING.iter().any(is)
}

/// The one parameter that decides anything. What is masked in its place is another: there is no `x` in it.
const DIALECT: &[u8] = b"dialect=binary";
const HANDSHAKE: &[u8] = b"sec-websocket-";
const DECIDING: [&str; 14] = [
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "host",
    "if-none-match",
    "origin",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-real-ip",
];
