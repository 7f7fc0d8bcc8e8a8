//! What a room's members have said while somebody was away: told to who comes back, before anything newer.
//!
//! Who joins with the offset of the last message that it has gets those after it, in pages, and then `resumed`. All of
//! it is queued at once, in the step in which the client becomes a member, so that nothing is missing and nothing comes
//! twice. That can be much: such a client is not listened to while a third of its queue is full, and one room may not
//! tell more than another third.

use super::Server;
use super::history::{MESSAGES_PER_DELIVERY, max_page_bytes};
use crate::message::{Asked, PastMessage, ServerMessage, Since};
use crate::room::history::{Found, wire_bytes};

impl Server {
    /// What has been said in a room that has its home here; `None` if it keeps nothing.
    pub(super) fn said_since(&self, room: u32, since: &Since) -> Option<Found> {
        let history = self.rooms.get(room)?.history.as_deref()?;
        let found = history.since(
            since,
            self.config.limits.max_queued_bytes / 3,
            self.now.mono,
        );
        self.steps.many(found.messages.len());
        Some(found)
    }

    /// What it costs to be told that, in deliveries.
    pub(super) fn deliveries_since(&self, room: Option<u32>, since: Option<&Since>) -> usize {
        let history = || self.rooms.get(room?)?.history.as_deref();
        let count = || Some(history()?.count_since(since?));
        count().unwrap_or(0) / MESSAGES_PER_DELIVERY
    }

    /// Tells somebody who has just been let in what was said before, and that this was all.
    pub(super) fn catch_up(&mut self, index: u32, room: &str, found: Option<&Found>) {
        let mut resumed = ServerMessage::Resumed {
            room,
            position: None,
            complete: false,
        };
        if let Some(found) = found {
            self.tell_pages(index, room, found);
            resumed = ServerMessage::Resumed {
                room,
                position: Some(found.position),
                complete: found.is_complete(),
            };
        }
        self.send(index, &resumed, Asked::Nothing);
        let session = self.connections.get_mut(index);
        if let Some(session) = session.and_then(|connection| connection.session_mut()) {
            session.extra_mut().catches_up = true;
        }
    }

    /// What was found, in pages as `history` has them; the first says what is missing.
    fn tell_pages(&mut self, index: u32, room: &str, found: &Found) {
        let past = found.past();
        let mut rest = past.as_slice();
        let mut left_out = found.left_out.as_slice();
        let mut first = true;
        while !rest.is_empty() || !left_out.is_empty() || (first && !found.is_complete()) {
            let (page, others) = rest.split_at(self.page_of(rest));
            rest = others;
            let next = rest.first().map_or(u64::MAX, |past| past.offset);
            let before = left_out.partition_point(|gap| gap.from < next);
            let (left_out_here, later) = left_out.split_at(before);
            left_out = later;
            let page = ServerMessage::History {
                room,
                position: found.position,
                messages: page.into(),
                more: !rest.is_empty(),
                gap: found.gap.filter(|_| first),
                reset: found.reset && first,
                left_out: left_out_here.into(),
            };
            self.send(index, &page, Asked::Nothing);
            first = false;
        }
    }

    /// How many messages go into one page.
    fn page_of(&self, messages: &[PastMessage<'_>]) -> usize {
        let limits = &self.config.limits;
        let (max_bytes, max_count) = (max_page_bytes(limits), limits.max_history_listed.max(1));
        let mut bytes = 0;
        let fitting = messages.iter().take(max_count as usize).take_while(|past| {
            let is_first = bytes == 0;
            bytes += wire_bytes(past.data.len());
            is_first || bytes <= max_bytes
        });
        fitting.count()
    }

    /// Whether a client has been told much and has not taken it yet.
    pub(super) fn catches_up(&self, index: u32) -> bool {
        let session = self.connections.get(index).and_then(|c| c.session());
        let extra = session.and_then(|session| session.extra.as_deref());
        extra.is_some_and(|extra| extra.catches_up)
    }
}
