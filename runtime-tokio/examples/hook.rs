//! A program with a room server inside that answers a message type of its own by something that takes long: on
//! threads besides those that serve, so that nobody else waits for it.
//!
//! ```text
//! cargo run --release -p roomwire-tokio --example hook -- 127.0.0.1:8080 2
//! ```
//!
//! A client may then send `{"type":"hash","mib":1024,"id":1}`, and is told the SHA-256 of so many MiB of zeros. The second
//! argument is how many such threads there are; with 0 everybody waits.
#![expect(
    clippy::print_stdout,
    reason = "the example tells its user what happens"
)]

use std::error::Error;
use std::net::SocketAddr;

use roomwire_core::ErrorCode;
use roomwire_core::config::RateLimit;
use roomwire_core::server::Outcome;
use roomwire_runtime::{ListenerSettings, Settings};
use roomwire_tokio::{Hook, Request, Server};
use sha2::{Digest as _, Sha256};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next();
    let address: SocketAddr = address.as_deref().unwrap_or("127.0.0.1:8080").parse()?;
    let mut settings = Settings {
        listeners: vec![ListenerSettings::at(address)],
        ..Settings::default()
    };
    if let Some(threads) = arguments.next() {
        settings.core.offload.threads = threads.parse()?;
        settings.core.offload.hook_threads = settings.core.offload.threads;
    }
    settings.core.application_types = vec!["hash".to_owned()];
    // Whoever measures asks for much.
    settings.core.rate_limit = RateLimit::off();
    settings.core.timeouts.application_reply_ms = 60_000;

    let mut server = Server::bind_now(&settings)?;
    server.answer(&Hook::new(hash));
    println!("listening on {}", server.local_addr());
    server.run_blocking()?;
    Ok(())
}

/// Called on any of these threads.
fn hash(request: Request) -> Outcome {
    let message: serde_json::Value = serde_json::from_str(&request.message).unwrap_or_default();
    let Some(mib @ 0..=4_096) = message["mib"].as_u64() else {
        return Outcome::Error {
            code: ErrorCode::BadMessage,
            message: "`mib` must be a whole number up to 4096".to_owned(),
        };
    };
    let mut sha256 = Sha256::new();
    let piece = vec![0; 1024 * 1024];
    for _ in 0..mib {
        sha256.update(&piece);
    }
    let hex: String = sha256
        .finalize()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    Outcome::Reply(format!(r#"{{"type":"hashed","sha256":"{hex}"}}"#))
}
