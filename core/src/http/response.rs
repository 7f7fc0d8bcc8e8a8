//! Responses: bytes appended to a vector.
//!
//! Owns status codes, the fields that every response carries and the texts of refusals. Decides nothing: which
//! response is due is the caller's business, as is the clock.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::io::Write as _;

use super::head::{Method, RequestHead};

/// What a client that [expects it](RequestHead::expects_continue) is told before its body is read.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The latest time that a `Date` header can show, the last second of the year 9999; later times show this one.
pub const MAX_DATE_UNIX_MS: u64 = 253_402_300_799_999;

/// The final status codes that are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Status {
    /// 200.
    Ok,
    /// 304.
    NotModified,
    /// 400.
    BadRequest,
    /// 403.
    Forbidden,
    /// 404.
    NotFound,
    /// 405.
    MethodNotAllowed,
    /// 408.
    RequestTimeout,
    /// 413.
    ContentTooLarge,
    /// 417.
    ExpectationFailed,
    /// 426.
    UpgradeRequired,
    /// 431.
    HeaderFieldsTooLarge,
    /// 501.
    NotImplemented,
    /// 503.
    ServiceUnavailable,
    /// 505.
    VersionNotSupported,
}

impl Status {
    /// The number.
    pub const fn code(self) -> u16 {
        self.describe().0
    }

    /// The reason phrase of RFC 9110.
    pub const fn reason(self) -> &'static str {
        self.describe().1
    }

    const fn describe(self) -> (u16, &'static str) {
        match self {
            Self::Ok => (200, "OK"),
            Self::NotModified => (304, "Not Modified"),
            Self::BadRequest => (400, "Bad Request"),
            Self::Forbidden => (403, "Forbidden"),
            Self::NotFound => (404, "Not Found"),
            Self::MethodNotAllowed => (405, "Method Not Allowed"),
            Self::RequestTimeout => (408, "Request Timeout"),
            Self::ContentTooLarge => (413, "Content Too Large"),
            Self::ExpectationFailed => (417, "Expectation Failed"),
            Self::UpgradeRequired => (426, "Upgrade Required"),
            Self::HeaderFieldsTooLarge => (431, "Request Header Fields Too Large"),
            Self::NotImplemented => (501, "Not Implemented"),
            Self::ServiceUnavailable => (503, "Service Unavailable"),
            Self::VersionNotSupported => (505, "HTTP Version Not Supported"),
        }
    }
}

/// What a response depends on besides its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyTo {
    /// Wall clock for the `Date` header, milliseconds since 1970.
    pub unix_ms: u64,
    /// `Connection: keep-alive` instead of `close`. The caller then acts on it.
    pub keep_alive: bool,
    /// The request was `HEAD`: the body is announced but not sent.
    pub head_only: bool,
}

impl ReplyTo {
    /// The answer to `head`; keeps the connection if the client wants that.
    pub fn request(head: &RequestHead<'_>, unix_ms: u64) -> Self {
        Self {
            unix_ms,
            keep_alive: head.keep_alive,
            head_only: head.method == Method::Head,
        }
    }

    /// The answer to something that is no request; ends the connection.
    pub const fn unparsed(unix_ms: u64) -> Self {
        Self {
            unix_ms,
            keep_alive: false,
            head_only: false,
        }
    }
}

/// A response that has a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    status: Status,
    content_type: &'static str,
    body: &'a [u8],
    caching: Caching,
}

/// What caches may do with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caching {
    /// What they think best.
    Unsaid,
    /// Nothing.
    Never,
    /// Keep it, and ask whether it is still that of this tag before it is used again.
    Ask { tag: u64, access: Access },
}

/// Who may read a file, and what it may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// Pages of any origin may read it.
    Public,
    /// It is a page, or a part of one, that has nothing to do with anybody but this server.
    Page,
}

impl<'a> Response<'a> {
    /// Plain text.
    pub const fn text(status: Status, body: &'a str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body.as_bytes())
    }

    /// JSON, already encoded.
    pub const fn json(status: Status, body: &'a [u8]) -> Self {
        Self::new(status, "application/json", body)
    }

    /// A body of any other type. `content_type` goes out as it is.
    pub const fn new(status: Status, content_type: &'static str, body: &'a [u8]) -> Self {
        Self {
            status,
            content_type,
            body,
            caching: Caching::Unsaid,
        }
    }

    /// Forbids caches to keep it: what it tells is true for the moment only.
    pub const fn no_store(self) -> Self {
        Self {
            caching: Caching::Never,
            ..self
        }
    }

    /// A public file: pages of any origin may read it, and caches keep it but ask whether it still has this tag.
    pub const fn public_file(content_type: &'static str, body: &'a [u8], tag: u64) -> Self {
        Self::file(content_type, body, tag, Access::Public)
    }

    /// A page for people, or a part of one: it may use scripts, styles and images of this server, images that it has
    /// made itself, and connections to this server, and nothing else; no other page may show it in a frame. Caches keep
    /// it but ask whether it still has this tag.
    pub const fn page_file(content_type: &'static str, body: &'a [u8], tag: u64) -> Self {
        Self::file(content_type, body, tag, Access::Page)
    }

    const fn file(content_type: &'static str, body: &'a [u8], tag: u64, access: Access) -> Self {
        Self {
            caching: Caching::Ask { tag, access },
            ..Self::new(Status::Ok, content_type, body)
        }
    }

    /// The answer to who has this file already (304): it has neither body nor length.
    pub const fn not_modified(self) -> Self {
        Self {
            status: Status::NotModified,
            content_type: "",
            body: b"",
            ..self
        }
    }

    /// Appends the response to `out`. With a `Content-Length` unless it is a 304, so that the end is known. O(body).
    pub fn write(&self, reply: &ReplyTo, out: &mut Vec<u8>) {
        self.write_with(Extra::None, reply, out);
    }

    fn write_with(&self, extra: Extra, reply: &ReplyTo, out: &mut Vec<u8>) {
        out.reserve(HEAD_BYTES + self.body.len());
        let (code, reason) = self.status.describe();
        push(out, format_args!("HTTP/1.1 {code} {reason}\r\nDate: "));
        push_date(out, reply.unix_ms);
        out.extend_from_slice(b"\r\n");
        if self.status != Status::NotModified {
            push(
                out,
                format_args!(
                    "Content-Type: {}\r\nContent-Length: {}\r\n",
                    self.content_type,
                    self.body.len()
                ),
            );
        }
        out.extend_from_slice(b"X-Content-Type-Options: nosniff\r\n");
        self.caching.push(out);
        extra.push(out);
        let connection = if reply.keep_alive {
            "keep-alive"
        } else {
            "close"
        };
        push(out, format_args!("Connection: {connection}"));
        if extra == Extra::Upgrade {
            // `Upgrade` concerns this connection only and must be listed (RFC 9110 7.8).
            out.extend_from_slice(b", Upgrade");
        }
        out.extend_from_slice(b"\r\n\r\n");
        if !reply.head_only {
            out.extend_from_slice(self.body);
        }
    }
}

impl Caching {
    fn push(self, out: &mut Vec<u8>) {
        match self {
            Self::Unsaid => {}
            Self::Never => out.extend_from_slice(b"Cache-Control: no-store\r\n"),
            Self::Ask { tag, access } => {
                push(
                    out,
                    format_args!("ETag: \"{tag:016x}\"\r\nCache-Control: no-cache\r\n"),
                );
                out.extend_from_slice(match access {
                    Access::Public => b"Access-Control-Allow-Origin: *\r\n",
                    Access::Page => PAGE_POLICY,
                });
            }
        }
    }
}

/// A request that is not served: status, a short text for people, and the fields that belong to the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Refusal {
    status: Status,
    text: &'static str,
    extra: Extra,
    /// Whatever the status says, the connection ends.
    ends: bool,
}

/// Fields that only some statuses have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extra {
    None,
    Allow(&'static str),
    RetryAfter { seconds: u32 },
    Upgrade,
}

impl Refusal {
    /// 400: the request is malformed; `text` says how.
    pub const fn bad_request(text: &'static str) -> Self {
        Self::new(Status::BadRequest, text)
    }

    /// 403: understood, and refused to this client; `text` says why, as far as it may know.
    pub const fn forbidden(text: &'static str) -> Self {
        Self::new(Status::Forbidden, text)
    }

    /// 404: no such path. The body is exactly `Not found`.
    pub const fn not_found() -> Self {
        Self::new(Status::NotFound, "Not found")
    }

    /// 405: the path exists, the method is not served there. `allow` lists those that are (`GET, HEAD`).
    pub const fn method_not_allowed(allow: &'static str) -> Self {
        Self {
            extra: Extra::Allow(allow),
            ..Self::new(Status::MethodNotAllowed, "Method not allowed")
        }
    }

    /// 408: the request did not arrive in time.
    pub const fn request_timeout() -> Self {
        Self::new(Status::RequestTimeout, "The request took too long")
    }

    /// 413: the body is larger than its limit.
    pub const fn content_too_large() -> Self {
        Self::new(Status::ContentTooLarge, "The request body is too large")
    }

    /// 417: an `Expect` header other than `100-continue`.
    pub const fn expectation_failed() -> Self {
        Self::new(
            Status::ExpectationFailed,
            "The only expectation served here is 100-continue",
        )
    }

    /// 426: the path is a WebSocket endpoint and this is no version 13 handshake. Carries `Upgrade: websocket`
    /// and `Sec-WebSocket-Version: 13` (RFC 6455 4.2.2).
    pub const fn upgrade_required() -> Self {
        Self {
            extra: Extra::Upgrade,
            ..Self::new(
                Status::UpgradeRequired,
                "This is a WebSocket endpoint, connect with WebSocket version 13",
            )
        }
    }

    /// 431: the head is too long or has too many fields, or the trailers of a chunked body are too long.
    pub const fn head_too_large() -> Self {
        Self::new(
            Status::HeaderFieldsTooLarge,
            "The request line and headers are too large",
        )
    }

    /// 501: a method or transfer coding that this server does not know; `text` says which of the two.
    pub const fn not_implemented(text: &'static str) -> Self {
        Self::new(Status::NotImplemented, text)
    }

    /// 503: not now; `text` says why. `retry_after_s` tells when it is worth trying again.
    pub const fn unavailable(text: &'static str, retry_after_s: Option<u32>) -> Self {
        Self {
            extra: match retry_after_s {
                Some(seconds) => Extra::RetryAfter { seconds },
                None => Extra::None,
            },
            ..Self::new(Status::ServiceUnavailable, text)
        }
    }

    /// 505: an HTTP version other than 1.0 and 1.1.
    pub const fn version_not_supported() -> Self {
        Self::new(Status::VersionNotSupported, "Use HTTP/1.1")
    }

    const fn new(status: Status, text: &'static str) -> Self {
        Self {
            status,
            text,
            extra: Extra::None,
            ends: false,
        }
    }

    /// The status.
    pub const fn status(&self) -> Status {
        self.status
    }

    /// The body.
    pub const fn text(&self) -> &'static str {
        self.text
    }

    /// The header fields that belong to the status, for another server to answer with.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, Cow<'static, str>)> {
        self.extra.fields().into_iter().flatten()
    }

    /// Whether the connection can take another request after this refusal: the request was read to its end and
    /// only not served. Otherwise what follows cannot be told from the rest of it, and the connection must end.
    pub const fn keeps_connection(&self) -> bool {
        !self.ends
            && matches!(
                self.status,
                Status::Forbidden
                    | Status::NotFound
                    | Status::MethodNotAllowed
                    | Status::UpgradeRequired
            )
    }

    /// The same refusal of a request that was not read to its end: the connection ends.
    pub(super) const fn and_end(self) -> Self {
        Self { ends: true, ..self }
    }

    /// Appends the response to `out`. It says `Connection: close` unless both `reply` and
    /// [`keeps_connection`](Self::keeps_connection) say otherwise. O(1).
    pub fn write(&self, reply: &ReplyTo, out: &mut Vec<u8>) {
        let reply = ReplyTo {
            keep_alive: reply.keep_alive && self.keeps_connection(),
            ..*reply
        };
        Response::text(self.status, self.text).write_with(self.extra, &reply, out);
    }
}

impl Extra {
    fn fields(self) -> [Option<(&'static str, Cow<'static, str>)>; 2] {
        let one = |name, value| [Some((name, value)), None];
        match self {
            Self::None => [None, None],
            Self::Allow(methods) => one("Allow", methods.into()),
            Self::RetryAfter { seconds } => one("Retry-After", seconds.to_string().into()),
            Self::Upgrade => [
                Some(("Upgrade", "websocket".into())),
                Some(("Sec-WebSocket-Version", "13".into())),
            ],
        }
    }

    fn push(self, out: &mut Vec<u8>) {
        for (name, value) in self.fields().into_iter().flatten() {
            push(out, format_args!("{name}: {value}\r\n"));
        }
    }
}

/// Appends formatted text.
fn push(out: &mut Vec<u8>, text: core::fmt::Arguments<'_>) {
    // Writing to a vector cannot fail.
    let _ = out.write_fmt(text);
}

/// Appends `Sun, 06 Nov 1994 08:49:37 GMT` (IMF-fixdate, RFC 9110 5.6.7).
fn push_date(out: &mut Vec<u8>, unix_ms: u64) {
    let seconds = unix_ms.min(MAX_DATE_UNIX_MS) / 1_000;
    let (days, second_of_day) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let weekday = name_of(DAYS, days % 7);
    let month = name_of(MONTHS, month);
    let (hour, minute, second) = (
        second_of_day / 3_600,
        second_of_day / 60 % 60,
        second_of_day % 60,
    );
    push(
        out,
        format_args!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT"),
    );
}

/// Year, month (0 is March) and day (1 to 31) of the day `days` after 1970-01-01.
///
/// Counts in years that begin with March, so that the leap day is the last of its year, and in eras of 400
/// years, after which the Gregorian calendar repeats.
const fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + DAYS_FROM_MARCH_0_TO_1970;
    let (era, day_of_era) = (shifted / DAYS_PER_ERA, shifted % DAYS_PER_ERA);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let january_or_february = month >= 10;
    (
        era * 400 + year_of_era + january_or_february as u64,
        month,
        day,
    )
}

/// The `index`-th name of three letters in `names`.
fn name_of(names: &'static str, index: u64) -> &'static str {
    let start = usize::try_from(index).unwrap_or_default() * 3;
    names.get(start..start + 3).unwrap_or_default()
}

/// From 1970-01-01, a Thursday.
const DAYS: &str = "ThuFriSatSunMonTueWed";
/// From March.
const MONTHS: &str = "MarAprMayJunJulAugSepOctNovDecJanFeb";
const DAYS_PER_ERA: u64 = 146_097;
const DAYS_FROM_MARCH_0_TO_1970: u64 = 719_468;
/// `'self'` of `connect-src` is this server's WebSocket, too.
const PAGE_POLICY: &[u8] = b"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
    Referrer-Policy: no-referrer\r\n";
/// What the longest head takes, about, but for that of a page.
const HEAD_BYTES: usize = 320;
