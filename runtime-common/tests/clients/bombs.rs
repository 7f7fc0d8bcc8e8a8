//! Compressed messages that are much larger than what came for them.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, Read, Write};
use std::net::TcpStream;

use roomwire_core::websocket::deflate::{Compressors, Effort, Window};
use roomwire_core::websocket::{Data, OpCode, put_header};
use tungstenite::handshake::derive_accept_key;

use crate::peer::serve;
use crate::process::Process;

/// What has come is printed before more is taken: a client holds few messages, not all that one read may stand for.
#[test]
fn what_inflates_is_printed_before_more_is_taken() {
    let server = serve(|mut stream| {
        accept(&mut stream);
        let bombs = bomb().repeat(BOMBS);
        assert!(bombs.len() < BOMB_BYTES / 4, "{} bytes", bombs.len());
        stream.write_all(&bombs).expect("written");
        // Until the client is gone, which is once all of them have been printed.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let mut process = Process::start(&["tap", &server.url, "--room=tea"]);
    let stdout = process.stdout.as_mut().expect("stdout");
    let (mut bombs, mut line) = (0, String::new());
    while bombs < BOMBS {
        line.clear();
        assert_ne!(stdout.read_line(&mut line).expect("stdout"), 0, "its end");
        bombs += usize::from(line.len() > BOMB_BYTES);
    }
    let peak = peak_bytes(process.child.id());
    drop(process);
    server.done();
    assert!(peak < BOMBS * BOMB_BYTES, "{peak} bytes");
}

const BOMBS: usize = 24;
const BOMB_BYTES: usize = 1 << 20;

/// A frame of about a thousandth of what it inflates to.
fn bomb() -> Vec<u8> {
    let message = "a".repeat(BOMB_BYTES);
    let mut compressors = Compressors::new(Effort {
        level: 9,
        memory_level: 9,
    });
    let payload = compressors.compress(Window::MAX, message.as_bytes());
    let payload = payload.expect("it is worth while");
    let mut frame = Vec::new();
    let text = OpCode::Data(Data::Text);
    put_header(&mut frame, text, true, true, payload.len() as u64);
    frame.extend_from_slice(payload);
    frame
}

/// Answers the handshake, and agrees on compression.
fn accept(stream: &mut TcpStream) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a request");
        head.push(char::from(byte[0]));
    }
    let key = head
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    let accept = derive_accept_key(key.expect("a key").as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\
         Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).expect("written");
}

/// The most memory that a process has had at once.
fn peak_bytes(process: u32) -> usize {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("its status");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kb = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
    1024 * kb.and_then(|kb| kb.parse::<usize>().ok()).expect("a size")
}
