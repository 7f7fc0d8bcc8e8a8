//! Files: every copy is what was sent, in order and within what its receiver takes, and everybody hears how it ends.
//!
//! What a file holds, its name says, so each piece is compared as it passes. Whoever is at a transfer hears of it within
//! the time that the config gives the ends of one; from then on everything about it is over for that connection.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::BASE64;
use roomwire_core::Server;
use serde_json::Value;

use super::Oracle;
use crate::sim::carrier::About;
use crate::sim::content::Content;
use crate::sim::network::SocketId;

/// All transfers that anybody has heard of.
#[derive(Debug, Default)]
pub(super) struct Files {
    transfers: BTreeMap<u64, Transfer>,
    /// What connections have said that they send, by their own names.
    starts: BTreeMap<(usize, String), (Content, bool, bool)>,
    /// Who is at a transfer: transfer and connection.
    open: BTreeSet<(u64, usize)>,
}

#[derive(Debug)]
struct Transfer {
    content: Content,
    hash: String,
    senders: BTreeMap<usize, Sender>,
    copies: BTreeMap<usize, Copy>,
    /// Receivers that have said that they have everything, and those of them that were told that this counts.
    claimed: u64,
    confirmed: u64,
    /// The sender says another hash.
    lies: bool,
    /// When something was last said of it, in microseconds.
    moved_at: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Nothing was said of taking it.
    #[default]
    Offered,
    Open,
    /// It has been told the end.
    Ended,
    /// It has said that it has everything.
    Complete,
    /// Which it was told counts.
    Confirmed,
    /// It has given it up itself.
    GivenUp,
    /// It was told that it is over.
    Over,
    /// The same, as it was too slow, or has left; it may be at it again without knowing, if it has said something since.
    Dropped,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sender {
    /// Bytes that it was asked for, and that it has sent.
    wanted: u64,
    sent: u64,
    over: bool,
    /// It has given it up itself.
    aborted: bool,
}

#[derive(Clone, Debug, Default)]
struct Copy {
    stage: Stage,
    /// It has been told the end since it last accepted the file.
    ended: bool,
    /// It was offered the file while it was at it: what it says from then on may be of the next taking, and what comes
    /// of the one before must have come.
    offered_anew: bool,
    max_window: u64,
    /// Up to where it has been passed the file; `None` before the first piece.
    next: Option<u64>,
    /// What it has said that it has, and how much more it takes.
    credits: Vec<(u64, u64)>,
}

impl Copy {
    /// Up to where it may be passed the file.
    fn limit(&self, start: u64) -> u64 {
        let limit =
            |&(offset, window): &(u64, u64)| offset.min(start) + window.min(self.max_window);
        self.credits.iter().map(limit).max().unwrap_or_default()
    }
}

impl Oracle {
    /// A client says something of a file.
    pub fn said_of_file(&mut self, socket: SocketId, about: &About) {
        let number = socket.0;
        let now = self.now;
        let (transfer, kind) = match *about {
            About::Start {
                ref own,
                content,
                resumes,
                lies,
            } => {
                let start = (content, resumes, lies);
                self.files.starts.insert((number, own.clone()), start);
                return;
            }
            About::Chunk(transfer, _) => (transfer, "chunk"),
            About::End(transfer) => (transfer, "end"),
            About::Abort(transfer) => (transfer, "abort"),
            About::Credit(transfer, ..) => (transfer, "credit"),
            About::Complete(transfer) => (transfer, "complete"),
        };
        self.coverage.edge(&format!("file: {kind}"));
        let Some(entry) = self.files.transfers.get_mut(&transfer) else {
            return;
        };
        entry.moved_at = now;
        let copy = entry.copies.entry(number).or_default();
        match *about {
            About::Chunk(_, bytes) => {
                if let Some(sender) = entry.senders.get_mut(&number) {
                    sender.sent += bytes;
                }
            }
            About::Credit(_, offset, window) => {
                if !matches!(copy.stage, Stage::Open | Stage::Ended) {
                    copy.stage = Stage::Open;
                    copy.offered_anew = false;
                    copy.next = None;
                    copy.credits.clear();
                    self.files.open.insert((transfer, number));
                }
                copy.credits.push((offset, window));
            }
            About::Complete(_) => {
                // It may be over, which it has not heard yet.
                let ended = copy.ended;
                if copy.stage == Stage::Ended {
                    copy.stage = Stage::Complete;
                }
                entry.claimed += 1;
                self.files.open.remove(&(transfer, number));
                self.check(ended, || {
                    format!("{number}: completes {transfer}, of whose end it was not told")
                });
            }
            About::Abort(_) => {
                if let Some(sender) = entry.senders.get_mut(&number) {
                    sender.aborted = true;
                } else {
                    copy.stage = Stage::GivenUp;
                }
                self.files.open.remove(&(transfer, number));
            }
            About::Start { .. } | About::End(_) => {}
        }
    }

    /// The outcome of `file_start`.
    pub(super) fn file_accepted(&mut self, number: usize, value: &Value, text: &str) {
        let own = value["transferId"].as_str().unwrap_or_default().to_owned();
        let Some((content, resumes, lies)) = self.files.starts.remove(&(number, own)) else {
            return self.fail(|| format!("{number}: nobody started that: {text}"));
        };
        self.coverage.edge(if resumes {
            "file: resumed"
        } else {
            "file: started"
        });
        let transfer = field(value, "transfer");
        let entry = self.transfer(transfer, content);
        entry.lies |= lies;
        let same = entry.content == content;
        let fresh = entry.senders.insert(number, Sender::default()).is_none();
        self.files.open.insert((transfer, number));
        let offset = field(value, "offset");
        let chunk_bytes = u64::from(self.config.files.chunk_bytes);
        let right = same
            && fresh
            && (resumes || offset == 0)
            && offset <= content.size
            && (1..=chunk_bytes).contains(&field(value, "chunkBytes"))
            && value["transferSecret"]
                .as_str()
                .is_some_and(|secret| !secret.is_empty());
        self.check(right, || format!("{number}: not what it started: {text}"));
    }

    /// A copy counts.
    pub(super) fn file_confirmed(&mut self, number: usize, transfer: u64) {
        self.coverage.edge("file: a copy is complete");
        if let Some(entry) = self.files.transfers.get_mut(&transfer) {
            entry.confirmed += 1;
            if let Some(copy) = entry.copies.get_mut(&number) {
                copy.stage = Stage::Confirmed;
            }
        }
    }

    /// Something was refused, of which nothing says what it was: it may have been that it takes a file.
    pub(super) fn file_refused(&mut self, number: usize) {
        let files = &mut self.files;
        let transfers = &files.transfers;
        files.open.retain(|&(transfer, at)| {
            let copy = transfers[&transfer].copies.get(&number);
            at != number || copy.is_none_or(|copy| copy.stage != Stage::Open || copy.next.is_some())
        });
    }

    fn transfer(&mut self, transfer: u64, content: Content) -> &mut Transfer {
        let now = self.now;
        let entry = self.files.transfers.entry(transfer);
        let entry = entry.or_insert_with(|| Transfer {
            content,
            hash: content.hash(),
            senders: BTreeMap::new(),
            copies: BTreeMap::new(),
            claimed: 0,
            confirmed: 0,
            lies: false,
            moved_at: now,
        });
        entry.moved_at = now;
        entry
    }

    /// A client is told of a file.
    pub(super) fn told_of_file(&mut self, number: usize, kind: &str, value: &Value, text: &str) {
        let transfer = field(value, "transfer");
        let wrong = if kind == "file_offered" {
            self.offered(number, transfer, value)
        } else {
            self.went_on(number, transfer, kind, value)
        };
        if let Err(wrong) = wrong {
            let text: String = text.chars().take(300).collect();
            self.fail(|| format!("{number}: {wrong}: {text}"));
        }
    }

    fn offered(&mut self, number: usize, transfer: u64, value: &Value) -> Result<(), String> {
        let max = u64::from(self.config.files.max_window_bytes);
        let own = self.sessions[number].client.clone();
        let content = value["name"].as_str().and_then(Content::of);
        let content = content.ok_or("an offer of a file that nobody has")?;
        let max_window = field(value, "maxWindow");
        let entry = self.transfer(transfer, content);
        let hash = value["hash"].as_str();
        let right = entry.content == content
            && field(value, "size") == content.size
            && hash.is_none_or(|hash| hash == entry.hash)
            && (1..=max).contains(&max_window)
            && value["from"].as_str() != own.as_deref();
        let copy = entry.copies.entry(number).or_default();
        copy.max_window = max_window;
        copy.offered_anew |= matches!(copy.stage, Stage::Open | Stage::Ended);
        if copy.stage != Stage::Ended {
            copy.ended = false;
        }
        right
            .then_some(())
            .ok_or_else(|| "a wrong offer".to_owned())
    }

    /// Anything but an offer.
    fn went_on(
        &mut self,
        number: usize,
        transfer: u64,
        kind: &str,
        value: &Value,
    ) -> Result<(), String> {
        let files = &self.config.files;
        let (most_wanted, request_bytes) = (
            u64::from(files.max_requested_bytes),
            u64::from(files.request_bytes),
        );
        let entry = self.files.transfers.get_mut(&transfer);
        let entry = entry.ok_or("of a file that nobody has")?;
        entry.moved_at = self.now;
        let size = entry.content.size;
        let mut is_over = false;
        if let Some(sender) = entry.senders.get_mut(&number) {
            if sender.over {
                return Err("told its sender after its end".to_owned());
            }
            match kind {
                "file_wanted" => {
                    let (offset, length) = (field(value, "offset"), field(value, "length"));
                    sender.wanted += length;
                    let outstanding = sender.wanted.saturating_sub(sender.sent);
                    if length == 0 || length > request_bytes || offset + length > size {
                        return Err("a wrong piece is wanted".to_owned());
                    }
                    if outstanding > most_wanted && !sender.aborted {
                        return Err(format!("{outstanding} bytes are wanted at once"));
                    }
                }
                "file_progress" => {}
                "file_completed" => {
                    let completed = field(value, "completed");
                    if !(entry.confirmed..=entry.claimed).contains(&completed) {
                        let (least, most) = (entry.confirmed, entry.claimed);
                        return Err(format!("{least} to {most} copies are complete"));
                    }
                    is_over = true;
                }
                "file_error" => is_over = true,
                _ => return Err("told its sender".to_owned()),
            }
            if is_over {
                sender.over = true;
                self.files.open.remove(&(transfer, number));
                self.note_end(kind, value, "sender");
            }
            return Ok(());
        }
        let copy = entry.copies.get_mut(&number);
        let copy = copy.ok_or("of a file that it was not offered")?;
        if copy.stage == Stage::GivenUp {
            return Ok(()); // what was on its way
        }
        if copy.stage == Stage::Dropped
            && matches!(kind, "file_chunk" | "file_end")
            && let Some(&last) = copy.credits.last()
        {
            // It had said more before it heard, and with that has accepted the file anew.
            copy.stage = Stage::Open;
            copy.next = None;
            copy.credits = vec![last];
        }
        match kind {
            "file_chunk" => {
                let data = value["data"].as_str().unwrap_or_default();
                let data = BASE64.decode(data.as_bytes()).unwrap_or_default();
                let offset = field(value, "offset");
                let end = offset + data.len() as u64;
                if copy.stage != Stage::Open || data.is_empty() {
                    return Err(format!("a piece in stage {:?}", copy.stage));
                }
                let right = match copy.next {
                    Some(next) => offset == next,
                    // Less than it has may be taken as what it has.
                    None => copy
                        .credits
                        .first()
                        .is_some_and(|&(claimed, _)| offset <= claimed),
                };
                if !right {
                    return Err(format!("not the piece at {:?}", copy.next));
                }
                if end > copy.limit(offset) {
                    return Err(format!("it takes no more than to {}", copy.limit(offset)));
                }
                if end > size || data != entry.content.bytes(offset, data.len()) {
                    return Err("not what was sent".to_owned());
                }
                copy.next = Some(end);
                copy.ended = false;
            }
            "file_end" => {
                let claimed = copy.credits.first().map(|&(claimed, _)| claimed);
                if copy.stage != Stage::Open || copy.next.or(claimed) != Some(size) {
                    return Err(format!(
                        "the end in stage {:?} at {:?}",
                        copy.stage, copy.next
                    ));
                }
                if entry.lies {
                    return Err("the end, though its sender says another hash".to_owned());
                }
                if field(value, "size") != size || value["hash"] != entry.hash.as_str() {
                    return Err("not the size and hash of what was sent".to_owned());
                }
                copy.stage = Stage::Ended;
                copy.ended = true;
            }
            "file_abort" | "file_error" => {
                if matches!(copy.stage, Stage::Offered | Stage::Over | Stage::Confirmed) {
                    return Err(format!("an end in stage {:?}", copy.stage));
                }
                let slow = kind == "file_error" && value["code"] == "transfer_timeout";
                if let (true, Some(next), Some(&(_, window))) =
                    (slow, copy.next, copy.credits.last())
                    && copy.stage == Stage::Open
                    && copy.limit(next) - next > window.min(copy.max_window) / 2
                {
                    self.coverage
                        .edge("file: too slow, with half of its window unused");
                }
                let left = kind == "file_error" && value["code"] == "not_member";
                copy.stage = if slow || left && !copy.offered_anew {
                    Stage::Dropped
                } else {
                    Stage::Over
                };
                self.files.open.remove(&(transfer, number));
                self.note_end(kind, value, "receiver");
            }
            _ => return Err("told a receiver".to_owned()),
        }
        Ok(())
    }

    fn note_end(&mut self, kind: &str, value: &Value, whom: &str) {
        let code = value["code"].as_str().unwrap_or_default();
        self.coverage.edge(&format!("{kind} {code} to a {whom}"));
    }

    /// Whoever is at a transfer has heard of it lately, or of its end.
    pub(super) fn check_files(&mut self, drained: &BTreeSet<usize>) {
        if self.files.open.is_empty() {
            return;
        }
        let files = &self.config.files;
        let mut patience_ms = files.idle_ms + files.resume_ms + files.patience_ms + SLACK_MS;
        if !self.alone {
            patience_ms += 2 * self.config.timeouts.relay_ms + self.pool_us / 1_000;
        }
        let patience_us = patience_ms * 1_000;
        let mut gone = Vec::new();
        let mut silent = None;
        for &(transfer, number) in &self.files.open {
            let session = &self.sessions[number];
            if !session.live || session.over.is_some() {
                gone.push((transfer, number));
                continue;
            }
            let throttled = self.lives[session.life].throttles;
            let moved_at = self.files.transfers[&transfer].moved_at;
            if drained.contains(&number) && !throttled && self.now > moved_at + patience_us {
                silent = Some((transfer, number, moved_at));
            }
        }
        for end in gone {
            self.files.open.remove(&end);
        }
        if let Some((transfer, number, since)) = silent {
            let entry = &self.files.transfers[&transfer];
            let (sender, copy) = (entry.senders.get(&number), entry.copies.get(&number));
            let what = format!("{sender:?} {copy:?}");
            self.fail(|| {
                format!("{number}: nothing was heard of transfer {transfer} since {since}: {what}")
            });
        }
    }

    /// What is kept of files on a shard is bounded by how many there are.
    pub(super) fn check_file_memory(&mut self, server: &Server) {
        let stats = server.stats();
        let over = stats.files_completed + stats.files_failed;
        let open = (stats.files_started - over) as usize;
        let live = self.life().live;
        let most = open * (TRANSFER_BYTES + live * RECEIVER_BYTES) + SPARE_BYTES;
        let kept = server.memory().files;
        self.check(kept <= most, || {
            format!("{kept} bytes are kept for {open} files, {most} may be")
        });
    }
}

fn field(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_default()
}

/// Until everybody who should have heard has, beyond what the config says.
const SLACK_MS: u64 = 3_000;

const TRANSFER_BYTES: usize = 36 * 1024;
const RECEIVER_BYTES: usize = 512;
const SPARE_BYTES: usize = 64 * 1024;
