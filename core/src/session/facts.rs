//! What became of messages, as facts in the order in which they happened: the last so many, if any are asked for.
//!
//! Queues and rooms note here what they do anyway; what follows from it for one message and one connection is
//! worked out elsewhere, when it is asked. Knows connections as slots; a slot's owner changes at [`Fact::Over`].

use std::collections::VecDeque;

use smallvec::SmallVec;

use crate::config::SlowReader;
use crate::error::ErrorCode;
use crate::id::ConnectionId;
use crate::session::buffer::Place;
use crate::session::connection::CloseCause;

/// The log; with a capacity of 0 it notes nothing.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    ring: VecDeque<Fact>,
    capacity: usize,
    /// Messages published so far.
    published: u64,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    /// A message got its number.
    Published(Box<Published>),
    /// A message was refused before it was published.
    Refused {
        from: ConnectionId,
        id: Option<Box<str>>,
        code: ErrorCode,
    },
    Joined {
        slot: u32,
        room: u32,
    },
    Left {
        slot: u32,
        room: u32,
    },
    /// It says goodbye: its rooms are left.
    Closing {
        slot: u32,
        cause: CloseCause,
    },
    /// The id is dead.
    Over {
        connection: ConnectionId,
    },
    /// The policy for slow readers took it.
    Dropped {
        slot: u32,
        place: Place,
    },
    /// It was given up with its connection.
    Discarded {
        slot: u32,
        place: Place,
    },
    /// It was queued again, from another buffer.
    Moved {
        slot: u32,
        from: Place,
        to: Place,
    },
}

/// A message that was published, or sent to one client.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    pub(crate) number: u64,
    /// `None`: the embedding program.
    pub(crate) from: Option<ConnectionId>,
    /// The `id` of the request.
    pub(crate) id: Option<Box<str>>,
    pub(crate) to: Audience,
    /// Nowhere if nobody gets it.
    pub(crate) places: Places,
}

/// Where a message lies, in each variant that somebody gets.
pub(crate) type Places = SmallVec<[Place; 2]>;

/// Who a message is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Audience {
    Room { room: u32, policy: SlowReader },
    Client(ConnectionId),
}

impl Facts {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            ..Self::default()
        }
    }

    pub(crate) const fn is_on(&self) -> bool {
        self.capacity > 0
    }

    pub(crate) const fn published(&self) -> u64 {
        self.published
    }

    /// Notes what `fact` makes. One branch when the log is off.
    #[inline]
    pub(crate) fn note(&mut self, fact: impl FnOnce() -> Fact) {
        if self.is_on() {
            self.push(fact());
        }
    }

    #[cold]
    fn push(&mut self, fact: Fact) {
        if self.ring.len() >= self.capacity {
            self.ring.pop_front();
        }
        self.ring.push_back(fact);
    }

    /// Gives a message its number.
    pub(crate) fn publish(&mut self, from: Option<ConnectionId>, to: Audience, places: Places) {
        if self.is_on() {
            self.published += 1;
            let number = self.published;
            self.push(Fact::Published(Box::new(Published {
                number,
                from,
                id: None,
                to,
                places,
            })));
        }
    }

    /// Tells where the last message lies, unless it has been forgotten already.
    pub(crate) fn place(&mut self, place: Option<Place>) {
        let last = self.ring.iter_mut().rev().find_map(|fact| match fact {
            Fact::Published(published) => Some(published),
            _ => None,
        });
        if let Some(published) = last.filter(|last| last.number == self.published) {
            published.places.extend(place);
        }
    }

    /// What was published after the first `before` messages answers the request `id`.
    pub(crate) fn name(&mut self, before: u64, id: &str) {
        let recent = self.ring.iter_mut().rev();
        let published = recent.filter_map(|fact| match fact {
            Fact::Published(published) => Some(published),
            _ => None,
        });
        for published in published.take_while(|published| published.number > before) {
            published.id = Some(id.into());
        }
    }

    /// The facts from the oldest on.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Fact> + ExactSizeIterator {
        self.ring.iter()
    }
}
