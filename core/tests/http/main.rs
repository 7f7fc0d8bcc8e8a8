//! Requests that are malformed, or that two parsers could read differently: what the server answers, and whether it
//! keeps the connection.
//!
//! The tables are data, one case a line: bytes in, statuses out, and what becomes of the connection. Every case is handed in whole, cut in
//! two at every byte, and byte by byte, and must come to the same bytes. A smuggled request would show as one answer too
//! many: most cases are followed by a request that must not be answered, or must.

mod after_upgrade;
mod chunks;
mod fields;
mod hosts;
mod lengths;
mod line_ends;
mod peer;
mod pipelines;
mod protocols;
mod request_lines;
mod sizes;
mod targets;
mod upgrades;

use peer::{End, Outcome, Server};

/// Bytes that go before and after those of every case, and the cases.
struct Table {
    before: &'static [u8],
    after: &'static [u8],
    cases: &'static [Case],
}

/// What it shows, the bytes, the statuses of all answers in order, and the connection's fate.
struct Case(&'static str, &'static [u8], &'static [u16], End);

/// A good request: answered with 200 wherever it is taken for one.
const GOOD: &[u8] = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n";

const TABLES: &[&[Table]] = &[
    chunks::TABLES,
    fields::TABLES,
    hosts::TABLES,
    lengths::TABLES,
    line_ends::TABLES,
    pipelines::TABLES,
    protocols::TABLES,
    request_lines::TABLES,
    sizes::TABLES,
    targets::TABLES,
    upgrades::TABLES,
];

fn cases() -> impl Iterator<Item = (&'static Case, Vec<u8>)> {
    TABLES.iter().copied().flatten().flat_map(|table| {
        let whole = |case: &Case| [table.before, case.1, table.after].concat();
        table.cases.iter().map(move |case| (case, whole(case)))
    })
}

#[test]
fn every_case_comes_to_what_its_table_says() {
    let mut wrong = Vec::new();
    for (Case(why, _, statuses, end), bytes) in cases() {
        let outcome = Server::default().outcome_of(&[&bytes]);
        let answers = outcome.answers();
        if (answers.statuses.as_slice(), outcome.end) != (*statuses, *end) {
            wrong.push(format!(
                "{why}: {:?} {:?} instead of {statuses:?} {end:?}: {}",
                answers.statuses,
                outcome.end,
                bytes.escape_ascii()
            ));
        }
        if *end == End::Kept && !statuses.is_empty() {
            assert!(answers.keeps, "{why}: it says that it closes");
        }
    }
    assert!(
        wrong.is_empty(),
        "{} cases:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn no_case_depends_on_how_its_bytes_come() {
    for (Case(why, ..), bytes) in cases() {
        check_splits(why, &bytes);
    }
}

/// The same outcome, to the byte, however `bytes` are cut.
fn check_splits(why: &str, bytes: &[u8]) -> Outcome {
    let mut server = Server::default();
    let whole = server.outcome_of(&[bytes]);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(server.outcome_of(&single), whole, "{why}, byte by byte");
    server.polls_between = false;
    assert_eq!(
        server.outcome_of(&single),
        whole,
        "{why}, byte by byte in one turn"
    );
    server.polls_between = true;
    for at in 1..bytes.len() {
        let (first, second) = bytes.split_at(at);
        assert_eq!(
            server.outcome_of(&[first, second]),
            whole,
            "{why}, cut at {at}"
        );
    }
    whole
}

#[test]
fn there_is_nothing_after_the_end() {
    for (Case(why, .., end), bytes) in cases() {
        if *end == End::Closed {
            let alone = Server::default().outcome_of(&[&bytes]);
            let followed = Server::default().outcome_of(&[&bytes, GOOD]);
            assert_eq!(followed, alone, "{why}");
        }
    }
}

#[test]
fn no_case_leaves_anything_behind() {
    let mut server = Server::default();
    for (Case(why, ..), bytes) in cases() {
        server.outcome_of(&[&bytes]);
        assert_eq!(server.held(), (0, 0), "{why}");
    }
}

#[test]
fn what_follows_an_upgrade_is_frames() {
    for case in after_upgrade::CASES {
        let bytes = [case.before, after_upgrade::UPGRADE, case.after].concat();
        let outcome = check_splits(case.why, &bytes);
        let answers = outcome.answers();
        let count = answers
            .statuses
            .iter()
            .filter(|&&status| status == 101)
            .count();
        assert_eq!(
            (count, answers.statuses.last()),
            (1, Some(&101)),
            "{}",
            case.why
        );
        let frames = peer::frames(answers.rest);
        let expected = case
            .frames
            .iter()
            .map(|(first, payload)| (*first, payload.to_vec()));
        assert_eq!(frames, expected.collect::<Vec<_>>(), "{}", case.why);
        assert_eq!(outcome.end, case.end, "{}", case.why);
    }
}

#[test]
fn the_tables_are_as_long_as_they_should_be() {
    let count = cases().count() + after_upgrade::CASES.len();
    assert!(count >= 500, "{count}");
}
