//! One file on its way from one sender to many receivers, of which nothing is kept.
//!
//! A [`Transfer`] asks the sender for pieces that receivers have room for ([`Transfer::next_wanted`]) and says who
//! gets what comes ([`Transfer::chunk`]). It knows who a receiver is and what time it is, nothing of rooms, messages
//! or queues, and never holds a byte of the file. Where the whole file came in one message, its [`Body`] answers in
//! the sender's place.
//!
//! # The front
//!
//! What passes for the first time is hashed as it passes; how far that has come is where the *front* stands.
//! Receivers that stand there go on together: a piece is asked for once all of them have room for it. Whoever had none
//! is waited for until half of its window is free, so that the others get much at once, and whether they have done with
//! it and wait says how much slower it is. Who has kept the others waiting too long is no longer waited for.
//!
//! Whoever is behind (left behind, late, or back with a part of the file) has pieces of its own asked for once more, on
//! one of few *streams*, until it is at the front again. While the front keeps the sender busy, two thirds of what is
//! asked for are the front's.
//!
//! # Order
//!
//! The sender answers in the order in which it was asked. So a piece that a stream asks for may go as far as the front
//! has asked: by the time it comes, the front has passed there.
//!
//! # Cost
//!
//! A chunk is O(receivers), a piece that is asked for too, of which there is at most one per chunk; credit is
//! O(log receivers + streams). Neither allocates once the lists have grown. Memory is at most
//! `MAX_RECEIVER_BYTES` for each receiver that is there and `MAX_BASE_BYTES`.

mod asking;
mod body;
mod front;
mod lifetime;
mod name;
mod order;
mod receivers;
#[cfg(test)]
mod tests;
mod transfer;

use core::time::Duration;

use crate::config::Config;

pub(crate) use body::Body;
#[cfg(test)]
pub(crate) use lifetime::Progress;
pub(crate) use lifetime::{Outcome, Ticked};
pub(crate) use name::display_name;
#[cfg(test)]
pub(crate) use transfer::Credited;
pub(crate) use transfer::Transfer;

/// SHA-256 of a whole file (FIPS 180-4).
pub(crate) type FileHash = [u8; 32];

/// What transfers go by, resolved from the config.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// What may be on its way to one receiver.
    pub(crate) max_window_bytes: u32,
    /// The largest piece that is asked for at once.
    pub(crate) request_bytes: u32,
    /// What may be asked for and not have come.
    pub(crate) max_requested_bytes: u32,
    /// The largest chunk.
    pub(crate) chunk_bytes: u32,
    /// How many that are behind have pieces of their own asked for at once.
    pub(crate) max_streams: u32,
    /// Those that have accepted and are there, whether they are done or not.
    pub(crate) max_receivers: u32,
    /// How long one receiver may hold the others up.
    pub(crate) patience: Duration,
    /// From the first receiver to the first piece.
    pub(crate) gather: Duration,
    /// How long who owes something may owe it.
    pub(crate) idle: Duration,
    /// How long a sender may be gone.
    pub(crate) resume: Duration,
    /// Between two reports of progress.
    pub(crate) progress_interval: Duration,
}

impl Rules {
    /// Chunks and windows are no larger than messages and queues have room for, whatever the settings of files say.
    pub(crate) fn new(config: &Config) -> Self {
        let files = &config.files;
        let largest = base64_room(config.limits.max_message_bytes);
        let window = queue_room(config);
        let chunk_bytes = files.chunk_bytes.min(largest).min(window);
        Self {
            max_window_bytes: files.max_window_bytes.min(window),
            request_bytes: files.request_bytes,
            max_requested_bytes: files.max_requested_bytes,
            chunk_bytes,
            max_streams: files.max_streams,
            max_receivers: files.max_receivers,
            patience: Duration::from_millis(files.patience_ms),
            gather: Duration::from_millis(files.gather_ms),
            idle: Duration::from_millis(files.idle_ms),
            resume: Duration::from_millis(files.resume_ms),
            progress_interval: Duration::from_millis(files.progress_interval_ms),
        }
    }
}

/// How many bytes of files a client's queue has room for. The other half is for all else.
pub(crate) fn queue_room(config: &Config) -> u32 {
    base64_room(config.limits.max_queued_bytes / 2)
}

/// How many bytes fit a JSON message of `message_bytes`, which carries them in base64; at least one.
fn base64_room(message_bytes: usize) -> u32 {
    let room = message_bytes.saturating_sub(ENVELOPE_BYTES) / 4 * 3;
    u32::try_from(room).unwrap_or(u32::MAX).max(1)
}

/// A piece that the sender is to send, in chunks, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Where it begins.
    pub(crate) offset: u64,
    /// How long it is.
    pub(crate) length_bytes: u32,
}

/// Why something that an end has sent is refused. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// The receiver claims what it was not passed, or what is not in the file.
    Beyond,
    /// As many have accepted as may.
    Full,
    /// The receiver has completed its copy.
    Done,
    /// It is no receiver.
    Unknown,
    /// Too early: the receiver has not been told the end, or the sender has not sent everything.
    Early,
    /// The chunk is not what was asked for next.
    Unexpected,
    /// What has passed is not what the sender has told: the transfer cannot go on.
    Corrupt,
}

/// Less room than this is none, unless it is enough for the rest of the file, or nothing is on its way to the receiver:
/// nobody is asked for single bytes while others are.
pub(crate) const MIN_PIECE_BYTES: u32 = 1_024;

/// Pieces that are asked for and have not come.
pub(crate) const MAX_PIECES: usize = 256;

/// What one receiver takes, lists that double as they grow included.
#[cfg(test)]
pub(crate) const MAX_RECEIVER_BYTES: usize = 384;

/// What a transfer takes besides itself and its receivers.
#[cfg(test)]
pub(crate) const MAX_BASE_BYTES: usize = 32 * 1_024;

/// What stands in a message around a chunk, with room to spare.
const ENVELOPE_BYTES: usize = 1_024;
