//! One client's connection: what is queued for it, when it is due, and what is known of it.

pub(crate) mod buffer;
pub(crate) mod connection;
pub(crate) mod facts;
pub(crate) mod lists;
pub(crate) mod outbox;
pub(crate) mod timers;

/// No element: the end of a list, a buffer without a room.
pub(crate) const NONE: u32 = u32::MAX;
