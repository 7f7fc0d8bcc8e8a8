//! Why a message did or did not reach a client: worked out from [`facts`](crate::session::facts) when it is asked.

use super::{Event, News, Server};
use crate::config::SlowReader;
use crate::error::ErrorCode;
use crate::id::ConnectionId;
use crate::session::NONE;
use crate::session::buffer::Place;
use crate::session::connection::CloseCause;
use crate::session::facts::{Audience, Fact, Places, Published};

/// Names a message of a client or of the embedding program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessageName {
    /// By its number: messages to rooms, to everyone and to one client, counted from 1 in the order in which they
    /// were published while [`explain`](crate::config::Explain) is on.
    Number(u64),
    /// By the request that it came with; of several with the same `id`, the last.
    Request {
        /// Who sent it.
        sender: ConnectionId,
        /// The request's `id`, as raw JSON.
        id: String,
    },
}

/// What became of a message on its way to one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The client's socket took all of it.
    Delivered,
    /// It is queued, or about to be.
    Waiting,
    /// The client was not in the room when it was published, or it was for another client.
    NotMember,
    /// It was the client's own.
    Excluded,
    /// It was refused and never published.
    Refused(ErrorCode),
    /// The room's policy for slow readers dropped it.
    Dropped(SlowReader),
    /// It was queued, or about to be, when the connection was given up. `None`: without a goodbye.
    Discarded(Option<CloseCause>),
    /// The connection had ended before.
    Gone,
    /// The message is older than the log, or was never published, or the log is off.
    Unknown,
}

impl Server {
    /// Messages published to rooms, to everyone and to single clients so far; 0 while
    /// [`explain`](crate::config::Explain) is off. O(1).
    pub fn published(&self) -> u64 {
        self.outboxes.facts.published()
    }

    /// Why `message` did or did not reach `connection`, which may be stale. O(entries of the log).
    pub fn explain(&self, message: &MessageName, connection: ConnectionId) -> Verdict {
        let facts = self.outboxes.facts.iter();
        let found = facts.enumerate().rev().find_map(|(at, fact)| {
            let named = match (fact, message) {
                (Fact::Published(it), MessageName::Number(number)) => it.number == *number,
                (Fact::Published(it), MessageName::Request { sender, id }) => {
                    it.from == Some(*sender) && it.id.as_deref() == Some(id)
                }
                (Fact::Refused { from, id: own, .. }, MessageName::Request { sender, id }) => {
                    from == sender && own.as_deref() == Some(id)
                }
                _ => false,
            };
            named.then_some((at, fact))
        });
        match found {
            Some((_, Fact::Refused { code, .. })) => Verdict::Refused(*code),
            Some((at, Fact::Published(published))) => self.trace(at, published, connection),
            _ => Verdict::Unknown,
        }
    }

    /// Follows a message through what happened after it.
    fn trace(&self, at: usize, published: &Published, connection: ConnectionId) -> Verdict {
        let slot = connection.index();
        let mut trace = Trace {
            places: published.places.clone(),
            fate: Verdict::Delivered,
            member: None,
            closing: None,
        };
        let mut over = false;
        for fact in self.outboxes.facts.iter().skip(at + 1) {
            match fact {
                // Until then the slot was another's: this one came later.
                Fact::Over { connection: other } if other.index() == slot => {
                    if *other != connection {
                        return Verdict::NotMember;
                    }
                    over = true;
                    break;
                }
                _ => trace.follow(fact, slot, published.to),
            }
        }
        let index = self.connections.resolve(connection).filter(|_| !over);
        if !over && index.is_none() {
            return Verdict::Gone;
        }
        let member = match published.to {
            Audience::Client(target) => target == connection,
            Audience::Room { .. } if published.from == Some(connection) => {
                return Verdict::Excluded;
            }
            Audience::Room { room, .. } => {
                let now = || index.is_some_and(|index| self.is_member(index, room));
                trace.member.unwrap_or_else(now)
            }
        };
        if !member {
            return Verdict::NotMember;
        }
        let waits = index.is_some_and(|index| self.waits(index, published.to, &trace.places));
        match trace.fate {
            Verdict::Delivered if published.places.is_empty() => Verdict::Discarded(trace.closing),
            Verdict::Delivered if waits => Verdict::Waiting,
            fate => fate,
        }
    }

    /// Whether a message lies in a connection's queue, or in a room's buffer in front of it.
    fn waits(&self, index: u32, to: Audience, places: &Places) -> bool {
        places.iter().any(|&place| {
            let uncut = match to {
                Audience::Client(_) => false,
                Audience::Room { room, .. } => {
                    let found = self.slot_in(index, room);
                    found.is_some_and(|(variant, slot)| {
                        let group = self.rooms.get(room).and_then(|room| room.group(variant));
                        group.is_some_and(|it| it.audience.waits(slot, place, &self.outboxes))
                    })
                }
            };
            uncut || self.outboxes.holds(index, place)
        })
    }

    /// Answers [`Command::Explain`](super::Command::Explain).
    pub(super) fn tell_why(&mut self, message: MessageName, connection: ConnectionId) {
        let verdict = self.explain(&message, connection);
        self.application_news += 1;
        let event = Event::Explanation {
            message,
            connection,
            verdict,
        };
        self.news.push_back(News::Application(Box::new(event)));
    }
}

/// What is known so far of one message on its way to one slot.
struct Trace {
    /// Where it lies.
    places: Places,
    fate: Verdict,
    /// Whether the slot was in the room, once that is known.
    member: Option<bool>,
    closing: Option<CloseCause>,
}

impl Trace {
    fn follow(&mut self, fact: &Fact, own: u32, to: Audience) {
        let (its, policy) = match to {
            Audience::Room { room, policy } => (room, policy),
            // Only rooms have a policy; what is for one client closes it.
            Audience::Client(_) => (NONE, SlowReader::Close),
        };
        match *fact {
            Fact::Joined { slot, room } if slot == own && room == its => {
                self.member.get_or_insert(false);
            }
            Fact::Left { slot, room } if slot == own && room == its => {
                self.member.get_or_insert(true);
            }
            Fact::Closing { slot, cause } if slot == own => {
                self.closing = Some(cause);
                if let Verdict::Discarded(None) = self.fate {
                    self.fate = Verdict::Discarded(Some(cause));
                }
            }
            Fact::Dropped { slot, place } if slot == own && self.is_at(place) => {
                self.fate = Verdict::Dropped(policy);
            }
            Fact::Discarded { slot, place } if slot == own && self.is_at(place) => {
                self.fate = Verdict::Discarded(self.closing);
            }
            Fact::Moved { slot, from, to } if slot == own && self.is_at(from) => {
                self.fate = Verdict::Delivered;
                for place in &mut self.places {
                    if place.overlaps(from) {
                        *place = place.moved(from, to);
                    }
                }
            }
            _ => {}
        }
    }

    fn is_at(&self, place: Place) -> bool {
        self.places.iter().any(|own| own.overlaps(place))
    }
}

#[cfg(test)]
mod tests;
