//! The head of a request: found in a growing buffer, checked, and lent as a view.
//!
//! Keeps no bytes: whoever owns the buffer keeps an unfinished head and how far it was searched. `httparse`
//! does the lexing; what it lets pass and two parties could read differently is refused here (RFC 9112,
//! stricter where it leaves a choice). Knows nothing of routes and of what headers mean beyond framing.

#[cfg(test)]
mod tests;

use core::mem::MaybeUninit;

use super::authority::Authority;
use super::request_target::Target;
use super::response::Refusal;
use super::syntax::{elements, is_token_byte, trim_ows};

/// The most header fields that [`HeadLimits::max_headers`] can allow: they are parsed on the stack.
pub const MAX_HEADERS: usize = 128;

/// How large a request head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// The longest head, its final blank line included. Longer: 431.
    pub max_bytes: usize,
    /// The most header fields, at most [`MAX_HEADERS`]. More: 431.
    pub max_headers: usize,
}

/// What [`RequestHead::parse`] made of the bytes so far.
#[derive(Clone, Copy, Debug)]
pub enum Parsed<'a> {
    /// So far so good; the end of the head is still to come.
    Partial,
    /// A whole head.
    Complete {
        /// What it says.
        head: RequestHead<'a>,
        /// Its length in bytes; what follows is the body or the next request.
        consumed: usize,
    },
}

/// A request head that passed every check, borrowed from the buffer it came in.
///
/// Small and `Copy`: the header fields are not stored but walked again on demand.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct RequestHead<'a> {
    /// What is asked.
    pub method: Method,
    /// Of what.
    pub target: Target<'a>,
    /// In which version.
    pub version: Version,
    /// The `Host` header; always there in HTTP/1.1.
    pub host: Option<Authority<'a>>,
    /// How the body is delimited.
    pub framing: Framing,
    /// The client lets the connection live on: HTTP/1.1 without `Connection: close`. HTTP/1.0 never.
    pub keep_alive: bool,
    /// The client waits for [`CONTINUE`](super::CONTINUE) before it sends the body (RFC 9110 10.1.1). Either
    /// write that and read the body, or write a final response and close: without either the client stalls.
    pub expects_continue: bool,
    headers: Headers<'a>,
}

impl<'a> RequestHead<'a> {
    /// Looks for a whole head at the start of `bytes`.
    ///
    /// `scan` remembers how far the search for the end has come. It starts at 0, stays with the buffer while
    /// that grows (`bytes` begins with what was passed before) and goes back to 0 for the next request. With it
    /// any way of splitting the input costs O(bytes) in all, and gives the same result.
    ///
    /// # Errors
    ///
    /// As soon as the bytes can no longer become a good head; nothing after it can be trusted, so answer and
    /// close. 431: longer than `limits`, the request line included (there is no 414). 505: an HTTP version
    /// other than 1.0 and 1.1. 501: a method that [`Method`] does not know, a transfer coding before
    /// `chunked`. 417: an expectation other than `100-continue`. 405: `CONNECT`. 400: everything else, among it
    /// TLS and the HTTP/2 preface, line ends other than CR LF, leading blank lines, folded headers, missing or
    /// repeated or malformed `Host`, and body lengths that could be read in two ways.
    pub fn parse(
        bytes: &'a [u8],
        limits: &HeadLimits,
        scan: &mut usize,
    ) -> Result<Parsed<'a>, Refusal> {
        let window = bytes.get(..limits.max_bytes).unwrap_or(bytes);
        check_start(window)?;
        let Some(end) = find_end(window, scan)? else {
            return if window.len() == limits.max_bytes {
                Err(Refusal::head_too_large())
            } else {
                Ok(Parsed::Partial)
            };
        };
        let whole = window.get(..end).unwrap_or(window);
        let head = parse_whole(whole, limits.max_headers)?;
        Ok(Parsed::Complete {
            head,
            consumed: end,
        })
    }

    /// All header fields in order.
    pub const fn headers(&self) -> Headers<'a> {
        self.headers
    }

    /// The values of every field called `name` (any case), in order, white space trimmed. O(head).
    pub fn values<'n>(
        &self,
        name: &'n str,
    ) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a, 'n> {
        self.headers.values(name)
    }

    /// The elements of a comma-separated list that may be spread over several fields called `name`; empty ones
    /// are skipped (RFC 9110 5.6.1). Not for lists with quoted strings. O(head).
    pub fn elements<'n>(
        &self,
        name: &'n str,
    ) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a, 'n> {
        self.values(name).flat_map(elements)
    }

    /// Whether the list `name` holds `token`, ignoring case. O(head).
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.elements(name)
            .any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }
}

/// The request methods of RFC 9110 and RFC 5789, so that a route can tell "not here" (405) from "never heard
/// of" (501).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// Only ever refused.
    Connect,
    /// `DELETE`.
    Delete,
    /// `GET`.
    Get,
    /// `GET` without the body.
    Head,
    /// `OPTIONS`.
    Options,
    /// `PATCH`.
    Patch,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `TRACE`.
    Trace,
}

impl Method {
    /// Reads a method; they are case-sensitive. `None` for one that is not listed here.
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "CONNECT" => Self::Connect,
            "DELETE" => Self::Delete,
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "OPTIONS" => Self::Options,
            "PATCH" => Self::Patch,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "TRACE" => Self::Trace,
            _ => return None,
        })
    }
}

/// The versions that are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0: answered and closed, never upgraded.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// How a request's body is delimited (RFC 9112 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// No body.
    None,
    /// This many bytes; may be 0.
    Length(u64),
    /// Chunks, the last one empty, and trailers.
    Chunked,
}

impl Framing {
    /// Whether at least one byte belongs to the body.
    pub const fn has_body(self) -> bool {
        !matches!(self, Self::None | Self::Length(0))
    }
}

/// Walks the header fields of a checked head: name as it was sent, value without white space around it.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    /// Whole lines, each with its CR LF; the blank line is not among them.
    block: &'a [u8],
}

impl<'a> Headers<'a> {
    /// Those of no head.
    pub(crate) const NONE: Self = Self { block: &[] };

    /// Nothing is left to walk. O(1).
    pub(crate) const fn is_empty(&self) -> bool {
        self.block.is_empty()
    }

    /// See [`RequestHead::values`].
    pub(crate) fn values<'n>(
        mut self,
        name: &'n str,
    ) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a, 'n> {
        core::iter::from_fn(move || {
            loop {
                let (field, value) = self.next_field()?;
                if field.eq_ignore_ascii_case(name.as_bytes()) {
                    return Some(value);
                }
            }
        })
    }

    /// The next one, with a name that is not looked at: it was when the head was checked.
    #[inline]
    pub(crate) fn next_field(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let line_end = memchr::memchr(b'\n', self.block)?;
        let (line, rest) = self.block.split_at_checked(line_end + 1)?;
        self.block = rest;
        let line = line.strip_suffix(b"\r\n")?;
        let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
        Some((name, trim_ows(value.get(1..)?)))
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.next_field()?;
        Some((core::str::from_utf8(name).ok()?, value))
    }
}

/// Tells other protocols apart by their first bytes, so that they are not kept waiting for a blank line.
fn check_start(window: &[u8]) -> Result<(), Refusal> {
    let Some(&first) = window.first() else {
        return Ok(());
    };
    if first == TLS_HANDSHAKE {
        return Err(Refusal::bad_request("This port speaks plain HTTP, not TLS"));
    }
    if !is_token_byte(first) {
        return Err(Refusal::bad_request("This is not an HTTP request"));
    }
    if window.starts_with(HTTP2_PREFACE_LINE) {
        return Err(Refusal::bad_request(
            "HTTP/2 is not served here, use HTTP/1.1",
        ));
    }
    Ok(())
}

/// The length of the head, its blank line included. Looks at every byte once over all calls.
///
/// Both line-end bytes are checked on the way: a CR or LF on its own is where parsers disagree about how many
/// lines there are.
fn find_end(window: &[u8], scan: &mut usize) -> Result<Option<usize>, Refusal> {
    const BAD_LINE_END: Refusal = Refusal::bad_request("Lines must end with CR LF");
    while let Some(offset) = window
        .get(*scan..)
        .and_then(|unseen| memchr::memchr2(b'\r', b'\n', unseen))
    {
        let at = *scan + offset;
        *scan = at;
        match window.get(at..) {
            Some([b'\r', b'\n', ..]) => {}
            // The LF may be the next byte to arrive.
            Some([b'\r']) => return Ok(None),
            _ => return Err(BAD_LINE_END),
        }
        *scan = at + 2;
        if window
            .get(..at)
            .is_some_and(|before| before.ends_with(b"\n"))
        {
            return Ok(Some(at + 2));
        }
    }
    *scan = window.len().max(*scan);
    Ok(None)
}

/// Parses a head that is known to be all there.
fn parse_whole(whole: &[u8], max_headers: usize) -> Result<RequestHead<'_>, Refusal> {
    const BAD_REQUEST_LINE: Refusal = Refusal::bad_request("The request line is malformed");
    let mut slots = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let (slots, _) = slots.split_at_mut(max_headers.min(MAX_HEADERS));
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(whole, slots) {
        Ok(httparse::Status::Complete(consumed)) if consumed == whole.len() => {}
        Ok(_) => return Err(BAD_REQUEST_LINE),
        Err(error) => return Err(refuse(error, whole)),
    }
    let (Some(method), Some(raw_target), Some(minor)) =
        (request.method, request.path, request.version)
    else {
        return Err(BAD_REQUEST_LINE);
    };
    let version = match minor {
        0 => Version::Http10,
        _ => Version::Http11,
    };
    let method = Method::parse(method).ok_or(Refusal::not_implemented("Unknown request method"))?;
    let facts = Facts::gather(request.headers);
    let host = facts.host(version)?;
    let framing = facts.framing(version)?;
    Ok(RequestHead {
        method,
        target: Target::parse(raw_target, method, host.as_ref())?,
        version,
        host,
        framing,
        keep_alive: version == Version::Http11 && !facts.close,
        expects_continue: facts.expects_continue(version)? && framing.has_body(),
        headers: Headers {
            block: header_block(whole),
        },
    })
}

/// What lies between the request line and the blank line.
fn header_block(whole: &[u8]) -> &[u8] {
    memchr::memchr(b'\n', whole)
        .and_then(|line_end| whole.get(line_end + 1..whole.len().saturating_sub(2)))
        .unwrap_or_default()
}

fn refuse(error: httparse::Error, whole: &[u8]) -> Refusal {
    match error {
        httparse::Error::TooManyHeaders => Refusal::head_too_large(),
        httparse::Error::HeaderName | httparse::Error::HeaderValue => {
            Refusal::bad_request("A header field is malformed")
        }
        httparse::Error::Version if names_other_version(whole) => Refusal::version_not_supported(),
        _ => Refusal::bad_request("The request line is malformed"),
    }
}

/// Whether the request line is well-formed but for a version that is not served.
fn names_other_version(whole: &[u8]) -> bool {
    let line = whole
        .split(|&byte| byte == b'\r')
        .next()
        .unwrap_or_default();
    let mut words = line.split(|&byte| byte == b' ').skip(2);
    let Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]) = words.next() else {
        return false;
    };
    let is_served = *major == b'1' && matches!(minor, b'0' | b'1');
    major.is_ascii_digit() && minor.is_ascii_digit() && !is_served && words.next().is_none()
}

/// The headers that decide where this request ends and whether it may be served at all.
#[derive(Default)]
struct Facts<'a> {
    host: Seen<'a>,
    content_length: Seen<'a>,
    transfer_encoding: Seen<'a>,
    close: bool,
    expects_continue: bool,
    expects_other: bool,
}

/// A header that may be there once.
#[derive(Clone, Copy, Default)]
pub(crate) enum Seen<'a> {
    #[default]
    Never,
    Once(&'a [u8]),
    Again,
}

impl<'a> Seen<'a> {
    /// Takes account of one with this value.
    pub(crate) fn note(&mut self, value: &'a [u8]) {
        *self = match self {
            Self::Never => Self::Once(value),
            _ => Self::Again,
        };
    }
}

impl<'a> Facts<'a> {
    fn gather(headers: &[httparse::Header<'a>]) -> Self {
        let mut facts = Self::default();
        for header in headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            if is("host") {
                facts.host.note(header.value);
            } else if is("content-length") {
                facts.content_length.note(header.value);
            } else if is("transfer-encoding") {
                facts.transfer_encoding.note(header.value);
            } else if is("connection") {
                facts.close |= elements(header.value).any(|it| it.eq_ignore_ascii_case(b"close"));
            } else if is("expect") {
                let known = header.value.eq_ignore_ascii_case(b"100-continue");
                facts.expects_continue |= known;
                facts.expects_other |= !known;
            }
        }
        facts
    }

    fn host(&self, version: Version) -> Result<Option<Authority<'a>>, Refusal> {
        match self.host {
            Seen::Once(value) => Authority::parse(value)
                .map(Some)
                .ok_or(Refusal::bad_request("The Host header is malformed")),
            Seen::Never if version == Version::Http10 => Ok(None),
            _ => Err(Refusal::bad_request("Exactly one Host header is needed")),
        }
    }

    /// RFC 9112 6.1 to 6.3, refusing what it lets a server repair.
    fn framing(&self, version: Version) -> Result<Framing, Refusal> {
        match (self.content_length, self.transfer_encoding) {
            (Seen::Never, Seen::Never) => Ok(Framing::None),
            (Seen::Once(digits), Seen::Never) => parse_length(digits)
                .map(Framing::Length)
                .ok_or(Refusal::bad_request("Content-Length must be one number")),
            (Seen::Never, Seen::Once(coding)) if version == Version::Http11 => {
                check_codings(coding).map(|()| Framing::Chunked)
            }
            _ => Err(Refusal::bad_request(
                "The length of the body is stated more than once, or in a way that HTTP/1.0 does not have",
            )),
        }
    }

    /// HTTP/1.0 has no expectations: there the header is to be ignored.
    fn expects_continue(&self, version: Version) -> Result<bool, Refusal> {
        if version == Version::Http10 {
            Ok(false)
        } else if self.expects_other {
            Err(Refusal::expectation_failed())
        } else {
            Ok(self.expects_continue)
        }
    }
}

/// Chunked alone is served. Other codings before it are not; where it is not the last, or is repeated, the end of the
/// body cannot be known (RFC 9112 6.3). Empty elements count as others: parsers differ about them.
fn check_codings(list: &[u8]) -> Result<(), Refusal> {
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let mut codings = list.rsplit(|&byte| byte == b',').map(trim_ows);
    let ends_chunked = codings.next().is_some_and(is_chunked);
    let mut others = codings.peekable();
    if ends_chunked && others.peek().is_none() {
        Ok(())
    } else if ends_chunked && others.all(|coding| !coding.is_empty() && !is_chunked(coding)) {
        Err(Refusal::not_implemented(
            "The only transfer coding served here is chunked",
        ))
    } else {
        Err(Refusal::bad_request(
            "The last transfer coding, and no other, must be chunked",
        ))
    }
}

/// Digits only: `parse` alone would take a sign.
fn parse_length(digits: &[u8]) -> Option<u64> {
    let text = core::str::from_utf8(digits).ok()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

/// The first byte of a TLS record that holds a handshake message.
const TLS_HANDSHAKE: u8 = 0x16;
/// The first line of the HTTP/2 connection preface (RFC 9113 3.4).
const HTTP2_PREFACE_LINE: &[u8] = b"PRI * HTTP/2.0\r\n";
