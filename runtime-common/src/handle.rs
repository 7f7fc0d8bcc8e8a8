//! How a program talks to a server that runs on an asynchronous runtime, whichever: what differs is the mailbox.

use std::future::Future;
use std::sync::Arc;
use std::thread;

use roomwire_core::server::{Command, SavedSession};
use roomwire_core::{ClientId, Stats};

use crate::adopt::{AdoptError, Adopted, Dealer};
use crate::error::Ended;
use crate::mailbox::{Letter, Reply, shard_of};
use crate::reply::one;
use crate::sessions::{Asking, SessionHolder};

/// The sender's side of a shard's mailbox, as a runtime has it.
pub trait Post: Clone + Send + Sync + 'static {
    /// Waits while the mailbox is full.
    ///
    /// # Errors
    /// [`Ended`] when nobody will open the letter.
    fn send(&self, letter: Letter) -> impl Future<Output = Result<(), Ended>> + Send;

    /// The same outside a runtime.
    ///
    /// # Errors
    /// [`Ended`] when nobody will open the letter.
    fn send_blocking(&self, letter: Letter) -> Result<(), Ended>;

    /// Without waiting. A letter that nobody would open is gone.
    ///
    /// # Errors
    /// Gives it back if the mailbox is full.
    fn try_send(&self, letter: Letter) -> Result<(), Letter>;
}

/// Talks to a running server from any thread.
#[derive(Clone, Debug)]
pub struct Handle<P> {
    shards: Arc<[P]>,
    asking: Asking,
    dealer: Dealer,
}

impl<P: Post> Handle<P> {
    /// Reaches the shards behind these mailboxes, whose sessions are asked for there.
    pub fn new(shards: impl IntoIterator<Item = P>, asking: Asking) -> Self {
        Self {
            shards: shards.into_iter().collect(),
            asking,
            dealer: Dealer::default(),
        }
    }

    /// Carries out a command, in the order of the calls. Waits while 1,024 are on their way.
    ///
    /// # Errors
    /// [`Ended`] when the server no longer runs.
    pub async fn command(&self, command: Command) -> Result<(), Ended> {
        let Some(shard) = shard_of(&command) else {
            return self.send_all(|| Letter::Command(command.clone())).await;
        };
        let mailbox = self.shards.get(usize::from(shard.0)).ok_or(Ended)?;
        mailbox.send(Letter::Command(command)).await
    }

    /// Counters and gauges as they stand, of all shards together.
    ///
    /// # Errors
    /// [`Ended`] when the server no longer runs.
    pub async fn stats(&self) -> Result<Stats, Ended> {
        let mut all = Stats::default();
        for shard in &*self.shards {
            let (give, stats) = one();
            let reply = Reply::new(|stats| give.give(stats));
            shard.send(Letter::Stats(reply)).await?;
            all += stats.await.ok_or(Ended)?;
        }
        Ok(all)
    }

    /// Takes a session out of the server, for another one of the same
    /// [`sessions.key`](roomwire_core::config::Sessions::key): the connection that has it, if any, is closed with 4409,
    /// unless it has asked for it after `asked_ms`: when that is wanted, in ms since 1970, as
    /// [`Event::SessionWanted`](roomwire_core::server::Event::SessionWanted) tells. `None`: it has none. Whoever takes it has it alone, and is to give it to a server
    /// ([`Command::GiveSession`]) or to a store. Where the future is dropped before it is ready, the server's
    /// [store](crate::SessionStore) keeps it.
    ///
    /// # Errors
    /// [`Ended`] when the server no longer runs. What it has had is in its store.
    pub async fn take_session(
        &self,
        client: ClientId,
        asked_ms: u64,
    ) -> Result<Option<SavedSession>, Ended> {
        let asked = self.asking.ask(client)?;
        if asked.is_open() {
            // One that has ended may have left it to another one.
            let _ = self
                .send_all(|| Letter::Command(Command::TakeSession { client, asked_ms }))
                .await;
        }
        Ok(asked.await)
    }

    /// [`take_session`](Self::take_session) outside a runtime, such as in a [store](crate::SessionStore): blocks, but no
    /// longer than [`timeouts.relay_ms`](roomwire_core::config::Timeouts::relay_ms) and a second; who has no answer by then
    /// is told `None`. Where that would hold up a loop, as a store without threads for hooks does, it is so at once.
    ///
    /// # Errors
    /// As [`take_session`](Self::take_session).
    pub fn take_session_blocking(
        &self,
        client: ClientId,
        asked_ms: u64,
    ) -> Result<Option<SavedSession>, Ended> {
        self.asking
            .ask_all((client, asked_ms), &self.shards, P::try_send)
    }

    /// Takes over a connection that another server has upgraded, on one thread after the other. Waits, on whichever
    /// runtime, until the server runs and has taken it.
    ///
    /// # Errors
    /// [`AdoptError`] says why it was not taken. It is closed then.
    pub async fn adopt(&self, adopted: Adopted) -> Result<(), AdoptError> {
        let (give, taken) = one();
        let letter = Letter::Adopt(adopted, Reply::new(|outcome| give.give(outcome)));
        let shard = self.dealer.next(&self.shards).ok_or(Ended)?;
        shard.send(letter).await?;
        taken.await.ok_or(Ended)?
    }

    /// Asks the server to say goodbye to everyone and end. A server that has ended takes no notice.
    pub async fn drain(&self) {
        let _ = self.send_all(|| Letter::Command(Command::Drain)).await;
    }

    /// [`drain`](Self::drain) outside a runtime: blocks while a mailbox is full.
    pub fn drain_blocking(&self) {
        for shard in &*self.shards {
            let _ = shard.send_blocking(Letter::Command(Command::Drain));
        }
    }

    /// [`abort`](Self::abort) outside a runtime: blocks while a mailbox is full.
    pub fn abort_blocking(&self) {
        for shard in &*self.shards {
            let _ = shard.send_blocking(Letter::Abort);
        }
    }

    /// Ends the server at once: every connection is cut. A server that has ended takes no notice.
    pub async fn abort(&self) {
        let _ = self.send_all(|| Letter::Abort).await;
    }

    /// Sends each shard a letter, also those after one that has ended.
    async fn send_all(&self, letter: impl Fn() -> Letter) -> Result<(), Ended> {
        let mut outcome = Ok(());
        for shard in &*self.shards {
            outcome = outcome.and(shard.send(letter()).await);
        }
        outcome
    }
}

impl<P: Post> SessionHolder for Handle<P> {
    fn hand_over(&self, client: ClientId, asked_ms: u64) -> Result<Option<SavedSession>, Ended> {
        self.take_session_blocking(client, asked_ms)
    }
}

/// Ends the server when the future that runs it is dropped.
pub(crate) struct AbortOnDrop<P: Post>(pub(crate) Handle<P>);

impl<P: Post> Drop for AbortOnDrop<P> {
    fn drop(&mut self) {
        for shard in &*self.0.shards {
            // A drop must not wait until a busy shard has emptied its mailbox.
            if let Err(abort) = shard.try_send(Letter::Abort) {
                let shard = shard.clone();
                let _ = thread::Builder::new().spawn(move || shard.send_blocking(abort));
            }
        }
    }
}
