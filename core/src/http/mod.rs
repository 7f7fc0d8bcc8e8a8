//! HTTP/1.1 requests and responses, as far as a WebSocket server needs them.
