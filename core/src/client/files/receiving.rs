//! The end that wants a file.
//!
//! What it has already is read again first, for the hash ([`Receiving::missing_hash`]); then it gives credit, takes
//! pieces in order, and gives more as the caller has [written](Receiving::written) them.

use std::borrow::Cow;
use std::ops::Range;

use sha2::{Digest as _, Sha256};

use super::{Refusal, piece};
use crate::error::ErrorCode;
use crate::id::ClientId;
use crate::message::{FileHash, FileNotice, FileRequest, Named, TransferId};

/// A file that may be had. Names and types are the sender's: untrusted, and no paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The server's number for it.
    pub transfer: TransferId,
    /// Who sends it.
    pub from: ClientId,
    /// The room that it is for; `None`: for this client alone.
    pub room: Option<Box<str>>,
    /// What it is called.
    pub file_name: Box<str>,
    /// Its size in bytes.
    pub size: u64,
    /// What is in it, or nothing.
    pub mime_type: Box<str>,
    /// Its hash, if the sender has told it.
    pub hash: Option<FileHash>,
    /// How much may be on its way.
    pub max_window_bytes: u32,
}

impl Offer {
    /// What is offered, if anything is.
    pub fn of(notice: &FileNotice<'_>) -> Option<Self> {
        match *notice {
            FileNotice::Offered {
                transfer,
                from,
                room,
                file_name,
                size,
                mime_type,
                hash,
                max_window_bytes,
            } => Some(Self {
                transfer,
                from,
                room: room.map(Into::into),
                file_name: file_name.into(),
                size,
                mime_type: mime_type.into(),
                hash,
                max_window_bytes,
            }),
            _ => None,
        }
    }
}

/// What is to be written, all of it new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken<'a> {
    /// Where it begins: where what was taken before ends.
    pub offset: u64,
    /// Maybe nothing.
    pub data: &'a [u8],
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReceiveOutcome {
    /// It is here, and its hash is right.
    Received,
    /// What came, with what was there, is not what was sent: none of it is worth keeping.
    Corrupt,
    /// The server has given it up, or has not let this client have it.
    Failed(Refusal),
    /// The sender has given it up.
    Aborted {
        /// For people; untrusted.
        reason: Box<str>,
    },
    /// The server sent something that makes no sense.
    Broken(&'static str),
    /// It was [cancelled](Receiving::cancel) here.
    Cancelled,
}

/// One file that is being taken.
///
/// A client that leaves the room it is for drops this with its `leave`: credit that follows would accept the file anew,
/// if the client joins again.
#[derive(Debug)]
pub struct Receiving {
    transfer: TransferId,
    size: u64,
    expected: Option<FileHash>,
    window_bytes: u32,
    hasher: Sha256,
    /// Everything before this is in the hash.
    hashed: u64,
    /// Everything before this has been taken.
    taken: u64,
    /// Everything before this has been written, never more than what was taken.
    written: u64,
    /// Where the next piece begins, once one has come. Before what was taken if the server begins further back.
    position: Option<u64>,
    /// Up to where credit was last given, and up to where there was room by that.
    acknowledged: Option<u64>,
    limit: u64,
    /// The server has said that this was all.
    ended: bool,
    to_say: Option<LastWord>,
    outcome: Option<ReceiveOutcome>,
}

#[derive(Debug)]
enum LastWord {
    Complete,
    Abort(Box<str>),
}

impl Receiving {
    /// Takes a file of which everything before `have` is there already, or is thought to be; no more than `window_bytes`
    /// are on their way at once, which may not be less than 1,024. `None`: what is there is longer than the file.
    pub fn new(offer: &Offer, have: u64, window_bytes: u32) -> Option<Self> {
        (have <= offer.size).then(|| Self {
            transfer: offer.transfer,
            size: offer.size,
            expected: offer.hash,
            window_bytes: window_bytes.min(offer.max_window_bytes).max(1),
            hasher: Sha256::new(),
            hashed: 0,
            taken: have,
            written: have,
            position: None,
            acknowledged: None,
            limit: have,
            ended: false,
            to_say: None,
            outcome: None,
        })
    }

    /// What is there already and has yet to be read again, in pieces of any size, in order, with
    /// [`hash`](Self::hash). Nothing is asked of the server before.
    pub fn missing_hash(&self) -> Option<Range<u64>> {
        let is_missing = self.hashed < self.taken && self.position.is_none();
        (is_missing && self.outcome.is_none()).then_some(self.hashed..self.taken)
    }

    /// The next bytes of what is [missing](Self::missing_hash); without any, the copy is shorter than it was thought to
    /// be, and is taken for what it is. O(`bytes`).
    pub fn hash(&mut self, bytes: &[u8]) {
        let Some(missing) = self.missing_hash() else {
            return;
        };
        if bytes.is_empty() {
            (self.taken, self.written, self.limit) = (self.hashed, self.hashed, self.hashed);
            return;
        }
        let most = usize::try_from(missing.end - missing.start).unwrap_or(usize::MAX);
        let bytes = bytes.get(..most).unwrap_or(bytes);
        self.hasher.update(bytes);
        self.hashed += bytes.len() as u64;
    }

    /// What is to be said, if anything. O(1).
    pub fn next_request(&mut self) -> Option<FileRequest<'static>> {
        let transfer = self.transfer;
        match self.to_say.take() {
            Some(LastWord::Complete) => return Some(FileRequest::Complete { transfer }),
            Some(LastWord::Abort(reason)) => {
                return Some(FileRequest::Abort {
                    transfer: Named::Number(transfer),
                    reason: Cow::Owned(reason.into()),
                });
            }
            None => {}
        }
        let is_over = self.outcome.is_some() || self.ended;
        if is_over || self.missing_hash().is_some() {
            return None;
        }
        let is_due = match self.acknowledged {
            None => true,
            Some(told) => {
                let news = self.done().saturating_sub(told);
                news >= u64::from((self.window_bytes / CREDIT_DIVISOR).max(1))
            }
        };
        is_due.then(|| self.credit())
    }

    /// Credit for at least `least_bytes`, which may be less than is worth it otherwise: to be asked for when nothing has
    /// come for a moment, so that the server knows that this end has done with what came and waits.
    pub fn late_credit(&mut self, least_bytes: u64) -> Option<FileRequest<'static>> {
        let news = self.late_bytes();
        (news > 0 && news >= least_bytes).then(|| self.credit())
    }

    /// How much [`late_credit`](Self::late_credit) would be for.
    pub fn late_bytes(&self) -> u64 {
        match self.acknowledged {
            Some(told) if self.outcome.is_none() && !self.ended => self.done().saturating_sub(told),
            _ => 0,
        }
    }

    fn credit(&mut self) -> FileRequest<'static> {
        let offset = self.done();
        self.acknowledged = Some(offset);
        let limit = offset.saturating_add(self.window_bytes.into());
        self.limit = self.limit.max(limit);
        FileRequest::Credit {
            transfer: self.transfer,
            offset,
            window_bytes: self.window_bytes,
        }
    }

    /// Everything before this needs no room any more.
    fn done(&self) -> u64 {
        self.position
            .map_or(self.written, |at| at.min(self.written))
    }

    /// A piece has come: what of it is to be written, for which [`written`](Self::written) is called then. O(`data`).
    ///
    /// # Errors
    /// It is over: the piece makes no sense.
    pub fn chunk<'b>(&mut self, offset: u64, data: &'b [u8]) -> Result<Taken<'b>, ReceiveOutcome> {
        if let Some(outcome) = &self.outcome {
            return Err(outcome.clone());
        }
        let Some(piece) = piece(offset, data.len() as u64, self.size) else {
            return Err(self.broken("the server sends what is not in the file"));
        };
        let Some(told) = self.acknowledged else {
            return Err(self.broken("the server sends what was not asked for"));
        };
        let is_next = match self.position {
            Some(position) => offset == position,
            // What came before in another life may not have come for the others: it begins where they are.
            None => offset <= self.taken,
        };
        if !is_next || self.ended {
            return Err(self.broken("the server sends pieces out of order"));
        }
        if piece.end > self.limit {
            return Err(self.broken("the server sends more than there was room for"));
        }
        if self.position.is_none() {
            self.acknowledged = Some(told.min(offset));
        }
        self.position = Some(piece.end);
        let known = usize::try_from(self.taken - offset).unwrap_or(usize::MAX);
        let new = data.get(known..).unwrap_or_default();
        let taken = Taken {
            offset: self.taken,
            data: new,
        };
        self.hasher.update(new);
        self.taken += new.len() as u64;
        self.hashed = self.taken;
        Ok(taken)
    }

    /// So many more bytes of what was taken have been written. O(1).
    pub fn written(&mut self, bytes: u64) {
        self.written = self.written.saturating_add(bytes).min(self.taken);
    }

    /// The server says something else; whether it is about this file. O(1).
    pub fn take(&mut self, notice: &FileNotice<'_>) -> bool {
        match *notice {
            FileNotice::End {
                transfer,
                size,
                hash,
            } if transfer == self.transfer => self.end(size, &hash),
            FileNotice::Aborted { transfer, reason } if transfer == self.transfer => {
                let reason = reason.into();
                self.over(ReceiveOutcome::Aborted { reason });
            }
            FileNotice::Failed {
                transfer,
                code,
                message,
            } if transfer == self.transfer => self.failed(code, message),
            _ => return false,
        }
        true
    }

    fn end(&mut self, size: u64, hash: &FileHash) {
        if self.outcome.is_some() || self.ended {
            return;
        }
        let position = self.position.unwrap_or(self.taken);
        if size != self.size || position != size || self.taken != size {
            self.broken("the server ends the file before its end");
            return;
        }
        let here: FileHash = self.hasher.clone().finalize().into();
        let is_expected = self.expected.is_none_or(|expected| expected == here);
        if here != *hash || !is_expected || self.hashed != size {
            self.give_up("the hash is wrong", ReceiveOutcome::Corrupt);
            return;
        }
        self.ended = true;
    }

    /// The server refuses what was said of this file.
    pub fn failed(&mut self, code: ErrorCode, message: &str) {
        self.over(ReceiveOutcome::Failed(Refusal::new(code, message)));
    }

    /// Everything has come, been checked and written: it can be put in its place, and [`kept`](Self::kept).
    pub fn is_whole(&self) -> bool {
        self.ended && self.written == self.size && self.outcome.is_none()
    }

    /// The caller has put the file in its place.
    pub fn kept(&mut self) {
        if self.is_whole() {
            self.to_say = Some(LastWord::Complete);
            self.outcome = Some(ReceiveOutcome::Received);
        }
    }

    /// Gives this copy up; the server is told.
    pub fn cancel(&mut self, reason: &str) {
        self.give_up(reason, ReceiveOutcome::Cancelled);
    }

    fn give_up(&mut self, reason: &str, outcome: ReceiveOutcome) {
        if self.outcome.is_none() && self.acknowledged.is_some() {
            self.to_say = Some(LastWord::Abort(reason.into()));
        }
        self.over(outcome);
    }

    fn broken(&mut self, what: &'static str) -> ReceiveOutcome {
        let outcome = ReceiveOutcome::Broken(what);
        self.give_up(what, outcome.clone());
        outcome
    }

    fn over(&mut self, outcome: ReceiveOutcome) {
        self.outcome.get_or_insert(outcome);
    }

    /// How it ended, if it has.
    pub fn outcome(&self) -> Option<&ReceiveOutcome> {
        self.outcome.as_ref()
    }

    /// Whether the server is still to be told that it is over.
    pub fn has_last_word(&self) -> bool {
        self.to_say.is_some()
    }

    /// Everything before this has been written.
    pub fn written_to(&self) -> u64 {
        self.written
    }

    /// Whether anything has come of it.
    pub fn has_begun(&self) -> bool {
        self.position.is_some() || self.ended
    }

    /// The server's number for it.
    pub fn transfer(&self) -> TransferId {
        self.transfer
    }
}

/// Credit is given for this part of the window at once.
const CREDIT_DIVISOR: u32 = 4;
