//! Connections that another server has upgraded: sockets are taken as they are.

use std::rc::Rc;

use roomwire_core::ListenerId;
use roomwire_runtime::Hosted;

use crate::driver::Driver;
use crate::stream::Stream;
use crate::{AdoptError, Adopted};

/// Offers a connection that another server has accepted.
pub(crate) fn take(driver: &Rc<Driver<impl Hosted>>, adopted: Adopted) -> Result<(), AdoptError> {
    let (socket, peer, mut ahead) = adopted.into_parts();
    let (stream, listener) = (Stream::new(socket)?, ListenerId::ADOPTED);
    let taken = driver.accept(stream, peer, listener, &mut ahead);
    taken.then_some(()).ok_or(AdoptError::Refused)
}
