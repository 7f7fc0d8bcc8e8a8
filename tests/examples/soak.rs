//! Runs seeds of the simulator for a while and says what they have hit. `tests/soak` is the usual way in.
//!
//! ```text
//! cargo run --release -p roomwire-tests --example soak -- MINUTES [FIRST_SEED] [THREADS]
//! ```
//!
//! Prints a line every minute and the whole record at the end. A seed that fails is made smaller and printed,
//! and its recording is written to the folder for temporary files; the exit status is then 1.
#![expect(clippy::print_stdout, reason = "it reports to a terminal")]

use std::env;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use roomwire_tests::sim::{Coverage, Failure, Plan, replay, run, run_seed, shrink, size};

/// What the threads have found together.
#[derive(Default)]
struct Found {
    coverage: Coverage,
    /// Clients of each seed.
    clients: Vec<u64>,
    /// Kinds of fault of each seed.
    kinds: Vec<u64>,
    failures: Vec<Failure>,
}

fn main() -> ExitCode {
    let numbers: Vec<u64> = env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let minutes = numbers.first().copied().unwrap_or(1);
    let first = numbers.get(1).copied().unwrap_or(0);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = numbers.get(2).map_or(cores, |&threads| threads as usize);
    // A violation that shows as a panic is printed as a failure of its seed.
    std::panic::set_hook(Box::new(|_| {}));

    let began = Instant::now();
    let end = began + Duration::from_secs(60 * minutes);
    let next = AtomicU64::new(first);
    let found = Mutex::new(Found::default());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work(&next, end, &found));
        }
        let mut minute = 1;
        while Instant::now() < end {
            thread::sleep(Duration::from_millis(200));
            if began.elapsed() >= Duration::from_secs(60 * minute) {
                report(minute, &found);
                minute += 1;
            }
        }
    });

    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let last = next.load(Ordering::Relaxed);
    println!("\nseeds {first} to {}", last.saturating_sub(1));
    println!("{}", found.coverage);
    println!(
        "median seed: {} clients, {} kinds of fault",
        median(&mut found.clients),
        median(&mut found.kinds)
    );
    println!("in less than 1 seed of 20: {:?}", rare(&found.coverage));
    println!("violations: {}", found.failures.len());
    for failure in &found.failures {
        println!("\n{failure}\n{}", kept(failure));
    }
    if let Some(failure) = found.failures.first() {
        smaller(failure);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn work(next: &AtomicU64, end: Instant, found: &Mutex<Found>) {
    while Instant::now() < end {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        let result = checked(seed);
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(coverage) => {
                found.coverage.add(&coverage);
                found.clients.push(coverage.clients);
                found.kinds.push(coverage.faults.len() as u64);
            }
            Err(failure) => {
                println!("{failure}");
                found.failures.push(*failure);
            }
        }
    }
}

/// Runs a seed; now and then also does it again from its recording.
fn checked(seed: u64) -> Result<Coverage, Box<Failure>> {
    let report = run_seed(seed)?;
    if let Some(recording) = &report.recording
        && seed.is_multiple_of(REPLAY_EVERY)
        && let Err(error) = replay(recording)
    {
        return Err(Box::new(Failure {
            plan: Plan::generate(seed),
            what: format!("its recording: {error}"),
            recording: report.recording,
        }));
    }
    Ok(report.coverage)
}

/// Every so many seeds one is done again.
const REPLAY_EVERY: u64 = 16;

/// Where the recording of a run that failed is.
fn kept(failure: &Failure) -> String {
    let folder = env::temp_dir();
    match failure.keep(&folder) {
        Ok(path) => format!(
            "see what the server did: roomwire-tokio replay {}",
            path.display()
        ),
        Err(error) => format!("there is no recording: {error}"),
    }
}

fn median(of: &mut [u64]) -> u64 {
    of.sort_unstable();
    of.get(of.len() / 2).copied().unwrap_or_default()
}

/// Faults and edges that few seeds hit.
fn rare(coverage: &Coverage) -> Vec<&str> {
    let all = coverage.faults.iter().chain(&coverage.edges);
    all.filter(|(_, count)| count.seeds * 20 < coverage.seeds)
        .map(|(name, _)| name.as_str())
        .collect()
}

fn report(minute: u64, found: &Mutex<Found>) {
    let found = found.lock().unwrap_or_else(PoisonError::into_inner);
    println!(
        "minute {minute}: {} violations, {}",
        found.failures.len(),
        found.coverage.summary()
    );
}

fn smaller(failure: &Failure) {
    let plan: &Plan = &failure.plan;
    let small = shrink(plan, 2_000, |plan| run(plan).is_err());
    let what = run(&small).err().map(|failure| failure.what);
    println!(
        "\nseed {} made smaller, {} things of {}: {}\n{small:#?}",
        plan.seed,
        size(&small),
        size(plan),
        what.unwrap_or_default()
    );
}
