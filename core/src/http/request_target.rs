//! What a request asks for: path and query. Decides nothing about which paths exist.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use super::authority::Authority;
use super::head::Method;
use super::response::Refusal;
use super::syntax::default_port;

/// A request's target (RFC 9112 3.2), split into path and query.
///
/// The path stays as it was sent: it is matched byte for byte, so `/%68ealth` and `//health` are other paths
/// than `/health`, and nothing that a proxy may have checked is rewritten here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Reads the target of a request for `method` at `host`. O(length).
    ///
    /// # Errors
    ///
    /// 405 for `CONNECT`. 400 for anything but `/path`, an absolute `http`, `https`, `ws` or `wss` URI whose
    /// authority is `host` if there is one, or, with `OPTIONS` alone, `*`; for a fragment; for bytes outside visible
    /// ASCII.
    pub fn parse(
        raw: &'a str,
        method: Method,
        host: Option<&Authority<'_>>,
    ) -> Result<Self, Refusal> {
        if method == Method::Connect {
            // What follows would be the tunnel, not another request (RFC 9110, section 9.3.6).
            return Err(Refusal::method_not_allowed("GET, HEAD").and_end());
        }
        if !raw.bytes().all(|byte| byte.is_ascii_graphic()) || raw.contains('#') {
            return Err(Refusal::bad_request(
                "The request target holds characters that must be percent-encoded",
            ));
        }
        if raw.starts_with('/') {
            return Ok(Self::split(raw));
        }
        if raw == "*" && method == Method::Options {
            return Ok(Self {
                path: raw,
                query: None,
            });
        }
        Self::absolute(raw, host)
    }

    /// `scheme://authority[/path][?query]`. A server must take this form (RFC 9112 3.2.2); one that
    /// contradicts `Host` is how caches are poisoned. HTTP/1.0 may do without `Host`.
    fn absolute(raw: &'a str, host: Option<&Authority<'_>>) -> Result<Self, Refusal> {
        const BAD_FORM: Refusal =
            Refusal::bad_request("The request target must be a path that starts with /");
        let (scheme, rest) = raw.split_once("://").ok_or(BAD_FORM)?;
        let port = default_port(scheme).ok_or(BAD_FORM)?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end).ok_or(BAD_FORM)?;
        let authority = Authority::parse(authority.as_bytes()).ok_or(BAD_FORM)?;
        if host.is_some_and(|host| !authority.same_as(host, port)) {
            return Err(Refusal::bad_request(
                "The request target and the Host header name different hosts",
            ));
        }
        Ok(Self::split(path))
    }

    fn split(raw: &'a str) -> Self {
        let (path, query) = match raw.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (raw, None),
        };
        let path = if path.is_empty() { "/" } else { path };
        Self { path, query }
    }

    /// The path as it was sent, at least `/`; or `*`, for an `OPTIONS` request about the whole server.
    pub const fn path(&self) -> &'a str {
        self.path
    }

    /// Everything after the first `?`, as it was sent.
    pub const fn query(&self) -> Option<&'a str> {
        self.query
    }

    /// The value of the first query parameter called `name`, decoded as HTML forms are: `+` is a space, `%41`
    /// is `A`, a `%` without two hexadecimal digits stands for itself. A parameter without `=` has the value
    /// `""`. `None` if there is no such parameter or its value is not UTF-8.
    ///
    /// O(query). Allocates only what must be decoded.
    pub fn query_value(&self, name: &str) -> Option<Cow<'a, str>> {
        let (_, value) = self
            .query?
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .find(|(key, _)| decode(key).as_deref() == Some(name))?;
        decode(value)
    }
}

/// Undoes `application/x-www-form-urlencoded`. `None` if the result is not UTF-8.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        decoded.push(match (byte, tail) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    rest = after;
                    high << 4 | low
                }
                _ => b'%',
            },
            _ => *byte,
        });
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// The value of a hexadecimal digit.
fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}
