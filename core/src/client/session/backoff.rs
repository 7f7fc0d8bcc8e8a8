//! When to come back, and whether: pure functions.

#[cfg(test)]
mod tests;

use core::time::Duration;

use super::config::{SessionConfig, ms};

/// The longest wait after so many attempts since a connection was stable. O(1).
pub(super) fn longest(config: &SessionConfig, attempts: u32) -> Duration {
    let factor = 1_u64.checked_shl(attempts).unwrap_or(u64::MAX);
    let doubled = config.reconnect_interval_ms.saturating_mul(factor);
    ms(doubled.min(config.max_reconnect_delay_ms))
}

/// The part of it that is waited: any, as `random` says, evenly. O(1).
pub(super) fn part_of(longest: Duration, random: u64) -> Duration {
    // `random` is a fraction of 2^64; the product is below the bound, times 2^64.
    let micros = ((longest.as_micros() + 1) * u128::from(random)) >> 64;
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

/// Whether a connection that the server closed with `code` would only be closed again; so would those with a program's
/// own codes, 3000 and more. 1001 is not among them, as that is what many a server says that restarts. O(1).
pub const fn is_final(code: u16) -> bool {
    matches!(code, 1000 | 1002 | 1003 | 1007..=1010 | 3000..)
}

/// Whether a handshake that was answered with this HTTP status would only be answered so again. O(1).
pub const fn is_final_status(status: u16) -> bool {
    match status {
        // It took too long, or was too soon, or too often.
        408 | 425 | 429 => false,
        // What the server does not do; it is in trouble otherwise.
        500.. => matches!(status, 501 | 505),
        _ => true,
    }
}
