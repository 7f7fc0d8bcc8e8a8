//! Who has much to say does not keep the others waiting: what every adapter is held to, over real sockets. What is
//! measured is bytes, not time.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use roomwire_runtime::{ListenerSettings, Settings};
use serde_json::json;

use crate::moves::Start;
use crate::tcp::{Client, PATIENCE};

/// Who sends as fast as it can.
const BUSY: usize = 16;
/// What each of them has to say: one message, of which the last byte never comes.
const LENGTH: u64 = 12_000_000;

/// A word of one client comes before most of what others have to say, who all have more than is read in a turn.
///
/// # Panics
/// If it has to wait.
pub fn a_word_comes_before_the_busy(start: Start) {
    let mut settings = Settings {
        listeners: vec![ListenerSettings::at(([127, 0, 0, 1], 0))],
        threads: 1,
        ..Settings::default()
    };
    settings.core.limits.max_message_bytes = 16 * 1024 * 1024;
    settings.core.limits.max_queued_bytes = 32 * 1024 * 1024;
    let server = start(settings, None);
    let mut speaker = Client::connect(server.address);
    let busy: Vec<_> = (0..BUSY).map(|_| busy(server.address)).collect();
    let flood = Arc::new(Flood::default());
    let writing = thread::spawn({
        let flood = Arc::clone(&flood);
        move || flood.write(busy)
    });
    let end = Instant::now() + PATIENCE;
    let mut passed = Vec::new();
    while !writing.is_finished() {
        assert!(Instant::now() < end, "the busy do not get on");
        let full = flood.full.load(Ordering::Acquire);
        let before = flood.written.load(Ordering::Acquire);
        speaker.send(&json!({"type": "ping"}));
        speaker.expect("pong");
        // Before that it was the system's buffers that took it.
        if full {
            passed.push(flood.written.load(Ordering::Acquire) - before);
        }
    }
    writing.join().expect("written");
    let most = passed.iter().max().copied().unwrap_or(u64::MAX);
    assert!(
        most <= 16 * 1024 * 1024,
        "{most} bytes came before a word, of {} words",
        passed.len()
    );
    (server.drain)();
}

#[derive(Default)]
struct Flood {
    written: AtomicU64,
    /// Once nobody could write more.
    full: AtomicBool,
}

impl Flood {
    /// Has all write what they have, in turn.
    fn write(&self, busy: Vec<TcpStream>) {
        let piece = vec![b'x'; 256 * 1024];
        let mut busy: Vec<_> = busy
            .into_iter()
            .map(|socket| (socket, LENGTH - 1))
            .collect();
        let end = Instant::now() + PATIENCE;
        while busy.iter().any(|(_, left)| *left > 0) {
            assert!(Instant::now() < end, "the server does not read");
            let mut any = false;
            for (socket, left) in &mut busy {
                let next = piece.get(..*left as usize).unwrap_or(&piece);
                match socket.write(next) {
                    Ok(count) => {
                        *left -= count as u64;
                        any |= count > 0;
                        self.written.fetch_add(count as u64, Ordering::AcqRel);
                    }
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
            }
            if !any {
                self.full.store(true, Ordering::Release);
                thread::sleep(Duration::from_micros(100));
            }
        }
    }
}

/// A client that has been welcomed and has begun with a long text.
fn busy(address: SocketAddr) -> TcpStream {
    let mut client = TcpStream::connect(address).expect("a connection");
    client.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    client.write_all(request.as_bytes()).expect("written");
    let mut answer = [0; 12];
    client.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 101");
    let header = [&[0x01, 0xFF][..], &LENGTH.to_be_bytes(), &[0; 4]].concat();
    client.write_all(&header).expect("written");
    client.set_nonblocking(true).expect("a socket");
    client
}
