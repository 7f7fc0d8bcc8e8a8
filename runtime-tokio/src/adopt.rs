//! Connections that another server has upgraded: raw sockets are taken as they are, all else through a pair of them.

use std::io;
use std::os::unix::net::UnixStream as Socket;
use std::rc::Rc;

use roomwire_core::ListenerId;
use roomwire_runtime::Hosted;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::UnixStream;

use crate::driver::Driver;
use crate::stream::watch;
use crate::{AdoptError, Adopted};

/// Offers a connection that another server has accepted.
pub(crate) fn take(driver: &Rc<Driver<impl Hosted>>, adopted: Adopted) -> Result<(), AdoptError> {
    let (socket, peer, mut ahead) = adopted.into_parts();
    let taken = driver.accept(watch(socket)?, peer, ListenerId::ADOPTED, &mut ahead);
    taken.then_some(()).ok_or(AdoptError::Refused)
}

/// A socket to [adopt](roomwire_runtime::Handle::adopt) in place of a stream that is none, such as one of TLS: a task of the runtime that
/// this is called on copies between the two until either ends. The system's buffers hold what is on the way.
///
/// # Errors
/// When the process is out of descriptors.
pub fn bridge(
    mut stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> io::Result<Socket> {
    let (mut near, far) = UnixStream::pair()?;
    // How it ends is told to both: one end is gone when the other is.
    tokio::spawn(async move { copy_bidirectional(&mut stream, &mut near).await });
    far.into_std()
}
