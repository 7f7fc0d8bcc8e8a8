//! One flooding client and a hundred quiet ones on real sockets: the quiet ones are answered while the flood goes
//! on.
//!
//! Elsewhere a socket that always had more to read kept its adapter from all others. No time is measured: what
//! counts is how much of the flood the server takes while it answers the others, and that has to be a small part
//! of a flood that ends only when everyone has been answered.

mod common;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use common::{Running, settings, soon};
use roomwire_core::config::RateLimit;
use roomwire_core::websocket::{Data, OpCode, put_masked_frame};
use roomwire_tests::tcp::Client;
use roomwire_tokio::Server;
use serde_json::json;

const QUIET: usize = 100;
const ROUNDS: u64 = 10;
/// One write of the flooder's.
const PIECE_BYTES: usize = 64 * 1024;
/// The flood ends here even if the quiet ones have not been answered. An adapter that reads a socket for as long as
/// there is something to read answers them only then; one that gives each a turn needs a tenth of it, so
/// that a busy machine does not matter.
const FLOOD_BYTES: u64 = 256 * 1024 * 1024;

/// Floods until it is told to stop.
struct Flood {
    taken: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Flood {
    fn start(mut client: Client) -> Self {
        let (taken, stop) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (count, ended) = (Arc::clone(&taken), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            // A message that nobody answers: the flooder need not read.
            let mut piece = Vec::new();
            while piece.len() < PIECE_BYTES {
                let opcode = OpCode::Data(Data::Text);
                put_masked_frame(
                    &mut piece,
                    opcode,
                    true,
                    false,
                    br#"{"type":"hello"}"#,
                    [1; 4],
                );
            }
            let stream = client.socket().get_mut();
            while !ended.load(Ordering::SeqCst) && count.load(Ordering::SeqCst) < FLOOD_BYTES {
                stream.write_all(&piece).expect("the server reads");
                count.fetch_add(piece.len() as u64, Ordering::SeqCst);
            }
        });
        Self {
            taken,
            stop,
            thread,
        }
    }

    fn taken(&self) -> u64 {
        self.taken.load(Ordering::SeqCst)
    }

    fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.join().expect("no panic");
    }
}

// covers A3-12
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_hundred_quiet_clients_are_answered_while_one_floods() {
    let mut settings = settings();
    settings.core.rate_limit = RateLimit::off();
    // A hundred come one after the other.
    settings.core.timeouts.welcome_delay_ms = 0;
    let server = Server::bind(settings).await.expect("a free port");
    let running = Running::start(server);
    let mut quiet: Vec<Client> = (0..QUIET)
        .map(|_| Client::connect(running.address))
        .collect();
    let flood = Flood::start(Client::connect(running.address));
    // The flood fills every buffer on its way first.
    while flood.taken() < 64 * PIECE_BYTES as u64 {
        thread::yield_now();
    }
    let began = flood.taken();
    let before = soon(running.handle.stats()).await.expect("it runs");
    for round in 0..ROUNDS {
        for client in &mut quiet {
            client.send(&json!({"type": "ping", "timestamp": round}));
        }
        for client in &mut quiet {
            assert_eq!(client.expect("pong")["clientTimestamp"], round);
        }
    }
    let after = soon(running.handle.stats()).await.expect("it runs");
    let ended = flood.taken();
    assert!(
        ended < FLOOD_BYTES,
        "they were answered when the flood was over"
    );
    // And it was a flood: far more messages of one client than of all others together.
    let messages = after.received - before.received;
    let (asked, taken) = (ROUNDS * QUIET as u64, ended - began);
    let _ = writeln!(
        std::io::stdout(),
        "{messages} messages, {taken} bytes of the flood"
    );
    assert!(messages > 5 * asked, "{messages} messages, {taken} bytes");
    flood.stop();
    drop(quiet);
    running.stop().await;
}
