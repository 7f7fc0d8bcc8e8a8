//! Rooms: who is in them, and how a message reaches them once per wire form.
//!
//! Knows connections as numbers and messages as encoded bytes; nothing of dialects, sockets or limits on
//! speaking. Room 0 is the lobby: everyone, for broadcasts; it has no name and is never listed.

#[cfg(test)]
mod tests;

pub(crate) mod audience;
pub(crate) mod guests;
pub(crate) mod registry;

use core::time::Duration;
use std::sync::Arc;

use audience::Audience;
use guests::Guests;

use crate::cluster::files::Offer;
use crate::config::SlowReader;
use crate::machine::ShardId;
use crate::session::buffer::Place;
use crate::time::Instant;
use crate::websocket::{OpCode, put_frame};

/// How a message stands on the wire. A connection has one form for as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// The room of everyone.
pub(crate) const LOBBY: u32 = 0;
/// Its serial.
pub(crate) const LOBBY_SERIAL: u32 = 0;
/// No room's serial: from here on buffers are marked that belong to none.
pub(crate) const SERIALS: u32 = u32::MAX - 1;

/// One room.
#[derive(Debug)]
pub(crate) struct Room {
    audiences: [Audience; WireForm::ALL.len()],
    pub(crate) rule: Rule,
    /// Which room it is among all that have been: unlike its number, no later room has it. Marks its buffers,
    /// which queues hold longer than the room may last.
    pub(crate) serial: u32,
    /// The shard that numbers its messages.
    pub(crate) home: ShardId,
    /// In the list of rooms that wait for a seal.
    pub(crate) dirty: bool,
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
    /// The last message in each form, where the policy `latest` keeps it.
    last: Option<Box<[Last; WireForm::ALL.len()]>>,
}

/// The last message that a client published in a room.
#[derive(Debug, Default)]
pub(crate) struct Last {
    /// As it stood in the queues.
    pub(crate) frame: Vec<u8>,
    /// Counts up from 1, to tell whether it is still the one that somebody missed.
    pub(crate) number: u64,
    /// Where it lies, to tell whether a drop took it.
    place: Option<Place>,
}

/// The rule that applies to a room, resolved once when it is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub(crate) slow_reader: SlowReader,
    pub(crate) linger: Duration,
    pub(crate) notice_members: usize,
    pub(crate) notice_interval: Duration,
    pub(crate) metadata_notices: bool,
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
            audiences: [const { Audience::new() }; WireForm::ALL.len()],
            rule,
            serial,
            dirty: false,
            joined: 0,
            left: 0,
            notice_due: None,
            linger_due: None,
            offers: Vec::new(),
            last: None,
        }
    }

    /// Members of all forms on this shard.
    pub(crate) fn len_here(&self) -> usize {
        self.audiences.iter().map(Audience::len).sum()
    }

    pub(crate) fn audience(&mut self, form: WireForm) -> &mut Audience {
        &mut self.audiences[form as usize]
    }

    pub(crate) fn audience_of(&self, form: WireForm) -> &Audience {
        &self.audiences[form as usize]
    }

    /// Where the last message of a form lies, if it is kept.
    pub(crate) fn last_place(&self, form: WireForm) -> Option<Place> {
        self.last_of(form)?.place
    }

    pub(crate) fn audiences(&mut self) -> impl Iterator<Item = &mut Audience> {
        self.audiences.iter_mut()
    }

    /// Keeps a message for members that are blocked, where the rule asks for it.
    pub(crate) fn keep_last(
        &mut self,
        form: WireForm,
        opcode: OpCode,
        payload: &[u8],
        place: Place,
    ) {
        if self.rule.slow_reader == SlowReader::Latest {
            let last = &mut self.last.get_or_insert_default()[form as usize];
            last.frame.clear();
            put_frame(&mut last.frame, opcode, payload);
            last.number += 1;
            last.place = Some(place);
        }
    }

    /// Memory of the lists of members.
    pub(crate) fn member_bytes(&self) -> usize {
        let guests = self.guests.as_deref().map_or(0, Guests::heap_bytes);
        self.audiences
            .iter()
            .map(Audience::heap_bytes)
            .sum::<usize>()
            + guests
    }

    /// Memory of what is kept.
    pub(crate) fn kept_bytes(&self) -> usize {
        let last = self.last.as_deref().into_iter().flatten();
        last.map(|last| last.frame.capacity()).sum()
    }

    /// What [`keep_last`](Self::keep_last) kept.
    pub(crate) fn last_of(&self, form: WireForm) -> Option<&Last> {
        self.last.as_deref().map(|last| &last[form as usize])
    }

    /// The number of the last message of a form, if it lies in a dropped range; otherwise 0.
    pub(crate) fn last_in(&self, form: WireForm, dropped: Place) -> u64 {
        match self.last_of(form) {
            Some(last) if last.place.is_some_and(|place| place.is_in(dropped)) => last.number,
            _ => 0,
        }
    }

    pub(crate) fn has_waiting(&self) -> bool {
        self.audiences.iter().any(Audience::is_dirty)
    }

    /// Members on this shard as connection numbers, in no promised order.
    pub(crate) fn connections(&self) -> impl Iterator<Item = u32> {
        self.audiences.iter().flat_map(Audience::connections)
    }
}

/// Whether `name` matches `pattern`: a name, or a prefix followed by `*`.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    }
}
