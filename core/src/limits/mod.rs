//! Limits as pure functions of state, time and config.
