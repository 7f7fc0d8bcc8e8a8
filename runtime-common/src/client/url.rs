//! Where to connect, as it is written: `ws://HOST:PORT/PATH?QUERY`, or `wss://` for TLS; what follows the host may be left
//! out.

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use roomwire_core::http::Authority;

/// Shown without its query, which may hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) tls: bool,
    /// A name or an address; IPv6 without its brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path and query, from `/` on.
    pub(crate) target: String,
}

impl Url {
    /// What `Host` says: without the port where it is the scheme's own.
    pub(crate) fn host_field(&self) -> String {
        let host = self.bracketed();
        if self.port == default_port(self.tls) {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }

    /// `host:port`, for who has to find it.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port)
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        }
    }
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(EXPECTED.to_owned());
        };
        let tls = if scheme.eq_ignore_ascii_case("ws") {
            false
        } else if scheme.eq_ignore_ascii_case("wss") {
            true
        } else {
            return Err(format!("{scheme}:// is not for WebSocket: {EXPECTED}"));
        };
        if rest.contains('#') {
            return Err("WebSocket URLs have no fragment: leave out what begins with #".to_owned());
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.contains('@') {
            let what = "a user and password are not taken from the URL: --header 'Authorization: ...' sends them";
            return Err(what.to_owned());
        }
        let authority = Authority::parse(authority.as_bytes())
            .ok_or_else(|| format!("{authority:?} is no host: {EXPECTED}"))?;
        let host = authority.host().trim_matches(['[', ']']);
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Self {
            tls,
            host: host.to_owned(),
            port: authority.port().unwrap_or_else(|| default_port(tls)),
            target: format!("{slash}{target}"),
        })
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_string();
        f.write_str(text.split_once('?').map_or(&text, |(begin, _)| begin))
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "wss" } else { "ws" };
        write!(f, "{scheme}://{}{}", self.host_field(), self.target)
    }
}

const fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

const EXPECTED: &str =
    "expected ws:// or wss:// and a host, such as ws://127.0.0.1:8080/ or wss://example.com/ws";
