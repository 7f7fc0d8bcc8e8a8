//! Which pages may connect: the `Origin` of an upgrade (RFC 6455 10.2, RFC 6454) against a policy.
//!
//! A pure comparison of names. It protects browsers' users from foreign pages; programs that are not browsers
//! send whatever they like.

#[cfg(test)]
mod tests;

use crate::config::OriginPolicy;
use crate::http::Authority;
use crate::http::syntax::default_port;

/// Whether a request with these `Origin` header values, sent to `host`, may upgrade.
///
/// - No value: [`allow_missing`](OriginPolicy::allow_missing) alone decides.
/// - `*` in [`allow`](OriginPolicy::allow): every other request may.
/// - Several values: refused.
/// - A listed origin: scheme, host and port are equal, ignoring case; a default port may be written or not.
///   What is not an origin of `http`, `https`, `ws` or `wss` (`null`, `chrome-extension://id`) is compared as
///   text, ignoring case.
/// - [`allow_same_host`](OriginPolicy::allow_same_host): an `http` or `https` origin whose host and port are
///   those of `host`, its scheme giving the port where none is written. Whether the server itself is
///   reached over TLS is not known here and plays no part.
/// - [`allow_localhost`](OriginPolicy::allow_localhost): an `http` or `https` origin on exactly `localhost`,
///   `127.0.0.1` or `[::1]`, any port.
///
/// A name that an attacker owns and lets point at this server passes `allow_same_host` (DNS rebinding); what such
/// a page lacks is the user's cookies for the real name. Where that is not enough, list the origins instead.
///
/// O(listed origins), allocates nothing.
pub fn allowed<'a>(
    policy: &OriginPolicy,
    origins: impl IntoIterator<Item = &'a [u8]>,
    host: Option<&Authority<'_>>,
) -> bool {
    let mut origins = origins.into_iter();
    let Some(first) = origins.next() else {
        return policy.allow_missing;
    };
    if policy.allow.iter().any(|listed| listed == "*") {
        return true;
    }
    let (Ok(text), None) = (core::str::from_utf8(first), origins.next()) else {
        return false;
    };
    let origin = Origin::parse(text);
    policy
        .allow
        .iter()
        .any(|listed| match (&origin, Origin::parse(listed)) {
            (Some(origin), Some(listed)) => origin.same_as(&listed),
            _ => text.eq_ignore_ascii_case(listed),
        })
        || origin.is_some_and(|origin| {
            origin.is_page()
                && ((policy.allow_same_host && origin.is_at(host))
                    || (policy.allow_localhost && origin.is_localhost()))
        })
}

/// `scheme://host[:port]` with a scheme that has a default port.
struct Origin<'a> {
    scheme: &'a str,
    authority: Authority<'a>,
    default_port: u16,
}

impl<'a> Origin<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        Some(Self {
            scheme,
            authority: Authority::parse(authority.as_bytes())?,
            default_port: default_port(scheme)?,
        })
    }

    fn same_as(&self, other: &Origin<'_>) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme)
            && self.authority.same_as(&other.authority, self.default_port)
    }

    /// Whether a browser's page can have this origin.
    fn is_page(&self) -> bool {
        ["http", "https"]
            .iter()
            .any(|scheme| self.scheme.eq_ignore_ascii_case(scheme))
    }

    fn is_at(&self, host: Option<&Authority<'_>>) -> bool {
        host.is_some_and(|host| self.authority.same_as(host, self.default_port))
    }

    fn is_localhost(&self) -> bool {
        ["localhost", "127.0.0.1", "[::1]"]
            .iter()
            .any(|name| self.authority.host().eq_ignore_ascii_case(name))
    }
}
