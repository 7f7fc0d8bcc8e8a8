//! One connection that speaks binary frames.

use std::io;
use std::num::NonZeroU32;
use std::time::Duration;

use roomwire_core::client::{Client, Event};
use roomwire_core::dialect::binary::{Told, decode_message, encode_request, split_batch};
use roomwire_core::{Asked, ClientMessage, ErrorCode, Request};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::super::connecting::{self, NoConnection};
use super::super::frames::PROTOCOL;
use super::super::options::Server;
use super::super::show::one_line;
use super::super::wire::{Arrived, Wire};
use crate::clock::ClockBase;
use crate::signals::Signals;

/// Reads of the socket before anything else has its turn: few, so that room for more is given while the rest is read.
const READS_PER_TURN: u32 = 1;
const BUFFER_BYTES: usize = 256 * 1024;
/// No more is said while so much waits to be written.
const ENOUGH_UNSENT_BYTES: usize = 512 * 1024;

/// A connection from its handshake on.
pub(super) struct Link<'a> {
    server: &'a Server,
    wire: Wire,
    client: Client,
    clock: ClockBase,
    buffer: Vec<u8>,
    frame: Vec<u8>,
    last_number: u32,
    end: Option<End>,
}

/// Why a connection is no more.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) why: String,
    /// Whether another one may do better.
    pub(super) may_return: bool,
}

impl<'a> Link<'a> {
    /// Connects, which may take as long as the timeout.
    pub(super) fn open(server: &'a Server) -> Result<Self, NoConnection> {
        let client = super::super::client(server, &[PROTOCOL.to_owned()], None)?;
        let wire = connecting::connect(server)?;
        Ok(Self {
            server,
            wire,
            client,
            clock: ClockBase::new(),
            buffer: vec![0; BUFFER_BYTES],
            frame: Vec::new(),
            last_number: 0,
            end: None,
        })
    }

    /// Why it has ended, if it has.
    pub(super) fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Whether everything is over, the goodbye included.
    pub(super) fn is_over(&self) -> bool {
        self.client.is_over() && !self.wire.is_blocked()
    }

    /// Whether more can be said without much waiting.
    pub(super) fn has_room(&self) -> bool {
        self.client.unsent().len() < ENOUGH_UNSENT_BYTES && self.end.is_none()
    }

    /// Whether everything that was said has been handed to the system.
    pub(super) fn is_flushed(&self) -> bool {
        self.client.unsent().is_empty() && !self.wire.is_blocked()
    }

    /// Says something.
    pub(super) fn say(&mut self, message: ClientMessage<'_>) {
        self.put(message, None);
    }

    /// Asks for something: the number of the outcome.
    pub(super) fn ask(&mut self, message: ClientMessage<'_>) -> NonZeroU32 {
        self.last_number = self.last_number.wrapping_add(1);
        let number = NonZeroU32::new(self.last_number).unwrap_or(NonZeroU32::MIN);
        self.put(message, Some(number));
        number
    }

    fn put(&mut self, message: ClientMessage<'_>, number: Option<NonZeroU32>) {
        let asked = Asked::Binary(number);
        let request = Request { asked, message };
        self.frame.clear();
        let unix_ms = self.clock.now().unix_ms;
        let encoded = encode_request(&request, unix_ms, &mut self.frame);
        let sent = match encoded {
            Ok(()) => self.client.send_binary(&self.frame),
            Err(error) => return self.fail(format!("this cannot be sent: {error}"), false),
        };
        if let Err(error) = sent {
            self.fail(format!("the connection takes no more: {error}"), true);
        }
    }

    /// Says goodbye.
    pub(super) fn close(&mut self, reason: &str) {
        self.client.close(1000, reason);
    }

    /// After the goodbye.
    pub(super) fn finish(mut self) {
        self.wire.finish();
    }

    fn fail(&mut self, why: String, may_return: bool) {
        self.end.get_or_insert(End { why, may_return });
    }

    /// Writes and reads what can be, without waiting; whether there is more to read.
    pub(super) fn turn(&mut self, heard: &mut dyn FnMut(&Told<'_>)) -> bool {
        self.write();
        let more = self.read(heard);
        self.write();
        more
    }

    pub(super) fn write(&mut self) {
        if self.is_over() {
            return;
        }
        if let Err(error) = self.wire.write(&mut self.client) {
            self.broken(&error);
        }
    }

    fn read(&mut self, heard: &mut dyn FnMut(&Told<'_>)) -> bool {
        for _ in 0..READS_PER_TURN {
            if self.client.is_over() {
                return false;
            }
            match self.wire.read(&mut self.buffer) {
                Ok(Arrived::Bytes(count)) => {
                    let bytes = self.buffer.get_mut(..count).unwrap_or_default();
                    let (server, end) = (self.server, &mut self.end);
                    self.client.receive(bytes, |event| {
                        if end.is_none() {
                            *end = take(server, &event, heard);
                        }
                    });
                }
                Ok(Arrived::Nothing) => return false,
                Ok(Arrived::End) => {
                    let (server, end) = (self.server, &mut self.end);
                    self.client.ended(|event| {
                        if end.is_none() {
                            *end = take(server, &event, heard);
                        }
                    });
                    return false;
                }
                Err(error) => {
                    self.broken(&error);
                    return false;
                }
            }
        }
        true
    }

    fn broken(&mut self, error: &io::Error) {
        // Where TLS does not trust the server, it will not do so later.
        let may_return = error.kind() != io::ErrorKind::InvalidData;
        self.fail(format!("the connection broke: {error}"), may_return);
        self.client.ended(|_| {});
    }

    /// Waits for the socket or a signal.
    pub(super) fn wait(&self, signals: &Signals, patience: Option<Duration>) -> io::Result<()> {
        let mut flags = PollFlags::IN;
        flags.set(PollFlags::OUT, self.wire.is_blocked());
        let waiting = [
            PollFd::new(&self.wire, flags),
            PollFd::new(signals, PollFlags::IN),
        ];
        wait(waiting, patience)
    }
}

/// Waits for a signal alone.
pub(super) fn wait_for_signal(signals: &Signals, patience: Duration) -> io::Result<()> {
    wait([PollFd::new(signals, PollFlags::IN)], Some(patience))
}

fn wait<const N: usize>(
    mut waiting: [PollFd<'_>; N],
    patience: Option<Duration>,
) -> io::Result<()> {
    let patience = patience.and_then(|patience| Timespec::try_from(patience).ok());
    match poll(&mut waiting, patience.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// What an event amounts to: messages are handed on, and whatever ends the connection is returned.
fn take(server: &Server, event: &Event<'_>, heard: &mut dyn FnMut(&Told<'_>)) -> Option<End> {
    let url = &server.url;
    let ended = |may_return: bool, why: String| Some(End { why, may_return });
    match *event {
        Event::Open {
            protocol: Some(PROTOCOL),
        }
        | Event::Ping(_)
        | Event::Pong(_) => None,
        Event::Open { .. } => ended(
            false,
            format!(
                "{url}: the server does not speak {PROTOCOL}, which files need: is it roomwire?"
            ),
        ),
        Event::Binary(bytes) => match frames(bytes, heard) {
            Ok(()) => None,
            Err(what) => ended(
                false,
                format!("{url}: the server broke its protocol: {what}"),
            ),
        },
        Event::Text(_) => None,
        Event::Closed { code, reason } => {
            let reason = one_line(reason);
            let code = code.unwrap_or(1005);
            ended(
                is_passing(code),
                format!("{url}: the server closed with {code} {reason}"),
            )
        }
        Event::Lost => ended(true, format!("{url}: the connection was lost")),
        Event::Refused {
            status,
            reason,
            location,
            ..
        } => {
            let reason = one_line(reason);
            let to = location.map(|to| format!(": the server is elsewhere: at {}", one_line(to)));
            let to = to.unwrap_or_default();
            ended(
                status >= 500,
                format!("{url}: refused with {status} {reason}, where 101 was expected{to}"),
            )
        }
        Event::BadResponse(ref error) => ended(
            false,
            format!("{url}: {error}: is there a WebSocket server behind this URL?"),
        ),
        Event::Violation(error) => ended(
            false,
            format!("{url}: the server broke the WebSocket protocol: {error}"),
        ),
        _ => None,
    }
}

/// Close codes of servers that leave, restart or are full, and of what may be wrong with one connection alone.
const fn is_passing(code: u16) -> bool {
    matches!(code, 1000 | 1001 | 1005 | 1006 | 1011 | 1012 | 1013 | 1014)
}

fn frames(bytes: &[u8], heard: &mut dyn FnMut(&Told<'_>)) -> Result<(), &'static str> {
    match split_batch(bytes).map_err(|refusal| refusal.message)? {
        None => frame(bytes, heard),
        Some(mut frames) => frames.try_for_each(|bytes| frame(bytes, heard)),
    }
}

fn frame(bytes: &[u8], heard: &mut dyn FnMut(&Told<'_>)) -> Result<(), &'static str> {
    match decode_message(bytes) {
        Ok(told) => {
            heard(&told);
            Ok(())
        }
        // Types may be added.
        Err(refusal) if refusal.code == ErrorCode::UnknownType => Ok(()),
        Err(refusal) => Err(refusal.message),
    }
}
