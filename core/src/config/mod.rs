//! Every bound and default of the core, by name.
//!
//! A [`Config`] is plain data: it can be written in code, read from a file by `serde` (unknown keys are
//! refused) or printed back. Nothing is checked until [`Config::validate`]; a machine is only made from a
//! [`ValidConfig`]. Times are integers in milliseconds and say so (`_ms`), sizes in bytes (`_bytes`); limits
//! are inclusive maxima; "no limit" is `None`, never a magic number.

mod session_key;
#[cfg(test)]
mod tests;
mod validate;

use serde::{Deserialize, Serialize};

pub use session_key::SessionKey;
pub use validate::{ConfigError, ValidConfig};

/// All settings of a server. `Config::default()` is what an unconfigured server runs with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What each listener offers, by [`crate::ListenerId`]. Empty means one listener with defaults.
    #[serde(skip)]
    pub listeners: Vec<ListenerConfig>,
    /// What connections are offered that another server has upgraded ([`crate::ListenerId::ADOPTED`]). Only what
    /// that one has not decided by then: whatever its path, such a connection is a client's, unless it is that of
    /// an `echo`. `trusted_proxies` are those in front of the other server.
    #[serde(skip)]
    pub adopted: ListenerConfig,
    /// Sizes and counts.
    pub limits: Limits,
    /// Deadlines of the connection lifecycle.
    pub timeouts: Timeouts,
    /// Pings and their answers.
    pub heartbeat: Heartbeat,
    /// What clients that lose their connection find when they are back.
    pub sessions: Sessions,
    /// Messages that their senders may send again.
    pub message_ids: MessageIds,
    /// Compression of messages.
    pub compression: Compression,
    /// What other threads do than those that serve.
    pub offload: Offload,
    /// How often clients may speak.
    pub rate_limit: RateLimit,
    /// Which pages may connect.
    pub origin: OriginPolicy,
    /// How the server leaves.
    pub drain: Drain,
    /// What is remembered to explain what became of messages.
    pub explain: Explain,
    /// Files that pass through the server.
    pub files: Files,
    /// Which room names exist.
    pub room_names: RoomNames,
    /// Rules for rooms by pattern; the first whose pattern matches a room's name applies, then
    /// [`RoomRule::default`].
    #[serde(rename = "room")]
    pub rooms: Vec<RoomRule>,
    /// Direct messages only reach clients that share a room with the sender. Default `false`.
    pub private_messages_need_shared_room: bool,
    /// `broadcast` is allowed. Default `true` (nobody is authenticated, everyone may).
    pub broadcast: Permission,
    /// Message types that an embedding program answers itself (JSON dialect: the `type` field). Types of the
    /// protocol cannot be taken.
    #[serde(skip)]
    pub application_types: Vec<String>,
}

/// Whether something is allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Everyone may.
    #[default]
    Allow,
    /// Nobody may.
    Deny,
}

/// What one listener offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListenerConfig {
    /// Deliver `broadcast` and `room_message` as the bare `data`, without the server's envelope. Default `false`.
    pub raw_payloads: bool,
    /// Serve `/echo`, a plain WebSocket echo endpoint. Default `false`.
    pub echo: bool,
    /// Serve `/health`, `/health/live`, `/health/ready`. Default `true`.
    pub health: bool,
    /// Serve `/roomwire.js`, the client for browsers, `/roomwire.d.ts`, its types, and `/roomwire.schema.json`, a schema of the
    /// messages. Default `true`.
    pub web: bool,
    /// Serve a page for people at `/`, to whoever asks for no WebSocket there, and its parts below `/page/`. It needs
    /// `web`, and messages in their envelope: with `raw_payloads` it is not there. Default `true`.
    pub page: bool,
    /// Text that is not JSON becomes an application message of type `text` when that type is registered,
    /// instead of `bad_json`. Default `false`.
    pub plain_text: bool,
    /// Proxies that are believed when `Forwarded` or `X-Forwarded-For` tells whose request they pass on: addresses
    /// (`127.0.0.1`, `::1`), networks (`10.0.0.0/8`), or `local` for UNIX sockets. Their own address is not
    /// subject to [`Limits::max_connections_per_ip`]. Default: none.
    pub trusted_proxies: Vec<String>,
    /// Every connection begins, before HTTP and before TLS, with a header of the PROXY protocol, version 1 or 2, that
    /// says for whom a proxy makes it. Only for `trusted_proxies`: anybody else's connections are closed unanswered.
    /// Default `false`.
    pub proxy_protocol: bool,
}

impl ListenerConfig {
    pub(crate) const DEFAULT: Self = Self {
        raw_payloads: false,
        echo: false,
        health: true,
        web: true,
        page: true,
        plain_text: false,
        trusted_proxies: Vec::new(),
        proxy_protocol: false,
    };
}

impl Default for ListenerConfig {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Sizes and counts. Each is a maximum, tested at the limit and one past it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Connections of all stages. `None`: what the driver can hold. Refused connections are closed unanswered.
    pub max_connections: Option<u32>,
    /// Connections of one address (IPv6: one /64). `None`: 1,024, loopback unlimited.
    pub max_connections_per_ip: Option<u32>,
    /// An HTTP request's head. Default 16 KiB, then 431.
    pub max_head_bytes: usize,
    /// Header fields of a request. Default 64, then 431.
    pub max_headers: usize,
    /// The body of a plain request, which is read and discarded. Default 64 KiB, then 413.
    pub max_body_bytes: u64,
    /// A message from a client, after reassembly and inflated. Default 1 MiB, then close code 1009.
    pub max_message_bytes: usize,
    /// One frame from a client. `None`: as `max_message_bytes`. Then close code 1009.
    pub max_frame_bytes: Option<usize>,
    /// Nesting of a JSON message. Default 64, then `bad_message`.
    pub max_json_depth: u32,
    /// Fields at the top level of a JSON message. Default 64, then `bad_message`.
    pub max_json_fields: u32,
    /// A request's `id` as it stands in the message. Default 128, then `bad_message`.
    pub max_id_bytes: usize,
    /// Messages in one `batch`. Default 100, then `too_large`.
    pub max_batch_messages: u32,
    /// Rooms one client may be in. Default 256, then `too_many_rooms`.
    pub max_rooms_per_client: u32,
    /// Members of one room. Default 100,000, then `room_full`.
    pub max_members_per_room: u32,
    /// Rooms of the server. Default 1,000,000, then `too_many_rooms`.
    pub max_rooms: u32,
    /// Client ids in a `joined_room` reply or one `members` page. Default 100; `total` tells the rest.
    pub max_members_listed: u32,
    /// Messages in one `history` reply. Default 100; `more` tells of the rest.
    pub max_history_listed: u32,
    /// Memory of all messages that rooms keep. Default 64 MiB; over it rooms lose their oldest, each in its turn.
    pub max_history_bytes: usize,
    /// A client's metadata as JSON. Default 4 KiB, then `too_large`.
    pub max_metadata_bytes: usize,
    /// Keys of a client's metadata. Default 32, then `too_large`.
    pub max_metadata_keys: usize,
    /// The `user` of a `hello`, as JSON. Default 256, then `too_large`.
    pub max_user_bytes: usize,
    /// The `key` of a message. Default 128, then `too_large`.
    pub max_key_bytes: usize,
    /// Bytes queued for one connection, checked before queueing. Default 4 MiB, then the room's slow-reader policy.
    pub max_queued_bytes: usize,
    /// Messages queued for one connection. Default 65,536, then the room's slow-reader policy.
    pub max_queued_messages: u32,
    /// Memory of all queues and unfinished messages. Default 256 MiB; over it, the connection that has been
    /// stalled longest is closed with 1013, or if none is, the one that has been in the middle of a message longest.
    pub max_buffered_bytes: usize,
    /// What may wait for another shard of the server, or be asked of it and not carried out, by either count, before
    /// clients that want something there wait; pieces of files may take half of it. Default 1 MiB.
    pub max_relay_bytes: usize,
    /// Events that wait for the embedding program. Default 1,024, then reading stops.
    pub max_queued_events: usize,
    /// What they carry, in bytes. Default 16 MiB, then reading stops.
    pub max_queued_event_bytes: usize,
    /// Application requests of one client without an answer yet. Default 64, then `rate_limited`.
    pub max_pending_requests: u32,
    /// Messages that are refused as malformed, per client and minute, before close code 1008. Default 20.
    pub max_bad_messages: u32,
    /// Unknown message types, per client and minute, before close code 1008. `None`: no limit of their own.
    pub max_unknown_types: Option<u32>,
    /// Addresses remembered after their last connection ended, so that a reconnect gains no fresh quota.
    /// Default 65,536; the oldest go first.
    pub max_idle_addresses: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: None,
            max_connections_per_ip: None,
            max_head_bytes: 16 * 1024,
            max_headers: 64,
            max_body_bytes: 64 * 1024,
            max_message_bytes: 1024 * 1024,
            max_frame_bytes: None,
            max_json_depth: 64,
            max_json_fields: 64,
            max_id_bytes: 128,
            max_batch_messages: 100,
            max_rooms_per_client: 256,
            max_members_per_room: 100_000,
            max_rooms: 1_000_000,
            max_members_listed: 100,
            max_history_listed: 100,
            max_history_bytes: 64 * 1024 * 1024,
            max_metadata_bytes: 4 * 1024,
            max_metadata_keys: 32,
            max_user_bytes: 256,
            max_key_bytes: 128,
            max_queued_bytes: 4 * 1024 * 1024,
            max_queued_messages: 65_536,
            max_buffered_bytes: 256 * 1024 * 1024,
            max_relay_bytes: 1024 * 1024,
            max_queued_events: 1_024,
            max_queued_event_bytes: 16 * 1024 * 1024,
            max_pending_requests: 64,
            max_bad_messages: 20,
            max_unknown_types: None,
            max_idle_addresses: 65_536,
        }
    }
}

/// Deadlines, in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// From accept to a complete request head. Default 10,000, then 408.
    pub handshake_ms: u64,
    /// Between two plain requests on one connection. Default 15,000, then closed.
    pub keep_alive_ms: u64,
    /// From our close frame, or our answer to the peer's, to the peer's end of the connection, and for what is still
    /// queued. Default 5,000, then cut.
    pub linger_ms: u64,
    /// From the first byte of a client's message, or of a control frame, to its end, while the server reads. Default 30,000, then close code
    /// 1008: who holds half a message holds memory that others need.
    pub message_ms: u64,
    /// How long the first message is held for a client that has not spoken; one that speaks gets it at once.
    /// Default 100, which a client program on a busy machine may need to attach its listener after `open`
    /// (10 was missed once in a hundred, 50 once in two thousand). 0: not held.
    pub welcome_delay_ms: u64,
    /// Until a typing notice expires on its own. Default 5,000.
    pub typing_ms: u64,
    /// For an embedding program to answer an application request. Default 10,000, then `error internal`.
    pub application_reply_ms: u64,
    /// For another shard of the server to answer a client's request; then the client gets `internal`. Default 5,000.
    pub relay_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake_ms: 10_000,
            keep_alive_ms: 15_000,
            linger_ms: 5_000,
            message_ms: 30_000,
            welcome_delay_ms: 100,
            typing_ms: 5_000,
            application_reply_ms: 10_000,
            relay_ms: 5_000,
        }
    }
}

/// What clients that lose their connection find when they are back: those that have said `resume`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sessions {
    /// What several servers have in common that take up each other's sessions, where the program around them carries
    /// these ([`Event::SessionWanted`](crate::server::Event::SessionWanted)): as secret as a private key. Default: none, and
    /// sessions are those of this server.
    pub key: Option<SessionKey>,
    /// From the end of a connection, for how long a client can take up who it was: its id, its metadata. Default
    /// 60,000. 0: not at all.
    pub window_ms: u64,
    /// From the end of a connection, for how long its rooms keep its place and tell nobody. Default 10,000. 0: it has left
    /// at once. More than `window_ms` is as much as that.
    pub away_ms: u64,
    /// Clients, of each thread, that can take up who they were. Default 65,536; of more the connection's end is the
    /// session's.
    pub max_parked: u32,
    /// Members that have lost their connection, in all rooms of each thread, whose place is kept. Default 262,144; of more
    /// the connection's end is told at once.
    pub max_away: u32,
    /// Messages to such a client alone that are kept for it, the last ones. Default 100. 0: none are, and who has no
    /// connection cannot be sent any.
    pub mail_messages: u32,
    /// Memory of them, for each client, and as much of what the embedding program has answered it. Default 65,536.
    pub mail_bytes: usize,
    /// Memory of all of them, in each thread; past that no more are kept, and who comes back is told so. Default
    /// 16,777,216.
    pub max_mail_bytes: usize,
}

impl Sessions {
    /// For how long rooms wait, ms: no longer than there is a session.
    pub(crate) fn rooms_wait_ms(&self) -> u64 {
        self.away_ms.min(self.window_ms)
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Self {
            key: None,
            window_ms: 60_000,
            away_ms: 10_000,
            max_parked: 65_536,
            max_away: 262_144,
            mail_messages: 100,
            mail_bytes: 65_536,
            max_mail_bytes: 16 << 20,
        }
    }
}

/// Messages that come under an id of their sender's, so that the same one is not told twice, nor the program asked twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MessageIds {
    /// For how long an id is known. Default 120,000. 0: messages with an id are refused.
    pub window_ms: u64,
    /// Ids that are known in all rooms of each thread; of more the oldest are forgotten early. Default 65,536. Also, requests
    /// to the embedding program that are waited for although their connection is gone; of more the latest are not.
    pub max: u32,
    /// Ids that are known of what was sent to one client alone, and as many of what it has asked the embedding program.
    /// Default 100. They are looked through one by one.
    pub max_per_client: u32,
    /// The longest id. Default 64.
    pub max_bytes: usize,
}

impl Default for MessageIds {
    fn default() -> Self {
        Self {
            window_ms: 120_000,
            max: 65_536,
            max_per_client: 100,
            max_bytes: 64,
        }
    }
}

/// Pings and their answers. A dead peer is gone within `interval_ms + timeout_ms`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Heartbeat {
    /// Between the last sign of life after a ping and the next ping. Default 30,000. Spread by connection
    /// over 0.9 to 1.0 of it. 0: no pings.
    pub interval_ms: u64,
    /// From a ping to the end of a connection that showed no sign of life. Default 30,000.
    pub timeout_ms: u64,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self {
            interval_ms: 30_000,
            timeout_ms: 30_000,
        }
    }
}

/// Compression of messages, for clients that ask for it (permessage-deflate, RFC 7692). No message refers back to an
/// earlier one, so that it takes no memory for a client: each shard has one context to inflate with, of 48 KB, and up to
/// three to compress with, for windows of 2^15, 2^12 and 2^9 bytes: mostly one, of 323 KB. An inflated message may be as
/// large as any other ([`Limits::max_message_bytes`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Compression {
    /// Clients that ask for it get it. Default `true`.
    pub enabled: bool,
    /// Shorter messages are not compressed. Default 1,024. Pieces of files never are.
    pub threshold_bytes: usize,
    /// Nor are longer ones, which would hold up everybody else: compressing takes about 8 ms per MB, once for each
    /// of these windows in use and each form in which a message goes out. Default 131,072.
    pub max_bytes: usize,
    /// 1 (fast) to 9 (small). Default 3.
    pub level: u8,
    /// Memory for compressing, 1 to 9. Default 7.
    pub memory_level: u8,
    /// Who does not get it whatever it asks for: patterns for the `User-Agent` of a request, where `*` stands for any
    /// characters. Default: Safari 15.0 to 15.3, which ask for it and cannot inflate.
    pub deny_user_agents: Vec<String>,
}

impl Default for Compression {
    fn default() -> Self {
        let broken = (0..=3).map(|minor| format!("* Version/15.{minor} *Safari/*"));
        Self {
            enabled: true,
            threshold_bytes: 1_024,
            max_bytes: 128 * 1_024,
            level: 3,
            memory_level: 7,
            deny_user_agents: broken.collect(),
        }
    }
}

/// What takes so long that everybody else would wait for it: inflating large messages, reading large texts, and what the
/// embedding program does for an application message. Threads of their own do it, if the driver has some: one pool for
/// messages, whose work ends by itself, and another for the program, whose may not, so that neither waits for the other.
/// A client's later messages wait until its own has been done, and nobody else's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Offload {
    /// Threads of the pool, for all shards together; they start when there is something to do for the first time. Default 2. 0:
    /// there is no pool, and messages are inflated and read by the threads that serve.
    pub threads: u16,
    /// Threads that call the function with which a program answers application messages, for all shards together; they
    /// start when there is something to answer for the first time. Default 2. 0: it is called by the threads that serve.
    /// A call that never ends holds one of them for ever, and no other thread.
    pub hook_threads: u16,
    /// Jobs that each shard may have out at once: those of more clients wait for their turn. Default 16. Each may hold a
    /// message of [`Limits::max_message_bytes`], which counts against [`Limits::max_buffered_bytes`].
    pub max_jobs: u32,
    /// Messages that are smaller, inflated, are dealt with at once. Default 128 KiB.
    pub min_bytes: usize,
}

impl Default for Offload {
    fn default() -> Self {
        Self {
            threads: 2,
            hook_threads: 2,
            max_jobs: 16,
            min_bytes: 128 * 1024,
        }
    }
}

/// How often clients may speak: three buckets, each refilled evenly (GCRA).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateLimit {
    /// `false`: nothing is limited. Default `true`.
    pub enabled: bool,
    /// Messages of one connection per `per_ms`, all at once if it likes. Default 100.
    pub messages: u32,
    /// The window. Default 60,000.
    pub per_ms: u64,
    /// The bucket of all connections of one user or address is this many times as large. What is said on one thread
    /// of the server counts on the others a moment later. Default 20.
    pub address_factor: u32,
    /// Pings and WebSocket control frames of one connection per `per_ms`, a bucket of their own. Default 300,
    /// then close code 1008.
    pub pings: u32,
    /// Deliveries that the messages of one user or address may cause per second. Default 100,000.
    pub deliveries_per_second: u32,
    /// Refused requests of one connection, for whatever reason, per `per_ms` before close code 1008. Default 100.
    pub refusals: u32,
    /// So many of them a client is only told of. Whoever goes on sending too early is not read from until it may
    /// send again, 10 seconds at most. Default 50; as many as `refusals` or more: never.
    pub throttle_after: u32,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self {
            enabled: true,
            messages: 100,
            per_ms: 60_000,
            address_factor: 20,
            pings: 300,
            deliveries_per_second: 100_000,
            refusals: 100,
            throttle_after: 50,
        }
    }
}

impl RateLimit {
    /// Nothing is limited.
    pub fn off() -> Self {
        Self {
            enabled: false,
            ..Self::default()
        }
    }

    /// People typing: 10 messages a second.
    pub fn chat() -> Self {
        Self {
            messages: 600,
            per_ms: 60_000,
            pings: 1_200,
            ..Self::default()
        }
    }

    /// Positions and inputs: 120 messages a second.
    pub fn game() -> Self {
        Self {
            messages: 1_200,
            per_ms: 10_000,
            pings: 1_200,
            deliveries_per_second: 1_000_000,
            ..Self::default()
        }
    }

    /// `messages` per `per_ms`.
    pub fn custom(messages: u32, per_ms: u64) -> Self {
        Self {
            messages,
            per_ms,
            ..Self::default()
        }
    }
}

/// Which pages may connect: the `Origin` header of an upgrade, answered with 403 otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OriginPolicy {
    /// Exact origins (`https://app.example.com`), `*` for every origin. Default: none besides the flags below.
    pub allow: Vec<String>,
    /// An origin whose host is the request's `Host`. Default `true`.
    pub allow_same_host: bool,
    /// `localhost`, `127.0.0.1` and `[::1]` on any port. Default `true`.
    pub allow_localhost: bool,
    /// A request without `Origin`, as programs that are not browsers send it. Default `true`.
    pub allow_missing: bool,
}

impl Default for OriginPolicy {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            allow_same_host: true,
            allow_localhost: true,
            allow_missing: true,
        }
    }
}

/// How the server leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Drain {
    /// The close code of a drain. Default 1012 (service restart).
    pub code: u16,
    /// How long clients get before what is left is reset. As long, from the beginning of the drain, the end of the server
    /// waits for the function with which a program answers application messages. Default 10,000.
    pub timeout_ms: u64,
    /// The shortest reconnect delay that clients are told. Default 500.
    pub reconnect_min_ms: u64,
    /// The longest; each client is told its own, spread evenly. Default 5,000.
    pub reconnect_max_ms: u64,
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            code: 1012,
            timeout_ms: 10_000,
            reconnect_min_ms: 500,
            reconnect_max_ms: 5_000,
        }
    }
}

/// What is remembered to explain why a message did not reach a client: see
/// [`Command::Explain`](crate::server::Command::Explain).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Explain {
    /// Facts that are remembered, the latest ones: a message, a join, a drop and the like are one each, of some
    /// hundred bytes. Default 0: none, and no cost.
    pub entries: usize,
}

/// Files that pass through the server, which keeps nothing of them: it asks the sender for what receivers have room
/// for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Files {
    /// The size of one file. `None` (the default): no limit; then `too_large`.
    pub max_file_bytes: Option<u64>,
    /// Names of files and transfers, MIME types and reasons for giving up, each. Default 255, then `too_large`.
    pub max_name_bytes: usize,
    /// Clients may send files to the program that embeds the server, which is told of them in events. Default `false`.
    #[serde(skip)]
    pub to_program: bool,
    /// Transfers of one sender at once. Default 8, then `transfer_limit`.
    pub max_per_client: u32,
    /// Files that one client takes at once. Default 16, then `transfer_limit`. A chunk of each fits its queue besides what
    /// one window has.
    pub max_copies_per_client: u32,
    /// Transfers to one room at once. Default 16, then `transfer_limit`.
    pub max_per_room: u32,
    /// Transfers at once, of each shard. Default 1,024, then `transfer_limit`.
    pub max_transfers: u32,
    /// Receivers of one transfer, those included that have completed and are still there. Default 1,000; others are
    /// refused.
    pub max_receivers: u32,
    /// What may be on its way to one receiver, however large the window is that it offers. Default 1 MiB, at most what
    /// half a queue (`limits.max_queued_bytes`) holds in base64.
    pub max_window_bytes: u32,
    /// The largest chunk. Default 64 KiB, at most what a message (`limits.max_message_bytes`) holds in base64.
    pub chunk_bytes: u32,
    /// The largest piece that the sender is asked for at once, to be sent in chunks. Default 256 KiB.
    pub request_bytes: u32,
    /// What the sender may have been asked for and not have sent, per transfer. Default 1 MiB.
    pub max_requested_bytes: u32,
    /// Receivers that are behind the others and have pieces of their own asked for, per transfer at once; more of them
    /// take turns. Default 4.
    pub max_streams: u32,
    /// How long one receiver, or fewer than half of them, may hold the others up before they go on without it. Held
    /// time adds up, and is forgotten half as fast. Default 2,000.
    pub patience_ms: u64,
    /// From the first receiver that accepts to the first piece, so that those who accept at once get the same pieces.
    /// Default 100.
    pub gather_ms: u64,
    /// How long an end may owe something without sending anything, or a transfer be without a receiver. Default 60,000,
    /// then `transfer_timeout`.
    pub idle_ms: u64,
    /// How long a transfer waits for its sender to come back. Default 30,000, then `transfer_lost`.
    pub resume_ms: u64,
    /// Between two reports of progress to the sender. Default 500.
    pub progress_interval_ms: u64,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            max_file_bytes: None,
            max_name_bytes: 255,
            to_program: false,
            max_per_client: 8,
            max_copies_per_client: 16,
            max_per_room: 16,
            max_transfers: 1_024,
            max_receivers: 1_000,
            max_window_bytes: 1024 * 1024,
            chunk_bytes: 64 * 1024,
            request_bytes: 256 * 1024,
            max_requested_bytes: 1024 * 1024,
            max_streams: 4,
            patience_ms: 2_000,
            gather_ms: 100,
            idle_ms: 60_000,
            resume_ms: 30_000,
            progress_interval_ms: 500,
        }
    }
}

/// Which room names exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoomNames {
    /// The longest name. Default 255, then `invalid_room`.
    pub max_bytes: usize,
    /// Allowed characters beside ASCII letters and digits; `None`: everything but control characters. Default `None`.
    pub allowed_punctuation: Option<String>,
    /// Names that begin with one of these are refused with `reserved`. Default: `user:`.
    pub reserved_prefixes: Vec<String>,
}

impl Default for RoomNames {
    fn default() -> Self {
        Self {
            max_bytes: 255,
            allowed_punctuation: None,
            reserved_prefixes: vec!["user:".to_owned()],
        }
    }
}

/// Rules for the rooms whose name matches a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RoomRule {
    /// A name, or a prefix followed by `*`. Default `*`.
    pub pattern: String,
    /// What happens when a member reads too slowly. Default `close`.
    pub slow_reader: SlowReader,
    /// For how long what is said is held at most, so that more of it goes out at once: a busy room costs a fraction of
    /// what it does otherwise. Held are the room's messages and notices, until the next multiple of this on the server's
    /// clock or until the receiver gets something of its own. Each shard holds 256 KiB at most, and a quarter of what
    /// `max_queued_bytes` and `max_queued_messages` let a client's queue hold. 0: not at all. Default: none, which is as
    /// long as is worth it, in a large room in which more than one message was said at once the last time: 1 ms for
    /// 1,000 members; with 2 to 8 shards 8 ms, divided by the shards; 10 ms at most, and not at all for less than half
    /// a millisecond.
    pub flush_delay_ms: Option<u64>,
    /// How long an empty room is kept. Default 0.
    pub linger_ms: u64,
    /// From this many members on, joins and leaves are told as one `members_changed` a while. Default 1,000.
    pub notice_members: u32,
    /// How long that while is. Default 1,000.
    pub notice_interval_ms: u64,
    /// Members are told when a member's metadata changes. Default `true`.
    pub metadata_notices: bool,
    /// The most messages of such a room that are kept, for `history`. Default 0: none. They go with the room, which
    /// `linger_ms` keeps.
    pub history_messages: u32,
    /// What they may take in memory, some 100 bytes each besides the data. Default 1 MiB.
    pub history_bytes: usize,
    /// How long they are kept. Default 3,600,000.
    pub history_ms: u64,
}

impl Default for RoomRule {
    fn default() -> Self {
        Self {
            pattern: "*".to_owned(),
            slow_reader: SlowReader::Close,
            flush_delay_ms: None,
            linger_ms: 0,
            notice_members: 1_000,
            notice_interval_ms: 1_000,
            metadata_notices: true,
            history_messages: 0,
            history_bytes: 1024 * 1024,
            history_ms: 3_600_000,
        }
    }
}

/// What happens to a member whose queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlowReader {
    /// The queue is discarded except for the rest of a started message, then close code 1013.
    #[default]
    Close,
    /// Whole messages of the room that have not been started make way for new ones.
    DropOldest,
    /// What does not fit is dropped.
    DropNewest,
    /// While the connection is blocked nothing is queued, nor until it has drained; then it gets the room's
    /// last message.
    Latest,
}
