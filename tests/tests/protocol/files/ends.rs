//! The two ends of a transfer as a client plays them that does all it should.

use roomwire_tests::Peer;
use serde_json::{Value, json};

use super::hall::{Hall, chunk, data, number, sha256, transfer};

/// A sender.
pub(super) struct Source {
    pub(super) peer: Peer,
    pub(super) transfer: u64,
    pub(super) secret: String,
    pub(super) file: Vec<u8>,
    pub(super) chunk_bytes: usize,
    /// What it was asked for and has not sent.
    pub(super) wanted: Vec<(u64, u64)>,
    /// Up to where it has sent everything once.
    pub(super) sent: u64,
    /// What it has sent in all.
    pub(super) sent_bytes: u64,
    pub(super) said_end: bool,
    pub(super) progress: Vec<Value>,
    pub(super) outcome: Option<Value>,
}

impl Source {
    /// Begins a transfer.
    pub(super) fn start(hall: &mut Hall, peer: Peer, start: &Value, file: Vec<u8>) -> Self {
        let accepted = hall.start(peer, start);
        assert_eq!(accepted["offset"], 0);
        Self {
            peer,
            transfer: transfer(&accepted),
            secret: accepted["transferSecret"]
                .as_str()
                .expect("a secret")
                .to_owned(),
            file,
            chunk_bytes: number(&accepted, "chunkBytes") as usize,
            wanted: Vec::new(),
            sent: 0,
            sent_bytes: 0,
            said_end: false,
            progress: Vec::new(),
            outcome: None,
        }
    }

    /// Goes on from another connection; the offset that it is told.
    pub(super) fn resume(&mut self, hall: &mut Hall, peer: Peer, start: &Value) -> u64 {
        self.peer = peer;
        self.wanted.clear();
        let mut start = start.clone();
        start["transferSecret"] = self.secret.clone().into();
        let accepted = hall.start(peer, &start);
        assert_eq!(transfer(&accepted), self.transfer);
        self.secret = accepted["transferSecret"]
            .as_str()
            .expect("a secret")
            .to_owned();
        number(&accepted, "offset")
    }

    /// Hears what there is; `true` if there was something.
    pub(super) fn hear(&mut self, hall: &mut Hall) -> bool {
        let heard = hall.all(self.peer);
        for message in &heard {
            self.take(message);
        }
        !heard.is_empty()
    }

    pub(super) fn take(&mut self, message: &Value) {
        if message["transfer"] != self.transfer {
            panic!("not of this transfer: {message}");
        }
        assert_eq!(self.outcome, None, "then {message}");
        match message["type"].as_str().expect("a type") {
            "file_wanted" => {
                let (offset, length) = (number(message, "offset"), number(message, "length"));
                assert!(
                    length > 0 && offset + length <= self.file.len() as u64,
                    "{message}"
                );
                self.wanted.push((offset, length));
            }
            "file_progress" => self.progress.push(message.clone()),
            // On a connection of which the server does not know yet that it is the sender's.
            "file_offered" => {}
            "file_completed" | "file_abort" | "file_error" => self.outcome = Some(message.clone()),
            other => panic!("a sender hears {other}"),
        }
    }

    /// Sends the next chunk that is wanted, of at most `bytes`; `false` if none is.
    pub(super) fn send(&mut self, hall: &mut Hall, bytes: usize) -> bool {
        if self.wanted.is_empty() {
            return false;
        }
        let (offset, length) = self.wanted[0];
        let now = length.min(bytes.min(self.chunk_bytes) as u64);
        let (from, to) = (offset as usize, (offset + now) as usize);
        if now == length {
            self.wanted.remove(0);
        } else {
            self.wanted[0] = (offset + now, length - now);
        }
        hall.say(
            self.peer,
            &chunk(self.transfer, offset, &self.file[from..to]),
        );
        assert!(offset <= self.sent, "a gap before {offset}");
        self.sent = self.sent.max(offset + now);
        self.sent_bytes += now;
        true
    }

    pub(super) fn end_message(&self) -> Value {
        json!({
            "type": "file_end", "transfer": self.transfer, "size": self.file.len(), "hash": sha256(&self.file),
        })
    }

    /// One round; `false` if there was nothing to do.
    pub(super) fn step(&mut self, hall: &mut Hall) -> bool {
        let mut busy = self.hear(hall);
        while self.outcome.is_none() && self.send(hall, usize::MAX) {
            busy = true;
            self.hear(hall);
        }
        if self.outcome.is_none() && !self.said_end && self.sent == self.file.len() as u64 {
            self.said_end = true;
            hall.done(self.peer, &self.end_message());
            busy = true;
        }
        busy
    }
}

/// A receiver.
pub(super) struct Sink {
    pub(super) peer: Peer,
    pub(super) transfer: u64,
    pub(super) size: u64,
    pub(super) window: u32,
    pub(super) have: Vec<u8>,
    pub(super) chunks: usize,
    /// Gives credit again when this much of it is used.
    pub(super) every: u32,
    /// What it has not told yet.
    pub(super) credited: u64,
    pub(super) complete: bool,
    pub(super) outcome: Option<Value>,
}

impl Sink {
    /// Accepts the file that it is offered.
    pub(super) fn accept(hall: &mut Hall, peer: Peer, window: u32) -> Self {
        let offered = hall.expect(peer, "file_offered");
        Self::accept_this(hall, peer, &offered, window)
    }

    pub(super) fn accept_this(hall: &mut Hall, peer: Peer, offered: &Value, window: u32) -> Self {
        let mut sink = Self::of(peer, offered, window);
        sink.give_credit(hall);
        sink
    }

    pub(super) fn of(peer: Peer, offered: &Value, window: u32) -> Self {
        Self {
            peer,
            transfer: transfer(offered),
            size: number(offered, "size"),
            window,
            have: Vec::new(),
            chunks: 0,
            every: window / 2,
            credited: 0,
            complete: false,
            outcome: None,
        }
    }

    pub(super) fn at(&self) -> u64 {
        self.have.len() as u64
    }

    pub(super) fn give_credit(&mut self, hall: &mut Hall) {
        self.credited = self.at();
        hall.credit(self.peer, self.transfer, self.at(), self.window);
    }

    /// Hears what there is; `true` if there was something.
    pub(super) fn hear(&mut self, hall: &mut Hall) -> bool {
        let heard = hall.all(self.peer);
        for message in &heard {
            self.take(message);
        }
        !heard.is_empty()
    }

    pub(super) fn take(&mut self, message: &Value) {
        assert_eq!(message["transfer"], self.transfer, "{message}");
        assert_eq!(self.outcome, None, "then {message}");
        match message["type"].as_str().expect("a type") {
            "file_chunk" => {
                assert_eq!(
                    number(message, "offset"),
                    self.at(),
                    "nothing twice, nothing left out"
                );
                let piece = data(message);
                assert!(!piece.is_empty());
                self.have.extend(piece);
                self.chunks += 1;
                assert!(
                    self.at() <= self.credited + u64::from(self.window),
                    "more than its window"
                );
            }
            "file_end" | "file_abort" | "file_error" => self.outcome = Some(message.clone()),
            other => panic!("a receiver hears {other}"),
        }
    }

    /// One round; `false` if there was nothing to do.
    pub(super) fn step(&mut self, hall: &mut Hall) -> bool {
        let mut busy = self.hear(hall);
        if self.outcome.is_none() && self.at() - self.credited >= u64::from(self.every.max(1)) {
            self.give_credit(hall);
            busy = true;
        }
        let ended = self
            .outcome
            .as_ref()
            .is_some_and(|end| end["type"] == "file_end");
        if ended && !self.complete {
            let end = self.outcome.as_ref().expect("an end");
            assert_eq!(end["size"], self.size);
            assert_eq!(end["hash"], sha256(&self.have));
            self.complete = true;
            hall.done(
                self.peer,
                &json!({"type": "file_complete", "transfer": self.transfer}),
            );
            busy = true;
        }
        busy
    }
}

/// Goes on until nothing more happens at once.
pub(super) fn run(hall: &mut Hall, source: &mut Source, sinks: &mut [&mut Sink]) {
    for _ in 0..100_000 {
        let mut busy = source.step(hall);
        for sink in &mut *sinks {
            busy |= sink.step(hall);
        }
        if !busy {
            return;
        }
    }
    panic!("no end of it");
}

/// Goes on until the sender knows the outcome, at most so long.
pub(super) fn finish(hall: &mut Hall, source: &mut Source, sinks: &mut [&mut Sink], most_ms: u64) {
    let mut passed = 0;
    loop {
        run(hall, source, sinks);
        if source.outcome.is_some() || passed >= most_ms {
            return;
        }
        hall.world.advance_ms(50);
        passed += 50;
    }
}

/// All have the file, and the sender knows.
pub(super) fn assert_complete(source: &Source, sinks: &[&mut Sink], failed: u32) {
    let expected = json!({
        "type": "file_completed", "transfer": source.transfer, "completed": sinks.len(), "failed": failed,
    });
    let at: Vec<_> = sinks
        .iter()
        .map(|sink| (sink.at(), sink.credited, sink.complete))
        .collect();
    let asked = (source.sent, &source.wanted, &source.progress.last());
    assert_eq!(source.outcome.as_ref(), Some(&expected), "{at:?} {asked:?}");
    for sink in sinks {
        assert!(sink.complete);
        assert!(sink.have == source.file, "the copy is the file");
    }
}

impl Sink {
    /// The same for one that has done something wrong.
    pub(super) fn hear_but_errors(&mut self, hall: &mut Hall) {
        for message in hall.all(self.peer) {
            if message["type"] != "error" {
                self.take(&message);
            }
        }
    }
}
