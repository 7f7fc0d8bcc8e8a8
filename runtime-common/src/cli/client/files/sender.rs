//! The party that sends files: reads what the server asks for.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::num::NonZeroU32;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use roomwire_core::client::files::{Next, Outgoing, Said, SendOutcome, Sending};
use roomwire_core::dialect::binary::Told;
use roomwire_core::{
    ClientMessage, Destination, ErrorCode, FileNotice, FileRequest, ServerMessage,
};
use sha2::{Digest as _, Sha256};

use super::super::options::SendFile;
use super::super::show::one_line;
use super::folder::hex;
use super::link::Link;
use super::report::{Line, Report, pace};
use super::{Party, advice};

/// Files that are sent at once.
const MAX_AT_ONCE: usize = 4;
/// What is read for the hash before anything else has its turn.
const HASHED_PER_TURN: usize = 8 << 20;
const BUFFER_BYTES: usize = 1 << 20;
/// Between two looks at what has no event.
const TICK: Duration = Duration::from_millis(500);
/// How long to wait after a refusal that does not say.
const PAUSE_MS: u64 = 1_000;

pub(super) struct Sender {
    to: Destination<'static>,
    hashes_first: bool,
    waiting: VecDeque<Waiting>,
    active: Vec<Active>,
    /// Requests without an outcome: of which file, by its own name.
    asked: BTreeMap<NonZeroU32, (Box<str>, Said)>,
    count: u64,
    failed: bool,
    report: Report,
    buffer: Vec<u8>,
}

/// A file whose turn has not come.
struct Waiting {
    path: PathBuf,
    file: File,
    file_name: String,
    size: u64,
}

struct Active {
    path: PathBuf,
    file: File,
    stage: Stage,
    bar: ProgressBar,
    begun: Option<Instant>,
    try_again_at: Option<Instant>,
    /// Why it was cancelled here.
    why: Option<String>,
}

enum Stage {
    Hashing {
        about: Outgoing,
        hasher: Sha256,
        at: u64,
    },
    Sending(Sending),
}

impl Sender {
    pub(super) fn new(asked: &SendFile) -> Result<Self, String> {
        if asked.name.is_some() && asked.file.len() > 1 {
            return Err("--name is for one file, and there are several".to_owned());
        }
        let to = match (&asked.room, asked.to) {
            (Some(room), _) => Destination::Room(room.clone().into()),
            (None, Some(client)) => Destination::Client(Some(client.0)),
            (None, None) => return Err("--room or --to says who gets the files".to_owned()),
        };
        let files = asked.file.iter();
        let waiting = files.map(|path| Waiting::open(path, asked.name.as_deref()));
        Ok(Self {
            to,
            hashes_first: !asked.no_hash,
            waiting: waiting.collect::<Result<_, _>>()?,
            active: Vec::new(),
            asked: BTreeMap::new(),
            count: 0,
            failed: false,
            report: Report::new(asked.lasting.json_lines),
            buffer: vec![0; BUFFER_BYTES],
        })
    }

    fn fill(&mut self) {
        while self.active.len() < MAX_AT_ONCE {
            let Some(next) = self.waiting.pop_front() else {
                return;
            };
            self.count += 1;
            let about = Outgoing {
                name: format!("file-{}", self.count).into(),
                to: self.to.clone(),
                file_name: next.file_name.as_str().into(),
                size: next.size,
                mime_type: "application/octet-stream".into(),
                hash: None,
                secret: None,
            };
            let stage = if self.hashes_first {
                let hasher = Sha256::new();
                Stage::Hashing {
                    about,
                    hasher,
                    at: 0,
                }
            } else {
                Stage::Sending(Sending::new(about))
            };
            self.active.push(Active {
                bar: self.report.bar(&next.file_name, next.size),
                path: next.path,
                file: next.file,
                stage,
                begun: None,
                try_again_at: None,
                why: None,
            });
        }
    }

    /// Takes those out that are over.
    fn settle(&mut self) {
        let mut at = 0;
        while let Some(active) = self.active.get(at) {
            match active.outcome() {
                // What is still to be said about it comes first.
                Some(_) if !active.has_last_word() => {
                    let active = self.active.remove(at);
                    self.report.remove(&active.bar);
                    self.tell_outcome(&active);
                }
                _ => at += 1,
            }
        }
    }

    fn tell_outcome(&mut self, active: &Active) {
        let Stage::Sending(sending) = &active.stage else {
            return;
        };
        let progress = sending.progress();
        let about = sending.about();
        let path = active.path.display().to_string();
        let took = active.begun.map_or(Duration::ZERO, |at| at.elapsed());
        let mut line = Line {
            event: "failed",
            transfer: sending.transfer().map(|it| it.to_bits()),
            file: Some(&about.file_name),
            path: Some(&path),
            size: Some(about.size),
            bytes: Some(progress.sent_bytes),
            seconds: Some(took.as_secs_f64()),
            ..Line::default()
        };
        let why = match sending.outcome() {
            Some(&SendOutcome::Completed { completed, failed }) => {
                (line.completed, line.failed) = (Some(completed), Some(failed));
                if completed > 0 && failed == 0 {
                    line.event = "sent";
                    let sha256 = about.hash.as_ref().map(|hash| hex(hash));
                    line.sha256 = sha256.as_deref();
                    let (size, pace) = (about.size, pace(about.size, took));
                    let text = format!("sent {path}: {size} bytes to {completed} {pace}");
                    return self.report.tell(&line, Some(&text));
                }
                format!("{completed} have it, and {failed} who began do not")
            }
            Some(SendOutcome::Refused(refusal)) => format!(
                "refused: {}: {}{}",
                refusal.code,
                refusal.message,
                advice(refusal.code)
            ),
            Some(SendOutcome::Failed(refusal)) => format!(
                "the server gave it up: {}: {}{}",
                refusal.code,
                refusal.message,
                advice(refusal.code)
            ),
            Some(SendOutcome::Aborted { reason }) => format!("the other end gave it up: {reason}"),
            Some(SendOutcome::Broken(what)) => format!("the server broke its protocol: {what}"),
            Some(SendOutcome::Cancelled) => active
                .why
                .clone()
                .unwrap_or_else(|| "the file is shorter than it was: send it again".to_owned()),
            _ => "it ended".to_owned(),
        };
        let why = one_line(&why);
        line.why = Some(&why);
        self.failed = true;
        self.report.tell(&line, None);
        self.report.note(&format!("{path}: {why}"));
    }
}

impl Party for Sender {
    fn begins(&mut self, _client: &str) {
        self.fill();
    }

    fn told(&mut self, told: &Told<'_>, now: Instant) {
        let asked = told.number.and_then(|number| self.asked.remove(&number));
        match (&told.message, asked) {
            (ServerMessage::File(notice), _) => {
                for active in &mut self.active {
                    if active.take(notice) {
                        return active.heard(notice, now, &self.report);
                    }
                }
            }
            (ServerMessage::Ack(_), Some((name, said))) => {
                if let Some(sending) = self.sending(&name) {
                    sending.done(said);
                }
            }
            (
                ServerMessage::Error {
                    code,
                    message,
                    retry_after_ms,
                },
                Some((name, said)),
            ) => {
                let after_ms = retry_after_ms.unwrap_or(PAUSE_MS);
                let mut active = self.active.iter_mut();
                if let Some(active) = active.find(|it| it.is_called(&name))
                    && let Stage::Sending(sending) = &mut active.stage
                {
                    sending.refused(said, *code, message);
                    if *code == ErrorCode::RateLimited {
                        active.try_again_at = Some(now + Duration::from_millis(after_ms));
                    }
                }
            }
            _ => {}
        }
    }

    fn work(&mut self, link: &mut Link<'_>, now: Instant) -> bool {
        self.settle();
        self.fill();
        let mut more = false;
        let mut went_on = true;
        // In turn, a piece each.
        while went_on {
            went_on = false;
            for active in &mut self.active {
                let stage = active.step(link, now, &mut self.buffer, &mut self.asked);
                went_on |= stage == Step::Said;
                more |= matches!(stage, Step::Hashed | Step::Full);
            }
        }
        self.settle();
        self.fill();
        more
    }

    fn lost(&mut self) {
        self.asked.clear();
        for active in &mut self.active {
            if let Stage::Sending(sending) = &mut active.stage {
                sending.lost();
                active.try_again_at = None;
            }
        }
        self.settle();
    }

    fn give_up(&mut self, reason: &str) {
        for waiting in std::mem::take(&mut self.waiting) {
            self.failed = true;
            let path = waiting.path.display();
            self.report
                .note(&format!("{path}: {reason} before its turn came"));
        }
        for active in &mut self.active {
            active.cancel(reason);
        }
        self.settle();
    }

    fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.active.is_empty()
    }

    fn patience(&self, now: Instant) -> Option<Duration> {
        let again = self.active.iter().filter_map(|it| it.try_again_at).min();
        let again = again.map_or(TICK, |at| at.saturating_duration_since(now));
        Some(again.min(TICK))
    }

    fn report(&mut self) -> &mut Report {
        &mut self.report
    }

    fn succeeded(&self) -> bool {
        !self.failed && self.is_done()
    }
}

impl Sender {
    fn sending(&mut self, name: &str) -> Option<&mut Sending> {
        let mut active = self.active.iter_mut();
        match &mut active.find(|it| it.is_called(name))?.stage {
            Stage::Sending(sending) => Some(sending),
            Stage::Hashing { .. } => None,
        }
    }
}

impl Waiting {
    fn open(path: &Path, name: Option<&str>) -> Result<Self, String> {
        let shown = path.display();
        let file = File::open(path).map_err(|error| format!("{shown}: {error}"))?;
        let about = file
            .metadata()
            .map_err(|error| format!("{shown}: {error}"))?;
        if !about.is_file() {
            return Err(format!(
                "{shown}: this is no regular file, and only those can be sent"
            ));
        }
        let own = path.file_name().map(|name| name.to_string_lossy());
        let file_name = name.map_or_else(|| own.unwrap_or_default().into_owned(), str::to_owned);
        Ok(Self {
            path: path.to_owned(),
            file,
            file_name,
            size: about.len(),
        })
    }
}

/// What a file did of what there was to do.
#[derive(PartialEq, Eq)]
enum Step {
    Nothing,
    Said,
    /// A part of the hash, and there is more.
    Hashed,
    /// There may be something, once there is room for it.
    Full,
}

impl Active {
    fn outcome(&self) -> Option<&SendOutcome> {
        match &self.stage {
            Stage::Sending(sending) => sending.outcome(),
            Stage::Hashing { .. } => None,
        }
    }

    fn has_last_word(&self) -> bool {
        matches!(&self.stage, Stage::Sending(sending) if sending.has_farewell())
    }

    fn is_called(&self, name: &str) -> bool {
        matches!(&self.stage, Stage::Sending(sending) if *sending.about().name == *name)
    }

    fn take(&mut self, notice: &FileNotice<'_>) -> bool {
        match &mut self.stage {
            Stage::Sending(sending) => sending.take(notice),
            Stage::Hashing { .. } => false,
        }
    }

    fn heard(&mut self, notice: &FileNotice<'_>, now: Instant, report: &Report) {
        use FileNotice::{Accepted, Progress};
        let Stage::Sending(sending) = &self.stage else {
            return;
        };
        let about = sending.about();
        let mut line = Line {
            transfer: sending.transfer().map(|it| it.to_bits()),
            file: Some(&about.file_name),
            size: Some(about.size),
            ..Line::default()
        };
        match *notice {
            Accepted { offset, .. } => {
                line.event = if self.begun.is_some() {
                    "resumed"
                } else {
                    "offered"
                };
                line.offset = Some(offset);
                self.begun.get_or_insert(now);
                report.tell(&line, None);
            }
            Progress {
                acknowledged,
                receivers,
                completed,
                failed,
                ..
            } => {
                line.event = "progress";
                line.offset = Some(acknowledged);
                line.bytes = Some(sending.progress().sent_bytes);
                line.receivers = Some(receivers);
                (line.completed, line.failed) = (Some(completed), Some(failed));
                report.tell(&line, None);
                let message = format!("{receivers} at it, {completed} done, {failed} failed");
                self.bar.set_message(message);
            }
            _ => {}
        }
    }

    fn cancel(&mut self, why: &str) {
        self.why.get_or_insert_with(|| why.to_owned());
        if let Stage::Hashing { about, .. } = &self.stage {
            self.stage = Stage::Sending(Sending::new(about.clone()));
        }
        if let Stage::Sending(sending) = &mut self.stage {
            sending.cancel(why);
        }
    }

    /// Does the next thing, if there is room for it.
    fn step(
        &mut self,
        link: &mut Link<'_>,
        now: Instant,
        buffer: &mut [u8],
        asked: &mut BTreeMap<NonZeroU32, (Box<str>, Said)>,
    ) -> Step {
        if let Stage::Hashing { .. } = self.stage {
            return self.hash(buffer);
        }
        if self.try_again_at.is_some_and(|at| at <= now) {
            self.try_again_at = None;
            if let Stage::Sending(sending) = &mut self.stage {
                sending.try_again();
            }
        }
        let Stage::Sending(sending) = &mut self.stage else {
            return Step::Nothing;
        };
        if !link.has_room() {
            return Step::Full;
        }
        let name = sending.about().name.clone();
        match sending.next_step() {
            None => return Step::Nothing,
            Some(Next::Say(request)) => {
                let said = match request {
                    FileRequest::Start { .. } => Said::Start,
                    FileRequest::End { .. } => Said::End,
                    _ => Said::Abort,
                };
                let number = link.ask(ClientMessage::File(request));
                asked.insert(number, (name, said));
            }
            Some(Next::Read {
                offset,
                length_bytes,
            }) => {
                let length = (length_bytes as usize).min(buffer.len());
                let piece = buffer.get_mut(..length).unwrap_or_default();
                match read_at(&self.file, piece, offset) {
                    Ok(count) => {
                        let bytes = piece.get(..count).unwrap_or_default();
                        if let Some(request) = sending.read(bytes) {
                            link.say(ClientMessage::File(request));
                        }
                        self.bar.set_position(sending.progress().sent);
                    }
                    Err(error) => {
                        let why = format!("cannot read it: {error}");
                        sending.cancel(&why);
                        self.why = Some(why);
                    }
                }
            }
        }
        Step::Said
    }

    fn hash(&mut self, buffer: &mut [u8]) -> Step {
        let Stage::Hashing { about, hasher, at } = &mut self.stage else {
            return Step::Nothing;
        };
        let mut left = HASHED_PER_TURN;
        while *at < about.size && left > 0 {
            let rest = usize::try_from(about.size - *at).unwrap_or(usize::MAX);
            let length = rest.min(buffer.len());
            let piece = buffer.get_mut(..length).unwrap_or_default();
            let why = match read_at(&self.file, piece, *at) {
                Ok(0) => "the file is shorter than it was: send it again".to_owned(),
                Ok(count) => {
                    hasher.update(piece.get(..count).unwrap_or_default());
                    *at += count as u64;
                    left = left.saturating_sub(count);
                    continue;
                }
                Err(error) => format!("cannot read it: {error}"),
            };
            self.cancel(&why);
            return Step::Said;
        }
        if *at < about.size {
            return Step::Hashed;
        }
        about.hash = Some(hasher.clone().finalize().into());
        self.stage = Stage::Sending(Sending::new(about.clone()));
        Step::Said
    }
}

fn read_at(file: &File, piece: &mut [u8], offset: u64) -> std::io::Result<usize> {
    loop {
        match file.read_at(piece, offset) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}
