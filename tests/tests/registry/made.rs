//! What is made of the registry is what is checked in.

use std::path::Path;

use roomwire_core::dialect::json::registry::{CLIENT, CLOSE_CODES, SERVER};
use roomwire_tests::registry::{HOW, MADE};
use serde_json::Value;

use crate::schemas::root;

// covers A13-06
#[test]
fn everything_is_up_to_date() {
    for made in MADE {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(made.path);
        let now = std::fs::read_to_string(path).expect(made.path);
        let anew = (made.anew)(&now);
        let line = now
            .lines()
            .zip(anew.lines())
            .position(|(now, anew)| now != anew);
        assert!(
            now == anew,
            "{} is not what the registry says, from line {} on: run `{HOW}`",
            made.path,
            line.unwrap_or_else(|| now.lines().count().min(anew.lines().count())) + 1,
        );
    }
}

#[test]
fn the_schema_is_one() {
    let root = root();
    jsonschema::meta::validate(&root).expect("a schema");
    let count = |name: &str| root["$defs"][name]["oneOf"].as_array().map(Vec::len);
    assert_eq!(count("ServerMessage"), Some(SERVER.len()));
    assert_eq!(count("ClientMessage"), Some(CLIENT.len()));
    // Any message is of one of the three kinds.
    let validator = jsonschema::draft202012::new(&root).expect("a schema");
    for (message, is_one) in [
        (r#"{"type":"ack"}"#, true),
        (r#"{"type":"ping"}"#, true),
        (r#"{"type":"rolled","n":4,"id":1}"#, true),
        (r#"{"type":"rolled","id":null}"#, false),
        (r#"{"type":"welcome"}"#, false),
        (r#"{"type":"file_anything"}"#, false),
        (r#"{"type":"gap","room":"tea","from":1,"to":2}"#, false),
        (r#"{"type":7}"#, false),
        ("[]", false),
    ] {
        let message: Value = serde_json::from_str(message).expect("JSON");
        assert_eq!(validator.is_valid(&message), is_one, "{message}");
    }
}

/// The table of close codes has every code of the server's own.
#[test]
fn the_close_codes_are_those_of_the_document() {
    let (_, section) = crate::document::PROTOCOL
        .split_once("| code | when | come back |")
        .expect("the table");
    let rows = section
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.trim_matches('|').split('|').next());
    let codes = cells
        .filter(|cell| !cell.contains("to"))
        .flat_map(|cell| cell.split(','));
    let mut codes: Vec<u16> = codes
        .map(|code| code.trim().parse().expect("a code"))
        .collect();
    // These are never sent: clients' own libraries show them.
    codes.retain(|code| ![1005, 1006].contains(code));
    assert_eq!(codes, CLOSE_CODES);
}
