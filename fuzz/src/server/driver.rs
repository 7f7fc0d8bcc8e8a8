//! The driver: sockets that are records, a clock that is a number, and what must hold after every step.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use roomwire_core::offload::{Done, Job, JobId};
use roomwire_core::replay::{Options, Recorder};
use roomwire_core::server::{Command, Event, MessageName, RequestToken, SavedSession, Verdict};
use roomwire_core::websocket::deflate::{Compressors, Effort, Window};
use roomwire_core::{
    ClientId, ConnectionId, Input, Instant, ListenerId, Machine, Now, Output, PeerAddr, ShardId,
    TransportEnd, Turn, ValidConfig,
};

use super::settings::{Manners, PROXIED};
use super::stream::{Kind, Stream};
use crate::input::Choices;
use crate::replay::Tape;

/// A server, its sockets and the books about both.
pub(super) struct Driver {
    server: Recorder<Tape>,
    manners: Manners,
    now: Now,
    /// The latest reading handed in: what the server goes by.
    latest: Instant,
    /// What the last `Idle` said; `None` after anything else.
    pub(super) deadline: Option<Instant>,
    pub(super) peers: Vec<Peer>,
    /// Every id that was ever given out.
    pub(super) issued: Vec<ConnectionId>,
    live: BTreeMap<ConnectionId, usize>,
    opened: BTreeSet<ConnectionId>,
    closed: BTreeSet<ConnectionId>,
    /// Application requests that were told and not answered.
    pub(super) requests: Vec<RequestToken>,
    /// Sessions that another server may have.
    pub(super) left: Vec<SavedSession>,
    /// Those that are asked of others.
    pub(super) wanted: Vec<(ShardId, ClientId, u64)>,
    /// Client ids as peers were told them.
    pub(super) clients: Vec<String>,
    /// Sessions that clients were told, with their secrets.
    pub(super) sessions: Vec<(String, String)>,
    /// What the server has handed over and waits for.
    jobs: Vec<Job>,
    /// How many that may be by now.
    most_jobs: u32,
    /// The last one that came to something.
    last_job: Option<JobId>,
    failed_jobs: u64,
    compressors: Compressors,
    drain_asked: bool,
    drained: bool,
    refusals_told: u64,
    /// How many of the next transmits go unanswered.
    pub(super) ignore_transmits: u8,
    next_request: u64,
    sent_bytes: u64,
    received_bytes: u64,
    hasher: DefaultHasher,
}

/// One socket.
pub(super) struct Peer {
    pub(super) id: ConnectionId,
    pub(super) alive: bool,
    /// Bytes per read; 0: all at once.
    pub(super) dribble: usize,
    pub(super) writes: Writes,
    blocked: bool,
    reading: bool,
    finished: bool,
    /// Sent by the peer while the server does not read.
    pending: Vec<u8>,
    read_ended: bool,
    /// It came in behind a proxy, if its address is one.
    pub(super) proxied: bool,
    /// It has asked for compression, which nobody is refused.
    pub(super) compresses: bool,
    pub(super) stream: Stream,
}

/// How a socket takes what is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Writes {
    All,
    /// This many bytes at a time, so many times, then all.
    Some {
        bytes: usize,
        times: u8,
    },
    /// This many bytes, then it blocks.
    Block {
        bytes: usize,
    },
    /// The socket turns out to be gone.
    Gone,
}

/// More polls than any drain of such small queues takes.
const MAX_POLLS: usize = 20_000;

impl Driver {
    /// Everything that goes in is recorded on `tape`.
    pub(super) fn new(config: ValidConfig, manners: Manners, tape: &Tape, masked: bool) -> Self {
        let options = Options {
            masked,
            ..Options::default()
        };
        let mono = Instant::from_micros(1_000_000);
        Self {
            server: Recorder::new(config, [7; 32], options, tape.clone()),
            manners,
            now: Now {
                mono,
                unix_ms: 1_700_000_000_000,
            },
            latest: Instant::ZERO,
            deadline: None,
            peers: Vec::new(),
            issued: Vec::new(),
            live: BTreeMap::new(),
            opened: BTreeSet::new(),
            closed: BTreeSet::new(),
            requests: Vec::new(),
            left: Vec::new(),
            wanted: Vec::new(),
            clients: Vec::new(),
            sessions: Vec::new(),
            jobs: Vec::new(),
            most_jobs: 0,
            last_job: None,
            failed_jobs: 0,
            compressors: Compressors::new(Effort {
                level: 1,
                memory_level: 1,
            }),
            drain_asked: false,
            drained: false,
            refusals_told: 0,
            ignore_transmits: 0,
            next_request: 0,
            sent_bytes: 0,
            received_bytes: 0,
            hasher: DefaultHasher::new(),
        }
    }

    pub(super) fn transcript(&self) -> u64 {
        self.hasher.finish()
    }

    pub(super) const fn is_obedient(&self) -> bool {
        self.manners.obedient
    }

    /// The most that one connection's queue holds.
    pub(super) fn largest_queue(&self) -> usize {
        self.server.as_ref().config().limits.max_queued_bytes
    }

    /// The socket is not blocked any more.
    pub(super) fn unblock(&mut self, peer: usize) {
        self.peers[peer].blocked = false;
    }

    /// A request id that was never used.
    pub(super) fn fresh_request(&mut self) -> u64 {
        self.next_request += 1;
        self.next_request
    }

    // ---- inputs

    pub(super) fn accept(&mut self, address: PeerAddr, listener: u16) {
        if self.live.len() >= MAX_LIVE {
            return;
        }
        self.latest = self.latest.max(self.now.mono);
        self.deadline = None;
        let accepted = self.server.accept(self.now, address, ListenerId(listener));
        let Some(id) = accepted else {
            return;
        };
        assert!(!self.drain_asked, "accepted while leaving");
        assert!(!self.issued.contains(&id), "{id} was given out before");
        assert_eq!(ConnectionId::from_bits(id.to_bits()), Some(id));
        self.issued.push(id);
        self.live.insert(id, self.peers.len());
        let stream = match ListenerId(listener) {
            ListenerId::ADOPTED => Stream::adopted(),
            ListenerId(number) => Stream::new(number == 1),
        };
        self.peers.push(Peer {
            id,
            alive: true,
            dribble: 0,
            writes: Writes::All,
            blocked: false,
            reading: true,
            finished: false,
            pending: Vec::new(),
            read_ended: false,
            proxied: listener == PROXIED,
            compresses: false,
            stream,
        });
    }

    /// Hands in one input and returns what the server says to it.
    pub(super) fn handle(
        &mut self,
        input: Input<'_, Command, roomwire_core::cluster::Relay>,
    ) -> Turn {
        self.latest = self.latest.max(self.now.mono);
        self.deadline = None;
        self.server.handle(self.now, input)
    }

    pub(super) fn command(&mut self, command: Command) {
        self.drain_asked |= command == Command::Drain;
        let _ = self.handle(Input::Command(command));
    }

    /// A peer sends bytes. An obedient driver keeps them while the server does not read.
    pub(super) fn send(&mut self, peer: usize, bytes: &[u8]) {
        if self.peers[peer].read_ended || !self.peers[peer].alive {
            return;
        }
        self.peers[peer].pending.extend_from_slice(bytes);
        self.flush(peer);
    }

    /// A peer that was sent a close frame goes on for longer than anyone listens.
    pub(super) fn talk_on(&mut self, peer: usize) {
        let Peer { id, alive, .. } = self.peers[peer];
        if !alive || !self.peers[peer].stream.is_closed() || self.peers[peer].read_ended {
            return;
        }
        let mut bytes = vec![0; 1 << 20];
        for _ in 0..17 {
            self.received_bytes += bytes.len() as u64;
            let _ = self.handle(Input::Received {
                connection: id,
                bytes: &mut bytes,
            });
        }
    }

    /// Reads from a socket.
    fn flush(&mut self, peer: usize) {
        while let Some(Peer {
            alive: true,
            pending,
            dribble,
            reading,
            id,
            ..
        }) = self.peers.get_mut(peer)
            && !pending.is_empty()
            && (*reading || !self.manners.obedient)
        {
            let length = match *dribble {
                0 => pending.len(),
                // A long input is not read byte by byte: that would only take time.
                most => most.max(pending.len() / 256).min(pending.len()),
            };
            let rest = pending.split_off(length);
            let mut piece = core::mem::replace(pending, rest);
            let connection = *id;
            self.received_bytes += piece.len() as u64;
            let turn = self.handle(Input::Received {
                connection,
                bytes: &mut piece,
            });
            if turn == Turn::Full && self.manners.obedient {
                self.drain();
            }
        }
    }

    pub(super) fn read_end(&mut self, peer: usize) {
        let peer = &mut self.peers[peer];
        if peer.alive && !peer.read_ended && peer.pending.is_empty() {
            peer.read_ended = true;
            let connection = peer.id;
            let _ = self.handle(Input::ReadEnd { connection });
        }
    }

    pub(super) fn end(&mut self, peer: usize, end: TransportEnd) {
        if self.peers[peer].alive {
            let connection = self.peers[peer].id;
            self.bury(connection);
            let _ = self.handle(Input::Ended { connection, end });
        }
    }

    /// A blocked socket takes bytes again.
    pub(super) fn writable(&mut self, peer: usize) {
        let peer = &mut self.peers[peer];
        if peer.alive && peer.blocked {
            peer.blocked = false;
            let connection = peer.id;
            let _ = self.handle(Input::Writable { connection });
        }
    }

    /// Reports bytes as sent, whether or not they were asked for.
    pub(super) fn sent(&mut self, peer: usize, bytes: usize, blocked: bool) {
        let connection = self.peers[peer].id;
        let before = self.unsent(connection);
        let taken = bytes.min(before.len());
        self.peers[peer].blocked |= blocked;
        self.sent_bytes += taken as u64;
        before[..taken].hash(&mut self.hasher);
        self.peers[peer].stream.take(&before[..taken]);
        self.note_client(peer);
        let _ = self.handle(Input::Sent {
            connection,
            bytes,
            blocked,
        });
        if taken < before.len() {
            assert_eq!(
                self.unsent(connection),
                &before[taken..],
                "front not offset"
            );
        }
    }

    fn note_client(&mut self, peer: usize) {
        if let Some(client) = &self.peers[peer].stream.client
            && !self.clients.contains(client)
        {
            self.clients.push(client.clone());
        }
        if let Some(session) = &self.peers[peer].stream.session
            && !self.sessions.contains(session)
        {
            self.sessions.push(session.clone());
        }
    }

    fn unsent(&self, connection: ConnectionId) -> Vec<u8> {
        let mut bytes = Vec::new();
        for slice in self.server.unsent(connection) {
            assert!(!slice.is_empty(), "an empty slice");
            bytes.extend_from_slice(slice);
        }
        bytes
    }

    /// Time passes, or goes back.
    pub(super) fn set_time(&mut self, mono: Instant) {
        self.now.mono = mono;
        self.now.unix_ms = self.now.unix_ms.wrapping_add(mono.as_micros() / 1_000);
        let _ = self.handle(Input::Tick);
    }

    pub(super) const fn time(&self) -> Instant {
        self.now.mono
    }

    /// The payload that stands for a message, if it is shorter.
    pub(super) fn compressed(&mut self, message: &[u8]) -> Option<&[u8]> {
        self.compressors.compress(Window::MAX, message)
    }

    // ---- the pool

    /// There is a pool for so many jobs at once from now on, or none.
    pub(super) fn pool(&mut self, jobs: u32) {
        self.most_jobs = jobs;
        let _ = self.handle(Input::PoolReady { jobs });
    }

    /// One of the jobs that are out is done, or fails.
    pub(super) fn job(&mut self, pick: usize, fails: bool) {
        if self.jobs.is_empty() {
            return;
        }
        let job = self.jobs.remove(pick % self.jobs.len());
        self.last_job = Some(job.id());
        let done = if fails {
            self.failed_jobs += 1;
            Done::failed(job.id())
        } else {
            job.run()
        };
        assert_eq!(done.is_failed(), fails);
        let _ = self.handle(Input::Done(done));
    }

    /// What a job came to is handed in once more.
    pub(super) fn job_again(&mut self) {
        if let Some(job) = self.last_job {
            let before = self.server.as_ref().stats().stale;
            let _ = self.handle(Input::Done(Done::failed(job)));
            assert_eq!(self.server.as_ref().stats().stale, before + 1);
        }
    }

    /// Polls until `Idle`, and does all jobs, until there is nothing more to do at this time.
    fn settle(&mut self) {
        for _ in 0..MAX_POLLS {
            self.drain();
            if self.jobs.is_empty() {
                return;
            }
            self.job(0, false);
        }
        panic!("jobs without end");
    }

    // ---- outputs

    /// Polls until `Idle`.
    pub(super) fn drain(&mut self) {
        for _ in 0..MAX_POLLS {
            if self.poll() {
                return;
            }
        }
        panic!("no idle within {MAX_POLLS} polls");
    }

    /// One poll and what it asks for; `true` at `Idle`.
    pub(super) fn poll(&mut self) -> bool {
        let output = self.server.poll();
        format!("{output:?}").hash(&mut self.hasher);
        match output {
            Output::Transmit { connection } => {
                let peer = self.alive(connection);
                self.transmit(peer);
            }
            Output::ReadInterest { connection, wanted } => {
                let peer = self.alive(connection);
                self.peers[peer].reading = wanted;
                if wanted {
                    self.flush(peer);
                }
            }
            Output::Finish { connection } => {
                let peer = self.alive(connection);
                let peer = &mut self.peers[peer];
                assert!(
                    !core::mem::replace(&mut peer.finished, true),
                    "finished twice"
                );
                assert!(
                    self.unsent(connection).is_empty(),
                    "finished with bytes left"
                );
            }
            Output::Close { connection, .. } => {
                self.alive(connection);
                self.bury(connection);
            }
            Output::Event(event) => self.event(event),
            Output::Job(job) => {
                assert!(self.jobs.len() < self.most_jobs as usize, "too many jobs");
                assert!(self.jobs.iter().all(|other| other.id() != job.id()));
                self.jobs.push(job);
            }
            Output::Again => {}
            Output::Idle { deadline } => {
                assert!(deadline.is_none_or(|deadline| deadline > self.latest));
                self.deadline = deadline;
                assert_eq!(self.server.poll(), output, "idle, and then not");
                return true;
            }
            other => panic!("a server does not ask for {other:?}"),
        }
        false
    }

    fn alive(&self, connection: ConnectionId) -> usize {
        let Some(&peer) = self.live.get(&connection) else {
            panic!("{connection} is dead");
        };
        peer
    }

    fn bury(&mut self, connection: ConnectionId) {
        let peer = self.live.remove(&connection).expect("alive");
        self.peers[peer].alive = false;
    }

    fn transmit(&mut self, index: usize) {
        let peer = &mut self.peers[index];
        assert!(!peer.finished, "a transmit after the write side was shut");
        assert!(!peer.blocked, "a transmit for a blocked socket");
        let connection = peer.id;
        let length = self.unsent(connection).len();
        assert!(length > 0, "nothing to transmit");
        if self.ignore_transmits > 0 {
            // Another input comes first.
            self.ignore_transmits -= 1;
            let _ = self.handle(Input::Tick);
            return;
        }
        if let Writes::Gone = self.peers[index].writes {
            return self.end(index, TransportEnd::Reset);
        }
        let (bytes, blocked) = match &mut self.peers[index].writes {
            Writes::All | Writes::Gone => (length, false),
            Writes::Some { times: 0, .. } => (length, false),
            Writes::Some { bytes, times } => {
                *times -= 1;
                ((*bytes).max(1), false)
            }
            Writes::Block { bytes } => (*bytes, true),
        };
        let bytes = if self.manners.obedient {
            bytes.min(length)
        } else {
            bytes
        };
        self.sent(index, bytes, blocked);
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Opened { connection, .. } => {
                assert!(self.issued.contains(&connection));
                assert!(self.opened.insert(connection), "opened twice");
            }
            Event::Closed { connection, .. } => {
                assert!(self.opened.contains(&connection), "closed before it opened");
                assert!(self.closed.insert(connection), "closed twice");
            }
            Event::Resumed { connection, client } => {
                assert!(
                    self.opened.contains(&connection),
                    "resumed before it opened"
                );
                assert!(
                    !self.closed.contains(&connection),
                    "resumed after it closed"
                );
                let known = self.sessions.iter().any(|(id, _)| *id == client.as_str());
                assert!(known, "a session that nobody was told of");
                let elsewhere = self.left.iter().any(|it| it.client() == client);
                assert!(!elsewhere, "a session that has left");
            }
            Event::SessionWanted {
                shard,
                client,
                asked_ms,
            } => {
                assert!(asked_ms > 0, "wanted without being asked for");
                self.wanted.push((shard, client, asked_ms));
            }
            Event::SessionLeft { client, session } => {
                if let Some(session) = session {
                    assert_eq!(session.client(), client);
                    assert!(
                        self.left.iter().all(|it| it.client() != client),
                        "it has left twice"
                    );
                    self.left.push(session);
                }
            }
            Event::Application { request, .. } => self.requests.push(request),
            Event::Refused { count, .. } => {
                assert!(count > 0, "news of nothing");
                self.refusals_told += count;
            }
            Event::Drained => {
                assert!(self.drain_asked && self.live.is_empty());
                assert!(
                    !core::mem::replace(&mut self.drained, true),
                    "drained twice"
                );
            }
            other => panic!("an event that is not known here: {other:?}"),
        }
    }

    // ---- what must hold

    /// After every operation.
    pub(super) fn check(&self) {
        let limits = &self.server.as_ref().config().limits;
        for &connection in self.live.keys() {
            let queued: usize = self.server.unsent(connection).map(<[u8]>::len).sum();
            assert!(queued <= limits.max_queued_bytes + CONTROL_LANE_BYTES);
        }
        for connection in &self.issued {
            if !self.live.contains_key(connection) {
                assert_eq!(
                    self.server.unsent(*connection).count(),
                    0,
                    "bytes for the dead"
                );
            }
        }
        let stats = self.server.as_ref().stats();
        assert_eq!(stats.connections, self.live.len());
        assert_eq!(stats.accepted, self.issued.len() as u64);
        assert_eq!(stats.sent_bytes, self.sent_bytes);
        assert_eq!(stats.clients as u64, stats.opened - stats.closed);
        assert!(stats.rooms <= limits.max_rooms as usize);
        assert!(stats.failed_jobs <= self.failed_jobs);
    }

    /// Memory is given back, and nothing waits for who is gone: to be called at `Idle`.
    pub(super) fn check_memory(&self) {
        let server = self.server.as_ref();
        let last = MessageName::Number(server.published());
        for &connection in &self.issued {
            let waits = server.explain(&last, connection) == Verdict::Waiting;
            assert!(!waits || self.live.contains_key(&connection));
        }
        let limits = &self.server.as_ref().config().limits;
        let heads = self.live.len() * 2 * limits.max_head_bytes;
        let most = limits.max_buffered_bytes + heads + ONE_READ_BYTES;
        if self.manners.obedient {
            assert!(
                self.server.as_ref().stats().buffered_bytes <= most,
                "{:?}",
                self.server.as_ref().stats()
            );
        }
    }

    // ---- the end

    /// Everyone recovers, then everyone goes; nothing may be left.
    pub(super) fn finish(&mut self, choices: &mut Choices<'_>) {
        self.manners.obedient = true;
        self.ignore_transmits = 0;
        for peer in 0..self.peers.len() {
            self.peers[peer].writes = Writes::All;
            self.peers[peer].dribble = 0;
            self.writable(peer);
            self.flush(peer);
        }
        self.settle();
        self.answer_wishes();
        self.check();
        self.sleep_until_everyone_is_read();
        self.answer_wishes();
        self.check_caught_up();
        self.check_missed();
        match choices.below(3) {
            0 => (0..self.peers.len()).for_each(|peer| self.end(peer, TransportEnd::Closed)),
            1 => (0..self.peers.len()).for_each(|peer| self.read_end(peer)),
            _ => self.command(Command::Drain),
        }
        self.settle();
        self.sleep_until_nothing_is_left();
        let stats = self.server.as_ref().stats();
        assert!(self.live.is_empty(), "{:?}", self.live);
        assert_eq!(
            (
                stats.connections,
                stats.clients,
                stats.rooms,
                stats.buffered_bytes
            ),
            (0, 0, 0, 0)
        );
        // Places stay for whoever comes next, what was somebody's does not.
        let memory = self.server.as_ref().memory();
        let own = [
            memory.sessions,
            memory.memberships,
            memory.metadata,
            memory.input,
            memory.notes,
        ];
        assert_eq!(own, [0; 5], "{memory:?}");
        assert_eq!(self.opened, self.closed, "an end that was not told");
        assert_eq!(stats.opened, self.opened.len() as u64);
        assert_eq!(self.drained, self.drain_asked);
        let connections = stats.refused_connections + stats.refused_addresses + stats.unproxied;
        assert_eq!(
            self.refusals_told,
            stats.refused_requests + connections,
            "a refusal that was not told"
        );
        assert_eq!(stats.received_bytes, self.received_bytes);
        assert_eq!(stats.failed_jobs, self.failed_jobs);
        self.check();
        self.check_explanations();
    }

    /// With everyone gone, no message is on its way any more.
    fn check_explanations(&self) {
        let server = self.server.as_ref();
        for number in 1..=server.published() {
            for &connection in &self.issued {
                let verdict = server.explain(&MessageName::Number(number), connection);
                assert!(!matches!(
                    verdict,
                    Verdict::Waiting | Verdict::Discarded(None)
                ));
            }
        }
    }

    /// What was dropped was told, once.
    fn check_missed(&self) {
        let streams = || self.peers.iter().map(|peer| &peer.stream);
        let told: u64 = streams().map(|stream| stream.missed).sum();
        let dropped = self.server.as_ref().stats().dropped;
        assert!(told <= dropped, "{told} of {dropped} dropped messages told");
        let everyone_stayed = self.server.as_ref().stats().closed == 0
            && streams().all(|stream| !stream.has_left && stream.kind == Kind::Client);
        if everyone_stayed {
            assert_eq!(told, dropped, "dropped messages that nobody is told of");
        }
    }

    /// With nobody blocked every queue is empty and every request has its outcome.
    fn check_caught_up(&self) {
        for &peer in self.live.values() {
            let peer = &self.peers[peer];
            assert!(
                self.unsent(peer.id).is_empty(),
                "bytes that nobody asks to send"
            );
            assert!(
                peer.reading || peer.stream.client.is_none(),
                "never read again"
            );
            let open = peer.stream.is_open() && peer.stream.client.is_some();
            if open && peer.stream.clean && peer.pending.is_empty() {
                let mut unanswered = peer.stream.waiting.values();
                assert!(unanswered.all(|&application| application), "no outcome");
            }
        }
    }

    /// Nobody has what is asked of other servers: who waits for it hears so, and what it has said since.
    fn answer_wishes(&mut self) {
        for _ in 0..2_000 {
            let Some((shard, client, _)) = self.wanted.pop() else {
                return;
            };
            self.command(Command::GiveSession {
                shard,
                client,
                asked_ms: u64::MAX,
                session: None,
            });
            self.settle();
        }
        panic!("asked of others without end");
    }

    /// Who is not read from, although nobody is blocked, is throttled: it is read again when that is over.
    fn sleep_until_everyone_is_read(&mut self) {
        let unread = |server: &Self| {
            let mut live = server.live.values().map(|&peer| &server.peers[peer]);
            live.any(|peer| !peer.reading && peer.stream.client.is_some())
        };
        for _ in 0..2_000 {
            if !unread(self) {
                return;
            }
            assert!(
                self.server.as_ref().stats().throttled > 0,
                "never read again"
            );
            self.set_time(self.deadline.expect("never read again"));
            self.settle();
        }
        panic!("never read again");
    }

    /// Sleeps exactly to each deadline, as a driver does.
    fn sleep_until_nothing_is_left(&mut self) {
        for _ in 0..2_000 {
            let Some(deadline) = self.deadline else {
                return;
            };
            self.set_time(deadline);
            self.settle();
        }
        panic!("timers without end");
    }

    /// An input about an id that has ended.
    pub(super) fn stale(&mut self, connection: ConnectionId, kind: usize) {
        if self.live.contains_key(&connection) {
            return;
        }
        let before = self.server.as_ref().stats().stale;
        let mut bytes = *b"\x81\x80\0\0\0\0";
        let _ = match kind {
            0 => {
                let bytes = &mut bytes[..];
                self.handle(Input::Received { connection, bytes })
            }
            1 => self.handle(Input::Sent {
                connection,
                bytes: 9,
                blocked: true,
            }),
            2 => self.handle(Input::Writable { connection }),
            3 => self.handle(Input::ReadEnd { connection }),
            4 => self.handle(Input::Ended {
                connection,
                end: TransportEnd::Reset,
            }),
            5 => self.handle(Input::Connected { connection }),
            _ => self.handle(Input::ConnectFailed { connection }),
        };
        assert_eq!(self.server.as_ref().stats().stale, before + 1);
    }
}

/// Enough to meet every limit, few enough to meet each other.
const MAX_LIVE: usize = 10;
/// A ping of ours, a pong, a close frame.
const CONTROL_LANE_BYTES: usize = 2 + 127 + 127;
/// What one read may add to memory before a limit is looked at, and what vectors round up to.
const ONE_READ_BYTES: usize = 64 * 1_024;
