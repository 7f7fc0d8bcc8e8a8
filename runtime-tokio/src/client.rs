//! Clients on tokio: a task each. Nothing here knows what the bytes mean: the task waits for its socket, its deadline and
//! its handles, and lends its buffer to the machine.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use roomwire_core::{ConnectionId, Turn};
use roomwire_runtime::client::{self, Pilot, Runtime, Solo, Wired};
use roomwire_runtime::{CLIENT_BUFFER_BYTES, READS_PER_SOCKET, TurnEnd, write};
use socket2::SockRef;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;

use crate::Tokio;
use crate::stream::{Reader, Writer, tcp};

/// A client that comes back: a task of the runtime in which [`connect`](client::Client::connect) is called, which needs
/// I/O and time. `examples/tokio_client.rs` shows one.
pub type Client = client::Client<Tokio>;

impl Runtime for Tokio {
    fn start(pilot: Pilot) -> io::Result<()> {
        let runtime = tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
        runtime.spawn(drive(pilot));
        Ok(())
    }

    fn start_alone(pilot: Pilot) -> io::Result<()> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_io().enable_time().build()?;
        let thread = thread::Builder::new().name("roomwire-client".to_owned());
        thread
            .spawn(move || runtime.block_on(drive(pilot)))
            .map(drop)
    }
}

struct Socket {
    reader: Reader,
    writer: Writer,
}

impl Wired for Socket {
    fn write(&self, pilot: &Pilot, connection: ConnectionId) -> io::Result<usize> {
        write(pilot, connection, &self.writer)
    }

    fn socket(&self) -> SockRef<'_> {
        self.writer.socket()
    }
}

/// Drives a client to its end.
async fn drive(pilot: Pilot) {
    let mut solo = Solo::new(pilot);
    let mut buffer: Box<[u8]> = vec![0; CLIENT_BUFFER_BYTES].into();
    let mut dialing = None;
    let mut sleep = pin!(tokio::time::sleep(Duration::ZERO));
    while let Some(end) = solo.turn() {
        if let Some(address) = solo.dials() {
            dialing = Some(Box::pin(dial(address)));
        }
        let TurnEnd::Idle(deadline) = end else {
            tokio::task::yield_now().await;
            continue;
        };
        let deadline = deadline.and_then(|deadline| solo.deadline(deadline));
        if let Some(at) = deadline {
            sleep.as_mut().reset(at.into());
        }
        poll_fn(|cx| {
            // All of them are asked, so that each wakes.
            let woken = [
                solo.poll_news(cx),
                poll_dialing(&mut solo, &mut dialing, cx),
                poll_writable(&mut solo, cx),
                poll_read(&mut solo, &mut buffer, cx),
                match deadline {
                    Some(_) => sleep.as_mut().poll(cx),
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
async fn dial(address: (String, u16)) -> io::Result<Socket> {
    let (reader, writer) = tcp(TcpStream::connect(address).await?);
    Ok(Socket { reader, writer })
}

fn poll_dialing(
    solo: &mut Solo<Socket>,
    dialing: &mut Option<Pin<Box<impl Future<Output = io::Result<Socket>>>>>,
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

fn poll_writable(solo: &mut Solo<Socket>, cx: &mut Context<'_>) -> Poll<()> {
    let Some(Poll::Ready(_)) = solo.waits().map(|it| it.writer.poll_write_ready(cx)) else {
        return Poll::Pending;
    };
    solo.writable();
    Poll::Ready(())
}

/// Reads what is there, within bounds; ready when the machine was told something.
fn poll_read(solo: &mut Solo<Socket>, buffer: &mut [u8], cx: &mut Context<'_>) -> Poll<()> {
    let mut told = Poll::Pending;
    for _ in 0..READS_PER_SOCKET {
        let mut lent = ReadBuf::new(buffer);
        let read = solo.reads().map(|it| it.reader.poll_read(cx, &mut lent));
        let Some(Poll::Ready(outcome)) = read else {
            return told;
        };
        told = Poll::Ready(());
        if solo.read(outcome.map(|()| lent.filled_mut())) == Turn::Full {
            return told;
        }
    }
    told
}
