//! A client's files: those that it sends, and those that it takes, across its connections.

use std::collections::{BTreeMap, VecDeque};

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::content::Content;
use super::plan::{Claim, Porter};
use crate::rng::Rng;

/// What a client has to say about a file.
#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) text: Value,
    pub(super) about: About,
}

/// The same, for the oracle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// It sends a file, or goes on with it, and calls that so.
    Start {
        /// Its name for the transfer.
        own: String,
        /// What it sends.
        content: Content,
        /// It goes on.
        resumes: bool,
        /// It is going to say another hash.
        lies: bool,
    },
    /// A piece of so many bytes.
    Chunk(u64, u64),
    /// It has sent everything.
    End(u64),
    /// It gives up.
    Abort(u64),
    /// It has everything before an offset and takes so much more.
    Credit(u64, u64, u64),
    /// It has everything.
    Complete(u64),
}

/// All of a client's files.
#[derive(Debug)]
pub(super) struct Carrier {
    plan: Porter,
    rng: Rng,
    sends: Vec<Sending>,
    takes: BTreeMap<u64, Taking>,
    /// How much it has of files that it did not get to the end of.
    kept: BTreeMap<u64, u64>,
    due: BTreeMap<(u64, u64), Job>,
    next_due: u64,
    /// What it says now.
    says: Vec<Said>,
}

#[derive(Debug)]
struct Sending {
    own: String,
    to: (&'static str, String),
    content: Content,
    claim: Claim,
    transfer: Option<u64>,
    secret: String,
    chunk_bytes: u64,
    wanted: VecDeque<(u64, u64)>,
    /// A chunk is about to be sent.
    busy: bool,
    /// It has sent everything before this.
    passed: u64,
    ended: bool,
    over: bool,
}

#[derive(Debug)]
struct Taking {
    room: Option<String>,
    size: u64,
    /// The first byte has come, or been claimed.
    got: u64,
    begun: bool,
    acknowledged: u64,
    window: u64,
    /// Credit is about to be given.
    busy: bool,
    over: bool,
}

#[derive(Clone, Copy, Debug)]
enum Job {
    Chunk(usize),
    Accept(u64),
    Credit(u64),
    Complete(u64),
    /// Once more, as what was said may have been refused.
    Again,
}

impl Job {
    /// The file that it is about, if the client takes it.
    const fn taken(self) -> Option<u64> {
        match self {
            Self::Accept(transfer) | Self::Credit(transfer) | Self::Complete(transfer) => {
                Some(transfer)
            }
            Self::Chunk(_) | Self::Again => None,
        }
    }
}

impl Carrier {
    pub(super) fn new(plan: Porter, seed: u64) -> Self {
        Self {
            plan,
            rng: Rng::new(seed),
            sends: Vec::new(),
            takes: BTreeMap::new(),
            kept: BTreeMap::new(),
            due: BTreeMap::new(),
            next_due: 0,
            says: Vec::new(),
        }
    }

    pub(super) fn is_binary(&self) -> bool {
        self.plan.binary
    }

    /// What there is to say.
    pub(super) fn take_says(&mut self) -> Vec<Said> {
        core::mem::take(&mut self.says)
    }

    /// When there is something to do.
    pub(super) fn next_due(&self) -> Option<u64> {
        Some(self.due.first_key_value()?.0.0)
    }

    fn after(&mut self, at: u64, job: Job) {
        self.due.insert((at, self.next_due), job);
        self.next_due += 1;
    }

    fn say(&mut self, text: Value, about: About) {
        self.says.push(Said { text, about });
    }

    // ---- what it does

    /// It has a new connection: what it was about to do is void.
    pub(super) fn connects(&mut self) {
        self.due.clear();
        self.says.clear();
        for (transfer, taking) in core::mem::take(&mut self.takes) {
            if !taking.over && self.plan.resumes {
                self.kept.insert(transfer, taking.got);
            }
        }
        for send in &mut self.sends {
            send.wanted.clear();
            send.busy = false;
            send.ended = false;
            // What was not accepted has never been.
            send.over |= send.transfer.is_none() || !self.plan.resumes;
        }
    }

    /// It is welcomed: it goes on with what it sends.
    pub(super) fn welcomed(&mut self) {
        let open = self.sends.iter().filter(|send| !send.over);
        let starts: Vec<_> = open.map(start).collect();
        self.says.extend(starts);
    }

    /// It sends a file.
    pub(super) fn offer(
        &mut self,
        own: String,
        to: (&'static str, String),
        content: Content,
        claim: Claim,
    ) {
        let send = Sending {
            own,
            to,
            content,
            claim,
            transfer: None,
            secret: String::new(),
            chunk_bytes: 1,
            wanted: VecDeque::new(),
            busy: false,
            passed: 0,
            ended: false,
            over: false,
        };
        self.says.push(start(&send));
        self.sends.push(send);
    }

    /// It gives something up.
    pub(super) fn give_up(&mut self) {
        let open = |send: &&mut Sending| !send.over && send.transfer.is_some();
        let sent = self.sends.iter_mut().find(open).and_then(|send| {
            send.over = true;
            send.transfer
        });
        if let Some(transfer) = sent {
            return self.abort(transfer);
        }
        let taken = self.takes.iter_mut().find(|(_, taking)| !taking.over);
        if let Some((&transfer, taking)) = taken {
            taking.over = true;
            self.abort(transfer);
        }
    }

    /// It says that it leaves a room, and nothing more of the files that it takes there.
    pub(super) fn leaves(&mut self, room: &str) {
        let takes = self.takes.values_mut();
        for taking in takes.filter(|taking| taking.room.as_deref() == Some(room)) {
            taking.over = true;
        }
    }

    fn abort(&mut self, transfer: u64) {
        let text = json!({"type": "file_abort", "transfer": transfer, "reason": "no more"});
        self.say(text, About::Abort(transfer));
    }

    /// It is time for what is due.
    pub(super) fn tick(&mut self, now: u64) {
        while let Some(entry) = self.due.first_entry()
            && entry.key().0 <= now
        {
            match entry.remove() {
                Job::Chunk(send) => {
                    self.sends[send].busy = false;
                    self.chunk(send);
                    self.pump(now, send);
                }
                Job::Accept(transfer) => self.credit(transfer),
                Job::Credit(transfer) => {
                    if let Some(taking) = self.takes.get_mut(&transfer) {
                        taking.busy = false;
                    }
                    self.credit(transfer);
                }
                Job::Complete(transfer) => self.complete(transfer),
                Job::Again => {
                    let open = self.takes.iter().filter(|(_, taking)| !taking.over);
                    let open: Vec<u64> = open.map(|(&transfer, _)| transfer).collect();
                    open.into_iter().for_each(|transfer| self.credit(transfer));
                    for send in 0..self.sends.len() {
                        self.end(send);
                    }
                }
            }
        }
    }

    // ---- what it hears

    pub(super) fn heard(&mut self, now: u64, kind: &str, value: &Value) {
        let transfer = value["transfer"].as_u64().unwrap_or_default();
        match kind {
            "file_accepted" => self.accepted(value, transfer),
            "file_wanted" => {
                let piece = (number(value, "offset"), number(value, "length"));
                if let Some(send) = self.sending(transfer) {
                    self.sends[send].wanted.push_back(piece);
                    self.pump(now, send);
                }
            }
            "file_offered" => self.offered(now, value, transfer),
            "file_chunk" => self.passed(now, value, transfer),
            "file_end" => {
                if let Some(taking) = self.takes.get(&transfer)
                    && !taking.over
                {
                    self.after(now + self.plan.credit_us, Job::Complete(transfer));
                }
            }
            "file_completed" | "file_abort" | "file_error" => {
                if let Some(send) = self.sending(transfer) {
                    self.sends[send].over = true;
                }
                if let Some(taking) = self.takes.get_mut(&transfer) {
                    taking.over = true;
                }
            }
            "error" if value["code"] == "rate_limited" => {
                self.after(now + 1_000_000, Job::Again);
            }
            _ => {}
        }
    }

    fn sending(&self, transfer: u64) -> Option<usize> {
        let mut sends = self.sends.iter();
        sends.position(|send| send.transfer == Some(transfer) && !send.over)
    }

    fn accepted(&mut self, value: &Value, transfer: u64) {
        let own = value["transferId"].as_str().unwrap_or_default();
        let Some(send) = self.sends.iter().position(|send| send.own == own) else {
            return;
        };
        let entry = &mut self.sends[send];
        entry.transfer = Some(transfer);
        entry.chunk_bytes = number(value, "chunkBytes").max(1);
        entry.secret = value["transferSecret"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        self.end(send);
    }

    /// Says that it has sent everything, if it has.
    fn end(&mut self, send: usize) {
        let entry = &mut self.sends[send];
        let Some(transfer) = entry.transfer else {
            return;
        };
        if entry.over || entry.passed < entry.content.size || !entry.wanted.is_empty() {
            return;
        }
        entry.ended = true;
        let mut text = json!({"type": "file_end", "transfer": transfer});
        match entry.claim {
            Claim::Nothing | Claim::Start => {}
            Claim::End => {
                text["size"] = json!(entry.content.size);
                text["hash"] = json!(entry.content.hash());
            }
            Claim::Wrong => text["hash"] = json!(format!("sha256:{}", "0".repeat(64))),
        }
        self.say(text, About::End(transfer));
    }

    fn pump(&mut self, now: u64, send: usize) {
        let at = now + self.plan.chunk_us;
        while !self.sends[send].busy && !self.sends[send].wanted.is_empty() {
            if self.plan.chunk_us > 0 {
                self.sends[send].busy = true;
                return self.after(at, Job::Chunk(send));
            }
            self.chunk(send);
        }
    }

    /// Sends the next chunk that is wanted.
    fn chunk(&mut self, send: usize) {
        let entry = &mut self.sends[send];
        let Some((offset, length)) = entry.wanted.front_mut() else {
            return;
        };
        let Some(transfer) = entry.transfer.filter(|_| !entry.over) else {
            return entry.wanted.clear();
        };
        let count = entry.chunk_bytes.min(*length);
        let from = *offset;
        (*offset, *length) = (from + count, *length - count);
        if *length == 0 {
            entry.wanted.pop_front();
        }
        entry.passed = entry.passed.max(from + count);
        let data = BASE64.encode(&entry.content.bytes(from, count as usize));
        let has_ended = entry.ended;
        let text = json!({"type": "file_chunk", "transfer": transfer, "offset": from, "data": data, "encoding": "base64"});
        self.say(text, About::Chunk(transfer, count));
        if !has_ended {
            self.end(send);
        }
    }

    fn offered(&mut self, now: u64, value: &Value, transfer: u64) {
        let taken = self.takes.get(&transfer).is_some_and(|taking| !taking.over);
        let refused = self.rng.below(8) < usize::from(self.plan.refuses);
        if taken || refused {
            return;
        }
        // What it was about to say is of a taking that is over.
        self.due.retain(|_, job| job.taken() != Some(transfer));
        let got = self.kept.remove(&transfer).unwrap_or_default();
        let most = number(value, "maxWindow");
        let taking = Taking {
            room: value["room"].as_str().map(str::to_owned),
            size: number(value, "size"),
            got,
            begun: false,
            acknowledged: got,
            window: u64::from(self.plan.window_bytes).min(2 * most),
            busy: false,
            over: false,
        };
        self.takes.insert(transfer, taking);
        let wait = self.rng.next() % 400_000 * u64::from(self.rng.one_in(2));
        self.after(now + wait, Job::Accept(transfer));
    }

    fn passed(&mut self, now: u64, value: &Value, transfer: u64) {
        let data = value["data"].as_str().unwrap_or_default();
        let length = BASE64.decode(data.as_bytes()).map_or(0, |data| data.len());
        let drops = self.rng.below(256) < usize::from(self.plan.drops);
        let Some(taking) = self.takes.get_mut(&transfer) else {
            return self.abort(transfer);
        };
        if taking.over {
            return; // it has given it up, or was given up
        }
        if !taking.begun {
            // Less than it has may be taken as what it has.
            taking.begun = true;
            taking.got = number(value, "offset");
            taking.acknowledged = taking.got.min(taking.acknowledged);
        }
        taking.got += length as u64;
        if drops {
            taking.over = true;
            return self.abort(transfer);
        }
        let half = taking.got - taking.acknowledged >= (taking.window / 2).min(length as u64 * 4);
        if (half || taking.got == taking.size) && !taking.busy {
            taking.busy = true;
            if self.plan.credit_us > 0 {
                return self.after(now + self.plan.credit_us, Job::Credit(transfer));
            }
            taking.busy = false;
            self.credit(transfer);
        }
    }

    fn credit(&mut self, transfer: u64) {
        let Some(taking) = self.takes.get_mut(&transfer).filter(|taking| !taking.over) else {
            return;
        };
        taking.acknowledged = taking.got;
        let (offset, window) = (taking.got, taking.window);
        let text = json!({"type": "file_credit", "transfer": transfer, "offset": offset, "window": window});
        self.say(text, About::Credit(transfer, offset, window));
    }

    fn complete(&mut self, transfer: u64) {
        let taking = self.takes.get_mut(&transfer);
        if let Some(taking) = taking.filter(|taking| !taking.over) {
            taking.over = true;
            let text = json!({"type": "file_complete", "transfer": transfer});
            self.say(text, About::Complete(transfer));
        }
    }
}

fn start(send: &Sending) -> Said {
    let content = send.content;
    let mut text = json!({
        "type": "file_start", "transferId": send.own, "name": content.name(), "size": content.size,
        "mimeType": "application/octet-stream",
    });
    let (to, whom) = &send.to;
    text[*to] = json!(whom);
    if send.claim == Claim::Start {
        text["hash"] = json!(content.hash());
    }
    let resumes = send.transfer.is_some();
    if resumes {
        text["transferSecret"] = json!(send.secret);
    }
    let about = About::Start {
        own: send.own.clone(),
        content,
        resumes,
        lies: send.claim == Claim::Wrong,
    };
    Said { text, about }
}

fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_default()
}
