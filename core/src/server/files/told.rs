//! What the ends of a transfer are told: encoded once for each dialect, and relayed once to each other shard.

use std::sync::Arc;

use super::super::News;
use super::super::Server;
use super::super::event::Event;
use super::super::fanout::Dialect;
use super::{Permission, Role};
use crate::cluster::files::{FileTold, Offer};
use crate::cluster::message::Item;
use crate::id::ConnectionId;
use crate::message::{FileNotice, ServerMessage, TransferId};
use crate::websocket::put_frame;

impl Server {
    /// Tells ends of a transfer something.
    pub(super) fn tell_file(&mut self, to: &[ConnectionId], transfer: TransferId, told: &FileTold) {
        self.tell_file_here(to, transfer, &told.notice(transfer), told.is_last());
        self.tell_file_elsewhere(to, transfer, || told.clone());
    }

    /// Passes a piece on.
    pub(super) fn pass_chunk(
        &mut self,
        to: &[ConnectionId],
        transfer: TransferId,
        offset: u64,
        data: &[u8],
    ) {
        let notice = FileNotice::Chunk {
            transfer,
            offset,
            data,
        };
        self.tell_file_here(to, transfer, &notice, false);
        self.tell_file_elsewhere(to, transfer, || FileTold::Chunk {
            offset,
            data: Arc::from(data),
        });
    }

    fn tell_file_elsewhere(
        &mut self,
        to: &[ConnectionId],
        transfer: TransferId,
        told: impl FnOnce() -> FileTold,
    ) {
        let shard = self.shard;
        let is_elsewhere = |to: &&ConnectionId| to.shard() != shard && **to != PROGRAM;
        if self.links.is_empty() || !to.iter().any(|to| is_elsewhere(&to)) {
            return;
        }
        let told = told();
        for shard in self.links.shards().filter(|&shard| shard != self.shard) {
            let there = to
                .iter()
                .filter(is_elsewhere)
                .filter(|to| to.shard() == shard);
            let there: Vec<ConnectionId> = there.copied().collect();
            if !there.is_empty() {
                let told = told.clone();
                self.links.push(
                    shard,
                    Item::File {
                        to: there,
                        transfer,
                        told,
                    },
                );
            }
        }
    }

    /// Clients of this shard are told by a transfer's home, those that it is still for.
    pub(in crate::server) fn told_of_file(
        &mut self,
        mut to: Vec<ConnectionId>,
        transfer: TransferId,
        told: &FileTold,
    ) {
        if !matches!(told, FileTold::Offered(_)) {
            to.retain(|&end| self.is_at(end, transfer));
        }
        self.tell_file_here(&to, transfer, &told.notice(transfer), told.is_last());
    }

    /// Whether a client is an end of a transfer that has its home elsewhere. It may have been one when it was told
    /// something there, and not be any more, or be one again of which the home has not heard yet.
    fn is_at(&self, end: ConnectionId, transfer: TransferId) -> bool {
        self.steps.one();
        let index = self.connections.resolve(end);
        let part = index.and_then(|index| self.files.parts.get(&(index, transfer)));
        part.is_some_and(|part| match &part.role {
            Role::Sender => true,
            Role::Receiver(copy) => copy.permission != Permission::Asked,
        })
    }

    fn tell_file_here(
        &mut self,
        to: &[ConnectionId],
        transfer: TransferId,
        notice: &FileNotice<'_>,
        is_last: bool,
    ) {
        let mut receivers = core::mem::take(&mut self.files.slots);
        for dialect in Dialect::ALL {
            receivers.clear();
            let here = to
                .iter()
                .filter(|to| to.shard() == self.shard && **to != PROGRAM);
            let here = here.filter_map(|&to| self.connections.resolve(to));
            let speaks = |index: &u32| self.speaks(*index, dialect);
            receivers.extend(here.filter(speaks));
            if receivers.is_empty() {
                continue;
            }
            for &index in &receivers {
                self.steps.one();
                self.flush_replies(index);
                self.cut_client(index);
            }
            let mut scratch = core::mem::take(&mut self.scratch);
            scratch.clear();
            dialect.encode(
                &ServerMessage::File(notice.clone()),
                self.now.unix_ms,
                &mut scratch,
            );
            self.stats.direct += receivers.len() as u64;
            self.outboxes.direct_to(&receivers, |out| {
                put_frame(out, dialect.opcode(), &scratch);
            });
            self.scratch = scratch;
            if is_last {
                for &index in &receivers {
                    self.remove_part(index, transfer);
                }
            }
        }
        self.files.slots = receivers;
        if to.contains(&PROGRAM) {
            self.tell_program(transfer, notice);
        }
    }

    // ---- the program

    /// The program has been offered a file: it takes it.
    pub(super) fn tell_program_of(&mut self, index: u32, offer: &Offer) {
        let (Some(connection), Some(entry)) = (
            self.connections.id(index),
            self.files.entries.get_mut(&offer.transfer),
        ) else {
            return;
        };
        let window = offer.max_window_bytes;
        let credit = entry.transfer.credit(self.now.mono, PROGRAM, 0, window);
        debug_assert!(credit.is_ok(), "{credit:?}");
        entry.at_it.insert(PROGRAM);
        self.push_file_event(Event::FileStarted {
            connection,
            client: offer.from,
            transfer: offer.transfer,
            name: (*offer.file_name).to_owned(),
            size_bytes: offer.size,
            mime_type: (*offer.mime_type).to_owned(),
        });
    }

    fn tell_program(&mut self, transfer: TransferId, notice: &FileNotice<'_>) {
        let event = match *notice {
            FileNotice::Chunk { offset, data, .. } => Event::FileChunk {
                transfer,
                offset,
                data: data.to_vec(),
            },
            FileNotice::End { size, hash, .. } => Event::FileEnded {
                transfer,
                size_bytes: size,
                sha256: hash,
            },
            FileNotice::Aborted { reason, .. } => Event::FileFailed {
                transfer,
                reason: reason.to_owned(),
            },
            FileNotice::Failed { message, .. } => Event::FileFailed {
                transfer,
                reason: message.to_owned(),
            },
            _ => return,
        };
        self.push_file_event(event);
    }

    fn push_file_event(&mut self, event: Event) {
        self.application_news += 1;
        self.application_bytes += event.carried_bytes();
        self.news.push_back(News::Application(Box::new(event)));
    }

    /// The program has been handed an event: if it is a piece of a file, there is room for more, and what it has the end
    /// of it has completed.
    pub(in crate::server) fn program_took(&mut self, event: &Event) {
        let now = self.now.mono;
        let transfer = match event {
            Event::FileChunk {
                transfer,
                offset,
                data,
            } => {
                let window = self.files.rules.max_window_bytes;
                if let Some(entry) = self.files.get_mut(*transfer) {
                    let to = offset + data.len() as u64;
                    let credit = entry.transfer.credit(now, PROGRAM, to, window);
                    debug_assert!(credit.is_ok(), "{credit:?}");
                }
                *transfer
            }
            Event::FileEnded { transfer, .. } => {
                if let Some(entry) = self.files.get_mut(*transfer) {
                    let complete = entry.transfer.complete(now, PROGRAM);
                    debug_assert!(complete.is_ok(), "{complete:?}");
                    entry.at_it.remove(&PROGRAM);
                }
                *transfer
            }
            _ => return,
        };
        self.review_file(transfer);
    }
}

/// The program, among receivers: no connection is called that.
pub(super) const PROGRAM: ConnectionId = match ConnectionId::from_bits(u64::MAX) {
    Some(id) => id,
    None => panic!("all bits set is a connection's name"),
};
