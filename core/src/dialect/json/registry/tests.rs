//! The registry in itself. That it is what is written and read is shown in `tests/tests/registry`.

use std::collections::BTreeSet;

use super::super::types::{CLIENT_TYPES, SERVER_TYPES};
use super::*;

/// Names that belong to the protocol and are not used in this version.
const FOR_LATER: [&str; 3] = ["authenticate", "authenticated", "gap"];

// covers A13-06
#[test]
fn every_reserved_name_is_described_and_every_name_is_reserved() {
    for (listed, entries) in [(&CLIENT_TYPES[..], &CLIENT[..]), (&SERVER_TYPES, &SERVER)] {
        let listed: BTreeSet<&str> = listed.iter().copied().collect();
        let described = entries
            .iter()
            .map(|entry| entry.name)
            .filter(|name| !name.starts_with("file_"));
        let later = FOR_LATER.into_iter().filter(|name| listed.contains(name));
        let described: BTreeSet<&str> = described.chain(later).collect();
        assert_eq!(
            listed, described,
            "left: json/types.rs, right: json/registry and what is kept for later"
        );
    }
}

#[test]
fn entries_are_in_order_and_answers_are_messages() {
    assert!(CLIENT.is_sorted_by(|a, b| a.name < b.name));
    assert!(SERVER.is_sorted_by(|a, b| a.name < b.name));
    assert!(CLOSE_CODES.is_sorted());
    for entry in CLIENT {
        assert_eq!(entry.from, Side::Client);
        if let Some(answer) = entry.answer {
            assert!(told(answer).is_some() && is_outcome(answer), "{answer}");
        }
        assert!(request(entry.name).is_some());
    }
    let is_server = |entry: &Entry| entry.from == Side::Server && entry.answer.is_none();
    assert!(SERVER.iter().all(is_server));
    assert!(is_outcome("error") && !is_outcome("welcome") && !is_outcome("batch"));
    assert!(request("welcome").is_none() && told("join").is_none());
}

#[test]
fn fields_are_named_once_and_rules_are_about_optional_fields() {
    for entry in CLIENT.iter().chain(&SERVER) {
        check(entry.name, &entry.shape);
        let names = entry.shape.fields.iter().map(|field| field.name);
        assert!(names.into_iter().all(|name| name != "type" && name != "id"));
    }
}

fn check(of: &str, shape: &Shape) {
    let names: BTreeSet<&str> = shape.fields.iter().map(|field| field.name).collect();
    assert_eq!(names.len(), shape.fields.len(), "{of}");
    let is_optional = |name: &str| {
        let mut fields = shape.fields.iter();
        fields.any(|field| field.name == name && field.is_optional)
    };
    for rule in shape.rules {
        match *rule {
            Rule::Either(a, b) | Rule::NotBoth(a, b) | Rule::Needs(a, b) => {
                assert!(is_optional(a) && is_optional(b), "{of}: {rule:?}");
            }
            Rule::EncodedData => {
                assert!(is_optional("encoding") && names.contains("data"), "{of}");
            }
        }
    }
    for field in shape.fields {
        assert!(field.about.len() > 3, "{of}.{}", field.name);
        if let Sort::Record(inner) | Sort::ListOf(&Sort::Record(inner)) = field.sort {
            check(field.name, inner);
        }
    }
}
