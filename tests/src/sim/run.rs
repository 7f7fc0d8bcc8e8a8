//! One run of a plan: the network, the clients, the program around the server, and the oracle that watches.

use core::fmt;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use roomwire_core::replay::{Options, Recorder};
use roomwire_core::server::{Command, Event, Outcome, RequestToken};
use roomwire_core::{Config, ErrorCode};
use serde_json::json;

use super::cast::{Cast, Net};
use super::coverage::Coverage;
use super::network::{HostId, Network, News};
use super::observer::Fingerprint;
use super::oracle::{Editor, Oracle};
use super::plan::{Order, Plan, ROOMS};
use super::tape::{Inside, Tape};
use crate::rng::Rng;

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// What it has hit.
    pub coverage: Coverage,
    /// A hash of everything that the server put out.
    pub fingerprint: u64,
    /// What went into the server, for [`replay`](super::replay).
    pub recording: Vec<u8>,
}

/// A run in which something was wrong.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The plan that showed it.
    pub plan: Plan,
    /// What was wrong.
    pub what: String,
    /// What went into the server up to then, for [`replay`](super::replay).
    pub recording: Vec<u8>,
}

impl Failure {
    /// Writes the recording into a folder; returns its path. `roomwire-tokio replay` shows it.
    ///
    /// # Errors
    /// As the file system says.
    pub fn keep(&self, folder: &Path) -> io::Result<PathBuf> {
        let path = folder.join(format!("seed-{}.roomwire", self.plan.seed));
        fs::write(&path, &self.recording)?;
        Ok(path)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {}: {}\nrun just this one with: ROOMWIRE_SIM_SEED={} cargo test -p roomwire-tests --test simulator",
            self.plan.seed, self.what, self.plan.seed
        )
    }
}

/// Runs the plan of a seed.
///
/// # Errors
/// Says what was wrong, by which seed.
pub fn run_seed(seed: u64) -> Result<Report, Box<Failure>> {
    run(&Plan::generate(seed))
}

/// Runs a plan.
///
/// # Errors
/// Says what was wrong; a panic of the server counts.
pub fn run(plan: &Plan) -> Result<Report, Box<Failure>> {
    run_sabotaged(plan, Sabotage::default())
}

/// What is wrong with a run on purpose, so that it can be seen whether the oracle notices.
#[derive(Debug, Default)]
pub struct Sabotage {
    /// What the oracle is shown instead of what the server has sent.
    pub editor: Option<Editor>,
    /// The settings of the server, where they are not what the plan says.
    pub config: Option<Config>,
}

/// Runs a plan with something wrong.
///
/// # Errors
/// Says what was wrong, and should.
pub fn run_sabotaged(plan: &Plan, sabotage: Sabotage) -> Result<Report, Box<Failure>> {
    run_as(plan, sabotage, WHOLE)
}

/// Runs a plan, recorded with these options instead of without any bound.
///
/// # Errors
/// Says what was wrong; a panic of the server counts.
pub fn run_recorded(plan: &Plan, options: Options) -> Result<Report, Box<Failure>> {
    run_as(plan, Sabotage::default(), options)
}

/// All is recorded, as it came.
const WHOLE: Options = Options {
    masked: false,
    max_bytes: u64::MAX,
};

fn run_as(plan: &Plan, sabotage: Sabotage, options: Options) -> Result<Report, Box<Failure>> {
    let tape = Tape::default();
    let result = catch_unwind(AssertUnwindSafe(|| {
        Run::new(plan, sabotage, options, tape.clone()).run()
    }));
    let result = result.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned()));
        Err(format!("panicked: {}", text.unwrap_or_default()))
    });
    let recording = tape.take();
    match result {
        Ok((coverage, fingerprint)) => Ok(Report {
            coverage,
            fingerprint,
            recording,
        }),
        Err(what) => Err(Box::new(Failure {
            plan: plan.clone(),
            what,
            recording,
        })),
    }
}

struct Run<'a> {
    plan: &'a Plan,
    net: Net,
    cast: Cast<'a>,
    rng: Rng,
    /// Numbers the program's messages.
    serial: u64,
    /// Answers that the program is about to give.
    answers: Vec<Option<(RequestToken, Outcome)>>,
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan, sabotage: Sabotage, options: Options, tape: Tape) -> Self {
        let config = sabotage.config.unwrap_or_else(|| plan.config.clone());
        let config = config.validate().expect("a valid config");
        let mut rng = Rng::new(plan.seed ^ 0xA5);
        let mut seed = [0; 32];
        for chunk in seed.chunks_mut(8) {
            chunk.copy_from_slice(&rng.next().to_le_bytes());
        }
        let mut oracle = Oracle::new(plan);
        if let Some(editor) = sabotage.editor {
            oracle.set_editor(editor);
        }
        let watch = (Inside(oracle), Fingerprint::default());
        let mut net = Network::new(plan.seed, watch);
        net.add(Recorder::new(config, seed, options, tape), plan.driving);
        let cast = Cast::new(plan, &mut net);
        let beginning = net.now_us();
        for (number, (at, _)) in plan.commands.iter().enumerate() {
            net.set_timer(beginning + at, ORDERS + number as u64);
        }
        net.set_timer(beginning + plan.end_us, END);
        net.set_timer(beginning + plan.end_us + PATIENCE_US, CUT);
        Self {
            plan,
            net,
            cast,
            rng,
            serial: 0,
            answers: Vec::new(),
        }
    }

    /// What it has hit, and the hash of what the server put out.
    fn run(mut self) -> Result<(Coverage, u64), String> {
        let beginning = self.net.now_us();
        for _ in 0..MOST_STEPS {
            while let Some(news) = self.net.take_news() {
                self.news(news)?;
            }
            let more = self.net.step(u64::MAX);
            if let Some(wrong) = self.net.observer().0.0.violation() {
                return Err(wrong.to_owned());
            }
            if !more {
                return self.finish(beginning);
            }
        }
        Err(format!("not over after {MOST_STEPS} steps"))
    }

    fn finish(mut self, beginning: u64) -> Result<(Coverage, u64), String> {
        if let Some(deadline) = self.net.deadline(HostId(0)) {
            return Err(format!("a deadline at the end: {deadline:?}"));
        }
        let stats = self.net.machine(HostId(0)).as_ref().stats();
        let (inputs, micros) = (self.net.inputs(), self.net.now_us() - beginning);
        let (Inside(oracle), fingerprint) = self.net.observer_mut();
        oracle.finish(&stats, inputs, micros);
        oracle.coverage.clients = self.plan.clients.len() as u64;
        match oracle.violation() {
            Some(wrong) => Err(wrong.to_owned()),
            None => Ok((oracle.coverage.clone(), fingerprint.value())),
        }
    }

    fn news(&mut self, news: News<Event>) -> Result<(), String> {
        match news {
            News::Received(socket, bytes) => self.cast.received(&mut self.net, socket, &bytes)?,
            News::Finished(socket) => self.cast.finished(&mut self.net, socket),
            News::Refused(socket) | News::Reset(socket) => self.cast.gone(socket),
            News::Timer(END) => self.cast.leave(&mut self.net),
            News::Timer(CUT) => self.cast.leave(&mut self.net),
            News::Timer(token) if token >= ANSWERS => {
                let answer = self.answers.get_mut((token - ANSWERS) as usize);
                if let Some((request, outcome)) = answer.and_then(Option::take) {
                    let reply = Command::Reply { request, outcome };
                    self.net.command(HostId(0), reply);
                }
            }
            News::Timer(token) if token >= ORDERS => {
                let (_, order) = self.plan.commands[(token - ORDERS) as usize];
                self.order(order);
            }
            News::Timer(token) => self.cast.act(&mut self.net, token as usize),
            News::Event(_, Event::Application { request, .. }) => self.answer(request),
            News::Connected(_) | News::Event(..) => {}
        }
        Ok(())
    }

    /// The program answers after a while, or never.
    fn answer(&mut self, request: RequestToken) {
        let outcome = match self.rng.below(8) {
            0 => return,
            1 => Outcome::Ack,
            2 => Outcome::Error {
                code: ErrorCode::Forbidden,
                message: "no".to_owned(),
            },
            _ => Outcome::Reply(r#"{"type":"rolled","n":4}"#.to_owned()),
        };
        let at = self.net.now_us() + self.rng.next() % 1_500_000;
        self.net.set_timer(at, ANSWERS + self.answers.len() as u64);
        self.answers.push(Some((request, outcome)));
    }

    fn order(&mut self, order: Order) {
        self.serial += 1;
        let serial = self.serial;
        let connection = |client: usize| {
            let socket = self.cast.socket(client)?;
            self.net.connection(socket)
        };
        let command = match order {
            Order::Drain => Some(Command::Drain),
            Order::Publish(room) => Some(Command::Publish {
                room: ROOMS[room].to_owned(),
                message: json!({"type": "news", "k": serial, "w": room}).to_string(),
            }),
            Order::Send(client) => connection(client).map(|connection| Command::Send {
                connection,
                message: json!({"type": "note", "k": serial, "w": 0}).to_string(),
            }),
            Order::Kick(client, room) => connection(client).map(|connection| Command::Kick {
                connection,
                room: ROOMS[room].to_owned(),
            }),
            Order::Close(client, code) => connection(client).map(|connection| Command::Close {
                connection,
                code,
                reason: "the program says so".to_owned(),
                reconnect_after_ms: None,
            }),
        };
        if let Some(command) = command {
            let name = format!("{order:?}");
            let name = name.split('(').next().unwrap_or_default();
            let name = format!("the program's command: {name}");
            self.net.observer_mut().0.0.coverage.fault(&name);
            self.net.command(HostId(0), command);
        }
    }
}

/// Timers of clients count from 0; these are others.
const ORDERS: u64 = 1 << 32;
const ANSWERS: u64 = 1 << 33;
const END: u64 = 1 << 40;
const CUT: u64 = END + 1;

/// After everybody should have left, those that are still there are cut.
const PATIENCE_US: u64 = 200_000_000;

/// A run is over long before.
const MOST_STEPS: u64 = 50_000_000;
