//! How long a client waits for the answer to a ping while another one makes the server work: the two ends of
//! `tests/tools/offload`, each a process of its own.
//!
//! ```text
//! offload_latency ping ADDRESS SECONDS         pings 250 times a second; prints the waits in microseconds
//! offload_latency hash ADDRESS MIB             asks for hashes, one after the other, until it is ended
//! offload_latency inflate ADDRESS objects      sends messages of 1 MiB, compressed, each as the one before has been taken
//! ```
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "it measures a server that is another process"
)]

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use roomwire_tests::{FrameReader, Opcode, Upgrade, compressed, deflated, masked};

/// From one ping to the next.
const EVERY: Duration = Duration::from_millis(4);
const MIB: usize = 1024 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, address, parameter] = &arguments[..] else {
        return Err("usage: offload_latency ping|hash|inflate ADDRESS SECONDS|MIB|KIND".into());
    };
    let mut client = Client::connect(address.parse()?)?;
    match &**what {
        "ping" => ping(&mut client, Duration::from_secs(parameter.parse()?)),
        "hash" => {
            let ask = format!(r#"{{"type":"hash","mib":{parameter},"id":1}}"#);
            client.ask_for_ever(&masked(Opcode::Text, true, ask.as_bytes()))
        }
        "inflate" => {
            let data = match &**parameter {
                "zeros" => format!("\"{}\"", "0".repeat(MIB - 60)),
                "objects" => format!("[{}]", vec![r#"{"a":[1]}"#; (MIB - 60) / 10].join(",")),
                _ => return Err("zeros or objects".into()),
            };
            let text = format!(r#"{{"type":"ping","id":1,"data":{data}}}"#);
            let frame = compressed(Opcode::Text, true, &deflated(text.as_bytes()));
            client.ask_for_ever(&frame)
        }
        _ => Err("ping, hash or inflate".into()),
    }
}

fn ping(client: &mut Client, long: Duration) -> Result<(), Box<dyn Error>> {
    let frame = masked(Opcode::Text, true, br#"{"type":"ping","id":1}"#);
    let mut waits = Vec::new();
    let begun = Instant::now();
    let mut next = begun;
    while begun.elapsed() < long {
        if let Some(rest) = next.checked_duration_since(Instant::now()) {
            std::thread::sleep(rest);
        }
        // From when it was due: whoever waits long has the next ones wait, too.
        client.ask(&frame)?;
        waits.push(next.elapsed().as_micros());
        next += EVERY;
    }
    waits.sort_unstable();
    let at = |part: usize| waits[(waits.len() * part / 1_000).min(waits.len() - 1)];
    println!("{} {} {} {}", waits.len(), at(500), at(990), at(999));
    Ok(())
}

struct Client {
    socket: TcpStream,
    frames: FrameReader,
}

impl Client {
    fn connect(address: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let mut socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        let upgrade = Upgrade {
            headers: "Sec-WebSocket-Extensions: permessage-deflate\r\n".to_owned(),
            ..Upgrade::default()
        };
        socket.write_all(&upgrade.request())?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let response = String::from_utf8(head)?;
        let mut client = Self {
            socket,
            frames: FrameReader::after(&response),
        };
        client.next()?; // the welcome
        Ok(client)
    }

    /// Asks and waits for the answer.
    fn ask(&mut self, frame: &[u8]) -> Result<(), Box<dyn Error>> {
        self.socket.write_all(frame)?;
        self.next()
    }

    fn ask_for_ever(&mut self, frame: &[u8]) -> Result<(), Box<dyn Error>> {
        loop {
            self.ask(frame)?;
        }
    }

    /// The next message, which is no error.
    fn next(&mut self) -> Result<(), Box<dyn Error>> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            while let Some(frame) = self.frames.next_frame() {
                let text = String::from_utf8_lossy(&frame.payload);
                if frame.opcode == Opcode::Ping && frame.fin {
                    continue;
                }
                if text.contains(r#""type":"error""#) || frame.opcode != Opcode::Text {
                    return Err(format!("the server says {text}").into());
                }
                return Ok(());
            }
            let count = self.socket.read(&mut buffer)?;
            if count == 0 {
                return Err("the server has gone".into());
            }
            self.frames.push(&buffer[..count]);
        }
    }
}
