use std::collections::BTreeSet;

use super::*;

// covers A5-05
#[test]
fn types_are_in_order_and_within_their_ranges() {
    assert!(REGISTRY.is_sorted_by(|a, b| a.kind < b.kind));
    for entry in REGISTRY {
        let range = match entry.name {
            "room_message" | "broadcast" => Range::RoomData,
            "private_message" => Range::Direct,
            "application" => Range::Application,
            name if name.starts_with("file_") => Range::Files,
            "joined_room" | "left_room" | "join" | "leave" => Range::Rooms,
            name if name.starts_with("member") => Range::Rooms,
            "history" | "reset" | "resumed" => Range::Rooms,
            name if name.contains("typing") => Range::Rooms,
            _ => Range::Control,
        };
        assert_eq!(range_of(entry.kind), range, "{}", entry.name);
        assert_eq!(name_of(entry.kind), Some(entry.name));
        assert!(entry.from_client.is_some() || entry.from_server.is_some());
    }
    let known = (0..=u8::MAX).filter(|kind| name_of(*kind).is_some());
    assert_eq!(known.count(), REGISTRY.len());
    assert_eq!(range_of(0), Range::Never);
}

/// Types are those of JSON, by the same names.
#[test]
fn names_are_the_names_of_json() {
    let names: BTreeSet<&str> = REGISTRY.iter().map(|entry| entry.name).collect();
    for name in &names {
        assert!(crate::dialect::json::is_reserved_type(name) || *name == "application");
    }
    let again = [
        "ack",
        "history",
        "join",
        "joined_room",
        "members",
        "private_message",
        "private_message",
        "room_message",
        "room_message",
    ];
    assert_eq!(names.len(), REGISTRY.len() - again.len(), "{again:?}");
}

// covers A5-05
#[test]
fn the_published_table_is_the_registry() {
    let document = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/PROTOCOL.md"));
    let (_, table) = document
        .split_once("| type | name | from | payload | values |\n| --- | --- | --- | --- | --- |\n")
        .expect("the table");
    let published: Vec<&str> = table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert_eq!(published, rows());
}

fn rows() -> Vec<String> {
    let mut rows = Vec::new();
    for entry in REGISTRY {
        let payloads = [("client", entry.from_client), ("server", entry.from_server)];
        for (from, payload) in payloads {
            if let Some(payload) = payload {
                rows.push(format!(
                    "| 0x{:02X} | `{}` | {from} | `{payload}` | {} |",
                    entry.kind, entry.name, entry.notes
                ));
            }
        }
    }
    rows
}
