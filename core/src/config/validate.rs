//! Checks that a config is one a server can run with: each field against its bounds, then the rules between
//! fields. Owns the bounds; knows nothing of where a config came from.

use core::fmt::Display;
use core::ops::RangeInclusive;

use super::{
    Compression, Config, Drain, Files, Heartbeat, Limits, ListenerConfig, MessageIds, Offload,
    OriginPolicy, RateLimit, RoomNames, RoomRule, Sessions, Timeouts,
};
use crate::auth::proxies::Proxies;
use crate::dialect::json::is_reserved_type;
use crate::files::MIN_PIECE_BYTES;

/// A config that was checked.
#[derive(Clone, Debug)]
pub struct ValidConfig(Config);

impl core::ops::Deref for ValidConfig {
    type Target = Config;
    fn deref(&self) -> &Config {
        &self.0
    }
}

impl Config {
    /// Checks every field and the rules between fields. An empty list of listeners becomes one with defaults.
    /// O(size of the config), quadratic in room rules and application types, whose counts are bounded.
    ///
    /// # Errors
    /// Names the first key that is off, its value and what is allowed.
    pub fn validate(mut self) -> Result<ValidConfig, ConfigError> {
        if self.listeners.is_empty() {
            self.listeners.push(ListenerConfig::default());
        }
        within("listener", self.listeners.len(), 1..=MAX_LISTENERS)?;
        for (index, listener) in self.listeners.iter().enumerate() {
            check_listener(&format!("listener[{index}]"), listener)?;
        }
        check_adopted(&self.adopted)?;
        check_limits(&self.limits)?;
        check_timeouts(&self.timeouts)?;
        check_heartbeat(&self.heartbeat)?;
        check_sessions(&self.sessions)?;
        check_message_ids(&self.message_ids)?;
        check_compression(&self.compression)?;
        check_offload(&self.offload)?;
        check_rate_limit(&self.rate_limit)?;
        check_origins(&self.origin)?;
        check_drain(&self.drain)?;
        within("explain.entries", self.explain.entries, 0..=MAX_EXPLAIN)?;
        check_files(&self.files)?;
        check_room_names(&self.room_names)?;
        check_rooms(&self.rooms)?;
        check_application_types(&self.application_types)?;
        check_queues(&self)?;
        Ok(ValidConfig(self))
    }

    /// The smallest [`Limits::max_queued_bytes`] with which the largest message a client may send, and the
    /// largest reply the server gives, still fit an empty queue.
    pub fn min_queued_bytes(&self) -> usize {
        let limits = &self.limits;
        // In JSON a room's name may double: its quotes and backslashes are escaped.
        let name = self.room_names.max_bytes.saturating_mul(2);
        let members = (limits.max_members_listed as usize).saturating_mul(LISTED_MEMBER_BYTES);
        let reply = name.saturating_add(members.max(limits.max_metadata_bytes));
        limits
            .max_message_bytes
            .max(reply)
            .saturating_add(ENVELOPE_BYTES)
    }

    /// The smallest [`Limits::max_buffered_bytes`]: one full queue and one unfinished message.
    pub fn min_buffered_bytes(&self) -> usize {
        self.limits
            .max_queued_bytes
            .saturating_add(self.limits.max_message_bytes)
    }
}

impl ValidConfig {
    /// The same with clients that are never compressed for.
    pub(crate) fn without_compression(mut self) -> Self {
        self.0.compression.enabled = false;
        self
    }
}

/// A setting that a server cannot run with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} = {value}: allowed is {allowed}")]
pub struct ConfigError {
    /// The key, as it stands in a config file; the entries of a list are counted from 0.
    pub key: String,
    /// Its value.
    pub value: String,
    /// What is allowed.
    pub allowed: String,
}

impl ConfigError {
    fn new(key: impl Into<String>, value: impl Display, allowed: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: value.to_string(),
            allowed: allowed.into(),
        }
    }
}

/// `name` is where it stands.
fn check_listener(name: &str, listener: &ListenerConfig) -> Result<(), ConfigError> {
    let key = format!("{name}.trusted_proxies");
    let proxies = &listener.trusted_proxies;
    within(&*key, proxies.len(), 0..=MAX_TRUSTED_PROXIES)?;
    if let Err(wrong) = Proxies::parse(proxies) {
        return Err(ConfigError::new(
            format!("{key}[{wrong}]"),
            quoted(proxies.get(wrong).map_or("", String::as_str)),
            "an IP address such as `127.0.0.1` or `::1`, a network such as `10.0.0.0/8`, or `local` for \
             UNIX sockets",
        ));
    }
    if listener.proxy_protocol && proxies.is_empty() {
        return Err(ConfigError::new(
            format!("{name}.proxy_protocol"),
            true,
            format!("false where no {key} are listed: only they may say for whom they connect"),
        ));
    }
    Ok(())
}

fn check_adopted(adopted: &ListenerConfig) -> Result<(), ConfigError> {
    check_listener("adopted", adopted)?;
    if adopted.proxy_protocol {
        return Err(ConfigError::new(
            "adopted.proxy_protocol",
            true,
            "false: what comes before a request is read by whoever reads that",
        ));
    }
    Ok(())
}

fn check_limits(limits: &Limits) -> Result<(), ConfigError> {
    let Limits {
        max_connections,
        max_connections_per_ip,
        max_head_bytes,
        max_headers,
        max_body_bytes,
        max_message_bytes,
        max_frame_bytes,
        max_json_depth,
        max_json_fields,
        max_id_bytes,
        max_batch_messages,
        max_rooms_per_client,
        max_members_per_room,
        max_rooms,
        max_members_listed,
        max_history_listed,
        max_history_bytes,
        max_metadata_bytes,
        max_metadata_keys,
        max_user_bytes,
        max_key_bytes,
        // Bounded from both sides in `check_queues`.
        max_queued_bytes: _,
        max_buffered_bytes: _,
        max_relay_bytes,
        max_queued_messages,
        max_queued_events,
        max_queued_event_bytes,
        max_pending_requests,
        // Any number makes sense: 0 tolerates none.
        max_bad_messages: _,
        max_unknown_types: _,
        max_idle_addresses,
    } = *limits;
    if let Some(max) = max_connections {
        within("limits.max_connections", max, 1..=MAX_ENTRIES)?;
    }
    if let Some(max) = max_connections_per_ip {
        within("limits.max_connections_per_ip", max, 1..=MAX_ENTRIES)?;
    }
    within("limits.max_head_bytes", max_head_bytes, 128..=MIB)?;
    within("limits.max_headers", max_headers, 5..=128)?;
    within("limits.max_body_bytes", max_body_bytes, 0..=GIB as u64)?;
    within(
        "limits.max_message_bytes",
        max_message_bytes,
        CONTROL_PAYLOAD_BYTES..=GIB,
    )?;
    if let Some(max) = max_frame_bytes {
        within(
            "limits.max_frame_bytes",
            max,
            CONTROL_PAYLOAD_BYTES..=max_message_bytes,
        )?;
    }
    within("limits.max_json_depth", max_json_depth, 2..=127)?;
    within("limits.max_json_fields", max_json_fields, 8..=65_536)?;
    within("limits.max_id_bytes", max_id_bytes, 1..=512)?;
    within("limits.max_batch_messages", max_batch_messages, 1..=65_536)?;
    within(
        "limits.max_rooms_per_client",
        max_rooms_per_client,
        1..=1_000_000,
    )?;
    within(
        "limits.max_members_per_room",
        max_members_per_room,
        1..=MAX_ENTRIES,
    )?;
    within("limits.max_rooms", max_rooms, 1..=MAX_ENTRIES)?;
    within("limits.max_members_listed", max_members_listed, 1..=10_000)?;
    within("limits.max_history_listed", max_history_listed, 1..=10_000)?;
    within(
        "limits.max_history_bytes",
        max_history_bytes,
        0..=MAX_BUFFERED_BYTES,
    )?;
    within("limits.max_metadata_bytes", max_metadata_bytes, 2..=MIB)?;
    within("limits.max_metadata_keys", max_metadata_keys, 1..=10_000)?;
    within("limits.max_user_bytes", max_user_bytes, 1..=65_536)?;
    within("limits.max_key_bytes", max_key_bytes, 1..=65_536)?;
    within(
        "limits.max_queued_messages",
        max_queued_messages,
        1..=MAX_ENTRIES,
    )?;
    within("limits.max_queued_events", max_queued_events, 1..=1_048_576)?;
    within(
        "limits.max_queued_event_bytes",
        max_queued_event_bytes,
        1..=MAX_BUFFERED_BYTES,
    )?;
    within(
        "limits.max_pending_requests",
        max_pending_requests,
        1..=65_536,
    )?;
    within(
        "limits.max_relay_bytes",
        max_relay_bytes,
        1_024..=MAX_RELAY_BYTES,
    )?;
    within(
        "limits.max_idle_addresses",
        max_idle_addresses,
        0..=MAX_ENTRIES as usize,
    )
}

fn check_timeouts(timeouts: &Timeouts) -> Result<(), ConfigError> {
    let Timeouts {
        handshake_ms,
        keep_alive_ms,
        linger_ms,
        message_ms,
        welcome_delay_ms,
        typing_ms,
        application_reply_ms,
        relay_ms,
    } = *timeouts;
    within("timeouts.handshake_ms", handshake_ms, 1..=MAX_MS)?;
    within("timeouts.keep_alive_ms", keep_alive_ms, 1..=MAX_MS)?;
    within("timeouts.linger_ms", linger_ms, 1..=MAX_MS)?;
    within("timeouts.message_ms", message_ms, 1..=MAX_MS)?;
    within("timeouts.welcome_delay_ms", welcome_delay_ms, 0..=10_000)?;
    within("timeouts.typing_ms", typing_ms, 1..=MAX_MS)?;
    within(
        "timeouts.application_reply_ms",
        application_reply_ms,
        1..=MAX_MS,
    )?;
    within("timeouts.relay_ms", relay_ms, 1..=MAX_MS)
}

fn check_heartbeat(heartbeat: &Heartbeat) -> Result<(), ConfigError> {
    let Heartbeat {
        interval_ms,
        timeout_ms,
    } = *heartbeat;
    within("heartbeat.interval_ms", interval_ms, 0..=MAX_MS)?;
    // Without pings there is nothing to wait for.
    let shortest = u64::from(interval_ms > 0);
    within("heartbeat.timeout_ms", timeout_ms, shortest..=MAX_MS)
}

/// The most messages that are kept for one client.
const MAX_MAIL: u32 = 1_000_000;

fn check_sessions(sessions: &Sessions) -> Result<(), ConfigError> {
    let Sessions {
        // Any will do that is as long.
        key: _,
        window_ms,
        away_ms,
        max_parked,
        max_away,
        mail_messages,
        mail_bytes,
        max_mail_bytes,
    } = *sessions;
    within("sessions.window_ms", window_ms, 0..=MAX_MS)?;
    within("sessions.away_ms", away_ms, 0..=MAX_MS)?;
    within("sessions.max_parked", max_parked, 0..=MAX_ENTRIES)?;
    within("sessions.max_away", max_away, 0..=MAX_ENTRIES)?;
    within("sessions.mail_messages", mail_messages, 0..=MAX_MAIL)?;
    within("sessions.mail_bytes", mail_bytes, 0..=isize::MAX as usize)?;
    within(
        "sessions.max_mail_bytes",
        max_mail_bytes,
        0..=isize::MAX as usize,
    )
}

fn check_message_ids(ids: &MessageIds) -> Result<(), ConfigError> {
    let MessageIds {
        window_ms,
        max,
        max_per_client,
        max_bytes,
    } = *ids;
    within("message_ids.window_ms", window_ms, 0..=MAX_MS)?;
    within("message_ids.max", max, 1..=MAX_ENTRIES)?;
    within("message_ids.max_per_client", max_per_client, 1..=10_000)?;
    within("message_ids.max_bytes", max_bytes, 1..=1_024)
}

fn check_offload(offload: &Offload) -> Result<(), ConfigError> {
    let Offload {
        threads,
        hook_threads,
        max_jobs,
        min_bytes,
    } = *offload;
    within("offload.threads", threads, 0..=256)?;
    within("offload.hook_threads", hook_threads, 0..=256)?;
    within("offload.max_jobs", max_jobs, 1..=65_536)?;
    within("offload.min_bytes", min_bytes, 1_024..=GIB)
}

fn check_compression(compression: &Compression) -> Result<(), ConfigError> {
    let Compression {
        enabled: _,
        threshold_bytes,
        max_bytes,
        level,
        memory_level,
        ref deny_user_agents,
    } = *compression;
    within("compression.threshold_bytes", threshold_bytes, 0..=GIB)?;
    within("compression.max_bytes", max_bytes, 0..=GIB)?;
    within("compression.level", level, 1..=9)?;
    within("compression.memory_level", memory_level, 1..=9)?;
    let key = "compression.deny_user_agents";
    within(key, deny_user_agents.len(), 0..=MAX_PATTERNS)?;
    for (index, pattern) in deny_user_agents.iter().enumerate() {
        if pattern.is_empty() || pattern.len() > MAX_PATTERN_BYTES {
            return Err(ConfigError::new(
                format!("{key}[{index}]"),
                quoted(pattern),
                format!("1 to {MAX_PATTERN_BYTES} bytes"),
            ));
        }
    }
    Ok(())
}

fn check_rate_limit(rate: &RateLimit) -> Result<(), ConfigError> {
    let RateLimit {
        enabled,
        messages,
        per_ms,
        address_factor,
        pings,
        deliveries_per_second,
        refusals,
        // Any number makes sense: 0 throttles at once, a large one never.
        throttle_after: _,
    } = *rate;
    if !enabled {
        return Ok(());
    }
    within("rate_limit.per_ms", per_ms, 1..=MAX_MS)?;
    // Buckets refill one message at a time, in whole nanoseconds: at most one per nanosecond.
    let fastest = u32::try_from(per_ms.saturating_mul(NS_PER_MS)).unwrap_or(u32::MAX);
    within("rate_limit.messages", messages, 1..=fastest)?;
    within(
        "rate_limit.address_factor",
        address_factor,
        1..=fastest / messages,
    )?;
    within("rate_limit.pings", pings, 1..=fastest)?;
    within("rate_limit.refusals", refusals, 1..=fastest)?;
    within(
        "rate_limit.deliveries_per_second",
        deliveries_per_second,
        1..=1_000_000_000,
    )
}

fn check_origins(origin: &OriginPolicy) -> Result<(), ConfigError> {
    for (index, allowed) in origin.allow.iter().enumerate() {
        if !is_origin(allowed) {
            return Err(ConfigError::new(
                format!("origin.allow[{index}]"),
                quoted(allowed),
                "`scheme://host` or `scheme://host:port` in lower case and without a path, as browsers \
                 send it, `null`, or `*` for every origin",
            ));
        }
    }
    Ok(())
}

fn check_drain(drain: &Drain) -> Result<(), ConfigError> {
    let Drain {
        code,
        timeout_ms,
        reconnect_min_ms,
        reconnect_max_ms,
    } = *drain;
    if !matches!(code, 1000 | 1001 | 1011..=1013 | 3000..=4999) {
        return Err(ConfigError::new(
            "drain.code",
            code,
            "1000, 1001, 1011, 1012, 1013 or 3000 to 4999",
        ));
    }
    within("drain.timeout_ms", timeout_ms, 0..=MAX_MS)?;
    within("drain.reconnect_max_ms", reconnect_max_ms, 0..=MAX_MS)?;
    within(
        "drain.reconnect_min_ms",
        reconnect_min_ms,
        0..=reconnect_max_ms,
    )
}

/// A frame of the binary dialect has room for it.
const MAX_NAME_BYTES: usize = 4_096;

fn check_files(files: &Files) -> Result<(), ConfigError> {
    let Files {
        max_file_bytes,
        max_name_bytes,
        to_program: _,
        max_per_client,
        max_copies_per_client,
        max_per_room,
        max_transfers,
        max_receivers,
        max_window_bytes,
        chunk_bytes,
        request_bytes,
        max_requested_bytes,
        max_streams,
        patience_ms,
        gather_ms,
        idle_ms,
        resume_ms,
        progress_interval_ms,
    } = *files;
    if let Some(max) = max_file_bytes {
        within("files.max_file_bytes", max, 1..=MAX_FILE_BYTES)?;
    }
    within("files.max_name_bytes", max_name_bytes, 1..=MAX_NAME_BYTES)?;
    within("files.max_per_client", max_per_client, 1..=MAX_TRANSFERS)?;
    within(
        "files.max_copies_per_client",
        max_copies_per_client,
        1..=MAX_TRANSFERS,
    )?;
    within("files.max_per_room", max_per_room, 1..=MAX_TRANSFERS)?;
    within("files.max_transfers", max_transfers, 1..=MAX_TRANSFERS)?;
    within("files.max_receivers", max_receivers, 1..=MAX_RECEIVERS)?;
    within(
        "files.chunk_bytes",
        chunk_bytes,
        MIN_PIECE_BYTES..=MAX_CHUNK_BYTES,
    )?;
    // A window of less than two chunks is empty while a receiver says that it has had one.
    within(
        "files.max_window_bytes",
        max_window_bytes,
        2 * chunk_bytes..=MAX_WINDOW_BYTES,
    )?;
    within(
        "files.request_bytes",
        request_bytes,
        chunk_bytes..=MAX_WINDOW_BYTES,
    )?;
    within(
        "files.max_requested_bytes",
        max_requested_bytes,
        request_bytes..=MAX_WINDOW_BYTES,
    )?;
    within("files.max_streams", max_streams, 1..=MAX_STREAMS)?;
    within("files.patience_ms", patience_ms, 0..=MAX_MS)?;
    within("files.gather_ms", gather_ms, 0..=MAX_MS)?;
    within("files.idle_ms", idle_ms, 1..=MAX_MS)?;
    within("files.resume_ms", resume_ms, 0..=MAX_MS)?;
    within(
        "files.progress_interval_ms",
        progress_interval_ms,
        1..=MAX_MS,
    )
}

fn check_room_names(names: &RoomNames) -> Result<(), ConfigError> {
    within("room_names.max_bytes", names.max_bytes, 1..=4_096)?;
    if let Some(punctuation) = &names.allowed_punctuation
        && punctuation.chars().any(char::is_control)
    {
        return Err(ConfigError::new(
            "room_names.allowed_punctuation",
            quoted(punctuation),
            "characters that are not control characters",
        ));
    }
    for (index, prefix) in names.reserved_prefixes.iter().enumerate() {
        if prefix.is_empty() || prefix.len() > names.max_bytes {
            return Err(ConfigError::new(
                format!("room_names.reserved_prefixes[{index}]"),
                quoted(prefix),
                format!("1 to {} bytes (room_names.max_bytes)", names.max_bytes),
            ));
        }
    }
    Ok(())
}

fn check_rooms(rooms: &[RoomRule]) -> Result<(), ConfigError> {
    within("room", rooms.len(), 0..=MAX_ROOM_RULES)?;
    for (index, rule) in rooms.iter().enumerate() {
        let pattern = &rule.pattern;
        let key = |field| format!("room[{index}].{field}");
        let name = pattern.strip_suffix('*').unwrap_or(pattern);
        if pattern.is_empty() || name.contains('*') {
            return Err(ConfigError::new(
                key("pattern"),
                quoted(pattern),
                "a room's name, or the beginning of one followed by `*`",
            ));
        }
        let earlier = rooms.iter().take(index).position(|e| covers(e, pattern));
        if let Some(earlier) = earlier {
            return Err(ConfigError::new(
                key("pattern"),
                quoted(pattern),
                format!(
                    "a pattern that room[{earlier}], which comes first, does not already match"
                ),
            ));
        }
        if let Some(delay_ms) = rule.flush_delay_ms {
            within(key("flush_delay_ms"), delay_ms, 0..=MAX_FLUSH_DELAY_MS)?;
        }
        within(key("linger_ms"), rule.linger_ms, 0..=MAX_MS)?;
        within(key("notice_members"), rule.notice_members, 1..=MAX_ENTRIES)?;
        within(
            key("notice_interval_ms"),
            rule.notice_interval_ms,
            1..=MAX_MS,
        )?;
        within(
            key("history_messages"),
            rule.history_messages,
            0..=MAX_ENTRIES,
        )?;
        within(
            key("history_bytes"),
            rule.history_bytes,
            0..=MAX_BUFFERED_BYTES,
        )?;
        within(key("history_ms"), rule.history_ms, 1..=MAX_MS)?;
    }
    Ok(())
}

fn check_application_types(types: &[String]) -> Result<(), ConfigError> {
    within("application_types", types.len(), 0..=MAX_APPLICATION_TYPES)?;
    for (index, name) in types.iter().enumerate() {
        let allowed = if name.is_empty() || name.len() > MAX_TYPE_BYTES {
            format!("1 to {MAX_TYPE_BYTES} bytes")
        } else if is_reserved_type(name) {
            "a type that the protocol does not use itself".to_owned()
        } else if types.iter().take(index).any(|earlier| earlier == name) {
            "each type once".to_owned()
        } else {
            continue;
        };
        return Err(ConfigError::new(
            format!("application_types[{index}]"),
            quoted(name),
            allowed,
        ));
    }
    Ok(())
}

/// What may wait for another shard.
const MAX_RELAY_BYTES: usize = 1024 * 1024 * 1024;

/// What is queued must fit its queue, and a queue the server's memory.
fn check_queues(config: &Config) -> Result<(), ConfigError> {
    let Limits {
        max_queued_bytes,
        max_buffered_bytes,
        ..
    } = config.limits;
    within(
        "limits.max_queued_bytes",
        max_queued_bytes,
        config.min_queued_bytes()..=MAX_QUEUED_BYTES,
    )
    .map_err(|e| {
        because(
            e,
            "the largest message (limits.max_message_bytes) and the largest reply fit",
        )
    })?;
    within(
        "limits.max_buffered_bytes",
        max_buffered_bytes,
        config.min_buffered_bytes()..=MAX_BUFFERED_BYTES,
    )
    .map_err(|e| {
        because(
            e,
            "one full queue and one unfinished message (limits.max_queued_bytes + \
             limits.max_message_bytes) fit",
        )
    })
}

fn because(mut error: ConfigError, reason: &str) -> ConfigError {
    error.allowed = format!("{}, so that {reason}", error.allowed);
    error
}

fn within<T: PartialOrd + Display>(
    key: impl Into<String>,
    value: T,
    allowed: RangeInclusive<T>,
) -> Result<(), ConfigError> {
    if allowed.contains(&value) {
        return Ok(());
    }
    let (low, high) = allowed.into_inner();
    Err(ConfigError::new(key, value, format!("{low} to {high}")))
}

/// `pattern` never gets its turn after `earlier`.
fn covers(earlier: &RoomRule, pattern: &str) -> bool {
    match earlier.pattern.strip_suffix('*') {
        Some(prefix) => pattern.starts_with(prefix),
        None => earlier.pattern == pattern,
    }
}

/// `*`, `null`, or a serialised origin (RFC 6454 section 6.2), which is in lower case. A default port, which
/// browsers leave out, is not recognised as such.
fn is_origin(text: &str) -> bool {
    if text == "*" || text == "null" {
        return true;
    }
    let Some((scheme, authority)) = text.split_once("://") else {
        return false;
    };
    let (host, port) = split_port(authority);
    is_scheme(scheme) && is_host(host) && port.is_none_or(is_port)
}

/// Splits a port off, minding that an IPv6 address in brackets holds colons of its own.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'+' | b'-' | b'.'))
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        return address
            .strip_suffix(']')
            .is_some_and(|a| a.parse::<core::net::Ipv6Addr>().is_ok());
    }
    !host.is_empty()
        && host
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_'))
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Text as TOML writes it, near enough to be found in a file.
fn quoted(text: &str) -> String {
    format!("{text:?}")
}

const MIB: usize = 1024 * 1024;
const GIB: usize = 1024 * MIB;
const NS_PER_MS: u64 = 1_000_000;

/// People wait for it.
const MAX_FLUSH_DELAY_MS: u64 = 1_000;
/// 30 days: no deadline is meant to be longer.
const MAX_MS: u64 = 30 * 24 * 60 * 60 * 1_000;
/// 2^24: connections, rooms, members. Their indexes keep bits to spare.
const MAX_ENTRIES: u32 = 1 << 24;
/// Of some hundred bytes each.
const MAX_EXPLAIN: usize = 1_000_000;
/// Every [`crate::ListenerId`] but that of connections that are adopted.
const MAX_LISTENERS: usize = u16::MAX as usize;
/// Each address of a `Forwarded` header is compared with all of them.
const MAX_TRUSTED_PROXIES: usize = 100;
/// 2^53 - 1: every JSON parser keeps an offset up to it.
const MAX_FILE_BYTES: u64 = (1 << 53) - 1;
/// Each takes some hundred bytes, and some kilobytes once it has receivers.
const MAX_TRANSFERS: u32 = 1_000_000;
/// Each chunk looks at all of them.
const MAX_RECEIVERS: u32 = 65_536;
/// 16 MiB.
const MAX_CHUNK_BYTES: u32 = 1 << 24;
/// 1 GiB.
const MAX_WINDOW_BYTES: u32 = 1 << 30;
/// Each credit looks at all of them.
const MAX_STREAMS: u32 = 64;
const MAX_ROOM_RULES: usize = 1_000;
/// Each upgrade is compared with all of them.
const MAX_PATTERNS: usize = 100;
const MAX_PATTERN_BYTES: usize = 256;
const MAX_APPLICATION_TYPES: usize = 1_000;
const MAX_TYPE_BYTES: usize = 128;
/// Positions in a queue are 32 bits.
const MAX_QUEUED_BYTES: usize = u32::MAX as usize;
/// The largest integer that a TOML file can hold.
const MAX_BUFFERED_BYTES: usize = isize::MAX as usize;
/// What a control frame may carry (RFC 6455 section 5.5): no limit can be smaller.
const CONTROL_PAYLOAD_BYTES: usize = 125;
/// What a message gains on its way to others, with room to spare: `type`, `from`, `timestamp`, an `id`,
/// punctuation, a frame header.
const ENVELOPE_BYTES: usize = 1_024;
/// A quoted client id and its comma, rounded up.
const LISTED_MEMBER_BYTES: usize = 36;
