//! Files for the program that embeds the server.

use roomwire_core::server::Event;
use serde_json::json;

use super::ends::{Source, finish};
use super::hall::{BOTH, Dialect, Hall, file_of, sha256, to_client, transfer};
use super::{prompt, with};

// covers A6-05
#[test]
fn the_program_is_told_every_byte_once() {
    for dialect in BOTH {
        for size in [0, 10, 2_500_000] {
            let mut hall = Hall::new(with(|config| config.files.to_program = true));
            let sender = hall.client(dialect);
            let bystander = hall.client(Dialect::Json);
            hall.file_events();
            let start = to_client("one", "server", size);
            let file = file_of(size);
            let mut source = Source::start(&mut hall, sender, &start, file.clone());
            finish(&mut hall, &mut source, &mut [], 1_000);
            let expected = json!({
                "type": "file_completed", "transfer": source.transfer, "completed": 1, "failed": 0,
            });
            assert_eq!(source.outcome, Some(expected));
            let mut events = hall.file_events().into_iter();
            match events.next() {
                Some(Event::FileStarted {
                    connection,
                    client,
                    transfer,
                    name,
                    size_bytes,
                    mime_type,
                }) => {
                    assert_eq!(connection, hall.world.connection(sender));
                    assert_eq!(client.to_string(), hall.id(sender));
                    assert_eq!(transfer.to_bits(), source.transfer);
                    assert_eq!(
                        (&*name, size_bytes, &*mime_type),
                        ("a.bin", size as u64, "")
                    );
                }
                other => panic!("{other:?}"),
            }
            let mut have = Vec::new();
            let hash = loop {
                match events.next() {
                    Some(Event::FileChunk {
                        transfer,
                        offset,
                        data,
                    }) => {
                        assert_eq!(
                            (transfer.to_bits(), offset),
                            (source.transfer, have.len() as u64)
                        );
                        have.extend(data);
                    }
                    Some(Event::FileEnded {
                        transfer,
                        size_bytes,
                        sha256,
                    }) => {
                        assert_eq!(
                            (transfer.to_bits(), size_bytes),
                            (source.transfer, size as u64)
                        );
                        break sha256;
                    }
                    other => panic!("{other:?}"),
                }
            };
            assert_eq!(events.next(), None);
            assert!(have == file);
            assert_eq!(
                format!("sha256:{}", data_encoding::HEXLOWER.encode(&hash)),
                sha256(&file)
            );
            hall.expect_nothing(bystander);
            hall.close_all();
        }
    }
}

// covers A6-05
#[test]
fn where_no_program_listens_it_is_forbidden() {
    for dialect in BOTH {
        let mut hall = Hall::new(prompt());
        let sender = hall.client(dialect);
        assert_eq!(
            hall.refused(sender, &to_client("one", "server", 5)),
            "forbidden"
        );
        hall.assert_no_transfers();
        assert_eq!(hall.file_events(), []);
    }
}

// covers A6-04, A6-05
#[test]
fn the_program_is_told_when_it_does_not_come_to_its_end() {
    for how in 0..4 {
        let mut hall = Hall::new(with(|config| config.files.to_program = true));
        let sender = hall.client(Dialect::Json);
        let mut source = Source::start(
            &mut hall,
            sender,
            &to_client("one", "server", 500_000),
            file_of(500_000),
        );
        source.hear(&mut hall);
        source.send(&mut hall, 1_000);
        hall.file_events();
        let abort =
            json!({"type": "file_abort", "transfer": source.transfer, "reason": "changed my mind"});
        match how {
            0 => hall.done(sender, &abort),
            1 => hall.world.reset(sender),
            2 => {}
            _ => {
                source.file[100_000] ^= 1;
                let right = file_of(500_000);
                source.said_end = true;
                finish(&mut hall, &mut source, &mut [], 1_000);
                let end = json!({"type": "file_end", "transfer": source.transfer, "hash": sha256(&right)});
                hall.ask(sender, &end);
            }
        }
        hall.world
            .advance_ms(if how == 1 { 31_000 } else { 61_000 });
        let events = hall.file_events();
        match events.last() {
            Some(Event::FileFailed { transfer, reason }) => {
                assert_eq!(transfer.to_bits(), source.transfer);
                assert!(!reason.is_empty());
                assert!(how != 0 || reason.contains("changed my mind"), "{reason}");
            }
            other => panic!("{how}: {other:?}"),
        }
        let ends = events
            .iter()
            .filter(|e| matches!(e, Event::FileFailed { .. } | Event::FileEnded { .. }));
        assert_eq!(ends.count(), 1);
        hall.close_all();
    }
}

// covers A6-05, A6-08
#[test]
fn a_file_for_the_program_goes_on_from_another_connection() {
    let mut hall = Hall::new(with(|config| config.files.to_program = true));
    let sender = hall.client(Dialect::Json);
    let start = to_client("one", "server", 500_000);
    let file = file_of(500_000);
    let mut source = Source::start(&mut hall, sender, &start, file.clone());
    source.hear(&mut hall);
    source.send(&mut hall, 1_000);
    hall.world.reset(sender);
    hall.world.advance_ms(3_000);
    let back = hall.client_elsewhere(sender, Dialect::Binary);
    let offset = source.resume(&mut hall, back, &start);
    assert!(offset <= 1_000);
    finish(&mut hall, &mut source, &mut [], 1_000);
    assert_eq!(
        source.outcome.as_ref().map(|o| &o["type"]),
        Some(&json!("file_completed"))
    );
    let mut have = Vec::new();
    for event in hall.file_events() {
        if let Event::FileChunk { offset, data, .. } = event {
            assert_eq!(offset, have.len() as u64);
            have.extend(data);
        }
    }
    assert!(have == file);
    hall.close_all();
}

// covers A6-05
#[test]
fn nobody_else_takes_part_in_a_file_for_the_program() {
    let mut hall = Hall::new(with(|config| config.files.to_program = true));
    let sender = hall.client(Dialect::Json);
    let other = hall.client(Dialect::Binary);
    let accepted = hall.start(sender, &to_client("one", "server", 5_000));
    let id = transfer(&accepted);
    hall.credit(other, id, 0, 100);
    assert_eq!(hall.expect(other, "error")["code"], "transfer_unknown");
    for kind in ["file_complete", "file_abort", "file_end"] {
        let code = hall.refused(other, &json!({"type": kind, "transfer": id}));
        assert_eq!(code, "transfer_unknown", "{kind}");
    }
}
