//! Clients on mio: a thread each, so that signs of life and reconnects go on whatever the program is doing, and any of its
//! threads may ask for something. Nothing here knows what the bytes mean: the thread waits for its socket, its deadline and
//! its handles, and lends its buffer to the machine.

use std::future::Future;
use std::io::{self, Read};
use std::net;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Context, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Registry, Token};
use roomwire_core::{ConnectionId, Turn};
use roomwire_runtime::client::{self, Pilot, Runtime, Solo, Wired};
use roomwire_runtime::{Answer, CLIENT_BUFFER_BYTES, READS_PER_SOCKET, TurnEnd, one, write};
use socket2::SockRef;

use crate::Mio;

/// A client that comes back, on a thread of its own. Wait for what it tells by [`Receipt::wait`](client::Receipt::wait)
/// and [`Events::recv_timeout`](client::Events::recv_timeout). `examples/mio_client.rs` shows one.
pub type Client = client::Client<Mio>;

impl Runtime for Mio {
    fn start(pilot: Pilot) -> io::Result<()> {
        let poll = Poll::new()?;
        let alarm = Alarm(mio::Waker::new(poll.registry(), ALARM)?);
        let waker = Waker::from(Arc::new(alarm));
        let thread = thread::Builder::new().name("roomwire-client".to_owned());
        thread.spawn(move || drive(pilot, poll, &waker)).map(drop)
    }
}

/// Wakes the loop.
struct Alarm(mio::Waker);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        // It fails only if the loop is gone.
        let _ = self.0.wake();
    }
}

const ALARM: Token = Token(0);
const SOCKET: Token = Token(1);

struct Socket(TcpStream);

impl Wired for Socket {
    fn write(&self, pilot: &Pilot, connection: ConnectionId) -> io::Result<usize> {
        write(pilot, connection, &*self.socket())
    }

    fn socket(&self) -> SockRef<'_> {
        SockRef::from(&self.0)
    }
}

/// Drives a client to its end.
fn drive(pilot: Pilot, mut poll: Poll, waker: &Waker) {
    let mut solo = Solo::new(pilot);
    let mut buffer: Box<[u8]> = vec![0; CLIENT_BUFFER_BYTES].into();
    let mut dialing = None;
    let mut events = Events::with_capacity(4);
    // It has not been read empty since the last edge.
    let mut readable = false;
    let mut cx = Context::from_waker(waker);
    while let Some(end) = solo.turn() {
        // A thread that is still at it goes on for this attempt: the address is the same.
        if let Some(address) = solo.dials() {
            dialing.get_or_insert_with(|| dial(address));
        }
        let has_news = solo.poll_news(&cx).is_ready();
        let has_dialed = poll_dialing(&mut solo, &mut dialing, poll.registry(), &mut cx).is_ready();
        readable |= has_dialed;
        let has_read = readable && read(&mut solo, &mut buffer, &mut readable);
        let sleep = match end {
            TurnEnd::Idle(deadline) if !(has_news || has_dialed || has_read) => {
                let at = deadline.and_then(|deadline| solo.deadline(deadline));
                at.map(|at| at.saturating_duration_since(Instant::now()))
            }
            _ => Some(Duration::ZERO),
        };
        match poll.poll(&mut events, sleep) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return tracing::error!("a client ends, as its loop cannot wait: {error}");
            }
            _ => {}
        }
        for event in events.iter().filter(|event| event.token() == SOCKET) {
            readable |= event.is_readable() || event.is_read_closed() || event.is_error();
            if event.is_writable() {
                solo.writable();
            }
        }
    }
}

/// Tries the addresses of a name in their order, on a thread: looking a name up waits.
fn dial(address: (String, u16)) -> Answer<io::Result<net::TcpStream>> {
    let (give, answer) = one();
    // Without a thread there is no answer.
    let _ = thread::Builder::new().spawn(move || give.give(net::TcpStream::connect(address)));
    answer
}

fn poll_dialing(
    solo: &mut Solo<Socket>,
    dialing: &mut Option<Answer<io::Result<net::TcpStream>>>,
    registry: &Registry,
    cx: &mut Context<'_>,
) -> task::Poll<()> {
    let Some(task::Poll::Ready(answer)) = dialing.as_mut().map(|it| Pin::new(it).poll(cx)) else {
        return task::Poll::Pending;
    };
    *dialing = None;
    let outcome = answer.unwrap_or_else(|| Err(io::Error::other("there is no thread to connect")));
    solo.dialed(outcome.and_then(|stream| {
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        let both = Interest::READABLE | Interest::WRITABLE;
        registry.register(&mut stream, SOCKET, both)?;
        Ok(Socket(stream))
    }));
    task::Poll::Ready(())
}

/// Reads what is there, within bounds; whether the machine was told something.
fn read(solo: &mut Solo<Socket>, buffer: &mut [u8], readable: &mut bool) -> bool {
    let mut reads = 0;
    while let Some(Socket(stream)) = solo.reads()
        && reads < READS_PER_SOCKET
    {
        match stream.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                *readable = false;
                break;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => {
                reads += 1;
                let bytes = outcome.map(|count| buffer.get_mut(..count).unwrap_or_default());
                if solo.read(bytes) == Turn::Full {
                    break;
                }
            }
        }
    }
    reads > 0
}
