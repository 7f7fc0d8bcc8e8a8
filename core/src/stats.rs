//! What a server has done, in plain counters.

/// Counters since the server was made, and gauges of what it holds now. Reading them is free: they are
/// plain numbers of one shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    // ---- gauges
    /// Connections of all stages.
    pub connections: usize,
    /// WebSocket clients that were welcomed.
    pub clients: usize,
    /// Rooms, without the lobby.
    pub rooms: usize,
    /// Memory of all queues and unfinished messages, in bytes.
    pub buffered_bytes: usize,
    /// Memory of the messages that rooms keep, in bytes.
    pub history_bytes: usize,
    /// Rooms that hold what was said in them for a moment (`room.flush_delay_ms`).
    pub held: usize,

    // ---- connections
    /// Connections accepted.
    pub accepted: u64,
    /// Connections refused because the server is full or leaving.
    pub refused_connections: u64,
    /// Connections refused because their address has too many.
    pub refused_addresses: u64,
    /// Connections closed because their listener asks for the PROXY protocol, and they came from elsewhere than a
    /// trusted proxy or began otherwise.
    pub unproxied: u64,
    /// Requests answered with an error status, or cut off as their body was malformed.
    pub refused_requests: u64,
    /// WebSocket sessions opened.
    pub opened: u64,
    /// WebSocket sessions that ended.
    pub closed: u64,
    /// Clients that took up on a new connection who they were on another one.
    pub resumed: u64,
    /// Sessions that ended because the peer showed no sign of life.
    pub timeouts: u64,
    /// Sessions closed because a message was not finished in time.
    pub unfinished: u64,
    /// Sessions closed because they read too slowly.
    pub slow_readers: u64,
    /// Sessions closed because the server ran out of buffer memory.
    pub over_budget: u64,

    // ---- TLS
    /// Connections to listeners that speak TLS.
    pub tls_accepted: u64,
    /// TLS handshakes that succeeded.
    pub tls_handshakes: u64,
    /// Connections that broke TLS's rules, during the handshake or after it.
    pub tls_failed: u64,
    /// Connections to listeners that speak TLS that did not begin with it at all.
    pub tls_plain: u64,

    // ---- files
    /// Transfers begun.
    pub files_started: u64,
    /// Transfers that have come to their end.
    pub files_completed: u64,
    /// Transfers that have not.
    pub files_failed: u64,
    /// Bytes of files that senders were asked for and have sent.
    pub file_bytes: u64,
    /// Bytes of files that senders were asked for and nobody wanted any more when they came.
    pub file_bytes_late: u64,
    /// Whole files that came in one message and were for nobody.
    pub files_discarded: u64,

    // ---- messages
    /// Messages received, of any kind.
    pub received: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes sent.
    pub sent_bytes: u64,
    /// Messages published to rooms and to everyone, notices included.
    pub published: u64,
    /// Deliveries that these asked for.
    pub deliveries: u64,
    /// Messages for one client alone.
    pub direct: u64,
    /// Messages dropped by a slow-reader policy.
    pub dropped: u64,
    /// Messages that rooms kept and lost because all rooms together kept too much.
    pub history_evicted: u64,
    /// Messages to one client that were not kept, as all of them were too much.
    pub mail_lost: u64,
    /// Messages that came again under the same id, and were not told again.
    pub repeated: u64,
    /// Ids of messages that were forgotten before their time, as there were too many.
    pub ids_forgotten: u64,
    /// Messages that were queued when their connection closed.
    pub discarded: u64,
    /// Pongs replaced by a later one while a connection was blocked.
    pub coalesced_pongs: u64,
    /// Messages refused as malformed.
    pub bad_messages: u64,
    /// Messages of unknown type.
    pub unknown_types: u64,
    /// Messages refused by a rate limit.
    pub rate_limited: u64,
    /// How often a client was not read from for a while because it went on sending too early.
    pub throttled: u64,
    /// Requests refused for any other reason.
    pub refused: u64,

    // ---- compression
    /// WebSocket connections that have agreed on it.
    pub compressing: u64,
    /// Messages compressed, each counted once however many get it.
    pub compressed: u64,
    /// How long they were, in bytes.
    pub compressed_from_bytes: u64,
    /// What became of that.
    pub compressed_to_bytes: u64,
    /// Messages that were long enough, and went out as they were because they would not have become shorter.
    pub incompressible: u64,
    /// Compressed messages received.
    pub inflated: u64,
    /// How long they were, in bytes.
    pub inflated_from_bytes: u64,
    /// What became of that.
    pub inflated_to_bytes: u64,
    /// Compressed messages that ended their session: corrupt, too large, or not text where they should have been.
    pub inflate_refused: u64,

    // ---- work for other threads
    /// Messages that were handed over as they take long to inflate or to read.
    pub jobs: u64,
    /// Those of them, and application messages, at which whoever was to do the work has failed, which is a bug: each has
    /// ended its session.
    pub failed_jobs: u64,

    // ---- other shards
    /// Messages taken for other shards, each of one or more things told.
    pub relayed: u64,
    /// What was for a shard that has failed since, or for a room that was gone at its home when it arrived.
    pub relay_lost: u64,
    /// Requests that another shard did not answer in time.
    pub relay_timeouts: u64,
    /// Other shards that began anew.
    pub shard_restarts: u64,

    // ---- the driver
    /// Inputs and commands that named a connection which had ended.
    pub stale: u64,
    /// Inputs whose time lay before the last one.
    pub time_went_back: u64,
    /// Reports of more bytes sent than were lent.
    pub clamped: u64,
    /// Transmits that were not answered before another input for the connection.
    pub unanswered_transmits: u64,
}

/// A machine that counts: a server, or something around one.
pub trait Counting {
    /// Counters and gauges as they stand. O(1).
    fn stats(&self) -> Stats;
}

/// Adds those of another shard.
impl core::ops::AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        let Self {
            connections,
            clients,
            rooms,
            buffered_bytes,
            history_bytes,
            held,
            accepted,
            refused_connections,
            refused_addresses,
            unproxied,
            refused_requests,
            opened,
            closed,
            resumed,
            timeouts,
            unfinished,
            slow_readers,
            over_budget,
            tls_accepted,
            tls_handshakes,
            tls_failed,
            tls_plain,
            files_started,
            files_completed,
            files_failed,
            file_bytes,
            file_bytes_late,
            files_discarded,
            received,
            received_bytes,
            sent_bytes,
            published,
            deliveries,
            direct,
            dropped,
            history_evicted,
            mail_lost,
            repeated,
            ids_forgotten,
            discarded,
            coalesced_pongs,
            bad_messages,
            unknown_types,
            rate_limited,
            throttled,
            refused,
            compressing,
            compressed,
            compressed_from_bytes,
            compressed_to_bytes,
            incompressible,
            inflated,
            inflated_from_bytes,
            inflated_to_bytes,
            inflate_refused,
            jobs,
            failed_jobs,
            relayed,
            relay_lost,
            relay_timeouts,
            shard_restarts,
            stale,
            time_went_back,
            clamped,
            unanswered_transmits,
        } = other;
        self.connections += connections;
        self.clients += clients;
        self.rooms += rooms;
        self.buffered_bytes += buffered_bytes;
        self.history_bytes += history_bytes;
        self.held += held;
        self.accepted += accepted;
        self.refused_connections += refused_connections;
        self.refused_addresses += refused_addresses;
        self.unproxied += unproxied;
        self.refused_requests += refused_requests;
        self.opened += opened;
        self.closed += closed;
        self.resumed += resumed;
        self.timeouts += timeouts;
        self.unfinished += unfinished;
        self.slow_readers += slow_readers;
        self.over_budget += over_budget;
        self.tls_accepted += tls_accepted;
        self.tls_handshakes += tls_handshakes;
        self.tls_failed += tls_failed;
        self.tls_plain += tls_plain;
        self.files_started += files_started;
        self.files_completed += files_completed;
        self.files_failed += files_failed;
        self.file_bytes += file_bytes;
        self.file_bytes_late += file_bytes_late;
        self.files_discarded += files_discarded;
        self.received += received;
        self.received_bytes += received_bytes;
        self.sent_bytes += sent_bytes;
        self.published += published;
        self.deliveries += deliveries;
        self.direct += direct;
        self.dropped += dropped;
        self.history_evicted += history_evicted;
        self.mail_lost += mail_lost;
        self.repeated += repeated;
        self.ids_forgotten += ids_forgotten;
        self.discarded += discarded;
        self.coalesced_pongs += coalesced_pongs;
        self.bad_messages += bad_messages;
        self.unknown_types += unknown_types;
        self.rate_limited += rate_limited;
        self.throttled += throttled;
        self.refused += refused;
        self.compressing += compressing;
        self.compressed += compressed;
        self.compressed_from_bytes += compressed_from_bytes;
        self.compressed_to_bytes += compressed_to_bytes;
        self.incompressible += incompressible;
        self.inflated += inflated;
        self.inflated_from_bytes += inflated_from_bytes;
        self.inflated_to_bytes += inflated_to_bytes;
        self.inflate_refused += inflate_refused;
        self.jobs += jobs;
        self.failed_jobs += failed_jobs;
        self.relayed += relayed;
        self.relay_lost += relay_lost;
        self.relay_timeouts += relay_timeouts;
        self.shard_restarts += shard_restarts;
        self.stale += stale;
        self.time_went_back += time_went_back;
        self.clamped += clamped;
        self.unanswered_transmits += unanswered_transmits;
    }
}
