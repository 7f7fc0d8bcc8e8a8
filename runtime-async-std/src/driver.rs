//! Drives one machine with async-io's sockets: read tasks hand in bytes, one flusher does what comes out.
//!
//! Generic over [`Machine`]: nothing here knows what the bytes mean. Everything runs on one thread. A task per
//! connection waits for its socket and lends the thread's one buffer to the machine; it never writes. The
//! flusher runs after all tasks that were ready with it, walks the machine's outputs and writes straight to
//! the sockets; a task is woken for writing only where a socket was full.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, Read};
use std::net::Shutdown;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use async_std::task::{spawn_local, yield_now};
use roomwire_core::{
    ConnectionId, Input, Instant, ListenerId, Machine, Now, Output, PeerAddr, ShardId,
    TransportEnd, Turn,
};
use roomwire_runtime::mailbox::Bell;
use roomwire_runtime::{
    Act, BUSY_SOCKETS_PER_TURN, ClockBase, Line, Links, Next, READ_BUFFER_BYTES, Reads, Signal,
    Slots, TURN_TIME, TurnEnd, act, ended, sent, write,
};

use crate::stream::Stream;

/// A machine and the sockets of its connections.
pub(crate) struct Driver<M: Machine> {
    state: RefCell<State<M>>,
    links: Links<M::Relay>,
    clock: ClockBase,
    /// The clock as it was read first in this turn.
    now: Cell<Option<Now>>,
    flusher: Signal,
    /// The bell was heard.
    heard: Signal,
    /// Tasks whose sockets filled the buffer: a few go on each turn, behind all that have just become readable.
    busy: Line,
    /// Nobody reads, as the flusher waits for the program that takes events.
    held: Cell<bool>,
    /// Tasks of connections that have not ended.
    tasks: Cell<usize>,
}

struct State<M> {
    machine: M,
    sockets: Slots<Socket>,
    buffer: Box<[u8]>,
}

struct Socket {
    stream: Stream,
    /// Its task's.
    waker: Option<Waker>,
    /// Nothing was left to read: look only when there is news.
    drained: bool,
    /// The machine was told that the peer has finished.
    ended: bool,
    /// The machine wants no bytes.
    paused: bool,
    /// A write fell short, and the machine waits until it may go on.
    blocked: bool,
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
            heard: Signal::default(),
            busy: Line::default(),
            held: Cell::new(false),
            tasks: Cell::new(0),
        })
    }

    /// Offers a socket to the machine, with `bytes` that were read of it, and reads on; `false` if it is refused.
    pub(crate) fn accept(
        self: &Rc<Self>,
        stream: Stream,
        peer: PeerAddr,
        listener: ListenerId,
        bytes: &mut [u8],
    ) -> bool {
        let mut state = self.state.borrow_mut();
        // A refusal is told to the flusher too: it may have armed a deadline, and the clock was read.
        self.flusher.raise();
        let Some(connection) = state.machine.accept(self.now(), peer, listener) else {
            return false; // dropping the stream closes it
        };
        let socket = Socket {
            stream,
            waker: None,
            drained: true,
            ended: false,
            paused: false,
            blocked: false,
        };
        state.sockets.insert(connection, socket);
        if !bytes.is_empty() {
            let received = Input::Received { connection, bytes };
            let _ = state.machine.handle(self.now(), received);
        }
        self.tasks.set(self.tasks.get() + 1);
        spawn_local(Rc::clone(self).watch(connection));
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
        self.heard.raise();
    }

    /// Has the executor look at all sockets, which it does after two hundred tasks otherwise: with files on their way a
    /// task reads up to 256 KiB, and what somebody says would wait for all of them.
    pub(crate) async fn look(&self, bell: &Bell) {
        bell.ring();
        self.heard.wait().await;
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
        self.wake_all();
    }

    /// Cuts every connection; returns once their tasks are gone.
    pub(crate) async fn end(&self) {
        let mut sockets = std::mem::take(&mut self.state.borrow_mut().sockets);
        let wakers = sockets.iter_mut().filter_map(|s| s.waker.as_ref());
        wakers.for_each(Waker::wake_by_ref);
        drop(sockets);
        self.busy.call(usize::MAX);
        while self.tasks.get() > 0 {
            yield_now().await;
        }
    }

    /// There is something to do for [`turn`](Self::turn).
    pub(crate) fn poll_wake(&self, cx: &Context<'_>) -> Poll<()> {
        self.flusher.poll(cx)
    }

    /// The time on the machine's scale, as the standard library's.
    pub(crate) fn deadline(&self, deadline: Instant) -> Option<std::time::Instant> {
        self.clock.to_std(deadline)
    }

    fn wake_all(&self) {
        let mut state = self.state.borrow_mut();
        let wakers = state.sockets.iter_mut();
        let wakers = wakers.filter_map(|socket| socket.waker.as_ref());
        wakers.for_each(Waker::wake_by_ref);
    }

    // ---- reading

    async fn watch(self: Rc<Self>, connection: ConnectionId) {
        let mut reads = Reads::FRESH;
        loop {
            let read = |cx: &mut Context<'_>| {
                let reads = std::mem::replace(&mut reads, Reads::FRESH);
                self.poll_socket(cx, connection, reads)
            };
            match poll_fn(read).await {
                Next::Over => break,
                Next::Yield => yield_now().await,
                Next::Line => {
                    self.busy.wait().await;
                    reads = Reads::BUSY;
                }
            }
        }
        self.tasks.set(self.tasks.get() - 1);
    }

    /// Reads what is there, within bounds. A socket that was full is watched too.
    fn poll_socket(
        &self,
        cx: &mut Context<'_>,
        connection: ConnectionId,
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
            if !socket
                .waker
                .as_ref()
                .is_some_and(|w| w.will_wake(cx.waker()))
            {
                socket.waker = Some(cx.waker().clone());
            }
            // An error shows at the next write.
            if socket.blocked && socket.stream.poll_writable(cx).is_ready() {
                socket.blocked = false;
                let _ = machine.handle(self.now(), Input::Writable { connection });
                self.flusher.raise();
            }
            if socket.paused || socket.ended || self.held.get() {
                return Poll::Pending;
            }
            if socket.drained && socket.stream.poll_readable(cx).is_pending() {
                return Poll::Pending;
            }
            let count = match (&*socket.stream.socket()).read(buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    socket.drained = true;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => {
                    let _ = machine.handle(self.now(), ended(connection, TransportEnd::Reset));
                    state.remove(connection);
                    self.flusher.raise();
                    return Poll::Ready(Next::Over);
                }
            };
            let filled = count == buffer.len();
            socket.drained = !filled;
            socket.ended = count == 0;
            let bytes = buffer.get_mut(..count).unwrap_or_default();
            let input = match count {
                0 => Input::ReadEnd { connection },
                _ => Input::Received { connection, bytes },
            };
            let turn = machine.handle(self.now(), input);
            self.flusher.raise();
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
            yield_now().await;
        }
        more
    }

    /// Polls the machine and does what it says, within a budget. `sink` takes events and says whether there is room
    /// for another.
    pub(crate) fn turn(&self, more: bool, sink: &mut dyn FnMut(M::Event) -> bool) -> TurnEnd {
        let over = self.now().mono + TURN_TIME;
        let more = more || !self.busy.is_empty();
        let end = act(&mut &*self, (&self.clock, over), more, sink);
        self.now.set(None);
        end
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

impl<M: Machine + 'static> Act<M> for &Driver<M> {
    fn poll(&mut self) -> Output<M::Event> {
        self.state.borrow_mut().machine.poll()
    }

    fn transmit(&mut self, connection: ConnectionId) {
        let now = self.now();
        let mut state = self.state.borrow_mut();
        let State {
            machine, sockets, ..
        } = &mut *state;
        let outcome = match sockets.get_mut(connection) {
            Some(socket) => write(machine, connection, &*socket.stream.socket()),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        let input = sent(connection, outcome);
        if let (Input::Sent { blocked: true, .. }, Some(socket)) =
            (&input, sockets.get_mut(connection))
        {
            socket.blocked = true;
            socket.wake();
        }
        let over = matches!(input, Input::Ended { .. });
        let _ = machine.handle(now, input);
        if over {
            state.remove(connection);
        }
    }

    fn read_interest(&mut self, connection: ConnectionId, wanted: bool) {
        let mut state = self.state.borrow_mut();
        if let Some(socket) = state.sockets.get_mut(connection) {
            socket.paused = !wanted;
            if wanted {
                socket.drained = false;
                socket.wake();
            }
        }
    }

    fn finish(&mut self, connection: ConnectionId) {
        let mut state = self.state.borrow_mut();
        if let Some(socket) = state.sockets.get_mut(connection) {
            // It fails if the peer is gone, which the next read sees.
            let _ = socket.stream.socket().shutdown(Shutdown::Write);
        }
    }

    fn close(&mut self, connection: ConnectionId, reset: bool) {
        let mut state = self.state.borrow_mut();
        if reset && let Some(socket) = state.sockets.get_mut(connection) {
            let linger = Some(std::time::Duration::ZERO);
            let _ = socket.stream.socket().set_linger(linger);
        }
        state.remove(connection);
    }

    fn carry(&mut self, to: ShardId) {
        self.links.carry(&mut self.state.borrow_mut().machine, to);
    }
}

impl<M> State<M> {
    /// Forgets a socket, which closes it; its task finds that out.
    fn remove(&mut self, connection: ConnectionId) {
        if let Some(socket) = self.sockets.remove(connection) {
            socket.wake();
        }
    }
}

impl Socket {
    /// Has its task look at it. One that has not run yet will.
    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }
}
