//! The core's client under test: runs the cases of a fuzzing server, echoing what each of them sends.
//! `tests/conformance --client` is the usual way in.
//!
//! ```text
//! cargo run --release -p roomwire-tests --example echo_client -- ADDRESS
//! ```
//!
//! The server speaks Autobahn's protocol: one connection tells how many cases there are, one runs each, one ends it.
//! What comes of a case is for the server to judge.
#![expect(clippy::print_stderr, reason = "it reports to a terminal")]

use std::env;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use roomwire_core::client::{Client, ClientConfig, Event, SendError};

/// What the largest message needs; whole messages are answered by whole messages.
const UNSENT_BYTES: usize = 64 << 20;
/// How long the server may be silent.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it may take to end the connection, which is its part (RFC 6455 section 7.1.1).
const LAST_PATIENCE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let Some(address) = env::args().nth(1) else {
        eprintln!("usage: echo_client ADDRESS");
        return ExitCode::from(2);
    };
    match run_cases(&address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo_client: {address}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run_cases(address: &str) -> io::Result<()> {
    let told = Visit::begin(address, "/getCaseCount", 0)?.listen()?;
    let count = told.last().and_then(|text| text.parse().ok());
    let count: u32 = count.ok_or_else(|| {
        io::Error::other(format!(
            "expected a number of cases, got {told:?}: is it a fuzzing server?"
        ))
    })?;
    for case in 1..=count {
        let target = format!("/runCase?case={case}&agent=roomwire");
        if let Err(error) = Visit::begin(address, &target, case)?.echo() {
            eprintln!("echo_client: case {case}: {error}");
        }
    }
    Visit::begin(address, "/updateReports?agent=roomwire", count + 1)?.listen()?;
    Ok(())
}

/// One connection.
struct Visit {
    stream: TcpStream,
    client: Client,
    buffer: Vec<u8>,
}

/// What is to be echoed.
enum Heard {
    Text(String),
    Binary(Vec<u8>),
}

impl Visit {
    /// `number` makes its keys differ from those of other visits.
    fn begin(address: &str, target: &str, number: u32) -> io::Result<Self> {
        let mut config = ClientConfig::new(address);
        target.clone_into(&mut config.target);
        config.max_unsent_bytes = UNSENT_BYTES;
        let mut seed = [7; 32];
        seed[..4].copy_from_slice(&number.to_le_bytes());
        let client = Client::new(config, seed).map_err(io::Error::other)?;
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let buffer = vec![0; 64 * 1024];
        Ok(Self {
            stream,
            client,
            buffer,
        })
    }

    /// The texts that come, until the server closes.
    fn listen(mut self) -> io::Result<Vec<String>> {
        let mut texts = Vec::new();
        self.converse(|_, heard| {
            if let Heard::Text(text) = heard {
                texts.push(text);
            }
            Ok(())
        })?;
        Ok(texts)
    }

    /// Sends back every message, until the server closes or breaks a rule.
    fn echo(mut self) -> io::Result<()> {
        self.converse(|client, heard| match heard {
            Heard::Text(text) => client.send_text(&text),
            Heard::Binary(bytes) => client.send_binary(&bytes),
        })
    }

    fn converse(
        &mut self,
        mut take: impl FnMut(&mut Client, Heard) -> Result<(), SendError>,
    ) -> io::Result<()> {
        self.write()?;
        while !self.client.is_over() {
            let count = self.stream.read(&mut self.buffer)?;
            if count == 0 {
                self.client.ended(|_| {});
                break;
            }
            let mut at = 0;
            while at < count {
                let (mut heard, mut failure) = (None, None);
                at += self
                    .client
                    .receive_next(&mut self.buffer[at..count], |event| match event {
                        Event::Text(text) => heard = Some(Heard::Text(text.to_owned())),
                        Event::Binary(bytes) => heard = Some(Heard::Binary(bytes.to_vec())),
                        Event::Refused { status, .. } => {
                            failure = Some(format!("refused with {status}"));
                        }
                        Event::BadResponse(error) => failure = Some(error.to_string()),
                        _ => {}
                    });
                if let Some(failure) = failure {
                    return Err(io::Error::other(failure));
                }
                if let Some(heard) = heard {
                    take(&mut self.client, heard).map_err(io::Error::other)?;
                }
                self.write()?;
            }
        }
        self.leave();
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        while !self.client.unsent().is_empty() {
            let count = self.stream.write(self.client.unsent())?;
            self.client.sent(count);
        }
        Ok(())
    }

    /// Waits for the server to end the connection, so that nothing that it still sends is answered by a reset.
    fn leave(&mut self) {
        let _ = self.stream.set_read_timeout(Some(LAST_PATIENCE));
        while self
            .stream
            .read(&mut self.buffer)
            .is_ok_and(|count| count > 0)
        {}
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}
