//! `host[:port]`, as `Host` headers, absolute targets and origins carry it. Resolves and looks up nothing.

#[cfg(test)]
mod tests;

use core::net::Ipv6Addr;

/// A host and perhaps a port (RFC 3986 3.2, without user information and percent-encoding).
///
/// Two authorities that are equal as values differ in nothing but spelling that was kept: compare with
/// [`same_as`](Self::same_as).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    host: &'a str,
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Reads an authority. `None` unless it is an IPv6 address in brackets or a name of at most
    /// [`MAX_HOST_BYTES`](Self::MAX_HOST_BYTES) letters, digits, `-`, `_` and `.` without empty labels (a final
    /// dot is allowed), followed by nothing, `:` or `:` and a port that fits 16 bits. O(length).
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let text = core::str::from_utf8(bytes).ok()?;
        let (host, port) = if text.starts_with('[') {
            let (address, port) = text.split_at_checked(text.find(']')? + 1)?;
            let inner = address.strip_prefix('[')?.strip_suffix(']')?;
            inner.parse::<Ipv6Addr>().ok()?;
            (address, port)
        } else {
            let (name, port) = text.split_at_checked(text.find(':').unwrap_or(text.len()))?;
            is_name(name).then_some((name, port))?
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            None => return None,
            Some("") => None,
            Some(digits) => Some(parse_port(digits)?),
        };
        Some(Self { host, port })
    }

    /// The longest name.
    pub const MAX_HOST_BYTES: usize = 255;

    /// The host as it was written; an IPv6 address keeps its brackets.
    pub const fn host(&self) -> &'a str {
        self.host
    }

    /// The port, if one was written.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether both name the same host (ignoring ASCII case, nothing else) and port, `default_port` standing
    /// in where none was written. O(length).
    pub fn same_as(&self, other: &Authority<'_>, default_port: u16) -> bool {
        self.host.eq_ignore_ascii_case(other.host)
            && self.port.unwrap_or(default_port) == other.port.unwrap_or(default_port)
    }
}

fn is_name(name: &str) -> bool {
    let labels = name.strip_suffix('.').unwrap_or(name);
    name.len() <= Authority::MAX_HOST_BYTES
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && labels.split('.').all(|label| !label.is_empty())
}

/// Digits only: `parse` alone would take a sign.
fn parse_port(digits: &str) -> Option<u16> {
    let plain = digits.len() <= 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok())?
}
