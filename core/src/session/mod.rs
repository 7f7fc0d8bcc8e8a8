//! One client's connection.
pub(crate) mod outbox;
