//! What is refused before it becomes a session, as the embedding program hears of it: once per kind and minute, however
//! many there are. The counters have every single one.

use core::fmt;
use core::time::Duration;
use std::collections::VecDeque;

use super::{Event, News, Server};
use crate::http::Status;
use crate::machine::PeerAddr;
use crate::time::Instant;

/// Why a connection or a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Refused {
    /// A connection, as the server is full or leaving.
    Full,
    /// A connection, as its address has too many.
    Address,
    /// A connection that should have begun with the PROXY protocol, and a trusted proxy at its far end.
    Unproxied,
    /// A request, with this status; or one that was cut off, as its body was malformed.
    Request(Status),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("connection: the server is full or leaving"),
            Self::Address => f.write_str("connection: too many of one address"),
            Self::Unproxied => {
                f.write_str("connection: not by the PROXY protocol of a trusted proxy")
            }
            Self::Request(status) => write!(f, "request: {} {}", status.code(), status.reason()),
        }
    }
}

/// The kinds that were told of less than a minute ago, in the order in which that will have passed. There are few
/// kinds: to look for one is to look at all.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    told: VecDeque<Untold>,
}

/// What has come of a kind since it was told.
#[derive(Clone, Copy, Debug)]
struct Untold {
    kind: Refused,
    count: u64,
    /// Whose the last one was.
    peer: PeerAddr,
    /// When it may be told of again.
    due: Instant,
}

/// The first of a kind is told at once, and what follows it when this has passed.
const TELL_EVERY: Duration = Duration::from_secs(60);

impl Refusals {
    fn get_mut(&mut self, kind: Refused) -> Option<&mut Untold> {
        self.told.iter_mut().find(|untold| untold.kind == kind)
    }

    /// When a kind may be told of again.
    pub(super) fn first_due(&self) -> Option<Instant> {
        self.told.front().map(|untold| untold.due)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.told.capacity() * size_of::<Untold>()
    }
}

impl Server {
    /// Something was refused. O(kinds).
    pub(super) fn note_refusal(&mut self, kind: Refused, peer: PeerAddr) {
        self.steps.one();
        if let Some(untold) = self.refusals.get_mut(kind) {
            untold.count += 1;
            untold.peer = peer;
            return;
        }
        self.tell_refusals(Untold {
            kind,
            count: 1,
            peer,
            due: self.now.mono + TELL_EVERY,
        });
    }

    /// A request of a connection was refused: counts it, too.
    pub(super) fn note_refused_request(&mut self, index: u32, status: Status) {
        self.stats.refused_requests += 1;
        if let Some(connection) = self.connections.get(index) {
            self.note_refusal(Refused::Request(status), (&connection.peer).into());
        }
    }

    fn tell_refusals(&mut self, untold: Untold) {
        self.news.push_back(News::Refused(untold.kind));
        self.refusals.told.push_back(untold);
    }

    /// Tells of what has come of kinds whose minute is over. O(these).
    pub(super) fn tell_due_refusals(&mut self) {
        let now = self.now.mono;
        // Each once: at the end of time a minute from now is now.
        for _ in 0..self.refusals.told.len() {
            if self.refusals.first_due().is_none_or(|due| due > now) {
                return;
            }
            let Some(untold) = self.refusals.told.pop_front() else {
                return;
            };
            self.steps.one();
            if untold.count > 0 {
                let due = now + TELL_EVERY;
                self.tell_refusals(Untold { due, ..untold });
            }
        }
    }

    /// The server is about to be gone: tells of everything that is untold.
    pub(super) fn tell_last_refusals(&mut self) {
        let untold = self.refusals.told.iter().filter(|untold| untold.count > 0);
        self.news
            .extend(untold.map(|untold| News::Refused(untold.kind)));
    }

    /// The news of a kind; `None` if it was told with what came before.
    pub(super) fn refused_event(&mut self, kind: Refused) -> Option<Event> {
        let untold = self.refusals.get_mut(kind)?;
        let count = core::mem::take(&mut untold.count);
        let peer = untold.peer;
        (count > 0).then_some(Event::Refused { kind, count, peer })
    }
}
