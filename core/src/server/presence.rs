//! Who is there: notices of joins and leaves, member lists, typing, metadata, and what slow readers missed.

use std::borrow::Cow;
use std::collections::BinaryHeap;

use super::admission::Refused;
use super::deadlines::Deadline;

use super::messages::Outcome;
use super::{Drain, Server};
use crate::cluster::message::{Found, Page, Told};

use crate::id::ClientId;
use crate::message::{Asked, LeaveReason, ServerMessage};
use crate::room::{Group, LOBBY, Room, Variant};
use crate::session::connection::Missed;
use crate::session::facts::Fact;
use crate::session::outbox::Drop;
use crate::time::Instant;
use crate::websocket::put_frame;

/// A page of members carries at most this much metadata, and at least one member.
const MAX_PAGE_METADATA_BYTES: usize = 64 * 1024;

impl Server {
    // ---- joins and leaves

    /// Deliveries that one join or leave notice causes.
    pub(super) fn notices_for(&self, room: u32) -> usize {
        let members = self.room_len(room);
        match self.rooms.get(room) {
            Some(entry) if members < entry.rule.notice_members => members,
            _ => 0,
        }
    }

    /// The size from which on a room's notices are summed up.
    pub(super) fn notice_members(&self, room: u32) -> usize {
        let entry = self.rooms.get(room);
        entry.map_or(0, |entry| entry.rule.notice_members)
    }

    /// Tells a room that `client` is about to join.
    pub(super) fn tell_joined(&mut self, room: u32, client: ClientId) {
        if !self.sums_up(room, 1, 0) {
            self.tell(room, None, Told::Joined(client));
        }
    }

    /// Tells a room that someone has left.
    pub(super) fn tell_left(&mut self, room: u32, client: ClientId, reason: LeaveReason) {
        if !self.sums_up(room, 0, 1) {
            self.tell(room, None, Told::Left(client, reason));
        }
    }

    /// Whether nobody is told of a client of this shard that leaves: everyone is leaving, and that would be a message per
    /// pair. Who can come back, into the room of a shard that fails, is told of: it would be announced twice.
    pub(super) fn leaves_quietly(&self, reason: LeaveReason) -> bool {
        let is_over = matches!(reason, LeaveReason::Disconnected | LeaveReason::Timeout);
        self.drain != Drain::No && is_over
    }

    /// Whether a large room counts a change instead of telling it at once.
    fn sums_up(&mut self, room: u32, joined: u64, left: u64) -> bool {
        let members = self.room_len(room);
        let due = match self.rooms.get_mut(room) {
            Some((_, entry)) if members >= entry.rule.notice_members => {
                entry.joined += joined;
                entry.left += left;
                match entry.notice_due {
                    Some(_) => None,
                    None => {
                        let due = self.now.mono + entry.rule.notice_interval;
                        entry.notice_due = Some(due);
                        Some(due)
                    }
                }
            }
            _ => return false,
        };
        if let Some(due) = due {
            self.deadlines.insert(due, Deadline::RoomNotice(room));
        }
        true
    }

    /// A large room's summed-up notice is due.
    pub(super) fn room_notice(&mut self, room: u32) {
        let Some((_, entry)) = self.rooms.get_mut(room) else {
            return;
        };
        entry.notice_due = None;
        let joined = core::mem::take(&mut entry.joined);
        let left = core::mem::take(&mut entry.left);
        self.tell(room, None, Told::Changed { joined, left });
    }

    // ---- lists

    /// A page of members in the order of their ids. O(members of the room) and charged accordingly.
    pub(super) fn members(
        &mut self,
        index: u32,
        name: &str,
        after: Option<&str>,
        limit: Option<u32>,
        metadata: bool,
        asked: Asked<'_>,
    ) -> Result<Outcome, Refused> {
        let room = self.find_own_room(index, name)?;
        let total = self.room_len(room);
        self.admit(index, total / MEMBERS_PER_DELIVERY)?;
        let cap = self.config.limits.max_members_listed.max(1);
        let page = Page {
            after: after.map(Box::from),
            limit: limit.unwrap_or(cap).clamp(1, cap) as usize,
            metadata,
        };
        if !self.is_home(room) {
            self.ask_members(index, room, page, asked);
            return Ok(Outcome::Later);
        }
        let found = self.find_members(room, &page);
        self.reply_members(index, name, &found, total, asked);
        Ok(Outcome::Replied)
    }

    pub(super) fn reply_members(
        &mut self,
        index: u32,
        name: &str,
        found: &Found,
        total: usize,
        asked: Asked<'_>,
    ) {
        let metadata = found.metadata.as_ref();
        let metadata: Option<Vec<_>> =
            metadata.map(|all| all.iter().map(|one| Cow::Borrowed(&**one)).collect());
        let reply = ServerMessage::Members {
            room: name,
            members: (&found.members).into(),
            metadata: metadata.map(Cow::Owned),
            total,
            more: found.more,
        };
        self.send(index, &reply, asked);
    }

    /// A page of the members of a room that has its home here.
    pub(super) fn find_members(&self, room: u32, page: &Page) -> Found {
        let after = page.after.as_deref().unwrap_or_default();
        let (mut members, mut more) = self.page(room, after, page.limit);
        let metadata = page
            .metadata
            .then(|| self.metadata_of(room, &mut members, &mut more));
        Found {
            members: members.into_iter().map(|(client, _)| client).collect(),
            metadata,
            more,
        }
    }

    /// The `limit` smallest ids after `after` with the slots of those that are connected here, and whether there
    /// are more.
    fn page(&self, room: u32, after: &str, limit: usize) -> (Vec<(ClientId, Option<u32>)>, bool) {
        let mut smallest = BinaryHeap::with_capacity(limit + 1);
        let mut more = false;
        let entry = self.rooms.get(room);
        let here = entry.into_iter().flat_map(Room::connections);
        let here = here.filter_map(|slot| Some((self.client_id(slot)?, Some(slot))));
        let guests = entry.and_then(|room| room.guests.as_deref());
        let guests = guests.into_iter().flat_map(|guests| guests.after(after));
        let guests = guests.map(|client| (client, None)).take(limit + 1);
        for member in here.chain(guests) {
            self.steps.one();
            if member.0.as_str() <= after {
                continue;
            }
            smallest.push(member);
            if smallest.len() > limit {
                smallest.pop();
                more = true;
            }
        }
        (smallest.into_sorted_vec(), more)
    }

    /// The metadata of a page's members; the page ends where there would be too much.
    fn metadata_of(
        &self,
        room: u32,
        page: &mut Vec<(ClientId, Option<u32>)>,
        more: &mut bool,
    ) -> Vec<Box<str>> {
        let guests = self.rooms.get(room).and_then(|room| room.guests.as_deref());
        let mut bytes = 0;
        let mut metadata = Vec::new();
        for &(client, slot) in page.iter() {
            let json = match slot {
                Some(slot) => self.metadata(slot),
                None => guests.map_or("{}", |guests| guests.metadata(&client)),
            };
            bytes += json.len();
            if bytes > MAX_PAGE_METADATA_BYTES && !metadata.is_empty() {
                break;
            }
            metadata.push(json.into());
        }
        if metadata.len() < page.len() {
            page.truncate(metadata.len());
            *more = true;
        }
        metadata
    }

    /// A client's metadata, a JSON object.
    pub(super) fn metadata(&self, index: u32) -> &str {
        let session = self.connections.get(index).and_then(|c| c.session());
        let extra = session.and_then(|session| session.extra.as_deref());
        extra.map_or("{}", |extra| extra.metadata.as_json())
    }

    // ---- typing

    /// A client starts or stops typing. Others are told of changes only; typing expires on its own.
    pub(super) fn typing(
        &mut self,
        index: u32,
        name: &str,
        start: bool,
    ) -> Result<Outcome, Refused> {
        let room = self.find_own_room(index, name)?;
        self.admit(index, self.room_len(room) - 1)?;
        let Some(client) = self.client_id(index) else {
            return Ok(Outcome::Done);
        };
        if !start {
            self.stop_typing(index, room, client);
            return Ok(Outcome::Done);
        }
        let due = self.now.mono + self.typing_time();
        let news = self.replace_typing(index, room, Some(due)).is_none();
        self.deadlines.insert(due, Deadline::Typing(index, room));
        if news {
            self.say(room, self.connections.id(index), Told::Typing(client));
        }
        Ok(Outcome::Done)
    }

    fn typing_time(&self) -> core::time::Duration {
        core::time::Duration::from_millis(self.config.timeouts.typing_ms)
    }

    /// Sets until when a client types in a room; returns until when it did.
    fn replace_typing(&mut self, index: u32, room: u32, due: Option<Instant>) -> Option<Instant> {
        let session = self.connections.get_mut(index)?.session_mut()?;
        if due.is_none() && session.extra.is_none() {
            return None;
        }
        let typing = &mut session.extra_mut().typing;
        self.steps.many(typing.len());
        let at = typing.iter().position(|&(typed, _)| typed == room);
        let old = at.map(|at| typing.swap_remove(at).1);
        if let Some(due) = due {
            typing.push((room, due));
        }
        if let Some(old) = old {
            self.deadlines.remove(old, Deadline::Typing(index, room));
        }
        old
    }

    /// Ends a client's typing in a room, if it is.
    pub(super) fn stop_typing(&mut self, index: u32, room: u32, client: ClientId) {
        if self.replace_typing(index, room, None).is_some() {
            let from = self.connections.id(index);
            self.say(room, from, Told::StoppedTyping(client));
        }
    }

    /// Typing ran out.
    pub(super) fn typing_expired(&mut self, index: u32, room: u32) {
        if let Some(client) = self.client_id(index) {
            self.stop_typing(index, room, client);
        }
    }

    // ---- metadata

    /// Members of all rooms of a client that are told of its metadata.
    pub(super) fn audience_of(&self, index: u32) -> usize {
        self.told_rooms(index)
            .map(|room| self.room_len(room) - 1)
            .sum()
    }

    fn told_rooms(&self, index: u32) -> impl Iterator<Item = u32> {
        let session = self.connections.get(index).and_then(|c| c.session());
        let rooms = session.map_or(&[][..], |session| &session.memberships);
        self.steps.many(rooms.len());
        rooms.iter().map(|m| m.room).filter(|&room| {
            let entry = self.rooms.get(room);
            room != LOBBY && entry.is_some_and(|entry| entry.rule.metadata_notices)
        })
    }

    /// Tells the members of shared rooms, and the rooms' homes, which keep a copy.
    pub(super) fn tell_metadata(&mut self, index: u32, metadata: &str) {
        let Some(client) = self.client_id(index) else {
            return;
        };
        let from = self.connections.id(index);
        let rooms: Vec<u32> = match self.links.is_empty() {
            true => self.told_rooms(index).collect(),
            false => self.rooms_of(index).collect(),
        };
        for room in rooms {
            let entry = self.rooms.get(room);
            let told = entry.is_some_and(|entry| entry.rule.metadata_notices);
            if told || !self.is_home(room) {
                self.say(room, from, Told::Updated { client, metadata });
            }
        }
    }

    // ---- slow readers

    /// Notes what the queues dropped since the last look. It is told when the client has drained.
    pub(super) fn note_drops(&mut self) {
        let mut drops = core::mem::take(&mut self.outboxes.drops);
        let mut idle = Vec::new();
        for drop in drops.drain(..) {
            self.steps.one();
            self.stats.dropped += u64::from(drop.messages);
            let room = self.room_of_drop(&drop);
            let last = room.map_or(0, |room| self.missed_last(&drop, room));
            let connection = self.connections.get_mut(drop.connection);
            if let Some(session) = connection.and_then(|connection| connection.session_mut()) {
                self.steps.many(session.missed().len());
                session.miss(room, u64::from(drop.messages), last);
                if self.outboxes.is_idle(drop.connection) {
                    idle.push(drop.connection);
                }
            }
        }
        self.outboxes.drops = drops;
        // What fits no queue is dropped although nothing is waiting to drain.
        for index in idle {
            self.tell_missed(index);
        }
    }

    /// The number of the room whose messages were dropped, if the client is still in it. O(rooms of the client).
    fn room_of_drop(&self, drop: &Drop) -> Option<u32> {
        let session = self.connections.get(drop.connection)?.session()?;
        let mut rooms = session.memberships.iter().map(|m| m.room);
        rooms.find(|&room| {
            self.steps.one();
            let room = self.rooms.get(room);
            room.is_some_and(|room| room.serial == drop.room)
        })
    }

    /// The number of its room's last message, if a drop took it, and not only notices after it; otherwise 0.
    fn missed_last(&self, drop: &Drop, room: u32) -> u64 {
        let (Some(range), Some(variant)) = (drop.latest, self.variant(drop.connection)) else {
            return 0;
        };
        let dropped = self.outboxes.buffers.place(range);
        let group = self.rooms.get(room).and_then(|room| room.group(variant));
        group.map_or(0, |group| group.last_in(dropped))
    }

    /// A slow reader has caught up: it is told what it missed, and gets the last message where the room's
    /// policy keeps it.
    pub(super) fn tell_missed(&mut self, index: u32) {
        let Some(variant) = self.variant(index) else {
            return;
        };
        let Some(session) = self
            .connections
            .get_mut(index)
            .and_then(|c| c.session_mut())
        else {
            return;
        };
        let missed = session
            .extra
            .as_mut()
            .map(|extra| core::mem::take(&mut extra.missed));
        for missed in missed.unwrap_or_default() {
            self.steps.one();
            self.tell_missed_in(index, variant, missed);
        }
    }

    /// What its rooms have published since, and not sealed, comes after what it missed: unlike before other
    /// messages of its own, it is not cut from them first.
    fn tell_missed_in(&mut self, index: u32, variant: Variant, missed: Missed) {
        let Missed {
            room,
            messages,
            last,
        } = missed;
        let name = (room != LOBBY && self.is_member(index, room)).then(|| self.rooms.name(room));
        // A later one reaches it like any other, or is its own.
        let group = self.rooms.get(room).and_then(|room| room.group(variant));
        let last = match group.and_then(Group::last) {
            Some(kept) if name.is_some() && last > 0 && kept.number == last => Some(kept),
            _ => None,
        };
        let count = messages - u64::from(last.is_some());
        if count > 0 {
            let told = ServerMessage::MessagesDropped { room: name, count };
            let mut scratch = core::mem::take(&mut self.scratch);
            scratch.clear();
            let dialect = self.encode(index, &told, Asked::Nothing, &mut scratch);
            self.stats.direct += 1;
            self.outboxes
                .direct(index, |out| put_frame(out, dialect.opcode(), &scratch));
            self.scratch = scratch;
        }
        if let Some(last) = last {
            // The delivery that was counted as dropped takes place after all.
            self.stats.dropped -= 1;
            let to = self
                .outboxes
                .direct(index, |out| out.extend_from_slice(&last.frame));
            if let Some((from, to)) = last.place.zip(to) {
                let slot = index;
                self.outboxes.facts.note(|| Fact::Moved { slot, from, to });
            }
        }
    }
}

/// Reading a page of a large room costs one delivery per this many members.
const MEMBERS_PER_DELIVERY: usize = 100;
