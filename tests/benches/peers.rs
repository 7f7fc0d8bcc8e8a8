//! The first stages of the core beside those of others, in one run:
//! `cargo bench -p roomwire-tests --no-default-features --bench peers`.
//!
//! Rounds alternate, so that whatever else the machine does meets all alike. Prints the best round of each, which is
//! what the code costs when nothing else runs, and the median of the rounds' ratios. Everyone gets the same bytes from
//! memory and copies them into a buffer of its own, as it would read them from a socket.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a measurement reads the clock and prints"
)]

use std::hint::black_box;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use fastwebsockets::WebSocket;
use roomwire_core::http::{HeadLimits, Parsed, RequestHead};
use roomwire_core::websocket::{
    Data, Decoder, MessageLimits, OpCode, Role, Step, apply_mask, handshake, put_masked_frame,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tungstenite::handshake::machine::TryParse;
use tungstenite::handshake::server::{Request, create_response, write_response};
use tungstenite::protocol::{Role as TungsteniteRole, WebSocketContext};

const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const ROUNDS: usize = 400;
/// What one round handles, so that reading the clock does not show.
const SMALL_FRAMES: usize = 1_000;
const LARGE_BYTES: usize = 64 * 1024;
const LARGE_FRAMES: usize = 8;
const UPGRADES: usize = 500;
/// What the adapters read at once.
const READ_BYTES: usize = 64 * 1024;

/// What a browser sends.
const UPGRADE: &[u8] = b"GET /ws HTTP/1.1\r\n\
    Host: chat.example.com\r\n\
    Connection: Upgrade\r\n\
    Pragma: no-cache\r\n\
    Cache-Control: no-cache\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
    Upgrade: websocket\r\n\
    Origin: https://chat.example.com\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-US,en;q=0.9,de;q=0.8\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

fn main() {
    for (name, data) in [("binary", Data::Binary), ("text", Data::Text)] {
        decode(&format!("decode 16 B {name}"), data, 16, SMALL_FRAMES);
        decode(
            &format!("decode 64 KiB {name}"),
            data,
            LARGE_BYTES,
            LARGE_FRAMES,
        );
    }
    unmask();
    upgrade();
}

fn decode(name: &str, data: Data, payload_bytes: usize, frames: usize) {
    let mut stream = Vec::new();
    let payload = vec![0x61; payload_bytes];
    for _ in 0..frames {
        put_masked_frame(&mut stream, OpCode::Data(data), true, false, &payload, KEY);
    }
    let mut buffer = Vec::with_capacity(stream.len());
    measure(
        name,
        frames,
        &mut [
            ("roomwire", &mut || roomwire_reads(&stream, &mut buffer)),
            ("tungstenite", &mut || tungstenite_reads(&stream)),
            ("fastwebsockets", &mut || {
                fastwebsockets_reads(&stream, frames)
            }),
        ],
        frames * payload_bytes,
    );
}

/// In pieces of what an adapter reads at once, decoded where they lie.
fn roomwire_reads(stream: &[u8], buffer: &mut Vec<u8>) -> usize {
    let limits = MessageLimits::default();
    let mut decoder = Decoder::new(Role::Server);
    let mut bytes = 0;
    for piece in stream.chunks(READ_BYTES) {
        buffer.clear();
        buffer.extend_from_slice(piece);
        let mut at = 0;
        while let Some(rest) = buffer.get_mut(at..) {
            let (step, consumed) = decoder.decode(rest, &limits).expect("valid frames");
            at += consumed;
            match step {
                Step::Text(text) => bytes += black_box(text.as_bytes()).len(),
                Step::Binary(data) => bytes += black_box(&data[..]).len(),
                _ => break,
            }
        }
    }
    bytes
}

fn tungstenite_reads(mut stream: &[u8]) -> usize {
    let mut socket = WebSocketContext::new(TungsteniteRole::Server, None);
    let mut stream = ReadOnly(&mut stream);
    let mut bytes = 0;
    while let Ok(message) = socket.read(&mut stream) {
        bytes += black_box(message).len();
    }
    bytes
}

fn fastwebsockets_reads(stream: &[u8], frames: usize) -> usize {
    let mut socket = WebSocket::after_handshake(Memory(stream), fastwebsockets::Role::Server);
    let mut bytes = 0;
    for _ in 0..frames {
        let mut frame = pin!(socket.read_frame());
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(Ok(frame)) = frame.as_mut().poll(&mut context) else {
            panic!("a frame that is all there");
        };
        bytes += black_box(frame.payload).len();
    }
    bytes
}

fn unmask() {
    let mut ours = vec![0x61; LARGE_BYTES];
    let mut theirs = ours.clone();
    measure(
        "unmask 64 KiB in place",
        LARGE_FRAMES,
        &mut [
            ("roomwire", &mut || {
                for _ in 0..LARGE_FRAMES {
                    apply_mask(black_box(&mut ours), KEY);
                }
                LARGE_FRAMES * LARGE_BYTES
            }),
            ("fastwebsockets", &mut || {
                for _ in 0..LARGE_FRAMES {
                    fastwebsockets::unmask(black_box(&mut theirs), KEY);
                }
                LARGE_FRAMES * LARGE_BYTES
            }),
        ],
        LARGE_FRAMES * LARGE_BYTES,
    );
}

/// A request's head to the bytes of its answer. The other has no compression to agree on.
fn upgrade() {
    let (mut ours, mut theirs, mut deflated) = (Vec::new(), Vec::new(), Vec::new());
    measure(
        "upgrade request",
        UPGRADES,
        &mut [
            ("roomwire", &mut || {
                for _ in 0..UPGRADES {
                    ours.clear();
                    roomwire_upgrades(black_box(UPGRADE), false, &mut ours);
                }
                UPGRADES
            }),
            ("tungstenite", &mut || {
                for _ in 0..UPGRADES {
                    theirs.clear();
                    tungstenite_upgrades(black_box(UPGRADE), &mut theirs);
                }
                UPGRADES
            }),
            ("roomwire, deflate", &mut || {
                for _ in 0..UPGRADES {
                    deflated.clear();
                    roomwire_upgrades(black_box(UPGRADE), true, &mut deflated);
                }
                UPGRADES
            }),
        ],
        UPGRADES,
    );
}

fn roomwire_upgrades(request: &[u8], deflate: bool, out: &mut Vec<u8>) {
    let limits = HeadLimits {
        max_bytes: 16 * 1024,
        max_headers: 64,
    };
    let Ok(Parsed::Complete { head, .. }) = RequestHead::parse(request, &limits, &mut 0) else {
        panic!("a whole head");
    };
    let upgrade = handshake::check(&head, &["roomwire"], deflate).expect("an upgrade");
    upgrade.write(out);
    assert!(black_box(&out).ends_with(b"\r\n\r\n"));
}

fn tungstenite_upgrades(request: &[u8], out: &mut Vec<u8>) {
    let request = Request::try_parse(request).expect("valid");
    let (_, request) = request.expect("whole");
    let response = create_response(&request).expect("an upgrade");
    write_response(&mut *out, &response).expect("room");
    assert!(black_box(&out).ends_with(b"\r\n\r\n"));
}

/// Whose work it is, and the work of one round; it returns how much was handled.
type Peer<'a> = (&'a str, &'a mut dyn FnMut() -> usize);

/// Runs all in turn and prints what one of `units` takes; `handled` is what each must have seen.
fn measure(name: &str, units: usize, peers: &mut [Peer<'_>], handled: usize) {
    let mut times = vec![Vec::with_capacity(ROUNDS); peers.len()];
    for _ in 0..ROUNDS {
        for ((peer, work), times) in peers.iter_mut().zip(&mut times) {
            let started = Instant::now();
            let seen = work();
            times.push(started.elapsed().as_nanos() as f64 / units as f64);
            assert_eq!(seen, handled, "{peer}");
        }
    }
    let ours = times[0].clone();
    for ((peer, _), theirs) in peers.iter().zip(times) {
        let mut ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(a, b)| a / b).collect();
        ratios.sort_by(f64::total_cmp);
        let best = theirs.into_iter().fold(f64::INFINITY, f64::min);
        let per_ns = handled as f64 / units as f64 / best;
        println!(
            "{name:<24} {peer:<18} {best:10.1} ns {per_ns:7.1} GB/s   ours / this: {:5.2}",
            ratios[ratios.len() / 2]
        );
    }
}

/// What an asynchronous reader gets at once, all of it.
struct Memory<'a>(&'a [u8]);

impl AsyncRead for Memory<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let bytes = into.remaining().min(self.0.len());
        let (now, later) = self.0.split_at(bytes);
        into.put_slice(now);
        self.0 = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The same for a blocking one.
struct ReadOnly<'a, 'b>(&'a mut &'b [u8]);

impl io::Read for ReadOnly<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl io::Write for ReadOnly<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
