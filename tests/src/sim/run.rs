//! One run of a plan: the network, the clients, the program around the server, and the oracle that watches.

use core::fmt;
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use roomwire_core::cluster::Relay;
use roomwire_core::replay::{Options, Recorder};
use roomwire_core::server::{Command, Event, Outcome, Place, RequestToken};
use roomwire_core::{Config, ErrorCode, Server, ShardId, ValidConfig};
use serde_json::json;

use super::cast::{Cast, FILES, Net};
use super::coverage::Coverage;
use super::links::Courier;
use super::network::{HostId, Network, News};
use super::observer::Fingerprint;
use super::oracle::{Editor, End, Oracle};
use super::plan::{Order, Plan, ROOMS, Trouble};
use super::tape::{Hosted, Inside, Tape};
use crate::rng::Rng;

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// What it has hit.
    pub coverage: Coverage,
    /// A hash of everything that the server put out.
    pub fingerprint: u64,
    /// What went into the server, for [`replay`](super::replay). There are recordings of one shard only.
    pub recording: Option<Vec<u8>>,
}

/// A run in which something was wrong.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The plan that showed it.
    pub plan: Plan,
    /// What was wrong.
    pub what: String,
    /// What went into the server up to then, for [`replay`](super::replay). There are recordings of one shard only.
    pub recording: Option<Vec<u8>>,
}

impl Failure {
    /// Writes the recording into a folder; returns its path. `roomwire-tokio replay` shows it.
    ///
    /// # Errors
    /// As the file system says; or that there is none, as there were several shards.
    pub fn keep(&self, folder: &Path) -> io::Result<PathBuf> {
        let none = || io::Error::other("a server of several shards is not recorded");
        let recording = self.recording.as_ref().ok_or_else(none)?;
        let path = folder.join(format!("seed-{}.roomwire", self.plan.seed));
        fs::write(&path, recording)?;
        Ok(path)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shards = match self.plan.shards.count {
            1 => String::new(),
            count => format!(" ({count} shards, which are not recorded)"),
        };
        write!(
            f,
            "seed {}{shards}: {}\nrun just this one with: ROOMWIRE_SIM_SEED={} cargo test -p roomwire-tests --test simulator",
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
#[derive(Default)]
pub struct Sabotage {
    /// What the oracle is shown instead of what the server has sent.
    pub editor: Option<Editor>,
    /// What shards are sent instead of what others had for them.
    pub courier: Option<Courier<Relay>>,
    /// The settings of the server, where they are not what the plan says.
    pub config: Option<Config>,
}

impl fmt::Debug for Sabotage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sabotage")
    }
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
    let recording = (plan.shards.count == 1).then(|| tape.take());
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
    config: ValidConfig,
    key: [u8; 32],
    /// How often each shard has begun anew.
    restarts: Vec<u16>,
    /// Shards that have failed and say goodbye.
    failing: Vec<bool>,
    /// The server has been told to leave: no shard begins anew.
    leaving: bool,
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
        let mut key = [0; 32];
        for chunk in key.chunks_mut(8) {
            chunk.copy_from_slice(&rng.next().to_le_bytes());
        }
        let mut oracle = Oracle::new(plan);
        if let Some(editor) = sabotage.editor {
            oracle.set_editor(editor);
        }
        let watch = (Inside(oracle), Fingerprint::default());
        let mut net = Network::new(plan.seed, watch);
        let count = plan.shards.count;
        if count == 1 {
            let recorder = Recorder::new(config.clone(), key, options, tape);
            net.add(Hosted::Whole(recorder), plan.driving);
        } else {
            for shard in 0..count {
                let server = shard_of(count, shard, 0, &config, key);
                net.add(Hosted::Shard(server), plan.driving);
            }
            net.link(plan.shards.lag);
        }
        net.give_pool(plan.pool);
        if let Some(courier) = sabotage.courier {
            net.set_courier(courier);
        }
        let cast = Cast::new(plan, &mut net);
        let beginning = net.now_us();
        for (number, (at, _)) in plan.commands.iter().enumerate() {
            net.set_timer(beginning + at, ORDERS + number as u64);
        }
        for (number, (at, _)) in plan.shards.troubles.iter().enumerate() {
            net.set_timer(beginning + at, TROUBLES + number as u64);
        }
        net.set_timer(beginning + plan.end_us, END);
        net.set_timer(beginning + plan.end_us + PATIENCE_US, CUT);
        Self {
            plan,
            net,
            cast,
            rng,
            config,
            key,
            restarts: vec![0; usize::from(count)],
            failing: vec![false; usize::from(count)],
            leaving: false,
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
        let hosts = || (0..self.restarts.len()).map(HostId);
        if let Some(deadline) = hosts().find_map(|host| self.net.deadline(host)) {
            return Err(format!("a deadline at the end: {deadline:?}"));
        }
        let servers = hosts().map(|host| self.net.machine(host).as_ref());
        let ends: Vec<_> = servers.map(End::of).collect();
        let (inputs, micros) = (self.net.inputs(), self.net.now_us() - beginning);
        let relays = self.net.relays();
        let (Inside(oracle), fingerprint) = self.net.observer_mut();
        oracle.coverage.relays = relays;
        oracle.coverage.clients = self.plan.clients.len() as u64;
        oracle.finish(&ends, inputs, micros);
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
            News::Timer(END | CUT) => self.cast.leave(&mut self.net),
            News::Timer(token) if token >= FILES => {
                self.cast.carry(&mut self.net, (token - FILES) as usize);
            }
            News::Timer(token) if token >= TROUBLES => {
                let (_, trouble) = self.plan.shards.troubles[(token - TROUBLES) as usize];
                self.trouble(trouble);
            }
            News::Timer(token) if token >= ANSWERS => {
                let answer = self.answers.get_mut((token - ANSWERS) as usize);
                if let Some((request, outcome)) = answer.and_then(Option::take) {
                    let host = HostId(usize::from(request.shard().0));
                    self.net.command(host, Command::Reply { request, outcome });
                }
            }
            News::Timer(token) if token >= ORDERS => {
                let (_, order) = self.plan.commands[(token - ORDERS) as usize];
                self.order(order);
            }
            News::Timer(token) if token >= BACK => {
                self.cast.come_back(&mut self.net, (token - BACK) as usize);
            }
            News::Timer(token) => self.cast.act(&mut self.net, token as usize),
            News::Event(_, Event::Application { request, .. }) => self.answer(request),
            News::Event(HostId(shard), Event::Drained) if self.failing[shard] && !self.leaving => {
                self.begin_anew(shard);
            }
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

    // ---- shards

    fn trouble(&mut self, trouble: Trouble) {
        let coverage = &mut self.net.observer_mut().0.0.coverage;
        match trouble {
            Trouble::Stall(from, to, micros) => {
                coverage.fault("a stall of a link");
                coverage.stalls += 1;
                let (from, to) = (HostId(usize::from(from)), HostId(usize::from(to)));
                self.net.stall_link(from, to, micros);
            }
            Trouble::Abandon(shard) | Trouble::Cut(shard)
                if self.leaving || self.failing[usize::from(shard)] => {}
            Trouble::Abandon(shard) => {
                coverage.fault("a shard fails and says goodbye");
                let shard = usize::from(shard);
                self.failing[shard] = true;
                self.net.close_door(HostId(shard));
                self.net.command(HostId(shard), Command::Abandon);
            }
            Trouble::Cut(shard) => {
                coverage.fault("a shard fails and is cut");
                self.begin_anew(usize::from(shard));
            }
        }
    }

    /// What was a shard is gone, and another one is in its place.
    fn begin_anew(&mut self, shard: usize) {
        self.failing[shard] = false;
        self.restarts[shard] += 1;
        let (count, restarts) = (self.plan.shards.count, self.restarts[shard]);
        self.net.observer_mut().0.0.coverage.restarts += 1;
        let server = shard_of(count, shard as u8, restarts, &self.config, self.key);
        self.cast.lost(&mut self.net, HostId(shard), BACK);
        let machine = Hosted::Shard(server);
        self.net.restart(HostId(shard), machine, restarts);
    }

    /// The program asks for something, of the shard that the adapters would ask.
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
            self.command(command);
        }
    }

    fn command(&mut self, command: Command) {
        let shard = match &command {
            Command::Send { connection, .. }
            | Command::Kick { connection, .. }
            | Command::Close { connection, .. } => connection.shard(),
            Command::Drain => {
                self.leaving = true;
                for host in (0..self.restarts.len()).map(HostId) {
                    self.net.open_door(host);
                    self.net.command(host, Command::Drain);
                }
                return;
            }
            _ => ShardId(0),
        };
        self.net.command(HostId(usize::from(shard.0)), command);
    }
}

/// One life of a shard.
fn shard_of(shards: u8, shard: u8, restarts: u16, config: &ValidConfig, key: [u8; 32]) -> Server {
    let place = Place {
        shard: ShardId(shard),
        shards,
        restarts,
    };
    Server::shard(config.clone(), key, place)
}

/// Timers of clients count from 0; these are others.
const BACK: u64 = 1 << 31;
const ORDERS: u64 = 1 << 32;
const ANSWERS: u64 = 1 << 33;
const TROUBLES: u64 = 1 << 34;
const END: u64 = 1 << 40;
const CUT: u64 = END + 1;

/// After everybody should have left, those that are still there are cut.
const PATIENCE_US: u64 = 200_000_000;

/// A run is over long before.
const MOST_STEPS: u64 = 50_000_000;
