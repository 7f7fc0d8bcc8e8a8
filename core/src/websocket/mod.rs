//! WebSocket (RFC 6455): frames, messages, close codes. Knows nothing of rooms.

pub mod handshake;
