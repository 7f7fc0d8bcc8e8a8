//! A server of an adapter on real sockets of loopback, as a [`Floor`]: plain, or with TLS.

mod wire;

use std::fmt;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use roomwire_core::Config;
use roomwire_core::server::{Command, Event};
use roomwire_runtime::{ListenerSettings, RunError, Settings};

use self::wire::{Authority, Wire};
use super::{End, Floor, News};

/// A server that runs on threads of its own.
pub struct Started {
    /// Where each listener listens.
    pub addresses: Vec<SocketAddr>,
    /// Hands the server a command.
    pub command: Box<dyn FnMut(Command)>,
    /// Runs the server, until it has ended.
    pub run: Box<dyn FnOnce() -> Result<(), RunError> + Send>,
    /// Waits for what the server tells the program next; `None` when nothing more comes.
    pub next_event: Box<dyn FnMut() -> Option<Event> + Send>,
}

impl fmt::Debug for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Started")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

/// How a server is to run.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Threads, each with a part of the clients.
    pub threads: u8,
    /// Whether clients speak TLS.
    pub tls: bool,
}

/// A running server and the clients' ends of its connections.
pub struct Sockets {
    addresses: Vec<SocketAddr>,
    command: Box<dyn FnMut(Command)>,
    authority: Option<Authority>,
    wires: Vec<Option<Wire>>,
    sender: Sender<News>,
    news: Receiver<News>,
}

impl fmt::Debug for Sockets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sockets")
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl Sockets {
    /// Starts a server with the core's settings; `start` has the adapter bind it.
    pub fn new(config: Config, setting: Setting, start: fn(&Settings) -> Started) -> Self {
        let authority = setting.tls.then(Authority::new);
        let listeners = match &config.listeners[..] {
            [] => vec![Default::default()],
            listeners => listeners.to_vec(),
        };
        let listeners = listeners.into_iter().map(|options| ListenerSettings {
            tls: setting.tls,
            options,
            ..ListenerSettings::at(([127, 0, 0, 1], 0))
        });
        let certificates = authority.iter().map(Authority::files);
        let settings = Settings {
            threads: setting.threads,
            listeners: listeners.collect(),
            certificates: certificates.collect(),
            core: config,
            ..Settings::default()
        };
        let Started {
            addresses,
            command,
            run,
            mut next_event,
        } = start(&settings);
        let (sender, news) = channel();
        let over = sender.clone();
        thread::spawn(move || {
            let ended = run();
            let _ = over.send(News::Over(ended.is_ok()));
        });
        let events = sender.clone();
        thread::spawn(move || {
            while let Some(event) = next_event() {
                let _ = events.send(News::Event(event));
            }
        });
        Self {
            addresses,
            command,
            authority,
            wires: Vec::new(),
            sender,
            news,
        }
    }
}

impl Floor for Sockets {
    fn open(&mut self, listener: u16, preface: &[u8]) -> usize {
        let address = self.addresses[usize::from(listener)];
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.write_all(preface).expect("sent");
        let line = self.wires.len();
        let sender = self.sender.clone();
        let tell = move |said: Result<Vec<u8>, End>| {
            // Nobody listens any more when a scenario has failed.
            let _ = sender.send(match said {
                Ok(bytes) => News::Bytes(line, bytes),
                Err(end) => News::End(line, end),
            });
        };
        let wire = match &self.authority {
            None => Some(Wire::plain(stream, tell)),
            Some(authority) => Wire::tls(stream, authority, tell),
        };
        self.wires.push(wire);
        line
    }

    fn write(&mut self, line: usize, bytes: &[u8]) {
        if let Some(wire) = &self.wires[line] {
            wire.write(bytes);
        }
    }

    fn finish(&mut self, line: usize) {
        if let Some(wire) = &self.wires[line] {
            wire.finish();
        }
    }

    fn reset(&mut self, line: usize) {
        if let Some(wire) = self.wires[line].take() {
            wire.reset();
        }
    }

    fn stall(&mut self, line: usize, stalled: bool) {
        if let Some(wire) = &self.wires[line] {
            wire.stall(stalled);
        }
    }

    fn command(&mut self, command: Command) {
        (self.command)(command);
    }

    fn pass(&mut self, _: u64) {}

    fn next(&mut self, patience: Option<Instant>) -> Option<News> {
        let Some(end) = patience else {
            return self.news.try_recv().ok();
        };
        let patience = end.saturating_duration_since(Instant::now());
        match self.news.recv_timeout(patience) {
            Ok(news) => Some(news),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => unreachable!("the floor holds a sender"),
        }
    }

    fn unix_ms(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.expect("after 1970").as_millis() as u64
    }
}
