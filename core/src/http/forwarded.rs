//! Whose request a proxy passes on: `Forwarded` (RFC 7239) and `X-Forwarded-For`, read as far as the proxies that
//! wrote them are trusted.
//!
//! Every proxy appends whom it got the request from, so the list is read from its right end, where the proxy
//! stands that the socket leads to: addresses of proxies that are trusted themselves are skipped, and the first other
//! one is the client. What stands left of it anybody may have written, and plays no part. Knows no sockets and
//! no settings; which addresses are trusted is the caller's business.

#[cfg(test)]
mod tests;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::head::RequestHead;
use super::response::Refusal;
use super::syntax::{is_token_byte, trim_ows};

/// What a request says about who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarded {
    /// Nothing.
    Nothing,
    /// Somebody whose address is hidden (`unknown`, `_obfuscated`) or not understood.
    Hidden,
    /// The client, or the last proxy before a hidden one. IPv4 in IPv6 is told as IPv4; the port is 0 if it is
    /// not told.
    By(SocketAddr),
}

impl Forwarded {
    /// What both headers of `head` say, `trusts` being asked about every address in them. One header is enough;
    /// `Forwarded` without any `for` counts as none. O(head), allocates nothing.
    ///
    /// # Errors
    /// 400 if `Forwarded` has a quoted string without an end, which could hide what a proxy appended, or if both
    /// headers are there and name different addresses: most proxies append to one of them and pass the other on
    /// as the client wrote it.
    pub fn of(head: &RequestHead<'_>, trusts: impl Fn(IpAddr) -> bool) -> Result<Self, Refusal> {
        let standard = Self::standard(head.values("forwarded"), &trusts)?;
        let common = Self::common(head.values("x-forwarded-for"), &trusts);
        match (standard, common) {
            (said, Self::Nothing) | (Self::Nothing, said) => Ok(said),
            (said, other) if said.ip() == other.ip() => Ok(said),
            _ => Err(Refusal::bad_request(
                "Forwarded and X-Forwarded-For name different clients",
            )),
        }
    }

    /// What `Forwarded` fields say, in their order.
    ///
    /// Read more generously than it is defined: an address with a port or in brackets need not be quoted.
    ///
    /// # Errors
    /// 400 for a quoted string without an end.
    pub fn standard<'a>(
        values: impl IntoIterator<Item = &'a [u8]>,
        trusts: impl Fn(IpAddr) -> bool,
    ) -> Result<Self, Refusal> {
        let mut trail = Trail::default();
        for value in values {
            if !has_closed_quotes(value) {
                return Err(Refusal::bad_request("Malformed Forwarded header"));
            }
            for element in split(value, b',').map(trim_ows) {
                if !element.is_empty() {
                    trail.hop(for_of(element), &trusts);
                }
            }
        }
        Ok(trail.end())
    }

    /// What `X-Forwarded-For` fields say, in their order: IPv4 and IPv6 addresses, these in brackets or not, with
    /// or without a port.
    pub fn common<'a>(
        values: impl IntoIterator<Item = &'a [u8]>,
        trusts: impl Fn(IpAddr) -> bool,
    ) -> Self {
        let mut trail = Trail::default();
        // Quotes mean nothing here: a client must not be able to join two entries with one.
        let elements = values.into_iter();
        for element in elements.flat_map(|value| value.split(|&byte| byte == b',')) {
            let element = trim_ows(element);
            if !element.is_empty() {
                trail.hop(For::Named(node(element)), &trusts);
            }
        }
        trail.end()
    }

    fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Nothing | Self::Hidden => None,
            Self::By(address) => Some(address.ip()),
        }
    }
}

/// What one element says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    /// It has no `for`.
    Missing,
    /// An address; `None` if it is hidden or not understood.
    Named(Option<SocketAddr>),
}

/// The hops from left to right, so that nothing has to be kept: what is found last, seen from the left, is what
/// is found first from the right.
#[derive(Debug, Default)]
struct Trail {
    named: bool,
    found: Option<SocketAddr>,
}

impl Trail {
    fn hop(&mut self, hop: For, trusts: impl Fn(IpAddr) -> bool) {
        let address = match hop {
            For::Missing => None,
            For::Named(address) => {
                self.named = true;
                address
            }
        };
        match address {
            // Whoever comes after it, trusted or not, is the last that is known.
            None => self.found = None,
            Some(address) if self.found.is_none() || !trusts(address.ip()) => {
                self.found = Some(address);
            }
            // A proxy that is trusted passes on what was found before it.
            Some(_) => {}
        }
    }

    fn end(self) -> Forwarded {
        match self.found {
            Some(address) => Forwarded::By(address),
            None if self.named => Forwarded::Hidden,
            None => Forwarded::Nothing,
        }
    }
}

/// The `for` of an element such as `for="[2001:db8::1]:80";proto=https`.
fn for_of(element: &[u8]) -> For {
    let mut found = For::Missing;
    for pair in split(element, b';').map(trim_ows) {
        let Some(equals) = pair.iter().position(|&byte| byte == b'=') else {
            if pair.is_empty() {
                continue;
            }
            return For::Named(None);
        };
        let (name, value) = pair.split_at(equals);
        let value = value.get(1..).unwrap_or_default();
        if name.is_empty() || !name.iter().all(|&byte| is_token_byte(byte)) {
            return For::Named(None);
        }
        if name.eq_ignore_ascii_case(b"for") {
            if found != For::Missing {
                return For::Named(None); // which of them counts, two parties could see differently
            }
            found = For::Named(unquote(value).and_then(node));
        }
    }
    found
}

/// A value without its quotes. `None` for quotes elsewhere, and for escapes, which no address needs.
fn unquote(value: &[u8]) -> Option<&[u8]> {
    let inner = match value {
        [b'"', inner @ .., b'"'] => inner,
        plain => plain,
    };
    (!inner.iter().any(|byte| matches!(byte, b'"' | b'\\'))).then_some(inner)
}

/// An address: `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]`, or one of these but the second with `:` and a port.
fn node(bytes: &[u8]) -> Option<SocketAddr> {
    let text = core::str::from_utf8(bytes).ok()?;
    let (ip, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        let port = match rest {
            "" => 0,
            rest => port(rest.strip_prefix(':')?)?,
        };
        (IpAddr::V6(address.parse::<Ipv6Addr>().ok()?), port)
    } else if let Ok(address) = text.parse::<Ipv6Addr>() {
        (IpAddr::V6(address), 0)
    } else {
        let (address, port) = match text.split_once(':') {
            None => (text, 0),
            Some((address, digits)) => (address, port(digits)?),
        };
        (IpAddr::V4(address.parse::<Ipv4Addr>().ok()?), port)
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

/// A port in digits, or an obfuscated one, which is as good as none.
fn port(text: &str) -> Option<u16> {
    if let Some(hidden) = text.strip_prefix('_') {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        return (!hidden.is_empty() && hidden.bytes().all(allowed)).then_some(0);
    }
    let plain = text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

/// Whether every quoted string ends.
fn has_closed_quotes(value: &[u8]) -> bool {
    let mut quotes = Quotes::default();
    for &byte in value {
        quotes.step(byte);
    }
    !quotes.inside
}

/// The parts between separators that stand in no quoted string. O(length) for all of them.
fn split(value: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut quotes = Quotes::default();
    value.split(move |&byte| {
        quotes.step(byte);
        byte == separator && !quotes.inside
    })
}

/// Where quoted strings begin and end.
#[derive(Clone, Copy, Debug, Default)]
struct Quotes {
    inside: bool,
    escaped: bool,
}

impl Quotes {
    fn step(&mut self, byte: u8) {
        if core::mem::take(&mut self.escaped) {
            return;
        }
        match byte {
            b'"' => self.inside = !self.inside,
            b'\\' if self.inside => self.escaped = true,
            _ => {}
        }
    }
}
