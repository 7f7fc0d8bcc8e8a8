//! Members that have lost their connection and may come back: for a moment their rooms keep their place and tell
//! nobody.

use core::time::Duration;

use super::Server;
use super::deadlines::Deadline;
use crate::id::ClientId;
use crate::message::LeaveReason;
use crate::room::guests::Guests;

impl Server {
    /// A member of a room that has its home here is away.
    pub(super) fn miss(
        &mut self,
        room: u32,
        (client, lives): (ClientId, u32),
        reason: LeaveReason,
        metadata: Option<Box<str>>,
    ) {
        let until = self.now.mono + Duration::from_millis(self.config.sessions.away_ms);
        let Some((name, entry)) = self.rooms.get_mut(room) else {
            return;
        };
        let guests = entry
            .guests
            .get_or_insert_with(|| Box::new(Guests::new(name)));
        guests.miss((client, lives), (until, reason), metadata);
        self.deadlines.insert(until, Deadline::Away(room));
    }

    /// Who was waited for has not come back: now it has left.
    pub(super) fn away_for_too_long(&mut self, room: u32) {
        let now = self.now.mono;
        loop {
            self.steps.one();
            let entry = self.rooms.get_mut(room);
            let guests = entry.and_then(|(_, entry)| entry.guests.as_deref_mut());
            let Some((client, reason)) = guests.and_then(|guests| guests.pop_missed(now)) else {
                return;
            };
            let quietly = self.leaves_quietly(reason);
            self.member_has_left(room, client, reason, quietly);
        }
    }

    /// Whether a client is a member of a room already, or still, on no connection or another one than that which
    /// joins: then it comes back, and nobody needs to be told.
    pub(super) fn is_missed(&self, room: u32, client: &ClientId) -> bool {
        let guests = self.rooms.get(room).and_then(|room| room.guests.as_deref());
        guests.is_some_and(|guests| guests.contains(client))
    }

    /// A client is none of those of a room that are elsewhere or away.
    pub(super) fn forget_guest(&mut self, room: u32, client: &ClientId) {
        let entry = self.rooms.get_mut(room);
        if let Some(guests) = entry.and_then(|(_, entry)| entry.guests.as_deref_mut()) {
            guests.remove(client);
        }
    }
}
