//! Work does not grow with the number of connections: the same input costs the same steps at 100, 10,000 and
//! 1,000,000 of them.
//!
//! Elsewhere an idle poll walked all connections, or a timer's arming did; nothing was wrong with ten of them.

#![cfg(feature = "count-steps")]

use std::io::Write as _;
use std::time::Instant;

use roomwire_core::{Config, Input, Machine as _, Output, TransportEnd};
use roomwire_tests::{Crowd, Opcode, masked, text};

const CROWDS: [usize; 3] = [100, 10_000, 1_000_000];
const ROOM: usize = 25;
/// How often each thing is done; every time by a connection of another room.
const TIMES: usize = 4;

/// Steps of `TIMES` times one thing.
type Costs = Vec<(&'static str, u64)>;

/// A crowd that is measured.
struct Bench {
    crowd: Crowd,
    costs: Costs,
}

impl Bench {
    fn new(count: usize) -> Self {
        Self {
            crowd: Crowd::in_rooms(Config::default(), count, ROOM),
            costs: Vec::new(),
        }
    }

    /// One connection each of rooms that are spread over the whole crowd.
    fn pick(&self, time: usize) -> usize {
        let rooms = self.crowd.members().len() / ROOM;
        time * (rooms / TIMES) * ROOM
    }

    fn steps(&self) -> u64 {
        self.crowd.server().steps()
    }

    /// Counts what one thing costs, with the polls that follow until the server is idle.
    fn count(&mut self, name: &'static str, mut act: impl FnMut(&mut Crowd, usize)) {
        let before = self.steps();
        for time in 0..TIMES {
            let member = self.pick(time);
            act(&mut self.crowd, member);
            self.crowd.drain();
        }
        self.costs.push((name, self.steps() - before));
    }

    fn count_disconnects(&mut self) {
        self.count("disconnect", |crowd, member| {
            let now = crowd.now();
            let connection = crowd.members()[member];
            let end = TransportEnd::Reset;
            let _ = crowd
                .server_mut()
                .handle(now, Input::Ended { connection, end });
        });
    }

    fn count_text(&mut self, name: &'static str, json: &str) {
        let frame = text(json);
        self.count(name, |crowd, member| crowd.receive(member, &frame));
    }
}

/// What everything costs in a crowd of this size.
fn costs(count: usize) -> Costs {
    let mut bench = Bench::new(count);
    // One more, to be written to.
    bench.crowd.accept(1);
    let upgrade = roomwire_tests::Upgrade::default().request();
    bench.crowd.receive(count, &upgrade);
    bench.crowd.drain();
    bench
        .crowd
        .receive(count, &masked(Opcode::Text, true, br#"{"type":"ping"}"#));
    bench.crowd.drain();
    let target = bench.crowd.last_opened();

    bench.count("idle poll", |_, _| ());
    bench.count("tick", |crowd, _| {
        let now = crowd.now();
        let _ = crowd.server_mut().handle(now, Input::Tick);
    });
    bench.count("room message", |crowd, member| {
        let room = member / ROOM;
        crowd.receive(
            member,
            &text(&format!(
                r#"{{"type":"room_message","room":"room {room}","data":1}}"#
            )),
        );
    });
    bench.count_text("json ping", r#"{"type":"ping","timestamp":1}"#);
    let ping = masked(Opcode::Ping, true, b"1");
    bench.count("ping frame", |crowd, member| crowd.receive(member, &ping));
    bench.count_text("join", r#"{"type":"join","room":"one more"}"#);
    bench.count_text("typing", r#"{"type":"typing_start","room":"one more"}"#);
    bench.count_text("members", r#"{"type":"members","room":"one more"}"#);
    bench.count_text(
        "metadata",
        r#"{"type":"set_metadata","metadata":{"name":"somebody"}}"#,
    );
    bench.count_text("leave", r#"{"type":"leave","room":"one more"}"#);
    let direct = format!(r#"{{"type":"private_message","to":"{target}","data":1}}"#);
    bench.count_text("direct message", &direct);
    bench.count("sent", |crowd, member| {
        // In two parts, the first of which leaves the socket blocked.
        crowd.receive(member, &ping);
        let now = crowd.now();
        let server = crowd.server_mut();
        let Output::Transmit { connection } = server.poll() else {
            panic!("no transmit");
        };
        let blocked = true;
        let _ = server.handle(
            now,
            Input::Sent {
                connection,
                bytes: 1,
                blocked,
            },
        );
        let Output::Idle { .. } = server.poll() else {
            panic!("not idle");
        };
        let _ = server.handle(now, Input::Writable { connection });
    });
    bench.count("accept", |crowd, _| crowd.accept(1));
    let next = bench.crowd.members().len() - TIMES;
    let mut newcomers = next..;
    bench.count("upgrade", |crowd, _| {
        crowd.receive(newcomers.next().unwrap_or(next), &upgrade);
    });
    bench.count_disconnects();
    let bytes = bench.crowd.server().memory().total();
    let _ = writeln!(
        std::io::stdout(),
        "{count} connections: {} MiB",
        bytes >> 20
    );
    bench.costs
}

// covers A3-09
#[test]
fn the_same_input_costs_the_same_however_many_are_connected() {
    let mut all: Vec<(usize, Costs)> = Vec::new();
    for count in CROWDS {
        let began = Instant::now();
        all.push((count, costs(count)));
        let seconds = began.elapsed().as_secs_f64();
        let _ = writeln!(std::io::stdout(), "{count} connections took {seconds:.1} s");
    }
    let (_, first) = &all[0];
    let mut wrong = Vec::new();
    for (at, &(name, _)) in first.iter().enumerate() {
        let steps: Vec<u64> = all.iter().map(|(_, costs)| costs[at].1).collect();
        let least = steps.iter().min().copied().unwrap_or_default();
        let most = steps.iter().max().copied().unwrap_or_default();
        assert!(least >= TIMES as u64, "{name}: nothing was counted");
        let each: Vec<f64> = steps
            .iter()
            .map(|&steps| steps as f64 / TIMES as f64)
            .collect();
        let line = format!("{name:16} {each:8.2?} steps at {CROWDS:?} connections");
        let _ = writeln!(std::io::stdout(), "{line}");
        if most * 10 > least * 11 {
            wrong.push(line);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The end of a client takes back its own requests, and looks at nobody else's.
#[test]
fn the_end_of_a_client_costs_the_same_however_many_requests_wait() {
    let cost = |count: usize| {
        let config = Config {
            application_types: vec!["work".to_owned()],
            ..Config::default()
        };
        let mut bench = Bench {
            crowd: Crowd::in_rooms(config, count, ROOM),
            costs: Vec::new(),
        };
        let work = text(r#"{"type":"work","id":1}"#);
        for member in 0..count {
            bench.crowd.receive(member, &work);
            bench.crowd.drain();
        }
        bench.count_disconnects();
        bench.costs[0].1
    };
    let (few, many) = (cost(100), cost(10_000));
    assert!(
        few.max(many) * 10 <= few.min(many) * 11,
        "{few} and {many} steps"
    );
}
