//! Who may connect, and who may say for whom.

pub mod origin;
pub mod proxies;
