//! What runs have hit: faults, edges of the lifecycle, sizes. One record per seed, added up over many.

use core::fmt;
use std::collections::BTreeMap;

/// What one run, or many, came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Runs.
    pub seeds: u64,
    /// Faults by name: how often, and in how many runs.
    pub faults: BTreeMap<String, Count>,
    /// Edges of the lifecycle by name.
    pub edges: BTreeMap<String, Count>,
    /// Clients planned.
    pub clients: u64,
    /// Connections made.
    pub connections: u64,
    /// Requests that clients sent.
    pub requests: u64,
    /// Messages that the server's sockets took.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Inputs handed to the server.
    pub inputs: u64,
    /// Outputs polled.
    pub polls: u64,
    /// Times at which the server was idle and everything was compared.
    pub audits: u64,
    /// Virtual time, in microseconds.
    pub virtual_us: u64,
    /// Runs by how many shards their servers had.
    pub shards: BTreeMap<u8, u64>,
    /// What shards had for each other.
    pub relays: u64,
    /// Links that stalled.
    pub stalls: u64,
    /// Shards that began anew.
    pub restarts: u64,
}

/// How often, and in how many runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How often.
    pub times: u64,
    /// In how many runs.
    pub seeds: u64,
}

impl Coverage {
    /// Notes a fault.
    pub fn fault(&mut self, name: &str) {
        note(&mut self.faults, name);
    }

    /// Notes an edge.
    pub fn edge(&mut self, name: &str) {
        note(&mut self.edges, name);
    }

    /// The sizes in one line.
    pub fn summary(&self) -> String {
        let hours = self.virtual_us as f64 / MICROS_PER_HOUR;
        format!(
            "{} seeds, {hours:.2} simulated hours, {} clients, {} connections, {} requests, {} messages, \
             {} bytes, {} inputs, {} polls, {} audits, {} seeds of several shards, {} relays, {} stalls of links, \
             {} restarts",
            self.seeds,
            self.clients,
            self.connections,
            self.requests,
            self.messages,
            self.bytes,
            self.inputs,
            self.polls,
            self.audits,
            self.shards.range(2..).map(|(_, seeds)| seeds).sum::<u64>(),
            self.relays,
            self.stalls,
            self.restarts
        )
    }

    /// Adds another record.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.faults, &other.faults),
            (&mut self.edges, &other.edges),
        ] {
            for (name, count) in theirs {
                let entry = mine.entry(name.clone()).or_default();
                entry.times += count.times;
                entry.seeds += count.seeds;
            }
        }
        self.seeds += other.seeds;
        self.clients += other.clients;
        self.connections += other.connections;
        self.requests += other.requests;
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.inputs += other.inputs;
        self.polls += other.polls;
        self.audits += other.audits;
        self.virtual_us += other.virtual_us;
        for (&count, seeds) in &other.shards {
            *self.shards.entry(count).or_default() += seeds;
        }
        self.relays += other.relays;
        self.stalls += other.stalls;
        self.restarts += other.restarts;
    }
}

fn note(counts: &mut BTreeMap<String, Count>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => count.times += 1,
        None => {
            let first = Count { times: 1, seeds: 1 };
            counts.insert(name.to_owned(), first);
        }
    }
}

/// A table for people.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.summary())?;
        writeln!(f, "seeds by number of shards: {:?}", self.shards)?;
        for (title, counts) in [("faults", &self.faults), ("edges", &self.edges)] {
            writeln!(f, "{title}:")?;
            for (name, count) in counts {
                let share = 100.0 * count.seeds as f64 / self.seeds.max(1) as f64;
                writeln!(
                    f,
                    "  {share:5.1} % of seeds {:9} times  {name}",
                    count.times
                )?;
            }
        }
        Ok(())
    }
}

const MICROS_PER_HOUR: f64 = 3.6e9;
