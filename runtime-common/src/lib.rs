//! What the runtime adapters share.
