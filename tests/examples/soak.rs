//! Runs seeds of the simulator for a while and says what they have hit.
#![expect(clippy::print_stdout, reason = "it reports to a terminal")]

use roomwire_tests::sim::{Coverage, run_seed};

fn main() {
    let mut args = std::env::args()
        .skip(1)
        .filter_map(|a| a.parse::<u64>().ok());
    let (first, count) = (args.next().unwrap_or(0), args.next().unwrap_or(10));
    let mut all = Coverage::default();
    let mut failed = 0;
    for seed in first..first + count {
        match run_seed(seed) {
            Ok(report) => all.add(&report.coverage),
            Err(failure) => {
                failed += 1;
                println!("{failure}")
            }
        }
    }
    println!("{all}");
    println!("{failed} failed");
}
