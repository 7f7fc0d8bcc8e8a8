//! What PROTOCOL.md says in its text about the fields of messages.

use std::collections::BTreeSet;

use roomwire_core::dialect::json::registry::{self, Entry, Field, Shape, Sort};

use crate::advice;

pub(crate) const PROTOCOL: &str = include_str!("../../../core/PROTOCOL.md");

/// The section of a message begins with `{type, room, [after]}` or the like.
// covers A13-06
#[test]
fn sections_name_the_fields_of_their_messages() {
    let mut seen = 0;
    for (title, text) in sections() {
        let Some(notation) = text.trim_start().strip_prefix("`{type") else {
            continue;
        };
        let (notation, _) = notation.split_once("}`").expect("its end");
        for name in title.split(" and ") {
            let entry = registry::request(name).or_else(|| registry::told(name));
            let entry = entry.unwrap_or_else(|| panic!("{name} is not described: {}", advice()));
            assert_eq!(
                in_notation(notation),
                named(entry),
                "left: ### {title}, right: {}",
                advice()
            );
            seen += 1;
        }
    }
    // Those about files have a table, `welcome` has one.
    let requests = registry::CLIENT
        .iter()
        .filter(|entry| !entry.name.starts_with("file_"));
    let server_only = ["resumed", "session", "reset"];
    assert_eq!(seen, requests.count() + server_only.len());
}

// covers A13-06
#[test]
fn the_tables_name_the_fields_of_their_messages() {
    let welcome = registry::told("welcome").expect("an entry");
    let listed: BTreeSet<String> = first_cells("### welcome")
        .iter()
        .flat_map(|cell| quoted(cell))
        .collect();
    assert_eq!(
        listed,
        dotted("", &welcome.shape),
        "left: ### welcome, right: {}",
        advice()
    );

    let mut files = BTreeSet::new();
    for row in rows("## Files") {
        let name = quoted(&row[0]).into_iter().next().expect("a name");
        let both = [registry::request(&name), registry::told(&name)];
        let fields = both
            .into_iter()
            .flatten()
            .flat_map(|entry| entry.shape.fields);
        let described: BTreeSet<String> = fields.map(|field| field.name.to_owned()).collect();
        let (fields, outcome) = row[2].split_once(": the outcome").unwrap_or((&row[2], ""));
        let mut listed: BTreeSet<String> = quoted(fields).into_iter().collect();
        assert!(outcome.is_empty() || outcome.contains("file_start"));
        // What is said of `offset` and `window` names them again.
        listed.retain(|name| name != "sha256:");
        assert_eq!(
            listed,
            described,
            "left: ## Files, {name}, right: {}",
            advice()
        );
        let is_from = |who: &str| row[1].contains(who);
        assert_eq!(both[1].is_some(), is_from("server"), "{name}");
        let from_clients = is_from("sender") || is_from("receiver") || is_from("either");
        assert_eq!(both[0].is_some(), from_clients, "{name}");
        files.insert(name);
    }
    let all = registry::CLIENT.iter().chain(&registry::SERVER);
    let all = all.filter(|entry| entry.name.starts_with("file_"));
    assert_eq!(files, all.map(|entry| entry.name.to_owned()).collect());
}

/// The names in `, room, [after], [epoch]`, and which of them may be missing.
fn in_notation(text: &str) -> BTreeSet<(String, bool)> {
    let text = text.replace(": [message, ...]", "");
    let mut depth = 0;
    let mut names = BTreeSet::new();
    for part in text.split_inclusive([',', '[', ']']) {
        let name = part.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        if !name.is_empty() {
            names.insert((name.to_owned(), depth > 0));
        }
        match part.chars().next_back() {
            Some('[') => depth += 1,
            Some(']') => depth -= 1,
            _ => {}
        }
    }
    names
}

fn named(entry: &Entry) -> BTreeSet<(String, bool)> {
    let fields = entry.shape.fields.iter();
    fields
        .map(|field| (field.name.to_owned(), field.is_optional))
        .collect()
}

/// All fields that hold no others, as `limits.rate.perMs`.
fn dotted(prefix: &str, shape: &Shape) -> BTreeSet<String> {
    let of = |field: &Field| match field.sort {
        Sort::Record(inner) | Sort::OrNull(&Sort::Record(inner)) => {
            dotted(&format!("{prefix}{}.", field.name), inner)
        }
        _ => BTreeSet::from([format!("{prefix}{}", field.name)]),
    };
    shape.fields.iter().flat_map(of).collect()
}

/// The titles of the third level, each with the text below it.
fn sections() -> impl Iterator<Item = (&'static str, &'static str)> {
    PROTOCOL
        .split("\n### ")
        .skip(1)
        .filter_map(|section| section.split_once('\n'))
}

/// The rows of the first table below a heading.
fn rows(heading: &str) -> Vec<Vec<String>> {
    let (_, text) = PROTOCOL
        .split_once(&format!("\n{heading}\n"))
        .expect(heading);
    let rows = text.lines().skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| {
        row.trim_matches('|')
            .split(" | ")
            .map(str::to_owned)
            .collect()
    })
    .collect()
}

fn first_cells(heading: &str) -> Vec<String> {
    rows(heading)
        .into_iter()
        .map(|row| row[0].clone())
        .collect()
}

fn quoted(text: &str) -> Vec<String> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}
