//! The one write that adapters make, and what machines hear of it and of reads.

use std::io::{self, IoSlice, Write};

use roomwire_core::{ConnectionId, Input, Machine, TransportEnd};
use socket2::Socket;

use crate::budget::{SEND_MORE, SLICES_PER_WRITE};

/// What takes bytes without waiting for room: it fails with `WouldBlock` where there is none.
pub trait Sink {
    /// Takes some of `bytes`, and says how many.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;
    /// Takes some of `slices`, and says how many bytes.
    fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
    /// The same for the last bytes before the end: see [`SEND_MORE`].
    fn write_last(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
}

impl Sink for Socket {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(&mut &*self, bytes)
    }

    fn write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Write::write_vectored(&mut &*self, slices)
    }

    fn write_last(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send_vectored_with_flags(slices, SEND_MORE)
    }
}

/// One non-blocking write of what waits for a connection, at most [`SLICES_PER_WRITE`] slices of it; how many bytes
/// went. The last bytes of a connection wait for its end, which comes at once. Fails with `WouldBlock` also when
/// nothing waits.
pub fn write<M: Machine>(
    machine: &M,
    connection: ConnectionId,
    sink: &impl Sink,
) -> io::Result<usize> {
    let mut unsent = machine.unsent(connection);
    let last = unsent.is_last();
    let Some(first) = unsent.next() else {
        return Err(io::ErrorKind::WouldBlock.into());
    };
    let Some(second) = unsent.next().or_else(|| last.then_some(&[])) else {
        return sink.write(first);
    };
    let mut slices = [IoSlice::new(&[]); SLICES_PER_WRITE];
    let [one, two, rest @ ..] = &mut slices;
    (*one, *two) = (IoSlice::new(first), IoSlice::new(second));
    let count = 2 + unsent.fill(rest);
    let slices = slices.get(..count).unwrap_or_default();
    if !last {
        return sink.write_vectored(slices);
    }
    sink.write_last(slices)
}

/// What a machine hears of a [write](write()): the end of the connection, where it took nothing or failed.
pub fn sent<'a, C, R>(connection: ConnectionId, outcome: io::Result<usize>) -> Input<'a, C, R> {
    let (bytes, blocked) = match outcome {
        Ok(bytes) if bytes > 0 => (bytes, false),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => (0, true),
        Ok(_) | Err(_) => return ended(connection, TransportEnd::Reset),
    };
    Input::Sent {
        connection,
        bytes,
        blocked,
    }
}

/// What a machine hears of a read that need not be tried again: bytes, that there are no more, or the end.
pub fn heard<C, R>(connection: ConnectionId, outcome: io::Result<&mut [u8]>) -> Input<'_, C, R> {
    match outcome {
        Ok([]) => Input::ReadEnd { connection },
        Ok(bytes) => Input::Received { connection, bytes },
        Err(_) => ended(connection, TransportEnd::Reset),
    }
}

/// The end of a connection, for its machine.
pub const fn ended<'a, C, R>(connection: ConnectionId, end: TransportEnd) -> Input<'a, C, R> {
    Input::Ended { connection, end }
}
