//! Limits as pure functions of state, time and config.
//!
//! Nothing here knows what is limited: no connections, messages or timers.

pub mod heartbeat;
pub mod rate;
