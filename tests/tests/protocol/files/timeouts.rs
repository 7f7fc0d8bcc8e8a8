//! Nobody waits for ever.

use serde_json::json;

use super::ends::{Sink, Source, assert_complete, finish, run};
use super::hall::{BOTH, Dialect, Hall, file_of, to_room};
use super::with;

// covers A6-04
#[test]
fn a_file_that_nobody_wants() {
    for dialect in BOTH {
        let mut hall = Hall::new(with(|config| config.files.idle_ms = 5_000));
        let sender = hall.member(dialect, "tea");
        let other = hall.member(Dialect::Json, "tea");
        let start = to_room("one", "tea", 500);
        let mut source = Source::start(&mut hall, sender, &start, file_of(500));
        hall.expect(other, "file_offered");
        hall.world.advance_ms(4_900);
        hall.expect_nothing(sender);
        hall.world.advance_ms(200);
        source.hear(&mut hall);
        let outcome = source.outcome.as_ref().expect("an outcome");
        assert_eq!(
            (&outcome["type"], &outcome["code"]),
            (&json!("file_error"), &json!("transfer_timeout"))
        );
        hall.assert_no_transfers();
        hall.all(other);
        hall.credit(other, source.transfer, 0, 100);
        assert_eq!(hall.expect(other, "error")["code"], "transfer_unknown");
        hall.close_all();
    }
}

// covers A6-04
#[test]
fn a_sender_that_owes_a_piece() {
    let mut hall = Hall::new(with(|config| config.files.idle_ms = 5_000));
    let sender = hall.member(Dialect::Json, "tea");
    let others = BOTH.map(|dialect| hall.member(dialect, "tea"));
    let start = to_room("one", "tea", 5_000);
    let mut source = Source::start(&mut hall, sender, &start, file_of(5_000));
    let mut sinks = others.map(|other| Sink::accept(&mut hall, other, 10_000));
    source.hear(&mut hall);
    // A piece of it is a sign of life.
    hall.world.advance_ms(4_000);
    source.send(&mut hall, 1_000);
    hall.world.advance_ms(4_000);
    source.hear(&mut hall);
    assert_eq!(source.outcome, None);
    hall.world.advance_ms(2_000);
    source.hear(&mut hall);
    for outcome in [&source.outcome]
        .into_iter()
        .chain(sinks.each_mut().map(|sink| {
            sink.hear(&mut hall);
            &sink.outcome
        }))
    {
        let outcome = outcome.as_ref().expect("an outcome");
        assert_eq!(
            (&outcome["type"], &outcome["code"]),
            (&json!("file_error"), &json!("transfer_timeout"))
        );
    }
    hall.close_all();
}

// covers A6-04
#[test]
fn a_sender_that_does_not_say_that_it_is_at_the_end() {
    let mut hall = Hall::new(with(|config| config.files.idle_ms = 5_000));
    let sender = hall.member(Dialect::Json, "tea");
    let other = hall.member(Dialect::Binary, "tea");
    let start = to_room("one", "tea", 5_000);
    let mut source = Source::start(&mut hall, sender, &start, file_of(5_000));
    source.said_end = true;
    let mut sink = Sink::accept(&mut hall, other, 10_000);
    run(&mut hall, &mut source, &mut [&mut sink]);
    assert_eq!(sink.at(), 5_000);
    hall.world.advance_ms(5_500);
    source.hear(&mut hall);
    sink.hear(&mut hall);
    for outcome in [&source.outcome, &sink.outcome] {
        assert_eq!(
            outcome.as_ref().expect("an outcome")["code"],
            "transfer_timeout"
        );
    }
    hall.close_all();
}

// covers A6-04
#[test]
fn a_receiver_that_says_nothing_is_dropped_and_the_others_go_on() {
    let mut hall = Hall::new(with(|config| config.files.idle_ms = 5_000));
    let sender = hall.member(Dialect::Json, "tea");
    let others = BOTH.map(|dialect| hall.member(dialect, "tea"));
    let start = to_room("one", "tea", 200_000);
    let mut source = Source::start(&mut hall, sender, &start, file_of(200_000));
    let [mut silent, mut sink] = others.map(|other| Sink::accept(&mut hall, other, 10_000));
    let mut waited = 0;
    while silent.outcome.is_none() {
        source.step(&mut hall);
        sink.step(&mut hall);
        hall.world.advance_ms(500);
        silent.hear(&mut hall);
        waited += 500;
        assert!(waited < 20_000);
    }
    assert!(waited >= 5_000, "{waited}");
    let outcome = silent.outcome.as_ref().expect("an outcome");
    assert_eq!(
        (&outcome["type"], &outcome["code"]),
        (&json!("file_error"), &json!("transfer_timeout"))
    );
    finish(&mut hall, &mut source, &mut [&mut sink], 30_000);
    assert_complete(&source, &[&mut sink], 1);
    hall.close_all();
}

/// Two of three have no room and say nothing, so that they are waited for until they are dropped.
// covers A6-04
#[test]
fn who_waited_for_others_goes_on_once_they_are_dropped() {
    let mut hall = Hall::new(with(|config| {
        config.files.idle_ms = 5_000;
        config.files.gather_ms = 100;
    }));
    let sender = hall.member(Dialect::Json, "tea");
    let others = [Dialect::Json, Dialect::Binary, Dialect::Binary];
    let others = others.map(|dialect| hall.member(dialect, "tea"));
    let start = to_room("one", "tea", 200_000);
    let mut source = Source::start(&mut hall, sender, &start, file_of(200_000));
    let [mut first, mut second, mut sink] =
        others.map(|other| Sink::accept(&mut hall, other, 70_000));
    hall.world.advance_ms(100);
    run(&mut hall, &mut source, &mut [&mut sink]);
    assert_eq!(sink.at(), 70_000);
    // The sink has said all it has to: from here on it only waits.
    let mut waited = 0;
    while first.outcome.is_none() {
        hall.world.advance_ms(500);
        waited += 500;
        assert!(waited < 10_000);
        run(&mut hall, &mut source, &mut [&mut sink]);
        first.hear(&mut hall);
        second.hear(&mut hall);
    }
    for silent in [&first, &second] {
        let outcome = silent.outcome.as_ref().expect("an outcome");
        assert_eq!(outcome["code"], "transfer_timeout");
    }
    finish(&mut hall, &mut source, &mut [&mut sink], 1_000);
    assert_complete(&source, &[&mut sink], 2);
    hall.close_all();
}

// covers A6-04
#[test]
fn a_receiver_alone_that_says_nothing() {
    let mut hall = Hall::new(with(|config| config.files.idle_ms = 5_000));
    let sender = hall.member(Dialect::Binary, "tea");
    let other = hall.member(Dialect::Binary, "tea");
    let start = to_room("one", "tea", 200_000);
    let mut source = Source::start(&mut hall, sender, &start, file_of(200_000));
    let mut silent = Sink::accept(&mut hall, other, 10_000);
    run(&mut hall, &mut source, &mut []);
    hall.world.advance_ms(11_000);
    source.hear(&mut hall);
    silent.hear(&mut hall);
    for outcome in [&source.outcome, &silent.outcome] {
        assert_eq!(
            outcome.as_ref().expect("an outcome")["code"],
            "transfer_timeout"
        );
    }
    hall.close_all();
}

// covers A6-04
#[test]
fn a_receiver_that_does_not_say_that_it_has_it() {
    let mut hall = Hall::new(with(|config| config.files.idle_ms = 5_000));
    let sender = hall.member(Dialect::Binary, "tea");
    let others = BOTH.map(|dialect| hall.member(dialect, "tea"));
    let start = to_room("one", "tea", 5_000);
    let mut source = Source::start(&mut hall, sender, &start, file_of(5_000));
    let [mut silent, mut sink] = others.map(|other| Sink::accept(&mut hall, other, 10_000));
    silent.complete = true;
    run(&mut hall, &mut source, &mut [&mut silent, &mut sink]);
    finish(&mut hall, &mut source, &mut [&mut sink], 20_000);
    let expected = json!({
        "type": "file_completed", "transfer": source.transfer, "completed": 1, "failed": 1,
    });
    assert_eq!(source.outcome, Some(expected));
    let told = hall.expect(silent.peer, "file_error");
    assert_eq!(told["code"], "transfer_timeout");
    hall.close_all();
}
