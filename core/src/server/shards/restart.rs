//! A shard that has begun anew has lost its clients, and what its rooms were.

use super::super::Server;
use crate::cluster::message::{Item, Request, Told, Who};
use crate::machine::ShardId;
use crate::message::LeaveReason;
use crate::room::LOBBY;

impl Server {
    /// Another shard has begun anew. Its clients have left the rooms that have their home here; rooms that had
    /// their home there are told to it again; and what clients wait for from there is lost. O(connections + rooms).
    pub(in crate::server) fn shard_restarted(&mut self, shard: ShardId, restarts: u16) {
        if shard == self.shard || !self.links.has(shard) {
            self.stats.stale += 1;
            return;
        }
        self.stats.shard_restarts += 1;
        // What it had asked for before comes before its end.
        while let Some(request) = self.links.next_request_of(shard) {
            self.carry_out(shard, request);
        }
        self.stats.relay_lost += self.links.restart(shard, restarts) as u64;
        let own = (!self.links.is_greeted(shard)).then_some(self.restarts);
        self.links.push(shard, Item::Greeting { restarts, own });
        for index in 0..self.connections.slots() {
            if self.waits_for(index, shard) {
                self.lose(index);
            }
        }
        for room in 0..self.rooms.numbers() {
            let Some(home) = self.rooms.get(room).map(|room| room.home) else {
                continue;
            };
            if home == self.shard {
                self.lose_guests(room, shard);
            } else if home == shard && room != LOBBY {
                self.restore_at(room, shard);
            }
        }
        self.files_of_failed(shard);
        self.sessions_of_failed(shard);
        let holds = self.told_holds;
        self.links.tell_holds(shard, holds);
        self.tell_addresses(shard);
    }

    fn lose_guests(&mut self, room: u32, shard: ShardId) {
        let guests = self.rooms.get(room).and_then(|room| room.guests.as_deref());
        let lost = guests.map_or_else(Vec::new, |guests| guests.of_shard(shard));
        let reason = LeaveReason::Disconnected;
        let quietly = self.leaves_quietly(reason);
        for client in lost {
            if self.forget_guest(room, &client) {
                self.member_has_left(room, client, reason, quietly);
            }
        }
    }

    /// Tells a room's home which members it has here.
    fn restore_at(&mut self, room: u32, home: ShardId) {
        let Some(entry) = self.rooms.get(room) else {
            return;
        };
        let members = entry.connections().filter_map(|index| {
            let metadata = Some(self.metadata(index).into());
            Some((self.who(index)?, metadata))
        });
        let request = Request::Restore {
            members: members.collect(),
            room: self.rooms.name(room).into(),
            total: entry.total as usize,
        };
        self.ask(home, request);
    }

    /// Members of a room that this shard was the home of before it began anew. Those that were connected to it
    /// have left, and nobody knows who they were: the others are told how many, and ask for the list.
    pub(super) fn restore(
        &mut self,
        name: &str,
        members: Vec<(Who, Option<Box<str>>)>,
        total: usize,
    ) {
        let room = self.rooms.find(name);
        let room = room.unwrap_or_else(|| self.make_room(name, self.shard));
        if !members.is_empty() {
            // Those of another shard may have come and gone meanwhile.
            self.lingers_no_more(room);
        }
        for (who, metadata) in members {
            // It may have come back on another connection, which was quicker to say so.
            if !self.is_overtaken(room, who) {
                self.add_guest(room, who, metadata);
            }
        }
        let left = total.saturating_sub(self.room_len(room)) as u64;
        let joined = 0;
        self.tell(room, None, Told::Changed { joined, left });
        if let Some(position) = self.position_of(room) {
            self.tell(room, None, Told::Reset(position));
        }
    }
}
