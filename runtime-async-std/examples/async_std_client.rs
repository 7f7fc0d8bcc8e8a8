//! A client that comes back: it joins a room, says what is typed, and shows what comes until the end of the input.
//!
//! ```text
//! cargo run -p roomwire-async-std                   # a server, in another terminal
//! cargo run -p roomwire-async-std --example async_std_client
//! ```
#![expect(
    clippy::print_stdout,
    reason = "the example tells its user what happens"
)]

use std::error::Error;
use std::io::BufRead;
use std::thread;

use roomwire_async_std::Client;
use roomwire_runtime::client::{ClientSettings, Event};

fn main() -> Result<(), Box<dyn Error>> {
    async_std::task::block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    let mut settings = ClientSettings::new("ws://127.0.0.1:8080/")?;
    settings.session.max_reconnect_attempts = None; // as long as it takes
    let (client, mut events) = Client::connect(settings)?;
    client.join("tea")?.await?;

    // Calls never wait, so any thread may make them.
    let own = client.clone();
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            let data = format!("{line:?}"); // as JSON, if it is simple text
            match own.say("tea", &data) {
                // What becomes of it is an event, as nobody awaits it here.
                Ok(receipt) => drop(receipt),
                Err(why) => println!("not said: {why}"),
            }
        }
        own.close();
    });
    drop(client);

    while let Some(event) = events.next().await {
        match event {
            Event::RoomMessage(it) => println!("{}: {:?}", it.said.from, it.said.data),
            Event::State(state) => println!("{state:?}"),
            Event::Outcome { outcome, .. } => println!("{outcome:?}"),
            _ => {}
        }
    }
    Ok(())
}
