//! A program with a room server inside: rooms as always, and two message types that the program answers itself.
//!
//! ```text
//! cargo run -p roomwire-tokio --example application
//! ```
//!
//! A client may then send `{"type":"add","number":2,"id":1}`, which is answered with its sum so far, and
//! `{"type":"clear","id":2}`, which is acknowledged. Ctrl-C says goodbye to everyone and ends the program.
#![expect(
    clippy::print_stdout,
    reason = "the example tells its user what happens"
)]

use std::collections::HashMap;
use std::error::Error;

use roomwire_core::server::{Command, Event, Outcome};
use roomwire_core::{ConnectionId, ErrorCode};
use roomwire_runtime::Settings;
use roomwire_tokio::{Handle, Server};
use tokio::sync::mpsc::Receiver;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut settings = Settings::default(); // listens at 127.0.0.1:8080
    settings.core.application_types = vec!["add".to_owned(), "clear".to_owned()];

    let mut server = Server::bind(settings).await?;
    println!("listening on {}", server.local_addr());
    let program = tokio::spawn(answer(server.events(), server.handle()));

    server.run(interrupted()).await?;
    program.await?;
    println!("everyone has left");
    Ok(())
}

/// Done at Ctrl-C.
async fn interrupted() {
    match tokio::signal::ctrl_c().await {
        Ok(()) => println!("shutting down"),
        Err(error) => println!("shutting down, for Ctrl-C cannot be heard: {error}"),
    }
}

/// Receives events until the server has ended; answers requests. Everything is kept by connection, and
/// forgotten when that ends.
async fn answer(mut events: Receiver<Event>, server: Handle) {
    let mut sums: HashMap<ConnectionId, i64> = HashMap::new();
    while let Some(event) = events.recv().await {
        match event {
            Event::Opened { client, peer, .. } => println!("{client} has come from {peer}"),
            Event::Closed {
                connection,
                client,
                cause,
                code,
                ..
            } => {
                sums.remove(&connection);
                println!("{client} is gone: {cause:?}, {code}");
            }
            Event::Application {
                connection,
                request,
                kind,
                message,
                ..
            } => {
                let outcome = match kind.as_str() {
                    "add" => add(sums.entry(connection).or_default(), &message),
                    _ => {
                        sums.remove(&connection);
                        Outcome::Ack
                    }
                };
                let reply = Command::Reply { request, outcome };
                if server.command(reply).await.is_err() {
                    return;
                }
            }
            _ => {}
        }
    }
}

/// `message` is the client's whole message, an object.
fn add(sum: &mut i64, message: &str) -> Outcome {
    let message: serde_json::Value = serde_json::from_str(message).unwrap_or_default();
    let added = message["number"].as_i64().and_then(|n| sum.checked_add(n));
    let Some(added) = added else {
        return Outcome::Error {
            code: ErrorCode::BadMessage,
            message: "`number` must be a whole number, and the sum one of 64 bits".to_owned(),
        };
    };
    *sum = added;
    Outcome::Reply(format!(r#"{{"type":"sum","sum":{added}}}"#))
}
