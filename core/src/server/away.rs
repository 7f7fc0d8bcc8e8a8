//! Members that have lost their connection and may come back: for a moment their rooms keep their place and tell
//! nobody.

use core::time::Duration;
use std::sync::Arc;

use super::Server;
use super::deadlines::Deadline;
use super::sessions::ENDS_AT_ONCE;
use crate::cluster::message::{Told, Who};
use crate::id::{ClientId, ConnectionId};
use crate::message::LeaveReason;
use crate::room::guests::Guests;

impl Server {
    /// A member of a room that has its home here is away. Where too many are, it has left.
    pub(super) fn miss(
        &mut self,
        room: u32,
        (client, lives): (ClientId, u32),
        reason: LeaveReason,
        metadata: Option<Arc<str>>,
    ) {
        if self.sessions.away >= self.config.sessions.max_away as usize {
            self.forget_guest(room, &client);
            let quietly = self.leaves_quietly(reason);
            return self.member_has_left(room, client, reason, quietly);
        }
        let wait = Duration::from_millis(self.config.sessions.rooms_wait_ms());
        let until = self.now.mono + wait;
        self.change_guests(room, |guests| {
            guests.miss((client, lives), (until, reason), metadata);
        });
        self.look_for_who_is_away(room);
    }

    /// Changes who of a room is elsewhere or away.
    pub(super) fn change_guests<R>(
        &mut self,
        room: u32,
        change: impl FnOnce(&mut Guests) -> R,
    ) -> Option<R> {
        let (name, entry) = self.rooms.get_mut(room)?;
        let guests = entry
            .guests
            .get_or_insert_with(|| Box::new(Guests::new(name)));
        let before = guests.away();
        let changed = change(guests);
        self.sessions.away = self.sessions.away - before + guests.away();
        Some(changed)
    }

    /// Looks at those that are away when the first of them has been for long enough.
    fn look_for_who_is_away(&mut self, room: u32) {
        let entry = self.rooms.get_mut(room);
        let guests = entry.and_then(|(_, entry)| entry.guests.as_deref_mut());
        if let Some(guests) = guests
            && guests.due.is_none()
            && let Some(due) = guests.next_due()
        {
            guests.due = Some(due);
            self.deadlines.insert(due, Deadline::Away(room));
        }
    }

    /// Who was waited for has not come back: now it has left.
    pub(super) fn away_for_too_long(&mut self, room: u32) {
        let now = self.now.mono;
        for _ in 0..ENDS_AT_ONCE {
            self.steps.one();
            let missed = self.change_guests(room, |guests| {
                guests.due = None;
                guests.pop_missed(now)
            });
            let Some((client, reason)) = missed.flatten() else {
                break;
            };
            let quietly = self.leaves_quietly(reason);
            self.member_has_left(room, client, reason, quietly);
        }
        self.look_for_who_is_away(room);
    }

    /// Whether a client is a member of a room already, or still, on no connection or another one than that which
    /// joins: then it comes back, and nobody needs to be told.
    pub(super) fn is_missed(&self, room: u32, client: &ClientId) -> bool {
        let guests = self.rooms.get(room).and_then(|room| room.guests.as_deref());
        guests.is_some_and(|guests| guests.contains(client))
    }

    /// A client is none of those of a room that are elsewhere or away. `false` if it was none before.
    pub(super) fn forget_guest(&mut self, room: u32, client: &ClientId) -> bool {
        self.is_missed(room, client)
            && self.change_guests(room, |guests| guests.remove(client)) == Some(true)
    }

    /// A client is back in a room for which it has never been away: others hear what it says of itself if that is not
    /// what it said before. To be called before it is put among the members.
    pub(super) fn tell_what_is_new(&mut self, room: u32, who: Who, metadata: &str) {
        let Who {
            connection, client, ..
        } = who;
        let entry = self.rooms.get(room);
        let known = entry.and_then(|room| room.guests.as_deref());
        let known = known.map_or("{}", |guests| guests.metadata(&client));
        if known != metadata && entry.is_some_and(|room| room.rule.metadata_notices) {
            let except: Option<ConnectionId> = Some(connection);
            self.tell(room, except, Told::Updated { client, metadata });
        }
    }
}
