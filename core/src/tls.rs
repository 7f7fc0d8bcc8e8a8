//! TLS as a machine around a machine: what goes in and out of it is ciphertext, what the machine inside sees is not.
//!
//! A driver needs no code for it: [`Tls`] is driven like the machine that it holds. Connections of listeners that
//! speak plain text pass through. The bytes of one transmit are encrypted when it is about to be made, 16 KiB
//! at most, so that what waits stays plain: it is shared with others, and may still be dropped. Those of a
//! socket that is full are the only ones that no limit of the machine's counts.
//!
//! The rules of TLS are [`rustls`]'s, as is its configuration: certificates, versions, ALPN, randomness. A
//! recording is made inside ([`Recorder`](crate::replay::Recorder)) and knows nothing of it.
//!
//! Where a listener asks for the PROXY protocol, its header comes before the handshake. It is passed on as it is to the
//! machine inside, which decides; here it is read only to find its end.
//!
//! The deadline of the handshake is the machine's own, which counts from the connection to the end of the first
//! request. What the machine says before the handshake is over can be read by nobody and is thrown away.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};

use crate::http::{MAX_PROXY_HEADER_BYTES, ProxyHeader};
use crate::id::ConnectionId;
use crate::machine::{Input, ListenerId, Machine, Output, PeerAddr, ShardId, Turn, Unsent};
use crate::stats::{Counting, Stats};
use crate::time::Now;

/// A machine whose connections speak TLS, as their listeners do.
#[derive(Debug)]
pub struct Tls<M> {
    inner: M,
    now: Now,
    /// How each listener speaks TLS; `None` is plain.
    listeners: Vec<Option<TlsListener>>,
    /// By slot of the connection; `None` is plain.
    sessions: Vec<Option<Box<Session>>>,
    /// Connections with ciphertext that can be sent.
    ready: VecDeque<ConnectionId>,
    /// Handshakes that were worked at since the last poll.
    handshakes: u32,
    /// What was decrypted last.
    plain: Vec<u8>,
    /// Empty buffers for ciphertext.
    pool: Vec<Vec<u8>>,
    /// What became of connections here; the rest is counted inside.
    stats: Stats,
}

/// How a listener speaks TLS.
#[derive(Clone, Debug)]
pub struct TlsListener {
    /// How its connections are made.
    pub config: Arc<ServerConfig>,
    /// A header of the PROXY protocol comes before TLS, as the machine inside expects it
    /// ([`ListenerConfig::proxy_protocol`](crate::config::ListenerConfig::proxy_protocol)).
    pub proxy_protocol: bool,
}

#[derive(Debug)]
struct Session {
    connection: ConnectionId,
    tls: ServerConnection,
    /// What has come of the header of the PROXY protocol, while it is not complete.
    header: Option<Vec<u8>>,
    /// What was encrypted and how much of it has been sent.
    out: Vec<u8>,
    sent: usize,
    stage: Stage,
    /// It is in the list of those that are ready.
    listed: bool,
    /// The socket is full.
    blocked: bool,
    /// The machine inside was told that the socket is full.
    inner_waits: bool,
    /// The transmit of the machine inside that is being made.
    made: Option<Made>,
    /// Bytes of the machine's that have been sent, and of which it was not told.
    held_back: usize,
    /// The machine has finished: say so once everything has been sent.
    finishing: bool,
    /// The peer has said that it is done.
    read_ended: bool,
    /// It was told that we are.
    notified: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing has arrived.
    New,
    Handshake,
    Open,
    /// Nothing more is read from it.
    Broken,
}

/// A transmit of the machine inside.
#[derive(Clone, Copy, Debug)]
struct Made {
    bytes: usize,
}

/// Plain bytes that are encrypted for one transmit, at most: a record (RFC 8446, section 5.1).
const MOST_BYTES: usize = 16 * 1024;

/// Ciphertext that waits for a socket, at most: that of one transmit, and what TLS itself has to say.
const MOST_WAITING: usize = 16 * MOST_BYTES;

/// Handshakes that are worked at between two polls: each takes some tenths of a millisecond.
const HANDSHAKES_PER_TURN: u32 = 16;

/// Empty buffers that are kept.
const POOLED: usize = 64;

/// For who speaks HTTP to a listener that speaks TLS.
const NOT_TLS: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n\
    Content-Length: 45\r\n\r\nThis port speaks TLS: use wss:// or https://\n";

impl<M: Machine> Tls<M> {
    /// Around `inner`. `listeners` says how each of its listeners speaks TLS; those that are not in the list, or
    /// `None`, are plain.
    pub fn new(inner: M, listeners: Vec<Option<TlsListener>>) -> Self {
        Self {
            inner,
            now: Now::default(),
            listeners,
            sessions: Vec::new(),
            ready: VecDeque::new(),
            handshakes: 0,
            plain: Vec::new(),
            pool: Vec::new(),
            stats: Stats::default(),
        }
    }

    /// The machine inside.
    pub const fn inner(&self) -> &M {
        &self.inner
    }

    fn session(&mut self, connection: ConnectionId) -> Option<&mut Session> {
        find(&mut self.sessions, connection)
    }

    /// Ciphertext has arrived, or what comes before it.
    fn received(&mut self, connection: ConnectionId, bytes: &mut [u8]) -> Turn {
        let Some(session) = find(&mut self.sessions, connection) else {
            return Turn::Open;
        };
        let (bytes, ciphertext) = bytes.split_at_mut(session.header_bytes(bytes));
        let mut turn = Turn::Open;
        if !bytes.is_empty() {
            turn = self
                .inner
                .handle(self.now, Input::Received { connection, bytes });
            // Who is refused is not worth a handshake.
            if self.inner.unsent(connection).is_last() {
                session.stage = Stage::Broken;
            }
        }
        if ciphertext.is_empty() {
            return turn;
        }
        let mut plain = core::mem::take(&mut self.plain);
        plain.clear();
        let (before, stats) = (session.stage, &mut self.stats);
        let heard = session.hear(ciphertext, &mut plain);
        stats.tls_handshakes += u64::from(heard.opened);
        stats.tls_failed += u64::from(heard.failed);
        stats.tls_plain += u64::from(heard.foreign);
        list(&mut self.ready, session);
        self.handshakes += u32::from(matches!(before, Stage::New | Stage::Handshake));
        if !plain.is_empty() {
            let bytes = &mut plain[..];
            turn = self
                .inner
                .handle(self.now, Input::Received { connection, bytes });
        }
        if heard.ended {
            turn = self.inner.handle(self.now, Input::ReadEnd { connection });
        }
        self.plain = plain;
        match self.handshakes {
            HANDSHAKES_PER_TURN.. => Turn::Full,
            _ => turn,
        }
    }

    /// The driver has sent ciphertext.
    fn sent(&mut self, connection: ConnectionId, bytes: usize, blocked: bool) -> Turn {
        let Some(session) = find(&mut self.sessions, connection) else {
            return Turn::Open;
        };
        session.sent = session.out.len().min(session.sent + bytes);
        session.blocked = blocked;
        let all = session.sent == session.out.len();
        if all {
            recycle(&mut self.pool, session);
        }
        let mut input = None;
        if let Some(made) = session.made.take() {
            // What has been encrypted cannot be taken back, so the machine is told that it has left: all but a
            // byte, so that it does not end the connection before it really has.
            let kept = usize::from(!all);
            session.held_back = kept;
            session.inner_waits = blocked || !all;
            input = Some(Input::Sent {
                connection,
                bytes: made.bytes - kept,
                blocked: session.inner_waits,
            });
        } else if all && !blocked && core::mem::take(&mut session.inner_waits) {
            input = Some(Input::Writable { connection });
        }
        list(&mut self.ready, session);
        input.map_or(Turn::Open, |input| self.inner.handle(self.now, input))
    }

    /// The socket takes bytes again.
    fn writable(&mut self, connection: ConnectionId) -> Turn {
        let Some(session) = find(&mut self.sessions, connection) else {
            return Turn::Open;
        };
        session.blocked = false;
        list(&mut self.ready, session);
        if session.sent == session.out.len() && core::mem::take(&mut session.inner_waits) {
            return self.inner.handle(self.now, Input::Writable { connection });
        }
        Turn::Open
    }

    /// Encrypts what the machine inside wants to send; `true` if there is something to transmit.
    fn transmit(&mut self, connection: ConnectionId) -> bool {
        let Some(session) = find(&mut self.sessions, connection) else {
            return true;
        };
        let unsent = self.inner.unsent(connection);
        let last = unsent.is_last();
        let (bytes, blocked, made) = match session.stage {
            Stage::Open if session.held_back > 0 => {
                (core::mem::take(&mut session.held_back), false, None)
            }
            Stage::Open if session.sent < session.out.len() => (0, true, None),
            Stage::Open => {
                if session.out.capacity() == 0 {
                    session.out = self.pool.pop().unwrap_or_default();
                }
                let (bytes, all) = session.encrypt(unsent);
                if last && all {
                    session.say_done();
                }
                (bytes, false, Some(Made { bytes }))
            }
            // Nobody can read it.
            _ => (unsent.map(<[u8]>::len).sum(), false, None),
        };
        if made.is_some() && session.sent < session.out.len() {
            session.made = made;
            return true;
        }
        session.inner_waits |= blocked;
        let input = Input::Sent {
            connection,
            bytes,
            blocked,
        };
        let _ = self.inner.handle(self.now, input);
        false
    }

    /// The machine inside has finished; `true` if everything has been sent.
    fn finish(&mut self, connection: ConnectionId) -> bool {
        let Some(session) = find(&mut self.sessions, connection) else {
            return true;
        };
        session.say_done();
        session.finishing = session.sent < session.out.len();
        list(&mut self.ready, session);
        !session.finishing
    }

    /// The next connection with ciphertext that can be sent, or that has finished.
    fn next_ready(&mut self) -> Option<Output<M::Event>> {
        while let Some(connection) = self.ready.pop_front() {
            let Some(session) = find(&mut self.sessions, connection) else {
                continue;
            };
            session.listed = false;
            if session.sent < session.out.len() {
                if !session.blocked {
                    return Some(Output::Transmit { connection });
                }
            } else if core::mem::take(&mut session.finishing) {
                return Some(Output::Finish { connection });
            }
        }
        None
    }

    fn forget(&mut self, connection: ConnectionId) {
        if let Some(session) = find(&mut self.sessions, connection) {
            session.sent = session.out.len();
            recycle(&mut self.pool, session);
            if let Some(place) = self.sessions.get_mut(connection.index() as usize) {
                *place = None;
            }
        }
    }
}

impl<M: Machine> Machine for Tls<M> {
    type Command = M::Command;
    type Event = M::Event;
    type Relay = M::Relay;

    fn accept(&mut self, now: Now, peer: PeerAddr, listener: ListenerId) -> Option<ConnectionId> {
        self.now = now;
        let connection = self.inner.accept(now, peer, listener)?;
        let config = self.listeners.get(usize::from(listener.0));
        let session = config.and_then(Option::as_ref).map(|listener| {
            // It fails for want of a provider of cryptography, which the config has.
            let tls = ServerConnection::new(Arc::clone(&listener.config))?;
            let header = listener.proxy_protocol.then(Vec::new);
            Ok::<_, rustls::Error>(Session::new(connection, tls, header))
        });
        let slot = connection.index() as usize;
        match session {
            Some(Ok(session)) => {
                self.stats.tls_accepted += 1;
                if self.sessions.len() <= slot {
                    self.sessions.resize_with(slot + 1, || None);
                }
                self.sessions[slot] = Some(Box::new(session));
            }
            Some(Err(_)) => {
                let end = crate::TransportEnd::Failed;
                let _ = self.inner.handle(now, Input::Ended { connection, end });
                return None;
            }
            None => {}
        }
        Some(connection)
    }

    fn handle(&mut self, now: Now, input: Input<'_, Self::Command, Self::Relay>) -> Turn {
        self.now = now;
        match input {
            Input::Received { connection, bytes } if self.session(connection).is_some() => {
                self.received(connection, bytes)
            }
            Input::Sent {
                connection,
                bytes,
                blocked,
            } if self.session(connection).is_some() => self.sent(connection, bytes, blocked),
            Input::Writable { connection } if self.session(connection).is_some() => {
                self.writable(connection)
            }
            Input::ReadEnd { connection } if self.has_ended(connection) => Turn::Open,
            Input::Ended { connection, end } => {
                self.forget(connection);
                self.inner.handle(now, Input::Ended { connection, end })
            }
            input => self.inner.handle(now, input),
        }
    }

    fn poll(&mut self) -> Output<Self::Event> {
        self.handshakes = 0;
        loop {
            if let Some(output) = self.next_ready() {
                return output;
            }
            match self.inner.poll() {
                Output::Transmit { connection } => {
                    if self.transmit(connection) {
                        return Output::Transmit { connection };
                    }
                }
                Output::Finish { connection } => {
                    if self.finish(connection) {
                        return Output::Finish { connection };
                    }
                }
                Output::Close { connection, reset } => {
                    self.forget(connection);
                    return Output::Close { connection, reset };
                }
                output => return output,
            }
        }
    }

    fn unsent(&self, connection: ConnectionId) -> Unsent<'_> {
        let session = self.sessions.get(connection.index() as usize);
        match session.and_then(Option::as_deref) {
            Some(session) if session.connection == connection => {
                Unsent::slice(session.out.get(session.sent..).unwrap_or_default())
            }
            _ => self.inner.unsent(connection),
        }
    }

    fn take_relay(&mut self, to: ShardId) -> Option<Self::Relay> {
        self.inner.take_relay(to)
    }
}

impl<M: Machine> Tls<M> {
    /// The machine inside was told that nothing more is read.
    fn has_ended(&mut self, connection: ConnectionId) -> bool {
        let session = self.session(connection);
        session.is_some_and(|session| session.stage == Stage::Broken || session.read_ended)
    }
}

impl<M: Counting> Counting for Tls<M> {
    fn stats(&self) -> Stats {
        let mut stats = self.inner.stats();
        stats += self.stats;
        stats
    }
}

/// What came of some ciphertext.
#[derive(Default)]
struct Heard {
    /// The handshake is over.
    opened: bool,
    /// The machine inside must be told that nothing more is read.
    ended: bool,
    failed: bool,
    /// It was no TLS.
    foreign: bool,
}

impl Session {
    fn new(connection: ConnectionId, mut tls: ServerConnection, header: Option<Vec<u8>>) -> Self {
        // What is encrypted is taken out at once.
        tls.set_buffer_limit(None);
        Self {
            connection,
            tls,
            header,
            out: Vec::new(),
            sent: 0,
            stage: Stage::New,
            listed: false,
            blocked: false,
            inner_waits: false,
            made: None,
            held_back: 0,
            finishing: false,
            read_ended: false,
            notified: false,
        }
    }

    /// How many of these bytes belong to the header of the PROXY protocol: all of them if it is malformed, for the
    /// machine inside to refuse.
    fn header_bytes(&mut self, bytes: &[u8]) -> usize {
        let Some(header) = &mut self.header else {
            return 0;
        };
        let before = header.len();
        let room = MAX_PROXY_HEADER_BYTES - before;
        header.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        let count = match ProxyHeader::parse(header) {
            Ok(None) => return bytes.len(),
            Ok(Some(whole)) => whole.bytes - before,
            Err(_) => bytes.len(),
        };
        self.header = None;
        count
    }

    /// Takes ciphertext; what it says is appended to `plain`, and the answers of TLS to the output.
    fn hear(&mut self, bytes: &[u8], plain: &mut Vec<u8>) -> Heard {
        let mut heard = Heard::default();
        if self.stage == Stage::New {
            self.stage = Stage::Handshake;
            // TLS begins with a record of a handshake (RFC 8446, section 5.1).
            if bytes.first().is_some_and(|&byte| byte != HANDSHAKE_RECORD) {
                self.stage = Stage::Broken;
                self.out.extend_from_slice(NOT_TLS);
                (heard.foreign, heard.ended) = (true, true);
                return heard;
            }
        }
        let mut rest = bytes;
        while !rest.is_empty() && self.stage != Stage::Broken && !self.read_ended {
            match self.step(&mut rest, plain) {
                Ok(true) => {}
                // This direction is done (RFC 8446, section 6.1); ours goes on.
                Ok(false) => (self.read_ended, heard.ended) = (true, true),
                Err(()) => {
                    self.stage = Stage::Broken;
                    (heard.failed, heard.ended) = (true, true);
                }
            }
            if self.stage == Stage::Handshake && !self.tls.is_handshaking() {
                self.stage = Stage::Open;
                heard.opened = true;
            }
        }
        self.take_ciphertext();
        if self.stage != Stage::Broken && self.out.len() - self.sent > MOST_WAITING {
            // It asks for answers of TLS itself and takes none of them.
            self.stage = Stage::Broken;
            (heard.failed, heard.ended) = (true, true);
        }
        heard
    }

    /// Takes some of `rest`; `false` when the peer has said that it is done.
    fn step(&mut self, rest: &mut &[u8], plain: &mut Vec<u8>) -> Result<bool, ()> {
        let taken = self.tls.read_tls(rest).map_err(drop)?;
        let state = self.tls.process_new_packets().map_err(drop)?;
        let more = state.plaintext_bytes_to_read();
        if more > 0 {
            let mut reader = self.tls.reader().take(more as u64);
            reader.read_to_end(plain).map_err(drop)?;
        }
        if state.peer_has_closed() {
            return Ok(false);
        }
        // Records longer than TLS allows are refused before its buffer is full.
        if taken == 0 { Err(()) } else { Ok(true) }
    }

    /// Encrypts as much as one transmit takes; how much that was, and whether it was all.
    fn encrypt(&mut self, unsent: Unsent<'_>) -> (usize, bool) {
        let mut bytes = 0;
        let mut all = true;
        for slice in unsent {
            let room = MOST_BYTES - bytes;
            let part = slice.get(..room.min(slice.len())).unwrap_or_default();
            let written = self.tls.writer().write(part).unwrap_or(0);
            bytes += written;
            if written < slice.len() {
                all = false;
                break;
            }
        }
        self.take_ciphertext();
        (bytes, all)
    }

    /// Tells the peer that nothing follows, once.
    fn say_done(&mut self) {
        if self.stage == Stage::Open && !core::mem::replace(&mut self.notified, true) {
            self.tls.send_close_notify();
            self.take_ciphertext();
        }
    }

    fn take_ciphertext(&mut self) {
        while self.tls.wants_write() {
            // Writing to a vector does not fail.
            if self.tls.write_tls(&mut self.out).is_err() {
                return;
            }
        }
    }
}

const HANDSHAKE_RECORD: u8 = 22;

fn find(sessions: &mut [Option<Box<Session>>], connection: ConnectionId) -> Option<&mut Session> {
    let session = sessions.get_mut(connection.index() as usize)?.as_mut()?;
    (session.connection == connection).then_some(&mut **session)
}

/// Puts a session into the list if it has something to send, or to say that it has finished.
fn list(ready: &mut VecDeque<ConnectionId>, session: &mut Session) {
    let waits = session.sent < session.out.len() && !session.blocked;
    let over = session.finishing && session.sent == session.out.len();
    if (waits || over) && !core::mem::replace(&mut session.listed, true) {
        ready.push_back(session.connection);
    }
}

/// Takes a buffer back whose bytes have all been sent.
fn recycle(pool: &mut Vec<Vec<u8>>, session: &mut Session) {
    let mut buffer = core::mem::take(&mut session.out);
    session.sent = 0;
    buffer.clear();
    // One that an unusual transmit has made large is not kept.
    if buffer.capacity() > 0 && buffer.capacity() <= 4 * MOST_BYTES && pool.len() < POOLED {
        pool.push(buffer);
    }
}
