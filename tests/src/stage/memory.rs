//! The core in memory, on a virtual clock, as a [`Floor`].

use core::time::Duration;
use std::collections::VecDeque;
use std::time::Instant as StdInstant;

use roomwire_core::server::{Command, Event};
use roomwire_core::{Config, ConnectionId, Instant, ListenerId, PeerAddr, TransportEnd};

use super::{End, Floor, News};
use crate::driver::Driver;
use crate::pipe::Ending;
use crate::shards::Shards;

/// A server of one shard or of several, and pipes to it.
#[derive(Debug)]
pub struct Memory {
    driver: Driver<Shards>,
    lines: Vec<Line>,
    news: VecDeque<News>,
    /// Until when time is to pass.
    until: Option<Instant>,
}

#[derive(Debug)]
struct Line {
    /// `None`: it was refused.
    connection: Option<ConnectionId>,
    /// The client has been told that it receives nothing more, or knows.
    ended: bool,
}

impl Memory {
    /// A server of so many shards; connections go to one after the other.
    pub fn new(config: Config, shards: u8) -> Self {
        let config = config.validate().expect("a config that is allowed");
        Self {
            driver: Driver::new(Shards::new(&config, [7; 32], shards)),
            lines: Vec::new(),
            news: VecDeque::new(),
            until: None,
        }
    }

    fn alive(&self, line: usize) -> Option<ConnectionId> {
        let connection = self.lines[line].connection?;
        let pipe = self.driver.pipe(connection);
        pipe.ending().is_none().then_some(connection)
    }

    /// Lets everything happen that happens at once.
    fn settle(&mut self) {
        self.driver.settle();
        for (number, line) in self.lines.iter_mut().enumerate() {
            let Some(connection) = line.connection.filter(|_| !line.ended) else {
                continue;
            };
            let bytes = self.driver.take_received(connection);
            if !bytes.is_empty() {
                self.news.push_back(News::Bytes(number, bytes));
            }
            let pipe = self.driver.pipe(connection);
            let end = match pipe.ending() {
                Some(Ending::Closed) => End::Finished,
                Some(Ending::Reset) => End::Reset,
                None if pipe.is_finished() => End::Finished,
                _ => continue,
            };
            line.ended = true;
            self.news.push_back(News::End(number, end));
        }
        for event in self.driver.take_events() {
            let drained = event == Event::Drained;
            self.news.push_back(News::Event(event));
            if drained {
                self.news.push_back(News::Over(true));
            }
        }
    }
}

impl Floor for Memory {
    fn open(&mut self, listener: u16, preface: &[u8]) -> usize {
        let peer = PeerAddr::Inet(([127, 0, 0, 1], 50_000).into());
        let connection = self.driver.accept(peer, ListenerId(listener));
        let number = self.lines.len();
        let ended = connection.is_none();
        self.lines.push(Line { connection, ended });
        if ended {
            self.news.push_back(News::End(number, End::Finished));
        }
        if !preface.is_empty() {
            self.write(number, preface);
        }
        number
    }

    fn write(&mut self, line: usize, bytes: &[u8]) {
        if let Some(connection) = self.alive(line) {
            self.driver.send(connection, bytes);
        }
    }

    fn finish(&mut self, line: usize) {
        if let Some(connection) = self.alive(line) {
            self.driver.finish(connection);
        }
    }

    fn reset(&mut self, line: usize) {
        self.lines[line].ended = true;
        if let Some(connection) = self.alive(line) {
            // What was sent before has arrived.
            self.driver.settle();
            self.driver.end(connection, TransportEnd::Reset);
        }
    }

    fn stall(&mut self, line: usize, stalled: bool) {
        let connection = self.alive(line);
        match (connection, stalled) {
            (Some(connection), true) => self.driver.stall(connection),
            (Some(connection), false) => self.driver.release(connection),
            (None, _) => {}
        }
    }

    fn command(&mut self, command: Command) {
        self.driver.command(command);
    }

    fn pass(&mut self, ms: u64) {
        self.until = Some(self.driver.now().mono + Duration::from_millis(ms));
    }

    /// Never waits: time passes here.
    fn next(&mut self, _: Option<StdInstant>) -> Option<News> {
        while self.news.is_empty() {
            self.settle();
            if !self.news.is_empty() {
                break;
            }
            let end = self.until?;
            if !self.driver.step_to(end) {
                self.until = None;
            }
            self.settle();
        }
        self.news.pop_front()
    }

    fn unix_ms(&self) -> u64 {
        self.driver.now().unix_ms
    }
}
