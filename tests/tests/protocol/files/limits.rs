//! What is too much, too early, or none of one's business.

use roomwire_core::Config;
use serde_json::json;

use super::ends::{Sink, Source, assert_complete, finish};
use super::hall::{BOTH, Dialect, Hall, file_of, number, sha256, to_client, to_room, transfer};
use super::{prompt, with};

// covers A6-05
#[test]
fn who_may_not_speak_there_may_not_send_there() {
    for dialect in BOTH {
        let mut hall = Hall::new(with(|config| {
            config.private_messages_need_shared_room = true;
        }));
        let member = hall.member(Dialect::Json, "tea");
        let stranger = hall.client(dialect);
        assert_eq!(
            hall.refused(stranger, &to_room("one", "tea", 5)),
            "not_member"
        );
        assert_eq!(
            hall.refused(stranger, &to_room("one", "nowhere", 5)),
            "no_such_room"
        );
        assert_eq!(
            hall.refused(stranger, &to_room("one", "", 5)),
            "invalid_room"
        );
        let nobody = "client_AAAAAAAAAAAAAAAAAAAAAAAA";
        assert_eq!(
            hall.refused(stranger, &to_client("one", nobody, 5)),
            "target_not_found"
        );
        let to = hall.id(member).to_owned();
        assert_eq!(
            hall.refused(stranger, &to_client("one", &to, 5)),
            "target_not_found"
        );
        hall.expect_nothing(member);
        hall.assert_no_transfers();
        hall.join(stranger, "tea");
        hall.start(stranger, &to_client("one", &to, 5));
        hall.expect(member, "file_offered");
        hall.close_all();
    }
}

// covers A6-07
#[test]
fn a_file_has_a_largest_size() {
    for dialect in BOTH {
        let mut hall = Hall::new(with(|config| config.files.max_file_bytes = Some(10)));
        let sender = hall.member(dialect, "tea");
        let other = hall.member(Dialect::Json, "tea");
        assert_eq!(
            hall.refused(sender, &to_room("one", "tea", 11)),
            "too_large"
        );
        hall.expect_nothing(other);
        hall.start(sender, &to_room("one", "tea", 10));
        hall.expect(other, "file_offered");
    }
    // Without one: as large as JSON's numbers are exact.
    let mut hall = Hall::new(prompt());
    let sender = hall.member(Dialect::Json, "tea");
    hall.start(sender, &to_room("one", "tea", (1 << 53) - 1));
    assert_eq!(
        hall.refused(sender, &to_room("two", "tea", 1 << 53)),
        "too_large"
    );
}

// covers A6-07
#[test]
fn a_client_has_a_largest_number_of_transfers() {
    for dialect in BOTH {
        let mut hall = Hall::new(with(|config| config.files.max_per_client = 2));
        let sender = hall.member(dialect, "tea");
        let other = hall.member(Dialect::Json, "tea");
        let first = transfer(&hall.start(sender, &to_room("one", "tea", 5)));
        let to = hall.id(other).to_owned();
        hall.start(sender, &to_client("two", &to, 5));
        assert_eq!(
            hall.refused(sender, &to_room("three", "tea", 5)),
            "transfer_limit"
        );
        // Others are not concerned, and one that is over is none.
        hall.start(other, &to_room("one", "tea", 5));
        hall.done(sender, &json!({"type": "file_abort", "transfer": first}));
        hall.start(sender, &to_room("three", "tea", 5));
        assert_eq!(
            hall.refused(sender, &to_room("four", "tea", 5)),
            "transfer_limit"
        );
        hall.close_all();
    }
}

// covers A6-07
#[test]
fn a_room_has_a_largest_number_of_transfers() {
    let mut hall = Hall::new(with(|config| config.files.max_per_room = 2));
    let senders = [(); 4].map(|()| hall.member(Dialect::Json, "tea"));
    let first = transfer(&hall.start(senders[0], &to_room("one", "tea", 5)));
    hall.start(senders[1], &to_room("one", "tea", 5));
    assert_eq!(
        hall.refused(senders[2], &to_room("one", "tea", 5)),
        "transfer_limit"
    );
    hall.join(senders[2], "coffee");
    hall.start(senders[2], &to_room("one", "coffee", 5));
    hall.done(
        senders[0],
        &json!({"type": "file_abort", "transfer": first}),
    );
    hall.start(senders[3], &to_room("one", "tea", 5));
    hall.close_all();
}

// covers A6-07
#[test]
fn a_shard_has_a_largest_number_of_transfers() {
    let mut config = prompt();
    config.files.max_transfers = 2;
    let mut hall = Hall::of(roomwire_tests::World::alone(config));
    let senders = [(); 3].map(|()| hall.member(Dialect::Json, "tea"));
    let first = transfer(&hall.start(senders[0], &to_room("one", "tea", 5)));
    hall.start(senders[1], &to_room("one", "tea", 5));
    assert_eq!(
        hall.refused(senders[2], &to_room("one", "tea", 5)),
        "transfer_limit"
    );
    hall.done(
        senders[0],
        &json!({"type": "file_abort", "transfer": first}),
    );
    hall.start(senders[2], &to_room("one", "tea", 5));
    hall.close_all();
}

// covers A6-07
#[test]
fn a_transfer_has_a_largest_number_of_receivers() {
    let mut hall = Hall::new(with(|config| config.files.max_receivers = 1));
    let sender = hall.member(Dialect::Json, "tea");
    let others = BOTH.map(|dialect| hall.member(dialect, "tea"));
    let mut source = Source::start(&mut hall, sender, &to_room("one", "tea", 500), file_of(500));
    let mut sink = Sink::accept(&mut hall, others[0], 1_000);
    hall.expect(others[1], "file_offered");
    hall.credit(others[1], source.transfer, 0, 1_000);
    let heard = hall.all(others[1]);
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!(heard[0]["code"], "transfer_limit");
    finish(&mut hall, &mut source, &mut [&mut sink], 1_000);
    assert_complete(&source, &[&mut sink], 0);
}

// covers A6-07
#[test]
fn names_have_a_largest_length() {
    for dialect in BOTH {
        let mut hall = Hall::new(with(|config| config.files.max_name_bytes = 24));
        let sender = hall.member(dialect, "tea");
        let at = "x".repeat(24);
        let past = "x".repeat(25);
        for field in ["transferId", "name", "mimeType"] {
            let mut start = to_room("one", "tea", 5);
            start["mimeType"] = "".into();
            start[field] = past.clone().into();
            assert_eq!(hall.refused(sender, &start), "too_large", "{field}");
            start[field] = at.clone().into();
            let accepted = hall.start(sender, &start);
            let mut abort = json!({"type": "file_abort", "transfer": accepted["transfer"]});
            abort["reason"] = past.clone().into();
            assert_eq!(hall.refused(sender, &abort), "too_large", "{field}");
            abort["reason"] = at.clone().into();
            hall.done(sender, &abort);
        }
        hall.close_all();
    }
}

// covers A6-06
#[test]
fn a_name_is_never_a_path() {
    for dialect in BOTH {
        for (name, shown) in [
            ("../../etc/passwd", "passwd"),
            ("/etc/passwd", "passwd"),
            (r"C:\Users\ada\notes.txt", "notes.txt"),
            (r"..\..\boot.ini", "boot.ini"),
            ("photo\u{202E}gpj.exe", "photogpj.exe"),
            ("a\u{0}b\r\nc\u{7F}.txt", "abc.txt"),
            ("tea \u{1F375}.png", "tea \u{1F375}.png"),
        ] {
            let mut hall = Hall::new(prompt());
            let sender = hall.member(dialect, "tea");
            let other = hall.member(Dialect::Json, "tea");
            let mut start = to_room("one", "tea", 5);
            start["name"] = name.into();
            hall.start(sender, &start);
            let offered = hall.expect(other, "file_offered");
            assert_eq!(offered["name"], shown);
        }
        for name in ["", ".", "..", "/", "a/..", r"\", "\u{0}", "../"] {
            let mut hall = Hall::new(prompt());
            let sender = hall.member(dialect, "tea");
            let other = hall.member(Dialect::Json, "tea");
            let mut start = to_room("one", "tea", 5);
            start["name"] = name.into();
            hall.ask(sender, &start);
            // Refused, or shown as something that is a file's name and no place.
            for offered in hall.all(other) {
                let shown = offered["name"].as_str().expect("a name");
                assert!(!["", ".", ".."].contains(&shown), "{name:?}");
                assert!(!shown.contains(['/', '\\', '\0']), "{name:?}");
            }
        }
    }
}

// covers A6-01
#[test]
fn a_transfer_is_named_once_among_its_senders_own() {
    for dialect in BOTH {
        let mut hall = Hall::new(prompt());
        let sender = hall.member(dialect, "tea");
        let other = hall.member(dialect, "tea");
        let first = hall.start(sender, &to_room("one", "tea", 5));
        assert_eq!(
            hall.refused(sender, &to_room("one", "tea", 5)),
            "bad_message"
        );
        let second = hall.start(other, &to_room("one", "tea", 5));
        assert_ne!(first["transfer"], second["transfer"]);
        hall.close_all();
    }
}

// covers A6-04
#[test]
fn transfers_that_there_are_not() {
    for dialect in BOTH {
        let mut hall = Hall::new(prompt());
        let client = hall.member(dialect, "tea");
        let other = hall.member(dialect, "tea");
        let id = transfer(&hall.start(other, &to_room("one", "tea", 5)));
        let over = transfer(&hall.start(other, &to_room("two", "tea", 5)));
        hall.done(other, &json!({"type": "file_abort", "transfer": over}));
        hall.forget();
        let unknown = [0, id + 1_000_000, 200 << 45, 255 << 45, (1 << 53) - 1, over];
        for transfer in unknown {
            for kind in ["file_end", "file_abort", "file_complete"] {
                let message = json!({"type": kind, "transfer": transfer});
                assert_eq!(
                    hall.refused(client, &message),
                    "transfer_unknown",
                    "{message}"
                );
            }
            hall.credit(client, transfer, 0, 1_000);
            assert_eq!(hall.expect(client, "error")["code"], "transfer_unknown");
            hall.chunk(client, transfer, 0, b"x");
            assert_eq!(hall.expect(client, "error")["code"], "transfer_unknown");
            hall.expect_nothing(client);
        }
        hall.close_all();
    }
}

// covers A6-05
#[test]
fn who_is_no_member_gets_nothing() {
    for dialect in BOTH {
        let mut hall = Hall::new(prompt());
        let sender = hall.member(Dialect::Json, "tea");
        let member = hall.member(dialect, "tea");
        let stranger = hall.member(dialect, "coffee");
        let mut source =
            Source::start(&mut hall, sender, &to_room("one", "tea", 500), file_of(500));
        hall.credit(stranger, source.transfer, 0, 1_000);
        assert_eq!(hall.expect(stranger, "error")["code"], "transfer_unknown");
        for kind in ["file_complete", "file_abort", "file_end"] {
            let message = json!({"type": kind, "transfer": source.transfer});
            assert_eq!(hall.refused(stranger, &message), "transfer_unknown");
        }
        // A member that has not accepted has nothing to complete.
        let message = json!({"type": "file_complete", "transfer": source.transfer});
        hall.all(member);
        hall.refused(member, &message);
        source.hear(&mut hall);
        assert_eq!((source.wanted.len(), &source.outcome), (0, &None));
        hall.expect_nothing(stranger);
        hall.close_all();
    }
}

// covers A6-02
#[test]
fn a_sender_is_no_receiver() {
    for dialect in BOTH {
        let mut hall = Hall::new(prompt());
        let sender = hall.member(dialect, "tea");
        let id = transfer(&hall.start(sender, &to_room("one", "tea", 500)));
        hall.credit(sender, id, 0, 1_000);
        hall.expect(sender, "error");
        assert_ne!(
            hall.refused(sender, &json!({"type": "file_complete", "transfer": id})),
            "internal"
        );
        hall.expect_nothing(sender);
    }
}

// covers A6-02, A6-07
#[test]
fn chunks_that_were_not_asked_for() {
    for dialect in BOTH {
        let mut hall = Hall::new(with(|config| config.files.chunk_bytes = 2_048));
        let sender = hall.member(dialect, "tea");
        let other = hall.member(Dialect::Binary, "tea");
        let file = file_of(20_000);
        let mut source = Source::start(
            &mut hall,
            sender,
            &to_room("one", "tea", 20_000),
            file.clone(),
        );
        assert_eq!(source.chunk_bytes, 2_048);
        let id = source.transfer;
        let refused = |hall: &mut Hall, offset: u64, data: &[u8], codes: &[&str]| {
            hall.chunk(sender, id, offset, data);
            let error = hall.expect(sender, "error");
            assert!(
                codes.contains(&error["code"].as_str().expect("a code")),
                "{error}"
            );
            hall.expect_nothing(sender);
        };
        let unexpected = &["transfer_unexpected"][..];
        refused(&mut hall, 0, &file[..100], unexpected);
        let mut sink = Sink::accept(&mut hall, other, 3_000);
        source.hear(&mut hall);
        assert_eq!(source.wanted, [(0, 3_000)]);
        // In front of what is due, over its end, nothing, too much at once.
        refused(&mut hall, 1, &file[1..100], unexpected);
        refused(&mut hall, 2_048, &file[2_048..2_100], unexpected);
        refused(&mut hall, u64::MAX >> 11, b"x", unexpected);
        refused(
            &mut hall,
            0,
            &file[..2_049],
            &["too_large", "transfer_unexpected", "transfer_limit"],
        );
        refused(&mut hall, 0, &[], &["transfer_unexpected", "bad_message"]);
        source.send(&mut hall, 2_000);
        refused(&mut hall, 0, &file[..100], unexpected);
        refused(&mut hall, 2_000, &file[2_000..3_001], unexpected);
        // A receiver sends nothing.
        hall.chunk(other, id, 2_000, &file[2_000..3_000]);
        sink.hear_but_errors(&mut hall);
        assert_eq!(sink.at(), 2_000);
        // And the transfer goes on.
        finish(&mut hall, &mut source, &mut [&mut sink], 1_000);
        assert_complete(&source, &[&mut sink], 0);
        hall.close_all();
    }
}

// covers A6-02
#[test]
fn credit_beyond_what_was_sent() {
    for dialect in BOTH {
        let mut hall = Hall::new(prompt());
        let sender = hall.member(Dialect::Json, "tea");
        let other = hall.member(dialect, "tea");
        let start = to_room("one", "tea", 20_000);
        let mut source = Source::start(&mut hall, sender, &start, file_of(20_000));
        let mut sink = Sink::accept(&mut hall, other, 1_000);
        source.hear(&mut hall);
        source.send(&mut hall, 500);
        sink.hear(&mut hall);
        hall.credit(other, sink.transfer, 501, 1_000);
        assert_eq!(hall.expect(other, "error")["code"], "transfer_unexpected");
        // It is not taken for an acknowledgement, and the transfer goes on.
        finish(&mut hall, &mut source, &mut [&mut sink], 1_000);
        assert_complete(&source, &[&mut sink], 0);
        hall.close_all();
    }
}

// covers A6-03
#[test]
fn complete_before_the_end() {
    for dialect in BOTH {
        let mut hall = Hall::new(prompt());
        let sender = hall.member(Dialect::Json, "tea");
        let other = hall.member(dialect, "tea");
        let start = to_room("one", "tea", 20_000);
        let mut source = Source::start(&mut hall, sender, &start, file_of(20_000));
        let mut sink = Sink::accept(&mut hall, other, 1_000);
        source.hear(&mut hall);
        source.send(&mut hall, 500);
        sink.hear(&mut hall);
        let complete = json!({"type": "file_complete", "transfer": sink.transfer});
        assert_eq!(hall.refused(other, &complete), "transfer_unexpected");
        finish(&mut hall, &mut source, &mut [&mut sink], 1_000);
        assert_complete(&source, &[&mut sink], 0);
        hall.close_all();
    }
}

// covers A6-01, A1-16
#[test]
fn what_is_no_message_about_a_file() {
    let mut hall = Hall::new(prompt());
    let ada = hall.member(Dialect::Json, "tea");
    let good = to_room("one", "tea", 5);
    for (field, value) in [
        ("size", json!(-1)),
        ("size", json!(1.5)),
        ("size", json!("5")),
        ("name", json!(7)),
        ("mimeType", json!({})),
        ("hash", json!("sha256:12")),
        ("hash", json!(format!("md5:{}", "0".repeat(64)))),
        ("hash", json!(format!("sha256:{}", "A".repeat(64)))),
        ("transferId", json!([])),
        ("transferSecret", json!(9)),
        ("room", json!(1)),
    ] {
        let mut start = good.clone();
        start[field] = value;
        assert_eq!(hall.refused(ada, &start), "bad_message", "{start}");
    }
    for message in [
        json!({"type": "file_credit", "transfer": 1}),
        json!({"type": "file_credit", "transfer": 1, "offset": 0, "window": -1}),
        json!({"type": "file_credit", "offset": 0, "window": 1}),
        json!({"type": "file_chunk", "transfer": 1, "offset": 0, "data": "AAAA"}),
        json!({"type": "file_chunk", "transfer": 1, "offset": 0, "data": "%", "encoding": "base64"}),
        json!({"type": "file_complete"}),
        json!({"type": "file_abort", "transfer": "one"}),
    ] {
        assert_eq!(hall.refused(ada, &message), "bad_message", "{message}");
    }
    hall.assert_no_transfers();
}

// covers A1-16
#[test]
fn every_request_has_its_outcome() {
    let mut hall = Hall::new(prompt());
    let sender = hall.member(Dialect::Json, "tea");
    let other = hall.member(Dialect::Json, "tea");
    let file = file_of(600);
    let id = transfer(&hall.start(sender, &to_room("one", "tea", 600)));
    // In JSON whatever has an `id` has one; also on the way to another shard and back.
    hall.done(
        other,
        &json!({"type": "file_credit", "transfer": id, "offset": 0, "window": 600}),
    );
    let wanted = hall.expect(sender, "file_wanted");
    assert_eq!(number(&wanted, "length"), 600);
    hall.done(sender, &super::hall::chunk(id, 0, &file));
    hall.done(
        sender,
        &json!({"type": "file_end", "transferId": "one", "hash": sha256(&file)}),
    );
    hall.done(
        other,
        &json!({"type": "file_credit", "transfer": id, "offset": 600, "window": 600}),
    );
    hall.done(other, &json!({"type": "file_complete", "transfer": id}));
    hall.expect(sender, "file_completed");
    hall.expect_nothing(sender);
}

// covers A6-07
#[test]
fn beginning_files_is_rate_limited_like_messages() {
    let mut hall = Hall::new(Config::default());
    let sender = hall.member(Dialect::Json, "tea");
    let mut refused = false;
    for count in 0..120 {
        let outcome = hall.ask(sender, &to_room("one", "tea", 5));
        refused |= outcome["code"] == "rate_limited";
        if refused {
            assert!(count >= 40, "{count}");
            break;
        }
        let outcome = hall.ask(sender, &json!({"type": "file_abort", "transferId": "one"}));
        refused |= outcome["code"] == "rate_limited";
        if refused {
            break;
        }
    }
    assert!(refused);
}

// covers A6-02
#[test]
fn small_windows_are_slow_and_not_stuck() {
    for windows in [
        &[1][..],
        &[100],
        &[1_000],
        &[1_024],
        &[5_000, 3_000, 500],
        &[4_000, 1],
    ] {
        let mut hall = Hall::new(prompt());
        let sender = hall.member(Dialect::Binary, "tea");
        let other = hall.member(Dialect::Binary, "tea");
        let size = if windows[0] == 1 { 20 } else { 20_000 };
        let mut source = Source::start(
            &mut hall,
            sender,
            &to_room("one", "tea", size),
            file_of(size),
        );
        let mut sink = Sink::accept(&mut hall, other, windows[0]);
        sink.every = u32::MAX;
        for turn in 0.. {
            source.step(&mut hall);
            sink.step(&mut hall);
            if source.outcome.is_some() {
                break;
            }
            sink.window = windows[turn % windows.len()];
            if sink.outcome.is_none() {
                sink.give_credit(&mut hall);
            }
            assert!(turn < 30_000, "{windows:?}: {} of {size}", sink.at());
        }
        assert_complete(&source, &[&mut sink], 0);
    }
}
