//! Links without room: which messages wait for some, and what goes on when there is.

use super::super::Server;
use super::super::messages::Wrapping;
use super::asking::For;
use crate::cluster::link::Freight;
use crate::dialect::json::Shape;
use crate::machine::ShardId;
use crate::message::{ClientMessage, Destination, FileRequest, Heard, Kept, Request};

/// A message that waits for room on a link.
#[derive(Debug)]
pub(super) struct Held {
    message: Kept,
    /// Of a text that took long to read.
    shape: Option<Shape>,
}

impl Held {
    /// Memory besides its place.
    pub(super) fn heap_bytes(&self) -> usize {
        self.message.heap_bytes() + self.shape.as_ref().map_or(0, Shape::heap_bytes)
    }
}

impl Server {
    /// The link that a message would go over, if too much is on its way there.
    pub(in crate::server) fn busy_link(
        &self,
        index: u32,
        message: &ClientMessage<'_>,
    ) -> Option<ShardId> {
        if self.links.is_empty() {
            return None;
        }
        match message {
            ClientMessage::Broadcast { .. } => self.busy_link_of(""),
            ClientMessage::PrivateMessage { to, .. } => {
                let shard = to.and_then(|to| self.elsewhere(&to));
                shard.filter(|&shard| self.links.is_busy(shard, Freight::Talk))
            }
            ClientMessage::SetMetadata { .. } => {
                let mut rooms = self.rooms_of(index);
                rooms.find_map(|room| self.busy_link_of(self.rooms.name(room)))
            }
            // They only give something up.
            ClientMessage::Leave { .. } | ClientMessage::File(FileRequest::Abort { .. }) => None,
            ClientMessage::File(request) => {
                let shard = self.shard_for_file(index, request)?;
                match request {
                    FileRequest::Chunk { transfer, .. } if shard == self.shard => {
                        let busy = |shard: &ShardId| self.links.is_busy(*shard, Freight::Pieces);
                        self.files.shards_of(*transfer).find(busy)
                    }
                    _ => self.links.is_busy(shard, freight(message)).then_some(shard),
                }
            }
            // No room has an empty name but the lobby, where such a request wants nothing.
            message => self.busy_link_of(room_of(message).filter(|name| !name.is_empty())?),
        }
    }

    /// The link of a room with too much on its way: to its home, or from there to its members.
    fn busy_link_of(&self, name: &str) -> Option<ShardId> {
        let home = self.home(name);
        if home != self.shard {
            return self.links.is_busy(home, Freight::Talk).then_some(home);
        }
        let busy = |shard: &ShardId| self.links.is_busy(*shard, Freight::Talk);
        if name.is_empty() {
            return self.links.shards().find(busy);
        }
        let room = self.rooms.get(self.rooms.find(name)?)?;
        let mut shards = room.guests.as_deref()?.shards().map(|(shard, _)| shard);
        shards.find(busy)
    }

    /// Keeps a message until there is room on a link, and with it what has been found out about it: it is not read again
    /// elsewhere.
    pub(in crate::server) fn wait_for_link(
        &mut self,
        index: u32,
        shard: ShardId,
        (heard, shape): (Heard<'_>, Option<&Shape>),
        request: &Request<'_>,
    ) {
        let turn = self.links.wait(shard, freight(&request.message), index);
        let held = Held {
            message: Kept::from(heard),
            shape: shape.cloned(),
        };
        self.input_bytes += held.heap_bytes();
        self.wait(index, request.asked, shard, For::Link { turn, held });
        self.spare_kept(index);
    }

    /// There is room on a link that a client has waited for.
    pub(super) fn link_is_free(&mut self, index: u32) {
        let Some(waiting) = self.stop_waiting(index, None) else {
            return;
        };
        if let For::Link { held, .. } = &waiting.whatfor {
            self.input_bytes -= held.heap_bytes();
            let (heard, shape) = (held.message.heard(), held.shape.as_ref());
            self.understand(index, heard, shape, Wrapping::None);
        }
        if !self.waits_for_shard(index) {
            self.go_on_reading(index);
        }
    }
}

/// As what a message goes over a link.
fn freight(message: &ClientMessage<'_>) -> Freight {
    match message {
        ClientMessage::File(FileRequest::Chunk { .. }) => Freight::Pieces,
        _ => Freight::Talk,
    }
}

/// The room that a message is about.
pub(in crate::server) fn room_of<'a>(message: &'a ClientMessage<'_>) -> Option<&'a str> {
    match message {
        ClientMessage::Join { room, .. }
        | ClientMessage::Leave { room }
        | ClientMessage::RoomMessage { room, .. }
        | ClientMessage::Members { room, .. }
        | ClientMessage::History { room, .. }
        | ClientMessage::TypingStart { room }
        | ClientMessage::TypingStop { room } => Some(room),
        ClientMessage::File(FileRequest::Start {
            to: Destination::Room(room),
            ..
        }) => Some(room),
        _ => None,
    }
}
