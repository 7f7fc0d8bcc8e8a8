//! Ends that go, and come back or not.

use roomwire_core::ShardId;
use serde_json::json;

use super::ends::{Sink, Source, assert_complete, finish, run};
use super::hall::{BOTH, Dialect, Hall, file_of, to_client, to_room};
use super::{prompt, with};

// covers A6-08
#[test]
fn a_sender_comes_back_with_the_secret_and_goes_on() {
    for dialect in BOTH {
        for elsewhere in [false, true] {
            let mut hall = Hall::new(prompt());
            let sender = hall.member(dialect, "tea");
            let others = BOTH.map(|dialect| hall.member(dialect, "tea"));
            let file = file_of(300_000);
            let start = to_room("one", "tea", file.len());
            let mut source = Source::start(&mut hall, sender, &start, file);
            let [mut a, mut b] = others.map(|other| Sink::accept(&mut hall, other, 60_000));
            source.hear(&mut hall);
            assert!(source.send(&mut hall, 10_000));
            a.step(&mut hall);
            b.step(&mut hall);
            let had = a.at();
            assert!(had > 0);
            hall.world.reset(sender);
            hall.world.advance_ms(20_000);
            hall.expect_nothing(others[0]);
            let back = if elsewhere {
                hall.client_elsewhere(sender, dialect)
            } else {
                hall.client(dialect)
            };
            hall.join(back, "tea");
            let offset = source.resume(&mut hall, back, &start);
            assert!(offset <= had, "{offset}");
            finish(&mut hall, &mut source, &mut [&mut a, &mut b], 5_000);
            assert_complete(&source, &[&mut a, &mut b], 0);
            assert!(source.sent_bytes <= 310_000, "{}", source.sent_bytes);
            hall.close_all();
        }
    }
}

// covers A6-08
#[test]
fn the_offset_is_up_to_where_all_have_it() {
    let mut hall = Hall::new(prompt());
    let sender = hall.member(Dialect::Json, "tea");
    let others = BOTH.map(|dialect| hall.member(dialect, "tea"));
    let file = file_of(10_000);
    let start = to_room("one", "tea", file.len());
    let mut source = Source::start(&mut hall, sender, &start, file);
    let [mut a, mut b] = others.map(|other| Sink::accept(&mut hall, other, 2_000));
    run(&mut hall, &mut source, &mut [&mut a]);
    b.hear(&mut hall);
    // One has told that it has 1,500, the other less.
    assert!(b.at() >= 1_500);
    b.have.truncate(1_500);
    hall.credit(b.peer, b.transfer, 1_500, 2_000);
    hall.world.reset(sender);
    let back = hall.member(Dialect::Binary, "tea");
    let offset = source.resume(&mut hall, back, &start);
    assert!(offset <= 1_500 && offset > 0, "{offset}");
}

// covers A6-08
#[test]
fn the_wrong_secret_opens_nothing() {
    let mut hall = Hall::new(prompt());
    let sender = hall.member(Dialect::Json, "tea");
    let other = hall.member(Dialect::Json, "tea");
    let thief = hall.member(Dialect::Binary, "tea");
    let start = to_room("one", "tea", 50_000);
    let source = Source::start(&mut hall, sender, &start, file_of(50_000));
    let mut sink = Sink::accept(&mut hall, other, 60_000);
    hall.forget();
    let mut wrong = source.secret.clone().into_bytes();
    let last = wrong.last_mut().expect("not empty");
    *last = if *last == b'A' { b'B' } else { b'A' };
    let wrong = String::from_utf8(wrong).expect("ASCII");
    let forged = [
        wrong,
        "x".into(),
        "....".into(),
        "\u{1F375}".into(),
        "9".repeat(200),
    ];
    for secret in forged {
        for peer in [thief, other] {
            let mut resume = start.clone();
            resume["transferSecret"] = secret.clone().into();
            assert_eq!(hall.refused(peer, &resume), "transfer_unknown", "{secret}");
        }
    }
    // Nor does anybody else send for it, or give it up in its sender's place.
    hall.chunk(thief, source.transfer, 0, b"forged");
    hall.expect(thief, "error");
    hall.refused(thief, &source.end_message());
    sink.hear(&mut hall);
    assert_eq!(sink.at(), 0);
}

// covers A6-08
#[test]
fn a_second_connection_takes_over() {
    for dialect in BOTH {
        let mut hall = Hall::new(prompt());
        let sender = hall.member(dialect, "tea");
        let other = hall.member(Dialect::Binary, "tea");
        let start = to_room("one", "tea", 200_000);
        let mut source = Source::start(&mut hall, sender, &start, file_of(200_000));
        let mut sink = Sink::accept(&mut hall, other, 60_000);
        source.hear(&mut hall);
        source.send(&mut hall, 1_000);
        sink.step(&mut hall);
        let second = hall.client_elsewhere(sender, dialect);
        hall.join(second, "tea");
        hall.all(second);
        source.resume(&mut hall, second, &start);
        // The first one is told, and sends for nothing from now on: what it was asked for was on its way.
        assert_eq!(hall.expect(sender, "file_error")["code"], "transfer_lost");
        hall.chunk(sender, source.transfer, 1_000, b"late");
        hall.expect_nothing(sender);
        assert_eq!(
            hall.refused(sender, &source.end_message()),
            "transfer_unknown"
        );
        finish(&mut hall, &mut source, &mut [&mut sink], 5_000);
        assert_complete(&source, &[&mut sink], 0);
        hall.expect_nothing(sender);
        hall.close_all();
    }
}

// covers A6-04, A6-08
#[test]
fn a_sender_that_does_not_come_back_is_lost() {
    for accepted in [false, true] {
        let mut hall = Hall::new(prompt());
        let sender = hall.member(Dialect::Json, "tea");
        let others = BOTH.map(|dialect| hall.member(dialect, "tea"));
        let start = to_room("one", "tea", 50_000);
        let mut source = Source::start(&mut hall, sender, &start, file_of(50_000));
        let mut sinks = Vec::new();
        if accepted {
            for other in others {
                sinks.push(Sink::accept(&mut hall, other, 1_000));
            }
        }
        source.hear(&mut hall);
        hall.world.reset(sender);
        hall.world.advance_ms(29_900);
        for sink in &mut sinks {
            sink.hear(&mut hall);
            assert_eq!(sink.outcome, None);
        }
        hall.world.advance_ms(200);
        for sink in &mut sinks {
            sink.hear(&mut hall);
            let outcome = sink.outcome.as_ref().expect("an outcome");
            assert_eq!(
                (&outcome["type"], &outcome["code"]),
                (&json!("file_error"), &json!("transfer_lost"))
            );
        }
        hall.assert_no_transfers();
        let back = hall.member(Dialect::Binary, "tea");
        let mut resume = start.clone();
        resume["transferSecret"] = source.secret.clone().into();
        assert_eq!(hall.refused(back, &resume), "transfer_unknown");
        hall.close_all();
    }
}

// covers A6-08
#[test]
fn a_receiver_comes_back_with_what_it_has() {
    for dialect in BOTH {
        let mut hall = Hall::new(prompt());
        let sender = hall.member(Dialect::Binary, "tea");
        let others = BOTH.map(|dialect| hall.member(dialect, "tea"));
        let file = file_of(900_000);
        let start = to_room("one", "tea", file.len());
        let mut source = Source::start(&mut hall, sender, &start, file);
        let [mut a, mut b] = others.map(|other| Sink::accept(&mut hall, other, 100_000));
        for _ in 0..2 {
            source.step(&mut hall);
            a.step(&mut hall);
            b.step(&mut hall);
        }
        assert!(b.at() > 0 && b.at() < 900_000, "{}", b.at());
        hall.world.reset(b.peer);
        for _ in 0..2 {
            source.step(&mut hall);
            a.step(&mut hall);
        }
        let back = hall.member(dialect, "tea");
        let had = core::mem::take(&mut b.have);
        let mut c = Sink::of(back, &hall.expect(back, "file_offered"), 100_000);
        c.have = had;
        c.give_credit(&mut hall);
        finish(&mut hall, &mut source, &mut [&mut a, &mut c], 5_000);
        // The connection that is gone counts as one that has failed.
        assert_complete(&source, &[&mut a, &mut c], 1);
        hall.close_all();
    }
}

// covers A6-02, A6-08
#[test]
fn who_claims_more_than_has_passed_is_taken_back() {
    let mut hall = Hall::new(prompt());
    let sender = hall.member(Dialect::Binary, "tea");
    let other = hall.member(Dialect::Binary, "tea");
    let file = file_of(100_000);
    let start = to_room("one", "tea", file.len());
    let mut source = Source::start(&mut hall, sender, &start, file);
    let offered = hall.expect(other, "file_offered");
    let mut sink = Sink::of(other, &offered, 50_000);
    hall.credit(other, source.transfer, 70_000, 50_000);
    finish(&mut hall, &mut source, &mut [&mut sink], 5_000);
    assert_complete(&source, &[&mut sink], 0);
}

// covers A6-04
#[test]
fn a_receiver_that_is_gone_holds_nobody_up() {
    for how in 0..3 {
        let mut hall = Hall::new(prompt());
        let sender = hall.member(Dialect::Json, "tea");
        let others = BOTH.map(|dialect| hall.member(dialect, "tea"));
        let start = to_room("one", "tea", 100_000);
        let mut source = Source::start(&mut hall, sender, &start, file_of(100_000));
        let [gone, mut sink] = others.map(|other| Sink::accept(&mut hall, other, 10_000));
        source.hear(&mut hall);
        source.send(&mut hall, 1_000);
        sink.hear(&mut hall);
        match how {
            0 => hall.world.reset(gone.peer),
            1 => {
                hall.ask(gone.peer, &json!({"type": "leave", "room": "tea"}));
            }
            _ => hall.kick(gone.peer, "tea"),
        }
        finish(&mut hall, &mut source, &mut [&mut sink], 5_000);
        assert_complete(&source, &[&mut sink], 1);
        if how > 0 {
            // It is told that it gets no more.
            let heard = hall.all(gone.peer);
            let told = heard
                .iter()
                .filter(|m| m["type"] == "file_error" || m["type"] == "file_abort");
            assert_eq!(told.count(), 1, "{heard:?}");
        }
        hall.close_all();
    }
}

// covers A6-04
#[test]
fn without_any_receiver_left_it_fails_in_time() {
    for single in [false, true] {
        let mut hall = Hall::new(prompt());
        let sender = hall.member(Dialect::Json, "tea");
        let other = hall.member(Dialect::Binary, "tea");
        let start = if single {
            to_client("one", hall.id(other), 100_000)
        } else {
            to_room("one", "tea", 100_000)
        };
        let mut source = Source::start(&mut hall, sender, &start, file_of(100_000));
        let mut sink = Sink::accept(&mut hall, other, 10_000);
        run(&mut hall, &mut source, &mut []);
        sink.hear(&mut hall);
        hall.world.reset(other);
        hall.world.advance_ms(61_000);
        source.hear(&mut hall);
        let outcome = source.outcome.as_ref().expect("an outcome");
        assert!(
            ["file_error", "file_abort"].contains(&outcome["type"].as_str().expect("a type")),
            "{outcome}"
        );
        hall.close_all();
    }
}

// covers A6-05
#[test]
fn a_sender_that_leaves_the_room_sends_nothing_more_there() {
    for kicked in [false, true] {
        let mut hall = Hall::new(prompt());
        let sender = hall.member(Dialect::Json, "tea");
        let other = hall.member(Dialect::Binary, "tea");
        let start = to_room("one", "tea", 100_000);
        let mut source = Source::start(&mut hall, sender, &start, file_of(100_000));
        let mut sink = Sink::accept(&mut hall, other, 10_000);
        source.hear(&mut hall);
        if kicked {
            hall.kick(sender, "tea");
        } else {
            hall.ask(sender, &json!({"type": "leave", "room": "tea"}));
        }
        // Same authorisation as messages: whoever is out is out.
        hall.world.advance_ms(31_000);
        sink.hear(&mut hall);
        assert!(sink.outcome.is_some());
        let heard = hall.all(sender);
        let ends = heard.iter().filter(|m| {
            ["file_error", "file_abort"]
                .iter()
                .any(|kind| m["type"] == *kind)
        });
        assert_eq!(ends.count(), 1, "{heard:?}");
        hall.assert_no_transfers();
        hall.close_all();
    }
}

// covers A6-04
#[test]
fn when_a_shard_fails_both_ends_are_told() {
    let mut hall = Hall::new(prompt());
    if hall.shards() < 2 {
        return;
    }
    let sender = hall.member(Dialect::Json, "tea");
    let here = hall.world.shard(sender);
    let other = hall.client_elsewhere(sender, Dialect::Binary);
    hall.join(other, "tea");
    let there = hall.world.shard(other);
    let third = ShardId(
        (0..3)
            .find(|&n| ShardId(n) != here && ShardId(n) != there)
            .expect("a third"),
    );
    // The receivers' shard; then the sender's.
    let start = to_room("one", "tea", 100_000);
    for failing in [there, third, here] {
        let peers = [sender, other].map(|peer| {
            if hall.world.ending(peer).is_none() {
                return peer;
            }
            loop {
                let peer_again = hall.client(Dialect::Binary);
                if hall.world.shard(peer_again) == hall.world.shard(peer) {
                    hall.join(peer_again, "tea");
                    return peer_again;
                }
            }
        });
        hall.forget();
        let mut source = Source::start(&mut hall, peers[0], &start, file_of(100_000));
        let offered = hall.expect(peers[1], "file_offered");
        let mut sink = Sink::accept_this(&mut hall, peers[1], &offered, 10_000);
        source.hear(&mut hall);
        source.send(&mut hall, 1_000);
        sink.hear(&mut hall);
        hall.restart(failing);
        // Neither end waits for longer than it does for one that is silent; who is not concerned goes on.
        for _ in 0..140 {
            hall.world.advance_ms(1_000);
            if hall.world.ending(peers[0]).is_none() && source.outcome.is_none() {
                source.step(&mut hall);
            }
            if hall.world.ending(peers[1]).is_none() {
                sink.step(&mut hall);
            }
        }
        if hall.world.ending(peers[0]).is_none() {
            assert!(source.outcome.is_some(), "{failing:?}");
        }
        if hall.world.ending(peers[1]).is_none() {
            assert!(sink.outcome.is_some(), "{failing:?}");
        }
        hall.forget();
    }
    // Statistics of a shard that has failed are gone with it; memory must be, too.
    for server in hall.world.machine().servers() {
        let stats = server.stats();
        assert!(server.memory().files < 16 * 1024, "{stats:?}");
    }
}

// covers A6-08
#[test]
fn who_comes_back_in_time_ends_the_waiting() {
    let mut hall = Hall::new(with(|config| config.files.resume_ms = 1_000));
    let sender = hall.member(Dialect::Json, "tea");
    let other = hall.member(Dialect::Json, "tea");
    let start = to_room("one", "tea", 30_000);
    let mut source = Source::start(&mut hall, sender, &start, file_of(30_000));
    let mut sink = Sink::accept(&mut hall, other, 10_000);
    source.hear(&mut hall);
    let mut peer = sender;
    for _ in 0..4 {
        hall.world.reset(peer);
        hall.world.advance_ms(700);
        peer = hall.member(Dialect::Json, "tea");
        source.resume(&mut hall, peer, &start);
        source.hear(&mut hall);
        source.send(&mut hall, 1_000);
        sink.step(&mut hall);
    }
    finish(&mut hall, &mut source, &mut [&mut sink], 5_000);
    assert_complete(&source, &[&mut sink], 0);
}
