//! Connections that another server has upgraded: sockets are taken as they are.

use std::rc::Rc;

use async_std::channel::bounded;
use roomwire_core::ListenerId;
use roomwire_runtime::Hosted;
use roomwire_runtime::mailbox::{Letter, Reply};

use crate::driver::Driver;
use crate::stream::Stream;
use crate::{AdoptError, Adopted, Ended, Handle};

impl Handle {
    /// Takes over a connection that another server has upgraded, on one thread after the other. Waits, on whichever
    /// runtime, until the server runs and has taken it.
    ///
    /// # Errors
    /// [`AdoptError`] says why it was not taken. It is closed then.
    pub async fn adopt(&self, adopted: Adopted) -> Result<(), AdoptError> {
        let (reply, taken) = bounded(1);
        let letter = Letter::Adopt(adopted, Reply::new(move |outcome| reply.try_send(outcome)));
        let shard = self.dealer.next(&self.shards).ok_or(Ended)?;
        shard.send(letter).await.map_err(|_| Ended)?;
        taken.recv().await.map_err(|_| Ended)?
    }
}

/// Offers a connection that another server has accepted.
pub(crate) fn take(driver: &Rc<Driver<impl Hosted>>, adopted: Adopted) -> Result<(), AdoptError> {
    let (socket, peer, mut ahead) = adopted.into_parts();
    let (stream, listener) = (Stream::new(socket)?, ListenerId::ADOPTED);
    let taken = driver.accept(stream, peer, listener, &mut ahead);
    taken.then_some(()).ok_or(AdoptError::Refused)
}
