//! How a transfer begins: what the sender says of it, who may have it, and who takes it up again.

use std::collections::BTreeSet;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use rand_chacha::rand_core::Rng;

use super::super::Server;
use super::super::admission::Refused;
use super::super::membership::no_such_room;
use super::super::messages::{Outcome, refusal, target_not_found};
use super::{Entry, Part, Receivers, Role, room_of};
use crate::cluster::files::{FileTold, Offer};
use crate::cluster::message::{Answer, Told};
use crate::dialect::Refusal;
use crate::error::ErrorCode;
use crate::files::{Body, Transfer, display_name};
use crate::id::{ClientId, ConnectionId};
use crate::machine::ShardId;
use crate::message::{
    Asked, Destination, FileHash, FileNotice, FileRequest, ServerMessage, TransferId,
};

/// A file, as its sender describes it.
pub(super) struct About<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) to: &'a Destination<'a>,
    pub(super) file_name: &'a str,
    pub(super) size: u64,
    pub(super) mime_type: &'a str,
    pub(super) hash: Option<FileHash>,
    /// All of it, if it came in one message.
    pub(super) body: Option<Body>,
}

impl Server {
    pub(super) fn file_start(
        &mut self,
        index: u32,
        request: &FileRequest<'_>,
        asked: Asked<'_>,
    ) -> Result<Outcome, Refused> {
        let FileRequest::Start {
            name,
            to,
            file_name,
            size,
            mime_type,
            hash,
            secret,
        } = request
        else {
            return Ok(Outcome::Done);
        };
        let texts = [name.as_deref(), Some(file_name), Some(mime_type)];
        self.check_texts(texts.into_iter().flatten())?;
        if let (Some(name), Some(secret)) = (name, secret) {
            self.admit(index, 0)?;
            return self.resume_file(index, name, secret, asked);
        }
        self.check_size(*size)?;
        let Some(name) = name else {
            return self.expect_file(index, request, asked);
        };
        let about = About {
            name: Some(name),
            to,
            file_name,
            size: *size,
            mime_type,
            hash: *hash,
            body: None,
        };
        self.begin_file(index, about, asked)
    }

    fn check_texts<'a>(&self, texts: impl Iterator<Item = &'a str>) -> Result<(), Refused> {
        let max = self.config.files.max_name_bytes;
        let mut texts = texts;
        if texts.any(|text| text.len() > max) {
            let message = "A name, a MIME type or a reason is too long";
            return Err(refusal(ErrorCode::TooLarge, message));
        }
        Ok(())
    }

    pub(super) fn check_reason(&self, reason: &str) -> Result<(), Refused> {
        self.check_texts(core::iter::once(reason))
    }

    fn check_size(&self, size: u64) -> Result<(), Refused> {
        let max = self.config.files.max_file_bytes;
        if size > max.unwrap_or(MAX_SIZE) {
            let message = "The file is larger than files may be";
            return Err(refusal(ErrorCode::TooLarge, message));
        }
        Ok(())
    }

    // ---- a new one

    pub(super) fn begin_file(
        &mut self,
        index: u32,
        about: About<'_>,
        asked: Asked<'_>,
    ) -> Result<Outcome, Refused> {
        let receivers = self.check_receivers(index, about.to)?;
        self.check_counts(index, about.name)?;
        let others = match about.to {
            Destination::Room(room) => {
                let room = self.find_own_room(index, room)?;
                self.room_len(room) - 1
            }
            Destination::Client(_) | Destination::Server => 1,
        };
        self.admit(index, others)?;
        let (Some(connection), Some(from)) = (self.connections.id(index), self.client_id(index))
        else {
            return Ok(Outcome::Done);
        };
        let transfer = self.next_transfer();
        let rules = &self.files.rules;
        let offer = Arc::new(Offer {
            transfer,
            from,
            room: room_of(about.to).map(Box::from),
            file_name: display_name(about.file_name).into(),
            size: about.size,
            mime_type: about.mime_type.into(),
            hash: about.hash,
            max_window_bytes: rules.max_window_bytes,
        });
        let body_bytes = about.body.as_ref().map_or(0, Body::heap_bytes);
        let entry = Entry {
            transfer: Transfer::new(about.size, about.hash, rules, self.now.mono),
            offer: Arc::clone(&offer),
            sender: Some(connection),
            is_announced: false,
            at_it: BTreeSet::new(),
            secret: self.new_transfer_secret(transfer),
            to: receivers,
            body: about.body,
            body_ended: false,
            due: None,
        };
        self.files.entries.insert(transfer, Box::new(entry));
        self.files.body_bytes += body_bytes;
        let part = Part {
            name: about.name.map(Box::from),
            role: Role::Sender,
        };
        self.files.parts.insert((index, transfer), part);
        self.stats.files_started += 1;
        let outcome = self.offer(index, &offer, asked);
        if outcome.is_err() {
            self.take_back(index, transfer);
        }
        outcome
    }

    /// Who may have a file, if there is somebody and the sender may send it there.
    pub(super) fn check_receivers(
        &self,
        index: u32,
        to: &Destination<'_>,
    ) -> Result<Receivers, Refused> {
        match to {
            Destination::Room(room) => {
                self.find_own_room(index, room)?;
                Ok(Receivers::Room)
            }
            Destination::Client(client) => {
                client.map(Receivers::Client).ok_or_else(target_not_found)
            }
            Destination::Server if self.config.files.to_program => Ok(Receivers::Program),
            Destination::Server => Err(refusal(
                ErrorCode::Forbidden,
                "This server takes no files itself",
            )),
        }
    }

    fn check_counts(&self, index: u32, name: Option<&str>) -> Result<(), Refused> {
        let files = &self.config.files;
        if self.files.len() >= files.max_transfers as usize {
            let message = "The server has as many files on their way as it can";
            return Err(refusal(ErrorCode::TransferLimit, message));
        }
        let (mut sent, mut taken) = (0, false);
        for (_, part) in self.files.parts_of(index) {
            self.steps.one();
            sent += usize::from(part.role == Role::Sender);
            taken |= part.name.is_some() && part.name.as_deref() == name;
        }
        if taken {
            let message = "`transferId` is that of another file on its way";
            return Err(refusal(ErrorCode::BadMessage, message));
        }
        if sent >= files.max_per_client as usize {
            let message = "You have as many files on their way as you may";
            return Err(refusal(ErrorCode::TransferLimit, message));
        }
        Ok(())
    }

    fn next_transfer(&mut self) -> TransferId {
        self.files.count += 1;
        TransferId::new(self.shard, self.files.count)
    }

    /// Says which transfer it is, and is not to be guessed.
    fn new_transfer_secret(&mut self, transfer: TransferId) -> Box<str> {
        let mut bytes = [0; 24];
        let (number, random) = bytes.split_at_mut(8);
        number.copy_from_slice(&transfer.to_bits().to_be_bytes());
        self.rng.fill_bytes(random);
        BASE64URL_NOPAD.encode(&bytes).into()
    }

    // ---- offering it

    fn offer(
        &mut self,
        index: u32,
        offer: &Arc<Offer>,
        asked: Asked<'_>,
    ) -> Result<Outcome, Refused> {
        let transfer = offer.transfer;
        let to = match self.files.get(transfer).map(|entry| &entry.to) {
            Some(&Receivers::Client(client)) => Some(client),
            Some(Receivers::Program) => {
                self.tell_program_of(index, offer);
                None
            }
            Some(Receivers::Room) | None => None,
        };
        if let Some(room) = offer.room.as_deref() {
            let home = self.home(room);
            if home != self.shard {
                self.ask_to_offer(index, home, offer, None, asked);
                return Ok(Outcome::Later);
            }
            self.offer_in_room(self.connections.id(index), offer)?;
        }
        if let Some(client) = to {
            if let Some(shard) = self.elsewhere(&client) {
                self.ask_to_offer(index, shard, offer, Some(client), asked);
                return Ok(Outcome::Later);
            }
            let needs_room = self.config.private_messages_need_shared_room;
            let target = self
                .find_client(&client)
                .filter(|&target| !needs_room || self.share_a_room(index, target));
            let target = target.and_then(|target| self.connections.id(target));
            let target = target.ok_or_else(target_not_found)?;
            self.tell_file(&[target], transfer, &FileTold::Offered(Arc::clone(offer)));
        }
        self.file_accepted(index, transfer, 0, asked);
        self.review_file(transfer);
        Ok(Outcome::Replied)
    }

    /// Offers a file to the other members of a room that has its home here.
    pub(in crate::server) fn offer_in_room(
        &mut self,
        from: Option<ConnectionId>,
        offer: &Arc<Offer>,
    ) -> Result<(), Refused> {
        let name = offer.room.as_deref().unwrap_or_default();
        let room = self.rooms.find(name).filter(|&room| self.is_home(room));
        let room = room.ok_or_else(no_such_room)?;
        let max = self.config.files.max_per_room as usize;
        if let Some((_, entry)) = self.rooms.get_mut(room) {
            if entry.offers.len() >= max {
                let message = "The room has as many files on their way as it may";
                return Err(refusal(ErrorCode::TransferLimit, message));
            }
            entry.offers.push(Arc::clone(offer));
        }
        self.tell(room, from, Told::Offered(offer));
        Ok(())
    }

    /// Offers a file of a client of another shard to one of this.
    pub(in crate::server) fn offer_to_client(
        &mut self,
        to: &ClientId,
        offer: &Arc<Offer>,
        rooms: Option<&[Box<str>]>,
    ) -> Answer {
        let target = self.find_client(to);
        let target =
            target.filter(|&target| rooms.is_none_or(|rooms| self.is_in_any(target, rooms)));
        match target.and_then(|target| self.connections.id(target)) {
            Some(target) => {
                let told = FileTold::Offered(Arc::clone(offer));
                self.tell_file(&[target], offer.transfer, &told);
                Answer::Sent
            }
            None => target_not_found().into(),
        }
    }

    /// A file that was offered to a room is no longer to be had.
    pub(in crate::server) fn withdraw(&mut self, room: &str, transfer: TransferId) {
        let room = self.rooms.find(room);
        if let Some((_, entry)) = room.and_then(|room| self.rooms.get_mut(room)) {
            entry.offers.retain(|offer| offer.transfer != transfer);
        }
    }

    /// A new member is told of the files that it may have.
    pub(in crate::server) fn offer_to_member(
        &mut self,
        room: u32,
        to: ConnectionId,
        client: ClientId,
    ) {
        let offers = self.rooms.get(room).map(|entry| entry.offers.clone());
        for offer in offers.unwrap_or_default() {
            if offer.from != client {
                self.tell_file(&[to], offer.transfer, &FileTold::Offered(offer.clone()));
            }
        }
    }

    /// The sender is told that it may begin.
    pub(in crate::server) fn file_accepted(
        &mut self,
        index: u32,
        transfer: TransferId,
        offset: u64,
        asked: Asked<'_>,
    ) {
        if let Some(entry) = self.files.get_mut(transfer) {
            entry.is_announced = true;
        }
        let part = self.files.parts.get(&(index, transfer));
        let name = part.and_then(|part| part.name.clone()).unwrap_or_default();
        let secret = match self.files.get(transfer) {
            Some(entry) if entry.body.is_none() => entry.secret.clone(),
            _ => Box::default(),
        };
        self.send_accepted(index, transfer, &name, &secret, offset, asked);
    }

    pub(in crate::server) fn send_accepted(
        &mut self,
        index: u32,
        transfer: TransferId,
        name: &str,
        secret: &str,
        offset: u64,
        asked: Asked<'_>,
    ) {
        let accepted = FileNotice::Accepted {
            name,
            transfer,
            secret,
            offset,
            chunk_bytes: self.files.rules.chunk_bytes,
        };
        self.send(index, &ServerMessage::File(accepted), asked);
    }

    // ---- going on with one

    fn resume_file(
        &mut self,
        index: u32,
        name: &str,
        secret: &str,
        asked: Asked<'_>,
    ) -> Result<Outcome, Refused> {
        self.check_counts(index, Some(name))?;
        let (transfer, home) = self.transfer_of(secret).ok_or_else(unknown)?;
        if home != self.shard {
            self.ask_to_resume(index, home, transfer, (name, secret), asked);
            return Ok(Outcome::Later);
        }
        let connection = self.connections.id(index).ok_or_else(unknown)?;
        let offset = self.take_up_file(connection, transfer, secret)?;
        self.note_sender(index, transfer, name);
        self.send_accepted(index, transfer, name, secret, offset, asked);
        self.review_file(transfer);
        Ok(Outcome::Replied)
    }

    pub(in crate::server) fn note_sender(&mut self, index: u32, transfer: TransferId, name: &str) {
        let part = Part {
            name: Some(name.into()),
            role: Role::Sender,
        };
        self.files.parts.insert((index, transfer), part);
    }

    /// Which transfer a secret is for, and where it has its home.
    fn transfer_of(&self, secret: &str) -> Option<(TransferId, ShardId)> {
        let bytes = BASE64URL_NOPAD.decode(secret.as_bytes()).ok()?;
        let number = bytes.first_chunk::<8>().filter(|_| bytes.len() == 24)?;
        let transfer = TransferId::from_bits(u64::from_be_bytes(*number));
        Some((transfer, self.home_of_transfer(transfer)?))
    }

    /// The shard that has made a transfer's number; `None` for a number that none has made.
    pub(in crate::server) fn home_of_transfer(&self, transfer: TransferId) -> Option<ShardId> {
        let shard = transfer.shard()?;
        (shard == self.shard || self.links.has(shard)).then_some(shard)
    }

    /// A transfer that has its home here gets another connection as its sender; up to where the file need not be sent
    /// again.
    pub(super) fn take_up_file(
        &mut self,
        connection: ConnectionId,
        transfer: TransferId,
        secret: &str,
    ) -> Result<u64, Refused> {
        let now = self.now.mono;
        let entry = self.files.get_mut(transfer);
        let entry = entry.filter(|entry| *entry.secret == *secret && entry.body.is_none());
        let entry = entry.ok_or_else(unknown)?;
        let before = entry.sender.replace(connection);
        let offset = entry.transfer.sender_back(now);
        if let Some(before) = before.filter(|&before| before != connection) {
            let told = FileTold::Failed {
                code: ErrorCode::TransferLost,
                message: "Another connection has taken the transfer up",
            };
            self.tell_file(&[before], transfer, &told);
        }
        Ok(offset)
    }
}

/// The largest integer that every JSON parser keeps.
const MAX_SIZE: u64 = (1 << 53) - 1;

pub(super) const fn unknown() -> Refused {
    Refused {
        refusal: Refusal {
            code: ErrorCode::TransferUnknown,
            message: "There is no such transfer",
        },
        retry_after_ms: None,
    }
}
