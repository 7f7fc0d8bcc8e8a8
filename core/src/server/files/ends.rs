//! Ends of a transfer that go: their connections end, or the shards that have them.

use std::sync::Arc;

use super::super::Server;
use super::super::messages::Outcome;
use super::asked::{RoomsOf, Want};
use super::{FileWait, Permission, Role};
use crate::cluster::files::{FileAsked, FileTold};
use crate::cluster::message::{Answer, Request, Who};
use crate::error::ErrorCode;
use crate::id::ConnectionId;
use crate::machine::ShardId;
use crate::message::{Asked, TransferId};
use crate::session::connection::Session;

impl Server {
    /// A client is gone, and with it what it had to do with files. O(that).
    pub(in crate::server) fn forget_files(&mut self, index: u32, session: &mut Session) {
        // What was announced and did not come was never begun.
        if let Some(extra) = session.extra.as_mut() {
            extra.next_binary = None;
        }
        let Some(connection) = self.connections.id(index) else {
            return;
        };
        let client = self.id_of(session, index);
        let parts: Vec<_> = self
            .files
            .parts_of(index)
            .map(|(transfer, _)| transfer)
            .collect();
        for transfer in parts {
            self.files.parts.remove(&(index, transfer));
            match self.home_of_transfer(transfer) {
                Some(home) if home == self.shard => self.end_gone(connection, transfer),
                Some(home) => {
                    let request = Request::File {
                        who: Who {
                            connection,
                            client,
                            lives: session.lives(),
                        },
                        ticket: 0,
                        transfer,
                        asked: FileAsked::Gone,
                    };
                    self.ask(home, request);
                }
                None => {}
            }
        }
    }

    /// An end of a transfer that has its home here is gone. A sender may come back.
    fn end_gone(&mut self, connection: ConnectionId, transfer: TransferId) {
        let now = self.now.mono;
        let Some(entry) = self.files.get_mut(transfer) else {
            return;
        };
        if entry.sender == Some(connection) {
            entry.sender = None;
            entry.is_announced = true;
            // What came in one message is all there.
            if entry.body.is_none() {
                entry.transfer.sender_lost(now);
            }
        } else {
            entry.at_it.remove(&connection);
            entry.transfer.remove(now, connection);
        }
        self.review_file(transfer);
    }

    /// A client has left a room, or was thrown out: with that it neither sends files there nor gets any. O(what it has to
    /// do with files).
    pub(in crate::server) fn leave_files(&mut self, index: u32, room: u32) {
        let Some(connection) = self.connections.id(index) else {
            return;
        };
        let parts: Vec<_> = self
            .files
            .parts_of(index)
            .map(|(transfer, part)| (transfer, part.role))
            .collect();
        if parts.is_empty() {
            return;
        }
        let name: Arc<str> = self.rooms.name(room).into();
        for (transfer, role) in parts {
            self.steps.one();
            match (self.home_of_transfer(transfer), role) {
                (None, _) => {}
                (Some(home), _) if home == self.shard => {
                    self.end_left(connection, transfer, &name);
                }
                (Some(home), Role::Sender) => {
                    let room = name.clone();
                    self.tell_home(index, home, transfer, FileAsked::Left { room });
                }
                (Some(_), Role::Receiver(copy)) => {
                    if copy.permission == (Permission::Given { room: Some(room) }) {
                        self.taking_is_over(index, transfer);
                    }
                }
            }
        }
    }

    /// A client of this shard has left the room that a file is for, which it takes from another shard. It is told before
    /// it may come back, be offered the file and take it again: whatever the home says until it hears of that comes too
    /// late.
    fn taking_is_over(&mut self, index: u32, transfer: TransferId) {
        if let Some(connection) = self.connections.id(index) {
            self.tell_file(&[connection], transfer, &LEFT);
        }
        if let Some(home) = self.home_of_transfer(transfer) {
            self.tell_home(index, home, transfer, FileAsked::Gone);
        }
    }

    /// A transfer's home has let a client of this shard have the file, for as long as it is in a room, if it is for one.
    fn may_take(&mut self, index: u32, transfer: TransferId, room: Option<&str>) {
        let room = match room {
            None => None,
            Some(name) => match self.own_room(index, name) {
                // It was taken out meanwhile.
                None => return self.taking_is_over(index, transfer),
                room => room,
            },
        };
        let part = self.files.parts.get_mut(&(index, transfer));
        if let Some(Role::Receiver(copy)) = part.map(|part| &mut part.role) {
            copy.permission = Permission::Given { room };
        }
    }

    /// A room that a client is in.
    fn own_room(&self, index: u32, name: &str) -> Option<u32> {
        let room = self.rooms.find(name)?;
        self.is_member(index, room).then_some(room)
    }

    /// An end of a transfer that has its home here has left a room, which the file may be for.
    fn end_left(&mut self, connection: ConnectionId, transfer: TransferId, room: &str) {
        let now = self.now.mono;
        let entry = self.files.get_mut(transfer);
        let Some(entry) = entry.filter(|entry| entry.offer.room.as_deref() == Some(room)) else {
            return;
        };
        if entry.sender == Some(connection) {
            self.end_file(transfer, None, &SENDER_LEFT);
        } else if entry.at_it.remove(&connection) {
            entry.transfer.remove(now, connection);
            self.tell_file(&[connection], transfer, &LEFT);
            self.review_file(transfer);
        }
    }

    /// A client of this shard has nothing to do with a transfer any more.
    pub(super) fn forget_part(&mut self, connection: ConnectionId, transfer: TransferId) {
        if connection.shard() == self.shard
            && let Some(index) = self.connections.resolve(connection)
        {
            self.remove_part(index, transfer);
        }
    }

    /// A transfer is over for a client of this shard. What its sender was asked for may be on its way.
    pub(super) fn remove_part(&mut self, index: u32, transfer: TransferId) {
        let part = self.files.parts.remove(&(index, transfer));
        if part.is_none_or(|part| part.role != Role::Sender) {
            return self.note_room(index);
        }
        let asked_for = self.files.rules.max_requested_bytes;
        let connection = self.connections.get_mut(index);
        if let Some(session) = connection.and_then(|connection| connection.session_mut()) {
            let late_bytes = &mut session.extra_mut().late_bytes;
            *late_bytes = late_bytes.saturating_add(asked_for);
        }
    }

    /// Whether a piece that nobody wants any more was asked for.
    pub(super) fn is_late(&mut self, index: u32, bytes: usize) -> bool {
        let connection = self.connections.get_mut(index);
        let session = connection.and_then(|connection| connection.session_mut());
        let extra = session.and_then(|session| session.extra.as_mut());
        let (Some(extra), Ok(bytes)) = (extra, u32::try_from(bytes)) else {
            return false;
        };
        match extra.late_bytes.checked_sub(bytes) {
            Some(left) => {
                extra.late_bytes = left;
                true
            }
            None => false,
        }
    }

    /// A transfer that could not be offered is over. Some may have been offered it all the same.
    pub(in crate::server) fn take_back(&mut self, index: u32, transfer: TransferId) {
        self.files.parts.remove(&(index, transfer));
        let sender = self.connections.id(index);
        self.end_file(transfer, sender, &NOT_OFFERED);
    }

    // ---- asked by other shards

    /// Carries out what an end on another shard wants of a transfer.
    pub(in crate::server) fn file_for(
        &mut self,
        who: Who,
        transfer: TransferId,
        asked: FileAsked,
    ) -> Option<Answer> {
        let want = match &asked {
            FileAsked::Gone => {
                self.end_gone(who.connection, transfer);
                return None;
            }
            FileAsked::Left { room } => {
                self.end_left(who.connection, transfer, room);
                return None;
            }
            FileAsked::Resume { secret } => {
                let offset = self.take_up_file(who.connection, transfer, secret);
                return Some(match offset {
                    Ok(offset) => Answer::Resumed { offset },
                    Err(refused) => refused.into(),
                });
            }
            FileAsked::Chunk { offset, data } => Want::Chunk {
                offset: *offset,
                data,
            },
            FileAsked::End { size, hash } => Want::End {
                size: *size,
                hash: *hash,
            },
            FileAsked::Abort { reason } => Want::Abort { reason },
            FileAsked::Credit {
                offset,
                window_bytes,
                rooms,
            } => Want::Credit {
                offset: *offset,
                window_bytes: *window_bytes,
                rooms: rooms
                    .as_deref()
                    .map(|rooms| RoomsOf::Elsewhere(rooms, who.client)),
            },
            FileAsked::Complete => Want::Complete,
        };
        let accepts = matches!(want, Want::Credit { rooms: Some(_), .. });
        Some(match self.file_at_home(who.connection, transfer, want) {
            Ok(()) if accepts => {
                let entry = self.files.get(transfer);
                let room = entry.and_then(|entry| entry.offer.room.clone());
                Answer::Accepted { room }
            }
            Ok(()) => Answer::Sent,
            Err(refused) => refused.into(),
        })
    }

    /// The home of a transfer has answered.
    pub(in crate::server) fn file_answered(
        &mut self,
        index: u32,
        wait: FileWait,
        answer: Answer,
        asked: Asked<'_>,
    ) {
        let FileWait {
            transfer,
            ends,
            accepts,
        } = wait;
        match answer {
            Answer::Refused { code, message } => {
                if accepts {
                    self.forget_receiver(index, transfer);
                }
                let refused = super::super::messages::refusal(code, message);
                self.conclude(index, asked, Err(refused));
            }
            answer => {
                if ends {
                    self.remove_part(index, transfer);
                }
                self.conclude(index, asked, Ok(Outcome::Done));
                if let Answer::Accepted { room } = answer {
                    self.may_take(index, transfer, room.as_deref());
                }
            }
        }
    }

    // ---- shards that fail

    /// A shard has begun anew: its clients are gone from transfers here, and transfers that had their home there are
    /// no more. O(transfers and ends).
    pub(in crate::server) fn files_of_failed(&mut self, shard: ShardId) {
        let gone = |end: &ConnectionId| end.shard() == shard && *end != super::told::PROGRAM;
        let here: Vec<_> = self
            .files
            .entries
            .iter()
            .flat_map(|(&transfer, entry)| {
                let ends = entry.sender.iter().chain(&entry.at_it);
                ends.filter(|end| gone(end))
                    .map(move |&end| (transfer, end))
            })
            .collect();
        for (transfer, end) in here {
            self.end_gone(end, transfer);
        }
        let lost: Vec<_> = self
            .files
            .parts
            .keys()
            .copied()
            .filter(|(_, transfer)| self.home_of_transfer(*transfer) == Some(shard))
            .collect();
        for (index, transfer) in lost {
            let Some(part) = self.files.parts.remove(&(index, transfer)) else {
                continue;
            };
            let told = FileTold::Failed {
                code: ErrorCode::TransferLost,
                message: match part.role {
                    Role::Sender => "The server has lost the transfer: start it again",
                    Role::Receiver(_) => "The server has lost the transfer",
                },
            };
            if let Some(connection) = self.connections.id(index) {
                self.tell_file(&[connection], transfer, &told);
            }
        }
        for room in 0..self.rooms.numbers() {
            if let Some((_, entry)) = self.rooms.get_mut(room) {
                entry
                    .offers
                    .retain(|offer| offer.transfer.shard() != Some(shard));
            }
        }
    }
}

const LEFT: FileTold = FileTold::Failed {
    code: ErrorCode::NotMember,
    message: "You are not in the room any more",
};
const NOT_OFFERED: FileTold = FileTold::Failed {
    code: ErrorCode::TransferLost,
    message: "The file could not be offered to everyone who may have it",
};
const SENDER_LEFT: FileTold = FileTold::Failed {
    code: ErrorCode::NotMember,
    message: "The sender is not in the room any more",
};
