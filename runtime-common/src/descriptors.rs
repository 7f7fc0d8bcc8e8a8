//! The limit on open descriptors, which is the limit on connections.

use std::io;

/// Descriptors kept for what is no connection: listeners, pollers, signals, files, standard streams.
pub const RESERVED: u64 = 64;

/// Raises the soft limit of the process to its hard limit; returns what it is now. Affects the whole process,
/// so a program that embeds a server calls it only if it wants that.
///
/// # Errors
/// When the system refuses to tell or to change the limit.
pub fn raise_limit() -> io::Result<u64> {
    rlimit::increase_nofile_limit(u64::MAX)
}

/// How many connections fit under a descriptor limit: all but [`RESERVED`], at least 1, and never more than
/// the config allows (`limits.max_connections`).
pub fn connection_cap(limit: u64) -> u32 {
    let cap = limit
        .saturating_sub(RESERVED)
        .clamp(1, u64::from(MAX_CONNECTIONS));
    u32::try_from(cap).unwrap_or(MAX_CONNECTIONS)
}

/// The bound of `limits.max_connections`.
const MAX_CONNECTIONS: u32 = 1 << 24;

#[cfg(test)]
mod tests;
