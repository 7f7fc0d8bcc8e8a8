//! The end that has a file.
//!
//! ```text
//!   Starting ──▶ Asked ──▶ Going ──▶ Over
//!      ▲           │         │
//!      └───────────┴── lost ─┘   the connection is another one then, the transfer the same
//! ```

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;

use sha2::{Digest as _, Sha256};

use super::{Refusal, piece};
use crate::error::ErrorCode;
use crate::message::{Destination, FileHash, FileNotice, FileRequest, Named, TransferId};

/// What is sent, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The sender's name for the transfer, not empty and not that of another one of its own.
    pub name: Box<str>,
    /// Who is to get it.
    pub to: Destination<'static>,
    /// What the file is called.
    pub file_name: Box<str>,
    /// Its size in bytes.
    pub size: u64,
    /// What is in it (RFC 6838), or nothing.
    pub mime_type: Box<str>,
    /// Its hash, if it is known. Otherwise it is made of what is read and told at the end.
    pub hash: Option<FileHash>,
    /// Goes on with the transfer that was [accepted](Sending::secret) with this secret.
    pub secret: Option<Box<str>>,
}

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// Say this.
    Say(FileRequest<'a>),
    /// Read this piece of the file and hand it to [`Sending::read`].
    Read {
        /// Where it begins.
        offset: u64,
        /// How long it is, at least one byte.
        length_bytes: u32,
    },
}

/// What was said, where that has an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// [`FileRequest::Start`].
    Start,
    /// [`FileRequest::End`].
    End,
    /// [`FileRequest::Abort`].
    Abort,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Everything before this has been sent at least once.
    pub sent: u64,
    /// How much has been sent, what was sent more than once included.
    pub sent_bytes: u64,
    /// Up to where all receivers have it that are at it, as the server tells now and then.
    pub acknowledged: u64,
    /// How many are at it.
    pub receivers: u32,
    /// How many have it.
    pub completed: u32,
    /// How many have accepted it and do not have it.
    pub failed: u32,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendOutcome {
    /// Everyone who accepted it has it or is gone.
    Completed {
        /// How many have it.
        completed: u32,
        /// How many do not.
        failed: u32,
    },
    /// The server did not take it, or not on.
    Refused(Refusal),
    /// The server has given it up.
    Failed(Refusal),
    /// The other end has.
    Aborted {
        /// For people; untrusted.
        reason: Box<str>,
    },
    /// The server asked for something that makes no sense.
    Broken(&'static str),
    /// It was [cancelled](Sending::cancel) here.
    Cancelled,
}

/// One file that is offered and sent as the server asks for it.
#[derive(Debug)]
pub struct Sending {
    about: Outgoing,
    state: State,
    transfer: Option<TransferId>,
    chunk_bytes: u32,
    wanted: VecDeque<Range<u64>>,
    hasher: Sha256,
    /// Everything before this is in the hash.
    hashed: u64,
    end: End,
    /// The server asked for some time before it is told anything again.
    held: bool,
    /// What is still to be said about a transfer that is over.
    farewell: Option<Box<str>>,
    /// Cancelled before the server's number for it was known.
    cancelled: Option<Box<str>>,
    progress: Progress,
}

#[derive(Debug)]
enum State {
    Starting,
    Asked,
    Going,
    Over(SendOutcome),
}

/// How it stands with [`FileRequest::End`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Early,
    Due,
    Said,
    Taken,
}

impl Sending {
    /// Nothing has been said yet.
    pub fn new(about: Outgoing) -> Self {
        Self {
            about,
            state: State::Starting,
            transfer: None,
            chunk_bytes: 0,
            wanted: VecDeque::new(),
            hasher: Sha256::new(),
            hashed: 0,
            end: End::Early,
            held: false,
            farewell: None,
            cancelled: None,
            progress: Progress::default(),
        }
    }

    /// What is to be done next, if anything; to be asked again after it was done, for as long as there is room to send.
    /// What was asked to be read stays the same until it has been. O(1).
    pub fn next_step(&mut self) -> Option<Next<'_>> {
        if let (Some(reason), Some(transfer)) = (&mut self.farewell, self.transfer) {
            let reason = Cow::Owned(std::mem::take(reason).into());
            self.farewell = None;
            let transfer = Named::Number(transfer);
            return Some(Next::Say(FileRequest::Abort { transfer, reason }));
        }
        match self.state {
            State::Starting if !self.held => {
                self.state = State::Asked;
                Some(Next::Say(self.start()))
            }
            State::Going => self.go_on(),
            State::Starting | State::Asked | State::Over(_) => None,
        }
    }

    fn start(&self) -> FileRequest<'_> {
        let about = &self.about;
        FileRequest::Start {
            name: Some(Cow::Borrowed(&about.name)),
            to: about.to.clone(),
            file_name: Cow::Borrowed(&about.file_name),
            size: about.size,
            mime_type: Cow::Borrowed(&about.mime_type),
            hash: about.hash,
            secret: about.secret.as_deref().map(Cow::Borrowed),
        }
    }

    fn go_on(&mut self) -> Option<Next<'_>> {
        let transfer = self.transfer?;
        if self.end == End::Due && !self.held {
            self.end = End::Said;
            return Some(Next::Say(FileRequest::End {
                transfer: Named::Number(transfer),
                size: Some(self.about.size),
                hash: self.hash(),
            }));
        }
        let wanted = self.wanted.front()?;
        let length = (wanted.end - wanted.start).min(self.chunk_bytes.into());
        Some(Next::Read {
            offset: wanted.start,
            length_bytes: u32::try_from(length).unwrap_or(u32::MAX),
        })
    }

    /// The hash of the whole, if it is known by now: what was read was not read in order if the transfer was begun by
    /// another process.
    fn hash(&self) -> Option<FileHash> {
        let made = || self.hasher.clone().finalize().into();
        let is_whole = self.hashed == self.about.size;
        self.about.hash.or_else(|| is_whole.then(made))
    }

    /// The caller has read what [`next_step`](Self::next_step) asked for, or the beginning of it: what to say. Without a byte the
    /// file is shorter than it was, which ends it. O(`bytes`).
    pub fn read<'b>(&mut self, bytes: &'b [u8]) -> Option<FileRequest<'b>> {
        let transfer = self.transfer?;
        if !matches!(self.state, State::Going) {
            return None;
        }
        let wanted = self.wanted.front_mut()?;
        let most = (wanted.end - wanted.start).min(self.chunk_bytes.into());
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let bytes = bytes.get(..most).unwrap_or(bytes);
        if bytes.is_empty() {
            self.cancel("the file is shorter than it was");
            return None;
        }
        let offset = wanted.start;
        let end = offset + bytes.len() as u64;
        wanted.start = end;
        if wanted.is_empty() {
            self.wanted.pop_front();
        }
        self.hash_new(offset, bytes);
        self.sent(offset, end);
        Some(FileRequest::Chunk {
            transfer,
            offset,
            data: Cow::Borrowed(bytes),
        })
    }

    fn hash_new(&mut self, offset: u64, bytes: &[u8]) {
        if self.about.hash.is_some() {
            return;
        }
        let known = self.hashed.checked_sub(offset);
        let new = known.and_then(|known| bytes.get(usize::try_from(known).ok()?..));
        if let Some(new) = new {
            self.hasher.update(new);
            self.hashed += new.len() as u64;
        }
    }

    fn sent(&mut self, offset: u64, end: u64) {
        let progress = &mut self.progress;
        progress.sent_bytes = progress.sent_bytes.saturating_add(end - offset);
        progress.sent = progress.sent.max(end);
        if end == self.about.size && self.end != End::Taken {
            self.end = End::Due;
        }
    }

    /// The server says something; whether it is about this transfer. O(1).
    pub fn take(&mut self, notice: &FileNotice<'_>) -> bool {
        match *notice {
            FileNotice::Accepted {
                name,
                transfer,
                secret,
                chunk_bytes,
                ..
            } => {
                if name != &*self.about.name || !matches!(self.state, State::Asked) {
                    return false;
                }
                self.accepted(transfer, secret, chunk_bytes);
            }
            FileNotice::Wanted {
                transfer,
                offset,
                length_bytes,
            } => {
                if self.is_not(transfer) {
                    return false;
                }
                self.wants(offset, length_bytes);
            }
            FileNotice::Progress {
                transfer,
                acknowledged,
                receivers,
                completed,
                failed,
            } => {
                if self.is_not(transfer) {
                    return false;
                }
                let Progress {
                    sent, sent_bytes, ..
                } = self.progress;
                self.progress = Progress {
                    sent,
                    sent_bytes,
                    acknowledged: acknowledged.min(self.about.size),
                    receivers,
                    completed,
                    failed,
                };
            }
            FileNotice::Completed {
                transfer,
                completed,
                failed,
            } => {
                if self.is_not(transfer) {
                    return false;
                }
                self.progress.receivers = 0;
                (self.progress.completed, self.progress.failed) = (completed, failed);
                self.over(SendOutcome::Completed { completed, failed });
            }
            FileNotice::Aborted { transfer, reason } => {
                if self.is_not(transfer) {
                    return false;
                }
                let reason = reason.into();
                self.over(SendOutcome::Aborted { reason });
            }
            FileNotice::Failed {
                transfer,
                code,
                message,
            } => {
                if self.is_not(transfer) {
                    return false;
                }
                self.over(SendOutcome::Failed(Refusal::new(code, message)));
            }
            _ => return false,
        }
        true
    }

    fn is_not(&self, transfer: TransferId) -> bool {
        self.transfer != Some(transfer) || !matches!(self.state, State::Going)
    }

    fn accepted(&mut self, transfer: TransferId, secret: &str, chunk_bytes: u32) {
        let goes_on = self.about.secret.is_some();
        self.transfer = Some(transfer);
        self.about.secret = (!secret.is_empty()).then(|| secret.into());
        self.chunk_bytes = chunk_bytes.min(MAX_CHUNK_BYTES);
        self.state = State::Going;
        if let Some(reason) = self.cancelled.take() {
            self.cancel(&reason);
        } else if chunk_bytes == 0 {
            self.broken("the server takes pieces of no bytes");
        } else if self.end != End::Taken {
            // What was sent on a connection that is lost may have come: then nothing more is asked for, and this is
            // what is waited for. If it has not, that is refused, and said again once everything has been sent.
            let may_be_due = goes_on || self.about.size == 0;
            self.end = if may_be_due { End::Due } else { End::Early };
        }
    }

    fn wants(&mut self, offset: u64, length_bytes: u32) {
        match piece(offset, length_bytes.into(), self.about.size) {
            None => self.broken("the server asks for what is not in the file"),
            Some(_) if self.wanted.len() >= MAX_WANTED => {
                self.broken("the server asks for too many pieces at once");
            }
            Some(piece) => self.wanted.push_back(piece),
        }
    }

    /// A request that has an outcome was carried out.
    pub fn done(&mut self, said: Said) {
        if said == Said::End && self.end == End::Said {
            self.end = End::Taken;
        }
    }

    /// A request that has an outcome was refused. With [`ErrorCode::RateLimited`] nothing goes on until
    /// [`try_again`](Self::try_again).
    pub fn refused(&mut self, said: Said, code: ErrorCode, message: &str) {
        if matches!(self.state, State::Over(_)) {
            return;
        }
        match (said, code) {
            (Said::Abort, _) => {}
            (Said::Start, ErrorCode::RateLimited) => {
                self.state = State::Starting;
                self.held = true;
            }
            (Said::Start, _) => self.over(SendOutcome::Refused(Refusal::new(code, message))),
            (Said::End, ErrorCode::RateLimited) => {
                self.end = End::Due;
                self.held = true;
            }
            // Not everything has come yet.
            (Said::End, ErrorCode::TransferUnexpected) => {
                if self.end == End::Said {
                    self.end = End::Early;
                }
            }
            (Said::End, _) => self.over(SendOutcome::Failed(Refusal::new(code, message))),
        }
    }

    /// The server may be told again what it refused for being too early.
    pub fn try_again(&mut self) {
        self.held = false;
    }

    /// The connection is lost: [`next_step`](Self::next_step) is what to say on another one. With the
    /// [secret](Self::secret) it goes on, otherwise it begins anew.
    pub fn lost(&mut self) {
        self.wanted.clear();
        self.farewell = None;
        self.held = false;
        match self.state {
            State::Starting | State::Over(_) => {}
            State::Asked | State::Going if self.cancelled.is_some() => {
                self.over(SendOutcome::Cancelled);
            }
            State::Asked | State::Going => self.state = State::Starting,
        }
    }

    /// Gives it up; the server is told if it knows of it.
    pub fn cancel(&mut self, reason: &str) {
        match self.state {
            State::Over(_) => {}
            State::Starting => self.over(SendOutcome::Cancelled),
            State::Asked => self.cancelled = Some(reason.into()),
            State::Going => {
                self.farewell = Some(reason.into());
                self.over(SendOutcome::Cancelled);
            }
        }
    }

    fn broken(&mut self, what: &'static str) {
        self.farewell = Some(what.into());
        self.over(SendOutcome::Broken(what));
    }

    fn over(&mut self, outcome: SendOutcome) {
        self.wanted = VecDeque::new();
        self.state = State::Over(outcome);
    }

    /// How it ended, if it has.
    pub fn outcome(&self) -> Option<&SendOutcome> {
        match &self.state {
            State::Over(outcome) => Some(outcome),
            State::Starting | State::Asked | State::Going => None,
        }
    }

    /// Whether the server has taken it on and nothing has ended it.
    pub fn is_going(&self) -> bool {
        matches!(self.state, State::Going)
    }

    /// Whether the server is still to be told that it is over.
    pub fn has_farewell(&self) -> bool {
        self.farewell.is_some()
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// What is sent.
    pub fn about(&self) -> &Outgoing {
        &self.about
    }

    /// The server's number for it, once it has been accepted.
    pub fn transfer(&self) -> Option<TransferId> {
        self.transfer
    }

    /// With this the transfer can go on from another connection, or another process: see [`Outgoing::secret`].
    pub fn secret(&self) -> Option<&str> {
        self.about.secret.as_deref()
    }
}

/// Pieces that are asked for and not sent. The server has a bound of its own, which is lower.
const MAX_WANTED: usize = 1_024;

/// What is read at once at most, whatever the server takes.
const MAX_CHUNK_BYTES: u32 = 1024 * 1024;
