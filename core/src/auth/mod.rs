//! Who may connect, and who may say for whom.

pub(crate) mod agents;
pub mod origin;
pub mod proxies;
