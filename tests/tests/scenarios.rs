//! The scenarios that all servers play alike, on the core in memory; the adapters' tests play them on sockets.

use std::collections::BTreeSet;
use std::time::Instant;

use roomwire_core::ErrorCode;
use roomwire_core::server::{Command, Event};
use roomwire_tests::stage::{Floor, InBinary, Memory, News, Scenario, play_all, scenarios};

// covers A12-06
#[test]
fn on_one_shard() {
    play_all(|config| Memory::new(config, 1));
}

// covers A12-06, A11-05
#[test]
fn on_three_shards() {
    play_all(|config| Memory::new(config, 3));
}

// covers A12-06, A5-10
#[test]
fn in_binary_frames_on_one_shard() {
    play_all(|config| InBinary::new(config, |config| Memory::new(config, 1)));
}

// covers A12-06, A5-10
#[test]
fn in_binary_frames_on_three_shards() {
    play_all(|config| InBinary::new(config, |config| Memory::new(config, 3)));
}

/// What the protocol names is heard in one scenario or another, but for what a client misses that reads too slowly: how
/// much sockets hold is left to chance.
#[test]
fn all_that_the_protocol_names_is_heard() {
    let names: BTreeSet<_> = scenarios().map(|scenario| scenario.name).collect();
    assert_eq!(
        names.len(),
        scenarios().count(),
        "each has a name of its own"
    );
    let steps = scenarios().flat_map(Scenario::rehearse);
    let heard: Vec<String> = steps.flat_map(|step| step.heard).flatten().collect();
    let lacking = |what: &str| !heard.iter().any(|item| item.contains(what));
    let codes = ErrorCode::ALL.map(|code| format!(r#""code":"{code}""#));
    let messages = [
        "ack",
        "broadcast",
        "closing",
        "error",
        "file_abort",
        "file_accepted",
        "file_chunk",
        "file_completed",
        "file_end",
        "file_error",
        "file_offered",
        "file_progress",
        "file_wanted",
        "history",
        "joined_room",
        "left_room",
        "member_joined",
        "member_left",
        "member_updated",
        "members",
        "members_changed",
        "metadata_updated",
        "pong",
        "private_message",
        "room_message",
        "session",
        "user_stopped_typing",
        "user_typing",
        "welcome",
    ];
    let messages = messages.map(|kind| format!(r#""type":"{kind}""#));
    let reasons = ["left", "disconnected", "timeout", "kicked"];
    let reasons = reasons.map(|reason| format!(r#""reason":"{reason}""#));
    let closes = [
        1000, 1001, 1002, 1005, 1007, 1008, 1009, 1012, 1013, 4000, 4409,
    ];
    let closes = closes.map(|code| format!("Close({code}, "));
    let statuses = [
        101, 200, 400, 403, 404, 405, 408, 413, 417, 426, 431, 501, 505,
    ];
    let statuses = statuses.map(|status| format!("HTTP/1.1 {status} "));
    let causes = [
        "Client", "Lost", "Timeout", "Protocol", "Abuse", "Command", "Drain", "Replaced",
    ];
    let causes = causes.map(|cause| format!("closed: {cause}, "));
    let all = [&codes[..], &messages, &reasons, &closes, &statuses, &causes].concat();
    let lacking: Vec<_> = all.iter().filter(|what| lacking(what)).collect();
    assert!(lacking.is_empty(), "nobody hears {lacking:?}");
}

/// A server that is wrong somewhere.
struct Wrong<F> {
    floor: F,
    how: Fault,
    /// News until it happens; `None`: it has.
    after: Option<usize>,
    kept: Option<News>,
}

/// What it does, once.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// A write is lost.
    Loses,
    /// A write is made twice.
    Repeats,
    /// A byte is another.
    Garbles,
    /// The end of a connection is not told.
    KeepsOpen,
    /// An event is lost.
    ForgetsAnEvent,
}

impl<F: Floor> Wrong<F> {
    fn change(&mut self, news: News) -> Option<News> {
        let fits = match self.how {
            Fault::Loses | Fault::Repeats | Fault::Garbles => matches!(news, News::Bytes(..)),
            Fault::KeepsOpen => matches!(news, News::End(..)),
            // Each shard tells of its own refusals, so that no play counts them: tests of their own do.
            Fault::ForgetsAnEvent => match &news {
                News::Event(event) => !matches!(event, Event::Refused { .. }),
                _ => false,
            },
        };
        match self.after {
            Some(0) if fits => self.after = None,
            Some(more) => {
                self.after = Some(more - usize::from(fits));
                return Some(news);
            }
            None => return Some(news),
        }
        match (self.how, news) {
            (Fault::Repeats, news) => {
                self.kept = Some(news.clone());
                Some(news)
            }
            (Fault::Garbles, News::Bytes(line, mut bytes)) => {
                // The last byte of a message is a brace, of a frame or an answer something that is looked at.
                *bytes.last_mut()? ^= 1;
                Some(News::Bytes(line, bytes))
            }
            _ => None,
        }
    }
}

impl<F: Floor> Floor for Wrong<F> {
    fn open(&mut self, listener: u16, preface: &[u8]) -> usize {
        self.floor.open(listener, preface)
    }

    fn write(&mut self, line: usize, bytes: &[u8]) {
        self.floor.write(line, bytes);
    }

    fn finish(&mut self, line: usize) {
        self.floor.finish(line);
    }

    fn reset(&mut self, line: usize) {
        self.floor.reset(line);
    }

    fn stall(&mut self, line: usize, stalled: bool) {
        self.floor.stall(line, stalled);
    }

    fn command(&mut self, command: Command) {
        self.floor.command(command);
    }

    fn pass(&mut self, ms: u64) {
        self.floor.pass(ms);
    }

    fn next(&mut self, patience: Option<Instant>) -> Option<News> {
        if let Some(news) = self.kept.take() {
            return Some(news);
        }
        loop {
            let news = self.floor.next(patience)?;
            if let Some(news) = self.change(news) {
                return Some(news);
            }
        }
    }

    fn unix_ms(&self) -> u64 {
        self.floor.unix_ms()
    }
}

/// Whatever single thing a server does otherwise, and wherever, is found out.
#[test]
fn a_server_that_is_wrong_is_found_out() {
    let mut unnoticed = Vec::new();
    let mut noticed = 0;
    let faults = [
        Fault::Loses,
        Fault::Repeats,
        Fault::Garbles,
        Fault::KeepsOpen,
        Fault::ForgetsAnEvent,
    ];
    for scenario in scenarios() {
        let steps = scenario.rehearse();
        for how in faults {
            for after in (0_usize..).map(|number| number.pow(3)) {
                let mut wrong = Wrong {
                    floor: Memory::new((scenario.config)(), 1),
                    how,
                    after: Some(after),
                    kept: None,
                };
                let played = scenario.follow(&steps, &mut wrong);
                if wrong.after.is_some() {
                    // It has not come to that.
                    assert_eq!(played, Ok(()));
                    break;
                }
                noticed += usize::from(played.is_err());
                if played.is_ok() {
                    unnoticed.push((scenario.name, how, after));
                }
            }
        }
    }
    assert!(unnoticed.is_empty(), "nobody noticed {unnoticed:?}");
    assert!(noticed > 1_000, "{noticed}");
}
