//! The party that takes files: writes what comes.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroU32;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use roomwire_core::client::files::{Offer, ReceiveOutcome, Receiving};
use roomwire_core::dialect::binary::Told;
use roomwire_core::{ClientMessage, ErrorCode, FileNotice, FileRequest, ServerMessage, TransferId};
use signal_hook::consts::SIGXFSZ;

use super::super::options::ReceiveFiles;
use super::super::show::one_line;
use super::folder::{Folder, Part, hex};
use super::link::Link;
use super::report::{Line, Report, pace};
use super::{Party, advice};

/// What may be on its way for one file; the server's limit counts, too.
const WINDOW_BYTES: u32 = 4 << 20;
/// What is read again of a part before anything else has its turn.
const HASHED_PER_TURN: usize = 8 << 20;
const BUFFER_BYTES: usize = 1 << 20;
/// Between two looks at what has no event.
const TICK: Duration = Duration::from_millis(500);
/// Once nothing has come for so long, the server is told that this end has done with what came: it does not wait long
/// for whoever keeps others waiting.
const PAUSE: Duration = Duration::from_millis(10);
/// Credit for less counts as a message, of which a server takes so many.
const PAUSE_BYTES: u64 = 16 * 1024;
/// After so long it is told in any case.
const LATE: Duration = Duration::from_secs(2);
/// Between two looks at a file whose pace is limited.
const LIMITED_TICK: Duration = Duration::from_millis(20);
/// Files that are taken at once, which is more than a sender sends.
const MAX_AT_ONCE: usize = 64;

pub(super) struct Receiver {
    folder: Folder,
    max_bytes: Option<u64>,
    limit_bytes_per_s: Option<u64>,
    /// Files that may still come to an end.
    left: Option<u64>,
    copies: Vec<Copy>,
    /// Completions without an outcome.
    asked: BTreeMap<NonZeroU32, TransferId>,
    /// Files whose connection was lost, until they are offered again.
    unfinished: Vec<Box<str>>,
    leaving: bool,
    failed: bool,
    report: Report,
    buffer: Vec<u8>,
}

struct Copy {
    offer: Offer,
    receiving: Receiving,
    part: Option<Part>,
    bar: ProgressBar,
    /// What was there before.
    had: u64,
    begun: Instant,
    heard: Instant,
    limit: Option<Limit>,
    /// Why it was given up here.
    why: Option<String>,
    /// What came of it is worth nothing.
    is_worthless: bool,
    /// Its last request has been said, and it has been told of.
    is_told: bool,
}

/// Lets written what came, no faster than so much.
struct Limit {
    bytes_per_s: u64,
    waiting_bytes: u64,
    since: Instant,
}

impl Limit {
    /// How much may be called written by now.
    fn take(&mut self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.since);
        let allowed = elapsed.as_secs_f64() * self.bytes_per_s as f64;
        let count = (allowed as u64).min(self.waiting_bytes);
        if count > 0 {
            let took = Duration::from_secs_f64(count as f64 / self.bytes_per_s as f64);
            self.since += took;
            self.waiting_bytes -= count;
        }
        if self.waiting_bytes == 0 {
            self.since = now;
        }
        count
    }
}

impl Receiver {
    pub(super) fn new(asked: &ReceiveFiles) -> Result<Self, String> {
        // Too large a file is then an error of writing and not the end of the process.
        let flag = std::sync::Arc::default();
        signal_hook::flag::register(SIGXFSZ, flag)
            .map_err(|error| format!("installing a signal handler: {error}"))?;
        Ok(Self {
            folder: Folder::open(&asked.into, asked.resume)?,
            max_bytes: asked.max_bytes,
            limit_bytes_per_s: asked.limit_bytes_per_s,
            left: asked.count,
            copies: Vec::new(),
            asked: BTreeMap::new(),
            unfinished: Vec::new(),
            leaving: false,
            failed: false,
            report: Report::new(asked.lasting.json_lines),
            buffer: vec![0; BUFFER_BYTES],
        })
    }

    fn offered(&mut self, offer: Offer, now: Instant) {
        let is_known = self
            .copies
            .iter()
            .any(|it| it.offer.transfer == offer.transfer);
        if is_known || self.leaving || self.left == Some(0) {
            return;
        }
        if let Some(max) = self.max_bytes
            && offer.size > max
        {
            let size = offer.size;
            return self.refuse(
                &offer,
                &format!("it has {size} bytes, and --max-bytes {max} allows no more"),
            );
        }
        if self.copies.len() >= MAX_AT_ONCE {
            return self.refuse(&offer, "too many files come at once");
        }
        let part = match self.folder.part(&offer) {
            Ok(part) => part,
            Err(error) => return self.refuse(&offer, &format!("cannot write it: {error}")),
        };
        let had = part.have;
        self.unfinished.retain(|name| *name != offer.file_name);
        let Some(receiving) = Receiving::new(&offer, had, WINDOW_BYTES) else {
            return self.refuse(&offer, "what is there is longer");
        };
        let line = Line {
            event: if had > 0 { "resumed" } else { "begun" },
            offset: Some(had),
            ..line(&offer)
        };
        self.report.tell(&line, None);
        let limit = self.limit_bytes_per_s.map(|bytes_per_s| Limit {
            bytes_per_s,
            waiting_bytes: 0,
            since: now,
        });
        self.copies.push(Copy {
            bar: self.report.bar(&offer.file_name, offer.size),
            offer,
            receiving,
            part: Some(part),
            had,
            begun: now,
            heard: now,
            limit,
            why: None,
            is_worthless: false,
            is_told: false,
        });
    }

    fn refuse(&mut self, offer: &Offer, why: &str) {
        let line = Line {
            event: "refused",
            why: Some(why),
            ..line(offer)
        };
        self.report.tell(&line, None);
        let name = one_line(&offer.file_name);
        self.report.note(&format!("{name}: not taken: {why}"));
        self.failed = true;
        self.one_less();
    }

    fn one_less(&mut self) {
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(1);
        }
    }

    /// Takes those out that are over, and of which everything has been said.
    fn settle(&mut self) {
        let mut at = 0;
        while let Some(copy) = self.copies.get_mut(at) {
            if copy.receiving.outcome().is_none() {
                at += 1;
                continue;
            }
            if !std::mem::replace(&mut copy.is_told, true) {
                let mut copy = self.copies.remove(at);
                self.report.remove(&copy.bar);
                self.tell_outcome(&mut copy);
                self.one_less();
                self.copies.insert(at, copy);
            }
            let transfer = self.copies.get(at).map(|copy| copy.offer.transfer);
            let waits = self.asked.values().any(|asked| Some(*asked) == transfer);
            let has_last_word = self
                .copies
                .get(at)
                .is_some_and(|copy| copy.receiving.has_last_word());
            if waits || has_last_word {
                at += 1;
            } else {
                self.copies.remove(at);
            }
        }
    }

    fn tell_outcome(&mut self, copy: &mut Copy) {
        let Some(outcome) = copy.receiving.outcome() else {
            return;
        };
        // What was received has been told of as it was put in its place.
        if *outcome == ReceiveOutcome::Received {
            return;
        }
        let why = match outcome {
            ReceiveOutcome::Corrupt => {
                copy.is_worthless = true;
                "what came is not what was sent, and was removed: ask for it once more".to_owned()
            }
            ReceiveOutcome::Failed(refusal) => format!(
                "the server gave it up: {}: {}{}",
                refusal.code,
                refusal.message,
                advice(refusal.code)
            ),
            ReceiveOutcome::Aborted { reason } => format!("the sender gave it up: {reason}"),
            ReceiveOutcome::Broken(what) => format!("the server broke its protocol: {what}"),
            _ => copy.why.clone().unwrap_or_default(),
        };
        let why = one_line(&why);
        let written = copy.receiving.written_to();
        let line = Line {
            event: "failed",
            offset: Some(written),
            why: Some(&why),
            ..line(&copy.offer)
        };
        self.report.tell(&line, None);
        let name = one_line(&copy.offer.file_name);
        self.report.note(&format!("{name}: {why}"));
        if let Some(part) = copy.part.take() {
            if copy.is_worthless || written == 0 {
                self.folder.discard(part);
            } else {
                let path = part.path().display();
                let size = copy.offer.size;
                self.report.note(&format!(
                    "{path} has {written} of {size} bytes: --resume goes on from there"
                ));
            }
        }
        self.failed = true;
    }

    /// An error that does not say which request it is about: where only one can be meant, it is that one.
    fn refused_something(&mut self, code: ErrorCode, message: &str) {
        let mut fresh = self
            .copies
            .iter_mut()
            .filter(|copy| !copy.receiving.has_begun() && copy.receiving.outcome().is_none());
        if let (Some(copy), None) = (fresh.next(), fresh.next()) {
            copy.receiving.failed(code, message);
        }
    }

    fn put_in_place(&mut self, at: usize) {
        let Some(copy) = self.copies.get_mut(at) else {
            return;
        };
        let Some(part) = copy.part.take() else {
            return;
        };
        match self.folder.keep(part) {
            Ok(path) => {
                copy.receiving.kept();
                let took = copy.begun.elapsed();
                let size = copy.offer.size;
                let path = path.display().to_string();
                let sha256 = copy.offer.hash.as_ref().map(|hash| hex(hash));
                let line = Line {
                    event: "received",
                    path: Some(&path),
                    offset: Some(copy.had),
                    bytes: Some(size - copy.had),
                    seconds: Some(took.as_secs_f64()),
                    sha256: sha256.as_deref(),
                    ..line(&copy.offer)
                };
                let pace = pace(size - copy.had, took);
                let from = match copy.had {
                    0 => String::new(),
                    had => format!(", {had} of which were there"),
                };
                let text = format!("received {path}: {size} bytes {pace}{from}");
                self.report.tell(&line, Some(&text));
            }
            Err(error) => copy.give_up(format!("cannot put it in its place: {error}")),
        }
    }
}

fn line(offer: &Offer) -> Line<'_> {
    Line {
        transfer: Some(offer.transfer.to_bits()),
        file: Some(&offer.file_name),
        size: Some(offer.size),
        ..Line::default()
    }
}

impl Party for Receiver {
    fn begins(&mut self, client: &str) {
        let line = Line {
            event: "waiting",
            client: Some(client),
            ..Line::default()
        };
        let text = format!("waiting for files as {client}");
        self.report.tell(&line, Some(&text));
    }

    fn told(&mut self, told: &Told<'_>, now: Instant) {
        if let Some(number) = told.number {
            self.asked.remove(&number);
        }
        match &told.message {
            ServerMessage::File(FileNotice::Chunk {
                transfer,
                offset,
                data,
            }) => {
                if let Some(copy) = self
                    .copies
                    .iter_mut()
                    .find(|it| it.offer.transfer == *transfer)
                {
                    copy.chunk(*offset, data, now);
                }
            }
            ServerMessage::File(notice) => {
                if let Some(offer) = Offer::of(notice) {
                    return self.offered(offer, now);
                }
                for copy in &mut self.copies {
                    if copy.receiving.take(notice) {
                        return;
                    }
                }
            }
            ServerMessage::Error { code, message, .. } if told.number.is_none() => {
                self.refused_something(*code, message);
            }
            _ => {}
        }
    }

    fn work(&mut self, link: &mut Link<'_>, now: Instant) -> bool {
        let mut more = false;
        for copy in &mut self.copies {
            more |= copy.hash(&mut self.buffer);
            copy.let_written(now);
        }
        for at in 0..self.copies.len() {
            if self
                .copies
                .get(at)
                .is_some_and(|copy| copy.receiving.is_whole())
            {
                self.put_in_place(at);
            }
        }
        for copy in &mut self.copies {
            while let Some(request) = copy.next_request(now) {
                if matches!(request, FileRequest::Credit { .. }) {
                    link.say(ClientMessage::File(request));
                } else {
                    let number = link.ask(ClientMessage::File(request));
                    self.asked.insert(number, copy.offer.transfer);
                }
            }
        }
        self.settle();
        more
    }

    fn lost(&mut self) {
        self.asked.clear();
        for mut copy in std::mem::take(&mut self.copies) {
            self.report.remove(&copy.bar);
            // What was given up has been told of, or is now; the rest is offered again, if it goes on.
            if copy.receiving.outcome().is_some() && !copy.is_told {
                self.tell_outcome(&mut copy);
                self.one_less();
            } else if copy.receiving.outcome().is_none() {
                self.unfinished.push(copy.offer.file_name);
            }
        }
    }

    fn give_up(&mut self, reason: &str) {
        self.leaving = true;
        for name in std::mem::take(&mut self.unfinished) {
            self.failed = true;
            self.report
                .note(&format!("{name}: {reason}: --resume goes on with it"));
        }
        for copy in &mut self.copies {
            copy.give_up(reason.to_owned());
        }
    }

    fn is_done(&self) -> bool {
        self.copies.is_empty() && (self.leaving || self.left == Some(0))
    }

    fn patience(&self, _now: Instant) -> Option<Duration> {
        if self.copies.is_empty() {
            return None;
        }
        let waits = |copy: &Copy| copy.limit.as_ref().is_some_and(|it| it.waiting_bytes > 0);
        let pauses = |copy: &Copy| copy.receiving.late_bytes() >= PAUSE_BYTES;
        Some(if self.copies.iter().any(pauses) {
            PAUSE
        } else if self.copies.iter().any(waits) {
            LIMITED_TICK
        } else {
            TICK
        })
    }

    fn report(&mut self) -> &mut Report {
        &mut self.report
    }

    fn succeeded(&self) -> bool {
        !self.failed
    }
}

impl Copy {
    fn chunk(&mut self, offset: u64, data: &[u8], now: Instant) {
        self.heard = now;
        let Ok(taken) = self.receiving.chunk(offset, data) else {
            return;
        };
        let Some(part) = &self.part else {
            return;
        };
        if let Err(error) = part.file.write_all_at(taken.data, taken.offset) {
            // What there is of this piece is not what was acknowledged.
            let _ = part.file.set_len(taken.offset);
            return self.give_up(explain(&error));
        }
        let count = taken.data.len() as u64;
        match &mut self.limit {
            Some(limit) => limit.waiting_bytes += count,
            None => self.receiving.written(count),
        }
        self.bar.set_position(taken.offset + count);
    }

    fn let_written(&mut self, now: Instant) {
        if let Some(limit) = &mut self.limit {
            self.receiving.written(limit.take(now));
        }
    }

    /// Reads on in what was there already; whether there is more of that.
    fn hash(&mut self, buffer: &mut [u8]) -> bool {
        let mut left = HASHED_PER_TURN;
        while left > 0 {
            let (Some(missing), Some(part)) = (self.receiving.missing_hash(), &self.part) else {
                return false;
            };
            let rest = usize::try_from(missing.end - missing.start).unwrap_or(usize::MAX);
            let length = rest.min(buffer.len());
            let piece = buffer.get_mut(..length).unwrap_or_default();
            match part.file.read_at(piece, missing.start) {
                Ok(count) => {
                    self.receiving.hash(piece.get(..count).unwrap_or_default());
                    self.bar.set_position(missing.start + count as u64);
                    left = left.saturating_sub(count.max(1));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.give_up(format!("cannot read what is there: {error}"));
                    return false;
                }
            }
        }
        true
    }

    fn next_request(&mut self, now: Instant) -> Option<FileRequest<'static>> {
        self.receiving.next_request().or_else(|| {
            let silence = now.saturating_duration_since(self.heard);
            let least_bytes = if silence >= LATE { 1 } else { PAUSE_BYTES };
            let late = (silence >= PAUSE).then(|| self.receiving.late_credit(least_bytes));
            late.flatten()
        })
    }

    fn give_up(&mut self, why: String) {
        self.receiving.cancel(&why);
        self.why.get_or_insert(why);
    }
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull => {
            "the disk is full: make room, and take it again with --resume".to_owned()
        }
        io::ErrorKind::FileTooLarge => {
            "files may not be that large here (ulimit -f, or the file system)".to_owned()
        }
        io::ErrorKind::QuotaExceeded => "the disk quota is used up".to_owned(),
        _ => format!("cannot write it: {error}"),
    }
}
