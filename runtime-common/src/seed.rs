//! The randomness that a machine starts from.

use std::io;

/// 32 bytes from the operating system, the seed of one machine. It is as secret as a key: client ids and
/// table layouts follow from it.
///
/// # Errors
/// When the system has no randomness to give; starting without it is not safe.
pub fn from_system() -> io::Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|e| io::Error::other(format!("no random seed: {e}")))?;
    Ok(seed)
}

#[cfg(test)]
mod tests;
