//! The server on tokio.
