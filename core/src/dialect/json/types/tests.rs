//! Tests of the type names.

use proptest::prelude::*;
use serde_json::Value;

use super::super::object::tests::any_value;
use super::{CLIENT_TYPES, SERVER_TYPES, is_reserved_type, is_server_name, is_server_type};

// covers A0-1 A2-09
#[test]
fn data_that_looks_like_a_server_message_is_seen() {
    for data in [
        r#"{"type":"welcome"}"#,
        "\n{ \"a\" : 1 , \"type\" : \"error\" } ",
        r#"{"type":1,"type":"private_message"}"#,
        r#"{"t\u0079pe":"ack"}"#,
        r#"{"type":"\u0061ck"}"#,
        r#"{"type":"x","\u0074ype":"ack"}"#,
        r#"{"\ud800":1,"type":"batch"}"#,
        r#"{"type":"file_chunk"}"#,
        r#"{"type":"closing","n":1e999}"#,
    ] {
        assert!(is_server_type(data), "{data}");
    }
}

#[test]
fn other_data_is_not() {
    for data in [
        "",
        "null",
        "\"welcome\"",
        "[{\"type\":\"welcome\"}]",
        "{}",
        "{",
        r#"{"type":"chat"}"#,
        r#"{"type":"Welcome"}"#,
        r#"{"type":"welcome "}"#,
        r#"{"type":["welcome"]}"#,
        r#"{"type":null}"#,
        r#"{"Type":"welcome"}"#,
        r#"{"a":{"type":"welcome"}}"#,
        r#"{"a":"\"type\":\"welcome\""}"#,
        r#"{"type":"welcome","type":"chat"}"#,
        r#"{"type":"welcome","typ\u0065":null}"#,
        r#"{"type":"\ud800"}"#,
        r#"{"type":"file"}"#,
    ] {
        assert!(!is_server_type(data), "{data}");
    }
}

#[test]
fn names_are_sorted_and_reserved() {
    assert!(CLIENT_TYPES.is_sorted() && SERVER_TYPES.is_sorted());
    let all = CLIENT_TYPES.iter().chain(&SERVER_TYPES);
    assert!(all.into_iter().all(|kind| is_reserved_type(kind)));
    assert!(is_reserved_type("file_start"));
    assert!(!is_reserved_type("text") && !is_reserved_type("") && !is_reserved_type("process"));
}

/// A JSON string in which some characters are spelled as escapes.
fn spelled(text: &str, escape: &[bool]) -> String {
    let units = text.chars().zip(escape.iter().cycle());
    let inner: String = units
        .map(|(unit, escape)| match escape {
            true => format!("\\u{:04X}", u32::from(unit)),
            false => unit.to_string(),
        })
        .collect();
    format!("\"{inner}\"")
}

proptest! {
    #[test]
    fn it_agrees_with_a_tree(
        fields in prop::collection::vec((
            prop_oneof![Just("type"), Just("types"), Just("data")],
            prop_oneof![
                prop_oneof![Just("ack"), Just("chat"), Just("file_x"), Just("gap")].prop_map(Value::from),
                any_value(),
            ],
            prop::collection::vec(any::<bool>(), 1..6),
        ), 0..5),
    ) {
        let text: Vec<_> = fields
            .iter()
            .map(|(key, value, escape)| {
                let value = match value.as_str() {
                    Some(text) if text.is_ascii() && !text.contains(['"', '\\', '\0', '\x7f']) => spelled(text, escape),
                    _ => value.to_string(),
                };
                format!("{}: {value}", spelled(key, escape))
            })
            .collect();
        let text = format!("{{{}}}", text.join(","));
        let tree: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(is_server_type(&text), tree["type"].as_str().is_some_and(is_server_name));
    }
}
