//! What the ends of a transfer say: by a client of this shard, to a home that may be another.

use std::sync::Arc;

use super::super::Server;
use super::super::admission::Refused;
use super::super::messages::{Outcome, refusal};
use super::start::unknown;
use super::{Copy, Part, Permission, Role, room_of};
use crate::cluster::files::FileAsked;
use crate::error::ErrorCode;
use crate::id::ClientId;
use crate::machine::ShardId;
use crate::message::{Asked, Destination, FileHash, FileRequest, Named, TransferId};

/// The rooms of a client that wants a file.
pub(super) enum RoomsOf<'a> {
    /// Of this shard, in this slot.
    Here(u32),
    Elsewhere(&'a [Box<str>], ClientId),
}

/// What is asked of a home, borrowed.
pub(super) enum Want<'a> {
    Chunk {
        offset: u64,
        data: &'a [u8],
    },
    End {
        size: Option<u64>,
        hash: Option<FileHash>,
    },
    Abort {
        reason: &'a str,
    },
    Credit {
        offset: u64,
        window_bytes: u32,
        rooms: Option<RoomsOf<'a>>,
    },
    Complete,
}

impl Server {
    /// A client says something about a file.
    pub(in crate::server) fn file(
        &mut self,
        index: u32,
        request: &FileRequest<'_>,
        asked: Asked<'_>,
    ) -> Result<Outcome, Refused> {
        if matches!(request, FileRequest::Start { .. }) {
            let outcome = self.file_start(index, request, asked);
            if let (Err(_), FileRequest::Start { name: None, .. }) = (&outcome, request) {
                // The file follows all the same, in the next binary message.
                self.discard_next_binary(index);
            }
            return outcome;
        }
        let Some(transfer) = self.transfer_named(index, request) else {
            return match request {
                // What was sent in one message has had its end.
                FileRequest::End {
                    transfer: Named::Unnamed,
                    ..
                } => {
                    self.admit(index, 0)?;
                    Ok(Outcome::Done)
                }
                _ => {
                    self.admit(index, 0)?;
                    Err(unknown())
                }
            };
        };
        if let FileRequest::Chunk { data, .. } = request
            && !self.files.parts.contains_key(&(index, transfer))
            && self.is_late(index, data.len())
        {
            self.stats.file_bytes_late += data.len() as u64;
            return Ok(Outcome::Done);
        }
        let first_credit = self.charge_file(index, transfer, request)?;
        if first_credit {
            self.check_copies(index)?;
        }
        let home = self.home_of_transfer(transfer).ok_or_else(unknown)?;
        let want = self.want(index, transfer, request, first_credit);
        if home != self.shard {
            if first_credit {
                self.note_receiver(index, transfer);
            }
            self.note_credit(index, transfer, request, &want);
            let what = self.to_be_asked(index, &want);
            let ends = matches!(want, Want::Abort { .. } | Want::Complete);
            let whatfor = FileWait {
                transfer,
                ends,
                accepts: first_credit,
            };
            self.ask_home(index, home, whatfor, what, asked);
            return Ok(Outcome::Later);
        }
        let Some(connection) = self.connections.id(index) else {
            return Ok(Outcome::Done);
        };
        if first_credit {
            self.note_receiver(index, transfer);
        }
        self.note_credit(index, transfer, request, &want);
        let outcome = self.file_at_home(connection, transfer, want);
        if first_credit && outcome.is_err() {
            self.forget_receiver(index, transfer);
        }
        self.review_file(transfer);
        outcome.map(|()| Outcome::Done)
    }

    /// The shard that a request about a file goes to.
    pub(in crate::server) fn shard_for_file(
        &self,
        index: u32,
        request: &FileRequest<'_>,
    ) -> Option<ShardId> {
        match request {
            FileRequest::Start { to, .. } => match to {
                Destination::Client(client) => client.and_then(|client| self.elsewhere(&client)),
                to => room_of(to).map(|room| self.home(room)),
            },
            request => self.home_of_transfer(self.transfer_named(index, request)?),
        }
    }

    fn transfer_named(&self, index: u32, request: &FileRequest<'_>) -> Option<TransferId> {
        match request {
            FileRequest::Chunk { transfer, .. }
            | FileRequest::Credit { transfer, .. }
            | FileRequest::Complete { transfer } => Some(*transfer),
            FileRequest::End { transfer, .. } | FileRequest::Abort { transfer, .. } => {
                match transfer {
                    Named::Number(transfer) => Some(*transfer),
                    Named::Own(name) => self.own_transfer(index, name),
                    Named::Unnamed => None,
                }
            }
            FileRequest::Start { .. } => None,
        }
    }

    fn own_transfer(&self, index: u32, name: &str) -> Option<TransferId> {
        let mut parts = self.files.parts_of(index);
        parts.find_map(|(transfer, part)| {
            self.steps.one();
            (part.name.as_deref() == Some(name)).then_some(transfer)
        })
    }

    /// Charges what is not paid for: a piece that was asked for is, and so is credit for as much as was passed. Whether
    /// it is credit for a file that was not accepted yet.
    fn charge_file(
        &mut self,
        index: u32,
        transfer: TransferId,
        request: &FileRequest<'_>,
    ) -> Result<bool, Refused> {
        let part = self.files.parts.get_mut(&(index, transfer));
        let (paid, first) = match (request, part.map(|part| &mut part.role)) {
            (FileRequest::Chunk { .. }, Some(Role::Sender)) => (true, false),
            (FileRequest::Credit { offset, .. }, Some(Role::Receiver(copy))) => {
                let paid = *offset >= copy.credited.saturating_add(CREDIT_BYTES);
                if paid {
                    copy.credited = *offset;
                }
                (paid, false)
            }
            (FileRequest::Credit { .. }, None) => (false, true),
            _ => (false, false),
        };
        if let FileRequest::Abort { reason, .. } = request {
            self.check_reason(reason)?;
        }
        if !paid {
            self.admit(index, 0)?;
        }
        Ok(first)
    }

    fn want<'a>(
        &self,
        index: u32,
        transfer: TransferId,
        request: &'a FileRequest<'_>,
        first_credit: bool,
    ) -> Want<'a> {
        match request {
            FileRequest::Chunk { offset, data, .. } => Want::Chunk {
                offset: *offset,
                data,
            },
            FileRequest::End { size, hash, .. } => Want::End {
                size: *size,
                hash: *hash,
            },
            FileRequest::Abort { reason, .. } => Want::Abort { reason },
            FileRequest::Credit {
                offset,
                window_bytes,
                ..
            } => Want::Credit {
                offset: *offset,
                window_bytes: self.window_for(index, transfer, *window_bytes),
                rooms: first_credit.then_some(RoomsOf::Here(index)),
            },
            FileRequest::Complete { .. } | FileRequest::Start { .. } => Want::Complete,
        }
    }

    fn to_be_asked(&self, index: u32, want: &Want<'_>) -> FileAsked {
        match *want {
            Want::Chunk { offset, data } => FileAsked::Chunk {
                offset,
                data: Arc::from(data),
            },
            Want::End { size, hash } => FileAsked::End { size, hash },
            Want::Abort { reason } => FileAsked::Abort {
                reason: reason.into(),
            },
            Want::Credit {
                offset,
                window_bytes,
                ref rooms,
            } => FileAsked::Credit {
                offset,
                window_bytes,
                rooms: rooms.is_some().then(|| self.room_names_of(index)),
            },
            Want::Complete => FileAsked::Complete,
        }
    }

    fn note_receiver(&mut self, index: u32, transfer: TransferId) {
        let part = Part {
            name: None,
            role: Role::Receiver(NO_COPY),
        };
        self.files.parts.entry((index, transfer)).or_insert(part);
    }

    /// A first credit was refused, or nobody knows what became of it: the client is no receiver.
    pub(in crate::server) fn forget_receiver(&mut self, index: u32, transfer: TransferId) {
        let key = (index, transfer);
        let part = self.files.parts.get(&key);
        if part.is_some_and(|part| matches!(part.role, Role::Receiver(_))) {
            self.files.parts.remove(&key);
        }
    }

    /// How much more of a copy may be on its way: as much as the client's queue has room for besides its other copies,
    /// but always a chunk, so that each goes on. O(its copies).
    fn window_for(&self, index: u32, transfer: TransferId, window_bytes: u32) -> u32 {
        let copies = self.files.parts_of(index).filter_map(|(other, part)| {
            self.steps.one();
            match &part.role {
                Role::Receiver(copy) if other != transfer => Some(copy.outstanding_bytes()),
                _ => None,
            }
        });
        let room = self.files.room_bytes.saturating_sub(copies.sum());
        let room = u32::try_from(room).unwrap_or(u32::MAX);
        let rules = &self.files.rules;
        let window_bytes = window_bytes.min(rules.max_window_bytes);
        window_bytes.min(room.max(rules.chunk_bytes))
    }

    /// Whether a client may take another file.
    fn check_copies(&self, index: u32) -> Result<(), Refused> {
        let parts = self.files.parts_of(index);
        let copies = parts.filter(|(_, part)| matches!(part.role, Role::Receiver(_)));
        if copies.count() >= self.config.files.max_copies_per_client as usize {
            let message = "You take as many files at once as you may";
            return Err(refusal(ErrorCode::TransferLimit, message));
        }
        Ok(())
    }

    /// Notes what a receiver that has accepted has, and may be sent.
    fn note_credit(
        &mut self,
        index: u32,
        transfer: TransferId,
        request: &FileRequest<'_>,
        want: &Want<'_>,
    ) {
        let FileRequest::Credit {
            window_bytes: asked_for,
            ..
        } = request
        else {
            return;
        };
        let Want::Credit {
            offset,
            window_bytes,
            ..
        } = *want
        else {
            return;
        };
        let part = self.files.parts.get_mut(&(index, transfer));
        if let Some(Role::Receiver(copy)) = part.map(|part| &mut part.role) {
            copy.acknowledged = copy.acknowledged.max(offset);
            let granted = offset.saturating_add(u64::from(window_bytes));
            copy.granted = copy.granted.max(granted);
            let asked_for = (*asked_for).min(self.files.rules.max_window_bytes);
            let wanted = offset.saturating_add(u64::from(asked_for));
            copy.wanted = copy.wanted.max(wanted);
        }
        self.note_room(index);
    }

    /// There may be room for more of a client's copies.
    pub(super) fn note_room(&mut self, index: u32) {
        let waits = self
            .files
            .parts_of(index)
            .any(|(_, part)| match &part.role {
                Role::Receiver(copy) => copy.wanted > copy.granted,
                Role::Sender => false,
            });
        if waits && !self.files.with_room.contains(&index) {
            self.files.with_room.push(index);
        }
    }

    /// Gives copies what room there is for them now that there was none for when their receivers asked for it.
    pub(in crate::server) fn use_room(&mut self) {
        // Who is given more may not ask for it again: there is an end.
        while let Some(index) = self.files.with_room.pop() {
            let copies = self.files.parts_of(index).filter_map(|(transfer, part)| {
                let Role::Receiver(copy) = part.role else {
                    return None;
                };
                (copy.wanted > copy.granted).then_some((transfer, copy))
            });
            for (transfer, copy) in copies.collect::<Vec<_>>() {
                self.steps.one();
                self.use_room_for(index, transfer, copy);
            }
        }
    }

    fn use_room_for(&mut self, index: u32, transfer: TransferId, copy: Copy) {
        let wanted = u32::try_from(copy.wanted - copy.acknowledged).unwrap_or(u32::MAX);
        let window_bytes = self.window_for(index, transfer, wanted);
        let granted = copy.acknowledged + u64::from(window_bytes);
        // A little is not worth it, unless it is all.
        let worth = u64::from(self.files.rules.chunk_bytes).min(copy.wanted - copy.granted);
        if granted < copy.granted + worth {
            return;
        }
        let part = self.files.parts.get_mut(&(index, transfer));
        if let Some(Role::Receiver(copy)) = part.map(|part| &mut part.role) {
            copy.granted = granted;
        }
        let offset = copy.acknowledged;
        let Some(home) = self.home_of_transfer(transfer) else {
            return;
        };
        if home != self.shard {
            let what = FileAsked::Credit {
                offset,
                window_bytes,
                rooms: None,
            };
            return self.tell_home(index, home, transfer, what);
        }
        if let Some(connection) = self.connections.id(index) {
            let want = Want::Credit {
                offset,
                window_bytes,
                rooms: None,
            };
            // It may be out since.
            let _ = self.file_at_home(connection, transfer, want);
            self.review_file(transfer);
        }
    }
}

/// What a request at another shard is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileWait {
    pub(crate) transfer: TransferId,
    /// The client has nothing to do with it then.
    pub(crate) ends: bool,
    /// It has if it is let.
    pub(crate) accepts: bool,
}

/// Of which nothing is on its way.
const NO_COPY: Copy = Copy {
    credited: 0,
    acknowledged: 0,
    granted: 0,
    wanted: 0,
    permission: Permission::Asked,
};

/// So much more of the file, and credit costs nothing.
const CREDIT_BYTES: u64 = 16 * 1024;
