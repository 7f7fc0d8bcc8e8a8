//! The hash over everything that comes out of a server: FNV-1a, 64 bits, the same on every machine.
//!
//! Finds differences, does not resist an attacker. Owns the stable encoding of outputs and events.

use crate::id::ConnectionId;
use crate::machine::{Output, PeerAddr, Target, Turn};
use crate::server::{CloseCause, Event, Refused};
use crate::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hash {
    state: u64,
    /// Of what clients and programs say only the length counts.
    masked: bool,
}

impl Hash {
    pub(super) const fn new(masked: bool) -> Self {
        Self {
            state: 0xcbf2_9ce4_8422_2325,
            masked,
        }
    }

    pub(super) const fn value(self) -> u64 {
        self.state
    }

    /// One byte that depends on all of the hash.
    pub(super) fn check(self) -> u8 {
        self.state
            .to_le_bytes()
            .iter()
            .fold(0, |all, byte| all ^ byte)
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.state = (self.state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    pub(super) fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    /// What was said.
    fn payload(&mut self, text: &str) {
        self.number(text.len() as u64);
        if !self.masked {
            self.bytes(text.as_bytes());
        }
    }

    /// Bytes that the socket took. `slices` is only read where contents count.
    pub(super) fn sent<'a>(&mut self, slices: impl Iterator<Item = &'a [u8]>, bytes: usize) {
        self.number(bytes as u64);
        if self.masked {
            return;
        }
        let mut left = bytes;
        for slice in slices {
            let taken = slice.get(..left).unwrap_or(slice);
            self.bytes(taken);
            left -= taken.len();
            if left == 0 {
                break;
            }
        }
    }

    pub(super) fn turn(&mut self, turn: Turn) {
        self.bytes(&[u8::from(turn == Turn::Full)]);
    }

    pub(super) fn accepted(&mut self, connection: Option<ConnectionId>) {
        self.number(connection.map_or(0, ConnectionId::to_bits));
    }

    fn about(&mut self, kind: u8, connection: ConnectionId, flag: bool) {
        self.bytes(&[kind, u8::from(flag)]);
        self.number(connection.to_bits());
    }

    pub(super) fn output(&mut self, output: &Output<Event>) {
        match output {
            Output::Transmit { connection } => self.about(1, *connection, false),
            Output::ReadInterest { connection, wanted } => self.about(2, *connection, *wanted),
            Output::Connect { connection, target } => {
                self.about(3, *connection, false);
                self.peer(match target {
                    Target::Address(address) => PeerAddr::Inet(*address),
                    Target::Server => PeerAddr::Local,
                });
            }
            Output::Finish { connection } => self.about(4, *connection, false),
            Output::Close { connection, reset } => self.about(5, *connection, *reset),
            Output::Relay { to } => {
                self.bytes(&[6]);
                self.number(u64::from(to.0));
            }
            Output::Event(event) => self.event(event),
            Output::Again => self.bytes(&[8]),
            Output::Job(job) => {
                self.bytes(&[10]);
                self.number(job.id().0);
                self.number(job.connection().to_bits());
                self.number(job.bytes() as u64);
            }
            Output::Idle { deadline } => {
                self.bytes(&[9, u8::from(deadline.is_some())]);
                self.number(deadline.map_or(0, Instant::as_micros));
            }
        }
    }

    fn event(&mut self, event: &Event) {
        self.bytes(&[7]);
        match event {
            Event::Opened {
                connection,
                client,
                peer,
                listener,
            } => {
                self.about(1, *connection, false);
                self.bytes(client.as_str().as_bytes());
                self.peer(*peer);
                self.number(u64::from(listener.0));
            }
            Event::Closed {
                connection,
                client,
                cause,
                code,
                duration,
                received,
            } => {
                self.about(2, *connection, false);
                self.bytes(client.as_str().as_bytes());
                self.bytes(&[cause_number(*cause)]);
                self.number(u64::from(*code));
                self.number(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
                self.number(*received);
            }
            Event::Application {
                connection,
                client,
                request,
                kind,
                message,
            } => {
                self.about(3, *connection, false);
                self.bytes(client.as_str().as_bytes());
                self.number(request.0);
                self.number(kind.len() as u64);
                self.bytes(kind.as_bytes());
                self.payload(message);
            }
            // The verdict is nothing that the driver acts on, and a replay may remember more.
            Event::Explanation {
                message,
                connection,
                ..
            } => {
                self.about(5, *connection, false);
                let mut bytes = Vec::new();
                super::wire::put_name(&mut bytes, message);
                self.bytes(&bytes);
            }
            Event::FileStarted {
                connection,
                client,
                transfer,
                name,
                size_bytes,
                mime_type,
            } => {
                self.about(6, *connection, false);
                self.bytes(client.as_str().as_bytes());
                self.number(transfer.to_bits());
                self.number(*size_bytes);
                self.payload(name);
                self.payload(mime_type);
            }
            Event::FileChunk {
                transfer,
                offset,
                data,
            } => {
                self.bytes(&[7]);
                self.number(transfer.to_bits());
                self.number(*offset);
                self.number(data.len() as u64);
            }
            Event::FileEnded {
                transfer,
                size_bytes,
                ..
            } => {
                self.bytes(&[8]);
                self.number(transfer.to_bits());
                self.number(*size_bytes);
            }
            Event::FileFailed { transfer, .. } => {
                self.bytes(&[9]);
                self.number(transfer.to_bits());
            }
            Event::Refused { kind, count, peer } => {
                self.bytes(&[10]);
                self.number(refused_number(*kind));
                self.number(*count);
                self.peer(*peer);
            }
            Event::Resumed { connection, client } => {
                self.about(11, *connection, false);
                self.bytes(client.as_str().as_bytes());
            }
            Event::SessionWanted {
                shard,
                client,
                asked_ms,
            } => {
                self.bytes(&[12, shard.0]);
                self.bytes(client.as_str().as_bytes());
                self.number(*asked_ms);
            }
            // Its seal is of what was said.
            Event::SessionLeft { client, session } => {
                let length = session.as_ref().map_or(0, |it| it.as_bytes().len());
                self.bytes(&[13]);
                self.bytes(client.as_str().as_bytes());
                self.number(length as u64);
            }
            Event::Drained => self.bytes(&[4]),
            // Drivers tell it, after what was recorded.
            Event::Failed { .. } => {}
        }
    }

    fn peer(&mut self, peer: PeerAddr) {
        let mut bytes = Vec::new();
        super::wire::put_peer(&mut bytes, peer);
        self.bytes(&bytes);
    }
}

const fn refused_number(kind: Refused) -> u64 {
    match kind {
        Refused::Full => 1,
        Refused::Address => 2,
        Refused::Unproxied => 3,
        Refused::Request(status) => status.code() as u64,
    }
}

const fn cause_number(cause: CloseCause) -> u8 {
    match cause {
        CloseCause::Client => 1,
        CloseCause::Lost => 2,
        CloseCause::Timeout => 3,
        CloseCause::Protocol => 4,
        CloseCause::Abuse => 5,
        CloseCause::SlowReader => 6,
        CloseCause::Budget => 7,
        CloseCause::Command => 8,
        CloseCause::Drain => 9,
        CloseCause::Replaced => 10,
        CloseCause::Failed => 11,
    }
}
