//! A file from its beginning to its end.

use roomwire_core::Config;
use serde_json::{Value, json};

use super::ends::{Sink, Source, assert_complete, finish, run};
use super::hall::{BOTH, Dialect, Hall, file_of, number, sha256, to_client, to_room, transfer};
use super::{prompt, with};

// covers A6-01, A6-05
#[test]
fn a_file_is_accepted_and_offered_to_the_others_in_the_room() {
    for dialect in BOTH {
        let mut hall = Hall::new(prompt());
        let sender = hall.member(dialect, "tea");
        let others = BOTH.map(|dialect| hall.member(dialect, "tea"));
        let stranger = hall.member(Dialect::Json, "coffee");
        let mut start = to_room("one", "tea", 5);
        start["hash"] = sha256(b"hello").into();
        let accepted = hall.start(sender, &start);
        assert_eq!(accepted["offset"], 0);
        assert_eq!(accepted["chunkBytes"], 65_536);
        let secret = accepted["transferSecret"].as_str().expect("a secret");
        assert!(secret.len() >= 20, "{secret} cannot be guessed");
        let expected = json!({
            "type": "file_offered", "transfer": accepted["transfer"], "from": hall.id(sender), "room": "tea",
            "name": "a.bin", "size": 5, "mimeType": "application/octet-stream", "hash": sha256(b"hello"),
            "maxWindow": 1_048_576,
        });
        for other in others {
            assert_eq!(hall.expect(other, "file_offered"), expected);
            hall.expect_nothing(other);
        }
        hall.expect_nothing(stranger);
        // Not a byte moves before somebody takes it.
        hall.world.advance_ms(10_000);
        hall.expect_nothing(sender);
        hall.close_all();
    }
}

// covers A6-02, A6-03
#[test]
fn every_byte_reaches_members_of_both_dialects() {
    for dialect in BOTH {
        for size in [1, 65_535, 65_536, 65_537, 1_000_003] {
            let mut hall = Hall::new(prompt());
            let sender = hall.member(dialect, "tea");
            let others = [Dialect::Json, Dialect::Binary, Dialect::Binary]
                .map(|dialect| hall.member(dialect, "tea"));
            let start = to_room("one", "tea", size);
            let mut source = Source::start(&mut hall, sender, &start, file_of(size));
            let [mut a, mut b, mut c] = others.map(|other| Sink::accept(&mut hall, other, 200_000));
            let mut sinks = [&mut a, &mut b, &mut c];
            finish(&mut hall, &mut source, &mut sinks, 1_000);
            assert_complete(&source, &sinks, 0);
            assert_eq!(hall.world.stats().files_completed, 1);
            hall.close_all();
        }
    }
}

// covers A6-02
#[test]
fn those_who_accept_at_once_get_the_same_pieces() {
    let mut hall = Hall::new(crate::unlimited());
    let sender = hall.member(Dialect::Binary, "tea");
    let others = [(); 3].map(|()| hall.member(Dialect::Binary, "tea"));
    let size = 300_000;
    let mut source = Source::start(
        &mut hall,
        sender,
        &to_room("one", "tea", size),
        file_of(size),
    );
    let mut sinks = Vec::new();
    for other in others {
        sinks.push(Sink::accept(&mut hall, other, 100_000));
        hall.world.advance_ms(30);
        hall.expect_nothing(sender);
    }
    hall.world.advance_ms(10);
    let mut sinks: Vec<_> = sinks.iter_mut().collect();
    finish(&mut hall, &mut source, &mut sinks, 1_000);
    assert_complete(&source, &sinks, 0);
    assert_eq!(source.sent_bytes, size as u64, "each piece was sent once");
}

// covers A6-02
#[test]
fn an_empty_file_is_a_file() {
    for dialect in BOTH {
        let mut hall = Hall::new(prompt());
        let sender = hall.member(dialect, "tea");
        let other = hall.member(Dialect::Json, "tea");
        let mut source = Source::start(&mut hall, sender, &to_room("one", "tea", 0), Vec::new());
        let mut sink = Sink::accept(&mut hall, other, 1_000);
        finish(&mut hall, &mut source, &mut [&mut sink], 1_000);
        assert_complete(&source, &[&mut sink], 0);
        hall.close_all();
    }
}

// covers A6-05
#[test]
fn a_file_for_one_client_reaches_nobody_else() {
    for dialect in BOTH {
        let mut hall = Hall::new(prompt());
        let sender = hall.client(dialect);
        let other = hall.client_elsewhere(sender, dialect);
        let bystander = hall.member(Dialect::Json, "tea");
        let to = hall.id(other).to_owned();
        let start = to_client("one", &to, 70_000);
        let mut source = Source::start(&mut hall, sender, &start, file_of(70_000));
        let offered = hall.expect(other, "file_offered");
        assert_eq!(offered["room"], Value::Null);
        assert_eq!(offered["from"], hall.id(sender));
        let mut sink = Sink::accept_this(&mut hall, other, &offered, 20_000);
        finish(&mut hall, &mut source, &mut [&mut sink], 1_000);
        assert_complete(&source, &[&mut sink], 0);
        hall.expect_nothing(bystander);
        hall.close_all();
    }
}

// covers A6-02
#[test]
fn no_more_is_asked_for_than_receivers_have_room_for() {
    let mut hall = Hall::new(prompt());
    let sender = hall.member(Dialect::Json, "tea");
    let other = hall.member(Dialect::Binary, "tea");
    let file = file_of(100_000);
    let id = transfer(&hall.start(sender, &to_room("one", "tea", file.len())));
    hall.expect(other, "file_offered");
    hall.credit(other, id, 0, 10_000);
    let wanted = hall.expect(sender, "file_wanted");
    assert_eq!(
        (number(&wanted, "offset"), number(&wanted, "length")),
        (0, 10_000)
    );
    hall.chunk(sender, id, 0, &file[..6_000]);
    assert_eq!(number(&hall.expect(other, "file_chunk"), "offset"), 0);
    hall.chunk(sender, id, 6_000, &file[6_000..10_000]);
    assert_eq!(number(&hall.expect(other, "file_chunk"), "offset"), 6_000);
    hall.world.advance_ms(1_000);
    let progress = hall.expect(sender, "file_progress");
    assert_eq!(
        (&progress["acknowledged"], &progress["receivers"]),
        (&json!(0), &json!(1))
    );
    hall.expect_nothing(sender);
    // The window moves with what is acknowledged, and may also grow by itself.
    hall.credit(other, id, 5_000, 10_000);
    let wanted = hall.expect(sender, "file_wanted");
    assert_eq!(
        (number(&wanted, "offset"), number(&wanted, "length")),
        (10_000, 5_000)
    );
    hall.credit(other, id, 5_000, 30_000);
    let wanted = hall.expect(sender, "file_wanted");
    assert_eq!(
        (number(&wanted, "offset"), number(&wanted, "length")),
        (15_000, 20_000)
    );
    hall.expect_nothing(sender);
}

// covers A6-02, A6-07
#[test]
fn a_window_and_what_is_asked_for_are_bounded() {
    let mut hall = Hall::new(with(|config| {
        config.files.max_window_bytes = 150_000;
        config.files.request_bytes = 65_536;
        config.files.max_requested_bytes = 100_000;
    }));
    let sender = hall.member(Dialect::Json, "tea");
    let other = hall.member(Dialect::Binary, "tea");
    let file = file_of(1_000_000);
    let id = transfer(&hall.start(sender, &to_room("one", "tea", file.len())));
    let offered = hall.expect(other, "file_offered");
    assert_eq!(offered["maxWindow"], 150_000);
    hall.credit(other, id, 0, u32::MAX);
    let mut sent = 0;
    let mut open = 0;
    while let Some(wanted) = hall.next(sender) {
        if wanted["type"] == "file_progress" {
            continue;
        }
        let (offset, length) = (number(&wanted, "offset"), number(&wanted, "length"));
        assert!(length <= 65_536);
        assert_eq!(offset, sent);
        open += length;
        assert!(open <= 100_000);
        if open + 65_536 > 100_000 || hall.world.stats().file_bytes > 0 {
            let (from, to) = (sent as usize, (sent + length) as usize);
            for start in (from..to).step_by(30_000) {
                hall.chunk(
                    sender,
                    id,
                    start as u64,
                    &file[start..to.min(start + 30_000)],
                );
            }
            open -= length;
        }
        sent += length;
    }
    let passed: u64 = hall
        .all(other)
        .iter()
        .map(|m| super::hall::data(m).len() as u64)
        .sum();
    assert!(passed <= 150_000, "{passed}");
}

// covers A6-03
#[test]
fn what_is_not_what_it_should_be_is_corrupt_to_both_ends() {
    let file = file_of(3_000);
    let wrong = sha256(b"something else");
    for dialect in BOTH {
        for (announced, end) in [
            (None, json!({"size": 2_999})),
            (None, json!({"size": 3_001, "hash": sha256(&file)})),
            (None, json!({"hash": wrong.clone()})),
            (None, json!({"size": 3_000, "hash": wrong.clone()})),
            (Some(wrong.clone()), json!({})),
            (Some(wrong.clone()), json!({"hash": sha256(&file)})),
        ] {
            let mut hall = Hall::new(prompt());
            let sender = hall.member(dialect, "tea");
            let others = BOTH.map(|dialect| hall.member(dialect, "tea"));
            let mut start = to_room("one", "tea", file.len());
            if let Some(hash) = announced {
                start["hash"] = hash.into();
            }
            let mut source = Source::start(&mut hall, sender, &start, file.clone());
            source.said_end = true;
            let [mut a, mut b] = others.map(|other| Sink::accept(&mut hall, other, 5_000));
            run(&mut hall, &mut source, &mut [&mut a, &mut b]);
            let mut end = end.clone();
            end["type"] = "file_end".into();
            end["transfer"] = source.transfer.into();
            // The outcome of the request is one thing, that of the transfer another.
            assert_eq!(hall.refused(sender, &end), "transfer_corrupt");
            source.hear(&mut hall);
            a.hear(&mut hall);
            b.hear(&mut hall);
            for outcome in [&source.outcome, &a.outcome, &b.outcome] {
                let outcome = outcome.as_ref().expect("an outcome");
                assert_eq!(outcome["type"], "file_error", "{end}");
                assert_eq!(outcome["code"], "transfer_corrupt");
            }
            hall.assert_no_transfers();
            hall.close_all();
        }
    }
}

// covers A6-03
#[test]
fn the_end_that_comes_too_early_does_not_pass_for_one() {
    let mut hall = Hall::new(prompt());
    let sender = hall.member(Dialect::Json, "tea");
    let other = hall.member(Dialect::Json, "tea");
    let mut source = Source::start(
        &mut hall,
        sender,
        &to_room("one", "tea", 10_000),
        file_of(10_000),
    );
    let mut sink = Sink::accept(&mut hall, other, 4_000);
    source.hear(&mut hall);
    source.send(&mut hall, 4_000);
    let end = source.end_message();
    let outcome = hall.ask(sender, &end);
    sink.hear(&mut hall);
    assert_ne!(
        sink.outcome.as_ref().map(|o| &o["type"]),
        Some(&json!("file_end")),
        "{outcome}"
    );
}

// covers A6-02, A6-03
#[test]
fn the_last_receiver_to_complete_completes_the_transfer() {
    let mut hall = Hall::new(prompt());
    let sender = hall.member(Dialect::Binary, "tea");
    let others = BOTH.map(|dialect| hall.member(dialect, "tea"));
    let mut source = Source::start(
        &mut hall,
        sender,
        &to_room("one", "tea", 9_000),
        file_of(9_000),
    );
    let [mut a, mut b] = others.map(|other| Sink::accept(&mut hall, other, 10_000));
    b.complete = true; // It takes its time with the hash.
    run(&mut hall, &mut source, &mut [&mut a, &mut b]);
    assert!(a.complete && b.have == source.file);
    assert_eq!(source.outcome, None);
    hall.world.advance_ms(600);
    source.hear(&mut hall);
    let progress = source.progress.last().expect("progress");
    assert_eq!(
        (number(progress, "completed"), number(progress, "failed")),
        (1, 0)
    );
    hall.done(
        b.peer,
        &json!({"type": "file_complete", "transfer": source.transfer}),
    );
    source.hear(&mut hall);
    assert_complete(&source, &[&mut a, &mut b], 0);
    // And nothing follows.
    hall.world.advance_ms(300_000);
    hall.assert_no_transfers();
    for peer in [sender, a.peer, b.peer] {
        hall.expect_nothing(peer);
    }
}

// covers A6-02
#[test]
fn progress_is_told_now_and_then() {
    let mut hall = Hall::new(prompt());
    let sender = hall.member(Dialect::Binary, "tea");
    let other = hall.member(Dialect::Binary, "tea");
    let file = file_of(1_000_000);
    let mut source = Source::start(&mut hall, sender, &to_room("one", "tea", file.len()), file);
    let mut sink = Sink::accept(&mut hall, other, 10_000);
    for _ in 0..20 {
        source.hear(&mut hall);
        while source.send(&mut hall, usize::MAX) {}
        sink.step(&mut hall);
        hall.world.advance_ms(100);
    }
    source.hear(&mut hall);
    let count = source.progress.len();
    assert!((3..=5).contains(&count), "{count} in two seconds");
    let acknowledged: Vec<u64> = source
        .progress
        .iter()
        .map(|p| number(p, "acknowledged"))
        .collect();
    assert!(acknowledged.is_sorted() && acknowledged[0] < acknowledged[count - 1]);
    assert!(acknowledged.iter().all(|&at| at <= sink.at()));
    for progress in &source.progress {
        let counts = ["receivers", "completed", "failed"].map(|key| number(progress, key));
        assert_eq!(counts, [1, 0, 0]);
    }
    // Where nothing moves, nothing is told.
    source.progress.clear();
    hall.world.advance_ms(600);
    source.hear(&mut hall);
    source.progress.clear();
    hall.world.advance_ms(5_000);
    source.hear(&mut hall);
    assert_eq!(source.progress, [] as [Value; 0]);
}

// covers A6-04, A6-08
#[test]
fn the_sender_gives_it_up() {
    for dialect in BOTH {
        for accepted in [false, true] {
            let mut hall = Hall::new(prompt());
            let sender = hall.member(dialect, "tea");
            let others = BOTH.map(|dialect| hall.member(dialect, "tea"));
            let start = to_room("one", "tea", 5_000);
            let mut source = Source::start(&mut hall, sender, &start, file_of(5_000));
            let mut sinks = Vec::new();
            for other in others {
                let offered = hall.expect(other, "file_offered");
                if accepted {
                    sinks.push(Sink::accept_this(&mut hall, other, &offered, 1_000));
                }
            }
            source.hear(&mut hall);
            let abort = json!({"type": "file_abort", "transfer": source.transfer, "reason": "the \"wrong\" one"});
            hall.done(sender, &abort);
            let expected = json!({
                "type": "file_abort", "transfer": source.transfer, "reason": "the \"wrong\" one",
            });
            for sink in &mut sinks {
                sink.hear(&mut hall);
                assert_eq!(sink.outcome.as_ref(), Some(&expected));
            }
            hall.assert_no_transfers();
            // It is over: nobody can go on with it.
            assert_eq!(hall.refused(sender, &abort), "transfer_unknown");
            for other in others {
                hall.all(other);
                hall.credit(other, source.transfer, 0, 1_000);
                assert_eq!(hall.expect(other, "error")["code"], "transfer_unknown");
            }
            hall.world.advance_ms(1_000);
            hall.expect_nothing(sender);
            hall.close_all();
        }
    }
}

// covers A6-04, A6-08
#[test]
fn a_receiver_gives_its_copy_up_and_the_others_go_on() {
    for dialect in BOTH {
        let mut hall = Hall::new(prompt());
        let sender = hall.member(Dialect::Json, "tea");
        let quitter = hall.member(dialect, "tea");
        let stayer = hall.member(Dialect::Binary, "tea");
        let start = to_room("one", "tea", 50_000);
        let mut source = Source::start(&mut hall, sender, &start, file_of(50_000));
        let mut gone = Sink::accept(&mut hall, quitter, 1_000);
        let mut sink = Sink::accept(&mut hall, stayer, 10_000);
        source.hear(&mut hall);
        source.send(&mut hall, 1_000);
        gone.hear(&mut hall);
        let abort = json!({"type": "file_abort", "transfer": source.transfer, "reason": "full"});
        hall.done(quitter, &abort);
        finish(&mut hall, &mut source, &mut [&mut sink], 5_000);
        assert_complete(&source, &[&mut sink], 1);
        hall.expect_nothing(quitter);
        hall.close_all();
    }
}

// covers A6-04
#[test]
fn when_its_only_receiver_gives_it_up_the_sender_is_told() {
    for dialect in BOTH {
        let mut hall = Hall::new(prompt());
        let sender = hall.client(dialect);
        let other = hall.client(Dialect::Binary);
        let to = hall.id(other).to_owned();
        let mut source = Source::start(
            &mut hall,
            sender,
            &to_client("one", &to, 50_000),
            file_of(50_000),
        );
        let sink = Sink::accept(&mut hall, other, 1_000);
        source.hear(&mut hall);
        let abort = json!({"type": "file_abort", "transfer": sink.transfer, "reason": "full"});
        hall.done(other, &abort);
        hall.world.advance_ms(70_000);
        source.hear(&mut hall);
        let outcome = source.outcome.expect("an outcome");
        assert_ne!(outcome["type"], "file_completed", "{outcome}");
        hall.close_all();
    }
}

// covers A6-05
#[test]
fn who_does_not_want_a_file_is_not_counted() {
    let mut hall = Hall::new(prompt());
    let sender = hall.member(Dialect::Json, "tea");
    let others = BOTH.map(|dialect| hall.member(dialect, "tea"));
    let mut source = Source::start(&mut hall, sender, &to_room("one", "tea", 500), file_of(500));
    let abort = json!({"type": "file_abort", "transfer": source.transfer});
    hall.expect(others[0], "file_offered");
    // There is nothing to give up, and nothing has to be said.
    assert_eq!(hall.refused(others[0], &abort), "transfer_unknown");
    let mut sink = Sink::accept(&mut hall, others[1], 1_000);
    finish(&mut hall, &mut source, &mut [&mut sink], 1_000);
    assert_complete(&source, &[&mut sink], 0);
    hall.expect_nothing(others[0]);
}

// covers A6-05
#[test]
fn those_who_join_later_are_offered_it_while_it_lasts() {
    let mut hall = Hall::new(prompt());
    let sender = hall.member(Dialect::Binary, "tea");
    let first = hall.member(Dialect::Json, "tea");
    let file = file_of(400_000);
    let start = to_room("one", "tea", file.len());
    let mut source = Source::start(&mut hall, sender, &start, file);
    let mut a = Sink::accept(&mut hall, first, 50_000);
    for _ in 0..3 {
        source.step(&mut hall);
        a.step(&mut hall);
    }
    assert!(a.at() > 0 && a.at() < 400_000, "{}", a.at());
    let late = hall.member(Dialect::Binary, "tea");
    let mut b = Sink::accept(&mut hall, late, 100_000);
    finish(&mut hall, &mut source, &mut [&mut a, &mut b], 10_000);
    assert_complete(&source, &[&mut a, &mut b], 0);
    assert!(source.sent_bytes > 400_000, "the beginning was sent twice");
    let last = hall.member(Dialect::Json, "tea");
    hall.expect_nothing(last);
    // Nor are members asked twice who leave and come back, of what is over.
    hall.ask(first, &json!({"type": "leave", "room": "tea"}));
    hall.join(first, "tea");
    hall.expect_nothing(first);
    hall.close_all();
}

// covers A6-02
#[test]
fn who_is_slow_gets_pieces_of_its_own_and_holds_nobody_up() {
    let mut hall = Hall::new(prompt());
    let sender = hall.member(Dialect::Binary, "tea");
    let others = [(); 3].map(|()| hall.member(Dialect::Binary, "tea"));
    let file = file_of(2_000_000);
    let start = to_room("one", "tea", file.len());
    let mut source = Source::start(&mut hall, sender, &start, file);
    let [mut a, mut b, mut slow] = others.map(|other| Sink::accept(&mut hall, other, 64 * 1_024));
    let mut passed_ms = 0;
    while !(a.complete && b.complete) {
        run(&mut hall, &mut source, &mut [&mut a, &mut b]);
        hall.world.advance_ms(100);
        passed_ms += 100;
        slow.hear(&mut hall);
        if passed_ms % 1_000 == 0 {
            // 32 KiB each second.
            let at = slow.at().min(slow.credited + 32 * 1_024);
            slow.credited = at;
            hall.credit(slow.peer, slow.transfer, at, slow.window);
        }
        assert!(passed_ms < 30_000, "{} {} {}", a.at(), b.at(), slow.at());
    }
    assert_eq!(source.outcome, None);
    assert!(slow.at() < 1_900_000, "{}", slow.at());
    slow.credited = slow.at().min(slow.credited);
    slow.every = 32 * 1_024;
    slow.give_credit(&mut hall);
    finish(
        &mut hall,
        &mut source,
        &mut [&mut a, &mut b, &mut slow],
        60_000,
    );
    assert_complete(&source, &[&mut a, &mut b, &mut slow], 0);
    hall.close_all();
}

// covers A6-02
#[test]
fn several_files_pass_side_by_side() {
    let mut hall = Hall::new(prompt());
    let peers = [Dialect::Json, Dialect::Binary, Dialect::Json].map(|d| hall.member(d, "tea"));
    let sizes = [100_000, 60_000, 30_000];
    // Everybody sends one, and everybody takes the others'; names are each sender's own.
    let mut ids = Vec::new();
    for (&peer, &size) in peers.iter().zip(&sizes) {
        ids.push(transfer(&hall.start(peer, &to_room("same", "tea", size))));
    }
    let files = sizes.map(file_of);
    let mut have = vec![vec![Vec::new(); 3]; 3];
    let mut completed = [0; 3];
    let mut busy = true;
    while busy {
        busy = false;
        for (me, &peer) in peers.iter().enumerate() {
            for heard in hall.all(peer) {
                busy = true;
                let id = transfer(&heard);
                let which = ids.iter().position(|&known| known == id).expect("known");
                match heard["type"].as_str().expect("a type") {
                    "file_offered" => hall.credit(peer, id, 0, 20_000),
                    "file_wanted" => {
                        let (from, length) = (number(&heard, "offset"), number(&heard, "length"));
                        let piece = &files[which][from as usize..(from + length) as usize];
                        hall.chunk(peer, id, from, piece);
                        if from + length == sizes[which] as u64 {
                            let end = json!({
                                "type": "file_end", "transfer": id, "hash": sha256(&files[which]),
                            });
                            hall.done(peer, &end);
                        }
                    }
                    "file_chunk" => {
                        let copy: &mut Vec<u8> = &mut have[me][which];
                        assert_eq!(copy.len() as u64, number(&heard, "offset"));
                        copy.extend(super::hall::data(&heard));
                        let at = copy.len() as u64;
                        hall.credit(peer, id, at, 20_000);
                    }
                    "file_end" => {
                        hall.done(peer, &json!({"type": "file_complete", "transfer": id}));
                    }
                    "file_completed" => {
                        assert_eq!(which, me);
                        completed[me] += number(&heard, "completed");
                    }
                    "file_progress" => {}
                    other => panic!("{other}"),
                }
            }
        }
    }
    assert_eq!(completed, [2; 3]);
    for (me, copies) in have.iter().enumerate() {
        for (which, copy) in copies.iter().enumerate() {
            assert!(which == me || *copy == files[which]);
        }
    }
    hall.close_all();
}

// covers A6-01, A6-02, A6-03
#[test]
fn a_sender_may_say_its_own_name_for_the_transfer() {
    let mut hall = Hall::new(prompt());
    let sender = hall.member(Dialect::Json, "tea");
    let other = hall.member(Dialect::Json, "tea");
    let mut source = Source::start(
        &mut hall,
        sender,
        &to_room("ein Name", "tea", 10),
        file_of(10),
    );
    source.said_end = true;
    let mut sink = Sink::accept(&mut hall, other, 1_000);
    run(&mut hall, &mut source, &mut [&mut sink]);
    hall.done(
        sender,
        &json!({"type": "file_end", "transferId": "ein Name", "name": "a.bin", "size": 10}),
    );
    run(&mut hall, &mut source, &mut [&mut sink]);
    assert_complete(&source, &[&mut sink], 0);
    // The name is free again, and an abort knows it, too.
    hall.start(sender, &to_room("ein Name", "tea", 10));
    hall.done(
        sender,
        &json!({"type": "file_abort", "transferId": "ein Name"}),
    );
    assert_eq!(
        hall.refused(
            other,
            &json!({"type": "file_abort", "transferId": "ein Name"})
        ),
        "transfer_unknown"
    );
}

// covers A6-02
#[test]
fn what_was_asked_for_does_not_count_as_too_many_messages() {
    for dialect in BOTH {
        let mut hall = Hall::new(Config::default());
        let sender = hall.member(dialect, "tea");
        let other = hall.member(dialect, "tea");
        let size = 3_000_000;
        let start = to_room("one", "tea", size);
        let mut source = Source::start(&mut hall, sender, &start, file_of(size));
        source.chunk_bytes = 8_192;
        let mut sink = Sink::accept(&mut hall, other, 16_384);
        finish(&mut hall, &mut source, &mut [&mut sink], 10_000);
        assert_complete(&source, &[&mut sink], 0);
    }
}
