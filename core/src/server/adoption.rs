//! Connections that another HTTP server accepts and upgrades, and that are served here from then on.
//!
//! The other server asks [`UpgradeRequest::check`] before it answers `101`, and hands the connection over afterwards:
//! [accepted](crate::Machine::accept) by [`ListenerId::ADOPTED`], and the first bytes that are
//! [received](crate::Input::Received) of it are the request's, once more. They are judged as any request is, by the
//! same rules and now also by what only the server knows: who is behind a proxy and how many connections that one has,
//! whether the server is leaving. What differs is the answer. `101` has been said, so it is not said again, and a
//! refusal is a close frame.

use super::Server;
use super::request::{check_upgrade, head_limits};
use crate::config::Config;
use crate::http::{Parsed, Refusal, RequestHead, Status};
use crate::machine::ListenerId;
use crate::websocket::CloseCode;
use crate::websocket::handshake::Upgrade;

/// The request for a connection that another server upgrades.
///
/// ```
/// use roomwire_core::Config;
/// use roomwire_core::server::UpgradeRequest;
///
/// let headers = [
///     ("host", "example.com"),
///     ("connection", "Upgrade"),
///     ("upgrade", "websocket"),
///     ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
///     ("sec-websocket-version", "13"),
/// ];
/// let headers = headers.map(|(name, value)| (name, value.as_bytes()));
/// let request = UpgradeRequest::new("GET", "/chat", headers);
/// let upgrade = request.check(&Config::default())?;
/// for (name, value) in upgrade.headers() {
///     println!("{name}: {value}"); // of the `101` response that the other server gives
/// }
/// # Ok::<(), roomwire_core::http::Refusal>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpgradeRequest {
    head: Vec<u8>,
}

impl UpgradeRequest {
    /// A request of HTTP/1.1 as the other server has read it: method, target (path and query), and all header fields
    /// in their order. (HTTP/2 upgrades nothing in this sense; its extended `CONNECT` is refused.) O(length).
    pub fn new<'a>(
        method: &str,
        target: &str,
        headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    ) -> Self {
        let mut head = Vec::new();
        let line = [method, " ", target, " HTTP/1.1"];
        line.iter().for_each(|part| put(&mut head, part.as_bytes()));
        for (name, value) in headers {
            head.extend_from_slice(b"\r\n");
            let field = [name.as_bytes(), b": ", value];
            field.iter().for_each(|part| put(&mut head, part));
        }
        head.extend_from_slice(b"\r\n\r\n");
        Self { head }
    }

    /// What the other server should answer: `101` with [these header fields](Upgrade::headers), or a refusal. `config` is
    /// that of the server ([`Server::config`]): what this agrees on, that one keeps to. Of what the server judges by, this
    /// is all that does not depend on how it stands at the time. O(length).
    ///
    /// # Errors
    /// As the server refuses requests: 400, 403, 405, 426, 431, and what else [`RequestHead::parse`] and
    /// [`handshake::check`](crate::websocket::handshake::check) name.
    pub fn check(&self, config: &Config) -> Result<Upgrade<'static>, Refusal> {
        match RequestHead::parse(&self.head, &head_limits(&config.limits), &mut 0)? {
            Parsed::Complete { head, .. } => check_upgrade(config, &head),
            Parsed::Partial => Err(Refusal::bad_request("The request line is malformed")),
        }
    }

    /// The first bytes that the server [receives](crate::Input::Received) of the connection. What the other server has
    /// read behind the request follows them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.head
    }
}

/// Appends a part of a head. A line end is none: it becomes what no head may hold, so that nobody can add lines.
fn put(head: &mut Vec<u8>, part: &[u8]) {
    head.extend(part.iter().map(|&byte| match byte {
        b'\r' | b'\n' => 0,
        byte => byte,
    }));
}

impl Server {
    /// Whether another server has answered the connection's request.
    pub(super) fn is_adopted(&self, index: u32) -> bool {
        let connection = self.connections.get(index);
        connection.is_some_and(|connection| connection.listener == ListenerId::ADOPTED)
    }

    /// Closes a connection whose request would have been refused: the client speaks WebSocket by now.
    pub(super) fn refuse_adopted(&mut self, index: u32, refusal: &Refusal) {
        let code = match refusal.status() {
            Status::ServiceUnavailable => CloseCode::Again,
            _ => CloseCode::Policy,
        };
        self.end_requests(index);
        self.say_close(index, u16::from(code), refusal.text());
    }
}
