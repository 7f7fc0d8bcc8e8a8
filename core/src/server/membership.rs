//! Joining and leaving rooms: each change is one step that produces its reply and its notices.

use core::time::Duration;
use std::sync::Arc;

use super::Server;
use super::admission::Refused;
use super::deadlines::Deadline;
use super::messages::{Outcome, refusal};
use crate::cluster::message::Told;
use crate::config::{RoomNames, RoomRule, SlowReader};
use crate::error::ErrorCode;
use crate::id::ClientId;
use crate::machine::ShardId;
use crate::message::{Asked, LeaveReason, ServerMessage, Since};
use crate::room::guests::Guests;
use crate::room::history::{History, Keeps};
use crate::room::registry::Registry;
use crate::room::{self, LOBBY, LOBBY_SERIAL, Membership, Room, Rule, SERIALS, Variant};
use crate::session::connection::Session;
use crate::session::facts::Fact;
use crate::session::outbox::Outboxes;

/// Someone who is leaving.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving {
    pub(super) index: u32,
    pub(super) client: ClientId,
    pub(super) reason: LeaveReason,
    /// It may come back, and its rooms keep its place for a moment; how many connections it has had before this one.
    pub(super) comes_back: Option<u32>,
}

impl Server {
    /// Joins a room, made if there is none. A member that joins again gets the reply and nobody a notice. Who comes back
    /// is told what was said `since`.
    pub(super) fn join(
        &mut self,
        index: u32,
        name: &str,
        since: Option<Since>,
        asked: Asked<'_>,
    ) -> Result<Outcome, Refused> {
        check_name(name, &self.config.room_names)?;
        let home = self.home(name);
        let room = self.rooms.find(name);
        let again = room.is_some_and(|room| self.is_member(index, room));
        let client = self.client_id(index);
        let back = room
            .zip(client)
            .is_some_and(|(room, it)| self.is_missed(room, &it));
        let said = self.deliveries_since(room, since.as_ref());
        if again {
            self.admit(index, said)?;
        } else {
            self.check_own_rooms(index)?;
            if home == self.shard && !back {
                self.check_room(room)?;
            }
            let others = room
                .filter(|_| !back)
                .map_or(0, |room| self.notices_for(room));
            self.admit(index, others + said)?;
        }
        if home != self.shard {
            self.ask_to_join(index, home, name, (again, since), asked);
            return Ok(Outcome::Later);
        }
        let room = room.unwrap_or_else(|| self.make_room(name, home));
        if !again {
            self.enter(index, room, back);
        }
        self.reply_joined(index, room, name, asked);
        if let Some(since) = since {
            let found = self.said_since(room, &since);
            self.catch_up(index, name, found.as_ref());
        }
        if !again && let Some((to, client)) = self.connections.id(index).zip(client) {
            self.offer_to_member(room, to, client);
        }
        Ok(Outcome::Replied)
    }

    pub(super) fn make_room(&mut self, name: &str, home: ShardId) -> u32 {
        // After four thousand million rooms they begin again.
        self.last_room = match self.last_room + 1 {
            SERIALS => LOBBY_SERIAL + 1,
            serial => serial,
        };
        self.mirrors += usize::from(home != self.shard);
        let (rule, keeps) = self.rule(name);
        let mut room = Room::new(rule, self.last_room, home);
        if home == self.shard && keeps.messages > 0 {
            let epoch = self.epoch_of(room.serial);
            room.history = Some(Box::new(History::new(keeps, epoch)));
        }
        self.rooms.insert(name, room)
    }

    /// Whether a client may be in another room.
    pub(super) fn check_own_rooms(&self, index: u32) -> Result<(), Refused> {
        let limits = &self.config.limits;
        let session = self.connections.get(index).and_then(|c| c.session());
        let joined = session.map_or(0, |session| session.memberships.len() - 1);
        if joined >= limits.max_rooms_per_client as usize {
            let message = "You are in as many rooms as you may be: leave one first";
            return Err(refusal(ErrorCode::TooManyRooms, message));
        }
        Ok(())
    }

    /// Whether a room that has its home here takes another member.
    pub(super) fn check_room(&self, room: Option<u32>) -> Result<(), Refused> {
        let limits = &self.config.limits;
        match room {
            None if self.rooms_are_full() => {
                let message = "The server holds as many rooms as it can";
                Err(refusal(ErrorCode::TooManyRooms, message))
            }
            Some(room) if self.room_len(room) >= limits.max_members_per_room as usize => Err(
                refusal(ErrorCode::RoomFull, "The room takes no more members"),
            ),
            _ => Ok(()),
        }
    }

    fn enter(&mut self, index: u32, room: u32, back: bool) {
        if let Some(client) = self.client_id(index) {
            if back {
                let metadata = self.metadata(index).to_owned();
                if let Some(who) = self.who(index) {
                    self.tell_what_is_new(room, who, &metadata);
                }
                self.forget_guest(room, &client);
            } else {
                self.expect(room, client);
            }
            self.take_place(index, room);
        }
    }

    /// A room is about to have another member: it is told, and lingers no more.
    pub(super) fn expect(&mut self, room: u32, client: ClientId) {
        self.tell_joined(room, client);
        self.lingers_no_more(room);
    }

    /// A room is not empty any more.
    pub(super) fn lingers_no_more(&mut self, room: u32) {
        if let Some((_, entry)) = self.rooms.get_mut(room)
            && let Some(due) = entry.linger_due.take()
        {
            self.deadlines.remove(due, Deadline::RoomLinger(room));
        }
    }

    /// Puts a client among the members of a room who are connected here.
    pub(super) fn take_place(&mut self, index: u32, room: u32) {
        let Some(variant) = self.variant(index) else {
            return;
        };
        let Some((_, entry)) = self.rooms.get_mut(room) else {
            return;
        };
        let slot = entry.join(variant, index, &self.outboxes);
        self.outboxes
            .facts
            .note(|| Fact::Joined { slot: index, room });
        if let Some(session) = self
            .connections
            .get_mut(index)
            .and_then(|c| c.session_mut())
        {
            session.set_slot(room, slot);
        }
    }

    /// Leaves a room.
    pub(super) fn leave(
        &mut self,
        index: u32,
        name: &str,
        asked: Asked<'_>,
    ) -> Result<Outcome, Refused> {
        let room = self.find_own_room(index, name)?;
        self.admit(index, 0)?;
        let Some(client) = self.client_id(index) else {
            return Ok(Outcome::Done);
        };
        self.leave_room(
            room,
            &Leaving {
                index,
                client,
                reason: LeaveReason::Left,
                comes_back: None,
            },
        );
        self.send(index, &ServerMessage::LeftRoom { room: name }, asked);
        Ok(Outcome::Replied)
    }

    /// Takes a member out of a room and tells the others.
    pub(super) fn leave_room(&mut self, room: u32, leaving: &Leaving) {
        self.stop_typing(leaving.index, room, leaving.client);
        let Some(session) = self
            .connections
            .get_mut(leaving.index)
            .and_then(|c| c.session_mut())
        else {
            return;
        };
        let Some(variant) = session.variant() else {
            return;
        };
        self.steps
            .many(session.memberships.len() + session.missed().len());
        if let Some(slot) = session.remove_slot(room) {
            let index = leaving.index;
            self.outboxes
                .facts
                .note(|| Fact::Left { slot: index, room });
            self.vacate(room, variant, slot);
            // Before the room's number can be another's that it joins.
            self.note_drops();
            self.leave_files(index, room);
            self.after_leave(room, leaving, None);
        }
    }

    /// Takes a session that was taken out of its connection out of all its rooms.
    pub(super) fn leave_all_rooms(&mut self, leaving: &Leaving, session: &mut Session) {
        let Some(variant) = session.variant() else {
            return;
        };
        // Out of every room first: what follows is not for the one who leaves.
        let memberships = core::mem::take(&mut session.memberships);
        self.steps.many(memberships.len() + session.typing().len());
        for &Membership { room, slot } in &memberships {
            let index = leaving.index;
            self.outboxes
                .facts
                .note(|| Fact::Left { slot: index, room });
            self.vacate(room, variant, slot);
        }
        let typing = session
            .extra
            .as_mut()
            .map(|extra| core::mem::take(&mut extra.typing));
        for (room, due) in typing.unwrap_or_default() {
            self.deadlines
                .remove(due, Deadline::Typing(leaving.index, room));
            self.say(room, None, Told::StoppedTyping(leaving.client));
        }
        let extra = session.extra.as_deref();
        let extra = extra.filter(|_| leaving.comes_back.is_some());
        let metadata: Option<Arc<str>> = extra.map(|extra| extra.metadata.as_json().into());
        for membership in &memberships {
            self.after_leave(membership.room, leaving, metadata.as_ref());
        }
    }

    /// Empties a member's slot; the member that takes it is told its new place.
    fn vacate(&mut self, room: u32, variant: Variant, slot: u32) {
        let Some((_, entry)) = self.rooms.get_mut(room) else {
            return;
        };
        let before = entry.kept_bytes();
        let moved = entry.leave(variant, slot, &mut self.outboxes);
        self.input_bytes = self.input_bytes - before + entry.kept_bytes();
        let moved = moved.and_then(|index| self.connections.get_mut(index));
        if let Some(session) = moved.and_then(|connection| connection.session_mut()) {
            session.set_slot(room, slot);
        }
    }

    fn after_leave(&mut self, room: u32, leaving: &Leaving, metadata: Option<&Arc<str>>) {
        if room == LOBBY {
            return;
        }
        if !self.is_home(room) {
            self.leave_elsewhere(room, leaving);
        } else if let Some(lives) = leaving.comes_back {
            let metadata = metadata.map(Arc::clone);
            self.miss(room, (leaving.client, lives), leaving.reason, metadata);
        } else {
            let quietly = self.leaves_quietly(leaving.reason);
            self.member_has_left(room, leaving.client, leaving.reason, quietly);
        }
    }

    /// A room that has its home here has lost a member, of which the others are told unless it leaves `quietly`.
    pub(super) fn member_has_left(
        &mut self,
        room: u32,
        client: ClientId,
        reason: LeaveReason,
        quietly: bool,
    ) {
        if self.room_len(room) == 0 {
            self.room_is_empty(room);
        } else if !quietly {
            self.tell_left(room, client, reason);
        }
    }

    /// Removes an empty room, at once or after it has lingered.
    fn room_is_empty(&mut self, room: u32) {
        let Some((_, entry)) = self.rooms.get_mut(room) else {
            return;
        };
        let linger = entry.rule.linger;
        if linger.is_zero() {
            self.remove_room(room);
            return;
        }
        let due = self.now.mono + linger;
        entry.linger_due = Some(due);
        self.deadlines.insert(due, Deadline::RoomLinger(room));
    }

    /// Removes a room without members.
    pub(super) fn remove_room(&mut self, room: u32) {
        let Some(mut removed) = self.rooms.remove(room) else {
            return;
        };
        self.input_bytes -= removed.kept_bytes();
        self.mirrors -= usize::from(removed.home != self.shard);
        if let Some(history) = removed.history.take() {
            self.forget_history(room, &history);
        }
        for group in removed.groups() {
            group.audience.clear(&mut self.outboxes);
        }
        if let Some(guests) = removed.guests.take() {
            self.sessions.away -= guests.away();
            if let Some(due) = guests.due {
                self.deadlines.remove(due, Deadline::Away(room));
            }
        }
        if let Some(due) = removed.notice_due {
            self.deadlines.remove(due, Deadline::RoomNotice(room));
        }
        if let Some(due) = removed.held_until {
            self.held.forget(due, room);
        }
        // Its number may stay among the dirty rooms until the next seal, which finds nothing to do there.
    }

    fn reply_joined(&mut self, index: u32, room: u32, name: &str, asked: Asked<'_>) {
        let Some(client) = self.client_id(index) else {
            return;
        };
        let members = self.list_members(room, client);
        let total = self.room_len(room);
        let reply = ServerMessage::JoinedRoom {
            room: name,
            members: members.into(),
            total,
            history: self.position_of(room),
        };
        self.send(index, &reply, asked);
    }

    /// The members of a room that has its home here, as many as are listed; `client` is among them, at the end.
    pub(super) fn list_members(&self, room: u32, client: ClientId) -> Vec<ClientId> {
        let cap = self.config.limits.max_members_listed.max(1) as usize;
        self.steps.many(self.room_len(room).min(cap));
        let entry = self.rooms.get(room);
        let here = entry.into_iter().flat_map(Room::connections);
        let here = here.filter_map(|member| self.client_id(member));
        let guests = entry.and_then(|room| room.guests.as_deref());
        let guests = guests.into_iter().flat_map(Guests::clients);
        let others = here.chain(guests).filter(|&other| other != client);
        others.take(cap - 1).chain([client]).collect()
    }

    /// The room called `name`, which the client must be in.
    pub(super) fn find_own_room(&self, index: u32, name: &str) -> Result<u32, Refused> {
        check_name(name, &self.config.room_names)?;
        let Some(room) = self.rooms.find(name) else {
            return Err(no_such_room());
        };
        if self.is_member(index, room) {
            Ok(room)
        } else {
            Err(not_member())
        }
    }

    pub(super) fn is_member(&self, index: u32, room: u32) -> bool {
        let session = self.connections.get(index).and_then(|c| c.session());
        session.is_some_and(|session| session.slot(room).is_some())
    }

    /// Members of a room on all shards: as it is at its home, as it was last told elsewhere.
    pub(super) fn room_len(&self, room: u32) -> usize {
        self.rooms.get(room).map_or(0, |room| {
            if room.home != self.shard {
                return room.total as usize;
            }
            room.len_here() + room.guests.as_deref().map_or(0, Guests::len)
        })
    }

    /// The rooms of a client, without the lobby.
    pub(super) fn rooms_of(&self, index: u32) -> impl Iterator<Item = u32> {
        let session = self.connections.get(index).and_then(|c| c.session());
        let all = session.map_or(&[][..], |session| &session.memberships);
        self.steps.many(all.len());
        all.iter().map(|m| m.room).filter(|&room| room != LOBBY)
    }

    /// Whether two clients are in a room together. O(rooms of both).
    pub(super) fn share_a_room(&self, a: u32, b: u32) -> bool {
        let mut theirs = self.rooms_of(b).peekable();
        for room in self.rooms_of(a) {
            while theirs.next_if(|&other| other < room).is_some() {}
            if theirs.peek() == Some(&room) {
                return true;
            }
        }
        false
    }

    /// What holds for a room, and what it keeps; that is not for every room to remember.
    fn rule(&self, name: &str) -> (Rule, Keeps) {
        self.steps.many(self.config.rooms.len());
        let mut rules = self.config.rooms.iter();
        match rules.find(|rule| room::matches(&rule.pattern, name)) {
            Some(rule) => (resolve(rule), keeps(rule)),
            None => (resolve(&RoomRule::default()), keeps(&RoomRule::default())),
        }
    }
}

pub(super) const fn no_such_room() -> Refused {
    refusal(ErrorCode::NoSuchRoom, "There is no such room")
}

pub(super) const fn not_member() -> Refused {
    let message = "You are not in that room: join it first";
    refusal(ErrorCode::NotMember, message)
}

fn resolve(rule: &RoomRule) -> Rule {
    Rule {
        slow_reader: rule.slow_reader,
        flush_delay: rule.flush_delay_ms.map(Duration::from_millis),
        linger: Duration::from_millis(rule.linger_ms),
        notice_members: rule.notice_members as usize,
        notice_interval: Duration::from_millis(rule.notice_interval_ms),
        metadata_notices: rule.metadata_notices,
    }
}

const fn keeps(rule: &RoomRule) -> Keeps {
    Keeps {
        messages: rule.history_messages as usize,
        bytes: rule.history_bytes,
        age: Duration::from_millis(rule.history_ms),
    }
}

/// Broadcasts reach everyone or close who is too slow.
pub(super) fn lobby_rule() -> Rule {
    Rule {
        slow_reader: SlowReader::Close,
        flush_delay: Some(Duration::ZERO),
        ..resolve(&RoomRule::default())
    }
}

/// Puts a new client into the lobby.
pub(super) fn lobby_slot(
    rooms: &mut Registry<Room>,
    variant: Variant,
    index: u32,
    outboxes: &Outboxes,
) -> u32 {
    match rooms.get_mut(LOBBY) {
        Some((_, lobby)) => lobby.join(variant, index, outboxes),
        None => 0,
    }
}

fn check_name(name: &str, rules: &RoomNames) -> Result<(), Refused> {
    if name.is_empty() || name.len() > rules.max_bytes {
        let message = "room: empty or too long";
        return Err(refusal(ErrorCode::InvalidRoom, message));
    }
    let allowed = |c: char| match &rules.allowed_punctuation {
        Some(punctuation) => c.is_ascii_alphanumeric() || punctuation.contains(c),
        None => !c.is_control(),
    };
    if !name.chars().all(allowed) {
        let message = "room: holds characters that are not allowed";
        return Err(refusal(ErrorCode::InvalidRoom, message));
    }
    let mut reserved = rules.reserved_prefixes.iter();
    if reserved.any(|prefix| name.starts_with(prefix.as_str())) {
        let message = "room: names that begin so belong to the server";
        return Err(refusal(ErrorCode::Reserved, message));
    }
    Ok(())
}
