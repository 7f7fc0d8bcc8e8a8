//! A transfer at its home: what its ends want, what follows from it, and its end.

use super::super::Server;
use super::super::admission::Refused;
use super::super::deadlines::Deadline;
use super::super::messages::refusal;
use super::asked::{RoomsOf, Want};
use super::start::unknown;
use super::{Entry, Receivers};
use crate::cluster::files::FileTold;
use crate::cluster::message::Request;
use crate::error::ErrorCode;
use crate::files::{Outcome as Over, Ticked, Wrong};
use crate::id::ConnectionId;
use crate::message::TransferId;

impl Server {
    /// An end of a transfer that has its home here says something. The caller [reviews](Self::review_file) it then.
    pub(super) fn file_at_home(
        &mut self,
        from: ConnectionId,
        transfer: TransferId,
        want: Want<'_>,
    ) -> Result<(), Refused> {
        let now = self.now.mono;
        if let Want::Credit {
            rooms: Some(rooms), ..
        } = &want
        {
            self.may_have(transfer, rooms)?;
        }
        let entry = self.files.get_mut(transfer).ok_or_else(unknown)?;
        let is_sender = entry.sender == Some(from);
        if let Want::Credit { rooms: None, .. } = &want
            && !entry.at_it.contains(&from)
        {
            // Its shard has not heard yet that it is out: it may no longer have the file.
            return Err(unknown());
        }
        match want {
            Want::Chunk { offset, data } if is_sender => {
                let mut to = core::mem::take(&mut self.files.lists);
                to.clear();
                let taken = match self.files.get_mut(transfer) {
                    Some(entry) => entry.transfer.chunk(now, offset, data, &mut to),
                    None => Ok(()),
                };
                if taken.is_ok() {
                    self.stats.file_bytes += data.len() as u64;
                }
                self.pass_chunk(&to, transfer, offset, data);
                self.files.lists = to;
                taken.map_err(refused)
            }
            Want::End { size, hash } if is_sender => {
                let verdict = self.files.verdicts.ask();
                let entry = self.files.get_mut(transfer).ok_or_else(unknown)?;
                let ended = entry.transfer.end(now, size, hash, verdict);
                if ended == Err(Wrong::Corrupt) {
                    self.files.verdicts.note_wrong();
                    // The sender, too: its request's error does not say which transfer is over.
                    self.end_file(transfer, None, &CORRUPT);
                }
                ended.map_err(refused)
            }
            Want::Abort { reason } if is_sender => {
                let told = FileTold::Aborted {
                    reason: reason.into(),
                };
                self.end_file(transfer, Some(from), &told);
                self.forget_part(from, transfer);
                Ok(())
            }
            Want::Abort { .. } => {
                entry.at_it.remove(&from);
                let failed = entry.transfer.remove(now, from);
                self.forget_part(from, transfer);
                if failed { Ok(()) } else { Err(unknown()) }
            }
            Want::Credit {
                offset,
                window_bytes,
                ..
            } if !is_sender => {
                let credited = entry.transfer.credit(now, from, offset, window_bytes);
                if credited.is_ok_and(|credited| credited.accepted) {
                    entry.at_it.insert(from);
                }
                credited.map(|_| ()).map_err(refused)
            }
            Want::Complete if !is_sender => {
                entry.transfer.complete(now, from).map_err(refused)?;
                entry.at_it.remove(&from);
                self.forget_part(from, transfer);
                Ok(())
            }
            _ => Err(unknown()),
        }
    }

    /// Whether a client that has not accepted a file may.
    fn may_have(&self, transfer: TransferId, rooms: &RoomsOf<'_>) -> Result<(), Refused> {
        let entry = self.files.get(transfer).ok_or_else(unknown)?;
        let may = match &entry.to {
            Receivers::Room => {
                let name = entry.offer.room.as_deref().unwrap_or_default();
                match rooms {
                    RoomsOf::Here(index) => {
                        let room = self.rooms.find(name);
                        room.is_some_and(|room| self.is_member(*index, room))
                    }
                    RoomsOf::Elsewhere(rooms, _) => rooms.iter().any(|room| **room == *name),
                }
            }
            Receivers::Client(client) => match rooms {
                RoomsOf::Here(index) => self.client_id(*index) == Some(*client),
                RoomsOf::Elsewhere(_, asks) => asks == client,
            },
            Receivers::Program => false,
        };
        if may { Ok(()) } else { Err(unknown()) }
    }

    /// What follows from what has happened to a transfer: pieces to ask for, ends to tell of, receivers to drop, progress
    /// to report, the end of it all; and when to look again.
    pub(in crate::server) fn review_file(&mut self, transfer: TransferId) {
        let entry = self.files.get(transfer);
        if entry.is_none_or(|entry| !entry.is_announced) {
            return;
        }
        loop {
            self.ask_for_pieces(transfer);
            self.tell_ends(transfer);
            let (outcome, any_dropped) = self.tick_file(transfer);
            if let Some(outcome) = outcome {
                return self.file_over(transfer, outcome);
            }
            // The others may have waited for those who are dropped.
            if !any_dropped {
                return self.arm_file(transfer);
            }
        }
    }

    /// Tells those of the end who have been passed everything.
    fn tell_ends(&mut self, transfer: TransferId) {
        let mut to = core::mem::take(&mut self.files.lists);
        to.clear();
        let ended = self
            .files
            .get_mut(transfer)
            .and_then(|entry| entry.transfer.ended(&mut to));
        if let Some(end) = ended {
            let told = FileTold::End {
                size: end.size,
                hash: end.hash,
            };
            self.tell_file(&to, transfer, &told);
        }
        self.files.lists = to;
    }

    /// Drops receivers and reports progress, as is due: how the transfer is over, if it is; whether any was dropped.
    fn tick_file(&mut self, transfer: TransferId) -> (Option<Over>, bool) {
        let now = self.now.mono;
        let mut dropped = core::mem::take(&mut self.files.lists);
        dropped.clear();
        let mut ticked = Ticked::default();
        if let Some(entry) = self.files.get_mut(transfer) {
            ticked = entry.transfer.tick(now, &mut dropped);
            for receiver in &dropped {
                entry.at_it.remove(receiver);
            }
        }
        let any_dropped = !dropped.is_empty();
        if any_dropped {
            self.tell_file(&dropped, transfer, &TOO_SLOW);
        }
        self.files.lists = dropped;
        if let Some(progress) = ticked.progress.filter(|_| ticked.outcome.is_none()) {
            let told = FileTold::Progress {
                acknowledged: progress.acknowledged,
                receivers: progress.receivers,
                completed: progress.completed,
                failed: progress.failed,
            };
            self.tell_sender(transfer, &told);
        }
        (ticked.outcome, any_dropped)
    }

    fn tell_sender(&mut self, transfer: TransferId, told: &FileTold) {
        let sender = self.files.get(transfer).and_then(|entry| entry.sender);
        if let Some(sender) = sender {
            self.tell_file(&[sender], transfer, told);
        }
    }

    /// Asks the sender, or the body in its place, for what receivers have room for.
    fn ask_for_pieces(&mut self, transfer: TransferId) {
        let now = self.now.mono;
        loop {
            let Some(entry) = self.files.get_mut(transfer) else {
                return;
            };
            let Some(wanted) = entry.transfer.next_wanted(now) else {
                break;
            };
            if entry.body.is_some() {
                self.answer_from_body(transfer, wanted);
            } else {
                let told = FileTold::Wanted {
                    offset: wanted.offset,
                    length_bytes: wanted.length_bytes,
                };
                self.tell_sender(transfer, &told);
            }
        }
        let Some(entry) = self.files.get_mut(transfer) else {
            return;
        };
        if let Some(size) = entry.body.as_ref().map(crate::files::Body::size)
            && entry.transfer.passed() == size
            && !core::mem::replace(&mut entry.body_ended, true)
        {
            let ended = entry.transfer.end(now, Some(size), None, None);
            debug_assert!(ended.is_ok(), "{ended:?}");
        }
    }

    fn answer_from_body(&mut self, transfer: TransferId, wanted: crate::files::Wanted) {
        let now = self.now.mono;
        let chunk_bytes = self.files.rules.chunk_bytes;
        let Some(body) = self
            .files
            .get_mut(transfer)
            .and_then(|entry| entry.body.take())
        else {
            return;
        };
        let mut to = core::mem::take(&mut self.files.lists);
        for (offset, data) in body.chunks(wanted, chunk_bytes) {
            to.clear();
            if let Some(entry) = self.files.get_mut(transfer) {
                let taken = entry.transfer.chunk(now, offset, data, &mut to);
                debug_assert!(taken.is_ok(), "{taken:?}");
            }
            self.pass_chunk(&to, transfer, offset, data);
        }
        self.files.lists = to;
        if let Some(entry) = self.files.get_mut(transfer) {
            entry.body = Some(body);
        }
    }

    fn arm_file(&mut self, transfer: TransferId) {
        let Some(entry) = self.files.get_mut(transfer) else {
            return;
        };
        let due = entry.transfer.deadline();
        let before = core::mem::replace(&mut entry.due, due);
        if before == due {
            return;
        }
        if let Some(before) = before {
            self.deadlines.remove(before, Deadline::File(transfer));
        }
        if let Some(due) = due {
            self.deadlines.insert(due, Deadline::File(transfer));
        }
    }

    /// A transfer's deadline has come.
    pub(in crate::server) fn file_due(&mut self, transfer: TransferId) {
        if let Some(entry) = self.files.get_mut(transfer) {
            entry.due = None;
            self.review_file(transfer);
        }
    }

    // ---- the end

    fn file_over(&mut self, transfer: TransferId, outcome: Over) {
        match outcome {
            Over::Completed { completed, failed } => {
                self.stats.files_completed += 1;
                self.tell_sender(transfer, &FileTold::Completed { completed, failed });
                self.remove_file(transfer);
            }
            Over::TimedOut => self.end_file(transfer, None, &TIMED_OUT),
            Over::Lost => self.end_file(transfer, None, &LOST),
        }
    }

    /// A transfer is given up, which everyone who is at it is told but `except`.
    pub(super) fn end_file(
        &mut self,
        transfer: TransferId,
        except: Option<ConnectionId>,
        told: &FileTold,
    ) {
        let Some(entry) = self.remove_file(transfer) else {
            return;
        };
        self.stats.files_failed += 1;
        let ends = entry.sender.iter().chain(&entry.at_it);
        let ends: Vec<_> = ends.copied().filter(|&end| Some(end) != except).collect();
        self.tell_file(&ends, transfer, told);
    }

    /// Forgets a transfer.
    pub(super) fn remove_file(&mut self, transfer: TransferId) -> Option<Box<Entry>> {
        let entry = self.files.entries.remove(&transfer)?;
        self.files.body_bytes -= entry
            .body
            .as_ref()
            .map_or(0, crate::files::Body::heap_bytes);
        if let Some(due) = entry.due {
            self.deadlines.remove(due, Deadline::File(transfer));
        }
        if let Some(room) = entry.offer.room.as_deref() {
            match self.home(room) {
                home if home == self.shard => self.withdraw(room, transfer),
                home => {
                    let room = room.into();
                    self.ask(home, Request::Withdraw { room, transfer });
                }
            }
        }
        Some(entry)
    }
}

fn refused(wrong: Wrong) -> Refused {
    match wrong {
        Wrong::Unknown => unknown(),
        Wrong::Full => refusal(
            ErrorCode::TransferLimit,
            "As many have accepted the file as may",
        ),
        Wrong::Beyond => refusal(
            ErrorCode::TransferUnexpected,
            "`offset` is beyond what was sent",
        ),
        Wrong::Done => refusal(
            ErrorCode::TransferUnexpected,
            "The file is complete already",
        ),
        Wrong::Early => refusal(
            ErrorCode::TransferUnexpected,
            "Not everything has been sent yet",
        ),
        Wrong::Unexpected => refusal(
            ErrorCode::TransferUnexpected,
            "This piece was not asked for",
        ),
        Wrong::Corrupt => refusal(
            ErrorCode::TransferCorrupt,
            "What was sent is not what its size or hash say",
        ),
    }
}

const CORRUPT: FileTold = FileTold::Failed {
    code: ErrorCode::TransferCorrupt,
    message: "What was sent is not what its sender says",
};
const TIMED_OUT: FileTold = FileTold::Failed {
    code: ErrorCode::TransferTimeout,
    message: "Nobody has accepted the file, or its sender has sent nothing for too long",
};
const LOST: FileTold = FileTold::Failed {
    code: ErrorCode::TransferLost,
    message: "The sender has not come back",
};
const TOO_SLOW: FileTold = FileTold::Failed {
    code: ErrorCode::TransferTimeout,
    message: "Nothing was heard of you for too long",
};
