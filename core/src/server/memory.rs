//! Where a server's memory is, structure by structure: for diagnosis, not for limits.
//!
//! Capacity is counted, not length: what was asked of the allocator and not given back. What the allocator
//! adds to each allocation is not seen, and trees are estimated.

use super::{News, NextBinary, Rest, Server};
use crate::room::{Membership, Room};
use crate::session::connection::{Connection, Session, Stage};
use crate::time::Instant;

/// Bytes on the heap by what they are for; see [`Server::memory`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Memory {
    /// One slot for each connection that there ever was at once, with what every stage needs.
    pub slots: usize,
    /// What a WebSocket session adds to its slot, without the lists below.
    pub sessions: usize,
    /// Which rooms each session is in that is in more than one.
    pub memberships: usize,
    /// Metadata and display names.
    pub metadata: usize,
    /// Unfinished messages, request heads and bodies, and input that waits behind a full queue.
    pub input: usize,
    /// What few sessions note: rooms they are typing in, messages they missed, mistakes, how they ended.
    pub notes: usize,
    /// One send queue for each slot, and the lists of those that have something to report.
    pub outboxes: usize,
    /// Entries of the send queues.
    pub nodes: usize,
    /// Encoded messages that somebody is still to get, and empty buffers kept for the next ones.
    pub buffers: usize,
    /// One timer for each slot.
    pub timers: usize,
    /// Deadlines that are no connection's timer, and application requests that wait for an answer.
    pub deadlines: usize,
    /// The addresses that are known.
    pub addresses: usize,
    /// Rooms, without their members and names.
    pub rooms: usize,
    /// Who is in each room.
    pub members: usize,
    /// Messages that rooms keep for later.
    pub history: usize,
    /// Room names and the table that finds them.
    pub names: usize,
    /// Events and connections that wait for a poll.
    pub news: usize,
    /// What waits on its way to other shards, or from there.
    pub relay: usize,
    /// Files on their way: who takes part, and those that came in one message.
    pub files: usize,
    /// What messages are compressed and inflated with, whoever they are of: as much as known of it.
    pub compression: usize,
}

impl Memory {
    /// All of it.
    pub fn total(&self) -> usize {
        self.parts().iter().map(|&(_, bytes)| bytes).sum()
    }

    /// Each part by its field's name.
    pub fn parts(&self) -> [(&'static str, usize); 20] {
        [
            ("slots", self.slots),
            ("sessions", self.sessions),
            ("memberships", self.memberships),
            ("metadata", self.metadata),
            ("input", self.input),
            ("notes", self.notes),
            ("outboxes", self.outboxes),
            ("nodes", self.nodes),
            ("buffers", self.buffers),
            ("timers", self.timers),
            ("deadlines", self.deadlines),
            ("addresses", self.addresses),
            ("rooms", self.rooms),
            ("members", self.members),
            ("history", self.history),
            ("names", self.names),
            ("news", self.news),
            ("relay", self.relay),
            ("files", self.files),
            ("compression", self.compression),
        ]
    }

    fn add_connection(&mut self, connection: &Connection) {
        self.input += connection.tail.held_bytes();
        self.slots += connection.peer.heap_bytes();
        match &connection.stage {
            Stage::Session(session) => self.add_session(session),
            Stage::Request(request) => {
                self.input += request.body.as_deref().map_or(0, size_of_val);
            }
            Stage::Closing(closing) | Stage::Over(Some(closing)) => {
                self.notes += size_of_val(&**closing);
            }
            Stage::Over(None) => {}
        }
    }

    fn add_session(&mut self, session: &Session) {
        self.sessions += size_of_val(session);
        if session.memberships.spilled() {
            self.memberships += session.memberships.capacity() * size_of::<Membership>();
        }
        self.input += session.unfinished_bytes();
        if let Some(extra) = &session.extra {
            self.metadata += extra.metadata.heap_bytes();
            self.metadata += extra.user.as_deref().map_or(0, str::len);
            self.notes += size_of_val(&**extra);
            self.notes += capacity_bytes(&extra.typing) + capacity_bytes(&extra.missed);
            let waiting = extra.waiting.as_deref();
            self.notes += waiting.map_or(0, |w| size_of_val(w) + w.heap_bytes());
            // What it holds counts as input.
            self.notes += extra.batch.as_deref().map_or(0, size_of_val);
            self.input += extra.batch.as_deref().map_or(0, Rest::heap_bytes);
            let mail = extra.mail.as_deref();
            self.notes += mail.map_or(0, |mail| size_of_val(mail) + mail.bytes());
            self.notes += extra.next_binary.as_ref().map_or(0, NextBinary::heap_bytes);
        }
    }

    fn add_room(&mut self, name: &str, room: &Room) {
        self.names += name.len();
        self.members += room.member_bytes();
        self.buffers += room.kept_bytes();
        let history = room.history.as_deref();
        self.history += history.map_or(0, |it| size_of_val(it) + it.heap_bytes());
    }
}

impl Server {
    /// How much memory each structure holds. O(connections + rooms): for diagnosis, not for every turn.
    pub fn memory(&self) -> Memory {
        let mut memory = Memory {
            slots: self.connections.heap_bytes(),
            outboxes: self.outboxes.heap_bytes(),
            nodes: self.outboxes.node_bytes(),
            buffers: self.outboxes.buffers.heap_bytes()
                + self.scratch.capacity()
                + self.replies.heap_bytes(),
            timers: self.timers.heap_bytes(),
            deadlines: self.deadlines.heap_bytes()
                + self.pending.heap_bytes()
                + self.unfinished.heap_bytes()
                + self.sessions.heap_bytes()
                + self.repeats.heap_bytes()
                + self.throttled.len() * size_of::<(u32, Instant)>()
                + self.jobs.heap_bytes(),
            addresses: self.addresses.heap_bytes(),
            rooms: self.rooms.value_bytes()
                + capacity_bytes(&self.dirty)
                + capacity_bytes(&self.sealing)
                + self.held.heap_bytes(),
            names: self.rooms.table_bytes(),
            news: self.news.capacity() * size_of::<News>()
                + self.refusals.heap_bytes()
                + self.backlog.capacity() * size_of::<u32>(),
            history: self.histories.heap_bytes(),
            relay: self.links.heap_bytes(),
            files: self.files.heap_bytes(),
            compression: self.compression.heap_bytes(),
            input: self.jobs.input_bytes(),
            ..Memory::default()
        };
        let connections = (0..self.connections.slots()).filter_map(|i| self.connections.get(i));
        connections.for_each(|connection| memory.add_connection(connection));
        for (name, room) in self.rooms.iter() {
            memory.add_room(name, room);
        }
        memory
    }
}

/// What a vector has asked of the allocator.
fn capacity_bytes<T>(vector: &Vec<T>) -> usize {
    vector.capacity() * size_of::<T>()
}
