//! Clients on async-std: a task each. Nothing here knows what the bytes mean: the task waits for its socket, its deadline
//! and its handles, and lends its buffer to the machine.

use std::future::{Future, poll_fn};
use std::io::{self, Read};
use std::net::TcpStream;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_io::{Async, Timer};
use async_std::net::ToSocketAddrs;
use async_std::task;
use roomwire_core::{ConnectionId, Turn};
use roomwire_runtime::client::{self, Pilot, Runtime, Solo, Wired};
use roomwire_runtime::{CLIENT_BUFFER_BYTES, READS_PER_SOCKET, TurnEnd, write};
use socket2::SockRef;

use crate::AsyncStd;
use crate::stream::Stream;

/// A client that comes back: a task of async-std's. `examples/async_std_client.rs` shows one.
pub type Client = client::Client<AsyncStd>;

impl Runtime for AsyncStd {
    fn start(pilot: Pilot) -> io::Result<()> {
        task::Builder::new().spawn(drive(pilot)).map(drop)
    }
}

impl Wired for Stream {
    fn write(&self, pilot: &Pilot, connection: ConnectionId) -> io::Result<usize> {
        write(pilot, connection, &*self.socket())
    }

    fn socket(&self) -> SockRef<'_> {
        self.socket()
    }
}

/// Drives a client to its end.
async fn drive(pilot: Pilot) {
    let mut solo = Solo::new(pilot);
    let mut buffer: Box<[u8]> = vec![0; CLIENT_BUFFER_BYTES].into();
    let mut dialing = None;
    let mut timer = Timer::never();
    while let Some(end) = solo.turn() {
        if let Some(address) = solo.dials() {
            dialing = Some(Box::pin(dial(address)));
        }
        let TurnEnd::Idle(deadline) = end else {
            task::yield_now().await;
            continue;
        };
        let deadline = deadline.and_then(|deadline| solo.deadline(deadline));
        if let Some(at) = deadline {
            timer.set_at(at);
        }
        poll_fn(|cx| {
            // All of them are asked, so that each wakes.
            let woken = [
                solo.poll_news(cx),
                poll_dialing(&mut solo, &mut dialing, cx),
                poll_writable(&mut solo, cx),
                poll_read(&mut solo, &mut buffer, cx),
                match deadline {
                    Some(_) => Pin::new(&mut timer).poll(cx).map(drop),
                    None => Poll::Pending,
                },
            ];
            let is_woken = woken.iter().any(Poll::is_ready);
            if is_woken {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// Tries the addresses of a name in their order.
async fn dial((host, port): (String, u16)) -> io::Result<Stream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "it has no address");
    for address in (host.as_str(), port).to_socket_addrs().await? {
        match Async::<TcpStream>::connect(address).await {
            Ok(stream) => return Ok(Stream::Tcp(stream)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn poll_dialing(
    solo: &mut Solo<Stream>,
    dialing: &mut Option<Pin<Box<impl Future<Output = io::Result<Stream>>>>>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    drop(dialing.take_if(|_| !solo.is_dialing()));
    let Some(Poll::Ready(outcome)) = dialing.as_mut().map(|it| it.as_mut().poll(cx)) else {
        return Poll::Pending;
    };
    *dialing = None;
    solo.dialed(outcome);
    Poll::Ready(())
}

fn poll_writable(solo: &mut Solo<Stream>, cx: &mut Context<'_>) -> Poll<()> {
    let Some(Poll::Ready(_)) = solo.waits().map(|it| it.poll_writable(cx)) else {
        return Poll::Pending;
    };
    solo.writable();
    Poll::Ready(())
}

/// Reads what is there, within bounds; ready when the machine was told something.
fn poll_read(solo: &mut Solo<Stream>, buffer: &mut [u8], cx: &mut Context<'_>) -> Poll<()> {
    let mut told = Poll::Pending;
    let mut reads = 0;
    while let Some(stream) = solo.reads()
        && reads < READS_PER_SOCKET
    {
        match (&*stream.socket()).read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // It may have become readable since.
                if stream.poll_readable(cx).is_pending() {
                    return told;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => {
                (told, reads) = (Poll::Ready(()), reads + 1);
                let bytes = outcome.map(|count| buffer.get_mut(..count).unwrap_or_default());
                if solo.read(bytes) == Turn::Full {
                    return told;
                }
            }
        }
    }
    told
}
