//! The one write that adapters make.

use std::io::{self, IoSlice, Write};

use roomwire_core::{ConnectionId, Machine};
use socket2::Socket;

use crate::budget::{SEND_MORE, SLICES_PER_WRITE};

/// One non-blocking write of what waits for a connection, at most [`SLICES_PER_WRITE`] slices of it; how many bytes
/// went. The last bytes of a connection wait for its end, which comes at once. Fails with `WouldBlock` also when
/// nothing waits.
pub fn write<M: Machine>(
    machine: &M,
    connection: ConnectionId,
    mut stream: &Socket,
) -> io::Result<usize> {
    let mut unsent = machine.unsent(connection);
    let last = unsent.is_last();
    let Some(first) = unsent.next() else {
        return Err(io::ErrorKind::WouldBlock.into());
    };
    let Some(second) = unsent.next().or_else(|| last.then_some(&[])) else {
        return stream.write(first);
    };
    let mut slices = [IoSlice::new(&[]); SLICES_PER_WRITE];
    let [one, two, rest @ ..] = &mut slices;
    (*one, *two) = (IoSlice::new(first), IoSlice::new(second));
    let count = 2 + unsent.fill(rest);
    let slices = slices.get(..count).unwrap_or_default();
    if !last {
        return stream.write_vectored(slices);
    }
    stream.send_vectored_with_flags(slices, SEND_MORE)
}
