//! Replays every corpus on stable: what the fuzzer once reached stays reached, and what it once broke stays
//! mended.

use std::path::{Path, PathBuf};

use roomwire_fuzz::{TARGETS, Target, seeds};

#[test]
fn binary() {
    replay("binary");
}

#[test]
fn client() {
    replay("client");
}

#[test]
fn deflate() {
    replay("deflate");
}

#[test]
fn forwarded() {
    replay("forwarded");
}

#[test]
fn frames() {
    replay("frames");
}

#[test]
fn heartbeat() {
    replay("heartbeat");
}

#[test]
fn http_body() {
    replay("http_body");
}

#[test]
fn http_head() {
    replay("http_head");
}

#[test]
fn json() {
    replay("json");
}

#[test]
fn limiter() {
    replay("limiter");
}

#[test]
fn mask() {
    replay("mask");
}

#[test]
fn negotiation() {
    replay("negotiation");
}

#[test]
fn proxy_protocol() {
    replay("proxy_protocol");
}

#[test]
fn recordings() {
    replay("replay");
}

#[test]
fn server() {
    replay("server");
}

#[test]
fn session() {
    replay("session");
}

#[test]
fn every_seed_is_checked_in() {
    for (target, _) in TARGETS {
        let seeds = seeds::seeds(target);
        assert!(!seeds.is_empty(), "{target} has no seeds");
        for (name, bytes) in seeds {
            let path = corpus(target).join(format!("seed-{name}"));
            let written = std::fs::read(&path).unwrap_or_default();
            assert_eq!(written, bytes, "run `cargo run --example seeds`: {path:?}");
        }
    }
}

#[test]
fn the_corpora_stay_small() {
    let all = TARGETS
        .iter()
        .flat_map(|(target, _)| files(&corpus(target)));
    let bytes = all.map(|path| path.metadata().map_or(0, |data| data.len()));
    assert!(bytes.sum::<u64>() < 500 * 1_024);
}

fn replay(name: &str) {
    let target = TARGETS.iter().find(|(target, _)| *target == name);
    let (_, target) = target.expect("a known target");
    let mut inputs = files(&corpus(name));
    assert!(!inputs.is_empty(), "the corpus of {name} is empty");
    inputs.sort();
    for input in inputs {
        replay_file(*target, &input);
    }
}

/// Says which file it was if the target panics.
fn replay_file(target: Target, path: &Path) {
    let bytes = std::fs::read(path).expect("a readable file");
    let outcome = std::panic::catch_unwind(|| target(&bytes));
    assert!(outcome.is_ok(), "{} fails", path.display());
}

fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a corpus folder");
    entries
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.is_file())
        .collect()
}
