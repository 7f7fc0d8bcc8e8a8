//! Clients that send files to each other, at next to no cost of their own: for `tests/tools/files-crowd`.
//!
//!     files PORT CLIENTS FILES SIZE RATE CONTENT DIGESTS
//!
//! File k is SIZE bytes of the file CONTENT from k * 4,096 on, and line k of DIGESTS its SHA-256. Every client has a
//! thread that reads and one that writes. Prints `ready`, waits for a line, lets all files go at once, RATE bytes a second
//! each (0: as fast as they go), compares what comes with what was sent, and prints how many were right.
use std::collections::{HashMap, VecDeque};
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const STEP: usize = 4096;
const CHUNK: usize = 64 * 1024;
const WINDOW: u64 = 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(300);

/// What all clients share.
struct Shared {
    content: Vec<u8>,
    digests: Vec<[u8; 32]>,
    size: usize,
    rate: f64,
    sent: AtomicU64,
    right: AtomicU64,
    errors: AtomicU64,
}

impl Shared {
    fn file(&self, k: usize) -> &[u8] {
        &self.content[k * STEP..k * STEP + self.size]
    }
}

/// What one client has to write: what is short first, then a piece of each file in turn.
#[derive(Default)]
struct Out {
    short: Vec<u8>,
    files: VecDeque<Sending>,
}

struct Sending {
    number: [u8; 8],
    k: usize,
    /// What the server has asked for, in order. A piece is of one of these.
    wanted: VecDeque<Range<usize>>,
}

#[derive(Default)]
struct Client {
    out: Mutex<Out>,
    more: Condvar,
}

impl Client {
    fn say(&self, kind: u8, parts: &[&[u8]]) {
        let mut out = self.out.lock().unwrap();
        frame(&mut out.short, kind, parts);
        self.more.notify_one();
    }

    fn wanted(&self, number: [u8; 8], k: usize, range: Range<usize>) {
        let mut out = self.out.lock().unwrap();
        match out.files.iter_mut().find(|file| file.number == number) {
            Some(file) => file.wanted.push_back(range),
            None => out.files.push_back(Sending { number, k, wanted: [range].into() }),
        }
        self.more.notify_one();
    }

    /// Writes until the socket is gone.
    fn write(&self, mut socket: TcpStream, shared: &Shared) {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let mut out = self.out.lock().unwrap();
            while out.short.is_empty() && out.files.is_empty() {
                out = self.more.wait(out).unwrap();
            }
            std::mem::swap(&mut bytes, &mut out.short);
            let mut pause = Duration::ZERO;
            if let Some(mut file) = out.files.pop_front() {
                let range = file.wanted.pop_front().expect("something of it is wanted");
                let end = range.end.min(range.start + CHUNK);
                let piece = &shared.file(file.k)[range.start..end];
                let offset = (range.start as u64).to_be_bytes();
                frame(&mut bytes, 0x62, &[&file.number, &offset, piece]);
                if shared.rate > 0.0 {
                    let files = out.files.len() as f64 + 1.0;
                    pause = Duration::from_secs_f64(piece.len() as f64 / shared.rate / files);
                }
                if end < range.end {
                    file.wanted.push_front(end..range.end);
                }
                if end == shared.size {
                    let size = (shared.size as u64).to_be_bytes();
                    let digest = &shared.digests[file.k];
                    frame(&mut bytes, 0x63, &[&[0; 4], &file.number, &[3], &size, digest]);
                } else if !file.wanted.is_empty() {
                    out.files.push_back(file);
                }
            }
            drop(out);
            if socket.write_all(&bytes).is_err() {
                return;
            }
            thread::sleep(pause);
        }
    }

    /// Reads until the socket is gone.
    fn read(&self, mut socket: BufReader<TcpStream>, shared: &Shared) {
        let mut sending: HashMap<[u8; 8], usize> = HashMap::new();
        let mut coming: HashMap<[u8; 8], (usize, u64, u64)> = HashMap::new();
        let mut message = Vec::new();
        while let Some(opcode) = next(&mut socket, &mut message) {
            if opcode == 9 {
                let mut out = self.out.lock().unwrap();
                header(&mut out.short, 0x8A, message.len());
                out.short.extend(&message);
                self.more.notify_one();
                continue;
            }
            let (kind, payload) = (message[0], &message[13..]);
            match kind {
                0x61 => {
                    sending.insert(number(&payload[4..]), index(&payload[24..]));
                }
                0x68 => {
                    let transfer = number(payload);
                    let from = u64_at(payload, 8) as usize;
                    let until = from + u32::from_be_bytes(payload[16..20].try_into().unwrap()) as usize;
                    self.wanted(transfer, sending[&transfer], from..until);
                }
                0x6A => {
                    shared.sent.fetch_add(1, SeqCst);
                }
                0x67 => {
                    let transfer = number(payload);
                    coming.insert(transfer, (index(&payload[8 + 18 + 1 + 4..]), 0, 0));
                    self.credit(&transfer, 0);
                }
                0x62 => {
                    let transfer = number(payload);
                    let (k, got, credited) = coming.get_mut(&transfer).expect("it was offered");
                    let data = &payload[16..];
                    assert_eq!(u64_at(payload, 8), *got, "a gap");
                    let at = *got as usize;
                    assert!(&shared.file(*k)[at..at + data.len()] == data, "not what was sent");
                    *got += data.len() as u64;
                    if *got - *credited >= WINDOW / 4 {
                        *credited = *got;
                        self.credit(&transfer, *got);
                    }
                }
                0x63 => {
                    let transfer = number(payload);
                    let (k, got, _) = coming.remove(&transfer).expect("it was offered");
                    assert_eq!((got, u64_at(payload, 8)), (shared.size as u64, shared.size as u64));
                    assert_eq!(payload[16..48], shared.digests[k]);
                    self.say(0x66, &[&[0; 4], &transfer]);
                    shared.right.fetch_add(1, SeqCst);
                }
                0x06 | 0x6B => {
                    eprintln!("refused: {}", String::from_utf8_lossy(payload).escape_debug());
                    shared.errors.fetch_add(1, SeqCst);
                }
                _ => {}
            }
        }
    }

    fn credit(&self, transfer: &[u8; 8], got: u64) {
        self.say(0x65, &[transfer, &got.to_be_bytes(), &(WINDOW as u32).to_be_bytes()]);
    }
}

fn u64_at(payload: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(payload[at..at + 8].try_into().unwrap())
}

fn number(payload: &[u8]) -> [u8; 8] {
    payload[..8].try_into().unwrap()
}

/// Which file a text, `file-17`, names.
fn index(text: &[u8]) -> usize {
    let length = usize::from(u16::from_be_bytes([text[0], text[1]]));
    let name = std::str::from_utf8(&text[2..2 + length]).expect("a name");
    name.strip_prefix("file-").and_then(|k| k.parse().ok()).expect("a name of ours")
}

/// A WebSocket header, masked with nothing.
fn header(out: &mut Vec<u8>, first: u8, length: usize) {
    out.push(first);
    match length {
        0..=125 => out.push(0x80 | length as u8),
        126..=0xFFFF => {
            out.push(0xFE);
            out.extend((length as u16).to_be_bytes());
        }
        _ => {
            out.push(0xFF);
            out.extend((length as u64).to_be_bytes());
        }
    }
    out.extend([0; 4]);
}

fn frame(out: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    header(out, 0x82, 13 + length);
    out.push(kind);
    out.extend([0; 8]);
    out.extend((length as u32).to_be_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// The next message and its opcode; `None` at the end.
fn next(socket: &mut BufReader<TcpStream>, message: &mut Vec<u8>) -> Option<u8> {
    let mut start = [0; 2];
    socket.read_exact(&mut start).ok()?;
    let mut length = [0; 8];
    let length = match start[1] {
        126 => {
            socket.read_exact(&mut length[6..]).ok()?;
            u64::from_be_bytes(length)
        }
        127 => {
            socket.read_exact(&mut length).ok()?;
            u64::from_be_bytes(length)
        }
        short => u64::from(short),
    };
    message.resize(length as usize, 0);
    socket.read_exact(message).ok()?;
    assert!(start[0] & 0x80 != 0, "a fragment");
    Some(start[0] & 0x0F)
}

/// Connects; the socket, and the client's id.
fn connect(port: u16) -> (BufReader<TcpStream>, Vec<u8>) {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    socket.set_nodelay(true).expect("an option");
    let request = "GET /?dialect=binary HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    socket.write_all(request.as_bytes()).expect("written");
    let mut socket = BufReader::with_capacity(256 * 1024, socket);
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte).expect("an answer");
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "refused");
    let mut welcome = Vec::new();
    next(&mut socket, &mut welcome).expect("a welcome");
    assert_eq!(welcome[0], 0x01);
    (socket, welcome[13..31].to_vec())
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [port, clients, files, size, rate, content, digests] = words.as_slice() else {
        eprintln!("usage: files PORT CLIENTS FILES SIZE RATE CONTENT DIGESTS");
        std::process::exit(2);
    };
    let whole = |word: &String| word.parse::<usize>().expect("a number");
    let (clients, files) = (whole(clients), whole(files));
    let digests = std::fs::read_to_string(digests).expect("digests");
    let byte = |line: &str, at: usize| u8::from_str_radix(&line[at * 2..at * 2 + 2], 16).expect("hex");
    let shared = Arc::new(Shared {
        content: std::fs::read(content).expect("content"),
        digests: digests.lines().map(|line| std::array::from_fn(|at| byte(line, at))).collect(),
        size: whole(size),
        rate: rate.parse().expect("a number"),
        sent: AtomicU64::new(0),
        right: AtomicU64::new(0),
        errors: AtomicU64::new(0),
    });
    let port = port.parse().expect("a port");
    let mut members = Vec::new();
    for _ in 0..clients {
        let (socket, id) = connect(port);
        let client = Arc::new(Client::default());
        let writes = socket.get_ref().try_clone().expect("a socket");
        let (one, all) = (Arc::clone(&client), Arc::clone(&shared));
        thread::spawn(move || one.write(writes, &all));
        let (one, all) = (Arc::clone(&client), Arc::clone(&shared));
        // A client that panics ends the program: what is lost is not waited for.
        thread::spawn(move || {
            let read = std::panic::AssertUnwindSafe(|| one.read(socket, &all));
            if std::panic::catch_unwind(read).is_err() {
                std::process::exit(1);
            }
        });
        members.push((client, id));
    }
    println!("ready");
    std::io::stdin().read_line(&mut String::new()).expect("a line");
    let start = Instant::now();
    for k in 0..files {
        let sender = k % clients;
        let mut receiver = (k * 7 + 1) % clients;
        if receiver == sender {
            receiver = (k + 1) % clients;
        }
        let name = format!("file-{k}");
        let text = [&(name.len() as u16).to_be_bytes()[..], name.as_bytes()].concat();
        let size = (shared.size as u64).to_be_bytes();
        let parts: [&[u8]; 7] = [&[0, 0, 0, 1], &[1, 1], &members[receiver].1, &text, &text, &size, &[0, 0]];
        members[sender].0.say(0x60, &parts);
    }
    let count = |counter: &AtomicU64| counter.load(SeqCst);
    while (count(&shared.sent) < files as u64 || count(&shared.right) < files as u64) && count(&shared.errors) == 0 {
        assert!(start.elapsed() < PATIENCE, "{} of {files} files came", count(&shared.right));
        thread::sleep(Duration::from_millis(1));
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{{\"sent\":{},\"right\":{},\"errors\":{},\"s\":{seconds:.1},\"MB/s\":{:.0}}}",
        count(&shared.sent),
        count(&shared.right),
        count(&shared.errors),
        (files * shared.size) as f64 / seconds / 1e6,
    );
}
