//! The bodies of all fuzz targets, as plain functions over bytes.
//!
//! A target panics when the core breaks one of its promises. Nothing here needs a fuzzer: the wrappers in
//! `fuzz_targets/` hand over what libFuzzer invents, `tests/replay.rs` what is checked in under `corpus/`.

pub mod binary;
pub mod client;
pub mod deflate;
pub mod forwarded;
pub mod frames;
pub mod heartbeat;
pub mod http_body;
pub mod http_head;
pub mod input;
pub mod json;
pub mod limiter;
pub mod mask;
pub mod negotiation;
pub mod proxy_protocol;
pub mod replay;
pub mod seeds;
pub mod server;
pub mod session;

/// A target's body.
pub type Target = fn(&[u8]);

/// Every target by name: the name of its binary and of its corpus.
pub const TARGETS: [(&str, Target); 16] = [
    ("binary", binary::target),
    ("client", client::target),
    ("deflate", deflate::target),
    ("forwarded", forwarded::target),
    ("frames", frames::target),
    ("heartbeat", heartbeat::target),
    ("http_body", http_body::target),
    ("http_head", http_head::target),
    ("json", json::target),
    ("limiter", limiter::target),
    ("mask", mask::target),
    ("negotiation", negotiation::target),
    ("proxy_protocol", proxy_protocol::target),
    ("replay", replay::target),
    ("server", server::target),
    ("session", session::target),
];
