//! Whole transfers by chance: members of both dialects that are fast, slow, gone and back, senders that are lost and
//! resume, on one shard and on three. Whatever happens, copies that are complete are exact, everybody else is told, and
//! nothing is left.

use roomwire_tests::{Peer, Rng, World};
use serde_json::{Value, json};

use super::ends::{Sink, Source};
use super::hall::{Dialect, Hall, file_of, number, sha256, to_room, transfer};
use super::with;

/// A receiver, through all its connections.
struct Copy {
    peer: Option<Peer>,
    dialect: Dialect,
    sink: Option<Sink>,
    /// What it has kept from connections before.
    kept: Vec<u8>,
    /// Of a hundred rounds, so many it looks at what has come.
    eager: usize,
    given_up: bool,
    complete: bool,
}

struct Run {
    hall: Hall,
    rng: Rng,
    start: Value,
    source: Source,
    /// The sender is there.
    there: bool,
    copies: Vec<Copy>,
    accepted: usize,
}

fn dialect(rng: &mut Rng) -> Dialect {
    if rng.one_in(2) {
        Dialect::Json
    } else {
        Dialect::Binary
    }
}

impl Run {
    fn new(seed: u64, shards: u8) -> Self {
        let mut rng = Rng::new(seed);
        let config = with(|config| {
            config.files.gather_ms = [0, 50][rng.below(2)];
            config.files.patience_ms = [0, 300, 2_000][rng.below(3)];
            config.files.max_streams = 1 + rng.below(3) as u32;
            config.files.chunk_bytes = [1_024, 5_000, 65_536][rng.below(3)];
            config.files.max_window_bytes = [131_072, 1_048_576][rng.below(2)];
            config.files.idle_ms = 20_000;
            config.files.resume_ms = 5_000;
        });
        let mut hall = Hall::of(World::of_shards(config, shards));
        let size = [0, 1, 3_000, 80_000, 400_000][rng.below(5)] + rng.below(1_000);
        let size = if rng.one_in(8) { 0 } else { size };
        let sender = {
            let dialect = dialect(&mut rng);
            hall.member(dialect, "tea")
        };
        let copies = (0..1 + rng.below(4)).map(|_| Copy {
            peer: None,
            dialect: dialect(&mut rng),
            sink: None,
            kept: Vec::new(),
            eager: [5, 40, 100][rng.below(3)],
            given_up: false,
            complete: false,
        });
        let copies: Vec<_> = copies.collect();
        let mut start = to_room("one", "tea", size);
        let file = file_of(size);
        if rng.one_in(2) {
            start["hash"] = sha256(&file).into();
        }
        let source = Source::start(&mut hall, sender, &start, file);
        Self {
            hall,
            rng,
            start,
            source,
            there: true,
            copies,
            accepted: 0,
        }
    }

    fn is_over(&self) -> bool {
        self.source.outcome.is_some()
    }

    /// The sender does something of what it should, or goes, or comes.
    fn turn_of_sender(&mut self) {
        if !self.there {
            if self.rng.one_in(4) {
                let dialect = dialect(&mut self.rng);
                let back = self.hall.client(dialect);
                // It may be too late.
                let mut again = self.start.clone();
                again["transferSecret"] = self.source.secret.clone().into();
                let accepted = self.hall.ask(back, &again);
                self.source.peer = back;
                self.source.wanted.clear();
                self.there = true;
                if accepted["type"] == "file_accepted" {
                    assert!(number(&accepted, "offset") <= self.source.file.len() as u64);
                } else {
                    assert_eq!(accepted["code"], "transfer_unknown");
                    self.source.outcome =
                        Some(json!({"type": "file_error", "code": "transfer_lost"}));
                }
            }
            return;
        }
        self.source.hear(&mut self.hall);
        if self.is_over() {
            return;
        }
        match self.rng.below(60) {
            0 => {
                self.hall.world.reset(self.source.peer);
                self.there = false;
            }
            1 if self.rng.one_in(12) => {
                let abort = json!({"type": "file_abort", "transfer": self.source.transfer, "reason": "enough"});
                let outcome = self.hall.ask(self.source.peer, &abort);
                assert_eq!(outcome["type"], "ack");
                self.source.outcome = Some(abort);
            }
            _ => {
                for _ in 0..self.rng.below(6) {
                    let bytes = 1 + self.rng.below(70_000);
                    if !self.source.send(&mut self.hall, bytes) {
                        break;
                    }
                }
                let all = self.source.sent == self.source.file.len() as u64;
                if all && !self.source.said_end {
                    self.source.said_end = true;
                    let end = self.source.end_message();
                    let outcome = self.hall.ask(self.source.peer, &end);
                    let gone = outcome["code"] == "transfer_unknown";
                    assert!(outcome["type"] == "ack" || gone, "{outcome}");
                }
            }
        }
    }

    fn turn_of_receiver(&mut self, which: usize) {
        let (hall, rng) = (&mut self.hall, &mut self.rng);
        let copy = &mut self.copies[which];
        if copy.given_up || copy.complete {
            return;
        }
        let Some(peer) = copy.peer else {
            if rng.one_in(5) {
                copy.peer = Some(hall.member(copy.dialect, "tea"));
            }
            return;
        };
        if rng.below(100) >= copy.eager {
            return;
        }
        let Some(sink) = &mut copy.sink else {
            let offer = hall
                .all(peer)
                .into_iter()
                .find(|heard| heard["type"] == "file_offered");
            if let Some(offer) = offer {
                assert_eq!(transfer(&offer), self.source.transfer);
                let window = [1, 700, 5_000, 100_000, 5_000_000][rng.below(5)];
                let window = if self.source.file.len() > 10_000 {
                    window.max(5_000)
                } else {
                    window
                };
                let mut sink = Sink::of(peer, &offer, window);
                sink.have = core::mem::take(&mut copy.kept);
                sink.give_credit(hall);
                let heard = hall.all(peer);
                if heard.iter().any(|message| message["type"] == "error") {
                    // It was over before.
                    copy.given_up = true;
                    return;
                }
                for message in &heard {
                    sink.take(message);
                }
                self.accepted += 1;
                copy.sink = Some(sink);
            }
            return;
        };
        // Errors that are no outcome of the transfer come when it was over before what was said of it.
        let mut over = false;
        for message in hall.all(peer) {
            if message["type"] == "error" {
                assert_eq!(message["code"], "transfer_unknown", "{message}");
                over = true;
            } else if message["type"] == "file_error" || message["type"] == "file_abort" {
                sink.outcome = Some(message);
            } else {
                sink.take(&message);
            }
        }
        let kind = sink.outcome.as_ref().map(|outcome| outcome["type"].clone());
        match kind.as_ref().and_then(Value::as_str) {
            Some("file_end") => {
                assert!(sink.have == self.source.file, "a copy that is not the file");
                let done = json!({"type": "file_complete", "transfer": sink.transfer});
                let outcome = hall.ask(peer, &done);
                let gone = outcome["code"] == "transfer_unknown";
                assert!(outcome["type"] == "ack" || gone, "{outcome}");
                copy.complete = outcome["type"] == "ack";
                copy.given_up = gone;
            }
            Some(_) => copy.given_up = true,
            None if over => copy.given_up = true,
            None => match rng.below(80) {
                0 => {
                    hall.world.reset(peer);
                    let mut sink = copy.sink.take().expect("a copy");
                    copy.kept = core::mem::take(&mut sink.have);
                    copy.peer = None;
                }
                1 if rng.one_in(6) => {
                    let abort = json!({"type": "file_abort", "transfer": sink.transfer});
                    hall.ask(peer, &abort);
                    copy.given_up = true;
                }
                2 if rng.one_in(6) => {
                    hall.ask(peer, &json!({"type": "leave", "room": "tea"}));
                    copy.given_up = true;
                }
                _ => sink.give_credit(hall),
            },
        }
    }

    fn play(mut self) -> (usize, bool) {
        for round in 0..30_000 {
            self.turn_of_sender();
            if self.is_over() {
                break;
            }
            for which in 0..self.copies.len() {
                self.turn_of_receiver(which);
            }
            let ms = [0, 0, 1, 20, 100][self.rng.below(5)];
            if ms > 0 {
                self.hall.world.advance_ms(ms);
            }
            assert!(round < 29_999, "no end of it");
        }
        let outcome = self.source.outcome.clone().expect("an outcome");
        self.hall.assert_no_transfers();
        // Everybody who was at it has heard of an end.
        for copy in &mut self.copies {
            let (Some(peer), Some(sink)) = (copy.peer, &mut copy.sink) else {
                continue;
            };
            if copy.given_up || copy.complete {
                continue;
            }
            for message in self.hall.all(peer) {
                if message["type"] == "file_error" || message["type"] == "file_abort" {
                    sink.outcome = Some(message);
                } else if message["type"] != "error" {
                    sink.take(&message);
                }
            }
            let told = sink.outcome.as_ref().map(|outcome| &outcome["type"]);
            assert!(
                told == Some(&json!("file_error")) || told == Some(&json!("file_abort")),
                "{told:?} after {outcome}"
            );
        }
        let complete = self.copies.iter().filter(|copy| copy.complete).count();
        if outcome["type"] == "file_completed" {
            assert_eq!(number(&outcome, "completed") as usize, complete);
            assert_eq!(
                number(&outcome, "failed") as usize,
                self.accepted - complete
            );
        }
        self.hall.close_all();
        (complete, outcome["type"] == "file_completed")
    }
}

fn many(shards: u8) {
    let only = std::env::var("ROOMWIRE_TEST_SEED").ok();
    let only = only.map(|seed| seed.parse::<u64>().expect("a seed"));
    let (mut copies, mut completed) = (0, 0);
    for seed in only.map_or(0..60, |seed| seed..seed + 1) {
        let played = std::panic::catch_unwind(|| Run::new(seed, shards).play());
        let Ok((complete, whole)) = played else {
            panic!("ROOMWIRE_TEST_SEED={seed} with {shards} shards");
        };
        copies += complete;
        completed += usize::from(whole);
    }
    assert!(
        only.is_some() || (completed > 15 && copies > 25),
        "{completed} {copies}"
    );
}

// covers A6-02, A6-03, A6-04, A6-08
#[test]
fn on_one_shard() {
    many(1);
}

// covers A6-02, A6-03, A6-04, A6-08
#[test]
fn on_three_shards() {
    many(3);
}
