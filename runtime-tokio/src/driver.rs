//! Drives one machine with tokio's sockets: read tasks hand in bytes, one flusher does what comes out.
//!
//! Generic over [`Machine`]: nothing here knows what the bytes mean. Everything runs on one thread. A read
//! task per connection waits for its socket and lends the thread's one buffer to the machine; it never writes.
//! The flusher runs after all readers that were ready with it, walks the machine's outputs and writes straight
//! to the sockets; a task is woken for writing only where a socket was full.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::Shutdown;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use roomwire_core::{
    ConnectionId, Input, Instant, ListenerId, Machine, Now, Output, PeerAddr, ShardId,
    TransportEnd, Turn,
};
use roomwire_runtime::{
    Act, BUSY_SOCKETS_PER_TURN, ClockBase, Line, Links, Next, READ_BUFFER_BYTES, Reads, Signal,
    Slots, TURN_TIME, TurnEnd, act, ended, sent, write,
};
use tokio::io::ReadBuf;
use tokio::task::{AbortHandle, spawn_local};

use crate::stream::{Reader, Writer};

/// A machine and the sockets of its connections.
pub(crate) struct Driver<M: Machine> {
    state: RefCell<State<M>>,
    links: Links<M::Relay>,
    clock: ClockBase,
    /// The clock as it was read first in this turn.
    now: Cell<Option<Now>>,
    flusher: Signal,
    /// Readers whose sockets filled the buffer: a few go on each turn, behind all that have just become readable.
    busy: Line,
    /// Nobody reads, as the flusher waits for the program that takes events.
    held: Cell<bool>,
}

struct State<M> {
    machine: M,
    sockets: Slots<Socket>,
    buffer: Box<[u8]>,
}

struct Socket {
    writer: Writer,
    reader: AbortHandle,
    /// The machine wants no bytes.
    paused: bool,
    /// The read task's, while it is paused or all are held.
    resume: Option<Waker>,
    /// Waits until a full socket takes bytes again.
    writable: Option<AbortHandle>,
}

impl<M: Machine + 'static> Driver<M> {
    pub(crate) fn new(machine: M, links: Links<M::Relay>, clock: ClockBase) -> Rc<Self> {
        let state = State {
            machine,
            sockets: Slots::new(),
            buffer: vec![0; READ_BUFFER_BYTES].into(),
        };
        Rc::new(Self {
            state: RefCell::new(state),
            links,
            clock,
            now: Cell::new(None),
            flusher: Signal::default(),
            busy: Line::default(),
            held: Cell::new(false),
        })
    }

    /// Offers a socket to the machine, with `bytes` that were read of it, and reads on; `false` if it is refused.
    pub(crate) fn accept(
        self: &Rc<Self>,
        (reader, writer): (Reader, Writer),
        peer: PeerAddr,
        listener: ListenerId,
        bytes: &mut [u8],
    ) -> bool {
        let mut state = self.state.borrow_mut();
        // A refusal is told to the flusher too: it may have armed a deadline, and the clock was read.
        self.flusher.raise();
        let Some(connection) = state.machine.accept(self.now(), peer, listener) else {
            return false; // dropping both halves closes the socket
        };
        let task = spawn_local(Rc::clone(self).read(connection, reader));
        let socket = Socket {
            writer,
            reader: task.abort_handle(),
            paused: false,
            resume: None,
            writable: None,
        };
        state.sockets.insert(connection, socket);
        if !bytes.is_empty() {
            let received = Input::Received { connection, bytes };
            let _ = state.machine.handle(self.now(), received);
        }
        true
    }

    /// Hands in something that is not about a socket.
    pub(crate) fn command(&self, command: M::Command) {
        let _ = self.handle(Input::Command(command));
        self.flusher.raise();
    }

    /// Other shards may have something.
    pub(crate) fn rung(&self) {
        self.flusher.raise();
    }

    /// Looks at the machine between two turns.
    pub(crate) fn with_machine<T>(&self, look: impl FnOnce(&M) -> T) -> T {
        look(&self.state.borrow().machine)
    }

    /// Stops all reading: without turns the machine cannot ask for it, and would have to keep what is read.
    pub(crate) fn hold(&self) {
        self.held.set(true);
    }

    /// Goes on with reading. O(connections).
    pub(crate) fn release(&self) {
        self.held.set(false);
        self.now.set(None);
        let mut state = self.state.borrow_mut();
        let readers = state.sockets.iter_mut().filter(|s| !s.paused);
        readers
            .filter_map(|s| s.resume.take())
            .for_each(Waker::wake);
    }

    /// Waits until there is something to do for [`turn`](Self::turn).
    pub(crate) async fn wake(&self) {
        self.flusher.wait().await;
    }

    /// The time on the machine's scale, as the standard library's.
    pub(crate) fn deadline(&self, deadline: Instant) -> Option<std::time::Instant> {
        self.clock.to_std(deadline)
    }

    // ---- reading

    async fn read(self: Rc<Self>, connection: ConnectionId, mut reader: Reader) {
        let mut reads = Reads::FRESH;
        loop {
            let read = |cx: &mut Context<'_>| {
                let reads = std::mem::replace(&mut reads, Reads::FRESH);
                self.poll_read(cx, connection, &mut reader, reads)
            };
            match poll_fn(read).await {
                Next::Over => return,
                Next::Yield => tokio::task::yield_now().await,
                Next::Line => {
                    self.busy.wait().await;
                    reads = Reads::BUSY;
                }
            }
        }
    }

    /// Reads what is there, within bounds.
    fn poll_read(
        &self,
        cx: &mut Context<'_>,
        connection: ConnectionId,
        reader: &mut Reader,
        mut reads: Reads,
    ) -> Poll<Next> {
        loop {
            let mut state = self.state.borrow_mut();
            let State {
                machine,
                sockets,
                buffer,
            } = &mut *state;
            let Some(socket) = sockets.get_mut(connection) else {
                return Poll::Ready(Next::Over);
            };
            if socket.paused || self.held.get() {
                socket.resume = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let mut lent = ReadBuf::new(buffer);
            let Poll::Ready(outcome) = reader.poll_read(cx, &mut lent) else {
                return Poll::Pending;
            };
            let filled = lent.remaining() == 0;
            let bytes = lent.filled_mut();
            let (input, more) = match outcome {
                Ok(()) if bytes.is_empty() => (Input::ReadEnd { connection }, false),
                Ok(()) => (Input::Received { connection, bytes }, true),
                Err(_) => (ended(connection, TransportEnd::Reset), false),
            };
            let over = matches!(input, Input::Ended { .. });
            let turn = machine.handle(self.now(), input);
            if over {
                state.remove(connection);
            }
            drop(state);
            self.flusher.raise();
            if !more {
                return Poll::Ready(Next::Over);
            }
            if let Some(next) = reads.count(filled, turn) {
                return Poll::Ready(next);
            }
        }
    }

    // ---- writing

    /// Takes what other shards have, and has a few of the busy read on. Whether the other shards may have more.
    pub(crate) async fn receive(&self) -> bool {
        let _ = self.handle(Input::Tick);
        let now = self.now();
        let more = (self.links).receive(&mut self.state.borrow_mut().machine, now);
        if !self.busy.is_empty() {
            // Without room one goes on all the same, or none might ever.
            self.busy.call(if more { 1 } else { BUSY_SOCKETS_PER_TURN });
            tokio::task::yield_now().await;
        }
        more
    }

    /// Polls the machine and does what it says, within a budget. `sink` takes events and says whether there is room
    /// for another.
    pub(crate) fn turn(
        self: &Rc<Self>,
        more: bool,
        sink: &mut dyn FnMut(M::Event) -> bool,
    ) -> TurnEnd {
        let over = self.now().mono + TURN_TIME;
        let more = more || !self.busy.is_empty();
        let end = act(&mut Flush(self), (&self.clock, over), more, sink);
        self.now.set(None);
        end
    }

    /// Runs beside the read task while a socket is full.
    async fn wait_until_writable(self: Rc<Self>, connection: ConnectionId) {
        poll_fn(
            |cx| match self.state.borrow_mut().sockets.get_mut(connection) {
                // An error shows at the next write.
                Some(socket) => socket.writer.poll_write_ready(cx).map(drop),
                None => Poll::Ready(()),
            },
        )
        .await;
        let _ = self.handle(Input::Writable { connection });
        self.flusher.raise();
    }

    fn handle(&self, input: Input<'_, M::Command, M::Relay>) -> Turn {
        let now = self.now();
        self.state.borrow_mut().machine.handle(now, input)
    }

    /// The clock, read once a turn.
    fn now(&self) -> Now {
        let now = self.now.get().unwrap_or_else(|| self.clock.now());
        self.now.set(Some(now));
        now
    }
}

/// What the flusher does.
struct Flush<'a, M: Machine>(&'a Rc<Driver<M>>);

impl<M: Machine + 'static> Act<M> for Flush<'_, M> {
    fn poll(&mut self) -> Output<M::Event> {
        self.0.state.borrow_mut().machine.poll()
    }

    fn transmit(&mut self, connection: ConnectionId) {
        let now = self.0.now();
        let mut state = self.0.state.borrow_mut();
        let State {
            machine, sockets, ..
        } = &mut *state;
        let outcome = match sockets.get_mut(connection) {
            Some(socket) => write(machine, connection, &socket.writer),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        let input = sent(connection, outcome);
        if let (Input::Sent { blocked: true, .. }, Some(socket)) =
            (&input, sockets.get_mut(connection))
        {
            let wait = Rc::clone(self.0).wait_until_writable(connection);
            socket.writable = Some(spawn_local(wait).abort_handle());
        }
        let over = matches!(input, Input::Ended { .. });
        let _ = machine.handle(now, input);
        if over {
            state.remove(connection);
        }
    }

    fn read_interest(&mut self, connection: ConnectionId, wanted: bool) {
        let mut state = self.0.state.borrow_mut();
        if let Some(socket) = state.sockets.get_mut(connection) {
            socket.paused = !wanted;
            if wanted && let Some(waker) = socket.resume.take() {
                waker.wake();
            }
        }
    }

    fn finish(&mut self, connection: ConnectionId) {
        let mut state = self.0.state.borrow_mut();
        if let Some(socket) = state.sockets.get_mut(connection) {
            // It fails if the peer is gone, which the read task sees.
            let _ = socket.writer.socket().shutdown(Shutdown::Write);
        }
    }

    fn close(&mut self, connection: ConnectionId, reset: bool) {
        let mut state = self.0.state.borrow_mut();
        if reset && let Some(socket) = state.sockets.get_mut(connection) {
            let linger = Some(std::time::Duration::ZERO);
            let _ = socket.writer.socket().set_linger(linger);
        }
        state.remove(connection);
    }

    fn carry(&mut self, to: ShardId) {
        self.0
            .links
            .carry(&mut self.0.state.borrow_mut().machine, to);
    }
}

impl<M> State<M> {
    /// Forgets a socket, which closes once its tasks are gone too.
    fn remove(&mut self, connection: ConnectionId) {
        if let Some(socket) = self.sockets.remove(connection) {
            socket.reader.abort();
            if let Some(writable) = socket.writable {
                writable.abort();
            }
            socket.writer.forget();
        }
    }
}
