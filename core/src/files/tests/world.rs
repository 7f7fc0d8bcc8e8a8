//! A small simulated world around one transfer: a sender with a speed that is lost and comes back, receivers with
//! speeds of their own that come late, stall, leave and come back with what they have. It knows what each was promised
//! and checks every step.

use core::num::NonZeroU32;
use std::collections::{BTreeMap, VecDeque};

use super::checks;
use crate::files::{Outcome, Progress, Rules, Transfer, Wanted};
use crate::id::ConnectionId;
use crate::machine::ShardId;
use crate::time::Instant;

/// What happens, apart from chance in small things.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    pub(super) rules: Rules,
    pub(super) size: usize,
    pub(super) seed: u64,
    pub(super) sender: SenderPlan,
    pub(super) peers: Vec<PeerPlan>,
}

#[derive(Clone, Debug)]
pub(super) struct SenderPlan {
    pub(super) us_per_kib: u64,
    /// From a request to its answer, at most.
    pub(super) delay_us: u64,
    /// Chunks of any size, not only as large as may be.
    pub(super) any_chunks: bool,
    /// When it is lost and for how long.
    pub(super) losses: Vec<(u64, u64)>,
}

#[derive(Clone, Debug)]
pub(super) struct PeerPlan {
    pub(super) comes_at_us: u64,
    /// What it has from elsewhere.
    pub(super) has: usize,
    pub(super) us_per_kib: u64,
    pub(super) window_bytes: u32,
    /// It gives credit when it has read so much, or all.
    pub(super) credit_every_bytes: usize,
    /// Or only so much, or the end of the file.
    pub(super) in_steps: bool,
    /// Having so much, it reads nothing for so long.
    pub(super) stall: Option<(usize, u64)>,
    /// Having so much, it leaves for so long; whether it is the same connection afterwards.
    pub(super) leaves: Vec<(usize, u64, bool)>,
}

/// What has become of a world.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) outcome: Outcome,
    pub(super) at_us: u64,
    /// When each receiver had completed.
    pub(super) completed_at_us: Vec<Option<u64>>,
    /// What the sender has sent.
    pub(super) sent_bytes: u64,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Come(usize),
    /// In that life of it.
    Read(usize, u32),
    Send(u32),
    End(u32),
    Lose(u64),
    Return,
}

struct Peer {
    plan: PeerPlan,
    /// The connection, while it is a receiver.
    id: Option<ConnectionId>,
    life: u32,
    generation: u32,
    got: Vec<u8>,
    inbox: VecDeque<Vec<u8>>,
    reads: bool,
    /// What comes next begins there.
    expected: u64,
    /// Nothing may come beyond.
    promised: u64,
    acknowledged: u64,
    told_end: bool,
    completed_at_us: Option<u64>,
}

pub(super) struct World {
    scenario: Scenario,
    file: Vec<u8>,
    hash: [u8; 32],
    transfer: Transfer,
    now_us: u64,
    random: u64,
    events: BTreeMap<(u64, u64), Event>,
    count: u64,
    wanted: VecDeque<Wanted>,
    /// How often the sender has been there.
    sender_life: u32,
    sends: bool,
    attached: bool,
    said_end: bool,
    sent_bytes: u64,
    peers: Vec<Peer>,
    completed: u32,
    failed: u32,
    told_at_us: Option<u64>,
    told: Progress,
}

impl World {
    pub(super) fn new(scenario: Scenario) -> Self {
        let mut random = scenario.seed;
        let file: Vec<u8> = (0..scenario.size)
            .map(|_| next_random(&mut random) as u8)
            .collect();
        let mut world = Self {
            hash: checks::sha256(&file),
            transfer: Transfer::new(file.len() as u64, None, &scenario.rules, Instant::ZERO),
            now_us: 0,
            random,
            events: BTreeMap::new(),
            count: 0,
            wanted: VecDeque::new(),
            sender_life: 0,
            sends: false,
            attached: true,
            said_end: false,
            sent_bytes: 0,
            peers: Vec::new(),
            completed: 0,
            failed: 0,
            told_at_us: None,
            told: Progress::default(),
            file,
            scenario,
        };
        for (index, plan) in world.scenario.peers.clone().into_iter().enumerate() {
            world.at(plan.comes_at_us, Event::Come(index));
            let has = plan.has.min(world.file.len());
            world.peers.push(Peer {
                id: None,
                life: 0,
                generation: 1,
                got: world.file[..has].to_vec(),
                inbox: VecDeque::new(),
                reads: false,
                expected: 0,
                promised: 0,
                acknowledged: 0,
                told_end: false,
                completed_at_us: None,
                plan,
            });
        }
        for (at, away) in world.scenario.sender.losses.clone() {
            world.at(at, Event::Lose(away));
        }
        world
    }

    /// Runs until the transfer is over.
    pub(super) fn run(mut self) -> Ended {
        // Every copy ends or makes progress at least once in the idle time; no scenario has as many steps.
        let mut outcome = self.settle();
        for _ in 0..2_000_000 {
            if let Some(outcome) = outcome {
                return self.finish(outcome);
            }
            outcome = self.step();
        }
        panic!("no end: {:?}", self.scenario);
    }

    fn now(&self) -> Instant {
        Instant::from_micros(self.now_us)
    }

    fn random(&mut self, below: u64) -> u64 {
        next_random(&mut self.random) % below.max(1)
    }

    fn at(&mut self, at_us: u64, event: Event) {
        self.count += 1;
        self.events.insert((at_us, self.count), event);
    }

    /// The next event, or the transfer's deadline.
    fn step(&mut self) -> Option<Outcome> {
        let event = self.events.first_key_value().map(|(&(at, _), _)| at);
        let deadline = self.transfer.deadline().map(Instant::as_micros);
        let Some(at) = event.into_iter().chain(deadline).min() else {
            panic!("nothing is due and it is not over: {:?}", self.transfer);
        };
        if let Some(deadline) = deadline {
            assert!(deadline > self.now_us, "deadline has passed");
        }
        if deadline == Some(at) {
            self.nothing_before(at);
        }
        self.now_us = at;
        if event == Some(at) {
            let (_, event) = self.events.pop_first().expect("event");
            self.happens(event);
            return self.settle();
        }
        let before = checks::fingerprint(&self.transfer);
        let outcome = self.settle();
        let after = checks::fingerprint(&self.transfer);
        assert!(outcome.is_some() || before != after, "nothing was due");
        outcome
    }

    /// Ticked before its deadline, nothing happens.
    fn nothing_before(&mut self, deadline_us: u64) {
        let before = Instant::from_micros(deadline_us - 1);
        if deadline_us - 1 <= self.now_us {
            return;
        }
        let mut dropped = Vec::new();
        let ticked = self.transfer.tick(before, &mut dropped);
        assert_eq!(ticked, Default::default(), "ticked early");
        assert_eq!(dropped, [], "ticked early");
        assert_eq!(self.transfer.next_wanted(before), None, "ticked early");
        let deadline = self.transfer.deadline().map(Instant::as_micros);
        assert_eq!(deadline, Some(deadline_us), "ticked early");
    }

    /// Does what the transfer wants, and checks it.
    fn settle(&mut self) -> Option<Outcome> {
        let now = self.now();
        let mut dropped = Vec::new();
        let ticked = self.transfer.tick(now, &mut dropped);
        for id in dropped {
            let owner = self.peers.iter().position(|peer| peer.id == Some(id));
            let owner = owner.expect("dropped is a receiver");
            self.failed += 1;
            self.forget(owner);
        }
        if let Some(progress) = ticked.progress {
            self.hears(progress);
        }
        if let Some(outcome) = ticked.outcome {
            return Some(outcome);
        }
        let mut to = Vec::new();
        if let Some(end) = self.transfer.ended(&mut to) {
            assert_eq!((end.size, end.hash), (self.file.len() as u64, self.hash));
            assert!(self.said_end);
            for id in to {
                let index = self.owner(id);
                let peer = &mut self.peers[index];
                assert!(!peer.told_end, "told the end twice");
                assert_eq!(peer.expected, end.size, "told the end too early");
                peer.told_end = true;
                self.wake(index);
            }
        }
        while let Some(wanted) = self.transfer.next_wanted(now) {
            assert!(self.attached);
            assert!(wanted.length_bytes > 0);
            assert!(wanted.length_bytes <= self.scenario.rules.request_bytes);
            self.wanted.push_back(wanted);
        }
        let requested: u64 = self.wanted.iter().map(|w| u64::from(w.length_bytes)).sum();
        assert!(requested <= u64::from(self.scenario.rules.max_requested_bytes));
        self.sender_goes_on();
        checks::consistent(&self.transfer);
        // Nothing is left to ask for: whoever waits, waits for somebody who has a deadline.
        assert!(self.transfer.deadline().is_some() || !self.events.is_empty());
        let progress = self.transfer.progress();
        assert_eq!(
            (progress.completed, progress.failed),
            (self.completed, self.failed)
        );
        None
    }

    fn hears(&mut self, progress: Progress) {
        let interval = self.scenario.rules.progress_interval.as_micros() as u64;
        if let Some(at) = self.told_at_us {
            assert!(self.now_us >= at + interval, "progress too often");
        }
        assert_ne!(progress, self.told, "progress without any");
        assert_eq!(progress, self.transfer.progress());
        let there = self.peers.iter().filter(|p| p.id.is_some());
        let at_it = there.filter(|p| p.completed_at_us.is_none());
        if let Some(least) = at_it.map(|p| p.acknowledged).min() {
            assert_eq!(progress.acknowledged, least);
        }
        (self.told, self.told_at_us) = (progress, Some(self.now_us));
    }

    fn owner(&self, id: ConnectionId) -> usize {
        let owner = self.peers.iter().position(|peer| peer.id == Some(id));
        owner.expect("somebody's")
    }

    fn happens(&mut self, event: Event) {
        match event {
            Event::Come(index) => self.comes(index),
            Event::Read(index, life) if self.peers[index].life == life => self.reads(index),
            Event::Send(life) if self.sender_life == life => self.sends(),
            Event::End(life) if self.sender_life == life && !self.said_end => {
                let size = self.file.len() as u64;
                let end = self
                    .transfer
                    .end(self.now(), Some(size), Some(self.hash), None);
                assert_eq!(end, Ok(()));
                self.said_end = true;
                self.sends = false;
            }
            Event::Lose(away) if self.attached => {
                self.transfer.sender_lost(self.now());
                self.attached = false;
                self.sends = false;
                self.sender_life += 1;
                self.wanted.clear();
                self.at(self.now_us + away, Event::Return);
            }
            Event::Return => {
                let offset = self.transfer.sender_back(self.now());
                assert_eq!(offset, self.transfer.progress().acknowledged);
                self.attached = true;
                self.sender_goes_on();
            }
            Event::Read(..) | Event::Send(_) | Event::End(_) | Event::Lose(_) => {}
        }
    }

    fn sender_goes_on(&mut self) {
        if !self.attached || self.sends {
            return;
        }
        let delay = self.scenario.sender.delay_us;
        if let Some(wanted) = self.wanted.front() {
            let length = wanted.length_bytes.min(self.scenario.rules.chunk_bytes);
            let us = u64::from(length) * self.scenario.sender.us_per_kib / 1_024;
            let delay = self.random(delay + 1);
            self.sends = true;
            self.at(self.now_us + us + delay, Event::Send(self.sender_life));
        } else if self.transfer.passed() == self.file.len() as u64 && !self.said_end {
            self.sends = true;
            let delay = self.random(delay + 1);
            self.at(self.now_us + delay, Event::End(self.sender_life));
        }
    }

    fn sends(&mut self) {
        self.sends = false;
        let any = self.random(u64::from(self.scenario.rules.chunk_bytes)) as u32 + 1;
        let Some(wanted) = self.wanted.front_mut() else {
            return;
        };
        let mut length = wanted.length_bytes.min(self.scenario.rules.chunk_bytes);
        if self.scenario.sender.any_chunks {
            length = length.min(any);
        }
        let offset = wanted.offset;
        wanted.offset += u64::from(length);
        wanted.length_bytes -= length;
        if wanted.length_bytes == 0 {
            self.wanted.pop_front();
        }
        self.sent_bytes += u64::from(length);
        let bytes = &self.file[offset as usize..][..length as usize];
        let mut to = Vec::new();
        let now = Instant::from_micros(self.now_us);
        assert_eq!(self.transfer.chunk(now, offset, bytes, &mut to), Ok(()));
        let bytes = bytes.to_vec();
        for id in to {
            let index = self.owner(id);
            let peer = &mut self.peers[index];
            assert_eq!(offset, peer.expected, "passed twice or left out");
            peer.expected += bytes.len() as u64;
            assert!(peer.expected <= peer.promised, "more than was promised");
            let window = u64::from(self.scenario.rules.max_window_bytes);
            assert!(peer.expected <= peer.acknowledged + window);
            peer.inbox.push_back(bytes.clone());
            self.wake(index);
        }
    }

    /// A receiver that has something to read reads on.
    fn wake(&mut self, index: usize) {
        let peer = &mut self.peers[index];
        if peer.reads || (peer.inbox.is_empty() && !peer.told_end) {
            return;
        }
        peer.reads = true;
        let length = peer.inbox.front().map_or(0, Vec::len) as u64;
        let mut us = length * peer.plan.us_per_kib / 1_024;
        if let Some((at, stalls_us)) = peer.plan.stall
            && peer.got.len() >= at
        {
            peer.plan.stall = None;
            us += stalls_us;
        }
        let event = Event::Read(index, peer.life);
        self.at(self.now_us + us, event);
    }

    fn reads(&mut self, index: usize) {
        let now = self.now();
        let peer = &mut self.peers[index];
        peer.reads = false;
        let Some(id) = peer.id else { return };
        if let Some(bytes) = peer.inbox.pop_front() {
            peer.got.extend_from_slice(&bytes);
        }
        if let Some(&(at, away, same)) = peer.plan.leaves.first()
            && peer.got.len() >= at
        {
            peer.plan.leaves.remove(0);
            assert!(self.transfer.remove(now, id), "its copy fails");
            assert!(!self.transfer.remove(now, id), "only once");
            self.failed += 1;
            self.forget(index);
            self.peers[index].generation += u32::from(!same);
            self.at(self.now_us + away, Event::Come(index));
            return;
        }
        let unread = peer.got.len() as u64 - peer.acknowledged;
        if peer.inbox.is_empty() && peer.told_end {
            assert_eq!(peer.got, self.file, "not the file");
            assert_eq!(self.transfer.complete(now, id), Ok(()));
            peer.acknowledged = self.file.len() as u64;
            peer.completed_at_us = Some(self.now_us);
            self.completed += 1;
            return;
        }
        let is_all = peer.inbox.is_empty() && !peer.plan.in_steps;
        if unread > 0 && (is_all || unread >= peer.plan.credit_every_bytes as u64) {
            self.credits(index);
        }
        self.wake(index);
    }

    fn credits(&mut self, index: usize) {
        let peer = &mut self.peers[index];
        let id = peer.id.expect("there");
        let (offset, window) = (peer.got.len() as u64, peer.plan.window_bytes);
        let now = Instant::from_micros(self.now_us);
        let credited = self
            .transfer
            .credit(now, id, offset, window)
            .expect("credit");
        assert_eq!((credited.accepted, credited.offset), (false, offset));
        peer.acknowledged = offset;
        peer.promised = peer.promised.max(offset + u64::from(window));
    }

    fn comes(&mut self, index: usize) {
        let peer = &mut self.peers[index];
        let generation = NonZeroU32::new(peer.generation).expect("generation");
        let id = ConnectionId::new(ShardId(0), index as u32, generation);
        let (offset, window) = (peer.got.len() as u64, peer.plan.window_bytes);
        let now = Instant::from_micros(self.now_us);
        let Ok(credited) = self.transfer.credit(now, id, offset, window) else {
            panic!("not accepted");
        };
        assert!(credited.accepted);
        assert_eq!(credited.offset, offset.min(self.transfer.passed()));
        peer.id = Some(id);
        peer.got.truncate(credited.offset as usize);
        peer.expected = credited.offset;
        peer.acknowledged = credited.offset;
        peer.promised = credited.offset + u64::from(window);
    }

    /// A receiver is none any more.
    fn forget(&mut self, index: usize) {
        let peer = &mut self.peers[index];
        peer.id = None;
        peer.life += 1;
        peer.reads = false;
        peer.told_end = false;
        peer.inbox.clear();
    }

    fn finish(self, outcome: Outcome) -> Ended {
        if let Outcome::Completed { completed, failed } = outcome {
            assert_eq!((completed, failed), (self.completed, self.failed));
            let all_done = |p: &Peer| p.id.is_none() || p.completed_at_us.is_some();
            assert!(self.peers.iter().all(all_done));
        }
        Ended {
            outcome,
            at_us: self.now_us,
            completed_at_us: self.peers.iter().map(|p| p.completed_at_us).collect(),
            sent_bytes: self.sent_bytes,
        }
    }
}

/// SplitMix64.
pub(super) fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
