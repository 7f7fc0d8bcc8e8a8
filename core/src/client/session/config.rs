//! How a session behaves: every limit and time of it, by name.

#[cfg(test)]
mod tests;

use core::fmt::Display;
use core::ops::RangeInclusive;
use core::time::Duration;

use crate::ConfigError;
use crate::client::ClientConfig;
use crate::message::Former;

/// How to connect, and to come back. Plain data; [`Session::new`](super::Session::new) checks it. Times are in
/// milliseconds, sizes in bytes, limits are inclusive maxima.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionConfig {
    /// The server, and what one connection to it takes. Of subprotocols, [`JSON_PROTOCOL`] and [`BINARY_PROTOCOL`] can be
    /// offered, and the server chooses the first that it speaks; without any, JSON is spoken. Default: [`JSON_PROTOCOL`].
    /// [`max_unsent_bytes`](ClientConfig::max_unsent_bytes) is 1 MiB, and what is sent while as much
    /// waits for the socket is queued.
    pub connection: ClientConfig,
    /// The server is asked for a session, which keeps the client's id, its metadata and what is sent to it alone over lost
    /// connections; a server that knows of none is asked in vain. Default `true`.
    pub resume: bool,
    /// A session of an earlier run to take up: see [`Event::Session`](super::Event::Session). Default: none.
    pub former: Option<Former>,
    /// Before each attempt the program is asked what to connect with
    /// ([`Event::CredentialsWanted`](super::Event::CredentialsWanted)): how long it may take to say so. Without an answer the
    /// attempt has failed. Default `None`: it is not asked, and all that is said is what `connection` has.
    pub credentials_timeout_ms: Option<u64>,
    /// The first wait before a reconnect. Each is twice as long as the one before. Default 1,000.
    pub reconnect_interval_ms: u64,
    /// The longest such wait. Default 30,000.
    pub max_reconnect_delay_ms: u64,
    /// Attempts to reconnect since a connection was last stable; `None`: there is always another. Default 5.
    pub max_reconnect_attempts: Option<u32>,
    /// Any part of the wait is waited, evenly, so that those who were lost together do not come back together. Default
    /// `true`; `false`: all of it.
    pub full_jitter: bool,
    /// The longest that the server can have it wait, for a connection or to join a room. Default 86,400,000: a day.
    pub max_hint_ms: u64,
    /// How long it may take until the server's `welcome` is there, and then until it has said whether the session goes on.
    /// Default 15,000.
    pub connect_timeout_ms: u64,
    /// How long after its `welcome` a connection is stable, and attempts are counted anew. Default 5,000.
    pub stable_after_ms: u64,
    /// How long the server may take to agree to a close, or to take the answer to its own. Default 5,000.
    pub close_timeout_ms: u64,
    /// The time between an answer and the next ping; 0: no pings. Default 30,000.
    pub heartbeat_interval_ms: u64,
    /// How long the answer to a ping may take, if nothing else comes either. Default 15,000.
    pub heartbeat_timeout_ms: u64,
    /// How many items wait, joins of rooms among them. Default 100.
    pub queue_messages: usize,
    /// How large they are together. Default 1 MiB.
    pub queue_bytes: usize,
    /// How long each waits. Default 60,000.
    pub queue_age_ms: u64,
    /// Requests that are sent and have no outcome yet; further ones are queued. Joins that the session makes by itself
    /// are not among them. Default 1,000.
    pub max_in_flight: usize,
    /// Rooms that the session keeps itself in. Default 256.
    pub max_rooms: usize,
    /// The longest name of one that it keeps itself in as the server says that it is there; servers take no longer ones.
    /// Default 4,096.
    pub max_room_name_bytes: usize,
    /// How many of them are joined at once when a connection is there: all of them might be more than the server hears
    /// at once. Default 16.
    pub joins_at_once: usize,
    /// What is sent is gathered for a while, and goes together. Default: nothing is.
    pub batching: Option<Batching>,
    /// Messages in a batch of the server's, or kept ones in a page of a room's; with more the connection is closed. A server
    /// puts into either what fits into some kilobytes. Default 4,096.
    pub max_batch_messages: usize,
    /// Events that wait to be polled; then reading stops. Default 1,024.
    pub max_queued_events: usize,
    /// What they carry; then reading stops. Default 16 MiB.
    pub max_queued_event_bytes: usize,
}

/// When what has been gathered goes out: whichever comes first. What waited for a connection goes at once, too, and is
/// cut as large.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Batching {
    /// How long the first of them has waited. Default 50.
    pub interval_ms: u64,
    /// How many there are. Default 100, which is what servers take.
    pub max_messages: usize,
    /// How large they are. Default 64 KiB.
    pub max_bytes: usize,
}

impl Default for Batching {
    fn default() -> Self {
        Self {
            interval_ms: 50,
            max_messages: 100,
            max_bytes: 64 * 1024,
        }
    }
}

impl SessionConfig {
    /// Everything but the server by default: see [`ClientConfig::host`].
    pub fn new(host: impl Into<String>) -> Self {
        let mut connection = ClientConfig::new(host);
        connection.protocols = vec![JSON_PROTOCOL.to_owned()];
        connection.max_unsent_bytes = 1 << 20;
        Self {
            connection,
            resume: true,
            former: None,
            credentials_timeout_ms: None,
            reconnect_interval_ms: 1_000,
            max_reconnect_delay_ms: 30_000,
            max_reconnect_attempts: Some(5),
            full_jitter: true,
            max_hint_ms: 86_400_000,
            connect_timeout_ms: 15_000,
            stable_after_ms: 5_000,
            close_timeout_ms: 5_000,
            heartbeat_interval_ms: 30_000,
            heartbeat_timeout_ms: 15_000,
            queue_messages: 100,
            queue_bytes: 1 << 20,
            queue_age_ms: 60_000,
            max_in_flight: 1_000,
            max_rooms: 256,
            max_room_name_bytes: 4_096,
            joins_at_once: 16,
            batching: None,
            max_batch_messages: 4_096,
            max_queued_events: 1_024,
            max_queued_event_bytes: 16 << 20,
        }
    }

    /// The same, but one that speaks binary frames, and JSON to a server that does not.
    pub fn binary(host: impl Into<String>) -> Self {
        let mut config = Self::new(host);
        config.connection.protocols = vec![BINARY_PROTOCOL.to_owned(), JSON_PROTOCOL.to_owned()];
        config
    }

    /// The same, but one that never gives up.
    pub fn unlimited(host: impl Into<String>) -> Self {
        Self {
            max_reconnect_attempts: None,
            ..Self::new(host)
        }
    }

    /// Whether a session can be made of it.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        self.connection.check()?;
        let is_unknown = |it: &&String| ![JSON_PROTOCOL, BINARY_PROTOCOL].contains(&&***it);
        if let Some(other) = self.connection.protocols.iter().find(is_unknown) {
            return Err(ConfigError {
                key: "connection.protocols".to_owned(),
                value: format!("{other:?}"),
                allowed: format!("{JSON_PROTOCOL:?}, {BINARY_PROTOCOL:?}, both or none"),
            });
        }
        let unsent = self.connection.max_unsent_bytes;
        within("connection.max_unsent_bytes", unsent, 1_024..=usize::MAX)?;
        for (key, value, least) in [
            ("reconnect_interval_ms", self.reconnect_interval_ms, 0),
            ("max_reconnect_delay_ms", self.max_reconnect_delay_ms, 0),
            ("max_hint_ms", self.max_hint_ms, 0),
            ("connect_timeout_ms", self.connect_timeout_ms, 1),
            ("stable_after_ms", self.stable_after_ms, 0),
            ("close_timeout_ms", self.close_timeout_ms, 1),
            ("heartbeat_interval_ms", self.heartbeat_interval_ms, 0),
            ("heartbeat_timeout_ms", self.heartbeat_timeout_ms, 1),
            ("queue_age_ms", self.queue_age_ms, 0),
        ] {
            within(key, value, least..=MAX_MS)?;
        }
        if let Some(timeout) = self.credentials_timeout_ms {
            within("credentials_timeout_ms", timeout, 1..=MAX_MS)?;
        }
        for (key, value) in [
            ("max_in_flight", self.max_in_flight),
            ("max_rooms", self.max_rooms),
            ("max_room_name_bytes", self.max_room_name_bytes),
            ("joins_at_once", self.joins_at_once),
            ("max_batch_messages", self.max_batch_messages),
            ("max_queued_events", self.max_queued_events),
        ] {
            within(key, value, 1..=MAX_COUNT)?;
        }
        within("queue_messages", self.queue_messages, 0..=MAX_COUNT)?;
        if let Some(batching) = &self.batching {
            within("batching.interval_ms", batching.interval_ms, 0..=MAX_MS)?;
            let count = batching.max_messages;
            within("batching.max_messages", count, 1..=MAX_COUNT)?;
        }
        Ok(())
    }
}

fn within<T: PartialOrd + Display>(
    key: &str,
    value: T,
    allowed: RangeInclusive<T>,
) -> Result<(), ConfigError> {
    if allowed.contains(&value) {
        return Ok(());
    }
    Err(ConfigError {
        key: key.to_owned(),
        value: value.to_string(),
        allowed: format!("{} to {}", allowed.start(), allowed.end()),
    })
}

pub(super) const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// The subprotocol of JSON.
pub const JSON_PROTOCOL: &str = "roomwire.json.v1";
/// The subprotocol of binary frames: data that is bytes goes and comes as such, and everything is shorter.
pub const BINARY_PROTOCOL: &str = "roomwire.binary.v1";
/// A year: sums of such times stay far from where they would saturate.
const MAX_MS: u64 = 366 * 86_400_000;
const MAX_COUNT: usize = 1 << 20;
