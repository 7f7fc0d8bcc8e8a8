//! Wire dialects: bytes to neutral messages and back.
//!
//! A dialect knows spellings and shapes, never rooms, permissions or sockets.

pub mod json;
