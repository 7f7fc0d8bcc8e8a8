//! Who may connect.

pub mod origin;
