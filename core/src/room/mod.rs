//! Rooms: who is in them, and how a message reaches them once per wire form.
//!
//! Knows connections as numbers and messages as encoded bytes; nothing of dialects, sockets or limits on
//! speaking. Room 0 is the lobby: everyone, for broadcasts; it has no name and is never listed.

#[cfg(test)]
mod tests;

pub(crate) mod audience;
pub(crate) mod guests;
pub(crate) mod history;
pub(crate) mod registry;

use core::ops::{AddAssign, SubAssign};
use core::time::Duration;
use std::sync::Arc;

use audience::Audience;
use guests::Guests;
use history::History;
use smallvec::SmallVec;

use crate::cluster::files::Offer;
use crate::config::SlowReader;
use crate::machine::ShardId;
use crate::session::buffer::Place;
use crate::session::outbox::Outboxes;
use crate::time::Instant;
use crate::websocket::deflate::Window;

/// How a message stands on the wire. A connection has one form for as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WireForm {
    /// JSON text with the server's envelope.
    Json,
    /// JSON text, room messages and broadcasts without the envelope.
    JsonRaw,
    /// Binary frames.
    Binary,
}

impl WireForm {
    pub(crate) const ALL: [Self; 3] = [Self::Json, Self::JsonRaw, Self::Binary];
}

/// Who gets the same bytes. A connection is of one variant for as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Variant {
    pub(crate) form: WireForm,
    /// What long messages are compressed for; `None`: they are not.
    pub(crate) window: Option<Window>,
}

/// The room of everyone.
pub(crate) const LOBBY: u32 = 0;
/// Its serial.
pub(crate) const LOBBY_SERIAL: u32 = 0;
/// No room's serial: from here on buffers are marked that belong to none.
pub(crate) const SERIALS: u32 = u32::MAX - 1;

/// One room.
#[derive(Debug)]
pub(crate) struct Room {
    /// One for each variant that has members, sorted. Mostly there is one.
    groups: SmallVec<[Group; 1]>,
    pub(crate) rule: Rule,
    /// Which room it is among all that have been: unlike its number, no later room has it. Marks its buffers,
    /// which queues hold longer than the room may last.
    pub(crate) serial: u32,
    /// The shard that numbers its messages.
    pub(crate) home: ShardId,
    /// In the list of rooms that wait for a seal, or among those that are held first.
    pub(crate) dirty: bool,
    /// Until when it is held.
    pub(crate) held_until: Option<Instant>,
    /// What it was told since the last seal began.
    pub(crate) told: Load,
    /// How many messages of it were said: the others are notices.
    pub(crate) said: u32,
    /// More than one was in the last seal.
    pub(crate) is_busy: bool,
    /// Away from its home: members of all shards, as last told.
    pub(crate) total: u32,
    /// At its home: members on other shards, if there have been any.
    pub(crate) guests: Option<Box<Guests>>,
    /// Joins and leaves since the last summed-up notice.
    pub(crate) joined: u64,
    pub(crate) left: u64,
    /// When the next summed-up notice is due.
    pub(crate) notice_due: Option<Instant>,
    /// At its home: files that members may have.
    pub(crate) offers: Vec<Arc<Offer>>,
    /// When the empty room goes.
    pub(crate) linger_due: Option<Instant>,
    /// At its home: what is kept, where anything is.
    pub(crate) history: Option<Box<History>>,
}

/// The members of one variant.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) audience: Audience,
    pub(crate) variant: Variant,
    /// The last message, where the policy `latest` keeps it.
    last: Option<Box<Last>>,
}

/// The last message that a client published in a room.
#[derive(Debug, Default)]
pub(crate) struct Last {
    /// As it stood in the queues.
    pub(crate) frame: Vec<u8>,
    /// Counts up from 1, to tell whether it is still the one that somebody missed.
    pub(crate) number: u64,
    /// Where it lies, to tell whether a drop took it.
    pub(crate) place: Option<Place>,
}

/// The rule that applies to a room, resolved once when it is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) slow_reader: SlowReader,
    /// `None`: as long as is worth it.
    pub(crate) flush_delay: Option<Duration>,
    pub(crate) linger: Duration,
    pub(crate) notice_members: usize,
    pub(crate) notice_interval: Duration,
    pub(crate) metadata_notices: bool,
}

/// What a room's members are to be told, in all forms.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    pub(crate) bytes: usize,
    pub(crate) messages: usize,
}

impl AddAssign for Load {
    fn add_assign(&mut self, more: Self) {
        self.bytes += more.bytes;
        self.messages += more.messages;
    }
}

impl SubAssign for Load {
    fn sub_assign(&mut self, less: Self) {
        self.bytes -= less.bytes;
        self.messages -= less.messages;
    }
}

/// A client's place in a room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Membership {
    pub(crate) room: u32,
    pub(crate) slot: u32,
}

impl Room {
    pub(crate) fn new(rule: Rule, serial: u32, home: ShardId) -> Self {
        Self {
            home,
            total: 0,
            guests: None,
            groups: SmallVec::new(),
            rule,
            serial,
            dirty: false,
            held_until: None,
            told: Load::default(),
            said: 0,
            is_busy: false,
            joined: 0,
            left: 0,
            notice_due: None,
            linger_due: None,
            offers: Vec::new(),
            history: None,
        }
    }

    /// A seal begins, unless one has begun that its budget did not suffice for.
    pub(crate) fn begin_seal(&mut self) {
        let has_begun = self.groups.iter().any(|group| group.audience.is_sealing());
        if self.dirty && !has_begun {
            self.told = Load::default();
            self.is_busy = core::mem::take(&mut self.said) > 1;
        }
    }

    /// Members of all variants on this shard.
    pub(crate) fn len_here(&self) -> usize {
        self.groups.iter().map(|group| group.audience.len()).sum()
    }

    /// The members of each variant that has some. O(variants), as are those below: they are at most 12.
    pub(crate) fn groups(&mut self) -> impl Iterator<Item = &mut Group> {
        self.groups.iter_mut()
    }

    /// The members of a variant, if it has any.
    pub(crate) fn group(&self, variant: Variant) -> Option<&Group> {
        self.groups.iter().find(|group| group.variant == variant)
    }

    /// Their audience.
    pub(crate) fn audience(&mut self, variant: Variant) -> Option<&mut Audience> {
        let mut groups = self.groups.iter_mut();
        let group = groups.find(|group| group.variant == variant)?;
        Some(&mut group.audience)
    }

    /// Adds a member; returns its slot among those of its variant.
    pub(crate) fn join(&mut self, variant: Variant, connection: u32, outboxes: &Outboxes) -> u32 {
        let found = self
            .groups
            .binary_search_by_key(&variant, |group| group.variant);
        let at = found.unwrap_or_else(|at| {
            let group = Group {
                audience: Audience::new(),
                variant,
                last: None,
            };
            self.groups.insert(at, group);
            at
        });
        self.groups[at].audience.join(connection, outboxes)
    }

    /// Cuts and removes a member; the one that takes its slot is returned. The last of its variant leaves nothing.
    pub(crate) fn leave(
        &mut self,
        variant: Variant,
        slot: u32,
        outboxes: &mut Outboxes,
    ) -> Option<u32> {
        let policy = self.rule.slow_reader;
        let mut groups = self.groups.iter();
        let at = groups.position(|group| group.variant == variant)?;
        let audience = &mut self.groups[at].audience;
        let moved = audience.leave(slot, outboxes, policy);
        if audience.len() == 0 {
            audience.clear(outboxes);
            self.groups.remove(at);
            if self.groups.len() <= 1 {
                self.groups.shrink_to_fit();
            }
        }
        moved
    }

    /// Memory of the lists of members.
    pub(crate) fn member_bytes(&self) -> usize {
        let guests = self.guests.as_deref().map_or(0, Guests::heap_bytes);
        let spilled = if self.groups.spilled() {
            self.groups.capacity() * size_of::<Group>()
        } else {
            0
        };
        let lists = self.groups.iter().map(|group| group.audience.heap_bytes());
        lists.sum::<usize>() + spilled + guests
    }

    /// Memory of what is kept.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.groups.iter().map(Group::kept_bytes).sum()
    }

    pub(crate) fn has_waiting(&self) -> bool {
        self.groups.iter().any(|group| group.audience.is_dirty())
    }

    /// Members on this shard as connection numbers, in no promised order.
    pub(crate) fn connections(&self) -> impl Iterator<Item = u32> {
        let audiences = self.groups.iter().map(|group| &group.audience);
        audiences.flat_map(Audience::connections)
    }
}

impl Group {
    /// The slot of a member of this variant.
    pub(crate) fn slot_of(&self, (variant, slot): (Variant, u32)) -> Option<u32> {
        (variant == self.variant).then_some(slot)
    }

    /// Keeps a message for members that are blocked, as it stands in the queues.
    pub(crate) fn keep_last(&mut self, frame: &[u8], place: Place) {
        let last = self.last.get_or_insert_default();
        last.frame.clear();
        last.frame.extend_from_slice(frame);
        last.number += 1;
        last.place = Some(place);
    }

    /// Memory of what is kept.
    pub(crate) fn kept_bytes(&self) -> usize {
        let last = self.last.as_deref();
        last.map_or(0, |last| size_of_val(last) + last.frame.capacity())
    }

    /// What [`keep_last`](Self::keep_last) kept.
    pub(crate) fn last(&self) -> Option<&Last> {
        self.last.as_deref()
    }

    /// The number of the last message, if it lies in a dropped range; otherwise 0.
    pub(crate) fn last_in(&self, dropped: Place) -> u64 {
        match self.last() {
            Some(last) if last.place.is_some_and(|place| place.is_in(dropped)) => last.number,
            _ => 0,
        }
    }
}

/// Whether `name` matches `pattern`: a name, or a prefix followed by `*`.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}
