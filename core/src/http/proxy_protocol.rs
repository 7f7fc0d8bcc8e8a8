//! What a proxy that understands nothing of HTTP says about a connection before its first byte: the PROXY
//! protocol, versions 1 (a line of text) and 2 (binary), as HAProxy's `proxy-protocol.txt` defines them in its
//! sections 2.1 and 2.2.
//!
//! Reads who the connection comes from and skips the rest. Knows no sockets and no settings: who may send such a
//! header is the caller's business, and that there has to be one, for whether there is one must not be guessed.
//! What was found once stays so, whatever follows: a header that is whole or malformed is so with more bytes, too.

#[cfg(test)]
mod tests;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::str::FromStr;

/// The longest header that is read. A sender keeps one within the 536 bytes that every segment may carry, unless it
/// tells of the client's certificate.
pub const MAX_PROXY_HEADER_BYTES: usize = 4 * 1024;

/// A header of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProxyHeader {
    /// Where the connection comes from; IPv4 in IPv6 is told as IPv4. `None` if the header does not say (`UNKNOWN`,
    /// `UNSPEC`), or says that it comes from the proxy itself (`LOCAL`), from a UNIX socket there, or by another
    /// protocol than TCP.
    pub source: Option<SocketAddr>,
    /// Its length; what follows is the connection's own.
    pub bytes: usize,
}

/// These bytes do not begin with a header of the PROXY protocol, or with none that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no header of the PROXY protocol, or a malformed one")]
pub struct MalformedProxyHeader;

impl ProxyHeader {
    /// Reads the header at the start of `bytes`. `None` if it may be there and is not complete: call again with the
    /// same bytes and more. O(header), and never more than [`MAX_PROXY_HEADER_BYTES`] of them; allocates nothing.
    ///
    /// # Errors
    /// As soon as nothing that follows could make a header of it.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, MalformedProxyHeader> {
        match bytes.first() {
            None => Ok(None),
            Some(&first) if TEXT.starts_with(&[first]) => Self::text(bytes),
            Some(_) => Self::binary(bytes),
        }
    }

    /// `PROXY TCP4 192.0.2.1 198.51.100.1 56324 443`, its line ended by CR and LF.
    fn text(bytes: &[u8]) -> Result<Option<Self>, MalformedProxyHeader> {
        begins_with(bytes, TEXT)?;
        let line = bytes.get(..MAX_LINE_BYTES).unwrap_or(bytes);
        let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
            return match line.len() {
                MAX_LINE_BYTES => Err(MalformedProxyHeader),
                _ => Ok(None),
            };
        };
        let said = line.get(TEXT.len()..end).unwrap_or_default();
        let (family, rest) = match said.iter().position(|&byte| byte == b' ') {
            Some(space) => said.split_at(space),
            None => (said, &[][..]),
        };
        let source = match family {
            b"TCP4" => Some(route::<Ipv4Addr>(rest)?),
            b"TCP6" => Some(route::<Ipv6Addr>(rest)?),
            // What it says besides is to be ignored.
            b"UNKNOWN" => None,
            _ => return Err(MalformedProxyHeader),
        };
        Ok(Some(Self {
            source,
            bytes: end + 2,
        }))
    }

    fn binary(bytes: &[u8]) -> Result<Option<Self>, MalformedProxyHeader> {
        begins_with(bytes, SIGNATURE)?;
        let Some((head, rest)) = bytes.split_first_chunk() else {
            return Ok(None);
        };
        let head = BinaryHead::read(head)?;
        let Some(block) = rest.get(..head.block_bytes) else {
            return Ok(None);
        };
        if let Some(size) = head.addresses.size() {
            check_extras(block.get(size..).unwrap_or_default())?;
        }
        Ok(Some(Self {
            source: head.addresses.source(block),
            bytes: BINARY_HEAD_BYTES + head.block_bytes,
        }))
    }
}

/// What a binary header begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BinaryHead {
    pub(crate) addresses: Addresses,
    /// What follows it: addresses, then extras of the form type, length, value.
    pub(crate) block_bytes: usize,
}

/// Which addresses a binary header holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Addresses {
    /// Whatever is there is to be ignored.
    Ignored,
    V4,
    V6,
    /// So many bytes of which nothing is needed: of datagrams, or of UNIX sockets.
    Other(usize),
}

impl BinaryHead {
    /// Reads it, the signature having been compared.
    pub(crate) fn read(head: &[u8; BINARY_HEAD_BYTES]) -> Result<Self, MalformedProxyHeader> {
        let [.., command, kind, high, low] = *head;
        let addresses = match (command, kind >> 4, kind & 0xF) {
            (LOCAL, ..) => Addresses::Ignored,
            (PROXY, 4.., _) | (PROXY, _, 3..) => return Err(MalformedProxyHeader),
            (PROXY, 0, _) | (PROXY, _, 0) => Addresses::Ignored,
            (PROXY, 1, STREAM) => Addresses::V4,
            (PROXY, 2, STREAM) => Addresses::V6,
            (PROXY, 1, _) => Addresses::Other(V4_BYTES),
            (PROXY, 2, _) => Addresses::Other(V6_BYTES),
            (PROXY, ..) => Addresses::Other(UNIX_BYTES),
            _ => return Err(MalformedProxyHeader),
        };
        let block_bytes = usize::from(u16::from_be_bytes([high, low]));
        let most = MAX_PROXY_HEADER_BYTES - BINARY_HEAD_BYTES;
        if block_bytes > most || block_bytes < addresses.size().unwrap_or(0) {
            return Err(MalformedProxyHeader);
        }
        Ok(Self {
            addresses,
            block_bytes,
        })
    }
}

impl Addresses {
    /// How many bytes they take; `None` if nobody knows.
    pub(crate) const fn size(self) -> Option<usize> {
        match self {
            Self::Ignored => None,
            Self::V4 => Some(V4_BYTES),
            Self::V6 => Some(V6_BYTES),
            Self::Other(size) => Some(size),
        }
    }

    /// The first of them: addresses of both ends come before their ports.
    fn source(self, block: &[u8]) -> Option<SocketAddr> {
        match self {
            Self::V4 => source::<4>(block),
            Self::V6 => source::<16>(block),
            Self::Ignored | Self::Other(_) => None,
        }
    }
}

/// `N` bytes of an address, as many of another, the first one's port.
fn source<const N: usize>(block: &[u8]) -> Option<SocketAddr>
where
    IpAddr: From<[u8; N]>,
{
    let (ip, rest) = block.split_first_chunk::<N>()?;
    let port = rest.get(N..)?.first_chunk::<2>()?;
    let ip = IpAddr::from(*ip).to_canonical();
    Some(SocketAddr::new(ip, u16::from_be_bytes(*port)))
}

/// Extras are of no use here, but have to fill what is left: who counts otherwise would find the end elsewhere.
fn check_extras(mut extras: &[u8]) -> Result<(), MalformedProxyHeader> {
    while !extras.is_empty() {
        let ([_, high, low], rest) = extras.split_first_chunk().ok_or(MalformedProxyHeader)?;
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        extras = rest.get(length..).ok_or(MalformedProxyHeader)?;
    }
    Ok(())
}

/// The addresses of both ends and then their ports, each after exactly one space; returns the first end.
fn route<A: FromStr + Into<IpAddr>>(text: &[u8]) -> Result<SocketAddr, MalformedProxyHeader> {
    let read = || {
        let mut fields = core::str::from_utf8(text).ok()?.split(' ');
        let nothing = fields.next()?;
        let source = fields.next()?.parse::<A>().ok()?;
        fields.next()?.parse::<A>().ok()?;
        let port = port(fields.next()?)?;
        self::port(fields.next()?)?;
        let over = nothing.is_empty() && fields.next().is_none();
        over.then(|| SocketAddr::new(source.into().to_canonical(), port))
    };
    read().ok_or(MalformedProxyHeader)
}

/// A port in digits, without zeros in front.
fn port(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let zeros = text.len() > 1 && text.starts_with('0');
    (plain && !zeros).then(|| text.parse().ok())?
}

fn begins_with(bytes: &[u8], start: &[u8]) -> Result<(), MalformedProxyHeader> {
    let same = bytes.iter().zip(start).all(|(byte, other)| byte == other);
    same.then_some(()).ok_or(MalformedProxyHeader)
}

/// What version 1 begins with.
const TEXT: &[u8] = b"PROXY ";
/// A line of version 1 with its end, at most (section 2.1).
const MAX_LINE_BYTES: usize = 107;
/// What version 2 begins with.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The signature, version and command, family and protocol, and the length of what follows.
pub(crate) const BINARY_HEAD_BYTES: usize = 16;
/// Version 2 in the upper half: a connection of the proxy's own.
const LOCAL: u8 = 0x20;
/// One that it makes for somebody else.
const PROXY: u8 = 0x21;
const STREAM: u8 = 1;
/// Two addresses, two ports.
const V4_BYTES: usize = 2 * (4 + 2);
const V6_BYTES: usize = 2 * (16 + 2);
/// Two paths.
const UNIX_BYTES: usize = 2 * 108;
